"""What every notebook starts with: the device, the data and the size it works at, and where its networks come from.

    lab = course.start("03")            # says what it chose
    batch, sample = lab.batch(4)        # what a Trainer takes, and the same as a Sample
    networks, source = lab.networks("spade")

One setting chooses the data: the environment variable SPADE_EDU_PROFILE, "cpu" (Streets at 64x128, minutes on two
cores) or "gpu" (Cityscapes where it is found, else the same as "cpu"). Without it: "gpu" where there is a GPU. The
networks work on the GPU, where there is one, in either.
"""

import os
import time
from dataclasses import dataclass, replace
from functools import cache
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
from ..runs.loading import load_networks, load_stored
from ..runs.run import Run
from ..sampling import spread, to_batch
from ..training import Trainer
from .own_folder import home
from .runs_folder import RUNS_VARIABLE, newest_run, runs_folders

PROFILE_VARIABLE = "SPADE_EDU_PROFILE"
PROFILES = {"cpu": "cpu", "gpu": "colab", "test": "test"}  # profile: its preset
YOURS = "11"  # the stage that is held against stored scores: a GPU, too, works at their data and size
STORED = {"spade": "spade", "pix2pixhd": "pix2pixhd", "pix2pixhd++": "pix2pixhd_pp"}
STORED_PRESET = "cpu"  # by which they were trained
MISSING = (
    "No trained {model} is at hand for {data} at {height}x{width} pixels. Train one in a cell of its own, "
    '`lab.train_networks("{model}", minutes=15)`; or say where one lies, `%env ' + RUNS_VARIABLE + "=FOLDER`; or take "
    f"Streets, whose networks come with the package: `%env {PROFILE_VARIABLE}=cpu`, then the first cell again."
)
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

        The newest run on this data (runs_folder.py: where it is looked for), else the weights stored in the package.
        Nothing is trained here. Errors: a UserError where there is neither; it says how to get one.
        """
        found = newest_run(model, self.config)
        if found is not None:
            step = step_of(checkpoints(found / "checkpoints")[-1])
            return load_networks(found, self.labels).to(self.device), f"{found}, {self.config.data}, {step} steps"
        if _kind(self.config) != _kind(preset(STORED_PRESET)):
            raise UserError(MISSING.format(model=model, data=self.config.data, height=self.size[0], width=self.size[1]))
        return load_stored(STORED[model]).to(self.device), f"stored weights of {model}, Streets, 750 steps"

    def train_networks(self, model: str, minutes: float) -> None:
        """Train `model` on this data for about so many minutes, in a run that `networks` finds.

        The same call goes on with it.
        """
        folder = runs_folders()[0] / f"{self.config.data}-{model}"
        shared: dict = dict(data=self.config.data, root=self.config.root, height=self.size[0], width=self.size[1])
        # A gain of 1: with the published 0.02 a run of minutes hardly gets started.
        chosen = _preset_name(self.profile, self.config.data)
        config = preset(chosen, model, style=model == "spade", init_gain=1.0, **shared)
        run = Run(folder, config, self.train, self.val, device=self.device)
        started = time.monotonic()
        while run.step < run.total_steps and time.monotonic() - started < 60 * minutes:
            run.train(until=run.step + 50)
        print(f"{folder}: {run.step} of {run.total_steps} steps.")


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
    lab = Lab(stage, profile, device, *_open(data_of))
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


def _open(profile: str) -> tuple[TrainingConfig, Dataset, Dataset]:
    """Configuration and data sets of a profile: on a GPU Cityscapes where it is found, else Streets."""
    name, root = "streets", None
    if profile == "gpu":
        name, root, _ = choose(None, None)
        if name == "streets":
            print("Cityscapes was not found (`spade-edu data get cityscapes` says how to get it): taking streets.")
    config = preset(_preset_name(profile, name), data=name, root=str(root or ""))
    train, val, config, _ = open_splits(config, scenes=TEST_SCENES if profile == "test" else VAL_SCENES)
    return config, train, val


def _preset_name(profile: str, data: str) -> str:
    """The preset of a profile; on Streets a GPU, too, works at the size of the stored networks."""
    return STORED_PRESET if (profile, data) == ("gpu", "streets") else PROFILES[profile]


def _kind(config: TrainingConfig) -> tuple[str, int, int]:
    """What networks and data must share."""
    return config.data, config.height, config.width
