"""From samples to what networks take, and from networks to pictures."""

import torch
from torch import Tensor, nn

from .data.base import Dataset, Sample, stack
from .labels import LabelSpace


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
    generator: nn.Module,
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
