"""The style encoder: an image becomes the mean and variance of its style code z (paper, figures 14 and 15)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import conv
from .errors import UserError


class StyleEncoder(nn.Module):
    """E(image) -> (mu, logvar), both (n, z_dim); image (n, 3, h, w) in [-1, 1], resized to image_size squared.

    3x3 convolutions of stride 2 (spectral norm, instance norm, LeakyReLU 0.2) down to a 4x4 map, then two linear
    layers. At 256 these are the published six, of widths 1, 2, 4, 8, 8, 8 times nef; a smaller image_size (a power of
    two from 16) drops the last ones. (The official code builds only five below 256 and then fails.) The base width of
    the official encoder is its option ngf = 64; its option nef is never read.
    """

    def __init__(self, *, nef: int = 64, z_dim: int = 256, image_size: int = 256, spectral: bool = True):
        super().__init__()
        depth = int(math.log2(image_size / 4))
        if image_size != 4 * 2**depth or not 2 <= depth <= 6:
            raise UserError(f"The encoder's image_size is 16, 32, 64, 128 or 256, not {image_size}.")
        self.image_size, self.z_dim = image_size, z_dim
        widths = [3] + [min(2**i, 8) * nef for i in range(depth)]
        self.layers = nn.ModuleList(
            nn.Sequential(
                conv(fin, fout, 3, stride=2, padding=1, bias=False, spectral=spectral), nn.InstanceNorm2d(fout)
            )
            for fin, fout in zip(widths, widths[1:])
        )
        self.fc_mu = nn.Linear(widths[-1] * 16, z_dim)
        self.fc_var = nn.Linear(widths[-1] * 16, z_dim)

    def forward(self, image: Float[Tensor, "n 3 h w"]) -> tuple[Float[Tensor, "n z_dim"], Float[Tensor, "n z_dim"]]:
        """Mean and log-variance of q(z | image)."""
        x = F.interpolate(image, size=(self.image_size, self.image_size), mode="bilinear", align_corners=False)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        x = x.flatten(1)
        return self.fc_mu(x), self.fc_var(x)


def reparameterise(mu: Float[Tensor, "n d"], logvar: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """z = mu + exp(logvar / 2) eps, eps ~ N(0, 1): a draw from q(z | image) that gradients can pass through."""
    std = torch.exp(0.5 * logvar)
    return mu + torch.randn_like(std) * std
