"""The features of a run's own perceptual loss, for where VGG-19's weights can't be had: the setting features = "own".

A small segmenter (pretrained/judge.py, SecondOpinion) learns the classes of the run's data on four fifths of its
training pictures; it stops when it gets no better on the last fifth. Validation pictures are never looked at. Whoever
scores the run must be another network: a loss made of the judge would teach generators to please the judge.

    runs/NAME/features.safetensors    written once, before the run's first step
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from .. import distributed
from ..checkpoints import load_weights, save_weights
from ..data.base import Dataset, Sample, stack
from ..pretrained.judge import SecondOpinion

FILE = "features.safetensors"
FEWEST = 30  # pictures that it is trained on
BATCH, LR = 8, 3e-3
ROUND, ROUNDS, PATIENCE = 50, 12, 3  # steps between two looks at the last fifth; looks; looks without a gain


def own_features(folder: Path, dataset: Dataset, device: torch.device, seed: int) -> SecondOpinion | None:
    """The frozen segmenter whose maps the perceptual loss compares; trained and written if `folder` hasn't one yet.

    None for a data set of under 30 pictures: a line says that there is no perceptual loss.
    Errors: a CheckpointError where the file can't be read or belongs to other classes.
    """
    if len(dataset) < FEWEST:
        print(f"No perceptual loss: features=own takes at least {FEWEST} training pictures, here are {len(dataset)}.")
        return None
    file = folder / FILE
    if distributed.rank() == 0 and not file.exists():
        save_weights(train_features(dataset, device, seed), file, half=True)
    distributed.wait()
    network = SecondOpinion(dataset.labels.num_classes)
    load_weights(network, file)
    return network.eval().requires_grad_(False).to(device)


def train_features(dataset: Dataset, device: torch.device, seed: int) -> SecondOpinion:
    """A segmenter trained by cross-entropy, with the weights that it had when the last fifth fitted best."""
    training, last_fifth = fifths(len(dataset))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = SecondOpinion(dataset.labels.num_classes).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), LR)
    draws = torch.Generator().manual_seed(seed)
    kept, least, best, started = network.state_dict(), float("inf"), 0, time.monotonic()
    print("features=own: first a small segmenter learns the classes of the training pictures.", flush=True)
    for number in range(ROUNDS):
        dataset.set_epoch(number)
        train_round(network, optimizer, random_batches(dataset, training, draws))
        dataset.set_epoch(0)
        loss = loss_on(network, dataset, last_fifth)
        if loss < least:
            kept, least, best = {name: value.clone() for name, value in network.state_dict().items()}, loss, number
        if number == 0:
            print(f"At most {ROUNDS * (time.monotonic() - started) / 60:.1f} minutes.", flush=True)
        if number - best == PATIENCE:
            break
    print(f"Done in {(time.monotonic() - started) / 60:.1f} minutes: loss {least:.2f} on the last fifth.", flush=True)
    network.load_state_dict(kept)
    return network


def fifths(length: int) -> tuple[range, range]:
    """The places of the first four fifths and of the last: neighbours, such as the frames of a drive, stay together."""
    return range(length - length // 5), range(length - length // 5, length)


def random_batches(dataset: Dataset, places: Sequence[int], draws: torch.Generator) -> Iterator[Sample]:
    """A round's batches."""
    for _ in range(ROUND):
        yield stack([dataset[places[i]] for i in torch.randint(len(places), (BATCH,), generator=draws).tolist()])


def train_round(network: SecondOpinion, optimizer: torch.optim.Optimizer, batches: Iterator[Sample]) -> None:
    """A step for each batch."""
    network.train()
    for batch in batches:
        loss = class_loss(network, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.no_grad()
def loss_on(network: SecondOpinion, dataset: Dataset, places: Sequence[int]) -> float:
    """The mean loss of some of a data set's pictures."""
    network.eval()
    groups = [places[start : start + BATCH] for start in range(0, len(places), BATCH)]
    return sum(len(g) * float(class_loss(network, stack([dataset[i] for i in g]))) for g in groups) / len(places)


def class_loss(network: SecondOpinion, batch: Sample) -> Tensor:
    """Cross-entropy of the classes, mean over the pixels that have one."""
    device = next(network.parameters()).device
    logits, target = network.logits(batch.image.to(device)), batch.label.to(device)
    known = target < logits.shape[1]  # "don't care" comes after the classes
    return F.cross_entropy(logits, target.where(known, -100), reduction="sum") / known.sum().clamp(min=1)
