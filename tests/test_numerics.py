"""float32 stays close to float64, gradients are those of the formulas, the same seed gives the same weights."""

import copy

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck

from spade_edu import losses
from spade_edu.blocks import ResnetBlock, SPADEResnetBlock
from spade_edu.discriminators import MultiScaleDiscriminator, PatchDiscriminator
from spade_edu.encoder import StyleEncoder
from spade_edu.fast.spade import LabelPatterns, PatternSPADE
from spade_edu.generators import Pix2PixHDGenerator, SPADEGenerator
from spade_edu.labels import instance_edges, one_hot
from spade_edu.models import build
from spade_edu.normalization import SPADE, BatchNorm2d, ConditionalBatchNorm2d, InstanceNorm2d, SyncBatchNorm, adain
from spade_edu.presets import preset
from spade_edu.spectral import SpectralConv2d
from spade_edu.training import Trainer

CLASSES = 4
# Largest error of float32 over the largest number: of results, and of gradients, which add up more numbers.
RESULT, GRADIENT = 1e-5, 2e-4


class AdaIN(nn.Module):
    """`adain` as a layer: mean and deviation are its parameters."""

    def __init__(self, channels):
        super().__init__()
        self.mean, self.deviation = nn.Parameter(torch.randn(2, channels)), nn.Parameter(torch.rand(2, channels))

    def forward(self, x):
        return adain(x, self.mean[: len(x)], self.deviation[: len(x)])


