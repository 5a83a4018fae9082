"""tools/slides.py: every core cell is on a slide, nothing comes from a network, formulas are pictures."""

import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))
slides = pytest.importorskip("slides")
STORED = sorted(slides.SOURCES.glob("[0-9][0-9]_*.ipynb"))


@pytest.fixture(scope="module")
def page():
    return slides.page(STORED)


def words(page):
    """The page without its pictures."""
    return re.sub(r"data:image/[^\"]+", "", page)


def core(cell, minutes=1):
    cell.metadata = {"tags": ["core"], "minutes": minutes}
    return cell


def stored(tmp_path, *cells):
    path = tmp_path / "12_new.ipynb"
    nbformat.write(new_notebook(cells=list(cells)), path)
    return path


def test_one_file_without_a_network(page):
    assert 1e6 < len(page) < 12e6
    loaded = re.findall(r"(?:src|href)=\"([^\"]*)\"|url\(([^)]*)\)|@import (\S+)", words(page))
    assert {next(filter(None, found), "") for found in loaded} <= {"", *(f"#{n}" for n in range(1, 400)), "data:,"}


def test_every_text_of_the_core_paths_is_there_and_nothing_else(page):
    shown = re.sub(r"\s+", " ", words(page))
    for path in STORED:
        cells = nbformat.read(path, as_version=4).cells
        for cell in cells:
            title = re.match(r"#+ ([\w ]+)$", cell.source.split("\n")[0])
            if cell.cell_type == "markdown" and title and "core" in cell.metadata.get("tags", []):
                assert f">{title[1]}<" in shown, title[1]
    assert "Deep dive:" not in shown


def test_the_clock_runs_to_the_end_of_each_notebook(page):
    for path in STORED:
        notebook = nbformat.read(path, as_version=4)
        minutes = [slide.minute for slide in slides.slides_of(path)]
        last = list(slides.core_cells(notebook).values())[-1].metadata["minutes"]
        assert minutes == sorted(minutes) and minutes[0] == 0
        assert minutes[-1] <= slides.core_minutes(notebook) - last < slides.core_minutes(notebook)


def test_formulas_are_drawn(page):
    assert len(re.findall(r'class="formula', page)) >= 5
    outside = re.sub(r"<(pre|code)\b.*?</\1>", "", words(page).split("<script>")[0], flags=re.DOTALL)
    assert "$" not in outside and "FORMULA" not in outside


def test_a_text_cell():
    html = slides.text_html(
        "Take $x^2$ of [this](../a.ipynb), not `$HOME` or 5 $.\n\n**Time:** long\n\n$$\\frac{1}{2}$$"
    )
    assert html.count("<img") == 2 and "display" in html and "<a" not in html and "this" in html
    assert "<code>$HOME</code>" in html and "5 $." in html and "Time" not in html


def test_what_a_cell_shows(tmp_path):
    def printing(text):
        return new_code_cell("predict(1)", outputs=[new_output("stream", text=text)])

    path = stored(
        tmp_path,
        core(new_markdown_cell("## One")),
        core(printing("<4>"), 3),
        new_code_cell("not_core()"),
        core(new_code_cell("shown_itself()")),
    )
    first, second = slides.slides_of(path)
    assert first.shown == "<pre>&lt;4&gt;</pre>" and first.guess and first.minute == 0
    assert "shown_itself" in second.shown and second.minute == 4 and not second.guess and second.text == "<h2>One</h2>"
