"""References are printed as solutions, so they repeat the core's functions: here they are held equal to them."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from spade_edu import labels, losses, normalization, training
from spade_edu.blocks import ResnetBlock, SPADEResnetBlock
from spade_edu.checks import exercises
from spade_edu.checks.calling import flatten
from spade_edu.discriminators import PatchDiscriminator
from spade_edu.evaluation import frechet, segmentation, uniform
from spade_edu.generators import SPADEGenerator, instance_features
from spade_edu.related.clade import CLADE
from spade_edu.spectral import SpectralConv2d

# The core's way of doing what the exercise of the same name asks for, and arguments drawn for both of them.


def sizes(number, low=2, high=6):
    return torch.randint(low, high + 1, (number,)).tolist()


def features(*shape):
    return 2 * torch.randn(*shape) + torch.randn(shape[0], shape[1], 1, 1)


def label_map(classes, *shape):
    return torch.randint(classes, shape)


def segmap(classes, *shape):
    return labels.one_hot(label_map(classes, *shape), classes)


def updated_batch_norm(running_mean, running_var, x, momentum):
    norm = normalization.BatchNorm2d(len(running_mean), momentum=momentum)
    norm.running_mean, norm.running_var = running_mean, running_var
    norm(x)
    return norm.running_mean, norm.running_var


def batch_norm(x, gamma, beta, running_mean, running_var, train, eps):
    norm = normalization.BatchNorm2d(len(gamma), eps=eps).train(train)
    norm.weight.data, norm.bias.data = gamma, beta
    norm.running_mean, norm.running_var = running_mean, running_var
    return norm(x)


def draw_batch_norm():
    n, c, h, w = sizes(4)
    train = bool(torch.randint(2, ()))
    return features(n, c, h, w), *torch.randn(3, c), torch.rand(c) + 0.2, train, 1e-3


def conditional(x, label, gamma, beta, eps):
    layer = normalization.ConditionalBatchNorm2d(*gamma.T.shape)
    layer.gamma.data, layer.beta.data, layer.norm.eps = gamma, beta, eps
    return layer(x, label)


def draw_tables(label):
    """x, labels and two tables; label(classes, n, h, w) gives the labels."""
    n, c, h, w, classes = sizes(5)
    return features(n, c, h, w), label(classes, n, h, w), *torch.randn(2, classes, c), 1e-3


def adain(x, style, eps):
    mean, variance = style.mean((2, 3)), style.var((2, 3), correction=0)
    return normalization.adain(x, mean, torch.sqrt(variance + eps), eps=eps)


def with_channel_for_unknown(label, num_classes):
    return labels.one_hot(torch.where(label == 255, num_classes, label), num_classes + 1)


def draw_unknown():
    n, h, w, classes = sizes(4)
    label = label_map(classes + 1, n, h, w)
    return torch.where(label == classes, 255, label), classes


def residual_block(x, weight_0, weight_1, eps):
    block = ResnetBlock(x.shape[1], bias=False)
    for layer, weight in ((1, weight_0), (5, weight_1)):
        block.conv_block[layer].weight.data = weight
        block.conv_block[layer + 1].eps = eps
    return block(x)


def draw_residual_block():
    n, c, h, w = sizes(4)
    return features(n, c, h, w), *torch.randn(2, c, c, 3, 3), 1e-3


def nearest(label, height, width):
    return labels.resize_segmap(label[:, None].double(), (height, width))[:, 0].long()


def spade_layer(shared, gamma, beta, eps=1e-5):
    layer = normalization.SPADE(gamma.shape[0], shared.shape[1], hidden_channels=shared.shape[0])
    for part, weight in ((layer.mlp_shared[0], shared), (layer.mlp_gamma, gamma), (layer.mlp_beta, beta)):
        part.weight.data, part.bias.data = weight, torch.zeros(len(weight))
    layer.param_free_norm.eps = eps
    return layer


def draw_spade_weights():
    c, hidden, classes = sizes(3)
    return torch.randn(hidden, classes, 3, 3), torch.randn(c, hidden, 3, 3), torch.randn(c, hidden, 3, 3)


def draw_spade():
    n, h, w, label_h, label_w = sizes(5)
    shared, gamma, beta = draw_spade_weights()
    return features(n, len(gamma), h, w), segmap(shared.shape[1], n, label_h, label_w), shared, gamma, beta, 1e-3


def clade(x, label, gamma, beta, eps):
    layer = CLADE(*gamma.T.shape)
    layer.gamma.data, layer.beta.data, layer.param_free_norm.eps = gamma, beta, eps
    return layer(x, label)


def spade_block(x, segmap, parts):
    channels = x.shape[1], parts["conv_1"].out_channels
    block = SPADEResnetBlock(*channels, segmap.shape[1], hidden_channels=3, norm="instance", spectral=False)
    block.load_state_dict(parts.state_dict())
    return block(x, segmap)


def draw_spade_block():
    n, fin, fout, h, w, classes = sizes(6)
    block = SPADEResnetBlock(fin, fout, classes, hidden_channels=3, norm="instance", spectral=False)
    return features(n, fin, h, w), segmap(classes, n, 2 * h, 3 * w), nn.ModuleDict(dict(block.named_children()))


def uniform_segmaps(class_ids, num_channels, height, width):
    label, _ = uniform.uniform_labels(class_ids, height, width)
    return labels.one_hot(label, num_channels)


def uniform_modulation(class_id, shared, gamma, beta):
    layer = normalization.ConditionalBatchNorm2d.from_spade(spade_layer(shared, gamma, beta))
    return layer.gamma[class_id] - 1, layer.beta[class_id]


def count_block(fin, fout, label_channels, hidden, kernel):
    block = SPADEResnetBlock(fin, fout, label_channels, kernel_size=kernel, hidden_channels=hidden, spectral=False)
    return sum(p.numel() for p in block.parameters())


def draw_prediction():
    n, h, w, classes = sizes(4)
    target = label_map(classes + 1, n, h, w)
    return label_map(classes, n, h, w), torch.where(target == classes, 255, target), classes


def draw_pixels():
    prediction, target, _ = draw_prediction()
    return prediction, target, 255


def draw_scales(number):
    return [[torch.randn(2, c, h, w) for c, h, w in torch.randint(1, 5, (3, 3)).tolist()] for _ in range(number)]


def draw_two_scales():
    one = draw_scales(2)
    return one, [[torch.randn_like(feature) for feature in scale] for scale in one]


def draw_eyes():
    pictures = torch.randn(2, 2, 3, 5, 6)
    return lambda x: [x, x.square()], (0.5, 2.0), *pictures


def patch_discriminator(in_channels, ndf, num_layers):
    network = PatchDiscriminator(in_channels, ndf=ndf, num_layers=num_layers, spectral=False, bias=True)
    return feature_maps(network.layers, in_channels)


def feature_maps(layers, in_channels):
    """What the layers make of a picture, with weights that don't depend on who made the layers."""
    torch.manual_seed(0)
    for weight in layers.parameters():
        nn.init.normal_(weight, std=0.2)
    features = [torch.randn(2, in_channels, 40, 33)]
    for layer in layers:
        features.append(layer(features[-1]))
    return features


