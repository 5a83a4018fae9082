"""SIMS (Qi, Chen, Jia & Koltun, "Semi-parametric Image Synthesis", CVPR 2018).

Most of the picture isn't generated but remembered. The training images are cut into segments, the memory bank. For each
segment of a new label map one of the same class and of like shape is fetched and pasted onto a canvas, far ones first;
near borders the canvas is wiped again ("elided"), and a network paints the holes and makes the pieces fit. So the
texture is real, but what stands in the picture follows the pieces, not quite the label map.

Departures of the small version: segments stay where they were found (the authors' transformation network moves them,
but for Cityscapes its parameters are rounded, mostly to the identity); which of two segments is in front is a rule, not
a network (`depth_order`); colours are transferred by mean and deviation; the synthesis network is smaller and has no
second head that predicts the classes, nor the shaken label maps that this head is for.
"""

import dataclasses
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional as F

from ..config import TrainingConfig
from ..data.base import Dataset, Sample
from ..generators import Generator
from ..labels import LabelSpace, one_hot
from .common import minimise
from .crn import RefinementModule, RegressionLoss, average_labels, layer_norm, regression_features, small_widths

SMALLEST = 1000 / (256 * 512)  # share of the picture: smaller segments are neither kept nor asked for
BANK = 300  # training images in the memory bank
WHITE, BLACK = 1.0, -1.0
WHITE_BAND, BLACK_BAND = 0.035, 0.08  # share of the height: side of the square that marks a border
LR = 2e-3

FLAT = frozenset({"road", "sidewalk", "pavement", "parking", "rail track", "ground", "terrain"})
BACK_TO_FRONT = (  # every other class is an object, in front of all these
    frozenset({"sky"}),
    FLAT,
    frozenset({"building", "wall", "fence", "guard rail", "bridge", "tunnel"}),
    frozenset({"vegetation", "tree"}),
)


# 1. The memory bank ---------------------------------------------------------------------------------------------------


class Segments(NamedTuple):
    """Connected pieces of one class each: masks (s, h, w) and the ids of their classes (s,)."""

    mask: Bool[Tensor, "s h w"]
    id: Int64[Tensor, " s"]


def segments(label: Int64[Tensor, "h w"], smallest: float = SMALLEST) -> Segments:
    """The pieces of one class, connected over the four sides, that cover at least the share `smallest` of a label map.

    In the order of their first pixels, row by row.
    """
    pieces = []
    for id in label.unique():
        number, count = ndimage.label((label == id).numpy())
        pieces += [torch.from_numpy(number == i) for i in range(1, count + 1)]
    masks = torch.stack(pieces)
    masks = masks[masks.sum((1, 2)) >= smallest * label.numel()]
    first = masks.flatten(1).byte().argmax(1)
    order = first.argsort()
    return Segments(masks[order], label.flatten()[first[order]])


class MemoryBank(nn.Module):
    """Segments cut from the first `images` images of a data set, with the images and label maps that they came from.

    mask (s, h, w), id (s,), source (s,): number of the image; image (m, 3, h, w) in [-1, 1], label (m, h, w).
    smallest: share of a picture that a segment must cover to be kept.
    """

    image: Tensor
    label: Tensor
    mask: Tensor
    id: Tensor
    source: Tensor
    area: Tensor

    def __init__(self, dataset: Dataset, images: int = BANK, smallest: float = SMALLEST):
        super().__init__()
        samples = [dataset[i] for i in range(min(images, len(dataset)))]
        pieces = [segments(sample.label, smallest) for sample in samples]
        source = torch.repeat_interleave(torch.tensor([len(piece.id) for piece in pieces]))
        self.names = [sample.name for sample in samples]
        self.register_buffer("image", torch.stack([sample.image for sample in samples]))
        self.register_buffer("label", torch.stack([sample.label for sample in samples]))
        self.register_buffer("mask", torch.cat([piece.mask for piece in pieces]))
        self.register_buffer("id", torch.cat([piece.id for piece in pieces]))
        self.register_buffer("source", source)
        self.register_buffer("area", self.mask.sum((1, 2)))

    def retrieve(
        self,
        mask: Bool[Tensor, "h w"],
        id: int,
        *,
        label: Int64[Tensor, "h w"] | None = None,
        among: Bool[Tensor, " m"] | None = None,
        most: int = 10,
    ) -> list[tuple[int, float]]:
        """The segments of class `id` that fit the mask best: (number in the bank, score), best first.

        The score is the IoU of the masks; with the query's whole `label` map, as in the paper, plus the IoU of the
        surroundings (the published script leaves it out). among: the images that may be used.
        """
        usable = torch.eq(self.id, id)
        if among is not None:
            usable = usable & among[self.source]
        numbers = usable.nonzero()[:, 0]
        inside = bounding_box(mask)
        both = self.mask[:, *inside][numbers].flatten(1).float() @ mask[*inside].flatten().float()
        scores = both / (self.area[numbers] + mask.sum() - both)
        if label is not None:
            around = bounding_box(mask, margin=0.25)
            scores = scores + context_iou(label[*around], self.label[:, *around][self.source[numbers]])
        best = scores.argsort(descending=True)[:most]
        return list(zip(numbers[best].tolist(), scores[best].tolist()))


