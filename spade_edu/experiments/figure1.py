"""Figure 1: guided synthesis. Rows are label maps, columns are pictures whose style the encoder reads."""

import torch

from ..data import Sample, stack
from ..pictures import to_uint8
from ..sampling import generate, spread
from .cells import Bench
from .drawing import tile_grid
from .figure9 import styled

MAPS, STYLES = 4, 5


def reproduce(bench: Bench) -> dict:
    """Draw the grid: style pictures on top, label maps at the left, each cell that map in that picture's style.

    `colour`: how far the mean colour of an image is from its style picture's, 0..255, mean over the grid; `other`: the
    same to the other style pictures. Style is carried over where the first is clearly the smaller.
    """
    (generator, encoder), labels, maps = styled(bench), bench.val.labels, spread(bench.val, MAPS)
    style = style_pictures(bench)
    with torch.no_grad():
        codes = encoder(style.image.to(bench.device))[0]
    painted = [generate(generator, maps, labels, bench.device, z=z.expand(len(maps.label), -1)) for z in codes]
    blank = torch.full_like(to_uint8(style.image[0]), 255)
    columns = {"label map / style": [blank, *labels.colourise(maps.label)]}
    for k, images in enumerate(painted):
        name = f"style {k + 1}" if style.style is None else style.style[k]
        columns[name] = [to_uint8(style.image[k]), *to_uint8(images)]
    title = f"Guided synthesis: the top row gives the style ({bench.data}, {bench.steps} steps)"
    tile_grid(columns, bench.out / "figure1.png", title=title)
    colours = torch.stack(painted).cpu().mean(dim=(3, 4))  # (styles, maps, 3)
    distance = 127.5 * (colours[:, None] - style.image.mean(dim=(2, 3))[None, :, None]).abs().mean(dim=(2, 3))
    own = distance.diagonal().mean()
    other = (distance.sum() - distance.trace()) / (distance.numel() - len(distance))
    return {"styles": list(columns)[1:], "colour": round(own.item(), 2), "other": round(other.item(), 2)}


def style_pictures(bench: Bench) -> Sample:
    """One validation picture of each style where the data set names styles (Streets), else a few spread evenly."""
    if bench.val[0].style is None:
        return spread(bench.val, STYLES)
    first: dict[str, Sample] = {}
    for index in range(len(bench.val)):
        sample = bench.val[index]
        first.setdefault(str(sample.style), sample)
    return stack(list(first.values()))


def render(result: dict) -> str:
    """What was measured, and what the paper says."""
    return (
        f"Mean colour: {result['colour']:.1f} of 255 from the own style picture's, {result['other']:.1f} from the "
        "others'.\nPaper, Figure 1: the label map fixes the layout, a style picture the appearance; no numbers. [text]"
    )
