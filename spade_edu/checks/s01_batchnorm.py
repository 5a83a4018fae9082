"""Stage 01: batch norm, and the norms that differ from it by the pixels they average over."""

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from .exercise import Case, Exercise, Wrong, case, variant

Axes = tuple[int, ...]
BATCH: Axes = (0, 2, 3)
INSTANCE: Axes = (2, 3)

# --- what may go wrong in any normalisation: switches that later stages use as well ---

AXES: dict[str, tuple[Axes, str]] = {
    "batch": (BATCH, "over the whole batch, axes (0, 2, 3): that is batch norm"),
    "instance": (INSTANCE, "over (h, w) of each image by itself, axes (2, 3): that is instance norm"),
    "layer": ((1, 2, 3), "over channels and pixels of an image, axes (1, 2, 3): that is layer norm"),
    "everything": ((0, 1, 2, 3), "over everything, channels included"),
    "across": ((0,), "over the batch only, pixel by pixel (axis 0)"),
    "channels": ((1,), "over the channels, pixel by pixel (axis 1)"),
}
FORMULA = {
    "unbiased": "Your variance divides by n - 1 (torch.var's default); the normalisation divides by n.",
    "eps_outside": "eps is added to the deviation, behind the root; it belongs under the root: sqrt(variance + eps).",
    "no_eps": "eps is missing: divide by sqrt(variance + eps), or a constant channel divides by zero.",
    "fixed_eps": "Your eps is always 1e-5; take the argument `eps`.",
    "no_root": "You divide by the variance; divide by its square root, the standard deviation.",
    "no_mean": "The mean isn't subtracted before dividing.",
    "only_mean": "You subtract the mean, but don't divide by the standard deviation.",
    "second_moment": "You divide by the root of the mean of x^2; subtract the mean first, then square.",
    "absolute": "You divide by the mean absolute deviation; take the root of the mean squared one.",
    "detached": "The mean and variance are cut off from the gradient (`.detach()` or `no_grad`); here the gradient "
    "flows through them too.",
    "no_norm": "x itself is scaled and shifted; it has to be normalised first.",
}


def norm_mistakes(right: Axes) -> dict[str, str]:
    """The switches of `mistaken_norm` for a norm over the axes `right`, with their messages."""
    ours = f"here they belong over axes {right}."
    axes = {name: f"The statistics are taken {words}; {ours}" for name, (axes, words) in AXES.items() if axes != right}
    return {**axes, **FORMULA}


def mistaken_axes(wrong: Wrong, right: Axes) -> Axes:
    """The axes that the first mistake of AXES in `wrong` averages over; `right` if there is none."""
    return variant(wrong, right, **{name: axes for name, (axes, _) in AXES.items()})


def mistaken_eps(wrong: Wrong, eps: float) -> float:
    """eps, forgotten or fixed with these mistakes."""
    return variant(wrong, eps, no_eps=0.0, fixed_eps=1e-5)


def mistaken_norm(wrong: Wrong, x: Tensor, eps: float, right: Axes) -> Tensor:
    """(x - mean) / sqrt(variance + eps) over the axes `right`, with the mistakes in `wrong`."""
    if "no_norm" in wrong:
        return x
    axes = mistaken_axes(wrong, right)
    mean = x.mean(dim=axes, keepdim=True)
    variance = x.var(dim=axes, keepdim=True, unbiased="unbiased" in wrong)
    if "second_moment" in wrong:
        variance = x.square().mean(dim=axes, keepdim=True)
    if "detached" in wrong:
        mean, variance = mean.detach(), variance.detach()
    centred = variant(wrong, x - mean, no_mean=x)
    if "only_mean" in wrong:
        return centred
    if "absolute" in wrong:
        return centred / (x - mean).abs().mean(dim=axes, keepdim=True).add(eps)
    eps = mistaken_eps(wrong, eps)
    if "eps_outside" in wrong:
        return centred / (variance.sqrt() + eps)
    if "no_root" in wrong:
        return centred / (variance + eps)
    return centred / torch.sqrt(variance + eps)


