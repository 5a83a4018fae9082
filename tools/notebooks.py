"""The notebooks' workshop: `python tools/notebooks.py head|build|core|style|test|elsewhere [NN ...]`.

A notebook's source is notebooks/NN_name.py (percent format). `head` writes badge and set-up cell from the repository's
address in pyproject.toml (while there is none: no badge), `build` runs the source and stores notebooks/NN_name.ipynb
with its outputs, `core` prints the core path with its clock, `style` prints the numbers that keep a notebook readable,
`test` runs the stored notebooks (and the solutions of the exercises) by nbval from an installed wheel in an empty
folder, `elsewhere` does so with the arithmetic of other CPUs.
"""

import base64
import io
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from os import environ
from pathlib import Path
from statistics import median

import jupytext
import nbformat
from notebook_files import ROOT, in_order, install, with_badge
from PIL import Image

SOURCES = ROOT / "notebooks"
CHECKED = "nbval-check-output"
SECONDS = 300  # a cell may take: a class's laptop is slower than the machine that stored the outputs
YOURS = "11"  # the stage that trains the reader's own file: the tests run it in miniature, with the reference
TRAINED = 3600  # seconds that its cells may take where its outputs are stored
CPUS = {  # that this one can play: sums are rounded in another order there, and some have no bf16
    "AVX2 without bf16": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "AVX2"},
    "plain kernels, two threads": {
        "ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE",
        "OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE",
    },
}  # fmt: skip

SET_UP = """\
# Safe to run twice; keeps the installed torch and numpy. With a GPU it takes Cityscapes, where that is found; for
# Streets nevertheless run this in a cell before it: %env SPADE_EDU_PROFILE=cpu
{install}
from spade_edu import course
from spade_edu.course import plotting as show

lab = course.start("{stage}")"""


def main(command: str, *stages: str) -> int:
    """Run one command on the named stages, or on all."""
    folders = [SOURCES, ROOT / "solutions"] if command in ("test", "elsewhere") else [SOURCES]
    found = [path for folder in folders for path in sorted(folder.glob("[0-9][0-9]_*.py"))]
    sources = [path for path in found if not stages or path.name[:2] in stages]
    return COMMANDS[command](sources)


def set_up(path: Path) -> str:
    """The set-up cell of a notebook."""
    return SET_UP.format(install=install(), stage=path.name[:2])


def head(sources: list[Path]) -> int:
    """Write the badge (second line of the first cell) and the set-up cell (the first code cell) of each source."""
    for path in sources:
        notebook = jupytext.read(path)
        notebook.cells[0].source = with_badge(notebook.cells[0].source, path.with_suffix(".ipynb"))
        first = next(cell for cell in notebook.cells if cell.cell_type == "code")
        first.source = set_up(path)
        jupytext.write(notebook, path, fmt="py:percent")
    return 0


def build(sources: list[Path]) -> int:
    """Run each source in an empty folder and store the notebook with its outputs."""
    from nbclient import NotebookClient

    for path in sources:
        notebook = convert(path)
        with tempfile.TemporaryDirectory() as folder:
            put_file(path, Path(folder))
            started = time.monotonic()
            seconds = TRAINED if path.name.startswith(YOURS) else SECONDS
            where = {"metadata": {"path": folder}}
            client = NotebookClient(notebook, timeout=seconds, resources=where, coalesce_streams=True)
            client.execute()
            print(f"{path.stem}: {time.monotonic() - started:.0f} s")
        notebook.metadata.pop("widgets", None)  # without their state a page shows the still pictures
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)
            for output in cell.get("outputs", []):
                shrink(output.get("data", {}))
        nbformat.write(notebook, path.with_suffix(".ipynb"))
    return 0


def put_file(path: Path, folder: Path) -> None:
    """For the stage that needs it: the file that a student has at the end, complete."""
    if path.name.startswith(YOURS):
        shutil.copyfile(ROOT / "solutions" / "my_spade.py", folder / "my_spade.py")


