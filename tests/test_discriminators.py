"""Discriminators: sizes, widths, pooling and a forward pass in plain torch.

The paper's Figure 13; models/networks/discriminator.py lines 14 to 120 of the official code, commit fecacc9.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from spade_edu.config import TrainingConfig
from spade_edu.discriminators import MultiScaleDiscriminator, PatchDiscriminator
from spade_edu.models import build
from spade_edu.spectral import SpectralConv2d


def heights(features):
    return [[f.shape[-2] for f in scale] for scale in features]


def judge(discriminator, height, width, labels=2):
    return discriminator(torch.rand(1, labels, height, width), torch.rand(1, 3, height, width))


def test_map_sizes_at_256():
    features = judge(MultiScaleDiscriminator(2, ndf=2), 256, 256)
    assert heights(features) == [[129, 65, 33, 34, 35], [65, 33, 17, 18, 19]]


@pytest.mark.parametrize("height, width, last", [(256, 512, [(35, 67), (19, 35)]), (64, 128, [(11, 19), (7, 11)])])
def test_prediction_sizes(height, width, last):
    features = judge(MultiScaleDiscriminator(2, ndf=2), height, width)
    assert [tuple(scale[-1].shape[-2:]) for scale in features] == last


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 3), st.integers(2, 5), st.integers(24, 48), st.integers(24, 48))
def test_shapes_for_any_size(scales, layers, height, width):
    discriminator = MultiScaleDiscriminator(2, ndf=2, num_scales=scales, num_layers=layers)
    features = judge(discriminator, height, width)
    assert len(features) == scales and all(len(scale) == layers + 1 for scale in features)
    assert all(scale[-1].shape[1] == 1 for scale in features)


def test_widths_strides_and_padding():
    convolutions = [layer[0] for layer in PatchDiscriminator(39).layers]
    assert [c.in_channels for c in convolutions] == [39, 64, 128, 256, 512]
    assert [c.out_channels for c in convolutions] == [64, 128, 256, 512, 1]
    assert [c.stride[0] for c in convolutions] == [2, 2, 2, 1, 1]
    assert all(c.kernel_size == (4, 4) and c.padding == (2, 2) for c in convolutions)


def test_widths_stop_at_512():
    convolutions = [layer[0] for layer in PatchDiscriminator(39, num_layers=6).layers]
    assert [c.out_channels for c in convolutions] == [64, 128, 256, 512, 512, 512, 1]
    assert [c.stride[0] for c in convolutions] == [2, 2, 2, 2, 2, 1, 1]


def test_spectral_and_instance_norm_on_the_middle_three_without_bias():
    layers = PatchDiscriminator(39).layers
    assert [isinstance(layer[0], SpectralConv2d) for layer in layers] == [False, True, True, True, False]
    assert [layer[0].bias is not None for layer in layers] == [True, False, False, False, True]
    assert [any(isinstance(x, nn.InstanceNorm2d) for x in layer) for layer in layers] == [
        False,
        True,
        True,
        True,
        False,
    ]
    assert not any(list(layer[1].parameters()) for layer in layers[1:4])  # instance norm without affine


def test_forward_pass_by_hand():
    discriminator = MultiScaleDiscriminator(2, ndf=4).eval()
    segmap, image = torch.rand(2, 2, 32, 40), torch.rand(2, 3, 32, 40)
    x = torch.cat([segmap, image], dim=1)  # label map first
    for scale, features in zip(discriminator.scales, discriminator(segmap, image)):
        y = x
        for i, (layer, feature) in enumerate(zip(scale.layers, features)):
            weight, stride = layer[0].weight, 2 if i < 3 else 1
            if 0 < i < 4:
                weight = weight / (layer[0].u @ weight.flatten(1) @ layer[0].v)
            y = F.conv2d(y, weight, layer[0].bias, stride=stride, padding=2)
            y = F.instance_norm(y) if 0 < i < 4 else y
            y = F.leaky_relu(y, 0.2) if i < 4 else y
            torch.testing.assert_close(feature, y, atol=1e-4, rtol=1e-4)
        total = F.avg_pool2d(x, 3, stride=2, padding=1, divisor_override=1)  # padding isn't counted
        x = total / F.avg_pool2d(torch.ones_like(x), 3, stride=2, padding=1, divisor_override=1)


def test_scales_have_weights_of_their_own():
    first, second = MultiScaleDiscriminator(2, ndf=2).scales
    assert not {id(p) for p in first.parameters()} & {id(p) for p in second.parameters()}


@pytest.mark.parametrize("channels, total", [(36, 5_601_410), (184, 5_904_514), (151, 5_836_930)])
def test_parameter_totals(channels, total):
    with torch.device("meta"):
        discriminator = MultiScaleDiscriminator(channels)
    assert sum(p.numel() for p in discriminator.parameters()) == total


@pytest.mark.parametrize("scales, total", [(2, 5_603_202), (3, 8_404_803)])
def test_pix2pixhd_parameter_totals(scales, total):
    with torch.device("meta"):
        discriminator = MultiScaleDiscriminator(36, num_scales=scales, spectral=False, bias=True)
    assert sum(p.numel() for p in discriminator.parameters()) == total


@pytest.mark.parametrize("model, each", [("spade", 2_800_705), ("pix2pixhd", 2_801_601)])
def test_the_number_of_scales_is_a_setting(model, each):
    config = TrainingConfig(model=model, num_scales_d=3, ngf=1)
    with torch.device("meta"):
        discriminator = build(config, 36).discriminator
    assert len(discriminator.scales) == 3 and sum(p.numel() for p in discriminator.parameters()) == 3 * each
    assert TrainingConfig().num_scales_d == 2
