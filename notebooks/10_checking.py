# %% [markdown] tags=["core"]
# # 10 · Checking against the paper
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/spade_edu/blob/main/notebooks/10_checking.ipynb)
#
# You will be able to check an implementation of a paper, this one or your own: by counting, by names, by numbers, and
# by knowing where the paper and its authors' code part.
#
# **Time:** runs in about 25 seconds on two CPU cores (measured); the core path takes a class 45 minutes. On a T4 about
# as long (estimated, not measured: `SPADE_EDU_PROFILE=gpu python tools/notebooks.py test 10` measures it). **Builds
# on:** stages 03, 05 and 06. It needs no GPU in either profile.

# %% tags=["core"]
# Safe to run twice; keeps the installed torch and numpy. SPADE_EDU_PROFILE (cpu or gpu) sets the size.
from importlib.util import find_spec

if find_spec("spade_edu") is None:
    get_ipython().run_line_magic("pip", "install --quiet git+https://github.com/OWNER/spade_edu")
from spade_edu import course
from spade_edu.course import plotting as show

lab = course.start("10")

# %% [markdown] tags=["core"]
# ## Is it the same network?
#
# The cheapest check of a reimplementation is one number. Table 3 of the paper prints the generators' parameters, in
# millions. The networks below are built at the paper's size without memory for their weights, and counted.

# %% tags=["core"]
import matplotlib.pyplot as plt
from spade_edu.experiments.paper import TABLES, parameters

rows = TABLES[3].rows
here = [parameters(row)[0] / 1e6 for row in rows]
figure, ax = plt.subplots(figsize=(8, 3.4))
ax.barh([row.name for row in rows], [row.millions for row in rows], 0.7, color="#dddddd", label="paper")
ax.plot(here, range(len(rows)), "o", color=show.COLOURS["SPADE"], label="counted here (ADE20K)")
ax.set(xlabel="parameters of the generator, millions")
ax.invert_yaxis()
ax.legend()
show.finish(figure, "Grey: the paper's rounded figures. Dots: what this package builds.")
assert all(abs(a - row.millions) < 1 for a, row in zip(here, rows))

# %% [markdown] tags=["core"]
# Agreement to a million is a good sign and a weak proof: 1 % of a generator can hide a missing bias, a wrong kernel or
# a wrong input. So count by hand, exactly, from the smallest piece up.
#
# ## A layer by hand
#
# A convolution from $a$ to $b$ channels with kernel $k$ has $a \cdot b \cdot k^2$ weights and $b$ biases. SPADE has
# three: labels to 128, then 128 to C twice. Before you run it: which of the three is the largest, for ADE20K's 151
# channels and C = 1024?

# %% tags=["core", "nbval-check-output"]
import torch
from spade_edu.models import count_parameters
from spade_edu.normalization import SPADE


def convolution(a, b, k, bias=True):
    return a * b * k * k + b * bias


shared, gamma, beta = convolution(151, 128, 3), convolution(128, 1024, 3), convolution(128, 1024, 3)
print("shared", f"{shared:,}", " gamma", f"{gamma:,}", " beta", f"{beta:,}", " sum", f"{shared + gamma + beta:,}")
with torch.device("meta"):  # shapes without memory
    layer = SPADE(1024, 151)
print("package", f"{count_parameters(layer):,}")

# %% [markdown] tags=["core"]
# ## A block by hand
#
# A residual block from 1024 to 512 channels: two SPADEs and two 3x3 convolutions on the main path, one SPADE and a
# 1x1 convolution without bias on the skip. The inner width is the smaller one, 512.

# %% tags=["core", "nbval-check-output"]
from spade_edu.blocks import SPADEResnetBlock


def spade(channels, labels=151):
    return convolution(labels, 128, 3) + 2 * convolution(128, channels, 3)


main = spade(1024) + convolution(1024, 512, 3) + spade(512) + convolution(512, 512, 3)
skip = spade(1024) + convolution(1024, 512, 1, bias=False)
with torch.device("meta"):
    block = SPADEResnetBlock(1024, 512, 151)
print("by hand", f"{main + skip:,}", " package", f"{count_parameters(block):,}")

# %% [markdown] tags=["core"]
# ## The whole of it
#
# These totals were counted in the authors' own classes, for the three data sets and with or without the style encoder
# (VAE). They leave no room for a forgotten bias.

