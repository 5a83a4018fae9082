"""Text is UTF-8 whatever the system's own encoding is: Windows has a code page, and LC_ALL=C stands in for it here.

`make test-all` runs every quick test like that once more.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spade_edu.checks.wall import Wall, best_wall
from spade_edu.course.trial import try_file

ROOT = Path(__file__).parents[1]
FOLDERS = ("spade_edu", "tools", "benchmarks", "notebooks", "solutions")
SOURCES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
NO_UTF8 = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONWARNDEFAULTENCODING": "1"}
PLACE = {"read_text": 0, "write_text": 1}  # of a Path: how many arguments stand before its encoding


def without_encoding(tree):
    """The lines of a syntax tree that read or write text in whatever encoding the system has."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or any(k.arg in ("encoding", None) for k in node.keywords):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in PLACE and len(node.args) <= PLACE[name]:
            yield node.lineno
        if name in ("run", "Popen", "check_output") and any(k.arg == "text" for k in node.keywords):
            yield node.lineno


def test_the_look_sees_what_it_should():
    lines = (
        'a.read_text()\nb.write_text("x")\nrun(c, text=True)\nd.read_text("utf-8")\ne.write_text("", encoding="utf-8")'
    )
    assert [*without_encoding(ast.parse(lines))] == [1, 2, 3]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_text_names_its_encoding(folder):
    """Ruff's rule (pyproject.toml) sees open(); not every Path, and no program whose output is read as text."""
    paths = [path for path in SOURCES if path.is_relative_to(ROOT / folder)]
    found = [f"{p}:{line}" for p in paths for line in without_encoding(ast.parse(p.read_text(encoding="utf-8")))]
    assert paths and not found


def python(*words):
    """A Python whose own encoding is ASCII; what the package opens without an encoding is an error there."""
    command = [sys.executable, "-W", "error::EncodingWarning", *words]
    return subprocess.run(command, env=os.environ | NO_UTF8, capture_output=True, encoding="utf-8")


def test_the_stand_in_has_another_encoding():
    done = python("-c", "import locale; print(locale.getencoding()); open(__import__('sys').executable)")
    assert done.stdout.startswith("ANSI_X3.4") and "EncodingWarning" in done.stderr


def test_widgets_read_their_scripts_and_the_command_line_shows_what_it_can():
    made = "import spade_edu.widgets, spade_edu.course.doctor"
    assert python("-c", made).stderr == ""
    signs = r'from spade_edu.cli import main; main(["paper"]); print("Fr\u00e9chet \u2192 \u2713")'
    done = python("-c", signs)
    assert done.returncode == 0 and "Fr?chet ? ?" in done.stdout, done.stderr


@pytest.mark.parametrize("wall", [Wall(namespaces=False, user=False), best_wall()], ids=["plain", "best"])
def test_a_judged_notebook_prints_in_utf8(wall, monkeypatch):
    """Else a cell that prints γ would end before its answer, and grades would differ between systems."""
    for name, value in NO_UTF8.items():
        monkeypatch.setenv(name, value)
    with wall.started(["-c", "import sys; print(sys.stdout.encoding, 'γ ✓')"], "", {}) as process:
        assert process.stdout.read().decode() == "utf-8 γ ✓\n"


def test_a_file_that_is_kept_prints_in_utf8(monkeypatch):
    for name, value in NO_UTF8.items():
        monkeypatch.setenv(name, value)
    verdicts = try_file('print("γ → β ✓")\n\n\ndef one_hot(label, num_classes):\n    pass\n', ["one_hot"], 30)
    assert "one_hot" in verdicts
