"""Data sets: one file each, all giving `Sample`s."""

from .base import DataError, Dataset, Sample, stack

__all__ = ["DataError", "Dataset", "Sample", "stack"]
