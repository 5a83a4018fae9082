"""Stage 05: the SPADE generator, from the first map to the last block."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from .calling import Complaint
from .exercise import Case, Exercise, Wrong, case, variant


def label_maps(n: int, classes: int, h: int, w: int) -> Tensor:
    """One-hot label maps, every pixel drawn by itself."""
    return F.one_hot(torch.randint(classes, (n, h, w)), classes).permute(0, 3, 1, 2).float()


# --- 5.1 the first map ---


def first_map(
    segmap: Float[Tensor, "n l H W"],
    z: Float[Tensor, "n z_dim"] | None,
    fc: nn.Module,
    size: tuple[int, int],
) -> Float[Tensor, "n c h w"]:
    """Without z: fc, a convolution, of the label map shrunk to `size`. With z: fc, a linear layer, of z, reshaped."""
    if z is None:
        return fc(F.interpolate(segmap, size=size, mode="nearest"))
    return fc(z).view(len(z), -1, *size)


def _first_cases() -> list[Case]:
    def labels(text: str, n: int, size: tuple[int, int], factor: int) -> Case:
        segmap = label_maps(n, 3, size[0] * factor, size[1] * factor)
        return case(text, segmap, None, nn.Conv2d(3, 4, 3, padding=1), size)

    def noise(text: str, n: int, size: tuple[int, int], c: int) -> Case:
        segmap = label_maps(n, 3, size[0] * 4, size[1] * 4)
        return case(text, segmap, torch.randn(n, 5), nn.Linear(5, c * size[0] * size[1]), size)

    return [
        labels("without z, a wide picture", 2, (2, 4), 8),
        noise("with z, a wide picture", 2, (2, 4), 3),
        labels("without z, a high picture, a batch of 1", 1, (3, 2), 4),
        noise("with z, a high picture, a batch of 1", 1, (3, 2), 4),
        labels("without z, a square", 3, (4, 4), 2),
        noise("with z, one channel", 2, (2, 3), 1),
        noise("with z, one column", 2, (3, 1), 2),
        noise("with z, as many channels as rows as columns", 3, (3, 3), 3),
        noise("with z, one pixel", 2, (1, 1), 6),
        case("without z, height halved, width kept", label_maps(2, 3, 8, 3), None, nn.Conv2d(3, 4, 3, padding=1),
             (4, 3)),
    ]  # fmt: skip


def _first_mistaken(wrong: Wrong, segmap: Tensor, z: Tensor | None, fc: nn.Module, size: tuple[int, int]) -> Tensor:
    size = variant(wrong, size, swapped=size[::-1])
    if z is None:
        return _activated(wrong, _from_labels_mistaken(wrong, segmap, fc, size))
    y = fc(z)
    if "swapped_z" in wrong:
        size = size[::-1]
    if "flat" in wrong:
        return y
    if "pixels_first" in wrong:
        y = y.view(len(z), *size, -1).permute(0, 3, 1, 2)
    elif "batch_last" in wrong:
        y = y.view(-1, *size, len(z)).permute(3, 0, 1, 2)
    else:
        y = y.view(len(z), -1, *size)
    return _activated(wrong, y)


def _from_labels_mistaken(wrong: Wrong, segmap: Tensor, fc: nn.Module, size: tuple[int, int]) -> Tensor:
    if "bilinear" in wrong:
        return fc(F.interpolate(segmap, size=size, mode="bilinear"))
    if "area" in wrong:
        return fc(F.adaptive_avg_pool2d(segmap, size))
    if "max" in wrong:
        return fc(F.adaptive_max_pool2d(segmap, size))
    if "late" in wrong:
        return F.interpolate(fc(segmap), size=size, mode="nearest")
    return fc(F.interpolate(segmap, size=size, mode=variant(wrong, "nearest", exact="nearest-exact")))


def _activated(wrong: Wrong, y: Tensor) -> Tensor:
    y = variant(wrong, y, tanh=torch.tanh(y))
    return variant(wrong, y, relu=F.relu(y), leaky=F.leaky_relu(y, 0.2))


_FIRST = Exercise(
    stage="05",
    title="The first map, from labels or from noise",
    goal="build both starts of the generator: the shrunken label map, and the style code z",
    minutes=10,
    difficulty=1,
    reference=first_map,
    cases=_first_cases,
    mistaken=_first_mistaken,
    mistakes={
        "bilinear": 'The label map is shrunk with bilinear interpolation, which mixes classes: use mode="nearest".',
        "area": "The label map is averaged down, which mixes classes; take the nearest pixel.",
        "max": "The label map is shrunk by max pooling, so that a pixel can have several classes; take the nearest "
        "pixel.",
        "exact": 'You shrink with mode="nearest-exact", which takes other pixels than mode="nearest" (half a pixel '
        "off); the published networks were trained with the latter.",
        "late": "The convolution runs on the full-size label map and its result is shrunk; shrink the labels first.",
        "swapped": "`size` is (height, width), in this order.",
        "swapped_z": "With z, height and width are exchanged: `size` is (height, width), in this order.",
        "pixels_first": "The reshape puts the channels last: fc(z) is read as (n, c, h, w) at once, without permute.",
        "batch_last": "The reshape mixes the images of the batch: the first axis stays n.",
        "flat": "With z the result of fc is still flat: reshape it to (n, c, h, w).",
        "relu": "There is no activation after fc; the first block begins with a norm.",
        "leaky": "There is no activation after fc (you have a LeakyReLU); the first block begins with a norm.",
        "tanh": "There is no activation after fc (you have tanh); the first block begins with a norm.",
    },
    hints=(
        "Two cases: `z is None` and not. In both of them `fc` is called once; what goes in and what comes out differs.",
        'Without z: F.interpolate(segmap, size=size, mode="nearest"), then fc. With z: fc(z) is (n, c * h * w), and '
        ".view can work out the number of channels if you write -1.",
        "return fc(z).view(len(z), -1, *size)",
    ),
)


# --- 5.2 the order of the upsamplings ---


class PaintBlock(nn.Module):
    """A small block for trying things out: y = tanh(3x3 convolution of x and the resized label map)."""

    def __init__(self, channels: int, label_channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels + label_channels, channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "n c h w"], segmap: Float[Tensor, "n l H W"]) -> Float[Tensor, "n c h w"]:
        """The label map is resized to x by nearest neighbour."""
        return torch.tanh(self.conv(torch.cat([x, F.interpolate(segmap, size=x.shape[-2:], mode="nearest")], 1)))


def run_blocks(
    x: Float[Tensor, "n c h w"], segmap: Float[Tensor, "n l H W"], blocks: nn.ModuleList, plan: str
) -> Float[Tensor, "n c H W"]:
    """x is doubled (nearest) before every block but the first, and before the third only if plan isn't "normal"."""
    for i, block in enumerate(blocks):
        if i > 0 and (i != 2 or plan != "normal"):
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = block(x, segmap)
    return x


