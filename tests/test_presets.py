"""Presets are data: every name resolves, every field can be overridden."""

import pytest

from spade_edu import TrainingConfig, UserError
from spade_edu.config import resolve_precision
from spade_edu.presets import PRESETS, preset


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("model", ["spade", "pix2pixhd", "pix2pixhd++"])
def test_every_preset_gives_a_configuration_of_its_model(name, model):
    config = preset(name, model, lr=0.125)
    assert isinstance(config, TrainingConfig)
    assert (config.model, config.lr) == (model, 0.125)


def test_pix2pixhd_is_trained_as_its_own_paper_says():
    config = preset("cpu", "pix2pixhd")
    assert (config.gan, config.ttur, config.beta1, config.beta2) == ("lsgan", False, 0.5, 0.999)
    assert config.lr_generator == config.lr_discriminator == config.lr


def test_automatic_precision_is_resolved_to_one_that_exists():
    assert resolve_precision(preset("cpu"), "cpu").precision in ("fp32", "bf16")
    assert resolve_precision(preset("cpu", precision="fp32"), "cpu").precision == "fp32"


def test_unknown_names_are_refused():
    with pytest.raises(UserError, match="no preset 'huge'"):
        preset("huge")
    with pytest.raises(UserError, match="no setting 'speed'"):
        preset("cpu", speed=1)
