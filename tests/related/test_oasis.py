"""OASIS: a discriminator that names classes, LabelMix, noise as a map, and nothing but adversarial losses."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from spade_edu.blocks import SPADEResnetBlock
from spade_edu.config import TrainingConfig
from spade_edu.data.streets import Streets
from spade_edu.errors import UserError
from spade_edu.generators import SPADEGenerator
from spade_edu.initialisation import init_spade
from spade_edu.labels import LabelClass, LabelSpace
from spade_edu.models import count_parameters
from spade_edu.presets import preset
from spade_edu.related import oasis
from spade_edu.related.oasis import (
    OASISDiscriminator,
    OASISGenerator,
    OASISTrainer,
    class_weights,
    halvings,
    label_mix,
    mix_mask,
    name_the_classes,
    name_them_fake,
    train_oasis,
)
from spade_edu.sampling import generate, spread

CLASSES = 5
SPACE = LabelSpace("five", tuple(LabelClass(str(i), (i, i, i), i) for i in range(CLASSES)))


def maps(label):
    return F.one_hot(label, CLASSES).permute(0, 3, 1, 2).float()


def labels(n=2, size=(8, 12)):
    """Class 4 doesn't occur; class 0 is frequent."""
    return torch.randint(CLASSES - 1, (n, *size)) * torch.randint(2, (n, *size))


# The losses (section 3.2) ------------------------------------------------------------------------------------------


def test_a_rare_class_weighs_as_much_as_a_frequent_one():
    label = torch.tensor([[[0, 0, 0, 0], [0, 0, 1, 2]]])
    weights = class_weights(maps(label))
    # Of 8 pixels 6 are class 0, one is 1, one is 2; three classes are there.
    torch.testing.assert_close(weights, torch.tensor([8 / 18, 8 / 3, 8 / 3, 0, 0]))
    whole = labels()
    weights, counts = class_weights(maps(whole)), torch.bincount(whole.flatten(), minlength=CLASSES)
    shares = weights * counts
    torch.testing.assert_close(shares[:4], torch.full((4,), whole.numel() / 4))


def test_real_pixels_are_asked_for_their_class_and_fake_ones_for_the_last():
    label, logits = labels(), torch.randn(2, CLASSES + 1, 8, 12) * 3
    weights = torch.cat([class_weights(maps(label)), torch.zeros(1)])
    expected = F.cross_entropy(logits, label, weight=weights, reduction="sum") / label.numel()
    torch.testing.assert_close(name_the_classes(logits, maps(label)), expected)
    fake = F.cross_entropy(logits, torch.full_like(label, CLASSES))
    torch.testing.assert_close(name_them_fake(logits), fake)


def test_who_knows_nothing_loses_alike_on_real_and_fake_pixels():
    logits, label = torch.zeros(2, CLASSES + 1, 8, 12), labels()
    for loss in (name_the_classes(logits, maps(label)), name_them_fake(logits)):
        assert loss.item() == pytest.approx(math.log(CLASSES + 1), rel=1e-5)


def test_dont_care_pixels_ask_for_nothing():
    space = LabelSpace("four", SPACE.classes[:4], dont_care=True)
    config = TrainingConfig(lambda_vgg=0)
    trainer = OASISTrainer(OASISGenerator(5, latent=(1, 1), ngf=1), OASISDiscriminator(5, ndf=1), config, space)
    label = labels()
    label[0, :4] = 4
    classes, logits = trainer.classes(maps(label)), torch.randn(2, 6, 8, 12, requires_grad=True)
    name_the_classes(logits, classes).backward()
    assert not logits.grad[0, :, :4].any() and logits.grad[0, :, 4:].any()


# LabelMix ----------------------------------------------------------------------------------------------------------


def test_the_mask_is_one_number_for_each_class_of_each_picture():
    label, seen = labels(3), set()
    for _ in range(30):
        mask = mix_mask(maps(label))
        assert mask.shape == (3, 1, 8, 12)
        for picture in range(3):
            values = [set(mask[picture, 0][label[picture] == c].tolist()) for c in range(4)]
            assert all(len(value) == 1 for value in values)
            seen.add((picture, tuple(value.pop() for value in values)))
    assert {v for _, values in seen for v in values} == {0.0, 1.0}
    assert len(seen) > 20, "classes and pictures are drawn apart"


