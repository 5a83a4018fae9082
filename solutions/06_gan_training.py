# %% [markdown]
# # Exercises 06: GAN training
#
# What generator and discriminator are trained for, and four devices that keep them in step: a gradient that stops where
# it should, spectral norm, two learning rates and an averaged generator.
#
# A discriminator returns, for each of its scales, the list of its feature maps with the prediction at the end:
# `fake[i]` is scale i and `fake[i][-1]` its prediction.

# %%
import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from spade_edu import losses
from spade_edu import plotting as show
from spade_edu.checks.s06_gan_training import TinyDiscriminator, TinyGan, TinyGenerator

# %% [markdown]
# ## 6.1 The patch discriminator
#
# The discriminator gets the label map and the picture in one tensor of `in_channels` channels, and gives a verdict for
# each patch. Build its layers, all with kernel 4 and padding 2:
#
# - `num_layers` convolutions to `ndf`, 2 `ndf`, 4 `ndf` ... channels, at most 512. They have stride 2, but for the last
#   of them, which has stride 1. Behind each comes `nn.InstanceNorm2d` (not behind the first), then LeakyReLU with slope
#   0.2.
# - then a convolution with stride 1 to a single channel, the verdict, with nothing behind it.
#
# Return an `nn.ModuleList` with num_layers + 1 entries, each a convolution with what follows it, so that every entry
# gives a feature map. (The published one also has spectral norm; 6.6 is about that.)


# %% tags=["solution"]
def patch_discriminator(in_channels: int, ndf: int, num_layers: int) -> nn.ModuleList:
    """`num_layers` convolutions and one to a single channel, each with what follows it: norm and LeakyReLU, or nothing.

    All have kernel 4 and padding 2, and stride 2 but for the last two; widths ndf, 2 ndf, 4 ndf ..., at most 512.
    """
    widths = [in_channels] + [min(ndf * 2**i, 512) for i in range(num_layers)]
    layers = nn.ModuleList()
    for i, (fin, fout) in enumerate(zip(widths, widths[1:]), start=1):
        layer = nn.Sequential(nn.Conv2d(fin, fout, 4, stride=2 if i < num_layers else 1, padding=2))
        if i > 1:
            layer.append(nn.InstanceNorm2d(fout))
        layers.append(layer.append(nn.LeakyReLU(0.2)))
    return layers.append(nn.Conv2d(widths[-1], 1, 4, padding=2))


