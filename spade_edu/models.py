"""From a configuration to networks: which generator, discriminator and encoder a name stands for."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .blocks import SPADEResnetBlock, replace_modules
from .config import TrainingConfig
from .discriminators import MultiScaleDiscriminator
from .encoder import StyleEncoder
from .errors import UserError
from .fast.recompute import CheckpointedBlock
from .fast.speed_up import speed_up
from .generators import (
    ConcatGenerator,
    ConcatPix2PixHDGenerator,
    Generator,
    Pix2PixHDGenerator,
    SPADEGenerator,
    SPADEPix2PixHDGenerator,
    latent_size,
)
from .initialisation import init_pix2pixhd, init_spade
from .labels import LabelSpace
from .losses import VGG_WEIGHTS
from .presets import ROWS
from .pretrained.judge import SecondOpinion, load_second_opinion, trained_at
from .pretrained.perceptual import vgg_or_none

Network = TypeVar("Network", bound=nn.Module)


@runtime_checkable
class Change(Protocol):
    """A function from a network to one of the same kind."""

    def __call__(self, network: Network, /) -> Network:
        """Change or replace it."""


class Networks(NamedTuple):
    """What a Trainer takes."""

    generator: Generator
    discriminator: MultiScaleDiscriminator
    encoder: StyleEncoder | None

    def to(self, device: str | torch.device) -> "Networks":
        """The same networks, moved to a device."""
        return self.each(lambda network: network.to(device))

    def each(self, change: Change) -> "Networks":
        """What `change` makes of each network that is there."""
        encoder = None if self.encoder is None else change(self.encoder)
        return Networks(change(self.generator), change(self.discriminator), encoder)


def decoder(config: TrainingConfig, channels: int, kind: type[SPADEGenerator]) -> Networks:
    """SPADE as published, or its Concat variant; with config.style also the style encoder."""
    generator = kind(
        channels,
        latent=latent_size((config.height, config.width), config.num_upsampling_layers),
        num_upsampling_layers=config.num_upsampling_layers,
        ngf=config.generator_width,
        z_dim=config.z_dim if config.style or config.noise else None,
        kernel_size=config.kernel_size,
        hidden_channels=config.hidden_channels,
        norm=config.norm,
        spectral=config.spectral,
    )
    encoder = None
    if config.style:
        size = min(256, 2 ** (min(config.height, config.width).bit_length() - 1))
        options: dict = dict(z_dim=config.z_dim, image_size=size, spectral=config.spectral)
        encoder = _start(StyleEncoder(nef=config.generator_width, **options), config)
    return Networks(_start(generator, config), _discriminator(config, channels), encoder)


def encoder_decoder(config: TrainingConfig, channels: int, kind: type[Pix2PixHDGenerator]) -> Networks:
    """pix2pixHD++: every improvement of the SPADE paper except SPADE (spectral norm, sync batch norm, Glorot)."""
    options: dict = dict(norm=config.norm, spectral=config.spectral, bias=False)
    if kind is SPADEPix2PixHDGenerator:
        options |= dict(kernel_size=config.kernel_size, hidden_channels=config.hidden_channels)
    generator = _pix2pixhd_generator(config, channels, kind, **options)
    return Networks(_start(generator, config), _discriminator(config, channels), None)


def pix2pixhd(config: TrainingConfig, channels: int) -> Networks:
    """pix2pixHD's global generator and discriminator: instance norm, no spectral norm, normal initialisation."""
    generator = _pix2pixhd_generator(config, channels, Pix2PixHDGenerator)
    options: dict = dict(**_sizes_d(config), spectral=False, bias=True)
    return Networks(init_pix2pixhd(generator), init_pix2pixhd(MultiScaleDiscriminator(channels, **options)), None)


def _discriminator(config: TrainingConfig, channels: int) -> MultiScaleDiscriminator:
    options: dict = dict(**_sizes_d(config), spectral=config.spectral)
    return _start(MultiScaleDiscriminator(channels, **options), config)


def _sizes_d(config: TrainingConfig) -> dict[str, int]:
    return dict(ndf=config.ndf, num_scales=config.num_scales_d, num_layers=config.num_layers_d)


def _start(network: Network, config: TrainingConfig) -> Network:
    return init_spade(network, config.init_gain, under_spectral_norm=config.init != "official-gpu")


def _pix2pixhd_generator(
    config: TrainingConfig, channels: int, kind: type[Pix2PixHDGenerator], **options: Any
) -> Pix2PixHDGenerator:
    require_halvings(config)
    return kind(
        channels,
        ngf=config.generator_width,
        num_downsampling=config.num_downsampling,
        num_blocks=config.num_blocks,
        **options,
    )


def require_halvings(config: TrainingConfig) -> None:
    """A UserError where pix2pixHD's encoder can't halve the size as often as it does."""
    factor = 2**config.num_downsampling
    if config.height % factor or config.width % factor:
        raise UserError(
            f"pix2pixHD halves the size {config.num_downsampling} times, so height and width must be multiples of "
            f"{factor}; got {config.height}x{config.width}."
        )


MODELS: dict[str, Callable[[TrainingConfig, int], Networks]] = {
    "spade": partial(decoder, kind=SPADEGenerator),
    "concat": partial(decoder, kind=ConcatGenerator),
    "pix2pixhd": pix2pixhd,
    "pix2pixhd++": partial(encoder_decoder, kind=Pix2PixHDGenerator),
    "pix2pixhd++ spade": partial(encoder_decoder, kind=SPADEPix2PixHDGenerator),
    "pix2pixhd++ concat": partial(encoder_decoder, kind=ConcatPix2PixHDGenerator),
}


def build(config: TrainingConfig, labels: LabelSpace | int) -> Networks:
    """The networks of config.model, initialised from config.seed, for a label space or a number of label channels.

    Errors: a UserError for a model that is neither in MODELS nor a row of the paper's tables (presets.ROWS).
    """
    channels = labels if isinstance(labels, int) else labels.num_channels
    if config.model in ROWS:
        config = dataclasses.replace(config, **ROWS[config.model])
    if config.model not in MODELS:
        raise UserError(f"There is no model {config.model!r}; there are: {', '.join([*MODELS, *ROWS])}.")
    torch.manual_seed(config.seed)
    networks = MODELS[config.model](config, channels)
    if config.checkpointing:
        replace_modules(networks.generator, SPADEResnetBlock, CheckpointedBlock)
    if config.fast:
        networks = networks.each(speed_up)
    return networks


def feature_network(config: TrainingConfig, device: torch.device) -> tuple[nn.Module | None, tuple[float, ...]]:
    """What the perceptual loss compares: the frozen network that config.features names, and the weight of each map.

    No network where lambda_vgg is 0, nor where VGG-19's weights can't be had (a warning says so).
    """
    if config.lambda_vgg == 0:
        return None, ()
    if config.features == "vgg":
        return vgg_or_none(device), VGG_WEIGHTS
    if config.features == "own":
        return Untrained(), SecondOpinion.weights
    network = load_second_opinion(trained_at(config.features, (config.height, config.width))).to(device)
    return network, network.weights


class Untrained(nn.Module):
    """Stands for the features "own" until a run has trained them (runs/own_features.py)."""

    def forward(self, image: Float[Tensor, "n 3 h w"]) -> list[Float[Tensor, "n _ _ _"]]:
        """Always a UserError: without a run there is no data to train them on."""
        raise UserError("features='own' are trained by a run, on its data: `spade-edu train`, or Run(...).train().")


def count_parameters(network: nn.Module) -> int:
    """Number of trainable numbers."""
    return sum(p.numel() for p in network.parameters())
