"""The other exact savings of `TrainingConfig.fast`: spectral norm in fewer passes, the label map's part of D shared.

CheckpointedBlock is what `TrainingConfig.checkpointing` uses: less memory for more time.

Each gives the same numbers as the plain code, up to rounding; docs/performance.md says what each is worth.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from . import losses
from .blocks import SPADEResnetBlock, replace_modules
from .discriminators import MultiScaleDiscriminator
from .normalization import BatchNorm2d
from .patterns import PatternSPADE, with_patterns
from .spectral import SpectralConv2d, compute_dtype, full_precision

FEW_PIXELS = 64  # of a batch: a weight's gradient is then best computed as one product of matrices


class FastSpectralConv2d(SpectralConv2d):
    """SpectralConv2d that keeps no copy of its weight and reads it as seldom as it can.

    In training sigma = u^T W v = |W v|, which the power iteration has already computed.
    """

    def __init__(self, layer: SpectralConv2d):
        nn.Module.__init__(self)
        self.__dict__.update(layer.__dict__)  # its parameters, buffers and settings

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """Convolve with weight / sigma."""
        if self.padding_mode != "zeros" or isinstance(self.padding, str):
            return super().forward(x)  # the plain way, with the fast weight
        x = x.to(compute_dtype(self.weight))
        settings = self.stride, self.padding, self.dilation, self.groups
        with full_precision(x.device):
            return _ConvOverSigma.apply(x, self.weight, self.bias, *self.sigma(), settings)

    def normalised_weight(self) -> Tensor:
        """weight / sigma, rounded to 16 bits under autocast."""
        dtype = compute_dtype(self.weight)
        with full_precision(self.weight.device):
            return _DivideBySigma.apply(self.weight, *self.sigma(), dtype)

    @torch.no_grad()
    def sigma(self) -> tuple[Float[Tensor, ""], Float[Tensor, " rows"], Float[Tensor, " columns"]]:
        """sigma, u and v; in training after one step of power iteration. v is in the order of the weight's memory."""
        matrix, v = _in_memory_order(self.weight), self.v.view(1, *self.weight.shape[1:])
        if self.training:
            step = F.normalize(torch.mv(matrix.t(), self.u), dim=0, eps=1e-12)
            v.copy_(_from_memory_order(step[None], self.weight))
        v = _in_memory_order(v, self.weight)[0].clone()
        stretched = torch.mv(matrix, v)
        if self.training:
            self.u.copy_(F.normalize(stretched, dim=0, eps=1e-12))
        return torch.dot(self.u, stretched), self.u.clone(), v


class _ConvOverSigma(torch.autograd.Function):
    """y = (W * x) / sigma + bias, with sigma = u^T W v. sigma divides the weight or the result: whichever is smaller.

    Where W * x has few pixels it is kept: the gradient of sigma needs sum(dW W), which is the same as sum(dy (W * x)).
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, sigma: Tensor, u: Tensor, v: Tensor, settings: tuple
    ) -> Tensor:
        ctx.settings = stride, *_, groups = settings
        larger = weight[0].numel() >= x.numel() // x.shape[1] // stride[0] ** 2
        ctx.divide_weight = not larger or x.dtype == torch.float16  # where W * x may be too large a number
        if ctx.divide_weight:
            ctx.save_for_backward(x, weight, sigma, u, v, None)
            bias = None if bias is None else bias.to(x.dtype)
            return F.conv2d(x, (weight * (1 / sigma)).to(x.dtype), bias, *settings)
        y = F.conv2d(x, weight.to(x.dtype), None, *settings)
        few = y[:, 0].numel() <= FEW_PIXELS and groups == 1 and ctx.needs_input_grad[1]
        ctx.save_for_backward(x, weight, sigma, u, v, y if few else None)
        shift = 0 if bias is None else bias[:, None, None]
        return (y.to(weight.dtype) * (1 / sigma) + shift).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, sigma, u, v, y = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.settings
        dbias = dy.sum((0, 2, 3), dtype=weight.dtype) if ctx.needs_input_grad[2] else None
        used = (weight * (1 / sigma) if ctx.divide_weight else weight).to(x.dtype)
        dy = dy if ctx.divide_weight else dy * (1 / sigma)
        wanted = [ctx.needs_input_grad[0], ctx.needs_input_grad[1] and y is None, False]
        dx, dweight, _ = torch.ops.aten.convolution_backward(
            dy, x, used, None, stride, padding, dilation, False, [0, 0], groups, wanted
        )
        if y is not None:
            change = -(dy.to(weight.dtype) * y).sum() / sigma
            dweight = _from_few_pixels(dy, x, u * change, v, weight, ctx.settings)
        elif dweight is not None:
            if dweight.dtype != weight.dtype or dweight.stride() != weight.stride():
                dweight = torch.empty_like(weight).copy_(dweight)
            if ctx.divide_weight:
                dweight.mul_(1 / sigma)
            _subtract_change_of_sigma(dweight, weight, sigma, u, v)
        return dx, dweight, dbias, None, None, None, None


def _from_few_pixels(dy: Tensor, x: Tensor, u: Tensor, v: Tensor, weight: Tensor, settings: tuple) -> Tensor:
    """A convolution's weight gradient plus u v^T, as one product of matrices: the large result is written just once."""
    stride, padding, dilation, _ = settings
    windows = F.unfold(x.to(weight.dtype), weight.shape[2:], dilation, padding, stride).transpose(1, 2)
    windows = _in_memory_order(windows.reshape(-1, *weight.shape[1:]), weight)  # (pixels, columns)
    rows = torch.cat([dy.to(weight.dtype).transpose(0, 1).flatten(1), u[:, None]], dim=1)
    return _from_memory_order(rows @ torch.cat([windows, v[None]]), weight)


