"""Your own pairs where nobody has set any aside for validation: a tenth of them, chosen by a rule on their names."""

import hashlib
from pathlib import Path
from typing import Any

from .base import DataError, NoSplitError
from .files import PHOTO_SUFFIXES
from .folder import Folder
from .layouts import find_layout
from .paired import Pair

SHARE = 10  # one of so many pairs, at least one


def open_folder(root: str | Path, split: str = "train", **options: Any) -> Folder:
    """Folder.from_root; where there is no val folder, "train" and "val" share the pairs of train, or of ROOT itself.

    Which are val follows from the names alone, so that every command sees the same split.
    options: those of Folder: height, width, augment, seed.
    Errors: a DataError as for Folder, or where there is one pair only.
    """
    whole = _whole(Path(root))
    if split not in ("train", "val") or not whole:
        return Folder.from_root(root, split, **options)
    dataset = Folder.from_root(root, whole, **options)
    kept = names_kept(dataset.pairs)
    count = len(dataset)
    if count == 1:
        raise DataError(
            f"{root} holds one pair and no val folder: training shows a picture that it doesn't learn from. Add a "
            "pair, or copy train to val."
        )
    dataset.pairs = [pair for pair in dataset.pairs if (pair.name in kept) == (split == "val")]
    dataset.remarks = [
        *dataset.remarks,
        f"There is no val folder: {len(kept)} of the {count} pairs (a tenth, by the hashes of their names) are val.",
    ]
    return dataset


def names_kept(pairs: list[Pair]) -> set[str]:
    """The names that are val: the tenth, at least one, whose hashes come first."""
    ranked = sorted((pair.name for pair in pairs), key=lambda name: hashlib.sha256(name.encode()).digest())
    return set(ranked[: max(1, len(ranked) // SHARE)])


def _whole(root: Path) -> str:
    """The split that holds all pairs; "" where they are split already."""
    if root.is_dir() and _lies_flat(root):
        return "."
    try:
        Folder.from_root(root, "val")
    except NoSplitError:
        return "train"
    except DataError:
        pass  # there is something, which is said when it is opened
    return ""


def _lies_flat(root: Path) -> bool:
    """Whether ROOT has the folders of a split, or is one: pairs in it without further folders."""
    flat = find_layout(root, ".")
    if flat is None or find_layout(root, "train") or any((folder / "train").is_dir() for folder in (root, flat.photos)):
        return False
    return flat.photos != root or any(path.suffix.lower() in PHOTO_SUFFIXES for path in root.iterdir())
