"""Exercises that teach by checking: `check`, `hint`, `exercises`, `progress`, `picture`.

    from spade_edu.checks import check, hint
    check("spade_forward", spade_forward)   # a green line, or what is wrong
    hint("spade_forward", 1)                # 1: where to look, 2: the shape of the answer, 3: most of the line

A check looks at what a function does, never at its source: it calls the answer and a reference on the same inputs and
compares values, side effects and gradients. Where they differ, it looks for a known mistake (or two at once) that does
just what the answer does, on further inputs too, then for a property of the definition that the answer breaks, and else
says where the first difference is. What no exercise has to ask for by itself: axes of length 1 (thin.py), a second call
and other numbers (repeats.py), lists, dictionaries and networks left as they were (effects.py), whole numbers where
the reference returns an int (comparing.py).

How to add exercises (or a stage): write sNN_name.py with `EXERCISES = (Exercise(...), ...)`; it is found by its name.
An exercise is
  - a reference: a function with the exercise's name, shape types (jaxtyping) and a body that reads like the definition.
    Arguments are tensors, numbers, networks (nn.Module), lists of these; axes called n, c, h, w are probed by name;
  - `cases()`: calls that tell right from wrong: several shapes, h different from w, a batch of 1, odd sizes, a tiny
    variance or a large eps where eps matters, memory in another order (`x.transpose(2, 3)`), float64, ids of 255;
  - `mistaken(wrong, *arguments)`: the same function once more, with switches: `if "no_plus_one" in wrong: ...` or
    `variant(wrong, 1 + gamma, no_plus_one=gamma)`. With an empty set it is the reference (a test holds it to that).
    Pairs of switches are tried too;
  - `mistakes`: {switch: message}, at least four, in a student's words: what is wrong, and what it should be;
  - three hints of more than 20 characters, goal, minutes, difficulty 1 to 3.
A part of the student's own file that is a class is checked as a whole by modules.py and modules_gan.py (see part.py),
one that trains by steps.py.
Then add the exercise to solutions/NN_name.py, run `python tools/build_exercises.py`, and store at least four typical
wrong answers with the message meant for each in tests/checks/answers_NN.py.
"""

import contextlib
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache

from ..course.overview import overview
from . import scorecard
from .calling import Outcome, call
from .comparing import Difference, difference
from .diagnosis import broken_property, exercise_cases, expected_outcome, known_mistake
from .exercise import Case, Exercise, Result
from .repeats import drawn_at_random, earlier_result, kept_between_calls, other_result_later
from .scorecard import Scorecard

__all__ = ["Exercise", "Result", "check", "exercises", "has_check", "hint", "known", "picture", "progress"]

STAGES = sorted(name for _, name, _ in pkgutil.iter_modules(__path__) if re.fullmatch(r"s\d\d_\w+", name))


@cache
def exercises() -> list[Exercise]:
    """All exercises, in the order of the course."""
    modules = [importlib.import_module(f"{__name__}.{stage}") for stage in STAGES]
    return [exercise for module in modules for exercise in module.EXERCISES]


@cache
def _modules() -> list[Exercise]:
    """The checks of classes and of training steps, in the order of the course."""
    modules = [importlib.import_module(f"{__name__}.{name}") for name in ("modules", "modules_gan", "steps")]
    return [part for module in modules for part in module.PARTS]


def known() -> dict[str, Exercise]:
    """All that `check` knows, by name, stage by stage."""
    return {e.name: e for e in sorted([*exercises(), *_modules()], key=lambda e: e.stage)}


def check(name: str, function: object) -> Result:
    """Try an answer. It never raises, whatever `function` is, and answers within seconds."""
    result = examine(name, function)
    if isinstance(find(name), Exercise):
        scorecard.record(result.name, result.passed)
    return result


def examine(name: str, function: object) -> Result:
    """As `check`, but nothing is noted on the scorecard."""
    exercise = find(name)
    return Result(str(name), False, exercise) if isinstance(exercise, str) else judge(exercise, function)


def judge(exercise: Exercise, answer: object, heard: Callable[[Callable], Callable] = lambda f: f) -> Result:
    """What `check` says of an answer; heard(function) is called in place of each function that it may stand for."""
    try:
        message = _fault_of_any_reading(exercise, answer, heard)
    except Exception as error:  # an object that misbehaves even when looked at
        message = f"What it returns can't be examined ({type(error).__name__}): return plain tensors and numbers."
    return Result(exercise.name, not message, message or f"right. {exercise.title}: solved.")


def has_check(name: str) -> bool:
    """Whether `check` knows a part of my_spade.py by this name."""
    return isinstance(find(name), Exercise)


def find(name: object) -> Exercise | str:
    """The exercise, or a sentence that there is none."""
    if isinstance(name, str) and name in known():
        return known()[name]
    for near in get_close_matches(str(name), known(), n=1):
        return f"There is no exercise of this name; did you mean {near!r}?"
    return "There is no exercise of this name."