class AveragingBlock(PaintBlock):
    """The same for a label map that is averaged down to the size of x, which takes the full-size one."""

    def forward(self, x: Float[Tensor, "n c h w"], segmap: Float[Tensor, "n l H W"]) -> Float[Tensor, "n c h w"]:
        """The label map's shares of each class around a pixel."""
        return torch.tanh(self.conv(torch.cat([x, F.adaptive_avg_pool2d(segmap, (x.shape[-2], x.shape[-1]))], 1)))


def _run_cases() -> list[Case]:
    def one(plan: str, n: int, c: int, size: tuple[int, int], kind: type[PaintBlock] = PaintBlock) -> Case:
        number, factor = {"normal": (7, 32), "more": (7, 64), "most": (8, 128)}[plan]
        blocks = [kind(c, 3) for _ in range(number)]
        for block in blocks:  # large weights: what goes into the first block must be felt after the last one
            block.conv.weight.data *= 2
        segmap = label_maps(n, 3, size[0] * factor, size[1] * factor)
        text = f'"{plan}", {n} image(s), first map {size[0]}x{size[1]}'
        text += ", blocks that average the full-size label map" if kind is AveragingBlock else ""
        return case(text, torch.randn(n, c, *size), segmap, nn.ModuleList(blocks), plan)

    return [one("normal", 2, 2, (1, 2)), one("more", 1, 2, (2, 1)), one("most", 1, 1, (1, 1)),
            one("normal", 1, 1, (2, 1)), one("normal", 1, 2, (1, 1), AveragingBlock)]  # fmt: skip


