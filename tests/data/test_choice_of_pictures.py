"""The official options that choose training pictures: max_dataset_size, no_instance, no_flip, the portrait folders."""

import numpy as np
import pytest
import torch
import trees

from spade_edu.config import TrainingConfig
from spade_edu.data import DataError, open_splits
from spade_edu.errors import UserError

SIZE = {"height": 12, "width": 24}


def splits(data, root, **settings):
    return open_splits(TrainingConfig(data=data, root=str(root), **SIZE, **settings))


def cityscapes(root):
    trees.cityscapes(root, "train", each=3)
    return trees.cityscapes(root, "val")


def coco(root, instances=True):
    """The layout of the official code, with two pictures in each portrait folder."""
    for kind, count in (("", 4), ("_portrait", 2)):
        trees.coco(root, f"train_img{kind}", f"train_label{kind}", count)
        for i in range(count if instances else 0):
            trees.ids(root / f"train_inst{kind}" / f"{i:012d}.png", 1200, i)
    trees.coco(root, "val_img", "val_label")
    for i in range(4 if instances else 0):
        trees.ids(root / f"val_inst/{i:012d}.png", 1200, i)
    return root


@pytest.mark.parametrize("most, left", [(0, 6), (4, 4), (99, 6)])
def test_the_first_by_name_are_left(tmp_path, most, left):
    training, validation, _, line = splits("cityscapes", cityscapes(tmp_path), max_dataset_size=most)
    names = sorted(f"{city}/{city}_{i:06d}_000019" for city in ("aachen", "ulm") for i in range(3))
    assert [pair.name for pair in training.pairs] == names[:left] and len(validation) == 4
    assert ("Trained on: 4." in line) == (left == 4)


def test_of_streets_the_first_scenes_are_left():
    whole, few = (splits("streets", "", images=5, max_dataset_size=most).training for most in (0, 2))
    assert (len(whole), len(few)) == (5, 2)
    with pytest.raises(IndexError):
        few[2]


@pytest.mark.parametrize("data", ["cityscapes", "streets"])
def test_without_edges_the_segmap_is_the_classes_alone(tmp_path, data):
    root = cityscapes(tmp_path) if data == "cityscapes" else ""
    whole, bare = (splits(data, root, images=4, edges=edges) for edges in (True, False))
    for with_edges, without in ((whole.training, bare.training), (whole.validation, bare.validation)):
        one, two = with_edges[0], without[0]
        assert (with_edges.labels.num_channels, without.labels.num_channels) == (36, 35)
        segmap = with_edges.labels.encode(one.label[None], one.instance[None])
        assert torch.equal(without.labels.encode(two.label[None], None), segmap[:, :35])
        assert torch.equal(one.image, two.image)


def test_without_edges_no_instance_map_has_to_be_there(tmp_path):
    root = coco(tmp_path, instances=False)
    training = splits("coco-stuff", root, edges=False).training
    assert len(training) == 4 and training[0].instance is None and training.labels.num_channels == 183
    with pytest.raises(DataError, match="spade-edu data instances"):
        splits("coco-stuff", root)


@pytest.mark.parametrize("data", ["cityscapes", "streets"])
def test_without_flips_training_pictures_are_as_they_are(tmp_path, data):
    root = cityscapes(tmp_path) if data == "cityscapes" else ""
    mirrored, straight = (splits(data, root, images=6, flip=flip).training for flip in (True, False))
    for epoch in range(1, 4):
        mirrored.set_epoch(epoch), straight.set_epoch(epoch)
        pairs = [(a.label, b.label) for a, b in zip(mirrored, straight)]
        assert all(torch.equal(a, b) or torch.equal(a, b.flip(-1)) for a, b in pairs)
        assert not all(torch.equal(a, b) for a, b in pairs)
    straight.set_epoch(1)
    first = straight[0].label
    straight.set_epoch(2)
    assert torch.equal(straight[0].label, first)


def test_the_portrait_folders_are_trained_on_where_that_is_asked_for(tmp_path):
    root = coco(tmp_path)
    assert len(splits("coco-stuff", root).training) == 4
    training, validation, _, line = splits("coco-stuff", root, portraits=True, preprocess="fixed")
    assert [pair.name for pair in training.pairs[4:]] == [f"portrait/{i:012d}" for i in range(2)]
    assert len(validation) == 4 and "Trained on: 6." in line
    label = training[5].label
    assert any(np.array_equal(label, way) for way in (trees.noise(1, top=183), trees.noise(1, top=183)[:, ::-1]))
    assert len(splits("coco-stuff", root, portraits=True, max_dataset_size=5).training) == 5
    with pytest.raises(UserError, match="portraits is for COCO-Stuff, not Cityscapes"):
        splits("cityscapes", cityscapes(tmp_path / "other"), portraits=True)


def test_portraits_that_are_not_there_are_missed(tmp_path):
    trees.coco(tmp_path, "train_img", "train_label")
    trees.coco(tmp_path, "val_img", "val_label")
    with pytest.raises(DataError, match="train_img_portrait.*found no files"):
        splits("coco-stuff", tmp_path, portraits=True, edges=False)


def test_a_preprocess_mode_changes_training_only(tmp_path):
    training, validation, *_ = splits("cityscapes", cityscapes(tmp_path), preprocess="scale_shortside_and_crop")
    assert (training.transform.load, training.transform.keep) == ((13, 27), "shortside")
    assert np.array_equal(validation[0].label, trees.noise(0, top=34))
    with pytest.raises(UserError, match="preprocess is for photographs"):
        splits("streets", "", preprocess="crop")