# %% tags=["core", "nbval-check-output"]
from spade_edu.models import build
from spade_edu.config import TrainingConfig

OFFICIAL = {  # label channels: G, G with VAE, D (both scales), encoder
    "Cityscapes": (36, 93_048_003, 101_136_579, 5_601_410, 10_463_424),
    "COCO-Stuff": (184, 97_480_899, 112_626_883, 5_904_514, 10_463_424),
    "ADE20K": (151, 96_492_483, 111_942_595, 5_836_930, 10_463_424),
}
wide = dict(height=256, width=512, num_upsampling_layers="more")
for name, (channels, *expected) in OFFICIAL.items():
    size = wide if name == "Cityscapes" else {}
    with torch.device("meta"):
        plain, style = (build(TrainingConfig(style=s, **size), channels) for s in (False, True))
    counted = [count_parameters(n) for n in (plain.generator, style.generator, plain.discriminator, style.encoder)]
    print(f"{name:10}", *(f"{n:>12,}" for n in counted), " as official:", counted == expected)

# %% [markdown] tags=["core"]
# Where do 96 million numbers sit? Before you run it: in the layers near the picture, or in the first ones?

# %% tags=["core"]
ade = plain.generator  # the last one built: ADE20K
names = ["fc", "head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2", "up_3", "conv_img"]
total = {name: count_parameters(getattr(ade, name)) / 1e6 for name in names}
inside = {n: sum(count_parameters(m) for m in getattr(ade, n).modules() if isinstance(m, SPADE)) / 1e6 for n in names}
figure, ax = plt.subplots(figsize=(8, 3))
ax.bar(names, total.values(), color="#bbbbbb", label="all")
ax.bar(names, inside.values(), color=show.COLOURS["SPADE"], label="in SPADE layers")
ax.set(ylabel="millions", title=f"SPADE layers: {sum(inside.values()) / sum(total.values()):.1%} of the generator")
ax.legend()
show.finish(figure, "Three blocks of 1024 channels hold three quarters of all parameters.")

# %% [markdown] tags=["core"]
# ## Shapes
#
# Counts don't see strides, paddings or the order of layers: none of these has parameters. Shapes do. PyTorch's meta
# device computes shapes without numbers, so the full network runs in a moment.
#
# Before you run it: five doublings lead to 256. How large is the first map?


# %% tags=["core", "nbval-check-output"]
def shapes(generator, height, width):
    found = []
    hooks = [getattr(generator, n).register_forward_hook(lambda m, i, o, n=n: found.append((n, tuple(o.shape[1:]))))
             for n in names]  # fmt: skip
    generator(torch.empty(1, generator.label_channels, height, width, device="meta"))
    for hook in hooks:
        hook.remove()
    return found


for name, shape in shapes(ade, 256, 256):
    print(f"{name:11} {shape}")

# %% tags=["core", "nbval-check-output"]
image = torch.empty(1, 3, 256, 256, device="meta")
segmap = torch.empty(1, 151, 256, 256, device="meta")
for number, features in enumerate(plain.discriminator(segmap, image), start=1):
    print(f"D, scale {number}:", [f.shape[-1] for f in features], "channels", [f.shape[1] for f in features])

# %% [markdown] tags=["core"]
# The odd sizes 129, 65, 33, 34, 35 come from kernel 4 with padding 2. Padding 1 would give 128, 64, 32 ... with the
# very same parameters: a difference that counting could never find.

# %% [markdown]
# ### Deep dive: which plan did they train?
#
# Figure 12 draws a start of 4x4 and seven doublings, which makes 512x512, not 256x256. The code's default ("normal")
# starts at 8x8 and doubles five times. Its plan "more" has the figure's start with six.

# %% tags=["nbval-check-output"]
from spade_edu.generators.spade import UPSAMPLINGS, latent_size

for plan, times in UPSAMPLINGS.items():
    print(f"{plan:7} {times} doublings: 256x256 from {latent_size((256, 256), plan)}")
print("Figure 12, read literally: 4 *", 2**7, "=", 4 * 2**7)

# %% [markdown] tags=["core"]
# ## Names and the official checkpoint
#
# The authors' checkpoints can be downloaded from their repository (non-commercial licence). If you have one, write its
# path below. Without it, a freshly built network of this package is written out under the official names and read
# back: names and shapes are checked, numbers go round; quality can't be.

