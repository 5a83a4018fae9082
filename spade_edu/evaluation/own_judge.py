"""A judge for data sets that have no published segmenter: trained once, on their training pictures, kept in a file.

It is another network than the one that a perceptual loss may look at (runs/own_features.py): a U-Net, with a seed and
an order of pictures of its own. Both know the same classes, so the pictures of whoever trained with such a loss suit it
more than others'. Its mean IoU is no published figure, and its Fréchet distance is not FID.
"""

from pathlib import Path

import torch

from ..checkpoints import load_weights, save_weights
from ..data.base import Dataset
from ..pretrained.judge import Judge
from .scoring import Features, Judges
from .train_judge import train_segmenter

SEED, STEPS = 1, 1000  # 6 minutes of one core at 96x128


def own_judges(file: Path, training: Dataset, device: torch.device) -> Judges:
    """The judge in `file`; trained on `training` and written there if there is none yet.

    Errors: a CheckpointError where the file can't be read or knows other classes.
    """
    judge = Judge(len(training.labels.score_names))
    if not file.exists():
        print(f"First a judge learns {training.labels.name}'s classes from the training pictures: {file}", flush=True)
        save_weights(trained(judge, training), file, half=True)
    load_weights(judge, file)
    judge = judge.eval().requires_grad_(False).to(device)
    return Judges(
        judge, Features(judge.features, f"{training.labels.name} judge", "FD (own judge)", "KD (own judge)"), device
    )


def trained(judge: Judge, training: Dataset) -> Judge:
    """A judge of the same shape, trained from SEED on pictures drawn from SEED."""
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        network = Judge(judge.head.out_channels)
        train_segmenter(network, training, steps=STEPS)
    return network
