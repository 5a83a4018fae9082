# %% [markdown]
# # Exercises 11: find the bug
#
# Six files, `faulty_a.py` to `faulty_f.py`, are a complete my_spade.py with one planted fault each. Every one of them
# trains without an error, and is wrong. Don't read 400 lines: **measure**. For each file write a function that takes
# the file as a module and gives a number,
#
# - **0.1 or more** for the file with this fault,
# - **0.01 or less** for the healthy one, and for the other five.
#
# Then you know where to look. `mend("a", "a piece of the file as it stands", "the piece as it should be")` tries a
# repair and changes no file; in 11.7 you write all six down.
#
# The symptoms' figures are measured (`benchmarks/faults.py`, one seed, Streets at 32x64). At the end a stranger's SPADE
# is held against the course's.

# %%
from types import ModuleType

import torch
from torch.nn import functional as F

from spade_edu.course import plotting as show
from spade_edu.checks.faults import faulty, healthy, stranger
from spade_edu.checks.s11_find_the_bug import mend

# Each call writes a file into your folder, anew, and imports it.
files = {"healthy": healthy()} | {letter: faulty(letter) for letter in "abcdef"}
other = stranger()


def draw(measure):
    """The number that a measure gives for each file."""
    show.bars({name: float(measure(code)) for name, code in files.items()}, ylabel="what you measured")


# %% [markdown]
# ## 11.1 faulty_a.py
#
# **Symptom.** Figure 3 doesn't come out. After 150 small steps this file's pix2pixHD paints two uniform maps, all road
# and all sky, in mean colours that are 0.45 apart (colours run from -1 to 1); the healthy file's are 0.08 apart.
#
# Measure pix2pixHD's layers one by one: through many of them even rounding errors grow to something that can be seen.


# %% tags=["solution"]
def measure_a(code: ModuleType) -> float:
    """0.1 or more for faulty_a.py, 0.01 or less for the healthy file and the other five."""
    # Noise whose channels have means of their own: the norm has to take them away.
    x = torch.randn(4, 3, 16, 16) + torch.tensor([-1.0, 0.0, 2.0])[:, None, None]
    return code.InstanceNorm2d(3)(x).mean(dim=(2, 3)).abs().max().item()


# %%
with picture("measure_a"):
    draw(measure_a)

# %% [markdown]
# **To think about.** The discriminator and the style encoder use the same layer. Why does pix2pixHD give the fault
# away, and what would Figure 3 have looked like in a paper with this bug?
#
# <details><summary>Answer</summary>It is deep: small differences grow from norm to norm until classes have colours.
# Figure 3 would have shown a pix2pixHD that keeps the class, and SPADE would have lost its argument.</details>

# %% [markdown]
# ## 11.2 faulty_b.py
#
# **Symptom.** Every loss of a training is the same as the healthy file's, to the last digit. But a step of the
# discriminator took 0.11 seconds in place of 0.05.
#
# Look at the two steps of training. What does each of them change, and what does it leave behind?


# %% tags=["solution"]
def measure_b(code: ModuleType) -> float:
    """0.1 or more for faulty_b.py, 0.01 or less for the healthy file and the other five."""
    generator = code.SPADEGenerator(2, (1, 1), ngf=1, hidden_channels=4)
    discriminator = code.MultiScaleDiscriminator(2, ndf=2)
    _, optimizer = code.make_optimizers(generator, discriminator)
    batch = {"segmap": torch.rand(1, 2, 32, 32), "image": torch.rand(1, 3, 32, 32)}
    code.discriminator_step(batch, generator, discriminator, optimizer)
    # D's step is none of G's business: the share of G's weights that it leaves a gradient at.
    reached = [p.grad is not None and bool(p.grad.any()) for p in generator.parameters()]
    return sum(reached) / len(reached)


# %%
with picture("measure_b"):
    draw(measure_b)

# %% [markdown]
# **To think about.** No number of the training changes. Which line of this file saves it, and what would happen if that
# line came later?
#
# <details><summary>Answer</summary>The `zero_grad()` of G's step, which clears what D's step left in G. If it came at
# the end of G's step instead, what D's step left would be added to G's next gradient: G would learn to help
# D.</details>

# %% [markdown]
# ## 11.3 faulty_c.py
#
# **Symptom.** As `init_weights` starts it, with the published gain of 0.02, the features behind the generator's last
# block spread (std) by 0.00006; in the healthy file by 1.
#
# Look at the untrained network, as `init_weights` starts it.


