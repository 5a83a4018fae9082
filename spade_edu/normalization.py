"""Normalising activations: batch norm and instance norm from first principles, then SPADE.

All of them first do the same thing: subtract a mean, divide by a standard deviation. They differ in which pixels share
one mean, and in where the scale `gamma` and the shift `beta` come from afterwards:

    layer            mean and deviation over     gamma and beta
    batch norm       batch, height, width        learned, one number a channel
    instance norm    height, width               none (as pix2pixHD uses it)
    SPADE            batch, height, width        computed from the label map, one number a channel and pixel
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn
from torch.nn import functional as F

from .distributed import _sum_over_processes, several_processes
from .labels import resize_segmap


def batch_statistics(x: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
    """Mean and variance of each channel over batch and pixels (SPADE paper, equations 2 and 3), dividing by n h w.

    The variance takes two passes, E[(x - mean)^2]. The paper's E[x^2] - mean^2 is the same number in exact
    arithmetic but loses digits in float32 where the mean is large.
    """
    mean = x.mean(dim=(0, 2, 3))
    variance = (x - mean[None, :, None, None]).square().mean(dim=(0, 2, 3))
    return mean, variance


class BatchNorm2d(nn.Module):
    """y = gamma_c (x - mean_c) / sqrt(var_c + eps) + beta_c, over batch and pixels (Ioffe & Szegedy 2015).

    Shapes: (n, c, h, w) in and out. In training the statistics are the batch's, and running averages are updated with
    `momentum` (the running variance with the unbiased n - 1 form); in evaluation the running averages are used.
    Same parameters, buffers and results as torch.nn.BatchNorm2d; affine=False leaves gamma and beta out.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, num_features: int, *, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None  # gamma
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None  # beta
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Normalise and, if affine, scale and shift."""
        if self.training:
            mean, variance, count = self.statistics(x)
            self.update_running_averages(mean.detach(), variance.detach(), count)
        else:
            mean, variance = self.running_mean, self.running_var
        y = (x - mean[:, None, None]) / torch.sqrt(variance[:, None, None] + self.eps)
        if self.weight is None or self.bias is None:
            return y
        return y * self.weight[:, None, None] + self.bias[:, None, None]

    def statistics(self, x: Float[Tensor, "n c h w"]) -> tuple[Tensor, Tensor, int]:
        """Mean, variance, and the number of values that each was taken over."""
        mean, variance = batch_statistics(x)
        return mean, variance, x.numel() // x.shape[1]

    def update_running_averages(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """running = (1 - momentum) running + momentum new; the variance is first made unbiased."""
        if count < 2:
            raise ValueError("Batch norm in training needs more than one value a channel: use a larger batch or image.")
        unbiased = variance * count / (count - 1)
        set_averages(self, self.running_mean.lerp(mean, self.momentum), self.running_var.lerp(unbiased, self.momentum))


@torch.no_grad()
def set_averages(norm: Any, mean: Float[Tensor, " c"], variance: Float[Tensor, " c"]) -> None:
    """Give a batch norm, torch's or ours, its next running averages; a channel that overflowed keeps what it has.

    One such value would stay in the average for good. The choice is made on the device: a GPU's host needn't wait.
    """
    sound = torch.isfinite(variance)  # it isn't where the mean isn't
    norm.running_mean.copy_(torch.where(sound, mean, norm.running_mean))
    norm.running_var.copy_(torch.where(sound, variance, norm.running_var))
    norm.num_batches_tracked += 1


def _fused(norm: Any, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Batch norm by torch's kernel, which moves copies of the running averages."""
    if not norm.training:
        return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.0, norm.eps)
    mean, variance = norm.running_mean.clone(), norm.running_var.clone()
    y = F.batch_norm(x, mean, variance, norm.weight, norm.bias, True, norm.momentum, norm.eps)
    set_averages(norm, mean, variance)
    return y


