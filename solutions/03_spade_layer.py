# %% [markdown]
# # Exercises 03: the SPADE layer
#
# A normalisation layer that keeps the label map: its scale and shift are computed from the labels, pixel by pixel.
# Fill in each function, run its check, and look at the picture that your answer draws. Everything runs on the CPU in
# seconds.

# %%
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from spade_edu import plotting as show

# %% [markdown]
# ## 3.1 The SPADE layer
#
# The layer normalises `x` with the statistics of the batch, as batch norm does, and then scales and shifts every pixel
# by maps that a small network reads off the label map:
#
# $$y = (1 + \gamma(m)) \cdot \frac{x - \mu_c}{\sqrt{\sigma_c^2 + \epsilon}} + \beta(m)$$
#
# The network: the label map is resized to the size of `x` (nearest neighbour), then one 3x3 convolution `shared`, ReLU,
# and from that hidden map two 3x3 convolutions, `gamma` and `beta`. Padding is 1, there is no bias. Use
# `F.interpolate`, `F.conv2d`, `F.relu`.


# %% tags=["solution"]
def spade_forward(
    x: Float[Tensor, "n c h w"],
    segmap: Float[Tensor, "n l H W"],
    shared: Float[Tensor, "k l 3 3"],
    gamma: Float[Tensor, "c k 3 3"],
    beta: Float[Tensor, "c k 3 3"],
    eps: float,
) -> Float[Tensor, "n c h w"]:
    """Normalise x over (n, h, w) (variance divided by the count), scale by 1 + gamma(segmap), shift by beta(segmap).

    shared, gamma, beta are weights of convolutions: (channels out, channels in, 3, 3).
    """
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    variance = (x - mean).square().mean(dim=(0, 2, 3), keepdim=True)
    normalised = (x - mean) / torch.sqrt(variance + eps)
    resized = F.interpolate(segmap, size=x.shape[-2:], mode="nearest")
    hidden = F.relu(F.conv2d(resized, shared, padding=1))
    return normalised * (1 + F.conv2d(hidden, gamma, padding=1)) + F.conv2d(hidden, beta, padding=1)


# %%
# The same noise, normalised, once without a label map's say (weights of zero) and once with it.
with picture("spade_forward"):
    label = torch.zeros(32, 64, dtype=torch.long)
    label[16:], label[8:24, 20:40] = 1, 2
    segmap = F.one_hot(label, 3).permute(2, 0, 1)[None].float()
    torch.manual_seed(1)
    x, shared = torch.randn(1, 1, 32, 64), 0.3 * torch.randn(8, 3, 3, 3)
    weights = 0.3 * torch.randn(2, 1, 8, 3, 3)
    plain = spade_forward(x, segmap, shared, 0 * weights[0], 0 * weights[1], 1e-5)
    told = spade_forward(x, segmap, shared, weights[0], weights[1], 1e-5)
    show.maps([label - 1.0, plain[0, 0], told[0, 0]], ["label map", "weights of zero", "random weights"], columns=3)

# %% [markdown]
# **To think about.** With random weights you can see the label map in the noise. Which of the two maps, gamma or beta,
# would still show it if `x` were constant? And which of them if the picture were uniform in its label?
