# %% [markdown] tags=["core"] minutes=2
# # 09 · Multimodal and guided synthesis
#
# Afterwards you can give one label map many looks: write the style encoder, draw from it so that gradients pass,
# compute the KL divergence by hand, say what its weight does, and steer a generator by both of its inputs.
#
# **Time:** runs in about 75 seconds of one core (processor time, measured); the core path takes a class 45 minutes. Not
# timed on a GPU (`python tools/notebooks.py test 09` does it there). Trained networks come with it.
#
# **Builds on:** stage 05 (the generator) and stage 06 (its losses).

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

lab = course.start("09")

# %% [markdown] tags=["core"] minutes=2
# ## What you are about to build
#
# A label map, also called a **mask**, doesn't say whether it is noon or midnight. So one mask should have many
# pictures. Below: masks down the left, pictures of several styles along the top, and in each square the mask's street
# in the picture's style. (Figure 1 of the paper is the same, turned: its masks stand along the top.) What of a picture
# went along, and what stayed behind?

# %%
import torch
from spade_edu.data import stack
from spade_edu.sampling import generate, spread

networks, source = lab.networks("spade")
generator, encoder = networks.generator, networks.encoder
sample = spread(lab.val, 60)  # 60 pictures with their masks
looks = sample.style or [f"brightness {level:.0%}" for level in sample.image.mean((1, 2, 3)).div(2).add(0.5)]
names = sorted(set(looks))[:5]
chosen = [looks.index(name) for name in names]  # one picture of each look
with torch.no_grad():
    mu, logvar = (t.cpu() for t in encoder(sample.image.to(lab.device)))  # (60, 3, h, w) -> twice (60, z_dim)


# %% tags=["core"] minutes=2
def paint(scene, codes):
    """One mask, many codes: scene number, (n, z_dim) -> (n, 3, h, w)."""
    pick = torch.full((len(codes),), scene)
    many = sample._replace(label=sample.label[pick], instance=sample.instance[pick], image=sample.image[pick])
    return generate(generator, many, lab.labels, lab.device, z=codes).cpu()


masks = chosen[:3]
tiles, titles = [torch.ones(3, *lab.size), *sample.image[chosen]], ["mask / style from", *names]
for scene in masks:
    tiles += [lab.labels.colourise(sample.label[scene]).permute(2, 0, 1) / 127.5 - 1, *paint(scene, mu[chosen])]
show.pictures(tiles, titles, columns=len(names) + 1, width=2.0, caption=f"Masks in rows, styles in columns ({source}).")

# %% [markdown] tags=["core"] minutes=2
# Light, sky and colours went along; houses and cars stayed with their mask. Three things make it work. An **encoder**
# turns a picture into a short code, and a **KL term** keeps the codes near N(0, 1): you write both in this stage. The
# third is the generator of stage 05, whose first map is made of the code.

# %% tags=["nbval-check-output"]
print("picture", tuple(sample.image.shape[1:]), "->", sample.image[0].numel(), "numbers")
print("style code", tuple(mu.shape[1:]), "->", mu[0].numel(), "numbers")
blank = torch.zeros(1, generator.label_channels, *lab.size, device=lab.device)
print("the generator's first map", tuple(generator.first_map(blank, mu[:1].to(lab.device)).shape))

# %% [markdown]
# Sixteen numbers for a whole picture: too few for a layout, enough for a mood. (The paper takes 256.) A linear layer
# makes the generator's first map of them; the mask enters afterwards, in every SPADE layer.
#
# ## Without an encoder: one mask, one picture
#
# The released SPADE models have no code z at all: their first map is the downsampled mask. How many different pictures
# does such a generator paint of one mask?

# %% tags=["nbval-check-output"]
plain = lab.trainer(style=False).generator.eval()
street = lab.labels.encode(sample.label[:1], sample.instance[:1]).to(lab.device)  # (1, 36, h, w)
with torch.no_grad():
    outputs = [plain(street, torch.randn(1, 16, device=lab.device)) for _ in range(4)]
print("four calls with four codes, different pictures:", len({o.cpu().numpy().tobytes() for o in outputs}))

# %% [markdown]
# Exactly one: z is ignored, and nothing else is random. Could you feed noise instead? Try it on the smallest world
# there is: one class, one pixel, five moods from dark to bright. Three generators learn to paint the pixel. The first
# gets nothing, the second noise, the third a number that an encoder made of the very pixel that it has to paint.
# Networks, steps and start are the same.

# %%
from torch import nn

greys = torch.tensor([-0.8, -0.4, 0.0, 0.4, 0.8])  # the five moods of our pixel
many = greys.repeat(8)[:, None]  # a batch: (40, 1)


def small(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 16), nn.Tanh(), nn.Linear(16, outputs))


# %%
def fit(z_of, penalty=lambda m, v: 0.0, seed=0):
    """Train encoder and one-pixel generator; z_of makes z of what the encoder says, (40, 1) twice -> (40, 1)."""
    torch.manual_seed(seed)
    encode, decode = small(1, 2), small(1, 1)
    optimizer = torch.optim.Adam([*encode.parameters(), *decode.parameters()], lr=0.02)
    for _ in range(400):
        m, v = encode(many).chunk(2, dim=1)
        loss = (decode(z_of(m, v)) - many).square().mean() + penalty(m, v)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return encode, decode


kinds = {
    "nothing": lambda m, v: 0 * m,
    "noise": lambda m, v: torch.randn_like(m),
    "encoder": lambda m, v: m,
}

# %% [markdown] tags=["core"] minutes=1
# Five moods go in. What does the generator with noise paint: "all five moods", "their average" or "any grey"?

# %% tags=["core"] minutes=3
from functools import cache

from spade_edu.course import claim, predict, reveal

predict("09-noise", ...)


