"""The small trainings of stage 06: alike but for one fault each, and points that can be counted."""

import pytest
import torch

from spade_edu.course import clinic


def step_of(kind):
    """What a Trainer of a kind does in its first step."""
    trainer, moves = clinic.make_trainer(kind, 0, lambda_vgg=0.0), []
    before = [p.clone() for p in trainer.generator.parameters()]
    trainer.optimizer_d.register_step_post_hook(lambda *_: moves.append(1))
    trainer.step(next(clinic.batches(0)))
    moved = any(not torch.equal(a, p) for a, p in zip(before, trainer.generator.parameters()))
    ratio = trainer.optimizer_d.param_groups[0]["lr"] / trainer.optimizer_g.param_groups[0]["lr"]
    right = bool(trainer.gan_generator([[torch.tensor([1.0])]]) < 0)
    return {"right sign": right, "moved": moved, "ratio": ratio, "moves of D": len(moves)}


@pytest.fixture(autouse=True)
def _few_scenes(monkeypatch):
    monkeypatch.setattr(clinic, "SCENES", 4)


@pytest.mark.parametrize(
    "kind, fault",
    [
        ("healthy", {}),
        ("patient 1", {"right sign": False}),
        ("patient 2", {"moved": False}),
        ("patient 3", {"ratio": 200}),
        ("patient 4", {"moves of D": 5}),
    ],
)
def test_each_patient_has_its_one_fault(kind, fault):
    healthy = {"right sign": True, "moved": True, "ratio": 4, "moves of D": 1}
    assert step_of(kind) == pytest.approx(healthy | fault)


def test_all_start_alike_and_see_the_same_batches():
    a, b = (clinic.make_trainer(kind, 1).generator.state_dict() for kind in ("healthy", "patient 3"))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert torch.equal(next(clinic.batches(1))["image"], next(clinic.batches(1))["image"])
    assert not torch.equal(next(clinic.batches(1))["image"], next(clinic.batches(2))["image"])


def test_a_training_gives_its_losses_and_paints_unseen_maps():
    trainer, curves = clinic.train("healthy", 0, 2, lambda_vgg=0.0)
    assert {name: len(values) for name, values in curves.items()} == dict.fromkeys(
        ["GAN", "GAN_Feat", "D_Fake", "D_real"], 2
    )
    assert clinic.paint(trainer.generator, clinic.unseen()).shape == (2, 3, clinic.HEIGHT, clinic.WIDTH)
    assert trainer.generator.training


def test_points_count_for_the_nearest_spot():
    assert clinic.largest_share(clinic.centres()) == 1 / 8
    assert clinic.largest_share(clinic.spots(1).expand(400, 2)) == 1
    assert 1 / 8 < clinic.largest_share(clinic.spots(400)) < 0.2


def test_patient_5_trains():
    points, curves = clinic.patient_5(0, steps=3)
    assert points.shape == (400, 2) and [len(values) for values in curves.values()] == [3, 3, 3]
