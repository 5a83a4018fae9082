# %% [markdown]
# # Exercises 03: the SPADE layer
#
# A normalisation that keeps the label map: its scale and shift are computed from the labels, pixel by pixel. Four
# functions: resizing labels, the layer, its cheap sister CLADE, and the block around it; and the layer as a part of
# your file.

# %%
import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn
from torch.nn import functional as F

import spade_edu
from spade_edu.course import plotting as show

# The part that this stage builds on; where your my_spade.py lacks it, it is borrowed.
need("BatchNorm2d")
from my_spade import BatchNorm2d

torch.manual_seed(1)
# 0 sky, 1 road, 2 a car; x is what comes out of the layer before: here noise.
label = torch.zeros(1, 32, 64, dtype=torch.long)
label[:, 18:], label[:, 12:24, 20:40] = 1, 2
segmap = F.one_hot(label, 3).permute(0, 3, 1, 2).float()
x = torch.randn(1, 1, 32, 64)
show.maps([label[0], x[0, 0]], ["label map", "x"], columns=2)

# %% [markdown]
# ## 3.1 Resizing a label map
#
# SPADE works at every size of the generator, so the label map has to be resized. Ids are names: between class 7 and
# class 11 there is no 9. So the result *copies* ids: row i shows row `floor(i * H / height)` of the old map, columns
# likewise (this is `mode="nearest"` in torch).
#
# Toy: a row of 4 ids `[0, 7, 11, 3]` at width 2 is `[0, 11]`, at width 8 `[0, 0, 7, 7, 11, 11, 3, 3]`.


# %% tags=["solution"]
def nearest_resize(label: Integer[Tensor, "n H W"], height: int, width: int) -> Integer[Tensor, "n h w"]:
    """The label map at (height, width), of the same dtype, by nearest neighbour: floor(i * H / height)."""
    rows = torch.arange(height) * label.shape[1] // height
    columns = torch.arange(width) * label.shape[2] // width
    return label[:, rows][:, :, columns]


# %%
with picture("nearest_resize"):
    small = nearest_resize(label, 8, 16)
    mixed = F.interpolate(small[:, None].float(), size=(32, 64), mode="bilinear")[0, 0].round()
    show.maps(
        [small[0], nearest_resize(small, 32, 64)[0], mixed],
        ["made small", "enlarged: nearest", "enlarged: bilinear, rounded"],
        columns=3,
        diverging=False,
        caption="0 sky, 1 road, 2 car. Bilinear puts a line of road between sky and car.",
    )

# %% [markdown]
# **To think about.** Thin things (poles) may vanish from the smallest map. Where in the generator do they come back?
#
# <details><summary>Answer</summary>In the later blocks: each is given the map at its own size, and from some size on
# the pole is there again.</details>

# %% [markdown]
# ## 3.2 The SPADE layer
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
with picture("spade_forward"):
    shared, weights = 0.3 * torch.randn(8, 3, 3, 3), 0.3 * torch.randn(2, 1, 8, 3, 3)
    plain = spade_forward(x, segmap, shared, 0 * weights[0], 0 * weights[1], 1e-5)
    told = spade_forward(x, segmap, shared, weights[0], weights[1], 1e-5)
    show.maps(
        [plain[0, 0], told[0, 0]],
        ["weights of zero", "random weights"],
        columns=2,
        caption="The same noise, without and with a say of the label map.",
    )

# %% [markdown]
# **To think about.** With random weights you can see the label map in the noise. Which of the two maps, gamma or beta,
# would still show it if `x` were constant?
#
# <details><summary>Answer</summary>beta. A constant x is normalised to 0, and gamma times 0 is 0; beta is
# added.</details>

# %% [markdown]
# ## 3.3 CLADE: a table instead of convolutions
#
# Away from borders, gamma and beta depend on the class of the pixel only. CLADE (Tan et al., 2021) takes that at its
# word: two tables with a row for each class, looked up pixel by pixel; no convolution.
#
# $$y = \gamma_{k}\, \text{norm}(x) + \beta_{k}, \qquad k = \text{class of the pixel}$$
#
# norm is batch norm's, with the statistics of the batch. The scale is gamma itself, without 1 +. The label map already
# has the size of `x`.


