"""Where trained generators come from, each with what it needs to paint a stranger's label maps without its data set."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int32
from torch import Tensor, nn

from ..checkpoints import checkpoints
from ..config import TrainingConfig
from ..data import open_splits
from ..data.catalogue import READERS
from ..data.classes import score_id_of
from ..data.files import read_photo
from ..data.paired import SplitFiles, identity_values
from ..errors import UserError
from ..evaluation.subjects import official_encoder, official_generator, official_size, require_encoder
from ..generators import Generator
from ..labels import CITYSCAPES, LabelClass, LabelSpace
from ..pictures import from_uint8
from .identity import Identity, read_identity
from .loading import load_config, load_local_config, load_stored

Networks = tuple[Generator, nn.Module | None]
Values = Int32[np.ndarray, "values"]


class Source(NamedTuple):
    """A trained generator, painting (height, width) = size. labels, values: its label files. note: its weights."""

    generator: Generator
    encoder: nn.Module | None
    labels: LabelSpace
    values: Values
    size: tuple[int, int]
    note: dict[str, Any]

    def code_of(self, picture: Path) -> Float[Tensor, "1 z"]:
        """The style of a picture, as for `style_of`."""
        return style_of(self.encoder, picture, self.size)

    def require_encoder(self, option: str) -> nn.Module:
        """The encoder. Errors: a UserError where there is none."""
        return require_encoder(self.encoder, option)


@torch.no_grad()
def style_of(encoder: nn.Module | None, picture: Path, size: tuple[int, int]) -> Float[Tensor, "1 z"]:
    """The style of a picture at (height, width): mu of E(picture). (The official test.py draws from E's distribution.)

    Errors: a UserError where there is no encoder, a DataError where the picture can't be read.
    """
    encoder = require_encoder(encoder, "--style")
    height, width = size
    photo = read_photo(picture).resize((width, height))
    return encoder.eval()(from_uint8(torch.from_numpy(np.array(photo)))[None])[0]


def stored() -> Source:
    """The SPADE that comes with the package, trained on Streets, in Cityscapes' classes."""
    networks, values = load_stored("spade"), identity_values(CITYSCAPES)
    return Source(networks.generator, networks.encoder, CITYSCAPES, values, (64, 128), {"weights": "stored"})


def from_run(folder: Path, load: Callable[[Path, LabelSpace], Networks], root: str = "") -> Source:
    """A run's generator; load(folder, labels) gives it, and the encoder where there is one. root: where its data is."""
    config = load_config(folder)
    labels, values = classes_of(folder, config, root)
    generator, encoder = load(folder, labels)
    newest = checkpoints(folder / "checkpoints")[-1].name
    note = {"weights": f"{folder.name}, step {int(newest)}"}
    return Source(generator, encoder, labels, values, (config.height, config.width), note)


def from_official(file: Path, data: str, label_order: str) -> Source:
    """A generator of the official code, and the encoder where latest_net_E.pth lies beside latest_net_G.pth."""
    reader = reader_of(data)
    if reader is None:
        raise UserError("--official needs --data: which data set was it trained on (cityscapes, ade20k, coco-stuff)?")
    labels, values = reader.labels, reader.label_values
    generator = official_generator(file, data, label_order, labels)
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return Source(generator, official_encoder(file), labels, values, official_size(data), {"weights": digest})


def reader_of(data: str) -> type[SplitFiles] | None:
    """The reader of a data set whose classes are published."""
    reader = READERS.get(data)
    return reader if isinstance(reader, type) and issubclass(reader, SplitFiles) else None


def classes_of(folder: Path, config: TrainingConfig, root: str = "") -> tuple[LabelSpace, Values]:
    """Classes and pixel values: of a data set that is known, else as the run noted them, else read from its data."""
    if config.data == "streets":
        return _with_edges(CITYSCAPES, config.edges), identity_values(CITYSCAPES)
    reader = reader_of(config.data)
    if reader is not None:
        return _with_edges(reader.labels, config.edges), reader.label_values
    noted = read_identity(folder)
    if noted.classes and noted.colours and noted.values:
        return _from_note(folder, noted)
    data: Any = open_splits(load_local_config(folder, root)).validation
    return data.labels, data.label_values


def _with_edges(labels: LabelSpace, edges: bool) -> LabelSpace:
    return replace(labels, instances=labels.instances and edges)


def _from_note(folder: Path, noted: Identity) -> tuple[LabelSpace, Values]:
    assert noted.classes and noted.colours and noted.values
    named = zip(noted.classes, noted.colours)
    classes = tuple(LabelClass(name, (r, g, b), score_id_of(i)) for i, (name, (r, g, b)) in enumerate(named))
    values = np.full(max(noted.values) + 1, -1, np.int32)
    values[noted.values] = np.arange(len(noted.values))
    return LabelSpace(folder.name, classes, len(noted.classes) > len(classes), bool(noted.edges)), values
