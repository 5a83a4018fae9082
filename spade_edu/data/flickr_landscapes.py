"""Flickr Landscapes was never released: this reads your own landscape photographs in its place.

    ROOT/{train,val}/images/NAME.jpg, ROOT/{train,val}/labels/NAME.png

The label maps hold COCO-Stuff's values (0 to 181, 255 unlabelled), as the paper's did, which DeepLabV2 made.
"""

from pathlib import Path

from .coco_stuff import LABELS_WITHOUT_INSTANCES, VALUES
from .paired import Pairs, SplitFiles, ids_in, match, photos_in, require_folder, require_pairs


class FlickrLandscapes(SplitFiles):
    """Photographs with label maps in COCO-Stuff's classes, without instances; the paper trains at 256x256.

    The paper collected 41,000 photographs and kept 1,000 of them for validation (section 4).
    """

    labels, label_values = LABELS_WITHOUT_INSTANCES, VALUES

    def find_pairs(self, folder: Path, split: str) -> Pairs:
        """The pairs of a split."""
        images, maps = folder / split / "images", folder / split / "labels"
        repair = f"Put photographs in {images} and their label maps in {maps}."
        photos = require_folder(images, "landscape photographs", repair)
        labels = require_folder(maps, "their label maps", repair)
        return require_pairs(match(photos_in(photos), ids_in(labels)), str(folder), "NAME.jpg, NAME.png")
