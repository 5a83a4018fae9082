"""How much of a picture is a pattern fixed to the pixel grid: `python benchmarks/stripes.py --names spade --json -`.

Nearest-neighbour doubling and transposed convolutions know a pixel's place in the grid (its row and column modulo 2, 4,
8), and streets don't. So all images are laid on top of each other, modulo a period: streets average out, a stripe
or a dotted grain stays. A figure is its share of the variance of a class's brightness within `period` pixels; that of
renders beside it is what chance leaves.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Integer
from output import add_json, give
from torch import Tensor
from torch.nn import functional as F

from spade_edu.data.base import Dataset, batches
from spade_edu.data.streets import Streets
from spade_edu.generators import Generator
from spade_edu.labels import CITYSCAPES
from spade_edu.runs.loading import load_networks, load_stored
from spade_edu.sampling import generate, noise

PERIODS = (2, 4, 8)
CLASSES = ("building", "car", "road", "sky")


def pattern_share(images: Float[Tensor, "n 3 h w"], labels: Integer[Tensor, "n h w"], label: int, period: int) -> float:
    """sum_phase n mean(phase)^2 / sum x^2, x: brightness less its mean over period x period; a share of 0 to 1."""
    bright = images.mean(1, keepdim=True)
    near = F.avg_pool2d(bright, period + 1, 1, period // 2, count_include_pad=False)
    # Edges between classes would drown the rest, so a pixel counts where all around it is of its class.
    around = F.avg_pool2d((labels == label).float()[:, None], period + 1, 1, period // 2, count_include_pad=False)
    x, inside = (bright - near)[:, 0], around[:, 0] > 0.999
    rows, columns = (torch.arange(size) % period for size in x.shape[-2:])
    phase = (rows[:, None] * period + columns).expand_as(inside)[inside]
    count = torch.bincount(phase, minlength=period**2).clamp(min=1)
    total = torch.bincount(phase, x[inside].double(), minlength=period**2)
    return float((total.square() / count).sum() / x[inside].double().square().sum().clamp(min=1e-12))


def shares(images: Float[Tensor, "n 3 h w"], labels: Integer[Tensor, "n h w"]) -> dict[str, dict[str, float]]:
    """The share of each period in each class of CLASSES: {"building": {"2": ..., "4": ...}, ...}."""
    ids = {name: CITYSCAPES.names.index(name) for name in CLASSES}
    return {
        name: {str(period): round(pattern_share(images, labels, label, period), 4) for period in PERIODS}
        for name, label in ids.items()
    }


def painted(generator: Generator, scenes: Dataset) -> Float[Tensor, "n 3 h w"]:
    """An image for each scene, its style drawn."""
    images: list[Tensor] = []
    for sample in batches(scenes):
        codes = noise(generator.z_dim, range(len(images), len(images) + len(sample.label)))
        images += generate(generator, sample, scenes.labels, z=codes)
    return torch.stack(images)


def measure(generators: dict[str, Generator], scenes: Dataset) -> dict:
    """The shares of renders and of what each generator paints for the same label maps."""
    real = [(sample.image, sample.label) for sample in batches(scenes)]
    images, labels = (torch.cat(part) for part in zip(*real))
    rows = {"renders": shares(images, labels)}
    return rows | {name: shares(painted(generator, scenes), labels) for name, generator in generators.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", nargs="*", default=[], help="stored networks: spade, pix2pixhd, pix2pixhd_pp")
    parser.add_argument("--runs", nargs="*", type=Path, default=[], help="run folders")
    for name, default in dict(scenes=200, height=64, width=128).items():
        parser.add_argument(f"--{name}", type=int, default=default)
    add_json(parser)
    asked = parser.parse_args(arguments)
    scenes = Streets(asked.scenes, split="val", height=asked.height, width=asked.width)
    generators = {name: load_stored(name).generator for name in asked.names}
    generators |= {str(folder): load_networks(folder, CITYSCAPES).generator for folder in asked.runs}
    give({"scenes": asked.scenes, "share": measure(generators, scenes)}, asked.json)


if __name__ == "__main__":
    main()
