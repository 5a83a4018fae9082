"""Classes files: which class each pixel value of a label map stands for. Ours, and those of labelling tools."""

import colorsys
import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int32

from ..labels import IGNORE, LabelClass, LabelSpace
from .base import DataError

# Ours, then CVAT's, Roboflow's and labelme's.
CLASS_FILES = ("classes.json", "classes.txt", "labelmap.txt", "_classes.csv", "class_names.txt")
FORMS = {
    ".json": '{"names": ["sky", ...], "colours": [[r, g, b], ...], "dont_care": 255}, the last two optional',
    ".txt": "a class a line, `name` or `name, r, g, b`, and perhaps `dont_care = 255`",
}
MOST_VALUE = 65535  # of a pixel in a label file of 16 bits
FILE_SETTINGS = ("exif", "image_suffix", "label_suffix")  # how the files beside are to be read
KEYS = ("names", "colours", "colors", "dont_care", *FILE_SETTINGS)
EXIF = {"turned": True, "stored": False}
SETTING = re.compile(rf"(dont_care|{'|'.join(FILE_SETTINGS)})\s*=\s*(.*)")
NUMBERED = re.compile(r"(\d+)\s*[\s,:;=]\s*(\D.*)")  # 0 sky / 0, sky / 0: sky
COLOURED = re.compile(r"(.+?)\s*,\s*(-?\d+)\s*,\s*(-?\d+)\s*,\s*(-?\d+)")  # sky, r, g, b
CVAT = re.compile(r"(.+?)\s*:\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*:.*")  # sky:r,g,b:parts:actions
LABELME_UNKNOWN = "__ignore__"  # -1 in labelme's labels.txt, which its exporter writes as 255

Colour = tuple[int, int, int]


class Classes(NamedTuple):
    """A LabelSpace, and for each pixel value of the label files the id that it stands for (-1: none)."""

    space: LabelSpace
    label_values: Int32[np.ndarray, "values"]


class FileSettings(NamedTuple):
    """How the pairs beside a classes file are to be read.

    turned: were photographs turned as their EXIF says before they were labelled? None: unknown.
    image_suffix, label_suffix: what the names of photographs and label maps append to what they share; None: to find.
    """

    turned: bool | None = None
    image_suffix: str | None = None
    label_suffix: str | None = None


class Table(NamedTuple):
    """What a classes file says: a name, a pixel value and perhaps a colour for each class, the value of "unknown"."""

    names: list[str]
    values: list[int]
    colours: list[Colour]
    dont_care: int | None
    files: FileSettings


def read_classes(path: Path, name: str | None = None, instances: bool = False) -> Classes:
    """Read a classes file: the names in the order of the pixel values 0, 1, 2, ...

    .json: {"names": [...], "colours": [[r, g, b], ...], "dont_care": 255}, the last two optional; a name may be an
    object with id, name and color. Else a class a line, `name` or `name, r, g, b`; an optional line `dont_care = 255`;
    lines that begin with # are comments. Where each line begins with a number, that is its pixel value.
    Likewise exif ("turned" or "stored"), image_suffix and label_suffix, see FileSettings.
    dont_care is the pixel value that means "unknown". It may lie beyond the names, or have a name of its own,
    which is dropped; ids then close up (as for ADE20K: 0 is unknown, 1 to 150 become 0 to 149).
    Errors: a DataError where the file is missing or names no classes.
    """
    names, values, colours, dont_care, _ = read_table(path)
    colours = colours or [_colour(i) for i in range(len(names))]
    if not names or len(colours) != len(names) or len(set(names)) != len(names):
        raise DataError(f"{path}: expected different names, one colour each; found {len(names)} and {len(colours)}.")
    kept = [i for i, value in enumerate(values) if value != dont_care]
    classes = tuple(LabelClass(names[old], colours[old], score_id_of(new)) for new, old in enumerate(kept))
    space = LabelSpace(name or path.parent.name or "Folder", classes, dont_care is not None, instances)
    return Classes(space, _label_values([values[i] for i in kept], dont_care))


def score_id_of(index: int) -> int:
    """The score id of a class of your own: its index, but IGNORE is none."""
    return index + (index >= IGNORE)


