"""One step of the demo's SPADE beside busy processes, for several ways in which torch's threads may wait.

    python benchmarks/threads.py --busy 0 1 2 --repeats 5 --json -

A thread that is done with its share of a convolution first waits in a loop ("spins"), then sleeps. Beside another
program the loop takes the core that the others need. GOMP_SPINCOUNT is how often libgomp looks before it sleeps
(300,000 times, by its documentation, where nothing is set).
"""

import argparse
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median

from output import add_json, give

SPINS = ("0", "1000", "3000", "10000", "30000", "100000", "300000")
WAYS: dict[str, dict[str, str]] = {
    "as torch comes": {},  # libgomp's default, by its own name: where a variable is set, spade_edu leaves all alone
    **{f"GOMP_SPINCOUNT={spins}": {"GOMP_SPINCOUNT": spins} for spins in SPINS},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
VARIABLES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS", "KMP_BLOCKTIME")
# Ends by itself when the process that started it is gone, however that ended.
BUSY = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    for _ in range(10**6): pass"


def main() -> None:
    """Measure, way by way, and give a table: median, least and most seconds a step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1, 2], help="busy processes beside it")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6, help="of each repeat; its median counts")
    parser.add_argument("--preset", default="cpu")
    parser.add_argument("--precision", default="fp32", help="fp32 is what a CPU without bf16 computes in")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    add_json(parser)
    arguments = parser.parse_args()
    if arguments.child:
        print(seconds_of_a_step(arguments.preset, arguments.precision, arguments.steps))
        return
    rows = []
    for busy in arguments.busy:
        with others(busy):
            found: dict[str, list[float]] = {name: [] for name in arguments.ways}
            for _ in range(arguments.repeats):  # in turn, so that all ways meet the same moments
                for name in arguments.ways:
                    found[name].append(in_a_child(WAYS[name], arguments))
        rows += [row(busy, name, values) for name, values in found.items()]
    give({"precision": arguments.precision, "rows": rows}, arguments.json)


def row(busy: int, name: str, seconds: list[float]) -> dict:
    """A line of the table, also told while the rest is measured."""
    told = f"{median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"
    print(f"{busy} busy  {name:26} {told}", file=sys.stderr, flush=True)
    return {"busy": busy, "way": name, "median": median(seconds), "least": min(seconds), "most": max(seconds)}


def in_a_child(way: dict[str, str], arguments: argparse.Namespace) -> float:
    """Seconds of a step in a new process: libgomp reads its settings once, when torch is loaded."""
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES} | way
    options = ["--preset", arguments.preset, "--precision", arguments.precision, "--steps", str(arguments.steps)]
    command = [sys.executable, __file__, "--child", *options]
    return float(subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=True).stdout)


@contextlib.contextmanager
def others(count: int) -> Iterator[None]:
    """So many processes that compute without end."""
    started = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def seconds_of_a_step(preset_name: str, precision: str, steps: int) -> float:
    """The median step, after two that warm up."""
    from spade_edu.data.base import stack
    from spade_edu.data.streets import Streets
    from spade_edu.experiments.demo import model_config
    from spade_edu.models import build
    from spade_edu.sampling import to_batch
    from spade_edu.training import Trainer

    config = model_config("spade", preset_name, 0, precision=precision)
    scenes = Streets(config.batch_size, height=config.height, width=config.width)
    trainer = Trainer(*build(config, scenes.labels), config)
    sample = stack([scenes[i] for i in range(config.batch_size)])
    times = []
    for _ in range(2 + steps):
        batch = to_batch(sample, scenes.labels, trainer.device, config.channels_last)
        started = time.perf_counter()
        trainer.step(batch)
        times.append(time.perf_counter() - started)
    return median(times[2:])


if __name__ == "__main__":
    main()
