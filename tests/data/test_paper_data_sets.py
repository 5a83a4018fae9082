import json

import numpy as np
import pytest
import torch
import trees

from spade_edu.data import ADE20K, ADE20KOutdoor, COCOStuff, DataError, FlickrLandscapes, open_dataset, stack
from spade_edu.data.coco_stuff import LABELS as COCO_LABELS
from spade_edu.data.coco_stuff import draw_instances, make_instances
from spade_edu.files import ASSETS

SIZE = {"height": 12, "width": 24}


# --- ADE20K


def test_ade20k_moves_other_behind_the_classes(tmp_path):
    dataset = ADE20K(trees.ade20k(tmp_path), "val", **SIZE)
    assert len(dataset) == 4 and dataset.labels.num_channels == 151  # semantic_nc of the official code
    assert dataset.labels.names[:3] == ("wall", "building", "sky") and dataset.labels.names[149:] == (
        "flag",
        "don't care",
    )
    assert dataset.labels.id("sky") == 2 and dataset.labels.classes[2].colour == (6, 230, 230)
    for i, sample in enumerate(dataset):
        values = trees.noise(i, top=151)
        assert np.array_equal(sample.label, np.where(values == 0, 150, values - 1))
        assert sample.instance is None and sample.image.shape == (3, 12, 24)
    assert dataset.labels.encode(stack([*dataset]).label).shape == (4, 151, 12, 24)


def test_ade20k_root_may_be_the_inner_folder(tmp_path):
    trees.ade20k(tmp_path)
    assert len(ADE20K(tmp_path / "ADEChallengeData2016")) == len(ADE20K(tmp_path)) == 4


def test_ade20k_names_without_partner_are_left_out(tmp_path):
    root = trees.ade20k(tmp_path) / "ADEChallengeData2016"
    (root / "annotations/training/ADE_train_00000002.png").unlink()
    trees.ids(root / "annotations/training/ADE_train_00000009.png", 151)
    with pytest.warns(UserWarning, match="2 files have no partner"):
        assert len(ADE20K(tmp_path)) == 3


def test_ade20k_refuses_value_151(tmp_path):
    root = trees.ade20k(tmp_path) / "ADEChallengeData2016"
    trees.ids(root / "annotations/training/ADE_train_00000001.png", 256)
    with pytest.raises(DataError, match=r"ADE_train_00000001\.png: pixel values 15\d, .*expected 0 to 150"):
        ADE20K(tmp_path)[0]


def test_training_cuts_256_out_of_286(tmp_path):
    transform = ADE20K(trees.ade20k(tmp_path), augment=True).transform
    assert transform.load == (286, 286) and (transform.height, transform.width) == (256, 256)


def test_outdoor_is_chosen_by_the_name_of_the_scene(tmp_path):
    dataset = ADE20KOutdoor(trees.ade20k(tmp_path), "val", **SIZE)
    assert [s.name for s in dataset] == ["ADE_val_00000001", "ADE_val_00000004"]  # street and beach
    assert dataset.labels.num_channels == 151


def test_outdoor_needs_the_list_of_scenes(tmp_path):
    path = trees.ade20k(tmp_path) / "ADEChallengeData2016/sceneCategories.txt"
    path.write_text("ADE_val_00000001\n")
    with pytest.raises(DataError, match="a name and a scene"):
        ADE20KOutdoor(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match="sceneCategories.txt is missing"):
        ADE20KOutdoor(tmp_path)


def test_outdoor_scenes_are_sorted_and_contain_no_rooms():
    scenes = (ASSETS / "ade20k_outdoor_scenes.txt").read_text().split()
    assert scenes == sorted(set(scenes))
    assert {"street", "beach", "mountain", "church_outdoor", "skyscraper"} <= set(scenes)
    assert not {"bedroom", "kitchen", "misc", "church_indoor", "bus_interior"} & set(scenes)


# --- COCO-Stuff

LAYOUTS = [
    ("images/val2017", "annotations/val2017", "instances/val2017"),
    ("val2017", "stuffthingmaps/val2017", "instances/val2017"),
    ("val_img", "val_label", "val_inst"),
]


def objects(root, split="val"):
    """annotations/instances_val2017.json with two overlapping squares and a crowd in the first picture."""
    square = [2.0, 2.0, 9.0, 2.0, 9.0, 9.0, 2.0, 9.0]
    moved = [v + 5 for v in square]
    table = {
        "images": [{"id": 7, "file_name": "000000000000.jpg"}, {"id": 8, "file_name": "000000000001.jpg"}],
        "annotations": [
            {"image_id": 7, "segmentation": [square]},
            {"image_id": 7, "segmentation": {"counts": [3, 4], "size": [12, 24]}, "iscrowd": 1},
            {"image_id": 7, "segmentation": [moved]},
        ],
    }
    path = root / f"annotations/instances_{split}2017.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(table))