def _run_mistaken(wrong: Wrong, x: Tensor, segmap: Tensor, blocks: nn.ModuleList, plan: str) -> Tensor:
    if "shrunk_labels" in wrong:
        segmap = F.interpolate(segmap, size=x.shape[-2:], mode="nearest")
    if "before_first" in wrong:
        x = _doubled(wrong, x)
    for i, block in enumerate(blocks):
        if i == 0 and "skips_first" in wrong:
            continue
        before, after = _doublings(wrong, i, len(blocks), plan)
        if before:
            x = _doubled(wrong, x)
        if "resized_labels" in wrong:
            y = block(x, F.interpolate(segmap, size=x.shape[-2:], mode="nearest"))
        else:
            y = block(x, segmap)
        if "late" not in wrong:
            y = variant(wrong, y, residual=x + y)
            y = variant(wrong, y, activated=F.leaky_relu(y, 0.2))
        x = _doubled(wrong, y) if after else y
    if "last" in wrong:
        return _doubled(wrong, x)
    return x


def _doublings(wrong: Wrong, i: int, number: int, plan: str) -> tuple[bool, bool]:
    """Whether the map is doubled before block i, and whether it is behind it."""
    third = variant(wrong, plan != "normal", third_swapped=plan == "normal", third_never=False)
    third = variant(wrong, third or "always" in wrong, only_most=plan == "most")
    if "late" in wrong:  # after block i what should come before block i + 1
        return False, i < number - 1 and (i != 2 or third)
    if "first" in wrong:
        return False, i + 2 < number and (i != 1 or third) or i + 1 == number
    if "second" in wrong and plan == "normal" and i in (1, 2):
        return i == 2, False
    return i > 0 and (i != 2 or third), False


def _doubled(wrong: Wrong, y: Tensor) -> Tensor:
    if "zeros" in wrong:
        y = y[:, :, :, None, :, None] * y.new_tensor([[1.0, 0.0], [0.0, 0.0]])[:, None, :]
        return y.reshape(*y.shape[:2], y.shape[2] * 2, y.shape[4] * 2)
    if "tiled" in wrong:
        return y.repeat(1, 1, 2, 2)
    if "never" in wrong:
        return y
    return F.interpolate(y, scale_factor=2, mode=variant(wrong, "nearest", bilinear="bilinear"))


_RUN = Exercise(
    stage="05",
    title="The order of blocks and doublings",
    goal="run the generator's blocks on a growing map, with the label map at every one of them",
    minutes=15,
    difficulty=2,
    reference=run_blocks,
    cases=_run_cases,
    mistaken=_run_mistaken,
    mistakes={
        "always": 'The plan "normal" doubles five times, not six: it keeps the size before the third block '
        "(G_middle_1).",
        "before_first": "x is doubled before the first block too; that one gets the map as it came in.",
        "never": "The map never grows: the doubled x has to be what the block gets.",
        "skips_first": "The first block isn't run; only the doubling before it is left out.",
        "residual": "You add each block's input to its result; the blocks do that inside.",
        "activated": "There is an activation behind each block; a block's result goes on as it is.",
        "tiled": "The map is laid out four times side by side (`repeat`); doubling repeats each pixel, which stays in "
        "its place.",
        "third_swapped": 'It is the other way round: "normal" doesn\'t double before the third block, "more" and '
        '"most" do.',
        "third_never": 'The map is never doubled before the third block; only "normal" leaves this doubling out.',
        "only_most": 'The plan "more" doubles before the third block too, not only "most".',
        "second": 'In the plan "normal" the doubling comes before the second block, and the third keeps the size; '
        "you have it the other way round.",
        "last": "The map is doubled once more after the last block.",
        "first": "One of the doublings comes after the last block; every one comes before a block.",
        "late": 'In "normal" you leave out the doubling after the third block (before the fourth); it is the one '
        "before the third.",
        "bilinear": 'The map is doubled with bilinear interpolation; the generator uses mode="nearest".',
        "zeros": "The new pixels are zeros; nearest-neighbour doubling repeats each pixel.",
        "resized_labels": "Each block gets a label map that is resized already; give it the full-size one, which it "
        "resizes in its own way.",
        "shrunk_labels": "The blocks get the label map shrunk to the first map's size; each gets the full-size map and "
        "resizes it by itself.",
    },
    hints=(
        "A loop over the blocks. Which block sees the map as it came in? Before which one does it depend on the plan?",
        'Before block i (from 0): no doubling if i is 0; none if i is 2 and the plan is "normal". '
        'F.interpolate(x, scale_factor=2, mode="nearest") doubles; the block gets (x, segmap).',
        'if i > 0 and (i != 2 or plan != "normal"): x = F.interpolate(...)',
    ),
)


# --- 5.3 the last layer ---


