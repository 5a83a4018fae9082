"""The two sides of an evaluation: labels and photographs in their full size, and images that somebody generated."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from PIL import Image
from torch import Tensor

from ..data.base import Dataset
from ..data.files import PHOTO_SUFFIXES, open_picture
from ..data.paired import PairedFiles, hash_of_names, hash_of_sizes
from ..errors import UserError
from ..pictures import from_uint8, to_uint8

# what SPADE's and Cityscapes' file names append to the name of a scene
ENDINGS = ("_leftImg8bit", "_gtFine_labelIds", "_synthesized_image", "_fake_B", "_synthesized")


class Original(NamedTuple):
    """name: of the scene. label: ids of the published score, void 255. image: the photograph.

    Both in the data set's full size.
    """

    name: str
    label: Int64[Tensor, "h w"]
    image: UInt8[Tensor, "3 h w"]


class Originals:
    """The labels and photographs of a data set, untouched by the resizing that training asks for.

    dataset: one of spade_edu.data; Streets, which is rendered, is opened at the size that is to count as full.
    count: only the first so many.
    """

    def __init__(self, dataset: Dataset, count: int | None = None):
        self.dataset = dataset
        self.labels = dataset.labels
        self.count = len(dataset) if count is None else count
        if not 0 < self.count <= len(dataset):
            raise UserError(f"count {self.count}: {dataset.labels.name} has {len(dataset)} labelled pictures here.")

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Original:
        if not 0 <= index < self.count:
            raise IndexError(index)
        if isinstance(self.dataset, PairedFiles):
            photo, ids, _ = self.dataset.read(self.dataset.pairs[index])
            image, label = _from_pil(photo), torch.from_numpy(ids).long()
            name = self.dataset.pairs[index].name
        else:
            sample = self.dataset[index]
            image, label, name = to_bytes(sample.image), sample.label, str(sample.name)
        return Original(name, self.labels.to_score_ids(label), image)

    @property
    def remarks(self) -> list[str]:
        """Sentences on how the files were found."""
        return list(self.dataset.remarks) if isinstance(self.dataset, PairedFiles) else []

    def names(self) -> list[str]:
        """The names of all, in order."""
        if isinstance(self.dataset, PairedFiles):
            return [pair.name for pair in self.dataset.pairs[: self.count]]
        return [str(self.dataset[i].name) for i in range(self.count)]

    def fingerprint(self) -> str:
        """What tells pictures in files from others: ", names HASH, sizes HASH"; nothing for rendered ones."""
        if not isinstance(self.dataset, PairedFiles):
            return ""
        return f", names {hash_of_names(self.names())}, sizes {hash_of_sizes(self.dataset.pairs[: self.count])}"


class ImageFolder(Sequence):
    """Generated images in a folder, in the order of `names`.

    An image belongs to the name that its file name ends with: val/a.png or a_synthesized_image.jpg to city/a.
    Errors: a UserError, before anything is scored, where the folder is empty or an image is missing, not RGB or of
    another size than the others.
    """

    def __init__(self, folder: str | Path, names: list[str]):
        self.folder = Path(folder)
        self.paths = _pair(self.folder, names)
        self.size = _one_size(self.paths)
        for note in _notes(self.folder, self.paths):
            warnings.warn(note, stacklevel=2)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(  # type: ignore[override]  # a slice would be images in memory, and nobody takes one
        self, index: int
    ) -> UInt8[Tensor, "3 h w"]:
        return _from_pil(open_picture(self.paths[index], "a picture").convert("RGB"))


def first_size(folder: str | Path) -> tuple[int, int]:
    """(height, width) of the first image of a folder."""
    return _one_size([next(iter(_images_in(Path(folder)).values()))])


def to_bytes(image: Float[Tensor, "*n 3 h w"]) -> UInt8[Tensor, "*n 3 h w"]:
    """[-1, 1] to 0..255, as when a picture is saved: tensors and their files then score alike."""
    return to_uint8(image).movedim(-1, -3)


def from_bytes(image: UInt8[Tensor, "*n 3 h w"]) -> Float[Tensor, "*n 3 h w"]:
    """0..255 to [-1, 1]."""
    return from_uint8(image.movedim(-3, -1))


def _one_size(paths: list[Path]) -> tuple[int, int]:
    """(height, width) of all images, from the heads of their files; an error where they differ or are not RGB."""
    for path in paths:
        with open_picture(path, "a picture", whole=False) as picture:
            if picture.mode not in ("RGB", "RGBA", "P"):
                found = f"found mode {picture.mode} (grey-scale?)"
                raise UserError(f"{path}: expected a colour image (RGB), {found}. Is it a label map?")
            size = picture.height, picture.width
        if path == paths[0]:
            first = size
        if size != first:
            raise UserError(
                f"the generated images differ in size: {paths[0].name} is {first[0]}x{first[1]}, {path.name} is "
                f"{size[0]}x{size[1]} (height x width); generate all at one size."
            )
    return first


def _from_pil(picture: Image.Image) -> UInt8[Tensor, "3 h w"]:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


def _pair(folder: Path, names: list[str]) -> list[Path]:
    """The file of each name."""
    files = _images_in(folder)
    missing = [name for name in names if _key(name) not in files]
    if len(files) < len(names):
        raise UserError(
            f"{folder} holds {len(files)} images for {len(names)} label maps, the first without one: {missing[0]}. "
            "Generate all of them, or give --count."
        )
    if missing:
        known = {_key(name) for name in names}
        stray = next((path.name for key, path in files.items() if key not in known), "")
        raise UserError(
            f"{len(missing)} of {len(names)} label maps have no image of their name in {folder}, the first: "
            f"{_key(missing[0])}.png; found there: {stray}. Name images after their label maps."
        )
    return [files[_key(name)] for name in names]


def _notes(folder: Path, paths: list[Path]) -> list[str]:
    """What moves scores though nothing is wrong: images that were JPEG files, and those that aren't scored."""
    jpeg = sum(_is_jpeg(path) for path in paths)
    left = len(_images_in(folder)) - len(paths)
    notes = []
    if jpeg:
        notes.append(f"{jpeg} of {len(paths)} images are JPEG, which lowers scores: save generated images as PNG.")
    if left:
        notes.append(f"{left} images of {folder} belong to no label map that is scored, and are left out.")
    return notes


def _is_jpeg(path: Path) -> bool:
    with open_picture(path, "a picture", whole=False) as picture:
        return picture.format == "JPEG"


def _images_in(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder: expected generated images there.")
    files: dict[str, Path] = {}
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in PHOTO_SUFFIXES and p.name[0] != "."):
        key = _key(path.with_suffix("").as_posix())
        if key in files:
            raise UserError(f"{files[key]} and {path} have one name: give a folder with one image a label map.")
        files[key] = path
    if not files:
        raise UserError(f"{folder} is empty: expected generated images ({', '.join(PHOTO_SUFFIXES[:3])}) there.")
    return files


def _key(name: str) -> str:
    """What an image and a label map share: the last part of the path without what others append to it."""
    stem = name.rsplit("/", 1)[-1]
    for ending in ENDINGS:
        stem = stem.removesuffix(ending)
    return stem