def bounding_box(mask: Bool[Tensor, "h w"], margin: float = 0.0) -> tuple[slice, slice]:
    """The rows and columns that a mask touches, and on each side the share `margin` of as many again."""
    return _extent(mask.any(1), margin), _extent(mask.any(0), margin)


def _extent(touched: Bool[Tensor, " n"], margin: float) -> slice:
    numbers = touched.nonzero()
    first, end = int(numbers.min()), int(numbers.max()) + 1
    more = round(margin * (end - first))
    return slice(max(0, first - more), end + more)


def context_iou(label: Int64[Tensor, "h w"], others: Int64[Tensor, "s h w"]) -> Float[Tensor, " s"]:
    """IoU of label maps over all classes: pixels that agree over agreeing ones and twice the others."""
    equal = (others == label).flatten(1).float().sum(1)
    return equal / (2 * label.numel() - equal)


# 2. The canvas --------------------------------------------------------------------------------------------------------


class Piece(NamedTuple):
    """What is pasted: the segment asked for, the one found (mask, picture (3, h, w)), the class, the match's score."""

    query: Bool[Tensor, "h w"]
    mask: Bool[Tensor, "h w"]
    image: Float[Tensor, "3 h w"]
    id: int
    score: float


class Canvas(NamedTuple):
    """image (3, h, w) in [-1, 1]; filled (h, w): False where the network has to paint; label (h, w) as pasted."""

    image: Float[Tensor, "3 h w"]
    filled: Bool[Tensor, "h w"]
    label: Int64[Tensor, "h w"]


def depth_order(masks: Bool[Tensor, "s h w"], ids: list[int], labels: LabelSpace) -> list[int]:
    """The numbers of the segments from the farthest to the nearest.

    First by class: sky, ground, buildings, trees, then objects. Within these a segment that reaches lower in the
    picture stands nearer: on flat ground a camera sees what is near below what is far.
    """

    def depth(number: int) -> tuple[int, int]:
        name = labels.names[ids[number]]
        layer = next((i for i, names in enumerate(BACK_TO_FRONT) if name in names), len(BACK_TO_FRONT))
        return layer, int(masks[number].any(1).nonzero().max())

    return sorted(range(len(ids)), key=depth)


def paste(pieces: list[Piece], label: Int64[Tensor, "h w"]) -> tuple[Canvas, Int64[Tensor, "h w"]]:
    """Pieces onto a black canvas, later ones over earlier ones; and the owner of each pixel (0: none, i + 1: piece i).

    The label map is changed to what was pasted, for the network must not be told of a road where there is a car.
    """
    image, owner, label = torch.full((3, *label.shape), BLACK), torch.zeros_like(label), label.clone()
    for i, piece in enumerate(pieces):
        image[:, piece.mask] = piece.image[:, piece.mask]
        owner[piece.mask], label[piece.mask] = i + 1, piece.id
    return Canvas(image, owner > 0, label), owner


