"""Stage 03: the SPADE layer, its parts and its block."""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn
from torch.nn import functional as F

from ..normalization import SPADE
from .exercise import Case, Exercise, Wrong, case, variant
from .s01_batchnorm import (
    AFFINE,
    BATCH,
    batch_statistics,
    features,
    flat_channel,
    mistaken_affine,
    mistaken_norm,
    norm_mistakes,
)

# --- 3.1 nearest resizing ---


def nearest_resize(label: Integer[Tensor, "n H W"], height: int, width: int) -> Integer[Tensor, "n h w"]:
    """Row i of the result is row floor(i * H / height) of the label map, and columns likewise: ids stay ids."""
    rows = torch.arange(height) * label.shape[1] // height
    columns = torch.arange(width) * label.shape[2] // width
    return label[:, rows][:, :, columns]


def _resize_cases() -> list[Case]:
    def one(
        text: str, n: int, size: tuple[int, int], new: tuple[int, int], ids: tuple[int, ...] = (0, 1, 7, 11, 33)
    ) -> Case:
        label = torch.tensor(ids)[torch.randint(len(ids), (n, *size))]
        return case(text, label, *new, gradient=False)

    return [
        one("half the size", 2, (6, 8), (3, 4)),
        one("a quarter of the rows, half the columns", 1, (8, 6), (2, 3)),
        one("an odd factor", 2, (13, 11), (5, 4)),
        one("enlarged twice", 1, (3, 4), (6, 8)),
        one("enlarged in one direction, made smaller in the other", 2, (4, 9), (7, 4)),
        one("the same size", 1, (3, 5), (3, 5)),
        one("instance ids", 1, (8, 8), (4, 4), ids=(7, 26000, 26001, 33123)),
        one("with unknown pixels, 255", 2, (9, 9), (4, 6), ids=(0, 1, 255)),
        one("a single row", 2, (1, 6), (1, 3)),
        one("a single column", 2, (6, 1), (3, 1)),
        case("ids as int32", torch.randint(35, (1, 6, 4), dtype=torch.int32), 3, 3, gradient=False),
    ]


def _resize_mistaken(wrong: Wrong, label: Tensor, height: int, width: int) -> Tensor:
    size = variant(wrong, (height, width), swapped=(width, height))
    floats = label[:, None].double()
    if "bilinear" in wrong or "bilinear_rounded" in wrong:
        mixed = F.interpolate(floats, size=size, mode="bilinear")[:, 0]
        return variant(wrong, mixed, bilinear_rounded=mixed.round()).to(label.dtype)
    if "averaged" in wrong:
        return F.adaptive_avg_pool2d(floats, size)[:, 0].to(label.dtype)
    if "largest" in wrong:
        return F.adaptive_max_pool2d(floats, size)[:, 0].to(label.dtype)
    if "cropped" in wrong:
        rows, columns = (torch.arange(new) % old for new, old in zip(size, label.shape[1:]))
        return label[:, rows][:, :, columns]
    index = []
    for new, old in zip(size, label.shape[1:]):
        i = torch.arange(new, dtype=torch.float64)
        corners = i * (old - 1) / max(new - 1, 1)
        place = variant(wrong, i * old / new, centres=(i + 0.5) * old / new, corners=corners)
        place = variant(wrong, place, rounded=place.round(), corners=place.round())
        index.append(place.long().clamp(max=old - 1))
    result = label[:, index[0]][:, :, index[1]]
    return variant(wrong, result, floats=result.float())


def _invented_ids(answer: Callable, reference: Callable) -> str | None:
    """Whether ids come out that never went in."""
    label = torch.tensor([7, 11])[torch.randint(2, (1, 9, 9), generator=torch.Generator().manual_seed(0))]
    seen = {round(float(v), 2) for size in ((4, 5), (14, 12)) for v in torch.as_tensor(answer(label, *size)).unique()}
    invented = sorted(seen - {7.0, 11.0})
    if not invented:
        return None
    return f"From a map of labels 7 and 11 it makes a {invented[0]:g}: ids are mixed. Copy ids, don't mix them."