class _DivideBySigma(torch.autograd.Function):
    """y = W / sigma with sigma = u^T W v; dW = dy / sigma, less the change of sigma."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, sigma: Tensor, u: Tensor, v: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.save_for_backward(weight, sigma, u, v)
        return (weight * (1 / sigma)).to(dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        weight, sigma, u, v = ctx.saved_tensors
        result = torch.empty_like(weight).copy_(grad).mul_(1 / sigma)
        _subtract_change_of_sigma(result, weight, sigma, u, v)
        return result, None, None, None, None


def _subtract_change_of_sigma(grad: Tensor, weight: Tensor, sigma: Tensor, u: Tensor, v: Tensor) -> None:
    """grad -= sum(grad W) / sigma u v^T, in place: sigma grows with W along u v^T, and divides it."""
    matrix = _in_memory_order(grad)
    inner = torch.dot(matrix.view(-1), _in_memory_order(weight).view(-1))
    matrix.addr_(u * (-inner / sigma), v)


def _in_memory_order(x: Tensor, like: Tensor | None = None) -> Tensor:
    """(rows, columns) of a weight, as a view: columns in the order (c, k, k), or (k, k, c) in channels_last."""
    contiguous = (x if like is None else like).is_contiguous()
    return (x if contiguous else x.permute(0, 2, 3, 1)).flatten(1)


def _from_memory_order(matrix: Tensor, weight: Tensor) -> Tensor:
    """The reverse: (rows, columns) as (rows, c, k, k)."""
    _, c, k1, k2 = weight.shape
    if weight.is_contiguous():
        return matrix.view(-1, c, k1, k2)
    return matrix.view(-1, k1, k2, c).permute(0, 3, 1, 2)


class LeanBlock(SPADEResnetBlock):
    """A residual block whose convolutions keep no input for the backward pass: SPADE computes it again from its own."""

    def __init__(self, block: SPADEResnetBlock):
        nn.Module.__init__(self)
        self.__dict__.update(block.__dict__)

    def forward(self, x: Float[Tensor, "n fin h w"], segmap: Float[Tensor, "n l H W"]) -> Float[Tensor, "n fout h w"]:
        """Main path plus skip path, as in the plain block (which it is in evaluation: there is nothing to save)."""
        if not (self.training or torch.is_grad_enabled()):
            return super().forward(x, segmap)
        skip = _lean(self.norm_s, self.conv_s, x, segmap, 1.0) if self.learned_shortcut else x
        dx = _lean(self.norm_0, self.conv_0, x, segmap, 0.2)
        return skip + _lean(self.norm_1, self.conv_1, dx, segmap, 0.2)


def _lean(norm: PatternSPADE, conv: nn.Conv2d, x: Tensor, segmap: Tensor, slope: float) -> Tensor:
    """conv(leaky_relu(norm(x))), with what SPADE gives computed again in the backward pass where that is cheap."""
    y, again = norm.activated(x, segmap, slope)
    if again is None:
        return conv(y)
    place = y.data_ptr()

    def pack(tensor: Tensor) -> Tensor | Callable[[], Tensor]:
        return again if tensor.data_ptr() == place and tensor.shape == y_shape else tensor

    def unpack(kept: Tensor | Callable[[], Tensor]) -> Tensor:
        return kept if isinstance(kept, Tensor) else kept()

    y_shape = y.shape
    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        return conv(y)


def speed_up(network: nn.Module) -> nn.Module:
    """Put the fast form in place of every SPADE layer, SPADE block and spectrally normed convolution; gives it back.

    Parameters, buffers and weights files stay the same.
    """
    replace_modules(network, SpectralConv2d, FastSpectralConv2d)
    with_patterns(network)
    replace_modules(network, SPADEResnetBlock, LeanBlock)
    return network


class CheckpointedBlock(SPADEResnetBlock):
    """A residual block that keeps only its input for the backward pass and computes the rest again there."""

    def __init__(self, block: SPADEResnetBlock):
        nn.Module.__init__(self)
        self.__dict__.update(block.__dict__)

    def forward(self, x: Float[Tensor, "n fin h w"], segmap: Float[Tensor, "n l H W"]) -> Float[Tensor, "n fout h w"]:
        """The block's result; running statistics and power iteration advance once, however often it is computed."""
        if not torch.is_grad_enabled():
            return super().forward(x, segmap)
        before = [buffer.clone() for buffer in self.buffers()]
        forward = super().forward
        return checkpoint(
            lambda x: forward(x, segmap),
            x,
            use_reentrant=False,
            preserve_rng_state=False,
            context_fn=lambda: (nullcontext(), _as_of(self, before)),
        )


