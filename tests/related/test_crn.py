"""CRN: what its modules normalise and see, its size, and which of nine images its loss asks for."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from spade_edu.data.streets import Streets
from spade_edu.errors import UserError
from spade_edu.models import count_parameters
from spade_edu.presets import preset
from spade_edu.related import crn
from spade_edu.related.crn import CRN, AveragePooledVGG, RegressionLoss, average_labels, best_of_many, layer_norm
from spade_edu.sampling import generate, spread


def test_layer_norm_takes_one_mean_and_deviation_over_channels_and_pixels_of_each_sample():
    x = torch.randn(3, 5, 4, 6) * torch.tensor([1.0, 10.0, 0.1])[:, None, None, None] + torch.arange(5)[:, None, None]
    norm = layer_norm(5)
    with torch.no_grad():
        norm.weight.copy_(torch.rand(5))
        norm.bias.copy_(torch.rand(5))
    mean, deviation = x.mean((1, 2, 3), keepdim=True), x.std((1, 2, 3), correction=0, keepdim=True)
    expected = (x - mean) / deviation * norm.weight[:, None, None] + norm.bias[:, None, None]
    torch.testing.assert_close(norm(x), expected)
    assert norm.eps == 1e-12


def test_every_convolution_of_a_module_is_followed_by_layer_norm_and_has_no_bias():
    for module in CRN(4, widths=(8, 8)).cascade:
        conv_0, norm_0, _, conv_1, norm_1, _ = module.layers
        assert conv_0.bias is conv_1.bias is None
        assert norm_0.num_groups == norm_1.num_groups == 1


def test_labels_are_averaged_over_areas():
    label = torch.tensor([[0, 0, 1, 1], [0, 2, 1, 1]])
    shares = average_labels(F.one_hot(label, 3).permute(2, 0, 1)[None].float(), (1, 2))[0, :, 0].T
    assert shares.tolist() == [[0.75, 0.0, 0.25], [0.0, 1.0, 0.0]]


def test_the_first_module_sees_labels_only_and_the_next_ones_features_enlarged_bilinearly():
    network, seen = CRN(3, widths=(4, 6)), []
    for module in network.cascade:
        module.layers.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    segmap = F.one_hot(torch.randint(3, (2, 8, 16)), 3).permute(0, 3, 1, 2).float()
    network.candidates(segmap)
    assert torch.equal(seen[0], average_labels(segmap, (4, 8)))
    before = network.cascade[0].layers(seen[0])
    corners = F.interpolate(before, size=(8, 16), mode="bilinear", align_corners=True)
    torch.testing.assert_close(seen[1], torch.cat([corners, segmap], dim=1))


@pytest.mark.parametrize(
    ("widths", "images", "total"),
    [
        (crn.PAPER_WIDTHS, 9, 97_875_483),
        ((*crn.PAPER_WIDTHS, 128), 1, 98_622_851),
        ((*crn.PAPER_WIDTHS, 128, 32), 1, 98_674_531),
    ],
)
def test_parameters_of_the_published_sizes(widths, images, total):
    with torch.device("meta"):
        assert count_parameters(CRN(20, widths=widths, images=images)) == total


def test_z_chooses_among_the_images():
    network = CRN(3, widths=(4, 4), images=9).eval()
    segmap = torch.rand(2, 3, 8, 8)
    images = network.candidates(segmap).clamp(-1, 1)
    assert images.shape == (2, 9, 3, 8, 8) and network.z_dim == 9
    z = torch.zeros(2, 9)
    z[0, 4], z[1, 7] = 1, 1
    assert torch.equal(network(segmap, z), torch.stack([images[0, 4], images[1, 7]]))
    assert torch.equal(network(segmap), images[:, 0])
    assert CRN(3, widths=(4,)).z_dim is None


def test_minimum_over_nine_is_taken_for_each_class_and_each_label_map():
    table = torch.full((2, 9, 3), 5.0)
    table[0, 1, 0], table[0, 8, 1], table[1, 3, 0] = 1.0, 2.0, 0.5
    minima = torch.tensor([1.0 + 2.0 + 5.0, 0.5 + 5.0 + 5.0])
    means = table.mean(1).sum(1)
    torch.testing.assert_close(best_of_many(table), (0.999 * minima + 0.001 * means).mean())


@given(st.integers(1, 9), st.integers(1, 3))
def test_with_images_all_alike_the_loss_is_a_plain_sum_of_mean_errors(images, batch):
    fake, real = torch.rand(2, batch, 3, 8, 16)
    masks = F.one_hot(torch.randint(5, (batch, 8, 16)), 5).permute(0, 3, 1, 2).float()
    loss = RegressionLoss(lambda image: [F.avg_pool2d(image, 2) ** 2])
    loss.weights = [2.0, 3.0]
    expected = (
        2 * (fake - real).abs().mean() + 3 * (F.avg_pool2d(fake, 2) ** 2 - F.avg_pool2d(real, 2) ** 2).abs().mean()
    )
    torch.testing.assert_close(loss(fake[:, None].expand(-1, images, -1, -1, -1), real, masks), expected)


def test_all_terms_start_at_one():
    loss = RegressionLoss(lambda image: [100 * image[:, :1], 1e-3 * image])
    fakes, real, masks = torch.rand(2, 1, 3, 8, 8), torch.rand(2, 3, 8, 8), torch.ones(2, 1, 8, 8)
    assert float(loss(fakes, real, masks)) == pytest.approx(3)
    weights = loss.weights
    assert float(loss(fakes * 2, real, masks)) != pytest.approx(3)
    assert loss.weights is weights


def test_an_error_counts_for_the_class_that_it_lies_in():
    real = torch.zeros(1, 3, 4, 4)
    fakes = torch.zeros(1, 2, 3, 4, 4)
    fakes[0, 1, :, :, 2:] = 1  # the second image errs in the right half
    masks = torch.zeros(1, 2, 4, 4)
    masks[:, 0, :, :2], masks[:, 1, :, 2:] = 1, 1
    loss = RegressionLoss(lambda image: [])
    loss.weights = [1.0]
    assert loss.table(fakes, real, masks).tolist() == [[[0.0, 0.0], [0.0, 0.5]]]


def test_vgg_has_average_pooling_and_ends_after_the_second_convolution_of_each_block():
    with torch.device("meta"):  # shapes only: filling 140 million weights would take seconds
        network = AveragePooledVGG(weights=None)
        features = network(torch.rand(1, 3, 32, 32))
    assert [f.shape[1:3] for f in features] == [(64, 32), (128, 16), (256, 8), (512, 4), (512, 2)]
    kinds = [[type(layer).__name__ for layer in part] for part in network.slices]
    convolutions = [kind for part in kinds for kind in part if kind != "ReLU"]
    blocks = " ".join(convolutions).replace("Conv2d", "c").replace("AvgPool2d", "|").replace(" ", "")
    assert blocks == "cc|cc|cccc|cccc|cc"
    assert [part.count("Conv2d") for part in kinds] == [2, 2, 2, 4, 4]
    assert all(part[-1] == "ReLU" for part in kinds)


def test_a_height_that_isnt_four_doubled_is_refused_with_one_line():
    with pytest.raises(UserError, match="starts at height 4"):
        crn.small_widths(preset("test", height=24, width=48))


def test_where_features_cant_be_had_one_line_says_what_to_do(monkeypatch):
    def no_network():
        raise OSError("no route to host")

    monkeypatch.setattr(crn, "AveragePooledVGG", no_network)
    with pytest.raises(UserError, match="set features='second_opinion'"):
        crn.regression_features(preset("paper"))
    image = torch.rand(1, 3, 64, 128)
    assert len(crn.regression_features(preset("cpu"))(image)) == 5
    assert crn.regression_features(preset("test"))(image) == []


def test_training_lowers_the_error():
    scenes, config = Streets(4, height=32, width=64), preset("test")
    batch = spread(scenes, 4)
    before, after = (crn.train_crn(scenes, config, steps=steps, seed=1) for steps in (1, 30))
    errors = [(generate(network, batch, scenes.labels) - batch.image).abs().mean() for network in (before, after)]
    assert errors[1] < 0.8 * errors[0]


def test_nine_images_are_trained_together_and_drawn_by_z():
    scenes = Streets(4, height=32, width=64)
    network = crn.train_crn(scenes, preset("test"), steps=2, seed=1, images=9)
    one, other = (generate(network, spread(scenes, 4), scenes.labels, seed=seed) for seed in (0, 1))
    assert one.shape == (4, 3, 32, 64) and max(one.abs().max(), other.abs().max()) <= 1
    assert not torch.equal(one, other)
