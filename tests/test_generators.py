"""Generators: SPADE's plan and latent map, pix2pixHD's family, Table 3's variants.

SPADE's: models/networks/generator.py lines 15 to 118 of the official code, commit fecacc9. The paper's Figure 12 draws
another first map (docs/paper-vs-code.md).
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from spade_edu.blocks import SPADEResnetBlock
from spade_edu.config import TrainingConfig
from spade_edu.errors import UserError
from spade_edu.generators import (
    ConcatGenerator,
    InstanceFeatureEncoder,
    LocalEnhancer,
    Pix2PixHDGenerator,
    SPADEGenerator,
    SPADEPix2PixHDGenerator,
    cluster_features,
    latent_size,
    sample_features,
)
from spade_edu.generators.instance_features import instance_mean, k_means
from spade_edu.generators.variants import ConcatPix2PixHDGenerator, ConcatResnetBlock
from spade_edu.models import MODELS, build
from spade_edu.normalization import SPADE, SyncBatchNorm
from spade_edu.presets import ROWS, preset
from spade_edu.spectral import SpectralNorm


def randomised(module, std=0.1):
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=std)
    return module.eval()


def trace(generator, *inputs):
    """(name, input size, output size) of every block, in the order in which they run."""
    seen = []
    for name, block in generator.named_children():
        if isinstance(block, SPADEResnetBlock):
            hook = lambda m, i, o, name=name: seen.append((name, tuple(i[0].shape[1:]), tuple(o.shape[1:])))  # noqa: E731
            block.register_forward_hook(hook)
    return generator(*inputs), seen


# SPADE ---------------------------------------------------------------------------------------------------------------


def test_normal_plan_at_256():
    image, seen = trace(SPADEGenerator(3, ngf=1, hidden_channels=2).eval(), torch.rand(1, 3, 256, 256))
    assert seen == [
        ("head_0", (16, 8, 8), (16, 8, 8)),
        ("G_middle_0", (16, 16, 16), (16, 16, 16)),
        ("G_middle_1", (16, 16, 16), (16, 16, 16)),
        ("up_0", (16, 32, 32), (8, 32, 32)),
        ("up_1", (8, 64, 64), (4, 64, 64)),
        ("up_2", (4, 128, 128), (2, 128, 128)),
        ("up_3", (2, 256, 256), (1, 256, 256)),
    ]
    assert image.shape == (1, 3, 256, 256) and image.abs().max() <= 1


def test_more_plan_at_256_by_512_doubles_before_middle_1():
    generator = SPADEGenerator(3, latent=(4, 8), num_upsampling_layers="more", ngf=1, hidden_channels=2).eval()
    _, seen = trace(generator, torch.rand(1, 3, 256, 512))
    sizes = [before[1:] for _, before, _ in seen]
    assert sizes == [(4, 8), (8, 16), (16, 32), (32, 64), (64, 128), (128, 256), (256, 512)]


def test_most_plan_ends_with_one_more_block_of_half_the_width():
    generator = SPADEGenerator(3, latent=(1, 1), num_upsampling_layers="most", ngf=2, hidden_channels=2).eval()
    image, seen = trace(generator, torch.rand(1, 3, 128, 128))
    assert seen[-1] == ("up_4", (2, 128, 128), (1, 128, 128)) and image.shape[-2:] == (128, 128)


def test_without_style_the_latent_is_the_nearest_downsampled_mask_behind_a_3x3_convolution():
    generator = randomised(SPADEGenerator(3, latent=(2, 4), ngf=1, hidden_channels=2))
    segmap = torch.rand(2, 3, 64, 128)
    expected = F.conv2d(segmap[:, :, ::32, ::32], generator.fc.weight, generator.fc.bias, padding=1)
    torch.testing.assert_close(generator.first_map(segmap, None), expected)
    assert torch.equal(generator(segmap), generator(segmap, torch.randn(2, 256)))  # no noise enters


def test_with_style_the_latent_is_a_linear_layer_of_z():
    generator = randomised(SPADEGenerator(3, latent=(1, 2), ngf=1, z_dim=4, hidden_channels=2))
    segmap, z = torch.rand(2, 3, 32, 64), torch.randn(2, 4)
    expected = (z @ generator.fc.weight.T + generator.fc.bias).reshape(2, 16, 1, 2)
    torch.testing.assert_close(generator.first_map(segmap, z), expected)
    torch.manual_seed(3)
    drawn = generator(segmap)
    torch.manual_seed(3)
    torch.testing.assert_close(drawn, generator(segmap, torch.randn(2, 4)))


def test_generator_ends_with_leaky_relu_convolution_tanh():
    generator = randomised(SPADEGenerator(3, latent=(1, 1), ngf=2, hidden_channels=2))
    seen = {}
    generator.up_3.register_forward_hook(lambda m, i, o: seen.update(last=o))
    image = generator(torch.rand(1, 3, 32, 32))
    x = F.conv2d(F.leaky_relu(seen["last"], 0.2), generator.conv_img.weight, generator.conv_img.bias, padding=1)
    torch.testing.assert_close(image, torch.tanh(x))


def test_upsampling_is_nearest():
    generator = SPADEGenerator(3, latent=(1, 2), ngf=1, hidden_channels=2).eval()
    seen = {}
    generator.head_0.register_forward_hook(lambda m, i, o: seen.update(small=o))
    generator.G_middle_0.register_forward_pre_hook(lambda m, i: seen.update(big=i[0]))
    generator(torch.rand(1, 3, 32, 64))
    assert torch.equal(seen["big"], seen["small"].repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_fc_and_last_convolution_are_not_spectrally_normalised():
    generator = SPADEGenerator(3, ngf=1)
    assert not isinstance(generator.fc, SpectralNorm) and not isinstance(generator.conv_img, SpectralNorm)
    assert sum(isinstance(m, SpectralNorm) for m in generator.modules()) == 2 * 7 + 4


def test_every_block_receives_the_full_size_mask():
    generator = SPADEGenerator(3, latent=(1, 1), ngf=1, hidden_channels=2).eval()
    seen = []
    for block in generator.children():
        if isinstance(block, SPADEResnetBlock):
            block.register_forward_pre_hook(lambda m, i: seen.append(i[1].shape[-2:]))
    generator(torch.rand(1, 3, 32, 32))
    assert seen == [(32, 32)] * 7


@pytest.mark.parametrize("channels, total, with_vae", [
    (36, 93_048_003, 101_136_579), (184, 97_480_899, 112_626_883), (151, 96_492_483, 111_942_595),
])  # fmt: skip
def test_parameter_totals(channels, total, with_vae):
    plan = dict(latent=(4, 8), num_upsampling_layers="more") if channels == 36 else {}
    with torch.device("meta"):
        networks = SPADEGenerator(channels, **plan), SPADEGenerator(channels, z_dim=256, **plan)
    assert [sum(p.numel() for p in g.parameters()) for g in networks] == [total, with_vae]


def test_share_of_parameters_in_spade_layers():
    with torch.device("meta"):
        generator = SPADEGenerator(151)
    layers = [m for m in generator.modules() if isinstance(m, SPADE)]
    assert sum(p.numel() for layer in layers for p in layer.parameters()) == 28_370_304
    assert sum(p.numel() for p in generator.head_0.parameters()) == 23_947_264


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.sampled_from(["normal", "more", "most"]))
def test_latent_size_undoes_the_doublings(h, w, plan):
    factor = {"normal": 32, "more": 64, "most": 128}[plan]
    assert latent_size((h * factor, w * factor), plan) == (h, w)
    with pytest.raises(UserError, match=f"multiples of {factor}"):
        latent_size((h * factor + 1, w * factor), plan)


def test_latent_size_names_the_plans():
    with pytest.raises(UserError, match="'normal', 'more' or 'most'"):
        latent_size((256, 256), "least")


# pix2pixHD -----------------------------------------------------------------------------------------------------------


def pix2pixhd_by_hand(model, x, downs, blocks):
    """pix2pixHD's layers one after the other, in plain functions."""

    def after(y):
        return F.relu(F.instance_norm(y))

    def pad(y, n):
        return F.pad(y, (n,) * 4, mode="reflect")

    layers = [m for m in model if not isinstance(m, nn.ReflectionPad2d | nn.InstanceNorm2d | nn.ReLU | nn.Tanh)]
    x = after(F.conv2d(pad(x, 3), layers[0].weight, layers[0].bias))
    for layer in layers[1 : 1 + downs]:
        x = after(F.conv2d(x, layer.weight, layer.bias, stride=2, padding=1))
    for block in layers[1 + downs : 1 + downs + blocks]:
        first, second = (m for m in block.conv_block if isinstance(m, nn.Conv2d))
        y = F.relu(F.instance_norm(F.conv2d(pad(x, 1), first.weight, first.bias)))
        x = x + F.instance_norm(F.conv2d(pad(y, 1), second.weight, second.bias))
    for layer in layers[1 + downs + blocks : 1 + 2 * downs + blocks]:
        x = after(F.conv_transpose2d(x, layer.weight, layer.bias, stride=2, padding=1, output_padding=1))
    if len(layers) == 1 + 2 * downs + blocks:
        return x  # the enhancer's G1 has no last convolution
    return torch.tanh(F.conv2d(pad(x, 3), layers[-1].weight, layers[-1].bias))


