"""The objectives: hinge and least-squares GAN losses, feature matching, perceptual loss, KL divergence.

`real` and `fake` are what a discriminator returns: for each scale, finest first, the list of feature maps, prediction
last. Every function gives one unweighted scalar; the weights stand in `TrainingConfig`.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
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
    target = float(is_real)
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


VGG_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)  # of VGG-19's five maps, fine to coarse (official code)


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


def _average(values: list[Tensor]) -> Tensor:
    return torch.stack(values).mean()
