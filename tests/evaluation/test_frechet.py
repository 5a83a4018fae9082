import math
import warnings

import mpmath
import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_fidelity.metric_kid import kernel_mmd

from spade_edu.errors import UserError
from spade_edu.evaluation import FeatureStatistics, frechet_distance, kernel_distance


def gaussian(n, d, decades, seed):
    """Mean and covariance of n correlated samples whose scales span `decades` (singular if n <= d)."""
    g = torch.Generator().manual_seed(seed)
    scale = 10 ** (-decades * torch.arange(d, dtype=torch.float64) / d)
    rotation = torch.linalg.qr(torch.randn(d, d, generator=g, dtype=torch.float64))[0]
    x = torch.randn(n, d, generator=g, dtype=torch.float64) * scale @ rotation
    return x.mean(0), torch.cov(x.T).view(d, d)


def high_precision(mu1, cov1, mu2, cov2):
    """The definition, in 50 decimal digits."""
    with mpmath.workdps(50):
        a, b = mpmath.matrix(cov1.tolist()), mpmath.matrix(cov2.tolist())
        values, vectors = mpmath.eigsy(a)
        root = vectors * mpmath.diag([mpmath.sqrt(max(v, 0)) for v in values]) * vectors.T
        product = mpmath.eigsy(root * b * root, eigvals_only=True)
        shift = sum((mpmath.mpf(p) - mpmath.mpf(q)) ** 2 for p, q in zip(mu1.tolist(), mu2.tolist()))
        traces = sum(a[i, i] + b[i, i] for i in range(a.rows))
        return float(shift + traces - 2 * sum(mpmath.sqrt(max(v, 0)) for v in product))


@pytest.mark.parametrize(
    "n1,n2,d,decades",
    [
        (50, 60, 6, 0),
        (50, 60, 16, 3),
        (40, 50, 12, 5),
        (5, 6, 14, 0),
        (5, 60, 14, 1),
        (60, 5, 14, 1),
        (8, 8, 9, 3),
    ],
)
def test_equals_50_digits_of_the_definition(n1, n2, d, decades):
    one, two = gaussian(n1, d, decades, 1), gaussian(n2, d, decades, 2)
    assert frechet_distance(*one, *two) == pytest.approx(high_precision(*one, *two), rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(0, 2**31))
def test_closed_form_of_commuting_covariances(d, seed):
    # with covariances that share their eigenvectors the distance is |mu1 - mu2|^2 + |sqrt(a) - sqrt(b)|^2
    g = torch.Generator().manual_seed(seed)
    a, b, mu1, mu2 = torch.rand(4, d, generator=g, dtype=torch.float64)
    q = torch.linalg.qr(torch.randn(d, d, generator=g, dtype=torch.float64))[0]
    expected = (mu1 - mu2).square().sum() + (a.sqrt() - b.sqrt()).square().sum()
    got = frechet_distance(mu1, q @ a.diag() @ q.T, mu2, q @ b.diag() @ q.T)
    assert got == pytest.approx(expected.item(), rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 30), st.integers(2, 30), st.integers(1, 20), st.integers(0, 2**31))
def test_symmetric_nonnegative_and_zero_for_equal(n1, n2, d, seed):
    one, two = gaussian(n1, d, 2, seed), gaussian(n2, d, 2, seed + 1)
    there, back = frechet_distance(*one, *two), frechet_distance(*two, *one)
    assert there >= 0 and there == pytest.approx(back, rel=1e-6, abs=1e-12)
    assert frechet_distance(*one, *one) == pytest.approx(0, abs=1e-10)


def test_flat_covariance_is_the_distance_of_the_means():
    zero = torch.zeros(3, 3, dtype=torch.float64)
    assert frechet_distance(torch.ones(3), zero, torch.zeros(3), zero) == pytest.approx(3)


def test_arrays_and_tensors_alike():
    one, two = gaussian(30, 5, 1, 1), gaussian(30, 5, 1, 2)
    arrays = [a.numpy() for a in (*one, *two)]
    assert isinstance(frechet_distance(*arrays), float)
    assert frechet_distance(*arrays) == frechet_distance(*one, *two)


def test_equals_scipy_where_scipy_is_sound():
    one, two = gaussian(900, 256, 1, 1), gaussian(800, 256, 1, 2)
    root = scipy.linalg.sqrtm((one[1] @ two[1]).numpy())
    expected = (one[0] - two[0]).square().sum() + one[1].trace() + two[1].trace() - 2 * np.trace(root).real
    assert frechet_distance(*one, *two) == pytest.approx(expected.item(), rel=1e-9)


