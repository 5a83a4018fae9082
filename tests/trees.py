"""Small data sets written in the published layouts, for tests."""

from pathlib import Path

import numpy as np
from PIL import Image


def noise(seed: int, height: int = 12, width: int = 24, top: int = 256, channels: int | None = None) -> np.ndarray:
    shape = (height, width) if channels is None else (height, width, channels)
    return np.random.default_rng(seed).integers(0, top, shape)


def save(path: Path, array: np.ndarray, mode: str | None = None, **options) -> Path:
    """Write an array as a picture, making the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(array)
    if mode == "P" and picture.mode == "L":
        picture.putpalette(np.random.default_rng(0).integers(0, 256, 768).astype(np.uint8).tobytes())
    elif mode:
        picture = picture.convert(mode)
    picture.save(path, **options)
    return path


def photo(path: Path, seed: int = 0, mode: str | None = None, height: int = 12, width: int = 24, **options) -> Path:
    return save(path, noise(seed, height, width, channels=3).astype(np.uint8), mode, **options)


def ids(path: Path, top: int, seed: int = 0, mode: str | None = None, height: int = 12, width: int = 24) -> Path:
    dtype = np.uint8 if top <= 256 else np.uint16
    return save(path, noise(seed, height, width, top).astype(dtype), mode)


def cityscapes(root: Path, split: str = "train", cities: tuple[str, ...] = ("aachen", "ulm"), each: int = 2) -> Path:
    for c, city in enumerate(cities):
        for i in range(each):
            stem, seed = f"{city}_{i:06d}_000019", 10 * c + i
            photo(root / f"leftImg8bit/{split}/{city}/{stem}_leftImg8bit.png", seed)
            fine = root / f"gtFine/{split}/{city}/{stem}_gtFine"
            ids(Path(f"{fine}_labelIds.png"), 34, seed)
            ids(Path(f"{fine}_instanceIds.png"), 34000, seed)
            photo(Path(f"{fine}_color.png"), seed, "RGBA")
            Path(f"{fine}_polygons.json").write_text('{"objects": []}')
    return root


def camvid_small(root: Path, split: str = "train", count: int = 3) -> Path:
    for i in range(count):
        photo(root / split / "images" / f"0001TP_{i}.jpg", i)
        ids(root / split / "labels" / f"0001TP_{i}.png", 12, i, "P")
    return root


def camvid_segnet(root: Path, split: str = "train", count: int = 3) -> Path:
    for i in range(count):
        photo(root / split / f"0001TP_{i}.png", i)
        ids(root / f"{split}annot" / f"0001TP_{i}.png", 12, i)
    return root


def ade20k(root: Path, scenes: tuple[str, ...] = ("street", "kitchen", "misc", "beach")) -> Path:
    """ADE20K with its oddities: grey and CMYK photographs, a palette PNG, a name without partner."""
    root, lines = root / "ADEChallengeData2016", []
    for split, short in ("training", "train"), ("validation", "val"):
        for i, scene in enumerate(scenes):
            name = f"ADE_{short}_{i + 1:08d}"
            photo(root / "images" / split / f"{name}.jpg", i, (None, "L", "CMYK", None)[i % 4])
            ids(root / "annotations" / split / f"{name}.png", 151, i, "P" if i == 1 else None)
            lines.append(f"{name} {scene}")
    (root / "sceneCategories.txt").write_text("\n".join(lines) + "\n")
    return root.parent


def coco(root: Path, photos: str = "images/val2017", labels: str = "annotations/val2017", count: int = 4) -> Path:
    """COCO-Stuff's photographs and label maps, unlabelled pixels (255) included; no instance maps."""
    for i in range(count):
        photo(root / photos / f"{i:012d}.jpg", i, ("L", "CMYK", None)[i % 3])
        values = noise(i, top=183).astype(np.uint8)
        save(root / labels / f"{i:012d}.png", np.where(values == 182, 255, values).astype(np.uint8))
    return root
