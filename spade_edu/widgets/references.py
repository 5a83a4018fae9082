"""Files from the browser: reference pictures with their style codes, and saved maps."""

import io

import numpy as np
import torch
from jaxtyping import Float, Int64
from PIL import Image, ImageOps
from torch import Tensor

from ..data.files import open_picture
from ..encoder import StyleEncoder
from ..errors import UserError
from ..labels import LabelSpace
from ..pictures import from_uint8

MOST_BYTES = 20 * 2**20  # of an upload


@torch.no_grad()
def style_of(encoder: StyleEncoder, reference: Float[Tensor, "3 _ _"]) -> Float[Tensor, " z_dim"]:
    """mu, the style code of a picture in [-1, 1]."""
    mu, _ = encoder(reference[None].to(next(encoder.parameters()).device))
    return mu[0].cpu()


def read_upload(buffers: list, size: tuple[int, int]) -> Float[Tensor, "3 h w"]:
    """A picture file from the browser, cut and scaled to `size` (h, w), in [-1, 1].

    Errors: a UserError for no picture, a file over MOST_BYTES or a picture over files.MOST_PIXELS.
    """
    if len(buffers) != 1 or memoryview(buffers[0]).nbytes > MOST_BYTES:
        raise UserError(f"Expected one picture of at most {MOST_BYTES // 2**20} MB.")
    picture = open_picture(io.BytesIO(bytes(buffers[0])), "a picture (PNG, JPEG or WebP)")
    picture = ImageOps.exif_transpose(picture).convert("RGB")
    picture = ImageOps.fit(picture, size[::-1], Image.Resampling.LANCZOS)
    return from_uint8(torch.from_numpy(np.array(picture)))


def read_map(buffers: list, size: tuple[int, int], labels: LabelSpace) -> Int64[Tensor, "h w"]:
    """The ids in a PNG file that the painter saved, scaled to `size` (h, w) by the nearest pixel.

    Errors: a UserError for no such file; a LabelError for ids outside the label space.
    """
    if len(buffers) != 1 or memoryview(buffers[0]).nbytes > MOST_BYTES:
        raise UserError(f"Expected one label map of at most {MOST_BYTES // 2**20} MB.")
    picture = open_picture(io.BytesIO(bytes(buffers[0])), "a label map (PNG)")
    if picture.mode not in ("P", "L"):
        raise UserError(
            f"Expected a label map whose pixels are class ids, as Save map writes it, got a {picture.mode} picture."
        )
    ids = torch.from_numpy(np.array(picture.resize(size[::-1], Image.Resampling.NEAREST))).long()
    labels.check(ids, "the opened map")
    return ids