def shrink(data: dict) -> None:
    """Store a figure with 256 colours of its own: a third of the size, so that the repository stays small."""
    if "image/png" in data:
        picture, file = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB"), io.BytesIO()
        picture.quantize(256, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
        data["image/png"] = base64.b64encode(file.getvalue()).decode()


def convert(path: Path) -> nbformat.NotebookNode:
    """The notebook of a source, without outputs; a cell's id is its position."""
    return in_order(jupytext.read(path), path.name[:2])


def core(sources: list[Path]) -> int:
    """Print the clock of each core path: when a section begins, its minutes, the numbers of its core cells."""
    for path in sources:
        clock, sections = 0, core_sections(convert(path))
        print(f"{path.stem}: {sum(minutes for minutes, _ in sections.values())} minutes")
        for title, (minutes, cells) in sections.items():
            print(f"  {clock:3} min  +{minutes:<3} {title}: cells {', '.join(map(str, cells))}")
            clock += minutes
    return 0


def core_cells(notebook: nbformat.NotebookNode) -> dict[int, nbformat.NotebookNode]:
    """The cells at which a class stops: {place, counted from 1: cell}."""
    return {n: cell for n, cell in enumerate(notebook.cells, 1) if "core" in cell.metadata.get("tags", [])}


def core_sections(notebook: nbformat.NotebookNode) -> dict[str, tuple[int, list[int]]]:
    """The sections with core cells: {heading: (minutes, places of these cells)}."""
    title, core, sections = "", core_cells(notebook), {}
    for number, cell in enumerate(notebook.cells, 1):
        if cell.cell_type == "markdown":
            title = (re.findall(r"^#+ (.*)", cell.source, re.MULTILINE) or [title])[-1]
        if number in core:
            minutes, cells = sections.get(title, (0, []))
            sections[title] = minutes + cell.metadata["minutes"], [*cells, number]
    return sections


def core_minutes(notebook: nbformat.NotebookNode) -> int:
    """What the head of a notebook says of its core path, in minutes."""
    (minutes,) = re.findall(
        r"core path (?:takes a class|is planned for) (\d+) minutes", " ".join(notebook.cells[0].source.split())
    )
    return int(minutes)


def style(sources: list[Path]) -> int:
    """Print the numbers of each notebook; exit code 1 where one is out of bounds."""
    columns = ("cells", "code", "median", "longest", "words/line", "figures", "first", "compared")
    print(f"{'notebook':28}" + "".join(f"{name:>11}" for name in columns) + "  out of bounds")
    wrong = 0
    for path in sources:
        numbers = measure(path.with_suffix(".ipynb"))
        faults = out_of_bounds(numbers)
        wrong += bool(faults)
        print(f"{path.stem:28}" + "".join(f"{numbers[name]:>11.3g}" for name in columns) + "  " + ", ".join(faults))
    return int(wrong > 0)


def measure(path: Path) -> dict[str, float]:
    """The numbers of course style of one stored notebook; first: the cell of the first picture, counted from 1."""
    cells = nbformat.read(path, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    lines = [len([line for line in cell.source.splitlines() if line.strip()]) for cell in code]
    words = sum(len(cell.source.split()) for cell in cells if cell.cell_type == "markdown")
    with_picture = [n for n, cell in enumerate(cells, 1) if _pictures(cell)]
    return {
        "cells": len(cells),
        "code": len(code),
        "median": median(lines),
        "longest": max(lines),
        "words/line": words / sum(lines),
        "figures": sum(_pictures(cell) for cell in cells),
        "first": with_picture[0] if with_picture else 999,
        "compared": len(compared(cells)),
        "not run": sum(cell.execution_count is None for cell in code),
    }


def out_of_bounds(numbers: dict[str, float]) -> list[str]:
    """Which numbers are not what a reader should get."""
    bounds = {
        "cells": (50, 100), "median": (3, 8), "longest": (1, 40), "figures": (4, 999), "first": (1, 5),
        "compared": (6, 999), "not run": (0, 0),
    }  # fmt: skip
    return [name for name, (low, high) in bounds.items() if not low <= numbers[name] <= high]


def compared(cells: list) -> list:
    """The cells whose outputs nbval really compares: tagged, run, and with text among their outputs."""
    tagged = [cell for cell in cells if CHECKED in cell.metadata.get("tags", [])]
    return [cell for cell in tagged if cell.get("execution_count") and any(_has_text(o) for o in cell.outputs)]


def _has_text(output: dict) -> bool:
    text = output.get("text", "") if output.output_type == "stream" else output.get("data", {}).get("text/plain", "")
    return bool(text.strip())


def _pictures(cell: dict) -> int:
    drawn = sum(not {"image/png", "image/svg+xml"}.isdisjoint(o.get("data", {})) for o in cell.get("outputs", []))
    return drawn + (cell.source.count("![") - cell.source.count("[![") if cell.cell_type == "markdown" else 0)


def test(sources: list[Path]) -> int:
    """Run notebooks and solutions by nbval, two at a time, offline, from a wheel; print the seconds of each."""
    with tempfile.TemporaryDirectory() as folder:
        site = install_wheel(Path(folder))
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(lambda path: run_one(path, Path(folder), site), sources))
    print(f"{'notebook':36} seconds  result")
    for path, (seconds, code) in zip(sources, results):
        print(row(path, seconds, code))
    print(f"{'all, two at a time':36} {sum(seconds for seconds, _ in results):7.0f}")
    return int(any(code for _, code in results))


def row(path: Path, seconds: float, code: int) -> str:
    """A line of the table of results."""
    return f"{path.parent.name + '/' + path.stem:36} {seconds:7.0f}  {'failed' if code else 'passed'}"


def elsewhere(sources: list[Path]) -> int:
    """Run notebooks and solutions as `test` does, on each of CPUS, one at a time; print the seconds of each."""
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        site = install_wheel(Path(folder))
        for cpu, settings in CPUS.items():
            print(f"{cpu + ', one at a time':36} seconds  result")
            for path in sources:
                seconds, code = run_one(path, Path(folder, cpu), site, settings)
                failed |= bool(code)
                print(row(path, seconds, code), flush=True)
    return int(failed)


def install_wheel(folder: Path) -> Path:
    """Build the package's wheel and unpack it into a folder of its own."""
    shutil.rmtree(ROOT / "build", ignore_errors=True)  # an earlier build would hand on files that are gone
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, ROOT], check=True)
    site = folder / "site"
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", site, wheel], check=True)
    return site


