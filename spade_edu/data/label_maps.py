"""Label maps without photographs: what a generator paints when nothing is known but the labels."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int32
from PIL import Image

from ..labels import LabelSpace
from .base import DataError
from .files import read_ids
from .paired import Pair, PairedFiles, Pairs, hash_of_names, ids_in
from .transforms import JointTransform

LABELS, INSTANCES = "_gtFine_labelIds", "_gtFine_instanceIds"  # Cityscapes keeps both kinds in one folder


class LabelMaps(PairedFiles):
    """Label maps; a sample's image is black.

    paths: files, and folders of NAME.png, holding the values of the data set's label files. instances: a folder of
    instance maps of the same names, for a space with edges; in Cityscapes' layout they lie beside the label maps.
    Samples: height x width.
    Errors: a DataError where there are none, two have one name, or an instance map is missing or not wanted.
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
    ):
        found = [_found_at(path) for path in paths]
        _require_names(path for maps, _ in found for path in maps.values())
        beside = {name: path for _, edges in found for name, path in edges.items()}
        edges = _edges(labels, paths[0], beside if instances is None else ids_in(instances))
        named = sorted((name, path) for maps, _ in found for name, path in maps.items())
        pairs = [Pair(name, path, path, _of(edges, name, path)) for name, path in named]
        super().__init__(Pairs(pairs, []), labels, JointTransform(height, width), label_values)

    def read(self, pair: Pair) -> tuple[Image.Image, Int32[np.ndarray, "h w"], Int32[np.ndarray, "h w"] | None]:
        """A black picture, ids of the LabelSpace, instance ids. Errors: a DataError as for PairedFiles."""
        values = read_ids(pair.label)
        instance = None if pair.instance is None else read_ids(pair.instance)
        if instance is not None and instance.shape != values.shape:
            raise DataError(f"{pair.instance} and {pair.label} differ in size: expected an instance map of the same.")
        height, width = values.shape
        return Image.new("RGB", (width, height)), self._ids(values, pair.label), instance

    def check(self) -> None:
        """Read every file once. Errors: a DataError that names the first that doesn't fit."""
        for pair in self.pairs:
            self.read(pair)

    def fingerprint(self) -> str:
        """A hash of what is to be painted: names, label maps, instance maps."""
        files = [path for pair in self.pairs for path in (pair.label, pair.instance) if path]
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


def _of(instances: dict[str, Path], name: str, path: Path) -> Path | None:
    if instances and name not in instances:
        raise DataError(f"{path} has no instance map {name} among {len(instances)}: its edges are an input.")
    return instances.get(name)
