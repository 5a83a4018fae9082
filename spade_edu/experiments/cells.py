"""A cell of a table: one system, trained from one seed on one data set and scored. What is done is not done again.

    OUT/cells/NAME-HASH/   config.json, metrics.csv, checkpoints/ ...   as in any run folder (runs/run.py)
                           result.json    the scores: written whole, last, so a cell that has it is done
                           samples.png    what it paints for the bench's sample scenes, one below the other

HASH is of everything that the result depends on, so two rows that are the same configuration share one cell, within a
table and between tables.
"""

import hashlib
import json
import re
import shlex
import sys
import time
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from ..config import TrainingConfig, resolve_precision
from ..data import Sample, choose, open_dataset, open_splits
from ..data.files import open_picture
from ..data.paired import hash_of_names
from ..errors import UserError
from ..evaluation.own_judge import own_judges
from ..evaluation.pipeline import Scorer
from ..evaluation.protocol import default_protocol, protocol
from ..evaluation.subjects import STREETS_COUNT, Place
from ..files import write_whole
from ..generators import Generator
from ..models import count_parameters
from ..pictures import save_png, to_uint8
from ..presets import ROWS, preset
from ..runs.identity import identity_of
from ..runs.loading import load_networks
from ..runs.own_features import FILE as FEATURES
from ..runs.run import Run
from ..sampling import generate, spread

# In miniature (preset cpu), a data set's own size and features; and what is scored in place of its val split.
MINIATURE: dict[str, dict] = {"camvid": dict(height=96, width=128, features="own")}
SCORED = {"camvid": "unseen"}
SAMPLES = 8  # scenes whose pictures every cell keeps
TABLE_STEPS = {"cpu": 180}  # where --steps is not given; other presets run their whole schedule


@dataclass(frozen=True)
class Cell:
    """A training of so many steps. `system`: "" where `config` says all, else a name of spade_edu.related.SYSTEMS."""

    config: TrainingConfig
    steps: int
    system: str = ""

    @property
    def name(self) -> str:
        """Name of its folder. Settings at their default don't enter: a setting added later changes no name."""
        defaults = asdict(TrainingConfig())
        settings = {k: v for k, v in asdict(self.config).items() if v != defaults[k]}
        about = json.dumps([self.system, self.steps, settings], sort_keys=True)
        slug = re.sub(r"\W+", "-", f"{self.system or self.config.model}-seed{self.config.seed}".lower())
        return f"{slug}-{hashlib.sha256(about.encode()).hexdigest()[:8]}"


