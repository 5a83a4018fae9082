"""Files that are written whole or not at all, and the folder of the student's own."""

import os
from collections.abc import Callable
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
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        part.unlink(missing_ok=True)
        write(part)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
