"""Holding what an answer did against what the reference did, and saying in words how they differ."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from .calling import Complaint, Outcome, TimeUp, where

FLOOR = 0.1  # values smaller than this are compared as if the tensor's largest were this

ADVICE = {  # torch's own words, and what a student does about them
    "Boolean value of Tensor": "A tensor isn't true or false: compare with `is None`, or reduce it with .any() or "
    ".all().",
    "leaf Variable that requires grad": "Change weights under `with torch.no_grad():`.",
    "failed to converge": "Often there is NaN in the matrix, as from the root of a number just below 0.",
    "does not require grad and does not have a grad_fn": "Nothing in the loss depends on a weight that may "
    "move: is the fake detached, or made under torch.no_grad(), although the generator is to learn from it?",
    "either both floats or both Tensors": "Write 0.0, not 0.",
}


@dataclass(frozen=True)
class Difference:
    """The first thing about one case that isn't as it should be. kind: "none" (nothing returned), "error", ..."""

    kind: str
    text: str


def difference(expected: Outcome, got: Outcome, tolerance: float) -> Difference | None:
    """What is different, in the order in which a student would want to know it; None if nothing is."""
    if got.error is not None or expected.error is not None:
        looked_at = isinstance(
            got.error, Complaint
        )  # the result is there, and what the call left changed may explain it
        return (looked_at and _effects(expected, got)) or _error(expected, got)
    found = (
        _structure(expected.leaves, got.leaves)
        or _effects(expected, got)
        or _values(expected.leaves, got.leaves, tolerance)
        or _arguments(expected, got, tolerance)
        or _gradients(expected.gradients, got.gradients, tolerance)
    )
    if found is None and got.trouble != expected.trouble:
        return Difference("setting", got.trouble)
    return found


def same(expected: Outcome, got: Outcome, tolerance: float) -> bool:
    """Whether two calls did the same."""
    return same_results(expected, got, tolerance) and difference(expected, got, tolerance) is None


def same_results(expected: Outcome, got: Outcome, tolerance: float) -> bool:
    """Whether two calls returned the same, whatever their gradients."""
    if expected.error is not None or got.error is not None:
        return _error(expected, got) is None
    if _without_words(expected, got, tolerance):
        return False
    return not (_structure(expected.leaves, got.leaves) or _values(expected.leaves, got.leaves, tolerance))


def _without_words(expected: Outcome, got: Outcome, tolerance: float) -> bool:
    """Whether a result clearly differs (said without looking for the words, which takes longer)."""
    pairs = [(e, got.leaves.get(path)) for path, e in expected.leaves.items()]
    tensors = [(e, g) for e, g in pairs if isinstance(e, Tensor) and isinstance(g, Tensor)]
    return any(e.shape != g.shape or far(e, g, tolerance) for e, g in tensors)


def far(expected: Tensor, got: Tensor, tolerance: float) -> bool:
    """Whether two tensors of one shape differ by more than the tolerance, relative to the largest expected value."""
    return bool(_wrong(expected.double(), got.double(), tolerance).any())


def _wrong(e: Tensor, g: Tensor, tolerance: float) -> Tensor:
    """Where two tensors differ by more than the tolerance. NaN and infinity agree with themselves only."""
    return (e != g) & ~(e.isnan() & g.isnan()) & ~((e - g).abs() <= tolerance * _scale(e))


def _scale(e: Tensor) -> float:
    """The largest value of a tensor, at least FLOOR; what isn't finite isn't looked at."""
    finite = e[e.isfinite()]
    if not finite.numel():
        return FLOOR
    return max(float(finite.abs().amax()), FLOOR)


def _error(expected: Outcome, got: Outcome) -> Difference | None:
    error = got.error
    if error is None:
        return Difference("no error", f"It should raise {type(expected.error).__name__} here.")
    if isinstance(error, NotImplementedError) and not str(error):  # with words it may be torch's own
        return Difference("none", "")
    if isinstance(error, TimeUp):
        return Difference("endless", "It doesn't come to an end (or takes thousands of times longer than it should).")
    if expected.error is None:
        return Difference("error", _raised(error))
    wanted = type(expected.error)
    if isinstance(error, wanted):
        return None
    return Difference("error", f"It should raise {wanted.__name__} here. {_raised(error)}")


def _raised(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error, Complaint):
        return str(error)
    if isinstance(error, RecursionError):
        return "It calls itself without end (RecursionError)."
    if isinstance(error, SystemExit):
        return "It ends the program (sys.exit): return a result instead."
    first = (str(error).strip().splitlines() or [""])[0][:200]
    advice = next((f" {text}" for words, text in ADVICE.items() if words in first), "")
    return f"It stops with {name}{': ' if first else ''}{first.removesuffix('.')}{where(error)}.{advice}"