def spectral_norm_step(weight, u, eps):
    layer = SpectralConv2d(weight.shape[1], weight.shape[0], tuple(weight.shape[2:]))
    layer.weight.data, layer.u = weight, u
    return layer.normalised_weight(), layer.u


def draw_spectral():
    fout, fin, kh, kw = sizes(4)
    return torch.randn(fout, fin, kh, kw), F.normalize(torch.randn(fout), dim=0), 1e-12


def update_average(averaged, network, decay):
    training.update_average(averaged, network, decay)
    return averaged


def draw_networks():
    c = sizes(1)[0]
    networks = [nn.Sequential(nn.Conv2d(3, c, 3), nn.BatchNorm2d(c)) for _ in range(2)]
    networks[1](torch.randn(2, 3, 5, 5))
    return *networks, 0.7


def statistics(batch):
    found = frechet.FeatureStatistics("random")
    found.update(batch)
    return found.mean, found.cov


def updated_statistics(count, mean, scatter, batch):
    found = frechet.FeatureStatistics("random")
    found.n, found.mean, found.scatter = count, mean, scatter
    found.update(batch)
    return found.n, found.mean, found.scatter


def draw_update():
    d, count, n = sizes(3)
    seen = torch.randn(count, d).double() + 3
    centred = seen - seen.mean(0)
    return count, seen.mean(0), centred.T @ centred, torch.randn(n, d).double()


def draw_gaussians():
    d, rank = sizes(2)
    roots = torch.randn(2, d, rank).double()
    means = torch.randn(2, d).double()
    return means[0], roots[0] @ roots[0].T, means[1], roots[1] @ roots[1].T


def counted(prediction, target, num_classes, ignored):
    matrix = segmentation.ConfusionMatrix(num_classes, (ignored,))
    matrix.update(prediction, target)
    return matrix


def draw_counts():
    counts = torch.randint(0, 9, (5, 5))
    counts[0, :] = counts[:, 0] = 0  # a class that is nowhere
    counts[1, :] = 0  # and one that is only predicted
    return (counts,)


def mean_iou(counts):
    scored = torch.ones(len(counts), dtype=torch.bool)
    return segmentation.mean_iou(counts.diagonal(), counts.sum(1), counts.sum(0), scored).item()


def draw_norm_input():
    return features(*sizes(4)), 1e-3


