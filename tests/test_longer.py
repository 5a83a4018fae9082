"""A finished run goes on for more epochs at the last learning rate; config.json keeps both ends."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import trees
from test_runs import final_weights

from spade_edu import TrainingConfig
from spade_edu.cli import main
from spade_edu.runs.longer import with_epochs

TRAIN = ["train", "--preset", "test", "--data", "folder", "--root", "set", "--set", "batch_size=2", "--save-every", "2"]
CODE = str(Path(__file__).parents[1] / "solutions" / "my_spade.py")


@pytest.fixture
def train(tmp_path, monkeypatch, capsys):
    """Train on four pairs, two steps an epoch, 1 + 1 epochs; gives exit code, output and message."""
    monkeypatch.chdir(tmp_path)
    for split in "train", "val":
        for i in range(4):
            trees.photo(Path("set", split, "images", f"{i}.jpg"), i)
            trees.ids(Path("set", split, "labels", f"{i}.png"), 3, i)
    Path("set/classes.txt").write_text("sky\nroad\ncar\n")

    def train(out, *more):
        try:
            main([*TRAIN, "--out", out, *more])
            code = 0
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return train


def ends(out):
    stored = json.loads(Path(out, "config.json").read_text())
    return stored["epochs"], stored["epochs_decay"], stored["epochs_more"]


def same(one, other):
    one, other = final_weights(Path(one)), final_weights(Path(other))
    return all(torch.equal(value, other[file][name]) for file in one for name, value in one[file].items())


@pytest.mark.parametrize("more", [["--set", "ema=0.9", "--style"], ["--model", "pix2pixhd"], ["--code", CODE]])
def test_a_finished_run_goes_on_to_the_weights_of_one_that_was_asked_for_all_at_once(train, more):
    assert train("whole", *more, "--epochs", "4")[0] == 0
    code, out, _ = train("parts", *more)
    assert code == 0 and "Done: 4 steps" in out and "schedule ends" not in out and ends("parts") == (1, 1, 0)
    code, out, _ = train("parts", *more, "--epochs", "4")
    assert code == 0 and "Done: 8 steps" in out and ends("parts") == ends("whole") == (1, 1, 2)
    assert "ends after epoch 2. Epochs 3 to 4 run at its last learning rate, 1 of the first" in out
    assert same("whole", "parts")


def test_the_same_command_without_the_option_keeps_the_later_end(train):
    train("run", "--epochs", "3")
    shutil.rmtree(sorted(Path("run/checkpoints").iterdir())[-1])  # killed before its end
    code, out, _ = train("run")
    assert code == 0 and "Done: 6 steps" in out and ends("run") == (1, 1, 1)


def test_an_end_is_moved_again_and_never_back(train):
    train("run", "--epochs", "3")
    code, _, message = train("run", "--epochs", "2")
    assert code == 2 and "holds a run of 3 epochs in all, now they are 2: give --epochs 3 or more" in message
    assert ends("run") == (1, 1, 1)
    assert train("run", "--epochs", "4")[0] == 0 and ends("run") == (1, 1, 2)


def test_a_run_of_an_earlier_version_goes_on(train):
    train("run")
    path = Path("run/config.json")
    stored = json.loads(path.read_text())
    del stored["epochs_more"]
    path.write_text(json.dumps(stored))
    code, out, _ = train("run", "--epochs", "3")
    assert code == 0 and "Done: 6 steps" in out and ends("run") == (1, 1, 1)


@pytest.mark.parametrize(("epochs", "decay", "last"), [(4, 0, 1.0), (0, 4, 0.25), (100, 100, 0.01), (1, 1, 1.0)])
def test_the_rate_after_the_schedule_is_its_last(epochs, decay, last):
    """Without decay there was no rate to keep: from the second epoch after the end on it would have been negative."""
    plain = TrainingConfig(epochs=epochs, epochs_decay=decay)
    longer = with_epochs(plain, Path("nowhere"), epochs + decay + 30)
    factors = [longer.lr_factor(epoch) for epoch in range(1, longer.epochs_in_all + 1)]
    assert factors[: epochs + decay] == [plain.lr_factor(e) for e in range(1, epochs + decay + 1)]
    assert set(factors[epochs + decay :]) == {factors[epochs + decay - 1]} and factors[-1] == pytest.approx(last)