def test_pix2pixhd_by_hand():
    generator = randomised(Pix2PixHDGenerator(4, ngf=3, num_downsampling=2, num_blocks=2), 0.3)
    segmap = torch.rand(2, 4, 16, 24)
    expected = pix2pixhd_by_hand(generator.model, segmap, 2, 2)
    torch.testing.assert_close(generator(segmap), expected, atol=1e-4, rtol=1e-4)
    assert torch.equal(generator(segmap), generator(segmap, torch.randn(2, 8)))


def test_pix2pixhd_parameter_totals():
    with torch.device("meta"):
        networks = Pix2PixHDGenerator(36), LocalEnhancer(36), InstanceFeatureEncoder()
    totals = [sum(p.numel() for p in n.parameters()) for n in networks]
    assert totals == [182_546_755, 182_857_059, 788_803]


def test_local_enhancer_adds_the_global_generators_features_of_the_half_size_map():
    enhancer = randomised(LocalEnhancer(4, ngf=2, num_downsampling=2, num_blocks=1, num_local_blocks=2), 0.3)
    segmap = torch.rand(1, 4, 16, 24)
    counted = F.avg_pool2d(torch.ones_like(segmap), 3, stride=2, padding=1)  # padding isn't counted
    half = F.avg_pool2d(segmap, 3, stride=2, padding=1) / counted
    features = pix2pixhd_by_hand(enhancer.model, half, 2, 1)
    full = enhancer.model1_1(segmap)
    assert full.shape == features.shape == (1, 4, 8, 12)
    padded = F.pad(segmap, (3, 3, 3, 3), mode="reflect")
    torch.testing.assert_close(enhancer.model1_1[0](segmap), padded)
    expected = enhancer.model1_2(full + features)
    before_last = enhancer.model1_2[:-3](full + features)
    last = F.conv2d(F.pad(before_last, (3, 3, 3, 3), mode="reflect"), *enhancer.model1_2[-2].parameters()).tanh()
    torch.testing.assert_close(expected, last)
    torch.testing.assert_close(enhancer(segmap), expected, atol=1e-4, rtol=1e-4)
    assert expected.shape == (1, 3, 16, 24)


