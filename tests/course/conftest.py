"""A student's folder and notebook, with the small reference of tests/fixtures/parts.py."""

import itertools
import linecache
import sys
from pathlib import Path
from types import ModuleType

import pytest

from spade_edu.course import parts_file

REFERENCE = Path(__file__).parents[1] / "fixtures" / "parts.py"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder that is the current one; a my_spade that a test loads goes again."""
    monkeypatch.setattr(parts_file, "REFERENCE", REFERENCE)
    monkeypatch.delenv("SPADE_EDU_FOLDER", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("my_spade", None)
    yield tmp_path
    sys.modules.pop("my_spade", None)


@pytest.fixture
def untried(monkeypatch):
    """No process is started: every file counts as importable, and no part has a check."""
    monkeypatch.setattr("spade_edu.course.student.try_file", lambda *_: {})


@pytest.fixture
def cell(folder, monkeypatch):
    """cell(source) runs a cell as a notebook's kernel does: in __main__, with its text where Python looks for it."""
    module, numbers = ModuleType("__main__"), itertools.count()
    monkeypatch.setitem(sys.modules, "__main__", module)
    exec("import torch\nfrom torch import nn\nfrom torch.nn import functional as F", module.__dict__)

    def run(source):
        name = f"<cell {next(numbers)} of {folder}>"
        linecache.cache[name] = len(source), None, source.splitlines(keepends=True), name
        exec(compile(source, name, "exec"), module.__dict__)
        return module

    return run
