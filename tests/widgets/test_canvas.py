"""The canvas's scripts: their own unit tests, run by node where it is installed."""

import os
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


def find_tsc() -> str | None:
    """TypeScript's checker: SPADE_EDU_TSC (set by .ci/run), else the one on the path."""
    return os.environ.get("SPADE_EDU_TSC") or shutil.which("tsc")


@pytest.mark.skipif(
    find_tsc() is None, reason="scripts aren't checked: TypeScript isn't installed (npm i -g typescript)"
)
def test_no_script_uses_what_is_not_there():
    """Names, arguments and properties, over all files together as a widget joins them; nothing is left unused."""
    done = subprocess.run(
        [find_tsc(), "-p", str(Path(__file__).with_name("tsconfig.json"))], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
