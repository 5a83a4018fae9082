from pathlib import Path

import pytest

from spade_edu import UserError
from spade_edu.experiments.paper import TABLES
from spade_edu.experiments.stored import FOLDER, names, stored

RESULTS = Path(__file__).parents[2] / "docs" / "results"
REFRESH = "Refresh the copies: cp docs/results/{table*,your_spade}.json spade_edu/assets/results/"


def test_the_package_holds_the_tables_of_the_docs_and_what_notebook_11_is_held_against():
    docs = {
        path.stem: path.read_text(encoding="utf-8")
        for path in [*RESULTS.glob("table*.json"), RESULTS / "your_spade.json"]
    }
    assert {name: (FOLDER / f"{name}.json").read_text(encoding="utf-8") for name in names()} == docs, REFRESH


def test_a_stored_table_has_the_papers_rows_and_its_seeds_in_each():
    for name in [name for name in names() if name.startswith("table")]:
        result = stored(name)
        assert {row.name for row in TABLES[result["table"]].rows} <= {row["name"] for row in result["rows"]}
        assert min(len(row["seeds"]) for row in result["rows"]) == result["seeds"]


def test_what_is_not_stored_is_said_with_what_is():
    with pytest.raises(UserError, match="there are: table1"):
        stored("table99")
