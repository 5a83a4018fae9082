"""Label maps for your own photographs, made by a segmentation network, in the layout that FlickrLandscapes reads.

The paper did so for its Flickr Landscapes, with DeepLabV2 trained on COCO-Stuff (section 4).
"""

import filecmp
import shutil
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from ..files import write_whole_with
from ..pictures import from_uint8, save_png
from .base import DataError
from .files import PHOTO_SUFFIXES, read_photo
from .paired import ids_in, photos_in, require_folder
from .transforms import resize_ids

LONG_SIDE = 513  # as the demo of deeplab-pytorch, where the weights come from, resizes its photographs
SHORTEST_SIDE = 8  # the network has stride 8 and looks at a copy of half the size, too


class Labelled(NamedTuple):
    """What `label_photographs` did: maps written, maps that were there already, a line about each bad photograph."""

    written: int
    kept: int
    problems: list[str]


def find_photographs(folder: Path, out: Path) -> dict[str, Path]:
    """The photographs under a folder, by name (the path below the folder, without suffix).

    Errors: a DataError where there are none, or where `out` lies among them and would be labelled, too.
    """
    require_folder(folder, "photographs", "Give the folder that holds them.")
    if out.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"{out} lies inside {folder}, whose pictures are to be labelled. Write to a folder outside it.")
    photos = photos_in(folder)
    if not photos:
        raise DataError(f"{folder}: expected photographs ({', '.join(PHOTO_SUFFIXES)}) there, found none.")
    return photos


def label_photographs(
    photos: dict[str, Path],
    out: Path,
    segmenter: Callable[[Tensor], Tensor],
    *,
    long_side: int = LONG_SIDE,
    device: str | torch.device = "cpu",
    progress: Callable[[Iterable], Iterable] = iter,
) -> Labelled:
    """Copy each photograph to out/images/NAME.jpg and write its label map to out/labels/NAME.png.

    photos: by name, as `find_photographs` gives them. segmenter, long_side, device: see `label_map`.
    Pictures and maps that exist are kept, so an interrupted call goes on; each file is written whole or not at all.
    A photograph that can't be read is reported and the others go on. progress wraps the photographs, e.g. tqdm.
    """
    copies, maps = photos_in(out / "images"), ids_in(out / "labels")
    written, problems = 0, []
    for name, photo in progress(photos.items()):
        try:
            _require_same(photo, copies.get(name))
            if name in copies and name in maps:
                continue
            picture = read_photo(photo)
        except DataError as error:
            problems.append(str(error))
            continue
        if name not in copies:
            write_whole_with(out / "images" / f"{name}{photo.suffix}", partial(shutil.copy2, photo))
        if name not in maps:
            ids = label_map(picture, segmenter, long_side=long_side, device=device)
            save_png(Image.fromarray(ids), out / "labels" / f"{name}.png")
            written += 1
    return Labelled(written, len(photos) - written - len(problems), problems)


@torch.inference_mode()
def label_map(
    photo: Image.Image,
    segmenter: Callable[[Tensor], Tensor],
    *,
    long_side: int = LONG_SIDE,
    device: str | torch.device = "cpu",
) -> UInt8[np.ndarray, "h w"]:
    """The likeliest class of every pixel of an RGB photograph.

    The photograph is resized (bilinear, antialiased) to `long_side`, segmented, and the classes are resized back.
    segmenter: images [1, 3, y, x] in [-1, 1] on `device` to logits [1, classes, y, x], see `load_segmenter`.
    """
    scale = long_side / max(photo.size)
    width, height = (max(SHORTEST_SIDE, round(side * scale)) for side in photo.size)
    small = np.array(photo.resize((width, height), Image.Resampling.BILINEAR))
    image = from_uint8(torch.from_numpy(small).to(device))
    classes = segmenter(image[None])[0].argmax(0).int().cpu().numpy()
    return resize_ids(classes, photo.height, photo.width).astype(np.uint8)


def _require_same(photo: Path, copy: Path | None) -> None:
    """Raise a DataError if the name is taken: many cameras begin again at IMG_0001."""
    if copy is not None and not filecmp.cmp(photo, copy):
        raise DataError(f"{photo}: another photograph of this name is there ({copy}). Rename or remove one of them.")
