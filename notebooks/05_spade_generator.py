# %% [markdown] tags=["core"] minutes=2
# # 05 · The SPADE generator
#
# Afterwards you can draw SPADE's generator with every size and channel in it, count its parameters to the last one, and
# say which of its blocks decide what in a trained network. In the exercises you build block and generator yourself.
#
# **Time:** runs in about 44 seconds on two CPU cores (measured); the core path is planned for 45 minutes of a class.
# Not timed on a GPU (`python tools/notebooks.py test 05` does it there). Trained networks come with it.
#
# **Builds on:** stage 03 (the SPADE layer) and stage 04 (why the mask must come in everywhere).

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

lab = course.start("05")

# %% [markdown]
# ## From a few pixels to a street
#
# The generator starts from a tiny map and doubles its size again and again; a residual block follows each doubling, and
# every block is told the label map, also called the **mask**. Here is one trained generator at work: first what goes in
# and what comes out, then how strongly each block responds at each place.

# %%
import torch


def watch(parts, run):
    """What each named part gives while run() paints, and the picture."""
    seen = {}
    hooks = [
        part.register_forward_hook(lambda m, i, y, name=name: seen.update({name: y.float().cpu()}))
        for name, part in parts.items()
    ]
    with torch.no_grad():
        image = run().cpu()
    for hook in hooks:
        hook.remove()
    return seen, image


# %% tags=["core"] minutes=2
networks, source = lab.networks("spade")
generator = networks.generator.eval()
batch, sample = lab.batch(4)
z = torch.zeros(4, generator.z_dim, device=lab.device) if generator.z_dim else None
names = ["head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2", "up_3"]
outputs, image = watch({n: getattr(generator, n) for n in names}, lambda: generator(batch["segmap"], z))
tiles = [lab.labels.colourise(sample.label[1]), image[1]]
show.pictures(tiles, ["mask", "image"], columns=2, width=4, caption=source)

# %% tags=["core"] minutes=3
strength = {name: y[1].abs().mean(0) for name, y in outputs.items()}  # (c, h, w) -> (h, w)
titles = [f"{n}: {outputs[n].shape[1]} x {s.shape[0]} x {s.shape[1]}" for n, s in strength.items()]
show.maps(
    [s / s.max() for s in strength.values()],
    titles,
    diverging=False,
    caption="Mean activation of each block, over its largest. Above: channels x height x width.",
)

# %% [markdown]
# Read the titles from left to right: the size doubles, the channels halve towards the end. We take it apart from the
# inside out: one block, the first map, the doublings, then the whole.

# %% [markdown] tags=["core"] minutes=3
# ## The block
#
# A **SPADE residual block** (paper, Figures 4 and 11) changes its input a little and adds the change. The next cell
# draws one that changes the number of channels.
#
# Then a toy: two channels, 2 x 2 pixels, both 3x3 convolutions set to zero. What comes out: "nothing", "the input" or
# "the mask"?

# %% tags=["core"] minutes=2
from spade_edu.course import schematics

schematics.residual_block()

# %% tags=["core", "nbval-check-output"] minutes=2
from spade_edu import SPADEResnetBlock, one_hot
from spade_edu.course import claim, predict, reveal

predict("05-zero", ...)
mask = torch.tensor([[0, 1], [0, 2]])
segmap = one_hot(mask[None], 3)  # (1, 3, 2, 2)
x = torch.tensor([[[1.0, 2], [3, 4]], [[5, 6], [7, 8]]])[None]  # (1, 2, 2, 2)
block = SPADEResnetBlock(2, 2, 3, spectral=False)
with torch.no_grad():
    for convolution in [block.conv_0, block.conv_1]:
        convolution.weight.zero_()
        convolution.bias.zero_()
    print(block(x, segmap).int().tolist())
reveal("05-zero", "the input")

# %% [markdown] tags=["core"] minutes=2
# The input itself: a **skip path** carries it past everything. A block can begin as nothing at all and learn what to
# add. Where the number of channels changes, x can't be added as it is; then the skip gets a SPADE and a 1x1
# convolution of its own, the **learned shortcut**.

