"""`spade-edu plan`: simulated memory against what a CPU really holds, and what fits where."""

import functools
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from spade_edu.cli import main
from spade_edu.config import TrainingConfig
from spade_edu.errors import UserError
from spade_edu.models import build
from spade_edu.presets import preset
from spade_edu.runs import plan
from spade_edu.training import Trainer

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from iteration import MeasuredTrainer, peak_bytes  # noqa: E402

SMALL = TrainingConfig(height=64, width=128, ngf=16, ndf=16, hidden_channels=64, lambda_vgg=0.0)


def measured(config, count):
    """Bytes that a step on the CPU holds at most, on top of what was there before it (torch's own profiler)."""
    trainer = MeasuredTrainer(config, 36, ("frozen D",), torch.device("cpu"))
    batch = {"segmap": torch.rand(count, 36, 64, 128), "image": torch.rand(count, 3, 64, 128)}
    trainer.timed_step(batch)
    for optimizer in (trainer.optimizer_g, trainer.optimizer_d):
        optimizer.zero_grad(set_to_none=True)
    return peak_bytes(trainer, batch)


@functools.cache
def simulated(**settings):
    return plan.simulate(replace(SMALL, **settings), 36, 2)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_simulated_memory_is_within_15_percent_of_a_real_steps(checkpointing):
    step = simulated(checkpointing=checkpointing)
    real = measured(replace(SMALL, checkpointing=checkpointing), 2)
    assert step.peak - step.resident == pytest.approx(real, rel=0.15)


def test_resident_memory_is_weights_and_two_moments():
    networks = build(SMALL, 36)
    numbers = sum(p.numel() for n in networks if n for p in n.parameters())
    assert simulated().resident == pytest.approx(3 * 4 * numbers, rel=0.05)


def test_checkpointing_and_16_bits_need_less():
    assert simulated(checkpointing=True).peak < 0.8 * simulated().peak
    assert simulated(precision="fp16").peak < simulated().peak


def linear(config, labels, count):
    """A network of 10 MB whose every image takes 3 MB."""
    return plan.Step(count, 10_000_000, 10_000_000 + 3_000_000 * count, 1000 * count)


@pytest.mark.parametrize("megabytes, expected", [(12.9, None), (13, 1), (18.9, 2), (19, 3), (10_000, 64)])
def test_the_largest_batch_fits_and_the_next_does_not(monkeypatch, megabytes, expected):
    monkeypatch.setattr(plan, "simulate", linear)
    found = plan.largest_batch(SMALL, 36, plan.ALLOWANCE + megabytes * 1e6)
    assert found == (expected and linear(None, None, expected))


def test_hours_follow_images_and_cards():
    step = plan.Step(4, 0, 0, 10**12)
    one = plan.hours(step, 2000, 1, 10)
    assert one == pytest.approx(500 * 1e12 / (10e12 * plan.USED) / 3600)
    assert plan.hours(step, 2000, 8, 10) == pytest.approx(one / 8)


def test_cards():
    assert plan.parse_card("t4")[:2] == ("T4", 16e9)
    assert plan.parse_card("11gb")[1] == 11e9
    for bad in ("GTX", "-3GB", "GB"):
        with pytest.raises(UserError, match="--gpu"):
            plan.parse_card(bad)


def test_the_command_prints_four_rows_and_says_what_is_estimated(capsys, monkeypatch):
    monkeypatch.setattr(plan, "simulate", linear)
    main(["plan", "--preset", "cpu", "--data", "streets"])
    text = capsys.readouterr().out
    assert len([line for line in text.splitlines() if line.startswith(("fp32", "fp16"))]) == 4
    assert "simulated" in text and "estimated" in text and "not measured" in text


@pytest.mark.parametrize("name", ["cpu", "colab", "paper"])
def test_a_whole_step_runs_on_the_meta_device(name):
    """A tensor made on the wrong device fails here as it would on a GPU."""
    config = replace(preset(name, style=True, lambda_vgg=0.0, precision="fp32"), batch_size=2)
    with torch.device("meta"):
        trainer = Trainer(*build(config, 36), config)
    batch = {"segmap": torch.zeros(2, 36, config.height, config.width, device="meta")}
    batch["image"] = torch.zeros(2, 3, config.height, config.width, device="meta")
    values = trainer.step_tensors(batch)
    assert set(values) == {"GAN", "GAN_Feat", "KLD", "D_Fake", "D_real"}
    assert all(value.device.type == "meta" for value in values.values())
