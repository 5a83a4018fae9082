"""Whole modules of my_spade.py, from stage 06 on: spectral norm, discriminators, the Concat variant, the style encoder.

Written like those in modules.py.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .exercise import Case, Wrong, variant
from .modules import DECODER_MISTAKES, Batch, Decoder, TanhConv, chosen, decoder_cases
from .part import earlier, exchanged, part, trial
from .s01_batchnorm import features
from .s05_spade_generator import label_maps

# --- 06: spectral norm ---


class Spectral(nn.Conv2d):
    """A convolution under spectral norm, with mistakes."""

    u: Tensor
    v: Tensor

    def __init__(
        self, wrong: Wrong, fin: int, fout: int, kernel_size: int, stride: int = 1, padding: int = 0, bias: bool = True
    ):
        bias = variant(wrong, bias, no_bias=False)
        super().__init__(fin, fout, kernel_size, stride, padding, bias=bias)
        self.wrong = wrong
        self.register_buffer("u", F.normalize(torch.randn(fout), dim=0))
        self.register_buffer("v", F.normalize(torch.randn(self.weight[0].numel()), dim=0))

    @torch.no_grad()
    def power_iteration(self, matrix: Tensor) -> None:
        """One step."""
        self.v.copy_(F.normalize(matrix.T @ self.u, dim=0))
        self.u.copy_(F.normalize(matrix @ self.v, dim=0))

    def sigma(self, matrix: Tensor) -> Tensor:
        """The largest singular value, or what a mistake makes of it."""
        wrong = self.wrong
        if "frobenius" in wrong:
            return matrix.norm()
        if "largest" in wrong:
            return matrix.abs().max()
        if self.training and "no_step" not in wrong:
            self.power_iteration(matrix)
        sigma = self.u.clone() @ (matrix @ self.v.clone())
        return variant(wrong, sigma, detached=sigma.detach(), squared=sigma.square(), root=sigma.abs().sqrt())

    def forward(self, x: Tensor) -> Tensor:
        """Convolve with the normalised weight."""
        wrong = self.wrong
        matrix = self.weight.flatten(1)
        if "by_input" in wrong:
            rows = self.weight.transpose(0, 1).flatten(1)
            sigma = torch.linalg.matrix_norm(rows, 2)
        else:
            sigma = self.sigma(matrix)
        if "multiplied" in wrong:
            return F.conv2d(x, self.weight * sigma, self.bias, self.stride, self.padding)
        bias = self.bias
        if bias is not None and "bias_too" in wrong:
            bias = bias / sigma
        weight = variant(wrong, self.weight / sigma, none=self.weight)
        padding = 0 if "no_padding" in wrong else self.padding
        return F.conv2d(x, weight, bias, self.stride, padding)


def _spectral_cases() -> list[Case]:
    def one(text: str, options: tuple, size: tuple[int, int], mode: str = "train", n: int = 2) -> Case:
        return trial(text, chosen(Spectral), options, (features(n, options[0], *size),), mode=mode)

    return [
        one("3 to 4 channels, 3x3", (3, 4, 3, 1, 1), (5, 6)),
        one("stride 2, no bias", (2, 3, 4, 2, 2, False), (6, 8)),
        one("options left out, a batch of 1", (2, 5, 1), (3, 2), n=1),
        one("one channel", (1, 1, 3, 1, 1), (4, 3)),
        one("3 to 2 channels", (3, 2, 3, 1, 1), (4, 5), "twice"),
        one("3 to 2 channels", (3, 2, 3, 1, 1), (4, 5), "eval"),
        _steps(),
    ]


def _steps() -> Case:
    """All singular values are 1: sigma is found from anywhere, and other norms of the weight are larger."""
    options = (6, 6, 1)
    case = trial("a weight whose singular values are all alike", chosen(Spectral), options, (features(2, 6, 2, 3),))
    case.arguments[1]["weight"].copy_(torch.linalg.qr(torch.randn(6, 6)).Q[:, :, None, None])
    return replace(case, gradient=("x",))  # the weight's depends on which of its singular vectors u has found


SPECTRAL = part(
    chosen(Spectral),
    ("x",),
    _spectral_cases,
    contract="SpectralConv2d(fin, fout, kernel_size, stride=1, padding=0, bias=True), forward(x)",
    stage="06",
    title="A convolution under spectral norm",
    goal="keep the discriminator from changing too fast, by a convolution whose largest singular value is 1",
    minutes=20,
    difficulty=3,
    mistakes={
        "none": "The weight isn't divided by sigma.",
        "multiplied": "The weight is multiplied by sigma; divide it.",
        "frobenius": "You divide by the Frobenius norm (the root of the sum of squares); sigma is the largest singular "
        "value only.",
        "largest": "You divide by the largest weight; sigma is the largest singular value.",
        "squared": "You divide by sigma squared.",
        "root": "You divide by the root of sigma.",
        "by_input": "The weight is made a matrix with a row per input channel; a row belongs to an output channel: "
        "weight.flatten(1).",
        "no_step": "u and v never move: each call in training mode takes one step of power iteration.",
        "detached": "sigma is cut off from the gradient; it depends on the weight, only u and v count as constants.",
        "bias_too": "The bias is divided by sigma as well; only the weight is.",
        "no_bias": "There is no bias; it is there unless bias=False.",
        "no_padding": "padding has no effect.",
    },
    hints=(
        "The function spectral_norm_step of this stage is the arithmetic. What has to be kept from call to call?",
        "Two buffers, u (fout numbers) and v (as many as a row of weight.flatten(1)). In training, without gradient: "
        "v = normalise(W^T u), u = normalise(W v). sigma = u^T W v, with gradient.",
        "return F.conv2d(x, self.weight / sigma, self.bias, self.stride, self.padding)",
    ),
)


# --- 06: discriminators ---


class Patch(nn.Module):
    """One discriminator, with mistakes."""

    def __init__(self, wrong: Wrong, in_channels: int, ndf: int = 64, num_layers: int = 4):
        super().__init__()
        self.wrong = wrong
        widths = [min(ndf * 2**i, 512) for i in range(num_layers)]
        if "constant_width" in wrong:
            widths = [ndf] * num_layers
        padding, inner = variant(wrong, 2, padding_1=1), "inner_bias" in wrong
        self.first = nn.Conv2d(in_channels, ndf, 4, stride=2, padding=padding, bias="no_first_bias" not in wrong)
        strides = [1 if i == num_layers and "all_strided" not in wrong else 2 for i in range(2, num_layers + 1)]
        make = nn.Conv2d if "plain" in wrong else chosen(Spectral)(frozenset())
        self.middle = nn.ModuleList(
            make(a, b, 4, stride=s, padding=padding, bias=inner) for a, b, s in zip(widths, widths[1:], strides)
        )
        self.last = nn.Conv2d(widths[-1], 1, 4, padding=padding)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Every layer's output."""
        wrong = self.wrong
        slope = variant(wrong, 0.2, relu=0.0, slope=0.01)
        convolved = self.first(x)
        before = F.instance_norm(convolved) if "norm_first" in wrong else convolved
        given, results = [before], [F.leaky_relu(before, slope)]
        for conv in self.middle:
            y = conv(results[-1])
            y = variant(wrong, F.instance_norm(y), no_norm=y, batch_norm=F.batch_norm(y, None, None, training=True))
            given.append(y)
            results.append(F.leaky_relu(y, slope))
        y = self.last(results[-1])
        y = variant(wrong, y, norm_last=F.instance_norm(y), sigmoid=torch.sigmoid(y), leaky_end=F.leaky_relu(y, 0.2))
        results = given if "before" in wrong else results
        if "verdict_first" in wrong:
            return [y, *results]
        return [y] if "verdict_only" in wrong else [*results, y]


