"""Finding out what is wrong with an answer: a known mistake (or two), or else a broken property of the result."""

import copy
import inspect
import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations

import torch
from torch import Tensor

from .calling import Outcome, TimeUp, call, guarded
from .comparing import far, same, same_results
from .exercise import Case, Exercise, Wrong


def exercise_cases(exercise: Exercise) -> list[Case]:
    """The cases of an exercise, the same at every check."""
    if exercise.name not in _cases:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            _cases[exercise.name] = exercise.cases()
    return _cases[exercise.name]


def expected_outcome(exercise: Exercise, wrong: Wrong, i: int) -> Outcome:
    """What the reference does in case i; or, with mistakes, what they lead to. Kept for the next check."""
    key = exercise.name, wrong, i
    if key not in _outcomes:
        function = exercise.reference
        if wrong:
            function = partial(exercise.mistaken, wrong)
        for _ in range(3):  # on a busy machine even the reference may run out of time: that says nothing
            outcome = call(function, exercise_cases(exercise)[i], exercise.parameters, exercise.observe)
            if not isinstance(outcome.error, TimeUp):
                break
        _outcomes[key] = outcome
    return _outcomes[key]


_cases: dict[str, list[Case]] = {}
_outcomes: dict[tuple, Outcome] = {}


def known_mistake(exercise: Exercise, expected: list[Outcome], got: list[Outcome]) -> str:
    """The message of the one mistake, or the two, that explain every wrong case; empty if none does."""
    wrong = [i for i in range(len(got)) if not same(expected[i], got[i], exercise.tolerance)]
    for number in range(1, exercise.together + 1):
        groups = [frozenset(names) for names in combinations(exercise.mistakes, number)]
        found = [names for names in groups if _explains(exercise, names, expected, got, wrong)]
        if found:
            best = max(found, key=lambda names: _agreement(exercise, names, got))
            return " And: ".join(exercise.mistakes[name] for name in exercise.mistakes if name in best)
    return ""


def _explains(exercise: Exercise, names: Wrong, expected: list, got: list, wrong: list[int]) -> bool:
    """Whether the answer does, in every wrong case, what these mistakes lead to (and the reference doesn't).

    Where already the results are wrong, gradients aren't looked at: `std` and `sqrt(var)` differ in theirs at zero.
    """
    for i in wrong:
        mistaken = expected_outcome(exercise, names, i)
        alike = same if same_results(expected[i], got[i], exercise.tolerance) else same_results
        if not alike(mistaken, got[i], exercise.tolerance) or same(expected[i], mistaken, exercise.tolerance):
            return False
    return True


def _agreement(exercise: Exercise, names: Wrong, got: list[Outcome]) -> int:
    """In how many of all cases the answer does what these mistakes lead to."""
    outcomes = (expected_outcome(exercise, names, i) for i in range(len(got)))
    return sum(same_results(o, g, exercise.tolerance) for o, g in zip(outcomes, got))


def drawn_at_random(exercise: Exercise, c: Case, answer: Callable) -> str:
    """A sentence if an answer's result depends on random numbers, and the reference's doesn't; else empty."""
    if not _varies(exercise, c, answer) or _varies(exercise, c, exercise.reference):
        return ""
    return f"Two calls with the same arguments give two results: a random draw is in it, or a new layer ({c.text})."


def _varies(exercise: Exercise, c: Case, function: Callable) -> bool:
    """Whether two calls with the same arguments, but other random numbers, give two results."""
    first, second = (call(function, c, exercise.parameters, exercise.observe, seed) for seed in (1, 2))
    return first.error is second.error is None and not same_results(first, second, exercise.tolerance)


def broken_property(exercise: Exercise, cases: Sequence[Case], answer: Callable) -> str:
    """A sentence on the first property of the reference that the answer lacks; empty if all hold that were tried."""

    def guarded_answer(*arguments: object) -> object:
        result, error, _ = guarded(lambda: _observed(exercise, answer, arguments))
        return None if error else result

    def reference(*arguments: object) -> object:
        return _observed(exercise, exercise.reference, arguments)

    if _varies(exercise, cases[0], exercise.reference):  # then nothing can be said of single calls
        return ""
    for probe in exercise.probes:
        text, _, _ = guarded(partial(probe, guarded_answer, reference))
        if text:
            return text
    axes = argument_axes(exercise.reference)
    for c in cases:
        for i, name in enumerate(exercise.parameters[: len(c.arguments)]):
            value = c.arguments[i]
            if isinstance(value, Tensor) and value.is_floating_point() and value.numel():
                text = _linearity(guarded_answer, reference, cases, c, i, name)
                text = text or _dependence(guarded_answer, reference, c, i, name, axes.get(name, ()))
                if text:
                    return text
    return ""


def _observed(exercise: Exercise, function: Callable, arguments: tuple) -> object:
    arguments = copy.deepcopy(arguments)  # an answer may change what it is given, networks included
    with torch.no_grad():
        result = function(*arguments)
    if exercise.observe is None or result is None:
        return result
    return exercise.observe(result, *arguments)


def argument_axes(reference: Callable) -> dict[str, tuple[str, ...]]:
    """The names of each argument's axes, from its shape type: {"x": ("n", "c", "h", "w")}."""
    parameters = inspect.signature(reference).parameters.values()
    shapes = {p.name: getattr(p.annotation, "dim_str", "") for p in parameters}
    return {name: tuple(text.split()) for name, text in shapes.items() if re.fullmatch(r"[\w ]+", text)}


AXES = {"n": "image of the batch", "c": "channel", "h": "row", "w": "column"}


def _dependence(answer: Callable, reference: Callable, c: Case, i: int, name: str, axes: tuple[str, ...]) -> str:
    """Does a change of one slice of the argument reach the other slices of the result exactly where it should?"""
    x = c.arguments[i]
    for axis, letter in enumerate(axes):
        if letter not in AXES or x.dim() != len(axes) or x.shape[axis] < 2:
            continue
        changed = _with_other_slice(x, axis)
        reached = []
        for function in (reference, answer):
            before, after = function(*c.arguments), function(*_replace(c, i, changed))
            if not _comparable(before, after) or before.dim() <= axis or before.shape[axis] != x.shape[axis]:
                break
            rest, new_rest = (t.narrow(axis, 1, t.shape[axis] - 1) for t in (before, after))
            reached.append((far(rest, new_rest, 1e-2), far(rest, new_rest, 1e-5)))  # clearly; at all
        if len(reached) < 2:
            continue
        (clearly, at_all), (answer_clearly, answer_at_all) = reached
        if answer_clearly and not at_all:
            return f"Changing one {AXES[letter]} of `{name}` changes the result of another; it must not ({c.text})."
        if clearly and not answer_at_all:
            return f"Changing one {AXES[letter]} of `{name}` must change the others' result; it doesn't ({c.text})."
    return ""


def _with_other_slice(x: Tensor, axis: int) -> Tensor:
    """x with other values in the first slice along an axis."""
    changed = x.clone()
    first = changed.select(axis, 0)
    first.mul_(-1.7).add_(torch.linspace(0.3, 1.1, first.numel()).view_as(first))
    return changed


CHANGES = ((lambda t: 3 * t, "Multiplying `{}` by 3"), (lambda t: t + 2, "Adding 2 to `{}`"))
STAYS, FOLLOWS = "leaves the result as it is", "does the same to the result"


def _linearity(answer: Callable, reference: Callable, cases: Sequence[Case], c: Case, i: int, name: str) -> str:
    """Does the result stay, scale or shift with the argument as it does in most cases by the definition?"""
    for change, words in CHANGES:
        due, seen = _effects(reference, c, i, change), _effects(answer, c, i, change)
        for effect in sorted((due or set()) - (seen if seen is not None else {STAYS, FOLLOWS})):
            everywhere = [effect in found for o in cases if (found := _effects(reference, o, i, change)) is not None]
            if 2 * sum(everywhere) > len(everywhere):  # not by chance, as for weights near zero
                instead = f"; here it {min(seen)}" if seen else "; here it doesn't"
                return f"{words.format(name)} {effect}, by the definition{instead} ({c.text})."
    return ""


def _effects(function: Callable, c: Case, i: int, change: Callable) -> set[str] | None:
    """What a change of argument i does to the result; None if that can't be said."""
    x = c.arguments[i] if i < len(c.arguments) else None
    if not isinstance(x, Tensor) or not x.is_floating_point():
        return None
    before, after = function(*c.arguments), function(*_replace(c, i, change(x)))
    if not _comparable(before, after):
        return None
    stays, follows = not far(before, after, 1e-2), not far(change(before), after, 1e-2)
    return {effect for effect, holds in ((STAYS, stays), (FOLLOWS, follows)) if holds}


def _comparable(before: object, after: object) -> bool:
    if not isinstance(before, Tensor) or not isinstance(after, Tensor):
        return False
    return before.is_floating_point() and before.shape == after.shape


def _replace(c: Case, i: int, value: Tensor) -> tuple:
    return (*c.arguments[:i], value, *c.arguments[i + 1 :])
