"""Files and folders that others have a hand in: links in a stranger's folder, two writers of one file or folder."""

import dataclasses
import errno
import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
import trees
from apart import NEEDS_FORK, apart
from PIL import Image
from typer.testing import CliRunner

from spade_edu.cli import app
from spade_edu.course import doctor
from spade_edu.data import download, labelling, open_dataset
from spade_edu.data.streets import Streets
from spade_edu.errors import UserError
from spade_edu.files import hold, open_own, write_whole, write_whole_with
from spade_edu.presets import preset
from spade_edu.runs import stops
from spade_edu.runs.guards import only_one
from spade_edu.runs.run import Run

CONFIG = preset("test", images=4)  # two steps an epoch


def run(folder, config=CONFIG, **options):
    data = Streets(config.images, height=config.height, width=config.width)
    return Run(folder, config, data, data, **options)


@pytest.fixture
def victim(tmp_path):
    """A file that nobody may change."""
    path = tmp_path / "victim"
    path.write_text("kept")
    yield path
    assert path.read_text() == "kept"


# Links ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [".lock", "config.json.part", ".doctor", "metrics.csv", "config.json", ".holder.json"])
def test_a_link_in_a_strangers_run_folder_overwrites_nothing(tmp_path, victim, name):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / name).symlink_to(victim)
    with pytest.raises(UserError, match="is a link|holds no settings"):
        run(folder).train(1, progress=False)
    doctor.writing(folder)
    assert [path.name for path in folder.iterdir()] == [name]


@pytest.mark.parametrize("name", ["checkpoints", "samples"])
def test_a_folder_that_is_a_link_in_a_run_folder_is_refused(tmp_path, name):
    folder, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    for path in (folder, elsewhere / ".0000001.part", elsewhere / "0000001"):
        path.mkdir(parents=True)
    (folder / name).symlink_to(elsewhere)
    with pytest.raises(UserError, match=f"{name} is a link"):
        run(folder).train(1, progress=False)
    assert sorted(path.name for path in elsewhere.iterdir()) == [".0000001.part", "0000001"]


@pytest.mark.parametrize("root", [r"\\host\share", "//host/share", r"\\?\UNC\host\share"])
@pytest.mark.parametrize("command", [["sample"], ["evaluate", "--run"], ["paint", "--run"]], ids=lambda c: c[0])
def test_a_strangers_settings_contact_no_other_computer(tmp_path, monkeypatch, command, root):
    config = dataclasses.replace(CONFIG, data="camvid", root=root)
    (tmp_path / "config.json").write_text(json.dumps(dataclasses.asdict(config)))
    looked = []
    monkeypatch.setattr(Path, "is_dir", lambda path: looked.append(path))
    result = CliRunner().invoke(app, [*command, str(tmp_path)])
    assert isinstance(result.exception, UserError) and "data on another computer" in str(result.exception)
    assert not [path for path in looked if "host" in str(path)]


def test_a_lock_that_is_a_link_is_not_opened(tmp_path, victim):
    (tmp_path / ".lock").symlink_to(victim)
    with pytest.raises(UserError, match="is a link"), hold(tmp_path, "busy"):
        pass


def test_a_lock_with_something_in_it_keeps_it(tmp_path):
    (tmp_path / ".lock").write_text("kept")
    with hold(tmp_path, "busy"):
        pass
    assert (tmp_path / ".lock").read_text() == "kept"


@pytest.mark.parametrize("mode", ["w", "a"])
def test_an_unfinished_download_that_is_a_link_is_not_opened(tmp_path, victim, mode):
    (tmp_path / "a.zip.part").symlink_to(victim)
    with pytest.raises(UserError, match="is a link"):
        open_own(tmp_path / "a.zip.part", mode)


def test_even_a_guessed_name_is_not_written_through(tmp_path, victim, monkeypatch):
    monkeypatch.setattr("secrets.token_hex", lambda _: "0")
    (tmp_path / ".a.txt.0.part").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "a.txt", "new")
    assert not (tmp_path / "a.txt").exists()