def to_picture(x: Float[Tensor, "n c h w"], conv: nn.Module) -> Float[Tensor, "n 3 h w"]:
    """tanh(conv(LeakyReLU 0.2 of x)): a picture in [-1, 1]."""
    return torch.tanh(conv(F.leaky_relu(x, 0.2)))


def _picture_cases() -> list[Case]:
    def one(text: str, x: Tensor) -> Case:
        return case(text, x, nn.Conv2d(x.shape[1], 3, 3, padding=1))

    return [
        one("2 maps of 4 channels", torch.randn(2, 4, 3, 5)),
        one("a batch of 1", torch.randn(1, 2, 4, 3)),
        one("one channel", torch.randn(2, 1, 3, 4)),
        one("large values, near black and white", 6 * torch.randn(2, 3, 3, 3)),
        one("negative values only", -torch.rand(1, 3, 4, 4) - 0.1),
        one("small values", 0.2 * torch.randn(2, 2, 3, 4)),
    ]


def _picture_mistaken(wrong: Wrong, x: Tensor, conv: nn.Module) -> Tensor:
    slope = variant(wrong, 0.2, relu=0.0, slope=0.01)
    if "conv_first" in wrong:
        return torch.tanh(F.leaky_relu(conv(x), slope))
    x = variant(wrong, x, normalised=F.instance_norm(x))
    y = conv(variant(wrong, F.leaky_relu(x, slope), tanh_inside=torch.tanh(x), no_activation=x))
    if "open" in wrong:
        return y
    y = variant(wrong, torch.tanh(y), sigmoid=torch.sigmoid(y), clamped=y.clamp(-1, 1), softsign=F.softsign(y))
    y = variant(wrong, y, twice=torch.tanh(y))
    y = variant(wrong, y, zero_to_one=(y + 1) / 2, bytes=(y + 1) * 127.5)
    return variant(wrong, y, detached=y.detach())


_PICTURE = Exercise(
    stage="05",
    title="The last layer",
    goal="turn the last block's features into colours",
    minutes=5,
    difficulty=1,
    reference=to_picture,
    cases=_picture_cases,
    mistaken=_picture_mistaken,
    mistakes={
        "no_activation": "The LeakyReLU before the convolution is missing; no block ends with an activation, so it is "
        "due here.",
        "relu": "The activation is a ReLU; it is LeakyReLU with slope 0.2.",
        "slope": "The LeakyReLU's slope is 0.01 (torch's default); here it is 0.2.",
        "conv_first": "The activation comes before the convolution, not after it.",
        "tanh_inside": "tanh comes after the convolution; before it stands a LeakyReLU with slope 0.2.",
        "open": "tanh is missing at the end: colours lie in [-1, 1].",
        "sigmoid": "sigmoid gives values in [0, 1]; pictures lie in [-1, 1] here: tanh.",
        "clamped": "You cut the values off at -1 and 1, where no gradient passes; take tanh.",
        "softsign": "That is softsign; take tanh.",
        "twice": "tanh is applied twice.",
        "zero_to_one": "The picture is moved to [0, 1]; the course's pictures lie in [-1, 1].",
        "bytes": "The picture is moved to 0 ... 255; leave it in [-1, 1].",
        "normalised": "There is a norm before the last convolution; there is none, it would take the brightness away.",
        "detached": "The picture is cut off from the gradient; the generator couldn't learn.",
    },
    hints=(
        "Three steps: activation, convolution, and a function that brings any number into [-1, 1].",
        "F.leaky_relu(x, 0.2), then conv, then torch.tanh.",
        "return torch.tanh(conv(F.leaky_relu(...)))",
    ),
)


# --- 5.4 parameters of a block ---


def count_block(fin: int, fout: int, label_channels: int, hidden: int, kernel: int) -> int:
    """Weights and biases of a SPADE residual block; `kernel` and `hidden` are SPADE's, the block's own are 3x3."""

    def spade(channels: int) -> int:
        shared = (label_channels * kernel**2 + 1) * hidden
        return shared + 2 * (hidden * kernel**2 + 1) * channels

    middle = min(fin, fout)
    count = spade(fin) + (9 * fin + 1) * middle + spade(middle) + (9 * middle + 1) * fout
    if fin != fout:
        count += spade(fin) + fin * fout
    return count


