import numpy as np
import pytest
import torch
import trees
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from spade_edu.data import DataError, FlickrLandscapes
from spade_edu.data.labelling import SHORTEST_SIDE, find_photographs, label_map, label_photographs
from spade_edu.evaluation.segmenters import Segmenter
from spade_edu.evaluation.segmenters.deeplab import DeepLab


class Small(nn.Module):
    """A random network from pictures to COCO-Stuff's 182 logits; remembers what it was shown."""

    def __init__(self):
        super().__init__()
        self.conv, self.seen = nn.Conv2d(3, 182, 3, padding=1), []

    def forward(self, image):
        self.seen.append(image)
        return self.conv(image)


class Halves(nn.Module):
    """Class 100 where a picture is dark, class 181 where it is bright."""

    def forward(self, image):
        bright = image.mean(1, keepdim=True)
        others = torch.full_like(bright, -9).repeat(1, 80, 1, 1)
        return torch.cat([others.repeat(1, 2, 1, 1)[:, :100], -bright, others, bright], 1)


def label(photos, out, segmenter=None, **options):
    return label_photographs(find_photographs(photos, out), out, segmenter or Small(), long_side=32, **options)


def half_bright(path, height=40, width=60, turned=False):
    """Dark on the left, bright on the right; or stored lying on its side with the camera's note of it."""
    array = np.zeros((height, width, 3), np.uint8)
    array[:, width // 2 :] = 255
    exif = Image.Exif()
    if turned:
        array = np.rot90(array).copy()
        exif[0x0112] = 6  # the viewer has to turn it clockwise
    return trees.save(path, array, exif=exif)


def test_the_reader_reads_what_was_written(tmp_path):
    for i, mode in enumerate([None, "L", "CMYK"]):
        trees.photo(tmp_path / f"mine/{i}.jpg", i, mode, height=30 + i, width=50)
    trees.photo(tmp_path / "mine/lake/3.png", 3, "RGBA")
    report = label(tmp_path / "mine", tmp_path / "set/train")
    assert report == (4, 0, [])
    dataset = FlickrLandscapes(tmp_path / "set", height=16, width=16)
    assert [pair.name for pair in dataset.pairs] == ["0", "1", "2", "lake/3"] and not dataset.incomplete
    assert all(int(sample.label.max()) < 182 for sample in dataset)
    assert len(dataset[0].label.unique()) > 1
    assert (tmp_path / "set/train/images/0.jpg").read_bytes() == (tmp_path / "mine/0.jpg").read_bytes()
    written = Image.open(tmp_path / "set/train/labels/2.png")
    assert written.mode == "L" and written.size == (50, 32)


@pytest.mark.parametrize("turned", [False, True])
def test_labels_lie_where_the_photograph_has_them(tmp_path, turned):
    half_bright(tmp_path / "mine/a.jpg", turned=turned)
    label(tmp_path / "mine", tmp_path / "set/val", Halves())
    dataset = FlickrLandscapes(tmp_path / "set", "val")
    photo, ids, _ = dataset.read(dataset.pairs[0])
    assert ids.shape == (40, 60) and set(np.unique(ids)) == {100, 181}
    assert ((ids == 181) == (np.array(photo)[..., 0] > 127)).mean() > 0.95


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(16, 64))
def test_the_network_sees_the_stated_size(height, width, long_side):
    network = Small()
    photo = Image.fromarray(trees.noise(0, height, width, channels=3).astype(np.uint8))
    ids = label_map(photo, network, long_side=long_side)
    assert ids.shape == (height, width) and ids.dtype == np.uint8
    n, channels, y, x = network.seen[0].shape
    assert (n, channels, max(y, x)) == (1, 3, long_side)
    assert min(y, x) == max(SHORTEST_SIDE, round(min(height, width) * long_side / max(height, width)))
    assert network.seen[0].min() >= -1 and network.seen[0].max() <= 1


def test_black_is_minus_one_and_white_is_one():
    network = Small()
    for grey in 0, 255:
        label_map(Image.new("RGB", (9, 9), (grey,) * 3), network, long_side=16)
    assert [float(image.mean()) for image in network.seen] == [-1, 1]


def test_deeplab_labels_the_flattest_photograph_it_is_shown():
    ids = label_map(Image.new("RGB", (90, 1), (200, 90, 30)), Segmenter(DeepLab()), long_side=64)
    assert ids.shape == (1, 90) and ids.max() < 182


def test_a_stopped_run_goes_on_and_keeps_what_is_there(tmp_path):
    for i in range(3):
        trees.photo(tmp_path / f"mine/{i}.jpg", i)

    def stopped(items):
        yield list(items)[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        label(tmp_path / "mine", tmp_path / "set", progress=stopped)
    corrected = trees.ids(tmp_path / "set/labels/0.png", 182).read_bytes()
    network = Small()
    assert label(tmp_path / "mine", tmp_path / "set", network) == (2, 1, [])
    assert len(network.seen) == 2 and (tmp_path / "set/labels/0.png").read_bytes() == corrected
    assert label(tmp_path / "mine", tmp_path / "set") == (0, 3, [])
    assert not list(tmp_path.rglob("*.part"))


def test_a_failing_network_leaves_no_label_map(tmp_path):
    trees.photo(tmp_path / "mine/a.jpg")

    def fails(image):
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError):
        label(tmp_path / "mine", tmp_path / "set", fails)
    assert not list(tmp_path.glob("set/labels/*"))
    assert label(tmp_path / "mine", tmp_path / "set") == (1, 0, [])


def test_photographs_may_lie_in_the_data_set_already(tmp_path):
    trees.photo(tmp_path / "train/images/a.jpg")
    assert label(tmp_path / "train/images", tmp_path / "train") == (1, 0, [])
    assert len(FlickrLandscapes(tmp_path)) == 1


def test_a_broken_photograph_is_named_and_the_others_go_on(tmp_path):
    whole = trees.photo(tmp_path / "mine/a.jpg").read_bytes()
    (tmp_path / "mine/b.jpg").write_bytes(whole[: len(whole) // 2])
    trees.photo(tmp_path / "mine/c.jpg")
    written, kept, problems = label(tmp_path / "mine", tmp_path / "set/train")
    assert (written, kept, len(problems)) == (2, 0, 1) and "b.jpg" in problems[0]
    assert [pair.name for pair in FlickrLandscapes(tmp_path / "set").pairs] == ["a", "c"]


def test_another_photograph_of_the_same_name_is_not_taken_for_labelled(tmp_path):
    trees.photo(tmp_path / "spring/IMG_0001.jpg", 1)
    trees.photo(tmp_path / "autumn/IMG_0001.jpg", 2)
    label(tmp_path / "spring", tmp_path / "set")
    written, kept, problems = label(tmp_path / "autumn", tmp_path / "set")
    assert (written, kept) == (0, 0) and "autumn" in problems[0] and "another photograph" in problems[0]


def test_mistakes_are_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="expected photographs .*jpg.* found none"):
        find_photographs(tmp_path / "empty", tmp_path / "set")
    with pytest.raises(DataError, match="is not a folder"):
        find_photographs(tmp_path / "nowhere", tmp_path / "set")
    with pytest.raises(DataError, match="lies inside"):
        find_photographs(tmp_path / "empty", tmp_path / "empty/set")
