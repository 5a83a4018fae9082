"""Networks to draw with: copies, so that drawing never touches a network that is being trained.

A notebook may answer its widgets in a thread of their own, while a cell runs. `eval()` on a shared network would change
the mode under that cell's feet, and with it the batch norms of its training.
"""

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


class DrawingCopy(Generic[Network]):
    """A copy of `network` in evaluation mode; `present()` gives it with the weights that the network has now."""

    def __init__(self, network: Network):
        self.network = network
        self._renew()

    def present(self) -> Network:
        """The copy, made anew where a weight, a statistic, the device or the network's build has changed."""
        if not _same(_tensors(self.network), self._tensors):
            self._renew()
        return self._copy

    def _renew(self) -> None:
        self._copy = copy.deepcopy(self.network).eval().requires_grad_(False)
        self._tensors = _tensors(self._copy)


def _tensors(network: nn.Module) -> list[Tensor]:
    """Weights and statistics, in an order that follows from the network's build."""
    return [t for m in network.modules() for t in (*m._parameters.values(), *m._buffers.values()) if t is not None]


def _same(now: list[Tensor], before: list[Tensor]) -> bool:
    return len(now) == len(before) and all(
        new.device == old.device and torch.equal(new, old) for new, old in zip(now, before)
    )
