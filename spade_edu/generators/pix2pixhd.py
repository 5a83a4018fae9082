"""pix2pixHD's global generator (Wang et al. 2018): the label map enters once, at the bottom, and is normalised away."""

from jaxtyping import Float
from torch import Tensor, nn

from ..blocks import ResnetBlock, conv
from ..normalization import make_norm


class Pix2PixHDGenerator(nn.Module):
    """G(segmap) -> image in [-1, 1]: an encoder, residual blocks, a decoder, instance norm after every convolution.

    segmap: (n, label_channels, h, w) -> (n, 3, h, w); h and w must be multiples of 2^num_downsampling. z is accepted
    and ignored, so that every generator is called the same way: this network is deterministic. All convolutions keep
    their bias although instance norm cancels it (as published). norm="syncbatch" and spectral=True give pix2pixHD++.
    """

    z_dim = None

    def __init__(
        self,
        label_channels: int,
        *,
        ngf: int = 64,
        num_downsampling: int = 4,
        num_blocks: int = 9,
        norm: str = "instance",
        spectral: bool = False,
    ):
        super().__init__()
        self.label_channels, self.num_downsampling = label_channels, num_downsampling

        def normed(layer: nn.Module) -> list[nn.Module]:
            return [layer, make_norm(norm, layer.out_channels, affine=True), nn.ReLU()]

        layers = [nn.ReflectionPad2d(3), *normed(conv(label_channels, ngf, 7, spectral=spectral))]
        widths = [ngf * 2**i for i in range(num_downsampling + 1)]
        for fin, fout in zip(widths, widths[1:]):
            layers += normed(conv(fin, fout, 3, stride=2, padding=1, spectral=spectral))
        layers += [ResnetBlock(widths[-1], norm=norm, spectral=spectral) for _ in range(num_blocks)]
        for fin, fout in zip(widths[:0:-1], widths[-2::-1]):
            up = dict(stride=2, padding=1, output_padding=1, transposed=True)
            layers += normed(conv(fin, fout, 3, spectral=spectral, **up))
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(ngf, 3, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(
        self, segmap: Float[Tensor, "n l h w"], z: Float[Tensor, "n z_dim"] | None = None
    ) -> Float[Tensor, "n 3 h w"]:
        """Encode the label map, transform it, decode an image."""
        return self.model(segmap)
