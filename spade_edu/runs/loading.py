"""Reading a run back, or what comes with the package: its configuration and its trained networks."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import nn

from ..checkpoints import CheckpointError, UnfitError, checkpoints, load_weights, require_unchanged
from ..config import TrainingConfig, stored_config
from ..errors import UserError
from ..files import ASSETS
from ..labels import CITYSCAPES, LabelSpace
from ..models import Networks, build
from .identity import note_classes, require_same_classes

STORED = ("spade", "pix2pixhd", "pix2pixhd_pp")  # the networks that come with the package
TEXTS = "code"  # the folder in a run's that says what the student's file said; nothing in it is ever run


def load_config(folder: Path) -> TrainingConfig:
    """The configuration of a run folder. Errors: a UserError if there is none, or one that can't be."""
    path = Path(folder) / "config.json"
    if not path.exists():
        raise UserError(f"{folder} is not a run folder: it has no config.json. Train one with `spade-edu train`.")
    try:
        return stored_config(json.loads(path.read_text(encoding="utf-8")))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} holds no settings of a training ({error}): train again into another --out.") from None


def own_texts(folder: Path) -> list[Path]:
    """What the student's file said that trained a run, oldest first; none for a run of the package's networks."""
    return sorted((Path(folder) / TEXTS).glob("*.txt"))


def require_package(folder: Path) -> None:
    """A UserError for a run that a student's file trained: code is run only from a file that is named."""
    if own_texts(folder):
        raise UserError(f"{folder} was trained with a file of your own: name it, --code my_spade.py.")


def load_local_config(folder: Path, root: str = "") -> TrainingConfig:
    """The configuration of a run folder whose data is to be opened: the folder may come from a stranger.

    root: where the data is, if not where the run has it.
    Errors: a UserError as for `load_config`, or where it names data on another computer, which would be contacted.
    """
    config = load_config(folder)
    if root:
        return replace(config, root=root)
    if config.root.replace("/", "\\").startswith("\\\\"):  # \\host\share, also written //host/share
        raise UserError(
            f"{Path(folder) / 'config.json'} names data on another computer ({config.root}), which is not contacted "
            "for a file's sake. If that is right, give the share a drive letter or mount it, and change root there."
        )
    return config


def load_networks(folder: Path, labels: LabelSpace) -> Networks:
    """Generator (the averaged one where there is one), discriminator and encoder of a run, in evaluation mode.

    From the newest whole checkpoint; a broken one is passed over with a word.
    Errors: a UserError without a checkpoint, or where a student's file trained it (course/own_run.py, load_own); a
    CheckpointError where none can be read.
    """
    config = load_config(folder)
    require_package(folder)
    networks = build(config, labels)
    files = {"G_ema" if config.ema else "G": networks.generator, "D": networks.discriminator}
    load_newest(folder, files if networks.encoder is None else files | {"E": networks.encoder}, labels)
    return networks


def load_newest(folder: Path, networks: Mapping[str, nn.Module], labels: LabelSpace) -> None:
    """Put networks, by their letters, in evaluation mode with the weights of the newest whole checkpoint.

    Errors: a UserError without a checkpoint or where `labels` are other classes than the run's, a CheckpointError where
    none can be read.
    """
    require_same_classes(folder, labels)
    found = checkpoints(Path(folder) / "checkpoints")
    if not found:
        raise UserError(f"{folder} has no checkpoint yet: let `spade-edu train` run longer.")
    for path in reversed(found):
        try:
            require_unchanged(path, [f"{name}.safetensors" for name in networks])
            for name, network in networks.items():
                load_weights(network.eval(), path / f"{name}.safetensors")
            note_classes(folder, labels)
            return
        except UnfitError:  # whole, so not to be passed over
            raise
        except CheckpointError as error:
            print(f"Passing over a broken checkpoint. {error}")
            last = error
    raise CheckpointError(
        f"No checkpoint in {folder} can be read with the classes of {labels.name}. The oldest: {last}"
    )


def load_stored(name: str = "spade", folder: Path = ASSETS) -> Networks:
    """The networks that come with the package, trained by the demo on Streets.

    name: "spade", "pix2pixhd" or "pix2pixhd_pp". folder: where their files lie.
    Generator and encoder are trained and in evaluation mode; the discriminator is not stored, so it is untrained.
    """
    networks = build(load_stored_config(name, folder), CITYSCAPES)
    load_weights(networks.generator.eval(), folder / f"{name}.safetensors")
    if networks.encoder is not None:
        load_weights(networks.encoder.eval(), folder / f"{name}_encoder.safetensors")
    return networks


def load_stored_config(name: str = "spade", folder: Path = ASSETS) -> TrainingConfig:
    """The configuration of networks that come with the package. Errors: a UserError for a name that none has."""
    path = folder / f"{name}.json"
    if not path.exists():
        raise UserError(f"No weights are stored for {name!r}; there are: {', '.join(STORED)}.")
    return stored_config(json.loads(path.read_text(encoding="utf-8")))
