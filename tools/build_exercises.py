"""`python tools/build_exercises.py`: exercises/NN_name.ipynb and solutions/NN_name.ipynb from solutions/NN_name.py;
and the copies of notebooks and exercises that `spade-edu start` puts into a student's folder (spade_edu/assets/course).

In the source (percent format) each cell tagged "solution" holds one function of `spade_edu.checks.exercises()`; the
text cell before it starts with a heading. The learner's copy gets signature and docstring, cells for hints and
the check, and the solution folded; the solution notebook gets the function and the check. A cell tagged "part" holds
the name of a part of my_spade.py as a comment: its source is taken from solutions/my_spade.py, the reference of the
student's own file (which is copied into the package), and it is kept once its check passes. Neither notebook holds
outputs; cell ids follow from the position, so that building twice gives the same bytes. In a student's folder notebooks
and exercises lie side by side: NN_name.ipynb and NN_name_exercises.ipynb, without badges, which lead to other copies.
"""

import ast
import re
from pathlib import Path

import jupytext
import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell
from notebook_files import ROOT, in_order, install, with_badge

from spade_edu.checks import Exercise, known
from spade_edu.checks.paths import USES
from spade_edu.course.parts_file import PartsFile

SOURCES, LEARNERS, COURSE = ROOT / "solutions", ROOT / "exercises", ROOT / "spade_edu" / "assets" / "course"
MY_SPADE, MY_SPADE_COPY = SOURCES / "my_spade.py", ROOT / "spade_edu" / "assets" / "my_spade.py"
SET_UP = f"""# Safe to run twice; keeps the installed torch and numpy.
{install()}
from spade_edu.course import home, keep, need, plotting
from spade_edu.checks import check, hint, picture, progress

plotting.use_style()
home()  # finds your my_spade.py again"""
LINK = re.compile(r"\.\./exercises/(\w+)\.ipynb")
STUB_BODY = "    ...  # your code here"
PARTS = PartsFile(MY_SPADE.read_text(encoding="utf-8")).parts
# Methods that are plumbing, or that a later part builds on: the stub has them whole.
GIVEN = {"Pix2PixHDGenerator": ["layer"], "SPADEGenerator": ["make_block"]}


def sources() -> list[Path]:
    """The sources of all exercise notebooks."""
    return sorted(SOURCES.glob("[0-9][0-9]_*.py"))


def build(path: Path) -> dict[Path, str]:
    """The learner's notebook and the solution notebook of a source: {path: text}."""
    learner, solution = [], []
    for cell in jupytext.read(path).cells:
        tags = cell.metadata.get("tags", [])
        if not {"solution", "part"} & set(tags):
            learner.append(cell)
            solution.append(cell)
            continue
        source = PARTS[cell.source.strip("# ")].source if "part" in tags else cell.source
        exercise = known()[ast.parse(source).body[0].name]
        heading = with_facts(learner.pop(), exercise)
        solution.pop()
        learner += [heading, *learner_cells(source, exercise)]
        solution += [heading, new_code_cell(source), check_cell(exercise)]
    targets = {LEARNERS / f"{path.stem}.ipynb": learner, path.with_suffix(".ipynb"): solution}
    return {target: as_text(target, cells) for target, cells in targets.items()}


def with_facts(cell: nbformat.NotebookNode, exercise: Exercise) -> nbformat.NotebookNode:
    """The text cell with goal, difficulty and minutes under its heading."""
    heading, _, rest = cell.source.partition("\n")
    if not heading.startswith("## "):
        raise ValueError(f"{exercise.name}: the text cell before the solution must start with '## '.")
    facts = [f"**Goal:** {exercise.goal}."]
    rating = f"Difficulty {marks(exercise.difficulty)}, about {exercise.minutes} minutes."
    if exercise.name in PARTS:
        use = USES[exercise.name]
        facts += [f"**Part of my_spade.py:** `{exercise.name}`. In notebook 11: {use.gives}."]
        rating = f"Importance {marks(use.importance)}. {rating}"
    return new_markdown_cell("\n\n".join([heading, "  \n".join([*facts, rating]), rest.strip()]))


