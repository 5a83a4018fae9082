"""Stage 06: what the two networks are trained for, and how they are kept in step."""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrize import is_parametrized

from .. import losses
from .calling import Complaint
from .exercise import Case, Exercise, case
from .s05_spade_generator import label_maps

Scales = list[list[Tensor]]  # what a discriminator returns: for each scale its feature maps, prediction last


def average(values: list[Tensor]) -> Tensor:
    """The mean of a few scalars."""
    return torch.stack(values).mean()


def scales(n: int, sizes: list[int], widths: list[int], spread: float = 2.0) -> Scales:
    """Made-up feature maps: for each side in `sizes` a list of maps of these widths, then a prediction."""
    maps = lambda side: [spread * torch.randn(n, c, side + i, side) for i, c in enumerate([*widths, 1])]  # noqa: E731
    return [maps(side) for side in sizes]


def reduced(wrong: frozenset, values: list[Tensor]) -> Tensor:
    """Mean over each scale's values, then over the scales, with the mistakes in `wrong`."""
    if "sum" in wrong:
        return average([v.sum() for v in values])
    if "one_scale" in wrong or "last_scale" in wrong:
        return values[0].mean() if "one_scale" in wrong else values[-1].mean()
    if "pooled" in wrong:
        return torch.cat([v.flatten() for v in values]).mean()
    total = torch.stack([v.mean() for v in values]).sum()
    return total if "scales_summed" in wrong else total / len(values)


REDUCED = {
    "sum": "The values of a prediction map are added up; take their mean, or the loss grows with the picture.",
    "scales_summed": "The scales are added up; take their mean.",
    "one_scale": "Only the first scale counts; take the mean over all scales.",
    "last_scale": "Only the last scale counts; take the mean over all scales.",
    "pooled": "All predictions are averaged at once, so that the finest scale, with the most of them, decides: first "
    "the mean of each scale, then the mean over scales.",
    "first_map": "You take the first feature map of each scale; the prediction is the last entry, scale[-1].",
    "all_maps": "You take all feature maps of each scale; only the last entry, scale[-1], is the prediction.",
}


def predictions(wrong: frozenset, scales: Scales) -> list[Tensor]:
    """Each scale's prediction, with the mistakes in `wrong`."""
    if "all_maps" in wrong:
        return [torch.cat([m.flatten() for m in scale]) for scale in scales]
    return [scale[0] if "first_map" in wrong else scale[-1] for scale in scales]


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


def _run(layers: object, x: Tensor) -> list[Tensor]:
    """What each of the layers gives."""
    features = []
    for i, layer in enumerate(layers, start=1):
        try:
            features.append(layer(features[-1] if features else x))
        except (RuntimeError, ValueError) as error:
            shape = tuple((features[-1] if features else x).shape)
            raise Complaint(f"Entry {i} can't take a map of shape {shape}: {str(error).splitlines()[0]}.") from None
    return features


def _patch_cases() -> list[Case]:
    sizes = [(5, 2, 3), (7, 3, 4), (3, 4, 2), (4, 150, 3)]
    return [case(f"{c} channels, ndf {ndf}, {n} layers", c, ndf, n, gradient=False) for c, ndf, n in sizes]


def _patch_mistaken(wrong, in_channels, ndf, num_layers):
    number = num_layers + ("one_more" in wrong) - ("one_less" in wrong)
    first = 2 * ndf if "starts_wide" in wrong else ndf
    widths = [first if "one_width" in wrong else first * 2**i for i in range(number)]
    widths = [w if "no_limit" in wrong else min(w, 512) for w in widths]
    kernel, padding = 3 if "kernel_3" in wrong else 4, 1 if {"padding_1", "kernel_3"} & wrong else 2
    norm = (
        nn.BatchNorm2d
        if "batch" in wrong
        else partial(nn.InstanceNorm2d, affine="affine" in wrong, track_running_stats="tracked" in wrong)
    )
    active = nn.ReLU() if "relu" in wrong else nn.LeakyReLU(0.01 if "slope" in wrong else 0.2)
    layers = nn.ModuleList()
    for i, (fin, fout) in enumerate(zip([in_channels, *widths], widths), start=1):
        stride = 2 if (i < number or "all_halve" in wrong) and "no_stride" not in wrong else 1
        layer = nn.Sequential(nn.Conv2d(fin, fout, kernel, stride=stride, padding=padding))
        normed = (i > 1 or "norm_first" in wrong) and "no_norm" not in wrong
        if normed and "active_before_norm" not in wrong:
            layer.append(norm(fout))
        layer.append(active)
        if normed and "active_before_norm" in wrong:
            layer.append(norm(fout))
        layers.append(layer)
    fin = widths[-1] if widths else in_channels
    stride = 2 if "verdict_halves" in wrong else 1
    last = nn.Sequential(nn.Conv2d(fin, 3 if "three" in wrong else 1, kernel, stride=stride, padding=padding))
    last = last.append(nn.InstanceNorm2d(1)) if "norm_last" in wrong else last
    last = last.append(nn.Sigmoid()) if "sigmoid" in wrong else last.append(active) if "active_last" in wrong else last
    layers = layers if "no_verdict" in wrong else layers.append(last)
    return nn.ModuleList(m for layer in layers for m in layer) if "taken_apart" in wrong else layers


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


# --- 6.2 and 6.3 hinge losses ---


def hinge_generator(fake: list[list[Tensor]]) -> Float[Tensor, ""]:
    """-mean D(fake), averaged over scales. fake: for each scale its feature maps, the prediction D last."""
    return torch.stack([-scale[-1].mean() for scale in fake]).mean()


