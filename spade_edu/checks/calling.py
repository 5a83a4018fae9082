"""Calling a student's function so that nothing it does gets out: copies in, everything it did noted.

What can't be caught inside one process: a crash of the interpreter (os._exit, a segmentation fault), the system's own
end for a process that takes all memory, and a single long call into torch, which is only left when it returns.
`spade-edu grade` runs answers in processes of their own for that reason.
"""

import contextlib
import copy
import ctypes
import io
import random
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import reduce
from typing import TypeVar

import torch
from torch import Tensor, nn

from .effects import effects, watched
from .exercise import Case

T = TypeVar("T")

SECONDS = 3.0  # of computing, that one call may take; every right answer takes milliseconds
PATIENCE = 3.0  # times as many seconds by the clock, for machines that are busy with other things


class TimeUp(BaseException):
    """The call took too long. (Not an Exception, so that `except Exception` in an answer doesn't swallow it.)"""


class Complaint(TypeError):
    """What an exercise's `observe` says about a result that it can't take: a whole sentence, shown as it is."""


@dataclass
class Outcome:
    """What a call did. Tensors are copies without history, so that later calls can't change them."""

    leaves: dict[str, object] = field(default_factory=dict)  # path in the result: tensor, number or other object
    arguments: dict[str, object] = field(default_factory=dict)  # the same for the arguments, after the call
    changed: frozenset[str] = frozenset()  # the arguments' paths whose tensors the call changed
    effects: tuple[str, ...] = ()  # what else it left changed in lists, dictionaries and networks, in sentences
    gradients: dict[str, Tensor] | None = None  # by argument; None: no gradient flows at all
    error: BaseException | None = None
    trouble: str = ""  # a global setting that it left changed


class Answered:
    """An answer that says by itself what came of a call: grading writes calls down, and reads them elsewhere."""

    def outcome(self, case: Case, names: list[str], observe: Callable | None, seed: int) -> Outcome:
        """What `call` gives for it."""
        raise NotImplementedError

    def __call__(self, *arguments: object) -> object:
        """What it returns for these arguments."""
        raise NotImplementedError


def call(function: Callable, case: Case, names: list[str], observe: Callable | None = None, seed: int = 0) -> Outcome:
    """Call a student's `function` on copies of the case's arguments and note all that it does.

    Every call draws the same random numbers, so that an answer that has to draw can be held against the reference.
    """
    if isinstance(function, Answered):
        return function.outcome(case, names, observe, seed)
    return _called(guarded, function, case, names, observe, seed)


def call_own(
    function: Callable, case: Case, names: list[str], observe: Callable | None = None, seed: int = 0
) -> Outcome:
    """The same for a function of the course: nothing is guarded but errors, and no time is lost on it."""
    return _called(_unguarded, function, case, names, observe, seed)


Guard = Callable[[Callable[[], T]], tuple[T | None, BaseException | None, str]]


