"""SPADE on the distinct neighbourhoods of a label map: the same function and gradients, for less arithmetic and memory.

gamma and beta at a pixel depend only on the labels around it: with two 3x3 convolutions, on a 5x5 window. Label maps
are large patches of one class, so most windows occur again and again. `PatternSPADE` finds the distinct ones, runs
SPADE's two convolutions on those alone, and looks every pixel's gamma and beta up in the resulting table:

    ids       one number a pixel: which of the few label vectors (class, edge) it has
    hidden    3x3 windows of ids;          relu(mlp_shared) once for each distinct one
    output    3x3 windows of hidden ids;   gamma and beta once for each distinct one

The pixels outside the map get an id of their own: a convolution pads with zeros there, which is no class's vector.
`with_patterns(network)` puts it in place of every SPADE layer; parameters and weights files stay as they are.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ..blocks import replace_modules
from ..distributed import all_agree, several_processes
from ..labels import resize_segmap
from ..normalization import SPADE, BatchNorm2d, SyncBatchNorm, set_averages
from .windows import RUN, Groups, WindowConv, Windows, _accurate, distinct, distinct_windows

# Which is faster? Multiplying costs a share of the convolutions' time, looking up costs as much as so many hidden
# channels would (found with benchmarks/layer.py). Windows are taken where both together come to at most MAX_COST.
LOOKUP_CHANNELS, MAX_COST = 24, 0.9
MIN_SIZE = 512  # pixels of a map: on smaller ones most windows are distinct, so it isn't worth looking
CPU_PIECE = 2**17  # values of a map that stay in a CPU's cache, with what is looked up for them


class Level:
    """The plan at one resolution: the label vectors that occur, and the windows of SPADE's two convolutions."""

    def __init__(self, vectors: Float[Tensor, "ids l"], hidden: Windows, output: Windows):
        self.vectors, self.index = vectors, output.pixels.index
        self.hidden, self.output = WindowConv(hidden), WindowConv(output)
        self.pixels = Groups(output.pixels.order, output.pixels.starts, run=RUN)


def make_level(
    ids: Int64[Tensor, "n h w"],
    vectors: Float[Tensor, "ids l"],
    kernel_size: int,
    hidden_channels: int,
    *,
    always: bool = False,
) -> Level | None:
    """The plan for a map of ids, or None where so many windows are distinct that convolutions are faster."""
    hidden = distinct_windows(ids, len(vectors), kernel_size)
    if hidden.share > MAX_COST and not always:
        return None
    output = distinct_windows(hidden.pixels.index.view(ids.shape), len(hidden.ids), kernel_size)
    if hidden.share + output.share * LOOKUP_CHANNELS / hidden_channels > MAX_COST and not always:
        return None
    return Level(vectors, hidden, output)


