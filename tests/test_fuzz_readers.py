"""Every reader of a data set, on trees in which files are broken at random: a valid sample or one line, never more."""

import io
import shutil
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import trees
from fuzzing import as_installed, assert_one_line, flipped, search, snapshot  # noqa: F401
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from spade_edu.data.catalogue import READERS
from spade_edu.data.validation import check_split
from spade_edu.errors import UserError

SIZE = (12, 24)
SUFFIXES = (".jpg", ".JPG", ".jpeg", ".png", ".PNG", ".webp", ".bmp", ".tif", ".TIFF", ".ppm", ".gif", ".txt", "")
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM", "GIF")
MODES = ("L", "P", "RGB", "RGBA", "LA", "CMYK", "1", "I", "I;16", "F", "YCbCr", "PA")
NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/\\"), min_size=1, max_size=12)


# --- small data sets in every layout


def landscapes(root: Path) -> Path:
    for i in range(2):
        trees.photo(root / "train/images" / f"{i}.jpg", i)
        trees.ids(root / "train/labels" / f"{i}.png", 182, i)
    return root


def own(root: Path) -> Path:
    for i in range(3):  # one of three is held back for validation
        trees.photo(root / "train/images" / f"deep/{i}.jpg", i)
        trees.ids(root / "train/labels" / f"deep/{i}.png", 3, i)
        trees.ids(root / "train/instances" / f"deep/{i}.png", 3, i)
    (root / "classes.json").write_text('{"names": ["sky", "sea", "ship"], "dont_care": 255}')
    return root


def styled(root: Path) -> Path:
    trees.cityscapes(root, cities=("ulm",), each=2)
    (root / "gtFine/train/ulm/ulm_000000_000019_gtFine_style.json").write_text('{"style": "night"}')
    return root


def with_instances(root: Path) -> Path:
    trees.coco(root, "train_img", "train_label", count=2)
    for i in range(2):
        trees.ids(root / "train_inst" / f"{i:012d}.png", 2000, i)
    return root


MAKERS = {
    "cityscapes": styled,
    "camvid": lambda root: trees.camvid_segnet(root, count=2),
    "ade20k": lambda root: trees.ade20k(root, scenes=("street", "beach")),
    "ade20k-outdoor": lambda root: trees.ade20k(root, scenes=("street", "beach")),
    "coco-stuff": with_instances,
    "flickr-landscapes": landscapes,
    "folder": own,
}


@pytest.fixture(scope="module", params=READERS)
def original(request, tmp_path_factory):
    """(name of the reader, a whole tree for it); made once."""
    return request.param, MAKERS[request.param](tmp_path_factory.mktemp(request.param))


# --- what is done to a file


def picture(draw) -> bytes:
    """The bytes of a picture of a random mode, format, size and EXIF rotation."""
    mode, kind = draw(st.sampled_from(MODES)), draw(st.sampled_from(FORMATS))
    height, width = draw(st.sampled_from([SIZE, SIZE[::-1], (1, 1), (13, 24), (300, 2)]))
    pixels = Image.fromarray(trees.noise(draw(st.integers(0, 9)), height, width, channels=3).astype(np.uint8))
    shown, exif, buffer = _convert(pixels, mode), Image.Exif(), io.BytesIO()
    exif[0x0112] = draw(st.integers(0, 9))
    try:
        shown.save(buffer, kind, **({"exif": exif} if kind in ("PNG", "JPEG", "TIFF", "WEBP") else {}))
    except (OSError, ValueError, KeyError):  # a format without this mode
        shown.convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def _convert(pixels: Image.Image, mode: str) -> Image.Image:
    if mode == "PA":
        return pixels.convert("P").convert("PA")
    if mode == "I;16":
        return Image.fromarray(np.array(pixels.convert("L")).astype(np.uint16) * 3)
    return pixels.convert(mode)


def damage(draw, root: Path) -> None:
    """Break one file of a tree."""
    files = sorted(p for p in root.rglob("*") if p.is_file() and not p.is_symlink())
    notes = [p for p in files if p.suffix in (".json", ".txt")]
    path = draw(st.sampled_from(notes) | st.sampled_from(files) if notes else st.sampled_from(files))
    content = path.read_bytes()
    match draw(st.sampled_from(DAMAGES)):
        case "cut":
            path.write_bytes(content[: draw(st.integers(0, max(len(content) - 1, 0)))])
        case "flip":
            path.write_bytes(flipped(draw, content))
        case "noise":
            path.write_bytes(draw(st.binary(max_size=64)))
        case "other picture":
            path.write_bytes(picture(draw))
        case "suffix":
            path.rename(path.with_suffix(draw(st.sampled_from(SUFFIXES))))
        case "name":
            path.rename(path.with_name(draw(NAMES) + path.suffix))
        case "nested":
            target = path.parent / draw(NAMES.filter(lambda name: name not in (".", ".."))) / path.name
            target.parent.mkdir(exist_ok=True)
            path.rename(target)
        case "missing":
            path.unlink()
        case "folder":
            path.unlink()
            path.mkdir()
        case "link to nowhere":
            path.unlink()
            path.symlink_to("nowhere")


DAMAGES = ("cut", "flip", "noise", "other picture", "suffix", "name", "nested", "missing", "folder", "link to nowhere")


# --- what must hold


def assert_valid(sample, labels) -> None:
    height, width = sample.label.shape
    assert sample.label.dtype == torch.int64 and sample.label.min() >= 0 and sample.label.max() < labels.num_ids
    assert sample.image.shape == (3, height, width) and sample.image.dtype == torch.float32
    assert sample.image.abs().max() <= 1
    instance = None if sample.instance is None else sample.instance[None]
    assert instance is None or instance.shape == (1, height, width)
    assert labels.encode(sample.label[None], instance).isfinite().all()


def read_all(name: str, root: Path) -> None:
    """Open a data set, read every sample and check it; what is wrong may only be said in one line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of files without partner; and Pillow's
        dataset = READERS[name](root, "train", height=32, width=48, augment=True)
        for index in range(len(dataset)):
            try:
                assert_valid(dataset[index], dataset.labels)
            except UserError as error:
                assert_one_line(error)
        report = check_split(dataset, "train")
    assert report.good + len(report.problems) >= len(dataset)
    assert all(len(problem.splitlines()) == 1 for problem in report.problems)


@search(45)
@given(data=st.data())
def test_a_broken_tree_gives_valid_samples_or_one_line(original, data):
    name, whole = original
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "tree")
        shutil.copytree(whole, root)
        for _ in range(data.draw(st.integers(1, 3))):
            damage(data.draw, root)
        before = snapshot(root)
        try:
            read_all(name, root)
        except UserError as error:
            assert_one_line(error)
        assert snapshot(root) == before


def test_the_whole_trees_are_read_in_full(original):
    name, whole = original
    dataset = READERS[name](whole, "train", height=32, width=48)
    assert len(dataset) == 2
    read_all(name, whole)