class Bench:
    """What the cells of one command share: data (read or rendered once), preset, number of steps, judge.

    out: the folder that keeps everything. preset_name: a preset of presets.py. root: the data set's folder, if it
    isn't found by itself. device: where networks train and paint. progress: show bars.
    data: a name of spade_edu.data, "auto" for Cityscapes where it is found, else Streets. steps: of each training;
    None: the preset's whole schedule. On Streets a shorter training sees fewer scenes through the whole schedule of
    rates; other data sets have their number of images, so there it stops earlier.
    Errors: a UserError for a preset or a data set that doesn't exist.
    """

    def __init__(
        self, out: Path, data: str = "streets", *, preset_name: str = "cpu", root: str = "", steps: int | None = None,
        device: str = "cpu", progress: bool = False,
    ):  # fmt: skip
        self.out, self.preset_name, self.device, self.progress = Path(out), preset_name, device, progress
        self.data, found, _ = choose(None if data == "auto" else data, root or None)
        self.own = MINIATURE.get(self.data, {}) if preset_name == "cpu" else {}
        config = preset(preset_name, data=self.data, root=str(found or ""), **self.own)
        if steps is not None and steps < 1:
            raise UserError(f"A training has at least one step, not {steps}.")
        if self.data == "streets" and steps is not None:
            config = replace(config, images=-(-steps // (config.epochs + config.epochs_decay)) * config.batch_size)
        self.size = config.height, config.width
        self.training, self.val, self.base, _ = open_splits(config, scenes=self.scenes)
        if split := SCORED.get(self.data):
            options: dict = dict(height=config.height, width=config.width, edges=config.edges)
            self.val, _ = open_dataset(self.data, self.base.root, split, **options)
        self.asked = steps
        self.steps = self._steps(config)

    @property
    def scenes(self) -> int:
        """How many validation scenes of Streets are scored."""
        if self.preset_name == "test":
            return 4
        return STREETS_COUNT

    def cell(self, row: str, seed: int, **overrides: Any) -> Cell:
        """The cell of a row: of presets.ROWS, or of spade_edu.related.SYSTEMS (which take SPADE's settings)."""
        system = "" if row in ROWS else row
        settings: dict = dict(data=self.base.data, root=self.base.root, images=self.base.images, seed=seed, **self.own)
        config = preset(self.preset_name, "spade" if system else row, **settings | overrides)
        if config.norm == "batch":  # one process: sync batch norm has nobody to exchange statistics with
            config = replace(config, norm="syncbatch")
        return Cell(resolve_precision(config, self.device), self._steps(config), system)

    def _steps(self, config: TrainingConfig) -> int:
        """How many steps a training takes: what was asked for, and no more than its whole schedule."""
        whole = len(self.training) // config.batch_size * (config.epochs + config.epochs_decay)
        return min(self.asked or whole, whole)

    def folder(self, cell: Cell) -> Path:
        """Where a cell is kept."""
        return self.out / "cells" / cell.name

    def known(self, cell: Cell) -> dict | None:
        """A cell's result, if it is done. Errors: a UserError where it was measured on other data."""
        path = self.folder(cell) / "result.json"
        if not path.exists():
            return None
        result = json.loads(path.read_text(encoding="utf-8"))
        if result.get("files", self.files) != self.files:  # an earlier version noted none
            raise UserError(f"{path} was measured on other files or classes than are there now: choose another --out.")
        return result

    def result(self, cell: Cell) -> dict:
        """A cell's result; trains (or goes on training) and scores where it isn't there yet.

        A half-trained system of spade_edu.related starts over: those take minutes and keep no checkpoints.
        """
        if (known := self.known(cell)) is not None:
            return known
        generator, seconds = self.train(cell)
        started = time.monotonic()
        torch.manual_seed(cell.config.seed)
        scores = self.scorer.score(self.scorer.images(generator)).row()
        self._keep_samples(generator, self.folder(cell))
        result = scores | {
            "protocol": self.scorer.plan.name,
            "system": cell.system,
            "steps": cell.steps,
            "seconds": round(seconds, 1),
            "scoring_seconds": round(time.monotonic() - started, 1),
            "parameters": count_parameters(generator),
            "settings": asdict(cell.config),
            "files": self.files,
        }
        write_whole(self.folder(cell) / "result.json", json.dumps(result, indent=2))
        return result

    def train(self, cell: Cell) -> tuple[Generator, float]:
        """The trained generator of a cell, in evaluation mode, and the seconds that training took."""
        if cell.system:
            from ..related import SYSTEMS

            started, seed = time.monotonic(), cell.config.seed
            train = SYSTEMS[cell.system]
            generator = train(self.training, cell.config, steps=cell.steps, seed=seed, progress=self.progress)
            return generator, time.monotonic() - started
        save_every = min(500, cell.steps // 3 + 1)
        folder = self.folder(cell)
        self._share(self.features_file, folder / FEATURES)
        run = Run(folder, cell.config, self.training, self.val, device=self.device, save_every=save_every)
        run.train(until=cell.steps, progress=self.progress)
        self._share(folder / FEATURES, self.features_file)
        return load_networks(run.folder, self.val.labels).generator.to(self.device), run.seconds

    def _share(self, source: Path, target: Path) -> None:
        """Copy the features that a cell has trained (features=own), so that all cells look at the same."""
        if source.exists() and not target.exists():
            write_whole(target, source.read_bytes())

    @property
    def features_file(self) -> Path:
        """Where the features are kept that the cells share, where each would have trained its own."""
        return self.out / f"features-{self.files}.safetensors"

    def circumstances(self) -> dict:
        """What goes into every result's file beside the result."""
        return {
            "command": shlex.join(["spade-edu", *sys.argv[1:]]),
            "data": self.data,
            "preset": self.preset_name,
            "size": [self.base.height, self.base.width],
            "steps": self.steps,
            "batch_size": self.base.batch_size,
            "training_images": len(self.training),
            "scored_images": len(self.val),
            "perceptual_features": self.base.features,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }

    def write(self, name: str, result: dict) -> None:
        """Keep a figure's numbers in OUT/NAME.json."""
        write_whole(self.out / f"{name}.json", json.dumps(self.circumstances() | result, indent=1) + "\n")

    def samples(self) -> Sample:
        """The sample scenes, spread over the validation split."""
        return spread(self.val, SAMPLES)

    def painted(self, cell: Cell) -> UInt8[Tensor, "n h w 3"]:
        """What a cell that is done painted for the sample scenes."""
        pixels = torch.from_numpy(np.array(open_picture(self.folder(cell) / "samples.png", "samples")))
        return pixels.view(-1, self.base.height, self.base.width, 3)

    def _keep_samples(self, generator: Generator, folder: Path) -> None:
        tiles = to_uint8(generate(generator, self.samples(), self.val.labels, self.device))
        save_png(Image.fromarray(tiles.flatten(0, 1).numpy()), folder / "samples.png")

    @cached_property
    def files(self) -> str:
        """A hash of what training and validation pictures are: their files and their classes."""
        return hash_of_names(str(identity_of(dataset)) for dataset in (self.training, self.val))

    @cached_property
    def scorer(self) -> Scorer:
        """Scores generators on the validation split: Streets' judge, published networks, or a judge trained here."""
        count = self.scenes if self.data == "streets" else None
        root, split = Path(self.base.root) if self.base.root else None, SCORED.get(self.data, "val")
        place = Place(self.data, root, self.size, count, split=split)
        if protocol(default_protocol(self.data), self.data).segmenter:
            return Scorer(place, device=self.device)
        judges = own_judges(self.out / f"judge-{self.files}.safetensors", self.training, torch.device(self.device))
        return Scorer(place, "own", judges=judges, device=self.device)

    @cached_property
    def bound(self) -> dict | None:
        """The figures of real pictures, what nobody can be expected to pass; None where published networks judge."""
        if self.data != "streets" and self.scorer.plan.name != "own":
            return None
        return self.scorer.bound().row()
