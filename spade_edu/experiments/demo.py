"""The demo: train pix2pixHD, pix2pixHD++ and SPADE alike, then measure and show what each learned.

Same data, same discriminator architecture, same number of steps (as many as fit: demo_steps.py), about as many
parameters, and the same learning rate: the best of four for both baselines, the second best for SPADE
(benchmarks/learning_rates.py). Each model has the objective and optimizer of its own paper; what so short a run changes
(initialisation, KL weight) stands in presets.py.
"""

import json
import os
import platform
import re
import shlex
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ..checkpoints import save_weights
from ..config import TrainingConfig
from ..data.streets import Streets
from ..evaluation.diversity import pixel_diversity
from ..evaluation.pipeline import Scorer
from ..evaluation.subjects import STREETS_COUNT, Place
from ..evaluation.uniform import class_ids, colour_difference, uniform_images
from ..files import write_whole
from ..labels import CITYSCAPES
from ..models import count_parameters
from ..presets import preset
from ..runs.loading import load_networks
from ..runs.run import Run
from .demo_steps import chosen_steps, with_steps
from .report import MODELS, write_report


def run_demo(
    out: Path, *, preset_name: str = "cpu", seed: int = 0, steps: int | None = None, keep_weights: Path | None = None
) -> dict:
    """Train the three models into `out`/NAME, score them, write report.html and report.json; gives the report.

    preset_name: a preset of presets.py. seed: of everything. steps: of each model; None: those of the demo that was
    begun in `out`, else as many as fit the machine. keep_weights: a folder that gets the trained weights, too.
    Errors: a UserError for steps other than those of the demo in `out`, or fewer than epochs.
    """
    started, seconds = time.monotonic(), {}
    configs = {name: model_config(name, preset_name, seed) for name in MODELS}
    steps = chosen_steps(out, configs, steps)
    configs = {name: with_steps(config, steps) for name, config in configs.items()}
    config = configs["spade"]
    size: dict = dict(height=config.height, width=config.width)
    scenes, preview = Streets(config.images, augment=True, **size), Streets(8, split="val", **size)
    runs = {name: Run(out / name, configs[name], scenes, preview) for name in MODELS}
    for name, run in runs.items():
        run.train()
        seconds[name] = run.seconds
    started_scoring = time.monotonic()
    torch.manual_seed(seed)
    report = measure(runs, STREETS_COUNT if preset_name != "test" else 4)
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
    scorer = Scorer(Place("streets", None, (config.height, config.width), scenes))
    bound = scorer.bound()
    report: dict = {"judge_bound": bound.row(), "scored_classes": list(bound.averaged), "scenes": scenes}
    return report | {"models": {name: _measure_one(run, scorer) for name, run in runs.items()}}


def _measure_one(run: Run, scorer: Scorer) -> dict:
    generator, scenes = load_networks(run.folder, CITYSCAPES).generator, scorer.place.inputs()
    uniform = uniform_images(generator, CITYSCAPES, class_ids(scenes), run.config.height, run.config.width)
    return scorer.score(scorer.images(generator)).row() | {
        "uniform_colour_difference": colour_difference(uniform),
        "pixel_diversity": pixel_diversity(generator, scenes),
        "parameters": count_parameters(generator),
        "discriminator_parameters": count_parameters(run.trainer.discriminator),
        "steps": run.step,
        "seconds": run.seconds,
        "settings": asdict(run.config),
    }


def processor() -> str:
    """The CPU's name, its cores, and the instructions that torch takes."""
    info = Path("/proc/cpuinfo")  # Linux: elsewhere Python knows more
    lines = info.read_text(encoding="utf-8") if info.exists() else ""
    names = re.findall(r"^model name\s*: (.+)$", lines, re.MULTILINE)
    name = [*names, platform.processor(), platform.machine()][0]
    return f"{name}, {os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}"


def _circumstances(preset_name: str, seed: int, seconds: dict[str, float]) -> dict:
    from importlib.metadata import version

    import numpy
    import torchvision

    return {
        "cpu": processor(),
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
