# %% [markdown] tags=["core"]
# # 05 · The SPADE generator
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/spade_edu/blob/main/notebooks/05_spade_generator.ipynb)
#
# You will be able to draw SPADE's generator with every size and channel in it, count its parameters to the last one,
# and say what each scale contributes to the picture.
#
# **Time:** runs in about 44 seconds on two CPU cores (measured); the core path takes a class
# 45 minutes. On a T4 less (estimated, not measured:
# `SPADE_EDU_PROFILE=gpu python tools/notebooks.py test 05` measures it).
# **Builds on:** stage 03 (the SPADE layer) and stage 04 (why the mask must come in everywhere).

# %% tags=["core"]
# Safe to run twice; keeps the installed torch and numpy. SPADE_EDU_PROFILE (cpu or gpu) sets the size.
from importlib.util import find_spec

if find_spec("spade_edu") is None:
    get_ipython().run_line_magic("pip", "install --quiet git+https://github.com/OWNER/spade_edu")
from spade_edu import course
from spade_edu.course import plotting as show

lab = course.start("05")

# %% [markdown] tags=["core"]
# ## From a few pixels to a street
#
# The generator starts from a tiny map and doubles its size again and again; a residual block follows each doubling, and
# every block is told the label map. Here is one trained generator at work: for each block, how strongly it responds at
# each place.

# %% tags=["core"]
import torch

networks, source = lab.networks("spade")
generator = networks.generator.eval()
batch, sample = lab.batch(4)
z = torch.zeros(4, generator.z_dim, device=lab.device) if generator.z_dim else None
names = ["head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2", "up_3"]
outputs = {}
hooks = [
    getattr(generator, n).register_forward_hook(lambda m, i, y, n=n: outputs.update({n: y.float().cpu()}))
    for n in names
]
with torch.no_grad():
    image = generator(batch["segmap"], z).cpu()
for hook in hooks:
    hook.remove()

# %% tags=["core"]
strength = {name: y[1].abs().mean(0) for name, y in outputs.items()}  # (c, h, w) -> (h, w)
strength = {name: s / s.max() for name, s in strength.items()}
titles = [f"{n}: {outputs[n].shape[1]} x {s.shape[0]} x {s.shape[1]}" for n, s in strength.items()]
show.maps(
    list(strength.values()),
    titles,
    diverging=False,
    caption="Mean activation of each block: channels x height x width.",
)
show.pictures([lab.labels.colourise(sample.label[1]), image[1]], ["mask", "image"], columns=2, width=4, caption=source)

# %% [markdown] tags=["core"]
# Read the titles from left to right: the size doubles, the channels halve towards the end. We build it from the inside
# out: one block, the first map, the doublings, then the whole.

# %% [markdown] tags=["core"]
# ## The block
#
# A **SPADE residual block** (paper, Figure 11) changes its input a little and adds the change: twice SPADE, LeakyReLU,
# 3x3 convolution. Toy first: two channels, 2 x 2 pixels, both convolutions set to zero. Before you run it: what comes
# out?

# %% tags=["core", "nbval-check-output"]
from spade_edu import SPADEResnetBlock, one_hot

mask = torch.tensor([[0, 1], [0, 2]])
segmap = one_hot(mask[None], 3)  # (1, 3, 2, 2)
x = torch.tensor([[[1.0, 2], [3, 4]], [[5, 6], [7, 8]]])[None]  # (1, 2, 2, 2)
block = SPADEResnetBlock(2, 2, 3, spectral=False)
with torch.no_grad():
    for convolution in [block.conv_0, block.conv_1]:
        convolution.weight.zero_()
        convolution.bias.zero_()
    print(block(x, segmap).int().tolist())

# %% [markdown] tags=["core"]
# The input itself: a **skip path** carries it past everything. A block can begin as nothing at all and learn what to
# add. Where the number of channels changes, x can't be added as it is; then the skip gets a SPADE and a 1x1
# convolution of its own, the **learned shortcut**.

# %% tags=["core", "nbval-check-output"]
for fin, fout in [(64, 64), (64, 32)]:
    block = SPADEResnetBlock(fin, fout, 36)
    print(f"{fin} -> {fout}: learned shortcut: {block.learned_shortcut}")
    for name, part in block.named_children():
        kind = type(part).__name__
        size = f"{part.in_channels} -> {part.out_channels}, kernel {part.kernel_size[0]}" if "Conv" in kind else ""
        print(f"    {name:7} {kind:15} {size}")

