# %% [markdown] tags=["core"]
# # 09 · Multimodal and guided synthesis
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/spade_edu/blob/main/notebooks/09_multimodal.ipynb)
#
# You will be able to say where SPADE's style code z comes from, compute its KL divergence by hand, and steer a
# generator by both of its inputs: the mask says **what and where**, the code says **how it looks**.
#
# **Time:** runs in about 25 seconds on two CPU cores (measured); the core path takes a class 45 minutes. On a T4 less
# (estimated, not measured: `SPADE_EDU_PROFILE=gpu python tools/notebooks.py test 09` measures it).
# **Builds on:** stage 05 (the generator) and stage 06 (its losses).

# %% tags=["core"]
# Safe to run twice; keeps the installed torch and numpy. SPADE_EDU_PROFILE (cpu or gpu) sets the size.
from importlib.util import find_spec

if find_spec("spade_edu") is None:
    get_ipython().run_line_magic("pip", "install --quiet git+https://github.com/OWNER/spade_edu")
from spade_edu import course
from spade_edu.course import plotting as show

lab = course.start("09")

# %% [markdown] tags=["core"]
# ## What you are about to build
#
# A label map doesn't say whether it is noon or midnight. So one map should have many pictures. Below: masks down the
# side, pictures along the top, and in each square the mask's street in the picture's style. Before you read on: what
# of a picture went along, and what stayed behind?

# %% tags=["core"]
import torch
from spade_edu.sampling import generate, spread

networks, source = lab.networks("spade")
generator, encoder = networks.generator, networks.encoder
sample = spread(lab.val, 60)  # 60 pictures with their masks
looks = sample.style or [f"brightness {level:.0%}" for level in sample.image.mean((1, 2, 3)).div(2).add(0.5)]
names = sorted(set(looks))[:5]
chosen = [looks.index(name) for name in names]  # one picture of each look
with torch.no_grad():
    mu, logvar = (t.cpu() for t in encoder(sample.image.to(lab.device)))  # (60, 3, h, w) -> twice (60, z_dim)


# %% tags=["core"]
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

# %% [markdown] tags=["core"]
# Light, sky and colours went along; houses and cars stayed with their mask. This is the arrangement of the paper's
# Figure 1, on rendered streets. Three things make it work, and you build each of them now: an **encoder** that turns a
# picture into a short code, a **KL term** that keeps codes near N(0, 1), and a generator that starts from the code.

# %% tags=["core", "nbval-check-output"]
print("picture", tuple(sample.image.shape[1:]), "->", sample.image[0].numel(), "numbers")
print("style code", tuple(mu.shape[1:]), "->", mu[0].numel(), "numbers")
first = generator.first_map(
    torch.zeros(1, generator.label_channels, *lab.size, device=lab.device), mu[:1].to(lab.device)
)
print("the generator's first map", tuple(first.shape))

# %% [markdown] tags=["core"]
# Sixteen numbers for a whole picture: too few for a layout, enough for a mood. (The paper takes 256.) A linear layer
# makes the generator's first map of them; the mask enters afterwards, in every SPADE layer.

# %% [markdown] tags=["core"]
# ## Without an encoder: one mask, one picture
#
# The released SPADE models have no z at all: their first map is the downsampled mask. Before you run it: how many
# different pictures can such a generator paint of one mask?

# %% tags=["core", "nbval-check-output"]
plain = lab.trainer(style=False).generator.eval()
street = lab.labels.encode(sample.label[:1], sample.instance[:1]).to(lab.device)  # (1, 36, h, w)
with torch.no_grad():
    outputs = [plain(street, torch.randn(1, 16, device=lab.device)) for _ in range(4)]
print("four calls with four codes, different pictures:", len({o.cpu().numpy().tobytes() for o in outputs}))

# %% [markdown] tags=["core"]
# Exactly one: z is ignored, and nothing else is random. Could you just feed noise instead? Try it on the smallest
# world there is: one class, one pixel, five moods from dark to bright. A generator that sees noise in training can't
# know which mood it is asked for.

