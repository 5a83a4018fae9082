"""Schematics of the networks, in the paper's words: `schematics.spade_layer()` in a notebook's cell shows one.

Every number in them is read off a module of the package, at the published size. The modules are built on torch's meta
device: that takes no memory and draws nothing at random, so what a notebook draws afterwards stays the same.
"""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..blocks import SPADEResnetBlock
from ..config import TrainingConfig
from ..data import Streets
from ..discriminators import MultiScaleDiscriminator, PatchDiscriminator
from ..encoder import StyleEncoder
from ..generators import Pix2PixHDGenerator, SPADEGenerator, latent_size
from ..labels import CITYSCAPES
from ..normalization import SPADE
from ..spectral import SpectralNorm
from .plotting import COLOURS
from .sheet import WIDTH, Box, Sheet

CHANNELS = CITYSCAPES.num_channels
SKY, GRASS, TREE, ROAD = (CITYSCAPES.id(name) for name in ("sky", "terrain", "vegetation", "road"))
STREET = torch.tensor([[SKY] * 6, [SKY, TREE, TREE, SKY, SKY, SKY], [TREE] * 3 + [SKY, TREE, TREE], [ROAD] * 6])
SCALES = ("#56B4E9", "#E69F00")  # of the discriminator, as in stage 02


def spade_layer(channels: int = 64) -> Sheet:
    """The SPADE layer (figures 2 and 10 of the paper)."""
    with torch.device("meta"):
        layer = SPADE(channels, CHANNELS)
    sheet = Sheet("the SPADE layer", 3.5)
    mask = sheet.mask(0.85, 2.85, 0.9, STREET)
    sheet.words(0.85, 2.4, "mask m")
    parts = [("resize,\nnearest", "plain"), (f"{in_words(layer.mlp_shared[0])}\nReLU", "conv")]
    resize, shared = sheet.row(1.75, 2.85, parts)
    sheet.arrow(mask.at("right"), resize.at("left"))
    parts = [(f"x\n{channels} channels", "plain"), ("Batch Norm\nwithout parameters", "norm")]
    _, norm = sheet.row(0.37, 1.0, parts, gap=0.6)
    times, plus, out = sheet.sign(4.8, 1.0, "×"), sheet.sign(6.5, 1.0, "+"), sheet.box(7.6, 1.0, "out", "plain")
    sheet.join(norm, times, plus, out)
    start = shared.at("right")
    for sign, module, name in [(times, layer.mlp_gamma, "1 + γ"), (plus, layer.mlp_beta, "β")]:
        conv = sheet.box(sign.x, 2.15, in_words(module))
        sheet.arrow(start, (sign.x, 2.85), conv.at("top"))
        start = sign.x, 2.85
        sheet.arrow(conv.at("bottom"), sign.at("top"))
        sheet.words(sign.x + 0.1, 1.55, name, ha="left")
    sheet.words(5.65, 0.62, "element by element")
    sheet.words(4.2, 0.25, "out = (1 + γ(m)) · (x − μ) / σ + β(m):  γ and β have a value for every channel and pixel")
    return sheet


