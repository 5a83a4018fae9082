"""The Streets judge and the second opinion: shapes, stored weights, and that the judge reads more than colours."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spade_edu import CITYSCAPES
from spade_edu.data.base import stack
from spade_edu.data.streets import Streets
from spade_edu.evaluation.train_judge import confusion, train_segmenter
from spade_edu.pretrained import judge as judge_module
from spade_edu.pretrained.judge import (
    ASSETS,
    NUM_CLASSES,
    Judge,
    SecondOpinion,
    load_judge,
    load_second_opinion,
    trained_at,
)


@pytest.fixture(scope="module")
def real():
    return Streets(24, split="val")


@settings(max_examples=8, deadline=None)
@given(height=st.integers(8, 40), width=st.integers(8, 70))
def test_both_answer_at_any_size(height, width):
    image = torch.rand(2, 3, height, width) * 2 - 1
    assert Judge().eval()(image).shape == (2, NUM_CLASSES, height, width)
    assert SecondOpinion().eval().logits(image).shape == (2, NUM_CLASSES, height, width)


def test_features_are_one_vector_per_image_and_do_not_depend_on_the_batch():
    judge, image = Judge().eval(), torch.rand(3, 3, 64, 128) * 2 - 1
    features = judge.features(image)
    assert features.shape[0] == 3 and 64 <= features.shape[1] <= 512
    torch.testing.assert_close(judge.features(image[1:2])[0], features[1], atol=1e-5, rtol=1e-4)


def test_the_second_opinion_has_five_maps_of_falling_resolution_with_a_weight_each():
    network = SecondOpinion().eval()
    maps = network(torch.rand(1, 3, 64, 128))
    areas = [m.shape[2] * m.shape[3] for m in maps]
    assert len(maps) == len(network.weights) == 5 and areas == sorted(areas, reverse=True)
    assert areas[0] >= 32 * areas[-1]


def test_the_two_networks_share_no_weights():
    judge, second = load_judge().state_dict(), load_second_opinion().state_dict()
    shapes = {tuple(v.shape): k for k, v in judge.items() if v.dim() == 4}
    same = [k for k, v in second.items() if tuple(v.shape) in shapes and torch.equal(v, judge[shapes[tuple(v.shape)]])]
    assert not same


def test_stored_weights_are_small_frozen_and_in_evaluation_mode():
    for network in (load_judge(), load_second_opinion()):
        assert not network.training and not any(p.requires_grad for p in network.parameters())
    assert sum((ASSETS / f"{n}.safetensors").stat().st_size for n in ("judge", "second_opinion")) < 3 * 2**20


def test_the_stored_judge_reads_real_scenes(real):
    """Its bound over 200 scenes is in the course; over these few it must come near."""
    matrix = confusion(load_judge(), real)
    assert matrix.pixel_accuracy() > 0.93
    iou = dict(zip(CITYSCAPES.score_names, matrix.iou().tolist()))
    assert min(iou[n] for n in ("road", "building", "sky", "car", "vegetation")) > 0.8


def test_the_judge_needs_more_than_colours(real):
    """With its pixels shuffled an image keeps every colour, and the judge must lose most of what it knew."""

    class Shuffled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.judge, self.order = load_judge(), torch.randperm(64 * 128)

        def forward(self, image):
            mixed = image.flatten(2)[..., self.order].unflatten(2, (64, 128))
            answer = torch.empty(*image.shape[:1], NUM_CLASSES, 64 * 128)
            answer[..., self.order] = self.judge(mixed).flatten(2)
            return answer.unflatten(2, (64, 128))

    assert confusion(Shuffled(), real).miou() < confusion(load_judge(), real).miou() - 0.3


def test_training_learns_and_ignores_unscored_pixels():
    """A few steps on four scenes must beat the commonest class; ids without a score give no gradient."""
    scenes, network = Streets(4, height=32, width=64), Judge(widths=(8, 16))
    before = confusion(network.eval(), scenes).pixel_accuracy()
    train_segmenter(network, scenes, steps=40, batch_size=4)
    target = CITYSCAPES.to_score_ids(stack([scenes[i] for i in range(4)]).label)
    commonest = max((target == c).sum() for c in range(NUM_CLASSES)) / (target < NUM_CLASSES).sum()
    assert confusion(network, scenes).pixel_accuracy() > max(before, commonest.item()) + 0.1


def test_a_size_without_networks_of_its_own_has_those_of_64x128(tmp_path, monkeypatch):
    monkeypatch.setattr(judge_module, "ASSETS", tmp_path)
    assert trained_at("judge", (96, 192)).name == "judge.safetensors"
    (tmp_path / "judge_96x192.safetensors").touch()
    assert trained_at("judge", (96, 192)).name == "judge_96x192.safetensors"
    assert trained_at("judge", (64, 128)).name == "judge.safetensors"
