"""Stage 04: why a norm forgets the label of a uniform map, and SPADE doesn't (figure 3), in numbers."""

from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from .exercise import Case, Exercise, Wrong, case, variant
from .s01_batchnorm import INSTANCE, mistaken_eps, mistaken_norm, norm_mistakes

# --- 4.1 uniform maps ---


def uniform_segmaps(class_ids: list[int], num_channels: int, height: int, width: int) -> Float[Tensor, "k l h w"]:
    """One label map for each id, as one-hot channels: channel `id` is 1 everywhere, the others are 0."""
    segmaps = torch.zeros(len(class_ids), num_channels, height, width)
    for segmap, class_id in zip(segmaps, class_ids):
        segmap[class_id] = 1
    return segmaps


def _segmaps_cases() -> list[Case]:
    return [
        case("sky (23) and road (7) of 36 channels", [23, 7], 36, 2, 4, gradient=False),
        case("one class", [2], 4, 3, 2, gradient=False),
        case("all of 3 classes, backwards, 3x3", [2, 1, 0], 3, 3, 3, gradient=False),
        case("the same class twice", [1, 1, 3], 5, 2, 3, gradient=False),
    ]


def _segmaps_mistaken(wrong: Wrong, class_ids: list[int], num_channels: int, height: int, width: int) -> Tensor:
    first, positions = class_ids[:1] * len(class_ids), list(range(len(class_ids)))
    ids = variant(wrong, class_ids, sorted=sorted(class_ids), first=first, by_position=positions)
    size = variant(wrong, (height, width), swapped=(width, height))
    segmaps = torch.zeros(len(ids), num_channels, *size)
    for segmap, class_id in zip(segmaps, ids):
        segmap[class_id] = variant(wrong, 1, id_as_value=class_id)
    if "one_pixel" in wrong:
        segmaps = segmaps * (torch.arange(size[0] * size[1]) == 0).reshape(size)
    if "union" in wrong:
        segmaps = segmaps.amax(0, keepdim=True).expand_as(segmaps).clone()
    if "channels_last" in wrong:
        segmaps = segmaps.permute(0, 2, 3, 1)
    return variant(wrong, segmaps, integers=segmaps.long())


_SEGMAPS = Exercise(
    stage="04",
    title="Uniform label maps",
    goal="make the inputs of figure 3: pictures that are all sky, all road, all grass",
    minutes=5,
    difficulty=1,
    reference=uniform_segmaps,
    cases=_segmaps_cases,
    mistaken=_segmaps_mistaken,
    mistakes={
        "by_position": "The channels are numbered by the place in the list; channel number = class id.",
        "sorted": "The maps come in the order of the ids; keep the order of the list.",
        "first": "All maps show the first class; map i shows class_ids[i].",
        "id_as_value": "The channel holds the id; one-hot channels hold 1.",
        "one_pixel": "Only the first pixel is set; every pixel of the map has the class.",
        "union": "Every map has the channels of all classes; each has one.",
        "channels_last": "The channels are the last axis; the result is (k, l, h, w).",
        "swapped": "Height and width are swapped.",
        "integers": "The values are right, but integers; a convolution needs floats.",
    },
    hints=(
        "Zeros, and then one channel of each map becomes 1.",
        "torch.zeros(len(class_ids), num_channels, height, width); map i, channel class_ids[i].",
        "segmaps[i, class_ids[i]] = 1 for every i",
    ),
)


# --- 4.2 a convolution of a uniform map ---


def uniform_response(class_id: int, weight: Float[Tensor, "c l k k"], bias: Float[Tensor, " c"]) -> Float[Tensor, " c"]:
    """What a convolution with reflection padding gives, channel by channel, at any pixel of a map of `class_id`."""
    return weight[:, class_id].sum(dim=(1, 2)) + bias


