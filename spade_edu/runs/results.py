"""A folder of results: one picture for each label map, painted in blocks that a stopped command goes on from."""

import json
from pathlib import Path
from typing import Any

from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm

from .. import distributed
from ..data.base import stack
from ..data.label_maps import LabelMaps
from ..errors import UserError
from ..files import write_whole
from ..generators import Generator
from ..pictures import save_png, to_uint8
from ..sampling import codes_of, generate, noise

NOTE = "test.json"  # in the folder, beside the pictures: what they were painted from


def paint_folder(
    generator: Generator,
    maps: LabelMaps,
    out: Path,
    note: dict,
    *,
    z: Float[Tensor, "1 z"] | None = None,
    encoder: nn.Module | None = None,
    seed: int = 0,
    batch: int = 20,
    truncate: bool = False,
    device: str = "cpu",
) -> int:
    """Write out/NAME.png for each label map; gives how many this process painted.

    note: what the pictures follow from; a folder with the same note goes on. z: a style code for all, else each map's
    is drawn from `seed` and its place, as `evaluate` does; with `encoder` from what it says of the map's photograph.
    truncate: cut grey levels off, as the official test.py. Several processes (torchrun) take a block each in turn.
    Errors: a UserError where the folder holds anything else.
    """
    _claim(out, json.loads(json.dumps(note)))
    blocks, painted = range(0, len(maps), batch)[distributed.rank() :: distributed.processes()], 0
    for start in tqdm(blocks, "paint", disable=None):
        places = range(start, min(start + batch, len(maps)))
        paths = [out / f"{maps.pairs[i].name.rsplit('/', 1)[-1]}.png" for i in places]
        if all(path.exists() for path in paths):
            continue
        options: dict = dict(z=z, encoder=encoder, seed=seed, truncate=truncate, device=device)
        for path, picture in zip(paths, _painted(generator, maps, places, **options)):
            save_png(picture, path)
        painted += len(places)
    return painted


def paint_one(generator: Generator, maps: LabelMaps, out: Path, **options: Any) -> None:
    """Write the picture of the first label map to a file.

    options: those of `paint_folder`: z, encoder, seed, truncate, device.
    """
    (picture,) = _painted(generator, maps, range(1), **options)
    save_png(picture, out)


def _painted(
    generator: Generator,
    maps: LabelMaps,
    places: range,
    *,
    z: Tensor | None = None,
    encoder: nn.Module | None = None,
    seed: int = 0,
    truncate: bool = False,
    device: str = "cpu",
) -> list[Image.Image]:
    sample, seeds = stack([maps[i] for i in places]), [seed + place for place in places]
    if z is not None:
        codes: Tensor | None = z.expand(len(places), -1)
    else:
        codes = noise(generator.z_dim, seeds) if encoder is None else codes_of(encoder, sample.image, seeds)
    images = generate(generator, sample, maps.labels, device, z=codes)
    return [Image.fromarray(picture.cpu().numpy()) for picture in to_uint8(images, truncate=truncate)]


def _claim(out: Path, note: dict) -> None:
    """Take a folder that is empty, or that the same command has begun to fill."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / NOTE
    if not path.exists() and any(out.iterdir()):
        raise UserError(f"{out} holds other files: choose an empty folder, so that no pictures are mixed.")
    try:
        before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else note
        changed = [name for name in note | before if before.get(name) != note.get(name)]
    except (ValueError, AttributeError, TypeError, OSError):
        raise UserError(f"{path} can't be read: choose an empty folder, so that no pictures are mixed.") from None
    if changed:
        raise UserError(
            f"{out} holds pictures with another {changed[0]} ({before.get(changed[0])}, now {note.get(changed[0])}): "
            "choose an empty folder."
        )
    distributed.wait()  # until all have looked
    if distributed.rank() == 0:
        write_whole(path, json.dumps(note, indent=2))
    distributed.wait()