# %% tags=["core"]
from spade_edu.encoder import reparameterise
from spade_edu.losses import kl_divergence
from torch import nn

greys = torch.tensor([-0.8, -0.4, 0.0, 0.4, 0.8])  # the five moods of our pixel


def small(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 16), nn.Tanh(), nn.Linear(16, outputs))


# %% tags=["core"]
def fit(kind, weight=0.03, steps=400):
    """Train a one-pixel generator whose z is nothing, noise, or a draw from what an encoder says of the pixel."""
    torch.manual_seed(0)
    encode, decode, x = small(1, 2), small(1, 1), greys.repeat(8)[:, None]  # x (40, 1)
    optimizer = torch.optim.Adam([*encode.parameters(), *decode.parameters()], lr=0.02)
    for _ in range(steps):
        m, v = encode(x).chunk(2, dim=1)
        z = {"nothing": 0 * x, "noise": torch.randn_like(x), "encoder": reparameterise(m, v)}[kind]
        loss = (decode(z) - x).square().mean() + weight * kl_divergence(m, v) / len(x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return encode, decode


# %% [markdown] tags=["core"]
# Before you run it: five moods go in. What comes out with nothing, with noise, and with an encoder?

# %% tags=["core"]
trained = {kind: fit(kind) for kind in ["nothing", "noise", "encoder"]}
torch.manual_seed(1)
outputs = {"the five moods": greys}
for kind, (encode, decode) in trained.items():
    codes = {"nothing": torch.zeros(5, 1), "noise": torch.randn(5, 1), "encoder": encode(greys[:, None])[:, :1]}[kind]
    outputs[f"z from {kind}"] = decode(codes).detach()[:, 0].mul(10).round().div(10) + 0.0
show.maps(
    [v[None] for v in outputs.values()],
    list(outputs),
    columns=2,
    numbers=True,
    limit=1,
    caption="Nothing and noise give the average of all moods. Only the encoder's code brings them back.",
)
assert outputs["z from noise"].abs().max() <= 0.2 < 0.6 <= outputs["z from encoder"].abs().max()

# %% [markdown] tags=["core"]
# Nothing in the loss rewards a use for noise: whatever the noise says, the best guess is the average. A real GAN has an
# adversarial loss too, but SPADE's feature matching and perceptual losses compare with *the* real picture and pull the
# same way. With an encoder, z carries what the mask leaves open.

# %% [markdown] tags=["core"]
# ## The encoder
#
# Paper, Figure 14: convolutions of stride 2 with instance norm, then two linear layers, one for the mean `mu` and one
# for the logarithm of the variance. The paper's picture has 256 x 256 pixels and six convolutions; ours is resized to
# 64 x 64 and has four. Before you run it: what sizes do you expect?

# %% tags=["core", "nbval-check-output"]
from spade_edu.encoder import StyleEncoder

for mine in [StyleEncoder(), StyleEncoder(nef=16, z_dim=16, image_size=64)]:
    x = torch.zeros(1, 3, mine.image_size, mine.image_size)
    shapes = [tuple(x.shape[1:])]
    for layer in mine.layers:
        x = layer(x)
        shapes.append(tuple(x.shape[1:]))
    print(" -> ".join(f"{c}x{h}x{w}" for c, h, w in shapes), "-> 2 x", mine.z_dim)

# %% tags=["core", "nbval-check-output"]
parts = {
    "convolutions": sum(p.numel() for p in StyleEncoder().layers.parameters()),
    "linear layers": 2 * (8192 * 256 + 256),
}
print(f"paper's size: {parts['convolutions']:,} + {parts['linear layers']:,} = {sum(parts.values()):,} parameters")
assert sum(parts.values()) == sum(p.numel() for p in StyleEncoder().parameters())

# %% [markdown] tags=["core"]
# The official encoder has these 10,463,424 parameters too. Now look at what ours says of three pictures: sixteen means,
# and around each a standard deviation. Together they are a Gaussian, written q(z | picture).

# %% tags=["core"]
import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 3, figsize=(10, 2.6), sharey=True)
for ax, i in zip(axes, chosen):
    ax.errorbar(range(mu.shape[1]), mu[i], yerr=(logvar[i] / 2).exp(), fmt="o", markersize=4, capsize=2)
    ax.axhline(0, color="#888888", linewidth=0.8)
    ax.set(title=looks[i], xlabel="dimension of z", xticks=range(0, mu.shape[1], 5))
