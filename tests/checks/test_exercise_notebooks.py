"""Exercise and solution notebooks: built from their sources, untouched ones run without a fall, solutions pass."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import build_exercises  # noqa: E402

from spade_edu.checks import known  # noqa: E402
from spade_edu.checks.grading import code_cells  # noqa: E402
from spade_edu.checks.paths import USES  # noqa: E402

SOURCES = build_exercises.sources()
LEARNERS = sorted((ROOT / "exercises").glob("*.ipynb"))
SOLUTIONS = sorted((ROOT / "solutions").glob("*.ipynb"))
each_source = pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
each_notebook = pytest.mark.parametrize("path", LEARNERS + SOLUTIONS, ids=lambda p: f"{p.parent.name}-{p.stem}")


def test_one_source_and_two_notebooks_a_stage():
    assert [p.name[:2] for p in SOURCES] == [f"{n:02d}" for n in (*range(10), 11)]
    assert [p.stem for p in LEARNERS] == [p.stem for p in SOLUTIONS] == [p.stem for p in SOURCES]


@each_source
def test_the_stored_notebooks_are_built_from_the_source(source):
    for target, text in build_exercises.build(source).items():
        assert target.read_bytes() == text.encode(), "run python tools/build_exercises.py"


def test_the_copies_for_a_students_folder_are_built_from_the_sources():
    copies = build_exercises.course_copies()
    assert set(copies) == set(build_exercises.COURSE.glob("*.ipynb"))
    assert [p.name for p, text in copies.items() if p.read_bytes() != text.encode()] == [], "run build_exercises.py"


@each_source
def test_every_exercise_of_the_stage_is_there_and_parts_are_kept(source):
    names = {e.name for e in known().values() if e.stage == source.name[:2]}
    for target in build_exercises.build(source):
        cells = [cell for cell in code_cells(target.read_bytes()) if re.search(r'^check\("', cell, re.MULTILINE)]
        checked = [name for cell in cells for name in re.findall(r'^check\("(\w+)"', cell, re.MULTILINE)]
        assert set(checked) == names and len(checked) == len(names)
        assert [f"keep({name})" in cell for name, cell in zip(checked, cells)] == [name in USES for name in checked]


@each_notebook
def test_no_outputs_ids_by_position(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert [c["id"] for c in cells] == [f"{path.name[:2]}-{i:03d}" for i in range(len(cells))]
    assert all(c["outputs"] == [] and c["execution_count"] is None for c in cells if c["cell_type"] == "code")


@pytest.mark.parametrize("path", LEARNERS, ids=lambda p: p.stem)
def test_the_learners_copy_keeps_the_answer_folded(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    stubs = [c for c in cells if c["cell_type"] == "code" and "# your code here" in "".join(c["source"])]
    assert len(stubs) == text.count("<details><summary>Solution</summary>") == text.count("**Goal:**")
    assert text.count("To think about") == text.count("<details><summary>Answer</summary>") >= len(stubs)
    for stub in stubs:
        source = "".join(stub["source"])
        given = [name for kind, names in build_exercises.GIVEN.items() if f"class {kind}(" in source for name in names]
        assert '"""' in source and source.split('"""')[-1].count("return") == len(given)


def test_a_stub_shows_nothing_of_the_answer():
    parts = build_exercises.PARTS
    layer = build_exercises.stub(parts["SPADE"].source)
    assert layer.splitlines()[-2:] == ["    def forward(self, x, segmap):", "        ...  # your code here"]
    assert "Conv2d" not in layer and "nearest" not in layer.lower() and "super().__init__()" in layer
    assert build_exercises.stub(parts["SPADEGenerator"].source).count("return") == 1
    assert build_exercises.stub(parts["mean_iou"].source).count("\n") == 2


RUN_ALL = """
import contextlib, io, json, sys
from pathlib import Path
import matplotlib.pyplot as plt
from spade_edu import checks
from spade_edu.checks.grading import code_cells

plain, results = checks.check, {}

def check(name, function):
    result = plain(name, function)
    results[name] = result.passed, result.message
    return result

checks.check = check
for path in map(Path, sys.argv[1:]):
    namespace, printed = {"__name__": "__main__"}, io.StringIO()
    results.clear()
    with contextlib.redirect_stdout(printed):
        for source in code_cells(path.read_bytes()):
            exec(source, namespace)
            plt.close("all")
    print(json.dumps({"notebook": path.stem, "results": results, "printed": printed.getvalue()}))
"""


def run_all(paths, folder):
    """Run the cells of notebooks as a user's Python does (no type checks), in one process: {notebook: what it gave}."""
    students = folder.with_name(f"{folder.name}-files")  # keep and stage 11 write there
    students.mkdir(exist_ok=True)
    environment = os.environ | {"MPLBACKEND": "agg", "OMP_NUM_THREADS": "1", "SPADE_EDU_FOLDER": str(students)}
    command = [sys.executable, "-c", RUN_ALL, *map(str, paths)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert {path.name for path in folder.iterdir()} <= {"my_spade.py", "my_spade.backup.py", "__pycache__"}
    return {line["notebook"]: line for line in map(json.loads, done.stdout.splitlines())}


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    return run_all(LEARNERS, tmp_path_factory.mktemp("untouched"))


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    return run_all(SOLUTIONS, tmp_path_factory.mktemp("solved"))


@pytest.mark.parametrize("stage", [p.stem for p in LEARNERS])
def test_an_untouched_notebook_runs_and_passes_nothing(stage, untouched):
    results = untouched[stage]["results"]
    begun = {name for name, (_, text) in results.items() if not text.startswith("Not started yet")}
    assert results and not any(passed for passed, _ in results.values())
    assert begun <= {"ConcatGenerator"}  # most of it comes from the class that it extends
    assert "No picture yet" in untouched[stage]["printed"]


@pytest.mark.parametrize("stage", [p.stem for p in SOLUTIONS])
def test_every_solution_passes_and_draws_its_picture(stage, solved):
    results = solved[stage]["results"]
    assert results and all(passed for passed, _ in results.values()), results
    assert "No picture yet" not in solved[stage]["printed"]


@pytest.mark.slow
@each_notebook
def test_it_runs_in_a_kernel_under_nbval(path, tmp_path):
    copy = tmp_path / path.name  # a kernel writes the scorecard beside its notebook
    copy.write_bytes(path.read_bytes())
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    command += ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout", "120", str(copy)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
