"""Stage 02: pix2pixHD: its blocks, and how much its discriminator sees."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from .exercise import Case, Exercise, Wrong, case, variant
from .s01_batchnorm import INSTANCE, features, mistaken_norm, norm_mistakes

# --- 2.1 residual block ---


def residual_block(
    x: Float[Tensor, "n c h w"],
    weight_0: Float[Tensor, "c c 3 3"],
    weight_1: Float[Tensor, "c c 3 3"],
    eps: float,
) -> Float[Tensor, "n c h w"]:
    """y = x + norm(conv_1(relu(norm(conv_0(x))))): instance norm, reflection padding, nothing after the sum."""
    y = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), weight_0)
    y = F.relu(F.instance_norm(y, eps=eps))
    y = F.conv2d(F.pad(y, (1, 1, 1, 1), mode="reflect"), weight_1)
    return x + F.instance_norm(y, eps=eps)


def _block_cases() -> list[Case]:
    def one(text: str, n: int, c: int, h: int, w: int, scale: float = 1.0, eps: float = 1e-5) -> Case:
        return case(text, features(n, c, h, w), scale * torch.randn(c, c, 3, 3), scale * torch.randn(c, c, 3, 3), eps)

    return [
        one("2 images of 3 channels", 2, 3, 5, 4),
        one("a batch of 1", 1, 2, 4, 6),
        one("small weights, so that eps counts", 2, 2, 4, 4, scale=0.01, eps=1e-1),
        one("a large eps", 1, 3, 3, 5, eps=2.0),
        one("3x3 pixels: all but one touch the rim", 2, 2, 3, 3),
        case("float64", *(v.double() for v in one("", 2, 2, 4, 5).arguments[:3]), 1e-5),
    ]


def _block_mistaken(wrong: Wrong, x: Tensor, weight_0: Tensor, weight_1: Tensor, eps: float) -> Tensor:
    mode = variant(wrong, "reflect", zero_padding="constant", replicate="replicate")

    def conv(y: Tensor, weight: Tensor, mode: str = mode) -> Tensor:
        return F.conv2d(F.pad(y, (1, 1, 1, 1), mode=mode), weight)

    def norm(y: Tensor) -> Tensor:
        return mistaken_norm(wrong, y, eps, INSTANCE)

    if "pre_activation" in wrong:
        return x + conv(F.relu(norm(conv(F.relu(norm(x)), weight_0))), weight_1)
    y = conv(x, variant(wrong, weight_0, exchanged=weight_1))
    if "relu_first" in wrong:
        y = norm(F.relu(y))
    else:
        y = norm(y)
        y = variant(wrong, F.relu(y), no_relu=y, leaky=F.leaky_relu(y, 0.2))
    later = variant(wrong, weight_1, exchanged=weight_0, same_weight=weight_0)
    y = conv(y, later, variant(wrong, mode, zeros_later="constant"))
    if "norm_after_sum" in wrong:
        return norm(x + y)
    if "one_norm" not in wrong:
        y = norm(y)
    y = variant(wrong, y, relu_last=F.relu(y))
    y = variant(wrong, x + y, no_skip=y)
    return variant(wrong, y, relu_after_sum=F.relu(y))


NORM_MISTAKES = {"batch", "layer", "unbiased", "eps_outside", "no_eps", "fixed_eps", "no_root", "no_mean", "only_mean",
                 "detached"}  # fmt: skip

_BLOCK = Exercise(
    stage="02",
    title="pix2pixHD's residual block",
    goal="put together the block that does most of pix2pixHD's work, at the bottom of its generator",
    minutes=15,
    difficulty=2,
    reference=residual_block,
    cases=_block_cases,
    mistaken=_block_mistaken,
    mistakes={
        "no_skip": "x isn't added at the end: the block's output is a change of x, not a new x.",
        "relu_after_sum": "There is no ReLU after the sum.",
        "relu_last": "There is no ReLU behind the second norm; the change must be able to lower x.",
        "zero_padding": "The rim is padded with zeros; here by reflection (mode='reflect'), as zeros would tell the "
        "rim of a uniform map from its middle.",
        "zeros_later": "The second convolution pads with zeros; it has a reflection padding too.",
        "replicate": "The rim is padded by repeating the last pixel; here by reflection (mode='reflect').",
        "no_relu": "The ReLU between the two halves is missing.",
        "leaky": "The activation is a LeakyReLU; pix2pixHD's generator uses a plain ReLU.",
        "relu_first": "The ReLU stands before the norm; the order is convolution, norm, ReLU.",
        "one_norm": "The second norm, behind the second convolution, is missing.",
        "norm_after_sum": "The second norm is applied to the sum; it belongs before it, to the change only.",
        "pre_activation": "The order is convolution, norm, ReLU, convolution, norm; yours starts with norm and ReLU.",
        "exchanged": "The two weights are exchanged: weight_0 comes first.",
        "same_weight": "Both convolutions use weight_0; the second one's is weight_1.",
        **{name: text for name, text in norm_mistakes(INSTANCE).items() if name in NORM_MISTAKES},
        "no_norm": "There is no norm at all: an instance norm follows each convolution.",
    },
    hints=(
        "A change is computed and added to x. The change: convolution, norm, ReLU, convolution, norm.",
        "F.pad(x, (1, 1, 1, 1), mode='reflect') before each F.conv2d keeps the size; F.instance_norm(y, eps=eps) "
        "normalises. Nothing follows the sum.",
        "y = F.relu(F.instance_norm(F.conv2d(F.pad(x, (1, 1, 1, 1), mode='reflect'), weight_0), eps=eps))",
    ),
)


# --- 2.2 receptive field ---


def receptive_field(layers: list[tuple[int, int]]) -> int:
    """From the first to the last input pixel (along one side) that one output pixel sees; layers: (kernel, stride)."""
    field, step = 1, 1  # step: how many input pixels lie between two neighbouring outputs
    for kernel, stride in layers:
        field += (kernel - 1) * step
        step *= stride
    return field


def _field_cases() -> list[Case]:
    return [
        case("pix2pixHD's discriminator: 4x4, strides 2 2 2 1 1", [(4, 2), (4, 2), (4, 2), (4, 1), (4, 1)]),
        case("one 3x3 convolution", [(3, 1)]),
        case("two 3x3 convolutions", [(3, 1), (3, 1)]),
        case("strides first", [(3, 2), (3, 1)]),
        case("strides last", [(3, 1), (3, 2)]),
        case("1x1 with stride 2, then 5x5 and 7x7", [(1, 2), (5, 3), (7, 1)]),
        case("no layer at all: a pixel sees itself", []),
    ]


def _field_mistaken(wrong: Wrong, layers: list[tuple[int, int]]) -> int:
    layers = variant(wrong, layers, backwards=layers[::-1])
    layers = variant(wrong, layers, last_missing=layers[:-1])
    field, step = variant(wrong, 1, from_zero=0), 1
    for kernel, stride in layers:
        if "stride_first" in wrong:
            step *= stride
        if "only_last_stride" in wrong:
            step = stride
        field += variant(wrong, kernel - 1, whole_kernel=kernel) * variant(wrong, step, no_stride=1)
        if "product" in wrong:
            field = field * stride
        if "added_strides" in wrong:
            step += stride - 1
        elif "stride_first" not in wrong and "only_last_stride" not in wrong:
            step *= stride
    return field


_FIELD = Exercise(
    stage="02",
    title="The patch of a patch discriminator",
    goal="work out how large the patches are that pix2pixHD's discriminator judges",
    minutes=15,
    difficulty=2,
    reference=receptive_field,
    cases=_field_cases,
    mistaken=_field_mistaken,
    mistakes={
        "no_stride": "The strides have no effect in yours; behind a stride of 2, one pixel further is two input pixels "
        "further.",
        "stride_first": "A layer's own stride already counts for its own kernel; it counts for the layers after it.",
        "only_last_stride": "Only one stride counts at a time; the strides of all layers before multiply.",
        "added_strides": "The strides are added; they multiply.",
        "whole_kernel": "Each layer adds its whole kernel; it adds kernel - 1 steps, as the windows overlap.",
        "backwards": "Your formula goes through the layers in the wrong direction (field + (kernel - 1) * step goes "
        "from the input on; field * stride + kernel - stride goes back from the output).",
        "from_zero": "It starts at 0; without any layer a pixel sees one pixel, itself.",
        "product": "The whole field is multiplied by the stride; only the steps of later layers are.",
        "last_missing": "The last layer isn't counted.",
    },
    hints=(
        "Go through the layers from the input on and keep two numbers: how much is seen, and how far apart in the "
        "input two neighbours of the present layer are.",
        "Start with field = 1 and step = 1. A kernel adds kernel - 1 steps to the field; then its stride makes the "
        "step longer.",
        "field += (kernel - 1) * step, then step *= stride",
    ),
)

EXERCISES = (_BLOCK, _FIELD)
