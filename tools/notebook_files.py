"""What tools/notebooks.py and tools/build_exercises.py share: badge, installation, ids and metadata of a notebook."""

import tomllib
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]
# The address, written in one place. Unknown: no badges, and the set-up cell asks for the package's wheel.
URLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"].get("urls", {})
REPOSITORY = URLS.get("Repository", "")
BADGE = "[![Open in Colab]"  # how the line of the badge begins
INSTALL = """import sys
from importlib.util import find_spec

package = "ADDRESS"  # used on Colab only: the address of spade_edu's wheel, or the name of the file uploaded there
if find_spec("spade_edu") is None:
    assert "google.colab" in sys.modules, "This kernel lacks spade_edu: choose the Python that it was installed for."
    assert package, "Upload spade_edu's wheel (folder symbol, on the left) and write its name, or its address, above."
    get_ipython().run_line_magic("pip", f"install --quiet {package}")"""


def install(repository: str = REPOSITORY) -> str:
    """The lines of a set-up cell that install the package on Colab, where it is missing."""
    return INSTALL.replace("ADDRESS", f"git+{repository}" if repository else "")


def with_badge(title: str, path: Path, repository: str = REPOSITORY) -> str:
    """The first cell of a notebook with the badge under its title that opens it in Colab, if there is an address."""
    head, *rest = title.split("\n")
    text = "\n".join(line for line in rest if not line.startswith(BADGE)).strip("\n")
    picture = "https://colab.research.google.com/assets/colab-badge.svg"
    place = f"{repository.removeprefix('https://github.com/')}/blob/main/{path.relative_to(ROOT).as_posix()}"
    badge = f"{BADGE}({picture})](https://colab.research.google.com/github/{place})" if repository else ""
    return "\n\n".join(part for part in (head, badge, text) if part)


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
