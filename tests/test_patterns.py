"""SPADE on distinct windows against SPADE by convolutions: same results, gradients, and weights after training."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from spade_edu.config import TrainingConfig
from spade_edu.fast.spade import LabelPatterns, PatternSPADE, label_ids, with_patterns
from spade_edu.fast.windows import Groups, distinct, distinct_windows
from spade_edu.generators import SPADEGenerator
from spade_edu.labels import instance_edges, one_hot
from spade_edu.models import build
from spade_edu.normalization import SPADE
from spade_edu.training import Trainer


def blocky_map(n=2, classes=4, height=16, width=24, block=4, seed=0, edges=True):
    """One-hot classes, constant on blocks, with an edge channel."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(classes, (n, -(-height // block), -(-width // block)), generator=generator)
    label = coarse.repeat_interleave(block, 1).repeat_interleave(block, 2)[:, :height, :width]
    segmap = one_hot(label, classes)
    return torch.cat([segmap, instance_edges(label)], dim=1) if edges else segmap


def pair(features=5, labels=5, dtype=torch.float64, **options):
    """A plain layer and one on windows, with the same parameters but not sharing them."""
    plain = SPADE(features, labels, hidden_channels=6, **options).to(dtype)
    for parameter in plain.parameters():
        nn.init.normal_(parameter, std=0.5)
    return plain, PatternSPADE(copy.deepcopy(plain), LabelPatterns(always=True))


def outcome(layer, x, segmap):
    """Result, gradients and buffers after one forward and backward pass."""
    x = x.clone().requires_grad_()
    y = layer(x, segmap)
    weight = torch.arange(y.numel(), dtype=y.dtype).view_as(y) % 7 - 3
    (y * weight).sum().backward()
    named = {name: p.grad for name, p in layer.named_parameters()} | dict(layer.named_buffers())
    return named | {"y": y.detach(), "x": x.grad}