def marks(number: int) -> str:
    """One to three, as dots."""
    return "●" * number + "○" * (3 - number)


def learner_cells(source: str, exercise: Exercise) -> list[nbformat.NotebookNode]:
    """Stub, hints, check, and the folded solution."""
    folded = f"<details><summary>Solution</summary>\n\n```python\n{source}\n```\n\n</details>"
    hints = f'# Remove the "#" to read a hint; steps 1, 2 and 3 say more and more.\n# hint("{exercise.name}", 1)'
    return [new_code_cell(stub(source)), new_code_cell(hints), check_cell(exercise), new_markdown_cell(folded)]


def check_cell(exercise: Exercise) -> nbformat.NotebookNode:
    """The cell that checks the answer, and keeps a part that passes."""
    kept = f" and keep({exercise.name})" if exercise.name in PARTS else ""
    return new_code_cell(f'check("{exercise.name}", {exercise.name}){kept}')


def stub(source: str) -> str:
    """The solution with signatures and docstrings, but without bodies; a constructor keeps its call of super()."""
    (definition,) = ast.parse(source).body
    lines = source.splitlines()
    kept = [*lines[: definition.body[0].end_lineno]]
    if isinstance(definition, ast.FunctionDef):
        return "\n".join([*kept, STUB_BODY])
    for node in definition.body[1:]:
        kept += ["", *lines[node.lineno - 1 : stub_end(node, definition.name)]]
        if isinstance(node, ast.FunctionDef) and node.name not in GIVEN.get(definition.name, []):
            kept.append(f"    {STUB_BODY}")
    return "\n".join(kept)


def stub_end(node: ast.stmt, name: str) -> int:
    """The last line of a method, or of an attribute, that its stub keeps; comments on its body are none of them."""
    if not isinstance(node, ast.FunctionDef) or node.name in GIVEN.get(name, []):
        return node.end_lineno
    first = node.body[0]
    is_super = ast.unparse(first).startswith("super().__init__(")
    return first.end_lineno if is_super else node.lineno


def as_text(target: Path, cells: list) -> str:
    """The notebook file: badge under the title, set-up cell second, ids by position, no outputs."""
    first = new_markdown_cell(with_badge(cells[0].source, target))
    make = {"code": new_code_cell, "markdown": new_markdown_cell}
    cells = [make[cell.cell_type](cell.source) for cell in (first, new_code_cell(SET_UP), *cells[1:])]
    return nbformat.writes(in_order(nbformat.v4.new_notebook(cells=cells), target.name[:2]), version=4) + "\n"


def course_copies() -> dict[Path, str]:
    """The copies for a student's folder: {path: text}."""
    notebooks = {p.stem: jupytext.read(p) for p in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.py"))}
    learners = {s.stem: build(s)[LEARNERS / f"{s.stem}.ipynb"] for s in sources()}
    exercises_ = {f"{stem}_exercises": nbformat.reads(text, as_version=4) for stem, text in learners.items()}
    return {COURSE / f"{stem}.ipynb": course_copy(stem, n) for stem, n in (notebooks | exercises_).items()}


def course_copy(stem: str, notebook: nbformat.NotebookNode) -> str:
    """One copy: without badge, links as the student's folder needs them."""
    for cell in notebook.cells:
        cell.source = LINK.sub(r"\1_exercises.ipynb", cell.source)
    title = notebook.cells[0]
    title.source = with_badge(title.source, COURSE / f"{stem}.ipynb", "")
    return nbformat.writes(in_order(notebook, stem[:2]), version=4) + "\n"


if __name__ == "__main__":
    targets = [built for source in sources() for built in build(source).items()]
    for target, text in [*targets, *course_copies().items()]:
        target.parent.mkdir(exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="\n")
        print(target.relative_to(ROOT))
    MY_SPADE_COPY.write_bytes(MY_SPADE.read_bytes())
    print(MY_SPADE_COPY.relative_to(ROOT))
