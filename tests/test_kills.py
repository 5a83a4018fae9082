"""kill -9 at random moments of training, of writing checkpoints and of making data: the next start works, and nothing
differs at the end. The moments are drawn from a fixed seed, in units of what the work takes here.
"""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from test_runs import assert_same_weights, final_weights

from spade_edu.checkpoints import checkpoints

SIGKILL = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
TIMES = pytest.mark.parametrize("times", [5, pytest.param(30, marks=pytest.mark.slow)])

# One process imports torch once; each start of the work is a fork of it, with the state of a fresh process.
SERVER = """
import os, signal, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
sys.path.insert(0, {tests!r})
from contextlib import redirect_stderr, redirect_stdout
from test_runs import make_run
from spade_edu import checkpoints
from spade_edu.cli.data import make
def work(folder):
    {work}
for line in sys.stdin:
    folder, seconds = line.strip().split(chr(9))
    child = os.fork()
    if child == 0:
        try:
            work(Path(folder))
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    if seconds != "None":
        time.sleep(float(seconds))
        os.kill(child, signal.SIGKILL)  # no effect where it has ended by itself
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Starts:
    """Starts the same work on a folder again and again, each time in a new process, and may kill it."""

    def __init__(self, work: str):
        code = SERVER.format(tests=str(Path(__file__).parent), work=work)
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.server = subprocess.Popen([sys.executable, "-c", code], env=dict(os.environ, OMP_NUM_THREADS="1"), **pipes)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.stdin.close()
        self.server.wait(60)
        self.server.stdout.close()
        self.server.stderr.close()

    def run(self, folder: Path, seconds: float | None = None) -> int:
        """Start the work, kill it after `seconds` if they are given; gives its exit code."""
        self.server.stdin.write(f"{folder}\t{seconds}\n")
        self.server.stdin.flush()
        code = int(self.server.stdout.readline())
        assert code in (0, -signal.SIGKILL), self.server.stderr.readline()
        return code


@SIGKILL
@TIMES
def test_a_training_killed_at_random_moments_ends_with_the_same_weights(tmp_path, times):
    moments, images = random.Random(times), 6 + 2 * times  # as many steps as images
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    killed, newest = 0, 0
    with Starts(f"make_run(folder, images={images}, save_every=1).train(progress=False)") as starts:
        started = time.monotonic()
        assert starts.run(whole) == 0
        step = (time.monotonic() - started) / images
        # Making the networks takes about four steps: a kill falls while they are made, in a step, or in a checkpoint.
        while killed < times and starts.run(folder, moments.uniform(0, 8 * step)):
            killed, before = killed + 1, newest
            newest = max([int(p.name) for p in checkpoints(folder / "checkpoints")], default=0)
            assert newest >= before, "a kill lost a checkpoint that was there before"
        assert starts.run(folder) == 0
    assert killed  # on a machine that has become faster since, a run may end before the other kills
    assert_same_weights(final_weights(whole), final_weights(folder))
    lines = list(csv.reader((folder / "metrics.csv").open()))
    assert [line[0] for line in lines] == ["step", *map(str, range(10, images, 10)), str(images)]


SAVING = """
    torch.manual_seed(0)
    networks = {"G": torch.nn.Linear(300, 300)}
    found = checkpoints.checkpoints(folder)
    step = int(found[-1].name) if found else 0
    if found:
        assert checkpoints.load_checkpoint(found[-1], networks)["step"] == step
    while True:
        step += 1
        checkpoints.save_checkpoint(folder, step, networks, {"step": step})
"""


@SIGKILL
@TIMES
def test_writing_checkpoints_killed_at_random_moments_leaves_the_newest_whole(tmp_path, times):
    moments, steps = random.Random(times), [0]
    with Starts(SAVING.strip()) as starts:
        for _ in range(times):
            assert starts.run(tmp_path, moments.uniform(0.05, 0.5)) == -signal.SIGKILL
            # Where a kill fell into the removal of an old one, its remains are older than the newest two.
            for path in checkpoints(tmp_path)[-2:]:
                assert torch.load(path / "state.pt", weights_only=True)["step"] == int(path.name)
                assert load_file(path / "G.safetensors").keys() == {"weight", "bias"}
            steps.append(max([int(p.name) for p in checkpoints(tmp_path)], default=0))
    assert steps == sorted(steps) and steps[-1] > 0


MAKING = """
    with open(os.devnull, "w") as nothing, redirect_stdout(nothing), redirect_stderr(nothing):
        make(folder, train=12, val=4, height=32, width=64, seed=0)
"""


@SIGKILL
@TIMES
def test_making_data_killed_at_random_moments_gives_the_same_files(tmp_path, times):
    moments, whole, folder = random.Random(times), tmp_path / "whole", tmp_path / "killed"
    with Starts(MAKING.strip()) as starts:
        started = time.monotonic()
        assert starts.run(whole) == 0
        seconds = (time.monotonic() - started) / times
        for _ in range(times):
            starts.run(folder, moments.uniform(0, 2 * seconds))
            for path in folder.rglob("*.png"):  # whatever has its name is whole
                Image.open(path).load()
        assert starts.run(folder) == 0
    files = contents(whole)
    assert len(files) == 5 * 16 and contents(folder) == files


def contents(folder):
    """Every file with its bytes; what a kill left unfinished (.part) is no file of the data set."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.suffix != ".part"]
    return {p.relative_to(folder): p.read_bytes() for p in files}