# %%
# The verdicts on a picture of 128x256 pixels, and the pixels that one of them looks at, found by its gradient.
with picture("patch_discriminator"):
    torch.manual_seed(0)
    pixels = torch.randn(1, 6, 128, 256, requires_grad=True)
    x = pixels
    for layer in patch_discriminator(6, 16, 4):
        x = layer(x)
    rows, columns = x.shape[-2:]
    x[0, 0, rows // 2, columns // 2].backward()
    reach = pixels.grad[0].abs().sum(0)
    show.maps([x[0, 0].detach(), reach / reach.max()], [f"verdicts, {rows}x{columns}", "pixels that one verdict sees"],
              columns=2)  # fmt: skip

# %% [markdown]
# **To think about.** How large is the patch? (Compare exercise 2.5.) Outside of it the gradient is small but not zero:
# which layer lets a far pixel into a verdict?

# %% [markdown]
# ## 6.2 The generator's hinge loss
#
# The generator wants a high verdict on its pictures. Its loss is minus the mean of the prediction, averaged over the
# scales (each scale counts alike, however many predictions it has).


# %% tags=["solution"]
def hinge_generator(fake: list[list[Tensor]]) -> Float[Tensor, ""]:
    """-mean D(fake), averaged over scales. fake: for each scale its feature maps, the prediction D last."""
    return torch.stack([-scale[-1].mean() for scale in fake]).mean()


# %%
# The loss for a verdict from -3 to 3.
verdicts = torch.linspace(-3, 3, 61)


def verdict(v):
    """What a discriminator of one scale returns whose prediction is v everywhere."""
    return [[torch.zeros(1, 2, 4, 4), torch.full((1, 1, 3, 3), float(v))]]


with picture("hinge_generator"):
    show.curves({"generator": [hinge_generator(verdict(v)) for v in verdicts]}, verdicts,
                xlabel="verdict D on a fake", ylabel="loss")  # fmt: skip

# %% [markdown]
# **To think about.** The loss falls without limit. What keeps the verdict from growing without limit?

# %% [markdown]
# ## 6.3 The discriminator's hinge loss
#
# $$\mathrm{mean}\,\max(0, 1 - D(\text{real})) + \mathrm{mean}\,\max(0, 1 + D(\text{fake}))$$
#
# Each half is averaged over a prediction's positions, then over the scales.


# %% tags=["solution"]
def hinge_discriminator(real: list[list[Tensor]], fake: list[list[Tensor]]) -> Float[Tensor, ""]:
    """mean relu(1 - D(real)) + mean relu(1 + D(fake)), averaged over scales; each scale's last map is D."""
    on_real = torch.stack([F.relu(1 - scale[-1]).mean() for scale in real]).mean()
    on_fake = torch.stack([F.relu(1 + scale[-1]).mean() for scale in fake]).mean()
    return on_real + on_fake


# %%
# The loss on a real and on a fake picture, with the other one judged beyond doubt.
with picture("hinge_discriminator"):
    real = [hinge_discriminator(verdict(v), verdict(-9)) for v in verdicts]
    fake = [hinge_discriminator(verdict(9), verdict(v)) for v in verdicts]
    show.curves({"on a real picture": real, "on a fake": fake}, verdicts, xlabel="verdict D", ylabel="loss")

# %% [markdown]
# **To think about.** Where is the slope 0, and what does that do for a discriminator that is ahead of the generator?

# %% [markdown]
# ## 6.4 Feature matching
#
# The generator also wants its picture to look like the real one to the discriminator: for every feature map the mean
# absolute difference between fake and real; added up over a scale's feature maps, averaged over scales. The prediction,
# a scale's last entry, is left out. The real features are a target and get no gradient.


# %% tags=["solution"]
def feature_matching(fake: list[list[Tensor]], real: list[list[Tensor]]) -> Float[Tensor, ""]:
    """Mean |fake - real| of each feature map, summed over a scale's maps but the last, averaged over scales."""
    per_scale = []
    for f, r in zip(fake, real):
        distances = [F.l1_loss(a, b.detach()) for a, b in zip(f[:-1], r[:-1])]
        per_scale.append(torch.stack(distances).sum())
    return torch.stack(per_scale).mean()


# %%
# A real picture (noise, here) fades into another one: how far are its features?
with picture("feature_matching"):
    torch.manual_seed(0)
    discriminator, segmap = TinyDiscriminator(2), torch.zeros(1, 2, 16, 16)
    real, other = torch.rand(2, 1, 3, 16, 16) * 2 - 1
    shares = torch.linspace(0, 1, 21)
    with torch.no_grad():
        target = discriminator(segmap, real)
        distances = [feature_matching(discriminator(segmap, real + s * (other - real)), target) for s in shares]
    show.curves({"feature matching": distances}, shares, xlabel="share of the other picture", ylabel="loss")

# %% [markdown]
# **To think about.** Feature matching needs the real picture of this very label map. What would happen to the
# generator if the real features were not detached?

# %% [markdown]
# ## 6.5 Detach where it belongs
#
# The discriminator's step: `generator(segmap)` makes pictures, `discriminator(segmap, picture)` judges `real` and the
# fakes, and `losses.hinge_discriminator(on_real, on_fake)` gives the loss. Write it so that the gradient of the loss
# reaches all weights of the discriminator and none of the generator. Return the loss; don't call `backward`.


# %% tags=["solution"]
def discriminator_loss(
    generator: nn.Module, discriminator: nn.Module, segmap: Float[Tensor, "n l h w"], real: Float[Tensor, "n 3 h w"]
) -> Float[Tensor, ""]:
    """The hinge loss of D on real pictures and on G's; its gradient reaches D and stops before G.

    generator(segmap) -> pictures; discriminator(segmap, pictures) -> for each scale its feature maps, prediction last.
    """
    with torch.no_grad():
        fake = generator(segmap)
    return losses.hinge_discriminator(discriminator(segmap, real), discriminator(segmap, fake))


# %%
# How much gradient arrives at each network (a bar of height 0 is what we want for G).
with picture("discriminator_loss"):
    torch.manual_seed(0)
    networks = {"G": TinyGenerator(3), "D": TinyDiscriminator(3)}
    segmap = F.one_hot(torch.randint(3, (2, 12, 12)), 3).permute(0, 3, 1, 2).float()
    discriminator_loss(networks["G"], networks["D"], segmap, torch.rand(2, 3, 12, 12)).backward()
    arrived = {
        name: sum(float(p.grad.norm()) for p in network.parameters() if p.grad is not None)
        for name, network in networks.items()
    }
    show.bars(arrived, ylabel="size of the gradient")

# %% [markdown]
# **To think about.** In the generator's step it is the other way round: the gradient has to pass through the
# discriminator, whose weights don't move. Would detaching be right there?

# %% [markdown]
# ## 6.6 Spectral norm by power iteration
#
# The weight of a convolution is divided by its largest singular value sigma. W is the weight as a matrix with a row for
# each output channel. One step of power iteration from the stored vector `u`:
#
# $$v = \mathrm{normalise}(W^T u), \quad u' = \mathrm{normalise}(W v), \quad \sigma = u'^T W v$$
#
# `normalise(x)` is x / max(|x|, eps), which `F.normalize(x, dim=0, eps=eps)` does. u' and v count as constants: compute
# them without gradients. The gradient does flow through sigma. Return the divided weight and u'.


# %% tags=["solution"]
def spectral_norm_step(
    weight: Float[Tensor, "out fan_in kh kw"], u: Float[Tensor, " out"], eps: float
) -> tuple[Float[Tensor, "out fan_in kh kw"], Float[Tensor, " out"]]:
    """(weight / sigma, new u): one step of power iteration, v and u as constants, sigma = u^T W v."""
    matrix = weight.flatten(1)
    with torch.no_grad():
        v = F.normalize(matrix.T @ u, dim=0, eps=eps)
        u = F.normalize(matrix @ v, dim=0, eps=eps)
    sigma = u @ matrix @ v
    return weight / sigma, u


# %%
# The estimate of sigma, step by step, and the exact value.
with picture("spectral_norm_step"):
    torch.manual_seed(0)
    weight, u, estimates = torch.randn(16, 8, 3, 3), F.normalize(torch.randn(16), dim=0), []
    for _ in range(30):
        divided, u = spectral_norm_step(weight, u, 1e-12)
        estimates.append(weight.norm() / divided.norm())
    exact = torch.linalg.matrix_norm(weight.flatten(1), 2).expand(30)
    show.curves({"estimate": estimates, "exact": exact}, xlabel="step", ylabel="sigma")

# %% [markdown]
# **To think about.** One step a call is a poor estimate at first. Why is it good enough in training, and what would
# happen to the estimate if the weights moved very fast?

# %% [markdown]
# ## 6.7 Two time scales
#
# Return two Adam optimizers, the generator's first: the generator learns at `lr / 2`, the discriminator at `2 * lr`,
# both with `betas=(0.0, 0.9)`. (The paper says 0.999 for the second; its authors used 0.9.)


# %% tags=["solution"]
def two_time_scales(
    generator: nn.Module, discriminator: nn.Module, lr: float
) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    """Adam for G at lr / 2 and for D at 2 lr, both with betas (0.0, 0.9)."""
    optimizer_g = torch.optim.Adam(generator.parameters(), lr=lr / 2, betas=(0.0, 0.9))
    optimizer_d = torch.optim.Adam(discriminator.parameters(), lr=lr * 2, betas=(0.0, 0.9))
    return optimizer_g, optimizer_d


# %%
# The two rates for the published lr of 0.0002.
with picture("two_time_scales"):
    optimizers = two_time_scales(TinyGenerator(2), TinyDiscriminator(2), 2e-4)
    show.bars({name: o.param_groups[0]["lr"] for name, o in zip(("G", "D"), optimizers)}, ylabel="learning rate")

# %% [markdown]
# **To think about.** Why should the discriminator be the faster one? And what does a first beta of 0 leave out of Adam?

# %% [markdown]
# ## 6.8 A step of each network
#
# Now the loop. `gan` holds `generator`, `discriminator`, `optimizer_g` and `optimizer_d`. For every batch: first a step
# of the generator with `losses.hinge_generator` alone (no feature matching here), then one of the discriminator with
# `losses.hinge_discriminator`, on pictures that the generator makes after its step. Clear a network's gradients before
# its own `backward`. Return the losses as numbers, a pair (of G, of D) for every batch.


# %% tags=["solution"]
def train(gan: nn.Module, segmaps: list[Tensor], reals: list[Tensor]) -> list[tuple[float, float]]:
    """For every batch a step of G, then one of D on the pictures of the new G. Returns both losses, batch by batch.

    segmaps: a tensor (n, l, h, w) a batch; reals: a tensor (n, 3, h, w) a batch.
    """
    history = []
    for segmap, real in zip(segmaps, reals):
        loss_g = losses.hinge_generator(gan.discriminator(segmap, gan.generator(segmap)))
        gan.optimizer_g.zero_grad()
        loss_g.backward()
        gan.optimizer_g.step()

        with torch.no_grad():
            fake = gan.generator(segmap)
        loss_d = losses.hinge_discriminator(gan.discriminator(segmap, real), gan.discriminator(segmap, fake))
        gan.optimizer_d.zero_grad()
        loss_d.backward()
        gan.optimizer_d.step()
        history.append((loss_g.item(), loss_d.item()))
    return history


# %%
# The smallest GAN there is: pictures in which each of three classes has its colour.
with picture("train"):
    torch.manual_seed(0)
    gan, colours = TinyGan(3), torch.tensor([[-0.7, 0.6, 0.1], [0.5, -0.6, 0.0], [0.3, 0.2, -0.8]])
    segmaps = [F.one_hot(torch.randint(3, (4, 12, 12)), 3).permute(0, 3, 1, 2).float() for _ in range(150)]
    reals = [torch.einsum("nlhw,lc->nchw", segmap, colours) for segmap in segmaps]
    history = train(gan, segmaps, reals)
    show.curves({name: [pair[i] for pair in history] for i, name in enumerate(("G", "D"))}, xlabel="batch",
                ylabel="loss")  # fmt: skip

# %% [markdown]
# **To think about.** Neither curve goes to 0, and G's loss may even rise while its pictures get better. What do the two
# numbers tell, then, and what would you look at instead?

# %% [markdown]
# ## 6.9 The averaged generator
#
# Samples are drawn with a slow copy of the generator. After each step:
#
# $$\text{averaged} \leftarrow \text{decay} \cdot \text{averaged} + (1 - \text{decay}) \cdot \text{network}$$
#
# for every floating tensor of `state_dict()`, weights and running statistics alike; whole numbers (batch norm's
# counter) are copied. Change `averaged` in place, leave `network` alone, and return `averaged`.


# %% tags=["solution"]
def update_average(averaged: nn.Module, network: nn.Module, decay: float) -> nn.Module:
    """averaged = decay averaged + (1 - decay) network, in place, for weights and floating buffers; others are copied.

    Returns averaged.
    """
    with torch.no_grad():
        for old, new in zip(averaged.state_dict().values(), network.state_dict().values()):
            old.copy_(decay * old + (1 - decay) * new if old.is_floating_point() else new)
    return averaged


# %%
# A weight that jumps about its way from 0 to 1, and its average.
with picture("update_average"):
    torch.manual_seed(0)
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    averaged, path, slow = copy.deepcopy(network), [], []
    for step in range(120):
        nn.init.constant_(network.weight, min(1.0, step / 60) + 0.3 * float(torch.randn(())))
        averaged = update_average(averaged, network, 0.9)
        path.append(float(network.weight.detach()))
        slow.append(float(averaged.weight.detach()))
    show.curves({"weight": path, "its average": slow}, xlabel="step", ylabel="value")

# %% [markdown]
# **To think about.** The average is calm, and late. How would you choose the decay for a run of 500 steps, and how for
# one of 500,000?

# %%
progress()
