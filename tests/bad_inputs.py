"""The table of bad inputs and of odd ones that are fine: what one did, how it's made, what must come of it.

`test_bad_input.py` runs it; `tools/robustness.py` writes it with the real messages into docs/robustness.md.
"""

# ruff: noqa: E501 - a row a line

import contextlib
import functools
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch
import trees
from PIL import Image

from spade_edu.checkpoints import save_checkpoint
from spade_edu.cli import main
from spade_edu.data.download import unpack
from spade_edu.errors import UserError
from spade_edu.generators import SPADEGenerator
from spade_edu.labels import CITYSCAPES
from spade_edu.models import build
from spade_edu.presets import preset
from spade_edu.pretrained.official import to_official

PROCESS = "import sys; from spade_edu.cli import main; main(sys.argv[1:])"
# Files of more than 20 kB can't be written: writing fails with an error, as on a full disk.
FULL_DISK = (
    "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); "
)


class Case(NamedTuple):
    """One row. `make` puts files into the folder where `call` is run: words of the command line, or a function.

    words: what the message, or where it `works` the output, must hold. leaves: what a failing call may have written.
    process: Python that runs the command line in a process of its own. foreign: brackets hold another library's words.
    """

    area: str
    did: str
    call: list[str] | Callable[[], object]
    words: str
    make: Callable[[], object] = lambda: None
    works: bool = False
    leaves: tuple[str, ...] = ()
    process: str = ""
    foreign: bool = False


class Outcome(NamedTuple):
    """Exit code, output, messages and the files that were written or changed."""

    code: int
    out: str
    err: str
    written: tuple[str, ...]


@functools.cache
def outcome(index: int) -> Outcome:
    """Run a case in an empty folder of its own."""
    case, before = CASES[index], os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            case.make()
            old = _contents()
            code, out, err = (_in_process if case.process else _here)(case)
            written = tuple(sorted(name for name, content in _contents().items() if old.get(name, 0) != content))
        finally:
            os.chdir(before)
    return Outcome(code, out, err, written)


def message(index: int) -> str:
    """The line that the user reads; a progress bar that was on the screen is not part of it."""
    return outcome(index).err.rstrip("\n").replace("\r", "\n").split("\n")[-1]


def _contents() -> dict[str, bytes | None]:
    return {p.as_posix(): p.read_bytes() if p.is_file() else None for p in Path().rglob("*")}


def _here(case: Case) -> tuple[int, str, str]:
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            main(case.call) if isinstance(case.call, list) else case.call()
        except SystemExit as end:
            code = end.code or 0
        except UserError as error:  # of a function; the command line prints it and ends
            code = 2
            print(f"spade-edu: {error}", file=err)
    return code, out.getvalue(), err.getvalue()


def _in_process(case: Case) -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, "-c", case.process, *case.call], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


# --- what the cases are made of

LABEL = Path("set/train/labels/a.png")
PHOTO = Path("set/train/images/a.jpg")
LOOK = ["data", "preview", "folder", "--root", "set", "--height", "32", "--width", "64"]
TRAIN = ["train", "--preset", "test", "--data", "streets", "--out", "run"]
TRAIN_SET = ["train", "--preset", "test", "--data", "folder", "--root", "set", "--out", "run"]


def pairs(label: Path | None = None, photo: Path | None = None, classes: str = '{"names": ["sky", "road", "car"]}'):
    """Two pairs in each split; a name gives the first pair's file another one."""
    for split in "train", "val":
        for i, name in enumerate("ab"):
            trees.photo(Path("set", split, "images", f"{name}.jpg"), i)
            trees.ids(Path("set", split, "labels", f"{name}.png"), 3, i)
    Path("set/classes.json").write_text(classes, encoding="utf-8")
    for old, new in (LABEL, label), (PHOTO, photo):
        if new:
            old.rename(new)


def then(change: Callable[[], object]) -> Callable[[], object]:
    """Sound pairs, and a change."""

    def make() -> None:
        pairs()
        change()

    return make


def classes(text: str) -> Callable[[], object]:
    """Sound pairs with this classes.json."""
    return lambda: pairs(classes=text)


def cut(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])


def renamed_maps(ending: str) -> None:
    """Label maps whose names append something to their photographs'."""
    for path in Path("set/train/labels").glob("*.png"):
        path.rename(path.with_stem(path.stem + ending))


