"""A sheet for schematics: boxes, arrows, words and small label maps, which a notebook shows as vectors.

White paper of its own, so that it reads the same on a light and on a dark page. Places are in inches from the lower
left corner; a box is placed by its centre.
"""

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, FancyBboxPatch, Patch, PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.text import Text
from torch import Tensor

from ..labels import CITYSCAPES
from .plotting import COLOURS, INK

WIDTH = 8.4  # about 800 pixels on a page
LINE = "#555555"
# What a box stands for: its colour, and that of its border.
KINDS = {
    "conv": ("#ececec", "#777777"), "norm": ("#fbe6bd", "#8a5f00"), "plain": ("#ffffff", "#999999"),
    "marked": ("#e6deef", "#5f4491"), "SPADE": ("#d3e6f3", COLOURS["SPADE"]),
}  # fmt: skip
Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A place on a sheet that arrows start from and end at."""

    x: float
    y: float
    width: float
    height: float

    def at(self, side: str) -> Point:
        """The middle of its "left", "right", "top" or "bottom"."""
        dx, dy = {"left": (-1, 0), "right": (1, 0), "top": (0, 1), "bottom": (0, -1)}[side]
        return self.x + dx * self.width / 2, self.y + dy * self.height / 2


class Sheet:
    """One schematic, WIDTH wide. In a notebook it is shown as SVG; its name is what stands for it in text."""

    def __init__(self, name: str, height: float):
        self.name = name
        self.figure = Figure(figsize=(WIDTH, height), facecolor="none")
        self.figure.set_layout_engine("none")
        self.axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, height))
        self.axes.axis("off")
        self.labelled: list[tuple[Box, Text]] = []
        self.lines: list[list[Point]] = []
        self._frame(Box(WIDTH / 2, height / 2, WIDTH - 0.04, height - 0.04), "white", "#cccccc")

    def _add(self, patch: Patch) -> None:
        patch.set_clip_on(False)
        self.axes.add_patch(patch)

    def _frame(self, box: Box, inside: str, border: str) -> None:
        corner = box.x - box.width / 2, box.y - box.height / 2
        style = "round,pad=0,rounding_size=0.06"
        self._add(FancyBboxPatch(corner, box.width, box.height, boxstyle=style, fc=inside, ec=border))

    def box(
        self, x: float, y: float, words: str, kind: str = "conv", *, width: float = 0, height: float = 0
    ) -> Box:  # fmt: skip
        """A box with words, as large as they need where its size isn't given."""
        fitting = _size(words)
        box = Box(x, y, width or fitting[0], height or fitting[1])
        self._frame(box, *KINDS[kind])
        self.labelled.append((box, self.words(x, y, words)))
        return box

    def row(self, left: float, y: float, parts: Sequence[tuple[str, str]], gap: float = 0.28) -> list[Box]:
        """Boxes (words, kind) from left to right, an arrow from each to the next."""
        boxes: list[Box] = []
        for words, kind in parts:
            boxes.append(self.box(left + _size(words)[0] / 2, y, words, kind))
            left = boxes[-1].at("right")[0] + gap
        self.join(*boxes)
        return boxes

    def sign(self, x: float, y: float, symbol: str) -> Box:
        """A circle with a sign: + or ×, element by element."""
        self._add(Ellipse((x, y), 0.28, 0.28, facecolor="white", edgecolor=LINE))
        box = Box(x, y, 0.28, 0.28)
        self.labelled.append((box, self.words(x, y, symbol, size=12)))
        return box

    def words(
        self, x: float, y: float, text: str, *, size: float = 9, colour: str = INK, ha: str = "center"
    ) -> Text:  # fmt: skip
        """Words, centred at their height; ha: what of them x is."""
        return self.axes.text(x, y, text, fontsize=size, color=colour, ha=ha, va="center", linespacing=1.25)

    def arrow(self, *points: Point, colour: str = LINE, head: bool = True) -> None:
        """A line through points, with a head at its end."""
        self.lines.append(list(points))
        line: dict = dict(color=colour, linewidth=1.2, clip_on=False)
        self.axes.plot(*zip(*(points[:-1] if head else points)), **line)
        if head:
            style = dict(arrowstyle="-|>", shrinkA=0, shrinkB=0, mutation_scale=9, **line)
            self.axes.annotate("", points[-1], points[-2], arrowprops=style)

    def join(self, *boxes: Box) -> None:
        """An arrow from each box to the next, which stands to the right of it."""
        for one, other in zip(boxes, boxes[1:]):
            self.arrow(one.at("right"), other.at("left"))

    def square(self, x: float, y: float, side: float, colour: str) -> None:
        """The outline of a square, white around it."""
        for width, edge in ((5, "white"), (2.5, colour)):
            corner = x - side / 2, y - side / 2
            self._add(Rectangle(corner, side, side, fill=False, edgecolor=edge, linewidth=width))

    def mask(self, x: float, y: float, width: float, label: Tensor) -> Box:
        """A label map (h, w) in its classes' colours."""
        side = width / label.shape[1]
        box = Box(x, y, width, side * label.shape[0])
        left, top = x - width / 2, y + box.height / 2
        for k in label.unique().tolist():
            colour = [c / 255 for c in CITYSCAPES.classes[k].colour]
            corners = [
                (left + side * a, top - side * d, left + side * c, top - side * b)
                for a, b, c, d in _rectangles(label == k)
            ]
            path = Path.make_compound_path(
                *(Path([(a, b), (c, b), (c, d), (a, d), (a, b)], closed=True) for a, b, c, d in corners)
            )
            self._add(PathPatch(path, facecolor=colour, edgecolor=colour, linewidth=0.3))
        self._add(Rectangle((left, top - box.height), width, box.height, fill=False, edgecolor=LINE))
        return box

    def __repr__(self) -> str:
        return f"Schematic: {self.name}"

    def _repr_svg_(self) -> str:
        """What a notebook shows: letters are drawn as paths, and the same sheet gives the same bytes."""
        file, metadata = io.StringIO(), {"Date": None, "Creator": None, "Title": repr(self)}
        with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": self.name}):
            self.figure.savefig(file, format="svg", facecolor="none", metadata=metadata)
        text = re.sub(r"<!--.*?-->|(?<=>)\s+(?=<)", "", file.getvalue(), flags=re.DOTALL)
        text = re.sub(r' id="(figure|axes|patch|line2d|text)_\d+"', "", text.replace("DejaVuSans-", "D"))
        return re.sub(r"\s+", " ", re.sub(r"([1-9]\d*\.\d\d)\d+", r"\1", text))  # a third smaller


def _size(words: str) -> Point:
    lines = words.split("\n")
    return 0.18 + 0.074 * max(len(line) for line in lines), 0.14 + 0.165 * len(lines)


def _rectangles(inside: Tensor) -> Iterator[tuple[int, int, int, int]]:
    """(first column, first row, column and row after the last) of rectangles that cover what is inside, from above."""
    begun: dict[tuple[int, int], int] = {}  # a stretch of columns, and the first of the rows that have it
    for number, row in enumerate([*inside.int(), torch.zeros(inside.shape[1], dtype=torch.int)]):
        edges = row.diff(prepend=row.new_zeros(1), append=row.new_zeros(1)).nonzero().flatten().tolist()
        stretches = list(zip(edges[::2], edges[1::2]))
        for left, right in [stretch for stretch in begun if stretch not in stretches]:
            yield left, begun.pop((left, right)), right, number
        begun = {stretch: begun.get(stretch, number) for stretch in stretches}
