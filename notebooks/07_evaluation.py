# %% [markdown] tags=["core"] minutes=2
# # 07 · Evaluation
#
# Afterwards you can compute the two scores of the paper's Table 1 by hand, Fréchet distance and mean IoU, say how large
# a difference must be before it means something, and say what a published figure leaves open.
#
# **Time:** runs in about 45 seconds on one CPU core (measured); the core path takes a class 45 minutes. Not timed on a
# GPU (`python tools/notebooks.py test 07` does it there).
#
# **Builds on:** stage 05 (a generator to score); the stored weights stand in for your own.

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

lab = course.start("07")

# %% [markdown] tags=["core"] minutes=2
# ## Which is better, and by how much?
#
# Two generators painted the same label maps (masks). Your eye has an opinion, but two questions are mixed in it. Do
# these look like *photographs of this kind*? And do they show *what the mask asked for*? Table 1 of the paper answers
# the first by FID and the second by a segmenter's mIoU and accuracy.

# %% tags=["core"] minutes=2
from spade_edu.data import Streets, stack
from spade_edu.runs.loading import load_stored
from spade_edu.sampling import generate

height, width, N = 64, 128, 40  # the judge below knows Streets only, so this stage uses Streets in both profiles
scenes = [Streets(200, split="val", height=height, width=width)[i] for i in range(160)]
everything, maps = stack(scenes), stack(scenes[:N])  # maps: label (40, 64, 128), image (40, 3, 64, 128)
labels = Streets(1).labels
generators = {name: load_stored(name).generator.to(lab.device) for name in ("pix2pixhd", "spade")}
painted = {name: generate(g, maps, labels, lab.device).cpu() for name, g in generators.items()}
columns = [labels.colourise(maps.label), maps.image, painted["pix2pixhd"], painted["spade"]]
show.pictures([c[i] for i in (0, 9) for c in columns], ["label map", "real", "pix2pixHD", "SPADE"],
              caption="Stored weights, 750 steps on Streets, one training of each.")  # fmt: skip

# %% [markdown]
# # Part 1: the Fréchet distance
#
# Replace each set of images by a set of feature vectors, fit a Gaussian to each set, and measure the distance between
# the two Gaussians (Heusel et al. 2017). Start with one number per image. Gaussians are then two bells, and
#
# $$d^2 = (\mu_1 - \mu_2)^2 + (\sigma_1 - \sigma_2)^2.$$
#
# Which of these two pairs is further apart: "shifted", "widened", or are they "equal"?

# %% tags=["core"] minutes=3
import matplotlib.pyplot as plt
import torch
from spade_edu.course import claim, predict, reveal, stored_claim

predict("07-pairs", ...)
x = torch.linspace(-8, 8, 400)
figure, axes = plt.subplots(1, 2, figsize=(8, 2.6), sharey=True)
for ax, name, mu, sigma in zip(axes, ("shifted", "widened"), (2.0, 0.0), (1.0, 3.0)):
    for m, s in ((0.0, 1.0), (mu, sigma)):
        ax.plot(x, torch.exp(-0.5 * ((x - m) / s) ** 2) / s, label=f"mean {m:g}, deviation {s:g}")
    ax.set(title=name, xlabel="feature", ylim=(0, 1.45))
    ax.legend(fontsize=8)
axes[0].set_ylabel("density (scaled)")
show.finish(figure, "Two pairs of bells.")

# %% tags=["nbval-check-output"]
from spade_edu.evaluation import frechet_distance


def one(number):  # the package wants a mean (d,) and a covariance (d, d)
    return torch.tensor([[float(number)]])


shifted = frechet_distance(one(0)[0], one(1), one(2)[0], one(1))
widened = frechet_distance(one(0)[0], one(1), one(0)[0], one(9))  # covariance 9: deviation 3
print("shifted", round(shifted, 6), "widened", round(widened, 6))
reveal("07-pairs", "equal")

# %% [markdown]
# Both are 4: a shift by 2 counts as much as a deviation that grows from 1 to 3. The name says *distance*, but this is
# its square, as everywhere in the literature: FID 40 isn't twice as far as FID 20.
#
# ## What the formula means
#
# It is the cost of moving one heap of sand onto the other. In one dimension the best plan is simple. Sort both sets,
# and move the first grain to the first place, the second to the second.

# %%
generator = torch.Generator().manual_seed(0)
a = torch.randn(10_000, generator=generator).sort().values
b = (1 + 2 * torch.randn(10_000, generator=generator)).sort().values
moved = (a - b).square().mean()  # how far a grain moves, squared, on average
by_formula = (0 - 1) ** 2 + (1 - 2) ** 2
show.curves({"set A: mean 0, deviation 1": a, "set B: mean 1, deviation 2": b}, xlabel="rank", ylabel="value",
            caption="Sorted values. Each grain moves from one line to the other.")  # fmt: skip
