"""Scoring generated images under a protocol."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from ..errors import UserError
from ..pretrained.judge import Judge
from .frechet import FeatureStatistics
from .images import Originals, from_bytes
from .protocol import Protocol, resize_image
from .segmentation import ConfusionMatrix, in_the_mean, iou, mean_iou, pixel_accuracy

KEPT = 5000  # feature vectors kept for the kernel distance: all of every validation split
BATCH = 16


class Features(NamedTuple):
    """A feature space. extract: images in [-1, 1] to (n, d); name: of the space.

    distance, kernel: what the Fréchet and the kernel distance in it are called.
    """

    extract: Callable[[Float[Tensor, "n 3 h w"]], Float[Tensor, "n d"]]
    name: str
    distance: str
    kernel: str


class Judges(NamedTuple):
    """Who judges, on `device`: a segmenter, (n, 3, h, w) in [-1, 1] to logits (n, c, h, w), and features.

    None: not asked.
    """

    segmenter: nn.Module | None
    features: Features | None
    device: torch.device = torch.device("cpu")


@dataclass(frozen=True)
class Scores:
    """The figures of one set of images under one protocol.

    n: images scored; n_real: photographs that the distance compares with.
    miou, accuracies and iou in [0, 1]; miou_interval, accuracy_interval: 95 % bootstrap intervals over images.
    accuracy: over the pixels that the protocol counts; accuracy_with_void: over all, void ones as wrong.
    averaged: the classes that miou is the mean of.
    distance and kernel, in `features`, under distance_name and kernel_name (FID and KID only in the published
    Inception features). None: not computed.
    """

    protocol: Protocol
    n: int
    miou: float | None = None
    miou_interval: tuple[float, float] | None = None
    accuracy: float | None = None
    accuracy_interval: tuple[float, float] | None = None
    accuracy_with_void: float | None = None
    iou: dict[str, float] = field(default_factory=dict)
    averaged: tuple[str, ...] = ()
    features: str | None = None
    distance_name: str | None = None
    distance: float | None = None
    kernel_name: str | None = None
    kernel: float | None = None
    n_real: int | None = None

    def as_dict(self) -> dict:
        """For JSON, the protocol written out in full."""
        return asdict(self)

    def row(self) -> dict:
        """What tables and reports keep: miou, both accuracies, fd, iou by class and what fd is called."""
        figures = dict(miou=self.miou, accuracy=self.accuracy, accuracy_with_void=self.accuracy_with_void)
        return figures | dict(fd=self.distance, iou=self.iou, distance_name=self.distance_name)


def judges_of(
    plan: Protocol,
    *,
    segmentation: bool = True,
    distance: bool = True,
    device: torch.device,
    fid_network: str = "",
    size: tuple[int, int] = (64, 128),
) -> Judges:
    """Who judges under a protocol: the published networks of its data set, or Streets' own judge.

    segmentation, distance: leave out the segmenter, or the features, where False. fid_network: a name of
    inception.FID_NETWORKS; "" is today's pytorch-fid. Streets has none to choose. size: (height, width) of the images.
    Errors: a UserError where nothing is left that could judge, or weights are missing.
    """
    if segmentation and not plan.segmenter:
        segmentation = _without_segmenter(plan.data, distance)
    options: dict = dict(segmentation=segmentation, distance=distance, device=device)
    if plan.data != "streets":
        return published_judges(plan.segmenter, **options, fid_network=fid_network or "pytorch-fid")
    if fid_network:
        raise UserError("--fid-network is for photographs: on Streets its own judge has the features.")
    if plan.name != "streets":
        return streets_judges(**options)
    return streets_judges(**options, at_one_size=False, size=size)


def _without_segmenter(data: str, distance: bool) -> bool:
    """Say that nobody can segment; False."""
    if not distance:
        raise UserError(f"no segmenter is published for {data}: without distances there is nothing to score.")
    warnings.warn(f"no segmenter is published for {data}: mIoU and accuracy are left out.", stacklevel=3)
    return False


def published_judges(
    segmenter_name: str, *, segmentation: bool, distance: bool, device: torch.device, fid_network: str = "pytorch-fid"
) -> Judges:
    """A published segmenter and the FID network, from the weights folder (see weights.py)."""
    from .inception import FID_NETWORKS, inception
    from .segmenters import load_segmenter

    segmenter = load_segmenter(segmenter_name).to(device) if segmentation else None
    if not distance:
        return Judges(segmenter, None, device)
    network = inception(network=fid_network).to(device)
    _, *names = FID_NETWORKS[fid_network]
    return Judges(segmenter, Features(lambda x: network((x + 1) / 2), *names), device)


def streets_judges(
    *,
    segmentation: bool,
    distance: bool,
    device: torch.device,
    at_one_size: bool = True,
    size: tuple[int, int] = (64, 128),
) -> Judges:
    """The judge of Streets, which comes with the package; its figures are never called FID or KID.

    at_one_size: show it every image at the size of the scenes that it was trained on. size: of these scenes.
    """
    from ..pretrained.judge import load_judge, trained_at

    trained = load_judge(trained_at("judge", size)).to(device)
    judge = AtOneSize(trained) if at_one_size else trained
    features = Features(judge.features, "Streets judge", "FD (Streets judge)", "KD (Streets judge)")
    return Judges(judge if segmentation else None, features if distance else None, device)


class AtOneSize(nn.Module):
    """Streets' judge at the size of the scenes that it was trained on, as the FID network always sees 299x299.

    Images are brought to that size and logits back, for it never saw objects of any other size.
    """

    def __init__(self, judge: Judge, size: tuple[int, int] = (64, 128)):
        super().__init__()
        self.judge, self.size = judge, size

    def forward(self, image: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c h w"]:
        """Class logits at the image's size."""
        logits = self.judge(resize_image(image, self.size, "bilinear"))
        return F.interpolate(logits, size=image.shape[2:], mode="bilinear", align_corners=False)

    def features(self, image: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """The judge's features."""
        return self.judge.features(resize_image(image, self.size, "bilinear"))


@torch.inference_mode()
def score(
    generated: Sequence[UInt8[Tensor, "3 h w"]],
    originals: Originals,
    protocol: Protocol,
    judges: Judges,
    real: FeatureStatistics | None = None,
    fake: FeatureStatistics | None = None,
    *,
    seed: int = 0,
) -> Scores:
    """Score images 0..255 against the labels that they were made from, and against real photographs.

    generated[i] belongs to originals[i]. real, fake: what `real_statistics` and `generated_statistics` gathered, needed
    where judges have features. seed: of the bootstrap.
    Errors: a UserError where the numbers of images and labels differ.
    """
    if len(generated) != len(originals):
        raise UserError(f"{len(generated)} generated images for {len(originals)} label maps: expected one for each.")
    scores: dict = {}
    if judges.segmenter is not None:
        scores |= _segmentation(generated, originals, protocol, judges, seed)
    if judges.features is not None:
        if real is None or fake is None:
            raise UserError("a Fréchet distance needs both sides: real_statistics and generated_statistics.")
        scores |= dict(
            features=judges.features.name, n_real=real.n,
            distance_name=judges.features.distance, distance=fake.distance(real),
            kernel_name=judges.features.kernel, kernel=fake.kernel_distance(real),
        )  # fmt: skip
    return Scores(protocol, len(generated), **scores)


@torch.inference_mode()
def real_statistics(
    originals: Originals, protocol: Protocol, judges: Judges, generated_size: tuple[int, int]
) -> FeatureStatistics:
    """Features of real photographs, resized as the protocol says; worth saving, for they never change."""
    assert judges.features is not None
    statistics = FeatureStatistics(judges.features.name, KEPT, real_side(protocol, originals, generated_size))
    for i in tqdm(range(len(originals)), "real features", leave=False, disable=None):
        image = from_bytes(originals[i].image[None].to(judges.device))
        statistics.update(judges.features.extract(protocol.real(image, generated_size)))
    return statistics


def real_side(protocol: Protocol, originals: Originals, generated_size: tuple[int, int]) -> str:
    """One line that says what real statistics are of; two of the same line are interchangeable."""
    size = "full size" if protocol.real_size == "label" else f"{protocol.real_size} {generated_size}"
    files = originals.fingerprint()  # other data in the same layout has other names
    return f"{len(originals)} of {protocol.data} {protocol.real_split}, {size}, {protocol.real_filter}{files}"


@torch.inference_mode()
def generated_statistics(generated: Sequence[UInt8[Tensor, "3 h w"]], judges: Judges) -> FeatureStatistics:
    """Features of the generated images at their own size."""
    assert judges.features is not None
    statistics = FeatureStatistics(judges.features.name, KEPT, "generated")
    for batch in tqdm(list(_batches(len(generated))), "generated features", leave=False, disable=None):
        images = torch.stack([generated[i] for i in batch]).to(judges.device)
        statistics.update(judges.features.extract(from_bytes(images)))
    return statistics


def _segmentation(
    generated: Sequence[UInt8[Tensor, "3 h w"]], originals: Originals, protocol: Protocol, judges: Judges, seed: int
) -> dict:
    """mIoU, accuracies and per-class IoU with intervals; one image at a time, for full sizes may differ."""
    assert judges.segmenter is not None
    names = originals.labels.score_names
    tallies, void = [], 0
    for i in tqdm(range(len(generated)), "segmentation", leave=False, disable=None):
        image, label = from_bytes(generated[i][None].to(judges.device)), originals[i].label[None].to(judges.device)
        confusion = ConfusionMatrix(len(names), ignored=protocol.ignored)
        scores = protocol.look(judges.segmenter, image, (label.shape[1], label.shape[2]))
        confusion.update(*protocol.meet(scores, label))
        tallies.append(torch.stack(confusion.tallies()).cpu())
        void += int(confusion.void)
    each = torch.stack(tallies)
    summary = dict(zip(("miou", "accuracy"), summarise(each.sum(0), protocol.absent)))
    intervals = bootstrap(each, protocol.absent, seed=seed)
    hits, in_target, predicted = each.sum(0)
    summary["accuracy_with_void"] = pixel_accuracy(hits, in_target, predicted, void).item()
    per_class = {n: value.item() for n, value in zip(names, iou(hits, in_target, predicted)) if not value.isnan()}
    averaged = tuple(n for n, is_in in zip(names, in_the_mean(in_target, predicted, protocol.absent)) if is_in)
    return summary | dict(miou_interval=intervals[0], accuracy_interval=intervals[1], iou=per_class, averaged=averaged)


def summarise(tallies: Int64[Tensor, "*b 3 c"], absent: str) -> tuple:
    """(mIoU, accuracy) of tallies (hits, in target, predicted); floats, or tensors (b,) of a batch of them."""
    hits, in_target, predicted = tallies.unbind(-2)
    everything = torch.ones(tallies.shape[-1], dtype=torch.bool)
    values = mean_iou(hits, in_target, predicted, everything, absent), pixel_accuracy(hits, in_target, predicted)
    return values if tallies.ndim > 2 else tuple(v.item() for v in values)


def bootstrap(
    tallies: Int64[Tensor, "n 3 c"], absent: str, *, draws: int = 1000, seed: int = 0
) -> tuple[tuple[float, float], tuple[float, float]]:
    """95 % intervals of mIoU and accuracy: images drawn with replacement, percentiles of the figures they give.

    draws: how many sets of n images, drawn from `seed`.

    Not for Fréchet and kernel distance: an image that is drawn twice looks like a loss of diversity to them.
    """
    n, _, classes = tallies.shape
    drawn = torch.randint(n, (draws, n), generator=torch.Generator().manual_seed(seed))
    times = torch.zeros(draws, n, dtype=torch.float64).scatter_add_(1, drawn, torch.ones(draws, n).double())
    sums = (times @ tallies.reshape(n, -1).double()).long().view(draws, 3, classes)
    miou, accuracy = summarise(sums, absent)
    return _interval(miou), _interval(accuracy)


def _interval(values: Float[Tensor, "b"]) -> tuple[float, float]:
    low, high = torch.nanquantile(values, torch.tensor([0.025, 0.975], dtype=values.dtype)).tolist()
    return low, high


def _batches(count: int) -> Iterator[range]:
    for start in range(0, count, BATCH):
        yield range(start, min(start + BATCH, count))
