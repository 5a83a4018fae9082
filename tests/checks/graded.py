"""For the tests of grading: notebooks, and grading without a wall."""

import json
import re
from pathlib import Path

from spade_edu.checks import exercises
from spade_edu.checks.grading import code_cells, grade_notebook, read_hand_in
from spade_edu.checks.wall import Wall

NAMES = {e.name for e in exercises()}
ROOT = Path(__file__).parents[2]
SOLVED = (
    "def receptive_field(layers):\n    field = 1\n    for kernel, stride in reversed(layers):\n"
    "        field = (field - 1) * stride + kernel\n    return field"
)
CHECKED = 'from spade_edu.checks import check\ncheck("receptive_field", receptive_field)'


def notebook(*cells, source=lambda text: text.splitlines(keepends=True)) -> bytes:
    """A notebook of code cells, as JupyterLab writes it."""
    made = [
        {"cell_type": "code", "source": source(text), "metadata": {}, "outputs": [], "execution_count": None}
        for text in cells
    ]
    return json.dumps({"cells": made, "nbformat": 4, "nbformat_minor": 4, "metadata": {}}).encode()


def write(path: Path, *cells: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(notebook(*cells))
    return path


def solution_cells(stage: str) -> list[str]:
    """The code cells of a stage's solutions, but the set-up, the pictures and the parts of my_spade.py."""
    (path,) = (ROOT / "solutions").glob(f"{stage}_*.ipynb")
    others = ("find_spec", "picture(", "progress()", "keep(")
    cells = [c for c in code_cells(path.read_bytes()) if not any(word in c for word in others)]
    cells = [re.sub(r"^(need\(|from my_spade).*$", "", c, flags=re.MULTILINE) for c in cells]
    cells = [c for c in cells if not re.match(r"(class|def) (\w+)", c) or re.match(r"\w+ (\w+)", c)[1] in NAMES]
    return ["from spade_edu.checks import check", *cells]


class Plain(Wall):
    """No wall: a process of its own, which any system can start."""

    def __init__(self):
        super().__init__(namespaces=False, user=False)

    def hiding(self, folder):
        return self


def graded(path: Path, seconds: float = 30, wall: Wall | None = None, programs: bool = False) -> dict:
    """{exercise: grade} of one notebook."""
    rows = grade_notebook(read_hand_in(path, path.name, programs), seconds, wall or Plain(), programs)
    return {row.exercise: row for row in rows}
