"""The SPADE generator: a decoder that is told the label map at every layer (paper, figures 4 and 12)."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ..blocks import SPADEResnetBlock
from ..errors import UserError
from ..labels import resize_segmap
from .base import Generator

UPSAMPLINGS = {"normal": 5, "more": 6, "most": 7}


def latent_size(image_size: tuple[int, int], num_upsampling_layers: str = "normal") -> tuple[int, int]:
    """(height, width) of the generator's first feature map: the image's, halved once for each upsampling.

    Errors: a UserError where the size does not divide. (The official code rounds, and for some sizes builds a first
    map of height zero without a word.)
    """
    if num_upsampling_layers not in UPSAMPLINGS:
        raise UserError(f"num_upsampling_layers is 'normal', 'more' or 'most', not {num_upsampling_layers!r}.")
    times = UPSAMPLINGS[num_upsampling_layers]
    factor = 2**times
    height, width = image_size
    if height % factor or width % factor or min(height, width) < factor:
        raise UserError(
            f"The plan {num_upsampling_layers!r} doubles the size {times} times, so height and "
            f"width must be multiples of {factor}; got {height}x{width}. Choose such a size or another plan."
        )
    return height // factor, width // factor


class SPADEGenerator(Generator):
    """G(segmap, z) -> image in [-1, 1].

    segmap: (n, label_channels, H, W); image: (n, 3, H, W) for the H, W that `latent` leads to. Seven blocks of widths
    16, 16, 16, 8, 4, 2, 1 times ngf, with nearest-neighbour doubling between them.

    latent: (height, width) of the first feature map, see `latent_size`.
    num_upsampling_layers: "normal" doubles the size 5 times; "more" once more, before G_middle_1; "most" also ends with
        one more block, up_4, of half the width.
    ngf: base width; the published 64.
    z_dim: the first map is a linear layer of z (n, z_dim), drawn from N(0, 1) where z is None. z_dim None: it is the
        label map itself, downsampled, behind a 3x3 convolution (the released models): no noise enters.
    kernel_size, hidden_channels: of the convolutions inside SPADE; 3 and 128 as published.
    norm: inside SPADE, without parameters, a name of `make_norm`; "syncbatch" as published.
    spectral: spectral norm on the blocks' convolutions, but not inside SPADE (as in the code).
    """

    def __init__(
        self,
        label_channels: int,
        *,
        latent: tuple[int, int] = (8, 8),
        num_upsampling_layers: str = "normal",
        ngf: int = 64,
        z_dim: int | None = None,
        kernel_size: int = 3,
        hidden_channels: int = 128,
        norm: str = "syncbatch",
        spectral: bool = True,
    ):
        super().__init__(label_channels, z_dim)
        self.latent, self.plan, self.ngf = latent, num_upsampling_layers, ngf
        sh, sw = latent
        if z_dim is None:
            self.fc: nn.Conv2d | nn.Linear = nn.Conv2d(label_channels, 16 * ngf, 3, padding=1)
        else:
            self.fc = nn.Linear(z_dim, 16 * ngf * sh * sw)

        def block(fin: int, fout: int) -> nn.Module:
            return self.make_block(
                fin, fout, kernel_size=kernel_size, hidden_channels=hidden_channels, norm=norm, spectral=spectral
            )

        self.head_0 = block(16 * ngf, 16 * ngf)
        self.G_middle_0, self.G_middle_1 = block(16 * ngf, 16 * ngf), block(16 * ngf, 16 * ngf)
        self.up_0, self.up_1 = block(16 * ngf, 8 * ngf), block(8 * ngf, 4 * ngf)
        self.up_2, self.up_3 = block(4 * ngf, 2 * ngf), block(2 * ngf, ngf)
        last = ngf
        if num_upsampling_layers == "most":
            last = ngf // 2
            self.up_4 = block(ngf, last)
        self.conv_img = nn.Conv2d(last, 3, 3, padding=1)

    def make_block(self, fin: int, fout: int, **options: Any) -> nn.Module:
        """One residual block, called as block(x, segmap)."""
        return SPADEResnetBlock(fin, fout, self.label_channels, **options)

    def forward(
        self, segmap: Float[Tensor, "n l H W"], z: Float[Tensor, "n z_dim"] | None = None
    ) -> Float[Tensor, "n 3 H2 W2"]:
        """Paint the label map, from the coarsest scale to the finest."""
        x = self.first_map(segmap, z)
        x = self.head_0(x, segmap)
        x = self.G_middle_0(_double(x), segmap)
        if self.plan in ("more", "most"):
            x = _double(x)
        x = self.G_middle_1(x, segmap)
        for block in self.up_blocks():
            x = block(_double(x), segmap)
        return torch.tanh(self.conv_img(F.leaky_relu(x, 0.2)))

    def first_map(self, segmap: Float[Tensor, "n l H W"], z: Float[Tensor, "n z_dim"] | None) -> Tensor:
        """The map that everything grows from, (n, 16 ngf, *latent): of z, or of the downsampled label map."""
        if self.z_dim is None:
            return self.fc(resize_segmap(segmap, self.latent))
        if z is None:
            z = torch.randn(segmap.shape[0], self.z_dim, device=segmap.device, dtype=self.fc.weight.dtype)
        return self.fc(z).view(-1, 16 * self.ngf, *self.latent)

    def up_blocks(self) -> list[nn.Module]:
        """The blocks that each double the size and narrow the width."""
        blocks = [self.up_0, self.up_1, self.up_2, self.up_3]
        if self.plan == "most":
            blocks.append(self.up_4)
        return blocks


def _double(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    return F.interpolate(x, scale_factor=2, mode="nearest")
