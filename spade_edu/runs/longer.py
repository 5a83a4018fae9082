"""More epochs for a run: its schedule stays, and what comes after it is trained at the schedule's last rate."""

from dataclasses import replace
from pathlib import Path

from ..config import TrainingConfig
from ..errors import UserError
from .loading import load_config

MORE_EPOCHS = " --epochs N trains it for N epochs in all, those after its schedule at the last learning rate."


def with_epochs(config: TrainingConfig, folder: Path, epochs: int | None) -> TrainingConfig:
    """The configuration of a run that ends after `epochs` in all; None: as the run in the folder does, if there is one.

    Errors: a UserError for an end within the schedule.
    """
    scheduled = config.epochs_scheduled
    if epochs is None:
        known = load_config(folder).epochs_more if (folder / "config.json").exists() else 0
        return replace(config, epochs_more=max(config.epochs_more, known))
    if epochs < scheduled:
        raise UserError(
            f"--epochs {epochs} lies within the schedule of {config.epochs} + {config.epochs_decay} epochs (epochs, "
            f"epochs_decay): a shorter one is --set epochs={epochs} --set epochs_decay=0."
        )
    return replace(config, epochs_more=epochs - scheduled)


def require_no_earlier_end(folder: Path, config: TrainingConfig) -> None:
    """Raise a UserError where the run in a folder, of the same schedule, has more epochs than these settings."""
    before = load_config(folder).epochs_in_all
    if config.epochs_in_all < before:
        raise UserError(
            f"{folder} holds a run of {before} epochs in all, now they are {config.epochs_in_all}: give --epochs "
            f"{before} or more, or choose another --out."
        )


def say_longer(config: TrainingConfig) -> None:
    """Say where the schedule ends, if training goes on after it."""
    if config.epochs_more:
        last = config.epochs_scheduled
        print(
            f"The schedule ends after epoch {last}. Epochs {last + 1} to {config.epochs_in_all} run at its last "
            f"learning rate, {config.lr_factor(last):.3g} of the first."
        )
