"""Norms against torch's own; SPADE against its equation, written out with plain torch functions."""

import socket

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from spade_edu.fast.spade import with_patterns
from spade_edu.normalization import (
    SPADE,
    BatchNorm2d,
    ConditionalBatchNorm2d,
    InstanceNorm2d,
    SyncBatchNorm,
    adain,
    batch_statistics,
    make_norm,
)

shapes = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(2, 6), st.integers(2, 6))
seeds = st.integers(0, 10_000)


def activations(shape, seed, scale=3.0, offset=5.0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale + offset


def spade_layer(features=5, labels=4, **options):
    layer = SPADE(features, labels, **options)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.3)
    return layer


@settings(max_examples=15, deadline=None)
@given(shapes, seeds, st.booleans())
def test_batch_norm_equals_torch(shape, seed, affine):
    ours, theirs = BatchNorm2d(shape[1], affine=affine), nn.BatchNorm2d(shape[1], affine=affine)
    if affine:
        nn.init.normal_(ours.weight), nn.init.normal_(ours.bias)
        theirs.load_state_dict(ours.state_dict())
    for step in range(3):
        x = activations(shape, seed + step)
        torch.testing.assert_close(ours(x), theirs(x), atol=1e-4, rtol=1e-4)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, msg=name)
    x = activations(shape, seed)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), atol=1e-4, rtol=1e-4)


def test_batch_norm_gradient_equals_torch():
    ours, theirs = BatchNorm2d(3), nn.BatchNorm2d(3)
    inputs = [activations((2, 3, 4, 4), 0).requires_grad_() for _ in range(2)]
    for norm, x in zip((ours, theirs), inputs):
        norm(x).pow(3).sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, atol=1e-4, rtol=1e-4)


def test_batch_norm_keeps_unbiased_running_variance_with_momentum_one_tenth():
    x = activations((2, 1, 3, 3), 1)
    norm = BatchNorm2d(1)
    norm(x)
    torch.testing.assert_close(norm.running_mean, 0.1 * x.mean()[None])
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * x.var(unbiased=True)[None])
    assert norm.num_batches_tracked == 1


def test_batch_norm_refuses_a_single_value():
    with pytest.raises(ValueError, match="more than one value"):
        BatchNorm2d(2)(torch.zeros(1, 2, 1, 1))


@settings(max_examples=15, deadline=None)
@given(shapes, seeds)
def test_sync_batch_norm_in_one_process_is_batch_norm(shape, seed):
    ours, theirs = SyncBatchNorm(shape[1], affine=False), nn.BatchNorm2d(shape[1], affine=False)
    for step in range(2):
        x = activations(shape, seed + step)
        torch.testing.assert_close(ours(x), theirs(x))
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, msg=name)
    x = activations(shape, seed)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


@settings(max_examples=15, deadline=None)
@given(shapes, seeds)
def test_instance_norm_equals_torch(shape, seed):
    x = activations(shape, seed)
    torch.testing.assert_close(InstanceNorm2d(shape[1])(x), F.instance_norm(x), atol=1e-4, rtol=1e-4)
    assert not InstanceNorm2d(3).state_dict()  # no gamma, no beta, no running averages


def test_instance_norm_loses_the_label_of_a_uniform_map():
    convolution = nn.Conv2d(4, 3, 1)
    maps = F.one_hot(torch.tensor([1, 2]), 4).float()[:, :, None, None].expand(2, 4, 6, 6)
    assert InstanceNorm2d(3)(convolution(maps)).abs().max() < 1e-2


def test_variance_takes_two_passes():
    x = activations((4, 1, 32, 32), 3, scale=0.1, offset=1000.0)
    _, variance = batch_statistics(x)
    exact = x.double().var(unbiased=False)
    assert abs(variance.item() / exact - 1) < 1e-3  # E[x^2] - mean^2 is off by more than 100 % here


@pytest.mark.parametrize(
    "kind, expected", [("batch", nn.BatchNorm2d), ("syncbatch", SyncBatchNorm), ("instance", nn.InstanceNorm2d)]
)
def test_make_norm(kind, expected):
    norm = make_norm(kind, 4)
    assert isinstance(norm, expected) and not list(norm.parameters())
    assert len(list(make_norm(kind, 4, affine=True).parameters())) == (0 if kind == "instance" else 2)


def test_make_norm_refuses_an_unknown_name():
    with pytest.raises(ValueError, match="'batchnorm'"):
        make_norm("batchnorm", 4)


# SPADE: equations 1 to 3; models/networks/normalization.py lines 66 to 110 of the official code, commit fecacc9 -----


