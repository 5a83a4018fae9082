# %% [markdown] tags=["core"] minutes=2
# # 02 · pix2pixHD
#
# Afterwards you can build the network that SPADE set out to beat (its exercises do), say what each of its losses asks
# for, and read its training pictures.
#
# **Time:** runs in 49 seconds on two CPU cores (measured); the core path takes a class 45 minutes. Not timed on a GPU
# (`python tools/notebooks.py test 02` does it there).
#
# **Builds on:** label maps and edges (stage 00), instance norm (stage 01).

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

lab = course.start("02")

# %% [markdown]
# ## What it does
#
# pix2pixHD (Wang et al., CVPR 2018) turns label maps into photographs. Here is a small one that comes with this
# package, trained for 750 steps on Streets: label map, its picture, the real one.

# %% tags=["core"] minutes=3
from spade_edu import CITYSCAPES
from spade_edu.data import Streets, stack
from spade_edu.sampling import generate
from spade_edu.runs.loading import load_stored

scenes = Streets(200, split="val", height=64, width=128)
three = stack([scenes[i] for i in (0, 5, 7)])
stored = load_stored("pix2pixhd").generator
painted = generate(stored, three, CITYSCAPES)  # (3, 3, 64, 128)
tiles = [*CITYSCAPES.colourise(three.label), *painted, *three.image]
show.pictures(tiles, columns=3, width=3.4, caption="Label map, pix2pixHD after 750 steps, real image.")

# %% [markdown]
# The layout is right, the details are smeared and striped; 750 steps are minutes, and the published network was
# trained for 200 epochs. It has two parts: a **generator** that paints and a **discriminator** that tells real pictures
# from painted ones. We take both apart, then their losses, then train them for a minute; in the exercises you write the
# generator yourself.

# %% [markdown] tags=["core"] minutes=2
# ## Down and up
#
# The generator first makes the map smaller and deeper, works there, and comes back. A convolution with kernel k,
# padding p and stride s turns n pixels into (n + 2p - k) // s + 1. What is left of 64 rows after three convolutions
# with kernel 3, padding 1, stride 2? (A number.)

# %% tags=["core", "nbval-check-output"] minutes=3
import matplotlib.pyplot as plt
import torch
from torch import nn
from spade_edu.course import claim, predict, reveal

predict("02-rows", ...)
x = torch.randn(1, 1, 64, 128)
for step in range(3):
    x = nn.Conv2d(1, 1, 3, stride=2, padding=1)(x)
    print(f"after convolution {step + 1}: {tuple(x.shape[2:])}")
reveal("02-rows", x.shape[2])

# %% [markdown]
# Back up it goes by **transposed** convolutions: each input pixel stamps the kernel onto the output, two pixels further
# than its neighbour, and stamps add where they overlap. Take a kernel of ones and an input of ones. Is the output
# "even" or "uneven"?

# %%
predict("02-stamps", ...)
up = nn.ConvTranspose2d(1, 1, 3, stride=2, padding=1, output_padding=1, bias=False)
nn.init.ones_(up.weight)
dot = torch.zeros(1, 1, 3, 3)
dot[0, 0, 1, 1] = 1
with torch.no_grad():
    stamps = [dot, up(dot), up(torch.ones(1, 1, 3, 3))]  # 3x3 -> 6x6
titles = ["one pixel", "its stamp", "nine pixels of 1"]
show.maps([s[0, 0] for s in stamps], titles, numbers=True, caption="A transposed convolution with a kernel of ones.")
reveal("02-stamps", "uneven")

# %% tags=["nbval-check-output"]
print("size", tuple(stamps[2].shape[2:]), "values", sorted(stamps[2].unique().tolist()))

# %% [markdown]
# Stamps overlap once, twice or four times: a checkerboard, whatever the input. Training can learn kernels that cancel
# it, but young networks show it plainly; you will see it below. SPADE's generator avoids it: it enlarges by copying
# pixels and convolves afterwards (stage 05).

