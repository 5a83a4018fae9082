# %% [markdown] tags=["core"]
# # 06 · GAN training
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/spade_edu/blob/main/notebooks/06_gan_training.ipynb)
#
# Afterwards you can write one training step of SPADE by hand, read its loss curves without fooling yourself, and find
# out by small tests what is wrong with a training that went wrong.
#
# **Time:** runs in about 42 seconds on two CPU cores (measured); the core path is planned for 45 minutes of a class. On
# a T4 about as long (estimated, not measured: `SPADE_EDU_PROFILE=gpu python tools/notebooks.py test 06` measures it).
#
# **Builds on:** stages 02 (discriminator, feature matching) and 05 (generator).

# %% tags=["core"]
# Safe to run twice; keeps the installed torch and numpy. SPADE_EDU_PROFILE (cpu or gpu) sets the size.
from importlib.util import find_spec

if find_spec("spade_edu") is None:
    get_ipython().run_line_magic("pip", "install --quiet git+https://github.com/OWNER/spade_edu")
from spade_edu import course
from spade_edu.course import plotting as show

lab = course.start("06")

# %% [markdown] tags=["core"]
# ## Two players, one number
#
# The discriminator D gives each patch of a picture a number: high for real, low for fake. Both players are trained on
# it, by the **hinge** loss (paper, appendix A). Look at the three curves first: one for each thing that can happen to a
# picture.

# %% tags=["core"]
import torch
from torch.nn import functional as F

verdict = torch.linspace(-3, 3, 121)
losses_of = {"D, on a real picture": F.relu(1 - verdict), "D, on a fake": F.relu(1 + verdict), "G, on a fake": -verdict}
show.curves(losses_of, verdict, xlabel="D's verdict", ylabel="loss",
            caption="D stops caring beyond 1 and -1. G never stops: its line has no floor.")  # fmt: skip

# %% [markdown] tags=["core"]
# ## Hinge by hand
#
# Four patches: D says 2 and 0.5 on the real ones, -3 and 0.5 on the fakes. By hand:
#
# - D on real: the mean of max(0, 1 - D) is (0 + 0.5) / 2 = 0.25
# - D on fake: the mean of max(0, 1 + D) is (0 + 1.5) / 2 = 0.75
# - G: minus the mean of D(fake) is 1.25

# %% tags=["core", "nbval-check-output"]
from spade_edu import losses

d_real = torch.tensor([2.0, 0.5], requires_grad=True)
d_fake = torch.tensor([-3.0, 0.5], requires_grad=True)
real, fake = [[d_real]], [[d_fake]]  # one scale, whose only feature map is the prediction
print("D on real", losses.hinge_real(real).item(), " D on fake", losses.hinge_fake(fake).item())
print("G", losses.hinge_generator(fake).item())

# %% [markdown] tags=["core"]
# ## Signs
#
# A loss is what a player makes *small*. So each verdict is pushed against the sign of its gradient.

# %% tags=["core", "nbval-check-output"]
(for_d_real,) = torch.autograd.grad(losses.hinge_real(real), d_real)
(for_d_fake,) = torch.autograd.grad(losses.hinge_fake(fake), d_fake)
(for_g_fake,) = torch.autograd.grad(losses.hinge_generator(fake), d_fake)
print("D moves real verdicts by ", (0 - for_d_real).tolist())
print("D moves fake verdicts by ", (0 - for_d_fake).tolist())
print("G moves fake verdicts by ", (0 - for_g_fake).tolist())

# %% [markdown] tags=["core"]
# D raises the unsure real one and lowers the unsure fake; the clear cases give no gradient. G raises both fakes, with
# the same force.

# %% [markdown]
# ### Deep dive: two scales, and least squares
#
# D works at two scales, each with its own verdict map; hinge *averages* over them. pix2pixHD's least squares *sum* over
# them and are halved for D.

# %% tags=["nbval-check-output"]
two_scales = [[torch.tensor([1.0, 3.0])], [torch.tensor([-1.0])]]
print("hinge, G: -(2 + -1) / 2 =", losses.hinge_generator(two_scales).item())
print("least squares, G: ((0 + 4) / 2) + 4 =", losses.lsgan(two_scales, True).item())

# %% [markdown] tags=["core"]
# ## One step of each in a toy
#
# The smallest GAN: real data is the number 3. G outputs its only parameter b. D is a line, D(x) = w x + c. Take b = 0,
# w = 0.5, c = 0 and learning rate 0.1.
#
# G's loss is -(w b + c), its gradient for b is -w = -0.5. So b becomes 0 + 0.05. That same backward pass also leaves
# gradients in D's w and c.

