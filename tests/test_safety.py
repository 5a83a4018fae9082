"""Nothing that is given runs code, fetches unasked, or reaches beyond what it was given for."""

import ast
import json
import pickle
import re
import shutil
import time
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
import trees

from spade_edu.checkpoints import save_checkpoint
from spade_edu.checks import grading
from spade_edu.checks.wall import best_wall
from spade_edu.cli import main
from spade_edu.errors import UserError
from spade_edu.evaluation.inception import inception
from spade_edu.evaluation.segmenters import load_segmenter
from spade_edu.labels import CITYSCAPES
from spade_edu.models import build
from spade_edu.presets import preset
from spade_edu.pretrained import official, weights
from spade_edu.pretrained.perceptual import VGGFeatures
from spade_edu.related.crn import AveragePooledVGG
from spade_edu.widgets.looks import read_recipe

PACKAGE = Path(__file__).parents[1] / "spade_edu"


def run(*arguments) -> int:
    """The command line in this process; gives the exit code."""
    try:
        main([str(a) for a in arguments])
    except SystemExit as end:
        return end.code or 0
    return 0


# --- code in files of weights


class Payload:
    """A pickle that touches a file when it is loaded by Python's own loader."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def touched(tmp_path):
    """The file that the payload touches; at the end it must not be there."""
    path = tmp_path / "touched"
    pickle.loads(pickle.dumps(Payload(path)))
    assert path.exists(), "the payload is a real one"
    path.unlink()
    yield path
    assert not path.exists(), "code in a file was run"


def poison(path: Path, touched: Path, kind: str = "torch") -> Path:
    """A file with the payload, as torch writes it (a zip file, or as of old), or a bare pickle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"head_0.conv_0.bias": torch.zeros(16), "fc.weight": Payload(touched)}
    if kind == "bare":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "torch")
    return path


def make_run(folder: Path, steps=(1, 2)) -> Path:
    """A run folder with untrained weights."""
    config = preset("test", data="streets")
    networks = build(config, CITYSCAPES)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(asdict(config)))
    for step in steps:
        both = {"G": networks.generator, "D": networks.discriminator}
        save_checkpoint(folder / "checkpoints", step, both, {"step": step})
    return folder


KINDS = pytest.mark.parametrize("kind", ["torch", "old", "bare"])
READERS = {
    "official generator": official.load_generator,
    "official discriminator": official.load_discriminator,
    "official encoder": official.load_encoder,
    "pix2pixHD": official.load_pix2pixhd,
    "published weights": weights.read_state_dict,
    "inception": inception,
    "drn": lambda path: load_segmenter("drn_d_105", path),
    "deeplab": lambda path: load_segmenter("deeplabv2_resnet101", path),
    "upernet": lambda path: load_segmenter("upernet101", (path, path)),
    "recipe": read_recipe,
}


@KINDS
@pytest.mark.parametrize("reader", READERS)
def test_code_in_a_file_of_weights_is_refused_and_not_run(reader, kind, tmp_path, touched):
    with pytest.raises(UserError) as found:
        READERS[reader](poison(tmp_path / "weights.pth", touched, kind))
    assert len(str(found.value).splitlines()) == 1 and "weights_only" not in str(found.value)


