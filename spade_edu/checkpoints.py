"""Checkpoints: a folder per step, written whole or not at all, read without executing code.

checkpoints/0000400/G.safetensors  D.safetensors  ...   weights of each network
                    state.json     state.safetensors    optimizers, random numbers, position in the data
                    checksums.json                      of the other files

Version 0.1 wrote state.pt in place of the last three.
"""

import hashlib
import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .errors import UserError
from .files import sync_folder, write_whole, write_whole_with

STATE, CHECKSUMS = "state", "checksums.json"


class CheckpointError(UserError):
    """A checkpoint that cannot be read or does not fit; the message says what was expected and what came."""


class UnfitError(CheckpointError):
    """Weights that are whole and belong to another network: nothing to pass over, and nothing to remove."""


def save_weights(network: nn.Module, path: Path, *, half: bool = False) -> None:
    """Write a network's weights and buffers as safetensors (half: floats in 16 bit, for files that are shipped)."""
    state = network.state_dict()
    if half:
        state = {name: v.half() if v.is_floating_point() else v for name, v in state.items()}
    _save_tensors(state, path)


def _save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    def write(part: Path) -> None:
        save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, part)
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
    """Read weights into a network of the same shape. Errors: a CheckpointError naming the first difference.

    An UnfitError where the file is whole.
    """
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
            raise UnfitError(f"{path} {what} {names[0]}: was it saved by another kind of network?")
    if differing:
        name = differing[0]
        raise UnfitError(
            f"{path}: {name} is {tuple(state[name].shape)}, the network expects {tuple(own[name].shape)}: "
            "build it with the settings in the run's config.json, for as many classes as it was trained with."
        )
    network.load_state_dict({name: value.to(own[name].dtype) for name, value in state.items()})


def save_checkpoint(folder: Path, step: int, networks: dict[str, nn.Module], state: dict, *, keep: int = 2) -> Path:
    """Write checkpoints/STEP under a temporary name, then rename it; older ones beyond `keep` are removed.

    All of it is on the disk before it gets its name. One of the same step is set aside first and removed at the end.
    """
    target, part, aside = folder / f"{step:07d}", folder / f".{step:07d}.part", folder / f".{step:07d}.old"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name, network in networks.items():
        save_weights(network, part / f"{name}.safetensors")
    tensors: dict[str, Tensor] = {}
    write_whole(part / f"{STATE}.json", json.dumps(_without_tensors(state, tensors, "")))
    _save_tensors(tensors, part / f"{STATE}.safetensors")
    write_whole(part / CHECKSUMS, json.dumps({path.name: _checksum(path) for path in sorted(part.iterdir())}, indent=1))
    if target.exists():
        shutil.rmtree(aside, ignore_errors=True)
        os.replace(target, aside)
    os.replace(part, target)
    sync_folder(folder)
    shutil.rmtree(aside, ignore_errors=True)
    for old in checkpoints(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def load_checkpoint(path: Path, networks: dict[str, nn.Module]) -> dict:
    """Read a checkpoint into the networks; gives back its state. Errors: a CheckpointError if any part is broken."""
    files = {name: path / f"{name}.safetensors" for name in networks}
    written_by_0_1 = not (path / f"{STATE}.json").exists() and (path / f"{STATE}.pt").exists()
    own = [f"{STATE}.pt"] if written_by_0_1 else [f"{STATE}.json", f"{STATE}.safetensors"]
    require_unchanged(path, [*(file.name for file in files.values()), *own])
    for name, network in networks.items():
        load_weights(network, files[name])
    try:
        if written_by_0_1:
            return load_archive(path / f"{STATE}.pt")
        shape = json.loads((path / f"{STATE}.json").read_text(encoding="utf-8"))
        return _with_tensors(shape, load_file(path / f"{STATE}.safetensors"))
    except Exception:  # torch raises many kinds for a truncated file, or for one with code in it, which is never run
        raise CheckpointError(f"{path / own[0]}: not a whole checkpoint, or more than numbers in it.") from None


def require_unchanged(path: Path, names: list[str]) -> None:
    """Compare files of a checkpoint with their checksums, where it has any.

    Errors: a CheckpointError that names the first file that is missing or other than it was written.
    """
    if not (path / CHECKSUMS).exists():
        return
    try:
        expected = json.loads((path / CHECKSUMS).read_text(encoding="utf-8"))
        damaged = [name for name in names if expected[name] != _checksum(path / name)]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path}: not a whole checkpoint ({error}).") from None
    if damaged:
        raise CheckpointError(f"{path / damaged[0]} is not as it was written: its checksum differs.")


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _without_tensors(value: Any, tensors: dict[str, Tensor], name: str) -> Any:
    """A state as JSON can hold it: each tensor is put into `tensors`, its name there stands in its place."""
    if isinstance(value, Tensor):
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, dict):
        return {str(key): _without_tensors(v, tensors, f"{name}.{key}".strip(".")) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_tensors(v, tensors, f"{name}.{i}".strip(".")) for i, v in enumerate(value)]
    return value


def _with_tensors(value: Any, tensors: dict[str, Tensor]) -> Any:
    """The inverse; JSON has made text of the numbers by which an optimizer knows its weights."""
    if isinstance(value, list):
        return [_with_tensors(v, tensors) for v in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"tensor"}:
        return tensors[value["tensor"]]
    return {int(key) if key.isdecimal() else key: _with_tensors(v, tensors) for key, v in value.items()}


def load_archive(path: Path) -> Any:
    """What torch.save wrote, numbers only: code in it is refused and not run.

    Errors: a UserError where it would unpack to more than it takes on the disk (torch doesn't compress); torch's own.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > path.stat().st_size:
            raise UserError(f"{path} would unpack to {unpacked:,} bytes: it wasn't written by PyTorch, so isn't read.")
    return torch.load(path, map_location="cpu", weights_only=True)


def checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints in a folder, oldest first (unfinished ones begin with a dot).

    One that was set aside counts where the process was killed before the new one of its step was in place.
    """
    found = {step_of(path): path for path in folder.glob(".*.old") if path.name[1:-4].isdecimal()}
    found |= {step_of(path): path for path in folder.glob("*") if path.is_dir() and path.name.isdecimal()}
    return [path for _, path in sorted(found.items())]


def step_of(checkpoint: Path) -> int:
    """The step of a checkpoint's folder."""
    return int(checkpoint.name.removeprefix(".").removesuffix(".old"))


def sweep(folder: Path) -> None:
    """Remove what killed processes left unfinished. Only for one who holds the run: another may be writing it."""
    for path in folder.glob(".[0-9]*"):
        whole = path.with_name(path.stem.removeprefix("."))
        if path.suffix == ".old" and not whole.exists():
            os.replace(path, whole)
        elif path.suffix in (".old", ".part"):
            shutil.rmtree(path, ignore_errors=True)
