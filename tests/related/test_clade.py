"""CLADE: a look-up of what SPADE computes."""

import pytest
import torch
from torch.nn import functional as F

from spade_edu.data.streets import Streets
from spade_edu.models import decoder
from spade_edu.normalization import SPADE
from spade_edu.presets import preset
from spade_edu.related.clade import CLADE, CLADEGenerator, CLADEGeneratorWithEdges, CLADEWithEdges, train_clade
from spade_edu.sampling import generate, spread

CLASSES = 5


def maps(label):
    return F.one_hot(label, CLASSES).permute(0, 3, 1, 2).float()


@torch.no_grad()
def test_a_filled_table_gives_what_spade_with_a_kernel_of_one_gives():
    spade, clade = SPADE(7, CLASSES, kernel_size=1, hidden_channels=6), CLADE(7, CLASSES)
    hidden = spade.mlp_shared[0].weight[:, :, 0, 0].T + spade.mlp_shared[0].bias  # one row a class
    hidden = hidden.relu()
    clade.gamma.copy_(1 + hidden @ spade.mlp_gamma.weight[:, :, 0, 0].T + spade.mlp_gamma.bias)
    clade.beta.copy_(hidden @ spade.mlp_beta.weight[:, :, 0, 0].T + spade.mlp_beta.bias)
    label, x = torch.randint(CLASSES, (2, 16, 16)), torch.randn(2, 7, 8, 8)
    torch.testing.assert_close(clade(x, label), spade(x, maps(label)))


def test_each_pixel_takes_its_own_classs_row_whatever_stands_beside():
    clade, x = CLADE(3, CLASSES), torch.randn(1, 3, 4, 4)
    with torch.no_grad():
        clade.beta.copy_(torch.randn(CLASSES, 3))
    label = torch.randint(CLASSES, (1, 4, 4))
    y = clade(x, label)
    normal = F.batch_norm(x, None, None, training=True)
    for h in range(4):
        for w in range(4):
            k = label[0, h, w]
            torch.testing.assert_close(y[0, :, h, w], clade.gamma[k] * normal[0, :, h, w] + clade.beta[k])


def test_the_table_starts_uniform_and_without_a_shift():
    clade = CLADE(400, CLASSES)
    assert 0 <= clade.gamma.min() < 0.02 and 0.98 < clade.gamma.max() <= 1
    assert not clade.beta.any()


def test_edges_come_as_one_more_channel_from_a_1x1_convolution():
    layer, label = CLADEWithEdges(3, CLASSES + 1, edges=True, norm="instance"), torch.randint(CLASSES, (2, 8, 8))
    edges, x = (torch.rand(2, 1, 8, 8) < 0.3).float(), torch.randn(2, 3, 8, 8)
    y = layer(x, torch.cat([maps(label), edges], dim=1))
    torch.testing.assert_close(y[:, :3], layer.clade(x, label))
    torch.testing.assert_close(y[:, 3:], edges * layer.edge.weight + layer.edge.bias)


@pytest.mark.parametrize(("kind", "edges"), [(CLADEGenerator, 0), (CLADEGeneratorWithEdges, 1)])
def test_the_generator_has_a_table_where_spades_has_convolutions(kind, edges):
    networks = decoder(preset("test", style=True), CLASSES + edges, kind)
    generator = networks.generator
    tables = [m for m in generator.modules() if isinstance(m, CLADE)]
    assert not any(isinstance(m, SPADE) for m in generator.modules())
    assert len(tables) == 18 and all(len(table.gamma) == CLASSES for table in tables)
    segmap = torch.zeros(2, CLASSES + edges, 32, 64)
    segmap[:, 0] = 1
    assert generator(segmap, torch.randn(2, generator.z_dim)).shape == (2, 3, 32, 64)


@pytest.mark.parametrize("style", [False, True])
def test_training_as_spade_is_trained(style):
    scenes, config = Streets(4, height=32, width=64), preset("test", style=style, fast=True, ema=0.9)
    generator = train_clade(scenes, config, steps=3, seed=2)
    assert not generator.training and (generator.z_dim is None) != style
    image = generate(generator, spread(scenes, 2), scenes.labels)
    assert image.shape == (2, 3, 32, 64) and image.abs().max() <= 1
    again = train_clade(scenes, config, steps=3, seed=2)
    assert torch.equal(image, generate(again, spread(scenes, 2), scenes.labels))
    other = train_clade(scenes, config, steps=3, seed=3)
    assert not torch.equal(image, generate(other, spread(scenes, 2), scenes.labels))
