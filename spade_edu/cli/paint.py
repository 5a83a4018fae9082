"""`spade-edu paint`: the painter on a page of its own."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import UserError
from .own import Code, networks_of


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(paint)


def paint(
    run: Annotated[Path | None, typer.Option(help="Folder of a training run; default: the stored SPADE.")] = None,
    map_file: Annotated[Path | None, typer.Option("--map", help="A map saved by the painter, to begin with.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this computer; 0: a free one.")] = 0,
    code: Code = None,
) -> None:
    """Paint a label map in the browser and see what the generator makes of it, without a notebook."""
    server = prepare(run, port, code, map_file)
    print(f"Open {server.address} in a browser on this computer. Ctrl-C stops.", flush=True)
    with server:
        server.serve_forever()


def prepare(run: Path | None, port: int, code: Path | None = None, map_file: Path | None = None) -> Any:
    """The painter of a run, or of the stored network, ready to serve; its scenes are the run's data set."""
    from ..widgets.maps import EditedMap
    from ..widgets.page import PageServer
    from ..widgets.painter import Painting

    if run is None and code is not None:
        raise UserError("--code belongs to the run that it trained: give --run FOLDER with it.")
    scenes, (generator, encoder) = _stored() if run is None else _of_run(run, code)
    first = scenes[0]
    edited = EditedMap(scenes.labels, first.label, first.instance, scenes=scenes, scene=0)
    name = "stored SPADE" if run is None else f"{type(generator).__name__} of {run}"
    painting = Painting(generator, edited, styles=_styles(scenes, encoder), encoder=encoder, network=name)
    if map_file is not None:
        _open(painting, map_file)
    return PageServer(painting, port)


def _stored() -> tuple[Any, tuple[Any, Any]]:
    """Scenes, generator and encoder of the stored SPADE."""
    from ..data import Streets
    from ..runs.loading import load_stored

    networks = load_stored("spade")
    return Streets(200, split="val"), (networks.generator, networks.encoder)


def _of_run(run: Path, code: Path | None) -> tuple[Any, tuple[Any, Any]]:
    """Scenes, generator and encoder of a run."""
    from ..data import open_dataset
    from ..runs.loading import load_local_config

    config = load_local_config(run)
    scenes, _ = open_dataset(config.data, config.root or None, "val", height=config.height, width=config.width)
    return scenes, networks_of(run, scenes.labels, code)


def _styles(scenes: Any, encoder: Any) -> dict[str, Any]:
    """The named looks that a data set has: Streets' light and weather."""
    from ..data import Streets
    from ..experiments.report import style_codes

    if encoder is None or not isinstance(scenes, Streets):
        return {}
    return style_codes(encoder.eval(), scenes.size)


def _open(painting: Any, file: Path) -> None:
    """Begin with a saved map. Errors: a UserError where the file is missing or no map."""
    if not file.is_file():
        raise UserError(f"There is no file {file}: expected a map that the painter saved (Save map).")
    problem = painting.answer({"do": "open"}, [file.read_bytes()])
    if problem:
        raise UserError(f"{file}: {problem}")
