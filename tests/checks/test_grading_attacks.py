"""What a notebook may try: forge its verdict, touch another's, stop the class. The command line alone is used here."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from graded import CHECKED, SOLVED, graded, write

import spade_edu.checks
from spade_edu.checks import grading
from spade_edu.checks.grades import Grade
from spade_edu.checks.grading import Lines
from spade_edu.checks.wall import Wall, best_wall
from spade_edu.cli import main

linux = pytest.mark.skipif(sys.platform != "linux", reason="namespaces and /proc are Linux's")
REPORT = """import gc, sys
reports = [o for o in gc.get_objects() if type(o).__name__ == "Report"]
def say(**line):
    import json
    if reports:
        reports[0].say(**line)
    else:  # an earlier version
        print(json.dumps(line), file=open(sys.argv[2], "a"), flush=True)
"""
VERDICT = 'name="receptive_field", passed=True, message="right. Solved."'
WRONG = "def receptive_field(layers):\n    return 1"
FORGED = {  # wrong answers that are made to look right
    "a line": f"{REPORT}say({VERDICT})",
    "a line with outcomes": f"{REPORT}say({VERDICT}, outcomes=[{{}}] * 99, foreign='')",
    "odd outcomes": f"{REPORT}for odd in (1, 'x', [1], [{{'leaves': 1}}], None):\n    say({VERDICT}, outcomes=odd)",
    "another check": "import spade_edu.checks as c\nc._fault_of_any_reading = lambda *a: ''\nc.check = lambda *a: True",
    "another comparison": "import spade_edu.checks as c\nc.difference = lambda *a: None",
    "another judge": """import spade_edu.checks as c
c.judge = lambda exercise, *rest: c.Result(exercise.name, True, "right. Solved.")""",
    "another reference": """import spade_edu.checks as c
