"""Files that commands read (settings, classes, checkpoints, scores, notebooks, archives) with random contents.

Each gives a value or one line, and an archive writes nothing outside its folder.
"""

import io
import json
import stat
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
import trees
from fuzzing import as_installed, assert_one_line, flipped, search, snapshot  # noqa: F401
from hypothesis import given
from hypothesis import strategies as st
from PIL import PngImagePlugin
from torch import nn

from spade_edu.checkpoints import load_checkpoint, load_weights, save_checkpoint, save_weights
from spade_edu.checks import grading, scorecard
from spade_edu.checks.grades import read_grades, write_grades
from spade_edu.checks.wall import Wall
from spade_edu.data.classes import read_classes
from spade_edu.data.coco_stuff import make_instances
from spade_edu.data.download import unpack
from spade_edu.errors import UserError
from spade_edu.evaluation.frechet import FeatureStatistics
from spade_edu.evaluation.images import ImageFolder
from spade_edu.evaluation.user_study import load_choices
from spade_edu.experiments.table2 import report
from spade_edu.presets import preset
from spade_edu.pretrained import official
from spade_edu.pretrained.weights import read_state_dict
from spade_edu.runs.loading import load_config
from spade_edu.widgets.looks import read_recipe

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["\ud800", "sky", -1, 0, 255, 256, 65536, 1e999, "3"])
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
)


# --- files as they should be, and what reads them