axes[0].set_ylabel("mu, with one std")
show.finish(figure, "Each picture is a Gaussian over z. Where the bars are long, the encoder leaves the value open.")

# %% [markdown] tags=["core"]
# ## Drawing so that gradients pass
#
# Training draws z from that Gaussian. A draw has no gradient, so it is written as **noise from outside, scaled and
# shifted**:
#
# $$z = \mu + \sigma\,\varepsilon, \qquad \sigma = e^{\text{logvar}/2}, \quad \varepsilon \sim N(0, 1)$$
#
# By hand: mu 3, logvar ln 4. What is sigma? If epsilon is 1.5, what is z, and dz/dmu?

# %% tags=["core", "nbval-check-output"]
m = torch.tensor([[3.0]], requires_grad=True)
v = torch.tensor([[4.0]]).log().requires_grad_()
torch.manual_seed(0)
epsilon = torch.randn(1, 1)
torch.manual_seed(0)
z = reparameterise(m, v)  # the same epsilon inside
z.sum().backward()
torch.testing.assert_close(z, 3 + 2 * epsilon)
torch.testing.assert_close(v.grad, epsilon)  # dz/dlogvar = sigma/2 epsilon
print("epsilon 1.5 gives z =", 3 + 2 * 1.5, "and dz/dmu =", m.grad.item())

# %% tags=["core"]
torch.manual_seed(0)
draws = reparameterise(torch.full((5000, 1), 3.0), torch.full((5000, 1), 4.0).log()).flatten()
grid = torch.linspace(-5, 11, 200)
figure, ax = plt.subplots(figsize=(7, 2.8))
ax.hist(draws, bins=60, density=True, color="#56B4E9", label="5000 draws")
ax.plot(grid, torch.exp(-((grid - 3) ** 2) / 8) / (2 * (2 * torch.pi) ** 0.5), color="#222222", label="N(3, 2²)")
ax.set(xlabel="z", ylabel="density")
ax.legend()
show.finish(figure, "Shifted and scaled noise is a draw from the Gaussian we asked for.")
assert abs(draws.mean() - 3) < 0.15 and abs(draws.std() - 2) < 0.1

# %% [markdown] tags=["core"]
# ## KL divergence by hand
#
# To paint without any picture, we want to draw z from N(0, 1). So codes in training should look like N(0, 1) as well.
# How far a Gaussian is from it (paper, section 3 and appendix A):
#
# $$D_{KL} = -\tfrac12 \sum \left(1 + \text{logvar} - \mu^2 - e^{\text{logvar}}\right)$$
#
# Before you run it: compute it for (mu 0, std 1), (mu 1, std 1) and (mu 0, std 2).

# %% tags=["core", "nbval-check-output"]
import math

for m, std in [(0, 1), (1, 1), (0, 2), (3, 0.5)]:
    by_hand = 0.5 * (m**2 + std**2 - 1 - math.log(std**2))
    by_package = kl_divergence(torch.tensor([[float(m)]]), torch.tensor([[math.log(std**2)]]))
    assert abs(by_hand - float(by_package)) < 1e-5
    print(f"mu {m}, std {std}: {by_hand:.3f} nats")

# %% [markdown] tags=["core"]
# Mind the word **sum**. The official code adds over all dimensions *and over the batch*, while every other loss is a
# mean. Before you run it: the same two pictures, in a batch of two and a batch of eight. What happens to the term?

