# %% [markdown] tags=["core"] minutes=2
# # 01 · Batch norm
#
# Afterwards you can compute batch norm by hand, say what changes between training and evaluation, and say what a norm
# throws away. SPADE rests on that last fact.
#
# **Time:** runs in 12 seconds on two CPU cores (measured); the core path takes a class 45 minutes. Not timed on a GPU
# (`python tools/notebooks.py test 01` does it there).
#
# **Builds on:** stage 00 for the images, nothing else.

# %%
# Safe to run twice; keeps the installed torch and numpy. With a GPU it takes Cityscapes, where that is found; for
# Streets nevertheless run this in a cell before it: %env SPADE_EDU_PROFILE=cpu
import sys
from importlib.util import find_spec

package = ""  # used on Colab only: the address of spade_edu's wheel, or the name of the file uploaded there
if find_spec("spade_edu") is None:
    assert "google.colab" in sys.modules, "This kernel lacks spade_edu: choose the Python that it was installed for."
    assert package, "Upload spade_edu's wheel (folder symbol, on the left) and write its name, or its address, above."
    get_ipython().run_line_magic("pip", f"install --quiet {package}")
from spade_edu import course
from spade_edu.course import plotting as show

lab = course.start("01")

# %% [markdown] tags=["core"] minutes=1
# ## Why normalise at all?
#
# Send four pictures through twelve convolutions with random weights, and measure after each layer how much a channel
# varies from pixel to pixel. With the weights that torch draws, will the variation grow, stay or fade? Put your guess
# in place of the dots: "grows", "stays" or "fades".

# %% tags=["core"] minutes=1
import torch
from torch import nn
from spade_edu import BatchNorm2d
from spade_edu.course import claim, predict, reveal

predict("01-depth", ...)
batch, sample = lab.batch(8)


def he(conv):
    nn.init.kaiming_normal_(conv.weight)  # He et al. 2015: variance 2 / inputs, made for ReLU
    nn.init.zeros_(conv.bias)
    return conv


# %% tags=["core"] minutes=2
def variation_by_depth(init, norm):
    torch.manual_seed(0)
    x, spread = batch["image"][:4], []
    for _ in range(12):
        layer = init(nn.Conv2d(x.shape[1], 32, 3, padding=1)).to(lab.device)
        x = norm(layer(x)).relu().detach()  # (4, 32, 64, 128)
        spread.append(float(x.std(dim=(0, 2, 3)).mean()))
    return spread


nothing, norm = nn.Identity(), BatchNorm2d(32).to(lab.device)
lines = {"torch's weights": variation_by_depth(nothing, nothing), "He's weights": variation_by_depth(he, nothing)}
lines["torch's weights, batch norm"] = variation_by_depth(nothing, norm)
show.curves(lines, range(1, 13), xlabel="layer", ylabel="standard deviation", log=True, caption="Before any training.")
reveal("01-depth", "fades")

# %% [markdown] tags=["core"] minutes=2
# With torch's default weights hardly anything of the picture is left after twelve layers. That looks like the reason
# for norms, and it is often told so. But He's weights hold the scale without any norm. So a fading picture can't be
# the whole reason: a good start cures it too. What does a norm do that a good start can't?
#
# Try it. Twelve layers with He's weights, once with a norm after each and once without, learn to name the class of
# every pixel of eight small pictures, at four learning rates.

# %%
from torch.nn import functional as F

pictures = F.avg_pool2d(batch["image"], 4)  # (8, 3, 16, 32)
classes = sample.label[:, ::4, ::4].long().to(lab.device)


def deep_net(with_norm):
    layers = []
    for fin in [3] + [16] * 11:
        layers += [he(nn.Conv2d(fin, 16, 3, padding=1)), BatchNorm2d(16) if with_norm else nn.Identity(), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(16, lab.labels.num_ids, 1)).to(lab.device)