def _hinge_generator_cases() -> list[Case]:
    return [
        case("2 scales of 2 images", scales(2, [5, 3], [2, 3])),
        case("3 scales", scales(1, [4, 3, 2], [2])),
        case("1 scale, predictions below -1 and above 1", scales(2, [4], [2, 2], 6.0)),
        case("2 scales, predictions near 0", scales(3, [4, 2], [3], 0.3)),
    ]


def _hinge_generator_mistaken(wrong, fake):
    values = predictions(wrong, fake)
    if "sign" in wrong:
        return reduced(wrong, values)
    if "as_real" in wrong:
        return reduced(wrong, [F.relu(1 - v) for v in values])
    if "clipped" in wrong:
        return reduced(wrong, [-v.clamp(max=1) for v in values])
    if "minus_relu" in wrong:
        return reduced(wrong, [F.relu(-v) for v in values])
    if "softplus" in wrong:
        return reduced(wrong, [F.softplus(-v) for v in values])
    if "squared" in wrong:
        return reduced(wrong, [(v - 1).square() for v in values])
    if "detached" in wrong:
        return -reduced(wrong, values).detach()
    return -reduced(wrong, values)


_HINGE_GENERATOR = Exercise(
    stage="06",
    title="The generator's hinge loss",
    goal="say in one line what the generator wants from the discriminator",
    minutes=5,
    difficulty=1,
    reference=hinge_generator,
    cases=_hinge_generator_cases,
    mistaken=_hinge_generator_mistaken,
    mistakes={
        "sign": "The generator's hinge has the wrong sign: it wants a high verdict on its pictures, so the loss is "
        "minus the mean.",
        "as_real": "You use the discriminator's half for real pictures, relu(1 - D). The generator has no hinge: it "
        "raises the verdict without limit, -mean D(fake).",
        "clipped": "The verdict is cut off at 1; the generator goes on raising it without limit.",
        "minus_relu": "You clip with relu(-D); the generator's loss isn't clipped: -mean D(fake).",
        "softplus": "That is the loss of the original GAN (softplus, or cross-entropy); the hinge version is "
        "-mean D(fake).",
        "squared": "That is the least-squares GAN's loss, (D - 1)^2; the hinge version is -mean D(fake).",
        "detached": "No gradient flows back: the generator can't learn from a number that is cut off from it.",
        **REDUCED,
    },
    hints=(
        "Of the list of each scale only the last entry is the prediction. A small loss must mean: D thinks it real.",
        "For each scale the mean of its prediction, with a minus; then the mean over scales. torch.stack makes one "
        "tensor of a list of numbers.",
        "return torch.stack([-scale[-1].mean() for scale in fake]).mean()",
    ),
)


def hinge_discriminator(real: list[list[Tensor]], fake: list[list[Tensor]]) -> Float[Tensor, ""]:
    """mean relu(1 - D(real)) + mean relu(1 + D(fake)), averaged over scales; each scale's last map is D."""
    on_real = torch.stack([F.relu(1 - scale[-1]).mean() for scale in real]).mean()
    on_fake = torch.stack([F.relu(1 + scale[-1]).mean() for scale in fake]).mean()
    return on_real + on_fake


def _hinge_discriminator_cases() -> list[Case]:
    def one(text, *arguments):
        return case(text, scales(*arguments), scales(*arguments))

    return [
        one("2 scales of 2 images", 2, [5, 3], [2, 3]),
        one("3 scales of 1 image", 1, [4, 3, 2], [2]),
        one("1 scale, predictions far below -1 and above 1", 2, [4], [2, 2], 6.0),
        one("2 scales, predictions near 0", 3, [4, 2], [3], 0.3),
        case("sure and right: the loss is 0", [[torch.full((2, 1, 3, 2), 2.0)]], [[torch.full((2, 1, 3, 2), -3.0)]]),
        case("sure and wrong", [[torch.full((1, 1, 2, 2), -2.0)]], [[torch.full((1, 1, 2, 2), 3.0)]]),
    ]


def _hinge_discriminator_mistaken(wrong, real, fake):
    r, f = (predictions(wrong, side) for side in (real, fake))
    r, f = (f, r) if "swapped" in wrong else (r, f)
    if "least_squares" in wrong:
        return reduced(wrong, [(v - 1).square() for v in r]) + reduced(wrong, [v.square() for v in f])
    clip = (lambda v: v) if "unclipped" in wrong else F.softplus if "softplus" in wrong else F.relu
    margin = 0.0 if "no_margin" in wrong else 1.0
    on_real = reduced(wrong, [clip(margin - v) for v in r])
    on_fake = reduced(wrong, [clip(margin - v if "same_sign" in wrong else margin + v) for v in f])
    if "mean_first" in wrong:
        on_real, on_fake = average([clip(margin - v.mean()) for v in r]), average([clip(margin + v.mean()) for v in f])
    if "only_real" in wrong or "only_fake" in wrong:
        return on_real if "only_real" in wrong else on_fake
    total = on_real - on_fake if "minus" in wrong else on_real + on_fake
    total = total.detach() if "detached" in wrong else total
    return -total if "sign" in wrong else total / 2 if "half" in wrong else total


