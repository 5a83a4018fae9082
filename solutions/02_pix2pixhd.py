# %% [markdown]
# # Exercises 02: pix2pixHD
#
# The system that SPADE is measured against, piece by piece: what it sees (one-hot channels and edges), its residual
# block, and how much its discriminator sees at once. No exercise needs the answer to another one.

# %%
import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn import functional as F

from spade_edu.course import plotting as show

# A street in ids: 0 sky, 1 road, 2 car; 255 is unknown. Two cars stand side by side.
label = torch.zeros(1, 16, 24, dtype=torch.long)
label[:, 9:], label[:, 6:12, 4:12], label[:, 6:12, 12:19], label[:, 14:, 20:] = 1, 2, 2, 255
instance = label.clone()
instance[:, 6:12, 4:12], instance[:, 6:12, 12:19] = 2001, 2002
show.maps([label[0].clamp(max=3)], ["label map"], caption="0 sky, 1 road, 2 car; 3 stands for 255.", diverging=False)

# %% [markdown]
# ## 2.1 A label map as channels
#
# Ids are names, not amounts: class 7 isn't more than class 3. So a network sees one channel of 0 and 1 for each class.
# Data sets mark pixels that nobody labelled with 255. They get a channel of their own, behind the classes: the
# result has `num_classes + 1` channels.


# %% tags=["solution"]
def one_hot(label: Integer[Tensor, "n h w"], num_classes: int) -> Float[Tensor, "n channels h w"]:
    """Channel k is 1 where the id is k, else 0, for k < num_classes; the last channel is 1 where the id is 255.

    label holds ids 0 .. num_classes - 1 and 255 (int64 or uint8); the result is float32.
    """
    ids = torch.where(label == 255, num_classes, label.long())
    return F.one_hot(ids, num_classes + 1).permute(0, 3, 1, 2).float()


# %%
with picture("one_hot"):
    segmap = one_hot(label, 3)
    show.maps(segmap[0], ["sky", "road", "car", "unknown"], diverging=False, caption="Four channels; they add up to 1.")

# %% [markdown]
# **To think about.** How much memory do 35 channels at 1024x2048 take in float32? What would an implementation keep
# instead?

# %% [markdown]
# ## 2.2 Edges between objects
#
# The one-hot map can't tell two touching cars apart. pix2pixHD adds a channel of edges, made from the instance map,
# which gives every object an id of its own: 1 where a pixel's id differs from that of any of its four neighbours. So
# both sides of a border are marked. A pixel at the rim of the picture has fewer neighbours; nothing wraps around.


# %% tags=["solution"]
def instance_edges(instance: Integer[Tensor, "n h w"]) -> Float[Tensor, "n 1 h w"]:
    """1 where a pixel's id differs from the one above, below, left or right of it, else 0 (float32)."""
    edges = torch.zeros_like(instance, dtype=torch.bool)
    beside = instance[:, :, 1:] != instance[:, :, :-1]
    above = instance[:, 1:] != instance[:, :-1]
    edges[:, :, 1:] |= beside
    edges[:, :, :-1] |= beside
    edges[:, 1:] |= above
    edges[:, :-1] |= above
    return edges[:, None].float()


# %%
with picture("instance_edges"):
    show.maps(
        [instance_edges(label)[0, 0], instance_edges(instance)[0, 0]],
        ["of the label map", "of the instance map"],
        diverging=False,
        caption="The line between the two cars is only in the instance map.",
    )

# %% [markdown]
# **To think about.** Why does the generator need the line between two cars, if it may paint whatever cars it likes?

# %% [markdown]
# ## 2.3 pix2pixHD's residual block
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

# %% [markdown]
# ## 2.4 The patch of a patch discriminator
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

# %%
progress()
