"""The search for each model's learning rate: the same rates for all, the same steps, one seed.

    python benchmarks/learning_rates.py --out docs/results/learning_rates.json     (about half an hour on two cores)

For each model and rate the `cpu` preset is trained for `--steps` steps and scored by the Streets judge. `lr` is the
config's: with TTUR the generator learns at half of it and the discriminator at twice.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

MODELS = ("pix2pixhd", "pix2pixhd_pp", "spade")
RATES = (2e-4, 4e-4, 8e-4, 1.6e-3)


def one(name: str, lr: float, steps: int) -> dict:
    """Train and score in this process."""
    import torch

    from spade_edu.data.streets import Streets
    from spade_edu.demo import model_config, measure
    from spade_edu.runs import Run

    torch.set_num_threads(1)
    config = model_config(name, "cpu", 0, lr=lr)
    size = dict(height=config.height, width=config.width)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(
            Path(folder) / name, config, Streets(config.images, augment=True, **size), Streets(4, split="val", **size)
        )
        run.train(until=steps, progress=False)
        figures = measure({name: run}, 100)["models"][name]
    return {key: figures[key] for key in ("miou", "accuracy", "fd", "uniform_colour_difference", "seconds")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--out", type=Path, default=Path("learning_rates.json"))
    parser.add_argument("--one", nargs=2, metavar=("MODEL", "LR"))
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one(arguments.one[0], float(arguments.one[1]), arguments.steps)))
        return

    def start(job: tuple[str, float]) -> dict:
        name, lr = job
        command = [sys.executable, __file__, "--steps", str(arguments.steps), "--one", name, str(lr)]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=True, env=dict(os.environ, OMP_NUM_THREADS="1")
        )
        row = {"model": name, "lr": lr, **json.loads(done.stdout.splitlines()[-1])}
        print(row, flush=True)
        return row

    with ThreadPoolExecutor(2) as pool:
        rows = list(pool.map(start, [(name, lr) for lr in RATES for name in MODELS]))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps({"steps": arguments.steps, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
