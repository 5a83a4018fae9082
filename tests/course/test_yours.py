"""Trainings of somebody's own networks: they go on as if never stopped, are scored, and stand on the board."""

import shutil
from pathlib import Path

import pytest
import torch
from torch import nn
from trees import camvid_small

from spade_edu import UserError
from spade_edu.course import start, yours
from spade_edu.pictures import to_uint8
from spade_edu.presets import preset
from spade_edu.sampling import to_batch

REFERENCE = Path(__file__).parents[2] / "solutions" / "my_spade.py"


@pytest.fixture(scope="module")
def lab():
    return start("11", profile="test")


class Painter(nn.Module):
    """A generator of one convolution, with a batch norm whose statistics belong to the state."""

    def __init__(self, width=3):
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(36), nn.Conv2d(36, width, 1)

    def forward(self, segmap):
        return torch.tanh(self.conv(self.norm(segmap)))[:, :3]


def training(lab, name="mine", *, width=3, judge=None, value=None):
    """A training whose steps draw random numbers, as a style encoder does."""
    torch.manual_seed(0)
    network = Painter(width)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)

    def steps(batches):
        for batch in batches:
            network.train()
            loss = (network(batch["segmap"]) - batch["image"] * torch.rand(())).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield {"L2": loss.item() if value is None else value}

    return yours.Training(name, lab, {"G": network}, [optimizer], steps, judge=judge)


def numbers(run):
    states = sorted(run.optimizers[0].state_dict()["state"].items())
    moments = [t for _, state in states for _, t in sorted(state.items())]
    return [*run.networks["G"].state_dict().values(), *moments]


def test_a_training_that_was_stopped_ends_with_the_same_weights(folder, lab, monkeypatch):
    monkeypatch.setattr(yours, "SAVED_EVERY", 5)  # eight images make an epoch of four steps
    whole = training(lab, "whole")
    whole.train(steps=13)
    training(lab, "stopped").train(steps=6)
    run = training(lab, "stopped")
    assert run.step == 6
    run.train(steps=13)
    for a, b in zip(numbers(whole), numbers(run), strict=True):
        assert torch.equal(a, b)
    assert list(whole.album) == [10, 13] and list(run.album) == [6, 10, 13]
    assert torch.equal(run.album[13], whole.album[13])


def test_a_killed_kernel_loses_the_steps_since_the_last_save_and_nothing_else(folder, lab, monkeypatch):
    monkeypatch.setattr(yours, "SAVED_EVERY", 4)
    run = training(lab)
    steps = run.steps

    def killed(batches):
        for number, losses in enumerate(steps(batches)):
            if number == 6:
                raise KeyboardInterrupt
            yield losses

    run.steps = killed
    with pytest.raises(KeyboardInterrupt):
        run.train(steps=9)
    again, whole = training(lab), training(lab, "whole")
    assert again.step == 4
    again.train(steps=9), whole.train(steps=9)
    assert all(torch.equal(a, b) for a, b in zip(numbers(again), numbers(whole), strict=True))


def test_what_has_its_steps_is_left_alone_and_short_ones_are_called_rough(folder, lab, capsys):
    run = training(lab)
    run.train(steps=2)
    assert "Pictures are rough below 200 steps" in capsys.readouterr().out
    before = [t.clone() for t in numbers(run)]
    run.train(steps=2)
    run.train(minutes=1e-9)
    assert capsys.readouterr().out.count("mine has 2 steps") == 2
    assert all(torch.equal(a, b) for a, b in zip(before, numbers(run), strict=True))
    run.train(minutes=1.0, steps=3)
    assert run.step == 3 and "1.0 minutes left" not in capsys.readouterr().err


def test_a_loss_that_is_no_number_stops_and_leaves_the_file(folder, lab):
    training(lab).train(steps=2)
    before = (folder / "my_runs" / "mine.safetensors").read_bytes()
    with pytest.raises(UserError, match="After step 3 L2 is nan"):
        training(lab, value=float("nan")).train(steps=4)
    assert (folder / "my_runs" / "mine.safetensors").read_bytes() == before


