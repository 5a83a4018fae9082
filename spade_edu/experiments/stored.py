"""The tables that were trained for this package, kept inside it so that a notebook finds them wherever it runs."""

import json
from pathlib import Path

from ..errors import UserError

FOLDER = Path(__file__).parents[1] / "assets" / "results"


def names() -> list[str]:
    """What is stored, for example ["table1", "table3"]."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def stored(name: str) -> dict:
    """A result as `spade-edu reproduce NAME` wrote it (see tables.table). Errors: a UserError where there is none."""
    if name not in names():
        raise UserError(f"No result is stored for {name!r}; there are: {', '.join(names())}. Or train it here: "
                        f"`spade-edu reproduce {name}`.")  # fmt: skip
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
