"""Your own pairs: a folder of photographs, a folder of label maps, a file that names the classes."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from .base import DataError, NoSplitError
from .classes import CLASS_FILES, FileSettings, read_classes, read_table
from .files import ID_SUFFIXES, PHOTO_SUFFIXES, has_palette
from .layouts import find_layout
from .naming import Affix, Naming, endings, find_naming
from .paired import (
    NO_MAPS,
    NO_PHOTOS,
    PairedFiles,
    ids_in,
    match,
    passed_over,
    photos_in,
    require_folder,
    require_pairs,
)
from .transforms import JointTransform, paper_load_size


class Folder(PairedFiles):
    """Pairs of files that share a name: PHOTOS/a/b.jpg belongs to LABELS/a/b.png (and INSTANCES/a/b.png).

    Or the one naming by which all have a partner, such as b_mask.png. photos, labels: folders, or twice the same one.
    instances: a folder. classes: a classes file (see `read_classes`).
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
        settings = read_table(Path(classes)).files
        photos, labels = Path(photos), Path(labels)
        instances = None if instances is None else Path(instances)
        for folder, what in (photos, "photographs"), (labels, "label maps"), (instances, "instance maps"):
            if folder is not None:
                require_folder(folder, what, "Check the path.")
        ours, theirs = _files(photos, labels, settings)
        naming = find_naming(ours, theirs) or Naming()
        maps = _named(naming.label, theirs, naming)
        pairs = match(_named(naming.photo, ours, naming), maps, _edges(instances, naming, maps))
        kinds = passed_over(photos, PHOTO_SUFFIXES, NO_PHOTOS)
        kinds += passed_over(labels, ID_SUFFIXES, NO_MAPS) if labels != photos else []
        hints = kinds if pairs.complete else [*kinds, *_several(endings(ours, theirs), Path(classes))]
        require_pairs(pairs, f"{photos} and {labels}", "one name, e.g. NAME.jpg and NAME.png", hints)
        transform = JointTransform(height, width, paper_load_size(height, width), augment)
        super().__init__(pairs, space, transform, values, seed)
        self.turned = settings.turned
        self.remarks = [f"{labels}: {naming}."] * (naming != Naming()) + kinds

    @classmethod
    def from_root(cls, root: str | Path, split: str = "train", *, edges: bool = True, **options: Any) -> "Folder":
        """Open images, labels and, if there, instances in ROOT/SPLIT, with ROOT/classes.json or classes.txt.

        Or another layout that labelling tools write (layouts.py); split "." is ROOT itself.
        edges: False leaves the instances alone. `options` are those of the class: height, width, augment, seed.
        """
        root = require_folder(Path(root), "your own pairs", "Check the path.")
        classes = _classes_file(root)
        photos, labels, instances = (root / split / part for part in ("images", "labels", "instances"))
        layout = None if photos.is_dir() and labels.is_dir() else find_layout(root, split)
        if layout is None and split == "val" and not photos.is_dir() and find_layout(root, "train"):
            raise NoSplitError(
                f"{photos} is not a folder: training shows pictures that it doesn't learn from. Move some pairs from "
                f"{root / 'train'} to {root / 'val'}."
            )
        if layout is None:
            return cls(photos, labels, classes, instances if edges and instances.is_dir() else None, **options)
        dataset = cls(layout.photos, layout.labels, classes, layout.instances if edges else None, **options)
        both = "" if layout.photos == layout.labels else f" and {layout.labels}"
        what = "All" if split == "." else split
        dataset.remarks = [f"{what} is read from {layout.photos}{both}.", *dataset.remarks]
        return dataset

    def advice(self, strange: np.ndarray, path: Path) -> str:
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
        if has_palette(path):
            return "The file has a palette: if its colours are the classes', `spade-edu data convert` goes by colour."
        return super().advice(strange, path)


def _classes_file(root: Path) -> Path:
    """The classes file of a data set, in its folder or, as Roboflow writes it, in that of a split."""
    for folder in root, root / "train":
        for name in CLASS_FILES:
            if (folder / name).is_file():
                return folder / name
    raise DataError(f"{root}: expected a file {' or '.join(CLASS_FILES[:2])} that names the classes, found none.")


def _files(photos: Path, labels: Path, settings: FileSettings) -> tuple[dict[str, Path], dict[str, Path]]:
    """Photographs and label maps by their names, without the suffixes that the classes file states."""
    maps = ids_in(labels, settings.label_suffix or "")
    if photos != labels:
        return photos_in(photos, settings.image_suffix or ""), maps
    others = photos_in(photos, settings.image_suffix or "", but=ID_SUFFIXES)
    if others:
        return others, maps
    ending = settings.label_suffix or next(iter(endings(maps, maps)), "")
    return {name: path for name, path in maps.items() if not name.endswith(ending)}, ids_in(labels, ending)


def _named(affix: Affix, files: dict[str, Path], naming: Naming) -> dict[str, Path]:
    return {core: files[name] for core, name in naming.cores(files, affix).items()}


def _edges(instances: Path | None, naming: Naming, names: Iterable[str]) -> dict[str, Path] | None:
    """Instance maps are named as label maps are, or as photographs, or by an affix of their own around `names`."""
    if instances is None:
        return None
    files = ids_in(instances)
    found = _named(naming.label, files, naming) or _named(naming.photo, files, naming)
    own = None if found else find_naming(names, files)
    return _named(own.label, files, own) if own else found


def _several(found: list[str], classes: Path) -> list[str]:
    """What to write where several kinds of maps lie in one folder."""
    if len(found) < 2:
        return []
    shown = ", ".join(f"NAME{ending}" for ending in found[:4])
    return [f"Label maps are named {shown}: which are they? Write `label_suffix = {found[0]}` in {classes}."]
