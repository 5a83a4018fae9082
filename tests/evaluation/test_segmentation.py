import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex

from spade_edu.errors import UserError
from spade_edu.evaluation.segmentation import ConfusionMatrix, in_the_mean, pixel_accuracy


@st.composite
def maps(draw):
    """Random maps of a few classes: some absent from the target, some from the prediction, 255 strewn in."""
    classes = draw(st.integers(2, 8))
    g = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    target = torch.randint(0, draw(st.integers(1, classes)), shape, generator=g)
    prediction = torch.randint(draw(st.integers(0, classes - 1)), classes, shape, generator=g)
    ignored = draw(st.sampled_from([255, -1, 0, classes - 1]))
    target[torch.rand(shape, generator=g) < draw(st.sampled_from([0.0, 0.3]))] = ignored
    return classes, ignored, prediction, target


@settings(max_examples=60, deadline=None)
@given(maps())
def test_scores_equal_torchmetrics(case):
    classes, ignored, prediction, target = case
    ours = ConfusionMatrix(classes, ignored=(ignored,))
    ours.update(prediction, target)
    if bool((target == ignored).all()):
        assert math.isnan(ours.miou()) and math.isnan(ours.pixel_accuracy())
        return
    jaccard = MulticlassJaccardIndex(classes, average="macro", ignore_index=ignored)
    accuracy = MulticlassAccuracy(classes, average="micro", ignore_index=ignored)
    assert ours.miou("skip") == pytest.approx(jaccard(prediction, target).item(), abs=1e-6)
    assert ours.pixel_accuracy() == pytest.approx(accuracy(prediction, target).item(), abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(maps())
def test_batches_add_up(case):
    classes, ignored, prediction, target = case
    whole, parts = ConfusionMatrix(classes, [ignored]), ConfusionMatrix(classes, [ignored])
    whole.update(prediction, target)
    for p, t in zip(prediction, target):
        parts.update(p, t)
    assert torch.equal(whole.counts, parts.counts)


def test_absent_classes_by_hand():
    # class 0: 2 right of 3; class 1: predicted once, never there; class 2: neither; class 3: 1 right of 1
    confusion = ConfusionMatrix(4, ignored=(255,))
    confusion.update(torch.tensor([0, 0, 1, 3, 2]), torch.tensor([0, 0, 0, 3, 255]))
    assert confusion.counts.dtype == torch.int64
    assert torch.allclose(confusion.iou(), torch.tensor([2 / 3, 0, math.nan, 1]).double(), equal_nan=True)
    assert confusion.miou("skip") == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert confusion.miou("gt") == pytest.approx((2 / 3 + 1) / 2)
    assert confusion.miou("zero") == pytest.approx((2 / 3 + 0 + 0 + 1) / 4)
    assert confusion.pixel_accuracy() == pytest.approx(3 / 4)
    assert confusion.pixel_accuracy_with_void() == pytest.approx(3 / 5)


def test_void_turns_the_accuracy_of_issue_100_into_the_published_one():
    """Cityscapes' validation split: 131,939,472 of 500 x 1024 x 2048 = 1,048,576,000 pixels are void."""
    void, everything = 131_939_472, 500 * 1024 * 2048
    counted = everything - void
    right = round(0.935 * counted)
    hits, there = torch.tensor([right, 0]), torch.tensor([counted, 0])
    assert pixel_accuracy(hits, there, there).item() == pytest.approx(0.935)
    assert pixel_accuracy(hits, there, there, void).item() == pytest.approx(0.817, abs=5e-4)


def test_rare_classes_are_left_out_of_the_mean():
    target = torch.zeros(400, dtype=torch.long)
    target[:1], target[1:3], target[3:9] = 1, 2, 3  # 0.25 %, 0.5 % and 1.5 % of the pixels
    confusion = ConfusionMatrix(5, ignored=(255,))
    confusion.update(torch.where(target == 2, 4, target), target)  # class 2 is never found, class 4 found wrongly
    expected = [True, False, True, True, False]
    assert in_the_mean(*confusion.tallies()[1:], "rare").tolist() == expected
    assert confusion.miou("rare") == pytest.approx((1 + 0 + 1) / 3)


def test_bytes_and_large_counts():
    confusion = ConfusionMatrix(150, ignored=(255,))
    confusion.update(torch.full((4, 4), 149, dtype=torch.uint8), torch.full((4, 4), 149, dtype=torch.uint8))
    assert confusion.counts[149, 149] == 16 and confusion.counts.sum() == 16


@pytest.mark.parametrize("absent", ["skip", "gt", "zero", "rare"])
def test_nothing_counted_is_nan(absent):
    confusion = ConfusionMatrix(3, ignored=(255,))
    confusion.update(torch.zeros(2, 2, dtype=torch.long), torch.full((2, 2), 255))
    assert math.isnan(confusion.miou(absent))


def test_void_that_nobody_named_is_an_error():
    with pytest.raises(UserError, match="255.*[Ii]gnored"):
        ConfusionMatrix(19).update(torch.zeros(2, dtype=torch.long), torch.tensor([0, 255]))
    with pytest.raises(UserError, match="prediction"):
        ConfusionMatrix(2).update(torch.tensor([2]), torch.tensor([0]))
    with pytest.raises(UserError, match="absent"):
        ConfusionMatrix(2).miou("none")
