"""The source of what a student defined in a cell, and where the names that it uses come from.

`inspect.getsource` finds no class of a cell under Python 3.11 and 3.12, so a class is cut out of the text of the cell
by its name; the file name that its methods carry says which cell.
"""

import ast
import inspect
import linecache
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from ..errors import UserError
from .parts_file import BORROWED, Definition, span

MAGIC = re.compile(r"^[ \t]*[%!?].*$", flags=re.MULTILINE)  # a line that is IPython's, not Python's
PLACES = ("torch", "torch.nn", "torch.nn.functional")  # where a name of torch is imported from, if it is there


def source_of(thing: object) -> tuple[str, str, dict[str, Any]]:
    """Name, source (with decorators and the comments directly above) and module's names of a function or class.

    Errors: a UserError for anything else, for what another package holds, and where the text can't be found.
    """
    definition = _definition(thing)
    name = definition.__name__
    for text in _texts(definition):
        source = cut(text, name)
        if source:
            return name, source, _namespace(definition)
    raise UserError(f"The text of {name} can't be found: define it at the top level of a cell and run that cell.")


def _definition(thing: object) -> Callable:
    """The function (without its wrappers) or class; a UserError for what can't be kept."""
    if isinstance(thing, str):
        raise UserError(f"keep takes the function or class itself, without quotation marks: keep({thing}).")
    definition = inspect.unwrap(thing) if callable(thing) else thing
    if not inspect.isfunction(definition) and not inspect.isclass(definition):
        raise UserError(
            f"keep takes a function or a class, written with def or class; this is a {type(thing).__name__}."
        )
    name, module = definition.__name__, definition.__module__ or ""
    if name == "<lambda>":
        raise UserError("keep takes a function or a class, written with def or class; this is a lambda.")
    if "<locals>" in definition.__qualname__:
        raise UserError(f"{name} is defined inside a function: define it at the top level of a cell.")
    if module.split(".")[0] in ("spade_edu", "torch", "builtins"):
        raise UserError(f'{name} comes from {module}: keep what you wrote yourself, or borrow("{name}").')
    if module == "my_spade":
        raise UserError(f"{name} comes from my_spade.py, where it stands already: keep takes a new one, from a cell.")
    return definition


def cut(text: str, name: str) -> str:
    """The last definition of a name at the top level of a text; empty where there is none."""
    text = MAGIC.sub("", text)
    lines = text.splitlines()
    try:
        nodes = [n for n in ast.parse(text).body if isinstance(n, Definition) and n.name == name]
    except (SyntaxError, ValueError):
        return ""
    return "\n".join(line for line in lines[span(nodes[-1], lines)] if line != BORROWED) if nodes else ""


def _texts(definition: Callable) -> Iterator[str]:
    """The texts that may hold a definition: the cell or file that its code names, then the notebook's history."""
    owned = vars(definition).values() if inspect.isclass(definition) else [definition]
    functions = [inspect.unwrap(getattr(f, "__func__", f)) for f in owned if callable(getattr(f, "__func__", f))]
    for file in dict.fromkeys(f.__code__.co_filename for f in functions if inspect.isfunction(f)):
        linecache.checkcache(file)
        yield "".join(linecache.getlines(file))
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is not None and definition.__module__ == "__main__":
        yield from reversed(shell.history_manager.input_hist_raw)


def _namespace(definition: Callable) -> dict[str, Any]:
    if inspect.isfunction(definition):
        return definition.__globals__
    return vars(sys.modules[definition.__module__])


def origin(name: str, value: Any) -> str:
    """Where a value can be imported from (torch.nn.functional.relu, under any name); empty: from nowhere."""
    if isinstance(value, ModuleType):
        return value.__name__ if value.__name__ != "__main__" else ""
    module = getattr(value, "__module__", None)
    if module == "__main__":
        return ""
    names = dict.fromkeys([name, getattr(value, "__name__", name)])
    places = [place for place in (*PLACES, module) if isinstance(place, str)]
    return next((f"{p}.{n}" for p in places for n in names if is_at(f"{p}.{n}", value)), "")


def is_at(dotted: str, value: object) -> bool:
    """Whether a value is what a dotted name stands for."""
    try:
        return pkgutil.resolve_name(dotted) is value
    except (ImportError, AttributeError, ValueError):
        return False


def allowed(dotted: str) -> bool:
    """Whether my_spade.py may import it: torch, and what comes with Python."""
    root = dotted.split(".")[0]
    return root == "torch" or root in sys.stdlib_module_names


def import_statement(name: str, dotted: str) -> str:
    """`from torch.nn import functional as F`, for F and torch.nn.functional."""
    place, _, last = dotted.rpartition(".")
    renamed = "" if last == name else f" as {name}"
    return f"from {place} import {last}{renamed}" if place else f"import {last}{renamed}"
