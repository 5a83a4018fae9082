"""keep, borrow, parts: a student's file grows part by part, and whatever goes wrong is said and loses nothing."""

import importlib
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from spade_edu.checks import progress
from spade_edu.course import borrow, keep, parts, trial
from spade_edu.course.parts_file import read_file, read_reference

FILE = Path("my_spade.py")
BACKUP = Path("my_spade.backup.py")
REFERENCE = Path(__file__).parents[1] / "fixtures" / "parts.py"
NORM = """# Mine.
class Norm(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.channels = channels

    def forward(self, x):
        return F.relu(x)  # as torch has it
"""
RESIZE = """def nearest_resize(label, height, width):
    return label[:, source_rows(label.shape[1], height)][:, :, source_rows(label.shape[2], width)]
"""
ROWS = "def source_rows(size, wanted):\n    return torch.arange(wanted) * size // wanted\n"


def test_a_class_is_kept_under_its_ruler_with_its_imports_and_comments(cell, untried, folder):
    result = keep(cell(NORM).Norm)
    assert result and str(folder / FILE) in result.message
    text = FILE.read_text()
    assert NORM.strip() in text
    assert text.index("# --- 01: batch norm ---") < text.index("# Mine.") < text.index("# --- 03: the SPADE layer ---")
    assert "import torch\nfrom torch import nn\nfrom torch.nn import functional as F\n" in text
    assert not BACKUP.exists()


def test_parts_stand_in_the_order_of_the_reference_whatever_the_order_they_came_in(cell, untried):
    for name in ("nearest_resize", "Generator", "scales", "channel_means"):
        assert borrow(name)
    assert list(read_file(FILE).parts) == [
        "channel_means", "Norm", "scales", "source_rows", "nearest_resize", "Layer", "Generator",
    ]  # fmt: skip


def test_all_parts_borrowed_are_the_reference_and_its_program_runs(folder, untried):
    for name in read_reference().parts:
        assert borrow(name)
    mine, reference = read_file(FILE), read_reference()
    assert {n: p.source for n, p in mine.parts.items()} == {n: p.source for n, p in reference.parts.items()}
    assert mine.imports == reference.imports and all(p.borrowed for p in mine.parts.values())
    code = "import torch, my_spade; print(tuple(my_spade.Generator(4)(torch.zeros(1, 4, 8, 8)).shape))"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout == "(1, 3, 8, 8)\n"


def test_a_kept_part_takes_the_place_of_the_borrowed_one_which_becomes_the_backup(cell, untried):
    borrow("Norm")
    before = FILE.read_bytes()
    assert "# borrowed\nclass Norm" in before.decode()
    assert keep(cell(NORM).Norm)
    assert "# borrowed\nclass Norm" not in FILE.read_text() and "# borrowed\ndef channel_means" in FILE.read_text()
    assert BACKUP.read_bytes() == before


def test_what_is_written_by_hand_stays_as_it_is(cell, untried):
    borrow("Norm")
    by_hand = FILE.read_text().replace(
        "# --- 03", "GAIN = 2  # my own\n\n\ndef helper():\n    return GAIN\n\n\n# --- 03"
    )
    FILE.write_text(by_hand)
    assert keep(cell("def channel_means(x):\n    return helper() * x.mean((0, 2, 3))").channel_means)
    assert FILE.read_text() == by_hand.replace(
        '# borrowed\ndef channel_means(x):\n    """The mean of every channel."""\n    return x.mean((0, 2, 3))',
        "def channel_means(x):\n    return helper() * x.mean((0, 2, 3))",
    )


def test_the_module_that_is_loaded_is_renewed_even_within_a_second(cell, untried):
    assert keep(cell("def channel_means(x):\n    return 1").channel_means)
    module = importlib.import_module("my_spade")
    assert module.channel_means(0) == 1
    assert keep(cell("def channel_means(x):\n    return 2").channel_means)
    assert module.channel_means(0) == 2


