"""What earlier versions wrote is read by this one; fixtures/version_0_1/README.md says what it is."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from spade_edu import CITYSCAPES, SPADEGenerator, Trainer, latent_size
from spade_edu.checkpoints import load_weights
from spade_edu.checks import exercises, progress, scorecard
from spade_edu.cli import main

VERSION_0_1 = Path(__file__).parent / "fixtures" / "version_0_1"
SMALL = "--preset test --set images=20 --set ngf=1 --set ndf=1 --save-every 10"
TRAIN = {  # the commands that began the runs
    "spade": "--style --set hidden_channels=2 --set kernel_size=1 --set fast=true --set init_gain=1.0",
    "pix2pixhd": "--model pix2pixhd --set ema=0.9",
}
RENAMED: dict[str, str] = {}  # keys of evaluate's JSON: "scores.miou": "scores.what_it_is_called_now"
pytestmark = pytest.mark.filterwarnings("ignore:4 images for 160 features")


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A copy of what version 0.1 wrote, which is also the working folder."""
    monkeypatch.chdir(shutil.copytree(VERSION_0_1, tmp_path / "version_0_1"))
    return tmp_path / "version_0_1"


def rows(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def losses(row):
    return {name: float(value) for name, value in row.items() if name != "seconds"}


# Runs ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", TRAIN)
def test_a_run_goes_on_to_the_end_that_it_had(kept, run, monkeypatch):
    """metrics.csv still has the line of step 20, which the version that began the run computed."""
    then, steps, step_tensors = rows(kept / run / "metrics.csv"), [], Trainer.step_tensors
    monkeypatch.setattr(Trainer, "step_tensors", lambda self, batch: steps.append(1) or step_tensors(self, batch))
    main(["train", *SMALL.split(), *TRAIN[run].split(), "--out", run])
    now = rows(kept / run / "metrics.csv")
    assert len(steps) == 10 and now[0] == then[0], "begun again"
    assert [row["step"] for row in now] == ["10", "20"]
    assert losses(now[1]) == pytest.approx(losses(then[1]), rel=1e-3)
    assert (kept / run / "checkpoints" / "0000020" / "state.safetensors").exists()
    assert (kept / run / "samples" / "0000020.png").exists()


@pytest.mark.parametrize("run, columns", [("spade", 1 + 3), ("pix2pixhd", 1 + 1)])
def test_a_run_is_sampled(kept, run, columns, capsys):
    main(["sample", run, "--out", "samples.png", "--count", "2", "--styles", "3"])
    assert f"{columns - 1} image(s) a row" in capsys.readouterr().out
    width, height = Image.open("samples.png").size
    assert width >= columns * 64 and height >= 2 * 32


def keys(value, name=""):
    """The dotted names of all values in nested dicts and lists."""
    if isinstance(value, list):
        return set().union(*(keys(v, name) for v in value))
    if not isinstance(value, dict):
        return {name}
    return set().union(*(keys(v, f"{name}.{key}".strip(".")) for key, v in value.items()))


@pytest.mark.parametrize("run", TRAIN)
def test_a_run_is_scored_as_it_was_under_the_same_keys(kept, run):
    then = json.loads((kept / f"evaluate_{run}.json").read_text())
    (before,) = then["scores"]
    protocol = before["protocol"]["name"]  # named, as another may be the default by now
    main(["evaluate", "--run", run, "--count", "4", "--protocol", protocol, "--json", "now.json"])
    now = json.loads((kept / "now.json").read_text())
    assert {RENAMED.get(key, key) for key in keys(then)} <= keys(now)
    (after,) = now["scores"]
    if run == "pix2pixhd":  # it takes no noise, so how that is drawn from the seed has no say
        for figure in ("miou", "accuracy", "distance", "kernel"):
            assert after[figure] == pytest.approx(before[figure], rel=0.02), figure


def test_weights_are_read_and_are_the_runs(kept):
    def stored(path):
        size = dict(latent=latent_size((32, 64)), ngf=1, z_dim=4, kernel_size=1, hidden_channels=2)
        generator = SPADEGenerator(CITYSCAPES.num_channels, **size)
        load_weights(generator, path)
        return generator.state_dict()

    whole = stored(kept / "spade" / "checkpoints" / "0000010" / "G.safetensors")
    for name, half in stored(kept / "weights.safetensors").items():
        assert torch.equal(half, whole[name].half().to(half.dtype)), name


def test_the_cells_of_a_table_are_found_and_not_trained_again(kept, monkeypatch):
    monkeypatch.setattr(Trainer, "step_tensors", lambda *_: pytest.fail("trained again"))
    then = json.loads((kept / "reproduce" / "table3.json").read_text())
    main(["reproduce", "table3", "--preset", "test", "--seeds", "1", "--steps", "4", "--out", "reproduce"])
    assert json.loads((kept / "reproduce" / "table3.json").read_text())["rows"] == then["rows"]


# A student's work: exercises that were dropped since (as spade_cost is to be) are passed over ------------------------


def today():
    return {exercise.name for exercise in exercises()}


def solved():
    return {name for names in progress().stages.values() for name, done in names.items() if done}


def test_the_scorecard_opens_with_its_entries_and_keeps_them(kept, monkeypatch):
    entries = json.loads((kept / "spade_edu_progress.json").read_text())
    assert set(entries) == {"nearest_resize", "spade_cost", "spade_block"}
    assert solved() == set(entries) & today() >= {"nearest_resize", "spade_block"}
    monkeypatch.setattr(scorecard, "in_notebook", lambda: True)
    scorecard.record("one_hot", True)
    assert solved() == {*entries, "one_hot"} & today()
    assert json.loads((kept / "spade_edu_progress.json").read_text()) == entries | {"one_hot": True}


def test_a_hand_in_gets_the_grade_that_it_had(kept):
    then = {row["exercise"]: row["passed"] for row in rows(kept / "grades.csv") if row["exercise"] in today()}
    lasting = {"nearest_resize": "True", "spade_forward": "False", "clade_forward": "False", "spade_block": "True"}
    assert lasting.items() <= then.items()
    main(["grade", "hand_in", "--out", "now.csv"])
    now = {row["exercise"]: row for row in rows(kept / "now.csv")}
    assert {name: now[name]["passed"] for name in then} == then
    assert set(now["spade_forward"]) >= set(rows(kept / "grades.csv")[0])
    assert "1 +" in now["spade_forward"]["message"] and "Not started yet" in now["clade_forward"]["message"]
