# %% [markdown]
# # Exercises 04: why a norm forgets the label, and SPADE doesn't
#
# Figure 3 of the paper: give pix2pixHD a map that is all sky, and one that is all grass; it paints the same picture.
# Here you prove it in code, one layer after the other, prove that SPADE is safe, and measure both. No exercise needs
# the answer to another one.

# %%
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from spade_edu.course import plotting as show

torch.manual_seed(0)
weight, bias = torch.randn(3, 4, 3, 3), torch.randn(3)
# Uniform maps of four classes, as one-hot channels; and for comparison a map of all four.
uniform = torch.eye(4)[:, :, None, None].expand(4, 4, 8, 8)
mixed = F.one_hot(torch.arange(4).repeat_interleave(2).expand(8, 8), 4).permute(2, 0, 1)[None].float()
show.maps(
    [*uniform.argmax(1), mixed[0].argmax(0)], [*(f"all {i}" for i in range(4)), "mixed"], columns=5, diverging=False
)

# %% [markdown]
# ## 4.1 Uniform label maps
#
# Make one map for each id of a list, as a generator sees it: `num_channels` one-hot channels of height x width, in
# which channel number *id* is 1 everywhere and the others are 0.


# %% tags=["solution"]
def uniform_segmaps(class_ids: list[int], num_channels: int, height: int, width: int) -> Float[Tensor, "k l h w"]:
    """Map i (of k = len(class_ids)) has channel class_ids[i] at 1 and all others at 0; float32."""
    segmaps = torch.zeros(len(class_ids), num_channels, height, width)
    for segmap, class_id in zip(segmaps, class_ids):
        segmap[class_id] = 1
    return segmaps


# %%
with picture("uniform_segmaps"):
    maps = uniform_segmaps([2, 0], 3, 4, 6)
    titles = [f"map of {k}, channel {c}" for k in (2, 0) for c in range(3)]
    show.maps(maps.flatten(0, 1), titles, columns=3, diverging=False)

# %% [markdown]
# **To think about.** Real label maps aren't uniform. Which parts of a street scene look uniform to a 7x7 convolution?
#
# <details><summary>Answer</summary>All that is further than three pixels from a border: most of road, sky and
# facades.</details>

# %% [markdown]
# ## 4.2 A convolution of a uniform map
#
# With reflection padding, every pixel of the convolution's result sees the same: 1 in the channel of the class, 0 in
# the others. So the result is constant, one number for each output channel. Which?


# %% tags=["solution"]
def uniform_response(class_id: int, weight: Float[Tensor, "c l k k"], bias: Float[Tensor, " c"]) -> Float[Tensor, " c"]:
    """The value of each output channel, at any pixel, on a map that is class_id everywhere.

    weight: (channels out, label channels, k, k), as in F.conv2d.
    """
    return weight[:, class_id].sum(dim=(1, 2)) + bias


# %%
with picture("uniform_response"):
    real = [F.conv2d(F.pad(m[None], (1, 1, 1, 1), mode="reflect"), weight, bias)[0, 0] for m in uniform]
    show.maps(real, [f"class {i}: yours {uniform_response(i, weight, bias)[0]:.2f}" for i in range(4)], numbers=False,
              caption="Channel 0 of the convolution, computed: constant, and different for each class.")  # fmt: skip

# %% [markdown]
# **To think about.** So far the class survives: four classes, four numbers. And with zeros as padding, which pixels
# would differ?
#
# <details><summary>Answer</summary>The rim, one pixel for a 3x3 kernel: there the padding takes part of the sum away.
# So a border of the picture would be the only thing that isn't constant.</details>

# %% [markdown]
# ## 4.3 The norm behind it
#
# Now the first layer of pix2pixHD as it is: reflection padding of one pixel (for this 3x3 kernel), convolution with
# bias, instance norm (no gamma, no beta, variance over the number of pixels). Without the ReLU.


# %% tags=["solution"]
def normalised_response(
    segmap: Float[Tensor, "n l h w"], weight: Float[Tensor, "c l 3 3"], bias: Float[Tensor, " c"], eps: float
) -> Float[Tensor, "n c h w"]:
    """Instance norm of the convolution of the reflection-padded label map."""
    y = F.conv2d(F.pad(segmap, (1, 1, 1, 1), mode="reflect"), weight, bias)
    mean = y.mean(dim=(2, 3), keepdim=True)
    variance = (y - mean).square().mean(dim=(2, 3), keepdim=True)
    return (y - mean) / torch.sqrt(variance + eps)


# %%
with picture("normalised_response"):
    results = normalised_response(torch.cat([uniform, mixed]), weight, bias, 1e-5)
    show.maps(results[:, 0], [*(f"all {i}" for i in range(4)), "mixed"], columns=5,
              caption="Zero on every uniform map. From here on nobody can tell which class it was.")  # fmt: skip

# %% [markdown]
# **To think about.** Would batch norm in training save the class, if a batch held uniform maps of different classes?
# And at test time, one image at a time?
#
# <details><summary>Answer</summary>In training yes: the batch's mean is over several classes, and each map keeps its
# difference from it. Alone at test time the running averages, which don't depend on the picture, keep it as well. Only
# a norm over the picture itself forgets.</details>

