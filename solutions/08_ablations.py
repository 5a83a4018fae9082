# %% [markdown]
# # Exercises 08: ablations
#
# Comparing variants fairly: how far a score moves from seed to seed; and SPADE's rival of Table 3 as a part of your
# file.

# %%
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from spade_edu.course import plotting as show

# The parts that this stage builds on; where your my_spade.py lacks one, it is borrowed.
need("BatchNorm2d", "SPADEGenerator")
from my_spade import BatchNorm2d, SPADEGenerator

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
#
# <details><summary>Answer</summary>Yes: look at the differences seed by seed, and give the mean and the error of these.
# What a seed does to both cancels.</details>

# %% [markdown]
# ## 8.2 The block without SPADE
#
# Table 3 asks what SPADE is worth. Its rival "Concat" tells the generator the label map just as often, but hands it to
# the convolutions instead of the norms: `ConcatResnetBlock(fin, fout, label_channels, conv=nn.Conv2d)`, SPADE's block
# with two changes. The norms are your `BatchNorm2d` with gamma and beta, and before each convolution the label map
# (resized to x by nearest neighbour) is put behind the features, `torch.cat([features, segmap], dim=1)`: after norm and
# activation, on the skip path after its norm.


# %% tags=["part"]
# ConcatResnetBlock

# %% [markdown]
# **To think about.** How many label channels does each convolution see? Compare the parameters with those of SPADE's
# block.
#
# <details><summary>Answer</summary>All of them, at each convolution. SPADE's block has the hidden layer and two
# convolutions for gamma and beta on each norm; Concat only widens the input of its convolutions, so it is
# smaller.</details>

# %% [markdown]
# ## 8.3 The Concat generator
#
# `ConcatGenerator` is your `SPADEGenerator` with other blocks: a class of it that overrides one method.


# %% tags=["part"]
# ConcatGenerator

# %%
# Both generators' parameters at the size of the paper, in millions.
with picture("ConcatGenerator"), torch.device("meta"):
    sizes = {kind.__name__: sum(p.numel() for p in kind(36, (2, 4)).parameters()) / 1e6
             for kind in (SPADEGenerator, ConcatGenerator)}  # fmt: skip
    show.bars(sizes, ylabel="parameters, millions")

# %% [markdown]
# **To think about.** The rival is smaller. Which of the two generators would have to be made larger or smaller for a
# fair race, and what did the paper do?
#
# <details><summary>Answer</summary>Either: widen Concat, or take a narrower SPADE. The paper has the compact SPADE
# decoder (61M), which is smaller than Concat (79M) and still ahead.</details>

# %%
progress()
