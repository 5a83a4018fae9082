"""What an evaluation does to images and labels before it counts anything: the part of Table 1 that nobody published.

SPADE's authors released no evaluation code. Papers that re-scored SPADE wrote their own and differ in the sizes at
which the segmenter sees images and meets labels, and in what the Fréchet distance compares with; a score means
something only together with these choices. A `Protocol` writes them down.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn import functional as F

from ..errors import UserError

# label: the size of the untouched label map; generated: the size of the generated images; square: the same with
# the width cut down to the height
Size = Literal["label", "generated", "square"]
LONGEST = 1000  # pixels of the long side of what UPerNet's own evaluation feeds
UPERNETS = ("upernet101-baseline", "upernet101")  # SPADE's (issue 39), and its successor of July 2019
FIVE_SCALES = (300, 375, 450, 525, 600)  # its short sides: config/ade20k-resnet101-upernet.yaml


@dataclass(frozen=True)
class Protocol:
    """One way of scoring generated images on one data set.

    segmenter: whose predictions are scored; "" where none is published.
    fed, filter: size of the images that it sees, and the filter that brings them there.
    multiple: both sides are then rounded up to a multiple of this (UPerNet's own code; by stretching).
    short_sides: in place of `fed`, UPerNet's own evaluation: the image's short side at each of these, the long one at
        most 1000; the probabilities of all are averaged.
    direct: the segmenter enlarges its logits to the labels' size in one step, as UPerNet's own code does.
    compared: size at which predictions and labels meet; "fed" shrinks labels by nearest neighbour, "label" enlarges
        scores bilinearly (logits or log-probabilities: the class that wins is the same).
    ignored: the target values that don't count, whatever is predicted there.
    absent: what a class without ground truth, or with little, does to the mean (see segmentation.py).
    images: how many generated images the published figure is computed from; None: as many as there are.
    real_split, real_size, real_filter: the photographs that the Fréchet distance compares with, and their size.
    origin: who does it so, and how sure that is.
    full: Streets is rendered, so its full size ("label") is a choice: this many times the generated size.
    """

    name: str
    data: str
    segmenter: str
    fed: Size
    filter: Literal["bilinear", "bicubic"]
    multiple: int
    compared: Literal["fed", "label"]
    ignored: tuple[int, ...]
    absent: Literal["skip", "zero", "gt", "rare"]
    images: int | None
    real_split: Literal["val", "train", "test"]
    real_size: Size
    real_filter: Literal["bilinear", "bicubic"]
    origin: str
    full: int = 2
    short_sides: tuple[int, ...] = ()
    direct: bool = False

    def look(
        self, segmenter: Callable[..., Tensor], image: Float[Tensor, "n 3 h w"], label_size: tuple[int, int]
    ) -> Float[Tensor, "n c y x"]:
        """What the segmenter says of images: class scores for `meet`."""
        generated_size = image.shape[2], image.shape[3]
        if self.short_sides:
            fed = [self._round_up(*scaled(generated_size, side)) for side in self.short_sides]
            looks = [segmenter(resize_image(image, size, self.filter), label_size).softmax(1) for size in fed]
            return torch.stack(looks).mean(0)
        seen = self.feed(image, label_size, generated_size)
        if self.direct and self.compared == "label":
            return segmenter(seen, label_size)
        return segmenter(seen)

    def feed(
        self, image: Float[Tensor, "n 3 h w"], label_size: tuple[int, int], generated_size: tuple[int, int]
    ) -> Float[Tensor, "n 3 y x"]:
        """The images as the segmenter sees them, in [-1, 1]."""
        size = self._round_up(*resolve(self.fed, label_size, generated_size))
        return resize_image(image, size, self.filter)

    def meet(
        self, scores: Float[Tensor, "n c y x"], label: Integer[Tensor, "n h w"]
    ) -> tuple[Integer[Tensor, "n y2 x2"], Integer[Tensor, "n y2 x2"]]:
        """Predicted and true classes at one size."""
        if self.compared == "label":
            size = label.shape[1:]
            if scores.shape[2:] != size:
                scores = F.interpolate(scores, size=size, mode="bilinear", align_corners=False)
        else:
            label = resize_label(label, (scores.shape[2], scores.shape[3]))
        return scores.argmax(1), label

    def real(self, image: Float[Tensor, "n 3 h w"], generated_size: tuple[int, int]) -> Float[Tensor, "n 3 y x"]:
        """Photographs as they enter the Fréchet distance."""
        size = resolve(self.real_size, (image.shape[2], image.shape[3]), generated_size)
        return resize_image(image, size, self.real_filter)

    def _round_up(self, height: int, width: int) -> tuple[int, int]:
        return math.ceil(height / self.multiple) * self.multiple, math.ceil(width / self.multiple) * self.multiple


def scaled(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    """(height, width) with the short side given and the aspect kept, but no side longer than LONGEST; rounded down."""
    height, width = size
    scale = min(short_side / min(size), LONGEST / max(size))
    return int(height * scale), int(width * scale)


def resolve(size: Size, label_size: tuple[int, int], generated_size: tuple[int, int]) -> tuple[int, int]:
    """A protocol's size in pixels, (height, width)."""
    if size == "square":
        return generated_size[0], generated_size[0]
    return label_size if size == "label" else generated_size


def resize_image(image: Float[Tensor, "n 3 h w"], size: tuple[int, int], filter: str) -> Float[Tensor, "n 3 y x"]:
    """Resize images in [-1, 1] as Pillow does: antialiased where they shrink, bicubic's overshoot cut off."""
    if tuple(image.shape[2:]) == tuple(size):
        return image
    return F.interpolate(image, size=size, mode=filter, align_corners=False, antialias=True).clamp(-1, 1)


def resize_label(label: Integer[Tensor, "n h w"], size: tuple[int, int]) -> Integer[Tensor, "n y x"]:
    """Take the source pixel under each target pixel's centre, as Pillow's nearest neighbour does."""
    return F.interpolate(label[:, None].double(), size=size, mode="nearest-exact")[:, 0].to(label.dtype)


# The segmenters of SPADE's section 4 and the customs of their own code. Streets has a judge of its own.
_ADE20K: dict = dict(segmenter="upernet101", multiple=32, direct=True, ignored=(255,), absent="zero")
_OWN_CODE: dict[str, dict] = {
    "cityscapes": dict(segmenter="drn_d_105", multiple=1, ignored=(255,), absent="skip", images=500),
    "ade20k": dict(**_ADE20K, images=2000),
    "ade20k-outdoor": dict(**_ADE20K, images=None),
    "coco-stuff": dict(segmenter="deeplabv2_resnet101", multiple=1, ignored=(255,), absent="gt", images=5000),
    "streets": dict(segmenter="Streets judge", multiple=1, ignored=(255,), absent="skip", images=None),
    # For these nobody published one: their images have distances only.
    "camvid": dict(segmenter="", multiple=1, ignored=(255,), absent="skip", images=None),
    "flickr-landscapes": dict(segmenter="", multiple=1, ignored=(255,), absent="skip", images=None),
    "folder": dict(segmenter="", multiple=1, ignored=(255,), absent="skip", images=None),
}

_CHOICES: dict[str, dict] = {
    "streets": dict(
        fed="generated", filter="bicubic", compared="fed", absent="rare",
        real_split="test", real_size="generated", real_filter="bicubic", full=1,
        origin="this package, for Streets: everything at the generated size, distance to twice as many other scenes, "
        "mean over the classes that hold at least 0.5 % of the pixels.",
    ),
    "own": dict(
        fed="generated", filter="bicubic", compared="fed",
        real_split="val", real_size="generated", real_filter="bicubic",
        origin="this package, for data sets without a published segmenter: a judge trained on the training pictures "
        "(evaluation/own_judge.py), everything at the generated size, distance to the photographs that are scored.",
    ),
    "paper": dict(
        fed="label", filter="bilinear", compared="label", real_split="val", real_size="label", real_filter="bicubic",
        origin="best-supported reading of SPADE's section 4, which follows CRN and pix2pixHD and states no sizes. "
        "Enlarging the images to the label's size gave others the published mIoU on Cityscapes (OASIS, issue 18). The "
        "authors answered a question about sizes (issue 39), but no copy of the answer could be read; someone who "
        "followed it shrank the label maps bilinearly and got 62.2 (issue 100). FID: pytorch-fid \"pretty much out of "
        "the box\" (issue 14), whose network was torchvision's then: --fid-network torchvision-2019. ",
    ),
    "csail": dict(
        fed="generated", filter="bilinear", compared="label", short_sides=FIVE_SCALES,
        real_split="val", real_size="generated", real_filter="bicubic",
        origin="UPerNet's own evaluation (CSAIL, semantic-segmentation-pytorch: eval.py and the configuration of July "
        "2019): five scales of the generated image, probabilities averaged at the label's size. Until then eval.py had "
        "one scale by default, 450. Which of them scored Table 1 nobody has said. FID as under `paper`.",
    ),
    "oasis": dict(
        fed="generated", filter="bicubic", compared="fed",
        real_split="val", real_size="generated", real_filter="bicubic",
        origin="OASIS (Schoenfeld et al. 2021): labels shrunk to the generated size (an author's reply, issue 5; its "
        "repository has no segmentation score); FID against the validation photographs at that size (its code, and a "
        "reply in issue 2).",
    ),
    "clade": dict(
        fed="generated", filter="bicubic", compared="fed",
        real_split="train", real_size="square", real_filter="bicubic",
        origin="CLADE (Tan et al. 2021): labels shrunk to the generated size (the author's reply, issue 3; its "
        "repository has no segmentation score); FID against the training photographs at 256x256, Cityscapes' at "
        "512x256 (its README and code, which resizes bilinearly where it resizes; how the stored statistics were made "
        "isn't said: bicubic is taken here).",
    ),
    "gan-compression": dict(
        fed="generated", filter="bicubic", compared="label",
        real_split="val", real_size="generated", real_filter="bicubic",
        origin="GAN Compression (Li et al. 2020), code (metric/cityscapes_mIoU.py): the segmenter's log-probabilities "
        "are enlarged to the label's size, not the images.",
    ),
    "cc-fpse": dict(
        fed="generated", filter="bicubic", compared="fed",
        real_split="val", real_size="generated", real_filter="bicubic",
        origin="CC-FPSE (Liu et al. 2019), an author's reply about COCO-Stuff (issue 4): the segmenter sees the "
        "generated images as they are, labels are shrunk to them. Its repository has no score of any kind; validation "
        "photographs at the generated size are taken for FID here.",
    ),
}  # fmt: skip

# Those of others that any data set may be scored with; "streets" is for Streets alone, "csail" for
# ADE20K, "own" for a command that trains its judge (`reproduce`).
NAMES = tuple(name for name in _CHOICES if name not in ("streets", "own", "csail"))


def protocol(name: str, data: str, segmenter: str = "") -> Protocol:
    """A named protocol on a data set; a UserError where either is unknown.

    name: "paper", "oasis", "clade", "gan-compression" or "cc-fpse"; on Streets also "streets", on ADE20K also "csail".
    data: a name of spade_edu.data. segmenter: on ADE20K another than the protocol's, one of UPERNETS.
    """
    if name not in _CHOICES:
        raise UserError(f"there is no protocol {name!r}: expected one of {', '.join(_CHOICES)}.")
    if data not in _OWN_CODE:
        raise UserError(f"there is no protocol for {data!r}: expected one of {', '.join(_OWN_CODE)}.")
    if name == "streets" != data:
        raise UserError(f"the protocol 'streets' is for Streets, not {data}: expected one of {', '.join(NAMES)}.")
    if name == "own" and _OWN_CODE[data]["segmenter"]:
        raise UserError(f"the protocol 'own' is for data sets without a segmenter, not {data}.")
    if name == "csail" and not data.startswith("ade20k"):
        raise UserError(f"the protocol 'csail' is for ADE20K, not {data}: expected one of {', '.join(NAMES)}.")
    if segmenter and not (segmenter in UPERNETS and data.startswith("ade20k")):
        raise UserError(f"the segmenter can be chosen on ADE20K only, {' or '.join(UPERNETS)}; got {segmenter!r}.")
    choices = _OWN_CODE[data] | _CHOICES[name] | _exceptions(name, data)
    return Protocol(name=name, data=data, **choices | ({"segmenter": segmenter} if segmenter else {}))


def _exceptions(name: str, data: str) -> dict[str, Any]:
    """What a protocol does otherwise on one data set."""
    origin, ade20k = _CHOICES[name]["origin"], data.startswith("ade20k")
    found: dict[str, Any] = {}
    if ade20k and name in ("paper", "csail", "cc-fpse"):  # CC-FPSE took the networks of SPADE's issue 39 (its issue 4)
        found["segmenter"] = UPERNETS[0]
    if name == "paper":
        found |= _papers_photographs(data, origin)
    if (name, data) == ("clade", "cityscapes"):
        found["real_size"] = "generated"
    if (name, data) == ("cc-fpse", "streets"):  # to show what squeezing does: nobody has said it of Cityscapes
        found["fed"] = "square"
    if (name, data) == ("gan-compression", "coco-stuff"):
        code = "code (metric/coco_scores.py): images enlarged to the label's size."
        found |= dict(fed="label", origin=f"GAN Compression (Li et al. 2020), {code}")
    if name == "gan-compression" and ade20k:
        found["origin"] = f"{origin} ADE20K it never scored."
    return found


def _papers_photographs(data: str, origin: str) -> dict[str, Any]:
    """The real side that the FID of the paper can have had, and what else there is to say."""
    if not _OWN_CODE[data]["segmenter"]:
        return dict(origin="pytorch-fid's way: the distance to the validation photographs as they are.")
    if data in ("cityscapes", "streets"):
        void = (
            "The published Cityscapes accuracy (81.9) counts void pixels as wrong (TSIT, issue 1): accuracy_with_void"
        )
        return dict(origin=f"{origin}Real side: the validation photographs as they are. {void} compares with it.")
    stacked = (
        "pytorch-fid of 2019 stacks a batch (its commit 40f37ca), so they had one size: the generated one is a guess."
    )
    return dict(real_size="generated", origin=f"{origin}Real side: the validation photographs. {stacked}")


def default_protocol(data: str) -> str:
    """The protocol of a data set where none is asked for."""
    return "streets" if data == "streets" else "paper"


# mIoU, accuracy, FID of SPADE in the paper's Table 1. COUNTS_VOID: where that accuracy counts void pixels as wrong; for
# the others nobody has said.
PAPER_ROW = {
    "coco-stuff": (37.4, 67.9, 22.6),
    "ade20k": (38.5, 79.9, 33.9),
    "ade20k-outdoor": (30.8, 82.9, 63.3),
    "cityscapes": (62.3, 81.9, 71.8),
}
COUNTS_VOID = ("cityscapes",)
