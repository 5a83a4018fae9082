"""Kinds of wrong answers that every check has to notice, and name truly; right answers in unusual style pass."""

import pytest
from answers_kinds import RIGHT, WRONG, R
from answers_left import WRONG as LEFT
from answers_rest import WRONG as REST
from test_answers import WRONG as TYPICAL

from spade_edu.checks import check, exercises
from spade_edu.checks.diagnosis import exercise_cases, expected_outcome

ROWS = [(kind, *row) for kind, rows in (WRONG | {"left": LEFT, "rest": REST}).items() for row in rows]


@pytest.mark.parametrize(("kind", "name", "answer", "words"), ROWS, ids=[f"{k}-{n}-{w:.20}" for k, n, _, w in ROWS])
def test_a_wrong_answer_is_told_by_its_kind(kind, name, answer, words):
    result = check(name, answer)
    assert not result.passed and words in result.message, result.message


@pytest.mark.parametrize(("name", "answer"), RIGHT, ids=[f"{i}-{name}" for i, (name, _) in enumerate(RIGHT)])
def test_an_unusual_right_answer_passes(name, answer):
    result = check(name, answer)
    assert result.passed, result.message


@pytest.mark.parametrize("exercise", exercises(), ids=lambda e: e.name)
def test_every_named_mistake_has_a_stored_answer(exercise):
    stored = [words for name, _, words in [*TYPICAL, *(row[1:] for row in ROWS)] if name == exercise.name and words]
    assert [key for key, text in exercise.mistakes.items() if not any(words in text for words in stored)] == []


def test_there_are_ten_of_each_kind_and_fifty_right_ones():
    assert min(map(len, WRONG.values())) >= 10 and len(RIGHT) >= 50


MAP = ("n", "c", "h", "w")


@pytest.mark.parametrize("exercise", [e for e in exercises() if MAP in e.axes.values()], ids=lambda e: e.name)
def test_every_check_of_maps_tries_axes_of_length_one(exercise):
    maps = [name for name, axes in exercise.axes.items() if axes == MAP]
    tried = {
        letter
        for c in exercise_cases(exercise)
        for name, value in zip(exercise.parameters, c.arguments)
        if name in maps
        for letter, length in zip(MAP, value.shape)
        if length == 1
    }
    assert tried == ({"n", "c"} if exercise.name == "residual_block" else set(MAP))  # one pixel can't be reflected


@pytest.mark.parametrize("exercise", exercises(), ids=lambda e: e.name)
def test_no_reference_leaves_anything_changed(exercise):
    for i in range(len(exercise_cases(exercise))):
        assert expected_outcome(exercise, frozenset(), i).effects == ()


def test_a_mistake_that_explains_only_the_wrong_cases_is_not_named():
    message = check("batch_statistics", lambda x: tuple(v.squeeze() for v in R.batch_statistics(x))).message
    assert "average over the channels" not in message and "one channel" in message


def test_the_second_call_is_tried_with_other_numbers():
    known = {}

    def answer(samples):
        size = samples.detach().abs().sum() + 1
        return R.diversity(samples) * known.setdefault(samples.shape, size) / size

    assert "With other numbers of the same shapes" in check("diversity", answer).message
