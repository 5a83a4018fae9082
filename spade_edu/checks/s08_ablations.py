"""Stage 08: comparing variants fairly."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from .exercise import Case, Exercise, case
from .s05_spade_generator import label_maps

# --- 8.1 the Concat variant ---


def concat_input(x: Float[Tensor, "n c h w"], segmap: Float[Tensor, "n l H W"]) -> Float[Tensor, "n c2 h w"]:
    """The features, then the label map at their size (nearest), side by side in the channel axis."""
    return torch.cat([x, F.interpolate(segmap, size=x.shape[-2:], mode="nearest")], dim=1)


def _concat_cases() -> list[Case]:
    def one(text, n, c, size, classes, label_size):
        return case(text, torch.randn(n, c, *size), label_maps(n, classes, *label_size))

    return [
        one("2 maps, labels twice as large", 2, 3, (4, 6), 4, (8, 12)),
        one("labels of the same size", 1, 2, (3, 5), 3, (3, 5)),
        one("labels smaller than x", 2, 2, (6, 4), 3, (3, 2)),
        one("a batch of 1, 8 times larger labels", 1, 4, (2, 3), 2, (16, 24)),
        one("half the height, the same width", 2, 2, (3, 5), 3, (6, 5)),
        one("as many channels as classes", 3, 3, (4, 4), 3, (8, 8)),
    ]


def _concat_mistaken(wrong, x, segmap):
    size = x.shape[-2:]
    if "x_resized" in wrong:
        x, resized = F.interpolate(x, size=segmap.shape[-2:], mode="nearest"), segmap
    elif "area" in wrong:
        resized = F.adaptive_avg_pool2d(segmap, size)
    elif "max" in wrong:
        resized = F.adaptive_max_pool2d(segmap, size)
    else:
        mode = next((m for m in ("bilinear", "bicubic", "nearest-exact") if m in wrong), "nearest")
        resized = F.interpolate(segmap, size=size, mode=mode)
    if "ids" in wrong:
        resized = resized.argmax(1, keepdim=True).float()
    resized = resized - resized.mean(dim=(2, 3), keepdim=True) if "normalised" in wrong else resized
    pair = [resized, x] if "order" in wrong else [x, resized]
    pair = [x.detach(), resized] if "detached" in wrong else pair
    return torch.cat(pair, dim=1)


_CONCAT = Exercise(
    stage="08",
    title="The Concat variant's input",
    goal="write the simplest rival of SPADE: hand every convolution the label map beside its features",
    minutes=5,
    difficulty=1,
    reference=concat_input,
    cases=_concat_cases,
    mistaken=_concat_mistaken,
    mistakes={
        "order": "The order is: the features first, then the label map.",
        "bilinear": 'The label map is resized with bilinear interpolation, which mixes classes; use mode="nearest".',
        "bicubic": 'The label map is resized with bicubic interpolation, which mixes classes; use mode="nearest".',
        "area": "The label map is averaged down to the size of x, which mixes classes; take the nearest pixel.",
        "max": "The label map is shrunk by max pooling, so that a pixel can have several classes; take the nearest "
        "pixel.",
        "nearest-exact": 'You resize with mode="nearest-exact", which takes other pixels than mode="nearest", the one '
        "used everywhere else in the course.",
        "x_resized": "x is resized to the label map; it is the label map that is brought to the size of x.",
        "ids": "The label map is turned into ids, one channel of numbers in which class 7 is more than class 3; keep "
        "one channel a class.",
        "normalised": "The label map is normalised; it goes in as it is.",
        "detached": "x is cut off from the gradient; the layers before it have to learn too.",
    },
    hints=(
        "Two steps: bring the label map to the size of x as SPADE does, then put both into one tensor.",
        'F.interpolate(segmap, size=x.shape[-2:], mode="nearest"), then torch.cat along the axis of the channels.',
        "return torch.cat([x, F.interpolate(...)], dim=1)",
    ),
)


# --- 8.2 counting parameters ---


def count_parameters(network: nn.Module) -> int:
    """How many numbers are trained: all entries of all parameters with requires_grad, each counted once."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


