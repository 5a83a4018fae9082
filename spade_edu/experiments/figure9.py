"""Figure 9: many pictures of one label map, from a SPADE generator that was trained with the style encoder."""

import torch

from ..encoder import StyleEncoder
from ..evaluation.diversity import diversity, perceptual_space
from ..generators import Generator
from ..pictures import to_uint8
from ..runs.loading import load_networks
from ..sampling import generate, spread
from .cells import Bench
from .drawing import tile_grid

MAPS, DRAWN = 4, 5  # label maps (rows), styles of each (columns)


def styled(bench: Bench) -> tuple[Generator, StyleEncoder]:
    """Generator and encoder of SPADE with style (seed 0), trained if they are not there yet."""
    cell = bench.cell("decoder w/ SPADE", 0, style=True)
    bench.result(cell)
    generator, _, encoder = load_networks(bench.folder(cell), bench.val.labels).to(bench.device)
    assert encoder is not None  # as style is set
    return generator, encoder


def reproduce(bench: Bench) -> dict:
    """Draw label maps (rows) with z from N(0, 1) (columns), one z a column; measure how much they differ.

    `diversity`: as evaluation/diversity.py defines it. `code_std`: standard deviation of the codes that the encoder
    gives real pictures, over pictures, mean over dimensions; 1 would fit the N(0, 1) that z is drawn from.
    """
    (generator, encoder), labels, sample = styled(bench), bench.val.labels, spread(bench.val, MAPS)
    codes = torch.randn(DRAWN, encoder.z_dim, generator=torch.Generator().manual_seed(0))
    drawn = [generate(generator, sample, labels, bench.device, z=z.expand(len(sample.label), -1)) for z in codes]
    columns = {"Label": labels.colourise(sample.label), "Ground truth": to_uint8(sample.image)}
    columns |= {f"z {i + 1}": to_uint8(images) for i, images in enumerate(drawn)}
    title = f"One label map, z from N(0, 1) ({bench.data}, {bench.steps} steps)"
    tile_grid({name: list(tiles) for name, tiles in columns.items()}, bench.out / "figure9.png", title=title)
    space = perceptual_space(torch.device(bench.device))
    each = [diversity(torch.stack(images), label.to(bench.device), space.maps, labels.num_ids).mean
            for label, *images in zip(sample.label, *drawn)]  # fmt: skip
    with torch.no_grad():
        mu = encoder(spread(bench.val, 50).image.to(bench.device))[0]
    return {
        "diversity": round(sum(each) / len(each), 4),
        "diversity_features": space.name,
        "code_std": round(mu.std(0).mean().item(), 3),
    }


def render(result: dict) -> str:
    """What was measured, and what the paper says."""
    return (
        f"Diversity {result['diversity']:.4f} (features: {result['diversity_features']}). Codes of real pictures "
        f"spread by {result['code_std']:.2f}, z by 1: the wider they are, the more z stays near the middle.\n"
        "Paper, Figure 9: several images of one label map by sampling z; no numbers. [text]"
    )
