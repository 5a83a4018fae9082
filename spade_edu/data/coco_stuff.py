"""COCO-Stuff (COCO 2017 photographs, 182 thing and stuff classes) with instance maps.

Three layouts are read, each with PHOTOS/NAME.jpg, LABELS/NAME.png, INSTANCES/NAME.png:
    images/train2017, annotations/train2017, instances/train2017   (the COCO-Stuff page; val2017 alike)
    train2017, stuffthingmaps/train2017, instances/train2017       (as many detection projects have it)
    train_img, train_label, train_inst                             (as the official SPADE code wants it)
In a label map, value v is COCO's category v + 1 and 255 is unlabelled, which becomes the "don't care" id 182.

COCO publishes objects as polygons, not as instance maps. `make_instances` draws them.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Int32
from PIL import Image, ImageDraw

from ..files import ASSETS, write_whole_with
from ..labels import LabelSpace
from .base import DataError
from .classes import read_classes
from .files import read_ids
from .paired import Pair, Pairs, SplitFiles, ids_in, match, photos_in, require_folder, require_pairs

LAYOUTS = (
    ("images/{0}2017", "annotations/{0}2017", "instances/{0}2017"),
    ("{0}2017", "stuffthingmaps/{0}2017", "instances/{0}2017"),
    ("{0}_img", "{0}_label", "{0}_inst"),
)
FIRST_OBJECT = 1000  # instance ids of objects begin here, so that none equals a class id
LABELS, VALUES = read_classes(ASSETS / "coco_stuff_classes.txt", name="COCO-Stuff", instances=True)
LABELS_WITHOUT_INSTANCES = LabelSpace(LABELS.name, LABELS.classes, dont_care=True)


class COCOStuff(SplitFiles):
    """118,287 + 5,000 photographs of everyday scenes; the paper trains at 256x256.

    root: a folder in one of the layouts above.
    """

    published = {"train": 118287, "val": 5000}
    labels, label_values = LABELS, VALUES

    def find_pairs(self, folder: Path, split: str) -> Pairs:
        """The pairs of a split, in any of the layouts."""
        photos, labels, instances = find_layout(folder, split)
        if self.labels.instances:
            repair = f"Make the instance maps: spade-edu data instances --root {folder}"
            require_folder(instances, f"the {split} instance maps of COCO-Stuff", repair)
        pairs = _match(photos, labels, instances if self.labels.instances else None)
        return require_pairs(pairs, str(folder), f"NAME.jpg in {photos.name}, NAME.png in {labels.name}")


def portraits(root: Path, *, edges: bool) -> list[Pair]:
    """The pairs of train_img_portrait, train_label_portrait and train_inst_portrait, which only training reads.

    Nothing published says what lies there; the official code adds them to the others unless --coco_no_portraits.
    Errors: a DataError where there are none.
    """
    photos, labels, instances = (root / f"train_{kind}_portrait" for kind in ("img", "label", "inst"))
    pairs = _match(photos, labels, instances if edges else None)
    found = require_pairs(pairs, str(root), f"NAME.jpg in {photos.name}, NAME.png in {labels.name}")
    return [pair._replace(name=f"portrait/{pair.name}") for pair in found.complete]


def _match(photos: Path, labels: Path, instances: Path | None) -> Pairs:
    return match(photos_in(photos), ids_in(labels), None if instances is None else ids_in(instances))


def find_layout(root: Path, split: str) -> tuple[Path, Path, Path]:
    """The folders of photographs, label maps and instance maps (which may be missing) of a split."""
    for layout in LAYOUTS:
        photos, labels, instances = (root / part.format(split) for part in layout)
        if photos.is_dir() and labels.is_dir():
            return photos, labels, instances
    raise DataError(f"{root}: expected COCO-Stuff in images/{split}2017 and annotations/{split}2017; see docs/data.md.")


def make_instances(root: Path, split: str, progress: Callable[[Iterable], Iterable] = iter) -> int:
    """Draw the instance maps of a split from annotations/instances_SPLIT2017.json; return how many were drawn.

    Maps that exist are kept, so an interrupted call goes on. progress wraps the label files, e.g. tqdm.
    """
    _, labels, instances = find_layout(root, split)
    path = root / "annotations" / f"instances_{split}2017.json"
    if not path.is_file():
        raise DataError(f"{path} is missing: it comes in annotations_trainval2017.zip of cocodataset.org.")
    polygons = read_polygons(path)
    todo = [p for p in sorted(labels.glob("*.png")) if not (instances / p.name).exists()]
    for label in progress(todo):
        drawn = draw_instances(read_ids(label), polygons.get(label.stem, []))
        picture = Image.fromarray(drawn.astype(np.uint16))
        write_whole_with(instances / label.name, partial(picture.save, format="PNG"))
    return len(todo)


def read_polygons(path: Path) -> dict[str, list[list[list[float]]]]:
    """The objects of each picture, by its name: a list of objects, each a list of polygons [x0, y0, x1, y1, ...].

    Crowds (run-length coded, not polygons) are left out, as in the official SPADE script.
    Errors: a DataError where the file holds anything else.
    """
    objects: dict[str, list] = defaultdict(list)
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        names = {image["id"]: Path(image["file_name"]).stem for image in table["images"]}
        for annotation in table["annotations"]:
            if isinstance(annotation["segmentation"], list):
                polygons = [[float(v) for v in points] for points in annotation["segmentation"]]
                objects[names[annotation["image_id"]]].append(polygons)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DataError(
            f"{path}: expected COCO's objects with polygons, found {type(error).__name__} ({error}). "
            "Unpack annotations_trainval2017.zip again."
        ) from None
    return objects


def draw_instances(label: Int32[np.ndarray, "h w"], objects: list[list[list[float]]]) -> Int32[np.ndarray, "h w"]:
    """The label map with object k painted over it as id 1000 + k, in the order of the file.

    So the edges of the result hold both the outlines of things and the borders of stuff, as in the official code
    (whose 8-bit ids 0, 1, 2, ... can meet a class id of the same value and lose an edge).
    """
    canvas = Image.fromarray(label)
    pen = ImageDraw.Draw(canvas)
    for number, polygons in enumerate(objects):
        for points in polygons:
            if len(points) >= 6:
                pen.polygon(points, fill=FIRST_OBJECT + number)
    return np.array(canvas)