_RESIZE = Exercise(
    stage="03",
    title="Resizing a label map",
    goal="bring a label map to any size without inventing classes",
    minutes=10,
    difficulty=1,
    reference=nearest_resize,
    cases=_resize_cases,
    mistaken=_resize_mistaken,
    mistakes={
        "bilinear": "The label map is resized with bilinear interpolation: between label 7 and label 11 a 9 appears. "
        "Copy ids, don't mix them.",
        "bilinear_rounded": "The label map is resized with bilinear interpolation and rounded: between label 7 and "
        "label 11 a 9 appears. Copy ids, don't mix them.",
        "averaged": "Ids are averaged: between label 7 and label 11 a 9 appears. Copy ids, don't mix them.",
        "largest": "You take the largest id of each window; take the one pixel that the definition names.",
        "rounded": "The place i * H / height is rounded; take the whole number below it (floor).",
        "centres": "You take the pixel under the centre (i + 0.5); that is mode='nearest-exact'. The definition, and "
        "SPADE's code, take floor(i * H / height).",
        "corners": "The corners of both maps are laid on each other (H - 1 over height - 1); the definition is "
        "floor(i * H / height).",
        "cropped": "The first rows and columns are cut out; take pixels from the whole map.",
        "swapped": "Height and width are swapped.",
        "floats": "The values are right, but floats; ids stay integers of the dtype they came in.",
    },
    hints=(
        "Which row of the old map does row i of the new one show? Work the list of rows out first, then index with it.",
        "torch.arange(height) * H // height is the list of rows; label[:, rows] takes them all at once. Columns "
        "likewise.",
        "return label[:, rows][:, :, columns]",
    ),
    probes=(_invented_ids,),
)


# --- 3.2 the layer ---


def spade_forward(
    x: Float[Tensor, "n c h w"],
    segmap: Float[Tensor, "n l H W"],
    shared: Float[Tensor, "k l 3 3"],
    gamma: Float[Tensor, "c k 3 3"],
    beta: Float[Tensor, "c k 3 3"],
    eps: float,
) -> Float[Tensor, "n c h w"]:
    """y = (1 + gamma(segmap)) * norm(x) + beta(segmap), with the statistics of the batch."""
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    variance = (x - mean).square().mean(dim=(0, 2, 3), keepdim=True)
    normalised = (x - mean) / torch.sqrt(variance + eps)
    resized = F.interpolate(segmap, size=x.shape[-2:], mode="nearest")
    hidden = F.relu(F.conv2d(resized, shared, padding=1))
    return normalised * (1 + F.conv2d(hidden, gamma, padding=1)) + F.conv2d(hidden, beta, padding=1)


def _spade_cases() -> list[Case]:
    return [
        case("2 images, label map of the same size", *_spade_inputs(2, 3, (5, 4), (5, 4))),
        case("label map twice as large", *_spade_inputs(2, 2, (4, 6), (8, 12))),
        case("label map larger by an odd factor", *_spade_inputs(2, 3, (5, 3), (13, 11))),
        case("label map smaller than x", *_spade_inputs(2, 2, (6, 5), (3, 4))),
        case("a batch of 1", *_spade_inputs(1, 3, (3, 4), (6, 8))),
        case("a small spread, so that eps counts", *_spade_inputs(2, 2, (3, 4), (6, 4), scale=0.05, eps=1e-2)),
        case("images of different brightness", *_spade_inputs(3, 2, (3, 3), (3, 3), brightness=2.0)),
        case("float64", *(v.double() if isinstance(v, Tensor) else v for v in _spade_inputs(2, 3, (3, 4), (6, 8)))),
    ]


