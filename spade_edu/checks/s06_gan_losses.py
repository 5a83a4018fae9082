"""Stage 06: what the two networks are trained for."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from .exercise import Case, Exercise, Wrong, case, variant

Scales = list[list[Tensor]]  # what a discriminator returns: for each scale its feature maps, prediction last


def average(values: list[Tensor]) -> Tensor:
    """The mean of a few scalars."""
    return torch.stack(values).mean()


def scales(n: int, sizes: list[int], widths: list[int], spread: float = 2.0) -> Scales:
    """Made-up feature maps: for each side in `sizes` a list of maps of these widths, then a prediction."""
    channels = [*widths, 1]
    return [[spread * torch.randn(n, c, side + i, side) for i, c in enumerate(channels)] for side in sizes]


def reduced(wrong: Wrong, values: list[Tensor]) -> Tensor:
    """Mean over each scale's values, then over the scales, with the mistakes in `wrong`."""
    if "sum" in wrong:
        return average([v.sum() for v in values])
    if "one_scale" in wrong:
        return values[0].mean()
    if "last_scale" in wrong:
        return values[-1].mean()
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


def predictions(wrong: Wrong, scales: Scales) -> list[Tensor]:
    """Each scale's prediction, with the mistakes in `wrong`."""
    if "all_maps" in wrong:
        return [torch.cat([m.flatten() for m in scale]) for scale in scales]
    position = 0 if "first_map" in wrong else -1
    return [scale[position] for scale in scales]


def thin_scales(scales: Scales) -> Scales:
    """The same for a batch of 1, with maps of one channel and one column."""
    return [[feature_map[:1, :1, :, :1].clone() for feature_map in scale] for scale in scales]


THIN = "1 image, maps of one channel and one column"


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
        case(THIN, thin_scales(scales(2, [4, 2], [3]))),
    ]


def _hinge_generator_mistaken(wrong: Wrong, fake: Scales) -> Tensor:
    losses: dict[str, Callable[[Tensor], Tensor]] = {
        "sign": lambda v: v,
        "as_real": lambda v: F.relu(1 - v),
        "clipped": lambda v: -v.clamp(max=1),
        "minus_relu": lambda v: F.relu(-v),
        "softplus": lambda v: F.softplus(-v),
        "squared": lambda v: (v - 1).square(),
        "detached": lambda v: -v.detach(),
    }
    loss = variant(wrong, torch.neg, **losses)
    return reduced(wrong, [loss(v) for v in predictions(wrong, fake)])


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
    def one(text: str, *arguments: Any) -> Case:
        return case(text, scales(*arguments), scales(*arguments))

    return [
        one("2 scales of 2 images", 2, [5, 3], [2, 3]),
        one("3 scales of 1 image", 1, [4, 3, 2], [2]),
        one("1 scale, predictions far below -1 and above 1", 2, [4], [2, 2], 6.0),
        one("2 scales, predictions near 0", 3, [4, 2], [3], 0.3),
        case(THIN, thin_scales(scales(2, [4, 2], [3])), thin_scales(scales(2, [4, 2], [3]))),
        case("sure and right: the loss is 0", [[torch.full((2, 1, 3, 2), 2.0)]], [[torch.full((2, 1, 3, 2), -3.0)]]),
        case("sure and wrong", [[torch.full((1, 1, 2, 2), -2.0)]], [[torch.full((1, 1, 2, 2), 3.0)]]),
    ]


