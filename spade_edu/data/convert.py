"""From masks in colours, or with the id in one channel of a colour picture, to maps of ids."""

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ..files import write_whole_with
from .base import DataError
from .classes import Table, read_table
from .files import open_picture
from .paired import ids_in, require_folder

CHANNELS = ("red", "green", "blue")


class Converted(NamedTuple):
    """What `convert` did: maps written, a line about each file left out, pixels of each colour that no class has."""

    written: int
    problems: list[str]
    stray: Counter[tuple[int, int, int]]


def convert(
    masks: Path,
    out: Path,
    classes: Path,
    channel: str = "",
    progress: Callable[[Iterable], Iterable] = iter,
) -> Converted:
    """Write a map of pixel values to out/NAME.png for each mask masks/NAME.

    By the colours of the classes file; a colour that it doesn't know becomes `dont_care`, or the file is left out where
    there is none. channel: "red", "green" or "blue" holds the values themselves.
    Errors: a DataError where there are no masks, or the classes file gives no colours, or one to two classes.
    """
    require_folder(masks, "masks in colours", "Give the folder that holds them.")
    if out.resolve().is_relative_to(masks.resolve()):
        raise DataError(f"{out} lies inside {masks}, whose masks are to be converted. Write to a folder outside it.")
    table = read_table(classes)
    _require_colours(table, classes, channel)
    found, written, problems, stray = ids_in(masks), 0, [], Counter[tuple[int, int, int]]()
    if not found:
        raise DataError(f"{masks}: expected masks (PNG, BMP or TIFF) there, found none.")
    for name, path in progress(found.items()):
        try:
            values, unknown = _values(path, table, channel)
        except DataError as error:
            problems.append(str(error))
            continue
        stray += unknown
        picture = Image.fromarray(values)
        write_whole_with(out / f"{name}.png", partial(picture.save, format="PNG"))
        written += 1
    return Converted(written, problems, stray)


def _require_colours(table: Table, classes: Path, channel: str) -> None:
    if channel and channel not in CHANNELS:
        raise DataError(f"there is no channel {channel!r}: expected red, green or blue.")
    twice = [colour for colour, times in Counter(table.colours).items() if times > 1]
    if not channel and not table.colours:
        raise DataError(f"{classes} gives no colours: write a class a line, `name, red, green, blue`.")
    if not channel and twice:
        raise DataError(f"{classes}: the colour {twice[0]} stands for two classes. Masks can't tell them apart.")


def _values(path: Path, table: Table, channel: str) -> tuple[np.ndarray, Counter[tuple[int, int, int]]]:
    """The pixel values of a mask and its stray colours. Errors: a DataError where these have no value."""
    colours = np.array(open_picture(path, "a mask in colours").convert("RGB"))
    if channel:
        return colours[..., CHANNELS.index(channel)].copy(), Counter()
    key = _key(colours)
    values = np.full(key.shape, -1, np.int32)
    for colour, value in zip(table.colours, table.values):
        values[key == _key(np.array([colour], np.uint8))] = value
    strange, counts = np.unique(colours[values < 0].reshape(-1, 3), axis=0, return_counts=True)
    stray = Counter({tuple(colour.tolist()): int(count) for colour, count in zip(strange, counts)})
    if stray and table.dont_care is None:
        raise DataError(f"{path}: {describe(stray, table)} Add them to the classes file, or a line `dont_care = 255`.")
    values[values < 0] = table.dont_care or 0
    return values.astype(np.uint8 if values.max() < 256 else np.uint16), stray


def _key(colours: UInt8[np.ndarray, "*n 3"]) -> np.ndarray:
    """One number for each colour."""
    return colours.astype(np.int32) @ np.array([65536, 256, 1], np.int32)


def describe(stray: Counter[tuple[int, int, int]], table: Table) -> str:
    """The commonest stray colours and the classes that they are nearest to, in a sentence."""

    def nearest(colour: tuple[int, int, int]) -> str:
        distances = [sum((a - b) ** 2 for a, b in zip(colour, other)) for other in table.colours]
        return table.names[distances.index(min(distances))]

    shown = ", ".join(f"{colour} (nearest: {nearest(colour)!r})" for colour, _ in stray.most_common(3))
    return f"{len(stray)} colours in {stray.total():,} pixels are no class's, the commonest: {shown}."
