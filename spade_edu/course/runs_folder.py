"""The reader's runs: where notebooks look for them, and in one line to a mounted Drive and back.

    %env SPADE_EDU_RUNS=/content/drive/MyDrive/runs     # look there, and train there
    save_runs("/content/drive/MyDrive/runs")            # or carry copies
    bring_runs("/content/drive/MyDrive/runs")

Carried are run folders, and what notebook 11 keeps in my_runs/.
"""

import os
import shutil
from dataclasses import replace
from pathlib import Path

from ..checkpoints import checkpoints, step_of
from ..config import TrainingConfig
from ..errors import UserError
from ..files import meant, student_folder, write_whole
from ..runs.loading import load_config, own_texts

RUNS_VARIABLE = "SPADE_EDU_RUNS"
RUNS, MY_RUNS = "runs", "my_runs"  # MY_RUNS: notebook 11's, in the student's folder
TICK = 2  # seconds: some drives know times no better
MOUNT_FIRST = "{} is no folder. On Colab, mount your Drive first."


def runs_folders() -> list[Path]:
    """Where runs are looked for; new ones are made in the first.

    The folder of SPADE_EDU_RUNS, if that is set; else runs/ here, in the student's folder and in each folder above.
    Errors: a UserError where SPADE_EDU_RUNS names a place that doesn't exist.
    """
    if named := os.environ.get(RUNS_VARIABLE):
        if not meant(named).parent.is_dir():
            raise UserError(f"{RUNS_VARIABLE}: {MOUNT_FIRST.format(meant(named).parent)}")
        return [meant(named)]
    above = [Path(*[".."] * height, RUNS) for height in range(1, len(Path.cwd().parents) + 1)]
    places: dict[Path, Path] = {}
    for folder in (Path(RUNS), student_folder() / RUNS, *above):
        places.setdefault(folder.resolve(), folder)
    return [*places.values()]


def newest_run(model: str, like: TrainingConfig) -> Path | None:
    """The run folder whose checkpoint of `model` on the same data and size is the newest; None if none is.

    Runs of a student's file are passed over: they are opened with the file that is named for them.
    """
    found = []
    for path in (path for folder in runs_folders() for path in folder.glob("*/config.json")):
        try:
            config, steps = load_config(path.parent), checkpoints(path.parent / "checkpoints")
        except UserError as error:  # of another version, say: no reason to stop a notebook
            print(f"Passing over a run. {error}")
            continue
        same = all(getattr(config, name) == getattr(like, name) for name in ("data", "height", "width"))
        if steps and same and config.model == model and not own_texts(path.parent):
            found.append((steps[-1].stat().st_mtime, path.parent))
    if not found:
        return None
    return max(found)[1]


def save_runs(target: str | Path) -> None:
    """Copy the runs of the nearest runs/, and what notebook 11 keeps, to a folder, on Drive say.

    What got further there stays, and is named. Errors: a UserError where there is nothing, or no such place.
    """
    here = next((folder for folder in runs_folders() if folder.is_dir()), Path(RUNS))
    _carry(here, student_folder() / MY_RUNS, meant(target), meant(target), "saved")


def bring_runs(source: str | Path) -> None:
    """Copy what `save_runs` saved back to where notebooks look for it; what got further here stays, and is named.

    Errors: a UserError where nothing was saved there.
    """
    _carry(meant(source), meant(source), runs_folders()[0], student_folder() / MY_RUNS, "brought back")


def _carry(runs: Path, files: Path, to_runs: Path, to_files: Path, done: str) -> None:
    """Copy run folders and notebook 11's files, each to its place, and say so in a line or two."""
    if not to_runs.absolute().parent.is_dir():
        raise UserError(MOUNT_FIRST.format(to_runs.absolute().parent))
    found = [path.parent for path in sorted(runs.glob("*/config.json"))] + sorted(files.glob("*.safetensors"))
    if not found:
        raise UserError(f"There is no run in {runs}, and none of notebook 11's in {files}.")
    carried, left = 0, []
    for path in found:
        target = (to_runs if path.is_dir() else to_files) / path.name
        ahead = _ahead(path, target)
        carried += ahead > 0
        if ahead > 0:
            (_copy_run if path.is_dir() else _copy_file)(path, target)
        elif ahead < 0:
            left.append(str(target))
    print(f"{carried} of {len(found)} runs {done}: {to_runs}")
    if left:
        print(f"Left, as they got further or are other runs: {', '.join(left)}. Rename them to take these, too.")


def _ahead(path: Path, target: Path) -> int:
    """1 where `path` is to be copied over `target`, 0 where they are the same, -1 where `target` is to be left."""
    if not target.exists():
        return 1
    if path.is_file():
        later = (path.stat().st_mtime - target.stat().st_mtime) / TICK
    elif _same_settings(path, target):
        later = _last_step(path) - _last_step(target)
    else:
        later = -1
    return (later >= 1) - (later <= -1)


def _same_settings(one: Path, other: Path) -> bool:
    """Whether two folders hold the same run; data may lie elsewhere in each session, and a run may be made longer."""
    first, second = (replace(load_config(folder), root="", epochs_more=0) for folder in (one, other))
    return first == second


def _last_step(folder: Path) -> int:
    return max(map(step_of, checkpoints(folder / "checkpoints")), default=-1)


def _copy_run(source: Path, target: Path) -> None:
    """Checkpoints last, each under a name that doesn't count until it is whole: cut off, it is the earlier run."""
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        if path.is_file() and inside.parts[0] != "checkpoints" and not path.name.startswith("."):
            write_whole(target / inside, path.read_bytes())
    steps = checkpoints(source / "checkpoints")
    for path in steps:
        whole = target / "checkpoints" / f"{step_of(path):07d}"
        part = whole.with_name(f".{whole.name}.part")
        if not whole.exists():
            shutil.rmtree(part, ignore_errors=True)
            shutil.copytree(path, part)
            os.replace(part, whole)
    for old in checkpoints(target / "checkpoints")[: -len(steps)]:
        shutil.rmtree(old, ignore_errors=True)


def _copy_file(source: Path, target: Path) -> None:
    write_whole(target, source.read_bytes())
    shutil.copystat(source, target)  # its time tells which of two got further
