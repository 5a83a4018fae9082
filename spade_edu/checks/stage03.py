"""Stage 03: the SPADE layer."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from .exercise import Case, Exercise, case


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
        case("a small spread, so that eps counts", *_spade_inputs(2, 2, (3, 4), (6, 4), scale=0.05, eps=1e-3)),
        case("images of different brightness", *_spade_inputs(3, 2, (3, 3), (3, 3), brightness=2.0)),
        case("float64", *(v.double() if isinstance(v, Tensor) else v for v in _spade_inputs(2, 3, (3, 4), (6, 8)))),
    ]


def _spade_inputs(n, c, size, label_size, scale=1.0, eps=1e-5, brightness=0.5):
    classes, hidden = 4, 5
    x = scale * (torch.randn(n, c, *size) + brightness * torch.randn(n, c, 1, 1))
    label = torch.randint(classes, (n, *label_size))
    segmap = F.one_hot(label, classes).permute(0, 3, 1, 2).float()
    shared = 0.5 * torch.randn(hidden, classes, 3, 3)
    return x, segmap, shared, 0.3 * torch.randn(c, hidden, 3, 3), 0.3 * torch.randn(c, hidden, 3, 3), eps


def _spade_mistaken(wrong, x, segmap, shared, gamma, beta, eps):
    axes = (2, 3) if "instance" in wrong else (1, 2, 3) if "layer" in wrong else (0, 2, 3)
    mean = x.mean(dim=axes, keepdim=True)
    centred = x if "no_mean" in wrong else x - mean
    variance = (x - mean).square().mean(dim=axes, keepdim=True)
    if "unbiased" in wrong:
        variance = x.var(dim=axes, keepdim=True, unbiased=True)
    root = {"eps_outside": variance.sqrt() + eps, "no_eps": variance.sqrt(), "no_root": variance + eps}
    deviation = next((value for name, value in root.items() if name in wrong), torch.sqrt(variance + eps))
    normalised = x if "no_norm" in wrong else centred / deviation
    mode = "bilinear" if "bilinear" in wrong else "bicubic" if "bicubic" in wrong else "nearest"
    resized = F.interpolate(segmap, size=x.shape[-2:], mode=mode)
    if "area" in wrong:
        resized = F.adaptive_avg_pool2d(segmap, x.shape[-2:])
    hidden = F.conv2d(resized, shared, padding=1)
    if "no_relu" not in wrong:
        hidden = F.leaky_relu(hidden, 0.2) if "leaky" in wrong else F.relu(hidden)
    if "swapped" in wrong:
        gamma, beta = beta, gamma
    scale, shift = F.conv2d(hidden, gamma, padding=1), F.conv2d(hidden, beta, padding=1)
    if "labels_normalised" in wrong:
        scale, shift = F.instance_norm(scale), F.instance_norm(shift)
    scale = scale if "no_plus_one" in wrong else 1 + scale
    shift = torch.zeros_like(shift) if "no_beta" in wrong else shift
    if "shift_first" in wrong:
        return scale * (normalised + shift)
    return normalised * scale + shift


STATISTICS = {
    "instance": "The statistics are taken over (h, w) of each image by itself: that is instance norm. Here they "
    "are taken over batch, height and width, axes (0, 2, 3).",
    "layer": "The statistics are taken over the channels too, axes (1, 2, 3): that is layer norm. Every channel has "
    "its own mean and variance, over axes (0, 2, 3).",
    "unbiased": "Your variance divides by n - 1 (torch.var's default); batch norm normalises with the variance that "
    "divides by n.",
    "eps_outside": "eps is added to the deviation, behind the root; it belongs under the root: sqrt(variance + eps).",
    "no_eps": "eps is missing: divide by sqrt(variance + eps), or a constant channel divides by zero.",
    "no_root": "You divide by the variance; divide by its square root, the standard deviation.",
    "no_mean": "The mean isn't subtracted before dividing.",
}

EXERCISES = (
    Exercise(
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
            **STATISTICS,
            "no_norm": "x itself is scaled and shifted; it has to be normalised first.",
            "bilinear": "The label map is resized with bilinear interpolation, which invents mixtures of classes at "
            'borders. Use mode="nearest": a pixel keeps one class.',
            "bicubic": 'The label map is resized with bicubic interpolation; use mode="nearest".',
            "area": "The label map is averaged down to the size of x, which mixes classes; take the nearest pixel.",
            "no_relu": "The ReLU between the shared convolution and the two others is missing.",
            "leaky": "The hidden layer has a LeakyReLU; inside SPADE it is a plain ReLU (the LeakyReLU comes after the "
            "layer, in the block).",
            "swapped": "gamma and beta are swapped: gamma scales, beta shifts.",
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
    ),
)
