"""Figure 3 in a number: does a generator still know the class of a uniform label map?"""

from itertools import combinations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ..data.base import Dataset
from ..generators import Generator
from ..labels import LabelSpace


def class_ids(dataset: Dataset) -> list[int]:
    """The ids that occur in a data set: the classes whose uniform maps say something about a generator."""
    return sorted({int(i) for index in range(len(dataset)) for i in dataset[index].label.unique()})


def uniform_labels(
    class_ids: list[int], height: int, width: int
) -> tuple[Int64[Tensor, "k h w"], Int64[Tensor, "k h w"]]:
    """Label maps and instance maps that hold one class everywhere (one instance, so no edges)."""
    label = torch.tensor(class_ids)[:, None, None].expand(-1, height, width).contiguous()
    return label, torch.zeros_like(label)


@torch.no_grad()
def uniform_images(
    generator: Generator, labels: LabelSpace, class_ids: list[int], height: int, width: int
) -> Float[Tensor, "k 3 h w"]:
    """What the generator (in evaluation mode) paints on a uniform map of each class, all with the style code z = 0."""
    label, instance = uniform_labels(class_ids, height, width)
    device = next(generator.parameters()).device
    z = None if generator.z_dim is None else torch.zeros(len(class_ids), generator.z_dim, device=device)
    segmap = labels.encode(label, instance if labels.instances else None).to(device)
    return generator(segmap, z).float().cpu()


def colour_difference(images: Float[Tensor, "k 3 h w"]) -> float:
    """Mean over pairs of images of the mean absolute difference of their mean colours, over R, G, B in 0..255.

    Mean colours and not pixels: in floating point, instance norm blows rounding noise up into visible patterns, which
    differ from class to class and mean nothing.
    """
    colours = (images.mean(dim=(2, 3)) + 1) * 127.5
    pairs = [(a - b).abs().mean() for a, b in combinations(colours, 2)]
    return float(torch.stack(pairs).mean())
