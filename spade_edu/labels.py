"""Label maps: what the ids mean, and how a generator sees them.

A label map is an image of class ids. A `LabelSpace` names the ids and turns a batch of label maps into `segmap`,
the one-hot tensor that every generator and discriminator takes: one channel per class, then a "don't care" channel
where the data set has one, then an edge channel where it has instances (SPADE paper, section 4 and appendix A;
channel order as in the official code).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Integer, UInt8
from torch import Tensor
from torch.nn import functional as F

from .errors import UserError

IGNORE = 255  # the score id of pixels that no evaluation counts


class LabelError(UserError):
    """A label map that does not fit its label space; the message says what was expected and the likeliest repair."""


@dataclass(frozen=True)
class LabelClass:
    """One class: its name, its colour in pictures, and its id in the published score (IGNORE: not scored)."""

    name: str
    colour: tuple[int, int, int]
    score_id: int


@dataclass(frozen=True)
class LabelSpace:
    """The classes of a data set. Ids run from 0 to num_classes - 1; with `dont_care`, id num_classes is "unknown"."""

    name: str
    classes: tuple[LabelClass, ...]
    dont_care: bool = False
    instances: bool = False

    @property
    def num_classes(self) -> int:
        """Number of classes, "don't care" not counted."""
        return len(self.classes)

    @property
    def num_ids(self) -> int:
        """Number of ids that a label map may hold, "don't care" included."""
        return self.num_classes + self.dont_care

    @property
    def num_channels(self) -> int:
        """Channels of `segmap`: classes, "don't care", edges. The official code calls it semantic_nc."""
        return self.num_ids + self.instances

    @property
    def names(self) -> tuple[str, ...]:
        """Class names by id, "don't care" last where it exists."""
        return tuple(c.name for c in self.classes) + ("don't care",) * self.dont_care

    @property
    def score_names(self) -> tuple[str, ...]:
        """Names of the scored classes, by score id (Cityscapes: the 19 trainIds)."""
        scored = sorted((c.score_id, c.name) for c in self.classes if c.score_id != IGNORE)
        return tuple(name for _, name in scored)

    def id(self, name: str) -> int:
        """The id of the class called `name`."""
        if name not in self.names:
            raise LabelError(f"{self.name} has no class {name!r}; its classes are: {', '.join(self.names)}.")
        return self.names.index(name)

    def check(self, label: Integer[Tensor, "*size"], where: str = "the label map") -> None:
        """Raise a LabelError if `label` holds an id outside 0 .. num_ids - 1."""
        if label.numel() == 0:
            raise LabelError(f"{where} is empty: expected ids of {self.name}.")
        low, high = (int(v) for v in label.aminmax())
        if low >= 0 and high < self.num_ids:
            return
        strange = sorted(set(label[(label < 0) | (label >= self.num_ids)].flatten().tolist()))
        raise LabelError(
            f"{where}: expected ids 0 to {self.num_ids - 1} ({self.name}), found {_first(strange)}. "
            "Is it a label map of this data set (Cityscapes: *_labelIds.png, not *_labelTrainIds.png or *_color.png)?"
        )

    def encode(
        self, label: Integer[Tensor, "n h w"], instance: Integer[Tensor, "n h w"] | None = None
    ) -> Float[Tensor, "n c h w"]:
        """Turn ids into `segmap`: one-hot classes, "don't care", instance edges; c = num_channels.

        Errors: a LabelError where an id is outside the space, or where the space has instances and none are given.
        Ids are checked on the CPU only: a reader has checked them once, and a check on a GPU would wait for it.
        """
        if label.device.type == "cpu":
            self.check(label)
        segmap = one_hot(label, self.num_ids)
        if not self.instances:
            return segmap
        if instance is None:
            raise LabelError(f"{self.name} feeds instance edges to the generator: pass `instance` as well.")
        return torch.cat([segmap, instance_edges(instance)], dim=1)

    def to_score_ids(self, label: Integer[Tensor, "*size"]) -> Integer[Tensor, "*size"]:
        """Map ids to the ids of the published score; IGNORE where a pixel is not scored."""
        table = [c.score_id for c in self.classes] + [IGNORE] * self.dont_care
        return torch.tensor(table, device=label.device)[label.long()]

    def colourise(self, label: Integer[Tensor, "*size"]) -> UInt8[Tensor, "*size 3"]:
        """Paint each id in its class's colour ("don't care": black)."""
        table = [c.colour for c in self.classes] + [(0, 0, 0)] * self.dont_care
        return torch.tensor(table, dtype=torch.uint8, device=label.device)[label.long()]


