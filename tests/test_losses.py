"""Losses by hand.

The paper's section 3 and appendix A; models/networks/loss.py and models/pix2pix_model.py lines 144 to 161 of the
official code, commit fecacc9. Least squares are pix2pixHD's.
"""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spade_edu import losses
from spade_edu.losses import VGG_WEIGHTS
from spade_edu.pretrained.perceptual import VGGFeatures

FAKE = [
    [torch.full((1, 2, 2, 2), 1.0), torch.tensor([[[[-2.0, 0.5]]]])],
    [torch.zeros(1, 2, 1, 1), torch.full((1, 1, 1, 1), 3.0)],
]
REAL = [
    [torch.full((1, 2, 2, 2), 4.0), torch.tensor([[[[0.0, 2.0]]]])],
    [torch.full((1, 2, 1, 1), -1.0), torch.full((1, 1, 1, 1), 0.5)],
]


def test_hinge_generator_is_minus_the_mean_averaged_over_scales():
    assert losses.hinge_generator(FAKE).item() == pytest.approx((0.75 - 3.0) / 2)


def test_hinge_discriminator_averaged_over_scales():
    real = ((1.0 + 0.0) / 2 + 0.5) / 2
    fake = ((0.0 + 1.5) / 2 + 4.0) / 2
    assert losses.hinge_real(REAL).item() == pytest.approx(real)
    assert losses.hinge_fake(FAKE).item() == pytest.approx(fake)
    assert losses.hinge_discriminator(REAL, FAKE).item() == pytest.approx(real + fake)


def test_lsgan_is_summed_over_scales():
    assert losses.lsgan(FAKE, True).item() == pytest.approx((9 + 0.25) / 2 + 4)
    assert losses.lsgan(FAKE, False).item() == pytest.approx((4 + 0.25) / 2 + 9)


def test_feature_matching_leaves_the_prediction_out_and_averages_over_scales():
    assert losses.feature_matching(FAKE, REAL).item() == pytest.approx((3 + 1) / 2)


def test_feature_matching_sums_over_layers():
    layers = [[torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1, 1)]]
    other = [[torch.ones(1, 1, 2, 2), torch.full((1, 1, 1, 1), 5.0), torch.full((1, 1, 1, 1), 9.0)]]
    assert losses.feature_matching(layers, other).item() == pytest.approx(6)


def test_feature_matching_detaches_the_real_features():
    fake, real = (torch.rand(1, 1, 2, 2, requires_grad=True) for _ in range(2))
    losses.feature_matching([[fake, fake]], [[real, real]]).backward()
    assert fake.grad is not None and real.grad is None


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 999))
def test_kl_is_summed_over_batch_and_dimensions(n, d, seed):
    generator = torch.Generator().manual_seed(seed)
    mu, logvar = torch.randn(n, d, generator=generator), torch.randn(n, d, generator=generator)
    pairs = zip(mu.flatten().tolist(), logvar.flatten().tolist())
    by_hand = sum(-0.5 * (1 + v - m * m - math.exp(v)) for m, v in pairs)
    assert losses.kl_divergence(mu, logvar).item() == pytest.approx(by_hand, rel=1e-4, abs=1e-5)


def test_kl_agrees_with_torch_distributions():
    mu, logvar = torch.randn(3, 4), torch.randn(3, 4)
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mu, (logvar / 2).exp()), normal(0.0, 1.0)).sum()
    torch.testing.assert_close(losses.kl_divergence(mu, logvar), expected)


def test_perceptual_weights_and_layers():
    real, fake = torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)
    value = losses.perceptual(lambda x: [x, 2 * x], (0.25, 1.0), fake, real)
    assert value.item() == pytest.approx(0.25 + 2)
    assert VGG_WEIGHTS == (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)


@pytest.fixture(scope="module")
def vgg():
    return VGGFeatures(weights=None)


def test_vgg_layers_are_relu_1_1_to_5_1_of_the_image_as_it_is(vgg):
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    x, expected = image, []
    for layer in (layer for part in vgg.slices for layer in part):
        x = layer(x.clone())
        if isinstance(layer, torch.nn.ReLU):
            expected.append(x)
    features = vgg(image)
    assert [tuple(f.shape[1:]) for f in features] == [
        (64, 32, 32),
        (128, 16, 16),
        (256, 8, 8),
        (512, 4, 4),
        (512, 2, 2),
    ]
    for feature, i in zip(features, (0, 2, 4, 8, 12)):  # relu1_1, 2_1, 3_1, 4_1, 5_1 in the order of all ReLUs
        torch.testing.assert_close(feature, expected[i])


def test_vgg_is_frozen_but_lets_gradients_through(vgg):
    image = torch.rand(1, 3, 16, 16, requires_grad=True)
    losses.perceptual(vgg, VGG_WEIGHTS, image, torch.zeros(1, 3, 16, 16)).backward()
    assert image.grad is not None and not any(p.requires_grad for p in vgg.parameters())
