"""DeepLabV2-ResNet101 at three scales, the segmenter of SPADE's COCO-Stuff scores (Chen et al. 2017; weights of
github.com/kazuto1011/deeplab-pytorch)."""

from collections import OrderedDict

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

CLASSES = 182
RATES = (6, 12, 18, 24)
SCALES = (0.5, 0.75)


class ConvNorm(nn.Module):
    """Convolution without bias that keeps the size at stride 1, then batch norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1):
        super().__init__()
        padding = dilation * (kernel // 2)
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Float[Tensor, "n _ _ _"]) -> Float[Tensor, "n _ _ _"]:
        """Normalised, no activation."""
        return self.bn(self.conv(x))


class Bottleneck(nn.Module):
    """The Caffe kind, which torchvision lacks: the stride sits on the first 1x1."""

    def __init__(self, inputs: int, outputs: int, stride: int, dilation: int, project: bool):
        super().__init__()
        width = outputs // 4
        self.reduce = ConvNorm(inputs, width, 1, stride)
        self.conv3x3 = ConvNorm(width, width, 3, dilation=dilation)
        self.increase = ConvNorm(width, outputs, 1)
        self.shortcut = ConvNorm(inputs, outputs, 1, stride) if project else nn.Identity()

    def forward(self, x: Float[Tensor, "n _ _ _"]) -> Float[Tensor, "n _ _ _"]:
        """relu(increase(relu(conv3x3(relu(reduce(x))))) + shortcut(x))."""
        h = F.relu(self.reduce(x))
        h = F.relu(self.conv3x3(h))
        return F.relu(self.increase(h) + self.shortcut(x))


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling of DeepLabV2: the sum of four dilated 3x3 convolutions, straight to classes."""

    def __init__(self, inputs: int):
        super().__init__()
        for i, rate in enumerate(RATES):
            self.add_module(f"c{i}", nn.Conv2d(inputs, CLASSES, 3, padding=rate, dilation=rate))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 182 h w"]:
        """Logits at the features' size."""
        return sum(conv(x) for conv in self.children())


class DeepLab(nn.Module):
    """The element-wise maximum of the logits at scales 1, 0.5 and 0.75; output stride 8."""

    # BGR in 0 .. 255, mean of each channel taken off, no division
    mean, std, scale, bgr = (104.008, 116.669, 122.675), (1.0, 1.0, 1.0), 255.0, True

    def __init__(self) -> None:
        super().__init__()
        stem = OrderedDict(
            conv1=ConvNorm(3, 64, 7, stride=2), relu=nn.ReLU(), pool=nn.MaxPool2d(3, 2, 1, ceil_mode=True)
        )
        self.base = nn.Sequential(
            OrderedDict(
                layer1=nn.Sequential(stem),
                layer2=_stage(64, 256, 3),
                layer3=_stage(256, 512, 4, stride=2),
                layer4=_stage(512, 1024, 23, dilation=2),
                layer5=_stage(1024, 2048, 3, dilation=4),
                aspp=ASPP(2048),
            )
        )

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 182 _ _"]:
        """Logits at stride 8, of a normalised image.

        The copies are made by `scale_factor`, which since PyTorch 1.6 maps coordinates by the factor itself.
        """
        logits = self.base(x)
        smaller = [F.interpolate(x, scale_factor=s, mode="bilinear", align_corners=False) for s in SCALES]
        others = [_resize(self.base(copy), logits) for copy in smaller]
        return torch.stack([logits, *others]).amax(0)

    def full_size(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 182 h w"]:
        """Logits at the image's size, bilinear."""
        return _resize(self(x), x)


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)


def _stage(inputs: int, outputs: int, blocks: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """block1, block2, ...: the first has the stride and a projected shortcut, all have the dilation."""
    stage: OrderedDict[str, nn.Module] = OrderedDict(block1=Bottleneck(inputs, outputs, stride, dilation, project=True))
    for i in range(2, blocks + 1):
        stage[f"block{i}"] = Bottleneck(outputs, outputs, 1, dilation, project=False)
    return nn.Sequential(stage)
