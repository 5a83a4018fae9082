"""Figures in one style, for notebooks: pictures side by side, label maps with their names, maps with a scale.

Every function draws one figure and shows it. The same options mean the same everywhere: `caption` is the sentence under
it, `title` stands above it, `titles` above its parts in turn; `columns`: parts in a row; `xlabel`, `ylabel`: the axes'
names. White paper and dark ink, so that a figure reads the same on a light and on a dark page.
"""

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from ..labels import LabelSpace
from ..pictures import to_uint8

# One colour for each system, throughout the course (Okabe & Ito's palette, which colour-blind readers can tell apart),
# and others for whatever is no system.
COLOURS = {"pix2pixHD": "#D55E00", "pix2pixHD++": "#009E73", "Concat": "#CC79A7", "SPADE": "#0072B2", "real": "#666666"}
NEUTRAL = ["#222222", "#56B4E9", "#E69F00", "#999999", "#7B5EA7"]
INK, GRID = "#222222", "#dddddd"
DIVERGING, SEQUENTIAL, IDS = "RdBu_r", "viridis", "Pastel1"
PAGE = 10.0  # inches: a wider figure has letters too small to read where a page shows it 720 pixels wide


def use_style() -> None:
    """Set matplotlib's defaults to the course's style."""
    plt.rcParams.update({
        "figure.facecolor": "white", "savefig.facecolor": "white", "axes.facecolor": "white",
        "figure.dpi": 150, "figure.constrained_layout.use": True, "font.size": 10, "axes.titlesize": 10,
        "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": "#888888", "xtick.color": INK, "ytick.color": INK,
        "axes.grid": True, "grid.color": GRID, "axes.axisbelow": True, "axes.spines.top": False,
        "axes.spines.right": False, "image.interpolation": "nearest", "legend.frameon": False,
        "axes.prop_cycle": cycler(color=NEUTRAL),
    })  # fmt: skip


def finish(figure: Figure, caption: str = "") -> None:
    """Put the caption under a figure and show it."""
    if caption:
        figure.supxlabel(caption, fontsize=9, color="#444444", wrap=True)
    plt.show()


