"""What every data set gives: samples of one form."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int32, Int64
from torch import Tensor

from ..errors import UserError
from ..labels import LabelSpace


class DataError(UserError):
    """A data set that cannot be read; the message says what was expected, what came and how to repair it."""


class NoSplitError(DataError):
    """A data set of your own without a val split."""


class Sample(NamedTuple):
    """One picture with its labels; a batch is the same with a leading axis (see `stack`).

    label: ids of the data set's LabelSpace. instance: one id per object, or None where the data set has none.
    image: RGB in [-1, 1]. name: unique within the data set.
    style: what the label does not determine (Streets only).
    """

    label: Int64[Tensor, "*n h w"]
    instance: Int32[Tensor, "*n h w"] | None
    image: Float[Tensor, "*n 3 h w"]
    name: str | list[str]
    style: str | list[str] | None = None


@runtime_checkable
class Dataset(Protocol):
    """Anything with a LabelSpace, a length and samples; `set_epoch` is called before each epoch of training."""

    labels: LabelSpace

    def set_epoch(self, epoch: int) -> None:
        """Choose the crops and flips of an epoch, if there are any."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


def stack(samples: list[Sample]) -> Sample:
    """Make a batch of samples of one size (the collate function of every loader here)."""
    label, instance, image, name, style = zip(*samples)
    instances = None if instance[0] is None else torch.stack(instance)
    styles = None if style[0] is None else list(style)
    return Sample(torch.stack(label), instances, torch.stack(image), list(name), styles)


def batches(dataset: Dataset, size: int = 20) -> Iterator[Sample]:
    """All samples of a data set in order, `size` at a time."""
    for start in range(0, len(dataset), size):
        yield stack([dataset[i] for i in range(start, min(start + size, len(dataset)))])
