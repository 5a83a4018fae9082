"""The reader that all data sets on disk share: pairs of files, one geometry, repeatable randomness."""

import hashlib
import os
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32
from PIL import Image

from ..labels import LabelSpace
from .base import DataError, Sample
from .files import ID_SUFFIXES, PHOTO_SUFFIXES, read_ids, read_photo, require_same_size
from .transforms import JointTransform, paper_load_size

# What looks like a picture and isn't read as a photograph, as a label map.
NO_PHOTOS = dict.fromkeys((".heic", ".heif", ".avif", ".gif", ".jp2", ".dng", ".psd"), "save them as JPEG or PNG.")
NO_MAPS = {
    **dict.fromkeys((".jpg", ".jpeg"), "JPEG blurs ids. Export them as PNG."),
    **dict.fromkeys(
        (".npy", ".npz", ".mat", ".webp", ".gif", ".json", ".xml", ".ppm"),
        "save or export them as PNG, an id per pixel.",
    ),
}


class Pair(NamedTuple):
    """The files of one sample; `instance` is None where the data set has no instance maps."""

    name: str
    photo: Path
    label: Path
    instance: Path | None = None


class Pairs(NamedTuple):
    """What a folder holds: the complete pairs, by name, and a sentence about each file without partner."""

    complete: list[Pair]
    incomplete: list[str]


def hash_of_names(names: Iterable[str]) -> str:
    """What tells the pictures of one data set from those of another under the same settings."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def hash_of_sizes(pairs: Iterable[Pair]) -> str:
    """What tells pictures from others under the same names: how many bytes their photographs and label maps take."""
    return hash_of_names(f"{pair.photo.stat().st_size} {pair.label.stat().st_size}" for pair in pairs)


def values_of_ids(label_values: np.ndarray) -> list[int]:
    """For each id, the pixel value that stands for it in label files."""
    known = np.flatnonzero(label_values >= 0)
    return known[np.argsort(label_values[known])].tolist()


class PairedFiles:
    """A data set of files: reads, checks and transforms one pair at a time.

    label_values[v] is the id that pixel value v of a label file stands for (-1: the value must not occur).
    Epoch, seed and index alone decide every random choice: a resumed run sees what it would have seen.
    """

    published: dict[str, int] = {}  # number of pairs in the published data set, by split
    remarks: Sequence[str] = ()  # sentences on how files were found
    turned: bool | None = None  # were photographs turned as their EXIF says before they were labelled? None: unknown

    def __init__(
        self,
        pairs: Pairs,
        labels: LabelSpace,
        transform: JointTransform,
        label_values: np.ndarray,
        seed: int = 0,
    ):
        self.pairs, self.incomplete = pairs
        self.labels = labels
        self.transform = transform
        self.label_values = label_values
        self.seed = seed
        self.epoch = 0
        if self.incomplete:
            warnings.warn(
                f"{labels.name}: {len(self.incomplete)} files have no partner and are left out, the first: "
                f"{self.incomplete[0]} `spade-edu data check` names all.",
                stacklevel=3,
            )

    def set_epoch(self, epoch: int) -> None:
        """Choose the crops and flips of an epoch. Call it before the loader starts the epoch's workers."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of a data set of {len(self)}")
        pair = self.pairs[index]
        rng = np.random.default_rng([self.seed, self.epoch, index])
        image, label, instance = self.transform(*self.read(pair), rng)
        return Sample(label.long(), instance, image, pair.name, self.style(pair))

    def read(self, pair: Pair) -> tuple[Image.Image, Int32[np.ndarray, "h w"], Int32[np.ndarray, "h w"] | None]:
        """Read the files of a pair in their full size: (photograph, ids of the LabelSpace, instance ids).

        Errors: a DataError naming a file that is missing, unreadable, of another size or of other values.
        """
        values = read_ids(pair.label)
        photo = self.photo(pair, values.shape)
        require_same_size(photo, values, pair.photo, pair.label)
        label = self._ids(values, pair.label)
        if pair.instance is None:
            return photo, label, None
        instance = read_ids(pair.instance)
        require_same_size(photo, instance, pair.photo, pair.instance)
        return photo, label, instance

    def photo(self, pair: Pair, size: tuple[int, int]) -> Image.Image:
        """The photograph of a pair, turned as it was when its label map of `size` was drawn."""
        return read_photo(pair.photo, size=size, as_stored=self.turned is False)

    def style(self, pair: Pair) -> str | None:
        """What is known about a picture's style (None for photographs)."""
        return None

    def _ids(self, values: Int32[np.ndarray, "h w"], path: Path) -> Int32[np.ndarray, "h w"]:
        known = np.clip(values, 0, len(self.label_values) - 1)
        ids = np.where(known == values, self.label_values[known], -1)
        if ids.min() < 0:
            strange = np.unique(values[ids < 0])
            shown = ", ".join(str(v) for v in strange[:6]) + (", ..." if len(strange) > 6 else "")
            raise DataError(
                f"{path}: pixel values {shown} are no ids of {self.labels.name} (expected "
                f"{_ranges(self.label_values)}). {self.advice(strange, path)}"
            )
        return ids.astype(np.int32)

    def advice(self, strange: np.ndarray, path: Path) -> str:
        """What most likely repairs pixel values of a file that are no ids."""
        return "Is it a label map of this data set, and not a map of trainIds, instances or grey levels?"


