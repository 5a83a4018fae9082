"""The trainer against an independently written loop, and each rule of the paper's training by itself.

The rules: the paper's sections 3 and 4 and appendix A; in the official code (commit fecacc9) models/pix2pix_model.py
lines 62 to 78 and 132 to 235, trainers/pix2pix_trainer.py lines 33 to 86, options/train_options.py lines 24 to 47.
"""

import copy
import warnings

import hooked
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from spade_edu.config import TrainingConfig, resolve_precision
from spade_edu.discriminators import MultiScaleDiscriminator
from spade_edu.encoder import StyleEncoder
from spade_edu.generators import SPADEGenerator
from spade_edu.initialisation import init_spade
from spade_edu.losses import kl_divergence
from spade_edu.models import build
from spade_edu.presets import preset
from spade_edu.pretrained import official
from spade_edu.pretrained.judge import SecondOpinion
from spade_edu.pretrained.perceptual import VGGFeatures
from spade_edu.training import Trainer

LABELS, Z = 4, 6


def batches(count, size=(64, 64)):
    generator = torch.Generator().manual_seed(7)
    for _ in range(count):
        label = torch.randint(LABELS, (2, *size), generator=generator)
        image = torch.rand(2, 3, *size, generator=generator) * 2 - 1
        yield {"segmap": F.one_hot(label, LABELS).permute(0, 3, 1, 2).float(), "image": image}


def small_trainer(style=False, config=None, **options):
    generator = init_spade(SPADEGenerator(LABELS, latent=(2, 2), ngf=2, z_dim=Z if style else None))
    encoder = init_spade(StyleEncoder(nef=2, z_dim=Z, image_size=64)) if style else None
    discriminator = init_spade(MultiScaleDiscriminator(LABELS, ndf=4))
    config = config or TrainingConfig(lambda_vgg=0)
    return Trainer(generator, discriminator, encoder, config, **options)


# The whole step ------------------------------------------------------------------------------------------------------


class Loop:
    """Three networks with torch's own parts, and the published training step in a few lines."""

    def __init__(self, style, vgg):
        self.generator = hooked.randomise(hooked.HookedGenerator(LABELS, 4, (2, 2), z_dim=Z if style else None))
        self.discriminator = hooked.randomise(hooked.HookedDiscriminator(LABELS, 8))
        self.encoder = hooked.randomise(hooked.HookedEncoder(4, Z)) if style else None
        self.vgg = vgg

    def start(self):
        generator_side = [*self.generator.parameters()] + ([*self.encoder.parameters()] if self.encoder else [])
        self.adam_g = torch.optim.Adam(generator_side, lr=1e-4, betas=(0.0, 0.9))
        self.adam_d = torch.optim.Adam(self.discriminator.parameters(), lr=4e-4, betas=(0.0, 0.9))

    def draw(self, batch):
        if self.encoder is None:
            return self.generator(batch["segmap"]), 0.0
        mu, logvar = self.encoder(batch["image"])
        z = torch.randn(mu.shape) * (0.5 * logvar).exp() + mu
        divergence = -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum()
        return self.generator(batch["segmap"], z), divergence

    def judge(self, batch, fake):
        fakes, reals = (torch.cat([batch["segmap"], image], dim=1) for image in (fake, batch["image"]))
        both = self.discriminator(torch.cat([fakes, reals]))
        n = len(fakes)
        return [[m[:n] for m in scale] for scale in both], [[m[n:] for m in scale] for scale in both]

    def step(self, batch):
        fake, divergence = self.draw(batch)
        on_fake, on_real = self.judge(batch, fake)
        terms = {"GAN": sum(-scale[-1].mean() for scale in on_fake) / 2}
        pairs = [pair for maps in zip(on_fake, on_real) for pair in zip(maps[0][:4], maps[1][:4])]
        terms["GAN_Feat"] = sum(F.l1_loss(a, b.detach()) * 10 / 2 for a, b in pairs)
        if self.vgg is not None:
            weights = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1)
            layers = zip(weights, self.vgg(fake), self.vgg(batch["image"]))
            terms["VGG"] = 10 * sum(w * F.l1_loss(a, b.detach()) for w, a, b in layers)
        if self.encoder is not None:
            terms["KLD"] = 0.05 * divergence
        self.adam_g.zero_grad()
        sum(terms.values()).backward()
        self.adam_g.step()

        with torch.no_grad():
            fake, _ = self.draw(batch)
        on_fake, on_real = self.judge(batch, fake)
        verdicts = {
            "D_Fake": sum((1 + scale[-1]).clamp(min=0).mean() for scale in on_fake) / 2,
            "D_real": sum((1 - scale[-1]).clamp(min=0).mean() for scale in on_real) / 2,
        }
        self.adam_d.zero_grad()
        sum(verdicts.values()).backward()
        self.adam_d.step()
        return {name: value.item() for name, value in (terms | verdicts).items()}


