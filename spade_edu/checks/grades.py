"""Grades as rows: what they say, their files, and the table of what a class should hear tomorrow."""

import csv
import io
import json
from collections import Counter
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ..course.overview import states
from ..course.parts_file import NAME, read_file, read_reference
from ..errors import UserError
from ..files import write_whole
from . import known, scorecard
from .scorecard import FILE

MOST_TEXT = 2000
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that a spreadsheet would compute


@dataclass(frozen=True)
class HandIn:
    """A notebook as it was handed in. files: what lies beside it and is given to it. trouble: why it can't be read."""

    name: str
    cells: list[str]
    files: dict[str, bytes]
    version: str
    trouble: str = ""


@dataclass(frozen=True)
class Grade:
    """One row for one exercise of one notebook.

    version: of the notebook, so that a second run does only what is new. look: a person has to decide.
    mistake: the names of the known mistakes that the message tells. remark: on whose work it is; a person decides.
    """

    notebook: str
    version: str
    stage: str
    exercise: str
    title: str
    passed: bool
    look: bool
    mistake: str
    remark: str
    message: str


def plain(text: str) -> str:
    """A text of bearable length that does nothing to a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text[:MOST_TEXT])


def beside(out: Path) -> Path:
    """The JSON file that goes with a CSV file."""
    return out.with_suffix(".json") if out.suffix != ".json" else out.with_suffix(".all.json")


def write_grades(grades: dict[str, list[Grade]], out: Path) -> None:
    """Write the rows of all notebooks as CSV to `out` and as JSON beside it."""
    rows = [asdict(grade) for of_notebook in grades.values() for grade in of_notebook]
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, [f.name for f in fields(Grade)])
    writer.writeheader()
    writer.writerows({name: _no_formula(value) for name, value in row.items()} for row in rows)
    write_whole(out, table.getvalue().encode("utf-8-sig", "replace"))  # Excel asks for the mark
    write_whole(beside(out), json.dumps(rows, indent=1, ensure_ascii=False).encode("utf-8", "replace"))


def _no_formula(value: object) -> object:
    """A text that a spreadsheet shows, and doesn't compute."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def read_grades(out: Path) -> dict[str, list[Grade]]:
    """The rows of an earlier run by notebook; none where there was none. Errors: a UserError for another file."""
    path = beside(out)
    found: dict[str, list[Grade]] = {}
    if not path.exists():
        return found
    try:
        for row in json.loads(path.read_text(encoding="utf-8")):
            grade = Grade(**row)
            found.setdefault(grade.notebook, []).append(grade)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{path} holds no grades of this version: remove it, or choose another --out.") from error
    return found


def own_words(folder: Path) -> list[str]:
    """What the scorecards and files of parts in a folder say, a line for each folder that holds one."""
    places = {path.parent for name in (FILE.name, NAME) for path in folder.rglob(name)}
    return [plain(f"{place.relative_to(folder)}: {_own_words(place)}") for place in sorted(places)]


def _own_words(place: Path) -> str:
    if any(path.exists() and not _bearable(path) for path in (place / FILE, place / NAME)):
        return "what lies there is no scorecard and no file of parts"
    solved = sum(scorecard.read(place).get(name, False) for name in known())
    try:
        state = Counter(states(read_file(place / NAME), read_reference()).values())
        parts = f"{NAME}: {state['kept']} parts kept, {state['borrowed']} borrowed, {state['open']} open"
    except (UserError, OSError, ValueError) as error:
        parts = f"{NAME}: {error}"
    return f"{solved} exercises solved by its own scorecard; {parts}"


def _bearable(path: Path) -> bool:
    """Whether it is an ordinary file (no pipe, no device) of at most a megabyte."""
    return path.is_file() and path.stat().st_size < 2**20


def class_table(grades: list[Grade]) -> str:
    """For each exercise how many solved it, and which known mistakes were how frequent: what to explain tomorrow."""
    lines = []
    for name, exercise in known().items():
        rows = [grade for grade in grades if grade.exercise == name]
        if not rows:
            continue
        looks = sum(row.look for row in rows)
        lines.append(
            f"{exercise.stage} {name}: {sum(row.passed for row in rows)} of {len(rows)} solved"
            + (f", {looks} to look at" if looks else "")
        )
        made = Counter(mistake for row in rows for mistake in row.mistake.split())
        lines += [f"   {times} x {mistake}: {exercise.mistakes[mistake]}" for mistake, times in made.most_common()]
    return "\n".join(lines)
