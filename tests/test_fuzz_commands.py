"""Every command with arguments drawn at random from the real command tree: exit code 0 or 2, at most one line of error.

Nothing trains, serves, downloads or runs notebooks: the functions that do (see WORK) are replaced by one that stops,
so that a command gets as far as its work and no further. Paths lie in an empty folder made for each case.
"""

import contextlib
import inspect
import io
import json
import os
import resource
import shutil
import warnings
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
import trees
import typer
from fuzzing import as_installed, search  # noqa: F401
from hypothesis import given
from hypothesis import strategies as st

from spade_edu import presets
from spade_edu.checkpoints import save_checkpoint
from spade_edu.cli import app, main
from spade_edu.data.catalogue import NAMES
from spade_edu.labels import CITYSCAPES
from spade_edu.models import build

WORK = (
    "spade_edu.runs.run.Run.train",
    "spade_edu.widgets.page.PageServer.serve_forever",
    "spade_edu.data.download.fetch",
    "spade_edu.data.streets.write",
    "spade_edu.data.streets.dataset.render",
    "spade_edu.experiments.paper.render",
    "spade_edu.course.doctor.writing",
    "spade_edu.runs.plan.simulate",
    "spade_edu.course.doctor.speed",
    "spade_edu.checks.grading.grade_notebook",
    "spade_edu.evaluation.subjects._generated",
    "spade_edu.experiments.cells.Bench.result",
    "spade_edu.evaluation.scoring.generated_statistics",
    "subprocess.run",
    "subprocess.Popen",
    "socket.create_connection",
)


class Started(BaseException):
    """A command has got as far as its work."""


def stop(*_, **__):
    raise Started


def commands(app: typer.Typer, group, words: tuple[str, ...] = ()):
    """(words, parameters, {name: annotation}) of every command; typer's own tree has no types that stay."""
    for info in app.registered_commands:
        name = info.name or info.callback.__name__
        annotations = {n: str(p.annotation) for n, p in inspect.signature(info.callback).parameters.items()}
        yield (*words, name), group.commands[name].params, annotations
    for info in app.registered_groups:
        yield from commands(info.typer_instance, group.commands[info.name], (*words, info.name))


TREE = {words: rest for words, *rest in commands(app, typer.main.get_command(app))}
NUMBERS = [
    "0",
    "1",
    "2",
    "3",
    "-1",
    "64",
    "33",
    "2.5",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "1000000000000",
    "-0",
    "x",
    "",
    "٣",
]
NUMBERS += [str(2**31), str(2**63), str(2**64), "1" * 5000]
PATHS = [
    "run", "images", "datasets/camvid", "datasets", "class", "file.txt", "weights.pth", "empty", "nothing",
    "nothing/below", "file.txt/below", "nowhere", "straße 🚲/x.png", "", ".", "x" * 300, "picture.png", "broken",
]  # fmt: skip
WORDS = [
    *NAMES, *presets.PRESETS, *presets.ROWS, "auto", "paper", "oasis", "train", "val", "table1", "table2", "figure3",
    "T4", "16GB", "nanGB", "-1GB", "infGB", "vgg19", "lsgan", "straße 🚲", "", "\u202e", "-", "--", "CityScapes",
]  # fmt: skip
SETTINGS = [f"{name}={value}" for name in asdict(presets.preset("test")) for value in ("0", "-1", "nan", "x", "1" * 30)]
SETTINGS += ["", "=", "x=1", "lr", "lr=1e-4", "height=64", "height=40", "batch_size=3", "kernel_size=2"]


PLAUSIBLE = {
    "preset": ["test"],
    "model": ["spade", "pix2pixhd", "pix2pixhd++"],
    "data": ["streets", "cityscapes", "camvid"],
    "root": ["datasets/camvid", "datasets/cityscapes"],
    "run": ["run"],
    "source": ["run", "stored"],
    "images": ["images"],
    "photos": ["images"],
    "official": ["weights.pth"],
    "weights": ["weights.pth"],
    "folder": ["class"],
    "files": ["file.txt"],
    "names": ["vgg19"],
    "set_": ["lr=0.1", "height=64", "batch_size=1"],
    "protocol": ["paper", "oasis"],
    "split": ["train", "val"],
    "gpu": ["T4"],
    "seed": ["1"],
    "height": ["32", "64"],
    "width": ["64", "96"],
    "port": ["0"],
}  # by the name of the option
NAMED = {"reproduce": ["table1", "table4", "table5", "figure1", "figure9"], "data": ["camvid", "cityscapes", "streets"]}


