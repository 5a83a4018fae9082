"""Grading notebooks without a person: each in a process of its own, so that whatever it does costs one answer only.

The process (`python -m spade_edu.checks.grading`) runs the notebook's cells and, in place of a cell's
`check("name", answer)`, checks the answer and writes a line to a file. This side watches the file: a cell that takes
too long or takes the process down is left out in the next process, which goes on with the rest. Memory, processor time
and the size of files are limited where the system can (Linux). All notebooks are read before the first one runs, so
that none can change another's grades. It is no prison: an answer runs with your rights, and may read and delete what
you may. Grade people whom you don't know in a container.
"""

import ast
import contextlib
import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ..course.folder import is_reading
from ..errors import UserError
from ..files import write_whole
from . import check, known

START_SECONDS = 120  # for a process to import torch on a slow machine
GIGABYTES = 4  # that the cells of a notebook may take beyond what torch takes
MOST_SECONDS = 86400  # that a cell may be given
FILE_BYTES = 2**30  # of a file that a cell writes
CPU_SECONDS = 3600  # of a process and of any that it started, should one have escaped
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, MemoryError)  # a notebook


@dataclass(frozen=True)
class Grade:
    """One row for one exercise of one notebook."""

    notebook: str
    stage: str
    exercise: str
    title: str
    passed: bool
    message: str


def grade_folder(folder: Path, seconds: float) -> Iterator[list[Grade]]:
    """The grades of every notebook in a folder and the folders below it, one list a notebook.

    Errors: a UserError where the folder doesn't exist or holds no notebook.
    """
    if not 1 <= seconds <= MOST_SECONDS:  # nan as well
        raise UserError(f"A cell may take 1 to {MOST_SECONDS} seconds, not {seconds}.")
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder. Give the folder that holds the exercise notebooks.")
    paths = [p for p in sorted(folder.rglob("*.ipynb")) if ".ipynb_checkpoints" not in p.parts and not is_reading(p)]
    if not paths:
        raise UserError(f"{folder} holds no notebook (*.ipynb).")
    notebooks = [(read_cells(path), str(path.relative_to(folder))) for path in paths]
    for cells, name in notebooks:
        yield grade_notebook(cells, seconds, name.encode("utf-8", "replace").decode())


def read_cells(path: Path) -> list[str] | str:
    """The sources of a notebook's code cells, or a sentence that it can't be read."""
    try:
        return code_cells(path)
    except UNREADABLE as error:
        return f"This is not a readable notebook ({type(error).__name__})."


def grade_notebook(cells: list[str] | str, seconds: float, name: str) -> list[Grade]:
    """The grades of one notebook: the exercises of its stage (its name starts with NN_) and those that it checks.

    cells: as `read_cells` gives them. name: of the notebook, with the folders above it.
    """
    sources: list[str] = []
    found: dict[str, tuple[bool, str]] = {}
    if isinstance(cells, str):
        trouble = cells
    else:
        sources, found = cells, run_cells(cells, seconds)
        trouble = "Not found: no cell of the notebook checks it."
    checked = {name for source in sources for name, _ in check_calls(source)}
    stage = re.match(r"(\d\d)_", Path(name).name)
    grades = []
    for e in known().values():
        if e.name in checked or (stage and e.stage == stage[1]):
            passed, message = found.get(e.name, (False, trouble))
            grades.append(Grade(name, e.stage, e.name, e.title, passed, message))
    return grades


def run_cells(cells: list[str], seconds: float) -> dict[str, tuple[bool, str]]:
    """{exercise: (passed, message)}; a process for as many cells as it gets through, then another for the rest."""
    found: dict[str, tuple[bool, str]] = {}
    skipped: set[int] = set()
    while True:
        cell, reason = _one_process(cells, seconds, skipped, found)
        if cell is None or cell in skipped:
            return found
        skipped.add(cell)
        for name, _ in check_calls(cells[cell]) if 0 <= cell < len(cells) else []:
            found.setdefault(name, (False, reason))


