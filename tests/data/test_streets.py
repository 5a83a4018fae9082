"""Streets: deterministic scenes in Cityscapes' ids and layout, whose style the labels don't tell."""

import hashlib
import json

import numpy as np
import pytest
import torch

from spade_edu import CITYSCAPES
from spade_edu.data import Cityscapes, DataError
from spade_edu.data.streets import STYLES, Streets, render, write

FROZEN_LABELS = "8439cb3b39da9d80"


@pytest.fixture(scope="module")
def scenes():
    return [render(0, index, 64, 128) for index in range(30)]


def test_a_scene_follows_from_seed_and_index():
    one, two, other = render(3, 5, 32, 64), render(3, 5, 32, 64), render(3, 6, 32, 64)
    assert all(np.array_equal(a, b) for a, b in zip(one[:3], two[:3])) and one.style == two.style
    assert not np.array_equal(one.label, other.label)


def test_streets_are_frozen():
    """Stored weights and notebooks are built on these very pixels; a change of Streets must change them all."""
    digest = hashlib.sha256()
    for index in range(5):
        digest.update(render(0, index, 64, 128, STYLES[index]).label.tobytes())
    assert digest.hexdigest()[:16] == FROZEN_LABELS


@pytest.mark.parametrize("size", [(32, 64), (64, 128), (96, 128)])
def test_every_size_shows_the_same_layout(size):
    """Shrunk to 16x32 by nearest neighbour, layouts of two sizes agree nearly everywhere."""
    reference, label = render(1, 2, 128, 256).label, render(1, 2, *size).label
    rows, columns = (np.arange(n) + 0.5 for n in (16, 32))

    def shrink(a):
        y, x = (rows * a.shape[0] / 16).astype(int), (columns * a.shape[1] / 32).astype(int)
        return a[y][:, x]

    assert (shrink(reference) == shrink(label)).mean() > 0.8


def test_the_style_changes_the_picture_but_not_the_labels():
    shown = [render(0, 7, 64, 128, style) for style in STYLES]
    assert all(np.array_equal(scene.label, shown[0].label) for scene in shown)
    assert all(np.array_equal(scene.instance, shown[0].instance) for scene in shown)
    means = [scene.image.mean((0, 1)) for scene in shown]
    assert min(np.abs(a - b).max() for i, a in enumerate(means) for b in means[:i]) > 5


def test_all_styles_occur_and_are_recorded(scenes):
    assert {scene.style for scene in scenes} == set(STYLES)


def test_at_least_fourteen_classes_occur(scenes):
    found = {CITYSCAPES.names[i] for scene in scenes for i in np.unique(scene.label)}
    assert len(found) >= 14
    assert {"road", "sidewalk", "building", "pole", "vegetation", "sky", "person", "car", "rider", "bicycle"} <= found


def test_instances_follow_cityscapes_rule(scenes):
    things = {CITYSCAPES.id(n) for n in ("person", "rider", "car", "truck", "bus", "motorcycle", "bicycle")}
    several = 0
    for scene in scenes:
        for i in np.unique(scene.instance):
            pixels = scene.label[scene.instance == i]
            kind = int(i) // 1000 if i >= 1000 else int(i)
            assert (pixels == kind).all()
            assert (kind in things) == (i >= 1000)
        several += len(np.unique(scene.instance[scene.label == CITYSCAPES.id("car")])) > 1
    assert several > 10  # most streets have more than one car


def test_samples_have_the_promised_form():
    sample = Streets(3, height=32, width=64)[1]
    assert sample.label.dtype == torch.int64 and sample.instance.dtype == torch.int32
    assert sample.image.shape == (3, 32, 64) and sample.image.min() >= -1 and sample.image.max() <= 1
    assert sample.style in STYLES


def test_splits_share_no_scene():
    labels = [Streets(2, split=split, height=32, width=64)[0].label for split in ("train", "val", "test")]
    assert not any(torch.equal(a, b) for i, a in enumerate(labels) for b in labels[:i])


def test_augmentation_flips_all_three_together_and_follows_from_the_epoch():
    plain, augmented = Streets(8, height=32, width=64), Streets(8, height=32, width=64, augment=True)
    flips = {}
    for epoch in (1, 2):
        augmented.set_epoch(epoch)
        flips[epoch] = []
        for i in range(8):
            a, b = plain[i], augmented[i]
            flipped = not torch.equal(a.image, b.image)
            expected = [t.flip(-1) if flipped else t for t in (a.label, a.instance, a.image)]
            assert all(torch.equal(x, y) for x, y in zip(expected, (b.label, b.instance, b.image)))
            flips[epoch].append(flipped)
        augmented.set_epoch(epoch)
        assert flips[epoch] == [not torch.equal(plain[i].image, augmented[i].image) for i in range(8)]
    assert flips[1] != flips[2] and 0 < sum(flips[1] + flips[2]) < 16


def test_written_scenes_are_read_by_torchvision_and_by_our_reader(tmp_path):
    from torchvision.datasets import Cityscapes as Torchvision

    write(tmp_path, train=3, val=2, height=32, width=64)
    for split, count in (("train", 3), ("val", 2)):
        theirs = Torchvision(str(tmp_path), split, mode="fine", target_type=["semantic", "instance"])
        ours = Cityscapes(tmp_path, split, height=32, width=64)
        assert len(theirs) == len(ours) == count
        names = [path.split("/")[-1].removesuffix("_leftImg8bit.png") for path in theirs.images]
        for i in range(count):
            image, (label, instance) = theirs[i]
            mine = next(ours[k] for k in range(count) if names[i] in ours[k].name)
            assert np.array_equal(np.asarray(label), mine.label.numpy())
            assert np.array_equal(np.asarray(instance), mine.instance.numpy())
            shown = ((mine.image + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
            assert np.array_equal(np.asarray(image), shown)


def test_writing_goes_on_where_it_stopped_and_leaves_no_parts(tmp_path):
    write(tmp_path, train=2, val=0, height=32, width=64)
    image, other = sorted(tmp_path.rglob("*_leftImg8bit.png"))
    content = image.read_bytes()
    other.unlink()
    stamp = image.stat().st_mtime_ns
    write(tmp_path, train=2, val=0, height=32, width=64)
    assert other.exists() and image.read_bytes() == content and image.stat().st_mtime_ns == stamp
    assert not list(tmp_path.rglob("*.part"))
    style = json.loads(next(tmp_path.rglob("*_style.json")).read_text())["style"]
    assert style in STYLES


@pytest.mark.parametrize("make", [lambda: Streets(2, split="holdout"), lambda: render(0, 0, 32, 64, "fog")])
def test_names_that_do_not_exist_are_refused(make):
    with pytest.raises(DataError, match="Streets has no"):
        make()


def test_the_classes_that_scenes_show_are_named():
    """The painter marks all others as never seen: none of them may occur, and none that does may be left out."""
    streets = Streets(60)
    found = {Streets.labels.names[i] for n in range(60) for i in streets[n].label.unique().tolist()}
    assert found == set(Streets.shows)