def elide(
    canvas: Canvas, owner: Int64[Tensor, "h w"], labels: LabelSpace | None, generator: torch.Generator | None = None
) -> Canvas:
    """Wipe what can't be trusted. White: a random half of a band along the borders of pieces, still counted as filled.

    Black, unfilled: a band of flat ground around every object, where the pasted ground knows nothing of the object's
    shadow; only with `labels`, for in training the ground is the picture's own.
    """
    image, filled = canvas.image.clone(), canvas.filled.clone()
    near = window_max(owner, WHITE_BAND) != -window_max(-owner, WHITE_BAND)
    image[:, near & filled & (torch.rand(owner.shape, generator=generator) < 0.5)] = WHITE
    if labels is not None:
        flat = torch.tensor([name in FLAT for name in labels.names])
        behind = torch.tensor([any(name in names for names in BACK_TO_FRONT) for name in labels.names])
        objects = ~behind[canvas.label] & canvas.filled
        contact = window_max(objects.long(), BLACK_BAND).bool() & flat[canvas.label]
        image[:, contact], filled[contact] = BLACK, False
    return Canvas(image, filled, canvas.label)


def window_max(x: Int64[Tensor, "h w"], share: float) -> Int64[Tensor, "h w"]:
    """The largest number in the square around each pixel, its side (odd, at least 3) a share of the height."""
    radius = max(1, round(share * x.shape[0] / 2))
    return F.max_pool2d(x[None].float(), 2 * radius + 1, stride=1, padding=radius)[0].long()


# 3. The synthesis network ---------------------------------------------------------------------------------------------


