"""What keeps a judged notebook from everything else: as much as the system offers, tried out before it is used.

Namespaces (Linux, `unshare`): the notebook sees no other process and no network, may write in its own folder only, and
whatever it started ends with it. A user of its own (where the grader is root): others' processes and files are out of
reach. Without either it runs with the grader's rights, on a copy of the package: `Wall.says` says so.
"""

import ctypes
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from pathlib import Path

from ..errors import UserError

PACKAGE = Path(__file__).parents[1]
FIRST_USER = 50_000  # users of this number and above get no name and own nothing
PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "SYSTEMROOT", "COMSPEC", "PATHEXT")
HIDDEN = ("/run", "/var/run", "/var/lib/docker")  # where services listen, to a grader that is root
TRY = "import importlib.util as u; [open(u.find_spec(n).origin).close() for n in ('torch', 'IPython', 'spade_edu')]"
TRY_SECONDS = 120  # for Python to start on a busy machine
COUNTED_APART = (5, 14)  # since this Linux a namespace's processes have a count of their own
NOW_CHILDREN = 36  # of prctl: whoever loses its parent becomes a child of this process
# A user's end takes all that runs under its number: two gradings at a time, whose pids are near, may not share any.
_users = count(FIRST_USER + secrets.randbelow(10_000))


@dataclass(frozen=True)
class Wall:
    """What stands around a judged notebook. hidden: folders that it sees empty."""

    namespaces: bool
    user: bool
    hidden: tuple[str, ...] = ()

    @property
    def says(self) -> str:
        """What it keeps a notebook from on this system, and what it doesn't, in a line."""
        if self.namespaces and self.user:
            return "Each notebook runs as a user of its own, without network, and can write in its own folder only."
        if self.namespaces:
            return "Each notebook runs without network and can write in its own folder only; it can read what you can."
        if self.user:
            return "Each notebook runs as a user of its own; this system gives it no namespaces, so it has a network."
        return (
            "This system gives notebooks neither namespaces nor a user of their own: they run with your rights, and "
            "can change your files. Grade people whom you don't know in a container (docs/teaching.md)."
        )

    @property
    def counts_apart(self) -> bool:
        """Whether a bound of processes counts the notebook's alone, and nothing else that the same user runs."""
        return self.user or (self.namespaces and _linux() >= COUNTED_APART)

    def hiding(self, folder: Path) -> "Wall":
        """The same wall, with a folder hidden, unless Python or the package lie in it."""
        needed = (PACKAGE, Path(sys.prefix), Path(sys.base_prefix), Path(tempfile.gettempdir()))
        inside = any(p.resolve().is_relative_to(folder.resolve()) for p in needed)
        return self if inside else replace(self, hidden=(*self.hidden, str(folder.resolve())))

    @contextmanager
    def started(self, module: list[str], order: str, files: dict[str, bytes]) -> Iterator[subprocess.Popen]:
        """A process `python MODULE` that reads `order`, in a folder with `files`; all that it started ends with it."""
        user = next(_users) if self.user else None
        with tempfile.TemporaryDirectory(prefix="graded-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            for file, content in files.items():
                (folder / file).write_bytes(content)
            package = PACKAGE if self.namespaces or self.user else _copied(folder / "package")
            with tempfile.TemporaryFile() as given:
                given.write(order.encode())
                given.seek(0)
                before = _children()
                process = self._begun(module, folder, package, user, given.fileno())
            try:
                yield process
            finally:
                _end(process, before, None if self.namespaces else user)

    def _begun(self, module: list[str], folder: Path, package: Path, user: int | None, given: int) -> subprocess.Popen:
        command, more = [sys.executable, *module], {}
        if self.namespaces:
            kept = [str(p) for p in (PACKAGE, sys.prefix, os.path.dirname(os.__file__)) if os.access(p, os.W_OK)]
            wall = {"folder": str(folder), "user": user, "hidden": [*self.hidden, *_existing(HIDDEN)], "kept": kept}
            walled = [sys.executable, "-I", "-S", str(PACKAGE / "checks/walled.py"), json.dumps(wall)]
            command = [*_unshare(), *walled, *command]
        elif user is not None:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, user, user)
            more = {"user": user, "group": user, "extra_groups": []}
        return subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(folder, package.parent),
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **more,  # type: ignore[call-overload]  # the three are its keywords
        )


@cache
def best_wall() -> Wall:
    """The strongest wall in which Python starts and finds torch."""
    walls = [Wall(namespaces, user) for namespaces in (True, False) for user in (True, False)]
    return next((wall for wall in walls[:-1] if _holds(wall)), walls[-1])


def _holds(wall: Wall) -> bool:
    if wall.user and (not hasattr(os, "getuid") or os.getuid() != 0):
        return False
    if wall.namespaces and (sys.platform != "linux" or shutil.which("unshare") is None):
        return False
    try:
        with wall.started(["-c", TRY], "", {}) as process:
            return process.wait(TRY_SECONDS) == 0
    except subprocess.TimeoutExpired as error:  # nobody shall get a weaker wall for that
        text = f"A process took longer than {TRY_SECONDS} seconds to start: the machine is too busy to grade."
        raise UserError(text) from error
    except (OSError, subprocess.SubprocessError):
        return False


def _linux() -> tuple[int, ...]:
    """The version of the kernel, as (6, 1)."""
    return tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2])


def _unshare() -> list[str]:
    apart = ["--mount", "--pid", "--net", "--ipc", "--fork", "--kill-child", "--mount-proc"]
    return ["unshare", *([] if os.getuid() == 0 else ["--user", "--map-root-user"]), *apart, "--"]


def _existing(folders: tuple[str, ...]) -> list[str]:
    return [folder for folder in folders if os.path.isdir(folder) and not os.path.islink(folder)]


def _environment(folder: Path, packages: Path) -> dict[str, str]:
    """The few variables that Python and torch need; no keys and passwords."""
    here = dict.fromkeys(
        ("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP", "IPYTHONDIR", "MPLCONFIGDIR", "SPADE_EDU_FOLDER"), str(folder)
    )
    paths = os.pathsep.join(filter(None, [str(packages), os.environ.get("PYTHONPATH")]))
    fixed = {"PYTHONPATH": paths, "PYTHONUTF8": "1", "MPLBACKEND": "agg", "CUDA_VISIBLE_DEVICES": "", "USER": "student"}
    fixed |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # threads of a busy machine compute by waiting
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ} | here | fixed


def _copied(folder: Path) -> Path:
    """A copy of the package, to be edited by whoever edits what it was loaded from."""
    return Path(shutil.copytree(PACKAGE, folder / PACKAGE.name))


def _end(process: subprocess.Popen, before: set[int], user: int | None) -> None:
    """End a process and whatever it started, as far as the system tells."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
    process.wait()
    if user is not None:
        all_of_it = "import os; os.kill(-1, 9)"
        subprocess.run([sys.executable, "-c", all_of_it], user=user, group=user, extra_groups=[], check=False)
    while left := _children() - before:
        for child in left:
            with suppress(OSError):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
    if process.stdout:
        process.stdout.close()


def _children() -> set[int]:
    """The children of this process, on Linux; whoever they leave behind becomes one."""
    if sys.platform != "linux":
        return set()
    ctypes.CDLL(None).prctl(NOW_CHILDREN, 1, 0, 0, 0)
    found = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return {int(word) for path in found for word in path.read_text(encoding="ascii").split()}
