"""Every row of the table in bad_inputs.py is run; docs/robustness.md says what comes of each."""

import re
import sys
from pathlib import Path

import pytest
from bad_inputs import CASES, message, outcome
from fuzzing import as_installed  # noqa: F401

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
import robustness  # noqa: E402

NAMES = [f"{case.area}: {case.did}" for case in CASES]
BAD = [i for i, case in enumerate(CASES) if not case.works]
FINE = [i for i, case in enumerate(CASES) if case.works]


@pytest.mark.parametrize("index", BAD, ids=NAMES.__getitem__)
def test_bad_input_gives_one_line_and_exit_code_2_and_writes_nothing(index):
    case, found = CASES[index], outcome(index)
    assert found.code == 2 and "Traceback" not in found.err, found
    assert message(index).startswith("spade-edu: ") and case.words in message(index), found
    said = [line for line in found.err.split("\n") if line and "%|" not in line]  # a bar is no message
    assert len(said) == 1, found
    assert not [name for name in found.written if not name.startswith(case.leaves or "\0")], found


@pytest.mark.parametrize("index", FINE, ids=NAMES.__getitem__)
def test_odd_input_works(index):
    found = outcome(index)
    assert found.code == 0 and CASES[index].words in found.out, found


def test_the_table_is_long_and_has_no_row_twice():
    assert len(BAD) >= 45 and len(FINE) >= 10 and len(set(NAMES)) == len(NAMES)


@pytest.mark.skipif(sys.platform != "linux", reason="some rows are for Linux only")
def test_the_page_holds_the_messages_of_today():
    text = robustness.PAGE.read_text(encoding="utf-8")
    today, stored = robustness.updated(text).splitlines(), text.splitlines()
    # What is wrong with an option is said in typer's words, which differ between its versions.
    other = [new for new, old in zip(today, stored) if new != old and "--help`" not in new]
    assert len(today) == len(stored) and other == [], "run `python tools/robustness.py`"
    assert all(Path(__file__).parents[1].joinpath(name).is_file() for name in re.findall(r"tests/[\w/]+\.py", text))