@cache
def painted_greys(kind, seed=0):
    encode, decode = fit(kinds[kind], seed=seed)
    with torch.no_grad():
        return decode(kinds[kind](*encode(many).chunk(2, dim=1)))  # (40, 1)


tiles = [greys[None], *(painted_greys(kind)[None, :5, 0].mul(10).round() / 10 + 0.0 for kind in kinds)]
titles = ["the five moods", *(f"z from {kind}" for kind in kinds)]
show.maps(tiles, titles, columns=2, numbers=True, limit=1, caption="What goes in, and what three generators paint.")
reveal("09-noise", "their average")


# %%
def error_over_nothing(kind):
    def ratio(seed):
        errors = [(painted_greys(k, seed) - many).square().mean() for k in (kind, "nothing")]
        return float(errors[0] / errors[1])

    return ratio


# %%
claim(
    "09-noise",
    "With noise the error is that of a generator that gets nothing",
    error_over_nothing("noise"),
    at_least=0.8,
)
claim("09-encoder", "With an encoder it is a small part of that", error_over_nothing("encoder"), at_most=0.1)

# %% [markdown] tags=["core"] minutes=2
# Nothing in this loss rewards a use for noise: whatever the noise says, the average is the best guess. SPADE's feature
# matching and perceptual losses also compare with *the* real picture, so they ask for the average in the same way; its
# adversarial loss doesn't, and is missing in this toy. With an encoder, z carries what the mask leaves open.

# %% [markdown]
# ## The encoder
#
# Paper, Figure 14: convolutions of stride 2 with instance norm, then two linear layers, one for the mean `mu` and one
# for the logarithm of the variance. The paper's picture has 256 x 256 pixels and six convolutions; ours is resized to
# 64 x 64 and has four. Both end with a map of 4 x 4. Here is the published one. Below it, what a training
# does with what comes out; the draw of z and the KL term come later in this stage.

# %% tags=["core"] minutes=2
from spade_edu.course import schematics

schematics.encoder()

# %%
from spade_edu import SpectralConv2d
from torch.nn import functional as F


class MyEncoder(nn.Module):
    def __init__(self, widths, z_dim, size):
        super().__init__()
        self.size = size
        pairs = zip([3, *widths], widths)
        self.convs = nn.ModuleList(SpectralConv2d(a, b, 3, stride=2, padding=1, bias=False) for a, b in pairs)
        self.mean, self.logvar = nn.Linear(16 * widths[-1], z_dim), nn.Linear(16 * widths[-1], z_dim)

    def forward(self, x):
        x = F.interpolate(x, size=(self.size, self.size), mode="bilinear")  # (n, 3, size, size)
        for conv in self.convs:
            x = F.leaky_relu(F.instance_norm(conv(x)), 0.2)  # half the size
        return self.mean(x.flatten(1)), self.logvar(x.flatten(1))  # (n, z_dim), (n, z_dim)


# %% [markdown]
# Is that the package's encoder? Give yours the trained weights and look.

# %% tags=["nbval-check-output"]
widths = [layer[0].out_channels for layer in encoder.layers]
mine = MyEncoder(widths, encoder.z_dim, encoder.image_size).eval()
for conv, layer in zip(mine.convs, encoder.layers):
    conv.load_state_dict(layer[0].state_dict())
mine.mean.load_state_dict(encoder.fc_mu.state_dict())
mine.logvar.load_state_dict(encoder.fc_var.state_dict())
with torch.no_grad():
    pair = mine(sample.image[:8])
torch.testing.assert_close(pair, (mu[:8], logvar[:8]), atol=1e-3, rtol=1e-3)
print("widths", widths, "and the same mu and logvar")

# %% [markdown]
# Now look at what it says of three pictures: sixteen means, and around each a standard deviation. Together they are a
# Gaussian, written q(z | picture).

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 3, figsize=(10, 2.6), sharey=True)
for ax, i in zip(axes, chosen):
    ax.errorbar(range(mu.shape[1]), mu[i], yerr=(logvar[i] / 2).exp(), fmt="o", markersize=4, capsize=2)
    ax.axhline(0, color="#888888", linewidth=0.8)
    ax.set(title=looks[i], xlabel="dimension of z", xticks=range(0, mu.shape[1], 5))
axes[0].set_ylabel("mu, with one std")
show.finish(figure, "What the encoder says of three pictures.")


# %% [markdown]
# Where a bar is long, the encoder leaves the value open.
#
# ## Drawing so that gradients pass
#
# Training draws z from that Gaussian. A draw has no gradient, so it is written as **noise from outside, scaled and
# shifted**:
#
# $$z = \mu + \sigma\,\varepsilon, \qquad \sigma = e^{\text{logvar}/2}, \quad \varepsilon \sim N(0, 1)$$
#
# By hand: mu 3, logvar ln 4. What is sigma? If epsilon is 1.5, what is z, and what is dz/dmu?


# %% tags=["nbval-check-output"]
def draw(m, v):
    return m + (v / 2).exp() * torch.randn_like(m)


m = torch.tensor([[3.0]], requires_grad=True)
v = torch.tensor([[4.0]]).log().requires_grad_()
torch.manual_seed(0)
epsilon = torch.randn(1, 1)
torch.manual_seed(0)
draw(m, v).sum().backward()  # the same epsilon inside
torch.testing.assert_close(v.grad, epsilon)  # dz/dlogvar = sigma/2 epsilon
print("sigma is 2; epsilon 1.5 gives z =", 3 + 2 * 1.5, "and dz/dmu =", m.grad.item())

# %%
from spade_edu.encoder import reparameterise