_HINGE_DISCRIMINATOR = Exercise(
    stage="06",
    title="The discriminator's hinge loss",
    goal="write the loss that stops pushing once a verdict is clear enough",
    minutes=10,
    difficulty=1,
    reference=hinge_discriminator,
    cases=_hinge_discriminator_cases,
    mistaken=_hinge_discriminator_mistaken,
    mistakes={
        "swapped": "Real and fake are swapped: D is to be above 1 on real pictures and below -1 on fakes.",
        "same_sign": "The fake half has the wrong sign: relu(1 + D(fake)) pushes the verdict on fakes below -1.",
        "sign": "The sign is the wrong way round: a loss is small where D is right.",
        "minus": "The two halves are subtracted; they are added.",
        "unclipped": "The hinge is missing: relu stops the push once D(real) > 1 or D(fake) < -1.",
        "no_margin": "The margin of 1 is missing: relu(1 - D(real)) and relu(1 + D(fake)).",
        "mean_first": "The hinge is taken of the mean; take relu of each prediction, then the mean.",
        "half": "The sum is halved; each half counts fully.",
        "only_real": "The half for the fake pictures is missing.",
        "only_fake": "The half for the real pictures is missing.",
        "least_squares": "That is the least-squares GAN's loss; the hinge is relu(1 - D(real)) and relu(1 + D(fake)).",
        "softplus": "softplus is the loss of the original GAN; the hinge is relu, which is exactly 0 beyond the "
        "margin.",
        "detached": "No gradient flows back: the discriminator couldn't learn from it.",
        **REDUCED,
    },
    hints=(
        "Two halves that are added. Where is each of them zero? Draw the two functions of D.",
        "F.relu(1 - D) for real, F.relu(1 + D) for fake, with D = scale[-1]; the mean of each map, then over scales.",
        "on_real = torch.stack([F.relu(1 - scale[-1]).mean() for scale in real]).mean()",
    ),
)


# --- 6.4 feature matching ---


def feature_matching(fake: list[list[Tensor]], real: list[list[Tensor]]) -> Float[Tensor, ""]:
    """Mean |fake - real| of each feature map, summed over a scale's maps but the last, averaged over scales."""
    per_scale = []
    for f, r in zip(fake, real):
        distances = [F.l1_loss(a, b.detach()) for a, b in zip(f[:-1], r[:-1])]
        per_scale.append(torch.stack(distances).sum())
    return torch.stack(per_scale).mean()


def _matching_cases() -> list[Case]:
    def one(text, *arguments):
        return case(text, scales(*arguments), scales(*arguments))

    return [
        one("2 scales, 2 feature maps each", 2, [5, 3], [2, 3]),
        one("1 scale, 3 feature maps", 1, [3], [2, 1, 4]),
        one("3 scales, 1 feature map each", 3, [4, 3, 2], [2]),
        case("scales with different numbers of maps", scales(1, [4], [2, 3]) + scales(1, [3], [2]),
             scales(1, [4], [2, 3]) + scales(1, [3], [2])),
    ]  # fmt: skip


def _matching_mistaken(wrong, fake, real):
    totals = []
    part = slice(None) if "with_prediction" in wrong else slice(0, -1)
    part = slice(1, None) if "first_left_out" in wrong else slice(-1, None) if "only_prediction" in wrong else part
    for f, r in zip(fake, real):
        f, r = f[part], r[part]
        f = [a.detach() for a in f] if "fake_detached" in wrong else f
        r = r if "attached" in wrong or "fake_detached" in wrong else [b.detach() for b in r]
        distances = [_distance(wrong, a, b) for a, b in zip(f, r)]
        if "pooled" in wrong:
            totals.append(torch.cat([(a - b).abs().flatten() for a, b in zip(f, r)]).mean())
            continue
        totals.append(torch.stack(distances).mean() if "layers_averaged" in wrong else torch.stack(distances).sum())
    if "one_scale" in wrong:
        return totals[0]
    total = torch.stack(totals)
    return total.sum() if "scales_summed" in wrong else total.mean()


def _distance(wrong, a, b):
    if "squared" in wrong:
        return (a - b).square().mean()
    if "smooth" in wrong:
        return F.smooth_l1_loss(a, b)
    if "signed" in wrong:
        return (a - b).mean()
    if "of_means" in wrong:
        return (a.mean() - b.mean()).abs()
    return (a - b).abs().sum() if "sum" in wrong else (a - b).abs().mean()


_MATCHING = Exercise(
    stage="06",
    title="Feature matching",
    goal="let the generator aim at the discriminator's features of the real picture",
    minutes=15,
    difficulty=2,
    reference=feature_matching,
    cases=_matching_cases,
    mistaken=_matching_mistaken,
    mistakes={
        "attached": "The discriminator's real features aren't detached: they are the target, and a target doesn't "
        "move.",
        "fake_detached": "You detached the fake's features; the gradient has to flow through them to the generator, "
        "and "
        "stop at the real ones.",
        "with_prediction": "The prediction takes part; leave out the last entry of each scale.",
        "only_prediction": "You compare the predictions; compare the feature maps, all entries but the last.",
        "first_left_out": "The first feature map is left out; it is the last entry, the prediction, that doesn't "
        "count.",
        "squared": "The distance is squared; feature matching takes the absolute one (L1).",
        "smooth": "That is the smooth L1 distance; feature matching takes the plain absolute one (F.l1_loss).",
        "signed": "The differences keep their sign and cancel out: take absolute values.",
        "of_means": "You compare the means of the feature maps; compare them position by position.",
        "sum": "The absolute differences of a feature map are added up; take their mean.",
        "layers_averaged": "The feature maps of a scale are averaged; their distances are added up.",
        "pooled": "All positions of all feature maps are averaged at once; take the mean of each map, then add them "
        "up.",
        "scales_summed": "The scales are added up; take their mean.",
        "one_scale": "Only the first scale counts; take the mean over all scales.",
    },
    hints=(
        "Two loops, over scales and over a scale's feature maps. What is left out, and which side counts as constant?",
        "For each pair of maps F.l1_loss(a, b.detach()), for all entries but the last; the sum within a scale, the "
        "mean "
        "over scales.",
        "torch.stack([F.l1_loss(a, b.detach()) for a, b in zip(f[:-1], r[:-1])]).sum()",
    ),
)


# --- 6.5 the discriminator's step ---


