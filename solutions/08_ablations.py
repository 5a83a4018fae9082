# %% [markdown]
# # Exercises 08: ablations
#
# Comparing variants fairly: the rival without SPADE, the size of each network, the spread over seeds, and the start and
# the decay that every variant gets.

# %%
import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from spade_edu.course import plotting as show
from spade_edu.runs.loading import load_stored

# %% [markdown]
# ## 8.1 The Concat variant's input
#
# Table 3's "Concat" has ordinary norms, and hands every convolution the label map beside its features: bring `segmap`
# to the size of `x` by nearest neighbour, and put it behind `x` in the channel axis.


# %% tags=["solution"]
def concat_input(x: Float[Tensor, "n c h w"], segmap: Float[Tensor, "n l H W"]) -> Float[Tensor, "n c2 h w"]:
    """The features, then the label map at their size (nearest), side by side in the channel axis."""
    return torch.cat([x, F.interpolate(segmap, size=x.shape[-2:], mode="nearest")], dim=1)


# %%
# Two channels of features, then three of labels.
with picture("concat_input"):
    label = torch.zeros(16, 32, dtype=torch.long)
    label[4:11, 10:20], label[11:] = 1, 2
    segmap = F.one_hot(label, 3).permute(2, 0, 1)[None].float()
    torch.manual_seed(0)
    both = concat_input(torch.randn(1, 2, 8, 16), segmap)
    show.maps(both[0], ["features 0", "features 1", "label 0", "label 1", "label 2"], columns=5)

# %% [markdown]
# **To think about.** After the next instance or batch norm, what is left of the label channels of a map with a single
# class?

# %% [markdown]
# ## 8.2 Counting parameters
#
# How many numbers of `network` are trained? All entries of all parameters with `requires_grad`, each parameter once.


# %% tags=["solution"]
def count_parameters(network: nn.Module) -> int:
    """How many numbers are trained: all entries of all parameters with requires_grad, each counted once."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


# %%
# The three generators that come with the course.
with picture("count_parameters"):
    stored = {"SPADE": "spade", "pix2pixHD": "pix2pixhd", "pix2pixHD++": "pix2pixhd_pp"}
    sizes = {name: count_parameters(load_stored(file).generator) / 1e6 for name, file in stored.items()}
    show.bars(sizes, ylabel="parameters, millions")

# %% [markdown]
# **To think about.** Is it fair to compare at equal width, at equal number of parameters, or at equal time for a step?
# What does Table 3 do, with its compact rows?

# %% [markdown]
# ## 8.3 Mean and standard error over seeds
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

# %% [markdown]
# ## 8.4 Glorot's standard deviation
#
# Weights start as N(0, std^2) with
#
# $$\mathrm{std} = \text{gain} \cdot \sqrt{\frac{2}{\text{fan}_{in} + \text{fan}_{out}}}$$
#
# `shape` is that of the weight: (out, in, kernel height, kernel width), or (out, in) for a linear layer. fan_in is in
# times the kernel's area, fan_out is out times the kernel's area.


# %% tags=["solution"]
def glorot_std(shape: tuple[int, ...], gain: float) -> float:
    """gain * sqrt(2 / (fan_in + fan_out)); a fan is a layer's channels in or out times the area of its kernel."""
    area = math.prod(shape[2:])
    return gain * math.sqrt(2 / (shape[1] * area + shape[0] * area))


# %%
# The paper says Glorot; its code has a gain of 0.02. 3x3 convolutions of c to c channels:
with picture("glorot_std"):
    channels = [16, 32, 64, 128, 256, 512, 1024]
    lines = {f"gain {gain}": [glorot_std((c, c, 3, 3), gain) for c in channels] for gain in (1.0, 0.02)}
    show.curves(lines, channels, xlabel="channels", ylabel="standard deviation", log=True)

# %% [markdown]
# **To think about.** Under spectral norm the scale of a weight cancels; in SPADE's own convolutions it doesn't. What
# does a SPADE layer with weights near zero compute, and why do short runs in this course start with a gain of 1?

# %% [markdown]
# ## 8.5 The decay of the learning rate
#
# Epochs are counted from 1. The first `epochs` ones run at the full rate, then the rate falls linearly over
# `epochs_decay` epochs. The official code starts one epoch late: with 100 + 100 epochs, epoch 101 still has the full
# rate, epoch 102 has 99 % of it, and epoch 200 has 1 %. Return the factor for `epoch`. `epochs_decay` may be 0: then
# nothing falls, and nothing may be divided by 0.


# %% tags=["solution"]
def lr_factor(epoch: int, epochs: int, epochs_decay: int) -> float:
    """1 - max(0, epoch - 1 - epochs) / max(1, epochs_decay), with epochs counted from 1."""
    return 1.0 - max(0, epoch - 1 - epochs) / max(1, epochs_decay)


# %%
# The published schedule.
with picture("lr_factor"):
    show.curves({"100 + 100 epochs": [lr_factor(epoch, 100, 100) for epoch in range(1, 201)]}, range(1, 201),
                xlabel="epoch", ylabel="factor")  # fmt: skip

# %% [markdown]
# **To think about.** The official code forgets the schedule when a run is resumed, and starts again at the full rate.
# How would you notice that in the curves of a run?

# %%
progress()
