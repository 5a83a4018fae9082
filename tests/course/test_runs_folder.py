"""The reader's runs are found where they say, and carried to a Drive and back."""

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from spade_edu.checkpoints import checkpoints, save_checkpoint, step_of
from spade_edu.course import bring_runs, save_runs
from spade_edu.course import runs_folder as module
from spade_edu.course.runs_folder import newest_run, runs_folders
from spade_edu.errors import UserError
from spade_edu.labels import CITYSCAPES
from spade_edu.models import build
from spade_edu.presets import preset

CONFIG = preset("test", data="streets")
NETWORKS = build(CONFIG, CITYSCAPES)


@pytest.fixture(autouse=True)
def _nothing_named(folder, monkeypatch):
    monkeypatch.delenv("SPADE_EDU_RUNS", raising=False)


@pytest.fixture
def drive(tmp_path_factory):
    return tmp_path_factory.mktemp("drive") / "runs"


def a_run(folder, *steps, config=CONFIG):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(asdict(config)))
    (folder / "metrics.csv").write_text(f"step\n{steps[-1]}\n")
    (folder / ".holder.json").write_text("{}")
    for step in steps:
        networks = {"G": NETWORKS.generator, "D": NETWORKS.discriminator}
        save_checkpoint(folder / "checkpoints", step, networks, {"step": step})
    return folder


def steps_in(folder):
    return [step_of(path) for path in checkpoints(folder / "checkpoints")]


def test_a_run_above_the_notebook_is_found_and_named_as_seen_from_it(folder, monkeypatch):
    a_run(folder / "runs/spade", 3)
    (folder / "course/notebooks").mkdir(parents=True)
    monkeypatch.chdir(folder / "course/notebooks")
    assert newest_run("spade", CONFIG) == Path("../../runs/spade")
    assert runs_folders()[0] == Path("runs")


def test_a_run_in_the_students_folder_is_found(folder, tmp_path_factory, monkeypatch):
    student = tmp_path_factory.mktemp("student")
    monkeypatch.setenv("SPADE_EDU_FOLDER", str(student))
    a_run(student / "runs/spade", 3)
    assert newest_run("spade", CONFIG) == student / "runs/spade"


def test_a_folder_that_the_reader_names_is_the_only_one(folder, drive, monkeypatch):
    a_run(folder / "runs/spade", 3)
    monkeypatch.setenv("SPADE_EDU_RUNS", str(drive))
    assert newest_run("spade", CONFIG) is None  # it may still be empty, or be made by the first run
    a_run(drive / "other", 1)
    assert newest_run("spade", CONFIG) == drive / "other"
    monkeypatch.setenv("SPADE_EDU_RUNS", str(drive / "not/mounted"))
    with pytest.raises(UserError, match="SPADE_EDU_RUNS: .*not is no folder. On Colab, mount your Drive first."):
        newest_run("spade", CONFIG)


def test_runs_go_to_a_drive_and_come_back(folder, drive, monkeypatch, capsys):
    a_run(folder / "runs/spade", 2, 4)
    Path("my_runs").mkdir()
    Path("my_runs/mine.safetensors").write_bytes(b"weights")
    save_runs(drive)
    assert capsys.readouterr().out == f"2 of 2 runs saved: {drive}\n"
    assert not (drive / "spade/.holder.json").exists()
    (folder / "new").mkdir()
    monkeypatch.chdir(folder / "new")
    bring_runs(str(drive))
    assert steps_in(Path("runs/spade")) == [2, 4] and Path("runs/spade/metrics.csv").read_text() == "step\n4\n"
    assert newest_run("spade", CONFIG) == Path("runs/spade")
    assert Path("my_runs/mine.safetensors").read_bytes() == b"weights"
    bring_runs(drive)
    assert capsys.readouterr().out.splitlines()[-1] == "0 of 2 runs brought back: runs"


def test_a_run_that_went_on_replaces_its_earlier_state_and_never_a_later_one(folder, drive, capsys):
    config = replace(CONFIG, root="elsewhere", epochs_more=3)
    a_run(folder / "runs/spade", 2, 4)
    save_runs(drive)
    a_run(folder / "runs/spade", 4, 6, config=config)
    save_runs(drive)
    assert steps_in(drive / "spade") == [4, 6]
    a_run(drive / "spade", 8)
    capsys.readouterr()
    save_runs(drive)
    assert steps_in(drive / "spade") == [6, 8]
    assert f"Left, as they got further or are other runs: {drive / 'spade'}." in capsys.readouterr().out


def test_another_run_of_the_same_name_is_left(folder, drive, capsys):
    a_run(folder / "runs/spade", 9)
    a_run(drive / "spade", 1, config=replace(CONFIG, lr=0.5))
    save_runs(drive)
    assert steps_in(drive / "spade") == [1] and "Left, as" in capsys.readouterr().out


def test_notebook_11s_newer_file_is_left(folder, drive, capsys):
    Path("my_runs").mkdir()
    drive.mkdir()
    for path, age in ((Path("my_runs/mine.safetensors"), 10), (drive / "mine.safetensors", 0)):
        path.write_text(str(path))
        os.utime(path, (1e9 - age, 1e9 - age))
    save_runs(drive)
    assert (drive / "mine.safetensors").read_text() == str(drive / "mine.safetensors")
    bring_runs(drive)
    assert Path("my_runs/mine.safetensors").read_text() == str(drive / "mine.safetensors")
    bring_runs(drive)  # its time came along
    assert capsys.readouterr().out.splitlines()[-1] == "0 of 1 runs brought back: runs"


def test_a_copy_that_is_cut_off_leaves_the_earlier_run(folder, drive, monkeypatch):
    a_run(folder / "runs/spade", 2)
    save_runs(drive)
    a_run(folder / "runs/spade", 4)
    copy = module.shutil.copytree

    def cut_off(source, target):
        copy(source, target)
        (target / "G.safetensors").write_bytes(b"half")
        raise OSError("the session is over")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="over"):
        patch.setattr(module.shutil, "copytree", cut_off)
        save_runs(drive)
    assert steps_in(drive / "spade") == [2]
    save_runs(drive)
    assert steps_in(drive / "spade") == [2, 4]
    assert (drive / "spade/checkpoints/0000004/G.safetensors").stat().st_size > 4


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: save_runs("saved"), "There is no run in runs, and none of notebook 11's in .*my_runs"),
        (lambda: save_runs("not/mounted/runs"), "mounted is no folder. On Colab, mount your Drive first."),
        (lambda: bring_runs("nothing"), "There is no run in nothing"),
    ],
)
def test_what_cannot_be_carried_is_said(folder, call, message):
    with pytest.raises(UserError, match=message):
        call()
