"""`spade-edu doctor --class`: each step works here, and says so where what it tries is broken."""

import json
import time

import pytest
import typer
from typer.testing import CliRunner

from spade_edu.cli import doctor as command
from spade_edu.course import dry_run as dry
from spade_edu.course.doctor import FAILURE, OK, WARNING
from spade_edu.errors import UserError
from spade_edu.presets import preset


def broken(_):
    raise UserError("the cable is loose")


GOOD, BAD = dry.Step("Light", lambda room: "it is on", "Press it."), dry.Step("Screen", broken, "Push it in.")


@pytest.fixture
def room(tmp_path):
    """A room with its folder, an hour before the end."""
    room = dry.Room(tmp_path, time.monotonic() + 3600)
    dry.start_folder(room)
    return room


def test_each_step_is_told_at_once_and_a_failure_stops_nothing():
    said = []
    report = dry.dry_run([GOOD, BAD, GOOD], say=said.append)
    assert said == report.findings and [f.level for f in said] == [OK, FAILURE, OK] and not report.healthy
    assert said[0].found.endswith(" s: it is on") and not said[0].advice
    assert said[1].found.endswith(" s: UserError: the cable is loose") and said[1].advice == "Push it in."


def test_what_comes_after_the_minutes_is_not_tried():
    report = dry.dry_run([BAD], minutes=0, say=lambda finding: None)
    assert [(f.level, f.found) for f in report.findings] == [(WARNING, "not tried: the time is over")]


def test_the_folder_is_gone_afterwards():
    rooms = []
    dry.dry_run([dry.Step("Folder", lambda room: str(rooms.append(room)), "")], say=lambda finding: None)
    assert not rooms[0].folder.exists()


def test_every_notebook_of_the_course_is_tried():
    whats = [step.what for step in dry.class_steps()]
    assert whats[-12:] == [f"{n:02d}" for n in range(12)] and len(set(whats)) == len(whats) == 21
    assert all(step.advice.endswith(".") for step in dry.class_steps())


@pytest.mark.parametrize("steps, code, words", [([GOOD], 0, "1 of 1"), ([GOOD, BAD], 1, "1 of 2")])
def test_the_command_fails_where_a_step_does(monkeypatch, tmp_path, steps, code, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dry, "class_steps", lambda: steps)
    app = typer.Typer()
    command.register(app)
    result = CliRunner().invoke(app, ["--no-timing", "--class"])
    assert result.exit_code == code and f"{words} steps work." in result.stdout
    assert "Light" in result.stdout and ("Push it in." in result.stdout) == bool(code)


# --- the steps, as they are and with what they try broken


def test_jupyterlab(room, monkeypatch):
    pytest.importorskip("jupyterlab")
    assert "answers" in dry.jupyter_answers(room)
    monkeypatch.setenv("PYTHONHOME", str(room.folder))  # a Python that finds nothing of its own
    with pytest.raises(UserError, match="ended at once"):
        dry.jupyter_answers(room)


def test_kernel_and_the_student_s_file(room, monkeypatch):
    pytest.importorskip("nbclient")
    assert "notebooks run in" in dry.kernel_is_ours(room)
    assert dry.parts_are_borrowed(room).startswith("31 parts")
    monkeypatch.setattr(dry, "run_cells", lambda room, cells: [str(room.course / dry.NAME), "python"])
    with pytest.raises(UserError, match="notebooks take spade_edu from"):
        dry.kernel_is_ours(room)
    (room.course / dry.NAME).write_text("")
    with pytest.raises(UserError, match="0 of 31"):
        dry.parts_are_borrowed(room)


def test_exercise(room, monkeypatch):
    assert "passes" in dry.exercise_is_checked(room)
    first = dry.examine("one_hot", dry.known()["one_hot"].reference)
    monkeypatch.setattr(dry, "examine", lambda name, function: first)  # a check that passes everything
    with pytest.raises(UserError, match="right"):
        dry.exercise_is_checked(room)


def test_stored_networks_and_painter(room, monkeypatch):
    assert "pix2pixhd++" in dry.stored_networks_paint(room) and "answers" in dry.painter_answers(room)
    grey = dry.generate
    monkeypatch.setattr(dry, "generate", lambda *arguments: 0 * grey(*arguments))
    with pytest.raises(UserError, match="paints nothing"):
        dry.stored_networks_paint(room)


def test_training(room, monkeypatch):
    monkeypatch.setattr(dry, "preset", lambda name: preset("test"))
    assert "went on" in dry.training_goes_on(room)
    monkeypatch.setattr(dry.Run, "train", lambda run, until, progress: None)
    with pytest.raises(UserError, match="ended at step 0 of 6"):
        dry.training_goes_on(room)


def test_grading(room, monkeypatch):
    assert "one answer of two" in dry.answers_are_graded(room)
    monkeypatch.setattr(dry, "grade_folder", lambda *arguments: [[]])
    (room.folder / "class" / "anna").rename(room.folder / "class" / "before")
    with pytest.raises(UserError, match="pass: none"):
        dry.answers_are_graded(room)


def test_a_notebook_that_breaks_is_named_with_its_error(room):
    pytest.importorskip("nbclient")
    cell = dict(cell_type="code", execution_count=None, id="a", metadata={}, outputs=[], source="print(sky)")
    notebook = dict(cells=[cell], metadata={}, nbformat=4, nbformat_minor=5)
    (room.course / "12_new.ipynb").write_text(json.dumps(notebook))
    found = dry._tried(dry.Step("12", lambda room: dry.notebook_runs(room, "12_new.ipynb"), "Open it."), room)
    assert found.level == FAILURE and "NameError: name 'sky' is not defined" in found.found
