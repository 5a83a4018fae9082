"""Pictures in the paper's arrangement: tiles in a grid with names above the columns and beside the rows."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jaxtyping import UInt8
from torch import Tensor

from ..pictures import save_figure

WIDTH, NAMES = 9.5, 1.1  # of a figure and of the rows' names, in inches


def tile_grid(
    columns: Mapping[str, Sequence[UInt8[Tensor, "h w 3"]]], path: Path, *, title: str, rows: Sequence[str] = ()
) -> None:
    """Draw tiles, a list a column, under the columns' names; `rows`: a name beside each row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    lists = list(columns.values())
    count, (height, width) = len(lists[0]), lists[0][0].shape[:2]
    side = (WIDTH - (NAMES if rows else 0)) / len(lists)
    layout = ConstrainedLayoutEngine(w_pad=0.015, h_pad=0.015, wspace=0, hspace=0)
    figure = Figure(figsize=(WIDTH, count * side * height / width + 0.6), layout=layout)
    FigureCanvasAgg(figure)
    axes = figure.subplots(count, len(lists), squeeze=False)
    for j, (name, tiles) in enumerate(columns.items()):
        axes[0, j].set_title(name, fontsize=9)
        for i, tile in enumerate(tiles):
            axes[i, j].imshow(tile.numpy(), interpolation="nearest")
            axes[i, j].set_xticks([])
            axes[i, j].set_yticks([])
            axes[i, j].spines[:].set_visible(False)
    for i, name in enumerate(rows):
        axes[i, 0].set_ylabel(name, fontsize=9, rotation=0, ha="right", va="center")
    figure.supxlabel(title, fontsize=9, color="#444444")
    save_figure(figure, path)
