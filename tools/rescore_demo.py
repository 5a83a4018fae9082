"""`python tools/rescore_demo.py`: score the stored networks again, and write their figures into docs/results/demo.json.

For a change of the scorer alone: what the demo's run measured (seconds, losses, settings) stays as it was.
"""

import json

from notebook_files import ROOT

from spade_edu.evaluation.diversity import pixel_diversity
from spade_edu.evaluation.pipeline import Scorer
from spade_edu.evaluation.subjects import Place
from spade_edu.files import write_whole
from spade_edu.runs.loading import load_stored

FILE = ROOT / "docs" / "results" / "demo.json"


def rescored(report: dict) -> dict:
    """The report with today's figures of the judge's bound and of each model."""
    settings = report["models"]["spade"]["settings"]
    scorer = Scorer(Place("streets", None, (settings["height"], settings["width"]), report["scenes"]))
    bound = scorer.bound()
    models = {}
    for name, told in report["models"].items():
        generator = load_stored(name).generator
        told = {key: value for key, value in told.items() if key != "diversity"}
        new = scorer.score(scorer.images(generator)).row()
        models[name] = told | new | {"pixel_diversity": pixel_diversity(generator, scorer.place.inputs())}
        print(f"{name}: mIoU {told['miou']:.4f} -> {new['miou']:.4f}, distance {told['fd']:.4f} -> {new['fd']:.4f}")
    return report | {"judge_bound": bound.row(), "scored_classes": list(bound.averaged), "models": models}


if __name__ == "__main__":
    write_whole(FILE, json.dumps(rescored(json.loads(FILE.read_text(encoding="utf-8"))), indent=2) + "\n")
