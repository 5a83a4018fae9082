"""How long the demo trains: as many steps as fit its minutes on this machine, the same for all models.

Fewer steps are fewer pictures, each seen as often as before, so that the whole schedule is gone through.
"""

import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from statistics import median

from ..config import TrainingConfig
from ..data.base import stack
from ..data.streets import Streets
from ..errors import UserError
from ..models import build
from ..runs.loading import load_config
from ..sampling import to_batch
from ..training import Trainer

MINUTES = 9.5  # of training, all models together
LEAST = 240  # steps: the learning rates were searched with so many, and SPADE has learned enough to show
WARM, TIMED = 2, 3  # steps that are measured


def chosen_steps(out: Path, configs: dict[str, TrainingConfig], steps: int | None) -> int:
    """The steps of each model: of a demo that was begun in `out`, else `steps`, else what fits; says which.

    configs: by the models' folders in `out`. Errors: a UserError where `steps` differs from those of the demo in `out`.
    """
    config = next(iter(configs.values()))
    whole, begun = steps_of(config), _begun_steps(out, configs)
    if steps is not None:
        steps = steps_of(with_steps(config, steps))
    if begun and steps not in (None, begun):
        raise UserError(
            f"{out} holds a demo of {begun} steps for each model, now it is {steps}: choose another --out, or leave "
            "--steps out."
        )
    if begun is not None:
        return begun
    if steps is not None:
        return steps
    if whole <= LEAST:
        return whole
    seconds = seconds_of_a_step(configs.values())
    fit = fitting(seconds, whole)
    print(
        f"A step of all {len(configs)} models takes {seconds:.2f} s on this machine: each is trained for {fit} steps, "
        f"about {fit * seconds / 60:.0f} minutes in all (--steps chooses; the course's figures are of {whole})."
    )
    return fit


def fitting(seconds: float, whole: int) -> int:
    """The steps that fit MINUTES if one step of all models takes so many seconds; from LEAST to `whole`."""
    return min(whole, max(LEAST, int(60 * MINUTES / seconds) // 30 * 30))


def steps_of(config: TrainingConfig) -> int:
    """The steps of a training on rendered pictures."""
    return config.images // config.batch_size * config.epochs_in_all


def with_steps(config: TrainingConfig, steps: int) -> TrainingConfig:
    """The same training with as many pictures as make so many steps, rounded down to the same for each epoch.

    Errors: a UserError for fewer steps than epochs.
    """
    if steps < config.epochs_in_all:
        raise UserError(f"--steps is at least {config.epochs_in_all}, one for each epoch; got {steps}.")
    return replace(config, images=steps // config.epochs_in_all * config.batch_size)


def _begun_steps(out: Path, names: Collection[str]) -> int | None:
    """The steps of the demo that was begun in a folder; None if none was."""
    begun = [out / name for name in names if (out / name / "config.json").exists()]
    return steps_of(load_config(begun[0])) if begun else None


def seconds_of_a_step(configs: Collection[TrainingConfig]) -> float:
    """What one step of each takes, added up: the median of a few warm ones."""
    return sum(_seconds(config) for config in configs)


def _seconds(config: TrainingConfig) -> float:
    scenes = Streets(config.batch_size, height=config.height, width=config.width)
    trainer = Trainer(*build(config, scenes.labels), config)
    batch = to_batch(
        stack([scenes[i] for i in range(len(scenes))]), scenes.labels, trainer.device, config.channels_last
    )
    times = []
    for _ in range(WARM + TIMED):
        started = time.perf_counter()
        trainer.step(batch)
        times.append(time.perf_counter() - started)
    return median(times[WARM:])
