"""The discriminator on fake and real images of the same label maps, with the label map's part computed once."""

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from .. import losses
from ..discriminators import MultiScaleDiscriminator, PatchDiscriminator, halves
from ..normalization import BatchNorm2d
from ..spectral import SpectralConv2d


class FastDiscriminator(MultiScaleDiscriminator):
    """MultiScaleDiscriminator whose `pair` computes the label map's part of the first convolution once."""

    def __init__(self, discriminator: MultiScaleDiscriminator):
        nn.Module.__init__(self)
        self.__dict__.update(discriminator.__dict__)  # its layers

    def pair(
        self, segmap: Float[Tensor, "n l h w"], fake: Float[Tensor, "n 3 h w"], real: Float[Tensor, "n 3 h w"]
    ) -> tuple[losses.Scales, losses.Scales]:
        """D on fake and real; in G's step the real images need no gradient, so they go by themselves."""
        if not fake.requires_grad:
            return halves(discriminate(self, segmap, [torch.cat([fake, real])])[0])
        of_fake, of_real = discriminate(self, segmap, [fake, real])
        return _in_float32(of_fake), _in_float32(of_real)


def _in_float32(scales: losses.Scales) -> losses.Scales:
    return [[feature.float() for feature in scale] for scale in scales]


def discriminate(
    discriminator: MultiScaleDiscriminator,
    segmap: Float[Tensor, "n l h w"],
    batches: Sequence[Float[Tensor, "_ 3 h w"]],
) -> list[losses.Scales]:
    """D(segmap, images) for each batch of images, n or a multiple of n of them, with one set of weights.

    The first convolution is a sum of one over the label map and one over the images: the former is done once, and no
    gradient of the label map is ever computed. A batch that needs no gradient (real images while D stands still) keeps
    nothing for the backward pass. Only for a D whose norms treat images singly: batch norm would see the batches apart.
    """
    if any(isinstance(m, nn.BatchNorm2d | BatchNorm2d) for m in discriminator.modules()):
        raise ValueError("Images can't be judged in separate batches by a discriminator with batch norm.")
    results: list[losses.Scales] = [[] for _ in batches]
    for scale in discriminator.scales:
        assert isinstance(scale, PatchDiscriminator)
        first, *others = cast(Iterable[nn.Sequential], scale.layers)
        maps = _first_layer(first, segmap, batches)
        features = [[x] for x in maps]
        for layer in others:
            maps = _layer(layer, maps)
            features = [found + [x] for found, x in zip(features, maps)]
        results = [[*found, x] for found, x in zip(results, features)]
        segmap, *batches = (
            F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False) for x in (segmap, *batches)
        )
    return results


def _first_layer(layer: nn.Sequential, segmap: Tensor, batches: Sequence[Tensor]) -> list[Tensor]:
    conv, activation = layer
    assert isinstance(conv, nn.Conv2d)
    of_labels, of_image = conv.weight.split([segmap.shape[1], batches[0].shape[1]], dim=1)
    labels = F.conv2d(segmap, of_labels, None, conv.stride, conv.padding)
    repeated = [labels.repeat(len(x) // len(labels), 1, 1, 1) if len(x) > len(labels) else labels for x in batches]
    images = [F.conv2d(x, of_image, conv.bias, conv.stride, conv.padding) for x in batches]
    return [activation(image + label) for image, label in zip(images, repeated)]


def _layer(layer: nn.Sequential, batches: list[Tensor]) -> list[Tensor]:
    """A convolution with its norm and activation on each batch; spectral norm advances once."""
    conv, rest = layer[0], layer[1:]  # norm and activation
    assert isinstance(conv, nn.Conv2d)
    weight = conv.normalised_weight() if isinstance(conv, SpectralConv2d) else conv.weight
    return [rest(F.conv2d(x, weight, conv.bias, conv.stride, conv.padding)) for x in batches]
