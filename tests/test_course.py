"""What a notebook starts with: the profile it chooses, its data, and where its networks come from."""

from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch

from spade_edu.course import lab as course
from spade_edu.data.streets import Streets, write
from spade_edu.errors import UserError
from spade_edu.presets import preset
from spade_edu.runs.run import Run


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (course.PROFILE_VARIABLE, "CITYSCAPES_DATASET"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_gpu_it_is_streets_at_64x128_and_says_so(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    lab = course.start("03")
    assert (lab.profile, lab.device, lab.config.data, lab.size) == ("cpu", "cpu", "streets", (64, 128))
    first, second = capsys.readouterr().out.splitlines()
    assert "Stage 03: profile cpu" in first and course.PROFILE_VARIABLE in first
    assert second == "Data: streets, 1000 images for training, 64x128 pixels"


def test_the_gpu_profile_takes_cityscapes_where_it_is_found(tmp_path, monkeypatch):
    write(tmp_path / "city", train=2, val=2, height=64, width=128)
    monkeypatch.setenv("CITYSCAPES_DATASET", str(tmp_path / "city"))
    monkeypatch.setenv(course.PROFILE_VARIABLE, "gpu")
    lab = course.start("05")
    assert (lab.config.data, lab.size, len(lab.train)) == ("cityscapes", (128, 256), 2)
    batch, sample = lab.batch(2)
    assert batch["segmap"].shape == (2, 36, 128, 256) and sample.image.shape == (2, 3, 128, 256)


def test_the_gpu_profile_without_cityscapes_works_as_without_a_gpu_and_says_so(capsys):
    Path("datasets/camvid").mkdir(parents=True)  # other data that lies about is not taken
    lab = course.start("05", profile="gpu")
    assert lab.config == course.start("05", profile="cpu").config
    assert "spade-edu data get cityscapes" in capsys.readouterr().out


def test_an_unknown_profile_is_refused(monkeypatch):
    monkeypatch.setenv(course.PROFILE_VARIABLE, "tpu")
    with pytest.raises(UserError, match="SPADE_EDU_PROFILE is cpu or gpu, not 'tpu'"):
        course.start("03")


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
@pytest.mark.parametrize("model", ["spade", "pix2pixhd", "pix2pixhd++"])
def test_stored_weights_serve_until_there_is_a_run(model, profile):
    networks, source = course.start("04", profile).networks(model)
    assert source == f"stored weights of {model}, Streets, 750 steps"
    assert not networks.generator.training


def small_run(folder, steps, **settings):
    config = preset("test", **settings)
    data = Streets(config.images, height=config.height, width=config.width)
    Run(folder, config, data, data).train(steps, progress=False)
    return config


def test_the_newest_run_on_the_same_data_is_taken(tmp_path):
    config = small_run(tmp_path / "runs" / "one", 1)
    lab = replace(course.start("04"), config=config)
    networks, source = lab.networks("spade")
    assert source == "runs/one, streets, 1 steps" and networks.generator.ngf == config.ngf
    assert course.newest_run("pix2pixhd", config) is None
    for name, text in (("broken", "{"), ("newer", '{"a_setting_to_come": 1}')):
        Path("runs", name).mkdir()
        Path("runs", name, "config.json").write_text(text)
    assert course.newest_run("spade", replace(config, height=64)) is None
    Path("runs/one/code").mkdir()
    Path("runs/one/code/0000000.txt").write_text("import torch")  # a student's file trained it
    assert course.newest_run("spade", config) is None


def test_without_weights_for_the_data_nothing_is_trained_until_a_cell_names_its_minutes(capsys):
    lab = course.start("05", profile="test")
    with pytest.raises(UserError, match=r'`lab.train_networks\("spade", minutes=15\)`.*%env SPADE_EDU_PROFILE=cpu'):
        lab.networks("spade")
    assert not Path("runs").exists()
    lab.train_networks("spade", minutes=1)
    assert capsys.readouterr().out.endswith("runs/streets-spade: 8 of 8 steps.\n")
    assert lab.networks("spade")[1] == "runs/streets-spade, streets, 8 steps"


def test_a_training_on_a_gpu_has_its_profiles_preset_and_a_gain_for_minutes(tmp_path, monkeypatch):
    write(tmp_path / "city", train=2, val=2, height=64, width=128)
    monkeypatch.setenv("CITYSCAPES_DATASET", str(tmp_path / "city"))
    asked = []
    monkeypatch.setattr(
        course, "Run", lambda _, config, *data, **__: asked.append(config) or Mock(step=1, total_steps=1)
    )
    course.start("05", profile="gpu").train_networks("spade", minutes=1)
    monkeypatch.delenv("CITYSCAPES_DATASET")
    course.start("05", profile="gpu").train_networks("spade", minutes=1)
    assert [(c.data, c.height, c.ngf, c.init_gain, c.style) for c in asked] == [
        ("cityscapes", 128, 32, 1, True), ("streets", 64, 16, 1, True),
    ]  # fmt: skip


def test_trainers_start_alike():
    lab = course.start("06")
    one, two = (lab.trainer(ngf=4, ndf=4, num_blocks=1, lambda_vgg=0.0) for _ in range(2))
    for a, b in zip(one.generator.state_dict().values(), two.generator.state_dict().values()):
        assert torch.equal(a, b)