class _Shared(nn.Module):
    """Two layers with one weight, a frozen layer, a batch norm with buffers, and a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.frozen = nn.Linear(4, 4), nn.Linear(4, 4), nn.Conv2d(2, 3, 3)
        self.second.weight = self.first.weight
        self.frozen.requires_grad_(False)
        self.norm, self.scale = nn.BatchNorm2d(5), nn.Parameter(torch.ones(7))


def _count_cases() -> list[Case]:
    half_frozen = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Conv2d(5, 2, 1, bias=False), nn.Linear(7, 3))
    half_frozen[0].weight.requires_grad_(False)
    networks = {
        "a convolution": nn.Conv2d(3, 4, 3),
        "a linear layer without bias": nn.Linear(6, 5, bias=False),
        "a convolution and a batch norm": nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)),
        "layers inside layers": nn.Sequential(
            nn.Sequential(nn.Linear(3, 2), nn.ReLU()), nn.Sequential(nn.Linear(2, 2))
        ),
        "a frozen weight": half_frozen,
        "a shared weight, a frozen layer, a parameter of its own": _Shared(),
        "nothing to train": nn.ReLU(),
    }
    return [case(text, network, gradient=False) for text, network in networks.items()]


def _count_mistaken(wrong, network):
    parameters = list(network.parameters())
    if "state" in wrong:
        return sum(tensor.numel() for tensor in network.state_dict().values())
    if "each_module" in wrong:
        return sum(count_parameters(module) for module in network.modules())
    if "children" in wrong:
        return sum(count_parameters(child) for child in network.children())
    if "buffers" in wrong:
        return count_parameters(network) + sum(b.numel() for b in network.buffers())
    if "top" in wrong:
        parameters = [p for child in [network, *network.children()] for p in child.parameters(recurse=False)]
    if "twice" in wrong:
        parameters = [p for _, p in network.named_parameters(remove_duplicate=False)]
    if "frozen" not in wrong:
        parameters = [p for p in parameters if p.requires_grad]
    if "only_frozen" in wrong:
        parameters = [p for p in network.parameters() if not p.requires_grad]
    if "no_biases" in wrong:
        parameters = [p for n, p in network.named_parameters() if p.requires_grad and not n.endswith("bias")]
    if "no_vectors" in wrong:
        parameters = [p for p in parameters if p.dim() > 1]
    if "tensors" in wrong:
        return len(parameters)
    if "sides" in wrong:
        return sum(sum(p.shape) for p in parameters)
    if "first_axis" in wrong:
        return sum(len(p) for p in parameters)
    total = sum(p.numel() for p in parameters)
    return total * 4 if "bytes" in wrong else total / 1e6 if "millions" in wrong else total


_COUNT = Exercise(
    stage="08",
    title="Counting parameters",
    goal="give every row of a table its size, so that a better score isn't just a larger network",
    minutes=5,
    difficulty=1,
    reference=count_parameters,
    cases=_count_cases,
    mistaken=_count_mistaken,
    mistakes={
        "frozen": "Frozen parameters are counted; only those with requires_grad are trained.",
        "only_frozen": "You count the frozen ones; count those with requires_grad.",
        "tensors": "You count the tensors; count the numbers in them (numel).",
        "buffers": "Buffers are counted too (batch norm's running statistics); they aren't trained.",
        "state": "state_dict() also holds buffers (batch norm's running statistics and counter) and frozen weights, "
        "and a shared weight twice; network.parameters() doesn't.",
        "each_module": "modules() lists a network and the layers inside it, so that a layer's parameters are counted "
        "again for each network around it.",
        "children": "Only the network's children are counted: a single layer has none, and a parameter of the "
        "network's own is missed.",
        "top": "Layers inside layers are missed; network.parameters() walks through all of them.",
        "twice": "A weight that two layers share is counted twice; network.parameters() gives it once.",
        "no_biases": "The biases are missing.",
        "no_vectors": "Parameters with one axis (biases, batch norm's gamma) are missing.",
        "sides": "You add up the sides of each tensor; multiply them (numel).",
        "first_axis": "You count the first axis only: len of a tensor. numel() counts all its entries.",
        "bytes": "That is the number of bytes; a parameter counts once, not four times.",
        "millions": "The result is in millions; return the number itself.",
    },
    hints=(
        "A network can list its parameters, inner layers included. Which attribute says whether one is trained?",
        "network.parameters(), those with p.requires_grad, and of each p.numel(), added up.",
        "return sum(p.numel() for p in network.parameters() if ...)",
    ),
    tolerance=1e-9,
)


# --- 8.3 mean and standard error ---


def mean_and_error(
    scores: Float[Tensor, "systems seeds"],
) -> tuple[Float[Tensor, " systems"], Float[Tensor, " systems"]]:
    """Mean over seeds, and its standard error: the deviation (seeds - 1) over the root of the number of seeds."""
    mean = scores.mean(dim=1)
    seeds = scores.shape[1]
    variance = (scores - mean[:, None]).square().sum(dim=1) / (seeds - 1)
    return mean, torch.sqrt(variance / seeds)


def _error_cases() -> list[Case]:
    return [
        case("2 systems, 5 seeds", torch.rand(2, 5) * 30, gradient=False),
        case("4 systems, 3 seeds", torch.rand(4, 3), gradient=False),
        case("1 system, 2 seeds", torch.rand(1, 2) * 5, gradient=False),
        case("as many systems as seeds", torch.randn(3, 3) * 4, gradient=False),
        case("seeds that agree", torch.tensor([[2.0, 2.0, 2.0], [1.0, 4.0, 7.0]]), gradient=False),
        case("float64, 9 seeds", torch.randn(2, 9).double() * 10 + 50, gradient=False),
    ]


def _error_mistaken(wrong, scores):
    scores = scores.T if "axis" in wrong else scores
    mean = scores.median(dim=1).values if "median" in wrong else scores.mean(dim=1)
    seeds = scores.shape[1]
    variance = scores.var(dim=1, unbiased="biased" not in wrong)
    variance = variance * (seeds - 1) / (seeds - 1) ** 2 if "both" in wrong else variance
    if "pooled" in wrong:
        variance = scores.var().expand(len(scores))
    if "spread" in wrong:
        return mean, scores.amax(1) - scores.amin(1)
    if "absolute" in wrong:
        return mean, (scores - mean[:, None]).abs().mean(1) / math.sqrt(seeds)
    error = torch.sqrt(variance / seeds)
    error = variance.sqrt() if "deviation" in wrong else variance if "variance" in wrong else error
    error = variance.sqrt() / seeds if "by_n" in wrong else variance / seeds if "no_root" in wrong else error
    error = torch.sqrt(variance / len(scores)) if "by_systems" in wrong else error
    error = torch.sqrt(variance / (seeds - 1)) if "by_n_minus_1" in wrong else error
    error = torch.sqrt(variance / scores.numel()) if "by_all" in wrong else error
    error = 1.96 * error if "interval" in wrong else error
    return (error, mean) if "swapped" in wrong else (mean, error)


_ERROR = Exercise(
    stage="08",
    title="Mean and standard error over seeds",
    goal="say how far a mean can be trusted before calling one system better than another",
    minutes=10,
    difficulty=1,
    reference=mean_and_error,
    cases=_error_cases,
    mistaken=_error_mistaken,
    mistakes={
        "deviation": "That is the standard deviation, the spread of one run; the error of the mean is smaller by the "
        "root of the number of seeds.",
        "variance": "That is the variance; take its root and divide by the root of the number of seeds.",
        "no_root": "The root is missing: the error is sqrt(variance / seeds).",
        "biased": "The deviation divides by n; from a few seeds it is estimated with n - 1.",
        "by_n": "You divide the deviation by the number of seeds; divide by its root.",
        "by_systems": "You divide by the root of the number of systems; it is that of the seeds, scores.shape[1].",
        "by_n_minus_1": "You divide by the root of seeds - 1; the deviation has its n - 1 already, and goes over the "
        "root of the number of seeds.",
        "by_all": "You divide by the root of the number of all scores; it is that of the seeds in a row.",
        "pooled": "The deviation is taken over all systems at once; each has its own.",
        "axis": "The mean is taken over the systems; a row holds one system's seeds, so average over axis 1.",
        "median": "The first result is the median; take the mean.",
        "spread": "The second result is the range from the lowest to the highest score; the error is the deviation "
        "over "
        "the root of the number of seeds.",
        "absolute": "The deviation is the root of the mean squared distance, not the mean absolute one.",
        "interval": "That is half of a 95 % interval (1.96 errors); return the error itself.",
        "swapped": "The order is: the mean, then the error.",
    },
    hints=(
        "Two results for each row. Ten times as many seeds make the second one about three times smaller.",
        "scores.std(dim=1) divides by seeds - 1 by itself; divide it by the square root of the number of seeds.",
        "return scores.mean(dim=1), scores.std(dim=1) / scores.shape[1] ** 0.5",
    ),
)


# --- 8.4 initialisation ---


def glorot_std(shape: tuple[int, ...], gain: float) -> float:
    """gain * sqrt(2 / (fan_in + fan_out)); a fan is a layer's channels in or out times the area of its kernel."""
    area = math.prod(shape[2:])
    return gain * math.sqrt(2 / (shape[1] * area + shape[0] * area))