class TinyGenerator(nn.Module):
    """G(segmap) -> picture: a 3x3 convolution, tanh."""

    def __init__(self, label_channels: int):
        super().__init__()
        self.conv = nn.Conv2d(label_channels, 3, 3, padding=1)

    def forward(self, segmap: Float[Tensor, "n l h w"]) -> Float[Tensor, "n 3 h w"]:
        """A picture in [-1, 1]."""
        return torch.tanh(self.conv(segmap))


class TinyDiscriminator(nn.Module):
    """D(segmap, image) -> two scales of [features, prediction]."""

    def __init__(self, label_channels: int):
        super().__init__()
        self.hidden = nn.ModuleList(nn.Conv2d(label_channels + 3, 3, 3) for _ in range(2))
        self.last = nn.ModuleList(nn.Conv2d(3, 1, 1) for _ in range(2))

    def forward(self, segmap: Float[Tensor, "n l h w"], image: Float[Tensor, "n 3 h w"]) -> Scales:
        """The second scale sees every second pixel."""
        x, result = torch.cat([segmap, image], dim=1), []
        for hidden, last in zip(self.hidden, self.last):
            features = F.leaky_relu(hidden(x), 0.2)
            result.append([features, 3 * last(features)])
            x = x[:, :, ::2, ::2]
        return result


def discriminator_loss(
    generator: nn.Module, discriminator: nn.Module, segmap: Float[Tensor, "n l h w"], real: Float[Tensor, "n 3 h w"]
) -> Float[Tensor, ""]:
    """The hinge loss of D on real pictures and on G's; its gradient reaches D and stops before G.

    generator(segmap) -> pictures; discriminator(segmap, pictures) -> for each scale its feature maps, prediction last.
    """
    with torch.no_grad():
        fake = generator(segmap)
    return losses.hinge_discriminator(discriminator(segmap, real), discriminator(segmap, fake))


def _step_cases() -> list[Case]:
    def one(text, n, classes, h, w):
        networks = TinyGenerator(classes), TinyDiscriminator(classes)
        return case(text, *networks, label_maps(n, classes, h, w), torch.rand(n, 3, h, w) * 2 - 1,
                    gradient=("generator", "discriminator"))  # fmt: skip

    return [one("2 pictures", 2, 3, 7, 9), one("1 picture", 1, 2, 8, 6), one("3 pictures", 3, 4, 6, 6)]


def _without_backward(loss: object, generator: nn.Module, discriminator: nn.Module, *inputs: Tensor) -> object:
    """The loss as it is, if no gradient has been computed yet."""
    if any(p.grad is not None for network in (generator, discriminator) for p in network.parameters()):
        raise Complaint("It calls backward() itself: return the loss, the trainer does the rest.")
    for name, network in (("generator", generator), ("discriminator", discriminator)):
        if not all(p.requires_grad for p in network.parameters()):
            raise Complaint(f"The {name}'s weights are left with requires_grad off, so it can't learn any more: detach "
                            "the picture instead.")  # fmt: skip
        if not network.training:
            raise Complaint(f"The {name} is left in eval mode: leave modes to the caller.")
    return loss


def _step_mistaken(wrong, generator, discriminator, segmap, real):
    fake = generator(segmap)
    fake = fake if "attached" in wrong else fake.detach()
    fake = (fake + 1) / 2 if "rescaled" in wrong else fake
    if "no_gradient" in wrong:
        with torch.no_grad():
            return hinge_discriminator(discriminator(segmap, real), discriminator(segmap, fake))
    judge = (lambda s, x: discriminator(x, s)) if "arguments" in wrong else discriminator
    on_real, on_fake = judge(segmap, real), judge(segmap, fake)
    on_fake = on_real if "real_twice" in wrong else on_fake
    on_real = on_fake if "fake_twice" in wrong else on_real
    if "real_detached" in wrong:
        on_real = [[m.detach() for m in scale] for scale in on_real]
    if "fake_detached" in wrong:
        on_fake = [[m.detach() for m in scale] for scale in on_fake]
    if "generator" in wrong:
        return hinge_generator(on_fake)
    if "shuffled" in wrong:
        on_fake = discriminator(segmap.roll(1, -1), fake)
    return _hinge_discriminator_mistaken(wrong, on_real, on_fake)


_STEP = Exercise(
    stage="06",
    title="Detach where it belongs",
    goal="compute the discriminator's loss so that its gradient doesn't reach the generator",
    minutes=15,
    difficulty=2,
    reference=discriminator_loss,
    cases=_step_cases,
    mistaken=_step_mistaken,
    mistakes={
        "attached": "The fake wasn't detached in the D step: the loss sends a gradient into the generator, which is "
        "wasted work and, if it is ever stepped, makes G help D.",
        "no_gradient": "The discriminator runs under no_grad too and can't learn; only the generator's forward pass "
        "belongs there.",
        "fake_detached": "The prediction on the fake is detached; then D learns nothing from fakes. Detach the "
        "picture, "
        "before D sees it.",
        "real_detached": "The prediction on the real pictures is detached; D has to learn from them too.",
        "generator": "That is the generator's loss, -mean D(fake); here the discriminator's is asked for.",
        "arguments": "D's arguments are exchanged: discriminator(segmap, picture), the label map first.",
        "real_twice": "The real pictures are judged twice, as real and as fake: the fake half needs G's pictures.",
        "fake_twice": "G's pictures are judged twice, as real and as fake: the real half needs `real`.",
        "rescaled": "The fake is moved to [0, 1]; D sees real and fake in the same range, [-1, 1].",
        "shuffled": "Real and fake don't get the same label map.",
        **{name: text for name, text in _HINGE_DISCRIMINATOR.mistakes.items() if name in (
            "swapped", "same_sign", "sign", "unclipped", "no_margin", "half", "only_real", "only_fake", "minus",
            "scales_summed", "one_scale", "sum", "first_map", "all_maps")},
    },
    hints=(
        "Three calls and a hinge: G makes pictures, D judges the real ones and the fakes. Which of the calls must "
        "leave "
        "no trace for the gradient?",
        "fake = generator(segmap), detached (or made under torch.no_grad()); real and fake through D with the same "
        "segmap; then mean relu(1 - real) + mean relu(1 + fake), averaged over scales.",
        "fake = generator(segmap).detach()",
    ),
    observe=_without_backward,
)  # fmt: skip