# %% tags=["solution"]
def measure_c(code: ModuleType) -> float:
    """0.1 or more for faulty_c.py, 0.01 or less for the healthy file and the other five."""
    layer = code.init_weights(code.SPADE(4, 3))
    y = layer(torch.randn(2, 4, 16, 16), torch.rand(2, 3, 16, 16))
    return abs(y.std().item() - 1)  # weights near zero leave a plain norm, whose spread is 1


# %%
with picture("measure_c"):
    draw(measure_c)

# %% [markdown]
# **To think about.** The paper's equation (1) is what this file computes. Is it a bug, then? What does a trained layer
# of the one form have to learn that the other begins with?
#
# <details><summary>Answer</summary>Not by the paper's text: it is equation (1). But with weights near 0 the layer gives
# 0, and has to learn first to let its input through, which 1 + gamma begins with.</details>

# %% [markdown]
# ## 11.4 faulty_d.py
#
# **Symptom.** Along every border between two classes the layers of the generator are told something that the label map
# doesn't say.
#
# Follow the label map on its way into the generator's layers.


# %% tags=["solution"]
def measure_d(code: ModuleType) -> float:
    """0.1 or more for faulty_d.py, 0.01 or less for the healthy file and the other five."""
    layer, seen = code.SPADE(2, 3), []
    layer.shared.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    segmap = F.one_hot(torch.randint(3, (1, 16, 16)), 3).movedim(-1, 1).float()
    layer(torch.randn(1, 2, 8, 8), segmap)
    # A one-hot map stays one, whatever its size.
    return (seen[0] - seen[0].round()).abs().max().item()


# %%
with picture("measure_d"):
    draw(measure_d)

# %% [markdown]
# **To think about.** A pixel that is half road and half car: which class has the middle of the two ids, and what would
# you feed if you resized ids and not channels?
#
# <details><summary>Answer</summary>Some third class whose number happens to lie between: of 7, road, and 26, car, it
# would be 16, a tunnel. If ids are resized at all, then by nearest neighbour; mixing channels at least says "half road,
# half car".</details>

# %% [markdown]
# ## 11.5 faulty_e.py
#
# **Symptom.** The healthy generator's last block doesn't care how large the first weights are: its features spread by 1
# whether `init_weights` gets a gain of 0.02 or 1. In this file they spread by 0.000001 and by 2.
#
# One layer promises that its output can't be larger than its input, whatever its weights are.


# %% tags=["solution"]
def measure_e(code: ModuleType) -> float:
    """0.1 or more for faulty_e.py, 0.01 or less for the healthy file and the other five."""
    conv = code.SpectralConv2d(6, 4, 1, bias=False)
    with torch.no_grad():
        conv.weight.mul_(5)
        for _ in range(200):  # power iteration takes one step a call
            conv(torch.rand(1, 6, 1, 1))
        # Pictures of one pixel, the rows of the unit matrix, give back the matrix that it convolves with.
        used = conv(torch.eye(6)[:, :, None, None]).flatten(1)
    return abs(torch.linalg.matrix_norm(used, 2).item() - 1)


# %%
with picture("measure_e"):
    draw(measure_e)

# %% [markdown]
# **To think about.** With weights whose sigma is 1 this fault is invisible. Which of the other five faults could a
# badly chosen input hide in the same way?
#
# <details><summary>Answer</summary>d with a map that is uniform or already has the right size; a with one channel, or
# channels of equal statistics; c with an x that is constant, of which the norm leaves 0; f with labels that are all
# don't care.</details>

# %% [markdown]
# ## 11.6 faulty_f.py
#
# **Symptom.** After 150 small steps its pictures are as good as the healthy file's (the judge's mIoU is 0.16, there
# 0.15). But when the same generator gets the course's label maps, as it would in the Painter, mIoU is 0.05.
#
# What do the file and the course have to agree on?


# %% tags=["solution"]
def measure_f(code: ModuleType) -> float:
    """0.1 or more for faulty_f.py, 0.01 or less for the healthy file and the other five."""
    label = torch.randint(5, (1, 8, 8))
    return (code.one_hot(label, 5).argmax(1) != label).float().mean().item()


# %%
with picture("measure_f"):
    draw(measure_f)

# %% [markdown]
# **To think about.** Two classes share a channel in this file. Which two, and would a score of its pictures tell?
#
# <details><summary>Answer</summary>The last class and "don't care" (and channel 0 is empty). A score wouldn't tell: the
# file trained with its own channels and is consistent with itself.</details>

# %% [markdown]
# ## 11.7 The six repairs
#
# Write them down: for each letter the piece of the file as it stands, and the piece as it should be. The first must
# stand in the file just once. A file counts as mended when its measure is quiet and its part passes the part's check.


