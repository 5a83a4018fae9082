# %% [markdown]
# # Exercises 05: the SPADE generator
#
# From the small first map to the picture: what the first map is made of, where it grows, what turns it into colours,
# and where the parameters are. The sizes are those of notebook 05: seven blocks that give 16, 16, 16, 8, 4, 2 and 1
# times `ngf` channels, and a first map that 5 doublings (plan `"normal"`), 6 (`"more"`) or 7 (`"most"`) bring to the
# picture's size. Four functions are steps on the way; then block and generator are parts of your file, which paints for
# the first time. Everything runs on the CPU in seconds.

# %%
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from spade_edu.course import plotting as show
from spade_edu.checks.s05_spade_generator import PaintBlock

# The part that this stage builds on; where your my_spade.py lacks it, it is borrowed.
need("SPADE")
from my_spade import SPADE

# A label map to look at: sky above, a house, a road below (3 classes, 64x128).
label = torch.zeros(64, 128, dtype=torch.long)
label[16:44, 40:80], label[44:] = 1, 2
segmap = F.one_hot(label, 3).permute(2, 0, 1)[None].float()

# %% [markdown]
# ## 5.1 The first map, from labels or from noise
#
# The released models start from the label map itself: shrunk to `size` = (height, width) by nearest neighbour
# (`F.interpolate(..., mode="nearest")`), then through `fc`, a convolution. With a style code `z` they start from `z`
# instead: `fc` is then a linear layer from `z_dim` to c * h * w numbers, which are read as (n, c, h, w). No activation
# follows in either case.


# %% tags=["solution"]
def first_map(
    segmap: Float[Tensor, "n l H W"],
    z: Float[Tensor, "n z_dim"] | None,
    fc: nn.Module,
    size: tuple[int, int],
) -> Float[Tensor, "n c h w"]:
    """Without z: fc, a convolution, of the label map shrunk to `size`. With z: fc, a linear layer, of z, reshaped."""
    if z is None:
        return fc(F.interpolate(segmap, size=size, mode="nearest"))
    return fc(z).view(len(z), -1, *size)


# %%
# One channel of the first map: from the label map, and from two different z.
with picture("first_map"):
    torch.manual_seed(0)
    convolution, linear = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(16, 4 * 8 * 16)
    starts = [first_map(segmap, z, fc, (8, 16))[0, 0] for z, fc in (
        (None, convolution), (torch.randn(1, 16), linear), (torch.randn(1, 16), linear))]  # fmt: skip
    show.maps(starts, ["from the label map", "from one z", "from another z"], columns=3)

# %% [markdown]
# **To think about.** With `z` the first map knows nothing of the labels. Why can the generator afford that?
#
# <details><summary>Answer</summary>Every block behind it is told the labels. The first map only has to hold what isn't
# in them: the style.</details>

# %% [markdown]
# ## 5.2 The order of blocks and doublings
#
# Run all blocks on the first map `x`. Before every block but the first, `x` is doubled by nearest neighbour
# (`F.interpolate(x, scale_factor=2, mode="nearest")`), with one exception: in the plan `"normal"` it isn't doubled
# before the third block. Each block is called with the full-size label map: `block(x, segmap)`; it resizes it by
# itself.


# %% tags=["solution"]
def run_blocks(
    x: Float[Tensor, "n c h w"], segmap: Float[Tensor, "n l H W"], blocks: nn.ModuleList, plan: str
) -> Float[Tensor, "n c H W"]:
    """x is doubled (nearest) before every block but the first, and before the third only if plan isn't "normal"."""
    for i, block in enumerate(blocks):
        if i > 0 and (i != 2 or plan != "normal"):
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = block(x, segmap)
    return x


