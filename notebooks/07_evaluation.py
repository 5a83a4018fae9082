# %% [markdown] tags=["core"]
# # 07 · Evaluation
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/spade_edu/blob/main/notebooks/07_evaluation.ipynb)
#
# You will be able to compute the two scores of the paper's Table 1 by hand, Fréchet distance and mean IoU, and to say
# what a published figure leaves open.
#
# **Time:** runs in about 40 seconds on two CPU cores (measured); the core path takes a class 45 minutes. On a T4
# about as long (estimated, not measured: `SPADE_EDU_PROFILE=gpu python tools/notebooks.py test 07` measures it).
# **Builds on:** stage 05 (a generator to judge); the stored weights stand in for your own.

# %% tags=["core"]
# Safe to run twice; keeps the installed torch and numpy. SPADE_EDU_PROFILE (cpu or gpu) sets the size.
from importlib.util import find_spec

if find_spec("spade_edu") is None:
    get_ipython().run_line_magic("pip", "install --quiet git+https://github.com/OWNER/spade_edu")
from spade_edu import course
from spade_edu.course import plotting as show

lab = course.start("07")

# %% [markdown] tags=["core"]
# ## Which is better, and by how much?
#
# Two generators painted the same label maps. Your eye has an opinion, but two questions are mixed in it: do these look
# like *photographs of this kind*, and do they show *what the map asked for*? Table 1 of the paper answers the first by
# FID and the second by a segmenter's mIoU and accuracy.

# %% tags=["core"]
from spade_edu.data import Streets, stack
from spade_edu.sampling import generate
from spade_edu.runs.loading import load_stored

height, width, N = 64, 128, 40  # the judge below knows Streets only, so this stage uses Streets in both profiles
scenes = [Streets(200, split="val", height=height, width=width)[i] for i in range(160)]
maps = stack(scenes[:N])  # label (40, 64, 128), image (40, 3, 64, 128)
labels = Streets(1).labels
generators = {name: load_stored(name).generator.to(lab.device) for name in ("pix2pixhd", "spade")}
painted = {name: generate(g, maps, labels, lab.device).cpu() for name, g in generators.items()}
rows = [labels.colourise(maps.label[[0, 9]]), maps.image[[0, 9]], *(painted[n][[0, 9]] for n in painted)]
titles = ["label map", "real", "pix2pixHD", "SPADE"]
show.pictures(
    [r[i] for i in (0, 1) for r in rows],
    titles,
    caption="Stored weights, 750 steps on Streets: which column is better?",
)

# %% [markdown] tags=["core"]
# # Part 1: the Fréchet distance
#
# Replace each set of images by a set of feature vectors, fit a Gaussian to each set, and measure the distance between
# the two Gaussians (Heusel et al. 2017). Start with one number per image. Gaussians are then two bells, and
#
# $$d^2 = (\mu_1 - \mu_2)^2 + (\sigma_1 - \sigma_2)^2.$$
#
# Before you run it: which of the two pairs is further apart?

# %% tags=["core"]
import matplotlib.pyplot as plt
import torch

x = torch.linspace(-8, 8, 400)
figure, axes = plt.subplots(1, 2, figsize=(8, 2.6), sharey=True)
for ax, (mu, sigma) in zip(axes, [(2.0, 1.0), (0.0, 3.0)]):
    for m, s, colour in ((0.0, 1.0, "#0072B2"), (mu, sigma, "#E69F00")):
        bell = torch.exp(-0.5 * ((x - m) / s) ** 2) / s
        ax.plot(x, bell, label=f"mean {m:g}, deviation {s:g}", color=colour)
    ax.set(title=f"$d^2$ = {mu**2 + (1 - sigma) ** 2:g}", xlabel="feature", ylim=(0, 1.45))
    ax.legend(fontsize=8)
axes[0].set_ylabel("density (scaled)")
show.finish(figure, "A shift by 2 counts as much as a deviation that grows from 1 to 3.")

# %% tags=["core", "nbval-check-output"]
from spade_edu.evaluation import frechet_distance


def one(number):  # the package wants a mean (d,) and a covariance (d, d)
    return torch.tensor([[float(number)]])