def _count_cases() -> list[Case]:
    sizes = [(1024, 1024, 151, 128, 3), (1024, 512, 36, 128, 3), (128, 64, 184, 128, 5), (2, 2, 3, 4, 1),
             (3, 5, 2, 1, 3), (1, 1, 1, 1, 1)]  # fmt: skip
    return [case(f"{a} to {b} channels, {n} label channels, SPADE {k}x{k}", a, b, n, h, k) for a, b, n, h, k in sizes]


def _count_mistaken(wrong: Wrong, fin: int, fout: int, label_channels: int, hidden: int, kernel: int) -> int:
    bias = variant(wrong, 1, no_bias=0)
    hidden = variant(wrong, hidden, always_128=128)

    def spade(channels: int) -> int:
        area = variant(wrong, kernel**2, spade_3x3=9, no_square=kernel)
        shared = (label_channels * area + variant(wrong, bias, no_hidden_bias=0)) * hidden
        outputs = variant(wrong, 2, one_output=1)
        shared = variant(wrong, shared, not_shared=outputs * shared, no_shared=0)
        affine = variant(wrong, 0, affine=2 * channels)
        return shared + outputs * (hidden * area + bias) * channels + affine

    middle = variant(wrong, min(fin, fout), fin=fin, max=max(fin, fout), fout=fout)
    area = variant(wrong, 9, all_kernel=kernel**2)
    count = spade(fin) + (area * fin + bias) * middle + spade(middle) + (area * middle + bias) * fout
    if "no_spade_1" in wrong:
        count -= spade(middle)
    if "spade_1_fout" in wrong:
        count += spade(fout) - spade(middle)
    if "one_shared" in wrong:
        count -= (label_channels * kernel**2 + 1) * hidden * (1 + (fin != fout))
    if variant(wrong, fin != fout, always_skip=True, skip_turned=fin == fout, no_skip=False):
        count += variant(wrong, spade(fin), no_norm_s=0, norm_s_fout=spade(fout))
        weights = variant(wrong, fin * fout, no_conv_s=0)
        count += variant(wrong, weights, skip_3x3=9 * weights) + variant(wrong, 0, skip_bias=fout)
    return count


_COUNT = Exercise(
    stage="05",
    title="Counting a block's parameters",
    goal="see where a generator of 90 million parameters keeps them",
    minutes=15,
    difficulty=2,
    reference=count_block,
    cases=_count_cases,
    mistaken=_count_mistaken,
    mistakes={
        "no_bias": "The biases are missing: one for each output channel of every convolution but conv_s.",
        "no_hidden_bias": "The bias of SPADE's shared convolution is missing.",
        "skip_bias": "conv_s has no bias.",
        "skip_3x3": "conv_s is a 1x1 convolution, fin * fout weights (the paper's figure draws 3x3, the code has 1x1).",
        "no_skip": "The learned skip path is missing where fin and fout differ: norm_s and conv_s.",
        "no_norm_s": "The skip path's own SPADE layer (norm_s) is missing.",
        "no_conv_s": "The skip path's 1x1 convolution (conv_s) is missing.",
        "norm_s_fout": "The skip path's SPADE layer comes before its convolution: it has fin channels.",
        "spade_1_fout": "The second SPADE layer of the main path has as many channels as the inner width.",
        "one_shared": "Each SPADE layer has a shared convolution of its own; you counted one for the whole block.",
        "always_128": "Your hidden layer always has 128 channels; take the argument `hidden`.",
        "skip_turned": "The condition is the wrong way round: the learned skip is there where fin and fout differ.",
        "always_skip": "Where fin = fout the skip path is x itself and has no parameters.",
        "max": "The inner width is min(fin, fout), not the larger one.",
        "fin": "The inner width is min(fin, fout); you took fin, which differs where a block narrows.",
        "fout": "The inner width is min(fin, fout); you took fout, which differs where a block widens.",
        "one_output": "A SPADE layer has two output convolutions, gamma and beta; you counted one.",
        "not_shared": "gamma and beta share one hidden convolution; you counted it twice.",
        "no_shared": "The shared convolution from the labels to the hidden layer isn't counted.",
        "affine": "SPADE's own norm has no parameters: gamma and beta come from the convolutions only.",
        "no_spade_1": "A block has two SPADE layers on its main path; you counted one.",
        "spade_3x3": "SPADE's convolutions are kernel x kernel; you counted 3x3.",
        "all_kernel": "`kernel` is the size of SPADE's convolutions only; conv_0 and conv_1 are always 3x3.",
        "no_square": "A kernel has kernel * kernel weights; you counted one side.",
    },
    hints=(
        "A convolution from a to b channels with a k x k kernel has a * b * k * k weights and, with a bias, b more. "
        "List a block's convolutions: three in every SPADE layer, two on the main path, one on the skip path.",
        "SPADE(c): labels -> hidden, then twice hidden -> c, all with bias. Block: SPADE(fin), 3x3 fin -> middle, "
        "SPADE(middle), 3x3 middle -> fout; if fin != fout also SPADE(fin) and 1x1 fin -> fout without bias.",
        "spade = lambda c: (label_channels * kernel**2 + 1) * hidden + 2 * (hidden * kernel**2 + 1) * c",
    ),
    tolerance=1e-12,
)


