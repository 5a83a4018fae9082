"""`spade-edu test`: a picture for each label map of a folder, from a run, an official file or the stored network."""

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import trees
from apart import NEEDS_FORK
from PIL import Image
from test_distributed import spawn

from spade_edu.cli import main
from spade_edu.cli.own import networks_of
from spade_edu.data.label_maps import LabelMaps
from spade_edu.data.streets import Streets
from spade_edu.data.streets.dataset import write
from spade_edu.encoder import StyleEncoder
from spade_edu.generators import SPADEGenerator
from spade_edu.pretrained.official import to_official
from spade_edu.runs.results import paint_folder
from spade_edu.runs.sources import from_run

FILE = str(Path(__file__).parents[2] / "solutions" / "my_spade.py")
TRAIN = ["train", "--preset", "test", "--set", "images=4", "--set", "init_gain=1"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Streets on disk, and runs on them: with a style encoder, and of a student's file."""
    root = tmp_path_factory.mktemp("test")
    write(root / "data", train=4, val=5, height=32, width=64)
    streets = ["--data", "cityscapes", "--root", str(root / "data")]
    main([*TRAIN, *streets, "--style", "--out", str(root / "run")])
    main([*TRAIN, *streets, "--code", FILE, "--out", str(root / "own")])
    return root


def maps_of(place):
    return str(place / "data/gtFine/val")


def test(place, out, *options, maps=None):
    main(["test", "--label-dir", maps or maps_of(place), "--results-dir", str(out), *map(str, options)])
    return {path.name: np.array(Image.open(path)) for path in out.glob("*.png")}


test.__test__ = False


def refused(capsys, *arguments, **options):
    with pytest.raises(SystemExit):
        test(*arguments, **options)
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_scores_are_those_of_the_run(place, tmp_path):
    options = ["--data", "streets", "--count", "5", "--json"]
    for scene in (Streets(5, split="val", height=32, width=64)[i] for i in range(5)):
        trees.save(tmp_path / f"maps/{scene.name}.png", scene.label.numpy().astype(np.uint8))
        trees.save(tmp_path / f"instances/{scene.name}.png", scene.instance.numpy().astype(np.uint16))
    folders = {"maps": str(tmp_path / "maps")}
    instances = ["--instance-dir", tmp_path / "instances"]
    test(place, tmp_path / "results", "--run", place / "run", "--seed", "7", *instances, **folders)
    main(["evaluate", "--images", str(tmp_path / "results"), *options, str(tmp_path / "a.json"), "--seed", "7"])
    main(["evaluate", "--run", str(place / "run"), *options, str(tmp_path / "b.json"), "--seed", "7"])
    images, run = (json.loads((tmp_path / name).read_text()) for name in ("a.json", "b.json"))
    assert images["scores"] == run["scores"]


def test_a_stopped_command_goes_on_to_the_same_files(place, tmp_path, capsys):
    options = ["--run", place / "run", "--batch-size", "2"]
    whole = test(place, tmp_path / "whole", *options)
    assert len(whole) == 5 and len({picture.tobytes() for picture in whole.values()}) == 5
    shutil.copytree(tmp_path / "whole", tmp_path / "parts")
    for name in sorted(whole)[1:3]:  # in two blocks of two
        (tmp_path / "parts" / name).unlink()
    capsys.readouterr()
    parts = test(place, tmp_path / "parts", *options)
    assert "4 painted now" in capsys.readouterr().out
    assert all((whole[name] == parts[name]).all() for name in whole)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--seed", "1"], "another seed (0, now 1)"),
        (["--batch-size", "3"], "another batch size (20, now 3)"),
        (["--run", "{own}", "--code", FILE], "another weights (run, step 4, now own, step 4)"),
    ],
)
def test_pictures_of_two_commands_are_never_mixed(place, tmp_path, capsys, change, said):
    before = test(place, tmp_path, "--run", place / "run")
    options = [word.format(own=place / "own") for word in change]
    line = refused(capsys, place, tmp_path, *(options if "--run" in change else ["--run", place / "run", *options]))
    assert said in line and test(place, tmp_path, "--run", place / "run").keys() == before.keys()