def read_table(path: Path) -> Table:
    """Read what a classes file says. Errors: a DataError where it is missing or has another form."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # Windows' editor writes a mark first
        table = _from_json(text) if path.suffix == ".json" else _from_text(text)
        _require_value(table.dont_care or 0, "dont_care")
        return table
    except FileNotFoundError:
        raise DataError(f"{path} is missing: expected a file that names the classes.") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder: expected a file that names the classes.") from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        form = FORMS.get(path.suffix, FORMS[".txt"])
        raise DataError(f"{path} does not name the classes ({error}). Expected, in UTF-8: {form}.") from error


def _label_values(kept: list[int], dont_care: int | None) -> Int32[np.ndarray, "values"]:
    values = np.full(max([*kept, dont_care or 0]) + 1, -1, np.int32)
    values[kept] = np.arange(len(kept))
    if dont_care is not None:
        values[dont_care] = len(kept)
    return values


def _from_json(text: str) -> Table:
    table = json.loads(text)
    if not isinstance(table, dict) or not isinstance(table.get("names"), list):
        raise ValueError("there is no list of names")
    unknown = [key for key in table if key not in KEYS]
    if unknown:
        meant = get_close_matches(unknown[0], KEYS, 1) or ["dont_care"]
        raise ValueError(f"an entry {unknown[0]!r:.40}; did you mean {meant[0]}?")
    names, colours = table["names"], table.get("colours") or table.get("colors") or []
    values = list(range(len(names)))
    if names and all(isinstance(entry, dict) for entry in names):
        values = _different([entry["id"] for entry in names])
        colours = colours or [c for entry in names if (c := entry.get("colour", entry.get("color"))) is not None]
        names = [entry["name"] for entry in names]
    if not all(isinstance(entry, str) for entry in names):
        raise ValueError("names that are no words")
    dont_care = table.get("dont_care")
    dont_care = None if dont_care is None else int(dont_care)
    return Table(names, values, [_byte_triple(c) for c in colours], dont_care, _file_settings(table))


def _from_text(text: str) -> Table:
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if lines and re.fullmatch(r"pixel value\s*,\s*class", lines[0].lower()):  # Roboflow's first line
        del lines[0]
    settings = {match[1]: match[2] for line in lines if (match := SETTING.fullmatch(line))}
    lines = [line for line in lines if not SETTING.fullmatch(line)]
    dont_care = int(settings["dont_care"]) if "dont_care" in settings else None
    if LABELME_UNKNOWN in lines:
        lines.remove(LABELME_UNKNOWN)
        dont_care = 255 if dont_care is None else dont_care
    values, numbered = list(range(len(lines))), [NUMBERED.fullmatch(line) for line in lines]
    if lines and all(numbered):
        values = _different([int(match[1]) for match in numbered if match])
        lines = [match[2] for match in numbered if match]
    rows = [_row(line) for line in lines]
    colours = [colour for _, colour in rows if colour]
    return Table([name for name, _ in rows], values, colours, dont_care, _file_settings(settings))


def _file_settings(table: Mapping[str, Any]) -> FileSettings:
    exif, *suffixes = (table.get(name) for name in FILE_SETTINGS)
    if exif is not None and exif not in EXIF:
        raise ValueError(f"exif is turned or stored, not {exif!r:.40}")
    for suffix in suffixes:
        if not isinstance(suffix, str | None):
            raise ValueError(f"a suffix {suffix!r:.40} that is no word")
    return FileSettings(None if exif is None else EXIF[exif], *suffixes)


def _row(line: str) -> tuple[str, Colour | None]:
    """The name and, if there is one, the colour of a line."""
    match = COLOURED.fullmatch(line) or CVAT.fullmatch(line)
    if match:
        return match[1], _byte_triple(list(match.groups()[1:]))
    if "," in line:
        raise ValueError(f"a comma in {line!r:.40}: write the name without it")
    return line, None


def _different(values: list[int]) -> list[int]:
    """Pixel values that classes are numbered by. Errors: a ValueError for one twice, or one that no pixel has."""
    for value in values:
        _require_value(value, "a class of number")
        if values.count(value) > 1:
            raise ValueError(f"the number {value} twice")
    return values


def _require_value(value: int, what: str) -> None:
    if not 0 <= value <= MOST_VALUE:
        repair = ": write 255 in the maps for -1, and dont_care = 255" if (what, value) == ("dont_care", -1) else ""
        raise ValueError(f"{what} {value}, which is no pixel value (0 to {MOST_VALUE}){repair}")


def _byte_triple(values: list) -> Colour:
    red, green, blue = (int(v) for v in values)
    if not all(0 <= v <= 255 for v in (red, green, blue)):
        raise ValueError(f"a colour of {values}, outside 0 to 255")
    return red, green, blue


def _colour(index: int) -> Colour:
    """Colours that stay apart: hues in steps of the golden section, three brightnesses."""
    hue, value = (index * 0.618034) % 1, (1.0, 0.75, 0.55)[index % 3]
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, value)
    return round(255 * red), round(255 * green), round(255 * blue)