# %% [markdown] tags=["core"]
# Write the block's forward pass yourself, from its parts, and compare. Note three details of the official code:
# LeakyReLU 0.2 where the figure draws ReLU, **no activation on the skip**, and nothing after the sum.

# %% tags=["core", "nbval-check-output"]
from torch.nn import functional as F

torch.manual_seed(0)
block = SPADEResnetBlock(8, 4, lab.labels.num_channels).eval()
x, street = torch.randn(4, 8, 16, 32), batch["segmap"].cpu()
with torch.no_grad():
    skip = block.conv_s(block.norm_s(x, street))
    dx = block.conv_0(F.leaky_relu(block.norm_0(x, street), 0.2))  # (4, 8, ...) -> (4, 4, ...)
    dx = block.conv_1(F.leaky_relu(block.norm_1(dx, street), 0.2))
    torch.testing.assert_close(block(x, street), skip + dx)
print("in", tuple(x.shape), "inside", tuple(dx.shape), "out", tuple((skip + dx).shape))

# %% tags=["core"]
trained, seen = generator.up_3, {}
inside = {"conv_s": "skip", "conv_1": "change"}
hooks = [
    getattr(trained, n).register_forward_hook(lambda m, i, y, t=t: seen.update({t: y.float().cpu()}))
    for n, t in inside.items()
]
hooks += [trained.register_forward_hook(lambda m, i, y: seen.update({"sum": y.float().cpu()}))]
with torch.no_grad():
    generator(batch["segmap"], z)
for hook in hooks:
    hook.remove()
channel = seen["sum"][1].std(dim=(1, 2)).argmax()
show.maps(
    [y[1, channel] for y in seen.values()], list(seen), columns=3, caption="One channel of up_3: skip + change = sum."
)
torch.testing.assert_close(seen["skip"] + seen["change"], seen["sum"], atol=1e-3, rtol=1e-3)

# %% [markdown] tags=["core"]
# In this channel the skip carries the broad light and dark, and the change adds the sharp parts: lines and shadows at
# the edges of objects. Both have seen the mask: up_3 halves the channels, so its shortcut has a SPADE of its own.

# %% [markdown] tags=["core"]
# ## The first map
#
# What does the smallest map grow from? The paper has two versions. **Without style encoder**, which is how the
# published checkpoints were made: the label map itself, shrunk, behind a 3x3 convolution. Before you run it: how much
# of a street do you recognise in it?

# %% tags=["core"]
from spade_edu.labels import resize_segmap

sizes = [(2, 4), (4, 8), (8, 16), lab.size]
shrunk = [resize_segmap(one_hot(sample.label[1:2], lab.labels.num_ids), size).argmax(1)[0] for size in sizes]
tiles = [F.interpolate(s[None, None].float(), size=lab.size)[0, 0].long() for s in shrunk]
show.pictures(
    [lab.labels.colourise(t) for t in tiles],
    [f"{h} x {w}" for h, w in sizes],
    caption="The label map at the size of the first map, and at the next sizes.",
)

# %% tags=["core", "nbval-check-output"]
from spade_edu import SPADEGenerator

plain = SPADEGenerator(36, latent=(2, 4), ngf=4).eval()
styled = SPADEGenerator(36, latent=(2, 4), ngf=4, z_dim=16).eval()
street = torch.zeros(3, 36, 64, 128)
street[:, 7] = 1
print("from the mask:", type(plain.fc).__name__, tuple(plain.first_map(street, None).shape))
print("from z:       ", type(styled.fc).__name__, tuple(styled.first_map(street, torch.zeros(3, 16)).shape))

# %% [markdown] tags=["core"]
# **With style encoder** (stage 09) the first map is a linear layer of a vector z, and the mask enters by SPADE alone.
# z then decides what the mask leaves open. Without it there is no noise anywhere: the released models give one picture
# for one mask. Before you run it: which of the two lines will say True?

# %% tags=["core", "nbval-check-output"]
torch.manual_seed(0)
with torch.no_grad():
    for name, g in {"from the mask": plain, "from z": styled}.items():
        draws = [g(street, torch.randn(3, 16)) for _ in range(2)]
        print(f"{name:14} same picture for every z: {torch.equal(*draws)}")

