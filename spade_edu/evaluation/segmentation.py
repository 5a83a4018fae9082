"""mIoU and pixel accuracy from a confusion matrix.

The published scores differ in two small ways that move the mean by points, so both are explicit here:

* Which pixels count. A pixel whose *target* is in `ignored` (void, 255, -1) is left out, whatever was
  predicted there; all three data sets do so. An ignored value that is also a class id takes that class out of
  the mean. The accuracy of SPADE's Table 1 on Cityscapes is another one: see `pixel_accuracy`.
* What an absent class does to the mean (`absent`), per data set's own code:
  - "skip" (Cityscapes, DRN): a class neither predicted nor in the ground truth has no IoU and is left out;
  - "gt" (COCO-Stuff, DeepLab): every class that the ground truth lacks is left out, predicted or not, so the
    eleven ids that COCO-Stuff never uses drop out;
  - "zero" (ADE20K, semantic-segmentation-pytorch): an absent class counts as 0 in the mean over all classes;
  - "rare" (Streets): a class with less than 0.5 % of the target's pixels is left out, for a few objects decide its IoU.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Bool, Float, Int64, Integer
from torch import Tensor

from ..errors import UserError

RARE = 0.005  # share of the target's pixels


class ConfusionMatrix:
    """Pixel counts by target class (row) and predicted class (column), summed over all `update`s."""

    def __init__(self, num_classes: int, ignored: Iterable[int] = ()):
        """num_classes: ids are 0 to num_classes - 1. ignored: the target values whose pixels do not count."""
        self.num_classes = num_classes
        self.ignored = tuple(ignored)
        self.counts: Int64[Tensor, "c c"] = torch.zeros(num_classes, num_classes, dtype=torch.int64)
        self.void: Int64[Tensor, ""] = torch.zeros((), dtype=torch.int64)  # pixels that were ignored

    def update(self, prediction: Integer[Tensor, "*size"], target: Integer[Tensor, "*size"]) -> None:
        """Count one batch, on the device that it lies on.

        prediction: class ids 0 .. num_classes - 1. target: the same or ignored values.
        Errors: a UserError where sizes differ or a counted pixel holds an id outside the classes.
        """
        if prediction.shape != target.shape:
            raise UserError(f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} differ in size.")
        counted = torch.ones_like(target, dtype=torch.bool)
        for value in self.ignored:
            counted &= target != value
        self.void = self.void.to(target.device) + (~counted).sum()
        target, prediction = target[counted].long(), prediction[counted].long()
        self._check(target, "target")
        self._check(prediction, "prediction")
        pairs = torch.bincount(target * self.num_classes + prediction, minlength=self.num_classes**2)
        self.counts = self.counts.to(target.device) + pairs.view(self.num_classes, self.num_classes)

    def iou(self) -> Float[Tensor, "c"]:
        """Intersection over union of each class, in [0, 1]; nan for a class neither there nor predicted."""
        return iou(*self.tallies())

    def miou(self, absent: str = "skip") -> float:
        """Mean of the per-class IoU, in [0, 1]; nan if nothing was counted. `absent`: see above."""
        return mean_iou(*self.tallies(), scored=self.scored, absent=absent).item()

    def pixel_accuracy(self) -> float:
        """Share of the counted pixels predicted rightly, in [0, 1]; nan if nothing was counted."""
        return pixel_accuracy(*self.tallies()).item()

    def pixel_accuracy_with_void(self) -> float:
        """Share of all pixels predicted rightly, in [0, 1]: an ignored one can't be right."""
        return pixel_accuracy(*self.tallies(), void=self.void).item()

    def tallies(self) -> tuple[Int64[Tensor, "c"], Int64[Tensor, "c"], Int64[Tensor, "c"]]:
        """Pixels per class: rightly predicted, in the target, predicted. All scores follow from them."""
        return self.counts.diagonal(), self.counts.sum(1), self.counts.sum(0)

    @property
    def scored(self) -> Bool[Tensor, "c"]:
        """The classes that take part in the mean: all but the ignored ones."""
        ids = torch.arange(self.num_classes, device=self.counts.device)
        return ~torch.isin(ids, torch.tensor(self.ignored, dtype=torch.int64, device=ids.device))

    def _check(self, ids: Int64[Tensor, "n"], what: str) -> None:
        if not ids.numel():
            return
        low, high = (int(v) for v in ids.aminmax())
        if low < 0 or high >= self.num_classes:
            strange = low if low < 0 else high
            raise UserError(
                f"the {what} holds class id {strange}: expected 0 to {self.num_classes - 1}. "
                f"Ignored target values are {self.ignored}; is a void value such as 255 missing there?"
            )


def iou(
    hits: Int64[Tensor, "*b c"], in_target: Int64[Tensor, "*b c"], predicted: Int64[Tensor, "*b c"]
) -> Float[Tensor, "*b c"]:
    """IoU = hits / (in_target + predicted - hits) of each class, in [0, 1]; nan where that is 0 / 0."""
    return hits.double() / (in_target + predicted - hits).double()


def mean_iou(
    hits: Int64[Tensor, "*b c"],
    in_target: Int64[Tensor, "*b c"],
    predicted: Int64[Tensor, "*b c"],
    scored: Bool[Tensor, "c"],
    absent: str = "skip",
) -> Float[Tensor, "*b"]:
    """Mean IoU over the scored classes; `absent`: see the head of this file."""
    averaged = scored & in_the_mean(in_target, predicted, absent)
    values = iou(hits, in_target, predicted).nan_to_num(0.0)
    return torch.where(averaged, values, 0.0).sum(-1) / averaged.sum(-1)


def in_the_mean(
    in_target: Int64[Tensor, "*b c"], predicted: Int64[Tensor, "*b c"], absent: str
) -> Bool[Tensor, "*b c"]:
    """Which classes the mean is over, by what there is of each; `absent`: see the head of this file."""
    everything = in_target.sum(-1, keepdim=True)
    if absent == "skip":
        return in_target + predicted > 0
    if absent == "gt":
        return in_target > 0
    if absent == "rare":
        return (in_target >= RARE * everything) & (in_target > 0)
    if absent == "zero":
        # with nothing counted at all there is no score, rather than a score of 0
        return (everything > 0).expand_as(in_target)
    raise UserError(f"absent={absent!r}: expected 'skip', 'zero', 'gt' or 'rare'.")


def pixel_accuracy(
    hits: Int64[Tensor, "*b c"],
    in_target: Int64[Tensor, "*b c"],
    predicted: Int64[Tensor, "*b c"],
    void: Int64[Tensor, "*b"] | int = 0,
) -> Float[Tensor, "*b"]:
    """Hits of all classes / pixels of all classes and `void` more.

    With the ignored pixels as `void` it is the accuracy that Table 1 of the paper prints for Cityscapes, on all public
    evidence: the void of its validation split, 12.58 % of the pixels, turns 93.5 % into 93.5 (1 - 0.1258) = 81.7 %,
    and TSIT (issue 1) says that SPADE and CC-FPSE counted so. Nobody has published the code.
    """
    return hits.sum(-1).double() / (in_target.sum(-1) + void).double()
