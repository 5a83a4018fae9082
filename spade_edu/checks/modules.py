"""Whole modules of my_spade.py, up to the generators: norms, pix2pixHD, SPADE, its block and its generator.

Each is written here once more with switches for the usual mistakes; with none of them it is the package's (a test holds
both equal). Options are passed by position.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .exercise import Case, Wrong, pick, variant
from .part import Builder, earlier, exchanged, part, trial
from .s01_batchnorm import features
from .s05_spade_generator import label_maps


def chosen(kind: Callable) -> Callable[[Wrong], Builder]:
    """From a class with `wrong` as its first argument to a builder."""
    return lambda wrong: partial(kind, wrong)


# --- 01: norms ---

EPS = 1e-5


class Batch(nn.Module):
    """Batch norm, with mistakes."""

    def __init__(self, wrong: Wrong, num_features: int, affine: bool = True):
        super().__init__()
        self.wrong = wrong
        affine = variant(wrong, affine, always_affine=True, never_affine=False)
        scale = variant(wrong, torch.ones(num_features), gamma_zero=torch.zeros(num_features))
        self.weight = nn.Parameter(scale) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None
        self.register_buffer("mean", torch.zeros(num_features))
        self.register_buffer("var", variant(wrong, torch.ones(num_features), var_zero=torch.zeros(num_features)))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise, scale, shift."""
        wrong = self.wrong
        axes = pick(wrong, {"instance": (2, 3), "all": (0, 1, 2, 3), "batch_only": (0,)}, (0, 2, 3))
        mean, var = self.mean[:, None, None], self.var[:, None, None]
        if self.training or "eval_batch" in wrong:
            mean = x.mean(axes, keepdim=True)
            var = (x - mean).square().mean(axes, keepdim=True)
            var = variant(wrong, var, unbiased=x.var(axes, keepdim=True))
            if "detached" in wrong:
                mean, var = mean.detach(), var.detach()
            if self.training and "no_update" not in wrong:
                self.update(x)
        root = torch.sqrt(var + variant(wrong, EPS, no_eps=0.0, large_eps=1e-3))
        y = (x - mean) / variant(wrong, root, eps_outside=var.sqrt() + EPS, variance=var + EPS)
        if self.weight is None or self.bias is None:
            return y
        return y * self.weight[:, None, None] + variant(wrong, self.bias, no_beta=0 * self.bias)[:, None, None]

    @torch.no_grad()
    def update(self, x: Tensor) -> None:
        """The running averages."""
        mean = x.mean((0, 2, 3))
        var = x.var((0, 2, 3), correction=0 if "running_biased" in self.wrong else 1)
        momentum = variant(self.wrong, 0.1, momentum=0.9, last=1.0)
        self.mean.lerp_(mean, momentum)
        self.var.lerp_(var, momentum)


def _batch_cases() -> list[Case]:
    one = partial(trial, builder=chosen(Batch))
    flat = features(2, 3, 2, 3) * torch.tensor([1.0, 0.003, 0.0])[:, None, None]
    return [
        one("2 pictures, 3 channels", options=(3,), inputs=(features(2, 3, 4, 5),)),
        one("as it starts", options=(3,), inputs=(features(2, 3, 4, 5),), fresh=True),
        one("without gamma and beta", options=(4, False), inputs=(features(2, 4, 3, 2),)),
        one("a batch of 1, one channel", options=(1,), inputs=(features(1, 1, 3, 2),)),
        one("channels of hardly any variance", options=(3,), inputs=(flat,)),
        one("3 pictures", options=(2,), inputs=(features(3, 2, 3, 3),), mode="twice"),
        one("3 pictures", options=(2,), inputs=(features(3, 2, 2, 3),), mode="eval"),
        one("without gamma and beta", options=(2, False), inputs=(features(1, 2, 2, 3),), mode="eval"),
    ]


