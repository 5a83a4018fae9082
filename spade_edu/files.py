"""Files that are written whole or not at all."""

import os
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"  # weights, class tables and results that come with the package


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file under a temporary name beside it, then rename; makes its folder where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
