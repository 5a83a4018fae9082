"""Notebook 11's workshop: train the networks of the student's own file, keep them, score them, compare the runs.

    spade = Training("spade", lab, {"G": generator, "D": discriminator}, optimizers, steps, judge=judge(lab))
    spade.train(minutes=8)      # goes on from my_runs/spade.safetensors, where that is there
    board()

`steps` is the student's own loop: it takes batches, makes a step with each and yields that step's losses.
"""

import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor, nn

from ..data import Dataset, open_dataset, stack
from ..data.base import batches as samples
from ..data.catalogue import find
from ..errors import UserError
from ..evaluation.pipeline import Scorer
from ..evaluation.scoring import streets_judges
from ..evaluation.subjects import Place
from ..files import student_folder, write_whole
from ..generators import Generator
from ..labels import CITYSCAPES, LabelSpace
from ..pictures import grid, to_uint8
from ..presets import preset
from ..runs.run import epoch_order
from ..sampling import spread, to_batch
from ..training import Batch
from .lab import Lab
from .overview import states
from .own_code import read_code
from .own_trial import try_out
from .parts_file import NAME, read_file, read_reference
from .runs_folder import MY_RUNS
from .student import Overview

SCENES = 4  # that are painted on the way
SCORED = 100  # scenes that the judge sees
SAVED_EVERY = 50  # steps
ROUGH = 200  # steps below which pictures are rough
PHOTOGRAPHS = 96, 128  # their height and width here: minutes on two cores


def still_open() -> list[str]:
    """The parts that the student's file doesn't have yet, in the order of the stages."""
    path, reference = student_folder() / NAME, read_reference()
    return [name for name, state in states(read_file(path), reference).items() if state == "open"]


def try_file() -> None:
    """Read the student's file in a process of its own, then try its networks and steps once, tiny.

    Errors: a UserError that names the part which breaks its contract, and its line.
    """
    code, config, channels = read_code(student_folder() / NAME), preset("test"), CITYSCAPES.num_channels
    try_out(code, code.networks(config, channels), config, channels)
    print(f"{NAME}: networks and steps work, each step moves its own side only.")


def photographs(lab: Lab, folder: str | Path = "") -> Lab:
    """The lab with photographs: pairs in the reader's `folder`, else CamVid where it is; else as it is. Says which.

    folder: as the data set `folder` reads it. Nothing is downloaded. Errors: a DataError where it holds no such pairs.
    """
    name, root = ("folder", Path(folder)) if folder else ("camvid", find("camvid"))
    if root is None:
        print(
            "No photographs here: datasets/camvid isn't there (`spade-edu data get camvid`), and no folder was named."
        )
        return lab
    height, width = PHOTOGRAPHS
    train, _ = open_dataset(name, root, "train", height=height, width=width, augment=True)
    val, line = open_dataset(name, root, "val", height=height, width=width)
    print(line)
    return replace(
        lab, config=replace(lab.config, data=name, root=str(root), height=height, width=width), train=train, val=val
    )


class Yours(Generator):
    """Somebody's own generator as the package's tools take one: deterministic, z is accepted and ignored."""

    def __init__(self, network: nn.Module, labels: LabelSpace):
        super().__init__(labels.num_channels)
        self.network = network

    def forward(
        self, segmap: Float[Tensor, "n l h w"], z: Float[Tensor, "n z_dim"] | None = None
    ) -> Float[Tensor, "n 3 h2 w2"]:
        """Paint label maps."""
        return self.network(segmap)


