"""Will it fit, and how long will it take? Answered without a GPU: one training step on tensors without contents.

Torch's fake tensors have shapes and types but no values, so a step of the paper's size runs in seconds on a laptop.
Every storage that an operation makes is counted until it is freed; the largest sum is the peak. What a GPU needs on
top (its context, the convolutions' work space, gaps between blocks) is a fixed allowance, and the time is an estimate
from the number of multiplications: both are marked so where they are printed.
"""

import weakref
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from ..config import TrainingConfig
from ..errors import UserError
from ..labels import CITYSCAPES, LabelSpace
from ..models import build
from ..training import Trainer

GB = 1e9
ALLOWANCE = 1.5 * GB  # of a GPU's memory for context, work space and gaps (an estimate)
# Share of a card's peak rate that such networks reach: an estimate, from the 5 to 7 days that the authors' training on
# 40,000 landscapes took (41,000 less 1,000 for validation; official repository, issue 9), if that was on the paper's
# 8 V100.
USED = 0.05
SIXTEEN = 2  # times as fast as 32 bits (an estimate, far below the data sheets)
MOST_MEMORY = 100_000  # GB that a card may be said to have
# Card: memory in GB, peak TFLOP/s in 32 bits (data sheets).
CARDS = {"T4": (16.0, 8.1), "L4": (24.0, 30), "V100": (32.0, 15.7), "A100": (40.0, 19.5), "H100": (80.0, 67)}


class Step(NamedTuple):
    """One training step of batch_size images, and its arithmetic (flops).

    resident: bytes of weights, averages and optimizer. peak: those and all else, where it is most.
    """

    batch_size: int
    resident: int
    peak: int
    flops: int


class LiveBytes(TorchDispatchMode):
    """Adds up the storages that operations make, until each is freed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own has no types
        self.now = self.most = 0
        self.seen: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def __torch_dispatch__(self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self.see(tensor.untyped_storage())
        return result

    def see(self, storage: torch.UntypedStorage) -> None:
        """Count a storage once, and its end."""
        if storage in self.seen:
            return
        self.seen.add(storage)
        self.now += storage.nbytes()
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self.forget, storage.nbytes())

    def forget(self, size: int) -> None:
        """A storage was freed."""
        self.now -= size


def simulate(config: TrainingConfig, labels: LabelSpace | int = CITYSCAPES, batch_size: int | None = None) -> Step:
    """Memory and arithmetic of one step (G, then D) of the plain code in `config`, for one process.

    labels: a label space, or its number of channels.
    batch_size: images a process sees at once (default: config.batch_size). The saving of `fast` isn't simulated, since
    it depends on the label maps: it needs less. VGG is left out as well.
    Each step counts as one of G's and one of D's, whatever d_steps_per_g is.
    """
    channels = labels if isinstance(labels, int) else labels.num_channels
    size, precision = (config.height, config.width), "bf16" if config.precision != "fp32" else "fp32"
    averaged, count = config.ema > 0, batch_size or config.batch_size
    plain: dict = dict(fast=False, channels_last=False, lambda_vgg=0.0, ema=0.0, d_steps_per_g=1)
    config = replace(config, **plain, precision=precision)
    with FakeTensorMode(), LiveBytes() as memory:
        trainer = Trainer(*build(config, channels), config)
        batch = {"segmap": torch.zeros(count, channels, *size), "image": torch.zeros(count, 3, *size)}
        with FlopCounterMode(display=False) as counter:  # not around the step below: it holds on to tensors
            trainer.step_tensors(batch)  # also makes the optimizers' moments
        for optimizer in (trainer.optimizer_g, trainer.optimizer_d):
            optimizer.zero_grad(set_to_none=True)
        resident = memory.most = memory.now
        trainer.step_tensors(batch)
        copy = averaged * sum(t.nbytes for t in trainer.generator.state_dict().values())
        return Step(count, resident + copy, memory.most + copy, counter.get_total_flops())


def largest_batch(config: TrainingConfig, labels: LabelSpace | int, room: float) -> Step | None:
    """The step of the largest batch up to 64 that fits into `room` bytes; None where not even 1 does.

    Memory and arithmetic grow by the same amount with each image, so two sizes tell the others.
    """
    one, two = (simulate(config, labels, count) for count in (1, 2))
    each = two.peak - one.peak
    count = min(64, 1 + int((room - ALLOWANCE - one.peak) // each))
    if count < 1:
        return None
    more = count - 1
    return Step(count, one.resident, one.peak + more * each, one.flops + more * (two.flops - one.flops))


def hours(step: Step, images: float, gpus: int, teraflops: float) -> float:
    """Estimated hours of a training that sees so many images: its multiplications at USED of the cards' peak rate."""
    return images / step.batch_size * step.flops / (teraflops * 1e12 * USED * gpus) / 3600


def parse_card(text: str) -> tuple[str, float, float]:
    """Name, bytes and TFLOP/s of a card named in CARDS, or of "16GB" (as fast as the nearest).

    Errors: a UserError for anything else.
    """
    if text.upper() in CARDS:
        memory, rate = CARDS[text.upper()]
        return text.upper(), memory * GB, rate
    try:
        memory = float(text.upper().removesuffix("GB"))
        if not 0 < memory <= MOST_MEMORY:
            raise ValueError
    except ValueError:
        raise UserError(f"--gpu is a card ({', '.join(CARDS)}) or its memory (16GB), not {text!r}.") from None
    name = min(CARDS, key=lambda card: abs(CARDS[card][0] - memory))
    return f"{memory:g} GB, counted like {name}", memory * GB, CARDS[name][1]