def _structure(expected: dict, got: dict) -> Difference | None:
    """Types, number and shapes of the results."""
    if list(got) == [""] and (got[""] is None or got[""] is ...):
        return Difference("none", "")
    if expected.keys() != got.keys():
        kind = "type" if [""] in (list(expected), list(got)) else "count"
        if _nature(got) == _nature(expected):  # lists or a dictionary in place of tensors
            return Difference("type", _odd(expected, got))
        return Difference(kind, f"It returns {_nature(got)}; expected {_nature(expected)}.")
    for path, e in expected.items():
        g, what = got[path], _named(path)
        if isinstance(e, Tensor):
            if not isinstance(g, Tensor):
                return Difference("type", f"{what} is {_kind(g)}; expected a tensor of shape {tuple(e.shape)}.")
            if e.shape != g.shape:
                return Difference(
                    "shape", f"{what} has shape {tuple(g.shape)}; expected {tuple(e.shape)}.{_ones(e, g)}"
                )
            if e.dtype != g.dtype:
                whole = "" if e.is_floating_point() or not g.is_floating_point() else ", whole numbers"
                return Difference("dtype", f"{what} is {_dtype(g)}; expected {_dtype(e)}{whole}.")
        elif _is_whole(e) and _is_broken(g):
            return Difference("type", f"{what} is {_number(g)}, a float; expected a whole number, an int (// divides "
                              "without a remainder, int(...) makes one of a float).")  # fmt: skip
        elif not _of_one_kind(e, g):
            return Difference("type", f"{what} is {_kind(g)}; expected {_kind(e)}.")
    return None


def _ones(e: Tensor, g: Tensor) -> str:
    """What two shapes have in common that differ by axes of length 1 only."""
    if [side for side in e.shape if side != 1] != [side for side in g.shape if side != 1]:
        return ""
    if g.dim() > e.dim():
        return " There is an axis of length 1 too many."
    if g.dim() == e.dim():
        return " An axis of length 1 is in the wrong place."
    return " An axis of length 1 is missing: a `squeeze` too many?"


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_broken(value: object) -> bool:
    """Whether a number, a tensor's too, is a float."""
    if isinstance(value, Tensor):
        return value.is_floating_point()
    return isinstance(value, float | np.floating)


def _of_one_kind(e: object, g: object) -> bool:
    """Whether a result can be compared with an expected one that is no tensor: both numbers, or of one type."""
    if _number(e) is not None:
        return _number(g) is not None
    return type(e) is type(g)


def _odd(expected: dict, got: dict) -> str:
    """The first result that is missing, too many, or a list in place of a tensor or the other way round."""
    missing = next((path for path in expected if path not in got), "")
    odd = next((path for path in got if path not in expected), "")
    if not odd:
        return f"{_named(missing)} is missing."
    inside = next((path for path in expected if odd.startswith(f"{path}[")), None)
    if inside is not None:
        return f"{_named(inside)} is a list, tuple or dictionary; expected {_kind(expected[inside])}."
    if missing.startswith(f"{odd}["):
        return f"{_named(odd)} is {_kind(got[odd])}; expected a list, tuple or dictionary."
    listed = list(expected)
    if len(listed) > 6:
        listed[6:] = ["..."]
    return f"There should be no result {odd}; expected {', '.join(listed)}."


def _named(path: str) -> str:
    if not path:
        return "The result"
    return f"Result {path.removeprefix('.')}"


def _nature(leaves: dict) -> str:
    if list(leaves) == [""]:
        return _kind(leaves[""])
    number = len({path.split("]")[0] for path in leaves})
    return f"{number} result{'s' if number != 1 else ''} in a list, tuple or dictionary"


def _kind(value: object) -> str:
    """What something is, in words."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    name = type(value).__name__
    article = "an" if name[:1] in "aeiou" else "a"
    return {"ndarray": "a numpy array", "NoneType": "None", "type": "a class"}.get(name, f"{article} {name}")


def _dtype(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def _number(value: object) -> float | None:
    """A Python number, or a tensor with one value, as a number; else None."""
    if isinstance(value, Tensor) and value.numel() == 1:
        return value.item()
    if isinstance(value, np.number):
        return value.item()
    if isinstance(value, bool | int | float):
        return value
    return None


def _values(expected: dict, got: dict, tolerance: float) -> Difference | None:
    for path, e in expected.items():
        text = _value_difference(e, got[path], tolerance)
        if text:
            return Difference("value", f"{_named(path)} {text}")
    return None


def _value_difference(expected: object, got: object, tolerance: float) -> str:
    """How the value of one result differs from the expected one, which is of its kind; empty if it doesn't."""
    if isinstance(expected, Tensor) and isinstance(got, Tensor):
        return tensor_difference(expected, got, tolerance)
    e, g = _number(expected), _number(got)
    if e is not None and g is not None:
        return _number_difference(e, g, tolerance)
    if expected != got:
        return f"is {str(got)[:80]!r}; expected {str(expected)[:80]!r}."
    return ""


def _number_difference(e: float, g: float, tolerance: float) -> str:
    both_nan = e != e and g != g
    if both_nan or abs(g - e) <= tolerance * max(abs(e), FLOOR):
        return ""
    return f"is {_pair(g, e)}."


