# %% [markdown]
# # Exercises 02: pix2pixHD
#
# The system that SPADE is measured against: its residual block, how much its discriminator sees at once, and its
# generator as a part of your file. The two functions are steps on the way, the two classes are kept.

# %%
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from spade_edu.course import plotting as show

# A street in ids: 0 sky, 1 road, 2 car; 255 is unknown.
label = torch.zeros(1, 16, 24, dtype=torch.long)
label[:, 9:], label[:, 6:12, 4:12], label[:, 6:12, 12:19], label[:, 14:, 20:] = 1, 2, 2, 255
# The part that this stage builds on; where your my_spade.py lacks it, it is borrowed.
need("InstanceNorm2d")
from my_spade import InstanceNorm2d

show.maps([label[0].clamp(max=3)], ["label map"], caption="0 sky, 1 road, 2 car; 3 stands for 255.", diverging=False)

# %% [markdown]
# ## 2.1 pix2pixHD's residual block
#
# $$y = x + \text{norm}(\text{conv}_1(\text{relu}(\text{norm}(\text{conv}_0(x)))))$$
#
# Both convolutions are 3x3 without bias, behind a *reflection* padding of one pixel, so that the size stays. norm is
# instance norm (no gamma, no beta, variance over the number of pixels). Nothing follows the sum. `F.pad`, `F.conv2d`,
# `F.instance_norm` and `F.relu` are allowed.


# %% tags=["solution"]
def residual_block(
    x: Float[Tensor, "n c h w"],
    weight_0: Float[Tensor, "c c 3 3"],
    weight_1: Float[Tensor, "c c 3 3"],
    eps: float,
) -> Float[Tensor, "n c h w"]:
    """x plus its change: reflect-pad, conv, instance norm, ReLU, reflect-pad, conv, instance norm."""
    y = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), weight_0)
    y = F.relu(F.instance_norm(y, eps=eps))
    y = F.conv2d(F.pad(y, (1, 1, 1, 1), mode="reflect"), weight_1)
    return x + F.instance_norm(y, eps=eps)


# %%
with picture("residual_block"):
    torch.manual_seed(0)
    x = F.one_hot(label.clamp(max=3), 4).permute(0, 3, 1, 2).float()
    weights = torch.randn(2, 4, 4, 3, 3)
    y = residual_block(x, *weights, 1e-5)
    show.maps(
        [x[0, 2], (y - x)[0, 2], y[0, 2]], ["x: cars", "the change", "y"], columns=3, caption="y is x plus a change."
    )

# %% [markdown]
# **To think about.** What would the block do to a uniform map? Look at the two norms, and at the sum.
#
# <details><summary>Answer</summary>On a uniform map each convolution's result is constant, and each norm makes 0 of it.
# So the path adds nothing, and the sum is the input.</details>

# %% [markdown]
# ## 2.2 The patch of a patch discriminator
#
# A PatchGAN gives one verdict for each patch of the image. How large is the patch? Think of one output pixel and ask
# which input pixels reach it. A layer is a pair (kernel, stride); padding doesn't matter here.
#
# Toy: one 3x3 convolution sees 3 pixels (along one side), two of them see 5; with stride 2 in the first, 7.


# %% tags=["solution"]
def receptive_field(layers: list[tuple[int, int]]) -> int:
    """From the first to the last input pixel, along one side, that one output pixel sees: how many.

    layers: (kernel, stride) from the input on.
    """
    field, step = 1, 1  # step: how many input pixels lie between two neighbours of the present layer
    for kernel, stride in layers:
        field += (kernel - 1) * step
        step *= stride
    return field


# %%
with picture("receptive_field"):
    plans = {"3 layers": 1, "4 layers": 2, "5 layers": 3, "6 layers": 4}
    fields = {name: receptive_field([(4, 2)] * n + [(4, 1)] * 2) for name, n in plans.items()}
    show.bars(
        fields,
        ylabel="pixels along one side",
        caption="4x4 convolutions, the last two with stride 1. pix2pixHD and SPADE have 5.",
    )

# %% [markdown]
# **To think about.** The second scale sees the image at half size. How large are its patches in pixels of the full
# image, roughly? What can only that scale judge?
#
# <details><summary>Answer</summary>About twice as large, about 140 pixels: the same 70 of its own, each averaged from
# 2x2. Only that scale sees whether a whole car, or the layout of a street, is plausible.</details>

# %% [markdown]
# ## 2.3 The residual block as a module
#
# Now the same block as a class that brings its own weights: `ResnetBlock(channels)`, called as `block(x)`. Both
# convolutions keep their bias here, as the published ones do (the norm cancels it). The norm is your `InstanceNorm2d`.


# %% tags=["part"]
# ResnetBlock

# %% [markdown]
# **To think about.** An instance norm follows each convolution. Which numbers of the block can then never be learned?
#
# <details><summary>Answer</summary>The convolutions' biases: the norm subtracts whatever they add.</details>

# %% [markdown]
# ## 2.4 pix2pixHD's generator
#
# The label map goes in once, at the bottom: `Pix2PixHDGenerator(label_channels, ngf=64, num_downsampling=4,
# num_blocks=9)`.
#
# - reflection padding by 3, a 7x7 convolution to `ngf` channels;
# - `num_downsampling` 3x3 convolutions with stride 2 and padding 1, each of twice the channels;
# - `num_blocks` residual blocks;
# - as many transposed convolutions back up (3x3, stride 2, padding 1, `output_padding=1`), each of half the channels;
# - reflection padding by 3, a 7x7 convolution to 3 channels, tanh.
#
# Behind every convolution but the last (and those of the blocks) come instance norm and ReLU: `self.layer(conv,
# channels)`, which is written already, gives the three. `z` is for SPADE, which is called alike: leave it aside.


# %% tags=["part"]
# Pix2PixHDGenerator

# %%
# A street through your generator, with random weights.
with picture("Pix2PixHDGenerator"), torch.no_grad():
    torch.manual_seed(0)
    street = (
        F.one_hot(label.clamp(max=3).repeat_interleave(4, 1).repeat_interleave(4, 2), 4).permute(0, 3, 1, 2).float()
    )
    show.pictures([Pix2PixHDGenerator(4, 8, 2, 2)(street)[0]], ["random weights"], width=4)

# %% [markdown]
# **To think about.** Where in this network is the label map still there as it was, and from which layer on only what
# the layers before have left of it?
#
# <details><summary>Answer</summary>Only at the input of the first convolution. Behind its norm there is only what the
# norms left.</details>

# %%
progress()