# %% tags=["core", "nbval-check-output"]
one = torch.ones(1, 16), torch.zeros(1, 16)  # sixteen dimensions at 0.5 nats
for batch in [1, 2, 8]:
    kl = kl_divergence(one[0].expand(batch, -1), one[1].expand(batch, -1))
    print(f"batch {batch}: {kl:.0f} nats, times 0.05 = {0.05 * kl:.1f}")

# %% [markdown] tags=["core"]
# So the published weight of 0.05 belongs to the batch on one GPU. Change the batch and you change the objective.
#
# What does the weight do? Back to the pixel. Before you run it: what happens to the five Gaussians when the weight is
# tiny, and when it is huge?

# %% tags=["core"]
fits = {0.001: fit("encoder", 0.001), 0.03: trained["encoder"], 1.0: fit("encoder", 1.0)}
grid = torch.linspace(-3.5, 3.5, 300)
figure, axes = plt.subplots(2, 3, figsize=(10, 4.2), sharex=True, sharey="row", height_ratios=(3, 2))
for (weight, (encode, decode)), (top, bottom) in zip(fits.items(), axes.T):
    m, v = encode(greys[:, None]).detach().chunk(2, dim=1)
    for grey, density in zip(greys, torch.distributions.Normal(m, (v / 2).exp()).log_prob(grid).exp()):
        top.fill_between(grid, density, color=plt.cm.plasma(0.1 + 0.45 * float(grey + 0.8)), alpha=0.7)
    top.plot(grid, torch.exp(-(grid**2) / 2) / (2 * torch.pi) ** 0.5, "--", color="#222222", label="N(0, 1)")
    top.set(title=f"KL weight {weight:g}", ylim=(0, 3))
    bottom.plot(grid, decode(grid[:, None]).detach())
    bottom.set_xlabel("z")
axes[0, 0].set_ylabel("q(z | mood)")
axes[1, 0].set_ylabel("painted grey")
axes[0, 0].legend()
show.finish(
    figure, "Left: spikes with gaps. Middle: five hills that fill N(0, 1). Right: all on N(0, 1), and z is dead."
)

# %% tags=["core"]
reach = {w: float(decode(torch.tensor([[-1.5], [1.5]])).diff(dim=0).abs().detach()) for w, (_, decode) in fits.items()}
show.bars(
    {f"weight {w:g}": r for w, r in reach.items()},
    ylabel="change of grey, z from -1.5 to 1.5",
    caption="With too much KL the generator ignores z: posterior collapse.",
)
assert reach[1.0] < 0.2 < 1 < reach[0.03]

# %% [markdown] tags=["core"]
# A compromise, then: enough for a smooth code that N(0, 1) covers, not so much that it falls silent. The stored model
# was trained for minutes, and with the published 0.05 its z stayed silent; it uses 0.01. Keep that in mind: it has a
# price, and you see it next.

# %% [markdown] tags=["core"]
# ## A map of the codes
#
# Sixteen dimensions can't be plotted, so project the 60 means on the two directions in which they vary most (PCA).
# Nobody ever told the encoder the names of the styles. Before you run it: will pictures of one style lie together?

# %% tags=["core"]
centre = mu.mean(0)
_, strength, directions = torch.linalg.svd(mu - centre, full_matrices=False)
plane = (mu - centre) @ directions[:2].T  # (60, 16) -> (60, 2)
share = strength[:2].square().sum() / strength.square().sum()
torch.manual_seed(0)
drawn = (torch.randn(60, mu.shape[1]) - centre) @ directions[:2].T

# %% tags=["core"]
figure, ax = plt.subplots(figsize=(7.5, 4.5))
ax.scatter(*drawn.T, s=14, color="#bbbbbb", label="draws from N(0, 1)")
for name, colour in zip(names, ["#E69F00", "#D55E00", "#0B1D51", "#009E73", "#56B4E9"]):
    points = plane[[look == name for look in looks]]
    ax.scatter(*points.T, s=28, color=colour, label=name)
