"""Scores of generated images: Fréchet distance, KID, mIoU, pixel accuracy, with the protocol in the open."""

from .frechet import FeatureStatistics, frechet_distance, kernel_distance
from .inception import inception
from .segmentation import ConfusionMatrix
from .segmenters import load_segmenter

__all__ = [
    "ConfusionMatrix",
    "FeatureStatistics",
    "frechet_distance",
    "inception",
    "kernel_distance",
    "load_segmenter",
]