# %% tags=["solution"]
def repair(letter: str) -> tuple[str, str]:
    """For a, b, c, d, e, f: a piece of that file as it stands, and the piece as it should be."""
    return {
        "a": ("mean = x.mean(dim=(1, 2, 3), keepdim=True)", "mean = x.mean(dim=(2, 3), keepdim=True)"),
        "b": (
            "fake, _, _ = generate(batch, generator, encoder)",
            "fake = generate(batch, generator, encoder)[0].detach()",
        ),
        "c": ("return self.gamma(hidden) * self.norm(x)", "return (1 + self.gamma(hidden)) * self.norm(x)"),
        "d": ('mode="bilinear")\n        hidden', 'mode="nearest")\n        hidden'),
        "e": ("self.weight * sigma", "self.weight / sigma"),
        "f": ("label.long() + 1", "label.long()"),
    }[letter]


# %%
# What becomes of each file. mend(letter, old, new) says the same of a single one.
with picture("repair"):
    for letter in "abcdef":
        print(mend(letter, *repair(letter)))

# %% [markdown]
# **To think about.** After 150 small steps the judge's mIoU was 0.15 for the healthy file, 0.15 for c (at a gain of
# 0.02), 0.16 for e and 0.16 for f: no score gives these away. Which of the six would you have found by looking at
# pictures alone?
#
# <details><summary>Answer</summary>d perhaps, by soft borders, after a longer training. The others paint as well after
# so few steps: that is why one measures parts.</details>

# %% [markdown]
# ## 11.8 A stranger's SPADE
#
# `stranger.py`, in your folder, is a SPADE layer in another hand: class ids in place of
# channels, one convolution for gamma and beta, no 1 + anywhere, no `interpolate`. Some of this is only another way to
# write the same, some isn't SPADE any more. Write the tests that tell: a dictionary with True or False for each of
#
# - `start`: with the weights of its last convolution (`heads`) at zero and the biases as they start, it gives something
#   else than the normalised features;
# - `resize`: it takes other pixels of the label map than `F.interpolate(..., mode="nearest")`;
# - `activation`: between its convolutions stands something else than a ReLU;
# - `variance`: in training the variance isn't the mean square distance from the mean (divided by n);
# - `evaluation`: in evaluation mode it doesn't normalise by running averages (0 and 1 at first).
#
# Your tests also meet strangers that depart in other ways, so they have to measure.


# %% tags=["solution"]
def audit(code: ModuleType) -> dict[str, bool]:
    """Where code.Modulation departs from the course's SPADE.

    The keys: start, resize, activation, variance, evaluation.
    """
    layer = code.Modulation(4, 3, 8)
    ids, feats = torch.randint(4, (2, 6, 9)), 3 * torch.randn(2, 3, 2, 3) + 1
    found = {}

    # Only looks different: floor(i H / h) are the pixels that "nearest" takes.
    segmap = F.one_hot(ids, 4).movedim(-1, 1).float()
    found["resize"] = not torch.equal(layer.planes(ids, 2, 3), F.interpolate(segmap, size=(2, 3), mode="nearest"))

    # Departs from the paper: a ReLU stands there (Figure 10), which leaves nothing below 0.
    seen = []
    handle = layer.heads.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    layer(ids, feats)
    found["activation"] = bool(seen[0].min() < 0)
    handle.remove()

    # Departs from the paper: equation (3) divides by N H W, torch.var_mean by one less. Few pixels show it.
    white = layer.whiten(feats)
    found["variance"] = abs(white.var(correction=0).item() - 1) > 0.01

    # Only looks different: a bias of 1 does what 1 + does (the paper's own equation has no 1 at all).
    torch.nn.init.zeros_(layer.heads.weight)
    found["start"] = not torch.allclose(layer(ids, feats), white, atol=1e-4)

    # Departs from the published code: its batch norm has running averages, which a new layer holds at 0 and 1.
    fresh = code.Modulation(4, 3, 8).eval()
    found["evaluation"] = not torch.allclose(fresh.whiten(feats), feats, atol=1e-3)
    return found


# %%
with picture("audit"):
    show.bars({name: float(departs) for name, departs in audit(other).items()}, ylabel="departs (1) or agrees (0)")

# %% [markdown]
# **To think about.** Three findings depart. Which of them contradict the paper's text and figures, and which only its
# published code? Which of the three would you report to the stranger as a bug, and which as a choice?
#
# <details><summary>Answer</summary>The variance contradicts the paper: equation (3) divides by n. The missing running
# averages and the LeakyReLU contradict the published code only. I'd report the averages as a bug, for pictures then
# depend on what stands beside them in a batch; the other two are hardly felt, but have to be said where results are
# compared.</details>

# %%
progress()
