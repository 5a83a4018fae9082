"""One geometry for photograph, label map and instance map: resize, crop, flip, all three alike.

Photographs are resized with Pillow's bicubic filter (antialiased), ids by nearest neighbour: a mixture of two
ids would be a third class. Sizes of the paper: Cityscapes is resized to 256x512; ADE20K and COCO-Stuff are
resized to 286x286, whatever their aspect, and a random 256x256 is cut out in training (official code).
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float32, Int32
from PIL import Image
from torch import Tensor

from ..pictures import from_uint8
from .base import DataError


def paper_load_size(height: int, width: int) -> tuple[int, int]:
    """The size to resize to before a random crop of (height, width): 286 for 256, others in proportion."""
    return round(height * 286 / 256), round(width * 286 / 256)


@dataclass(frozen=True)
class JointTransform:
    """Bring a picture and its ids to (height, width).

    With `augment`: resize to `load` (default: the size itself), cut out a random window, mirror
    every second picture. Without it: resize straight to the size, as the official code does for validation.

    flip: False mirrors none. keep: "" stretches a picture to `load`; "width" and "shortside" keep its aspect and bring
    that side to load's; "size" loads it as it is. Errors: a DataError where the window doesn't fit.
    """

    height: int
    width: int
    load: tuple[int, int] | None = None
    augment: bool = False
    flip: bool = True
    keep: str = ""

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise DataError(f"expected a height and a width of at least 1, got {self.height}x{self.width}.")
        self._require_room(*self.loaded)

    @property
    def loaded(self) -> tuple[int, int]:
        """The (height, width) that training resizes to, before it cuts a window out."""
        return self.load or (self.height, self.width)

    def loaded_from(self, height: int, width: int) -> tuple[int, int]:
        """The (height, width) that training resizes a picture of a size to; the long side is rounded down."""
        load_h, load_w = self.loaded
        if self.keep == "size":
            return height, width
        if self.keep == "width" or self.keep == "shortside" and width < height:
            return load_w * height // width, load_w
        if self.keep == "shortside":
            return load_h, load_h * width // height
        return load_h, load_w

    def __call__(
        self,
        photo: Image.Image,
        label: Int32[np.ndarray, "h w"],
        instance: Int32[np.ndarray, "h w"] | None,
        rng: np.random.Generator,
    ) -> tuple[Float32[Tensor, "3 y x"], Int32[Tensor, "y x"], Int32[Tensor, "y x"] | None]:
        """Return (image in [-1, 1], label, instance); `rng` draws the window and the flip."""
        load_h, load_w = self.height, self.width
        top, left, flip = 0, 0, False
        if self.augment:
            load_h, load_w = self.loaded_from(*label.shape)
            self._require_room(load_h, load_w)
            top = int(rng.integers(load_h - self.height + 1))
            left = int(rng.integers(load_w - self.width + 1))
            flip = self.flip and bool(rng.integers(2))
        window = slice(top, top + self.height), slice(left, left + self.width)

        def cut(array: np.ndarray) -> Tensor:
            array = array[window]
            return torch.from_numpy((array[:, ::-1] if flip else array).copy())

        pixels = cut(np.array(photo.resize((load_w, load_h), Image.Resampling.BICUBIC)))
        ids = cut(resize_ids(label, load_h, load_w))
        return from_uint8(pixels), ids, None if instance is None else cut(resize_ids(instance, load_h, load_w))

    def _require_room(self, load_h: int, load_w: int) -> None:
        if load_h < self.height or load_w < self.width:
            raise DataError(f"a window of {self.height}x{self.width} does not fit into {load_h}x{load_w}.")


def preprocessed(transform: JointTransform, mode: str, load_size: int = 0) -> JointTransform:
    """The transform of one of the official code's preprocess modes; "auto": as it is.

    What resize_and_crop makes a square of, and what scale_width and scale_shortside bring that side to, is load_size;
    0: 286/256 of the size with _and_crop, else the size itself. What is loaded larger is cut to a random window.
    Errors: a DataError where the window doesn't fit, or the mode loads pictures of no size of its own.
    """
    if load_size and mode in ("auto", "fixed", "crop"):
        raise DataError(f"load_size is for resize_and_crop and the scale modes of preprocess, not for {mode}.")
    if mode == "auto":
        return transform
    size = transform.height, transform.width
    load = paper_load_size(*size) if mode.endswith("_and_crop") else size
    kept = {"crop": "size", "scale_width": "width", "scale_shortside": "shortside"}
    keep = kept.get(mode.removesuffix("_and_crop"), "")
    return replace(transform, load=(load_size, load_size) if load_size else load, keep=keep)


def resize_ids(ids: Int32[np.ndarray, "h w"], height: int, width: int) -> Int32[np.ndarray, "y x"]:
    """Resize a map of ids by nearest neighbour: take the source pixel under each target pixel's centre."""
    if ids.shape == (height, width):
        return ids
    return np.array(Image.fromarray(ids).resize((width, height), Image.Resampling.NEAREST))
