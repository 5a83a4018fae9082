"""One training iteration (G step + D step, no VGG): seconds and memory, plain against fast, in alternation.

    python benchmarks/iteration.py --height 64 --width 128 --batch 2 --ngf 32 --ndf 32 --labels 35 --instances \\
        --precision fp32 --steps 9 --json -

measures the exactly equivalent fast settings; `--plain` the form without any of them. `--compare` takes turns between
plain, each saving added to the ones before, and the limit: the same networks with SPADE reduced to its norm.
Label maps are rendered streets where --labels is 35, else their ids modulo --labels.
"""

import argparse
import contextlib
import dataclasses
import time
from statistics import median

import spade_edu  # noqa: F401  # before torch: it says how torch's threads wait

# isort: split
import torch
from output import add_json, give
from torch import nn

from spade_edu import training
from spade_edu.blocks import SPADEResnetBlock, replace_modules
from spade_edu.config import TrainingConfig
from spade_edu.data.base import stack
from spade_edu.data.streets import Streets
from spade_edu.fast.blocks import LeanBlock
from spade_edu.fast.discriminator import FastDiscriminator
from spade_edu.fast.spade import with_patterns
from spade_edu.fast.spectral import FastSpectralConv2d
from spade_edu.labels import instance_edges, one_hot
from spade_edu.models import build
from spade_edu.normalization import SPADE
from spade_edu.spectral import SpectralConv2d
from spade_edu.training import Trainer

SAVINGS = ("frozen D", "patterns", "lean blocks", "spectral", "shared D", "fused Adam")


class MeasuredTrainer(Trainer):
    """A Trainer with some of the savings, whose G steps are timed apart."""

    def __init__(self, config: TrainingConfig, channels: int, savings: tuple[str, ...], device: torch.device):
        networks = [n and n.to(device) for n in build(config, channels)]
        if "limit" in savings:
            without_modulation(networks[0])
        if "patterns" in savings:
            with_patterns(networks[0])
        if "lean blocks" in savings and "limit" not in savings:
            replace_modules(networks[0], SPADEResnetBlock, LeanBlock)
        if "spectral" in savings:
            for network in filter(None, networks):
                replace_modules(network, SpectralConv2d, FastSpectralConv2d)
        if "shared D" in savings:
            networks[1] = FastDiscriminator(networks[1])
        super().__init__(*networks, dataclasses.replace(config, channels_last="channels_last" in savings))
        self.savings, self.times = savings, []
        for optimizer in (self.optimizer_g, self.optimizer_d):
            for group in optimizer.param_groups:
                group["fused"] = "fused Adam" in savings

    def generator_step(self, batch):
        started = self.now()
        frozen = training.frozen
        if "frozen D" not in self.savings:
            training.frozen = contextlib.nullcontext
        try:
            return super().generator_step(batch)
        finally:
            training.frozen = frozen
            self.times.append(self.now() - started)

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def timed_step(self, batch) -> tuple[float, float]:
        """Seconds of the iteration and of its G step. A batch is new to the trainer each time, as in training."""
        memory = torch.channels_last if self.config.channels_last else torch.contiguous_format
        batch = {name: value.clone(memory_format=memory) for name, value in batch.items()}
        started = self.now()
        self.step(batch)
        return self.now() - started, self.times[-1]


class NormOnly(nn.Module):
    """SPADE without gamma and beta: what no implementation of them can be faster than."""

    def __init__(self, layer: SPADE):
        super().__init__()
        self.norm = layer.param_free_norm

    def forward(self, x, segmap):
        return self.norm(x)


def without_modulation(network: nn.Module) -> None:
    replace_modules(network, SPADE, NormOnly)


def make_batch(arguments: argparse.Namespace, device: torch.device) -> dict[str, torch.Tensor]:
    images = Streets(arguments.batch, height=arguments.height, width=arguments.width)
    sample = stack([images[i] for i in range(arguments.batch)])
    segmap = one_hot(sample.label % arguments.labels, arguments.labels)
    if arguments.instances:
        segmap = torch.cat([segmap, instance_edges(sample.instance)], dim=1)
    return {"segmap": segmap.to(device), "image": sample.image.to(device)}


def peak_bytes(trainer: MeasuredTrainer, batch: dict) -> int:
    """Most memory that one iteration holds on top of weights and optimizer state."""
    if trainer.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        trainer.timed_step(batch)
        return torch.cuda.max_memory_allocated() - before
    with torch.profiler.profile(profile_memory=True) as profile:
        trainer.timed_step(batch)
    events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in dict(height=64, width=128, batch=2, ngf=32, ndf=32, hidden=128, labels=35, steps=9).items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--instances", action="store_true", help="with an edge channel")
    parser.add_argument("--precision", choices=["fp32", "bf16", "fp16"], default="fp32")
    parser.add_argument("--plain", action="store_true", help="without any of the savings")
    parser.add_argument("--compare", action="store_true", help="plain, each saving added in turn, and the limit")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add_json(parser)
    return parser.parse_args()


def main() -> None:
    arguments = read_arguments()
    device = torch.device(arguments.device)
    sizes = dict(height=arguments.height, width=arguments.width, ngf=arguments.ngf, ndf=arguments.ndf)
    config = TrainingConfig(
        **sizes, hidden_channels=arguments.hidden, precision=arguments.precision, lambda_vgg=0.0, fast=False
    )
    savings = SAVINGS if arguments.precision == "fp32" else (*SAVINGS, "channels_last")  # of use in 16 bits
    variants = {"plain": ()} if arguments.plain else {"fast": savings}
    if arguments.compare:
        variants = {"plain": ()}
        variants |= {f"+ {name}": savings[: i + 1] for i, name in enumerate(savings)}
        variants["limit"] = (*savings, "limit")
    channels = arguments.labels + arguments.instances
    trainers = {name: MeasuredTrainer(config, channels, savings, device) for name, savings in variants.items()}
    batch = make_batch(arguments, device)
    measured = {name: [] for name in trainers}
    for step in range(arguments.steps + 1):
        for name, trainer in trainers.items():
            seconds = trainer.timed_step(batch)
            if step:  # the first one warms up
                measured[name].append(seconds)
    rows = {}
    for name, values in measured.items():
        total, generator = median(v[0] for v in values), median(v[1] for v in values)
        rows[name] = dict(seconds=total, generator_step=generator, discriminator_step=total - generator)
        rows[name]["peak_bytes"] = peak_bytes(trainers[name], batch)
        if "plain" in measured:
            pairs = zip(measured["plain"], values)
            rows[name]["times_faster"] = median(plain[0] / value[0] for plain, value in pairs)
    result = vars(arguments) | {"threads": torch.get_num_threads(), "torch": torch.__version__, "results": rows}
    give({name: value for name, value in result.items() if name != "json"}, arguments.json)


if __name__ == "__main__":
    main()
