# %% [markdown] tags=["core"] minutes=2
# # 00 · Set-up and data
#
# SPADE (*spatially-adaptive denormalization*) is a layer that tells a network at every pixel what to paint there. With
# it a label map, in which each pixel says only "sky", "road" or "car", becomes a photograph-like picture; before it,
# networks like pix2pixHD lost the labels on the way. The paper is [Park et al. 2019](https://arxiv.org/abs/1903.07291),
# its authors' code is [NVlabs/SPADE](https://github.com/NVlabs/SPADE). In this course you build it.
#
# **You should know** Python, tensors and `nn.Module` in PyTorch, what a convolution does, and how a network is trained
# by gradients. GANs are explained where they come up.
#
# Afterwards you can read a label map, turn it into the tensor that every network of this course takes, and recognise
# the mistakes that spoil a label map.
#
# **Time:** runs in 11 seconds on two CPU cores (measured); the core path takes a class 40 minutes. Not timed on a GPU
# (`python tools/notebooks.py test 00` does it there).
#
# **Builds on:** nothing; this is the first stage.

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

lab = course.start("00")

# %% [markdown] tags=["core"] minutes=1
# ## From labels to a picture
#
# This course builds one machine: a network that takes a **label map**, an image in which every pixel says only *what*
# is there, and paints a photograph that fits it. (The paper says *mask* for the same thing, and so do stages 03 to 05.)
# Look at one pair. Left is what goes in, right is what should come out.

# %% tags=["core"] minutes=2
sample = lab.val[5]
tiles = [lab.labels.colourise(sample.label), sample.image]
titles = ["label map: the input", "image: the target"]
show.pictures(tiles, titles, columns=2, width=4.5, caption="One pair of the data set.")

# %%
show.label_map(sample.label, lab.labels, caption="The same label map, with the names of its classes.")

# %% [markdown]
# ### Deep dive: is your machine ready?
#
# The doctor looks at everything the course needs. Every line is `OK`, a `warning` (you can work, but read the advice)
# or a `failure`. The same report comes from the command `spade-edu doctor`; paste it whole when you ask for help.

# %%
from pathlib import Path

from spade_edu.course.doctor import examine

report = examine(timing=False)  # timing=True also measures a generator, some seconds
print(str(report).replace(str(Path.cwd()), "."))

# %% [markdown]
# ## A sample
#
# Every data set of the course, whatever its files look like, gives the same thing: a `Sample`. `label` holds a class
# id for each pixel, `instance` an id for each object, `image` the colours from -1 to 1. We take Streets here:
# rendered scenes, built in, nothing to download.

# %% tags=["nbval-check-output"]
from spade_edu.data import Streets

height, width = 64, 128
streets = Streets(200, split="val", height=height, width=width)
sample = streets[5]
print("label   ", tuple(sample.label.shape), sample.label.dtype)
print("instance", tuple(sample.instance.shape), sample.instance.dtype)
print("image   ", tuple(sample.image.shape), sample.image.dtype)

# %%
batch, grid = lab.batch(4)
tiles = [*lab.labels.colourise(grid.label), *grid.image]
show.pictures(tiles, grid.name, caption=f"Four pairs of {lab.config.data}: label maps above, images below.")

# %% [markdown]
# Notice that the label map doesn't settle everything: it says where the cars are, not their colours, and not whether
# it is noon or night. Streets draws the light independently of the layout. One label map has many right pictures;
# stage 09 is about that.

# %% [markdown] tags=["core"] minutes=1
# ## A label map by hand
#
# Before the real ones, a label map of 4 x 4 pixels: some sky, a building, two cars beside each other, road. The
# numbers are Cityscapes' ids. The class with id 26 isn't "more" than the class with id 7; an id is a name that
# happens to be a number.

# %% tags=["core"] minutes=1
import torch
from spade_edu import CITYSCAPES

toy = torch.tensor([[23, 23, 23, 23], [23, 23, 11, 11], [26, 26, 26, 26], [7, 7, 7, 7]])
show.label_map(toy, CITYSCAPES, numbers=True, caption="16 pixels; each number is an id.")

