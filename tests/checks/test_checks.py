"""Every exercise: its reference passes, its mistakes are told by name, and nothing that a student hands in gets out."""

import contextlib
import json
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from torch import Tensor

from spade_edu.checks import check, exercises, hint, known, picture, progress
from spade_edu.checks.comparing import difference, same
from spade_edu.checks.diagnosis import exercise_cases, expected_outcome

each = pytest.mark.parametrize("exercise", exercises(), ids=lambda e: e.name)


@each
def test_the_record_is_complete(exercise):
    assert exercise.stage in {f"{n:02d}" for n in (*range(10), 11)}
    assert 1 <= exercise.difficulty <= 3 and 1 <= exercise.minutes <= 60
    assert exercise.signature.startswith(f"{exercise.name}(")
    assert len(exercise.hints) == 3 and all(len(text) > 20 for text in exercise.hints)
    assert len(set(exercise.mistakes.values())) == len(exercise.mistakes) >= 4


def test_names_are_unique_and_many():
    names = [e.name for e in exercises()]
    assert len(set(names)) == len(names)


@each
def test_the_reference_passes(exercise):
    result = check(exercise.name, exercise.reference)
    assert result.passed, result.message


@each
def test_without_mistakes_the_mistaken_one_is_right(exercise):
    result = check(exercise.name, lambda *a: exercise.mistaken(frozenset(), *a))
    assert result.passed, result.message


@each
def test_each_mistake_fails_with_its_own_message(exercise):
    for name, message in exercise.mistakes.items():
        result = check(exercise.name, lambda *a, name=name: exercise.mistaken(frozenset({name}), *a))
        assert not result.passed, name
        assert result.message == message, name


@each
def test_an_untouched_stub_fails_kindly(exercise):
    for answer in (None, ..., lambda *a: None, lambda *a: ..., _not_implemented):
        result = check(exercise.name, answer)
        assert not result.passed
        assert result.message.startswith("Not started yet"), result.message


def _not_implemented(*arguments):
    raise NotImplementedError


def _mutate(*arguments):
    for a in arguments:
        if isinstance(a, Tensor):
            a.zero_()
    return arguments[0]


def _recurse(*arguments):
    return _recurse(*arguments)


def _noisy_exit(*arguments):
    print("x" * 10_000)
    sys.exit(3)


def _keyboard(*arguments):
    raise KeyboardInterrupt


def _settings(*arguments):
    torch.set_grad_enabled(False)
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(5)
    return arguments[0]


class _Hostile:
    """Raises whatever is done with it."""

    def __getattribute__(self, name):
        raise RuntimeError("no")

    def __eq__(self, other):
        raise RuntimeError("no")

    def __len__(self):
        raise RuntimeError("no")


NASTY = [
    3, "spade", [1], {}, int, _Hostile, torch.zeros(2), _Hostile(), torch.nn.ReLU(),
    lambda: 1, lambda x: x, lambda *a: [1.0, None], lambda *a: [], lambda *a: {}, lambda *a: np.zeros(3),
    lambda *a: a, lambda *a: torch.full_like(a[0], float("nan")) if isinstance(a[0], Tensor) else float("nan"),
    lambda *a: torch.zeros(0), lambda *a: torch.zeros(1, 1, 1), lambda *a: 1j, lambda *a: "text", lambda *a: _Hostile(),
    lambda *a: torch.tensor(1j), lambda *a: 1 / 0, lambda *a: check, lambda *a: (x for x in a),
    _mutate, _recurse, _noisy_exit, _keyboard, _settings,
]  # fmt: skip


@each
def test_nothing_passes_by_accident_and_nothing_gets_out(exercise, capsys):
    first = exercise == next(e for e in exercises() if e.stage == exercise.stage)  # all of them once a stage
    for answer in NASTY if first else NASTY[::5]:
        result = check(exercise.name, answer)
        assert not result.passed
        assert result.message and "Traceback" not in result.message
        assert len(result.message) < 1200
    assert torch.is_grad_enabled() and torch.get_default_dtype() == torch.float32
    assert capsys.readouterr() == ("", "")


@each
def test_a_check_is_the_same_twice_and_leaves_random_numbers_alone(exercise):
    torch.manual_seed(11)
    before = torch.get_rng_state()
    first, second = (check(exercise.name, lambda *a: torch.randn(())).message for _ in range(2))
    assert first == second
    assert torch.equal(torch.get_rng_state(), before)


@each
def test_the_answer_gets_copies(exercise):
    before = [str(c) for c in exercise_cases(exercise)]
    check(exercise.name, _mutate)
    assert [str(c) for c in exercise_cases(exercise)] == before


TIMED = """
import sys, threading
from spade_edu.checks.calling import TimeUp, time_limit

def work(endless):
    try:
        with time_limit(0.2):
            while endless:
                pass
    except TimeUp:
        print("ended")

for endless in (False, True):
    thread = threading.Thread(target=work, args=[endless])
    thread.start()
    thread.join()
    sys.setprofile(lambda *_: None)
    (lambda: 0)()
    sys.setprofile(None)
"""


