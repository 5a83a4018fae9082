"""What stands in a my_spade.py: its imports, and its parts (top-level functions and classes) under rulers of stages.

    # --- 03: the SPADE layer ---

The reference, which comes with the package, is read the same way: the names of the parts, their stages and what each
needs are written there and nowhere else.
"""

import ast
import builtins
import re
import symtable
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from ..files import ASSETS

NAME = "my_spade.py"
REFERENCE = ASSETS / NAME
BORROWED = "# borrowed"
RULER = re.compile(r"# --- (?:(\d\d): )?(.+?) -+\s*$")
BUILTINS = frozenset(dir(builtins)) - {"display", "get_ipython"}  # which IPython adds
DOCSTRING = '"""My SPADE: the parts that I wrote, in the order of the course. keep(...) puts them here."""'
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Part:
    """One function or class. lines: where it stands, with its decorators and the comments directly above."""

    name: str
    stage: str
    lines: slice
    source: str
    borrowed: bool
    needs: frozenset[str]  # names of the module, not Python's own
    signature: str


class PartsFile:
    """A file of parts. Its `text` is never changed: `with_part` and `with_import` give a new file.

    Errors: a UserError where the text is not Python.
    """

    def __init__(self, text: str):
        self.text, self.lines = text, text.splitlines()
        try:
            self.body = ast.parse(text).body
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None)
            where = f"line {line}" if line else "its text"
            raise UserError(f"{NAME} is not Python, {where}: {getattr(error, 'msg', error)}. Mend it first.") from None
        found = ((i, RULER.match(line)) for i, line in enumerate(self.lines))
        self.rulers = [(i, match[1] or "", match[2]) for i, match in found if match]  # line, stage, title
        parts = [self._part(node) for node in self.body if isinstance(node, Definition)]
        self.parts = {part.name: part for part in parts}
        always = ast.Module([node for node in self.body if not isinstance(node, ast.If)], [])
        self.names = _bound(_table(ast.unparse(always)))
        statements = [node for node in self.body if isinstance(node, ast.Import | ast.ImportFrom)]
        self.imports = {name: dotted for node in statements for name, dotted in _imported(node)}

    def _part(self, node: Definition) -> Part:
        lines = span(node, self.lines)
        source = self.lines[lines]
        stage = next((stage for i, stage, _ in reversed(self.rulers) if i < lines.start), "")
        text, borrowed = "\n".join(line for line in source if line != BORROWED), BORROWED in source
        return Part(node.name, stage, lines, text, borrowed, needs(text), _signature(node))

    @property
    def stages(self) -> dict[str, str]:
        """The title of each stage."""
        return {stage: title for _, stage, title in self.rulers if stage}

    def needed(self, name: str) -> list[str]:
        """The parts that a part needs, and those that these need, in the order of the file; itself left out."""
        found, new = set[str](), {name}
        while new:
            found |= new
            new = {n for part in new for n in self.parts[part].needs if n in self.parts} - found
        return [part for part in self.parts if part in found - {name}]

    def users(self, name: str) -> list[str]:
        """The parts that need `name`, directly or through others."""
        return [part for part in self.parts if name in self.needed(part)]

    def with_part(self, name: str, source: str, reference: "PartsFile") -> "PartsFile":
        """The file with a part replaced, or put under the ruler of its stage, after the parts that come before it."""
        if name in self.parts:
            return self._with(self.parts[name].lines, source)
        stage = reference.parts[name].stage
        if stage not in self.stages:
            place = self._before(stage)
            ruler = f"# --- {stage}: {reference.stages[stage]} ---"
            return self._with(slice(place, place), ruler).with_part(name, source, reference)
        place = next(i for i, s, _ in self.rulers if s == stage) + 1
        for other, part in reference.parts.items():
            if other == name:
                break
            if other in self.parts and part.stage == self.parts[other].stage == stage:
                place = max(place, self.parts[other].lines.stop)
        return self._with(slice(place, place), source)

    def with_import(self, statement: str) -> "PartsFile":
        """The file with one import more at its top; `import ...` stands above `from ...`."""
        imports = [node for node in self.body if isinstance(node, ast.Import | ast.ImportFrom)]
        above = [node for node in imports if _order(ast.unparse(node)) < _order(statement)]
        if not imports:
            place = self.body[0].end_lineno if self.body and isinstance(self.body[0], ast.Expr) else 0
            return self._with(slice(place, place), statement)
        place = above[-1].end_lineno if above else imports[0].lineno - 1
        return PartsFile("\n".join([*self.lines[:place], statement, *self.lines[place:]]) + "\n")

    def _before(self, stage: str) -> int:
        """The line before which the ruler of a new stage stands: that of a later one, or of what ends the file."""
        later = [i for i, other, _ in self.rulers if not other or other > stage]
        return min([*later, *(node.lineno - 1 for node in self.body if isinstance(node, ast.If)), len(self.lines)])

    def _with(self, lines: slice, source: str) -> "PartsFile":
        above, below = self.lines[: lines.start], self.lines[lines.stop :]
        chunks = ["\n".join(above).rstrip(), source.strip("\n"), "\n".join(below).strip("\n")]
        return PartsFile("\n\n\n".join(chunk for chunk in chunks if chunk).rstrip() + "\n")


