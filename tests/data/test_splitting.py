"""A folder of pairs without a val split is split by a rule that follows from names alone."""

import json
import shutil
from pathlib import Path

import pytest
import trees

from spade_edu.cli import main
from spade_edu.data import DataError, open_dataset
from spade_edu.data.pack import pack

TRAIN = ["train", "--preset", "test", "--data", "folder", "--root", "set", "--out", "run", "--save-every", "1"]
TRAIN += ["--set", "batch_size=1", "--set", "epochs=1", "--set", "epochs_decay=0"]


def pairs(count, photos="train/images", labels="train/labels"):
    for i in range(count):
        trees.photo(Path("set", photos, f"{i}.jpg"), i)
        trees.ids(Path("set", labels, f"{i}.png"), 3, i)
    Path("set/classes.txt").write_text("sky\nroad\ncar\n")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def split(root="set"):
    """The names of train and of val."""
    return [[pair.name for pair in open_dataset("folder", root, s)[0].pairs] for s in ("train", "val")]


LAYOUTS = {
    "train only": ("train/images", "train/labels"),
    "neither": ("images", "labels"),
    "labelme's": ("JPEGImages", "SegmentationClassPNG"),
    "all in one folder": ("", ""),
    "split below": ("Images/train", "Masks/train"),
    "pix2pixHD's": ("train_img", "train_label"),
    "folders below": ("train/images/a/b", "train/labels/a/b"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_tenth_is_val_and_no_pair_is_both(layout):
    pairs(20, *LAYOUTS[layout])
    train, val = split()
    assert len(val) == 2 and len(train) == 18 and not set(train) & set(val)
    assert (
        "no val folder: 2 of the 20 pairs (a tenth, by the hashes of their names) are val"
        in (open_dataset("folder", "set", "train")[1])
    )


def test_the_rule_follows_from_names_alone():
    pairs(20)
    before = split()
    shutil.copytree("set", "elsewhere")
    for i in range(20):
        trees.photo(Path("elsewhere/train/images", f"{i}.jpg"), 100 + i)
    assert split("elsewhere") == before


@pytest.mark.parametrize(("count", "kept"), [(2, 1), (9, 1), (19, 1), (30, 3)])
def test_at_least_one_pair_is_kept(count, kept):
    pairs(count)
    train, val = split()
    assert (len(train), len(val)) == (count - kept, kept)


def test_a_val_folder_decides(tmp_path):
    pairs(4)
    shutil.copytree("set/train", "set/val")
    assert split() == [["0", "1", "2", "3"]] * 2
    assert "no val folder" not in open_dataset("folder", "set", "train")[1]
    shutil.rmtree("set/val/labels")
    with pytest.raises(DataError, match="val/labels is not a folder"):
        open_dataset("folder", "set", "val")
    assert len(open_dataset("folder", "set", "train")[0]) == 4, "a broken val is no reason to take pairs from train"


def test_one_pair_is_not_split():
    pairs(1)
    for one in "train", "val":
        with pytest.raises(DataError, match="one pair and no val folder"):
            open_dataset("folder", "set", one)


def test_check_names_the_rule_and_a_packed_copy_is_split_alike(capsys):
    pairs(10)
    main(["data", "check", "folder", "--root", "set"])
    out = capsys.readouterr().out
    assert out.count("note: There is no val folder: 1 of the 10") == 2 and "set train: 9 good pairs" in out
    before = split()
    pack("folder", Path("small.tar"), "set", height=12, width=24)
    shutil.unpack_archive("small.tar", "small")
    assert split("small") == before


def test_a_run_says_it_and_every_later_command_has_the_same_split(capsys):
    pairs(4)
    main(TRAIN)
    assert "no val folder: 1 of the 4 pairs" in capsys.readouterr().out
    assert json.loads(Path("run/data.json").read_text())["pictures"] == 3
    shutil.rmtree(sorted(Path("run/checkpoints").iterdir())[-1])
    main(TRAIN)
    main(["sample", "run", "--count", "4"])
    assert "1 image" in capsys.readouterr().out
    pairs(5)
    with pytest.raises(SystemExit):
        main(TRAIN)
    assert "on 3 pictures, now there are 4" in capsys.readouterr().err
