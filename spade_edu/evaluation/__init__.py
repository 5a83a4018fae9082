"""Scores of generated images: Fréchet distance, KID, mIoU, pixel accuracy, with the protocol in the open."""

from .frechet import FeatureStatistics, frechet_distance, kernel_distance
from .segmentation import ConfusionMatrix

__all__ = ["ConfusionMatrix", "FeatureStatistics", "frechet_distance", "kernel_distance"]
