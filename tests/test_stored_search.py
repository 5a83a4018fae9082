"""What decides which networks are stored: pattern shares, styles of draws, the search and its plan."""

import json
from pathlib import Path

import pytest
import torch

from spade_edu.data.streets import STYLES, Streets
from spade_edu.generators import Generator

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
pytestmark = pytest.mark.filterwarnings("ignore:4 images for 160 features")


@pytest.fixture(autouse=True)
def found(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)


# Patterns of the pixel grid ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("period", [2, 4, 8])
def test_a_pattern_of_the_grid_is_found_and_noise_has_none(period):
    from stripes import pattern_share

    labels, noise = torch.zeros(8, 64, 64, dtype=torch.long), torch.rand(8, 3, 64, 64)
    stripes = (torch.arange(64) % period < period / 2).float().expand_as(noise)
    assert pattern_share(noise, labels, 0, period) < 0.02
    assert pattern_share(stripes, labels, 0, period) > 0.9
    assert 0.2 < pattern_share(0.5 * noise + 0.2 * stripes, labels, 0, period) < 0.9


def test_only_pixels_of_the_class_count():
    from stripes import pattern_share

    labels, images = torch.zeros(8, 64, 64, dtype=torch.long), torch.rand(8, 3, 64, 64)
    labels[:, 32:] = 1
    images[:, :, 40:] = torch.arange(64) % 2.0
    assert pattern_share(images, labels, 0, 2) < 0.02 < 0.5 < pattern_share(images, labels, 1, 2)


def test_transposed_convolutions_mark_the_grid_and_renders_do_not():
    from stripes import measure

    from spade_edu.runs.loading import load_stored

    rows = measure({"pix2pixhd": load_stored("pix2pixhd").generator}, Streets(12, split="val"))
    assert rows["pix2pixhd"]["sky"]["4"] > 3 * rows["renders"]["sky"]["4"]


# Styles of draws -----------------------------------------------------------------------------------------------------


class Renders(Generator):
    """Paints renders of the style whose number is z's largest entry."""

    def __init__(self):
        super().__init__(label_channels=36, z_dim=5)
        self.scenes = {style: Streets(10, split="val", height=32, width=64, style=style) for style in STYLES}

    def forward(self, segmap, z=None):
        return torch.stack([self.scenes[STYLES[int(code.argmax())]][i].image for i, code in enumerate(z)])


def test_the_classifier_names_styles_that_it_never_saw_and_draws_are_counted():
    from style_draws import accuracy, draws, train_classifier

    size = dict(height=32, width=64)
    network = train_classifier(Streets(120, **size), steps=200)
    assert accuracy(network, Streets(40, split="val", **size)) > 0.85
    row = draws(network, Renders(), Streets(10, split="val", **size))
    assert row["draws"] == 10 and sum(row["share"].values()) == pytest.approx(1)
    assert set(row["share"]) == set(STYLES) and row["least"] == min(row["share"].values())


# The search ----------------------------------------------------------------------------------------------------------


def test_best_is_the_lowest_sum_of_places():
    from search_stored import best

    good = {"miou": 0.8, "fd": 0.15, "least": 0.1}
    rows = [{"miou": 0.81, "fd": 0.5, "least": 0.0}, good, {"miou": 0.5, "fd": 0.2, "least": 0.1}]
    assert best(rows) is good
    tie = [{"miou": 0.8, "fd": 0.3}, {"miou": 0.7, "fd": 0.2}]
    assert best(tie) is tie[1]


def test_search_and_training_go_on_where_they_were_stopped(tmp_path, capsys):
    from search_stored import SEARCHED, main

    for what in ("search", "train"):
        main([what, "pix2pixhd", "--out", str(tmp_path), "--test"])
    rows = json.loads((tmp_path / "search_pix2pixhd.json").read_text())["rows"]
    assert [row["change"] for row in rows] == list(SEARCHED)
    before, curve = capsys.readouterr(), tmp_path / "pix2pixhd" / "curve.json"
    assert len(json.loads(curve.read_text())["rows"]) == 10 and before.out
    written = curve.stat().st_mtime_ns
    for what in ("search", "train"):
        main([what, "pix2pixhd", "--out", str(tmp_path), "--test"])
    assert curve.stat().st_mtime_ns == written and len(capsys.readouterr().out.splitlines()) == 2


def test_the_plan_fits_the_package():
    """At most 24 MB in half precision, about as many parameters in each, and the KL weight is full before the end."""
    from search_stored import LONG, NETWORKS, settings

    from spade_edu.labels import CITYSCAPES
    from spade_edu.models import build, count_parameters

    sizes = {}
    for model in NETWORKS:
        config = settings(model, LONG[model], {})
        generator, _, encoder = build(config, CITYSCAPES)
        sizes[model] = count_parameters(generator)
        if encoder is not None:
            sizes["encoder"] = count_parameters(encoder)
            assert config.kl_epochs < config.epochs + config.epochs_decay
    assert 2 * sum(sizes.values()) < 24e6
    assert max(sizes[model] for model in NETWORKS) < 1.1 * min(sizes[model] for model in NETWORKS)


# One change at a time ------------------------------------------------------------------------------------------------


def test_transposed_convolutions_mark_the_grid_before_any_training_and_doubling_does_not():
    from blemishes import untrained

    rows = untrained(Streets(8, split="val"))
    transposed, doubled = (rows[name]["share"] for name in ("pix2pixhd", "pix2pixhd, nearest doubling, then 3x3"))
    assert transposed["building"]["2"] > 0.1 > 5 * doubled["building"]["2"]


def test_changes_are_trained_once_each(tmp_path):
    from blemishes import trained

    changes = {"pix2pixhd": {"as stored": {}, "rate 4e-4": dict(lr=4e-4)}}
    shorter = dict(images=4, epochs=1, epochs_decay=0, ngf=2, ndf=2)
    rows = trained(tmp_path, changes, Streets(4, split="val"), **shorter)
    assert [row["change"] for row in rows] == ["as stored", "rate 4e-4"]
    (tmp_path / "blemish_0").rename(tmp_path / "away")
    assert (
        trained(tmp_path, changes, Streets(4, split="val"), **shorter) == rows and not (tmp_path / "blemish_0").exists()
    )