# --- 6.6 spectral norm ---


def spectral_norm_step(
    weight: Float[Tensor, "out fan_in kh kw"], u: Float[Tensor, " out"], eps: float
) -> tuple[Float[Tensor, "out fan_in kh kw"], Float[Tensor, " out"]]:
    """(weight / sigma, new u): one step of power iteration, v and u as constants, sigma = u^T W v."""
    matrix = weight.flatten(1)
    with torch.no_grad():
        v = F.normalize(matrix.T @ u, dim=0, eps=eps)
        u = F.normalize(matrix @ v, dim=0, eps=eps)
    sigma = u @ matrix @ v
    return weight / sigma, u


def _spectral_cases() -> list[Case]:
    def one(text, *shape, eps=1e-12, scale=1.0):
        u = F.normalize(torch.randn(shape[0]), dim=0)
        return case(text, scale * torch.randn(shape), u, eps, gradient=("weight",))

    return [
        one("3 filters of 2x3x3", 3, 2, 3, 3),
        one("5 filters of 1x1", 5, 4, 1, 1),
        one("a square matrix", 4, 1, 2, 2),
        one("one filter", 1, 3, 3, 3),
        one("small weights", 3, 2, 2, 3, scale=0.01),
        one("large weights", 2, 3, 3, 2, scale=50.0),
        one("eps larger than the norms", 3, 2, 1, 1, eps=3.0, scale=0.5),
    ]


def _spectral_mistaken(wrong, weight, u, eps):
    matrix = weight.flatten(1)
    if "wrong_matrix" in wrong:
        matrix = weight.reshape(-1, len(weight)).T

    def normalise(x):
        if "no_normalise" in wrong:
            return x
        if "eps_added" in wrong:
            return x / (x.norm() + eps)
        return x / x.norm() if "no_eps" in wrong else F.normalize(x, dim=0, eps=eps)

    constant = (lambda t: t) if {"attached", "attached_inside"} & wrong else torch.Tensor.detach
    old = u
    v = normalise(constant(matrix).T @ u)
    if "not_updated" not in wrong:
        u = normalise(constant(matrix) @ v)
    if "ten_steps" in wrong:
        for _ in range(9):
            v = normalise(constant(matrix).T @ u)
            u = normalise(constant(matrix) @ v)
    if "two_steps" in wrong:
        v = normalise(constant(matrix).T @ u)
        u = normalise(constant(matrix) @ v)
    sigma = (old if "sigma_old" in wrong else u) @ matrix @ v
    if "exact" in wrong:
        sigma = torch.linalg.matrix_norm(matrix, 2)
    if "frobenius" in wrong:
        sigma = matrix.norm()
    if "sigma_detached" in wrong:
        sigma = sigma.detach()
    if "squared" in wrong:
        sigma = sigma.square()
    u = old if "old_u" in wrong else u.detach() if "attached_inside" in wrong else u
    return (weight * sigma if "multiplied" in wrong else weight / sigma), u


_SPECTRAL = Exercise(
    stage="06",
    title="Spectral norm by power iteration",
    goal="divide a convolution's weight by its largest singular value, at the price of two products a step",
    minutes=20,
    difficulty=3,
    reference=spectral_norm_step,
    cases=_spectral_cases,
    mistaken=_spectral_mistaken,
    mistakes={
        "attached": "u and v carry a gradient; they count as constants (compute them under torch.no_grad()), and only "
        "sigma = u^T W v passes one to W.",
        "attached_inside": "The gradient of sigma also flows through v or the new u; detach them before sigma is "
        "computed, not only on return.",
        "sigma_old": "sigma is computed with the old u; it uses the new one, u'^T W v.",
        "two_steps": "You take two steps of power iteration; it is one a call.",
        "sigma_detached": "sigma is cut off from the gradient; it flows through sigma too, since W / sigma depends on "
        "W "
        "twice.",
        "exact": "You divide by the exact largest singular value; what is asked for is its estimate after one step, "
        "u^T W v.",
        "frobenius": "You divide by the root of the sum of squares (Frobenius norm); sigma is u^T W v.",
        "not_updated": "u isn't updated: after v comes u = normalise(W v), and sigma uses the new one.",
        "old_u": "sigma uses the new u, but the old one is returned; the next step has to start from the new one.",
        "ten_steps": "You take several steps of power iteration; it is one a call, since W changes little between "
        "calls.",
        "wrong_matrix": "The matrix has one row for each output channel: weight.flatten(1), without moving axes.",
        "no_normalise": "v and u aren't normalised.",
        "eps_added": "You divide by norm + eps; F.normalize divides by max(norm, eps).",
        "no_eps": "eps isn't used: divide by max(norm, eps), as F.normalize(..., eps=eps) does.",
        "squared": "You divide by sigma squared.",
        "multiplied": "You multiply by sigma; divide by it.",
    },
    hints=(
        "W is the weight as a matrix with a row for each output channel. Multiplying a vector by W^T and W in turn, "
        "and "
        "normalising, turns it towards the first singular vectors.",
        "Under torch.no_grad(): v = normalise(W^T u), then u = normalise(W v). Outside: sigma = u^T W v. normalise is "
        "F.normalize(..., dim=0, eps=eps). Return weight / sigma and the new u.",
        "v = F.normalize(matrix.T @ u, dim=0, eps=eps)",
    ),
)