@contextmanager
def _as_of(module: nn.Module, earlier: list[Tensor]) -> Iterator[None]:
    """Run a part of the program with a module's buffers as they were, then put the present ones back."""
    present = [buffer.clone() for buffer in module.buffers()]
    _set_buffers(module, earlier)
    try:
        yield
    finally:
        _set_buffers(module, present)


@torch.no_grad()
def _set_buffers(module: nn.Module, values: list[Tensor]) -> None:
    for buffer, value in zip(module.buffers(), values):
        buffer.copy_(value)


def discriminate(
    discriminator: MultiScaleDiscriminator,
    segmap: Float[Tensor, "n l h w"],
    batches: Sequence[Float[Tensor, "_ 3 h w"]],
) -> list[losses.Scales]:
    """D(segmap, images) for each batch of images, n or a multiple of n of them, with one set of weights.

    The first convolution is a sum of one over the label map and one over the images: the former is done once, and no
    gradient of the label map is ever computed. A batch that needs no gradient (real images while D stands still) keeps
    nothing for the backward pass. Only for a D whose norms treat images singly: batch norm would see the batches apart.
    """
    if any(isinstance(m, nn.BatchNorm2d | BatchNorm2d) for m in discriminator.modules()):
        raise ValueError("Images can't be judged in separate batches by a discriminator with batch norm.")
    results = [[] for _ in batches]
    for scale in discriminator.scales:
        maps = _first_layer(scale.layers[0], segmap, batches)
        features = [[x] for x in maps]
        for layer in scale.layers[1:]:
            maps = _layer(layer, maps)
            features = [found + [x] for found, x in zip(features, maps)]
        results = [found + [x] for found, x in zip(results, features)]
        segmap, *batches = (
            F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False) for x in (segmap, *batches)
        )
    return results


def _first_layer(layer: nn.Sequential, segmap: Tensor, batches: Sequence[Tensor]) -> list[Tensor]:
    conv, activation = layer
    of_labels, of_image = conv.weight.split([segmap.shape[1], batches[0].shape[1]], dim=1)
    labels = F.conv2d(segmap, of_labels, None, conv.stride, conv.padding)
    repeated = [labels.repeat(len(x) // len(labels), 1, 1, 1) if len(x) > len(labels) else labels for x in batches]
    images = [F.conv2d(x, of_image, conv.bias, conv.stride, conv.padding) for x in batches]
    return [activation(image + label) for image, label in zip(images, repeated)]


def _layer(layer: nn.Sequential, batches: list[Tensor]) -> list[Tensor]:
    """A convolution with its norm and activation on each batch; spectral norm advances once."""
    conv, *rest = layer
    weight = conv.normalised_weight() if isinstance(conv, SpectralConv2d) else conv.weight
    rest = nn.Sequential(*rest)
    return [rest(F.conv2d(x, weight, conv.bias, conv.stride, conv.padding)) for x in batches]
