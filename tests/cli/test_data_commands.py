import pytest
import trees
import typer
from PIL import Image
from typer.testing import CliRunner

from spade_edu.cli import data
from spade_edu.errors import UserError


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run `spade-edu data ...` in an empty folder; a UserError is raised, as cli.main expects it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CITYSCAPES_DATASET", raising=False)
    app = typer.Typer()
    data.register(app)
    app.command("other")(lambda: None)

    def run(*arguments):
        result = CliRunner().invoke(app, ["data", *map(str, arguments)])
        if isinstance(result.exception, UserError):
            raise result.exception
        return result

    return run


def test_check_passes_a_sound_folder(run, tmp_path):
    for split in "train", "val":
        trees.cityscapes(tmp_path / "cs", split)
    result = run("check", "--root", tmp_path / "cs")
    assert result.exit_code == 0
    assert "Cityscapes train: 4 good pairs found, 0 bad, 2,975 published." in result.stdout
    assert "Cityscapes val: 4 good pairs found, 0 bad, 500 published." in result.stdout


def test_check_names_bad_pairs_and_fails(run, tmp_path):
    trees.camvid_small(tmp_path)
    trees.ids(tmp_path / "train/labels/0001TP_1.png", 200)
    (tmp_path / "train/labels/0001TP_2.png").unlink()
    result = run("check", "camvid", "--root", tmp_path, "--split", "train")
    assert result.exit_code == 2
    assert "0001TP_1.png: pixel values" in result.stdout and "0001TP_2.jpg has no label map" in result.stdout
    assert "CamVid train: 1 good pairs found, 2 bad, 367 published." in result.stdout


def test_check_fails_without_a_split(run, tmp_path):
    result = run("check", "camvid", "--root", trees.camvid_small(tmp_path))
    assert result.exit_code == 2 and "val: " in result.stdout and "3 good pairs" in result.stdout


def test_check_has_nothing_to_do_for_streets(run):
    with pytest.raises(UserError, match="rendered"):
        run("check")


def test_info_prints_classes_and_shares(run, tmp_path):
    result = run("info", "camvid", "--root", trees.camvid_small(tmp_path))
    assert result.exit_code == 0
    rows = {line.split()[1]: line for line in result.stdout.splitlines() if line[:4].strip().isdigit()}
    assert len(rows) == 12 and "60  40 222" in rows["pavement"]
    assert sum(float(row.split()[-1].rstrip("%")) for row in rows.values()) == pytest.approx(100, abs=0.1)


def test_preview_writes_a_picture(run, tmp_path):
    options = ["--count", 2, "--height", 16, "--width", 32, "--out", "seen.png"]
    assert run("preview", "streets", *options).exit_code == 0
    assert Image.open(tmp_path / "seen.png").width > 3 * 32


def test_made_streets_pass_the_check(run, tmp_path):
    assert run("make", "out", "--train", 2, "--val", 1, "--height", 32, "--width", 64).exit_code == 0
    result = run("check", "--root", "out")
    assert result.exit_code == 0 and "train: 2 good pairs" in result.stdout and "val: 1 good pairs" in result.stdout


def test_get_counts_what_has_arrived(run, tmp_path, monkeypatch):
    from spade_edu.data import CamVid, download

    def bring(name, root):
        for split in "train", "val":
            trees.camvid_segnet(root, split)

    monkeypatch.setattr(download, "get", bring)
    with pytest.raises(UserError, match="some of camvid is missing"):
        run("get", "camvid")
    monkeypatch.setattr(CamVid, "published", {"train": 3, "val": 3})
    result = run("get", "camvid")
    assert result.exit_code == 0 and "CamVid val: 3 pairs found, 3 published." in result.stdout
    assert run("info", "camvid").exit_code == 0  # found in datasets/camvid without being told


def test_get_coco_stuff_draws_the_instance_maps(run, tmp_path, monkeypatch):
    from spade_edu.data import COCOStuff, download

    def bring(name, root):
        for split in "train", "val":
            trees.coco(root, f"images/{split}2017", f"annotations/{split}2017")
            (root / f"annotations/instances_{split}2017.json").write_text('{"images": [], "annotations": []}')

    monkeypatch.setattr(download, "get", bring)
    monkeypatch.setattr(COCOStuff, "published", {"train": 4, "val": 4})
    result = run("get", "coco-stuff")
    assert result.exit_code == 0 and "train: 4 instance maps drawn." in result.stdout
    assert run("check", "coco-stuff").exit_code == 0


def test_pack_says_how_to_use_the_archive(run, tmp_path):
    for split in "train", "val":
        trees.cityscapes(tmp_path / "cs", split)
    result = run("pack", "cityscapes", "out/small.tar", "--root", "cs", "--height", 6, "--width", 12)
    assert result.exit_code == 0 and "Wrote 8 pairs" in result.stdout and (tmp_path / "out/small.tar").exists()


def test_label_needs_photographs_a_split_and_weights(run, tmp_path, monkeypatch):
    monkeypatch.setenv("SPADE_EDU_WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match="expected photographs"):
        run("label", "mine", "set")
    trees.photo(tmp_path / "mine/a.jpg")
    with pytest.raises(UserError, match="no split 'test'"):
        run("label", "mine", "set", "--split", "test")
    with pytest.raises(UserError, match="weights missing: .*deeplabv2_resnet101"):
        run("label", "mine", "set")
    assert not (tmp_path / "set").exists()


def test_label_names_a_bad_photograph_and_fails(run, tmp_path, monkeypatch):
    from torch import nn

    from spade_edu.evaluation import segmenters

    monkeypatch.setattr(segmenters, "load_segmenter", lambda name, source: nn.Conv2d(3, 182, 1))
    trees.photo(tmp_path / "mine/a.jpg")
    assert run("label", "mine", "set", "--long-side", 64).exit_code == 0
    (tmp_path / "mine/b.jpg").write_bytes(b"")
    result = run("label", "mine", "set", "--long-side", 64)
    assert result.exit_code == 2 and "bad: mine/b.jpg" in result.stdout
    assert "0 label maps written, 1 kept, 1 bad." in result.stdout
    assert run("check", "flickr-landscapes", "--root", "set", "--split", "train").exit_code == 0
