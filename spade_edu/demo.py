"""The demo: train pix2pixHD, pix2pixHD++ and SPADE alike, then measure and show what each learned.

Same data, same discriminator architecture, same number of steps, about as many parameters, and the same learning rate:
the best of four for both baselines, the second best for SPADE (benchmarks/learning_rates.py). Each model has the
objective and optimizer of its own paper; what so short a run changes (initialisation, KL weight) stands in presets.py.
"""

import json
import platform
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from .checkpoints import save_weights
from .config import TrainingConfig
from .data import Dataset, Sample, stack
from .data.streets import Streets
from .evaluation.frechet import FeatureStatistics
from .evaluation.segmentation import ConfusionMatrix
from .evaluation.uniform import class_ids, colour_difference, uniform_images
from .files import write_whole
from .labels import CITYSCAPES, IGNORE
from .models import count_parameters
from .presets import preset
from .pretrained.judge import Judge, load_judge
from .report import MODELS, write_report
from .runs.loading import load_networks
from .runs.run import Run
from .sampling import generate

SCENES = 200  # validation scenes that are scored
REFERENCE = 400  # other real scenes that the Fréchet distance compares with
RARE = 0.005  # classes with a smaller share of the pixels don't enter the mean IoU


@dataclass(frozen=True)
class Scores:
    """Figures of one set of images under the Streets judge; IoU by class name, shares in [0, 1]."""

    miou: float
    accuracy: float
    fd: float
    iou: dict[str, float]


def run_demo(out: Path, *, preset_name: str = "cpu", seed: int = 0, keep_weights: Path | None = None) -> dict:
    """Train the three models into `out`/NAME, score them, write report.html and report.json; gives the report."""
    started, seconds = time.monotonic(), {}
    configs = {name: model_config(name, preset_name, seed) for name in MODELS}
    config = configs["spade"]
    size: dict = dict(height=config.height, width=config.width)
    scenes, preview = Streets(config.images, augment=True, **size), Streets(8, split="val", **size)
    runs = {name: Run(out / name, configs[name], scenes, preview) for name in MODELS}
    for name, run in runs.items():
        run.train()
        seconds[name] = run.seconds
    started_scoring = time.monotonic()
    torch.manual_seed(seed)
    report = measure(runs, SCENES if preset_name != "test" else 4)
    seconds["scoring"] = time.monotonic() - started_scoring
    seconds["total"] = time.monotonic() - started
    report |= _circumstances(preset_name, seed, seconds)
    write_whole(out / "report.json", json.dumps(report, indent=2))
    write_report(out, runs, report)
    if keep_weights is not None:
        _keep(runs, keep_weights)
    return report


def model_config(name: str, preset_name: str, seed: int, **overrides: Any) -> TrainingConfig:
    """The configuration of one of MODELS; SPADE comes with the style encoder."""
    model = {"pix2pixhd_pp": "pix2pixhd++"}.get(name, name)
    return preset(preset_name, model, data="streets", seed=seed, style=name == "spade", **overrides)


def measure(runs: dict[str, Run], scenes: int) -> dict:
    """The figures of the report: the judge's bound on real renders, then each model's."""
    config = next(iter(runs.values())).config
    size: dict = dict(height=config.height, width=config.width)
    real, judge = Streets(scenes, split="val", **size), load_judge()
    reference = FeatureStatistics("Streets judge")
    for batch in _batches(Streets(2 * scenes, split="test", **size)):
        reference.update(judge.features(batch.image))
    common = frequent_classes(real)
    bound = score(((batch.image, batch.label) for batch in _batches(real)), judge, reference, common)
    report: dict = {"judge_bound": asdict(bound), "scored_classes": common, "scenes": scenes, "models": {}}
    for name, run in runs.items():
        report["models"][name] = _measure_one(run, real, judge, reference, common)
    return report


