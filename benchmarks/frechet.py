"""Fréchet distance on 2048 features beside the one with scipy's matrix square root, in one run.

OMP_NUM_THREADS=1 python benchmarks/frechet.py
"""

import time

import numpy as np
import scipy.linalg
import torch

from spade_edu.evaluation import frechet_distance

FEATURES = 2048


def gaussian(images, seed):
    """Mean and covariance of correlated features whose scales span two powers of ten."""
    g = torch.Generator().manual_seed(seed)
    scale = 100 ** -torch.rand(FEATURES, generator=g, dtype=torch.float64)
    mixing = torch.randn(FEATURES, FEATURES, generator=g, dtype=torch.float64) / FEATURES**0.5
    x = torch.randn(images, FEATURES, generator=g, dtype=torch.float64) * scale @ mixing
    return x.mean(0), torch.cov(x.T)


def with_scipy(mu1, cov1, mu2, cov2):
    root = scipy.linalg.sqrtm((cov1 @ cov2).numpy())
    return ((mu1 - mu2).square().sum() + cov1.trace() + cov2.trace()).item() - 2 * np.trace(root).real


def timed(function, *args):
    start = time.perf_counter()
    return function(*args), time.perf_counter() - start


def main():
    frechet_distance(*gaussian(10, 0), *gaussian(10, 0))  # warm-up
    print(f"{'images':>7} {'here, s':>8} {'scipy, s':>9} {'times faster':>13} {'relative difference':>20}")
    for images in (5000, 500):
        one, two = gaussian(images, 1), gaussian(images, 2)
        ours, our_time = timed(frechet_distance, *one, *two)
        theirs, their_time = timed(with_scipy, *one, *two)
        faster, difference = their_time / our_time, abs(ours / theirs - 1)
        print(f"{images:7} {our_time:8.2f} {their_time:9.2f} {faster:13.1f} {difference:20.1e}")


if __name__ == "__main__":
    main()
