"""The scorecard: which exercises are solved, in a small file in the student's folder."""

import contextlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from ..files import student_folder, write_whole

FILE = Path("spade_edu_progress.json")


@dataclass(frozen=True)
class Scorecard:
    """Solved and open exercises by stage: {stage: {name: solved}}; and the lines on the parts of my_spade.py."""

    stages: dict[str, dict[str, bool]]
    parts: str = ""

    def __repr__(self) -> str:
        solved = sum(sum(names.values()) for names in self.stages.values())
        lines = [f"{solved} of {sum(map(len, self.stages.values()))} exercises solved"]
        for stage, names in self.stages.items():
            marks = "".join("□■"[done] for done in names.values())
            open_ones = ", ".join(name for name, done in names.items() if not done)
            lines.append(f"{stage}  {marks:8} " + (f"open: {open_ones}" if open_ones else "all solved"))
        return "\n".join([*lines, *self.parts.splitlines()])

    def _repr_html_(self) -> str:
        return f"<pre>{self!r}</pre>"


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None


def read(folder: Path | None = None) -> dict[str, bool]:
    """name: solved, as stored in the student's folder or another one; an unreadable file counts as empty."""
    try:
        stored = json.loads(((folder or student_folder()) / FILE).read_text(encoding="utf-8"))
        return {str(name): value is True for name, value in stored.items()}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


def record(name: str, passed: bool) -> None:
    """Note a solved exercise; outside a notebook, and where the folder can't be written, nothing happens."""
    if not passed or not in_notebook():
        return
    known = read()
    if known.get(name):
        return
    with contextlib.suppress(OSError):
        write_whole(student_folder() / FILE, json.dumps({**known, name: True}, indent=1) + "\n")