def flat() -> None:
    """Photographs and label maps in one folder."""
    pairs()
    renamed_maps("_mask")
    for folder in "images", "labels":
        for path in [*Path("set/train", folder).iterdir()]:
            path.rename(Path("set/train", path.name))
        Path("set/train", folder).rmdir()


def only_train_ids() -> None:
    """Cityscapes without its labelIds."""
    trees.cityscapes(Path("set"))
    for path in Path("set").rglob("*_labelIds.png"):
        path.rename(path.with_name(path.name.replace("labelIds", "labelTrainIds")))


def upside_down() -> None:
    """A photograph that its EXIF notes as upside down: its label map can't tell whether it was turned."""
    pairs()
    exif = Image.Exif()
    exif[0x0112] = 3
    trees.photo(PHOTO, exif=exif)


def rotated() -> None:
    """A photograph that lies on its side with the camera's note to turn it; its label stands."""
    pairs()
    exif = Image.Exif()
    exif[0x0112] = 6
    trees.photo(PHOTO, exif=exif)
    trees.ids(LABEL, 3, height=24, width=12)


def renamed() -> None:
    """Folders below folders, blanks, letters beyond ASCII, suffixes in capitals, litter of archives."""
    pairs()
    for kind, old, new in ("images", "a.jpg", "Blick 2.JPG"), ("labels", "a.png", "Blick 2.PNG"):
        Path("set/train", kind, "straße 🚲/im Mai").mkdir(parents=True)
        Path("set/train", kind, old).rename(Path("set/train", kind, "straße 🚲/im Mai", new))
    Path("set/train/images/._b.jpg").write_bytes(b"litter")
    Path("set/train/images/Thumbs.db").write_bytes(b"litter")


def run_folder(steps: tuple[int, ...] = (1,), **settings) -> None:
    """A run with untrained weights."""
    config = preset("test", data="streets", **settings)
    networks = build(config, CITYSCAPES)
    Path("run").mkdir(exist_ok=True)
    Path("run/config.json").write_text(json.dumps(asdict(config)))
    for step in steps:
        both = {"G": networks.generator, "D": networks.discriminator}
        save_checkpoint(Path("run/checkpoints"), step, both, {"step": step})


def folder_run(noted: list[str]) -> Callable[[], object]:
    """Sound pairs of sky, road and car, and a run that notes these classes."""

    def make() -> None:
        pairs()
        run_folder()
        Path("run/config.json").write_text(json.dumps(asdict(preset("test", data="folder", root="set"))))
        Path("run/data.json").write_text(json.dumps({"classes": noted, "edges": False}))

    return make


def config(change: Callable[[dict], object]) -> Callable[[], object]:
    """A run whose settings were edited by hand."""

    def make() -> None:
        run_folder()
        path = Path("run/config.json")
        settings = json.loads(path.read_text())
        change(settings)
        path.write_text(json.dumps(settings))

    return make


def other_run(**settings) -> Callable[[], object]:
    """A run with the weights of a run with other settings."""

    def make() -> None:
        run_folder(**settings)
        Path("run/config.json").write_text(json.dumps(asdict(preset("test", data="streets"))))

    return make


def own_run() -> None:
    """A run that a student's file trained."""
    run_folder()
    Path("run/code").mkdir()
    Path("run/code/0000000.txt").write_text("import torch")


def broken_run(*broken: int) -> Callable[[], object]:
    """A run with checkpoints of steps 1 and 2, some with half of their weights."""

    def make() -> None:
        run_folder((1, 2))
        for step in broken:
            cut(Path(f"run/checkpoints/{step:07d}/G.safetensors"), 500)

    return make


class Payload:
    """Code in a pickle: touches a file."""

    def __reduce__(self):
        return Path.touch, (Path("touched"),)


def malicious(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"step": Payload()}, path)


def malicious_run() -> None:
    run_folder()
    for name in ("state.json", "state.safetensors", "checksums.json"):  # version 0.1 had state.pt
        Path("run/checkpoints/0000001", name).unlink()
    malicious(Path("run/checkpoints/0000001/state.pt"))


def two_generators() -> None:
    state = to_official(SPADEGenerator(36, ngf=2))
    torch.save({"netG": dict(state), "netG_ema": dict(state)}, "G.pth")


