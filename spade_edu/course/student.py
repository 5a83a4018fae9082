"""The student's own file, my_spade.py: `keep` puts a part into it, `borrow` the reference's; `parts` lists them.

    keep(SPADE)                       # after its check has passed in a fresh process
    from my_spade import SPADE        # what the next stage begins with
    borrow("SPADE")                   # where a stage was skipped; keep(SPADE) later takes its place
    need("SPADE")                     # borrows it where the file lacks it

The folder is the current one, or the one that the environment variable SPADE_EDU_FOLDER names.
"""

import importlib
import importlib.util
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..files import FOLDER_VARIABLE, student_folder, write_whole
from .cells import allowed, import_statement, is_at, origin, source_of
from .overview import overview
from .parts_file import BORROWED, NAME, PartsFile, needs, read_file, read_reference
from .trial import try_file

BACKUP = "my_spade.backup.py"
SECONDS = 30.0  # that the import of the file, and each check, may take


@dataclass(frozen=True)
class Said:
    """Whether it worked, and the line that was printed about it."""

    name: str
    passed: bool
    message: str

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return f"{'✓' if self.passed else '✗'} {self.name}: {self.message}"

    def _ipython_display_(self) -> None:
        """Show nothing at the end of a cell: the line was printed."""


class Overview(str):
    """Lines that show themselves without quotation marks."""

    def __repr__(self) -> str:
        return str(self)


def keep(part: object, seconds: float = SECONDS) -> Said:
    """Put a function or class of this notebook into my_spade.py, replacing an earlier version of the same name.

    The new file is imported in a fresh process and the part's check run there; only then the old file is replaced, and
    kept as my_spade.backup.py. It never raises: what is wrong is said in a line.
    seconds: that the import, and each check, may take.
    """
    name = part if isinstance(part, str) else getattr(part, "__name__", type(part).__name__)
    return _said(name, lambda: _keep(part, seconds))


def borrow(*names: str, seconds: float = SECONDS) -> Said:
    """Put the reference's parts into my_spade.py, marked as borrowed, with those that they need and the file lacks.

    Without a name: every part that the file lacks.
    """
    return _said(", ".join(map(str, names)) or "all parts", lambda: _borrow(names, seconds))


def need(*names: str, seconds: float = SECONDS) -> Said:
    """Make `from my_spade import ...` work for these parts: those that the file lacks are borrowed."""

    def work() -> str:
        path = _path()
        lacking = [name for name in names if name not in read_file(path).parts]
        if lacking:
            which = "" if lacking == list(names) else f"{', '.join(lacking)} "
            return which + _borrow(tuple(lacking), seconds)
        _make_findable(student_folder())
        return f"in {path}."

    return _said(", ".join(names), work)


def parts() -> Overview:
    """Which parts of my_spade.py are kept, which are borrowed, which are still open."""
    return Overview(overview() or f"There is no {NAME} in {student_folder()} yet: keep(...) begins one.")


def _said(name: str, work: Callable[[], str]) -> Said:
    """Do it and print in one line what came of it."""
    try:
        said = Said(name, True, work())
    except UserError as error:
        said = Said(name, False, f"{error} Nothing was written.")
    except OSError as error:
        file = error.filename2 or error.filename or NAME
        said = Said(name, False, f"{file}: {error.strerror or error}. {NAME} is as it was.")
    print(said)
    return said


def _keep(part: object, seconds: float) -> str:
    reference, path = read_reference(), _path()
    name, source, namespace = source_of(part)
    if name not in reference.parts:
        near = get_close_matches(name, reference.parts, n=1)
        meant = f"did you mean {near[0]}?" if near else f"the parts are {', '.join(reference.parts)}."
        raise UserError(f"{name} is not a part of {NAME}; {meant} A helper goes inside the part that uses it.")
    old = read_file(path)
    new = old.with_part(name, source, reference)
    for statement in _imports(name, source, new, reference, namespace):
        new = new.with_import(statement)
    _complete(name, new, reference)
    changed = name in old.parts and old.parts[name].signature != new.parts[name].signature
    users = new.users(name) if changed else []
    verdicts = try_file(new.text, [name, *users], seconds)
    if name in verdicts and not verdicts[name].passed:
        raise UserError(f"not kept, as its check doesn't pass. {verdicts[name].message}")
    _replace(path, old, new)
    failed = [f"{n} ({verdicts[n].message})" for n in users if n in verdicts and not verdicts[n].passed]
    checked = "its check passes" if name in verdicts else "it has no check"
    warning = f" It is called in another way than before, and these use it and no longer pass: {'; '.join(failed)}"
    return f"kept in {path}; {checked}." + (warning if failed else "")


