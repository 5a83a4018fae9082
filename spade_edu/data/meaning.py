"""What the values of label maps mean, as far as files can tell: values may be in range and stand for other classes.

Each rule looks at all maps of a split together and gives at most one finding. An error is certainly another meaning, a
warning is suspicious, a note merely unusual.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32

from .base import DataError, Dataset
from .cityscapes import Cityscapes
from .coco_stuff import COCOStuff
from .files import is_transparent, open_picture, read_ids, turn_untold
from .flickr_landscapes import FlickrLandscapes
from .folder import Folder
from .paired import PairedFiles, values_of_ids

Colour = tuple[int, ...]
WINDOW = 512  # pixels of a side: borders are looked at in the middle of a map
SAMPLE = 50  # maps that `train` looks at
MOST_LINES = 3  # that it prints
LONGEST_RAMP = 3  # pixels
# COCO-Stuff's pixel values that stand for categories which its label maps never hold (street sign, hat, shoe, ...).
NEVER_IN_COCO = frozenset((11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90))


class Finding(NamedTuple):
    """severity: "error", "warning" or "note". text: a line."""

    severity: str
    text: str


class Look(NamedTuple):
    """What one label map shows.

    counts: pixels of each value. palette: the colour of each value that occurs; of no value where there is no palette.
    sharp, soft: borders between flat areas, crossed at once or over values in between. alone: share of the pixels that
    differ from all four neighbours; flat: that equal them.
    """

    path: Path
    counts: dict[int, int]
    palette: dict[int, Colour]
    sharp: int
    soft: int
    alone: float
    flat: float


def look_at(path: Path) -> Look | None:
    """Look at a label map; None for one that can't be read, which is said elsewhere."""
    try:
        values = read_ids(path)
    except DataError:
        return None
    counts = dict(zip(*(array.tolist() for array in np.unique(values, return_counts=True))))
    top, left = (max(0, side - WINDOW) // 2 for side in values.shape)
    middle = values[top : top + WINDOW, left : left + WINDOW]
    sharp, soft = borders(middle)
    return Look(path, counts, _palette(path, counts), sharp, soft, *_neighbours(middle))


def _palette(path: Path, values: Iterable[int]) -> dict[int, Colour]:
    with open_picture(path, "a map of ids", whole=False) as picture:
        if picture.mode != "P" or not (entries := picture.getpalette("RGB")):
            return {}
        colours = {value: tuple(entries[3 * value : 3 * value + 3]) for value in values}
    times = Counter(colours.values())  # an empty palette has one colour many times, which tells nothing
    return {value: colour for value, colour in colours.items() if times[colour] == 1}


def borders(values: Int32[np.ndarray, "h w"]) -> tuple[int, int]:
    """How many borders between two areas are crossed at once, and how many over 1 to LONGEST_RAMP values in between.

    Each area is at least two pixels wide there, in rows or in columns.
    """
    found = [0] * (LONGEST_RAMP + 1)
    for rows in (values, values.T):
        for between in range(LONGEST_RAMP + 1):
            width = between + 4
            cells = [rows[:, i : i + max(0, rows.shape[1] - width + 1)] for i in range(width)]
            border = (cells[0] == cells[1]) & (cells[-2] == cells[-1])
            rising = np.logical_and.reduce([a < b for a, b in pairwise(cells[1:-1])])
            falling = np.logical_and.reduce([a > b for a, b in pairwise(cells[1:-1])])
            found[between] += int((border & (rising | falling)).sum())
    return found[0], sum(found[1:])


def _neighbours(values: Int32[np.ndarray, "h w"]) -> tuple[float, float]:
    """The shares of the inner pixels that differ from all four neighbours, and that equal them."""
    middle = values[1:-1, 1:-1]
    if not middle.size:
        return 0.0, 0.0
    four = [values[:-2, 1:-1], values[2:, 1:-1], values[1:-1, :-2], values[1:-1, 2:]]
    same = [middle == other for other in four]
    return float((~np.logical_or.reduce(same)).mean()), float(np.logical_and.reduce(same).mean())


def findings(dataset: PairedFiles, looks: Sequence[Look]) -> list[Finding]:
    """What is certainly or perhaps wrong with the meaning of a split's maps, worst first; names files where it can."""
    rules: list[Callable[[PairedFiles, Sequence[Look]], Finding | None]] = [
        palettes_against_classes, palettes_that_differ, train_ids, coco_categories, uniform, absent, unknown, soft_ids,
    ]  # fmt: skip
    if not looks:
        return []
    found = [finding for rule in rules if (finding := rule(dataset, looks))]
    return sorted(found, key=lambda f: ("error", "warning", "note").index(f.severity))


def look_through(dataset: PairedFiles, most: int | None = None) -> list[Finding]:
    """The findings of a split; `most` maps of it, evenly spread (None: all)."""
    count = len(dataset.pairs)
    chosen = range(count) if most is None else sorted({i * count // most for i in range(most)})
    with ThreadPoolExecutor() as pool:
        looks = list(pool.map(look_at, [dataset.pairs[i].label for i in chosen]))
        photos = [dataset.pairs[i].photo for i in chosen]
        untold = list(pool.map(turn_untold, photos if dataset.turned is None else []))
        clear = sum(pool.map(is_transparent, photos))
    said = f"{photos[0].parent}: {clear} of {len(photos)} photographs are transparent in places. White shows there."
    transparent = [Finding("note", said)] if clear else []
    return turns(dataset, untold) + findings(dataset, [look for look in looks if look]) + transparent


def turns(dataset: PairedFiles, untold: Sequence[bool]) -> list[Finding]:
    """Photographs of which nothing says whether they were turned before they were labelled."""
    if not any(untold):
        return []
    first = dataset.pairs[0].photo.parent
    text = (
        f"{first}: {sum(untold)} of {len(untold)} photographs are noted as turned (EXIF: upside down, mirrored, or "
        "square on their side), and size can't tell whether they were before they were labelled. They are turned now: "
        "look at `spade-edu data preview` and write `exif = turned` or `exif = stored` in the classes file."
    )
    return [Finding("warning", text)]


def look_before_training(dataset: Dataset, *, strict: bool) -> list[str]:
    """At most MOST_LINES lines about SAMPLE maps of what is to be trained on.

    Errors: a DataError for a finding that is an error; `strict`: for a warning, too.
    """
    if not isinstance(dataset, PairedFiles):
        return []
    found = look_through(dataset, SAMPLE)
    stops = [finding for finding in found if finding.severity == "error" or strict and finding.severity == "warning"]
    if stops:
        raise DataError(stops[0].text)
    return [f"{finding.severity}: {finding.text}" for finding in found[:MOST_LINES]]


# The rules -----------------------------------------------------------------------------------------------------------


def palettes_against_classes(dataset: PairedFiles, looks: Sequence[Look]) -> Finding | None:
    """A palette that gives a value the colour of another class."""
    owners: dict[Colour, list[str]] = {}
    for entry in dataset.labels.classes:
        owners.setdefault(entry.colour, []).append(entry.name)
    name_of = dict(zip(values_of_ids(dataset.label_values), dataset.labels.names))
    wrong = []
    for look in looks:
        meant = {value: owners[colour] for value, colour in look.palette.items() if colour in owners}
        other = {value: names for value, names in meant.items() if name_of.get(value) not in names}
        wrong += [(look.path, other)] if other else []
    if not wrong:
        return None
    path, other = wrong[0]
    value, names = next(iter(other.items()))
    mapping = ", ".join(f"{v} is {n[0]}" for v, n in list(other.items())[:4])
    return Finding(
        "error",
        f"{path}: value {value} stands for {name_of.get(value, 'no class')!r}, but its palette gives it the colour of "
        f"{names[0]!r} ({len(wrong)} of {len(looks)} maps are so). By colour {mapping}: `spade-edu data convert` goes "
        "by colour.",
    )


def palettes_that_differ(dataset: PairedFiles, looks: Sequence[Look]) -> Finding | None:
    """One colour at two values, in two files: the indices were numbered in each file anew."""
    first: dict[Colour, tuple[int, Path]] = {}
    for look in looks:
        for value, colour in look.palette.items():
            before, path = first.setdefault(colour, (value, look.path))
            if before != value:
                return Finding(
                    "error",
                    f"{look.path} has the colour {colour} at value {value}, {path} at {before}: each palette is "
                    "numbered anew, so values mean nothing. Give the classes their colours and use `spade-edu data "
                    "convert`.",
                )
    return None


def train_ids(dataset: PairedFiles, looks: Sequence[Look]) -> Finding | None:
    """Cityscapes' trainIds (0 road, 1 sidewalk, 2 building, at most 19) where labelIds belong (7, 8, 11, up to 33)."""
    counts = _sum(looks)
    low = sum(counts[value] for value in (0, 1, 2)) / counts.total()
    if not isinstance(dataset, Cityscapes) or not 8 <= max(counts) <= 19 or low < 0.2:
        return None  # the official test split holds 0 to 3 only
    return Finding(
        "error",
        f"{looks[0].path}: no value above 19, and {low:.0%} of the pixels are 0, 1 or 2, which labelIds hardly use: "
        "these are trainIds under the name of labelIds. Take gtFine's own *_labelIds.png.",
    )


def coco_categories(dataset: PairedFiles, looks: Sequence[Look]) -> Finding | None:
    """COCO's category numbers (0 unlabelled, 1 to 182), where 0 to 181 and 255 belong: all shifted by one."""
    if not isinstance(dataset, COCOStuff | FlickrLandscapes):
        return None
    counts = _sum(looks)
    shifted = {value + 1 for value in NEVER_IN_COCO}
    here, there = NEVER_IN_COCO & counts.keys(), (shifted - NEVER_IN_COCO) & counts.keys()
    text = (
        f"{looks[0].path}: {{}} These are COCO's numbers 1 to 182 with 0 for unlabelled: subtract 1, write 255 for 0."
    )
    if len(here) >= 3 and not there and 255 not in counts:
        return Finding("error", text.format(f"values {sorted(here)[:4]} never occur in COCO-Stuff, 255 would."))
    if 255 not in counts and len(looks) >= 3 and all(0 in look.counts for look in looks):
        return Finding("warning", text.format("255 (unlabelled) in no map and 0 (person) in each?"))
    return None


def uniform(dataset: PairedFiles, looks: Sequence[Look]) -> Finding | None:
    """Maps that hold one value only."""
    flat = [look for look in looks if len(look.counts) == 1]
    if dataset.labels.num_ids == 1 or len(flat) < max(2, len(looks) / 10):
        return None
    value = next(iter(flat[0].counts))
    text = f"{flat[0].path}: {len(flat)} of {len(looks)} maps hold one value only (here {value}). Was the export whole?"
    return Finding("warning", text)


def absent(dataset: PairedFiles, looks: Sequence[Look]) -> Finding | None:
    """Classes of the reader's own file that no map holds; published sets have rare ones."""
    counts, values = _sum(looks), values_of_ids(dataset.label_values)
    names = [name for value, name in zip(values, dataset.labels.names) if value not in counts]
    if dataset.labels.dont_care and names[-1:] == ["don't care"]:
        names.pop()
    if not isinstance(dataset, Folder) or not names:
        return None
    shown = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    text = f"{len(names)} of {dataset.labels.num_classes} classes occur in none of {len(looks)} maps: {shown}."
    share = counts[values[-1]] / counts.total() if dataset.labels.dont_care else 0
    if share:
        text += f" {share:.0%} of the pixels are don't care ({values[-1]}): is that one of them?"
    return Finding("warning", text)


def unknown(dataset: PairedFiles, looks: Sequence[Look]) -> Finding | None:
    """Most pixels unknown."""
    counts = _sum(looks)
    value = values_of_ids(dataset.label_values)[-1]
    share = counts[value] / counts.total()
    if not dataset.labels.dont_care or share <= 0.5 or not isinstance(dataset, Folder):
        return None
    return Finding("warning", f"{share:.0%} of the pixels are don't care ({value}): the generator learns little there.")


def soft_ids(dataset: PairedFiles, looks: Sequence[Look]) -> Finding | None:
    """Values in between at borders, or pixels that stand alone: traces of a resizing that mixes, or of JPEG."""
    sharp, soft = sum(look.sharp for look in looks), sum(look.soft for look in looks)
    alone, flat = (float(np.mean([getattr(look, name) for look in looks])) for name in ("alone", "flat"))
    mixed, speckled = soft > 20 and soft > 0.3 * (sharp + soft), alone > 0.01 and flat > 0.3
    if not (mixed or speckled):
        return None
    worst = max(looks, key=lambda look: look.soft + look.alone)
    seen = f"{alone:.0%} of the pixels stand alone"
    if mixed:
        seen = f"{soft / (sharp + soft):.0%} of the borders are crossed by values in between"
    return Finding(
        "warning",
        f"{worst.path}: {seen}, which are classes that nobody drew. Was it resized or saved as JPEG? Resize maps by "
        "nearest neighbour and keep them PNG.",
    )


def _sum(looks: Sequence[Look]) -> Counter[int]:
    counts: Counter[int] = Counter()
    for look in looks:
        counts.update(look.counts)
    return counts
