"""Grading notebooks without a person: each in a process of its own, behind a wall, judged by this one.

The process (run_notebook.py) runs the cells as IPython does. For an answer that passes there it sends what came of
every call, and this process, in which no answer ever runs, holds that against the reference: a cell can write what it
likes, but a wrong answer passes only if somebody computed the right numbers for it. Whoever is set on cheating can
still do that, for instance by calling the package in a roundabout way; authorship.py finds the plain ways.

All notebooks are read before the first one runs. What else keeps them apart depends on the system: see wall.py.

No verdict may depend on how busy the machine is. Where time by the clock, memory or processes ran short, or the system
killed a process, an answer that doesn't pass needs a look, and a second run grades its notebook again.
"""

import json
import os
import queue
import re
import secrets
import stat
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from ..course.folder import is_reading
from ..course.parts_file import NAME
from ..errors import UserError
from . import known
from .authorship import ALIKE, alike
from .grades import Grade, HandIn, plain, read_grades, write_grades
from .transcript import confirmed
from .wall import Wall, best_wall

START_SECONDS = 120  # for a process to import torch on a slow machine
MOST_SECONDS = 86400  # that a cell may be given
CELLS = 10  # so many times what a cell may take is given to a whole notebook
MOST_BYTES = 32 * 2**20  # of a notebook, and of what a process sends; the longest outcomes of an exercise are 5 MB
MOST_NOTES = 20
STARTS = 3  # tries to start a process: a busy machine may refuse one
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, MemoryError)  # a notebook
ENDED = "Its cell ended the Python process."
CRASHED = "Its process was ended: it crashed, or the system lacked memory."
AGAIN = "A second run grades this notebook again."


def grade_folder(folder: Path, seconds: float, out: Path, programs: bool = False) -> Iterator[list[Grade]]:
    """Grade every notebook in a folder and the folders below it, one list a notebook; write them all after each.

    What `out` holds already is taken over where the notebook hasn't changed. programs: lines like `!ls` are run.
    Errors: a UserError where the folder doesn't exist or holds no notebook, or `out` holds something else.
    """
    if not 1 <= seconds <= MOST_SECONDS:  # nan as well
        raise UserError(f"A cell may take 1 to {MOST_SECONDS} seconds, not {seconds}.")
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder. Give the folder that holds the exercise notebooks.")
    paths = [p for p in sorted(folder.rglob("*.ipynb")) if ".ipynb_checkpoints" not in p.parts and not is_reading(p)]
    if not paths:
        raise UserError(f"{folder} holds no notebook (*.ipynb).")
    hand_ins = [read_hand_in(path, str(path.relative_to(folder)), programs) for path in paths]
    earlier = read_grades(out)
    grades = {hand_in.name: earlier.get(hand_in.name, []) for hand_in in hand_ins}
    write_grades(grades, out)  # if that can't be done, it is better to know now
    wall = best_wall().hiding(folder)
    for hand_in in hand_ins:
        rows = grades[hand_in.name]
        if not rows or rows[0].version != hand_in.version:
            grades[hand_in.name] = grade_notebook(hand_in, seconds, wall, programs)
            write_grades(grades, out)
        yield grades[hand_in.name]


# --- reading


def read_hand_in(path: Path, name: str, programs: bool = False) -> HandIn:
    """A notebook with the my_spade.py beside it; one that can't be read has no cells, but a sentence."""
    name = plain(name)
    try:
        content = plain_file(path)
        beside = path.with_name(NAME)
        files = {NAME: plain_file(beside)} if beside.exists() else {}
        version = sha256(b"".join([content, *files.values(), b"!" if programs else b""])).hexdigest()[:12]
        return HandIn(name, code_cells(content), files, version)
    except UNREADABLE as error:
        said = str(error) if isinstance(error, UserError) else type(error).__name__
        return HandIn(name, [], {}, "", f"This is not a readable notebook ({said}).")


def plain_file(path: Path) -> bytes:
    """The content of an ordinary file of a bearable size; a UserError for pipes, devices and the like."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise UserError("no ordinary file")
    if status.st_size > MOST_BYTES:
        raise UserError(f"{status.st_size / 1e6:.0f} MB")
    return path.read_bytes()


def code_cells(content: bytes) -> list[str]:
    """The sources of a notebook's code cells, in any of the formats since IPython 0.13."""
    notebook = json.loads(content.decode("utf-8-sig"))
    sheets = [notebook] if "cells" in notebook else notebook["worksheets"]
    cells = [cell for sheet in sheets for cell in sheet["cells"] if cell["cell_type"] == "code"]
    return ["".join(cell["source"] if "source" in cell else cell["input"]) for cell in cells]


