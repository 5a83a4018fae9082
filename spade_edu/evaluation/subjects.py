"""What `spade-edu evaluate` scores: images in a folder, or those that a checkpoint generates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import torch
from torch import Tensor, nn

from ..data import choose, open_dataset, stack
from ..data.base import Dataset
from ..errors import UserError
from ..generators import Generator
from ..labels import LabelSpace
from ..sampling import paint
from .images import ImageFolder, Originals, first_size

STREETS_COUNT = 200  # scenes of Streets that are scored, unless --count says otherwise


@dataclass(frozen=True)
class Place:
    """Where label maps and photographs come from.

    data: a name of spade_edu.data. root: its folder; None for Streets. size: (height, width) of the generated images.
    count: how many label maps are scored; None: all, on Streets STREETS_COUNT. edges: whether the generator is fed the
    edges of instance maps, where there are some. split: which label maps are scored.
    """

    data: str
    root: Path | None
    size: tuple[int, int]
    count: int | None
    edges: bool = True
    split: str = "val"

    def originals(self, split: str = "", full: int = 1) -> Originals:
        """Labels and photographs in full size (for Streets: `full` times the generated size)."""
        return Originals(self._open(split or self.split, full), None if split == "test" else self.count)

    def inputs(self) -> Dataset:
        """The same scenes as a generator takes them."""
        return self._open(self.split, 1)

    def _open(self, split: str, scale: int) -> Dataset:
        length = self.count or STREETS_COUNT
        if split == "test":
            length *= 2
        if self.data != "streets":  # its files are of the size that they are
            scale = 1
        options: dict = dict(height=scale * self.size[0], width=scale * self.size[1], length=length, edges=self.edges)
        return open_dataset(self.data, self.root, split, **options)[0]


@dataclass(frozen=True)
class Subject:
    """What is scored. title: what it is called in the table. paint: gives the images.

    generator: the one that paints them, where there is one.
    """

    title: str
    place: Place
    paint: Callable[[], Sequence[Tensor]]
    generator: Generator | None = None

    @cached_property
    def images(self) -> Sequence[Tensor]:
        """The images, 0..255, in the order of the place's label maps; painted when they are asked for first."""
        return self.paint()


def from_folder(folder: Path, data: str, root: str, count: int | None) -> Subject:
    """Images that somebody generated."""
    name, found, _ = choose(data or None, root or None)
    place = Place(name, found, first_size(folder), count)
    images = ImageFolder(folder, place.originals().names())
    return Subject(str(folder), place, lambda: images)


def from_run(
    folder: Path,
    data: str,
    root: str,
    count: int | None,
    seed: int,
    device: str,
    load: Callable[[Path, LabelSpace], tuple[Generator, nn.Module | None]],
    use_vae: bool = False,
) -> Subject:
    """The images of a run of `spade-edu train`; its own data set unless another is named.

    load(folder, labels): gives the run's generator and style encoder. use_vae: see `from_official`.
    """
    from ..runs.loading import load_config, load_local_config

    config = load_config(folder) if root else load_local_config(folder)
    own_root = config.root if data in ("", config.data) else ""
    name, found, _ = choose(data or config.data, root or own_root or None)
    place = Place(name, found, (config.height, config.width), count, config.edges)
    generator, encoder = load(folder, place.inputs().labels)
    return _generated(str(folder), place, generator, seed, device, encoder, use_vae)


def from_official(
    file: Path,
    data: str,
    root: str,
    count: int | None,
    seed: int,
    device: str,
    label_order: str = "",
    use_vae: bool = False,
) -> Subject:
    """The images of a generator of the official code, with the options that its authors trained it with.

    label_order: of ADE20K's channels, "official" or "package"; "" asks the file (pretrained/official.py, label_order).
    use_vae: each image has the style of its photograph, as by the official test.py --use_vae; else it is drawn.
    """
    if not data:
        raise UserError("--official needs --data: which data set was it trained on (cityscapes, ade20k, coco-stuff)?")
    name, found, _ = choose(data, root or None)
    place = Place(name, found, official_size(name), count)
    generator = official_generator(file, name, label_order, place.inputs().labels)
    encoder = official_encoder(file) if use_vae else None
    return _generated(str(file), place, generator, seed, device, encoder, use_vae)


