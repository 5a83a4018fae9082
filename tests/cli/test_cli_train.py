"""Train, resume and sample from the command line; a user's mistake gives one line and exit code 2."""

import json

import pytest
import torch

from spade_edu.cli import main
from spade_edu.cli.train import asked_device
from spade_edu.presets import PRESETS, preset


def run(*arguments):
    """Run the command line in this process; gives the exit code."""
    try:
        main([str(a) for a in arguments])
    except SystemExit as stop:
        return stop.code or 0
    return 0


def test_train_then_resume_then_sample(tmp_path, capsys):
    arguments = ("train", "--preset", "test", "--style", "--data", "streets", "--out", tmp_path / "run")
    assert run(*arguments) == 0
    first = (tmp_path / "run" / "metrics.csv").read_text()
    assert run(*arguments) == 0  # already at its end: nothing more to do
    assert (tmp_path / "run" / "metrics.csv").read_text() == first
    assert run("sample", tmp_path / "run", "--out", tmp_path / "s.png", "--count", 2, "--styles", 3) == 0
    assert (tmp_path / "s.png").stat().st_size > 0
    assert "3 image(s) a row" in capsys.readouterr().out


def test_every_setting_can_be_overridden_and_is_printed(tmp_path, capsys):
    settings = ["--set", "lr=0.001", "--set", "ttur=false", "--set", "epochs_decay=0"]
    assert run("train", "--preset", "test", "--model", "pix2pixhd", *settings, "--out", tmp_path) == 0
    stored = json.loads((tmp_path / "config.json").read_text())
    assert (stored["lr"], stored["ttur"], stored["epochs_decay"], stored["gan"]) == (0.001, False, 0, "lsgan")
    printed = capsys.readouterr().out
    assert all(name in printed for name in stored)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--preset", "huge"], "no preset 'huge'; there are: test, cpu, colab, paper"),
        (["--model", "cyclegan"], "no model 'cyclegan'"),
        (["--set", "lr"], "--set takes name=value"),
        (["--set", "gpu=9"], "there is no such setting; there are"),
        (["--set", "lr=fast"], "lr takes a number, not 'fast'"),
        (["--set", "height=40"], "must be multiples of 32; got 40x64"),
        (["--set", "batch_size=9"], "needs as many images, but there are only 8"),
        (["--data", "cityscapes", "--root", "nowhere"], "nowhere"),
        (["--device", "tpu"], "--device tpu: there is cpu"),
    ],
)
def test_a_mistake_gives_one_line_and_exit_code_2(tmp_path, capsys, arguments, words):
    assert run("train", "--preset", "test", "--out", tmp_path / "run", *arguments) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1 and error.startswith("spade-edu: ")


def test_what_apples_gpu_lacks_is_refused_by_name(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert run("train", "--preset", "test", "--out", tmp_path / "run", "--device", "mps", "--set", "fast=true") == 2
    assert "float64, which Apple's GPU doesn't have: add --set fast=false" in capsys.readouterr().err
    assert asked_device("mps", preset("test", fast=False)) == "mps"


def test_sample_of_a_folder_that_is_no_run(tmp_path, capsys):
    assert run("sample", tmp_path) == 2
    assert "is not a run folder" in capsys.readouterr().err


def test_presets_name_only_settings_that_exist():
    for name in PRESETS:
        for model in ("spade", "pix2pixhd", "pix2pixhd++"):
            assert preset(name, model).model == model
