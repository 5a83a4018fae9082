# %% [markdown]
# # Exercises 00: what a network sees
#
# Your file begins here. In these notebooks you write SPADE part by part: networks, losses, training. Each part that
# passes its check goes into `my_spade.py`, a file of your own beside this notebook; the next stages import what you
# wrote, and notebook 11 trains it and paints with it.
#
# Fill in a function, run its check, look at the picture. `keep(...)` stands behind the check: it puts your function
# into the file, in place of an earlier version. A part that you'd rather skip: `borrow("one_hot")` writes the course's
# own, marked as borrowed; keeping yours later takes its place.

# %%
import torch

from spade_edu.course import plotting as show

# A street in ids: 0 sky, 1 road, 2 car; 255 is unknown. Two cars stand side by side.
label = torch.zeros(1, 16, 24, dtype=torch.long)
label[:, 9:], label[:, 6:12, 4:12], label[:, 6:12, 12:19], label[:, 14:, 20:] = 1, 2, 2, 255
instance = label.clone()
instance[:, 6:12, 4:12], instance[:, 6:12, 12:19] = 2001, 2002
show.maps([label[0].clamp(max=3)], ["label map"], caption="0 sky, 1 road, 2 car; 3 stands for 255.", diverging=False)

# %% [markdown]
# ## 0.1 A label map as channels
#
# Ids are names, not amounts: class 7 isn't more than class 3. So a network sees one channel of 0 and 1 for each class.
# Data sets mark pixels that nobody labelled with 255. They get a channel of their own, behind the classes: the
# result has `num_classes + 1` channels, float32. Ids come as whole numbers of any kind: a PNG holds them as uint8.


# %% tags=["part"]
# one_hot

# %%
with picture("one_hot"):
    segmap = one_hot(label, 3)
    show.maps(segmap[0], ["sky", "road", "car", "unknown"], diverging=False, caption="Four channels; they add up to 1.")

# %% [markdown]
# **To think about.** How much memory do 35 channels at 1024x2048 take in float32? What would an implementation keep
# instead?
#
# <details><summary>Answer</summary>35 x 1024 x 2048 x 4 bytes are 294 MB for one map. The ids themselves take 2 MB (a
# byte each): keep those, and make channels only for the batch that is being trained on.</details>

# %% [markdown]
# ## 0.2 Edges between objects
#
# The one-hot map can't tell two touching cars apart. pix2pixHD adds a channel of edges, made from the instance map,
# which gives every object an id of its own: 1 where a pixel's id differs from that of any of its four neighbours. So
# both sides of a border are marked. A pixel at the rim of the picture has fewer neighbours; nothing wraps around.


# %% tags=["part"]
# instance_edges

# %%
with picture("instance_edges"):
    show.maps(
        [instance_edges(label)[0, 0], instance_edges(instance)[0, 0]],
        ["of the label map", "of the instance map"],
        diverging=False,
        caption="The line between the two cars is only in the instance map.",
    )

# %% [markdown]
# **To think about.** Why does the generator need the line between two cars, if it may paint whatever cars it likes?
#
# <details><summary>Answer</summary>Without the line two touching cars are one blob of "car", and the generator can't
# know whether it is a long one or two. Where one object ends is layout, and the layout is given; only the looks are
# free.</details>

# %%
progress()
