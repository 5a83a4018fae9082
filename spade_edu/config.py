"""What a training is asked for: one frozen configuration, what each of its fields may be, and which precision fits.

Presets (presets.py) are configurations by name; models.py makes networks from one, training.py trains them.
"""

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from .errors import UserError


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that a training run depends on. The defaults of objective and optimizer are the official code's.

    Errors: a UserError for a value that no training can have (see RANGES and CHOICES below).
    """

    # Data
    data: str = "auto"  # auto: Cityscapes where it is found, else Streets
    root: str = ""  # folder of the data set, where it has one
    height: int = 256
    width: int = 256
    batch_size: int = 1
    images: int = 1000  # training images of Streets; other data sets have their own number
    max_dataset_size: int = 0  # only the first so many training images; 0: all
    edges: bool = True  # feed the edges of instance maps, where the data set has them
    flip: bool = True  # mirror every second training picture
    preprocess: str = "auto"  # how a training picture comes to its size: the data set's way, or a name in CHOICES
    load_size: int = 0  # what preprocess scales to before it cuts a window; 0: 286/256 of the size
    portraits: bool = False  # also train on COCO-Stuff's portrait folders
    # Networks
    model: str = "spade"  # a name in spade_edu.models.MODELS, or in spade_edu.presets.ROWS
    ngf: int = 64
    ndf: int = 64
    hidden_channels: int = 128  # inside SPADE
    num_upsampling_layers: str = "normal"
    num_downsampling: int = 4  # of pix2pixHD
    num_blocks: int = 9  # of pix2pixHD
    style: bool = False  # SPADE with the style encoder (VAE); the released models are without
    z_dim: int = 256
    noise: bool = False  # SPADE starts from z ~ N(0, 1) instead of the downsampled label map (style implies it)
    capacity: float = 1.0  # multiplies ngf: 0.75 gives the paper's compact generators
    kernel_size: int = 3  # inside SPADE
    norm: str = "syncbatch"  # or "batch", "instance": of SPADE, of the Concat decoder and of pix2pixHD++
    spectral: bool = True  # spectral norm in G, D and E (pix2pixhd never has it)
    num_layers_d: int = 4  # 5 for a deeper discriminator
    num_scales_d: int = 2  # discriminators, each at half the size of the one before
    init: str = "glorot"  # everywhere; "official-gpu": not under spectral norm; "official-cpu" (pix2pixhd has its own)
    init_gain: float = 0.02  # of "glorot"; the official ones have 0.02
    # Objective
    gan: str = "hinge"  # or "lsgan"
    lambda_feat: float = 10.0
    lambda_vgg: float = 10.0
    features: str = "vgg"  # of the perceptual loss; "second_opinion": a small segmenter of Streets that never scores;
    # "own": one that each run first trains on its own training pictures (runs/own_features.py)
    lambda_kl: float = 0.05
    kl_epochs: int = 0  # the KL weight grows to lambda_kl over these epochs, so that the style code is used first
    # Optimisation. The paper says beta2 = 0.999; its authors used 0.9 (official repository, issue 50).
    lr: float = 2e-4
    ttur: bool = True  # two time scales: G learns at lr / 2, D at 2 lr
    beta1: float = 0.0
    beta2: float = 0.9
    epochs: int = 50  # at the full rate
    epochs_decay: int = 0  # then falling linearly to 0
    epochs_more: int = 0  # after these, at the last of their rates
    ema: float = 0.0  # decay of the averaged generator, once it is old enough (n steps: n / (n + 10)); 0: none
    reuse_fake: bool = False  # D step on the G step's images instead of new ones
    d_steps_per_g: int = 1  # D learns from each batch, G from every so many-th
    # Arithmetic
    precision: str = "fp32"  # or "bf16", "fp16"; "auto" (see resolve_precision)
    channels_last: bool = False
    checkpointing: bool = False  # residual blocks compute their inside again in the backward pass: less memory, slower
    fast: bool = False  # same results in less time and memory (spade_edu.fast)
    seed: int = 0
    start_from: str = ""  # weights to begin with (runs/beginning.py): a run, an official file, a stored network

    def __post_init__(self) -> None:
        for field in fields(self):
            check_setting(field.name, getattr(self, field.name), type(field.default))
        if self.init != "glorot" and self.init_gain != TrainingConfig.init_gain:
            raise UserError(f"init_gain belongs to init=glorot: {self.init} has {TrainingConfig.init_gain}.")

    @property
    def generator_width(self) -> int:
        """Base width of generator and encoder."""
        return round(self.ngf * self.capacity)

    @property
    def lr_generator(self) -> float:
        """Learning rate of generator and encoder before decay."""
        if self.ttur:
            return self.lr / 2
        return self.lr

    @property
    def lr_discriminator(self) -> float:
        """Learning rate of the discriminator before decay."""
        if self.ttur:
            return self.lr * 2
        return self.lr

    @property
    def epochs_scheduled(self) -> int:
        """The epochs over which the learning rate is planned."""
        return self.epochs + self.epochs_decay

    @property
    def epochs_in_all(self) -> int:
        """The epochs after which a training ends."""
        return self.epochs_scheduled + self.epochs_more

    def lr_factor(self, epoch: int) -> float:
        """What both rates are multiplied by in `epoch`, counted from 1.

        As in the official code the fall begins after epoch epochs + 1: with 100 + 100, epochs 1 to 101 run at the full
        rate and epoch 200 at 1 % of it. Those after the schedule have the rate of its last.
        """
        return 1.0 - max(0, min(epoch, self.epochs_scheduled) - 1 - self.epochs) / max(1, self.epochs_decay)

    def kl_weight(self, epoch: int) -> float:
        """The weight of the KL divergence in `epoch`, counted from 1: lambda_kl epoch / kl_epochs, then lambda_kl."""
        return self.lambda_kl * min(1.0, epoch / max(1, self.kl_epochs))


def resolve_precision(config: TrainingConfig, device: str | torch.device) -> TrainingConfig:
    """Replace "auto" by what the device is fast at: bf16 where its hardware has it, else fp16 (CUDA) or fp32."""
    if config.precision != "auto":
        return config
    if torch.device(device).type == "cuda":
        precision = "bf16" if torch.cuda.get_device_capability(device)[0] >= 8 else "fp16"
    else:
        precision = "bf16" if torch.device(device).type == "cpu" and _cpu_has_bf16() else "fp32"
    return replace(config, precision=precision)


def _cpu_has_bf16() -> bool:
    """Whether the CPU has bf16 and oneDNN may use it (ONEDNN_MAX_CPU_ISA).

    Torch keeps these questions private, so ask them carefully; without an answer float32 is always right.
    """
    ask = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(ask and ask() and torch.ops.mkldnn._is_mkldnn_bf16_supported())


# Settings that earlier versions had, each with the value that it had where nobody set it.
RETIRED = {"grad_clip": 0.0}


def stored_config(stored: dict[str, Any]) -> TrainingConfig:
    """The configuration that a run of this or an earlier version wrote down; a setting that is newer has its default.

    Errors: a UserError for a setting that no version had, or a value that no training can have.
    """
    known = TrainingConfig.__dataclass_fields__
    for name, value in stored.items():
        if name not in known and name not in RETIRED:
            raise UserError(f"there is no setting {name!r:.40}.")
        if name in RETIRED and value != RETIRED[name]:
            print(f"{name} = {value!r} is a setting of an earlier version: it has no effect any more.")
    return TrainingConfig(**{name: value for name, value in stored.items() if name in known})


MOST_PIXELS = 16384  # of a side
MOST_SEED = 2**31 - 1
# name: (least, most). The upper ends are far beyond any training: they catch a slip of the keyboard.
RANGES: dict[str, tuple[float, float]] = {
    "height": (1, MOST_PIXELS),
    "width": (1, MOST_PIXELS),
    "batch_size": (1, 65536),
    "images": (1, 10_000_000),
    "max_dataset_size": (0, 10_000_000),
    "load_size": (0, MOST_PIXELS),
    "ngf": (1, 4096),
    "ndf": (1, 4096),
    "hidden_channels": (1, 4096),
    "num_downsampling": (1, 12),
    "num_blocks": (0, 100),
    "z_dim": (1, 16384),
    "capacity": (0.01, 100.0),
    "kernel_size": (1, 31),
    "num_layers_d": (1, 10),
    "num_scales_d": (1, 10),
    "d_steps_per_g": (1, 1000),
    "init_gain": (0.0, 1e6),
    "lambda_feat": (0.0, 1e9),
    "lambda_vgg": (0.0, 1e9),
    "lambda_kl": (0.0, 1e9),
    "lr": (0.0, 1e6),
    "beta1": (0.0, 0.999999),
    "beta2": (0.0, 0.999999),
    "kl_epochs": (0, 1_000_000),
    "epochs": (0, 1_000_000),
    "epochs_decay": (0, 1_000_000),
    "epochs_more": (0, 1_000_000),
    "ema": (0.0, 0.999999),
    "seed": (0, MOST_SEED),
}
KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
CHOICES = {
    "preprocess": (
        "auto", "fixed", "resize_and_crop", "crop", "scale_width", "scale_width_and_crop", "scale_shortside",
        "scale_shortside_and_crop",
    ),
    "init": ("glorot", "official-gpu", "official-cpu"),
    "norm": ("syncbatch", "batch", "instance"),
    "gan": ("hinge", "lsgan"),
    "features": ("vgg", "second_opinion", "own"),
    "precision": ("fp32", "bf16", "fp16", "auto"),
}  # fmt: skip


def check_setting(name: str, value: Any, kind: Any) -> None:
    """Raise a UserError unless `value` is of type `kind` and one that the setting may have."""
    if not (type(value) is kind or kind is float and type(value) is int):
        raise UserError(f"{name} takes {KINDS[kind]}, not {value!r:.40}.")
    low, high = RANGES.get(name, (-math.inf, math.inf))
    if kind in (int, float) and not low <= value <= high:
        raise UserError(f"{name} is from {low:,} to {high:,}, not {value}.")
    if name in CHOICES and value not in CHOICES[name]:
        raise UserError(f"{name} is one of {', '.join(CHOICES[name])}, not {value!r:.40}.")
    if name == "kernel_size" and value % 2 == 0:
        raise UserError(f"{name} is an odd number, so that a pixel has a centre; got {value}.")
