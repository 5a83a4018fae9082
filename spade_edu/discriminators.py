"""PatchGAN discriminators: each output pixel judges one patch of the image (pix2pix, pix2pixHD, SPADE figure 13)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import conv
from .losses import Scales
from .normalization import make_norm


class PatchDiscriminator(nn.Module):
    """(n, in_channels, h, w) -> the feature map after every layer; the last one, with one channel, is the verdict.

    Convolutions of kernel 4 and padding 2. The first and the last carry neither norm nor spectral norm.

    in_channels: of the label map and the image together.
    ndf, max_width: channels of the first feature map, and the most that any has: ndf, 2 ndf, 4 ndf ... max_width.
    num_layers: convolutions before the last, which has one channel; all but one of them halve the size. pix2pixHD
        counts one less: its n_layers 3 is num_layers 4 here.
    norm: after the convolutions between the first and the last, a name of `make_norm`; "instance" as published.
    spectral: spectral norm on these convolutions; SPADE has it, pix2pixHD hasn't.
    bias: of these convolutions; pix2pixHD keeps it, though the norm cancels it.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        ndf: int = 64,
        max_width: int = 512,
        num_layers: int = 4,
        norm: str = "instance",
        spectral: bool = True,
        bias: bool = False,
    ):
        super().__init__()
        widths = [min(ndf * 2**i, max_width) for i in range(num_layers)]
        first = nn.Sequential(nn.Conv2d(in_channels, ndf, 4, stride=2, padding=2), nn.LeakyReLU(0.2))
        self.layers = nn.ModuleList([first])
        for i, (fin, fout) in enumerate(zip(widths, widths[1:]), start=2):
            stride = 1 if i == num_layers else 2
            layer = conv(fin, fout, 4, stride=stride, padding=2, bias=bias, spectral=spectral)
            self.layers.append(nn.Sequential(layer, make_norm(norm, fout, affine=True), nn.LeakyReLU(0.2)))
        self.layers.append(nn.Sequential(nn.Conv2d(widths[-1], 1, 4, stride=1, padding=2)))

    def forward(self, x: Float[Tensor, "n c h w"]) -> list[Float[Tensor, "n _ _ _"]]:
        """Every layer's output, prediction last."""
        features = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return features


class MultiScaleDiscriminator(nn.Module):
    """D(segmap, image) -> for each scale, finest first, the list of its feature maps, prediction last.

    segmap: (n, label_channels, h, w), image: (n, 3, h, w), concatenated in this order. Each next scale has weights of
    its own and sees the input after 3x3 average pooling with stride 2 (padding not counted).

    label_channels: of segmap.
    num_scales: how many discriminators; SPADE has 2, pix2pixHD 3 where the image is 1024x2048.
    ndf, max_width, num_layers, norm, spectral, bias: of each, as for PatchDiscriminator.
    """

    def __init__(
        self,
        label_channels: int,
        *,
        ndf: int = 64,
        max_width: int = 512,
        num_scales: int = 2,
        num_layers: int = 4,
        norm: str = "instance",
        spectral: bool = True,
        bias: bool = False,
    ):
        super().__init__()
        options: dict = dict(
            ndf=ndf, max_width=max_width, num_layers=num_layers, norm=norm, spectral=spectral, bias=bias
        )
        self.scales = nn.ModuleList(PatchDiscriminator(label_channels + 3, **options) for _ in range(num_scales))

    def forward(
        self, segmap: Float[Tensor, "n l h w"], image: Float[Tensor, "n 3 h w"]
    ) -> list[list[Float[Tensor, "n _ _ _"]]]:
        """Judge whether the image is real, given its label map."""
        x = torch.cat([segmap, image], dim=1)
        results = []
        for scale in self.scales:
            results.append(scale(x))
            x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
        return results

    def pair(
        self, segmap: Float[Tensor, "n l h w"], fake: Float[Tensor, "n 3 h w"], real: Float[Tensor, "n 3 h w"]
    ) -> tuple[Scales, Scales]:
        """D on fake and real images of the same label maps, in float32.

        In one batch, as in the official code: batch statistics in D can't tell fake from real by themselves.
        """
        return halves(self(torch.cat([segmap, segmap]), torch.cat([fake, real])))


def halves(both: Scales) -> tuple[Scales, Scales]:
    """D's feature maps of a double batch, in float32, as those of its first and of its second half."""
    pairs = [[feature.float().chunk(2) for feature in scale] for scale in both]
    first, second = ([[feature[i] for feature in scale] for scale in pairs] for i in (0, 1))
    return first, second
