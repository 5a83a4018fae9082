# %% [markdown]
# # Exercises 08: ablations
#
# Comparing variants fairly: how far a score moves from seed to seed.

# %%
import torch
from jaxtyping import Float
from torch import Tensor

from spade_edu.course import plotting as show

# %% [markdown]
# ## 8.1 Mean and standard error over seeds
#
# Each row of `scores` is a system, each column a seed. Return the mean of each row, and its standard error: the
# standard deviation (dividing by seeds - 1) over the root of the number of seeds.


# %% tags=["solution"]
def mean_and_error(
    scores: Float[Tensor, "systems seeds"],
) -> tuple[Float[Tensor, " systems"], Float[Tensor, " systems"]]:
    """Mean over seeds, and its standard error: the deviation (seeds - 1) over the root of the number of seeds."""
    mean = scores.mean(dim=1)
    seeds = scores.shape[1]
    variance = (scores - mean[:, None]).square().sum(dim=1) / (seeds - 1)
    return mean, torch.sqrt(variance / seeds)


# %%
# Three made-up systems with three seeds each. Which differences would you report?
with picture("mean_and_error"):
    scores = torch.tensor([[61.0, 62.5, 60.4], [60.2, 63.9, 58.0], [55.0, 54.1, 55.6]])
    mean, error = mean_and_error(scores)
    bars = dict(zip(("A", "B", "C"), mean.tolist()))
    show.bars(bars, ylabel="score", errors=error.tolist(), caption="Mean over three seeds and its standard error.")

# %% [markdown]
# **To think about.** Two systems share their seeds and their data order. Could you compare them more sharply than with
# two separate error bars?

# %%
progress()