shifted = frechet_distance(one(0)[0], one(1), one(2)[0], one(1))
widened = frechet_distance(one(0)[0], one(1), one(0)[0], one(9))  # covariance 9: deviation 3
print("shifted", round(shifted, 6), "widened", round(widened, 6))

# %% [markdown] tags=["core"]
# Both are 4. The name says *distance*, but this is its square, as everywhere in the literature: FID 40 isn't twice as
# far as FID 20.
#
# ## What the formula means
#
# It is the cost of moving one heap of sand onto the other. In one dimension the best plan is simple: sort both sets
# and pair first with first, second with second.

# %% tags=["core"]
generator = torch.Generator().manual_seed(0)
a = torch.randn(10_000, generator=generator).sort().values
b = (1 + 2 * torch.randn(10_000, generator=generator)).sort().values
moved = (a - b).square().mean()  # mean squared way of a grain of sand
lines = {"set A (0, 1)": a, "set B (1, 2)": b}
show.curves(lines, xlabel="rank", ylabel="value", title=f"mean of (A - B)² = {moved:.2f}",
            caption="Sorted values; the gap between the lines is the way each grain moves.")  # fmt: skip
by_formula = (0 - 1) ** 2 + (1 - 2) ** 2
assert abs(moved - by_formula) < 0.25, "sorted pairs and the formula should agree"

# %% [markdown] tags=["core"]
# ## Two dimensions: correlation counts
#
# Now two numbers per image. Both clouds below have mean 0 and deviation 1 in each feature; only the correlation
# differs, 0.8 against -0.8. Before you run it: would comparing feature by feature notice anything?

# %% tags=["core"]
C1, C2 = torch.tensor([[1.0, 0.8], [0.8, 1.0]]), torch.tensor([[1.0, -0.8], [-0.8, 1.0]])
noise = torch.randn(400, 2, generator=generator)
figure, ax = plt.subplots(figsize=(4.6, 3.6))
for C, colour in ((C1, "#0072B2"), (C2, "#E69F00")):
    cloud = noise @ torch.linalg.cholesky(C).T  # (400, 2)
    ax.scatter(*cloud.T, s=6, label=f"correlation {C[0, 1]:.1f}", color=colour)
ax.set(xlabel="feature 1", ylabel="feature 2", aspect="equal", ylim=(-4, 5))
ax.legend(loc="upper right", fontsize=8)
show.finish(figure, "Seen along each axis the two clouds are the same.")

# %% [markdown] tags=["core"]
# With covariances the formula becomes
#
# $$d^2 = |\mu_1 - \mu_2|^2 + \mathrm{tr}\left(C_1 + C_2 - 2\,(C_1^{1/2} C_2\, C_1^{1/2})^{1/2}\right).$$
#
# By hand: both matrices have the diagonals of the square as axes, with variances (1.8, 0.2) and (0.2, 1.8). So it is
# the 1-D formula twice: 2 (√1.8 - √0.2)² = 2 (2 - 1.2) = 1.6.

# %% tags=["core", "nbval-check-output"]
variances = [torch.linalg.eigvalsh(C).tolist() for C in (C1, C2)]
print("variances along the diagonals:", [[round(v, 4) for v in pair] for pair in variances])
by_hand = 2 * (1.8**0.5 - 0.2**0.5) ** 2
packaged = frechet_distance(torch.zeros(2), C1, torch.zeros(2), C2)
print("by hand", round(by_hand, 4), "package", round(packaged, 4))

# %% [markdown]
# ### Deep dive: the root of a matrix product
#
# Papers write $(C_1 C_2)^{1/2}$. That product isn't symmetric, and a general matrix root can return imaginary parts.
# Only its *trace* is needed: the sum of the roots of its eigenvalues. They are the same for the symmetric form, which
# this package uses.

# %% tags=["nbval-check-output"]
C3 = torch.tensor([[2.0, 0.5], [0.5, 1.0]])
product = C1 @ C3
print("C1 C3 symmetric:", torch.allclose(product, product.T))
roots = torch.linalg.eigvals(product).real.sqrt().sum()
distance = C1.trace() + C3.trace() - 2 * roots
packaged = frechet_distance(torch.zeros(2), C1, torch.zeros(2), C3)
print("by eigenvalues of the product equals the package:", bool(abs(distance - packaged) < 1e-5))

