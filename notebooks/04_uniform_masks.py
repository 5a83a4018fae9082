# %% [markdown] tags=["core"] minutes=2
# # 04 · Uniform masks
#
# Afterwards you can explain Figure 3 of the paper: why pix2pixHD can't tell an all-sky mask from an all-grass mask, why
# SPADE can, how to measure it without being fooled by rounding, and what this argument does not explain.
#
# **Time:** runs in about 58 seconds on two CPU cores (measured); the core path takes a class 45 minutes. Not timed on a
# GPU (`python tools/notebooks.py test 04` does it there). Trained networks come with it.
#
# **Builds on:** stage 02 (pix2pixHD) and stage 03 (the SPADE layer).

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

lab = course.start("04")

# %% [markdown]
# ## Two masks, two generators
#
# Here are two masks that couldn't differ more: all sky and all road. Two trained generators will paint them. Both saw
# the same streets for the same number of steps.

# %% tags=["core"] minutes=2
import torch
from spade_edu.evaluation.uniform import class_ids, colour_difference, uniform_images, uniform_labels

trained = {"pix2pixHD": lab.networks("pix2pixhd"), "SPADE": lab.networks("spade")}
generators = {name: networks.generator.eval() for name, (networks, _) in trained.items()}
pair = [lab.labels.id("sky"), lab.labels.id("road")]
images = {name: uniform_images(g, lab.labels, pair, *lab.size) for name, g in generators.items()}
tiles = [*lab.labels.colourise(uniform_labels(pair, *lab.size)[0]), *images["pix2pixHD"], *images["SPADE"]]
titles = ["mask: sky", "mask: road", "pix2pixHD", "pix2pixHD", "SPADE", "SPADE"]
show.pictures(tiles, titles, columns=2, width=3.4, caption="; ".join(source for _, source in trained.values()))

# %% [markdown]
# SPADE paints something sky-like and something road-like. pix2pixHD paints two patterns that look like neither, and
# much like each other. That is Figure 3 of the paper (section 3). This stage takes it apart: first measure, then
# compute, then look inside.

# %% [markdown]
# ## Every class, measured
#
# Two classes prove little. Take all that occur in the data, one uniform mask each; the style code is zero for all.

# %% tags=["nbval-check-output"]
streets_ids = [4, 7, 8, 9, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 33]
ids = class_ids(lab.val)
names = [lab.labels.names[i] for i in ids]
assert lab.config.data != "streets" or ids == streets_ids
label, instance = uniform_labels(ids, *lab.size)
print(len(ids), "classes, label maps", tuple(label.shape), "ids in each:", {len(m.unique()) for m in label})

# %% tags=["core"] minutes=2
images = {name: uniform_images(g, lab.labels, ids, *lab.size) for name, g in generators.items()}
for name in images:
    show.pictures(images[name], names, columns=7, width=1.45, caption=f"{name}: one uniform mask for each class.")

# %% [markdown]
# pix2pixHD's nineteen pictures are variations of one weave. SPADE's differ in colour and in texture: terrain is ochre,
# vegetation dark green, sky bluish above and pink below. Rare classes such as "static" or "rider" are the least
# convincing; a whole picture of them is far from anything either network was trained on.

# %% [markdown]
# To compare pictures of a single thing, compare their **mean colours**. Under each class below: the mean colour of its
# pixels in real images, then of what each generator paints.

# %%
import matplotlib.pyplot as plt

real, real_sample = lab.batch(60)
pixels = real["image"].cpu().permute(0, 2, 3, 1)  # (60, h, w, 3)
colours = {"real": torch.stack([pixels[real_sample.label == k].mean(0) for k in ids])}
colours |= {name: image.mean(dim=(2, 3)) for name, image in images.items()}  # (k, 3, h, w) -> (k, 3)


def swatches(colours, caption):
    figure, ax = plt.subplots(figsize=(9, 0.4 * len(colours) + 1.5))
    ax.imshow((torch.stack(list(colours.values())) + 1) / 2, aspect="auto")
    ax.set_xticks(range(len(names)), names, rotation=60, ha="right")
    ax.set_yticks(range(len(colours)), list(colours))
    ax.grid(False)
    show.finish(figure, caption)


# %%
swatches(colours, "Mean colour of each class.")

# %% [markdown]
# SPADE's row follows the real one in most classes; pix2pixHD's hardly changes. One number for it: the mean difference
# between the mean colours of two classes, averaged over all pairs, on a scale of 0 to 255. By hand for two classes
# first.