def _borrow(names: tuple[str, ...], seconds: float) -> str:
    reference, path = read_reference(), _path()
    old = read_file(path)
    for name in names:
        if name not in reference.parts:
            near = get_close_matches(str(name), reference.parts, n=1)
            meant = f"did you mean {near[0]!r}?" if near else f"the parts are {', '.join(reference.parts)}."
            raise UserError(f"There is no part of this name; {meant}")
        if name in old.parts and not old.parts[name].borrowed:
            raise UserError(f"{name} in {path} is your own: remove it there first, if you want to borrow it.")
    wanted = {n for name in names or reference.parts for n in (name, *reference.needed(name))}
    missing = [n for n in reference.parts if n in wanted and n not in old.parts]
    if not missing:
        return f"is in {path} already, borrowed." if names else f"{path} has every part already."
    new = old
    for n in missing:
        new = new.with_part(n, f"{BORROWED}\n{reference.parts[n].source}", reference)
        for used in sorted(reference.parts[n].needs & set(reference.imports) - new.names):
            new = new.with_import(import_statement(used, reference.imports[used]))
    try_file(new.text, [], seconds)
    _replace(path, old, new)
    others = [n for n in missing if names and n not in names]
    who = "it needs" if len(names) == 1 else "they need"
    return f"borrowed into {path}" + (f", with {', '.join(others)}, which {who}." if others else ".")


def _path() -> Path:
    """The student's file, where a link leads to; a UserError where its folder isn't there or it may not be written."""
    folder = student_folder()
    if not folder.is_dir():
        raise UserError(f"{FOLDER_VARIABLE} names {folder}, which is no folder: make it, or mount your Drive first.")
    path = (folder / NAME).resolve()
    if path.exists() and not path.stat().st_mode & stat.S_IWUSR:
        raise UserError(f"{path} is read-only: make it writable (chmod u+w).")
    return path


def _imports(name: str, source: str, file: PartsFile, reference: PartsFile, namespace: dict[str, Any]) -> list[str]:
    """The imports that a part needs and the file lacks; a UserError that says what to do about every other name."""
    statements: list[str] = []
    faults: dict[str, list[str]] = {}
    for used in sorted(needs(source)):
        value = namespace.get(used)
        dotted = origin(used, value) if used in namespace else ""
        clash = used in namespace and used in file.imports and not is_at(file.imports[used], value)
        if used in file.names and not clash:
            continue
        if clash:
            say, what = f"something else in {NAME}, so take another name:", used
        elif used in reference.parts:
            say, what = "keep or borrow first, as parts of the course:", used
        elif used not in namespace:
            say, what = "defined nowhere:", used
        elif not dotted:
            say, what = f"move inside {name}, or hand over as an argument:", used
        elif not allowed(dotted):
            say, what = "write with torch alone:", f"{used} (of {dotted.split('.')[0]})"
        else:
            statements.append(import_statement(used, dotted))
            continue
        faults.setdefault(say, []).append(what)
    if faults:
        listed = "; ".join(f"{say} {', '.join(names)}" for say, names in faults.items())
        raise UserError(f"it needs names that {NAME} doesn't have: {listed}.")
    return statements


def _complete(name: str, file: PartsFile, reference: PartsFile) -> None:
    """A UserError where a part that `name` needs lacks something itself."""
    lacks = {n: sorted(file.parts[n].needs - file.names) for n in file.needed(name)}
    listed = [f"{n} needs {', '.join(names)}" for n, names in lacks.items() if names]
    if listed:
        missing = {m for names in lacks.values() for m in names if m in reference.parts}
        repair = f" Keep or borrow {', '.join(sorted(missing))}." if missing else ""
        raise UserError(f"{NAME} is not complete: {'; '.join(listed)}.{repair}")


def _replace(path: Path, old: PartsFile, new: PartsFile) -> None:
    """Write the new file, keep the earlier one as its backup, and reload the module of the open notebook."""
    if path.exists():
        if read_file(path).text != old.text:
            raise UserError(f"{path} was changed while the part was tried: run the cell again.")
        write_whole(path.with_name(BACKUP), path.read_bytes())
    write_whole(path, new.text)
    _reload(student_folder() / NAME)


def _reload(path: Path) -> None:
    """Make `from my_spade import ...` find this file, and renew the module where it is loaded already."""
    Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)  # two files in one second look alike
    _make_findable(path.parent)
    module = sys.modules.get(path.stem)
    if module is not None:
        importlib.reload(module)


def _make_findable(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
