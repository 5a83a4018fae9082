"""Who trains in a folder, noted in it beside the lock: mounted drives know no locks, or none between two machines."""

import json
import os
import platform
import time
from pathlib import Path
from typing import NamedTuple

from ..errors import UserError
from ..files import write_whole

FRESH = 30 * 60  # seconds; a training saves more often


class Note(NamedTuple):
    """A process on a host, and when it last said that it trains here (seconds, of that host's clock)."""

    host: str
    process: int
    time: float

    def __str__(self) -> str:
        return f"process {self.process} on {self.host!r}"


class Holder:
    """This process's note in a run folder: taken at the start, renewed at each save, gone at the end."""

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / ".holder.json"

    def seen(self) -> str:
        """Who is noted there, in brackets, for a message; nothing where there is no note."""
        note = read_note(self.path)
        return f" ({note})" if note else ""

    def take(self, locked: bool) -> None:
        """Note this process, and say what the lock can't: that there is none, or that another host was here lately."""
        note = read_note(self.path)
        if not locked:
            print(f"{self.folder}: this drive has no locks, so nothing keeps a second run out. Start only one.")
        if note and time.time() - note.time < FRESH and not (locked and note.host == platform.node()):
            minutes = max(0, time.time() - note.time) / 60
            print(
                f"{self.folder}: {note} trained here {minutes:.0f} minutes ago. If it still does, it stops at its next "
                "save, and this run goes on."
            )
        self._write()

    def renew(self) -> None:
        """Renew the note before a save. Errors: a UserError where another process has taken the folder over."""
        note = read_note(self.path)
        if note and not self._is_own(note):
            raise UserError(
                f"{self.folder}: {note} has taken this run over. This one stops without saving, so that only one "
                "writes here."
            )
        self._write()

    def leave(self) -> None:
        """Remove the note, if it is still this process's."""
        note = read_note(self.path)
        if note and self._is_own(note):
            self.path.unlink(missing_ok=True)

    def _is_own(self, note: Note) -> bool:
        return (note.host, note.process) == (platform.node(), os.getpid())

    def _write(self) -> None:
        write_whole(self.path, json.dumps(Note(platform.node(), os.getpid(), time.time())._asdict()))


def read_note(path: Path) -> Note | None:
    """The note in a file; None where there is none, or something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Note(str(content["host"])[:80], int(content["process"]), float(content["time"]))
    except (OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return None