print(f"mean of (A - B)²: {moved:.2f}, by the formula {by_formula}")
assert abs(moved - by_formula) < 0.25, "sorted pairs and the formula should agree"

# %% [markdown]
# ## Two dimensions: correlation counts
#
# Now two numbers per image. Both clouds below have mean 0 and deviation 1 in each feature; only the correlation
# differs, 0.8 against -0.8. A comparison feature by feature would notice nothing.

# %%
C1, C2 = torch.tensor([[1.0, 0.8], [0.8, 1.0]]), torch.tensor([[1.0, -0.8], [-0.8, 1.0]])
noise = torch.randn(400, 2, generator=generator)
figure, ax = plt.subplots(figsize=(4.6, 3.6))
for C in (C1, C2):
    ax.scatter(*(noise @ torch.linalg.cholesky(C).T).T, s=6, label=f"correlation {C[0, 1]:.1f}")  # (2, 400)
ax.set(xlabel="feature 1", ylabel="feature 2", aspect="equal", ylim=(-4, 5))
ax.legend(loc="upper right", fontsize=8)
show.finish(figure, "400 images in each cloud.")

# %% [markdown]
# With covariances the formula becomes
#
# $$d^2 = |\mu_1 - \mu_2|^2 + \mathrm{tr}\left(C_1 + C_2 - 2\,(C_1^{1/2} C_2\, C_1^{1/2})^{1/2}\right).$$
#
# By hand: both matrices have the diagonals of the square as axes, with variances (1.8, 0.2) and (0.2, 1.8). So it is
# the 1-D formula twice: 2 (√1.8 - √0.2)² = 2 (2 - 1.2) = 1.6.

# %% tags=["nbval-check-output"]
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

# %% [markdown] tags=["core"] minutes=2
# ## To 2048 dimensions
#
# FID's features are the 2048 averages of the last layer of a published Inception network, for images resized to
# 299x299. A covariance then has 2048² entries, a little over two million different ones, all estimated from the images
# at hand.
#
# Two sets of 2,500 vectors are drawn from *one and the same* Gaussian, 2048 independent numbers of deviation 1. What is
# their distance? (A number.)

# %% tags=["core"] minutes=3
from spade_edu.evaluation import FeatureStatistics

predict("07-same-source", ...)
pair = []
for _ in range(2):
    pair.append(FeatureStatistics("2048 independent normal numbers"))
    pair[-1].update(torch.randn(2500, 2048, generator=generator))
distance = pair[0].distance(pair[1])
print(f"covariance {tuple(pair[0].cov.shape)}, distance {distance:.0f}")
reveal("07-same-source", distance)
assert 700 < distance < 1000

# %% [markdown] tags=["core"] minutes=2
# Not 0, but hundreds. Nothing is wrong with the code: an estimated covariance differs from the true one, and every
# difference adds to the sum; nothing can subtract. The Fréchet distance of finite sets is **biased upward**. Inception
# features have another scale and are correlated, so their bias is another number, but it is there.

# %%
sizes = [20, 40, 80, 160, 320, 640, 1280]


def gaussian_distance(a, b):
    """Fréchet distance of two sets of features, (n, d) and (m, d)."""
    a, b = a.double(), b.double()
    return frechet_distance(a.mean(0), a.T.cov(), b.mean(0), b.T.cov())


def same_source(d, n):
    return gaussian_distance(*torch.randn(2, n, d, generator=generator))


bias = {f"d = {d}": [same_source(d, n) for n in sizes] for d in (2, 16, 64)}
show.curves(bias, sizes, xlabel="number of images n", ylabel="squared distance", log=True,
            caption="Two sets from the same Gaussian: the true distance is 0.")  # fmt: skip
assert all(line[0] > 5 * line[-1] for line in bias.values()), "the bias falls with n"

# %% [markdown]
# More features, more bias; more images, less. Two rules follow. Compare Fréchet distances **at equal n only**. And
# prefer many images: a method scored on 5,000 images looks better than the same method scored on 500.
#
# ## The kernel distance
#
# KID (Bińkowski et al. 2018) asks: how alike are two images on average, within a set and across sets? Likeness is
# $k(a, b) = (a \cdot b / d + 1)^3$. Take two sets of two one-number images.

# %%
X, Y = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 2.0])


def likeness(a, b):
    return (a[:, None] * b[None] + 1) ** 3  # d = 1


tables = [likeness(X, X), likeness(Y, Y), likeness(X, Y)]
show.maps(tables, ["within X = {0, 1}", "within Y = {1, 2}", "across"], numbers=True, diverging=False, limit=125,
          caption="Within a set the diagonal, an image beside itself, is left out.")  # fmt: skip

# %% [markdown]
# Mean within X without the diagonal: 1. Within Y: 27. Across: (1 + 1 + 8 + 27) / 4 = 9.25. So the kernel distance is
# 1 + 27 - 2 · 9.25 = 9.5. Leaving out the diagonal is what makes the estimate unbiased.

