"""`spade-edu sample`: single pictures of label maps without photographs, data that has moved, a picture's style."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import trees
from PIL import Image

from spade_edu.cli import main
from spade_edu.data.streets.dataset import write

TRAIN = ["train", "--preset", "test", "--set", "images=4", "--set", "init_gain=1", "--set", "epochs_decay=0"]
FILE = str(Path(__file__).parents[2] / "solutions" / "my_spade.py")
CLASSES = "0 sky\n10 sea\n20 boat\ndont_care = 255\n"
VALUES = np.array([0, 10, 20, 255], np.uint8)


def own_map(path, seed, **size):
    return trees.save(Path(path), VALUES[trees.noise(seed, top=4, **size)])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Runs on own pairs, with and without style, of a student's file; one on Streets in Cityscapes' layout."""
    root = tmp_path_factory.mktemp("sample")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for split in "train", "val":
            for i in range(4):
                trees.photo(Path("data", split, "images", f"{i}.jpg"), i)
                own_map(Path("data", split, "labels", f"{i}.png"), i)
        Path("data/classes.txt").write_text(CLASSES)
        folder = ["--data", "folder", "--root", "data"]
        main([*TRAIN, *folder, "--style", "--out", "run"])
        main([*TRAIN, *folder, "--code", FILE, "--out", "own"])
        write(Path("scenes"), train=4, val=2, height=32, width=64)
        main([*TRAIN, "--data", "cityscapes", "--root", "scenes", "--out", "edges"])
    return root


@pytest.fixture
def sample(place, tmp_path, monkeypatch, capsys):
    """Run the command in a copy without photographs; gives exit code, output and message."""
    monkeypatch.chdir(shutil.copytree(place, tmp_path / "copy"))
    Path("data").rename("moved")

    def sample(*words):
        capsys.readouterr()
        try:
            main(["sample", *map(str, words)])
            code = 0
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return sample


def pixels(path):
    return np.array(Image.open(path))


def test_one_map_without_its_data_becomes_one_picture(sample):
    own_map("mine.png", 7, height=50, width=40)
    code, out, _ = sample("run", "mine.png")
    assert code == 0 and "Wrote samples.png, 32x64." in out and pixels("samples.png").shape == (32, 64, 3)
    own_map("mine.png", 8, height=50, width=40)
    before = pixels("samples.png")
    assert sample("run", "mine.png", "--out", "again.PNG")[0] == sample("run", "mine.png")[0] == 0
    assert (pixels("samples.png") != before).any() and (pixels("again.PNG") == pixels("samples.png")).all()


def test_files_and_folders_become_a_folder_of_single_pictures(sample):
    for name in "a", "b":
        own_map(f"{name}.png", ord(name))
    code, out, _ = sample("run", "a.png", "b.png", "moved/val/labels", "--out", "pictures")
    names = {path.name for path in Path("pictures").glob("*.png")}
    assert code == 0 and "6 pictures" in out and names == {f"{n}.png" for n in "ab0123"}
    sample("run", "moved/val/labels/0.png", "--out", "one")
    difference = pixels("one/0.png").astype(int) - pixels("pictures/0.png")
    assert np.abs(difference).max() <= 1, "its place among the maps is the same, and with it its style"
    assert sample("run", "moved/val/labels")[0] == 0 and len([*Path("samples").glob("*.png")]) == 4


