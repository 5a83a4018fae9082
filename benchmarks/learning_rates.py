"""The search for each model's learning rate: the same rates and steps for all, one seed (that the demo doesn't report).

    python benchmarks/learning_rates.py --out docs/results/learning_rates.json     (about 20 minutes on two cores)

The stored table is of seed 0, from before searches had a seed of their own.

For each model and rate the `cpu` preset is trained on fewer scenes, so for fewer steps but through its whole schedule,
and scored by the Streets judge. `lr` is the config's: with TTUR the generator learns at half of it, the discriminator
at twice.
"""

import argparse
import json
import tempfile
from pathlib import Path

from spade_edu.data.streets import Streets
from spade_edu.experiments.demo import MODELS, measure, model_config
from spade_edu.files import write_whole
from spade_edu.runs.run import Run

RATES = (4e-4, 8e-4, 1.6e-3, 3.2e-3)


def at_rate(lr: float, images: int, seed: int, scenes: Streets, preview: Streets) -> list[dict]:
    """Train each model at one rate and score it on 100 validation scenes."""
    with tempfile.TemporaryDirectory() as folder:
        runs = {}
        for name in MODELS:
            config = model_config(name, "cpu", seed, lr=lr, images=images)
            runs[name] = Run(Path(folder) / name, config, scenes, preview)
            runs[name].train(progress=False)
        figures = measure(runs, 100)["models"]
    keys = ("steps", "miou", "accuracy", "uniform_colour_difference", "seconds")
    return [{"model": name, "lr": lr, **{key: round(figures[name][key], 4) for key in keys}} for name in MODELS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=320)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--out", type=Path, default=Path("docs/results/learning_rates.json"))
    arguments = parser.parse_args()
    config = model_config("spade", "cpu", 0)
    size = dict(height=config.height, width=config.width)
    scenes, preview = Streets(arguments.images, augment=True, **size), Streets(8, split="val", **size)
    rows = []
    for lr in arguments.rates:
        rows += at_rate(lr, arguments.images, arguments.seed, scenes, preview)
        print(*rows[-len(MODELS) :], sep="\n", flush=True)
        write_whole(
            arguments.out,
            json.dumps({"images": arguments.images, "seed": arguments.seed, "rows": rows}, indent=2) + "\n",
        )


if __name__ == "__main__":
    main()
