"""A residual block whose convolutions keep no input for the backward pass."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..blocks import SPADEResnetBlock
from .spade import PatternSPADE


class LeanBlock(SPADEResnetBlock):
    """A residual block whose convolutions keep no input for the backward pass: SPADE computes it again from its own."""

    norm_0: PatternSPADE
    norm_1: PatternSPADE
    norm_s: PatternSPADE
    conv_0: nn.Conv2d
    conv_1: nn.Conv2d
    conv_s: nn.Conv2d

    def __init__(self, block: SPADEResnetBlock):
        nn.Module.__init__(self)
        self.__dict__.update(block.__dict__)

    def forward(self, x: Float[Tensor, "n fin h w"], segmap: Float[Tensor, "n l H W"]) -> Float[Tensor, "n fout h w"]:
        """Main path plus skip path, as in the plain block (which it is in evaluation: there is nothing to save)."""
        if not (self.training or torch.is_grad_enabled()):
            return super().forward(x, segmap)
        skip = _lean(self.norm_s, self.conv_s, x, segmap, 1.0) if self.learned_shortcut else x
        dx = _lean(self.norm_0, self.conv_0, x, segmap, 0.2)
        return skip + _lean(self.norm_1, self.conv_1, dx, segmap, 0.2)


def _lean(norm: PatternSPADE, conv: nn.Conv2d, x: Tensor, segmap: Tensor, slope: float) -> Tensor:
    """conv(leaky_relu(norm(x))), with what SPADE gives computed again in the backward pass where that is cheap."""
    y, recompute = norm.activated(x, segmap, slope)
    if recompute is None:
        return conv(y)
    address, shape = y.data_ptr(), y.shape  # not y itself, which would stay in memory with the functions below

    # Autograd hands every tensor that the convolution wants to keep to `pack`, keeps what that gives, and gets the
    # tensor back from `unpack` in the backward pass. Its input y is kept as the function that computes it; its weight
    # as it is. y is known by where it lies: autograd hands over a tensor object of its own.
    def pack(tensor: Tensor) -> Tensor | Callable[[], Tensor]:
        return recompute if tensor.data_ptr() == address and tensor.shape == shape else tensor

    def unpack(kept: Tensor | Callable[[], Tensor]) -> Tensor:
        return kept if isinstance(kept, Tensor) else kept()

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        return conv(y)