# %% tags=["nbval-check-output"]
for number in toy.unique().tolist():
    print(f"{number:2}  {CITYSCAPES.names[number]:10}  colour {CITYSCAPES.classes[number].colour}")
print("classes:", CITYSCAPES.num_classes)

# %% [markdown] tags=["core"] minutes=2
# A `LabelSpace` knows what the ids of a data set mean. It also gives the colours, which exist for human eyes only: no
# network in this course ever sees them.
#
# What class lies halfway between sky (23) and road (7)? Write your guess in place of the dots, in quotation marks.

# %% tags=["core", "nbval-check-output"] minutes=2
from spade_edu.course import predict, reveal

predict("00-halfway", ...)
sky, road = CITYSCAPES.id("sky"), CITYSCAPES.id("road")
middle = (sky + road) // 2
print(f"({sky} + {road}) / 2 = {middle}: {CITYSCAPES.names[middle]}")
reveal("00-halfway", CITYSCAPES.names[middle])

# %% [markdown] tags=["core"] minutes=2
# A bridge. So ids must not be averaged, and they must not be fed to a convolution, which would do nothing but
# weighted sums of them. The remedy is **one-hot**: a channel of its own for every class, 1 where the pixel belongs to
# it and 0 elsewhere.

# %% tags=["core"] minutes=2
present = [23, 11, 26, 7]
by_hand = torch.stack([(toy == number).float() for number in present])  # (4, 4, 4)
titles = [f"channel {n}: {CITYSCAPES.names[n]}" for n in present]
show.maps(by_hand, titles, numbers=True, diverging=False, caption="Four of the 35 channels; the other 31 are zero.")

# %% tags=["nbval-check-output"]
from spade_edu import one_hot

segmap = one_hot(toy[None], CITYSCAPES.num_ids)  # (1, 4, 4) -> (1, 35, 4, 4)
assert torch.equal(segmap[0, present], by_hand)
print("shape", tuple(segmap.shape), "channels in use", int(segmap.amax(dim=(0, 2, 3)).sum()))
print("sum over channels, each pixel:", segmap.sum(dim=1).unique().tolist())
print("argmax gives the ids back:", torch.equal(segmap.argmax(dim=1)[0], toy))

# %% [markdown]
# Three facts to keep: the channels of a pixel sum to one, `argmax` undoes the encoding, and now an average has a
# meaning: half sky and half road is (0.5, 0.5) in two channels, and no bridge anywhere.

# %% [markdown]
# ### Deep dive: what one-hot costs
#
# One-hot is wasteful: 35 numbers to say one. It is still the simplest thing that a convolution can work with. Count
# the bytes of a batch of the paper's size, 32 maps of 256 x 512, as ids in one byte and as one-hot channels in
# float32.

# %% tags=["nbval-check-output"]
pixels = 32 * 256 * 512
print(f"ids, one byte each:      {pixels / 2**20:6.0f} MiB")
print(f"one-hot, 36 x 4 bytes:   {pixels * 36 * 4 / 2**20:6.0f} MiB")

# %% [markdown] tags=["core"] minutes=2
# ## Resizing label maps
#
# SPADE needs the label map at many sizes, from 4 x 8 up to the full image. Photographs are resized by averaging. Take
# the 4 x 4 map to 2 x 2, once by copying the nearest pixel and once by averaging. How many of the four averaged pixels
# will hold an id that the map doesn't have? (A number.)

# %% tags=["core"] minutes=3
predict("00-invented", ...)
import matplotlib.pyplot as plt
from torch.nn import functional as F

ids = toy[None, None].float()
nearest = F.interpolate(ids, size=(2, 2), mode="nearest")[0, 0]
bilinear = F.interpolate(ids, size=(2, 2), mode="bilinear", align_corners=False)[0, 0]
maps = [toy, nearest, bilinear]
titles = ["4 x 4", "2 x 2, nearest", "2 x 2, bilinear"]
figure, axes = plt.subplots(1, 3, figsize=(8, 2.8))
for ax, title, tile in zip(axes, titles, maps):
    ax.imshow(CITYSCAPES.colourise(tile.round().long()).numpy())  # ids are names: colours of classes, no scale
    show.write_numbers(ax, tile.numpy())
    ax.set_title(title)
    ax.axis("off")
