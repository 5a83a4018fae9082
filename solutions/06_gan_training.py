# %% [markdown]
# # Exercises 06: GAN training
#
# What generator and discriminator are trained for, and what keeps them in step: gradients that stop where they should,
# spectral norm, two learning rates, an averaged generator. At the end your file holds a whole training, and your
# generator learns from it here.
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
from spade_edu.course import plotting as show
from spade_edu.checks.s06_gan_training import TinyDiscriminator, TinyGenerator

# The parts that this stage builds on; where your my_spade.py lacks one, it is borrowed. The last two are of stage 09,
# where yours take their place: a training step asks for them where there is a style encoder.
need("InstanceNorm2d", "SPADEGenerator", "init_weights", "reparameterise", "kl_divergence")
from my_spade import InstanceNorm2d, SPADEGenerator, init_weights, kl_divergence, reparameterise

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
# **To think about.** How large is the patch? (Compare exercises 02.) Outside of it the gradient is small but not zero:
# which layer lets a far pixel into a verdict?
#
# <details><summary>Answer</summary>70 pixels as for exercises 02. The instance norms: their mean and variance are over
# the whole map, so every pixel takes a little part in every verdict.</details>

# %% [markdown]
# ## 6.2 The generator's hinge loss
#
# The generator wants a high verdict on its pictures. Its loss is minus the mean of the prediction, averaged over the
# scales (each scale counts alike, however many predictions it has).


# %% tags=["part"]
# hinge_generator

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
#
# <details><summary>Answer</summary>D, which trains against it: its hinge stops caring beyond 1 and -1, and what G gains
# on one side D takes back. Spectral norm bounds how steep D can be.</details>

# %% [markdown]
# ## 6.3 The discriminator's hinge loss
#
# $$\mathrm{mean}\,\max(0, 1 - D(\text{real})) + \mathrm{mean}\,\max(0, 1 + D(\text{fake}))$$
#
# Each half is averaged over a prediction's positions, then over the scales.


# %% tags=["part"]
# hinge_discriminator

# %%
# The loss on a real and on a fake picture, with the other one judged beyond doubt.
with picture("hinge_discriminator"):
    real = [hinge_discriminator(verdict(v), verdict(-9)) for v in verdicts]
    fake = [hinge_discriminator(verdict(9), verdict(v)) for v in verdicts]
    show.curves({"on a real picture": real, "on a fake": fake}, verdicts, xlabel="verdict D", ylabel="loss")

# %% [markdown]
# **To think about.** Where is the slope 0, and what does that do for a discriminator that is ahead of the generator?
#
# <details><summary>Answer</summary>For real ones above 1 and for fakes below -1. A D that is ahead gets no gradient, so
# it doesn't run further away, and G's gradient doesn't fade.</details>

# %% [markdown]
# ## 6.4 Feature matching
#
# The generator also wants its picture to look like the real one to the discriminator: for every feature map the mean
# absolute difference between fake and real; added up over a scale's feature maps, averaged over scales. The prediction,
# a scale's last entry, is left out. The real features are a target and get no gradient.


# %% tags=["part"]
# feature_matching

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
#
# <details><summary>Answer</summary>To the generator nothing: the real picture doesn't depend on it. It would cost
# memory and time, for D's gradients that G's step doesn't use; detached is also safer, should D's weights be trained
# there.</details>

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
#
# <details><summary>Answer</summary>No: the gradient on the fake is all that G learns from. There D is frozen instead
# (its weights get no gradient).</details>

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
#
# <details><summary>Answer</summary>The weights move little in a step, so u and v, which are kept, go on improving from
# call to call. With fast weights they would lag, sigma would be too small, and the layer could stretch more than
# 1.</details>

# %% [markdown]
# ## 6.7 A convolution under spectral norm
#
# `SpectralConv2d(fin, fout, kernel_size, stride=1, padding=0, bias=True)`: 6.6 as a layer. It is an `nn.Conv2d` whose
# weight is divided by sigma at each call. `u` and `v` are buffers, normalised noise at first. In training mode a call
# takes one step of power iteration, without gradients; in evaluation `u` and `v` stay. sigma = u^T W v carries the
# gradient to W.
#
# One trap: the next call changes `u` and `v` in place, maybe before this call's backward pass. Compute sigma with
# copies (`.clone()`).


# %% tags=["part"]
# SpectralConv2d

