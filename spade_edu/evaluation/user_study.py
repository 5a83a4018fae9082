"""The user study of the SPADE paper (section 4, Table 2): which of two images fits the label map better?

A results file holds one answer a line, as JSON:

    {"mask": "val_0003", "left": "SPADE", "right": "CRN", "chosen": "left", "seconds": 4.2, "participant": "p07"}

`mask` names the label map, `left` and `right` the systems that painted the two images, `chosen` is "left" or "right",
`seconds` is the time from showing to answering, `participant` any name that keeps people apart.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import UserError


@dataclass(frozen=True)
class Choice:
    """One answer of one participant to one pair of images, in so many seconds.

    mask: the label map's name. left, right: the systems whose images stood there. chosen: "left" or "right".
    Errors: a UserError for a value that can't be.
    """

    mask: str
    left: str
    right: str
    chosen: str
    seconds: float
    participant: str

    def __post_init__(self) -> None:
        for name in ("mask", "left", "right", "participant"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value:
                raise UserError(f"{name} is a name, not {value!r}.")
        if self.chosen not in ("left", "right"):
            raise UserError(f"chosen is 'left' or 'right', not {self.chosen!r}.")
        if self.left == self.right:
            raise UserError(f"left and right are two different systems, but both are {self.left!r}.")
        if not isinstance(self.seconds, int | float) or not 0 <= self.seconds < math.inf:
            raise UserError(f"seconds is a time of at least 0, not {self.seconds!r}.")

    @property
    def winner(self) -> str:
        """The system whose image was chosen."""
        if self.chosen == "left":
            return self.left
        return self.right


def append_choice(
    path: Path, *, mask: str, left: str, right: str, chosen: str, seconds: float, participant: str
) -> Choice:
    """Check one answer and add it to a results file (made with its folder if it isn't there). Gives the answer."""
    choice = Choice(mask, left, right, chosen, seconds, participant)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(choice), ensure_ascii=False) + "\n")
    return choice


def load_choices(*paths: Path) -> list[Choice]:
    """The answers of one or several results files, in order; a line that occurs twice (a file handed in twice) once.

    Errors: a UserError that names file and line for anything that isn't an answer.
    """
    choices: dict[Choice, None] = {}
    for path in map(Path, paths):
        if not path.is_file():
            raise UserError(f"There is no results file {path}.")
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
            if line.strip():
                choices[_parse(line, f"{path}, line {number}")] = None
    return list(choices)


def _parse(line: str, place: str) -> Choice:
    try:
        return Choice(**json.loads(line))
    except UserError as error:
        raise UserError(f"{place}: {error}") from None
    except (ValueError, TypeError, RecursionError):
        names = ", ".join(Choice.__dataclass_fields__)
        raise UserError(f"{place}: expected a JSON object with {names}; got {line[:60]!r}.") from None


@dataclass(frozen=True)
class Preference:
    """How often `system` was chosen over `other`: `wins` of `answers`, by so many participants.

    `interval`: exact 95 % interval of the share, in [0, 1].
    """

    system: str
    other: str
    wins: int
    answers: int
    participants: int
    left: int  # answers that chose the left image, whatever it was: far from half means a habit, not a preference

    @property
    def share(self) -> float:
        """Share of answers for `system`, in [0, 1]."""
        return self.wins / self.answers

    @property
    def interval(self) -> tuple[float, float]:
        """Exact 95 % interval of the share."""
        return binomial_interval(self.wins, self.answers)


def preferences(choices: Iterable[Choice], system: str = "SPADE") -> list[Preference]:
    """Count, for each other system, how often `system` was chosen. Answers about other pairs don't enter."""
    against: dict[str, list[Choice]] = {}
    for choice in choices:
        if system in (choice.left, choice.right):
            other = choice.right if choice.left == system else choice.left
            against.setdefault(other, []).append(choice)
    return [
        Preference(
            system,
            other,
            wins=sum(c.winner == system for c in answers),
            answers=len(answers),
            participants=len({c.participant for c in answers}),
            left=sum(c.chosen == "left" for c in answers),
        )
        for other, answers in sorted(against.items())
    ]


def binomial_interval(wins: int, answers: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact interval (Clopper and Pearson 1934) of a probability of which `wins` of `answers` trials were seen.

    The answers count as independent; those of one person are not quite, so the truth is a little wider.
    Errors: a UserError unless 0 <= wins <= answers, answers > 0.
    """
    from scipy.stats import binomtest

    if not 0 <= wins <= answers or not answers:
        raise UserError(f"An interval needs 0 <= wins <= answers and an answer; got {wins} of {answers}.")
    interval = binomtest(wins, answers).proportion_ci(confidence, method="exact")
    return float(interval.low), float(interval.high)


def render(found: Sequence[Preference]) -> str:
    """The counts as text: share, exact interval, answers, people, and how often the left image was taken."""
    lines = [f"{'':24}{'chosen':>8}  {'95 % interval':>16}  {'answers':>8}  {'people':>6}  {'left taken':>10}"]
    for p in found:
        low, high = p.interval
        lines.append(
            f"{f'{p.system} vs {p.other}':24}{p.share:8.1%}  {f'{low:.1%} to {high:.1%}':>16}  {p.answers:8}  "
            f"{p.participants:6}  {p.left / p.answers:10.1%}"
        )
    return "\n".join(lines)
