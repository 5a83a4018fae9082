"""Label maps, with or without photographs: what a generator paints when nothing is known but the labels."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Int32
from PIL import Image

from ..labels import LabelSpace
from .base import DataError
from .files import read_ids, read_photo, require_same_size
from .paired import Pair, PairedFiles, Pairs, ids_in, photos_in, require_folder
from .transforms import JointTransform

# Cityscapes keeps both kinds of maps in one folder, and has endings for all.
LABELS, INSTANCES, PHOTOS = "_gtFine_labelIds", "_gtFine_instanceIds", "_leftImg8bit"


class LabelMaps(PairedFiles):
    """The label maps under a folder; a sample's image is black where there are no photographs.

    folder: NAME.png, holding the values of the data set's label files. instances: a folder of instance maps of the same
    names, for a space with edges; in Cityscapes' layout they lie beside the label maps. Samples: height x width.
    photos: a folder of photographs of the same names.
    Errors: a DataError where there are none, two have one name, or an instance map or a photograph is missing.
    """

    def __init__(
        self,
        folder: Path,
        labels: LabelSpace,
        label_values: Int32[np.ndarray, "values"],
        *,
        height: int,
        width: int,
        instances: Path | None = None,
        photos: Path | None = None,
    ):
        require_folder(folder, "label maps", "Check the path.")
        ending = LABELS if ids_in(folder, LABELS) else ""
        found = ids_in(folder, ending)
        if not found:
            raise DataError(f"{folder} holds no label maps: expected PNG files, one a picture to paint.")
        _require_names(found.values())
        beside = ids_in(folder, INSTANCES) if ending and instances is None else {}
        edges = _edges(labels, folder, beside if instances is None else ids_in(instances))
        pictures = found if photos is None else _photos(photos, PHOTOS if ending else "", found)
        pairs = [Pair(name, pictures[name], path, _of(edges, name, path)) for name, path in sorted(found.items())]
        super().__init__(Pairs(pairs, []), labels, JointTransform(height, width), label_values)

    def read(self, pair: Pair) -> tuple[Image.Image, Int32[np.ndarray, "h w"], Int32[np.ndarray, "h w"] | None]:
        """The photograph or a black picture, ids of the LabelSpace, instance ids. Errors: a DataError as above."""
        values = read_ids(pair.label)
        instance = None if pair.instance is None else read_ids(pair.instance)
        if instance is not None and instance.shape != values.shape:
            raise DataError(f"{pair.instance} and {pair.label} differ in size: expected an instance map of the same.")
        photo = Image.new("RGB", values.shape[::-1])
        if pair.photo != pair.label:
            photo = read_photo(pair.photo, size=values.shape)
            require_same_size(photo, values, pair.photo, pair.label)
        return photo, self._ids(values, pair.label), instance

    def check(self) -> None:
        """Read every file once. Errors: a DataError that names the first that doesn't fit."""
        for pair in self.pairs:
            self.read(pair)


def _require_names(paths: Iterable[Path]) -> None:
    """Pictures are named after their maps, without folders: two of one name would be one picture."""
    seen: dict[str, Path] = {}
    for path in paths:
        other = seen.setdefault(path.stem, path)
        if other is not path:
            raise DataError(f"{other} and {path} have one name, and their pictures would have: rename one of them.")


def _edges(labels: LabelSpace, folder: Path, found: dict[str, Path]) -> dict[str, Path]:
    """The instance maps to read: none for a space without edges."""
    if labels.instances and not found:
        raise DataError(
            f"{folder}: this generator is fed the edges of instance maps as well, and there are none. Give their "
            "folder, --instance-dir: a map of the same name for each label map."
        )
    return found if labels.instances else {}


def _photos(folder: Path, ending: str, maps: dict[str, Path]) -> dict[str, Path]:
    """The photographs of label maps, by name."""
    photos = photos_in(require_folder(folder, "photographs", "Check the path."), ending)
    missing = [path for name, path in maps.items() if name not in photos]
    if missing:
        raise DataError(f"{missing[0]} has no photograph of its name among {len(photos)} in {folder}.")
    return photos


def _of(instances: dict[str, Path], name: str, path: Path) -> Path | None:
    if instances and name not in instances:
        raise DataError(f"{path} has no instance map {name} among {len(instances)}: its edges are an input.")
    return instances.get(name)