BATCH_NORM = part(
    chosen(Batch),
    ("x",),
    _batch_cases,
    contract="BatchNorm2d(num_features, affine=True), forward(x)",
    stage="01",
    title="Batch norm as a module",
    goal="build the norm that SPADE starts from, with running averages for evaluation",
    minutes=20,
    difficulty=2,
    mistakes={
        "instance": "Mean and variance are taken over height and width only, picture by picture; batch norm takes them "
        "over the batch too: axes 0, 2, 3.",
        "all": "Mean and variance are taken over the channels too; each channel has its own: axes 0, 2, 3.",
        "batch_only": "Mean and variance are taken over the batch only; take them over height and width too.",
        "unbiased": "The variance in training divides by n - 1 (torch.var's default); batch norm divides by n. Only "
        "the running variance is made unbiased.",
        "running_biased": "The running variance divides by n; batch norm stores the unbiased one, n / (n - 1) times "
        "as large.",
        "momentum": "The running averages take 0.9 of the new value; they keep 0.9 of the old one and take 0.1 of "
        "the new.",
        "last": "The running averages are simply the last batch's; they take 0.1 of the new value.",
        "no_update": "The running averages never change; move them a tenth of the way in each call in training mode.",
        "eval_batch": "In evaluation mode the batch's own statistics are used; take the running averages.",
        "detached": "Mean and variance are cut off from the gradient; it has to flow through them.",
        "no_eps": "eps is missing: a channel without variance is divided by zero.",
        "eps_outside": "eps belongs under the root: sqrt(var + eps).",
        "large_eps": "eps is 1e-3; it is 1e-5.",
        "variance": "You divide by the variance; divide by its root.",
        "no_beta": "beta isn't added.",
        "gamma_zero": "gamma starts at zero; it starts at one, so that the layer begins as a plain norm.",
        "var_zero": "The running variance starts at zero; it starts at one.",
        "always_affine": "With affine=False there are no gamma and beta: SPADE brings its own.",
        "never_affine": "gamma and beta are missing: with affine=True (the default) they are parameters, one number a "
        "channel.",
    },
    hints=(
        "The function batch_norm of this stage does the arithmetic. What does a module need to remember between calls?",
        "gamma and beta are nn.Parameter (or None), the running averages buffers: "
        'self.register_buffer("running_mean", torch.zeros(num_features)). self.training tells which mode it is.',
        "self.running_var.lerp_(variance.detach() * n / (n - 1), 0.1)",
    ),
)  # fmt: skip