# %% [markdown] tags=["core"]
# ## To 2048 dimensions
#
# FID's features are the 2048 averages of the last layer of a published Inception network, for images resized to
# 299x299. A covariance then has 2048² entries, a little over two million different ones, all estimated from the images
# at hand.
#
# Before you run it: two sets are drawn from *one and the same* Gaussian. What is their distance?

# %% tags=["core"]
from spade_edu.evaluation import FeatureStatistics

pair = []
for _ in range(2):
    statistics = FeatureStatistics("2048 independent normal numbers")
    statistics.update(torch.randn(2500, 2048, generator=generator))  # n = 2500 "images"
    pair.append(statistics)
distance = pair[0].distance(pair[1])
print(f"covariance {tuple(pair[0].cov.shape)}, n = 2500 each, same source: distance {distance:.0f}")
assert 700 < distance < 1000

# %% [markdown] tags=["core"]
# Not 0, but hundreds. Nothing is wrong with the code: an estimated covariance differs from the true one, and every
# difference adds to the sum; nothing can subtract. The Fréchet distance of finite sets is **biased upward**. Inception
# features have another scale and are correlated, so their bias is another number, but it is there.

# %% tags=["core"]
sizes = [20, 40, 80, 160, 320, 640, 1280]


def same_source(d, n):
    sets = [torch.randn(n, d, generator=generator).double() for _ in range(2)]
    return frechet_distance(sets[0].mean(0), sets[0].T.cov(), sets[1].mean(0), sets[1].T.cov())


bias = {f"d = {d}": [same_source(d, n) for n in sizes] for d in (2, 16, 64)}
show.curves(bias, sizes, xlabel="number of images n", ylabel="squared distance", log=True,
            caption="Two sets from the same Gaussian: the true distance is 0 on every line.")  # fmt: skip
assert all(line[0] > 5 * line[-1] for line in bias.values()), "the bias falls with n"

# %% [markdown] tags=["core"]
# Two rules follow. Compare Fréchet distances **at equal n only**. And prefer many images: a method scored on 5,000
# images looks better than the same method scored on 500.
#
# ## The kernel distance
#
# KID (Bińkowski et al. 2018) asks: how alike are two images on average, within a set and across sets? Likeness is
# $k(a, b) = (a \cdot b / d + 1)^3$. Take two sets of two one-number images.

# %% tags=["core"]
X, Y = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 2.0])


def likeness(a, b):
    return (a[:, None] * b[None] + 1) ** 3  # d = 1


tables = [likeness(X, X), likeness(Y, Y), likeness(X, Y)]
show.maps(tables, ["within X = {0, 1}", "within Y = {1, 2}", "across"], numbers=True, diverging=False, limit=125,
          caption="Within a set the diagonal, an image beside itself, is left out.")  # fmt: skip

# %% [markdown] tags=["core"]
# Mean within X without the diagonal: 1. Within Y: 27. Across: (1 + 1 + 8 + 27) / 4 = 9.25. So the kernel distance is
# 1 + 27 - 2 · 9.25 = 9.5. Leaving out the diagonal is what makes the estimate unbiased.

# %% tags=["core", "nbval-check-output"]
from spade_edu.evaluation import kernel_distance

within_x, within_y, across = 1, 27, (1 + 1 + 8 + 27) / 4
print("by hand", within_x + within_y - 2 * across, "package", kernel_distance(X[:, None], Y[:, None]))

# %% [markdown] tags=["core"]
# ## Real features, real bias
#
# The Inception weights aren't part of this package. Streets has a **judge** of its own: a small segmenter, trained on
# real scenes, whose deepest layers give 160 features. We compare real scenes with other real scenes. Before you run
# it: which curve stays near zero?

# %% tags=["core"]
from spade_edu.evaluation.scoring import streets_judges

judges = streets_judges(segmentation=True, distance=True, device=torch.device(lab.device))
extract = judges.features.extract


def features(images):  # (n, 3, 64, 128) in [-1, 1] -> (n, 160)
    with torch.inference_mode():
        return extract(images.to(lab.device)).cpu().double()


real = features(torch.stack([s.image for s in scenes]))
print("features", tuple(real.shape))


# %% tags=["core"]
def gaussian_distance(a, b):
    return frechet_distance(a.mean(0), a.T.cov(), b.mean(0), b.T.cov())


