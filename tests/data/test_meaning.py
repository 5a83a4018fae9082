"""Values in range that mean something else are found; sound data of every layout is left alone."""

import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import trees
from PIL import Image

from spade_edu.cli import main
from spade_edu.data import DataError, Folder
from spade_edu.data.files import read_ids
from spade_edu.data.meaning import NEVER_IN_COCO, borders, look_through
from spade_edu.data.paired import PairedFiles
from spade_edu.data.validation import open_for_check

COLOURS = ((0, 0, 0), (0, 200, 0), (200, 0, 0), (0, 0, 200))
TRAIN = "train --preset test --data folder --root set --out run --set epochs=1 --set epochs_decay=0"


def areas(values, seed=0, height=48, width=96, cell=8):
    """A map of areas that are `cell` pixels wide and hold some of `values`."""
    rng = np.random.default_rng(seed)
    small = rng.choice(values, (height // cell, width // cell))
    return np.repeat(np.repeat(small, cell, 0), cell, 1).astype(np.uint8)


def palette_map(ids, colours, path):
    picture = Image.fromarray(ids).convert("L")
    picture.putpalette(bytes(np.array(colours, np.uint8).flatten()))
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def write(root, maps, names=("grass", "sky", "car", "sea"), colours=COLOURS, dont_care=None, save=None):
    """A folder set with these maps in both splits; save(array, path) writes one."""
    for split in "train", "val":
        for i, ids in enumerate(maps):
            trees.photo(root / split / "images" / f"{i}.jpg", i, height=ids.shape[0], width=ids.shape[1])
            (save or trees.save)(*((ids, root / split / "labels" / f"{i}.png")[:: 1 if save else -1]))
    rows = [", ".join(map(str, (name, *colour))) for name, colour in zip(names, colours)]
    (root / "classes.txt").write_text("\n".join([*rows, *[f"dont_care = {dont_care}"] * (dont_care is not None)]))
    return root


def found(root, data="folder", split="train"):
    """severity and text of the findings."""
    return look_through(open_for_check(data, str(root), split))


def only(root, severity, words, data="folder"):
    results = found(root, data)
    assert [result.severity for result in results][:1] == [severity] and words in results[0].text, results
    assert "\n" not in results[0].text
    return results


# Palettes


def renumbered(order):
    """A writer whose palette numbers the colours in another order than the classes."""

    def save(ids, path):
        palette_map(np.argsort(order)[ids].astype(np.uint8), [COLOURS[i] for i in order], path)

    return save


def adaptive(ids, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(COLOURS, np.uint8)[ids]).convert("P", palette=Image.Palette.ADAPTIVE, colors=4).save(path)


def squeezed(ids, path):
    """As an optimiser writes it: entries that don't occur are dropped."""
    used = np.unique(ids)
    palette_map(np.searchsorted(used, ids).astype(np.uint8), [COLOURS[i] for i in used], path)


@pytest.mark.parametrize("save", [renumbered([1, 0, 2, 3]), renumbered([0, 1, 3, 2]), adaptive, squeezed])
def test_a_palette_with_the_colour_of_another_class_is_an_error(tmp_path, save):
    maps = [areas([0, 1, 2, 3], 0), areas([0, 2, 3], 1), areas([0, 3, 1], 2)]
    only(write(tmp_path, maps, save=save), "error", "but its palette gives it the colour of")


def test_palettes_numbered_anew_are_an_error_also_where_the_classes_have_other_colours(tmp_path):
    maps = [areas([0, 1, 2], 0), areas([0, 2, 3], 1)]
    grey = [(9, 9, i) for i in range(4)]
    only(write(tmp_path, maps, colours=grey, save=squeezed), "error", "numbered anew")


@pytest.mark.parametrize(
    "colours", [COLOURS, [(0, 0, 0)] * 4, [(i, i, i) for i in range(4)], [(5, 6, i) for i in range(4)]]
)
def test_palettes_that_say_nothing_else_are_left_alone(tmp_path, colours):
    maps = [areas([0, 1, 2, 3], i) for i in range(3)]
    assert found(write(tmp_path, maps, save=lambda ids, path: palette_map(ids, colours, path))) == []


# Conventions of others


def cityscapes(root, values):
    trees.cityscapes(root, each=3)
    for i, path in enumerate(sorted(root.rglob("*_labelIds.png"))):
        trees.save(path, areas(values, i, 12, 24, 3))
    return root


@pytest.mark.parametrize("values", [[0, 0, 0, 2, 8, 10, 13, 19], [0, 1, 2, 8, 18], [0, 0, 13, 19]])
def test_train_ids_under_the_name_of_label_ids(tmp_path, values):
    only(cityscapes(tmp_path, values), "error", "trainIds under the name of labelIds", "cityscapes")


@pytest.mark.parametrize("values", [[1, 3, 7, 7, 8, 11, 21, 23, 26], [0, 1, 2, 3], [7, 8, 11, 17], [0, 1, 2, 7, 23]])
def test_label_ids_are_left_alone(tmp_path, values):
    assert found(cityscapes(tmp_path, values), "cityscapes") == []


def coco(root, maps):
    for i, ids in enumerate(maps):
        name = f"{i:012d}"
        trees.photo(root / f"images/train2017/{name}.jpg", i, height=ids.shape[0], width=ids.shape[1])
        for kind in "annotations", "instances":
            trees.save(root / kind / "train2017" / f"{name}.png", ids)
    return root


RIGHT = sorted({*range(182)} - NEVER_IN_COCO)


def test_coco_numbers_from_1_are_an_error_and_right_ones_none(tmp_path):
    drawn = [areas([*RIGHT, 255, 255, 255], i) for i in range(12)]
    assert found(coco(tmp_path / "right", drawn), "coco-stuff") == []
    shifted = [np.where(ids == 255, 0, ids + 1).astype(np.uint8) for ids in drawn]
    only(coco(tmp_path / "shifted", shifted), "error", "subtract 1, write 255 for 0", "coco-stuff")


def test_few_coco_maps_of_persons_only_are_suspicious(tmp_path):
    only(coco(tmp_path, [areas([0, 1, 96], i) for i in range(3)]), "warning", "0 (person) in each", "coco-stuff")


# Classes that are absent, unknown or alone


@pytest.mark.parametrize(
    "dont_care, words", [(255, "100% of the pixels are"), (254, "occur in none"), (None, "occur in none")]
)
def test_absent_classes_are_suspicious(tmp_path, dont_care, words):
    value = 255 if dont_care == 255 else 0
    results = found(write(tmp_path, [areas([value, value, value], i) for i in range(2)], dont_care=dont_care))
    assert {result.severity for result in results} == {"warning"}
    assert any(words in result.text for result in results)


@pytest.mark.parametrize("object_value", [255, 200])
def test_a_class_that_is_only_dont_care_is_suspicious(tmp_path, object_value):
    maps = [areas([0, 0, object_value], i) for i in range(3)]
    root = write(tmp_path, maps, names=("background", "object"), dont_care=object_value)
    results = only(root, "warning", "classes occur in none of 3 maps: object.")
    assert f"are don't care ({object_value}): is that one of them?" in results[0].text


@pytest.mark.parametrize("values", [[0], [2], [3]])
def test_uniform_maps_are_suspicious(tmp_path, values):
    only(write(tmp_path, [areas(values, i) for i in range(4)]), "warning", "4 of 4 maps hold one value only")


# Resizing and JPEG


def resized(how):
    def change(ids):
        return np.array(Image.fromarray(ids).resize((240, 144), how))

    return change


def through_jpeg(ids):
    file = BytesIO()
    Image.fromarray(ids).save(file, "JPEG", quality=75)
    return np.array(Image.open(file))


SOFT = {
    "bilinear": (resized(Image.Resampling.BILINEAR), [0, 3, 7]),
    "bicubic": (resized(Image.Resampling.BICUBIC), [10, 100, 200]),
    "Lanczos": (resized(Image.Resampling.LANCZOS), [10, 60, 90]),
    "JPEG": (through_jpeg, [10, 100, 200]),
    "JPEG of near values": (through_jpeg, [100, 120, 150]),
}


@pytest.mark.parametrize("kind", SOFT)
def test_ids_that_nobody_drew_are_suspicious(tmp_path, kind):
    change, values = SOFT[kind]
    maps = [change(areas(values, i, 96, 156, 12)) for i in range(4)]
    names, colours = [f"c{i}" for i in range(256)], [(i, 0, 0) for i in range(256)]
    results = found(write(tmp_path, maps, names, colours))
    assert any("classes that nobody drew" in result.text for result in results), results


def test_thin_things_and_nearest_neighbour_are_left_alone(tmp_path):
    maps = []
    for i in range(4):
        ids = areas([0, 1, 2, 3], i, 96, 160, 16)
        ids[:, 5::40], ids[3::30] = 2, 1  # poles and wires of one pixel
        maps.append(np.array(Image.fromarray(ids).resize((130, 90), Image.Resampling.NEAREST)))
    assert found(write(tmp_path, maps)) == []


def test_borders_are_counted():
    hard, soft = np.array([[1, 1, 4, 4]], np.int32), np.array([[1, 1, 2, 3, 4, 4]], np.int32)
    assert borders(np.repeat(hard, 3, 0)) == (3, 0) and borders(soft.T) == (0, 1)
    assert borders(np.array([[1, 1, 9, 4, 4]], np.int32)) == (0, 0)


# How files hold values


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_grey_png_of_few_bits_is_read_as_it_was_written(tmp_path, bits):
    import struct
    import zlib

    values = trees.noise(bits, 5, 16, 2**bits).astype(np.uint8)
    bit_rows = np.unpackbits(values[..., None], axis=-1)[..., -bits:].reshape(5, -1)
    raw = b"".join(b"\0" + np.packbits(row).tobytes() for row in bit_rows)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 16, 5, bits, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b"")
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    assert np.array_equal(read_ids(path), values)


@pytest.mark.parametrize("bits", [2, 4])
def test_a_palette_of_few_bits_is_read_as_it_was_written(tmp_path, bits):
    picture = Image.fromarray(trees.noise(0, top=2**bits).astype(np.uint8))
    picture.putpalette(bytes(3 * 2**bits))
    picture.save(tmp_path / "a.png", bits=bits)
    assert np.array_equal(read_ids(tmp_path / "a.png"), trees.noise(0, top=2**bits))


@pytest.mark.parametrize("name", ["a.tif", "a.tiff", "a.png"])
def test_files_with_several_pages_are_refused(tmp_path, name):
    pages = [Image.fromarray(areas([0, 1], i)) for i in range(3)]
    pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match="found 3 pages"):
        read_ids(tmp_path / name)


