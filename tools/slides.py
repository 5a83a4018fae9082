"""`python tools/slides.py [slides.html]`: the core paths of the stored notebooks as slides, in one file.

A slide is a text cell of the core path with what the core cells behind it drew or printed; a cell that shows nothing is
shown itself. Where a cell asks for a prediction, its result waits for one more step. Formulas are drawn here, by
matplotlib; nothing comes from a network. Arrow keys, space and Page Up/Down move; Home leads to the list of notebooks.
"""

import base64
import html
import io
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from string import Template

import nbformat
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import math_to_image
from nbconvert.filters import Highlight2HTML, markdown2html
from PIL import Image

from notebooks import SOURCES, core_cells, core_minutes

PAGE = Path(__file__).with_name("slides.template.html")
MATH = re.compile(r"\$\$(.+?)\$\$|(?<![\\$\w])\$([^$\n]+?)\$(?![\w$])", re.DOTALL)
CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)
OUTSIDE = re.compile(r'<a [^>]*href="[^"]*"[^>]*>(.*?)</a>', re.DOTALL)
ANCHOR = re.compile(r'<a class="anchor-link".*?</a>')
WIDE = 1.9  # width over height from which a figure stands below the text, not beside it
MOST_LINES = 16  # of what a cell printed


@dataclass
class Slide:
    """text, shown: HTML. minute: of the core path's clock. heading: of its section.

    guess: what is shown waits for one more step. wide: it stands below the text, not beside it.
    """

    minute: int
    heading: str
    text: str
    shown: str = ""
    guess: bool = False
    wide: bool = True


def slides_of(path: Path) -> list[Slide]:
    """The slides of one stored notebook. What a cell shows joins a text of its section."""
    notebook = nbformat.read(path, as_version=4)
    minute, heading, core, slides = 0, "", core_cells(notebook), []
    for number, cell in enumerate(notebook.cells, 1):
        if cell.cell_type == "markdown":
            heading = (re.findall(r"^#+ (.*)", cell.source, re.MULTILINE) or [heading])[-1]
        if number not in core:
            continue
        if cell.cell_type == "markdown":
            slides.append(Slide(minute, heading, text_html(cell.source)))
        else:
            add(slides, cell, minute, heading)
        minute += cell.metadata["minutes"]
    return slides


def add(slides: list[Slide], cell: nbformat.NotebookNode, minute: int, heading: str) -> None:
    """Add what a code cell shows; a prediction hides the first of it."""
    for number, (shown, wide) in enumerate(results(cell)):
        follows = bool(slides[-1].shown) or slides[-1].heading != heading
        if follows:
            slides.append(Slide(minute, heading, f"<h2>{html.escape(heading)}</h2>"))
        slides[-1].shown, slides[-1].wide = shown, wide or follows
        slides[-1].guess = number == 0 and "predict(" in cell.source


def results(cell: nbformat.NotebookNode) -> list[tuple[str, bool]]:
    """What a code cell drew, each picture with whether it is wide; else what it printed; else its source."""
    pictures = []
    for data in (output.get("data", {}) for output in cell.outputs):
        if "image/svg+xml" in data:
            pictures.append((picture(data["image/svg+xml"].encode(), "image/svg+xml"), True))
        elif "image/png" in data:
            png = base64.b64decode(data["image/png"])
            width, height = Image.open(io.BytesIO(png)).size
            pictures.append((picture(png, "image/png"), width > WIDE * height))
    printed = "".join(o.get("text", "") or o.get("data", {}).get("text/plain", "") for o in cell.outputs)
    return pictures or [(in_type(printed.strip(), cell.source), True)]


def in_type(printed: str, source: str) -> str:
    """The first lines that a cell printed; its source if it printed nothing."""
    if not printed:
        return Highlight2HTML()(source, language="python")
    return f"<pre>{html.escape(chr(10).join(printed.splitlines()[:MOST_LINES]))}</pre>"


def picture(content: bytes, kind: str) -> str:
    """An image that lies in the page itself."""
    return f'<img alt="" src="data:{kind};base64,{base64.b64encode(content).decode()}">'


def text_html(source: str) -> str:
    """A text cell as HTML: without badge and running times, formulas drawn, links to other files as plain words."""
    kept = [p for p in source.split("\n\n") if not p.startswith(("[![Open in Colab]", "**Time:**"))]
    formulas: list[str] = []

    def aside(found: re.Match) -> str:
        formulas.append(formula(found[1] or found[2], display=bool(found[1])))
        return f"FORMULA{len(formulas) - 1}END"

    parts = CODE.split("\n\n".join(kept))
    text = "".join(part if part.startswith("`") else MATH.sub(aside, part) for part in parts)
    page = OUTSIDE.sub(r"\1", ANCHOR.sub("", markdown2html(text)))
    return re.sub(r"FORMULA(\d+)END", lambda found: formulas[int(found[1])], page)


def formula(tex: str, display: bool) -> str:
    """A formula as a picture that grows with the text around it (1 em = 12 points), on its line."""
    tex = tex.replace(r"\tfrac12", r"\frac{1}{2}").replace(r"\tfrac", r"\frac").replace("\n", " ").strip()
    file = io.BytesIO()
    depth = math_to_image(f"${tex}$", file, prop=FontProperties(size=12, math_fontfamily="cm"), format="svg")
    width = float(re.search(rb'width="([\d.]+)pt"', file.getvalue())[1])
    style = f"width:{width / 12:.2f}em;vertical-align:-{depth / 12:.2f}em"
    kind = "formula display" if display else "formula"
    return picture(file.getvalue(), "image/svg+xml").replace(
        'alt=""', f'class="{kind}" style="{style}" alt="{html.escape(tex)}"'
    )


def page(paths: list[Path]) -> str:
    """The whole file: a list of the notebooks, then their slides."""
    titles, sections = [], []
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        title = html.escape(notebook.cells[0].source.splitlines()[0].lstrip("# "))
        minutes = core_minutes(notebook)
        titles.append(f'<li><a href="#{len(sections) + 1}">{title}</a> <small>{minutes} minutes</small></li>')
        sections += [section(slide, f"{title} &ensp; minute {slide.minute} of {minutes}") for slide in slides_of(path)]
    first = f"<section><main><div><h1>SPADE, step by step</h1><ol>{''.join(titles)}</ol></div></main></section>"
    return Template(PAGE.read_text(encoding="utf-8")).substitute(slides="\n".join([first, *sections]))


def section(slide: Slide, foot: str) -> str:
    """One slide."""
    late = " guess" if slide.guess else ""
    shown = f'<div class="shown{late}">{slide.shown}</div>' if slide.shown else ""
    place = "wide" if slide.wide else "beside"
    text = f'<div class="text">{slide.text}</div>'
    return f'<section><main class="{place}">{text}{shown}</main><footer>{foot}</footer></section>'


if __name__ == "__main__":
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "slides.html")
    out.write_text(page(sorted(SOURCES.glob("[0-9][0-9]_*.ipynb"))), encoding="utf-8", newline="\n")
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB. Open it in a browser.")
