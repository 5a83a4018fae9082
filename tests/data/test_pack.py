import tarfile

import numpy as np
import pytest
import torch
import trees

from spade_edu.data import ADE20K, ADE20KOutdoor, Cityscapes, DataError, Folder
from spade_edu.data.pack import pack


def unpacked(archive, folder):
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder


def test_packed_cityscapes_gives_the_same_samples(tmp_path):
    for split in "train", "val":
        trees.cityscapes(tmp_path / "full", split)
    count, size = pack("cityscapes", tmp_path / "small.tar", str(tmp_path / "full"), height=6, width=12)
    assert count == 8 and size == (tmp_path / "small.tar").stat().st_size
    small = unpacked(tmp_path / "small.tar", tmp_path / "small")
    for split in "train", "val":
        ours, theirs = (Cityscapes(r, split, height=6, width=12) for r in (small, tmp_path / "full"))
        for a, b in zip(ours, theirs, strict=True):
            assert a.name == b.name
            assert (
                torch.equal(a.image, b.image) and torch.equal(a.label, b.label) and torch.equal(a.instance, b.instance)
            )


def test_default_size_is_what_training_loads(tmp_path):
    for split in "train", "val":
        trees.cityscapes(tmp_path / "full", split, cities=("ulm",), each=1)
    pack("cityscapes", tmp_path / "small.tar", str(tmp_path / "full"), height=None, width=None)
    dataset = Cityscapes(unpacked(tmp_path / "small.tar", tmp_path / "small"))
    assert dataset.read(dataset.pairs[0])[0].size == (512, 256)


def test_packed_ade20k_keeps_scenes_labels_and_nearly_the_photographs(tmp_path):
    trees.ade20k(tmp_path / "full")
    pack("ade20k", tmp_path / "small.tar", str(tmp_path / "full"), height=12, width=24)
    small = unpacked(tmp_path / "small.tar", tmp_path / "small")
    assert len(ADE20KOutdoor(small)) == 2
    for a, b in zip(*(ADE20K(r, height=12, width=24) for r in (small, tmp_path / "full")), strict=True):
        assert torch.equal(a.label, b.label)
        assert (
            a.image.mean((1, 2)) - b.image.mean((1, 2))
        ).abs().max() < 0.05  # the pictures are noise: JPEG's worst case


def test_packed_folder_keeps_its_classes(tmp_path):
    for split in "train", "val":
        trees.photo(tmp_path / "full" / split / "images/a b.BMP", format="BMP")
        trees.ids(tmp_path / "full" / split / "labels/a b.png", 3)
    (tmp_path / "full/classes.txt").write_text("one\ntwo\nthree\n")
    pack("folder", tmp_path / "small.tar", str(tmp_path / "full"), height=12, width=24)
    (sample,) = Folder.from_root(unpacked(tmp_path / "small.tar", tmp_path / "small"), height=12, width=24)
    assert np.array_equal(sample.label, trees.noise(0, top=3))


@pytest.mark.parametrize(("ids", "kept"), [([5, 65541, 131077], [0, 1, 2]), ([5, 7, 65535], [5, 7, 65535])])
def test_objects_whose_numbers_need_more_than_16_bits_stay_apart(tmp_path, ids, kept):
    instance = np.repeat(np.array(ids, np.int32), 2)[None]
    for split in "train", "val":
        trees.photo(tmp_path / "full" / split / "images/a.png", height=1, width=6)
        trees.ids(tmp_path / "full" / split / "labels/a.png", 3, height=1, width=6)
        trees.save(tmp_path / "full" / split / "instances/a.tif", instance)
    (tmp_path / "full/classes.txt").write_text("one\ntwo\nthree\n")
    pack("folder", tmp_path / "small.tar", str(tmp_path / "full"), height=1, width=6)
    (sample,) = Folder.from_root(unpacked(tmp_path / "small.tar", tmp_path / "small"), height=1, width=6)
    assert sample.instance.flatten().tolist() == np.repeat(kept, 2).tolist()


def test_a_broken_pair_leaves_no_archive(tmp_path):
    for split in "train", "val":
        trees.cityscapes(tmp_path / "full", split)
    next((tmp_path / "full/gtFine/val").rglob("*labelIds.png")).write_bytes(b"")
    with pytest.raises(DataError, match="empty file"):
        pack("cityscapes", tmp_path / "small.tar", str(tmp_path / "full"), height=6, width=12)
    assert not (tmp_path / "small.tar").exists()


def test_streets_is_made_not_packed(tmp_path):
    with pytest.raises(DataError, match="spade-edu data make"):
        pack("streets", tmp_path / "small.tar", height=6, width=12)
