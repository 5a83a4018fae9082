"""Grading a folder: each answer is found, and one that never ends or ends its process costs itself only."""

import csv
import json

import pytest

from spade_edu.checks.grading import check_calls, code_cells, grade_notebook, read_cells, read_lines
from spade_edu.cli import main
from spade_edu.course.folder import is_reading

CELLS = [
    "from spade_edu.checks import check, hint",
    "def receptive_field(layers):\n    field = 1\n    for kernel, stride in reversed(layers):\n"
    "        field = (field - 1) * stride + kernel\n    return field",
    'check("receptive_field", receptive_field)',
    "def residual_block(*arguments):\n    import os\n    os._exit(0)",
    'check("residual_block", residual_block)',
    "print('x' * 100000)\nraise SystemExit",
    "import time\ntime.sleep(1000)",
    "%matplotlib inline\nwrong = lambda *a: 0",
    'check("nearest_resize", wrong)',
    "def one_hot(label, num_classes):",  # not Python
    'check("one_hot", one_hot)',
]


def write(path, cells):
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [{"cell_type": "code", "source": source.splitlines(keepends=True)} for source in cells]
    path.write_text(json.dumps({"cells": cells, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}))


def test_every_answer_of_a_hostile_notebook_is_graded(tmp_path, monkeypatch, capsys):
    write(tmp_path / "class" / "anna" / "02_pix2pixhd.ipynb", CELLS)
    write(tmp_path / "class" / ".ipynb_checkpoints" / "02_pix2pixhd.ipynb", CELLS)
    (tmp_path / "class" / "04_broken.ipynb").write_text("{")
    monkeypatch.chdir(tmp_path)
    main(["grade", "class", "--out", "grades.csv", "--seconds", "8"])
    assert "anna/02_pix2pixhd.ipynb: 1 of 6" in capsys.readouterr().out
    with open("grades.csv", encoding="utf-8", newline="") as file:
        rows = {row["exercise"]: row for row in csv.DictReader(file)}
    assert [row["exercise"] for row in json.loads((tmp_path / "grades.json").read_text("utf-8"))] == list(rows)
    words = {
        "receptive_field": "right",
        "residual_block": "Its cell ended the Python process",
        "nearest_resize": "expected",
        "one_hot": "Not started yet",
        "ResnetBlock": "Not found",
        "uniform_response": "not a readable notebook",
    }
    for name, text in words.items():
        assert text in rows[name]["message"], rows[name]
    assert [name for name, row in rows.items() if row["passed"] == "True"] == ["receptive_field"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["class", "grades.csv", "grades.json"]


def test_of_a_students_folder_the_exercises_are_handed_in(tmp_path):
    names = "spade_edu_start.json", "03_spade_layer.ipynb", "03_spade_layer_exercises.ipynb", "my_own.ipynb"
    for folder in ("anna", "notes"):
        (tmp_path / folder).mkdir()
        for name in names[folder == "notes" :]:
            (tmp_path / folder / name).write_text("{}")
    handed_in = [p.name for p in sorted(tmp_path.rglob("*.ipynb")) if not is_reading(p)]
    assert handed_in == ["03_spade_layer_exercises.ipynb", *sorted(names[1:])]


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir(), lambda p: p.write_text("")])
def test_a_folder_without_notebooks_is_one_line_and_exit_code_2(make, tmp_path, capsys):
    make(tmp_path / "class")
    with pytest.raises(SystemExit) as end:
        main(["grade", str(tmp_path / "class"), "--out", str(tmp_path / "grades.csv")])
    assert end.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "grades.csv").exists()


def test_checks_are_found_in_cells():
    source = (
        'x = 1\ncheck("adain", my.answer)\nprint(check("one_hot", lambda *a: a))\ncheck("unknown", x); check(name, x)'
    )
    assert check_calls(source) == [("adain", "my.answer"), ("one_hot", "lambda *a: a")]
    assert check_calls("%magic\n!ls") == check_calls("def f(:") == []


def test_odd_notebooks_are_told(tmp_path):
    for text in ("", "[]", '{"cells": 3}', '{"cells": [{}]}'):
        (tmp_path / "03_x.ipynb").write_text(text)
        grades = grade_notebook(read_cells(tmp_path / "03_x.ipynb"), 5, "03_x.ipynb")
        assert {g.stage for g in grades} == {"03"} and all("not a readable notebook" in g.message for g in grades)


def test_a_half_written_line_is_left_for_later(tmp_path):
    (tmp_path / "report").write_text('{"cell": 0}\n{"cel')
    assert read_lines(tmp_path / "report") == [{"cell": 0}]
    assert read_lines(tmp_path / "none") == []


def test_sources_may_be_one_text_or_lines(tmp_path):
    cells = [{"cell_type": "code", "source": "a\nb"}, {"cell_type": "markdown", "source": ["c"]}]
    (tmp_path / "x.ipynb").write_text(json.dumps({"cells": cells}))
    assert code_cells(tmp_path / "x.ipynb") == ["a\nb"]
