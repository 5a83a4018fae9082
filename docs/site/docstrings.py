"""The package's docstrings, plain text, as reStructuredText: formulas drawn, names as code, tables as they stand."""

import re
import tomllib
from pathlib import Path

FORMULAS = tomllib.loads(Path(__file__).with_name("formulas.toml").read_text(encoding="utf-8"))
NAMED = re.compile(r"[a-z_]\w*(?:, \w+)*: ")  # begins what is said of one argument, or of several
LONGEST_FIRST = "|".join(map(re.escape, sorted(FORMULAS, key=len, reverse=True)))
INLINE = re.compile(rf"({LONGEST_FIRST})|`([^`]+)`|\*\w+\*|([*|_\\])")


def as_rst(docstring: str) -> str:
    """reStructuredText that shows a plain docstring as its writer meant it."""
    return "\n\n".join(map(paragraph, docstring.strip("\n").split("\n\n")))


def paragraph(text: str) -> str:
    """One paragraph: indented ones are a formula or stand as they are; the others are arguments, a list, or prose."""
    lines = text.split("\n")
    if text.startswith("    "):
        return displayed("\n".join(line[4:] for line in lines))
    if all(NAMED.match(line) or line.startswith("    ") for line in lines):
        return "\n".join(map(argument, re.split(r"\n(?! )", text)))
    if lines[0].startswith("* "):
        return "\n".join(re.sub(r"^( *)([*-]) ", r"\n\1\2 ", inline(line, bullet=True)) for line in lines)
    return inline(" ".join(lines))


def displayed(text: str) -> str:
    """A formula on lines of its own, or a table that keeps its columns."""
    directive, text = (".. math::", FORMULAS[text]) if text in FORMULAS else (".. code-block:: text", text)
    return f"{directive}\n\n" + "\n".join(f"    {line}" for line in text.split("\n"))


def argument(text: str) -> str:
    """What is said of an argument, as an entry of a definition list."""
    names, meaning = text.split(": ", 1)
    return f"``{names}``\n    {inline(' '.join(meaning.split()))}"


def inline(text: str, *, bullet: bool = False) -> str:
    """Formulas and names within a line; whatever would mean something to reStructuredText is escaped."""
    start = len(text) - len(text.lstrip(" *-")) if bullet else 0
    return text[:start] + INLINE.sub(_marked, text[start:])


def _marked(found: re.Match) -> str:
    formula, code, special = found.groups()
    if formula:
        return rf"\ :math:`{FORMULAS[formula]}`\ "
    if code:
        return rf"\ ``{code}``\ "
    return "\\" + special if special else found[0]  # *emphasis* stays
