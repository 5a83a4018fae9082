"""CRN (Chen & Koltun, "Photographic Image Synthesis with Cascaded Refinement Networks", ICCV 2017).

No discriminator. A cascade of modules, each at twice the resolution of the one before, is told the label map at every
resolution; it is trained by regression, on what a classifier sees in the image rather than on the pixels alone. One
label map has many right pictures, and regression to all of them blurs: so the network may paint nine at once, and only
the best of the nine is held against the photograph, for each class by itself.

Departures of the small version: fewer and narrower modules, all label channels of the data set (the paper's 19 classes
and "other", no instance edges); constants of the loss measured on the first batch, where the authors set them by hand
to the same end; torchvision's weights of VGG-19, or on Streets the second opinion. Training sees a thousand images, not
600,000: enough for one picture a label map, not for nine that all look finished.
"""

import dataclasses
from collections.abc import Callable, Sequence
from http.client import HTTPException

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ..blocks import replace_modules
from ..config import TrainingConfig
from ..data.base import Dataset, Sample
from ..errors import UserError
from ..generators import Generator
from ..models import feature_network
from ..pretrained.perceptual import VGGFeatures
from ..sampling import to_batch
from .common import minimise

PAPER_WIDTHS = (1024, 1024, 1024, 1024, 1024, 512, 512)  # at heights 4, 8 ... 256
LR = 2e-3  # the paper: 1e-4, one image a step, 200 epochs
MEAN_SHARE = 0.1  # of images that don't win; the paper's 0.001 leaves them unpainted in so short a run
Features = Callable[[Tensor], Sequence[Tensor]]


def layer_norm(channels: int) -> nn.Module:
    """y = gamma_c (x - mean) / sqrt(var + 1e-12) + beta_c; mean and variance over channels and pixels of one sample.

    Unlike instance norm it keeps a channel that is constant over the picture apart from other channels.
    """
    return nn.GroupNorm(1, channels, eps=1e-12)


def average_labels(segmap: Float[Tensor, "n l H W"], size: tuple[int, int]) -> Float[Tensor, "n l h w"]:
    """The label map at a coarser size: each pixel holds the share of every class in its area."""
    if segmap.shape[-2:] == size:
        return segmap
    return F.interpolate(segmap, size=size, mode="area")


class RefinementModule(nn.Module):
    """One resolution: features of the last one, enlarged, beside the label map; twice 3x3 conv, layer norm, LeakyReLU.

    x: (n, fin, h, w), or None in the first module (fin 0); segmap: (n, l, H, W); y: (n, width, *size).
    """

    def __init__(self, fin: int, label_channels: int, width: int):
        super().__init__()
        layers = []
        for channels in (fin + label_channels, width):
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), layer_norm(width), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)

    def forward(
        self, x: Float[Tensor, "n fin h w"] | None, segmap: Float[Tensor, "n l H W"], size: tuple[int, int]
    ) -> Float[Tensor, "n width h2 w2"]:
        """Refine at `size`."""
        labels = average_labels(segmap, size)
        if x is None:
            return self.layers(labels)
        x = F.interpolate(x, size=size, mode="bilinear", align_corners=True)
        return self.layers(torch.cat([x, labels], dim=1))


class CRN(Generator):
    """G(segmap, z=None) -> image in [-1, 1], (n, 3, H, W) for segmap (n, label_channels, H, W).

    widths: channels of each module, coarsest first; H and W are multiples of 2^(modules - 1).
    images: k > 1 gives k answers to one label map (`candidates`), and z_dim k: without z the first is given, with z
        (n, k) the one whose number in z is the largest, so z from N(0, 1) draws one at random.
    """

    def __init__(self, label_channels: int, *, widths: tuple[int, ...] = PAPER_WIDTHS, images: int = 1):
        super().__init__(label_channels, images if images > 1 else None)
        pairs = zip((0, *widths), widths)
        self.cascade = nn.ModuleList(RefinementModule(fin, label_channels, width) for fin, width in pairs)
        self.to_images = nn.Conv2d(widths[-1], 3 * images, 1)

    def candidates(self, segmap: Float[Tensor, "n l H W"]) -> Float[Tensor, "n k 3 H W"]:
        """All answers, not yet limited to [-1, 1]: no tanh."""
        height, width = segmap.shape[-2:]
        x: Tensor | None = None
        for i, module in enumerate(self.cascade):
            times = 2 ** (len(self.cascade) - 1 - i)
            x = module(x, segmap, (height // times, width // times))
        return self.to_images(x).unflatten(1, (-1, 3))

    def forward(
        self, segmap: Float[Tensor, "n l H W"], z: Float[Tensor, "n k"] | None = None
    ) -> Float[Tensor, "n 3 H W"]:
        """Paint the label map."""
        images = self.candidates(segmap).clamp(-1, 1)
        choice = torch.zeros(len(segmap), dtype=torch.long, device=segmap.device) if z is None else z.argmax(1)
        return images[torch.arange(len(segmap), device=segmap.device), choice]


class AveragePooledVGG(VGGFeatures):
    """VGG-19 as CRN uses it: ReLU outputs of conv1_2, 2_2, 3_2, 4_2 and 5_2, average instead of max pooling.

    image: (n, 3, h, w) in [-1, 1], normalised as torchvision's weights expect. weights: their name in torchvision;
    None: untrained.
    """

    _ends = (4, 9, 14, 23, 32)
    mean: Tensor
    deviation: Tensor

    def __init__(self, weights: str | None = "IMAGENET1K_V1"):
        super().__init__(weights)
        replace_modules(self, nn.MaxPool2d, lambda pool: nn.AvgPool2d(2))
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None])
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225])[:, None, None])

    def forward(self, image: Float[Tensor, "n 3 h w"]) -> list[Float[Tensor, "n _ _ _"]]:
        """The five feature maps."""
        return super().forward(((image + 1) / 2 - self.mean) / self.deviation)