# %% tags=["nbval-check-output"]
black, grey = torch.full((3, 4, 4), -1.0), torch.zeros(3, 4, 4)
print("black against grey:", colour_difference(torch.stack([black, grey])), "of 255")

# %% tags=["core"] minutes=2
difference = {"real": colour_difference(colours["real"][:, :, None, None])}
difference |= {name: colour_difference(image) for name, image in images.items()}
show.bars(
    difference, ylabel="difference of mean colours", caption="How far apart the classes' mean colours are, 0 to 255."
)
assert difference["SPADE"] > 20 > 15 > difference["pix2pixHD"]

# %% [markdown]
# SPADE's classes are about as far apart as the real ones. pix2pixHD's are several times closer together, but not at
# zero: a small, stubborn rest. The next sections explain the first by algebra, and then the rest, which turns out not
# to be information at all. (Its size differs from machine to machine, and on some it is 0, which is already a hint.)

# %% [markdown] tags=["core"] minutes=2
# ## Why: four pixels by hand
#
# pix2pixHD starts with a convolution, then instance norm. On a uniform mask every pixel of the convolution's output
# sees the same thing, so the output is one constant, whatever the weights. Take a class with weight 5 and one with
# weight 3. What does instance norm make of 5, 5, 5, 5? (A number.)

# %% tags=["core", "nbval-check-output"] minutes=2
from spade_edu import InstanceNorm2d
from spade_edu.course import predict, reveal

predict("04-constant", ...)

norm = InstanceNorm2d(1)
sky, grass = torch.full((1, 1, 2, 2), 5.0), torch.full((1, 1, 2, 2), 3.0)
for name, map_ in {"sky": sky, "grass": grass}.items():
    print(f"{name:6} before {map_.flatten().tolist()}  after {norm(map_).flatten().tolist()}")

# %% tags=["core"] minutes=3
tiles = [sky[0, 0], norm(sky)[0, 0], grass[0, 0], norm(grass)[0, 0]]
titles = ["sky: convolution", "sky: after the norm", "grass: convolution", "grass: after the norm"]
show.maps(tiles, titles, numbers=True, caption="Two uniform maps.")
reveal("04-constant", float(norm(sky)[0, 0, 0, 0]))

# %% [markdown] tags=["core"] minutes=2
# $$\frac{c - \mu}{\sqrt{\sigma^2 + \epsilon}} = \frac{c - c}{\sqrt{0 + \epsilon}} = 0 \quad\text{for every } c$$
#
# The constant was the only thing that carried the class. Nothing that comes later can bring it back, for there is no
# second way in: the mask enters pix2pixHD once, at the bottom.

# %% [markdown]
# The same as a drawing, with SPADE below. Its norm takes the mean away as well, but there the class
# comes in by another way.

# %% tags=["core"] minutes=2
from spade_edu.course import schematics

schematics.lost_class()

# %% [markdown]
# ## Why: the trained first layer
#
# The same with the real network: 24 channels, all classes at once. Rows are classes, columns channels; the value is
# the one in the middle of the map. On the right, what one of SPADE's layers says about the same classes: gamma.

# %%
from spade_edu.normalization import ConditionalBatchNorm2d

segmap = lab.labels.encode(label, instance).to(lab.device)  # (19, 36, h, w)
pix2pixhd, spade = generators["pix2pixHD"], generators["SPADE"]
with torch.no_grad():
    convolved = pix2pixhd.model[:2](segmap)  # padding, convolution: (19, 24, h, w)
    normalised = pix2pixhd.model[2](convolved)
gamma = ConditionalBatchNorm2d.from_spade(spade.up_2.norm_1).gamma[ids].detach() - 1
middle = lab.size[0] // 2, lab.size[1] // 2
tables = [convolved[..., middle[0], middle[1]], normalised[..., middle[0], middle[1]], gamma]

# %% tags=["core"] minutes=3
figure, axes = plt.subplots(1, 3, figsize=(10, 4), sharey=True)
titles = ["pix2pixHD: convolution", "pix2pixHD: after its norm", "SPADE: gamma of up_2.norm_1"]
for ax, table, title in zip(axes, tables, titles):
    shown = ax.imshow(table.cpu(), cmap="RdBu_r", vmin=-2, vmax=2, aspect="auto")
    ax.set(title=title, xlabel="channel")
    ax.grid(False)