def bare_pickle() -> None:
    run_folder()
    Path("run/checkpoints/0000001/checksums.json").unlink()
    Path("run/checkpoints/0000001/G.safetensors").write_bytes(pickle.dumps(Payload()))


def archive(name: str = "x", content: bytes = b"x", mode: int = 0o100644) -> None:
    entry = zipfile.ZipInfo(name)
    entry.external_attr, entry.compress_type = mode << 16, zipfile.ZIP_DEFLATED
    with zipfile.ZipFile("a.zip", "w") as file:
        file.writestr("sound", "sound")
        file.writestr(entry, content)


def unpacked() -> None:
    unpack(Path("a.zip"), Path("out"), most_bytes=1_000_000)


def images(*names: str, side: int = 64) -> None:
    for name in names:
        trees.photo(Path("images", name), height=32, width=side)


# --- the table


def _table() -> list[Case]:
    return [
        *_commands(), *_settings(), *_photographs(), *_label_maps(), *_folders(), *_classes(), *_runs(), *_own(),
        *_weights(), *_output(), *_archives(), *_fine(),
    ]  # fmt: skip


def _commands() -> list[Case]:
    area = "The command line"
    rows = [
        ("a command mistyped", ["trian"], "No such command 'trian'. Did you mean 'train'?"),
        ("a command that doesn't exist", ["translate"], "No such command 'translate'. See `spade-edu --help`."),
        ("a command of `data` mistyped", ["data", "gett"], "Did you mean 'get'? See `spade-edu data --help`."),
        ("an option mistyped", ["train", "--presett", "cpu"], "No such option: --presett (Possible options: --preset"),
        ("an argument left out", ["sample"], "Missing argument"),
        ("an option without its value", ["train", "--preset"], "'--preset' requires an argument"),
        ("a word where a number belongs", ["train", "--save-every", "often"], "'--save-every'"),
        ("a negative number of steps", ["train", "--save-every", "-5"], "'--save-every'"),
        ("a word too many", ["train", "spade"], "unexpected extra argument"),
        ("a GPU that nobody knows", ["plan", "--gpu", "nonsense"], "nonsense"),
        ("a plan for a data set without numbers", ["plan", "--data", "kitti"], "--data is one of cityscapes"),
        ("a table that the paper doesn't have", ["paper", "--table", "9"], "tables 1 to 5, not 9"),
        ("a figure that can't be made", ["reproduce", "figure12"], "no 'figure12' to reproduce"),
    ]
    return [Case(area, *row, process=PROCESS if row[1] == ["trian"] else "") for row in rows]


def _settings() -> list[Case]:
    area = "Settings of a training"
    rows = [
        ("a preset that doesn't exist", ["--preset", "huge"], "no preset 'huge'; there are: test, cpu"),
        ("a model that doesn't exist", ["--model", "cyclegan"], "no model 'cyclegan'"),
        ("`--set gpu=9`", ["--set", "gpu=9"], "there is no such setting; there are batch_size"),
        ("`--set batch=2`", ["--set", "batch=2"], "did you mean batch_size?"),
        ("`--set lr`", ["--set", "lr"], "got 'lr'"),
        ("`--set lr=fast`", ["--set", "lr=fast"], "lr takes a number, not 'fast'"),
        ("`--set batch_size=0`", ["--set", "batch_size=0"], "batch_size is from 1 to"),
        ("`--set lr=nan`", ["--set", "lr=nan"], "lr is from"),
        ("`--set kernel_size=4`", ["--set", "kernel_size=4"], "kernel_size is an odd number"),
        ("a height that the generator can't make", ["--set", "height=40"], "must be multiples of 32; got 40x64"),
        ("so low that the first map would have no row", ["--set", "height=16"], "got 16x64"),
        ("a batch larger than the data set", ["--set", "batch_size=9"], "only 8: set batch_size lower"),
        ("no epochs", ["--set", "epochs=0", "--set", "epochs_decay=0"], "both 0"),
        ("a loss that doesn't exist", ["--set", "gan=wgan"], "gan is one of hinge, lsgan"),
    ]
    return [Case(area, did, TRAIN + words, says) for did, words, says in rows]