def text_file(name: str, text: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_text(text)
        return folder / name

    return make


CHOICE = dict(mask="m", left="SPADE", right="CRN", chosen="left", seconds=1.5, participant="p")
CELLS = [{"cell_type": "code", "source": ["check('one_hot', f)\n", "1"]}, {"cell_type": "markdown", "source": "a"}]
config_file = text_file("config.json", json.dumps(asdict(preset("test"))))
classes_file = text_file(
    "classes.json", '{"names": ["sky", "sea"], "colours": [[1, 2, 3], [4, 5, 6]], "dont_care": 255}'
)
classes_text = text_file("classes.txt", "sky, 1, 2, 3\nsea, 4, 5, 6\ndont_care = 255\n")
choices_file = text_file("choices.jsonl", json.dumps(CHOICE) + "\n" + json.dumps(CHOICE | {"seconds": 2}) + "\n")
scorecard_file = text_file("progress.json", '{"spade_forward": true, "lsgan": false}')
notebook_file = text_file("x.ipynb", json.dumps({"cells": CELLS, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}))


def polygons_file(folder: Path) -> Path:
    if not (folder / "images").exists():
        trees.coco(folder, count=1)
    path = folder / "annotations/instances_val2017.json"
    images = [{"id": 1, "file_name": "000000000000.jpg"}]
    things = [{"image_id": 1, "segmentation": [[1, 1, 9, 1, 9, 9]]}, {"image_id": 1, "segmentation": {"counts": []}}]
    path.write_text(json.dumps({"images": images, "annotations": things}))
    return path


def recipe_file(folder: Path) -> Path:
    path, text = folder / "a.png", PngImagePlugin.PngInfo()
    text.add_text("spade_edu recipe", '{"seed": 3}')
    return trees.photo(path, pnginfo=text)


def generated_file(folder: Path) -> Path:
    return trees.photo(folder / "images" / "a.png")


def features_file(folder: Path) -> Path:
    path, statistics = folder / "real.safetensors", FeatureStatistics("f", 2, "a")
    statistics.update(torch.rand(3, 2))
    statistics.save(path)
    return path


def weights_file(folder: Path) -> Path:
    path = folder / "G.safetensors"
    save_weights(nn.Linear(2, 2), path)
    return path


def torch_file(folder: Path) -> Path:
    path = folder / "latest_net_G.pth"
    torch.save({"head_0.conv_0.bias": torch.zeros(16), "fc.weight": torch.zeros(4, 4)}, path)
    return path


def checkpoint_file(folder: Path) -> Path:
    state = {"step": 1, "trainer": {"steps": 1, "optimizer_g": {"state": {}, "param_groups": []}}, "rng": []}
    path = save_checkpoint(folder / "checkpoints", 1, {"G": nn.Linear(2, 2)}, state)
    (path / "checksums.json").unlink()  # or no change would get any further
    return path / "state.json"


def earlier_checkpoint_file(folder: Path) -> Path:
    path = checkpoint_file(folder)
    torch.save(json.loads(path.read_text()), path.with_name("state.pt"))
    path.unlink()
    return path.with_name("state.pt")


def generated_images(path: Path) -> None:
    images = ImageFolder(path.parent, ["a"])
    assert images[0].shape == (3, *images.size)


def drawn_instances(path: Path) -> None:
    make_instances(path.parents[1], "val")


READERS = {
    "settings": (config_file, lambda path: load_config(path.parent)),
    "classes.json": (classes_file, read_classes),
    "classes.txt": (classes_text, read_classes),
    "choices": (choices_file, load_choices),
    "table 2": (choices_file, lambda path: report([path])),
    "polygons": (polygons_file, drawn_instances),
    "recipe": (recipe_file, read_recipe),
    "generated": (generated_file, generated_images),
    "features": (features_file, FeatureStatistics.load),
    "weights": (weights_file, lambda path: load_weights(nn.Linear(2, 2), path)),
    "published weights": (torch_file, read_state_dict),
    "official generator": (torch_file, official.load_generator),
    "official discriminator": (torch_file, official.load_discriminator),
    "official encoder": (torch_file, official.load_encoder),
    "pix2pixHD": (torch_file, official.load_pix2pixhd),
    "checkpoint": (checkpoint_file, lambda path: load_checkpoint(path.parent, {"G": nn.Linear(2, 2)})),
    "checkpoint of version 0.1": (
        earlier_checkpoint_file,
        lambda path: load_checkpoint(path.parent, {"G": nn.Linear(2, 2)}),
    ),
}


def replaced(draw, value):
    """A JSON value with one of its parts replaced by a random one."""
    if isinstance(value, (dict, list)) and value and draw(st.integers(0, 4)):
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key = draw(st.sampled_from(keys))
        copy = value.copy()
        copy[key] = replaced(draw, value[key])
        return copy
    return draw(JSON)


def change(draw, content: bytes) -> bytes:
    """Another file: cut, with bytes flipped, with a part of its JSON replaced, or made of nothing but chance."""
    match draw(st.sampled_from(["cut", "flip", "noise", "json", "part", "part", "deep"])):
        case "cut":
            return content[: draw(st.integers(0, len(content)))]
        case "flip":
            return flipped(draw, content)
        case "noise":
            return draw(st.binary(max_size=64))
        case "deep":
            return b"[" * 100_000
        case "json":
            return json.dumps(draw(JSON)).encode()
    try:
        return json.dumps(replaced(draw, json.loads(content))).encode()
    except ValueError:
        return flipped(draw, content)


@pytest.mark.parametrize("kind", READERS)
@search(40)
@given(data=st.data())
def test_a_file_with_random_contents_is_read_or_refused_in_one_line(kind, data):
    make, read = READERS[kind]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = make(Path(folder))
        path.write_bytes(change(data.draw, path.read_bytes()))
        try:
            read(path)
        except UserError as error:
            assert_one_line(error)


@pytest.mark.parametrize("kind", READERS)
def test_the_files_themselves_are_read(kind, tmp_path):
    make, read = READERS[kind]
    if make is torch_file and kind != "published weights":
        pytest.skip("a generator's file of two entries: never whole")
    read(make(tmp_path))


@search(60)
@given(data=st.data())
def test_a_scorecard_is_read_whatever_it_holds(data):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = scorecard_file(Path(folder))
        patch.setattr(scorecard, "FILE", path)
        path.write_bytes(change(data.draw, path.read_bytes()))
        assert all(type(k) is str and type(v) is bool for k, v in scorecard.read().items())


@search(60)
@given(data=st.data())
def test_a_notebook_of_any_contents_is_graded(data):
    """Without running it: its cells are found, or it is said to be unreadable."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(grading.Run, "to_the_end", lambda run: None)
        path = notebook_file(Path(folder)).rename(Path(folder, "03_x.ipynb"))
        path.write_bytes(change(data.draw, path.read_bytes()))
        hand_in = grading.read_hand_in(path, path.name)
        grades = grading.grade_notebook(hand_in, 1, Wall(namespaces=False, user=False))
        assert grades and not any(grade.passed for grade in grades)
        write_grades({path.name: grades}, Path(folder, "grades.csv"))
        assert read_grades(Path(folder, "grades.csv")) == {path.name: grades}


# --- archives

PIECES = st.sampled_from(["a", "b", "..", ".", "", "out", "top", "C:", "x.part", "é", "a\\..\\b", "con", "\ud800", " "])
LINK, DEVICE, PIPE = stat.S_IFLNK | 0o777, stat.S_IFCHR | 0o666, stat.S_IFIFO | 0o666


def member(draw) -> zipfile.ZipInfo:
    """An entry of an archive with any name and kind."""
    name = draw(st.sampled_from(["", "", "/", "//", "../"])) + "/".join(draw(st.lists(PIECES, min_size=1, max_size=4)))
    info = zipfile.ZipInfo("x")
    info.filename = name.encode("utf-8", "replace").decode()
    info.external_attr = draw(st.sampled_from([0, 0o644, LINK, DEVICE, PIPE, stat.S_IFDIR | 0o755])) << 16
    return info


def archive(draw) -> bytes:
    """A zip file of random entries, its bytes changed now and then."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of double names
        for _ in range(draw(st.integers(0, 5))):
            zipped.writestr(member(draw), draw(st.binary(max_size=20)))
    content = buffer.getvalue()
    return flipped(draw, content) if draw(st.booleans()) else content


@search(250)
@given(data=st.data())
def test_no_archive_writes_outside_its_folder(data):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "a.zip").write_bytes(archive(data.draw))
        (root / "beside").mkdir()
        (root / "beside" / "b").write_text("kept")
        (root / "out.part").write_text("kept")
        inside = data.draw(st.sampled_from(["", "top", "a"]))
        if data.draw(st.booleans()):  # links that an earlier archive, or somebody, may have left
            (root / "out").mkdir()
            (root / "out" / data.draw(st.sampled_from(["a", "b", "a.part", "x.part"]))).symlink_to(root / "beside/b")
        before = snapshot(root)
        try:
            unpack(root / "a.zip", root / "out", inside=inside, most_bytes=60)
        except UserError as error:
            assert_one_line(error)
        written = snapshot(root)
        assert {p: c for p, c in written.items() if not p.is_relative_to(root / "out")} == {
            p: c for p, c in before.items() if not p.is_relative_to(root / "out")
        }
        assert sum(len(c) for p, c in written.items() if p.is_relative_to(root / "out") and c) <= 60 + 4
