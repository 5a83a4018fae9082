"""`spade-edu plan`: which batch fits a GPU, and how long a training would take."""

from typing import Annotated

import typer

from .train import Settings, parse_settings

# Label channels and training images of the data sets that a plan is asked for.
DATA = {"cityscapes": (36, 2975), "ade20k": (151, 20210), "coco-stuff": (184, 118287), "streets": (36, 1000)}


def plan(
    gpu: Annotated[str, typer.Option(help="a card (T4, L4, V100, A100, H100) or its memory (16GB)")] = "T4",
    data: Annotated[str, typer.Option(help="cityscapes, ade20k, coco-stuff or streets")] = "cityscapes",
    preset: Annotated[str, typer.Option(help="colab, paper or cpu")] = "colab",
    gpus: Annotated[int, typer.Option(help="how many, through torchrun", min=1, max=1_000_000)] = 1,
    set_: Settings = None,
) -> None:
    """Say what fits and how long it takes: memory is simulated, hours are estimated, nothing is measured."""
    from dataclasses import replace

    from ..errors import UserError
    from ..presets import preset as named_preset
    from ..runs.plan import ALLOWANCE, GB, SIXTEEN, USED, hours, largest_batch, parse_card

    if data not in DATA:
        raise UserError(f"--data is one of {', '.join(DATA)}, not {data!r}.")
    channels, images = DATA[data]
    name, room, rate = parse_card(gpu)
    overrides = {"lambda_vgg": 0.0, "data": data} | parse_settings(set_ or [])
    config = named_preset(preset, overrides.pop("model", "spade"), **overrides)
    epochs = config.epochs_in_all
    print(f"{preset} preset at {config.height}x{config.width} on {data}, {gpus} x {name}")
    print(f"{'arithmetic':12}{'checkpointing':15}{'batch a GPU':>12}{'peak GB':>9}{'hours':>8}")
    for precision in ("fp32", "fp16"):
        for checkpointing in (False, True):
            variant = replace(config, precision=precision, checkpointing=checkpointing)
            step = largest_batch(variant, channels, room)
            row = f"{precision:12}{'yes' if checkpointing else 'no':15}"
            if step is None:
                print(f"{row}{'does not fit':>12}")
                continue
            time = hours(step, images * epochs, gpus, rate * (SIXTEEN if precision == "fp16" else 1))
            print(f"{row}{step.batch_size:>12}{(step.peak + ALLOWANCE) / GB:>9.1f}{time:>8.1f}")
    print(f"Peak: simulated, plus {ALLOWANCE / GB:g} GB for the GPU's own needs; without VGG. fast=true needs less.")
    print(f"Hours: all {epochs} epochs, estimated at {USED:.0%} of the card's peak rate, not measured.")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(plan)