def _patch_cases() -> list[Case]:
    def one(text: str, options: tuple, size: tuple[int, int], mode: str = "train", n: int = 2) -> Case:
        return trial(text, chosen(Patch), options, (features(n, options[0], *size),), mode=mode)

    return [
        one("four layers and the verdict", (3, 2), (32, 40)),
        one("three layers and the verdict", (2, 3, 3), (20, 17)),
        one("a batch of 1, one channel", (1, 1, 2), (8, 6), n=1),
        one("two layers and the verdict", (2, 2, 2), (7, 9), "twice"),
        one("three layers and the verdict", (3, 2, 3), (16, 12), "eval"),
    ]


_PATCH_MISTAKES = {
    "norm_first": "There is a norm after the first convolution; it has none, or the colours would be lost.",
    "norm_last": "There is a norm after the last convolution; it would take the verdict away.",
    "sigmoid": "The verdict goes through a sigmoid; the hinge loss takes it as it is, without limits.",
    "leaky_end": "The verdict goes through a LeakyReLU; the hinge loss takes it as it is.",
    "no_norm": "The norms between the first and the last convolution are missing.",
    "batch_norm": "The norms take the whole batch; the discriminator's is instance norm.",
    "relu": "The activation is a ReLU; it is LeakyReLU with slope 0.2.",
    "slope": "The LeakyReLU's slope is 0.01 (torch's default); here it is 0.2.",
    "padding_1": "The padding is 1; it is 2 (the official code's ceil(3 / 2)).",
    "all_strided": "Every convolution but the verdict's halves the size; the one before the verdict's has stride 1.",
    "plain": "The convolutions in the middle are plain; they are under spectral norm.",
    "inner_bias": "The convolutions in the middle have a bias; the norm after them would cancel it: bias=False.",
    "no_first_bias": "The first convolution has no bias; no norm follows it, so it keeps one.",
    "constant_width": "The number of channels stays at ndf; it doubles from layer to layer, up to 512.",
    "before": "The features are those before the LeakyReLU; give them after it.",
    "verdict_first": "The verdict stands first; it is the last of the list.",
    "verdict_only": "Only the verdict is returned; feature matching needs the list of every layer's features.",
}
PATCH = part(
    chosen(Patch),
    ("x",),
    _patch_cases,
    contract="PatchDiscriminator(in_channels, ndf=64, num_layers=4), forward(x) -> list of features",
    stage="06",
    title="The patch discriminator",
    goal="build the network that judges patch by patch",
    minutes=15,
    difficulty=2,
    mistakes=_PATCH_MISTAKES,
    hints=(
        "The function patch_discriminator of this stage lists the layers; the module runs them and keeps every result.",
        "First: Conv2d with bias, LeakyReLU. Middle: SpectralConv2d without bias, InstanceNorm2d, LeakyReLU; stride 2, "
        "but 1 for the last of them. Verdict: Conv2d to one channel. Kernel 4, padding 2 everywhere.",
        "for layer in self.layers: x = layer(x); features.append(x)",
    ),
)


