# %% [markdown] tags=["core"] minutes=2
# # 03 · The SPADE layer
#
# Afterwards you can compute a SPADE layer by hand, read its `gamma` and `beta` maps, say which older layers it contains
# as special cases, and say where it does more than a network that is simply given the label map.
#
# **Time:** runs in about 34 seconds on two CPU cores (measured); the core path takes a class 45 minutes. Not timed on a
# GPU (`python tools/notebooks.py test 03` does it there). Trained networks come with it.
#
# **Builds on:** stage 00 (one-hot label maps) and stage 01 (batch norm).

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

lab = course.start("03")

# %% [markdown]
# ## What you are about to build
#
# Below: a label map, also called a **mask**, and what one trained SPADE layer makes of it. For every pixel and every
# channel the layer computes a factor, `1 + gamma`, and a shift, `beta`. Red means above zero, blue below.

# %% tags=["core"] minutes=2
import torch

networks, source = lab.networks("spade")
generator = networks.generator
batch, sample = lab.batch(4)
layer, channel = generator.up_2.norm_1, 4
with torch.no_grad():
    gamma, beta = layer.modulation(batch["segmap"], lab.size)  # (4, 36, h, w) -> two of (4, c, h, w)
show.label_map(sample.label[2], lab.labels, caption="The label map goes in ...")
pair = [v[2, channel] / v[2, channel].abs().max() for v in (gamma, beta)]
show.maps(pair, ["gamma", "beta"], caption=f"... and these come out, each over its largest value ({source}).")

# %% [markdown]
# Whole regions have one colour: the layer treats a class alike wherever it stands, and classes that share a colour are
# treated alike too. Thin lines follow the borders.

# %% [markdown]
# Here is the layer that did it, as a drawing (the paper's Figures 2 and 10). The activations x are
# normalised; the mask says how to scale and to shift them, pixel by pixel.

# %% tags=["core"] minutes=2
from spade_edu.course import schematics

schematics.spade_layer()

# %% [markdown] tags=["core"] minutes=2
# ## By hand, on 4 x 4 pixels
#
# The recipe has three steps (paper, equation 1; the code adds the 1):
#
# $$\text{out} = \hat x\,(1 + \gamma(m)) + \beta(m), \qquad \hat x = \frac{x - \mu}{\sigma}$$
#
# Take a mask with three classes: sky 0, tree 1, road 2.

# %% tags=["core"] minutes=1
mask = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 2, 2]])
x = torch.tensor([[0.0, 4, 0, 4], [4, 0, 4, 0], [0, 4, 0, 4], [4, 0, 4, 0]])
titles = ["mask m: ids", "activations x"]
show.maps([mask, x], titles, ids=1, numbers=True, diverging=False, caption="The layer's two inputs.")

# %% [markdown] tags=["core"] minutes=2
# **Step 1: normalise.** Half of the sixteen values are 0 and half are 4. Work out mean and standard deviation first,
# and what 0 and 4 become.

# %% tags=["nbval-check-output"]
from spade_edu.normalization import batch_statistics

mean, variance = batch_statistics(x[None, None])  # (1, 1, 4, 4) -> one number a channel
x_hat = (x - mean) / variance.sqrt()
print(f"mean {mean.item():g}, deviation {variance.sqrt().item():g}")
print(x_hat.int())

# %% [markdown] tags=["core"] minutes=3
# So far this is batch norm, and the mask has had no say. **Step 2: gamma and beta from the mask.** The mask goes in
# one-hot. A 1x1 convolution on a one-hot map is a look-up: each pixel picks the weight of its own class. Set the
# weights by hand: gamma 1 for sky, 0 for tree, -1 for road; beta 0, 5, -5.

# %% tags=["core"] minutes=2
from spade_edu import one_hot
from torch.nn import functional as F

segmap = one_hot(mask[None], 3)  # (1, 4, 4) -> (1, 3, 4, 4)
table_gamma, table_beta = torch.tensor([1.0, 0, -1]), torch.tensor([0.0, 5, -5])
gamma = F.conv2d(segmap, table_gamma.view(1, 3, 1, 1))[0, 0]
beta = F.conv2d(segmap, table_beta.view(1, 3, 1, 1))[0, 0]
assert torch.equal(gamma, table_gamma[mask]) and torch.equal(beta, table_beta[mask])
show.maps([gamma, beta], ["gamma", "beta"], numbers=True, caption="With a 1x1 kernel.")

# %% [markdown] tags=["core"] minutes=3
# **Step 3: scale and shift.** Fill in one pixel of each class yourself. What happens to the road's texture, where
# `1 + gamma` is zero? (A few words.)

# %% tags=["core", "nbval-check-output"] minutes=2
from spade_edu.course import claim, predict, reveal

predict("03-road", ...)
out = x_hat * (1 + gamma) + beta
print(out.int())

# %% tags=["core"] minutes=2
tiles = [x_hat, 1 + gamma, beta, out]
titles = ["x normalised", "1 + gamma", "beta", "out"]
show.maps(tiles, titles, numbers=True, caption="The three steps.")
reveal("03-road", "it is gone: flat, at -5")

# %% [markdown]
# Sky: contrast doubled. Tree: lifted by 5. Road: flat. One channel, three different fates, decided by the mask alone.
# The checkerboard stands for what earlier layers have made; SPADE keeps it, amplifies it or wipes it out, **region by
# region**. Batch norm's gamma and beta would have done one and the same thing to all sixteen pixels.