def instances(n=2, h=16, w=24):
    ids = torch.zeros(n, h, w, dtype=torch.int32)
    ids[:, 4:10, 2:12], ids[:, 8:, 15:] = 26000, 26001
    return ids


@pytest.mark.parametrize("with_channel", [False, True])
def test_feature_encoder_replaces_each_channel_by_its_mean_over_the_instance(with_channel):
    encoder = randomised(InstanceFeatureEncoder(nef=2, num_downsampling=2), 0.3)
    image, ids = torch.rand(2, 3, 16, 24), instances()
    features, pooled = encoder.model(image), encoder(image, ids[:, None] if with_channel else ids)
    for b in range(2):
        for number in ids[b].unique():
            mask = ids[b] == number
            for c in range(3):
                assert torch.allclose(pooled[b, c][mask], features[b, c][mask].mean(), atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), st.integers(0, 999))
def test_instance_mean_keeps_sums_and_is_idempotent(n, h, w, seed):
    generator = torch.Generator().manual_seed(seed)
    x, ids = torch.rand(n, 2, h, w, generator=generator), torch.randint(3, (n, h, w), generator=generator)
    mean = instance_mean(x, ids)
    torch.testing.assert_close(mean.sum((2, 3)), x.sum((2, 3)))
    torch.testing.assert_close(instance_mean(mean, ids), mean)


