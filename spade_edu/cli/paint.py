"""`spade-edu paint`: the painter on a page of its own."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import UserError
from .own import Code, networks_of


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(paint)


PORT = 8899  # so that a tab that is still open finds the program again
TOKEN = Path("~/.cache/spade_edu/paint_token")


def paint(
    run: Annotated[Path | None, typer.Option(help="Folder of a training run; default: the stored SPADE.")] = None,
    map_file: Annotated[Path | None, typer.Option("--map", help="A map saved by the painter, to begin with.")] = None,
    beside: Annotated[
        str, typer.Option(help="A run's folder, or pix2pixhd or pix2pixhd_pp (stored): its picture of the same map.")
    ] = "",
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help=f"Port; 0: a free one. Default: {PORT}, or a free one.")
    ] = None,
    lan: Annotated[bool, typer.Option("--lan", help="Let a phone in the same network paint, too.")] = False,
    code: Code = None,
) -> None:
    """Paint a label map in the browser and see what the generator makes of it, without a notebook."""
    server = served(prepare(run, code, map_file, beside), port, lan)
    where = "in this network" if lan else "on this computer"
    print(f"Open {server.address} in a browser {where}. Ctrl-C stops.", flush=True)
    with server:
        server.serve_forever()


def served(painting: Any, port: int | None, lan: bool = False) -> Any:
    """A server for the painter at the port that was asked for, else at PORT, or at a free one where that is taken."""
    from ..widgets.page import PageServer, kept_token

    token = kept_token(TOKEN.expanduser())
    if port is not None:
        return PageServer(painting, port, token=token, lan=lan)
    try:
        return PageServer(painting, PORT, token=token, lan=lan)
    except UserError:
        return PageServer(painting, 0, token=token, lan=lan)


def prepare(run: Path | None = None, code: Path | None = None, map_file: Path | None = None, beside: str = "") -> Any:
    """The painter of a run, or of the stored network; its scenes are the run's data set."""
    from ..widgets.maps import EditedMap
    from ..widgets.painter import Painting

    if run is None and code is not None:
        raise UserError("--code belongs to the run that it trained: give --run FOLDER with it.")
    scenes, (generator, encoder) = _stored() if run is None else _of_run(run, code)
    first = scenes[0]
    edited = EditedMap(scenes.labels, first.label, first.instance, scenes=scenes, scene=0)
    painting = Painting(
        generator, edited, styles=_styles(scenes, encoder), encoder=encoder,
        network="stored SPADE" if run is None else f"{type(generator).__name__} of {run}",
        beside=_beside(beside, scenes.labels) if beside else None,
    )  # fmt: skip
    if map_file is not None:
        _open(painting, map_file)
    return painting


def _beside(name: str, labels: Any) -> tuple[str, Any]:
    """Name and generator of a run in a folder, or of a stored network."""
    from ..labels import CITYSCAPES
    from ..runs.loading import load_networks, load_stored

    if Path(name).is_dir():
        return name, load_networks(Path(name), labels).generator
    generator = load_stored(name).generator
    if labels.num_channels != CITYSCAPES.num_channels:
        raise UserError(f"--beside {name}: the stored networks paint Cityscapes' classes, not those of {labels.name}.")
    return f"stored {name}", generator


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
    size: dict[str, Any] = dict(height=config.height, width=config.width)
    scenes, _ = open_dataset(config.data, config.root or None, "val", **size, edges=config.edges)
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
