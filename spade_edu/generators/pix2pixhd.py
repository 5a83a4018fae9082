"""pix2pixHD's generators (Wang et al. 2018): the label map enters once, at the bottom, and is normalised away."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ..blocks import ResnetBlock, conv
from ..normalization import make_norm
from .base import Generator


class Pix2PixHDGenerator(Generator):
    """G(segmap) -> image in [-1, 1]: an encoder, residual blocks, a decoder, a norm and ReLU after every convolution.

    segmap: (n, label_channels, h, w) -> (n, 3, h, w); h and w must be multiples of 2^num_downsampling. z is ignored.

    ngf: channels of the first and the last feature map; they double with each halving of the size.
    num_downsampling: how often the encoder halves the size.
    num_blocks: residual blocks at the smallest size.
    norm: after every convolution, a name of `make_norm`; pix2pixHD's is "instance", pix2pixHD++'s "syncbatch".
    spectral: spectral norm on every convolution but the last; pix2pixHD has none, pix2pixHD++ (SPADE's code) does.
    bias: of the convolutions before a norm, which cancels it: pix2pixHD keeps it all the same, pix2pixHD++ doesn't.
    """

    def __init__(
        self,
        label_channels: int,
        *,
        ngf: int = 64,
        num_downsampling: int = 4,
        num_blocks: int = 9,
        norm: str = "instance",
        spectral: bool = False,
        bias: bool = True,
    ):
        super().__init__(label_channels)
        self.ngf, self.num_downsampling = ngf, num_downsampling
        self.options: dict = dict(norm=norm, spectral=spectral, bias=bias)
        widths = [ngf * 2**i for i in range(num_downsampling + 1)]
        layers = [nn.ReflectionPad2d(3), *self.layer(label_channels, ngf, 7)]
        for fin, fout in zip(widths, widths[1:]):
            layers += self.layer(fin, fout, 3, stride=2, padding=1)
        layers += [self.make_block(widths[-1]) for _ in range(num_blocks)]
        for fin, fout in zip(widths[:0:-1], widths[-2::-1]):
            layers += self.layer(fin, fout, 3, stride=2, padding=1, output_padding=1, transposed=True)
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(ngf, 3, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def layer(self, fin: int, fout: int, kernel_size: int, **shape: Any) -> list[nn.Module]:
        """A convolution, its norm, ReLU."""
        spectral, bias = self.options["spectral"], self.options["bias"]
        layer = conv(fin, fout, kernel_size, spectral=spectral, bias=bias, **shape)
        return [layer, self.make_norm(fout), nn.ReLU()]

    def make_norm(self, channels: int) -> nn.Module:
        """The norm after each convolution outside the residual blocks."""
        return make_norm(self.options["norm"], channels, affine=True)

    def make_block(self, channels: int) -> nn.Module:
        """One residual block at the bottleneck."""
        return ResnetBlock(channels, **self.options)

    def forward(
        self, segmap: Float[Tensor, "n l h w"], z: Float[Tensor, "n z_dim"] | None = None
    ) -> Float[Tensor, "n 3 h w"]:
        """Encode the label map, transform it, decode an image."""
        return self.model(segmap)


class LocalEnhancer(Generator):
    """pix2pixHD's G2: the global generator on a half-size label map, and a small network around it at full size.

        half = average pooling of segmap (3x3, stride 2, padding not counted)
        image = model1_2(model1_1(segmap) + model(half)),   model = G1 without its last convolution

    segmap: (n, label_channels, h, w) -> (n, 3, h, w) in [-1, 1]; h and w multiples of 2^(num_downsampling + 1). The
    names of the parts are the published files'.

    ngf: channels of the first and the last feature map at full size; G1 begins with twice as many.
    num_downsampling, num_blocks: G1's, as for Pix2PixHDGenerator.
    num_local_blocks: residual blocks after the sum.
    """

    def __init__(
        self,
        label_channels: int,
        *,
        ngf: int = 32,
        num_downsampling: int = 4,
        num_blocks: int = 9,
        num_local_blocks: int = 3,
    ):
        super().__init__(label_channels)
        self.ngf = ngf
        whole = Pix2PixHDGenerator(
            label_channels, ngf=2 * ngf, num_downsampling=num_downsampling, num_blocks=num_blocks
        )
        self.model = whole.model[:-3]
        self.model1_1 = nn.Sequential(
            nn.ReflectionPad2d(3),
            *whole.layer(label_channels, ngf, 7),
            *whole.layer(ngf, 2 * ngf, 3, stride=2, padding=1),
        )
        self.model1_2 = nn.Sequential(
            *(ResnetBlock(2 * ngf) for _ in range(num_local_blocks)),
            *whole.layer(2 * ngf, ngf, 3, stride=2, padding=1, output_padding=1, transposed=True),
            nn.ReflectionPad2d(3),
            nn.Conv2d(ngf, 3, 7),
            nn.Tanh(),
        )

    def forward(
        self, segmap: Float[Tensor, "n l h w"], z: Float[Tensor, "n z_dim"] | None = None
    ) -> Float[Tensor, "n 3 h w"]:
        """Paint at half size, add full-size features, finish at full size."""
        half = F.avg_pool2d(segmap, 3, stride=2, padding=1, count_include_pad=False)
        return self.model1_2(self.model1_1(segmap) + self.model(half))
