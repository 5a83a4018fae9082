"""`python tools/build_site.py [FOLDER]`: the whole course as static pages in FOLDER (site/).

Notebooks with their stored outputs, exercises, docs, the course's own modules, solutions at the end. Nothing is run,
and nothing on a page comes from another host. It needs the extra `site`: pip install -e ".[site]".
"""

import ast
import hashlib
import re
import shutil
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

import nbformat
from notebook_files import ROOT

try:
    from sphinx.cmd.build import build_main
except ImportError:
    sys.exit('The site is built by Sphinx: pip install -e ".[site]"')

SETTINGS = ROOT / "docs" / "site"
MATHJAX = "static/mathjax/es5/tex-svg-full.js"  # of the package django-static-mathjax: fonts are in it
MATHJAX_SHA256 = "214c3da890b16db3d1319684cc04f3fd4e72ea59d5eb3863f256146015fb1783"
STILL = "<p><em>A still picture: in the notebook it answers to your hand.</em></p>"
WIDGET = "application/vnd.jupyter.widget-view+json"
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)(?:#L(\d+))?(?=\))")
BADGE = re.compile(r"^\[!\[Open in Colab\].*\n\n?", re.MULTILINE)

# The pages of the code, in the course's order, and the modules of those that show several.
# fmt: off
CODE = [
    "labels", "normalization", "spectral", "blocks", "generators", "discriminators", "encoder", "initialisation",
    "losses", "config", "presets", "models", "training", "sampling", "evaluation", "related",
]
# fmt: on
SEVERAL = {
    "generators": [f"generators.{name}" for name in ("base", "spade", "pix2pixhd", "variants", "instance_features")],
    "evaluation": [f"evaluation.{name}" for name in ("segmentation", "frechet", "diversity", "uniform", "user_study")],
}


def main(folder: str = "site") -> int:
    """Lay out the pages in a temporary folder and let Sphinx write them to `folder`."""
    script = mathjax()
    with tempfile.TemporaryDirectory() as place:
        pages = Path(place) / "pages"
        lay_out(pages)
        options = ["-q", "-c", SETTINGS, "-d", Path(place) / "doctrees"]
        failed = build_main([str(word) for word in [*options, pages, folder]])
    if failed:
        return failed
    (Path(folder) / "_static" / "mathjax.js").write_bytes(script)
    size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()) / 1e6
    print(f"{folder}/index.html: {size:.0f} MB in all. Open it, or hand the folder out by any web server.")
    return 0


def mathjax() -> bytes:
    """The script that draws formulas, as its package has it; the site takes along no other."""
    script = (files("mathjax") / MATHJAX).read_bytes()
    if hashlib.sha256(script).hexdigest() != MATHJAX_SHA256:
        sys.exit(f"{MATHJAX} of django-static-mathjax isn't the one that pyproject.toml names.")
    return script


def lay_out(pages: Path) -> None:
    """Every page of the site as Sphinx reads it, in the repository's own layout, so that links need no change."""
    for name in [*stages("notebooks"), *stages("exercises"), *stages("solutions")]:
        write(pages / f"{name}.ipynb", mended_notebook(ROOT / f"{name}.ipynb"))
    for path in sorted((ROOT / "docs").glob("*.md")):
        write(pages / path.relative_to(ROOT), mended(path.read_text(encoding="utf-8"), path))
    for folder in ("figures", "results"):
        shutil.copytree(ROOT / "docs" / folder, pages / "docs" / folder)
    results = [f"- [{path.name}]({path.name})" for path in sorted((ROOT / "docs" / "results").iterdir())]
    write(pages / "docs" / "results" / "index.md", "\n".join(["# Results", "", *results]))
    shutil.copy(ROOT / "solutions" / "my_spade.py", pages / "solutions")
    for title in CODE:
        write(pages / "api" / f"{title}.rst", code_page(title))
    readme = ROOT / "README.md"
    write(pages / "index.md", mended(readme.read_text(encoding="utf-8"), readme) + contents())


def write(path: Path, text: str) -> None:
    """Write a page, and the folder that it stands in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def mended_notebook(path: Path) -> str:
    """A stored notebook for the site: texts mended, widgets as still pictures; solutions are kept out of the search."""
    notebook = nbformat.read(path, as_version=4)
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            deeper = "#" if number and cell.source.startswith("# ") else ""  # a page has one title
            cell.source = deeper + mended(cell.source, path)
        elif any([output.get("data", {}).pop(WIDGET, None) for output in cell.outputs]):
            cell.outputs.append(nbformat.v4.new_output("display_data", {"text/html": STILL}))
    if path.parent.name == "solutions":
        notebook.metadata["nosearch"] = True
        notebook.cells[0].source = notebook.cells[0].source.replace("# Exercises", "# Solutions")
    return nbformat.writes(notebook)


def mended(text: str, path: Path) -> str:
    """A text of `path` without its badge, and with links to the package's code leading to the API."""
    return LINK.sub(lambda link: target(link, path), BADGE.sub("", text))


def target(link: re.Match, path: Path) -> str:
    """Where a link to a file of the package, or to a folder, leads on the site; any other stays."""
    place = (path.parent / link[1]).resolve()
    if place == ROOT / "docs" / "results":
        return f"{link[1]}/index.md"
    if not place.is_relative_to(ROOT / "spade_edu"):
        return link[0]
    module = ".".join(place.relative_to(ROOT).with_suffix("").parts)
    return "#" + ".".join([module, *(names_at(place, int(link[2])) if link[2] else [])])


def names_at(path: Path, line: int) -> list[str]:
    """The names, outermost first, of the class and the function that hold a line of a module."""
    names, inside = [], ast.parse(path.read_text(encoding="utf-8")).body
    while found := [n for n in inside if isinstance(n, ast.ClassDef | ast.FunctionDef) and holds(n, line)]:
        names, inside = [*names, found[0].name], found[0].body
    return names


def holds(node: ast.ClassDef | ast.FunctionDef, line: int) -> bool:
    """Whether a line is one of a definition's, its decorators not counted."""
    return node.lineno <= line <= (node.end_lineno or line)


def code_page(title: str) -> str:
    """The page of a module, or of several: their docstrings in the order of the code."""
    parts = [f"{title}\n{'=' * len(title)}\n"]
    for module in SEVERAL.get(title, [title]):
        heading = module.removeprefix(f"{title}.")
        parts += [f"{heading}\n{'-' * len(heading)}\n"] if title in SEVERAL else []
        parts += [f".. automodule:: spade_edu.{module}\n"]
    return "\n".join(parts)


def contents() -> str:
    """What the side of every page lists, and the order of "next"."""
    docs = [f"docs/{path.stem}" for path in sorted((ROOT / "docs").glob("*.md"))]
    parts = {
        "The course": stages("notebooks"),
        "Exercises": stages("exercises"),
        "Around it": [*docs, "docs/results/index"],
        "The code": [f"api/{title}" for title in CODE],
        "Solutions": stages("solutions"),
    }
    return "".join(
        "\n\n```{toctree}\n:hidden:\n:caption: " + f"{caption}\n" + "\n".join(["", *pages]) + "\n```\n"
        for caption, pages in parts.items()
    )


def stages(folder: str) -> list[str]:
    """The pages of a folder's notebooks."""
    return [f"{folder}/{path.stem}" for path in sorted((ROOT / folder).glob("[0-9][0-9]_*.ipynb"))]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
