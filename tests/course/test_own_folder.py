"""The student's folder is found again."""

import os
import sys
from types import ModuleType

import pytest

from spade_edu.course import own_folder as module
from spade_edu.course.folder import MANIFEST


@pytest.fixture
def drive(folder, tmp_path_factory, monkeypatch):
    """An empty Drive; what `home` sets is taken back."""
    drive = tmp_path_factory.mktemp("drive")
    monkeypatch.setattr(module, "DRIVE", drive)
    monkeypatch.setenv("SPADE_EDU_FOLDER", "")
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(folder)])
    return drive


def made(folder, age=0):
    folder.mkdir()
    (folder / MANIFEST).write_text("{}")
    (folder / "my_spade.py").write_text("where = __file__")
    os.utime(folder / "my_spade.py", (1e9 - age, 1e9 - age))
    return folder


def test_a_file_beside_the_notebook_is_taken(folder, drive, capsys):
    made(drive / "other")
    (folder / "my_spade.py").write_text("")
    module.home()
    assert capsys.readouterr().out == f"Your file: {folder / 'my_spade.py'}\n"
    assert sys.path[0] == str(folder) and not os.environ["SPADE_EDU_FOLDER"]


def test_in_a_new_session_the_folder_on_drive_is_found(folder, drive, capsys):
    made(drive / "old", age=100)
    newest = made(drive / "course")
    made(drive / "older", age=200)
    module.home()
    assert capsys.readouterr().out == f"Your file: {newest / 'my_spade.py'}\n"
    import my_spade

    assert my_spade.where == str(newest / "my_spade.py")


def test_a_folder_that_the_variable_names_is_never_exchanged(drive, tmp_path, monkeypatch, capsys):
    made(drive / "course")
    monkeypatch.setenv("SPADE_EDU_FOLDER", str(tmp_path))
    module.home()
    assert capsys.readouterr().out == "" and sys.path[0] == str(tmp_path)


def test_on_colab_it_says_what_is_lost_unless_the_folder_is_on_drive(folder, drive, monkeypatch, capsys):
    module.home()
    assert capsys.readouterr().out == ""
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    module.home()
    said = capsys.readouterr().out
    assert "Save a copy in Drive" in said and "`save_runs`" in said
    assert 'drive.mount("/content/drive")' in said and "spade-edu start" in said
    (folder / "my_spade.py").write_text("")
    module.home()
    assert capsys.readouterr().out == f"Your file: {folder / 'my_spade.py'}\n{said}"
    (folder / "my_spade.py").unlink()
    made(drive / "course")
    module.home()
    assert capsys.readouterr().out == f"Your file: {drive / 'course/my_spade.py'}\n"