def plausible(words: tuple[str, ...], name: str, annotation: str) -> list[str]:
    """Values that may be right."""
    if name == "name":
        return NAMED[words[0]]
    kind = ["1", "2"] if "int" in annotation or "float" in annotation else ["new/x.png", "new"]
    return PLAUSIBLE.get(name, kind)


def odd(name: str, annotation: str) -> list[str]:
    """Values of the option's kind, few of them right."""
    kind = NUMBERS if "int" in annotation or "float" in annotation else PATHS if "Path" in annotation else WORDS + PATHS
    return {"set_": SETTINGS, "root": PATHS}.get(name, kind)


def arguments(draw, words: tuple[str, ...]) -> list[str]:
    """A call: some options, nearly all with plausible values."""
    call, (parameters, annotations) = list(words), TREE[words]
    for option in parameters:
        of_8 = 7 if option.required else 2 if option.name == "root" else 4  # data sets are found without a root
        if option.name not in annotations or draw(st.integers(0, 7)) >= of_8:
            continue
        name, about = draw(st.sampled_from([*option.opts, *option.secondary_opts])), annotations[option.name]
        if not getattr(option, "is_flag", False):
            right = plausible(words, option.name, about)
            kinds = [right] * 12 + [odd(option.name, about)] * 3 + [WORDS + NUMBERS]
            value = draw(st.sampled_from(draw(st.sampled_from(kinds))))
            call += [name, value] if name.startswith("-") else [value]
        else:
            call.append(name)
    return call


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """What the paths lead to."""
    root = tmp_path_factory.mktemp("template")
    config = presets.preset("test", data="streets")
    networks = build(config, CITYSCAPES)
    for name in "run", "broken":
        (root / name).mkdir()
        (root / name / "config.json").write_text(json.dumps(asdict(config)))
    save_checkpoint(root / "run/checkpoints", 1, {"G": networks.generator, "D": networks.discriminator}, {"step": 1})
    (root / "broken/checkpoints/0000001").mkdir(parents=True)
    for split in "train", "val":
        trees.camvid_small(root / "datasets/camvid", split, 2)
        trees.cityscapes(root / "datasets/cityscapes", split, ("ulm",), 1)
    trees.photo(root / "images/a.png")
    trees.photo(root / "picture.png")
    (root / "class").mkdir()
    (root / "class/03_x.ipynb").write_text('{"cells": [{"cell_type": "code", "source": "1"}]}')
    (root / "file.txt").write_text("text")
    torch.save({"a": torch.zeros(1)}, root / "weights.pth")
    (root / "empty").mkdir()
    (root / "nowhere").symlink_to("there is no such thing")
    return root


@pytest.fixture(autouse=True)
def guarded(template, tmp_path_factory, monkeypatch):
    """Work replaced, memory bounded, weights missing."""
    for name in WORK:
        monkeypatch.setattr(name, stop)
    monkeypatch.setenv("SPADE_EDU_WEIGHTS", str(template / "no weights"))
    monkeypatch.delenv("CITYSCAPES_DATASET", raising=False)
    before = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + 4 * 2**30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def run(call: list[str]) -> tuple[int, str, str]:
    """Exit code, output and errors of a call; 0 where it got as far as its work."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            main(call)
        except Started:
            pass
        except SystemExit as end:
            code = end.code or 0
    return code, out.getvalue(), err.getvalue()


@pytest.mark.parametrize("words", TREE, ids=" ".join)
@search(12)
@given(data=st.data())
def test_a_command_with_random_arguments_works_or_says_what_is_wrong_in_one_line(words, template, data):
    folder = template.parent / "case"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, folder, symlinks=True)
    before = os.getcwd()
    os.chdir(folder)
    try:
        call = arguments(data.draw, words)
        code, _, err = run(call)
    finally:
        os.chdir(before)
    lines = [line for line in err.splitlines() if "\r" not in line and "|" not in line and line.strip()]
    assert code in ((0, 1, 2) if words == ("doctor",) else (0, 2)), (call, code, err)
    assert "Traceback" not in err
    if (
        code == 2 and not err.startswith("Usage:") and words not in (("data", "check"), ("data", "label"))
    ):  # those name each bad file in their output
        assert len(lines) == 1 and lines[0].startswith("spade-edu: "), (call, err)