# --- 6.7 two time scales ---


def two_time_scales(
    generator: nn.Module, discriminator: nn.Module, lr: float
) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    """Adam for G at lr / 2 and for D at 2 lr, both with betas (0.0, 0.9)."""
    optimizer_g = torch.optim.Adam(generator.parameters(), lr=lr / 2, betas=(0.0, 0.9))
    optimizer_d = torch.optim.Adam(discriminator.parameters(), lr=lr * 2, betas=(0.0, 0.9))
    return optimizer_g, optimizer_d


def _scales_cases() -> list[Case]:
    pair = lambda: (TinyGenerator(2), TinyDiscriminator(2))  # noqa: E731
    two_time_scales(*pair(), 1.0)  # a process's first optimizer makes torch load for seconds: not on an answer's time
    return [case(f"lr {lr}", *pair(), lr, gradient=False) for lr in (2e-4, 1.0, 0.03)]


def _facts(result: object, generator: nn.Module, discriminator: nn.Module, lr: float) -> object:
    """What can be read off a pair of optimizers, as numbers and words."""
    if result is ...:
        return result
    kind = torch.optim.Optimizer
    if not isinstance(result, tuple | list) or len(result) != 2 or not all(isinstance(o, kind) for o in result):
        raise Complaint("Return two optimizers, the generator's and the discriminator's (torch.optim.Adam).")
    facts = {}
    for name, optimizer in zip(("G", "D"), result):
        group = optimizer.param_groups[0]
        ids = {id(p) for each in optimizer.param_groups for p in each["params"]}
        facts[f"optimizer of {name}"] = type(optimizer).__name__
        facts[f"parameters of G in the optimizer of {name}"] = len(ids & {id(p) for p in generator.parameters()})
        facts[f"parameters of D in the optimizer of {name}"] = len(ids & {id(p) for p in discriminator.parameters()})
        facts[f"learning rate of {name} / lr"] = max(each["lr"] for each in optimizer.param_groups) / lr
        for i, beta in enumerate(group.get("betas", (-1.0, -1.0)), start=1):
            facts[f"beta{i} of {name}"] = float(beta)
        for option in ("weight_decay", "amsgrad", "maximize"):
            facts[f"{option} of {name}"] = float(group.get(option, 0.0))
        facts[f"parameters in training in the optimizer of {name}"] = sum(
            p.requires_grad for each in optimizer.param_groups for p in each["params"]
        )
    return facts


def _scales_mistaken(wrong, generator, discriminator, lr):
    lr_g, lr_d = lr / 2, lr * 2
    if "same_rate" in wrong:
        lr_g = lr_d = lr
    lr_g, lr_d = (lr_d, lr_g) if "exchanged" in wrong else (lr_g, lr_d)
    lr_d = lr if "d_plain" in wrong else lr_g if "both_half" in wrong else lr_d
    lr_g = lr if "g_plain" in wrong else lr_g
    lr_g, lr_d = (1e-4, 4e-4) if "fixed" in wrong else (lr_g, lr_d)
    beta1 = 0.5 if "beta_half" in wrong else 0.9 if {"default", "swapped_betas"} & wrong else 0.0
    beta2 = 0.999 if {"default", "beta_paper", "beta_half"} & wrong else 0.0 if "swapped_betas" in wrong else 0.9
    parameters_g, parameters_d = list(generator.parameters()), list(discriminator.parameters())
    if "parameters_exchanged" in wrong:
        parameters_g, parameters_d = parameters_d, parameters_g
    parameters_g = parameters_g + list(discriminator.parameters()) if "g_has_both" in wrong else parameters_g
    parameters_d = list(generator.parameters()) if "d_has_g" in wrong else parameters_d
    make = torch.optim.AdamW if "adamw" in wrong else torch.optim.Adam
    betas = (beta1, beta2)
    pair = make(parameters_g, lr=lr_g, betas=betas), make(parameters_d, lr=lr_d, betas=betas)
    if "sgd" in wrong:
        pair = torch.optim.SGD(parameters_g, lr=lr_g), torch.optim.SGD(parameters_d, lr=lr_d)
    return pair[::-1] if "order" in wrong else pair


_SCALES = Exercise(
    stage="06",
    title="Two time scales",
    goal="set up both optimizers as the published runs have them",
    minutes=10,
    difficulty=1,
    reference=two_time_scales,
    cases=_scales_cases,
    mistaken=_scales_mistaken,
    mistakes={
        "same_rate": "Both learn at lr; with two time scales G learns at lr / 2 and D at 2 lr.",
        "exchanged": "The rates are exchanged: D is the faster one (2 lr), G the slower (lr / 2).",
        "d_plain": "D learns at 2 lr; yours at lr.",
        "g_plain": "G learns at lr / 2; yours at lr.",
        "both_half": "Both learn at lr / 2; D learns at 2 lr.",
        "fixed": "The rates don't depend on the argument lr: G learns at lr / 2 and D at 2 lr.",
        "default": "The betas are torch's defaults, (0.9, 0.999); here they are (0, 0.9): no momentum.",
        "beta_paper": "beta2 is 0.999, as the paper says; its code, and by the authors' word the published results, "
        "have 0.9.",
        "beta_half": "The betas are (0.5, 0.999), those of pix2pixHD; here they are (0, 0.9).",
        "swapped_betas": "The betas are swapped: beta1 is 0, beta2 is 0.9.",
        "g_has_both": "The generator's optimizer also moves the discriminator: D would learn to let fakes pass.",
        "d_has_g": "The discriminator's optimizer holds the generator's parameters.",
        "parameters_exchanged": "The networks are exchanged: each optimizer moves the other network.",
        "adamw": "That is AdamW, which lets weights decay; take torch.optim.Adam.",
        "sgd": "That is plain gradient descent; take torch.optim.Adam.",
        "order": "The order is: the generator's optimizer, then the discriminator's.",
    },
    hints=(
        "torch.optim.Adam takes the parameters, a rate and a pair of betas. Which of the two networks is the faster "
        "one?",
        "G: lr / 2, D: 2 lr, both with betas=(0.0, 0.9), written as floats.",
        "torch.optim.Adam(generator.parameters(), lr=lr / 2, betas=(0.0, 0.9))",
    ),
    observe=_facts,
    tolerance=1e-6,
)


