"""Checkpoints are whole, strict, and read without executing code."""

import builtins
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

import spade_edu.checkpoints as checkpoints_module
from spade_edu.checkpoints import (
    CheckpointError,
    checkpoints,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_weights,
    step_of,
    sweep,
)
from spade_edu.errors import UserError
from spade_edu.files import write_whole
from spade_edu.pretrained import official, weights


def test_weights_come_back_unchanged(tmp_path):
    network, other = nn.Conv2d(2, 3, 3), nn.Conv2d(2, 3, 3)
    save_weights(network, tmp_path / "a.safetensors")
    load_weights(other, tmp_path / "a.safetensors")
    assert torch.equal(network.weight, other.weight) and torch.equal(network.bias, other.bias)


def test_half_precision_weights_load_as_float32(tmp_path):
    network = nn.Conv2d(2, 3, 3)
    save_weights(network, tmp_path / "a.safetensors", half=True)
    other = nn.Conv2d(2, 3, 3)
    load_weights(other, tmp_path / "a.safetensors")
    assert other.weight.dtype == torch.float32
    assert torch.equal(other.weight, network.weight.half().float())


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (nn.Conv2d(2, 4, 3), r"weight is \(3, 2, 3, 3\), the network expects \(4, 2, 3, 3\)"),
        (nn.Conv2d(2, 3, 3, bias=False), "unknown entry bias"),
        (nn.BatchNorm2d(3), "lacks running_mean"),
    ],
)
def test_weights_of_another_network_are_refused(tmp_path, other, words):
    save_weights(nn.Conv2d(2, 3, 3), tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match=words):
        load_weights(other, tmp_path / "a.safetensors")


def test_truncated_weights_are_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    save_weights(nn.Conv2d(2, 3, 3), path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        load_weights(nn.Conv2d(2, 3, 3), path)


def test_only_the_newest_checkpoints_are_kept_and_unfinished_ones_are_not_seen(tmp_path):
    network = nn.Conv2d(1, 1, 1)
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, step, {"G": network}, {"step": step}, keep=2)
    (tmp_path / ".0000004.part").mkdir()
    assert [p.name for p in checkpoints(tmp_path)] == ["0000002", "0000003"]
    assert load_checkpoint(checkpoints(tmp_path)[-1], {"G": network})["step"] == 3