def _spade_inputs(
    n: int,
    c: int,
    size: tuple[int, int],
    label_size: tuple[int, int],
    scale: float = 1.0,
    eps: float = 1e-5,
    brightness: float = 0.5,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, float]:
    classes, hidden = 4, 5
    x = scale * (torch.randn(n, c, *size) + brightness * torch.randn(n, c, 1, 1))
    label = torch.randint(classes, (n, *label_size))
    segmap = F.one_hot(label, classes).permute(0, 3, 1, 2).float()
    shared = 0.5 * torch.randn(hidden, classes, 3, 3)
    return x, segmap, shared, 0.3 * torch.randn(c, hidden, 3, 3), 0.3 * torch.randn(c, hidden, 3, 3), eps


def _spade_mistaken(
    wrong: Wrong, x: Tensor, segmap: Tensor, shared: Tensor, gamma: Tensor, beta: Tensor, eps: float
) -> Tensor:
    normalised = mistaken_norm(wrong, x, eps, BATCH)
    mode = variant(wrong, "nearest", exact="nearest-exact", bilinear="bilinear", bicubic="bicubic")
    resized = F.interpolate(segmap, size=x.shape[-2:], mode=mode)
    if "area" in wrong:
        resized = F.adaptive_avg_pool2d(segmap, (x.shape[-2], x.shape[-1]))
    if "resized_late" in wrong:
        resized = segmap
    hidden = F.conv2d(resized, shared, padding=1)
    hidden = variant(wrong, F.relu(hidden), no_relu=hidden, leaky=F.leaky_relu(hidden, 0.2))
    if "swapped" in wrong:
        gamma, beta = beta, gamma
    scale, shift = F.conv2d(hidden, gamma, padding=1), F.conv2d(hidden, beta, padding=1)
    if "resized_late" in wrong:
        scale, shift = F.interpolate(scale, size=x.shape[-2:]), F.interpolate(shift, size=x.shape[-2:])
    if "relu_again" in wrong:
        scale, shift = F.relu(scale), F.relu(shift)
    if "labels_normalised" in wrong:
        scale, shift = F.instance_norm(scale), F.instance_norm(shift)
    scale = variant(wrong, 1 + scale, no_plus_one=scale)
    shift = variant(wrong, shift, no_beta=torch.zeros_like(shift))
    if "shift_first" in wrong:
        return scale * (normalised + shift)
    return normalised * scale + shift


_SPADE = Exercise(
    stage="03",
    title="The SPADE layer",
    goal="write equation 1 of the paper: a normalisation whose scale and shift come from the label map",
    minutes=20,
    difficulty=2,
    reference=spade_forward,
    cases=_spade_cases,
    mistaken=_spade_mistaken,
    mistakes={
        "no_plus_one": "gamma is multiplied without the 1 +: the layer computes norm(x) * (1 + gamma) + beta, so "
        "that weights of zero leave the normalised x as it is.",
        **norm_mistakes(BATCH),
        "bilinear": "The label map is resized with bilinear interpolation, which invents mixtures of classes at "
        'borders. Use mode="nearest": a pixel keeps one class.',
        "bicubic": 'The label map is resized with bicubic interpolation; use mode="nearest".',
        "area": "The label map is averaged down to the size of x, which mixes classes; take the nearest pixel.",
        "no_relu": "The ReLU between the shared convolution and the two others is missing.",
        "leaky": "The hidden layer has a LeakyReLU; inside SPADE it is a plain ReLU (the LeakyReLU comes after the "
        "layer, in the block).",
        "swapped": "gamma and beta are swapped: gamma scales, beta shifts.",
        "resized_late": "gamma and beta are computed at the size of the label map and then resized; resize the label "
        "map first.",
        "exact": "The label map is resized with mode='nearest-exact'; SPADE uses 'nearest', floor(i * H / h).",
        "relu_again": "gamma and beta go through a ReLU; only the hidden map does, both may be negative.",
        "labels_normalised": "gamma and beta are normalised; the label branch never is, or a uniform label map "
        "would lose its label.",
        "no_beta": "beta isn't added.",
        "shift_first": "beta is added before scaling; it comes last: norm(x) * (1 + gamma) + beta.",
    },
    hints=(
        "Three steps: normalise x with the statistics of the batch; bring the label map to the size of x and run "
        "the convolutions on it; combine the two. Equation 1, with 1 + gamma for gamma.",
        "mean and variance over (0, 2, 3); F.interpolate(..., mode='nearest') to x.shape[-2:]; hidden = relu of "
        "one convolution; gamma and beta are two convolutions of hidden, all with padding=1.",
        "return normalised * (1 + F.conv2d(hidden, gamma, padding=1)) + ...",
    ),
)


