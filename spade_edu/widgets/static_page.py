"""A folder that any web server can hand out: the painter's canvas with a network that runs in the browser.

    index.html, widgets.css    the page
    page.js                    the canvas, and what stands around it
    network.js                 runs the network, in a thread of its own
    page.json, maps.bin        classes and looks; the empty map, scenes and their objects
    generator.onnx             the network
    onnxruntime.js, *.wasm     what runs it (runtime.py)

The page asks for these files only. It paints at the run's size; looks are named ones and draws of the style code: the
style encoder stays behind, so no picture's style is taken.
"""

import base64
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..errors import UserError
from ..files import sync_file, sync_folder
from .host import FOLDER, script
from .looks import code
from .maps import CANVAS, EditedMap
from .painter import DRAWS

MOST_BYTES = 40 * 10**6
OPENED = """if (location.protocol === "file:") document.getElementById("widget").textContent =
  "Browsers don't run this page from a file: in its folder start `python -m http.server`, and open http://localhost:8000.";
"""
SAFE = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' '{hash}'; worker-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
HTML = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="{safe}">
<meta name="referrer" content="no-referrer">
<title>spade_edu: paint a scene</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="widgets.css">
</head>
<body class="spade-edu-page">
<main id="widget">This page needs JavaScript.</main>
<script>{opened}</script>
<script type="module" src="page.js"></script>
</body>
</html>
"""


def page_files(
    z_dim: int | None, edited: EditedMap, network: bytes, runtime: Mapping[str, bytes], styles: Mapping[str, Tensor],
    words: str,
) -> dict[str, bytes]:  # fmt: skip
    """The page's files by their names. network: the generator's ONNX file; styles: named codes; words: what it is."""
    facts = {
        "map": {k: v for k, v in edited.state().items() if not isinstance(v, bytes)},
        "objects": edited.labels.instances,
        "looks": looks(z_dim, styles),
        "network": words,
        "megabytes": round((len(network) + sum(map(len, runtime.values()))) / 1e6),
    }
    texts = {
        "index.html": index(),
        "widgets.css": (FOLDER / "widgets.css").read_text(encoding="utf-8"),
        "page.js": script(*CANVAS, "static_page.js"),
        "network.js": script("segmap.js", "network.js"),
        "page.json": json.dumps(facts),
    }
    files = {name: text.encode() for name, text in texts.items()}
    return files | {"maps.bin": maps(edited), "generator.onnx": network} | dict(runtime)


def index() -> str:
    """The page itself; the script in it is known by its hash, so that no other can run there."""
    digest = base64.b64encode(hashlib.sha256(OPENED.encode()).digest()).decode()
    return HTML.format(safe=SAFE.format(hash=f"sha256-{digest}"), opened=OPENED)


def looks(z_dim: int | None, styles: Mapping[str, Tensor]) -> list[dict]:
    """Names and codes of the looks: the named ones, then draws from N(0, 1); none for a generator without a code."""
    if z_dim is None:
        return []
    codes = {name: z.flatten() for name, z in styles.items()}
    codes |= {f"draw {seed + 1}": code({"seed": seed}, z_dim) for seed in range(DRAWS)}
    return [{"name": name, "z": z.tolist()} for name, z in codes.items()]


def maps(edited: EditedMap) -> bytes:
    """The empty map, then the scenes' label maps, one byte a pixel; then the scenes' objects, int32, little endian."""
    scenes = edited.scenes
    samples = [] if scenes is None else [scenes[i] for i in range(len(scenes))]
    labels = [edited.state()["blank"]] + [s.label.to(torch.uint8).numpy().tobytes() for s in samples]
    objects = [s.instance.numpy().astype("<i4").tobytes() for s in samples if s.instance is not None]
    return b"".join(labels + objects)


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files into a new folder, whole or not at all. Errors: a UserError where something is there already."""
    require_new(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}.part")
    try:
        part.mkdir()
        for name, content in files.items():
            (part / name).write_bytes(content)
            sync_file(part / name)
        if folder.is_dir():
            folder.rmdir()  # Windows renames onto nothing
        os.rename(part, folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    sync_folder(folder.parent)


def require_new(folder: Path) -> None:
    """A UserError unless the name is free, or an empty folder's."""
    if folder.is_symlink() or (folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))):
        raise UserError(f"{folder} is there already: choose another folder for the page, or remove it.")


def require_small(files: Mapping[str, bytes]) -> int:
    """All bytes together. Errors: a UserError for more than MOST_BYTES."""
    total = sum(map(len, files.values()))
    if total > MOST_BYTES:
        raise UserError(
            f"The page would take {total / 1e6:.0f} MB, {len(files['generator.onnx']) / 1e6:.0f} of them the network; "
            f"at most {MOST_BYTES / 1e6:.0f} are written. Train a narrower generator (--set ngf=...)."
        )
    return total
