"""How the published networks start (official code, commit fecacc9: models/networks/base_network.py lines 28 to 59)."""

import pytest
import torch
from torch import nn

from spade_edu.blocks import SPADEResnetBlock
from spade_edu.discriminators import MultiScaleDiscriminator
from spade_edu.encoder import StyleEncoder
from spade_edu.initialisation import init_pix2pixhd, init_spade


def layers_of(module):
    return [m for m in module.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)]


@pytest.mark.parametrize(
    "module", [SPADEResnetBlock(64, 32, 8), MultiScaleDiscriminator(8), StyleEncoder(nef=16)], ids=["G", "D", "E"]
)
def test_glorot_normal_with_gain_one_fiftieth_and_zero_biases(module):
    init_spade(module)
    for layer in layers_of(module):
        receptive = layer.weight[0, 0].numel()
        fan_in, fan_out = layer.weight.shape[1] * receptive, layer.weight.shape[0] * receptive
        expected = 0.02 * (2 / (fan_in + fan_out)) ** 0.5
        if layer.weight.numel() > 1000:
            assert layer.weight.std().item() == pytest.approx(expected, rel=0.1)
            assert layer.weight.abs().max() > 2.2 * expected  # normal, not uniform (which ends at 1.73)
        if layer.bias is not None:
            assert not layer.bias.any()


def test_standard_deviation_of_a_256_to_256_convolution():
    layer = init_spade(nn.Conv2d(256, 256, 3, padding=1))
    assert layer.weight.std().item() == pytest.approx(0.00042, rel=0.02)


def test_affine_batch_norm_starts_at_normal_1_002():
    norm = init_spade(nn.BatchNorm2d(5000))
    assert norm.weight.mean().item() == pytest.approx(1, abs=2e-3)
    assert norm.weight.std().item() == pytest.approx(0.02, rel=0.05) and not norm.bias.any()


def test_pix2pixhd_normal_002():
    layer = init_pix2pixhd(nn.Conv2d(64, 64, 3))
    assert layer.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert layer.bias.any()  # the biases keep torch's default


def test_initialisation_reaches_the_weight_under_spectral_norm():
    block = SPADEResnetBlock(64, 64, 8)
    before = block.conv_0.weight.std().item()
    init_spade(block)
    assert block.conv_0.weight.std().item() < before / 5
    assert torch.isfinite(block.conv_0.normalised_weight()).all()
