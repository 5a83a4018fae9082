"""`spade-edu demo`."""

from pathlib import Path
from typing import Annotated

import typer

from ..config import MOST_SEED


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(demo)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the runs and the report.")] = Path("runs/demo"),
    preset: Annotated[str, typer.Option(help="cpu, or test to see in seconds that everything runs.")] = "cpu",
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Seed of everything.")] = 0,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of each model; default: as many as fit 9.5 minutes, 240 to 750.")
    ] = None,
    keep_weights: Annotated[Path | None, typer.Option(help="Also store the weights in this folder.")] = None,
) -> None:
    """Train pix2pixHD, pix2pixHD++ and SPADE alike on Streets and report what each learned (about 12 minutes)."""
    from ..experiments.demo import run_demo
    from ..experiments.report import MODELS

    report = run_demo(out, preset_name=preset, seed=seed, steps=steps, keep_weights=keep_weights)
    print(f"{'':14} {'mIoU':>6} {'accuracy':>9} {'FD':>8} {'uniform':>8}")
    bound = report["judge_bound"]
    print(f"{'real renders':14} {bound['miou']:6.3f} {bound['accuracy']:9.3f} {bound['fd']:8.2f}")
    for name, title in MODELS.items():
        m = report["models"][name]
        print(f"{title:14} {m['miou']:6.3f} {m['accuracy']:9.3f} {m['fd']:8.2f} {m['uniform_colour_difference']:8.1f}")
    print(f"Report: {out / 'report.html'} ({report['seconds']['total'] / 60:.1f} minutes)")