def test_a_state_of_other_networks_or_a_damaged_one_is_refused(folder, lab):
    training(lab).train(steps=1)
    with pytest.raises(UserError, match=r"other networks \(see G.conv.weight\)"):
        training(lab, width=4)
    path = folder / "my_runs" / "mine.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match="is not a training that was kept here"):
        training(lab)


def test_the_judges_scores_are_the_packages(folder, lab):
    scorer = yours.judge(lab)
    run = training(lab, judge=scorer)
    run.train(steps=25)
    assert [row["step"] for row in run.scores] == [25]
    expected = scorer.score(scorer.images(run.generator().eval()))
    assert run.scores[0]["miou"] == pytest.approx(expected.miou, abs=1e-4)
    assert run.scores[0]["accuracy"] == pytest.approx(expected.accuracy, abs=1e-4)
    (_, line) = yours.board().splitlines()
    assert line.split() == ["mine", "25", f"{run.seconds:.0f}", *line.split()[3:]]
    assert f"{100 * run.scores[0]['miou']:.1f} %" in line


def test_the_picture_holds_maps_paintings_and_targets(folder, lab):
    run = training(lab)
    run.train(steps=12)
    assert list(run.album) == [10, 12] and run.picture().size == (4 * 66 - 2, 4 * 34 - 2)
    segmap = to_batch(run.sample, lab.labels, torch.device("cpu"))["segmap"]
    with torch.no_grad():
        expected = to_uint8(run.networks["G"].eval()(segmap))
    assert torch.equal(run.album[12], expected)


def test_without_trainings_the_board_has_its_head_only(folder):
    assert yours.board().split() == ["steps", "seconds", "mIoU", "accuracy"]


def test_what_is_still_open_is_named(folder, cell, untried):
    from spade_edu.course import borrow, parts_file

    everything = yours.still_open()
    assert everything == list(parts_file.read_reference().parts)
    borrow(everything[0])
    written = parts_file.read_file(folder / "my_spade.py").parts
    assert written and yours.still_open() == [n for n in everything if n not in written]


def test_the_reference_is_tried_and_a_broken_part_named(folder, capsys, monkeypatch):
    shutil.copyfile(REFERENCE, folder / "my_spade.py")
    yours.try_file()
    assert "each step moves its own side only" in capsys.readouterr().out
    text = REFERENCE.read_text(encoding="utf-8")
    broken = text.replace("(1 + self.gamma(hidden)) * self.norm(x)", "self.gamma(hidden[:, 1:]) * self.norm(x)")
    assert broken != text
    (folder / "my_spade.py").write_text(broken)
    line = broken[: broken.index("self.gamma(hidden[:, 1:]) * self.norm(x)")].count("\n") + 1
    with pytest.raises(UserError, match=f"my_spade.py, line {line}, in SPADE"):
        yours.try_file()


def test_photographs_are_camvid_or_the_readers_or_none(folder, lab, capsys):
    assert yours.photographs(lab) is lab
    assert "No photographs here" in capsys.readouterr().out
    for split in ("train", "val"):
        camvid_small(folder / "datasets" / "camvid", split)
    found = yours.photographs(lab)
    assert (found.config.data, found.size, len(found.train)) == ("camvid", (96, 128), 3)
    batch = next(yours.batches(found.train, 2))
    assert batch["segmap"].shape == (2, found.labels.num_channels, 96, 128)
    own = folder / "own"
    shutil.copytree(folder / "datasets" / "camvid", own)
    (own / "classes.txt").write_text("\n".join(f"class {i}" for i in range(11)))
    assert yours.photographs(lab, own).config.data == "folder"


def test_batches_follow_from_the_seed_and_the_step(lab):
    stream = yours.batches(lab.train, 2, seed=1)
    ahead = [next(stream) for _ in range(6)]
    assert torch.equal(ahead[5]["image"], next(yours.batches(lab.train, 2, seed=1, start=5))["image"])
    drawn = torch.rand(())
    next(yours.batches(lab.train, 2, seed=1, start=5))
    assert torch.rand(()) == drawn
    epoch = torch.cat([batch["image"].mean((1, 2, 3)) for batch in ahead[:4]])
    assert len(epoch.unique()) == preset("test").images
    assert not torch.equal(ahead[0]["image"], next(yours.batches(lab.train, 2, seed=2))["image"])
