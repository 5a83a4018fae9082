"""`spade-edu train`."""

import dataclasses
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from ..config import KINDS, TrainingConfig, resolve_precision
from ..errors import UserError

Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Override one setting, as name=value; may be repeated.")
]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(train)


def train(
    preset: Annotated[str, typer.Option(help="test, cpu, colab or paper.")] = "cpu",
    model: Annotated[str, typer.Option(help="spade, pix2pixhd or pix2pixhd++.")] = "spade",
    data: Annotated[str, typer.Option(help="cityscapes, streets, camvid, ...; auto takes Cityscapes if found.")] = "",
    root: Annotated[str, typer.Option(help="Folder of the data set.")] = "",
    out: Annotated[Path, typer.Option(help="Run folder; an interrupted run in it goes on.")] = Path("runs/spade"),
    start: Annotated[
        str, typer.Option("--from", help="Begin from weights: a run, an official generator's file, a stored network.")
    ] = "",
    partial: Annotated[bool, typer.Option("--partial", help="Begin although less than half of them fits.")] = False,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Epochs in all; those after the schedule's end run at its last learning rate."),
    ] = None,
    style: Annotated[bool, typer.Option(help="Train a style encoder with SPADE.")] = False,
    save_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 250,
    workers: Annotated[int | None, typer.Option(min=0, help="Processes that read data.", show_default="auto")] = None,
    code: Annotated[Path | None, typer.Option(help="Your my_spade.py: its networks and steps are trained.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or mps (Apple's GPU).", show_default="cuda if found")] = "",
    data_changed: Annotated[bool, typer.Option("--data-changed", help="Go on although the data has changed.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop where label maps are suspicious.")] = False,
    set_: Settings = None,
) -> None:
    """Train a generator; the same command again goes on where a run was stopped."""
    from .. import distributed, presets
    from ..data import open_splits
    from ..data.meaning import look_before_training
    from ..runs.longer import with_epochs

    overrides = parse_settings(set_ or [])
    overrides |= {
        name: value for name, value in dict(data=data, root=root, style=style, start_from=start).items() if value
    }
    config = presets.preset(preset, overrides.pop("model", model), **overrides)
    config = with_epochs(config, out, epochs)
    where = distributed.start(asked_device(device, config) if device else default_device())
    config, run_kind = _kind_of_run(code, config, overrides, str(where))
    training, preview, config, line = open_splits(config)
    print(line)
    seen = look_before_training(training, strict=strict)
    if distributed.rank() == 0:
        _show(config, seen)
    options: dict = dict(device=where, save_every=save_every, workers=workers)
    options |= dict(data_changed=data_changed, partial=partial)
    run = run_kind(out, config, training, preview, **options)
    run.train()
    distributed.stop()
    if run.writes:
        print(f"Done: {run.step} steps in {run.seconds / 60:.1f} minutes. Samples: {out / 'samples'}")


def _show(config: TrainingConfig, seen: list[str]) -> None:
    """Print what was seen in the label maps, every setting, and what ADE20K's channels are."""
    from ..data.ade20k import ORDER

    settings = [f"{name:24} {value}" for name, value in dataclasses.asdict(config).items()]
    print("\n".join([*seen, *settings, *[ORDER] * config.data.startswith("ade20k")]))


def _kind_of_run(code: Path | None, config: TrainingConfig, asked: dict, device: str) -> tuple[TrainingConfig, Any]:
    """The settings as they are trained, and what makes the run: with --code, of the student's file."""
    from ..course.own_code import read_code
    from ..course.own_run import OwnRun, own_settings
    from ..runs.run import Run

    if code is None:
        return resolve_precision(config, device), Run
    if config.start_from:
        raise UserError("--from begins with networks of the package, --code with your file's: leave one out.")
    return own_settings(config, asked, device), partial(OwnRun, code=read_code(code))


def parse_settings(settings: list[str]) -> dict:
    """name=value strings as typed overrides. Errors: a UserError for a wrong name or a value of the wrong type."""
    from ..config import TrainingConfig

    defaults = {field.name: field.default for field in dataclasses.fields(TrainingConfig)}
    overrides = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if name not in defaults:
            meant = get_close_matches(name, defaults, 1)
            advice = f"there are {', '.join(sorted(defaults))}."
            if meant:
                advice = f"did you mean {meant[0]}?"
            raise UserError(f"--set {setting}: there is no such setting; {advice}")
        if not equals:
            raise UserError(f"--set takes name=value, such as {name}={defaults[name]}; got {setting!r}.")
        overrides[name] = _parse(name, text, type(defaults[name]))
    return overrides


def _parse(name: str, text: str, kind: type) -> Any:
    if kind is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        if kind is bool:
            return int(text) == 1
        return kind(text)
    except ValueError:
        raise UserError(f"{name} takes {KINDS[kind]}, not {text!r}.") from None


def default_device() -> str:
    """A GPU if torch sees one, else the CPU."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def asked_device(name: str, config: TrainingConfig) -> str:
    """The device of --device. Errors: a UserError for one that isn't here or can't do what the settings ask for."""
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(name):
        raise UserError(f"--device {name}: there is {', '.join(n for n, found in there.items() if found)} here.")
    if name == "mps" and config.fast:
        raise UserError("fast=true looks windows up in float64, which Apple's GPU doesn't have: add --set fast=false.")
    return name