# %%
# A first map of noise, painted by seven random blocks.
with picture("run_blocks"):
    torch.manual_seed(3)
    blocks = nn.ModuleList(PaintBlock(6, 3) for _ in range(7))
    x = torch.randn(1, 6, 2, 4)
    with torch.no_grad():
        painted = run_blocks(x, segmap, blocks, "normal")
    seen = (painted[0, 0] - painted[0, 0].mean()) / painted[0, 0].std()
    titles = ["first map, 2x4", "label map", f"{seen.shape[0]}x{seen.shape[1]}, after seven blocks"]
    show.maps([x[0, 0], label - 1.0, seen], titles, columns=3, limit=2)

# %% [markdown]
# **To think about.** Early blocks see a tiny label map in which a traffic light may have vanished. What does that mean
# for small objects, and why does it help that every block gets the label map anew?
#
# <details><summary>Answer</summary>They can't paint it, and needn't: a later block, at a size where it is there, brings
# it. A generator that gets the map once, at the smallest size, would have lost it.</details>

# %% [markdown]
# ## 5.3 The last layer
#
# After the last block come a LeakyReLU with slope 0.2 (a SPADE block ends with its sum, without an activation), a
# convolution `conv` to 3 channels, and tanh, which keeps the colours in [-1, 1].


# %% tags=["solution"]
def to_picture(x: Float[Tensor, "n c h w"], conv: nn.Module) -> Float[Tensor, "n 3 h w"]:
    """tanh(conv(LeakyReLU 0.2 of x)): a picture in [-1, 1]."""
    return torch.tanh(conv(F.leaky_relu(x, 0.2)))


# %%
# From a first map of noise to a "photograph", all with random weights.
with picture("to_picture"):
    torch.manual_seed(8)
    blocks, conv = nn.ModuleList(PaintBlock(6, 3) for _ in range(2)), nn.Conv2d(6, 3, 3, padding=1)
    with torch.no_grad():
        x = torch.randn(1, 6, 64, 128)
        for block in blocks:
            x = block(x, segmap)
        show.pictures([to_picture(3 * x, conv)[0]], ["random weights"], width=4)

# %% [markdown]
# **To think about.** Why no norm before the last convolution, although one stands before all others?
#
# <details><summary>Answer</summary>A norm would fix the features' mean and spread just before the colours are made.
# Without one the last block can make a picture dark or bright, flat or rich in contrast.</details>

# %% [markdown]
# ## 5.4 Counting a block's parameters
#
# Count weights and biases of a SPADE residual block from `fin` to `fout` channels:
#
# - a SPADE layer on c channels: a convolution from `label_channels` to `hidden`, then two from `hidden` to c (gamma and
#   beta), all `kernel` x `kernel` with bias. Its norm has no parameters;
# - main path: SPADE on `fin`, 3x3 convolution to the inner width min(`fin`, `fout`), SPADE on that, 3x3 convolution to
#   `fout`; both convolutions with bias;
# - skip path, only where `fin` and `fout` differ: SPADE on `fin` and a 1x1 convolution to `fout` without bias.


# %% tags=["solution"]
def count_block(fin: int, fout: int, label_channels: int, hidden: int, kernel: int) -> int:
    """Weights and biases of a SPADE residual block; `kernel` and `hidden` are SPADE's, the block's own are 3x3."""

    def spade(channels: int) -> int:
        shared = (label_channels * kernel**2 + 1) * hidden
        return shared + 2 * (hidden * kernel**2 + 1) * channels

    middle = min(fin, fout)
    count = spade(fin) + (9 * fin + 1) * middle + spade(middle) + (9 * middle + 1) * fout
    if fin != fout:
        count += spade(fin) + fin * fout
    return count


# %%
# The published generator for Cityscapes (36 label channels), block by block, in millions.
with picture("count_block"):
    widths = [1024, 1024, 1024, 1024, 512, 256, 128, 64]
    names = ["head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2", "up_3"]
    counts = {name: count_block(a, b, 36, 128, 3) / 1e6 for name, a, b in zip(names, widths, widths[1:])}
    show.bars(counts, ylabel="parameters, millions")