def _photographs() -> list[Case]:
    area = "Photographs"
    rows = [
        ("an empty file", lambda: PHOTO.write_bytes(b""), "found an empty file. Copy or download it again", False),
        ("a file cut off", lambda: cut(PHOTO, 300), "cannot be read", True),
        ("a web page saved as .jpg", lambda: PHOTO.write_text("<html>Please log in</html>"), "cannot be read", True),
        ("16 bits a colour", lambda: (PHOTO.unlink(), trees.ids(PHOTO.with_suffix(".png"), 60000)), "8 bits", False),
        ("another size than its label map", lambda: trees.photo(PHOTO, width=30), "a.png is 12x24 but", False),
    ]
    return [Case(area, did, LOOK, says, then(change), foreign=foreign) for did, change, says, foreign in rows]


def _label_maps() -> list[Case]:
    area, instance = "Label maps", Path("set/train/instances/a.png")
    rows = [
        ("colours (RGB) in place of ids", lambda: trees.photo(LABEL), "one id per pixel"),
        ("colours with transparency (RGBA)", lambda: trees.photo(LABEL, mode="RGBA"), "mode RGBA"),
        ("grey with transparency", lambda: trees.photo(LABEL, mode="LA"), "mode LA"),
        ("a JPEG under the name of a PNG", lambda: trees.photo(LABEL, mode="L", format="JPEG"), "blurs ids"),
        ("ids beyond the classes", lambda: trees.ids(LABEL, 7), "pixel values 3, 4, 5, 6 are no ids"),
        ("ids beyond the classes in 16 bits", lambda: trees.ids(LABEL, 60000), "are no ids"),
        ("an empty file", lambda: LABEL.write_bytes(b""), "expected a map of ids, found an empty file"),
        ("a file cut off", lambda: cut(LABEL, 60), "cannot be read"),
        ("another size than its photograph", lambda: trees.ids(LABEL, 3, height=13), "a.png is 13x24 but"),
        (
            "an instance map of another size",
            lambda: [trees.ids(instance.with_name(f"{name}.png"), 9, width=23) for name in "ab"],
            "a.png is 12x23 but",
        ),
        ("a PNG of 20,000 x 20,000 ids in 50 kB", lambda: Image.new("L", (20000, 20000)).save(LABEL), "cannot be read"),
    ]
    foreign = ("a file cut off", "a PNG of 20,000 x 20,000 ids in 50 kB")
    return [Case(area, did, LOOK, says, then(change), foreign=did in foreign) for did, change, says in rows] + [
        Case(
            area, "ids beyond the classes, found while training", TRAIN_SET, "are no ids",
            then(lambda: [trees.ids(LABEL.with_name(f"{name}.png"), 7) for name in "ab"]),
            leaves=("run", "run/config.json", "run/.lock"), process=PROCESS,
        )
    ]  # fmt: skip


def _folders() -> list[Case]:
    area, move = "Folders of a data set", shutil.move
    look = ["data", "preview"]
    return [
        Case(area, "a data set that doesn't exist", [*look, "kitti"], "no data set 'kitti'; the data sets are"),
        Case(area, "the same, for another command", ["data", "check", "kitti"], "no data set 'kitti'"),
        Case(area, "a data set that isn't there", [*look, "camvid"], "datasets/camvid"),
        Case(area, "a folder that isn't there", LOOK, "set is not a folder: expected your own pairs"),
        Case(area, "a folder without saying of which data set", [*look, "--root", "set"], "name the data set", pairs),
        Case(area, "a folder for Streets", [*look, "streets", "--root", "set"], "rendered and takes no folder", pairs),
        Case(area, "an empty folder", [*look, "cityscapes", "--root", "set"], "both archives", Path("set").mkdir),
        Case(area, "a file in place of the folder", [*look, "camvid", "--root", "f"], "f", Path("f").touch),
        Case(area, "a split left out", LOOK, "images is not a folder", then(lambda: shutil.rmtree("set/train"))),
        Case(
            area, "one pair and no val", LOOK, "holds one pair and no val folder",
            then(lambda: [shutil.rmtree("set/val"), LABEL.unlink(), PHOTO.unlink()]),
        ),
        Case(area, "a split that doesn't exist", [*LOOK, "--split", "tset"], "set/tset/images is not a folder", pairs),
        Case(
            area, "no photograph in the folder", LOOK, "has no photograph",
            then(lambda: [path.unlink() for path in Path("set/train/images").iterdir()]),
        ),
        Case(
            area, "names that don't match", LOOK, "files without partner",
            then(lambda: [move(p, p.with_stem(3 * p.stem)) for p in Path("set/train/labels").glob("*.png")]),
        ),
        Case(
            area, "masks and pictures of them in one folder", LOOK, "Label maps are named NAME_color, NAME_mask: which",
            then(lambda: [renamed_maps("_mask"), [trees.photo(LABEL.with_stem(f"{n}_color")) for n in "ab"]]),
        ),
        Case(area, "only *_labelTrainIds.png", [*look, "cityscapes", "--root", "set"], "*_labelTrainIds.png. trainIds are other numbers", only_train_ids),
        Case(area, "CamVid's first label maps", [*look, "camvid", "--root", "set"], "32 classes in colours", then(lambda: renamed_maps("_L"))),
        Case(area, "the full ADE20K", [*look, "ade20k", "--root", "set"], "full ADE20K", lambda: Path("set/images/ADE").mkdir(parents=True)),
        Case(area, "two photographs of one name", LOOK, "share a name", then(lambda: trees.photo(PHOTO.with_suffix(".png")))),
        Case(area, "photographs to label: none in the folder", ["data", "label", "mine", "out"], "found none", Path("mine").mkdir),
        Case(area, "labels to be written among the photographs", ["data", "label", "set", "set/out"], "lies inside", pairs),
        Case(area, "Streets to be packed", ["data", "pack", "streets", "a.tar"], "no files to pack"),
        Case(area, "a download that doesn't exist", ["data", "get", "kitti"], "there are: camvid"),
    ]  # fmt: skip