# %% tags=["core", "nbval-check-output"]
b, w, c = (torch.tensor(v, requires_grad=True) for v in (0.0, 0.5, 0.0))


def D(x):
    return w * x + c


(-D(b)).backward()
print("gradients after G's loss: b", b.grad.item(), " w", abs(w.grad.item()), " c", c.grad.item())
with torch.no_grad():
    b -= 0.1 * b.grad
print("b moves to", round(b.item(), 4))

# %% [markdown] tags=["core"]
# The gradient of w is -b, which is 0 only because b was chosen to be 0; that of c is -1. G's step must not use them,
# and D's step must not keep them: they would push D to call fakes real. So either zero them before D's step or, as this
# package does, don't compute them: D is **frozen** in G's step.
#
# D's step needs the opposite: the fake is **detached**, so that no gradient reaches G.

# %% tags=["core", "nbval-check-output"]
for parameter in (b, w, c):
    parameter.grad = None
fake_number = b.detach()  # the picture without its history
loss = F.relu(1 - D(torch.tensor(3.0))) + F.relu(1 + D(fake_number))
loss.backward()
print("gradients after D's loss: b", b.grad, " w", round(w.grad.item(), 4), " c", c.grad.item())

# %% [markdown] tags=["core"]
# By hand: D(3) = 1.5 is beyond 1, so the real side is silent. The fake side has slope x = 0.05 for w and 1 for c. And b
# got nothing: `None`.
#
# ## Why GANs go in circles
#
# Let both take turns 400 times. Does b walk to 3 and stay?


# %% tags=["core"]
def duel(rate_g, rate_d, steps=400):
    b, w, c, path = 0.0, 0.5, 0.0, []
    for _ in range(steps):
        b += rate_g * w  # G: down the gradient of -(w b + c)
        real_unsure, fake_unsure = 1 - (w * 3 + c) > 0, 1 + (w * b + c) > 0
        w += rate_d * (3 * real_unsure - b * fake_unsure)  # D: down the gradient of the hinge
        c += rate_d * (1 * real_unsure - 1 * fake_unsure)
        path.append(b)
    return path


paths = {"equal rates": duel(0.05, 0.05), "TTUR: G / 2, D * 2": duel(0.025, 0.1)}
show.curves(
    paths, xlabel="step", ylabel="G's output b", caption="Real data is 3. G overshoots, D turns round, and again."
)
assert all(max(p) > 3 > p[0] for p in paths.values())

# %% [markdown] tags=["core"]
# There is no common loss that both make small, so nothing has to settle. **TTUR** (Heusel et al. 2017) gives D the
# faster clock, so that G follows a D that is nearly up to date. In these 400 steps it is no better: G's rate is halved,
# so the first swing takes longer. What it is good for shows later; try `steps=2000`. In SPADE: 1e-4 for G, 4e-4 for D,
# both from a base of 2e-4.

# %% tags=["core", "nbval-check-output"]
from spade_edu.config import TrainingConfig

for ttur in (True, False):
    config = TrainingConfig(ttur=ttur)
    print("TTUR" if ttur else "equal", "G", config.lr_generator, "D", config.lr_discriminator)

# %% [markdown] tags=["core"]
# ## Spectral norm, watched
#
# A D that may stretch its input without limit can raise any verdict by growing its weights. Spectral norm (Miyato et
# al. 2018) divides each weight matrix by its largest singular value sigma, found by **power iteration**.
#
# By hand, W = diag(2, 1), u = (1, 1)/√2: v = Wᵀu normalised = (2, 1)/√5. Then Wv = (4, 1)/√5, and sigma is its length,
# √(17/5) = 1.8439. The true value is 2.

# %% tags=["core", "nbval-check-output"]
from spade_edu.spectral import SpectralConv2d

conv = SpectralConv2d(2, 2, 1, bias=False)
with torch.no_grad():
    conv.weight.copy_(torch.diag(torch.tensor([2.0, 1.0]))[..., None, None])
    conv.u.copy_(torch.tensor([1.0, 1.0]) / 2**0.5)
for step in range(1, 5):
    conv.power_iteration()
    print(f"after {step}: v = ({conv.v[0]:.4f}, {conv.v[1]:.4f}), sigma = {conv.u @ conv.matrix() @ conv.v:.4f}")

