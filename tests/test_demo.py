"""The demo writes a report that opens offline, with the figures that it promises."""

import dataclasses
import json
import os
import re

import pytest
import torch
from PIL import Image

from spade_edu import CITYSCAPES, UserError
from spade_edu.cli import main
from spade_edu.data import Sample, Streets
from spade_edu.evaluation.pipeline import Scorer
from spade_edu.evaluation.subjects import Place
from spade_edu.evaluation.uniform import class_ids, colour_difference, uniform_images, uniform_labels
from spade_edu.experiments import demo_steps
from spade_edu.experiments.cells import Bench
from spade_edu.experiments.demo import MODELS, model_config, processor, run_demo
from spade_edu.pictures import save_png
from spade_edu.runs.loading import load_networks, load_stored
from spade_edu.sampling import paint


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    return out, run_demo(out, preset_name="test", keep_weights=out / "kept")


def test_the_report_holds_every_figure(demo):
    out, _ = demo
    report = json.loads((out / "report.json").read_text())
    assert set(report["judge_bound"]) >= {"miou", "accuracy"}
    assert set(report["models"]) == set(MODELS)
    wanted = {
        "miou",
        "accuracy",
        "fd",
        "uniform_colour_difference",
        "pixel_diversity",
        "parameters",
        "steps",
        "seconds",
    }
    for model in report["models"].values():
        assert wanted <= set(model)
        assert 0 <= model["miou"] <= 1 and model["steps"] == 8 and model["parameters"] > 0
    assert report["models"]["pix2pixhd"]["pixel_diversity"] == 0  # no style enters it


def test_one_network_has_the_same_figures_whoever_asks(demo, tmp_path):
    out, report = demo
    told = report["models"]["spade"]
    place = Place("streets", None, (32, 64), report["scenes"])
    generator = load_networks(out / "spade", CITYSCAPES).generator
    scorer = Scorer(place)
    assert scorer.score(scorer.images(generator)).row() == {key: told[key] for key in scorer.bound().row()}
    common = ["--data", "streets", "--count", str(report["scenes"]), "--json"]
    main(["evaluate", "--run", str(out / "spade"), *common, str(tmp_path / "run.json")])
    for image, name in zip(scorer.images(generator), place.originals().names()):
        save_png(Image.fromarray(image.permute(1, 2, 0).numpy()), tmp_path / "images" / f"{name}.png")
    main(["evaluate", "--images", str(tmp_path / "images"), *common, str(tmp_path / "folder.json")])
    for name in ("run", "folder"):
        (scores,) = json.loads((tmp_path / f"{name}.json").read_text())["scores"]
        assert scores["protocol"]["name"] == "streets" and scores["distance_name"] == told["distance_name"]
        assert [scores[k] for k in ("miou", "accuracy", "distance", "iou")] == [
            told[k] for k in ("miou", "accuracy", "fd", "iou")
        ]
    bench = Bench(tmp_path, "streets", preset_name="test")
    assert bench.scenes == report["scenes"]
    assert bench.scorer.score(bench.scorer.images(generator)).row() == scorer.score(scorer.images(generator)).row()
    assert bench.bound == scorer.bound().row() == report["judge_bound"]


def test_any_batch_paints_the_same_images():
    generator = load_stored("spade").generator
    scenes = Streets(5, split="val")
    few, all_at_once = paint(generator, scenes, batch=2, seed=3), paint(generator, scenes, batch=5, seed=3)
    assert max((a.int() - b.int()).abs().max() for a, b in zip(few, all_at_once)) <= 1
    assert not torch.equal(paint(generator, scenes, count=1, seed=4)[0], few[0])


def test_the_page_opens_offline_with_its_pictures_inside(demo):
    page = (demo[0] / "report.html").read_text(encoding="utf-8")
    assert (demo[0] / "overview.png").stat().st_size > 0
    sources = re.findall(r'src="([^"]{0,30})', page)
    assert len(sources) > 50 and all(s.startswith("data:image/png;base64,") for s in sources)
    assert not re.search(r"(href|url\()=?.?https?:", page)
    for title in (*MODELS.values(), "Figure 3", "styles", "Losses", "seed 0"):
        assert title in page
    alts = re.findall(r'<img tabindex="0" alt="([^"]+)"', page)
    assert "SPADE, scene 1" in alts and len(alts) - len(set(alts)) <= len(alts) // 4  # label maps occur in two tables
    for link in re.findall(r'href="#([^"]+)"', page):
        assert page.count(f'id="{link}"') == 1
    assert len(re.findall(r'href="#', page)) == page.count("<h2") >= 6


def test_the_report_says_on_which_cpu(demo):
    out, report = demo
    assert report["cpu"] == processor() and f"{os.cpu_count()} cores" in report["cpu"]
    assert processor() in (out / "report.html").read_text()


# --- how many steps


def configs(preset_name="cpu"):
    return {name: model_config(name, preset_name, 0) for name in MODELS}


