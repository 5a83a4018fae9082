"""A resized copy of a data set in one archive, with the same names, so that the same reader reads it.

Photographs are resized as the reader does it (bicubic, antialiased), ids by nearest neighbour. What was a PNG stays
one, so at the packed size the copy gives the very same samples; JPEG photographs are stored as JPEG of quality 95.
"""

import io
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32
from PIL import Image

from ..files import write_whole_with
from .base import DataError
from .catalogue import READERS, choose
from .classes import CLASS_FILES
from .files import read_ids
from .paired import Pair, PairedFiles
from .transforms import resize_ids

SPLITS = ("train", "val")
TABLES = (*CLASS_FILES, "sceneCategories.txt")  # what readers want beside the pictures


def pack(
    name: str,
    out: Path,
    root: str | None = None,
    *,
    height: int | None,
    width: int | None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> tuple[int, int]:
    """Write the splits of a data set as a tar archive; return the number of pairs and the bytes of the archive.

    height, width None: the size that training loads (256x512 for Cityscapes, 286x286 for ADE20K and COCO-Stuff).
    progress wraps the pairs, e.g. tqdm. The archive is written whole or not at all.
    """
    chosen, folder, _ = choose(name.lower(), root)
    if folder is None:  # of Streets alone
        raise DataError(f"{name} has no files to pack. Write Streets at the size you want: spade-edu data make")
    datasets = [READERS[chosen](folder, split) for split in SPLITS]
    loaded = datasets[0].transform.loaded
    size = (height or loaded[0], width or loaded[1])
    pairs = [(dataset, pair) for dataset in datasets for pair in dataset.pairs]
    write_whole_with(out, lambda part: _write(part, folder, progress(pairs), size))
    return len(pairs), out.stat().st_size


def _write(archive: Path, folder: Path, pairs: Iterable[tuple[PairedFiles, Pair]], size: tuple[int, int]) -> None:
    with tarfile.open(archive, "w") as tar:
        for path in _tables(folder):
            _add(tar, path.relative_to(folder), path.read_bytes())
        for dataset, pair in pairs:
            _add_pair(tar, dataset, pair, folder, size)


def _tables(folder: Path) -> Iterable[Path]:
    inner = [p for p in folder.iterdir() if p.is_dir()]
    return [d / name for d in (folder, *inner) for name in TABLES if (d / name).is_file()]


def _add_pair(tar: tarfile.TarFile, dataset: PairedFiles, pair: Pair, folder: Path, size: tuple[int, int]) -> None:
    height, width = size
    values = read_ids(pair.label)
    photo = dataset.photo(pair, values.shape).resize((width, height), Image.Resampling.BICUBIC)
    name = pair.photo.relative_to(folder)
    if name.suffix.lower() in (".jpg", ".jpeg"):
        _add(tar, name, _encode(photo, "JPEG", quality=95))
    else:
        _add(tar, name.with_suffix(".png"), _encode(photo, "PNG"))
    maps = {pair.label: values}
    if pair.instance is not None:
        maps[pair.instance] = _in_16_bits(read_ids(pair.instance), pair.instance)
    for path, ids in maps.items():
        picture = _as_picture(resize_ids(ids, height, width))
        _add(tar, path.relative_to(folder).with_suffix(".png"), _encode(picture, "PNG"))


def _in_16_bits(ids: Int32[np.ndarray, "h w"], path: Path) -> Int32[np.ndarray, "h w"]:
    """Numbers of objects that a PNG can hold: the same ones, or else 0, 1, 2, ... in their order."""
    if ids.min() >= 0 and ids.max() < 2**16:
        return ids
    found, numbers = np.unique(ids, return_inverse=True)
    if len(found) > 2**16:
        raise DataError(f"{path}: {len(found):,} objects are more than a PNG can tell apart (65,536).")
    return numbers.reshape(ids.shape).astype(np.int32)


def _as_picture(ids: Int32[np.ndarray, "h w"]) -> Image.Image:
    return Image.fromarray(ids.astype(np.uint8 if ids.max() < 256 else np.uint16))


def _encode(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: Path, content: bytes) -> None:
    entry = tarfile.TarInfo(name.as_posix())
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
