"""Fréchet distance and kernel distance between two sets of feature vectors.

With the features of the published Inception network (`inception.py`) they are called FID and KID; with any
other features they are not, and whoever prints them says which features they are.
"""

import warnings
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor

from ..errors import UserError
from ..files import write_whole_with

ROUNDING = torch.finfo(torch.float64).eps
Array = Tensor | np.ndarray


def frechet_distance(mu1: Array, cov1: Array, mu2: Array, cov2: Array) -> float:
    """Squared Fréchet distance of two Gaussians: |mu1 - mu2|^2 + tr(C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2).

    mu: (d,), cov: (d, d), symmetric and positive semi-definite, singular or not. Computed in float64.
    Equal to the usual (C1 C2)^1/2 (Heusel et al. 2017, eq. 6), but of a symmetric matrix: no general matrix
    square root, no imaginary parts, no constant added to a singular covariance.
    Errors: a UserError where shapes do not fit or a number is not finite.
    """
    mu1, cov1, mu2, cov2 = (torch.as_tensor(a).detach().cpu().double() for a in (mu1, cov1, mu2, cov2))
    _check(mu1, cov1, mu2, cov2)
    separate = ((mu1 - mu2).square().sum() + cov1.trace() + cov2.trace()).item()
    factor1 = _factor(cov1)
    overlap, uncertainty = _overlap(factor1, cov2)
    distance = separate - 2 * overlap
    if uncertainty > 1e-7 * abs(distance):
        distance = separate - 2 * _overlap_by_svd(factor1, _factor(cov2))
    return max(distance, 0.0)


def _overlap(f: Float64[Tensor, "d rank"], cov2: Float64[Tensor, "d d"]) -> tuple[float, float]:
    """tr (C1^1/2 C2 C1^1/2)^1/2 from eigenvalues, and what rounding may have changed in it.

    Any F with F F^T = C1 will do for C1^1/2: F^T C2 F has the same eigenvalues. Rounding moves each of them
    by at most about `noise`, which is nothing to the large ones but can be all there is of the smallest.
    """
    values = torch.linalg.eigvalsh(f.T @ cov2 @ f).clamp(min=0)
    noise = 10 * ROUNDING * values.max()
    overlap = values.sqrt().sum()
    return overlap.item(), ((values + noise).sqrt().sum() - overlap).item()


def _overlap_by_svd(f1: Float64[Tensor, "d rank1"], f2: Float64[Tensor, "d rank2"]) -> float:
    """The same trace as the sum of singular values of F1^T F2: slower, but never squares a small number."""
    return torch.linalg.svdvals(f1.T @ f2).sum().item()


def _factor(cov: Float64[Tensor, "d d"]) -> Float64[Tensor, "d rank"]:
    """F with F F^T = cov: Cholesky's at full rank, else from the eigenvectors that are not noise."""
    triangle, failed = torch.linalg.cholesky_ex(cov)
    if not failed:
        return triangle
    values, vectors = torch.linalg.eigh(cov)
    kept = values >= len(values) * ROUNDING * values.max()
    return vectors[:, kept] * values[kept].sqrt()


def _check(mu1: Tensor, cov1: Tensor, mu2: Tensor, cov2: Tensor) -> None:
    d = len(mu1)
    shapes = [tuple(a.shape) for a in (mu1, cov1, mu2, cov2)]
    if shapes != [(d,), (d, d), (d,), (d, d)]:
        raise UserError(f"frechet_distance: expected shapes (d,), (d, d), (d,), (d, d), got {shapes}.")
    if not all(a.isfinite().all() for a in (mu1, cov1, mu2, cov2)):
        raise UserError("Fréchet distance: a mean or covariance is not finite; were there two images at least?")


