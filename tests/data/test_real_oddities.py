"""What real files of Cityscapes and COCO-Stuff have that made-up ones mostly lack: all is read, nothing warned of.

The oddities are those of the pairs in pix2pixHD's and SPADE's repositories and of the published archives.
"""

import warnings

import numpy as np
import pytest
import trees
from PIL import Image, ImageCms, PngImagePlugin

from spade_edu.cli import main
from spade_edu.data import Cityscapes, COCOStuff, Folder
from spade_edu.data.meaning import look_through
from spade_edu.data.validation import open_for_check

SIZE = (32, 64)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def areas(values, seed, cell=8, dtype=np.uint8, size=SIZE):
    small = np.random.default_rng(seed).choice(values, (size[0] // cell, size[1] // cell))
    return np.repeat(np.repeat(small, cell, 0), cell, 1).astype(dtype)


def note():
    """Chunks that cameras and editors write: gamma, text, resolution."""
    info = PngImagePlugin.PngInfo()
    info.add(b"gAMA", (45455).to_bytes(4, "big"))
    info.add_text("Software", "Adobe ImageReady")
    return info


# --- Cityscapes

IDS = [0, 1, 3, 4, 7, 7, 7, 8, 11, 11, 17, 20, 21, 21, 23, 24, 26, 33]


def city_pair(photo, label, instance, seed):
    """ids of 8 bits; instances of 16 bits: the id, or 1000 times the id and a number; grey RGB; chunks of all kinds."""
    ids = areas(IDS, seed)
    objects = np.where(ids >= 24, 1000 * ids.astype(np.int32) + seed, ids).astype(np.uint16)
    trees.save(label, ids, optimize=seed % 2 == 0)
    trees.save(instance, objects)
    with Image.open(instance) as picture:
        assert picture.mode == "I;16"
    pixels = trees.noise(seed, *SIZE, channels=3).astype(np.uint8)
    trees.save(photo, pixels, pnginfo=note(), icc_profile=PROFILE, dpi=(72, 72))
    return ids, objects


def published(root, split="train"):
    """leftImg8bit and gtFine as the archives unpack, with all that lies beside; (root, {name: ids, instances})."""
    truth = {}
    for c, city in enumerate(("aachen", "hanover", "zurich")):
        for i in range(2):
            name, fine = f"{city}_{i:06d}_{4000 + c:06d}", root / f"gtFine/{split}/{city}"
            photo = root / f"leftImg8bit/{split}/{city}/{name}_leftImg8bit.png"
            files = photo, fine / f"{name}_gtFine_labelIds.png", fine / f"{name}_gtFine_instanceIds.png"
            truth[f"{city}/{name}"] = city_pair(*files, 2 * c + i)
            trees.photo(fine / f"{name}_gtFine_color.png", i, "RGBA", *SIZE)
            trees.save(fine / f"{name}_gtFine_labelTrainIds.png", areas([0, 1, 2, 255], i))
            (fine / f"{name}_gtFine_polygons.json").write_text("{}")
    litter(root, split)
    return root, truth


def litter(root, split):
    """License, system files, a split without labels, notebooks' copies."""
    (root / "license.txt").write_text("terms")
    (root / "README").write_text("read me")
    for name in (".DS_Store", "._aachen_000000_004000_leftImg8bit.png", "Thumbs.db"):
        (root / f"leftImg8bit/{split}/aachen" / name).write_bytes(b"litter")
    trees.photo(root / f"leftImg8bit/{split}/.ipynb_checkpoints/copy_leftImg8bit.png")
    trees.photo(root / "leftImg8bit/train_extra/augsburg/augsburg_000000_000000_leftImg8bit.png")


def from_pix2pixhd(root, split="train"):
    """train_img, train_label, train_inst without cities, and a test split without photographs."""
    truth = {}
    for i in range(6):
        name = f"aachen_{i:06d}_000019"
        names = "img", "leftImg8bit", "label", "gtFine_labelIds", "inst", "gtFine_instanceIds"
        files = [root / f"{split}_{names[k]}/{name}_{names[k + 1]}.png" for k in (0, 2, 4)]
        truth[name] = city_pair(*files, i)
    trees.save(root / "test_label/frankfurt_000000_000576_gtFine_labelIds.png", areas(IDS, 9))
    trees.save(root / "test_inst/frankfurt_000000_000576_gtFine_instanceIds.png", areas(IDS, 9))
    return root, truth


@pytest.mark.parametrize("make", [published, from_pix2pixhd])
def test_cityscapes_files_are_read_to_the_last_value(tmp_path, make):
    root, truth = make(tmp_path)
    dataset = Cityscapes(root, height=SIZE[0], width=SIZE[1])
    assert [pair.name for pair in dataset.pairs] == sorted(truth) and not dataset.incomplete
    for sample in dataset:
        ids, objects = truth[sample.name]
        assert np.array_equal(sample.label, ids) and np.array_equal(sample.instance, objects)
        assert dataset.labels.encode(sample.label[None], sample.instance[None]).shape == (1, 36, *SIZE)
    assert look_through(open_for_check("cityscapes", str(root), "train")) == []


def test_cityscapes_test_split_holds_0_to_3_only(tmp_path):
    root, _ = published(tmp_path, "test")
    for i, path in enumerate(root.rglob("*_labelIds.png")):
        trees.save(path, areas([0, 1, 2, 3], i))
    assert look_through(open_for_check("cityscapes", str(root), "test")) == []


def test_cityscapes_of_pix2pixhd_as_your_own_folder(tmp_path):
    root, truth = from_pix2pixhd(tmp_path)
    (root / "classes.txt").write_text("\n".join(f"class {i}" for i in range(34)))
    dataset = Folder.from_root(root, height=SIZE[0], width=SIZE[1])
    assert [pair.name for pair in dataset.pairs] == sorted(truth)
    assert np.array_equal(dataset[2].instance, truth[dataset[2].name][1])
    assert "photographs are named NAME_leftImg8bit, label maps NAME_gtFine_labelIds" in dataset.remarks[1]


# --- COCO-Stuff

PHOTOS = {  # mode, (height, width), how it is saved
    "colour": (None, (32, 64), {}),
    "grey": ("L", (32, 64), {}),
    "CMYK": ("CMYK", (48, 32), {}),
    "portrait": (None, (64, 40), {"quality": 96, "subsampling": 0}),
    "progressive": (None, (32, 48), {"progressive": True, "optimize": True}),
    "profile": (None, (40, 64), {"icc_profile": PROFILE, "dpi": (300, 300), "comment": b"Flickr"}),
    "upright by its EXIF": (None, (48, 48), {"exif": {0x0112: 1, 0x010F: "NIKON"}}),
}
LAYOUTS = [
    ("images/train2017", "annotations/train2017", "instances/train2017"),
    ("train2017", "stuffthingmaps/train2017", "instances/train2017"),
    ("train_img", "train_label", "train_inst"),
]


def coco(root, photos, labels, instances):
    """Photographs of all kinds; label maps with and without 255; instances of 8 bits as the official script writes."""
    truth = {}
    for i, (mode, size, options) in enumerate(PHOTOS.values()):
        name, options = f"{139 + 1000 * i:012d}", dict(options)
        if "exif" in options:
            exif = Image.Exif()
            exif.update(options["exif"])
            options["exif"] = exif
        trees.photo(root / photos / f"{name}.jpg", i, mode, *size, **options)
        values = areas([0, 2, 84, 91, 95, 123, 156, 181, *[255] * (i % 2)], i, size=size)
        trees.save(root / labels / f"{name}.png", values, optimize=True)
        trees.save(root / instances / f"{name}.png", np.where(values == 0, i, values).astype(np.uint8))
        truth[name] = values
    (root / photos / "README.txt").write_text("coco")
    (root / labels / ".DS_Store").write_bytes(b"litter")
    return truth


@pytest.mark.parametrize("layout", LAYOUTS)
def test_coco_stuff_files_are_read_to_the_last_value(tmp_path, layout):
    truth = coco(tmp_path, *layout)
    dataset = COCOStuff(tmp_path)
    assert [pair.name for pair in dataset.pairs] == sorted(truth)
    for pair in dataset.pairs:
        photo, label, instance = dataset.read(pair)
        values = truth[pair.name]
        assert np.array_equal(label, np.where(values == 255, 182, values)) and instance.shape == label.shape
        assert photo.mode == "RGB" and (photo.height, photo.width) == values.shape
    assert look_through(open_for_check("coco-stuff", str(tmp_path), "train")) == []


@pytest.mark.parametrize("data", ["cityscapes", "coco-stuff"])
def test_check_says_nothing_but_the_numbers(tmp_path, capsys, data):
    if data == "cityscapes":
        published(tmp_path)
    else:
        coco(tmp_path, *LAYOUTS[0])
    main(["data", "check", data, "--root", str(tmp_path), "--split", "train", "--strict"])
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == 1 and "0 bad" in lines[0]