def mistaken_hinge(wrong: Wrong, real: Scales, fake: Scales) -> Tensor:
    """The discriminator's hinge loss, with the mistakes in `wrong`."""
    r, f = predictions(wrong, real), predictions(wrong, fake)
    if "swapped" in wrong:
        r, f = f, r
    if "least_squares" in wrong:
        return reduced(wrong, [(v - 1).square() for v in r]) + reduced(wrong, [v.square() for v in f])
    clips: dict[str, Callable[[Tensor], Tensor]] = {"unclipped": torch.clone, "softplus": F.softplus}
    clip = variant(wrong, F.relu, **clips)
    margin = 0.0 if "no_margin" in wrong else 1.0
    side = -1 if "same_sign" in wrong else 1
    on_real = reduced(wrong, [clip(margin - v) for v in r])
    on_fake = reduced(wrong, [clip(margin + side * v) for v in f])
    if "mean_first" in wrong:
        on_real, on_fake = average([clip(margin - v.mean()) for v in r]), average([clip(margin + v.mean()) for v in f])
    if "only_real" in wrong:
        return on_real
    if "only_fake" in wrong:
        return on_fake
    total = on_real - on_fake if "minus" in wrong else on_real + on_fake
    if "detached" in wrong:
        total = total.detach()
    return total * variant(wrong, 1.0, sign=-1.0, half=0.5)


HINGE = {
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
    "softplus": "softplus is the loss of the original GAN; the hinge is relu, which is exactly 0 beyond the margin.",
    "detached": "No gradient flows back: the discriminator couldn't learn from it.",
    **REDUCED,
}


_HINGE_DISCRIMINATOR = Exercise(
    stage="06",
    title="The discriminator's hinge loss",
    goal="write the loss that stops pushing once a verdict is clear enough",
    minutes=10,
    difficulty=1,
    reference=hinge_discriminator,
    cases=_hinge_discriminator_cases,
    mistaken=mistaken_hinge,
    mistakes=HINGE,
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
    def one(text: str, *arguments: Any) -> Case:
        return case(text, scales(*arguments), scales(*arguments))

    return [
        one("2 scales, 2 feature maps each", 2, [5, 3], [2, 3]),
        one("1 scale, 3 feature maps", 1, [3], [2, 1, 4]),
        one("3 scales, 1 feature map each", 3, [4, 3, 2], [2]),
        case(THIN, thin_scales(scales(2, [4, 2], [3, 2])), thin_scales(scales(2, [4, 2], [3, 2]))),
        case("scales with different numbers of maps", scales(1, [4], [2, 3]) + scales(1, [3], [2]),
             scales(1, [4], [2, 3]) + scales(1, [3], [2])),
    ]  # fmt: skip


def _matching_mistaken(wrong: Wrong, fake: Scales, real: Scales) -> Tensor:
    parts = {
        "first_left_out": slice(1, None),
        "only_prediction": slice(-1, None),
        "with_prediction": slice(None),
    }
    part = variant(wrong, slice(0, -1), **parts)
    totals = []
    for f, r in zip(fake, real):
        f, r = f[part], r[part]
        if "fake_detached" in wrong:
            f = [a.detach() for a in f]
        elif "attached" not in wrong:
            r = [b.detach() for b in r]
        totals.append(_over_maps(wrong, f, r))
    if "one_scale" in wrong:
        return totals[0]
    total = torch.stack(totals)
    return total.sum() if "scales_summed" in wrong else total.mean()


def _over_maps(wrong: Wrong, fake: list[Tensor], real: list[Tensor]) -> Tensor:
    if "pooled" in wrong:
        return torch.cat([(a - b).abs().flatten() for a, b in zip(fake, real)]).mean()
    distances = torch.stack([_distance(wrong, a, b) for a, b in zip(fake, real)])
    return distances.mean() if "layers_averaged" in wrong else distances.sum()


def _distance(wrong: Wrong, a: Tensor, b: Tensor) -> Tensor:
    if "squared" in wrong:
        return (a - b).square().mean()
    if "smooth" in wrong:
        return F.smooth_l1_loss(a, b)
    if "signed" in wrong:
        return (a - b).mean()
    if "of_means" in wrong:
        return (a.mean() - b.mean()).abs()
    if "sum" in wrong:
        return (a - b).abs().sum()
    return (a - b).abs().mean()


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
        "and stop at the real ones.",
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
        "mean over scales.",
        "torch.stack([F.l1_loss(a, b.detach()) for a, b in zip(f[:-1], r[:-1])]).sum()",
    ),
)


