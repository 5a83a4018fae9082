"""Which parts of my_spade.py are kept, which are borrowed, which are still open."""

from ..errors import UserError
from ..files import student_folder
from .parts_file import NAME, PartsFile, read_file, read_reference

MARKS = {"kept": "■", "borrowed": "▣", "open": "□"}


def overview() -> str:
    """The lines on the student's file: how many parts are kept and borrowed, then a line a stage; empty without one.

    The file itself is read, so that what is changed by hand counts.
    """
    path = student_folder() / NAME
    if not path.is_file():
        return ""
    try:
        return _lines(read_file(path), read_reference())
    except (UserError, OSError) as error:
        return f"{path}: {error}"


def states(file: PartsFile, reference: PartsFile) -> dict[str, str]:
    """kept, borrowed or open, for every part of the course."""
    found = {name: "borrowed" if part.borrowed else "kept" for name, part in file.parts.items()}
    return {name: found.get(name, "open") for name in reference.parts}


def _lines(file: PartsFile, reference: PartsFile) -> str:
    state = states(file, reference)
    count = {kind: sum(s == kind for s in state.values()) for kind in MARKS}
    lines = [f"{NAME}: {count['kept']} of {len(state)} parts kept, {count['borrowed']} borrowed, {count['open']} open"]
    for stage in reference.stages:
        names = [name for name, part in reference.parts.items() if part.stage == stage]
        said = [f"{kind}: {', '.join(n for n in names if state[n] == kind)}" for kind in MARKS if kind != "kept"]
        marks = "".join(MARKS[state[name]] for name in names)
        lines.append(f"{stage}  {marks:8} " + ("; ".join(s for s in said if not s.endswith(": ")) or "all kept"))
    return "\n".join(lines)
