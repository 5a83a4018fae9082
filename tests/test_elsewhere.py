"""The notebooks as on other CPUs (tools/notebooks.py elsewhere): the settings do change what torch computes with."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
import notebooks  # noqa: E402

ASKED = """
import torch
from spade_edu.config import resolve_precision
from spade_edu.presets import preset
print(resolve_precision(preset("cpu", precision="auto"), "cpu").precision, torch.backends.cpu.get_cpu_capability())
print(torch.get_num_threads())
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the names are those of x86")
@pytest.mark.parametrize(
    "cpu, words", [("AVX2 without bf16", ["fp32", "AVX2", "1"]), ("plain kernels, two threads", [None, "DEFAULT", "2"])]
)
def test_another_cpu_is_played(cpu, words):
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | notebooks.CPUS[cpu]
    done = subprocess.run([sys.executable, "-c", ASKED], env=environment, capture_output=True, encoding="utf-8")
    assert [(a, b) for a, b in zip(words, done.stdout.split(), strict=True) if a not in (None, b)] == [], done.stderr
