"""Generators: all are called as G(segmap, z=None) -> image in [-1, 1]."""

from .pix2pixhd import Pix2PixHDGenerator
from .spade import SPADEGenerator, latent_size

__all__ = ["Pix2PixHDGenerator", "SPADEGenerator", "latent_size"]