@pytest.mark.slow
def test_equals_scipy_on_2048_features():
    one, two = gaussian(5000, 2048, 1, 1), gaussian(4000, 2048, 1, 2)
    root = scipy.linalg.sqrtm((one[1] @ two[1]).numpy())
    expected = (one[0] - two[0]).square().sum() + one[1].trace() + two[1].trace() - 2 * np.trace(root).real
    assert frechet_distance(*one, *two) == pytest.approx(expected.item(), rel=1e-6)


def test_500_images_of_2048_features():
    # Closed form: each set uses its own half of the features, so the covariances do not overlap.
    g = torch.Generator().manual_seed(0)
    x = torch.randn(500, 2048, generator=g, dtype=torch.float64)
    half = torch.arange(2048) < 1024
    mu1, cov1, mu2, cov2 = (
        (x * half).mean(0),
        torch.cov((x * half).T),
        (x * ~half).mean(0),
        torch.cov((x * ~half).T),
    )
    expected = (mu1 - mu2).square().sum() + cov1.trace() + cov2.trace()
    assert frechet_distance(mu1, cov1, mu2, cov2) == pytest.approx(expected.item(), rel=1e-6)


def test_mistakes_give_one_line():
    mu, cov = gaussian(9, 4, 0, 0)
    with pytest.raises(UserError, match="shapes"):
        frechet_distance(mu, cov, mu[:3], cov)
    with pytest.raises(UserError, match="not finite"):
        frechet_distance(mu, cov, mu, cov * math.nan)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 7), st.integers(0, 2**31))
def test_any_batch_size_gives_the_same_statistics(sizes, d, seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(sum(sizes) + 1, d, generator=g) + 1000  # far from 0: a sum of squares would lose digits
    statistics = FeatureStatistics("noise")
    for batch in x.split([*sizes, 1]):
        statistics.update(batch)
    assert statistics.n == len(x)
    assert torch.allclose(statistics.mean, x.double().mean(0), rtol=1e-14)
    assert torch.allclose(statistics.cov, torch.cov(x.double().T).view(d, d), rtol=1e-9, atol=1e-9)


def test_statistics_are_saved_and_read_back(tmp_path):
    statistics = FeatureStatistics("noise", keep=4, about="white")
    statistics.update(torch.randn(5, 3))
    statistics.save(tmp_path / "real.safetensors")
    again = FeatureStatistics.load(tmp_path / "real.safetensors")
    assert (again.features, again.about, again.n) == ("noise", "white", 5)
    assert torch.equal(again.kept, statistics.kept) and len(again.kept) == 4
    assert torch.equal(again.mean, statistics.mean) and torch.equal(again.cov, statistics.cov)
    again.update(torch.randn(2, 3))
    assert again.n == 7
    (tmp_path / "other.safetensors").write_bytes(b"something else")
    with pytest.raises(UserError, match="other.safetensors"):
        FeatureStatistics.load(tmp_path / "other.safetensors")


def test_too_few_images_are_warned_of():
    few, many = FeatureStatistics("noise"), FeatureStatistics("noise")
    few.update(torch.randn(3, 4))
    many.update(torch.randn(9, 4))
    with pytest.warns(UserWarning, match="3 images for 4 features"):
        many.distance(few)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        many.distance(many)


def test_two_feature_spaces_are_never_compared():
    one, two = FeatureStatistics("Inception"), FeatureStatistics("Streets judge")
    with pytest.raises(UserError, match="Inception.*Streets judge"):
        one.distance(two)


def test_kernel_distance_equals_torch_fidelity():
    x, y = torch.randn(20, 6).double(), torch.randn(20, 6).double() + 0.5
    expected = kernel_mmd(x.numpy(), y.numpy())
    assert kernel_distance(x, y) == pytest.approx(expected, rel=1e-9)


def test_kernel_distance_of_kept_vectors():
    x, y = torch.randn(9, 4), torch.randn(7, 4)
    one, two = FeatureStatistics("noise", keep=8), FeatureStatistics("noise", keep=8)
    for part in x.split(3):
        one.update(part)
    two.update(y)
    assert one.kernel_distance(two) == pytest.approx(kernel_distance(x[:8], y))


def test_kernel_distance_is_unbiased():
    # The mean over many small pairs of one distribution is 0, not above it as the biased estimate's would be.
    g = torch.Generator().manual_seed(0)
    values = [kernel_distance(*torch.randn(2, 10, 4, generator=g)) for _ in range(400)]
    assert abs(np.mean(values)) < 4 * np.std(values) / 20
    with pytest.raises(UserError, match="two images"):
        kernel_distance(torch.randn(1, 4), torch.randn(5, 4))