def _measure_one(run: Run, real: Streets, judge: Judge, reference: FeatureStatistics, common: list[str]) -> dict:
    generator = load_networks(run.folder, CITYSCAPES).generator
    images = ((generate(generator, b, CITYSCAPES, seed=i), b.label) for i, b in enumerate(_batches(real)))
    scores = score(images, judge, reference, common)
    uniform = uniform_images(generator, CITYSCAPES, class_ids(real), run.config.height, run.config.width)
    return asdict(scores) | {
        "uniform_colour_difference": colour_difference(uniform),
        "diversity": diversity(generator, real),
        "parameters": count_parameters(generator),
        "discriminator_parameters": count_parameters(run.trainer.discriminator),
        "steps": run.step,
        "seconds": run.seconds,
        "settings": asdict(run.config),
    }


@torch.no_grad()
def score(
    images: Iterator[tuple[Float[Tensor, "n 3 h w"], Int64[Tensor, "n h w"]]],
    judge: Judge,
    reference: FeatureStatistics,
    common: list[str],
) -> Scores:
    """Judge images against the label maps they were made from; the mean IoU is over the classes in `common`."""
    names = CITYSCAPES.score_names
    matrix, features = ConfusionMatrix(len(names), ignored=(IGNORE,)), FeatureStatistics("Streets judge")
    for image, label in images:
        matrix.update(judge(image).argmax(1), CITYSCAPES.to_score_ids(label))
        features.update(judge.features(image))
    iou = {name: float(value) for name, value in zip(names, matrix.iou()) if not value.isnan()}
    miou = sum(iou[name] for name in common) / len(common)
    return Scores(miou, matrix.pixel_accuracy(), features.distance(reference), iou)


def frequent_classes(dataset: Dataset) -> list[str]:
    """The scored classes that hold at least 0.5 % of the scored pixels."""
    ids = torch.cat([CITYSCAPES.to_score_ids(batch.label).flatten() for batch in _batches(dataset)])
    share = torch.bincount(ids[ids != IGNORE], minlength=19).float()
    share /= share.sum()
    return [name for name, part in zip(CITYSCAPES.score_names, share) if part >= RARE]


@torch.no_grad()
def diversity(generator: nn.Module, dataset: Dataset, *, maps: int = 8, styles: int = 8) -> float:
    """Mean absolute pixel difference (0..255) between images of one label map with different z."""
    batch = stack([dataset[i] for i in range(min(maps, len(dataset)))])
    images = torch.stack([generate(generator, batch, CITYSCAPES, seed=s) for s in range(styles)])
    pairs = torch.combinations(torch.arange(styles))
    return float((images[pairs[:, 0]] - images[pairs[:, 1]]).abs().mean() * 127.5)


def _batches(dataset: Dataset, size: int = 20) -> Iterator[Sample]:
    for start in range(0, len(dataset), size):
        yield stack([dataset[i] for i in range(start, min(start + size, len(dataset)))])


def _circumstances(preset_name: str, seed: int, seconds: dict[str, float]) -> dict:
    from importlib.metadata import version

    import numpy
    import torchvision

    return {
        "command": shlex.join(["spade-edu", *sys.argv[1:]]),
        "preset": preset_name,
        "seed": seed,
        "objective": "GAN loss, feature matching (weight 10), perceptual loss (weight 10) on the features of a small "
        "segmenter that doesn't score, in place of VGG-19; for SPADE also the KL divergence",
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "threads": torch.get_num_threads(),
        "versions": {
            "spade-edu": version("spade-edu"),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "numpy": numpy.__version__,
        },
    }


def _keep(runs: dict[str, Run], folder: Path) -> None:
    """Store what was trained with the package: generators (and SPADE's encoder) in half precision, configurations."""
    for name, run in runs.items():
        networks = load_networks(run.folder, CITYSCAPES)
        save_weights(networks.generator, folder / f"{name}.safetensors", half=True)
        if networks.encoder is not None:
            save_weights(networks.encoder, folder / f"{name}_encoder.safetensors", half=True)
        write_whole(folder / f"{name}.json", json.dumps(asdict(run.config), indent=2))
