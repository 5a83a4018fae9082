"""Where the time of a step of the demo's models goes, and what another layout or the plain code would take.

    python benchmarks/demo_step.py --precision fp32          # what a CPU without bf16 computes in
    ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 python benchmarks/demo_step.py --precision fp32

The second line stands in for a CPU with AVX2 only on one that has more. Forms are run in turn in one process; medians.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from statistics import median

from output import add_json, give

from spade_edu import training
from spade_edu.data.base import stack
from spade_edu.data.streets import Streets
from spade_edu.experiments.demo import model_config
from spade_edu.experiments.report import MODELS
from spade_edu.models import build
from spade_edu.sampling import to_batch
from spade_edu.training import Trainer

FORMS: dict[str, dict[str, bool]] = {
    "as the demo": {},
    "channels_last off": dict(channels_last=False),
    "fast off": dict(fast=False),
    "both off": dict(fast=False, channels_last=False),
}


def main() -> None:
    """Measure each model's step in each form, and the parts of the first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--forms", nargs="+", default=list(FORMS), choices=list(FORMS))
    parser.add_argument("--preset", default="cpu")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--steps", type=int, default=5)
    add_json(parser)
    arguments = parser.parse_args()
    rows = []
    for model in arguments.models:
        steps = {form: prepared(model, arguments, FORMS[form]) for form in arguments.forms}
        parts: dict[str, list[float]] = defaultdict(list)
        seconds: dict[str, list[float]] = {form: [] for form in steps}
        for turn in range(1 + arguments.steps):  # the first warms up
            for form, (trainer, batch) in steps.items():
                spent = timed_step(trainer, batch)
                if turn:
                    seconds[form].append(spent.pop("step"))
                if turn and form == arguments.forms[0]:
                    for part, value in spent.items():
                        parts[part].append(value)
        rows += [{"model": model, "form": form, "seconds": median(times)} for form, times in seconds.items()]
        rows[-len(steps)]["parts"] = {part: round(median(times), 4) for part, times in parts.items()}
    give({"precision": arguments.precision, "rows": rows}, arguments.json)


def prepared(model: str, arguments: argparse.Namespace, form: dict[str, bool]) -> tuple[Trainer, training.Batch]:
    """A trainer of one of the demo's models, and a batch of its size."""
    config = model_config(model, arguments.preset, 0, precision=arguments.precision, **form)
    scenes = Streets(config.batch_size, height=config.height, width=config.width)
    trainer = Trainer(*build(config, scenes.labels), config)
    sample = stack([scenes[i] for i in range(len(scenes))])
    return trainer, to_batch(sample, scenes.labels, trainer.device, config.channels_last)


def timed_step(trainer: Trainer, batch: training.Batch) -> dict[str, float]:
    """Seconds of a step and of its parts; that of G's losses goes back through D and the features, too."""
    spent: dict[str, float] = defaultdict(float)

    def clocked(name: str, function: Callable) -> Callable:
        def run(*args, **kwargs):
            started = time.perf_counter()
            result = function(*args, **kwargs)
            spent[name] += time.perf_counter() - started
            return result

        return run

    perceptual, average = training.losses.perceptual, training.update_average
    training.losses.perceptual = clocked("features forward", perceptual)
    training.update_average = clocked("average of G", average)
    trainer.generate, trainer.discriminate = (
        clocked("G forward", trainer.generate),
        clocked("D forward", trainer.discriminate),
    )
    named = {trainer.optimizer_g: "G's losses", trainer.optimizer_d: "D's losses"}
    for adam, losses in named.items():
        adam.step = clocked(f"Adam after {losses}", adam.step)
    update = trainer.update
    trainer.update = lambda optimizer, losses: clocked(f"backward of {named[optimizer]}", update)(optimizer, losses)
    try:
        clocked("step", trainer.step)(batch)
    finally:
        training.losses.perceptual, training.update_average = perceptual, average
        for owner, name in [(trainer, "generate"), (trainer, "discriminate"), (trainer, "update")]:
            delattr(owner, name)
        for adam in named:
            del adam.step
    for losses in named.values():
        spent[f"backward of {losses}"] -= spent[f"Adam after {losses}"]
    return dict(spent)


if __name__ == "__main__":
    main()
