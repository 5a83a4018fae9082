"""What a room will need, tried for real within twenty minutes: `spade-edu doctor --class`.

Each step does, in a folder that is gone afterwards, what somebody of the class will do. It says how long that took, and
what to do where it fails.
"""

import contextlib
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

import torch

from ..checks import examine, known
from ..checks.grading import grade_folder
from ..checks.wall import best_wall
from ..data import Streets, stack
from ..errors import UserError
from ..presets import preset
from ..runs.loading import load_stored
from ..runs.run import Run
from ..sampling import generate
from ..widgets.maps import EditedMap
from ..widgets.page import PageServer
from ..widgets.painter import Painting
from .doctor import FAILURE, OK, WARNING, Finding, Findings
from .folder import COURSE, make_folder
from .lab import STORED
from .parts_file import NAME, read_file, read_reference

PACKAGE = Path(__file__).parents[1]
MINUTES = 20
STEPS_TRAINED = 6  # a pause after half of them
SMALL = {"11": {"SPADE_EDU_PROFILE": "test", "SPADE_EDU_MINUTES": "0.05"}}  # the notebook that trains for minutes
COLOUR_CODES = re.compile(r"\x1b\[[0-9;]*m")


class Room(NamedTuple):
    """Where it is tried, and until when (seconds of time.monotonic)."""

    folder: Path
    deadline: float

    @property
    def course(self) -> Path:
        """The folder that `spade-edu start` makes."""
        return self.folder / "course"

    @property
    def seconds(self) -> int:
        """What is left."""
        return int(self.deadline - time.monotonic())


class Step(NamedTuple):
    """work: does it and says in a few words what came of it, or raises. advice: what to do then."""

    what: str
    work: Callable[[Room], str]
    advice: str


def dry_run(steps: list[Step], minutes: float = MINUTES, say: Callable[[Finding], object] = print) -> Findings:
    """Try one step after the other, say each result at once, and leave out what comes after `minutes`."""
    findings = []
    with tempfile.TemporaryDirectory(prefix="spade_edu_class_", ignore_cleanup_errors=True) as folder:
        room = Room(Path(folder), time.monotonic() + 60 * minutes)
        for step in steps:
            findings.append(_tried(step, room))
            say(findings[-1])
    return Findings(findings)


def _tried(step: Step, room: Room) -> Finding:
    if room.seconds <= 0:
        return Finding(step.what, WARNING, "not tried: the time is over", "Try again when the machine is quiet.")
    started = time.monotonic()
    try:
        level, said, advice = OK, step.work(room), ""
    except Exception as error:  # noqa: BLE001  whatever fails here would fail in the room
        level, said, advice = FAILURE, f"{type(error).__name__}: {_last_line(error)}", step.advice
    return Finding(step.what, level, f"{time.monotonic() - started:5.1f} s: {said}", advice)


def _last_line(error: Exception) -> str:
    """What an error says in the end; that of a notebook's cell begins with the cell."""
    lines = COLOUR_CODES.sub("", str(error)).strip().splitlines()
    return lines[-1] if lines else ""


def class_steps() -> list[Step]:
    """All that a room needs, in the order of a day."""
    notebooks = [path.name for path in sorted(COURSE.glob("*.ipynb")) if not path.stem.endswith("_exercises")]
    install = 'Install the notebooks\' part in the same Python: pip install "spade-edu[notebooks]".'
    return [
        Step("Folder", start_folder, "Choose a place that takes files, and run `spade-edu start FOLDER` there."),
        Step("JupyterLab", jupyter_answers, install),
        Step("Kernel", kernel_is_ours, f"{install} Then: python -m ipykernel install --sys-prefix."),
        Step("my_spade.py", parts_are_borrowed, "Run borrow() in a notebook of the folder, and read what it says."),
        Step("Exercise", exercise_is_checked, "Install the package anew: a check doesn't do what it should."),
        Step("Networks", stored_networks_paint, "Install the package anew: its stored weights are incomplete."),
        Step("Painter", painter_answers, "See whether a firewall closes 127.0.0.1; notebooks still show the painter."),
        Step("Training", training_goes_on, "Try `spade-edu train --preset test`, and read what it says."),
        Step("Grading", answers_are_graded, "Try `spade-edu grade FOLDER` with the exercises of a new folder."),
        *(
            Step(name[:2], partial(notebook_runs, name=name), f"Open {name} and run it to the end.")
            for name in notebooks
        ),
    ]


def start_folder(room: Room) -> str:
    """The folder that everybody begins with."""
    make_folder(room.course)
    return f"{len([*room.course.glob('*.ipynb')])} notebooks"


def jupyter_answers(room: Room) -> str:
    """JupyterLab starts and gives its version over HTTP."""
    runtime = room.folder / "jupyter"
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--port=0", "--ServerApp.allow_root=True"]
    quiet: dict[str, Any] = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=room.course)
    environment = os.environ | {"JUPYTER_RUNTIME_DIR": str(runtime), "JUPYTER_TOKEN": secrets.token_hex(16)}
    with subprocess.Popen(command, env=environment, **quiet) as server:
        try:
            return f"its server {_version_of(server, runtime, time.monotonic() + min(120, room.seconds))} answers"
        finally:
            server.kill()


