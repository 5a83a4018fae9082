"""A file of parts is tried in a process of its own before it replaces the student's: imported, then its parts checked.

The process (`python -m spade_edu.checks.try_file`) writes a line for every step; this side ends it when one takes too
long.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from ..errors import UserError
from .parts_file import NAME

MORE = " On a busy machine keep(..., seconds=120) gives it longer."
START_SECONDS = 120.0  # for a process to import torch on a slow machine


class Verdict(NamedTuple):
    """What the check of a part says."""

    passed: bool
    message: str


def try_file(text: str, names: list[str], seconds: float) -> dict[str, Verdict]:
    """What the checks say of these parts of a file, by name; a part without a check has no entry.

    seconds: that the import, and each check, may take. Errors: a UserError where the import fails or takes longer.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        report, errors = Path(folder, "report.jsonl"), Path(folder, "errors.txt")
        Path(folder, NAME).write_text(text, encoding="utf-8")
        package = str(Path(__file__).parents[2])
        paths = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
        with errors.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "spade_edu.checks.try_file", *names],
                cwd=folder,
                env=os.environ | {"PYTHONPATH": paths, "PYTHONUTF8": "1"},  # its print("→") is no mistake on Windows
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
        try:
            late = _watch(process, report, seconds)
        finally:
            process.kill()
            process.wait()
        steps = _read(report)
        if not steps:
            said = errors.read_text(encoding="utf-8", errors="replace").splitlines()[-1:] or [
                f"{'late' if late else process.returncode}"
            ]
            raise UserError(f"Python could not be started to try {NAME} ({said[0]}). Run `spade-edu doctor`.")
        if late:
            return _verdicts(steps, f"took longer than {seconds:g} s", MORE)
        return _verdicts(steps, "ended the Python process")


def _watch(process: subprocess.Popen, report: Path, seconds: float) -> bool:
    """Wait for the end of a process; True where one of its steps took longer than it may."""
    steps, begun = 0, time.monotonic()
    while process.poll() is None:
        time.sleep(0.05)
        if len(_read(report)) != steps:
            steps, begun = len(_read(report)), time.monotonic()
        if time.monotonic() - begun > (seconds if steps else START_SECONDS):
            return True
    return False


def _read(report: Path) -> list[dict]:
    """The complete lines of a report."""
    lines = report.read_bytes().splitlines(keepends=True) if report.exists() else []
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def _verdicts(steps: list[dict], end: str, more: str = "") -> dict[str, Verdict]:
    """What came of each step; `end`: what became of a step that was begun and has no result; `more`: what may help."""
    found = {}
    for step, result in zip(steps[::2], [*steps[1::2], None]):
        name = step["begun"]
        if name == NAME and result is None:
            raise UserError(f"importing {NAME} {end}: is there a loop, or a training, at its top level?")
        if name == NAME and result and result["message"]:
            raise UserError(f"{NAME} can't be imported: {result['message']}")
        if result is None:
            found[name] = Verdict(False, f"Its check {end}.{more}")
        elif name != NAME:
            found[name] = Verdict(result["passed"], result["message"])
    return found
