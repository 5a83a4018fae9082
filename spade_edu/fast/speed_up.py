"""What `TrainingConfig.fast` does to a network: puts the fast form of each part in its place.

    windows.py, spade.py   SPADE's convolutions run once for each distinct window of the label map
    spectral.py            spectral norm without a copy of the weight
    blocks.py              a residual block whose convolutions keep no input
    discriminator.py       D's first convolution sees the label map once for fake and real

Each gives the same numbers as the plain code, up to rounding; docs/performance.md says what each is worth. recompute.py
is apart: `TrainingConfig.checkpointing`, less memory for more time.
"""

from typing import TypeVar, cast

from torch import nn

from ..blocks import SPADEResnetBlock, replace_modules
from ..discriminators import MultiScaleDiscriminator
from ..spectral import SpectralConv2d
from .blocks import LeanBlock
from .discriminator import FastDiscriminator
from .spade import with_patterns
from .spectral import FastSpectralConv2d

Network = TypeVar("Network", bound=nn.Module)


def speed_up(network: Network) -> Network:
    """Put the fast form in place of every SPADE layer, SPADE block and spectrally normed convolution; gives it back.

    A discriminator comes back as a FastDiscriminator. Parameters, buffers and weights files stay the same.
    """
    replace_modules(network, SpectralConv2d, FastSpectralConv2d)
    with_patterns(network)
    replace_modules(network, SPADEResnetBlock, LeanBlock)
    module: nn.Module = network
    if type(module) is MultiScaleDiscriminator:
        return cast(Network, FastDiscriminator(module))  # a MultiScaleDiscriminator, too
    return network
