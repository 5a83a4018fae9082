"""What can go wrong in a long run, said in one line: two runs in one folder, a loss that is no number, no memory."""

import errno
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from ..config import TrainingConfig
from ..errors import UserError


class TrainingError(UserError):
    """A training that can't go on; the message says where it stood, the likely cause and a repair."""


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold a folder for one run; the lock ends with the process, however that ends.

    Errors: a TrainingError where another run holds it. Where the file system has no locks (some mounted drives, and
    Windows) nothing is held.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                raise TrainingError(
                    f"{folder}: another run is training here. Stop it, or choose another --out."
                ) from None
        yield


def check_losses(losses: Mapping[str, float], step: int, folder: Path, good: int | None) -> None:
    """Stop where a loss is not a number. good: the step of the last checkpoint, if there is one."""
    bad = [name for name, value in losses.items() if not math.isfinite(value)]
    if bad:
        raise TrainingError(f"Step {step}: the loss {bad[0]} is {losses[bad[0]]}. {_advice(folder, good)}")


def check_weights(networks: Mapping[str, nn.Module], step: int, folder: Path, good: int | None) -> None:
    """Refuse to save weights that are not numbers."""
    for name, network in networks.items():
        if not all(torch.isfinite(p).all() for p in network.parameters()):
            raise TrainingError(f"Step {step}: weights of {name} are no longer numbers. {_advice(folder, good)}")


def _advice(folder: Path, good: int | None) -> str:
    kept = f"The weights of step {good} in {folder / 'checkpoints'} are good. " if good else "Nothing was saved yet. "
    return (
        f"{kept}Most often the learning rate is too high (--set lr=...) or 16 bits are too few (--set precision=fp32)."
    )


@contextmanager
def memory_advice(config: TrainingConfig) -> Iterator[None]:
    """Turn running out of memory into one line with the settings that need less."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _no_memory(config) from error
    except RuntimeError as error:
        if "allocate memory" not in str(error):  # the CPU's allocator has no exception of its own
            raise
        raise _no_memory(config) from error


def _no_memory(config: TrainingConfig) -> TrainingError:
    possible = {
        f"--set batch_size={config.batch_size // 2}": config.batch_size > 1,
        "--set checkpointing=true": not config.checkpointing,
        "--set fast=true": not config.fast,
        "--set precision=auto": config.precision == "fp32",
        f"--set ngf={config.ngf // 2}": config.ngf > 1,
        f"--set height={config.height // 2} --set width={config.width // 2}": True,
    }
    less = [setting for setting, helps in possible.items() if helps]
    return TrainingError(
        f"Out of memory at {config.height}x{config.width}, batch {config.batch_size}, {config.precision}. Each of "
        f"these needs less, in a new --out: {'; '.join(less)}. `spade-edu plan` says what fits a GPU."
    )
