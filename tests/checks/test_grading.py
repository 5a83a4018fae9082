"""Grading a folder: each answer is found, and one that never ends or ends its process costs itself only."""

import csv
import json
import os

import pytest
from graded import CHECKED, SOLVED, Plain, graded, notebook, solution_cells, write

from spade_edu.checks import exercises, grading
from spade_edu.checks.grades import Grade, class_table, read_grades, write_grades
from spade_edu.checks.grading import code_cells, grade_folder, read_hand_in
from spade_edu.cli import main
from spade_edu.course.folder import is_reading
from spade_edu.errors import UserError

CELLS = [
    "from spade_edu.checks import check, hint",
    SOLVED,
    'check("receptive_field", receptive_field)',
    "def residual_block(*arguments):\n    import os\n    os._exit(0)",
    'check("residual_block", residual_block)',
    "print('x' * 100000)\nraise SystemExit",
    "import time\ntime.sleep(1000)",
    "%matplotlib inline\nwrong = lambda *a: 0",
    'check("nearest_resize", wrong)',
    "one_hot = None\ndef one_hot(label, num_classes):",  # not Python
    'one_hot = None\ncheck("one_hot", one_hot)',
]


@pytest.fixture
def plain(monkeypatch):
    """Processes without a wall."""
    monkeypatch.setattr(grading, "best_wall", Plain)


def test_every_answer_of_a_hostile_notebook_is_graded(tmp_path, monkeypatch, capsys):
    write(tmp_path / "class" / "anna" / "02_pix2pixhd.ipynb", *CELLS)
    write(tmp_path / "class" / ".ipynb_checkpoints" / "02_pix2pixhd.ipynb", *CELLS)
    (tmp_path / "class" / "04_broken.ipynb").write_text("{")
    monkeypatch.chdir(tmp_path)
    main(["grade", "class", "--out", "grades.csv", "--seconds", "30"])
    out = capsys.readouterr().out
    assert "anna/02_pix2pixhd.ipynb: 1 of 6" in out and "02 receptive_field: 1 of 1 solved" in out
    assert "    ResnetBlock, Pix2PixHDGenerator: Needs a look: no cell checks it" in out
    with open("grades.csv", encoding="utf-8-sig", newline="") as file:
        rows = {row["exercise"]: row for row in csv.DictReader(file)}
    assert [row["exercise"] for row in json.loads((tmp_path / "grades.json").read_text("utf-8"))] == list(rows)
    words = {
        "receptive_field": "right",
        "residual_block": "Its cell ended the Python process",
        "nearest_resize": "expected",
        "one_hot": "Not started yet",
        "ResnetBlock": "Needs a look",
        "uniform_response": "not a readable notebook",
    }
    for name, text in words.items():
        assert text in rows[name]["message"], rows[name]
    assert [name for name, row in rows.items() if row["passed"] == "True"] == ["receptive_field"]
    assert {name for name, row in rows.items() if row["look"] == "True" and row["stage"] == "02"} == {
        "residual_block",  # another cell was late
        "ResnetBlock",
        "Pix2PixHDGenerator",
    }
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


def test_odd_notebooks_are_told(tmp_path):
    for text in ("", "[]", '{"cells": 3}', '{"cells": [{}]}', '{"worksheets": 1}'):
        (tmp_path / "03_x.ipynb").write_text(text)
        grades = graded(tmp_path / "03_x.ipynb").values()
        assert {g.stage for g in grades} == {"03"}
        assert all("not a readable notebook" in g.message and g.look for g in grades)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no such files")
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda path: path.mkdir()])
def test_what_is_no_file_is_not_read(make, tmp_path):
    make(tmp_path / "03_x.ipynb")
    assert "no ordinary file" in read_hand_in(tmp_path / "03_x.ipynb", "03_x.ipynb").trouble


def test_a_notebook_without_an_exercise_is_a_row(tmp_path):
    (row,) = graded(write(tmp_path / "notes.ipynb", "1 + 1")).values()
    assert row.look and "no exercise was found" in row.message


