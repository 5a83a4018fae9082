"""What a run was trained on: its classes and its pictures, kept in data.json and in each checkpoint.

Names alone don't tell a label map with the same ids and another meaning; number, names and sizes of the files don't
tell all changes of pictures, but every one that makes a run end early or on other data.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ..checkpoints import checkpoints
from ..data.base import Dataset
from ..data.paired import PairedFiles, hash_of_names, hash_of_sizes, values_of_ids
from ..errors import UserError
from ..files import write_whole
from ..labels import LabelSpace

FILE = "data.json"
CHANGED = "--data-changed"  # the option of `spade-edu train` that takes a difference over


class Identity(NamedTuple):
    """What tells data from other data under the same settings. None: an earlier version didn't note it.

    pictures: how many. names, sizes: hashes of the names and sizes of their files. classes, colours, values: by id, the
    name ("don't care" last), the colour, and the pixel value in label files. edges: whether instance edges are fed.
    """

    pictures: int | None = None
    names: str | None = None
    sizes: str | None = None
    classes: list[str] | None = None
    colours: list[list[int]] | None = None
    values: list[int] | None = None
    edges: bool | None = None


def identity_of(dataset: Dataset) -> Identity:
    """The identity of a data set; rendered pictures have neither names nor sizes."""
    pairs = dataset.pairs if isinstance(dataset, PairedFiles) else []
    table = values_of_ids(dataset.label_values) if isinstance(dataset, PairedFiles) else None
    names, sizes = hash_of_names(pair.name for pair in pairs), hash_of_sizes(pairs)
    return Identity(len(dataset), names, sizes, values=table)._replace(**_meaning(dataset.labels))


def _meaning(labels: LabelSpace) -> dict[str, Any]:
    colours = [list(c.colour) for c in labels.classes]
    return {"classes": list(labels.names), "colours": colours, "edges": labels.instances}


def read_identity(folder: Path) -> Identity:
    """What a run folder notes in data.json, else in its newest checkpoint; of an earlier version's, as far as noted."""
    with suppress(OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return _from_json(json.loads((folder / FILE).read_text(encoding="utf-8")))
    with suppress(OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        newest = checkpoints(folder / "checkpoints")[-1]
        return _from_json(json.loads((newest / "state.json").read_text(encoding="utf-8"))["data"])
    return Identity()


def _from_json(content: dict[str, Any]) -> Identity:
    noted = Identity(**{name: content.get(name) for name in Identity._fields})
    classes = noted.classes and [str(name) for name in noted.classes]
    return noted._replace(classes=classes, values=noted.values and [int(value) for value in noted.values])


def write_identity(folder: Path, identity: Identity) -> None:
    """Note in a run folder what it is trained on."""
    write_whole(folder / FILE, json.dumps(identity._asdict()))


def require_same_data(folder: Path, now: Identity, *, changed: bool = False, say: bool = True) -> None:
    """Compare data with what the run in a folder was begun on. changed: a difference is printed and taken over.

    say: print what stops nothing, such as other colours.
    Errors: a UserError that names the difference.
    """
    before = read_identity(folder)
    difference = _other_classes(before, now) or _other_values(before, now) or _other_pictures(before, now)
    if difference and not changed:
        option = f" If that is meant, {CHANGED} goes on with the data as it is now." if _fit(before, now) else ""
        raise UserError(
            f"{folder} holds a run {difference}: bring back the data that it was begun on, or choose another --out."
            f"{option}"
        )
    if difference and say:
        print(f"{folder} holds a run {difference}: taken over, as {CHANGED} says. Epochs are counted by the new data.")
    if say:
        _say_colours(folder, before, now)


def require_same_classes(folder: Path, labels: LabelSpace) -> None:
    """Compare the classes of data that a run's networks are used on with those that they were trained with.

    Errors: a UserError that names the first difference.
    """
    before, now = read_identity(folder), Identity(**_meaning(labels))
    difference = _other_classes(before, now)
    if difference:
        option = f" If they were only renamed, `spade-edu train` with {CHANGED} takes the new names over."
        raise UserError(
            f"{folder} holds a run {difference}: give it data with the classes in {folder / FILE}."
            f"{option if _fit(before, now) else ''}"
        )
    _say_colours(folder, before, now)


def note_classes(folder: Path, labels: LabelSpace) -> None:
    """Note the classes of a run that an earlier version trained, once its weights have fitted them, and say so."""
    before = read_identity(folder)
    if before.classes is None:
        print(f"{folder}: the version that trained it noted no classes. Those of {labels.name} fit and are noted now.")
        with suppress(OSError):  # a folder that may only be read goes on working
            write_identity(folder, before._replace(**_meaning(labels)))


def _fit(before: Identity, now: Identity) -> bool:
    """Whether the networks of one take the label channels of the other."""
    return before.edges == now.edges and len(before.classes or ()) == len(now.classes or ())


def _other_classes(before: Identity, now: Identity) -> str:
    if before.classes is None or now.classes is None:  # an earlier version's
        return ""
    added = [name for name in now.classes if name not in before.classes]
    gone = [name for name in before.classes if name not in now.classes]
    if len(before.classes) != len(now.classes):
        named = "".join(f", {word}: {names[0]!r:.40}" for word, names in (("new", added), ("gone", gone)) if names)
        return f"with {len(before.classes)} classes, now there are {len(now.classes)}{named}"
    for number, (old, new) in enumerate(zip(before.classes, now.classes)):
        if old != new:
            return f"whose class {number} is {old!r:.40}, now it is {new!r:.40}"
    if before.edges != now.edges:
        return "with instance maps, now there are none" if before.edges else "without instance maps, now there are some"
    return ""


def _other_values(before: Identity, now: Identity) -> str:
    if before.values is None or now.values is None or now.classes is None:
        return ""
    for name, old, new in zip(now.classes, before.values, now.values):
        if old != new:
            return f"whose label maps hold {name!r:.40} as {old}, now it is {new}"
    return ""


def _other_pictures(before: Identity, now: Identity) -> str:
    if before.pictures is None:
        return ""
    if before.pictures != now.pictures:
        return f"on {before.pictures} pictures, now there are {now.pictures}"
    if before.names != now.names:
        return f"on {before.pictures} pictures, now they have other names"
    if before.sizes not in (None, now.sizes):
        return f"on {before.pictures} pictures, now their files have other sizes"
    return ""


def _say_colours(folder: Path, before: Identity, now: Identity) -> None:
    if before.colours not in (None, now.colours) and before.classes == now.classes:
        print(f"{folder}: some classes have other colours than when it was trained. Only pictures of labels differ.")
