"""Scores of generated images: Fréchet distance, KID, mIoU, pixel accuracy, with the protocol in the open."""

from .segmentation import ConfusionMatrix

__all__ = ["ConfusionMatrix"]