# %% tags=["nbval-check-output"]
from spade_edu.evaluation import kernel_distance

within_x, within_y, across = 1, 27, (1 + 1 + 8 + 27) / 4
print("by hand", within_x + within_y - 2 * across, "package", kernel_distance(X[:, None], Y[:, None]))

# %% [markdown]
# ## Real features, real bias
#
# The Inception weights aren't part of this package. Streets has a **judge** of its own: a small segmenter, trained on
# real scenes. Averages of its two deepest layers are 160 features of an image. We compare real scenes with other real
# scenes, by both distances.

# %%
from spade_edu.evaluation.scoring import streets_judges

judges = streets_judges(segmentation=True, distance=True, device=torch.device(lab.device))
segmenter, extract = judges.segmenter, judges.features.extract


def features(images):  # (n, 3, 64, 128) in [-1, 1] -> (n, 160)
    with torch.inference_mode():
        return extract(images.to(lab.device)).cpu().double()


real = features(everything.image)
print("features", tuple(real.shape))

# %%
sizes = [10, 20, 40, 80]


def halves(n, seed):
    """Pairs of sets of n real scenes, no scene in both."""
    order = torch.randperm(160, generator=torch.Generator().manual_seed(seed))
    blocks = real[order].split(n)
    return list(zip(blocks[::2], blocks[1::2]))


def mean_over_halves(distance, n, seed):
    values = [distance(a, b) for a, b in halves(n, seed)]
    return sum(values) / len(values)


# %%
figure, axes = plt.subplots(1, 2, figsize=(8.5, 2.8))
for ax, name, distance in zip(axes, ("Fréchet distance", "kernel distance"), (gaussian_distance, kernel_distance)):
    for n in sizes:
        ax.plot([n] * len(halves(n, 0)), [distance(*pair) for pair in halves(n, 0)], ".", color="#999999")
    ax.plot(sizes, [mean_over_halves(distance, n, 0) for n in sizes])
    ax.set(xlabel="images in each half", ylabel="in features of the judge", title=name, xticks=sizes)
    ax.axhline(0, color="#999999", linewidth=1)
show.finish(figure, "Real scenes against real scenes. A dot is a pair of sets, the line their mean.")

# %% [markdown]
# The Fréchet distance falls with n. The kernel distance scatters about 0, above and below, whatever n is. Here is the
# first experiment of this stage whose **claim** is checked with a margin, over several seeds
# (`docs/results/claims.json`). A seed decides which scenes make a set.


# %%
def shrinks(seed):
    return mean_over_halves(gaussian_distance, 10, seed) / mean_over_halves(gaussian_distance, 80, seed)


def off_zero(seed):
    """The mean of 200 kernel distances of sets of 20, in deviations of one of them."""
    values = [kernel_distance(*pair) for i in range(50) for pair in halves(20, 50 * seed + i)]
    return float(torch.tensor(values).mean().abs() / torch.tensor(values).std())


claim("07-bias", "Real scenes are further from real scenes with 10 images than with 80", shrinks, at_least=3)
claim("07-kernel", "Kernel distances of real sets lie about zero", off_zero, at_most=0.25)

# %% [markdown]
# ## The names FID and KID
#
# The formula alone isn't FID. FID means: *these* Inception weights, *this* resizing, *this* formula. With any other
# features the figure has another scale and another meaning, so the course writes "FD (Streets judge)". The package
# refuses to mix feature spaces.

# %% tags=["nbval-check-output"]
from spade_edu.errors import UserError
from spade_edu.evaluation.inception import FEATURES

ours, published = FeatureStatistics(judges.features.name), FeatureStatistics(FEATURES)
print("here:", judges.features.distance, "and", judges.features.kernel)
try:
    ours.distance(published)
except UserError as error:
    print("refused:", error)

# %% [markdown]
# ### Deep dive: the real FID
#
# Where you can download (Colab, say), `!spade-edu weights inception --download` fetches the published Inception, about
# 95 MB. Then this cell computes a true FID. With 40 images for 2048 features it is mostly bias, so look at "SPADE" only
# beside "other real scenes".

# %%
from spade_edu.evaluation.inception import inception


def inception_features(network, images):
    with torch.inference_mode():
        return network((images.to(lab.device) + 1) / 2).cpu()


try:
    network = inception().to(lab.device)
except UserError:
    print("The weights of Inception aren't here.")
else:
    sets = {"other real scenes": everything.image[N : 2 * N], "SPADE": painted["spade"]}
    known = inception_features(network, maps.image)
    print({name: f"FID {gaussian_distance(inception_features(network, s), known):.0f}" for name, s in sets.items()})

# %% [markdown] tags=["core"] minutes=2
# ## What a Fréchet distance sees
#
# Spoil the *real* images in five ways and measure each against the clean ones. "Ten repeated" shows ten of the forty
# images four times; "swapped" gives each mask another mask's image. One of them gets a perfect score, 0. Which?

# %% tags=["core"] minutes=2
from torch.nn import functional as F