# %% tags=["solution"]
def clade_forward(
    x: Float[Tensor, "n c h w"],
    label: Integer[Tensor, "n h w"],
    gamma: Float[Tensor, "k c"],
    beta: Float[Tensor, "k c"],
    eps: float,
) -> Float[Tensor, "n c h w"]:
    """Normalise x over (n, h, w), then scale and shift each pixel by its class's row of gamma and beta."""
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    variance = (x - mean).square().mean(dim=(0, 2, 3), keepdim=True)
    normalised = (x - mean) / torch.sqrt(variance + eps)
    return gamma[label].permute(0, 3, 1, 2) * normalised + beta[label].permute(0, 3, 1, 2)


# %%
with picture("clade_forward"):
    tables = torch.tensor([[0.1], [1.0], [0.3]]), torch.tensor([[2.0], [0.0], [-2.0]])
    show.maps(
        clade_forward(x, label, *tables, 1e-5)[0], ["CLADE"], caption="A calm bright sky, a rough road, a dark car."
    )

# %% [markdown]
# **To think about.** A 3x3 convolution of the label map sees that a border is near. What can SPADE draw along borders
# that CLADE can't?
#
# <details><summary>Answer</summary>Rims: a kerb, a dark outline, a softer edge. Beside a border gamma and beta of SPADE
# may differ from the class's inside; CLADE's table has one value for a class, wherever the pixel is.</details>

# %% [markdown]
# ## 3.4 The SPADE block
#
# The generator is made of residual blocks. The main path is twice *norm, LeakyReLU 0.2, convolution*; every norm is a
# SPADE layer, called as `norm(x, segmap)`. `parts` holds the layers by name: `norm_0`, `conv_0`, `norm_1`, `conv_1`,
# and where the number of channels changes `norm_s` and `conv_s` for the skip path. Skip path: `norm_s`, then `conv_s`,
# *no activation*; or x itself where `parts` has no `conv_s`. Nothing follows the sum.


# %% tags=["solution"]
def spade_block(
    x: Float[Tensor, "n fin h w"], segmap: Float[Tensor, "n l H W"], parts: nn.ModuleDict
) -> Float[Tensor, "n fout h w"]:
    """Main path norm_0, LeakyReLU 0.2, conv_0, norm_1, LeakyReLU 0.2, conv_1, plus skip path norm_s, conv_s (or x)."""
    skip = parts["conv_s"](parts["norm_s"](x, segmap)) if "conv_s" in parts else x
    y = parts["conv_0"](F.leaky_relu(parts["norm_0"](x, segmap), 0.2))
    return skip + parts["conv_1"](F.leaky_relu(parts["norm_1"](y, segmap), 0.2))


# %%
with picture("spade_block"):
    torch.manual_seed(2)
    norms = {f"norm_{i}": spade_edu.SPADE(1, 3, hidden_channels=8) for i in (0, 1)}
    parts = nn.ModuleDict(norms | {f"conv_{i}": nn.Conv2d(1, 1, 3, padding=1) for i in (0, 1)})
    with torch.no_grad():
        y = spade_block(0 * x, segmap, parts)
    show.maps([label[0] - 1.0, y[0, 0]], ["label map", "block, from x = 0"], columns=2)

# %% [markdown]
# **To think about.** The input was zero everywhere, and still the output shows the label map. Where did it come in?
# What would pix2pixHD's block have given?
#
# <details><summary>Answer</summary>Through beta, in the SPADE layers. pix2pixHD's block has no label map to look at: it
# would have given 0 (or its biases, which a norm takes away).</details>

# %% [markdown]
# ## 3.5 SPADE as a module
#
# The layer as it is used: `SPADE(num_features, label_channels, hidden_channels=128)`, called as `spade(x, segmap)`.
#
# - the norm is your `BatchNorm2d` without parameters of its own;
# - three 3x3 convolutions with padding 1, now with bias: from the label channels to `hidden_channels`, and from there
#   twice to `num_features`, for gamma and for beta.
#
# What it computes is 3.2.


# %% tags=["part"]
# SPADE

# %%
# Your layer, with random weights, on noise.
with picture("SPADE"), torch.no_grad():
    torch.manual_seed(4)
    y = SPADE(1, 3, 16)(x, segmap)
    show.maps([label[0] - 1.0, x[0, 0], y[0, 0]], ["label map", "x", "your SPADE"], columns=3)

# %% [markdown]
# **To think about.** How many of its parameters know how many classes there are? What would you have to do to a trained
# layer to add a class?
#
# <details><summary>Answer</summary>Only the first convolution's weights (hidden x classes x 3 x 3). To add a class give
# it one more input channel, with small or zero weights, and train on; gamma and beta stay.</details>

# %%
progress()
