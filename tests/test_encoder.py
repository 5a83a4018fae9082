"""The style encoder: the paper's Figure 14; models/networks/encoder.py lines 13 to 55 of the official code, fecacc9."""

import pytest
import torch
from torch.nn import functional as F

from spade_edu.encoder import StyleEncoder, reparameterise
from spade_edu.errors import UserError


def encoder_by_hand(encoder, image):
    x = F.interpolate(image, size=(encoder.image_size,) * 2, mode="bilinear", align_corners=False)
    for layer in encoder.layers:
        conv = layer[0]
        weight = conv.weight / (conv.u @ conv.weight.flatten(1) @ conv.v)
        x = F.leaky_relu(F.instance_norm(F.conv2d(x, weight, stride=2, padding=1)), 0.2)
    x = x.reshape(len(x), -1)
    return x @ encoder.fc_mu.weight.T + encoder.fc_mu.bias, x @ encoder.fc_var.weight.T + encoder.fc_var.bias


@pytest.mark.parametrize("size", [(256, 256), (64, 128)])
def test_forward_pass_by_hand_after_bilinear_resize_to_256(size):
    encoder = StyleEncoder(nef=2, z_dim=5).eval()
    image = torch.rand(2, 3, *size) * 2 - 1
    for ours, theirs in zip(encoder(image), encoder_by_hand(encoder, image)):
        assert ours.shape == (2, 5)
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_six_convolutions_of_the_published_widths():
    with torch.device("meta"):
        encoder = StyleEncoder()
    assert [layer[0].out_channels for layer in encoder.layers] == [64, 128, 256, 512, 512, 512]
    assert all(layer[0].bias is None and layer[0].kernel_size == (3, 3) for layer in encoder.layers)
    assert encoder.fc_mu.weight.shape == encoder.fc_var.weight.shape == (256, 8192)
    assert sum(p.numel() for p in encoder.parameters()) == 10_463_424


@pytest.mark.parametrize("image_size, depth", [(16, 2), (32, 3), (64, 4), (128, 5)])
def test_works_below_256_where_the_official_one_fails(image_size, depth):
    encoder = StyleEncoder(nef=2, z_dim=5, image_size=image_size)
    mu, logvar = encoder(torch.rand(2, 3, 40, 48))
    assert len(encoder.layers) == depth and mu.shape == logvar.shape == (2, 5)


@pytest.mark.parametrize("image_size", [8, 100, 512])
def test_other_sizes_are_refused(image_size):
    with pytest.raises(UserError, match=f"not {image_size}"):
        StyleEncoder(image_size=image_size)


def test_reparameterise_is_mu_plus_eps_times_exp_half_logvar():
    mu, logvar = torch.randn(3, 4), torch.randn(3, 4)
    torch.manual_seed(5)
    z = reparameterise(mu, logvar)
    torch.manual_seed(5)
    torch.testing.assert_close(z, mu + torch.randn(3, 4) * torch.exp(logvar / 2))


def test_reparameterised_gradient_reaches_both():
    mu, logvar = torch.randn(3, 4, requires_grad=True), torch.randn(3, 4, requires_grad=True)
    reparameterise(mu, logvar).sum().backward()
    assert torch.equal(mu.grad, torch.ones(3, 4)) and logvar.grad.abs().min() > 0
