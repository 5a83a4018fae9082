"""A prediction before a surprise, and its result beside it.

    predict("01-depth", ...)             # ...: not answered yet; nothing happens
    predict("01-depth", "shrinks")       # put down in the student's folder
    reveal("01-depth", "shrinks")        # after the experiment: both, side by side

Nothing is ever blocked: without a prediction `reveal` is silent.
"""

import json
from types import EllipsisType

from ..errors import UserError
from ..files import student_folder, write_whole
from .questions import PREDICTIONS

FILE = "spade_edu_predictions.json"
Guess = str | float


def predict(name: str, guess: Guess | EllipsisType = ...) -> None:
    """Put a prediction down; a guess of another kind than was asked gets one line and is not put down.

    guess: a number, one of the choices, or a few words, as the question asks; `...` where it isn't answered yet.
    Errors: a UserError where no question has this name.
    """
    kind = _kind(name)
    if isinstance(guess, EllipsisType):
        return
    wrong = _fault(kind, guess)
    if wrong:
        print(f"Not put down: {wrong}, not {guess!r}.")
        return
    write_whole(student_folder() / FILE, json.dumps(_stored() | {name: guess}, indent=1, ensure_ascii=False) + "\n")
    print(f"Put down: {guess}.")


def reveal(name: str, value: Guess) -> None:
    """What was predicted beside what came out; silent where nothing was predicted.

    Errors: a UserError where no question has this name.
    """
    kind, guesses = _kind(name), _stored()
    if name not in guesses:
        return
    said, came = (f"{v:.3g}" if isinstance(v, int | float) else v for v in (guesses[name], value))
    agreed = " ✓" if isinstance(kind, tuple) and said == came else ""
    print(f"You predicted: {said}. It came out: {came}.{agreed}")


def _kind(name: str) -> type | tuple[str, ...]:
    if name not in PREDICTIONS:
        raise UserError(f"No question is called {name!r}; {', '.join(PREDICTIONS)}.")
    return PREDICTIONS[name]


def _fault(kind: type | tuple[str, ...], guess: object) -> str:
    """What was asked, where the guess is of another kind; else nothing."""
    if isinstance(kind, tuple):
        return "" if guess in kind else f"it is one of {', '.join(kind)}"
    if kind is float:
        return "" if isinstance(guess, int | float) and not isinstance(guess, bool) else "it is a number"
    return "" if isinstance(guess, str) and guess.strip() else "it is a few words in quotation marks"


def _stored() -> dict[str, Guess]:
    """The predictions of the student's folder; none where its file is missing or broken."""
    try:
        found = json.loads((student_folder() / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