class Scales(nn.Module):
    """Several discriminators, with mistakes."""

    def __init__(self, wrong: Wrong, label_channels: int, ndf: int = 64, num_scales: int = 2, num_layers: int = 4):
        super().__init__()
        self.wrong = wrong
        inside = wrong & _PATCH_MISTAKES.keys()
        number = 1 if "shared" in wrong else num_scales
        channels = label_channels + variant(wrong, 3, image_only=3 - label_channels)
        self.scales = nn.ModuleList(Patch(inside, channels, ndf, num_layers) for _ in range(number))
        self.number = num_scales

    def smaller(self, x: Tensor) -> Tensor:
        """Half the size."""
        if "max" in self.wrong:
            return F.max_pool2d(x, 3, stride=2, padding=1)
        if "nearest" in self.wrong:
            return x[:, :, ::2, ::2]
        if "pool_2" in self.wrong:
            return F.avg_pool2d(x, 2)
        return F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad="pad_counts" in self.wrong)

    def forward(self, segmap: Tensor, image: Tensor) -> list[list[Tensor]]:
        """Judge at every scale."""
        wrong = self.wrong
        order = [image, segmap] if "image_first" in wrong else [segmap, image]
        x = image if "image_only" in wrong else torch.cat(order, dim=1)
        results = []
        for i in range(self.number):
            results.append(self.scales[0 if "shared" in wrong else i](x))
            if "same_size" not in wrong:
                x = self.smaller(x)
        return results[::-1] if "coarse_first" in wrong else results


def _scales_cases() -> list[Case]:
    def one(text: str, options: tuple, size: tuple[int, int], mode: str = "train", n: int = 2) -> Case:
        inputs = label_maps(n, options[0], *size), torch.rand(n, 3, *size) * 2 - 1
        return trial(text, chosen(Scales), options, inputs, mode=mode)

    return [
        one("two scales", (3, 1), (16, 24)),
        one("three scales of two layers", (2, 2, 3, 2), (17, 12)),
        one("a batch of 1, one scale", (2, 1, 1, 3), (8, 12), n=1),
        one("two scales", (3, 1, 2, 2), (8, 12), "twice"),
        one("two scales", (3, 1, 2, 2), (12, 9), "eval"),
    ]