@KINDS
@pytest.mark.parametrize("network", [VGGFeatures, AveragePooledVGG])
def test_code_in_the_weights_of_vgg_is_refused_and_not_run(network, kind, tmp_path, touched, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    poison(tmp_path / "hub/checkpoints/vgg19-dcbb9e9d.pth", touched, kind)
    with pytest.raises(UserError, match="vgg19-dcbb9e9d.pth"):
        network()


COMMANDS = [
    ["evaluate", "--official", "bad.pth", "--data", "streets"],
    ["evaluate", "--run", "run", "--data", "streets", "--count", "2", "--real", "bad.pth"],
    ["data", "label", "photos", "out", "--weights", "bad.pth"],
    ["evaluate", "--images", "photos", "--data", "cityscapes", "--root", "cityscapes"],
    ["reproduce", "table2", "bad.pth"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: " ".join(words[:2]))
def test_no_command_runs_code_in_a_file_that_it_is_given(command, tmp_path, touched, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPADE_EDU_WEIGHTS", str(tmp_path / "weights"))
    poison(tmp_path / "bad.pth", touched)
    for entry in weights.CATALOGUE.values():
        poison(tmp_path / "weights" / Path(entry.file).name, touched)
    trees.photo(tmp_path / "photos/ulm_000000_000019.png")
    trees.cityscapes(tmp_path / "cityscapes", "val", ("ulm",), 1)
    make_run(tmp_path / "run")
    assert run(*command) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("spade-edu: ")


@pytest.mark.parametrize("command", ["train", "sample", "evaluate"])
def test_a_poisoned_checkpoint_is_passed_over_and_said(command, tmp_path, touched, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    train = ["train", "--preset", "test", "--data", "streets", "--out", "run", "--save-every", "2"]
    assert run(*train) == 0
    newest = sorted((tmp_path / "run/checkpoints").iterdir())[-1]
    for name in ("state.json", "state.safetensors", "checksums.json"):  # version 0.1 had state.pt
        (newest / name).unlink()
    poison(newest / "state.pt", touched)
    (newest / "G.safetensors").write_bytes(poison(tmp_path / "bad", touched, "bare").read_bytes())
    capsys.readouterr()
    commands = {"train": train, "sample": ["sample", "run", "--count", "1"]}
    assert run(*commands.get(command, ["evaluate", "--run", "run", "--count", "2"])) == 0
    assert "Passing over a broken checkpoint" in capsys.readouterr().out


def test_torch_reads_tensors_only_wherever_the_package_loads():
    """Code is run from text in one place: the file that --code names (tests/test_own_run.py)."""
    calls, run_from_text = [], []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                assert not re.match(r"(pickle|dill|joblib|marshal|shelve|yaml|cloudpickle)\.", name), (path, name)
                assert name not in ("np.load", "numpy.load", "os.system"), (path, name)
                if name == "exec":
                    run_from_text.append(path.relative_to(PACKAGE).as_posix())
                if name in ("torch.load", "torch.hub.load_state_dict_from_url") or name.endswith(".get_state_dict"):
                    calls.append(name)
                    assert {"weights_only": "True"}.items() <= {
                        k.arg: ast.unparse(k.value) for k in node.keywords
                    }.items()
    assert len(calls) >= 2 and run_from_text == ["checks/faults.py", "course/own_code.py"]


# --- connections


def test_nothing_opens_a_connection_but_downloads_that_were_asked_for():
    """No telemetry: the modules that can connect are these, and the page serves on this computer only."""
    names = ("socket", "urllib", "http", "requests", "httpx", "ssl", "ftplib", "smtplib", "webbrowser", "subprocess")
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            found |= {(path.relative_to(PACKAGE).as_posix(), m) for m in modules if m.split(".")[0] in names}
    assert found == {
        ("data/download.py", "http.client"),
        ("data/download.py", "ssl"),
        ("data/download.py", "subprocess"),  # csDownload, Cityscapes' own tool
        ("data/download.py", "urllib.error"),
        ("data/download.py", "urllib.request"),
        ("data/download.py", "urllib.parse"),
        ("widgets/page.py", "http.server"),  # 127.0.0.1 only
        ("widgets/page.py", "socket"),  # the name of an option; this computer's own address, for --lan
        ("widgets/page.py", "urllib.parse"),
        ("pretrained/perceptual.py", "socket"),  # a timeout for torchvision's download of VGG-19
        ("pretrained/perceptual.py", "http.client"),  # its errors
        ("related/crn.py", "http.client"),
        ("course/doctor.py", "webbrowser"),  # whether there is one
        ("course/dry_run.py", "subprocess"),  # JupyterLab, for an instructor's dry run
        ("course/dry_run.py", "urllib.request"),  # whether that answers, on this computer
        ("checks/grading.py", "subprocess"),
        ("checks/wall.py", "subprocess"),
        ("course/trial.py", "subprocess"),  # the student's file is tried there before it is kept
    }


def test_no_command_but_those_that_download_connects(tmp_path, monkeypatch, capsys):
    def refuse(*arguments, **_):
        raise AssertionError(f"a connection to {arguments}")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    monkeypatch.setenv("SPADE_EDU_WEIGHTS", str(tmp_path / "weights"))
    for call in (
        ["train", "--preset", "test", "--data", "streets", "--out", "run"],
        ["sample", "run", "--count", "1"],
        ["evaluate", "--run", "run", "--count", "2"],
        ["data", "make", "made", "--train", "1", "--val", "1", "--height", "32", "--width", "64"],
        ["data", "info", "streets", "--count", "1"],
        ["weights"],
        ["doctor", "--no-timing"],
    ):
        assert run(*call) in (0, 1), call


def test_every_download_of_weights_is_encrypted_and_has_a_hash_where_one_was_published(tmp_path):
    entries = [entry for entry in weights.CATALOGUE.values() if entry.url]
    assert all(entry.url.startswith("https://") for entry in entries)
    named = [entry for entry in entries if re.search(r"-[0-9a-f]{8}\.pth$", entry.file)]
    assert named and all(entry.sha256 and entry.sha256 in entry.file for entry in named)


# --- grading: what a notebook can do to the grades of others

SOLVED = (
    "def receptive_field(layers):\n    field = 1\n    for kernel, stride in reversed(layers):\n"
    "        field = (field - 1) * stride + kernel\n    return field"
)
HOSTILE = {
    "endless loop": "while True: pass",
    "memory": "hoard = []\nwhile True: hoard.append(bytearray(2**28))",
    "fork": "import os\nfor _ in range(3): os.fork()",
    "exit": "import os\nos._exit(0)",
    "escape": "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(3)\n    os._exit(0)",
    "signals": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
    "delete": "import os, shutil\nshutil.rmtree(os.getcwd())\nshutil.rmtree('CLASS')",
    "report": """import gc, os
(report,) = [o for o in gc.get_objects() if type(o).__name__ == "Report"]
for line in ({"cell": "x"}, {"cell": 999}, {"name": 1, "passed": 2}, {"name": "adain", "passed": True, "message": ""}):
    report.say(**line)
os.write(report.descriptor, b"x\\n[1]\\n" + report.token.encode() + b" [1]\\n")""",
    "big file": "open('big', 'wb').write(bytes(2**31))",
    "odd text": "def receptive_field(layers):\n    raise ValueError('\\ud800')",
}
QUICK = ("delete", "report")  # test_grading.py has a loop without end and an exit


def write(path: Path, *cells: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells]}))


@pytest.mark.parametrize("kind", [k if k in QUICK else pytest.param(k, marks=pytest.mark.slow) for k in HOSTILE])
def test_whatever_a_notebook_does_the_next_one_is_graded(kind, tmp_path):
    folder = tmp_path / "class"
    checks = 'check("receptive_field", receptive_field)'
    write(folder / "a.ipynb", SOLVED, HOSTILE[kind].replace("CLASS", str(folder)), checks)
    write(folder / "b.ipynb", SOLVED, checks)
    shutil.copytree(folder, tmp_path / "before")
    started = time.monotonic()
    first, second = grading.grade_folder(folder, 4, tmp_path / "grades.csv")
    assert time.monotonic() - started < 100
    passed = [[g.passed for g in grades if g.exercise == "receptive_field"] for grades in (first, second)]
    walled = best_wall().namespaces
    assert passed == [[kind != "odd text" and (kind != "delete" or walled)], [True]], first
    if kind != "delete" or walled:  # else it ran with our rights: the grades are safe, files are not (docs/teaching.md)
        assert {p.name: p.read_bytes() for p in folder.iterdir()} == {
            p.name: p.read_bytes() for p in (tmp_path / "before").iterdir()
        }
