"""Two small segmenters that know Streets: the judge, which scores, and a second opinion, which never does.

The judge plays the part of DRN-D-105 and of the Inception network where neither can be had: a network that never saw a
generated image finds the classes in it again. Its figures are called "Streets judge", and its Fréchet distance is not
FID. The second opinion, of another architecture and seed, gives the feature maps of a perceptual loss where VGG-19's
weights can't be had; a loss made of the judge itself would teach generators to please the judge. Both were trained by
evaluation/train_judge.py.
"""

from pathlib import Path
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ..checkpoints import load_weights
from ..labels import CITYSCAPES

Network = TypeVar("Network", bound=nn.Module)


ASSETS = Path(__file__).parents[1] / "assets"


NUM_CLASSES = len(CITYSCAPES.score_names)  # 19, the trainIds


def _conv(fin: int, fout: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(fin, fout, 3, stride, padding=dilation, dilation=dilation, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(fout), nn.ReLU())


class Judge(nn.Module):
    """A U-Net: image (n, 3, h, w) in [-1, 1] -> logits (n, classes, h, w); h, w at least 8.

    classes: how many there are to tell apart; Streets' judge knows the 19 trainIds of Cityscapes.
    """

    def __init__(self, classes: int = NUM_CLASSES, widths: tuple[int, ...] = (16, 32, 64, 96)):
        super().__init__()
        pairs = list(zip((3, *widths), widths))
        self.down = nn.ModuleList(nn.Sequential(_conv(a, b), _conv(b, b)) for a, b in pairs)
        ups = list(zip(widths[:0:-1], widths[-2::-1]))
        self.up = nn.ModuleList(nn.Sequential(_conv(a + b, b), _conv(b, b)) for a, b in ups)
        self.head = nn.Conv2d(widths[0], classes, 1)

    def forward(self, image: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n classes h w"]:
        """Class logits at the image's size: the mean of the image's and its mirror image's."""
        return (self.logits(image) + self.logits(image.flip(-1)).flip(-1)) / 2

    def logits(self, image: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n classes h w"]:
        """Class logits from one look: what it is trained by."""
        skips = self._encode(image)
        x = skips.pop()
        for block in self.up:
            skip = skips.pop()
            x = block(torch.cat([F.interpolate(x, size=skip.shape[-2:], mode="nearest"), skip], dim=1))
        return self.head(x)

    def features(self, image: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """Mean over the picture of the channels of the two deepest levels: d = 160 numbers an image."""
        return torch.cat([level.mean(dim=(2, 3)) for level in self._encode(image)[-2:]], dim=1)

    def _encode(self, image: Tensor) -> list[Tensor]:
        x, levels = image, []
        for i, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if i else x)
            levels.append(x)
        return levels


class SecondOpinion(nn.Module):
    """A plain stack of strided convolutions: image -> five feature maps at 1/1, 1/2, 1/4, 1/8 and 1/8 of the size.

    In training a 1x1 head on each map, enlarged and summed, predicts the classes.
    """

    weights = (0.25, 0.25, 0.5, 0.5, 1.0)  # of the five maps in a perceptual loss

    def __init__(self, classes: int = NUM_CLASSES, widths: tuple[int, ...] = (16, 32, 48, 64, 64)):
        super().__init__()
        fins, strides, dilations = (3, *widths), (1, 2, 2, 2, 1), (1, 1, 1, 1, 2)
        self.stages = nn.ModuleList(_conv(*sizes) for sizes in zip(fins, widths, strides, dilations))
        self.heads = nn.ModuleList(nn.Conv2d(width, classes, 1) for width in widths)

    def forward(self, image: Float[Tensor, "n 3 h w"]) -> list[Float[Tensor, "n _ _ _"]]:
        """The five feature maps, finest first."""
        features = []
        for stage in self.stages:
            image = stage(image)
            features.append(image)
        return features

    def logits(self, image: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n classes h w"]:
        """Class logits at the image's size: what it is trained by."""
        scores = [head(f) for head, f in zip(self.heads, self(image))]
        size = image.shape[-2:]
        return torch.stack([F.interpolate(s, size, mode="bilinear", align_corners=False) for s in scores]).sum(0)


def trained_at(name: str, size: tuple[int, int]) -> Path:
    """The file of "judge" or "second_opinion", trained on scenes of this size; where there is none, on 64x128."""
    path = ASSETS / f"{name}_{size[0]}x{size[1]}.safetensors"
    return path if path.is_file() else ASSETS / f"{name}.safetensors"


def load_judge(path: Path = ASSETS / "judge.safetensors") -> Judge:
    """The stored judge, in evaluation mode and frozen."""
    return _load(Judge(), path)


def load_second_opinion(path: Path = ASSETS / "second_opinion.safetensors") -> SecondOpinion:
    """The stored second opinion, in evaluation mode and frozen."""
    return _load(SecondOpinion(), path)


def _load(network: Network, path: Path) -> Network:
    load_weights(network, path)
    return network.eval().requires_grad_(False)