# No false alarm


def layouts(root, seed):
    """Ten pictures of each of the five layouts: areas of their own values, some of them rare."""
    rng = np.random.default_rng(seed)

    def some(values, i):
        return areas(rng.choice(values, int(rng.integers(3, 9))), seed + i, cell=int(rng.integers(3, 12)))

    ade, flickr, camvid = root / "ade/ADEChallengeData2016", root / "flickr/train", root / "camvid"
    for photos, maps, values in (
        (ade / "images/training", ade / "annotations/training", range(151)),
        (flickr / "images", flickr / "labels", [*RIGHT, 255]),
        (camvid / "train", camvid / "trainannot", range(12)),
    ):
        for i in range(10):
            ids = some([*values], i)
            trees.save(maps / f"{i}.png", ids)
            trees.photo(photos / f"{i}.jpg", i, height=ids.shape[0], width=ids.shape[1])
    city, drawn = trees.cityscapes(root / "city", each=5), [1, 3, 4, 7, 7, 8, 11, 17, 20, 21, 22, 23, 23, 24, 26, 33]
    for i, path in enumerate(city.rglob("*_labelIds.png")):
        trees.save(path, some(drawn, i)[:12, :24])
    stuff = coco(root / "coco", [some([*RIGHT, 255], i) for i in range(10)])
    folders = {"ade20k": ade, "flickr-landscapes": flickr.parent, "camvid": camvid}
    return folders | {"cityscapes": city, "coco-stuff": stuff}


