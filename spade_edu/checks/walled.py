"""The last step before a judged notebook, in namespaces that `unshare` made: `python walled.py ORDER COMMAND ...`.

All that is mounted becomes read-only, but the notebook's folder, which is a new one in memory. /dev has the harmless
devices only. Then every privilege is dropped, and the command begins. Nothing of the package is loaded here.
"""

import ctypes
import errno
import json
import os
import sys
from pathlib import Path

READ_ONLY, NOSUID, NODEV, REMOUNT, BIND, RECURSIVE = 1, 2, 4, 32, 4096, 16384
KEPT = {"nosuid": NOSUID, "nodev": NODEV, "noexec": 8, "noatime": 1024, "nodiratime": 2048, "relatime": 1 << 21}
CAPABILITY, NO_NEW_PRIVILEGES = 24, 38  # of prctl: take one out of those that a program can get; none by setuid
DEVICES = ("null", "zero", "full", "random", "urandom")
SIZE = "1g"  # of all that a notebook writes
libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: Path, kind: str, flags: int, options: str = "") -> None:
    """mount(2). Errors: OSError."""
    if libc.mount(source.encode(), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), options.encode()):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(target))


def small_dev(staging: Path) -> None:
    """Put a /dev in place of the system's; `staging` is a folder to make it in."""
    mount("tmpfs", staging, "tmpfs", NOSUID, "size=1m,mode=755")
    for name in DEVICES:
        (staging / name).touch()
        mount(f"/dev/{name}", staging / name, "", BIND)
    (staging / "shm").mkdir()
    mount(str(staging), Path("/dev"), "", BIND | RECURSIVE)
    libc.umount2(os.fsencode(staging), 2)  # lazily


def read_only(but: set[str]) -> None:
    """Make every mount read-only, and its devices dead outside /dev."""
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        words = line.split()
        target = words[4].encode().decode("unicode_escape")
        if target in but:
            continue
        flags = sum(KEPT.get(word, 0) for word in words[5].split(","))
        flags |= 0 if target.startswith("/dev/") else NODEV
        try:
            mount("none", Path(target), "", REMOUNT | BIND | READ_ONLY | NOSUID | flags)
        except OSError as error:  # what lies below another mount can't be reached by anybody
            if error.errno not in (errno.EINVAL, errno.ENOENT, errno.EACCES, errno.ENOTDIR):
                raise


def new_folder(folder: Path, user: int | None) -> None:
    """The notebook's folder in memory, with the files that it held."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    mount("tmpfs", folder, "tmpfs", NOSUID | NODEV, f"size={SIZE},mode=700")
    for name, content in files.items():
        (folder / name).write_bytes(content)
    if user is not None:
        for path in (folder, *folder.iterdir()):
            os.chown(path, user, user)


def drop(user: int | None) -> None:
    """Give up every privilege for good, and the user where another one is named."""
    for capability in range(64):
        libc.prctl(CAPABILITY, capability, 0, 0, 0)
    if user is not None:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def main() -> None:
    """Build the wall that the order describes, and run the command inside."""
    order = json.loads(sys.argv[1])
    folder, user = Path(order["folder"]), order["user"]
    small_dev(folder)
    new_folder(folder, user)
    for hidden in order["hidden"]:
        mount("tmpfs", Path(hidden), "tmpfs", NOSUID | NODEV, "size=4k,mode=755")
    mount("tmpfs", Path("/dev/shm"), "tmpfs", NOSUID | NODEV, f"size={SIZE},mode=1777")
    read_only({str(folder), "/dev/shm"})
    os.chdir(folder)
    drop(user)
    if any(os.access(path, os.W_OK) for path in order["kept"]):
        sys.exit("not read-only")
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
