"""What an evaluation does to images and labels before it counts anything: the part of Table 1 that nobody published.

SPADE's authors released no evaluation code. Papers that re-scored SPADE wrote their own and differ in the sizes at
which the segmenter sees images and meets labels, and in what the Fréchet distance compares with; a score means
something only together with these choices. A `Protocol` writes them down.
"""

import math
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn import functional as F

from ..errors import UserError

# label: the size of the untouched label map; generated: the size of the generated images; square: the same with
# the width cut down to the height
Size = Literal["label", "generated", "square"]


@dataclass(frozen=True)
class Protocol:
    """One way of scoring generated images on one data set.

    segmenter: whose predictions are scored; "" where none is published.
    fed, filter: size of the images that it sees, and the filter that brings them there.
    multiple: both sides are then rounded up to a multiple of this (UPerNet's own code; by stretching).
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

    def feed(
        self, image: Float[Tensor, "n 3 h w"], label_size: tuple[int, int], generated_size: tuple[int, int]
    ) -> Float[Tensor, "n 3 y x"]:
        """The images as the segmenter sees them, in [-1, 1]."""
        height, width = resolve(self.fed, label_size, generated_size)
        rounded = [math.ceil(side / self.multiple) * self.multiple for side in (height, width)]
        return resize_image(image, (rounded[0], rounded[1]), self.filter)

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
_OWN_CODE: dict[str, dict] = {
    "cityscapes": dict(segmenter="drn_d_105", multiple=1, ignored=(255,), absent="skip", images=500),
    "ade20k": dict(segmenter="upernet101", multiple=32, ignored=(255,), absent="zero", images=2000),
    "ade20k-outdoor": dict(segmenter="upernet101", multiple=32, ignored=(255,), absent="zero", images=None),
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
    "paper": dict(
        fed="label", filter="bilinear", compared="label", real_split="val", real_size="label", real_filter="bicubic",
        origin="best-supported reading of SPADE's section 4, which follows CRN and pix2pixHD and states no sizes: "
        "enlarging to the label's size reproduces the published mIoU on Cityscapes (OASIS, issue 18); pytorch-fid on "
        "the validation photographs as they are. The published Cityscapes accuracy (81.9) counts void pixels as wrong "
        "(TSIT, issue 1): accuracy_with_void compares with it. The published FIDs are of torchvision's Inception: "
        "--fid-network torchvision-2019.",
    ),
    "oasis": dict(
        fed="generated", filter="bicubic", compared="fed",
        real_split="val", real_size="generated", real_filter="bicubic",
        origin="OASIS (Schoenfeld et al. 2021), code: labels shrunk to the generated size, validation photographs too.",
    ),
    "clade": dict(
        fed="generated", filter="bicubic", compared="fed",
        real_split="train", real_size="square", real_filter="bicubic",
        origin="CLADE (Tan et al. 2021), code: labels shrunk to the generated size; FID against the training "
        "photographs at 256x256.",
    ),
    "gan-compression": dict(
        fed="generated", filter="bicubic", compared="label",
        real_split="val", real_size="generated", real_filter="bicubic",
        origin="GAN Compression (Li et al. 2020), code: the segmenter's log-probabilities are enlarged to the label's "
        "size, not the images.",
    ),
    "cc-fpse": dict(
        fed="square", filter="bicubic", compared="fed",
        real_split="val", real_size="generated", real_filter="bicubic",
        origin="CC-FPSE (Liu et al. 2019), code: the segmenter sees 256x256 squares, labels shrunk to them; what its "
        "FID compares with is not known, validation photographs at the generated size are taken here.",
    ),
}  # fmt: skip

NAMES = tuple(name for name in _CHOICES if name != "streets")  # those of others; "streets" is for Streets alone


def protocol(name: str, data: str) -> Protocol:
    """A named protocol on a data set; a UserError where either is unknown.

    name: "paper", "oasis", "clade", "gan-compression" or "cc-fpse"; on Streets also "streets".
    data: a name of spade_edu.data.
    """
    if name not in _CHOICES:
        raise UserError(f"there is no protocol {name!r}: expected one of {', '.join(_CHOICES)}.")
    if data not in _OWN_CODE:
        raise UserError(f"there is no protocol for {data!r}: expected one of {', '.join(_OWN_CODE)}.")
    if name == "streets" != data:
        raise UserError(f"the protocol 'streets' is for Streets, not {data}: expected one of {', '.join(NAMES)}.")
    choices = dict(_CHOICES[name])
    if name == "paper" and not _OWN_CODE[data]["segmenter"]:
        choices |= dict(origin="pytorch-fid's way: the distance to the validation photographs as they are.")
    if (name, data) == ("gan-compression", "coco-stuff"):
        choices |= dict(
            fed="label", origin="GAN Compression (Li et al. 2020), code: images enlarged to the label's size."
        )
    return Protocol(name=name, data=data, **_OWN_CODE[data] | choices)


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
