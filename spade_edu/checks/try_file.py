"""What `keep` runs in a process of its own (course/trial.py): `python -m spade_edu.checks.try_file NAME ...`."""

import contextlib
import importlib
import json
import os
import sys
import traceback
from pathlib import Path

from ..course.parts_file import NAME
from . import check, has_check


def run(names: list[str]) -> None:
    """Import the file of this folder and check its parts; two lines for each step: begun, and what came of it."""
    sys.path.insert(0, os.getcwd())
    with Path("report.jsonl").open("a", encoding="utf-8") as file:

        def write(**line: object) -> None:
            print(json.dumps(line), file=file, flush=True)

        write(begun=NAME)
        module, message = _imported()
        write(message=message)
        checked = [name for name in names if module and has_check(name)]
        for name in checked:
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