object.__setattr__(c.find("receptive_field"), "reference", receptive_field)""",
}
ESCAPED = """import os, subprocess, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        subprocess.Popen(["sleep", "98765"], start_new_session=True)
        import glob, tempfile
        line = '{"name": "receptive_field", "passed": false, "message": "written by a.ipynb"}'
        begun = time.time()
        while time.time() < begun + 60:
            for report in glob.glob(os.path.join("TMP", "*", "report.jsonl")):
                if report != sys.argv[2]:
                    print(line, file=open(report, "a"))
            time.sleep(0.01)
    os._exit(0)"""
EDITED = """import spade_edu.checks
with open(spade_edu.checks.__file__, "a") as file:
    file.write(\"\"\"
def check(name, function):
    return Result(name, False, "the package was edited by a.ipynb")
\"\"\")"""
STOPPING = {
    "a pipe for the report": "import os, sys\nos.unlink(sys.argv[2])\nos.mkfifo(sys.argv[2])",
    "numbers that grow": f"""{REPORT}import time
for number in range(10, 10000):
    say(cell=number)
    time.sleep(0.5)""",
    "a link to /dev/zero": """import os, sys, time
os.unlink(sys.argv[2])
os.symlink("/dev/zero", sys.argv[2])""",
    "empty objects": f"""{REPORT}import os
if reports:
    for _ in range(2000):
        os.write(reports[0].descriptor, b"{{}}\\n" * 2**20)
else:
    open(sys.argv[2], "a").write("{{}}\\n" * 3_000_000)
    import time
    time.sleep(30)""",
}


def classroom(folder: Path, *attack: str, seconds=3) -> dict[str, tuple[bool, str]]:
    """{notebook: (passed, message)} for the answer of a.ipynb, which attacks, and of an honest b.ipynb after it."""
    write(folder / "class" / "a.ipynb", *attack)
    write(folder / "class" / "b.ipynb", SOLVED, CHECKED)
    main(["grade", str(folder / "class"), "--out", str(folder / "grades.csv"), "--seconds", str(seconds)])
    with open(folder / "grades.csv", encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["exercise"] == "receptive_field"]
    return {row["notebook"]: (row["passed"] == "True", row["message"]) for row in rows}


def processes(words: list[str]) -> list[str]:
    """The running processes that were started with these words."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().split(b"\0")[:-1] == [word.encode() for word in words]:
                found.append(path.parent.name)
        except OSError:
            continue
    return found


WALLS = [wall for wall in dict.fromkeys([best_wall(), Wall(False, False)])] if sys.platform == "linux" else []
each_wall = pytest.mark.parametrize("wall", WALLS, ids=lambda w: f"{'namespaces' if w.namespaces else 'no wall'}")


@pytest.mark.parametrize("way", FORGED)
def test_a_wrong_answer_stays_wrong(way, tmp_path):
    grade = graded(write(tmp_path / "02_x.ipynb", WRONG, FORGED[way], CHECKED, FORGED[way]))["receptive_field"]
    assert not grade.passed
    assert grade.look or way.startswith("another"), grade


def test_the_forgery_of_before_fails_on_the_command_line(tmp_path):
    a, b = classroom(tmp_path, WRONG, CHECKED, FORGED["a line"]).values()
    assert not a[0] and b[0]


@linux
@each_wall
def test_a_process_that_outlives_its_notebook_reaches_nobody(wall, tmp_path, monkeypatch):
    monkeypatch.setattr(grading, "best_wall", lambda: wall)
    a, b = classroom(tmp_path, SOLVED, CHECKED, ESCAPED.replace("TMP", os.environ.get("TMPDIR", "/tmp"))).values()
    assert a[0] and b[0], (a, b)
    assert processes(["sleep", "98765"]) == []


@linux
@each_wall
def test_a_notebook_that_edits_the_package_changes_nothing(wall, tmp_path, monkeypatch):
    monkeypatch.setattr(grading, "best_wall", lambda: wall)
    source = Path(spade_edu.checks.__file__)
    before = source.read_bytes()
    try:
        _, b = classroom(tmp_path, SOLVED, CHECKED, EDITED).values()
        assert b[0] and source.read_bytes() == before
    finally:
        source.write_bytes(before)


@pytest.mark.parametrize("way", STOPPING)
def test_the_class_goes_on(way, tmp_path):
    begun = time.monotonic()
    _, b = classroom(tmp_path, STOPPING[way], CHECKED).values()
    assert b[0] and time.monotonic() - begun < 60


@pytest.mark.skipif(not best_wall().namespaces, reason="this system gives no namespaces")
def test_behind_the_wall_there_is_nothing_to_reach(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret")
    away = f"""import ctypes, glob, os, socket
assert "HF_TOKEN" not in os.environ
assert os.listdir("{tmp_path / "class"}") == []
assert len(glob.glob("/proc/[0-9]*")) == 1
assert sorted(os.listdir("/dev")) == ["full", "null", "random", "shm", "urandom", "zero"]
assert ctypes.CDLL(None).mount(b"none", b"/", b"", 32 | 4096, b"") != 0
for path in ("{tmp_path}", "{tmp_path / "class"}", "/", "{sys.prefix}", "/tmp", os.path.dirname(os.__file__)):
    try:
        open(os.path.join(path, "made"), "w")
    except OSError:
        continue
    raise AssertionError(path)
try:
    socket.create_connection(("192.0.2.1", 80), timeout=1)
except OSError as error:
    assert error.errno == 101, error  # no network, and no waiting for one
open("own", "w").write("x")
open("/dev/null", "w").write("x")
{SOLVED}"""
    a, b = classroom(tmp_path, away, CHECKED, seconds=20).values()
    assert a[0] and b[0], a


@pytest.mark.skipif(not best_wall().namespaces, reason="this system gives no namespaces")
def test_the_files_of_a_notebook_are_bounded(tmp_path):
    fill = "for n in range(40):\n    open(f'f{n}', 'wb').write(bytes(2**25))"
    check = f"try:\n    exec({fill!r})\nexcept OSError:\n    {CHECKED.splitlines()[0]}\n    {CHECKED.splitlines()[1]}"
    assert graded(write(tmp_path / "02_x.ipynb", SOLVED, check), wall=best_wall())["receptive_field"].passed


@pytest.mark.skipif(not best_wall().user, reason="this grader isn't root, or another user can't read its Python")
def test_a_user_of_its_own_has_a_bound_on_processes(tmp_path):
    bomb = """import os, time
number = 0
try:
    while number < 3000:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        number += 1
except OSError:
    pass
assert os.getuid() >= 50000 and 10 < number < 600"""
    path = write(tmp_path / "02_x.ipynb", f"{bomb}\n{SOLVED}", CHECKED)
    assert graded(path, wall=best_wall())["receptive_field"].passed


def test_a_flood_is_read_in_no_time_and_not_to_its_end():
    read, write_end = os.pipe()
    flood = "import os\nline = (b'token {\"a\": \"' + b'x' * 99 + b'\"}\\n') * 2**12\nwhile True: os.write(1, line)"
    with subprocess.Popen([sys.executable, "-c", flood], stdout=write_end) as process, open(read, "rb") as pipe:
        os.close(write_end)
        lines, begun, count = Lines(pipe, "token"), time.monotonic(), 0
        while lines.take(begun + 60) is not None:
            count += 1
        process.kill()
    assert lines.ended and count <= grading.MOST_BYTES / 99 and time.monotonic() - begun < 45


def test_numbers_that_grow_do_not_give_time(tmp_path, monkeypatch):
    monkeypatch.setattr(grading, "START_SECONDS", 15)
    begun = time.monotonic()
    attack = STOPPING["numbers that grow"].replace("range(10, 10000)", "[*range(10000)] * 2")
    assert graded(write(tmp_path / "02_x.ipynb", attack, CHECKED), seconds=1)["residual_block"].look
    assert time.monotonic() - begun < 60


@linux
def test_the_grader_takes_its_notebook_along_when_it_is_ended(tmp_path):
    write(tmp_path / "class" / "a.ipynb", "import subprocess\nsubprocess.run(['sleep', '87654'])")
    (tmp_path / "tmp").mkdir()
    command = [sys.executable, "-m", "spade_edu", "grade", str(tmp_path / "class"), "--out", str(tmp_path / "g.csv")]
    process = subprocess.Popen(command, env=os.environ | {"TMPDIR": str(tmp_path / "tmp")}, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not processes(["sleep", "87654"]) and time.monotonic() < until:
        time.sleep(0.1)
    assert processes(["sleep", "87654"])
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143
    assert processes(["sleep", "87654"]) == [] and list((tmp_path / "tmp").iterdir()) == []


HOSTILE = [  # what the five of a class try
    [WRONG, CHECKED, FORGED["a line"]],
    [SOLVED, CHECKED, ESCAPED.replace("TMP", "/tmp")],
    [SOLVED, CHECKED, EDITED],
    [STOPPING["empty objects"], CHECKED],
    ["while True:\n    pass", WRONG, CHECKED],
]


LOOP = 'from spade_edu import checks\nfor name in ["receptive_field"]:\n    checks.check(name, globals()[name])'
HONEST = [  # (cells, what is said of receptive_field): kinds of small hand-ins
    ([SOLVED, CHECKED], "right"),
    ([WRONG, CHECKED], "wrong"),
    ([f"%%time\n!nvidia-smi\n{SOLVED}", LOOP], "right"),
    ([SOLVED, "1 / 0"], "right"),  # no cell checks it
    ([CHECKED, "def receptive_field(layers):\n    return None", "exit()", CHECKED], "wrong"),
    (["# Nothing done yet."], "look"),
]
SAID = [("look", "wrong"), ("right",), ("right",), ("look", "wrong"), ("look",)]  # of what the hostile ones try


def class_with_hostile(folder: Path, size: int) -> dict[str, tuple[str, ...]]:
    """A class whose every fifth of five parts begins with a hostile notebook; {notebook: what may be said of it}."""
    said = {}
    for number in range(size):
        attack, rest = divmod(number, size // len(HOSTILE))
        hostile = rest == 1 and attack < len(HOSTILE)
        cells, expected = HONEST[number % len(HONEST)]
        name = f"02_{number:03d}.ipynb"
        write(folder / name, *(HOSTILE[attack] if hostile else cells))
        said[name] = SAID[attack] if hostile else (expected,)
    return said


def verdict(row: Grade) -> str:
    """What a row says, in a word."""
    if row.passed:
        return "right"
    return "look" if row.look else "wrong"


@pytest.mark.slow
@linux
def test_a_class_of_two_hundred_with_five_hostile_is_graded_to_the_end(tmp_path):
    expected = class_with_hostile(tmp_path / "class", 200)
    rows = [r for rows in grading.grade_folder(tmp_path / "class", 20, tmp_path / "grades.csv") for r in rows]
    found = {row.notebook: verdict(row) for row in rows if row.exercise == "receptive_field"}
    assert found.keys() == expected.keys()
    assert {name: said for name, said in found.items() if said not in expected[name]} == {}
