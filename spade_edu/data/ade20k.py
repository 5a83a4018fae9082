"""ADE20K (the scene parsing benchmark) in its published layout, and its outdoor subset.

    ADEChallengeData2016/images/{training,validation}/NAME.jpg
    ADEChallengeData2016/annotations/{training,validation}/NAME.png     0: other, 1 to 150: the classes
    ADEChallengeData2016/sceneCategories.txt                            NAME scene, for each picture

As in the official SPADE code, 1 to 150 become ids 0 to 149 and 0 becomes "don't care" (150).
"""

from pathlib import Path

from .base import DataError
from .folder import ASSETS, read_classes
from .paired import PairedFiles, Pairs, ids_in, match, photos_in, require_folder, require_pairs
from .transforms import JointTransform, paper_load_size

FOLDERS = {"train": "training", "val": "validation"}
LABELS, _VALUES = read_classes(ASSETS / "ade20k_classes.txt", name="ADE20K")


class ADE20K(PairedFiles):
    """Photographs of all kinds of scenes with 150 classes; the paper trains at 256x256.

    root: ADEChallengeData2016 or the folder that holds it. Errors: a DataError where the layout is not there.
    """

    published = {"train": 20210, "val": 2000}

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
        super().__init__(self.find_pairs(_root(Path(root)), split), LABELS, transform, _VALUES, seed)

    def find_pairs(self, root: Path, split: str) -> Pairs:
        """The pairs of a split."""
        folder = FOLDERS.get(split, split)
        repair = f"Is {root} the unpacked ADEChallengeData2016.zip?"
        photos = require_folder(root / "images" / folder, f"the {split} photographs of ADE20K", repair)
        labels = require_folder(root / "annotations" / folder, f"the {split} label maps of ADE20K", repair)
        return require_pairs(match(photos_in(photos), ids_in(labels)), str(root), f"NAME.jpg, NAME.png in {folder}")


class ADE20KOutdoor(ADE20K):
    """The outdoor pictures of ADE20K, by the name of their scene.

    The paper takes the subset of SIMS (Qi et al. 2018), of which no list was published. Here a picture is outdoors if
    its scene is one of assets/ade20k_outdoor_scenes.txt; `misc` and other unclear scenes are left out.
    """

    published: dict[str, int] = {}

    def find_pairs(self, root: Path, split: str) -> Pairs:
        """The pairs of a split whose scene is outdoors."""
        pairs, scenes = super().find_pairs(root, split), read_scenes(root)
        outdoor = set((ASSETS / "ade20k_outdoor_scenes.txt").read_text().split())
        chosen = [pair for pair in pairs.complete if scenes.get(pair.name) in outdoor]
        return require_pairs(Pairs(chosen, pairs.incomplete), str(root), "pictures of outdoor scenes")


def read_scenes(root: Path) -> dict[str, str]:
    """The scene of each picture, by the picture's name. Errors: a DataError where the list is missing or strange."""
    path = root / "sceneCategories.txt"
    if not path.is_file():
        raise DataError(f"{path} is missing: expected the list of scenes that comes with ADEChallengeData2016.zip.")
    rows = [line.split() for line in path.read_text("utf-8", "replace").splitlines() if line.strip()]
    if any(len(row) != 2 for row in rows):
        raise DataError(f"{path}: expected lines of a name and a scene. Unpack ADEChallengeData2016.zip again.")
    return dict(rows)


def _root(root: Path) -> Path:
    inside = root / "ADEChallengeData2016"
    return inside if inside.is_dir() else root
