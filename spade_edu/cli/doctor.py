"""`spade-edu doctor`."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(doctor)


def doctor(
    out: Annotated[Path, typer.Option(help="Folder that runs are to be written to.")] = Path("runs"),
    timing: Annotated[bool, typer.Option(help="Time a generator (some seconds).")] = True,
) -> None:
    """Check this machine: Python, torch, device, disk, data sets, widgets, speed. Paste the report into bug reports."""
    from ..course.doctor import examine

    report = examine(out, timing)
    print(report)
    if not report.healthy:
        raise typer.Exit(1)
