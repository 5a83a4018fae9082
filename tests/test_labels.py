"""Label spaces, one-hot maps and instance edges."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spade_edu.labels import (
    CAMVID,
    CITYSCAPES,
    IGNORE,
    LabelClass,
    LabelError,
    LabelSpace,
    instance_edges,
    one_hot,
    resize_segmap,
)

THREE = LabelSpace("three", tuple(LabelClass(n, (i, 2 * i, 3 * i), i) for i, n in enumerate("abc")))
WITH_ALL = LabelSpace("all", THREE.classes, dont_care=True, instances=True)
maps = st.tuples(st.integers(1, 2), st.integers(1, 5), st.integers(1, 5), st.integers(0, 999))


def random_map(shape, high):
    *size, seed = shape
    return torch.randint(high, size, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=20, deadline=None)
@given(maps)
def test_one_hot_marks_each_pixel_once(shape):
    label = random_map(shape, 3)
    segmap = one_hot(label, 3)
    assert torch.equal(segmap.argmax(1), label) and torch.equal(segmap.sum(1), torch.ones(label.shape))


@settings(max_examples=30, deadline=None)
@given(maps)
def test_edges_where_any_of_four_neighbours_differs(shape):
    instance = random_map(shape, 3)
    n, h, w = instance.shape
    expected = torch.zeros(n, 1, h, w)
    for b in range(n):
        for y in range(h):
            for x in range(w):
                for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
                    inside = 0 <= y + dy < h and 0 <= x + dx < w  # nothing wraps around
                    if inside and instance[b, y + dy, x + dx] != instance[b, y, x]:
                        expected[b, 0, y, x] = 1
    assert torch.equal(instance_edges(instance), expected)


def test_channels_are_classes_then_dont_care_then_edges():
    label, instance = torch.tensor([[[0, 3]]]), torch.tensor([[[1, 2]]])
    segmap = WITH_ALL.encode(label, instance)
    assert WITH_ALL.num_channels == segmap.shape[1] == 5
    assert segmap[0, :, 0, 0].tolist() == [1, 0, 0, 0, 1] and segmap[0, :, 0, 1].tolist() == [0, 0, 0, 1, 1]


def test_channel_numbers_of_the_official_data_sets():
    assert (CITYSCAPES.num_classes, CITYSCAPES.num_channels) == (35, 36)
    assert (CAMVID.num_classes, CAMVID.num_channels) == (11, 12)
    assert len(CITYSCAPES.score_names) == 19 and CITYSCAPES.score_names[0] == "road"


@settings(max_examples=20, deadline=None)
@given(maps, st.integers(1, 3))
def test_nearest_resizing_keeps_one_class_a_pixel(shape, factor):
    segmap = one_hot(random_map(shape, 3), 3)
    h, w = segmap.shape[-2:]
    bigger = resize_segmap(segmap, (factor * h + 1, factor * w + 1))
    assert set(bigger.unique().tolist()) <= {0.0, 1.0} and torch.equal(bigger.sum(1), torch.ones_like(bigger[:, 0]))


@pytest.mark.parametrize("bad", [-1, 3, 255])
def test_an_id_outside_the_space_is_named(bad):
    with pytest.raises(LabelError, match=rf"0 to 2 \(three\), found {bad}\."):
        THREE.encode(torch.full((1, 2, 2), bad))


def test_missing_instances_and_empty_maps_are_refused():
    with pytest.raises(LabelError, match="instance"):
        WITH_ALL.encode(torch.zeros(1, 2, 2, dtype=torch.long))
    with pytest.raises(LabelError, match="empty"):
        THREE.check(torch.zeros(0, 2, dtype=torch.long))


def test_ids_by_name_and_scored_ids():
    assert CITYSCAPES.id("sky") == 23
    with pytest.raises(LabelError, match="skyy"):
        CITYSCAPES.id("skyy")
    assert CITYSCAPES.to_score_ids(torch.tensor([0, 7, 33])).tolist() == [IGNORE, 0, 18]
    assert CAMVID.to_score_ids(torch.tensor([11])).tolist() == [IGNORE]


def test_colours_follow_the_ids():
    assert CITYSCAPES.colourise(torch.tensor([[7]])).tolist() == [[[128, 64, 128]]]
    assert CAMVID.colourise(torch.tensor([[11]])).tolist() == [[[0, 0, 0]]]
