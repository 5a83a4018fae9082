"""Stage 09: many pictures for one label map, and a style of one's choice."""

from itertools import combinations

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn
from torch.nn import functional as F

from .exercise import Case, Exercise, case
from .s05_spade_generator import label_maps

# --- 9.1 reparameterisation ---


def reparameterise(
    mu: Float[Tensor, "n d"], logvar: Float[Tensor, "n d"], noise: Float[Tensor, "n d"]
) -> Float[Tensor, "n d"]:
    """z = mu + exp(logvar / 2) * noise."""
    return mu + torch.exp(0.5 * logvar) * noise


def _codes(n: int, d: int, spread: float = 1.0) -> tuple[Tensor, Tensor]:
    """(mu, logvar) of n style codes."""
    return spread * torch.randn(n, d), spread * torch.randn(n, d)


def _draw_cases() -> list[Case]:
    return [
        case("3 codes of 4 numbers", *_codes(3, 4), torch.randn(3, 4)),
        case("a batch of 1", *_codes(1, 5), torch.randn(1, 5)),
        case("large and small variances", *_codes(2, 3, 3.0), torch.randn(2, 3)),
        case("noise of zero: z = mu", *_codes(2, 2), torch.zeros(2, 2)),
        case("as many codes as numbers", *_codes(3, 3), torch.randn(3, 3)),
        case("float64", *(v.double() for v in _codes(2, 4)), torch.randn(2, 4).double()),
    ]


def _draw_mistaken(wrong, mu, logvar, noise):
    std = torch.exp(0.5 * logvar)
    std = logvar.exp() if "variance" in wrong else logvar if "raw" in wrong else std
    std = 0.5 * logvar if "no_exp" in wrong else torch.exp(2 * logvar) if "doubled" in wrong else std
    std = torch.exp(-0.5 * logvar) if "inverse" in wrong else torch.sqrt(logvar.abs()) if "root" in wrong else std
    std = F.softplus(logvar) if "softplus" in wrong else torch.ones_like(std) if "one" in wrong else std
    std = std.mean() if "shared" in wrong else std.detach() if "std_detached" in wrong else std
    noise = noise[:1].expand_as(noise) if "one_noise" in wrong else noise
    if "only_mu" in wrong:
        return mu + 0 * std
    if "no_mu" in wrong:
        return std * noise
    if "divided" in wrong:
        return (noise - mu) / std
    if "mu_scaled" in wrong:
        return std * (mu + noise)
    return (mu.detach() if "mu_detached" in wrong else mu) + std * noise


_DRAW = Exercise(
    stage="09",
    title="Reparameterisation",
    goal="draw a style code in such a way that the encoder can learn from what becomes of it",
    minutes=5,
    difficulty=1,
    reference=reparameterise,
    cases=_draw_cases,
    mistaken=_draw_mistaken,
    mistakes={
        "variance": "You multiply by the variance exp(logvar); multiply by the deviation, exp(logvar / 2).",
        "raw": "logvar is the logarithm of the variance; you take it for the deviation, which is exp(logvar / 2).",
        "no_exp": "The exp is missing: the deviation is exp(logvar / 2).",
        "doubled": "exp(2 logvar) is the variance squared; the deviation is exp(logvar / 2).",
        "inverse": "The sign in the exponent is wrong: the deviation is exp(+logvar / 2).",
        "root": "logvar is a logarithm: the deviation is exp(logvar / 2), not the root of logvar.",
        "softplus": "softplus makes it positive, but logvar is a logarithm: the deviation is exp(logvar / 2).",
        "one": "The deviation isn't used; scale the noise by exp(logvar / 2).",
        "shared": "Every number of a code has its own deviation; yours share one.",
        "one_noise": "All codes get the noise of the first one.",
        "only_mu": "The noise isn't used; without it every draw is mu.",
        "no_mu": "mu isn't added.",
        "mu_scaled": "mu is multiplied by the deviation too; only the noise is.",
        "divided": "That is the way back, from z to the noise: z = mu + deviation * noise.",
        "mu_detached": "mu is cut off from the gradient; then the encoder can't learn it.",
        "std_detached": "The deviation is cut off from the gradient; then the encoder can't learn it.",
    },
    hints=(
        "The noise comes from N(0, 1) already. Stretch it, then move it. What does a logarithm of the variance give "
        "for "
        "the deviation?",
        "deviation = exp(logvar / 2), because its square is exp(logvar). Multiply the noise by it and add mu.",
        "return mu + torch.exp(0.5 * logvar) * ...",
    ),
)


# --- 9.2 KL divergence ---


