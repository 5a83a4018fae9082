"""`python -m spade_edu.experiments.your_spade`: what notebook 11 is held against, scores over steps on Streets.

The package's SPADE is trained in its plain form (as the formulas are written: fast, mixed precision and the averaged
generator off) at the setting of the `cpu` preset; with --file the networks and steps of a my_spade.py instead, from the
same batches. Both are scored by the judge at the same steps. A stopped command goes on; so does one with more steps.
"""

import argparse
import importlib.util
import json
import statistics
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from ..course.lab import Lab, start
from ..course.yours import Training, judge
from ..files import write_whole
from ..generators import latent_size
from ..models import build, feature_network
from ..training import Batch, Trainer

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
    features, weights = feature_network(c, lab.device)

    def steps(batches: Iterable[Batch]) -> Iterable[dict[str, float]]:
        return code.train(batches, generator, discriminator, optimizers, None, features, weights)

    networks = {"G": generator, "D": discriminator}
    return Training(name, lab, networks, optimizers, steps, judge=judge(lab), seed=seed)


def load_file(path: Path) -> ModuleType:
    """Run a my_spade.py that the command line names."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None  # a .py has both
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def curve(training: Training) -> list[dict[str, float]]:
    """mIoU and accuracy by step."""
    return [{key: row[key] for key in ("step", "miou", "accuracy")} for row in training.scores]


def summary(result: dict) -> str:
    """A line for each step that all seeds of a curve have: mean mIoU, and the file's share of the package's."""
    means = {
        name: {
            step: statistics.mean(row["miou"] for rows in seeds.values() for row in rows if row["step"] == step)
            for step in {row["step"] for rows in seeds.values() for row in rows}
        }
        for name, seeds in result["curves"].items()
    }
    lines = []
    for step in sorted(set().union(*means.values())):
        there = {name: row[step] for name, row in means.items() if step in row}
        share = there["file"] / there["package"] if len(there) == 2 else None
        said = ", ".join(f"{name} {value:.3f}" for name, value in there.items())
        lines.append(f"step {step}: {said}" + (f" ({share:.1%})" if share else ""))
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Train seed after seed, and write each into the result as soon as it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path, help="a my_spade.py to train instead of the package")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("docs/results/your_spade.json"))
    asked = parser.parse_args(arguments)
    lab = start("11")
    who = "file" if asked.file else "package"
    for seed in asked.seeds:
        name = f"{who}-{seed}"
        make = file_training if asked.file else package_training
        code = [load_file(asked.file)] if asked.file else []
        training = make(name, lab, seed, *code)
        training.train(steps=asked.steps)
        write_result(asked.out, lab, who, seed, training)
    print(summary(json.loads(asked.out.read_text())))


def write_result(path: Path, lab: Lab, who: str, seed: int, training: Training) -> None:
    """Put one curve into the result's file, beside those that are there."""
    result = json.loads(path.read_text()) if path.exists() else {"curves": {}}
    result |= {
        "command": "python -m spade_edu.experiments.your_spade; the same with --file solutions/my_spade.py",
        "data": lab.config.data, "size": list(lab.size), "batch_size": lab.config.batch_size,
        "perceptual_features": lab.config.features, "init_gain": lab.config.init_gain, "lr": lab.config.lr,
        "scored_images": 100, "torch": torch.__version__,
    }  # fmt: skip
    result["curves"].setdefault(who, {})[str(seed)] = curve(training)
    write_whole(path, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