# %% tags=["core"]
CHECKPOINT = ""  # e.g. "checkpoints/cityscapes_pretrained/latest_net_G.pth"
OPTIONS = dict(num_upsampling_layers="more", crop_size=512, aspect_ratio=2.0)  # Cityscapes; {} for COCO and ADE20K

# %% tags=["core", "nbval-check-output"]
from spade_edu.pretrained import official

if CHECKPOINT:
    loaded = official.load_generator(CHECKPOINT, **OPTIONS)
    print("your file:", official.describe(official.to_official(loaded)), f"{count_parameters(loaded):,}")
else:
    small = build(TrainingConfig(ngf=8, hidden_channels=16, **wide), 36).generator.eval()
    state = official.to_official(small)
    loaded = official.load_generator(state, **OPTIONS)
    print("no file: a new network with", len(state), "official names;", official.describe(state))
segmap = torch.nn.functional.one_hot(torch.randint(36, (1, 256, 512)), 36).permute(0, 3, 1, 2).float()
again = official.load_generator(official.to_official(loaded), **OPTIONS)
with torch.inference_mode():
    print("round trip exact:", torch.equal(loaded(segmap), again(segmap)))

# %% [markdown] tags=["core"]
# The names tell a story. `weight_orig`, `weight_u`, `weight_v` are the marks of spectral norm: the stored weight is
# *not* the one that acts. Read the list: which convolutions carry them?

# %% tags=["core", "nbval-check-output"]
for name, value in official.to_official(loaded).items():
    if name.startswith("up_0.conv_") or name.startswith("up_0.norm_0.mlp"):
        print(f"{name:34}", tuple(value.shape) if not CHECKPOINT else "")

# %% [markdown] tags=["core"]
# ## What names can't catch
#
# Same names, same shapes, same count, and still wrong? Three small accidents in the stored Streets generator: gamma
# and beta swapped, the weights not divided by sigma, the running statistics forgotten. All three load without a
# complaint. Before you run it: which one hurts most?

# %% tags=["core"]
from spade_edu.data import Streets, stack
from spade_edu.sampling import generate
from spade_edu.runs.loading import load_stored

G = load_stored("spade").generator
good = {name: value.clone() for name, value in official.to_official(G).items()}


def swapped(name):  # gamma's numbers under beta's name and the other way round
    return name.replace("_gamma", "_x").replace("_beta", "_gamma").replace("_x", "_beta")


def undivided(state):  # v / sigma in place of v: the weight is then divided by 1
    state = dict(state)
    for name in [n for n in state if n.endswith("weight_v")]:
        layer = name.removesuffix("_v")
        sigma = state[layer + "_u"] @ state[layer + "_orig"].flatten(1) @ state[name]
        state[name] = state[name] / sigma
    return state


# %% tags=["core"]
forgotten = {n: torch.zeros_like(v) if n.endswith("running_mean") else v for n, v in good.items()}
forgotten = {n: torch.ones_like(v) if n.endswith("running_var") else v for n, v in forgotten.items()}
accidents = {
    "as stored": good,
    "gamma, beta swapped": {swapped(n): v for n, v in good.items()},
    "sigma forgotten": undivided(good),
    "running statistics lost": forgotten,
}

# %% tags=["core"]
scenes = Streets(200, split="val", height=64, width=128)
sample = stack([scenes[5], scenes[30]])
painted = {}
for name, state in accidents.items():
    network = official.load_generator(state, crop_size=128, aspect_ratio=2.0)
    painted[name] = generate(network, sample, scenes.labels)
show.pictures([p[i] for i in (0, 1) for p in painted.values()], list(painted),
              caption="One set of names and shapes, four behaviours.")  # fmt: skip

# %% [markdown] tags=["core"]
# So a check needs numbers as well: the same weights and the same input must give the same output as the reference.
# This package's tests compare three training iterations with an independently written copy of the published loop, to
# 1e-5 of each tensor's largest number in float32 (docs/paper-vs-code.md, "Exactness").

# %% [markdown] tags=["core"]
# # Paper versus code
#
# Where a paper and its authors' code disagree, you have to choose and say so. The next cells run the important rows
# of docs/paper-vs-code.md; each shows what this package does.
#
# ## gamma or 1 + gamma
#
# Equation (1) multiplies by gamma; the code by 1 + gamma. Set both convolutions to zero and look: which of the two
# lets the picture through?