def assert_same_networks(ours, theirs, tolerance=1e-5):
    """Weights, running statistics and power-iteration vectors, relative to each tensor's largest number.

    The loop above takes its sums in the order of the published code, and then every bit agrees. Another order of
    rounding does not stay small: at the published initialisation Adam (beta1 = 0) turns gradients that are zero but for
    rounding, as of a bias before a batch norm, into full steps of either sign, and three iterations later the images
    differ by per cents. (In float64 both orders agree to 1e-11.)
    """
    state = official.to_official(ours)
    for name, expected in theirs.state_dict().items():
        error = (state[name].float() - expected.float()).abs().max()
        assert error <= tolerance * max(expected.float().abs().max().item(), 1e-6), name


@pytest.fixture(scope="module")
def vgg():
    return VGGFeatures(weights=None)


@pytest.mark.parametrize("style", [False, True], ids=["without VAE", "with VAE"])
def test_three_training_iterations(style, vgg):
    theirs = Loop(style, vgg)
    ours = Trainer(
        official.load_generator(theirs.generator.state_dict(), crop_size=64),
        official.load_discriminator(theirs.discriminator.state_dict()),
        official.load_encoder(theirs.encoder.state_dict()) if style else None,
        features=vgg,
    )
    theirs.start()
    for i, batch in enumerate(batches(3)):
        torch.manual_seed(i)
        expected = theirs.step(batch)
        torch.manual_seed(i)
        found = ours.step(batch)
        assert list(found) == list(expected)
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-7)
    assert_same_networks(ours.generator, theirs.generator)
    assert_same_networks(ours.discriminator, theirs.discriminator)
    if style:
        assert_same_networks(ours.encoder, theirs.encoder)
    ours.generator.eval(), theirs.generator.eval()
    z = torch.randn(2, Z) if style else None
    with torch.no_grad():
        expected = theirs.generator(batch["segmap"], z)
        error = (ours.generator(batch["segmap"], z) - expected).abs().max()
    assert error <= 1e-5 * (expected.max() - expected.min())


# Single rules --------------------------------------------------------------------------------------------------------


def test_default_configuration_is_the_official_one():
    config = TrainingConfig()
    assert (config.lambda_feat, config.lambda_vgg, config.lambda_kl) == (10, 10, 0.05)
    assert (config.lr_generator, config.lr_discriminator) == pytest.approx((1e-4, 4e-4))
    trainer = small_trainer()
    assert [o.param_groups[0]["lr"] for o in (trainer.optimizer_g, trainer.optimizer_d)] == pytest.approx([1e-4, 4e-4])
    assert all(o.param_groups[0]["betas"] == (0.0, 0.9) for o in (trainer.optimizer_g, trainer.optimizer_d))


def test_without_ttur_both_rates_are_the_base():
    config = TrainingConfig(ttur=False, beta1=0.5, beta2=0.999)
    assert config.lr_generator == config.lr_discriminator == 2e-4


@pytest.mark.parametrize("epoch, rate", [(1, 1e-4), (100, 1e-4), (101, 1e-4), (102, 0.99e-4), (200, 1e-6)])
def test_linear_decay_from_epoch_102_to_one_percent_in_epoch_200(epoch, rate):
    trainer = small_trainer(config=TrainingConfig(lambda_vgg=0, epochs=100, epochs_decay=100))
    trainer.set_epoch(epoch)
    assert trainer.optimizer_g.param_groups[0]["lr"] == pytest.approx(rate)
    assert trainer.optimizer_d.param_groups[0]["lr"] == pytest.approx(4 * rate)


def test_fake_is_drawn_again_in_the_discriminator_step_so_statistics_advance_twice():
    trainer = small_trainer()
    u = trainer.generator.head_0.conv_0.u.clone()
    reference = copy.deepcopy(trainer.generator.head_0.conv_0)
    trainer.step(next(batches(1)))
    assert trainer.generator.head_0.norm_0.param_free_norm.num_batches_tracked == 2
    reference.power_iteration()
    assert not torch.allclose(trainer.generator.head_0.conv_0.u, u)
    assert not torch.equal(trainer.generator.head_0.conv_0.u, reference.u)  # more than one step


def test_reuse_fake_draws_once():
    trainer = small_trainer(config=TrainingConfig(lambda_vgg=0, reuse_fake=True))
    trainer.step(next(batches(1)))
    assert trainer.generator.head_0.norm_0.param_free_norm.num_batches_tracked == 1


def test_fake_and_real_go_through_the_discriminator_in_one_batch_fake_first():
    trainer = small_trainer()
    seen = []
    trainer.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs))
    batch = next(batches(1))
    trainer.step(batch)
    assert len(seen) == 2  # once in the G step, once in the D step
    for segmap, image in seen:
        assert torch.equal(segmap, torch.cat([batch["segmap"]] * 2))
        assert torch.equal(image[2:], batch["image"]) and not torch.equal(image[:2], batch["image"])


