"""Generators: all are called as G(segmap, z=None) -> image in [-1, 1]."""

from .base import Generator
from .instance_features import InstanceFeatureEncoder, cluster_features, sample_features
from .pix2pixhd import LocalEnhancer, Pix2PixHDGenerator
from .spade import SPADEGenerator, latent_size
from .variants import ConcatGenerator, ConcatPix2PixHDGenerator, SPADEPix2PixHDGenerator

__all__ = [
    "ConcatGenerator",
    "ConcatPix2PixHDGenerator",
    "Generator",
    "InstanceFeatureEncoder",
    "LocalEnhancer",
    "Pix2PixHDGenerator",
    "SPADEGenerator",
    "SPADEPix2PixHDGenerator",
    "cluster_features",
    "latent_size",
    "sample_features",
]