# --- 6.8 steps of both networks ---


class TinyGan(nn.Module):
    """Both networks and an optimizer for each: generator, discriminator, optimizer_g, optimizer_d."""

    def __init__(self, label_channels: int):
        super().__init__()
        self.generator, self.discriminator = TinyGenerator(label_channels), TinyDiscriminator(label_channels)
        self.optimizer_g = torch.optim.SGD(self.generator.parameters(), lr=0.05)
        self.optimizer_d = torch.optim.SGD(self.discriminator.parameters(), lr=0.2)


def train(gan: nn.Module, segmaps: list[Tensor], reals: list[Tensor]) -> list[tuple[float, float]]:
    """For every batch a step of G, then one of D on the pictures of the new G. Returns both losses, batch by batch.

    segmaps: a tensor (n, l, h, w) a batch; reals: a tensor (n, 3, h, w) a batch.
    """
    history = []
    for segmap, real in zip(segmaps, reals):
        loss_g = losses.hinge_generator(gan.discriminator(segmap, gan.generator(segmap)))
        gan.optimizer_g.zero_grad()
        loss_g.backward()
        gan.optimizer_g.step()

        with torch.no_grad():
            fake = gan.generator(segmap)
        loss_d = losses.hinge_discriminator(gan.discriminator(segmap, real), gan.discriminator(segmap, fake))
        gan.optimizer_d.zero_grad()
        loss_d.backward()
        gan.optimizer_d.step()
        history.append((loss_g.item(), loss_d.item()))
    return history


def _train_cases() -> list[Case]:
    def one(text, batches, n, classes, h, w):
        gan = TinyGan(classes)
        train(gan, [label_maps(n, classes, h, w)], [torch.rand(n, 3, h, w)])  # away from the start, and loads SGD
        pictures = [torch.rand(n, 3, h, w) * 2 - 1 for _ in range(batches)]
        return case(text, gan, [label_maps(n, classes, h, w) for _ in range(batches)], pictures, gradient=False)

    return [one("3 batches of 2", 3, 2, 3, 7, 9), one("1 batch", 1, 1, 2, 8, 6), one("2 batches of 1", 2, 1, 4, 6, 6)]


def _trained(history: object, gan: nn.Module, segmaps: list[Tensor], reals: list[Tensor]) -> object:
    """Losses and weights; leftover gradients don't count."""
    if history is ...:
        return history
    gan.zero_grad()
    if not isinstance(history, list | tuple) or len(history) != len(segmaps):
        raise Complaint("Return a list with a pair of losses, (of G, of D), for every batch.")
    pairs = [tuple(float(loss) for loss in pair) for pair in history]
    if any(len(pair) != 2 for pair in pairs):
        raise Complaint("Return a pair of losses, (of G, of D), for every batch.")
    weights = {name: p.detach() for name, p in gan.named_parameters()}
    return {f"losses of batch {i}": pair for i, pair in enumerate(pairs, start=1)} | weights


def _train_mistaken(wrong, gan, segmaps, reals):
    history = []

    def step_g(segmap):
        fake = gan.generator(segmap)
        loss = losses.hinge_generator(gan.discriminator(segmap, fake))
        loss = -loss if "sign" in wrong else loss
        if "no_zero_g" not in wrong:
            gan.optimizer_g.zero_grad()
        loss.backward()
        if "g_still" not in wrong:
            gan.optimizer_g.step()
        if "d_moves_too" in wrong:
            gan.optimizer_d.step()
        return loss.item(), fake.detach()

    def step_d(segmap, real, fake):
        loss = losses.hinge_discriminator(gan.discriminator(segmap, real), gan.discriminator(segmap, fake))
        if "no_zero_d" not in wrong:
            gan.optimizer_d.zero_grad()
        loss.backward()
        if "no_step_d" not in wrong:
            gan.optimizer_d.step()
        return loss.item()

    for segmap, real in zip(segmaps, reals):
        if "d_first" in wrong:
            loss_d = step_d(segmap, real, gan.generator(segmap).detach())
            loss_g, _ = step_g(segmap)
        else:
            loss_g, fake = step_g(segmap)
            fake = fake if "old_fake" in wrong else gan.generator(segmap).detach()
            loss_d = step_d(segmap, real, fake)
        history.append((loss_d, loss_g) if "exchanged" in wrong else (loss_g, loss_d))
    return history