def _glorot_cases() -> list[Case]:
    shapes = [((256, 256, 3, 3), 0.02), ((128, 36, 3, 3), 1.0), ((1024, 256), 0.02), ((10, 40), 1.0),
              ((3, 64, 1, 1), 2.0), ((64, 3, 4, 4), 0.5), ((1, 512, 4, 4), 1.0), ((8, 4, 1, 5), 1.0)]  # fmt: skip
    return [case(f"a weight of shape {'x'.join(map(str, s))}, gain {g}", s, g) for s, g in shapes]


def _glorot_mistaken(wrong, shape, gain):
    area = 1 if "no_area" in wrong else shape[-1] if "one_side" in wrong and len(shape) > 2 else math.prod(shape[2:])
    if {"height_squared", "width_squared"} & wrong and len(shape) > 2:
        area = shape[2 if "height_squared" in wrong else 3] ** 2
    area = sum(shape[2:]) if "sides_added" in wrong and len(shape) > 2 else area
    fan_in, fan_out = shape[1] * area, shape[0] * area
    fan_out = shape[0] if "area_in_only" in wrong else fan_out
    fan_in = shape[1] if "area_out_only" in wrong else fan_in
    fans = fan_in + fan_out
    fans = 2 * fan_in if "fan_in" in wrong else 2 * fan_out if "fan_out" in wrong else fans
    fans = fan_in * fan_out if "product" in wrong else fans
    top = 6 if "uniform" in wrong else 1 if "xavier_one" in wrong else 4 if "kaiming" in wrong else 2
    gain = 1.0 if "no_gain" in wrong else 0.02 if "always_002" in wrong else gain
    if "variance" in wrong:
        return gain * 2 / fans
    if "gain_inside" in wrong:
        return math.sqrt(gain * 2 / fans)
    return gain * math.sqrt(fans / 2) if "inverse" in wrong else gain * math.sqrt(top / fans)