axes[0].set_yticks(range(len(names)), names)
figure.colorbar(shown, ax=axes)
show.finish(figure, "One row for each class, one column for each channel. The colours end at 2 and -2.")
assert tables[0].std(0).mean() > 0.3 and tables[1].abs().max() < 1e-3 and tables[2].std(0).mean() > 0.1


# %% [markdown] tags=["core"] minutes=2
# The convolution tells the classes apart, and the norm wipes it out. Not "less information": none. The right-hand side
# is the cure. SPADE normalises activations too, but **the mask never passes through a norm**: it goes through two
# convolutions into gamma and beta, and gamma multiplies what has already been normalised.


# %% tags=["nbval-check-output"]
def rank(table):
    """How many independent directions the classes span in a table (classes, channels)."""
    return int(torch.linalg.matrix_rank(table.cpu() - table.cpu().mean(0), tol=1e-2))


print("classes", len(ids))
print("after pix2pixHD's norm the classes span", rank(tables[1]), "directions")
print("in SPADE's gamma they span more than ten:", rank(tables[2]) > 10)

# %% [markdown]
# ## The whole of pix2pixHD, exactly
#
# Follow the zeros. ReLU of zero is zero. The next convolution adds its bias, a constant; the next norm takes it away.
# And so on, up to the last convolution, which has no norm. What picture must come out, and which numbers decide its
# colour?

# %%
import copy

from spade_edu.blocks import replace_modules
from torch import nn


class ExactInstanceNorm(nn.InstanceNorm2d):
    """Instance norm without rounding: a map whose values differ by less than 1e-4 counts as constant."""

    def forward(self, x):
        constant = x.amax(dim=(2, 3), keepdim=True) - x.amin(dim=(2, 3), keepdim=True) < 1e-4
        return super().forward(x).masked_fill(constant, 0)


exact = copy.deepcopy(pix2pixhd)
replace_modules(exact, nn.InstanceNorm2d, lambda norm: ExactInstanceNorm(norm.num_features))
with torch.no_grad():
    exact_images = exact(segmap).cpu()

# %% tags=["nbval-check-output"]
bias = pix2pixhd.model[-2].bias.detach().cpu()  # of the last convolution
flat = torch.tanh(bias)[None, :, None, None].expand_as(exact_images)
print("all classes give the same picture:", torch.allclose(exact_images, exact_images[:1].expand_as(exact_images)))
print("every pixel is tanh(bias of the last convolution):", torch.allclose(exact_images, flat, atol=1e-6))

# %%
swatches(colours | {"pix2pixHD, exact": exact_images.mean(dim=(2, 3))}, "With the norm in exact arithmetic, too.")

# %% [markdown]
# So in exact arithmetic, trained pix2pixHD answers every uniform mask with one flat colour. It doesn't matter how long
# it was trained: the algebra holds for all weights. What, then, are the patterns that you saw above?

# %% [markdown]
# ## Rounding noise, blown up
#
# A computer's 5 - 5 isn't always 0: the sum behind the mean rounds. What is left is tiny, about 1e-7. But the norm then
# divides by a standard deviation that is nearly zero; only eps = 1e-5 keeps it finite. By what factor can one instance
# norm enlarge such a speck at most? (A number: 1 over the root of eps.)
#
# On some machines these sums happen to come out exactly, so the code below adds the noise itself: a speck of 1e-7 to
# each value of the mask (1e-16 in float64), about as large as one rounding.

# %% tags=["nbval-check-output"]
import math

predict("04-factor", ...)
factor = 1 / math.sqrt(1e-5)
norms = [m for m in pix2pixhd.modules() if isinstance(m, nn.InstanceNorm2d)]
print(f"one norm enlarges by up to {factor:.0f}; from 1e-7 to 1 takes {math.log(1e7, factor):.1f} of them")
print("norms in a row in the cpu profile:", 6 * 2 + 7)
reveal("04-factor", factor)


# %%
def largest_after_norms(generator, x):
    """The largest value after each instance norm, from the first to the last."""
    seen, kinds = [], nn.InstanceNorm2d
    keep = [
        m.register_forward_hook(lambda m, i, y: seen.append(float(y.abs().max())))
        for m in generator.modules()
        if isinstance(m, kinds)
    ]
    with torch.no_grad():
        generator(x)
    for hook in keep:
        hook.remove()
    return seen


