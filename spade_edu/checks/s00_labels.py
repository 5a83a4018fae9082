"""Stage 00: how a network sees a label map: one-hot channels, and edges between objects."""

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn import functional as F

from .exercise import Case, Exercise, Wrong, case, variant

# --- 0.1 one-hot ---


def one_hot(label: Integer[Tensor, "n h w"], num_classes: int) -> Float[Tensor, "n channels h w"]:
    """num_classes + 1 channels of 0 and 1: one a class, and a last one for the pixels whose id is 255, "unknown"."""
    ids = label.long()
    ids = torch.where(ids == 255, num_classes, ids)
    channels = torch.arange(num_classes + 1)
    return (ids[:, None] == channels[:, None, None]).float()


def _one_hot_cases() -> list[Case]:
    def one(
        text: str, n: int, classes: int, h: int, w: int, unknown: float = 0.3, dtype: torch.dtype = torch.long
    ) -> Case:
        label = torch.randint(classes, (n, h, w))
        label = torch.where(torch.rand(n, h, w) < unknown, 255, label)
        return case(text, label.to(dtype), classes, gradient=False)

    return [
        one("2 maps of 3 classes, some pixels 255", 2, 3, 4, 5),
        one("a batch of 1", 1, 4, 3, 2),
        one("no pixel unknown", 2, 3, 2, 4, unknown=0.0),
        one("every pixel unknown", 1, 2, 2, 3, unknown=1.0),
        one("a square map, as many channels as rows", 2, 3, 4, 4),
        one("19 classes on 6 pixels", 1, 19, 2, 3),
        one("ids as uint8, as a PNG holds them", 2, 5, 3, 4, dtype=torch.uint8),
    ]


def _one_hot_mistaken(wrong: Wrong, label: Tensor, num_classes: int) -> Tensor:
    label = label.long()
    unknown = label == 255
    remainder = 255 % (num_classes + 1)
    instead = variant(wrong, num_classes, wrapped=remainder, class_zero=0, clamped=num_classes - 1)
    ids = torch.where(unknown, instead, label)
    if "unknown_first" in wrong:
        ids = torch.where(unknown, 0, label + 1)
    segmap = F.one_hot(ids, num_classes + 1)
    if "dropped" in wrong:
        segmap = segmap * ~unknown[..., None]
    if "no_channel" in wrong:
        segmap = segmap[..., :-1]
    if "channels_last" not in wrong:
        segmap = segmap.permute(0, 3, 1, 2)
    if "transposed" in wrong:
        segmap = segmap.transpose(2, 3)
    return variant(wrong, segmap.float(), integers=segmap, booleans=segmap == 1)


_ONE_HOT = Exercise(
    stage="00",
    title="A label map as channels",
    goal="turn class ids into the tensor that every generator sees, without mistaking 255 for a class",
    minutes=10,
    difficulty=1,
    reference=one_hot,
    cases=_one_hot_cases,
    mistaken=_one_hot_mistaken,
    mistakes={
        "dropped": "Pixels of id 255 have no channel at all; they belong into the last one, num_classes.",
        "clamped": "Pixels of id 255 are counted as the last class; they have a channel of their own behind it.",
        "class_zero": "Pixels of id 255 are counted as class 0; they have a channel of their own, the last one.",
        "wrapped": "255 is wrapped around (a remainder) and counted as some class; it belongs into the last channel.",
        "unknown_first": 'The channel of "unknown" comes last, behind the classes; yours comes first and shifts them.',
        "no_channel": "A channel is missing: num_classes channels for the classes, and one more for 255.",
        "channels_last": "The channels are the last axis, as F.one_hot leaves them; move them: "
        ".permute(0, 3, 1, 2) gives (n, channels, h, w).",
        "transposed": "Rows and columns are swapped: the result is (n, channels, h, w).",
        "integers": "The values are right, but integers; a convolution needs floats: .float().",
        "booleans": "The values are right, but booleans; a convolution needs floats: .float().",
    },
    hints=(
        "First decide what happens to 255, which is no class: give it the id num_classes. Then one channel an id.",
        "Either F.one_hot on ids 0 to num_classes, moved to (n, channels, h, w), or a comparison of ids with "
        "torch.arange(num_classes + 1); floats at the end.",
        "ids = torch.where(label.long() == 255, num_classes, label.long()); F.one_hot(ids, num_classes + 1) ...",
    ),
)


# --- 0.2 edges ---


def instance_edges(instance: Integer[Tensor, "n h w"]) -> Float[Tensor, "n 1 h w"]:
    """1 where a pixel's instance id differs from a neighbour's (above, below, left, right), else 0."""
    edges = torch.zeros_like(instance, dtype=torch.bool)
    beside = instance[:, :, 1:] != instance[:, :, :-1]
    above = instance[:, 1:] != instance[:, :-1]
    edges[:, :, 1:] |= beside
    edges[:, :, :-1] |= beside
    edges[:, 1:] |= above
    edges[:, :-1] |= above
    return edges[:, None].float()


