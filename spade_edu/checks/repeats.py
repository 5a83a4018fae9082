"""Calling an answer again: the same arguments must give the same result, other numbers another one."""

from collections.abc import Callable

import torch
from torch import Tensor

from .calling import Outcome, call, call_own
from .comparing import difference, same_results
from .diagnosis import exercise_cases, expected_outcome, varies
from .exercise import Case, Exercise

KEEPS = (
    "it keeps something between calls (or reads memory that nothing was written to). Look for a list or dictionary "
    "outside of the function, a default argument that is changed (`def f(x, seen=[])`), a cache."
)


def _again(exercise: Exercise, answer: Callable, i: int, seed: int = 0, numbers: int = 0) -> Outcome:
    """One more call with case i; seed: of torch's random numbers, numbers: of those in the case."""
    return call(answer, exercise_cases(exercise, numbers)[i], exercise.parameters, exercise.observe, seed)


def other_result_later(exercise: Exercise, answer: Callable, i: int) -> str:
    """A sentence on an answer that is wrong in case i, if two calls with the same arguments give two results."""
    text, first = exercise_cases(exercise)[i].text, _again(exercise, answer, i, seed=1)
    if not same_results(first, _again(exercise, answer, i, seed=1), exercise.tolerance):
        return f"Two calls with the same arguments give two results ({text}): {KEEPS}"
    if i and difference(expected_outcome(exercise, frozenset(), 0), _again(exercise, answer, 0), exercise.tolerance):
        text = exercise_cases(exercise)[0].text
        return f"The first call is right, the same one after other calls isn't ({text}): {KEEPS}"
    return ""


def drawn_at_random(exercise: Exercise, answer: Callable, i: int) -> str:
    """A sentence if the result of case i depends on torch's random numbers, and the reference's doesn't; else empty."""
    if not varies(exercise, call, answer, i) or varies(exercise, call_own, exercise.reference, i):
        return ""
    text = exercise_cases(exercise)[i].text
    return f"Two calls with the same arguments give two results: a random draw is in it, or a new layer ({text})."


def earlier_result(exercise: Exercise, got: list[Outcome], i: int) -> str:
    """A sentence if the answer's result in case i, a wrong one, is what it rightly returned in a case before.

    got: what it did in all cases; one that always returns the same keeps nothing.
    """
    expected = [expected_outcome(exercise, frozenset(), k) for k in range(len(got))]
    right = [k for k in range(len(got)) if same_results(expected[k], got[k], exercise.tolerance)]
    if all(same_results(got[0], other, exercise.tolerance) for other in got):
        return ""
    cases = exercise_cases(exercise)
    for k in right:
        others = _nothing_shared(cases[k], cases[i])
        if k < i and others and same_results(got[k], got[i], exercise.tolerance):
            return (
                f"For one case ({cases[i].text}) it returns what it returned before, for another one ({cases[k].text})"
                ": it looks as if it kept the result of an earlier call, in a cache or a default argument."
            )
    return ""


def _nothing_shared(one: Case, two: Case) -> bool:
    """Whether two cases have tensors or lists among their arguments, and none of them the same."""
    pairs = [(a, b) for a, b in zip(one.arguments, two.arguments) if isinstance(a, Tensor | list)]
    return bool(pairs) and not any(_equal(a, b) for a, b in pairs)


def _equal(a: object, b: object) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and torch.equal(a.double(), b.double())
    return repr(a) == repr(b)


def kept_between_calls(exercise: Exercise, answer: Callable) -> str:
    """A sentence on an answer that was right in every case, if it isn't when called once more; else empty."""
    cases = exercise_cases(exercise)
    for i, c in enumerate(cases):
        d = difference(expected_outcome(exercise, frozenset(), i), _again(exercise, answer, i), exercise.tolerance)
        if d is not None:
            return f"A second call with the same arguments isn't right any more ({c.text}): {KEEPS}"
    for i in range(len(cases)):
        expected = expected_outcome(exercise, frozenset(), i, 1)
        found = _again(exercise, answer, i, numbers=1)
        d = difference(expected, found, exercise.tolerance)
        if d is not None:
            return _other_numbers(exercise, i, found, d.text)
    return ""


def _other_numbers(exercise: Exercise, i: int, found: Outcome, words: str) -> str:
    """A sentence on an answer that is right in case i, and wrong with other numbers of the same shapes."""
    text = exercise_cases(exercise)[i].text
    for k in range(len(exercise_cases(exercise))):
        if same_results(expected_outcome(exercise, frozenset(), k), found, exercise.tolerance):
            return f"With other numbers of the same shapes it returns the result of an earlier call ({text}): {KEEPS}"
    return (
        f"With other numbers of the same shapes it isn't right any more ({text}). {words} Either it keeps something "
        "from an earlier call (a cache that looks at shapes only), or these numbers are special for it."
    )