# %% tags=["nbval-check-output"]
for fin, fout in [(64, 64), (64, 32)]:
    block = SPADEResnetBlock(fin, fout, 36)
    print(f"{fin} -> {fout}: learned shortcut: {block.learned_shortcut}")
    for name, part in block.named_children():
        kind = type(part).__name__
        size = f"{part.in_channels} -> {part.out_channels}, kernel {part.kernel_size[0]}" if "Conv" in kind else ""
        print(f"    {name:7} {kind:15} {size}")

# %% [markdown]
# Here is the forward pass, from the block's parts. Three details of the official code: LeakyReLU 0.2 where the figure
# draws ReLU, **no activation on the skip**, and nothing after the sum.

# %% tags=["nbval-check-output"]
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

# %% [markdown]
# And in the trained network? One channel of the block at full size, taken apart. Each map has its own scale.

# %%
parts = {"skip": generator.up_3.conv_s, "change": generator.up_3.conv_1, "sum": generator.up_3}
seen, _ = watch(parts, lambda: generator(batch["segmap"], z))
torch.testing.assert_close(seen["skip"] + seen["change"], seen["sum"], atol=1e-3, rtol=1e-3)
channel = seen["sum"][1].std(dim=(1, 2)).argmax()
centred = {name: y[1, channel] - y[1, channel].mean() for name, y in seen.items()}
tiles = [m / m.abs().max() for m in centred.values()]
show.maps(tiles, list(seen), columns=3, caption="skip + change = sum; each minus its mean, over its largest value.")

# %% [markdown]
# Both parts have seen the mask: up_3 halves the channels, so its shortcut has a SPADE of its own. In this channel the
# skip carries light and dark over whole regions, and the change is strongest along the edges of objects.

# %% [markdown] tags=["core"] minutes=2
# ## The first map
#
# What does the smallest map grow from? The paper has two versions. **Without style encoder**, which is how the
# published checkpoints were made: the mask itself, shrunk, behind a 3x3 convolution. Little of a street is left in it.

# %% tags=["core"] minutes=2
from spade_edu.labels import resize_segmap

sizes = [(2, 4), (4, 8), (8, 16), lab.size]
shrunk = [resize_segmap(one_hot(sample.label[1:2], lab.labels.num_ids), size).argmax(1)[0] for size in sizes]
tiles = [F.interpolate(s[None, None].float(), size=lab.size)[0, 0].long() for s in shrunk]
show.pictures(
    [lab.labels.colourise(t) for t in tiles],
    [f"{h} x {w}" for h, w in sizes],
    caption="The mask at the size of the first map, at the next two sizes, and at full size.",
)

# %% tags=["nbval-check-output"]
from spade_edu import SPADEGenerator

plain = SPADEGenerator(36, latent=(2, 4), ngf=4).eval()
styled = SPADEGenerator(36, latent=(2, 4), ngf=4, z_dim=16).eval()
street = torch.zeros(3, 36, 64, 128)
street[:, 7] = 1
print("from the mask:", type(plain.fc).__name__, tuple(plain.first_map(street, None).shape))
print("from z:       ", type(styled.fc).__name__, tuple(styled.first_map(street, torch.zeros(3, 16)).shape))

# %% [markdown] tags=["core"] minutes=2
# **With style encoder** (stage 09) the first map is a linear layer of a vector z, and the mask enters by SPADE alone.
# z then decides what the mask leaves open. Without it there is no noise anywhere: the released models give one picture
# for one mask.

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
with torch.no_grad():
    for name, g in {"from the mask": plain, "from z": styled}.items():
        draws = [g(street, torch.randn(3, 16)) for _ in range(2)]
        print(f"{name:14} same picture for every z: {torch.equal(*draws)}")

# %%
torch.manual_seed(3)
if generator.z_dim:
    codes = torch.randn(4, generator.z_dim, device=lab.device)
    with torch.no_grad():
        styles = generator(batch["segmap"][1:2].expand(4, -1, -1, -1).contiguous(), codes).cpu()
    show.pictures(styles, [f"z number {i}" for i in range(4)], caption=f"One mask, four z ({source}).")

# %% [markdown]
# z moves the light, and where things are is up to the mask. After a few minutes of training its say is small; stage 09
# gives it more and measures it.

