"""`spade-edu paper`: the paper's tables beside what this package builds."""

from typing import Annotated

import typer

from ..errors import UserError


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(paper)


def paper(table: Annotated[int | None, typer.Option(help="One table, 1 to 5; default: all.")] = None) -> None:
    """Print the paper's tables with their sources, and the parameters of this package's models."""
    from ..experiments.paper import TABLES, legend, render

    if table is not None and table not in TABLES:
        raise UserError(f"The paper has tables 1 to {len(TABLES)}, not {table}.")
    for number in [table] if table else TABLES:
        print(render(TABLES[number]), end="\n\n")
    print("Generators (G) and discriminators (D) are counted for ADE20K: 151 label channels, 256x256. Marks:")
    print(legend())