# %% [markdown]
# ## Residual blocks
#
# At the bottom sit residual blocks: y = x + norm(conv(relu(norm(conv(x))))). They learn a *change* of x; with nothing
# to change they let x pass, as a block does whose convolutions are all zero.

# %% tags=["nbval-check-output"]
from spade_edu import ResnetBlock

block = ResnetBlock(8)
x = torch.randn(1, 8, 6, 6)
print("in", tuple(x.shape), "out", tuple(block(x).shape))
for parameter in block.parameters():
    nn.init.zeros_(parameter)
print("zero weights, y = x:", torch.equal(block(x), x))

# %% [markdown] tags=["core"] minutes=2
# ## The whole generator
#
# Put together: a 7x7 convolution, the way down, the blocks, the way up, a 7x7 convolution to three colours, tanh.
# After every convolution but the last: instance norm and ReLU. Follow the shapes of the small version; each line is
# (channels, height, width).

# %% tags=["core", "nbval-check-output"] minutes=2
from spade_edu import Pix2PixHDGenerator

small = Pix2PixHDGenerator(36, ngf=24, num_downsampling=3, num_blocks=6)
x = torch.zeros(1, 36, 64, 128)
for layer in small.model:
    x = layer(x)
    if isinstance(layer, nn.ReLU | ResnetBlock | nn.Tanh):
        print(f"{type(layer).__name__:12}", tuple(x.shape[1:]))

# %% [markdown] tags=["core"] minutes=2
# The label map enters **once**, at the top of this list, and everything after it passes through instance norms. You
# know from stage 01 what they do to a uniform map. Here is what the trained network carries at each depth for one
# street.

# %% tags=["core"] minutes=2
x, carried = CITYSCAPES.encode(three.label[1:2], three.instance[1:2]), []
with torch.no_grad():
    for layer in stored.model:
        x = layer(x)
        if isinstance(layer, nn.ReLU | ResnetBlock):
            carried.append(x[0].std(dim=0))  # how much the channels differ at each pixel
chosen = [0, 1, 2, 3, 9, 10, 11, 12]  # 4 to 9 are the residual blocks, at the same size
figure, axes = plt.subplots(2, 4, figsize=(10, 3.2))
for ax, i in zip(axes.flat, chosen):
    ax.imshow(carried[i], cmap=show.SEQUENTIAL, vmax=float(carried[i].quantile(0.98)))  # a scale of its own for each
    ax.set_title(f"layer {i}: {carried[i].shape[0]} x {carried[i].shape[1]}")
    ax.axis("off")
show.finish(figure, "How much the channels differ at each pixel: on the way down (above) and back up (below).")

# %% [markdown]
# Down to 8 x 16 pixels, and from there the whole street is painted anew. A pole one pixel wide has to survive in the
# channels of a map that can't resolve it. Now the published size: 64 channels at the top, four times down, nine
# blocks. Which part holds most of the parameters: "down", "blocks" or "up"?

# %% tags=["nbval-check-output"]
from spade_edu.models import count_parameters

with torch.device("meta"):  # shapes without memory
    published = Pix2PixHDGenerator(36, ngf=64, num_downsampling=4, num_blocks=9)
print(f"{count_parameters(published):,} parameters")

# %%
predict("02-parts", ...)
parts = {"first 7x7": 0, "down": 0, "blocks": 0, "up": 0, "last 7x7": 0}
for layer in published.model:
    if isinstance(layer, ResnetBlock):
        parts["blocks"] += count_parameters(layer)
    elif isinstance(layer, nn.ConvTranspose2d):
        parts["up"] += count_parameters(layer)
    elif isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3):
        parts["down"] += count_parameters(layer)
    elif isinstance(layer, nn.Conv2d):
        parts["first 7x7" if parts["down"] == 0 else "last 7x7"] += count_parameters(layer)