# %% [markdown] tags=["core"] minutes=1
# ## Doubling
#
# Between blocks the map is doubled by **nearest neighbour**: each value is written four times. No weights, nothing to
# learn; the block behind it smooths and refines.

# %%
small = torch.tensor([[1.0, 2], [3, 4]])
double = F.interpolate(small[None, None], scale_factor=2, mode="nearest")[0, 0]
show.maps([small, double], ["2 x 2", "4 x 4"], numbers=True, diverging=False, caption="Nearest-neighbour doubling.")


# %% [markdown] tags=["core"] minutes=3
# That is all you need. Here the trained generator is run by hand, part by part, and compared with its own answer. Count
# the doublings from 2 x 4 to 64 x 128.


# %%
def by_hand(g, segmap, z):
    x = g.head_0(g.first_map(segmap, z), segmap)
    x = g.G_middle_1(g.G_middle_0(F.interpolate(x, scale_factor=2, mode="nearest"), segmap), segmap)
    for block in [g.up_0, g.up_1, g.up_2, g.up_3]:
        x = block(F.interpolate(x, scale_factor=2, mode="nearest"), segmap)
    return torch.tanh(g.conv_img(F.leaky_relu(x, 0.2)))


# %% tags=["nbval-check-output"]
with torch.no_grad():
    same = torch.allclose(by_hand(generator, batch["segmap"], z).cpu(), image, atol=1e-3)
assert same
print("by hand and by the class, the same pictures:", same)

# %% [markdown] tags=["core"] minutes=2
# Five. Larger images need more of them, so the code has three **plans**: `normal` doubles 5 times, `more` 6 times,
# `most` 7 times. Here are their sizes in the published networks. A network of 93 million parameters would take a while
# to fill; on torch's **meta device** tensors have shapes but no numbers, which is all we need.

# %%
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


# %% tags=["nbval-check-output"]
plans = {"normal": (256, 256), "more": (256, 512), "most": (512, 1024)}
tables = {plan: sizes_of(official(36, size, plan), 36, size) for plan, size in plans.items()}
print(f"{'':11}" + "".join(f"{plan + ' ' + str(size):>22}" for plan, size in plans.items()))
for name in [*names, "up_4", "conv_img"]:
    print(f"{name:11}" + "".join(f"{str(tables[plan].get(name, '-')):>22}" for plan in plans))

# %% [markdown]
# `more` doubles once more in the middle; `most` also adds an eighth block, `up_4`, with half the channels. Cityscapes
# at 256 x 512 uses `more`, the 256 x 256 sets `normal`. Height and width must be multiples of 2 to the number of
# doublings: 32, 64 or 128.
#
# Here is the whole generator for Cityscapes as a drawing (compare with the paper's Figure 12): above each block's
# output, as wide as it has channels; below the mask as the block sees it.

# %% tags=["core"] minutes=2
import matplotlib.pyplot as plt

schematics.generator((256, 512), "more")

# %% [markdown]
# ### Deep dive: sizes that don't fit
#
# The package refuses a size that can't be halved as often as the plan asks. The official code takes the width of the
# first map as `crop_size // 2^n` and the height as `round(width / aspect_ratio)`, and Python rounds 0.5 to 0: a map of
# height zero. There is no error there, only an empty picture later.

# %% tags=["nbval-check-output"]
from spade_edu import UserError

try:
    latent_size((64, 128), "most")
except UserError as error:
    print(error)
for crop, aspect, times in [(512, 2, 6), (256, 1, 5), (64, 2, 5), (64, 2, 6)]:
    width = crop // 2**times
    print(f"crop {crop}, aspect {aspect}, {times} doublings: first map {round(width / aspect)} x {width}")

# %% [markdown]
# One more surprise: the size of the image is fixed by the *generator*, not by the mask that you feed.

# %% tags=["nbval-check-output"]
with torch.no_grad():
    for height in [32, 64, 256]:
        mask = torch.zeros(1, 36, height, 2 * height)
        print(f"mask {height} x {2 * height} -> image", tuple(plain(mask).shape[-2:]))

# %% [markdown] tags=["core"] minutes=2
# ## The parameters, counted
#
# Table 3 of the paper says 96M. Count one block by hand: two 3x3 convolutions with bias, a 1x1 without if the channels
# change, and two or three SPADE layers (stage 03). How many percent of all parameters do the SPADE layers hold, on
# ADE20K? (A number.)

