"""What the systems beside SPADE share: the form of their trainers, and the order in which they see the images."""

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar, cast

import torch
import torch.utils.data
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from ..config import TrainingConfig, resolve_precision
from ..data.base import Dataset, Sample, stack
from ..errors import UserError
from ..generators import Generator
from ..runs.run import epoch_order

Network = TypeVar("Network", bound=nn.Module)


class System(Protocol):
    """Trains one system and gives its generator."""

    def __call__(
        self, dataset: Dataset, config: TrainingConfig, *, steps: int, seed: int, progress: bool = False
    ) -> Generator:
        """Train for `steps` batches of `dataset`, everything random drawn from `seed`, on the CPU.

        Gives the generator in evaluation mode. Of `config` count height, width, batch size, widths, precision, and
        what else the system has in common with SPADE; config.seed doesn't. progress: show a bar. Errors: a UserError
        where the size or the batch doesn't fit.
        """


def batches(dataset: Dataset, config: TrainingConfig, *, steps: int, progress: bool) -> Iterator[tuple[int, Sample]]:
    """`steps` batches, each with its epoch (from 1), in the order in which runs.Run would take them."""
    per_epoch = len(dataset) // config.batch_size
    if not per_epoch:
        raise UserError(f"A batch of {config.batch_size} needs as many images, but there are only {len(dataset)}.")
    with tqdm(total=steps, disable=not progress, unit="step") as bar:
        for done in range(0, steps, per_epoch):
            epoch = done // per_epoch + 1
            dataset.set_epoch(epoch)
            order = epoch_order(len(dataset), config.seed, epoch)[: min(per_epoch, steps - done) * config.batch_size]
            # A generator of its own: the loader would otherwise use up a number of the global one.
            loader: DataLoader = DataLoader(
                cast(torch.utils.data.Dataset, dataset),  # all that the loader asks for is __getitem__
                config.batch_size,
                sampler=order,
                collate_fn=stack,
                generator=torch.Generator(),
            )
            for sample in loader:
                yield epoch, sample
                bar.update()


def minimise(
    network: Network,
    loss: Callable[[Sample], Tensor],
    dataset: Dataset,
    config: TrainingConfig,
    *,
    lr: float,
    steps: int,
    progress: bool,
) -> Network:
    """Adam on loss(sample), in config.precision; gives the network in evaluation mode.

    The rate rises to `lr` over the first third and falls to 0: the papers keep it constant, for days.
    """
    mixed = resolve_precision(config, "cpu").precision != "fp32"
    if config.channels_last:
        network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)
    for _, sample in batches(dataset, config, steps=steps, progress=progress):
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            value = loss(sample)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        schedule.step()
    return network.eval()
