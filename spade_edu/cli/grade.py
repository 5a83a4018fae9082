"""`spade-edu grade`: every answer in a folder of exercise notebooks, for an instructor."""

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..checks.grades import Grade


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(grade)


def grade(
    folder: Annotated[Path, typer.Argument(help="Folder of notebooks; folders below it are read too.")],
    out: Annotated[Path, typer.Option(help="CSV file to write; a JSON file of the same rows stands beside it.")] = Path(
        "grades.csv"
    ),
    seconds: Annotated[float, typer.Option(help="One cell may take so long, a notebook ten times that.", min=1)] = 60,
    shell: Annotated[bool, typer.Option("--shell", help="Run lines like !ls and %pip as well.")] = False,
) -> None:
    """Run every exercise notebook in a process of its own, and write who solved what (CSV and JSON).

    Grades are written after each notebook. A second run with the same --out does what is new or changed.
    """
    from ..checks.grades import beside, class_table, own_words
    from ..checks.grading import grade_folder
    from ..checks.wall import best_wall

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the notebook's process is ended as well
    grades: list[Grade] = []
    for rows in grade_folder(folder, seconds, out, shell):
        if not grades:
            print(best_wall().says)
        grades += rows
        _say(rows)
    print("\n".join([class_table(grades), *own_words(folder)]))
    solved, asked = sum(row.passed for row in grades), sum(bool(row.exercise) for row in grades)
    looks = sum(row.look for row in grades)
    print(f"{solved} of {asked} answers pass, {looks} need a look: {out}, {beside(out)}")


def _say(rows: "list[Grade]") -> None:
    """A line on a notebook, and one for each reason why a person has to look at it."""
    print(f"{rows[0].notebook}: {sum(row.passed for row in rows)} of {sum(bool(row.exercise) for row in rows)}")
    for message in dict.fromkeys(row.message for row in rows if row.look):
        names = ", ".join(row.exercise for row in rows if row.look and row.message == message)
        print(f"    {names or 'the notebook'}: {message}")
    for row in rows:
        if row.remark:
            print(f"    {row.exercise}: {row.remark}")
    sys.stdout.flush()
