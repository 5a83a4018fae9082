"""Whatever form a notebook is handed in: what passes in JupyterLab passes in `spade-edu grade`."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from graded import ROOT, graded, notebook, solution_cells

from spade_edu.checks.grading import code_cells, grade_folder
from spade_edu.checks.wall import Wall, _unshare, best_wall

SHARED = ROOT.parent / "shared" / "inputs" / "grading"
BASE = solution_cells("01")
NAMES = ["batch_statistics", "running_average", "batch_norm", "instance_norm", "conditional_batch_norm", "adain"]
PARTS = ["BatchNorm2d", "InstanceNorm2d"]  # of my_spade.py: they belong to the stage, and these notebooks lack them


def each_check(change):
    """The cells, with change(name) in place of the one that checks it."""
    return [change(cell.split('"')[1]) if cell.startswith("check(") else cell for cell in BASE]


def without_checks():
    return [cell for cell in BASE if not cell.startswith("check(")]


def merged(between=""):
    """Definition and check in one cell."""
    cells = []
    for cell in BASE:
        if cell.startswith("check("):
            cells[-1] += f"\n\n{between}\n\n{cell}"
        else:
            cells.append(cell)
    return cells


LOOP = "for name in NAMES:\n    check(name, globals()[name])".replace("NAMES", repr(NAMES))
FORMS = {
    "as it is": BASE,
    "1 merged": merged(),
    "2 %%time": each_check(lambda n: f'%%time\ncheck("{n}", {n})'),
    "3 shell line": each_check(lambda n: f'!nvidia-smi\ncheck("{n}", {n})'),
    "4 line magic": each_check(lambda n: f'%matplotlib inline\ncheck("{n}", {n})'),
    "5 through the module": each_check(lambda n: f'from spade_edu import checks\nchecks.check("{n}", {n})'),
    "6 a loop": [*without_checks(), LOOP],
    "7 keywords": each_check(lambda n: f'check(name="{n}", function={n})'),
    "9 no checks": without_checks(),
    "12 assigned": each_check(lambda n: f'result = check("{n}", {n})\nassert result.passed'),
    "13 a helper in the cell": merged("def helper(x):\n    return x"),
    "17 checks first": [*BASE[:2], *BASE[2:][::-1]],
    "another name": each_check(lambda n: f'from spade_edu.checks import check as right\nright("{n}", {n})'),
    "a long name": each_check(lambda n: f'import spade_edu.checks\nspade_edu.checks.check("{n}", {n})'),
    "a name that is kept": each_check(lambda n: f'exercise = "{n}"\ncheck(exercise, {n})'),
    "printed and shown": each_check(lambda n: f'print(check("{n}", {n})); display(check("{n}", {n}))'),
    "captured": each_check(lambda n: f'%%capture out\ncheck("{n}", {n})'),
    "%timeit": each_check(lambda n: f'%timeit -n1 -r1 check("{n}", {n})'),
    "partial and lambda": each_check(
        lambda n: f'from functools import partial\ncheck("{n}", partial(lambda f, *a: f(*a), {n}))'
    ),
    "in a function": each_check(
        lambda n: f'def main():\n    return check("{n}", {n})\n\nif __name__ == "__main__":\n    main()'
    ),
    "awaited": each_check(lambda n: f'import asyncio\nawait asyncio.sleep(0)\ncheck("{n}", {n})'),
    "of Colab": [
        "%load_ext google.colab.data_table\n!pip --version\n%pip --version\nfiles = !ls",
        "%%bash\nexit 3",
        "%%shell\nls",
        "%cd /content\n%env SEED=1",
        *BASE,
    ],
    "methods": [
        *without_checks(),
        f"class Answers:\n    pass\nfor name in {NAMES}:\n    setattr(Answers, name, staticmethod(globals()[name]))",
        *(f'check("{n}", Answers.{n})' for n in NAMES),
    ],
    "asked for help": each_check(lambda n: f'check?\n?{n}\ncheck("{n}", {n});'),
    "after an error": each_check(lambda n: f'check("{n}", {n})\nraise ValueError') + ["1 / 0", "def f(:", "exit()"],
    "a star": each_check(lambda n: f'from spade_edu.checks import *\ncheck("{n}", {n})')[1:],
    "a file of helpers": [
        "%%writefile helpers.py\ndef passed(name, function):\n    from spade_edu.checks import check\n"
        "    return check(name, function)",
        *each_check(lambda n: f'from helpers import passed\npassed("{n}", {n})'),
    ],
    "a wrong try first": each_check(lambda n: f'check("{n}", lambda *a: None)\ncheck("{n}", {n})'),
}
FORGOTTEN = f"for name in {NAMES}:\n    globals().pop(name, None)"  # at the end, so that nothing is found by its name
SOURCES = {
    "lines of Windows": lambda text: [line.replace("\n", "\r\n") for line in text.splitlines(keepends=True)],
    "one text": lambda text: text,
}


def files() -> dict[str, bytes]:
    """All forms as notebooks."""
    found = {name: notebook(*cells, *[FORGOTTEN][name[:2] in ("9 ", "17") :]) for name, cells in FORMS.items()}
    found |= {name: notebook(*BASE, source=source) for name, source in SOURCES.items()}
    old = json.loads(found["as it is"])
    found["a byte-order mark"] = b"\xef\xbb\xbf" + found["as it is"]
    sheets = [{"cells": [{"cell_type": "code", "input": cell["source"]} for cell in old["cells"]]}]
    return found | {"format 3": json.dumps({"worksheets": sheets, "nbformat": 3, "nbformat_minor": 0}).encode()}


FILES = files()


@pytest.mark.parametrize("form", FILES)
def test_every_form_is_graded_as_right(form, tmp_path):
    path = tmp_path / "01_batchnorm.ipynb"
    path.write_bytes(FILES[form])
    grades = graded(path)
    assert [row.message for name, row in grades.items() if name in NAMES and not row.passed] == []
    assert set(grades) == {*NAMES, *PARTS} and all(grades[name].look for name in PARTS)


def test_a_renamed_notebook_is_known_by_what_it_defines(tmp_path):
    path = tmp_path / "homework of student A.ipynb"
    path.write_bytes(notebook(*without_checks()[:-1]))
    grades = graded(path)
    assert [name for name, row in grades.items() if row.passed] == NAMES[:-1]
    assert grades["adain"].look and "nothing is called so" in grades["adain"].message


def test_programs_are_run_only_if_asked_for(tmp_path):
    cell = "!touch made\n%cd .\nseen = !echo x\nimport os\ndef receptive_field(layers):\n    return 1"
    path = tmp_path / "02_x.ipynb"
    path.write_bytes(notebook(cell, "assert seen == [] and not os.path.exists('made')\n%%time"))
    words = graded(path)["residual_block"].message
    assert all(f"Not run: {line}" in words for line in ("!touch made", "%cd .", "!echo x"))
    check = 'from spade_edu.checks import check\nif seen == ["x"] and os.path.exists("made"):\n    check("adain", None)'
    path.write_bytes(notebook(cell, check))
    assert (
        "adain" not in [*graded(path)][1:-1] and "Not run" not in graded(path, programs=True)["residual_block"].message
    )
    assert "Not started" in graded(path, programs=True)["adain"].message


@pytest.mark.skipif(not SHARED.is_dir(), reason="the collected hand-ins aren't here")
@pytest.mark.parametrize("folder", sorted(SHARED.glob("*_*")) if SHARED.is_dir() else [], ids=lambda p: p.name)
def test_a_collected_hand_in_is_graded_as_right(folder):
    (path,) = folder.glob("*.ipynb")
    assert [row.passed for name, row in graded(path).items() if name in NAMES] == [True] * 6


def solved_in_jupyter(content: bytes, folder: Path, monkeypatch) -> set[str]:
    """What the scorecard says after a real kernel ran the cells."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    folder.mkdir()
    monkeypatch.setenv("SPADE_EDU_FOLDER", str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    source = lambda text: text.splitlines(keepends=True)  # noqa: E731
    moved = (
        "from spade_edu import plotting",
        "from spade_edu.course import plotting",
    )  # since the hand-ins were collected
    cells = [cell.replace(*moved) for cell in code_cells(content)]
    run = nbformat.reads(notebook(*cells, source=source).decode(), as_version=4)
    nbclient.NotebookClient(
        run, allow_errors=True, timeout=120, resources={"metadata": {"path": str(folder)}}
    ).execute()
    card = folder / "spade_edu_progress.json"
    return {name for name, solved in json.loads(card.read_text()).items() if solved} if card.exists() else set()


@pytest.mark.slow
def test_jupyter_the_notebook_alone_and_the_class_twice_agree(tmp_path, monkeypatch):
    pairs = {f"{path.parent.name}": path.read_bytes() for path in SHARED.rglob("*.ipynb")} | FILES
    for name, content in pairs.items():
        (tmp_path / "class" / name.replace("%", "")).mkdir(parents=True)
        (tmp_path / "class" / name.replace("%", "") / "01_batchnorm.ipynb").write_bytes(content)
    first, second = (list(grade_folder(tmp_path / "class", 60, tmp_path / f"{n}.csv")) for n in (1, 2))
    assert first == second
    in_class = {Path(rows[0].notebook).parent.name: {row.exercise for row in rows if row.passed} for rows in first}
    for number, (name, content) in enumerate(pairs.items()):
        alone = graded(tmp_path / "class" / name.replace("%", "") / "01_batchnorm.ipynb", wall=best_wall())
        assert {n for n, row in alone.items() if row.passed} == in_class[name.replace("%", "")] == set(NAMES), name
        in_jupyter = solved_in_jupyter(content, tmp_path / f"jupyter{number}", monkeypatch)
        assert in_jupyter <= set(NAMES) and (in_jupyter == set(NAMES) or name.startswith(("9", "16", "17"))), name


def test_walls_are_tried_before_they_are_used():
    assert best_wall() in [Wall(a, b) for a in (True, False) for b in (True, False)] and best_wall().says


@pytest.mark.skipif(shutil.which("unshare") is None, reason="this system has no namespaces")
def test_namespaces_are_used_where_the_system_gives_them():
    if subprocess.run([*_unshare(), "true"], capture_output=True).returncode:
        pytest.skip("this system gives no namespaces")
    assert best_wall().namespaces
