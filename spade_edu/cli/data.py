"""`spade-edu data ...`: look at data sets, check, make, download, label, convert and pack them."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ..config import MOST_PIXELS, MOST_SEED
from ..errors import UserError
from ..files import hold

BUSY = "another command is writing here. Wait for it, or choose another folder."
Name = Annotated[
    str | None,
    typer.Argument(help="cityscapes, streets, camvid, folder, ...; default: Cityscapes if found, else Streets."),
]
Root = Annotated[str | None, typer.Option(help="Folder of the data set; default: datasets/NAME.")]
Split = Annotated[str, typer.Option(help="train or val.")]
_SIDE = "in pixels; default: the data set's in training."
Height = Annotated[int | None, typer.Option(min=1, max=MOST_PIXELS, help=f"Height {_SIDE}")]
Width = Annotated[int | None, typer.Option(min=1, max=MOST_PIXELS, help=f"Width {_SIDE}")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    data = typer.Typer(no_args_is_help=True, help="Look at data sets, check, make, get, label, convert and pack them.")
    for command in info, check, preview, make, get, instances, label, convert, pack:
        data.command()(command)
    app.add_typer(data, name="data")


def info(
    name: Name = None,
    root: Root = None,
    split: Split = "train",
    count: Annotated[int, typer.Option(min=1, help="Samples to count the pixels of.")] = 200,
) -> None:
    """Print the classes of a data set, their colours and their share of the pixels."""
    from ..data import open_dataset
    from ..data.validation import evenly, pixel_shares
    from ..labels import IGNORE

    dataset, line = open_dataset(name, root, split)
    labels = dataset.labels
    indices = evenly(len(dataset), count)
    shares = pixel_shares(dataset, indices).tolist()
    print(line)
    extra = " and the instance edges" if labels.instances else ""
    print(f"The generator sees {labels.num_channels} channels: {labels.num_ids} ids{extra}.")
    print(f"Pixels counted in {len(indices)} of {len(dataset)} samples. score: id in the published score.\n")
    print(f"{'id':>4}  {'class':28} {'colour':>13}  {'score':>5}  {'pixels':>8}")
    scores = [str(c.score_id) if c.score_id != IGNORE else "-" for c in labels.classes] + ["-"]
    colours = [c.colour for c in labels.classes] + [(0, 0, 0)]
    for i, (title, share) in enumerate(zip(labels.names, shares)):
        colour = " ".join(f"{v:3d}" for v in colours[i])
        print(f"{i:4}  {title:28} {colour:>13}  {scores[i]:>5}  {share:8.3%}")


def check(
    name: Name = None,
    root: Root = None,
    split: Annotated[str | None, typer.Option(help="One split only; default: train and val.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Count warnings as errors.")] = False,
) -> None:
    """Read every file of a data set: name each bad pair and what values may mean; exit code 2 for a bad one."""
    from ..data import choose

    if choose(name, root)[0] == "streets":
        raise UserError("Streets is rendered, there are no files to check. Name a data set or give its folder.")
    bad = 0
    for one in [split] if split else ["train", "val"]:
        bad += _check_split(name, root, one, strict)
    if bad:
        raise typer.Exit(2)


def _check_split(name: str | None, root: str | None, split: str, strict: bool) -> int:
    """Print what is wrong with a split and how much there is of it; return the number of problems."""
    from tqdm import tqdm

    from ..data.meaning import look_through
    from ..data.validation import check_split, open_for_check

    try:
        dataset = open_for_check(name, root, split)
    except UserError as error:
        print(f"{split}: {error}")
        return 1
    bar = partial(tqdm, total=len(dataset), desc=f"{dataset.labels.name} {split}", unit="pair", leave=False)
    good, published, problems = check_split(dataset, split, bar)
    for problem in problems:
        print(f"bad: {problem}")
    for remark in dataset.remarks:
        print(f"note: {remark}")
    found = look_through(dataset)
    for finding in found:
        print(f"{finding.severity}: {finding.text}")
    expected = f"{published:,} published" if published else "no published number to compare with"
    print(f"{dataset.labels.name} {split}: {good:,} good pairs found, {len(problems):,} bad, {expected}.")
    severe = ("error", "warning") if strict else ("error",)
    return len(problems) + sum(finding.severity in severe for finding in found)


def preview(
    name: Name = None,
    root: Root = None,
    split: Split = "train",
    out: Annotated[Path, typer.Option(help="Picture to write.")] = Path("preview.png"),
    count: Annotated[int, typer.Option(min=1, max=1000, help="Samples (rows).")] = 6,
    height: Height = None,
    width: Width = None,
    augment: Annotated[bool, typer.Option("--augment", help="Crop and mirror as in training.")] = False,
) -> None:
    """Draw samples: photograph, label map with a legend, instance edges."""
    from ..data import open_dataset
    from ..data.preview import draw
    from ..data.validation import evenly
    from ..pictures import save_png

    dataset, line = open_dataset(name, root, split, height=height, width=width, augment=augment)
    samples = [dataset[i] for i in evenly(len(dataset), count)]
    save_png(draw(samples, dataset.labels), out)
    print(f"{line}\nWrote {out}.")


def make(
    out: Annotated[Path, typer.Argument(help="Folder to write to.")] = Path("datasets/streets"),
    train: Annotated[int, typer.Option(min=0, max=10_000_000, help="Scenes in split train.")] = 1000,
    val: Annotated[int, typer.Option(min=0, max=10_000_000, help="Scenes in split val.")] = 200,
    height: Annotated[int, typer.Option(min=1, max=MOST_PIXELS, help="Height in pixels.")] = 128,
    width: Annotated[int, typer.Option(min=1, max=MOST_PIXELS, help="Width in pixels.")] = 256,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Another seed, other streets.")] = 0,
) -> None:
    """Write Streets in Cityscapes' folder layout; called again, it goes on where it stopped."""
    from tqdm import tqdm

    from ..data.streets import write

    with hold(out, BUSY):
        for part in tqdm(range(1, 101), desc="streets", unit="%"):
            write(out, train=train * part // 100, val=val * part // 100, height=height, width=width, seed=seed)
    print(f"Wrote {train} + {val} scenes of {height}x{width} to {out}.")
    print(f"Train on them: spade-edu train --data cityscapes --root {out}")


def get(
    name: Annotated[str, typer.Argument(help="camvid, ade20k, coco-stuff or cityscapes.")],
    root: Annotated[Path | None, typer.Option(help="Folder to put it in; default: datasets/NAME.")] = None,
) -> None:
    """Download a data set, unpack it and count its pairs; called again, it goes on where it stopped."""
    from ..data import download
    from ..data.catalogue import DOWNLOADS

    download.require_download(name)
    root = root or DOWNLOADS / name
    with hold(root, BUSY):
        if name == "cityscapes":
            download.get_cityscapes(root)
        else:
            download.get(name, root)
        if name == "coco-stuff":
            _draw_instances(root)
    for split in "train", "val":
        _count(name, root, split)


def _count(name: str, root: Path, split: str) -> None:
    """Print how many pairs of a split are there; raise a UserError if it is not as many as were published."""
    from ..data.validation import open_for_check

    dataset = open_for_check(name, str(root), split)
    found, published = len(dataset), dataset.published[split]
    print(f"{dataset.labels.name} {split}: {found:,} pairs found, {published:,} published.")
    if found != published:
        raise UserError(f"{root}: some of {name} is missing. Delete .*.unpacked there and run the command again.")


def instances(
    root: Annotated[Path, typer.Option(help="Folder of COCO-Stuff.")] = Path("datasets/coco-stuff"),
) -> None:
    """Draw COCO-Stuff's instance maps from its polygons (annotations/instances_*2017.json, 3 GB of memory)."""
    from ..data.coco_stuff import find_layout

    find_layout(root, "val")
    with hold(root, BUSY):
        _draw_instances(root)


def _draw_instances(root: Path) -> None:
    from tqdm import tqdm

    from ..data.coco_stuff import make_instances

    for split in "val", "train":
        drawn = make_instances(root, split, partial(tqdm, desc=f"instances {split}", unit="map"))
        print(f"{split}: {drawn:,} instance maps drawn.")


def label(
    photos: Annotated[Path, typer.Argument(help="Folder of photographs.")],
    out: Annotated[Path, typer.Argument(help="Data set to write.")] = Path("datasets/flickr-landscapes"),
    split: Split = "train",
    weights: Annotated[Path | None, typer.Option(help="DeepLabV2's weights; default: see spade-edu weights.")] = None,
    long_side: Annotated[
        int, typer.Option(min=64, max=MOST_PIXELS, help="Pixels of the longer side while segmenting.")
    ] = 513,
) -> None:
    """Make label maps for your own photographs with DeepLabV2; called again, it goes on where it stopped."""
    from tqdm import tqdm

    from ..data.labelling import find_photographs, label_photographs
    from ..evaluation.segmenters import load_segmenter
    from .train import default_device

    if split not in ("train", "val"):
        raise UserError(f"there is no split {split!r}: expected train or val.")
    found, device = find_photographs(photos, out / split), default_device()
    segmenter = load_segmenter("deeplabv2_resnet101", weights).to(device)
    bar = partial(tqdm, desc="label maps", unit="map")
    with hold(out, BUSY):
        report = label_photographs(found, out / split, segmenter, long_side=long_side, device=device, progress=bar)
    for problem in report.problems:
        print(f"bad: {problem}")
    print(f"{out / split}: {report.written:,} label maps written, {report.kept:,} kept, {len(report.problems):,} bad.")
    print(f"Look at them: spade-edu data preview flickr-landscapes --root {out} --split {split}")
    if report.problems:
        raise typer.Exit(2)


def convert(
    masks: Annotated[Path, typer.Argument(help="Folder of masks in colours.")],
    out: Annotated[Path, typer.Argument(help="Folder to write the maps of ids to.")],
    classes: Annotated[Path, typer.Option(help="Classes file with the colours.")] = Path("classes.txt"),
    channel: Annotated[str, typer.Option(help="red, green or blue: the channel that holds the ids themselves.")] = "",
) -> None:
    """Make maps of ids from masks in the colours of a classes file, and count the colours that no class has."""
    from tqdm import tqdm

    from ..data.classes import read_table
    from ..data.convert import convert as write_maps
    from ..data.convert import describe

    with hold(out, BUSY):
        bar = partial(tqdm, desc="maps", unit="map", leave=False)
        written, problems, stray = write_maps(masks, out, classes, channel, bar)
    for problem in problems:
        print(f"bad: {problem}")
    if stray:
        print(f"{describe(stray, read_table(classes))} They are don't care now.")
    print(f"{out}: {written:,} maps written, {len(problems):,} bad.")
    if problems:
        raise typer.Exit(2)


def pack(
    name: Annotated[str, typer.Argument(help="The data set, by the name that `data info` takes.")],
    out: Annotated[Path, typer.Argument(help="Archive to write, e.g. cityscapes-256x512.tar.")],
    root: Root = None,
    height: Height = None,
    width: Width = None,
) -> None:
    """Write a resized copy of a data set into one archive: small enough for Colab, read by the same reader."""
    from tqdm import tqdm

    from ..data.pack import pack as write_archive

    count, size = write_archive(
        name, out, root, height=height, width=width, progress=partial(tqdm, desc=name, unit="pair")
    )
    print(f"Wrote {count:,} pairs to {out}, {size / 1e6:,.0f} MB.")
    print(f"Use it: mkdir FOLDER && tar -xf {out} -C FOLDER, then --data {name} --root FOLDER")
