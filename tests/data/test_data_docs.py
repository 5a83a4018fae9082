"""docs/data.md says what the code does."""

from pathlib import Path

import pytest

from spade_edu.data import ade20k, coco_stuff
from spade_edu.data.catalogue import NAMES, READERS
from spade_edu.labels import CAMVID, CITYSCAPES

DOCS = (Path(__file__).parents[2] / "docs/data.md").read_text(encoding="utf-8")
ROWS = {row.split("|")[1].strip(" `"): row for row in DOCS.splitlines() if row.startswith("| `")}
SPACES = {
    "streets": CITYSCAPES,
    "cityscapes": CITYSCAPES,
    "camvid": CAMVID,
    "ade20k": ade20k.LABELS,
    "ade20k-outdoor": ade20k.LABELS,
    "coco-stuff": coco_stuff.LABELS,
    "flickr-landscapes": coco_stuff.LABELS_WITHOUT_INSTANCES,
}


def test_every_data_set_has_a_row():
    assert set(ROWS) == set(NAMES)


@pytest.mark.parametrize("name", SPACES)
def test_channels_are_those_of_the_label_space(name):
    assert f"{SPACES[name].num_channels}" in ROWS[name].split("|")[6].replace("→", " ").split()


@pytest.mark.parametrize("name", ["cityscapes", "camvid", "ade20k", "coco-stuff"])
def test_published_pairs_are_those_that_check_compares_with(name):
    published = READERS[name].published
    assert f"{published['train']:,} / {published['val']:,}" in ROWS[name]


def test_number_of_outdoor_scenes():
    count = len((ade20k.ASSETS / "ade20k_outdoor_scenes.txt").read_text().split())
    assert f"one of the {count} names" in DOCS