torch.manual_seed(0)
many_draws = draw(torch.full((5000, 1), 3.0), torch.full((5000, 1), 4.0).log())
torch.manual_seed(0)
assert torch.equal(many_draws, reparameterise(torch.full((5000, 1), 3.0), torch.full((5000, 1), 4.0).log()))
grid = torch.linspace(-5, 11, 200)
figure, ax = plt.subplots(figsize=(7, 2.8))
ax.hist(many_draws.flatten(), bins=60, density=True, color="#56B4E9", label="5000 draws")
ax.plot(grid, torch.exp(-((grid - 3) ** 2) / 8) / (2 * (2 * torch.pi) ** 0.5), color="#222222", label="N(3, 2²)")
ax.set(xlabel="z", ylabel="density")
ax.legend()
show.finish(figure, "Scaled and shifted noise, beside the density of the Gaussian that was asked for.")

# %% [markdown] tags=["core"] minutes=2
# ## KL divergence by hand
#
# To paint without any picture, we want to draw z from N(0, 1). So codes in training should look like N(0, 1) as well.
# How far a Gaussian is from it (paper, section 3 and appendix A):
#
# $$D_{KL} = -\tfrac12 \sum \left(1 + \text{logvar} - \mu^2 - e^{\text{logvar}}\right)$$
#
# Compute it for (mu 0, std 1), (mu 1, std 1) and (mu 0, std 2).

# %% tags=["nbval-check-output"]
import math

from spade_edu.losses import kl_divergence


def kl(m, v):
    return -0.5 * (1 + v - m.square() - v.exp()).sum()


for mean, std in [(0, 1), (1, 1), (0, 2), (3, 0.5)]:
    m, v = torch.tensor([[float(mean)]]), torch.tensor([[math.log(std**2)]])
    torch.testing.assert_close(kl(m, v), kl_divergence(m, v))
    print(f"mu {mean}, std {std}: {kl(m, v).item() + 0.0:.3f} nats")

# %% [markdown] tags=["core"] minutes=2
# Mind the word **sum**. The official code adds over all dimensions *and over the batch*, while every other loss is a
# mean. The same picture once, and eight times in a batch: how many times as large is the term? (A number.)

# %% tags=["core", "nbval-check-output"] minutes=2
predict("09-batch", ...)
m, v = torch.ones(1, 16), torch.zeros(1, 16)  # sixteen dimensions at 0.5 nats
terms = {batch: kl(m.expand(batch, -1), v.expand(batch, -1)).item() for batch in [1, 2, 8]}
for batch, nats in terms.items():
    print(f"batch {batch}: {nats:.0f} nats, times 0.05 = {0.05 * nats:.1f}")
reveal("09-batch", terms[8] / terms[1])


# %% [markdown] tags=["core"] minutes=1
# So the published weight of 0.05 belongs to the published batch on one GPU. Change the batch and you change the
# objective.
#
# ## What the weight does
#
# Back to the pixel, now with draws and the KL term. Only the weight changes. What happens to the five Gaussians when it
# is tiny, and when it is huge?


# %%
@cache
def fit_with(weight, seed=0):
    return fit(draw, lambda m, v: weight * kl(m, v) / len(many), seed)


def gaussians(encode):
    """Means and deviations of the five moods, (5,) and (5,)."""
    m, v = encode(greys[:, None]).detach().chunk(2, dim=1)
    return m[:, 0], (v[:, 0] / 2).exp()


fits = {weight: fit_with(weight) for weight in (0.001, 0.03, 1.0)}

# %% tags=["core"] minutes=3
grid = torch.linspace(-3.5, 3.5, 300)
figure, axes = plt.subplots(2, 3, figsize=(10, 4.2), sharex=True, sharey="row", height_ratios=(3, 2))
for (weight, (encode, decode)), (top, bottom) in zip(fits.items(), axes.T):
    m, std = gaussians(encode)
    for grey, density in zip(greys, torch.distributions.Normal(m, std).log_prob(grid[:, None]).exp().T):
        top.fill_between(grid, density, color=plt.cm.plasma(0.1 + 0.45 * float(grey + 0.8)), alpha=0.7)
    top.plot(grid, torch.exp(-(grid**2) / 2) / (2 * torch.pi) ** 0.5, "--", color="#222222")
    top.set(title=f"KL weight {weight:g}", ylim=(0, 3))
    bottom.plot(grid, decode(grid[:, None]).detach())
    bottom.set_xlabel("z")
axes[0, 0].set_ylabel("q(z | mood)")
axes[1, 0].set_ylabel("painted grey")
show.finish(figure, "Five moods' Gaussians and N(0, 1), dashed (spikes are cut off at 3); below, what z paints.")


# %%
def reach(networks):
    """How far the painted grey moves while z goes from -1.5 to 1.5."""
    return float(networks[1](torch.tensor([[-1.5], [1.5]])).diff(dim=0).abs().detach())


def covered(networks):
    """The share of draws from N(0, 1) that lie within two deviations of a mood's mean."""
    m, std = gaussians(networks[0])
    z = torch.randn(10_000, 1, generator=torch.Generator().manual_seed(0))
    return float(((z - m).abs() < 2 * std).any(dim=1).float().mean())


for weight, trained in fits.items():
    print(f"weight {weight:5}: grey moves by {reach(trained):.2f}, moods cover {covered(trained):.0%} of N(0, 1)")


# %%
def times_the_reach(seed):
    return reach(fit_with(0.03, seed)) / reach(fit_with(1.0, seed))


def more_covered(seed):
    return covered(fit_with(0.03, seed)) - covered(fit_with(0.001, seed))


claim("09-collapse", "At weight 0.03 z moves the grey more than at weight 1", times_the_reach, at_least=5)
claim("09-gaps", "At 0.03 the moods cover more of N(0, 1) than at 0.001", more_covered, at_least=0.3)

