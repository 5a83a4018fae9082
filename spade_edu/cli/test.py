"""`spade-edu test`: the official test.py, a picture for each label map of a folder."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import UserError
from .own import Code, networks_of
from .sample import Instances, Seed, Style, paint_maps


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
    instance_dir: Instances = None,
    style: Style = None,
    image_dir: Annotated[
        Path | None, typer.Option(help="Folder of photographs, named as the label maps: each gives its own style.")
    ] = None,
    seed: Seed = 0,
    batch_size: Annotated[int, typer.Option(min=1, max=1000, help="Label maps at a time.")] = 20,
    truncate: Annotated[
        bool, typer.Option("--truncate", help="Cut off to whole grey levels, as the official test.py.")
    ] = False,
    code: Code = None,
) -> None:
    """Paint a picture for each label map of a folder; the same command again goes on where it was stopped."""
    if style is not None and image_dir is not None:
        raise UserError("give --style PICTURE for all, or --image-dir FOLDER for each, not both.")
    source = _source(run, official, data, label_order, code)
    options: dict[str, Any] = dict(instances=instance_dir, style=style, photos=image_dir, seed=seed)
    paint_maps(source, [label_dir], results_dir, **options, batch_size=batch_size, truncate=truncate)


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