# %% [markdown]
# ## The same numbers from the layer
#
# The package's layer has one stage more: a hidden layer, shared by gamma and beta, with ReLU. Give it three hidden
# channels that pass the one-hot map through, then load your weights.

# %%
from spade_edu import SPADE, InstanceNorm2d


@torch.no_grad()
def hand_set(kernel_size, shared, gamma, beta):
    """A layer with one channel, three classes and the weights given."""
    layer = SPADE(1, 3, kernel_size=kernel_size, hidden_channels=3)
    for convolution, weight in [(layer.mlp_shared[0], shared), (layer.mlp_gamma, gamma), (layer.mlp_beta, beta)]:
        convolution.weight.copy_(weight)
        convolution.bias.zero_()
    return layer


# %% tags=["nbval-check-output"]
identity = torch.eye(3).view(3, 3, 1, 1)
by_layer = hand_set(1, identity, table_gamma.view(1, 3, 1, 1), table_beta.view(1, 3, 1, 1))
y = by_layer(x[None, None], segmap)[0, 0].detach()  # (1, 1, 4, 4) and (1, 3, 4, 4) -> (1, 1, 4, 4)
torch.testing.assert_close(y, out, atol=1e-4, rtol=0)
print(y.round().int())

# %% [markdown] tags=["core"] minutes=3
# ## A 3x3 kernel looks around
#
# SPADE's default is 3x3. Let gamma's kernel hold a one for every tree pixel it sees, and zero for the rest: gamma
# then **counts the trees in the 3x3 window**. What will the upper right corner, a tree, say? (A number.)

# %% tags=["core", "nbval-check-output"] minutes=2
predict("03-corner", ...)
counts = torch.zeros(1, 3, 3, 3)
counts[0, 1] = 1  # class 1: tree, all nine taps
trees = F.conv2d(segmap, counts, padding=1)[0, 0]
print(trees.int())
reveal("03-corner", trees[0, 3].item())

# %%
show.maps(
    [mask, trees],
    ["mask", "gamma: trees in the 3x3 window"],
    ids=1,
    numbers=True,
    diverging=False,
    caption="A 3x3 kernel that counts trees.",
)

# %%
middle = torch.zeros(3, 3, 3, 3)
middle[:, :, 1, 1] = torch.eye(3)  # the hidden layer passes the mask on
counting = hand_set(3, middle, counts, torch.zeros(1, 3, 3, 3))
gamma_layer, _ = counting.modulation(segmap, (4, 4))
assert torch.equal(gamma_layer[0, 0].detach(), trees)
y = counting(x[None, None], segmap)[0, 0].detach()
torch.testing.assert_close(y, x_hat * (1 + trees), atol=1e-4, rtol=0)

# %% [markdown]
# Layer and hand agree. Sky beside a tree gets another gamma than sky far from one, and so does road below a tree. Two
# things to keep. Tree pixels at the border get another gamma than those inside, so a trained layer can paint edges. And
# the rim of the picture shows: outside there are zeros, which belong to no class, so the corner tree counts only four.
# Stage 04 comes back to that.

# %% [markdown] tags=["core"] minutes=2
# ## The class
#
# All of it in a dozen lines. Compare with the figure in the paper (Figure 10): mask, convolution, ReLU, then two
# convolutions side by side. The norm has no parameters of its own (`affine=False`), because gamma and beta are the
# mask's business now. The hidden width is 128 in the official code, whatever the number of channels.

# %% tags=["core"] minutes=3
from torch import nn