# Two writers ---------------------------------------------------------------------------------------------------------


def test_two_who_write_one_file_at_the_same_time_do_not_meet(tmp_path):
    path, barrier, failed = tmp_path / "a.txt", threading.Barrier(2), []

    def write(text):
        def half(part):
            part.write_text(text[:5])
            barrier.wait(10)  # both files are begun
            part.write_text(text)

        try:
            write_whole_with(path, half)
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(letter * 10,)) for letter in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and path.read_text() in ("a" * 10, "b" * 10) and [*tmp_path.iterdir()] == [path]


def elsewhere(folder: Path):
    """A process that holds a folder until its input ends."""
    code = "import sys; from pathlib import Path; from spade_edu.files import hold\n"
    code += "with hold(Path(sys.argv[1]), 'busy'): print(flush=True); sys.stdin.read()"
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], **pipes)
    process.stdout.readline()
    return process


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Commands that fill the folder `out`, and what they fill it with taken out of them."""
    for name in ("get", "get_cityscapes"):
        monkeypatch.setattr(download, name, lambda *_: None)
    monkeypatch.setattr(labelling, "label_photographs", lambda *_, **__: labelling.Labelled(0, 0, []))
    monkeypatch.setattr("spade_edu.evaluation.segmenters.load_segmenter", lambda *_: torch.nn.Identity())
    monkeypatch.setattr("spade_edu.data.coco_stuff.find_layout", lambda *_: None)
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "photos/a.png")
    out = str(tmp_path / "out")
    return {
        "make": ["make", out, "--train", "1", "--val", "0", "--height", "8", "--width", "16"],
        "get camvid": ["get", "camvid", "--root", out],
        "get cityscapes": ["get", "cityscapes", "--root", out],
        "instances": ["instances", "--root", out],
        "label": ["label", str(tmp_path / "photos"), out],
    }


@NEEDS_FORK
def test_a_folder_that_another_process_fills_is_left_to_it(tmp_path, commands):
    other = elsewhere(tmp_path / "out")
    for name, command in commands.items():
        result = CliRunner().invoke(app, ["data", *command])
        assert isinstance(result.exception, UserError), name
        assert "another command is writing here" in str(result.exception), name
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]
    other.communicate(b"")
    assert CliRunner().invoke(app, ["data", *commands["make"]]).exit_code == 0


# Who trains here -----------------------------------------------------------------------------------------------------


def note(folder, host, minutes=1.0, process=12):
    folder.mkdir(exist_ok=True)
    content = {"host": host, "process": process, "time": time.time() - 60 * minutes}
    (folder / ".holder.json").write_text(json.dumps(content))


def test_a_run_notes_who_trains_and_renews_it_at_each_save(tmp_path, monkeypatch):
    first, seen = run(tmp_path, save_every=1), []
    after_step = first.after_step

    def look(*arguments):
        after_step(*arguments)
        seen.append(json.loads((tmp_path / ".holder.json").read_text()))

    first.after_step = look
    first.train(2, progress=False)
    assert [(n["host"], n["process"]) for n in seen] == [(platform.node(), os.getpid())] * 2
    assert seen[0]["time"] < seen[1]["time"] <= time.time() and not (tmp_path / ".holder.json").exists()


def test_a_second_tab_on_another_host_is_told_and_the_first_stops_at_its_save(tmp_path, capsys, monkeypatch):
    """Over a drive whose locks don't reach the other host."""
    first = run(tmp_path, save_every=1)
    step = first.trainer.step_tensors

    def train_elsewhere(batch):
        if first.step == 1:
            with monkeypatch.context() as other:
                other.setattr("fcntl.flock", lambda *_: None)
                other.setattr("platform.node", lambda: "elsewhere")
                with only_one(tmp_path):
                    note(tmp_path, "elsewhere")
                note(tmp_path, "elsewhere")  # the end of `only_one` has taken it away
        return step(batch)

    first.trainer.step_tensors = train_elsewhere
    with pytest.raises(UserError, match="process 12 on 'elsewhere' has taken this run over. This one stops without"):
        first.train(progress=False)
    assert f"process {os.getpid()} on {platform.node()!r} trained here 0 minutes ago" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["0000001"]
    assert json.loads((tmp_path / ".holder.json").read_text())["host"] == "elsewhere", "it isn't this run's to remove"


