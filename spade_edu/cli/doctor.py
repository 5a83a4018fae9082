"""`spade-edu doctor`."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(doctor)


def doctor(
    out: Annotated[Path, typer.Option(help="Folder that runs are to be written to.")] = Path("runs"),
    timing: Annotated[bool, typer.Option(help="Time a generator (some seconds).")] = True,
    class_: Annotated[bool, typer.Option("--class", help="Try all that a class will need (20 minutes).")] = False,
) -> None:
    """Check this machine: Python, torch, device, disk, data sets, widgets, speed. Paste the report into bug reports."""
    from ..course.doctor import examine

    report = examine(out, timing)
    print(report)
    healthy = report.healthy
    if class_:
        healthy = _class_goes_well() and healthy
    if not healthy:
        raise typer.Exit(1)


def _class_goes_well() -> bool:
    """Try what a class will need, one line a step; whether all of it works."""
    from ..course.doctor import OK
    from ..course.dry_run import MINUTES, class_steps, dry_run

    print(f"\nA class's day, tried in at most {MINUTES} minutes:", flush=True)
    report = dry_run(class_steps(), say=partial(print, flush=True))
    worst = sum(finding.level != OK for finding in report.findings)
    print(f"{len(report.findings) - worst} of {len(report.findings)} steps work.")
    return not worst
