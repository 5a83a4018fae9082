"""Scenes as arrays, as a Dataset, and as files in Cityscapes' layout."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from ...files import write_whole, write_whole_with
from ...labels import CITYSCAPES
from ...pictures import from_uint8
from ..base import DataError, Sample
from .light import STYLES as _LIGHTS
from .light import shade
from .objects import draw_things
from .scene import Dice, layout
from .surfaces import paint_surfaces

STYLES = tuple(_LIGHTS)
SPLITS = ("train", "val", "test")
CITIES = {
    "train": ("ahlenbruck", "bornfeld", "castelmor", "dunwick"),
    "val": ("estrava", "fennmark"),
    "test": ("grelling", "harrowby"),
}
CACHE_BYTES = 256 * 2**20  # rendered scenes kept in memory by one Streets
THINGS = frozenset({"person", "rider", "car", "truck", "bus", "caravan", "trailer", "train", "motorcycle", "bicycle"})
_IS_THING = np.array([name in THINGS for name in CITYSCAPES.names])


class Scene(NamedTuple):
    """One rendered street: label uint8 (H, W), instance int32 (H, W), image uint8 (H, W, 3), style of STYLES."""

    label: np.ndarray
    instance: np.ndarray
    image: np.ndarray
    style: str


def render(seed: int, index: int, height: int, width: int, style: str | None = None) -> Scene:
    """Render street number `index` of `seed`; without `style`, one drawn independently of the layout.

    The layout depends on (seed, index) alone, so every size and every style shows the same street. Instances follow
    Cityscapes: a stuff pixel holds its class id, a pixel of the k-th thing of a class holds class id * 1000 + k.
    """
    if style is None:
        style = Dice(seed, index, 1).pick(STYLES)
    if style not in STYLES:
        raise DataError(f"Streets has no style {style!r}; its styles are: {', '.join(STYLES)}.")
    street = layout(seed, index)
    buffer = paint_surfaces(street, 2 * height, 2 * width)
    sheet = draw_things(street, buffer.depth)
    picture = shade(buffer, sheet, street, style)
    picture = picture.reshape(height, 2, width, 2, 3).mean((1, 3))
    noise = np.random.Generator(np.random.PCG64((seed, index, 2))).random((height, width, 1), np.float32) - 0.5
    label, number = buffer.kind[1::2, 1::2].copy(), buffer.number[1::2, 1::2]
    image = np.clip(picture + 5 * noise, 0, 255).astype(np.uint8)
    return Scene(label, _instances(label, number, [kind for kind, _ in sheet.table]), image, style)


def _instances(label: np.ndarray, number: np.ndarray, kinds: list[int]) -> np.ndarray:
    """Number the things of each class from 0 in the order of drawing."""
    count, ids = dict.fromkeys(range(CITYSCAPES.num_classes), 0), [0]
    for kind in kinds[1:]:
        ids.append(kind * 1000 + count[kind])
        count[kind] += 1
    return np.where(_IS_THING[label], np.array(ids, np.int32)[number], label.astype(np.int32))


class Streets:
    """The embedded data set: `length` streets of one split; splits never share a scene.

    style: None draws one per scene; a name of STYLES fixes it. augment: flip left to right at random, drawn from
    (seed, epoch, index), see `set_epoch`. Scenes are kept in memory once rendered, up to CACHE_BYTES.
    """

    labels = CITYSCAPES
    shows = (
        "road", "sidewalk", "parking", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation",
        "terrain", "sky", "person", "rider", "car", "truck", "bus", "bicycle", "static",
    )  # the classes that its scenes have; the others of Cityscapes never occur  # fmt: skip

    def __init__(
        self, length: int, *, split: str = "train", height: int = 64, width: int = 128, seed: int = 0,
        augment: bool = False, style: str | None = None,
    ):  # fmt: skip
        if split not in SPLITS:
            raise DataError(f"Streets has no split {split!r}; its splits are: {', '.join(SPLITS)}.")
        if height < 1 or width < 1:
            raise DataError(f"expected a height and a width of at least 1, got {height}x{width}.")
        self.length, self.split, self.size = length, split, (height, width)
        self.seed, self.augment, self.style, self.epoch = seed, augment, style, 0
        self._kept: dict[int, Scene] = {}
        self._most = CACHE_BYTES // (height * width * 8)

    def fits_in_memory(self) -> bool:
        """Whether all scenes are kept once they are rendered; otherwise each epoch renders most of them again."""
        return self.length <= self._most

    def set_epoch(self, epoch: int) -> None:
        """Draw the flips of this epoch; a run that resumes at an epoch sees the flips it would have seen."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.length:
            raise IndexError(f"scene {index} of {self.length}")
        scene = self.scene(index)
        label = torch.from_numpy(scene.label.astype(np.int64))
        instance = torch.from_numpy(scene.instance.copy())
        image = from_uint8(torch.from_numpy(scene.image))
        if self.augment and Dice(self.seed, self.epoch, index, 3).chance(0.5):
            label, instance, image = (t.flip(-1) for t in (label, instance, image))
        return Sample(label, instance, image, f"{self.split}_{index:06d}", scene.style)

    def scene(self, index: int) -> Scene:
        """Scene `index` as uint8 arrays, from memory if it has been rendered before."""
        if index in self._kept:
            return self._kept[index]
        scene = render(self.seed, _number(self.split, index), *self.size, self.style)
        if len(self._kept) < self._most:
            self._kept[index] = scene
        return scene


def _number(split: str, index: int) -> int:
    """The number of a split's scene among all streets of a seed: each split has ten million of its own."""
    return SPLITS.index(split) * 10_000_000 + index


def write(root: str | Path, *, train: int, val: int, height: int, width: int, seed: int = 0) -> None:
    """Write scenes in Cityscapes' folder layout under `root`; a second call goes on where the first one stopped.

    Per scene: leftImg8bit/<split>/<city>/*_leftImg8bit.png, gtFine/<split>/<city>/*_gtFine_labelIds.png (8 bit),
    *_instanceIds.png (16 bit), *_color.png (RGBA), and *_style.json, which Cityscapes doesn't have.
    """
    for split, count in (("train", train), ("val", val)):
        for index in range(count):
            files = _paths(Path(root), split, index)
            if not all(file.exists() for file in files.values()):
                scene = render(seed, _number(split, index), height, width)
                for kind, content in _contents(scene):
                    _write(files[kind], content)


def _paths(root: Path, split: str, index: int) -> dict[str, Path]:
    city = CITIES[split][index % len(CITIES[split])]
    stem = f"{city}_{index:06d}_000019"
    names = ("labelIds.png", "instanceIds.png", "color.png", "style.json")
    paths = {name: root / "gtFine" / split / city / f"{stem}_gtFine_{name}" for name in names}
    return paths | {"image": root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png"}


def _contents(scene: Scene) -> Iterator[tuple[str, Image.Image | str]]:
    """The files of a scene; the photograph last, because it is what readers look for."""
    colour = CITYSCAPES.colourise(torch.from_numpy(scene.label)).numpy()
    yield "labelIds.png", Image.fromarray(scene.label)
    yield "instanceIds.png", Image.fromarray(scene.instance.astype(np.uint16))
    yield "color.png", Image.fromarray(np.dstack([colour, np.full_like(scene.label, 255)]))
    yield "style.json", json.dumps({"style": scene.style})
    yield "image", Image.fromarray(scene.image)


def _write(path: Path, content: Image.Image | str) -> None:
    if isinstance(content, str):
        write_whole(path, content)
    else:
        write_whole_with(path, partial(content.save, format="PNG"))
