"""Where a benchmark's figures go: to the terminal, or with --json FILE to a file."""

import argparse
import json
from pathlib import Path

from spade_edu.files import write_whole


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", default="-", help="file to write; -: standard output")


def give(result: dict, path: str) -> None:
    text = json.dumps(result, indent=2)
    if path == "-":
        print(text)
    else:
        write_whole(Path(path), text + "\n")
