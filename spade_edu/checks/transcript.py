"""What came of every call of an answer, as plain data: made where the answer runs, judged where no answer ever ran.

Whoever wants a wrong answer to pass has to send right numbers for every case; to write "right" is not enough.
"""

import base64
import builtins
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from . import judge
from .calling import Answered, Outcome, call
from .exercise import Case, Exercise, Result


class Recorded(Answered):
    """An answer whose outcomes are written into a list."""

    def __init__(self, function: Callable, outcomes: list[Outcome]):
        self.function, self.outcomes = function, outcomes

    def outcome(self, case: Case, names: list[str], observe: Callable | None, seed: int) -> Outcome:
        """Call it, and write down what came of it."""
        self.outcomes.append(call(self.function, case, names, observe, seed))
        return self.outcomes[-1]

    def __call__(self, *arguments: object) -> object:
        """What the function returns."""
        return self.function(*arguments)


class Replayed(Answered):
    """Outcomes that were written down, one for each call, in their order."""

    def __init__(self, outcomes: list[Outcome]):
        self.left = iter(outcomes)

    def outcome(self, case: Case, names: list[str], observe: Callable | None, seed: int) -> Outcome:
        """The next outcome; where there is none, one that no reference has."""
        return next(self.left, Outcome(error=LookupError("not written down")))

    def __call__(self, *arguments: object) -> object:
        """Nothing: it is asked for outcomes only."""
        raise LookupError("not written down")


def confirmed(exercise: Exercise, written: object) -> Result:
    """What `check` says of an answer that did what is written down. Errors: those of `decoded`."""
    if not isinstance(written, list):
        raise ValueError("not a list of outcomes")
    replayed = Replayed([decoded(item) for item in written])
    return judge(exercise, replayed, lambda function: replayed)


# --- as plain data


def encoded(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON can hold it."""
    return {field.name: _packed(getattr(outcome, field.name)) for field in fields(Outcome)}


def decoded(item: Any) -> Outcome:
    """The outcome again. Errors: ValueError, TypeError, KeyError or AttributeError for what no outcome looks like."""
    return Outcome(**{str(name): _unpacked(value) for name, value in item.items()})


def _packed(value: object) -> Any:
    """One of an outcome's fields."""
    if isinstance(value, dict):
        return {"leaves": {path: _encoded(leaf) for path, leaf in value.items()}}
    if isinstance(value, BaseException):
        return {"error": type(value).__name__}
    if isinstance(value, frozenset | tuple):
        return {type(value).__name__: sorted(value)}
    return value


def _unpacked(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "leaves":
        return {str(path): _decoded(leaf) for path, leaf in content.items()}
    if kind == "error":
        known = getattr(builtins, content, None)
        return known() if isinstance(known, type) and issubclass(known, Exception) else LookupError(content)
    return {"frozenset": frozenset, "tuple": tuple}[kind](content)


def _encoded(value: object) -> Any:
    if isinstance(value, Tensor):
        plain = value.detach().cpu().contiguous()
        content = base64.b64encode(plain.reshape(-1).view(torch.uint8).numpy().tobytes()).decode()
        return {"dtype": str(plain.dtype).removeprefix("torch."), "shape": list(plain.shape), "content": content}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return {"type": type(value).__name__}


def _decoded(value: Any) -> object:
    if not isinstance(value, dict):
        return value
    if "type" in value:
        return object()
    dtype = getattr(torch, value["dtype"])
    content = bytearray(base64.b64decode(value["content"], validate=True))
    if not isinstance(dtype, torch.dtype):
        raise ValueError("not a type of tensor")
    flat = torch.frombuffer(content, dtype=dtype) if content else torch.empty(0, dtype=dtype)
    return flat.reshape(value["shape"])
