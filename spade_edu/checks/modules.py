"""Whole modules of my_spade.py, up to the generators: norms, pix2pixHD, SPADE, its block and its generator.

Each is written here once more with switches for the usual mistakes; with none of them it is the package's (a test holds
both equal). Options are passed by position.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .exercise import Case, Wrong, variant
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

    mean: Tensor
    var: Tensor

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
        axes = variant(wrong, (0, 2, 3), instance=(2, 3), all=(0, 1, 2, 3), batch_only=(0,))
        mean, var = self.mean[:, None, None], self.var[:, None, None]
        if self.training != ("turned" in wrong) or "eval_batch" in wrong:
            mean = x.mean(axes, keepdim=True)
            var = (x - mean).square().mean(axes, keepdim=True)
            var = variant(wrong, var, unbiased=x.var(axes, keepdim=True))
            if "detached" in wrong:
                mean, var = mean.detach(), var.detach()
            if (self.training or "turned" in wrong) and "no_update" not in wrong:
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
        "turned": "The condition is the wrong way round: the batch's statistics, and the update of the running ones, "
        "belong to training.",
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

    mean: Tensor
    var: Tensor

    def __init__(self, wrong: Wrong, num_features: int):
        super().__init__()
        self.wrong = wrong
        self.weight = nn.Parameter(torch.ones(num_features)) if "affine" in wrong else None
        self.register_buffer("mean", torch.zeros(num_features))
        self.register_buffer("var", torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        wrong = self.wrong
        axes = variant(wrong, (2, 3), batch=(0, 2, 3), layer=(1, 2, 3), channels=(1,))
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
        mode = variant(self.wrong, "reflect", zeros="constant", replicate="replicate")
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
        inside = frozenset({"all"}) if "norm_all" in wrong else frozenset()
        self.norm: nn.Module = Batch(inside, num_features, "affine" in wrong)
        if "norm_instance" in wrong:
            self.norm = Instance(inside, num_features)
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
        mode = variant(wrong, "nearest", bilinear="bilinear", exact="nearest-exact", area="area")
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


# --- 05: the SPADE generator ---


class TanhConv(nn.Conv2d):
    """A convolution that can be told from a plain one, through a norm as well."""

    def forward(self, x: Tensor) -> Tensor:
        """tanh of it."""
        return torch.tanh(super().forward(x))


class SpadeBlock(nn.Module):
    """SPADE's residual block, with mistakes."""

    def __init__(
        self,
        wrong: Wrong,
        fin: int,
        fout: int,
        label_channels: int,
        hidden_channels: int = 128,
        conv: Callable[..., nn.Module] = nn.Conv2d,
    ):
        super().__init__()
        self.wrong = wrong
        layer = wrong & _SPADE_MISTAKES.keys()
        conv = variant(wrong, conv, plain_conv=nn.Conv2d)
        middle = variant(wrong, min(fin, fout), middle_fout=fout, middle_fin=fin, middle_max=max(fin, fout))
        hidden = variant(wrong, hidden_channels, always_128=128)
        layer = layer - {"always_128"}
        self.norm_0 = Spade(layer, fin, label_channels, hidden)
        self.conv_0 = conv(fin, middle, 3, padding=1)
        self.norm_1 = Spade(layer, middle, label_channels, hidden)
        self.conv_1 = conv(middle, fout, 3, padding=1)
        self.learned = fin != fout or "always_learned" in wrong
        if self.learned:
            size = variant(wrong, 1, skip_3=3)
            if "no_norm_s" not in wrong:
                self.norm_s = Spade(layer, fin, label_channels, hidden)
            self.conv_s = conv(fin, fout, size, padding=size // 2, bias="skip_bias" in wrong)

    def skip(self, x: Tensor, segmap: Tensor) -> Tensor:
        """The skip path."""
        if not self.learned:
            return x
        normed = x if {"no_norm_s", "skip_unnormed"} & self.wrong else self.norm_s(x, segmap)
        return self.conv_s(F.leaky_relu(normed, 0.2) if "skip_activation" in self.wrong else normed)

    def active(self, x: Tensor) -> Tensor:
        """The activation."""
        return F.leaky_relu(x, variant(self.wrong, 0.2, relu=0.0, slope=0.01, no_activation=1.0))

    def forward(self, x: Tensor, segmap: Tensor) -> Tensor:
        """The sum of both paths."""
        wrong = self.wrong
        if "conv_first" in wrong:
            y = self.active(self.conv_0(self.norm_0(x, segmap)))
            y = self.active(self.conv_1(self.norm_1(y, segmap)))
        else:
            y = self.conv_0(self.active(self.norm_0(x, segmap)))
            normed = y if "no_norm_1" in wrong else self.norm_1(y, segmap)
            y = self.conv_1(normed if "one_activation" in wrong else self.active(normed))
        if "no_skip" in wrong:
            return y
        total = self.skip(x, segmap) + y
        return variant(wrong, total, activation_end=F.leaky_relu(total, 0.2))


def _block_cases() -> list[Case]:
    def one(
        text: str, n: int, options: tuple, size: tuple[int, int], labels: tuple[int, int], mode: str = "train"
    ) -> Case:
        inputs = features(n, options[0], *size), label_maps(n, options[2], *labels)
        return trial(text, chosen(SpadeBlock), options, inputs, mode=mode)

    return [
        one("4 to 2 channels", 2, (4, 2, 3, 5), (3, 4), (6, 8)),
        one("2 to 3 channels, hidden_channels left out", 2, (2, 3, 2), (2, 3), (4, 6)),
        one("3 to 3 channels", 2, (3, 3, 2, 4), (4, 3), (4, 3)),
        one("a batch of 1, one channel", 1, (1, 1, 3, 2), (3, 2), (6, 4)),
        one("another class of convolution", 2, (3, 2, 2, 4, TanhConv), (3, 4), (6, 4)),
        one("3 to 2 channels", 2, (3, 2, 2, 4), (2, 4), (4, 8), "twice"),
        one("2 to 3 channels", 2, (2, 3, 2, 4), (4, 3), (8, 3), "eval"),
    ]


_SKIP_FIRST = earlier("_s.")
BLOCK = part(
    chosen(SpadeBlock),
    ("x", "segmap"),
    _block_cases,
    together=1,
    contract="SPADEResnetBlock(fin, fout, label_channels, hidden_channels=128, conv=nn.Conv2d), forward(x, segmap)",
    stage="05",
    title="SPADE's residual block",
    goal="build the block of which the generator has seven",
    minutes=20,
    difficulty=2,
    mistakes={
        "relu": "The activation is a ReLU (as the paper's figure draws it); the code has LeakyReLU with slope 0.2.",
        "slope": "The LeakyReLU's slope is 0.01 (torch's default); here it is 0.2.",
        "no_activation": "The activations are missing: LeakyReLU 0.2 between each SPADE and its convolution.",
        "one_activation": "The second activation is missing: LeakyReLU 0.2 between the second SPADE and its "
        "convolution.",
        "conv_first": "The activation comes after the convolution; the order is SPADE, LeakyReLU, convolution.",
        "activation_end": "There is an activation after the sum; nothing follows it.",
        "no_skip": "The skip path is missing: add x, or conv_s(norm_s(x)) where the number of channels changes.",
        "skip_activation": "There is an activation on the skip path; it is SPADE and a convolution only.",
        "skip_unnormed": "The skip path's SPADE is there but isn't used: conv_s(norm_s(x, segmap)).",
        "no_norm_s": "The skip path's SPADE is missing: conv_s(norm_s(x, segmap)) where the number of channels "
        "changes.",
        "skip_bias": "The skip path's convolution has a bias; it has none.",
        "skip_3": "The skip path's convolution is 3x3 (as the paper's figure draws it); the code has 1x1.",
        "always_learned": "The skip path is learned in any case; where fin = fout it is x itself.",
        "middle_fout": "The width between the two convolutions is fout; it is min(fin, fout).",
        "middle_fin": "The width between the two convolutions is fin, or the larger of the two; it is min(fin, fout).",
        "no_norm_1": "The second SPADE isn't used.",
        "plain_conv": "The convolutions are always nn.Conv2d; use the class that is passed as conv.",
        "always_128": "SPADE's hidden layer always has 128 channels; hand hidden_channels on.",
        **{
            name: f"Inside SPADE: {_SPADE_MISTAKES[name]}"
            for name in ("no_plus_one", "bilinear", "no_relu", "no_beta", "norm_instance", "affine")
        },
    },
    orders=(exchanged("gamma", "beta"), _SKIP_FIRST, lambda names: _SKIP_FIRST(exchanged("gamma", "beta")(names))),
    hints=(
        "The function spade_block of stage 03 has the order of the layers. Which of them does the constructor need?",
        "norm_0 = SPADE(fin, ...), conv_0 = conv(fin, middle, 3, padding=1), norm_1, conv_1 with middle = min(fin, "
        "fout); if fin != fout also norm_s = SPADE(fin, ...) and conv_s = conv(fin, fout, 1, bias=False).",
        "skip = self.conv_s(self.norm_s(x, segmap)) if self.learned_skip else x",
    ),
)


class Decoder(nn.Module):
    """SPADE's generator, with mistakes; `block` makes its blocks."""

    PLAN = (16, 16, 16, 16, 8, 4, 2, 1)

    def __init__(
        self,
        wrong: Wrong,
        label_channels: int,
        latent: tuple[int, int],
        ngf: int = 64,
        z_dim: int | None = None,
        hidden_channels: int = 128,
        conv: Callable[..., nn.Module] = nn.Conv2d,
    ):
        super().__init__()
        self.wrong, self.latent, self.z_dim = wrong, latent, z_dim
        plan = variant(wrong, self.PLAN, no_middle=(16, 16, 16, 8, 4, 2, 1), early=(16, 16, 16, 8, 4, 2, 1, 1))
        widths = [ngf * factor for factor in plan]
        if z_dim is None:
            size = variant(wrong, 3, fc_1=1)
            kind = variant(wrong, nn.Conv2d, first_conv=conv)
            self.fc: nn.Module = kind(label_channels, widths[0], size, padding=size // 2)
        else:
            self.fc = nn.Linear(z_dim, widths[0] * latent[0] * latent[1])
        sizes = label_channels, hidden_channels, variant(wrong, conv, plain_conv=nn.Conv2d)
        self.blocks = nn.ModuleList(self.block(wrong, a, b, *sizes) for a, b in zip(widths, widths[1:]))
        self.last = variant(wrong, nn.Conv2d, last_conv=conv)(widths[-1], 3, 3, padding=1)

    def block(self, wrong: Wrong, fin: int, fout: int, labels: int, hidden: int, conv: Callable) -> nn.Module:
        """One residual block."""
        inside = frozenset({"skip_activation"}) if "skip_activation" in wrong else frozenset()
        return SpadeBlock(inside, fin, fout, labels, variant(wrong, hidden, always_128=128), conv)

    def first_map(self, segmap: Tensor, z: Tensor | None) -> Tensor:
        """From the label map or from z."""
        if self.z_dim is None:
            mode = variant(self.wrong, "nearest", first_bilinear="bilinear")
            return self.fc(F.interpolate(segmap, size=self.latent, mode=mode))
        if z is None or "no_z" in self.wrong:
            z = torch.zeros(len(segmap), self.z_dim).to(segmap)
        y = self.fc(z)
        if "channels_last" in self.wrong:
            return y.view(len(y), *self.latent, -1).permute(0, 3, 1, 2)
        return y.view(len(y), -1, *self.latent)

    def forward(self, segmap: Tensor, z: Tensor | None = None) -> Tensor:
        """Paint."""
        wrong = self.wrong
        x = self.first_map(segmap, z)
        labels = F.interpolate(segmap, size=self.latent, mode="nearest") if "small_labels" in wrong else segmap
        mode = variant(wrong, "nearest", bilinear="bilinear")
        kept = variant(wrong, (0, 2), second=(0, 1), third=(0, 3), never=range(7), always=(0,), first=(2,))
        for i, block in enumerate(self.blocks):
            if i not in kept and "after" not in wrong:
                x = F.interpolate(x, scale_factor=2, mode=mode)
            x = block(x, labels)
            if i not in (0, 2) and "after" in wrong:
                x = F.interpolate(x, scale_factor=2, mode=mode)
        slope = variant(wrong, 0.2, relu=0.0, slope=0.01, no_activation=1.0)
        y = self.last(F.leaky_relu(x, slope))
        return variant(wrong, torch.tanh(y), sigmoid=torch.sigmoid(y), open=y)


def decoder_cases(kind: Callable) -> list[Case]:
    """For SPADE's generator and its Concat variant."""

    def one(text: str, n: int, options: tuple, mode: str = "train") -> Case:
        height, width = options[1]
        # In float64: seven blocks of norms over a few pixels enlarge rounding until gradients differ by per cents.
        inputs = [label_maps(n, options[0], 32 * height, 32 * width).double()]
        z_dim = options[3] if len(options) > 3 else None
        inputs += [] if z_dim is None else [torch.randn(n, z_dim).double()]
        return trial(text, chosen(kind), options, tuple(inputs), mode=mode)

    return [
        one("2 wide label maps", 2, (2, (1, 2), 1, None, 2)),
        one("from z", 2, (2, (2, 1), 1, 3, 2)),
        one("a batch of 1", 1, (3, (2, 1), 1, None, 3)),
        # More than one pixel in the first map: batch norm makes any two numbers -1 and 1.
        one("another class of convolution", 2, (2, (1, 2), 1, None, 2, TanhConv)),
        one("2 label maps", 2, (2, (1, 1), 1, 2, 2), "twice"),
        one("2 label maps", 2, (2, (1, 1), 1, None, 2), "eval"),
    ]


DECODER_MISTAKES = {
    "second": "The size stays the same before the second block; it is the third (G_middle_1) that isn't preceded by a "
    "doubling.",
    "third": "The doubling before the fourth block is left out; it is the one before the third (G_middle_1).",
    "always": "The map is doubled before the third block too; five doublings for seven blocks: none before the first "
    "and the third.",
    "first": "The map is doubled before the first block too; that one gets the map as it came in.",
    "never": "The map never grows; double it before every block but the first and the third.",
    "after": "The map is doubled after the blocks; double it before each of them.",
    "bilinear": 'The map is doubled with bilinear interpolation; the generator uses mode="nearest".',
    "first_bilinear": 'The label map is shrunk with bilinear interpolation, which mixes classes: use mode="nearest".',
    "fc_1": "The first convolution is 1x1; it is 3x3 with padding 1.",
    "small_labels": "The blocks get the label map shrunk to the first map's size; each gets the full-size map.",
    "no_z": "z has no effect; the first map is fc(z), reshaped.",
    "channels_last": "The reshape of fc(z) puts the channels last: read it as (n, channels, h, w) at once.",
    "relu": "The activation before the last convolution is a ReLU; it is LeakyReLU with slope 0.2.",
    "slope": "The slope of the LeakyReLU before the last convolution is 0.01 (torch's default); here it is 0.2.",
    "no_activation": "The LeakyReLU before the last convolution is missing; no block ends with an activation.",
    "sigmoid": "sigmoid gives values in [0, 1]; pictures lie in [-1, 1] here: tanh.",
    "open": "tanh is missing at the end: colours lie in [-1, 1].",
    "plain_conv": "The blocks' convolutions are always nn.Conv2d; hand conv on to the blocks.",
    "first_conv": "The first convolution is made of conv; that is for the blocks only, the first one is an nn.Conv2d.",
    "last_conv": "The last convolution is made of conv; that is for the blocks only, the last one is an nn.Conv2d.",
    "no_middle": "A block is missing: there are seven, of widths 16, 16, 16, 8, 4, 2, 1 times ngf.",
    "early": "The widths fall one block too early: the blocks give 16, 16, 16, 8, 4, 2, 1 times ngf.",
}
GENERATOR = part(
    chosen(Decoder),
    ("segmap", "z"),
    lambda: decoder_cases(Decoder),
    together=1,
    contract="SPADEGenerator(label_channels, latent, ngf=64, z_dim=None, hidden_channels=128, conv=nn.Conv2d), "
    "forward(segmap, z=None)",
    stage="05",
    title="SPADE's generator",
    goal="build the generator: seven blocks that are each told the label map",
    minutes=30,
    difficulty=3,
    mistakes=DECODER_MISTAKES
    | {
        "always_128": "SPADE's hidden layer always has 128 channels; hand hidden_channels on.",
        "skip_activation": "Inside the blocks: there is an activation on the skip path; it is SPADE and a convolution "
        "only.",
    },
    orders=(exchanged("gamma", "beta"), _SKIP_FIRST, lambda names: _SKIP_FIRST(exchanged("gamma", "beta")(names))),
    hints=(
        "The functions first_map, run_blocks and to_picture of this stage are its three parts.",
        "fc: a 3x3 convolution of the shrunken label map, or with z_dim a linear layer of z. Then an nn.ModuleList of "
        "seven blocks, widths 16, 16, 16, 16, 8, 4, 2, 1 times ngf, and a 3x3 convolution to 3 channels.",
        "for i, block in enumerate(self.blocks): double x if i not in (0, 2), then x = block(x, segmap)",
    ),
)

PARTS = (BATCH_NORM, INSTANCE_NORM, RESNET_BLOCK, PIX2PIXHD, SPADE_LAYER, BLOCK, GENERATOR)
