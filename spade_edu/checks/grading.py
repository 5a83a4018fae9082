"""Grading notebooks without a person: each in a process of its own, so that whatever it does costs one answer only.

The process (`python -m spade_edu.checks.grading`) runs the notebook's cells and, in place of a cell's
`check("name", answer)`, checks the answer and writes a line to a file. This side watches the file: a cell that takes
too long or takes the process down is left out in the next process, which goes on with the rest. Memory is limited
where the system can (Linux).
"""

import ast
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

from ..errors import UserError
from ..files import write_whole
from . import check, exercises

START_SECONDS = 120  # for a process to import torch on a slow machine
GIGABYTES = 4  # that the cells of a notebook may take beyond what torch takes


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
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder. Give the folder that holds the exercise notebooks.")
    paths = [p for p in sorted(folder.rglob("*.ipynb")) if ".ipynb_checkpoints" not in p.parts]
    if not paths:
        raise UserError(f"{folder} holds no notebook (*.ipynb).")
    for path in paths:
        yield grade_notebook(path, seconds, str(path.relative_to(folder)))


def grade_notebook(path: Path, seconds: float, name: str) -> list[Grade]:
    """The grades of one notebook: the exercises of its stage (its name starts with NN_) and those that it checks."""
    try:
        cells = code_cells(path)
    except (ValueError, KeyError, TypeError, OSError) as error:
        cells, found, trouble = [], {}, f"This is not a readable notebook ({type(error).__name__})."
    else:
        found, trouble = run_cells(path, seconds), "Not found: no cell of the notebook checks it."
    checked = {name for source in cells for name, _ in check_calls(source)}
    stage = re.match(r"(\d\d)_", path.name)
    grades = []
    for e in exercises():
        if e.name in checked or (stage and e.stage == stage[1]):
            passed, message = found.get(e.name, (False, trouble))
            grades.append(Grade(name, e.stage, e.name, e.title, passed, message))
    return grades


def run_cells(path: Path, seconds: float) -> dict[str, tuple[bool, str]]:
    """{exercise: (passed, message)}; a process for as many cells as it gets through, then another for the rest."""
    found: dict[str, tuple[bool, str]] = {}
    skipped: set[int] = set()
    while True:
        cell, reason = _one_process(path, seconds, skipped, found)
        if cell is None or cell in skipped:
            return found
        skipped.add(cell)
        for name, _ in check_calls(code_cells(path)[cell]) if cell >= 0 else []:
            found.setdefault(name, (False, reason))


def _one_process(path: Path, seconds: float, skipped: set[int], found: dict) -> tuple[int | None, str]:
    """Run a process to its end; returns the cell that ended it early, and how (None: none did)."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as empty:
        report = Path(empty, "report.jsonl")
        arguments = [str(path.resolve()), str(report), json.dumps(sorted(skipped)), json.dumps(list(found))]
        package = str(Path(__file__).parents[2])
        path_list = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
        process = subprocess.Popen(
            [sys.executable, "-m", "spade_edu.checks.grading", *arguments],
            cwd=empty,
            env=os.environ | {"MPLBACKEND": "agg", "PYTHONPATH": path_list},
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
    found.update({line["name"]: (line["passed"], line["message"]) for line in lines if "name" in line})
    if any("done" in line for line in lines):
        return None, ""
    return cell, f"Its cell took longer than {seconds:g} seconds." if late else "Its cell ended the Python process."


def _watch(process: subprocess.Popen, report: Path, seconds: float) -> tuple[int, bool]:
    """Wait for the end of a process or of a cell's time; returns the last cell begun (-1: none), and if it was late."""
    cell, begun = -1, time.monotonic()
    while process.poll() is None:
        time.sleep(0.1)
        last = max((line["cell"] for line in read_lines(report) if "cell" in line), default=-1)
        if last != cell:
            cell, begun = last, time.monotonic()
        if time.monotonic() - begun > (seconds if cell >= 0 else START_SECONDS):
            return cell, True
    return max((line["cell"] for line in read_lines(report) if "cell" in line), default=-1), False


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
    """The complete lines of a report."""
    if not report.exists():
        return []
    return [
        json.loads(line) for line in report.read_text(encoding="utf-8").splitlines(keepends=True) if line[-1] == "\n"
    ]


def write_grades(grades: list[Grade], out: Path) -> Path:
    """Write the rows as CSV to `out` and as JSON beside it; returns the JSON file's path."""
    beside = out.with_suffix(".json") if out.suffix != ".json" else out.with_suffix(".all.json")
    rows = [asdict(grade) for grade in grades]
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, [f.name for f in fields(Grade)])
    writer.writeheader()
    writer.writerows(rows)
    write_whole(out, table.getvalue())
    write_whole(beside, json.dumps(rows, indent=1, ensure_ascii=False))
    return beside


# --- inside the process ---


def code_cells(path: Path) -> list[str]:
    """The sources of a notebook's code cells."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def check_calls(source: str) -> list[tuple[str, str]]:
    """(exercise, expression of the answer) of every check("name", answer) in a cell."""
    try:
        calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    except (SyntaxError, ValueError):
        return []
    known = {e.name for e in exercises()}
    return [
        (call.args[0].value, ast.unparse(call.args[1]))
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "check" and len(call.args) == 2
        if isinstance(call.args[0], ast.Constant) and call.args[0].value in known
    ]


def run(path: Path, report: Path, skipped: list[int], done: list[str]) -> None:
    """Run the cells but `skipped`; check what they hand to check(), but `done`; write a line for each to `report`."""
    from IPython.core.interactiveshell import InteractiveShell

    _limit_memory()
    shell = InteractiveShell.instance()
    with report.open("a", encoding="utf-8") as file:
        for number, source in enumerate(code_cells(path)):
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


def _limit_memory() -> None:
    """Give the process GIGABYTES more than it has, where the system can (Linux)."""
    try:
        import resource

        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + GIGABYTES * 2**30, resource.RLIM_INFINITY))
    except (ImportError, OSError, ValueError):
        pass


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]), json.loads(sys.argv[4]))
