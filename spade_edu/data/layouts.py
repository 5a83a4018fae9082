"""Where a folder of your own pairs keeps photographs and label maps: our layout, or those of labelling tools."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

PHOTOS = ("images", "image", "img", "imgs", "photos", "jpegimages", "rgb")
LABELS = ("labels", "label", "masks", "mask", "annotations", "segmentationclasspng", "segmentationclass", "gt", "ids")
INSTANCES = ("instances", "inst")
SPLITS = {"train": ("train", "training"), "val": ("val", "valid", "validation", "test")}


class Layout(NamedTuple):
    """The folders of a split; photos and labels are one folder where they lie beside each other."""

    photos: Path
    labels: Path
    instances: Path | None


def find_layout(root: Path, split: str) -> Layout | None:
    """The folders of a split: SPLIT/images and SPLIT/labels, or images/SPLIT, SPLIT_images, or SPLIT with both in it.

    Other usual names of the folders are known, and of the split. None where there is none of that.
    """
    for name in SPLITS.get(split, (split,)):
        for places in _places(root, name):
            photos, labels, instances = (_child(*place) for place in places)
            if photos and labels:
                return Layout(photos, labels, instances)
        both = _child(root, [name])
        if both and any(path.is_file() for path in both.iterdir()):
            return Layout(both, both, None)
    return None


def _places(root: Path, split: str) -> Iterable[list[tuple[Path | None, list[str]]]]:
    """For each layout, the folder that holds photographs, label maps, instance maps, and what each may be called."""
    kinds = [list(kind) for kind in (PHOTOS, LABELS, INSTANCES)]
    yield [(_child(root, [split]), kind) for kind in kinds]
    yield [(_child(root, kind), [split]) for kind in kinds]
    yield [(root, [f"{split}_{name}" for name in kind]) for kind in kinds]


def _child(folder: Path | None, names: Iterable[str]) -> Path | None:
    """The first folder in a folder that has one of these names, capitals aside; "." is the folder itself."""
    inside = {path.name.lower(): path for path in folder.iterdir() if path.is_dir()} | {".": folder} if folder else {}
    return next((inside[name] for name in names if name in inside), None)
