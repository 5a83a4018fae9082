"""Residual blocks against the same computation in plain torch functions.

SPADE's: models/networks/architecture.py lines 21 to 68 of the official code, commit fecacc9. Figure 11 of the paper has
another activation and skip path (docs/paper-vs-code.md).
"""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from spade_edu.blocks import ResnetBlock, SPADEResnetBlock
from spade_edu.normalization import SPADE
from spade_edu.spectral import SpectralConv2d


def randomised(module):
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.2)
    return module.eval()


def normalised(conv):
    """The weight under spectral norm, from the stored pair."""
    return conv.weight / (conv.u @ conv.weight.flatten(1) @ conv.v)


def spade_block_by_hand(block, x, segmap):
    def convolve(conv, y):
        return F.conv2d(y, normalised(conv), conv.bias, padding=conv.weight.shape[-1] // 2)

    skip = convolve(block.conv_s, block.norm_s(x, segmap)) if hasattr(block, "conv_s") else x
    dx = convolve(block.conv_0, F.leaky_relu(block.norm_0(x, segmap), 0.2))
    return skip + convolve(block.conv_1, F.leaky_relu(block.norm_1(dx, segmap), 0.2))


@pytest.mark.parametrize("fin, fout", [(6, 6), (6, 4), (4, 6)])
def test_spade_block_is_spade_leaky_conv_twice_plus_skip_without_activation(fin, fout):
    block = randomised(SPADEResnetBlock(fin, fout, 3, hidden_channels=8))
    x, segmap = torch.randn(2, fin, 6, 8), torch.rand(2, 3, 12, 16)
    torch.testing.assert_close(block(x, segmap), spade_block_by_hand(block, x, segmap), atol=1e-4, rtol=1e-4)


def test_spade_block_skip_is_the_input_itself_where_widths_agree():
    block = SPADEResnetBlock(6, 6, 3)
    assert not hasattr(block, "conv_s") and not hasattr(block, "norm_s")


def test_spade_block_middle_width_is_the_smaller_one():
    assert SPADEResnetBlock(6, 4, 3).conv_0.weight.shape == (4, 6, 3, 3)
    assert SPADEResnetBlock(4, 6, 3).conv_0.weight.shape == (4, 4, 3, 3)


def test_spade_block_learned_skip_is_1x1_without_bias():
    block = SPADEResnetBlock(6, 4, 3)
    assert block.conv_s.weight.shape == (4, 6, 1, 1) and block.conv_s.bias is None
    assert block.conv_0.bias is not None and block.conv_1.bias is not None


def test_spectral_norm_sits_on_the_three_convolutions_and_not_inside_spade():
    block = SPADEResnetBlock(6, 4, 3)
    spectral = {name for name, layer in block.named_modules() if isinstance(layer, SpectralConv2d)}
    assert spectral == {"conv_0", "conv_1", "conv_s"}
    plain = SPADEResnetBlock(6, 4, 3, spectral=False)
    assert not any(isinstance(layer, SpectralConv2d) for layer in plain.modules())


def test_spade_block_normalises_input_middle_and_skip():
    block = SPADEResnetBlock(6, 4, 3)
    assert [layer.mlp_gamma.out_channels for layer in block.modules() if isinstance(layer, SPADE)] == [6, 4, 6]


def test_pix2pixhd_block_by_hand():
    block = randomised(ResnetBlock(4))
    x = torch.randn(2, 4, 6, 6)
    y = F.pad(x, (1, 1, 1, 1), mode="reflect")
    y = F.relu(F.instance_norm(F.conv2d(y, block.conv_block[1].weight, block.conv_block[1].bias)))
    y = F.pad(y, (1, 1, 1, 1), mode="reflect")
    y = F.instance_norm(F.conv2d(y, block.conv_block[5].weight, block.conv_block[5].bias))
    torch.testing.assert_close(block(x), x + y, atol=1e-4, rtol=1e-4)  # no activation after the sum