counts, drawn = [5, 10, 20, 40, 80], {}
for n in counts:  # as many pairs of disjoint halves as 160 scenes give: 16, 8, 4, 2, 1
    blocks = real[torch.randperm(160, generator=generator)].split(n)
    drawn[n] = [(gaussian_distance(a, b), kernel_distance(a, b)) for a, b in zip(blocks[::2], blocks[1::2])]
figure, axes = plt.subplots(1, 2, figsize=(8.5, 2.8))
for i, (ax, name) in enumerate(zip(axes, ("Fréchet distance", "kernel distance"))):
    for n in counts:
        ax.plot([n] * len(drawn[n]), [pair[i] for pair in drawn[n]], ".", color=show.COLOURS["real"])
    ax.plot(counts, [sum(pair[i] for pair in drawn[n]) / len(drawn[n]) for n in counts], color=show.COLOURS["SPADE"])
    ax.set(xlabel="images in each half", ylabel="Streets judge features", title=name, xticks=counts)
    ax.axhline(0, color="#999999", linewidth=1)
show.finish(
    figure, "Real against real; a dot is a pair of sets, the line their mean. Left falls with n, right keeps about 0."
)
assert min(f for pairs in drawn.values() for f, _ in pairs) > 0 > min(k for pairs in drawn.values() for _, k in pairs)

# %% [markdown] tags=["core"]
# ## The names FID and KID
#
# The formula alone isn't FID. FID means: *these* Inception weights, *this* resizing, *this* formula. With any other
# features the figure has another scale and another meaning, so the course writes "FD (Streets judge)". The package
# refuses to mix feature spaces.

# %% tags=["core", "nbval-check-output"]
from spade_edu.errors import UserError
from spade_edu.evaluation.inception import FEATURES

ours, published = FeatureStatistics(judges.features.name), FeatureStatistics(FEATURES)
print("here:", judges.features.distance, "and", judges.features.kernel)
try:
    ours.distance(published)
except UserError as error:
    print("refused:", error)

# %% [markdown] tags=["core"]
# ## What a Fréchet distance sees
#
# Spoil the *real* images in five ways and measure each against the clean ones. "Ten repeated" shows the same ten
# images four times; "swapped" gives each label map another map's image. Before you run it: rank them. Which one gets a
# perfect score?

# %% tags=["core"]
from torch.nn import functional as F

clean = maps.image
blur = F.interpolate(F.avg_pool2d(clean, 4), scale_factor=4, mode="bilinear")
spoilt = {
    "clean": clean,
    "noise": (clean + 0.15 * torch.randn(clean.shape, generator=generator)).clamp(-1, 1),
    "blur": blur,
    "darker": clean * 0.8 - 0.2,
    "ten repeated": clean[:10].repeat(4, 1, 1, 1),
    "swapped": clean.roll(1, dims=0),
}
show.pictures(
    [v[0] for v in spoilt.values()],
    list(spoilt),
    columns=3,
    caption="What each set shows for map 0; ten repeated differs later.",
)

# %% tags=["core"]
reference = real[:N]
distances = {name: round(gaussian_distance(features(images), reference), 6) for name, images in spoilt.items()}
show.bars(distances, ylabel="FD (Streets judge)", caption="Distance to the clean real images, n = 40.")
assert distances["swapped"] < 1e-3 < distances["ten repeated"], "order doesn't matter, variety does"

# %% [markdown] tags=["core"]
# "Swapped" gets 0: a Fréchet distance looks at the set and never at the label maps. A generator that ignores its input
# and paints lovely streets would get a lovely FID. Missing variety costs something; noise and blur cost most, because
# these features react to texture. So a second score has to ask whether the picture fits the map.

# %% [markdown] tags=["core"]
# # Part 2: mean IoU
#
# A segmenter that has only seen real photographs looks at a generated one and names the class of each pixel. Compare
# with the map that the image was made from. Once more 16 pixels by hand: classes 0 (sky), 1 (house), 2 (road);
# 255 is void and doesn't count.

