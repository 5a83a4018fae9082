"""Your own pairs: a folder of photographs, a folder of label maps, a file that names the classes."""

import colorsys
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int32

from ..labels import LabelClass, LabelSpace
from .base import DataError
from .paired import PairedFiles, ids_in, match, photos_in, require_folder, require_pairs
from .transforms import JointTransform, paper_load_size

ASSETS = Path(__file__).parents[1] / "assets"  # class tables that come with the package
CLASS_FILES = ("classes.json", "classes.txt")
FORMS = {
    ".json": '{"names": ["sky", ...], "colours": [[r, g, b], ...], "dont_care": 255}, the last two optional',
    ".txt": "a class a line, `name` or `name, r, g, b`, and perhaps `dont_care = 255`",
}
MOST_VALUE = 65535  # of a pixel in a label file of 16 bits


class Classes(NamedTuple):
    """A LabelSpace, and for each pixel value of the label files the id that it stands for (-1: none)."""

    space: LabelSpace
    label_values: Int32[np.ndarray, "values"]


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
        pairs = match(photos_in(photos), ids_in(labels), None if instances is None else ids_in(instances))
        require_pairs(pairs, f"{photos} and {labels}", "one name, e.g. NAME.jpg and NAME.png")
        transform = JointTransform(height, width, paper_load_size(height, width), augment)
        super().__init__(pairs, space, transform, values, seed)

    @classmethod
    def from_root(cls, root: str | Path, split: str = "train", **options: Any) -> "Folder":
        """Open images, labels and, if there, instances in ROOT/SPLIT, with ROOT/classes.json or classes.txt.

        `options` are those of the class: height, width, augment, seed.
        """
        root = Path(root)
        classes = next((root / name for name in CLASS_FILES if (root / name).is_file()), None)
        if classes is None:
            raise DataError(f"{root}: expected a file {' or '.join(CLASS_FILES)} that names the classes, found none.")
        instances = root / split / "instances"
        return cls(
            root / split / "images",
            root / split / "labels",
            classes,
            instances if instances.is_dir() else None,
            **options,
        )


def read_classes(path: Path, name: str | None = None, instances: bool = False) -> Classes:
    """Read a classes file: the names in the order of the pixel values 0, 1, 2, ...

    .json: {"names": [...], "colours": [[r, g, b], ...], "dont_care": 255}, the last two optional.
    .txt: a class a line, `name` or `name, r, g, b`; an optional line `dont_care = 255`.
    dont_care is the pixel value that means "unknown". It may lie beyond the names, or have a name of its own,
    which is dropped; ids then close up (as for ADE20K: 0 is unknown, 1 to 150 become 0 to 149).
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # Windows' editor writes a mark first
        names, colours, dont_care = _from_json(text) if path.suffix == ".json" else _from_text(text)
        if dont_care is not None and not 0 <= dont_care <= MOST_VALUE:
            raise ValueError(f"dont_care {dont_care}, which is no pixel value (0 to {MOST_VALUE})")
    except FileNotFoundError:
        raise DataError(f"{path} is missing: expected a file that names the classes.") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder: expected a file that names the classes.") from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        form = FORMS.get(path.suffix, FORMS[".txt"])
        raise DataError(f"{path} does not name the classes ({error}). Expected, in UTF-8: {form}.") from error
    colours = colours or [_colour(i) for i in range(len(names))]
    if not names or len(colours) != len(names) or len(set(names)) != len(names):
        raise DataError(f"{path}: expected different names, one colour each; found {len(names)} and {len(colours)}.")
    kept = [value for value in range(len(names)) if value != dont_care]
    classes = tuple(LabelClass(names[v], colours[v], score_id=i) for i, v in enumerate(kept))
    space = LabelSpace(name or path.parent.name or "Folder", classes, dont_care is not None, instances)
    return Classes(space, _label_values(kept, dont_care))


def _label_values(kept: list[int], dont_care: int | None) -> Int32[np.ndarray, "values"]:
    values = np.full(max([*kept, dont_care or 0]) + 1, -1, np.int32)
    values[kept] = np.arange(len(kept))
    if dont_care is not None:
        values[dont_care] = len(kept)
    return values


def _from_json(text: str) -> tuple[list[str], list[tuple[int, int, int]], int | None]:
    table = json.loads(text)
    if not isinstance(table, dict) or not isinstance(table.get("names"), list):
        raise ValueError("there is no list of names")
    colours = [_byte_triple(c) for c in table.get("colours", [])]
    dont_care = table.get("dont_care")
    return [str(n) for n in table["names"]], colours, None if dont_care is None else int(dont_care)


def _from_text(text: str) -> tuple[list[str], list[tuple[int, int, int]], int | None]:
    names, colours, dont_care = [], [], None
    for line in filter(None, (line.strip() for line in text.splitlines())):
        if line.replace(" ", "").startswith("dont_care="):
            dont_care = int(line.split("=")[1])
            continue
        name, *colour = (cell.strip() for cell in line.rsplit(",", 3))
        names.append(name)
        colours += [_byte_triple(colour)] if colour else []
    return names, colours, dont_care


def _byte_triple(values: list) -> tuple[int, int, int]:
    red, green, blue = (int(v) for v in values)
    if not all(0 <= v <= 255 for v in (red, green, blue)):
        raise ValueError(f"a colour of {values}, outside 0 to 255")
    return red, green, blue


def _colour(index: int) -> tuple[int, int, int]:
    """Colours that stay apart: hues in steps of the golden section, three brightnesses."""
    hue, value = (index * 0.618034) % 1, (1.0, 0.75, 0.55)[index % 3]
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, value)
    return round(255 * red), round(255 * green), round(255 * blue)
