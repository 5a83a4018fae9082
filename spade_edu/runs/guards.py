"""What can go wrong in a long run, said in one line: two runs in one folder, a loss that is no number, no memory."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from .. import distributed
from ..config import TrainingConfig
from ..errors import UserError
from ..files import hold, remove_parts
from ..training import Trainer
from .holder import Holder

LONG = 30  # steps
NOTHING = 1e-4  # of a loss


class TrainingError(UserError):
    """A training that can't go on; the message says where it stood, the likely cause and a repair."""


@contextmanager
def only_one(folder: Path) -> Iterator[Holder]:
    """Hold a run folder for one training; the lock ends with the process, however that ends.

    Errors: a UserError where another training holds it, or a link stands in it, through which all else would be
    written somewhere else.
    """
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_symlink():
            raise UserError(f"{path} is a link: nothing is written through links. Remove it.")
    holder = Holder(folder)
    with hold(folder, f"another run is training here{holder.seen()}. Stop it, or choose another --out.") as locked:
        holder.take(locked)
        if locked:
            remove_parts(folder)
        try:
            yield holder
        finally:
            holder.leave()


class LossWatch:
    """Remembers, on the device, at which step each loss was first no number: to look at it makes a host wait.

    So no step is missed between two looks.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.steps = self.values = torch.zeros(0)
        self.idle, self.said = torch.zeros(()), False  # steps in a row in which D had nothing left to learn

    def see(self, losses: Mapping[str, Tensor], step: int) -> None:
        """Take note of the losses of a step."""
        now = torch.stack([value.detach().float() for value in losses.values()])
        if not self.names:
            self.names, self.steps, self.values = list(losses), torch.zeros_like(now), torch.zeros_like(now)
        of_d = [value for name, value in losses.items() if name.startswith("D_")]
        if of_d:
            zero = torch.stack([value.detach().float().abs() < NOTHING for value in of_d]).all()
            self.idle = torch.where(zero, self.idle.to(zero.device) + 1, 0)
        first = ~torch.isfinite(now) & (self.steps == 0)
        self.steps = torch.where(first, step, self.steps)
        self.values = torch.where(first, now, self.values)

    def check(self, folder: Path, good: int | None) -> None:
        """Stop where a loss was no number, in any process. good: the step of the last checkpoint, if there is one."""
        distributed.maximum(self.steps)
        distributed.average([self.values])
        bad = [(int(s), name, float(v)) for s, name, v in zip(self.steps.cpu(), self.names, self.values.cpu()) if s]
        if bad:
            step, name, value = min(bad, key=lambda found: found[0])
            raise TrainingError(f"Step {step}: the loss {name} is {value}. {_advice(folder, good)}")
        self._say_idle()

    def _say_idle(self) -> None:
        """Say once that a discriminator which tells all images apart teaches a generator nothing."""
        if not self.said and int(self.idle) >= LONG and distributed.rank() == 0:
            self.said = True
            print(
                f"The discriminator's losses have been 0 for {int(self.idle)} steps: it tells all images apart, and "
                "the generator learns nothing from it. If samples get worse, lower the learning rate (--set lr=...)."
            )


def check_state(trainer: Trainer, step: int, folder: Path, good: int | None) -> None:
    """Refuse to save a state with anything in it that is not a number: weights, statistics, averages, moments."""
    floats = [(what, name, t) for what, name, t in trainer.named_tensors() if t.is_floating_point()]
    sound = torch.stack([torch.isfinite(t).all().to(trainer.device) for _, _, t in floats]).tolist()
    broken = [(what, name) for (what, name, _), numbers in zip(floats, sound) if not numbers]
    if broken:
        what, name = broken[0]
        raise TrainingError(f"Step {step}: {what} are no longer numbers ({name}). {_advice(folder, good)}")


def reader_died(workers: int, folder: Path, good: int | None) -> TrainingError:
    """What to say where the system ended a process that reads data."""
    return TrainingError(
        f"One of the {workers} processes that read the data was ended from outside. {_kept(folder, good)}"
        "Most often memory ran out, or shared memory did (/dev/shm; docker run --shm-size=2g): the same command with "
        "fewer --workers goes on; --workers 0 needs none."
    )


def _kept(folder: Path, good: int | None) -> str:
    return f"The weights of step {good} in {folder / 'checkpoints'} are good. " if good else "Nothing was saved yet. "


def _advice(folder: Path, good: int | None) -> str:
    cause = "Most often the learning rate is too high (--set lr=...) or 16 bits are too few (--set precision=fp32)."
    return _kept(folder, good) + cause


@contextmanager
def memory_advice(config: TrainingConfig, fixed: Collection[str] = ()) -> Iterator[None]:
    """Turn running out of memory into one line with the settings that need less, but for those that are fixed."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _no_memory(config, fixed) from error
    except RuntimeError as error:
        if "allocate memory" not in str(error):  # the CPU's allocator has no exception of its own
            raise
        raise _no_memory(config, fixed) from error


def _no_memory(config: TrainingConfig, fixed: Collection[str]) -> TrainingError:
    possible = {
        f"--set batch_size={config.batch_size // 2}": config.batch_size > 1,
        "--set checkpointing=true": not config.checkpointing and "checkpointing" not in fixed,
        "--set fast=true": not config.fast and "fast" not in fixed,
        "--set precision=auto": config.precision == "fp32",
        f"--set ngf={config.ngf // 2}": config.ngf > 1,
        f"--set height={config.height // 2} --set width={config.width // 2}": True,
    }
    less = [setting for setting, helps in possible.items() if helps]
    return TrainingError(
        f"Out of memory at {config.height}x{config.width}, batch {config.batch_size}, {config.precision}. Each of "
        f"these needs less, in a new --out: {'; '.join(less)}. `spade-edu plan` says what fits a GPU."
    )
