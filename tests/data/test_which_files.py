"""Which files belong to a set: hidden ones don't, linked ones do, and what almost pairs is paired or named."""

import os
import unicodedata

import numpy as np
import pytest
import trees
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from spade_edu.data import DataError, Folder
from spade_edu.data.files import read_photo
from spade_edu.data.meaning import look_through
from spade_edu.data.naming import Naming, endings, find_naming
from spade_edu.data.paired import photos_in


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


NAMINGS = {
    "label appends": (["a1", "a11"], ["a1_m", "a11_m"], "NAME", "NAME_m"),
    "label prepends": (["1", "2", "3"], ["mask_1", "mask_2", "mask_3"], "NAME", "mask_NAME"),
    "both append": (["city/1_leftImg8bit", "town/2_leftImg8bit"], ["city/1_gtFine_labelIds", "town/2_gtFine_labelIds"],
                    "NAME_leftImg8bit", "NAME_gtFine_labelIds"),
    "both prepend": (["img_1", "img_2", "img_10"], ["mask_1", "mask_10"], "img_NAME", "mask_NAME"),
    "photograph appends": (["x_0000", "y_0000"], ["x", "y"], "NAME_0000", "NAME"),
    "a folder more": (["a", "b"], ["png/a", "png/b"], "NAME", "png/NAME"),
    "a folder more and an ending": (["a", "b"], ["png/a_m", "png/b_m"], "NAME", "png/NAME_m"),
    "capitals": (["IMG_1", "IMG_2"], ["img_1", "img_2"], "NAME", "NAME, capitals aside"),
    "capitals and an ending": (["IMG_1", "IMG_2"], ["img_1_Mask", "img_2_Mask"], "NAME", "NAME_Mask, capitals aside"),
    "one pair": (["a"], ["a_m"], "NAME", "NAME_m"),
    "fewer label maps": (["a", "b", "c"], ["b_m"], "NAME", "NAME_m"),
    "more label maps": (["b"], ["a_m", "b_m", "c_m"], "NAME", "NAME_m"),
}  # fmt: skip


@pytest.mark.parametrize("case", NAMINGS)
def test_the_one_naming_that_pairs_all_is_found_and_said(case):
    photos, labels, photo, label = NAMINGS[case]
    naming = find_naming(photos, labels)
    assert str(naming) == f"photographs are named {photo}, label maps {label}"


UNRELATED = [
    (["a", "b"], ["a_mask", "b_label"]), (["a"], ["x_mask"]), (["10", "11"], ["0", "1"]),
    (["x_1", "y_1"], ["x_2", "y_2"]),
    (["1", "2"], ["3", "4"]), (["a", "A"], ["A_m", "a_n"]), (["a"], []), ([], ["a"]),
]  # fmt: skip


@pytest.mark.parametrize(("photos", "labels"), UNRELATED)
def test_no_naming_is_guessed(photos, labels):
    assert find_naming(photos, labels) is None


WORD = st.text("ab_01", min_size=1, max_size=5)
AFFIX = st.text("xy-", max_size=3)


@given(st.sets(WORD, min_size=2, max_size=6), AFFIX, AFFIX, AFFIX, AFFIX, st.booleans())
def test_a_naming_never_pairs_strangers(cores, before, after, other_before, other_after, fewer):
    photos = {before + core + after: core for core in sorted(cores)}
    labels = {other_before + core + other_after: core for core in sorted(cores)[fewer:]}
    naming = find_naming(photos, labels)
    if naming is None:
        assert fewer or "_" in "".join(cores)
        return
    ours, theirs = naming.cores(photos, naming.photo), naming.cores(labels, naming.label)
    assert all(photos[ours[core]] == labels[theirs[core]] for core in ours.keys() & theirs.keys())


def test_equal_names_need_no_naming():
    assert find_naming(["a", "b", "a_m"], ["a", "b"]) == find_naming(["a"], ["a"]) == Naming()