one = segmap[names.index("sky")][None]
double = copy.deepcopy(pix2pixhd).double()
torch.manual_seed(0)
in_float32, in_float64 = one + 1e-7 * torch.randn_like(one), one.double() + 1e-16 * torch.randn_like(one)
lines = {"float32": largest_after_norms(pix2pixhd, in_float32), "float64": largest_after_norms(double, in_float64)}

# %%
show.curves(
    {name: torch.tensor(values).clamp(min=1e-18) for name, values in lines.items()},
    x=range(1, len(norms) + 1),
    xlabel="instance norm, counted from the bottom",
    ylabel="largest value",
    log=True,
    caption="All-sky mask. The exact line would be 0.",
)
assert all(values[0] < 1e-3 and values[-1] > 1 for values in lines.values())
assert max(largest_after_norms(exact, one)) == 0

# %% [markdown]
# More digits only delay the noise by a few layers. The later layers turn it into street-like texture, because that is
# what they learned to do with whatever they get. So **pixels differ between classes and mean nothing**. The mean colour
# is a fairer witness, though not a perfect one. Here is the same sky mask three times:

# %%
with torch.no_grad():
    nudged = pix2pixhd(one + 1e-6 * torch.randn_like(one)).cpu()[0]
    three = [pix2pixhd(in_float32).cpu()[0], nudged, double(in_float64).float().cpu()[0]]
show.pictures(
    three, ["float32", "mask nudged by 1e-6", "float64"], columns=3, width=3.4, caption="One mask, three times."
)
assert (three[0] - three[1]).abs().mean() > 0.02

# %% [markdown] tags=["core"] minutes=2
# ## A cleaner experiment
#
# Rounding spoils the comparison, so give instance norm something real to normalise: add **the same faint noise** to
# every uniform mask. The convolution is linear, so its output is (constant of the class) + (response to the noise).
# Which of the two survives the norm: "the class", "the noise", "both" or "neither"?

# %% tags=["core"] minutes=3
predict("04-survives", ...)
torch.manual_seed(0)
noisy = segmap + 0.05 * torch.randn_like(segmap[:1])  # the same (1, 36, h, w) added to all classes
z = torch.zeros(len(ids), spade.z_dim or 1, device=lab.device)
with torch.no_grad():
    on_noisy = {"pix2pixHD": pix2pixhd(noisy).cpu(), "SPADE": spade(noisy, z).cpu()}
chosen = [names.index(n) for n in ["sky", "road", "vegetation", "tree", "building", "car"] if n in names][:4]
tiles = [on_noisy[name][i] for name in on_noisy for i in chosen]
show.pictures(
    tiles, [names[i] for i in chosen], caption="Masks with the same faint noise. Above pix2pixHD, below SPADE."
)

# %% tags=["nbval-check-output"]
spread = {name: float((image - image[:1]).abs().max()) for name, image in on_noisy.items()}
print("pix2pixHD: all classes give one and the same picture:", spread["pix2pixHD"] < 0.05)
print("SPADE: classes differ:", spread["SPADE"] > 0.5)
reveal("04-survives", "the noise")
assert colour_difference(on_noisy["pix2pixHD"]) < 0.5 and colour_difference(on_noisy["SPADE"]) > 15


# %% [markdown] tags=["core"] minutes=2
# That is the whole of Figure 3 in one line: pix2pixHD's picture is the same for all classes, pixel by pixel, because
# the class **cancels**. SPADE's isn't. The trick behind the experiment is worth keeping: give the norm something of
# ordinary size to divide by, the same for everyone, and rounding no longer hides what the algebra says.

# %% [markdown]
# ## Where the information dies
#
# Now look inside, layer by layer, with a question that can be scored: **can the class be read from this activation?**
# Give each class four masks, each with its own faint noise. Two serve to learn the mean activation of the class; the
# other two are assigned to the nearest mean. 100 % means the class is there, 1 in 19 is a guess.


