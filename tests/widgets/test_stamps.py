"""Objects offered as stamps: whole ones, of any data set that has their classes."""

import pytest
import torch

from spade_edu import CITYSCAPES
from spade_edu.data import Streets
from spade_edu.data.base import DataError, Sample
from spade_edu.labels import CAMVID, LabelClass, LabelSpace
from spade_edu.widgets.stamps import KINDS, Stamps


class Scenes(list):
    """A data set of label maps without objects' numbers."""

    labels = CAMVID

    def set_epoch(self, epoch):
        pass

    def __getitem__(self, number):
        label = super().__getitem__(number)
        if label is None:
            raise DataError("its file is gone")
        return Sample(label, None, torch.zeros(3, *label.shape), "", None)


def scene(labels: LabelSpace, **boxes) -> torch.Tensor:
    """A map of 20 x 40 with rectangles (top, bottom, left, right) of classes."""
    label = torch.zeros(20, 40, dtype=torch.long)
    for name, (top, bottom, left, right) in boxes.items():
        label[top:bottom, left:right] = labels.id(name)
    return label


def test_streets_give_all_four_and_the_search_ends():
    stamps, scenes = Stamps(Streets(80, split="val"), CITYSCAPES), Streets(80, split="val")
    while not stamps.done:
        stamps.seek()
    assert [found["name"] for found in stamps.state()["found"]] == list(KINDS)
    for kind, (id, mask) in stamps.found.items():
        assert mask.any(0).all() and mask.any(1).all()  # its own box, without empty rows or columns
        height, width = mask.shape
        windows = [scenes[i].label.unfold(0, height, 1).unfold(1, width, 1) for i in range(stamps.looked)]
        assert any((window[:, :, mask] == id).all(-1).any() for window in windows), kind


def test_other_names_for_the_classes():
    scenes = Scenes([scene(CAMVID, car=(8, 14, 5, 15), pedestrian=(8, 15, 20, 23), tree=(2, 10, 30, 35))])
    stamps = Stamps(scenes, CAMVID)
    stamps.seek()
    assert stamps.done
    assert {kind: (CAMVID.names[s.id], tuple(s.mask.shape)) for kind, s in stamps.found.items()} == {
        "car": ("car", (6, 10)), "person": ("pedestrian", (7, 3)), "tree": ("tree", (8, 5)),
    }  # fmt: skip


@pytest.mark.parametrize(
    "box, hidden",
    [((8, 14, 0, 10), None), ((8, 20, 5, 25), None), ((8, 10, 5, 8), None), ((8, 14, 5, 15), (8, 12, 11, 15))],
    ids=["cut off by the edge", "too large", "too small", "half behind something"],
)
def test_what_is_not_seen_whole_is_not_offered(box, hidden):
    label = scene(CAMVID, car=box)
    if hidden:
        label[hidden[0] : hidden[1], hidden[2] : hidden[3]] = CAMVID.id("sky")
    stamps = Stamps(Scenes([label, scene(CAMVID, car=(8, 14, 5, 15))]), CAMVID)
    stamps.seek()
    assert stamps.looked == 2  # not taken from the first, but from the second
    assert stamps.found["car"].mask.shape == (6, 10)


def test_without_scenes_or_without_such_classes_nothing_is_sought():
    shapes = LabelSpace("shapes", (LabelClass("circle", (0, 0, 0), 0), LabelClass("square", (1, 1, 1), 1)))
    assert Stamps(None, CITYSCAPES).done
    assert Stamps(Scenes([torch.zeros(4, 4, dtype=torch.long)]), shapes).done


def test_a_scene_that_cannot_be_read_does_not_end_the_search():
    scenes = Scenes([None, scene(CAMVID, car=(8, 14, 5, 15))])
    stamps = Stamps(scenes, CAMVID)
    with pytest.raises(DataError):
        stamps.seek()
    stamps.seek()
    assert stamps.done and "car" in stamps.found