def test_sources_may_be_one_text_or_lines():
    cells = [{"cell_type": "code", "source": "a\nb"}, {"cell_type": "markdown", "source": ["c"]}]
    assert code_cells(json.dumps({"cells": cells}).encode()) == ["a\nb"]
    assert code_cells(notebook("a\nb", "c")) == ["a\nb", "c"]


def test_the_students_own_file_is_there(tmp_path):
    (tmp_path / "my_spade.py").write_text(SOLVED)
    cell = 'from my_spade import receptive_field\nfrom spade_edu.checks import check\ncheck("receptive_field", '
    assert graded(write(tmp_path / "02_x.ipynb", f"{cell}receptive_field)"))["receptive_field"].passed


def test_a_notebook_has_ten_times_the_time_of_a_cell(tmp_path, monkeypatch):
    monkeypatch.setattr(grading, "START_SECONDS", 10)
    row = graded(write(tmp_path / "02_x.ipynb", *["import time\ntime.sleep(0.8)"] * 30), seconds=1)["residual_block"]
    assert row.look and "The notebook took longer than 20 seconds." in row.message


# --- the files


def test_grades_are_written_after_each_notebook_and_a_second_run_does_what_is_new(tmp_path, plain, monkeypatch):
    folder, out = tmp_path / "class", tmp_path / "new" / "grades.csv"
    for name in "abc":
        write(folder / f"{name}.ipynb", SOLVED, CHECKED)
    real, seen = grading.grade_notebook, []

    def stopped_at_b(hand_in, *rest):
        if hand_in.name == "b.ipynb" and not seen.count("b.ipynb"):
            seen.append(hand_in.name)
            raise KeyboardInterrupt
        seen.append(hand_in.name)
        return real(hand_in, *rest)

    monkeypatch.setattr(grading, "grade_notebook", stopped_at_b)
    with pytest.raises(KeyboardInterrupt):
        list(grade_folder(folder, 9, out))
    assert list(read_grades(out)) == ["a.ipynb"]
    list(grade_folder(folder, 9, out))
    assert seen == ["a.ipynb", "b.ipynb", "b.ipynb", "c.ipynb"]
    write(folder / "a.ipynb", CHECKED.replace("receptive_field)", "None)"))
    first, *others = grade_folder(folder, 9, out)
    assert seen[4:] == ["a.ipynb"] and not first[1].passed and all(rows[1].passed for rows in others)


def test_a_place_that_cannot_be_written_is_told_before_anything_is_graded(tmp_path, monkeypatch, capsys):
    write(tmp_path / "class" / "a.ipynb", SOLVED)
    (tmp_path / "file").touch()
    monkeypatch.setattr(grading, "grade_notebook", None)
    with pytest.raises(SystemExit):
        main(["grade", str(tmp_path / "class"), "--out", str(tmp_path / "file" / "grades.csv")])
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_another_file_is_not_taken_for_grades(tmp_path, plain):
    write(tmp_path / "class" / "a.ipynb", SOLVED)
    (tmp_path / "x.json").write_text('[{"mine": 1}]')
    with pytest.raises(UserError, match="no grades of this version"):
        next(grade_folder(tmp_path / "class", 9, tmp_path / "x.csv"))
    assert (tmp_path / "x.json").read_text() == '[{"mine": 1}]'


def row(exercise, passed=False, **facts):
    e = next(e for e in exercises() if e.name == exercise)
    known = {
        "notebook": "a",
        "version": "1",
        "look": False,
        "mistake": "",
        "remark": "",
        "message": "",
        "title": e.title,
    }
    return Grade(stage=e.stage, exercise=exercise, passed=passed, **(known | facts))


def test_a_cell_of_the_table_is_no_formula(tmp_path):
    rows = [row("adain", notebook=f"{sign}cmd.ipynb", message=f"{sign}1") for sign in "=+-@\t\r"]
    write_grades({"a": rows}, tmp_path / "grades.csv")
    with open(tmp_path / "grades.csv", encoding="utf-8-sig", newline="") as file:
        assert all(r["notebook"][0] == r["message"][0] == "'" for r in csv.DictReader(file))
    assert read_grades(tmp_path / "grades.csv")["=cmd.ipynb"] == rows[:1]


