"""What tools/notebooks.py and tools/build_exercises.py share: badge, installation, ids and metadata of a notebook."""

import tomllib
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]
INSTALL = f"""from importlib.util import find_spec

if find_spec("spade_edu") is None:
    get_ipython().run_line_magic("pip", "install --quiet git+{REPOSITORY}")"""


def badge(path: Path) -> str:
    """The badge that opens a notebook of this repository in Colab."""
    place = f"{REPOSITORY.removeprefix('https://github.com/')}/blob/main/{path.relative_to(ROOT).as_posix()}"
    picture = "https://colab.research.google.com/assets/colab-badge.svg"
    return f"[![Open in Colab]({picture})](https://colab.research.google.com/github/{place})"


def in_order(notebook: nbformat.NotebookNode, stage: str) -> nbformat.NotebookNode:
    """Give every cell its position as id, and the notebook the metadata that all of them have."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells):
        cell.id = f"{stage}-{number:03d}"
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook
