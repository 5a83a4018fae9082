"""Finding out what is wrong with an answer: a known mistake (or two), or else a broken property of the result."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations

import torch
from torch import Tensor

from .calling import Outcome, call, call_own, flatten, guarded
from .comparing import far, same, same_results
from .exercise import Case, Exercise, Wrong
from .thin import thin_cases


def exercise_cases(exercise: Exercise, seed: int = 0) -> list[Case]:
    """The cases of an exercise, the same at every check; with another seed the same ones with other numbers."""
    key = exercise.name, seed
    if key not in _cases:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            own = exercise.cases()
        _cases[key] = own + thin_cases(exercise, own)
    return _cases[key]


def expected_outcome(exercise: Exercise, wrong: Wrong, i: int, seed: int = 0) -> Outcome:
    """What the reference does in case i; or, with mistakes, what they lead to. Kept for the next check."""
    key = exercise.name, wrong, i, seed
    if key not in _outcomes:
        function = partial(exercise.mistaken, wrong) if wrong else exercise.reference
        _outcomes[key] = call_own(function, exercise_cases(exercise, seed)[i], exercise.parameters, exercise.observe)
    return _outcomes[key]


def _results_of(exercise: Exercise, wrong: Wrong, i: int, seed: int = 0) -> Outcome:
    """The same without gradients, which take half of the time; only results are to be looked at."""
    key = exercise.name, wrong, i, seed
    if key in _outcomes:
        return _outcomes[key]
    if key not in _results:
        c = replace(exercise_cases(exercise, seed)[i], gradient=False)
        _results[key] = call_own(partial(exercise.mistaken, wrong), c, exercise.parameters, exercise.observe)
    return _results[key]


_results: dict[tuple, Outcome] = {}
_cases: dict[tuple, list[Case]] = {}
_outcomes: dict[tuple, Outcome] = {}


FURTHER = (1, 2)  # seeds of the inputs that a mistake is tried on before it is named


def known_mistake(exercise: Exercise, answer: Callable, got: list[Outcome]) -> str:
    """The message of the one mistake, or the two, that do what the answer does; empty if none does.

    They do so in every case, in those too that the answer is right in, and give its numbers for further inputs.
    """
    expected = [expected_outcome(exercise, frozenset(), i) for i in range(len(got))]
    wrong = [i for i in range(len(got)) if not same(expected[i], got[i], exercise.tolerance)]
    for number in range(1, exercise.together + 1):
        groups = [frozenset(names) for names in combinations(exercise.mistakes, number)]
        found = [names for names in groups if _explains(exercise, names, expected, got, wrong)]
        for names in found:
            if _agrees(exercise, names, got) and _holds_further(exercise, names, answer, wrong):
                return " And: ".join(exercise.mistakes[name] for name in exercise.mistakes if name in names)
    return ""


def _holds_further(exercise: Exercise, names: Wrong, answer: Callable, wrong: list[int]) -> bool:
    """Whether mistakes give the answer's numbers for other inputs, made as the first of the wrong cases and the last.

    Where the results are right, the gradients have to agree too.
    """
    for seed, i in zip(FURTHER, (wrong[0], wrong[-1])):
        c = exercise_cases(exercise, seed)[i]
        result = call(answer, c, exercise.parameters, exercise.observe)
        if not same_results(_results_of(exercise, names, i, seed), result, exercise.tolerance):
            return False
        right = same_results(expected_outcome(exercise, frozenset(), i, seed), result, exercise.tolerance)
        if right and not same(expected_outcome(exercise, names, i, seed), result, exercise.tolerance):
            return False
    return True


def _explains(exercise: Exercise, names: Wrong, expected: list, got: list, wrong: list[int]) -> bool:
    """Whether the answer does, in every wrong case, what these mistakes lead to (and the reference doesn't).

    Where already the results are wrong, gradients aren't looked at: `std` and `sqrt(var)` differ in theirs at zero.
    """
    for i in wrong:
        if not same_results(_results_of(exercise, names, i), got[i], exercise.tolerance):
            return False
        if not same_results(expected[i], got[i], exercise.tolerance):
            continue
        mistaken = expected_outcome(exercise, names, i)
        if not same(mistaken, got[i], exercise.tolerance) or same(expected[i], mistaken, exercise.tolerance):
            return False
    return True


def _agrees(exercise: Exercise, names: Wrong, got: list[Outcome]) -> bool:
    """Whether the answer does in all cases what these mistakes lead to."""
    return all(same_results(_results_of(exercise, names, i), g, exercise.tolerance) for i, g in enumerate(got))


def varies(exercise: Exercise, calling: Callable[..., Outcome], function: Callable, i: int) -> bool:
    """Whether two calls with the same arguments, but other random numbers, give two results."""
    c = exercise_cases(exercise)[i]
    first, second = (calling(function, c, exercise.parameters, exercise.observe, seed) for seed in (1, 2))
    return first.error is second.error is None and not same_results(first, second, exercise.tolerance)


def broken_property(exercise: Exercise, cases: Sequence[Case], answer: Callable) -> str:
    """A sentence on the first property of the reference that the answer lacks; empty if all hold that were tried."""

    def guarded_answer(*arguments: object) -> object:
        result, error, _ = guarded(lambda: _observed(exercise, answer, arguments))
        return None if error else result

    def reference(*arguments: object) -> object:
        return _observed(exercise, exercise.reference, arguments)

    if varies(exercise, call_own, exercise.reference, 0):  # then nothing can be said of single calls
        return ""
    for probe in exercise.probes:
        text, _, _ = guarded(partial(probe, guarded_answer, reference))
        if text:
            return text
    axes = exercise.axes
    for i in range(len(exercise.parameters)):
        text = _ignored(exercise, guarded_answer, reference, i)
        if text:
            return text
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


def _ignored(exercise: Exercise, answer: Callable, reference: Callable, i: int) -> str:
    """A sentence if argument i makes no difference to the answer, in any case in which it does to the reference."""
    tried = ""
    for c, other in zip(exercise_cases(exercise), exercise_cases(exercise, FURTHER[0])):
        if i >= len(c.arguments):  # left out in this case
            continue
        changed = _replace(c, i, _other(c.arguments[i], other.arguments[i]))
        due = _moves(reference, c.arguments, changed, 1e-2)
        if not due:
            continue
        if _moves(answer, c.arguments, changed, 1e-5) is not False:
            return ""
        tried = tried or c.text
    name = exercise.parameters[i]
    return f"`{name}` makes no difference: with another `{name}` it returns just the same ({tried})." if tried else ""


def _other(value: object, other: object) -> object:
    """Something else in place of an argument: other numbers of the same shape."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return 2 * value + 0.1 if isinstance(value, float) else other


def _moves(function: Callable, before: tuple, after: tuple, tolerance: float) -> bool | None:
    """Whether a function's results differ for two sets of arguments; None if they can't be compared."""
    try:
        one, two = (flatten(function(*arguments), "") for arguments in (before, after))
    except Exception:  # the reference, with arguments that it isn't made for
        return None
    if one.keys() != two.keys() or not one or None in one.values():
        return None
    for path in one:
        if isinstance(one[path], str) or isinstance(two[path], str):
            return None
        a, b = (torch.as_tensor(leaves[path], dtype=torch.float64) for leaves in (one, two))
        if a.shape != b.shape or not (a.isfinite().all() and b.isfinite().all()):
            return None
        if far(a, b, tolerance):
            return True
    return False


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


def _replace(c: Case, i: int, value: object) -> tuple:
    return (*c.arguments[:i], value, *c.arguments[i + 1 :])