def _classes() -> list[Case]:
    three = '"names": ["sky", "road", "car"]'
    rows = [
        ("no file of classes", None, "expected a file classes.json or classes.txt"),
        ("JSON that breaks off", '{"names": ["sky"', "classes.json"),
        ("a list in place of an object", '["sky", "road"]', "there is no list of names"),
        ("no names", '{"colours": []}', "there is no list of names"),
        ("`names` is one word", '{"names": "road"}', "there is no list of names"),
        ("an empty list of names", '{"names": []}', "found 0"),
        ("a name twice", '{"names": ["sky", "sky", "car"]}', "different names"),
        ("fewer colours than names", f'{{{three}, "colours": [[1, 2, 3]]}}', "found 3 and 1"),
        ("a colour beyond 255", '{"names": ["sky"], "colours": [[1, 2, 300]]}', "outside 0 to 255"),
        ("a colour as a word", '{"names": ["sky"], "colours": ["blue"]}', "classes.json"),
        ("a colour of two numbers", '{"names": ["sky"], "colours": [[1, 2]]}', "classes.json"),
        ("`dont_care` is -1", f'{{{three}, "dont_care": -1}}', "write 255 in the maps for -1"),
        ("`dont_care` is a million", f'{{{three}, "dont_care": 1000000}}', "no pixel value"),
        ("`dont_care` is Infinity", f'{{{three}, "dont_care": Infinity}}', "classes.json"),
        ("`dont_care` is a name", f'{{{three}, "dont_care": "sky"}}', "classes.json"),
        ("brackets 100,000 deep", "[" * 100_000, "classes.json"),
    ]
    foreign = ("JSON that breaks off", "brackets 100,000 deep", "`dont_care` is a name", "`dont_care` is Infinity",
               "a colour as a word", "a colour of two numbers")  # fmt: skip
    cases = [
        Case("classes.json", did, LOOK, says, classes(text or ""), foreign=did in foreign) for did, text, says in rows
    ]
    cases[0] = cases[0]._replace(make=then(Path("set/classes.json").unlink))
    latin = then(lambda: Path("set/classes.json").write_bytes(b'{"names": ["Stra\xdfe", "Auto", "Haus"]}'))
    return [*cases, Case("classes.json", "written in Latin-1, not UTF-8", LOOK, "classes.json", latin, foreign=True)]


def _own() -> list[Case]:
    area, train, file = "A file of your own", [*TRAIN, "--code", "my_spade.py"], Path("my_spade.py")
    return [
        Case(area, "one that isn't there", train, "There is no file my_spade.py"),
        Case(area, "a bracket left open", train, "my_spade.py is not Python, line 1", lambda: file.write_text("x = (")),
        Case(area, "one that is only begun", train, "my_spade.py lacks SPADEGenerator", lambda: file.write_text("import torch")),
        Case(area, "a setting that stands in the file", [*train, "--set", "lambda_feat=5"], "lambda_feat has no effect with --code"),
        Case(area, "precision that scales losses", [*train, "--set", "precision=fp16"], "take bf16 or fp32 with --code"),
        Case(area, "its run, opened without it", ["sample", "run"], "name it, --code my_spade.py", own_run),
        Case(area, "its run, gone on with without it", TRAIN, "name it, --code my_spade.py", own_run),
        Case(area, "painting with it and no run", ["paint", "--code", "my_spade.py"], "--code belongs to the run"),
    ]  # fmt: skip


