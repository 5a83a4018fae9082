"""Diversity: how far apart a model's images of one label map are."""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn import functional as F

from ..data.base import Dataset, stack
from ..generators import Generator
from ..pretrained.weights import CATALOGUE
from ..sampling import generate
from .protocol import resize_label

FeatureMaps = Callable[[Tensor], Sequence[Tensor]]


class Diversity(NamedTuple):
    """mean: over all pairs and positions. by_class: the same over each id's own pixels; nan where it has none."""

    mean: float
    by_class: Float[Tensor, "ids"]


class PerceptualSpace(NamedTuple):
    """Feature maps to compare images in, (n, 3, h, w) in [-1, 1] to a list of (n, c, y, x), and their name."""

    maps: FeatureMaps
    name: str


@torch.inference_mode()
def diversity(
    samples: Float[Tensor, "k 3 h w"], label: Integer[Tensor, "h w"], maps: FeatureMaps, num_ids: int
) -> Diversity:
    """Mean perceptual distance between all pairs of k >= 2 samples of one label map.

    At each position of each feature map: |a / |a| - b / |b||^2, in [0, 4], a and b the pair's feature vectors there;
    averaged over positions, feature maps and pairs (LPIPS of Zhang et al. 2018 without its learned weights).
    0 for a model whose images of one label map are all alike.
    """
    totals, by_class = [], []
    for features in maps(samples):
        directions = F.normalize(features.double(), dim=1)
        pairs = combinations(range(len(samples)), 2)
        distance = torch.stack([(directions[i] - directions[j]).square().sum(0) for i, j in pairs]).mean(0)
        totals.append(distance.mean())
        ids = resize_label(label[None], (distance.shape[0], distance.shape[1]))[0]
        sums = torch.bincount(ids.flatten(), distance.flatten(), minlength=num_ids)
        by_class.append(sums / torch.bincount(ids.flatten(), minlength=num_ids))
    return Diversity(torch.stack(totals).mean().item(), torch.stack(by_class).nanmean(0))


@torch.no_grad()
def pixel_diversity(generator: Generator, dataset: Dataset, *, maps: int = 8, styles: int = 8) -> float:
    """Mean absolute pixel difference (0..255) between images of one label map with different z.

    maps: how many label maps of the data set, from its first. styles: images of each.
    """
    batch = stack([dataset[i] for i in range(min(maps, len(dataset)))])
    images = torch.stack([generate(generator, batch, dataset.labels, seed=s) for s in range(styles)])
    pairs = torch.combinations(torch.arange(styles))
    return float((images[pairs[:, 0]] - images[pairs[:, 1]]).abs().mean() * 127.5)


def perceptual_space(device: torch.device) -> PerceptualSpace:
    """VGG-19's feature maps where its weights lie, else those of Streets' second opinion (see pretrained/judge.py)."""
    if CATALOGUE["vgg19"].path.is_file():
        from ..pretrained.perceptual import VGGFeatures

        return PerceptualSpace(VGGFeatures().to(device), "VGG-19")
    from ..pretrained.judge import load_second_opinion

    return PerceptualSpace(load_second_opinion().to(device), "Streets' second opinion")
