"""UPerNet-101, the segmenter of SPADE's ADE20K scores (Xiao et al. 2018; weights of CSAIL's
github.com/CSAILVision/semantic-segmentation-pytorch)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from .common import bottlenecks, conv_norm_relu

CLASSES = 150
WIDTH = 512
POOLS = (1, 2, 3, 6)


class Encoder(nn.Module):
    """ResNet-101 with a stem of three 3x3 convolutions in place of one 7x7, no dilation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu = conv_norm_relu(3, 64, 3, stride=2)
        self.conv2, self.bn2, _ = conv_norm_relu(64, 64, 3)
        self.conv3, self.bn3, _ = conv_norm_relu(64, 128, 3)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = bottlenecks(128, 64, 3)
        self.layer2 = bottlenecks(256, 128, 4, stride=2)
        self.layer3 = bottlenecks(512, 256, 23, stride=2)
        self.layer4 = bottlenecks(1024, 512, 3, stride=2)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> list[Float[Tensor, "n _ _ _"]]:
        """Feature maps at strides 4, 8, 16, 32 with 256, 512, 1024, 2048 channels."""
        for conv, norm in ((self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)):
            x = self.relu(norm(conv(x)))
        x = self.maxpool(x)
        maps = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            maps.append(x)
        return maps


class Decoder(nn.Module):
    """Pyramid pooling on the top map, then a feature pyramid down to stride 4."""

    def __init__(self) -> None:
        super().__init__()
        self.ppm_conv = nn.ModuleList(conv_norm_relu(2048, WIDTH, 1) for _ in POOLS)
        self.ppm_last_conv = conv_norm_relu(2048 + len(POOLS) * WIDTH, WIDTH, 3)
        self.fpn_in = nn.ModuleList(conv_norm_relu(channels, WIDTH, 1) for channels in (256, 512, 1024))
        # a Sequential of one, for the names in the published weights
        self.fpn_out = nn.ModuleList(nn.Sequential(conv_norm_relu(WIDTH, WIDTH, 3)) for _ in range(3))
        self.conv_last = nn.Sequential(conv_norm_relu(4 * WIDTH, WIDTH, 3), nn.Conv2d(WIDTH, CLASSES, 1))

    def forward(self, maps: list[Float[Tensor, "n _ _ _"]]) -> Float[Tensor, "n 150 _ _"]:
        """Logits at stride 4, from the encoder's four maps."""
        *lower, top = maps
        pooled = [_resize(F.adaptive_avg_pool2d(top, cells), top) for cells in POOLS]  # enlarged before the 1x1
        context = [conv(p) for conv, p in zip(self.ppm_conv, pooled)]
        f = self.ppm_last_conv(torch.cat([top, *context], dim=1))
        pyramid = [f]
        for lateral, out, x in reversed(list(zip(self.fpn_in, self.fpn_out, lower))):
            x = lateral(x)
            f = x + _resize(f, x)
            pyramid.insert(0, out(f))
        return self.conv_last(torch.cat([_resize(p, pyramid[0]) for p in pyramid], dim=1))


class UPerNet(nn.Module):
    """Encoder and decoder, whose weights are published as two files."""

    # RGB in [0, 1], statistics of ImageNet
    mean, std, scale, bgr = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 1.0, False

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder()

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 150 _ _"]:
        """Logarithms of the class probabilities at stride 4, of a normalised image."""
        return self.decoder(self.encoder(x)).log_softmax(dim=1)

    def full_size(self, x: Float[Tensor, "n 3 h w"], size: tuple[int, int] | None = None) -> Float[Tensor, "n 150 y x"]:
        """Logits at the image's size, or another; bilinear, in one step."""
        size = size or (x.shape[2], x.shape[3])
        return F.interpolate(self.decoder(self.encoder(x)), size=size, mode="bilinear", align_corners=False)


class BaselineUPerNet(UPerNet):
    """The same network as it was published before July 2019, for other weights and another input."""

    # BGR in 0 .. 255, mean of each channel taken off, no division (read: dataset.py at commit 28aab58)
    mean, std, scale, bgr = (102.9801, 115.9465, 122.7717), (1.0, 1.0, 1.0), 255.0, True


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)
