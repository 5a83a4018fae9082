# %% [markdown]
# # Exercises 09: multimodal and guided synthesis
#
# One label map, many pictures: a style code z, where it comes from, and what one can do with it. The pictures are drawn
# with the small SPADE model that comes with the course (trained on rendered street scenes).

# %%
import math
from itertools import combinations

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn
from torch.nn import functional as F

from spade_edu import course
from spade_edu.course import plotting as show
from spade_edu.runs.loading import load_stored

# The parts that this stage builds on; where your my_spade.py lacks one, it is borrowed.
need("InstanceNorm2d", "SpectralConv2d")
from my_spade import InstanceNorm2d, SpectralConv2d

lab = course.start("09", "cpu")
batch, sample = lab.batch(4)
stored = load_stored()
generator, encoder = stored.generator, stored.encoder
with torch.no_grad():
    mu, _ = encoder(batch["image"])

# %% [markdown]
# ## 9.1 The KL divergence
#
# The encoder describes a picture's style by a Gaussian: a mean `mu` and `logvar`, the logarithm of the variance. How
# far is it from N(0, 1)?
#
# $$-\tfrac{1}{2} \sum \left(1 + \text{logvar} - \mu^2 - e^{\text{logvar}}\right)$$
#
# As in the official code it is a sum over the batch and over all dimensions, not a mean.


# %% tags=["part"]
# kl_divergence

# %%
# What a mean away from 0, and a variance away from 1, cost.
with picture("kl_divergence"):
    values = torch.linspace(-3, 3, 61)
    zero = torch.zeros(1, 1)
    by_mu = [kl_divergence(v.view(1, 1), zero) for v in values]
    by_logvar = [kl_divergence(zero, v.view(1, 1)) for v in values]
    show.curves({"mu (logvar 0)": by_mu, "logvar (mu 0)": by_logvar}, values, xlabel="value", ylabel="KL, nats")

# %% [markdown]
# **To think about.** Because it is a sum, the term grows with the batch. What happens to the styles if you double the
# batch and leave its weight as it is?
#
# <details><summary>Answer</summary>The term doubles beside losses that are means, so codes are pressed harder to N(0,
# 1) and styles fade. Halve the weight.</details>

# %% [markdown]
# ## 9.2 One style for every object
#
# pix2pixHD gives every object a style of its own: a feature map is averaged over each instance. Replace every channel
# of `x` by its mean over the pixels with the same id in `instance`. Ids may be any whole numbers, and the same id in
# two pictures of the batch means two different objects. Return a new tensor; loops over pictures and ids are fine.


# %% tags=["solution"]
def instance_mean(x: Float[Tensor, "n c h w"], instance: Integer[Tensor, "n h w"]) -> Float[Tensor, "n c h w"]:
    """Each channel replaced by its mean over the pixels of the same instance of the same picture."""
    result = torch.zeros_like(x)
    for picture, ids in enumerate(instance):
        for number in ids.unique():
            mask = ids == number
            result[picture, :, mask] = x[picture, :, mask].mean(dim=1, keepdim=True)
    return result


# %%
# A picture, and its mean colour for every object.
with picture("instance_mean"):
    instance = sample.instance.long() if sample.instance is not None else sample.label
    show.pictures([batch["image"][0], instance_mean(batch["image"][:1], instance[:1])[0]],
                  ["picture", "one colour an object"], columns=2, width=4)  # fmt: skip

# %% [markdown]
# **To think about.** SPADE's z is one code for the whole picture. What can pix2pixHD's instance features do that z
# can't, and what does it need at test time?
#
# <details><summary>Answer</summary>Give each object a look of its own. At test time it needs features for each object:
# from a picture, or drawn from what was seen of the class.</details>

# %% [markdown]
# ## 9.3 How different are the samples?
#
# Several pictures of one label map: take the mean absolute difference of two pictures (over channels and pixels), and
# average it over all pairs of different samples.


# %% tags=["solution"]
def diversity(samples: Float[Tensor, "k 3 h w"]) -> Float[Tensor, ""]:
    """Mean absolute difference of two different pictures, over all pairs of the k >= 2 samples."""
    distances = [(a - b).abs().mean() for a, b in combinations(samples, 2)]
    return torch.stack(distances).mean()


