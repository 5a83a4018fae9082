"""Residual blocks: pix2pixHD's, and SPADE's."""

from collections.abc import Callable
from typing import Any, TypeVar

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from .normalization import SPADE, make_norm
from .spectral import SpectralConv2d, SpectralConvTranspose2d

Layer = TypeVar("Layer", bound=nn.Module)


def conv(*args: Any, spectral: bool = False, transposed: bool = False, **kwargs: Any) -> nn.Module:
    """A convolution, transposed or not, with or without spectral norm."""
    if transposed:
        return SpectralConvTranspose2d(*args, **kwargs) if spectral else nn.ConvTranspose2d(*args, **kwargs)
    return SpectralConv2d(*args, **kwargs) if spectral else nn.Conv2d(*args, **kwargs)


class ResnetBlock(nn.Module):
    """pix2pixHD's residual block: y = x + norm(conv(relu(norm(conv(x))))); no activation after the sum.

    x, y: (n, c, h, w). Both convolutions are 3x3 behind reflection padding: zeros at the rim would tell a uniform
    map's border from its middle.
    """

    def __init__(self, channels: int, *, norm: str = "instance", spectral: bool = False, bias: bool = True):
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            conv(channels, channels, 3, spectral=spectral, bias=bias),
            make_norm(norm, channels, affine=True),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            conv(channels, channels, 3, spectral=spectral, bias=bias),
            make_norm(norm, channels, affine=True),
        )

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Add the block's change to its input."""
        return x + self.conv_block(x)


class SPADEResnetBlock(nn.Module):
    """SPADE's residual block (paper, figure 11): two times SPADE, LeakyReLU, 3x3 convolution, beside a skip path.

        y = conv_1(a(norm_1(conv_0(a(norm_0(x)))))) + skip(x),   a = LeakyReLU 0.2
        skip(x) = x if fin = fout, else conv_s(norm_s(x))

    x: (n, fin, h, w), segmap: (n, l, H, W), y: (n, fout, h, w); the inner width is min(fin, fout). As in the code:
    LeakyReLU where the figure draws ReLU, and a learned skip without activation, 1x1, without bias, where the figure
    draws SPADE, ReLU, 3x3. Spectral norm sits on conv_0, conv_1 and conv_s, not inside SPADE.
    """

    def __init__(
        self,
        fin: int,
        fout: int,
        label_channels: int,
        *,
        kernel_size: int = 3,
        hidden_channels: int = 128,
        norm: str = "syncbatch",
        spectral: bool = True,
    ):
        super().__init__()
        fmiddle = min(fin, fout)

        def spade(channels: int) -> SPADE:
            return SPADE(channels, label_channels, kernel_size=kernel_size, hidden_channels=hidden_channels, norm=norm)

        self.norm_0, self.conv_0 = spade(fin), conv(fin, fmiddle, 3, padding=1, spectral=spectral)
        self.norm_1, self.conv_1 = spade(fmiddle), conv(fmiddle, fout, 3, padding=1, spectral=spectral)
        self.learned_shortcut = fin != fout
        if self.learned_shortcut:
            self.norm_s, self.conv_s = spade(fin), conv(fin, fout, 1, bias=False, spectral=spectral)

    def forward(self, x: Float[Tensor, "n fin h w"], segmap: Float[Tensor, "n l H W"]) -> Float[Tensor, "n fout h w"]:
        """Main path plus skip path; nothing follows the sum."""
        skip = self.conv_s(self.norm_s(x, segmap)) if self.learned_shortcut else x
        dx = self.conv_0(F.leaky_relu(self.norm_0(x, segmap), 0.2, inplace=True))
        dx = self.conv_1(F.leaky_relu(self.norm_1(dx, segmap), 0.2, inplace=True))
        return skip + dx


def replace_modules(network: nn.Module, kind: type[Layer], replacement: Callable[[Layer], nn.Module]) -> None:
    """Put replacement(layer) in place of each layer that is exactly a `kind`."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if type(child) is kind:
                setattr(module, name, replacement(child))
