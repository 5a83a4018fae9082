"""Typical answers to the exercises of stage 05: wrong ones with what they are told, right ones in another style."""

import torch
from torch import nn
from torch.nn import functional as F

from spade_edu.blocks import SPADEResnetBlock
from spade_edu.checks.s05_spade_generator import count_block


def first_map_by(resize, reshape):
    return lambda segmap, z, fc, size: fc(resize(segmap, size)) if z is None else reshape(fc(z), size)


def nearest(segmap, size):
    return F.interpolate(segmap, size=size)


def strided(segmap, size):
    return segmap[:, :, :: segmap.shape[2] // size[0], :: segmap.shape[3] // size[1]]


def read(y, size):
    return y.reshape(y.shape[0], y.shape[1] // (size[0] * size[1]), size[0], size[1])


def run_with(doubles, mode="nearest", after=False):
    """Blocks with a doubling before (or after) block i where doubles(i, plan)."""

    def answer(x, segmap, blocks, plan):
        for i, block in enumerate(blocks):
            if doubles(i, plan) and not after:
                x = F.interpolate(x, scale_factor=2, mode=mode)
            x = block(x, segmap)
            if doubles(i, plan) and after:
                x = F.interpolate(x, scale_factor=2, mode=mode)
        return x

    return answer


def run_by_repeating(x, segmap, blocks, plan):
    x = blocks[0](x, segmap)
    for i in range(1, len(blocks)):
        if i == 2 and plan == "normal":
            x = blocks[i](x, segmap)
        else:
            x = blocks[i](x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3), segmap)
    return x


def count_by(skip, biases=True, heads=2):
    def answer(fin, fout, label_channels, hidden, kernel):
        b = int(biases)
        spade = lambda c: (label_channels * kernel**2 + b) * hidden + heads * (hidden * kernel**2 + b) * c  # noqa: E731
        m = min(fin, fout)
        total = spade(fin) + spade(m) + 9 * fin * m + 9 * m * fout + b * (m + fout)
        return total + (skip(fin, fout) + spade(fin) if fin != fout else 0)

    return answer


def count_by_building(fin, fout, label_channels, hidden, kernel):
    with torch.device("meta"):
        block = SPADEResnetBlock(fin, fout, label_channels, kernel_size=kernel, hidden_channels=hidden, spectral=False)
    return sum(p.numel() for p in block.parameters())


def shrunk_by_factor(segmap, z, fc, size):
    if z is None:
        return fc(F.interpolate(segmap, scale_factor=size[0] / segmap.shape[2]))
    return fc(z).view(len(z), -1, *size)


def start_squashed(segmap, z, fc, size):
    return torch.tanh(fc(F.interpolate(segmap, size=size) if z is None else z)).view(len(segmap), -1, *size)


def run_around(before=lambda x, i: x, block=lambda b, x, s: b(x, s), first=0):
    """The right order, with something else before each block, in place of it, or without the first ones."""

    def answer(x, segmap, blocks, plan):
        for i, b in enumerate(blocks):
            x = before(x, i > 0 and (i != 2 or plan != "normal"))
            x = block(b, x, segmap) if i >= first else x
        return x

    return answer


double = lambda x, due: F.interpolate(x, scale_factor=2) if due else x  # noqa: E731


def count_with(layers):
    """layers(fin, fout, middle): widths of SPADE layers (main path, skip path), conv_s's weights."""

    def answer(fin, fout, label_channels, hidden, kernel):
        m = min(fin, fout)
        widths, skip, weights = layers(fin, fout, m)
        widths = widths + (skip if fin != fout else [])
        each = (label_channels * kernel**2 + 1) * hidden
        count = sum(each + 2 * (hidden * kernel**2 + 1) * c for c in widths)
        return count + (9 * fin + 1) * m + (9 * m + 1) * fout + (weights if fin != fout else 0)

    return answer


right_layers = count_with(lambda a, b, m: ([a, m], [a], a * b))


def count_one_shared(fin, fout, label_channels, hidden, kernel):
    extra = (label_channels * kernel**2 + 1) * hidden * (1 if fin == fout else 2)
    return right_layers(fin, fout, label_channels, hidden, kernel) - extra


def count_fin_inside(fin, fout, label_channels, hidden, kernel):
    count = right_layers(fin, fout, label_channels, hidden, kernel)
    m = min(fin, fout)
    return count + (2 * (hidden * kernel**2 + 1) + 9 * fin + 1 + 9 * fout) * (fin - m)


WRONG = [
    ("first_map", shrunk_by_factor, "height halved, width kept"),
    ("first_map", start_squashed, "you have tanh"),
    ("run_blocks", run_around(lambda x, due: x), "The map never grows"),
    ("run_blocks", run_with(lambda i, plan: i != 2 or plan != "normal"), "before the first block too"),
    ("run_blocks", run_around(double, first=1), "The first block isn't run"),
    ("run_blocks", run_around(double, lambda b, x, s: x + b(x, s)), "add each block's input"),
    ("run_blocks", run_around(double, lambda b, x, s: F.leaky_relu(b(x, s), 0.2)), "activation behind each block"),
    ("run_blocks", run_around(lambda x, due: x.repeat(1, 1, 2, 2) if due else x), "side by side"),
    (
        "run_blocks",
        run_around(lambda x, due: F.interpolate(x, scale_factor=2, mode="bicubic") if due else x),
        "values differ",
    ),
    ("to_picture", lambda x, conv: torch.tanh(torch.nn.Conv2d(x.shape[1], 3, 3, padding=1)(x)), "a new layer"),
    ("count_block", count_with(lambda a, b, m: ([a, b], [a], a * b)), "as many channels as the inner width"),
    ("count_block", count_with(lambda a, b, m: ([a, m], [b], a * b)), "comes before its convolution"),
    ("count_block", count_with(lambda a, b, m: ([a, m], [a], 0)), "(conv_s) is missing"),
    ("count_block", count_one_shared, "one for the whole block"),
    ("count_block", count_fin_inside, "you took fin"),
    ("count_block", lambda a, b, n, h, k: right_layers(a, b, n, 128, k), "always has 128 channels"),
    ("first_map", first_map_by(lambda s, size: F.interpolate(s, size=size, mode="bilinear"), read), "bilinear"),
    ("first_map", first_map_by(lambda s, size: F.adaptive_avg_pool2d(s, size), read), "averaged"),
    ("first_map", first_map_by(nearest, lambda y, s: y.view(len(y), *s, -1).permute(0, 3, 1, 2)), "channels last"),
    ("first_map", first_map_by(nearest, lambda y, size: y), "still flat"),
    ("first_map", first_map_by(nearest, lambda y, s: read(y, s[::-1])), "`size` is (height"),
    ("first_map", lambda segmap, z, fc, size: fc(nearest(segmap, size)) if z is None else fc(z), "still flat"),
    ("first_map", lambda s, z, fc, size: F.relu(first_map_by(nearest, read)(s, z, fc, size)), "no activation after fc"),
    ("run_blocks", run_with(lambda i, plan: i > 0), "five times, not six"),
    ("run_blocks", run_with(lambda i, plan: i > 0 and (i != 2 or plan == "most")), 'The plan "more"'),
    ("run_blocks", run_with(lambda i, plan: i > 0 and (i != 2 or plan != "normal"), "bilinear"), "bilinear"),
    (
        "run_blocks",
        run_with(lambda i, p: i < 6 + (p == "most") and (i != 2 or p != "normal"), after=True),
        "third block",
    ),
    ("run_blocks", run_with(lambda i, plan: i > 0 and (i != 1 or plan != "normal")), "other way round"),
    ("run_blocks", lambda *a: F.interpolate(run_by_repeating(*a), scale_factor=2), "once more after the last"),
    ("to_picture", lambda x, conv: torch.tanh(conv(x)), "LeakyReLU before the convolution is missing"),
    ("to_picture", lambda x, conv: torch.tanh(conv(torch.relu(x))), "is a ReLU"),
    ("to_picture", lambda x, conv: torch.sigmoid(conv(F.leaky_relu(x, 0.2))), "sigmoid"),
    ("to_picture", lambda x, conv: conv(F.leaky_relu(x, 0.2)), "tanh is missing"),
    ("to_picture", lambda x, conv: torch.tanh(conv(F.leaky_relu(x))), "slope is 0.01"),
    ("to_picture", lambda x, conv: torch.tanh(conv(F.leaky_relu_(x, 0.2))), "changed in place"),
    ("count_block", count_by(lambda a, b: a * b, biases=False), "biases are missing"),
    ("count_block", count_by(lambda a, b: a * b + b), "conv_s has no bias"),
    ("count_block", count_by(lambda a, b: 9 * a * b), "1x1 convolution"),
    ("count_block", count_by(lambda a, b: a * b, heads=1), "two output convolutions"),
    ("count_block", lambda *a: count_block(*a) + 1, "expected"),
]
RIGHT = [
    ("first_map", first_map_by(strided, read)),
    ("first_map", lambda s, z, fc, size: fc(nearest(s, size)) if z is None else fc(z).unflatten(1, (-1, *size))),
    ("run_blocks", run_by_repeating),
    ("run_blocks", lambda x, s, blocks, plan: run_with(lambda i, p: i > 0 and not (i == 2 and p == "normal"))(
        x, s, blocks, plan)),
    ("to_picture", lambda x, conv: 2 * torch.sigmoid(2 * conv(torch.where(x > 0, x, 0.2 * x))) - 1),
    ("count_block", count_by_building),
]  # fmt: skip


def drawn(network, gain=0.02, draw=nn.init.xavier_normal_, kinds=(nn.Conv2d, nn.ConvTranspose2d, nn.Linear), bias=True):
    for layer in network.modules():
        if isinstance(layer, kinds):
            draw(layer.weight, gain)
            if bias and layer.bias is not None:
                layer.bias.data.zero_()
    return network


def by_hand(network, gain=0.02):
    def one(layer):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(layer.weight)
            nn.init.normal_(layer.weight, 0.0, gain * (2 / (fan_in + fan_out)) ** 0.5)
            if layer.bias is not None:
                nn.init.constant_(layer.bias, 0.0)

    return network.apply(one)


RIGHT += [("init_weights", by_hand), ("init_weights", drawn)]
WRONG += [
    ("init_weights", lambda n, g: drawn(n, g, draw=lambda w, gain: nn.init.normal_(w, 0.0, gain)), "gain` itself"),
    ("init_weights", lambda n, g: drawn(n, g, bias=False), "biases are left"),
    ("init_weights", lambda n, g: drawn(n, g, kinds=nn.Conv2d), ""),
    ("init_weights", lambda n, g: drawn(n, g, draw=nn.init.xavier_uniform_), "uniform"),
    ("init_weights", lambda n, g: drawn(n, 0.02), "always 0.02"),
    ("init_weights", lambda n, g: [drawn(n, g)], "Return `network` itself"),
]
