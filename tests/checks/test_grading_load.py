"""A busy machine may cost an answer its grade for now, and never gives it another one."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from graded import CHECKED, SOLVED, Plain, graded, write

from spade_edu.checks import find, grading, judge, wall
from spade_edu.checks.calling import TimeUp, call
from spade_edu.checks.exercise import case
from spade_edu.checks.grades import HandIn
from spade_edu.checks.grading import AGAIN, CRASHED, ENDED, Run, grade_folder, grade_notebook
from spade_edu.checks.run_notebook import tell_shortage
from spade_edu.checks.transcript import Recorded, encoded
from spade_edu.checks.wall import Wall, best_wall
from spade_edu.errors import UserError


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "02_x.ipynb"


def test_an_answer_that_is_kept_waiting_passes(folder):
    """Ten seconds in which other programs have the machine, in the first call."""
    waits = SOLVED.replace("field = 1\n", "field = 1\n    waited or waited.append(time.sleep(10))\n")
    assert graded(write(folder, f"import time\nwaited = []\n{waits}", CHECKED))["receptive_field"].passed


def test_an_answer_that_computes_for_ever_is_told_so_and_needs_a_look(folder):
    grade = graded(write(folder, "def receptive_field(layers):\n    while True:\n        pass", CHECKED), seconds=900)
    message = grade["receptive_field"].message
    assert "doesn't come to an end" in message and "computed for 9 seconds" in message and grade["receptive_field"].look


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("import time\ntime.sleep(1000)", "longer than 5 seconds"),
        ("import os\nos.abort()", CRASHED),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", CRASHED),
        ("raise MemoryError", "ran short: MemoryError"),
        ('raise RuntimeError("can\'t start new thread")', "ran short: RuntimeError"),
        ("raise BlockingIOError(11, 'Resource temporarily unavailable')", "ran short: BlockingIOError"),
    ],
)
def test_what_may_be_the_machines_doing_needs_a_look(answer, words, folder):
    body = "\n    ".join(["def receptive_field(layers):", *answer.splitlines()])
    grade = graded(write(folder, body, CHECKED), seconds=5 if "sleep" in answer else 60)["receptive_field"]
    assert not grade.passed and grade.look and words in grade.message and AGAIN in grade.message, grade
    assert grade.version == ""


def test_a_gradient_that_takes_too_long_is_not_called_cut_off(monkeypatch):
    monkeypatch.setattr("spade_edu.checks.calling.SECONDS", 0.2)

    class Slow(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            while True:
                pass

    outcome = call(Slow.apply, case("one", torch.ones(2)), ["x"])
    assert isinstance(outcome.error, TimeUp)


# --- processes that say what a test has written down, so that nothing here depends on the machine

CHILD = """import json, os, sys, time
order = json.load(sys.stdin)
for line in json.loads(sys.argv[1]):
    if line == "abort":
        os.abort()
    elif isinstance(line, dict):
        print(order["token"], json.dumps(line), flush=True)
    elif line[0] == "exit":
        os._exit(line[1])
    else:
        time.sleep(line[1])
