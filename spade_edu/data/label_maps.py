"""Label maps, with or without photographs: what a generator paints when nothing is known but the labels."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int32
from PIL import Image

from ..labels import LabelSpace
from .base import DataError
from .files import read_ids, require_same_size
from .paired import Pair, PairedFiles, Pairs, hash_of_names, ids_in, photos_in, require_folder
from .transforms import JointTransform

# Cityscapes keeps both kinds of maps in one folder, and has endings for all.
LABELS, INSTANCES, PHOTOS = "_gtFine_labelIds", "_gtFine_instanceIds", "_leftImg8bit"


class LabelMaps(PairedFiles):
    """Label maps; a sample's image is black where there are no photographs.

    paths: files, and folders of NAME.png, holding the values of the data set's label files. instances: a folder of
    instance maps of the same names, for a space with edges; in Cityscapes' layout they lie beside the label maps.
    photos: a folder of photographs of the same names. Samples: height x width.
    Errors: a DataError where there are none, two have one name, or an instance map or a photograph is missing.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        labels: LabelSpace,
        label_values: Int32[np.ndarray, "values"],
        *,
        height: int,
        width: int,
        instances: Path | None = None,
        photos: Path | None = None,
    ):
        found = [_found_at(path) for path in paths]
        named = dict(_with_other_names(item for maps, _ in found for item in maps.items()))
        beside = {name: path for _, edges in found for name, path in edges.items()}
        edges = _edges(labels, paths[0], beside if instances is None else ids_in(instances))
        pictures = named if photos is None else _photos(photos, named)
        pairs = [Pair(name, pictures[name], path, _of(edges, name, path)) for name, path in sorted(named.items())]
        super().__init__(Pairs(pairs, []), labels, JointTransform(height, width), label_values)

    def read(self, pair: Pair) -> tuple[Image.Image, Int32[np.ndarray, "h w"], Int32[np.ndarray, "h w"] | None]:
        """The photograph or a black picture, ids of the LabelSpace, instance ids. Errors: a DataError as above."""
        values = read_ids(pair.label)
        instance = None if pair.instance is None else read_ids(pair.instance)
        if instance is not None and instance.shape != values.shape:
            raise DataError(f"{pair.instance} and {pair.label} differ in size: expected an instance map of the same.")
        photo = Image.new("RGB", values.shape[::-1])
        if pair.photo != pair.label:
            photo = self.photo(pair, values.shape)
            require_same_size(photo, values, pair.photo, pair.label)
        return photo, self._ids(values, pair.label), instance

    def check(self) -> None:
        """Read every file once. Errors: a DataError that names the first that doesn't fit."""
        for pair in self.pairs:
            self.read(pair)

    def fingerprint(self) -> str:
        """A hash of what is to be painted: names, label maps, instance maps, photographs."""
        files = [path for pair in self.pairs for path in dict.fromkeys((pair.label, pair.instance, pair.photo)) if path]
        contents = (hashlib.sha256(path.read_bytes()).hexdigest() for path in files)
        return hash_of_names([*(pair.name for pair in self.pairs), *contents])


def _found_at(path: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """The label maps at a path, and the instance maps that lie beside them in Cityscapes' layout; by name."""
    if path.is_file():
        name = path.stem.removesuffix(LABELS)
        edges = path.with_name(f"{name}{INSTANCES}{path.suffix}")
        return {name: path}, {name: edges} if name != path.stem and edges.is_file() else {}
    if not path.is_dir():
        raise DataError(f"{path} isn't there: expected a label map, or a folder of them. Check the path.")
    ending = LABELS if ids_in(path, LABELS) else ""
    found = ids_in(path, ending)
    if not found:
        raise DataError(f"{path} holds no label maps: expected PNG files, one a picture to paint.")
    return found, ids_in(path, INSTANCES) if ending else {}


def _with_other_names(maps: Iterable[tuple[str, Path]]) -> Iterator[tuple[str, Path]]:
    """The maps. Pictures are named after them, without folders: two of one name would be one picture, a DataError."""
    seen: dict[str, Path] = {}
    for name, path in maps:
        other = seen.setdefault(name.rsplit("/", 1)[-1], path)
        if other is not path:
            raise DataError(f"{other} and {path} have one name, and their pictures would have: rename one of them.")
        yield name, path


def _edges(labels: LabelSpace, folder: Path, found: dict[str, Path]) -> dict[str, Path]:
    """The instance maps to read: none for a space without edges."""
    if labels.instances and not found:
        raise DataError(
            f"{folder}: this generator is fed the edges of instance maps as well, and there are none. Give their "
            "folder, --instance-dir: a map of the same name for each label map."
        )
    return found if labels.instances else {}


def _photos(folder: Path, maps: dict[str, Path]) -> dict[str, Path]:
    """The photographs of label maps, by name."""
    require_folder(folder, "photographs", "Check the path.")
    photos = photos_in(folder, PHOTOS) or photos_in(folder)
    missing = [path for name, path in maps.items() if name not in photos]
    if missing:
        raise DataError(f"{missing[0]} has no photograph of its name among {len(photos)} in {folder}.")
    return photos


def _of(instances: dict[str, Path], name: str, path: Path) -> Path | None:
    if instances and name not in instances:
        raise DataError(f"{path} has no instance map {name} among {len(instances)}: its edges are an input.")
    return instances.get(name)