ax.set(xlabel="first principal direction", ylabel="second", title=f"{share:.0%} of the variance of mu")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
show.finish(
    figure, "Styles lie in regions of their own; overcast is between the others, and so are most draws from N(0, 1)."
)

# %% [markdown] tags=["core"]
# Day, dusk, night and snow have found places of their own, from pictures alone. And there is the price of the small KL
# weight: the cloud of codes is **wider** than N(0, 1), so a draw rarely reaches its outskirts.
#
# How well do names and places agree? Give each picture the style with the nearest mean of the *other* pictures, in all
# sixteen dimensions.

# %% tags=["core"]
ids = torch.tensor([names.index(look) if look in names else 0 for look in looks])
right = 0
for i in range(len(mu)):
    others = torch.arange(len(mu)) != i
    means = torch.stack([mu[others & (ids == k)].mean(0) if (ids[others] == k).any() else mu[i] + 99 for k in range(5)])
    right += int((means - mu[i]).norm(dim=1).argmin() == ids[i])
spread_of_codes = mu.std(0).mean()
print(f"{right} of {len(mu)} pictures lie nearest to their own style; guessing gets 12.")
print(f"Codes of real pictures spread by {spread_of_codes:.2f} a dimension; N(0, 1) by 1.")
assert sample.style is None or (right > 40 and spread_of_codes > 1)

# %% [markdown] tags=["core"]
# ## One mask, many draws (Figure 9)
#
# Now paint one mask twelve times: four draws from N(0, 1), four draws from the Gaussian of **one** picture, and the
# codes of four pictures. Before you run it: which row will vary most, and which least?

# %% tags=["core"]
torch.manual_seed(0)
scene, picture = chosen[0], chosen[2]
rows = {
    "N(0, 1)": torch.randn(4, mu.shape[1]),
    "one picture's q": reparameterise(mu[picture].expand(4, -1), logvar[picture].expand(4, -1)),
    "four pictures": mu[chosen[1:5]],
}
painted = {name: paint(scene, codes) for name, codes in rows.items()}
titles = [f"{name}, {i + 1}" for name in rows for i in range(4)]
show.pictures(
    torch.cat(list(painted.values())),
    titles,
    caption="N(0, 1) gives mild variations, one q gives one mood, pictures differ.",
)

# %% [markdown] tags=["core"]
# ## Diversity, measured
#
# The eye agrees easily, so measure. Take the feature maps of a network, make every feature vector one long, and
# average the squared distance over places and pairs of pictures (the idea of LPIPS without learned weights). First a
# distance by hand: vectors (2, 0) and (0, 3), and (2, 0) and (5, 0). What do you expect?

# %% tags=["core", "nbval-check-output"]
from spade_edu.evaluation.diversity import diversity, perceptual_space

nowhere = torch.zeros(1, 1, dtype=torch.long)
for a, b in [((2.0, 0.0), (0.0, 3.0)), ((2.0, 0.0), (5.0, 0.0)), ((2.0, 0.0), (-1.0, 0.0))]:
    features = torch.tensor([a, b]).view(2, 2, 1, 1)  # two pictures of one pixel, with two features
    distance = diversity(torch.zeros(2, 3, 1, 1), nowhere, lambda _, f=features: [f], 1).mean
    print(a, b, "distance", round(distance, 3))

# %% [markdown] tags=["core"]
# Length doesn't count, direction does: 2 for a right angle, 0 for the same direction, 4 for opposite ones. Now the
# pictures. Two yardsticks come along: one code painted four times, and four *real* pictures of the mask, where the data
# can render them.

# %% tags=["core"]
space = perceptual_space(torch.device("cpu"))
painted = {"same code": paint(scene, mu[picture].expand(4, -1)), **painted}
if lab.config.data == "streets":
    from spade_edu.data import Streets

    number = scene * len(lab.val) // len(looks)  # of the scene in the data set
    height, width = lab.size
    renders = [Streets(number + 1, split="val", height=height, width=width, style=s)[number] for s in names[1:5]]
    assert all(torch.equal(r.label, sample.label[scene]) for r in renders)
    painted["real renders"] = torch.stack([r.image for r in renders])