def _response_cases() -> list[Case]:
    def one(text: str, class_id: int, c: int, classes: int, kernel: int) -> Case:
        return case(text, class_id, torch.randn(c, classes, kernel, kernel), torch.randn(c))

    return [
        one("class 1 of 4, a 3x3 kernel", 1, 3, 4, 3),
        one("class 0", 0, 2, 3, 3),
        one("the last class, a 7x7 kernel", 4, 3, 5, 7),
        one("a 1x1 kernel", 2, 4, 3, 1),
        one("as many channels as classes as taps", 2, 3, 3, 3),
    ]


def _response_mistaken(wrong: Wrong, class_id: int, weight: Tensor, bias: Tensor) -> Tensor:
    if "output_channel" in wrong:
        return weight[class_id].sum() + bias  # an IndexError where there are more classes than channels
    middle = weight.shape[-1] // 2
    weight = variant(wrong, weight, from_the_end=weight.flip(1))
    taps = variant(wrong, weight[:, class_id], all_classes=weight.sum(dim=1))
    taps = variant(wrong, taps, id_as_value=taps * class_id)
    value = variant(
        wrong,
        taps.sum(dim=(1, 2)),
        centre=taps[:, middle, middle],
        one_row=taps[:, middle].sum(dim=1),
        averaged=taps.mean(dim=(1, 2)),
    )
    return variant(wrong, value + bias, no_bias=value)


_RESPONSE = Exercise(
    stage="04",
    title="A convolution of a uniform map",
    goal="prove in one line that a convolution of a uniform map is constant, and see what in it depends on the class",
    minutes=10,
    difficulty=2,
    reference=uniform_response,
    cases=_response_cases,
    mistaken=_response_mistaken,
    mistakes={
        "centre": "Only the tap in the middle of the kernel counts; every tap sees a pixel of the class.",
        "one_row": "Only the middle row of the kernel counts; every tap sees a pixel of the class.",
        "averaged": "The taps are averaged; a convolution adds them up.",
        "no_bias": "The bias isn't added.",
        "all_classes": "The kernels of all classes are added up; the other channels of the map are zero.",
        "id_as_value": "The taps are multiplied by the id; the channel of a one-hot map holds 1.",
        "output_channel": "You take output channel number class_id; the class is an input channel, the second axis: "
        "weight[:, class_id].",
        "from_the_end": "The classes are counted from the wrong end.",
    },
    hints=(
        "Every pixel of channel class_id is 1, every other channel is 0. Which weights are multiplied by 1?",
        "weight[:, class_id] has shape (c, k, k); all its taps are added, then the bias: shape (c,).",
        "weight[:, class_id].sum(dim=(1, 2)) + bias",
    ),
)


# --- 4.3 the norm behind it ---


def normalised_response(
    segmap: Float[Tensor, "n l h w"], weight: Float[Tensor, "c l 3 3"], bias: Float[Tensor, " c"], eps: float
) -> Float[Tensor, "n c h w"]:
    """The first layer of pix2pixHD: reflection padding, convolution, instance norm (without ReLU)."""
    y = F.conv2d(F.pad(segmap, (1, 1, 1, 1), mode="reflect"), weight, bias)
    mean = y.mean(dim=(2, 3), keepdim=True)
    variance = (y - mean).square().mean(dim=(2, 3), keepdim=True)
    return (y - mean) / torch.sqrt(variance + eps)


def _normalised_cases() -> list[Case]:
    weight, bias = torch.randn(3, 4, 3, 3), torch.randn(3)
    uniform = uniform_segmaps([0, 2, 3], 4, 4, 5)
    mixed = F.one_hot(torch.randint(4, (2, 4, 5)), 4).permute(0, 3, 1, 2).float()
    return [
        case("uniform maps of three classes: zero", uniform, weight, bias, 1e-2, gradient=False),
        case("one uniform map", uniform[:1], weight, bias, 1e-2, gradient=False),
        case("maps of several classes", mixed, weight, bias, 1e-5),
        case("small weights, so that eps counts", mixed, 0.05 * weight, bias, 1e-2),
        case("a large eps", mixed[:1], weight, bias, 2.0),
        case("float64", mixed.double(), weight.double(), bias.double(), 1e-5),
    ]