# --- 3.3 CLADE ---


def clade_forward(
    x: Float[Tensor, "n c h w"],
    label: Integer[Tensor, "n h w"],
    gamma: Float[Tensor, "k c"],
    beta: Float[Tensor, "k c"],
    eps: float,
) -> Float[Tensor, "n c h w"]:
    """y = gamma_kc norm(x) + beta_kc with k the class of the pixel, and the statistics of the batch."""
    mean, variance = batch_statistics(x)
    normalised = (x - mean[:, None, None]) / torch.sqrt(variance[:, None, None] + eps)
    return gamma[label].permute(0, 3, 1, 2) * normalised + beta[label].permute(0, 3, 1, 2)


def _clade_cases() -> list[Case]:
    def one(text: str, x: Tensor, classes: int, eps: float = 1e-5) -> Case:
        n, c, h, w = x.shape
        gamma, beta = (torch.randn(classes, c).to(x.dtype) for _ in range(2))
        return case(text, x, torch.randint(classes, (n, h, w)), gamma + 1.5, beta, eps)

    return [
        one("2 images of 3 channels, 4 classes", features(2, 3, 4, 5), 4),
        one("a batch of 1", features(1, 2, 3, 4), 3),
        one("as many classes, channels, rows and columns", features(2, 3, 3, 3), 3),
        one("one class only: batch norm", features(2, 2, 3, 2), 1),
        one("a small spread, so that eps counts", flat_channel(features(2, 2, 3, 4, scale=0.05)), 2, 1e-3),
        one("float64", features(2, 2, 4, 3).double(), 5),
    ]