# %% [markdown]
# **To think about.** Dividing by sigma makes the layer's largest stretch 1. Why do the layers of a discriminator need
# that more than those of a generator?
#
# <details><summary>Answer</summary>A D without a bound can answer a tiny change with any jump, and G's gradient becomes
# large or useless. What G makes has a bound of its own, the tanh.</details>

# %% [markdown]
# ## 6.8 The patch discriminator as a part
#
# `PatchDiscriminator(in_channels, ndf=64, num_layers=4)`: 6.1 as the published one is, a class that returns *every*
# layer's features in a list, the verdict last. Its convolutions between the first and the last are `SpectralConv2d`,
# without bias, since instance norm would cancel it; the first and the last are plain `nn.Conv2d` with bias.


# %% tags=["part"]
# PatchDiscriminator

# %% [markdown]
# **To think about.** Why does the first convolution go without a norm, and the last as well?
#
# <details><summary>Answer</summary>The first would take the picture's brightness and contrast away, which D should
# judge; the last is the verdict itself, and normalised its mean would be 0, whatever D thinks.</details>

# %% [markdown]
# ## 6.9 Two scales
#
# `MultiScaleDiscriminator(label_channels, ndf=64, num_scales=2, num_layers=4)`, called as `D(segmap, image)`: a patch
# discriminator for each scale, each with weights of its own. All see label map and picture in one tensor, label map
# first; the second sees it at half size: `F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)`. The result
# is a list with one list of features a scale, the finest first.


# %% tags=["part"]
# MultiScaleDiscriminator

# %% [markdown]
# **To think about.** What can the coarse scale see that the fine one can't, and why isn't it enough alone?
#
# <details><summary>Answer</summary>Whether large things are right: a car in one piece, a street that goes on. At half
# size it doesn't see fine texture, so pictures would be blurred or grainy.</details>

# %% [markdown]
# ## 6.10 The perceptual loss
#
# Feature matching looks through the discriminator's eyes; this loss looks through a network that has seen many
# pictures, handed in as `features(picture)`, a list of feature maps: the sum of `weights[i]` times the mean absolute
# difference of map i. The real picture's features are a target and get no gradient.


# %% tags=["part"]
# perceptual

# %% [markdown]
# **To think about.** Both losses compare with the real picture. Why isn't that simply a loss of pixels?
#
# <details><summary>Answer</summary>Features forgive what pixels don't: a tree may have other leaves if it looks like a
# tree. A loss of pixels is smallest for the mean of all that could be there, which is blurred.</details>

# %% [markdown]
# ## 6.11 Two Adams
#
# `make_optimizers(generator, discriminator, encoder=None, lr=2e-4)` returns the optimizer of G and that of D: Adam with
# betas (0.0, 0.9), at `lr / 2` and at `lr * 2` (two time scales). The weights of the style encoder, where there is one,
# belong to G's.


# %% tags=["part"]
# make_optimizers

# %% [markdown]
# **To think about.** beta1 = 0 switches Adam's momentum off. What could momentum do to two networks that chase each
# other?
#
# <details><summary>Answer</summary>Old gradients push on in a direction that the other network has answered already:
# the circles grow.</details>

# %% [markdown]
# ## 6.12 A picture for each label map
#
# A batch is a dictionary with `"segmap"` and `"image"`. `generate(batch, generator, encoder=None)` returns the
# pictures, `mu` and `logvar`. Without an encoder: `generator(segmap)`, None and None. With one: `encoder(image)` gives
# `mu` and `logvar`, and the generator gets a draw from them, `reparameterise(mu, logvar)` (stage 09).


# %% tags=["part"]
# generate

# %% [markdown]
# **To think about.** With an encoder the generator sees the real picture's style while it is trained. Where does z come
# from when there is no real picture?
#
# <details><summary>Answer</summary>From N(0, 1), for which the KL term prepared the codes: the encoder's q is held near
# it.</details>

# %% [markdown]
# ## 6.13 Fake and real in one batch
#
# `judge(discriminator, segmap, fake, real)` gives what D says of the fakes and of the real ones, two lists as D returns
# them. Both go through D in *one* batch, the fakes first; then every feature map is cut in two.


# %% tags=["part"]
# judge

# %% [markdown]
# **To think about.** Which layers would tell fakes from real pictures by the batch that they come in, if there were two
# calls?
#
# <details><summary>Answer</summary>Those with statistics of the batch, batch norms above all: a batch of fakes only has
# its own mean. (The instance norms of this D look at one picture each, so here it is a habit that costs
# nothing.)</details>

