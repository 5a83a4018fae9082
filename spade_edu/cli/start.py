"""`spade-edu start`: the student's folder."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(start)


def start(
    folder: Annotated[Path, typer.Argument(help="Folder to make, or to bring up to date.")],
    with_solutions: Annotated[bool, typer.Option("--with-solutions", help="Fold a solution under each check.")] = False,
) -> None:
    """Make your folder: notebooks, exercises and an empty my_spade.py. What you changed in an older one stays."""
    from ..course.folder import make_folder

    print("\n".join(make_folder(folder, with_solutions)))