def batches(
    dataset: Dataset, size: int, *, seed: int = 0, start: int = 0, device: str | torch.device = "cpu"
) -> Iterator[Batch]:
    """Batches without end, from that of step `start` on.

    Their order, flips, and what a step draws at random follow from the seed and the step, so that a training that was
    stopped goes on as if it had not been.
    """
    for step in count(start):
        epoch, place = divmod(step, len(dataset) // size)
        dataset.set_epoch(epoch + 1)
        indices = epoch_order(len(dataset), seed, epoch + 1)[place * size : (place + 1) * size]
        batch = to_batch(stack([dataset[i] for i in indices]), dataset.labels, torch.device(device))
        torch.manual_seed(seed * 1_000_003 + step)
        yield batch


def is_milestone(step: int) -> bool:
    """Whether pictures are painted, and the judge is asked, after this step: 10, 25, 50, 100, 200, 300 ..."""
    return step in (10, 25, 50) or step % 100 == 0


@torch.no_grad()
def paint(generator: nn.Module, segmap: Float[Tensor, "n l h w"]) -> UInt8[Tensor, "n h w 3"]:
    """What a generator paints in evaluation mode; it stays in the mode that it was in."""
    was_training = generator.training
    generator.eval()
    images = torch.cat([generator(part) for part in segmap.split(20)])
    generator.train(was_training)
    return to_uint8(images)


def judge(lab: Lab) -> Scorer:
    """The judge of Streets on the first 100 scenes of the validation split: mIoU and accuracy, no distance."""
    scenes = min(SCORED, len(lab.val))
    judges = streets_judges(segmentation=True, distance=False, device=torch.device(lab.device), at_one_size=False)
    return Scorer(Place("streets", None, lab.size, scenes), judges=judges, device=lab.device)


def score(generator: nn.Module, scorer: Scorer) -> dict[str, float]:
    """mIoU and accuracy of what a generator paints for the judge's label maps, in [0, 1]."""
    scenes = scorer.place.inputs()
    parts = [to_batch(part, scenes.labels, scorer.device)["segmap"] for part in samples(scenes)]
    images = torch.cat([paint(generator, part) for part in parts])[: len(scorer.originals)]
    scores = scorer.score(list(images.movedim(-1, -3)))
    return {"miou": round(scores.miou or 0.0, 4), "accuracy": round(scores.accuracy or 0.0, 4)}


class Training:
    """A training of somebody's own networks on a lab's data, that is kept whole in one file and goes on from it.

    name: of the file, my_runs/NAME.safetensors in the student's folder; where it is there, its state is taken over.
    networks: by letter; "G" paints. optimizers: theirs. steps: batches -> the losses of each step, as they come.
    judge: is asked at every milestone from step 25 on; None: not at all. seed: of the batches.
    step, seconds: so far, without painting and scoring. losses, scores: a list of rows. album: {step: what G painted}.
    Errors: a UserError where the file is damaged, or belongs to other networks.
    """

    def __init__(
        self,
        name: str,
        lab: Lab,
        networks: dict[str, nn.Module],
        optimizers: Sequence[torch.optim.Optimizer],
        steps: Callable[[Iterable[Batch]], Iterable[dict[str, float]]],
        *,
        judge: Scorer | None = None,
        seed: int = 0,
    ):
        self.name, self.lab, self.networks, self.optimizers = name, lab, networks, optimizers
        self.steps, self.judge, self.seed = steps, judge, seed
        self.path = student_folder() / MY_RUNS / f"{name}.safetensors"
        self.step, self.seconds = 0, 0.0
        self.losses: list[dict[str, float]] = []
        self.scores: list[dict[str, float]] = []
        self.album: dict[int, Tensor] = {}
        self.sample = spread(lab.val, SCENES)
        for network in networks.values():
            network.to(lab.device)
        if self.path.exists():
            self.load()
            print(f"{name} goes on from step {self.step} in {self.path}. (Delete that file to begin anew.)")

    def train(self, minutes: float | None = None, steps: int | None = None) -> None:
        """Train up to so many minutes, or steps, in all: those of earlier calls and sessions count.

        Errors: a UserError where a loss is no number any more.
        """
        last, most = steps or math.inf, 60 * (minutes or math.inf)
        if self.step >= last or self.seconds >= most:
            print(f"{self.name} has {self.step} steps in {self.seconds / 60:.1f} minutes: give more to go on.")
            return
        shown = self.shown()
        started = time.monotonic()
        for losses in self.steps(self._batches()):
            self.seconds += time.monotonic() - started
            self.step += 1
            self._look({name: float(value) for name, value in losses.items()}, most)
            enough = self.step >= last or self.seconds >= most
            if enough or is_milestone(self.step):
                self._milestone()
                shown = self.shown(shown)
            if enough or self.step % SAVED_EVERY == 0:
                self.save()
            if enough:
                break
            started = time.monotonic()
        self._finish()

    def _batches(self) -> Iterator[Batch]:
        size = self.lab.config.batch_size
        return batches(self.lab.train, size, seed=self.seed, start=self.step, device=self.lab.device)

    def _look(self, losses: dict[str, float], most: float) -> None:
        """Keep and print the losses now and then; a UserError where one is no number."""
        lost = [name for name, value in losses.items() if not math.isfinite(value)]
        if lost:
            raise UserError(f"After step {self.step} {lost[0]} is {losses[lost[0]]}: nothing is saved of this step.")
        if self.step % 25 and self.step not in (1, 10):
            return
        self.losses.append({"step": self.step, **losses})
        pace = self.seconds / self.step
        left = f", {(most - self.seconds) / 60:.1f} minutes left" if most < math.inf else ""
        said = "  ".join(f"{name} {value:.2f}" for name, value in losses.items())
        print(f"step {self.step:4}: {pace:.2f} s a step{left}   {said}", flush=True)

    def _milestone(self) -> None:
        self.album[self.step] = self.paint()
        if self.judge is not None and self.step >= 25:
            self.scores.append({"step": self.step, **score(self.networks["G"], self.judge)})

    def _finish(self) -> None:
        print(f"{self.name}: {self.step} steps in {self.seconds / 60:.1f} minutes, kept in {self.path}")
        if self.step < ROUGH:
            print(f"Pictures are rough below {ROUGH} steps: give it more minutes, and the same cell goes on.")

    def generator(self) -> Yours:
        """G for the package's tools (the Painter, Figure 3); it shares the weights that are trained."""
        return Yours(self.networks["G"], self.lab.labels)

    def paint(self) -> UInt8[Tensor, "n h w 3"]:
        """What G paints now for the scenes of the album."""
        segmap = to_batch(self.sample, self.lab.labels, torch.device(self.lab.device))["segmap"]
        return paint(self.networks["G"], segmap)

    def picture(self, steps: Sequence[int] | None = None) -> Image.Image:
        """The scenes one below the other: label map, what G painted after some steps (default: all), the target."""
        columns = [self.album[step] for step in steps or self.album]
        columns = [self.lab.labels.colourise(self.sample.label), *columns, to_uint8(self.sample.image)]
        return grid([list(row) for row in zip(*columns)])

    def shown(self, handle: Any = None) -> Any:
        """In a notebook: put the newest painting between label maps and targets, in the place that `handle` names."""
        if "IPython" not in sys.modules or not self.album:
            return handle
        from IPython import display, get_ipython

        if get_ipython() is None:
            return handle

        picture = self.picture([max(self.album)])
        picture = picture.resize((picture.width * 2, picture.height * 2), Image.Resampling.NEAREST)
        if handle is None:
            return display.display(picture, display_id=True)
        handle.update(picture)
        return handle

    def save(self) -> None:
        """Write all of it into one file, whole or not at all."""
        tensors = dict(_weights(self.networks))
        for k, optimizer in enumerate(self.optimizers):
            for i, state in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer {k}.{i}.{key}": v for key, v in state.items() if isinstance(v, Tensor)}
        tensors |= {f"album.{step}": images for step, images in self.album.items()}
        rows = {"step": self.step, "seconds": self.seconds, "losses": self.losses, "scores": self.scores}
        stored = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        write_whole(self.path, save(stored, {"about": json.dumps(rows)}))

    def load(self) -> None:
        """Go on from the file. Errors: a UserError where it is damaged, or belongs to other networks."""
        about = _about(self.path)
        tensors = load(self.path.read_bytes())
        for name, value in _weights(self.networks):
            if name not in tensors or tensors[name].shape != value.shape:
                raise UserError(
                    f"{self.path} was trained with other networks (see {name}): give this training a name of its own, "
                    "or delete that file."
                )
            value.copy_(tensors[name])
        for k, optimizer in enumerate(self.optimizers):
            state: dict[int, dict[str, Tensor]] = {}
            for name in tensors:
                if name.startswith(f"optimizer {k}."):
                    _, i, key = name.rsplit(".", 2)
                    state.setdefault(int(i), {})[key] = tensors[name]
            optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
        albums = [name for name in tensors if name.startswith("album.")]
        self.album = {step: tensors[f"album.{step}"] for step in sorted(int(name[6:]) for name in albums)}
        self.step, self.seconds = about["step"], about["seconds"]
        self.losses, self.scores = about["losses"], about["scores"]


def board() -> Overview:
    """The trainings in the student's folder, one a line: steps, seconds, mIoU and accuracy of their last scores."""
    lines = [f"{'':20}{'steps':>8}{'seconds':>9}{'mIoU':>8}{'accuracy':>10}"]
    for path in sorted((student_folder() / MY_RUNS).glob("*.safetensors")):
        about = _about(path)
        miou, accuracy = ("-", "-")
        if about["scores"]:
            miou, accuracy = (f"{100 * about['scores'][-1][key]:.1f} %" for key in ("miou", "accuracy"))
        lines.append(f"{path.stem:20}{about['step']:8}{about['seconds']:9.0f}{miou:>8}{accuracy:>10}")
    return Overview("\n".join(lines))


def _weights(networks: dict[str, nn.Module]) -> Iterator[tuple[str, Tensor]]:
    for letter, network in networks.items():
        for name, value in network.state_dict().items():
            yield f"{letter}.{name}", value


def _about(path: Path) -> dict[str, Any]:
    """What a state's file says of itself."""
    try:
        with safe_open(path, "pt") as file:
            return json.loads(file.metadata()["about"])
    except (SafetensorError, OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(f"{path} is not a training that was kept here ({error}): delete it, or move it away.") from None
