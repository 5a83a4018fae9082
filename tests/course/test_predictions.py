"""Predictions and claims: kept in the student's folder, silent when unanswered, and never blocking."""

import json
import re
import sys
from pathlib import Path

import jupytext
import pytest

from spade_edu.course import claim, predict, reveal, stored_claim
from spade_edu.course.claims import FILE_VARIABLE, SEEDS_VARIABLE
from spade_edu.course.predictions import FILE
from spade_edu.course.questions import PREDICTIONS
from spade_edu.errors import UserError

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
SOURCES = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.py"))
RESULTS = ROOT / "docs" / "results" / "claims.json"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SPADE_EDU_FOLDER", str(tmp_path))
    return tmp_path


def test_unanswered_is_silent_and_writes_nothing(folder, capsys):
    predict("01-depth", ...)
    reveal("01-depth", "fades")
    assert capsys.readouterr().out == "" and not list(folder.iterdir())


def test_a_prediction_stands_beside_its_result(capsys):
    predict("01-running", 1.8)
    predict("01-running", ...)  # the cell run again as it came takes nothing back
    reveal("01-running", 2.1)
    assert capsys.readouterr().out == "Put down: 1.8.\nYou predicted: 1.8. It came out: 2.1.\n"


def test_a_right_choice_is_marked(capsys):
    predict("01-depth", "fades")
    reveal("01-depth", "fades")
    assert capsys.readouterr().out.endswith("It came out: fades. ✓\n")


@pytest.mark.parametrize(
    "name, guess, said",
    [
        ("01-depth", "shrinks", "it is one of grows, stays, fades"),
        ("01-running", "much", "it is a number"),
        ("01-running", True, "it is a number"),
        ("01-uniform", "  ", "it is a few words"),
        ("01-uniform", 3, "it is a few words"),
    ],
)
def test_another_kind_gets_a_line_and_is_not_put_down(folder, capsys, name, guess, said):
    predict(name, guess)
    assert said in capsys.readouterr().out and not (folder / FILE).exists()


@pytest.mark.parametrize("text", ["{broken", "[1]"])
def test_a_broken_file_counts_as_empty(folder, capsys, text):
    (folder / FILE).write_text(text)
    reveal("01-depth", "fades")
    predict("01-depth", "grows")
    assert json.loads((folder / FILE).read_text()) == {"01-depth": "grows"}


def test_an_unknown_name_is_answered_by_the_known_ones():
    with pytest.raises(UserError, match="01-depth"):
        predict("01-deep", "fades")


def test_each_prediction_is_asked_once_and_revealed_after():
    text = {path.stem: path.read_text(encoding="utf-8") for path in SOURCES}
    asked = [(stem, name) for stem in text for name in re.findall(r'^predict\("([^"]+)", \.\.\.\)', text[stem], re.M)]
    assert sorted(name for _, name in asked) == sorted(PREDICTIONS)
    for stem, name in asked:
        assert name[:2] == stem[:2] and text[stem].index(f'reveal("{name}"') > text[stem].index(f'predict("{name}"')
    assert max([sum(s == stem for s, _ in asked) for stem in text]) <= 5


def test_a_claim_names_the_seeds_that_fail(monkeypatch, capsys):
    monkeypatch.setenv(SEEDS_VARIABLE, "0,1,2")
    with pytest.raises(AssertionError, match="seed 2"):
        claim("x", "It is small", lambda seed: seed, at_most=1)
    assert "Measured: 0, 1, 2 (claimed: at most 1)" in capsys.readouterr().out


def test_a_claim_without_a_number_fails():
    for bound in ({"at_least": 0}, {"at_most": 0}):
        with pytest.raises(AssertionError):
            claim("x", "It is", lambda seed: float("nan"), **bound)


def test_a_stored_claim_needs_three_seeds():
    with pytest.raises(AssertionError, match="needs three"):
        stored_claim("x", "It leads", {0: 1.0, 1: 2.0}, at_least=0)


def test_collected_claims_are_put_down_even_where_they_fail(folder, monkeypatch):
    monkeypatch.setenv(FILE_VARIABLE, str(folder / "claims.jsonl"))
    claim("x", "It is small", lambda seed: 5, at_most=1)
    assert json.loads((folder / "claims.jsonl").read_text())["failed"] == [0]


def claims_of(path):
    """(name, sentence) of the claims in a notebook's source."""
    code = "\n".join(cell.source for cell in jupytext.read(path).cells if cell.cell_type == "code")
    return re.findall(r'claim\(\s*"([^"]+)",\s*"([^"]+)"', code)


def test_every_claim_was_run_and_holds_for_all_its_seeds():
    stored = {
        r["claim"]: r
        for n in json.loads(RESULTS.read_text(encoding="utf-8"))["notebooks"].values()
        for r in n["claims"]
    }
    written = dict(found for path in SOURCES for found in claims_of(path))
    assert {name: r["sentence"] for name, r in stored.items()} == written
    for record in stored.values():
        assert len(record["figures"]) >= (3 if record["kind"] == "stored" else 5) and record["failed"] == []