class MySPADE(nn.Module):
    def __init__(self, features, labels, kernel=3, hidden=128):
        super().__init__()
        self.norm = nn.BatchNorm2d(features, affine=False)
        self.shared = nn.Conv2d(labels, hidden, kernel, padding=kernel // 2)
        self.gamma = nn.Conv2d(hidden, features, kernel, padding=kernel // 2)
        self.beta = nn.Conv2d(hidden, features, kernel, padding=kernel // 2)

    def forward(self, x, segmap):
        segmap = F.interpolate(segmap, size=x.shape[2:], mode="nearest")
        hidden = F.relu(self.shared(segmap))  # (n, l, h, w) -> (n, 128, h, w)
        return self.norm(x) * (1 + self.gamma(hidden)) + self.beta(hidden)  # (n, c, h, w)


# %% [markdown]
# Is that the package's layer? Give both the same weights and look.

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
theirs = SPADE(64, lab.labels.num_channels)
mine = MySPADE(64, lab.labels.num_channels)
names = {"shared": "mlp_shared.0", "gamma": "mlp_gamma", "beta": "mlp_beta"}
for name, other in names.items():
    getattr(mine, name).load_state_dict(theirs.get_submodule(other).state_dict())
a, street = torch.randn(4, 64, 16, 32), batch["segmap"].cpu()
torch.testing.assert_close(mine(a, street), theirs(a, street), atol=1e-4, rtol=1e-4)
print("in", tuple(a.shape), "out", tuple(mine(a, street).shape))

# %% [markdown]
# Where do the parameters sit, for 64 channels and for 1024?

# %% tags=["nbval-check-output"]
print("channels   shared    gamma     beta      all")
for channels in [64, 1024]:
    shared = 36 * 128 * 9 + 128
    each = 128 * channels * 9 + channels
    layer = SPADE(channels, 36)
    assert sum(p.numel() for p in layer.parameters()) == shared + 2 * each
    print(f"{channels:8} {shared:8,} {each:8,} {each:8,} {shared + 2 * each:9,}")

# %% [markdown]
# ## Why 1 + gamma?
#
# The paper multiplies by gamma, the official code by 1 + gamma. The functions that both can learn are the same; the
# **start** differs. The official initialisation draws weights near zero (Glorot with gain 0.02, biases 0), so gamma
# and beta begin near zero. What does the layer do on its first step, with and without the 1? (A few words.)

# %%
from spade_edu.initialisation import init_spade

predict("03-start", ...)
torch.manual_seed(0)
fresh = init_spade(SPADE(16, lab.labels.num_channels).to(lab.device))
picture = F.avg_pool2d(batch["image"], 2)[:, :1].expand(-1, 16, -1, -1)  # (4, 16, h/2, w/2), the red channel
with torch.no_grad():
    gamma, beta = fresh.modulation(batch["segmap"], picture.shape[-2:])
    plain = fresh.param_free_norm(picture)
tiles = [plain[0, 0], (plain * (1 + gamma) + beta)[0, 0], (plain * gamma + beta)[0, 0]]
titles = ["plain norm", "x (1 + gamma) + beta", "x gamma + beta"]
show.maps(tiles, titles, caption="The layer at the official initialisation, in three forms.")
reveal("03-start", "with the 1 a plain norm; without it hardly a signal")

# %%
strength = {"norm": plain, "with 1 + gamma": plain * (1 + gamma) + beta, "with gamma": plain * gamma + beta}
strength = {name: float(v.std()) for name, v in strength.items()}
show.bars(strength, ylabel="standard deviation of the output", caption="One layer at the official initialisation.")
assert abs(strength["with 1 + gamma"] - strength["norm"]) < 0.05 and strength["with gamma"] < 0.05
torch.testing.assert_close(fresh(picture, batch["segmap"]), plain * (1 + gamma) + beta, atol=1e-4, rtol=1e-4)

# %% [markdown]
# With the 1 the layer begins as a plain norm, without it with hardly a signal. Asked about it, the first author wrote
# that with the 1 the layer preserves normalised activations at the start, and that it doesn't really matter (official
# repository, issue 4). Runs of a few minutes, like those behind this course's stored weights, start gamma and beta
# larger (gain 1): from 0.02, gamma takes hundreds of steps to grow.

# %% [markdown]
# ## gamma and beta of a trained layer
#
# Back to the street, and to the trained generator. Six channels of its last SPADE layer, gamma only. Look for channels
# that single out a class, and for lines: there the layer has learned to treat a border, or an instance edge between
# two cars, unlike the inside. Most of gamma is below zero: this layer turns channels down more often than up.

# %%
layer = generator.up_3.norm_1
with torch.no_grad():
    gamma, beta = layer.modulation(batch["segmap"], lab.size)
strongest = gamma[2].std(dim=(1, 2)).argsort(descending=True)[:6]
show.maps(gamma[2, strongest], [f"channel {c}" for c in strongest], columns=3, caption="gamma of up_3.norm_1.")

# %% [markdown]
# Average gamma over the pixels of each class and you get a table: one row per class, one column per channel. It is the
# closest thing to what a class "means" to this layer.

# %%
import matplotlib.pyplot as plt


def class_means(maps, label):
    """Mean of each channel over the pixels of each class: (n, c, h, w), (n, h, w) -> (k, c)."""
    pixels, ids = maps.permute(0, 2, 3, 1).flatten(0, 2), label.flatten()
    return torch.stack([pixels[ids == k].mean(0) for k in ids.unique()])


ids = sample.label.unique()
table = class_means(gamma.cpu(), sample.label)
figure, ax = plt.subplots(figsize=(7, 4.2))
shown = ax.imshow(table, cmap="RdBu_r", vmin=-2, vmax=2, aspect="auto")
ax.set_yticks(range(len(ids)), [lab.labels.names[i] for i in ids])
ax.set(xlabel="channel")
ax.grid(False)
figure.colorbar(shown)
show.finish(figure, "Mean gamma by class and channel.")


# %% [markdown]
# How much of the variation of gamma does such a table explain, and how much lies *within* classes? The maps show what
# is left of one channel when the mean of its class is taken off at every pixel.


# %%
def share_within(maps, label):
    """Part of the variance of the maps that the pixel's class doesn't explain."""
    means = torch.zeros(int(label.max()) + 1, maps.shape[1])
    means[label.unique()] = class_means(maps, label)
    rest = maps - means[label].permute(0, 3, 1, 2)
    return float(rest.square().sum() / (maps - maps.mean(dim=(0, 2, 3), keepdim=True)).square().sum())


within = {}
for name in ["G_middle_0", "up_0", "up_1", "up_2", "up_3"]:
    with torch.no_grad():
        maps, _ = generator.get_submodule(name).norm_0.modulation(batch["segmap"], lab.size)
    within[name] = 100 * share_within(maps.cpu(), sample.label)
show.bars(within, ylabel="percent within classes", caption="Variance of gamma within classes, in norm_0 of each block.")
assert all(2 < share < 80 for share in within.values())

# %%
means = torch.zeros(int(sample.label.max()) + 1, maps.shape[1])
means[ids] = class_means(maps.cpu(), sample.label)
chosen = maps[2].std(dim=(1, 2)).argmax().cpu()
rest = maps[2, chosen].cpu() - means[sample.label[2], chosen]
show.maps(
    [maps[2, chosen], rest], [f"gamma, channel {chosen}", "minus the mean of its class"], caption="norm_0 of up_3."
)

# %% [markdown]
# Between a sixth and a half of gamma's variation lies within classes: at borders, at the rim of the picture and along
# instance edges, as the right map shows. The larger part depends on the class alone. So a layer that keeps only the
# table would do much of the work; a later section returns to that idea.

# %% [markdown]
# ### Deep dive: kernel 1 and kernel 3 at a border
#
# Two convolutions with kernel k let gamma look k - 1 pixels to each side. Walk across a border between two classes
# with layers of kernel 1, 3 and 5 (random weights), and count the pixels on which gamma differs from its value far
# away.

# %%
border = torch.zeros(1, 24, 48, dtype=torch.long)
border[:, :, 24:] = 1
profiles = {}
for kernel in [1, 3, 5]:
    torch.manual_seed(3)
    walker = SPADE(1, 2, kernel_size=kernel)
    gamma = walker.modulation(one_hot(border, 2), (24, 48))[0][0, 0].detach()  # (24, 48)
    profiles[f"kernel {kernel}"] = gamma[12]
show.curves(
    {name: values[16:32] for name, values in profiles.items()},
    x=range(-8, 8),
    xlabel="pixels from the border",
    ylabel="gamma",
    caption="gamma along a line across the border.",
)

# %% tags=["nbval-check-output"]
for name, profile in profiles.items():
    inside = profile[8:40]  # away from the rim of the picture
    far = torch.where(torch.arange(32) < 16, profile[12], profile[36])
    print(name, "border pixels:", int(((inside - far).abs() > 1e-6).sum()), "of 32")

# %% [markdown]
# 2 (k - 1) pixels, half on each side, exactly. That is the label context which the paper's Table 4 is about: SPADE with
# 1x1 kernels scored worse (section 4), and 5x5 costs half as many parameters again.

# %%
patch = batch["segmap"][2:3].cpu()
tiles = []
for kernel in [1, 3]:
    torch.manual_seed(1)
    tiles.append(SPADE(1, lab.labels.num_channels, kernel_size=kernel).modulation(patch, lab.size)[0][0, 0].detach())
show.maps(
    [t - t.mean() for t in tiles],
    ["kernel 1", "kernel 3"],
    columns=2,
    caption="gamma on a street, untrained.",
)

# %% tags=["nbval-check-output"]
vectors = patch[0].flatten(1).unique(dim=1).shape[1]  # different columns: class and edge together
values = tiles[0].mul(1e4).round().unique().numel()
print("kernel 1 gives no more values of gamma than label vectors:", values <= vectors)
print("kernel 3 gives more than ten times as many:", tiles[1].mul(1e4).round().unique().numel() > 10 * vectors)

# %% [markdown]
# ## The mask is resized by nearest neighbour
#
# A layer at 8 x 16 pixels needs the mask at 8 x 16. SPADE picks one pixel of every 8 x 8 block and doesn't average:
# every pixel keeps exactly one class. Bilinear resizing at this factor averages only the four pixels around the middle
# of the block, so most of its pixels are pure, too.

# %%
street = one_hot(sample.label[2:3], lab.labels.num_ids)
small = {mode: F.interpolate(street, size=(8, 16), mode=mode) for mode in ["nearest", "bilinear"]}
strongest = [values.amax(dim=1)[0] for values in small.values()]
pure = {mode: int((values.amax(dim=1) == 1).sum()) for mode, values in small.items()}
titles = [f"{mode}: {count} of 128 pixels pure" for mode, count in pure.items()]
show.maps(strongest, titles, columns=2, diverging=False, caption="The largest of a pixel's one-hot values.")


# %% [markdown]
# Two things differ between `nearest` and `bilinear`, not one. `nearest` takes the **upper left** pixel of each block,
# `bilinear` looks at the **middle**: half a block further. `nearest-exact` takes the pixel in the middle, so it has the
# shift without the averaging. How much of the change of gamma comes from which?


# %%
def gamma_of(mode):
    small = F.interpolate(batch["segmap"], size=(8, 16), mode=mode)
    with torch.no_grad():
        return generator.up_0.norm_0.modulation(small, (8, 16))[0][2].cpu()


corner, middle, average = (gamma_of(mode) for mode in ["nearest", "nearest-exact", "bilinear"])
tiles = [(a - b).square().mean(0).sqrt() for a, b in [(corner, middle), (middle, average)]]
titles = [f"the shift: {tiles[0].mean():.3f}", f"the averaging: {tiles[1].mean():.3f}"]
show.maps(tiles, titles, columns=2, diverging=False, caption="Change of gamma (root mean square over the channels).")

# %% [markdown]
# Most of what looks like "bilinear blurs the mask" is the half block. The averaging does less, at the few borders that
# pass through the middle of a block. What matters is that mask and features are sampled alike at every layer, in
# training and afterwards. The official code takes `nearest` everywhere, and so do we.

# %% [markdown]
# ## One layer learns
#
# Now train a single layer. Its input is noise, which knows nothing of the street. Its target: the same noise with a
# colour and a contrast of its own for each class. Three candidates: SPADE; batch norm, which never sees the mask; and a
# fair rival, two convolutions with as many weights as SPADE that get noise and mask side by side (**concatenation**).
# Order them: "SPADE", "concatenation" or "equal", which of the two that see the mask will be clearly better?

# %%
predict("03-one-layer", ...)
label = sample.label.to(lab.device)
noise = torch.randn(4, 3, *lab.size, generator=torch.Generator().manual_seed(0)).to(lab.device)


def task(seed):
    """Noise with a colour and a contrast for each class."""
    draw = torch.rand(2, lab.labels.num_ids, 3, generator=torch.Generator().manual_seed(seed)).to(lab.device)
    colours, contrast = 1.2 * draw[0] - 0.6, 0.4 * draw[1]
    return (noise * contrast[label].permute(0, 3, 1, 2)) + colours[label].permute(0, 3, 1, 2), colours, contrast


target, colours, contrast = task(0)
tiles = [lab.labels.colourise(label[2].cpu()), noise[2], target[2]]
show.pictures(tiles, ["mask", "input: noise", "target"], columns=3, width=3.4, caption="What the layer must do.")


# %%
class Concat(nn.Module):
    """Two convolutions on noise and mask side by side."""

    def __init__(self, hidden):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3 + lab.labels.num_channels, hidden, 3, padding=1), nn.ReLU(), nn.Conv2d(hidden, 3, 3, padding=1)
        )

    def forward(self, x, segmap):
        return self.layers(torch.cat([x, segmap], dim=1))


def fit(layer, *inputs, target, steps=150):
    """Train a layer towards the target; the loss of every step."""
    optimizer, losses = torch.optim.Adam(layer.parameters(), lr=0.02), []
    for _ in range(steps):
        loss = (layer(*inputs) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# %%
torch.manual_seed(0)
spade = SPADE(3, lab.labels.num_channels, hidden_channels=32).to(lab.device)
concat, batch_norm = Concat(32).to(lab.device), nn.BatchNorm2d(3).to(lab.device)
losses = {"SPADE": fit(spade, noise, batch["segmap"], target=target)}
losses["Concat"] = fit(concat, noise, batch["segmap"], target=target)
losses["batch norm"] = fit(batch_norm, noise, target=target)
show.curves(losses, xlabel="step", ylabel="mean squared error", log=True, caption="Three layers learn one task.")
print({name: f"{values[-1]:.4f}" for name, values in losses.items()})
print([f"{sum(p.numel() for p in layer.parameters()):,}" for layer in (spade, concat, batch_norm)], "numbers")
reveal("03-one-layer", "equal")


# %%
def concat_over_spade(seed):
    torch.manual_seed(seed)
    layers = [SPADE(3, lab.labels.num_channels, hidden_channels=32), Concat(32)]
    ends = [fit(layer.to(lab.device), noise, batch["segmap"], target=task(seed)[0])[-1] for layer in layers]
    return ends[1] / ends[0]


claim(
    "03-one-layer",
    "One layer of concatenation ends within three times the error of SPADE",
    concat_over_spade,
    at_most=3,
)

# %% [markdown]
# Batch norm can't do it: its six numbers are the same at every pixel. But that shows only that one must **see the
# mask**, not that one needs SPADE. Two plain convolutions that see it do about as well. So what is SPADE for?
#
# What SPADE's layer has learned can be read, at least: 1 + gamma should be the contrast and beta the colour of each
# class.

# %%
ids = sample.label.unique()
with torch.no_grad():
    gamma, beta = spade.modulation(batch["segmap"], lab.size)
found = [class_means(1 + gamma.cpu(), sample.label), class_means(beta.cpu(), sample.label)]
true = [contrast.cpu()[ids], colours.cpu()[ids]]
figure, axes = plt.subplots(1, 2, figsize=(8, 3.4))
for ax, name, a, b in zip(axes, ["1 + gamma", "beta"], true, found):
    ax.plot(a.flatten(), b.flatten(), "o", color=show.COLOURS["SPADE"], markersize=4)
    ax.axline((0, 0), slope=1, color="#888888", linewidth=1)
    ax.set(xlabel="true value of a class", ylabel="learned", title=name)
show.finish(figure, "Each dot is one class and channel; on the line, learned and true agree.")
weight = sample.label.flatten().bincount()[ids].float() > 500
assert (found[1] - true[1])[weight].abs().mean() < 0.1


# %% [markdown] tags=["core"] minutes=3
# ## Where SPADE differs: depth, with a norm in between
#
# One layer has no norm after the mask came in. A deep network has: pix2pixHD takes the mask once, at the bottom, and
# puts an instance norm after every convolution. Build both in miniature: three convolutions with an instance norm after
# each. One gets the mask at the bottom, the other in SPADE's place, at every norm. A third is the **control**: the mask
# at the bottom, and no norms. All three learn to paint each class in its colour, on streets.


# %%
class Deep(nn.Module):
    """Three convolutions; the mask comes in at the bottom, or at each norm (SPADE)."""

    def __init__(self, spade, norm=InstanceNorm2d, width=16):
        super().__init__()
        first = 3 if spade else 3 + lab.labels.num_ids
        same = dict(
            kernel_size=3, padding=1, padding_mode="replicate"
        )  # the rim of a uniform mask looks like its middle
        self.convs = nn.ModuleList(nn.Conv2d(first if i == 0 else width, width, **same) for i in range(3))
        self.norms = nn.ModuleList(norm(width) for _ in range(3))
        table = [nn.Conv2d(lab.labels.num_ids, 2 * width, 1) for _ in range(3 * spade)]  # SPADE with a 1x1 kernel
        self.gamma_beta, self.to_picture = nn.ModuleList(table), nn.Conv2d(width, 3, 1)

    def forward(self, x, segmap):
        x = x if self.gamma_beta else torch.cat([x, segmap], dim=1)
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms)):
            x = norm(conv(x))
            if self.gamma_beta:
                gamma, beta = self.gamma_beta[i](segmap).chunk(2, dim=1)
                x = x * (1 + gamma) + beta
            x = F.leaky_relu(x, 0.2)
        return self.to_picture(x)