def residual_block(fin: int = 128, fout: int = 64) -> Sheet:
    """SPADE's residual block where the channels change (figures 4 and 11)."""
    with torch.device("meta"):
        block = SPADEResnetBlock(fin, fout, CHANNELS)
    convs = {name: in_words(getattr(block, name), "\n") for name in ("conv_0", "conv_1", "conv_s")}
    half = [("SPADE", "SPADE"), ("LeakyReLU\n0.2", "plain")]
    sheet = Sheet("the SPADE residual block", 3.5)
    parts = [(f"x\n{fin}", "plain"), *half, (convs["conv_0"], "conv"), *half, (convs["conv_1"], "conv")]
    row = sheet.row(0.25, 2.05, parts, gap=0.26)
    plus, out = sheet.sign(7.07, 2.05, "+"), sheet.box(7.85, 2.05, f"out\n{fout}", "plain")
    sheet.join(row[-1], plus, out)
    skip = sheet.row(1.75, 1.05, [("SPADE", "SPADE"), (convs["conv_s"], "conv")])
    sheet.arrow(row[0].at("bottom"), (row[0].x, 1.05), skip[0].at("left"))
    sheet.arrow(skip[1].at("right"), (plus.x, 1.05), plus.at("bottom"))
    above, below = sheet.mask(0.65, 3.05, 0.75, STREET), sheet.mask(0.65, 0.42, 0.75, STREET)
    for mask, norm, side in ((above, row[1], "top"), (above, row[4], "top"), (below, skip[0], "bottom")):
        sheet.arrow(mask.at("right"), (norm.x, mask.y), norm.at(side))
    sheet.words(1.35, 3.2, "mask")
    sheet.words(1.35, 0.57, "mask")
    sheet.words(5.25, 1.2, "skip path, no activation; x itself where the channels stay", size=8)
    sheet.words(5.35, 0.42, "This is the code. Figure 11 draws ReLU, and SPADE, ReLU, 3x3 on the skip path.", size=8)
    return sheet


def lost_class() -> Sheet:
    """pix2pixHD beside SPADE on masks of one class, and the place where the class is lost (figure 3)."""
    with torch.device("meta"):
        pix2pixhd, layer = Pix2PixHDGenerator(CHANNELS), SPADE(64, CHANNELS)
    norms = sum(isinstance(m, nn.InstanceNorm2d) for m in pix2pixhd.modules())
    sheet = Sheet("pix2pixHD and SPADE on masks of one class", 4.8)
    _by_pix2pixhd(sheet, in_words(pix2pixhd.model[1], "\n"), norms)
    sheet.arrow((0.25, 2.3), (WIDTH - 0.25, 2.3), colour="#cccccc", head=False)
    _by_spade(sheet, in_words(layer.mlp_shared[0], "\n"), in_words(layer.mlp_gamma, "\n"))
    return sheet


def _uniform_masks(sheet: Sheet, name: str, sky: float, grass: float) -> None:
    sheet.words(0.25, sky + 0.42, name, size=11, colour=COLOURS[name], ha="left")
    for y, k, title in ((sky, SKY, "sky"), (grass, GRASS, "grass")):
        sheet.mask(0.6, y, 0.7, torch.full((2, 4), k))
        sheet.words(1.0, y, title, ha="left")


def _by_pix2pixhd(sheet: Sheet, conv: str, norms: int) -> None:
    _uniform_masks(sheet, "pix2pixHD", 4.05, 3.35)
    parts = [(2.2, conv, "conv"), (4.1, "Instance\nNorm", "norm")]
    parts += [(6.0, f"ReLU, conv,\n{norms - 1} more norms", "plain"), (7.7, "one picture\nfor both", "plain")]
    boxes = [sheet.box(x, 3.7, text, kind, height=1.2) for x, text, kind in parts]
    starts = [1.45, *(box.at("right")[0] for box in boxes)]
    for y, values in ((4.05, ["", "5 5 5 5", "0 0 0 0", ""]), (3.35, ["", "3 3 3 3", "0 0 0 0", ""])):
        for start, box, value in zip(starts, boxes, values):
            sheet.arrow((start, y), (box.at("left")[0], y))
            sheet.words((start + box.at("left")[0]) / 2 - 0.04, y + 0.13, value)
    sheet.arrow((4.1, 2.72), boxes[1].at("bottom"), colour=COLOURS["pix2pixHD"])
    sheet.words(4.1, 2.57, "here the class is lost: c − mean = 0 for every constant c", colour=COLOURS["pix2pixHD"])


