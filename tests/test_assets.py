"""The weights that come with the package load and do what the demo's report says of them."""

from pathlib import Path

import pytest

import spade_edu
from spade_edu import CITYSCAPES, UserError
from spade_edu.data.streets import Streets
from spade_edu.evaluation.uniform import class_ids, colour_difference, uniform_images
from spade_edu.runs.loading import load_stored
from spade_edu.sampling import spread

ASSETS = Path(spade_edu.__file__).parent / "assets"


@pytest.fixture(scope="module")
def ids():
    return class_ids(Streets(20, split="val"))


@pytest.mark.parametrize("name", ["spade", "pix2pixhd", "pix2pixhd_pp"])
def test_stored_weights_are_small(name):
    assert (ASSETS / f"{name}.safetensors").stat().st_size < 12 * 2**20


def test_stored_spade_knows_the_class_of_a_uniform_map_and_pix2pixhd_does_not(ids):
    differences = {
        name: colour_difference(uniform_images(load_stored(name).generator, CITYSCAPES, ids, 64, 128))
        for name in ("spade", "pix2pixhd")
    }
    # pix2pixHD's rest is rounding noise that instance norms blow up, so it differs a little between machines.
    assert differences["spade"] > 25 and differences["pix2pixhd"] < 10


def test_the_stored_encoder_tells_styles_apart():
    networks = load_stored("spade")
    codes = []
    for style in ("night", "snow"):
        mean, _ = networks.encoder(spread(Streets(6, split="val", style=style), 6).image)
        codes.append(mean)
    between = (codes[0].mean(0) - codes[1].mean(0)).norm()
    within = (codes[0] - codes[0].mean(0)).norm(dim=1).mean()
    assert between > within


def test_a_name_without_stored_weights_is_refused():
    with pytest.raises(UserError, match="No weights are stored for 'crn'"):
        load_stored("crn")