_GLOROT = Exercise(
    stage="08",
    title="Glorot's standard deviation",
    goal="compute how large the weights are at the start, for the paper's initialisation and the code's gain of 0.02",
    minutes=10,
    difficulty=2,
    reference=glorot_std,
    cases=_glorot_cases,
    mistaken=_glorot_mistaken,
    mistakes={
        "no_gain": "The gain isn't used: multiply by it.",
        "always_002": "Your gain is always 0.02; take the argument.",
        "no_area": "A convolution's fans count the area of the kernel too: channels * kernel height * kernel width.",
        "one_side": "The fans take the kernel's area, height * width; you took one side.",
        "height_squared": "You take the kernel's height squared for its area; a kernel may be 1x5.",
        "width_squared": "You take the kernel's width squared for its area; a kernel may be 1x5.",
        "sides_added": "The sides of the kernel are added; its area is height * width.",
        "area_out_only": "Both fans count the kernel's area, not only fan_out.",
        "area_in_only": "Both fans count the kernel's area, not only fan_in.",
        "fan_in": "Only fan_in is used; Glorot's takes the mean of fan_in and fan_out.",
        "fan_out": "Only fan_out is used; Glorot's takes the mean of fan_in and fan_out.",
        "product": "The fans are added, not multiplied.",
        "uniform": "That is the bound of the uniform version, sqrt(6 / ...); the deviation of the normal one is "
        "sqrt(2 / ...).",
        "xavier_one": "The 2 is missing: gain * sqrt(2 / (fan_in + fan_out)).",
        "kaiming": "That is twice too large under the root (as in Kaiming's, for ReLU); Glorot's is "
        "sqrt(2 / (fan_in + fan_out)).",
        "variance": "That is the variance (times the gain); take its root.",
        "gain_inside": "The gain stands outside of the root.",
        "inverse": "The fraction is upside down: more inputs need smaller weights.",
    },
    hints=(
        "A weight's shape is (out, in, kernel height, kernel width), or (out, in) for a linear layer. How many numbers "
        "does one output read, and how many outputs does one input reach?",
        "area = product of shape[2:] (1 for a linear layer); fan_in = shape[1] * area, fan_out = shape[0] * area. "
        "Then gain * sqrt(2 / (fan_in + fan_out)).",
        "area = math.prod(shape[2:])",
    ),
    tolerance=1e-6,
)