class FusedBatchNorm(nn.BatchNorm2d):
    """torch's batch norm, but for running averages that no overflow gets into."""

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Normalise and, if affine, scale and shift."""
        return _fused(self, x)


class SyncBatchNorm(BatchNorm2d):
    """Batch norm whose batch is spread over several processes: every process uses the statistics of all pixels.

    With one process it is plain batch norm, and then runs torch's fused kernel (a test holds both equal). Works on
    CPU and GPU. The package that the official code used clamps the variance at eps instead of adding eps when it runs
    on several GPUs; here eps is always added.
    """

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Normalise with the statistics of all processes."""
        if several_processes() and self.training:
            return super().forward(x)
        return _fused(self, x)

    def statistics(self, x: Float[Tensor, "n c h w"]) -> tuple[Tensor, Tensor, int]:
        """Two passes again: the mean of all pixels everywhere, then the mean squared distance from it."""
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        count = int(_sum_over_processes(torch.tensor(float(x.numel() // x.shape[1]), device=x.device)))
        mean = _sum_over_processes(x.sum(dim=(0, 2, 3))) / count
        squares = (x - mean[:, None, None]).square().sum(dim=(0, 2, 3))
        return mean, _sum_over_processes(squares) / count, count


class InstanceNorm2d(nn.Module):
    """y = (x - mean_nc) / sqrt(var_nc + eps), over the pixels of one channel of one image (Ulyanov et al. 2016).

    Shapes: (n, c, h, w) in and out. No gamma, beta or running averages, as in pix2pixHD. Note what it does to a
    channel that is constant: it becomes zero, whatever the constant was.
    """

    def __init__(self, num_features: int, *, eps: float = 1e-5):
        super().__init__()
        self.num_features, self.eps = num_features, eps

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Normalise each channel of each image by itself."""
        mean = x.mean(dim=(2, 3), keepdim=True)
        variance = (x - mean).square().mean(dim=(2, 3), keepdim=True)
        return (x - mean) / torch.sqrt(variance + self.eps)


def make_norm(kind: str, num_features: int, *, affine: bool = False) -> nn.Module:
    """The norm called "batch", "syncbatch", "instance" or "none", in torch's fused form where there is one.

    Instance norm never carries gamma and beta here, nor running averages (as in the published networks).
    """
    if kind == "batch":
        return FusedBatchNorm(num_features, affine=affine)
    if kind == "syncbatch":
        return SyncBatchNorm(num_features, affine=affine)
    if kind == "instance":
        return nn.InstanceNorm2d(num_features)
    if kind == "none":
        return nn.Identity()
    raise ValueError(f"norm is 'batch', 'syncbatch', 'instance' or 'none', not {kind!r}.")


class SPADE(nn.Module):
    """Spatially-adaptive normalization: scale and shift come from the label map (paper, equation 1 and figure 10).

        y = (1 + gamma(segmap)) * norm(x) + beta(segmap)

    x: (n, c, h, w). segmap: (n, label_channels, H, W), resized to (h, w) by nearest neighbour. y: (n, c, h, w).
    gamma and beta are two convolutions on one shared hidden layer of `hidden_channels`. The norm has no parameters.
    The paper writes gamma where the code has 1 + gamma: the same functions, but with weights near zero at the start
    the layer begins as a plain norm. Spectral norm isn't applied in here (code), though the text says "all layers".
    """

    def __init__(
        self,
        num_features: int,
        label_channels: int,
        *,
        kernel_size: int = 3,
        hidden_channels: int = 128,
        norm: str = "syncbatch",
    ):
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"SPADE's kernel must be odd to keep the size, not {kernel_size}.")
        self.param_free_norm = make_norm(norm, num_features)
        padding = kernel_size // 2
        self.mlp_shared = nn.Sequential(
            nn.Conv2d(label_channels, hidden_channels, kernel_size, padding=padding), nn.ReLU()
        )
        self.mlp_gamma = nn.Conv2d(hidden_channels, num_features, kernel_size, padding=padding)
        self.mlp_beta = nn.Conv2d(hidden_channels, num_features, kernel_size, padding=padding)

    def modulation(
        self, segmap: Float[Tensor, "n l H W"], size: Sequence[int]
    ) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "n c h w"]]:
        """The maps gamma and beta for a label map, at `size` = (h, w)."""
        hidden = self.mlp_shared(resize_segmap(segmap, size))
        return self.mlp_gamma(hidden), self.mlp_beta(hidden)

    def forward(self, x: Float[Tensor, "n c h w"], segmap: Float[Tensor, "n l H W"]) -> Float[Tensor, "n c h w"]:
        """Normalise x, then scale and shift every pixel as the label map says."""
        gamma, beta = self.modulation(segmap, x.shape[-2:])
        return self.param_free_norm(x) * (1 + gamma) + beta


class ConditionalBatchNorm2d(nn.Module):
    """y = gamma_kc norm(x) + beta_kc: one scale and shift for every class k of image and channel c (Dumoulin 2017).

    x: (n, c, h, w), label: (n,) class ids. It is what SPADE becomes where the whole map has one label (`from_spade`).
    """

    def __init__(self, num_features: int, num_classes: int):
        super().__init__()
        self.norm = make_norm("syncbatch", num_features)
        self.gamma = nn.Parameter(torch.ones(num_classes, num_features))
        self.beta = nn.Parameter(torch.zeros(num_classes, num_features))

    def forward(self, x: Float[Tensor, "n c h w"], label: Integer[Tensor, " n"]) -> Float[Tensor, "n c h w"]:
        """Normalise, then look the class's scale and shift up."""
        return self.norm(x) * self.gamma[label][:, :, None, None] + self.beta[label][:, :, None, None]

    @classmethod
    @torch.no_grad()
    def from_spade(cls, spade: SPADE) -> "ConditionalBatchNorm2d":
        """The layer that does on uniform maps what `spade` does, away from the rim (where SPADE pads with zeros)."""
        first: Any = spade.mlp_shared[0]  # a convolution
        classes, kernel = first.in_channels, spade.mlp_gamma.kernel_size[0]
        side = 2 * kernel - 1  # what the middle pixel sees through two convolutions
        uniform = torch.eye(classes, device=spade.mlp_gamma.weight.device)[:, :, None, None].expand(
            classes, classes, side, side
        )
        gamma, beta = spade.modulation(uniform, (side, side))
        layer = cls(gamma.shape[1], classes).to(gamma.device)
        layer.gamma.copy_(1 + gamma[:, :, kernel - 1, kernel - 1])
        layer.beta.copy_(beta[:, :, kernel - 1, kernel - 1])
        return layer


def adain(
    x: Float[Tensor, "n c h w"], mean: Float[Tensor, "n c"], deviation: Float[Tensor, "n c"], *, eps: float = 1e-5
) -> Float[Tensor, "n c h w"]:
    """y = deviation_nc (x - mean_nc(x)) / deviation_nc(x) + mean_nc: the style's statistics (Huang & Belongie 2017).

    It is what SPADE becomes with one image a batch and, for a map, style features that are the same at every pixel.
    """
    return F.instance_norm(x, eps=eps) * deviation[:, :, None, None] + mean[:, :, None, None]
