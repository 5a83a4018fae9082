"""Which styles do draws from N(0, 1) reach? `python benchmarks/style_draws.py --json -`, or with --run FOLDER.

A small classifier of Streets' five styles is trained on renders (2 minutes with rendering), tried on renders that it
never saw, and then names the style of each draw: draw i paints scene i with the code of seed i.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from output import add_json, give
from torch import Tensor, nn
from torch.nn import functional as F

from spade_edu.data.base import Dataset, batches
from spade_edu.data.streets import STYLES, Streets
from spade_edu.generators import Generator
from spade_edu.labels import CITYSCAPES
from spade_edu.runs.loading import load_networks, load_stored
from spade_edu.sampling import generate, noise

UNSURE = 0.8  # a draw whose likeliest style has less than this is between styles


class StyleClassifier(nn.Module):
    """Image (n, 3, h, w) in [-1, 1] -> logits (n, 5): the image at 4x8, one hidden layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3 * 4 * 8, 64), nn.ReLU(), nn.Linear(64, len(STYLES)))

    def forward(self, image: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 5"]:
        return self.layers(F.adaptive_avg_pool2d(image, (4, 8)).flatten(1))


def looks(scenes: Dataset) -> tuple[Float[Tensor, "n 3 4 8"], Int64[Tensor, " n"]]:
    """Small images and style numbers of a data set."""
    images, styles = [], []
    for sample in batches(scenes):
        images.append(F.adaptive_avg_pool2d(sample.image, (4, 8)))
        styles += [STYLES.index(style) for style in sample.style or ()]
    return torch.cat(images), torch.tensor(styles)


def train_classifier(scenes: Dataset, steps: int = 500) -> StyleClassifier:
    """Train on renders, all of them in each step."""
    torch.manual_seed(0)
    images, styles = looks(scenes)
    network = StyleClassifier()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for _ in range(steps):
        loss = F.cross_entropy(network(images), styles)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.requires_grad_(False)


def accuracy(network: StyleClassifier, scenes: Dataset) -> float:
    """Share of renders whose style is named rightly."""
    images, styles = looks(scenes)
    return float((network(images).argmax(1) == styles).float().mean())


def draws(network: StyleClassifier, generator: Generator, scenes: Dataset) -> dict:
    """The share of each style among one draw a scene, the least of them, and the share that is between styles."""
    likely: list[Tensor] = []
    for sample in batches(scenes):
        codes = noise(generator.z_dim, range(len(likely), len(likely) + len(sample.label)))
        likely += network(generate(generator, sample, scenes.labels, z=codes)).softmax(1)
    named = Counter(STYLES[int(p.argmax())] for p in likely)
    share = {style: round(named[style] / len(likely), 4) for style in STYLES}
    between = sum(float(p.max()) < UNSURE for p in likely) / len(likely)
    return {"draws": len(likely), "share": share, "least": min(share.values()), "between": round(between, 4)}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="a run folder; without it the stored SPADE")
    for name, default in dict(draws=500, training=1000, height=64, width=128).items():
        parser.add_argument(f"--{name}", type=int, default=default)
    add_json(parser)
    asked = parser.parse_args(arguments)
    size = dict(height=asked.height, width=asked.width)
    generator = (load_networks(asked.run, CITYSCAPES) if asked.run else load_stored("spade")).generator
    scenes = Streets(asked.draws, split="val", **size)
    network = train_classifier(Streets(asked.training, **size))
    found = draws(network, generator, scenes)
    give({"accuracy_on_renders": round(accuracy(network, scenes), 4)} | found, asked.json)


if __name__ == "__main__":
    main()