show.bars(
    {name: n / 1e6 for name, n in parts.items()},
    ylabel="million parameters",
    caption="pix2pixHD at its published size.",
)
reveal("02-parts", max(parts, key=parts.get))

# %% [markdown]
# Nine blocks of 1024 channels outweigh everything else: 93 % of the parameters work on a map that is 16 times smaller
# than the picture in each direction. Keep the number 182.5 million in mind: SPADE's generator for the same data has 93
# million. It needs no way down, but that saves only 6 million; the rest is that only three of its seven blocks have
# 1024 channels, and the others fewer and fewer (stage 05, and the paper's Table 3).

# %% [markdown]
# ### Deep dive: twice the size
#
# For 1024 x 2048 pixels pix2pixHD puts a second network around the first: the *local enhancer* works at full size and
# adds its features to those of the first network, which saw the map at half the size.

# %% tags=["nbval-check-output"]
from spade_edu.generators.pix2pixhd import LocalEnhancer

with torch.device("meta"):
    enhanced = LocalEnhancer(36, ngf=32)
    picture = enhanced(torch.zeros(1, 36, 512, 1024))
print(f"{count_parameters(enhanced) - count_parameters(published):,} more, image {tuple(picture.shape)}")

# %% [markdown] tags=["core"] minutes=2
# ## A discriminator of patches
#
# The discriminator sees label map and image together and answers for every *patch*: real or painted? Five
# convolutions with kernel 4; the result is a map of verdicts. A second discriminator of the same build sees
# everything at half the size.

# %% tags=["core", "nbval-check-output"] minutes=2
from spade_edu import MultiScaleDiscriminator

discriminator = MultiScaleDiscriminator(36, ndf=16, spectral=False, bias=True)
scales = discriminator(torch.zeros(1, 36, 64, 128), torch.zeros(1, 3, 64, 128))
for number, features in enumerate(scales):
    print(f"scale {number}:", *(tuple(f.shape[1:]) for f in features))

# %% [markdown] tags=["core"] minutes=2
# The last shape of each line is the verdict map, 11 x 19 and 7 x 11. How many pixels of the image, in one direction,
# does one verdict of the fine scale see? Go through the layers: a kernel of 4 looks three steps further than one pixel,
# and every stride of 2 makes the steps twice as long. (A number; the strides are 2, 2, 2, 1, 1.)

# %% tags=["core"] minutes=2
predict("02-field", ...)


def receptive_fields(strides, kernel=4, field=1, step=1):
    fields = []
    for stride in strides:
        field += (kernel - 1) * step  # pixels of the input that one output pixel sees
        step *= stride
        fields.append(field)
    return fields


# %% tags=["core", "nbval-check-output"] minutes=2
fine = receptive_fields([2, 2, 2, 1, 1])
coarse = receptive_fields([2, 2, 2, 1, 1], field=3, step=2)  # after 3x3 pooling with stride 2
print("fine scale:  ", fine)
print("coarse scale:", coarse)
reveal("02-field", fine[-1])

# %% [markdown]
# 70 pixels, hence the name "70 x 70 PatchGAN", and 141 at the coarse scale. Don't believe the formula; measure it.
# The gradient of one verdict with respect to the image is zero wherever that verdict doesn't look.