TWINS = {
    "batch_statistics": (normalization.batch_statistics, lambda: (features(*sizes(4)),)),
    "running_average": (updated_batch_norm, lambda: (torch.randn(3), torch.rand(3), features(2, 3, *sizes(2)), 0.3)),
    "batch_norm": (batch_norm, draw_batch_norm),
    "instance_norm": (lambda x, eps: normalization.InstanceNorm2d(x.shape[1], eps=eps)(x), draw_norm_input),
    "conditional_batch_norm": (conditional, lambda: draw_tables(lambda classes, n, h, w: label_map(classes, n))),
    "adain": (adain, lambda: (features(2, 3, *sizes(2)), features(2, 3, *sizes(2)), 1e-3)),
    "one_hot": (with_channel_for_unknown, draw_unknown),
    "instance_edges": (labels.instance_edges, lambda: (label_map(3, *sizes(3)),)),
    "residual_block": (residual_block, draw_residual_block),
    "nearest_resize": (nearest, lambda: (label_map(30, *sizes(3, high=12)), *sizes(2, high=12))),
    "spade_forward": (lambda x, segmap, *rest: spade_layer(*rest)(x, segmap), draw_spade),
    "clade_forward": (clade, lambda: draw_tables(label_map)),
    "spade_block": (spade_block, draw_spade_block),
    "uniform_segmaps": (uniform_segmaps, lambda: (label_map(5, 3).tolist(), 5, *sizes(2))),
    "uniform_modulation": (uniform_modulation, lambda: (1, *draw_spade_weights())),
    "colour_difference": (uniform.colour_difference, lambda: (2 * torch.rand(4, 3, *sizes(2)) - 1,)),
    "count_block": (count_block, lambda: (*sizes(4), 5)),
    "hinge_generator": (losses.hinge_generator, lambda: (draw_scales(2),)),
    "hinge_discriminator": (losses.hinge_discriminator, draw_two_scales),
    "feature_matching": (losses.feature_matching, draw_two_scales),
    "perceptual": (losses.perceptual, draw_eyes),
    "spectral_norm_step": (spectral_norm_step, draw_spectral),
    "update_average": (update_average, draw_networks),
    "feature_statistics": (statistics, lambda: (torch.randn(*sizes(2)) + 5,)),
    "update_statistics": (updated_statistics, draw_update),
    "frechet_distance": (frechet.frechet_distance, draw_gaussians),
    "confusion_matrix": (lambda *arguments: counted(*arguments).counts, lambda: (*draw_prediction(), 255)),
    "mean_iou": (mean_iou, draw_counts),
    "pixel_accuracy": (lambda p, t, ignored: counted(p, t, 9, ignored).pixel_accuracy(), draw_pixels),
    "kl_divergence": (losses.kl_divergence, lambda: tuple(torch.randn(2, *sizes(2)))),
    "instance_mean": (instance_features.instance_mean, lambda: (features(2, 3, 5, 4), label_map(3, 2, 5, 4))),
}


def reference(name):
    return next(e.reference for e in exercises() if e.name == name)


def assert_equal(got, expected):
    got, expected = flatten(got, ""), flatten(expected, "")
    assert got.keys() == expected.keys()
    for path, value in expected.items():
        found, due = torch.as_tensor(got[path]), torch.as_tensor(value)
        torch.testing.assert_close(found, due, rtol=1e-4, atol=1e-4, equal_nan=True)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", TWINS)
def test_a_reference_does_what_the_core_does(name, seed):
    torch.manual_seed(seed)
    twin, draw = TWINS[name]
    arguments = draw()
    assert_equal(reference(name)(*copy.deepcopy(arguments)), twin(*copy.deepcopy(arguments)))


@pytest.mark.parametrize("seed", range(5))
def test_the_discriminators_layers_are_the_cores(seed):
    torch.manual_seed(seed)
    in_channels, ndf, num_layers = sizes(3)
    layers = reference("patch_discriminator")(in_channels, ndf, num_layers)
    assert_equal(feature_maps(layers, in_channels), patch_discriminator(in_channels, ndf, num_layers))


@pytest.mark.parametrize("z_dim", [None, 5])
@pytest.mark.parametrize("plan", ["normal", "more", "most"])
def test_first_map_blocks_and_last_layer_make_the_cores_generator(plan, z_dim):
    torch.manual_seed(0)
    options = dict(latent=(1, 2), ngf=2, num_upsampling_layers=plan, z_dim=z_dim, hidden_channels=4, norm="instance")
    generator = SPADEGenerator(3, **options, spectral=False)
    size = {"normal": 32, "more": 64, "most": 128}[plan]
    shown, z = segmap(3, 2, size, 2 * size), None if z_dim is None else torch.randn(2, z_dim)
    blocks = [generator.head_0, generator.G_middle_0, generator.G_middle_1, *generator.up_blocks()]
    x = reference("first_map")(shown, z, generator.fc, (1, 2))
    x = reference("run_blocks")(x, shown, nn.ModuleList(blocks), plan)
    assert_equal(reference("to_picture")(x, generator.conv_img), generator(shown, z))


CORE = (normalization, labels, losses, training, uniform, frechet, segmentation, instance_features)


def test_every_reference_with_a_namesake_in_the_core_is_held():
    own = {name for module in CORE for name, value in vars(module).items() if is_own(value, module)}
    assert {e.name for e in exercises()} & own <= TWINS.keys()


def is_own(value, module):
    return getattr(value, "__module__", "") == module.__name__
