"""From a configuration to networks: which generator, discriminator and encoder a name stands for."""

from typing import NamedTuple

import torch
from torch import nn

from .discriminators import MultiScaleDiscriminator
from .encoder import StyleEncoder
from .errors import UserError
from .generators import Pix2PixHDGenerator, SPADEGenerator, latent_size
from .initialisation import init_pix2pixhd, init_spade
from .labels import LabelSpace
from .training import TrainingConfig


class Networks(NamedTuple):
    """What a Trainer takes."""

    generator: nn.Module
    discriminator: nn.Module
    encoder: nn.Module | None


def spade(config: TrainingConfig, channels: int) -> Networks:
    """SPADE as published; with config.style also the style encoder."""
    generator = SPADEGenerator(
        channels,
        latent=latent_size((config.height, config.width), config.num_upsampling_layers),
        num_upsampling_layers=config.num_upsampling_layers,
        ngf=config.ngf,
        z_dim=config.z_dim if config.style else None,
        hidden_channels=config.hidden_channels,
    )
    encoder = None
    if config.style:
        size = min(256, 2 ** (min(config.height, config.width).bit_length() - 1))
        encoder = init_spade(StyleEncoder(nef=config.ngf, z_dim=config.z_dim, image_size=size))
    discriminator = MultiScaleDiscriminator(channels, ndf=config.ndf)
    return Networks(init_spade(generator), init_spade(discriminator), encoder)


def pix2pixhd(config: TrainingConfig, channels: int) -> Networks:
    """pix2pixHD's global generator and discriminator: instance norm, no spectral norm, normal initialisation."""
    generator = _pix2pixhd_generator(config, channels, norm="instance", spectral=False)
    discriminator = MultiScaleDiscriminator(channels, ndf=config.ndf, spectral=False, bias=True)
    return Networks(init_pix2pixhd(generator), init_pix2pixhd(discriminator), None)


def pix2pixhd_pp(config: TrainingConfig, channels: int) -> Networks:
    """pix2pixHD++: every improvement of the SPADE paper except SPADE (spectral norm, sync batch norm, Glorot)."""
    generator = _pix2pixhd_generator(config, channels, norm="syncbatch", spectral=True)
    return Networks(init_spade(generator), init_spade(MultiScaleDiscriminator(channels, ndf=config.ndf)), None)


def _pix2pixhd_generator(config: TrainingConfig, channels: int, **options) -> Pix2PixHDGenerator:
    factor = 2**config.num_downsampling
    if config.height % factor or config.width % factor:
        raise UserError(
            f"pix2pixHD halves the size {config.num_downsampling} times, so height and width must be multiples of "
            f"{factor}; got {config.height}x{config.width}."
        )
    return Pix2PixHDGenerator(
        channels,
        ngf=config.ngf,
        num_downsampling=config.num_downsampling,
        num_blocks=config.num_blocks,
        **options,
    )


MODELS = {"spade": spade, "pix2pixhd": pix2pixhd, "pix2pixhd++": pix2pixhd_pp}


def build(config: TrainingConfig, labels: LabelSpace) -> Networks:
    """The networks of config.model for a label space, initialised from config.seed."""
    if config.model not in MODELS:
        raise UserError(f"There is no model {config.model!r}; there are: {', '.join(MODELS)}.")
    torch.manual_seed(config.seed)
    return MODELS[config.model](config, labels.num_channels)


def count_parameters(network: nn.Module) -> int:
    """Number of trainable numbers."""
    return sum(p.numel() for p in network.parameters())
