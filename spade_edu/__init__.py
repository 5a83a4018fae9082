"""Semantic image synthesis with spatially-adaptive normalization (SPADE), built stage by stage.

The names here are those that a notebook imports; they follow the course: labels, norms, blocks, generators,
discriminators, encoder, losses, training.
"""

from .fast import threads as threads  # before whatever loads torch

# isort: split
from .blocks import ResnetBlock, SPADEResnetBlock
from .config import TrainingConfig
from .discriminators import MultiScaleDiscriminator, PatchDiscriminator
from .encoder import StyleEncoder, reparameterise
from .errors import UserError
from .generators import Pix2PixHDGenerator, SPADEGenerator, latent_size
from .labels import CAMVID, CITYSCAPES, IGNORE, LabelClass, LabelError, LabelSpace, instance_edges, one_hot
from .normalization import SPADE, BatchNorm2d, InstanceNorm2d, SyncBatchNorm
from .spectral import SpectralConv2d
from .training import Trainer

__all__ = [
    "CAMVID",
    "CITYSCAPES",
    "IGNORE",
    "SPADE",
    "BatchNorm2d",
    "InstanceNorm2d",
    "LabelClass",
    "LabelError",
    "LabelSpace",
    "MultiScaleDiscriminator",
    "PatchDiscriminator",
    "Pix2PixHDGenerator",
    "ResnetBlock",
    "SPADEGenerator",
    "SPADEResnetBlock",
    "SpectralConv2d",
    "StyleEncoder",
    "SyncBatchNorm",
    "Trainer",
    "TrainingConfig",
    "UserError",
    "instance_edges",
    "latent_size",
    "one_hot",
    "reparameterise",
]
