"""From samples to what networks take, and from networks to pictures."""

from collections.abc import Iterable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from tqdm import tqdm

from .data.base import Dataset, Sample, stack
from .generators import Generator
from .labels import LabelSpace
from .pictures import to_uint8


def spread(dataset: Dataset, count: int) -> Sample:
    """A batch of `count` samples spread evenly over a data set: neighbouring frames of a film look alike."""
    count = min(count, len(dataset))
    return stack([dataset[i * len(dataset) // count] for i in range(count)])


def to_batch(
    sample: Sample, labels: LabelSpace, device: torch.device, channels_last: bool = False
) -> dict[str, Tensor]:
    """What a Trainer takes, from a stack of samples."""
    instance = None if sample.instance is None else sample.instance.to(device)
    segmap = labels.encode(sample.label.to(device), instance)
    memory = torch.channels_last if channels_last else torch.contiguous_format
    return {"segmap": segmap.to(memory_format=memory), "image": sample.image.to(device, memory_format=memory)}


@torch.no_grad()
def generate(
    generator: Generator,
    sample: Sample,
    labels: LabelSpace,
    device: str | torch.device = "cpu",
    *,
    z: Tensor | None = None,
    seed: int = 0,
) -> Tensor:
    """Images (n, 3, h, w) for a stack of samples, in evaluation mode; z is drawn from `seed` unless given."""
    was_training = generator.training
    generator.eval()
    segmap = to_batch(sample, labels, torch.device(device))["segmap"]
    if z is None and generator.z_dim is not None:
        z = torch.randn(len(segmap), generator.z_dim, generator=torch.Generator().manual_seed(seed))
    image = generator(segmap, None if z is None else z.to(segmap.device))
    generator.train(was_training)
    return image.float()


def paint(
    generator: Generator,
    dataset: Dataset,
    *,
    count: int | None = None,
    device: str | torch.device = "cpu",
    seed: int = 0,
    batch: int = 20,
    encoder: nn.Module | None = None,
) -> list[UInt8[Tensor, "3 h w"]]:
    """An image, 0 to 255, for each of the first `count` label maps of a data set (default: all).

    The noise of an image follows from `seed` and its place alone, so any `batch` gives the same images, up to rounding.
    encoder: gives each image the style of its photograph (see `codes_of`); without it the style is drawn.
    """
    images: list[Tensor] = []
    count = len(dataset) if count is None else count
    for start in tqdm(range(0, count, batch), "paint", leave=False, disable=None):
        stop = min(start + batch, count)
        sample = stack([dataset[i] for i in range(start, stop)])
        seeds = range(seed + start, seed + stop)
        z = noise(generator.z_dim, seeds) if encoder is None else codes_of(encoder, sample.image, seeds)
        images += to_uint8(generate(generator, sample, dataset.labels, device, z=z)).movedim(-1, -3)
    return images


def noise(z_dim: int | None, seeds: Iterable[int]) -> Float[Tensor, "n z"] | None:
    """A code from N(0, 1) for each seed; None for a generator without style."""
    if z_dim is None:
        return None
    return torch.stack([torch.randn(z_dim, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


@torch.no_grad()
def codes_of(encoder: nn.Module, image: Float[Tensor, "n 3 h w"], seeds: Iterable[int]) -> Float[Tensor, "n z"]:
    """A draw from E(image) for each image: z = mu + exp(logvar / 2) eps, eps from its seed (official test.py)."""
    mu, logvar = encoder.eval()(image.to(next(encoder.parameters()).device))
    eps = noise(mu.shape[1], seeds)
    assert eps is not None  # mu has columns
    return mu + (logvar / 2).exp() * eps.to(mu.device)