# %% [markdown] tags=["core"] minutes=3
# With a tiny weight the Gaussians are spikes: a draw from N(0, 1) mostly falls between them, where the generator never
# practised. With a huge one all five lie on N(0, 1), and the generator has nothing to go by. It ignores z: **posterior
# collapse**. So the weight is a compromise. The stored network was trained for minutes. At the published 0.05 its z had
# hardly any say after so few steps, so it uses 0.01. (Single trainings; they were not repeated.)

# %% [markdown]
# ## A map of the codes
#
# Sixteen dimensions can't be plotted, so project the 60 means on the two directions in which they vary most (PCA).
# Nobody told the encoder the names of the styles. Will pictures of one style lie together? And where will draws from
# N(0, 1) lie?

# %%
centre = mu.mean(0)
_, strength, directions = torch.linalg.svd(mu - centre, full_matrices=False)
plane = (mu - centre) @ directions[:2].T  # (60, 16) -> (60, 2)
share = strength[:2].square().sum() / strength.square().sum()
torch.manual_seed(0)
drawn = (torch.randn(60, mu.shape[1]) - centre) @ directions[:2].T

# %%
figure, ax = plt.subplots(figsize=(7.5, 4.5))
ax.scatter(*drawn.T, s=14, color="#cccccc", marker="x", label="draws from N(0, 1)")
colours = ["#E69F00", "#7B5EA7", "#222222", "#999999", "#56B4E9"]
for name, colour, marker in zip(names, colours, "osD^v"):
    points = plane[[look == name for look in looks]]
    ax.scatter(*points.T, s=28, color=colour, marker=marker, label=name)
ax.set(xlabel="first principal direction", ylabel="second", title=f"{share:.0%} of the variance of mu")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
show.finish(figure, "The codes of 60 pictures, and 60 draws from N(0, 1), seen from the same side.")


# %% [markdown]
# Pictures of one style do lie together, found from pictures alone. And the cloud of codes is **wider** than N(0, 1), so
# a draw rarely reaches its outskirts. Is the small KL weight the cause?
# That was a guess, and the toy doesn't bear it out: from weight 0.03 to 0.001 its five means moved apart for three of
# five seeds, and together for two.
#
# How well do names and places agree? Give each picture the style with the nearest mean of the *other* pictures, in all
# sixteen dimensions. The control: the same with the names dealt out at random.


# %%
def hits(codes, looks):
    """The share of codes whose nearest mean of a look, without the code itself, is their own look's."""
    ids, right = torch.tensor([names.index(look) if look in names else 0 for look in looks]), 0
    for i in range(len(codes)):
        others = torch.arange(len(codes)) != i
        means = [codes[others & (ids == k)].mean(0).nan_to_num(99.0) for k in range(len(names))]
        right += int((torch.stack(means) - codes[i]).norm(dim=1).argmin() == ids[i])
    return right / len(codes)


def some(seed, count=40):
    """Pictures drawn from the validation split."""
    pick = torch.randperm(len(lab.val), generator=torch.Generator().manual_seed(seed))[:count]
    return stack([lab.val[int(i)] for i in pick])


# %%
def times_the_control(seed):
    others = some(seed)
    with torch.no_grad():
        codes = encoder(others.image.to(lab.device))[0].cpu()
    order = torch.randperm(40, generator=torch.Generator().manual_seed(seed))
    return hits(codes, others.style) / hits(codes, [others.style[i] for i in order])


# %%
if sample.style:
    print(f"{hits(mu, looks):.0%} of the pictures lie nearest to their own style.")
    claim("09-named", "Codes find their style more often than with shuffled names", times_the_control, at_least=2)


# %% [markdown] tags=["core"] minutes=2
# ## One mask, many draws (Figure 9)
#
# Paint one mask four times from each of three sources: draws from N(0, 1); draws from the Gaussian q of **one**
# picture; the codes of four pictures, picked at random. Which varies more: "draws from N(0, 1)", "codes of pictures" or
# "both alike"?


# %%
def sources(seed):
    """Four codes of each kind."""
    torch.manual_seed(seed)
    picture, four = int(torch.randint(len(mu), (1,))), torch.randperm(len(mu))[:4]
    noise = torch.randn(4, mu.shape[1])
    return {
        "N(0, 1)": noise,
        "one picture's q": draw(mu[picture].expand(4, -1), logvar[picture].expand(4, -1)),
        "four pictures": mu[four],
    }, four


# %% tags=["core"] minutes=3
predict("09-draws", ...)
scene = chosen[0]
codes, four = sources(0)
painted = torch.cat([paint(scene, z) for z in codes.values()])
titles = [f"{name}, {i + 1}" for name in codes for i in range(4)]
show.pictures(painted, titles, caption="One mask, twelve codes.")
reveal("09-draws", "codes of pictures")

# %% [markdown]
# ## Diversity, measured
#
# Four pictures are easily a lucky four, so measure, on many masks. Take the feature maps of a network, make every
# feature vector one long, and average the squared distance over places and pairs of pictures (the idea of LPIPS without
# its learned weights). First by hand: what is the distance of (2, 0) and (0, 3), and of (2, 0) and (5, 0)?

# %% tags=["nbval-check-output"]
from spade_edu.evaluation.diversity import diversity, perceptual_space

nowhere = torch.zeros(1, 1, dtype=torch.long)
for a, b in [((2.0, 0.0), (0.0, 3.0)), ((2.0, 0.0), (5.0, 0.0)), ((2.0, 0.0), (-1.0, 0.0))]:
    features = torch.tensor([a, b]).view(2, 2, 1, 1)  # two pictures of one pixel, with two features
    distance = diversity(torch.zeros(2, 3, 1, 1), nowhere, lambda _, f=features: [f], 1).mean
    print(a, b, "distance", round(distance, 3))

