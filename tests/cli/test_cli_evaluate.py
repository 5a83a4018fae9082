"""Evaluation from the command line: real networks with random weights on a tiny data set in Cityscapes' layout."""

import json
import shutil
import sys
import warnings
from dataclasses import replace

import pytest
import torch
import trees
import typer
from PIL import Image

from spade_edu.cli import evaluate, main, weights
from spade_edu.data.streets import Streets
from spade_edu.data.streets.dataset import write
from spade_edu.errors import UserError
from spade_edu.evaluation.inception import Inception
from spade_edu.evaluation.pipeline import Scorer
from spade_edu.evaluation.protocol import protocol
from spade_edu.evaluation.scoring import Features, Judges, judges_of
from spade_edu.evaluation.segmenters.drn import DRN
from spade_edu.evaluation.subjects import from_folder
from spade_edu.generators import SPADEGenerator
from spade_edu.pictures import to_uint8
from spade_edu.pretrained.judge import ASSETS
from spade_edu.pretrained.official import to_official

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
    assert "--fid-network torchvision-2019 compares with it" in printed
    assert "3 images of the protocol's 500" in printed and "FID" in printed and "KID" in printed
    assert "62.3" in printed and "81.9" in printed and "FID 71.8" in printed  # the paper's row
    row = next(line for line in printed.splitlines() if line.startswith("SPADE, cityscapes")).split()
    assert row[2:7] == ["62.3", "-", "81.9", "FID", "71.8"], "81.9 stands below the accuracy that counts void"
    assert "3 images for 2048 features" in printed
    table = json.loads((place / "out" / "scores.json").read_text())
    scores = table["scores"][0]
    assert scores["n"] == scores["n_real"] == 3 and scores["protocol"]["fed"] == "label"
    assert 0 <= scores["accuracy_with_void"] < scores["accuracy"]
    assert f"{100 * scores['accuracy_with_void']:.1f}" in printed
    assert scores["distance_name"] == "FID" and 0 <= scores["miou"] <= 1 and scores["distance"] > 0
    assert Image.open(place / "out" / "iou.png").width > 100


def test_the_real_side_is_written_then_read(place, tmp_path):
    subject = from_folder(place / "images", "cityscapes", str(place / "data"), None)
    features = Features(lambda image: image.mean((2, 3)), "mean colours", "FD (mean colours)", "KD (mean colours)")
    judges, file = Judges(None, features), tmp_path / "new" / "real.safetensors"
    gathered = Scorer(subject.place, "paper", judges=judges, file=file).real()
    written = file.stat().st_mtime_ns
    read = Scorer(subject.place, "paper", judges=judges, file=file).real()
    assert file.stat().st_mtime_ns == written
    assert read.n == 3 and torch.equal(read.cov, gathered.cov) and torch.equal(read.kept, gathered.kept)
    for other in ("oasis", "clade"):
        with pytest.raises(UserError, match="real.safetensors holds features of 3 of cityscapes val, full size"):
            Scorer(subject.place, other, judges=judges, file=file).real()
    # Another data set of as many pictures in the same layout.
    other = shutil.copytree(place / "data", tmp_path / "other")
    for path in [path for path in other.rglob("*_000019_*") if path.is_file()]:
        path.rename(path.with_name(path.name.replace("_000019_", "_000020_")))
    elsewhere = replace(subject.place, root=other)
    with pytest.raises(UserError, match="holds features of 3 of .*names .*compares with 3 of .*names"):
        Scorer(elsewhere, "paper", judges=judges, file=file).real()


def test_compare_protocols(place, capsys):
    run(*options(place), "--compare-protocols", "--no-distance", "--json", place / "all.json")
    printed = capsys.readouterr().out
    rows = [line.split()[0] for line in printed.splitlines() if line.strip()]
    assert [r for r in rows if r in ("paper", "oasis", "clade", "gan-compression", "cc-fpse", "largest")] == [
        "paper", "oasis", "clade", "gan-compression", "cc-fpse", "largest",
    ]  # fmt: skip
    scores = json.loads((place / "all.json").read_text())["scores"]
    assert len({s["accuracy"] for s in scores}) > 2 and all(s["distance"] is None for s in scores)


class Guess(torch.nn.Module):
    """A segmenter of 150 classes whose guess depends on its name."""

    def __init__(self, name):
        super().__init__()
        self.seed = len(name)

    def forward(self, image, size=None):
        generator = torch.Generator().manual_seed(self.seed)
        return torch.randn(1, 150, *(size or image.shape[2:]), generator=generator)