# %% tags=["core", "nbval-check-output"]
layer = SPADE(8, 36, hidden_channels=16)
for name in ("mlp_gamma", "mlp_beta"):
    torch.nn.init.zeros_(getattr(layer, name).weight)
    torch.nn.init.zeros_(getattr(layer, name).bias)
x = torch.randn(2, 8, 16, 32)
y = layer(x, segmap[:, :, :16, :32].expand(2, -1, -1, -1))  # (2, 8, 16, 32)
print("gamma = beta = 0 gives the plain norm:", torch.allclose(y, layer.param_free_norm(x), atol=1e-5))
gamma, beta = layer.modulation(segmap[:, :, :16, :32], (16, 32))
paper_form = gamma * layer.param_free_norm(x) + beta  # equation (1)
print("the paper's form gives only zeros:", paper_form.abs().max().item() == 0)

# %% [markdown] tags=["core"]
# The author calls it a matter of parametrisation (official repository, issue 4): the functions that can be learned are
# the same. The start isn't. It matters because of the next row.
#
# ## Glorot, with which gain?
#
# The paper says Glorot initialisation. The code multiplies it by 0.02. (On a GPU it does so outside spectral norm only,
# by an accident of order: docs/paper-vs-code.md. SPADE's own convolutions, below, have none.)

# %% tags=["core"]
from spade_edu.initialisation import init_spade

spread = {}
for gain in (0.02, 1.0):
    torch.manual_seed(0)
    fresh = init_spade(SPADE(64, 36), gain)
    with torch.no_grad():
        spread[gain] = fresh.modulation(segmap, (64, 128))[0].flatten()
figure, ax = plt.subplots(figsize=(7, 2.6))
for (gain, values), colour in zip(spread.items(), ("#0072B2", "#E69F00")):
    ax.hist(
        1 + values.numpy(), bins=torch.linspace(-0.5, 2.5, 80).numpy(), alpha=0.7, color=colour, label=f"gain {gain}"
    )
ax.set(xlabel="1 + gamma", yscale="log", ylabel="pixels")
ax.legend()
show.finish(figure, "At the code's gain 1 + gamma is 1 everywhere: SPADE begins as a plain norm.")
assert spread[0.02].std() < 0.01 * spread[1.0].std() * 1.5

# %% [markdown] tags=["core"]
# ## Where spectral norm sits
#
# The text: "all the layers". The code leaves out SPADE's own convolutions and the first and last layers. Before you
# run it: how many of ADE20K's generator's convolutions carry it?

# %% tags=["core", "nbval-check-output"]
from spade_edu.spectral import SpectralNorm

for letter, network in (("G", ade), ("D", plain.discriminator), ("E", style.encoder)):
    layers = [m for m in network.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]
    print(f"{letter}: {sum(isinstance(m, SpectralNorm) for m in layers)} of {len(layers)} layers carry spectral norm")
carried = [n for n, m in ade.up_0.named_modules() if isinstance(m, SpectralNorm)]
print("in one block:", carried)

# %% [markdown] tags=["core"]
# ## The residual block
#
# Figure 11 draws ReLU, and a skip of SPADE, ReLU and a 3x3 convolution. The code has LeakyReLU 0.2, and on the skip
# SPADE and a bare 1x1 convolution: no activation, no bias.

# %% tags=["core", "nbval-check-output"]
skip = ade.up_0.conv_s
print("skip: kernel", skip.kernel_size, "bias", skip.bias, "weight", tuple(skip.weight.shape))
as_drawn = convolution(1024, 512, 3) - convolution(1024, 512, 1, bias=False)
print(f"as drawn, this block alone would have {as_drawn:,} parameters more")

# %% [markdown] tags=["core"]
# Of the seven blocks four change their width, and only these have a learned skip. Before you run it: would the
# drawing still fit the paper's own 96M?

# %% tags=["core", "nbval-check-output"]
extra = sum(convolution(a, b, 3) - convolution(a, b, 1, bias=False) for a, b in
            ((1024, 512), (512, 256), (256, 128), (128, 64)))  # fmt: skip
print(f"with 3x3 skips {96_492_483 + extra:,}, with 1x1 skips {96_492_483:,}; the paper prints {rows[0].millions}M")

