"""Stage 09: many pictures for one label map, and a style of one's choice."""

from itertools import combinations

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn

from .exercise import Case, Exercise, Wrong, case, variant
from .s05_spade_generator import label_maps

# --- 9.1 KL divergence ---


def kl_divergence(mu: Float[Tensor, "n d"], logvar: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """-1/2 sum(1 + logvar - mu^2 - exp(logvar)), over batch and dimensions."""
    return -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum()


def _codes(n: int, d: int, spread: float = 1.0) -> tuple[Tensor, Tensor]:
    """(mu, logvar) of n style codes."""
    return spread * torch.randn(n, d), spread * torch.randn(n, d)


def _kl_cases() -> list[Case]:
    return [
        case("3 codes of 4 numbers", *_codes(3, 4)),
        case("a batch of 1", *_codes(1, 6)),
        case("6 codes of 2 numbers", *_codes(6, 2)),
        case("a mean of zero", torch.zeros(2, 3), torch.randn(2, 3)),
        case("a variance of one", torch.randn(2, 3), torch.zeros(2, 3)),
        case("N(0, 1) itself: 0", torch.zeros(2, 3), torch.zeros(2, 3)),
        case("small variances", torch.randn(2, 3), torch.randn(2, 3) - 5),
        case("float64", *(v.double() for v in _codes(2, 4))),
    ]


def _kl_mistaken(wrong: Wrong, mu: Tensor, logvar: Tensor) -> Tensor:
    squares = variant(wrong, mu.square(), no_mu=torch.zeros_like(mu), absolute=mu.abs(), not_squared=mu)
    variances = {"log_deviation": torch.exp(2 * logvar), "no_exp": logvar, "deviation": torch.exp(0.5 * logvar)}
    variance = variant(wrong, logvar.exp(), **variances)
    logarithm = variant(wrong, logvar, log_deviation=2 * logvar, log_again=logvar.abs().log())
    one = 0 if "no_one" in wrong else 1
    signs = {"plus_variance": one + logarithm - squares + variance, "plus_mu": one + logarithm + squares - variance}
    terms = variant(wrong, one + logarithm - squares - variance, **signs)
    if "only_log" in wrong:
        terms = terms + squares + variance
    if "reverse" in wrong:
        terms = 1 - logvar - (1 + mu.square()) / logvar.exp()
    terms = variant(wrong, -0.5, sign=0.5, no_half=-1.0) * terms
    totals = {
        "mean": terms.mean(),
        "per_code": terms.sum(dim=1).mean(),
        "per_number": terms.sum(dim=0).mean(),
        "weighted": 0.05 * terms.sum(),
        "detached": terms.sum().detach(),
    }
    return variant(wrong, terms.sum(), **totals)


_KL = Exercise(
    stage="09",
    title="The KL divergence",
    goal="write the loss that keeps the style codes where they will be drawn from later, near N(0, 1)",
    minutes=10,
    difficulty=1,
    reference=kl_divergence,
    cases=_kl_cases,
    mistaken=_kl_mistaken,
    mistakes={
        "sign": "The sign is the wrong way round: a divergence is never negative, and 0 only for N(0, 1).",
        "mean": "You take the mean; the official code's is a sum over batch and dimensions, which its weight of 0.05 "
        "is meant for.",
        "per_code": "You average over the batch; the official code's is a sum over the batch too, which its weight of "
        "0.05 is meant for.",
        "per_number": "You average over the numbers of a code; it is a sum over batch and dimensions.",
        "no_half": "The factor 1/2 is missing.",
        "no_one": "The 1 is missing: for N(0, 1) the divergence must be 0.",
        "plus_mu": "mu^2 has the wrong sign: a mean away from zero makes the divergence larger.",
        "plus_variance": "exp(logvar) has the wrong sign: a large variance makes the divergence larger.",
        "not_squared": "mu enters squared.",
        "absolute": "mu enters squared, not with its absolute value.",
        "no_mu": "mu is missing: a code far from zero must cost something.",
        "only_log": "Only 1 + logvar is there; subtract mu^2 and exp(logvar).",
        "deviation": "exp(logvar / 2) is the deviation; the last term is the variance, exp(logvar).",
        "log_deviation": "You take logvar for the logarithm of the deviation; it is that of the variance.",
        "no_exp": "The last term is the variance, exp(logvar).",
        "log_again": "logvar is a logarithm already; don't take another.",
        "reverse": "That is the divergence the other way round, KL(N(0, 1) || q); asked for is KL(q || N(0, 1)).",
        "weighted": "The weight of 0.05 isn't part of the function; the trainer applies it.",
        "detached": "No gradient flows back: the encoder couldn't learn from it.",
    },
    hints=(
        "The formula stands above. Which terms become 0 for mu = 0 and a variance of 1, that is, logvar = 0?",
        "One line: -0.5 times the sum of 1 + logvar - mu^2 - exp(logvar), over everything.",
        "return -0.5 * (1 + logvar - mu.square() - ...).sum()",
    ),
)


# --- a draw that gradients pass through ---


def reparameterise(mu: Float[Tensor, "n d"], logvar: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """z = mu + exp(logvar / 2) eps, eps ~ N(0, 1), drawn anew at each call."""
    return mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)


def _draw_cases() -> list[Case]:
    return [
        case("3 codes of 4 numbers", *_codes(3, 4)),
        case("a batch of 1", *_codes(1, 6)),
        case("a mean of zero", torch.zeros(2, 3), torch.randn(2, 3)),
        case("small variances", torch.randn(2, 5), torch.randn(2, 5) - 5),
        case("float64", *(v.double() for v in _codes(2, 4))),
    ]


def _draw_mistaken(wrong: Wrong, mu: Tensor, logvar: Tensor) -> Tensor:
    drawn = mu[:1] if "one_draw" in wrong else mu
    eps = torch.rand_like(mu) if "uniform" in wrong else torch.randn_like(drawn)
    scales = {"variance": logvar.exp(), "logvar": logvar, "no_half": torch.exp(2 * logvar), "unit": torch.ones_like(mu)}
    scale = variant(wrong, torch.exp(0.5 * logvar), **scales)
    z = variant(wrong, mu, no_mean=torch.zeros_like(mu)) + variant(wrong, scale, sigma_detached=scale.detach()) * eps
    return variant(wrong, z, no_draw=mu, detached=z.detach())


_DRAW = Exercise(
    stage="09",
    title="A draw that gradients pass through",
    goal="draw a style code so that the encoder can still learn from what is painted with it",
    minutes=5,
    difficulty=1,
    reference=reparameterise,
    cases=_draw_cases,
    mistaken=_draw_mistaken,
    mistakes={
        "variance": "The draw is multiplied by the variance; the deviation is exp(logvar / 2).",
        "logvar": "The draw is multiplied by logvar; the deviation is exp(logvar / 2).",
        "no_half": "The deviation is exp(logvar / 2), not exp(2 logvar).",
        "unit": "The deviation isn't used: exp(logvar / 2) times the draw.",
        "uniform": "The draw is uniform; it is normal: torch.randn_like(mu).",
        "one_draw": "All codes of the batch share one draw; each has its own.",
        "no_mean": "mu isn't added.",
        "no_draw": "Nothing is drawn: that is mu itself.",
        "detached": "No gradient flows back: the encoder couldn't learn from it.",
        "sigma_detached": "The deviation is cut off from the gradient: the encoder would never learn logvar.",
    },
    hints=(
        "The draw itself has no gradient, and needs none: what is learned are its place and its width.",
        "mu plus the deviation times torch.randn_like(mu). logvar is the logarithm of the variance.",
        "return mu + torch.exp(0.5 * logvar) * ...",
    ),
)


# --- 9.2 a style for every object ---


def instance_mean(x: Float[Tensor, "n c h w"], instance: Integer[Tensor, "n h w"]) -> Float[Tensor, "n c h w"]:
    """Each channel replaced by its mean over the pixels of the same instance of the same picture."""
    result = torch.zeros_like(x)
    for picture, ids in enumerate(instance):
        for number in ids.unique():
            mask = ids == number
            result[picture, :, mask] = x[picture, :, mask].mean(dim=1, keepdim=True)
    return result


def _pool_cases() -> list[Case]:
    def one(text: str, n: int, c: int, h: int, w: int, ids: list[int]) -> Case:
        chosen = torch.tensor(ids)
        return case(text, torch.randn(n, c, h, w), chosen[torch.randint(len(chosen), (n, h, w))])

    constant = torch.full((2, 3, 4), 5)
    return [
        one("2 pictures with the same ids", 2, 3, 4, 5, [0, 1, 2]),
        one("a batch of 1", 1, 2, 3, 4, [7, 8]),
        one("large ids and a negative one", 2, 2, 4, 4, [7, 1001, 1002, -1]),
        one("ids that 8 bits can't tell apart, and 255", 2, 2, 4, 4, [26001, 26257, 255, -1]),
        one("as many channels as pictures as ids", 3, 3, 3, 3, [0, 1, 2]),
        case("one instance a picture", torch.randn(2, 3, 3, 4), constant),
        case("every pixel its own instance", torch.randn(1, 2, 2, 3), torch.arange(6).view(1, 2, 3)),
        case("float64", torch.randn(2, 2, 3, 3).double(), torch.randint(2, (2, 3, 3))),
    ]


def _pooled(wrong: Wrong, values: Tensor, picture: Tensor) -> Tensor:
    """What becomes of the pixels (c, pixels) of one instance of a picture: (c, 1), or (c, pixels) where they stay."""
    if "first_pixel" in wrong:
        return values[:, :1]
    if "picture" in wrong:
        return picture.mean(dim=(1, 2))[:, None]
    total = values.sum(dim=1, keepdim=True)
    pooled = {
        "by_picture": total / picture[0].numel(),
        "sum": total,
        "median": values.median(dim=1, keepdim=True).values,
        "max": values.amax(dim=1, keepdim=True),
    }
    result = variant(wrong, values.mean(dim=1, keepdim=True), **pooled)
    return result.mean(dim=0, keepdim=True).expand_as(result) if "channels" in wrong else result


def _is_kept(wrong: Wrong, number: int) -> bool:
    zero, void = number == 0 and "zero_kept" in wrong, number == 255 and "void_kept" in wrong
    return zero or void or (number < 0 and "negative_kept" in wrong)


def _pool_mistaken(wrong: Wrong, x: Tensor, instance: Tensor) -> Tensor:
    if "detached" in wrong:
        x = x.detach()
    if "eight_bits" in wrong:
        instance = instance % 256
    result = torch.zeros_like(x)
    for picture, ids in enumerate(instance):
        for number in ids.unique():
            mask = ids == number
            values = x.transpose(0, 1)[:, instance == number] if "batch" in wrong else x[picture, :, mask]
            pooled = _pooled(wrong, values, x[picture])
            if number == 0 and "zero_left_out" in wrong:
                pooled = pooled * 0
            if _is_kept(wrong, int(number)):
                pooled = values
            if "removed" in wrong:
                pooled = values - pooled
            result[picture, :, mask] = pooled.expand(-1, int(mask.sum()))
    return result


_POOL = Exercise(
    stage="09",
    title="One style for every object",
    goal="average features over each object, as pix2pixHD does to give every car a colour of its own",
    minutes=15,
    difficulty=2,
    reference=instance_mean,
    cases=_pool_cases,
    mistaken=_pool_mistaken,
    mistakes={
        "batch": "Objects with the same id in different pictures share one mean; each picture has its own objects.",
        "picture": "The mean is taken over the whole picture; take it over each instance's pixels.",
        "channels": "The mean is taken over the channels too; each channel has its own.",
        "sum": "The pixels are added up; divide by their number.",
        "by_picture": "The sum is divided by the number of pixels of the picture; divide by those of the instance.",
        "max": "You take the maximum; take the mean.",
        "median": "You take the median; take the mean.",
        "first_pixel": "Every instance gets the value of its first pixel; take the mean.",
        "zero_left_out": "Instance 0 is left out; an id of 0 is an instance like the others.",
        "zero_kept": "The pixels of instance 0 are left as they were; an id of 0 is an instance like the others.",
        "void_kept": "The pixels of id 255 are left as they were; here it is an instance like the others.",
        "negative_kept": "The pixels of negative ids are left as they were; ids may be any whole numbers.",
        "eight_bits": "Ids are cut to 8 bits, so that 26001 and 26257 become one object.",
        "removed": "The mean is subtracted; the pixels are replaced by it.",
        "detached": "The result is cut off from the gradient; the encoder behind x has to learn.",
    },
    hints=(
        "Two loops are fine: over the pictures, and over the ids that occur in one. What stays constant in the result?",
        "mask = ids == number is a map of booleans; x[picture, :, mask] holds the pixels of one instance, (c, pixels). "
        "Write their mean over pixels, with keepdim=True, back to the same places of a new tensor.",
        "result[picture, :, mask] = x[picture, :, mask].mean(dim=1, keepdim=True)",
    ),
)


# --- 9.3 diversity ---


def diversity(samples: Float[Tensor, "k 3 h w"]) -> Float[Tensor, ""]:
    """Mean absolute difference of two different pictures, over all pairs of the k >= 2 samples."""
    distances = [(a - b).abs().mean() for a, b in combinations(samples, 2)]
    return torch.stack(distances).mean()


def _diversity_cases() -> list[Case]:
    same = torch.rand(1, 3, 3, 4).expand(4, 3, 3, 4).clone()
    return [
        case("4 samples", torch.rand(4, 3, 4, 5) * 2 - 1),
        case("2 samples: one pair", torch.rand(2, 3, 3, 4) * 2 - 1),
        case("3 samples", torch.rand(3, 3, 3, 3) * 2 - 1),
        case("samples that are all alike: 0", same, gradient=False),
        case("samples that differ by their brightness", torch.rand(5, 3, 2, 2) / 5 + torch.tensor(
            [-0.8, 0.7, 0.1, -0.3, 0.75]).view(5, 1, 1, 1)),
        case("float64", torch.rand(3, 3, 2, 4).double()),
    ]  # fmt: skip


def _pairs(wrong: Wrong, samples: Tensor) -> list[tuple[Tensor, ...]]:
    if "to_mean" in wrong:
        return [(a, samples.mean(0)) for a in samples]
    if "from_first" in wrong:
        return [(samples[0], b) for b in samples[1:]]
    if "neighbours" in wrong:
        return list(zip(samples, samples[1:]))
    return list(combinations(samples, 2))


def _size(wrong: Wrong, difference: Tensor) -> Tensor:
    if "of_means" in wrong:
        return difference.mean().abs()
    if "squared" in wrong:
        return difference.square().mean()
    if "euclid" in wrong:
        return difference.norm()
    if "rms" in wrong:
        return difference.square().mean().sqrt()
    if "signed" in wrong:
        return difference.mean()
    return difference.abs().sum() if "pixels_summed" in wrong else difference.abs().mean()


def _diversity_mistaken(wrong: Wrong, samples: Tensor) -> Tensor:
    if "deviation" in wrong:
        return samples.std(0).mean()
    if "variance" in wrong:
        return samples.var(0).mean()
    distances = torch.stack([_size(wrong, a - b) for a, b in _pairs(wrong, samples)])
    if "one_pair" in wrong:
        return distances[0]
    if "farthest" in wrong:
        return distances.max()
    total = distances.sum()
    mistaken = {
        "both_ways": 2 * distances.mean(),
        "with_itself": 2 * total / len(samples) ** 2,
        "pairs_summed": total,
    }
    result = variant(wrong, distances.mean(), **mistaken)
    return result.detach() if "detached" in wrong else result


_DIVERSITY = Exercise(
    stage="09",
    title="How different are the samples?",
    goal="measure whether z changes anything: a model that ignores it scores 0",
    minutes=10,
    difficulty=2,
    reference=diversity,
    cases=_diversity_cases,
    mistaken=_diversity_mistaken,
    mistakes={
        "with_itself": "Pairs of a picture with itself take part, with a distance of 0; leave them out.",
        "both_ways": "Every pair counts twice in the sum but once in the number of pairs.",
        "pairs_summed": "The pairs are added up; take their mean, or more samples give more diversity.",
        "pixels_summed": "The differences of a pair's pixels are added up; take their mean.",
        "neighbours": "Each sample is compared with the next one only; compare all pairs.",
        "from_first": "The samples are compared with the first one only; compare all pairs.",
        "to_mean": "The samples are compared with their mean; compare all pairs.",
        "deviation": "That is the standard deviation; asked for is the mean absolute difference of pairs.",
        "variance": "That is the variance; asked for is the mean absolute difference of pairs.",
        "rms": "You take the root of the mean square; take the mean absolute difference.",
        "one_pair": "Only the first two samples are compared; compare all pairs.",
        "squared": "The differences are squared; take absolute ones.",
        "euclid": "You take the Euclidean distance; take the mean absolute difference.",
        "signed": "The differences keep their sign and cancel out: take absolute values.",
        "of_means": "You compare the pictures' means; compare them pixel by pixel.",
        "farthest": "You return the farthest pair; take the mean over all pairs.",
        "detached": "The result is cut off from the gradient; leave it in, as one may want to train for diversity.",
    },
    hints=(
        "k samples have k (k - 1) / 2 pairs. itertools.combinations lists them.",
        "For each pair the mean of the absolute difference over channels and pixels; then the mean over the pairs.",
        "distances = [(a - b).abs().mean() for a, b in combinations(samples, 2)]",
    ),
)


# --- 9.4 the style of a picture ---


class SmallEncoder(nn.Module):
    """E(image) -> (mu, logvar), for trying things out."""

    def __init__(self, z_dim: int):
        super().__init__()
        self.mu, self.logvar = nn.Linear(3, z_dim), nn.Linear(3, z_dim)

    def forward(self, image: Float[Tensor, "n 3 h w"]) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]]:
        """From the picture's mean colour."""
        colour = image.mean(dim=(2, 3))
        return self.mu(4 * colour), self.logvar(4 * colour)


