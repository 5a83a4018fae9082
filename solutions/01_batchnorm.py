# %% [markdown]
# # Exercises 01: batch norm and its relatives
#
# What a normalisation averages over, what it remembers, and how a class or a style can set its scale and shift: six
# functions, then the two norms of your file as modules. Fill in each, run its check, look at the picture that your
# answer draws. All of it runs on a CPU in seconds. `progress()` shows what is solved.

# %%
import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn

from spade_edu.course import plotting as show

torch.manual_seed(0)
# Four images, one channel of 8x8: their brightness rises from left to right.
brightness = torch.tensor([-2.0, -0.5, 0.5, 2.0])
x = brightness[:, None, None, None] + torch.rand(4, 1, 8, 8) * torch.linspace(0, 1, 8)
show.maps(x[:, 0], [f"image {i}" for i in range(4)], caption="The batch that the pictures below work on.")

# %% [markdown]
# ## 1.1 Mean and variance of a batch
#
# Batch norm gives every channel one mean and one variance. Which values go into them? All pixels of that channel, in
# all images of the batch. The variance divides by the number of values (not by that number less one).
#
# Toy: a batch of two images with one channel and two pixels each, `[1, 3]` and `[5, 7]`. Mean 4, variance
# (9 + 1 + 1 + 9) / 4 = 5.