def tensor_difference(expected: Tensor, got: Tensor, tolerance: float) -> str:
    """Where two tensors of one shape differ most, in words; empty if they don't."""
    e, g = expected.double(), got.double()
    wrong = _wrong(e, g, tolerance)
    if not wrong.any():
        return ""
    if not g[e.isfinite()].isfinite().all():
        return f"holds NaN or infinity ({int((~g.isfinite()).sum())} of {g.numel()} values)."
    farthest = int((e - g).abs().nan_to_num(posinf=0.0).argmax())
    index = tuple(np.unravel_index(farthest, e.shape))  # torch's own takes a second to start
    place = f" at [{', '.join(str(int(i)) for i in index)}]" if e.dim() else ""
    return f"is {_pair(g[index].item(), e[index].item(), place)}.{pattern(e, g, wrong)}"


def pattern(e: Tensor, g: Tensor, wrong: Tensor) -> str:
    """What all the differences have in common, where it can be seen: a sign, a factor, a constant, an axis, the rim."""
    close = partial(torch.allclose, g, rtol=1e-3, atol=1e-4 * _scale(e))
    if close(-e):
        return " The sign is the wrong way round everywhere."
    ratio = float((e * g).sum() / (e * e).sum().clamp_min(1e-30)) or 1.0  # of a single number only a plain one tells
    telling = e.numel() > 1 or any(abs(r - round(r)) < 1e-3 and round(r) in range(2, 21) for r in (ratio, 1 / ratio))
    if telling and abs(ratio - 1) > 1e-3 and close(ratio * e):
        return (
            f" Everything is {_short(ratio)} times what it should be: look for a forgotten or extra factor, or a sum "
            "in place of a mean."
        )
    offset = float((g - e).mean())
    if e.numel() > 1 and close(e + offset):
        return f" Everything is off by the same {_short(offset)}."
    if e.dim() >= 2 and e.shape[-1] == e.shape[-2] and close(e.transpose(-1, -2)):
        return " The last two axes are swapped."
    return _share(wrong)


def _share(wrong: Tensor) -> str:
    """Which part of a tensor differs."""
    if wrong.dim() == 4 and min(wrong.shape[-2:]) > 2 and not wrong[..., 1:-1, 1:-1].any():
        return " Only the rim of the picture differs: think of the padding."
    share = wrong.double().mean().item()
    if 0 < share < 1 and wrong.numel() > 1:
        return f" {share:.0%} of the values differ."
    return ""


def _effects(expected: Outcome, got: Outcome) -> Difference | None:
    """What an answer leaves changed that the reference doesn't; said first, as values may be wrong because of it."""
    for text in got.effects:
        if text not in expected.effects:
            return Difference("effect", text)
    return None


def _arguments(expected: Outcome, got: Outcome, tolerance: float) -> Difference | None:
    """Arguments after the call: an answer may change what the reference changes, and nothing else."""
    for path, e in expected.arguments.items():
        if not _argument_agrees(e, got.arguments.get(path), tolerance):
            return Difference("argument", f"The values are right, but {_side_effect(path, expected, got)}")
    return None


def _argument_agrees(e: object, g: object, tolerance: float) -> bool:
    """Whether an argument is as it should be after the call; only tensors are looked at."""
    if isinstance(e, Tensor) and isinstance(g, Tensor):
        return g.shape == e.shape and not tensor_difference(e, g, tolerance)
    return isinstance(e, Tensor) == isinstance(g, Tensor)


def _side_effect(path: str, expected: Outcome, got: Outcome) -> str:
    """What is wrong with an argument after the call."""
    if path not in expected.changed:
        return (
            f"`{path}` is changed in place by the call; leave it as it is. Look for `+=`, `x[...] =`, a method ending "
            "in _, or a function of torch that updates what it is given; work on a copy (.clone())."
        )
    if path not in got.changed:
        return f"`{path}` is as before; the call should change it in place."
    return f"`{path}` isn't what it should be after the call."


STILL_ATTACHED = (
    "the result still carries a gradient to its inputs: cut it off (`with torch.no_grad():` or `.detach()`)."
)
CUT_OFF = (
    "no gradient flows back: something cuts the result off (`.detach()`, `.item()`, `.data`, `torch.no_grad()`, a new "
    "tensor made from numbers)."
)


def _gradients(expected: dict | None, got: dict | None, tolerance: float) -> Difference | None:
    if expected is None:
        if got is None or not any(g.any() for g in got.values()):
            return None
        return Difference("gradient", "The values are right, but " + STILL_ATTACHED)
    if got is None:
        return Difference("gradient", "The values are right, but " + CUT_OFF)
    for path, e in expected.items():
        text = tensor_difference(e, got[path], tolerance)
        if not text:
            continue
        if not got[path].any():
            text = "is zero: something between it and the result is cut off (`.detach()`, `torch.no_grad()`)."
        elif not e.any():
            text = "should be zero: here the result must not depend on it (`.detach()`)."
        return Difference("gradient", f"The values are right, but the gradient for `{path}` {text}")
    return None


def _pair(got: float, expected: float, place: str = "") -> str:
    """Both values, with as many digits as it takes to see them differ."""
    g, e = _short(got), _short(expected)
    if g == e:
        g, e = f"{got:.12g}", f"{expected:.12g}"
    return f"{g}{place}; expected {e}"


def _short(value: float) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
