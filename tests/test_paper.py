"""The paper's tables: the figures as read off the paper, their marks, and what is printed."""

import json
import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from spade_edu.cli import paper as command
from spade_edu.errors import UserError
from spade_edu.experiments import paper
from spade_edu.presets import ROWS

READ_OFF = Path(__file__).parent / "fixtures" / "paper_tables.json"  # with its sources
REPO = Path(__file__).resolve().parents[1]


def test_five_tables_with_a_cell_for_every_data_set():
    assert list(paper.TABLES) == [1, 2, 3, 4, 5]
    assert [len(t.rows) for t in paper.TABLES.values()] == [4, 3, 8, 11, 9]
    for table in paper.TABLES.values():
        assert all(len(row.cells) == len(table.columns) for row in table.rows)
        assert all(source in paper.SOURCES for row in table.rows for source in row.sources)


def test_every_built_row_is_one_line_of_settings():
    for number in (3, 4, 5):
        assert all(row.settings in ROWS for row in paper.TABLES[number].rows)


@pytest.mark.parametrize("number", [3, 4])
def test_counted_parameters_meet_the_papers(number):
    for row in paper.TABLES[number].rows:
        if row.millions is not None:
            assert paper.parameters(row)[0] == pytest.approx(row.millions * 1e6, rel=0.01), row.name


def test_unverified_figures_are_printed_only_with_their_mark():
    for table in paper.TABLES.values():
        lines = paper.render(table).splitlines()
        for row in table.rows:
            line = next(line for line in lines if line.startswith(row.name + " "))
            figures = [cell for cell in row.cells if cell != "n/a"] + ([f"{row.millions}M"] if row.millions else [])
            for figure in figures:
                assert (f"{figure} [memory]" in line) == (not row.verified), (table.number, row.name, figure)
    assert all(not row.verified for row in paper.TABLES[4].rows)
    assert all(row.verified for number in (1, 2, 3, 5) for row in paper.TABLES[number].rows)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_figures_agree_with_those_read_off_the_paper(number):
    figures = {}
    for row in paper.TABLES[number].rows:
        name = row.name.removeprefix("SPADE ") if number == 2 else row.name
        figures[name] = ([f"{row.millions}M"] if row.millions else []) + list(row.cells)
    assert figures == json.loads(READ_OFF.read_text(encoding="utf-8"))[str(number)]["rows"]


def test_command_prints_all_tables_or_one():
    app = typer.Typer()
    command.register(app)
    everything = CliRunner().invoke(app, [])
    assert everything.exit_code == 0
    assert all(f"Table {n}." in everything.output for n in range(1, 6)) and "96.49M" in everything.output
    one = CliRunner().invoke(app, ["--table", "3"])
    assert "Table 3." in one.output and "Table 4." not in one.output
    wrong = CliRunner().invoke(app, ["--table", "6"])
    assert isinstance(wrong.exception, UserError)


def test_page_of_differences_names_real_settings():
    """Every `name=value` in the option column of docs/paper-vs-code.md is a setting or an argument that exists."""
    import dataclasses

    from spade_edu.config import TrainingConfig

    page = (REPO / "docs" / "paper-vs-code.md").read_text(encoding="utf-8")
    fields = {field.name for field in dataclasses.fields(TrainingConfig)}
    named = set(re.findall(r"`--set (\w+)=", page))
    assert named and named <= fields