# %%
predict("05-share", ...)


def convolution(fin, fout, kernel=3, bias=True):
    return fin * fout * kernel**2 + bias * fout


def spade(channels, labels, hidden=128):
    return convolution(labels, hidden) + 2 * convolution(hidden, channels)


def block_parameters(fin, fout, labels):
    """(convolutions, SPADE layers) of one block."""
    middle, learned = min(fin, fout), fin != fout
    own = convolution(fin, middle) + convolution(middle, fout) + learned * convolution(fin, fout, 1, bias=False)
    return own, spade(fin, labels) + spade(middle, labels) + learned * spade(fin, labels)


# %% tags=["nbval-check-output"]
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

# %% tags=["core"] minutes=3
parts = torch.tensor([block_parameters(*widths, 151) for widths in plan]) / 1e6  # ADE20K
figure, ax = plt.subplots(figsize=(8, 3.4))
ax.bar(names, parts[:, 0], color="#999999", label="convolutions of the block")
ax.bar(names, parts[:, 1], bottom=parts[:, 0], color=show.COLOURS["SPADE"], label="its SPADE layers")
ax.set(ylabel="million parameters")
ax.grid(axis="x", visible=False)
ax.legend()
show.finish(figure, "ADE20K's generator, block by block.")

# %% tags=["nbval-check-output"]
total, spade_layers = 96492483, sum(block_parameters(*widths, 151)[1] for widths in plan)
widest = sum(sum(block_parameters(1024, 1024, 151)) for _ in range(3))
print(f"SPADE layers: {spade_layers:,} = {100 * spade_layers / total:.1f} %")
print(f"three widest blocks: {widest:,} = {100 * widest / total:.1f} %")
reveal("05-share", round(100 * spade_layers / total, 1))

# %% [markdown]
# The three blocks of 1024 channels hold three quarters of everything. That is also why SPADE's generator is smaller
# than pix2pixHD's (stage 02): not that it has no way down, but that it has three such blocks instead of nine.

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
# Parameters aren't work. A weight at 256 x 256 is used 256 times as often as one at 16 x 16. Which blocks cost the most
# arithmetic: the "coarse" or the "fine" ones?

# %%
predict("05-work", ...)
from torch.utils.flop_counter import FlopCounterMode

g = official(151, (256, 256), "normal")
counter = FlopCounterMode(display=False, depth=2)
with counter:
    g(torch.zeros(1, 151, 256, 256, device="meta"))
counts = counter.get_flop_counts()
work = {name: sum(counts[f"SPADEGenerator.{name}"].values()) / 2e9 for name in names}
show.bars(work, ylabel="10⁹ products", caption="Multiplications for one image of 256 x 256.")
assert work["up_3"] > 5 * work["head_0"]
reveal("05-work", "fine")


# %% [markdown]
# Exactly the other way round than the parameters: 1.4 % of the parameters sit in up_3, and half of the work is done
# there. If you want a smaller file, narrow the coarse blocks; if you want a faster network, narrow the fine ones.

# %% [markdown] tags=["core"] minutes=2
# ## What each scale paints
#
# Every block is told the mask. Do they all need it? A hook can replace the mask of **one block** and leave the others
# as they are. Start with a lie: one block at a time is told that all pixels are vegetation. (Only the classes lie; the
# edges between instances stay.) At which block does the lie change the picture most: one of "head_0", "G_middle_0",
# "G_middle_1", "up_0", "up_1", "up_2", "up_3"?


# %%
@torch.no_grad()
def paint(segmap, told, z):
    """The pictures for `segmap` while the blocks named in `told` are given other masks: {block: mask}."""
    hooks = []
    for name, other in told.items():

        def swap(module, inputs, other=other):
            return inputs[0], other

        hooks.append(getattr(generator, name).register_forward_pre_hook(swap))
    image = generator(segmap, z).cpu()
    for hook in hooks:
        hook.remove()
    return image


def lie_about(segmap, class_id):
    """The same mask, all pixels of one class."""
    lie = segmap.clone()
    lie[:, : lab.labels.num_ids] = 0
    lie[:, class_id] = 1
    return lie