class Instance(nn.Module):
    """Instance norm, with mistakes."""

    def __init__(self, wrong: Wrong, num_features: int):
        super().__init__()
        self.wrong = wrong
        self.weight = nn.Parameter(torch.ones(num_features)) if "affine" in wrong else None
        self.register_buffer("mean", torch.zeros(num_features))
        self.register_buffer("var", torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        wrong = self.wrong
        axes = pick(wrong, {"batch": (0, 2, 3), "layer": (1, 2, 3), "channels": (1,)}, (2, 3))
        mean, var = x.mean(axes, keepdim=True), x.var(axes, keepdim=True, correction=1 if "unbiased" in wrong else 0)
        if "running" in wrong and not self.training:
            mean, var = self.mean[:, None, None], self.var[:, None, None]
        if "detached" in wrong:
            mean, var = mean.detach(), var.detach()
        root = torch.sqrt(var + variant(wrong, EPS, no_eps=0.0))
        return (x - variant(wrong, mean, no_mean=0 * mean)) / variant(
            wrong, root, eps_outside=var.sqrt() + EPS, variance=var + EPS
        )


def _instance_cases() -> list[Case]:
    one = partial(trial, builder=chosen(Instance))
    flat = features(2, 3, 2, 3) * torch.tensor([1.0, 0.003, 0.0])[:, None, None]
    return [
        one("2 pictures, 3 channels", options=(3,), inputs=(features(2, 3, 4, 5),)),
        one("a batch of 1, one channel", options=(1,), inputs=(features(1, 1, 3, 2),)),
        one("channels of hardly any variance", options=(3,), inputs=(flat,)),
        one("3 pictures", options=(2,), inputs=(features(3, 2, 3, 3),), mode="twice"),
        one("3 pictures", options=(2,), inputs=(features(3, 2, 2, 3),), mode="eval"),
    ]


INSTANCE_NORM = part(
    chosen(Instance),
    ("x",),
    _instance_cases,
    contract="InstanceNorm2d(num_features), forward(x)",
    stage="01",
    title="Instance norm as a module",
    goal="build pix2pixHD's norm, the one that washes label maps away",
    minutes=10,
    difficulty=1,
    mistakes={
        "batch": "Mean and variance are taken over the batch too; instance norm takes each picture by itself: axes "
        "2, 3.",
        "layer": "Mean and variance are taken over the channels too; each channel has its own: axes 2, 3.",
        "channels": "Mean and variance are taken over the channels; take them over the pixels: axes 2, 3.",
        "unbiased": "The variance divides by n - 1 (torch.var's default); instance norm divides by n.",
        "running": "In evaluation mode running averages are used; instance norm always uses the picture's own "
        "statistics.",
        "detached": "Mean and variance are cut off from the gradient; it has to flow through them.",
        "no_eps": "eps is missing: a channel without variance is divided by zero.",
        "eps_outside": "eps belongs under the root: sqrt(var + eps).",
        "variance": "You divide by the variance; divide by its root.",
        "no_mean": "The mean isn't subtracted.",
        "affine": "It has parameters; pix2pixHD's instance norm learns nothing.",
    },
    hints=(
        "The function instance_norm of this stage does all of it; nothing is remembered between calls.",
        "x.mean(dim=(2, 3), keepdim=True), the mean square distance from it, then the quotient with eps = 1e-5 under "
        "the root.",
        "return (x - mean) / torch.sqrt(variance + 1e-5)",
    ),
)


# --- 02: pix2pixHD ---


class Residual(nn.Module):
    """pix2pixHD's residual block, with mistakes."""

    def __init__(self, wrong: Wrong, channels: int):
        super().__init__()
        self.wrong = wrong
        bias = "no_bias" not in wrong
        size = 1 if "small" in wrong else 3
        self.conv_0 = nn.Conv2d(channels, channels, size, bias=bias)
        self.conv_1 = nn.Conv2d(channels, channels, size, bias=bias)
        if "affine" in wrong:
            self.norm = nn.InstanceNorm2d(channels, affine=True)

    def convolved(self, conv: nn.Module, x: Tensor, normed: bool = True) -> Tensor:
        """Padding, convolution, norm."""
        mode = pick(self.wrong, {"zeros": "constant", "replicate": "replicate"}, "reflect")
        y = conv(F.pad(x, (1, 1, 1, 1), mode=mode))
        if not normed:
            return y
        return variant(self.wrong, F.instance_norm(y), batch_norm=F.batch_norm(y, None, None, training=True))

    def forward(self, x: Tensor) -> Tensor:
        """The sum."""
        wrong = self.wrong
        y = self.convolved(self.conv_0, x, normed="no_norm_0" not in wrong)
        y = variant(wrong, F.relu(y), no_relu=y, leaky=F.leaky_relu(y, 0.2))
        y = self.convolved(self.conv_0 if "same_conv" in wrong else self.conv_1, y, normed="no_norm_1" not in wrong)
        if "relu_1" in wrong:
            y = F.relu(y)
        total = variant(wrong, x + y, no_skip=y, minus=x - y, relu_skip=F.relu(x) + y)
        return variant(wrong, total, relu_end=F.relu(total))


def _residual_cases() -> list[Case]:
    one = partial(trial, builder=chosen(Residual))
    return [
        one("2 pictures, 3 channels", options=(3,), inputs=(features(2, 3, 4, 5),)),
        one("a batch of 1, one channel", options=(1,), inputs=(features(1, 1, 5, 3),)),
        one("one colour everywhere but at a pixel", options=(2,), inputs=(torch.eye(4).expand(1, 2, 4, 4) + 1,)),
        one("3 pictures", options=(2,), inputs=(features(3, 2, 3, 4),), mode="twice"),
        one("3 pictures", options=(2,), inputs=(features(3, 2, 4, 3),), mode="eval"),
    ]


RESNET_BLOCK = part(
    chosen(Residual),
    ("x",),
    _residual_cases,
    contract="ResnetBlock(channels), forward(x)",
    stage="02",
    title="pix2pixHD's residual block",
    goal="build the block that pix2pixHD stacks nine times",
    minutes=10,
    difficulty=1,
    mistakes={
        "zeros": "The padding is zeros; it is reflection, or a uniform map's rim would differ from its middle: "
        "nn.ReflectionPad2d(1).",
        "replicate": "The padding repeats the rim; it is reflection: nn.ReflectionPad2d(1).",
        "no_relu": "The ReLU between the two convolutions is missing.",
        "leaky": "The activation is a LeakyReLU; here it is a ReLU.",
        "relu_1": "There is a ReLU after the second norm; nothing stands between it and the sum.",
        "relu_end": "There is a ReLU after the sum; nothing follows it.",
        "relu_skip": "The skip path goes through a ReLU; it is x itself.",
        "no_skip": "The skip path is missing: add x.",
        "minus": "The block's result is subtracted; add it.",
        "no_norm_0": "The norm after the first convolution is missing.",
        "no_norm_1": "The norm after the second convolution is missing.",
        "batch_norm": "The norm takes the whole batch; pix2pixHD's is instance norm.",
        "same_conv": "Both times it is the first convolution; the second one is never used.",
        "no_bias": "The convolutions have no bias; pix2pixHD keeps it (the norm cancels it all the same).",
        "small": "The convolutions are 1x1; they are 3x3.",
        "affine": "The norms have parameters; pix2pixHD's instance norm learns nothing.",
    },
    hints=(
        "Twice the same three layers, with a ReLU between the two, beside x itself.",
        "nn.Sequential of ReflectionPad2d(1), Conv2d(channels, channels, 3), InstanceNorm2d, ReLU, ReflectionPad2d(1), "
        "Conv2d, InstanceNorm2d; forward adds its result to x.",
        "return x + self.layers(x)",
    ),
)


class Pix2PixHD(nn.Module):
    """pix2pixHD's generator, with mistakes."""

    def __init__(
        self, wrong: Wrong, label_channels: int, ngf: int = 64, num_downsampling: int = 4, num_blocks: int = 9
    ):
        super().__init__()
        self.wrong = wrong
        num_blocks += 1 if "one_more" in wrong else 0
        widths = [ngf if "constant_width" in wrong else ngf * 2**i for i in range(num_downsampling + 1)]
        self.first = nn.Conv2d(label_channels, ngf, 3 if "small" in wrong else 7)
        pairs = list(zip(widths, widths[1:]))
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairs)
        self.blocks = nn.ModuleList(Residual(frozenset(), widths[-1]) for _ in range(num_blocks))
        up = partial(nn.ConvTranspose2d, kernel_size=3, stride=2, padding=1, output_padding=1)
        self.up = nn.ModuleList(up(b, a) for a, b in reversed(pairs))
        self.last = nn.Conv2d(ngf, 3, 7)

    def layer(self, conv: nn.Module, x: Tensor) -> Tensor:
        """Convolution, norm, activation."""
        y = conv(x)
        normed = variant(self.wrong, F.instance_norm(y), batch_norm=F.batch_norm(y, None, None, training=True))
        if "no_norm" in self.wrong:
            normed = y
        return variant(self.wrong, F.relu(normed), leaky=F.leaky_relu(normed, 0.2), no_relu=normed)

    def padded(self, x: Tensor) -> Tensor:
        """By three pixels."""
        return F.pad(x, (3, 3, 3, 3), mode=variant(self.wrong, "reflect", zeros="constant"))

    def forward(self, segmap: Tensor, z: Tensor | None = None) -> Tensor:
        """Encode, transform, decode."""
        x = self.layer(self.first, segmap if "small" in self.wrong else self.padded(segmap))
        for conv in self.down:
            x = self.layer(conv, x)
        for block in self.blocks[1:] if "skips_block" in self.wrong else self.blocks:
            x = block(x)
        for conv in self.up:
            x = self.layer(conv, x)
        y = self.last(self.padded(x))
        y = variant(self.wrong, y, norm_end=F.instance_norm(y))
        return variant(self.wrong, torch.tanh(y), sigmoid=torch.sigmoid(y), open=y)


