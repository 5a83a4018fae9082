"""How torch's threads wait is set before torch is loaded, unless the user has chosen; each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spade_edu.fast.threads import CHOICES, SHORT

LATE = "import torch; torch.set_num_threads(2); from spade_edu import course; course.start('03', 'test')"
SHORT_SPINS = f"GOMP_SPINCOUNT={SHORT['GOMP_SPINCOUNT']}"


def python(*arguments, **variables):
    """What Python prints in an environment in which nobody has chosen anything but these variables."""
    package = str(Path(__file__).parents[1])
    clean = {name: value for name, value in os.environ.items() if name not in CHOICES} | {"PYTHONPATH": package}
    done = subprocess.run([sys.executable, *arguments], env=clean | variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="libgomp, which tells its settings, is torch's on Linux")
def test_libgomp_is_loaded_with_what_was_set():
    told = python("-c", "import spade_edu", OMP_DISPLAY_ENV="VERBOSE")
    assert f"GOMP_SPINCOUNT = '{SHORT['GOMP_SPINCOUNT']}'" in told
    assert "GOMP_SPINCOUNT = '77'" in python("-c", "import spade_edu", OMP_DISPLAY_ENV="VERBOSE", GOMP_SPINCOUNT="77")


def test_doctor_says_what_is_in_force():
    command = ("-m", "spade_edu", "doctor", "--no-timing")
    assert SHORT_SPINS in python(*command)
    told = python(*command, OMP_WAIT_POLICY="PASSIVE")
    assert "OMP_WAIT_POLICY=PASSIVE" in told and "GOMP_SPINCOUNT" not in told and "KMP_BLOCKTIME" not in told


def test_a_notebook_that_loaded_torch_first_is_told_once_what_to_set():
    assert python("-c", f"{LATE}; course.start('04', 'test')").count(f"set {SHORT_SPINS} before Python starts") == 1
    assert "before Python starts" not in python("-c", LATE, GOMP_SPINCOUNT="77")
    assert "before Python starts" not in python("-c", LATE.replace("set_num_threads(2)", "set_num_threads(1)"))
