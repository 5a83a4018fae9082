"""The folder that `spade-edu start` makes: notebooks without outputs, exercises, an empty my_spade.py, a README.

A list of hashes of what was written lies in the folder, so that a later start tells what the student changed.
"""

import json
from hashlib import sha256
from pathlib import Path

from ..files import ASSETS, write_whole
from .parts_file import NAME, empty_file, read_reference

COURSE = ASSETS / "course"  # written by tools/build_exercises.py
MANIFEST = "spade_edu_start.json"
SOLUTION = "<details><summary>Solution</summary>"  # how a folded solution begins


def make_folder(folder: Path, with_solutions: bool = False) -> list[str]:
    """Make the student's folder, or add to one what is new; what the student changed is not touched.

    Returns what was done, in a few lines.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known, written, left = _manifest(folder), [], []
    for name, content in contents(with_solutions).items():
        path = folder / name
        there = _hash(path.read_bytes()) if path.exists() else ""
        if there in ("", known.get(name)) and there != _hash(content):
            write_whole(path, content)
            written.append(name)
        elif there != _hash(content):
            left.append(name)
        if name not in left:
            known[name] = _hash(content)
    write_whole(folder / MANIFEST, json.dumps(known, indent=1) + "\n")
    return _report(folder, written, left)


def contents(with_solutions: bool) -> dict[str, bytes]:
    """Every file of a new folder."""
    notebooks = {path.name: path.read_text(encoding="utf-8") for path in sorted(COURSE.glob("*.ipynb"))}
    if not with_solutions:
        notebooks = {name: without_solutions(text) for name, text in notebooks.items()}
    texts = {"README.md": (COURSE / "README.md").read_text(encoding="utf-8"), NAME: empty_file(read_reference()).text}
    return {name: text.encode() for name, text in (texts | notebooks).items()}


def without_solutions(text: str) -> str:
    """A notebook without the cells that fold a solution."""
    notebook = json.loads(text)
    notebook["cells"] = [cell for cell in notebook["cells"] if not "".join(cell["source"]).startswith(SOLUTION)]
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def is_reading(path: Path) -> bool:
    """Whether a notebook of a student's folder is one to read: what is handed in are its exercises."""
    return (path.parent / MANIFEST).is_file() and not path.stem.endswith("_exercises")


def _manifest(folder: Path) -> dict[str, str]:
    """The hash of each file as it was written; empty where that can't be read, so that nothing is touched."""
    try:
        stored = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return {str(name): str(value) for name, value in stored.items()}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


def _hash(content: bytes) -> str:
    return sha256(content).hexdigest()


def _report(folder: Path, written: list[str], left: list[str]) -> list[str]:
    lines = [f"{folder}: {len(written)} files written." if written else f"{folder}: nothing new."]
    if left:
        lines.append(f"Left as you changed them: {', '.join(left)}.")
    return [*lines, "Begin with README.md there."]