AFFINE = {
    "swapped": "gamma and beta are swapped: gamma scales, beta shifts.",
    "no_beta": "beta isn't added.",
    "no_gamma": "gamma isn't applied.",
    "plus_one": "You scale by 1 + gamma; that is how SPADE's code writes it. Here gamma itself is the scale.",
    "shift_first": "beta is added before scaling; it comes last: norm(x) * gamma + beta.",
}


def mistaken_affine(wrong: Wrong, y: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """y * gamma + beta, with the mistakes in `wrong`."""
    if "swapped" in wrong:
        gamma, beta = beta, gamma
    gamma = variant(wrong, gamma, no_gamma=torch.ones_like(gamma), plus_one=1 + gamma)
    beta = variant(wrong, beta, no_beta=torch.zeros_like(beta))
    if "shift_first" in wrong:
        return (y + beta) * gamma
    return y * gamma + beta


# --- 1.1 statistics ---


def batch_statistics(x: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
    """Mean and variance of each channel over batch and pixels; the variance divides by n h w."""
    mean = x.mean(dim=(0, 2, 3))
    variance = (x - mean[:, None, None]).square().mean(dim=(0, 2, 3))
    return mean, variance


def features(n: int, c: int, h: int, w: int, scale: float = 1.0, brightness: float = 1.0) -> Tensor:
    """Random features whose channels, and whose images, differ in mean and spread, so that the axes matter."""
    spread = 0.5 + torch.rand(1, c, 1, 1) + torch.rand(n, 1, 1, 1)
    return scale * (spread * torch.randn(n, c, h, w) + brightness * torch.randn(n, c, 1, 1))


def flat_channel(x: Tensor) -> Tensor:
    """x with a first channel that is constant."""
    x = x.clone()
    x[:, 0] = 0.5
    return x


def _statistics_cases() -> list[Case]:
    return [
        case("2 images of 3 channels", features(2, 3, 4, 5)),
        case("a batch of 1", features(1, 2, 3, 4)),
        case("5 images of one pixel", features(5, 3, 1, 1)),
        case("a channel that is constant", flat_channel(features(2, 2, 3, 3))),
        case("as many channels as rows", features(3, 3, 3, 3)),
        case("memory in another order", features(2, 3, 5, 4).transpose(2, 3)),
        case("float64", features(2, 2, 4, 3).double()),
    ]


def _statistics_mistaken(wrong: Wrong, x: Tensor) -> tuple[Tensor, Tensor]:
    axes = variant(wrong, BATCH, one_number=(0, 1, 2, 3), per_image=INSTANCE, per_pixel=(0,))
    if "scrambled" in wrong:
        n, c, h, w = x.shape
        x = x.reshape(c, n, h, w).transpose(0, 1)
    mean = x.mean(dim=axes, keepdim=True)
    variance = x.var(dim=axes, keepdim=True, unbiased="unbiased" in wrong)
    if "variances_averaged" in wrong:
        variance = x.var(dim=(2, 3), keepdim=True, unbiased="unbiased" in wrong).mean(dim=axes, keepdim=True)
    if "second_moment" in wrong:
        variance = x.square().mean(dim=axes, keepdim=True)
    if "absolute" in wrong:
        variance = (x - mean).abs().mean(dim=axes, keepdim=True)
    if "not_averaged" in wrong:
        variance = (x - mean).square().sum(dim=axes, keepdim=True)
    if "deviation" in wrong:
        variance = variance.sqrt()
    if "kept" not in wrong:
        mean, variance = mean.sum(dim=axes), variance.sum(dim=axes)  # axes of length 1, dropped
    if "swapped" in wrong:
        return variance, mean
    return mean, variance


_STATISTICS = Exercise(
    stage="01",
    title="Mean and variance of a batch",
    goal="see which numbers of a batch share one mean: all pixels of all images, channel by channel",
    minutes=10,
    difficulty=1,
    reference=batch_statistics,
    cases=_statistics_cases,
    mistaken=_statistics_mistaken,
    mistakes={
        "unbiased": "Your variance divides by n - 1 (torch.var's default); batch norm normalises with the variance "
        "that divides by n.",
        "deviation": "The second result is the standard deviation; the variance is its square.",
        "second_moment": "The second result is the mean of x^2; subtract the mean before squaring.",
        "absolute": "The second result is the mean absolute deviation; the variance is the mean squared one.",
        "not_averaged": "The squared deviations are added up but not divided by their number.",
        "swapped": "The results are in the wrong order: first the mean, then the variance.",
        "per_image": "The statistics are taken for each image by itself, over (h, w): that is instance norm. Batch "
        "norm averages over the batch too, axes (0, 2, 3).",
        "per_pixel": "You average over the batch only, so every pixel has its own mean; average over the pixels too, "
        "axes (0, 2, 3).",
        "one_number": "You average over the channels too; every channel keeps its own mean and variance.",
        "variances_averaged": "You average the variances of the single images; they leave out how far the images lie "
        "apart. Measure every pixel from the mean of the whole batch.",
        "scrambled": "`view` or `reshape` to (c, ...) mixes the channels: the batch comes first in x. Take the mean "
        "over the axes (0, 2, 3), or move the channels to the front before.",
        "kept": "The numbers are right, the shape is (1, c, 1, 1): leave keepdim out, the result has shape (c,).",
    },
    hints=(
        "x has the axes (n, c, h, w) = (0, 1, 2, 3). One number for each channel is left, so which axes go?",
        "Both results have shape (c,). First x.mean over three axes, then the mean of the squared distance from it; to "
        "subtract it, give it two more axes: mean[:, None, None].",
        "variance = (x - mean[:, None, None]).square().mean(dim=...)",
    ),
)


# --- 1.2 running averages ---


def running_average(
    running_mean: Float[Tensor, " c"],
    running_var: Float[Tensor, " c"],
    x: Float[Tensor, "n c h w"],
    momentum: float,
) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
    """The new running averages, (1 - momentum) old + momentum new; the variance that goes in divides by count - 1."""
    with torch.no_grad():
        mean = x.mean(dim=(0, 2, 3))
        count = x.numel() // x.shape[1]
        variance = (x - mean[:, None, None]).square().sum(dim=(0, 2, 3)) / (count - 1)
        new_mean = (1 - momentum) * running_mean + momentum * mean
        new_var = (1 - momentum) * running_var + momentum * variance
    return new_mean, new_var


def _running_cases() -> list[Case]:
    def one(text: str, n: int, c: int, h: int, w: int, momentum: float) -> Case:
        x = features(n, c, h, w)
        return case(text, torch.randn(c), 0.5 + torch.rand(c), x, momentum, gradient=("x",))

    return [
        one("2 images, momentum 0.1", 2, 3, 2, 3, 0.1),
        one("momentum 0.75", 3, 2, 2, 2, 0.75),
        one("a batch of 1", 1, 2, 3, 2, 0.3),
        one("momentum 1: the new values only", 2, 2, 1, 2, 1.0),
        one("momentum 0: nothing changes", 2, 2, 2, 2, 0.0),
        one("3 images of one pixel", 3, 4, 1, 1, 0.5),
    ]


def _running_mistaken(
    wrong: Wrong, running_mean: Tensor, running_var: Tensor, x: Tensor, momentum: float
) -> tuple[Tensor, Tensor]:
    if "attached" not in wrong:
        running_mean, running_var, x = running_mean.detach(), running_var.detach(), x.detach()
    mean = x.mean(dim=(0, 2, 3))
    n, c, h, w = x.shape
    squares = (x - mean[:, None, None]).square().sum(dim=(0, 2, 3))
    count = n * h * w
    variance = squares / variant(wrong, count - 1, biased=count)
    if "count_images" in wrong:
        variance = squares / count * n / max(n - 1, 1e-9)
    if "count_everything" in wrong:
        variance = squares / count * (n * c * h * w) / (n * c * h * w - 1)
    if "deviation" in wrong:
        variance = variance.sqrt()
    momentum = variant(wrong, momentum, reversed=1 - momentum, fixed=0.1)
    keep = variant(wrong, 1 - momentum, no_decay=1.0)
    if "replaced" in wrong:
        keep, momentum = 0.0, 1.0
    new_mean, new_var = keep * running_mean + momentum * mean, keep * running_var + momentum * variance
    if "variance_forgotten" in wrong:
        new_var = running_var.clone()
    return new_mean, new_var


_RUNNING = Exercise(
    stage="01",
    title="The running averages",
    goal="write what batch norm remembers for evaluation, as torch does it",
    minutes=15,
    difficulty=2,
    reference=running_average,
    cases=_running_cases,
    mistaken=_running_mistaken,
    mistakes={
        "reversed": "momentum is the wrong way round: in torch it is the weight of the new value, "
        "(1 - momentum) * old + momentum * new.",
        "biased": "The variance that goes into the running average divides by count - 1 (as an estimate for the whole "
        "data set); yours divides by count.",
        "count_images": "The unbiased variance needs the number of values a channel, n * h * w; you took n.",
        "count_everything": "The unbiased variance needs the number of values a channel, n * h * w; you counted the "
        "channels too.",
        "deviation": "The running average is of the variance, not of the standard deviation.",
        "fixed": "Your momentum is always 0.1; take the argument.",
        "no_decay": "The old average must shrink: (1 - momentum) * old, or the sum grows without end.",
        "replaced": "The old average is thrown away; keep (1 - momentum) of it.",
        "variance_forgotten": "The variance isn't updated, only the mean.",
        "attached": "The values are right, but they carry a gradient, and with it every batch since the start: compute "
        "them under `with torch.no_grad():`.",
    },
    hints=(
        "Two steps: the statistics of x, channel by channel, then a weighted mean of old and new. Which of the two "
        "variances, the one over count or over count - 1?",
        "count = n * h * w. new = (1 - momentum) * old + momentum * batch, for mean and variance, without gradients, "
        "returned as new tensors.",
        "variance = (x - mean[:, None, None]).square().sum(dim=(0, 2, 3)) / (count - 1)",
    ),
)


# --- 1.3 batch norm ---


def batch_norm(
    x: Float[Tensor, "n c h w"],
    gamma: Float[Tensor, " c"],
    beta: Float[Tensor, " c"],
    running_mean: Float[Tensor, " c"],
    running_var: Float[Tensor, " c"],
    training: bool,
    eps: float,
) -> Float[Tensor, "n c h w"]:
    """y = gamma_c (x - mean_c) / sqrt(var_c + eps) + beta_c, with the batch's statistics or the running ones."""
    mean, variance = batch_statistics(x) if training else (running_mean, running_var)
    normalised = (x - mean[:, None, None]) / torch.sqrt(variance[:, None, None] + eps)
    return gamma[:, None, None] * normalised + beta[:, None, None]


def _batch_norm_cases() -> list[Case]:
    def one(text: str, x: Tensor, training: bool, eps: float = 1e-5) -> Case:
        c = x.shape[1]
        numbers = [torch.randn(c) + 1.5, torch.randn(c), torch.randn(c), 0.2 + torch.rand(c)]
        return case(text, x, *(v.to(x.dtype) for v in numbers), training, eps, gradient=("x", "gamma", "beta"))

    return [
        one("training", features(2, 3, 4, 5), True),
        one("evaluation", features(2, 3, 4, 5), False),
        one("training, a batch of 1", features(1, 2, 3, 4), True),
        one("evaluation, a batch of 1", features(1, 2, 3, 4), False),
        one("training, a small spread, so that eps counts", flat_channel(features(2, 2, 3, 4, scale=0.05)), True, 1e-3),
        one("evaluation, a large eps", features(2, 2, 3, 4), False, 0.3),
        one("training, a channel that is constant", flat_channel(features(2, 2, 3, 3)), True),
        one("training, images of one pixel", features(4, 3, 1, 1), True),
        one("training, memory in another order", features(2, 3, 5, 4).transpose(2, 3), True),
        one("training, as many channels as rows and columns", features(3, 3, 3, 3), True),
        one("training, float64", features(2, 2, 4, 3).double(), True),
    ]


def _batch_norm_mistaken(
    wrong: Wrong,
    x: Tensor,
    gamma: Tensor,
    beta: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    training: bool,
    eps: float,
) -> Tensor:
    gamma, beta = gamma[:, None, None], beta[:, None, None]
    training = training != ("exchanged_modes" in wrong)
    if "always_batch" in wrong or (training and "always_running" not in wrong):
        return mistaken_affine(wrong, mistaken_norm(wrong, x, eps, BATCH), gamma, beta)
    mean, variance = running_mean[:, None, None], running_var[:, None, None]
    if "no_mean" in wrong:
        mean = torch.zeros_like(mean)
    eps = mistaken_eps(wrong, eps)
    deviation = torch.sqrt(variance + eps)
    if "no_root" in wrong or "running_deviation" in wrong:
        deviation = variance + eps
    elif "eps_outside" in wrong:
        deviation = variance.sqrt() + eps
    normalised = variant(wrong, (x - mean) / deviation, no_norm=x, only_mean=x - mean)
    return mistaken_affine(wrong, normalised, gamma, beta)


_BATCH_NORM = Exercise(
    stage="01",
    title="Batch norm, in training and in evaluation",
    goal="write the whole forward pass, and see what `model.eval()` changes in it",
    minutes=15,
    difficulty=2,
    reference=batch_norm,
    cases=_batch_norm_cases,
    mistaken=_batch_norm_mistaken,
    mistakes={
        "always_batch": "In evaluation you still use the statistics of the batch; use running_mean and running_var, so "
        "that an image's result doesn't depend on its company.",
        "exchanged_modes": "The `if` is the wrong way round: in training the batch's statistics, in evaluation the "
        "running ones.",
        "always_running": "In training you use the running averages; use the statistics of the batch.",
        **norm_mistakes(BATCH),
        "running_deviation": "In evaluation you divide by running_var itself; divide by sqrt(running_var + eps).",
        **AFFINE,
    },
    hints=(
        "One `if`: where do mean and variance come from? Everything after it is the same for training and evaluation.",
        "mean and variance have shape (c,); to combine them with x (n, c, h, w) give them two axes at the end: "
        "mean[:, None, None]. The same for gamma and beta.",
        "normalised = (x - mean[:, None, None]) / torch.sqrt(variance[:, None, None] + eps), then gamma and beta",
    ),
)


# --- 1.4 instance norm ---


def instance_norm(x: Float[Tensor, "n c h w"], eps: float) -> Float[Tensor, "n c h w"]:
    """y = (x - mean_nc) / sqrt(var_nc + eps), over the pixels of one channel of one image."""
    mean = x.mean(dim=(2, 3), keepdim=True)
    variance = (x - mean).square().mean(dim=(2, 3), keepdim=True)
    return (x - mean) / torch.sqrt(variance + eps)


def _instance_cases() -> list[Case]:
    return [
        case("2 images of 3 channels", features(2, 3, 4, 5), 1e-5),
        case("a batch of 1", features(1, 2, 3, 4), 1e-5),
        case("a small spread, so that eps counts", flat_channel(features(2, 2, 3, 4, scale=0.05)), 1e-3),
        case("a channel that is constant: it becomes zero", flat_channel(features(2, 2, 3, 3)), 1e-5),
        case("memory in another order", features(2, 3, 5, 4).transpose(2, 3), 1e-5),
        case("as many images as channels", features(3, 3, 3, 2), 1e-5),
        case("float64", features(2, 2, 4, 3).double(), 1e-5),
    ]


_INSTANCE = Exercise(
    stage="01",
    title="Instance norm",
    goal="change one thing in batch norm, the axes, and see what that does to a constant channel",
    minutes=5,
    difficulty=1,
    reference=instance_norm,
    cases=_instance_cases,
    mistaken=lambda wrong, x, eps: mistaken_norm(wrong, x, eps, INSTANCE),
    mistakes={name: text for name, text in norm_mistakes(INSTANCE).items() if name != "no_norm"}
    | {"no_norm": "x comes back as it went in."},
    hints=(
        "Batch norm without gamma and beta; only the axes of mean and variance differ.",
        "Every image keeps its own statistics, channel by channel: two axes go. keepdim=True leaves shape "
        "(n, c, 1, 1), which combines with x as it is.",
        "mean = x.mean(dim=(2, 3), keepdim=True)",
    ),
)


# --- 1.5 conditional batch norm ---


def conditional_batch_norm(
    x: Float[Tensor, "n c h w"],
    label: Integer[Tensor, " n"],
    gamma: Float[Tensor, "k c"],
    beta: Float[Tensor, "k c"],
    eps: float,
) -> Float[Tensor, "n c h w"]:
    """y = gamma_kc norm(x) + beta_kc, with k the class of the image and the statistics of the whole batch."""
    mean, variance = batch_statistics(x)
    normalised = (x - mean[:, None, None]) / torch.sqrt(variance[:, None, None] + eps)
    return gamma[label][:, :, None, None] * normalised + beta[label][:, :, None, None]


def _conditional_cases() -> list[Case]:
    def one(text: str, x: Tensor, label: list[int], classes: int, eps: float = 1e-5) -> Case:
        gamma, beta = (torch.randn(classes, x.shape[1]).to(x.dtype) for _ in range(2))
        return case(text, x, torch.tensor(label), gamma + 1.5, beta, eps)

    return [
        one("3 images of two classes", features(3, 2, 3, 4), [1, 0, 1], 4),
        one("a batch of 1", features(1, 3, 4, 2), [2], 3),
        one("as many classes as channels as images", features(3, 3, 2, 2), [2, 0, 1], 3),
        one("a small spread, so that eps counts", flat_channel(features(2, 2, 3, 4, scale=0.05)), [1, 1], 2, 1e-3),
        one("4 images of different brightness", features(4, 2, 3, 3, brightness=3.0), [0, 1, 1, 0], 2),
        one("float64", features(2, 2, 4, 3).double(), [0, 3], 5),
    ]


def _conditional_mistaken(wrong: Wrong, x: Tensor, label: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> Tensor:
    gamma, beta = gamma[:, :, None, None], beta[:, :, None, None]
    if "first_label" in wrong:
        label = label[:1].expand_as(label)
    if "by_position" in wrong:
        label = torch.arange(len(label)) % len(gamma)
    if "averaged" in wrong:
        gamma, beta = gamma.mean(0, keepdim=True), beta.mean(0, keepdim=True)
    else:
        gamma, beta = gamma[label], beta[label]
    y = mistaken_norm(wrong, x, eps, BATCH)
    if "per_class" in wrong:
        y = torch.empty_like(x)
        for k in label.unique():
            y = torch.where((label == k)[:, None, None, None], _normalised_class(x, label == k, eps), y)
    return mistaken_affine(wrong, y, gamma, beta)


def _normalised_class(x: Tensor, chosen: Tensor, eps: float) -> Tensor:
    """x, normalised with the statistics of the chosen images only."""
    mean, variance = batch_statistics(x[chosen])
    return (x - mean[:, None, None]) / torch.sqrt(variance[:, None, None] + eps)


_CONDITIONAL = Exercise(
    stage="01",
    title="Conditional batch norm",
    goal="let the class of an image choose scale and shift: the step between batch norm and SPADE",
    minutes=10,
    difficulty=2,
    reference=conditional_batch_norm,
    cases=_conditional_cases,
    mistaken=_conditional_mistaken,
    mistakes={
        **norm_mistakes(BATCH),
        "per_class": "The statistics are taken for each class by itself; they belong to the whole batch, and only "
        "gamma and beta depend on the class.",
        "first_label": "Every image gets the gamma and beta of the first image's class; look each label up: "
        "gamma[label].",
        "by_position": "gamma and beta are taken by the image's place in the batch; look them up by its label: "
        "gamma[label].",
        "averaged": "gamma and beta are averaged over the classes; each image takes those of its own class: "
        "gamma[label].",
        **AFFINE,
    },
    hints=(
        "Normalise as batch norm does in training. Then every image takes its own row of the tables gamma and beta.",
        "gamma[label] has shape (n, c): indexing with a tensor of ids takes one row for each. Add two axes at the end.",
        "return gamma[label][:, :, None, None] * normalised + ...",
    ),
)


# --- 1.6 adaptive instance norm ---


def adain(x: Float[Tensor, "n c h w"], style: Float[Tensor, "n c h2 w2"], eps: float) -> Float[Tensor, "n c h w"]:
    """y = deviation(style) * (x - mean(x)) / deviation(x) + mean(style), deviation = sqrt(variance + eps)."""
    mean, style_mean = x.mean(dim=(2, 3), keepdim=True), style.mean(dim=(2, 3), keepdim=True)
    deviation = torch.sqrt((x - mean).square().mean(dim=(2, 3), keepdim=True) + eps)
    style_deviation = torch.sqrt((style - style_mean).square().mean(dim=(2, 3), keepdim=True) + eps)
    return style_deviation * (x - mean) / deviation + style_mean


def _adain_cases() -> list[Case]:
    return [
        case("2 images, styles of another size", features(2, 3, 4, 5), features(2, 3, 3, 2), 1e-5),
        case("a batch of 1", features(1, 2, 3, 4), features(1, 2, 3, 4), 1e-5),
        case("content of a small spread", flat_channel(features(2, 2, 3, 4, 0.05)), features(2, 2, 3, 4), 1e-3),
        case("style of a small spread, so that eps counts", features(2, 2, 3, 4), features(2, 2, 2, 4, 0.05), 1e-3),
        case("a constant style", features(2, 2, 3, 4), torch.full((2, 2, 3, 3), 0.7), 1e-2),
        case("few pixels", features(3, 2, 1, 2), features(3, 2, 2, 2), 1e-5),
        case("float64", features(2, 2, 4, 3).double(), features(2, 2, 3, 3).double(), 1e-5),
    ]


def _adain_mistaken(wrong: Wrong, x: Tensor, style: Tensor, eps: float) -> Tensor:
    if "exchanged" in wrong:
        x, style = style, x
    axes, style_eps = mistaken_axes(wrong, INSTANCE), variant(wrong, eps, style_no_eps=0.0)
    mean = style.mean(dim=axes, keepdim=True)
    variance = style.var(dim=axes, keepdim=True, unbiased="unbiased" in wrong) + style_eps
    root = variant(wrong, torch.sqrt(variance), style_variance=variance)
    if "style_detached" in wrong:
        mean, root = mean.detach(), root.detach()
    if "style_unbiased" in wrong:
        wrong = wrong - {"unbiased"}
        root = torch.sqrt(style.var(dim=axes, keepdim=True, unbiased=True) + style_eps)
    y = mistaken_norm(wrong, x, eps, INSTANCE)
    if "no_scale" not in wrong:
        y = y * root
    if "no_shift" in wrong:
        return y
    return y + mean


_ADAIN = Exercise(
    stage="01",
    title="Adaptive instance norm",
    goal="give an image the statistics of another one: the style of a picture as scale and shift",
    minutes=10,
    difficulty=2,
    reference=adain,
    cases=_adain_cases,
    mistaken=_adain_mistaken,
    mistakes={
        "no_shift": "The style's mean isn't added at the end.",
        "no_scale": "The normalised content isn't multiplied by the style's deviation.",
        "style_variance": "You multiply by the style's variance; multiply by its deviation, the root.",
        "exchanged": "Content and style are exchanged: the pattern comes from x, its mean and deviation from style.",
        **{name: text for name, text in norm_mistakes(INSTANCE).items() if name not in ("across", "channels")},
        "style_no_eps": "eps is missing under the root of the style's deviation.",
        "style_unbiased": "The style's variance divides by n - 1; here both divide by n.",
        "style_detached": "The style's statistics are cut off from the gradient; here it flows through them too.",
    },
    hints=(
        "Two instance norms' worth of statistics: take x's away, put the style's on.",
        "mean and deviation of x and of style, each of shape (n, c, 1, 1), deviation = sqrt(variance + eps). Then "
        "normalise x with its own and scale and shift with the style's.",
        "return style_deviation * (x - mean) / deviation + ...",
    ),
)

EXERCISES = (_STATISTICS, _RUNNING, _BATCH_NORM, _INSTANCE, _CONDITIONAL, _ADAIN)