# --- the first weights ---


def init_weights(network: nn.Module, gain: float = 0.02) -> nn.Module:
    """Glorot normal on every convolution and linear layer, biases 0; returns the network."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_normal_(layer.weight, gain=gain)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network


def _init_cases() -> list[Case]:
    def one(text: str, *layers: nn.Module, gain: float = 0.02) -> Case:
        return case(text, nn.Sequential(*layers), gain, gradient=False)

    conv, linear, norm = nn.Conv2d(3, 4, 3), nn.Linear(5, 3), nn.BatchNorm2d(4)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return [
        one("a convolution", nn.Conv2d(3, 4, 3)),
        one("a linear layer", linear),
        one("layers inside of layers", nn.Sequential(conv, norm), nn.ReLU(), nn.Conv2d(4, 2, 1, bias=False)),
        one("a transposed convolution", nn.ConvTranspose2d(3, 2, 3)),
        one("gain 1", nn.Conv2d(2, 5, 3), gain=1.0),
    ]


def _init_mistaken(wrong: Wrong, network: nn.Module, gain: float = 0.02) -> nn.Module:
    gain = variant(wrong, gain, no_gain=1.0, fixed=0.02, squared=gain**2)
    kinds = variant(wrong, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear), no_linear=(nn.Conv2d, nn.ConvTranspose2d),
                    no_transposed=(nn.Conv2d, nn.Linear))  # fmt: skip
    for layer in network.children() if "children" in wrong else network.modules():
        if "norms" in wrong and isinstance(layer, nn.BatchNorm2d):
            nn.init.zeros_(layer.bias)
        if not isinstance(layer, kinds):
            continue
        if "uniform" in wrong:
            nn.init.xavier_uniform_(layer.weight, gain=gain)
        elif "plain" in wrong:
            nn.init.normal_(layer.weight, std=gain)
        else:
            nn.init.xavier_normal_(layer.weight, gain=gain)
        if layer.bias is not None and "bias_left" not in wrong:
            nn.init.zeros_(layer.bias)
    return network


def _initialised(output: object, network: nn.Module, gain: float) -> object:
    """The network, if that is what came back."""
    if output is not network and output is not ...:
        raise Complaint("Return `network` itself, changed in place.")
    return output


_INIT = Exercise(
    stage="05",
    title="The first weights",
    goal="begin where the published code begins",
    minutes=5,
    difficulty=1,
    reference=init_weights,
    cases=_init_cases,
    mistaken=_init_mistaken,
    mistakes={
        "plain": "The deviation is `gain` itself; Glorot's is gain * sqrt(2 / (fan_in + fan_out)): "
        "nn.init.xavier_normal_.",
        "uniform": "The draw is uniform; it is normal: nn.init.xavier_normal_.",
        "bias_left": "The biases are left as torch drew them; they start at 0.",
        "no_gain": "The gain isn't used: nn.init.xavier_normal_(layer.weight, gain=gain).",
        "fixed": "Your gain is always 0.02; take the argument.",
        "squared": "The gain counts twice.",
        "no_linear": "Linear layers are left as they were.",
        "no_transposed": "Transposed convolutions are left as they were.",
        "children": "Layers inside of layers are left as they were: network.modules() goes all the way down.",
        "norms": "Norms are changed too; only convolutions and linear layers are.",
    },
    hints=(
        "network.modules() gives every layer, however deep. Which kinds have a weight that is to be drawn?",
        "For nn.Conv2d, nn.ConvTranspose2d and nn.Linear: nn.init.xavier_normal_ on the weight with the gain, "
        "nn.init.zeros_ on the bias where there is one. Return the network.",
        "nn.init.xavier_normal_(layer.weight, gain=gain)",
    ),
    observe=_initialised,
)

EXERCISES = (_FIRST, _RUN, _PICTURE, _COUNT, _INIT)