def test_generator_step_leaves_the_discriminator_and_the_other_way_round():
    trainer = small_trainer()
    batch = next(batches(1))
    before_d = [p.clone() for p in trainer.discriminator.parameters()]
    trainer.generator_step(batch)
    assert all(torch.equal(a, b) for a, b in zip(before_d, trainer.discriminator.parameters()))
    before_g = [p.clone() for p in trainer.generator.parameters()]
    trainer.discriminator_step(batch)
    assert all(torch.equal(a, b) for a, b in zip(before_g, trainer.generator.parameters()))
    assert not all(torch.equal(a, b) for a, b in zip(before_d, trainer.discriminator.parameters()))


def test_encoder_is_optimised_with_the_generator():
    trainer = small_trainer(style=True)
    before = trainer.encoder.fc_mu.weight.clone()
    values = trainer.step(next(batches(1)))
    assert list(values) == ["GAN", "GAN_Feat", "KLD", "D_Fake", "D_real"]
    assert not torch.equal(before, trainer.encoder.fc_mu.weight)


def test_terms_switched_off_are_not_there():
    trainer = small_trainer(config=TrainingConfig(lambda_vgg=0, lambda_feat=0))
    assert list(trainer.step(next(batches(1)))) == ["GAN", "D_Fake", "D_real"]


def test_perceptual_loss_is_fed_the_image_as_it_is():
    seen = []

    class Watch(nn.Module):
        def forward(self, image):
            seen.append(image.detach())
            return [image]

    trainer = small_trainer(config=TrainingConfig(lambda_vgg=10), features=Watch(), feature_weights=(1.0,))
    batch = next(batches(1))
    values = trainer.step(batch)
    assert torch.equal(seen[0], batch["image"]) and len(seen) == 2
    assert values["VGG"] == pytest.approx(10 * (seen[1] - batch["image"]).abs().mean().item(), rel=1e-5)


def test_without_vgg_weights_training_says_so_once_and_goes_on(monkeypatch):
    def unreachable(**_):
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.models.vgg19", unreachable)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer = small_trainer(config=TrainingConfig())
        values = trainer.step(next(batches(1)))
    assert len(caught) == 1 and "lambda_vgg=0" in str(caught[0].message) and "no route" in str(caught[0].message)
    assert list(values) == ["GAN", "GAN_Feat", "D_Fake", "D_real"]


def test_a_trainer_reads_its_own_config():
    config = preset("cpu", height=32, width=64, ngf=4, ndf=4)
    assert (config.features, config.precision, config.fast) == ("second_opinion", "auto", True)
    trainer = Trainer(*build(config, LABELS), config)
    assert isinstance(trainer.features, SecondOpinion) and trainer.feature_weights == SecondOpinion.weights
    assert trainer.config.precision == resolve_precision(config, "cpu").precision != "auto"
    assert "VGG" in trainer.step(next(batches(1, (32, 64))))


def test_lambda_vgg_zero_never_asks_for_vgg(monkeypatch):
    monkeypatch.setattr("torchvision.models.vgg19", None)
    assert small_trainer(config=TrainingConfig(lambda_vgg=0)).features is None
    given = small_trainer(config=TrainingConfig(lambda_vgg=0), features=nn.Identity(), feature_weights=(1.0,))
    assert "VGG" not in given.step(next(batches(1)))


@pytest.mark.parametrize(("steps", "decay"), [(0, 1 / 11), (89, 0.9), (500, 0.9)])
def test_average_follows_the_generator_and_a_young_one_forgets_faster(steps, decay):
    trainer = small_trainer(config=TrainingConfig(lambda_vgg=0, ema=0.9))
    trainer.steps_done = steps
    before = trainer.averaged.conv_img.weight.clone()
    buffers = {name: buffer.clone() for name, buffer in trainer.averaged.named_buffers()}
    trainer.generator_step(next(batches(1)))
    expected = decay * before + (1 - decay) * trainer.generator.conv_img.weight
    torch.testing.assert_close(trainer.averaged.conv_img.weight, expected)
    for name, old in buffers.items():
        new = trainer.generator.get_buffer(name)
        averaged = old.is_floating_point() and name.rpartition(".")[2] not in ("u", "v")
        expected = decay * old + (1 - decay) * new if averaged else new
        torch.testing.assert_close(trainer.averaged.get_buffer(name), expected, msg=name)
    assert trainer.best_generator() is trainer.averaged and not trainer.averaged.training