def _called(
    guard: Guard, function: Callable, case: Case, names: list[str], observe: Callable | None, seed: int
) -> Outcome:
    """What the function returned, changed and passes gradients to."""
    given, inputs = copy_arguments(case, names)
    things = [thing for name, value in zip(names, given) for thing in watched(value, name)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        result, error, trouble = guard(lambda: _observed(function, given, observe))
    if error is not None:
        return Outcome(effects=effects(things), error=error, trouble=trouble)
    leaves = flatten(result, "")
    left = effects(things)
    gradients = None
    if case.gradient:
        gradients, stopped, _ = guard(lambda: _gradients(leaves, inputs))  # an error here: no gradient can be had
        error = stopped if isinstance(stopped, TimeUp) else None
    arguments = {path: leaf for name, value in zip(names, given) for path, leaf in flatten(value, name).items()}
    changed = _changed(case, names, arguments)
    return Outcome(_frozen(leaves), _frozen(arguments), changed, left, gradients, error, trouble)


def _unguarded(function: Callable[[], T]) -> tuple[T | None, BaseException | None, str]:
    """What `guarded` gives, for functions that need no guard."""
    with torch.random.fork_rng(devices=[]), torch.enable_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return function(), None, ""
        except Exception as error:
            return None, error, ""


def _changed(case: Case, names: list[str], after: dict[str, object]) -> frozenset[str]:
    """The paths of the tensors among the arguments that aren't as they were before the call."""
    before = {path: leaf for name, value in zip(names, case.arguments) for path, leaf in flatten(value, name).items()}
    pairs = [(path, before.get(path), leaf) for path, leaf in after.items() if isinstance(leaf, Tensor)]
    return frozenset(path for path, b, a in pairs if not (isinstance(b, Tensor) and _equal(a, b)))


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and torch.allclose(a, b, rtol=0, atol=0, equal_nan=True)


def _observed(function: Callable, given: list, observe: Callable | None) -> object:
    result = function(*given)
    return result if observe is None or result is None else observe(result, *given)


def copy_arguments(case: Case, names: list[str]) -> tuple[list, dict[str, Tensor]]:
    """Copies of the arguments, and the leaves that gradients are taken of, by name.

    A tensor is handed over as a copy of a leaf, so that an answer may work in place and be told so.
    """
    inputs: dict[str, Tensor] = {}
    pairs = list(zip(names, case.arguments))
    return [_copy(v, name, inputs) if case.follows(name) else copy.deepcopy(v) for name, v in pairs], inputs


def _copy(value: object, path: str, inputs: dict[str, Tensor]) -> object:
    if isinstance(value, Tensor) and value.is_floating_point():
        inputs[path] = value.detach().clone().requires_grad_()
        return inputs[path].clone()
    if isinstance(value, list | tuple):
        return type(value)(_copy(v, f"{path}[{i}]", inputs) for i, v in enumerate(value))
    if isinstance(value, dict):
        return {key: _copy(v, f"{path}[{key!r}]", inputs) for key, v in value.items()}
    value = copy.deepcopy(value)
    if isinstance(value, nn.Module):
        inputs.update({f"{path}.{name}": p for name, p in value.named_parameters() if p.requires_grad})
    return value


def flatten(value: object, path: str) -> dict[str, object]:
    """Every tensor, number or other object inside lists, tuples, dictionaries and networks, by its path."""
    if isinstance(value, nn.Module):
        state = {f"{path}.{name}": tensor for name, tensor in value.state_dict(keep_vars=True).items()}
        return state | {f"{path}.{name}.grad": p.grad for name, p in value.named_parameters() if p.grad is not None}
    if isinstance(value, list | tuple):
        return {k: v for i, item in enumerate(value) for k, v in flatten(item, f"{path}[{i}]").items()}
    if isinstance(value, dict):
        return {k: v for key, item in value.items() for k, v in flatten(item, f"{path}[{key!r}]").items()}
    return {path: value}


def _gradients(leaves: dict[str, object], inputs: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Gradients of a fixed random combination of all results; None if no result has a history."""
    terms = []
    for i, (_, leaf) in enumerate(sorted(leaves.items(), key=lambda item: item[0])):  # a dictionary has no order
        if isinstance(leaf, Tensor) and leaf.requires_grad:
            weights = torch.randn(leaf.shape, generator=torch.Generator().manual_seed(i), dtype=leaf.dtype)
            terms.append((leaf * weights).sum())
    if not terms or not inputs:
        return None
    followed = {name: x for name, x in inputs.items() if x.requires_grad}  # an answer may have frozen a network
    gradients = torch.autograd.grad(reduce(torch.add, terms), list(followed.values()), allow_unused=True)
    found = dict(zip(followed, gradients))
    return {name: torch.zeros_like(x) if found.get(name) is None else found[name] for name, x in inputs.items()}


def _frozen(leaves: dict[str, object]) -> dict[str, object]:
    return {path: leaf.detach().clone() if isinstance(leaf, Tensor) else leaf for path, leaf in leaves.items()}


def guarded(function: Callable[[], T]) -> tuple[T | None, BaseException | None, str]:
    """(result, error, trouble) of function(): no exception, print, warning or changed setting gets out."""
    result, error = None, None
    with _settings_kept() as trouble, contextlib.ExitStack() as stack:
        for stream in (contextlib.redirect_stdout, contextlib.redirect_stderr):
            stack.enter_context(stream(_Sink()))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        try:
            with time_limit(SECONDS):
                result = function()
        except BaseException as caught:  # sys.exit and KeyboardInterrupt too: an answer must not end a notebook
            error = caught
    return result, error, "".join(trouble)


class _Sink(io.TextIOBase):
    """Where an answer's prints go: nowhere, however many they are."""

    def write(self, text: str) -> int:
        return len(text)


@contextlib.contextmanager
def _settings_kept() -> Iterator[list[str]]:
    """Torch's global settings and every random state are as before afterwards; the list names what was changed."""
    before = torch.is_grad_enabled(), torch.get_default_dtype(), torch.initial_seed()
    states = torch.get_rng_state(), random.getstate(), sys.getrecursionlimit()
    torch.set_grad_enabled(True)
    changed: list[str] = []
    try:
        yield changed
    finally:
        if not torch.is_grad_enabled():
            changed.append(
                "It switches gradients off for everything after it: use `with torch.no_grad():`, which ends."
            )
        if torch.get_default_dtype() != before[1]:
            changed.append("It changes torch's default dtype for everything after it.")
        if torch.initial_seed() != before[2]:
            changed.append("It seeds torch's random numbers, for everything after it: leave the seed to the caller.")
            torch.manual_seed(before[2])
        torch.set_grad_enabled(before[0])
        torch.set_default_dtype(before[1])
        torch.set_rng_state(states[0])
        random.setstate(states[1])
        sys.setrecursionlimit(states[2])


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeUp inside the block after `seconds` of computing, again and again until it is left."""
    main = threading.current_thread() is threading.main_thread()
    clock = _Clock(seconds)
    with _by_signal(clock) if main and hasattr(signal, "setitimer") else _by_thread(clock):
        yield


class _Clock:
    """Knows when the time is up."""

    def __init__(self, seconds: float):
        self.seconds, self.computed, self.begun = seconds, time.process_time(), time.monotonic()
        self.left = False  # the block that is timed

    def up(self) -> bool:
        computed, passed = time.process_time() - self.computed, time.monotonic() - self.begun
        return computed >= self.seconds or passed >= PATIENCE * self.seconds

    def stop(self, number: int, frame: object) -> None:
        """What the signal does."""
        if self.up() and not self.left:
            raise TimeUp


@contextlib.contextmanager
def _by_signal(clock: _Clock) -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, clock.stop)
    signal.setitimer(signal.ITIMER_REAL, clock.seconds, 0.013)
    try:
        yield
    finally:
        clock.left = True  # a signal that comes on the way out stops nothing
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _by_thread(clock: _Clock) -> Iterator[None]:
    """Windows, and threads other than the main one, where a signal can't be had."""
    target, done, lock = ctypes.c_ulong(threading.get_ident()), threading.Event(), threading.Lock()
    sent = threading.Event()

    def send() -> None:
        sent.set()
        ctypes.pythonapi.PyThreadState_SetAsyncExc(target, ctypes.py_object(TimeUp))

    def watch() -> None:
        while not done.wait(0.05):
            with lock:
                if clock.up() and not done.is_set():
                    send()

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        with lock:
            done.set()
        if sent.is_set():
            # One may still be on its way: another takes its place and ends here. (Taken back with None, it would leave
            # the interpreter looking for it for ever; under sys.setprofile CPython 3.11 then hangs.)
            with contextlib.suppress(TimeUp):
                send()
                time.sleep(1)


def where(error: BaseException) -> str:
    """The line of the answer on which an exception was raised, as `line 3: y = x @ z` (empty if unknown)."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "spade_edu" not in f.filename]
    frames = [f for f in frames if "site-packages" not in f.filename]
    if not frames or not frames[-1].line:
        return ""
    line = frames[-1].line
    if len(line) > 100:
        line = line[:97] + "..."
    return f" (line {frames[-1].lineno}: {line})"
