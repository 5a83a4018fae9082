"""What every notebook starts with: the device, the data and the size it works at, and where its networks come from.

    lab = course.start("03")            # says what it chose
    batch, sample = lab.batch(4)        # what a Trainer takes, and the same as a Sample
    networks, source = lab.networks("spade")

One setting switches the size: the environment variable SPADE_EDU_PROFILE, "cpu" (Streets at 64x128, minutes on two
cores) or "gpu" (Cityscapes where it is found). Without it: "gpu" where there is a GPU.
"""

import os
import time
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from ..checkpoints import checkpoints, step_of
from ..config import TrainingConfig
from ..data import choose, open_splits
from ..data.base import Dataset, Sample
from ..errors import UserError
from ..fast import threads
from ..labels import LabelSpace
from ..models import Networks, build
from ..presets import preset
from ..runs.loading import load_config, load_networks, load_stored, own_texts
from ..runs.run import Run
from ..sampling import spread, to_batch
from ..training import Trainer
from .own_folder import home

PROFILE_VARIABLE = "SPADE_EDU_PROFILE"
PROFILES = {"cpu": "cpu", "gpu": "colab", "test": "test"}  # profile: its preset
YOURS = "11"  # the stage that is held against stored scores: a GPU, too, works at their data and size
STORED = {"spade": "spade", "pix2pixhd": "pix2pixhd", "pix2pixhd++": "pix2pixhd_pp"}
RUNS = Path("runs")
MOST_MINUTES = 15  # that a notebook trains where no weights fit its data
VAL_SCENES, TEST_SCENES = 200, 8  # of Streets; in the profile test


@dataclass(frozen=True)
class Lab:
    """What a notebook works with.

    stage: the notebook's number. profile: "cpu", "gpu" or "test". device: "cpu" or "cuda".
    config: the preset of its profile with the size of its data. train, val: the two splits of the data.
    """

    stage: str
    profile: str
    device: str
    config: TrainingConfig
    train: Dataset
    val: Dataset

    @property
    def labels(self) -> LabelSpace:
        """The label space of the data."""
        return self.val.labels

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images."""
        return self.config.height, self.config.width

    def batch(self, count: int = 4, split: str = "val") -> tuple[dict, Sample]:
        """`count` samples spread over a split: as a Trainer takes them (segmap, image), and as a Sample."""
        sample = spread(self.train if split == "train" else self.val, count)
        return to_batch(sample, self.labels, torch.device(self.device)), sample

    def trainer(self, **settings: Any) -> Trainer:
        """New networks and their Trainer, with single settings of the configuration changed; seeded by its seed."""
        config = replace(self.config, **settings)
        torch.manual_seed(config.seed)
        return Trainer(*build(config, self.labels).to(self.device), config)

    def networks(self, model: str = "spade") -> tuple[Networks, str]:
        """Trained networks of `model` for this data, and where they come from, in words for a figure's title.

        The newest run under runs/ on this data, else the weights stored in the package (Streets), else a run of at
        most 15 minutes, said beforehand.
        """
        found = newest_run(model, self.config)
        if found is None and self.config.data == "streets" and self.profile == "cpu":
            return load_stored(STORED[model]).to(self.device), f"stored weights of {model}, Streets, 750 steps"
        if found is None:
            found = self._train(model)
        step = step_of(checkpoints(found / "checkpoints")[-1])
        return load_networks(found, self.labels).to(self.device), f"{found}, {self.config.data}, {step} steps"

    def _train(self, model: str) -> Path:
        """Train a quarter of an hour; the run can be continued by the same call or by `spade-edu train`."""
        folder = RUNS / f"{self.config.data}-{model}"
        print(f"No weights for {model} on {self.config.data}: training up to {MOST_MINUTES} minutes into {folder}.")
        shared: dict = dict(data=self.config.data, root=self.config.root, height=self.size[0], width=self.size[1])
        config = preset(PROFILES[self.profile], model, style=model == "spade", **shared)
        run = Run(folder, config, self.train, self.val, device=self.device)
        started = time.monotonic()
        while run.step < run.total_steps and time.monotonic() - started < 60 * MOST_MINUTES:
            run.train(until=run.step + 50)
        return folder


def start(stage: str, profile: str | None = None, seed: int = 0) -> Lab:
    """Choose profile, device and data for a notebook, say so in two lines, and set the style of its figures.

    It also finds the student's folder (own_folder.py) and says which file is used.
    profile: "cpu", "gpu", or "test" (seconds, tiny networks: only to see that all runs); None: SPADE_EDU_PROFILE, else
    what the machine has. seed: of everything that is drawn.
    Errors: a UserError for a profile that doesn't exist.
    """
    from .plotting import use_style

    device = "cuda" if torch.cuda.is_available() else "cpu"
    profile = profile or os.environ.get(PROFILE_VARIABLE) or ("gpu" if device == "cuda" else "cpu")
    if profile not in PROFILES:
        raise UserError(f"{PROFILE_VARIABLE} is cpu or gpu, not {profile!r}.")
    torch.manual_seed(seed)
    use_style()
    data_of = "cpu" if (stage, profile) == (YOURS, "gpu") else profile
    lab = Lab(stage, profile, device, *_open(data_of, device))
    where = torch.cuda.get_device_name() if device == "cuda" else f"CPU ({torch.get_num_threads()} threads)"
    print(f"Stage {stage}: profile {profile} ({PROFILE_VARIABLE} changes it), {where}, torch {torch.__version__}")
    print(f"Data: {lab.config.data}, {len(lab.train)} images for training, {lab.size[0]}x{lab.size[1]} pixels")
    if device == "cpu" and torch.get_num_threads() > 1:
        _advise_once()
    home()
    return lab


@cache
def _advise_once() -> None:
    """Say what makes torch faster beside other programs, where it was loaded before anybody could set it."""
    if threads.advice():
        print(threads.advice())


def _open(profile: str, device: str) -> tuple[TrainingConfig, Dataset, Dataset]:
    """Configuration and data sets of a profile: on a GPU Cityscapes if found, then CamVid, else Streets at 256x512."""
    size: dict = {}
    if profile != "gpu":
        name, root = "streets", None
    else:
        name, root, _ = choose(None, None)
        if name == "streets":
            size = {"height": 256, "width": 512}
        if name == "streets" and Path("datasets/camvid").is_dir():
            name, root, size = "camvid", Path("datasets/camvid"), {"height": 192, "width": 256}
        if name != "cityscapes":
            print(f"Cityscapes was not found (`spade-edu data get cityscapes` says how to get it): taking {name}.")
    config = preset(PROFILES[profile], data=name, root=str(root or ""), **size)
    train, val, config, _ = open_splits(config, scenes=TEST_SCENES if profile == "test" else VAL_SCENES)
    return config, train, val


def newest_run(model: str, like: TrainingConfig) -> Path | None:
    """The folder under runs/ whose checkpoint of `model` on the same data and size is the newest; None if none is.

    Runs of a student's file are passed over: they are opened with the file that is named for them.
    """
    found = []
    for path in RUNS.glob("*/config.json"):
        try:
            config, steps = load_config(path.parent), checkpoints(path.parent / "checkpoints")
        except UserError as error:  # of another version, say: no reason to stop a notebook
            print(f"Passing over a run. {error}")
            continue
        same = all(getattr(config, name) == getattr(like, name) for name in ("data", "height", "width"))
        if steps and same and config.model == model and not own_texts(path.parent):
            found.append((steps[-1].stat().st_mtime, path.parent))
    if not found:
        return None
    return max(found)[1]
