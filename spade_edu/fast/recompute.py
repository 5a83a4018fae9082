"""Checkpointing: a block computes its inside again in the backward pass; less memory, more time."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..blocks import SPADEResnetBlock


class CheckpointedBlock(SPADEResnetBlock):
    """A residual block that keeps only its input for the backward pass and computes the rest again there."""

    def __init__(self, block: SPADEResnetBlock):
        nn.Module.__init__(self)
        self.__dict__.update(block.__dict__)

    def forward(self, x: Float[Tensor, "n fin h w"], segmap: Float[Tensor, "n l H W"]) -> Float[Tensor, "n fout h w"]:
        """The block's result; running statistics and power iteration advance once, however often it is computed."""
        if not torch.is_grad_enabled():
            return super().forward(x, segmap)
        before = [buffer.clone() for buffer in self.buffers()]
        forward = super().forward
        return checkpoint(
            lambda x: forward(x, segmap),
            x,
            use_reentrant=False,
            preserve_rng_state=False,
            context_fn=lambda: (nullcontext(), _as_of(self, before)),
        )


@contextmanager
def _as_of(module: nn.Module, earlier: list[Tensor]) -> Iterator[None]:
    """Run a part of the program with a module's buffers as they were, then put the present ones back."""
    present = [buffer.clone() for buffer in module.buffers()]
    _set_buffers(module, earlier)
    try:
        yield
    finally:
        _set_buffers(module, present)


@torch.no_grad()
def _set_buffers(module: nn.Module, values: list[Tensor]) -> None:
    for buffer, value in zip(module.buffers(), values):
        buffer.copy_(value)
