"""The generators that Table 3 of the SPADE paper compares with its own: the same networks, the label map fed otherwise.

None of them was ever released. What the paper says: "w/ Concat" concatenates the label map to the features at all
intermediate layers; "w/ SPADE" puts SPADE into pix2pixHD's encoder-decoder. Which layers is read off the parameter
counts (docs/paper-vs-code.md).
"""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ..blocks import ResnetBlock, conv
from ..labels import resize_segmap
from ..normalization import SPADE, make_norm
from .pix2pixhd import Pix2PixHDGenerator
from .spade import SPADEGenerator


def concat(x: Float[Tensor, "n c h w"], segmap: Float[Tensor, "n l H W"]) -> Float[Tensor, "n c_plus_l h w"]:
    """The label map, resized by nearest neighbour, as further channels of x."""
    return torch.cat([x, resize_segmap(segmap, x.shape[-2:])], dim=1)


class ConcatResnetBlock(nn.Module):
    """SPADE's residual block without SPADE: plain norms, and the label map beside the input of each convolution.

    x: (n, fin, h, w), segmap: (n, l, H, W) -> (n, fout, h, w).

    norm: with gamma and beta, a name of `make_norm`.
    spectral: spectral norm on the convolutions.
    """

    def __init__(self, fin: int, fout: int, label_channels: int, *, norm: str = "syncbatch", spectral: bool = True):
        super().__init__()
        fmiddle, extra = min(fin, fout), label_channels
        self.norm_0 = make_norm(norm, fin, affine=True)
        self.conv_0 = conv(fin + extra, fmiddle, 3, padding=1, spectral=spectral)
        self.norm_1 = make_norm(norm, fmiddle, affine=True)
        self.conv_1 = conv(fmiddle + extra, fout, 3, padding=1, spectral=spectral)
        self.learned_shortcut = fin != fout
        if self.learned_shortcut:
            self.norm_s = make_norm(norm, fin, affine=True)
            self.conv_s = conv(fin + extra, fout, 1, bias=False, spectral=spectral)

    def forward(self, x: Float[Tensor, "n fin h w"], segmap: Float[Tensor, "n l H W"]) -> Float[Tensor, "n fout h w"]:
        """Main path plus skip path, as in SPADE's block."""
        skip = self.conv_s(concat(self.norm_s(x), segmap)) if self.learned_shortcut else x
        dx = self.conv_0(concat(F.leaky_relu(self.norm_0(x), 0.2), segmap))
        dx = self.conv_1(concat(F.leaky_relu(self.norm_1(dx), 0.2), segmap))
        return skip + dx


class ConcatGenerator(SPADEGenerator):
    """Table 3's "decoder w/ Concat": SPADE's generator with concatenation in SPADE's place.

    Options as for SPADEGenerator; kernel_size and hidden_channels, which concern SPADE only, change nothing.
    """

    def make_block(self, fin: int, fout: int, **options: Any) -> nn.Module:
        """A block without SPADE (kernel_size and hidden_channels concern SPADE only)."""
        return ConcatResnetBlock(fin, fout, self.label_channels, norm=options["norm"], spectral=options["spectral"])


class LabelledResnetBlock(nn.Module):
    """pix2pixHD's residual block, told the label map: x (n, c, h, w), segmap (n, l, H, W) -> (n, c, h, w).

    conv_block: the layers of a plain block. norm, spectral, bias: as for Pix2PixHDGenerator.
    """

    def __init__(self, channels: int, *, norm: str, spectral: bool, bias: bool):
        super().__init__()
        self.conv_block = ResnetBlock(channels, norm=norm, spectral=spectral, bias=bias).conv_block

    def forward(self, x: Float[Tensor, "n c h w"], segmap: Float[Tensor, "n l H W"]) -> Float[Tensor, "n c h w"]:
        """Add the block's change to its input."""
        return x + with_labels(self.conv_block, x, segmap)


def with_labels(
    layers: Iterable[nn.Module], x: Float[Tensor, "n c h w"], segmap: Float[Tensor, "n l H W"]
) -> Float[Tensor, "n c2 h2 w2"]:
    """Each layer in turn; those that take the label map are given it."""
    for layer in layers:
        takes_labels = isinstance(layer, SPADE | LabelledResnetBlock)
        x = layer(x, segmap) if takes_labels else layer(x)
    return x


class SPADEPix2PixHDBlock(LabelledResnetBlock):
    """pix2pixHD's residual block with other norms: SPADE in place of both."""

    def __init__(self, channels: int, norms: tuple[SPADE, SPADE], *, norm: str, spectral: bool, bias: bool):
        super().__init__(channels, norm=norm, spectral=spectral, bias=bias)
        self.conv_block[2], self.conv_block[6] = norms


class ConcatPix2PixHDBlock(LabelledResnetBlock):
    """pix2pixHD's residual block with the label map concatenated to its input."""

    def __init__(self, channels: int, label_channels: int, *, norm: str, spectral: bool, bias: bool):
        super().__init__(channels, norm=norm, spectral=spectral, bias=bias)
        self.conv_block[1] = conv(channels + label_channels, channels, 3, spectral=spectral, bias=bias)

    def forward(self, x: Float[Tensor, "n c h w"], segmap: Float[Tensor, "n l H W"]) -> Float[Tensor, "n c h w"]:
        """Add the block's change to its input."""
        return x + self.conv_block(concat(x, segmap))


class LabelledPix2PixHDGenerator(Pix2PixHDGenerator):
    """pix2pixHD++ whose layers may ask for the label map again."""

    def forward(
        self, segmap: Float[Tensor, "n l h w"], z: Float[Tensor, "n z_dim"] | None = None
    ) -> Float[Tensor, "n 3 h w"]:
        """The label map is the input, and a hint on the way."""
        return with_labels(self.model, segmap, segmap)


class SPADEPix2PixHDGenerator(LabelledPix2PixHDGenerator):
    """Table 3's "pix2pixHD++ w/ SPADE": SPADE in place of every norm of the encoder-decoder.

    kernel_size, hidden_channels: of the convolutions inside SPADE.
    options: Pix2PixHDGenerator's; `norm` is the one inside SPADE, without parameters.
    """

    def __init__(self, label_channels: int, *, kernel_size: int = 3, hidden_channels: int = 128, **options: Any):
        self.spade_options: dict = dict(kernel_size=kernel_size, hidden_channels=hidden_channels)
        super().__init__(label_channels, **options)  # calls make_norm and make_block

    def make_norm(self, channels: int) -> SPADE:
        """SPADE instead of an affine norm."""
        return SPADE(channels, self.label_channels, norm=self.options["norm"], **self.spade_options)

    def make_block(self, channels: int) -> nn.Module:
        """A residual block with SPADE."""
        norms = self.make_norm(channels), self.make_norm(channels)
        return SPADEPix2PixHDBlock(channels, norms, **self.options)


class ConcatPix2PixHDGenerator(LabelledPix2PixHDGenerator):
    """Table 3's "pix2pixHD++ w/ Concat": the label map beside the input of each residual block.

    Options as for Pix2PixHDGenerator.
    """

    def make_block(self, channels: int) -> nn.Module:
        """A residual block with the label map beside its input."""
        return ConcatPix2PixHDBlock(channels, self.label_channels, **self.options)
