"""Label maps without photographs: what a generator paints when nothing is known but the labels."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Int32
from PIL import Image

from ..labels import LabelSpace
from .base import DataError
from .files import read_ids
from .paired import Pair, PairedFiles, Pairs, ids_in, require_folder
from .transforms import JointTransform

LABELS, INSTANCES = "_gtFine_labelIds", "_gtFine_instanceIds"  # Cityscapes keeps both kinds in one folder


class LabelMaps(PairedFiles):
    """The label maps under a folder; a sample's image is black.

    folder: NAME.png, holding the values of the data set's label files. instances: a folder of instance maps of the same
    names, for a space with edges; in Cityscapes' layout they lie beside the label maps. Samples: height x width.
    Errors: a DataError where there are none, two have one name, or an instance map is missing or not wanted.
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
    ):
        require_folder(folder, "label maps", "Check the path.")
        ending = LABELS if ids_in(folder, LABELS) else ""
        found = ids_in(folder, ending)
        if not found:
            raise DataError(f"{folder} holds no label maps: expected PNG files, one a picture to paint.")
        _require_names(found.values())
        beside = ids_in(folder, INSTANCES) if ending and instances is None else {}
        edges = _edges(labels, folder, beside if instances is None else ids_in(instances))
        pairs = [Pair(name, path, path, _of(edges, name, path)) for name, path in sorted(found.items())]
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
