"""The student's folder in one line to a zip or to a mounted Drive, and in one line back.

    save_folder("my_spade.zip")                        # or a folder: "/content/drive/MyDrive/my_spade"
    bring_back("/content/drive/MyDrive/my_spade")

Notebooks, my_spade.py, progress and predictions are carried; runs and data sets are not.
"""

import os
import time
import zipfile
from calendar import timegm
from pathlib import Path
from typing import NamedTuple

from ..errors import UserError
from ..files import student_folder, write_whole, write_whole_with
from .parts_file import NAME
from .student import BACKUP

CARRIED = (NAME, "spade_edu_*.json", "[0-9][0-9]_*.ipynb")
TICK = 2  # seconds: a zip knows times no better


class Stored(NamedTuple):
    """A file's content and when it was last changed (seconds since 1970)."""

    content: bytes
    changed: float


def save_folder(target: str | Path) -> None:
    """Save the student's files to a zip (NAME.zip) or a folder; what is newer there stays, and is named.

    Errors: a UserError where there is nothing to save, or the target can't be read.
    """
    _carry(student_folder(), Path(target).expanduser().absolute(), "saved")


def bring_back(source: str | Path) -> None:
    """Bring saved files back into the student's folder; what is newer here stays, and is named.

    Errors: a UserError where nothing was saved there.
    """
    _carry(Path(source).expanduser().absolute(), student_folder(), "brought back")


def _carry(source: Path, target: Path, done: str) -> None:
    """Copy what differs and is not newer at the target, and say so in a line or two."""
    if not source.exists():
        raise UserError(f"{source} doesn't exist. On Colab, mount your Drive first.")
    if not target.parent.is_dir():
        raise UserError(f"{target.parent} is no folder. On Colab, mount your Drive first.")
    files, there = _read(source), _read(target) if target.exists() else {}
    if not files:
        raise UserError(f"{source} holds none of {', '.join(CARRIED)}.")
    differ = [n for n in files if n not in there or there[n].content != files[n].content]
    newer = [n for n in differ if n in there and there[n].changed > files[n].changed + TICK]
    carried = {n: files[n] for n in differ if n not in newer}
    if carried:
        _write(target, carried, there)
    print(f"{len(carried)} of {len(files)} files {done}, the others were the same: {target}")
    if newer:
        print(f"Left, as they are newer in {target}: {', '.join(newer)}. Rename them there to take the others.")


def _is_zip(path: Path) -> bool:
    return path.suffix.lower() == ".zip"


def _read(path: Path) -> dict[str, Stored]:
    """The student's files in a folder or zip."""
    if not _is_zip(path):
        if not path.is_dir():
            raise UserError(f"{path} is neither a folder nor a .zip.")
        found = sorted(p for p in path.iterdir() if p.is_file() and _is_carried(p.name))
        return {p.name: Stored(p.read_bytes(), p.stat().st_mtime) for p in found}
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if _is_carried(entry.filename)]
            return {e.filename: Stored(archive.read(e), timegm((*e.date_time, 0, 0, 0))) for e in entries}
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        EOFError,
    ) as error:  # the two in the middle: encrypted
        raise UserError(f"{path} is not a readable zip ({error}).") from None


def _is_carried(name: str) -> bool:
    return "/" not in name and "\\" not in name and any(Path(name).match(pattern) for pattern in CARRIED)


def _write(target: Path, files: dict[str, Stored], there: dict[str, Stored]) -> None:
    """Write the files to a zip, beside those that it holds, or into a folder; each with its time."""
    if _is_zip(target):
        write_whole_with(target, lambda part: _write_zip(part, there | files))
        return
    for name, file in files.items():
        if name == NAME and name in there:
            write_whole(target / BACKUP, there[name].content)
        write_whole(target / name, file.content)
        os.utime(target / name, (file.changed, file.changed))


def _write_zip(path: Path, files: dict[str, Stored]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in files.items():
            changed = time.gmtime(max(file.changed, 315532800))  # a zip begins in 1980
            archive.writestr(zipfile.ZipInfo(name, changed[:6]), file.content, zipfile.ZIP_DEFLATED)