def label_ids(segmap: Float[Tensor, "n l h w"]) -> tuple[Int64[Tensor, "n h w"], Float[Tensor, "ids l"]]:
    """Number the label vectors that occur in `segmap`: a map of ids, and the vector that each stands for.

    A hash again, in float64, exact for zeros and ones. A soft label map has about as many vectors as pixels; nothing
    goes wrong, but then convolutions are faster.
    """
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randint(2**52 // segmap.shape[1], segmap.shape[1:2], generator=generator).to(segmap.device)
    pixels = segmap.flatten(2)
    found = distinct((numbers.double() @ pixels.double()).view(torch.int64).flatten())
    image, pixel = found.examples // pixels.shape[2], found.examples % pixels.shape[2]
    return found.index.view(len(segmap), *segmap.shape[-2:]), pixels[image, :, pixel]


class LabelPatterns:
    """The plans of one batch of label maps, made when first asked for and shared by all layers and passes.

    A new `segmap` tensor, or one that was changed in place, makes it start afresh. `always` takes windows even where
    convolutions would be faster (for tests).
    """

    def __init__(self, *, always: bool = False):
        self.always = always
        self._forget(None)

    def level(
        self,
        segmap: Float[Tensor, "n l H W"],
        size: tuple[int, int],
        kernel_size: int,
        hidden_channels: int,
        *,
        together: bool = False,
    ) -> Level | None:
        """The plan at a resolution, or None where SPADE is to convolve.

        `together`: with several processes all convolve if one must, since both ways exchange different messages.
        """
        self._see(segmap)
        key = (size, kernel_size, hidden_channels)
        if key not in self._levels:
            level = self._make_level(segmap, *key)
            agreed = not together or all_agree(level is not None, segmap.device)
            self._levels[key] = level if agreed else None
        return self._levels[key]

    def resized(self, segmap: Float[Tensor, "n l H W"], size: tuple[int, int]) -> Float[Tensor, "n l h w"]:
        """`segmap` at a resolution, resized once."""
        self._see(segmap)
        if size not in self._resized:
            (h, w), (height, width) = size, segmap.shape[-2:]
            whole = height % h == 0 and width % w == 0  # then the nearest pixels are every so-many-th, without a copy
            nearest = segmap[:, :, :: height // h, :: width // w] if whole else resize_segmap(segmap, size)
            self._resized[size] = nearest.contiguous()
        return self._resized[size]

    @torch.no_grad()
    def _make_level(
        self, segmap: Tensor, size: tuple[int, int], kernel_size: int, hidden_channels: int
    ) -> Level | None:
        too_small = size[0] * size[1] < MIN_SIZE and not self.always
        if too_small or segmap.requires_grad or segmap.device.type == "meta":
            return None
        if self._ids is None:
            self._ids = label_ids(segmap)
        ids, vectors = self._ids
        resized = F.interpolate(ids[:, None].double(), size=size, mode="nearest")[:, 0].long()
        return make_level(resized, vectors, kernel_size, hidden_channels, always=self.always)

    def _see(self, segmap: Tensor) -> None:
        version = 0 if segmap.is_inference() else segmap._version
        if segmap is not self._segmap or version != self._version:
            self._forget(segmap, version)

    def _forget(self, segmap: Tensor | None, version: int = 0) -> None:
        self._segmap, self._version = segmap, version
        self._ids, self._levels, self._resized = None, {}, {}

    def __deepcopy__(self, memo: dict) -> "LabelPatterns":
        return LabelPatterns(always=self.always)


class _Modulate(torch.autograd.Function):
    """y = a((1 + gamma) (x - mean) rstd + beta), with gamma and beta looked up: no map of them is ever kept.

    gamma, beta: (p, c), a row for each window. a: leaky ReLU of this slope; 1 for none. count: how many values the mean
    is of, in all processes together (0: mean and rstd are constants). Where they are statistics of x, the gradient of
    batch norm is included; the two sums over all pixels that it needs follow from those of gamma and beta. result: an
    empty list; y may be put into it for the backward pass, which needs its sign and computes it again otherwise.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, rstd: Tensor,
        level: Level, count: int, slope: float, result: list[Tensor],
    ) -> Tensor:  # fmt: skip
        ctx.save_for_backward(x, gamma, beta, mean, rstd)
        ctx.level, ctx.count, ctx.slope, ctx.result = level, count, slope, result
        return _modulated(x, gamma, beta, mean, rstd, level, slope)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, gamma, beta, mean, rstd = ctx.saved_tensors
        index, pixels = ctx.level.index, ctx.level.pixels
        dy = dy.contiguous(memory_format=torch.channels_last)
        if ctx.slope != 1:
            y = ctx.result.pop() if ctx.result else _modulated(x, gamma, beta, mean, rstd, ctx.level, ctx.slope)
            dy = torch.ops.aten.leaky_relu_backward(dy, y, ctx.slope, True)
        scale = (1 + gamma.to(mean.dtype)) * rstd
        dx = torch.empty_like(x, memory_format=torch.channels_last)
        for _, x_part, dy_part, dx_part in _pieces(index, x, dy, dx):
            torch.sub(x_part, mean, out=dx_part).mul_(dy_part)
        dgamma, dbeta = pixels.sum(_rows(dx)) * rstd, pixels.sum(_rows(dy))
        slope, offset = torch.zeros_like(mean), torch.zeros_like(mean)
        if ctx.count:
            sums = torch.stack([(scale * dbeta).sum(0), (scale * dgamma).sum(0)])
            if ctx.count > len(index):
                dist.all_reduce(sums)
            offset, slope = -sums / ctx.count
            slope = slope * rstd
            offset = offset - slope * mean
        for window, x_part, dy_part, dx_part in _pieces(index, x, dy, dx):
            torch.addcmul(offset, x_part, slope, out=dx_part).addcmul_(scale.index_select(0, window), dy_part)
        return dx, dgamma.to(gamma.dtype), dbeta.to(beta.dtype), None, None, None, None, None, None


def _scale_and_shift(gamma: Tensor, beta: Tensor, mean: Tensor, rstd: Tensor) -> Float[Tensor, "windows c_times_2"]:
    """What x is multiplied by and what is added, for each window: norm, gamma and beta in one."""
    table = torch.empty(len(gamma), 2 * len(mean), dtype=mean.dtype, device=mean.device)
    scale, shift = table.chunk(2, dim=1)
    torch.addcmul(rstd, gamma, rstd, out=scale)
    torch.addcmul(beta, scale, -mean, out=shift)
    return table


@torch.no_grad()
def _modulated(
    x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, rstd: Tensor, level: Level, slope: float
) -> Tensor:
    y = torch.empty_like(x, memory_format=torch.channels_last)
    table = _scale_and_shift(gamma, beta, mean, rstd)
    for window, x_part, y_part in _pieces(level.index, x, y):
        scale_part, shift_part = table.index_select(0, window).chunk(2, dim=1)
        torch.addcmul(shift_part, x_part, scale_part, out=y_part)
        if slope != 1:
            F.leaky_relu_(y_part, slope)
    return y


def _pieces(index: Tensor, *maps: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The window of each pixel, and maps as rows (pixels, c), a few thousand at a time: they stay in a CPU's cache."""
    rows = [index, *map(_rows, maps)]
    size = max(1, CPU_PIECE // maps[0].shape[1]) if index.device.type == "cpu" else len(index)
    return zip(*(r.split(size) for r in rows))


def _rows(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "pixels c"]:
    """A channels_last map as rows, one a pixel, without a copy."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _statistics(norm: nn.Module, x: Float[Tensor, "n c h w"]) -> tuple[Tensor, Tensor, Tensor, int]:
    """x, mean, rstd and the count of _Modulate for a norm; running averages move as in the norm itself.

    A norm other than batch norm normalises x here, and mean and rstd become 0 and 1.
    """
    dtype, channels = _accurate(x.dtype), x.shape[1]
    if not isinstance(norm, nn.BatchNorm2d | BatchNorm2d):
        return norm(x), x.new_zeros(channels, dtype=dtype), x.new_ones(channels, dtype=dtype), 0
    if not norm.training:
        return x, norm.running_mean, (norm.running_var + norm.eps).rsqrt(), 0
    with torch.no_grad():
        if isinstance(norm, SyncBatchNorm) and several_processes():
            mean, variance, count = norm.statistics(x)
        else:
            mean, variance, count = *_mean_and_variance(x), x.numel() // channels
        unbiased = variance * count / (count - 1)
        set_averages(norm, norm.running_mean.lerp(mean, norm.momentum), norm.running_var.lerp(unbiased, norm.momentum))
    return x, mean, (variance + norm.eps).rsqrt(), count


def _mean_and_variance(x: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
    """Over batch and pixels, from pieces of 4096 pixels: torch's fast kernel loses digits on more in channels_last."""
    pieces = _rows(x).split(4096 if x.device.type == "cpu" else len(x) * x[0, 0].numel())
    lengths = torch.tensor([[len(p)] for p in pieces], device=x.device, dtype=_accurate(x.dtype))
    found = [torch.batch_norm_update_stats(p.t()[None, :, :, None], None, None, 0.0) for p in pieces]
    means, variances = (torch.stack(v).to(_accurate(x.dtype)) for v in zip(*found))
    share = lengths / lengths.sum()
    mean = (share * means).sum(0)
    return mean, (share * (variances + (means - mean).square())).sum(0)


class PatternSPADE(SPADE):
    """SPADE, evaluated on the distinct windows of the label map where that is faster; same parameters, same results.

    It takes over the parts of a plain layer. Soft label maps, maps with too many distinct windows and the meta device
    go through the convolutions. Works in channels_last, and converts where x isn't.
    """

    def __init__(self, layer: SPADE, patterns: LabelPatterns):
        nn.Module.__init__(self)
        self.param_free_norm, self.mlp_shared = layer.param_free_norm, layer.mlp_shared
        self.mlp_gamma, self.mlp_beta = layer.mlp_gamma, layer.mlp_beta
        self.patterns = patterns

    def forward(self, x: Float[Tensor, "n c h w"], segmap: Float[Tensor, "n l H W"]) -> Float[Tensor, "n c h w"]:
        """Normalise x, then scale and shift every pixel as the label map says."""
        return self.activated(x, segmap, 1.0)[0]

    def activated(
        self, x: Float[Tensor, "n c h w"], segmap: Float[Tensor, "n l H W"], slope: float
    ) -> tuple[Float[Tensor, "n c h w"], Callable[[], Tensor] | None]:
        """SPADE and a leaky ReLU of `slope` (1: none) in one; and what computes the result again from x, if it can."""
        size = tuple(x.shape[-2:])
        kernel, _ = self.mlp_gamma.kernel_size
        level = self.patterns.level(segmap, size, kernel, self.mlp_gamma.in_channels, together=self.training)
        if level is None:
            y = super().forward(x, self.patterns.resized(segmap, size))
            return (y if slope == 1 else F.leaky_relu(y, slope, inplace=True)), None
        x = x.contiguous(memory_format=torch.channels_last)
        x, mean, rstd, count = _statistics(self.param_free_norm, x)
        gamma, beta = self.tables(level)
        result = []
        y = _Modulate.apply(x, gamma, beta, mean, rstd, level, count, slope, result)
        x, gamma, beta = x.detach(), gamma.detach(), beta.detach()

        def again() -> Tensor:
            y = _modulated(x, gamma, beta, mean, rstd, level, slope)
            result[:] = [y] if slope != 1 else []
            return y

        return y, again

    def tables(self, level: Level) -> tuple[Float[Tensor, "windows c"], Float[Tensor, "windows c"]]:
        """gamma and beta of each distinct window."""
        hidden = F.relu(level.hidden(level.vectors, self.mlp_shared[0]))
        return level.output(hidden, self.mlp_gamma), level.output(hidden, self.mlp_beta)


def with_patterns(network: nn.Module, *, always: bool = False) -> nn.Module:
    """Replace every plain SPADE layer in `network` by a PatternSPADE with the same parameters; gives it back."""
    patterns = LabelPatterns(always=always)
    replace_modules(network, SPADE, lambda layer: PatternSPADE(layer, patterns))
    return network