class SmallGenerator(nn.Module):
    """G(segmap, z) -> image, for trying things out."""

    def __init__(self, label_channels: int, z_dim: int):
        super().__init__()
        self.labels, self.style = nn.Conv2d(label_channels, 3, 1), nn.Linear(z_dim, 3)

    def forward(self, segmap: Float[Tensor, "n l h w"], z: Float[Tensor, "n d"]) -> Float[Tensor, "n 3 h w"]:
        """Each class has its colour, and the style tints them all. As many codes as label maps."""
        if len(z) != len(segmap):
            raise ValueError(f"The generator got {len(segmap)} label maps and {len(z)} codes: it needs one code each.")
        return torch.tanh(self.labels(segmap) + self.style(z)[:, :, None, None])


def transfer_style(
    generator: nn.Module, encoder: nn.Module, segmap: Float[Tensor, "n l h w"], image: Float[Tensor, "1 3 h2 w2"]
) -> Float[Tensor, "n 3 h w"]:
    """Paint all n label maps in the style of one picture: z is the mean that the encoder gives, without noise."""
    mu, _ = encoder(image)
    return generator(segmap, mu.expand(len(segmap), -1))


def _transfer_cases() -> list[Case]:
    def one(text: str, n: int, classes: int, z_dim: int, h: int, w: int) -> Case:
        networks = SmallGenerator(classes, z_dim), SmallEncoder(z_dim)
        return case(text, *networks, label_maps(n, classes, h, w), torch.rand(1, 3, 3, 5) * 2 - 1, gradient=False)

    return [one("3 label maps", 3, 4, 5, 4, 6), one("1 label map", 1, 3, 4, 3, 3), one("2 label maps", 2, 2, 2, 5, 4)]