# %% tags=["core"] minutes=3
predict("05-lie", ...)
green = lab.labels.id(next(n for n in ["vegetation", "tree"] if n in lab.labels.names))
truth, code = batch["segmap"][1:2].contiguous(), z[1:2] if generator.z_dim else None
lie = lie_about(truth, green)
right, everywhere = paint(truth, {}, code), paint(lie, {}, code)
lied = [paint(truth, {name: lie}, code) for name in names]
tiles = [right[0], *(image[0] for image in lied), everywhere[0]]
titles = ["no lie", *(f"lie at {n}" for n in names), "lie everywhere"]
show.pictures(tiles, titles, columns=3, width=3, caption="One block at a time is told that all is vegetation.")


# %% [markdown]
# One street proves little. Take twelve, each with a style code of its own; the thin lines are the standard deviation
# over the streets.


# %%
def streets(seed, count=12):
    """Masks and style codes of streets of the validation split, drawn by a seed."""
    chosen = torch.randperm(len(lab.val), generator=torch.Generator().manual_seed(seed))[:count]
    segmap = to_batch(stack([lab.val[int(i)] for i in chosen]), lab.labels, torch.device(lab.device))["segmap"]
    torch.manual_seed(seed)
    return segmap, torch.randn(len(segmap), generator.z_dim, device=lab.device) if generator.z_dim else None


def apart(a, b):
    """Mean difference of two pictures on a scale of 0 to 255, one number a street."""
    return 127.5 * (a - b).abs().mean(dim=(1, 2, 3))


# %% tags=["core"] minutes=3
from spade_edu.data import stack
from spade_edu.sampling import to_batch

many, codes = streets(0)
lies, honest = lie_about(many, green), paint(many, {}, codes)
harm = {name: apart(paint(many, {name: lies}, codes), honest) for name in names}
harm["all"] = apart(paint(lies, {}, codes), honest)
show.bars(
    {name: float(h.mean()) for name, h in harm.items()},
    errors=[float(h.std()) for h in harm.values()],
    ylabel="change of the picture",
    caption="Mean change of a pixel, 0 to 255, when one block is told that all is vegetation.",
)
reveal("05-lie", max(names, key=lambda name: float(harm[name].mean())))


# %%
def last_over_coarse(seed):
    """Harm of a lie at the last block over that of the same lie at the three coarsest together."""
    many, codes = streets(seed)
    common = many[:, : lab.labels.num_ids].sum(dim=(0, 2, 3)).argsort(descending=True)
    lies, honest = lie_about(many, common[seed % 5]), paint(many, {}, codes)  # another class for each seed
    last, coarse = paint(many, {"up_3": lies}, codes), paint(many, dict.fromkeys(names[:3], lies), codes)
    return float(apart(last, honest).mean() / apart(coarse, honest).mean())


claim(
    "05-last",
    "A lie at the last block does more harm than the same lie at the three coarsest",
    last_over_coarse,
    at_least=2,
)

# %% [markdown] tags=["core"] minutes=2
# The three blocks at 2 x 4 and 4 x 8 pixels may lie without much harm. From up_0 on the harm grows, and a lie at the
# last block, which has the final word at full size, does most. It holds for other streets, styles and lies, too: the
# claim takes another class for each seed. (It is about this one trained network.)

# %% [markdown]
# Now the reverse: **one block alone** knows the street, and the rest are told vegetation.

# %%
alone = [paint(lie, {name: truth}, code) for name in names]
tiles = [right[0], *(image[0] for image in alone), everywhere[0]]
titles = ["all know", *(f"only {n} knows" for n in names), "none knows"]
show.pictures(tiles, titles, columns=3, width=3, caption="One block at a time is told the truth.")

# %%
regained = {name: 100 * (1 - apart(paint(lies, {name: many}, codes), honest) / harm["all"]) for name in names}
show.bars(
    {name: float(r.mean()) for name, r in regained.items()},
    errors=[float(r.std()) for r in regained.values()],
    ylabel="% of the difference undone",
    caption="How far one honest block brings the picture back, from all lying to none; twelve streets.",
)

