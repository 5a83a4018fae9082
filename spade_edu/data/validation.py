"""Looking through a data set before training on it: what is broken, and what it holds."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .base import DataError, Dataset
from .catalogue import open_dataset
from .paired import Pair, PairedFiles


class Report(NamedTuple):
    """What `check_split` found: number of good pairs, of published pairs (None: unknown), a line about each bad one."""

    good: int
    published: int | None
    problems: list[str]


def check_split(dataset: PairedFiles, split: str, progress: Callable[[Iterable], Iterable] = iter) -> Report:
    """Read every file of a split in full: missing partners, unreadable files, sizes, values that are no ids.

    progress wraps the results of the pairs, e.g. tqdm.
    """
    with ThreadPoolExecutor() as pool:  # decoding pictures leaves Python free to start the next
        results = list(progress(pool.map(lambda pair: _problem(dataset, pair), dataset.pairs)))
    problems = [problem for problem in results if problem]
    good = len(dataset.pairs) - len(problems)
    return Report(good, dataset.published.get(split), dataset.incomplete + problems)


def _problem(dataset: PairedFiles, pair: Pair) -> str | None:
    try:
        dataset.read(pair)
        dataset.style(pair)
    except DataError as error:
        return str(error)
    return None


def open_for_check(name: str | None, root: str | None, split: str) -> PairedFiles:
    """Open a data set on disk without the warning about files that have no partner: the check names them all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset, _ = open_dataset(name, root, split)
    assert isinstance(dataset, PairedFiles)  # all but Streets are
    return dataset


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
