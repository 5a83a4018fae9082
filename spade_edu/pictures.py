"""Turning tensors into pictures: grids of label maps and images, as PNG files."""

import io
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .files import write_whole

GAP = 2  # white pixels between the tiles of a grid


def to_uint8(image: Float[Tensor, "*n 3 h w"], *, truncate: bool = False) -> UInt8[Tensor, "*n h w 3"]:
    """[-1, 1] to 0..255, channels last. truncate: cut off to whole levels instead of rounding (official code)."""
    levels = (image.detach().float().cpu().clamp(-1, 1) + 1) * 127.5
    pixels = (levels.floor() if truncate else levels.round()).to(torch.uint8)
    return pixels.movedim(-3, -1)


def from_uint8(pixels: UInt8[Tensor, "*n h w 3"]) -> Float[Tensor, "*n 3 h w"]:
    """0..255, channels last, to [-1, 1]."""
    return pixels.movedim(-1, -3).float().div_(127.5).sub_(1).contiguous()


def grid(rows: list[list[UInt8[Tensor, "h w 3"]]]) -> Image.Image:
    """Tiles of one size, row by row, on white."""
    height, width, _ = rows[0][0].shape
    columns = max(len(row) for row in rows)
    canvas = torch.full((len(rows) * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 255).byte()
    for i, row in enumerate(rows):
        for j, tile in enumerate(row):
            y, x = i * (height + GAP), j * (width + GAP)
            canvas[y : y + height, x : x + width] = tile
    return Image.fromarray(canvas.numpy())


def headed(picture: Image.Image, heads: list[str]) -> Image.Image:
    """A picture of equally wide columns with a line above that names them."""
    line, width = 22, picture.width / len(heads)
    sheet = Image.new("RGB", (picture.width, picture.height + line), "white")
    pen = ImageDraw.Draw(sheet)
    for column, head in enumerate(heads):
        place = ((column + 0.5) * width, line / 2)
        pen.text(place, head, fill="#222222", font=ImageFont.load_default(16), anchor="mm")
    sheet.paste(picture, (0, line))
    return sheet


def save_png(picture: Image.Image, path: Path) -> None:
    """Write a PNG whole or not at all."""
    write_whole(path, png_bytes(picture))


def save_figure(figure: Any, path: Path, dpi: int = 90) -> None:
    """Write a matplotlib figure as a PNG, whole or not at all."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, pil_kwargs={"optimize": True})
    write_whole(path, buffer.getvalue())


def png_bytes(picture: Image.Image) -> bytes:
    """The picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