# %% [markdown]
# Length doesn't count, direction does: 2 for a right angle, 0 for the same direction, 4 for opposite ones. The feature
# maps are VGG-19's where its weights lie. Elsewhere they are those of the **second opinion**, a small network that has
# learned Streets and never scores anything in this course.
#
# Now five masks, each with draws of its own. Two controls ask *why* draws from N(0, 1) vary as they do. One makes the
# same draws as wide as the codes are on average. The other also gives them the codes' directions: a Gaussian with the
# mean and covariance of the 60 codes.

# %%
space = perceptual_space(torch.device("cpu"))
stretch = torch.linalg.cholesky(torch.cov(mu.T) + 1e-4 * torch.eye(mu.shape[1]))
as_wide = mu.var(0).mean().sqrt()


@cache
def measure(seed):
    """Diversity of each source on one mask, drawn by the seed, and the same by class."""
    codes, _ = sources(seed)
    codes["as wide as codes"] = as_wide * codes["N(0, 1)"]
    codes["codes' Gaussian"] = centre + codes["N(0, 1)"] @ stretch.T
    scene = (11 * seed + 3) % len(mu)
    found = {
        n: diversity(paint(scene, z), sample.label[scene], space.maps, lab.labels.num_ids) for n, z in codes.items()
    }
    return {n: d.mean for n, d in found.items()}, {n: d.by_class for n, d in found.items()}


# %%
measured = [measure(seed) for seed in range(5)]
table = {name: torch.tensor([values[name] for values, _ in measured]) for name in measured[0][0]}
order = ["one picture's q", "N(0, 1)", "as wide as codes", "codes' Gaussian", "four pictures"]
ticks = ["one\npicture's q", "N(0, 1)", "N(0, 1), as\nwide as codes", "codes'\nGaussian", "four\npictures"]
show.bars(
    {tick: float(table[name].mean()) for tick, name in zip(ticks, order)},
    errors=[float(table[name].std()) for name in order],
    ylabel="diversity",
    caption=f"Features: {space.name}. Mean and deviation over five masks.",
)


# %%
def times_the_draws(name):
    def ratio(seed):
        values = [measure(5 * seed + i)[0] for i in range(5)]
        return sum(v[name] for v in values) / sum(v["N(0, 1)"] for v in values)

    return ratio


# %%
claim("09-draws", "Codes of pictures vary more than draws from N(0, 1)", times_the_draws("four pictures"), at_least=1.2)
claim("09-one", "One picture's q varies less than N(0, 1)", times_the_draws("one picture's q"), at_most=0.8)
claim(
    "09-gaussian",
    "Draws with the codes' mean and covariance vary more than draws from N(0, 1)",
    times_the_draws("codes' Gaussian"),
    at_least=1.2,
)

# %% [markdown]
# Pictures' codes vary about twice as much as draws from N(0, 1). The draws aren't the codes' distribution: with the
# codes' mean and covariance they vary as much as codes do. Making them as wide, without the directions, brought much
# less on these five masks: the codes lie along a few directions, and a draw rarely goes far along any. Is more
# diversity always better? No: noise on the pixels would score high as well. Read it beside a picture or a score of
# quality.
#
# How much variety do real pictures have? Where the data can render them: the same mask in the styles of the four
# pictures.

# %%
from spade_edu.data import Streets


def rendered(number, styles):
    """The street of one mask in each of the styles: (4, 3, h, w)."""
    place, (height, width) = number * len(lab.val) // len(looks), lab.size  # of the scene in the data set
    streets = [Streets(place + 1, split="val", height=height, width=width, style=style) for style in styles]
    return torch.stack([one[place].image for one in streets])


if lab.config.data == "streets":
    pair = [rendered(scene, [looks[i] for i in four]), paint(scene, mu[four])]
    show.pictures(torch.cat(pair), [looks[i] for i in four], caption="Above rendered, below painted.")
    values = [diversity(i, sample.label[scene], space.maps, lab.labels.num_ids).mean for i in pair]
    print(f"diversity of the rendered {values[0]:.2f}, of the painted {values[1]:.2f}")

# %% [markdown]
# ### Deep dive: which classes does z repaint?
#
# The same distance can be averaged over the pixels of one class. Sky or poles: which depends more on the hour and the
# weather?

# %%
classes = [n for n in ["sky", "road", "building", "vegetation", "sidewalk", "car", "pole"] if n in lab.labels.names]
ids = [lab.labels.id(n) for n in classes]
by_class = {name: torch.stack([c[name] for _, c in measured])[:, ids].nanmean(0) for name in order[1::3]}
figure, ax = plt.subplots(figsize=(8, 3))
for shift, (name, values) in zip((-0.2, 0.2), by_class.items()):
    ax.bar(torch.arange(len(ids)) + shift, values, width=0.4, label=name)
ax.set_xticks(range(len(ids)), classes)
ax.set(ylabel="diversity")
ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
show.finish(figure, "Diversity by class, mean over the five masks.")


# %%
def sky_over_pole(seed):
    values = torch.stack([measure(5 * seed + i)[1]["four pictures"] for i in range(5)]).nanmean(0)
    return float(values[lab.labels.id("sky")] / values[lab.labels.id("pole")])


claim("09-sky", "Codes of pictures repaint the sky more than poles", sky_over_pole, at_least=1.2)

# %% [markdown]
# ## From one style to another
#
# Walk in a straight line from the code of one picture to that of another, and paint the way. Half way between the
# codes: has every pixel of the picture gone half of its way? "yes" or "no"?

# %%
predict("09-halfway", ...)


def walk(scene, start, end, steps):
    times = torch.linspace(0, 1, steps)[:, None]
    return paint(scene, (1 - times) * mu[start] + times * mu[end])


