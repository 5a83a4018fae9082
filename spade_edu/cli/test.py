"""`spade-edu test`: the official test.py, a picture for each label map of a folder."""

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
    app.command()(test)


def test(
    label_dir: Annotated[Path, typer.Option(help="Folder of label maps, as the data set's own are written.")],
    results_dir: Annotated[Path, typer.Option(help="Folder to fill: NAME.png for each label map.")] = Path("results"),
    run: Annotated[
        Path | None, typer.Option(help="Run folder of `spade-edu train`; default: the stored SPADE.")
    ] = None,
    official: Annotated[Path | None, typer.Option(help="Generator of the official code (latest_net_G.pth).")] = None,
    data: Annotated[str, typer.Option(help="Data set of an --official file: cityscapes, ade20k, coco-stuff.")] = "",
    label_order: Annotated[
        str, typer.Option(help="Of an --official file's ADE20K channels: official or package.", show_default="by file")
    ] = "",
    instance_dir: Annotated[Path | None, typer.Option(help="Folder of instance maps, named as the label maps.")] = None,
    style: Annotated[Path | None, typer.Option(help="Picture whose style all get; needs a style encoder.")] = None,
    image_dir: Annotated[
        Path | None, typer.Option(help="Folder of photographs, named as the label maps: each gives its own style.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Of the styles, where none is given.")] = 0,
    batch_size: Annotated[int, typer.Option(min=1, max=1000, help="Label maps at a time.")] = 20,
    truncate: Annotated[
        bool, typer.Option("--truncate", help="Cut off to whole grey levels, as the official test.py.")
    ] = False,
    code: Code = None,
) -> None:
    """Paint a picture for each label map of a folder; the same command again goes on where it was stopped."""
    from .. import distributed
    from ..data.label_maps import LabelMaps
    from ..data.paired import hash_of_names
    from ..runs.results import paint_folder

    if style is not None and image_dir is not None:
        raise UserError("give --style PICTURE for all, or --image-dir FOLDER for each, not both.")
    source = _source(run, official, data, label_order, code)
    device = str(distributed.start(default_device()))
    height, width = source.size
    folders: dict[str, Any] = dict(instances=instance_dir, photos=image_dir)
    maps = LabelMaps(label_dir, source.labels, source.values, height=height, width=width, **folders)
    maps.check()
    z = None if style is None else source.code_of(style)
    encoder = None if image_dir is None else source.require_encoder("--image-dir").to(device)
    note = source.note | {
        "maps": hash_of_names(pair.name for pair in maps.pairs),
        "seed": seed,
        "batch size": batch_size,
    }
    note |= {"style": str(style or image_dir or "drawn")} | ({"grey levels": "cut off"} if truncate else {})
    options: dict[str, Any] = dict(z=z, encoder=encoder, seed=seed, batch=batch_size, truncate=truncate, device=device)
    painted = paint_folder(source.generator.to(device).eval(), maps, results_dir, note, **options)
    if distributed.rank() == 0:
        by = " by the first process" if distributed.processes() > 1 else ""
        print(f"{results_dir}: {len(maps)} pictures of {height}x{width}, {painted} painted now{by}.")
    distributed.stop()


def _source(run: Path | None, official: Path | None, data: str, label_order: str, code: Path | None) -> Any:
    """The generator that is asked for, with what it needs."""
    from ..runs.sources import from_official, from_run, stored

    if run is not None and official is not None:
        raise UserError("give --run FOLDER or --official FILE, not both.")
    for option, given, of, there in (("--code", code, "--run", run), ("--data", data, "--official", official)):
        if given and there is None:
            raise UserError(f"{option} belongs to {of}: give both.")
    if official is not None:
        return from_official(official, data, label_order)
    return stored() if run is None else from_run(run, partial(networks_of, code=code))