# %% [markdown]
# ## 4.4 SPADE on a uniform map
#
# SPADE's label branch has no norm: convolution `shared`, ReLU, then the convolutions `gamma` and `beta` (all 3x3, no
# bias). On a uniform map, away from the rim, each gives constants. Compute them: gamma and beta as two vectors of c
# numbers (gamma as the convolution gives it, without 1 +).
#
# That is conditional batch norm: one scale and shift for each class and channel.


# %% tags=["solution"]
def uniform_modulation(
    class_id: int,
    shared: Float[Tensor, "k l 3 3"],
    gamma: Float[Tensor, "c k 3 3"],
    beta: Float[Tensor, "c k 3 3"],
) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
    """(gamma_c, beta_c) in the middle of a map of one class; shared, gamma, beta are the convolutions' weights."""
    hidden = F.relu(shared[:, class_id].sum(dim=(1, 2)))
    return gamma.sum(dim=(2, 3)) @ hidden, beta.sum(dim=(2, 3)) @ hidden


# %%
with picture("uniform_modulation"):
    shared, heads = torch.randn(16, 4, 3, 3) / 6, torch.randn(2, 1, 16, 3, 3) / 12
    numbers = [uniform_modulation(i, shared, *heads) for i in range(4)]
    shifts = {f"beta, class {i}": beta.item() for i, (gamma, beta) in enumerate(numbers)}
    show.bars(shifts, ylabel="shift", caption="What SPADE adds after its norm: a different number for every class.")

# %% [markdown]
# **To think about.** SPADE normalises x as well, so x's constant is lost there too. Why doesn't that matter?
#
# <details><summary>Answer</summary>Because gamma and beta haven't gone through a norm: they bring the class again,
# behind each norm.</details>

# %% [markdown]
# ## 4.5 How different are the pictures?
#
# To measure figure 3, let a generator paint a uniform map of each class, and compare the results in pairs. Compare
# *mean colours*, not pixels: patterns that differ by chance shouldn't count. For each pair of images: the mean absolute
# difference of their mean colours over R, G and B, in units of 0..255. Then the mean over all pairs. Images are in [-1,
# 1].


# %% tags=["solution"]
def colour_difference(images: Float[Tensor, "k 3 h w"]) -> float:
    """Mean over all pairs of the mean absolute difference of two images' mean colours, in 0..255; images in [-1, 1]."""
    colours = (images.mean(dim=(2, 3)) + 1) * 127.5
    pairs = [(colours[i], colours[j]) for i in range(len(colours)) for j in range(i)]
    return float(torch.stack([(a - b).abs().mean() for a, b in pairs]).mean())


# %%
with picture("colour_difference"):
    noise = torch.rand(4, 3, 16, 16) * 0.6 - 0.3
    tints = torch.tensor([[-0.5, 0.2, 0.6], [0.1, 0.1, 0.1], [-0.3, 0.5, -0.4], [0.6, -0.5, -0.5]])[:, :, None, None]
    for name, images in (("other noise, one colour", noise), ("other colours", noise + tints)):
        show.pictures(images, caption=f"{name}: difference {colour_difference(images):.1f}", width=1.6)

# %% [markdown]
# **To think about.** In the first row every pixel differs from picture to picture. Would a difference of pixels have
# told the two rows apart?
#
# <details><summary>Answer</summary>No: noise differs from noise in every pixel, as different colours do. Only the mean
# leaves out what chance moves.</details>

# %% [markdown]
# ## 4.6 Where pix2pixHD's patterns come from
#
# The proof says zero, yet a trained pix2pixHD paints patterns on uniform maps, and different ones for different
# classes. They are rounding noise: a constant map has tiny errors (about 1e-7 in float32), and an instance norm divides
# them by sqrt(variance + eps). If the noise has deviation d, it has d / sqrt(d^2 + eps) behind the norm. Follow it
# through `num_norms` of them (taking the layers between as leaving d as it is).


# %% tags=["solution"]
def noise_gain(deviation: float, eps: float, num_norms: int) -> float:
    """The deviation of the noise behind num_norms instance norms, each of which divides by sqrt(deviation^2 + eps)."""
    for _ in range(num_norms):
        deviation = deviation / (deviation**2 + eps) ** 0.5
    return deviation


# %%
with picture("noise_gain"):
    lines = {
        name: [noise_gain(noise, 1e-5, n) for n in range(9)] for name, noise in (("float32", 1e-7), ("float64", 1e-16))
    }
    show.curves(lines, xlabel="instance norms", ylabel="deviation of the noise", log=True,
                caption="After a few norms the noise is as large as a signal; more digits only delay it.")  # fmt: skip

# %% [markdown]
# **To think about.** Why does this make mean colours a better measure than pixels (exercise 4.5)?
#
# <details><summary>Answer</summary>What rounding grows to is a pattern about zero. Its mean is small, while its pixels
# can be as large as any signal.</details>

# %%
progress()
