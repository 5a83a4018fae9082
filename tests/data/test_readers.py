import json
import shutil
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import trees
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from spade_edu.data import CamVid, Cityscapes, DataError, Folder, Streets, open_dataset, stack
from spade_edu.data.classes import read_classes
from spade_edu.labels import CAMVID, CITYSCAPES


def pixels(image):
    return ((image + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()


# --- Cityscapes


def test_cityscapes_agrees_with_torchvision(tmp_path):
    from torchvision import datasets

    root = trees.cityscapes(tmp_path)
    ours = Cityscapes(root, "train", height=12, width=24)
    theirs = datasets.Cityscapes(str(root), "train", "fine", ["semantic", "instance"])
    assert len(ours) == len(theirs) == 4
    by_name = {Path(p).name: i for i, p in enumerate(theirs.images)}
    for sample in ours:
        image, (label, instance) = theirs[by_name[f"{Path(sample.name).name}_leftImg8bit.png"]]
        assert np.array_equal(pixels(sample.image), np.array(image))
        assert np.array_equal(sample.label, np.array(label))
        assert np.array_equal(sample.instance, np.array(instance))


def test_cityscapes_sample_feeds_the_label_space(tmp_path):
    batch = stack([*Cityscapes(trees.cityscapes(tmp_path), height=8, width=16)])
    assert batch.name[0] == "aachen/aachen_000000_000019"
    assert CITYSCAPES.encode(batch.label, batch.instance).shape == (4, 36, 8, 16)


def test_cityscapes_root_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("CITYSCAPES_DATASET", str(trees.cityscapes(tmp_path, "val")))
    assert len(Cityscapes(split="val")) == 4
    monkeypatch.delenv("CITYSCAPES_DATASET")
    with pytest.raises(DataError, match="CITYSCAPES_DATASET"):
        Cityscapes()


def test_cityscapes_without_layout_says_what_is_missing(tmp_path):
    with pytest.raises(DataError, match="leftImg8bit.*both archives"):
        Cityscapes(tmp_path)
    trees.cityscapes(tmp_path)
    shutil.rmtree(tmp_path / "gtFine/train/aachen")
    shutil.rmtree(tmp_path / "gtFine/train/ulm")
    with pytest.raises(DataError, match="4 files without partner, the first: .*has no label map"):
        Cityscapes(tmp_path)


def test_files_without_partner_are_left_out_with_a_warning(tmp_path):
    trees.cityscapes(tmp_path)
    (tmp_path / "gtFine/train/ulm/ulm_000001_000019_gtFine_instanceIds.png").unlink()
    (tmp_path / "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png").unlink()
    with pytest.warns(UserWarning, match="2 files have no partner"):
        dataset = Cityscapes(tmp_path)
    assert [s.name[-13:-7] for s in dataset] == ["000001", "000000"]
    assert "has no photograph" in dataset.incomplete[0] and "has no instance map" in dataset.incomplete[1]


def test_train_ids_and_colours_in_place_of_label_ids_are_named(tmp_path):
    trees.cityscapes(tmp_path, each=1)
    path = tmp_path / "gtFine/train/ulm/ulm_000000_000019_gtFine_labelIds.png"
    trees.ids(path, 256)
    with pytest.raises(DataError, match=r"ulm_000000.*labelIds\.png: pixel values 3\d, .*expected 0 to 34.*trainIds"):
        Cityscapes(tmp_path)[1]
    shutil.copy(str(path).replace("labelIds", "color"), path)
    with pytest.raises(DataError, match="picture of colours"):
        Cityscapes(tmp_path)[1]


# --- randomness


def test_epoch_seed_and_index_alone_decide_crop_and_flip(tmp_path):
    root = trees.camvid_small(tmp_path, count=4)

    def labels(seed, epoch):
        dataset = CamVid(root, height=10, width=10, augment=True, seed=seed)
        dataset.set_epoch(epoch)
        return torch.stack([s.label for s in dataset])

    first = labels(0, 3)
    torch.manual_seed(5)
    np.random.seed(5)
    assert torch.equal(labels(0, 3), first)  # what ran before does not matter
    assert not torch.equal(labels(0, 4), first)
    assert not torch.equal(labels(1, 3), first)
    dataset = CamVid(root, height=10, width=10, augment=True)
    dataset.set_epoch(3)
    assert torch.equal(dataset[2].label, first[2])  # nor does the order of the samples


def test_workers_see_the_epoch(tmp_path):
    root = trees.camvid_small(tmp_path, count=4)
    dataset = CamVid(root, height=10, width=10, augment=True)
    loader = torch.utils.data.DataLoader(dataset, 4, num_workers=1, collate_fn=stack)
    for epoch in 0, 1:
        dataset.set_epoch(epoch)
        (batch,) = loader
        assert torch.equal(batch.label, stack([*dataset]).label)


def test_cityscapes_is_mirrored_but_never_cut(tmp_path):
    root = trees.cityscapes(tmp_path)
    plain = stack([*Cityscapes(root, height=12, width=24)]).label
    moved = stack([*Cityscapes(root, height=12, width=24, augment=True, seed=1)]).label
    mirrored = [torch.equal(m, p.flip(1)) for m, p in zip(moved, plain)]
    same = [torch.equal(m, p) for m, p in zip(moved, plain)]
    assert any(mirrored) and any(same)
    assert all(a != b for a, b in zip(mirrored, same))


# --- CamVid


@pytest.mark.parametrize("make", [trees.camvid_small, trees.camvid_segnet])
def test_camvid_reads_both_layouts(tmp_path, make):
    dataset = CamVid(make(tmp_path, "val"), "val", height=12, width=24)
    assert len(dataset) == 3 and dataset.labels is CAMVID
    for i, sample in enumerate(dataset):
        assert np.array_equal(sample.label, trees.noise(i, top=12))
        assert sample.instance is None and sample.name == f"0001TP_{i}"
    assert CAMVID.encode(dataset[0].label[None]).shape == (1, 12, 12, 24)


def test_camvid_says_what_it_looked_for(tmp_path):
    with pytest.raises(DataError, match="train/images, or train and trainannot"):
        CamVid(tmp_path)


def test_camvid_keeps_pictures_of_its_own_size_as_they_are(tmp_path):
    """Rendered streets as photographs: CamVid's own may not be given away with the tests."""
    scenes = [*Streets(3, split="val", height=192, width=256)]
    for i, scene in enumerate(scenes):
        image, label = pixels(scene.image), (scene.label % 12).numpy().astype(np.uint8)
        trees.save(tmp_path / f"val/images/0016E5_{i}.jpg", image, quality=90, subsampling=0)
        trees.save(tmp_path / f"val/labels/0016E5_{i}.png", label, "P")
    read = [*CamVid(tmp_path, "val")]
    for ours, scene in zip(read, scenes, strict=True):
        assert torch.equal(ours.label, scene.label % 12)
        assert (ours.image - scene.image).abs().mean() < 0.04, "JPEG loses little"


# --- Folder

CLASSES = {
    "names": ["unknown", "grass", "sky"],
    "colours": [[0, 0, 0], [0, 255, 0], [0, 0, 255]],
    "dont_care": 0,
}


def folder(root, classes="classes.json", text=None, top=3, instances=False):
    for i, mode in enumerate(["L", None, "CMYK"]):
        trees.photo(root / "train/images/holiday" / f"IMG {i}.JPG", i, mode, format="JPEG")
        trees.ids(root / "train/labels/holiday" / f"IMG {i}.png", top, i)
        if instances:
            trees.ids(root / "train/instances/holiday" / f"IMG {i}.png", 700, i)
    (root / "train/images/._IMG 0.jpg").write_bytes(b"litter of an archive")
    (root / "train/images/Thumbs.db").write_bytes(b"litter of a file manager")
    (root / classes).write_text(json.dumps(CLASSES) if text is None else text, encoding="utf-8")
    return root


def test_folder_maps_dont_care_behind_the_classes(tmp_path):
    dataset = Folder.from_root(folder(tmp_path), height=12, width=24)
    assert dataset.labels.names == ("grass", "sky", "don't care")
    assert dataset.labels.classes[1].colour == (0, 0, 255)
    assert len(dataset) == 3 and dataset[0].name == "holiday/IMG 0"
    assert np.array_equal(dataset[1].label, np.array([2, 0, 1])[trees.noise(1, top=3)])


def test_folder_with_instances(tmp_path):
    dataset = Folder.from_root(folder(tmp_path, instances=True), height=12, width=24)
    assert dataset.labels.num_channels == 4
    assert np.array_equal(dataset[2].instance, trees.noise(2, top=700))


def test_folder_classes_as_text(tmp_path):
    text = "ground, the lower part, 10, 20, 30\n\nwater, 1, 2, 3\nsky, 0, 0, 255\ndont_care = 255\n"
    space = Folder.from_root(folder(tmp_path, "classes.txt", text)).labels
    assert space.names == ("ground, the lower part", "water", "sky", "don't care")
    assert space.classes[0].colour == (10, 20, 30) and [c.score_id for c in space.classes] == [0, 1, 2]


def test_folder_without_colours_gets_different_ones(tmp_path):
    space = Folder.from_root(folder(tmp_path, "classes.txt", "\n".join(f"class {i}" for i in range(60)))).labels
    assert len({c.colour for c in space.classes}) == 60 and not space.dont_care


@pytest.mark.parametrize(
    "name, text, match",
    [
        ("classes.json", "{", "classes.json"),
        ("classes.json", "[]", "classes.json"),
        ("classes.json", '{"colours": []}', "names"),
        ("classes.json", '{"names": ["a", "a"]}', "different names"),
        ("classes.json", '{"names": ["a", "b"], "colours": [[1, 2, 3]]}', "found 2 and 1"),
        ("classes.json", '{"names": ["a"], "colours": [[1, 2, 300]]}', "outside 0 to 255"),
        ("classes.txt", "grass\nsky, 1, 2, 3\n", "found 2 and 1"),
        ("classes.txt", "", "found 0"),
        ("classes.txt", "a\ndont_care = x", "classes.txt"),
    ],
)
def test_broken_classes_files_are_named(tmp_path, name, text, match):
    with pytest.raises(DataError, match=match):
        Folder.from_root(folder(tmp_path, name, text))


def test_folder_names_ids_beyond_the_classes_and_files_of_one_name(tmp_path):
    with pytest.raises(DataError, match=r"pixel values 3, 4 are no ids .*\(expected 0 to 2\)"):
        Folder.from_root(folder(tmp_path, top=5))[0]
    trees.photo(tmp_path / "train/images/holiday/IMG 0.png")
    with pytest.raises(DataError, match="share a name"):
        Folder.from_root(tmp_path)


@given(st.integers(1, 40), st.data())
def test_classes_close_up_around_dont_care_wherever_it_is(count, data):
    dont_care = data.draw(st.one_of(st.none(), st.integers(0, 255)))
    assume(count > 1 or dont_care != 0)
    names = [f"class {i}" for i in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "classes.json"
        path.write_text(json.dumps({"names": names, "dont_care": dont_care}))
        space, values = read_classes(path)
    for value, name in enumerate(names):
        if value != dont_care:
            assert space.names[values[value]] == name
    if dont_care is not None:
        assert values[dont_care] == space.num_classes == len(space.classes)
    assert sorted(values[values >= 0]) == list(range(space.num_ids))


def test_folder_without_classes_file_or_pairs(tmp_path):
    with pytest.raises(DataError, match=r"classes\.json or classes\.txt"):
        Folder.from_root(tmp_path)
    folder(tmp_path)
    shutil.rmtree(tmp_path / "train/labels")
    with pytest.raises(DataError, match="labels is not a folder"):
        Folder.from_root(tmp_path)


def test_image_and_label_of_different_sizes_are_named(tmp_path):
    folder(tmp_path)
    trees.ids(tmp_path / "train/labels/holiday/IMG 1.png", 3, height=12, width=25)
    with pytest.raises(DataError, match=r"IMG 1\.png is 12x25 but .*IMG 1\.JPG is 12x24"):
        Folder.from_root(tmp_path)[1]


def test_transposed_photograph_meets_its_label(tmp_path):
    folder(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    trees.photo(tmp_path / "train/images/holiday/IMG 1.JPG", exif=exif, format="JPEG")
    trees.ids(tmp_path / "train/labels/holiday/IMG 1.png", 3, height=24, width=12)
    assert Folder.from_root(tmp_path, height=24, width=12)[1].image.shape == (3, 24, 12)


# --- the choice


def test_with_no_name_cityscapes_is_taken_where_it_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CITYSCAPES_DATASET", str(trees.cityscapes(tmp_path / "by variable")))
    dataset, line = open_dataset(height=8, width=16)
    assert isinstance(dataset, Cityscapes) and "by variable" in line and "4 train pairs" in line
    monkeypatch.delenv("CITYSCAPES_DATASET")
    trees.cityscapes(tmp_path / "datasets/cityscapes", each=1)
    dataset, line = open_dataset()
    assert len(dataset) == 2 and "\n" not in line
    assert dataset[0].image.shape == (3, 256, 512)  # the reader's own size
    root = trees.cityscapes(tmp_path / "given", each=3)
    assert len(open_dataset(root=root)[0]) == 6


def test_without_cityscapes_streets_is_taken_and_the_line_says_why(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CITYSCAPES_DATASET", raising=False)
    dataset, line = open_dataset("streets", length=3, height=32, width=64)
    assert isinstance(dataset, Streets) and len(dataset) == 3 and "as asked for" in line
    (tmp_path / "datasets/cityscapes").mkdir(parents=True)  # empty: a download that never began
    dataset, line = open_dataset(height=32, width=64)
    assert isinstance(dataset, Streets) and "CITYSCAPES_DATASET is not set" in line
    monkeypatch.setenv("CITYSCAPES_DATASET", str(tmp_path))
    dataset, line = open_dataset(height=32, width=64)
    assert isinstance(dataset, Streets) and f"CITYSCAPES_DATASET={tmp_path} holds none" in line


def test_names_and_roots_that_cannot_be(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="no data set 'kitti'.*cityscapes.*camvid"):
        open_dataset("kitti")
    with pytest.raises(DataError, match="datasets/camvid"):
        open_dataset("camvid")
    with pytest.raises(DataError, match="name the data set"):
        open_dataset(root=trees.camvid_small(tmp_path))


def test_named_data_sets_open(tmp_path):
    dataset, line = open_dataset("CamVid", trees.camvid_small(tmp_path / "c"), height=8, width=8)
    assert isinstance(dataset, CamVid) and line.startswith("Data: CamVid in ") and "3 train pairs" in line
    assert isinstance(open_dataset("folder", folder(tmp_path / "f"), augment=True, seed=3)[0], Folder)


def test_complete_trees_give_no_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Cityscapes(trees.cityscapes(tmp_path))
