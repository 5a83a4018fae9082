"""`spade-edu reproduce`: the paper's tables and figures, made here, beside the paper's."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import UserError

TABLES = {"table1": 1, "table3": 3, "table4": 4, "table5": 5}
FIGURES = ("figure1", "figure3", "figure5", "figure9")
NAMES = ("table1", "table2", *list(TABLES)[1:], *FIGURES)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(reproduce)


def reproduce(
    name: Annotated[str, typer.Argument(help="table1 to table5, figure1, figure3, figure5 (to 8) or figure9.")],
    files: Annotated[list[Path] | None, typer.Argument(help="table2: results files of a user study.")] = None,
    data: Annotated[str, typer.Option(help="A data set; auto takes Cityscapes if found.")] = "streets",
    root: Annotated[str, typer.Option(help="Folder of the data set.")] = "",
    preset: Annotated[str, typer.Option(help="test, cpu, colab or paper.")] = "cpu",
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Trainings of each row of a table.")] = 3,
    steps: Annotated[int | None, typer.Option(help="Of each training; default: 180 for cpu, else all.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the results; what is done in it is not done again.")] = Path(
        "runs/reproduce"
    ),
) -> None:
    """Make one of the paper's tables or figures; the same command again goes on where it was stopped."""
    name = {"figure6": "figure5", "figure7": "figure5", "figure8": "figure5"}.get(name, name)
    if name not in NAMES:
        raise UserError(f"There is no {name!r} to reproduce; there are: {', '.join(NAMES)}.")
    if name == "table2":
        from ..experiments.table2 import report

        print(report(files or []))
        return
    print(_make(name, data, root, preset, seeds, steps, out))
    print(f"Written: {out / name}.json, {out / name}.png")


def _make(name: str, data: str, root: str, preset: str, seeds: int, steps: int | None, out: Path) -> str:
    """Make one table or figure with its files; gives what is to be printed."""
    from importlib import import_module

    from ..experiments import tables
    from ..experiments.cells import TABLE_STEPS, Bench
    from .train import default_device

    if steps is None and name not in ("figure1", "figure9"):  # styles take longer to learn
        steps = TABLE_STEPS.get(preset)
    bench = Bench(out, data, preset_name=preset, root=root, steps=steps, device=default_device(), progress=True)
    print(f"Data: {bench.data}, {len(bench.training)} images for training, {len(bench.val)} to score.", flush=True)
    if name in TABLES:
        result = tables.reproduce(TABLES[name], bench, seeds)
        tables.draw(result, out / f"{name}.png")
        return tables.render(result)
    figure = import_module(f"spade_edu.experiments.{name}")
    result = figure.reproduce(bench)
    bench.write(name, result)
    return figure.render(result)