# %%
# The further z may stray from 0, the more the pictures differ.
with picture("diversity"), torch.no_grad():
    torch.manual_seed(0)
    noise = torch.randn(6, mu.shape[1])
    segmap = batch["segmap"][:1].expand(6, -1, -1, -1)
    spread = {f"z * {scale}": diversity(generator(segmap, scale * noise)).item() for scale in (0.0, 0.5, 1.0, 2.0)}
    show.bars(spread, ylabel="mean absolute difference")

# %% [markdown]
# **To think about.** A model that paints noise over its pictures scores well here. Which other score would you look at
# beside it?
#
# <details><summary>Answer</summary>One of quality at the same masks: mIoU or a Fréchet distance. Noise lowers
# both.</details>

# %% [markdown]
# ## 9.4 Painting in the style of a picture
#
# `encoder(image)` returns `(mu, logvar)`, each of shape (1, d), for one picture; `generator(segmap, z)` paints n label
# maps with one code each, z of shape (n, d). Paint all label maps in the picture's style: z is the mean, without noise.


# %% tags=["solution"]
def transfer_style(
    generator: nn.Module, encoder: nn.Module, segmap: Float[Tensor, "n l h w"], image: Float[Tensor, "1 3 h2 w2"]
) -> Float[Tensor, "n 3 h w"]:
    """Paint all n label maps in the style of one picture: z is the mean that the encoder gives, without noise."""
    mu, _ = encoder(image)
    return generator(segmap, mu.expand(len(segmap), -1))


# %%
# Above: four pictures. Below: their label maps, all in the style of the first, then of the second.
with picture("transfer_style"), torch.no_grad():
    rows = [transfer_style(generator, encoder, batch["segmap"], batch["image"][i : i + 1]) for i in (0, 1)]
    show.pictures([*batch["image"], *rows[0], *rows[1]], ["style 1", "style 2"], columns=4)

# %% [markdown]
# **To think about.** The picture's layout and the label maps' layouts differ. What of the picture can a code without
# any axes for height and width carry over, and what not?
#
# <details><summary>Answer</summary>Light, weather, colours, contrast: what holds for the picture as a whole. Not that
# this house is red and that one blue.</details>

# %% [markdown]
# ## 9.5 A draw that gradients pass through
#
# The code that the generator gets is drawn from N(`mu`, exp(`logvar`)). A draw has no gradient; written as place plus
# width times noise, it has one for place and width:
#
# $$z = \mu + e^{\text{logvar} / 2} \cdot \varepsilon, \qquad \varepsilon \sim N(0, 1)$$


# %% tags=["part"]
# reparameterise

# %% [markdown]
# **To think about.** What would the encoder learn if z were simply mu?
#
# <details><summary>Answer</summary>To make codes that are far apart, each for one picture only: between them nothing
# was ever painted, so a draw from N(0, 1) would fall into gaps.</details>

# %% [markdown]
# ## 9.6 The style encoder
#
# `StyleEncoder(nef=64, z_dim=256, image_size=256)`, called as `encoder(image)`, gives `mu` and `logvar`.
#
# - the picture is resized to `image_size` x `image_size` (`F.interpolate(..., mode="bilinear", align_corners=False)`);
# - log2(`image_size` / 4) convolutions halve it until 4x4 pixels are left: `SpectralConv2d`, 3x3, stride 2, padding 1,
#   without bias, of 1, 2, 4, 8, 8, 8 ... times `nef` channels. Behind each come instance norm and LeakyReLU 0.2;
# - two linear layers side by side, from all that is left, give `mu` and `logvar`.


# %% tags=["part"]
# StyleEncoder

# %% [markdown]
# **To think about.** The picture is squeezed to a square first, whatever its shape. Why may an encoder of styles do
# that, and why must a generator not?
#
# <details><summary>Answer</summary>A style is the same in a squeezed picture. A generator has to put things where the
# map has them, in its shape.</details>

# %%
progress()
