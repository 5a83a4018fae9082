"""Stage 06: the network that judges."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from .calling import Complaint
from .exercise import Case, Exercise, Wrong, case, variant

# --- 6.1 the patch discriminator ---


def patch_discriminator(in_channels: int, ndf: int, num_layers: int) -> nn.ModuleList:
    """`num_layers` convolutions and one to a single channel, each with what follows it: norm and LeakyReLU, or nothing.

    All have kernel 4 and padding 2, and stride 2 but for the last two; widths ndf, 2 ndf, 4 ndf ..., at most 512.
    """
    widths = [in_channels] + [min(ndf * 2**i, 512) for i in range(num_layers)]
    layers = nn.ModuleList()
    for i, (fin, fout) in enumerate(zip(widths, widths[1:]), start=1):
        layer = nn.Sequential(nn.Conv2d(fin, fout, 4, stride=2 if i < num_layers else 1, padding=2))
        if i > 1:
            layer.append(nn.InstanceNorm2d(fout))
        layers.append(layer.append(nn.LeakyReLU(0.2)))
    return layers.append(nn.Conv2d(widths[-1], 1, 4, padding=2))


def waves(shape: torch.Size, start: float) -> Tensor:
    """Numbers between -1 and 1 that look random and cost nothing."""
    return torch.sin(1.7 * torch.arange(shape.numel()) + start).view(shape)


def _feature_maps(layers: object, in_channels: int, ndf: int, num_layers: int) -> object:
    """What the layers make of a made-up input, one after the other, when their weights are filled in."""
    if layers is ...:
        return layers
    if not isinstance(layers, nn.ModuleList | nn.Sequential | list | tuple):
        raise Complaint(f"Return an nn.ModuleList with {num_layers + 1} entries, one for each convolution.")
    for i, layer in enumerate(layers, start=1):
        if not isinstance(layer, nn.Module):
            raise Complaint(f"Entry {i} is no layer (nn.Module) but something of type {type(layer).__name__}.")
        if any(is_parametrized(module) or hasattr(module, "weight_orig") for module in layer.modules()):
            raise Complaint("Leave spectral norm out here; it has an exercise of its own.")
        for p in layer.parameters():
            p.data = waves(p.shape, i) / max(1, p[0].numel()) ** 0.5
    image = waves(torch.Size((2, in_channels, 18, 26)), 0.5)
    features = _run(layers, image)
    for layer in layers:
        layer.eval()
    return {f"of entry {i}": x for i, x in enumerate(features, start=1)} | {"in eval": _run(layers, image)[-1:]}


def _run(layers: Iterable[nn.Module], x: Tensor) -> list[Tensor]:
    """What each of the layers gives."""
    features = []
    for i, layer in enumerate(layers, start=1):
        try:
            x = layer(x)
        except (RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise Complaint(f"Entry {i} can't take a map of shape {tuple(x.shape)}: {reason}.") from None
        features.append(x)
    return features


def _patch_cases() -> list[Case]:
    sizes = [(5, 2, 3), (7, 3, 4), (3, 4, 2), (4, 150, 3)]
    return [case(f"{c} channels, ndf {ndf}, {n} layers", c, ndf, n, gradient=False) for c, ndf, n in sizes]


def _width(wrong: Wrong, ndf: int, number: int) -> int:
    first = 2 * ndf if "starts_wide" in wrong else ndf
    width = first if "one_width" in wrong else first * 2**number
    return width if "no_limit" in wrong else min(width, 512)


def _conv(wrong: Wrong, fin: int, fout: int, halves: bool) -> nn.Conv2d:
    kernel = 3 if "kernel_3" in wrong else 4
    padding = 1 if {"padding_1", "kernel_3"} & wrong else 2
    return nn.Conv2d(fin, fout, kernel, stride=1 + halves, padding=padding)


def _norm(wrong: Wrong, channels: int) -> nn.Module:
    if "batch" in wrong:
        return nn.BatchNorm2d(channels)
    return nn.InstanceNorm2d(channels, affine="affine" in wrong, track_running_stats="tracked" in wrong)


def _active(wrong: Wrong) -> nn.Module:
    if "relu" in wrong:
        return nn.ReLU()
    return nn.LeakyReLU(0.01 if "slope" in wrong else 0.2)


def _verdict(wrong: Wrong, fin: int) -> nn.Sequential:
    last = nn.Sequential(_conv(wrong, fin, 3 if "three" in wrong else 1, bool({"verdict_halves", "turned"} & wrong)))
    if "norm_last" in wrong:
        last.append(nn.InstanceNorm2d(1))
    if "sigmoid" in wrong:
        last.append(nn.Sigmoid())
    elif "active_last" in wrong:
        last.append(_active(wrong))
    return last


def _patch_mistaken(wrong: Wrong, in_channels: int, ndf: int, num_layers: int) -> nn.ModuleList:
    number = num_layers + ("one_more" in wrong) - ("one_less" in wrong)
    widths = [_width(wrong, ndf, i) for i in range(number)]
    layers = nn.ModuleList()
    for i, (fin, fout) in enumerate(zip([in_channels, *widths], widths), start=1):
        halves = variant(wrong, i < number, all_halve=True, no_stride=False, turned=i == number)
        normed = (i > 1 or "norm_first" in wrong) and "no_norm" not in wrong
        behind = [_norm(wrong, fout), _active(wrong)] if normed else [_active(wrong)]
        if "active_before_norm" in wrong:
            behind.reverse()
        layers.append(nn.Sequential(_conv(wrong, fin, fout, halves), *behind))
    if "no_verdict" not in wrong:
        layers.append(_verdict(wrong, [in_channels, *widths][-1]))
    if "taken_apart" in wrong:
        return nn.ModuleList(module for layer in layers for module in layer.children())
    return layers


_PATCH = Exercise(
    stage="06",
    title="The patch discriminator",
    goal="build the network that judges a picture patch by patch",
    minutes=20,
    difficulty=2,
    reference=patch_discriminator,
    cases=_patch_cases,
    mistaken=_patch_mistaken,
    mistakes={
        "one_less": "There is a convolution too few: `num_layers` of them, and then the one to a single channel.",
        "one_more": "There is a convolution too many: `num_layers` of them, and then the one to a single channel.",
        "no_verdict": "The last convolution, to a single channel, is missing.",
        "three": "The last convolution gives one channel, the verdict.",
        "taken_apart": "Each entry is a convolution with what follows it, so that what it gives is a feature map: put "
        "them together with nn.Sequential.",
        "starts_wide": "The first convolution has ndf channels; the doubling begins with the second.",
        "one_width": "Every convolution but the last has twice the channels of the one before.",
        "no_limit": "No convolution has more than 512 channels: min(..., 512).",
        "kernel_3": "The kernels are 4x4, with padding 2; yours are 3x3.",
        "padding_1": "The padding is 2, on each side.",
        "no_stride": "The first convolutions have stride 2; without it every patch is tiny.",
        "all_halve": "The convolution before the verdict has stride 1: only the first num_layers - 1 halve the map.",
        "turned": "The strides are the wrong way round: 2 in the first num_layers - 1 convolutions, 1 in the last two.",
        "verdict_halves": "The last convolution, to one channel, has stride 1.",
        "norm_first": "The first convolution has no norm behind it: the discriminator should see colours as they are.",
        "no_norm": "The instance norms are missing; all convolutions have one behind them but the first and the last.",
        "norm_last": "There is a norm behind the last convolution; the verdict's mean would always be 0.",
        "batch": "You have batch norm; the norm is nn.InstanceNorm2d.",
        "affine": "The instance norm has weights of its own (affine=True); here it has none, which is the default.",
        "tracked": "The instance norm keeps running statistics for eval; here it has none, which is the default.",
        "active_before_norm": "The norm comes before the LeakyReLU.",
        "relu": "The activation is a ReLU; it is LeakyReLU with slope 0.2.",
        "slope": "The LeakyReLU's slope is 0.01 (torch's default); here it is 0.2.",
        "active_last": "There is an activation behind the last convolution; a verdict is any number.",
        "sigmoid": "There is a sigmoid behind the last convolution; the hinge loss takes any number.",
    },
    hints=(
        "Write down the widths first: in_channels, ndf, 2 ndf, 4 ndf ... Each neighbouring pair is a convolution. "
        "Which entries differ from the rest, and in what?",
        "Entry 1: convolution, LeakyReLU. Entries 2 to num_layers: convolution, nn.InstanceNorm2d, LeakyReLU. The last "
        "one: a convolution to 1 channel. The stride is 2 in the first num_layers - 1 entries. nn.Sequential(...) puts "
        "together what belongs to one entry.",
        "nn.Sequential(nn.Conv2d(fin, fout, 4, stride=2 if i < num_layers else 1, padding=2), ...)",
    ),
    observe=_feature_maps,
)

EXERCISES = (_PATCH,)