def blocks_of_classes(n=2, height=32, width=32, block=8):
    """One-hot label maps of squares, with an edge channel."""
    coarse = torch.randint(CLASSES, (n, height // block, width // block))
    label = coarse.repeat_interleave(block, 1).repeat_interleave(block, 2)
    return torch.cat([one_hot(label, CLASSES), instance_edges(label)], dim=1).float()


def features(n=2):
    return torch.randn(n, 6, 16, 16) * 3 + 5


def x_and_map(n=2):
    return features(n), blocks_of_classes(n)


def x_and_label(n=2):
    return features(n), torch.arange(n) % CLASSES


def x_alone(n=2):
    return (features(n),)


def map_alone(n=2):
    return (blocks_of_classes(n),)


def large_map(n=2):
    return (blocks_of_classes(n, 64, 64, 16),)


def map_and_code(n=2):
    return *large_map(n), torch.randn(n, 8)


def picture(n=2):
    return (torch.rand(n, 3, 32, 32) * 2 - 1,)


def map_and_picture(n=2):
    return *map_alone(n), *picture(n)


LABELS = CLASSES + 1
SMALL = dict(hidden_channels=8)
CASES = {
    "BatchNorm2d": (lambda: BatchNorm2d(6), x_alone),
    "InstanceNorm2d": (lambda: InstanceNorm2d(6), x_alone),
    "SyncBatchNorm": (lambda: SyncBatchNorm(6), x_alone),
    "SPADE": (lambda: SPADE(6, LABELS, **SMALL), x_and_map),
    "ConditionalBatchNorm2d": (lambda: ConditionalBatchNorm2d(6, CLASSES), x_and_label),
    "adain": (lambda: AdaIN(6), x_alone),
    "SpectralConv2d": (lambda: SpectralConv2d(6, 4, 3), x_alone),
    "ResnetBlock": (lambda: ResnetBlock(6), x_alone),
    "SPADEResnetBlock": (lambda: SPADEResnetBlock(6, 4, LABELS, **SMALL), x_and_map),
    "PatchDiscriminator": (lambda: PatchDiscriminator(LABELS, ndf=8), map_alone),
    "MultiScaleDiscriminator": (lambda: MultiScaleDiscriminator(LABELS, ndf=8), map_and_picture),
    "StyleEncoder": (lambda: StyleEncoder(nef=8, z_dim=8, image_size=32), picture),
    "SPADEGenerator": (lambda: SPADEGenerator(LABELS, latent=(2, 2), ngf=4, **SMALL), large_map),
    "SPADEGenerator of z": (
        lambda: SPADEGenerator(LABELS, latent=(2, 2), ngf=4, z_dim=8, **SMALL), map_and_code
    ),
    "Pix2PixHDGenerator": (
        lambda: Pix2PixHDGenerator(LABELS, ngf=4, num_downsampling=2, num_blocks=1), map_alone
    ),
}  # fmt: skip
LAYERS = pytest.mark.parametrize("name", CASES)


def flat(result):
    """The tensors in a result that may be nested, as one list."""
    return [result] if isinstance(result, torch.Tensor) else [tensor for part in result for tensor in flat(part)]


def double(inputs):
    return tuple(x.double() if x.is_floating_point() else x for x in inputs)


def results_and_gradients(layer, inputs):
    """What comes out of a layer, and the gradients of a fixed sum of it in its first input and its parameters."""
    x = inputs[0].clone().requires_grad_()
    results = flat(layer(x, *inputs[1:]))
    waves = [torch.arange(r.numel()).remainder(7).sub(3).view_as(r) for r in results]
    sum((r * wave).mean() for r, wave in zip(results, waves)).backward()
    gradients = {name: p.grad for name, p in layer.named_parameters()}
    return {f"result {i}": r.detach() for i, r in enumerate(results)} | {"input": x.grad} | gradients


def error(single, exact):
    """The largest difference over the largest number."""
    return ((single.double() - exact).abs().max() / exact.abs().max().clamp_min(1e-3)).item()


def excess(name, seed):
    """What of a layer is too far from float64, with its error."""
    torch.manual_seed(seed)
    make, inputs = CASES[name]
    layer, inputs = make(), inputs()
    precise = copy.deepcopy(layer).double()
    single, exact = results_and_gradients(layer, inputs), results_and_gradients(precise, double(inputs))
    errors = {what: error(single[what], exact[what]) for what in exact}
    return {w: e for w, e in errors.items() if not e <= (RESULT if w.startswith("result") else GRADIENT)}


@LAYERS
def test_float32_results_and_gradients_are_close_to_float64(name):
    # Where a value is so near to the kink of a ReLU that float32 puts it on the other side, the gradient is another
    # one. That is rare but no fault, so the best of three draws counts; lost digits would show in all of them.
    assert any(not excess(name, seed) for seed in range(3)), [excess(name, seed) for seed in range(3)]


@LAYERS
def test_a_batch_of_one_in_evaluation_is_a_row_of_the_batch(name):
    make, inputs = CASES[name]
    layer, inputs = make(), inputs()
    with torch.no_grad():
        layer(*inputs)  # running statistics
        layer.eval()
        both, one = flat(layer(*inputs)), flat(layer(*(x[:1] for x in inputs)))
    for many, single in zip(both, one):
        assert error(single, many[:1].double()) <= RESULT


@LAYERS
def test_a_batch_of_one_trains(name):
    make, inputs = CASES[name]
    for what, value in results_and_gradients(make(), inputs(1)).items():
        assert value.isfinite().all(), what


def scales(seed):
    """What a discriminator gives: two scales, each of two feature maps and a verdict; no value near a kink at 1."""
    random = torch.Generator().manual_seed(seed)
    sizes = [(2, 4, 6, 6), (2, 4, 5, 5), (2, 1, 4, 4)]
    return [[torch.randn(size, generator=random) * 2 for size in sizes] for _ in range(2)]


def from_flat(function, amount):
    """A loss of scales as a function of their tensors, three to a scale."""

    def loss(*tensors):
        lists = [list(tensors[i : i + 3]) for i in range(0, len(tensors), 3)]
        return function(*(lists[i : i + 2] for i in range(0, 2 * amount, 2)))

    return loss


def two_maps(image):
    return [image * 2, image.square()]


LOSSES = {
    "hinge_generator": (from_flat(losses.hinge_generator, 1), lambda: flat(scales(1))),
    "hinge_discriminator": (from_flat(losses.hinge_discriminator, 2), lambda: flat([scales(1), scales(2)])),
    "hinge_real": (from_flat(losses.hinge_real, 1), lambda: flat(scales(1))),
    "hinge_fake": (from_flat(losses.hinge_fake, 1), lambda: flat(scales(1))),
    "lsgan real": (from_flat(lambda pred: losses.lsgan(pred, True), 1), lambda: flat(scales(1))),
    "lsgan fake": (from_flat(lambda pred: losses.lsgan(pred, False), 1), lambda: flat(scales(1))),
    "feature_matching": (
        lambda *fake: from_flat(losses.feature_matching, 2)(*fake, *double(flat(scales(2)))), lambda: flat(scales(1))
    ),
    "kl_divergence": (losses.kl_divergence, lambda: [torch.randn(3, 8), torch.randn(3, 8)]),
    "perceptual": (
        lambda fake: losses.perceptual(two_maps, (0.5, 1.0), fake, torch.full_like(fake, 0.123)),
        lambda: [torch.rand(2, 3, 6, 6) * 2 - 1],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_losses_in_float32_are_close_to_float64(name):
    loss, make = LOSSES[name]
    inputs = make()
    assert error(loss(*inputs), loss(*double(inputs))) <= RESULT


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_of_losses_by_finite_differences(name):
    loss, make = LOSSES[name]
    inputs = [x.double().requires_grad_() for x in make()]
    assert gradcheck(loss, inputs, eps=1e-7, atol=1e-5)


def checked(layer, *inputs, fast_mode=False):
    """gradcheck of a layer, in its input and in all its parameters."""
    layer = layer.double()
    names, values = zip(*[("", None), *layer.named_parameters()])
    x = inputs[0].double().requires_grad_()

    def run(x, *parameters):
        return torch.func.functional_call(layer, dict(zip(names[1:], parameters)), (x, *double(inputs[1:])))

    parameters = [(p + torch.rand_like(p)).detach().requires_grad_() for p in values[1:]]
    return gradcheck(run, (x, *parameters), eps=1e-6, atol=1e-5, fast_mode=fast_mode)


X = (2, 3, 4, 4)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", [BatchNorm2d, SyncBatchNorm, InstanceNorm2d])
def test_gradients_of_norms_by_finite_differences(kind, training):
    assert checked(kind(3).train(training), torch.randn(X))


def test_gradients_of_conditional_batch_norm_and_adain_by_finite_differences():
    assert checked(ConditionalBatchNorm2d(3, CLASSES), torch.randn(X), torch.tensor([0, 2]))
    assert checked(AdaIN(3), torch.randn(X))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm", ["syncbatch", "batch", "instance"])
def test_gradients_of_spade_by_finite_differences(norm, training):
    layer = SPADE(3, LABELS, hidden_channels=2, norm=norm).train(training)
    assert checked(layer, torch.randn(X), blocks_of_classes(2, 8, 8, 4))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("slope", [1.0, 0.2])
def test_gradients_of_the_modulation_of_windows_by_finite_differences(slope, training):
    plain = SPADE(3, LABELS, hidden_channels=2).train(training)

    class Activated(PatternSPADE):
        def forward(self, x, segmap):
            return self.activated(x, segmap, slope)[0]

    layer = Activated(plain, LabelPatterns(always=True)).train(training)
    assert checked(layer, torch.randn(X), blocks_of_classes(2, 8, 8, 4), fast_mode=True)


def two_steps(seed, **settings):
    """The weights of every network after two training steps."""
    config = preset("test", style=True, seed=seed, **settings)
    networks = build(config, LABELS)
    trainer = Trainer(*networks, config)
    random = torch.Generator().manual_seed(7)
    image = torch.rand(2, 3, 32, 64, generator=random) * 2 - 1
    label = torch.randint(CLASSES, (2, 32, 64), generator=random)
    segmap = torch.cat([one_hot(label, CLASSES), instance_edges(label)], dim=1)
    for _ in range(2):
        trainer.step({"segmap": segmap, "image": image})
    return [tensor for network in networks for tensor in network.state_dict().values()]


@pytest.mark.parametrize("fast", [False, True])
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(fast):
    first, again = two_steps(3, fast=fast), two_steps(3, fast=fast)
    assert all(torch.equal(a, b) for a, b in zip(first, again))
    other = two_steps(4, fast=fast)
    assert not all(torch.equal(a, b) for a, b in zip(first, other))
