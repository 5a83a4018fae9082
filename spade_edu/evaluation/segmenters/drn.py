"""DRN-D-105, the segmenter of SPADE's Cityscapes scores (Yu et al. 2017; weights of github.com/fyu/drn)."""

from jaxtyping import Float
from torch import Tensor, nn

from .common import bottlenecks, conv_norm_relu

CLASSES = 19


class DRN(nn.Module):
    """Dilated residual network, variant D: plain convolutions instead of max-pooling, output stride 8.

    The last two stages undo the gridding that dilation leaves (dilation 2, then 1, without shortcuts).
    """

    # RGB in [0, 1], statistics of Cityscapes
    mean, std, scale, bgr = (0.29010095, 0.32808144, 0.28696394), (0.18295405, 0.18656561, 0.18447509), 1.0, False

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Sequential(
            conv_norm_relu(3, 16, 7),
            conv_norm_relu(16, 16, 3),
            conv_norm_relu(16, 32, 3, stride=2),
            bottlenecks(32, 64, 3, stride=2),
            bottlenecks(256, 128, 4, stride=2),
            bottlenecks(512, 256, 23, dilation=2),
            bottlenecks(1024, 512, 3, dilation=4),
            conv_norm_relu(2048, 512, 3, dilation=2),
            conv_norm_relu(512, 512, 3),
        )
        self.seg = nn.Conv2d(512, CLASSES, 1)
        # one fixed bilinear kernel for each class; its numbers are part of the published weights
        self.up = nn.ConvTranspose2d(CLASSES, CLASSES, 16, stride=8, padding=4, groups=CLASSES, bias=False)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 19 _ _"]:
        """Logits at stride 8 (sizes rounded up) of a normalised image."""
        return self.seg(self.base(x))

    def full_size(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 19 h w"]:
        """Logits at the image's size: enlarged eight times, what sticks out below and on the right cut off."""
        return self.up(self(x))[:, :, : x.shape[2], : x.shape[3]]