# %% [markdown]
# **To think about.** Where would you save parameters first? What changes if SPADE's kernel is 1x1, and what does the
# layer lose then?
#
# <details><summary>Answer</summary>In the wide blocks: three quarters of the parameters. With 1x1 kernels gamma and
# beta take a ninth, and no pixel knows whether a border is near (stage 08: the score falls).</details>

# %% [markdown]
# ## 5.5 The SPADE block as a module
#
# `SPADEResnetBlock(fin, fout, label_channels, hidden_channels=128, conv=nn.Conv2d)`: exercise 3.4 with its own layers.
# Main path: twice SPADE, LeakyReLU 0.2, 3x3 convolution, from `fin` to min(`fin`, `fout`) to `fout` channels. Skip
# path: x itself, or where `fin` and `fout` differ SPADE and a 1x1 convolution without bias, no activation.
#
# `conv` is the class that the block's own convolutions are made of, called as `nn.Conv2d` is: stage 06 puts one with
# spectral norm there. SPADE's own convolutions stay plain.


# %% tags=["part"]
# SPADEResnetBlock

# %% [markdown]
# **To think about.** The main path may be zero at first and the block still does something. What, if `fin` and `fout`
# are equal, and what if not?
#
# <details><summary>Answer</summary>With equal widths the skip is the identity: the block passes x on. With unequal ones
# the skip is SPADE and a 1x1 convolution, so it does normalise and mix.</details>

# %% [markdown]
# ## 5.6 The SPADE generator
#
# `SPADEGenerator(label_channels, latent, ngf=64, z_dim=None, hidden_channels=128, conv=nn.Conv2d)`. `latent` is the
# size (height, width) of the first map; five doublings make 32 times that of it.
#
# - the first map has 16 `ngf` channels; without `z_dim` it is a 3x3 convolution of the shrunken label map, with it a
#   linear layer of z. Is no z given, draw one (`torch.randn`, a code for each map);
# - seven blocks of the widths in `PLAN`, made by `self.make_block`, which is written already (stage 08 puts another
#   block there). Doubled (nearest) before every block but the first and the third;
# - LeakyReLU 0.2, a 3x3 convolution to 3 channels, tanh.
#
# `conv` is for the blocks only: the first and the last convolution are plain `nn.Conv2d`.
#
# Keep `label_channels`, `latent` and `z_dim` as attributes: `make_block` and later parts read them.


# %% tags=["part"]
# SPADEGenerator

# %%
# Your generator paints the street at the top, with random weights; and once more, with a style code.
with picture("SPADEGenerator"), torch.no_grad():
    torch.manual_seed(2)
    paintings = [SPADEGenerator(3, (2, 4), ngf=4, z_dim=z_dim, hidden_channels=8)(segmap)[0] for z_dim in (None, 16)]
    show.pictures([3 * p.clamp(-0.3, 0.3) for p in paintings], ["from the labels", "from a z"], columns=2, width=4)

# %% [markdown]
# **To think about.** Nothing has been trained, and the label map can be seen. How would an untrained pix2pixHD's
# picture differ?
#
# <details><summary>Answer</summary>Behind its norms areas of one class become alike, and what is left goes through a
# small map: at best you'd see rough edges.</details>

# %% [markdown]
# ## 5.7 The first weights
#
# The published code draws all weights of convolutions and linear layers from a Glorot normal distribution with gain
# 0.02 (`nn.init.xavier_normal_`) and sets their biases to 0. Do so for every such layer of a network, however deep it
# lies, transposed convolutions included, and return the network. Some have no bias.


# %% tags=["part"]
# init_weights

# %% [markdown]
# **To think about.** With gain 0.02 gamma and beta begin near 0. What does a SPADE layer do then, and why is that a
# good beginning?
#
# <details><summary>Answer</summary>1 + gamma is nearly 1 and beta nearly 0: it is a plain norm. So all classes begin
# alike and nothing explodes; what a class needs is learned from there.</details>

# %%
progress()
