"""A picture of a data set: photographs, label maps in colour with a legend, instance edges."""

import torch
from PIL import Image, ImageDraw, ImageFont

from ..labels import LabelSpace, instance_edges
from ..pictures import GAP, grid, to_uint8
from .base import Sample

LEGEND_WIDTH = 190
LINE = 18  # height of a line of the legend, in pixels


def draw(samples: list[Sample], labels: LabelSpace) -> Image.Image:
    """A row for each sample (photograph, label map, edges where there are instances), then the classes that occur."""
    pairs = grid([_tiles(sample, labels) for sample in samples])
    present = torch.cat([s.label.flatten() for s in samples]).unique().tolist()
    legend = _legend(present, labels, lines=max(pairs.height // LINE, 12))
    page = Image.new("RGB", (pairs.width + 4 * GAP + legend.width, max(pairs.height, legend.height)), "white")
    page.paste(pairs, (0, 0))
    page.paste(legend, (pairs.width + 4 * GAP, 0))
    return page


def _tiles(sample: Sample, labels: LabelSpace) -> list:
    tiles = [to_uint8(sample.image), labels.colourise(sample.label)]
    if sample.instance is not None:
        edges = instance_edges(sample.instance[None])[0, 0]
        tiles.append((255 * (1 - edges)).byte()[..., None].expand(-1, -1, 3))
    return tiles


def _legend(ids: list[int], labels: LabelSpace, lines: int) -> Image.Image:
    """Colour, id and name of the classes, in columns of `lines`."""
    font = ImageFont.load_default(12)
    columns = -(-len(ids) // lines)
    page = Image.new("RGB", (columns * LEGEND_WIDTH, min(len(ids), lines) * LINE + 2), "white")
    pen = ImageDraw.Draw(page)
    colours = labels.colourise(torch.tensor(ids)).tolist()
    for i, (number, colour) in enumerate(zip(ids, colours)):
        x, y = i // lines * LEGEND_WIDTH, i % lines * LINE
        pen.rectangle((x + 1, y + 2, x + 17, y + LINE - 2), fill=tuple(colour), outline="black")
        pen.text((x + 23, y + 2), f"{number} {labels.names[number]}"[:26], fill="black", font=font)
    return page
