"""Look at Streets: `python -m spade_edu.data.streets --sheet docs/figures/streets.png` draws a sheet of scenes."""

import argparse

import numpy as np
import torch
from PIL import Image

from ...labels import CITYSCAPES
from .dataset import STYLES, render


def sheet(seed: int, height: int, width: int, rows: int = 4) -> Image.Image:
    """Five columns, one a style: `rows` rows of streets, and under the last its label maps."""
    strips = []
    for row in range(rows):
        scenes = [render(seed, row * 5 + k, height, width, style) for k, style in enumerate(STYLES)]
        strips.append(
            np.hstack([np.pad(scene.image, ((2, 2), (2, 2), (0, 0)), constant_values=255) for scene in scenes])
        )
    colours = [CITYSCAPES.colourise(torch.from_numpy(scene.label)).numpy() for scene in scenes]
    strips.append(np.hstack([np.pad(c, ((2, 2), (2, 2), (0, 0)), constant_values=255) for c in colours]))
    return Image.fromarray(np.vstack(strips))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sheet", required=True, help="file to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--height", type=int, default=128)
    options = parser.parse_args()
    sheet(options.seed, options.height, 2 * options.height).save(options.sheet)
