"""A training run in a folder: configuration, metrics, sample grids, checkpoints, resume.

    runs/NAME/config.json  data.json  metrics.csv  samples/0000200.png  checkpoints/0000200/...  (features.safetensors)

A run that is killed and started again goes on from its last checkpoint and ends with the same weights as one that was
never stopped: order of images, augmentation, style noise and learning rate all follow from the seed and the step.
"""

import csv
import dataclasses
import json
import os
import time
from collections.abc import Collection, Iterator
from contextlib import closing, nullcontext
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from .. import distributed
from ..checkpoints import CheckpointError, UnfitError, checkpoints, load_checkpoint, save_checkpoint, sweep
from ..config import TrainingConfig, resolve_precision
from ..data.base import Dataset
from ..data.streets import Streets
from ..errors import UserError
from ..files import write_whole
from ..models import Untrained, build
from ..pictures import grid, save_png, to_uint8
from ..sampling import generate, spread, to_batch
from ..training import Batch, Trainer
from .beginning import begin_from
from .guards import LossWatch, check_state, memory_advice, only_one, reader_died
from .holder import Holder
from .identity import identity_of, note_classes, require_same_data, write_identity
from .loading import load_config, require_package
from .longer import MORE_EPOCHS, require_no_earlier_end, say_longer
from .own_features import own_features
from .reading import Told, stack_or_error
from .stops import Stop, finish_first, stop_asked


