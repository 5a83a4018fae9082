"""What an exercise is: a record with a reference, the cases it is tried on, and the mistakes that are known by name."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any, TypeVar

T = TypeVar("T")
Wrong = frozenset[str]  # the mistakes that a `mistaken` function is to make, by name


def variant(wrong: Wrong, right: T, **mistakes: T) -> T:
    """The value that goes with the first of `mistakes` (name = value) that is in `wrong`; `right` if none is."""
    return next((value for name, value in mistakes.items() if name in wrong), right)


@dataclass(frozen=True)
class Case:
    """One call: a few words that tell a student which inputs these are, and the arguments by position.

    gradient: also compare the gradients with respect to every floating tensor and every parameter of a network among
    the arguments; or the names of the arguments to take; or False.
    """

    text: str
    arguments: tuple
    gradient: bool | tuple[str, ...] = True

    def follows(self, name: str) -> bool:
        """Whether gradients with respect to the argument called `name` are compared."""
        if isinstance(self.gradient, tuple):
            return name in self.gradient
        return self.gradient


def case(text: str, *arguments: Any, gradient: bool | tuple[str, ...] = True) -> Case:
    """A Case, written like a call."""
    return Case(text, arguments, gradient)


@dataclass(frozen=True)
class Exercise:
    """One exercise. Its name and signature are those of `reference`, which is written for reading.

    cases: makes the calls that an answer is tried on (called with a fixed seed).
    mistaken: mistaken(wrong, *arguments) does what the reference does, with the mistakes in the set `wrong`.
    mistakes: the mistakes it knows, each with what a student who made it should read.
    hints: where to look; the shape of the answer; most of the line.
    probes: each takes (call, reference) and returns a sentence if a property is broken, else None. They run on wrong
    answers that none of the mistakes explains; call(*arguments) is the answer, guarded.
    observe: observe(output, *arguments) turns what a function returns (a network, say) into what is compared.
    tolerance: relative to the largest expected value of a tensor.
    together: how many mistakes at once are looked for.
    wanted: what is handed in, in a word.
    """

    stage: str
    title: str
    goal: str
    minutes: int
    difficulty: int  # 1 to 3
    reference: Callable
    cases: Callable[[], list[Case]]
    mistaken: Callable
    mistakes: dict[str, str]
    hints: tuple[str, str, str]
    probes: tuple[Callable, ...] = ()
    observe: Callable | None = None
    tolerance: float = 1e-3
    together: int = 2
    wanted = "function"

    @property
    def name(self) -> str:
        """The name of the function that a student writes."""
        return self.reference.__name__

    @property
    def signature(self) -> str:
        """`name(arguments) -> result`, with types and shapes."""
        text = str(inspect.signature(self.reference)).replace("jaxtyping.", "").replace("torch.Tensor", "Tensor")
        return self.name + text.replace("torch.nn.modules.module.", "nn.").replace("torch.nn.modules.container.", "nn.")

    @property
    def parameters(self) -> list[str]:
        """The names of the arguments."""
        return list(inspect.signature(self.reference).parameters)

    @property
    def axes(self) -> dict[str, tuple[str, ...]]:
        """The names of each argument's axes, from its shape type: {"x": ("n", "c", "h", "w")}."""
        parameters = inspect.signature(self.reference).parameters.values()
        shapes = {p.name: getattr(p.annotation, "dim_str", "") for p in parameters}
        return {name: tuple(text.split()) for name, text in shapes.items() if re.fullmatch(r"[\w ]+", text)}

    def readings(self, answer: Callable) -> list[Callable]:
        """The functions that an answer may stand for; one of them has to be right."""
        return [answer]


@dataclass(frozen=True)
class Result:
    """What a check found; shows itself at the end of a notebook cell."""

    name: str
    passed: bool
    message: str

    def __repr__(self) -> str:
        return f"{'✓' if self.passed else '✗'} {self.name}: {self.message}"

    def __bool__(self) -> bool:
        return self.passed

    def _repr_html_(self) -> str:
        colour = "#1a7f37" if self.passed else "#b3261e"
        return f'<div style="color:{colour};white-space:pre-wrap;max-width:80ch">{escape(repr(self))}</div>'
