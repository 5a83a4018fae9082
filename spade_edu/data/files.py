"""Reading photographs and maps of ids from files, with a clear word about what is wrong with a file."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Int32
from PIL import ExifTags, Image, ImageOps

from .base import DataError

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm")
ID_SUFFIXES = (".png", ".bmp", ".tif", ".tiff")
_ID_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")
# Pillow knows some forty formats more. Among them is PostScript, for which it starts a program on the file.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM")
MOST_PIXELS = 100_000_000  # 400 MB as RGB with all that conversion needs
# What Pillow raises for files that aren't whole.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


def read_photo(path: Path, size: tuple[int, int] | None = None, *, as_stored: bool = False) -> Image.Image:
    """Read a photograph as 8-bit RGB; grey and CMYK ones are converted, transparent ones laid on white.

    A rotation noted by the camera (EXIF) is applied, unless only the unrotated picture has `size` (height,
    width): the size of the label map tells which of the two was labelled. as_stored: where it can't tell, the
    picture isn't turned.
    Errors: a DataError where the file is missing, unreadable or not 8 bits deep.
    """
    stored = open_picture(path, "a photograph")
    if stored.mode.startswith(("I", "F")):
        raise DataError(f"{path}: expected 8 bits per colour, found mode {stored.mode}. Save it as 8-bit RGB.")
    upright = ImageOps.exif_transpose(stored)
    if size == _size(stored) and (as_stored or size != _size(upright)):
        return _opaque(stored)
    return _opaque(upright)


def turn_untold(path: Path) -> bool:
    """Whether a photograph is noted as turned (EXIF) in a way that leaves its size: no label map can tell of it."""
    try:
        with open_picture(path, "a photograph", whole=False) as picture:
            if picture.format == "TIFF" or not picture.info.keys() & {"exif", "xmp"}:  # Pillow turns TIFFs by itself
                return False
            turn = picture.getexif().get(ExifTags.Base.Orientation, 1)
            return turn in (2, 3, 4) or turn in (5, 6, 7, 8) and picture.width == picture.height
    except BROKEN + (DataError,):
        return False


def is_transparent(path: Path) -> bool:
    """Whether a photograph has pixels that aren't opaque."""
    try:
        with open_picture(path, "a photograph", whole=False) as picture:
            if not picture.has_transparency_data:
                return False
        alpha = open_picture(path, "a photograph").convert("RGBA").getchannel("A")
        return bool(np.array(alpha).min() < 255)
    except BROKEN + (DataError,):
        return False


def _opaque(picture: Image.Image) -> Image.Image:
    """In RGB; on white where it is transparent, as colours under that are whatever a program left there."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    picture = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


def read_ids(path: Path) -> Int32[np.ndarray, "h w"]:
    """Read a label or instance map: 8-bit grey, palette (the indices, not the colours) or 16-bit.

    Errors: a DataError where the file is missing, unreadable, a picture of colours or a JPEG.
    """
    picture = open_picture(path, "a map of ids")
    if picture.info["pages"] > 1:
        raise DataError(f"{path}: expected one map of ids, found {picture.info['pages']} pages. Save each as a file.")
    if picture.format == "JPEG":
        raise DataError(f"{path}: expected a map of ids, found a JPEG, which blurs ids. Save it as PNG.")
    if picture.mode not in _ID_MODES:
        raise DataError(f"{path}: expected one id per pixel (8-bit grey, palette or 16-bit), {_found(picture)}")
    return np.array(picture).astype(np.int32) // _stretched(path)


def _found(picture: Image.Image) -> str:
    """What a picture holds that is no map of ids, and the likeliest repair."""
    if picture.mode == "F":
        return "found numbers with fractions (mode F). Save whole numbers of 8 or 16 bits."
    pixels = np.array(picture.convert("RGB"))
    red, *others = (pixels[..., i] for i in range(3))
    for what, same in ("three equal channels", red), ("all of it in red", np.zeros_like(red)):
        if picture.mode == "RGB" and all(np.array_equal(other, same) for other in others):
            return f"found {what}. `spade-edu data convert --channel red` takes the ids from there."
    return (
        f"found a picture of colours (mode {picture.mode}). Give the map of ids (Cityscapes: *_labelIds.png, not "
        "*_color.png), or make ids of colours with `spade-edu data convert`."
    )


def has_palette(path: Path) -> bool:
    """Whether a map's values stand for colours of a palette."""
    with open_picture(path, "a map of ids", whole=False) as picture:
        return picture.mode == "P"


def _stretched(path: Path) -> int:
    """By how much Pillow multiplies the values of a grey PNG of 2 or 4 bits, so that the largest becomes 255."""
    with path.open("rb") as file:
        head = file.read(26)
    bits, grey = head[24:25], head[25:26] == b"\0"
    if head.startswith(b"\x89PNG") and grey and bits in (b"\2", b"\4"):
        return 255 // (2 ** bits[0] - 1)
    return 1


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
            picture.info["pages"] = getattr(picture, "n_frames", 1)
            if whole:
                with picture:
                    picture.load()
            return picture
        picture.close()
    except FileNotFoundError:
        raise DataError(f"{name} is missing: expected {what} there.") from None
    except BROKEN as error:
        empty = isinstance(source, Path) and source.is_file() and source.stat().st_size == 0
        if isinstance(source, Path) and _is_heic(source):
            raise DataError(f"{name}: expected {what}, found HEIC or AVIF under this name. Save it as JPEG.") from None
        found = "an empty file" if empty else f"a file that cannot be read ({error})"
        raise DataError(f"{name}: expected {what}, found {found}. Copy or download it again.") from error
    raise DataError(
        f"{name}: {picture.width}x{picture.height} pixels are more than {MOST_PIXELS:,}: make the picture smaller."
    )


def _is_heic(path: Path) -> bool:
    """Whether a file begins as an iPhone's photographs do, whatever its name."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(12)
    return head[4:8] == b"ftyp" and head[8:11] in (b"hei", b"hev", b"mif", b"msf", b"avi")


def _size(picture: Image.Image) -> tuple[int, int]:
    return picture.height, picture.width
