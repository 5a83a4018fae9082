"""`spade-edu page`: a folder for a web server, whose page paints without Python."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from .own import Code, networks_of

SCENES = 12  # of Streets, which are ours to hand out


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(page)


def page(
    source: Annotated[str, typer.Argument(metavar="RUN|stored", help="Run folder, or the word stored.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write; must be new.")],
    runtime: Annotated[
        Path | None, typer.Option(help="Folder with the two files of onnxruntime-web; default: fetched once.")
    ] = None,
    code: Code = None,
) -> None:
    """Write a page that paints without Python: a folder that any web server can hand out."""
    from ..widgets.onnx_file import onnx_file, require_onnx
    from ..widgets.runtime import runtime_files
    from ..widgets.static_page import page_files, require_new, require_small, write_folder

    require_new(folder)
    require_onnx()
    subject = subject_of(source, code)
    runs_it = runtime_files(runtime)
    network = onnx_file(subject.generator, subject.edited.size)
    files = page_files(subject.generator.z_dim, subject.edited, network, runs_it, subject.styles, subject.words)
    size = require_small(files) / 1e6
    print(f"{folder}: {len(files)} files, {size:.1f} MB, of which the network {len(network) / 1e6:.1f} MB.")
    write_folder(folder, files)
    print(f"Written. To try it: python -m http.server --directory {folder}, and open http://localhost:8000.")


@dataclass
class Subject:
    """What a page paints with: a plain generator, a map to begin with, named styles, words on the network."""

    generator: Any
    edited: Any
    styles: dict[str, Any]
    words: str


def subject_of(source: str, code: Path | None = None) -> Subject:
    """The stored SPADE, or a run. Scenes go along for Streets only: other data sets aren't ours to hand out."""
    from ..data import Streets
    from ..errors import UserError
    from ..experiments.report import style_codes
    from ..runs.loading import load_config, load_stored_config
    from ..runs.sources import from_run, stored
    from ..widgets.maps import EditedMap, blank
    from ..widgets.onnx_file import plain

    if source == "stored" and code is not None:
        raise UserError("--code belongs to the run that it trained: give its folder in place of `stored`.")
    found = stored() if source == "stored" else from_run(Path(source), partial(networks_of, code=code))
    config = load_stored_config() if source == "stored" else load_config(Path(source))
    encoder: Any = found.encoder
    height, width = found.size
    if config.data == "streets":
        streets = Streets(SCENES, split="val", height=height, width=width)
        edited = EditedMap(found.labels, streets[0].label, streets[0].instance, scenes=streets, scene=0)
        styles = {} if encoder is None else style_codes(encoder.eval(), found.size)
    else:
        edited, styles = EditedMap(found.labels, blank(found.labels, found.size)), {}
    name = "the stored SPADE" if source == "stored" else found.note["weights"]
    data = "its maker's own pictures" if config.data == "folder" else config.data
    words = f"{name}, trained on {data}, pictures of {height}x{width}"
    return Subject(plain(found.generator, config, found.labels), edited, styles, words)
