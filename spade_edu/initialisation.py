"""How the published networks start."""

from typing import TypeVar

from torch import nn

from .normalization import BatchNorm2d
from .spectral import SpectralNorm

Network = TypeVar("Network", bound=nn.Module)


def init_spade(module: Network, gain: float = 0.02, *, under_spectral_norm: bool = True) -> Network:
    """Glorot normal with a gain on every convolution and linear layer, biases 0.

    Scales of affine batch norms (pix2pixHD++ has some) are drawn from N(1, 0.02^2).
    std = gain sqrt(2 / (fan_in + fan_out)). The paper says Glorot without naming a gain, the official code has 0.02. In
    SPADE's own convolutions it makes gamma and beta start near 0, so SPADE starts as a plain norm. Under spectral norm
    the scale cancels in the forward pass, but not in training: Adam's steps have a size of their own, so weights that
    are 29 times smaller (1024 to 1024 channels) turn 29 times faster.

    under_spectral_norm: False leaves weights (not biases) under spectral norm at torch's default, as the official code
    does on a GPU: it moves the network there first, and what it then initialises is the weight that torch's hook left
    behind on the CPU.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            if under_spectral_norm or not isinstance(layer, SpectralNorm):
                nn.init.xavier_normal_(layer.weight, gain=gain)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d | BatchNorm2d) and layer.weight is not None and layer.bias is not None:
            nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)
    return module


def init_pix2pixhd(module: Network, std: float = 0.02) -> Network:
    """Normal(0, 0.02) on every convolution's weight (pix2pixHD's code); biases keep torch's default."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, std)
    return module
