"""Opening a data set by its name, and the default where none is named."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ..config import TrainingConfig
from ..errors import UserError
from ..files import meant
from .ade20k import ADE20K, ADE20KOutdoor
from .base import DataError, Dataset
from .camvid import CamVid
from .cityscapes import ROOT_VARIABLE, Cityscapes, is_cityscapes
from .coco_stuff import COCOStuff, portraits
from .flickr_landscapes import FlickrLandscapes
from .paired import PairedFiles
from .splitting import open_folder
from .streets import Streets
from .transforms import preprocessed

DOWNLOADS = Path("datasets")  # where `spade-edu data get` puts what it fetches

# The readers of folders, by name. Streets is rendered and has no folder.
READERS: dict[str, Callable[..., PairedFiles]] = {
    "cityscapes": Cityscapes,
    "camvid": CamVid,
    "ade20k": ADE20K,
    "ade20k-outdoor": ADE20KOutdoor,
    "coco-stuff": COCOStuff,
    "flickr-landscapes": FlickrLandscapes,
    "folder": open_folder,
}
NAMES = (*READERS, "streets")


def open_dataset(
    name: str | None = None,
    root: str | Path | None = None,
    split: str = "train",
    *,
    height: int | None = None,
    width: int | None = None,
    augment: bool = False,
    seed: int = 0,
    length: int = 1000,
    edges: bool = True,
) -> tuple[Dataset, str]:
    """Open a data set and say in one line which it is and why.

    name None: Cityscapes where `find` sees it, else Streets. root None: what `find` sees.
    height, width None: the reader's own. length: how many scenes Streets has (it is rendered; others ignore it).
    edges: False leaves instance maps out of the labels.
    Errors: a DataError where the name is unknown or the folder does not hold the data set.
    """
    chosen, folder, why = choose(name, root)
    size = {"height": height, "width": width}
    options: dict = {"seed": seed, "augment": augment} | {k: v for k, v in size.items() if v is not None}
    if chosen == "streets":
        streets = Streets(length, split=split, **options)
        streets.labels = streets.labels if edges else replace(streets.labels, instances=False)
        return streets, f"Data: Streets ({why})."
    dataset = READERS[chosen](folder, split, edges=edges, **options)
    line = f"Data: {dataset.labels.name} in {folder}, {len(dataset)} {split} pairs ({why})."
    return dataset, " ".join([line, *dataset.remarks])


class Splits(NamedTuple):
    """What a training reads. config: with the name and folder of the data set; line: says which it is and why."""

    training: Dataset
    validation: Dataset
    config: TrainingConfig
    line: str


def open_splits(config: TrainingConfig, *, scenes: int = 200) -> Splits:
    """The data set of a configuration, augmented for training, and its validation split.

    scenes: how many validation scenes Streets has (the others have their own number).
    Errors: a DataError as for `open_dataset`.
    """
    asked = None if config.data == "auto" else config.data
    name, root, _ = choose(asked, config.root or None)
    options: dict = dict(height=config.height, width=config.width, seed=config.seed, edges=config.edges)
    training, line = open_dataset(asked, root, "train", augment=True, length=config.images, **options)
    validation, _ = open_dataset(name, root, "val", length=scenes, **options)
    config = replace(config, data=name, root=str(root or ""))
    return Splits(training, validation, config, line + _choose_pictures(training, config))


def _choose_pictures(training: Dataset, config: TrainingConfig) -> str:
    """Leave the pictures to train on, prepared as the configuration says; a sentence where their number changes.

    Validation and scoring see all of their pictures, resized as a whole.
    Errors: a UserError for a setting that the data set can't have.
    """
    before, most = len(training), config.max_dataset_size or None
    if config.portraits and not isinstance(training, COCOStuff):
        raise UserError(f"portraits is for COCO-Stuff, not {training.labels.name}.")
    if isinstance(training, PairedFiles):
        if config.portraits:
            training.pairs = training.pairs + portraits(Path(config.root), edges=config.edges)
        training.pairs = training.pairs[:most]
        transform = replace(training.transform, flip=config.flip)
        training.transform = preprocessed(transform, config.preprocess, config.load_size)
    if isinstance(training, Streets):
        if config.preprocess != "auto" or config.load_size:
            raise UserError("preprocess is for photographs: Streets is rendered at the size that is asked for.")
        training.augment, training.length = config.flip, min(before, most or before)
    return f" Trained on: {len(training)}." if len(training) != before else ""


def find(name: str) -> Path | None:
    """The folder of a data set: CITYSCAPES_DATASET for Cityscapes, else ./datasets/NAME."""
    folder = DOWNLOADS / name.removesuffix("-outdoor")
    if name == "cityscapes" and os.environ.get(ROOT_VARIABLE):
        folder = meant(os.environ[ROOT_VARIABLE])
    return folder if folder.is_dir() else None


def choose(name: str | None, root: str | Path | None) -> tuple[str, Path | None, str]:
    """Name, folder and reason of the data set that `open_dataset` would open."""
    name = name and name.lower()
    if name is not None and name not in NAMES:
        raise DataError(f"there is no data set {name!r}; the data sets are: {', '.join(NAMES)}.")
    if name == "streets":
        if root is not None:
            raise DataError("Streets is rendered and takes no folder; read Streets on disk as data set cityscapes.")
        return "streets", None, "as asked for"
    folder = meant(root) if root is not None else find(name or "cityscapes")
    variable = os.environ.get(ROOT_VARIABLE)
    if name is not None:
        if folder is None and name == "cityscapes" and variable:
            raise DataError(f"{ROOT_VARIABLE} is {variable}, which is no folder: set it to the one with leftImg8bit.")
        if folder is None:
            raise DataError(f"{name} is not in {DOWNLOADS / name}: give its folder as root, or `spade-edu data get`.")
        return name, folder, "as asked for"
    if folder is not None and root is not None and not is_cityscapes(folder):
        raise DataError(f"{root} holds no leftImg8bit and gtFine. If it is not Cityscapes, name the data set as well.")
    if folder is not None and is_cityscapes(folder):
        return "cityscapes", folder, "no data set named, Cityscapes found"
    found = f"{ROOT_VARIABLE} is not set"
    if variable:
        found = f"{ROOT_VARIABLE}={variable} holds none"
    return "streets", None, f"no data set named and no Cityscapes found: {found}"