# %% [markdown]
# ## Two streets in one
#
# Give the coarse blocks street A and the fine blocks street B, and move the point of exchange. The first blocks work on
# 2 x 4 to 8 x 16 pixels. How many of the seven blocks must be told A before the picture is nearer to A's than to B's?
# (A number.)

# %%
predict("05-sides", ...)
a, b = batch["segmap"][1:2].contiguous(), batch["segmap"][2:3].contiguous()
shown = (0, 2, 4, 5, 6, 7)
mixed = [paint(b, dict.fromkeys(names[:k], a), code)[0] for k in shown]
titles = [f"first {k} blocks told A" for k in shown]
show.pictures(mixed, titles, columns=3, width=3, caption="From street B (no block is told A) to street A (all are).")

# %%
from functools import cache


@cache
def exchange(seed):
    """Distances from A's and from B's picture when the k coarsest blocks are told A: two lists over k, 12 pairs."""
    b, codes = streets(seed)
    a = b.roll(1, dims=0).contiguous()
    steps = [paint(b, dict.fromkeys(names[:k], a), codes) for k in range(len(names) + 1)]
    return [float(apart(m, steps[-1]).mean()) for m in steps], [float(apart(m, steps[0]).mean()) for m in steps]


to_a, to_b = exchange(0)
show.curves(
    {"distance from A's picture": to_a, "distance from B's picture": to_b},
    xlabel="number of coarse blocks that are told A",
    ylabel="mean difference, 0 to 255",
    caption="Twelve pairs of streets.",
)
reveal("05-sides", next(k for k in range(8) if to_a[k] < to_b[k]))


# %%
def still_b(seed):
    to_a, to_b = exchange(seed)
    return to_b[5] / to_a[5]


claim("05-late", "With five of seven blocks told A the picture is nearer to B's", still_b, at_most=0.8)

# %% [markdown]
# The picture changes sides late. On this small network the three coarsest blocks say almost nothing that the later ones
# don't overrule, and the last one alone undoes a good part of the lie: it sees the mask sharply. The large network,
# with 1024 channels in its coarse blocks and days of training, may divide the work differently; we haven't measured it.

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
show.pictures(tiles, titles, columns=2, width=4.2, caption="The mask at 8 x 16, for all blocks or some.")

# %% [markdown]
# With a coarse mask everywhere, poles and kerbs turn into steps of eight pixels. Giving up_3 the fine mask back repairs
# most outlines, and taking it from up_3 alone spoils most of them: another sign of which block draws the borders here.

# %% [markdown]
# ## Can it learn at all? Overfit one batch
#
# Before any long training, ask of a new network the easiest thing: to learn one batch by heart, with a plain L1 loss
# and no discriminator. A network that fails at this has a defect. We give it 80 steps on two pictures, and measure
# two things: how much of the **coarse** picture (means of blocks of 8 x 8 pixels) it still gets wrong, and how
# much of the **fine** rest. 1 means: as wrong as a blank.

# %%
from spade_edu.initialisation import init_spade


def missing(output, target):
    """Squared error over squared size, for the coarse picture and for the rest."""
    coarse, wanted = (F.interpolate(F.avg_pool2d(x, 8), scale_factor=8) for x in (output, target))
    rest, wanted_rest = output - coarse, target - wanted
    wanted_mean = wanted - wanted.mean(dim=(2, 3), keepdim=True)
    return [float((a - b).square().sum() / size.square().sum())
            for a, b, size in ((coarse, wanted, wanted_mean), (rest, wanted_rest, wanted_rest))]  # fmt: skip


# %%
@cache
def by_heart(seed, steps=80):
    """A new generator after its training; loss and what is missing, step by step; some snapshots."""
    torch.manual_seed(seed)
    new = SPADEGenerator(lab.labels.num_channels, latent=latent_size(lab.size), ngf=8, hidden_channels=32)
    new = init_spade(new, gain=1.0).to(lab.device)
    optimizer, record, snapshots = torch.optim.Adam(new.parameters(), lr=4e-3, betas=(0.0, 0.9)), [], {}
    for step in range(1, steps + 1):
        output = new(batch["segmap"][:2])
        loss = (output - batch["image"][:2]).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        record.append([loss.item(), *missing(output.detach(), batch["image"][:2])])
        if step in (1, 10, 30, steps):
            snapshots[step] = output[1].detach().cpu()
    return new, record, snapshots