def test_gradient_passes_through_the_pooling():
    x = torch.rand(1, 3, 4, 4, requires_grad=True)
    instance_mean(x, torch.zeros(1, 4, 4, dtype=torch.int32))[0, 0, 0, 0].backward()
    torch.testing.assert_close(x.grad[0, 0], torch.full((4, 4), 1 / 16))


def test_k_means_finds_separate_groups():
    centres = torch.tensor([[0.0, 0.0, 0.0], [5.0, 0.0, 0.0], [0.0, 5.0, 5.0]])
    points = centres.repeat_interleave(20, 0) + torch.randn(60, 3) * 0.05
    found = k_means(points, 3)
    assert torch.cdist(centres, found).min(dim=1).values.max() < 0.1
    assert len(k_means(points[:2], 10)) == 2  # never more centres than points
    assert torch.equal(k_means(points, 3, seed=4), k_means(points, 3, seed=4))


def test_instances_of_half_a_32nd_of_the_image_are_too_small_for_clusters():
    encoder = randomised(InstanceFeatureEncoder(nef=2, num_downsampling=2), 0.3)
    ids = torch.zeros(1, 32, 32, dtype=torch.int32)
    ids[0, :4, :4], ids[0, 8:12, 8:12], ids[0, 12, 8] = 24000, 26000, 26000  # 16 and 17 of 1,024 pixels
    assert set(cluster_features(encoder, [(torch.rand(1, 3, 32, 32), ids)], k=1)) == {0, 26}


def test_clusters_are_class_wise_and_small_instances_are_left_out():
    encoder = InstanceFeatureEncoder(nef=2, num_downsampling=2).eval()
    ids = instances(2, 32, 32)
    ids[:, 0, 0] = 24000  # one pixel of another class: too small
    clusters = cluster_features(encoder, [(torch.rand(2, 3, 32, 32), ids)], k=3)
    assert set(clusters) == {0, 26} and clusters[26].shape[0] <= 3  # both cars belong to class 26
    drawn = sample_features(ids, clusters, seed=1)
    assert drawn.shape == (2, 3, 32, 32) and not drawn[0, :, 0, 0].any()
    assert any(torch.equal(drawn[0, :, 5, 5], centre) for centre in clusters[26])
    assert torch.equal(drawn[0, :, 5, 5], drawn[0, :, 6, 7])  # one centre for the whole object
    assert torch.equal(drawn, sample_features(ids, clusters, seed=1))


# Table 3's variants --------------------------------------------------------------------------------------------------


def test_concat_block_by_hand():
    block = randomised(ConcatResnetBlock(6, 4, 3, norm="batch", spectral=False), 0.3)
    x, segmap = torch.randn(2, 6, 8, 8), torch.rand(2, 3, 16, 16)
    mask = segmap[:, :, ::2, ::2]

    def normed(norm, y):
        return y / (1 + 1e-5) ** 0.5 * norm.weight[:, None, None] + norm.bias[:, None, None]

    y = torch.cat([F.leaky_relu(normed(block.norm_0, x), 0.2), mask], 1)
    y = F.conv2d(y, block.conv_0.weight, block.conv_0.bias, padding=1)
    y = torch.cat([F.leaky_relu(normed(block.norm_1, y), 0.2), mask], 1)
    y = F.conv2d(y, block.conv_1.weight, block.conv_1.bias, padding=1)
    skip = F.conv2d(torch.cat([normed(block.norm_s, x), mask], 1), block.conv_s.weight)
    torch.testing.assert_close(block(x, segmap), skip + y, atol=1e-4, rtol=1e-4)


def test_concat_generator_has_no_spade_but_the_same_first_map_and_style():
    generator = ConcatGenerator(3, latent=(1, 2), ngf=1, z_dim=4).eval()
    assert not any(isinstance(m, SPADE) for m in generator.modules())
    assert generator(torch.rand(2, 3, 32, 64), torch.randn(2, 4)).shape == (2, 3, 32, 64)


SMALL = dict(ngf=2, num_downsampling=2, num_blocks=2, norm="syncbatch", spectral=True, bias=False)


def test_pix2pixhd_with_spade_has_spade_for_every_norm():
    plain, spade = Pix2PixHDGenerator(3, **SMALL), SPADEPix2PixHDGenerator(3, **SMALL)
    norms = [m for m in plain.modules() if type(m).__name__ == "SyncBatchNorm"]
    layers = [m for m in spade.modules() if isinstance(m, SPADE)]
    assert len(norms) == len(layers) == 1 + 2 + 2 * 2 + 2
    assert [n.weight.shape[0] for n in norms] == [s.mlp_gamma.out_channels for s in layers]


