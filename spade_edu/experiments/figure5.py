"""Figures 5 to 8: the systems beside each other on label maps of one data set (5: COCO-Stuff, 6: ADE20K outdoor and
Cityscapes, 7: Flickr Landscapes, 8: more of COCO-Stuff). The pictures are those of Table 1's cells of seed 0."""

from ..pictures import to_uint8
from .cells import Bench
from .drawing import tile_grid
from .tables import rows_of

ROWS = 5  # label maps in the figure, not chosen: spread evenly over the validation split


def reproduce(bench: Bench) -> dict:
    """Train what is missing of Table 1 (seed 0) and draw: label, ground truth, then a column a system."""
    sample = bench.samples()
    columns = {"Label": bench.val.labels.colourise(sample.label), "Ground truth": to_uint8(sample.image)}
    for name, row in rows_of(1).items():
        cell = bench.cell(row, 0)
        bench.result(cell)
        columns[name] = bench.painted(cell)
    title = f"{bench.data}, {bench.steps} steps each; label maps not chosen"
    tile_grid({name: list(tiles[:ROWS]) for name, tiles in columns.items()}, bench.out / "figure5.png", title=title)
    return {"columns": list(columns), "scenes": list(sample.name[:ROWS])}


def render(result: dict) -> str:
    """What is in the picture, and what the paper says."""
    return (
        f"Columns: {', '.join(result['columns'])}. Paper, Figures 5 to 8: SPADE's images have fewer visible artefacts; "
        "SIMS's look good on a small data set but often deviate from the label map. [text]"
    )
