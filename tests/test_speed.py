"""The savings of TrainingConfig.fast against the plain code, in float64."""

import copy
import weakref

import pytest
import torch
from torch import nn

from spade_edu.blocks import SPADEResnetBlock, replace_modules
from spade_edu.config import TrainingConfig
from spade_edu.discriminators import MultiScaleDiscriminator
from spade_edu.fast.blocks import LeanBlock
from spade_edu.fast.discriminator import discriminate
from spade_edu.fast.spade import with_patterns
from spade_edu.fast.spectral import FastSpectralConv2d
from spade_edu.fast.speed_up import speed_up
from spade_edu.labels import one_hot
from spade_edu.models import build
from spade_edu.spectral import SpectralConv2d
from spade_edu.training import Trainer, frozen


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    "shape, options",
    [
        ((3, 5, 3), dict(padding=1)),
        ((4, 2, 1), dict(bias=False)),
        ((16, 6, 3), dict(padding=1)),  # more weights than results: sigma divides the results
        ((16, 6, 4), dict(stride=2, padding=2, bias=False)),  # so few results that dW is one product of matrices
        ((16, 6, 3), dict(dilation=2, padding=1)),
        ((32, 6, 3), dict(groups=2)),
        ((16, 6, 3), dict(padding=2, dilation=2, groups=2)),
        ((3, 5, 3), dict(padding=1, padding_mode="reflect")),
        ((3, 5, 3), dict(padding="same")),
    ],
)
def test_spectral_convolution_equals_the_plain_one_over_several_steps(shape, options, memory):
    plain = SpectralConv2d(*shape, **options).double().to(memory_format=memory)
    fast = FastSpectralConv2d(copy.deepcopy(plain))
    assert list(fast.state_dict()) == list(plain.state_dict())
    x = torch.randn(2, shape[0], 6, 7, dtype=torch.float64, requires_grad=True)
    for training in (True, True, False):
        plain.train(training), fast.train(training)
        # Two forward passes before one backward pass, as D has in a training step.
        dx = []
        for layer in (plain, fast):
            layer.zero_grad()
            x.grad = None
            (layer(x).mul_(2).square().sum() + layer(2 * x).sin().sum()).backward()
            dx.append(x.grad)
        torch.testing.assert_close(*dx)
        for (name, a), b in zip(plain.named_parameters(), fast.parameters()):
            torch.testing.assert_close(b.grad, a.grad, msg=name)
        for (name, a), b in zip(plain.state_dict().items(), fast.state_dict().values()):
            torch.testing.assert_close(b, a, msg=name)
        with torch.no_grad():
            for a, b in zip(plain.parameters(), fast.parameters()):
                b.copy_(a.sub_(0.1 * a.grad))


def test_spectral_weight_is_rounded_once_under_autocast():
    plain = SpectralConv2d(4, 4, 3).eval()
    fast = FastSpectralConv2d(copy.deepcopy(plain)).eval()
    with torch.autocast("cpu", torch.bfloat16):
        found = fast.normalised_weight()
    assert found.dtype == torch.bfloat16
    assert (found != plain.normalised_weight().bfloat16()).float().mean() < 0.05  # a last bit here and there


@pytest.mark.parametrize("size", [4, 12])  # few pixels, many pixels
def test_spectral_convolution_in_16_bits_is_as_near_as_the_plain_one(size):
    plain = SpectralConv2d(32, 16, 3, padding=1)
    exact, fast = copy.deepcopy(plain), FastSpectralConv2d(copy.deepcopy(plain))
    x, dy = torch.randn(2, 32, size, size), torch.randn(2, 16, size, size)
    found = []
    for layer, dtype in ((exact, torch.float32), (plain, torch.bfloat16), (fast, torch.bfloat16)):
        with torch.autocast("cpu", dtype, enabled=layer is not exact):
            y = layer(x)
        assert y.dtype == dtype
        found.append([y.detach().float(), *torch.autograd.grad(y, layer.parameters(), dy.to(dtype))])
    for expected, a, b in zip(*found):
        assert b.dtype == torch.float32
        assert (b - expected).norm() < 1.5 * (a - expected).norm() < 0.02 * expected.norm()


def test_spectral_convolution_does_not_overflow_in_float16():
    plain = SpectralConv2d(32, 16, 3, padding=1)
    with torch.no_grad():
        plain.weight.mul_(1e5)
    x = torch.randn(2, 32, 4, 4)
    with torch.autocast("cpu", torch.float16):
        y = FastSpectralConv2d(plain)(x)
    assert y.dtype == torch.float16 and y.isfinite().all()


@pytest.mark.parametrize("images", [1, 2])
def test_discriminator_shares_the_label_maps_part(images):
    plain = MultiScaleDiscriminator(5, ndf=4).double()
    fast = speed_up(copy.deepcopy(plain))
    segmap = torch.rand(2, 5, 32, 32, dtype=torch.float64)
    x = torch.randn(2 * images, 3, 32, 32, dtype=torch.float64)
    expected = plain(segmap.repeat(images, 1, 1, 1), x)
    found = discriminate(fast, segmap, [x])[0]
    gradients = [
        torch.autograd.grad(sum(f.square().sum() for s in scales for f in s), list(network.parameters()))
        for scales, network in ((expected, plain), (found, fast))
    ]
    for a, b in zip(
        [f for s in expected for f in s] + [*gradients[0]], [f for s in found for f in s] + [*gradients[1]]
    ):
        torch.testing.assert_close(b, a)