def wanted(hand_in: HandIn) -> list[str]:
    """The exercises that belong to a notebook: those of its stage, and those that its cells plainly check.

    The stage is in its name (NN_...); where it isn't, it is that of most exercises that its cells define or check.
    """
    text = "\n".join(hand_in.cells)
    checked = [name for name in known() if re.search(rf"\bcheck\(\s*(name\s*=\s*)?[\"']{name}[\"']", text)]
    stage = re.match(r"(\d\d)_", Path(hand_in.name).name)
    here = stage[1] if stage else ""
    if not stage:
        named = [e for e in known().values() if e.name in checked or re.search(rf"^def {e.name}\b", text, re.MULTILINE)]
        here = Counter(e.stage for e in named).most_common(1)[0][0] if named else ""
    of_stage = [e.name for e in known().values() if e.stage == here]
    return [*of_stage, *(name for name in checked if name not in of_stage)]


# --- judging


@dataclass(frozen=True)
class Verdict:
    """What is said of one answer. look: a person has to decide."""

    passed: bool
    message: str
    look: bool = False
    uses: str = ""  # what it calls of the package


def grade_notebook(hand_in: HandIn, seconds: float, wall: Wall, programs: bool = False) -> list[Grade]:
    """The grades of one notebook; one row without an exercise where none is found in it."""
    names = wanted(hand_in)
    run = Run(hand_in, names, seconds, wall, programs)
    if not hand_in.trouble:
        run.to_the_end()
    version = "" if run.rushed else hand_in.version
    rows = [name for name in known() if name in names or name in run.found]
    open_one = Verdict(False, "Needs a look: no cell checks it, and nothing is called so at the end.", look=True)
    if hand_in.trouble:
        open_one = Verdict(False, hand_in.trouble, look=True)
    if not rows:
        text = hand_in.trouble or "Needs a look: no exercise was found in it."
        return [Grade(hand_in.name, version, "", "", "", False, True, "", "", run.with_notes(text))]
    return [_grade(replace(hand_in, version=version), name, run, run.found.get(name, open_one)) for name in rows]


def _grade(hand_in: HandIn, name: str, run: "Run", verdict: Verdict) -> Grade:
    exercise = known()[name]
    mistakes = [key for key, text in exercise.mistakes.items() if text in verdict.message]
    look = verdict.look or (run.rushed and not verdict.passed)
    message = run.with_notes(verdict.message) if look else verdict.message
    head = (hand_in.name, hand_in.version, exercise.stage, name, exercise.title)
    return Grade(*head, verdict.passed, look, " ".join(mistakes), _remark(hand_in, name, verdict), message)


def _remark(hand_in: HandIn, name: str, verdict: Verdict) -> str:
    """What an instructor should know about whose work a right answer is."""
    texts = [content.decode("utf-8", "replace") for content in hand_in.files.values()]
    near = alike(name, [*texts, *hand_in.cells]) if verdict.passed else 0.0
    said = [f"calls {verdict.uses}"] if verdict.uses else []
    return "; ".join([*said, *([f"{near:.0%} like a stored solution"] if near >= ALIKE else [])])


