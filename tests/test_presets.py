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


@pytest.mark.parametrize("data, width, plan, epochs", [
    ("cityscapes", 512, "more", (100, 100)), ("ade20k", 256, "normal", (100, 100)),
    ("ade20k-outdoor", 256, "normal", (100, 100)), ("coco-stuff", 256, "normal", (100, 0)),
    ("flickr-landscapes", 256, "normal", (50, 0)), ("folder", 512, "more", (100, 100)),
])  # fmt: skip
def test_the_papers_preset_knows_the_data_set(data, width, plan, epochs):
    for model in ("spade", "pix2pixHD++ w/ Concat"):
        config = preset("paper", model, data=data)
        assert (config.height, config.width, config.num_upsampling_layers) == (256, width, plan)
        assert ((config.epochs, config.epochs_decay), config.batch_size) == (epochs, 32)
    assert preset("paper", data="ade20k", width=128).width == 128, "what is asked for goes first"
    assert preset("cpu", data="ade20k").width == preset("cpu").width


def test_under_the_papers_preset_pix2pixhd_trains_by_its_own_code():
    for name in ("pix2pixhd", "pix2pixHD"):
        config = preset("paper", name, data="ade20k")
        assert (config.batch_size, config.reuse_fake, config.width, config.gan) == (1, True, 256, "lsgan")
        assert preset("colab", name).batch_size == 8
    assert preset("paper", "pix2pixHD++").batch_size == 32 and not preset("paper", "pix2pixHD++").reuse_fake


def test_a_plan_is_of_the_data_set_that_it_is_asked_for(monkeypatch, capsys):
    from spade_edu.cli.plan import plan
    from spade_edu.runs import plan as simulation

    monkeypatch.setattr(simulation, "largest_batch", lambda *arguments: None)
    plan(gpu="V100", data="coco-stuff", preset="paper", gpus=1, set_=None)
    printed = capsys.readouterr().out
    assert "paper preset at 256x256 on coco-stuff" in printed and "all 100 epochs" in printed


def test_automatic_precision_is_resolved_to_one_that_exists():
    assert resolve_precision(preset("cpu"), "cpu").precision in ("fp32", "bf16")
    assert resolve_precision(preset("cpu", precision="fp32"), "cpu").precision == "fp32"


def test_unknown_names_are_refused():
    with pytest.raises(UserError, match="no preset 'huge'"):
        preset("huge")
    with pytest.raises(UserError, match="no setting 'speed'"):
        preset("cpu", speed=1)
