"""Advice looks before it speaks: paths as they were meant, variables and missing splits named."""

from pathlib import Path

import pytest
import trees

from spade_edu import cli
from spade_edu.data import DataError, Folder, choose, open_dataset
from spade_edu.data.streets import write
from spade_edu.errors import UserError
from spade_edu.files import meant
from spade_edu.pretrained.weights import CATALOGUE


@pytest.mark.parametrize("text", ["'{0}'", '"{0}"', "{0}/", " {0} ", "~/set"])
def test_paths_are_taken_as_meant(tmp_path, monkeypatch, text):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert meant(text.format(tmp_path / "set")) == tmp_path / "set"
    assert choose("folder", text.format(tmp_path / "set"))[1] == tmp_path / "set"


@pytest.mark.parametrize("words", [["'{0}'"], ["--out=~/run"], ["~/run"], ["--root", '"{0}"'], ["--set", "lr=1"]])
def test_the_command_line_takes_paths_as_meant(tmp_path, monkeypatch, words):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    seen = []
    monkeypatch.setattr(cli, "app", lambda args, **_: seen.extend(args))
    cli.main([word.format(tmp_path / "run") for word in words])
    asked = words[-1] == "lr=1"
    assert seen[-1].removeprefix("--out=") == ("lr=1" if asked else str(tmp_path / "run"))


def test_the_variable_of_weights_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("SPADE_EDU_WEIGHTS", f"'{tmp_path}'")
    with pytest.raises(UserError, match=rf"put it at {tmp_path}\S+ \(SPADE_EDU_WEIGHTS says where\)"):
        CATALOGUE["drn_d_105"].find()


@pytest.mark.parametrize("text", ["~nobody-of-this-name/set", "it's", "'", ""])
def test_other_paths_are_left_alone(text):
    assert meant(text) == Path(text)


def test_the_variable_is_named_and_its_home_expanded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("CITYSCAPES_DATASET", "~/nowhere")
    with pytest.raises(DataError, match="CITYSCAPES_DATASET is ~/nowhere, which is no folder"):
        choose("cityscapes", None)
    (tmp_path / "nowhere").mkdir()
    assert choose("cityscapes", None)[1] == tmp_path / "nowhere"


def test_a_missing_folder_and_a_missing_split_are_named(tmp_path):
    with pytest.raises(DataError, match="set is not a folder"):
        Folder.from_root(tmp_path / "set")
    trees.photo(tmp_path / "train/images/a.jpg")
    trees.ids(tmp_path / "train/labels/a.png", 2)
    (tmp_path / "classes.txt").write_text("a\nb")
    with pytest.raises(DataError, match="Move some pairs from .*train to .*val"):
        Folder.from_root(tmp_path, "val")


def test_nothing_untrue_is_said_of_label_maps_that_are_there(tmp_path):
    """One pair without its instance map: the label maps aren't what is missing."""
    write(tmp_path, train=1, val=1, height=16, width=32)
    next(tmp_path.rglob("gtFine/train/**/*_instanceIds.png")).unlink()
    with pytest.raises(DataError) as caught:
        open_dataset("cityscapes", tmp_path, "train")
    assert "instance map" in str(caught.value) and "holds only" not in str(caught.value)
    for path in tmp_path.rglob("gtFine/train/**/*_labelIds.png"):
        path.unlink()
    with pytest.raises(DataError, match=r"holds only \*_color.png"):
        open_dataset("cityscapes", tmp_path, "train")