# %% tags=["core"]
torch.manual_seed(3)
if generator.z_dim:
    codes = torch.randn(4, generator.z_dim, device=lab.device)
    with torch.no_grad():
        styles = generator(batch["segmap"][1:2].expand(4, -1, -1, -1).contiguous(), codes).cpu()
    show.pictures(styles, [f"z number {i}" for i in range(4)], caption=f"One mask, four z ({source}).")

# %% [markdown] tags=["core"]
# z moves the light of the sky and of the street a little, and nothing else: where things are is up to the mask. After a
# few minutes of training its say is small; stage 09 gives it more and measures it.

# %% [markdown] tags=["core"]
# ## Doubling
#
# Between blocks the map is doubled by **nearest neighbour**: each value is written four times. No weights, nothing to
# learn; the block behind it smooths and refines.

# %% tags=["core"]
small = torch.tensor([[1.0, 2], [3, 4]])
double = F.interpolate(small[None, None], scale_factor=2, mode="nearest")[0, 0]
show.maps([small, double], ["2 x 2", "4 x 4"], numbers=True, diverging=False, caption="Nearest-neighbour doubling.")

# %% [markdown] tags=["core"]
# That is all you need. Run the trained generator by hand, part by part, and compare with its own answer. Before you run
# it: how many doublings do you count from 2 x 4 to 64 x 128?


# %% tags=["core"]
def by_hand(g, segmap, z):
    x = g.head_0(g.first_map(segmap, z), segmap)
    x = g.G_middle_1(g.G_middle_0(F.interpolate(x, scale_factor=2, mode="nearest"), segmap), segmap)
    for block in [g.up_0, g.up_1, g.up_2, g.up_3]:
        x = block(F.interpolate(x, scale_factor=2, mode="nearest"), segmap)
    return torch.tanh(g.conv_img(F.leaky_relu(x, 0.2)))


# %% tags=["core", "nbval-check-output"]
with torch.no_grad():
    same = torch.allclose(by_hand(generator, batch["segmap"], z).cpu(), image, atol=1e-3)
assert same
print("by hand and by the class, the same pictures:", same)

# %% [markdown] tags=["core"]
# How often? Three plans: `normal` doubles 5 times, `more` 6, `most` 7. Let us see the sizes in the official networks. A
# network of 93 million parameters would take a while to fill; on torch's **meta device** tensors have shapes but no
# numbers, which is all we need.


# %% tags=["core"]
from spade_edu import latent_size


def official(labels, size, plan, **options):
    """The published generator (ngf 64) for an image size, without numbers."""
    with torch.device("meta"):
        return SPADEGenerator(labels, latent=latent_size(size, plan), num_upsampling_layers=plan, **options)


def sizes_of(g, labels, size):
    """Channels, height and width after each block, from a pass that computes nothing."""
    found = {}
    parts = {n: m for n, m in g.named_children() if n != "fc"}
    hooks = [
        m.register_forward_hook(lambda m, i, y, n=n: found.update({n: tuple(y.shape[1:])})) for n, m in parts.items()
    ]
    g(torch.zeros(1, labels, *size, device="meta"))
    for hook in hooks:
        hook.remove()
    return found


# %% tags=["core", "nbval-check-output"]
plans = {"normal": (256, 256), "more": (256, 512), "most": (512, 1024)}
tables = {plan: sizes_of(official(36, size, plan), 36, size) for plan, size in plans.items()}
print(f"{'':11}" + "".join(f"{plan + ' ' + str(size):>22}" for plan, size in plans.items()))
for name in [*names, "up_4", "conv_img"]:
    print(f"{name:11}" + "".join(f"{str(tables[plan].get(name, '-')):>22}" for plan in plans))

# %% [markdown] tags=["core"]
# `more` doubles once more in the middle; `most` also adds an eighth block, `up_4`, with half the channels. Cityscapes
# at 256 x 512 uses `more`, the 256 x 256 sets `normal`.
#
# Which sizes are possible? Before you run it: 5 doublings, so what must height and width be multiples of?

# %% tags=["core", "nbval-check-output"]
from spade_edu import UserError

for size, plan in [
    ((256, 256), "normal"),
    ((64, 128), "normal"),
    ((64, 128), "more"),
    ((64, 128), "most"),
    ((100, 200), "normal"),
]:
    try:
        print(size, plan, "-> first map", latent_size(size, plan))
    except UserError as error:
        print(size, plan, "->", error)