def test_the_folder_of_the_environment_is_taken(cell, untried, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.setenv("SPADE_EDU_FOLDER", str(tmp_path / "mine"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert keep(cell(NORM).Norm)
    assert (tmp_path / "mine" / FILE).exists() and not FILE.exists()
    assert importlib.import_module("my_spade").Norm(1).channels == 1
    monkeypatch.setenv("SPADE_EDU_FOLDER", str(tmp_path / "drive"))
    assert "mount your Drive first" in keep(cell(NORM).Norm).message and not (tmp_path / "drive").exists()


def test_a_part_with_a_check_is_checked_on_what_was_imported_and_its_users_when_a_signature_changes(cell):
    FILE.write_text(f"import torch\n\n\n{ROWS}")
    result = keep(cell(RESIZE).nearest_resize)
    assert result and "its check passes" in result.message
    same = keep(cell(ROWS).source_rows)
    assert same and "no longer pass" not in same.message
    other = keep(cell("def source_rows(size):\n    return torch.arange(size)").source_rows)
    assert other and "these use it and no longer pass: nearest_resize" in other.message


def test_what_decorates_and_what_the_standard_library_gives_comes_along(cell, untried):
    module = cell("import functools\nfrom math import pow as power\nfrom torch import no_grad\n")
    cell("@no_grad()\n@functools.cache\ndef scales(levels):\n    return [power(2, n) for n in range(levels)]\n")
    assert keep(module.scales)
    text = FILE.read_text()
    assert "@no_grad()\n@functools.cache\ndef scales" in text
    assert "import functools\nimport torch\nfrom math import pow as power\nfrom torch import no_grad\n" in text


def test_the_scorecard_shows_the_parts(cell, untried):
    assert "my_spade.py" not in repr(progress()) and "keep(...) begins one" in repr(parts())
    borrow("channel_means")
    keep(cell(NORM).Norm)
    assert repr(parts()).splitlines()[:3] == [
        "my_spade.py: 1 of 7 parts kept, 1 borrowed, 5 open",
        "01  ▣■       borrowed: channel_means",
        "03  □□□□     open: scales, source_rows, nearest_resize, Layer",
    ]
    assert repr(progress()).endswith(repr(parts()))
    FILE.write_text("def broken(:")
    assert repr(progress()).endswith("invalid syntax. Mend it first.")


# --- what goes wrong: one line, nothing lost


def read_only():
    FILE.chmod(stat.S_IRUSR)


def no_backup():
    BACKUP.mkdir()


GOOD = "def channel_means(x):\n    return x.mean((0, 2, 3))\n"
LAYER = "class Layer(nn.Module):\n    def forward(self, x, segmap):\n        return Norm(3)(x)\n"
HELPER = "EPS = 1\ndef helper(x): return x\ndef channel_means(x): return helper(x) + EPS\n"
NUMPY = "import numpy as np\ndef channel_means(x): return np.mean(x)\n"
ONE_SIDE = RESIZE.replace("[:, :, source_rows(label.shape[2], width)]", "")
HALFWAY = b"import torch\nclass Norm(torch.nn.Module):\n    def forward(self, x): return channel_means(x)\n"
INSIDE = "def f():\n    def channel_means(x): return x\n    return channel_means\ng = f()\n"


def after_good(line):
    return f"{GOOD}\n\n{line}\n".encode()


# what a student did: the file before, or what is done to a good one; the cell; what is kept; words of the message
BROKEN = {
    "missing name": (None, NORM.replace("F.relu", "channel_maens"), "Norm", "defined nowhere: channel_maens"),
    "missing part": (None, LAYER, "Layer", "keep or borrow first, as parts of the course: Norm"),
    "helper": (None, HELPER, "channel_means", "move inside channel_means, or hand over as an argument: EPS, helper"),
    "foreign import": (None, NUMPY, "channel_means", "write with torch alone: np (of numpy)"),
    "other meaning": (b"from torch import fft as F\n", NORM, "Norm", "something else in my_spade.py, so take another"),
    "wrong shape": (
        f"import torch\n{ROWS}".encode(),
        ONE_SIDE,
        "nearest_resize",
        "not kept, as its check doesn't pass. ",
    ),
    "endless loop": (after_good("while True: pass"), GOOD, "channel_means", "took longer than 2 s: is there a loop"),
    "exception": (after_good("missing(3)"), GOOD, "channel_means", "line 5 (missing(3)), NameError: name 'missing'"),
    "exit": (after_good("import os; os._exit(0)"), GOOD, "channel_means", "ended the Python process"),
    "syntax error": (b"x = (\n", GOOD, "channel_means", "my_spade.py is not Python, line 1: '(' was never closed"),
    "borrowed halfway": (
        HALFWAY,
        LAYER,
        "Layer",
        "not complete: Norm needs channel_means. Keep or borrow channel_means.",
    ),
    "lambda": (None, "channel_means = lambda x: x\n", "channel_means", "written with def or class; this is a lambda"),
    "instance": (None, "channel_means = nn.ReLU()\n", "channel_means", "written with def or class; this is a ReLU"),
    "of the package": (None, "from spade_edu import SPADE\n", "SPADE", "comes from spade_edu.normalization: keep what"),
    "no part": (
        None,
        "def channel_mean(x): return x\n",
        "channel_mean",
        "not a part of my_spade.py; did you mean chan",
    ),
    "inside": (None, INSIDE, "g", "is defined inside a function"),
    "quotation marks": (None, "g = 'Norm'\n", "g", "without quotation marks: keep(Norm)"),
    "not UTF-8": (b"x = 1\n# \xe4\n", GOOD, "channel_means", "my_spade.py is not UTF-8 text, line 2"),
    "read-only": (read_only, GOOD, "channel_means", "my_spade.py is read-only: make it writable"),
    "no backup": (no_backup, GOOD, "channel_means", "my_spade.backup.py: Is a directory. my_spade.py is as it was"),
}
TRIED = ("wrong shape", "endless loop", "exception", "exit")


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_part_or_file_gives_one_line_and_loses_nothing(what, cell, folder, capsys, request):
    if what not in TRIED:
        request.getfixturevalue("untried")
    before, source, name, words = BROKEN[what]
    FILE.write_bytes(before if isinstance(before, bytes) else GOOD.encode())
    if callable(before):
        before()
    module, content = cell(source), FILE.read_bytes()
    there = set(folder.iterdir())
    capsys.readouterr()
    result = keep(getattr(module, name), seconds=2 if what == "endless loop" else 30)
    printed = capsys.readouterr().out
    assert not result and words in result.message
    assert printed == f"{result!r}\n" and printed.count("\n") == 1
    assert FILE.read_bytes() == content and set(folder.iterdir()) == there


def test_a_class_of_a_file_of_ones_own_is_kept_as_the_file_says(cell, untried, folder, monkeypatch):
    Path("own.py").write_text(
        "from torch import nn\n\n\nclass Norm(nn.Module):\n    pass\n\n    def forward(self, x):\n        return x\n"
    )
    module = importlib.import_module("own")
    monkeypatch.delitem(sys.modules, "own")
    monkeypatch.setitem(sys.modules, "own", module)
    assert keep(module.Norm)
    assert "class Norm(nn.Module):\n    pass" in FILE.read_text()
    assert "where it stands already" in keep(importlib.import_module("my_spade").Norm).message


def test_what_changed_while_the_part_was_tried_is_not_overwritten(cell, monkeypatch):
    FILE.write_text(GOOD)

    def meanwhile(*_):
        FILE.write_text("x = 1\n")
        return {}

    monkeypatch.setattr("spade_edu.course.student.try_file", meanwhile)
    assert "was changed while the part was tried" in keep(cell(GOOD).channel_means).message
    assert FILE.read_text() == "x = 1\n"


def test_what_can_not_be_borrowed_is_said(cell, untried):
    assert "did you mean 'Norm'?" in borrow("norm").message
    keep(cell(GOOD).channel_means)
    assert "is your own: remove it there first" in borrow("channel_means").message
    assert borrow("Norm") and "already, borrowed" in borrow("Norm").message
    assert "# borrowed\ndef channel_means" not in FILE.read_text()


def test_a_real_kernel_keeps_classes_of_cells(folder):
    cells = [
        f"import torch\nfrom torch import nn\nimport torch.nn.functional as F\nfrom pathlib import Path\n"
        f"from spade_edu.course import parts_file, keep, parts\nparts_file.REFERENCE = Path({str(REFERENCE)!r})",
        NORM,
        "class Layer(nn.Identity):\n    pass",
        "%%time\ndef channel_means(x):\n    return x.mean((0, 2, 3))",
        "keep(Norm)\nkeep(Layer)\nkeep(channel_means)",
        NORM.replace("x)  # as torch has it", "-x)"),
        "keep(Norm)",
        "from my_spade import Norm as mine\nprint(mine(1)(torch.ones(1)))",
        "parts()",
    ]
    notebook = new_notebook(cells=[new_code_cell(source) for source in cells])
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    shown = [
        "".join(o.get("text", "") or o.get("data", {}).get("text/plain", "") for o in c.outputs) for c in notebook.cells
    ]
    assert [line[:2] for line in shown[4].splitlines()] == ["✓ "] * 3
    assert shown[6].startswith("✓ Norm: kept in ") and len(notebook.cells[6].outputs) == 1
    assert shown[7] == "tensor([0.])\n"
    assert shown[8].startswith("my_spade.py: 3 of 7 parts kept, 0 borrowed")
    assert BACKUP.exists()


def test_only_a_check_that_was_late_is_offered_more_time():
    steps = [{"begun": "my_spade.py"}, {"message": ""}, {"begun": "SPADE"}]
    late = trial._verdicts(steps, "took longer than 30 s", trial.MORE)["SPADE"]
    assert not late.passed and late.message.startswith("Its check took longer than 30 s. On a busy machine keep(")
    assert trial._verdicts(steps, "ended the Python process")["SPADE"].message == "Its check ended the Python process."
