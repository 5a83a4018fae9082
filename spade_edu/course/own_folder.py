"""The student's folder found again: where a notebook was opened, or on a mounted Drive in a new Colab session."""

import os
import sys
from pathlib import Path

from ..files import FOLDER_VARIABLE, student_folder
from .folder import MANIFEST
from .parts_file import NAME

DRIVE = Path("/content/drive/MyDrive")  # where Colab mounts it
LOST = (
    "Colab wipes this machine when the session ends. A notebook opened from GitHub is kept by File, Save a copy in "
    "Drive; your file and your runs by `save_folder` and `save_runs` of spade_edu.course, in a folder on Drive. To "
    'reach Drive: `from google.colab import drive; drive.mount("/content/drive")`, then run this cell again: it finds '
    f"the folder that `!spade-edu start {DRIVE / 'my_spade'}` made there."
)


def home() -> None:
    """Make `import my_spade` find the student's file, and say in a line which file it is; on Colab also what is lost.

    The folder is the current one or SPADE_EDU_FOLDER's; where neither has the file, one of `spade-edu start` on Drive.
    """
    if not (student_folder() / NAME).is_file() and not os.environ.get(FOLDER_VARIABLE) and (found := on_drive()):
        os.environ[FOLDER_VARIABLE] = str(found)
    folder = student_folder()
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    if (folder / NAME).is_file():
        print(f"Your file: {folder / NAME}")
    if "google.colab" in sys.modules and not folder.is_relative_to(DRIVE):
        print(LOST)


def on_drive() -> Path | None:
    """The folder that `spade-edu start` made on a mounted Drive, the one used last where there are several."""
    made = [manifest.parent for manifest in DRIVE.glob(f"*/{MANIFEST}") if (manifest.parent / NAME).is_file()]
    return max(made, key=lambda folder: (folder / NAME).stat().st_mtime, default=None)