@pytest.mark.parametrize("kind", [SPADEPix2PixHDGenerator, ConcatPix2PixHDGenerator, ConcatGenerator, SPADEGenerator])
def test_label_map_reaches_the_inner_layers(kind):
    """With the first layer deaf, only generators that are told the map again can answer to it."""
    options = SMALL if issubclass(kind, Pix2PixHDGenerator) else dict(latent=(1, 1), ngf=2, spectral=False)
    generator = randomised(kind(3, **options), 0.3)
    first = generator.model[1] if issubclass(kind, Pix2PixHDGenerator) else generator.fc
    nn.init.zeros_(first.weight)
    if isinstance(first, SpectralNorm):
        first.power_iteration = lambda: None
        first.normalised_weight = lambda: first.weight
    one, other = torch.zeros(1, 3, 32, 32), torch.zeros(1, 3, 32, 32)
    one[:, 0], other[:, 1] = 1, 1
    assert not torch.allclose(generator(one), generator(other), atol=1e-4)


PARAMETERS = {  # millions, ADE20K: the paper's #param
    "decoder w/ SPADE": 96, "compact decoder w/ SPADE": 61, "decoder w/ Concat": 79, "pix2pixHD++ w/ SPADE": 237,
    "pix2pixHD++ w/ Concat": 195, "pix2pixHD++": 183, "compact pix2pixHD++": 103, "pix2pixHD": 183,
}  # fmt: skip


@pytest.mark.parametrize("row", PARAMETERS)
def test_table_3_parameters_within_one_percent(row):
    with torch.device("meta"):
        generator = build(TrainingConfig(model=row), 151).generator
    assert sum(p.numel() for p in generator.parameters()) == pytest.approx(PARAMETERS[row] * 1e6, rel=0.01)


@pytest.mark.parametrize("row", ROWS)
def test_every_row_of_tables_3_to_5_draws_images(row):
    networks = build(preset("test", row), 4)
    segmap = torch.rand(2, 4, 32, 64)
    image = networks.generator(segmap)
    assert image.shape == (2, 3, 32, 64) and image.abs().max() <= 1
    assert len(networks.discriminator(segmap, image)) == 2


def test_rows_change_what_their_names_say():
    base = build(preset("test", "ours"), 4)
    assert build(preset("test", "input: random noise"), 4).generator.z_dim == 4 and base.generator.z_dim is None
    for kernel in (1, 3, 5):
        spade = build(preset("test", f"kernel {kernel}x{kernel}"), 4).generator.head_0.norm_0
        assert spade.mlp_gamma.kernel_size == (kernel, kernel)
    kinds = {"Sync BatchNorm": SyncBatchNorm, "BatchNorm": nn.BatchNorm2d, "InstanceNorm": nn.InstanceNorm2d}
    for row, kind in kinds.items():
        norm = build(preset("test", row), 4).generator.head_0.norm_0.param_free_norm
        assert isinstance(norm, kind)
    deeper = build(preset("test", "ours w/ a deeper D"), 4).discriminator
    assert len(deeper.scales[0].layers) == len(base.discriminator.scales[0].layers) + 1
    assert preset("test", "ours w/o perceptual loss").lambda_vgg == 0
    assert preset("paper", "ours").lambda_vgg == 10
    assert preset("test", "ours w/o GAN feature matching").lambda_feat == 0
    without = build(preset("test", "pix2pixHD++ w/o SyncBN, w/o SN"), 4).generator
    assert not any(isinstance(m, SpectralNorm) for m in without.modules())
    assert any(isinstance(m, nn.InstanceNorm2d) for m in without.modules())
    assert preset("test", "pix2pixHD").gan == "lsgan" and preset("test", "pix2pixHD++").gan == "hinge"


def test_capacity_multiplies_the_width():
    assert TrainingConfig(capacity=0.75).generator_width == 48 and TrainingConfig(capacity=1.25).generator_width == 80


def test_unknown_models_are_named():
    with pytest.raises(UserError, match="no model 'gaugan'.*spade"):
        build(TrainingConfig(model="gaugan"), 4)
    assert {"spade", "pix2pixhd", "pix2pixhd++"} <= set(MODELS)