def test_several_kinds_of_maps_in_one_folder_are_named_and_one_is_chosen(tmp_path):
    root = names(tmp_path, label=lambda name: f"{name}_mask.png")
    for i in range(3):
        trees.photo(root / f"train/labels/img_{i}_color.png")
    assert endings(["i_1", "i_10", "i_2"], ["i_1_mask", "i_10_mask", "i_1_x", "i_11"]) == ["_mask"]
    with pytest.raises(DataError, match="named NAME_color, NAME_mask: which are they. Write `label_suffix = _col"):
        pairs(root)
    with (root / "classes.txt").open("a") as file:
        file.write("\nlabel_suffix = _mask")
    assert pairs(root) == ["img_0", "img_1", "img_2"]
    assert Folder.from_root(root, height=12, width=24)[1].name == "img_1"


def test_suffixes_stand_in_classes_json_too(tmp_path):
    root = names(tmp_path, label=lambda name: f"{name}-l.png", photo=lambda name: f"{name}-p.jpg")
    trees.photo(root / "train/images/img_0-depth.jpg")
    (root / "classes.txt").unlink()
    (root / "classes.json").write_text('{"names": ["a", "b", "c"], "image_suffix": "-p", "label_suffix": "-l"}')
    assert pairs(root) == ["img_0", "img_1", "img_2"]


@pytest.mark.parametrize("line", ["exif = sideways", "exif ="])
def test_a_setting_that_cant_be_is_named(tmp_path, line):
    root = names(tmp_path)
    (root / "classes.txt").write_text(f"a\nb\nc\n{line}")
    with pytest.raises(DataError, match="exif is turned or stored, not"):
        pairs(root)


@pytest.mark.parametrize("case", ["flat", "flat png", "flat same name", "masks", "split below", "Training", "VOC"])
def test_layouts_of_tools_are_read(tmp_path, case):
    folders = {
        "masks": ("train/images", "train/masks"), "split below": ("Images/train", "Labels/train"),
        "Training": ("Training/img", "Training/gt"), "VOC": ("train/JPEGImages", "train/SegmentationClass"),
    }  # fmt: skip
    photos, labels = folders.get(case, ("train", "train"))
    suffix = ".png" if case == "flat png" else ".JPG"
    ending = "" if case == "flat same name" or case in folders else "_mask"
    for i in 1, 10:
        trees.photo(tmp_path / photos / f"{i}{suffix}")
        trees.ids(tmp_path / labels / f"{i}{ending}.png", 3, i)
    (tmp_path / "classes.txt").write_text("a\nb\nc")
    dataset = Folder.from_root(tmp_path)
    assert [pair.name for pair in dataset.pairs] == ["1", "10"] and dataset[0].label.max() < 3
    assert all(pair.photo != pair.label for pair in dataset.pairs)
    assert dataset.remarks[0].startswith("train is read from")


def test_another_name_of_the_split_is_read_and_said(tmp_path):
    for split in "train", "valid":
        trees.photo(tmp_path / split / "a.jpg")
        trees.ids(tmp_path / split / "a_mask.png", 3)
    (tmp_path / "train/_classes.csv").write_text("Pixel Value, Class\n0, a\n1, b\n2, c")
    assert str(tmp_path / "valid") in Folder.from_root(tmp_path, "val").remarks[0]


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


@pytest.mark.parametrize(("alpha", "said"), [([0, 255], 1), ([254, 255], 1), ([255, 255], 0)])
def test_transparency_is_counted_where_there_is_some(tmp_path, alpha, said):
    root = names(tmp_path, count=3)
    pixels = trees.noise(0, channels=4).astype(np.uint8)
    pixels[:6, :, 3], pixels[6:, :, 3] = alpha
    (root / "train/images/img_0.jpg").unlink()
    trees.save(root / "train/images/img_0.png", pixels)
    found = look_through(Folder.from_root(root))
    texts = [finding.text for finding in found if finding.severity == "note"]
    assert len(texts) == said and all("1 of 3 photographs are transparent in places" in text for text in texts)


def test_pix2pixhds_layout_is_read(tmp_path):
    for i in range(2):
        trees.photo(tmp_path / f"train_img/{i}.jpg", i)
        for part in "label", "inst":
            trees.ids(tmp_path / f"train_{part}/{i}.png", 3, i)
    (tmp_path / "classes.txt").write_text("a\nb\nc")
    dataset = Folder.from_root(tmp_path, height=12, width=24)
    assert len(dataset) == 2 and dataset[0].instance is not None