# %% tags=["core"]
label = sample.label[scene]
measured = {name: diversity(images, label, space.maps, lab.labels.num_ids) for name, images in painted.items()}
values = {name: m.mean for name, m in measured.items()}
show.bars(values, ylabel="diversity", caption=f"Features: {space.name}. Four pictures of one mask in each bar.")
assert values["same code"] == 0
assert values["one picture's q"] < values["four pictures"] and values["N(0, 1)"] < values["four pictures"]

# %% [markdown] tags=["core"]
# So draws from N(0, 1) give less variety than this model has in it, and codes of pictures give at least as much as the
# renders have. Is more diversity always better? No: noise on the pixels would score high as well. Read it beside a
# picture or a quality score.

# %% [markdown]
# ### Deep dive: which classes does z repaint?
#
# The same distance can be averaged over the pixels of one class. Before you run it: sky or poles, which depends more on
# the hour and the weather?

# %%
by_class = {name: measured[name].by_class for name in ["four pictures", "N(0, 1)"]}
ids_here = label.unique(return_counts=True)
largest = ids_here[0][ids_here[1].argsort(descending=True)[:8]]
figure, ax = plt.subplots(figsize=(8, 3))
for shift, (name, values_of) in zip((-0.2, 0.2), by_class.items()):
    ax.bar(torch.arange(len(largest)) + shift, values_of[largest], width=0.4, label=name)
ax.set_xticks(range(len(largest)), [lab.labels.names[i] for i in largest], rotation=20)
ax.set(ylabel="diversity")
ax.legend()
show.finish(figure, "Diversity by class, for the mask's eight largest: every class takes part, the sky most.")

# %% [markdown] tags=["core"]
# ## From one style to another
#
# Walk in a straight line from the code of one picture to that of another. Before you run it: will it look like two
# photographs laid over each other, or like a street whose light changes?

# %% tags=["core"]
start, end = mu[chosen[0]], mu[chosen[2]]
steps = torch.linspace(0, 1, 8)[:, None]
walk = paint(scene, (1 - steps) * start + steps * end)
show.pictures(
    walk,
    [f"{t:.0%}" for t in steps[:, 0].tolist()],
    caption=f"From {looks[chosen[0]]} to {looks[chosen[2]]}: the layout stands still, the light moves.",
)

# %% tags=["core"]
half = float(steps[2])
laid_over = (1 - half) * walk[0] + half * walk[-1]
titles = [f"{half:.0%} of the way in z", f"{half:.0%} of the way in pixels"]
show.pictures(
    [walk[2], laid_over],
    titles,
    columns=2,
    width=4.5,
    caption="Left, the sky already turns to night. Right, the average of two pictures: day, dimmed everywhere.",
)

# %% tags=["core"]
jumps = [diversity(walk[[i, i + 1]], label, space.maps, lab.labels.num_ids).mean for i in range(7)]
whole = diversity(walk[[0, -1]], label, space.maps, lab.labels.num_ids).mean
show.curves(
    {"step": jumps, "whole way": [whole] * 7},
    xlabel="step",
    ylabel="distance",
    caption="No single step is as large as the whole way.",
)
assert max(jumps) < whole

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
show.curves(
    {name: torch.stack(values) for name, values in lengths.items()},
    x=times,
    xlabel="way from a to b",
    ylabel="length of z",
    caption="Two draws from N(0, 1). The line sinks towards 0, the middle of all styles.",
)

# %% [markdown] tags=["core"]
# ## Does the style arrive?
#
# In the first figure you trusted your eyes. A test: paint ten masks in each style, and send the results through the
# encoder **again**. Does it read the style that was asked for? (A weak judge, since it was trained together with the
# generator; but it never saw these pairs of mask and style.)

