"""The pieces that the three networks share."""

from torch import nn
from torchvision.models.resnet import Bottleneck


def conv_norm_relu(inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Convolution without bias that keeps the size at stride 1, batch norm, ReLU."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def bottlenecks(inputs: int, width: int, blocks: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """One stage of a ResNet: `blocks` bottlenecks to 4 width channels, the stride on the first one's 3x3.

    Every 3x3 has the full dilation, the first one too (torchvision's own dilated ResNet gives the first block the
    dilation of the stage before). The first block has a projection for its shortcut.
    """
    outputs = width * Bottleneck.expansion
    projection = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
    first = Bottleneck(inputs, width, stride, projection, dilation=dilation)
    rest = [Bottleneck(outputs, width, dilation=dilation) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)