"""
FIRST, SECOND, DONE, TRYING = {"cell": 0}, {"cell": 1}, {"done": True}, {"trying": "receptive_field"}
BAD = {"name": "receptive_field", "passed": False, "message": "expected 3"}


class Scripted(Plain):
    """A wall whose processes follow the scripts one after the other, the last one again and again."""

    def __init__(self, *scripts, refused=0):
        super().__init__()
        object.__setattr__(self, "left", [None] * refused + list(scripts))
        object.__setattr__(self, "begun", [])

    @contextmanager
    def started(self, module, order, files):
        self.begun.append(order)
        script = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        if script is None:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        command = [sys.executable, "-I", "-S", "-c", CHILD, json.dumps(script)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            with process.stdin:
                process.stdin.write(order.encode())
            yield process
            process.kill()


@pytest.fixture(scope="module")
def good():
    """What a process says of a right answer."""
    function, outcomes = {}, []
    exec(SOLVED, function)
    assert judge(find("receptive_field"), function["receptive_field"], lambda f: Recorded(f, outcomes)).passed
    sent = {"outcomes": [encoded(o) for o in outcomes], "foreign": "", "uses": ""}
    return {"name": "receptive_field", "passed": True, "message": "right"} | sent


def row(*scripts, name="receptive_field", seconds=60, **more):
    hand_in = HandIn("02_x.ipynb", ["a", "b"], {}, "1")
    return {r.exercise: r for r in grade_notebook(hand_in, seconds, Scripted(*scripts, **more))}[name]


def test_a_quiet_machine_gives_verdicts(good):
    assert row([FIRST, TRYING, good, SECOND, DONE]).passed
    wrong = row([FIRST, TRYING, BAD, SECOND, DONE])
    assert not wrong.passed and not wrong.look and wrong.version == "1"
    assert row([FIRST, TRYING, ("exit", 0)], [SECOND, DONE]).message == ENDED


@pytest.mark.parametrize(
    ("scripts", "words"),
    [
        ([[FIRST, TRYING, BAD, {"short": "MemoryError: "}, SECOND, DONE]], "ran short: MemoryError"),
        ([[FIRST, TRYING, BAD, SECOND, "abort"], [FIRST, DONE]], f"Code cell 2 was left out. {CRASHED}"),
        ([[FIRST, TRYING, ("exit", 1)], [SECOND, DONE]], CRASHED),
        ([[FIRST, TRYING, BAD, SECOND, ("sleep", 99)], [FIRST, DONE]], "took longer than 5 seconds"),
        ([[("exit", 0)]], "didn't begin"),
        ([None], "couldn't be started (Resource temporarily unavailable)"),
    ],
)
def test_where_the_machine_had_a_part_in_it_what_does_not_pass_needs_a_look(scripts, words):
    grade = row(*scripts, seconds=5)
    assert not grade.passed and grade.look and words in grade.message and AGAIN in grade.message, grade
    assert grade.version == ""


def test_what_passed_stays_so_on_a_busy_machine(good):
    assert row([FIRST, TRYING, good, SECOND, "abort"], [DONE]).passed


def test_a_process_that_is_refused_is_tried_again(good):
    assert row([FIRST, TRYING, good, SECOND, DONE], refused=2).passed
    assert row([("exit", 0)], [("exit", 0)], [FIRST, TRYING, good, SECOND, DONE]).passed


def test_the_time_that_judging_takes_is_not_the_notebooks(good, monkeypatch):
    real, passed = Run._confirmed, []
    monkeypatch.setattr(Run, "_confirmed", lambda self, *a: passed.append(10_000) or real(self, *a))
    monkeypatch.setattr(grading, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + sum(passed)))
    other = {"name": "residual_block", "passed": False, "message": "expected 4"}
    grade = row([FIRST, TRYING, good, SECOND, ("sleep", 1), other, DONE], name="residual_block")
    assert passed and grade.message == "expected 4" and not grade.look


def test_a_second_run_grades_again_what_the_machine_had_a_part_in(tmp_path, monkeypatch):
    for name in "ab":
        write(tmp_path / "class" / f"02_{name}.ipynb", "1", "2")
    cut, whole = [FIRST, TRYING, ("exit", 1)], [FIRST, TRYING, BAD, SECOND, DONE]
    walls = [Scripted(cut, whole), Scripted(whole)]
    monkeypatch.setattr(grading, "best_wall", lambda: walls[0])
    first = list(grade_folder(tmp_path / "class", 60, tmp_path / "grades.csv"))
    assert [rows[0].version == "" for rows in first] == [True, False]
    monkeypatch.setattr(grading, "best_wall", lambda: walls[1])
    list(grade_folder(tmp_path / "class", 60, tmp_path / "grades.csv"))
    assert len(walls[1].begun) == 1


@pytest.mark.parametrize("error", [MemoryError(), OSError(11, "x"), RuntimeError("can't start new thread"), TimeUp()])
def test_a_process_tells_what_it_ran_short_of(error):
    said = []
    tell_shortage(SimpleNamespace(say=lambda **line: said.append(line)), error)
    tell_shortage(SimpleNamespace(say=lambda **line: said.append(line)), ValueError("x"))
    assert [list(line) for line in said] == [["short"]]


# --- the wall


@pytest.mark.skipif(sys.platform != "linux", reason="bounds of processes are counted otherwise elsewhere")
def test_other_processes_of_the_same_user_do_not_count(folder):
    threads = "import threading, time\nfor _ in range(40):\n    threading.Thread(target=time.sleep, args=(2,)).start()"
    idle = [subprocess.Popen(["sleep", "300"]) for _ in range(600)]
    try:
        for wall_of in (best_wall(), Plain()):
            assert graded(write(folder, f"{threads}\n{SOLVED}", CHECKED), wall=wall_of)["receptive_field"].passed
    finally:
        for process in idle:
            process.kill()
        for process in idle:
            process.wait()


@pytest.mark.skipif(not hasattr(os, "uname"), reason="this system has no namespaces")
@pytest.mark.parametrize(("release", "apart"), [("5.4.0-42-generic", False), ("5.14.0", True), ("6.18.44-x", True)])
def test_processes_are_bounded_only_where_they_are_counted_apart(release, apart, monkeypatch):
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(release=release))
    assert Wall(True, False).counts_apart == apart
    assert Wall(False, True).counts_apart and Wall(True, True).counts_apart and not Wall(False, False).counts_apart


def test_a_busy_machine_does_not_weaken_the_wall(monkeypatch):
    monkeypatch.setattr(wall, "TRY", "import time; time.sleep(60)")
    monkeypatch.setattr(wall, "TRY_SECONDS", 0.5)
    with pytest.raises(UserError, match="too busy"):
        wall._holds(Plain())


def test_a_judged_process_computes_with_one_thread(folder, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    asks = f"import torch\nassert torch.get_num_threads() == 1\n{SOLVED}"
    assert graded(write(folder, asks, CHECKED))["receptive_field"].passed