# %% [markdown]
# ## 6.14 The generator's step
#
# `generator_step(batch, generator, discriminator, optimizer, encoder=None, features=None, weights=())`:
#
# 1. paint (`generate`), and switch D's own gradients off: `discriminator.requires_grad_(False)`. Gradients still pass
#    through D to the picture;
# 2. judge, and collect the losses in a dictionary: `GAN`, the hinge; `GAN_Feat`, 10 times feature matching; where there
#    are features `VGG`, 10 times the perceptual loss; where there is an encoder `KLD`, 0.05 times `kl_divergence(mu,
#    logvar)`;
# 3. clear old gradients, `backward()` on the sum, step;
# 4. switch D's gradients on again, and return the losses, detached.


# %% tags=["part"]
# generator_step

# %% [markdown]
# **To think about.** Where exactly does the gradient pass on its way from the hinge to the first layer of G, and where
# would a `detach()` cut it?
#
# <details><summary>Answer</summary>Hinge, D's last convolution back to its first, the fake picture, G's last layer to
# its first. A detach on the fake, as in D's step, cuts it between D and G.</details>

# %% [markdown]
# ## 6.15 The discriminator's step
#
# `discriminator_step(batch, generator, discriminator, optimizer, encoder=None)`: paint (G isn't to learn from this),
# judge, the hinge loss of D, and the same three calls. Returns `{"D": loss}`, detached.


# %% tags=["part"]
# discriminator_step

# %% [markdown]
# **To think about.** The pictures are painted anew here, after G's step. What would be saved by taking those of G's
# step, and what would D learn from then?
#
# <details><summary>Answer</summary>One pass of G a step. D would learn from pictures painted before G's last update,
# one step behind.</details>

# %% [markdown]
# ## 6.16 The loop
#
# `train(batches, generator, discriminator, optimizers, encoder=None, features=None, weights=())`: for each batch a step
# of G, then one of D, then `yield` the losses of both as numbers. `optimizers` is what `make_optimizers` returns.
# Somebody may look at a sample between two batches and leave G in evaluation mode: call `generator.train()` before each
# G step.


# %% tags=["part"]
# train

# %%
# All parts at work: your generator learns streets of three colours, 60 steps at 32x64.
with picture("train"):
    torch.manual_seed(0)
    colours = torch.tensor([[-0.2, 0.3, 0.9], [-0.4, -0.4, -0.3], [0.8, -0.5, -0.6]])
    label = torch.zeros(60, 4, 32, 64, dtype=torch.long)
    label[:, :, 18:] = 1
    for i, j in ((i, j) for i in range(60) for j in range(4)):
        left = int(torch.randint(48, ()))
        label[i, j, 14:24, left : left + 14] = 2
    segmaps = F.one_hot(label, 3).permute(0, 1, 4, 2, 3).float()
    noise = 0.05 * torch.randn(60, 4, 3, 32, 64)
    batches = [{"segmap": s, "image": torch.einsum("nlhw,lc->nchw", s, colours) + n} for s, n in zip(segmaps, noise)]
    G = init_weights(SPADEGenerator(3, (1, 2), ngf=4, hidden_channels=16, conv=SpectralConv2d), gain=1)
    D = init_weights(MultiScaleDiscriminator(3, ndf=8, num_layers=3))
    history = list(train(batches, G, D, make_optimizers(G, D, lr=2e-3)))
    with torch.no_grad():
        show.pictures([*batches[0]["image"][:2], *G(batches[0]["segmap"])[:2]], ["real", "real", "yours", "yours"],
                      columns=2, width=4)  # fmt: skip
    show.curves({name: [losses[name] for losses in history] for name in ("GAN", "D")}, xlabel="step", ylabel="loss")

# %% [markdown]
# **To think about.** Neither curve goes to 0, and G's loss may even rise while its pictures get better. What do the two
# numbers tell, then, and what would you look at instead?
#
# <details><summary>Answer</summary>Who is ahead at the moment, not how good the pictures are. Look at samples, and
# score them.</details>

# %% [markdown]
# ## 6.17 The averaged generator
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
#
# <details><summary>Answer</summary>The average looks back about 1 / (1 - decay) steps. For 500 steps 0.98 or so, 50
# steps; for 500,000 0.999 or more. A decay that grows with the step serves both.</details>

# %%
progress()
