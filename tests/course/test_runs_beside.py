"""Runs of others under runs/, beside a notebook, stop nothing."""

import json
import os
from dataclasses import asdict

import pytest

from spade_edu.checkpoints import save_checkpoint
from spade_edu.course.runs_folder import newest_run
from spade_edu.labels import CITYSCAPES
from spade_edu.models import build
from spade_edu.presets import preset

CONFIG = preset("test", data="streets")
FOREIGN = {
    "another project": b'{"learning_rate": 0.1, "model": "resnet"}',
    "broken JSON": b'{"lr": 0.1',
    "a list": b"[1, 2]",
    "a number": b"3",
    "Latin-1": b'{"data": "Stra\xdfe"}',
    "empty": b"",
    "brackets": b"[" * 100_000,
    "a wrong kind": b'{"ngf": "many"}',
}


def own_run(folder):
    """A run with untrained weights."""
    networks = build(CONFIG, CITYSCAPES)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(asdict(CONFIG)))
    save_checkpoint(folder / "checkpoints", 1, {"G": networks.generator, "D": networks.discriminator}, {"step": 1})


@pytest.mark.parametrize("case", FOREIGN)
def test_a_foreign_run_is_passed_over(tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "runs/other"
    (other / "checkpoints/last").mkdir(parents=True)
    (other / "checkpoints/0000009").mkdir()
    (other / "config.json").write_bytes(FOREIGN[case])
    assert newest_run("spade", CONFIG) is None
    own_run(tmp_path / "runs/mine")
    os.utime(tmp_path / "runs/mine/checkpoints/0000001", (0, 0))  # older than the other
    assert newest_run("spade", CONFIG).name == "mine"


def test_folders_in_the_place_of_files_are_passed_over(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs/other/config.json").mkdir(parents=True)
    own_run(tmp_path / "runs/mine")
    (tmp_path / "runs/new/checkpoints").mkdir(parents=True)
    (tmp_path / "runs/new/config.json").write_text(json.dumps(asdict(CONFIG)))
    assert newest_run("spade", CONFIG).name == "mine"
