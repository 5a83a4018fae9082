import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from spade_edu.data import DataError, JointTransform
from spade_edu.data.transforms import paper_load_size, preprocessed, resize_ids

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


# What each mode of the official code loads for a window of 16x16 (size 16, 286/256 of it 18), worked out by hand from
# its data/base_dataset.py: (height, width) of the picture -> of what the window is cut from.
# A number in the mode is load_size.
MODES = [
    ("auto", (24, 50), (16, 16)),
    ("fixed", (24, 50), (16, 16)),
    ("resize_and_crop", (24, 50), (18, 18)),
    ("crop", (24, 50), (24, 50)),
    ("scale_width", (50, 24), (33, 16)),
    ("scale_width_and_crop", (50, 24), (37, 18)),
    ("scale_width_and_crop", (24, 24), (18, 18)),
    ("scale_shortside", (24, 50), (16, 33)),
    ("scale_shortside", (50, 24), (33, 16)),
    ("scale_shortside_and_crop", (24, 50), (18, 37)),
    ("resize_and_crop 20", (24, 50), (20, 20)),
    ("scale_width_and_crop 40", (24, 50), (19, 40)),
    ("scale_shortside_and_crop 20", (24, 50), (20, 41)),
    ("scale_width 40", (24, 50), (19, 40)),
]


@pytest.mark.parametrize("mode, size, loaded", MODES)
def test_preprocess_modes_of_the_official_code(mode, size, loaded):
    ids = np.random.default_rng(3).integers(0, 256, size).astype(np.int32)
    name, _, load_size = mode.partition(" ")
    transform = preprocessed(JointTransform(16, 16, augment=True, flip=False), name, int(load_size or 0))
    whole = picture_of(ids).resize(loaded[::-1], Image.Resampling.BICUBIC)
    labels = Image.fromarray(ids).resize(loaded[::-1], Image.Resampling.NEAREST)
    places = set()
    for seed in range(40):
        image, label, _ = transform(picture_of(ids), ids, None, np.random.default_rng(seed))
        rng = np.random.default_rng(seed)
        y, x = int(rng.integers(loaded[0] - 15)), int(rng.integers(loaded[1] - 15))
        box = (x, y, x + 16, y + 16)
        assert np.array_equal(label, np.array(labels.crop(box)))
        assert np.array_equal(((image + 1) * 127.5).round().permute(1, 2, 0), np.array(whole.crop(box)))
        places.add((y, x))
    last = loaded[0] - 16, loaded[1] - 16
    assert [max(p[i] for p in places) > 0 for i in (0, 1)] == [side > 0 for side in last]


def test_a_picture_without_room_for_the_window_is_refused():
    ids = np.zeros((24, 50), np.int32)
    for mode, size in (("scale_width", (24, 50)), ("crop", (12, 50))):
        transform = preprocessed(JointTransform(16, 16, augment=True), mode)
        with pytest.raises(DataError, match=r"a window of 16x16 does not fit into (7x16|12x50)"):
            transform(picture_of(ids[: size[0]]), ids[: size[0]], None, np.random.default_rng(0))


@pytest.mark.parametrize("mode", ["auto", "fixed", "crop"])
def test_a_load_size_without_effect_is_refused(mode):
    with pytest.raises(DataError, match=f"load_size is for .* not for {mode}"):
        preprocessed(JointTransform(16, 16, augment=True), mode, 20)


def test_flips_can_be_left_out_and_windows_stay_the_same():
    ids = np.arange(20 * 20, dtype=np.int32).reshape(20, 20) % 251
    both = [JointTransform(16, 16, (20, 20), augment=True, flip=flip) for flip in (True, False)]
    mirrored = 0
    for seed in range(40):
        moved, straight = (t(picture_of(ids), ids, None, np.random.default_rng(seed))[1] for t in both)
        assert straight[0, 0] < straight[0, 1]
        mirrored += not torch.equal(moved, straight)
        assert torch.equal(moved.sort(1).values, straight.sort(1).values)
    assert 10 < mirrored < 30
