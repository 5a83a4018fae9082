"""The canvas's scripts: their own unit tests, run by node where it is installed."""

import shutil
import subprocess
from pathlib import Path

import pytest

WIDGETS = Path(__file__).parents[2] / "spade_edu" / "widgets"
needs_node = pytest.mark.skipif(
    shutil.which("node") is None, reason="no unit tests of the canvas: node isn't installed"
)


@needs_node
def test_pixels_undo_keys_and_pointers():
    tests = Path(__file__).with_name("canvas.test.mjs")
    done = subprocess.run(["node", "--test", str(tests)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "# pass 0" not in done.stdout, done.stdout


@needs_node
@pytest.mark.parametrize("script", sorted(path.name for path in WIDGETS.glob("*.js")))
def test_each_script_can_be_read(script):
    assert subprocess.run(["node", "--check", str(WIDGETS / script)], capture_output=True).returncode == 0
