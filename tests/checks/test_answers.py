"""Answers as students write them (answers_NN.py): right ones in other styles pass, wrong ones hear why."""

from importlib import import_module

import pytest

from spade_edu.checks import check, exercises
from spade_edu.checks.s05_spade_generator import count_block

STAGES = [import_module(f"answers_{stage:02d}") for stage in (*range(10), 11)]
RIGHT = [answer for stage in STAGES for answer in stage.RIGHT]
WRONG = [answer for stage in STAGES for answer in stage.WRONG]


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_another_way_of_writing_it_passes(name, answer):
    result = check(name, answer)
    assert result.passed, result.message


@pytest.mark.parametrize(("name", "answer", "words"), WRONG)
def test_a_typical_wrong_answer_is_told_what_is_wrong(name, answer, words):
    result = check(name, answer)
    assert not result.passed and words in result.message, result.message


@pytest.mark.parametrize("exercise", exercises(), ids=lambda e: e.name)
def test_four_wrong_answers_are_stored_for_each_exercise(exercise):
    assert sum(name == exercise.name for name, *_ in WRONG) >= 4


def test_a_block_as_an_exercise_counts_it_has_the_published_number_of_parameters():
    assert count_block(1024, 1024, 151, 128, 3) == 23_947_264
