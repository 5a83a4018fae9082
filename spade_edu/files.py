"""Files that are written whole or not at all, folders that one process holds, and the folder of the student's own."""

import errno
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from .errors import UserError

ASSETS = Path(__file__).parent / "assets"  # weights, class tables and results that come with the package
FOLDER_VARIABLE = "SPADE_EDU_FOLDER"
NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # Windows lets only administrators make links


def meant(path: str | Path) -> Path:
    """A path as it was meant: without the quotes that a copied one brings along, with ~ for the home folder."""
    text = str(path).strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1]
    return Path(os.path.expanduser(text))  # leaves ~ where there is no such home, and no error


def student_folder() -> Path:
    """Where the student's file and scorecard lie: the folder that SPADE_EDU_FOLDER names, else the current one."""
    return Path(os.environ.get(FOLDER_VARIABLE) or ".").expanduser().absolute()


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; makes its folder where it is missing."""
    data = content.encode() if isinstance(content, str) else content
    write_whole_with(path, lambda part: part.write_bytes(data))


def write_whole_with(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write(part)` fill a new file beside `path` whose name nobody can know, then rename it.

    The file is on the disk before it has its name, so a power cut leaves the old one or the new one. It is removed if
    `write` raises. No link is followed, and two who write the same file don't meet.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINK, 0o666))
        write(part)
        sync_file(part)
        os.replace(part, path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and str(error.filename) == str(part):
            error.filename = str(path)  # the name that the user knows
        raise
    sync_folder(path.parent)


def remove_parts(folder: Path) -> None:
    """Remove what killed processes left of files half written. Only for one who holds the folder."""
    for part in folder.rglob(".*.part"):
        if not part.is_dir():
            part.unlink(missing_ok=True)


def open_own(path: Path, mode: str) -> IO[bytes]:
    """Open a file of this name to write to, in bytes. Errors: a UserError where a link stands there."""
    try:
        return open(path, mode + "b", opener=lambda name, flags: os.open(name, flags | NO_LINK, 0o666))
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise UserError(f"{path} is a link: nothing is written through links. Remove it.") from None


@contextmanager
def hold(folder: Path, refusal: str) -> Iterator[bool]:
    """Hold a folder alone; the lock ends with the process, however that ends. Gives whether its drive has locks.

    Errors: a UserError with `refusal` where another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open_own(folder / ".lock", "a") as file:
        try:
            _lock(file.fileno())
            locked = True
        except (BlockingIOError, PermissionError):
            raise UserError(f"{folder}: {refusal}") from None
        except OSError:
            locked = False
        yield locked


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


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