def test_steps_follow_from_a_measured_step(tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(demo_steps, "seconds_of_a_step", lambda configs: asked.append(len(configs)) or 2.0)
    assert demo_steps.chosen_steps(tmp_path, configs(), None) == 270
    said = capsys.readouterr().out
    assert "2.00 s" in said and "270 steps" in said and "9 minutes" in said and "750" in said
    assert demo_steps.chosen_steps(tmp_path, configs(), 300) == 300  # asked for: nothing is measured or said
    assert demo_steps.chosen_steps(tmp_path, configs("test"), None) == 8
    assert asked == [3] and capsys.readouterr().out == ""


@pytest.mark.parametrize(("seconds", "steps"), [(0.1, 750), (0.76, 750), (0.8, 690), (2.0, 270), (9.0, 240)])
def test_what_fits_lies_between_the_least_and_the_whole(seconds, steps):
    assert demo_steps.fitting(seconds, 750) == steps


def test_steps_are_the_whole_schedule_on_fewer_pictures():
    config = model_config("spade", "cpu", 0)
    fewer = demo_steps.with_steps(config, 271)
    assert demo_steps.steps_of(config) == 750 and demo_steps.with_steps(config, 750) == config
    assert demo_steps.steps_of(fewer) == 270 and fewer.images == 360 and fewer.epochs_in_all == config.epochs_in_all
    with pytest.raises(UserError, match="at least 3"):
        demo_steps.with_steps(config, 2)


def test_a_step_is_measured_on_networks_of_their_own():
    torch.manual_seed(5)
    assert 0 < demo_steps.seconds_of_a_step(configs("test").values()) < 60


def test_a_demo_goes_on_with_the_steps_that_it_was_begun_with(demo, tmp_path, capsys):
    out, _ = demo
    assert demo_steps.chosen_steps(out, configs("test"), None) == 8
    assert demo_steps.chosen_steps(out, configs("test"), 9) == 8  # what 9 came to when it was begun
    with pytest.raises(UserError, match="holds a demo of 8 steps for each model, now it is 12"):
        run_demo(out, preset_name="test", steps=12)
    (tmp_path / "pix2pixhd").mkdir()  # of an earlier version, stopped in its first model: 750 steps, whatever fits here
    whole = dataclasses.asdict(model_config("pix2pixhd", "cpu", 0))
    (tmp_path / "pix2pixhd" / "config.json").write_text(json.dumps(whole))
    assert demo_steps.chosen_steps(tmp_path, configs(), None) == 750


def test_fewer_steps_are_trained_and_reported(tmp_path, capsys):
    main(["demo", "--preset", "test", "--steps", "5", "--out", str(tmp_path)])
    report = json.loads((tmp_path / "report.json").read_text())
    assert {model["steps"] for model in report["models"].values()} == {4}
    assert "4 steps each" in (tmp_path / "report.html").read_text()


def test_kept_weights_carry_their_configuration(demo):
    kept = {path.name for path in (demo[0] / "kept").iterdir()}
    assert {f"{name}.safetensors" for name in MODELS} | {"spade_encoder.safetensors"} <= kept
    assert json.loads((demo[0] / "kept" / "spade.json").read_text())["style"] is True


def test_colour_difference_of_known_images():
    black, white = torch.full((3, 2, 2), -1.0), torch.full((3, 2, 2), 1.0)
    red = torch.stack([torch.full((2, 2), v) for v in (1.0, -1.0, -1.0)])
    assert colour_difference(torch.stack([black, white])) == pytest.approx(255)
    # black-white 255, black-red 85, white-red 170
    assert colour_difference(torch.stack([black, white, red])) == pytest.approx(170)


def test_uniform_maps_hold_one_class_and_no_edges():
    label, instance = uniform_labels([7, 23], 4, 8)
    segmap = CITYSCAPES.encode(label, instance)
    assert segmap[0, 7].min() == 1 and segmap[1, 23].min() == 1
    assert segmap.sum() == 2 * 4 * 8  # one channel a pixel, the edge channel empty


def test_uniform_images_share_one_style():
    from spade_edu.generators import Generator

    class Echo(Generator):
        def __init__(self):
            super().__init__(CITYSCAPES.num_channels, z_dim=2)
            self.seen = torch.nn.Parameter(torch.zeros(()))

        def forward(self, segmap, z):
            assert torch.equal(z[0], z[1])
            return z[:, :1, None, None].expand(-1, 3, *segmap.shape[-2:])

    images = uniform_images(Echo(), CITYSCAPES, [7, 11], 4, 4)
    assert colour_difference(images) == pytest.approx(0, abs=1e-3)


def test_uniform_maps_are_of_the_classes_that_occur():
    class Scene:
        labels = CITYSCAPES

        def set_epoch(self, epoch):
            pass

        def __len__(self):
            return 1

        def __getitem__(self, index):
            if index >= 1:
                raise IndexError
            label = torch.full((20, 20), 7)
            label[0, 0], label[1, :4], label[2, :4] = 11, 23, 4
            return Sample(label, label.int(), torch.zeros(3, 20, 20), "scene")

    assert class_ids(Scene()) == [4, 7, 11, 23]


def test_an_unknown_preset_is_refused(tmp_path):
    with pytest.raises(UserError, match="no preset 'nice'"):
        run_demo(tmp_path, preset_name="nice")