start, end = chosen[0], chosen[2]
path = walk(scene, start, end, 9)
titles = [f"{i / 8:.0%}" for i in range(9)]
show.pictures(path, titles, columns=3, caption=f"From {looks[start]} to {looks[end]}, in eight equal steps of z.")


# %%
def done(path):
    """The share of its way that each pixel has gone in the middle of a path, and which pixels have a way to go."""
    way = path[-1] - path[0]  # (3, h, w)
    share = ((path[len(path) // 2] - path[0]) * way).sum(0) / way.square().sum(0).clamp(min=1e-3)
    return share, way.abs().mean(0) > 0.2


share, moves = done(path)
faded = 0.5 * (path[0] + path[-1])
show.pictures(
    [path[4], faded], ["half way in z", "half way in pixels"], columns=2, width=4.5, caption="Two kinds of half way."
)
reveal("09-halfway", "no")

# %%
tiles = [torch.where(moves, s, 0).clamp(0, 1) for s in (share, torch.full_like(share, 0.5))]
titles = ["half way in z", "half way in pixels"]
show.maps(
    tiles, titles, columns=2, diverging=False, caption="Share of its way that a pixel has gone (0 where it stays)."
)


# %%
def unevenness(seed):
    """The deviation over the pixels of the share of their way (in a fade: 0), for one mask and two looks."""
    dice = torch.Generator().manual_seed(seed)
    one = int(torch.randint(len(mu), (1,), generator=dice))
    others = [i for i in range(len(mu)) if looks[i] != looks[one]]
    two = others[int(torch.randint(len(others), (1,), generator=dice))]
    share, moves = done(walk((11 * seed + 3) % len(mu), one, two, 3))
    return float(share[moves].std())


def mean_unevenness(seed):
    return sum(unevenness(5 * seed + i) for i in range(5)) / 5


claim("09-halfway", "Half way in z, pixels have gone unequal shares of their way", mean_unevenness, at_least=0.1)

# %% [markdown]
# A fade lays two pictures over each other: every pixel goes half of its way. The walk in z goes through other streets
# instead. Some parts change early, others late, and the layout stands still.

# %% [markdown]
# ### Deep dive: straight line or arc?
#
# In many dimensions nearly all draws from N(0, 1) have about the same length. A straight line between two of them cuts
# through the inside, where no draw ever lies; an arc keeps the length. By hand: from (3, 0) to (0, 4), how long is the
# vector half way?

# %% tags=["nbval-check-output"]
from spade_edu.widgets.looks import between

a, b = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 4.0])
print(f"straight: {(0.5 * a + 0.5 * b).norm():.1f}   arc: {between(a, b, 0.5).norm():.1f}")

# %%
torch.manual_seed(2)
a, b = torch.randn(2, mu.shape[1])
times = torch.linspace(0, 1, 21)
lengths = {
    "straight line": [((1 - t) * a + t * b).norm() for t in times],
    "arc": [between(a, b, float(t)).norm() for t in times],
}
lengths = {name: torch.stack(values) for name, values in lengths.items()}
show.curves(lengths, x=times, xlabel="from a to b", ylabel="length of z", caption="Two draws from N(0, 1).")

# %% [markdown]
# The straight line sinks towards 0, the middle of all styles; the arc doesn't.

# %% [markdown]
# ## Can the style be read back?
#
# In the first figure you trusted your eyes. Now a test: paint masks in each style, and let two witnesses name the style
# of what was painted. One is the encoder, which was trained together with the generator, so it may be lenient. The
# other knows no network: it compares the picture's mean colour with that of the real pictures of each style.

# %%
ids = torch.tensor([names.index(look) if look in names else 0 for look in looks])
style_codes = torch.stack([mu[ids == k].mean(0) for k in range(len(names))])
style_colours = torch.stack([sample.image[ids == k].mean(dim=(0, 2, 3)) for k in range(len(names))])


@cache
def read_back(seed):
    """How often each style that was asked for (rows) was read as each style (columns), by two witnesses: ten masks."""
    scenes = torch.randperm(len(mu), generator=torch.Generator().manual_seed(seed))[:10].tolist()
    table = torch.zeros(2, len(names), len(names), dtype=torch.int)
    for number in scenes:
        images = paint(number, style_codes)
        with torch.no_grad():
            codes = encoder(images.to(lab.device))[0].cpu()
        for witness, (seen, known) in enumerate([(codes, style_codes), (images.mean(dim=(2, 3)), style_colours)]):
            table[witness, torch.arange(len(names)), torch.cdist(seen, known).argmin(dim=1)] += 1
    return table


# %%
confusion = read_back(0)
figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), sharey=True)
for ax, counts, title in zip(axes, confusion, ["read by the encoder", "read by the mean colour"]):
    ax.imshow(counts, cmap="viridis")
    show.write_numbers(ax, counts.numpy())
    ax.set_xticks(range(len(names)), names, rotation=30)
    ax.set(title=title, xlabel="style read back")
    ax.grid(False)
axes[0].set_yticks(range(len(names)), names)
axes[0].set_ylabel("style asked for")
show.finish(figure, "Ten masks in each row. On the diagonal, the style that was asked for was read back.")


# %%
def share_read(witness):
    def share(seed):
        table = read_back(seed)[witness]
        return float(table.trace() / table.sum())

    return share


if sample.style:
    claim("09-read", "The encoder reads the style that was asked for (by chance: 0.2)", share_read(0), at_least=0.6)
    claim("09-colour", "So does the mean colour (by chance: 0.2)", share_read(1), at_least=0.6)

# %% [markdown]
# Both read most styles rightly. The encoder is least sure of overcast. The mean colour is sure of dusk and night only:
# day, overcast and snow are all bright, and it takes one for the other.

