"""Write the table of bad inputs, with the real messages, into docs/robustness.md: `python tools/robustness.py`."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "robustness.md"
MARK = "<!-- from here on written by tools/robustness.py -->\n"
sys.path.insert(0, str(ROOT / "tests"))
from bad_inputs import CASES, message  # noqa: E402


def updated(text: str) -> str:
    """The page with today's messages."""
    head, lines, area = text.split(MARK)[0], [], ""
    for index, case in enumerate(CASES):
        if case.area != area:
            area = case.area
            lines += ["", f"### {area}", "", f"| what one did | what {'comes' if case.works else 'spade-edu says'} |"]
            lines += ["|---|---|"]
        lines.append(f"| {case.did} | {answer(index)} |")
    return f"{head}{MARK}" + "\n".join(lines) + "\n"


def answer(index: int) -> str:
    """The message of a case; the words of other libraries, which change with their versions, are left out."""
    case = CASES[index]
    if case.works:
        return f"works (`{case.words}`)" if case.words.startswith("Passing") else "works"
    line = message(index).removeprefix("spade-edu: ")
    line = re.sub(r"\(.*?\)(?=[.:])", "(...)", line) if case.foreign else line
    return f"`{line}`".replace("`--help`", "--help").replace("|", "\\|") if "`" not in line else f"`` {line} ``"


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