# %% [markdown] tags=["core"]
# Each forward pass in training takes just *one* such step, v first, then u (the official code's order). That suffices
# because weights move slowly. Watch a real layer: the estimate starts too low and climbs.

# %% tags=["core"]
torch.manual_seed(0)
layer = SpectralConv2d(64, 128, 4)
truth = torch.linalg.svdvals(layer.matrix().detach())
estimates = []
for _ in range(30):
    layer.power_iteration()
    estimates.append((layer.u @ layer.matrix() @ layer.v).item())
lines = {"estimate by power iteration": estimates, "largest singular value": [truth[0]] * 30}
show.curves(
    lines, xlabel="power iteration", ylabel="sigma", caption="A 64 -> 128 convolution, kernel 4, fresh weights."
)
assert estimates[0] < estimates[-1] <= truth[0] * 1.0001

# %% tags=["core"]
before, after = truth, torch.linalg.svdvals(layer.eval().normalised_weight().detach().flatten(1))
lines = {"weight as stored": before, "weight as used": after}
show.curves(lines, xlabel="singular value, by rank", ylabel="size",
            caption="Division moves all 128 by one factor; the largest becomes about 1.")  # fmt: skip
assert 0.99 < after[0] < 1.1

# %% [markdown] tags=["core"]
# ## A network small enough to train again and again
#
# To compare trainings we need many. So this stage takes a generator of two SPADE blocks, at 32x64 pixels, and a
# discriminator of one scale. The parts are the package's own.

# %% tags=["core"]
from torch import nn
from spade_edu.blocks import SPADEResnetBlock
from spade_edu.discriminators import MultiScaleDiscriminator
from spade_edu.initialisation import init_spade


class TinyGenerator(nn.Module):
    def __init__(self, labels, spectral):
        super().__init__()
        options = dict(hidden_channels=16, norm="batch", spectral=spectral)
        self.start = nn.Conv2d(labels, 24, 3, padding=1)
        self.blocks = nn.ModuleList([SPADEResnetBlock(24, 24, labels, **options),
                                     SPADEResnetBlock(24, 16, labels, **options)])  # fmt: skip
        self.to_rgb = nn.Conv2d(16, 3, 3, padding=1)

    def forward(self, segmap):
        x = self.start(F.interpolate(segmap, scale_factor=1 / 4))  # (n, 24, 8, 16)
        for block in self.blocks:
            x = F.interpolate(block(x, segmap), scale_factor=2)  # then (n, 16, 32, 64)
        return torch.tanh(self.to_rgb(F.leaky_relu(x, 0.2)))  # (n, 3, 32, 64)


# %% tags=["core", "nbval-check-output"]
from spade_edu.data import Streets, stack
from spade_edu.models import count_parameters
from spade_edu.sampling import to_batch

scenes = Streets(200, height=32, width=64)
labels = scenes.labels
training = to_batch(stack([scenes[i] for i in range(48)]), labels, lab.device)
looks = stack([Streets(200, split="val", height=32, width=64)[i] for i in (5, 9)])
test = to_batch(looks, labels, lab.device)


def networks(config):
    torch.manual_seed(0)
    G = TinyGenerator(labels.num_channels, config.spectral)
    D = MultiScaleDiscriminator(labels.num_channels, ndf=16, num_scales=1, num_layers=3, spectral=config.spectral)
    return init_spade(G, 1.0).to(lab.device), init_spade(D, 1.0).to(lab.device)


G, D = networks(TrainingConfig())
print("G", count_parameters(G), "D", count_parameters(D), "image", tuple(G(test["segmap"]).shape))

# %% [markdown] tags=["core"]
# ## One G step, one D step, by hand
#
# Now with networks. After G's backward pass, which of the two holds gradients? And after D's?


# %% tags=["core", "nbval-check-output"]
def has_gradients(network):
    return any(p.grad is not None for p in network.parameters())


batch = {name: value[:4] for name, value in training.items()}
D.requires_grad_(False)  # frozen: gradients pass through D, not into it
fake = G(batch["segmap"])
losses.hinge_generator(D(batch["segmap"], fake)).backward()
D.requires_grad_(True)
print("after G's loss: G", has_gradients(G), " D", has_gradients(D))

# %% tags=["core", "nbval-check-output"]
G.zero_grad(set_to_none=True)
with torch.no_grad():  # detached: no history is kept
    fake = G(batch["segmap"])
