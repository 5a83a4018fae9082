"""Reading photographs and maps of ids from files, with a clear word about what is wrong with a file."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Int32
from PIL import Image, ImageOps

from .base import DataError

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm")
ID_SUFFIXES = (".png", ".bmp", ".tif", ".tiff")
_ID_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")
# Pillow knows some forty formats more. Among them is PostScript, for which it starts a program on the file.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM")
MOST_PIXELS = 100_000_000  # 400 MB as RGB with all that conversion needs
# What Pillow raises for files that aren't whole.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


def read_photo(path: Path, size: tuple[int, int] | None = None) -> Image.Image:
    """Read a photograph as 8-bit RGB; grey, CMYK and transparent ones are converted.

    A rotation noted by the camera (EXIF) is applied, unless only the unrotated picture has `size` (height,
    width): the size of the label map tells which of the two was labelled.
    Errors: a DataError where the file is missing, unreadable or not 8 bits deep.
    """
    stored = open_picture(path, "a photograph")
    if stored.mode.startswith(("I", "F")):
        raise DataError(f"{path}: expected 8 bits per colour, found mode {stored.mode}. Save it as 8-bit RGB.")
    upright = ImageOps.exif_transpose(stored)
    labelled_as_stored = size in (None, _size(upright)) or size != _size(stored)
    return (upright if labelled_as_stored else stored).convert("RGB")


def read_ids(path: Path) -> Int32[np.ndarray, "h w"]:
    """Read a label or instance map: 8-bit grey, palette (the indices, not the colours) or 16-bit.

    Errors: a DataError where the file is missing, unreadable, a picture of colours or a JPEG.
    """
    picture = open_picture(path, "a map of ids")
    if picture.format == "JPEG":
        raise DataError(f"{path}: expected a map of ids, found a JPEG, which blurs ids. Save it as PNG.")
    if picture.mode not in _ID_MODES:
        raise DataError(
            f"{path}: expected one id per pixel (8-bit grey, palette or 16-bit), found a picture of colours "
            f"(mode {picture.mode}). Give the map of ids (Cityscapes: *_labelIds.png, not *_color.png)."
        )
    return np.array(picture).astype(np.int32)


def require_same_size(photo: Image.Image, ids: np.ndarray, photo_path: Path, ids_path: Path) -> None:
    """Raise a DataError unless the photograph and its map of ids have the same height and width."""
    if _size(photo) != ids.shape:
        raise DataError(
            f"{ids_path} is {ids.shape[0]}x{ids.shape[1]} but {photo_path} is {photo.height}x{photo.width} "
            "(height x width): expected one size. Do they belong together? Then resize the ids (nearest)."
        )


def open_picture(source: Path | BytesIO, what: str, *, whole: bool = True) -> Image.Image:
    """A picture in one of FORMATS, the only place where one is opened; read in full, or (not `whole`) its head only.

    Errors: a DataError where it is missing, unreadable or too large; `what` was expected there.
    """
    name = source if isinstance(source, Path) else "The file"
    try:
        picture = Image.open(source, formats=FORMATS)
        if picture.width * picture.height <= MOST_PIXELS:
            if whole:
                with picture:
                    picture.load()
            return picture
        picture.close()
    except FileNotFoundError:
        raise DataError(f"{name} is missing: expected {what} there.") from None
    except BROKEN as error:
        empty = isinstance(source, Path) and source.is_file() and source.stat().st_size == 0
        found = "an empty file" if empty else f"a file that cannot be read ({error})"
        raise DataError(f"{name}: expected {what}, found {found}. Copy or download it again.") from error
    raise DataError(
        f"{name}: {picture.width}x{picture.height} pixels are more than {MOST_PIXELS:,}: make the picture smaller."
    )


def _size(picture: Image.Image) -> tuple[int, int]:
    return picture.height, picture.width