# %% [markdown] tags=["core"]
# ## Adam's betas
#
# The paper gives beta2 = 0.999, the code has 0.9, and the author says the paper is wrong (issue 50). beta1 is 0 in
# both. What does it change? One gradient spike at step 20, gradients of 1 elsewhere: how long does Adam remember it?


# %% tags=["core"]
def adam_steps(beta2, steps=80):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([parameter], lr=1.0, betas=(0.0, beta2))
    sizes = []
    for step in range(steps):
        parameter.grad = torch.tensor([10.0 if step == 20 else 1.0])
        before = parameter.item()
        optimizer.step()
        sizes.append(abs(parameter.item() - before))
    return sizes


curves = {f"beta2 = {beta2}": adam_steps(beta2) for beta2 in (0.9, 0.999)}
show.curves(curves, xlabel="step", ylabel="step size / learning rate",
            caption="After a spike, 0.9 recovers in some 40 steps; 0.999 stays slow for long.")  # fmt: skip
config = TrainingConfig()
assert (config.beta1, config.beta2) == (0.0, 0.9), "this package follows the code"
assert curves["beta2 = 0.9"][-1] > 0.95 > 0.7 > curves["beta2 = 0.999"][-1]

# %% [markdown] tags=["core"]
# ## When does the rate fall?
#
# "Linearly decay from epoch 100 to 200". In the code, the first epoch with a lower rate is 102, and the last one still
# has 1 % of the rate. Two time scales (TTUR): G at 1e-4, D at 4e-4.

# %% tags=["core", "nbval-check-output"]
from spade_edu.presets import preset

paper = preset("paper")
rates = [paper.lr_factor(epoch) for epoch in range(1, 201)]
print("G", paper.lr_generator, "D", paper.lr_discriminator)
print("first lower epoch:", 1 + next(i for i, r in enumerate(rates) if r < 1), " epoch 200:", round(rates[-1], 4))

# %% tags=["core"]
lines = {"D": [paper.lr_discriminator * r for r in rates], "G": [paper.lr_generator * r for r in rates]}
show.curves(lines, range(1, 201), xlabel="epoch", ylabel="learning rate", caption="TTUR and linear decay, 100 + 100.")

# %% [markdown] tags=["core"]
# ## A sum that looks like a mean
#
# The KL term of the VAE variant is summed over batch *and* dimensions, then weighted by 0.05. Before you run it: the
# same code for every image, batch 1 against batch 8. What happens to the term?

# %% tags=["core", "nbval-check-output"]
from spade_edu.losses import kl_divergence

mu, logvar = torch.full((1, 256), 0.5), torch.zeros(1, 256)
one, eight = (float(kl_divergence(mu.expand(n, -1), logvar.expand(n, -1))) for n in (1, 8))
print("by hand, batch 1: 256 * 0.5 * 0.5**2 =", 256 * 0.5 * 0.5**2, " package", one)
print("batch 8:", eight, " weighted:", round(0.05 * one, 3), "and", round(0.05 * eight, 3))

# %% [markdown] tags=["core"]
# All other losses are means. So with twice the batch on a device, the KL term weighs twice as much beside them: the
# published 0.05 belongs to the published batch per GPU.

# %% [markdown]
# ### Deep dive: E[h²] - mu² loses digits
#
# Equation (3) writes the variance as a difference of two large numbers. In exact arithmetic it is right. In float32,
# for activations with a large mean, it isn't; this package takes two passes, and so does the code on one
# device. On several its synchronised norm computes equation (3), in float32.

# %%
from spade_edu.normalization import batch_statistics