images = torch.cat([fake, batch["image"]])  # (8, 3, 32, 64): one batch through D, fake first
features = D(torch.cat([batch["segmap"]] * 2), images)[0]
pred_fake, pred_real = features[-1].chunk(2)
(F.relu(1 + pred_fake).mean() + F.relu(1 - pred_real).mean()).backward()
print("after D's loss: G", has_gradients(G), " D", has_gradients(D))
print("verdict map", tuple(pred_fake.shape))

# %% [markdown] tags=["core"]
# Each has its own, and only its own. Fake and real go through D in one batch, so that no statistics differ between
# them. The `Trainer` does these two steps, with feature matching (and a perceptual loss, switched off here) in G's. One
# thing is easily missed: how often does G run in one step?

# %% tags=["core", "nbval-check-output"]
from spade_edu.training import Trainer

for reuse in (False, True):
    config = TrainingConfig(lambda_vgg=0.0, reuse_fake=reuse)
    G, D = networks(config)
    calls = []
    G.register_forward_hook(lambda *_, calls=calls: calls.append(1))
    values = Trainer(G, D, config=config).step(batch)
    print(f"reuse_fake={reuse}: G runs {len(calls)} times; losses: {', '.join(values)}")

# %% [markdown] tags=["core"]
# Twice, as in the official code: the fake for D is drawn anew from the *updated* G, and G's running statistics and
# power iterations advance twice a step. `reuse_fake` saves the second pass.

# %% [markdown] tags=["core"]
# ## A training, and its curves
#
# 80 steps of four images, and no perceptual loss: the first minute of a training, no more, and its pictures look like
# it. (Stage 05 shows what 750 steps with all losses paint.) The learning rate is ten times the paper's. Does one of the
# curves tell you that the pictures get better?

# %% tags=["core"]
from collections import defaultdict

STEPS = 80


def train(kind=Trainer, **settings):
    config = TrainingConfig(**(dict(lr=2e-3, lambda_vgg=0.0, reuse_fake=True) | settings))
    trainer, curves = kind(*networks(config), config=config), defaultdict(list)
    order = torch.Generator().manual_seed(0)
    for _ in range(STEPS):
        chosen = torch.randint(48, (4,), generator=order).to(lab.device)
        for name, value in trainer.step({n: v[chosen] for n, v in training.items()}).items():
            curves[name].append(value)
    return trainer, curves


@torch.no_grad()
def look(trainer):
    trainer.generator.eval()  # (2, 3, 32, 64)
    return trainer.generator(test["segmap"]).cpu()


healthy, curves = train()


# %% tags=["core"]
def two_panels(curves, title=""):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 2.6))
    for name, values in curves.items():
        axes[int(name == "GAN_Feat")].plot(values, label=name)
    axes[0].set(xlabel="step", ylabel="loss", title=title)
    axes[1].set(xlabel="step", title="feature matching (times 10)")
    axes[0].legend(fontsize=8)
    return figure


show.finish(two_panels(curves, "adversarial losses"), "GAN is G's adversarial loss; D_Fake and D_real are D's halves.")

# %% tags=["core"]
images = [labels.colourise(looks.label[0]), looks.image[0], look(healthy)[0]]
show.pictures(images, ["label map", "real", f"after {STEPS} steps"], columns=3, caption="Unseen map; a tiny generator.")

# %% [markdown] tags=["core"]
# ### Reading them honestly
#
# - The adversarial curves wander. GAN going up doesn't mean worse pictures: D may have learned something.
# - D_Fake + D_real = 2 means that D can't tell real from fake. It need not say 0: every constant verdict c between -1
#   and 1 gives (1 - c) + (1 + c) = 2. Where one half jumps up as the other jumps down, D's verdict on everything has
#   shifted for a step. A sum near 0 means that D wins everywhere and the hinge gives it no more gradient.
# - Feature matching has a target (0), but its ruler, D's features, changes all the time.
#
# So no curve measures quality, and none says when to stop. Look at samples, and score them (stage 07).

# %% [markdown] tags=["core"]
# # Failure gallery
#
# Three parts of the recipe, each left out alone: feature matching, spectral norm, TTUR. Same seed, same batches; one
# training each, so only a large difference means anything. Which omission do you *see* after 80 steps?

# %% tags=["core"]
gallery = {"as published": (healthy, curves)}
gallery["no feature matching"] = train(lambda_feat=0.0)
gallery["no spectral norm"] = train(spectral=False)
gallery["equal rates"] = train(ttur=False)
painted = {name: look(trainer) for name, (trainer, _) in gallery.items()}
tiles = [images[i] for i in (0, 1) for images in ([looks.image, *painted.values()])]
show.pictures(tiles, ["real", *gallery], columns=5, width=1.9, caption="Two unseen maps, one column a training.")