# %% tags=["core"]
widths = list(range(32, 545, 32))
possible = torch.tensor([[w % 2**times == 0 for w in widths] for times in (5, 6, 7)])
import matplotlib.pyplot as plt

figure, ax = plt.subplots(figsize=(8, 1.9))
ax.imshow(possible, cmap="Blues", vmin=0, vmax=1.6, aspect="auto")
ax.set_xticks(range(len(widths)), widths, fontsize=8)
ax.set_yticks(range(3), ["normal", "more", "most"])
ax.set(xlabel="height or width in pixels")
ax.grid(False)
show.finish(figure, "Blue: possible. Multiples of 32, 64 and 128.")

# %% [markdown]
# ### Deep dive: a trap in the original
#
# The official code doesn't refuse. It takes the width of the first map as `crop_size // 2^n` and the height as
# `round(width / aspect_ratio)`, and Python rounds 0.5 to 0. Before you run it: crop 64, aspect ratio 2, plan `more`:
# what is the first map's height?

# %% tags=["nbval-check-output"]
for crop, aspect, times in [(512, 2, 6), (256, 1, 5), (64, 2, 5), (64, 2, 6)]:
    width = crop // 2**times
    print(f"crop {crop}, aspect {aspect}, {times} doublings: first map {round(width / aspect)} x {width}")

# %% [markdown]
# A map of height zero: no error there, an empty picture later. And one more surprise: the size of the image is fixed by
# the *generator*, not by the mask that you feed.

# %% tags=["nbval-check-output"]
with torch.no_grad():
    for height in [32, 64, 256]:
        mask = torch.zeros(1, 36, height, 2 * height)
        print(f"mask {height} x {2 * height} -> image", tuple(plain(mask).shape[-2:]))

# %% [markdown] tags=["core"]
# ## The parameters, counted
#
# Table 3 of the paper says 96M. Count one block by hand: two 3x3 convolutions with bias, a 1x1 without if the channels
# change, and two or three SPADE layers (stage 03). Before you run it: do the SPADE layers hold more or less than half
# of all parameters?


# %% tags=["core"]
def convolution(fin, fout, kernel=3, bias=True):
    return fin * fout * kernel**2 + bias * fout


def spade(channels, labels, hidden=128):
    return convolution(labels, hidden) + 2 * convolution(hidden, channels)


def block_parameters(fin, fout, labels):
    """(convolutions, SPADE layers) of one block."""
    middle, learned = min(fin, fout), fin != fout
    own = convolution(fin, middle) + convolution(middle, fout) + learned * convolution(fin, fout, 1, bias=False)
    return own, spade(fin, labels) + spade(middle, labels) + learned * spade(fin, labels)


# %% tags=["core", "nbval-check-output"]
plan = [(1024, 1024)] * 3 + [(1024, 512), (512, 256), (256, 128), (128, 64)]
for title, labels, published in [
    ("Cityscapes", 36, 93048003),
    ("ADE20K", 151, 96492483),
    ("COCO-Stuff", 184, 97480899),
]:
    ends = convolution(labels, 1024) + convolution(64, 3)
    by_hand = ends + sum(sum(block_parameters(*widths, labels)) for widths in plan)
    g = official(labels, (256, 512), "more")
    counted = sum(p.numel() for p in g.parameters())
    print(f"{title:11} by hand {by_hand:,}  counted {counted:,}  official {published:,}")
    assert by_hand == counted == published

# %% tags=["core"]
parts = torch.tensor([block_parameters(*widths, 151) for widths in plan]) / 1e6  # ADE20K
figure, ax = plt.subplots(figsize=(8, 3.4))
ax.bar(names, parts[:, 0], color="#999999", label="convolutions of the block")
ax.bar(names, parts[:, 1], bottom=parts[:, 0], color=show.COLOURS["SPADE"], label="its SPADE layers")
ax.set(ylabel="million parameters")
ax.grid(axis="x", visible=False)
ax.legend()
show.finish(figure, "ADE20K's generator by block: three blocks of 1024 channels hold three quarters of it.")

# %% tags=["core", "nbval-check-output"]
total, spade_layers = 96492483, sum(block_parameters(*widths, 151)[1] for widths in plan)
widest = sum(sum(block_parameters(1024, 1024, 151)) for _ in range(3))
print(f"SPADE layers: {spade_layers:,} = {100 * spade_layers / total:.1f} %")
print(f"three widest blocks: {widest:,} = {100 * widest / total:.1f} %")