# %% tags=["core"]
means = torch.stack([mu[ids == k].mean(0) for k in range(len(names))])
confusion = torch.zeros(len(names), len(names), dtype=torch.int)
for scene_number in range(0, 60, 6):
    with torch.no_grad():
        again, _ = encoder(paint(scene_number, means).to(lab.device))
    read = torch.cdist(again.cpu(), means).argmin(dim=1)
    confusion[torch.arange(len(names)), read] += 1

# %% tags=["core"]
figure, ax = plt.subplots(figsize=(4.6, 3.6))
ax.imshow(confusion, cmap="viridis")
show.write_numbers(ax, confusion.numpy())
ax.set_xticks(range(len(names)), names, rotation=30)
ax.set_yticks(range(len(names)), names)
ax.set(xlabel="style read back", ylabel="style asked for")
ax.grid(False)
show.finish(figure, "Ten masks a row. On the diagonal: the style arrived.")
arrived = int(confusion.trace())
print(
    f"{arrived} of {int(confusion.sum())} styles arrived; {names[int(confusion.diagonal().argmin())]} is the hardest."
)
assert sample.style is None or arrived >= 35

# %% [markdown]
# ### Deep dive: what does a style cost?
#
# A style should not move the objects. The Streets judge, a small segmenter, reads the class of every pixel; compare its
# accuracy on pictures with their own style, with styles of other pictures, and with draws from N(0, 1). Before you run
# it: which is easiest to read?

# %%
from spade_edu.pretrained.judge import load_judge

judge = load_judge()
scenes = torch.arange(0, 60, 5)
part = sample._replace(label=sample.label[scenes], instance=sample.instance[scenes], image=sample.image[scenes])
targets = lab.labels.to_score_ids(part.label)
torch.manual_seed(0)
codes = {"own style": mu[scenes], "another's": mu[scenes.roll(1)], "N(0, 1)": torch.randn(12, mu.shape[1])}
images = {name: generate(generator, part, lab.labels, lab.device, z=z).cpu() for name, z in codes.items()}

# %%
accuracy = {}
with torch.no_grad():
    for name, image in {"real": part.image, **images}.items():
        hit = judge.logits(image).argmax(dim=1) == targets
        accuracy[name] = 100 * float(hit[targets != 255].float().mean())
show.bars(
    accuracy,
    ylabel="pixel accuracy in %",
    caption="Share of pixels that the judge reads as the mask has them, in twelve scenes.",
)

# %% [markdown]
# Changing the style hardly costs accuracy: the mask, not the code, decides where things are. The mild pictures of
# N(0, 1) are read at least as well as the others. Easy to read and varied are two different virtues, which is why the
# scores of stage 07 need a measure like diversity at their side.

# %% [markdown] tags=["core"]
# ## Guided synthesis: edit the mask
#
# The other handle. Keep z and change the map: houses become trees, and a bus stops in the middle of the road. New
# objects get their class's id as instance. Before you run it: will only the edited pixels change?