SCALES = part(
    chosen(Scales),
    ("segmap", "image"),
    _scales_cases,
    contract="MultiScaleDiscriminator(label_channels, ndf=64, num_scales=2, num_layers=4), "
    "forward(segmap, image) -> list of lists of features",
    stage="06",
    title="Discriminators at several scales",
    goal="build the discriminator that sees details and the whole",
    minutes=10,
    difficulty=1,
    mistakes={
        "image_first": "The image comes before the label map; the label map comes first: torch.cat([segmap, image], "
        "dim=1).",
        "image_only": "The discriminator sees the image only; it sees the label map too, or nothing would ask the "
        "picture to fit it.",
        "max": "The smaller scale is made by max pooling; it is average pooling.",
        "nearest": "The smaller scale leaves pixels out; it is average pooling, 3x3 with stride 2 and padding 1.",
        "pool_2": "The average pooling is 2x2; it is 3x3 with stride 2 and padding 1.",
        "pad_counts": "The padding's zeros count in the average, which darkens the rim: count_include_pad=False.",
        "same_size": "Every scale sees the full size; halve the input after each of them.",
        "coarse_first": "The coarse scale stands first; the finest does.",
        "shared": "All scales share one network; each has weights of its own.",
    },
    hints=(
        "Join label map and image once; then each network in turn, and a smaller input for the next one.",
        "nn.ModuleList of num_scales PatchDiscriminators of label_channels + 3 channels; between them "
        "F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False).",
        "x = torch.cat([segmap, image], dim=1)",
    ),
)


# --- 08: Concat ---


class ConcatBlock(nn.Module):
    """The block without SPADE, with mistakes."""

    def __init__(
        self,
        wrong: Wrong,
        fin: int,
        fout: int,
        label_channels: int,
        conv: Callable[..., nn.Module] = nn.Conv2d,
    ):
        super().__init__()
        self.wrong = wrong
        conv = variant(wrong, conv, plain_conv=nn.Conv2d)
        middle = variant(wrong, min(fin, fout), middle_fout=fout)
        affine = "no_affine" not in wrong
        self.norm_0 = Batch(frozenset(), fin, affine)
        self.conv_0 = conv(fin + label_channels, middle, 3, padding=1)
        self.norm_1 = Batch(frozenset(), middle, affine)
        self.conv_1 = conv(middle + (0 if "once" in wrong else label_channels), fout, 3, padding=1)
        self.learned = fin != fout
        if self.learned:
            self.norm_s = Batch(frozenset(), fin, affine)
            width = fin + (0 if "skip_unlabelled" in wrong else label_channels)
            self.conv_s = conv(width, fout, 1, bias="skip_bias" in wrong)

    def joined(self, x: Tensor, segmap: Tensor) -> Tensor:
        """x and the label map."""
        mode = variant(self.wrong, "nearest", bilinear="bilinear")
        small = F.interpolate(segmap, size=x.shape[-2:], mode=mode)
        return torch.cat([small, x] if "labels_first" in self.wrong else [x, small], dim=1)

    def active(self, x: Tensor) -> Tensor:
        """The activation."""
        return F.leaky_relu(x, variant(self.wrong, 0.2, relu=0.0, slope=0.01, no_activation=1.0))

    def forward(self, x: Tensor, segmap: Tensor) -> Tensor:
        """The sum of both paths."""
        wrong = self.wrong
        y = self.conv_0(self.joined(self.active(self.norm_0(x)), segmap))
        y = self.active(self.norm_1(y))
        y = self.conv_1(y if "once" in wrong else self.joined(y, segmap))
        if "no_skip" in wrong:
            return y
        if not self.learned:
            return x + y
        normed = self.norm_s(x)
        normed = variant(wrong, normed, skip_activation=self.active(normed))
        return self.conv_s(normed if "skip_unlabelled" in wrong else self.joined(normed, segmap)) + y


def _concat_cases() -> list[Case]:
    def one(
        text: str, n: int, options: tuple, size: tuple[int, int], labels: tuple[int, int], mode: str = "train"
    ) -> Case:
        inputs = features(n, options[0], *size), label_maps(n, options[2], *labels)
        return trial(text, chosen(ConcatBlock), options, inputs, mode=mode)

    return [
        one("4 to 2 channels", 2, (4, 2, 3), (3, 4), (6, 8)),
        one("2 to 3 channels", 2, (2, 3, 2), (2, 3), (4, 6)),
        one("3 to 3 channels", 2, (3, 3, 2), (4, 3), (4, 3)),
        one("a batch of 1, one channel", 1, (1, 1, 3), (3, 2), (6, 4)),
        one("another class of convolution", 2, (3, 2, 2, TanhConv), (3, 4), (6, 4)),
        one("3 to 2 channels", 2, (3, 2, 2), (2, 4), (4, 8), "twice"),
        one("2 to 3 channels", 2, (2, 3, 2), (4, 3), (8, 3), "eval"),
    ]