def pictures(
    images: Tensor | Sequence, titles: Sequence[str] = (), *, columns: int = 4, caption: str = "", width: float = 2.6
) -> None:
    """Images in a grid: (3, h, w) in [-1, 1] or uint8 (h, w, 3), one title each or one a column; width in inches.

    Where the columns don't fit on the page, they are narrower.
    """
    tiles = [to_uint8(i) if torch.is_floating_point(torch.as_tensor(i)) else torch.as_tensor(i) for i in images]
    columns = min(columns, len(tiles))
    width = min(width, PAGE / columns)
    rows = -(-len(tiles) // columns)
    height = width * tiles[0].shape[0] / tiles[0].shape[1] + 0.3
    figure, axes = plt.subplots(rows, columns, figsize=(columns * width, rows * height + 0.3), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for i, (ax, tile) in enumerate(zip(axes.flat, tiles)):
        ax.imshow(tile.numpy())
        if i < len(titles):
            ax.set_title(titles[i])
    finish(figure, caption)


def label_map(
    label: Tensor, labels: LabelSpace, *, title: str = "", caption: str = "", numbers: bool = False
) -> None:  # fmt: skip
    """One label map (h, w) in its colours, with the names of the classes that occur; numbers: write each id (toy)."""
    figure, ax = plt.subplots(figsize=(8, 2.6))
    ax.imshow(labels.colourise(label).numpy())
    if numbers:
        write_numbers(ax, label.numpy())
    ax.set_title(title)
    ax.axis("off")
    legend(ax, label, labels)
    finish(figure, caption)


def legend(ax: Axes, label: Tensor, labels: LabelSpace) -> None:
    """Name the classes of a label map to the right of its axes."""
    ids = label.unique()
    colours = labels.colourise(ids).numpy() / 255
    handles = [Patch(color=c, label=f"{int(i)} {labels.names[int(i)]}") for i, c in zip(ids, colours)]
    ax.legend(handles=handles, loc="center left", bbox_to_anchor=(1, 0.5), ncols=1 + len(handles) // 13, fontsize=8)


def maps(
    values: Tensor | Sequence[Tensor], titles: Sequence[str] = (), *, columns: int = 4, caption: str = "",
    diverging: bool = True, numbers: bool = False, limit: float | None = None, ids: int = 0,
) -> None:  # fmt: skip
    """Maps (h, w) of numbers with one common scale; diverging: white is zero. numbers: write each value (toy maps).

    limit: the largest value of the scale; None: that of the maps. ids: so many maps at the beginning hold class ids,
    from 0 to 8, and stand outside the scale: each id has a colour.
    """
    tiles = [torch.as_tensor(v).detach().float().cpu().numpy() for v in values]
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    top = limit or max(np.abs(t).max() for t in tiles[ids:]) or 1
    low = -top if diverging else min(t.min() for t in tiles[ids:])
    width = min(2.6, (PAGE - 0.8) / columns)
    height = width * tiles[0].shape[0] / tiles[0].shape[1] + 0.4
    figure, axes = plt.subplots(rows, columns, figsize=(columns * width + 0.8, rows * height + 0.3), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for i, (ax, tile) in enumerate(zip(axes.flat, tiles)):
        if i < ids:
            ax.imshow(tile, cmap=IDS, vmin=0, vmax=8)
        else:
            shown = ax.imshow(tile, cmap=DIVERGING if diverging else SEQUENTIAL, vmin=low, vmax=top)
        if i < len(titles):
            ax.set_title(titles[i])
        if numbers:
            write_numbers(ax, tile)
    figure.colorbar(shown, ax=axes, shrink=0.8)
    finish(figure, caption)


def write_numbers(ax: Axes, tile: np.ndarray) -> None:
    """Write each value of a small map into its square, in ink that can be read on the colour below."""
    colours = ax.images[-1].to_rgba(np.asarray(ax.images[-1].get_array()))
    for (y, x), value in np.ndenumerate(tile):
        dark = colours[y, x, :3] @ (0.3, 0.6, 0.1) < 0.5
        ax.text(x, y, f"{value:.3g}", ha="center", va="center", color="white" if dark else INK, fontsize=9)


def curves(
    lines: Mapping[str, Sequence | Tensor], x: Sequence | Tensor | None = None, *, xlabel: str, ylabel: str,
    caption: str = "", title: str = "", log: bool = False,
) -> None:  # fmt: skip
    """Lines by name over one x axis; a name in COLOURS gets its own colour. log: logarithmic y axis."""
    figure, ax = plt.subplots(figsize=(7, 3.2))
    for name, values in lines.items():
        y = torch.as_tensor(values).detach().cpu()
        ax.plot(range(len(y)) if x is None else x, y, label=name, color=COLOURS.get(name))
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if x is None or all(float(value).is_integer() for value in x):
        ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))  # there is no layer 2.5
    if log:
        ax.set_yscale("log")
    if len(lines) > 1:
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0 + 0.1 * bool(title)), ncols=4)  # off the data
    finish(figure, caption)


def bars(
    values: dict[str, float], *, ylabel: str, caption: str = "", title: str = "", errors: Sequence[float] | None = None
) -> None:
    """One bar a name with its value written above; one that begins with a system's name ("SPADE alone") has its colour.

    errors: half the length of each error bar.
    """
    figure, ax = plt.subplots(figsize=(min(9, 1.2 + 1.1 * len(values)), 3.2))
    colours = [COLOURS.get(name.split()[0], "#56B4E9") for name in values]
    lines = [[textwrap.fill(line, 14) for line in name.split("\n")] for name in values]  # names mustn't touch
    drawn = ax.bar(["\n".join(name) for name in lines], list(values.values()), yerr=errors, color=colours, capsize=3)
    ax.bar_label(drawn, fmt="%.3g", padding=2)
    ax.set(ylabel=ylabel, title=title)
    ax.grid(axis="x", visible=False)
    ax.margins(y=0.15)
    finish(figure, caption)