def assert_same(first, second, **tolerance):
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(first[name], second[name], msg=lambda text, n=name: f"{n}: {text}", **tolerance)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(2, 9),
    st.integers(2, 11),
    st.sampled_from([1, 3, 5]),
    st.integers(1, 4),
    st.booleans(),
    st.booleans(),
    st.integers(0, 1000),
)
def test_windows_equal_convolutions_in_float64(n, height, width, kernel_size, block, training, edges, seed):
    plain, fast = pair(labels=4 + edges, kernel_size=kernel_size)
    segmap = blocky_map(n, 4, height, width, block, seed, edges).double()
    x = 3 * torch.randn(n, 5, height, width, dtype=torch.float64) + 1
    plain.train(training), fast.train(training)
    assert_same(outcome(plain, x, segmap), outcome(fast, x, segmap), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("computed_again", [True, False])
def test_leaky_relu_included(computed_again):
    plain, fast = pair()
    segmap, x = blocky_map().double(), torch.randn(2, 5, 16, 24, dtype=torch.float64, requires_grad=True)
    expected = F.leaky_relu(plain(x, segmap), 0.2)
    found, recompute = fast.activated(x, segmap, 0.2)
    if computed_again:  # as by a convolution, whose backward pass comes before SPADE's
        torch.testing.assert_close(recompute(), found)
    torch.testing.assert_close(found, expected)
    dy = torch.randn_like(found)
    wanted = torch.autograd.grad(expected, [x, *plain.parameters()], dy)
    for a, b in zip(wanted, torch.autograd.grad(found, [x, *fast.parameters()], dy)):
        torch.testing.assert_close(b, a)


@pytest.mark.parametrize("norm", ["batch", "syncbatch", "instance", "none"])
@pytest.mark.parametrize("training", [True, False])
def test_every_norm_at_a_coarser_resolution(norm, training):
    plain, fast = pair(norm=norm)
    x, segmap = torch.randn(2, 5, 8, 12, dtype=torch.float64), blocky_map(2).double()
    plain.train(training), fast.train(training)
    assert_same(outcome(plain, x, segmap), outcome(fast, x, segmap), atol=1e-9, rtol=1e-9)


def test_float32_within_one_in_a_hundred_thousand():
    plain, fast = pair(features=16, dtype=torch.float32)
    x, segmap = 3 * torch.randn(4, 16, 64, 64) + 5, blocky_map(4, height=64, width=64, block=8)
    exact = outcome(copy.deepcopy(plain).double(), x.double(), segmap.double())
    for name, value in outcome(fast, x, segmap).items():
        assert (value - exact[name]).double().norm() <= 1e-5 * exact[name].double().norm(), name


@pytest.mark.parametrize("channels_last", [True, False])
def test_bf16_autocast_is_as_exact_as_convolutions(channels_last):
    plain, fast = pair(features=16, dtype=torch.float32)
    memory = torch.channels_last if channels_last else torch.contiguous_format
    x = torch.randn(2, 16, 32, 32).bfloat16().to(memory_format=memory)
    segmap = blocky_map(2, height=32, width=32, block=8)
    exact = outcome(copy.deepcopy(plain), x.float(), segmap)
    distance = {}
    for name, layer in dict(plain=plain, fast=fast).items():
        with torch.autocast("cpu", torch.bfloat16):
            found = outcome(layer, x, segmap.bfloat16())
        assert found["y"].dtype == torch.bfloat16
        distance[name] = {k: (v.float() - exact[k].float()).norm() / exact[k].float().norm() for k, v in found.items()}
    for name in ("y", "x", "mlp_gamma.weight", "mlp_beta.weight", "mlp_shared.0.weight"):
        assert distance["fast"][name] < max(1.5 * distance["plain"][name], 0.01), name


def test_outside_is_not_a_class():
    plain, fast = pair()
    uniform = torch.zeros(1, 5, 8, 8, dtype=torch.float64)
    uniform[:, 2] = 1
    x = torch.randn(1, 5, 8, 8, dtype=torch.float64)
    y = fast(x, uniform)
    torch.testing.assert_close(y, plain(x, uniform))
    plan = fast.patterns.plan(uniform, (8, 8), 3, 128)
    assert len(plan.output.products) == 25  # 5 x 5 distances to the rim: 0, 1, at least 2, 1, 0


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 3), st.integers(1, 8), st.integers(1, 8), st.integers(1, 4), st.sampled_from([1, 3, 5]), st.data()
)
def test_distinct_windows_give_every_pixel_its_window(n, height, width, number, kernel_size, data):
    ids = torch.tensor(data.draw(st.lists(st.integers(0, number - 1), min_size=1, max_size=n * height * width)))
    ids = ids.repeat(n * height * width)[: n * height * width].view(n, height, width)
    windows = distinct_windows(ids, number, kernel_size)
    padded = F.pad(ids, (kernel_size // 2,) * 4, value=number).double()
    expected = F.unfold(padded[:, None], kernel_size).transpose(1, 2).flatten(0, 1).long()
    assert torch.equal(windows.ids[windows.pixels.index], expected)
    assert len(windows.ids) == len(expected.unique(dim=0))


def test_label_ids_tell_every_label_vector_apart():
    segmap = blocky_map(3, classes=150, height=32, width=32, block=2)
    ids, vectors = label_ids(segmap)
    assert torch.equal(vectors[ids].permute(0, 3, 1, 2), segmap)
    assert len(vectors) == len(segmap.permute(0, 2, 3, 1).flatten(0, 2).unique(dim=0))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=300), st.sampled_from([None, 1, 7, 64]))
def test_groups_add_up_their_rows(groups, run):
    groups = torch.tensor(groups)
    values = torch.randn(len(groups), 3, dtype=torch.float64)
    found = distinct(groups)
    expected = torch.zeros(len(found.starts), 3, dtype=torch.float64).index_add_(0, found.index, values)
    torch.testing.assert_close(Groups(found.order, found.starts, run=run).sum(values), expected)