# %% tags=["core"]
truth = torch.tensor([[0, 0, 0, 0], [0, 0, 1, 1], [2, 2, 1, 1], [2, 2, 2, 255]])
guess = torch.tensor([[0, 0, 0, 0], [0, 1, 1, 1], [2, 2, 1, 2], [2, 2, 2, 2]])
figure, axes = plt.subplots(1, 2, figsize=(6, 2.9))
for ax, tile, name in zip(axes, (truth, guess), ("truth: the label map", "guess: the segmenter")):
    ax.imshow(tile.clamp(max=3), cmap="Pastel1", vmin=0, vmax=8)
    show.write_numbers(ax, tile.numpy())
    ax.set_title(name)
    ax.axis("off")
show.finish(figure, "Two counted pixels differ; the third difference lies on void.")

# %% [markdown] tags=["core"]
# Count pairs: row = truth, column = guess. That table is the **confusion matrix**. Its diagonal holds the hits. Before
# you run it, fill in row 0 in your head: six pixels of sky, one of them taken for a house.

# %% tags=["core", "nbval-check-output"]
counts = torch.zeros(3, 3, dtype=torch.int64)
for t, g in zip(truth.flatten().tolist(), guess.flatten().tolist()):
    if t != 255:
        counts[t, g] += 1
print(counts)
print("pixels counted:", int(counts.sum()), "hits:", int(counts.diagonal().sum()))

# %% tags=["core"]
names = ["0 sky", "1 house", "2 road"]
figure, ax = plt.subplots(figsize=(3.6, 3))
ax.imshow(counts, cmap="Blues")
show.write_numbers(ax, counts.numpy())
ax.set(xticks=range(3), xticklabels=names, yticks=range(3), yticklabels=names, xlabel="guess", ylabel="truth")
ax.grid(False)
show.finish(figure, "Off the diagonal: one sky pixel guessed house, one house pixel guessed road.")

# %% [markdown] tags=["core"]
# For each class, intersection over union: hits / (pixels in truth + pixels in guess - hits).
#
# - sky: 5 / (6 + 5 - 5) = 5/6
# - house: 3 / (4 + 4 - 3) = 3/5
# - road: 5 / (5 + 6 - 5) = 5/6
#
# The mean is 34/45. Accuracy is 13 hits of 15 pixels.

# %% tags=["core", "nbval-check-output"]
from fractions import Fraction

from spade_edu.evaluation import ConfusionMatrix

matrix = ConfusionMatrix(3, ignored=(255,))
matrix.update(guess, truth)
by_hand = (Fraction(5, 6) + Fraction(3, 5) + Fraction(5, 6)) / 3
print("same counts:", torch.equal(matrix.counts, counts))
print("mIoU by hand", by_hand, "=", round(float(by_hand), 4), "package", round(matrix.miou(), 4))
print("accuracy by hand 13/15 =", round(13 / 15, 4), "package", round(matrix.pixel_accuracy(), 4))

# %% [markdown] tags=["core"]
# ## Ignored ids
#
# The mask of what counts comes from the **truth** alone. Leave the void pixel in, as a fourth class say, and the score
# changes. And a void value that nobody declared is caught rather than counted:

# %% tags=["core", "nbval-check-output"]
careless = ConfusionMatrix(4)
careless.update(guess, truth.clamp(max=3))  # void as class 3
print("void ignored", round(matrix.miou(), 4), "void as a class", round(careless.miou(), 4))
try:
    ConfusionMatrix(3).update(guess, truth)
except UserError as error:
    print("caught:", error)

# %% [markdown]
# ### Deep dive: the class that isn't there
#
# What if a class occurs nowhere? Three published codes, three answers: Cityscapes' skips a class that is neither there
# nor guessed, COCO-Stuff's skips every class missing in the truth, ADE20K's counts it as 0. Here class 3 never occurs
# in the truth; predict the three means.

# %% tags=["nbval-check-output"]
four = ConfusionMatrix(4, ignored=(255,))
four.update(guess, truth)
for absent in ("skip", "gt", "zero"):
    print(f"nobody guesses class 3: {absent:4} {four.miou(absent):.4f}")
four.update(torch.tensor([3]), torch.tensor([2]))  # one pixel of road guessed as class 3
for absent in ("skip", "gt", "zero"):
    print(f"one pixel guessed as 3: {absent:4} {four.miou(absent):.4f}")