def official_encoder(file: Path) -> nn.Module | None:
    """The encoder that lies beside a generator of the official code: latest_net_E.pth beside latest_net_G.pth."""
    from ..pretrained.official import beside, load_encoder

    found = beside(file, "E")
    return None if found is None else load_encoder(found)


def require_encoder(encoder: nn.Module | None, option: str) -> nn.Module:
    """The encoder that an option needs. Errors: a UserError where there is none."""
    if encoder is None:
        raise UserError(f"{option} needs a style encoder, and this generator has none (`spade-edu train --style`).")
    return encoder


def official_size(data: str) -> tuple[int, int]:
    """(height, width) that the authors trained a data set at."""
    return (256, 512) if data == "cityscapes" else (256, 256)


def official_generator(file: Path, data: str, label_order: str, labels: LabelSpace) -> Generator:
    """A generator of the official code, for segmaps of this package; says which order of ADE20K's labels it takes.

    Errors: a UserError where it takes another number of label channels than the data set has.
    """
    from ..pretrained.official import load_generator

    generator = load_generator(file)
    if generator.label_channels != labels.num_channels:
        raise UserError(
            f"{file} takes {generator.label_channels} label channels, {data} has {labels.num_channels}: wrong --data?"
        )
    return _in_order(generator, file, data, label_order)


def _in_order(generator: Generator, file: Path, data: str, asked: str) -> Generator:
    """The generator, for segmaps of this package; says which order of ADE20K's labels it takes the file to have."""
    from ..pretrained.official import LABEL_ORDERS, InOfficialOrder, label_order

    if asked and asked not in LABEL_ORDERS:
        raise UserError(f"--label-order is {' or '.join(LABEL_ORDERS)}, not {asked!r}.")
    if not data.startswith("ade20k"):
        if asked:
            raise UserError(f"--label-order is for ADE20K: the channels of {data} have one order only.")
        return generator
    order = asked or label_order(file)
    about = "0 other, 1 to 150 the classes" if order == "official" else "the classes, then don't care"
    print(f"Label channels in the {order} order ({about}); --label-order takes the other.")
    return InOfficialOrder(generator) if order == "official" else generator


def _generated(
    title: str, place: Place, generator: Generator, seed: int, device: str, encoder: nn.Module | None, use_vae: bool
) -> Subject:
    encoder = require_encoder(encoder, "--use-vae").to(device) if use_vae else None
    options: dict = dict(count=len(place.originals()), device=device, seed=seed, encoder=encoder)
    images = partial(paint, generator.to(device), place.inputs(), **options)
    return Subject(title, place, images, generator)


def diversity_of(subject: Subject, seed: int, device: str, *, maps: int = 8, samples: int = 5) -> dict | None:
    """Diversity of a generator that draws noise, over a few label maps; None where there is none to draw.

    maps: how many label maps. samples: images of each, their noise drawn from `seed` on.
    """
    from ..sampling import generate
    from .diversity import diversity, perceptual_space

    if subject.generator is None or subject.generator.z_dim is None:
        return None
    inputs, space = subject.place.inputs(), perceptual_space(torch.device(device))
    results = []
    for i in range(min(maps, len(subject.images))):
        one = stack([inputs[i]])
        drawn = [generate(subject.generator, one, inputs.labels, device, seed=seed + s) for s in range(samples)]
        results.append(diversity(torch.cat(drawn), one.label[0].to(device), space.maps, inputs.labels.num_ids))
    by_class = torch.stack([r.by_class for r in results]).nanmean(0)
    classes = {n: v.item() for n, v in zip(inputs.labels.names, by_class) if not v.isnan()}
    mean = sum(r.mean for r in results) / len(results)
    return {"features": space.name, "maps": len(results), "samples": samples, "mean": mean, "by_class": classes}
