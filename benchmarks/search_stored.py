"""The networks that come with the package: four short runs a model, then the best one's long training.

    python benchmarks/search_stored.py search spade --out FOLDER   four runs of about 8 minutes on one quiet core
    python benchmarks/search_stored.py train spade --out FOLDER    the best one's settings: 3 hours, others 1.3

Every command goes on where it was stopped. Best is the lowest sum of places by mIoU, distance and, for SPADE, the share
of the rarest style among draws; a tie goes to the smaller distance. In a long training the rate falls over the second
half, and the KL weight grows over the first. FOLDER gets search_MODEL.json, and MODEL/curve.json at each tenth.
"""

import argparse
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from style_draws import StyleClassifier, draws, train_classifier

from spade_edu.config import TrainingConfig
from spade_edu.data.streets import Streets
from spade_edu.evaluation.pipeline import Scorer
from spade_edu.evaluation.subjects import Place
from spade_edu.files import write_whole
from spade_edu.labels import CITYSCAPES
from spade_edu.presets import preset
from spade_edu.runs.loading import load_networks
from spade_edu.runs.run import Run

SCENES = 200
# Half precision: 7.9 MB for SPADE with its encoder, 7.5 for each of the others, of about as many parameters.
NETWORKS: dict[str, dict] = {
    "spade": dict(style=True, ngf=12, lambda_kl=0.05),
    "pix2pixhd": dict(ngf=22),
    "pix2pixhd++": dict(ngf=22),
}
SIZE = dict(height=96, width=192)
SEARCHED: tuple[dict, ...] = (dict(lr=4e-4), dict(lr=8e-4), dict(lr=1.6e-3), dict(lr=8e-4, ndf=32))
SHORT = dict(images=1000, epochs=2, epochs_decay=1)  # 750 steps of 4 images
LONG = {model: dict(images=1600, ema=0.999, epochs=14, epochs_decay=13) for model in NETWORKS}  # 10,800 steps
LONG["spade"] |= dict(epochs=23, epochs_decay=22)  # 18,000
SHORTEST = dict(height=32, width=64, images=4, epochs=1, epochs_decay=0, ngf=2, ndf=2, hidden_channels=2)  # --test


def settings(model: str, length: dict, change: dict) -> TrainingConfig:
    """A training of `model`; what `length` or `change` says goes first."""
    options = SIZE | NETWORKS[model] | change | length
    if model == "spade":
        options["kl_epochs"] = options["epochs"]
    return preset("cpu", model, data="streets", **options)


def make_run(folder: Path, config: TrainingConfig) -> Run:
    size = size_of(config)
    return Run(folder, config, Streets(config.images, augment=True, **size), Streets(8, split="val", **size))


def size_of(config: TrainingConfig) -> dict[str, int]:
    return dict(height=config.height, width=config.width)


@cache
def classifier(height: int, width: int) -> StyleClassifier:
    return train_classifier(Streets(1000, height=height, width=width))


def figures(folder: Path, config: TrainingConfig, scenes: int) -> dict[str, Any]:
    """What a run has reached, on validation scenes, the judge's bound beside it."""
    scorer = Scorer(Place("streets", None, (config.height, config.width), scenes))
    generator = load_networks(folder, CITYSCAPES).generator
    found, bound = scorer.score(scorer.images(generator)).row(), scorer.bound().row()
    row = {"miou": found["miou"], "fd": found["fd"], "bound_miou": bound["miou"], "bound_fd": bound["fd"]}
    row = {name: round(value, 4) for name, value in row.items()}
    if config.style:
        row |= draws(classifier(**size_of(config)), generator, Streets(scenes, split="val", **size_of(config)))
    return row


def best(rows: Sequence[dict]) -> dict:
    """The row with the lowest sum of places; places are counted from 0, equal figures share one."""

    def place(row: dict, name: str, sign: int) -> int:
        return sum(sign * other[name] > sign * row[name] for other in rows)

    def key(row: dict) -> tuple[int, float]:
        places = place(row, "miou", 1) + place(row, "fd", -1)
        return places + (place(row, "least", 1) if "least" in row else 0), row["fd"]

    return min(rows, key=key)


def append(file: Path, row: dict) -> list[dict]:
    """Add a row to a file of rows; gives them all."""
    rows = [*rows_of(file), row]
    write_whole(file, json.dumps({"scenes": SCENES, "rows": rows}, indent=2) + "\n")
    print(row, flush=True)
    return rows


def rows_of(file: Path) -> list[dict]:
    return json.loads(file.read_text(encoding="utf-8"))["rows"] if file.exists() else []


def search(model: str, out: Path, length: dict, scenes: int) -> dict:
    """Train and score those of a model's short runs that aren't in its file yet; gives the best."""
    file = out / f"search_{model}.json"
    for number in range(len(rows_of(file)), len(SEARCHED)):
        folder = out / f"search_{model}_{number}"
        run = make_run(folder, settings(model, length, SEARCHED[number]))
        run.train(progress=False)
        row = {"change": SEARCHED[number], "steps": run.step, "seconds": round(run.seconds)}
        append(file, row | figures(folder, run.config, scenes))
    return best(rows_of(file))


def train(model: str, out: Path, length: dict, scenes: int) -> dict:
    """The long training of a model whose search is done; gives its last figures."""
    chosen = best(rows_of(out / f"search_{model}.json"))
    run, file = make_run(out / model, settings(model, length, chosen["change"])), out / model / "curve.json"
    for tenth in range(len(rows_of(file)) + 1, 11):
        run.train(until=run.total_steps * tenth // 10 or 1, progress=False)
        append(file, {"steps": run.step, "seconds": round(run.seconds)} | figures(run.folder, run.config, scenes))
    return rows_of(file)[-1]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["search", "train"])
    parser.add_argument("model", choices=list(NETWORKS))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--test", action="store_true", help="networks and trainings of a second")
    asked = parser.parse_args(arguments)
    command, length = (search, SHORT) if asked.what == "search" else (train, LONG[asked.model])
    print(command(asked.model, asked.out, length | (SHORTEST if asked.test else {}), 4 if asked.test else SCENES))


if __name__ == "__main__":
    main()
