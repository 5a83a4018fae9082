"""The stored notebooks: as readable as promised, in step with their sources, and really comparing something."""

import ast
import re
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))
from notebook_files import REPOSITORY, install, with_badge  # noqa: E402

import notebooks  # noqa: E402

SOURCES = sorted(notebooks.SOURCES.glob("[0-9][0-9]_*.py"))
each = pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)


def test_twelve_stages_and_nothing_else():
    assert [path.name[:2] for path in SOURCES] == [f"{n:02d}" for n in range(12)]
    stored = sorted(notebooks.SOURCES.glob("*.ipynb"))
    assert [path.stem for path in stored] == [path.stem for path in SOURCES]


@each
def test_the_numbers_of_style(path):
    assert notebooks.out_of_bounds(notebooks.measure(path.with_suffix(".ipynb"))) == []


@each
def test_the_stored_notebook_is_built_from_its_source(path):
    stored = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    built = notebooks.convert(path)
    assert [c.source for c in stored.cells] == [c.source for c in built.cells]
    for key in ("tags", "minutes"):
        assert [c.metadata.get(key) for c in stored.cells] == [c.metadata.get(key) for c in built.cells]
    assert [c.id for c in stored.cells] == [c.id for c in built.cells]


@each
def test_the_core_path_takes_the_minutes_that_the_head_names(path):
    notebook = notebooks.convert(path)
    cells = notebooks.core_cells(notebook)
    planned = [n for n, cell in enumerate(notebook.cells, 1) if "minutes" in cell.metadata]
    assert planned == list(cells) and 10 <= len(cells) <= 20 and 1 in cells
    assert all(type(cell.metadata["minutes"]) is int and cell.metadata["minutes"] >= 1 for cell in cells.values())
    assert sum(cell.metadata["minutes"] for cell in cells.values()) == notebooks.core_minutes(notebook)


@each
def test_no_deep_dive_is_on_the_core_path(path):
    cells = notebooks.convert(path).cells
    titles = [cell.source.splitlines()[0] for cell in cells if "core" in cell.metadata.get("tags", [])]
    assert not [title for title in titles if "Deep dive" in title]


@each
def test_every_tagged_cell_is_compared(path):
    cells = nbformat.read(path.with_suffix(".ipynb"), as_version=4).cells
    tagged = [c for c in cells if any("nbval" in tag for tag in c.metadata.get("tags", []))]
    assert len(notebooks.compared(cells)) == len(tagged) >= 6


@each
def test_badge_and_set_up_follow_the_repository_address(path):
    cells = notebooks.convert(path).cells
    assert notebooks.with_badge(cells[0].source, path.with_suffix(".ipynb")) == cells[0].source
    assert next(c for c in cells if c.cell_type == "code").source == notebooks.set_up(path)


def test_with_an_address_the_badge_stands_under_the_title_and_without_one_nowhere():
    path, text = ROOT / "exercises" / "00_data.ipynb", "# Title\n\nFirst.\n\nSecond."
    with_one = with_badge(text, path, "https://github.com/somebody/spade_edu")
    title, badge, *rest = with_one.split("\n\n")
    assert (title, rest) == ("# Title", ["First.", "Second."])
    assert badge.endswith(
        "(https://colab.research.google.com/github/somebody/spade_edu/blob/main/exercises/00_data.ipynb)"
    )
    assert with_badge(with_one, path, "https://github.com/somebody/spade_edu") == with_one
    assert with_badge(with_one, path, "") == text


def test_without_an_address_no_notebook_has_a_badge_or_installs_from_one():
    folders = ("notebooks", "exercises", "solutions", "spade_edu/assets/course")
    stored = [path for folder in folders for path in (ROOT / folder).glob("*.ipynb")]
    assert REPOSITORY or len(stored) > 40
    for path in stored if not REPOSITORY else ():
        text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
        assert "colab-badge" not in text and "git+" not in text and "OWNER" not in text, path
        assert 'package = ""  # used on Colab only' in text, path


class Shell:
    """Stands in for the notebook's own get_ipython()."""

    def __init__(self):
        self.ran = []

    def run_line_magic(self, name, line):
        self.ran.append((name, line))


def set_up(monkeypatch, source, *, missing=True, colab=True):
    """What the lines that install ran, in a kernel that lacks the package or not, on Colab or elsewhere."""
    shell = Shell()
    if missing:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    if colab:
        monkeypatch.setitem(sys.modules, "google.colab", Shell())
    exec(source, {"get_ipython": lambda: shell})
    return shell.ran


ADDRESS = "https://github.com/somebody/spade_edu"


def test_the_set_up_cell_installs_on_colab_from_the_address_or_from_what_the_reader_names(monkeypatch):
    assert set_up(monkeypatch, install(ADDRESS)) == [("pip", f"install --quiet git+{ADDRESS}")]
    wheel = install("").replace('package = ""', 'package = "spade_edu-0.1.0-py3-none-any.whl"')
    assert set_up(monkeypatch, wheel) == [("pip", "install --quiet spade_edu-0.1.0-py3-none-any.whl")]


def test_without_an_address_the_set_up_cell_asks_for_a_wheel(monkeypatch):
    with pytest.raises(AssertionError, match="Upload spade_edu's wheel .* and write its name, or its address, above."):
        set_up(monkeypatch, install(""))


@pytest.mark.parametrize("address", ["", ADDRESS])
def test_a_wrong_kernel_elsewhere_gets_a_sentence_and_nothing_is_installed(monkeypatch, address):
    with pytest.raises(
        AssertionError, match="^This kernel lacks spade_edu: choose the Python that it was installed for.$"
    ):
        set_up(monkeypatch, install(address), colab=False)


@pytest.mark.parametrize("colab", [True, False])
def test_an_installed_package_is_left_alone(monkeypatch, colab):
    assert set_up(monkeypatch, install(ADDRESS), missing=False, colab=colab) == []


@each
def test_no_error_and_no_warning_is_stored(path):
    for cell in nbformat.read(path.with_suffix(".ipynb"), as_version=4).cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error", cell.source
            assert not (output.output_type == "stream" and output.name == "stderr"), output.text


def captions(path):
    """What stands over and under a notebook's figures, as far as it is written in the source."""
    code = "\n".join(c.source for c in notebooks.convert(path).cells if c.cell_type == "code")
    for call in (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)):
        texts = [k.value for k in call.keywords if k.arg in ("caption", "title", "titles")]
        texts += call.args[1:2] if getattr(call.func, "attr", "") == "finish" else []
        parts = [node for text in texts for node in ast.walk(text)]
        yield from (n.value for n in parts if isinstance(n, ast.Constant) and isinstance(n.value, str))


@each
def test_nothing_is_given_away(path):
    """The reader predicts first, at most five times; no caption holds what a cell is about to measure."""
    text = path.read_text(encoding="utf-8")
    assert text.count("predict(") <= 5 and "Before you run" not in text
    found = list(captions(path))
    figures = [c for c in found if re.search(r"\d\.\d|\d ?%", c.replace("95 %", "")) and not c.startswith(".")]
    assert found and figures == []  # the 95 % of intervals are no result; ".0%" is a format
