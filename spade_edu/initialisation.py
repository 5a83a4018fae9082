"""How the published networks start."""

from typing import TypeVar

from torch import nn

from .normalization import BatchNorm2d

Network = TypeVar("Network", bound=nn.Module)


def init_spade(module: Network, gain: float = 0.02) -> Network:
    """Glorot normal with gain 0.02 on every convolution and linear layer, biases 0 (official code).

    Scales of affine batch norms (pix2pixHD++ has some) are drawn from N(1, 0.02^2).
    std = gain sqrt(2 / (fan_in + fan_out)). The paper says Glorot without naming a gain. Under spectral norm the scale
    cancels; in SPADE's own convolutions it doesn't: gamma and beta start near 0, so SPADE starts as a plain norm.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
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