# %% [markdown] tags=["core"]
# ## The judge and its bound
#
# Before judging a generator, judge the judge: how well does it read *real* images? No generator should be expected to
# do better by being right. (It may still score higher, by painting what the judge reads most easily.)
#
# We score under one protocol first; the next part explains the choice.

# %% tags=["core"]
from spade_edu.evaluation.images import Originals, to_bytes
from spade_edu.evaluation.protocol import NAMES, protocol
from spade_edu.evaluation.scoring import generated_statistics, real_statistics, score


class InMemory(list):  # scenes rendered once instead of at every score
    labels = labels

    def fingerprint(self):
        return ""  # they have no files whose names could tell them apart


def in_full_size(split):  # labels and photographs at 128x256
    full = Originals(Streets(200, split=split, height=2 * height, width=2 * width), N)
    return InMemory(full[i] for i in range(N))


originals = in_full_size("val")
sets = {"real": clean, "SPADE": painted["spade"], "pix2pixHD": painted["pix2pixhd"], "real, swapped": spoilt["swapped"]}
sets = {name: list(to_bytes(images).cpu()) for name, images in sets.items()}
only_segmenter = judges._replace(features=None)
results = {
    name: score(images, originals, protocol("oasis", "streets"), only_segmenter) for name, images in sets.items()
}

# %% tags=["core"]
values = {name: 100 * r.miou for name, r in results.items()}
low_high = [[100 * abs(r.miou - r.miou_interval[side]) for r in results.values()] for side in (0, 1)]
show.bars(values, ylabel="mIoU in %", errors=low_high,
          caption="Bars: 95 % bootstrap interval over the 40 images. 'real' is the judge's bound.")  # fmt: skip
assert values["real"] > values["SPADE"] > values["pix2pixHD"] > values["real, swapped"]

# %% [markdown] tags=["core"]
# "Swapped", with its perfect Fréchet distance, falls to the bottom. The two scores answer different questions, and the
# paper needs both: in its Table 1, SIMS has the best Cityscapes FID (49.7) and the worst mIoU (47.2).
#
# A mean hides classes. Which ones does the generator lose?

# %% tags=["core"]
bound, ours = results["real"].iou, results["SPADE"].iou
order = sorted(ours, key=lambda name: bound.get(name, 0))
figure, ax = plt.subplots(figsize=(7, 0.9 + 0.24 * len(order)))
ax.hlines(order, [100 * ours[n] for n in order], [100 * bound.get(n, 0) for n in order], color="#bbbbbb")
for values, name in ((bound, "real"), (ours, "SPADE")):
    ax.scatter([100 * values.get(n, 0) for n in order], order, label=name, color=show.COLOURS[name], zorder=3)
ax.set(xlabel="IoU in %", xlim=(-3, 103))
ax.legend(loc="upper left")
show.finish(figure, "Each line is the way from the judge's bound to what SPADE's images reach.")

# %% [markdown] tags=["core"]
# # Part 3: one set of images, five scores
#
# SPADE's evaluation code was never released. Later papers wrote their own, and differ in small things: at what size
# does the segmenter see the image? At what size do guess and truth meet? Which photographs does the distance compare
# with? A `Protocol` writes these down. None of the five is wrong.

# %% tags=["core", "nbval-check-output"]
print(f"{'protocol':16} {'segmenter sees':15} {'compared at':12} real side")
for name in NAMES:
    p = protocol(name, "cityscapes")
    print(f"{name:16} {p.fed:15} {p.compared:12} {p.real_split}, size {p.real_size}")

# %% [markdown] tags=["core"]
# "label" is the size of the untouched map (1024x2048 on Cityscapes), "generated" that of the images (256x512), "square"
# the same cut down to 256x256. Here is what the segmenter sees in three of them, Streets in miniature: 128x256, 64x128
# and 64x64.

# %% tags=["core"]
image = painted["spade"][:1]
seen = {n: protocol(n, "streets").feed(image, (2 * height, 2 * width), (height, width))[0] for n in
        ("paper", "oasis", "cc-fpse")}  # fmt: skip
figure, axes = plt.subplots(1, 3, figsize=(9, 2.2), width_ratios=[4, 2, 1.05])
for ax, (name, tile) in zip(axes, seen.items()):
    ax.imshow((tile.permute(1, 2, 0).cpu() + 1) / 2)
    ax.set_title(f"{name}: {tile.shape[1]}x{tile.shape[2]}", fontsize=9)
    ax.axis("off")