# %% [markdown]
# ### Deep dive: with the style encoder, and other widths
#
# z adds a linear layer of 256 x (16 ngf h w) numbers, more than all SPADE layers of the fine blocks. And the paper's
# "compact" generator of 61M has ngf 48. Count them too.

# %% tags=["nbval-check-output"]
for title, labels, size, plan_name, published in [
    ("Cityscapes", 36, (256, 512), "more", 101136579),
    ("ADE20K", 151, (256, 256), "normal", 111942595),
    ("COCO-Stuff", 184, (256, 256), "normal", 112626883),
]:
    counted = sum(p.numel() for p in official(labels, size, plan_name, z_dim=256).parameters())
    print(f"{title:11} with z: first map {latent_size(size, plan_name)}, {counted:,}  official {published:,}")

# %%
widths = [16, 32, 48, 64, 80]
millions = [sum(p.numel() for p in official(151, (256, 256), "normal", ngf=n).parameters()) / 1e6 for n in widths]
show.bars(
    {f"ngf {n}": m for n, m in zip(widths, millions)},
    ylabel="million parameters",
    caption="ADE20K. Table 4 of the paper compares 61M, 96M and 141M: ngf 48, 64 and 80.",
)
assert [round(m) for m in millions[2:]] == [61, 96, 141]

# %% [markdown]
# Parameters aren't work. A weight at 256 x 256 is used 256 times as often as one at 16 x 16. Before you run it: which
# blocks cost the most arithmetic?

# %%
from torch.utils.flop_counter import FlopCounterMode

g = official(151, (256, 256), "normal")
counter = FlopCounterMode(display=False, depth=2)
with counter:
    g(torch.zeros(1, 151, 256, 256, device="meta"))
counts = counter.get_flop_counts()
work = {name: sum(counts[f"SPADEGenerator.{name}"].values()) / 2e9 for name in names}
show.bars(
    work, ylabel="10⁹ products", caption="Multiplications for one image of 256 x 256: the fine blocks do the work."
)
assert work["up_3"] > 5 * work["head_0"]

# %% [markdown]
# Exactly the other way round than the parameters: 1.4 % of the parameters sit in up_3, and half of the work is done
# there. If you want a smaller file, narrow the coarse blocks; if you want a faster network, narrow the fine ones.

# %% [markdown] tags=["core"]
# ## What each scale paints
#
# Every block is told the mask. Do they all need it? A hook can replace the mask of **one block** and leave the others
# as they are. Start with a lie: one block at a time is told that everything is vegetation. Before you run it: which
# block's lie will show as colour, which as shape, and which hardly at all?


# %% tags=["core"]
@torch.no_grad()
def paint(segmap, told, z):
    """The picture for `segmap` while the blocks named in `told` are given other maps: {block: map}."""
    hooks = []
    for name, other in told.items():

        def swap(module, inputs, other=other):
            return inputs[0], other

        hooks.append(getattr(generator, name).register_forward_pre_hook(swap))
    image = generator(segmap, z).cpu()
    for hook in hooks:
        hook.remove()
    return image


# %% tags=["core"]
truth, code = batch["segmap"][1:2].contiguous(), z[1:2] if generator.z_dim else None
green = next(n for n in ["vegetation", "tree"] if n in lab.labels.names)
lie = torch.zeros_like(truth)
lie[:, lab.labels.id(green)] = 1
right = paint(truth, {}, code)
lied = [paint(truth, {name: lie}, code) for name in names]
everywhere = paint(lie, {}, code)
assert torch.equal(paint(lie, {name: truth for name in names}, code), right) or generator.z_dim is None

# %% tags=["core"]
tiles = [right[0], *(image[0] for image in lied), everywhere[0]]
titles = ["no lie", *(f"lie at {n}" for n in names), "lie everywhere"]
show.pictures(tiles, titles, columns=3, width=3, caption="One block at a time believes that all is vegetation.")

# %% tags=["core"]
change = {name: float((image - right).abs().mean() * 127.5) for name, image in zip(names, lied)}
change["all"] = float((everywhere - right).abs().mean() * 127.5)
show.bars(
    change, ylabel="change of the picture", caption="Mean absolute change of a pixel, 0 to 255, by one block's lie."
)
assert change["all"] > max(list(change.values())[:-1])

