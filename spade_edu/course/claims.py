"""A claim of a notebook: a sentence, an experiment with a seed, and the margin that its figure has to keep.

    def fading(seed):
        ...
        return first / last
    claim("01-fading", "Without a norm the gradient fades", fading, at_least=10)

In a notebook one seed is run. `python tools/claims.py` runs each over five and writes docs/results/claims.json.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

SEEDS_VARIABLE, FILE_VARIABLE = "SPADE_EDU_CLAIM_SEEDS", "SPADE_EDU_CLAIM_FILE"


def claim(
    name: str, sentence: str, experiment: Callable[[int], float], *,
    at_least: float | None = None, at_most: float | None = None,
) -> None:  # fmt: skip
    """Run an experiment and hold its figure against the margin, written down before any seed was run.

    experiment: a figure from a seed. at_least, at_most: one of the two.
    Errors: an AssertionError that names the seeds for which the claim doesn't hold.
    """
    seeds = [int(seed) for seed in os.environ.get(SEEDS_VARIABLE, "0").split(",")]
    hold(name, sentence, {seed: experiment(seed) for seed in seeds}, "quick", at_least, at_most)


def stored_claim(
    name: str, sentence: str, figures: Mapping[int, float], *,
    at_least: float | None = None, at_most: float | None = None,
) -> None:  # fmt: skip
    """The same for trainings of hours: the figures come from a stored result, of at least three seeds.

    Errors: an AssertionError, as for `claim`, or where there are fewer seeds.
    """
    assert len(figures) >= 3, f"{name}: {len(figures)} seeds; a claim on trainings needs three."
    hold(name, sentence, dict(figures), "stored", at_least, at_most)


def hold(
    name: str, sentence: str, figures: dict[int, float], kind: str, at_least: float | None, at_most: float | None
) -> None:
    """Print the figures beside the margin, put them down where they are collected, and assert."""
    if (at_least is None) == (at_most is None):
        raise ValueError(f"{name}: give at_least or at_most.")
    margin = f"at least {at_least:.4g}" if at_least is not None else f"at most {at_most:.4g}"
    failed = [seed for seed, figure in figures.items() if not _within(figure, at_least, at_most)]
    shown = ", ".join(f"{figure:.3g}" for figure in figures.values())
    print(f"Claim: {sentence}. Measured: {shown} (claimed: {margin}).")
    if FILE_VARIABLE in os.environ:
        rounded = {seed: float(f"{figure:.4g}") for seed, figure in figures.items()}
        record = {"claim": name, "sentence": sentence, "kind": kind, "margin": margin, "figures": rounded}
        with Path(os.environ[FILE_VARIABLE]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record | {"failed": failed}) + "\n")
        return
    assert not failed, f"{name}: doesn't hold for {', '.join(f'seed {seed}' for seed in failed)}."


def _within(figure: float, at_least: float | None, at_most: float | None) -> bool:
    """False for a figure that isn't a number, too."""
    return figure >= at_least if at_least is not None else figure <= (at_most or 0.0)