def by_the_equation(layer, x, segmap):
    """SPADE in plain torch: (1 + gamma) * normalised x + beta, every step spelled out."""
    state, k = layer.state_dict(), layer.mlp_gamma.kernel_size[0]
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, unbiased=False)
    rows = torch.arange(x.shape[2]) * segmap.shape[2] // x.shape[2]  # nearest neighbour, by hand
    columns = torch.arange(x.shape[3]) * segmap.shape[3] // x.shape[3]
    resized = segmap[:, :, rows][:, :, :, columns]
    shared = F.conv2d(resized, state["mlp_shared.0.weight"], state["mlp_shared.0.bias"], padding=k // 2).clamp(min=0)
    gamma = F.conv2d(shared, state["mlp_gamma.weight"], state["mlp_gamma.bias"], padding=k // 2)
    beta = F.conv2d(shared, state["mlp_beta.weight"], state["mlp_beta.bias"], padding=k // 2)
    return (1 + gamma) * (x - mean) / (variance + 1e-5).sqrt() + beta


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("size", [(4, 6), (8, 12), (16, 24)])
def test_spade_is_its_equation_with_one_plus_gamma_and_nearest_mask(kernel_size, size):
    layer = spade_layer(kernel_size=kernel_size)
    x, segmap = activations((2, 5, *size), 0), torch.rand(2, 4, 8, 12)
    torch.testing.assert_close(layer(x, segmap), by_the_equation(layer, x, segmap), atol=1e-4, rtol=1e-4)


@settings(max_examples=10, deadline=None)
@given(shapes, st.integers(1, 4), st.sampled_from([1, 3, 5]), seeds)
def test_spade_keeps_the_shape_of_x(shape, labels, kernel_size, seed):
    layer = SPADE(shape[1], labels, kernel_size=kernel_size, hidden_channels=4)
    x = activations(shape, seed)
    assert layer(x, torch.rand(shape[0], labels, 8, 8)).shape == x.shape


def test_spade_starts_as_plain_normalisation_because_of_one_plus_gamma():
    layer = SPADE(3, 2)
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    x = activations((2, 3, 5, 5), 0)
    torch.testing.assert_close(layer(x, torch.rand(2, 2, 5, 5)), F.batch_norm(x, None, None, training=True))


def test_spade_hidden_width_is_128_and_kernel_3_by_default():
    layer = SPADE(7, 5)
    assert layer.mlp_shared[0].weight.shape == (128, 5, 3, 3)
    assert layer.mlp_gamma.weight.shape == layer.mlp_beta.weight.shape == (7, 128, 3, 3)
    assert all(c.bias is not None for c in (layer.mlp_shared[0], layer.mlp_gamma, layer.mlp_beta))


def test_spade_has_no_spectral_norm_and_its_norm_no_parameters():
    layer = SPADE(7, 5)
    assert set(layer.state_dict()) == {
        *(f"param_free_norm.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")),
        *(f"{name}.{kind}" for name in ("mlp_shared.0", "mlp_gamma", "mlp_beta") for kind in ("weight", "bias")),
    }


def test_spade_uses_running_statistics_in_evaluation():
    layer = spade_layer(3, 2).eval()
    layer.param_free_norm.running_mean.fill_(2.0)
    layer.param_free_norm.running_var.fill_(9.0)
    x, segmap = activations((1, 3, 4, 4), 0), torch.rand(1, 2, 4, 4)
    gamma, beta = layer.modulation(segmap, (4, 4))
    torch.testing.assert_close(layer(x, segmap), (1 + gamma) * (x - 2) / (9 + 1e-5) ** 0.5 + beta)


@pytest.mark.parametrize("norm, over", [("batch", (0, 2, 3)), ("syncbatch", (0, 2, 3)), ("instance", (2, 3))])
def test_spade_norm_choices(norm, over):
    layer = spade_layer(3, 2, norm=norm)
    x, segmap = activations((2, 3, 4, 4), 0), torch.rand(2, 2, 4, 4)
    gamma, beta = layer.modulation(segmap, (4, 4))
    normalised = (x - x.mean(over, keepdim=True)) / (x.var(over, keepdim=True, unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(layer(x, segmap), (1 + gamma) * normalised + beta, atol=1e-4, rtol=1e-4)


def test_spade_refuses_an_even_kernel():
    with pytest.raises(ValueError, match="odd"):
        SPADE(3, 2, kernel_size=4)


# Special cases -------------------------------------------------------------------------------------------------------


def uniform_maps(label, classes, size):
    return F.one_hot(label, classes).float()[:, :, None, None].expand(-1, -1, size, size)


@pytest.mark.parametrize("kernel_size, rim", [(1, 0), (3, 2), (5, 4)])
def test_spade_with_a_constant_mask_is_conditional_batch_norm(kernel_size, rim):
    layer = spade_layer(5, 4, kernel_size=kernel_size)
    conditional = ConditionalBatchNorm2d.from_spade(layer)
    label = torch.tensor([2, 0, 3])
    x = activations((3, 5, 12, 12), 0)
    ours, expected = layer(x, uniform_maps(label, 4, 12)), conditional(x, label)
    inside = slice(rim, 12 - rim)  # at the rim the convolutions see padding
    torch.testing.assert_close(ours[..., inside, inside], expected[..., inside, inside], atol=1e-4, rtol=1e-4)
    assert (conditional.gamma.std(0) > 0).all()  # the classes do differ


def test_conditional_batch_norm_by_hand():
    layer = ConditionalBatchNorm2d(3, 4)
    nn.init.normal_(layer.gamma), nn.init.normal_(layer.beta)
    x, label = activations((2, 3, 5, 5), 0), torch.tensor([3, 1])
    normalised = F.batch_norm(x, None, None, training=True)
    for i, k in enumerate(label):
        expected = normalised[i] * layer.gamma[k][:, None, None] + layer.beta[k][:, None, None]
        torch.testing.assert_close(layer(x, label)[i], expected)


def test_spade_with_one_image_and_constant_style_is_adain():
    layer = spade_layer(5, 4, kernel_size=1)
    style = torch.randn(1, 4, 1, 1).expand(1, 4, 8, 8)  # the same features at every pixel
    x = activations((1, 5, 8, 8), 0)
    gamma, beta = layer.modulation(style, (1, 1))
    expected = adain(x, mean=beta[:, :, 0, 0], deviation=1 + gamma[:, :, 0, 0])
    torch.testing.assert_close(layer(x, style), expected, atol=1e-4, rtol=1e-4)


def test_adain_gives_the_styles_mean_and_deviation():
    x, mean, deviation = activations((2, 3, 8, 8), 0), torch.randn(2, 3), torch.rand(2, 3) + 0.5
    y = adain(x, mean, deviation)
    torch.testing.assert_close(y.mean((2, 3)), mean, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(y.std((2, 3), unbiased=False), deviation, atol=1e-4, rtol=1e-4)


# Several processes ---------------------------------------------------------------------------------------------------


def _sync_process(rank, port, folder):
    import torch.distributed as dist

    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    x = activations((4, 3, 5, 5), 0)[2 * rank : 2 * rank + 2].clone().requires_grad_()
    norm = SyncBatchNorm(3)
    y = norm(x)
    y.pow(3).sum().backward()
    torch.save({"y": y.detach(), "grad": x.grad, **norm.state_dict()}, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_sync_batch_norm_over_two_processes_is_batch_norm_of_the_whole_batch(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_sync_process, (port, str(tmp_path)), nprocs=2)
    parts = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    x, norm = activations((4, 3, 5, 5), 0).requires_grad_(), nn.BatchNorm2d(3)
    y = norm(x)
    y.pow(3).sum().backward()
    torch.testing.assert_close(torch.cat([p["y"] for p in parts]), y.detach(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(torch.cat([p["grad"] for p in parts]), x.grad, atol=1e-3, rtol=1e-3)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        for part in parts:
            torch.testing.assert_close(part[name], norm.state_dict()[name], msg=name)


# Running averages and overflows ---------------------------------------------------------------------------------------


def pattern_spade():
    return with_patterns(nn.ModuleList([SPADE(3, 2)]), always=True)[0]


NORMS = {
    "ours": lambda: BatchNorm2d(3),
    "batch": lambda: make_norm("batch", 3),
    "syncbatch": lambda: make_norm("syncbatch", 3),
    "in SPADE": lambda: SPADE(3, 2),
    "in fast SPADE": pattern_spade,
}


def averages_after(make, *batches):
    torch.manual_seed(0)
    layer = make()
    segmap = torch.eye(2)[torch.randint(2, (2, 8, 8))].permute(0, 3, 1, 2).contiguous()
    for x in batches:
        layer(x, segmap) if isinstance(layer, SPADE) else layer(x)
    return {name.split(".")[-1]: b for name, b in layer.named_buffers() if "running" in name}


@pytest.mark.parametrize("make", NORMS.values(), ids=NORMS)
@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_an_overflow_in_one_channel_leaves_its_running_averages(make, value):
    first, second = activations((2, 3, 8, 8), 0), activations((2, 3, 8, 8), 1)
    broken = second.clone()
    broken[0, 1, 2, 3] = value
    before, sound, after = (averages_after(make, *b) for b in ((first,), (first, second), (first, broken)))
    for name in before:
        assert torch.equal(after[name][1], before[name][1]), name
        assert torch.equal(after[name][[0, 2]], sound[name][[0, 2]]), name


@pytest.mark.parametrize("kind", ["batch", "syncbatch"])
@pytest.mark.parametrize("affine", [False, True])
def test_fused_norms_are_torchs_to_the_bit(kind, affine):
    ours, theirs = make_norm(kind, 3, affine=affine), nn.BatchNorm2d(3, affine=affine)
    for seed in range(3):
        x, other = (activations((2, 3, 8, 8), seed).requires_grad_() for _ in range(2))
        y, expected = ours(x), theirs(other)
        y.square().sum().backward(), expected.square().sum().backward()
        assert torch.equal(y, expected) and torch.equal(x.grad, other.grad)
    for (name, mine), value in zip(ours.state_dict().items(), theirs.state_dict().values()):
        assert torch.equal(mine, value), name
    assert torch.equal(ours.eval()(x), theirs.eval()(x))
