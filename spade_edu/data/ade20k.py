"""ADE20K (the scene parsing benchmark) in its published layout, and its outdoor subset.

    ADEChallengeData2016/images/{training,validation}/NAME.jpg
    ADEChallengeData2016/annotations/{training,validation}/NAME.png     0: other, 1 to 150: the classes
    ADEChallengeData2016/sceneCategories.txt                            NAME scene, for each picture

1 to 150 become ids 0 to 149 and 0 becomes "don't care" (150), so that "don't care" is last as in every other data set.
The official SPADE code has a line that means the same, but drops its result (data/ade20k_dataset.py, postprocess):
its networks see the values of the files, and pretrained/official.py reorders for them.
"""

from pathlib import Path

from ..files import ASSETS
from .base import DataError
from .classes import read_classes
from .paired import Pairs, SplitFiles, ids_in, match, photos_in, require_folder, require_pairs

ORDER = (
    "Label channels: the classes (0 to 149), then don't care (150). The authors' released networks have the files' own "
    "values (0 other, 1 to 150) instead; docs/paper-vs-code.md says why."
)
FOLDERS = {"train": "training", "val": "validation"}
LABELS, VALUES = read_classes(ASSETS / "ade20k_classes.txt", name="ADE20K")


class ADE20K(SplitFiles):
    """Photographs of all kinds of scenes with 150 classes; the paper trains at 256x256.

    root: ADEChallengeData2016 or the folder that holds it.
    """

    published = {"train": 20210, "val": 2000}
    labels, label_values = LABELS, VALUES

    def folder(self, root: str | Path | None) -> Path:
        """ADEChallengeData2016."""
        folder = super().folder(root)
        inside = folder / "ADEChallengeData2016"
        return inside if inside.is_dir() else folder

    def find_pairs(self, folder: Path, split: str) -> Pairs:
        """The pairs of a split."""
        part = FOLDERS.get(split, split)
        repair = f"Is {folder} the unpacked ADEChallengeData2016.zip?"
        if (folder / "images" / "ADE").is_dir():
            repair = "This is the full ADE20K, of which only the benchmark is read: ADEChallengeData2016.zip."
        photos = require_folder(folder / "images" / part, f"the {split} photographs of ADE20K", repair)
        labels = require_folder(folder / "annotations" / part, f"the {split} label maps of ADE20K", repair)
        return require_pairs(match(photos_in(photos), ids_in(labels)), str(folder), f"NAME.jpg, NAME.png in {part}")


class ADE20KOutdoor(ADE20K):
    """The outdoor pictures of ADE20K, by the name of their scene.

    The paper takes the subset of SIMS (Qi et al. 2018), of which no list was published. Here a picture is outdoors if
    its scene is one of assets/ade20k_outdoor_scenes.txt; `misc` and other unclear scenes are left out.
    """

    published: dict[str, int] = {}

    def find_pairs(self, folder: Path, split: str) -> Pairs:
        """The pairs of a split whose scene is outdoors."""
        pairs, scenes = super().find_pairs(folder, split), read_scenes(folder)
        outdoor = set((ASSETS / "ade20k_outdoor_scenes.txt").read_text(encoding="utf-8").split())
        chosen = [pair for pair in pairs.complete if scenes.get(pair.name) in outdoor]
        return require_pairs(Pairs(chosen, pairs.incomplete), str(folder), "pictures of outdoor scenes")


def read_scenes(root: Path) -> dict[str, str]:
    """The scene of each picture, by the picture's name. Errors: a DataError where the list is missing or strange."""
    path = root / "sceneCategories.txt"
    if not path.is_file():
        raise DataError(f"{path} is missing: expected the list of scenes that comes with ADEChallengeData2016.zip.")
    rows = [line.split() for line in path.read_text("utf-8", "replace").splitlines() if line.strip()]
    if any(len(row) != 2 for row in rows):
        raise DataError(f"{path}: expected lines of a name and a scene. Unpack ADEChallengeData2016.zip again.")
    return dict(rows)
