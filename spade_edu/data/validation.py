"""Looking through a data set before training on it: what is broken, and what it holds."""

import warnings
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .base import DataError, Dataset
from .catalogue import open_dataset
from .paired import PairedFiles


class Report(NamedTuple):
    """What `check_split` found: number of good pairs, of published pairs (None: unknown), a line about each bad one."""

    good: int
    published: int | None
    problems: list[str]


def check_split(dataset: PairedFiles, split: str, progress=lambda pairs: pairs) -> Report:
    """Read every file of a split in full: missing partners, unreadable files, sizes, values that are no ids.

    progress wraps the pairs, e.g. tqdm.
    """
    problems = list(dataset.incomplete)
    for pair in progress(dataset.pairs):
        try:
            dataset.read(pair)
        except DataError as error:
            problems.append(str(error))
    good = len(dataset.pairs) + len(dataset.incomplete) - len(problems)
    return Report(good, dataset.published.get(split), problems)


def open_for_check(name: str | None, root: str | None, split: str) -> PairedFiles:
    """Open a data set on disk without the warning about files that have no partner: the check names them all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return open_dataset(name, root, split)[0]


def evenly(length: int, count: int) -> list[int]:
    """At most `count` indices, evenly spread over a data set of `length`."""
    return [int(i) for i in np.linspace(0, length - 1, min(count, length)).round()]


def pixel_shares(dataset: Dataset, indices: Iterable[int]) -> Float[Tensor, "ids"]:
    """The share of the pixels that each id has in some samples; sums to 1."""
    counts = torch.zeros(dataset.labels.num_ids)
    for label in _labels(dataset, indices):
        counts += torch.bincount(label.flatten(), minlength=len(counts))
    return counts / counts.sum()


def _labels(dataset: Dataset, indices: Iterable[int]) -> Iterator[Tensor]:
    for index in indices:
        yield dataset[index].label
