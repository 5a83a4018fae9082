"""What a setting of a training may be; anything else is said before anything is built."""

import math
from typing import Any

from .errors import UserError

MOST_PIXELS = 16384  # of a side
MOST_SEED = 2**31 - 1
# name: (least, most). The upper ends are far beyond any training: they catch a slip of the keyboard.
RANGES: dict[str, tuple[float, float]] = {
    "height": (1, MOST_PIXELS),
    "width": (1, MOST_PIXELS),
    "batch_size": (1, 65536),
    "images": (1, 10_000_000),
    "ngf": (1, 4096),
    "ndf": (1, 4096),
    "hidden_channels": (1, 4096),
    "num_downsampling": (1, 12),
    "num_blocks": (0, 100),
    "z_dim": (1, 16384),
    "capacity": (0.01, 100.0),
    "kernel_size": (1, 31),
    "num_layers_d": (1, 10),
    "init_gain": (0.0, 1e6),
    "lambda_feat": (0.0, 1e9),
    "lambda_vgg": (0.0, 1e9),
    "lambda_kl": (0.0, 1e9),
    "lr": (0.0, 1e6),
    "beta1": (0.0, 0.999999),
    "beta2": (0.0, 0.999999),
    "epochs": (0, 1_000_000),
    "epochs_decay": (0, 1_000_000),
    "ema": (0.0, 0.999999),
    "grad_clip": (0.0, 1e9),
    "seed": (0, MOST_SEED),
}
KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
CHOICES = {
    "norm": ("syncbatch", "batch", "instance"),
    "gan": ("hinge", "lsgan"),
    "precision": ("fp32", "bf16", "fp16", "auto"),
}


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
