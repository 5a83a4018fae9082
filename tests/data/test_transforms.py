import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from spade_edu.data import DataError, JointTransform
from spade_edu.data.transforms import paper_load_size, resize_ids

SIZES = st.integers(1, 40)


def picture_of(ids):
    """A photograph whose red is the id, so that image and label can be compared pixel by pixel."""
    return Image.fromarray(np.stack([ids, 255 - ids, ids * 0], axis=-1).astype(np.uint8))


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES, SIZES, SIZES, st.booleans(), st.integers(0, 1000))
def test_all_three_get_the_asked_size_and_values_stay_in_range(h, w, height, width, augment, seed):
    ids = np.random.default_rng(seed).integers(0, 256, (h, w)).astype(np.int32)
    transform = JointTransform(height, width, paper_load_size(height, width), augment)
    image, label, instance = transform(picture_of(ids), ids, ids * 257, np.random.default_rng(seed))
    assert image.shape == (3, height, width)
    assert image.min() >= -1 and image.max() <= 1
    assert label.shape == instance.shape == (height, width)
    assert set(label.flatten().tolist()) <= set(ids.flatten().tolist())  # no id is invented
    assert torch.equal(instance, label * 257)  # label and instance take the same window, flip and pixels


@settings(max_examples=40, deadline=None)
@given(st.integers(4, 30), st.integers(4, 30), st.data())
def test_image_and_label_are_cut_and_flipped_alike(load_h, load_w, data):
    height, width = data.draw(st.integers(1, load_h)), data.draw(st.integers(1, load_w))
    ids = np.random.default_rng(0).integers(0, 256, (load_h, load_w)).astype(np.int32)
    transform = JointTransform(height, width, (load_h, load_w), augment=True)
    seed = data.draw(st.integers(0, 1000))
    image, label, _ = transform(picture_of(ids), ids, None, np.random.default_rng(seed))
    assert torch.equal(((image[0] + 1) * 127.5).round().int(), label)


def test_augmentation_flips_and_moves_and_is_decided_by_the_generator():
    ids = np.arange(20 * 20, dtype=np.int32).reshape(20, 20) % 251
    transform = JointTransform(16, 16, (20, 20), augment=True)
    labels = [transform(picture_of(ids), ids, None, np.random.default_rng(s))[1] for s in range(60)]
    corners = {int(label.min(dim=0).values[0]) for label in labels}
    flipped = [bool(label[0, 0] > label[0, 1]) for label in labels]
    assert len({tuple(label.flatten().tolist()) for label in labels}) > 20 and len(corners) > 3
    assert 15 < sum(flipped) < 45
    again = transform(picture_of(ids), ids, None, np.random.default_rng(7))[1]
    assert torch.equal(again, labels[7])


def test_without_augmentation_the_whole_picture_is_resized():
    ids = np.repeat(np.arange(4, dtype=np.int32), 8)[None].repeat(16, 0)
    transform = JointTransform(8, 16, (20, 40), augment=False)
    _, label, _ = transform(picture_of(ids), ids, None, np.random.default_rng(0))
    assert label[0].tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4


def test_images_are_antialiased():
    stripes = np.tile(np.array([0, 255], np.uint8), (32, 16))
    picture = Image.fromarray(np.stack([stripes] * 3, axis=-1))
    image, _, _ = JointTransform(8, 8)(picture, stripes.astype(np.int32), None, np.random.default_rng(0))
    assert image.abs().max() < 0.1  # mid grey; without antialiasing it would be black or white


def test_ids_are_those_under_the_centres():
    ids = np.arange(6, dtype=np.int32)[None]
    assert resize_ids(ids, 1, 3).tolist() == [[1, 3, 5]]
    assert resize_ids(ids * 30000, 1, 3).tolist() == [[30000, 90000, 150000]]  # beyond 16 bits


def test_paper_sizes():
    assert paper_load_size(256, 256) == (286, 286)
    assert paper_load_size(96, 128) == (107, 143)


@pytest.mark.parametrize("size, load", [((0, 8), None), ((8, -1), None), ((8, 8), (7, 9))])
def test_impossible_sizes_are_refused(size, load):
    with pytest.raises(DataError, match="expected|fit"):
        JointTransform(*size, load)
