"""Beginning a run from weights that are there: what fits is taken, label channels are matched by the classes' names."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .. import distributed
from ..config import TrainingConfig
from ..data import ADE20K
from ..errors import UserError
from ..labels import CITYSCAPES, LabelSpace
from ..models import Networks, build
from ..pretrained import official
from .loading import STORED, load_config, load_networks, load_stored, own_texts
from .sources import classes_of, reader_of

LEAST = 0.5  # of the generator's weights, without --partial
MOST_NAMES = 8  # of classes in a line


class Weights(NamedTuple):
    """Trained networks by their letters, and the name of each of their label channels ("" where nobody knows it)."""

    networks: dict[str, nn.Module]
    channels: list[str]


class Channels(NamedTuple):
    """Label channels of new networks and of trained ones. pairs: (ours, theirs) of one name.

    axes: of each letter, the tensors whose shape follows from their number, and the axis that does.
    """

    ours: list[str]
    theirs: list[str]
    pairs: list[tuple[int, int]]
    axes: dict[str, dict[str, int]]


class Taken(NamedTuple):
    """How many tensors of a network took something, and its share of the weights; left: the names of the others."""

    tensors: int
    share: float
    left: list[str]


def begin_from(networks: Networks, config: TrainingConfig, labels: LabelSpace, *, partial: bool) -> None:
    """Give new networks the weights that config.start_from names, as far as they fit, and list what was taken.

    A tensor is taken where name and shape match; of one with label channels, the channels of classes of one name. All
    else keeps its start. partial: also where it is less than LEAST of the generator's weights.
    Errors: a UserError where there are no such weights, or too few of them fit.
    """
    source = open_weights(config.start_from)
    ours = channels_of(labels)
    channels = Channels(ours, source.channels, matches(ours, source.channels), _axes(config, len(ours)))
    lines = [f"From {config.start_from}, with new optimisers and epochs:"]
    for letter, network in by_letter(networks).items():
        if letter not in source.networks:
            lines.append(f"  {letter}: none there, starts anew.")
            continue
        taken = take(letter, network.state_dict(), source.networks[letter].state_dict(), channels)
        if letter == "G" and taken.share < LEAST and not partial:
            raise UserError(_too_few(config.start_from, taken))
        about = f"  {letter}: {taken.tensors} of {taken.tensors + len(taken.left)} tensors"
        lines.append(f"{about}, {_percent(taken.share)} of its weights{_left(taken)}.")
    if distributed.rank() == 0:
        print("\n".join([*lines, _about_classes(channels)]))


def open_weights(name: str) -> Weights:
    """The weights of a run folder, of an official generator's file (and what lies beside it), or stored ones.

    Errors: a UserError where it is none of these.
    """
    path = Path(name)
    if (path / "config.json").is_file():
        return _of_run(path)
    if path.is_file():
        return _of_official(path)
    if name in STORED:
        stored = by_letter(load_stored(name))
        del stored["D"]  # isn't stored, so it is untrained
        return Weights(stored, channels_of(CITYSCAPES))
    raise UserError(
        f"--from {name}: there is no such run folder, official generator's file (latest_net_G.pth) or stored network "
        f"({', '.join(STORED)})."
    )


def _of_run(folder: Path) -> Weights:
    if own_texts(folder):
        raise UserError(f"{folder} was trained with a file of your own: --from takes the package's networks only.")
    labels, _ = classes_of(folder, load_config(folder))
    return Weights(by_letter(load_networks(folder, labels)), channels_of(labels))


def _of_official(file: Path) -> Weights:
    generator = official.load_generator(file, **official.options_of_any_size(file))
    networks: dict[str, nn.Module] = {"G": generator}
    for letter, load in (("D", official.load_discriminator), ("E", official.load_encoder)):
        found = official.beside(file, letter)
        if found is not None:
            networks[letter] = load(found)
    count = generator.label_channels
    reader = reader_of(official.DATA_SETS.get(count, "").lower())
    channels = channels_of(reader.labels) if reader else [""] * count
    if reader is ADE20K and official.label_order(file) == "official":  # which has "other", our "don't care", at 0
        channels = channels[-1:] + channels[:-1]
    return Weights(networks, channels)


def by_letter(networks: Networks) -> dict[str, nn.Module]:
    """Networks by the letters that they have in checkpoints."""
    named = {"G": networks.generator, "D": networks.discriminator, "E": networks.encoder}
    return {letter: network for letter, network in named.items() if network is not None}


def channels_of(labels: LabelSpace) -> list[str]:
    """What each channel of `segmap` stands for."""
    return [*labels.names, *["instance edges"] * labels.instances]


def matches(ours: Sequence[str], theirs: Sequence[str]) -> list[tuple[int, int]]:
    """(our channel, their channel) of one name; case, - and _ don't count, the second of a name is another."""
    places = {name: place for place, name in enumerate(_counted(theirs)) if name[0]}
    return [(place, places[name]) for place, name in enumerate(_counted(ours)) if name in places]