@pytest.mark.parametrize(
    ("host", "minutes", "told"),
    [("elsewhere", 1, True), ("elsewhere", 60 * 24, False), (platform.node(), 1, False)],
    ids=["another host, just now", "another host, yesterday", "this host: it was killed, its lock is free"],
)
def test_a_note_is_told_where_its_process_may_still_run(tmp_path, capsys, host, minutes, told):
    note(tmp_path, host, minutes)
    with only_one(tmp_path):
        pass
    assert ("trained here" in capsys.readouterr().out) is told


def test_a_drive_without_locks_is_no_obstacle_and_is_said(tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    note(tmp_path, platform.node())
    with only_one(tmp_path):
        pass
    said = capsys.readouterr().out
    assert "this drive has no locks, so nothing keeps a second run out" in said and "trained here 1 minutes ago" in said


@pytest.mark.parametrize("content", ["", "[]", "[" * 10**5, '{"host": 1}', '{"host": "a", "process": 1, "time": "x"}'])
def test_a_note_of_something_else_is_no_obstacle(tmp_path, content):
    (tmp_path / ".holder.json").write_text(content)
    with only_one(tmp_path):
        pass


def test_settings_are_written_by_the_one_who_holds_the_folder(tmp_path):
    with only_one(tmp_path):
        second = run(tmp_path)
        with pytest.raises(UserError, match=r"another run is training here \(process \d+ on .*--out"):
            second.train(1, progress=False)
        assert not (tmp_path / "config.json").exists()


def test_settings_that_another_wrote_in_the_meantime_are_not_overwritten(tmp_path):
    second = run(tmp_path)
    run(tmp_path, preset("test", images=4, lr=0.1)).train(1, progress=False)
    with pytest.raises(UserError, match="holds a run with lr = 0.1"):
        second.train(1, progress=False)


def test_what_a_killed_run_left_half_written_is_removed(tmp_path):
    (tmp_path / "samples").mkdir()
    left = [tmp_path / ".config.json.0123456789abcdef.part", tmp_path / "samples/.0000002.png.0123456789abcdef.part"]
    for path in left:
        path.write_text("half")
    with only_one(tmp_path):
        assert not any(path.exists() for path in left)


@pytest.mark.parametrize("change", ["another", "renamed"])
def test_a_run_does_not_go_on_with_other_pictures(tmp_path, change):
    """An image more or less changes the order, the epoch and the rates of all steps to come."""
    for split in "train", "val":
        trees.camvid_small(tmp_path / "data", split, 4)
    config = preset("test", data="camvid", root=str(tmp_path / "data"), height=32, width=64)

    def begin():
        data = [open_dataset("camvid", tmp_path / "data", s, height=32, width=64)[0] for s in ("train", "val")]
        return Run(tmp_path / "run", config, *data)

    begin().train(1, progress=False)
    begin()
    if change == "another":
        trees.camvid_small(tmp_path / "data", "train", 5)
    for path in (tmp_path / "data/train").rglob("0001TP_3.*") if change == "renamed" else ():
        path.rename(path.with_stem("0001TP_9"))
    with pytest.raises(UserError, match="a run on 4 pictures, now (there are 5|they have other names): bring back"):
        begin()


def told_to_stop():
    """As a process that reads data, told to stop while its training finishes a step."""
    stops.GRACE = 1
    stops.finish_first(0)
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)


@pytest.mark.skipif(not hasattr(signal, "alarm"), reason="needs alarms")
def test_a_process_that_reads_data_outlives_sigterm_for_a_while():
    """A batch system sends it to all processes of a job; the training still has to finish its step."""
    started = time.monotonic()
    assert apart(told_to_stop) == -signal.SIGALRM and time.monotonic() - started > 0.9