class FeatureStatistics:
    """Mean and covariance of feature vectors, gathered in one pass in float64.

    Batches are merged by their means and scatters (Chan et al. 1979), so any split into batches gives the
    same numbers to rounding. `features` names the feature space; statistics of two spaces are never compared.
    keep: how many of the first vectors are kept as they are, for the kernel distance. about: whose features they are.
    """

    def __init__(self, features: str, keep: int = 0, about: str = ""):
        self.features, self.keep, self.about = features, keep, about
        self.kept: Float32[Tensor, "k d"] = torch.zeros(0, 0)
        self.n = 0
        self.mean: Float64[Tensor, " d"] = torch.zeros(0, dtype=torch.float64)
        self.scatter: Float64[Tensor, "d d"] = torch.zeros(0, 0, dtype=torch.float64)

    def update(self, batch: Float[Tensor, "n d"]) -> None:
        """Take in the feature vectors of n more images."""
        batch = batch.detach().cpu().double()
        if len(self.kept) < self.keep:
            first = batch[: self.keep - len(self.kept)].float()
            self.kept = torch.cat([self.kept, first]) if len(self.kept) else first
        mean = batch.mean(0)
        centred = batch - mean
        scatter = centred.T @ centred
        if self.n == 0:
            self.n, self.mean, self.scatter = len(batch), mean, scatter
            return
        total, shift = self.n + len(batch), mean - self.mean
        self.scatter += scatter + torch.outer(shift, shift) * (self.n * len(batch) / total)
        self.mean = self.mean + shift * (len(batch) / total)
        self.n = total

    def kernel_distance(self, other: "FeatureStatistics") -> float:
        """Kernel distance between the vectors that both sets kept."""
        self._require_same_space(other)
        return kernel_distance(self.kept, other.kept)

    @property
    def cov(self) -> Float64[Tensor, "d d"]:
        """Covariance with the divisor n - 1 (nan for one image)."""
        return self.scatter / (self.n - 1) if self.n > 1 else self.scatter * torch.nan

    def distance(self, other: "FeatureStatistics") -> float:
        """Fréchet distance between the two sets; warns where a set is smaller than the number of features."""
        self._require_same_space(other)
        smallest, d = min(self.n, other.n), len(self.mean)
        if smallest < d:
            warnings.warn(
                f"{smallest} images for {d} features: the covariance is singular, the distance biased upward; "
                "compare it at equal numbers of images only, and look at the kernel distance.",
                stacklevel=2,
            )
        return frechet_distance(self.mean, self.cov, other.mean, other.cov)

    def _require_same_space(self, other: "FeatureStatistics") -> None:
        if self.features != other.features:
            raise UserError(
                f"cannot compare features of {self.features} with features of {other.features}: "
                "gather both sets with the same network, resized alike."
            )

    def save(self, path: str | Path) -> None:
        """Write to a safetensors file (not pickled), whole or not at all; a UserError where it can't be written."""
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        path = Path(path)
        metadata = {"features": self.features, "about": self.about, "n": str(self.n), "keep": str(self.keep)}
        tensors = {name: getattr(self, name).contiguous() for name in ("mean", "scatter", "kept")}
        try:
            write_whole_with(path, lambda part: save_file(tensors, part, metadata))
        except SafetensorError as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"{path} could not be written ({reason}). Is there room, and may it be written?") from None

    @classmethod
    def load(cls, path: str | Path) -> "FeatureStatistics":
        """Read what `save` wrote; a UserError if the file is something else."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "pt") as file:
                notes = file.metadata()
                statistics = cls(notes["features"], int(notes["keep"]), notes["about"])
                statistics.n = int(notes["n"])
                for name in ("mean", "scatter", "kept"):
                    setattr(statistics, name, file.get_tensor(name))
            d = len(statistics.mean)
            if statistics.scatter.shape != (d, d) or statistics.kept.shape[1:] != (d,):
                raise ValueError("shapes that don't belong together")
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path}: expected a file written by FeatureStatistics.save ({error}).") from error
        return statistics


def kernel_distance(x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> float:
    """Unbiased squared maximum mean discrepancy with the kernel k(a, b) = (a.b / d + 1)^3.

    KID where the features are Inception's (Binkowski et al. 2018, section 4). Its expectation does not depend
    on n and m, so it suits a few hundred images; where two sets are alike it can fall a little below 0.
    """
    n, m = len(x), len(y)
    if min(n, m) < 2:
        raise UserError(f"kernel distance needs at least two images on each side, got {n} and {m}.")
    x, y = x.detach().cpu().double(), y.detach().cpu().double()
    kxx, kyy, kxy = (((a @ b.T) / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    within_x = (kxx.sum() - kxx.trace()) / (n * (n - 1))
    within_y = (kyy.sum() - kyy.trace()) / (m * (m - 1))
    return (within_x + within_y - 2 * kxy.mean()).item()