class Run:
    """One training run.

    folder: where all is kept; a run in it goes on, if `config` is its own. device: where the networks train.
    `dataset` is trained on, `preview` (of the same kind) gives the label maps of the sample grids. Every `save_every`
    steps a checkpoint and a grid are written. `workers` processes read the data (None: see `data_workers`); the samples
    are the same for any number of them. data_changed: go on although the data is other than the run's. partial:
    begin from weights of which less than half fit.
    Errors: a UserError where the folder holds another run, or the data set is smaller than a batch.
    """

    fixed: Collection[str] = ()  # settings that can't be changed in such a run

    def __init__(
        self,
        folder: Path,
        config: TrainingConfig,
        dataset: Dataset,
        preview: Dataset,
        *,
        device: str | torch.device = "cpu",
        save_every: int = 250,
        workers: int | None = None,
        data_changed: bool = False,
        partial: bool = False,
    ):
        self.folder, self.device = Path(folder), torch.device(device)
        self.config = config = resolve_precision(config, self.device)
        self.dataset, self.preview = dataset, preview
        self.identity, self.data_changed, self.partial = identity_of(dataset), data_changed, partial
        self.workers = data_workers(dataset, self.device) if workers is None else workers
        self.save_every, self.step, self.seconds = save_every, 0, 0.0
        self.saved: int | None = None  # step of the last checkpoint
        self.watch = LossWatch()  # over the losses since the last start
        self.steps_per_epoch = len(dataset) // config.batch_size
        if not self.steps_per_epoch:
            raise UserError(
                f"A batch of {config.batch_size} needs as many images, but there are only {len(dataset)}: "
                "set batch_size lower."
            )
        self.total_steps = self.steps_per_epoch * config.epochs_in_all
        if not config.epochs_scheduled:
            raise UserError("epochs and epochs_decay are both 0: set one of them to the epochs to train for.")
        self.writes = distributed.rank() == 0
        with memory_advice(config, self.fixed):
            self.trainer = self.make_trainer()
        self.holder: Holder | None = None  # while it trains
        self.check_folder()

    def make_trainer(self) -> Trainer:
        """What trains: networks as the configuration says."""
        networks = build(self.config, self.dataset.labels)
        if self.config.start_from and not checkpoints(self.folder / "checkpoints"):
            begin_from(networks, self.config, self.dataset.labels, partial=self.partial)
        return Trainer(*networks.to(self.device), self.config)

    def train(self, until: int | None = None, *, progress: bool = True) -> Trainer:
        """Train to step `until` (default: the end), from the last checkpoint if there is one.

        Ctrl-C (or SIGTERM) finishes the step, saves and raises a KeyboardInterrupt; a second one leaves at once. One of
        several processes (torchrun) leaves at once, unsaved: they are stopped at different points.
        Errors: a UserError where another run holds the folder or has taken it over, a loss is no number, or memory runs
        out.
        """
        with (
            only_one(self.folder) if self.writes else nullcontext() as self.holder,
            memory_advice(self.config, self.fixed),
        ):
            try:
                return self._train(until, progress)
            except RuntimeError as error:
                if "DataLoader worker" not in str(error):  # torch has no exception of its own for it
                    raise
                raise reader_died(self.workers, self.folder, self.saved) from error
            finally:
                self.holder = None

    def _train(self, until: int | None, progress: bool) -> Trainer:
        if self.writes:
            self.check_folder()  # it may have been filled since, by another process
            write_whole(self.folder / "config.json", json.dumps(dataclasses.asdict(self.config), indent=2))
            sweep(self.folder / "checkpoints")
        if isinstance(self.trainer.features, Untrained):
            self.trainer.features = own_features(self.folder, self.dataset, self.device, self.config.seed)
        self.resume()
        if self.writes:  # only now: weights that don't fit the classes would have stopped it
            if self.saved is not None:
                note_classes(self.folder, self.dataset.labels)
            write_identity(self.folder, self.identity)
            say_longer(self.config)
        last = min(until or self.total_steps, self.total_steps)
        bar = tqdm(
            total=last, initial=self.step, desc=self.folder.name, disable=not (progress and self.writes), unit="step"
        )
        started = time.monotonic() - self.seconds
        with stop_asked() if distributed.processes() == 1 else nullcontext(Stop()) as stop, closing(bar):
            while self.step < last and not stop.asked:
                for batch in self.epoch(self.step // self.steps_per_epoch + 1, last):
                    values = self.trainer.step_tensors(batch)
                    self.step += 1
                    self.watch.see(values, self.step)
                    self.seconds = time.monotonic() - started
                    self.after_step(values, bar, last)
                    if stop.asked:
                        break
            if stop.asked:
                self._stop(bar)
        return self.trainer

    def _stop(self, bar: tqdm) -> None:
        """Save and leave, between two steps. A KeyboardInterrupt in a step saves nothing: half of it is done."""
        bar.close()
        if self.saved != self.step:
            self.save()
        stopped = f"Stopped and saved at step {self.step} of {self.total_steps}."
        print(f"{stopped} The same command goes on from here.")
        raise KeyboardInterrupt

    def epoch(self, epoch: int, last: int) -> Iterator[Batch]:
        """The batches of `epoch` (from 1) that are still to come."""
        self.trainer.set_epoch(epoch)
        self.dataset.set_epoch(epoch)
        order = epoch_order(len(self.dataset), self.config.seed, epoch)
        done = self.step % self.steps_per_epoch
        todo = min(self.steps_per_epoch, done + last - self.step)
        indices = order[done * self.config.batch_size : todo * self.config.batch_size]
        indices = distributed.share_of(indices, self.config.batch_size)
        # A generator of its own: making the loader's iterator would otherwise use up a number of the global one.
        loader: DataLoader = DataLoader(
            Told(self.dataset),
            self.config.batch_size // distributed.processes(),
            sampler=indices,
            collate_fn=stack_or_error,
            generator=torch.Generator(),
            num_workers=self.workers,
            pin_memory=self.device.type == "cuda",
            worker_init_fn=finish_first,
        )
        for sample in loader:
            if isinstance(sample, Exception):
                raise sample
            yield to_batch(sample, self.dataset.labels, self.device, self.config.channels_last)

    def after_step(self, values: dict[str, Tensor], bar: tqdm, last: int) -> None:
        """Write metrics every ten steps, and a checkpoint and samples now and then."""
        bar.update()
        if self.step % 10 == 0 or self.step == last:
            distributed.average(values.values())
            losses = {name: float(value) for name, value in values.items()}
            self.watch.check(self.folder, self.saved)
            if self.trainer.scaler.is_enabled():
                losses["skipped"] = float(self.trainer.skipped)
            bar.set_postfix({name: f"{value:.2f}" for name, value in losses.items()})
            if self.writes:
                self._log(losses)
        if self.step % self.save_every == 0 or self.step == last:
            self.save()
            if self.writes:
                self.save_samples()

    def save(self) -> None:
        """Write a checkpoint of this step; every process hands in the state of its random numbers.

        Errors: a UserError where a loss since the last one, or anything in the state, is no number, or where another
        process has taken the folder over.
        """
        self.watch.check(self.folder, self.saved)
        if self.holder:
            self.holder.renew()
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "trainer": self.trainer.state_dict(),
            "rng": distributed.gather_random_states(self.device),
            "data": self.identity._asdict(),
        }
        check_state(self.trainer, self.step, self.folder, self.saved)
        if self.writes:
            save_checkpoint(self.folder / "checkpoints", self.step, self.trainer.named_networks(), state)
        self.saved = self.step

    def resume(self) -> None:
        """Go on from the newest whole checkpoint; a broken one is passed over with a word."""
        distributed.wait()  # until process 0 has written what it was writing
        self.watch = LossWatch()
        found = checkpoints(self.folder / "checkpoints")
        for path in reversed(found):
            try:
                self._restore(path)
                break
            except UnfitError:  # whole, so not to be passed over
                raise
            except CheckpointError as error:
                print(f"Passing over a broken checkpoint. {error}")
        else:
            if found:  # parts of them may be loaded: beginning again needs new networks
                raise CheckpointError(f"No checkpoint in {self.folder} can be read: remove the folder and start again.")
            torch.manual_seed(self.config.seed + distributed.rank())
        if self.writes:
            self._cut_metrics()

    def _restore(self, path: Path) -> None:
        state = load_checkpoint(path, self.trainer.named_networks())
        try:
            step, seconds = int(state["step"]), float(state["seconds"])
            self.trainer.load_state_dict(state["trainer"])
            distributed.set_random_states(state["rng"], self.device)
        except UserError:  # whole, but of another number of processes
            raise
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path}: not a whole checkpoint ({type(error).__name__}).") from None
        self.step, self.seconds, self.saved = step, seconds, step

    def save_samples(self, count: int = 4) -> None:
        """Draw a grid of `count` rows: label map, real image, generated image."""
        sample = spread(self.preview, count)
        fake = generate(self.trainer.best_generator(), sample, self.preview.labels, self.device)
        colours = self.preview.labels.colourise(sample.label)
        rows = [list(row) for row in zip(colours, to_uint8(sample.image), to_uint8(fake))]
        save_png(grid(rows), self.folder / "samples" / f"{self.step:07d}.png")

    def check_folder(self) -> None:
        """Check that the folder is free, or holds a run of the package's networks that this one may go on with."""
        require_package(self.folder)
        self.require_same_settings()

    def require_same_settings(self) -> None:
        """Check that the folder is free, or holds a run of the same settings on the same pictures."""
        if not (self.folder / "config.json").exists():
            return
        # A setting that is newer than the run had its default then.
        old, config = dataclasses.asdict(load_config(self.folder)), dataclasses.asdict(self.config)
        changed = [name for name in config if old[name] != config[name] and name not in ("root", "epochs_more")]
        if changed:
            name = changed[0]
            advice = MORE_EPOCHS if name in ("epochs", "epochs_decay") else ""
            raise UserError(
                f"{self.folder} holds a run with {name} = {old[name]!r}, now it is {config[name]!r}: choose "
                f"another --out, or the old setting.{advice}"
            )
        require_no_earlier_end(self.folder, self.config)
        if old["root"] != config["root"] and self.holder:  # on Colab, data and runs lie elsewhere in each session
            print(f"The data is now read from {config['root']!r}; before, it was {old['root']!r}.")
        require_same_data(self.folder, self.identity, changed=self.data_changed, say=self.holder is not None)

    def _log(self, values: dict[str, float]) -> None:
        path = self.folder / "metrics.csv"
        row = {"step": self.step, "seconds": f"{self.seconds:.1f}", **{name: f"{v:.5f}" for name, v in values.items()}}
        # A run that was killed may have left it empty.
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        columns = lines[0].split(",") if lines else list(row)  # an earlier version's may have been fewer
        with path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            if not lines:
                writer.writeheader()
            writer.writerow(row)

    def _cut_metrics(self) -> None:
        """Drop the lines after this step: they belong to steps that are about to be done again."""
        path = self.folder / "metrics.csv"
        if path.exists() and path.stat().st_size:
            head, *lines = path.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if line.split(",")[0].isdigit() and int(line.split(",")[0]) <= self.step]
            write_whole(path, "\n".join([head, *kept]) + "\n")


def epoch_order(length: int, seed: int, epoch: int) -> list[int]:
    """A shuffled order of the images that follows from seed and epoch alone."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(length, generator=generator).tolist()


def data_workers(dataset: Dataset, device: torch.device) -> int:
    """How many processes read data: this process's share of the cores, at most 8.

    None where the CPU trains, and none for a Streets whose rendered scenes all stay in memory: each epoch's processes
    are new, so they would render them again.
    """
    if device.type == "cpu" or isinstance(dataset, Streets) and dataset.fits_in_memory():
        return 0
    return min(8, (os.cpu_count() or 1) // distributed.processes())
