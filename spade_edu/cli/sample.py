"""`spade-edu sample`: a trained run's pictures, in a grid or of label maps; `spade-edu test` paints by the same way."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from ..config import MOST_SEED
from ..errors import UserError
from .own import Code, networks_of
from .train import default_device

ROWS, COLUMNS = 4, 4
Instances = Annotated[Path | None, typer.Option(help="Folder of instance maps, named as the label maps.")]
Style = Annotated[Path | None, typer.Option(help="Picture whose style all get; needs a style encoder.")]
Seed = Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Of the styles, where none is given.")]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(sample)


def sample(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    maps: Annotated[
        list[Path] | None,
        typer.Argument(help="Label maps to paint: files or folders; default: some of the run's data."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Picture to write; for several maps a folder.", show_default="samples.png, samples"),
    ] = None,
    root: Annotated[str, typer.Option(help="Folder of the run's data set, where it has moved.")] = "",
    instance_dir: Instances = None,
    style: Style = None,
    count: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Label maps (rows).", show_default=f"{ROWS}")
    ] = None,
    styles: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Styles of each (columns).", show_default=f"{COLUMNS}")
    ] = None,
    seed: Seed = 0,
    code: Code = None,
) -> None:
    """Draw images of a trained run: a picture of each label map, or a grid of a row a map, a column a style."""
    from ..runs.sources import from_run

    if styles is not None and style is not None:
        raise UserError("--styles draws styles, --style takes one from a picture: leave one out.")
    if not maps:
        _draw_grid(run, out or Path("samples.png"), root, style, (count or ROWS, styles or COLUMNS), seed, code)
        return
    if count is not None or styles is not None:
        raise UserError("--count and --styles are for the grid: each label map that is given gets one picture.")
    source = from_run(run, partial(networks_of, code=code), root)
    paint_maps(source, maps, out, instances=instance_dir, style=style, seed=seed)


def _draw_grid(
    run: Path, out: Path, root: str, style: Path | None, shape: tuple[int, int], seed: int, code: Path | None
) -> None:
    """Label maps of the run's own data and what is painted for them, in one picture."""
    from ..pictures import grid, save_png, to_uint8
    from ..runs.sources import style_of
    from ..sampling import generate, spread

    config, preview = _data_of(run, root)
    generator, encoder = networks_of(run, preview.labels, code)
    batch, columns = spread(preview, shape[0]), shape[1]
    z = None if style is None else style_of(encoder, style, (config.height, config.width)).expand(len(batch.label), -1)
    if z is not None or not generator.z_dim:
        columns = 1
    images = [generate(generator, batch, preview.labels, z=z, seed=seed + i) for i in range(columns)]
    tiles = [preview.labels.colourise(batch.label), *(to_uint8(image) for image in images)]
    save_png(grid([list(row) for row in zip(*tiles)]), out)
    print(f"Wrote {out}: label map, then {columns} image(s) a row.")


def _data_of(run: Path, root: str) -> tuple[Any, Any]:
    """The settings of a run, and the pictures that it is shown on."""
    from ..data import open_splits
    from ..runs.loading import load_local_config

    config = load_local_config(run, root)
    if config.root and not root and not Path(config.root).is_dir():
        raise UserError(
            f"{run} was trained on {config.root}, which is no folder here: give it with --root, or label maps to paint."
        )
    splits = open_splits(config)
    print(splits.line)
    return config, splits.validation


def paint_maps(
    source: Any, paths: Sequence[Path], out: Path | None, *, instances: Path | None, style: Path | None,
    photos: Path | None = None, seed: int, batch_size: int = 20, truncate: bool = False,
) -> None:  # fmt: skip
    """Write a picture of each label map: one to the file `out`, else to the folder NAME.png.

    The same command again goes on where a folder was begun. instances: a folder of instance maps. style: a picture.
    photos: a folder of a picture for each label map, whose style it gets. truncate: see `paint_folder`.
    """
    from .. import distributed
    from ..data.label_maps import LabelMaps
    from ..runs.results import paint_folder, paint_one

    device = str(distributed.start(default_device()))
    height, width = source.size
    folders: dict[str, Any] = dict(instances=instances, photos=photos)
    maps = LabelMaps(paths, source.labels, source.values, height=height, width=width, **folders)
    maps.check()
    target = _target(out, maps, paths)
    z = None if style is None else source.code_of(style)
    encoder = None if photos is None else source.require_encoder("--image-dir").to(device)
    generator = source.generator.to(device).eval()
    options: dict[str, Any] = dict(z=z, encoder=encoder, seed=seed, truncate=truncate, device=device)
    if target.suffix.lower() == ".png":
        paint_one(generator, maps, target, **options)
        said = f"Wrote {target}, {height}x{width}."
    else:
        note = {"maps": maps.fingerprint(), "seed": seed, "batch size": batch_size}
        note |= {"style": str(style or photos or "drawn")} | ({"grey levels": "cut off"} if truncate else {})
        painted = paint_folder(generator, maps, target, source.note | note, batch=batch_size, **options)
        by = " by the first process" if distributed.processes() > 1 else ""
        said = f"{target}: {len(maps)} pictures of {height}x{width}, {painted} painted now{by}."
    if distributed.rank() == 0:
        print(said)
    distributed.stop()


def _target(out: Path | None, maps: Any, paths: Sequence[Path]) -> Path:
    """The file or folder to write. Errors: a UserError for a file where a folder is needed."""
    one = len(paths) == 1 and paths[0].is_file()
    if out is None:
        return Path("samples.png" if one else "samples")
    if out.suffix.lower() == ".png" and not one:
        raise UserError(f"{out} is the name of one picture: {len(maps)} label maps are painted into a folder.")
    return out
