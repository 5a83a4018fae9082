"""Flickr Landscapes was never released: this reads your own landscape photographs in its place.

    ROOT/{train,val}/images/NAME.jpg, ROOT/{train,val}/labels/NAME.png

The label maps hold COCO-Stuff's values (0 to 181, 255 unlabelled), as the paper's did, which DeepLabV2 made.
"""

from pathlib import Path

from .coco_stuff import LABELS_WITHOUT_INSTANCES, VALUES
from .paired import PairedFiles, Pairs, ids_in, match, photos_in, require_folder, require_pairs
from .transforms import JointTransform, paper_load_size


class FlickrLandscapes(PairedFiles):
    """Photographs with label maps in COCO-Stuff's classes, without instances; the paper trains at 256x256.

    The paper collected 41,000 photographs and kept 1,000 of them for validation (section 4).
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        height: int = 256,
        width: int = 256,
        augment: bool = False,
        seed: int = 0,
    ):
        transform = JointTransform(height, width, paper_load_size(height, width), augment)
        super().__init__(_pairs(Path(root), split), LABELS_WITHOUT_INSTANCES, transform, VALUES, seed)


def _pairs(root: Path, split: str) -> Pairs:
    repair = f"Put photographs in {root / split / 'images'} and their label maps in {root / split / 'labels'}."
    photos = require_folder(root / split / "images", "landscape photographs", repair)
    labels = require_folder(root / split / "labels", "their label maps", repair)
    return require_pairs(match(photos_in(photos), ids_in(labels)), str(root), "NAME.jpg, NAME.png")
