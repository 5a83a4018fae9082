"""ONNX Runtime Web, which runs a network in a browser: one version, its two files known by their hashes.

Of its builds the smallest: WebAssembly, one thread (more would need headers that plain web servers don't send).
"""

from pathlib import Path

from ..data.base import DataError
from ..errors import UserError
from ..pretrained.weights import Weights, fetch

VERSION = "1.30.0"
_PACKAGE = f"https://cdn.jsdelivr.net/npm/onnxruntime-web@{VERSION}/dist"


def _file(name: str, sha256: str) -> Weights:
    return Weights(
        f"onnxruntime-web-{VERSION}/{name}",
        "spade-edu page",
        f"https://www.npmjs.com/package/onnxruntime-web/v/{VERSION}",
        url=f"{_PACKAGE}/{name}",
        sha256=sha256,
    )


# By their names on the page: some servers don't know what .mjs is, and browsers then refuse it.
FILES = {
    "onnxruntime.js": _file(
        "ort.wasm.bundle.min.mjs", "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90"
    ),
    "ort-wasm-simd-threaded.wasm": _file(
        "ort-wasm-simd-threaded.wasm", "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2"
    ),
}


def runtime_files(folder: Path | None = None) -> dict[str, bytes]:
    """The files by their names on the page: those in `folder`, else the cache's, where they are fetched to once.

    Errors: a UserError that says which file to put where, if one can't be had or is another than VERSION's.
    """
    return {
        name: (_fetched(file) if folder is None else _given(file, folder)).read_bytes() for name, file in FILES.items()
    }


def _fetched(file: Weights) -> Path:
    try:
        return fetch(file, attempts=2)
    except DataError as error:
        names = " and ".join(Path(f.file).name for f in FILES.values())
        raise UserError(f"{error} A folder that holds {names} can be given, too: --runtime FOLDER.") from None


def _given(file: Weights, folder: Path) -> Path:
    path = folder / Path(file.file).name
    if not path.is_file():
        raise UserError(
            f"--runtime: there is no {path}. It is dist/{path.name} of onnxruntime-web {VERSION} ({file.url})."
        )
    if not file.verify(path):
        raise UserError(
            f"--runtime: {path} is not the file of onnxruntime-web {VERSION} (its SHA-256 differs): {file.url}."
        )
    return path
