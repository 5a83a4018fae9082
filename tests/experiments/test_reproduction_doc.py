"""docs/reproduction.md says what docs/results holds."""

import json
from pathlib import Path

import pytest

from spade_edu.experiments import figure1, figure3, figure9, tables

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "reproduction.md").read_text(encoding="utf-8")


def stored(pattern):
    return sorted(path.stem for path in (DOCS / "results").glob(pattern))


@pytest.mark.parametrize("name", stored("table*.json"))
def test_every_row_of_a_table_stands_in_the_page(name):
    result = json.loads((DOCS / "results" / f"{name}.json").read_text(encoding="utf-8"))
    number = result["table"]
    section = TEXT.split(f"## Table {number}")[1].split("\n## ")[0]
    for row in result["rows"]:
        line = next(line for line in section.splitlines() if line.startswith(f"| {row['name']} |"))
        known = tables.paper_row(number, row["name"])
        cells = [cell + ("" if known.verified else " [memory]") for cell in known.cells] if known else []
        for cell in tables.figure_cells(row["mean"], row["std"]) + cells:
            assert f"| {cell} |" in line
    assert f"`{result['command']}`: {result['minutes']} minutes" in section
    assert f"{result['seeds']} seeds, {result['steps']} steps" in section
    assert (DOCS / "figures" / f"table{number}.png").stat().st_size < 500_000
    for figure in tables.figures_in(number):
        for column, (of, pairs) in tables.agreement(result, figure).items():
            assert f"{column} {of} of {pairs}" in " ".join(section.split())


@pytest.mark.parametrize("name", stored("figure[139].json"))
def test_figures_numbers_stand_in_the_page(name):
    module = {"figure1": figure1, "figure3": figure3, "figure9": figure9}[name]
    result = json.loads((DOCS / "results" / f"{name}.json").read_text(encoding="utf-8"))
    section = TEXT.split(f"## Figure {name[-1]}")[1].split("\n## ")[0]
    for line in module.render(result).splitlines():
        if not line.startswith("Paper") and "constant map" not in line:
            assert all(word in section for word in line.split() if word.replace(".", "").isdigit())
    assert (DOCS / "figures" / f"{name}.png").stat().st_size < 500_000


def test_results_are_small():
    for path in (DOCS / "results").glob("*.json"):
        assert path.stat().st_size < 20_000, path
