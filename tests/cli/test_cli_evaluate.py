"""Evaluation from the command line: real networks with random weights on a tiny data set in Cityscapes' layout."""

import json
import warnings

import pytest
import torch
import typer
from PIL import Image

from spade_edu.cli import evaluate, weights
from spade_edu.cli.subjects import RealSides, from_folder
from spade_edu.data.streets.dataset import write
from spade_edu.errors import UserError
from spade_edu.evaluation.inception import Inception
from spade_edu.evaluation.protocol import protocol
from spade_edu.evaluation.scoring import Features, Judges
from spade_edu.evaluation.segmenters.drn import DRN

app = typer.Typer(pretty_exceptions_enable=False)
evaluate.register(app)
weights.register(app)


def run(*arguments):
    app([str(a) for a in arguments], standalone_mode=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with published-kind weights (random numbers), a data set and images generated for it."""
    root = tmp_path_factory.mktemp("evaluate")
    torch.manual_seed(0)
    torch.save(DRN().state_dict(), root / "drn-d-105_ms_cityscapes.pth")
    torch.save(Inception().layers.state_dict(), root / "pt_inception-2015-12-05-6726825d.pth")
    write(root / "data", train=3, val=3, height=32, width=64)
    (root / "images").mkdir()
    for path in (root / "data" / "leftImg8bit" / "val").rglob("*.png"):
        Image.open(path).resize((32, 16)).save(root / "images" / path.name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPADE_EDU_WEIGHTS", str(root))
        yield root


def options(place):
    return ["evaluate", "--images", place / "images", "--data", "cityscapes", "--root", place / "data"]


def test_table_json_and_picture(place, capsys):
    files = ["--json", place / "out" / "scores.json", "--picture", place / "out" / "iou.png"]
    run(*options(place), *files)
    printed = capsys.readouterr().out
    assert "3 images of the protocol's 500" in printed and "FID" in printed and "KID" in printed
    assert "62.3" in printed and "81.9" in printed and "FID 71.8" in printed  # the paper's row
    assert "3 images for 2048 features" in printed
    table = json.loads((place / "out" / "scores.json").read_text())
    scores = table["scores"][0]
    assert scores["n"] == scores["n_real"] == 3 and scores["protocol"]["fed"] == "label"
    assert scores["distance_name"] == "FID" and 0 <= scores["miou"] <= 1 and scores["distance"] > 0
    assert Image.open(place / "out" / "iou.png").width > 100


def test_the_real_side_is_written_then_read(place, tmp_path):
    subject = from_folder(place / "images", "cityscapes", str(place / "data"), None)
    features = Features(lambda image: image.mean((2, 3)), "mean colours", "FD (mean colours)", "KD (mean colours)")
    judges, file = Judges(None, features), tmp_path / "new" / "real.safetensors"
    gathered = RealSides(subject, judges, file).of(protocol("paper", "cityscapes"))
    written = file.stat().st_mtime_ns
    read = RealSides(subject, judges, file).of(protocol("paper", "cityscapes"))
    assert file.stat().st_mtime_ns == written
    assert read.n == 3 and torch.equal(read.cov, gathered.cov) and torch.equal(read.kept, gathered.kept)
    for other in ("oasis", "clade"):
        with pytest.raises(UserError, match="real.safetensors holds features of 3 of cityscapes val, full size"):
            RealSides(subject, judges, file).of(protocol(other, "cityscapes"))


def test_compare_protocols(place, capsys):
    run(*options(place), "--compare-protocols", "--no-distance", "--json", place / "all.json")
    printed = capsys.readouterr().out
    rows = [line.split()[0] for line in printed.splitlines() if line.strip()]
    assert [r for r in rows if r in ("paper", "oasis", "clade", "gan-compression", "cc-fpse", "largest")] == [
        "paper", "oasis", "clade", "gan-compression", "cc-fpse", "largest",
    ]  # fmt: skip
    scores = json.loads((place / "all.json").read_text())["scores"]
    assert len({s["accuracy"] for s in scores}) > 2 and all(s["distance"] is None for s in scores)


@pytest.mark.parametrize(
    "arguments,message",
    [
        (["evaluate"], "give one of --images"),
        (["evaluate", "--images", "nowhere", "--data", "streets"], "nowhere is not a folder"),
        (["evaluate", "--official", "G.pth"], "--official needs --data"),
        (["weights", "resnet"], "no weights 'resnet'"),
    ],
)
def test_mistakes(arguments, message):
    with pytest.raises(UserError, match=message):
        run(*arguments)


def test_missing_weights_and_wrong_protocol(place, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="no protocol 'mine'"):
        run(*options(place), "--protocol", "mine")
    with pytest.raises(UserError, match="count 9"):
        run(*options(place), "--count", 9)
    monkeypatch.setenv("SPADE_EDU_WEIGHTS", str(tmp_path))
    with pytest.raises(UserError, match="weights missing.*drn-cityscapes-models"):
        run(*options(place))
    with pytest.raises(UserError, match="weights missing.*spade-edu weights --download.*pytorch-fid"):
        run(*options(place), "--no-segmentation")


def test_weights_lists_and_verifies(place, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SPADE_EDU_WEIGHTS", str(tmp_path))
    run("weights", "drn_d_105", "upernet101_encoder", "inception")
    printed = capsys.readouterr().out
    assert printed.count("missing") == 3 and "drn-cityscapes-models" in printed and str(tmp_path) in printed
    monkeypatch.setenv("SPADE_EDU_WEIGHTS", str(place))
    with pytest.raises(UserError, match="not the published file"):
        run("weights", "drn_d_105")


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