# %% tags=["solution"]
def batch_statistics(x: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
    """Mean and variance of each channel over batch and pixels, each of shape (c,); the variance divides by n h w."""
    mean = x.mean(dim=(0, 2, 3))
    variance = (x - mean[:, None, None]).square().mean(dim=(0, 2, 3))
    return mean, variance


# %%
with picture("batch_statistics"):
    each = [batch_statistics(image[None])[0].item() for image in x]
    all_of_them = batch_statistics(x)[0].item()
    show.bars(
        {f"image {i}": m for i, m in enumerate(each)} | {"batch": all_of_them},
        ylabel="mean",
        caption="Means of single images, and the one mean that batch norm subtracts from all of them.",
    )

# %% [markdown]
# **To think about.** After batch norm, is the dark image still darker than the bright one? And if each image had its
# own mean?
#
# <details><summary>Answer</summary>Yes: both lose the same mean, so their difference stays. With a mean of its own for
# each image (instance norm) both come out equally bright.</details>

# %% [markdown]
# ## 1.2 The running averages
#
# In evaluation there may be no batch: one image must get the same result whatever stands beside it. So batch norm keeps
# averages of the means and variances that it saw in training:
#
# $$\text{new} = (1 - \text{momentum}) \cdot \text{old} + \text{momentum} \cdot \text{batch}$$
#
# torch's detail: the variance that goes in divides by *count - 1*, with count = n h w, as it is to estimate the
# variance of the whole data set. The averages carry no gradient. Return new tensors; leave the old ones as they are.


# %% tags=["solution"]
def running_average(
    running_mean: Float[Tensor, " c"],
    running_var: Float[Tensor, " c"],
    x: Float[Tensor, "n c h w"],
    momentum: float,
) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
    """The new running mean and variance, without gradients; the batch's variance divides by n h w - 1."""
    with torch.no_grad():
        mean = x.mean(dim=(0, 2, 3))
        count = x.numel() // x.shape[1]
        variance = (x - mean[:, None, None]).square().sum(dim=(0, 2, 3)) / (count - 1)
        new_mean = (1 - momentum) * running_mean + momentum * mean
        new_var = (1 - momentum) * running_var + momentum * variance
    return new_mean, new_var


# %%
with picture("running_average"):
    lines = {}
    for momentum in (0.02, 0.1, 0.5):
        mean, var, seen = torch.zeros(1), torch.ones(1), []
        for step in range(60):
            batch = 3 + torch.randn(4, 1, 2, 2, generator=torch.Generator().manual_seed(step))
            mean, var = running_average(mean, var, batch, momentum)
            seen.append(mean.item())
        lines[f"momentum {momentum}"] = seen
    show.curves(lines, xlabel="batches", ylabel="running mean", caption="The mean is 3, the average starts at 0.")

# %% [markdown]
# **To think about.** A small momentum is steady but late, a large one fast but restless. Which is worse for a network
# that is evaluated after 30 steps?
#
# <details><summary>Answer</summary>The late one. After 30 steps with momentum 0.01 a quarter of each average is what
# really was there (1 - 0.99^30 = 0.26), the rest is still the start of 0 and 1; the restless one is at least near the
# truth.</details>

# %% [markdown]
# ## 1.3 Batch norm, in training and in evaluation
#
# $$y = \gamma_c \frac{x - \mu_c}{\sqrt{\sigma_c^2 + \epsilon}} + \beta_c$$
#
# In training $\mu$ and $\sigma^2$ are the batch's own (variance over the count), and the gradient flows through them.
# In evaluation they are the running averages. `gamma`, `beta` and the averages have one number a channel, shape (c,).
# The averages are only read here, not updated.


# %% tags=["solution"]
def batch_norm(
    x: Float[Tensor, "n c h w"],
    gamma: Float[Tensor, " c"],
    beta: Float[Tensor, " c"],
    running_mean: Float[Tensor, " c"],
    running_var: Float[Tensor, " c"],
    training: bool,
    eps: float,
) -> Float[Tensor, "n c h w"]:
    """Normalise with the batch's statistics (training) or the running ones, then scale by gamma and shift by beta."""
    if training:
        mean = x.mean(dim=(0, 2, 3))
        variance = (x - mean[:, None, None]).square().mean(dim=(0, 2, 3))
    else:
        mean, variance = running_mean, running_var
    normalised = (x - mean[:, None, None]) / torch.sqrt(variance[:, None, None] + eps)
    return gamma[:, None, None] * normalised + beta[:, None, None]


# %%
with picture("batch_norm"):
    one, zero = torch.ones(1), torch.zeros(1)
    alone = batch_norm(x[:1], one, zero, zero, one, True, 1e-5)
    together = batch_norm(x, one, zero, zero, one, True, 1e-5)
    evaluated = batch_norm(x[:1], one, zero, x.mean()[None], x.var()[None], False, 1e-5)
    show.maps(
        [x[0, 0], alone[0, 0], together[0, 0], evaluated[0, 0]],
        ["image 0", "training, alone", "training, in its batch", "evaluation, alone"],
        caption="One image, three results: only in evaluation is it independent of its company.",
    )

# %% [markdown]
# **To think about.** What does training with a batch of 1 do to the brightness of an image? (The SPADE paper trains
# with batches spread over 8 GPUs and shares the statistics between them.)
#
# <details><summary>Answer</summary>The image's own mean becomes the batch's, so its brightness is taken away, as by an
# instance norm. In evaluation, with running averages, it comes back: training and evaluation differ.</details>

# %% [markdown]
# ## 1.4 Instance norm
#
# The same formula without gamma and beta, with one change: every image has its own mean and variance, channel by
# channel. pix2pixHD uses it throughout.


# %% tags=["solution"]
def instance_norm(x: Float[Tensor, "n c h w"], eps: float) -> Float[Tensor, "n c h w"]:
    """(x - mean) / sqrt(variance + eps) over the pixels of one channel of one image; the variance divides by h w."""
    mean = x.mean(dim=(2, 3), keepdim=True)
    variance = (x - mean).square().mean(dim=(2, 3), keepdim=True)
    return (x - mean) / torch.sqrt(variance + eps)


# %%
with picture("instance_norm"):
    flat = brightness[:, None, None, None].expand(4, 1, 8, 8)
    rows = [*instance_norm(x, 1e-5)[:, 0], *instance_norm(flat, 1e-5)[:, 0]]
    show.maps(
        rows,
        [f"image {i}" for i in range(4)] + [f"constant {b:g}" for b in brightness.tolist()],
        caption="Above: all four are equally bright now. Below: constant images become zero, whatever they were.",
    )

# %% [markdown]
# **To think about.** The lower row is the whole argument of stage 04. What does a network that begins with an instance
# norm know about an image that is uniformly grey?
#
# <details><summary>Answer</summary>Nothing but that it is uniform: every grey is taken to 0.</details>

# %% [markdown]
# ## 1.5 Conditional batch norm
#
# Now let something choose gamma and beta: the class of the image. `gamma` and `beta` are tables with a row for each
# class, `label` holds the class of each image. The statistics are those of the whole batch, as in training.


# %% tags=["solution"]
def conditional_batch_norm(
    x: Float[Tensor, "n c h w"],
    label: Integer[Tensor, " n"],
    gamma: Float[Tensor, "k c"],
    beta: Float[Tensor, "k c"],
    eps: float,
) -> Float[Tensor, "n c h w"]:
    """gamma[label] * norm(x) + beta[label]: batch norm in training; each image and channel has its scale and shift."""
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    variance = (x - mean).square().mean(dim=(0, 2, 3), keepdim=True)
    normalised = (x - mean) / torch.sqrt(variance + eps)
    return gamma[label][:, :, None, None] * normalised + beta[label][:, :, None, None]


# %%
with picture("conditional_batch_norm"):
    tables = torch.tensor([[0.2], [1.0]]), torch.tensor([[1.5], [-1.5]])
    y = conditional_batch_norm(x, torch.tensor([0, 1, 0, 1]), *tables, 1e-5)
    show.maps(
        y[:, 0],
        [f"image {i}, class {i % 2}" for i in range(4)],
        caption="Class 0: little contrast, moved up. Class 1: full contrast, moved down.",
    )

# %% [markdown]
# **To think about.** What would have to change so that the upper half of an image could have another class than the
# lower half? (That is stage 03.)
#
# <details><summary>Answer</summary>gamma and beta would have to be maps, a number for each pixel, made from a map of
# classes.</details>

# %% [markdown]
# ## 1.6 Adaptive instance norm
#
# The scale and shift can also come from another picture: take x's mean and deviation away and put the style's on,
# channel by channel, image by image.
#
# $$y = \sigma(s)\, \frac{x - \mu(x)}{\sigma(x)} + \mu(s), \qquad \sigma = \sqrt{\text{variance} + \epsilon}$$
#
# Both variances divide by the number of pixels. The style may have another size than x.


# %% tags=["solution"]
def adain(x: Float[Tensor, "n c h w"], style: Float[Tensor, "n c h2 w2"], eps: float) -> Float[Tensor, "n c h w"]:
    """x with the mean and the deviation sqrt(variance + eps) of style, for each channel of each image."""
    mean, style_mean = x.mean(dim=(2, 3), keepdim=True), style.mean(dim=(2, 3), keepdim=True)
    deviation = torch.sqrt((x - mean).square().mean(dim=(2, 3), keepdim=True) + eps)
    style_deviation = torch.sqrt((style - style_mean).square().mean(dim=(2, 3), keepdim=True) + eps)
    return style_deviation * (x - mean) / deviation + style_mean


# %%
with picture("adain"):
    content, style = x[:1], 2 - 1.5 * torch.rand(1, 1, 5, 5)
    show.maps(
        [content[0, 0], style[0, 0], adain(content, style, 1e-5)[0, 0]],
        ["content", "style", "both"],
        columns=3,
        caption="The ramp stays; its brightness and contrast are the style's.",
    )

# %% [markdown]
# **To think about.** Only two numbers a channel pass from the style to the content. Which properties of a picture can
# they carry, and which can't they?
#
# <details><summary>Answer</summary>Mean and spread of each channel: colours, contrast, how much of a texture there is.
# Not where anything is.</details>

# %% [markdown]
# ## 1.7 Batch norm as a module
#
# `BatchNorm2d(num_features, affine=True, eps=1e-5, momentum=0.1)`: 1.1 to 1.3 in one class that remembers.
#
# - gamma and beta are parameters, one number a channel (`nn.Parameter`), 1 and 0 at first; with `affine=False` there
#   are none;
# - the running averages are buffers (`self.register_buffer("running_mean", ...)`, and `running_var`): stored with the
#   weights, but no gradient moves them. They begin with mean 0 and variance 1, and each call in training mode moves
#   them;
# - `self.training` tells training from evaluation.
#
# Only parts go into your file, so the class can't call the functions above: write their lines inside it.


# %% tags=["part"]
# BatchNorm2d

# %%
# The running mean of the batch above, call by call, and that of torch.
with picture("BatchNorm2d"):
    norms, means = {"yours": BatchNorm2d(1), "torch": nn.BatchNorm2d(1)}, {"yours": [], "torch": []}
    for _ in range(40):
        for name, norm in norms.items():
            norm(x + 3)
            means[name].append(dict(norm.named_buffers())["running_mean"].item())
    show.curves(means, xlabel="calls in training mode", ylabel="running mean")

# %% [markdown]
# **To think about.** SPADE uses this norm with `affine=False`. Who gives scale and shift there?
#
# <details><summary>Answer</summary>The label map: gamma and beta of SPADE are computed from it, for each
# pixel.</details>

# %% [markdown]
# ## 1.8 Instance norm as a module
#
# `InstanceNorm2d(num_features, eps=1e-5)`: 1.4 as a class. Nothing is learned and nothing remembered, so training and
# evaluation are alike. Again the lines of the function go inside the class.


# %% tags=["part"]
# InstanceNorm2d

# %% [markdown]
# **To think about.** Instance norm doesn't need `num_features`. Why is it asked for all the same?
#
# <details><summary>Answer</summary>With affine=True it needs to know how many scales and shifts to keep. Without, only
# the signature gains: it can stand where a batch norm stands.</details>

# %%
progress()