predict("07-perfect", ...)
clean = maps.image
spoilt = {
    "noise": (clean + 0.15 * torch.randn(clean.shape, generator=generator)).clamp(-1, 1),
    "blur": F.interpolate(F.avg_pool2d(clean, 4), scale_factor=4, mode="bilinear"),
    "darker": clean * 0.8 - 0.2,
    "ten repeated": clean[:10].repeat(4, 1, 1, 1),
    "swapped": clean.roll(1, dims=0),
    "yours": clean.flip(-1),  # change this line: anything that makes 40 pictures out of 40
}
tiles, titles = [clean[12], *(v[12] for v in spoilt.values())], ["clean", *spoilt]
show.pictures(tiles, titles, columns=4, caption="What each set shows for one mask.")

# %% tags=["core"] minutes=2
distances = {name: round(gaussian_distance(features(images), real[:N]), 6) for name, images in spoilt.items()}
show.bars(distances, ylabel="FD (Streets judge)", caption="Distance to the 40 clean images.")
reveal("07-perfect", "swapped")
assert distances["swapped"] < 1e-3

# %% [markdown] tags=["core"] minutes=2
# "Swapped" gets 0: a Fréchet distance looks at the set and never at the masks. A generator that ignores its input and
# paints lovely streets would get a lovely FID. So a second score has to ask whether the picture fits the mask.
#
# And "ten repeated"? Three quarters of the variety are gone. Is its distance **large**? Compare it with something
# honest: forty *other* real scenes against the same forty. Which is further away: "ten repeated", "other real scenes",
# or are they "about equal" (within a factor of two)?


# %%
predict("07-variety", ...)