def test_a_folder_with_other_files_is_left_alone(place, tmp_path, capsys):
    (tmp_path / "holiday.jpg").write_text("x")
    assert "holds other files" in refused(capsys, place, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_a_style_is_taken_from_a_picture(place, tmp_path, capsys):
    photos = sorted((place / "data/leftImg8bit/train").rglob("*.png"))[:2]
    looks = [test(place, tmp_path / str(i), "--run", place / "run", "--style", p) for i, p in enumerate(photos)]
    again = test(place, tmp_path / "2", "--run", place / "run", "--style", photos[0], "--seed", "5")
    assert all((looks[0][name] == again[name]).all() for name in again)
    assert any((looks[0][name] != looks[1][name]).any() for name in again)
    line = refused(capsys, place, tmp_path / "3", "--run", place / "own", "--code", FILE, "--style", photos[0])
    assert "--style needs a style encoder" in line


def test_an_official_file_paints_and_takes_its_encoder_from_beside(place, tmp_path, capsys):
    torch.manual_seed(0)
    sizes: dict = dict(latent=(4, 8), num_upsampling_layers="more", ngf=2, z_dim=8, spectral=True)
    generator = SPADEGenerator(36, **sizes)
    torch.save(to_official(generator), tmp_path / "latest_net_G.pth")
    torch.save(to_official(StyleEncoder(nef=2, z_dim=8, image_size=256)), tmp_path / "latest_net_E.pth")
    options = ["--official", tmp_path / "latest_net_G.pth", "--data", "cityscapes"]
    photo = next((place / "data/leftImg8bit/train").rglob("*.png"))
    drawn, styled = (test(place, tmp_path / n, *options, *more) for n, more in (("a", []), ("b", ["--style", photo])))
    assert {picture.shape for picture in drawn.values()} == {(256, 512, 3)}
    assert all((drawn[name] != styled[name]).any() for name in drawn)
    assert "takes 36 label channels, coco-stuff has 184: wrong --data" in refused(
        capsys, place, tmp_path / "c", *options[:2], "--data", "coco-stuff"
    )
    assert "needs --data" in refused(capsys, place, tmp_path / "c", *options[:2])


def test_nothing_is_painted_where_one_map_does_not_fit(place, tmp_path, capsys):
    shutil.copytree(maps_of(place), tmp_path / "maps")
    last = sorted((tmp_path / "maps").rglob("*_labelIds.png"))[-1]
    trees.save(last, np.full((32, 64), 77, np.uint8))
    line = refused(capsys, place, tmp_path / "out", maps=str(tmp_path / "maps"))
    assert last.name in line and "pixel values 77" in line and not (tmp_path / "out").exists()


def test_edges_are_needed_where_the_generator_is_fed_them(place, tmp_path, capsys):
    for path in Path(maps_of(place)).rglob("*_labelIds.png"):
        for folder, source in (("maps", path), ("instances", Path(str(path).replace("labelIds", "instanceIds")))):
            (tmp_path / folder).mkdir(exist_ok=True)
            shutil.copy(source, tmp_path / folder / f"{path.name.removesuffix('_gtFine_labelIds.png')}.png")
    plain = str(tmp_path / "maps")
    assert "--instance-dir" in refused(capsys, place, tmp_path / "out", maps=plain)
    given = test(place, tmp_path / "out", "--instance-dir", tmp_path / "instances", maps=plain)
    beside = test(place, tmp_path / "beside")
    assert [picture.tobytes() for _, picture in sorted(given.items())] == [
        picture.tobytes() for _, picture in sorted(beside.items())
    ]
    next((tmp_path / "instances").iterdir()).unlink()
    line = refused(capsys, place, tmp_path / "more", "--instance-dir", tmp_path / "instances", maps=plain)
    assert "has no instance map" in line


def test_two_maps_of_one_name_are_refused(place, tmp_path, capsys):
    maps = Path(maps_of(place))
    shutil.copytree(maps, tmp_path / "maps/a")
    shutil.copytree(maps, tmp_path / "maps/b")
    assert "have one name" in refused(capsys, place, tmp_path / "out", maps=str(tmp_path / "maps"))


def test_a_run_on_own_pairs_paints_without_its_data(tmp_path):
    for split in ("train", "val"):
        for i in range(4):
            trees.photo(tmp_path / f"data/{split}/images/{i}.png", i)
            trees.ids(tmp_path / f"data/{split}/labels/{i}.png", 4, i)
    (tmp_path / "data/classes.txt").write_text("sky\nsea\nboat\ndont_care = 3\n")
    main([*TRAIN, "--data", "folder", "--root", str(tmp_path / "data"), "--out", str(tmp_path / "run")])
    maps = shutil.copytree(tmp_path / "data/val/labels", tmp_path / "maps")
    shutil.rmtree(tmp_path / "data")
    assert len(test(tmp_path, tmp_path / "out", "--run", tmp_path / "run", maps=str(maps))) == 4


def _paint(rank, place, out):
    source = from_run(place / "run", partial(networks_of, code=None))
    maps = LabelMaps(Path(maps_of(place)), source.labels, source.values, height=32, width=64)
    paint_folder(source.generator, maps, out, source.note, batch=2)


@NEEDS_FORK
def test_two_processes_write_the_files_of_one(place, tmp_path):
    _paint(0, place, tmp_path / "one")
    spawn(_paint, place, tmp_path / "two")
    files = [{p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("one", "two")]
    assert files[0] == files[1] and len(files[0]) == 6