def _edges_cases() -> list[Case]:
    def blocks(n: int, h: int, w: int, ids: list[int]) -> Tensor:
        small = torch.tensor(ids)[torch.randint(len(ids), (n, -(-h // 3), -(-w // 3)))]
        return small.repeat_interleave(3, 1).repeat_interleave(3, 2)[:, :h, :w].contiguous()

    corner = torch.zeros(1, 4, 5, dtype=torch.long)
    corner[0, :2, :2] = 7
    alone = torch.zeros(1, 5, 6, dtype=torch.long)
    alone[0, 2, 3] = 26001
    rows = torch.arange(4)[:, None, None].expand(4, 3, 4).contiguous()
    stripes = torch.arange(6).expand(1, 4, 6).contiguous()
    return [
        case("one object in a corner", corner, gradient=False),
        case("one object of a single pixel", alone, gradient=False),
        case("2 maps of several objects", blocks(2, 7, 8, [0, 1, 26000, 26001, 255]), gradient=False),
        case("4 maps of one object each: no edges", rows, gradient=False),
        case("an object a column: ids 0, 1, 2 ...", stripes, gradient=False),
        case("a single row", blocks(1, 1, 9, [0, 3, 4]), gradient=False),
        case("a single column", blocks(2, 9, 1, [0, 3, 4]), gradient=False),
        case("ids as int32", blocks(1, 6, 6, [1, 2, 24001]).int(), gradient=False),
    ]


def _edges_mistaken(wrong: Wrong, instance: Tensor) -> Tensor:
    first, last = "second_side" not in wrong, "first_side" not in wrong
    edges = torch.zeros_like(instance, dtype=torch.bool)
    beside, above = instance[:, :, 1:] != instance[:, :, :-1], instance[:, 1:] != instance[:, :-1]
    if "overwritten" in wrong:
        edges[:, 1:], edges[:, :-1] = above, above
        edges[:, :, 1:] = beside
        edges[:, :, :-1] = beside
        return edges[:, None].float()
    if "cancels" in wrong:
        middle = F.pad(instance[:, None].double(), (1, 1, 1, 1), mode="replicate")
        around = middle[..., 2:, 1:-1] + middle[..., :-2, 1:-1] + middle[..., 1:-1, 2:] + middle[..., 1:-1, :-2]
        return (around != 4 * instance[:, None].double()).float()
    if "wraps" in wrong:
        for axis, step in ((1, 1), (1, -1), (2, 1), (2, -1)):
            edges |= instance != instance.roll(step, axis)
    if "vertical_only" not in wrong:
        edges[:, :, 1:] |= beside & last
        edges[:, :, :-1] |= beside & first
    if "horizontal_only" not in wrong:
        edges[:, 1:] |= above & last
        edges[:, :-1] |= above & first
    if "diagonal" in wrong:
        down, up = instance[:, 1:, 1:] != instance[:, :-1, :-1], instance[:, 1:, :-1] != instance[:, :-1, 1:]
        edges[:, 1:, 1:] |= down
        edges[:, :-1, :-1] |= down
        edges[:, 1:, :-1] |= up
        edges[:, :-1, 1:] |= up
    if "rim" in wrong:
        edges[:, [0, -1]] = True
        edges[:, :, [0, -1]] = True
    edges = variant(wrong, edges, inverted=~edges)
    edges = variant(wrong, edges[:, None], no_axis=edges)
    return variant(wrong, edges.float(), booleans=edges)


_EDGES = Exercise(
    stage="00",
    title="Edges between objects",
    goal="give the network what a label map of classes can't say: where one car ends and the next begins",
    minutes=15,
    difficulty=2,
    reference=instance_edges,
    cases=_edges_cases,
    mistaken=_edges_mistaken,
    mistakes={
        "first_side": "Only one side of a border is marked (the pixel before it). Both pixels differ from a "
        "neighbour, so both are edges.",
        "second_side": "Only one side of a border is marked (the pixel behind it). Both pixels differ from a "
        "neighbour, so both are edges.",
        "wraps": "The comparison wraps around the picture (torch.roll): the first column isn't a neighbour of the "
        "last.",
        "diagonal": "Diagonal neighbours are compared too; only the four above, below, left and right count.",
        "rim": "The rim of the picture is marked; a pixel without a neighbour on one side has no edge there.",
        "vertical_only": "Only neighbours above and below are compared; those left and right are missing.",
        "horizontal_only": "Only neighbours left and right are compared; those above and below are missing.",
        "cancels": "The differences to the neighbours are added up, where one id higher and one lower cancel. Ids are "
        "names: compare each neighbour by itself.",
        "overwritten": "Each comparison overwrites the one before it (`edges[...] = ...`); or them: `|=`.",
        "inverted": "It is the wrong way round: 1 is an edge, 0 is none.",
        "no_axis": "The channel axis is missing: the result has shape (n, 1, h, w), edges[:, None].",
        "booleans": "The values are right, but booleans; they are to stand beside the one-hot floats: .float().",
    },
    hints=(
        "Compare the map with itself, moved by one pixel: instance[:, :, 1:] with instance[:, :, :-1]. Each comparison "
        "says something about two pixels.",
        "A map of booleans, all False; for each of the two directions, the comparison is or-ed into both slices of it; "
        "then the channel axis and .float().",
        "beside = instance[:, :, 1:] != instance[:, :, :-1]; edges[:, :, 1:] |= beside; edges[:, :, :-1] |= beside",
    ),
)

EXERCISES = (_ONE_HOT, _EDGES)