def test_pixel_values_mean_what_they_meant_in_training(sample):
    own_map("mine.png", 7)
    trees.save(Path("ids.png"), (pixels("mine.png") // 10).clip(0, 3))
    code, _, message = sample("run", "ids.png")
    assert code == 2 and "ids.png: pixel values 1, 2, 3 are no ids" in message
    trees.photo(Path("colours.png"))
    trees.photo(Path("photo.jpg"))
    for name, said in {"colours.png": "one id per pixel", "photo.jpg": "photo.jpg"}.items():
        code, _, message = sample("run", name)
        assert code == 2 and said in message and len(message.splitlines()) == 1 and not Path("samples.png").exists()


def test_a_map_that_was_changed_is_never_taken_for_the_one_that_was_painted(sample):
    own_map("maps/a.png", 1)
    assert sample("run", "maps")[0] == 0
    assert "0 painted now" in sample("run", "maps")[1]
    own_map("maps/a.png", 2)
    code, _, message = sample("run", "maps")
    assert code == 2 and "holds pictures with another maps" in message


def test_test_paints_the_same(sample, capsys):
    sample("run", "moved/val/labels", "--seed", "3", "--out", "a")
    main(["test", "--run", "run", "--label-dir", "moved/val/labels", "--seed", "3", "--results-dir", "b"])
    files = [{path.name: path.read_bytes() for path in Path(folder).iterdir()} for folder in "ab"]
    assert files[0] == files[1] and len(files[0]) == 5


def test_data_that_has_moved_is_said_and_found_with_root(sample):
    code, _, message = sample("run")
    assert code == 2 and "run was trained on data, which is no folder here: give it with --root" in message
    assert len(message.splitlines()) == 1
    code, out, _ = sample("run", "--root", "moved", "--count", "2", "--styles", "3")
    assert code == 0 and "3 image(s) a row" in out and pixels("samples.png").shape == (2 * 34 - 2, 4 * 66 - 2, 3)
    assert "nowhere is not a folder" in sample("run", "--root", "nowhere")[2]


def test_a_grid_in_the_style_of_a_picture(sample):
    looks = []
    for i in range(2):
        code, out, _ = sample("run", "--root", "moved", "--style", f"moved/train/images/{i}.jpg", "--seed", i)
        assert code == 0 and "1 image(s) a row" in out
        looks.append(pixels("samples.png"))
    assert (looks[0] != looks[1]).any()
    sample("run", "moved/val/labels/0.png", "--style", "moved/train/images/1.jpg")
    assert np.abs(pixels("samples.png").astype(int) - looks[1][:32, 66:130]).max() <= 1


def test_a_students_run_paints_own_maps(sample):
    own_map("mine.png", 7)
    assert sample("own", "mine.png", "--code", FILE)[0] == 0 and pixels("samples.png").shape == (32, 64, 3)
    assert "name it, --code" in sample("own", "mine.png")[2]
    assert "--style needs a style encoder" in sample("own", "mine.png", "--code", FILE, "--style", "mine.png")[2]


def test_a_scene_of_cityscapes_is_painted_with_the_instance_map_beside_it(sample):
    scene = next(Path("scenes/gtFine/val").rglob("*_labelIds.png"))
    assert sample("edges", scene)[0] == 0
    shutil.copy(scene, "scene.png")
    assert "--instance-dir" in sample("edges", "scene.png")[2]
    Path("instances").mkdir()
    shutil.copy(str(scene).replace("labelIds", "instanceIds"), "instances/scene.png")
    assert sample("edges", "scene.png", "--instance-dir", "instances", "--out", "given.png")[0] == 0
    assert (pixels("given.png") == pixels("samples.png")).all()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "nowhere.png"], "nowhere.png isn't there: expected a label map, or a folder of them"),
        (["run", "moved/val/images"], "holds no label maps"),
        (["run", "moved/classes.txt"], "classes.txt"),
        (["run", "moved/val/labels", "--out", "all.png"], "all.png is the name of one picture: 4 label maps"),
        (["run", "moved/val/labels", "moved/train/labels"], "have one name"),
        (["run", "moved/val/labels", "--styles", "3"], "--count and --styles are for the grid"),
        (["run", "--root", "moved", "--styles", "3", "--style", "a.jpg"], "leave one out"),
        (["run", "--root", "moved", "--style", "nowhere.jpg"], "nowhere.jpg"),
        (["edges", "--root", "scenes", "--style", "scenes"], "--style needs a style encoder"),
        (["nowhere", "moved/val/labels"], "nowhere is not a run folder"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(sample, words, said):
    before = {*Path().rglob("*")}
    code, _, message = sample(*words)
    assert code == 2 and said in message and len(message.splitlines()) == 1, message
    assert {*Path().rglob("*")} == before