show.finish(figure, "The same image: enlarged, as it is, squeezed.")

# %% [markdown] tags=["core"]
# Before you run it: the images stay exactly the same. By how many points of mIoU will the five rows differ: 1, 5,
# more? Streets' judge is brought to one size inside, so a part of what happens on Cityscapes can't even happen here.

# %% tags=["core"]
import warnings

warnings.filterwarnings("ignore", message=".*covariance is singular")  # 40 images, 160 features: as said, equal n only
photographs = {"val": originals, "train": in_full_size("train")}
fake = generated_statistics(sets["SPADE"], judges)
table, real_sides = {}, {}
for name in NAMES:
    p = protocol(name, "streets")
    key = p.real_split, p.real_size
    if key not in real_sides:
        real_sides[key] = real_statistics(photographs[p.real_split], p, judges, (height, width))
    table[name] = score(sets["SPADE"], originals, p, judges, real_sides[key], fake)

# %% tags=["core"]
print(f"{'protocol':16} mIoU %  accuracy %  {table['oasis'].distance_name}")
for name, s in table.items():
    print(f"{name:16} {100 * s.miou:6.1f} {100 * s.accuracy:11.1f} {s.distance:10.2f}")
spread = [100 * (max(v) - min(v)) for v in zip(*((s.miou, s.accuracy) for s in table.values()))]
assert spread[0] > 5, "protocols should move the mIoU by points"

# %% tags=["core"]
figure, axes = plt.subplots(1, 2, figsize=(9, 2.8))
for ax, values, name in (
    (axes[0], [100 * s.miou for s in table.values()], "mIoU in %"),
    (axes[1], [s.distance for s in table.values()], "FD (Streets judge)"),
):
    ax.bar_label(ax.barh(list(table), values, color=show.COLOURS["SPADE"]), fmt="%.3g", padding=3)
    ax.set(xlabel=name)
    ax.margins(x=0.15)
    ax.grid(axis="y", visible=False)
    ax.invert_yaxis()
show.finish(figure, "Five protocols, the same 40 images of the same generator.")

# %% [markdown] tags=["core"]
# Differences of many points, from the ruler alone. (Two rows agree in mIoU: they differ in the real side only.) Rows
# of one protocol may be compared; a figure from one paper and a figure from another may not, unless both say how they
# measured. For your own runs the command line does the same: `spade-edu evaluate --run runs/NAME
# --compare-protocols`.

# %% [markdown] tags=["core"]
# ## The paper's Table 1
#
# Now you can read it. Each row says where this package has its figures from; a row marked `[memory]` was never checked
# against a copy of the paper, and the mark stays wherever it is printed.

# %% tags=["core", "nbval-check-output"]
from spade_edu.experiments.paper import TABLES

one_table = TABLES[1]
print(f"{'':10} " + "  ".join(f"{c:20}" for c in one_table.columns))
for row in one_table.rows:
    print(f"{row.name:10} " + "  ".join(f"{c:20}" for c in row.cells) + " ".join(row.sources))

# %% tags=["core"]
cells = {row.name: row.cells[-1].split(" / ") for row in one_table.rows}
figure, ax = plt.subplots(figsize=(5.5, 3.2))
for name, (miou, _, fid) in cells.items():
    ax.scatter(float(miou), float(fid), s=60, color=show.COLOURS.get(name, "#56B4E9"))
    ax.annotate(name, (float(miou), float(fid)), xytext=(7, 4), textcoords="offset points")
ax.set(xlabel="mIoU (better to the right)", ylabel="FID (better below)", xlim=(44, 67), ylim=(40, 112))
show.finish(figure, "Cityscapes in the paper's Table 1: no method is best in both.")