class Payload:
    """A pickle that would touch a file when loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def earlier_state(path: Path, state: object) -> Path:
    """Put version 0.1's state.pt in place of today's files of a checkpoint."""
    for name in ("state.json", "state.safetensors", "checksums.json"):
        (path / name).unlink()
    torch.save(state, path / "state.pt", pickle_module=pickle)
    return path


def test_a_pickle_with_code_in_it_is_refused_and_not_run(tmp_path):
    network, touched = nn.Conv2d(1, 1, 1), tmp_path / "touched"
    path = save_checkpoint(tmp_path / "c", 1, {"G": network}, {"step": 1})
    earlier_state(path, {"step": Payload(touched)})
    with pytest.raises(CheckpointError, match="not a whole checkpoint"):
        load_checkpoint(path, {"G": network})
    assert not touched.exists()


# The state in numbers and text ---------------------------------------------------------------------------------------


def trained(steps=3):
    """A network after a few steps of Adam, and its optimizer."""
    torch.manual_seed(0)
    network = nn.Conv2d(3, 4, 3)
    optimizer = torch.optim.Adam(network.parameters(), 0.1, (0.0, 0.9))
    for _ in range(steps):
        network(torch.rand(2, 3, 5, 5)).square().mean().backward()
        optimizer.step()
    return network, optimizer


def test_a_state_comes_back_exactly_and_no_pickle_is_written(tmp_path):
    network, optimizer = trained()
    state = {"step": 3, "seconds": 0.1 + 0.2, "none": None, "rng": [torch.get_rng_state()], "empty": {}}
    state["trainer"] = {"optimizer": optimizer.state_dict(), "yes": True}
    path = save_checkpoint(tmp_path, 3, {"G": network}, state)
    assert {p.name for p in path.iterdir()} == {"G.safetensors", "state.json", "state.safetensors", "checksums.json"}
    back = load_checkpoint(path, {"G": nn.Conv2d(3, 4, 3)})
    assert {k: back[k] for k in ("step", "seconds", "none", "empty")} == {
        k: state[k] for k in ("step", "seconds", "none", "empty")
    }
    assert torch.equal(back["rng"][0], state["rng"][0]) and back["rng"][0].dtype == torch.uint8
    again = torch.optim.Adam(network.parameters(), 0.2)
    again.load_state_dict(back["trainer"]["optimizer"])
    for old, new in zip(optimizer.state.values(), again.state.values()):
        assert old.keys() == new.keys() and all(torch.equal(old[k], new[k]) for k in old)
    group, expected = again.param_groups[0], optimizer.param_groups[0]
    assert {**group, "params": 0, "betas": tuple(group["betas"])} == {**expected, "params": 0}


def test_what_version_0_1_wrote_is_read(tmp_path):
    network, optimizer = trained()
    path = save_checkpoint(tmp_path, 3, {"G": network}, {})
    earlier_state(path, {"step": 3, "optimizer": optimizer.state_dict()})
    assert load_checkpoint(path, {"G": network})["optimizer"]["state"].keys() == {0, 1}


def bomb(path: Path) -> Path:
    """Ten million zeros in a file of a few kB: what torch.save wrote, compressed."""
    torch.save({"weight": torch.zeros(10_000_000)}, path.with_suffix(".plain"))
    with (
        zipfile.ZipFile(path.with_suffix(".plain")) as plain,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as small,
    ):
        for entry in plain.infolist():
            small.writestr(entry.filename, plain.read(entry))
    assert path.stat().st_size < 100_000
    return path


@pytest.mark.parametrize("read", [weights.read_state_dict, official.load_generator])
def test_an_archive_that_unpacks_to_more_than_it_is_isnt_read(tmp_path, read, monkeypatch):
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("unpacked"))
    with pytest.raises(UserError, match="would unpack to 40,0"):
        read(bomb(tmp_path / "a.pth"))


def test_a_state_that_unpacks_to_more_than_it_is_isnt_read(tmp_path, monkeypatch):
    network = nn.Conv2d(1, 1, 1)
    path = earlier_state(save_checkpoint(tmp_path / "c", 1, {"G": network}, {}), {})
    shutil.copy(bomb(tmp_path / "a.pth"), path / "state.pt")
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("unpacked"))
    with pytest.raises(CheckpointError, match="state.pt"):
        load_checkpoint(path, {"G": network})


# Power cuts ----------------------------------------------------------------------------------------------------------


class PowerCutError(BaseException):
    """Not an Exception, so that nothing goes on after it."""


class Disk:
    """Counts what a program asks of the file system, and ends it before its `last` request."""

    CALLS = [(os, name) for name in ("replace", "rename", "fsync", "mkdir", "rmdir", "unlink")] + [
        (shutil, "rmtree"),
        (builtins, "open"),
        (os, "open"),
        (Path, "write_bytes"),
    ]

    def __init__(self, monkeypatch, last: int):
        self.left, self.log = last, []
        for owner, name in self.CALLS:
            monkeypatch.setattr(owner, name, self.counted(name, getattr(owner, name)))
        monkeypatch.setattr("spade_edu.checkpoints.save_file", self.counted("save_file", checkpoints_module.save_file))

    def counted(self, name, call):
        def request(*arguments, **options):
            self.left -= 1
            self.log.append((name, str(arguments[0])))
            if self.left <= 0:  # and after it: nothing is tidied up where the power is gone
                if name in ("save_file", "write_bytes"):  # half of it was written
                    call(*arguments, **options)
                    path = Path(arguments[1] if name == "save_file" else arguments[0])
                    os.truncate(path, path.stat().st_size // 2)
                raise PowerCutError
            return call(*arguments, **options)

        return request


def save(folder, step, value):
    """A checkpoint whose every number tells which save wrote it."""
    network = nn.Linear(2, 2)
    nn.init.constant_(network.weight, value)
    return save_checkpoint(folder, step, {"G": network}, {"value": value, "moment": torch.full((3,), value)})


def newest(folder):
    """What the newest checkpoint that can be read holds: (step, value); all its parts must be of one save."""
    for path in reversed(checkpoints(folder)):
        network = nn.Linear(2, 2)
        try:
            state = load_checkpoint(path, {"G": network})
        except CheckpointError:
            continue
        assert (network.weight == state["value"]).all() and (state["moment"] == state["value"]).all()
        return step_of(path), state["value"]
    return None


@pytest.mark.parametrize("step", [3, 2], ids=["the next step", "the same step again"])
def test_a_power_cut_at_any_point_of_a_save_leaves_the_old_or_the_new_checkpoint(tmp_path, step):
    old, new, last, seen = (2, 2.0), (step, 9.0), 1, []
    while True:
        folder = tmp_path / str(last)
        for before in (1, 2):
            save(folder, before, float(before))
        with pytest.MonkeyPatch.context() as patch:
            disk = Disk(patch, last)
            try:
                save(folder, step, 9.0)
            except PowerCutError:
                pass
            else:
                break
        seen.append(newest(folder))
        assert seen[-1] in (old, new), (last, disk.log[-1])
        sweep(folder)
        assert newest(folder) == seen[-1] and not list(folder.glob(".*"))
        save(folder, step + 1, 10.0)
        assert newest(folder) == (step + 1, 10.0)
        last += 1
    assert newest(folder) == new and not list(folder.glob(".*"))
    assert last > 20 and old in seen and new in seen


def test_everything_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    synced, fsync, replace = set(), os.fsync, os.replace

    def remember(descriptor):
        synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def check(source, target):
        files = [source, *Path(source).iterdir()] if Path(source).is_dir() else [source]
        assert all(os.stat(file).st_ino in synced for file in files), (source, target)
        replace(source, target)
        synced.discard(os.stat(Path(target).parent).st_ino)

    monkeypatch.setattr(os, "fsync", remember)
    monkeypatch.setattr(os, "replace", check)
    path = save(tmp_path / "c", 1, 1.0)
    write_whole(tmp_path / "d" / "a.txt", "a")
    for folder in (path.parent, tmp_path / "d"):
        assert os.stat(folder).st_ino in synced, "the new name itself"


def test_a_file_that_changed_after_it_was_written_is_named_and_the_one_before_is_read(tmp_path):
    """One bit of a weight: the file still opens, only its numbers are others."""
    save(tmp_path, 1, 1.0)
    path = save(tmp_path, 2, 2.0) / "G.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    load_weights(nn.Linear(2, 2), path)
    with pytest.raises(CheckpointError, match=r"0000002/G.safetensors is not as it was written"):
        load_checkpoint(path.parent, {"G": nn.Linear(2, 2)})
    assert newest(tmp_path) == (1, 1.0)


def test_steps_sort_as_numbers(tmp_path):
    for step in (9_999_998, 9_999_999, 10_000_000):
        save(tmp_path, step, 1.0)
    assert [step_of(path) for path in checkpoints(tmp_path)] == [9_999_999, 10_000_000]
