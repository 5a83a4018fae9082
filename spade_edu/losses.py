"""The objectives: hinge and least-squares GAN losses, feature matching, perceptual loss, KL divergence.

`real` and `fake` are what a discriminator returns: for each scale, finest first, the list of feature maps, prediction
last. Every function gives one unweighted scalar; the weights stand in `TrainingConfig`.
"""

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

Scales = Sequence[Sequence[Tensor]]
Scalar = Float[Tensor, ""]


def hinge_generator(fake: Scales) -> Scalar:
    """-mean D(fake), averaged over scales: the generator raises the verdict on its images, without limit."""
    return _average([-scale[-1].mean() for scale in fake])


def hinge_discriminator(real: Scales, fake: Scales) -> Scalar:
    """mean relu(1 - D(real)) + mean relu(1 + D(fake)), averaged over scales; zero once real > 1 and fake < -1."""
    return hinge_real(real) + hinge_fake(fake)


def hinge_real(real: Scales) -> Scalar:
    """The half of the discriminator's loss that asks for D(real) > 1."""
    return _average([F.relu(1 - scale[-1]).mean() for scale in real])


def hinge_fake(fake: Scales) -> Scalar:
    """The half of the discriminator's loss that asks for D(fake) < -1."""
    return _average([F.relu(1 + scale[-1]).mean() for scale in fake])


def lsgan(pred: Scales, is_real: bool) -> Scalar:
    """mean (D - 1)^2 if real, mean D^2 if fake, summed over scales (pix2pixHD)."""
    target = 1.0 if is_real else 0.0
    return torch.stack([(scale[-1] - target).square().mean() for scale in pred]).sum()


def feature_matching(fake: Scales, real: Scales) -> Scalar:
    """Mean absolute difference of D's feature maps on fake and real, summed over layers, averaged over scales.

    The prediction itself is left out. The real features count as constants: the generator is to move, not they.
    """
    return _average(
        [torch.stack([F.l1_loss(a, b.detach()) for a, b in zip(f[:-1], r[:-1])]).sum() for f, r in zip(fake, real)]
    )


def kl_divergence(mu: Float[Tensor, "n d"], logvar: Float[Tensor, "n d"]) -> Scalar:
    """KL(N(mu, exp logvar) || N(0, 1)) = -1/2 sum(1 + logvar - mu^2 - exp logvar), in nats.

    A sum over batch and dimensions, as in the official code: its strength grows with the batch.
    """
    return -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum()


def perceptual(
    features: Callable[[Tensor], Sequence[Tensor]],
    weights: Sequence[float],
    fake: Float[Tensor, "n 3 h w"],
    real: Float[Tensor, "n 3 h w"],
) -> Scalar:
    """sum_i weights_i mean |features_i(fake) - features_i(real)|; the real side counts as constant."""
    with torch.no_grad():
        targets = features(real)
    pairs = zip(weights, features(fake), targets)
    return torch.stack([weight * F.l1_loss(a, b) for weight, a, b in pairs]).sum()


VGG_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)


class VGGFeatures(nn.Module):
    """relu1_1, 2_1, 3_1, 4_1 and 5_1 of VGG-19 (n, 64 to 512, h / 1 to h / 16, ...), frozen.

    Images in [-1, 1] go in as they are, without ImageNet's mean and deviation (pix2pixHD's and SPADE's code).
    Errors: an OSError or RuntimeError where the weights can be neither found nor downloaded; a UserError where the file
    found holds anything but them (torchvision itself would run code in it).
    """

    _ends = (2, 7, 12, 21, 30)  # one past each of the five ReLUs in torchvision's list of layers

    def __init__(self, weights: str | None = "IMAGENET1K_V1"):
        super().__init__()
        from torchvision.models import VGG19_Weights, vgg19  # a second to import, so only where it is used

        from .evaluation.weights import load_strictly

        network = vgg19(init_weights=weights is None)
        if weights is not None:
            load_strictly(network, _published(VGG19_Weights[weights]), "VGG-19")
        layers = network.features[: self._ends[-1]]
        starts = (0, *self._ends)
        self.slices = nn.ModuleList(layers[a:b] for a, b in zip(starts, self._ends))
        self.eval().requires_grad_(False)

    def forward(self, image: Float[Tensor, "n 3 h w"]) -> list[Float[Tensor, "n _ _ _"]]:
        """The five feature maps."""
        features = []
        for part in self.slices:
            image = part(image)
            features.append(image)
        return features


def _published(weights: Any) -> dict[str, Tensor]:
    """The state dict of torchvision's weights: from its folder of downloads, else fetched to it, its hash verified."""
    from .evaluation.weights import read_state_dict

    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
    if file.is_file():
        return dict(read_state_dict(file))
    with _download_timeout(10):
        return weights.get_state_dict(progress=True, check_hash=True, weights_only=True)


@contextmanager
def _download_timeout(seconds: float) -> Iterator[None]:
    """Give up a connection that doesn't answer; torchvision itself would wait for minutes."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _average(values: list[Tensor]) -> Tensor:
    return torch.stack(values).mean()
