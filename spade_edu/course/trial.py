"""A file of parts is tried in a process of its own before it replaces the student's: imported, then its parts checked.

The process (`python -m spade_edu.course.trial`) writes a line for every step; this side ends it when one takes too
long.
"""

import contextlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import NamedTuple

from ..errors import UserError
from .parts_file import NAME

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
                [sys.executable, "-m", "spade_edu.course.trial", *names],
                cwd=folder,
                env=os.environ | {"PYTHONPATH": paths},
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
            said = errors.read_text(errors="replace").splitlines()[-1:] or [f"{'late' if late else process.returncode}"]
            raise UserError(f"Python could not be started to try {NAME} ({said[0]}). Run `spade-edu doctor`.")
        return _verdicts(steps, f"took longer than {seconds:g} s" if late else "ended the Python process")


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


def _verdicts(steps: list[dict], end: str) -> dict[str, Verdict]:
    """What came of each step; `end`: what became of a step that was begun and has no result."""
    found = {}
    for step, result in zip(steps[::2], [*steps[1::2], None]):
        name = step["begun"]
        if name == NAME and result is None:
            raise UserError(f"importing {NAME} {end}: is there a loop, or a training, at its top level?")
        if name == NAME and result and result["message"]:
            raise UserError(f"{NAME} can't be imported: {result['message']}")
        if result is None:
            found[name] = Verdict(False, f"its check {end}.")
        elif name != NAME:
            found[name] = Verdict(result["passed"], result["message"])
    return found


# --- inside the process ---


def run(names: list[str]) -> None:
    """Import the file of this folder and check its parts; two lines for each step: begun, and what came of it."""
    from ..checks import check, has_check

    sys.path.insert(0, os.getcwd())
    with Path("report.jsonl").open("a", encoding="utf-8") as file:

        def write(**line: object) -> None:
            print(json.dumps(line), file=file, flush=True)

        write(begun=NAME)
        module, message = _imported()
        write(message=message)
        for name in names if module else []:
            if has_check(name):
                write(begun=name)
                result = check(name, getattr(module, name, None))
                write(passed=result.passed, message=result.message)
    os._exit(0)  # threads and exit handlers of the file may not hold the process


def _imported() -> tuple[object, str]:
    """The module, or what went wrong, with the line."""
    try:
        return importlib.import_module(Path(NAME).stem), ""
    except BaseException as error:  # sys.exit too
        frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).name == NAME]
        where = f"line {frames[-1].lineno} ({frames[-1].line}), " if frames else ""
        with contextlib.suppress(Exception):
            return None, f"{where}{type(error).__name__}: {error}"
        return None, f"{where}{type(error).__name__}"


if __name__ == "__main__":
    run(sys.argv[1:])
