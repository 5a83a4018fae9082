"""A label map that is edited in a browser: how it travels, what is refused, and which objects it has."""

from collections.abc import Sequence

import torch
from jaxtyping import Integer, UInt8
from PIL import Image
from torch import Tensor

from ..data.base import Dataset
from ..errors import UserError
from ..generators import Generator, SPADEGenerator
from ..generators.spade import UPSAMPLINGS
from ..labels import IGNORE, LabelError, LabelSpace
from .host import whole_number

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


class EditedMap:
    """The map on the canvas: `label` and `instance` (h, w), painted over one of `scenes` or over the map given.

    Pixels that were not painted keep the objects of the scene below; a painted object has its class's id, so that
    its edge is where its class ends, as for the unnumbered classes of Cityscapes.
    """

    def __init__(
        self, labels: LabelSpace, label: Integer[Tensor, "h w"], instance: Integer[Tensor, "h w"] | None = None,
        *, scenes: Dataset | None = None, classes: Sequence[str] | None = None,
    ):  # fmt: skip
        if labels.num_ids > MOST_IDS:
            raise UserError(f"{labels.name} has {labels.num_ids} ids; a widget takes at most {MOST_IDS}.")
        labels.check(label)
        height, width = label.shape
        self.labels, self.scenes, self.size = labels, scenes, (height, width)
        self.given = (label.long(), objects_of(label, instance))
        self.scene, self.flipped, self.label = -1, False, self.given[0]
        self.below = self.given  # the scene's maps: its files may be gone when they are asked for again
        offered = {labels.id(name) for name in classes} if classes else self._usual_ids()
        self.ids = sorted(offered | set(label.unique().tolist()))

    def _usual_ids(self) -> set[int]:
        """The scored classes: nobody paints "out of roi"."""
        return {i for i, c in enumerate(self.labels.classes) if c.score_id != IGNORE}

    @property
    def start(self) -> tuple[Tensor, Tensor]:
        """Label and instance map below the paint."""
        label, instance = self.below
        if self.flipped:
            return label.flip(1), instance.flip(1)
        return label, instance

    @property
    def instance(self) -> Integer[Tensor, "h w"]:
        """Object ids (int32): the scene's where nothing was painted, else the class id."""
        label, instance = self.start
        return torch.where(self.label == label, instance, self.label.int())

    def paint(self, request: dict, buffers: list) -> None:
        """Take a map from the browser: its bytes, the scene below it, and whether that is flipped."""
        label = ids_from_bytes(buffers, self.size, self.labels)
        scene = whole_number(request, "scene", -1, self._number_of_scenes() - 1)
        if scene != self.scene:
            self.below = self._maps_of(scene)
        self.label, self.scene, self.flipped = label, scene, request.get("flipped") is True

    def load(self, request: dict) -> None:
        """Put a scene of the data set on the canvas."""
        number = whole_number(request, "scene", 0, self._number_of_scenes() - 1)
        label, instance = self._maps_of(number)
        if label.shape != self.size:
            raise UserError(f"Scene {number} is {label.shape[0]}x{label.shape[1]}, the canvas {self.size}.")
        self.below = (label, instance)
        self.label, self.scene, self.flipped = label.long(), number, False

    def counts(self) -> dict[str, int]:
        """Pixels of each class that occurs, the largest first."""
        ids, counts = self.label.unique(return_counts=True)
        pairs = sorted(zip(counts.tolist(), ids.tolist()), reverse=True)
        return {self.labels.names[i]: count for count, i in pairs}

    def colours(self) -> UInt8[Tensor, "h w 3"]:
        """The map in the classes' colours."""
        return self.labels.colourise(self.label)

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
            "offered": self.ids,
        }

    def _maps_of(self, scene: int) -> tuple[Tensor, Tensor]:
        """Label and instance map of a scene; -1 is the map given."""
        if scene < 0:
            return self.given
        assert self.scenes is not None  # without scenes none has a number
        sample = self.scenes[scene]
        return sample.label, objects_of(sample.label, sample.instance)

    def _number_of_scenes(self) -> int:
        return 0 if self.scenes is None else len(self.scenes)
