"""Your own pairs: a folder of photographs, a folder of label maps, a file that names the classes."""

from pathlib import Path
from typing import Any

import numpy as np

from .base import DataError, NoSplitError
from .classes import CLASS_FILES, read_classes
from .files import ID_SUFFIXES, PHOTO_SUFFIXES
from .paired import (
    PairedFiles,
    Pairs,
    common_ending,
    ids_in,
    kinds_passed_over,
    match,
    photos_in,
    require_folder,
    require_pairs,
)
from .transforms import JointTransform, paper_load_size


class Folder(PairedFiles):
    """Pairs of files that share a name: PHOTOS/a/b.jpg belongs to LABELS/a/b.png (and INSTANCES/a/b.png).

    photos, labels, instances: folders; classes: a classes file (see `read_classes`).
    Errors: a DataError where a folder is missing or holds no pair.
    """

    def __init__(
        self,
        photos: str | Path,
        labels: str | Path,
        classes: str | Path,
        instances: str | Path | None = None,
        *,
        height: int = 256,
        width: int = 256,
        augment: bool = False,
        seed: int = 0,
    ):
        space, values = read_classes(Path(classes), instances=instances is not None)
        photos, labels = Path(photos), Path(labels)
        instances = None if instances is None else Path(instances)
        for folder, what in (photos, "photographs"), (labels, "label maps"), (instances, "instance maps"):
            if folder is not None:
                require_folder(folder, what, "Check the path.")
        pairs = match(photos_in(photos), _maps_in(labels, photos), None if instances is None else ids_in(instances))
        if pairs.incomplete:
            kinds = kinds_passed_over(photos, PHOTO_SUFFIXES) + kinds_passed_over(labels, ID_SUFFIXES)
            pairs = Pairs(pairs.complete, kinds + pairs.incomplete)
        require_pairs(pairs, f"{photos} and {labels}", "one name, e.g. NAME.jpg and NAME.png")
        transform = JointTransform(height, width, paper_load_size(height, width), augment)
        super().__init__(pairs, space, transform, values, seed)

    @classmethod
    def from_root(cls, root: str | Path, split: str = "train", *, edges: bool = True, **options: Any) -> "Folder":
        """Open images, labels and, if there, instances in ROOT/SPLIT, with ROOT/classes.json or classes.txt.

        Or SPLIT_img, SPLIT_label and SPLIT_inst in ROOT, as pix2pixHD has them.

        edges: False leaves the instances alone. `options` are those of the class: height, width, augment, seed.
        """
        root = require_folder(Path(root), "your own pairs", "Check the path.")
        classes = next((root / name for name in CLASS_FILES if (root / name).is_file()), None)
        if classes is None:
            raise DataError(
                f"{root}: expected a file {' or '.join(CLASS_FILES[:2])} that names the classes, found none."
            )
        photos, labels, instances = (root / split / part for part in ("images", "labels", "instances"))
        if not photos.is_dir() and (root / f"{split}_img").is_dir():
            photos, labels, instances = (root / f"{split}_{part}" for part in ("img", "label", "inst"))
        if split == "val" and not photos.is_dir() and any((root / train).is_dir() for train in ("train", "train_img")):
            raise NoSplitError(
                f"{photos} is not a folder: training shows pictures that it doesn't learn from. Move some pairs from "
                f"{root / 'train'} to {root / 'val'}."
            )
        return cls(photos, labels, classes, instances if edges and instances.is_dir() else None, **options)

    def advice(self, strange: np.ndarray) -> str:
        """What most likely repairs pixel values that no class has."""
        names = self.labels.names
        if -1 in strange:
            return "-1 often marks unknown pixels: write 255 in its place, and `dont_care = 255` in the classes file."
        if strange.tolist() == [255] and len(names) == 2:
            return f"Masks of 0 and 255? Write `0 {names[0]}` and `255 {names[1]}` in classes.txt, or 1 for 255."
        if strange.tolist() == [255]:
            return "Does 255 mark unknown pixels? Then write `dont_care = 255` in the classes file."
        if strange.tolist() == [len(names)]:
            return f"Do they count from 1? Then write the numbers in classes.txt: `1 {names[0]}` and so on."
        return super().advice(strange)


def _maps_in(labels: Path, photos: Path) -> dict[str, Path]:
    """The label maps by the names of their photographs, to which all may append the same: NAME_mask.png."""
    maps, names = ids_in(labels), photos_in(photos)
    ending = "" if maps.keys() & names.keys() else common_ending(names, maps)
    return ids_in(labels, ending) if ending else maps