# --- the perceptual loss ---


class Eyes(nn.Module):
    """features(image) -> three feature maps of two layers and a mean; the weights never move."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3)])
        self.requires_grad_(False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """After each convolution, and the mean colour."""
        first = torch.relu(self.convs[0](image))
        return [first, torch.relu(self.convs[1](first)), image.mean((2, 3))]


def perceptual(
    features: nn.Module, weights: tuple[float, ...], fake: Float[Tensor, "n 3 h w"], real: Float[Tensor, "n 3 h w"]
) -> Float[Tensor, ""]:
    """sum_i weights_i mean |features_i(fake) - features_i(real)|; the real picture's features are a target."""
    with torch.no_grad():
        targets = features(real)
    distances = [weight * F.l1_loss(a, b) for weight, a, b in zip(weights, features(fake), targets)]
    return torch.stack(distances).sum()


def _perceptual_cases() -> list[Case]:
    def one(text: str, n: int, h: int, w: int, weights: tuple[float, ...]) -> Case:
        return case(text, Eyes(), weights, torch.rand(n, 3, h, w), torch.rand(n, 3, h, w), gradient=("fake", "real"))

    return [
        one("2 pictures", 2, 7, 9, (0.5, 1.0, 2.0)),
        one("1 picture", 1, 8, 6, (1.0, 0.25, 0.5)),
        one("3 pictures, one weight 0", 3, 6, 6, (0.0, 1.0, 3.0)),
    ]


def _perceptual_mistaken(
    wrong: Wrong, features: nn.Module, weights: tuple[float, ...], fake: Tensor, real: Tensor
) -> Tensor:
    if "pixels" in wrong:
        return F.l1_loss(fake, real.detach())
    of_fake, of_real = features(fake), features(real)
    if "attached" not in wrong:
        of_real = [b.detach() for b in of_real]
    if "fake_detached" in wrong:
        of_fake = [a.detach() for a in of_fake]
    pairs = list(zip(weights, of_fake, of_real))
    pairs = variant(wrong, pairs, last_only=pairs[-1:], no_weights=[(1.0, a, b) for _, a, b in pairs])
    distances = torch.stack([w * _distance(wrong & {"squared", "sum"}, a, b) for w, a, b in pairs])
    return distances.mean() if "averaged" in wrong else distances.sum()


_PERCEPTUAL = Exercise(
    stage="06",
    title="The perceptual loss",
    goal="compare pictures in the eyes of a network that has seen many",
    minutes=10,
    difficulty=1,
    reference=perceptual,
    cases=_perceptual_cases,
    mistaken=_perceptual_mistaken,
    mistakes={
        "attached": "The real picture's features carry a gradient; they are a target: compute them under "
        "torch.no_grad().",
        "fake_detached": "The fake's features are cut off from the gradient; the generator learns through them.",
        "no_weights": "The weights aren't used: each feature map's distance has its own.",
        "last_only": "Only the last feature map counts; add up all of them.",
        "squared": "The distance is squared; it is the absolute one (F.l1_loss).",
        "sum": "The absolute differences of a feature map are added up; take their mean.",
        "averaged": "The feature maps are averaged; their weighted distances are added up.",
        "pixels": "You compare pixels; compare features(fake) with features(real).",
    },
    hints=(
        "features(picture) gives a list. Which of the two lists is a target?",
        "Under torch.no_grad() the real one's features; then the sum of weight * F.l1_loss(a, b).",
        "sum(weight * F.l1_loss(a, b) for weight, a, b in zip(weights, features(fake), targets))",
    ),
)

EXERCISES = (_HINGE_GENERATOR, _HINGE_DISCRIMINATOR, _MATCHING, _PERCEPTUAL)