# %%
def activations(generator, modules, x, z):
    """What each named module gives for x, as (n, features), thinned to at most about 2000 features."""
    seen = {}

    def watch(name):
        def hook(module, inputs, output):
            flat = output.float().cpu().flatten(1)
            seen[name] = flat[:, :: max(1, flat.shape[1] // 2000)].clone()

        return hook

    hooks = [generator.get_submodule(name).register_forward_hook(watch(name)) for name in modules]
    with torch.no_grad():
        seen["image"] = generator(x, z).float().cpu().flatten(1)
    for hook in hooks:
        hook.remove()
    return seen


# %%
def readable(features, copies=4):
    """Share of right answers of the nearest class mean; features (copies * k, f), class by class within a copy."""
    by_copy = features.view(copies, -1, features.shape[1])  # (copies, k, f)
    means, test = by_copy[: copies // 2].mean(0), by_copy[copies // 2 :].flatten(0, 1)
    nearest = torch.cdist(test, means).argmin(dim=1)
    return float((nearest == torch.arange(len(means)).repeat(copies - copies // 2)).float().mean())


# %% [markdown]
# Try the reader where the answer is known: on pure noise, and on noise plus a signal.

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
guess = torch.randn(4 * 19, 500)
signal = guess + 3 * torch.randn(19, 500).repeat(4, 1)
print("noise: below 30 %:", readable(guess) < 0.3, "  signal:", f"{readable(signal):.0%}")

# %%
copies = segmap.repeat(4, 1, 1, 1)  # (76, 36, h, w)
torch.manual_seed(1)
copies = copies + 0.02 * torch.randn_like(copies)
z = torch.zeros(len(copies), spade.z_dim or 1, device=lab.device)
steps = [n for n, m in pix2pixhd.model.named_children() if not isinstance(m, nn.ReflectionPad2d | nn.ReLU | nn.Tanh)]
blocks = ["fc"] + [n for n, _ in spade.named_children() if n not in ("fc", "conv_img")]
shares = {
    "pix2pixHD": activations(pix2pixhd, [f"model.{n}" for n in steps], copies, z),
    "SPADE": activations(spade, blocks, copies, z),
}
shares = {name: {layer: readable(f) for layer, f in seen.items()} for name, seen in shares.items()}


# %% [markdown]
# Draw the two curves on paper before you run the next cell. Where does pix2pixHD start and where does it end? And
# SPADE, whose first map comes from the style code z, the same for all classes?


# %%
def plot_shares(shares, caption):
    figure, ax = plt.subplots(figsize=(8, 3.4))
    for name, values in shares.items():
        depth = torch.linspace(0, 100, len(values))
        ax.plot(depth, [100 * v for v in values.values()], "o-", color=show.COLOURS[name], label=name, markersize=4)
    ax.axhline(100 / len(ids), linestyle="--", color="#888888", label="guessing")
    ax.set(xlabel="depth: first layer to image, %", ylabel="class read correctly, %", ylim=(-5, 105))
    ax.legend(loc="center right")
    show.finish(figure, caption)


plot_shares(shares, "How many classes can be read from the activations, layer by layer.")

# %% tags=["nbval-check-output"]
first, second, *_, last = shares["pix2pixHD"].values()
print(f"pix2pixHD: first convolution {first:.0%}")
print(f"pix2pixHD: no better than guessing after the norm: {second < 0.3}, in the image: {last < 0.3}")
first, second, *_, last = shares["SPADE"].values()
print(f"SPADE: no better than guessing in the first map: {first < 0.3}")
print(f"SPADE: first block {second:.0%}, image {last:.0%}")


# %% [markdown]
# One step, from the first convolution to the norm behind it, and everything is gone. If you had only looked at the
# pictures you might have blamed the training, the depth or the decoder.

# %% [markdown]
# ## Two classes
#
# Real masks have more than one class, and on those pix2pixHD works. What does instance norm leave of a map with two
# constants? By hand: half the pixels 5, half 3. The mean is 4, the standard deviation 1. What changes if you replace 5
# by 500, or by 1?


# %% tags=["nbval-check-output"]
def two(a, b, share=0.5):
    """Instance norm of a 4 x 4 map with value a in its upper rows and b below."""
    x = torch.full((1, 1, 4, 4), float(b))
    x[:, :, : int(4 * share)] = a
    return norm(x)[0, 0]


for a in [5, 500, 1]:
    print(
        f"{a:3} above 3 becomes {two(a, 3)[0, 0].round(decimals=2):5.2f} above {two(a, 3)[3, 0].round(decimals=2):5.2f}"
    )

# %%
tiles = [two(5, 3), two(500, 3), two(1, 3), two(5, 3, share=0.25)]
titles = ["5 above 3", "500 above 3", "1 above 3", "5 above 3, a quarter"]
show.maps([t.round(decimals=2) for t in tiles], titles, numbers=True, caption="Instance norm of two constants.")

# %% [markdown]
# With a share p of the pixels at a and the rest at b the norm gives
#
# $$\pm\sqrt{\tfrac{1 - p}{p}} \;\text{ and }\; \mp\sqrt{\tfrac{p}{1 - p}}$$
#
# **which of the two is larger** survives, and how much area it has. How much larger doesn't. One bit for each channel,
# but a layer has many channels: together they may well tell sky over road from trees over road.

# %% tags=["nbval-check-output"]
for p in [0.25, 0.5, 0.75]:
    x = two(7, 2, share=p)
    assert abs(x[0, 0] - math.sqrt((1 - p) / p)) < 1e-3 and abs(x[3, 0] + math.sqrt(p / (1 - p))) < 1e-3
    print(f"share {p:.2f}: {x[0, 0]:.2f} and {x[3, 0]:.2f}")

# %% [markdown]
# Put sky, trees, façade and car over road. Will pix2pixHD now paint four different upper halves?

# %%
tops = [n for n in ["sky", "vegetation", "tree", "building", "car"] if n in names]
halves = torch.full((4, *lab.size), lab.labels.id("road"))
for row, name in zip(halves, tops):
    row[: lab.size[0] // 2] = lab.labels.id(name)
half_map = lab.labels.encode(halves, torch.zeros_like(halves)).to(lab.device)
z = torch.zeros(4, spade.z_dim or 1, device=lab.device)
with torch.no_grad():
    on_halves = {name: g(half_map, z).cpu() for name, g in generators.items()}
tiles = [*lab.labels.colourise(halves), *on_halves["pix2pixHD"], *on_halves["SPADE"]]
show.pictures(tiles, [f"{name} over road" for name in tops], caption="Masks, pix2pixHD, SPADE.")

# %%
upper = {name: colour_difference(image[:, :, : lab.size[0] // 2]) for name, image in on_halves.items()}
alone = {name: colour_difference(images[name][[names.index(n) for n in tops]]) for name in generators}
show.bars(
    {f"{name}\n{what}": v[name] for name in generators for what, v in [("alone", alone), ("over road", upper)]},
    ylabel="difference of mean colours",
    caption="The four classes alone, and above a road.",
)
assert upper["pix2pixHD"] > 2 * alone["pix2pixHD"]

# %% [markdown]
# A neighbour gives pix2pixHD something to compare with. So Figure 3 shows the extreme of something that is always
# there: pix2pixHD sees classes only **relative to the rest of the picture**, SPADE sees them absolutely. Large uniform
# regions, common in landscapes, come close to the extreme.

# %% [markdown] tags=["core"] minutes=2
# ## The stronger rival: pix2pixHD++
#
# The paper's real baseline is **pix2pixHD++**: the same encoder-decoder with the paper's other improvements, among them
# synchronised **batch** norm in place of instance norm. Does its picture depend on the class: "yes" or "no"?

# %% tags=["core"] minutes=3
predict("04-plus", ...)
trained["pix2pixHD++"] = lab.networks("pix2pixhd++")
plus = trained["pix2pixHD++"][0].generator.eval()
images["pix2pixHD++"] = uniform_images(plus, lab.labels, ids, *lab.size)
caption = f"pix2pixHD++ ({trained['pix2pixHD++'][1]})."
show.pictures(images["pix2pixHD++"], names, columns=7, width=1.45, caption=caption)
colours["pix2pixHD++"] = images["pix2pixHD++"].mean(dim=(2, 3))
swatches(colours, "Mean colour of each class, with pix2pixHD++.")
reveal("04-plus", "yes")

# %%
seen = activations(plus, [f"model.{n}" for n in steps], copies, z)
shares["pix2pixHD++"] = {layer: readable(f) for layer, f in seen.items()}
plot_shares(shares, "How many classes can be read, with pix2pixHD++.")
assert min(shares["pix2pixHD++"].values()) > 0.9

# %% [markdown] tags=["core"] minutes=2
# pix2pixHD++ keeps the class from end to end. In evaluation, batch norm subtracts a **running average** over training
# pictures: 5 - 4 and 3 - 4 stay different. So the argument of this stage explains why pix2pixHD fails on uniform masks.
# It does **not** explain why SPADE is better than pix2pixHD++, on streets.

# %% [markdown] tags=["core"] minutes=2
# ## Then why is SPADE better?
#
# Ask where it is better. A segmenter that has learned Streets names the class of every pixel of sixty painted streets.
# How often is it the class that the mask asked for, on wide classes and on thin or rare ones?

# %%
from spade_edu.pretrained.judge import load_judge

segmenter = load_judge().to(lab.device)


def obeyed(generator):
    """Whether the segmenter sees the class that was asked for, pixel by pixel: (60, h, w)."""
    z = torch.zeros(1, getattr(generator, "z_dim", None) or 1, device=lab.device)
    with torch.no_grad():
        parts = [segmenter(generator(m, z.expand(len(m), -1))).argmax(1) for m in real["segmap"].split(10)]
    return torch.cat(parts).cpu() == lab.labels.to_score_ids(real_sample.label)


# %% tags=["core"] minutes=3
groups = {"wide": ["road", "building", "sky", "vegetation"], "thin": ["pole", "traffic light", "traffic sign"]}
groups["rare"] = ["bus", "truck", "fence"]
here = {
    group: torch.isin(real_sample.label, torch.tensor([lab.labels.id(n) for n in groups[group]])) for group in groups
}
right = {name: obeyed(g) for name, g in (generators | {"pix2pixHD++": plus}).items()}
figure, ax = plt.subplots(figsize=(7, 3.2))
for i, name in enumerate(["pix2pixHD", "pix2pixHD++", "SPADE"]):
    heights = [100 * float(right[name][here[group]].float().mean()) for group in groups]
    ax.bar([k + 0.27 * (i - 1) for k in range(3)], heights, 0.25, color=show.COLOURS[name], label=name)
ax.set_xticks(range(3), [f"{group}: {', '.join(members)}" for group, members in groups.items()], fontsize=8)
ax.set(ylabel="pixels as asked, %", ylim=(0, 100))
ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
show.finish(figure, "Sixty streets, one training of each network.")

# %% [markdown] tags=["core"] minutes=2
# On wide classes the three are close. The gap is in what is **thin or rare**. The encoder-decoder has to carry a pole
# one pixel wide through a map of 8 x 16 pixels and find it again on the way up. SPADE needn't carry anything: at every
# size, up to the last, the mask itself says where the pole is. (Each bar is one training of 750 steps. Which parts of
# the gap come from SPADE and which from the rest of the generator is a question for ablations: stage 08.)

# %% [markdown]
# ### Deep dive: the same label, more and more of it
#
# Take a real street and let sky grow from the top, until it is all sky.

# %%
batch, sample = lab.batch(1)
amounts = [0, 16, 32, 48, 56, 60, 64]
growing = sample.label.repeat(len(amounts), 1, 1)
for row, amount in zip(growing, amounts):
    row[: amount * lab.size[0] // 64] = lab.labels.id("sky")
objects = torch.where(growing == sample.label, sample.label if sample.instance is None else sample.instance, growing)
grown = lab.labels.encode(growing, objects).to(lab.device)
z = torch.zeros(len(amounts), spade.z_dim or 1, device=lab.device)
with torch.no_grad():
    on_grown = {name: g(grown, z).cpu() for name, g in generators.items()}

# %%
shown = [1, 3, 4, 5, 6]
titles = [f"sky: {amounts[i] / 64:.0%} from the top" for i in shown]
tiles = [on_grown[name][i] for name in on_grown for i in shown]
show.pictures(tiles, titles, columns=5, width=2.1, caption="Above pix2pixHD, below SPADE.")

# %%
is_sky = growing == lab.labels.id("sky")
colour = {
    name: torch.stack([p.permute(1, 2, 0)[m].mean(0) for p, m in zip(image, is_sky)])
    for name, image in on_grown.items()
}
away = {name: 127.5 * (c - c[1]).abs().mean(dim=1)[1:] for name, c in colour.items()}
show.curves(
    away,
    x=[100 * a / 64 for a in amounts[1:]],
    xlabel="rows of sky from the top, %",
    ylabel="change of the sky's mean colour",
    caption="From the street with a quarter of sky, 0 to 255.",
)

# %% [markdown]
# pix2pixHD's sky has changed its colour long before the mask is uniform: each row of sky moves the mean and deviation
# by which all pixels of a channel are normalised, the old sky's too. SPADE's sky moves by less than half as much: its
# convolutions see a larger sky, but in evaluation no norm of it looks at the rest of the picture.

# %% [markdown]
# ### Deep dive: padding
#
# "A convolution of a constant is constant" holds away from the border only. pix2pixHD's first convolution pads by
# **reflection**, so there is no border. Swap in zero padding (a copy of the trained network) and the rim sees something
# else than the middle.

# %%
padded = copy.deepcopy(pix2pixhd)
padded.model[0] = nn.ZeroPad2d(3)
with torch.no_grad():
    maps = {name: g.model[:3](segmap[chosen[:2]]).cpu() for name, g in [("reflection", pix2pixhd), ("zeros", padded)]}
tiles = [maps[kind][i, 0] for kind in maps for i in range(2)]
titles = [f"{kind}, {names[chosen[i]]}" for kind in maps for i in range(2)]
show.maps(
    tiles,
    titles,
    caption="Channel 0 after the first norm.",
)

# %%
z = torch.zeros(len(copies), spade.z_dim or 1, device=lab.device)
seen = activations(padded, [f"model.{n}" for n in steps], copies, z)
zero_padding = {layer: readable(f) for layer, f in seen.items()}
print(f"readable after the first norm: {zero_padding['model.2']:.0%}, in the image: {zero_padding['image']:.0%}")
assert zero_padding["model.2"] > 0.9 and shares["pix2pixHD"]["model.2"] < 0.3


# %% [markdown]
# Zeros at the rim draw a frame, and the frame carries the class, by the same rule as two classes do: picture and
# "outside" are a two-class mask. So a careless copy of the experiment with zero padding may tell you that the class
# isn't lost. It isn't, at the rim.

# %% [markdown]
# ### Deep dive: batch norm with a batch of one
#
# In training mode, with a batch of one, batch norm takes this mask's own mean and is an instance norm again. What will
# happen to the class, with the same faint noise as before?


# %%
def in_training_mode(generator):
    """A copy whose norms use the statistics of the batch, as in training."""
    generator = copy.deepcopy(generator)
    for module in generator.modules():
        if isinstance(module, nn.BatchNorm2d) or type(module).__name__ == "SyncBatchNorm":
            module.train()
    return generator


z = torch.zeros(1, spade.z_dim or 1, device=lab.device)
alone = {}
for name, g in {"pix2pixHD++": plus, "SPADE": spade}.items():
    training = in_training_mode(g)
    with torch.no_grad():
        alone[name] = torch.cat([training(noisy[i : i + 1], z).cpu() for i in chosen])

# %%
tiles = [image for name in alone for image in alone[name]]
show.pictures(
    tiles, [names[i] for i in chosen], caption="Batches of one, batch statistics. Above pix2pixHD++, below SPADE."
)

# %% tags=["nbval-check-output"]
print("pix2pixHD++, one mask a batch: one picture for all classes:", colour_difference(alone["pix2pixHD++"]) < 1)
print("SPADE, one mask a batch: classes differ:", colour_difference(alone["SPADE"]) > 10)

# %% [markdown]
# SPADE's own norm is batch norm as well, and here it normalises away all that a constant activation could say. It
# doesn't matter: gamma and beta come from the mask by another way, which no norm touches.

# %% [markdown]
# ## Summary
#
# - A convolution turns a uniform mask into constants; instance norm turns every constant into zero. The class is gone
#   after pix2pixHD's first norm, whatever its weights.
# - In floating point the zeros become noise, enlarged by up to 316 in each norm: compare mean colours, not pixels.
# - With two classes only the sign and the area survive in each channel; with zero padding the rim acts as a second
#   class.
# - Batch norm in evaluation keeps the class (pix2pixHD++); with a batch of one in training it loses it too.
# - SPADE's mask branch has no norm, and the mask comes in at every layer: the class can be read from end to end.

# %% [markdown]
# ## Questions
#
# 1. Would it help pix2pixHD to give instance norm a learned gamma and beta?
#
# <details><summary>Answer</summary>No. They would be the same numbers for every class: 0 times gamma plus beta is beta,
# for sky as for grass.</details>
#
# 2. Someone reports that pix2pixHD's outputs for uniform sky and uniform grass differ in 90 % of the pixels. What do
# you ask?
#
# <details><summary>Answer</summary>How much two runs of the *same* mask differ: with another precision, batch or a
# nudge of 1e-6. Rounding noise, enlarged by the norms, makes differences as large.</details>
#
# 3. Does the argument hold for a mask that is half sky, half grass?
#
# <details><summary>Answer</summary>No. Each channel keeps which of the two is larger and their areas. It loses how far
# they are apart.</details>

# %% [markdown]
# ## Next
#
# **Exercise:** [04_uniform_masks](../exercises/04_uniform_masks.ipynb): prove in code that the norm forgets the label
# and that SPADE doesn't, and measure both.
#
# **Stage 05** assembles SPADE layers into the generator: blocks, latent, upsampling, and what each scale paints.
