"""`spade-edu start`: what lies in a student's folder, and that a second start touches nothing of theirs.

And the two lines that carry such a folder to a zip or a Drive, and back.
"""

import json
import os
import zipfile
from pathlib import Path

import pytest

from spade_edu.checks.paths import DAY
from spade_edu.cli import main
from spade_edu.course import bring_back, folder, parts_file, save_folder
from spade_edu.errors import UserError

TESTS = Path(__file__).parents[1]
STAGES = {f"{n:02d}" for n in range(12)}


@pytest.fixture(autouse=True)
def _reference(tmp_path, monkeypatch):
    monkeypatch.setattr(parts_file, "REFERENCE", TESTS / "fixtures" / "parts.py")
    monkeypatch.delenv("SPADE_EDU_FOLDER", raising=False)
    monkeypatch.chdir(tmp_path)


def contents(path):
    return {p.name: p.read_bytes() for p in Path(path).iterdir()}


def cells(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))["cells"]


def test_a_new_folder_holds_notebooks_exercises_and_an_empty_file(capsys):
    main(["start", "mine"])
    assert capsys.readouterr().out == "mine: 25 files written.\nBegin with README.md there.\n"
    notebooks = sorted(Path("mine").glob("*.ipynb"))
    assert {p.name[:2] for p in notebooks} == STAGES
    assert {p.name[:2] for p in notebooks if p.stem.endswith("_exercises")} == STAGES - {"10"}
    for path in notebooks:
        assert not any("<details><summary>Solution" in "".join(c["source"]) for c in cells(path))
        assert all(not c["outputs"] and c["execution_count"] is None for c in cells(path) if c["cell_type"] == "code")
        assert len({c["id"] for c in cells(path)}) == len(cells(path))
    text = Path("mine/my_spade.py").read_text(encoding="utf-8")
    assert "# --- 01: batch norm ---" in text and parts_file.PartsFile(text).parts == {}
    assert sum(p.stat().st_size for p in notebooks) < 2 * 2**20


def test_links_lead_to_files_of_the_folder_and_no_badge_to_other_copies():
    main(["start", "mine"])
    for path in Path("mine").glob("*.ipynb"):
        text = path.read_text(encoding="utf-8")
        assert "colab-badge" not in text and "../exercises" not in text
        if path.stem + "_exercises.ipynb" in text:
            assert Path("mine", path.stem + "_exercises.ipynb").exists()


def test_solutions_come_where_they_are_asked_for():
    main(["start", "mine", "--with-solutions"])
    for path in Path("mine").glob("*_exercises.ipynb"):
        code = [c for c in cells(path) if c["cell_type"] == "code" and "# your code here" in "".join(c["source"])]
        assert sum("<details><summary>Solution" in "".join(c["source"]) for c in cells(path)) == len(code) > 0


def test_a_second_start_adds_what_is_new_and_leaves_what_was_changed(capsys):
    main(["start", "mine"])
    before = contents("mine")
    capsys.readouterr()
    main(["start", "mine"])
    assert capsys.readouterr().out.startswith("mine: nothing new.\n") and contents("mine") == before

    mine = {"my_spade.py": b"x = 1\n", "03_spade_layer_exercises.ipynb": b"{}", "notes.txt": b"mine"}
    for name, content in mine.items():
        Path("mine", name).write_bytes(content)
    Path("mine/05_spade_generator.ipynb").unlink()
    main(["start", "mine", "--with-solutions"])
    out = capsys.readouterr().out
    assert out.startswith("mine: 11 files written.\n")  # the other ten exercises, and what was deleted
    assert "Left as you changed them: my_spade.py, 03_spade_layer_exercises.ipynb." in out
    after = contents("mine")
    assert {name: after[name] for name in mine} == mine and set(after) == {*before, *mine}
    main(["start", "mine"])  # what was left is not forgotten, nor taken for the course's own
    assert {name: contents("mine")[name] for name in mine} == mine


@pytest.mark.parametrize("manifest", ["", "[1]", "{broken", '{"README.md": 3}'])
def test_without_a_readable_list_nothing_is_touched(manifest):
    Path("mine").mkdir()
    Path("mine/README.md").write_text("my own")
    Path("mine", folder.MANIFEST).write_text(manifest)
    main(["start", "mine"])
    assert Path("mine/README.md").read_text() == "my own"


def test_an_untouched_file_follows_the_package(monkeypatch):
    main(["start", "mine"])
    new = folder.contents(False) | {"README.md": b"newer", "11_new.ipynb": b"{}"}
    monkeypatch.setattr(folder, "contents", lambda _: new)
    main(["start", "mine"])
    assert contents("mine")["README.md"] == b"newer" and contents("mine")["11_new.ipynb"] == b"{}"