means = [1, 10, 100, 1000, 3000]
wrong = {"one pass, equation (3)": [], "two passes": []}
for mean in means:
    h = mean + torch.randn(4, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    exact = h.double().var(unbiased=False)
    one_pass = h.square().mean() - h.mean() ** 2
    two_passes = batch_statistics(h)[1][0]
    for name, value in zip(wrong, (one_pass, two_passes)):
        wrong[name].append(abs(value.double() - exact) / exact + 1e-9)
show.curves(wrong, means, xlabel="mean of the activations", ylabel="relative error of the variance", log=True,
            caption="float32; the true variance is 1 throughout.")  # fmt: skip
assert wrong["two passes"][-1] < 1e-3 < wrong["one pass, equation (3)"][-1]

# %% [markdown]
# ### Deep dive: no noise in the released models
#
# Figure 12 starts from z. The released models are without VAE: their first map is the downsampled label map, nothing
# random enters, and z is ignored.

# %% tags=["nbval-check-output"]
with torch.inference_mode():
    print("two calls agree:", torch.equal(again(segmap), again(segmap)), " z_dim:", again.z_dim)

# %% [markdown] tags=["core"]
# # A plan to reproduce Table 1
#
# What would it take? The paper: 8 V100 with 32 GB, batch 32, 200 epochs. We *simulate* one step of the paper's preset
# on tensors without contents, four images a GPU, and count bytes and multiplications. Hours follow from 5 % of
# each card's peak rate, which is what the authors' 5 to 7 days for Flickr Landscapes come to (official repository,
# issue 9). **Everything here is estimated, nothing measured**, and VGG's share is left out.

# %% tags=["core"]
from dataclasses import replace

from spade_edu.runs.plan import CARDS, GB, SIXTEEN, USED, hours, simulate

plain_step = simulate(replace(paper, lambda_vgg=0.0), 36, batch_size=4)
print(f"a step of 4 images at 256x512: {plain_step.flops / 1e12:.1f} TFLOP")
print(f"weights, moments: {plain_step.resident / GB:.1f} GB; peak {plain_step.peak / GB:.1f} GB (simulated, fp32)")
assert 1 < plain_step.resident / GB < 1.6 and 6 < plain_step.peak / GB < 12

# %% tags=["core"]
table = {}
for card, (_, rate) in CARDS.items():
    table[card] = [hours(plain_step, 200 * 2975, 8, times * rate) for times in (1, SIXTEEN)]
figure, ax = plt.subplots(figsize=(7, 3))
for i, name in enumerate(("32 bits", "16 bits")):
    places = [k + 0.38 * i - 0.19 for k in range(len(table))]
    ax.bar_label(ax.bar(places, [v[i] for v in table.values()], 0.36, label=name), fmt="%.1f", padding=2)
ax.set(xticks=range(len(table)), xticklabels=list(table), ylabel="hours on 8 GPUs", yscale="log",
       title=f"Cityscapes, 200 epochs: ESTIMATED at {USED:.0%} of peak, without VGG")  # fmt: skip
ax.legend()
show.finish(figure, "Multiply by 8 for GPU-hours, then by your provider's price. Expect more: data, VGG, evaluation.")

# %% [markdown] tags=["core"]
# Read the hours as an order of magnitude: 16 bits are simply counted as twice as fast. Put your own price in; the
# default below is a placeholder, not an offer. The command `spade-edu plan --gpu V100 --preset
# paper --gpus 8` prints the same for other data, batches and checkpointing.

# %% tags=["core"]
PRICE = 2.0  # per GPU-hour, in your currency: a placeholder
for card in ("V100", "A100"):
    gpu_hours = 8 * table[card][0]
    print(f"{card}: {gpu_hours:.0f} GPU-hours in 32 bits, about {PRICE * gpu_hours:.0f} at {PRICE} an hour (estimated)")

# %% [markdown] tags=["core"]
# ## The order of work
#
# 1. Parameter counts, shapes, names: minutes, no GPU.
# 2. Score the *released* weights with your evaluation first. If that misses the table, no training can be judged.
# 3. A short run on one GPU at 128x256: do samples improve within an hour?
# 4. One full run on Cityscapes (the cheapest data set), then a second seed: how far apart are two runs of the same
#    thing?
# 5. Only then ADE20K and COCO-Stuff, which have 7 and 40 times the images.

# %% tags=["core", "nbval-check-output"]
from spade_edu.cli.plan import DATA

for name, epochs in (("cityscapes", 200), ("ade20k", 200), ("coco-stuff", 100)):
    images = DATA[name][1]
    print(f"{name:11} {images:7,} images x {epochs} epochs / batch 32 = {images // 32 * epochs:8,} steps")

# %% [markdown] tags=["core"]
# ## What you should expect to miss
#
# For Cityscapes, others measured mIoU 62.2 with the released weights (paper 62.3), but accuracy 93.5 (81.9) and FID
# 63.4 (71.8): official repository, issue 100. COCO-Stuff's mIoU is 37.4 in Table 1, and 35.2 in the text and in Tables
# 3 and 5. The two accuracies are one model seen by two rulers: the paper's counts void pixels, 12.58 % of the split, as
# wrong (93.5 x 0.8742 = 81.7; EndlessSora/TSIT, issue 1), the other leaves them out. The two FIDs most likely come from
# two networks (stage 07). So before you look for a fault in your training, find out which ruler a figure belongs to.

# %% tags=["core"]
figures = {"mIoU": (62.3, 62.2), "accuracy": (81.9, 93.5), "FID": (71.8, 63.4)}
figure, ax = plt.subplots(figsize=(5.5, 2.8))
for i, (printed, again_measured) in enumerate(figures.values()):
    ax.plot([i, i], [printed, again_measured], color="#bbbbbb", zorder=1)
    ax.scatter(i, printed, color="#666666", label="paper" if i == 0 else None)
    ax.scatter(
        i, again_measured, color=show.COLOURS["SPADE"], label="released weights, scored again" if i == 0 else None
    )
ax.set(xticks=range(3), xticklabels=list(figures), ylim=(55, 105))
ax.legend(loc="upper right", fontsize=8)
show.finish(figure, "Cityscapes: one figure agrees, two don't, with the authors' own weights.")

# %% [markdown]
# ### Deep dive: a checklist for your own reimplementation
#
# | check | finds | cost |
# |---|---|---|
# | exact parameter count per block | kernels, biases, missing layers | seconds |
# | shapes at every layer, odd sizes too | strides, paddings, plans | seconds |
# | load the reference weights, compare outputs | order of layers, eps, activations, resizing | minutes |
# | gradients and three optimizer steps against the reference | detach, betas, loss weights, sums for means | minutes |
# | overfit one batch | signs, learning rates, dead branches | minutes |
# | score the reference's images with your evaluation | your ruler | an hour |
# | two seeds of one setting | what counts as a difference | a run |

# %% [markdown]
# Each line catches what the lines above can't. Try one: the third line, against torch's own batch norm, for a setting
# that has no parameters and changes no shape. Which of these would you have noticed by counting?

# %% tags=["nbval-check-output"]
from spade_edu.normalization import BatchNorm2d

x = 0.01 * torch.randn(4, 8, 16, 16, generator=torch.Generator().manual_seed(1))
reference = torch.nn.BatchNorm2d(8, affine=False)(x)
for eps in (1e-5, 1e-3):
    ours = BatchNorm2d(8, affine=False, eps=eps)(x)
    print(f"eps {eps:g}: same output as torch's: {torch.allclose(ours, reference, atol=1e-4)}")

# %% [markdown] tags=["core"]
# ## Summary
#
# - Count first: exact totals per block catch most structural mistakes for free.
# - Shapes catch strides and paddings; names catch spectral norm and missing parts; only numbers catch the rest.
# - Where paper and code disagree (1 + gamma, beta2, gain, skip, KL as a sum), decide, and write it down.
# - Score the released weights before you train your own: it tests your ruler.
# - A plan with an estimated cost, two seeds and a stated protocol is worth more than a single lucky run.

# %% [markdown] tags=["core"]
# ## Questions
#
# 1. Your generator has exactly 96,492,483 parameters. Name three mistakes that it may still contain.
#
# <details><summary>Answer</summary>Padding 1 instead of 2 in D; bilinear instead of nearest resizing; spectral norm
# missing (u and v aren't trainable); gamma and beta swapped; ReLU for LeakyReLU.</details>
#
# 2. You train with batch 4 on one GPU instead of 4 on each of 8. Which things change besides noise in the gradient?
#
# <details><summary>Answer</summary>Sync batch norm takes its statistics from 4 images instead of 32, and an epoch has
# eight times as many steps at an unchanged rate. The KL term is a sum per device, so it stays as it was.</details>
#
# 3. Your accuracy on Cityscapes is 93. Better than the paper?
#
# <details><summary>Answer</summary>No: it is what others get from the released weights. The paper's 81.9 counts void
# pixels as wrong; multiply yours by 0.8742, the share that isn't void, and compare then.</details>

# %% [markdown] tags=["core"]
# ## Next
#
# **Exercise:** this stage has none of its own. Take any other implementation of SPADE and find where it deviates, by
# counts, shapes and outputs, as above.
#
# **Stage 11** trains what you wrote, measures it, and paints with it: a network that you can defend line by line.