def test_mixing_takes_each_pixel_whole_from_one_side():
    label, (real, fake) = labels(), torch.rand(2, 2, 3, 8, 12)
    mask = mix_mask(maps(label))
    mixed = label_mix(real, fake, mask)
    for n, y, x in torch.cartesian_prod(torch.arange(2), torch.arange(8), torch.arange(12)).tolist():
        source = real if mask[n, 0, y, x] else fake
        assert torch.equal(mixed[n, :, y, x], source[n, :, y, x])


class Pixelwise(nn.Module):
    """A discriminator that looks at each pixel alone: it can't see where something was mixed."""

    kernel = 1

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, CLASSES + 1, self.kernel, padding=self.kernel // 2)

    def forward(self, image):
        return self.conv(image)


class Neighbours(Pixelwise):
    """One that looks at the pixels beside, too."""

    kernel = 3


def settle(network, *inputs):
    """A few steps of power iteration: spectral norms that were just made know nothing of their weights."""
    with torch.no_grad():
        for _ in range(10):
            network(*inputs)
    network.eval()


@pytest.mark.parametrize("kind", [Pixelwise, Neighbours])
def test_what_is_said_of_a_mixture_is_to_be_the_mixture_of_what_is_said(kind, monkeypatch):
    trainer = OASISTrainer(OASISGenerator(5, latent=(1, 1), ngf=1), kind(), TrainingConfig(lambda_vgg=0), SPACE)
    segmap, image, painted = maps(labels(2, (32, 32))), torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
    mask = mix_mask(segmap)
    monkeypatch.setattr(trainer, "paint", lambda segmap: painted)
    monkeypatch.setattr(oasis, "mix_mask", lambda classes: mask)
    judge = trainer.discriminator
    with torch.no_grad():
        real, fake, mixed = judge(image), judge(painted), judge(mask * image + (1 - mask) * painted)
        difference = (mixed - (mask * real + (1 - mask) * fake)) ** 2
    found = trainer.discriminator_step(segmap, image, segmap)["D_mix"]
    torch.testing.assert_close(found, 10 * difference.mean())
    assert (found < 1e-10) == (kind is Pixelwise)


# The networks (sections 3.2 and 3.3) --------------------------------------------------------------------------------


def test_the_discriminator_names_a_class_for_each_pixel_and_isnt_shown_the_label_map():
    with torch.device("meta"):
        network = OASISDiscriminator(35)
        logits = network(torch.empty(2, 3, 256, 512))
    assert logits.shape == (2, 36, 256, 512)
    assert [block.conv_0.in_channels for block in network.down] == [3, 128, 128, 256, 256, 512]
    assert [block.conv_0.out_channels for block in network.down] == [128, 128, 256, 256, 512, 512]
    assert [block.conv_0.in_channels for block in network.up] == [512, 1024, 512, 512, 256, 256]
    assert [block.conv_0.out_channels for block in network.up] == [512, 256, 256, 128, 128, 64]


def test_a_skip_carries_every_level():
    """Each level of the way down is heard on the way up: without it the answer is another."""
    network, image = OASISDiscriminator(CLASSES, ndf=2), torch.rand(1, 3, 64, 64)
    settle(network, image)
    whole = network(image)
    for block in network.down[:-1]:
        handle = block.register_forward_hook(lambda module, inputs, output: output + 1)
        assert not torch.allclose(network(image), whole)
        handle.remove()
    assert torch.equal(network(image), whole)


def test_the_generator_is_spades_less_one_block_plus_the_noises_channels():
    with torch.device("meta"):
        spade, without = SPADEGenerator(151), SPADEGenerator(151 + 64)
        ours = OASISGenerator(151, latent=(8, 8))
    assert count_parameters(ours) == count_parameters(without) - count_parameters(without.G_middle_1)
    assert round(count_parameters(spade) / 1e6) == 96 and len(ours.blocks) == 6
    with torch.device("meta"):
        assert ours(torch.empty(1, 151, 256, 256)).shape == (1, 3, 256, 256)


def test_every_layer_is_told_the_noise_beside_the_labels():
    generator, segmap, z = OASISGenerator(CLASSES, latent=(1, 2), ngf=1), maps(labels(2, (32, 64))), torch.randn(2, 64)
    told = []
    for module in generator.modules():
        if isinstance(module, SPADEResnetBlock):
            module.register_forward_pre_hook(lambda module, inputs: told.append(inputs[1]))
    generator(segmap, z)
    expected = torch.cat([z[:, :, None, None].expand(2, 64, 32, 64), segmap], dim=1)
    assert len(told) == 6 and all(torch.equal(each, expected) for each in told)


