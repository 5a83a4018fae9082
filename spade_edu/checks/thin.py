"""Cases with an axis of length 1, made from an exercise's own: a `squeeze` too many shows in them only."""

from dataclasses import replace

import torch
from torch import Tensor

from .calling import Outcome, call_own
from .exercise import Case, Exercise

THIN = {  # what is tried, and the names of the axes that get length 1
    "a batch of 1": ("n",),
    "one channel": ("c",),
    "pictures of one row": ("h", "h2"),
    "pictures of one column": ("w", "w2"),
}


def thin_cases(exercise: Exercise, cases: list[Case]) -> list[Case]:
    """For each of THIN the first case that can be cut down to it, unless one of the cases is like that already."""
    found = []
    for text, letters in THIN.items():
        sizes = [_lengths(exercise, c, letters) for c in cases]
        if any(all(size == 1 for size in lengths) for lengths in sizes if lengths):
            continue
        cut = (_cut(exercise, c, text, letters) for c, lengths in zip(cases, sizes) if lengths)
        found += [c for c in cut if _is_defined(exercise, c)][:1]
    return found


def _lengths(exercise: Exercise, c: Case, letters: tuple[str, ...]) -> list[int]:
    """How long the axes of these names are, in all arguments."""
    pairs = zip(exercise.parameters, c.arguments)
    return [x.shape[axis] for name, x in pairs for axis in _places(exercise, name, x, letters)]


def _places(exercise: Exercise, name: str, value: object, letters: tuple[str, ...]) -> list[int]:
    axes = exercise.axes.get(name, ())
    if not isinstance(value, Tensor) or value.dim() < len(axes):
        return []
    return [i for i, letter in enumerate(axes) if letter in letters]


def _cut(exercise: Exercise, c: Case, text: str, letters: tuple[str, ...]) -> Case:
    """A case cut down to length 1 along the axes of these names."""
    arguments = []
    for name, value in zip(exercise.parameters, c.arguments):
        for axis in _places(exercise, name, value, letters):
            value = value.narrow(axis, 0, 1).clone()
        arguments.append(value)
    return replace(c, text=f"{text}, made from: {c.text}", arguments=tuple(arguments))


def _is_defined(exercise: Exercise, c: Case) -> bool:
    """Whether the reference gives numbers for a case."""
    outcome: Outcome = call_own(exercise.reference, c, exercise.parameters, exercise.observe)
    leaves = [leaf for leaf in outcome.leaves.values() if isinstance(leaf, Tensor)]
    return outcome.error is None and all(bool(torch.isfinite(leaf).all()) for leaf in leaves)
