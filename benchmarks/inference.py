"""One image from a whole generator, plain against fast, in alternation: `python benchmarks/inference.py --json -`.

The label map is new in each step, so finding its windows is part of the time. Without --data it is a rendered street;
with it, photographs' label maps in CamVid's layout.
"""

import argparse
import copy
import time
from pathlib import Path
from statistics import median

import spade_edu  # noqa: F401  # before torch: it says how torch's threads wait

# isort: split
import torch
from layer import label_maps
from output import add_json, give

from spade_edu.fast.spade import LabelPatterns
from spade_edu.fast.speed_up import speed_up
from spade_edu.generators import SPADEGenerator, latent_size
from spade_edu.initialisation import init_spade
from spade_edu.normalization import BatchNorm2d


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder in CamVid's layout")
    for name, default in dict(height=256, width=512, batch=1, ngf=64, steps=5).items():
        parser.add_argument(f"--{name}", type=int, default=default)
    add_json(parser)
    arguments = parser.parse_args()
    segmaps = label_maps(arguments.data, arguments.batch, arguments.height, arguments.width)
    plain = generator_at_rest(segmaps, arguments.ngf)
    generators = {"plain": plain, "fast": speed_up(copy.deepcopy(plain))}
    seconds, images = {name: [] for name in generators}, {}
    for _ in range(arguments.steps + 1):
        for name, generator in generators.items():
            segmap = segmaps.clone()
            begin = time.perf_counter()
            with torch.no_grad():
                images[name] = generator(segmap)
            seconds[name].append(time.perf_counter() - begin)
    pairs = list(zip(seconds["plain"], seconds["fast"]))[1:]  # the first one warms up
    result = {name: median(values[1:]) for name, values in seconds.items()}
    result |= dict(
        times_faster=median(a / b for a, b in pairs),
        largest_difference=float((images["plain"] - images["fast"]).abs().max()),
        shares=_shares(segmaps, arguments),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
    )
    give(result, arguments.json)


@torch.no_grad()
def generator_at_rest(segmap: torch.Tensor, ngf: int) -> SPADEGenerator:
    """New weights, with the running statistics of one pass, so that activations keep a sensible size."""
    generator = init_spade(SPADEGenerator(segmap.shape[1], latent=latent_size(segmap.shape[-2:]), ngf=ngf))
    for layer in generator.modules():
        if isinstance(layer, BatchNorm2d):
            layer.momentum = 1.0
    generator.train()(segmap)
    return generator.eval()


def _shares(segmaps: torch.Tensor, arguments: argparse.Namespace) -> dict[str, list[float]]:
    """Distinct 3x3 and 5x5 windows per pixel, by size."""
    patterns, found = LabelPatterns(always=True), {}
    for factor in (1, 2, 4, 8, 16):
        size = (arguments.height // factor, arguments.width // factor)
        plan = patterns.plan(segmaps, size, 3, 128)
        shares = [len(conv.products) / len(plan.index) for conv in (plan.hidden, plan.output)]
        found[f"{size[0]}x{size[1]}"] = [round(share, 2) for share in shares]
    return found


if __name__ == "__main__":
    main()