def test_noise_can_be_drawn_for_a_region_alone():
    torch.manual_seed(0)
    generator = init_spade(OASISGenerator(CLASSES, latent=(4, 4), ngf=1, hidden_channels=4), 1.0)
    segmap = maps(labels(1, (128, 128)))
    settle(generator, segmap)
    one, other = torch.randn(2, 64)
    everywhere = one[None, :, None, None].expand(1, 64, 128, 128)
    whole = generator(segmap, one[None])
    torch.testing.assert_close(generator(segmap, everywhere), whole)
    changed = everywhere.clone()
    changed[..., :32] = other[None, :, None, None]
    difference = (generator(segmap, changed) - whole).abs().mean((0, 1, 2))
    assert difference[:32].mean() > 5 * difference[-32:].mean()


# Training ------------------------------------------------------------------------------------------------------------


def trainer_of(config):
    torch.manual_seed(1)
    generator = init_spade(OASISGenerator(CLASSES, latent=(1, 1), ngf=2, hidden_channels=4), 1.0)
    discriminator = init_spade(OASISDiscriminator(CLASSES, ndf=4, halvings=2), 1.0)
    return OASISTrainer(generator, discriminator, config, SPACE)


def test_each_step_moves_its_own_network_by_its_own_losses_and_no_other():
    trainer = trainer_of(TrainingConfig(lr=0.001, ema=0.9))
    segmap, image = maps(labels(2, (32, 32))), torch.rand(2, 3, 32, 32)
    before = {n: [p.clone() for p in getattr(trainer, n).parameters()] for n in ("generator", "discriminator")}

    def moved(name):
        return not all(torch.equal(a, b) for a, b in zip(before[name], getattr(trainer, name).parameters()))

    assert list(trainer.generator_step(segmap, segmap)) == ["GAN"]
    assert moved("generator") and not moved("discriminator")
    before["generator"] = [p.clone() for p in trainer.generator.parameters()]
    assert list(trainer.discriminator_step(segmap, image, segmap)) == ["D_real", "D_Fake", "D_mix"]
    assert moved("discriminator") and not moved("generator")
    assert [o.param_groups[0]["betas"] for o in (trainer.optimizer_g, trainer.optimizer_d)] == [(0.0, 0.999)] * 2


def test_the_average_follows_the_generator():
    trainer = trainer_of(TrainingConfig(lr=0.001, ema=0.9))
    before = trainer.averaged.conv_img.weight.clone()
    segmap = maps(labels(2, (32, 32)))
    trainer.generator_step(segmap, segmap)
    expected = before / 11 + trainer.generator.conv_img.weight * 10 / 11
    torch.testing.assert_close(trainer.averaged.conv_img.weight, expected)


def test_the_discriminator_learns_to_segment():
    """Real pixels, whose colour is their class, it soon names better than chance, and the painted ones fake."""
    trainer = trainer_of(TrainingConfig(lr=0.005))
    segmap = maps(labels(2, (4, 4)).repeat_interleave(8, 1).repeat_interleave(8, 2))
    image = torch.einsum("nchw,cd->ndhw", segmap, torch.rand(CLASSES, 3) * 2 - 1)
    losses = [trainer.discriminator_step(segmap, image, segmap) for _ in range(30)]
    for name in ("D_real", "D_Fake"):
        assert losses[-1][name] < 0.6 * losses[0][name]


def test_no_perceptual_loss_is_asked_for(monkeypatch):
    monkeypatch.setattr("torchvision.models.vgg19", None)
    monkeypatch.setattr("spade_edu.models.load_second_opinion", None)
    scenes = Streets(4, height=32, width=64)
    generator = train_oasis(scenes, preset("test", lambda_vgg=10.0, ema=0.9), steps=2, seed=2)
    assert not generator.training and generator.z_dim == 64
    image = generate(generator, spread(scenes, 2), scenes.labels)
    assert image.shape == (2, 3, 32, 64) and image.abs().max() <= 1
    again = train_oasis(scenes, preset("test", lambda_vgg=10.0, ema=0.9), steps=2, seed=2)
    assert torch.equal(image, generate(again, spread(scenes, 2), scenes.labels))
    other = train_oasis(scenes, preset("test", lambda_vgg=10.0, ema=0.9), steps=2, seed=3)
    assert not torch.equal(image, generate(other, spread(scenes, 2), scenes.labels))


def test_sizes():
    assert halvings(TrainingConfig(height=256, width=512)) == 6 and halvings(TrainingConfig(height=32, width=64)) == 5
    with pytest.raises(UserError, match="multiples of 32"):
        train_oasis(Streets(4, height=40, width=64), preset("test", height=40), steps=1, seed=0)
