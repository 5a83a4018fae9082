# %% [markdown]
# # Exercises 02: pix2pixHD
#
# The system that SPADE is measured against, piece by piece: what it sees (one-hot channels and edges), its residual
# block, the shapes in its generator, how much its discriminator sees at once, and the loss that they play for. No
# exercise needs the answer to another one.

# %%
import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn import functional as F

from spade_edu.course.lab import plotting as show

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
# ## 2.4 The global generator's shapes
#
# pix2pixHD's generator: a 7x7 convolution to `ngf` channels; `num_downsampling` convolutions of stride 2, each of which
# halves height and width and doubles the channels; `num_blocks` residual blocks; as many steps up, each of which
# doubles the size and halves the channels; a 7x7 convolution to the image (3 channels). Write down (channels, height,
# width) after each of these. Height and width divide evenly.


# %% tags=["solution"]
def generator_shapes(
    ngf: int, num_downsampling: int, num_blocks: int, height: int, width: int
) -> list[tuple[int, int, int]]:
    """(channels, height, width) after the first convolution, each step down, each block, each step up, the last one."""
    shapes = [(ngf, height, width)]
    for i in range(1, num_downsampling + 1):
        shapes.append((ngf * 2**i, height // 2**i, width // 2**i))
    shapes += [shapes[-1]] * num_blocks
    for i in range(num_downsampling - 1, -1, -1):
        shapes.append((ngf * 2**i, height // 2**i, width // 2**i))
    return [*shapes, (3, height, width)]


# %%
with picture("generator_shapes"):
    shapes = generator_shapes(64, 4, 9, 256, 512)
    show.curves(
        {"channels": [c for c, _, _ in shapes], "height": [h for _, h, _ in shapes]},
        xlabel="stage of the generator",
        ylabel="channels, rows",
        caption="As published: from 256x512 down to 16x32 with 1024 channels, and up again.",
    )

# %% [markdown]
# **To think about.** The label map enters at the first stage only. How many norms lie between it and the image?

# %% [markdown]
# ## 2.5 The patch of a patch discriminator
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

# %% [markdown]
# ## 2.6 The least-squares GAN loss
#
# `pred` is what a multi-scale discriminator returns: for each scale a list of maps, the last of which is the verdict,
# one number a patch. Real verdicts are pulled towards 1, fake ones towards 0: the mean squared distance from that
# target, *added up* over the scales.


# %% tags=["solution"]
def lsgan(pred: list[list[Tensor]], is_real: bool) -> Float[Tensor, ""]:
    """mean (verdict - 1)^2 if real, mean verdict^2 if fake, summed over scales; a tensor of one number."""
    target = 1.0 if is_real else 0.0
    return sum((scale[-1] - target).square().mean() for scale in pred)


# %%
with picture("lsgan"):
    verdicts = torch.linspace(-1.5, 2.5, 81)
    curves = {
        name: [lsgan([[v.reshape(1, 1, 1, 1)]], real).item() for v in verdicts]
        for name, real in (("real", True), ("fake", False))
    }
    show.curves(curves, x=verdicts, xlabel="verdict", ylabel="loss", caption="The target is where the loss is zero.")

# %% [markdown]
# **To think about.** A verdict of 3 on a real image is punished. Is that what a judge deserves? (Stage 06 has a loss
# that doesn't.)

# %%
progress()