class SynthesisNetwork(nn.Module):
    """(one-hot label map, canvas, filled) -> image: (n, l + 4, h, w) -> (n, 3, h, w), not limited to [-1, 1].

    An encoder, halving the size between the levels, and CRN's modules back up, which besides see the encoder's level
    and the input itself. label_channels: l, without edges. widths: channels of the levels, coarsest first.
    """

    def __init__(self, label_channels: int, widths: tuple[int, ...]):
        super().__init__()
        entry, down = label_channels + 4, widths[::-1]  # widths: coarsest first, as in CRN
        self.encoder = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False), layer_norm(b), nn.LeakyReLU(0.2))
            for a, b in zip((entry, *down), down)
        )
        pairs = zip((0, *widths), widths)
        self.decoder = nn.ModuleList(RefinementModule(fin, entry + width, width) for fin, width in pairs)
        self.to_image = nn.Conv2d(widths[-1], 3, 1)

    def forward(self, entry: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 3 h w"]:
        """Paint the holes and mend the seams."""
        levels, level = [], entry
        for i, layer in enumerate(self.encoder):
            level = layer(F.avg_pool2d(level, 2) if i else level)
            levels.append(level)
        x: Tensor | None = None
        for module, level in zip(self.decoder, reversed(levels)):
            size = level.shape[-2:]
            x = module(x, torch.cat([average_labels(entry, size), level], dim=1), size)
        return self.to_image(x)


def encode(canvases: list[Canvas], num_ids: int) -> Float[Tensor, "n c h w"]:
    """What the synthesis network sees of canvases."""
    image, filled, label = (torch.stack(parts) for parts in zip(*canvases))
    return torch.cat([one_hot(label, num_ids), image, filled[:, None].float()], dim=1)


# 4. The whole, stage by stage -----------------------------------------------------------------------------------------


class Stages(NamedTuple):
    """One label map on its way: the query, the pieces found (in the order of pasting), the canvas, the result."""

    label: Int64[Tensor, "h w"]
    pieces: list[Piece]
    canvas: Canvas
    result: Float[Tensor, "3 h w"]


class SIMS(Generator):
    """G(segmap, z=None) -> image in [-1, 1]: retrieve, paste, elide, synthesise. z has no effect (z_dim is None).

    bank: where segments come from. network: what paints the holes. labels: of the label maps; instance edges aren't
    looked at. context: whether a segment's surroundings count as well, see MemoryBank.retrieve.
    """

    def __init__(self, bank: MemoryBank, network: SynthesisNetwork, labels: LabelSpace, *, context: bool = False):
        super().__init__(labels.num_channels)
        self.bank, self.network, self.labels, self.context = bank, network, labels, context

    def pieces(self, label: Int64[Tensor, "h w"]) -> list[Piece]:
        """The best match in the bank for each segment of a label map, back to front; classes it lacks are left out."""
        query, pieces = segments(label), []
        for i in depth_order(query.mask, query.id.tolist(), self.labels):
            id = int(query.id[i])
            for number, score in self.bank.retrieve(query.mask[i], id, label=label if self.context else None, most=1):
                image = self.bank.image[self.bank.source[number]]
                pieces.append(Piece(query.mask[i], self.bank.mask[number], image, id, score))
        return pieces

    def stages(self, label: Int64[Tensor, "h w"]) -> Stages:
        """Everything that happens to one label map; the same each time (the elision's random half too)."""
        pieces = self.pieces(label)
        canvas = elide(*paste(pieces, label), self.labels, torch.Generator().manual_seed(0))
        result = self.network(encode([canvas], self.labels.num_ids))[0].clamp(-1, 1)
        return Stages(label, pieces, canvas, result)

    def forward(
        self, segmap: Float[Tensor, "n l h w"], z: Float[Tensor, "n d"] | None = None
    ) -> Float[Tensor, "n 3 h w"]:
        """Paint each label map."""
        label = segmap[:, : self.labels.num_ids].argmax(1)
        return torch.stack([self.stages(one).result for one in label])


# 5. Training ----------------------------------------------------------------------------------------------------------


def training_canvas(bank: MemoryBank, sample: Sample, *, images: int = 100, recolour: float = 0.2) -> Canvas:
    """The canvas that the network learns to mend, made of the sample's own pixels, so that the answer is known.

    Each of its segments is cut to where it overlaps the best match among `images` random images of the bank: holes of
    the shapes that retrieval will leave. With probability `recolour` it takes on the colours of the match.
    """
    own, pieces = segments(sample.label), []
    among = torch.zeros(len(bank.names), dtype=torch.bool)
    among[torch.randperm(len(bank.names))[:images]] = True
    if sample.name in bank.names:
        among[bank.names.index(sample.name)] = False
    for mask, id in zip(own.mask, own.id.tolist()):
        for number, score in bank.retrieve(mask, id, among=among, most=1):
            match, image = bank.mask[number], sample.image
            if torch.rand(()) < recolour:
                image = transfer_colours(image, mask, bank.image[bank.source[number]], match)
            pieces.append(Piece(mask, mask & match, image, id, score))
    return elide(*paste(pieces, sample.label), None)


def transfer_colours(
    image: Float[Tensor, "3 h w"], mask: Bool[Tensor, "h w"], other: Float[Tensor, "3 h w"], match: Bool[Tensor, "h w"]
) -> Float[Tensor, "3 h w"]:
    """The image with the masked pixels' mean and deviation in each colour channel made those of the other's match."""
    old, new = image[:, mask], other[:, match]
    scale = new.std(1) / old.std(1).clamp(min=1e-3)
    shifted = (image - old.mean(1)[:, None, None]) * scale[:, None, None] + new.mean(1)[:, None, None]
    return shifted.clamp(-1, 1)


def train_sims(
    dataset: Dataset,
    config: TrainingConfig,
    *,
    steps: int,
    seed: int,
    progress: bool = False,
    context: bool = False,
) -> SIMS:
    """Fill the memory bank, then train the synthesis network with CRN's loss.

    dataset: its first BANK images fill the bank, all are trained on.
    config: as for train_crn; no level is wider than 8 times generator_width.
    steps: batches to train for. seed: of weights, order and elision. progress: show a bar.
    context: whether a segment's surroundings count when one is fetched, as in the paper; not in training.
    Gives the generator in evaluation mode. Errors: as of train_crn.
    """
    config = dataclasses.replace(config, seed=seed)
    torch.manual_seed(seed)
    labels, bank = dataset.labels, MemoryBank(dataset)
    widths = [min(width, 8 * config.generator_width) for width in small_widths(config)]
    network = SynthesisNetwork(labels.num_ids, tuple(widths))
    regression = RegressionLoss(regression_features(config))

    def loss(batch: Sample) -> Tensor:
        samples = (Sample(*one) for one in zip(batch.label, [None] * len(batch.label), batch.image, batch.name))
        entry = encode([training_canvas(bank, sample) for sample in samples], labels.num_ids)
        masks = one_hot(batch.label, labels.num_ids)
        return regression(network(entry)[:, None].float(), batch.image, masks)

    minimise(network, loss, dataset, config, lr=LR, steps=steps, progress=progress)
    return SIMS(bank, network, labels, context=context).eval()