# %% [markdown] tags=["core"]
# The three blocks at 2 x 4 and 4 x 8 pixels may lie without harm: about 2 of 255. From up_0 on the harm grows, first in
# the sky and the façades, and a lie at the last block, which has the final word at full size, turns the picture green.
# All of them together do more than any alone.

# %% [markdown] tags=["core"]
# Now the reverse: **one block alone** knows the street, and the rest are told vegetation. Before you run it: is any
# single block enough to get the layout?

# %% tags=["core"]
alone = [paint(lie, {name: truth}, code) for name in names]
tiles = [right[0], *(image[0] for image in alone), everywhere[0]]
titles = ["all know", *(f"only {n} knows" for n in names), "none knows"]
show.pictures(tiles, titles, columns=3, width=3, caption="One block at a time is told the truth.")

# %% tags=["core"]
regained = {
    n: 100 * (1 - float((i - right).abs().mean() / (everywhere - right).abs().mean())) for n, i in zip(names, alone)
}
show.bars(
    regained, ylabel="way back to the true picture, %", caption="How far one block alone brings the picture back."
)

# %% [markdown] tags=["core"]
# ## Two streets in one
#
# Give the coarse blocks street A and the fine blocks street B, and move the point of exchange. The first blocks work on
# 2 x 4 to 8 x 16 pixels. Before you run it: after how many blocks of A does the picture become A's?

# %% tags=["core"]
a, b = batch["segmap"][1:2].contiguous(), batch["segmap"][2:3].contiguous()
mixed = [paint(b, {name: a for name in names[:k]}, code) for k in range(len(names) + 1)]
tiles = [mixed[k][0] for k in (0, 2, 4, 5, 6, 7)]
titles = [f"first {k} blocks A" for k in (0, 2, 4, 5, 6, 7)]
show.pictures(tiles, titles, columns=3, width=3, caption="From street B (no block knows A) to street A (all do).")

# %% tags=["core"]
to_a = [float((m - mixed[-1]).abs().mean() * 127.5) for m in mixed]
to_b = [float((m - mixed[0]).abs().mean() * 127.5) for m in mixed]
show.curves(
    {"distance from A's picture": to_a, "distance from B's picture": to_b},
    xlabel="number of coarse blocks that are told A",
    ylabel="mean difference, 0 to 255",
    caption="Whose picture is it?",
)
assert to_a[-1] == to_b[0] == 0

# %% [markdown] tags=["core"]
# The picture changes sides late. On this small network the three coarsest blocks say almost nothing that the later ones
# don't overrule, and the last one alone brings back more than half of the street: it sees the mask sharply. The large
# network, with 1024 channels in its coarse blocks and days of training, may divide the work differently; we haven't
# measured it.

# %% [markdown]
# ### Deep dive: what blurs if the fine blocks see a coarse mask?
#
# Tell every block the mask at 8 x 16 only, enlarged again. Layout stays; what happens to poles and borders?

# %%
coarse = F.interpolate(F.interpolate(truth, size=(8, 16), mode="nearest"), size=lab.size, mode="nearest")
tiles = [
    right[0],
    paint(coarse, {}, code)[0],
    paint(truth, {"up_3": coarse}, code)[0],
    paint(coarse, {"up_3": truth}, code)[0],
]
titles = ["mask at full size", "8 x 16 for all blocks", "8 x 16 for up_3 only", "8 x 16 for all but up_3"]
show.pictures(tiles, titles, columns=2, width=4.2, caption="Who needs the fine mask?")

# %% [markdown]
# With a coarse mask everywhere, poles and kerbs turn into steps of eight pixels. Giving up_3 the fine mask back repairs
# most outlines, and taking it from up_3 alone spoils most of them: another sign of who draws the borders here.

# %% [markdown] tags=["core"]
# ## Can it learn at all? Overfit one batch
#
# Before any long training, ask of a new network the easiest thing: learn one batch by heart, with a plain L1 loss
# and no discriminator. A network that fails at this has a defect. A few dozen steps on two pictures; before you run it:
# what will it learn first, colours or details?

# %% tags=["core"]
from spade_edu.initialisation import init_spade

