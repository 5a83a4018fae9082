"""README and docs: every command exists with its options and, if it can, runs; snippets run; links lead somewhere."""

import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import urllib.request
from pathlib import Path

import pytest
import trees
import typer.main

from spade_edu.cli import app, main
from spade_edu.data.streets.dataset import write

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
INSTALL = 'python3 -m venv .venv && .venv/bin/pip install -e ".[notebooks,test]"'
ACTIVATE = ". .venv/bin/activate"
SET_UP = (
    "conda ", "python3 -m venv", ACTIVATE, "jupyter lab", "OMP_NUM_THREADS=1 python -m pytest",
    "mkdir ", "pip ", "make ",
)  # fmt: skip
COMMANDS = typer.main.get_command(app).commands


def blocks(page, languages):
    """The fenced blocks of a page in these languages, as a pattern."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [block for language, block in found if re.fullmatch(languages, language)]


def lines(page):
    """The commands of a page's fenced blocks, each on one line, without what is said about it (after spaces or a #)."""
    for block in blocks(page, "|sh|bash"):
        for line in re.sub(r"\s*\\\n\s*", " ", block).splitlines():
            if command := re.split(r"\s#|\s{3,}", line)[0].strip():
                yield re.sub(r"  +", " ", command)


def inline(page):
    """The commands that stand in a page's sentences."""
    sentences = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`((?:spade-edu|python|make) [^`]+)`", sentences)


README = [line for line in lines(PAGES[0]) if not line.startswith("#")]
SHOWN = sorted({command for page in PAGES for command in (*lines(page), *inline(page)) if not command.startswith("#")})


@pytest.mark.parametrize("line", SHOWN)
def test_a_command_exists_with_its_options(line):
    name, *words = shlex.split(re.sub(r"[\[\]]", "", line))
    if name == "make":
        assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    elif line.startswith(SET_UP):
        return
    elif name == "python":
        file = words[1].replace(".", "/") if words[0] == "-m" else words[0]
        places = ROOT / file, ROOT / f"{file}.py", ROOT / file / "__main__.py"
        assert any(place.is_file() for place in places)
    else:
        assert name == "spade-edu", line
        words = [word for word in words if word != "--help"]  # every command has it
        if not words:
            return
        command = COMMANDS[words.pop(0)]
        if hasattr(command, "commands") and words:
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known


def test_the_readme_shows_the_main_commands():
    shown = {shlex.split(line)[1] for line in README if line.startswith("spade-edu ")}
    assert {"demo", "train", "sample", "evaluate", "paper", "reproduce", "plan", "paint", "doctor", "data"} <= shown


# What README's commands are given on top, or instead, so that they take a second: the presets become `test`, and ...
LESS = {
    "demo": "--preset test",
    "train": "--set epochs=1 --set epochs_decay=0",
    "evaluate": "--count 4",
    "reproduce": "--preset test --seeds 1 --steps 1",
    "data info": "--count 4",
    "data make": "--train 2 --val 2 --height 32 --width 64",
    "doctor": "--no-timing",
    "plan": "--preset test --set model=pix2pixhd --set num_layers_d=2",
}
# ... which don't run here, and why. Their options are checked above.
NOT_HERE = {
    "spade-edu paint": "serves until it is stopped: the next test",
    "spade-edu paint --beside pix2pixhd": "serves until it is stopped",
    "spade-edu paint --run runs/mine --map street.png": "serves until it is stopped",
    "spade-edu page stored painter": "network, and an extra: tests/browser/test_page_without_python.py",
    "spade-edu data get camvid": "network",
    "spade-edu data get NAME": "network",
    "spade-edu evaluate --images DIR --data cityscapes --root PATH --protocol paper": "published networks, 500 MB",
    "python tools/notebooks.py test": "minutes: `make test` runs it",
}


def test_the_commands_of_the_readme_run_in_its_order(tmp_path, monkeypatch, capsys):
    """In a folder with what README takes for granted: my_spade.py, label maps, data where PATH and `data get` say."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CITYSCAPES_DATASET", raising=False)
    write("scenes", train=1, val=2, height=32, width=64)
    Path("scenes/gtFine/val").rename("MAPS")
    for split in ("train", "val"):
        trees.cityscapes(Path("PATH"), split)
        trees.camvid_small(Path("datasets/camvid"), split, count=8)
    shutil.copy(ROOT / "solutions" / "my_spade.py", "my_spade.py")
    ran = [line for line in README if line.startswith("spade-edu ") and line not in NOT_HERE]
    for line in ran:
        words = shlex.split(re.sub(r"--preset \w+", "--preset test", line))[1:]
        words += shlex.split(LESS.get(" ".join(words[:2]), LESS.get(words[0], "")))
        try:
            main(words)
        except SystemExit as stop:
            assert not stop.code, (line, words, capsys.readouterr().err)
    made = (
        "runs/demo/report.html",
        "samples.png",
        "docs/figures/camvid.png",
        "preview.png",
        "results/test.json",
        "runs/reproduce/table3.png",
    )
    assert [file for file in made if not Path(file).is_file()] == []


def test_what_does_not_run_here_is_in_the_readme():
    assert [line for line in NOT_HERE if line not in README] == []
    others = [line for line in README if not line.startswith(("spade-edu ", *SET_UP))]
    assert [line for line in others if line not in NOT_HERE] == []


# --- as typed, in a shell that knows nothing of this environment

# What the commands after README's own install get on top, so that they take seconds.
SHORT = {
    "spade-edu demo": " --preset test",
    "OMP_NUM_THREADS=1 python -m pytest": "/test_labels.py",
    "python tools/notebooks.py test": " 99",  # no such stage: only the wheel is made
    "jupyter lab": " --version",
}
PYTHON3 = """#!/bin/sh
{python} "$@" || exit 1
case "$*" in *venv*) echo 'import sys; sys.path.insert(0, "{packages}")' > .venv/{site}/downloaded.pth; esac
"""
COPIED = ("README.md", "LICENSE", "Makefile", "pyproject.toml", "notebooks", "spade_edu", "tests", "tools")


@pytest.fixture
def fresh_shell(tmp_path):
    """Runs a script in a copy of the repository; packages are not downloaded: a new environment sees this one's."""
    folder, programs = tmp_path / "spade_edu", tmp_path / "programs"
    folder.mkdir(), programs.mkdir()
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    site = f"lib/python{sysconfig.get_python_version()}/site-packages"
    about = dict(packages=sysconfig.get_path("purelib"), site=site)
    (programs / "python3").write_text(PYTHON3.format(python=sys._base_executable, **about), encoding="utf-8")
    (programs / "python3").chmod(0o755)
    (programs / "jupyter").symlink_to(Path(sys.executable).with_name("jupyter"))  # a download would have brought it
    path = f"{programs}:/usr/bin:/bin"
    environment = {"PATH": path, "HOME": str(tmp_path), "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"}

    def run(*lines):
        command = ["bash", "-e", "-c", "\n".join(lines)]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8")

    return run


@pytest.mark.slow
def test_the_commands_work_as_typed_after_readmes_own_install(fresh_shell):
    block = next(block for block in blocks(PAGES[0], "") if INSTALL in block)
    typed = [line for line in README if line in re.sub(r"  +", " ", block)]
    assert typed[:2] == [INSTALL, ACTIVATE] and len(typed) == 2 + len(SHORT)
    short = [line + next(more for start, more in SHORT.items() if line.startswith(start)) for line in typed[2:]]
    done = fresh_shell(*typed[:2], *short, "echo to the end")
    assert done.returncode == 0 and done.stdout.endswith("to the end\n"), (done.stdout[-2000:], done.stderr[-2000:])
    assert "command not found" in fresh_shell("spade-edu --help").stderr  # hence the line that activates


@pytest.mark.slow
def test_make_replaces_an_environment_of_too_old_a_python(fresh_shell):
    old = "mkdir -p .venv/bin", "printf '#!/bin/sh\\nexit 1' > .venv/bin/python", "chmod +x .venv/bin/python"
    done = fresh_shell(*old, "make .venv/installed", ".venv/bin/spade-edu --help")
    assert done.returncode == 0 and "Usage: spade-edu" in done.stdout, done.stderr


def test_paint_serves_its_page(tmp_path):
    command = [sys.executable, "-m", "spade_edu", "paint"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as program:
        try:
            address = re.search(r"http://\S+", program.stdout.readline())[0]
            with urllib.request.urlopen(address, timeout=30) as page:
                assert "<title>spade_edu: paint a scene</title>" in page.read().decode()
        finally:
            program.kill()


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trees.photo(Path("photos/a.jpg"))
    trees.ids(Path("labels/a.png"), top=2)
    Path("classes.txt").write_text("grass\nsky\n")
    names = {"__name__": page.stem}
    for block in blocks(page, "python"):
        exec(compile(block, page.name, "exec"), names)


def anchors(page):
    """The addresses that GitHub gives a page's headings."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_to_a_file_and_a_heading_of_it(page):
    text = page.read_text(encoding="utf-8")
    for file, heading in re.findall(r"\]\((?!https?:|mailto:)([^)#\s]*)#?([^)\s]*)", text):
        target = page.parent / file if file else page
        assert target.exists(), file
        assert not heading or target.suffix != ".md" or heading in anchors(target), (file, heading)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_other_link_is_encrypted(page):
    links = re.findall(r"\]\((\w+:[^)\s]*)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not link.startswith("https:")] == []