def _clade_mistaken(wrong: Wrong, x: Tensor, label: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> Tensor:
    y = mistaken_norm(wrong, x, eps, BATCH)
    if "image_class" in wrong:
        label = label[:, :1, :1].expand_as(label)
    if "first_image" in wrong:
        label = label[:1].expand_as(label)
    if "transposed" in wrong and "viewed" not in wrong:
        label = label.transpose(1, 2).reshape(label.shape)
    if "averaged" in wrong:
        gamma, beta = gamma.mean(0).expand_as(gamma), beta.mean(0).expand_as(beta)
    gamma, beta = gamma[label], beta[label]
    if "viewed" in wrong:
        return mistaken_affine(wrong, y, gamma.reshape(x.shape), beta.reshape(x.shape))
    return mistaken_affine(wrong, y, gamma.permute(0, 3, 1, 2), beta.permute(0, 3, 1, 2))


_CLADE = Exercise(
    stage="03",
    title="CLADE: a table instead of convolutions",
    goal="take SPADE's convolutions away: gamma and beta are looked up by the class of the pixel (Tan et al. 2021)",
    minutes=10,
    difficulty=2,
    reference=clade_forward,
    cases=_clade_cases,
    mistaken=_clade_mistaken,
    mistakes={
        **norm_mistakes(BATCH),
        "viewed": "gamma[label] has shape (n, h, w, c); `view` and `reshape` scramble it. Move its last axis: "
        ".permute(0, 3, 1, 2).",
        "transposed": "The label map's rows and columns are swapped.",
        "image_class": "The whole image gets the class of its first pixel; every pixel has its own.",
        "first_image": "Every image gets the label map of the first one.",
        "averaged": "gamma and beta are averaged over the classes; every pixel takes its own class's row.",
        **AFFINE,
    },
    hints=(
        "Normalise as batch norm does in training. Then every pixel looks its class up in the two tables.",
        "gamma[label] has shape (n, h, w, c): indexing with a map of ids puts a row of c numbers at every pixel. Move "
        "the last axis behind the first.",
        "return gamma[label].permute(0, 3, 1, 2) * normalised + ...",
    ),
)


# --- 3.4 the block ---


def spade_block(
    x: Float[Tensor, "n fin h w"], segmap: Float[Tensor, "n l H W"], parts: nn.ModuleDict
) -> Float[Tensor, "n fout h w"]:
    """y = conv_1(a(norm_1(conv_0(a(norm_0(x)))))) + skip(x), a = LeakyReLU 0.2; norms are called as norm(x, segmap).

    skip(x) = conv_s(norm_s(x)), without activation, where `parts` has them; else x.
    """
    skip = parts["conv_s"](parts["norm_s"](x, segmap)) if "conv_s" in parts else x
    y = parts["conv_0"](F.leaky_relu(parts["norm_0"](x, segmap), 0.2))
    return skip + parts["conv_1"](F.leaky_relu(parts["norm_1"](y, segmap), 0.2))


class AveragingNorm(nn.Module):
    """A norm that is called as SPADE is, and needs the full-size label map: it averages it down to the size of x."""

    def __init__(self, channels: int, label_channels: int):
        super().__init__()
        self.scale = nn.Conv2d(label_channels, channels, 1)

    def forward(self, x: Float[Tensor, "n c h w"], segmap: Float[Tensor, "n l H W"]) -> Float[Tensor, "n c h w"]:
        """Instance norm, scaled by the share of each class around a pixel."""
        shares = F.adaptive_avg_pool2d(segmap, (x.shape[-2], x.shape[-1]))
        return F.instance_norm(x) * (1 + self.scale(shares))


def _block_parts(fin: int, fout: int, labels: int, learned: bool, averaging: bool) -> nn.ModuleDict:
    """The parts of a block with instance norm (which keeps nothing between calls), and lively weights."""
    middle = min(fin, fout)
    norm = AveragingNorm if averaging else partial(SPADE, hidden_channels=4, norm="instance")
    parts = nn.ModuleDict(
        {
            "norm_0": norm(fin, labels),
            "conv_0": nn.Conv2d(fin, middle, 3, padding=1),
            "norm_1": norm(middle, labels),
            "conv_1": nn.Conv2d(middle, fout, 3, padding=1),
        }
    )
    if learned:
        parts["norm_s"] = norm(fin, labels)
        parts["conv_s"] = nn.Conv2d(fin, fout, 1, bias=False)
    for weight in parts.parameters():
        nn.init.normal_(weight, std=0.4)
    return parts


def _spade_block_cases() -> list[Case]:
    def one(
        text: str,
        n: int,
        fin: int,
        fout: int,
        size: tuple[int, int],
        label_size: tuple[int, int],
        learned: bool = False,
        averaging: bool = False,
    ) -> Case:
        labels = 3
        segmap = F.one_hot(torch.randint(labels, (n, *label_size)), labels).permute(0, 3, 1, 2).float()
        parts = _block_parts(fin, fout, labels, learned or fin != fout, averaging)
        return case(text, features(n, fin, *size), segmap, parts)

    return [
        one("4 channels to 2: a learned skip", 2, 4, 2, (4, 5), (8, 10)),
        one("3 channels to 3: x itself is the skip", 2, 3, 3, (4, 3), (4, 3)),
        one("2 channels to 3, a batch of 1", 1, 2, 3, (3, 4), (6, 4)),
        one("3 channels to 3, a batch of 1", 1, 3, 3, (5, 4), (7, 9)),
        one("3 channels to 3, and a learned skip all the same", 2, 3, 3, (3, 4), (6, 8), learned=True),
        one("norms that average the full-size label map", 2, 2, 3, (3, 4), (6, 8), averaging=True),
        one("1 channel to 1", 2, 1, 1, (3, 4), (6, 8)),
    ]  # fmt: skip


def _spade_block_mistaken(wrong: Wrong, x: Tensor, segmap: Tensor, parts: nn.ModuleDict) -> Tensor:
    slope = variant(wrong, 0.2, relu=0.0, slope=0.01)
    if "shrunk_labels" in wrong:
        segmap = F.interpolate(segmap, size=x.shape[-2:], mode="nearest")
    y = parts["norm_0"](x, segmap)
    y = parts["conv_0"](variant(wrong, F.leaky_relu(y, slope), no_first_activation=y))
    if "one_half" not in wrong:
        if "no_second_norm" not in wrong:
            y = parts["norm_1"](y, segmap)
        y = variant(wrong, F.leaky_relu(y, slope), no_second_activation=y)
    y = parts["conv_1"](y)
    if "no_skip" not in wrong:
        y = y + _skip_mistaken(wrong, x, segmap, parts, slope)
    return variant(wrong, y, activated_sum=F.leaky_relu(y, slope), tanh=torch.tanh(y))


def _skip_mistaken(wrong: Wrong, x: Tensor, segmap: Tensor, parts: nn.ModuleDict, slope: float) -> Tensor:
    same_width = parts["conv_0"].in_channels == parts["conv_1"].out_channels
    if variant(wrong, "conv_s" not in parts, by_widths=same_width):
        return variant(wrong, x, skip_normalised=parts["norm_0"](x, segmap))
    skip = x
    if "skip_without_norm" not in wrong:
        skip = parts[variant(wrong, "norm_s", skip_norm_0="norm_0")](x, segmap)
    return parts["conv_s"](variant(wrong, skip, skip_activated=F.leaky_relu(skip, slope)))


_BLOCK = Exercise(
    stage="03",
    title="The SPADE block",
    goal="build the residual block of figure 11, with the skip path as in the code",
    minutes=15,
    difficulty=2,
    reference=spade_block,
    cases=_spade_block_cases,
    mistaken=_spade_block_mistaken,
    mistakes={
        "skip_activated": "There is an activation on the skip path; it is norm_s, then conv_s, and nothing else (in "
        "the code; figure 11 draws a ReLU).",
        "skip_without_norm": "The learned skip goes through norm_s first: conv_s(norm_s(x, segmap)).",
        "skip_norm_0": "The skip path uses norm_0; it has a norm of its own, norm_s.",
        "skip_normalised": "Without conv_s the skip is x itself, not normalised.",
        "by_widths": "The skip path is chosen by the widths; ask `parts`: where it has conv_s, the skip is learned, "
        "between equal widths too.",
        "shrunk_labels": "The norms get a label map that is resized already; each gets the full-size one, and resizes "
        "it in its own way.",
        "no_skip": "The skip path isn't added.",
        "activated_sum": "An activation follows the sum; nothing does (the next block begins with its norm).",
        "tanh": "tanh comes once, at the end of the generator, not after a block.",
        "relu": "The activation is a plain ReLU; the code uses LeakyReLU with slope 0.2 (figure 11 draws ReLU).",
        "slope": "The LeakyReLU has slope 0.01, torch's default; here it is 0.2.",
        "no_first_activation": "The activation between norm_0 and conv_0 is missing.",
        "no_second_activation": "The activation between norm_1 and conv_1 is missing.",
        "no_second_norm": "norm_1 is missing: it stands before the second activation and conv_1.",
        "one_half": "Between the two convolutions stand norm_1 and an activation.",
    },
    hints=(
        "Two paths and a sum. The main path is twice the same: norm, LeakyReLU, convolution.",
        "skip = conv_s(norm_s(x, segmap)) if 'conv_s' in parts, else x. F.leaky_relu(..., 0.2) on the main path only.",
        "y = parts['conv_0'](F.leaky_relu(parts['norm_0'](x, segmap), 0.2)), and the same once more with _1",
    ),
)

EXERCISES = (_RESIZE, _SPADE, _CLADE, _BLOCK)