def against_reference(n, seed):
    """n real scenes as reference; the distance of n others, and of ten of the reference again and again."""
    reference, others = halves(n, seed)[0]
    repeated = reference[:10].repeat(n // 10, 1)
    return gaussian_distance(others, reference), gaussian_distance(repeated, reference)


floor, repeated = zip(*(against_reference(40, seed) for seed in range(10)))
print(f"forty others:           {min(floor):.2f} to {max(floor):.2f}")
print(f"ten, four times each:   {min(repeated):.2f} to {max(repeated):.2f}   (ten draws of the scenes)")
reveal("07-variety", "about equal")

# %% [markdown]
# About equal. The distance between two honest sets is the **noise floor** of the ruler. At n = 40 a loss of three
# quarters of the variety costs hardly more than that, so a single figure without its floor doesn't show it; "darker"
# costs even less. (40 images for 160 features: the covariance is singular, which is why the package warns of such
# sets.) Noise and blur lie far above the floor. Does it help to have more images?

# %%
counts = [20, 40, 80]
draws = {n: torch.tensor([against_reference(n, seed) for seed in range(10)]) for n in counts}  # (10, 2) each
figure, ax = plt.subplots(figsize=(6, 3))
for k, name in enumerate(["other real scenes", "ten scenes, repeated"]):
    ax.plot(counts, [draws[n][:, k].mean() for n in counts], "o-", label=name)
    ax.fill_between(counts, *([f(draws[n][:, k]) for n in counts] for f in (min, max)), alpha=0.2)
ax.set(xlabel="images in each set", ylabel="FD (Streets judge)", xticks=counts, ylim=(0, None))
ax.legend()
show.finish(figure, "Means of ten draws; the bands reach from the smallest to the largest.")


# %%
def repeated_over_floor(n):
    def ratio(seed):
        floor, repeated = against_reference(n, seed)
        return repeated / floor

    return ratio


def spoilt_over_floor(seed):
    """The smaller of noise and blur over the distance of other real scenes, all of 40."""
    return min(distances["noise"], distances["blur"]) / against_reference(40, seed)[0]


claim("07-floor", "Ten of 40 scenes are at most twice as far as 40 others", repeated_over_floor(40), at_most=2)
claim("07-more-images", "Ten of 80 scenes are further away than 80 others", repeated_over_floor(80), at_least=1.5)
claim("07-texture", "Noise and blur are far above the floor", spoilt_over_floor, at_least=5)

# %% [markdown]
# With more images the floor sinks and the lack of variety stays: now it can be seen. So a distance needs its floor
# beside it: the same score of real images against other real images, at the same n.

# %% [markdown] tags=["core"] minutes=2
# # Part 2: mean IoU
#
# A segmenter that has only seen real photographs looks at a generated one and names the class of each pixel. Compare
# with the mask that the image was made from. Once more 16 pixels by hand: classes 0 (sky), 1 (house), 2 (road);
# 255 is void and doesn't count.

# %% tags=["core"] minutes=2
truth = torch.tensor([[0, 0, 0, 0], [0, 0, 1, 1], [2, 2, 1, 1], [2, 2, 2, 255]])
guess = torch.tensor([[0, 0, 0, 0], [0, 1, 1, 1], [2, 2, 1, 2], [2, 2, 2, 2]])
figure, axes = plt.subplots(1, 2, figsize=(6, 2.9))
for ax, tile, name in zip(axes, (truth, guess), ("truth: the label map", "guess: the segmenter")):
    ax.imshow(tile.clamp(max=3), cmap="Pastel1", vmin=0, vmax=8)
    show.write_numbers(ax, tile.numpy())
    ax.set_title(name)
    ax.axis("off")
show.finish(figure, "Sixteen pixels, twice.")

# %% [markdown] tags=["core"] minutes=4
# Count pairs: row = truth, column = guess. That table is the **confusion matrix**. Its diagonal holds the hits. Fill in
# row 0 yourself first: six pixels of sky, one of them taken for a house.

# %% tags=["nbval-check-output"]
counts = torch.zeros(3, 3, dtype=torch.int64)
for t, g in zip(truth.flatten().tolist(), guess.flatten().tolist()):
    if t != 255:
        counts[t, g] += 1
print(counts)
print("pixels counted:", int(counts.sum()), "hits:", int(counts.diagonal().sum()))

# %%
names = ["0 sky", "1 house", "2 road"]
figure, ax = plt.subplots(figsize=(3.6, 3))
ax.imshow(counts, cmap="Blues")
show.write_numbers(ax, counts.numpy())
ax.set(xticks=range(3), xticklabels=names, yticks=range(3), yticklabels=names, xlabel="guess", ylabel="truth")
ax.grid(False)
show.finish(figure, "The confusion matrix.")

# %% [markdown] tags=["core"] minutes=2
# Two counted pixels are wrong: a sky pixel guessed house, a house pixel guessed road. (The third difference lies on
# void.) For each class, intersection over union: hits / (pixels in truth + pixels in guess - hits).
#
# - sky: 5 / (6 + 5 - 5) = 5/6
# - house: 3 / (4 + 4 - 3) = 3/5
# - road: 5 / (5 + 6 - 5) = 5/6
#
# The mean is 34/45. Accuracy is 13 hits of 15 pixels.

# %% tags=["nbval-check-output"]
from fractions import Fraction

from spade_edu.evaluation import ConfusionMatrix

matrix = ConfusionMatrix(3, ignored=(255,))
matrix.update(guess, truth)
by_hand = (Fraction(5, 6) + Fraction(3, 5) + Fraction(5, 6)) / 3
print("same counts:", torch.equal(matrix.counts, counts))
print("mIoU by hand", by_hand, "=", round(float(by_hand), 4), "package", round(matrix.miou(), 4))
print("accuracy by hand 13/15 =", round(13 / 15, 4), "package", round(matrix.pixel_accuracy(), 4))

# %% [markdown]
# ## Ignored ids
#
# What counts is decided by the **truth** alone. Leave the void pixel in, as a fourth class say, and the score changes.
# And a void value that nobody declared is caught, not counted:

# %% tags=["nbval-check-output"]
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
# in the truth. Work out the three means first, then once more with one pixel of road guessed as class 3.

# %% tags=["nbval-check-output"]
four = ConfusionMatrix(4, ignored=(255,))
four.update(guess, truth)
for absent in ("skip", "gt", "zero"):
    print(f"nobody guesses class 3: {absent:4} {four.miou(absent):.4f}")
four.update(torch.tensor([3]), torch.tensor([2]))  # one pixel of road guessed as class 3
for absent in ("skip", "gt", "zero"):
    print(f"one pixel guessed as 3: {absent:4} {four.miou(absent):.4f}")

# %% [markdown]
# ## The judge and its bound
#
# Before judging a generator, judge the judge: how well does it read *real* images? That is its bound, the score to
# compare with. (A generator may still pass it, by painting what the judge reads most easily.)
#
# Everything is made of one confusion matrix for each image, so keep all forty.


# %%
def read(images):
    """The class that the judge gives each pixel: (n, 3, h, w) -> (n, h, w)."""
    with torch.inference_mode():
        return torch.cat([segmenter(part.to(lab.device)).argmax(1).cpu() for part in images.split(20)])


def count(guesses, truths):
    """A confusion matrix for each image: (n, 19, 19)."""
    matrices = [ConfusionMatrix(19, ignored=(255,)) for _ in guesses]
    for matrix, guess, truth in zip(matrices, guesses, truths):
        matrix.update(guess, truth)
    return torch.stack([matrix.counts for matrix in matrices])


def miou(counts):
    """Mean IoU in % over the classes that occur, of confusion matrices (n, 19, 19)."""
    total = counts.sum(0)
    union = total.sum(0) + total.sum(1) - total.diagonal()
    return 100 * float((total.diagonal() / union)[union > 0].mean())


# %% [markdown]
# A mean of forty images isn't certain either. The **bootstrap** asks what other forty images might have given. Draw
# forty with replacement, so that some come twice and some not at all, and take the mIoU; repeat. The middle 95 % of the
# results are the interval.


# %%
def interval(counts, seed=0, repeats=500):
    """Bootstrap interval of the mIoU, (low, high), in %."""
    rng = torch.Generator().manual_seed(seed)
    draws = torch.randint(len(counts), (repeats, len(counts)), generator=rng)
    return torch.tensor([miou(counts[draw]) for draw in draws]).quantile(torch.tensor([0.025, 0.975])).tolist()


truths = labels.to_score_ids(maps.label)  # (40, 64, 128): 19 classes, void 255
sets = {"real": clean, "SPADE": painted["spade"], "pix2pixHD": painted["pix2pixhd"], "real, swapped": spoilt["swapped"]}
scored = {name: count(read(images), truths) for name, images in sets.items()}

# %% tags=["core"] minutes=3
values = {name: miou(counts) for name, counts in scored.items()}
ends = torch.tensor([interval(counts) for counts in scored.values()])  # (4, 2)
errors = (ends - torch.tensor(list(values.values()))[:, None]).abs().T
show.bars(values, ylabel="mIoU in %", errors=errors.tolist(), caption="Error bars: 95 % bootstrap interval, 40 images.")
assert values["real"] > values["SPADE"] > values["pix2pixHD"] > values["real, swapped"]

# %% [markdown] tags=["core"] minutes=2
# "Swapped", with its perfect Fréchet distance, falls to the bottom. The two scores answer different questions, and the
# paper needs both: in its Table 1, SIMS has the best Cityscapes FID (49.7) and the worst mIoU (47.2).
#
# What may you say of SPADE and pix2pixHD? The intervals speak of *images*: with forty others these two sets of weights
# would still be far apart. They don't speak of *trainings*: another seed gives other weights. For that there are three
# stored trainings of each, shorter ones (180 steps; `spade-edu reproduce table1` made them).

# %%
from spade_edu.experiments.stored import stored

trained = {r["name"]: [100 * s["miou"] for s in r["seeds"]] for r in stored("table1")["rows"]}
lead = {seed: trained["SPADE"][seed] - max(trained["pix2pixHD"]) for seed in range(3)}
everyone = labels.to_score_ids(everything.label)
read_real = read(everything.image)


def lost_by_swapping(seed):
    """Points of mIoU that 40 real images lose when each goes to the next one's mask."""
    chosen = torch.randperm(160, generator=torch.Generator().manual_seed(seed))[:N]
    own, others = (count(read_real[images], everyone[chosen]) for images in (chosen, chosen.roll(1)))
    return miou(own) - miou(others)


claim("07-swapped", "Real images with the wrong mask lose points of mIoU", lost_by_swapping, at_least=40)
stored_claim("07-lead", "Each training of SPADE is above all of pix2pixHD, in points of mIoU", lead, at_least=20)

# %% [markdown]
# A mean hides classes. Which ones does this SPADE lose?


# %%
def iou(counts):
    total = counts.sum(0)
    values = 100 * total.diagonal() / (total.sum(0) + total.sum(1) - total.diagonal())
    return {name: float(v) for name, v in zip(labels.score_names, values) if not v.isnan()}


bound, ours = iou(scored["real"]), iou(scored["SPADE"])
order = sorted(bound, key=lambda name: bound[name] - ours.get(name, 0))
figure, ax = plt.subplots(figsize=(7, 0.9 + 0.24 * len(order)))
ax.hlines(order, [ours.get(n, 0) for n in order], [bound[n] for n in order], color="#bbbbbb")
for values, name in ((bound, "real"), (ours, "SPADE")):
    ax.scatter([values.get(n, 0) for n in order], order, label=name, color=show.COLOURS[name], zorder=3)
ax.set(xlabel="IoU in %", xlim=(-3, 103))
ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
show.finish(figure, "Classes by the gap between the judge's bound and SPADE's images, the largest on top.")

# %% [markdown]
# Persons first, then trucks, buses and poles. Of sky, traffic lights and vegetation the judge reads a little more than
# in real scenes. That is one training. Which classes another seed would lose, one seed can't tell.

# %% [markdown]
# ### Deep dive: how many images does an interval need?
#
# How does the interval shrink from 5 images to 40?

# %%
figure, ax = plt.subplots(figsize=(6, 2.8))
for n in (5, 10, 20, 40):
    counts = scored["SPADE"][:n]
    ax.plot([n, n], interval(counts), color=show.COLOURS["SPADE"])
    ax.plot(n, miou(counts), "o", color=show.COLOURS["SPADE"])
ax.set(xlabel="images", ylabel="mIoU in %", xticks=[5, 10, 20, 40])
show.finish(figure, "SPADE's images: the score and its 95 % interval. The vertical axis doesn't begin at zero.")


# %%
def narrower(seed):
    """The width of the interval of ten images over that of all forty."""
    few = scored["SPADE"][torch.randperm(N, generator=torch.Generator().manual_seed(seed))[:10]]
    (low, high), (all_low, all_high) = interval(few, seed), interval(scored["SPADE"], seed)
    return (high - low) / (all_high - all_low)


claim("07-interval", "The interval of ten images is wider than that of forty", narrower, at_least=1.3)

# %% [markdown]
# For an ordinary mean it would halve with four times as many images. Here it shrinks about as fast or faster, and the
# score itself moves with n. Fréchet distances get no bootstrap interval: an image drawn twice looks like a loss of
# variety to them, so the resampled sets are all further away than the set itself. Report them with n, the features and
# the floor.

# %% [markdown] tags=["core"] minutes=2
# # Part 3: one set of images, five scores
#
# SPADE's evaluation code was never released. Later papers measured in ways of their own (only GAN Compression's is
# code, the other three told theirs in answers to questions), and differ in small things: at what size does the
# segmenter see the image? At what size do guess and truth meet? Which photographs does the distance compare with? A
# `Protocol` writes these down. None of the five is wrong.

# %% tags=["nbval-check-output"]
from spade_edu.evaluation.protocol import NAMES, protocol

print(f"{'protocol':16} {'segmenter sees':15} {'compared at':12} real side")
for name in NAMES:
    p = protocol(name, "cityscapes")
    print(f"{name:16} {p.fed:15} {p.compared:12} {p.real_split}, size {p.real_size}")

# %% [markdown]
# "label" is the size of the untouched label map (1024x2048 on Cityscapes), "generated" that of the images (256x512).
# CC-FPSE's author wrote of 256x256, but about COCO-Stuff, where the images are square; of Cityscapes nobody said. On
# Streets its row takes squares, to show what squeezing does. Here is what the segmenter sees in three of them, Streets
# in miniature: 128x256, 64x128 and 64x64.

# %%
image, full = painted["spade"][:1], (2 * height, 2 * width)
seen = {n: protocol(n, "streets").feed(image, full, (height, width))[0] for n in ("paper", "oasis", "cc-fpse")}
figure, ax = plt.subplots(figsize=(9, 2.9))
left = 0
for name, tile in seen.items():
    ax.imshow((tile.permute(1, 2, 0).cpu() + 1) / 2, extent=(left, left + tile.shape[2], 0, tile.shape[1]))
    ax.text(left, tile.shape[1] + 4, f"{name}: {tile.shape[1]}x{tile.shape[2]}")
    left += tile.shape[2] + 16
ax.set(xlim=(0, left), ylim=(0, 144))
ax.axis("off")
show.finish(figure, "The same image: enlarged, as it is, squeezed.")

# %% [markdown] tags=["core"] minutes=2
# The images stay exactly the same. By how many points of mIoU will the highest and the lowest of the five differ? (A
# number.) Streets' judge is brought to one size inside, so a part of what happens on Cityscapes can't even happen here.

# %%
predict("07-protocols", ...)
splits = {split: Streets(200, split=split, height=full[0], width=full[1]) for split in ("val", "train")}
photographs = {split: stack([scenes[i] for i in range(N)]) for split, scenes in splits.items()}
full_truths = labels.to_score_ids(photographs["val"].label)  # (40, 128, 256)


def score_under(p, images):
    """Confusion matrices of images under a protocol: feed the segmenter, bring guess and truth together, count."""
    each = []
    for part, truths in zip(images.split(10), full_truths.split(10)):
        with torch.inference_mode():
            scores = segmenter(p.feed(part.to(lab.device), full, (height, width))).cpu()
        each.append(count(*p.meet(scores, truths)))
    return torch.cat(each)


# %%
under = {name: score_under(protocol(name, "streets"), painted["spade"]) for name in NAMES}
fake, far = features(painted["spade"]), {}
for name in NAMES:
    p = protocol(name, "streets")
    far[name] = gaussian_distance(fake, features(p.real(photographs[p.real_split].image, (height, width))))
print(f"{'protocol':16} mIoU %  accuracy %  {judges.features.distance}")
for name, counts in under.items():
    total = counts.sum(0)
    print(f"{name:16} {miou(counts):6.1f} {100 * total.diagonal().sum() / total.sum():11.1f} {far[name]:10.2f}")

# %% tags=["core"] minutes=2
figure, axes = plt.subplots(1, 2, figsize=(9, 2.8))
for ax, values, name in (
    (axes[0], [miou(counts) for counts in under.values()], "mIoU in %"),
    (axes[1], list(far.values()), judges.features.distance),
):
    ax.bar_label(ax.barh(NAMES, values, color=show.COLOURS["SPADE"]), fmt="%.3g", padding=3)
    ax.set(xlabel=name)
    ax.margins(x=0.15)
    ax.grid(axis="y", visible=False)
    ax.invert_yaxis()
show.finish(figure, "Five protocols, the same 40 images of the same generator.")


# %%
def spread(seed):
    """Points between the highest and the lowest protocol, for 30 of the 40 images."""
    chosen = torch.randperm(N, generator=torch.Generator().manual_seed(seed))[:30]
    values = [miou(counts[chosen]) for counts in under.values()]
    return max(values) - min(values)


claim("07-protocols", "Five protocols give the same images scores that lie points apart", spread, at_least=5)
reveal("07-protocols", max(map(miou, under.values())) - min(map(miou, under.values())))

# %% [markdown]
# Differences of many points, from the ruler alone. (Two rows agree in mIoU: they differ in the real side only.) Rows
# of one protocol may be compared; a figure from one paper and a figure from another may not, unless both say how they
# measured. For your own runs the command line does the same: `spade-edu evaluate --run runs/NAME
# --compare-protocols`.

# %% [markdown]
# ## The paper's Table 1
#
# Now you can read it: mIoU / accuracy / FID.

# %% tags=["nbval-check-output"]
from spade_edu.experiments.paper import TABLES

one_table = TABLES[1]
print(f"{'':10} " + "  ".join(f"{c:20}" for c in one_table.columns))
for row in one_table.rows:
    print(f"{row.name:10} " + "  ".join(f"{c:20}" for c in row.cells))

# %%
cells = {row.name: row.cells[-1].split(" / ") for row in one_table.rows}
figure, ax = plt.subplots(figsize=(5.5, 3.2))
for name, (score, _, fid) in cells.items():
    ax.scatter(float(score), float(fid), s=60, color=show.COLOURS.get(name, "#222222"))
    ax.annotate(name, (float(score), float(fid)), xytext=(7, 4), textcoords="offset points")
ax.set(xlabel="mIoU (better to the right)", ylabel="FID (better below)", xlim=(44, 67), ylim=(40, 112))
show.finish(figure, "Cityscapes in the paper's Table 1. Neither axis begins at zero.")

# %% [markdown]
# No method is best in both. And each point is one number: no interval over images, no second training, no floor beside
# the FID. Stage 08 asks how much that matters.

# %% [markdown]
# ### Deep dive: two cells that others couldn't repeat
#
# The text gives 35.2 for SPADE's COCO-Stuff mIoU where Table 1 has 37.4. Others who scored the released Cityscapes
# weights found accuracy 93.5 and FID 63.4 instead of 81.9 and 71.8 (official repository, issue 100). Such differences
# are what a missing protocol looks like, and both have a likely explanation.
#
# **Accuracy.** 12.58 % of the pixels of Cityscapes' validation split are void. Leave them out, as DRN's own code does
# for mIoU, and you get 93.5. Count each of them as wrong, and you get:

# %% tags=["nbval-check-output"]
print(f"93.5 with void counted as wrong: {93.5 * (1 - 0.1258):.1f}; the paper has {cells['SPADE'][1]}")

# %% [markdown]
# That SPADE and CC-FPSE counted so is what the authors of TSIT write (EndlessSora/TSIT, issue 1): their own model has
# 94.4 one way and 82.7 the other. `spade-edu evaluate` prints both, as `accuracy` and `accuracy_with_void`. SPADE's
# authors published no code for it, so it stays an inference.
#
# **FID.** "FID" named two networks. Until 27 May 2019 pytorch-fid, which the authors used "pretty much out of the box"
# (issue 14), took torchvision's Inception weights; since then it has the original ones of TensorFlow (its commit
# f64228c). The paper is of March 2019. `--fid-network torchvision-2019` scores with the older network, under a name of
# its own. That it explains all of 71.8 against 63.4 nobody has shown: someone got the paper's FID on ADE20K a week
# before the change (issue 51).

# %% [markdown]
# ## Summary
#
# - The Fréchet distance fits a Gaussian to each set's features; it compares sets and never looks at masks.
# - It is biased upward at finite n: compare at equal n, and put the floor (real against real) beside it. The kernel
#   distance isn't biased.
# - FID and KID name one published network; with other features, say which.
# - mIoU comes from a confusion matrix over counted pixels; what is ignored and what an absent class does are choices.
# - An interval over images says nothing of other trainings.
# - The same images get very different scores under five honest protocols: a figure without its protocol says little.

# %% [markdown]
# ## Questions
#
# 1. A model memorises 500 training photographs and outputs them at random. What will its FID and its mIoU say?
#
# <details><summary>Answer</summary>FID: excellent, for the set is real, and 500 photographs are varied enough for it.
# mIoU: terrible, for the pictures don't fit the masks. Neither score detects memorising as such.</details>
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
#
# 4. Two papers report FID 48 and 51 on 500 images. What would you want to know first?
#
# <details><summary>Answer</summary>Whether both use the same network, resizing, real side and n; how large the distance
# of 500 real images to 500 other real ones is; and how far two trainings of one method lie apart.</details>

# %% [markdown]
# ## Next
#
# **Exercise:** [07_evaluation](../exercises/07_evaluation.ipynb): write the Fréchet distance and the confusion matrix
# yourself, with checks that know the usual mistakes.
#
# **Stage 08** uses these scores: Tables 3 and 4 of the paper in miniature, with seeds and error bars.