# %% tags=["core"]
away = {name: (images - looks.image).abs().mean().item() for name, images in painted.items()}
show.bars(
    {n.replace(" ", "\n", 1): v for n, v in away.items()},
    ylabel="mean |painted - real|",
    caption="Colour distance on two unseen scenes (not a quality score).",
)

# %% [markdown] tags=["core"]
# Without feature matching G has nothing but D's verdict, which says little while D itself is a beginner. In most runs
# its pictures end farthest away; on a few machines another rounding is enough to turn that round. Don't generalise the
# *size* either: in the paper's long trainings, where the perceptual loss also guides, leaving it out costs 2.0 mIoU on
# COCO-Stuff and 0.1 on Cityscapes (Table 5).
#
# The other two can't be told from the published recipe here: the differences between their bars are no larger than
# those between two seeds, and either may come out ahead. What do the weights say?


# %% tags=["core"]
def largest(trainer):  # of the weights as they act, layer by layer of D
    found = []
    for module in trainer.discriminator.modules():
        if isinstance(module, nn.Conv2d):
            weight = module.normalised_weight() if isinstance(module, SpectralConv2d) else module.weight
            found.append(torch.linalg.svdvals(weight.detach().flatten(1))[0].item())
    return found


import matplotlib.pyplot as plt

values = {name: largest(gallery[name][0].train() or gallery[name][0]) for name in ("as published", "no spectral norm")}
figure, ax = plt.subplots(figsize=(6, 2.8))
for i, (name, sizes) in enumerate(values.items()):
    ax.bar([k + 0.38 * i for k in range(len(sizes))], sizes, 0.36, label=name, color=("#0072B2", "#D55E00")[i])
ax.set(xticks=[k + 0.19 for k in range(len(sizes))], xticklabels=["first", "second", "third", "last"],
       ylabel="largest singular value", xlabel="convolution of D", ylim=(0, 2.9))  # fmt: skip
ax.legend()
show.finish(figure, "Spectral norm holds the middle layers near 1; first and last are free in both (as in the code).")
assert max(values["as published"][1:3]) < 1.2 < min(values["no spectral norm"][1:3])

# %% [markdown] tags=["core"]
# That is what spectral norm does in a short run: it bounds, visibly in the weights. Whether pictures suffer takes
# longer to show. The paper's Table 5 has it for pix2pixHD++: without sync batch norm 27.4 mIoU on COCO-Stuff, without
# spectral norm as well 26.0; on Cityscapes 51.1 and 52.3, the other way round.

# %% tags=["core"]
figure, axes = plt.subplots(1, 2, figsize=(9, 2.8), sharey=True)
for ax, name in zip(axes, ("as published", "equal rates")):
    for part in ("D_Fake", "D_real"):
        ax.plot(gallery[name][1][part], label=part)
    ax.set(xlabel="step", title=name)
axes[0].set_ylabel("loss")
axes[1].legend()
show.finish(figure, "D's losses with TTUR and with equal rates. One run each: differences of this size prove little.")

# %% [markdown] tags=["core"]
# # The clinic
#
# Three patients, each trained by a `Trainer` with one fault. The code below contains the faults, so scroll past it,
# look at curves and samples only, write down a diagnosis, then open the answer. (One thing besides: patient 1 has
# weight 2 on feature matching, where the healthy training and the others have 10.)


# %% tags=["core"]
class Patient1(Trainer):
    def gan_generator(self, pred_fake):
        return -super().gan_generator(pred_fake)


class Patient2(Trainer):
    def generate(self, batch):
        fake, mu, logvar = super().generate(batch)
        return fake.detach().requires_grad_(), mu, logvar


class Patient3(Trainer):
    def __init__(self, *networks, **options):
        super().__init__(*networks, **options)
        self.optimizer_d.param_groups[0]["lr"] *= 50


ward = [train(kind, lambda_feat=feat) for kind, feat in ((Patient1, 2.0), (Patient2, 10.0), (Patient3, 10.0))]

# %% tags=["core"]
from statistics import median

figure, axes = plt.subplots(1, 3, figsize=(10, 2.8))
for number, (ax, (_, record)) in enumerate(zip(axes, ward), start=1):
    for name, line in record.items():
        if name != "GAN_Feat":
            ax.plot(line, label=name)
    ax.set(title=f"patient {number}", xlabel="step")
