"""Checkpoints: a folder per step, written whole or not at all, read without executing code.

checkpoints/0000400/G.safetensors  D.safetensors  ...   weights of each network
                    state.pt                            optimizers, random numbers, position in the data
"""

import os
import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from .errors import UserError
from .files import write_whole_with


class CheckpointError(UserError):
    """A checkpoint that cannot be read or does not fit; the message says what was expected and what came."""


def save_weights(network: nn.Module, path: Path, *, half: bool = False) -> None:
    """Write a network's weights and buffers as safetensors (half: floats in 16 bit, for files that are shipped)."""
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    if half:
        state = {name: v.half() if v.is_floating_point() else v for name, v in state.items()}

    def write(part: Path) -> None:
        save_file(state, part)
        part.chmod(0o644)  # safetensors lets only the owner read

    try:
        write_whole_with(path, write)
    except SafetensorError as error:
        raise _not_written(path, error) from None


def _not_written(path: Path, error: Exception) -> CheckpointError:
    reason = str(error).splitlines()[0]
    return CheckpointError(
        f"{path} could not be written ({reason}). Is the disk full? Older checkpoints are untouched."
    )


def load_weights(network: nn.Module, path: Path) -> None:
    """Read weights into a network of the same shape. Errors: a CheckpointError naming the first difference."""
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a whole safetensors file ({error}).") from None
    own = network.state_dict()
    missing = [name for name in own if name not in state]
    unknown = [name for name in state if name not in own]
    differing = [name for name in own if name in state and own[name].shape != state[name].shape]
    for names, what in ((missing, "lacks"), (unknown, "has the unknown entry")):
        if names:
            raise CheckpointError(f"{path} {what} {names[0]}: was it saved by another kind of network?")
    if differing:
        name = differing[0]
        raise CheckpointError(
            f"{path}: {name} is {tuple(state[name].shape)}, the network expects {tuple(own[name].shape)}: "
            "build it with the settings in the run's config.json."
        )
    network.load_state_dict({name: value.to(own[name].dtype) for name, value in state.items()})


def save_checkpoint(folder: Path, step: int, networks: dict[str, nn.Module], state: dict, *, keep: int = 2) -> Path:
    """Write checkpoints/STEP under a temporary name, then rename it; older ones beyond `keep` are removed."""
    target = folder / f"{step:07d}"
    temporary = folder / f".{step:07d}.part"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    for name, network in networks.items():
        save_weights(network, temporary / f"{name}.safetensors")
    try:
        torch.save(state, temporary / "state.pt")
    except RuntimeError as error:  # torch's writer has no exception of its own
        raise _not_written(temporary / "state.pt", error) from None
    shutil.rmtree(target, ignore_errors=True)
    os.replace(temporary, target)
    for old in checkpoints(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def load_checkpoint(path: Path, networks: dict[str, nn.Module]) -> dict:
    """Read a checkpoint into the networks; gives back its state. Errors: a CheckpointError if any part is broken."""
    for name, network in networks.items():
        load_weights(network, path / f"{name}.safetensors")
    try:
        return torch.load(path / "state.pt", map_location="cpu", weights_only=True)
    except Exception:  # torch raises many kinds for a truncated file, or for one with code in it, which is never run
        raise CheckpointError(f"{path / 'state.pt'}: not a whole checkpoint, or more than numbers in it.") from None


def checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints in a folder, oldest first (unfinished ones begin with a dot)."""
    return sorted(p for p in folder.glob("*") if p.is_dir() and p.name.isdigit())
