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
        """The copy, made anew where a weight, a statistic, the device or the network's build has changed.

        To compare all weights would cost a tenth of a stroke. PyTorch counts what is written to a tensor, but not what
        is written through `.data` or by a fused optimizer: that is seen where it reaches the middle of any tensor.
        """
        if _writes(_tensors(self.network)) != self._writes or not torch.equal(_values(self._middles), self._before):
            self._renew()
        return self._copy

    def _renew(self) -> None:
        tensors = _tensors(self.network)
        self._writes = _writes(tensors)  # before the copy: what is written meanwhile is seen the next time
        self._middles = [_middle(t) for t in tensors]  # as they are held, no new tensor gets an old one's address
        self._before = _values(self._middles)
        self._copy = copy.deepcopy(self.network).eval().requires_grad_(False)


def _tensors(network: nn.Module) -> list[Tensor]:
    """Weights and statistics, in an order that follows from the network's build."""
    found = [t for m in network.modules() for t in (*m._parameters.values(), *m._buffers.values())]
    return [t for t in found if t is not None and t.numel()]


def _writes(tensors: list[Tensor]) -> list[tuple[int, int]]:
    """Where each tensor's values lie, and how often they have been written to."""
    return [(t.data_ptr(), 0 if t.is_inference() else t._version) for t in tensors]


def _middle(tensor: Tensor) -> Tensor:
    """The value in the middle, as a view: it follows the tensor."""
    return tensor.detach()[tuple(n // 2 for n in tensor.shape)]


def _values(middles: list[Tensor]) -> Tensor:
    return torch.stack(middles) if middles else torch.empty(0)