class SplitFiles(PairedFiles):
    """One split of a data set in a layout of its own: a reader names its `labels` and `label_values`, and finds pairs.

    root: the folder that holds the data set. split: "train", "val" ...
    height, width: of the samples; default: the reader's `size`.
    augment: random windows and mirrored pictures (see JointTransform). seed: what they follow from.
    edges: False leaves instance maps alone, so that they need not be there.
    Errors: a DataError where the layout is not there.
    """

    labels: LabelSpace
    label_values: np.ndarray
    size = (256, 256)

    def __init__(
        self,
        root: str | Path | None = None,
        split: str = "train",
        *,
        height: int | None = None,
        width: int | None = None,
        augment: bool = False,
        seed: int = 0,
        edges: bool = True,
    ):
        if not edges:  # known before pairs are looked for
            self.labels = replace(self.labels, instances=False)
        height = self.size[0] if height is None else height
        width = self.size[1] if width is None else width
        transform = JointTransform(height, width, self.load_size(height, width), augment)
        super().__init__(self.find_pairs(self.folder(root), split), self.labels, transform, self.label_values, seed)

    def folder(self, root: str | Path | None) -> Path:
        """The folder to look in."""
        if root is None:
            raise DataError(f"where is {type(self).__name__}? Give its folder as root.")
        return Path(root)

    def find_pairs(self, folder: Path, split: str) -> Pairs:
        """The pairs of a split. Errors: a DataError where there are none."""
        raise NotImplementedError

    def load_size(self, height: int, width: int) -> tuple[int, int] | None:
        """What training resizes pictures to before it cuts a window out; None: the size of the samples."""
        return paper_load_size(height, width)


def identity_values(labels: LabelSpace) -> Int32[np.ndarray, "ids"]:
    """The table of a data set whose files hold the ids themselves."""
    return np.arange(labels.num_ids, dtype=np.int32)


def match(photos: dict[str, Path], labels: dict[str, Path], instances: dict[str, Path] | None = None) -> Pairs:
    """Pair files by name and list those without partner."""
    complete, incomplete = [], []
    for name in sorted(photos.keys() | labels.keys()):
        if name not in labels:
            incomplete.append(f"{photos[name]} has no label map.")
        elif name not in photos:
            incomplete.append(f"{labels[name]} has no photograph.")
        elif instances is not None and name not in instances:
            incomplete.append(f"{photos[name]} has no instance map.")
        else:
            complete.append(Pair(name, photos[name], labels[name], (instances or {}).get(name)))
    return Pairs(complete, incomplete)


def photos_in(folder: Path, ending: str = "", but: Iterable[str] = ()) -> dict[str, Path]:
    """The photographs under a folder, by name: path relative to the folder, without `ending` and suffix.

    but: suffixes that label maps have there.
    """
    return _files_in(folder, [suffix for suffix in PHOTO_SUFFIXES if suffix not in but], ending)


def ids_in(folder: Path, ending: str = "") -> dict[str, Path]:
    """The maps of ids under a folder whose name ends in `ending` (before the suffix), by name."""
    return _files_in(folder, ID_SUFFIXES, ending)


def require_pairs(pairs: Pairs, where: str, expected: str, hints: Sequence[str] = ()) -> Pairs:
    """Raise a DataError unless there is at least one complete pair; `expected` describes the layout.

    hints: sentences on what may be the cause.
    """
    if pairs.complete:
        return pairs
    found = "no files at all."
    if pairs.incomplete:
        found = f"{len(pairs.incomplete)} files without partner, the first: {pairs.incomplete[0]}"
    raise DataError(" ".join([f"{where}: expected pictures with label maps ({expected}), found {found}", *hints]))


def require_folder(folder: Path, what: str, repair: str) -> Path:
    """Raise a DataError unless `folder` is a folder."""
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: expected {what} there. {repair}")
    return folder


def passed_over(folder: Path, read: Iterable[str], repairs: Mapping[str, str]) -> list[str]:
    """A sentence about each kind of file in a folder that isn't read there; with `repairs`, what to do about it."""
    kinds = Counter(path.suffix.lower() or "without suffix" for path in walk(folder))
    known = [
        f"{folder} holds {kinds[kind]} files of the kind {kind}, which are passed over: {repair}"
        for kind, repair in repairs.items()
        if kinds[kind]
    ]
    others = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()) if kind not in {*read, *repairs})
    return known + [f"{folder} holds other files, which are passed over: {others}."] * bool(others)


def walk(folder: Path) -> Iterator[Path]:
    """The files under a folder, in order: hidden ones are passed over, links are followed, but in no circle."""
    above = {str(folder): {os.path.realpath(folder)}}
    for place, folders, files in os.walk(folder, followlinks=True):
        entered = {name: os.path.realpath(os.path.join(place, name)) for name in folders if not name.startswith(".")}
        folders[:] = sorted(name for name, real in entered.items() if real not in above[place])
        above |= {os.path.join(place, name): above[place] | {entered[name]} for name in folders}
        # ._NAME.jpg: litter of some archive tools
        yield from (Path(place, name) for name in sorted(files) if not name.startswith("."))


def _files_in(folder: Path, suffixes: Iterable[str], ending: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in walk(folder):
        if path.suffix.lower() not in suffixes or not path.stem.endswith(ending):
            continue
        name = path.relative_to(folder).with_suffix("").as_posix().removesuffix(ending)
        name = unicodedata.normalize("NFC", name)  # macOS writes letters and their dots apart
        if name in found:
            raise DataError(f"{found[name]} and {path} share a name: expected one file a name. Remove one of them.")
        found[name] = path
    return found


def _ranges(table: np.ndarray) -> str:
    known = np.flatnonzero(table >= 0)
    runs = np.split(known, np.flatnonzero(np.diff(known) > 1) + 1)
    return ", ".join(f"{r[0]} to {r[-1]}" if len(r) > 1 else str(r[0]) for r in runs)