# %% [markdown] tags=["core"]
# ### Read it with these in mind
#
# The text gives 35.2 for SPADE's COCO-Stuff mIoU where Table 1 has 37.4. Others who scored the released Cityscapes
# weights found accuracy 93.5 and FID 63.4 instead of 81.9 and 71.8 (official repository, issue 100). Differences of
# this kind are what a missing protocol looks like, and here both have a likely explanation.
#
# **Accuracy.** 12.58 % of the pixels of Cityscapes' validation split are void. Leave them out, as DRN's own code does
# for mIoU, and you get 93.5. Count each of them as wrong, and 93.5 becomes 93.5 x (1 - 0.1258) = 81.7. That SPADE and
# CC-FPSE counted so is what the authors of TSIT write (EndlessSora/TSIT, issue 1): their own model has 94.4 one way and
# 82.7 the other. `spade-edu evaluate` prints both, as `accuracy` and `accuracy_with_void`. SPADE's authors published no
# code for it, so it stays an inference.
#
# **FID.** "FID" named two networks. Until 27 May 2019 pytorch-fid, which the authors used "pretty much out of the box"
# (issue 14), took torchvision's Inception weights; since then it has the original ones of TensorFlow (its commit
# f64228c). The paper is of March 2019. `--fid-network torchvision-2019` scores with the older network, under a name of
# its own. That it explains all of 71.8 against 63.4 nobody has shown: someone got the paper's FID on ADE20K a week
# before the change (issue 51).

# %% tags=["core", "nbval-check-output"]
for note in one_table.notes:
    print("Note:", note)
unverified = {number: [r.name for r in t.rows if not r.verified] for number, t in TABLES.items()}
for number, names in unverified.items():
    print(f"Table {number}: {len(names)} rows [memory] of {len(TABLES[number].rows)}")

# %% [markdown]
# ### Deep dive: how sure is a mean?
#
# The intervals above come from a bootstrap: draw 40 images with replacement, sum their confusion counts, take the
# mIoU; repeat 1,000 times. Before you run it: how does the interval shrink from 5 images to 40?

# %%
widths = []
for n in (5, 10, 20, 40):
    s = score(sets["SPADE"][:n], InMemory(originals[:n]), protocol("oasis", "streets"), only_segmenter)
    widths.append((n, 100 * s.miou, [100 * v for v in s.miou_interval]))
figure, ax = plt.subplots(figsize=(6, 2.8))
for n, middle, (low, high) in widths:
    ax.plot([n, n], [low, high], color=show.COLOURS["SPADE"])
    ax.plot(n, middle, "o", color=show.COLOURS["SPADE"])
ax.set(xlabel="images", ylabel="mIoU in %", xticks=[5, 10, 20, 40])
show.finish(figure, "SPADE's images: the mean and its 95 % interval. The mean itself drifts with n as classes come in.")

# %% [markdown]
# Fréchet distances get no bootstrap interval here: an image drawn twice looks like a loss of variety to them, so the
# resampled sets are all further away than the set itself. Report them with n, the features and the real side.

# %% [markdown] tags=["core"]
# ## Summary
#
# - The Fréchet distance fits a Gaussian to each set's features; it compares sets and never looks at label maps.
# - It is biased upward at finite n: compare at equal n. The kernel distance isn't biased.
# - FID and KID name one published network; with other features, say which.
# - mIoU comes from a confusion matrix over counted pixels; what is ignored and what an absent class does are choices.
# - The same images get very different scores under five honest protocols: a figure without its protocol says little.

# %% [markdown] tags=["core"]
# ## Questions
#
# 1. A model memorises 500 training photographs and outputs them at random. What will its FID and its mIoU say?
#
# <details><summary>Answer</summary>FID: excellent, for the set is real. mIoU: terrible, for the pictures don't fit the
# maps. Neither score detects memorising as such.</details>
#
# 2. You halve your validation set to save time, and FID gets worse though the model is the same. Why?
#
# <details><summary>Answer</summary>The bias grows as n falls. Compare with a baseline at the same n, or use the kernel
# distance.</details>
#
# 3. Why may a generator reach a higher mIoU than real photographs do?
#
# <details><summary>Answer</summary>It may paint typical textures with clean borders that the segmenter reads more
# easily than messy reality. The bound is a yardstick, not a law.</details>

# %% [markdown] tags=["core"]
# ## Next
#
# **Exercise:** [07_evaluation](../exercises/07_evaluation.ipynb): write the Fréchet distance and the confusion matrix
# yourself, with checks that know the usual mistakes.
#
# **Stage 08** uses these scores: Tables 3 and 4 of the paper in miniature, with seeds and error bars.