_TRAIN = Exercise(
    stage="06",
    title="A step of each network",
    goal="put the pieces together: one step of the generator, one of the discriminator, for every batch",
    minutes=20,
    difficulty=3,
    reference=train,
    cases=_train_cases,
    mistaken=_train_mistaken,
    mistakes={
        "no_zero_g": "The generator's old gradients aren't cleared: each batch adds to those before "
        "(optimizer_g.zero_grad()).",
        "no_zero_d": "The discriminator's old gradients aren't cleared: the generator's loss has left its own there "
        "(optimizer_d.zero_grad() before D's backward).",
        "d_first": "The discriminator steps first; here the generator does.",
        "old_fake": "The discriminator judges the pictures of the generator before its step; make new ones after it.",
        "g_still": "The generator doesn't move: optimizer_g makes no step, or the picture is detached in G's step, "
        "where the gradient has to pass through D.",
        "d_moves_too": "The discriminator moves in the generator's step too, and learns to let fakes pass: only "
        "optimizer_g.step() there.",
        "no_step_d": "The discriminator's optimizer makes no step.",
        "sign": "The generator's loss has the wrong sign.",
        "exchanged": "The order of each pair is: the loss of G, then that of D.",
    },
    hints=(
        "Each network has the same three calls in its half: zero_grad, backward, step. In which half may a gradient "
        "pass through the other network?",
        "G: losses.hinge_generator(D(segmap, G(segmap))), then zero_grad, backward, step with optimizer_g. D: new "
        "pictures under torch.no_grad(), losses.hinge_discriminator(D(segmap, real), D(segmap, fake)), then the same "
        "with optimizer_d. .item() makes a number of a loss.",
        "gan.optimizer_d.zero_grad(); loss_d.backward(); gan.optimizer_d.step()",
    ),
    observe=_trained,
)


# --- 6.9 the averaged generator ---


def update_average(averaged: nn.Module, network: nn.Module, decay: float) -> nn.Module:
    """averaged = decay averaged + (1 - decay) network, in place, for weights and floating buffers; others are copied.

    Returns averaged.
    """
    with torch.no_grad():
        for old, new in zip(averaged.state_dict().values(), network.state_dict().values()):
            old.copy_(decay * old + (1 - decay) * new if old.is_floating_point() else new)
    return averaged


def _network(seen: int, bias: bool = True) -> nn.Module:
    """A convolution and a batch norm that has seen a few batches."""
    network = nn.Sequential(nn.Conv2d(2, 3, 3, bias=bias), nn.BatchNorm2d(3))
    with torch.no_grad():
        for value in network.state_dict().values():
            value.copy_(torch.randn_like(value) if value.is_floating_point() else torch.tensor(seen))
    return network


def _average_cases() -> list[Case]:
    def one(text, decay, seen=(4, 9), bias=True):
        return case(text, *(_network(s, bias) for s in seen), decay, gradient=False)

    return [
        one("decay 0.9", 0.9),
        one("decay 0.5", 0.5, (100, 7)),
        one("decay 0: a copy", 0.0),
        one("decay 1: nothing but the counter moves", 1.0),
        one("decay 0.25, without a bias", 0.25, (0, 3), False),
    ]


def _returned(output: object, averaged: nn.Module, network: nn.Module, decay: float) -> object:
    """The average, if that is what came back."""
    if output is not averaged and output is not ...:
        raise Complaint("Return `averaged`, the network itself, changed in place.")
    return output


def _average_mistaken(wrong, averaged, network, decay):
    decay = 1 - decay if "reversed" in wrong else 0.999 if "fixed" in wrong else decay
    buffers = {name for name, _ in averaged.named_buffers()}
    if "unchanged" in wrong:
        return averaged
    with torch.no_grad():
        for (name, old), new in zip(averaged.state_dict().items(), network.state_dict().values()):
            if name in buffers and "no_buffers" in wrong:
                continue
            if not old.is_floating_point():
                mixed = (decay * old + (1 - decay) * new).to(old.dtype)
                old.copy_(old if "counter_left" in wrong else mixed if "counter_mixed" in wrong else new)
                continue
            if name in buffers and "buffers_copied" in wrong:
                old.copy_(new)
                continue
            if "only_weights" in wrong and not name.endswith("weight"):
                continue
            mixed = decay * old + (1 - decay) * new
            mixed = (old + new) / 2 if "plain_mean" in wrong else new if "copied" in wrong else mixed
            mixed = old + (1 - decay) * new if "no_decay" in wrong else mixed
            (new if "wrong_one" in wrong else old).copy_(mixed)
    return averaged


_AVERAGE = Exercise(
    stage="06",
    title="The averaged generator",
    goal="keep a slow copy of the generator, the one that pictures are drawn with",
    minutes=15,
    difficulty=2,
    reference=update_average,
    cases=_average_cases,
    mistaken=_average_mistaken,
    mistakes={
        "reversed": "decay is the wrong way round: it is the share of the old average that stays.",
        "no_buffers": "The buffers aren't averaged: batch norm's running statistics belong to the picture too. "
        "state_dict() holds weights and buffers.",
        "buffers_copied": "The running statistics are copied; they are averaged like the weights.",
        "counter_left": "num_batches_tracked, a whole number, is left as it was; copy it.",
        "counter_mixed": "num_batches_tracked is a whole number: averaging rounds it down, so copy it.",
        "only_weights": "Only tensors called weight are averaged; biases and running statistics belong to it too.",
        "plain_mean": "You take the plain mean of both; the old average keeps the share `decay`.",
        "copied": "The network is copied; only a share of 1 - decay of it comes in.",
        "no_decay": "The old average must shrink: decay * old + (1 - decay) * new, or it grows without end.",
        "fixed": "Your decay is always 0.999; take the argument.",
        "unchanged": "`averaged` is as before. (`p = ...` in a loop only gives the name p to a new tensor; change the "
        "tensor itself, as p.copy_(...) does.)",
        "wrong_one": "You change the trained network; it is the average that follows it.",
    },
    hints=(
        "A network's state_dict() holds its weights and buffers, by name, in the same order for both networks. Which "
        "of them are not floating numbers?",
        "Under torch.no_grad(), for each pair old, new: old.copy_(decay * old + (1 - decay) * new) if it is floating, "
        "else old.copy_(new). Return averaged.",
        "for old, new in zip(averaged.state_dict().values(), network.state_dict().values()):",
    ),
    observe=_returned,
)

EXERCISES = (_PATCH, _HINGE_GENERATOR, _HINGE_DISCRIMINATOR, _MATCHING, _STEP, _SPECTRAL, _SCALES, _TRAIN, _AVERAGE)