_CONCAT_MISTAKES = {
    "no_affine": "The norms have no gamma and beta; without SPADE they have their own: affine=True.",
    "bilinear": 'The label map is resized with bilinear interpolation, which mixes classes: use mode="nearest".',
    "labels_first": "The label map comes before the features; it is joined behind them.",
    "once": "Only the first convolution sees the label map; all of them do.",
    "skip_unlabelled": "The skip path's convolution doesn't see the label map; all of them do.",
    "skip_activation": "There is an activation on the skip path; it is a norm, the label map and a convolution.",
    "skip_bias": "The skip path's convolution has a bias; it has none.",
    "no_skip": "The skip path is missing.",
    "relu": "The activation is a ReLU; it is LeakyReLU with slope 0.2.",
    "slope": "The LeakyReLU's slope is 0.01 (torch's default); here it is 0.2.",
    "no_activation": "The activations are missing: LeakyReLU 0.2 between each norm and its convolution.",
    "middle_fout": "The width between the two convolutions is fout; it is min(fin, fout).",
    "plain_conv": "The convolutions are always nn.Conv2d; use the class that is passed as conv.",
}
CONCAT = part(
    chosen(ConcatBlock),
    ("x", "segmap"),
    _concat_cases,
    contract="ConcatResnetBlock(fin, fout, label_channels, conv=nn.Conv2d), forward(x, segmap)",
    stage="08",
    title="The Concat block",
    goal="build the block that Table 3 holds against SPADE's: the label map beside the features",
    minutes=15,
    difficulty=2,
    mistakes=_CONCAT_MISTAKES,
    orders=(earlier("_s."), earlier("norm_")),
    hints=(
        "SPADE's block with two changes: plain batch norms, and a label map at the input of each convolution.",
        "BatchNorm2d(fin) with gamma and beta; conv(fin + label_channels, middle, 3, padding=1), and so on. Norm, "
        "activation, then torch.cat with the resized label map, then the convolution.",
        "x = self.conv_0(torch.cat([F.leaky_relu(self.norm_0(x), 0.2), segmap], dim=1))",
    ),
)


class ConcatDecoder(Decoder):
    """The generator of Concat blocks, with mistakes."""

    def block(self, wrong: Wrong, fin: int, fout: int, labels: int, hidden: int, conv: Callable) -> nn.Module:
        """One residual block."""
        if "spade" in wrong:
            return super().block(wrong, fin, fout, labels, hidden, conv)
        inside = frozenset({"skip_activation"}) if "skip_activation" in wrong else frozenset()
        return ConcatBlock(inside, fin, fout, labels, conv)


CONCAT_GENERATOR = part(
    chosen(ConcatDecoder),
    ("segmap", "z"),
    lambda: decoder_cases(ConcatDecoder),
    together=1,
    contract="ConcatGenerator(label_channels, latent, ngf=64, z_dim=None, hidden_channels=128, conv=nn.Conv2d), "
    "forward(segmap, z=None)",
    stage="08",
    title="The Concat generator",
    goal="build SPADE's generator with concatenation in SPADE's place",
    minutes=5,
    difficulty=1,
    mistakes=DECODER_MISTAKES
    | {
        "spade": "Its blocks are still SPADE's; make them ConcatResnetBlock.",
        "skip_activation": "Inside the blocks: there is an activation on the skip path; there is none.",
    },
    orders=(earlier("_s."),),
    hints=(
        "All but the blocks is as in SPADEGenerator: inherit from it.",
        "class ConcatGenerator(SPADEGenerator), with a make_block of its own that returns a ConcatResnetBlock.",
        "return ConcatResnetBlock(fin, fout, self.label_channels, conv)",
    ),
)


# --- 09: style ---


