"""Spectral norm in fewer passes: the weight is read as seldom as possible and no copy of it is kept."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ..spectral import SpectralConv2d, compute_dtype, full_precision

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
            if bias is not None:
                bias = bias.to(x.dtype)
            return F.conv2d(x, (weight * (1 / sigma)).to(x.dtype), bias, *settings)
        y = F.conv2d(x, weight.to(x.dtype), None, *settings)
        few = y[:, 0].numel() <= FEW_PIXELS and groups == 1 and ctx.needs_input_grad[1]
        ctx.save_for_backward(x, weight, sigma, u, v, y if few else None)
        shift = 0 if bias is None else bias[:, None, None]
        return (y.to(weight.dtype) * (1 / sigma) + shift).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        # u and v count as constants, so sigma = u^T W v has the derivative u v^T, a matrix of rank one. With D the
        # gradient that a plain convolution with W would get from dy / sigma:
        #
        #     dx    = transposed convolution of dy / sigma with W
        #     dW    = D - sum(D W) / sigma u v^T     the quotient rule: W in the numerator, sigma in the denominator
        #     dbias = sum of dy over batch and pixels
        #
        # The convolution is linear in W, so sum(D W) = sum(dy / sigma (W * x)): with W * x kept, D isn't needed for it.
        x, weight, sigma, u, v, y = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.settings
        dbias = dy.sum((0, 2, 3), dtype=weight.dtype) if ctx.needs_input_grad[2] else None
        if ctx.divide_weight:
            used = (weight * (1 / sigma)).to(x.dtype)
        else:
            used, dy = weight.to(x.dtype), dy * (1 / sigma)
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
        # The quotient rule again: dW = dy / sigma - sum(dy W) / sigma^2 dsigma / dW, where sigma = u^T W v has the
        # derivative u v^T. With D = dy / sigma that is D - sum(D W) / sigma u v^T.
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
