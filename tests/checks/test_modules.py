"""Checks of whole modules: the reference file passes, mistakes are told by name, whatever the student's names."""

import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from answers_modules import RIGHT, WRONG, changed
from torch import nn

from spade_edu.checks import _modules, check, exercises, has_check, hint
from spade_edu.checks.part import earlier, exchanged

sys.path.insert(0, str(Path(__file__).parents[2] / "solutions"))
import my_spade  # noqa: E402

each = pytest.mark.parametrize("part", _modules(), ids=lambda p: p.name)


@pytest.mark.parametrize("name", [name for name in vars(my_spade) if has_check(name)])
def test_the_reference_file_passes(name):
    result = check(name, getattr(my_spade, name))
    assert result.passed, result.message


def test_every_part_of_the_file_is_checked():
    names = {name for name, value in vars(my_spade).items() if getattr(value, "__module__", "") == "my_spade"}
    assert all(map(has_check, names)) and len(names) == 31
    assert {p.name for p in _modules()} <= names and not {p.name for p in _modules()} & {e.name for e in exercises()}


@each
def test_each_mistake_is_told_by_its_name(part):
    for name, message in part.mistakes.items():
        result = check(part.name, part.builder(frozenset({name})))
        assert not result.passed, name
        assert message in result.message, (name, result.message)


@each
def test_the_record_is_complete(part):
    assert 1 <= part.difficulty <= 3 and part.minutes and len(part.hints) == 3
    assert len(set(part.mistakes.values())) == len(part.mistakes) >= 6
    assert "Hint 1" in hint(part.name, 1)


@pytest.mark.parametrize(("name", "answer"), RIGHT, ids=[f"{name}-{i}" for i, (name, _) in enumerate(RIGHT)])
def test_another_way_of_writing_it_passes(name, answer):
    result = check(name, answer)
    assert result.passed, result.message


@pytest.mark.parametrize(("name", "answer", "words"), WRONG, ids=[f"{n}-{w:.30}" for n, _, w in WRONG])
def test_a_typical_wrong_answer_is_told_what_is_wrong(name, answer, words):
    result = check(name, answer)
    assert not result.passed and words in result.message, result.message


@each
def test_two_right_answers_and_two_wrong_ones_are_stored(part):
    assert Counter(name for name, _ in RIGHT)[part.name] >= 2
    assert Counter(name for name, *_ in WRONG)[part.name] >= 2


def nothing(*arguments):
    return None


class Empty(nn.Module):
    def forward(self, *inputs):
        return None


@each
def test_a_part_that_is_not_there_yet_fails_kindly(part):
    assert check(part.name, None).message.startswith("Not started yet")
    for answer in (3, nn.Identity, nothing, Empty, int, torch.zeros(1)):
        result = check(part.name, answer)
        assert not result.passed and "Traceback" not in result.message and len(result.message) < 1200


def test_a_wrong_constructor_is_told_the_right_one():
    answer = changed("SPADE", ("num_features, label_channels, hidden_channels=128):", "num_features):"))
    message = check("SPADE", answer).message
    assert "positional arguments" in message and "SPADE(num_features, label_channels, hidden_channels=128)" in message


def test_a_changed_input_is_seen():
    message = check("SPADE", changed("SPADE", ("hidden = ", "x += 1\n        hidden = "))).message
    assert "`x` is changed in place" in message


def test_a_batch_norm_that_forgets_is_seen():
    answer = changed("BatchNorm2d", ('register_buffer("running_mean", ', "__setattr__('running_mean', "))
    assert not check("BatchNorm2d", answer).passed


def test_other_orders_of_the_same_layers():
    assert exchanged("gamma", "beta")(["a", "gamma.w", "gamma.b", "beta.w"]) == ["a", "beta.w", "beta.b", "gamma.w"]
    assert earlier("_s.")(["norm_0.w", "norm_s.w"]) == ["norm_s.w", "norm_0.w"]


@each
def test_a_right_answer_stays_right_whatever_was_drawn_before(part):
    for _ in range(2):
        torch.randn(5)
        result = check(part.name, part.builder(frozenset()))
        assert result.passed, result.message
