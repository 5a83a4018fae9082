"""Where stripes, dotted grain and bright noise come from: the stored networks' trainings again, one change at a time.

    python benchmarks/blemishes.py --out FOLDER         about an hour on one quiet core; goes on where it was stopped
    python benchmarks/blemishes.py --untrained --json - nothing is trained: what the layers' shapes alone do to the grid

`share` is stripes.py's; `saturated` is the share of images with a pixel where tanh is within 0.0001 of 1 or -1: no
gradient comes back from there.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from output import add_json, give
from stripes import painted, shares
from torch import Tensor, nn

from spade_edu.blocks import replace_modules
from spade_edu.data.base import Dataset, batches
from spade_edu.data.streets import Streets
from spade_edu.experiments.demo import model_config
from spade_edu.files import write_whole
from spade_edu.generators import Generator
from spade_edu.labels import CITYSCAPES
from spade_edu.models import build
from spade_edu.presets import preset
from spade_edu.runs.loading import load_networks
from spade_edu.runs.run import Run

LONGER, SLOWER = dict(epochs=8, epochs_decay=4), dict(lr=4e-4)
CHANGES: dict[str, dict[str, dict]] = {
    "spade": {
        "as stored": {},
        "rate 4e-4": SLOWER,
        "3,000 steps": LONGER,
        "no spectral norm": dict(spectral=False),
        "no perceptual loss": dict(lambda_vgg=0.0),
    },
    "pix2pixhd_pp": {
        "as stored": {},
        "rate 4e-4": SLOWER,
        "3,000 steps": LONGER,
        "instance norm": dict(norm="instance"),
    },
    "pix2pixhd": {"as stored": {}, "rate 4e-4": SLOWER, "3,000 steps": LONGER},
}


def blemishes(generator: Generator, scenes: Dataset) -> dict[str, Any]:
    """Pattern shares and saturated images of what a generator paints."""
    images, labels = painted(generator, scenes), torch.cat([sample.label for sample in batches(scenes)])
    saturated = images.abs().amax((1, 2, 3)) > 0.9999
    return {"share": shares(images, labels), "saturated": round(float(saturated.float().mean()), 4)}


class DoubleThenConvolve(nn.Module):
    """What can stand for a transposed convolution: nearest-neighbour or bilinear doubling, then 3x3."""

    def __init__(self, layer: nn.ConvTranspose2d, mode: str):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Upsample(scale_factor=2, mode=mode),
            nn.Conv2d(layer.in_channels, layer.out_channels, 3, padding=1, padding_mode="reflect"),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def untrained(scenes: Dataset) -> dict[str, Any]:
    """The shares of networks as they start, and of pix2pixHD with other ways of doubling."""
    rows = {}
    for name in ("spade", "pix2pixhd"):
        networks = build(preset("cpu", name, data="streets", fast=False), CITYSCAPES)
        rows[name] = blemishes(networks.generator, scenes)
    for mode in ("nearest", "bilinear"):
        generator = build(preset("cpu", "pix2pixhd", data="streets", fast=False), CITYSCAPES).generator
        replace_modules(generator, nn.ConvTranspose2d, lambda layer, mode=mode: DoubleThenConvolve(layer, mode))
        rows[f"pix2pixhd, {mode} doubling, then 3x3"] = blemishes(generator, scenes)
    return rows


def trained(out: Path, changes: dict[str, dict[str, dict]], scenes: Dataset, **shorter: Any) -> list[dict]:
    """Train and measure what out/blemishes.json doesn't hold yet."""
    file = out / "blemishes.json"
    rows = json.loads(file.read_text(encoding="utf-8"))["rows"] if file.exists() else []
    plan = [(name, title, change) for name, titles in changes.items() for title, change in titles.items()]
    for number, (name, title, change) in list(enumerate(plan))[len(rows) :]:
        config, folder = model_config(name, "cpu", 0, **change | shorter), out / f"blemish_{number}"
        run = Run(folder, config, Streets(config.images, augment=True), Streets(8, split="val"))
        run.train(progress=False)
        row = {"model": name, "change": title, "steps": run.step}
        rows.append(row | blemishes(load_networks(folder, CITYSCAPES).generator, scenes))
        write_whole(file, json.dumps({"scenes": len(scenes), "rows": rows}, indent=2) + "\n")
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/blemishes"))
    parser.add_argument("--untrained", action="store_true")
    parser.add_argument("--scenes", type=int, default=200)
    add_json(parser)
    asked = parser.parse_args(arguments)
    scenes = Streets(asked.scenes, split="val")
    if asked.untrained:
        give({"scenes": asked.scenes, "rows": untrained(scenes)}, asked.json)
    else:
        give({"scenes": asked.scenes, "rows": trained(asked.out, CHANGES, scenes)}, asked.json)


if __name__ == "__main__":
    main()