torch.manual_seed(0)
new = SPADEGenerator(lab.labels.num_channels, latent=latent_size(lab.size), ngf=8, hidden_channels=32)
new = init_spade(new, gain=1.0).to(lab.device)
optimizer = torch.optim.Adam(new.parameters(), lr=4e-3, betas=(0.0, 0.9))
segmap, target = batch["segmap"][:2], batch["image"][:2]
losses, snapshots = [], {}
for step in range(1, 61):
    output = new(segmap)
    loss = (output - target).abs().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step in (1, 10, 30, 60):
        snapshots[step] = output.detach().cpu()

# %% tags=["core"]
show.curves({"L1": losses}, xlabel="step", ylabel="mean absolute error", log=True, caption="One batch, by heart.")
tiles = [*(s[1] for s in snapshots.values()), target[1].cpu()]
show.pictures(
    tiles, [*(f"step {s}" for s in snapshots), "target"], columns=5, width=2.2, caption="The second of the two."
)
assert losses[-1] < 0.45 * losses[0]

# %% [markdown] tags=["core"]
# Large areas first, then borders, then detail. It isn't a good generator now, it has seen two streets; but every part
# passes a gradient. Check that no parameter was left out:

# %% tags=["core", "nbval-check-output"]
idle = [name for name, p in new.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
print("parameters without gradient:", idle)
print("output between -1 and 1:", bool(output.abs().max() <= 1))

# %% [markdown] tags=["core"]
# ## What is in it, and what isn't
#
# Count the kinds of layers in the whole generator. Other generators use pixel norm, noise at every layer or attention.
# Before you run it: which of these does SPADE's generator have?

# %% tags=["core", "nbval-check-output"]
from collections import Counter

kinds = Counter(type(m).__name__ for m in new.modules() if not list(m.children()))
for kind, count in sorted(kinds.items()):
    print(f"{count:3} {kind}")

# %% [markdown] tags=["core"]
# None of them: convolutions, ReLU and parameter-free batch norm, nothing else. Eighteen of the convolutions carry
# **spectral norm**: the two or three of each block, but neither SPADE's own nor the first and last. In one cell, what
# it does: the weight that is used has a largest singular value near 1. (Near: it is estimated, one step of an iteration
# for each pass in training.)

# %% tags=["core"]
convolution_ = generator.up_1.conv_0
stored, used = convolution_.weight.detach().flatten(1), convolution_.normalised_weight().detach().flatten(1)
lines = {"stored weight": torch.linalg.svdvals(stored.float()), "used weight": torch.linalg.svdvals(used.float())}
show.curves(
    lines,
    xlabel="number",
    ylabel="singular value",
    caption="up_1.conv_0 of the trained generator. Stage 06 has the rest.",
)
assert abs(lines["used weight"][0] - 1) < 0.1

# %% [markdown] tags=["core"]
# ## Summary
#
# - The generator is a decoder: a first map of a few pixels, then SPADE residual blocks with doublings between them.
# - The first map comes from the shrunk mask (published checkpoints, no noise) or from z (with style encoder).
# - `normal`, `more`, `most` double 5, 6, 7 times; height and width must be multiples of 32, 64, 128.
# - Parameters sit in the wide coarse blocks, arithmetic in the fine ones; SPADE layers hold 29 % (ADE20K).
# - Each block is told the mask at its own size; on our small network the fine blocks decide most of the layout.

# %% [markdown] tags=["core"]
# ## Questions
#
# 1. Why does pix2pixHD need an encoder and SPADE doesn't?
#
# <details><summary>Answer</summary>pix2pixHD must carry the mask through the network, so it has to compress it first.
# In SPADE the mask comes in at every block by itself; there is nothing to encode.</details>
#
# 2. You want 512 x 512 images from a `normal` generator trained for 256 x 256 with z. Which layer stands in the way?
#
# <details><summary>Answer</summary>fc: its number of outputs is 16 ngf times height times width of the first map. All
# others are convolutions and work at any size.</details>
#
# 3. A block with the same number of channels in and out has no norm_s. Does its skip path know the mask?
#
# <details><summary>Answer</summary>No, x passes unchanged. The mask comes in on the main path.</details>

# %% [markdown] tags=["core"]
# ## Next
#
# **Exercise:** [05_spade_generator](../exercises/05_spade_generator.ipynb): write the first map, run the blocks on it,
# write the last layer, count a block's parameters; then build block and generator for your file.
#
# **Stage 06** trains it against a discriminator: hinge loss, two learning rates, spectral norm watched.
