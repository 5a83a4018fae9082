"""Write the line of each symbol into docs/paper-map.md: `python tools/paper_map.py` (exit code 1 where one is gone)."""

import ast
import re
import sys
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "paper-map.md"
LINK = re.compile(r"\[`(?P<symbol>[\w.]+)`\]\((?P<file>\.\./spade_edu/[\w/]+\.py)#L\d+\)")


def line_of(symbol: str, file: Path) -> int:
    """The line where `symbol` (a name, or Class.method) is defined."""
    nodes, line = ast.parse(file.read_text(encoding="utf-8")).body, 0
    for name in symbol.split("."):
        node = next((n for n in nodes if name in _names(n)), None)
        if node is None:
            raise LookupError(f"{file.name} has no {symbol}")
        nodes, line = getattr(node, "body", []), node.lineno
    return line


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return [getattr(node, "name", "")]


def updated(text: str) -> str:
    """The page with the lines of today."""

    def link(match: re.Match) -> str:
        line = line_of(match["symbol"], PAGE.parent / match["file"])
        return f"[`{match['symbol']}`]({match['file']}#L{line})"

    return LINK.sub(link, text)


if __name__ == "__main__":
    try:
        PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    except LookupError as error:
        sys.exit(str(error))