@pytest.mark.parametrize("photos, labels, instances", LAYOUTS)
def test_coco_stuff_reads_its_three_layouts(tmp_path, photos, labels, instances):
    trees.coco(tmp_path, photos, labels)
    for i in range(4):
        trees.ids(tmp_path / instances / f"{i:012d}.png", 1200, i)
    dataset = COCOStuff(tmp_path, "val", **SIZE)
    assert len(dataset) == 4 and dataset.labels.num_channels == 184  # semantic_nc of the official code
    for i, sample in enumerate(dataset):
        assert np.array_equal(sample.label, trees.noise(i, top=183))  # 255 has become 182
        assert np.array_equal(sample.instance, trees.noise(i, top=1200))
    assert dataset.labels.encode(dataset[0].label[None], dataset[0].instance[None]).shape == (1, 184, 12, 24)


def test_coco_stuff_class_table():
    names = COCO_LABELS.names
    assert names[0] == "person" and names[90] == "hair brush" and names[91] == "banner" and names[181] == "wood"
    for never_drawn, value in ("street sign", 11), ("hat", 25), ("desk", 68), ("door", 70), ("blender", 82):
        assert names[value] == never_drawn
    assert len({c.colour for c in COCO_LABELS.classes}) == 182


def test_values_between_the_classes_and_255_are_named(tmp_path):
    trees.coco(tmp_path)
    trees.ids(tmp_path / "annotations/val2017/000000000001.png", 200)
    for i in range(4):
        trees.ids(tmp_path / f"instances/val2017/{i:012d}.png", 1200, i)
    with pytest.raises(DataError, match=r"000000000001\.png: pixel values 18.*expected 0 to 181, 255"):
        COCOStuff(tmp_path, "val")[1]


def test_without_instance_maps_the_command_is_named(tmp_path):
    with pytest.raises(DataError, match="spade-edu data instances"):
        COCOStuff(trees.coco(tmp_path), "val")
    with pytest.raises(DataError, match="images/train2017"):
        COCOStuff(tmp_path, "train")


def test_instance_maps_are_drawn_from_the_polygons(tmp_path):
    objects(trees.coco(tmp_path))
    assert make_instances(tmp_path, "val") == 4
    dataset = COCOStuff(tmp_path, "val", **SIZE)
    values = trees.noise(0, top=183)
    expected = np.where(values == 182, 255, values)
    expected[2:10, 2:10] = 1000
    expected[7:12, 7:15] = 1001  # painted over the first; the crowd is left out
    assert np.array_equal(dataset[0].instance, expected)
    assert dataset[1].instance.max() < 256
    assert make_instances(tmp_path, "val") == 0  # what is there is kept


def test_objects_of_one_class_are_told_apart():
    label = np.zeros((8, 12), np.int32)
    drawn = draw_instances(label, [[[0, 0, 5, 0, 5, 7, 0, 7]], [[6, 0, 11, 0, 11, 7, 6, 7]]])
    assert set(drawn[:, :6].flatten()) == {1000} and set(drawn[:, 6:].flatten()) == {1001}


def test_drawing_needs_the_annotations(tmp_path):
    with pytest.raises(DataError, match="annotations_trainval2017.zip"):
        make_instances(trees.coco(tmp_path), "val")


# --- Flickr Landscapes


def test_own_landscapes_in_the_classes_of_coco_stuff(tmp_path):
    trees.coco(tmp_path, "train/images", "train/labels")
    dataset, line = open_dataset("flickr-landscapes", tmp_path, **SIZE)
    assert isinstance(dataset, FlickrLandscapes) and dataset.labels.num_channels == 183
    assert np.array_equal(dataset[0].label, trees.noise(0, top=183)) and dataset[0].instance is None
    with pytest.raises(DataError, match="label maps in"):
        FlickrLandscapes(tmp_path, "val")


@pytest.mark.parametrize("reader", [ADE20K, ADE20KOutdoor, COCOStuff, FlickrLandscapes])
def test_a_reader_without_a_folder_says_what_it_needs(reader):
    with pytest.raises(DataError, match=f"where is {reader.__name__}"):
        reader()


def test_each_is_opened_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trees.ade20k(tmp_path / "datasets/ade20k")
    assert type(open_dataset("ade20k")[0]) is ADE20K
    assert type(open_dataset("ade20k-outdoor")[0]) is ADE20KOutdoor
    sample = open_dataset("ADE20K", augment=True, seed=1)[0][0]
    assert sample.image.shape == (3, 256, 256) and torch.isfinite(sample.image).all()
