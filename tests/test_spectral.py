"""Spectral norm against torch's old hook, whose order (v before u) is the official code's."""

import copy
import warnings

import pytest
import torch
from torch import nn

from spade_edu.spectral import SpectralConv2d, SpectralConvTranspose2d


def hooked(ours):
    """torch's hook-style spectral norm around the same weights and the same u and v."""
    kind = nn.ConvTranspose2d if isinstance(ours, nn.ConvTranspose2d) else nn.Conv2d
    theirs = kind(3, 4, 3, padding=1)
    theirs.load_state_dict({"weight": ours.weight.data, "bias": ours.bias.data})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        theirs = nn.utils.spectral_norm(theirs)
    theirs.weight_u.copy_(ours.u)
    theirs.weight_v.copy_(ours.v)
    return theirs


@pytest.mark.parametrize("kind", [SpectralConv2d, SpectralConvTranspose2d])
def test_power_iteration_order_is_v_then_u_over_training_steps(kind):
    ours = kind(3, 4, 3, padding=1)
    theirs = hooked(ours)
    optimizers = [torch.optim.SGD(layer.parameters(), 0.1) for layer in (ours, theirs)]
    for _ in range(4):
        x = torch.randn(2, 3, 5, 5)
        for layer, optimizer in zip((ours, theirs), optimizers):
            optimizer.zero_grad()
            layer(x).square().mean().backward()
            optimizer.step()
        torch.testing.assert_close(ours.weight, theirs.weight_orig)
        torch.testing.assert_close(ours.u, theirs.weight_u)
        torch.testing.assert_close(ours.v, theirs.weight_v)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_two_forwards_before_one_backward_advance_twice():
    ours = SpectralConv2d(3, 4, 3, padding=1)
    theirs = hooked(ours)
    x = torch.randn(1, 3, 5, 5)
    for layer in (ours, theirs):
        (layer(x) + layer(2 * x)).square().sum().backward()
    torch.testing.assert_close(ours.u, theirs.weight_u)
    torch.testing.assert_close(ours.weight.grad, theirs.weight_orig.grad)


def test_evaluation_uses_the_stored_pair():
    layer = SpectralConv2d(3, 4, 3).eval()
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    layer(torch.randn(1, 3, 5, 5))
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())


def test_largest_singular_value_becomes_one():
    layer = SpectralConv2d(3, 4, 3)
    for _ in range(100):
        layer.power_iteration()
    layer.eval()
    assert torch.linalg.matrix_norm(layer.normalised_weight().flatten(1), 2).item() == pytest.approx(1, abs=1e-4)


def test_can_be_copied_after_a_forward_pass():
    layer = SpectralConv2d(3, 4, 3)
    x = torch.randn(1, 3, 5, 5)
    layer(x)
    torch.testing.assert_close(copy.deepcopy(layer).eval()(x), layer.eval()(x))


def test_scale_of_the_weight_cancels():
    layer = SpectralConv2d(3, 4, 3)
    x = torch.randn(1, 3, 5, 5)
    layer.bias.data.zero_()
    before = layer.eval()(x)
    layer.weight.data.mul_(50)
    torch.testing.assert_close(layer(x), before)
