"""`spade-edu paint`: the painter on a page of its own."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import UserError
from .own import Code, generator_of


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(paint)


def paint(
    run: Annotated[Path | None, typer.Option(help="Folder of a training run; default: the stored SPADE.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this computer; 0: a free one.")] = 0,
    code: Code = None,
) -> None:
    """Paint a label map in the browser and see what the generator makes of it, without a notebook."""
    server = prepare(run, port, code)
    print(f"Open {server.address} in a browser on this computer. Ctrl-C stops.", flush=True)
    with server:
        server.serve_forever()


def prepare(run: Path | None, port: int, code: Path | None = None) -> Any:
    """The painter of a run, or of the stored network, ready to serve; its scenes are the run's data set."""
    from ..data import Dataset, Streets, open_dataset
    from ..runs.loading import load_local_config, load_stored
    from ..widgets.maps import EditedMap
    from ..widgets.page import PageServer
    from ..widgets.painter import Painting

    if run is None and code is not None:
        raise UserError("--code belongs to the run that it trained: give --run FOLDER with it.")
    scenes: Dataset = Streets(200, split="val")
    if run is None:
        generator = load_stored("spade").generator
    else:
        config = load_local_config(run)
        size: dict[str, Any] = dict(height=config.height, width=config.width)
        scenes, _ = open_dataset(config.data, config.root or None, "val", **size, edges=config.edges)
        generator = generator_of(run, scenes.labels, code)
    first = scenes[0]
    return PageServer(Painting(generator, EditedMap(scenes.labels, first.label, first.instance, scenes=scenes)), port)