# %%
def loss_after(rate, with_norm, seed):
    torch.manual_seed(seed)
    net = deep_net(with_norm)
    optimizer = torch.optim.SGD(net.parameters(), rate)
    for _ in range(40):
        loss = F.cross_entropy(net(pictures), classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item() if loss.isfinite() else float("inf")


RATES = [0.03, 0.1, 0.3, 1]
for with_norm in (False, True):
    losses = [loss_after(rate, with_norm, seed=0) for rate in RATES]
    print("with norm " if with_norm else "no norm   ", "  ".join(f"rate {r}: {x:5.2f}" for r, x in zip(RATES, losses)))


# %%
def lead_of_the_norm(seed):
    best = [min(loss_after(rate, with_norm, seed) for rate in RATES) for with_norm in (False, True)]
    return best[0] - best[1]


claim("01-norm-learns", "With its best rate the net with norms reaches a lower loss", lead_of_the_norm, at_least=0.3)

# %% [markdown]
# Both start well. But each step of training moves the scales, and without a norm large steps blow them up ("inf":
# the loss was no longer a number). A norm sets every layer's scale again at every step, so larger rates can be used,
# and the net learns faster. Why that works so well is still argued about; the first explanation, "internal covariate
# shift" (Ioffe & Szegedy 2015), is doubted today (Santurkar et al. 2018).
#
# Now let us see what a norm computes, with four numbers.

# %% [markdown] tags=["core"] minutes=3
# ## Four numbers by hand
#
# One image, one channel, 2 x 2 pixels: 1, 7, 7, 9. Their mean is 24 / 4 = 6. The distances from it are -5, 1, 1, 3;
# squared 25, 1, 1, 9; their mean, the **variance**, is 36 / 4 = 9; its root, the **standard deviation**, is 3.
#
# Write down the four normalised numbers before you go on.

# %% tags=["core"] minutes=2
x = torch.tensor([[1.0, 7.0], [7.0, 9.0]])
mean = x.sum() / 4
variance = ((x - mean) ** 2).sum() / 4
steps = [x, x - mean, (x - mean) / variance.sqrt()]
titles = ["x", f"x - {mean:.0f}", f"(x - {mean:.0f}) / {variance.sqrt():.0f}"]
show.maps(steps, titles, numbers=True, limit=9, caption="Subtract the mean, divide by the standard deviation.")

# %% tags=["nbval-check-output"]
y = steps[-1]
print(f"mean {mean:.0f}, variance {variance:.0f}")
print(f"afterwards: mean {abs(y.mean()):.3f}, variance {y.var(correction=0):.3f}")

# %% [markdown]
# That is all that a norm does. The rest of this stage is about three questions: *which* numbers share a mean, *what*
# happens after the division, and what is *lost*.
#
# For a batch of images (n, c, h, w), batch norm (Ioffe & Szegedy 2015) takes one mean per **channel**, over all
# images and pixels: equations (2) and (3) of the SPADE paper.


# %%
def batch_norm(x, eps=1e-5):
    mean = x.mean(dim=(0, 2, 3), keepdim=True)  # (1, c, 1, 1)
    variance = (x - mean).square().mean(dim=(0, 2, 3), keepdim=True)
    return (x - mean) / torch.sqrt(variance + eps)


four = x[None, None]  # (2, 2) -> (1, 1, 2, 2)
assert torch.allclose(batch_norm(four)[0, 0], y, atol=1e-5)

# %% [markdown]
# `eps` keeps a constant channel from dividing by zero. Compare with the package's layer, which you may read in a
# minute (`spade_edu/normalization.py`), and with torch's, on random numbers.

# %% tags=["nbval-check-output"]
torch.manual_seed(1)
random = torch.randn(4, 3, 8, 8) * 5 + 2
ours, theirs = BatchNorm2d(3), nn.BatchNorm2d(3)
for name, result in [("the package", ours(random)), ("torch", theirs(random))]:
    print(f"{name:12} same as by hand: {torch.allclose(result, batch_norm(random), atol=1e-5)}")

# %% [markdown] tags=["core"] minutes=2
# ## Which numbers share a mean?
#
# Poke a single pixel and see which outputs move. Everything that moves shares its statistics with that pixel. Take
# two images with two channels and poke image 0, channel 0. Which of the four squares move under batch norm? And which
# under **instance norm**, whose mean is over the pixels of one channel of *one* image?

# %%
from spade_edu import InstanceNorm2d

torch.manual_seed(0)
before = torch.randn(2, 2, 4, 4)
after = before.clone()
after[0, 0, 1, 1] += 3
change = [(norm(after) - norm(before)).detach() for norm in (BatchNorm2d(2), InstanceNorm2d(2))]

# %% tags=["nbval-check-output"]
for name, result in zip(["batch norm", "instance norm"], change):
    moved = (result.abs() > 1e-4).sum(dim=(2, 3))
    print(f"{name:13} outputs that moved, image by channel:", moved.tolist())

# %% tags=["core"] minutes=3
tiles = [tile for result in change for image in result for tile in image]
titles = [f"{norm}: image {i}, channel {c}" for norm in ("batch", "instance") for i in (0, 1) for c in (0, 1)]
show.maps(tiles, titles, limit=1, caption="Change of the outputs after the poke.")

# %% [markdown] tags=["core"] minutes=2
# Batch norm moved channel 0 of both images, instance norm only that of the image that was poked. So under batch norm
# the images of a batch know of each other, and under instance norm they don't. pix2pixHD uses
# instance norm; SPADE's generator uses batch norm, its discriminator instance norm. Keep the picture in mind, it
# explains most of what follows.

# %% [markdown] tags=["core"] minutes=1
# ## Scale and shift
#
# A layer that forces mean 0 and variance 1 on everything couldn't express much. So each channel gets two learned
# numbers afterwards: y = **gamma** · norm(x) + **beta**. They start at 1 and 0. torch calls them `weight` and `bias`.
# For 64 channels there are 64 of each.

# %% tags=["nbval-check-output"]
layer = BatchNorm2d(64)
for name, parameter in layer.named_parameters():
    print(f"{name:7} {tuple(parameter.shape)}, starts at {parameter.unique().tolist()}")
for name, buffer in layer.named_buffers():
    print(f"{name:19} {tuple(buffer.shape)} (not learned)")

# %%
with torch.no_grad():
    one = BatchNorm2d(1)
    one.weight.fill_(2)  # gamma
    one.bias.fill_(10)  # beta
    scaled = one(four)[0, 0]
show.maps(
    [x, y, scaled],
    ["x", "normalised", "2 · normalised + 10"],
    numbers=True,
    limit=12,
    caption="gamma = 2, beta = 10.",
)
assert torch.allclose(scaled, 2 * y + 10, atol=1e-4)

# %% [markdown] tags=["core"] minutes=2
# Remember this sentence: **gamma and beta are the same at every pixel and for every image.** SPADE changes exactly
# that. It computes them from the label map, a pair for each pixel (stage 03).

# %% [markdown] tags=["core"] minutes=2
# ## Training and evaluation
#
# In training the statistics come from the batch. So what a picture becomes depends on its company. Take one picture
# and normalise it together with three dark ones, then with three bright ones. In which company will it look brighter:
# "with the dark ones", "with the bright ones", or "the same in both"?

# %% tags=["core"] minutes=3
predict("01-company", ...)
images = lab.batch(24)[0]["image"]  # (24, 3, 64, 128)
order = images.mean(dim=(1, 2, 3)).argsort()
dark, me, bright = images[order[:3]], images[order[12:13]], images[order[-3:]]
norm = BatchNorm2d(3, affine=False).to(lab.device)
in_dark, in_bright = norm(torch.cat([me, dark]))[0], norm(torch.cat([me, bright]))[0]
tiles = [me[0], in_dark / 3, in_bright / 3]  # / 3 to fit the picture's range
show.pictures(
    tiles,
    ["the picture", "with three dark ones", "with three bright ones"],
    width=3.4,
    caption="The same picture after batch norm, in two batches.",
)
reveal("01-company", "with the dark ones")
assert in_dark.mean() > in_bright.mean() + 0.3

# %% [markdown] tags=["core"] minutes=3
# One picture, one layer, two results. Among dark pictures it lies far above the mean, so it comes out bright.
#
# For a drawing tool that would be absurd: your picture must not depend on what somebody else draws. So during
# training the layer also keeps **running averages** of mean and variance, and in evaluation (`layer.eval()`) it uses
# those:
#
# running = 0.9 · running + 0.1 · new
#
# They start at 0 and 1. What is the running *variance* after our four numbers, 1, 7, 7, 9? (A number.)

# %% tags=["nbval-check-output"]
predict("01-running", ...)
layer = BatchNorm2d(1)
layer(four)
print(f"running mean     {layer.running_mean.item():.3f}")
print(f"running variance {layer.running_var.item():.3f}")
reveal("01-running", layer.running_var.item())

# %% [markdown]
# The mean is 0.9 · 0 + 0.1 · 6. But 0.9 · 1 + 0.1 · 9 would be 1.8. The layer took 12 where the variance was 9. It
# *normalises* with the **biased** variance, 36 / 4, and *stores* the **unbiased** one, 36 / (4 - 1). torch does the
# same. For 64 x 128 pixels nobody can tell them apart; for four numbers everybody can.

# %%
reference = nn.BatchNorm2d(1)
reference(four)
for name in ["running_mean", "running_var", "num_batches_tracked"]:
    assert torch.allclose(getattr(layer, name), getattr(reference, name)), name

# %% [markdown]
# ### Deep dive: why the unbiased variance?
#
# The mean is computed from the same numbers, so they lie a little closer to it than to the true mean, and the
# variance comes out too small, on average by the factor (n - 1) / n. Draw samples of n numbers whose true variance is
# 1, many times, and average both formulas.

# %%
torch.manual_seed(0)
sizes = [2, 3, 4, 6, 8, 12, 16, 24, 32]
draws = [torch.randn(20000, n) for n in sizes]
biased = torch.stack([d.var(dim=1, correction=0).mean() for d in draws])
unbiased = torch.stack([d.var(dim=1, correction=1).mean() for d in draws])
theory = torch.tensor([(n - 1) / n for n in sizes])
lines = {"divided by n": biased, "divided by n - 1": unbiased}
show.curves(lines, sizes, xlabel="n, numbers in a sample", ylabel="mean variance", caption="The true variance is 1.")
for n, measured, expected in list(zip(sizes, biased, theory))[:4]:
    print(f"n = {n}: measured {measured:.2f}, (n - 1) / n = {expected:.2f}")
assert (biased - theory).abs().max() < 0.05 and (unbiased - 1).abs().max() < 0.05

# %% [markdown]
# ### Deep dive: how long does it remember?
#
# Each step keeps 90 % of the running average. Feed random batches of four pictures and watch the running mean of one
# channel. The start, 0, counts for less and less; the second cell says after how many steps less than 5 % is left.

# %%
layer, means, running = BatchNorm2d(3).to(lab.device), [], []
generator = torch.Generator().manual_seed(0)
for _ in range(80):
    x4 = images[torch.randperm(24, generator=generator)[:4]]
    layer(x4)
    means.append(float(x4[:, 2].mean()))
    running.append(float(layer.running_mean[2]))
truth = [float(images[:, 2].mean())] * 80
show.curves(
    {"this batch": means, "running average": running, "all pictures": truth},
    xlabel="step",
    ylabel="mean of blue",
    caption="The mean of blue in each batch, its running average, and the mean over all pictures.",
)

# %% tags=["nbval-check-output"]
steps = next(n for n in range(100) if 0.9**n < 0.05)
print("0.9 to the power of", steps, "is the first below 0.05")

# %% [markdown]
# ### Evaluation
#
# Now train the averages on all pictures, switch to evaluation, and normalise one picture alone and in company. It
# must come out the same, and it does. Forgetting `eval()` is one of the most common mistakes with batch norm: no
# error, just worse and unsteady pictures.

# %% tags=["nbval-check-output"]
layer = BatchNorm2d(3).to(lab.device)
for four_pictures in images.split(4):
    layer(four_pictures)
layer.eval()
alone, in_company = layer(me)[0], layer(torch.cat([me, bright]))[0]
print("evaluation, same result in any company:", torch.allclose(alone, in_company, atol=1e-6))
layer.train()
alone, in_company = layer(me)[0], layer(torch.cat([me, bright]))[0]
print("training, same result in any company:  ", torch.allclose(alone, in_company, atol=1e-6))

# %% [markdown]
# ### Deep dive: too little company
#
# With a single number in a channel the mean is the number itself and the result is 0, always. There is nothing to
# learn from that, so the layer refuses. You meet it at a batch of one where the map has shrunk to 1 x 1.

# %% tags=["nbval-check-output"]
try:
    BatchNorm2d(8)(torch.randn(1, 8, 1, 1))
except ValueError as error:
    print(error)

# %% [markdown]
# ### Deep dive: the variance in one pass or in two
#
# The paper's equation (3) is the textbook short cut, E[x²] - (E[x])². It is exact on paper and takes one pass. In
# float32 it subtracts two large, nearly equal numbers. Add more and more to numbers of variance 1 and see at which
# offset the short cut breaks.

# %%
torch.manual_seed(0)
numbers = torch.randn(10000)
offsets = [0, 10, 100, 1000, 10000]
short_cut = [float(((numbers + o) ** 2).mean() - (numbers + o).mean() ** 2) for o in offsets]
two_passes = [float(((numbers + o) - (numbers + o).mean()).square().mean()) for o in offsets]
for o, a, b in zip(offsets, short_cut, two_passes):
    print(f"offset {o:6}: short cut {a:10.3f}   two passes {b:.3f}")
assert max(abs(b - 1) for b in two_passes) < 0.1

# %% [markdown]
# The package takes two passes for this reason (`batch_statistics`).

# %% [markdown]
# ## What a norm throws away
#
# Back to the four numbers. Replace x by 2x + 100. Its mean is 112, its standard deviation 6. Work out the normalised
# numbers, then look.

# %%
inputs = [x, 2 * x + 100, 0.5 * x - 20]
outputs = [InstanceNorm2d(1)(v[None, None])[0, 0] for v in inputs]
show.maps(
    outputs, ["norm(x)", "norm(2x + 100)", "norm(0.5x - 20)"], numbers=True, caption="Instance norm of three inputs."
)
assert all(torch.allclose(o, outputs[0], atol=1e-4) for o in outputs)

# %% [markdown]
# Three inputs, one output. A norm can't tell x from any a · x + b with a > 0: brightness and contrast of a channel are
# gone. Now a street: as it is, at half the contrast, tinted, and almost dark.

# %%
tint = torch.tensor([0.4, 1.0, 0.2], device=lab.device)[:, None, None]
street = images[order[16]]
versions = torch.stack([street, street * 0.5, (street + 1) * tint - 1, (street + 1) * 0.2 - 1])
normed = InstanceNorm2d(3)(versions)
show.pictures(
    [*versions, *(normed / 3)],
    ["original", "half contrast", "tinted", "almost dark"],
    caption="Above: the inputs. Below: after instance norm.",
)
assert (normed - normed[0]).abs().max() < 0.01

# %% [markdown] tags=["core"] minutes=2
# One picture, four times. The *structure* survives: edges, textures, what is lighter than what. The *level* is gone.
# For photographs that is often welcome. But think of the extreme case: a picture of a single colour. What is left of
# five uniform pictures? (A few words.)

# %% tags=["core"] minutes=3
predict("01-uniform", ...)
names = [name for name in ("sky", "road", "vegetation", "building", "car") if name in lab.labels.names]
ids = torch.tensor([lab.labels.id(name) for name in names])
colours = lab.labels.colourise(ids).float() / 127.5 - 1  # (5, 3)
uniform = colours[:, :, None, None].expand(-1, -1, 16, 32)  # (5, 3, 16, 32)
result = InstanceNorm2d(3)(uniform)
show.pictures([*uniform, *result], names, columns=5, width=1.9, caption="Five pictures, and their instance norm.")
reveal("01-uniform", "five times the same grey")
assert result.abs().max() < 1e-3

# %% [markdown]
# All zero, whatever the colour was: the mean *is* the value, and the value minus itself is 0. Gamma and beta don't
# help, for they are the same for all five: 0 · gamma + beta = beta.
#
# Now replace "colour" by "class". This is the example that the SPADE paper argues with (section 3).

# %% [markdown] tags=["core"] minutes=3
# ## The same with a label map
#
# A label map that is sky everywhere, and one that is road everywhere: one-hot, then one convolution with random
# weights, then a norm. A convolution of a constant is a constant (the padding repeats the border here, so the rim is
# no exception). Where can you still tell sky from road: "after the convolution", "after instance norm", "after both",
# or "after neither"?

# %%
from spade_edu import one_hot

predict("01-class", ...)
torch.manual_seed(0)
sky, road = lab.labels.id("sky"), lab.labels.id("road")
label = torch.stack([torch.full((16, 32), sky), torch.full((16, 32), road)])
segmap = one_hot(label, lab.labels.num_ids)  # (2, ids, 16, 32)
conv = nn.Conv2d(lab.labels.num_ids, 4, 3, padding=1, padding_mode="replicate")
nn.init.normal_(conv.weight, std=0.3)
activation = conv(segmap).detach()  # (2, 4, 16, 32)

# %% tags=["core"] minutes=3
rows = [activation, InstanceNorm2d(4)(activation), BatchNorm2d(4)(activation).detach()]
tiles = [row[image, channel] for row in rows for image in (0, 1) for channel in (0, 1)]
names = [f"{row}, {image}" for row in ("conv", "instance", "batch") for image in ("sky", "sky", "road", "road")]
titles = [f"{name}: {tile.mean().round(decimals=2) + 0:.2f}" for name, tile in zip(names, tiles)]
show.maps(tiles, titles, caption="Two channels of the sky map and of the road map, with their means.")
reveal("01-class", "after the convolution")
assert rows[1].abs().max() < 1e-3 < (rows[0][0] - rows[0][1]).abs().max()

# %% tags=["nbval-check-output"]
for name, row in zip(["convolution", "instance norm", "batch norm"], rows):
    difference = (row[0] - row[1]).abs().max()
    print(f"{name:13} sky and road differ: {bool(difference > 1e-2)}")

# %% [markdown] tags=["core"] minutes=3
# Instance norm has erased the class: both maps are the same zeros. A network that continues from here cannot know
# whether to paint sky or road. Batch norm keeps the difference, but only because the *other* image of the batch was
# of another class.

# %% tags=["nbval-check-output"]
norm = BatchNorm2d(4)
for count, company in [(2, activation), (1, activation[:1])]:
    print(f"batch of {count}: sky erased: {bool(norm(company)[0].abs().max() < 1e-2)}")
norm.eval()
print("evaluation: sky erased:", bool(norm(activation[:1])[0].abs().max() < 1e-2))

# %% [markdown]
# In evaluation batch norm is a fixed scale and shift and erases nothing. The argument of the paper is about
# *instance* norm, which pix2pixHD uses, and about training on single images. Stage 04 follows the erased class
# through both trained generators.

# %% [markdown]
# ### Deep dive: the gradient knows it, too
#
# What can't change the output gets no gradient. Since norm(x + b) = norm(x), the gradient with respect to x must sum
# to 0; since norm(a x) = norm(x), it must be orthogonal to the centred x. (With a large eps the first still holds; the
# second doesn't, as then a larger x is divided by relatively less.)

# %%
v = torch.tensor([1.0, 7.0, 7.0, 9.0], requires_grad=True)
target = torch.tensor([1.0, -2.0, 0.5, 3.0])
(InstanceNorm2d(1)(v.reshape(1, 1, 2, 2)).flatten() * target).sum().backward()
show.maps(
    [target.reshape(2, 2), v.grad.reshape(2, 2)],
    ["gradient of the output", "gradient of x"],
    numbers=True,
    caption="What comes in from above, and what reaches x.",
)
print(f"sum {abs(v.grad.sum()):.4f}, along the centred x {abs(v.grad @ (v - 6).detach()):.4f}")
assert abs(v.grad.sum()) < 1e-5 and abs(v.grad @ (v - 6).detach()) < 1e-4

# %% [markdown]
# ## Giving something back: conditional batch norm
#
# If the norm erases what class a picture has, tell it again, *after* the norm. **Conditional batch norm** (Dumoulin
# 2017) keeps a table with one gamma and one beta for every class and channel; the class of the image picks the row.
# Take our four numbers three times, as classes 0, 1 and 2.

# %%
from spade_edu.normalization import ConditionalBatchNorm2d

layer = ConditionalBatchNorm2d(1, num_classes=3)
with torch.no_grad():
    layer.gamma.copy_(torch.tensor([[1.0], [2.0], [0.0]]))  # (classes, channels)
    layer.beta.copy_(torch.tensor([[0.0], [10.0], [-5.0]]))
    out = layer(four.expand(3, 1, 2, 2), torch.tensor([0, 1, 2]))  # (3, 1, 2, 2)
show.maps(
    out[:, 0],
    ["class 0: 1, 0", "class 1: 2, 10", "class 2: 0, -5"],
    numbers=True,
    caption="One input, three classes. Above each: gamma, beta.",
)

# %%
by_hand = torch.stack([1 * y + 0, 2 * y + 10, 0 * y - 5])
assert torch.allclose(out[:, 0], by_hand, atol=1e-4)

# %% [markdown]
# One row for the whole image: fine for "a picture of a dog", useless for a street, which is sky above and road below.
# Hold that thought for stage 03: SPADE is what you get when every *pixel* picks its own row.

# %% [markdown]
# ## Adaptive instance norm
#
# **AdaIN** (Huang & Belongie 2017) takes mean and standard deviation (here "deviation" for short) from another picture,
# the style. If a norm takes level
# and contrast away, AdaIN puts somebody else's in their place:
#
# AdaIN(x, s) = deviation(s) · (x - mean(x)) / deviation(x) + mean(s)
#
# Usually x and s are features deep in a network. Try it on bare colours, and look at what changes and what doesn't.

# %%
from spade_edu.normalization import adain

content = images[order[16]][None]
styles = images[order[[0, 8, 20]]]  # (3, 3, 64, 128), from dark to bright
mean, deviation = styles.mean(dim=(2, 3)), styles.std(dim=(2, 3), correction=0)  # (3, 3) each
restyled = adain(content.expand(3, -1, -1, -1), mean, deviation)
show.pictures(
    [content[0], *styles, InstanceNorm2d(3)(content)[0] / 3, *restyled],
    ["content", "style 1", "style 2", "style 3"],
    caption="Below: the normalised content, then with each style's mean and deviation.",
)

# %%
assert torch.allclose(restyled.mean(dim=(2, 3)), mean, atol=1e-4)
assert torch.allclose(restyled.std(dim=(2, 3), correction=0), deviation, atol=1e-3)
expected = InstanceNorm2d(3)(content) * deviation[:, :, None, None] + mean[:, :, None, None]
assert torch.allclose(restyled, expected, atol=1e-4)

# %% [markdown]
# The light of the style arrives; its objects don't. Mean and deviation are two numbers per channel for the whole
# picture: AdaIN can make a street dusky, but it can't make only the sky red. FiLM (Perez et al. 2018) is the same with
# numbers from any condition, a sentence for instance; SFT (Wang et al. 2018) gives each pixel its own, from a map of
# class probabilities. SFT is SPADE's nearest relative, without the norm.

# %% [markdown]
# ## All of them in one table
#
# | layer | mean and deviation over | gamma and beta come from | differ by pixel? |
# |---|---|---|---|
# | batch norm | batch and pixels | learned | no |
# | instance norm (pix2pixHD) | pixels | none | no |
# | conditional batch norm | batch and pixels | a table, by the image's class | no |
# | AdaIN | pixels | a style image | no |
# | SFT | no norm | class probabilities, by convolutions | **yes** |
# | SPADE | batch and pixels | the label map, by convolutions | **yes** |

# %% [markdown]
# ## Deep dive: two halves of a batch
#
# The paper trains on eight GPUs, four images on each. Plain batch norm then takes its statistics from four images;
# **synchronised** batch norm from all 32. How do machines agree on a mean and a variance without sending pixels? Take
# two halves: 1, 3 and 9, 11. Is the variance of all four the mean of the two variances?

# %% tags=["nbval-check-output"]
halves = [torch.tensor([1.0, 3.0]), torch.tensor([9.0, 11.0])]
together = torch.cat(halves)
means, variances = [h.mean().item() for h in halves], [h.var(correction=0).item() for h in halves]
print("each half: means", means, "variances", variances)
print("together:  mean", together.mean().item(), "variance", together.var(correction=0).item())

# %% [markdown]
# The means average to 6, as they should; the variances don't: 1 and 1, but 17 together. What is missing is how far
# the halves lie apart, (2 - 6)² = (10 - 6)² = 16. So the machines exchange **sums**: first of the values and their
# number, which gives the common mean; then of the squared distances from *that*.


# %%
def synced_statistics(parts):
    count = sum(part.numel() for part in parts)  # first exchange: numbers and sums
    mean = sum(part.sum() for part in parts) / count
    squares = sum((part - mean).square().sum() for part in parts)  # second exchange
    return mean, squares / count


mean, variance = synced_statistics(halves)
assert (mean, variance) == (6, 17)

# %%
apart = torch.cat([(h - h.mean()) / h.std(correction=0) for h in halves])
synced = (together - mean) / variance.sqrt()
rows = [together[None], apart[None], synced[None]]
show.maps(
    rows,
    ["values: half 1 | half 2", "each half by itself", "synchronised"],
    columns=1,
    numbers=True,
    caption="Four numbers on two machines, normalised in two ways.",
)

# %% [markdown]
# Each half by itself has lost what set the halves apart: both became -1 and 1. `SyncBatchNorm` in the package does
# these two exchanges between processes (a test runs two of them); with a single process it is plain batch norm:

# %% tags=["nbval-check-output"]
from spade_edu import SyncBatchNorm

sync, plain = SyncBatchNorm(3), BatchNorm2d(3)
print("same output with one process:", torch.allclose(sync(random), plain(random), atol=1e-5))
print("same running variance:       ", torch.allclose(sync.running_var, plain.running_var))

# %% [markdown]
# ### Deep dive: how much does a small batch scatter?
#
# Batch statistics are estimates. Draw batches of 1, 2, 4, 8 and 16 pictures and look at how far the mean of the red
# channel scatters from batch to batch. If the images were independent, the scatter would fall with the root of the
# batch size.

# %%
generator = torch.Generator().manual_seed(0)
reds = images[:, 0].mean(dim=(1, 2)).cpu()
sizes = [1, 2, 4, 8, 16]
scatter = [reds[torch.randint(24, (4000, n), generator=generator)].mean(dim=1).std() for n in sizes]
expected = [float(reds.std(correction=0)) / n**0.5 for n in sizes]
lines = {
    "scatter of the mean": scatter,
    "times the root of the batch size": [s * n**0.5 for s, n in zip(scatter, sizes)],
}
show.curves(
    lines, sizes, xlabel="pictures in a batch", ylabel="scatter", caption="If the law holds, the second is flat."
)
assert torch.allclose(torch.tensor(scatter), torch.tensor(expected), rtol=0.1)

# %% [markdown]
# A batch of 16 knows its mean four times as well as a single picture. This is one reason for the paper's batch of 32
# with synchronised norms. In its Table 5, "pix2pixHD++ w/o SyncBN" falls from 32.7 to 27.4 mIoU on COCO-Stuff. (Which
# norm that row has instead isn't stated; this course takes instance norm.)

# %% [markdown]
# ## Play with it
#
# Choose a gamma and a beta for each colour channel, and look. The last column is tinted, the one before it a single
# colour. Try to undo the tint with batch norm, then with instance norm. Try to give the uniform picture its colour back
# without changing the others.

# %%
tinted = (images[2] + 1) * tint - 1
mixed = torch.stack([images[0], images[1], uniform[0, :, :1, :1].expand_as(tinted).to(lab.device), tinted])
gamma = torch.tensor([0.30, 0.30, 0.40], device=lab.device)[:, None, None]  # red, green, blue
beta = torch.tensor([-0.2, -0.1, 0.2], device=lab.device)[:, None, None]
normed = {"batch": BatchNorm2d(3, affine=False).to(lab.device)(mixed), "instance": InstanceNorm2d(3)(mixed)}
tiles = [picture * gamma + beta for name in normed for picture in normed[name]]
show.pictures([*mixed, *tiles], caption="Inputs; batch norm; instance norm, all with your gamma and beta.")

# %% [markdown]
# ## Summary
#
# - A norm subtracts a mean and divides by a deviation; batch norm takes both per channel over images and pixels,
#   instance norm over the pixels of one image.
# - It normalises with the biased variance; the running variance for evaluation is unbiased, with momentum 0.1.
# - In training a picture's result depends on the batch, in evaluation it doesn't.
# - Level and contrast of a channel are thrown away; instance norm turns every uniform map into zeros, whatever its
#   class.
# - Conditional norms give something back after the norm, but the same for all pixels. SPADE gives it back pixel by
#   pixel.

# %% [markdown]
# ## Questions
#
# 1. A bias before a batch norm (a convolution's) has no effect in training. Why?
#
# <details><summary>Answer</summary>It shifts the whole channel, and the norm subtracts the channel's mean. pix2pixHD
# keeps such biases all the same; SPADE's pix2pixHD++ leaves them out.</details>
#
# 2. You train with batches of one and batch norm. Is it instance norm?
#
# <details><summary>Answer</summary>In training yes, apart from gamma and beta. In evaluation no: batch norm then uses
# running averages over many pictures.</details>
#
# 3. Could beta alone, one number per class for the whole image, paint a street?
#
# <details><summary>Answer</summary>No. A street has several classes; every pixel needs the beta of its own class.
# That is SPADE.</details>

# %% [markdown]
# ## Next
#
# **Exercise:** [01_batchnorm](../exercises/01_batchnorm.ipynb): write the statistics, the running averages, batch
# norm and instance norm, then the conditional and the adaptive one; and both norms as parts of your file.
#
# **Stage 02** builds pix2pixHD, the strongest network before SPADE, with an instance norm after nearly every
# convolution. You already know what that does to a uniform label map.