def _counted(names: Sequence[str]) -> list[tuple[str, int]]:
    seen: Counter[str] = Counter()
    counted = []
    for name in names:
        plain = name.casefold().replace("_", " ").replace("-", " ").strip()
        seen[plain] += 1
        counted.append((plain, seen[plain]))
    return counted


def _axes(config: TrainingConfig, channels: int) -> dict[str, dict[str, int]]:
    """Which axes grow with the number of label channels, by comparing networks without contents."""
    plain = replace(config, fast=False, checkpointing=False)
    with torch.device("meta"):
        here, wider = (by_letter(build(plain, channels + more)) for more in (0, 1))
    found: dict[str, dict[str, int]] = {letter: {} for letter in here}
    for letter, network in here.items():
        others = wider[letter].state_dict()
        for name, tensor in network.state_dict().items():
            for axis, size in enumerate(tensor.shape):
                if size != others[name].shape[axis]:
                    found[letter][name] = axis
    return found


@torch.no_grad()
def take(letter: str, own: Mapping[str, Tensor], theirs: Mapping[str, Tensor], channels: Channels) -> Taken:
    """Copy into a network's tensors what fits of a trained one's."""
    axes = channels.axes[letter]
    # A spectral norm's v has as many entries as a row of the weight, and follows from u at the first step.
    counts = {name: 0 for name in own if axes.get(name) != 0}
    for name in counts.keys() & theirs.keys():
        if name in axes:
            counts[name] = _copy_labelled(letter, own[name], theirs[name], channels)
        elif own[name].shape == theirs[name].shape:
            counts[name] = own[name].copy_(theirs[name]).numel()
    left = [name for name, count in counts.items() if not count]
    return Taken(len(counts) - len(left), sum(counts.values()) / sum(own[name].numel() for name in counts), left)


def _copy_labelled(letter: str, own: Tensor, theirs: Tensor, channels: Channels) -> int:
    """Copy the label channels of one name, and the features or the image that stand beside them; how many numbers."""
    counts = len(channels.ours), len(channels.theirs)
    beside = own.shape[1] - counts[0]
    if theirs.shape[1] - counts[1] != beside or theirs[:, 0].shape != own[:, 0].shape:
        return 0
    # D has the image after the labels, G its features before them.
    first, rest = (beside, (0, 0)) if letter == "G" else (0, counts)
    columns = [(first + one, first + other) for one, other in channels.pairs]
    columns += [(rest[0] + i, rest[1] + i) for i in range(beside)]
    for one, other in columns:
        own[:, one] = theirs[:, other]
    return len(columns) * own[:, 0].numel()


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _left(taken: Taken) -> str:
    return f" (not {taken.left[0]}{' and others' if len(taken.left) > 1 else ''})" if taken.left else ""


def _too_few(name: str, taken: Taken) -> str:
    return (
        f"--from {name}: only {_percent(taken.share)} of the generator's weights fit (not {taken.left[0]}). Give the "
        "settings that it was trained with (--model, --set ngf=...), or take so few with --partial."
    )


def _about_classes(channels: Channels) -> str:
    known = {place for place, _ in channels.pairs}
    names = {"taken": [channels.ours[i] for i in sorted(known)]}
    names["new"] = [name for i, name in enumerate(channels.ours) if i not in known]
    shown = [f"{what}: {_few(named)}" for what, named in names.items() if named]
    return f"  Label channels by name, {'; '.join(shown)}."


def _few(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
