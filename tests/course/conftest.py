"""A student's folder, with the small reference of tests/fixtures/parts.py."""

from pathlib import Path

import pytest

from spade_edu.course import parts_file

REFERENCE = Path(__file__).parents[1] / "fixtures" / "parts.py"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder that is the current one; what a test puts on sys.path or loads as my_spade goes again."""
    monkeypatch.setattr(parts_file, "REFERENCE", REFERENCE)
    monkeypatch.delenv("SPADE_EDU_FOLDER", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.modules", __import__("sys").modules)
    return tmp_path
