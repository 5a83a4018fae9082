"""A run knows its classes and its pictures: a difference is named and decides, whole files are never to be removed."""

import json
import shutil
from pathlib import Path

import pytest
import trees

from spade_edu.checkpoints import checkpoints
from spade_edu.cli import main
from spade_edu.data import open_dataset
from spade_edu.errors import UserError
from spade_edu.evaluation.images import Originals
from spade_edu.experiments.cells import Bench
from spade_edu.runs.identity import Identity, read_identity

CLASSES = "sky, 1, 2, 3\nroad, 4, 5, 6\ncar, 7, 8, 9\n"
TRAIN = ["train", "--preset", "test", "--data", "folder", "--root", "set", "--out", "run", "--save-every", "2"]
SAMPLE = ["sample", "run", "--out", "seen.png", "--count", "1"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A data set of four pairs and a run on it."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for split in "train", "val":
            for i in range(4):
                trees.photo(Path("set", split, "images", f"{i}.jpg"), i)
                trees.ids(Path("set", split, "labels", f"{i}.png"), 3, i)
        Path("set/classes.txt").write_text(CLASSES)
        main([*TRAIN, "--set", "epochs=1", "--set", "epochs_decay=1"])
    return folder


@pytest.fixture
def run(trained, tmp_path, monkeypatch, capsys):
    """Run a command in a copy of it; gives exit code, output and message."""
    monkeypatch.chdir(shutil.copytree(trained, tmp_path / "copy"))

    def run(*command):
        try:
            main(list(command))
            code = 0
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return run


def train(run, *more):
    return run(*TRAIN, "--set", "epochs=1", "--set", "epochs_decay=1", *more)


def classes(text):
    Path("set/classes.txt").write_text(text)


OTHER_CLASSES = {
    "reordered": ("road, 4, 5, 6\nsky, 1, 2, 3\ncar, 7, 8, 9\n", "whose class 0 is 'sky', now it is 'road'"),
    "the last declared unknown": (CLASSES + "dont_care = 2\n", "whose class 2 is 'car', now it is \"don't care\""),
    "renamed": (CLASSES.replace("car", "vehicle"), "whose class 2 is 'car', now it is 'vehicle'"),
    "one added": (CLASSES + "tree, 1, 1, 1\n", "with 3 classes, now there are 4, new: 'tree'"),
    "unknown added": (CLASSES + "dont_care = 255\n", 'with 3 classes, now there are 4, new: "don\'t care"'),
    "one removed": (CLASSES.replace("car, 7, 8, 9\n", "dont_care = 2"), "whose class 2 is 'car'"),
    "one removed and no other": ("sky, 1, 2, 3\nroad, 4, 5, 6\n", "with 3 classes, now there are 2, gone: 'car'"),
}


@pytest.mark.parametrize("kind", OTHER_CLASSES)
@pytest.mark.parametrize("command", ["train", "sample"])
def test_other_classes_are_named_and_stop(run, kind, command):
    text, words = OTHER_CLASSES[kind]
    classes(text)
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    code, _, message = train(run) if command == "train" else run(*SAMPLE)
    assert code == 2 and words in message and len(message.splitlines()) == 1
    assert "remove" not in message and ("--data-changed" in message) == ("with 3 classes" not in message)
    assert before == {path: path.read_bytes() for path in before}


def test_instance_maps_that_came_are_other_channels(run):
    for split in "train", "val":
        shutil.copytree(f"set/{split}/labels", f"set/{split}/instances")
    code, _, message = train(run)
    assert code == 2 and "without instance maps, now there are some" in message


def test_other_pixel_values_for_the_same_classes_are_named(run):
    shutil.rmtree("run")
    classes(CLASSES + "dont_care = 255\n")
    assert train(run)[0] == 0
    classes(CLASSES + "dont_care = 254\n")
    code, _, message = train(run)
    assert code == 2 and 'hold "don\'t care" as 255, now it is 254' in message
    assert run(*SAMPLE)[0] == 0  # the networks take ids, not pixel values


def fewer():
    Path("set/train/images/3.jpg").unlink()


def relabelled():
    trees.ids(Path("set/train/labels/3.png"), 2, 9, width=24)


def other_photograph():
    trees.photo(Path("set/train/images/0.jpg"), 77, quality=50)


@pytest.mark.parametrize(
    "change, words",
    [(fewer, "on 4 pictures, now there are 3"), (relabelled, "other sizes"), (other_photograph, "other sizes")],
)
@pytest.mark.filterwarnings("ignore:set. 1 files have no partner")
def test_other_pictures_stop_training_and_not_painting(run, change, words):
    change()
    code, out, message = train(run)
    assert code == 2 and words in message and "Done" not in out
    assert run(*SAMPLE)[0] == 0
    code, out, _ = train(run, "--data-changed")
    assert code == 0 and words in out and "taken over" in out
    assert train(run)[0] == 0  # what was taken over is the run's now


def test_renamed_classes_are_taken_over_with_the_option_and_then_known(run):
    classes(CLASSES.replace("car", "vehicle"))
    code, out, _ = train(run, "--data-changed")
    assert code == 0 and out.count("taken over") == 1
    assert read_identity(Path("run")).classes == ["sky", "road", "vehicle"]
    assert run(*SAMPLE)[0] == 0


def test_another_number_of_channels_is_not_taken_over(run):
    classes(CLASSES + "tree, 1, 1, 1\n")
    noted = Path("run/data.json").read_bytes()
    code, _, message = train(run, "--data-changed")
    assert code == 2 and "the network expects" in message and "remove" not in message
    assert Path("run/data.json").read_bytes() == noted


def test_other_colours_are_said_and_stop_nothing(run):
    classes(CLASSES.replace("7, 8, 9", "200, 0, 0"))
    for answer in run(*SAMPLE), train(run):
        assert answer[0] == 0 and answer[1].count("other colours") == 1


def test_a_checkpoint_knows_it_too(run):
    noted = read_identity(Path("run"))
    Path("run/data.json").unlink()
    assert read_identity(Path("run")) == noted and noted.classes == ["sky", "road", "car"]
    classes(OTHER_CLASSES["reordered"][0])
    assert run(*SAMPLE)[0] == 2


def earlier(keys=()):
    """The run as an earlier version left it, with only these keys in data.json."""
    state = checkpoints(Path("run/checkpoints"))[-1] / "state.json"
    content = json.loads(state.read_text())
    noted = content.pop("data")
    state.write_text(json.dumps(content))
    state.with_name("checksums.json").unlink()
    Path("run/data.json").unlink()
    if keys:
        Path("run/data.json").write_text(json.dumps({key: noted[key] for key in keys}))


@pytest.mark.parametrize("keys", [(), ("pictures", "names")])
@pytest.mark.parametrize("command", ["train", "sample"])
def test_a_run_without_classes_is_said_once_and_noted(run, keys, command):
    earlier(keys)
    first, second = ((train(run) if command == "train" else run(*SAMPLE)) for _ in range(2))
    assert first[0] == second[0] == 0
    assert ("noted no classes" in first[1], "noted no classes" in second[1]) == (True, False)
    assert read_identity(Path("run")).classes == ["sky", "road", "car"]


@pytest.mark.parametrize("command", ["train", "sample"])
def test_a_run_without_classes_whose_channels_differ_notes_nothing(run, command):
    earlier()
    classes(CLASSES + "tree, 1, 1, 1\n")
    code, _, message = train(run) if command == "train" else run(*SAMPLE)
    assert code == 2 and "as many classes as it was trained with" in message and "remove" not in message
    assert read_identity(Path("run")) == Identity()


STRANGE = ["", "[]", '{"classes": 3}', '{"pictures": "many", "classes": "sky"}', '{"values": 3}', "[" * 9999]


@pytest.mark.parametrize("content", STRANGE)
def test_a_note_of_something_else_is_one_line_or_passed_over(run, content):
    Path("run/data.json").write_text(content)
    for code, _, message in (run(*SAMPLE), train(run)):
        assert code in (0, 2) and "Traceback" not in message


def test_a_stored_real_side_and_a_tables_cell_know_their_files(run):
    def about():
        return Originals(open_dataset("folder", "set", "val", height=32, width=64)[0]).fingerprint()

    def cells():
        return Bench(Path("table"), "folder", preset_name="test", root="set", steps=2)

    def known(bench):
        return bench.known(bench.cell("spade", 0))

    then, bench = about(), cells()
    bench.folder(bench.cell("spade", 0)).mkdir(parents=True)
    result = bench.folder(bench.cell("spade", 0)) / "result.json"
    result.write_text(json.dumps({"miou": 0.5, "files": bench.files}))
    assert known(cells()) == {"miou": 0.5, "files": bench.files} and about() == then
    trees.ids(Path("set/val/labels/2.png"), 2, 9, width=24)
    assert about() != then
    with pytest.raises(UserError, match=r"result\.json was measured on other files"):
        known(cells())
    result.write_text('{"miou": 0.5}')  # an earlier version's
    assert known(cells()) == {"miou": 0.5}
