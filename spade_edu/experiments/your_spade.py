"""`python -m spade_edu.experiments.your_spade`: what notebook 11 is held against, scores over steps on Streets.

The package's SPADE is trained in its plain form (as the formulas are written: fast, mixed precision and the averaged
generator off) at the setting of the `cpu` preset; with --file the networks and steps of a my_spade.py instead, from the
same batches. Both are scored by the judge at the same steps. A stopped command goes on; so does one with more steps.
"""

import argparse
import json
import statistics
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from ..course.lab import Lab, start
from ..course.own_code import read_code
from ..course.yours import SCORED, Training, judge
from ..files import write_whole
from ..generators import latent_size
from ..models import build, feature_network
from ..training import Batch, Trainer

STEPS = 300
PLAIN: dict[str, Any] = dict(
    fast=False, precision="fp32", ema=0.0, reuse_fake=False, channels_last=False, epochs_decay=0
)


def package_training(name: str, lab: Lab, seed: int) -> Training:
    """The package's networks and Trainer, ready to train."""
    config = replace(lab.config, seed=seed, **PLAIN)
    networks = build(config, lab.labels).to(lab.device)
    trainer = Trainer(*networks, config)

    def steps(batches: Iterable[Batch]) -> Iterable[dict[str, float]]:
        return (trainer.step(batch) for batch in batches)

    optimizers = trainer.optimizer_g, trainer.optimizer_d
    return Training(name, lab, trainer.named_networks(), optimizers, steps, judge=judge(lab), seed=seed)


def file_training(name: str, lab: Lab, seed: int, code: ModuleType) -> Training:
    """The networks and the loop of a my_spade.py, at the same setting."""
    c, channels = lab.config, lab.labels.num_channels
    torch.manual_seed(seed)
    generator = code.SPADEGenerator(
        channels, latent_size(lab.size), c.ngf, None, c.hidden_channels, code.SpectralConv2d
    )
    generator = code.init_weights(generator, c.init_gain).to(lab.device)
    discriminator = code.init_weights(code.MultiScaleDiscriminator(channels, c.ndf), c.init_gain).to(lab.device)
    optimizers = code.make_optimizers(generator, discriminator, lr=c.lr)
    features, weights = feature_network(c, torch.device(lab.device))

    def steps(batches: Iterable[Batch]) -> Iterable[dict[str, float]]:
        return code.train(batches, generator, discriminator, optimizers, None, features, weights)

    networks = {"G": generator, "D": discriminator}
    return Training(name, lab, networks, optimizers, steps, judge=judge(lab), seed=seed)


def curve(training: Training) -> list[dict[str, float]]:
    """mIoU and accuracy by step."""
    return [{key: row[key] for key in ("step", "miou", "accuracy")} for row in training.scores]


def summary(result: dict) -> str:
    """A line a step: mean mIoU over seeds of the package and of the file, and the file's share of the package's."""
    lines = []
    for step in sorted({row["step"] for seeds in result["curves"].values() for rows in seeds.values() for row in rows}):
        found = {name: at_step(seeds, step) for name, seeds in result["curves"].items()}
        means = {name: statistics.mean(values) for name, values in found.items() if values}
        said = [f"{name} {mean:.3f} ({len(found[name])} seeds)" for name, mean in means.items()]
        share = f": {means['file'] / means['package']:.1%}" if len(means) == 2 else ""
        lines.append(f"step {step}: {', '.join(said)}{share}")
    return "\n".join(lines)


def at_step(seeds: dict[str, list[dict]], step: int) -> list[float]:
    """The mIoU of each seed that was scored after this step."""
    return [row["miou"] for rows in seeds.values() for row in rows if row["step"] == step]


def main(arguments: list[str] | None = None) -> None:
    """Train seed after seed, and write each into the result as soon as it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path, help="a my_spade.py to train instead of the package")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("docs/results/your_spade.json"))
    asked = parser.parse_args(arguments)
    lab, who, make = start("11"), "package", package_training
    if asked.file:
        who, make = "file", partial(file_training, code=read_code(asked.file).module)
    for seed in asked.seeds:
        training = make(f"{who}-{seed}", lab, seed)
        training.train(steps=asked.steps)
        write_result(asked.out, lab, who, seed, training)
    print(summary(json.loads(asked.out.read_text(encoding="utf-8"))))


def write_result(path: Path, lab: Lab, who: str, seed: int, training: Training) -> None:
    """Put one curve into the result's file, beside those that are there."""
    result = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"curves": {}}
    result |= {
        "command": "python -m spade_edu.experiments.your_spade; the same with --file solutions/my_spade.py",
        "data": lab.config.data, "size": list(lab.size), "batch_size": lab.config.batch_size,
        "perceptual_features": lab.config.features, "init_gain": lab.config.init_gain, "lr": lab.config.lr,
        "scored_images": SCORED, "torch": torch.__version__,
    }  # fmt: skip
    result["curves"].setdefault(who, {})[str(seed)] = curve(training)
    write_whole(path, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