@pytest.mark.parametrize(
    "asked, loaded",
    [
        (["--compare-protocols"], ["upernet101-baseline", "upernet101"]),
        (["--compare-protocols", "--segmenter", "upernet101"], ["upernet101"]),
        (["--protocol", "csail"], ["upernet101-baseline"]),
    ],
)
def test_each_protocol_has_its_own_segmenter(tmp_path, monkeypatch, asked, loaded):
    names = []
    monkeypatch.setattr(
        "spade_edu.evaluation.segmenters.load_segmenter", lambda name: names.append(name) or Guess(name)
    )
    trees.ade20k(tmp_path)
    for i in range(4):
        trees.photo(tmp_path / f"images/ADE_val_{i + 1:08d}.png", i, height=32, width=32)
    source = ["evaluate", "--images", tmp_path / "images", "--data", "ade20k", "--root", tmp_path, "--no-distance"]
    run(*source, *asked, "--json", tmp_path / "scores.json")
    assert names == loaded, "each is loaded once"
    scores = json.loads((tmp_path / "scores.json").read_text())["scores"]
    assert {s["protocol"]["segmenter"] for s in scores} == set(loaded)
    by_name = {s["protocol"]["name"]: s for s in scores}
    if len(loaded) == 2:
        assert by_name["oasis"]["accuracy"] != by_name["cc-fpse"]["accuracy"], "sizes alike, networks not"
    elif len(scores) > 1:
        assert by_name["oasis"]["accuracy"] == by_name["cc-fpse"]["accuracy"]


@pytest.mark.parametrize(
    "arguments,message",
    [
        (["evaluate"], "give one of --images"),
        (["evaluate", "--images", "nowhere", "--data", "streets"], "nowhere is not a folder"),
        (["evaluate", "--official", "G.pth"], "--official needs --data"),
        (["evaluate", "--images", "nowhere", "--label-order", "official"], "--label-order is for --official"),
        (["weights", "resnet"], "no weights 'resnet'"),
    ],
)
def test_mistakes(arguments, message):
    with pytest.raises(UserError, match=message):
        run(*arguments)


def test_a_distance_of_the_older_network_has_a_name_of_its_own(place, capsys, monkeypatch):
    network = Inception("torchvision-2019")
    asked = []
    module = sys.modules["spade_edu.evaluation.inception"]  # the package's name for it is the function
    monkeypatch.setattr(module, "inception", lambda **names: asked.append(names) or network)
    run(*options(place), "--no-segmentation", "--fid-network", "torchvision-2019")
    printed = capsys.readouterr().out
    assert asked == [{"network": "torchvision-2019"}]
    assert "FID (torchvision 2019)" in printed and "KID (torchvision 2019)" in printed
    assert "The paper's FID is of" not in printed
    with pytest.raises(UserError, match="--fid-network is for photographs"):
        judges_of(protocol("streets", "streets"), device=torch.device("cpu"), fid_network="torchvision-2019")


def test_missing_weights_and_wrong_protocol(place, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="no protocol 'mine'"):
        run(*options(place), "--protocol", "mine")
    with pytest.raises(UserError, match="'streets' is for Streets, not cityscapes"):
        run(*options(place), "--protocol", "streets")
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


def test_a_run_is_scored_by_its_own_generator(place, tmp_path, capsys):
    main(["train", "--preset", "test", "--data", "streets", "--style", "--out", str(tmp_path)])
    source = ["evaluate", "--run", tmp_path, "--data", "cityscapes", "--root", place / "data", "--no-distance"]
    run(*source, "--count", 2, "--json", tmp_path / "scores.json")
    table = json.loads((tmp_path / "scores.json").read_text())
    assert table["scores"][0]["n"] == 2 and table["generated_size"] == [32, 64]
    # the same seed draws the same images
    run(*source, "--count", 2, "--json", tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text()) == table
    if table["diversity"]:
        assert table["diversity"]["mean"] > 0 and table["diversity"]["samples"] == 5


@pytest.mark.skipif(not (ASSETS / "judge.safetensors").is_file(), reason="needs the stored judge of Streets")
def test_streets_orders_renders_above_noise(tmp_path, capsys):
    scenes = Streets(12, split="val")
    for kind in ("real", "noise"):
        (tmp_path / kind).mkdir()
    for i in range(12):
        sample = scenes[i]
        noise = torch.randint(0, 256, (64, 128, 3), dtype=torch.uint8)
        Image.fromarray(to_uint8(sample.image).numpy()).save(tmp_path / "real" / f"{sample.name}.png")
        Image.fromarray(noise.numpy()).save(tmp_path / "noise" / f"{sample.name}.png")
    scores = []
    for kind in ("real", "noise"):
        file = tmp_path / f"{kind}.json"
        run("evaluate", "--images", tmp_path / kind, "--data", "streets", "--count", 12, "--json", file)
        scores.append(json.loads(file.read_text())["scores"][0])
    real, noise = scores
    assert real["miou"] > 2 * noise["miou"] and real["accuracy"] > 2 * noise["accuracy"]
    assert 10 * real["distance"] < noise["distance"] and real["kernel"] < noise["kernel"]
    assert real["distance_name"] == "FD (Streets judge)" and "FID" not in json.dumps(real["features"])
    assert "others than the paper's" in capsys.readouterr().out


