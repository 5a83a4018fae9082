"""Objects to place on a map: a car, a bus, a person and a tree, taken from a data set's own scenes."""

from collections.abc import Iterator
from time import perf_counter
from typing import NamedTuple

import torch
from jaxtyping import Bool, Integer
from scipy import ndimage
from torch import Tensor

from ..data.base import Dataset
from ..labels import LabelSpace

MOST_SCENES = 80
SECONDS = 0.1  # of one `seek`, after which another scene is not begun
HEIGHTS = (0.2, 0.5)  # shares of the map's height that an object may have
LIKE_ITS_MIRROR = 0.8  # intersection over union with it: what stands half behind something else has less


class Kind(NamedTuple):
    """What is wanted: the classes' names in several label spaces, and width / height of one that is seen whole."""

    classes: tuple[str, ...]
    widths: tuple[float, float]


KINDS = {
    "car": Kind(("car",), (1.2, 2.6)),
    "bus": Kind(("bus",), (1, 2.6)),
    "person": Kind(("person", "pedestrian"), (0.25, 0.6)),
    "tree": Kind(("tree", "vegetation"), (0.35, 1)),
}


class Stamp(NamedTuple):
    """An object: its class, and where it is within its own box."""

    id: int
    mask: Bool[Tensor, "_ _"]


class Stamps:
    """The first object of each kind that stands whole in one of `scenes`; the search goes on with each `seek`."""

    def __init__(self, scenes: Dataset | None, labels: LabelSpace):
        self.scenes = scenes
        self.wanted = {kind: ids for kind in KINDS if (ids := _ids(labels, KINDS[kind].classes))}
        self.found: dict[str, Stamp] = {}
        self.looked = 0  # scenes that were searched

    @property
    def done(self) -> bool:
        """Whether all is found, or nothing is left to search."""
        most = 0 if self.scenes is None else min(MOST_SCENES, len(self.scenes))
        return self.looked >= most or len(self.found) == len(self.wanted)

    def seek(self) -> None:
        """Look into a few more scenes."""
        until = perf_counter() + SECONDS
        while not self.done and perf_counter() < until:
            self._look_into(self.looked)

    def _look_into(self, number: int) -> None:
        self.looked += 1  # first: a scene that can't be read is not tried again
        assert self.scenes is not None  # else nothing is left to search
        sample = self.scenes[number]
        for kind in self.wanted.keys() - self.found.keys():
            for id in self.wanted[kind]:
                objects = _objects(sample.label == id, sample.instance)
                whole = next((mask for mask in objects if _is_typical(mask, sample.label.shape[0], KINDS[kind])), None)
                if whole is not None:
                    self.found[kind] = Stamp(id, whole)

    def state(self) -> dict:
        """What a view needs, in the order of KINDS."""
        found = [
            {"name": kind, "id": stamp.id, "width": stamp.mask.shape[1], "mask": stamp.mask.numpy().tobytes()}
            for kind in KINDS
            if (stamp := self.found.get(kind))
        ]
        return {"found": found, "looked": self.looked, "done": self.done}


def _ids(labels: LabelSpace, names: tuple[str, ...]) -> list[int]:
    return [i for i, name in enumerate(labels.names) if name.lower() in names]


def _objects(of_class: Bool[Tensor, "h w"], instance: Integer[Tensor, "h w"] | None) -> Iterator[Bool[Tensor, "_ _"]]:
    """Each connected part of one object that doesn't touch the map's edge, within its box."""
    height, width = of_class.shape
    numbers = of_class.int() if instance is None else instance
    for number in numbers[of_class].unique():
        parts, _ = ndimage.label((of_class & (numbers == number)).numpy())
        for part, (rows, columns) in enumerate(ndimage.find_objects(parts), 1):
            if min(rows.start, columns.start) > 0 and rows.stop < height and columns.stop < width:
                yield torch.from_numpy(parts[rows, columns] == part)


def _is_typical(mask: Bool[Tensor, "h w"], map_height: int, kind: Kind) -> bool:
    height, width = mask.shape
    mirror = mask.flip(1)
    return (
        HEIGHTS[0] <= height / map_height <= HEIGHTS[1]
        and kind.widths[0] <= width / height <= kind.widths[1]
        and bool((mask & mirror).sum() >= LIKE_ITS_MIRROR * (mask | mirror).sum())
    )
