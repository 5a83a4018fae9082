"""SPADE on the distinct neighbourhoods of a label map: the same function and gradients, for less arithmetic and memory.

gamma and beta at a pixel depend only on the labels around it: with two 3x3 convolutions, on a 5x5 window. Label maps
are large patches of one class, so most windows occur again and again. `PatternSPADE` finds the distinct ones, the
map's patterns, runs SPADE's two convolutions on those alone, and looks every pixel's gamma and beta up in the
resulting table:

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


class WindowPlan:
    """What SPADE computes for a batch of label maps at one resolution: once for each distinct window, not each pixel.

    vectors: (ids, l), the label vectors that occur. hidden, output: SPADE's two convolutions, on their distinct
    windows. index: the output window of each pixel, (n h w). pixels: the reverse, the pixels of each output window.
    """

    def __init__(self, vectors: Float[Tensor, "ids l"], hidden: Windows, output: Windows):
        self.vectors, self.index = vectors, output.pixels.index
        self.hidden, self.output = WindowConv(hidden), WindowConv(output)
        self.pixels = Groups(output.pixels.order, output.pixels.starts, run=RUN)


def make_plan(
    ids: Int64[Tensor, "n h w"],
    vectors: Float[Tensor, "ids l"],
    kernel_size: int,
    hidden_channels: int,
    *,
    always: bool = False,
) -> WindowPlan | None:
    """The plan for a map of ids, or None where so many windows are distinct that convolutions are faster."""
    hidden = distinct_windows(ids, len(vectors), kernel_size)
    if hidden.share > MAX_COST and not always:
        return None
    output = distinct_windows(hidden.pixels.index.view(ids.shape), len(hidden.ids), kernel_size)
    if hidden.share + output.share * LOOKUP_CHANNELS / hidden_channels > MAX_COST and not always:
        return None
    return WindowPlan(vectors, hidden, output)


def label_ids(segmap: Float[Tensor, "n l h w"]) -> tuple[Int64[Tensor, "n h w"], Float[Tensor, "ids l"]]:
    """Number the label vectors that occur in `segmap`: a map of ids, and the vector that each stands for.

    A hash again, in float64, exact for zeros and ones. A soft label map has about as many vectors as pixels; then
    convolutions are faster. Two different soft vectors may be crafted to get one number: their pixels get one gamma
    and beta, so the picture is wrong there, and nothing else.
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

    _segmap: Tensor | None  # the batch that all below is about
    _version: int
    _ids: tuple[Tensor, Tensor] | None  # label_ids of it
    _plans: dict[tuple[tuple[int, int], int, int], WindowPlan | None]
    _resized: dict[tuple[int, int], Tensor]

    def __init__(self, *, always: bool = False):
        self.always = always
        self._forget(None)

    def plan(
        self,
        segmap: Float[Tensor, "n l H W"],
        size: tuple[int, int],
        kernel_size: int,
        hidden_channels: int,
        *,
        all_alike: bool = False,
    ) -> WindowPlan | None:
        """The plan at a resolution, or None where SPADE is to convolve.

        all_alike: with several processes all convolve if one must, since both ways exchange different messages.
        """
        self._see(segmap)
        key = (size, kernel_size, hidden_channels)
        if key not in self._plans:
            plan = self._make_plan(segmap, *key)
            if all_alike and not all_agree(plan is not None, segmap.device):
                plan = None
            self._plans[key] = plan
        return self._plans[key]

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
    def _make_plan(
        self, segmap: Tensor, size: tuple[int, int], kernel_size: int, hidden_channels: int
    ) -> WindowPlan | None:
        too_small = size[0] * size[1] < MIN_SIZE and not self.always
        if too_small or segmap.requires_grad or segmap.device.type == "meta":
            return None
        if self._ids is None:
            self._ids = label_ids(segmap)
        ids, vectors = self._ids
        resized = F.interpolate(ids[:, None].double(), size=size, mode="nearest")[:, 0].long()
        return make_plan(resized, vectors, kernel_size, hidden_channels, always=self.always)

    def _see(self, segmap: Tensor) -> None:
        version = 0 if segmap.is_inference() else segmap._version
        if segmap is not self._segmap or version != self._version:
            self._forget(segmap, version)

    def _forget(self, segmap: Tensor | None, version: int = 0) -> None:
        self._segmap, self._version = segmap, version
        self._ids, self._plans, self._resized = None, {}, {}

    def __deepcopy__(self, memo: dict) -> "LabelPatterns":
        return LabelPatterns(always=self.always)


