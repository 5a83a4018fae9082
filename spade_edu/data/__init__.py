"""Data sets: one file each, all giving `Sample`s."""

from .ade20k import ADE20K, ADE20KOutdoor
from .base import DataError, Dataset, Sample, stack
from .camvid import CamVid
from .catalogue import choose, open_dataset, open_splits
from .cityscapes import Cityscapes
from .coco_stuff import COCOStuff
from .flickr_landscapes import FlickrLandscapes
from .folder import Folder
from .streets import Streets
from .transforms import JointTransform

__all__ = [
    "ADE20K",
    "ADE20KOutdoor",
    "COCOStuff",
    "CamVid",
    "Cityscapes",
    "DataError",
    "Dataset",
    "FlickrLandscapes",
    "Folder",
    "JointTransform",
    "Sample",
    "Streets",
    "choose",
    "open_dataset",
    "open_splits",
    "stack",
]