show.finish(figure, "The ids before and after.")
reveal("00-invented", int((~torch.isin(bilinear, toy)).sum()))

# %% tags=["nbval-check-output"]
from spade_edu.labels import resize_segmap

small = resize_segmap(segmap, (2, 2))  # (1, 35, 4, 4) -> (1, 35, 2, 2)
assert torch.equal(small.argmax(dim=1)[0], nearest.long())
print("values after resize_segmap:", small.unique().tolist())
print(small.argmax(dim=1)[0])

# %% [markdown] tags=["core"] minutes=2
# Averaging ids invents ids: 16.5 lies between tunnel (16) and pole (17). Nearest neighbour copies the pixel at one
# position and forgets its neighbours. It may lose things (road and building are gone here), but it never makes a class
# up. Now the same mistake on a whole street. The right picture marks each pixel whose class none of its four pixels
# had.

# %% tags=["core"] minutes=2
whole = sample.label[None, None].float()
half = [height // 2, width // 2]
right = F.interpolate(whole, size=half, mode="nearest")[0, 0].long()
wrong = F.interpolate(whole, size=half, mode="bilinear", align_corners=False)[0, 0].round().long()
own = F.unfold(whole, 2, stride=2).view(4, *half)  # the four pixels that each new one covers
invented = (own != wrong).all(0)
tiles = [CITYSCAPES.colourise(right), CITYSCAPES.colourise(wrong), CITYSCAPES.colourise(wrong * invented)]
titles = ["nearest", "bilinear, rounded", "in none of its four pixels"]
show.pictures(tiles, titles, width=3.4, caption="Half the size, in two ways; right: where the second is wrong.")
assert (own == right).any(0).all() and invented.sum() > 100

# %% [markdown]
# The seams run along most borders between two classes: sky beside building, road beside pavement. Nobody labelled what
# stands there.

# %% [markdown]
# ## Instances and their edges
#
# Two cars that touch become one long car in a label map. An **instance map** tells them apart. Cityscapes writes class
# x 1000 + number for countable things, and the plain class id for the rest. A second toy map, 5 x 7 pixels, road with
# two cars:

# %%
objects = torch.full((5, 7), 7)
objects[1:4, 0:3], objects[1:4, 3:6] = 26000, 26001
show.maps(
    [objects > 7, objects == 26000, objects == 26001],
    ["class car", "first car", "second car"],
    numbers=True,
    diverging=False,
    caption="One class, two objects.",
)

# %% [markdown] tags=["core"] minutes=2
# The number of objects differs from picture to picture, so they can't have a channel each. pix2pixHD's answer, which
# SPADE keeps: a single channel that is 1 **where the instance id differs from any of the four neighbours**. Mark the
# pixels of the toy map yourself. How many of the 18 pixels of the two cars stay 0?

# %% tags=["core"] minutes=3
from spade_edu import instance_edges

predict("00-edges", ...)

edges = instance_edges(objects[None])  # (1, 5, 7) -> (1, 1, 5, 7)
show.maps([edges[0, 0]], ["edges"], numbers=True, diverging=False, caption="The edge channel of the toy map.")
reveal("00-edges", int((edges[0, 0][objects > 7] == 0).sum()))

# %% [markdown]
# Both sides of a border are marked. Check it by the definition, one pixel at a time. At the rim of the picture there is
# no neighbour, and nothing wraps around from the other side.


# %%
def edge_by_hand(ids, y, x):
    beside = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
    inside = [(j, i) for j, i in beside if 0 <= j < 5 and 0 <= i < 7]
    return float(any(ids[y, x] != ids[j, i] for j, i in inside))


by_definition = torch.tensor([[edge_by_hand(objects, y, x) for x in range(7)] for y in range(5)])
assert torch.equal(by_definition, edges[0, 0])

# %% tags=["nbval-check-output"]
cars = torch.tensor([[26000, 26000, 26000, 26001, 26001, 26001]])  # two cars that touch, in one row
print(instance_edges(cars[None]).int().flatten().tolist())

# %%
edge = instance_edges(sample.instance[None])[0, 0]
numbers = sample.instance.unique(return_inverse=True)[1]  # 0, 1, 2, ... for the objects of this picture
palette = torch.randint(40, 256, (int(numbers.max()) + 1, 3), generator=torch.Generator().manual_seed(3)).byte()
drawn = (255 * (1 - edge)).byte()[..., None].expand(-1, -1, 3)
tiles = [sample.image, CITYSCAPES.colourise(sample.label), palette[numbers], drawn]
titles = ["image", "label map", "instances, random colours", "edges"]
show.pictures(
    tiles,
    titles,
    columns=2,
    width=4.5,
    caption="One street and its objects.",
)

# %% [markdown]
# In the label map the dark car and the yellow one beside it run together. In the edges there is a line between them,
# and that line is all that the generator will know about objects.

# %% [markdown] tags=["core"] minutes=1
# ## What a network gets
#
# `labels.encode` does it all: one-hot classes, then the edges as one more channel. The result is called `segmap`
# everywhere in this course; the official code calls its number of channels `semantic_nc`. Cityscapes has 35 ids.

# %% tags=["nbval-check-output"]
segmap = CITYSCAPES.encode(sample.label[None], sample.instance[None])
print("segmap", tuple(segmap.shape))  # (1, 35 + 1, 64, 128)
assert torch.equal(segmap[:, :35], one_hot(sample.label[None], 35))
assert torch.equal(segmap[0, 35], edge)

# %%
chosen = [7, 11, 23, 21, 26, 35]
titles = [f"{c}: {CITYSCAPES.names[c]}" for c in chosen[:-1]] + ["35: edges"]
show.maps(segmap[0, chosen], titles, columns=3, diverging=False, caption="Six of the 36 channels of segmap.")

# %% [markdown]
# Each of these maps is nearly empty, and most of the 36 are entirely so. That is as it should be: exactly one of the
# first 35 is 1 at each pixel. Every generator of this course is called as `G(segmap)` and every discriminator as
# `D(segmap, image)`.

# %% [markdown]
# ## "Don't care"
#
# Not every pixel has a label. Where annotators skipped a region, COCO-Stuff, ADE20K and CamVid say "unknown", and
# that gets **a channel of its own** after the classes: the network is told that it isn't told. Cityscapes has no such
# channel, because its void regions have ids of their own (0 to 6).

# %% tags=["nbval-check-output"]
from spade_edu import CAMVID

unknown = CAMVID.num_classes  # 11, the id after the last class
strip = torch.tensor([[[CAMVID.id("road"), CAMVID.id("car"), unknown]]])  # (1, 1, 3)
encoded = CAMVID.encode(strip)  # (1, 12, 1, 3)
print("CamVid: shape", tuple(encoded.shape), "and the last id is", CAMVID.names[unknown])
print("channels that are on:", encoded.argmax(dim=1).flatten().tolist())

# %% tags=["nbval-check-output"]
from spade_edu.data import ade20k, coco_stuff

print("             classes + don't care + edges = channels")
for space in [CITYSCAPES, ade20k.LABELS, coco_stuff.LABELS, CAMVID]:
    parts = f"{space.num_classes:7} + {space.dont_care:10} + {space.instances:5}"
    print(f"{space.name:12} {parts} = {space.num_channels:8}")

# %% [markdown]
# 36, 151 and 184 are the channels of the published checkpoints. Forget one and the weights don't fit.
#
# "Don't care" is an *input* matter. What counts in the *score* is another table: Cityscapes scores 19 of its classes,
# by their trainIds.

# %% tags=["nbval-check-output"]
for name in ["road", "sidewalk", "sky", "car", "static", "parking"]:
    score = int(CITYSCAPES.to_score_ids(torch.tensor(CITYSCAPES.id(name))))
    print(f"{name:10} id {CITYSCAPES.id(name):2}  trainId {score:3}", "(not scored)" * (score == 255))

# %% [markdown]
# ### Deep dive: how rare is rare?
#
# mIoU gives each scored class the same weight, however few pixels it has. Count the pixels of fifty streets: by what
# factor does the most frequent class exceed the rarest?

# %%
from spade_edu.data.validation import pixel_shares

shares = pixel_shares(lab.val, range(0, len(lab.val), max(1, len(lab.val) // 50)))
order = shares.argsort(descending=True)[: int((shares > 0).sum())]
names = [lab.labels.names[i] for i in order]
print(f"{names[0]} has {shares[order[0]] / shares[order[-1]]:.0f} times as many pixels as {names[-1]}")
figure, ax = plt.subplots(figsize=(7, 4.2))
ax.barh(names, 100 * shares[order], color="#56B4E9")
ax.set(xscale="log", xlabel="share of pixels in percent (log scale)")
ax.invert_yaxis()
show.finish(figure, "Shares of the classes. A score by class gives each the same weight.")

# %% [markdown]
# ## One geometry for everything
#
# In training, pictures are resized, cropped and mirrored at random. The label map, the instance map and the image
# must go through the *same* crop and the *same* flip. The colours may be interpolated; the ids may not.

# %%
import numpy as np
from PIL import Image
from spade_edu.data import JointTransform
from spade_edu.pictures import to_uint8

photo = Image.fromarray(to_uint8(sample.image).numpy())
label = sample.label.int().numpy()
transform = JointTransform(64, 128, load=(96, 192), augment=True)
crops = [transform(photo, label, None, np.random.default_rng(seed)) for seed in range(4)]
tiles = [c[0] for c in crops] + [CITYSCAPES.colourise(c[1]) for c in crops]
show.pictures(
    tiles,
    [f"draw {i}" for i in range(4)],
    caption="Four random crops and flips of one pair.",
)

# %% [markdown]
# What if they don't? Flip the image, forget the label map, and paint one over the other. No shape is wrong and no
# error is raised, but the network would learn that cars are made of façades.

# %%
colours = CITYSCAPES.colourise(sample.label).float().permute(2, 0, 1) / 127.5 - 1
blends = [(sample.image + colours) / 2, (sample.image.flip(-1) + colours) / 2]
show.pictures(
    blends,
    ["together", "image flipped, labels not"],
    columns=2,
    width=4.5,
    caption="Laying the label map over the image is the quickest check of a data set.",
)

# %% [markdown]
# ## Files, and what goes wrong with them
#
# Streets can write itself to disk in the layout of Cityscapes, so the reader for the one reads the other, and we have
# something to break. Two scenes, four pictures each:

# %% tags=["nbval-check-output"]
import shutil
from spade_edu.data.streets import write

shutil.rmtree("pairs", ignore_errors=True)  # what an earlier run may have left spoilt
write("pairs", train=1, val=1, height=64, width=128)
files = sorted(Path("pairs").rglob("*.png"))
for file in files:
    print(file.as_posix())

# %% [markdown]
# The reader checks every file as it is read. Mistakes of yours come back as one line: what was expected, what came,
# and the likeliest repair. The function below puts another picture in the place of a label map and prints that line.

# %%
from spade_edu import UserError
from spade_edu.data import Cityscapes

label_file = next(file for file in files if "train" in file.parts and "labelIds" in file.name)
ids = np.array(Image.open(label_file))  # uint8 (64, 128)


def read_with(picture, **options):
    picture.save(label_file, **options)
    try:
        label = Cityscapes("pairs", "train", height=64, width=128)[0].label
        print("Read without complaint: ids", label.unique().tolist())
    except UserError as error:
        print(error)


# %% tags=["nbval-check-output"]
train_ids = CITYSCAPES.to_score_ids(torch.from_numpy(ids)).byte().numpy()
colours = CITYSCAPES.colourise(torch.from_numpy(ids)).numpy()
for mistake, picture in {"trainIds": train_ids, "colours": colours, "half of it": ids[:, :64]}.items():
    print(mistake.upper(), end=": ")
    read_with(Image.fromarray(picture))
print("A JPEG", end=": ")
read_with(Image.fromarray(ids), format="JPEG")  # whatever its name says

# %% [markdown]
# TrainIds are what a *segmentation* network is trained on, and many label maps that you find hold them. The value 255
# gave them away.

# %% [markdown]
# ### Deep dive: what JPEG does to ids
#
# A JPEG deserves a word: it stores blurred blocks of 8 x 8, not pixels. Flat areas survive; in every block that a
# border crosses, ids come back a little wrong. That is enough:

# %%
import io

memory = io.BytesIO()
Image.fromarray(ids).save(memory, format="JPEG", quality=75)
spoilt = torch.from_numpy(np.array(Image.open(memory)))
changed = (spoilt != torch.from_numpy(ids)).float().mean()
tiles = [CITYSCAPES.colourise(torch.from_numpy(ids)), CITYSCAPES.colourise(spoilt.clamp(max=34))]
show.pictures(
    tiles,
    ["ids from PNG", f"after JPEG: {changed:.0%} of the ids changed"],
    columns=2,
    width=4.5,
    caption="Quality 75.",
)
assert changed > 0.2

# %% [markdown] tags=["core"] minutes=2
# ## The mistake that no check can catch
#
# Suppose a map of trainIds has no unscored pixel. All its values, 0 to 18, are valid ids: of *other* classes. The
# reader can't know. Sky has trainId 10. As what will a sky be read? (A word; the table of ids is `CITYSCAPES.names`.)

# %% tags=["core", "nbval-check-output"] minutes=2
predict("00-trainids", ...)
train_ids[train_ids == 255] = 0
read_with(Image.fromarray(train_ids))

# %% tags=["core"] minutes=3
fooled = torch.from_numpy(train_ids)
for name in ["road", "building", "sky", "vegetation", "car"]:
    print(f"{name:10} was read as {CITYSCAPES.names[int(CITYSCAPES.to_score_ids(torch.tensor(CITYSCAPES.id(name))))]}")
tiles = [CITYSCAPES.colourise(torch.from_numpy(ids)), CITYSCAPES.colourise(fooled)]
show.pictures(
    tiles, ["as labelled", "trainIds read as ids"], columns=2, width=4.5, caption="One file, read in two ways."
)
reveal("00-trainids", "rail track")
Image.fromarray(ids).save(label_file)  # repair it
assert torch.equal(Cityscapes("pairs", "train", height=64, width=128)[0].label.byte(), torch.from_numpy(ids))

# %% [markdown]
# Valid to the program, nonsense to you. So the last check is your eye. `spade-edu data preview` draws such pictures for
# any data set and `spade-edu data check` reads every file of it. Do both before you train for a night. In memory,
# `encode` guards the door once more:

# %% tags=["nbval-check-output"]
for label, instance in [(toy[None] + 20, toy[None]), (toy[None], None)]:
    try:
        CITYSCAPES.encode(label, instance)
    except UserError as error:
        print(type(error).__name__ + ":", error, "\n")

# %% [markdown]
# The first line came from ids beyond the table, the second from forgetting the instances.

# %% [markdown]
# ### Deep dive: a file without its partner
#
# Unpacked half an archive? Delete the only instance map of the training split and ask as `spade-edu data check` does.
# Then put it back and ask again.

# %% tags=["nbval-check-output"]
from spade_edu.data.validation import check_split, open_for_check

instance_file = next(file for file in files if "train" in file.parts and "instanceIds" in file.name)
content = instance_file.read_bytes()
instance_file.unlink()
try:
    open_for_check("cityscapes", "pairs", "train")
except UserError as error:
    print(error)
restored = instance_file.write_bytes(content)

# %% tags=["nbval-check-output"]
report = check_split(open_for_check("cityscapes", "pairs", "train"), "train")
print("good:", report.good, " published:", report.published, " problems:", report.problems)

# %% [markdown]
# ### Deep dive: Streets beside Cityscapes
#
# Streets copies Cityscapes in ids, colours, instances and files, not in looks. If you have Cityscapes (`spade-edu
# data get cityscapes` says how), the lower row shows it; else it shows the scene that you just wrote to disk, read by
# the very same class.

# %%
from spade_edu.data.catalogue import find

folder = find("cityscapes")
other = Cityscapes(folder or "pairs", "val", height=64, width=128)[0]
tiles = [sample.image, CITYSCAPES.colourise(sample.label), other.image, CITYSCAPES.colourise(other.label)]
titles = ["Streets", "", "Cityscapes" if folder else "Streets, read as Cityscapes", ""]
show.pictures(
    tiles,
    titles,
    columns=2,
    width=4.5,
    caption="One label space and one reader for both.",
)

# %% [markdown]
# ## Your labels, a picture
#
# Label maps are not only something to learn from: you can write them. The package comes with a small SPADE generator,
# trained on Streets for a few minutes. Move a few ids about and watch. Change this cell as you like; ids, areas,
# everything. (Both pictures get the same noise z, so that only the map can make them differ.)

# %%
from spade_edu.sampling import generate
from spade_edu.runs.loading import load_stored

generator = load_stored("spade").generator
edited = sample.label.clone()
edited[edited == CITYSCAPES.id("building")] = CITYSCAPES.id("vegetation")
edited[20:44, 48:80] = CITYSCAPES.id("bus")
objects = torch.where(edited == sample.label, sample.instance, edited.int())

# %%
from spade_edu.data import stack

pair = stack([sample, sample._replace(label=edited, instance=objects)])
z = torch.randn(1, generator.z_dim, generator=torch.Generator().manual_seed(0)).expand(2, -1)
painted = generate(generator, pair, CITYSCAPES, z=z)  # (2, 3, 64, 128)
tiles = [*CITYSCAPES.colourise(pair.label), *painted]
show.pictures(
    tiles, ["as labelled", "as edited"], columns=2, width=4.5, caption="Below: what the stored SPADE generator paints."
)

# %% [markdown] tags=["core"] minutes=3
# ## Summary
#
# - A label map holds one class id per pixel; ids are names and must not be averaged.
# - Networks get `segmap`: one-hot classes, then "don't care" where the data set has one, then instance edges
#   (Cityscapes 36, ADE20K 151, COCO-Stuff 184 channels).
# - Label maps are resized by nearest neighbour, images by interpolation, both with the same crop and flip.
# - Instance edges mark both sides of a border between objects.
# - The package catches wrong files with one line, but maps of trainIds may pass: look at your data.

# %% [markdown]
# ## Questions
#
# 1. Why may you resize `segmap` by bilinear interpolation without inventing classes, and why does the course still
#    not do it?
#
# <details><summary>Answer</summary>In one-hot channels an average is a mixture, (0.5, 0.5), not a third class. But
# the network has only ever seen zeros and ones, and SPADE's code uses nearest neighbour at every layer.</details>
#
# 2. Two parked cars don't touch. Do the edges help to tell them apart?
#
# <details><summary>Answer</summary>No: the label map already does. Edges matter where two objects of one class
# touch.</details>
#
# 3. A friend's Cityscapes model paints sky where the road should be. What do you ask first?
#
# <details><summary>Answer</summary>Whether the label maps hold ids or trainIds: every value from 0 to 18 is valid in
# both and means different classes.</details>

# %% [markdown]
# ## Next
#
# **Exercise:** [00_data](../exercises/00_data.ipynb): write one-hot encoding and instance edges yourself, the first
# two parts of your own file, `my_spade.py`.
#
# **Stage 01** takes the first step towards the network: batch norm, the layer that SPADE changes, from four numbers
# by hand.