def _transfer_mistaken(wrong: Wrong, generator: nn.Module, encoder: nn.Module, segmap: Tensor, image: Tensor) -> Tensor:
    mu, logvar = encoder(image)
    deviation = torch.exp(0.5 * logvar)
    codes = {
        "deviation": deviation,
        "added": mu + logvar,
        "sign": -mu,
        "normalised": mu / mu.norm(),
        "no_style": torch.zeros_like(mu),
        "squashed": torch.tanh(mu),
        "noise_of_one": mu + deviation,
        "logvar": logvar,
    }
    z = variant(wrong, mu, **codes)
    if "first_map" in wrong:
        segmap = segmap[:1]
    painted: Tensor = generator(segmap, z.expand(len(segmap), -1))
    return (painted + 1) / 2 if "rescaled" in wrong else painted


_TRANSFER = Exercise(
    stage="09",
    title="Painting in the style of a picture",
    goal="take the style of one picture and the scenes of others (the paper's Figure 9)",
    minutes=10,
    difficulty=1,
    reference=transfer_style,
    cases=_transfer_cases,
    mistaken=_transfer_mistaken,
    mistakes={
        "logvar": "z is the log-variance; the encoder returns (mu, logvar), and the style is mu.",
        "deviation": "z is the deviation; the style is the mean, mu.",
        "added": "mu and logvar are added; the style is mu alone.",
        "noise_of_one": "The deviation is added to mu; the style is mu alone.",
        "no_style": "The picture has no effect: z is the mean that the encoder gives for it.",
        "squashed": "z is squashed by tanh; the generator takes mu as it is.",
        "normalised": "z is scaled to length 1; the generator takes mu as it is.",
        "sign": "z has the wrong sign.",
        "first_map": "Only the first label map is painted; all of them get the same style.",
        "rescaled": "The pictures are moved to [0, 1]; return what the generator gives, in [-1, 1].",
    },
    hints=(
        "Two networks, two calls. The encoder sees the picture, the generator the label maps and a style code.",
        "mu, _ = encoder(image) has shape (1, d); the generator wants one code for each of the n label maps: "
        "mu.expand(n, -1) repeats it.",
        "return generator(segmap, mu.expand(len(segmap), -1))",
    ),
)

EXERCISES = (_KL, _DRAW, _POOL, _DIVERSITY, _TRANSFER)
