"""The option --code of train, sample, evaluate and paint: the student's own file, run because it is named there."""

from pathlib import Path
from typing import Annotated, Any

import typer

Code = Annotated[Path | None, typer.Option(help="Your my_spade.py, which trained the run; its code is run.")]


def networks_of(run: Path, labels: Any, code: Path | None) -> tuple[Any, Any]:
    """Generator and style encoder (None without one) of a run."""
    if code is None:
        from ..runs.loading import load_networks

        networks = load_networks(run, labels)
        return networks.generator, networks.encoder
    from ..course.own_code import read_code
    from ..course.own_run import load_own

    return load_own(run, labels, read_code(code))
