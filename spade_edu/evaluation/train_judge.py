"""How the two segmenters of Streets (pretrained/judge.py) were trained: on scenes that no generator is trained on.

python -m spade_edu.evaluation.train_judge --out spade_edu/assets        (4 minutes on two cores)

With another --height and --width the files carry the size in their names (judge_96x192.safetensors); 64x128 has none.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from ..checkpoints import save_weights
from ..config import TrainingConfig, resolve_precision
from ..data.base import Dataset, Sample, stack
from ..labels import CITYSCAPES, IGNORE
from ..pretrained.judge import ASSETS, NUM_CLASSES, Judge, SecondOpinion
from .segmentation import ConfusionMatrix


def train_segmenter(
    network: Judge | SecondOpinion, dataset: Dataset, *, steps: int, batch_size: int = 8, lr: float = 3e-3
) -> None:
    """Train `network.logits` to tell score ids, by cross-entropy with AdamW under a one-cycle rate.

    In bf16 where the CPU has it.
    """
    network.train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)
    fast = resolve_precision(TrainingConfig(precision="auto"), "cpu").precision == "bf16"
    for batch in _random_batches(dataset, steps, batch_size):
        image = batch.image.to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            prediction = network.logits(image)
        target, classes = dataset.labels.to_score_ids(batch.label), prediction.shape[1]
        loss = F.cross_entropy(prediction.float(), target, class_weights(target, classes), ignore_index=IGNORE)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    network.eval()


def class_weights(target: Int64[Tensor, "n h w"], classes: int = NUM_CLASSES) -> Float[Tensor, "classes"]:
    """One over the fourth root of each class's share of the batch: the mean IoU counts rare classes like the others."""
    share = torch.bincount(target[target != IGNORE], minlength=classes).float() / target.numel()
    return share.clamp(min=1e-3) ** -0.25


def _random_batches(dataset: Dataset, steps: int, batch_size: int) -> Iterator[Sample]:
    for step in range(steps):
        indices = torch.randint(len(dataset), (batch_size,)).tolist()
        dataset.set_epoch(step)
        yield stack([dataset[i] for i in indices])


@torch.no_grad()
def confusion(segment: Callable[[Tensor], Tensor], dataset: Dataset) -> ConfusionMatrix:
    """Score `segment` (image -> logits) on every sample of a data set in Cityscapes' label space."""
    matrix = ConfusionMatrix(NUM_CLASSES, ignored=(IGNORE,))
    for start in range(0, len(dataset), 20):
        batch = stack([dataset[i] for i in range(start, min(start + 20, len(dataset)))])
        matrix.update(segment(batch.image).argmax(1), CITYSCAPES.to_score_ids(batch.label))
    return matrix


def main() -> None:
    """Train and store both networks; print what each reaches on validation scenes."""
    from ..data.streets import Streets

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ASSETS)
    parser.add_argument("--scenes", type=int, default=1500)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--height", type=int, default=64)
    parser.add_argument("--width", type=int, default=128)
    arguments = parser.parse_args()
    # Scenes of a seed of their own: no generator is trained on them.
    size = dict(height=arguments.height, width=arguments.width)
    training, real = Streets(arguments.scenes, seed=1, augment=True, **size), Streets(200, split="val", **size)
    ending = "" if tuple(size.values()) == (64, 128) else f"_{arguments.height}x{arguments.width}"
    kinds: dict[str, type[Judge | SecondOpinion]] = {"judge": Judge, "second_opinion": SecondOpinion}
    for seed, (name, kind) in enumerate(kinds.items()):
        torch.manual_seed(seed)
        network, started = kind(), time.monotonic()
        train_segmenter(network, training, steps=arguments.steps)
        matrix = confusion(network if isinstance(network, Judge) else network.logits, real)
        seconds, parameters = time.monotonic() - started, sum(p.numel() for p in network.parameters())
        save_weights(network, arguments.out / f"{name}{ending}.safetensors", half=True)
        print(f"{name}: {parameters:,} parameters, {seconds:.0f} s, mIoU {matrix.miou():.3f} (all classes), ", end="")
        print(f"accuracy {matrix.pixel_accuracy():.3f}")
        for label, value in zip(CITYSCAPES.score_names, matrix.iou().tolist()):
            print(f"  {label:14} {value:.3f}", flush=True)


if __name__ == "__main__":
    main()