@dataclass
class Run:
    """A notebook while it is judged: a process for as many steps as it gets through, then another for the rest.

    A step is a cell, or after the cells the try of an exercise by its name.
    """

    hand_in: HandIn
    names: list[str]
    seconds: float
    wall: Wall
    programs: bool
    found: dict[str, Verdict] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)  # not to be tried again
    skipped: set[int] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    rushed: bool = False  # the machine had a part in what doesn't pass
    starts: int = 0  # in vain
    until: float = 0.0  # by the clock

    def to_the_end(self) -> None:
        """Run what there is to run, within the notebook's time."""
        self.until = time.monotonic() + START_SECONDS + CELLS * self.seconds
        while self._one_process():
            pass

    def _one_process(self) -> bool:
        """Run a process to its end; returns whether there has to be another."""
        order = {
            "token": secrets.token_hex(16),
            "cells": self.hand_in.cells,
            "wanted": self.names,
            "skipped": sorted(self.skipped),
            "closed": sorted(self.closed),
            "programs": self.programs,
            "counted": self.wall.counts_apart,
        }
        module = ["-m", "spade_edu.checks.run_notebook"]
        try:
            with self.wall.started(module, json.dumps(order), self.hand_in.files) as process:
                assert process.stdout is not None
                return self._follow(process, Lines(process.stdout, str(order["token"])))
        except OSError as error:  # no process, no place: the class goes on
            return self._start_again(f"Its process couldn't be started ({error.strerror}).")

    def _follow(self, process: subprocess.Popen, lines: "Lines") -> bool:
        """Take what a process sends until it ends or is late; returns whether there has to be another."""
        steps = [n for n in range(len(self.hand_in.cells) + len(self.names)) if n not in self.skipped]
        step, trying, late = -1, "", time.monotonic() + START_SECONDS
        while True:
            line = lines.take(min(late, self.until))
            if line is None:
                break
            if "done" in line:
                return False
            if steps and line.get("cell") == steps[0]:  # no other number sets the clock again
                step, trying, late = steps.pop(0), "", time.monotonic() + self.seconds
            trying = str(line.get("trying", trying))
            late += self._hear(line)
        if step < 0 and time.monotonic() < self.until:
            return self._start_again("Its process didn't begin.")
        self._skip(step, trying, self._reason(process, lines))
        over = time.monotonic() >= self.until
        if over:
            self._rush(f"The notebook took longer than {START_SECONDS + CELLS * self.seconds:g} seconds.")
        return not over

    def _start_again(self, reason: str) -> bool:
        """Whether a process that wasn't to be had is tried for once more."""
        self.starts += 1
        if self.starts >= STARTS:
            self._rush(reason)
        return self.starts < STARTS

    def _reason(self, process: subprocess.Popen, lines: "Lines") -> str:
        """Why a process didn't come to the end of a step."""
        if not lines.ended:
            self._rush("")
            return f"Its cell took longer than {self.seconds:g} seconds."
        with suppress(subprocess.TimeoutExpired):
            if process.wait(5) != 0:  # through `unshare` a signal is told as a 1
                self._rush("")
                return CRASHED
        return ENDED

    def _rush(self, note: str) -> None:
        """Keep in mind that the machine had a part in it."""
        self.rushed = True
        if note:
            self.note(note)

    def _hear(self, line: dict[str, Any]) -> float:
        """Take over what a line says; returns the seconds that it took, in which no time of the notebook runs."""
        begun = time.monotonic()
        name, passed, message = (line.get(key) for key in ("name", "passed", "message"))
        if "left_out" in line:
            self.note(f"Not run: {line['left_out']}")
        elif "short" in line:
            self._rush(f"It ran short: {line['short']}.")
        elif isinstance(name, str) and name in known() and name not in self.closed and isinstance(message, str):
            self.found[name] = self._confirmed(name, line) if passed is True else Verdict(False, plain(message))
            if passed is True:
                self.closed.add(name)
        took = time.monotonic() - begun
        self.until += took
        return took

    def _confirmed(self, name: str, line: dict[str, Any]) -> Verdict:
        """The verdict on an answer that is said to pass."""
        if line.get("foreign"):
            return Verdict(False, f"It is not the student's: it is, or only calls, {plain(str(line['foreign']))}.")
        try:
            result = confirmed(replace(known()[name], mistakes={}, probes=()), line.get("outcomes"))
        except UNREADABLE:
            return Verdict(False, "Needs a look: what its process sent is no outcome of a check.", look=True)
        if result.passed:
            return Verdict(True, result.message, uses=plain(str(line.get("uses", ""))))
        text = "Needs a look: its check passed in the notebook, but what came of the calls is not right"
        return Verdict(False, f"{text}. {plain(result.message)}", look=True)

    def _skip(self, step: int, trying: str, reason: str) -> None:
        """Leave out a step that ended a process; the exercise that was being tried is at fault, if there was one."""
        self.skipped.add(step)
        if trying in known() and trying not in self.closed:
            self.closed.add(trying)
            self.found[trying] = Verdict(False, reason)
        elif 0 <= step < len(self.hand_in.cells):
            self.note(f"Code cell {step + 1} was left out. {reason}")

    def note(self, text: str) -> None:
        """Keep what an instructor should know about the notebook."""
        if len(self.notes) < MOST_NOTES and plain(text) not in self.notes:
            self.notes.append(plain(text))

    def with_notes(self, message: str) -> str:
        """A message that asks for a look, with what is known about the notebook."""
        return " ".join([message, *self.notes, *([AGAIN] if self.rushed else [])])


class Lines:
    """The lines that a process sends: objects after its token. Whatever else comes is passed over, and counted."""

    def __init__(self, pipe: IO[bytes], token: str):
        self.token, self.ended = token.encode() + b" ", False
        self.waiting: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        own = os.dup(pipe.fileno())  # the thread may outlive the pipe, if somebody kept its other end
        threading.Thread(target=self._read, args=(own,), daemon=True).start()

    def _read(self, descriptor: int) -> None:
        """Fill the queue until the pipe ends, or more came than a notebook may send."""
        left, rest = MOST_BYTES, bytearray()
        while left > 0 and (data := os.read(descriptor, 2**16)):
            left -= len(data)
            rest += data
            if b"\n" in data:
                *lines, rest = rest.split(b"\n")
                for line in lines:
                    if line.startswith(self.token):
                        self.waiting.put(bytes(line[len(self.token) :]))
        os.close(descriptor)
        self.waiting.put(None)

    def take(self, until: float) -> dict[str, Any] | None:
        """The next line; None at the end (`ended`), or if none has come until then by this process's clock."""
        while not self.ended:
            try:
                line = self.waiting.get(timeout=max(0.0, until - time.monotonic()))
                found = None if line is None else json.loads(line)
            except queue.Empty:
                return None
            except (ValueError, RecursionError):
                continue
            self.ended = line is None
            if isinstance(found, dict):
                return found
        return None
