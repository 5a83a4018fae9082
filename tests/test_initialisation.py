"""How the published networks start (official code, commit fecacc9: models/networks/base_network.py lines 28 to 59)."""

import hooked
import pytest
import torch
from test_training import LABELS, Loop, Z, assert_same_networks, batches
from torch import nn

from spade_edu.blocks import SPADEResnetBlock
from spade_edu.config import TrainingConfig, stored_config
from spade_edu.discriminators import MultiScaleDiscriminator
from spade_edu.encoder import StyleEncoder
from spade_edu.errors import UserError
from spade_edu.initialisation import init_pix2pixhd, init_spade
from spade_edu.models import build
from spade_edu.presets import PRESETS, preset
from spade_edu.pretrained import official
from spade_edu.spectral import SpectralNorm
from spade_edu.training import Trainer


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


# On a GPU and on a CPU -----------------------------------------------------------------------------------------------


@pytest.fixture
def drawn_by_shape(monkeypatch):
    """Glorot's numbers follow from the shape alone: two networks get the same ones, in whatever order they ask."""

    def draw(weight, gain=1.0):
        fan_in, fan_out = weight[0].numel(), len(weight) * weight[0, 0].numel()
        dice = torch.Generator().manual_seed(weight.numel())
        numbers = torch.randn(weight.shape, generator=dice) * gain * (2 / (fan_in + fan_out)) ** 0.5
        with torch.no_grad():
            weight.copy_(numbers)

    monkeypatch.setattr(nn.init, "xavier_normal_", draw)


def start_as_the_authors(network, on_gpu):
    """Move, then initialise `weight`: torch's hook keeps it as a plain attribute, which a move leaves behind.

    .double() stands in for .cuda(): both replace the parameters through the same walk over the modules.
    """
    if on_gpu:
        network.double()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_normal_(layer.weight.data, gain=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias.data)
    return network.float()


@pytest.mark.parametrize("on_gpu", [True, False], ids=["official-gpu", "official-cpu"])
def test_three_steps_from_the_authors_start(on_gpu, drawn_by_shape):
    theirs = Loop(True, None)
    theirs.generator = hooked.HookedGenerator(LABELS, 4, (2, 2), z_dim=Z)
    theirs.discriminator, theirs.encoder = hooked.HookedDiscriminator(LABELS, 8), hooked.HookedEncoder(4, Z)
    ours = [
        official.load_generator(theirs.generator.state_dict(), crop_size=64),
        official.load_discriminator(theirs.discriminator.state_dict()),
        official.load_encoder(theirs.encoder.state_dict()),
    ]
    networks = (init_spade(network, under_spectral_norm=not on_gpu) for network in ours)
    trainer = Trainer(*networks, TrainingConfig(lambda_vgg=0))
    for network in (theirs.generator, theirs.discriminator, theirs.encoder):
        start_as_the_authors(network, on_gpu)
    theirs.start()
    for i, batch in enumerate(batches(3)):
        torch.manual_seed(i)
        theirs.step(batch)
        torch.manual_seed(i)
        trainer.step(batch)
    assert_same_networks(trainer.generator, theirs.generator)
    assert_same_networks(trainer.discriminator, theirs.discriminator)
    assert_same_networks(trainer.encoder, theirs.encoder)


def deviations(init, **settings):
    """The std of each of G's, D's and E's weights under spectral norm, times sqrt(inputs)."""
    config = TrainingConfig(init=init, ngf=8, ndf=8, hidden_channels=8, height=64, width=64, style=True, **settings)
    layers = [layer for network in build(config, 8) for layer in network.modules() if isinstance(layer, SpectralNorm)]
    weights = [layer.weight for layer in layers if layer.weight.numel() > 500]
    return [weight.std().item() * weight[0].numel() ** 0.5 for weight in weights]


def test_a_configuration_chooses_the_start():
    uniform = 3**-0.5  # torch's own: between +-1 / sqrt(inputs)
    assert all(d == pytest.approx(uniform, rel=0.1) for d in deviations("official-gpu"))
    assert max(deviations("official-cpu")) < 0.03
    assert deviations("official-cpu") == deviations("glorot")
    assert min(deviations("glorot", init_gain=1.0)) > 0.5


def test_old_runs_and_every_preset_but_the_papers_keep_glorot_everywhere():
    assert stored_config({"init_gain": 1.0}).init == "glorot"
    assert {name: preset(name).init for name in PRESETS} == {
        "test": "glorot", "cpu": "glorot", "colab": "glorot", "paper": "official-gpu",
    }  # fmt: skip


def test_a_gain_that_would_have_no_effect_is_refused():
    with pytest.raises(UserError, match="init_gain belongs to init=glorot: official-gpu has 0.02"):
        preset("paper", init_gain=1.0)
    assert preset("paper", init="glorot", init_gain=1.0).init_gain == 1.0
