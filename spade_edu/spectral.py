"""Spectral norm: a convolution whose weight is divided by its largest singular value (Miyato et al. 2018).

It acts on weights and bounds how much a layer can stretch its input. Batch norm acts on activations: the two share
nothing but the word.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


def full_precision(device: torch.device) -> AbstractContextManager:
    """Switch mixed precision off (the meta device, which computes nothing, has none)."""
    if device.type == "meta":
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def compute_dtype(weight: Tensor) -> torch.dtype:
    """The type that a convolution with this weight computes in: mixed precision's where it is on."""
    device = weight.device.type
    if device != "meta" and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return weight.dtype


class SpectralNorm(nn.Module):
    """Mixin for a convolution: its `weight` is used as weight / sigma, sigma being its largest singular value.

    sigma = u^T W v, with W the weight as a matrix (a row per output channel). Each forward pass in training first takes
    one step of power iteration, v = normalise(W^T u), then u = normalise(W v); in evaluation the stored pair is used.
    The order matters in training: it is the official code's (torch's newer parametrisation updates u first).
    """

    weight: Tensor  # of the convolution
    u: Tensor
    v: Tensor

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        rows, columns = self.matrix().shape
        self.register_buffer("u", F.normalize(torch.randn(rows), dim=0, eps=1e-12))
        self.register_buffer("v", F.normalize(torch.randn(columns), dim=0, eps=1e-12))

    def matrix(self) -> Float[Tensor, "rows columns"]:
        """The weight as a matrix; a transposed convolution keeps its output channels in axis 1."""
        weight = self.weight.transpose(0, 1) if isinstance(self, nn.ConvTranspose2d) else self.weight
        return weight.flatten(1)

    @torch.no_grad()
    def power_iteration(self) -> None:
        """Move u and v one step towards the first pair of singular vectors."""
        matrix = self.matrix()
        self.v.copy_(F.normalize(torch.mv(matrix.t(), self.u), dim=0, eps=1e-12))
        self.u.copy_(F.normalize(torch.mv(matrix, self.v), dim=0, eps=1e-12))

    def normalised_weight(self) -> Tensor:
        """weight / sigma in full precision; the gradient flows through both (u and v count as constants)."""
        with full_precision(self.weight.device):
            if self.training:
                self.power_iteration()
            # Copies: the next forward pass changes u and v before this one's backward pass has run.
            sigma = torch.dot(self.u.clone(), torch.mv(self.matrix(), self.v.clone()))
            return self.weight / sigma


class SpectralConv2d(SpectralNorm, nn.Conv2d):
    """nn.Conv2d under spectral norm."""

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """Convolve with the normalised weight."""
        return self._conv_forward(x, self.normalised_weight(), self.bias)


class SpectralConvTranspose2d(SpectralNorm, nn.ConvTranspose2d):
    """nn.ConvTranspose2d under spectral norm."""

    def forward(  # type: ignore[override]  # torch's also takes an output_size, which no network here asks for
        self, x: Float[Tensor, "n c h w"]
    ) -> Float[Tensor, "n c2 h2 w2"]:
        """Convolve (transposed) with the normalised weight."""
        weight = self.normalised_weight()
        assert isinstance(self.padding, tuple)  # names like "same" are for plain convolutions
        return F.conv_transpose2d(
            x, weight, self.bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation
        )