def _pix2pixhd_cases() -> list[Case]:
    one = partial(trial, builder=chosen(Pix2PixHD))
    return [
        one("2 label maps", options=(3, 2, 1, 1), inputs=(label_maps(2, 3, 8, 12),)),
        one("two halvings, three blocks", options=(2, 2, 2, 3), inputs=(label_maps(2, 2, 12, 8),)),
        one("a batch of 1, one width, no block", options=(3, 1, 1, 0), inputs=(label_maps(1, 3, 8, 6),)),
        one("2 label maps", options=(3, 2, 1, 1), inputs=(label_maps(2, 3, 8, 8),), mode="twice"),
        one("2 label maps", options=(3, 2, 1, 1), inputs=(label_maps(2, 3, 6, 8),), mode="eval"),
    ]


PIX2PIXHD = part(
    chosen(Pix2PixHD),
    ("segmap",),
    _pix2pixhd_cases,
    contract="Pix2PixHDGenerator(label_channels, ngf=64, num_downsampling=4, num_blocks=9), forward(segmap, z=None)",
    stage="02",
    title="pix2pixHD's generator",
    goal="build the generator that SPADE is held against",
    minutes=25,
    difficulty=2,
    mistakes={
        "no_norm": "The norms after the convolutions outside of the blocks are missing.",
        "batch_norm": "The norms take the whole batch; pix2pixHD's is instance norm.",
        "no_relu": "The ReLU after the norms is missing.",
        "leaky": "The activation is a LeakyReLU; here it is a ReLU.",
        "zeros": "The padding of the first and the last convolution is zeros; it is reflection: nn.ReflectionPad2d(3).",
        "norm_end": "There is a norm after the last convolution; it would take the brightness away.",
        "sigmoid": "sigmoid gives values in [0, 1]; pictures lie in [-1, 1] here: tanh.",
        "open": "tanh is missing at the end: colours lie in [-1, 1].",
        "skips_block": "One of the residual blocks isn't run.",
        "one_more": "There is one residual block too many.",
        "constant_width": "The number of channels stays at ngf; it doubles with each halving of the size.",
        "small": "The first convolution is 3x3; it is 7x7 behind nn.ReflectionPad2d(3).",
    },
    hints=(
        "Five sorts of layers in a row: first, halving, blocks, doubling, last. All but the last are convolution, "
        "norm, ReLU.",
        "Halving: Conv2d(a, 2 * a, 3, stride=2, padding=1). Doubling: ConvTranspose2d(2 * a, a, 3, stride=2, "
        "padding=1, output_padding=1). First and last: ReflectionPad2d(3) and a 7x7 convolution.",
        "widths = [ngf * 2**i for i in range(num_downsampling + 1)]; zip(widths, widths[1:]) gives the pairs.",
    ),
)


