"""Stage 08: comparing variants fairly."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from .exercise import Case, Exercise, Wrong, case, variant

# --- 8.1 mean and standard error ---


def mean_and_error(
    scores: Float[Tensor, "systems seeds"],
) -> tuple[Float[Tensor, " systems"], Float[Tensor, " systems"]]:
    """Mean over seeds, and its standard error: the deviation (seeds - 1) over the root of the number of seeds."""
    mean = scores.mean(dim=1)
    seeds = scores.shape[1]
    variance = (scores - mean[:, None]).square().sum(dim=1) / (seeds - 1)
    return mean, torch.sqrt(variance / seeds)


def _error_cases() -> list[Case]:
    return [
        case("2 systems, 5 seeds", torch.rand(2, 5) * 30, gradient=False),
        case("4 systems, 3 seeds", torch.rand(4, 3), gradient=False),
        case("1 system, 2 seeds", torch.rand(1, 2) * 5, gradient=False),
        case("as many systems as seeds", torch.randn(3, 3) * 4, gradient=False),
        case("seeds that agree", torch.tensor([[2.0, 2.0, 2.0], [1.0, 4.0, 7.0]]), gradient=False),
        case("float64, 9 seeds", torch.randn(2, 9).double() * 10 + 50, gradient=False),
    ]


def _error_mistaken(wrong: Wrong, scores: Tensor) -> tuple[Tensor, Tensor]:
    if "axis" in wrong:
        scores = scores.T
    mean = scores.median(dim=1).values if "median" in wrong else scores.mean(dim=1)
    seeds = scores.shape[1]
    if "spread" in wrong:
        return mean, scores.amax(1) - scores.amin(1)
    if "absolute" in wrong:
        return mean, (scores - mean[:, None]).abs().mean(1) / math.sqrt(seeds)
    variance = scores.var(dim=1, unbiased="biased" not in wrong)
    if "pooled" in wrong:
        variance = scores.var().expand(len(scores))
    errors = {
        "by_all": torch.sqrt(variance / scores.numel()),
        "by_n_minus_1": torch.sqrt(variance / (seeds - 1)),
        "by_systems": torch.sqrt(variance / len(scores)),
        "by_n": variance.sqrt() / seeds,
        "no_root": variance / seeds,
        "deviation": variance.sqrt(),
        "variance": variance,
    }
    error = variant(wrong, torch.sqrt(variance / seeds), **errors)
    if "interval" in wrong:
        error = 1.96 * error
    return (error, mean) if "swapped" in wrong else (mean, error)


_ERROR = Exercise(
    stage="08",
    title="Mean and standard error over seeds",
    goal="say how far a mean can be trusted before calling one system better than another",
    minutes=10,
    difficulty=1,
    reference=mean_and_error,
    cases=_error_cases,
    mistaken=_error_mistaken,
    mistakes={
        "deviation": "That is the standard deviation, the spread of one run; the error of the mean is smaller by the "
        "root of the number of seeds.",
        "variance": "That is the variance; take its root and divide by the root of the number of seeds.",
        "no_root": "The root is missing: the error is sqrt(variance / seeds).",
        "biased": "The deviation divides by n; from a few seeds it is estimated with n - 1.",
        "by_n": "You divide the deviation by the number of seeds; divide by its root.",
        "by_systems": "You divide by the root of the number of systems; it is that of the seeds, scores.shape[1].",
        "by_n_minus_1": "You divide by the root of seeds - 1; the deviation has its n - 1 already, and goes over the "
        "root of the number of seeds.",
        "by_all": "You divide by the root of the number of all scores; it is that of the seeds in a row.",
        "pooled": "The deviation is taken over all systems at once; each has its own.",
        "axis": "The mean is taken over the systems; a row holds one system's seeds, so average over axis 1.",
        "median": "The first result is the median; take the mean.",
        "spread": "The second result is the range from the lowest to the highest score; the error is the deviation "
        "over the root of the number of seeds.",
        "absolute": "The deviation is the root of the mean squared distance, not the mean absolute one.",
        "interval": "That is half of a 95 % interval (1.96 errors); return the error itself.",
        "swapped": "The order is: the mean, then the error.",
    },
    hints=(
        "Two results for each row. Ten times as many seeds make the second one about three times smaller.",
        "scores.std(dim=1) divides by seeds - 1 by itself; divide it by the square root of the number of seeds.",
        "return scores.mean(dim=1), scores.std(dim=1) / scores.shape[1] ** 0.5",
    ),
)

EXERCISES = (_ERROR,)
