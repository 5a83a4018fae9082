"""What `spade-edu evaluate` scores: images in a folder, or those that a checkpoint generates."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..data import choose, open_dataset, stack
from ..data.base import Dataset
from ..errors import UserError
from ..evaluation.images import ImageFolder, Originals, first_size, to_bytes
from ..evaluation.scoring import Judges, real_side, real_statistics

STREETS_COUNT = 200  # scenes of Streets that are scored, unless --count says otherwise
STREETS_FULL = 2  # Streets is rendered: what counts as its full size, in multiples of the generated size
OFFICIAL = {"cityscapes": dict(num_upsampling_layers="more", crop_size=512, aspect_ratio=2.0)}  # else the defaults


@dataclass(frozen=True)
class Place:
    """A data set, the size (height, width) of the generated images, and how many label maps are scored."""

    data: str
    root: Path | None
    size: tuple[int, int]
    count: int | None

    def originals(self, split: str = "val") -> Originals:
        """Labels and photographs in full size."""
        return Originals(self._open(split, STREETS_FULL), self.count)

    def inputs(self) -> Dataset:
        """The same scenes as a generator takes them."""
        return self._open("val", 1)

    def _open(self, split: str, scale: int) -> Dataset:
        height, width = self.size
        if self.data == "streets":
            length = self.count or STREETS_COUNT
            return open_dataset("streets", None, split, height=scale * height, width=scale * width, length=length)[0]
        return open_dataset(self.data, self.root, split, height=height, width=width)[0]


@dataclass(frozen=True)
class Subject:
    """Images 0..255 with the originals they belong to; the generator, where there is one."""

    title: str
    place: Place
    images: Sequence[Tensor]
    originals: Originals
    generator: nn.Module | None = None


def from_folder(folder: Path, data: str, root: str, count: int | None) -> Subject:
    """Images that somebody generated."""
    name, found, _ = choose(data or None, root or None)
    place = Place(name, found, first_size(folder), count)
    originals = place.originals()
    return Subject(str(folder), place, ImageFolder(folder, originals.names()), originals)


def from_run(folder: Path, data: str, root: str, count: int | None, seed: int, device: str) -> Subject:
    """The images of a run of `spade-edu train`; its own data set unless another is named."""
    from ..runs.loading import load_config, load_networks

    config = load_config(folder)
    name, found, _ = choose(data or config.data, root or config.root or None)
    place = Place(name, found, (config.height, config.width), count)
    generator = load_networks(folder, place.inputs().labels).generator
    return _generated(str(folder), place, generator, seed, device)


def from_official(file: Path, data: str, root: str, count: int | None, seed: int, device: str) -> Subject:
    """The images of a generator of the official code, with the options that its authors trained it with."""
    from ..pretrained.official import load_generator

    if not data:
        raise UserError("--official needs --data: which data set was it trained on (cityscapes, ade20k, coco-stuff)?")
    name, found, _ = choose(data, root or None)
    generator = load_generator(file, **OFFICIAL.get(name, {}))
    place = Place(name, found, (256, 512) if name == "cityscapes" else (256, 256), count)
    channels = place.inputs().labels.num_channels
    if generator.label_channels != channels:
        raise UserError(f"{file} takes {generator.label_channels} label channels, {name} has {channels}: wrong --data?")
    return _generated(str(file), place, generator, seed, device)


@torch.no_grad()
def _generated(title: str, place: Place, generator: nn.Module, seed: int, device: str, batch: int = 8) -> Subject:
    from tqdm import tqdm

    from ..sampling import generate

    originals, inputs, images = place.originals(), place.inputs(), []
    generator = generator.to(device)
    for start in tqdm(range(0, len(originals), batch), "generate", leave=False, disable=None):
        samples = stack([inputs[i] for i in range(start, min(start + batch, len(originals)))])
        images += to_bytes(generate(generator, samples, inputs.labels, device, seed=seed + start)).cpu()
    return Subject(title, place, images, originals, generator)


class RealSides:
    """The real side of each protocol, gathered once; `file`: read if it is there, else written."""

    def __init__(self, subject: Subject, judges: Judges, file: Path | None):
        self.subject, self.judges, self.file = subject, judges, file
        self.known: dict = {}

    def of(self, protocol: Any) -> Any:
        """Features of the photographs that this protocol compares with; None where no distance is asked for."""
        if self.judges.features is None:
            return None
        place = self.subject.place
        originals = self.subject.originals if protocol.real_split == "val" else place.originals("train")
        about = real_side(protocol, len(originals), place.size)
        if about not in self.known:
            self.known[about] = self._read(about) or self._gather(originals, protocol)
        return self.known[about]

    def _read(self, about: str) -> Any:
        from ..evaluation.frechet import FeatureStatistics

        if self.file is None or not self.file.is_file():
            return None
        statistics = FeatureStatistics.load(self.file)
        if (statistics.about, statistics.features) != (about, self.judges.features.name):
            raise UserError(f"{self.file} holds features of {statistics.about}; this protocol compares with {about}.")
        return statistics

    def _gather(self, originals: Originals, protocol: Any) -> Any:
        statistics = real_statistics(originals, protocol, self.judges, self.subject.place.size)
        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            statistics.save(self.file)
        return statistics


def diversity_of(subject: Subject, seed: int, device: str, *, maps: int = 8, samples: int = 5) -> dict | None:
    """Diversity of a generator that draws noise, over a few label maps; None where there is none to draw."""
    from ..evaluation.diversity import diversity, perceptual_space
    from ..sampling import generate

    if subject.generator is None or subject.generator.z_dim is None:
        return None
    inputs, space = subject.place.inputs(), perceptual_space(torch.device(device))
    results = []
    for i in range(min(maps, len(subject.originals))):
        one = stack([inputs[i]])
        drawn = [generate(subject.generator, one, inputs.labels, device, seed=seed + s) for s in range(samples)]
        results.append(diversity(torch.cat(drawn), one.label[0].to(device), space.maps, inputs.labels.num_ids))
    by_class = torch.stack([r.by_class for r in results]).nanmean(0)
    classes = {n: v.item() for n, v in zip(inputs.labels.names, by_class) if not v.isnan()}
    mean = sum(r.mean for r in results) / len(results)
    return {"features": space.name, "maps": len(results), "samples": samples, "mean": mean, "by_class": classes}
