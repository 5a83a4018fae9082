"""`python tools/build_exercises.py`: exercises/NN_name.ipynb and solutions/NN_name.ipynb from solutions/NN_name.py.

In the source (percent format) each cell tagged "solution" holds one function of `spade_edu.checks.exercises()`; the
text cell before it starts with a heading. The learner's copy gets signature and docstring, cells for hints and
the check, and the solution folded; the solution notebook gets the function and the check. Neither holds outputs;
cell ids follow from the position, so that building twice gives the same bytes.
"""

import ast
import tomllib
from pathlib import Path

import jupytext
import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell

from spade_edu.checks import Exercise, exercises

ROOT = Path(__file__).parents[1]
SOURCES, LEARNERS = ROOT / "solutions", ROOT / "exercises"
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
BADGE = "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({address})"
SET_UP = """# Safe to run twice; keeps the installed torch and numpy.
from importlib.util import find_spec

if find_spec("spade_edu") is None:
    get_ipython().run_line_magic("pip", "install --quiet git+{repository}")
from spade_edu import plotting
from spade_edu.checks import check, hint, picture, progress

plotting.use_style()"""
STUB_BODY = "    ...  # your code here"


def sources() -> list[Path]:
    """The sources of all exercise notebooks."""
    return sorted(SOURCES.glob("[0-9][0-9]_*.py"))


def build(path: Path) -> dict[Path, str]:
    """The learner's notebook and the solution notebook of a source: {path: text}."""
    known = {exercise.name: exercise for exercise in exercises()}
    learner, solution = [], []
    for cell in jupytext.read(path).cells:
        if "solution" not in cell.metadata.get("tags", []):
            learner.append(cell)
            solution.append(cell)
            continue
        exercise = known[function_name(cell.source)]
        heading = with_facts(learner.pop(), exercise)
        solution.pop()
        learner += [heading, *learner_cells(cell.source, exercise)]
        solution += [heading, new_code_cell(cell.source), check_cell(exercise)]
    targets = {LEARNERS / f"{path.stem}.ipynb": learner, path.with_suffix(".ipynb"): solution}
    return {target: as_text(target, cells) for target, cells in targets.items()}


def function_name(source: str) -> str:
    """The name of the one function in a solution cell."""
    (function,) = ast.parse(source).body
    return function.name


def with_facts(cell: nbformat.NotebookNode, exercise: Exercise) -> nbformat.NotebookNode:
    """The text cell with goal, difficulty and minutes under its heading."""
    heading, _, rest = cell.source.partition("\n")
    if not heading.startswith("## "):
        raise ValueError(f"{exercise.name}: the text cell before the solution must start with '## '.")
    difficulty = "●" * exercise.difficulty + "○" * (3 - exercise.difficulty)
    facts = f"**Goal:** {exercise.goal}.  \nDifficulty {difficulty}, about {exercise.minutes} minutes."
    return new_markdown_cell(f"{heading}\n\n{facts}\n\n{rest.strip()}")


def learner_cells(source: str, exercise: Exercise) -> list[nbformat.NotebookNode]:
    """Stub, hints, check, and the folded solution."""
    folded = f"<details><summary>Solution</summary>\n\n```python\n{source}\n```\n\n</details>"
    hints = f'# Remove the "#" to read a hint; steps 1, 2 and 3 say more and more.\n# hint("{exercise.name}", 1)'
    return [new_code_cell(stub(source)), new_code_cell(hints), check_cell(exercise), new_markdown_cell(folded)]


def check_cell(exercise: Exercise) -> nbformat.NotebookNode:
    """The cell that checks the answer."""
    return new_code_cell(f'check("{exercise.name}", {exercise.name})')


def stub(source: str) -> str:
    """Signature and docstring of the solution, without its body."""
    (function,) = ast.parse(source).body
    return "\n".join([*source.splitlines()[: function.body[0].end_lineno], STUB_BODY])


def as_text(target: Path, cells: list) -> str:
    """The notebook file: badge under the title, set-up cell second, ids by position, no outputs."""
    github = REPOSITORY.removeprefix("https://github.com/")
    address = f"https://colab.research.google.com/github/{github}/blob/main/{target.relative_to(ROOT).as_posix()}"
    title, _, rest = cells[0].source.partition("\n")
    first = new_markdown_cell("\n\n".join([title, BADGE.format(address=address), rest.strip()]))
    cells = [first, new_code_cell(SET_UP.format(repository=REPOSITORY)), *cells[1:]]
    notebook = nbformat.v4.new_notebook(
        metadata={
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    make = {"code": new_code_cell, "markdown": new_markdown_cell}
    ids = [f"{target.name[:2]}-{number:03d}" for number in range(len(cells))]
    notebook.cells = [make[cell.cell_type](cell.source, id=name) for cell, name in zip(cells, ids)]
    return nbformat.writes(notebook, version=4) + "\n"


if __name__ == "__main__":
    for source in sources():
        for target, text in build(source).items():
            target.parent.mkdir(exist_ok=True)
            target.write_text(text, encoding="utf-8", newline="\n")
            print(target.relative_to(ROOT))