def _runs() -> list[Case]:
    area, sample = "Runs and checkpoints", ["sample", "run"]
    text = Path("run").write_text
    return [
        Case(area, "a folder that is no run", sample, "is not a run folder", Path("run").mkdir),
        Case(area, "a file in place of the run, to sample", sample, "is not a run folder", lambda: text("x")),
        Case(area, "a file in place of the run, to train", TRAIN, "run: File exists. A file stands where", lambda: text("x")),
        Case(area, "a run without a checkpoint yet", sample, "no checkpoint yet", lambda: run_folder(())),
        Case(area, "settings of broken JSON", sample, "config.json", lambda: (run_folder(), cut(Path("run/config.json"), 30)), foreign=True),
        Case(area, "a setting that doesn't exist", sample, "no setting 'speed'", config(lambda c: c.update(speed=9))),
        Case(area, "a setting of the wrong kind", sample, "ngf takes a whole number, not 'many'", config(lambda c: c.update(ngf="many"))),
        Case(area, "the only checkpoint cut off", sample, "No checkpoint in run can be read", broken_run(1, 2), foreign=True),
        Case(area, "the same, to go on with", TRAIN, "remove the folder and start again", broken_run(1, 2), leaves=("run/.lock", "run/config.json", "run/data.json")),
        Case(area, "a checkpoint of another width", sample, "the network expects", other_run(ngf=8)),
        Case(area, "a checkpoint of another kind of network", sample, "another kind of network", other_run(model="pix2pixhd")),
        Case(area, "code in a checkpoint's state (a pickle)", TRAIN, "No checkpoint in run can be read", malicious_run, leaves=("run/.lock", "run/config.json", "run/data.json")),
        Case(area, "code in the place of weights (a pickle)", sample, "No checkpoint in run can be read", bare_pickle, foreign=True),
        Case(area, "another setting in the same folder", [*TRAIN, "--set", "lr=0.5"], "run holds a run with lr =", run_folder),
        Case(area, "more epochs by the schedule's settings, once it is done", [*TRAIN, "--set", "epochs=4"], "old setting. --epochs N trains it for N epochs in all", run_folder),
        Case(area, "fewer epochs than the schedule has", [*TRAIN, "--epochs", "1"], "within the schedule of 1 + 1 epochs", run_folder),
        Case(area, "fewer epochs than were asked for before", [*TRAIN, "--epochs", "3"], "a run of 5 epochs in all", lambda: run_folder(epochs_more=3)),
        Case(area, "weights to begin with that aren't there", [*TRAIN, "--from", "nowhere"], "no such run folder, official generator's file"),
        Case(area, "weights of another width to begin with", [*TRAIN[:-1], "new", "--from", "run", "--set", "ngf=8"], "of the generator's weights fit (not", run_folder, leaves=("run/data.json",)),
        Case(area, "other weights to begin with in the folder of a run", [*TRAIN, "--from", "spade"], "start_from = '', now it is 'spade'", run_folder),
        Case(area, "a text to begin with", [*TRAIN, "--from", "G.pth"], "G.pth", lambda: Path("G.pth").write_text("text"), foreign=True),
        Case(area, "a run of your own file to begin with", [*TRAIN[:-1], "new", "--from", "run"], "--from takes the package's networks only", own_run),
        Case(area, "a run whose data has moved, to sample", sample, "run was trained on set, which is no folder here: give it with --root", lambda: (folder_run(["sky", "road", "car"])(), shutil.move("set", "moved"))),
        Case(area, "a label map to paint that isn't there", [*sample, "map.png"], "map.png isn't there: expected a label map", run_folder, leaves=("run/data.json",)),
        Case(area, "a folder of photographs to paint", [*sample, "set/val/images"], "holds no label maps", lambda: (pairs(), run_folder()), leaves=("run/data.json",)),
        Case(area, "a picture's style, of a run without style encoder", [*sample, "--style", "a.jpg"], "--style needs a style encoder", run_folder, leaves=("run/data.json",)),
        Case(area, "a grid's rows for given label maps", [*sample, "set/val/labels", "--count", "2"], "--count and --styles are for the grid", run_folder),
        Case(area, "classes in another order than the run's, to sample", sample, "whose class 0 is 'road', now it is 'sky'", folder_run(["road", "sky", "car"])),
        Case(area, "a class more than the run has, to go on with", TRAIN_SET, "with 2 classes, now there are 3, new: 'car'", folder_run(["sky", "road"])),
        Case(area, "painting with a run that isn't there", ["paint", "--run", "nowhere"], "nowhere is not a run folder"),
        Case(area, "painting with weights cut off", ["paint", "--run", "run"], "No checkpoint in run can be read", broken_run(1, 2), foreign=True),
    ]  # fmt: skip