@pytest.mark.parametrize("seed", range(50))
def test_sound_data_of_every_layout_gives_no_error_and_at_most_one_warning(tmp_path, seed):
    for data, root in layouts(tmp_path, seed).items():
        results = found(root, data)
        assert len(results) <= 1 and all(result.severity != "error" for result in results), (data, results)


def test_noise_in_every_layout_is_left_alone(tmp_path):
    for split in "train", "val":
        trees.camvid_small(tmp_path / "camvid", split)
    trees.ade20k(tmp_path / "ade")
    trees.cityscapes(tmp_path / "city")
    for data, name in (("camvid", "camvid"), ("ade20k", "ade"), ("cityscapes", "city")):
        assert found(tmp_path / name, data) == []


# The commands


def run(capsys, *command):
    try:
        main(list(command))
        code = 0
    except SystemExit as end:
        code = end.code
    return code, *capsys.readouterr()


def test_check_and_train_stop_on_errors_and_with_strict_on_warnings(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    check = ("data", "check", "folder", "--root", "set")
    write(Path("set"), [areas([0, 1, 2], i, 32, 64) for i in range(3)])  # no map holds sea
    code, out, _ = run(capsys, *check)
    assert code == 0 and "warning: 1 of 4 classes occur in none of 3 maps: sea." in out
    assert run(capsys, *check, "--strict")[0] == 2
    code, out, _ = run(capsys, *TRAIN.split())
    assert code == 0 and out.count("warning: ") == 1
    code, _, message = run(capsys, *TRAIN.split(), "--strict")
    assert code == 2 and "occur in none" in message and len(message.splitlines()) == 1
    write(Path("bad"), [areas([0, 1, 2, 3], i, 32, 64) for i in range(3)], save=renumbered([1, 0, 2, 3]))
    code, out, _ = run(capsys, *check[:-1], "bad")
    assert code == 2 and "error: bad/train/labels/0.png: value 0 stands for 'grass'" in out
    code, _, message = run(capsys, *TRAIN.replace("root set --out run", "root bad --out other").split())
    assert code == 2 and "colour of 'sky'" in message and not Path("other").exists()


def test_train_says_at_most_three_lines(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(Path("set"), [areas([255], i, 32, 64) for i in range(3)], dont_care=255)
    code, out, _ = run(capsys, *TRAIN.split())
    assert code == 0 and out.count("warning: ") == 3


def test_a_sample_is_spread_over_all_maps(tmp_path, monkeypatch):
    root = write(tmp_path, [areas([0, 1, 2, 3], i) for i in range(5)])
    dataset = open_for_check("folder", str(root), "train")
    assert isinstance(dataset, PairedFiles)
    seen = []
    monkeypatch.setattr("spade_edu.data.meaning.look_at", lambda path: seen.append(path.name))
    assert look_through(dataset, 2) == [] and sorted(seen) == ["0.png", "2.png"]


def test_a_large_map_costs_little(tmp_path):
    ids = areas(range(30), 0, 1024, 2048, 16)
    trees.save(tmp_path / "a.png", ids)
    from spade_edu.data.meaning import look_at

    started = time.monotonic()
    assert look_at(tmp_path / "a.png").sharp > 1000
    assert time.monotonic() - started < 10


def test_folder_is_the_only_reader_whose_absent_classes_are_said(tmp_path):
    root = write(tmp_path, [areas([0, 1, 2], i) for i in range(3)])
    assert isinstance(open_for_check("folder", str(root), "train"), Folder)
    assert [result.severity for result in found(root)] == ["warning"]
