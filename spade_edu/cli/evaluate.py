"""`spade-edu evaluate`: the row of Table 1 for a folder of images or a checkpoint, and how far protocols move it."""

import json
import math
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from ..config import MOST_SEED
from ..errors import UserError
from .own import Code, networks_of
from .train import default_device


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(evaluate)


def evaluate(
    images: Annotated[Path | None, typer.Option(help="Folder of generated images, named after their labels.")] = None,
    run: Annotated[Path | None, typer.Option(help="Run folder of `spade-edu train`.")] = None,
    official: Annotated[Path | None, typer.Option(help="Generator of the official code (latest_net_G.pth).")] = None,
    label_order: Annotated[
        str, typer.Option(help="Of an --official file's ADE20K channels: official or package.", show_default="by file")
    ] = "",
    data: Annotated[
        str, typer.Option(help="cityscapes, ade20k, coco-stuff, streets, ...; camvid, folder: FID only.")
    ] = "",
    root: Annotated[str, typer.Option(help="Folder of the data set.")] = "",
    protocol: Annotated[
        str,
        typer.Option(
            help="paper, oasis, clade, gan-compression, cc-fpse; on Streets streets (its default), on ADE20K csail."
        ),
    ] = "",
    compare_protocols: Annotated[bool, typer.Option(help="Score the same images under all protocols.")] = False,
    count: Annotated[int | None, typer.Option(help="Only the first so many label maps.", min=2)] = None,
    segmentation: Annotated[bool, typer.Option(help="mIoU and accuracy.")] = True,
    distance: Annotated[bool, typer.Option(help="Fréchet and kernel distance (FID, KID).")] = True,
    segmenter: Annotated[
        str, typer.Option(help="Another than the protocol's: upernet101 or upernet101-baseline on ADE20K.")
    ] = "",
    fid_network: Annotated[
        str, typer.Option(help="pytorch-fid (today's), or torchvision-2019, torchvision-2018: the paper's time.")
    ] = "",
    real: Annotated[Path | None, typer.Option(help="File of the real side's features: read, or else written.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures here.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Write a picture of the IoU of each class.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Of the generator's noise and of the bootstrap.")] = 0,
    use_vae: Annotated[
        bool, typer.Option("--use-vae", help="Style of each photograph, as the official test.py; default: drawn.")
    ] = False,
    code: Code = None,
) -> None:
    """Score generated images against their label maps and real photographs, under a stated protocol."""
    from ..evaluation.protocol import NAMES
    from ..evaluation.subjects import diversity_of

    _require_one_source(images, run, official, label_order, code, use_vae)
    if real is not None and compare_protocols:
        raise UserError("--real holds the real side of one protocol: leave out --compare-protocols.")
    names = NAMES if compare_protocols else (protocol,)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        subject = _open(images, run, official, data, root, count, seed, label_order, code, use_vae)
        results = _score(subject, names, segmentation, distance, real, seed, fid_network, segmenter)
        diversity = diversity_of(subject, seed, default_device())
        remarks = subject.place.originals().remarks
    notes = remarks + sorted({str(w.message) for w in caught if issubclass(w.category, UserWarning)})
    _show(subject, results, notes, diversity)
    if json_file is not None:
        _write_json(json_file, subject, results, notes, diversity)
    if picture is not None:
        draw(results[0], f"{Path(subject.title).name}, protocol {results[0].protocol.name}", picture)


def _require_one_source(
    images: Path | None, run: Path | None, official: Path | None, label_order: str, code: Path | None, use_vae: bool
) -> None:
    """One of the three, and only options that belong to it. Errors: a UserError for anything else."""
    if sum(source is not None for source in (images, run, official)) != 1:
        raise UserError("give one of --images FOLDER, --run FOLDER or --official FILE.")
    if code is not None and run is None:
        raise UserError("--code belongs to the run that it trained: give --run FOLDER with it.")
    if label_order and official is None:
        raise UserError("--label-order is for --official: other networks say themselves what they were trained with.")
    if use_vae and images is not None:
        raise UserError("--use-vae is for a generator with a style encoder: give --run or --official.")


def _open(
    images: Path | None, run: Path | None, official: Path | None, data: str, root: str, count: int | None, seed: int,
    label_order: str, code: Path | None, use_vae: bool,
) -> Any:  # fmt: skip
    from ..evaluation.subjects import from_folder, from_official, from_run

    if images is not None:
        return from_folder(images, data, root, count)
    if run is not None:
        return from_run(run, data, root, count, seed, default_device(), partial(networks_of, code=code), use_vae)
    assert official is not None  # evaluate asked for one of the three
    return from_official(official, data, root, count, seed, default_device(), label_order, use_vae)


def _score(
    subject: Any, names: Sequence[str], segmentation: bool, distance: bool, real: Path | None, seed: int,
    fid_network: str, segmenter: str,
) -> list[Any]:  # fmt: skip
    """The figures of one set of images under each protocol; what is the same for several is loaded or computed once."""
    import torch

    from ..evaluation.pipeline import Scorer
    from ..evaluation.protocol import default_protocol, protocol
    from ..evaluation.scoring import generated_statistics, judges_of

    place, device = subject.place, torch.device(default_device())
    plans = [protocol(name or default_protocol(place.data), place.data, segmenter) for name in names]
    options: dict = dict(device=device, fid_network=fid_network, size=place.size)
    first = judges_of(plans[0], segmentation=segmentation, distance=distance, **options)
    judges = {plans[0].segmenter: first}
    for plan in plans:
        if segmentation and plan.segmenter not in judges:
            other = judges_of(plan, segmentation=True, distance=False, **options)
            judges[plan.segmenter] = first._replace(segmenter=other.segmenter)
    fake = generated_statistics(subject.images, first) if distance else None
    shared: dict = dict(segmenter=segmenter, known={}, file=real, device=default_device())
    scorers = [Scorer(place, p.name, judges=judges.get(p.segmenter, first), **shared) for p in plans]
    return [scorer.score(subject.images, fake=fake, seed=seed) for scorer in scorers]