class _Modulate(torch.autograd.Function):
    """y = a((1 + gamma) (x - mean) rstd + beta), with gamma and beta looked up: no map of them is ever kept.

    gamma, beta: (p, c), a row for each window. a: leaky ReLU of this slope; 1 for none. mean, rstd: (c), with
    rstd = 1 / sqrt(variance + eps). count: how many values the mean is of, in all processes together; 0 where mean and
    rstd are constants (evaluation, or a norm that is not batch norm).
    recomputed: an empty list. The backward pass needs y for its sign only, so y isn't kept: whoever has computed it
    again by then (see PatternSPADE.activated) leaves it in this list, else it is computed again there.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, rstd: Tensor,
        plan: WindowPlan, count: int, slope: float, recomputed: list[Tensor],
    ) -> Tensor:  # fmt: skip
        ctx.save_for_backward(x, gamma, beta, mean, rstd)
        ctx.plan, ctx.count, ctx.slope, ctx.recomputed = plan, count, slope, recomputed
        return _modulated(x, gamma, beta, mean, rstd, plan, slope)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        # Write x' = (x - mean) rstd and u = (1 + gamma) x' + beta, so y = a(u). A pixel's gamma and beta are those of
        # its window. By the chain rule, with du the gradient of u:
        #
        #     du     = dy, times the slope where y < 0         (y has the sign of u)
        #     dbeta  = sum of du                               over the pixels of each window
        #     dgamma = sum of du x' = rstd sum of du (x - mean)   over the same pixels
        #     dx'    = (1 + gamma) du
        x, gamma, beta, mean, rstd = ctx.saved_tensors
        index, pixels = ctx.plan.index, ctx.plan.pixels
        dy = dy.contiguous(memory_format=torch.channels_last)
        if ctx.slope != 1:
            if not ctx.recomputed:
                ctx.recomputed.append(_modulated(x, gamma, beta, mean, rstd, ctx.plan, ctx.slope))
            dy = torch.ops.aten.leaky_relu_backward(dy, ctx.recomputed.pop(), ctx.slope, True)  # du
        scale = (1 + gamma.to(mean.dtype)) * rstd
        dx = torch.empty_like(x, memory_format=torch.channels_last)
        for _, x_part, dy_part, dx_part in _pieces(index, x, dy, dx):
            torch.sub(x_part, mean, out=dx_part).mul_(dy_part)  # du (x - mean), in dx's memory
        dgamma, dbeta = pixels.sum(_rows(dx)) * rstd, pixels.sum(_rows(dy))
        # With constant mean and rstd, dx = rstd dx'. Where they are statistics of x, they move with it, which takes two
        # means over all N = count values away (batch norm's own gradient, notebook 01):
        #
        #     dx = rstd (dx' - sum(dx') / N - x' sum(dx' x') / N)
        #
        # All pixels of a window share one gamma, which therefore comes out of their sum: no further pass over the map.
        #
        #     sum over pixels of dx'    = sum over windows of (1 + gamma) dbeta
        #     sum over pixels of dx' x' = sum over windows of (1 + gamma) dgamma
        #
        # Sorted by what is multiplied by x, with scale = rstd (1 + gamma):  dx = offset + factor x + scale du.
        factor, offset = torch.zeros_like(mean), torch.zeros_like(mean)
        if ctx.count:
            sums = torch.stack([(scale * dbeta).sum(0), (scale * dgamma).sum(0)])  # rstd times both
            if ctx.count > len(index):  # the mean is of more pixels than are here: other processes hold the rest
                dist.all_reduce(sums)
            offset, factor = -sums / ctx.count
            factor = factor * rstd
            offset = offset - factor * mean
        for window, x_part, dy_part, dx_part in _pieces(index, x, dy, dx):
            torch.addcmul(offset, x_part, factor, out=dx_part).addcmul_(scale.index_select(0, window), dy_part)
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
    x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, rstd: Tensor, plan: WindowPlan, slope: float
) -> Tensor:
    y = torch.empty_like(x, memory_format=torch.channels_last)
    table = _scale_and_shift(gamma, beta, mean, rstd)
    for window, x_part, y_part in _pieces(plan.index, x, y):
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
    running_mean, running_var = norm.running_mean, norm.running_var
    # torch's batch norm can do without running averages; no norm of make_norm does
    assert running_mean is not None and running_var is not None and norm.momentum is not None
    if not norm.training:
        return x, running_mean, (running_var + norm.eps).rsqrt(), 0
    with torch.no_grad():
        if isinstance(norm, SyncBatchNorm) and several_processes():
            mean, variance, count = norm.statistics(x)
        else:
            mean, variance, count = *_mean_and_variance(x), x.numel() // channels
        unbiased = variance * count / (count - 1)
        set_averages(norm, running_mean.lerp(mean, norm.momentum), running_var.lerp(unbiased, norm.momentum))
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
        """SPADE and a leaky ReLU of `slope` (1: none) in one, y; and a function that computes y again from x.

        The second is None where SPADE convolved: nothing is cheap to compute again then.
        """
        size = (x.shape[-2], x.shape[-1])
        kernel, _ = self.mlp_gamma.kernel_size
        plan = self.patterns.plan(segmap, size, kernel, self.mlp_gamma.in_channels, all_alike=self.training)
        if plan is None:
            y = super().forward(x, self.patterns.resized(segmap, size))
            if slope != 1:
                F.leaky_relu(y, slope, inplace=True)
            return y, None
        x = x.contiguous(memory_format=torch.channels_last)
        x, mean, rstd, count = _statistics(self.param_free_norm, x)
        gamma, beta = self.tables(plan)
        recomputed: list[Tensor] = []
        y = _Modulate.apply(x, gamma, beta, mean, rstd, plan, count, slope, recomputed)
        x, gamma, beta = x.detach(), gamma.detach(), beta.detach()

        def recompute() -> Tensor:
            y = _modulated(x, gamma, beta, mean, rstd, plan, slope)
            if slope != 1:
                recomputed[:] = [y]  # for _Modulate.backward, which runs next
            return y

        return y, recompute

    def tables(self, plan: WindowPlan) -> tuple[Float[Tensor, "windows c"], Float[Tensor, "windows c"]]:
        """gamma and beta of each distinct window."""
        first: Any = self.mlp_shared[0]  # a convolution
        hidden = F.relu(plan.hidden(plan.vectors, first))
        return plan.output(hidden, self.mlp_gamma), plan.output(hidden, self.mlp_beta)


def with_patterns(network: nn.Module, *, always: bool = False) -> nn.Module:
    """Replace every plain SPADE layer in `network` by a PatternSPADE with the same parameters; gives it back."""
    patterns = LabelPatterns(always=always)
    replace_modules(network, SPADE, lambda layer: PatternSPADE(layer, patterns))
    return network
