"""Classes files of ours and of labelling tools are read rightly or refused by name; masks in colours become ids."""

import numpy as np
import pytest
import torch
import trees
from PIL import Image

from spade_edu.cli import main
from spade_edu.data import DataError, Folder
from spade_edu.data.classes import read_classes
from spade_edu.data.convert import convert
from spade_edu.data.files import read_ids
from spade_edu.labels import IGNORE

READ = {  # file, text: name of each pixel value
    "a comment": ("a.txt", "# my classes, in order\nbackground\n# a cat\ncat", {0: "background", 1: "cat"}),
    "numbered from 1": ("a.txt", "1 cat\n2 dog\n", {1: "cat", 2: "dog"}),
    "numbered out of step, tabs": ("a.txt", "2\tdog\n0\tbackground\n1\tcat", {0: "background", 1: "cat", 2: "dog"}),
    "numbered with colons": ("a.txt", "0: sky\n7: road\n255: car", {0: "sky", 7: "road", 255: "car"}),
    "numbered and coloured": ("a.txt", "3 sky, 1, 2, 3\n1 road, 4, 5, 6", {3: "sky", 1: "road"}),
    "numbered, and unknown": ("a.txt", "1 cat\n2 dog\ndont_care = 0", {1: "cat", 2: "dog", 0: "don't care"}),
    "a number in some names": ("a.txt", "sky\n2 wheeler\n3 wheeler", {0: "sky", 1: "2 wheeler", 2: "3 wheeler"}),
    "Roboflow": ("_classes.csv", "Pixel Value, Class\n0, background\n1, cat\n", {0: "background", 1: "cat"}),
    "Roboflow, from 1": ("a.txt", "Pixel Value,Class\n1,cat\n2,dog\n", {1: "cat", 2: "dog"}),
    "CVAT": (
        "labelmap.txt",
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:48,112,32::\n",
        {0: "background", 1: "cat"},
    ),
    "CVAT with parts": ("labelmap.txt", "person:192,128,128:head,hand:run\nsea:0,0,9::", {0: "person", 1: "sea"}),
    "labelme": ("labels.txt", "__ignore__\n_background_\ncat\n", {0: "_background_", 1: "cat", 255: "don't care"}),
    "JSON with ids": (
        "a.json",
        '{"names": [{"id": 2, "name": "dog"}, {"id": 1, "name": "cat"}]}',
        {1: "cat", 2: "dog"},
    ),
    "JSON with colors": ("a.json", '{"names": ["a", "b"], "colors": [[1, 2, 3], [4, 5, 6]]}', {0: "a", 1: "b"}),
}


@pytest.mark.parametrize("kind", READ)
def test_a_classes_file_is_read_rightly(tmp_path, kind):
    name, text, expected = READ[kind]
    (tmp_path / name).write_text(text)
    space, values = read_classes(tmp_path / name)
    assert {value: space.names[i] for value, i in enumerate(values) if i >= 0} == expected


def test_colours_of_others_are_taken(tmp_path):
    for name, text in (
        ("labelmap.txt", READ["CVAT"][1]),
        ("b.json", '{"names": [{"id": 0, "name": "a", "color": [1, 2, 3]}]}'),
    ):
        (tmp_path / name).write_text(text)
    assert [c.colour for c in read_classes(tmp_path / "labelmap.txt").space.classes] == [(0, 0, 0), (48, 112, 32)]
    assert [c.colour for c in read_classes(tmp_path / "b.json").space.classes] == [(1, 2, 3)]


