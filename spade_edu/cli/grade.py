"""`spade-edu grade`: every answer in a folder of exercise notebooks, for an instructor."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(grade)


def grade(
    folder: Annotated[Path, typer.Argument(help="Folder of notebooks; folders below it are read too.")],
    out: Annotated[Path, typer.Option(help="CSV file to write; a JSON file of the same rows stands beside it.")] = Path(
        "grades.csv"
    ),
    seconds: Annotated[float, typer.Option(help="One cell may take so long.", min=1)] = 60,
) -> None:
    """Run every exercise notebook in a process of its own, and write who solved what (CSV and JSON)."""
    from ..checks.grading import grade_folder, write_grades

    grades = []
    for rows in grade_folder(folder, seconds):
        grades += rows
        if rows:
            print(f"{rows[0].notebook}: {sum(row.passed for row in rows)} of {len(rows)}", flush=True)
    beside = write_grades(grades, out)
    print(f"{sum(row.passed for row in grades)} of {len(grades)} answers pass: {out}, {beside}")
