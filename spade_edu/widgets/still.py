"""Still pictures of the widgets: tiles with a line of text above each, on white."""

import io
import json

import torch
from jaxtyping import Integer, UInt8
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin
from torch import Tensor

from ..labels import LabelSpace

GAP, LINE, INK = 8, 16, "#222222"
TILE_WIDTH = 256  # pixels on the page
NEAR = 80  # distance of two RGB colours that are hard to tell apart, as those of car, truck and bus
RECIPE = "spade_edu recipe"  # the PNG text field of a recipe (see looks.code)


def png(pixels: UInt8[Tensor, "h w 3"], recipe: dict | None = None) -> bytes:
    """A picture as a PNG file; a recipe is carried along as a text field. Quick rather than small."""
    text, buffer = PngImagePlugin.PngInfo(), io.BytesIO()
    if recipe is not None:
        text.add_text(RECIPE, json.dumps(recipe))
    Image.fromarray(pixels.numpy()).save(buffer, "PNG", pnginfo=text, compress_level=3)
    return buffer.getvalue()


def captioned(tiles: list[tuple[str, UInt8[Tensor, "_ _ 3"]]], columns: int, below: list | None = None) -> Image.Image:
    """Titled tiles in rows of `columns`; `below`: (colour, name) pairs, written as a legend."""
    shown = [(text, _enlarged(tile)) for text, tile in tiles]
    width, height = (max(picture.size[axis] for _, picture in shown) for axis in (0, 1))
    columns = min(columns, len(shown))
    rows = -(-len(shown) // columns)
    legend = _legend(below or [], columns * (width + GAP))
    size = (columns * (width + GAP) + GAP, rows * (height + LINE + GAP) + GAP + legend.height)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for i, (text, picture) in enumerate(shown):
        x, y = GAP + i % columns * (width + GAP), GAP + i // columns * (height + LINE + GAP)
        pen.text((x, y), text, fill=INK, font=ImageFont.load_default())
        sheet.paste(picture, (x, y + LINE))
    sheet.paste(legend, (GAP, size[1] - legend.height))
    return sheet


def map_tile(label: Integer[Tensor, "h w"], labels: LabelSpace) -> UInt8[Tensor, "h2 w2 3"]:
    """A label map in its classes' colours, enlarged, with light lines where two classes of near colours meet."""
    factor = max(1, TILE_WIDTH // label.shape[1])
    colours = labels.colourise(torch.arange(labels.num_ids)).float()
    near = torch.cdist(colours, colours) < NEAR
    near.fill_diagonal_(False)
    line = torch.zeros(label.shape[0] * factor, label.shape[1] * factor, dtype=torch.bool)
    line[factor::factor] = near[label[1:], label[:-1]].repeat_interleave(factor, 1)
    line[:, factor::factor] |= near[label[:, 1:], label[:, :-1]].repeat_interleave(factor, 0)
    tile = labels.colourise(label).repeat_interleave(factor, 0).repeat_interleave(factor, 1)
    tile[line] = 235
    return tile


def legend_of(label: Tensor, labels: LabelSpace) -> list[tuple[tuple[int, ...], str]]:
    """(colour, name) of each class of a label map."""
    ids = label.unique()
    return [(tuple(c), labels.names[i]) for c, i in zip(labels.colourise(ids).tolist(), ids.tolist())]


def _enlarged(tile: Tensor) -> Image.Image:
    picture = Image.fromarray(tile.numpy())
    factor = max(1, TILE_WIDTH // picture.width)
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def _legend(entries: list, width: int, cell: int = 110) -> Image.Image:
    columns = max(1, width // cell)
    sheet = Image.new("RGB", (width, -(-len(entries) // columns) * LINE), "white")
    pen = ImageDraw.Draw(sheet)
    for i, (colour, name) in enumerate(entries):
        x, y = i % columns * cell, i // columns * LINE
        pen.rectangle((x, y + 1, x + 10, y + 11), fill=colour, outline="#888888")
        pen.text((x + 15, y), name, fill=INK, font=ImageFont.load_default())
    return sheet


def diverging(values: Tensor, limit: float) -> UInt8[Tensor, "h w 3"]:
    """Numbers as colours: blue below zero, white at zero, red above; `limit` and beyond is the full colour."""
    share = (values / (limit or 1)).clamp(-1, 1)[..., None]
    red, blue = torch.tensor([178.0, 24, 43]), torch.tensor([33.0, 102, 172])
    ends = torch.where(share > 0, red, blue)
    return (255 + share.abs() * (ends - 255)).round().to(torch.uint8)