def run_one(path: Path, folder: Path, site: Path, more: Mapping[str, str] = {}) -> tuple[float, int]:
    """Seconds and exit code of nbval on a copy of the notebook in a folder that holds nothing else.

    more: variables of its environment.
    """
    empty = folder / path.parent.name / path.stem
    empty.mkdir(parents=True)
    copy = empty / path.with_suffix(".ipynb").name
    copy.write_bytes(path.with_suffix(".ipynb").read_bytes())
    put_file(path, empty)
    yours = path.name.startswith(YOURS)
    nowhere = "http://127.0.0.1:9"  # whatever would be fetched fails at once
    settings = dict(
        PYTHONPATH=str(site), OMP_NUM_THREADS="1", SPADE_EDU_MINUTES="0.05",
        SPADE_EDU_PROFILE="test" if yours else environ.get("SPADE_EDU_PROFILE", "cpu"),
        http_proxy=nowhere, https_proxy=nowhere, HTTP_PROXY=nowhere, HTTPS_PROXY=nowhere,
    )  # fmt: skip
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(empty)]
    command += ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout", str(SECONDS), str(copy)]
    started = time.monotonic()
    done = subprocess.run(command, cwd=empty, env=environ | settings | more, capture_output=True, encoding="utf-8")
    if done.returncode:
        print(re.sub(r"\x1b\[[0-9;]*m", "", done.stdout[-6000:] + done.stderr[-2000:]))
    return time.monotonic() - started, done.returncode


COMMANDS = {"head": head, "build": build, "core": core, "style": style, "test": test, "elsewhere": elsewhere}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