# %%
small = sample.label[:, ::4, ::4].to(lab.device)  # (4, h/4, w/4)
small_segmap = one_hot(small, lab.labels.num_ids)
uniform = small.unique()[:, None, None].expand(-1, *small.shape[1:])  # a street of each class alone


def paint(net, label):
    noise = torch.randn(len(label), 3, *label.shape[1:], generator=torch.Generator().manual_seed(1)).to(lab.device)
    with torch.no_grad():
        return net(noise, one_hot(label, lab.labels.num_ids))


def learn_colours(seed, spade, norm=InstanceNorm2d):
    """A net that has learned the classes' colours on streets, and these colours."""
    torch.manual_seed(seed)
    colours = torch.rand(lab.labels.num_ids, 3, device=lab.device) * 1.6 - 0.8
    net, target = Deep(spade, norm).to(lab.device), colours[small].permute(0, 3, 1, 2)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(150):
        loss = (net(torch.randn_like(target), small_segmap) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net, colours


# %% [markdown] tags=["core"] minutes=1
# Then each paints streets of a single class. Which will still know the colours: "all", "all but the one with the mask
# at the bottom and norms", or "only SPADE"?

# %% tags=["core"] minutes=3
predict("03-depth", ...)
kinds = {"mask at the bottom": (False, InstanceNorm2d), "SPADE": (True, InstanceNorm2d)}
kinds["at the bottom, no norm"] = (False, lambda width: nn.Identity())
nets = {name: learn_colours(0, *kind) for name, kind in kinds.items()}
colours = nets["SPADE"][1]
rows = [colours[small].permute(0, 3, 1, 2)[:1], *(paint(net, small[:1]) for net, _ in nets.values())]
show.pictures([row[0] for row in rows], ["target", *nets], caption="A street.")

# %% tags=["core"] minutes=3
chosen = uniform[:: max(1, len(uniform) // 5)][:5]
rows = [colours[chosen].permute(0, 3, 1, 2), *(paint(net, chosen) for net, _ in nets.values())]
show.pictures(
    [tile for row in rows for tile in row],
    [lab.labels.names[int(k[0, 0])] for k in chosen],
    columns=5,
    width=1.8,
    caption="Masks of one class. Rows: target, mask at the bottom, SPADE, mask at the bottom without norms.",
)
reveal("03-depth", "all but the one with the mask at the bottom and norms")


# %%
def error_on_uniform(seed, kind):
    net, colours = learn_colours(seed, *kinds[kind])
    return float((paint(net, uniform).mean(dim=(2, 3)) - colours[uniform[:, 0, 0]]).square().mean())


def bottom_over(other):
    return lambda seed: error_on_uniform(seed, "mask at the bottom") / error_on_uniform(seed, other)


claim("03-depth", "On masks of one class the mask at the bottom errs more than SPADE", bottom_over("SPADE"), at_least=4)
claim(
    "03-cause",
    "The mask at the bottom errs more with norms than without",
    bottom_over("at the bottom, no norm"),
    at_least=4,
)

# %% [markdown] tags=["core"] minutes=2
# On a street all three are good: borders between classes survive a norm. A mask of one class adds the same number to
# every pixel of a channel. An instance norm subtracts it, whatever the class was, and what is left is the noise, made
# larger. No later layer can bring the class back. The control shows the cause: the same network without norms knows its
# colours. SPADE has the norms *and* knows them, because the mask comes in **after** each. Stage 04 finds the same in
# networks that were trained on pictures.

# %% [markdown]
# ## What SPADE contains: conditional batch norm
#
# Give the whole picture **one** label. Then gamma and beta are the same at every pixel (away from the rim), one number
# for each class and channel. That is conditional batch norm, known from style transfer and class-conditional GANs.
# `from_spade` reads the table off a SPADE layer; compare the two on three uniform maps.

# %%
from spade_edu.normalization import ConditionalBatchNorm2d, adain

torch.manual_seed(0)
layer = SPADE(1, 3)
nn.init.normal_(layer.mlp_gamma.weight, std=0.1), nn.init.normal_(layer.mlp_beta.weight, std=0.1)
conditional = ConditionalBatchNorm2d.from_spade(layer)
classes = torch.tensor([0, 1, 2])
uniform = one_hot(classes[:, None, None].expand(3, 12, 12), 3)  # (3, 3, 12, 12)
activations = torch.randn(3, 1, 12, 12)
with torch.no_grad():
    by_spade, by_table = layer(activations, uniform), conditional(activations, classes)

# %%
difference = (by_spade - by_table).abs()
tiles = [*by_spade[:, 0], *by_table[:, 0], *difference[:, 0]]
titles = [f"{name}, class {k}" for name in ["SPADE", "conditional BN", "difference"] for k in range(3)]
show.maps(tiles, titles, columns=3, caption="Three uniform masks.")
assert difference[..., 2:-2, 2:-2].max() < 1e-5 < 0.1 < difference.max()
assert by_table.mean(dim=(1, 2, 3)).std() > 0.01  # the classes do differ

# %% [markdown]
# ## And AdaIN
#
# Take **one image** a batch, so that batch statistics are that image's own. In the mask's place put features of a
# style, the same at every pixel. Then SPADE replaces the mean and deviation of each channel by what the style says:
# adaptive instance norm. Both reductions are in the paper (section 3).

# %%
torch.manual_seed(1)
layer = SPADE(3, 4, kernel_size=1)
nn.init.normal_(layer.mlp_gamma.weight, std=0.3), nn.init.normal_(layer.mlp_beta.weight, std=0.1)
content = F.avg_pool2d(batch["image"][2:3].cpu(), 2)  # (1, 3, h/2, w/2): N = 1
style = torch.randn(1, 4, 1, 1).expand(-1, -1, *content.shape[-2:])  # constant over the pixels
with torch.no_grad():
    gamma, beta = layer.modulation(style, (1, 1))
    by_spade = layer(content, style)
    by_adain = adain(content, mean=beta[:, :, 0, 0], deviation=1 + gamma[:, :, 0, 0])

# %%
tiles = [content[0], by_spade[0] / 2, by_adain[0] / 2]
show.pictures(tiles, ["content", "SPADE", "AdaIN"], columns=3, width=3.4, caption="One style, two layers.")
torch.testing.assert_close(by_spade, by_adain, atol=1e-5, rtol=1e-5)
torch.testing.assert_close(by_adain.mean(dim=(2, 3)), beta[:, :, 0, 0], atol=1e-3, rtol=0)

# %% tags=["nbval-check-output"]
inside = difference[..., 2:-2, 2:-2].max().item()
print("constant mask: equal to conditional batch norm inside the rim:", inside < 1e-5)
print("N = 1, constant style: equal to AdaIN:", torch.allclose(by_spade, by_adain, atol=1e-5))

# %% [markdown]
# So SPADE isn't one more norm beside the others. Conditional batch norm and AdaIN are what is left of it when you
# forbid gamma and beta to vary from pixel to pixel. What SPADE adds is the *where*: that is the first word of its
# name, spatially-adaptive.

# %% [markdown]
# ## A common misreading: batch norm is not spectral norm
#
# Figure 2 of the paper says "batch norm" inside SPADE, and the text says that spectral norm is applied "to all the
# layers". They share the word *norm*. **Batch norm divides activations** by their deviation. **Spectral norm divides
# weights** by their largest singular value.

# %%
from spade_edu import SpectralConv2d

torch.manual_seed(0)
plain = nn.Conv2d(16, 16, 3, padding=1)
nn.init.normal_(plain.weight, std=0.1)
spectral = SpectralConv2d(16, 16, 3, padding=1)
spectral.load_state_dict(plain.state_dict(), strict=False)
for _ in range(1000):
    spectral.power_iteration()
signal = 3 * torch.randn(8, 16, 16, 16) + 2
with torch.no_grad():
    activations = {"conv": plain(signal), "spectral norm": spectral.eval()(signal)}
    activations["batch norm"] = nn.BatchNorm2d(16)(activations["conv"])
weights = {"conv": plain.weight, "spectral norm": spectral.normalised_weight(), "batch norm": plain.weight}

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2))
for name, style in zip(weights, ["-", "--", ":"]):
    axes[0].plot(torch.linalg.svdvals(weights[name].detach().flatten(1)), style, label=name, linewidth=2)
    axes[1].hist(activations[name].flatten(), bins=80, histtype="step", density=True, label=name, linewidth=1.5)
axes[0].set(xlabel="number", ylabel="singular value", title="the weight")
axes[1].set(xlabel="value", ylabel="density", title="the activations")
axes[0].legend()
axes[1].legend()
show.finish(figure, "One convolution: as it is, with spectral norm, and with batch norm after it.")

# %% tags=["nbval-check-output"]
for name in weights:
    top = torch.linalg.svdvals(weights[name].detach().flatten(1))[0].item()
    mean, deviation = activations[name].mean().item(), activations[name].std().item()
    print(f"{name:14} largest singular value is 1: {abs(top - 1) < 0.01!s:6}", end="")
    print(f"activations have mean 0, deviation 1: {abs(mean) < 1e-3 and abs(deviation - 1) < 1e-2}")

# %% [markdown]
# In SPADE's generator both occur, in different places: SPADE's own convolutions carry **no** spectral norm in the
# official code, the convolutions of the residual block around it do. Stage 06 watches spectral norm at work.

# %% tags=["nbval-check-output"]
for name, module in generator.up_3.named_modules():
    if isinstance(module, nn.Conv2d):
        print(f"{name:22} {'spectral norm' if isinstance(module, SpectralConv2d) else '-'}")

# %% [markdown]
# ### Deep dive: what it costs, beside a look-up table
#
# SPADE's two convolutions work at every pixel. CLADE (Tan et al., 2021) observes that gamma depends mostly on the class
# alone, and keeps a table: no convolution. Count multiplications for one layer by hand, at 256 channels on 64 x 128
# pixels, 36 labels, beside the 3x3 convolution that follows it.

# %% tags=["nbval-check-output"]
channels, labels, hidden, pixels = 256, 36, 128, 64 * 128
cost = {
    "the 3x3 convolution after it": (9 * channels * channels, 9 * channels * channels * pixels),
    "SPADE, 3x3": (9 * hidden * (labels + 2 * channels), 9 * hidden * (labels + 2 * channels) * pixels),
    "SPADE, 1x1": (hidden * (labels + 2 * channels), hidden * (labels + 2 * channels) * pixels),
    "CLADE": (2 * labels * channels, 0),
}
for name, (weights, products) in cost.items():
    print(f"{name:30} {weights:9,} weights  {products / 1e6:7,.0f} million products")

# %%
names = {"3x3 conv": 0, "SPADE 3x3": 1, "SPADE 1x1": 2, "CLADE": 3}
values = {name: list(cost.values())[i][1] / 1e9 for name, i in names.items()}
show.bars(values, ylabel="10⁹ products", caption="Without biases, and without the product by 1 + gamma that all share.")

# %% [markdown]
# At this size one SPADE layer costs a little more than the convolution that it prepares, and a block has two or three
# of them. With a 1x1 kernel the cost falls to a ninth, with a table to nothing but memory. And SPADE with a 1x1 kernel
# *is* a look-up table, written as two convolutions: its gamma depends on the pixel's label vector only. Fill CLADE's
# table from it and both agree.

# %% tags=["nbval-check-output"]
from spade_edu.related.clade import CLADE

one = SPADE(8, 35, kernel_size=1)
table = CLADE(8, 35)
with torch.no_grad():
    gamma, beta = one.modulation(torch.eye(35)[:, :, None, None], (1, 1))  # (35, 8, 1, 1): each class once
    table.gamma.copy_(1 + gamma[:, :, 0, 0])
    table.beta.copy_(beta[:, :, 0, 0])
a = torch.randn(4, 8, 16, 32)
pair = one(a, one_hot(sample.label, 35)), table(a, sample.label)
print("SPADE 1x1 equals CLADE:", torch.allclose(*pair, atol=1e-5))

# %% [markdown]
# What the table gives up is what you saw above: the share of gamma's variation *within* classes, its borders and
# instance edges. Whether that is worth its price is a question for measurements; stage 08 has some.

# %% [markdown]
# ### Deep dive: the fast one
#
# The package trains faster than the formula suggests, without approximation. With two 3x3 convolutions, gamma sees a
# 5x5 window of labels, and most windows of a label map are the same: all road, all sky. So gamma is computed once for
# each **distinct** window and looked up. What share of a street's windows are distinct?

# %%
from spade_edu.fast.windows import distinct_windows

windows = distinct_windows(sample.label[2:3], lab.labels.num_ids, 5)
with torch.no_grad():
    first = torch.zeros(windows.pixels.index.shape)
    first[windows.pixels.examples] = 1
title = f"{windows.share:.0%} of the pixels"
show.maps([first.view(lab.size)], [title], diverging=False, caption="Bright: the first pixel of each distinct window.")
assert windows.share < 0.5

# %% [markdown]
# ### Deep dive: look around yourself
#
# Paint on the label map and watch gamma and beta of any layer and channel follow. Try a car in the sky, or a line one
# pixel wide. Where widgets can't be shown, you see a still picture.

# %%
from spade_edu.widgets import Explorer

scene = lab.val[5]
Explorer(generator, scene.label, lab.labels, instance=scene.instance, scenes=lab.val)

# %% [markdown]
# ## Summary
#
# - SPADE is a norm without parameters, then `x (1 + gamma) + beta` with gamma and beta computed from the mask, for
#   each pixel and channel.
# - The mask is resized by nearest neighbour and goes through a shared convolution with ReLU, then one for each of the
#   two.
# - A 1x1 kernel is a table of classes; a 3x3 kernel also knows borders and neighbours.
# - A constant mask turns it into conditional batch norm; N = 1 and a constant style turn it into AdaIN.
# - Batch norm acts on activations, spectral norm on weights; SPADE contains the first, its surroundings the second.

# %% [markdown]
# ## Questions
#
# 1. The mask branch has no norm. What would an instance norm in it do to a map that is all sky?
#
# <details><summary>Answer</summary>Its hidden maps are constant, so their deviation is zero and an instance norm gives
# zeros, for sky as for grass. SPADE would forget the class. Stage 04 shows it happening to pix2pixHD.</details>
#
# 2. Can SPADE make a region of constant activations textured?
#
# <details><summary>Answer</summary>Not by itself inside a region: gamma and beta are constant away from borders. It
# scales and shifts texture that is there already; convolutions and the noise or layout of earlier layers make
# it.</details>
#
# 3. Which weights do you have to set, and to what, so that SPADE becomes plain batch norm without parameters?
#
# <details><summary>Answer</summary>Weights and biases of the gamma and beta convolutions to zero. The official
# initialisation starts near there.</details>

# %% [markdown]
# ## Next
#
# **Exercise:** [03_spade_layer](../exercises/03_spade_layer.ipynb): write the layer yourself, then CLADE and the block;
# and add SPADE to your file.
#
# **Stage 04** feeds masks with a single class to trained networks and shows, layer by layer, why pix2pixHD can't tell
# sky from grass and SPADE can.
