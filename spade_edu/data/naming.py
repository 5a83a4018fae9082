"""What photographs and their label maps share in their names: IMG_1.JPG and img_1_mask.png are a pair."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import product
from typing import NamedTuple


class Affix(NamedTuple):
    """What the names of one side put before and after what they share with the other side's, and a folder above."""

    before: str = ""
    after: str = ""
    folder: str = ""

    def core(self, name: str) -> str | None:
        """What is left of a name, with the other folders above it; None where that is nothing or the name differs."""
        if not name.startswith(self.folder):
            return None
        above, slash, last = name.removeprefix(self.folder).rpartition("/")
        if len(last) <= len(self.before) + len(self.after):
            return None
        if not (last.startswith(self.before) and last.endswith(self.after)):
            return None
        return above + slash + last[len(self.before) : len(last) - len(self.after)]

    def __str__(self) -> str:
        return f"{self.folder}{self.before}NAME{self.after}"


class Naming(NamedTuple):
    """How photographs and label maps are named. lower: capitals don't count."""

    photo: Affix = Affix()
    label: Affix = Affix()
    lower: bool = False

    def cores(self, names: Iterable[str], affix: Affix) -> dict[str, str]:
        """Each name under what it shares with its partner's."""
        cores = {name: affix.core(name) for name in names}
        return {core.lower() if self.lower else core: name for name, core in cores.items() if core is not None}

    def __str__(self) -> str:
        return f"photographs are named {self.photo}, label maps {self.label}" + ", capitals aside" * self.lower


def find_naming(photos: Iterable[str], labels: Iterable[str]) -> Naming | None:
    """The naming by which all label maps belong to photographs, or all photographs to label maps; None without one."""
    photos, labels = sorted(photos), sorted(labels)
    if not photos or not labels:
        return None
    for photo, label in _candidates(photos, labels):
        for lower in False, True:
            naming = Naming(photo, label, lower)
            ours, theirs = naming.cores(photos, photo), naming.cores(labels, label)
            all_there = len(ours) == len(photos) and len(theirs) == len(labels)  # else two share a core
            if all_there and (ours.keys() <= theirs.keys() or theirs.keys() <= ours.keys()):
                return naming
    return None


def endings(photos: Iterable[str], labels: Iterable[str]) -> list[str]:
    """What label maps append to names, for more than half of the photographs without one; the commonest first."""
    found: Counter[str] = Counter()
    names, labels = set(photos), set(labels)
    for label in sorted(labels):
        end = next((end for end in range(len(label) - 1, 0, -1) if label[:end] in names), len(label))
        found[label[end:]] += 1
    return [
        ending for ending, n in found.most_common() if ending and not ending.isdigit() and 2 * n > len(names - labels)
    ]


def _candidates(photos: list[str], labels: list[str]) -> Iterator[tuple[Affix, Affix]]:
    """No affixes; what one side appends to the other's names; what all names of a side begin and end with."""
    yield Affix(), Affix()
    beside = [(name, labels[0]) for name in photos] + [(photos[0], name) for name in labels]
    for photo, label in sorted(beside, key=lambda pair: abs(len(pair[0]) - len(pair[1]))):  # img_10, not img_1 and 0
        if _goes_on(label, photo, len(beside) > 2):
            yield Affix(), Affix(after=label.removeprefix(photo))
        elif _goes_on(photo, label, len(beside) > 2):
            yield Affix(after=photo.removeprefix(label)), Affix()
    folders, befores, afters = _folders(photos, labels), [("", "")], [("", "")]
    if min(len(photos), len(labels)) > 1:  # of one name alone, all of it is what it begins with
        befores, afters = _beginnings(photos, labels), _ends(photos, labels)
    for (f, g), (b, c), (a, z) in product(folders, befores, afters):
        yield Affix(b, a, f), Affix(c, z, g)


def _goes_on(name: str, start: str, several: bool) -> bool:
    """Whether a name appends an ending to another: no number, and of one pair alone no letters that may be its own."""
    ending = name.removeprefix(start)
    if ending in ("", name) or ending[0].isdigit():
        return False
    return several or not ending[0].isalpha()


def _folders(photos: list[str], labels: list[str]) -> list[tuple[str, str]]:
    """No folder, and those that hold all names of a side."""
    starts = [os.path.commonprefix([name[: name.rfind("/") + 1] for name in names]) for names in (photos, labels)]
    first, second = (start[: start.rfind("/") + 1] for start in starts)
    return [("", ""), (first, second)]


def _beginnings(photos: list[str], labels: list[str]) -> list[tuple[str, str]]:
    """Nothing, and what all names of a side begin with."""
    turned = _ends([_last(name)[::-1] for name in photos], [_last(name)[::-1] for name in labels])
    return [(first[::-1], second[::-1]) for first, second in turned]


def _ends(photos: list[str], labels: list[str]) -> list[tuple[str, str]]:
    """Nothing, and what all names of a side end with, from after a number and without the words that both sides share.

    Numbers alone don't count: they are what tells names apart.
    """
    ends = [os.path.commonprefix([_last(name)[::-1] for name in names])[::-1] for names in (photos, labels)]
    first, second = (end.lstrip("0123456789") for end in ends)
    shared = len(os.path.commonprefix([first, second]))
    while 0 < shared < max(len(first), len(second)) and not first[shared - 1].isalnum():
        shared -= 1
    first, second = first[shared:], second[shared:]
    no_words = first and second and not any(letter.isalpha() for letter in first + second)
    return [("", "")] if no_words else [("", ""), (first, second)]


def _last(name: str) -> str:
    return name.rpartition("/")[2]
