"""Which files belong to a set: hidden ones don't, linked ones do, and what almost pairs is paired or named."""

import os
import unicodedata

import numpy as np
import pytest
import trees
from PIL import Image

from spade_edu.data import DataError, Folder
from spade_edu.data.files import read_photo
from spade_edu.data.paired import common_ending, photos_in


def names(tmp_path, label=lambda name: f"{name}.png", photo=lambda name: f"{name}.jpg", count=3):
    """A folder set whose files are named so."""
    for i in range(count):
        trees.photo(tmp_path / "train/images" / photo(f"img_{i}"), i)
        trees.ids(tmp_path / "train/labels" / label(f"img_{i}"), 3, i)
    (tmp_path / "classes.txt").write_text("a\nb\nc")
    return tmp_path


def pairs(root):
    return [pair.name for pair in Folder.from_root(root).pairs]


@pytest.mark.parametrize("folder", [".ipynb_checkpoints", ".cache/more", ".AppleDouble"])
def test_hidden_folders_are_passed_over(tmp_path, folder):
    root = names(tmp_path)
    for kind, write in (("images", trees.photo), ("labels", lambda path: trees.ids(path, 3))):
        write(root / "train" / kind / folder / "copy.png")
    assert pairs(root) == ["img_0", "img_1", "img_2"]


def test_links_are_followed_and_circles_are_not(tmp_path):
    root, other = names(tmp_path / "set"), names(tmp_path / "other", count=2)
    for kind in "images", "labels":
        os.symlink(other / "train" / kind, root / "train" / kind / "city")
        os.symlink(root / "train" / kind, root / "train" / kind / "again")
        os.symlink(root / "train", root / "train" / kind / "above")
    found = photos_in(root / "train/images")
    assert {"city/img_0", "city/img_1", "img_2"} <= found.keys() and len(found) < 40
    assert "city/img_1" in pairs(root)


@pytest.mark.parametrize("form", ["NFD", "NFKD"])
def test_one_name_in_two_unicode_forms_pairs(tmp_path, form):
    root = names(tmp_path, label=lambda name: unicodedata.normalize("NFC", f"Straße ü {name}.png"),
                 photo=lambda name: unicodedata.normalize(form, f"Straße ü {name}.JPG"))  # fmt: skip
    assert len(pairs(root)) == 3


@pytest.mark.parametrize("ending", ["_mask", "_labelIds", ".jpg", "_gt-1"])
def test_the_one_ending_that_pairs_all_is_taken(tmp_path, ending):
    root = names(tmp_path, label=lambda name: f"{name}{ending}.png")
    assert pairs(root) == ["img_0", "img_1", "img_2"]
    assert Folder.from_root(root, height=12, width=24)[1].name == "img_1"


def test_no_ending_is_guessed():
    assert common_ending(["a1", "a11"], ["a1_m", "a11_m"]) == "_m"
    assert common_ending(["a", "b"], ["a_mask", "b_label"]) == common_ending(["a"], ["x_mask"]) == ""


KINDS = {"train/images/p.HEIC": ".heic", "train/labels/p.jpg": ".jpg", "train/labels/p.npy": ".npy"}


@pytest.mark.parametrize("name", KINDS)
def test_kinds_that_arent_read_are_named(tmp_path, name):
    root = names(tmp_path, count=0)
    for kind in "images", "labels":
        (root / "train" / kind).mkdir(parents=True)
    (root / name).write_bytes(b"")
    trees.photo(root / "train/images/q.jpg")
    with pytest.raises(DataError, match=f"holds 1 files of the kind {KINDS[name]}, which are passed over"):
        pairs(root)


@pytest.mark.parametrize("brand", [b"heic", b"mif1", b"avif"])
def test_heic_under_another_name_is_named(tmp_path, brand):
    (tmp_path / "a.jpg").write_bytes(b"\0\0\0\x18ftyp" + brand + bytes(40))
    with pytest.raises(DataError, match="found HEIC or AVIF under this name. Save it as JPEG"):
        read_photo(tmp_path / "a.jpg")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_photographs_lie_on_white(tmp_path, mode):
    pixels = np.zeros((4, 6, 4), np.uint8)
    pixels[:2, :, 3] = 255  # black above; under the lower half is black that nobody sees
    Image.fromarray(pixels).convert(mode).save(tmp_path / "a.png", **({"transparency": 0} if mode == "P" else {}))
    photo = np.array(read_photo(tmp_path / "a.png"))
    assert (photo[2:] == 255).all() and (mode == "P" or (photo[:2] == 0).all())


def test_pix2pixhds_layout_is_read(tmp_path):
    for i in range(2):
        trees.photo(tmp_path / f"train_img/{i}.jpg", i)
        for part in "label", "inst":
            trees.ids(tmp_path / f"train_{part}/{i}.png", 3, i)
    (tmp_path / "classes.txt").write_text("a\nb\nc")
    dataset = Folder.from_root(tmp_path, height=12, width=24)
    assert len(dataset) == 2 and dataset[0].instance is not None