def _by_spade(sheet: Sheet, shared: str, gamma: str) -> None:
    _uniform_masks(sheet, "SPADE", 1.6, 1.0)
    parts = [(2.2, f"{shared}\nReLU"), (3.7, f"two times\n{gamma}")]
    boxes = [sheet.box(x, 1.3, text, height=1.0) for x, text in parts]
    for y, text in ((1.6, "γ, β of sky"), (1.0, "γ, β of grass")):
        sheet.arrow((1.45, y), (boxes[0].at("left")[0], y))
        sheet.arrow((boxes[0].at("right")[0], y), (boxes[1].at("left")[0], y))
        sheet.words(4.83, y + 0.13, text)
        sheet.arrow((boxes[1].at("right")[0], y), (5.6, y))
    change = sheet.box(6.05, 1.3, "× (1 + γ)\n+ β", "SPADE", height=1.0)
    end = sheet.box(7.7, 1.3, "two\npictures", "plain", height=1.0)
    for y in (1.6, 1.0):
        sheet.arrow((change.at("right")[0], y), (end.at("left")[0], y))
    sheet.words(2.95, 0.35, "no norm on the mask's way, and it comes in at every layer", colour=COLOURS["SPADE"])
    norm = sheet.box(6.05, 0.32, "x after Batch Norm", "norm")
    sheet.arrow(norm.at("top"), change.at("bottom"))


class Step(NamedTuple):
    """What one part of a network makes: channels, and the sizes (h, w) that go in and come out."""

    channels: int
    inside: tuple[int, ...]
    outside: tuple[int, ...]


def steps_of(network: nn.Module, parts: Iterable[nn.Module], *inputs: Tensor) -> list[Step]:
    """What each part makes in a pass that computes nothing."""
    steps: list[Step] = []

    def note(module: nn.Module, args: tuple[Tensor, ...], y: Tensor) -> None:
        steps.append(Step(y.shape[1], tuple(args[0].shape[2:]), tuple(y.shape[2:])))

    for part in parts:
        part.register_forward_hook(note)
    network(*inputs)
    return steps


def generator(size: tuple[int, int] = (256, 512), plan: str = "more") -> Sheet:
    """SPADE's generator with the size and width of every block (figures 4 and 12)."""
    with torch.device("meta"):
        network = SPADEGenerator(CHANNELS, latent=latent_size(size, plan), num_upsampling_layers=plan).eval()
        blocks = {name: m for name, m in network.named_children() if isinstance(m, SPADEResnetBlock)}
        steps = steps_of(network, blocks.values(), torch.zeros(1, CHANNELS, *size))
    sheet = Sheet(f"the SPADE generator at {size[0]} x {size[1]}", 4.3)
    first = sheet.mask(0.4, 2.6, 0.35, STREET)
    sheet.words(0.4, 2.32, "{} x {}".format(*network.latent), size=8)
    parts = [first, sheet.box(1.15, 2.6, in_words(network.fc, "\n"))]
    for number, (name, step) in enumerate(zip(blocks, steps)):
        x = 2.05 + 4.7 * number / (len(steps) - 1)
        parts.append(bar(sheet, x, 2.6, step.channels, step.outside[0], "SPADE"))
        sheet.words(x, 3.55, name, size=8)
        sheet.words(x, 1.55, f"{step.channels}\n{step.outside[0]} x {step.outside[1]}", size=8)
        sheet.arrow(sheet.mask(x, 0.75, 0.075 * math.log2(step.outside[1]), STREET).at("top"), (x, 1.33))
        if number and step.inside != steps[number - 1].outside:
            sheet.words((parts[-1].at("left")[0] + parts[-2].at("right")[0]) / 2 - 0.04, 2.75, "×2", size=8)
    parts.append(sheet.box(7.68, 2.6, f"LeakyReLU 0.2\n{in_words(network.conv_img)}\ntanh"))
    sheet.join(*parts)
    sheet.words(4.4, 3.95, "SPADE ResBlks: as wide as they have channels; ×2 doubles the size by nearest neighbour")
    sheet.words(4.4, 0.3, "every block sees the mask at its own size")
    return sheet


def bar(sheet: Sheet, x: float, y: float, channels: int, height: int, kind: str) -> Box:
    """A feature map: as wide as it has channels (by the root), as high as the logarithm of its height."""
    return sheet.box(x, y, "", kind, width=0.016 * channels**0.5, height=0.19 * math.log2(height))