def _one_process(cells: list[str], seconds: float, skipped: set[int], found: dict) -> tuple[int | None, str]:
    """Run a process to its end; returns the cell that ended it early, and how (None: none did)."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as empty:
        sources, report = Path(empty, "cells.json"), Path(empty, "report.jsonl")
        sources.write_text(json.dumps(cells))
        arguments = [str(sources), str(report), json.dumps(sorted(skipped)), json.dumps(list(found))]
        package = str(Path(__file__).parents[2])
        path_list = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
        process = subprocess.Popen(
            [sys.executable, "-m", "spade_edu.checks.grading", *arguments],
            cwd=empty,
            env=os.environ | {"MPLBACKEND": "agg", "PYTHONPATH": path_list, "IPYTHONDIR": empty},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            cell, late = _watch(process, report, seconds)
        finally:
            _end(process)
        lines = read_lines(report)
    found.update({line["name"]: (line["passed"], line["message"]) for line in lines if is_verdict(line)})
    if any("done" in line for line in lines):
        return None, ""
    return cell, f"Its cell took longer than {seconds:g} seconds." if late else "Its cell ended the Python process."


def _watch(process: subprocess.Popen, report: Path, seconds: float) -> tuple[int, bool]:
    """Wait for the end of a process or of a cell's time; returns the last cell begun (-1: none), and if it was late."""
    cell, begun = -1, time.monotonic()
    while process.poll() is None:
        time.sleep(0.1)
        last = _last_cell(report)
        if last != cell:
            cell, begun = last, time.monotonic()
        if time.monotonic() - begun > (seconds if cell >= 0 else START_SECONDS):
            return cell, True
    return _last_cell(report), False


def _last_cell(report: Path) -> int:
    """The number of the last cell begun; -1: none."""
    return max((line["cell"] for line in read_lines(report) if type(line.get("cell")) is int), default=-1)


def is_verdict(line: dict) -> bool:
    """Whether a line says how an answer is; cells can reach the report, and may write anything to it."""
    return [type(line.get(name)) for name in ("name", "passed", "message")] == [str, bool, str]


def _end(process: subprocess.Popen) -> None:
    """End a process, and where the system knows groups the processes that it started."""
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()


def read_lines(report: Path) -> list[dict]:
    """The complete lines of a report; whatever is no JSON object is left out."""
    try:
        lines = report.read_bytes().splitlines(keepends=True)
    except OSError:
        return []
    found = []
    for line in lines:
        with contextlib.suppress(ValueError, RecursionError):
            found.append(json.loads(line) if line.endswith(b"\n") else None)
    return [line for line in found if isinstance(line, dict)]


def write_grades(grades: list[Grade], out: Path) -> Path:
    """Write the rows as CSV to `out` and as JSON beside it; returns the JSON file's path."""
    beside = out.with_suffix(".json") if out.suffix != ".json" else out.with_suffix(".all.json")
    rows = [asdict(grade) for grade in grades]
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, [f.name for f in fields(Grade)])
    writer.writeheader()
    writer.writerows(rows)
    write_whole(out, table.getvalue().encode("utf-8", "replace"))
    write_whole(beside, json.dumps(rows, indent=1, ensure_ascii=False).encode("utf-8", "replace"))
    return beside


# --- inside the process ---


def code_cells(path: Path) -> list[str]:
    """The sources of a notebook's code cells."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def check_calls(source: str) -> list[tuple[str, str]]:
    """(exercise, expression of the answer) of every check("name", answer) in a cell."""
    names = known()
    try:
        calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
        return [
            (call.args[0].value, ast.unparse(call.args[1]))
            for call in calls
            if isinstance(call.func, ast.Name) and call.func.id == "check" and len(call.args) == 2
            if isinstance(call.args[0], ast.Constant) and call.args[0].value in names
        ]
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: nested beyond reason
        return []


def run(cells: list[str], report: Path, skipped: list[int], done: list[str]) -> None:
    """Run the cells but `skipped`; check what they hand to check(), but `done`; write a line for each to `report`."""
    from IPython.core.interactiveshell import InteractiveShell

    _set_limits()
    shell = InteractiveShell.instance()
    with report.open("a", encoding="utf-8") as file:
        for number, source in enumerate(cells):
            if number in skipped:
                continue
            print(json.dumps({"cell": number}), file=file, flush=True)
            calls = check_calls(source)
            for name, answer in calls:
                if name not in done:
                    result = check(name, _value(answer, shell.user_ns))
                    line = {"name": name, "passed": result.passed, "message": result.message}
                    print(json.dumps(line), file=file, flush=True)
            if not calls:
                shell.run_cell(source)
        print(json.dumps({"done": True}), file=file, flush=True)


def _value(expression: str, namespace: dict) -> object:
    """What an expression names; None where it names nothing."""
    try:
        return eval(expression, namespace)  # the student's own cell, in the process made for it
    except BaseException:
        return None


def _set_limits() -> None:
    """Give the process GIGABYTES more than it has, and bounds of files and time, where the system can (Linux)."""
    try:
        import resource

        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        memory = taken + GIGABYTES * 2**30
    except (ImportError, OSError, ValueError):
        return
    limits = {"RLIMIT_AS": memory, "RLIMIT_FSIZE": FILE_BYTES, "RLIMIT_CPU": CPU_SECONDS}
    for name, most in limits.items():
        with contextlib.suppress(ValueError, OSError):  # the system's own limit is lower
            resource.setrlimit(getattr(resource, name), (most, most))


if __name__ == "__main__":
    run(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]), json.loads(sys.argv[3]), json.loads(sys.argv[4]))