# --- 03: the SPADE layer ---


class Spade(nn.Module):
    """SPADE, with mistakes."""

    def __init__(self, wrong: Wrong, num_features: int, label_channels: int, hidden_channels: int = 128):
        super().__init__()
        self.wrong = wrong
        norm = variant(wrong, frozenset(), norm_instance=frozenset({"instance"}), norm_all=frozenset({"all"}))
        self.norm = Batch(norm, num_features, "affine" in wrong)
        hidden = variant(wrong, hidden_channels, always_128=128)
        size, bias = variant(wrong, 3, kernel_1=1), "no_bias" not in wrong
        conv = partial(nn.Conv2d, kernel_size=size, padding=size // 2, bias=bias)
        self.shared = conv(label_channels, hidden)
        self.gamma, self.beta = conv(hidden, num_features), conv(hidden, num_features)
        if "two_shared" in wrong:
            self.shared_beta = conv(label_channels, hidden)

    def forward(self, x: Tensor, segmap: Tensor) -> Tensor:
        """Normalise, scale and shift."""
        wrong = self.wrong
        mode = pick(wrong, {"bilinear": "bilinear", "exact": "nearest-exact", "area": "area"}, "nearest")
        small = F.interpolate(segmap, size=x.shape[-2:], mode=mode)
        y = self.shared(small)
        if "late" in wrong:
            y = F.interpolate(self.shared(segmap), size=x.shape[-2:], mode="nearest")
        hidden = variant(wrong, F.relu(y), no_relu=y, leaky=F.leaky_relu(y, 0.2))
        gamma, beta = self.gamma(hidden), self.beta(hidden)
        gamma, beta = variant(wrong, gamma, relu_gamma=F.relu(gamma)), variant(wrong, beta, no_beta=0 * beta)
        if "norm_last" in wrong:
            return self.norm((1 + gamma) * x + beta)
        normed = variant(wrong, self.norm(x), no_norm=x)
        others = dict(no_plus_one=gamma * normed, no_gamma=normed, raw=normed + gamma * x)
        return variant(wrong, (1 + gamma) * normed, **others) + beta


def _spade_cases() -> list[Case]:
    def one(
        text: str, n: int, options: tuple, size: tuple[int, int], labels: tuple[int, int], mode: str = "train"
    ) -> Case:
        inputs = features(n, options[0], *size), label_maps(n, options[1], *labels)
        return trial(text, chosen(Spade), options, inputs, mode=mode)

    return [
        one("2 pictures, labels twice as large", 2, (3, 4, 5), (3, 4), (6, 8)),
        one("hidden_channels left out", 1, (2, 2), (2, 3), (4, 3)),
        one("labels of an odd size", 2, (2, 3, 4), (4, 3), (7, 8)),
        one("labels smaller than x, a batch of 1", 1, (3, 2, 3), (4, 6), (2, 3)),
        one("one channel", 2, (1, 3, 2), (3, 5), (3, 5)),
        one("2 pictures", 2, (2, 3, 4), (3, 4), (6, 4), "twice"),
        one("2 pictures", 2, (2, 3, 4), (4, 3), (8, 3), "eval"),
    ]


_SPADE_MISTAKES = {
    "no_plus_one": "It multiplies by gamma without the 1 +: with weights near zero the whole layer would give zero.",
    "bilinear": 'The label map is resized with bilinear interpolation, which mixes classes: use mode="nearest".',
    "area": 'The label map is resized by averaging, which mixes classes: use mode="nearest".',
    "exact": 'The label map is resized with mode="nearest-exact", which takes other pixels than mode="nearest".',
    "late": "The label map is resized after the first convolution; resize it first.",
    "no_relu": "The ReLU after the shared convolution is missing: without it both convolutions are one.",
    "leaky": "The activation after the shared convolution is a LeakyReLU; it is a ReLU.",
    "relu_gamma": "gamma goes through a ReLU; it may be negative.",
    "no_beta": "beta isn't added.",
    "no_gamma": "gamma has no effect.",
    "raw": "gamma multiplies x itself; it multiplies the normalised x.",
    "no_norm": "x isn't normalised.",
    "norm_last": "The norm comes last and takes gamma and beta away again; normalise x first.",
    "norm_instance": "The norm is instance norm; SPADE's is batch norm: mean and variance over axes 0, 2, 3.",
    "norm_all": "The norm takes all channels together; SPADE's is batch norm: mean and variance over axes 0, 2, 3.",
    "affine": "The norm has a gamma and beta of its own; SPADE's come from the label map: affine=False.",
    "no_bias": "The convolutions have no bias; all three have one.",
    "kernel_1": "The convolutions are 1x1; they are 3x3 with padding 1.",
    "always_128": "The hidden layer always has 128 channels; take hidden_channels.",
    "two_shared": "gamma and beta have a first convolution each; they share one.",
}
SPADE_LAYER = part(
    chosen(Spade),
    ("x", "segmap"),
    _spade_cases,
    contract="SPADE(num_features, label_channels, hidden_channels=128), forward(x, segmap)",
    stage="03",
    title="The SPADE layer",
    goal="build the layer that this course is about",
    minutes=20,
    difficulty=2,
    mistakes=_SPADE_MISTAKES,
    orders=(exchanged("gamma", "beta"),),
    hints=(
        "The function spade_forward of this stage does the arithmetic; the module holds a norm and three convolutions.",
        "self.norm = BatchNorm2d(num_features, affine=False); shared: label_channels to hidden_channels, gamma and "
        "beta: hidden_channels to num_features, all 3x3 with padding 1. forward resizes segmap to x.shape[-2:] first.",
        "return (1 + self.gamma(hidden)) * self.norm(x) + self.beta(hidden)",
    ),
)  # fmt: skip

PARTS = (BATCH_NORM, INSTANCE_NORM, RESNET_BLOCK, PIX2PIXHD, SPADE_LAYER)
