"""Whether an answer is the student's own: what it calls of the package, and how near it is to a stored solution."""

import ast
import inspect
import json
import re
import sys
from dataclasses import replace
from difflib import SequenceMatcher
from functools import cache, partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from ..course.folder import COURSE
from ..course.parts_file import read_reference
from . import judge, known
from .calling import call
from .diagnosis import exercise_cases
from .exercise import Exercise
from .part import Part

PACKAGE = Path(__file__).parents[1]
ROOT = PACKAGE.name
FEWEST_LINES = 8  # of an answer that is compared: shorter ones are alike by nature
MOST_LINES = 400  # no answer is as long
ALIKE = 0.85  # the most alike of the stored right answers that aren't pasted has 0.54 (tests/checks/test_authorship.py)


def foreign(exercise: Exercise, answer: object) -> str:
    """The package's function or class that a right answer is or only calls; empty where there is none.

    Only calls: one of the exercise's name, or one that passes alone.
    """
    plain = _unwrapped(answer)
    own = [kind for kind in (inspect.getmro(plain) if inspect.isclass(plain) else [plain]) if _of_package(kind)]
    alone = replace(exercise, mistakes={}, probes=())  # whatever is wrong, nobody asks why
    other = called(exercise, answer) if not own else []
    found = own or [t for t in other if t.__name__ == exercise.name or judge(alone, t).passed]
    return _name(found[0]) if found else ""


def uses(exercise: Exercise, answer: object) -> list[str]:
    """What an answer calls of the package, outside of the checks, and the reference doesn't."""
    model = exercise.builder(frozenset()) if isinstance(exercise, Part) else exercise.reference
    due = called(exercise, model, deep=True)
    names = [_name(thing) for thing in called(exercise, answer) if thing not in due]
    return [name for name in names if not name.startswith(f"{ROOT}.checks.")]


def _unwrapped(answer: object) -> object:
    """The function in a partial, a method or a decorator."""
    while isinstance(answer, partial) or hasattr(answer, "__func__"):
        answer = answer.func if isinstance(answer, partial) else answer.__func__
    return inspect.unwrap(answer) if callable(answer) else answer


def _of_package(thing: object) -> bool:
    return str(getattr(thing, "__module__", "")).split(".")[0] == ROOT


def _name(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"


def called(exercise: Exercise, answer: Any, deep: bool = False) -> list[Any]:
    """The package's functions and classes that an answer calls in the first case; deep: those that they call, too."""
    frames: dict[CodeType, FrameType] = {}

    def watch(frame: FrameType, event: str, _: object) -> None:
        caller = frame.f_back
        if event == "call" and _in_package(frame) and caller and (deep or not _in_package(caller)):
            frames.setdefault(frame.f_code, frame)

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        call(exercise.readings(answer)[0], exercise_cases(exercise)[0], exercise.parameters, exercise.observe)
    finally:
        sys.setprofile(before)
    # of a method, its class
    named = [frame.f_globals.get(code.co_qualname.split(".")[0]) for code, frame in frames.items()]
    return [thing for thing in dict.fromkeys(named) if callable(thing) and thing.__module__ != call.__module__]


def _in_package(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).split(".")[0] == ROOT


# --- pasted solutions


def alike(name: str, cells: list[str]) -> float:
    """How near the last definition of an exercise in a notebook is to a stored solution, 0 to 1; short ones give 0."""
    own = [found[name] for cell in cells if name in (found := definitions(cell))]
    if not own or not FEWEST_LINES <= len(ast.unparse(own[-1]).splitlines()) <= MOST_LINES:
        return 0.0
    shape = shape_of(own[-1])
    return max((SequenceMatcher(None, shape, s, autojunk=False).ratio() for s in _solutions().get(name, [])), default=0)


def definitions(text: str) -> dict[str, ast.AST]:
    """The functions and classes at the top level of a cell, without what only explains: docstrings and types."""
    text = re.sub(r"^[ \t]*[%!?].*$", "", text, flags=re.MULTILINE)
    try:
        nodes = [n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
        return {node.name: _Bare().visit(node) for node in nodes}
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: nested beyond reason
        return {}


class _Bare(ast.NodeTransformer):
    """Takes out docstrings and types."""

    def visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        body = getattr(node, "body", None)
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and body and ast.get_docstring(node) is not None:
            node.body = body[1:] or [ast.Pass()]
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
        return node


def shape_of(tree: ast.AST) -> list[str]:
    """A syntax tree in a row: kinds of nodes, operators, constants, attributes; names by when they first appear."""
    names: dict[str, int] = {}
    row = []
    for node in ast.walk(tree):
        name = getattr(node, "id", getattr(node, "arg", None) if isinstance(node, ast.arg) else None)
        number = names.setdefault(name, len(names)) if isinstance(name, str) else ""
        detail = getattr(node, "attr", getattr(node, "value", "") if isinstance(node, ast.Constant) else "")
        if not isinstance(node, ast.expr_context):
            row.append(f"{type(node).__name__} {number} {detail}")
    return row


@cache
def _solutions() -> dict[str, list[list[str]]]:
    """The shapes of every stored solution, by name: folded in notebooks, references, and the parts of my_spade.py."""
    folded = []
    for path in sorted(COURSE.glob("*.ipynb")):
        cells = ["".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
        folded += re.findall(r"```python\n(.*?)```", "\n".join(cells), re.DOTALL)
    sources = [inspect.getsource(e.reference) for e in known().values() if inspect.isfunction(e.reference)]
    found: dict[str, list[list[str]]] = {}
    for text in [*folded, *sources, *(part.source for part in read_reference().parts.values())]:
        for name, tree in definitions(text).items():
            found.setdefault(name, []).append(shape_of(tree))
    return found