def receptive_fields(network: PatchDiscriminator, field: int = 1, step: int = 1) -> list[int]:
    """How many pixels in a row one value sees after each layer; field, step: what a pixel of the input stands for."""
    fields = []
    for conv in (m for m in network.modules() if isinstance(m, nn.Conv2d)):
        field += (conv.kernel_size[0] - 1) * step
        step *= conv.stride[0]
        fields.append(field)
    return fields


def patchgan(size: tuple[int, int] = (256, 512)) -> Sheet:
    """PatchGAN at two scales, and what one verdict of each sees of a street (figure 13)."""
    with torch.device("meta"):
        network: Any = MultiScaleDiscriminator(CHANNELS)
        shapes = [tuple(s[-1].shape[2:]) for s in network(torch.zeros(1, CHANNELS, *size), torch.zeros(1, 3, *size))]
    fine = receptive_fields(network.scales[0])
    coarse = receptive_fields(network.scales[1], field=3, step=2)  # behind 3x3 pooling with stride 2
    sheet = Sheet("PatchGAN at two scales", 5.3)
    convs = [layer[0] for layer in network.scales[0].layers]
    parts = [(f"mask, image\n{size[0]} x {size[1]}", "plain")]
    parts += [(f"{in_words(conv, chr(10))}\nstride {conv.stride[0]}", "conv") for conv in convs]
    row = sheet.row(0.25, 4.75, [*parts, ("verdicts\n{} x {}".format(*shapes[0]), "plain")], gap=0.3)
    pooled = sheet.box(row[0].x, 3.75, "3x3 pooling,\nstride 2", "plain")
    sheet.arrow(row[0].at("bottom"), pooled.at("top"))
    left, right = row[1].at("left")[0], row[-2].at("right")[0]
    again = sheet.box((left + right) / 2, 3.75, "the same layers, with weights of their own", width=right - left)
    last = sheet.box(row[-1].x, 3.75, "verdicts\n{} x {}".format(*shapes[1]), "plain")
    sheet.join(pooled, again, last)
    for box, one, other in zip(row[1:], fine, coarse):
        sheet.words(box.x, 4.25, f"sees {one}", size=8)
        sheet.words(box.x, 3.42, f"sees {other}", size=8)
    street = Streets(8, split="val", height=size[0], width=size[1])[5].label[5::10, 5::10]
    scene = sheet.mask(2.95, 1.65, 5.4, street)
    for side, colour, y, scale in ((coarse[-1], SCALES[1], 1.25, "coarse"), (fine[-1], SCALES[0], 2.05, "fine")):
        sheet.square(scene.x, scene.y, side * scene.width / size[1], colour)
        sheet.square(6.15, y, 0.2, colour)
        sheet.words(6.4, y, f"one verdict of the\n{scale} scale sees\n{side} x {side} pixels", ha="left")
    return sheet


def encoder(size: tuple[int, int] = (256, 256)) -> Sheet:
    """The style encoder (figure 14), and where z and the KL term sit in a training (figure 15)."""
    with torch.device("meta"):
        network: Any = StyleEncoder()
        steps = steps_of(network, network.layers, torch.zeros(1, 3, *size))
    sheet = Sheet("the style encoder and the KL term", 5.1)
    parts = [sheet.box(0.8, 3.9, f"image\n{size[0]} x {size[1]}", "plain")]
    for number, step in enumerate(steps):
        x = 1.8 + 0.66 * number
        parts.append(bar(sheet, x, 3.9, step.channels, step.outside[0], "conv"))
        sheet.words(x, 2.98, f"{step.channels}\n{step.outside[0]} x {step.outside[1]}", size=8)
    sheet.words(3.4, 4.8, f"encoder E: {len(steps)} times 3x3 conv, stride 2, Instance Norm, LeakyReLU 0.2")
    flat = sheet.box(6.1, 3.9, f"reshape,\n{network.fc_mu.in_features}", "plain")
    sheet.join(*parts, flat)
    for y, linear, name in ((4.25, network.fc_mu, "μ"), (3.55, network.fc_var, "log σ²")):
        box = sheet.box(7.5, y, f"{name}: {in_words(linear)}", width=1.45)
        sheet.arrow(flat.at("right"), (6.72, 3.9), (6.72, y), box.at("left"))
    _training_with_style(sheet)
    return sheet