def one_hot(label: Integer[Tensor, "n h w"], num_ids: int) -> Float[Tensor, "n num_ids h w"]:
    """One channel per id: 1 where the pixel has that id, else 0."""
    n, h, w = label.shape
    segmap = torch.zeros(n, num_ids, h, w, device=label.device)
    return segmap.scatter_(1, label.long()[:, None], 1.0)


def instance_edges(instance: Integer[Tensor, "n h w"]) -> Float[Tensor, "n 1 h w"]:
    """1 where a pixel's instance id differs from any of its four neighbours, so both sides of a border are marked.

    As in pix2pixHD and the official SPADE code; nothing wraps around at the picture's rim.
    """
    edges: Bool[Tensor, "n h w"] = torch.zeros_like(instance, dtype=torch.bool)
    beside = instance[:, :, 1:] != instance[:, :, :-1]
    above = instance[:, 1:, :] != instance[:, :-1, :]
    edges[:, :, 1:] |= beside
    edges[:, :, :-1] |= beside
    edges[:, 1:, :] |= above
    edges[:, :-1, :] |= above
    return edges[:, None].float()


def resize_segmap(segmap: Float[Tensor, "n c h w"], size: Sequence[int]) -> Float[Tensor, "n c h2 w2"]:
    """Resize by nearest neighbour: a pixel keeps one class. Bilinear would invent mixtures of classes."""
    return F.interpolate(segmap, size=list(size), mode="nearest")


def _first(values: list[int], most: int = 6) -> str:
    shown = ", ".join(str(v) for v in values[:most])
    return shown + (f" and {len(values) - most} more" if len(values) > most else "")


def _space(rows: str, name: str, **kwargs: bool) -> LabelSpace:
    """Build a space from lines of `name, red, green, blue, score id (- : not scored)`, in the order of the ids."""
    classes = []
    for row in rows.strip().splitlines():
        title, r, g, b, score = (cell.strip() for cell in row.split(","))
        classes.append(LabelClass(title, (int(r), int(g), int(b)), IGNORE if score == "-" else int(score)))
    return LabelSpace(name, tuple(classes), **kwargs)


# Ids, colours and trainIds as published by the Cityscapes data set. Id 34 stands for "license plate" (-1 in its
# tables, and never drawn in the label images): the official SPADE code keeps a 35th channel for it.
CITYSCAPES = _space(
    """
    unlabeled, 0, 0, 0, -
    ego vehicle, 0, 0, 0, -
    rectification border, 0, 0, 0, -
    out of roi, 0, 0, 0, -
    static, 0, 0, 0, -
    dynamic, 111, 74, 0, -
    ground, 81, 0, 81, -
    road, 128, 64, 128, 0
    sidewalk, 244, 35, 232, 1
    parking, 250, 170, 160, -
    rail track, 230, 150, 140, -
    building, 70, 70, 70, 2
    wall, 102, 102, 156, 3
    fence, 190, 153, 153, 4
    guard rail, 180, 165, 180, -
    bridge, 150, 100, 100, -
    tunnel, 150, 120, 90, -
    pole, 153, 153, 153, 5
    polegroup, 153, 153, 153, -
    traffic light, 250, 170, 30, 6
    traffic sign, 220, 220, 0, 7
    vegetation, 107, 142, 35, 8
    terrain, 152, 251, 152, 9
    sky, 70, 130, 180, 10
    person, 220, 20, 60, 11
    rider, 255, 0, 0, 12
    car, 0, 0, 142, 13
    truck, 0, 0, 70, 14
    bus, 0, 60, 100, 15
    caravan, 0, 0, 90, -
    trailer, 0, 0, 110, -
    train, 0, 80, 100, 16
    motorcycle, 0, 0, 230, 17
    bicycle, 119, 11, 32, 18
    license plate, 0, 0, 142, -
    """,
    "Cityscapes",
    instances=True,
)

# The 11 classes of the SegNet variant of CamVid; the 12th id of its files, "void", is the don't-care id.
CAMVID = _space(
    """
    sky, 128, 128, 128, 0
    building, 128, 0, 0, 1
    pole, 192, 192, 128, 2
    road, 128, 64, 128, 3
    pavement, 60, 40, 222, 4
    tree, 128, 128, 0, 5
    sign, 192, 128, 128, 6
    fence, 64, 64, 128, 7
    car, 64, 0, 128, 8
    pedestrian, 64, 64, 0, 9
    bicyclist, 0, 128, 192, 10
    """,
    "CamVid",
    dont_care=True,
)
