"""`python tools/claims.py [NN ...]`: every claim of the notebooks over five seeds, into docs/results/claims.json.

A notebook is run as a script in an empty folder; one whose code and seeds are stored already is passed over, so a run
that was stopped goes on. Exit code 1 where a claim doesn't hold for a seed.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import jupytext
from notebook_files import ROOT

from spade_edu.course.claims import FILE_VARIABLE, SEEDS_VARIABLE
from spade_edu.files import write_whole

TARGET = ROOT / "docs" / "results" / "claims.json"
SEEDS = "0,1,2,3,4"


def main(*stages: str) -> int:
    """Run the claims of the named stages, or of all; the number that fail decides the exit code."""
    stored = json.loads(TARGET.read_text(encoding="utf-8"))["notebooks"] if TARGET.exists() else {}
    for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.py")):
        code = code_of(path)
        if "claim(" not in code or (stages and path.name[:2] not in stages):
            continue
        digest = hashlib.sha256(f"{SEEDS}\n{code}".encode()).hexdigest()
        if stored.get(path.stem, {}).get("code") != digest:
            stored[path.stem] = {"code": digest, "claims": run(path, code)}
            command = "python tools/claims.py"
            write_whole(TARGET, json.dumps({"command": command, "notebooks": stored}, indent=1) + "\n")
        for record in stored[path.stem]["claims"]:
            held = len(record["figures"]) - len(record["failed"])
            print(f"{record['claim']:24} {held} of {len(record['figures'])}  {record['margin']}")
    return int(any(record["failed"] for notebook in stored.values() for record in notebook["claims"]))


def code_of(path: Path) -> str:
    """The code cells of a notebook's source."""
    return "\n\n".join(cell.source for cell in jupytext.read(path).cells if cell.cell_type == "code")


def run(path: Path, code: str) -> list[dict[str, Any]]:
    """Run a notebook's code with all seeds and give what its claims put down."""
    with tempfile.TemporaryDirectory() as folder:
        script, report = Path(folder) / path.name, Path(folder) / "claims.jsonl"
        script.write_text(code, encoding="utf-8")
        settings = {SEEDS_VARIABLE: SEEDS, FILE_VARIABLE: str(report), "MPLBACKEND": "Agg"}
        command = [sys.executable, "-m", "IPython", "--colors=NoColor", script.name]
        done = subprocess.run(command, cwd=folder, env=os.environ | settings, capture_output=True, encoding="utf-8")
        if done.returncode:
            raise SystemExit(f"{path.name} stopped.\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
        return [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