# %% [markdown]
# ### Deep dive: what does a style cost?
#
# A style should not move the objects. The **judge**, a small segmenter that has learned Streets, names the class of
# every pixel. Compare its accuracy on pictures with their own style, with the style of another picture, and with draws
# from N(0, 1). Which is easiest to read?

# %%
from spade_edu.pretrained.judge import load_judge

judge = load_judge()


@cache
def accuracies(seed):
    """The judge's pixel accuracy on twelve scenes, in %, by where the code came from."""
    dice = torch.Generator().manual_seed(seed)
    pick = torch.randperm(len(mu), generator=dice)[:12]
    part = sample._replace(label=sample.label[pick], instance=sample.instance[pick], image=sample.image[pick])
    codes = {"own style": mu[pick], "another's": mu[pick.roll(1)]}
    codes["N(0, 1)"] = torch.randn(12, mu.shape[1], generator=dice)
    images = {n: generate(generator, part, lab.labels, lab.device, z=z).cpu() for n, z in codes.items()}
    targets = lab.labels.to_score_ids(part.label)
    with torch.no_grad():
        hit = {n: judge.logits(i).argmax(1) == targets for n, i in {"real": part.image, **images}.items()}
    return {name: 100 * float(h[targets != 255].float().mean()) for name, h in hit.items()}


# %%
runs = [accuracies(seed) for seed in range(4)]
means = {name: sum(run[name] for run in runs) / 4 for name in runs[0]}
show.bars(means, ylabel="pixel accuracy, %", caption="Pixels that the judge reads as the mask has them; 4 x 12 scenes.")


def cost_of_another(seed):
    found = accuracies(seed)
    return found["own style"] - found["another's"]


claim("09-cost", "Another picture's style costs the judge at most 3 points", cost_of_another, at_most=3)

# %% [markdown]
# Changing the style costs the judge a point or so: the mask, not the code, decides where things are. Draws from N(0, 1)
# were the easiest to read here, and vary less than codes of pictures do. Easy to read and varied are two different
# virtues, which is why the scores of stage 07 need a measure like diversity at their side.

# %% [markdown] tags=["core"] minutes=2
# ## Guided synthesis: edit the mask
#
# Now keep z and change the mask: houses become trees, and a bus stops in the middle of the road. New objects get their
# class's id as instance. Will only the edited pixels change? "yes" or "no"?

