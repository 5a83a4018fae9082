"""Files that are written whole or not at all, and the folder of the student's own."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"  # weights, class tables and results that come with the package
FOLDER_VARIABLE = "SPADE_EDU_FOLDER"


def student_folder() -> Path:
    """Where the student's file and scorecard lie: the folder that SPADE_EDU_FOLDER names, else the current one."""
    return Path(os.environ.get(FOLDER_VARIABLE) or ".").expanduser().absolute()


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; makes its folder where it is missing."""
    data = content.encode() if isinstance(content, str) else content
    write_whole_with(path, lambda part: part.write_bytes(data))


def write_whole_with(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write(part)` write a file under a temporary name beside `path`, then rename it.

    part: path.part, which does not exist then (nothing is written through a link), and is removed if `write` raises.
    It is on the disk before it has its name, so a power cut leaves the old file or the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        part.unlink(missing_ok=True)
        write(part)
        sync_file(part)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Wait until what was written to a file is on the disk."""
    _sync(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system and its drive can be asked to."""
    with suppress(OSError):  # Windows, and some mounted drives, know no such thing
        _sync(path, os.O_RDONLY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