def kl_divergence(mu: Float[Tensor, "n d"], logvar: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """-1/2 sum(1 + logvar - mu^2 - exp(logvar)), over batch and dimensions."""
    return -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum()


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


def _kl_mistaken(wrong, mu, logvar):
    squares = mu.abs() if "absolute" in wrong else mu if "not_squared" in wrong else mu.square()
    squares = torch.zeros_like(mu) if "no_mu" in wrong else squares
    variance = torch.exp(0.5 * logvar) if "deviation" in wrong else logvar.exp()
    variance = torch.exp(2 * logvar) if "log_deviation" in wrong else logvar if "no_exp" in wrong else variance
    logarithm = 2 * logvar if "log_deviation" in wrong else logvar.abs().log() if "log_again" in wrong else logvar
    one = 0 if "no_one" in wrong else 1
    terms = one + logarithm - squares - variance
    terms = one + logarithm + squares - variance if "plus_mu" in wrong else terms
    terms = one + logarithm - squares + variance if "plus_variance" in wrong else terms
    terms = terms + squares + variance if "only_log" in wrong else terms
    if "reverse" in wrong:
        terms = 1 - logvar - (1 + mu.square()) / logvar.exp()
    factor = 0.5 if "sign" in wrong else -1 if "no_half" in wrong else -0.5
    if "mean" in wrong or "per_code" in wrong:
        return factor * (terms.mean() if "mean" in wrong else terms.sum(dim=1).mean())
    if "per_number" in wrong:
        return factor * terms.sum(dim=0).mean()
    total = factor * terms.sum()
    return 0.05 * total if "weighted" in wrong else total.detach() if "detached" in wrong else total


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


# --- 9.3 interpolation ---


def interpolate(start: Float[Tensor, " d"], end: Float[Tensor, " d"], steps: int) -> Float[Tensor, "steps d"]:
    """`steps` codes on the straight line from start to end, evenly spaced, both ends included."""
    t = torch.linspace(0, 1, steps, dtype=start.dtype)[:, None]
    return (1 - t) * start + t * end


def _walk_cases() -> list[Case]:
    return [
        case("5 steps", torch.randn(4), torch.randn(4), 5),
        case("2 steps: both ends", torch.randn(3), torch.randn(3), 2),
        case("3 steps of 3 numbers", torch.randn(3), torch.randn(3), 3),
        case("from a short code", 1e-3 * torch.randn(4), torch.randn(4), 4),
        case("from a code to itself", *[torch.tensor([0.5, -2.0])] * 2, 6),
        case("one number", torch.randn(1), torch.randn(1), 7),
        case("codes of different length", torch.randn(5), 5 * torch.randn(5), 4),
        case("float64", torch.randn(2).double(), torch.randn(2).double(), 3),
    ]


def _walk_mistaken(wrong, start, end, steps):
    t = torch.linspace(0, 1, steps, dtype=start.dtype)
    t = torch.arange(steps, dtype=start.dtype) / steps if "end_missing" in wrong else t
    t = torch.arange(1, steps + 1, dtype=start.dtype) / steps if "start_missing" in wrong else t
    t = torch.arange(1, steps + 1, dtype=start.dtype) / (steps + 1) if "inside" in wrong else t
    t = torch.linspace(0, 1, steps + 1, dtype=start.dtype) if "one_more" in wrong else t
    t = t * t * (3 - 2 * t) if "eased" in wrong else t.flip(0) if "reversed" in wrong else t
    t = t[:, None]
    if "spherical" in wrong:
        cosine = F.cosine_similarity(start, end, dim=0, eps=1e-8).clamp(-0.999, 0.999)
        angle = torch.arccos(cosine)
        return (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)
    line = start + t * end if "not_left" in wrong else (1 - t) * start + t * end
    line = (1 - t).sqrt() * start + t.sqrt() * end if "variance" in wrong else line
    line = F.normalize(line, dim=1) * start.norm() if "same_length" in wrong else line
    return line.T if "transposed" in wrong else line


_WALK = Exercise(
    stage="09",
    title="From one style to another",
    goal="walk in a straight line through the space of styles",
    minutes=5,
    difficulty=1,
    reference=interpolate,
    cases=_walk_cases,
    mistaken=_walk_mistaken,
    mistakes={
        "end_missing": "The last code isn't `end`: both ends belong to it (torch.linspace(0, 1, steps)).",
        "start_missing": "The first code isn't `start`: both ends belong to it (torch.linspace(0, 1, steps)).",
        "inside": "Both ends are missing; the first code is `start`, the last one `end`.",
        "one_more": "That is one code too many: `steps` codes, both ends included.",
        "reversed": "It walks from end to start; the first code is `start`.",
        "eased": "The steps aren't evenly spaced.",
        "spherical": "That is spherical interpolation, along a circle; the straight line is asked for.",
        "variance": "The weights are roots, so that the variance stays; the straight line has (1 - t) and t.",
        "same_length": "Each code is stretched to the length of start; leave the straight line as it is.",
        "not_left": "start stays at full weight, so that the walk ends at start + end; its weight is 1 - t.",
        "transposed": "The axes are exchanged: one row for each step.",
    },
    hints=(
        "Numbers t from 0 to 1, as many as steps. At t = 0 the code is start, at t = 1 end.",
        "torch.linspace(0, 1, steps) with an extra axis, (steps, 1), combines with (d,) to (steps, d): "
        "(1 - t) * start + t * end. Give linspace the dtype of start.",
        "t = torch.linspace(0, 1, steps, dtype=start.dtype)[:, None]",
    ),
)


# --- 9.4 a style for every object ---


def instance_mean(x: Float[Tensor, "n c h w"], instance: Integer[Tensor, "n h w"]) -> Float[Tensor, "n c h w"]:
    """Each channel replaced by its mean over the pixels of the same instance of the same picture."""
    result = torch.zeros_like(x)
    for picture, ids in enumerate(instance):
        for number in ids.unique():
            mask = ids == number
            result[picture, :, mask] = x[picture, :, mask].mean(dim=1, keepdim=True)
    return result


def _pool_cases() -> list[Case]:
    def one(text, n, c, h, w, ids):
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


def _pool_mistaken(wrong, x, instance):
    x = x.detach() if "detached" in wrong else x
    result = torch.zeros_like(x)
    instance = instance % 256 if "eight_bits" in wrong else instance
    for picture, ids in enumerate(instance):
        for number in ids.unique():
            mask = ids == number
            values = x[picture, :, mask]
            if "batch" in wrong:
                values = x.transpose(0, 1)[:, instance == number]
            pooled = values.mean(dim=1, keepdim=True)
            pooled = values.amax(dim=1, keepdim=True) if "max" in wrong else pooled
            pooled = values.median(dim=1, keepdim=True).values if "median" in wrong else pooled
            pooled = values.sum(dim=1, keepdim=True) if "sum" in wrong else pooled
            pooled = values.sum(dim=1, keepdim=True) / ids.numel() if "by_picture" in wrong else pooled
            pooled = pooled.mean(dim=0, keepdim=True).expand_as(pooled) if "channels" in wrong else pooled
            pooled = x[picture].mean(dim=(1, 2))[:, None] if "picture" in wrong else pooled
            pooled = values[:, :1] if "first_pixel" in wrong else pooled
            pooled = pooled * 0 if number == 0 and "zero_left_out" in wrong else pooled
            kept = number == 0 and "zero_kept" in wrong or number == 255 and "void_kept" in wrong
            kept = kept or number < 0 and "negative_kept" in wrong
            pooled = values if kept else pooled
            pooled = values - pooled if "removed" in wrong else pooled
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


# --- 9.5 diversity ---


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


def _diversity_mistaken(wrong, samples):
    k = len(samples)
    pairs = list(combinations(samples, 2))
    if "neighbours" in wrong:
        pairs = list(zip(samples, samples[1:]))
    if "from_first" in wrong:
        pairs = [(samples[0], b) for b in samples[1:]]
    if "to_mean" in wrong:
        pairs = [(a, samples.mean(0)) for a in samples]
    if "deviation" in wrong or "variance" in wrong:
        return (samples.std(0) if "deviation" in wrong else samples.var(0)).mean()
    difference = [a - b for a, b in pairs]
    if "of_means" in wrong:
        distances = [d.mean().abs() for d in difference]
    elif "squared" in wrong or "euclid" in wrong:
        distances = [d.square().mean() if "squared" in wrong else d.norm() for d in difference]
    elif "rms" in wrong:
        distances = [d.square().mean().sqrt() for d in difference]
    elif "signed" in wrong:
        distances = [d.mean() for d in difference]
    else:
        distances = [d.abs().sum() if "pixels_summed" in wrong else d.abs().mean() for d in difference]
    distances = torch.stack(distances)
    if "one_pair" in wrong:
        return distances[0]
    if "farthest" in wrong:
        return distances.max()
    total = distances.sum()
    total = 2 * total / k**2 if "with_itself" in wrong else total if "pairs_summed" in wrong else distances.mean()
    total = 2 * distances.mean() if "both_ways" in wrong else total
    return total.detach() if "detached" in wrong else total


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


# --- 9.6 the style of a picture ---


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
    def one(text, n, classes, z_dim, h, w):
        networks = SmallGenerator(classes, z_dim), SmallEncoder(z_dim)
        return case(text, *networks, label_maps(n, classes, h, w), torch.rand(1, 3, 3, 5) * 2 - 1, gradient=False)

    return [one("3 label maps", 3, 4, 5, 4, 6), one("1 label map", 1, 3, 4, 3, 3), one("2 label maps", 2, 2, 2, 5, 4)]


def _transfer_mistaken(wrong, generator, encoder, segmap, image):
    mu, logvar = encoder(image)
    z = mu + torch.exp(0.5 * logvar) if "noise_of_one" in wrong else logvar if "logvar" in wrong else mu
    z = torch.zeros_like(mu) if "no_style" in wrong else torch.tanh(mu) if "squashed" in wrong else z
    z = -mu if "sign" in wrong else mu / mu.norm() if "normalised" in wrong else z
    z = torch.exp(0.5 * logvar) if "deviation" in wrong else mu + logvar if "added" in wrong else z
    segmap = segmap[:1] if "first_map" in wrong else segmap
    image = generator(segmap, z.expand(len(segmap), -1))
    return (image + 1) / 2 if "rescaled" in wrong else image


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

EXERCISES = (_DRAW, _KL, _WALK, _POOL, _DIVERSITY, _TRANSFER)