def test_crafted_soft_vectors_may_share_a_number_as_the_docstring_says():
    """Only them: it costs a wrong picture, which is why nothing but 0 and 1 is promised."""
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randint(2**52 // 2, (2,), generator=generator).double()
    segmap = torch.stack([torch.stack([second, torch.zeros(())]), torch.stack([torch.zeros(()), first])], dim=-1)
    ids, _ = label_ids(segmap.view(1, 2, 1, 2))
    assert ids.unique().numel() == 1 and "may be crafted" in label_ids.__doc__


def test_soft_label_maps_and_the_meta_device_go_through_the_convolutions():
    plain = SPADE(4, 5)
    fast = PatternSPADE(plain, LabelPatterns())
    soft = torch.rand(2, 5, 64, 64)
    assert fast.patterns.plan(soft, (64, 64), 3, 128) is None
    x = torch.randn(2, 4, 64, 64)
    torch.testing.assert_close(fast(x, soft), plain(x, soft))
    needs_gradient = blocky_map(2, 4, 64, 64, 16).requires_grad_()
    fast(x, needs_gradient).sum().backward()
    assert needs_gradient.grad is not None
    fast = fast.to("meta")
    assert fast(x.to("meta"), soft.to("meta")).shape == x.shape


def test_windows_are_taken_where_few_are_distinct_only():
    patterns = LabelPatterns()
    assert patterns.plan(blocky_map(2, 4, 64, 64, 16), (64, 64), 3, 128) is not None
    assert patterns.plan(blocky_map(2, 4, 64, 64, 1), (64, 64), 3, 128) is None
    assert patterns.plan(blocky_map(2, 4, 64, 64, 16), (8, 8), 3, 128) is None
    blocks = blocky_map(2, 4, 64, 64, 6)  # looking up is dear where the convolutions saved are narrow
    assert patterns.plan(blocks, (64, 64), 3, 128) is not None and patterns.plan(blocks, (64, 64), 3, 8) is None


def test_a_plan_is_made_once_a_label_map_and_anew_when_it_changes():
    patterns, segmap = LabelPatterns(), blocky_map(2, 4, 64, 64, 16)
    plan = patterns.plan(segmap, (64, 64), 3, 128)
    assert patterns.plan(segmap, (64, 64), 3, 128) is plan
    assert patterns.plan(segmap.clone(), (64, 64), 3, 128) is not plan
    plan = patterns.plan(segmap, (64, 64), 3, 128)
    segmap[:, :, :9] = segmap[:, :, 9:18].clone()  # what a painter does
    changed = patterns.plan(segmap, (64, 64), 3, 128)
    ids, vectors = label_ids(segmap)
    assert changed is not plan and len(changed.vectors) == len(vectors)


def test_with_patterns_keeps_weights_files_and_shares_one_plan():
    generator = SPADEGenerator(5, ngf=2, hidden_channels=4)
    state = generator.state_dict()
    assert with_patterns(generator) is generator
    assert list(generator.state_dict()) == list(state)
    layers = [m for m in generator.modules() if isinstance(m, SPADE)]
    assert all(isinstance(layer, PatternSPADE) for layer in layers)
    assert len({id(layer.patterns) for layer in layers}) == 1
    copied = [m for m in copy.deepcopy(generator).modules() if isinstance(m, SPADE)]
    assert len({id(layer.patterns) for layer in [*layers, *copied]}) == 2


def trained(fast: bool) -> tuple[list[dict], dict]:
    config = TrainingConfig(height=64, width=64, ngf=2, ndf=2, hidden_channels=4, lambda_vgg=0.0, fast=fast)
    networks = build(config, 5)
    for network in networks[:2]:
        network.double()
    trainer = Trainer(*networks, config)
    segmap = blocky_map(2, 4, 64, 64, 8).double()
    image = torch.rand(2, 3, 64, 64, dtype=torch.float64) * 2 - 1
    losses = [trainer.step({"segmap": segmap, "image": image}) for _ in range(3)]
    return losses, networks.generator.state_dict()


def test_three_training_steps_end_with_the_same_losses_and_weights():
    (plain_losses, plain), (fast_losses, fast) = trained(False), trained(True)
    for first, second in zip(plain_losses, fast_losses):
        assert second == pytest.approx(first, abs=1e-8)
    # Not the biases: before a batch norm they have no effect and no gradient but rounding errors, and Adam makes steps
    # of those.
    for name in plain:
        if name.endswith(("weight", "running_var")):
            torch.testing.assert_close(fast[name], plain[name], atol=1e-7, rtol=1e-6, msg=name)
