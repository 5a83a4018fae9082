"""The benchmarks that docs/performance.md names run, at the smallest sizes; what they find is not judged here."""

import json
import runpy
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SMALL = ["--height", "32", "--width", "64", "--batch", "1"]
NETWORKS = [*SMALL, "--ngf", "2"]


@pytest.mark.parametrize(
    ("name", "arguments", "found"),
    [
        ("layer", [*SMALL, "--channels", "4", "8", "--factors", "1", "2", "--steps", "1"], "rows"),
        ("iteration", [*NETWORKS, "--ndf", "2", "--steps", "1", "--compare", "--instances"], "results"),
        ("inference", [*NETWORKS, "--steps", "1"], "times_faster"),
        ("memory", [*NETWORKS, "--ndf", "2"], "activations_of_plain"),
        (
            "threads",
            ["--preset", "test", "--busy", "0", "--repeats", "1", "--steps", "1", "--ways", "one thread"],
            "rows",
        ),
        ("demo_step", ["--preset", "test", "--steps", "1", "--models", "spade", "--forms", "as the demo"], "rows"),
        ("data", ["--height", "32", "--width", "64", "--source", "64", "128"], "images_per_second"),
    ],
)
def test_a_benchmark_prints_its_figures(name, arguments, found, monkeypatch, capsys):
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setattr("sys.argv", [name, *arguments])
    runpy.run_path(str(BENCHMARKS / f"{name}.py"), run_name="__main__")
    assert json.loads(capsys.readouterr().out)[found]