def _fault_of_any_reading(exercise: Exercise, answer: object, heard: Callable[[Callable], Callable]) -> str:
    """What is wrong with an answer; empty if nothing is, in one of the ways to read it."""
    wanted = f"expected a {exercise.wanted}"
    if answer is None or answer is ...:
        return f"Not started yet: {exercise.name} is {answer}; {wanted}. {_first_step(exercise)}"
    if not callable(answer):
        return f"{wanted.capitalize()}, {exercise.signature}; got {type(answer).__name__}."
    tries = []
    for function in map(heard, exercise.readings(answer)):
        tried = _tried(exercise, function)
        if tried.message or not tried.wrong:
            return tried.message or kept_between_calls(exercise, function)
        tries.append((function, tried))
    return _fault(exercise, *min(tries, key=lambda t: len(t[1].wrong)))


@dataclass
class _Tried:
    """What a function does in the cases, where it is wrong, and a message if it stopped before it got to the end."""

    got: list[Outcome] = field(default_factory=list)
    wrong: dict[int, Difference] = field(default_factory=dict)  # by the number of the case
    message: str = ""

    def right(self) -> list[int]:
        """The cases that it is right in."""
        return [i for i in range(len(self.got)) if i not in self.wrong]


def _tried(exercise: Exercise, function: Callable) -> _Tried:
    """Try a function in all cases."""
    cases = exercise_cases(exercise)
    expected = [expected_outcome(exercise, frozenset(), i) for i in range(len(cases))]
    raises = tuple(type(e.error) for e in expected if e.error is not None)  # errors that are part of the definition
    tried = _Tried()
    for i, (c, e) in enumerate(zip(cases, expected)):
        tried.got.append(call(function, c, exercise.parameters, exercise.observe))
        d = difference(e, tried.got[-1], exercise.tolerance)
        if d is None:
            continue
        stops = d.kind in ("error", "type") and not isinstance(tried.got[-1].error, raises)
        begun = bool(tried.wrong)
        tried.wrong[i] = d
        ends = d.kind in ("none", "endless")
        if ends or stops and not begun:
            later = other_result_later(exercise, function, i) if i and not ends else ""
            tried.message = later or _explain(exercise, tried)
            return tried
    return tried


def _fault(exercise: Exercise, function: Callable, tried: _Tried) -> str:
    """What is wrong with a function that isn't right in all cases."""
    first = min(tried.wrong)
    text = other_result_later(exercise, function, first)
    if not text:
        text = known_mistake(exercise, function, tried.got)
    if not text and tried.wrong[first].kind == "value":
        text = drawn_at_random(exercise, function, first) or earlier_result(exercise, tried.got, first)
    if not text and tried.wrong[first].kind == "value":
        text = broken_property(exercise, exercise_cases(exercise), function)
    return text or _explain(exercise, tried)


def _explain(exercise: Exercise, tried: _Tried) -> str:
    """The first difference, and with which arguments it came."""
    i, d = next(iter(tried.wrong.items()))
    if d.kind == "none":
        return f"Not started yet: {exercise.name} returns nothing (or its `return` is missing). {_first_step(exercise)}"
    if d.kind == "error" and "positional argument" in d.text:
        return f"{d.text} Expected {exercise.signature}."
    cases = exercise_cases(exercise)
    right = "; ".join(cases[k].text for k in tried.right()[:3])
    return f"{d.text} (Tried with: {cases[i].text}{_numbers(exercise, cases[i])}." + (
        f" Right with: {right}.)" if right else ")"
    )


def _numbers(exercise: Exercise, c: Case) -> str:
    """The arguments that are plain numbers or words."""
    plain = [(k, v) for k, v in zip(exercise.parameters, c.arguments) if isinstance(v, bool | int | float | str)]
    return "".join(f", {name} = {value!r}" for name, value in plain if name != "mode")


def _first_step(exercise: Exercise) -> str:
    return f'hint("{exercise.name}", 1) says where to look.'


class Hint(str):
    """A hint; shows itself without quotation marks."""

    def __repr__(self) -> str:
        return str(self)


def hint(name: str, step: int = 1) -> Hint:
    """Step 1: where to look; 2: the shape of the answer; 3: most of the line."""
    exercise = find(name)
    if isinstance(exercise, str):
        return Hint(exercise)
    if step not in (1, 2, 3):
        return Hint("Hints come in three steps: 1 (where to look), 2 (the shape of the answer), 3 (most of the line).")
    return Hint(f"Hint {step} of 3 for {exercise.name}: {exercise.hints[step - 1]}")


def progress() -> Scorecard:
    """What is solved, across all stages, and what stands in the student's my_spade.py, where there is one."""
    solved = scorecard.read()
    stages: dict[str, dict[str, bool]] = {}
    for exercise in known().values():
        stages.setdefault(exercise.stage, {})[exercise.name] = solved.get(exercise.name, False)
    return Scorecard(stages, overview())


@contextlib.contextmanager
def picture(name: str) -> Iterator[None]:
    """The block draws what an answer computes; where that fails, a line says so and the notebook goes on."""
    try:
        yield
    except Exception as error:
        which = f"{name}, or a part that it works with,"
        print(f"No picture yet: {which} doesn't give what the drawing needs ({type(error).__name__}).")