# %% tags=["core"]
edited, objects = sample.label[scene].clone(), sample.instance[scene].clone()
edited[edited == lab.labels.id("building")] = lab.labels.id("vegetation")
h, w = lab.size
edited[h * 5 // 16 : h * 11 // 16, w * 3 // 8 : w * 5 // 8] = lab.labels.id("bus")
objects = torch.where(edited == sample.label[scene], objects, edited.int())
pair = sample._replace(
    label=torch.stack([sample.label[scene], edited]), instance=torch.stack([sample.instance[scene], objects])
)

# %% tags=["core"]
pair = pair._replace(image=sample.image[:2])
before, after = generate(generator, pair, lab.labels, lab.device, z=mu[[chosen[0]] * 2]).cpu()
tiles = [*lab.labels.colourise(pair.label).permute(0, 3, 1, 2) / 127.5 - 1, before, after]
show.pictures(
    tiles, ["mask", "mask, edited", "painted", "painted, edited"], columns=2, width=4.5, caption="Same z, another map."
)

# %% tags=["core"]
change = (after - before).abs().mean(0)  # (3, h, w) -> (h, w)
touched = edited != sample.label[scene]
show.maps([touched.float(), change], ["edited pixels", "change of the picture"], columns=2, diverging=False, caption=
          "Most of the change is where the map changed; a little leaks out.")  # fmt: skip
share_inside = float(change[touched].sum() / change.sum())
print(f"{touched.float().mean():.0%} of the pixels were edited; {share_inside:.0%} of the change lies in them.")
assert share_inside > float(touched.float().mean())

# %% [markdown] tags=["core"]
# The change leaks because the convolutions look around, most of all in the coarse blocks, where one pixel is
# a quarter of the picture's width at first. Not through the norm: in evaluation mode its statistics are constants.

# %% [markdown] tags=["core"]
# ## Your turn: paint
#
# The same with a mouse. In a live notebook (JupyterLab, Colab, VS Code) the next cell is an editor: pick a class,
# paint, and the picture follows. Where widgets can't run, such as on GitHub, you see its still picture.

# %% tags=["core"]
from spade_edu.widgets import Painter

painter = Painter(generator, lab.labels, sample.label[scene], instance=sample.instance[scene], scenes=lab.val)
painter

# %% [markdown] tags=["core"]
# What you paint stays in Python: `painter.label` is the map, `painter.image` the picture, and `painter.save("map.png")`
# writes the ids as a file that the data readers of stage 00 take.

# %% tags=["core"]
painter.save("map.png")
largest_three = list(painter.counts().items())[:3]
print("Most of your map:", ", ".join(f"{name} ({count} pixels)" for name, count in largest_three))
assert sum(painter.counts().values()) == painter.label.numel()

# %% [markdown] tags=["core"]
# **A grid of looks.** Click what you like, ask for more like it, walk between two that you kept. A look is kept as a
# recipe (its seed), so that you can make it again. Below, the same by code: keep two tiles, as two clicks would.

# %% tags=["core"]
from spade_edu.widgets import Sampler

sampler = Sampler(generator, sample.label[scene], lab.labels, sample.instance[scene])
for tile in [1, 4]:
    sampler.core.answer({"do": "keep", "tile": tile}, [])
sampler

# %% tags=["core", "nbval-check-output"]
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

# %% [markdown] tags=["core"]
# ## Summary
#
# - The mask fixes what is where; z fixes what the mask leaves open. Without z there is one picture a mask.
# - The encoder turns a picture into a Gaussian; `z = mu + sigma * epsilon` draws from it so that gradients pass.
# - The KL term pulls codes towards N(0, 1); it is a sum over the batch, so its weight depends on the batch size.
# - Too small a weight: draws from N(0, 1) miss the styles. Too large: z falls silent.
# - Diversity is a distance between pictures of one mask; it says nothing of their quality.

# %% [markdown] tags=["core"]
# ## Questions
#
# 1. Your model paints the same picture for every z. Name two possible causes.
#
# <details><summary>Answer</summary>The KL weight is too large (posterior collapse), or there is no encoder in
# training, so z never told the generator anything. (Or z isn't used at all: z_dim None.)</details>
#
# 2. You go from 1 to 8 pictures a GPU. What happens to the KL term, and what would you change?
#
# <details><summary>Answer</summary>It is a sum over the batch, so it grows eightfold against the other losses, which
# are means. Divide its weight by eight to keep the balance.</details>
#
# 3. Why does style transfer keep the cars of the mask, although the encoder sees a whole picture with other cars?
#
# <details><summary>Answer</summary>The code is short and the KL term makes every bit of it expensive. What the mask
# already says for nothing isn't worth a place in z.</details>

# %% [markdown] tags=["core"]
# ## Next
#
# **Exercise:** [09_multimodal](../exercises/09_multimodal.ipynb): the KL divergence, a style for every object,
# diversity and style transfer, written by you; and the style encoder for your file.
#
# **Stage 10** goes back to the paper and checks the whole package against it, number by number.