def test_the_average_of_turning_directions_keeps_its_sigma():
    """Averaged like weights, u and v of a young network would be shorter than 1, and sigma too small."""
    trainer = small_trainer(config=TrainingConfig(lambda_vgg=0, ema=0.9))
    for _, batch in zip(range(3), batches(3)):
        trainer.generator_step(batch)
    directions = [b for name, b in trainer.averaged.named_buffers() if name.rpartition(".")[2] in ("u", "v")]
    lengths = torch.stack([direction.norm() for direction in directions])
    assert len(lengths) > 10
    torch.testing.assert_close(lengths, torch.ones_like(lengths))


@pytest.mark.parametrize(("kl_epochs", "weights"), [(0, [0.05, 0.05, 0.05]), (2, [0.025, 0.05, 0.05])])
def test_the_kl_weight_grows_to_its_full_size(kl_epochs, weights):
    trainer = small_trainer(style=True, config=TrainingConfig(lambda_vgg=0, kl_epochs=kl_epochs))
    for epoch, weight in enumerate(weights, start=1):
        trainer.set_epoch(epoch)
        assert trainer.kl_weight == pytest.approx(weight)
    trainer.set_epoch(1)
    batch = next(batches(1))
    with torch.no_grad():
        mu, logvar = trainer.encoder(batch["image"])
    expected = weights[0] * kl_divergence(mu, logvar)
    torch.testing.assert_close(trainer.generator_step(batch)[0]["KLD"], expected, rtol=0.05, atol=0)


def test_pix2pixhd_objective_is_least_squares_halved_for_the_discriminator():
    networks = build(preset("test", "pix2pixHD"), LABELS)
    trainer = Trainer(*networks, preset("test", "pix2pixHD"))
    batch = next(batches(1, (32, 64)))
    with torch.no_grad():
        fake = trainer.generator(batch["segmap"])
        pred_fake, pred_real = trainer.discriminate(batch, fake)
    parts = trainer.gan_discriminator(pred_fake, pred_real)
    by_hand = sum((scale[-1] ** 2).mean() for scale in pred_fake) / 2
    torch.testing.assert_close(parts["D_Fake"], by_hand)
    torch.testing.assert_close(parts["D_real"], sum(((s[-1] - 1) ** 2).mean() for s in pred_real) / 2)
    torch.testing.assert_close(trainer.gan_generator(pred_fake), sum(((s[-1] - 1) ** 2).mean() for s in pred_fake))
    assert trainer.optimizer_g.param_groups[0]["betas"] == (0.5, 0.999)
    assert trainer.optimizer_g.param_groups[0]["lr"] == trainer.optimizer_d.param_groups[0]["lr"]


def test_state_dict_continues_where_it_stopped():
    whole, stopped = small_trainer(), small_trainer()
    stopped.generator.load_state_dict(whole.generator.state_dict())
    stopped.discriminator.load_state_dict(whole.discriminator.state_dict())
    first, second = batches(2)
    whole.step(first), stopped.step(first)
    again = small_trainer()
    again.generator.load_state_dict(stopped.generator.state_dict())
    again.discriminator.load_state_dict(stopped.discriminator.state_dict())
    again.load_state_dict(stopped.state_dict())
    whole.step(second), again.step(second)
    for a, b in zip(whole.generator.state_dict().values(), again.generator.state_dict().values()):
        assert torch.equal(a, b)


# Several D steps a G step --------------------------------------------------------------------------------------------


def test_the_generator_learns_from_every_second_batch_and_the_discriminator_from_each():
    """The official train.py: run_generator_one_step where i % D_steps_per_G == 0, run_discriminator_one_step always."""
    config = preset("test", ema=0.9, d_steps_per_g=2)
    ours, theirs = (Trainer(*build(config, LABELS), config) for _ in range(2))
    of_g = {}
    for i, batch in enumerate(batches(5, (32, 64))):
        if i % 2 == 0:
            of_g, _ = theirs.generator_step(batch)
        expected = of_g | theirs.discriminator_step(batch)
        found = ours.step(batch)
        assert found == {name: float(value) for name, value in expected.items()}
    assert (ours.steps_done, ours.batches_done) == (3, 5)
    for name, network in ours.named_networks().items():
        for a, b in zip(network.state_dict().values(), theirs.named_networks()[name].state_dict().values()):
            assert torch.equal(a, b)


def test_a_resumed_training_knows_whose_turn_it_is():
    config = preset("test", d_steps_per_g=3)
    whole, again = (Trainer(*build(config, LABELS), config) for _ in range(2))
    *first, last = batches(5, (32, 64))
    for batch in first:
        whole.step(batch)
    for name, network in again.named_networks().items():
        network.load_state_dict(whole.named_networks()[name].state_dict())
    again.load_state_dict(copy.deepcopy(whole.state_dict()))
    before = again.generator.conv_img.weight.clone()
    assert whole.step(last) == again.step(last)
    assert torch.equal(again.generator.conv_img.weight, before) and again.batches_done == 5