@pytest.mark.parametrize(
    "where, words",
    [
        ("file", "file: File exists. A file stands where a folder is needed"),
        ("file/below", "A file stands where a folder"),
    ],
)
def test_a_place_that_is_no_folder_gives_one_line(where, words, capsys):
    Path("file").write_text("x")
    with pytest.raises(SystemExit) as stop:
        main(["start", where])
    err = capsys.readouterr().err
    assert stop.value.code == 2 and err.count("\n") == 1 and words in err and Path("file").read_text() == "x"


def test_a_folder_that_may_not_be_written_gives_one_line(monkeypatch, capsys):
    def refuse(path, content):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(folder, "write_whole", refuse)
    with pytest.raises(SystemExit):
        main(["start", "mine"])
    assert capsys.readouterr().err == (
        "spade-edu: mine/README.md: Permission denied. Is there room, and may it be written?\n"
    )


@pytest.mark.skipif(not (folder.ASSETS / "my_spade.py").exists(), reason="the reference isn't there yet")
def test_the_parts_that_the_folders_readme_names_are_parts(monkeypatch):
    monkeypatch.undo()
    day = (folder.COURSE / "README.md").read_text(encoding="utf-8").partition("- A day:")[2]
    assert tuple(day.partition("write")[2].partition("Each")[0].split("`")[1::2]) == DAY


# --- carrying


def student(path, text="x = 1\n", seconds=0):
    path.mkdir(exist_ok=True)
    for name in ("my_spade.py", "spade_edu_progress.json", "03_spade_layer_exercises.ipynb"):
        (path / name).write_text(text)
        os.utime(path / name, (1_700_000_000 + seconds,) * 2)
    (path / "runs").mkdir(exist_ok=True)
    (path / "secret.txt").write_text("not carried")


@pytest.mark.parametrize("target", ["saved.zip", "drive/mine"])
def test_a_folder_is_saved_and_brought_back(target, tmp_path, monkeypatch, capsys):
    (tmp_path / "drive").mkdir()
    student(tmp_path / "here")
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    save_folder(tmp_path / target)
    assert "3 of 3 files saved" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path / "there")
    bring_back(tmp_path / target)
    carried = {"my_spade.py", "spade_edu_progress.json", "03_spade_layer_exercises.ipynb"}
    assert set(contents(".")) == carried and (tmp_path / "there/my_spade.py").read_text() == "x = 1\n"
    assert (tmp_path / "there/my_spade.py").stat().st_mtime == 1_700_000_000
    bring_back(tmp_path / target)
    assert "0 of 3 files brought back" in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("target", ["saved.zip", "saved"])
def test_what_is_newer_is_left_and_named_both_ways(target, tmp_path, monkeypatch, capsys):
    student(tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    save_folder(tmp_path / target)
    student(tmp_path / "here", "x = 2\n", seconds=60)
    capsys.readouterr()
    bring_back(tmp_path / target)
    assert "Left, as they are newer in" in capsys.readouterr().out and Path("my_spade.py").read_text() == "x = 2\n"
    save_folder(tmp_path / target)
    student(tmp_path / "here", "x = 0\n")
    save_folder(tmp_path / target)
    assert "Left, as they are newer in" in capsys.readouterr().out
    bring_back(tmp_path / target)
    assert Path("my_spade.py").read_text() == "x = 2\n" and Path("my_spade.backup.py").read_text() == "x = 0\n"


def test_a_zip_reaches_only_what_is_the_students(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with zipfile.ZipFile(tmp_path / "odd.zip", "w") as archive:
        for name in ("../my_spade.py", "/my_spade.py", "a/my_spade.py", "sitecustomize.py", "my_spade.py"):
            archive.writestr(name, "x = 1\n")
    bring_back(tmp_path / "odd.zip")
    assert set(contents(".")) == {"my_spade.py"} and not (tmp_path / "my_spade.py").exists()


def test_what_can_not_be_carried_is_said_in_a_line(tmp_path):
    Path("bad.zip").write_text("x")
    Path("note.txt").write_text("x")
    for work, words in (
        (lambda: save_folder("saved.zip"), "holds none of my_spade.py"),
        (lambda: save_folder("drive/MyDrive/mine"), "mount your Drive first"),
        (lambda: bring_back("nowhere.zip"), "nowhere.zip doesn't exist"),
        (lambda: bring_back("bad.zip"), "is not a readable zip"),
        (lambda: bring_back("note.txt"), "is neither a folder nor a .zip"),
    ):
        with pytest.raises(UserError, match=words):
            work()