def read_reference() -> PartsFile:
    """The reference: every part of the course."""
    return PartsFile(REFERENCE.read_text(encoding="utf-8"))


def read_file(path: Path) -> PartsFile:
    """The student's file; an empty one where there is none.

    Errors: a UserError where it is not UTF-8, or not Python.
    """
    if not path.exists():
        return empty_file(read_reference())
    data = path.read_bytes()
    try:
        return PartsFile(data.decode("utf-8-sig").replace("\r\n", "\n"))
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UserError(f"{path.name} is not UTF-8 text, line {line}: save it as UTF-8 in your editor.") from None


def empty_file(reference: PartsFile) -> PartsFile:
    """A docstring, torch, the rulers of all stages, and the reference's program, which copes with missing parts."""
    rulers = [f"# --- {stage}: {title} ---" for stage, title in reference.stages.items()]
    programs = [reference.lines[n.lineno - 1 : n.end_lineno] for n in reference.body if isinstance(n, ast.If)]
    texts = [f"{DOCSTRING}\n\nimport torch", *rulers, *("\n".join(lines) for lines in programs)]
    return PartsFile("\n\n\n".join(texts) + "\n")


def span(node: Definition, lines: list[str]) -> slice:
    """The lines of a definition, with its decorators and the comments directly above; a ruler is no such comment."""
    start = min([node.lineno, *(d.lineno for d in node.decorator_list)]) - 1
    while start and lines[start - 1].startswith("#") and not lines[start - 1].startswith(("# ---", "# %%")):
        start -= 1
    return slice(start, node.end_lineno)


def needs(source: str) -> frozenset[str]:
    """The names that a piece of code takes from its module: neither its own nor Python's."""
    top = _table(source)
    tables, found = [top], set[str]()
    for table in tables:
        tables += table.get_children()
        symbols = [s for s in table.get_symbols() if s.is_referenced()]
        found |= {s.get_name() for s in symbols if table is top or s.is_global()}
    return frozenset(found - _bound(top) - BUILTINS)


def _order(statement: str) -> tuple[bool, str]:
    return statement.startswith("from "), statement


def _table(source: str) -> symtable.SymbolTable:
    return symtable.symtable(source, NAME, "exec")


def _bound(table: symtable.SymbolTable) -> frozenset[str]:
    return frozenset(s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported())


def _imported(node: ast.Import | ast.ImportFrom) -> list[tuple[str, str]]:
    """(name, what it is: torch.nn.functional) of everything that a statement imports."""
    if isinstance(node, ast.ImportFrom):
        return [(a.asname or a.name, f"{node.module}.{a.name}") for a in node.names]
    return [(a.asname, a.name) if a.asname else (a.name.split(".")[0],) * 2 for a in node.names]


def _signature(node: Definition) -> str:
    """How a part is called: arguments of a function; of a class its bases, fields and public methods."""
    if not isinstance(node, ast.ClassDef):
        return ast.unparse(node.args)
    methods = [item for item in node.body if isinstance(item, ast.FunctionDef)]
    public = [m for m in methods if not m.name.startswith("_") or m.name in ("__init__", "__call__")]
    fields = [ast.unparse(item) for item in node.body if isinstance(item, ast.AnnAssign)]
    bases = [ast.unparse(base) for base in node.bases]
    return "; ".join([*bases, *fields, *(f"{m.name}({ast.unparse(m.args)})" for m in public)])
