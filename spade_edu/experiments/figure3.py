"""Figure 3: uniform label maps. pix2pixHD paints the same whatever the class says; SPADE knows the class.

In the paper the classes are sky and grass; here all classes that occur are measured, and the most frequent are drawn.
"""

import torch

from ..evaluation.uniform import class_ids, colour_difference, uniform_images
from ..pictures import to_uint8
from ..runs.loading import load_networks
from .cells import Bench
from .drawing import tile_grid

SYSTEMS = {"pix2pixHD": "pix2pixHD", "SPADE": "decoder w/ SPADE"}
DRAWN = ("sky", "vegetation", "road", "sidewalk", "building", "car")  # where the data set has them, else the first six


def reproduce(bench: Bench) -> dict:
    """Train both (Table 3's cells of seed 0), paint a uniform map of each class, measure and draw.

    `colour_difference`: mean over pairs of classes of the difference of the outputs' mean colours, 0..255.
    """
    labels, size = bench.val.labels, (bench.base.height, bench.base.width)
    ids = class_ids(bench.val)
    images, figures = {}, {}
    for name, row in SYSTEMS.items():
        cell = bench.cell(row, 0)
        bench.result(cell)
        generator = load_networks(bench.folder(cell), labels).generator
        images[name] = uniform_images(generator, labels, ids, *size)
        figures[name] = round(colour_difference(images[name]), 2)
    names = [labels.names[i] for i in ids]
    shown = [names.index(name) for name in DRAWN if name in names] or list(range(min(6, len(ids))))
    swatch = labels.colourise(torch.tensor([ids[k] for k in shown])[:, None, None].expand(-1, *size))
    painted = [to_uint8(images[name][shown]) for name in SYSTEMS]
    tile_grid(
        {names[k]: list(tiles) for k, *tiles in zip(shown, swatch, *painted)},
        bench.out / "figure3.png",
        rows=["label map", *(f"{name} ({figures[name]:.1f})" for name in SYSTEMS)],
        title=f"{bench.data}, {bench.steps} steps. In brackets: how far apart the classes' mean colours are, 0 to 255",
    )
    return {"classes": names, "colour_difference": figures}


def render(result: dict) -> str:
    """What was measured, and what the paper says."""
    lines = [f"{name:10} {value:6.1f} of 255" for name, value in result["colour_difference"].items()]
    return "\n".join([
        f"Mean difference of the mean colours between {len(result['classes'])} uniform label maps:", *lines,
        "Paper, Figure 3 and section 3: pix2pixHD paints the same for sky and grass, for instance norm turns the",
        "constant map after the first convolution into zeros; SPADE's modulation puts the class back. [text]",
    ])  # fmt: skip