def _weights() -> list[Case]:
    area, streets = "Evaluation, weights, grading", ["--data", "streets"]
    score = ["evaluate", "--images", "images", *streets]
    return [
        Case(area, "nothing to evaluate", ["evaluate"], "give one of --images"),
        Case(area, "two things to evaluate", [*score, "--run", "run"], "give one of --images"),
        Case(area, "images that aren't there", score, "images is not a folder"),
        Case(area, "an empty folder of images", score, "images", Path("images").mkdir),
        Case(area, "images of other scenes", [*score, "--count", "2"], "images", lambda: images("a.png", "b.png")),
        Case(area, "a protocol that doesn't exist", [*score, "--protocol", "mine", "--count", "2"], "no protocol 'mine'", lambda: images("val_000000.png", "val_000001.png")),
        Case(area, "an official checkpoint, but of which data set?", ["evaluate", "--official", "G.pth"], "--official needs --data"),
        Case(area, "an official checkpoint that isn't there", ["evaluate", "--official", "G.pth", *streets], "G.pth"),
        Case(area, "code in an official checkpoint", ["evaluate", "--official", "G.pth", *streets], "G.pth", lambda: malicious(Path("G.pth")), process=PROCESS),
        Case(area, "two generators in an official checkpoint", ["evaluate", "--official", "G.pth", *streets], "several networks of the kind SPADE generator: 'netG', 'netG_ema'", two_generators),
        Case(area, "text in place of an official checkpoint", ["evaluate", "--official", "G.pth", *streets], "G.pth", lambda: Path("G.pth").write_text("text")),
        Case(area, "own pairs, for which there is no segmenter, without distances", [*score[:3], "--data", "folder", "--root", "set", "--no-distance"], "no segmenter is published for folder", lambda: (pairs(), images("a.png", "b.png"))),
        Case(area, "weights that don't exist", ["weights", "resnet"], "no weights 'resnet'"),
        Case(area, "grading a folder without notebooks", ["grade", "class"], "holds no notebook", Path("class").mkdir),
        Case(area, "grading a folder that isn't there", ["grade", "class"], "class is not a folder"),
        Case(area, "a user study's results that are none", ["reproduce", "table2", "answers.json"], "answers.json", lambda: Path("answers.json").write_text("{}")),
    ]  # fmt: skip


def _output() -> list[Case]:
    area = "Writing"
    preview = ["data", "preview", "streets", "--count", "1", "--height", "32", "--width", "64", "--out"]
    cases = [
        Case(
            area,
            "a picture below a file",
            [*preview, "f/seen.png"],
            "f: File exists. A file stands where",
            Path("f").touch,
        ),
        Case(area, "a run below a file", [*TRAIN[:-1], "f/run"], "A file stands where", Path("f").touch),
        Case(
            area, "a folder where the picture is to go", [*preview, "out"], "A folder stands where", Path("out").mkdir
        ),
    ]
    if sys.platform == "linux":  # the kernel's own folder refuses even root
        cases += [
            Case(area, "a folder that may not be written", [*preview, "/proc/sys/seen.png"], "may it be written?"),
            Case(area, "a run there", [*TRAIN[:-1], "/proc/sys/run"], "may it be written?"),
            Case(area, "a full disk", [*preview[:4], "40", "--out", "seen.png"], "Is there room", process=FULL_DISK + PROCESS),
            Case(area, "a full disk while training", TRAIN, "Is the disk full?", process=FULL_DISK + PROCESS,
                 leaves=("run",), foreign=True),
        ]  # fmt: skip
    return cases