def test_discriminator_keeps_nothing_of_real_images_while_it_stands_still():
    network = speed_up(MultiScaleDiscriminator(5, ndf=4))
    before = copy.deepcopy(network)
    segmap, real = torch.rand(2, 5, 32, 32), torch.randn(2, 3, 32, 32)
    fake = torch.randn(2, 3, 32, 32, requires_grad=True)
    with frozen(network):
        of_fake, of_real = discriminate(network, segmap, [fake, real])
    both = before(segmap.repeat(2, 1, 1, 1), torch.cat([fake, real]))
    assert not any(f.requires_grad for s in of_real for f in s)
    for scale in range(2):
        for a, b, c in zip(both[scale], of_fake[scale], of_real[scale]):
            torch.testing.assert_close(torch.cat([b, c]), a, atol=1e-4, rtol=1e-4)
    for (name, a), b in zip(before.named_buffers(), network.buffers()):  # one step of power iteration, not two
        torch.testing.assert_close(b, a, atol=1e-4, rtol=1e-4, msg=name)


def test_discriminator_with_batch_norm_is_refused():
    network = MultiScaleDiscriminator(5, ndf=4, norm="batch")
    with pytest.raises(ValueError, match="batch norm"):
        discriminate(network, torch.rand(1, 5, 32, 32), [torch.rand(1, 3, 32, 32)])


def test_fast_networks_have_the_same_weights_file():
    settings = dict(height=64, width=64, ngf=2, ndf=2, hidden_channels=4, style=True, z_dim=4)
    plain, fast = (build(TrainingConfig(**settings, fast=value), 5) for value in (False, True))
    for a, b in zip(plain, fast):
        assert {n: v.shape for n, v in a.state_dict().items()} == {n: v.shape for n, v in b.state_dict().items()}
        assert all(torch.equal(v, b.state_dict()[n]) for n, v in a.state_dict().items())
        assert not any(type(m) is SpectralConv2d for m in nn.ModuleList([b]).modules())


@pytest.mark.parametrize("fin, fout", [(6, 4), (4, 4)])
def test_lean_block_gives_the_plain_blocks_results_and_gradients(fin, fout):
    plain = SPADEResnetBlock(fin, fout, 3, hidden_channels=5).double()
    lean = copy.deepcopy(plain)
    network = with_patterns(nn.ModuleList([lean]), always=True)
    replace_modules(network, SPADEResnetBlock, LeanBlock)
    replace_modules(network, SpectralConv2d, FastSpectralConv2d)
    segmap = one_hot(torch.randint(3, (2, 4, 4)).repeat_interleave(3, 1).repeat_interleave(3, 2), 3).double()
    x = torch.randn(2, fin, 12, 12, dtype=torch.float64, requires_grad=True)
    results = []
    for block in (plain, network[0]):
        y = block(x, segmap)
        gradients = torch.autograd.grad(y.sin().sum(), [x, *block.parameters()])
        results.append([y, *gradients, *block.buffers()])
    for a, b in zip(*results):
        torch.testing.assert_close(b, a)


def test_lean_block_keeps_no_input_of_its_convolutions():
    alive = {}
    for kind in (SPADEResnetBlock, LeanBlock):
        block = nn.ModuleList([SPADEResnetBlock(6, 4, 3, hidden_channels=5)])
        with_patterns(block, always=True)
        if kind is LeanBlock:
            replace_modules(block, SPADEResnetBlock, kind)
        inputs = []

        def note(_, arguments, inputs=inputs):
            inputs.append(weakref.ref(arguments[0]))

        for layer in (block[0].conv_0, block[0].conv_1, block[0].conv_s):
            layer.register_forward_pre_hook(note)
        y = block[0](torch.randn(1, 6, 12, 12, requires_grad=True), one_hot(torch.zeros(1, 12, 12).long(), 3))
        alive[kind] = [ref() is not None for ref in inputs]
        y.sum().backward()
    assert alive == {SPADEResnetBlock: [True] * 3, LeanBlock: [False] * 3}


def trained(checkpointing, fast):
    config = TrainingConfig(
        height=64, width=64, ngf=2, ndf=2, hidden_channels=4, lambda_vgg=0.0, checkpointing=checkpointing, fast=fast
    )
    networks = build(config, 5)
    for network in networks[:2]:
        network.double()
    trainer = Trainer(*networks, config)
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(5, (2, 8, 8), generator=generator).repeat_interleave(8, 1).repeat_interleave(8, 2)
    image = torch.rand(2, 3, 64, 64, generator=generator, dtype=torch.float64) * 2 - 1
    losses = [trainer.step({"segmap": one_hot(label, 5).double(), "image": image}) for _ in range(2)]
    return losses, networks.generator.state_dict()


@pytest.mark.parametrize("fast", [False, True])
def test_checkpointing_advances_statistics_and_power_iteration_once(fast):
    (losses, plain), (checkpointed_losses, checkpointed) = trained(False, fast), trained(True, fast)
    assert checkpointed_losses == losses
    assert list(checkpointed) == list(plain)
    assert plain["up_3.norm_0.param_free_norm.num_batches_tracked"] == 4  # two passes of G in each of two steps
    for name, value in plain.items():
        assert torch.equal(checkpointed[name], value), name