class RegressionLoss(nn.Module):
    """CRN's loss: weighted mean absolute errors of the image and of its feature maps.

    `weights` come from the first batch that it meets, one over each error, so that all terms start at 1.

    features: from images (n, 3, h, w) in [-1, 1] to feature maps.
    mean_share: how much the images count that don't win, see best_of_many.
    """

    def __init__(self, features: Features, *, mean_share: float = 0.001):
        super().__init__()
        self.features, self.mean_share = features, mean_share
        self.weights: list[float] | None = None

    def layers(self, image: Float[Tensor, "n 3 h w"]) -> list[Tensor]:
        """What is compared: the image, then its feature maps."""
        return [image, *(f.float() for f in self.features(image))]

    def table(
        self, fakes: Float[Tensor, "n k 3 h w"], real: Float[Tensor, "n 3 h w"], masks: Float[Tensor, "n l h w"]
    ) -> Float[Tensor, "n k l"]:
        """The error of each of k images in each class: sum over layers of weight mean(mask error); masks in [0, 1]."""
        with torch.no_grad():
            targets = self.layers(real)
        answers = [a.unflatten(0, fakes.shape[:2]) for a in self.layers(fakes.flatten(0, 1))]
        errors = [(a - b[:, None]).abs().mean(2) for a, b in zip(answers, targets)]
        if self.weights is None:
            self.weights = [1 / error.mean().item() for error in errors]
        tables = []
        for weight, error in zip(self.weights, errors):
            shares = average_labels(masks, error.shape[-2:])
            tables.append(weight * torch.einsum("nkhw,nlhw->nkl", error, shares) / error[0, 0].numel())
        return torch.stack(tables).sum(0)

    def forward(
        self, fakes: Float[Tensor, "n k 3 h w"], real: Float[Tensor, "n 3 h w"], masks: Float[Tensor, "n l h w"]
    ) -> Float[Tensor, ""]:
        """The diversity loss; with one image (k = 1) and masks that add up to 1, plain mean absolute errors."""
        return best_of_many(self.table(fakes, real, masks), self.mean_share)


def best_of_many(table: Float[Tensor, "n k l"], mean_share: float = 0.001) -> Float[Tensor, ""]:
    """Sum over classes of (1 - mean_share) minimum over the k images + mean_share mean over them; mean over the batch.

    Each class is free to be best in another image. The mean keeps images alive that never win.
    """
    return ((1 - mean_share) * table.amin(1) + mean_share * table.mean(1)).sum(-1).mean()


def regression_features(config: TrainingConfig) -> Features:
    """The feature maps that config.features names; none where lambda_vgg is 0 (regression on pixels).

    Errors: a UserError where VGG-19's weights can be neither found nor downloaded.
    """
    if config.lambda_vgg == 0:
        return lambda image: []
    if config.features != "vgg":
        network, _ = feature_network(config, torch.device("cpu"))
        assert network is not None  # as lambda_vgg is above 0
        return network
    try:
        return AveragePooledVGG()
    except (OSError, RuntimeError, HTTPException) as error:
        raise UserError(f"CRN's loss needs the weights of VGG-19 ({error}): set features='second_opinion'.") from error


def small_widths(config: TrainingConfig) -> tuple[int, ...]:
    """Widths for heights 4, 8 ... config.height: 2 ngf at full size, doubling towards the coarse, at most 16 ngf."""
    times = config.height // 4
    if config.height != 4 * times or times & (times - 1) or config.width % times:
        raise UserError(
            f"CRN starts at height 4 and doubles, so the height must be 4, 8, 16 ... and the width a multiple of a "
            f"quarter of it; got {config.height}x{config.width}."
        )
    ngf, count = config.generator_width, times.bit_length()
    return tuple(min(16 * ngf, ngf * 2 ** (count - i)) for i in range(count))


def train_crn(
    dataset: Dataset, config: TrainingConfig, *, steps: int, seed: int, progress: bool = False, images: int = 1
) -> CRN:
    """Train by regression alone: no discriminator, no encoder.

    config: height, width, batch size, generator_width (of the finest module), features, lambda_vgg (0: compare pixels
        only), precision and memory format count.
    steps: batches to train for. seed: of weights and order. progress: show a bar.
    images: answers to one label map; 9 for the paper's diversity.
    Gives the generator in evaluation mode. Errors: a UserError where the height isn't 4, 8, 16 ..., the batch is larger
    than the data set, or the weights of VGG-19 can't be had.
    """
    config = dataclasses.replace(config, seed=seed)
    torch.manual_seed(seed)
    labels = dataset.labels
    network = CRN(labels.num_channels, widths=small_widths(config), images=images)
    regression = RegressionLoss(regression_features(config), mean_share=MEAN_SHARE)

    def loss(sample: Sample) -> Tensor:
        batch = to_batch(sample, labels, torch.device("cpu"), config.channels_last)
        masks = batch["segmap"][:, : labels.num_ids]
        return regression(network.candidates(batch["segmap"]).float(), batch["image"], masks)

    return minimise(network, loss, dataset, config, lr=LR, steps=steps, progress=progress)
