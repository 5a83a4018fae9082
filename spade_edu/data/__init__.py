"""Data sets: one file each, all giving `Sample`s."""

from .base import DataError, Dataset, Sample, stack
from .camvid import CamVid
from .catalogue import choose, open_dataset
from .cityscapes import Cityscapes
from .folder import Folder
from .transforms import JointTransform

__all__ = [
    "CamVid",
    "Cityscapes",
    "DataError",
    "Dataset",
    "Folder",
    "JointTransform",
    "Sample",
    "choose",
    "open_dataset",
    "stack",
]
