import json
import math
from pathlib import Path

import pytest

from spade_edu.errors import UserError
from spade_edu.evaluation.user_study import (
    append_choice,
    binomial_interval,
    load_choices,
    preferences,
    render,
)

ANSWER = dict(mask="val_0003", left="SPADE", right="CRN", chosen="left", seconds=4.2, participant="p1")


def probability(at_least: int, answers: int, p: float) -> float:
    return sum(math.comb(answers, k) * p**k * (1 - p) ** (answers - k) for k in range(at_least, answers + 1))


@pytest.mark.parametrize("wins, answers", [(8, 10), (0, 20), (5, 5), (53, 100)])
def test_at_the_intervals_ends_such_a_count_is_one_of_the_rarest_2_5_percent_on_its_side(wins, answers):
    low, high = binomial_interval(wins, answers)
    assert low == 0 if wins == 0 else probability(wins, answers, low) == pytest.approx(0.025)
    assert high == 1 if wins == answers else 1 - probability(wins + 1, answers, high) == pytest.approx(0.025)


@pytest.mark.parametrize("wins, answers", [(0, 0), (-1, 3), (4, 3)])
def test_interval_of_nothing_is_a_mistake(wins, answers):
    with pytest.raises(UserError, match="0 <= wins <= answers"):
        binomial_interval(wins, answers)


def test_written_answers_come_back_and_files_merge(tmp_path):
    first, second = tmp_path / "class" / "a.jsonl", tmp_path / "class" / "b.jsonl"
    written = [append_choice(first, **ANSWER), append_choice(first, **ANSWER | {"chosen": "right", "mask": "müde"})]
    written.append(append_choice(second, **ANSWER | {"participant": "p2"}))
    assert load_choices(first, second) == written
    assert load_choices(first, second, first) == written, "a file handed in twice counts once"


def test_preference_counts_both_sides(tmp_path):
    path = tmp_path / "a.jsonl"
    answers = [
        ("SPADE", "CRN", "left", "p1"),
        ("CRN", "SPADE", "left", "p1"),
        ("CRN", "SPADE", "right", "p2"),
        ("SIMS", "SPADE", "right", "p2"),
        ("SIMS", "CRN", "right", "p2"),
    ]
    for left, right, chosen, person in answers:
        append_choice(path, **ANSWER | dict(left=left, right=right, chosen=chosen, participant=person))
    crn, sims = preferences(load_choices(path))
    assert (crn.other, crn.wins, crn.answers, crn.participants, crn.left) == ("CRN", 2, 3, 2, 2)
    assert (sims.other, sims.wins, sims.answers) == ("SIMS", 1, 1)
    assert "66.7%" in render([crn, sims]) and "SPADE vs SIMS" in render([crn, sims])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"chosen": "SPADE"}, "chosen is 'left' or 'right'"),
        ({"right": "SPADE"}, "two different systems"),
        ({"seconds": -1}, "seconds"),
        ({"seconds": float("nan")}, "seconds"),
        ({"participant": ""}, "participant is a name"),
    ],
)
def test_impossible_answers_are_refused_when_written_and_read(tmp_path, change, message):
    path = tmp_path / "a.jsonl"
    with pytest.raises(UserError, match=message):
        append_choice(path, **ANSWER | change)
    assert not path.exists()
    path.write_text(json.dumps(ANSWER) + "\n" + json.dumps(ANSWER | change) + "\n")
    with pytest.raises(UserError, match=f"line 2: .*{message}"):
        load_choices(path)


@pytest.mark.parametrize("line", ["SPADE,CRN,left", "[1]", '{"mask": "a"}', json.dumps(ANSWER | {"age": 3}), "3"])
def test_lines_that_are_no_answers(tmp_path, line):
    path = tmp_path / "a.jsonl"
    path.write_text("\n" + line)
    with pytest.raises(UserError, match="line 2: expected a JSON object with mask, left"):
        load_choices(path)


def test_missing_file():
    with pytest.raises(UserError, match="no results file"):
        load_choices(Path("nowhere.jsonl"))