# %% tags=["nbval-check-output"]
bare = MultiScaleDiscriminator(1, ndf=4, norm="none", spectral=False)
picture = torch.rand(1, 3, 256, 256, requires_grad=True)
for scale in bare(torch.zeros(1, 1, 256, 256), picture):
    verdict = scale[-1]
    middle = verdict[0, 0, verdict.shape[2] // 2, verdict.shape[3] // 2]
    gradient = torch.autograd.grad(middle, picture, retain_graph=True)[0]
    seen = gradient[0].abs().sum(dim=0) > 0
    print("sees", int(seen.any(dim=1).sum()), "x", int(seen.any(dim=0).sum()), "pixels")

# %%
from spade_edu.pictures import to_uint8

large = Streets(8, split="val", height=256, width=512)[5]  # the paper's size for Cityscapes
figure, ax = plt.subplots(figsize=(8, 4.2))
ax.imshow(to_uint8(large.image).numpy())
for side, colour in zip([*fine, coarse[-1]], ["white"] * 4 + ["#56B4E9", "#E69F00"]):
    ax.add_patch(plt.Rectangle((256 - side / 2, 140 - side / 2), side, side, fill=False, edgecolor=colour, linewidth=2))
    ax.text(258 + side / 2, 140 - side / 2, str(side) if side > 20 else "", color=colour, va="top")
ax.axis("off")
show.finish(figure, "What one verdict sees, layer by layer, in 256 x 512 pixels.")

# %% [markdown]
# White and blue: the fine scale, 4 to 70 pixels; orange: the coarse one, 141. The fine one sees a wheel or a window,
# the coarse one a whole car. At our 64 x 128 pixels a patch is higher than the picture.
#
# A caveat: we measured without norms. With instance norm a verdict depends, through mean and variance, faintly on
# *every* pixel.

# %% [markdown]
# The whole discriminator as a drawing (the paper's Figure 13), at the paper's size for Cityscapes. Under each layer
# stands how many pixels in a row one value sees; below are the patches of the two scales, in proportion.

# %% tags=["core"] minutes=3
from spade_edu.course import schematics

schematics.patchgan()

# %% [markdown]
# ## Least squares: what both want
#
# pix2pixHD uses the least-squares loss, **LSGAN**: the discriminator D is to answer 1 on real patches and 0 on painted
# ones, and pays the squared distance; the generator G is to make it answer 1. Take verdict maps of 2 x 2 and compute
# the three means yourself.

# %%
real = torch.tensor([[1.0, 0.8], [0.6, 1.2]])
fake = torch.tensor([[0.0, 0.2], [0.4, 0.2]])
squares = [real, (real - 1) ** 2, fake, fake**2, (fake - 1) ** 2]
titles = ["D(real)", "D pays (D - 1)²", "D(fake)", "D pays D²", "G pays (D - 1)²"]
show.maps(squares, titles, columns=5, numbers=True, caption="Verdicts, and what they cost.")

# %% tags=["nbval-check-output"]
from spade_edu import losses

as_scales = [[fake[None, None]]], [[real[None, None]]]  # one scale with one map, the verdict
values = {
    "D, real": losses.lsgan(as_scales[1], True),
    "D, fake": losses.lsgan(as_scales[0], False),
    "G": losses.lsgan(as_scales[0], True),
}
for (name, value), square in zip(values.items(), [squares[1], squares[3], squares[4]]):
    assert torch.isclose(value, square.mean())
    print(f"{name:12} {value:.2f}")

# %% [markdown]
# Over several scales the verdicts' losses are *summed*, and D's two parts are halved (both as in the published code).
# Suppose a patch could be real or painted with equal chance. Which answer costs D least?

# %%
d = torch.linspace(-0.5, 1.5, 201)
lines = {"on real: (D - 1)² / 2": (d - 1) ** 2 / 2, "on painted: D² / 2": d**2 / 2, "sum": (d - 1) ** 2 / 2 + d**2 / 2}
show.curves(
    lines, d, xlabel="verdict D", ylabel="loss of D", caption="A patch that is real or painted with equal chance."
)
assert abs(d[lines["sum"].argmin()] - 0.5) < 0.02
two = [[real[None, None]], [real[None, None]]]
assert torch.isclose(losses.lsgan(two, True), 2 * losses.lsgan(two[:1], True))

# %% [markdown]
# In doubt it answers 0.5. So as long as D can't tell real from painted, its squared error at each scale is 0.25 on real
# and 0.25 on painted pictures. Near 0 it has won, and the generator learns little from it. SPADE uses the hinge loss
# instead; stage 06 compares them.

# %% [markdown] tags=["core"] minutes=2
# ## Feature matching
#
# A verdict is one number per patch; not much to learn from. pix2pixHD's idea: the painted image should look like the
# real one *to D's inner layers*. Take the mean absolute difference of each layer's features, sum over layers,
# average over scales; the verdict itself is left out. By hand, with two layers of 2 x 2:

# %% tags=["core"] minutes=2
real_features = [torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([[9.0]])]
fake_features = [torch.tensor([[1.0, 0.0], [3.0, 2.0]]), torch.tensor([[1.0, 1.0], [0.0, 0.0]]), torch.tensor([[5.0]])]
gaps = [(a - b).abs() for a, b in zip(fake_features, real_features)]
show.maps(
    gaps,
    ["layer 1", "layer 2", "verdict"],
    numbers=True,
    caption="Absolute differences. The verdict is left out; what is the sum of the two means?",
)


# %% tags=["nbval-check-output"]
def scales_of(maps, count):
    return [[m[None, None] for m in maps]] * count


for count in (1, 2):
    value = losses.feature_matching(scales_of(fake_features, count), scales_of(real_features, count))
    assert torch.isclose(value, gaps[0].mean() + gaps[1].mean())
    print(f"equal scales: {count}, feature matching: {value:.2f}")

# %% [markdown]
# ### Deep dive: whose gradient?
#
# In the generator's step the real features are constants: the painted ones are to move towards them, not they towards
# the painted ones. Give both sides a gradient and look at who receives one.

# %% tags=["nbval-check-output"]
ours = torch.tensor([[[[1.0, 2.0]]]], requires_grad=True)
theirs = torch.tensor([[[[3.0, 0.0]]]], requires_grad=True)
losses.feature_matching([[ours, ours]], [[theirs, theirs]]).backward()
print("painted:", ours.grad.flatten().tolist(), " real:", theirs.grad)

# %% [markdown]
# ## The perceptual loss
#
# The same idea with a *frozen* network that already knows how to see: published with VGG-19 and its features at five
# depths, weights 1/32, 1/16, 1/8, 1/4, 1. For Streets the package brings a small segmenter, the "second opinion", in
# VGG's place. Spoil eight pictures in four ways (one is shown). Which would you call mildest, and which does the mean
# difference of the pixels: "shifted", "blurred", "darker" or "noisy"?

# %%
from torch.nn import functional as F
from spade_edu.pretrained.judge import load_second_opinion

predict("02-mildest", ...)
eyes = load_second_opinion()


def spoil(picture, seed=0):
    noise = torch.randn(picture.shape, generator=torch.Generator().manual_seed(seed))
    return {
        "shifted": torch.roll(picture, 2, dims=-1),
        "blurred": F.avg_pool2d(picture, 5, stride=1, padding=2, count_include_pad=False),
        "darker": picture - 0.25,
        "noisy": picture + 0.2 * noise,
    }


# %%
eight = stack([scenes[i] for i in range(0, 200, 25)]).image
spoilt = spoil(eight)
show.pictures([eight[1], *(s[1] for s in spoilt.values())], ["original", *spoilt], columns=5, width=2.6)


# %%
def differences(picture, spoilt):
    """The mean difference of the pixels and the perceptual loss, for each way to spoil a picture."""
    pixels = {name: float((s - picture).abs().mean()) for name, s in spoilt.items()}
    return pixels, {name: float(losses.perceptual(eyes, eyes.weights, s, picture)) for name, s in spoilt.items()}


# %%
pixels, seen = differences(eight, spoilt)
figure, axes = plt.subplots(1, 2, figsize=(8, 3))
for ax, values, title in [(axes[0], pixels, "mean difference of pixels"), (axes[1], seen, "perceptual loss")]:
    ax.bar(list(values), list(values.values()), color="#56B4E9")
    ax.set_title(title)
    ax.tick_params(axis="x", labelsize=8)
show.finish(figure, "The same four, measured in two ways; means over eight pictures.")
reveal("02-mildest", min(pixels, key=pixels.get))

# %%
by_hand = sum(w * (a - b).abs().mean() for w, a, b in zip(eyes.weights, eyes(spoilt["blurred"]), eyes(eight)))
assert torch.isclose(by_hand, losses.perceptual(eyes, eyes.weights, spoilt["blurred"], eight))


# %%
def shift_over_blur(measure):
    """How many times as bad a shift is as blurring, on eight other pictures for each seed."""

    def ratio(seed):
        picture = stack([scenes[i] for i in range(seed, 200, 25)]).image
        found = differences(picture, spoil(picture, seed))[measure]
        return found["shifted"] / found["blurred"]

    return ratio


claim("02-pixels", "Pixel by pixel a shift is worse than blurring", shift_over_blur(0), at_least=1.05)
claim("02-features", "To the features a shift is milder than blurring", shift_over_blur(1), at_most=0.9)

# %% [markdown]
# Compared pixel by pixel, blurring is the mildest of the four. A generator trained on that paints blurred pictures:
# where it doesn't know, the mean is cheapest. To the features, a shift by two pixels is milder than blurring, as it is
# to you. (How much depends on how far one shifts and blurs.) In the paper's Table 5 SPADE without its perceptual loss
# falls from 35.2 to 24.7 mIoU on COCO-Stuff.

# %% [markdown]
# ## Deep dive: instance features
#
# One label map fits many pictures: which colour has the car? pix2pixHD lets an encoder describe each object by three
# numbers, averaged over the object, and gives them to the generator as three more channels. First the averaging, by
# hand: two objects in 2 x 4 pixels.

# %% tags=["nbval-check-output"]
from spade_edu.generators.instance_features import instance_mean

values = torch.tensor([[[[1.0, 3.0, 10.0, 20.0], [1.0, 3.0, 30.0, 40.0]]]])  # (1, 1, 2, 4)
objects = torch.tensor([[[26000, 26000, 26001, 26001], [26000, 26000, 26001, 26001]]])  # (1, 2, 4)
print(instance_mean(values, objects)[0, 0].tolist())

# %% [markdown]
# A trained encoder tends to put something like colour into its three numbers. So let the *colour itself* play the
# encoder: the mean colour of every object. To draw a new picture, the codes of all training objects are clustered
# class by class, and each object draws one centre of its class.

# %%
from spade_edu.generators.instance_features import cluster_features, sample_features

train = Streets(48, split="train", height=64, width=128)
pictures = [(train[i].image[None], train[i].instance[None]) for i in range(48)]
centres = cluster_features(instance_mean, pictures, k=4)  # class id -> (k, 3)
names = ["sky", "car", "building", "vegetation"]
swatches = [centre[:, None, None].expand(3, 8, 16) for name in names for centre in centres[CITYSCAPES.id(name)]]
show.pictures(
    swatches,
    [f"{name} {i}" for name in names for i in range(4)],
    width=1.4,
    caption="Four cluster centres of four classes.",
)

# %%
real_codes = instance_mean(three.image[1:2], three.instance[1:2])
draws = [sample_features(three.instance[1:2], centres, seed=seed) for seed in (1, 2, 3)]
show.pictures(
    [three.image[1], *(codes[0] for codes in [real_codes, *draws])],
    ["image", "its codes", "draw 1", "draw 2", "draw 3"],
    columns=5,
    width=2.6,
    caption="An image, the mean colours of its objects, and three draws.",
)
assert (real_codes[0, :, three.instance[1] == 26005].std(dim=1) < 1e-5).all()

# %% [markdown]
# ### Deep dive: the real encoder
#
# The package's `InstanceFeatureEncoder` is the published one: pix2pixHD's generator without residual blocks, then the
# averaging. Untrained it gives arbitrary codes, but the shape of the idea is there. SPADE replaces all this by one
# style vector for the whole picture (stage 09).

# %%
from spade_edu.generators.instance_features import InstanceFeatureEncoder

torch.manual_seed(0)
with torch.no_grad():
    codes = InstanceFeatureEncoder()(three.image, three.instance)  # (3, 3, 64, 128)
contrast = 5 * (codes - codes.mean(dim=(0, 2, 3), keepdim=True))
show.pictures(
    [*three.image, *contrast], columns=3, width=3.4, caption="Below: codes of an untrained encoder, contrast x 5."
)
assert codes.shape == three.image.shape

# %% [markdown]
# ## Train it
#
# Everything together: the generator's loss = LSGAN + 10 · feature matching + 10 · perceptual. One step for G, one for
# D, on four images, again and again: 120 steps of a network with 0.6 million parameters. This takes about half a minute
# on two cores. What will appear first: edges, colours or textures?

# %%
from spade_edu.presets import MODEL_SETTINGS

batch, sample = lab.batch(32, "train")
masks, shown = lab.batch(3)
trainer = lab.trainer(model="pix2pixhd", **MODEL_SETTINGS["pix2pixhd"], ngf=12, num_blocks=3, ndf=16)
history, snapshots = [], {}


def snapshot(step):
    with torch.no_grad():
        snapshots[step] = trainer.best_generator().eval()(masks["segmap"]).float()


# %%
generator = torch.Generator().manual_seed(0)
for step in range(120):
    if step in (0, 10, 30, 60):
        snapshot(step)
    pick = torch.randperm(32, generator=generator)[:4]
    history.append(trainer.step({name: tensor[pick] for name, tensor in batch.items()}))
snapshot(120)

# %% tags=["core"] minutes=3
maps = lab.labels.colourise(shown.label).float().permute(0, 3, 1, 2) / 127.5 - 1
tiles = [t for i in range(3) for t in (maps[i], *(snapshots[s][i] for s in snapshots), shown.image[i])]
titles = ["label map", *(f"step {step}" for step in snapshots), "real"]
show.pictures(tiles, titles, columns=7, width=2.0, caption="Three validation maps while it trains.")

# %% [markdown]
# First come light and dark in their places: a bright sky above, a road below, trees at the sides; then colours; edges
# last. Poles and people haven't come at all. The fine grid of the first steps is the checkerboard of the transposed
# convolutions that you stamped by hand.

# %%
names = {"GAN": "LSGAN", "GAN_Feat": "feature matching · 10", "VGG": "perceptual · 10"}
show.curves(
    {title: [h[name] for h in history] for name, title in names.items()},
    xlabel="step",
    ylabel="loss",
    log=True,
    caption="The generator's three losses.",
)
assert history[-1]["VGG"] < history[0]["VGG"]

# %% [markdown]
# Read them with care. The perceptual loss compares with the real image and may be trusted: it falls. The other two
# are measured by a discriminator that learns as well, so a rising curve can mean a better D and not a worse G.

# %%
titles = {"D_real": "on real images", "D_Fake": "on painted images"}
smooth = F.avg_pool1d  # over nine steps: single ones jump about
curves = {title: smooth(torch.tensor([[h[name] for h in history]]), 9, 1)[0] for name, title in titles.items()}
show.curves(
    curves | {"D can't tell: 0.25": [0.25] * 112},
    range(4, 116),
    xlabel="step",
    ylabel="squared error",
    log=True,
    caption="D's squared errors, averaged over the two scales and over nine steps (log scale).",
)

# %% [markdown]
# After the first wild steps both errors come down to 0.25, where D can't tell, and below. Neither of the two networks
# wins: a curve that goes to 0 and stays there would be a bad sign.

# %% [markdown]
# ### Deep dive: a verdict for each patch
#
# After 120 steps D has an opinion about every patch. These are verdicts, one for each place; they don't say which part
# of a patch it looked at. Each patch is 70 pixels wide, so neighbouring verdicts see nearly the same.

# %%
with torch.no_grad():
    verdicts = [
        trainer.discriminator(masks["segmap"], picture)[0][-1][:, 0] for picture in (masks["image"], snapshots[120])
    ]
show.pictures([*masks["image"], *snapshots[120]], ["real"] * 3 + ["painted"] * 3, columns=6, width=1.9)
tiles = [verdict[i] for verdict in verdicts for i in range(3)]
titles = ["on real"] * 3 + ["on painted"] * 3
show.maps(tiles, titles, columns=6, diverging=False, caption="Verdicts of the fine scale; 1 means real.")
print(f"mean verdict: real {verdicts[0].mean():.2f}, painted {verdicts[1].mean():.2f}")

# %% [markdown] tags=["core"] minutes=2
# ## Where it fails
#
# One experiment to carry over to stage 04. Give the stored network, trained six times as long, a map that is one
# class everywhere. You know the argument from stage 01. How will the three pictures differ?

# %% tags=["core"] minutes=3
names = ["sky", "road", "vegetation"]
uniform = torch.stack([torch.full((64, 128), CITYSCAPES.id(name)) for name in names])
segmap = CITYSCAPES.encode(uniform, uniform.int())
with torch.no_grad():
    pictures = stored(segmap)
show.pictures(
    [*CITYSCAPES.colourise(uniform), *pictures],
    names,
    columns=3,
    width=3.4,
    caption="Uniform label maps, and what pix2pixHD makes of them.",
)

# %% [markdown] tags=["core"] minutes=2
# No sky, no road, no trees: three times the same grey, up to a grid of patterns. In exact arithmetic the three would
# be *one flat colour*: after the first instance norm nothing of the class is left. The patterns are rounding errors,
# which every further instance norm multiplies again; they will look different on your machine. Compare the mean
# colours. Why this must be so, and what a generator needs instead, is the subject of stages 03 and 04.

# %%
means = (pictures.mean(dim=(2, 3)) + 1) * 127.5  # 0..255
for name, mean in zip(names, means.round().int().tolist()):
    print(f"{name:10} mean colour {mean}")
assert (means - means[0]).abs().max() < 30

# %% [markdown]
# ## Summary
#
# - pix2pixHD is an encoder-decoder: the label map enters once, is halved three or four times, transformed by residual
#   blocks, and painted back up.
# - Its discriminator judges patches at two scales: each verdict sees 70 or 141 pixels of the image.
# - LSGAN asks for verdicts of 1 and 0; feature matching and the perceptual loss compare features instead of pixels.
# - Instance features describe each object by three numbers; clusters of them give variety.
# - After every convolution but the last comes an instance norm, and a uniform label map does not survive it.

# %% [markdown]
# ## Questions
#
# 1. D's loss is near 0 from the start. Is that good?
#
# <details><summary>Answer</summary>No. It tells real from painted with ease, its verdicts hardly depend on what the
# generator changes, and only feature matching and the perceptual loss still teach.</details>
#
# 2. Why two discriminators with separate weights, instead of one with a larger field?
#
# <details><summary>Answer</summary>A larger field needs more layers or larger kernels, so more memory and more to
# overfit. The same small network at half the size sees twice as far for a quarter of the work.</details>
#
# 3. Why does feature matching leave the verdict out?
#
# <details><summary>Answer</summary>The adversarial loss already speaks about the verdict, and asks for 1, not for the
# verdict that the real image happens to get.</details>

# %% [markdown]
# ## Next
#
# **Exercise:** [02_pix2pixhd](../exercises/02_pix2pixhd.ipynb): write the residual block, compute receptive
# fields, and add pix2pixHD's generator to your file.
#
# **Stage 03** builds the layer that keeps the label map alive at every depth: SPADE.