def test_the_table_of_a_class_counts_mistakes():
    rows = [row("batch_norm", mistake="unbiased"), row("batch_norm", mistake="unbiased"), row("batch_norm", True)]
    exercise = next(e for e in exercises() if e.name == "batch_norm")
    name = next(iter(exercise.mistakes))
    rows = [row("batch_norm", mistake=name)] * 2 + [row("batch_norm", True), row("batch_norm", look=True)]
    assert class_table(rows).splitlines() == [
        "01 batch_norm: 1 of 4 solved, 1 to look at",
        f"   2 x {name}: {exercise.mistakes[name]}",
    ]


def test_the_mistake_of_an_answer_is_noted(tmp_path):
    wrong = "def kl_divergence(mu, logvar):\n    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).mean()"
    check = 'from spade_edu.checks import check\ncheck("kl_divergence", kl_divergence)'
    grade = graded(write(tmp_path / "09_x.ipynb", wrong, check))["kl_divergence"]
    assert not grade.passed and not grade.look and grade.mistake, grade


# --- a class of six


def copied_scorecard(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spade_edu_progress.json").write_text(json.dumps(dict.fromkeys(names, True)))


@pytest.fixture
def six(tmp_path):
    """Complete, partly borrowed, copied, broken, empty, in an old format."""
    folder = tmp_path / "class"
    wrong = "def mine(mu, logvar):\n    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).mean()"
    write(folder / "anna" / "01_batchnorm.ipynb", *solution_cells("01"))
    copied_scorecard(folder / "anna", ["batch_norm", "adain", "no such exercise"])
    student = folder / "ben"
    write(student / "09_multimodal.ipynb", "from spade_edu.checks import check", wrong, 'check("kl_divergence", mine)')
    (student / "my_spade.py").write_text(
        "# --- 03: the SPADE layer ---\n\n\n# borrowed\nclass SPADE:\n    pass\n", encoding="utf-8"
    )
    write(folder / "cem" / "06_gan_training.ipynb", *solution_cells("06"))
    (folder / "dora").mkdir()
    (folder / "dora" / "02_pix2pixhd.ipynb").write_bytes(notebook(*CELLS)[:-99])
    write(folder / "eva" / "02_pix2pixhd.ipynb")
    sheet = {"cells": [{"cell_type": "code", "input": cell, "language": "python"} for cell in [SOLVED, CHECKED]]}
    (folder / "finn").mkdir()
    (folder / "finn" / "02_pix2pixhd.ipynb").write_text(json.dumps({"worksheets": [sheet], "nbformat": 3}))
    return folder


def test_a_class_of_six_is_told_in_one_command(six, plain, capsys, tmp_path):
    main(["grade", str(six), "--out", str(tmp_path / "grades.csv")])
    out = capsys.readouterr().out
    names = "residual_block, receptive_field, ResnetBlock, Pix2PixHDGenerator"
    for line in (
        "anna/01_batchnorm.ipynb: 6 of 8\n    BatchNorm2d, InstanceNorm2d: Needs a look",
        "    running_average: 100% like a stored solution",
        "ben/09_multimodal.ipynb: 0 of 6",
        "cem/06_gan_training.ipynb: 8 of 17",
        "    patch_discriminator: 100% like a stored solution",
        f"dora/02_pix2pixhd.ipynb: 0 of 4\n    {names}: This is not a readable notebook",
        f"eva/02_pix2pixhd.ipynb: 0 of 4\n    {names}: Needs a look",
        "finn/02_pix2pixhd.ipynb: 1 of 4",
        "02 receptive_field: 1 of 3 solved, 2 to look at",
        "09 kl_divergence: 0 of 1 solved\n   1 x ",
        "anna: 2 exercises solved by its own scorecard; my_spade.py: 0 parts kept, 0 borrowed",
        "ben: 0 exercises solved by its own scorecard; my_spade.py: 0 parts kept, 1 borrowed",
    ):
        assert line in out, out