REFUSED = {
    "a comma in a name": ("a.txt", "sky\nwall, brick", "a comma in 'wall, brick'"),
    "two commas": ("a.txt", "sky\nwall, brick, red", "a comma in"),
    "a number twice": ("a.txt", "0 sky\n1 road\n1 car", "the number 1 twice"),
    "a number beyond pixels": ("a.txt", "0 sky\n70000 road", "70000, which is no pixel value"),
    "names that are numbers": ("a.json", '{"names": [1, 2]}', "names that are no words"),
    "objects without id": ("a.json", '{"names": [{"name": "sky"}]}', "does not name the classes"),
    "an unknown entry": ("a.json", '{"names": ["sky"], "ignore": 255}', "an entry 'ignore'; did you mean dont_care"),
    "an entry mistyped": ("a.json", '{"names": ["sky"], "dontcare": 255}', "did you mean dont_care"),
    "COCO's own file": ("a.json", '{"categories": [{"id": 1, "name": "person"}]}', "there is no list of names"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_classes_file_is_refused_by_name(tmp_path, kind):
    name, text, words = REFUSED[kind]
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as found:
        read_classes(tmp_path / name)
    assert words in str(found.value) and len(str(found.value).splitlines()) == 1


def pair(root, ids, text):
    trees.photo(root / "train/images/a.jpg", height=ids.shape[0], width=ids.shape[1])
    trees.save(root / "train/labels/a.png", ids)
    (root / "classes.txt").write_text(text)
    return Folder.from_root(root, height=4, width=4)


@pytest.mark.parametrize(
    "ids, text, words",
    [
        ([[0, 255], [255, 0]], "background\nobject", "`255 object`"),
        ([[0, 1], [255, 0]], "sky\nroad\ncar", "write `dont_care = 255`"),
        ([[1, 2], [3, 3]], "sky\nroad\ncar", "Do they count from 1?"),
        ([[0, 7], [9, 3]], "sky\nroad\ncar", "not a map of trainIds"),
    ],
)
def test_values_beyond_the_classes_get_the_likeliest_repair(tmp_path, ids, text, words):
    with pytest.raises(DataError) as found:
        pair(tmp_path, np.array(ids, np.uint8), text)[0]
    assert words in str(found.value)


def test_masks_of_0_and_255_are_read_as_the_message_says(tmp_path):
    ids = np.array([[0, 255], [255, 0]], np.uint8).repeat(2, 0).repeat(2, 1)
    assert pair(tmp_path, ids, "0 background\n255 object")[0].label.unique().tolist() == [0, 1]


def test_minus_1_is_told_what_to_write(tmp_path):
    dataset = pair(tmp_path, np.zeros((4, 4), np.uint8), "sky\nroad")
    (tmp_path / "train/labels/a.png").unlink()
    Image.fromarray(np.full((4, 4), -1, np.int32)).save(tmp_path / "train/labels/a.tif")
    with pytest.raises(DataError, match="write 255 in its place, and `dont_care = 255`"):
        Folder.from_root(tmp_path)[0]
    assert len(dataset) == 1


# Colours become ids

COLOURS = np.array([(0, 0, 0), (48, 112, 32), (176, 112, 32)], np.uint8)
CVAT = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:48,112,32::\ndog:176,112,32::\n"


@pytest.fixture
def masks(tmp_path):
    """Masks in colours in folders below folders, as RGB, RGBA and palette, and the ids that were drawn."""
    drawn = {name: trees.noise(i, top=3) for i, name in enumerate(("a", "b/c", "d"))}
    for (name, ids), mode in zip(drawn.items(), ("RGB", "RGBA", "P")):
        picture = Image.fromarray(COLOURS[ids])
        picture = picture.quantize(3) if mode == "P" else picture.convert(mode)
        (tmp_path / "masks" / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(tmp_path / "masks" / f"{name}.png")
    (tmp_path / "labelmap.txt").write_text(CVAT)
    return tmp_path, drawn


def test_masks_in_colours_become_ids(masks):
    root, drawn = masks
    report = convert(root / "masks", root / "labels", root / "labelmap.txt")
    assert report == (3, [], {})
    for name, ids in drawn.items():
        assert np.array_equal(read_ids(root / "labels" / f"{name}.png"), ids)


def test_stray_colours_are_named_and_left_out_or_become_unknown(masks):
    root, drawn = masks
    pixels = COLOURS[drawn["a"]].copy()
    pixels[0, :3] = 50, 110, 30
    Image.fromarray(pixels).save(root / "masks/a.png")
    report = convert(root / "masks", root / "labels", root / "labelmap.txt")
    assert report.written == 2 and "1 colours in 3 pixels are no class's" in report.problems[0]
    assert "(50, 110, 30) (nearest: 'cat')" in report.problems[0]
    (root / "labelmap.txt").write_text(CVAT + "dont_care = 255\n")
    report = convert(root / "masks", root / "labels", root / "labelmap.txt")
    assert report.written == 3 and report.stray == {(50, 110, 30): 3}
    assert read_ids(root / "labels/a.png")[0, :3].tolist() == [255] * 3


def test_ignore_is_no_class_id(tmp_path):
    (tmp_path / "classes.txt").write_text("\n".join(f"c{i}" for i in range(300)))
    space = read_classes(tmp_path / "classes.txt").space
    assert len({c.score_id for c in space.classes} - {IGNORE}) == 300 == len(space.score_names)
    assert (space.to_score_ids(torch.arange(300)) != IGNORE).all()


@pytest.mark.parametrize("channel, place", [("red", 0), ("green", 1), ("blue", 2)])
def test_ids_in_a_channel_are_taken_from_there(tmp_path, channel, place):
    ids = trees.noise(0, top=5).astype(np.uint8)
    pixels = np.zeros((*ids.shape, 3), np.uint8)
    pixels[..., place] = ids
    trees.save(tmp_path / "masks/a.png", pixels)
    (tmp_path / "classes.txt").write_text("a\nb")
    convert(tmp_path / "masks", tmp_path / "labels", tmp_path / "classes.txt", channel)
    assert np.array_equal(read_ids(tmp_path / "labels/a.png"), ids)


@pytest.mark.parametrize("equal, words", [(True, "three equal channels"), (False, "all of it in red")])
def test_ids_in_a_colour_picture_are_told_of_convert(tmp_path, equal, words):
    ids = trees.noise(0, top=5).astype(np.uint8)
    pixels = np.stack([ids, ids * equal, ids * equal], -1)
    trees.save(tmp_path / "a.png", pixels)
    with pytest.raises(DataError, match=f"{words}.*data convert --channel red"):
        read_ids(tmp_path / "a.png")


@pytest.mark.parametrize(
    "text, out, words",
    [
        ("a\nb", "labels", "gives no colours"),
        ("a, 1, 2, 3\nb, 1, 2, 3", "labels", "stands for two classes"),
        (CVAT, "masks/labels", "lies inside"),
    ],
)
def test_what_cant_be_converted_is_one_line(masks, text, out, words):
    root, _ = masks
    (root / "labelmap.txt").write_text(text)
    with pytest.raises(DataError, match=words):
        convert(root / "masks", root / out, root / "labelmap.txt")


def test_the_command_converts_and_the_result_is_read(masks, monkeypatch, capsys):
    root, drawn = masks
    monkeypatch.chdir(root)
    for name in drawn:
        trees.photo(root / "train/images" / f"{name}.jpg")
    main(["data", "convert", "masks", "train/labels", "--classes", "labelmap.txt"])
    assert "3 maps written, 0 bad." in capsys.readouterr().out
    dataset = Folder.from_root(root, height=12, width=24)
    assert dataset.labels.names == ("background", "cat", "dog")
    assert np.array_equal(dataset[0].label.numpy(), drawn["a"])
