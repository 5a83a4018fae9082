"""What `grade` runs in a process of its own, once a notebook: `python -m spade_edu.checks.run_notebook`.

The cells are run as IPython does. `check` answers as in a notebook, and besides writes down what came of every call of
the answer; that goes to the process that judges, through what was standard output. Nothing is judged here.
"""

import builtins
import contextlib
import errno
import functools
import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.text import SList

from .. import checks
from . import calling
from .authorship import foreign, uses
from .calling import Outcome
from .exercise import Exercise, Result
from .transcript import Recorded, encoded

GIGABYTES = 4  # that the cells of a notebook may take beyond what torch takes
FILE_BYTES = 2**30  # of a file that a cell writes
CPU_SECONDS = 3600  # of a process and of any that it started, should one have escaped
PROCESSES = 512  # threads count too

# fmt: off
NOT_RUN = {  # magics that start programs, or move the notebook to other places
    "!", "!!", "sx", "sc", "system", "bash", "sh", "script", "cmd", "perl", "ruby", "python", "python2", "python3",
    "pypy", "pip", "conda", "mamba", "micromamba", "uv", "cd", "pushd", "popd", "env", "set_env", "alias",
    "rehashx", "debug", "edit", "load", "loadpy", "killbgscripts",
}
# fmt: on
SHORT = {errno.EAGAIN, errno.ENOMEM, errno.ENOSPC, errno.EMFILE, errno.ENFILE}  # what a full machine answers
SHORT_WORDS = ("can't start new thread", "can't allocate memory", "not enough memory")  # Python's, and torch's
SETTINGS = {"matplotlib", "config", "load_ext", "reload_ext", "autoreload"}  # no answer depends on them


class Report:
    """The way out: lines of JSON, each after a token that the process was given."""

    def __init__(self, descriptor: int, token: str):
        self.descriptor, self.token = descriptor, token

    def say(self, **line: Any) -> None:
        """Send a line."""
        data = f"{self.token} {json.dumps(line)}\n".encode()
        while data:
            data = data[os.write(self.descriptor, data) :]


class Shell(InteractiveShell):
    """IPython, but for lines that start other programs: they are told to `note` and give nothing."""

    note: Callable[[str], None] = print
    programs = False  # whether they are run nevertheless

    def system(self, cmd: str) -> None:
        """A line that begins with `!`."""
        own: Any = super()  # without types, here and below
        if self.programs:
            return own.system_raw(cmd)
        self.note(f"!{cmd}")

    system_piped = system_raw = system

    def getoutput(self, cmd: str, split: bool = True, depth: int = 0) -> Any:
        """`x = !ls`."""
        if self.programs:
            own: Any = super()
            return own.getoutput(cmd, split, depth + 1)
        self.note(f"!{cmd}")
        return SList() if split else ""

    def run_line_magic(self, magic_name: str, line: str, _stack_depth: int = 1) -> Any:
        """`%name line`; one that isn't known here (Colab has others) gives nothing."""
        own: Any = super()
        if self._left_out(magic_name, own.find_line_magic(magic_name)):
            return self.note(f"%{magic_name} {line}".strip())
        run = functools.partial(own.run_line_magic, magic_name, line, _stack_depth + 1)
        if magic_name not in SETTINGS:
            return run()
        with contextlib.suppress(Exception):
            return run()

    def run_cell_magic(self, magic_name: str, line: str, cell: str) -> Any:
        """`%%name line` and the cell below it."""
        own: Any = super()
        if self._left_out(magic_name, own.find_cell_magic(magic_name)):
            return self.note(f"%%{magic_name} {line}".strip())
        return own.run_cell_magic(magic_name, line, cell)

    def _left_out(self, name: str, found: object) -> bool:
        return found is None or (name in NOT_RUN and not self.programs)

    def ask_exit(self) -> None:
        """`exit()`: the other cells are run all the same."""


class Watched:
    """`check`, as a notebook finds it; the first call of an exercise that passes is handed on with all its outcomes."""

    def __init__(self, report: Report, closed: list[str]):
        self.report, self.closed, self.plain = report, set(closed), checks.check

    def check(self, name: str, function: object) -> Result:
        """What `check` does, and a report of it."""
        exercise = checks.find(name)
        if isinstance(exercise, str) or name in self.closed:
            return self.plain(name, function)
        self.report.say(trying=name)
        result, outcomes = self._tried(exercise, function)
        for outcome in outcomes:
            tell_shortage(self.report, outcome.error)
        more: dict[str, Any] = {}
        if result.passed:
            self.closed.add(name)
            more = {"outcomes": [encoded(o) for o in outcomes], "foreign": foreign(exercise, function)}
            more["uses"] = "" if more["foreign"] else ", ".join(uses(exercise, function))
        self.report.say(name=name, passed=result.passed, message=result.message, **more)
        return result

    @staticmethod
    def _tried(exercise: Exercise, function: object) -> tuple[Result, list[Outcome]]:
        outcomes: list[Outcome] = []
        return checks.judge(exercise, function, lambda f: Recorded(f, outcomes)), outcomes


def run(order: dict[str, Any], report: Report) -> None:
    """Run the cells of an order but those that it skips, then try what is still open by its name.

    The tries have numbers as well, after those of the cells.
    """
    sys.path.insert(0, "")  # as IPython does
    watched = Watched(report, order["closed"])
    checks.check = watched.check
    builtins.input = lambda prompt="": ""
    shell = Shell.instance()
    shell.note, shell.programs = lambda line: report.say(left_out=line), order["programs"]
    steps = [functools.partial(shell.run_cell, source, store_history=True) for source in order["cells"]]
    steps += [functools.partial(_try_open, watched, shell.user_ns, name) for name in order["wanted"]]
    _set_limits(order["counted"])
    # The judging process has the clock. Here computing is measured only, which varies less on a busy machine.
    calling.SECONDS, calling.PATIENCE = calling.SECONDS * calling.PATIENCE, math.inf
    for number, step in enumerate(steps):
        if number in order["skipped"]:
            continue
        report.say(cell=number)
        with contextlib.suppress(BaseException):
            tell_shortage(report, getattr(step(), "error_in_exec", None))
    report.say(done=True)


def tell_shortage(report: Report, error: object) -> None:
    """Say so if an error may be the machine's: no time, no memory, no thread, no place for a file."""
    if isinstance(error, calling.TimeUp):
        report.say(short=f"a call computed for {calling.SECONDS:g} seconds")
    short = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in SHORT)
    if short or (isinstance(error, RuntimeError) and any(words in str(error) for words in SHORT_WORDS)):
        report.say(short=f"{type(error).__name__}: {error}")


def _try_open(watched: Watched, names: dict[str, Any], name: str) -> None:
    if names.get(name) is not None:
        watched.check(name, names[name])


def _set_limits(counted: bool) -> None:
    """Give the process GIGABYTES more than it has, and bounds of files, time and processes, where the system can."""
    try:
        import resource

        taken = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    except (ImportError, OSError, ValueError):
        return
    limits = {"AS": taken + GIGABYTES * 2**30, "FSIZE": FILE_BYTES, "CPU": CPU_SECONDS, "CORE": 0}
    if counted:
        limits["NPROC"] = PROCESSES
    for name, most in limits.items():
        with contextlib.suppress(ValueError, OSError):  # the system's own limit is lower
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))


def main() -> None:
    """Take the order from standard input, keep the way out, and run."""
    order = json.load(sys.stdin.buffer)
    report = Report(os.dup(1), order["token"])
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    run(order, report)
    os._exit(0)  # threads and exit handlers of the notebook may not hold the process


if __name__ == "__main__":
    main()