def test_an_official_checkpoint_is_scored(place, tmp_path):
    G = SPADEGenerator(36, latent=(4, 8), num_upsampling_layers="more", ngf=2, hidden_channels=4)
    torch.save(to_official(G), tmp_path / "latest_net_G.pth")
    source = ["evaluate", "--official", tmp_path / "latest_net_G.pth", "--data", "cityscapes", "--root", place / "data"]
    run(*source, "--count", 2, "--no-distance", "--json", tmp_path / "scores.json")
    table = json.loads((tmp_path / "scores.json").read_text())
    assert table["generated_size"] == [256, 512] and table["scores"][0]["n"] == 2 and table["diversity"] is None
    torch.save(to_official(SPADEGenerator(12, latent=(4, 8), ngf=2, hidden_channels=4)), tmp_path / "other.pth")
    with pytest.raises(UserError, match="takes 12 label channels, cityscapes has 36"):
        run("evaluate", "--official", tmp_path / "other.pth", *source[3:])


def own_pairs(root, count=3):
    for split in "train", "val":
        for i in range(count):
            trees.photo(root / split / f"images/{i}.jpg", i)
            trees.ids(root / split / f"labels/{i}.png", 12, i)
    (root / "classes.txt").write_text("\n".join(f"class {i}" for i in range(12)))
    return root


@pytest.fixture(scope="module")
def own(place):
    """Runs on own pairs and on CamVid, and what one of them painted."""
    root = place / "own"
    own_pairs(root / "folder")
    for split in "train", "val":
        trees.camvid_small(root / "camvid", split)
    for name in "folder", "camvid":
        train = ["train", "--preset", "test", "--set", "epochs_decay=0", "--data", name, "--root", str(root / name)]
        main([*train, "--out", str(root / f"run-{name}")])
    return root


@pytest.mark.parametrize("data", ["folder", "camvid"])
def test_own_data_has_fid_and_kid_against_its_own_photographs(place, own, capsys, data):
    run("evaluate", "--run", own / f"run-{data}", "--json", own / "scores.json")
    out = capsys.readouterr().out
    assert f"no segmenter is published for {data}" in out and "segmenter none" in out and "Table 1" not in out
    (scores,) = json.loads((own / "scores.json").read_text())["scores"]
    assert (scores["distance_name"], scores["kernel_name"], scores["n_real"]) == ("FID", "KID", 3)
    assert scores["distance"] > 0 and scores["miou"] is None and scores["iou"] == {}
    main(["test", "--run", str(own / f"run-{data}"), "--label-dir", str(own / data / "val/labels"),
          "--results-dir", str(own / f"images-{data}")])  # fmt: skip
    given = ["evaluate", "--images", own / f"images-{data}", "--data", data, "--root", own / data]
    run(*given, "--json", own / "again.json")
    assert json.loads((own / "again.json").read_text())["scores"] == [scores]


def test_photographs_as_images_are_at_no_distance(place, own, tmp_path):
    (tmp_path / "images").mkdir()
    for path in (own / "folder/val/images").iterdir():
        Image.open(path).save(tmp_path / "images" / f"{path.stem}.png")
    source = ["evaluate", "--images", tmp_path / "images", "--data", "folder", "--root", own / "folder"]
    run(*source, "--json", tmp_path / "scores.json")
    assert json.loads((tmp_path / "scores.json").read_text())["scores"][0]["distance"] == pytest.approx(0, abs=1e-6)


def test_the_real_side_of_own_data_is_kept_and_is_of_these_files(place, own, tmp_path):
    data, file = shutil.copytree(own / "folder", tmp_path / "data"), tmp_path / "real.safetensors"
    source = ["evaluate", "--run", own / "run-folder", "--data", "folder", "--root", data, "--real", file]
    run(*source)
    written = file.stat().st_mtime_ns
    run(*source)
    assert file.stat().st_mtime_ns == written
    trees.photo(data / "val/images/1.jpg", 9, quality=40)
    with pytest.raises(UserError, match=r"real.safetensors holds features of 3 of folder val.*sizes"):
        run(*source)


def test_what_own_data_cannot_have_is_said_before_anything_is_painted(place, own, tmp_path, monkeypatch):
    monkeypatch.setattr("spade_edu.evaluation.subjects.paint", lambda *_, **__: pytest.fail("painted"))
    source = ["evaluate", "--run", own / "run-folder"]
    with pytest.raises(UserError, match="no segmenter is published for folder: without distances there is nothing"):
        run(*source, "--no-distance")
    with pytest.raises(UserError, match="count 4: folder has 3"):
        run(*source, "--count", "4")
    monkeypatch.setenv("SPADE_EDU_WEIGHTS", str(tmp_path))
    with pytest.raises(UserError, match="weights missing.*pytorch-fid"):
        run(*source)


def test_a_split_by_rule_is_scored_as_it_was_trained(place, tmp_path, capsys):
    root = own_pairs(tmp_path / "set", 20)
    shutil.rmtree(root / "val")
    train = ["train", "--preset", "test", "--set", "epochs_decay=0", "--data", "folder", "--root", str(root)]
    main([*train, "--set", "batch_size=18", "--out", str(tmp_path / "run")])
    capsys.readouterr()
    run("evaluate", "--run", tmp_path / "run")
    out = capsys.readouterr().out
    assert "2 images, folder" in out and "Note: There is no val folder: 2 of the 20 pairs" in out