def _normalised_mistaken(wrong: Wrong, segmap: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    mode = variant(wrong, "reflect", zero_padding="constant", replicate="replicate")
    if "norm_first" in wrong:
        y = mistaken_norm(wrong, segmap, eps, INSTANCE)
        return F.conv2d(F.pad(y, (1, 1, 1, 1), mode=mode), weight, bias)
    y = F.conv2d(F.pad(segmap, (1, 1, 1, 1), mode=mode), weight, bias)
    y = variant(wrong, y, relu_between=F.relu(y))
    y = mistaken_norm(wrong, y, eps, INSTANCE)
    y = variant(wrong, y, bias_late=y + bias[:, None, None])
    return variant(wrong, y, relu=F.relu(y))


_NORMALISED = Exercise(
    stage="04",
    title="The norm behind it",
    goal="watch the class disappear: what an instance norm leaves of a constant is zero",
    minutes=10,
    difficulty=1,
    reference=normalised_response,
    cases=_normalised_cases,
    mistaken=_normalised_mistaken,
    mistakes={
        "relu_between": "There is a ReLU between convolution and norm; the norm follows the convolution directly.",
        "zero_padding": "The rim is padded with zeros: there the convolution sees fewer pixels of the class, the map "
        "is no longer constant, and the class survives at the rim. pix2pixHD pads by reflection.",
        "replicate": "The rim is padded by repeating the last pixel; pix2pixHD pads by reflection (mode='reflect').",
        **{k: v for k, v in norm_mistakes(INSTANCE).items() if k not in ("channels", "no_norm", "no_eps")},
        "no_eps": "eps is missing: a constant map has variance zero, and 0 / 0 is no number.",
        "no_norm": "The instance norm is missing.",
        "norm_first": "The norm stands before the convolution; it comes behind it.",
        "bias_late": "The bias is added behind the norm; it belongs to the convolution, and the norm removes it.",
        "relu": "There is no ReLU here yet.",
    },
    hints=(
        "Two steps, pad and convolve, then normalise each channel of each image over its pixels.",
        "F.pad(segmap, (1, 1, 1, 1), mode='reflect') and F.conv2d keep the size; F.instance_norm(y, eps=eps) does the "
        "rest.",
        "y = F.conv2d(F.pad(segmap, (1, 1, 1, 1), mode='reflect'), weight, bias)",
    ),
)


# --- 4.4 SPADE on a uniform map ---


def uniform_modulation(
    class_id: int,
    shared: Float[Tensor, "k l 3 3"],
    gamma: Float[Tensor, "c k 3 3"],
    beta: Float[Tensor, "c k 3 3"],
) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
    """The numbers gamma_c and beta_c that SPADE's convolutions give in the middle of a map of one class."""
    hidden = F.relu(shared[:, class_id].sum(dim=(1, 2)))
    return gamma.sum(dim=(2, 3)) @ hidden, beta.sum(dim=(2, 3)) @ hidden


def _modulation_cases() -> list[Case]:
    def one(text: str, class_id: int, c: int, hidden: int, classes: int) -> Case:
        weights = torch.randn(hidden, classes, 3, 3), torch.randn(c, hidden, 3, 3), torch.randn(c, hidden, 3, 3)
        return case(text, class_id, *weights)

    return [
        one("class 1 of 4", 1, 3, 5, 4),
        one("class 0", 0, 2, 6, 3),
        one("the last class", 4, 4, 4, 5),
        one("as many of everything", 2, 3, 3, 3),
        one("one class", 0, 2, 8, 1),
    ]


def _modulation_mistaken(
    wrong: Wrong, class_id: int, shared: Tensor, gamma: Tensor, beta: Tensor
) -> tuple[Tensor, Tensor]:
    if "swapped" in wrong:
        gamma, beta = beta, gamma
    if "corner" in wrong:
        return _modulation_at(0, variant(wrong, 7, too_small=3), class_id, shared, gamma, beta)
    if "too_small" in wrong:
        return _modulation_at(1, 3, class_id, shared, gamma, beta)
    taps = variant(wrong, shared[:, class_id], all_classes=shared.sum(dim=1))
    hidden = variant(wrong, taps.sum(dim=(1, 2)), centre=taps[:, 1, 1])
    hidden = variant(wrong, F.relu(hidden), relu_early=F.relu(taps).sum(dim=(1, 2)), no_relu=hidden)

    def head(weight: Tensor) -> Tensor:
        value = variant(wrong, weight.sum(dim=(2, 3)), centre=weight[:, :, 1, 1]) @ hidden
        return variant(wrong, value, relu_late=F.relu(value))

    scale, shift = head(gamma), head(beta)
    return variant(wrong, scale, plus_one=1 + scale), shift


def _modulation_at(
    place: int, size: int, class_id: int, shared: Tensor, gamma: Tensor, beta: Tensor
) -> tuple[Tensor, Tensor]:
    """gamma and beta at the pixel (place, place) of a map of size x size, where zeros are padded."""
    segmap = shared.new_zeros(1, shared.shape[1], size, size)
    segmap[:, class_id] = 1
    hidden = F.relu(F.conv2d(segmap, shared, padding=1))
    scale, shift = (F.conv2d(hidden, weight, padding=1)[0, :, place, place] for weight in (gamma, beta))
    return scale, shift


_MODULATION = Exercise(
    stage="04",
    title="SPADE on a uniform map",
    goal="see that SPADE's label branch, which no norm touches, keeps the class: it becomes conditional batch norm",
    minutes=15,
    difficulty=3,
    reference=uniform_modulation,
    cases=_modulation_cases,
    mistaken=_modulation_mistaken,
    mistakes={
        "no_relu": "The ReLU behind the shared convolution is missing.",
        "relu_early": "The ReLU is applied to every tap; it comes after they are added up.",
        "relu_late": "gamma and beta go through a ReLU; only the hidden numbers do.",
        "centre": "Only the middle taps count; every tap sees the same constant, so all nine are added.",
        "corner": "That is the value at the corner of the picture, where zeros are padded; elsewhere nine taps count.",
        "too_small": "Your map is too small: through two 3x3 convolutions a pixel sees two pixels to each side, and in "
        "a 3x3 map the padded zeros.",
        "all_classes": "The kernels of all classes are added up; the other channels of the map are zero.",
        "swapped": "gamma and beta are swapped; first gamma, then beta.",
        "plus_one": "The 1 of 1 + gamma isn't part of gamma; return gamma as the convolution gives it.",
    },
    hints=(
        "Twice the exercise on a convolution of a uniform map, with a ReLU between: after the first convolution the "
        "map is constant again, now in all its channels.",
        "hidden (k,): the class's kernels, added up over their taps, then ReLU. gamma (c,): the taps added up leave a "
        "matrix (c, k), times hidden.",
        "hidden = F.relu(shared[:, class_id].sum(dim=(1, 2))); gamma.sum(dim=(2, 3)) @ hidden ...",
    ),
)


# --- 4.5 the difference in numbers ---


def colour_difference(images: Float[Tensor, "k 3 h w"]) -> float:
    """Mean over pairs of images of the mean absolute difference of their mean colours, over R, G, B in 0..255.

    images: in [-1, 1].
    """
    colours = (images.mean(dim=(2, 3)) + 1) * 127.5
    differences = [(a - b).abs().mean() for a, b in combinations(colours, 2)]
    return float(torch.stack(differences).mean())


def _colour_cases() -> list[Case]:
    def one(text: str, k: int, h: int, w: int) -> Case:
        return case(text, (torch.randn(k, 3, 1, 1) * 0.4 + 0.5 * torch.randn(k, 3, h, w)).clamp(-1, 1), gradient=False)

    noise = torch.rand(1, 3, 4, 4)
    black_white = torch.stack([torch.full((3, 2, 3), -1.0), torch.full((3, 2, 3), 1.0)])
    return [
        one("4 images", 4, 5, 4),
        case("black and white: 255", black_white, gradient=False),
        case("one colour, other noise: zero", torch.cat([noise, noise.flip(2), noise.flip(3)]), gradient=False),
        one("2 images", 2, 3, 3),
        one("3 images of one pixel", 3, 1, 1),
    ]


def _colour_mistaken(wrong: Wrong, images: Tensor) -> float:
    colours = (images.mean(dim=(2, 3)) + 1) * 127.5
    grey = (images.mean(dim=(1, 2, 3)) + 1)[:, None] * 127.5
    colours = variant(wrong, colours, pixels=(images + 1) * 127.5, grey=grey)
    colours = variant(wrong, colours, no_scale=colours / 127.5, unit=colours / 255)
    colours = variant(wrong, colours, twice=colours * 2)
    d = torch.stack([colours[i] - colours[j] for i, j in _pairs_mistaken(wrong, len(colours))])
    if "euclidean" in wrong:
        return float(d.flatten(1).norm(dim=1).mean())
    if "channels_summed" in wrong:
        return float(d.abs().sum(dim=1).mean())
    if "squared" in wrong:
        return float(d.square().mean())
    d = variant(wrong, d.abs(), root=d.square().mean(dim=1, keepdim=True).sqrt(), signed=d)
    each = d.flatten(1).mean(dim=1)
    return float(variant(wrong, each.mean(), pairs_summed=each.sum(), largest=each.max()))


def _pairs_mistaken(wrong: Wrong, k: int) -> list[tuple[int, int]]:
    return variant(
        wrong,
        list(combinations(range(k), 2)),
        neighbours=[(i, i + 1) for i in range(k - 1)],
        with_first=[(0, j) for j in range(1, k)],
        self_pairs=[(i, j) for i in range(k) for j in range(k)],
    )


_COLOUR = Exercise(
    stage="04",
    title="How different are the pictures?",
    goal="measure figure 3: how far apart are the mean colours that a generator paints for different classes",
    minutes=10,
    difficulty=2,
    reference=colour_difference,
    cases=_colour_cases,
    mistaken=_colour_mistaken,
    mistakes={
        "pixels": "Pixels are compared, so noise counts as a difference; take each image's mean colour first.",
        "grey": "The three channels are averaged before comparing: red and blue of one brightness would be equal.",
        "no_scale": "Images in [-1, 1] have to be brought to 0..255: (x + 1) * 127.5.",
        "unit": "The colours are in 0..1; they should be in 0..255.",
        "twice": "[-1, 1] has length 2, so the factor to 0..255 is 127.5.",
        "self_pairs": "Pairs of an image with itself are counted; take each pair of different images once.",
        "with_first": "Only pairs with the first image are counted; take every pair.",
        "neighbours": "Only neighbours in the batch are compared; take every pair.",
        "euclidean": "That is the Euclidean distance; here the absolute differences of R, G and B are averaged.",
        "channels_summed": "The differences of R, G and B are added up; average over them.",
        "root": "That is the root mean square of the three differences; take the mean of their absolute values.",
        "squared": "The differences are squared; take their absolute values.",
        "signed": "The differences cancel: take their absolute values.",
        "pairs_summed": "The pairs are added up; average over them.",
        "largest": "That is the largest difference; average over the pairs.",
    },
    hints=(
        "Three steps: a mean colour for each image, a difference for each pair, a mean over the pairs.",
        "colours = (images.mean(dim=(2, 3)) + 1) * 127.5 has shape (k, 3). "
        "itertools.combinations(colours, 2) gives the pairs.",
        "differences = [(a - b).abs().mean() for a, b in combinations(colours, 2)]",
    ),
)


# --- 4.6 rounding ---


def noise_gain(deviation: float, eps: float, num_norms: int) -> float:
    """The deviation of rounding noise of size `deviation` after num_norms instance norms on an else constant map.

    Each norm divides by sqrt(deviation^2 + eps); take the layers between as leaving the deviation as it is.
    """
    for _ in range(num_norms):
        deviation = deviation / (deviation**2 + eps) ** 0.5
    return deviation


def _gain_cases() -> list[Case]:
    return [
        case("float32 noise, 1 norm", 1e-7, 1e-5, 1),
        case("float32 noise, 2 norms", 1e-7, 1e-5, 2),
        case("float32 noise, 20 norms", 1e-7, 1e-5, 20),
        case("float64 noise, 5 norms", 1e-16, 1e-5, 5),
        case("one norm", 0.3, 0.1, 1),
        case("a large deviation", 4.0, 0.5, 3),
        case("a large eps: the noise dies out", 0.5, 4.0, 4),
        case("no norm", 0.2, 0.1, 0),
    ]


def _gain_mistaken(wrong: Wrong, deviation: float, eps: float, num_norms: int) -> float:
    if "all_at_once" in wrong:
        return deviation / (deviation**2 + eps) ** (num_norms / 2)
    if "largest_gain" in wrong:
        return deviation / eps ** (num_norms / 2)
    steps = variant(wrong, num_norms + ("one_more" in wrong) - ("one_less" in wrong), once=1)
    steps = variant(wrong, steps, at_most_one=min(num_norms, 1))
    eps = mistaken_eps(wrong, eps)
    for _ in range(steps):
        if "eps_outside" in wrong:
            deviation = deviation / (deviation + eps)
        elif "no_root" in wrong:
            deviation = deviation / (deviation**2 + eps)
        elif "not_squared" in wrong:
            deviation = deviation / (deviation + eps) ** 0.5
        else:
            deviation = deviation / (deviation**2 + eps) ** 0.5
    return deviation


_GAIN = Exercise(
    stage="04",
    title="Where pix2pixHD's patterns come from",
    goal="explain why the exact zero of the proof isn't what a computer shows after twenty norms",
    minutes=10,
    difficulty=2,
    reference=noise_gain,
    cases=_gain_cases,
    mistaken=_gain_mistaken,
    mistakes={
        "all_at_once": "The gain of the first norm is used for all; each norm meets what the one before left.",
        "largest_gain": "1 / sqrt(eps) is the gain for very small noise only; the deviation itself stands under the "
        "root too, and it grows.",
        "once": "Only one norm is applied; apply num_norms of them.",
        "at_most_one": "Only one norm is applied, however many are asked for; apply num_norms of them.",
        "one_more": "There is one norm too many.",
        "one_less": "There is one norm too few.",
        "fixed_eps": "Your eps is always 1e-5; take the argument `eps`.",
        "eps_outside": "eps is added to the deviation; it is added to the variance, under the root.",
        "no_root": "You divide by the variance; divide by its root.",
        "not_squared": "Under the root stands the variance, the deviation squared.",
        "no_eps": "eps is missing under the root.",
    },
    hints=(
        "A loop: what is the deviation behind a norm, if it was `deviation` before?",
        "Dividing every value by sqrt(deviation^2 + eps) divides the deviation by the same number. Repeat num_norms "
        "times.",
        "deviation = deviation / (deviation**2 + eps) ** 0.5",
    ),
    tolerance=1e-4,
)

EXERCISES = (_SEGMAPS, _RESPONSE, _NORMALISED, _MODULATION, _COLOUR, _GAIN)
