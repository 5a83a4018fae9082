"""Cityscapes in its published layout; Streets written to disk has the same and is read by the same class.

ROOT/leftImg8bit/{train,val}/CITY/NAME_leftImg8bit.png
ROOT/gtFine/{train,val}/CITY/NAME_gtFine_labelIds.png, NAME_gtFine_instanceIds.png

Or train_img, train_label and train_inst with the same names of files, as pix2pixHD's repository has some.
"""

import json
import os
from pathlib import Path

from ..labels import CITYSCAPES
from .base import DataError
from .paired import Pair, Pairs, SplitFiles, identity_values, ids_in, match, photos_in, require_folder, require_pairs

ROOT_VARIABLE = "CITYSCAPES_DATASET"  # the variable that cityscapesscripts reads, too


class Cityscapes(SplitFiles):
    """Street photographs with 35 ids and instances, 1024x2048; the paper trains at 256x512 (section 4).

    root: the folder that holds leftImg8bit and gtFine; default: the variable CITYSCAPES_DATASET.
    """

    published = {"train": 2975, "val": 500}
    labels, label_values, size = CITYSCAPES, identity_values(CITYSCAPES), (256, 512)

    def folder(self, root: str | Path | None) -> Path:
        """The folder named, or that of the variable."""
        root = root or os.environ.get(ROOT_VARIABLE)
        if not root:
            raise DataError(f"where is Cityscapes? Give its folder as root, or set {ROOT_VARIABLE} to it.")
        return Path(root)

    def find_pairs(self, folder: Path, split: str) -> Pairs:
        """The pairs of a split, all cities together."""
        repair = f"Is {folder} the folder that holds leftImg8bit and gtFine, with both archives unpacked in it?"
        photos, labels = folder / "leftImg8bit" / split, folder / "gtFine" / split
        instances = labels
        if not photos.is_dir() and (folder / f"{split}_img").is_dir():
            photos, labels, instances = (folder / f"{split}_{part}" for part in ("img", "label", "inst"))
        require_folder(photos, f"the {split} photographs of Cityscapes", repair)
        require_folder(labels, f"the {split} label maps of Cityscapes", repair)
        pairs = match(
            photos_in(photos, "_leftImg8bit"),
            ids_in(labels, "_gtFine_labelIds"),
            ids_in(instances, "_gtFine_instanceIds") if self.labels.instances else None,
        )
        expected = f"CITY/NAME_leftImg8bit.png, NAME_gtFine_labelIds.png, split {split}"
        return require_pairs(pairs, str(folder), expected, _other_maps(labels))

    def load_size(self, height: int, width: int) -> None:
        """No window is cut out: the paper resizes to the size of the samples."""

    def style(self, pair: Pair) -> str | None:
        """The style that Streets notes beside its label maps; None for Cityscapes itself."""
        note = pair.label.with_name(pair.label.name.replace("_labelIds.png", "_style.json"))
        return _read_style(note) if note.is_file() else None


def _other_maps(folder: Path) -> list[str]:
    """What lies in the place of label maps, where none of those are."""
    kinds = {name.rpartition("_")[2] for name in ids_in(folder)}
    if not kinds or "labelIds" in kinds:
        return []
    said = f"{folder} holds only *_{', *_'.join(sorted(kinds)[:4])}.png."
    if "labelTrainIds" in kinds:
        said += " trainIds are other numbers: of all that isn't scored they make one class."
    return [f"{said} gtFine_trainvaltest.zip has the *_labelIds.png."]


def _read_style(note: Path) -> str:
    try:
        style = json.loads(note.read_text(encoding="utf-8"))["style"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        style = None
    if not isinstance(style, str):
        raise DataError(f'{note}: expected a style like {{"style": "night"}}. Remove the file, or make it again.')
    return style


def is_cityscapes(root: str | Path) -> bool:
    """Whether a folder has Cityscapes' layout."""
    return (Path(root) / "leftImg8bit").is_dir() and (Path(root) / "gtFine").is_dir()
