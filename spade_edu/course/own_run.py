"""A training in a folder whose networks and steps are the student's: the Trainer, the Run, and reading one back.

The run folder holds what the file said, for reading: code/0000000.txt from step 0 on, and another where it was changed
since. Nothing there is ever run.
"""

import copy
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from .. import distributed
from ..checkpoints import checkpoints, step_of
from ..config import TrainingConfig, resolve_precision
from ..data.base import Dataset
from ..errors import UserError
from ..files import write_whole
from ..labels import LabelSpace
from ..models import feature_network
from ..runs.loading import TEXTS, load_config, load_newest, own_texts
from ..runs.run import Run
from ..training import Batch, Trainer, copy_directions, update_average
from .own_code import OwnCode, OwnGenerator, code_length, required
from .own_trial import try_out

# Settings that stand in the student's file, or that only the package's networks and steps have.
DECIDED = (
    "gan", "lambda_feat", "lambda_kl", "ttur", "beta1", "beta2", "reuse_fake", "d_steps_per_g", "norm", "kernel_size",
    "spectral", "init", "num_upsampling_layers", "num_scales_d", "checkpointing", "channels_last", "fast",
)  # fmt: skip
VGG_WEIGHT = 10.0  # as generator_step of the course has it


class OwnTrainer(Trainer):
    """Trains with the networks, optimizers and steps of a student's file; the rest is the package's Trainer's.

    Its losses have the file's names. Errors: a UserError for a part that breaks its contract, before the first step or
    in one.
    """

    generator: OwnGenerator
    averaged: OwnGenerator | None

    def __init__(self, code: OwnCode, config: TrainingConfig, channels: int, device: torch.device):
        # Nothing of Trainer's own is wanted here: it makes optimizers for its own kinds of networks.
        self.code, self.config, self.device = code, config, device
        self.networks = code.networks(config, channels).to(device)
        self.generator = OwnGenerator(code, self.networks.generator, channels, code_length(config))
        self.averaged = copy.deepcopy(self.generator).requires_grad_(False) if config.ema else None
        self.features, self.feature_weights = feature_network(config, device)
        self.optimizer_g, self.optimizer_d = code.optimizers(self.networks, config.lr)
        self.rates = {group_name: group["lr"] for group_name, group in self._groups().items()}
        self.scaler = torch.amp.GradScaler(device.type, enabled=False)
        self.steps_done, self.skipped = 0, torch.zeros((), device=device)
        self.batches_done, self.generator_losses = 0, {}
        self.names: set[str] = set()  # of the losses
        self.train()
        with self.autocast():
            try_out(code, self.networks, config, channels)

    def step_tensors(self, batch: Batch) -> dict[str, Tensor]:
        """One step of each kind. Errors: a UserError with the number of the step, for what goes wrong in the file."""
        step = self.steps_done + 1
        try:
            with self.autocast():
                return self._step(batch)
        except UserError as error:
            raise UserError(f"Step {step}: {error}") from error

    def _step(self, batch: Batch) -> dict[str, Tensor]:
        code, features = self.code, (self.features, self.feature_weights)
        losses = code.generator_step(batch, self.networks, self.optimizer_g, *features)
        self.steps_done += 1
        if self.averaged is not None:
            update_average(self.averaged, self.generator, self.average_decay())
            copy_directions(self.averaged, self.generator, code.part("SpectralConv2d"))
        losses |= code.discriminator_step(batch, self.networks, self.optimizer_d)
        self.names = self.names or set(losses)
        if set(losses) != self.names or any(loss.numel() != 1 for loss in losses.values()):
            raise code.fault("generator_step", "each step gives the same losses, a single number each.")
        return {name: loss.reshape(()) for name, loss in losses.items()}

    def set_epoch(self, epoch: int) -> None:
        """Let the file's learning rates fall as the configuration says."""
        for name, group in self._groups().items():
            group["lr"] = self.rates[name] * self.config.lr_factor(epoch)

    def _groups(self) -> dict[tuple[str, int], dict[str, Any]]:
        optimizers = {"G": self.optimizer_g, "D": self.optimizer_d}
        return {(side, i): group for side, o in optimizers.items() for i, group in enumerate(o.param_groups)}

    def named_networks(self) -> dict[str, nn.Module]:
        """The student's networks by their letters, and the averaged generator where there is one."""
        return self.networks.named() | ({} if self.averaged is None else {"G_ema": self.averaged.network})

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict()`. Errors: a UserError where the optimizers have become others."""
        self.steps_done = state["steps"]
        with self.code.guarded("make_optimizers"):
            self.optimizer_g.load_state_dict(state["optimizer_g"])
            self.optimizer_d.load_state_dict(state["optimizer_d"])


class OwnRun(Run):
    """A Run that trains a student's file. It goes on with a file that was changed, if its weights still fit."""

    fixed = DECIDED

    def __init__(
        self, folder: Path, config: TrainingConfig, dataset: Dataset, preview: Dataset, *, code: OwnCode, **options: Any
    ):
        if distributed.processes() > 1:
            raise UserError("A file of your own is trained by one process: start the command without torchrun.")
        self.code = code
        super().__init__(folder, config, dataset, preview, **options)

    def make_trainer(self) -> Trainer:
        """The file's networks and steps, tried once."""
        return OwnTrainer(self.code, self.config, self.dataset.labels.num_channels, self.device)

    def check_folder(self) -> None:
        """Check that the folder is free, or holds a run of a student's file that this one may go on with."""
        if checkpoints(self.folder / "checkpoints") and not own_texts(self.folder):
            raise UserError(f"{self.folder} holds a run of the package's networks: choose another --out for --code.")
        self.require_same_settings()

    def resume(self) -> None:
        """Go on from the newest whole checkpoint, also with a file that was changed; keep what the file says."""
        if not own_texts(self.folder):
            keep_text(self.folder, self.code, 0)
        changed = say_change(self.folder, self.code)
        if changed:
            require_fit(self.folder, self.code, self.trainer.named_networks())
        super().resume()
        if changed:
            keep_text(self.folder, self.code, self.step)


def own_settings(config: TrainingConfig, asked: Collection[str], device: str) -> TrainingConfig:
    """The configuration that a training of a student's file has: what the file decides is as where nobody set it.

    asked: the settings that were given by hand. Errors: a UserError for one of these that would have no effect.
    """
    required(config)  # a model that the file can have
    ignored = [name for name in asked if name in DECIDED]
    if ignored:
        raise UserError(
            f"{ignored[0]} has no effect with --code: your file says it itself, or the course has no such part."
        )
    if config.lambda_vgg not in (0, VGG_WEIGHT):
        raise UserError(f"lambda_vgg is 0 or {VGG_WEIGHT:g} with --code: its weight stands in your generator_step.")
    if config.precision == "fp16":
        raise UserError(
            "precision=fp16 scales losses, and the steps of your file don't: take bf16 or fp32 with --code."
        )
    defaults = TrainingConfig()
    config = resolve_precision(replace(config, **{name: getattr(defaults, name) for name in DECIDED}), device)
    return replace(config, precision="fp32") if config.precision == "fp16" else config


def load_own(folder: Path, labels: LabelSpace, code: OwnCode) -> tuple[OwnGenerator, nn.Module | None]:
    """Generator (the averaged one where there is one) and encoder of a run that a student's file trained, to evaluate.

    Errors: a UserError where the run is none of a student's file, or the file no longer fits its checkpoint.
    """
    config = load_config(folder)
    if not own_texts(folder):
        raise UserError(f"{folder} holds a run of the package's networks: leave out --code.")
    generator, _, encoder = code.networks(replace(config, precision="fp32"), labels.num_channels)
    networks = {"G_ema" if config.ema else "G": generator} | ({} if encoder is None else {"E": encoder})
    if say_change(folder, code):
        require_fit(folder, code, networks)
    load_newest(folder, networks, labels)
    return OwnGenerator(code, generator, labels.num_channels, code_length(config)).eval(), encoder


def keep_text(folder: Path, code: OwnCode, step: int) -> None:
    """Write down what the file says, from this step on."""
    write_whole(folder / TEXTS / f"{step:07d}.txt", code.file.text)


def say_change(folder: Path, code: OwnCode) -> bool:
    """Whether the file is another than the one that trained the run last; if so, a line is printed."""
    text = own_texts(folder)[-1]
    if text.read_bytes().decode(errors="replace") == code.file.text:
        return False
    print(f"{code.path.name} has changed since this run was trained with it; {text} holds what it said then.")
    return True


def require_fit(folder: Path, code: OwnCode, networks: dict[str, nn.Module]) -> None:
    """A UserError, with the part's name, where a weight isn't as in the newest checkpoint.

    A checkpoint that can't be read is left to those who pass over it.
    """
    for path in checkpoints(folder / "checkpoints")[-1:]:
        for letter, network in networks.items():
            try:
                with safe_open(path / f"{letter}.safetensors", "pt") as file:
                    names = file.keys()
                    stored = {key: tuple(file.get_slice(key).get_shape()) for key in names}
            except (SafetensorError, OSError):
                continue
            own = {key: tuple(value.shape) for key, value in network.state_dict().items()}
            differing = [key for key in own | stored if own.get(key) != stored.get(key)]
            if differing:
                key = differing[0]
                now, then = (shapes.get(key, "not there") for shapes in (own, stored))
                advice = f"Train it into another --out, or take the file back from {own_texts(folder)[-1]}."
                raise code.fault(
                    code.owner(network, key),
                    f"{key} of {letter} is {now}, in the checkpoint of step {step_of(path)} {then}. {advice}",
                )