# %%
predict("09-edit", ...)
edited, objects = sample.label[scene].clone(), sample.instance[scene].clone()
edited[edited == lab.labels.id("building")] = lab.labels.id("vegetation")
h, w = lab.size
edited[h * 5 // 16 : h * 11 // 16, w * 3 // 8 : w * 5 // 8] = lab.labels.id("bus")
objects = torch.where(edited == sample.label[scene], objects, edited.int())
two_maps = torch.stack([sample.label[scene], edited])
segmaps = lab.labels.encode(two_maps, torch.stack([sample.instance[scene], objects])).to(lab.device)

# %% tags=["core"] minutes=3
z = mu[[start]].to(lab.device)
with torch.no_grad():
    before, after = (generator.eval()(segmap[None], z)[0].cpu() for segmap in segmaps)
tiles = [*lab.labels.colourise(two_maps).permute(0, 3, 1, 2) / 127.5 - 1, before, after]
titles = ["mask", "mask, edited", "painted", "painted, edited"]
show.pictures(tiles, titles, columns=2, width=4.5, caption="One z, two masks.")

# %% tags=["core"] minutes=2
change = (after - before).abs().mean(0)  # (3, h, w) -> (h, w)
touched = edited != sample.label[scene]
tiles, titles = [touched * change.max(), change], ["edited pixels", "change of the picture"]
show.maps(tiles, titles, columns=2, diverging=False, caption="Where the mask changed, and where the picture did.")
inside = float(change[touched].sum() / change.sum())
print(f"{touched.float().mean():.0%} of the pixels were edited; {inside:.0%} of the change lies in them.")
reveal("09-edit", "no")

# %% [markdown]
# Most of the change is where the mask changed; some leaks out. Through what? The convolutions look around, each block
# at a scale of its own. The control: put a bus into the mask that only **one** block sees, and look how far the change
# of the picture reaches.

# %%
BLOCKS = ["head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2", "up_3"]
REACH = [0, 4, 8, 16, 32]  # pixels


def paint_with(segmap, other, blocks):
    """Paint segmap, but let the named blocks see another one."""
    keep = [getattr(generator, b).register_forward_pre_hook(lambda m, args: (args[0], other)) for b in blocks]
    with torch.no_grad():
        image = generator.eval()(segmap, z)[0].cpu()
    for hook in keep:
        hook.remove()
    return image


def with_a_bus(number, top, left):
    """Segmap of a scene, the same with a bus at a place, and the place (h, w)."""
    label, objects, place = sample.label[[number]], sample.instance[[number]], torch.zeros(1, h, w, dtype=torch.bool)
    place[:, top : top + h // 4, left : left + w // 4] = True
    bus = torch.where(place, lab.labels.id("bus"), label), torch.where(place, lab.labels.id("bus"), objects)
    return *(lab.labels.encode(*pair).to(lab.device) for pair in [(label, objects), bus]), place[0]


# %%
@cache
def leak(seed, *blocks):
    """Mean change of the picture in rings around a bus that only some blocks see, at a place drawn by the seed."""
    dice = torch.Generator().manual_seed(seed)
    top, left = (int(torch.randint(n, (1,), generator=dice)) for n in (h // 2, w * 3 // 4))
    old, new, place = with_a_bus((11 * seed + 3) % len(mu), top, left)
    change = (paint_with(old, new, blocks) - paint_with(old, old, [])).abs().mean(0)
    near = [F.max_pool2d(place[None].float(), 2 * r + 1, 1, r)[0] > 0 for r in REACH]
    return [float(change[b & ~a].mean()) for a, b in zip(near, near[1:])]


groups = {"head_0 to up_0": BLOCKS[:4], "up_1": ["up_1"], "up_2": ["up_2"], "up_3, the finest": ["up_3"]}
figure, ax = plt.subplots(figsize=(7, 3.2))
for (name, blocks), marker in zip(groups.items(), "os^D"):
    rings = torch.tensor([leak(seed, *blocks) for seed in range(5)]).mean(0).clamp(min=1e-6)
    ax.plot(range(4), rings, marker=marker, label=name)
ax.set(yscale="log", ylabel="change of the picture", xlabel="pixels away from the bus")
ax.set_xticks(range(4), [f"{a + 1} to {b}" for a, b in zip(REACH, REACH[1:])])
ax.legend(title="sees the bus", loc="center left", bbox_to_anchor=(1, 0.5))
show.finish(figure, "Mean over five masks. Values below 1e-6 are drawn at 1e-6.")


# %%
def coarse_over_fine(ring):
    def ratio(seed):
        places = range(5 * seed, 5 * seed + 5)
        coarse, fine = (sum(leak(p, *b)[ring] for p in places) for b in (BLOCKS[:4], BLOCKS[4:]))
        return coarse / (fine + 1e-9)

    return ratio


# %%
claim(
    "09-far", "Beyond 16 pixels the blocks up to up_0 change more than the finer ones", coarse_over_fine(3), at_least=3
)
claim("09-near", "Within 4 pixels they change less", coarse_over_fine(0), at_most=0.7)

# %% [markdown]
# So every block leaks, each as far as its convolutions look. Near the edit the finer blocks change more; far from it
# only the coarse ones reach. The norm can't carry it here: in evaluation its statistics are constants. (In training
# they aren't: there every pixel moves the mean that all others are normalised by.)

# %% [markdown]
# ## Your turn: paint
#
# The same with a mouse. In a live notebook (JupyterLab, Colab, VS Code) the next cell is an editor: pick a class,
# paint, and the picture follows; below it the same mask in each mood. `?` shows the keys. Where widgets can't run, such
# as on GitHub, you see its still picture.

# %% tags=["core"] minutes=4
from spade_edu.widgets import Painter

painter = Painter(
    generator, lab.labels, sample.label[scene], instance=sample.instance[scene], scenes=lab.val,
    styles=dict(zip(names, style_codes[:, None])), encoder=encoder,
)  # fmt: skip
painter

# %% [markdown]
# What you paint stays in Python: `painter.label` is the map, `painter.image` the picture, and `painter.save("map.png")`
# writes the ids as a file that the data readers of stage 00 take.

# %%
painter.save("map.png")
largest_three = list(painter.counts().items())[:3]
print("Most of your map:", ", ".join(f"{name} ({count} pixels)" for name, count in largest_three))
assert sum(painter.counts().values()) == painter.label.numel()

# %% [markdown]
# **A grid of looks.** Click what you like, ask for more like it, walk between two that you kept. A look is kept as a
# recipe (its seed), so that you can make it again. Below, the same by code: keep two tiles, as two clicks would.

# %%
from spade_edu.widgets import Sampler

sampler = Sampler(generator, sample.label[scene], lab.labels, sample.instance[scene])
for tile in [1, 4]:
    sampler.core.answer({"do": "keep", "tile": tile}, [])
sampler

# %% tags=["nbval-check-output"]
print("kept:", sampler.kept)
print("their codes:", tuple(sampler.codes().shape))

# %% [markdown]
# **A style board.** Reference pictures, each with the mask painted in its style and a slider for the strength. With
# your own photographs (there is a button) expect little: this encoder knows rendered streets only.

# %%
from spade_edu.widgets import StyleBoard

references = [sample.image[i] for i in chosen[:3]]
board = StyleBoard(generator, encoder, sample.label[scene], lab.labels, references, instance=sample.instance[scene])
board.core.answer({"do": "strength", "card": 1, "strength": 0.5}, [])
board

# %% [markdown]
# ## Summary
#
# - The mask fixes what is where; z fixes what the mask leaves open. Without z there is one picture for each mask.
# - The encoder turns a picture into a Gaussian; `z = mu + sigma * epsilon` draws from it so that gradients pass.
# - The KL term pulls codes towards N(0, 1); it is a sum over the batch, so its weight depends on the batch size.
# - Too small a weight: draws from N(0, 1) miss the styles. Too large: z has no effect.
# - Diversity is a distance between pictures of one mask; it says nothing about their quality.
# - An edit of the mask also changes pixels around it, as far as each block's convolutions look.

# %% [markdown]
# ## Questions
#
# 1. Your network paints the same picture for every z. Name two possible causes.
#
# <details><summary>Answer</summary>The KL weight is too large (posterior collapse), or there is no encoder in
# training, so z never told the generator anything. (Or z isn't used at all: z_dim None.)</details>
#
# 2. You go from 1 to 8 pictures on each GPU. What happens to the KL term, and what would you change?
#
# <details><summary>Answer</summary>It is a sum over the batch, so it grows eightfold against the other losses, which
# are means. Divide its weight by eight to keep the balance.</details>
#
# 3. Why does style transfer keep the cars of the mask, although the encoder sees a whole picture with other cars?
#
# <details><summary>Answer</summary>The code is short and the KL term makes every bit of it expensive. What the mask
# already says for nothing isn't worth a place in z.</details>

# %% [markdown]
# ## Next
#
# **Exercise:** [09_multimodal](../exercises/09_multimodal.ipynb): the KL divergence, a style for every object,
# diversity and style transfer, written by you; and the style encoder for your file.
#
# **Stage 10** goes back to the paper and checks the whole package against it, number by number.
