"""A student who writes every part as the solutions have it: the file gets complete, and runs by itself."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from spade_edu.checks import known
from spade_edu.checks.paths import DAY, USES, minutes
from spade_edu.course import borrow, keep, need, parts, parts_file
from spade_edu.course.folder import COURSE, make_folder

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import build_exercises  # noqa: E402

FILE = Path("my_spade.py")
REFERENCE = parts_file.PartsFile((ROOT / "solutions" / "my_spade.py").read_text(encoding="utf-8"))


@pytest.fixture
def reference(folder, untried, monkeypatch):
    """The course's own reference, in an empty folder; no process is started (the checks run in tests/checks)."""
    monkeypatch.setattr(parts_file, "REFERENCE", ROOT / "solutions" / "my_spade.py")


def code_cells(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


ANSWERS = {build_exercises.stub(part.source): part.source for part in REFERENCE.parts.values()}


def typed_in(cell, stem):
    """Run what makes the file in a stage's exercises, stubs filled in from the reference; {part: what keep said}."""
    said = {}
    for source in code_cells(COURSE / f"{stem}_exercises.ipynb"):
        begins = [line for line in source.splitlines() if line.startswith(("need(", "from my_spade"))]
        if source in ANSWERS or begins:
            module = cell(ANSWERS.get(source) or "\n".join(begins))
        elif " and keep(" in source:
            name = source.split('"')[1]
            said[name] = keep(getattr(module, name))
    return said


def test_the_exercises_in_their_order_make_the_whole_file(reference, cell):
    make_folder(Path("."))
    empty = FILE.read_text(encoding="utf-8")
    cell("from spade_edu.course import need\nimport math")
    for source in build_exercises.sources():
        for name, result in typed_in(cell, source.stem).items():
            assert result and "kept in" in result.message, (name, result)
    mine = parts_file.read_file(FILE)
    assert {n: p.source for n, p in mine.parts.items()} == {n: p.source for n, p in REFERENCE.parts.items()}
    assert list(mine.parts) == list(REFERENCE.parts) and mine.imports == REFERENCE.imports
    assert not any(part.borrowed for part in mine.parts.values())
    assert repr(parts()).startswith("my_spade.py: 31 of 31 parts kept, 0 borrowed, 0 open")
    program = empty[empty.index("if __name__") :]
    assert FILE.read_text().endswith(program) and program in REFERENCE.text


def test_a_stage_that_was_skipped_is_borrowed_and_gives_way_later(reference, cell):
    cell("from spade_edu.course import need")
    typed_in(cell, "03_spade_layer")
    file = parts_file.read_file(FILE)
    assert {name: part.borrowed for name, part in file.parts.items()} == {"BatchNorm2d": True, "SPADE": False}
    typed_in(cell, "01_batchnorm")
    file = parts_file.read_file(FILE)
    assert {n: p.borrowed for n, p in file.parts.items()} == dict.fromkeys(
        ("BatchNorm2d", "InstanceNorm2d", "SPADE"), False
    )


def test_a_growing_file_prints_what_is_there(reference, cell):
    make_folder(Path("."))
    done = subprocess.run([sys.executable, FILE], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    borrow("SPADE")
    done = subprocess.run([sys.executable, FILE], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "BatchNorm2d: 128 parameters, gives (1, 64, 8, 16)\nSPADE: 189,184 parameters, gives (1, 64, 8, 16)\n"
    )


def test_everything_that_is_missing_is_borrowed_in_one_line(reference, cell):
    keep(cell(REFERENCE.parts["one_hot"].source).one_hot)
    assert borrow()
    file = parts_file.read_file(FILE)
    assert list(file.parts) == list(REFERENCE.parts)
    assert [name for name, part in file.parts.items() if not part.borrowed] == ["one_hot"]
    assert "has every part already" in borrow().message


def test_what_is_needed_and_there_is_left_as_it_is(reference, cell):
    assert need("BatchNorm2d").message == f"borrowed into {FILE.absolute()}."
    assert need("BatchNorm2d", "SPADE").message == f"SPADE borrowed into {FILE.absolute()}."
    before = FILE.read_bytes()
    assert need("SPADE").message == f"in {FILE.absolute()}." and FILE.read_bytes() == before
    assert "did you mean 'SPADE'" in need("SPADES").message and FILE.read_bytes() == before


def test_every_part_has_its_minutes_and_its_use():
    assert list(USES) == list(REFERENCE.parts) and set(DAY) <= set(USES)
    assert all(1 <= use.importance <= 3 for use in USES.values())
    assert all(known()[name].stage == part.stage for name, part in REFERENCE.parts.items())


def test_the_minutes_of_both_paths_are_told():
    whole, day = minutes(USES), minutes(DAY)
    steps = minutes(name for name, exercise in known().items() if exercise.stage < "10") - whole
    readme = (COURSE / "README.md").read_text(encoding="utf-8")
    teaching = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
    for text in (readme, teaching):
        assert f"{len(USES)} parts, about {whole} minutes" in text and f"eight parts, about {day} minutes" in text
        assert f"about {steps} minutes more" in text