def _archives() -> list[Case]:
    area = "Archives of data sets"
    rows = [
        ("a name that leads out of the folder", lambda: archive("../evil"), "leads out of its folder"),
        ("an absolute name", lambda: archive("/evil"), "leads out of its folder"),
        ("a link to another folder", lambda: archive("link", b"/etc", 0o120777), "leads out of its folder"),
        ("10 MB of zeros in 10 kB, of which 1 MB is allowed", lambda: archive(content=bytes(10**7)), "1,000,000 bytes"),
        ("an archive cut off", lambda: (archive(), cut(Path("a.zip"), 60)), "no sound zip file"),
        ("a web page in place of the archive", lambda: Path("a.zip").write_text("<html>"), "no sound zip file"),
    ]
    return [Case(area, did, unpacked, says, make, foreign="sound" in says) for did, make, says in rows]


def _fine() -> list[Case]:
    area, one = "Odd, and fine", '{"names": ["meadow"]}'
    small = ["--set", "images=3", "--set", "epochs_decay=0"]

    def one_class() -> None:
        pairs(classes=one)
        for path in Path("set").rglob("*.png"):
            trees.ids(path, 1)

    rows = [
        ("a grey JPEG", LOOK, then(lambda: trees.photo(PHOTO, mode="L"))),
        ("a CMYK JPEG", LOOK, then(lambda: trees.photo(PHOTO, mode="CMYK"))),
        ("a photograph with transparency", LOOK, then(lambda: (PHOTO.unlink(), trees.photo(PHOTO.with_suffix(".png"), mode="RGBA")))),
        ("a photograph that the camera notes as turned (EXIF)", LOOK, rotated),
        ("a label map with a palette", LOOK, then(lambda: trees.ids(LABEL, 3, mode="P"))),
        ("a label map of 16 bits", LOOK, then(lambda: Image.fromarray(trees.noise(0, top=3).astype("uint16")).save(LABEL))),
        ("a label map of one bit", LOOK, then(lambda: Image.fromarray(trees.noise(0, top=2).astype(bool)).save(LABEL))),
        ("folders below folders, blanks, emoji, .JPG, litter of archives", LOOK, renamed),
        ("pictures of odd sizes, each another", LOOK, then(lambda: (trees.photo(PHOTO, height=7, width=301), trees.ids(LABEL, 3, height=7, width=301)))),
        ("a picture of one pixel", LOOK, then(lambda: (trees.photo(PHOTO, height=1, width=1), trees.ids(LABEL, 3, height=1, width=1)))),
        ("no val folder: pairs are split by the hashes of their names", LOOK, then(lambda: shutil.rmtree("set/val"))),
        ("label maps named NAME_mask.png", LOOK, then(lambda: renamed_maps("_mask"))),
        ("label maps in capitals", LOOK, then(lambda: [p.rename(p.with_name(p.name.upper())) for p in Path("set/train/labels").glob("*.png")])),
        ("photographs and masks in one folder", LOOK, flat),
        ("an odd size asked for", [*LOOK, "--height", "33", "--width", "47"], pairs),
        ("a photograph without label map among others", LOOK, then(LABEL.unlink)),
        ("classes.json as Windows' editor saves it (BOM)", LOOK, classes('\ufeff{"names": ["sky", "road", "car"]}')),
        ("names of classes beyond ASCII", LOOK, classes('{"names": ["Straße", "空", "🚲"]}')),
    ]  # fmt: skip
    cases = [Case(area, did, call, "Wrote preview.png", make, works=True) for did, call, make in rows]
    return cases + [
        Case(area, "a photograph noted as upside down (EXIF)", ["data", "check", "folder", "--root", "set"], "1 of 2 photographs are noted as turned", upside_down, works=True),
        Case(area, "one class only", [*TRAIN_SET, *small], "Done: 1 steps", one_class, works=True),
        Case(area, "a batch of one", [*TRAIN_SET, *small, "--set", "batch_size=1"], "Done: 2 steps", pairs, works=True),
        Case(area, "the newest checkpoint cut off: the one before is taken", ["sample", "run", "--count", "1"], "Passing over a broken checkpoint", broken_run(2), works=True),
    ]  # fmt: skip


CASES = _table()