axes[0].legend(fontsize=8)
show.finish(figure, "Adversarial losses. Mind the different scales.")
half = STEPS // 2
assert median(ward[0][1]["D_Fake"][half:]) < median(curves["D_Fake"][half:]) / 10, "patient 1, against the healthy run"
assert max(ward[2][1]["D_Fake"]) > 5 * max(curves["D_Fake"]), "patient 3, against the healthy run"

# %% tags=["core"]
samples = [look(patient) for patient, _ in ward]
rows = [looks.image, look(healthy), *samples]
show.pictures([r[i] for i in (0, 1) for r in rows], ["real", "healthy", "patient 1", "patient 2", "patient 3"],
              columns=5, width=1.9, caption="The same two maps for all.")  # fmt: skip

# %% [markdown] tags=["core"]
# ### Patient 1
#
# <details><summary>Diagnosis</summary>The sign of G's adversarial loss is flipped: G helps D. D_Fake soon lies near 0
# in most steps, far below a healthy one's, and GAN (with the wrong sign) falls below 0: both losses look wonderful.
# Only feature matching pulls the picture towards anything. Test: a batch with known verdicts, as at the top of this
# stage.</details>
#
# ### Patient 2
#
# <details><summary>Diagnosis</summary>The fake is detached in G's step too. G gets no gradient, so its pictures stay
# what the initial weights make of the map, however long you train. D learns happily. Test: does any weight of G change
# in a step?</details>
#
# ### Patient 3
#
# <details><summary>Diagnosis</summary>D's learning rate is 50 times too large: its losses swing by tens where a
# healthy D's wander about 1. Feature matching and verdict then measure with a ruler that changes at every step. Test:
# print both rates; compare the sum of D's losses with 2, where it would stand if D couldn't tell real from
# fake.</details>

# %% [markdown] tags=["core"]
# ## A test for each
#
# A diagnosis is a guess until a test confirms it. A healthy training passes all three of these.


# %% tags=["core", "nbval-check-output"]
def examine(kind):
    config = TrainingConfig(lambda_vgg=0.0, lambda_feat=0.0)
    G, D = networks(config)
    trainer, before = kind(G, D, config=config), [p.clone() for p in G.parameters()]
    sign = "wrong" if trainer.gan_generator([[torch.tensor([1.0])]]) > 0 else "right"
    trainer.step(batch)
    moved = any(not torch.equal(a, p) for a, p in zip(before, G.parameters()))
    ratio = trainer.optimizer_d.param_groups[0]["lr"] / trainer.optimizer_g.param_groups[0]["lr"]
    return f"G's sign {sign}; G moves {moved}; D's rate / G's rate {ratio:.0f}"


for name, kind in (("healthy", Trainer), ("1", Patient1), ("2", Patient2), ("3", Patient3)):
    print(f"{name:8}", examine(kind))

# %% [markdown] tags=["core"]
# ## Summary
#
# - Hinge: D wants verdicts beyond 1 and -1 and then stops; G raises its verdict without end.
# - In G's step D is frozen, in D's step the fake is detached; the fake for D is drawn anew.
# - Spectral norm divides a weight by its largest singular value, by one power iteration per forward pass.
# - TTUR: G at 1e-4, D at 4e-4. No GAN loss measures quality.
# - Diagnose by small tests: signs, who moves, rates.

# %% [markdown] tags=["core"]
# ## Questions
#
# 1. D_Fake and D_real are both near 0 for a hundred steps. Is D good or is something broken?
#
# <details><summary>Answer</summary>D separates everything with a margin of 1, so the hinge gives it no gradient. G
# still gets one. It may be a strong D, a G that cannot move, or a G that helps D: look at whether G's weights change,
# and at the sign of its loss.</details>
#
# 2. Why is the real side of feature matching detached?
#
# <details><summary>Answer</summary>Real features are the target: G has no influence on them. And D, which makes both,
# is frozen in G's step.</details>
#
# 3. Spectral norm and batch norm are both called norm. What does each act on?
#
# <details><summary>Answer</summary>Spectral norm acts on weights, batch norm on activations. They share nothing but
# the word.</details>

# %% [markdown] tags=["core"]
# ## Next
#
# **Exercise:** [06_gan_training](../exercises/06_gan_training.ipynb): write losses, discriminators, optimizers, the two
# steps and the loop, and train your own generator with them.
#
# **Stage 07** measures what no loss curve can: how good the pictures are.