def test_the_clock_of_a_thread_leaves_nothing_behind():
    """An exception taken back made the next function hang that was watched by sys.setprofile."""
    done = subprocess.run([sys.executable, "-c", TIMED], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and done.stdout == "ended\n", done.stderr


@pytest.mark.parametrize("inside_thread", [False, True])
def test_an_endless_loop_ends(inside_thread, monkeypatch):
    monkeypatch.setattr("spade_edu.checks.calling.SECONDS", 0.3)

    def answer(*arguments):
        while True:
            with contextlib.suppress(Exception):
                sum(range(100))

    results = []
    work = lambda: results.append(check("spade_forward", answer))  # noqa: E731
    if inside_thread:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(60)
    else:
        work()
    assert "come to an end" in results[0].message


def test_an_unknown_name_is_told():
    assert "did you mean 'spade_forward'" in check("spade_foward", lambda: 1).message
    for name in (None, 3, [], ""):
        assert not check(name, None).passed
    assert "spade_forward" in hint("spade_foward", 1)


@each
def test_hints_come_in_three_steps(exercise):
    assert len({str(hint(exercise.name, step)) for step in (1, 2, 3)}) == 3
    assert "three steps" in hint(exercise.name, 4)


def test_no_progress_outside_a_notebook(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exercise = exercises()[0]
    assert check(exercise.name, exercise.reference).passed
    assert list(tmp_path.iterdir()) == []
    assert repr(progress()).startswith("0 of ")


def test_progress_in_a_notebook(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("spade_edu.checks.scorecard.in_notebook", lambda: True)
    first, second = exercises()[:2]
    check(first.name, first.reference)
    check(second.name, None)
    assert json.loads((tmp_path / "spade_edu_progress.json").read_text()) == {first.name: True}
    assert repr(progress()).startswith("1 of ") and second.name in repr(progress())
    check(first.name, None)  # once solved, solved
    assert repr(progress()).startswith("1 of ")
    (tmp_path / "spade_edu_progress.json").write_text("[broken")
    assert repr(progress()).startswith("0 of ")


def test_a_scorecard_that_names_a_dropped_exercise_keeps_all_its_entries(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("spade_edu.checks.scorecard.in_notebook", lambda: True)
    file = tmp_path / "spade_edu_progress.json"
    stored = {"lsgan": True, "spade_cost": False, "instance_norm": True}
    file.write_text(json.dumps(stored))
    assert repr(progress()).startswith(f"1 of {len(known())} ") and "lsgan" not in repr(progress())
    one_hot = next(e for e in exercises() if e.name == "one_hot")
    assert check("one_hot", one_hot.reference).passed
    assert json.loads(file.read_text()) == stored | {"one_hot": True}
    assert repr(progress()).startswith("2 of ")


def test_a_picture_that_cannot_be_drawn_is_skipped(capsys):
    with picture("spade_forward"):
        print(None + 1)
    assert capsys.readouterr().out.startswith("No picture yet: spade_forward")


def test_a_result_shows_itself():
    result = check("spade_forward", None)
    assert repr(result).startswith("✗ spade_forward: Not started yet")
    assert "#b3261e" in result._repr_html_() and "&lt;" not in result._repr_html_()


# What the reference would have been called wrong for, and what a wrong answer could hide behind.


def spade_cases():
    return next(e for e in exercises() if e.name == "spade_forward")


def test_changing_an_argument_in_place_is_seen():
    def answer(x, *rest):
        result = spade_cases().reference(x, *rest)
        x += 1
        return result

    assert "`x` is changed in place by the call" in check("spade_forward", answer).message


def test_a_missing_gradient_is_seen():
    reference = spade_cases().reference
    assert "no gradient flows back" in check("spade_forward", lambda *a: reference(*a).detach()).message
    one = lambda x, s, w, g, b, e: reference(x, s, w, g.detach(), b, e)  # noqa: E731
    assert "the gradient for `gamma` is zero" in check("spade_forward", one).message


def test_changed_settings_are_seen_and_undone():
    def answer(*arguments):
        torch.manual_seed(1)
        return spade_cases().reference(*arguments)

    assert "seeds torch's random numbers" in check("spade_forward", answer).message


def test_another_dtype_is_seen():
    message = check("spade_forward", lambda *a: spade_cases().reference(*a).double()).message
    assert "is float64; expected float32" in message


def test_factor_sign_and_offset_are_told():
    reference = spade_cases().reference
    assert "2 times" in check("spade_forward", lambda *a: 2 * reference(*a)).message
    assert "sign" in check("spade_forward", lambda *a: -reference(*a)).message
    assert "off by the same 0.5" in check("spade_forward", lambda *a: reference(*a) + 0.5).message


def test_another_error_than_the_one_due_is_told():
    reference = next(e.reference for e in exercises() if e.name == "confusion_matrix")

    def answer(*arguments):
        try:
            return reference(*arguments)
        except ValueError as error:
            raise KeyError from error

    message = check("confusion_matrix", answer).message
    assert "It should raise ValueError here. It stops with KeyError" in message


def test_two_mistakes_at_once_are_both_told():
    e = spade_cases()
    message = check(e.name, lambda *a: e.mistaken(frozenset({"no_plus_one", "bilinear"}), *a)).message
    assert "without the 1 +" in message and "bilinear" in message


@each
def test_outcomes_agree_with_words(exercise):
    right = expected_outcome(exercise, frozenset(), 0)
    for name in exercise.mistakes:
        other = expected_outcome(exercise, frozenset({name}), 0)
        words = difference(right, other, exercise.tolerance)
        assert same(right, other, exercise.tolerance) == (words is None)