class Encoder(nn.Module):
    """The style encoder, with mistakes."""

    def __init__(self, wrong: Wrong, nef: int = 64, z_dim: int = 256, image_size: int = 256):
        super().__init__()
        self.wrong, self.size = wrong, image_size
        depth = int(math.log2(image_size / 4))
        widths = [3] + [min(2**i, 2**20 if "no_bound" in wrong else 8) * nef for i in range(depth)]
        make = nn.Conv2d if "plain" in wrong else chosen(Spectral)(frozenset())
        self.convs = nn.ModuleList(
            make(a, b, 3, stride=2, padding=1, bias="bias" in wrong) for a, b in zip(widths, widths[1:])
        )
        self.mu = nn.Linear(widths[-1] * 16, z_dim)
        self.logvar = nn.Linear(widths[-1] * 16, z_dim)

    def resized(self, image: Tensor) -> Tensor:
        """To the encoder's size."""
        size = self.size, self.size
        if "nearest" in self.wrong:
            return F.interpolate(image, size=size, mode="nearest")
        return F.interpolate(image, size=size, mode="bilinear", align_corners="corners" in self.wrong)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance."""
        wrong = self.wrong
        x = self.resized(image)
        slope = variant(wrong, 0.2, relu=0.0, slope=0.01, no_activation=1.0)
        for i, conv in enumerate(self.convs):
            y = conv(x)
            normed = variant(wrong, F.instance_norm(y), no_norm=y)
            if "norm_after" in wrong:
                x = F.instance_norm(F.leaky_relu(y, slope))
            elif "open_end" in wrong and i == len(self.convs) - 1:
                x = normed
            else:
                x = F.leaky_relu(normed, slope)
        mu, logvar = self.mu(x.flatten(1)), self.logvar(x.flatten(1))
        mu = variant(wrong, mu, tanh=torch.tanh(mu))
        return mu, variant(wrong, logvar, variance=logvar.exp(), deviation=(0.5 * logvar).exp())


def _encoder_cases() -> list[Case]:
    def one(text: str, options: tuple, size: tuple[int, int], mode: str = "train", n: int = 2) -> Case:
        return trial(text, chosen(Encoder), options, (torch.rand(n, 3, *size) * 2 - 1,), mode=mode)

    return [
        one("wide pictures", (2, 5, 16), (12, 24)),
        one("five convolutions", (1, 3, 128), (40, 32)),
        one("a batch of 1", (3, 2, 16), (16, 16), n=1),
        one("three convolutions", (2, 3, 32), (16, 20), "twice"),
        one("two convolutions", (2, 3, 16), (20, 12), "eval"),
    ]


ENCODER = part(
    chosen(Encoder),
    ("image",),
    _encoder_cases,
    contract="StyleEncoder(nef=64, z_dim=256, image_size=256), forward(image) -> (mu, logvar)",
    stage="09",
    title="The style encoder",
    goal="build the network that reads a picture's style",
    minutes=15,
    difficulty=2,
    mistakes={
        "nearest": "The picture is resized by nearest neighbour; pictures are resized with bilinear interpolation.",
        "corners": "The picture is resized with align_corners=True; it is False.",
        "relu": "The activation is a ReLU; it is LeakyReLU with slope 0.2.",
        "slope": "The LeakyReLU's slope is 0.01 (torch's default); here it is 0.2.",
        "no_activation": "The activations are missing: LeakyReLU 0.2 after each norm.",
        "open_end": "The last activation is missing: a LeakyReLU follows every norm.",
        "norm_after": "The activation comes before the norm; it comes after it.",
        "no_norm": "The norms are missing: instance norm after each convolution.",
        "plain": "The convolutions are plain; they are under spectral norm.",
        "bias": "The convolutions have a bias; the norm after them would cancel it: bias=False.",
        "no_bound": "The number of channels keeps doubling; it is at most 8 times nef.",
        "tanh": "mu goes through tanh; it may be any number.",
        "variance": "The second result is the variance; it is its logarithm, as the linear layer gives it.",
        "deviation": "The second result is the deviation; it is the variance's logarithm, as the linear layer gives "
        "it.",
    },
    orders=(exchanged("mu.", "logvar."),),
    hints=(
        "Resize to a square, halve until 4x4 are left, then two linear layers side by side.",
        "int(math.log2(image_size / 4)) convolutions, 3x3 with stride 2 and padding 1, of widths 1, 2, 4, 8, 8, 8 "
        "times nef, each with instance norm and LeakyReLU 0.2; the linear layers take 16 times the last width.",
        'F.interpolate(image, size=(size, size), mode="bilinear", align_corners=False)',
    ),
)

PARTS = (SPECTRAL, PATCH, SCALES, CONCAT, CONCAT_GENERATOR, ENCODER)
