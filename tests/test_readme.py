"""README and docs: every command exists with its options, every link leads somewhere."""

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from spade_edu.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SET_UP = ("conda ", "python3 -m venv", "jupyter lab", "OMP_NUM_THREADS=1 python -m pytest", "mkdir ", "pip ")
COMMANDS = typer.main.get_command(app).commands


def lines(page):
    """The commands of a page's fenced blocks without a language, comments and continuations resolved."""
    for block in re.findall(r"^```(?:sh|bash)?\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            yield line.split("  #")[0].strip()


README = [line for line in lines(PAGES[0]) if line and not line.startswith("#")]


@pytest.mark.parametrize("line", README)
def test_a_command_of_the_readme_exists_with_its_options(line):
    if line.startswith(SET_UP):
        return
    name, *words = shlex.split(line.split(" #")[0])
    if name == "make":
        assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif name == "python":
        assert (ROOT / words[0]).is_file()
    else:
        assert name == "spade-edu", line
        command = COMMANDS[words.pop(0)]
        if hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known


def test_the_readme_shows_the_main_commands():
    shown = {shlex.split(line)[1] for line in README if line.startswith("spade-edu ")}
    assert {"demo", "train", "sample", "evaluate", "paper", "reproduce", "plan", "paint", "doctor", "data"} <= shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_to_a_file(page):
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