def _show(subject: Any, results: list, notes: list[str], diversity: dict | None) -> None:
    """Print the table: a row a protocol, how far they differ, the paper's row."""
    first = results[0]
    expected = first.protocol.images
    amount = f"{first.n} images"
    if expected and first.n != expected:
        amount += f" of the protocol's {expected}"
    segmenters = " and ".join(dict.fromkeys(scores.protocol.segmenter for scores in results)) or "none"
    print(f"{subject.title}: {amount}, {subject.place.data}, segmenter {segmenters}\n")
    heads = ["mIoU %", "accuracy %", "accuracy_with_void %"]
    heads += [first.distance_name or "distance", first.kernel_name or "kernel distance"]
    print(_row("protocol", heads))
    for scores in results:
        print(_row(scores.protocol.name, _cells(scores)))
    if len(results) > 1:
        print(_row("largest - smallest", _spread(results)))
    if first.protocol.segmenter:
        _show_paper(subject.place.data, first.distance_name)
    print(f"\nProtocol {first.protocol.name}: {first.protocol.origin}" if len(results) == 1 else "")
    for note in notes:
        print(f"Note: {note}")
    if diversity:
        print(f"Diversity ({diversity['features']}): {diversity['mean']:.4f} over {diversity['maps']} label maps.")


def _show_paper(place: str, distance: str | None) -> None:
    """The paper's row, and what to mind when comparing with it."""
    from ..evaluation.protocol import COUNTS_VOID, PAPER_ROW

    data = place if place in PAPER_ROW else "cityscapes"
    miou, accuracy, fid = PAPER_ROW[data]
    accuracies = ["-", f"{accuracy}"] if data in COUNTS_VOID else [f"{accuracy}", "-"]
    print(_row(f"SPADE, {data}", [f"{miou}", *accuracies, f"FID {fid}", "-"]) + "   (the paper's Table 1)")
    if distance == "FID":
        print("The paper's FID is of pytorch-fid before 27 May 2019: --fid-network torchvision-2019 compares with it.")
    if data != place:
        print("\nOn Streets the judge, the images and the features are others than the paper's: only its rows compare.")


def _row(title: str, cells: list[str]) -> str:
    return f"{title:20}" + "".join(f"{cell:>24}" for cell in cells)


def _cells(scores: Any) -> list[str]:
    def share(value: float | None, interval: tuple[float, float] | None) -> str:
        if value is None or interval is None:
            return "-"
        return f"{100 * value:.1f} [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"

    figures = [share(scores.miou, scores.miou_interval), share(scores.accuracy, scores.accuracy_interval)]
    figures.append("-" if scores.accuracy_with_void is None else f"{100 * scores.accuracy_with_void:.1f}")
    return figures + ["-" if v is None else f"{v:.4g}" for v in (scores.distance, scores.kernel)]


def _spread(results: list) -> list[str]:
    cells = []
    for name, unit in (("miou", 100), ("accuracy", 100), ("accuracy_with_void", 100), ("distance", 1), ("kernel", 1)):
        values = [getattr(scores, name) for scores in results]
        if None in values:
            cells.append("-")
        else:
            cells.append(f"{unit * (max(values) - min(values)):.4g}")
    return cells


def _write_json(path: Path, subject: Any, results: list, notes: list[str], diversity: dict | None) -> None:
    from ..files import write_whole

    table = {
        "subject": subject.title,
        "data": subject.place.data,
        "generated_size": list(subject.place.size),
        "scores": [scores.as_dict() for scores in results],
        "diversity": diversity,
        "notes": notes,
    }
    write_whole(path, json.dumps(_finite(table), indent=2))


def _finite(value: Any) -> Any:
    """JSON has no nan: a figure that doesn't exist is null."""
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def draw(scores: Any, title: str, path: Path) -> None:
    """A bar for each class that occurs, best first, with the mean; written whole or not at all."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from ..pictures import save_figure

    if not scores.iou:
        raise UserError("--picture shows the IoU of classes, which needs a segmenter: leave one of both out.")
    names, values = zip(*sorted(scores.iou.items(), key=lambda item: item[1]))
    figure = Figure(figsize=(7, 1.4 + 0.22 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(names, [100 * v for v in values], color="#4878a8")
    for i, value in enumerate(values):
        axes.text(100 * value + 0.8, i, f"{100 * value:.0f}", va="center", fontsize=8)
    axes.axvline(100 * scores.miou, color="#c04040", linewidth=1)
    axes.text(100 * scores.miou, len(names) - 0.3, f" mIoU {100 * scores.miou:.1f}", color="#c04040", fontsize=9)
    axes.set(xlim=(0, 105), ylim=(-0.7, len(names) + 0.4), title=title)
    axes.set_xlabel(f"IoU in %, as {scores.protocol.segmenter} sees {scores.n} images")
    axes.spines[["top", "right"]].set_visible(False)
    FigureCanvasAgg(figure)
    save_figure(figure, path, dpi=120)