# --- 8.5 the decay of the learning rate ---


def lr_factor(epoch: int, epochs: int, epochs_decay: int) -> float:
    """1 - max(0, epoch - 1 - epochs) / max(1, epochs_decay), with epochs counted from 1."""
    return 1.0 - max(0, epoch - 1 - epochs) / max(1, epochs_decay)


def _decay_cases() -> list[Case]:
    return [
        case(f"epoch {e} of {a} + {b}", e, a, b)
        for a, b, chosen in ((100, 100, (1, 50, 100, 101, 102, 150, 200)), (50, 0, (1, 49, 50)),
                             (3, 4, (2, 4, 5, 6, 7)), (0, 10, (1, 2, 10)))
        for e in chosen
    ]  # fmt: skip


def _decay_mistaken(wrong, epoch, epochs, epochs_decay):
    past = epoch - 1 - epochs
    past = past + 1 if "early" in wrong else past - 1 if "late" in wrong else past
    past = epoch - 1 if "from_start" in wrong else past
    length = epochs_decay + 1 if "one_more" in wrong else epochs_decay
    length = epochs + epochs_decay if "whole" in wrong else length
    past = past if "negative" in wrong else max(0, past)
    if "constant" in wrong:
        return 1.0
    if "exponential" in wrong:
        return 0.99**past
    if "halved" in wrong:
        return 1.0 if past == 0 else 0.5
    if "step" in wrong:
        return 1.0 if past == 0 else 0.1
    if "cosine" in wrong:
        return 0.5 * (1 + math.cos(math.pi * past / max(1, length)))
    share = past / max(1, length)
    return share if "reversed" in wrong else 1.0 - share


_DECAY = Exercise(
    stage="08",
    title="The decay of the learning rate",
    goal="know the rate of every epoch, and the one epoch by which the official code starts its fall late",
    minutes=10,
    difficulty=1,
    reference=lr_factor,
    cases=_decay_cases,
    mistaken=_decay_mistaken,
    mistakes={
        "early": "The fall begins one epoch too early: with 100 + 100 epochs, epoch 101 still runs at the full rate, "
        "and "
        "epoch 200 at 1 %.",
        "late": "The fall begins one epoch too late: with 100 + 100 epochs, epoch 102 runs at 99 %.",
        "from_start": "The rate falls from the first epoch on; the first `epochs` ones run at the full rate.",
        "negative": "Before the fall the factor is more than 1: max(0, ...) keeps it at 1.",
        "whole": "The fall takes epochs_decay epochs; you spread it over all epochs.",
        "one_more": "The fall is spread over epochs_decay + 1 epochs; it is epochs_decay. (The start is what is one "
        "epoch "
        "late.)",
        "constant": "The rate never falls.",
        "exponential": "The fall is linear, by 1 / epochs_decay of the full rate each epoch; yours is exponential.",
        "halved": "The rate drops at once; it falls linearly, by 1 / epochs_decay of the full rate each epoch.",
        "step": "The rate drops to a tenth; it falls linearly, by 1 / epochs_decay of the full rate each epoch.",
        "cosine": "The fall is linear; yours follows a cosine.",
        "reversed": "The factor grows; it is 1 minus that share.",
    },
    hints=(
        "Count how many epochs of the fall lie behind `epoch`: none up to epoch epochs + 1, one in the epoch after.",
        "past = max(0, epoch - 1 - epochs); the factor is 1 - past / epochs_decay. If epochs_decay is 0 nothing falls, "
        "but 0 / 0 must not happen: divide by max(1, epochs_decay).",
        "return 1.0 - max(0, epoch - 1 - epochs) / max(1, epochs_decay)",
    ),
)

EXERCISES = (_CONCAT, _COUNT, _ERROR, _GLOROT, _DECAY)