def _training_with_style(sheet: Sheet) -> None:
    """The lower half of `encoder`: from a real image to its code, to the painted image, to the discriminator."""
    parts = [("real\nimage", "plain"), ("encoder\nE", "conv"), ("μ, log σ²", "plain"), ("z = μ + σ · ε", "plain")]
    parts += [("SPADE\ngenerator", "SPADE"), ("painted\nimage", "plain"), ("D", "conv")]
    _, _, code, z, painter, _, judge = sheet.row(0.3, 1.75, parts, gap=0.33)
    sheet.arrow((z.x, 2.25), z.at("top"))
    sheet.words(z.x, 2.38, "ε from N(0, I)")
    weight = TrainingConfig().lambda_kl
    loss = sheet.box(2.2, 0.65, f"{weight} · KL(N(μ, σ²) || N(0, I))", "marked")
    sheet.arrow((code.x, code.at("bottom")[1]), (code.x, loss.at("top")[1]))
    mask = sheet.mask(painter.x, 0.65, 0.75, STREET)
    sheet.arrow(mask.at("top"), painter.at("bottom"))
    sheet.arrow(mask.at("right"), (judge.x, 0.65), judge.at("bottom"))
    sheet.words(painter.x - 0.65, 0.65, "mask")


def spectral_norm() -> Sheet:
    """Which layers carry spectral norm: of the generator and its blocks, of the discriminator, of the encoder."""
    with torch.device("meta"):
        painter, judge, style = SPADEGenerator(CHANNELS), PatchDiscriminator(CHANNELS + 3), StyleEncoder()
    rows = {
        "generator": list(painter.children()),
        "in each ResBlk that changes its channels (here up_0)": list(painter.up_0.children()),
        "discriminator (each scale)": convs_and_linears(judge),
        "encoder": convs_and_linears(style),
    }
    sheet = Sheet("where spectral norm sits", 4.5)
    for number, (name, layers) in enumerate(rows.items()):
        y = 3.8 - 0.98 * number
        sheet.words(0.25, y + 0.4, name, ha="left")
        left = 0.25
        for layer in layers:
            box = sheet.box(left + 0.41, y, *_carried(layer), width=0.82, height=0.47)
            left = box.at("right")[0] + 0.06
    legend = [(0.4, "marked", "spectral norm"), (2.1, "plain", "none"), (3.2, "SPADE", "some: see the second row")]
    for x, kind, text in legend:
        sheet.box(x, 0.28, "", kind, width=0.3, height=0.2)
        sheet.words(x + 0.25, 0.28, text, ha="left")
    return sheet


def _carried(layer: nn.Module) -> tuple[str, str]:
    """A layer in words, and the kind of box that says which of its layers carry spectral norm."""
    parts = convs_and_linears(layer)
    carried = sum(isinstance(m, SpectralNorm) for m in parts)
    kind = {len(parts): "marked", 0: "plain"}.get(carried, "SPADE")
    names = {SPADEResnetBlock: "SPADE\nResBlk", SPADE: f"SPADE:\n{len(parts)} convs"}
    return names.get(type(layer)) or in_words(layer, "\n"), kind


def convs_and_linears(network: nn.Module) -> list[nn.Module]:
    """The layers of a network that have weights."""
    return [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]


def in_words(module: Any, between: str = " ") -> str:
    """A convolution or linear layer in the paper's words: what it is, and how many channels come out."""
    if isinstance(module, nn.Linear):
        return f"Linear,{between}{module.out_features}"
    kernel = module.kernel_size[0]
    return f"{kernel}x{kernel} conv,{between}{module.out_channels}"