# %%
new, record, snapshots = by_heart(0)
tiles = [lab.labels.colourise(sample.label[1]), *snapshots.values(), batch["image"][1].cpu()]
titles = ["mask", *(f"step {step}" for step in snapshots), "target"]
show.pictures(tiles, titles, columns=6, width=1.9, caption="The second of the two pictures.")
loss, coarse, fine = (list(column) for column in zip(*record))
show.curves(
    {"coarse": coarse[5:], "fine": fine[5:]},
    x=range(6, len(fine) + 1),
    xlabel="step (from the sixth)",
    ylabel="share still wrong",
    caption="What the network hasn't learned yet.",
)
print(f"mean absolute error at the first and the last step: {loss[0]:.2f}, {loss[-1]:.2f}")


# %%
def fine_over_coarse(seed):
    _, coarse, fine = by_heart(seed)[1][-1]
    return fine / coarse


claim(
    "05-coarse-first",
    "After 80 steps a larger share of the fine picture is wrong than of the coarse one",
    fine_over_coarse,
    at_least=2,
)

# %% [markdown]
# Large areas come first. By heart it hasn't learned the pictures yet: after 80 steps a good part of what is fine is
# still missing. But the error falls, so gradients pass. Check that no parameter was left out:

# %% tags=["nbval-check-output"]
idle = [name for name, p in new.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
print("parameters without gradient:", idle)
with torch.no_grad():
    print("output between -1 and 1:", bool(new(batch["segmap"][:2]).abs().max() <= 1))

# %% [markdown]
# ## What is in it, and what isn't
#
# Count the kinds of layers in the whole generator. Other generators use pixel norm, noise at every layer or attention.

# %% tags=["nbval-check-output"]
from collections import Counter

kinds = Counter(type(m).__name__ for m in new.modules() if not list(m.children()))
for kind, count in sorted(kinds.items()):
    print(f"{count:3} {kind}")

# %% [markdown]
# SPADE has none of those: convolutions, ReLU and batch norm without parameters, nothing else. Eighteen of the
# convolutions carry **spectral norm**: the two or three of each block, but neither SPADE's own nor the first and last.
# Stage 06 shows what it does.

# %% [markdown]
# ## Summary
#
# - The generator is a decoder: a first map of a few pixels, then SPADE residual blocks with doublings between them.
# - The first map comes from the shrunk mask (published checkpoints, no noise) or from z (with style encoder).
# - `normal`, `more`, `most` double 5, 6, 7 times; height and width must be multiples of 32, 64, 128.
# - Parameters sit in the wide coarse blocks, arithmetic in the fine ones; SPADE layers hold 29 % (ADE20K).
# - Each block is told the mask at its own size; in our small network the fine blocks decide most of the
#   layout.

# %% [markdown]
# ## Questions
#
# 1. Why does pix2pixHD need an encoder and SPADE doesn't?
#
# <details><summary>Answer</summary>In pix2pixHD the mask comes in once, at full size. What stands far away in the
# picture can only be brought together on a small map, so the mask has to be carried down and up again. In SPADE each
# block is told the mask at its own size; there is nothing to carry. (The encoder is not what makes pix2pixHD large: its
# way down holds 6 of 182 million parameters, its nine wide blocks 170.)</details>
#
# 2. You want 512 x 512 images from a `normal` generator trained for 256 x 256 with z. Which layer stands in the way?
#
# <details><summary>Answer</summary>fc: its number of outputs is 16 ngf times height times width of the first map. All
# others are convolutions and work at any size.</details>
#
# 3. A block with the same number of channels in and out has no norm_s. Does its skip path know the mask?
#
# <details><summary>Answer</summary>No, x passes unchanged. The mask comes in on the main path.</details>

# %% [markdown]
# ## Next
#
# **Exercise:** [05_spade_generator](../exercises/05_spade_generator.ipynb): write the first map, run the blocks on it,
# write the last layer, count a block's parameters; then build block and generator for your file.
#
# **Stage 06** trains it against a discriminator: hinge loss, two learning rates, spectral norm watched.
