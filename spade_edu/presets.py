"""Presets: configurations by name. A preset is data; every field can be overridden."""

import dataclasses
from typing import Any

from .config import TrainingConfig
from .errors import UserError

# What each model's own paper trains with. pix2pixHD++ and SPADE share SPADE's.
MODEL_SETTINGS: dict[str, dict] = {
    "spade": {},
    "pix2pixhd++": {},
    "pix2pixhd": dict(gan="lsgan", ttur=False, beta1=0.5, beta2=0.999),
}

# The rows of the paper's Tables 3 to 5, by the paper's names: each is one line of settings.
ROWS: dict[str, dict] = {
    # Table 3
    "decoder w/ SPADE": dict(model="spade"),
    "compact decoder w/ SPADE": dict(model="spade", capacity=0.75),
    "decoder w/ Concat": dict(model="concat"),
    "pix2pixHD++ w/ SPADE": dict(model="pix2pixhd++ spade"),
    "pix2pixHD++ w/ Concat": dict(model="pix2pixhd++ concat"),
    "pix2pixHD++": dict(model="pix2pixhd++"),
    "compact pix2pixHD++": dict(model="pix2pixhd++", capacity=0.75),
    "pix2pixHD": dict(model="pix2pixhd", **MODEL_SETTINGS["pix2pixhd"]),
    # Table 4
    "input: downsampled mask": dict(model="spade"),
    "input: random noise": dict(model="spade", noise=True),
    "kernel 5x5": dict(model="spade", kernel_size=5),
    "kernel 3x3": dict(model="spade", kernel_size=3),
    "kernel 1x1": dict(model="spade", kernel_size=1),
    "141M params": dict(model="spade", capacity=1.25),
    "96M params": dict(model="spade", capacity=1.0),
    "61M params": dict(model="spade", capacity=0.75),
    "Sync BatchNorm": dict(model="spade", norm="syncbatch"),
    "BatchNorm": dict(model="spade", norm="batch"),
    "InstanceNorm": dict(model="spade", norm="instance"),
    # Table 5, without the rows that are in Table 3
    "ours": dict(model="spade"),
    "ours w/o perceptual loss": dict(model="spade", lambda_vgg=0.0),
    "ours w/o GAN feature matching": dict(model="spade", lambda_feat=0.0),
    "ours w/ a deeper D": dict(model="spade", num_layers_d=5),  # one layer more (appendix B)
    "pix2pixHD++ w/o SyncBN": dict(model="pix2pixhd++", norm="instance"),
    "pix2pixHD++ w/o SyncBN, w/o SN": dict(model="pix2pixhd++", norm="instance", spectral=False),
}

PRESETS: dict[str, dict] = {
    # Seconds: only to see that everything runs.
    "test": dict(
        data="streets", height=32, width=64, images=8, batch_size=2, epochs=1, epochs_decay=1,
        ngf=4, ndf=4, hidden_channels=8, num_downsampling=2, num_blocks=1, z_dim=4, lambda_vgg=0.0,
    ),
    # Minutes on two cores; lr: benchmarks/learning_rates.py. With the official gain of 0.02 SPADE's gamma and beta take
    # hundreds of steps to grow, which so short a run can't afford: gain 1, Glorot as the paper's text has it. Likewise
    # a KL weight of 0.01: at the published 0.05 the style code has hardly any say after so few steps.
    "cpu": dict(
        data="streets", height=64, width=128, images=1000, batch_size=4, epochs=2, epochs_decay=1,
        ngf=16, ndf=16, hidden_channels=32, num_downsampling=3, num_blocks=6, z_dim=16,
        features="second_opinion", lr=1.6e-3, ema=0.99, precision="auto", channels_last=True, fast=True,
        reuse_fake=True, init_gain=1.0, lambda_kl=0.01,
    ),
    # One 16 GB T4, Cityscapes at 128x256.
    "colab": dict(
        height=128, width=256, images=3000, batch_size=8, epochs=30, epochs_decay=30,
        ngf=32, ndf=32, hidden_channels=64, z_dim=64, ema=0.999, precision="auto", channels_last=True,
    ),
    # The paper's: 256x512 Cityscapes, batch 32 on 8 GPUs (4 each), 100 + 100 epochs, started as on the authors' GPUs.
    "paper": dict(
        data="cityscapes", height=256, width=512, batch_size=32, epochs=100, epochs_decay=100,
        num_upsampling_layers="more", init="official-gpu",
    ),
}  # fmt: skip

# Where the paper's training of a data set differs from the preset `paper`, which is Cityscapes' (appendix A; it doesn't
# state how COCO-Stuff's and Flickr's rates fall).
_SQUARE = dict(width=256, num_upsampling_layers="normal")
PUBLISHED: dict[str, dict] = {
    "ade20k": _SQUARE,
    "ade20k-outdoor": _SQUARE,
    "coco-stuff": _SQUARE | dict(epochs=100, epochs_decay=0),
    "flickr-landscapes": _SQUARE | dict(epochs=50, epochs_decay=0),
}

# Where the paper trains a baseline by the baseline's own code: one image a step, and D sees the fake that G's step made
# (pix2pixHD's defaults; appendix B counts the large batch among SPADE's own improvements).
PUBLISHED_MODELS: dict[str, dict] = {"pix2pixhd": dict(batch_size=1, reuse_fake=True)}

# pix2pixHD's width for about the same number of parameters as SPADE's in the same preset.
PIX2PIXHD_WIDTH = {"cpu": 24}


def preset(name: str, model: str = "spade", **overrides: Any) -> TrainingConfig:
    """The configuration called `name` for `model` (or a row of ROWS), with single fields overridden.

    `paper` is the paper's training of the data set that it is overridden with: Cityscapes, ADE20K, COCO-Stuff or Flickr
    Landscapes; others train as Cityscapes.
    Errors: a UserError for a name or a field that doesn't exist.
    """
    if name not in PRESETS:
        raise UserError(f"There is no preset {name!r}; there are: {', '.join(PRESETS)}.")
    fields = {field.name for field in dataclasses.fields(TrainingConfig)}
    unknown = sorted(set(overrides) - fields)
    if unknown:
        raise UserError(f"There is no setting {unknown[0]!r}; there are: {', '.join(sorted(fields))}.")
    row = ROWS.get(model, dict(model=model))
    settings = dict(PRESETS[name])
    if row["model"].startswith("pix2pixhd") and name in PIX2PIXHD_WIDTH:
        settings["ngf"] = PIX2PIXHD_WIDTH[name]
    if name == "paper":
        settings |= PUBLISHED.get(overrides.get("data", ""), {}) | PUBLISHED_MODELS.get(row["model"], {})
    return TrainingConfig(**(settings | MODEL_SETTINGS.get(row["model"], {}) | row | overrides))
