"""A label map that is edited in a browser: how it travels, what is refused, and which objects it has."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Integer, UInt8
from PIL import Image
from torch import Tensor

from ..data.base import Dataset
from ..data.streets import Streets
from ..errors import UserError
from ..generators import Generator, SPADEGenerator
from ..generators.spade import UPSAMPLINGS
from ..labels import IGNORE, LabelError, LabelSpace
from ..pictures import to_uint8
from .host import whole_number

CANVAS = (
    "common.js", "sheet.js", "history.js", "hand.js", "keys.js", "pointer.js", "tools.js", "stamps.js", "sight.js",
    "canvas.js", "strokes.js",
)  # fmt: skip
MOST_IDS = 256  # a map travels as one byte a pixel


def ids_to_bytes(label: Integer[Tensor, "h w"]) -> bytes:
    """A label map as one byte a pixel, row by row."""
    return label.to(torch.uint8).cpu().numpy().tobytes()


def ids_from_bytes(buffers: list, size: tuple[int, int], labels: LabelSpace) -> Integer[Tensor, "h w"]:
    """The label map (int64) in a request. Errors: a LabelError for another length, or for ids outside the space."""
    height, width = size
    found = memoryview(buffers[0]).nbytes if len(buffers) == 1 else f"{len(buffers)} maps and not one map"
    if found != height * width:
        raise LabelError(
            f"The painted map has {found} bytes; expected {height * width}, one for each pixel of {height}x{width}. "
            "Run the widget's cell again."
        )
    label = torch.frombuffer(bytearray(buffers[0]), dtype=torch.uint8).reshape(height, width).long()
    labels.check(label, "the painted map")
    return label


def image_size(generator: Generator) -> tuple[int, int]:
    """(height, width) that a SPADE generator paints. Errors: a UserError for one that takes any size."""
    if not isinstance(generator, SPADEGenerator):
        raise UserError(f"{type(generator).__name__} paints any size: give a label map (label=) to start from.")
    factor = 2 ** UPSAMPLINGS[generator.plan]
    return generator.latent[0] * factor, generator.latent[1] * factor


def objects_of(label: Integer[Tensor, "h w"], instance: Integer[Tensor, "h w"] | None) -> Integer[Tensor, "h w"]:
    """Object ids (int32): the instance map, or the label map where there is none."""
    return label.int() if instance is None else instance.int()


def blank(labels: LabelSpace, size: tuple[int, int]) -> Integer[Tensor, "h w"]:
    """An empty scene (int64): sky above road where the space has both, else class 0 everywhere."""
    label = torch.zeros(size, dtype=torch.long)
    if {"sky", "road"} <= set(labels.names):
        label[:] = labels.id("road")
        label[: size[0] // 2] = labels.id("sky")
    return label


def ids_picture(label: Integer[Tensor, "h w"], labels: LabelSpace) -> Image.Image:
    """A palette picture whose pixel values are the ids and whose colours are the classes'; every reader here takes it.

    (Cityscapes' own *_labelIds.png hold the same values without colours.)
    """
    picture = Image.frombytes("P", (label.shape[1], label.shape[0]), ids_to_bytes(label))
    picture.putpalette(labels.colourise(torch.arange(labels.num_ids)).flatten().tolist())
    return picture


def _unseen(labels: LabelSpace, scenes: Dataset | None) -> set[int]:
    """Ids that no picture of the data set shows, as far as is known: a network trained on it can't paint them."""
    if not isinstance(scenes, Streets):
        return set()
    return {i for i, name in enumerate(labels.names) if name not in Streets.shows}


class Below(NamedTuple):
    """What lies below the paint, kept since its files may be gone when they are asked for again."""

    label: Integer[Tensor, "h w"]
    instance: Integer[Tensor, "h w"]
    photo: UInt8[Tensor, "h w 3"] | None = None  # the scene's own picture


class EditedMap:
    """The map on the canvas: `label` and `instance` (h, w), painted over one of `scenes` or over the map given.

    scene: the number among `scenes` of the map given (-1: it is none of them). `offered` are the ids of the palette,
    the same for every scene, so that keys keep their classes; `unseen` those that the data set never shows.

    Pixels that were not painted keep the objects of the scene below; a painted object has its class's id, so that
    its edge is where its class ends, as for the unnumbered classes of Cityscapes.
    """

    def __init__(
        self, labels: LabelSpace, label: Integer[Tensor, "h w"], instance: Integer[Tensor, "h w"] | None = None,
        *, scenes: Dataset | None = None, scene: int = -1, classes: Sequence[str] | None = None,
    ):  # fmt: skip
        if labels.num_ids > MOST_IDS:
            raise UserError(f"{labels.name} has {labels.num_ids} ids; a widget takes at most {MOST_IDS}.")
        labels.check(label)
        height, width = label.shape
        self.labels, self.scenes, self.size = labels, scenes, (height, width)
        self.given = Below(label.long(), objects_of(label, instance))
        self.scene, self.flipped, self.label = scene, False, self.given.label
        self.below = self._below(scene)
        self.unseen = _unseen(labels, scenes)
        self.offered = sorted({labels.id(name) for name in classes} if classes else self._usual_ids())

    def _usual_ids(self) -> set[int]:
        """The scored classes that the data set shows: nobody paints "out of roi"."""
        return {i for i, c in enumerate(self.labels.classes) if c.score_id != IGNORE} - self.unseen

    @property
    def start(self) -> tuple[Tensor, Tensor]:
        """Label and instance map below the paint."""
        label, instance, _ = self.below
        if self.flipped:
            return label.flip(1), instance.flip(1)
        return label, instance

    @property
    def instance(self) -> Integer[Tensor, "h w"]:
        """Object ids (int32): the scene's where nothing was painted, else the class id."""
        label, instance = self.start
        return torch.where(self.label == label, instance, self.label.int())

    def paint(self, request: dict, buffers: list) -> None:
        """Take a map from the browser: its bytes, the scene below it, and whether that is flipped.

        Where another view has painted meanwhile, the map that this view knew comes along (a second buffer, and its
        scene and flip under "before"): what differs from it is painted into the present map.
        Errors: a UserError where one of the two has changed the scene or flipped it.
        """
        label = ids_from_bytes(buffers[:1], self.size, self.labels)
        place = (whole_number(request, "scene", -1, self._number_of_scenes() - 1), request.get("flipped") is True)
        if len(buffers) > 1:
            label = self._merged(label, place, ids_from_bytes(buffers[1:], self.size, self.labels), request)
        if place[0] != self.scene:
            self.below = self._below(place[0])
        self.label, (self.scene, self.flipped) = label, place

    def _merged(self, label: Tensor, place: tuple[int, bool], before: Tensor, request: dict) -> Tensor:
        """`label` where it differs from the map that its view knew, else the present map."""
        here = (self.scene, self.flipped)
        known = (request.get("before_scene"), request.get("before_flipped") is True)
        if known == here and torch.equal(before, self.label):
            return label  # nobody else has painted
        if not known == here == place:
            raise UserError("Another view has changed the map: it is shown now. Undo brings yours back.")
        return torch.where(label == before, self.label, label)

    def open(self, label: Integer[Tensor, "h w"]) -> None:
        """Put a map of the canvas's size on it, to paint over."""
        self.given = self.below = Below(label.long(), objects_of(label, None))
        self.label, self.scene, self.flipped = self.given.label, -1, False

    def load(self, request: dict) -> None:
        """Put a scene of the data set on the canvas."""
        number = whole_number(request, "scene", 0, self._number_of_scenes() - 1)
        below = self._below(number)
        if below.label.shape != self.size:
            raise UserError(f"Scene {number} is {below.label.shape[0]}x{below.label.shape[1]}, the canvas {self.size}.")
        self.below = below
        self.label, self.scene, self.flipped = below.label, number, False

    def counts(self) -> dict[str, int]:
        """Pixels of each class that occurs, the largest first."""
        ids, counts = self.label.unique(return_counts=True)
        pairs = sorted(zip(counts.tolist(), ids.tolist()), reverse=True)
        return {self.labels.names[i]: count for count, i in pairs}

    def state(self) -> dict:
        """What a canvas needs."""
        colours = self.labels.colourise(torch.arange(self.labels.num_ids)).tolist()
        return {
            "size": list(self.size),
            "ids": ids_to_bytes(self.label),
            "start": ids_to_bytes(self.start[0]),
            "blank": ids_to_bytes(blank(self.labels, self.size)),
            "scene": self.scene,
            "scenes": self._number_of_scenes(),
            "flipped": self.flipped,
            "names": list(self.labels.names),
            "colours": colours,
            "offered": self.offered,
            "others": [i for i in range(self.labels.num_ids) if i not in self.offered],
            "unseen": sorted(self.unseen),
        }

    def photo(self) -> UInt8[Tensor, "h w 3"] | None:
        """The scene's own picture, mirrored with the map; None where there is none."""
        photo = self.below.photo
        return photo if photo is None or not self.flipped else photo.flip(1)

    def _below(self, scene: int) -> Below:
        """The maps and the picture of a scene; -1 is the map given."""
        if scene < 0:
            return self.given
        assert self.scenes is not None  # without scenes none has a number
        sample = self.scenes[scene]
        return Below(sample.label.long(), objects_of(sample.label, sample.instance), to_uint8(sample.image))

    def _number_of_scenes(self) -> int:
        return 0 if self.scenes is None else len(self.scenes)