def _version_of(server: subprocess.Popen, runtime: Path, deadline: float) -> str:
    while time.monotonic() < deadline and server.poll() is None:
        for note in runtime.glob("jpserver-*.json"):
            with contextlib.suppress(OSError, ValueError), _asked(note) as answer:  # it may not be ready yet
                return json.load(answer)["version"]
        time.sleep(0.2)
    raise UserError("it ended at once" if server.poll() is not None else "it didn't answer")


def _asked(note: Path) -> Any:
    """What the server of a note answers to the question for its version."""
    return urlopen(json.loads(note.read_text(encoding="utf-8"))["url"] + "api", timeout=20)


def kernel_is_ours(room: Room) -> str:
    """A notebook's kernel takes this package, and not another Python's."""
    said = run_cells(room, ["import spade_edu, sys\nprint(spade_edu.__file__)", "print(sys.executable)"])
    if not Path(said[0]).parent.samefile(PACKAGE):
        raise UserError(f"notebooks take spade_edu from {said[0]}, this command from {PACKAGE}")
    return f"notebooks run in {said[1]}"


def run_cells(room: Room, cells: list[str]) -> list[str]:
    """What the cells of a notebook in the course's folder print."""
    from nbformat.v4 import new_code_cell, new_notebook

    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    execute(notebook, room)
    return ["".join(output.get("text", "") for output in cell.outputs).strip() for cell in notebook.cells]


def execute(notebook: Any, room: Room, **variables: str) -> None:
    """Run a notebook in a kernel of its own, in the course's folder."""
    from nbclient import NotebookClient

    resources = {"metadata": {"path": str(room.course)}}
    client = NotebookClient(notebook, timeout=max(1, room.seconds), kernel_name="python3", resources=resources)
    client.execute(env=os.environ | variables, stderr=subprocess.DEVNULL)


def parts_are_borrowed(room: Room) -> str:
    """A student's file takes every part of the course."""
    run_cells(room, ["from spade_edu.course import borrow\nprint(borrow())"])
    there, wanted = read_file(room.course / NAME).parts, read_reference().parts
    if list(there) != list(wanted):
        raise UserError(f"{len(there)} of {len(wanted)} parts were borrowed")
    return f"{len(there)} parts borrowed and tried"


def exercise_is_checked(_: Room) -> str:
    """A check accepts the right answer and names the mistake of a wrong one."""
    exercise = known()["one_hot"]
    wrong = examine("one_hot", lambda label, num_classes: exercise.reference(label, num_classes).permute(0, 2, 3, 1))
    if not examine("one_hot", exercise.reference) or exercise.mistakes["channels_last"] not in wrong.message:
        raise UserError(f"check says of a wrong one_hot: {wrong.message}")
    return "a right answer passes, a wrong one is told its mistake"


def stored_networks_paint(_: Room) -> str:
    """The networks that come with the package paint a street."""
    batch = stack([Streets(1, split="val")[0]])
    for name in STORED.values():
        image = generate(load_stored(name).generator, batch, Streets.labels)
        if not (image.isfinite().all() and image.std() > 0.05):
            raise UserError(f"{name} paints nothing")
    return f"{', '.join(STORED)} paint"


def painter_answers(_: Room) -> str:
    """The painter's page is served, and so is its state."""
    scene = Streets(1, split="val")[0]
    core = Painting(load_stored("spade").generator, EditedMap(Streets.labels, scene.label, scene.instance))
    with PageServer(core) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for page in ("", "state"):
            with urlopen(server.address + page, timeout=60) as answer:
                answer.read()
        server.shutdown()
    return "its page answers"


def training_goes_on(room: Room) -> str:
    """A training is stopped half way and goes on from its checkpoint."""
    config, device = preset("cpu"), "cuda" if torch.cuda.is_available() else "cpu"
    scenes = Streets(16, height=config.height, width=config.width)
    started = time.monotonic()
    for until in (STEPS_TRAINED // 2, STEPS_TRAINED):
        run = Run(room.folder / "run", config, scenes, scenes, device=device)
        run.train(until, progress=False)
    if run.step != STEPS_TRAINED:
        raise UserError(f"it ended at step {run.step} of {STEPS_TRAINED}")
    per_step = (time.monotonic() - started) / STEPS_TRAINED
    return f"went on after a stop; about {60 / per_step:.0f} steps a minute ({device}, cpu preset)"


def answers_are_graded(room: Room) -> str:
    """A hand-in with one right answer and an empty one gets one point, no more."""
    notebook = json.loads((room.course / "00_data_exercises.ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and "def one_hot(" in "".join(cell["source"]):
            cell["source"] = read_reference().parts["one_hot"].source
    hand_in = room.folder / "class" / "anna" / "00_data_exercises.ipynb"
    hand_in.parent.mkdir(parents=True)
    hand_in.write_text(json.dumps(notebook), encoding="utf-8")
    (rows,) = grade_folder(room.folder / "class", 60, room.folder / "grades.csv")
    passed = [row.exercise for row in rows if row.passed]
    if passed != ["one_hot"]:
        raise UserError(f"of a right one_hot and no instance_edges pass: {', '.join(passed) or 'none'}")
    return f"one answer of two passes, as it should. {best_wall().says}"


def notebook_runs(room: Room, name: str) -> str:
    """A notebook of the course runs to its end."""
    import nbformat

    notebook = nbformat.read(room.course / name, as_version=4)
    execute(notebook, room, **SMALL.get(name[:2], {}))
    return f"{name}: {len(notebook.cells)} cells"
