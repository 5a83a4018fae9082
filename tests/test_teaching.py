"""docs/teaching.md: plans that add up, checkpoints that are where the clock says, mistakes and answers that exist."""

import re
import sys
from functools import cache
from pathlib import Path

import pytest

from spade_edu.checks import known
from spade_edu.checks.paths import DAY

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import notebooks  # noqa: E402

PAGE = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
TIMED = ("Half a day", "One day", "Day 1", "Day 2")
MINUTES = {"Half a day": 240, "One day": 480, "Day 1": 480, "Day 2": 480, "A semester": 14 * 90, "A project": 1800}
CORE = re.compile(r'(\d\d) core(?: (to|from|at) "([^"]+)")?')


def table(title):
    """The rows of the first table behind a heading (or bold line), each as {column: cell}."""
    text = re.split(rf"^(?:## {title}.*|\*\*{title}\*\*)$", PAGE, maxsplit=1, flags=re.MULTILINE)[1]
    lines = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)[0].splitlines()
    head, _, *rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    return [dict(zip(head, row, strict=True)) for row in rows]


@cache
def notebook(stage):
    (path,) = notebooks.SOURCES.glob(f"{stage}_*.py")
    return notebooks.convert(path)


def part(stage, how, title):
    """The sections of a core path, or of a part of it: [(heading in quotation marks, minutes)]."""
    sections = [(name, minutes) for name, (minutes, _) in notebooks.core_sections(notebook(stage)).items()]
    if how:
        place = [name for name, _ in sections].index(title)
        sections = {"to": sections[: place + 1], "from": sections[place:], "at": sections[place : place + 1]}[how]
    return [(f'"{name}"', minutes) for name, minutes in sections]


def steps(row):
    """What a row of a plan consists of: [(name, minutes)]; empty where nothing has minutes of its own."""
    found = [step for match in CORE.findall(row["with"]) for step in part(*match)]
    names = [name for name in re.findall(r"`(\w+)`", row["with"]) if name in known()]
    return found + [(f"exercise `{name}`", known()[name].minutes) for name in names]


def clock(minutes):
    return f"{minutes // 60}:{minutes % 60:02}"


@pytest.mark.parametrize("title", MINUTES)
def test_a_plan_adds_up(title):
    rows = table(title)
    assert sum(int(row["minutes"]) for row in rows) == MINUTES[title]
    wrong = [row for row in rows if steps(row) and sum(m for _, m in steps(row)) != int(row["minutes"])]
    assert wrong == []
    assert title == "A project" or sum(bool(steps(row)) for row in rows) >= len(rows) / 3


def test_the_headings_name_the_minutes():
    for heading in ("Half a day (240", "One day (480", "Two days (2 x 480", "(14 weeks, 90", "A project (1800"):
        assert heading in PAGE


@pytest.mark.parametrize("title", [*TIMED, "A semester"])
def test_the_clock_runs_on_and_every_half_hour_has_its_checkpoint(title):
    at, week = 0, "1"
    for row in table(title):
        if row.get("week", week) != week:
            at, week = 0, row["week"]
        assert row.get("at", clock(at)) == clock(at), row
        marks, begins = [], at
        for name, minutes in steps(row):
            marks += [f"{clock(m)} {name}" for m in range(begins, begins + minutes) if m % 30 == 0 and m]
            begins += minutes
        assert row["half-hour marks: everybody is at"] == "; ".join(marks), row
        at += int(row["minutes"])


def test_each_week_has_ninety_minutes():
    weeks = {}
    for row in table("A semester"):
        weeks[row["week"]] = weeks.get(row["week"], 0) + int(row["minutes"])
    assert weeks == {str(n): 90 for n in range(1, 15)}


def test_the_day_is_the_minimal_path():
    asked = [name for row in table("One day") for name in re.findall(r"`(\w+)`", row["with"]) if name in known()]
    assert asked == list(DAY)


def test_the_semester_sees_every_core_path():
    assert [CORE.findall(row["with"])[0][0] for row in table("A semester") if CORE.search(row["with"])] == [
        f"{n:02d}" for n in range(12)
    ]


def test_every_mistake_that_is_named_is_known():
    rows = table("Typical mistakes, stage by stage")
    assert [row["stage"] for row in rows] == [f"{n:02d}" for n in range(10)]
    for row in rows:
        named = re.findall(r"`(\w+): (\w+)`", row["mistakes"])
        assert len(named) >= 3 and all(name in known()[exercise].mistakes for exercise, name in named), row
        assert {known()[exercise].stage for exercise, _ in named} == {row["stage"]}


def quiz():
    """[(number, text of the question, {letter: choice}, text of the answer)]"""
    text = PAGE.split("## Quiz", 1)[1]
    asked, answers = text.split("<details><summary>Answers</summary>")
    numbered = re.compile(r"^(\d+)\. (.*?)(?=^\d+\. |\Z)", re.MULTILINE | re.DOTALL)
    answered = dict(numbered.findall(answers.split("</details>")[0]))
    for number, question in numbered.findall(asked):
        yield int(number), question, dict(re.findall(r"^ +- ([abc]): (.+)$", question, re.MULTILINE)), answered[number]


def test_the_quiz_has_ten_choices_of_three_and_two_are_harder():
    asked = list(quiz())
    assert [number for number, *_ in asked] == list(range(1, 11))
    assert all(list(choices) == ["a", "b", "c"] for *_, choices, _ in asked)
    assert [number for number, question, *_ in asked if "(harder)" in question] == [9, 10]


@pytest.mark.parametrize("number, answer", [(n, answer) for n, *_, answer in quiz()])
def test_an_answer_names_the_cell_that_shows_it_and_the_mistakes_of_the_others(number, answer):
    right = re.match(r"\*\*([abc])\.\*\*", answer)[1]
    wrong = re.findall(r"\b([abc]) is `(\w+): (\w+)`", answer)
    assert sorted([right, *(letter for letter, *_ in wrong)]) == ["a", "b", "c"]
    assert all(mistake in known()[exercise].mistakes for _, exercise, mistake in wrong)
    stage, section, words = re.search(r'\*\* (\d\d), "([^"]+)": "([^"]+)"', answer).groups()
    assert words in section_text(stage, section)


def section_text(stage, section):
    """All cells below a heading, each line break a space."""
    title, texts = "", []
    for cell in notebook(stage).cells:
        if cell.cell_type == "markdown":
            title = (re.findall(r"^#+ (.*)", cell.source, re.MULTILINE) or [title])[-1]
        if title == section:
            texts.append(" ".join(cell.source.split()))
    return "\n".join(texts)
