"""kill -9 at random moments of training, writing checkpoints, making data, downloading and evaluating: the next start
works, and nothing differs at the end. The moments are drawn from a fixed seed, in units of what the work takes here.

Further faults: a run that is moved (Colab), a folder that may not be written, a checkpoint that isn't whole.
"""

import csv
import ctypes
import io
import json
import multiprocessing
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from contextlib import redirect_stderr
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
import trees
from apart import NEEDS_FORK, apart
from PIL import Image
from safetensors.torch import load_file
from test_runs import assert_same_weights, final_weights

from spade_edu.checkpoints import checkpoints, load_checkpoint, step_of
from spade_edu.cli import main
from spade_edu.cli.paint import prepare
from spade_edu.data import open_dataset
from spade_edu.errors import UserError
from spade_edu.presets import preset
from spade_edu.runs.run import Run

SIGKILL = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
TIMES = pytest.mark.parametrize("times", [5, pytest.param(30, marks=pytest.mark.slow)])

# One process imports torch once; each start of the work is a fork of it, with the state of a fresh process.
SERVER = """
import os, signal, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
sys.path.insert(0, {tests!r})
from contextlib import redirect_stderr, redirect_stdout
from test_runs import make_run
from spade_edu import checkpoints
from spade_edu.cli import main
from spade_edu.cli.data import make
from spade_edu.data import download
{load}
def work(folder):
    {work}
print("ready", flush=True)
for line in sys.stdin:
    folder, seconds = line.strip().split(chr(9))
    child = os.fork()
    if child == 0:
        try:
            work(Path(folder))
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    if seconds != "None":
        time.sleep(float(seconds))
        os.kill(child, signal.SIGKILL)  # no effect where it has ended by itself
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Starts:
    """Starts the same work on a folder again and again, each time in a new process, and may kill it."""

    def __init__(self, work: str, load: str = ""):
        code = SERVER.format(tests=str(Path(__file__).parent), work=work, load=load)
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.server = subprocess.Popen([sys.executable, "-c", code], env=dict(os.environ, OMP_NUM_THREADS="1"), **pipes)

    def __enter__(self):
        assert self.server.stdout.readline() == "ready\n", self.server.stderr.read()
        return self

    def __exit__(self, *_):
        self.server.stdin.close()
        self.server.wait(60)
        self.server.stdout.close()
        self.server.stderr.close()

    def run(self, folder: Path, seconds: float | None = None) -> int:
        """Start the work, kill it after `seconds` if they are given; gives its exit code."""
        self.server.stdin.write(f"{folder}\t{seconds}\n")
        self.server.stdin.flush()
        code = int(self.server.stdout.readline())
        assert code in (0, -signal.SIGKILL), self.server.stderr.readline()
        return code


@SIGKILL
@TIMES
def test_a_training_killed_at_random_moments_ends_with_the_same_weights(tmp_path, times):
    moments, images = random.Random(times), 6 + 2 * times  # as many steps as images
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    killed, newest = 0, 0
    with Starts(f"make_run(folder, images={images}, save_every=1).train(progress=False)") as starts:
        started = time.monotonic()
        assert starts.run(whole) == 0
        step = (time.monotonic() - started) / images
        # Making the networks takes about four steps: a kill falls while they are made, in a step, or in a checkpoint.
        while killed < times and starts.run(folder, moments.uniform(0, 8 * step)):
            killed, before = killed + 1, newest
            newest = max([int(p.name) for p in checkpoints(folder / "checkpoints")], default=0)
            assert newest >= before, "a kill lost a checkpoint that was there before"
        assert starts.run(folder) == 0
    assert killed  # on a machine that has become faster since, a run may end before the other kills
    assert_same_weights(final_weights(whole), final_weights(folder))
    lines = list(csv.reader((folder / "metrics.csv").open()))
    assert [line[0] for line in lines] == ["step", *map(str, range(10, images, 10)), str(images)]


SAVING = """
    torch.manual_seed(0)
    networks = {"G": torch.nn.Linear(300, 300)}
    found = checkpoints.checkpoints(folder)
    step = int(found[-1].name) if found else 0
    if found:
        assert checkpoints.load_checkpoint(found[-1], networks)["step"] == step
    while True:
        step += 1
        checkpoints.save_checkpoint(folder, step, networks, {"step": step})
"""


@SIGKILL
@TIMES
def test_writing_checkpoints_killed_at_random_moments_leaves_the_newest_whole(tmp_path, times):
    moments, steps = random.Random(times), [0]
    with Starts(SAVING.strip()) as starts:
        for _ in range(times):
            assert starts.run(tmp_path, moments.uniform(0.05, 0.5)) == -signal.SIGKILL
            # Where a kill fell into the removal of an old one, its remains are older than the newest two.
            for path in checkpoints(tmp_path)[-2:]:
                assert load_checkpoint(path, {"G": torch.nn.Linear(300, 300)})["step"] == step_of(path)
            steps.append(max([step_of(p) for p in checkpoints(tmp_path)], default=0))
    assert steps == sorted(steps) and steps[-1] > 0


MAKING = """
    with open(os.devnull, "w") as nothing, redirect_stdout(nothing), redirect_stderr(nothing):
        make(folder, train=12, val=4, height=32, width=64, seed=0)
"""


@SIGKILL
@TIMES
def test_making_data_killed_at_random_moments_gives_the_same_files(tmp_path, times):
    moments, whole, folder = random.Random(times), tmp_path / "whole", tmp_path / "killed"
    with Starts(MAKING.strip()) as starts:
        started = time.monotonic()
        assert starts.run(whole) == 0
        seconds = (time.monotonic() - started) / times
        for _ in range(times):
            starts.run(folder, moments.uniform(0, 2 * seconds))
            for path in folder.rglob("*.png"):  # whatever has its name is whole
                Image.open(path).load()
        assert starts.run(folder) == 0
    files = contents(whole)
    assert len(files) == 5 * 16 and contents(folder) == files


class Files(BaseHTTPRequestHandler):
    """Serves server.body, or the rest of it that is asked for."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        self.server.resumed += start > 0
        self.send_response(206 if start else 200)
        self.send_header("ETag", '"v1"')
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(self.server.body) - 1}/{len(self.server.body)}")
        self.send_header("Content-Length", str(len(self.server.body) - start))
        self.end_headers()
        self.server.sending[0] = time.monotonic()
        try:
            for at in range(start, len(self.server.body), 2**18):
                self.wfile.write(self.server.body[at : at + 2**18])
                time.sleep(0.02)
                self.server.sending[1] = time.monotonic()
        except ConnectionError:  # the one who asked was killed
            pass


def archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        for name, content in files.items():
            zipped.writestr(name, content)
    return buffer.getvalue()


DOWNLOADING = """
    archive = download.Archive("http://127.0.0.1:{port}/data.zip", page="", inside="top")
    download.ARCHIVES["camvid"] = (archive,)
    with open(os.devnull, "w") as nothing, redirect_stderr(nothing):
        download.get("camvid", folder, loopback=True)
"""


@SIGKILL
@TIMES
def test_a_download_killed_at_random_moments_gives_the_same_files(tmp_path, times):
    moments = random.Random(times)
    files = {f"train/{i}.png": moments.randbytes(60_000) for i in range(120)}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    server.body = archive({f"top/{name}": content for name, content in files.items()})
    server.resumed, server.sending = 0, [0.0, 0.0]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with server, Starts(DOWNLOADING.format(port=server.server_port).strip()) as starts:
        started = time.monotonic()
        assert starts.run(tmp_path / "whole") == 0
        anywhere, sending = (0, time.monotonic() - started), [moment - started for moment in server.sending]
        killed, done = 0, 0
        while (killed < times or not server.resumed) and done < 4 * times:
            folder = tmp_path / str(done)  # a fresh one where the last download came to its end
            if starts.run(folder, moments.uniform(*(sending if killed % 2 else anywhere))):
                killed += 1
            else:
                done += 1
            for path in folder.rglob("*.png"):  # whatever has its name is whole
                assert path.read_bytes() == files[path.relative_to(folder).as_posix()]
        for folder in tmp_path.iterdir():
            assert starts.run(folder) == 0
        server.shutdown()
    assert killed and server.resumed
    expected = files | {".data.zip.unpacked": b""}
    for folder in tmp_path.iterdir():
        got = {p.relative_to(folder).as_posix(): c for p, c in found(folder)}
        # Not compared whole: pytest would look for the differences of megabytes.
        assert sorted(got) == sorted(expected)
        assert [name for name in got if got[name] != expected[name]] == []


def found(folder):
    return [(p, p.read_bytes()) for p in folder.rglob("*") if p.is_file() and p.suffix != ".part"]


EVALUATING = """
    with open(os.devnull, "w") as nothing, redirect_stdout(nothing), redirect_stderr(nothing):
        run, files = str(folder.parent / "run"), [str(folder / name) for name in ("real", "a.json", "a.png")]
        evaluate = ["evaluate", "--run", run, "--data", "streets", "--count", "2", "--real", files[0]]
        try:
            main([*evaluate, "--json", files[1], "--picture", files[2]])
        except SystemExit as end:
            assert not end.code, end.code
"""
LOAD = "import torchvision, matplotlib.figure, spade_edu.evaluation.pipeline, spade_edu.pretrained.judge, scipy.stats"


@SIGKILL
@TIMES
def test_an_evaluation_killed_at_random_moments_gives_the_same_figures(tmp_path, times):
    moments, whole, folder = random.Random(times), tmp_path / "whole", tmp_path / "killed"
    with Starts("make_run(folder, images=2).train(progress=False)") as starts:
        assert starts.run(tmp_path / "run") == 0
    with Starts(EVALUATING.strip(), LOAD) as starts:
        started = time.monotonic()
        assert starts.run(whole) == 0
        seconds, killed = time.monotonic() - started, 0
        for _ in range(times):
            killed += starts.run(folder, moments.uniform(0, seconds)) != 0
            if (folder / "real").exists():
                load_file(folder / "real")
            if (folder / "a.json").exists():
                json.loads((folder / "a.json").read_text())
            if (folder / "a.png").exists():
                Image.open(folder / "a.png").load()
        assert starts.run(folder) == 0
    assert killed
    for name in ("a.json", "real"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()


def run(call: list[str]) -> int:
    """The command line in this process; gives the exit code."""
    try:
        main(call)
    except SystemExit as end:
        return end.code or 0
    return 0


# --- Colab: the run and the data lie somewhere else in the next session


def run_on(root: Path, folder: Path) -> Run:
    config = preset("test", data="camvid", root=str(root), height=32, width=64, epochs=3, ema=0.9)
    size = dict(height=32, width=64)
    data = [open_dataset("camvid", root, split, augment=split == "train", **size)[0] for split in ("train", "val")]
    return Run(folder, config, *data, save_every=2)


def test_a_run_that_is_moved_with_its_data_ends_with_the_same_weights(tmp_path, monkeypatch, capsys):
    for split in "train", "val":
        trees.camvid_small(tmp_path / "data", split, 4)
    run_on(tmp_path / "data", tmp_path / "whole").train(progress=False)
    (tmp_path / "first").mkdir()
    monkeypatch.chdir(tmp_path / "first")
    run_on(tmp_path / "data", Path("runs/a")).train(3, progress=False)
    (tmp_path / "mounted drive").mkdir()
    shutil.move(tmp_path / "first/runs/a", tmp_path / "mounted drive/é")
    shutil.move(tmp_path / "data", tmp_path / "mounted drive/data")
    monkeypatch.chdir(tmp_path / "mounted drive")
    moved = run_on(Path("data"), Path("é"))
    moved.train(progress=False)
    one, other = (final_weights(folder) for folder in (tmp_path / "whole", tmp_path / "mounted drive/é"))
    assert one.keys() == other.keys() == {"G.safetensors", "D.safetensors", "G_ema.safetensors"}
    assert all(torch.equal(value, other[name][key]) for name in one for key, value in one[name].items())
    said = capsys.readouterr().out
    assert "data" in said and str(tmp_path / "data") in said  # that another folder is read, and which it was


# --- a folder that may not be written


@pytest.fixture
def sealed():
    """A folder with a run and data that this process may read but not write."""
    folder = Path(tempfile.mkdtemp())
    config = ["train", "--preset", "test", "--data", "streets", "--out", str(folder / "run")]
    assert run(config) == 0
    trees.camvid_small(folder / "data", "train", 2), trees.camvid_small(folder / "data", "val", 2)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode | stat.S_IWUSR)
    shutil.rmtree(folder)


def as_nobody(call: list[str], pipe):
    """Run a command and send its exit code and errors; root gives up its powers, to write everywhere among them."""
    torch.set_num_threads(1)
    if os.getuid() == 0:
        version_and_process, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
        assert ctypes.CDLL(None).capset(version_and_process, none) == 0
    with redirect_stderr(io.StringIO()) as errors:
        code = run(call)
    pipe.send((code, errors.getvalue()))


WRITING = [
    "train --preset test --data streets --out {0}/new",
    "train --preset test --data streets --out {0}/run --set seed=0",
    "sample {0}/run --out {0}/a.png",
    "evaluate --run {0}/run --count 2 --json {0}/a.json",
    "evaluate --run {0}/run --count 2 --real {0}/real",
    "evaluate --run {0}/run --count 2 --picture {0}/a.png",
    "data make {0}/streets --train 1 --val 0 --height 32 --width 64",
    "data preview camvid --root {0}/data --out {0}/a.png",
    "data pack camvid {0}/a.tar --root {0}/data",
    "data get camvid --root {0}/camvid",
    "demo --preset test --out {0}/demo",
]


@NEEDS_FORK
def test_a_folder_that_may_not_be_written_is_one_line(sealed):
    before = sorted(sealed.rglob("*"))
    there, here = multiprocessing.Pipe()
    for line in WRITING:
        assert apart(as_nobody, line.format(sealed).split(), there) == 0
        code, errors = here.recv()
        lines = [text for text in errors.splitlines() if text.startswith("spade-edu: ")]
        assert code == 2 and len(lines) == 1 and str(sealed) in lines[0] and "Traceback" not in errors, (line, errors)
    assert sorted(sealed.rglob("*")) == before


# --- a checkpoint that isn't whole


def test_a_truncated_checkpoint_is_passed_over_wherever_a_run_is_read(tmp_path, capsys):
    train = ["train", "--preset", "test", "--data", "streets", "--save-every", "4", "--out", str(tmp_path)]
    assert run(train) == 0
    newest = checkpoints(tmp_path / "checkpoints")[-1]
    for name in ("G.safetensors", "state.safetensors"):
        (newest / name).write_bytes((newest / name).read_bytes()[:200])
    evaluate = ["evaluate", "--run", str(tmp_path), "--count", "2", "--no-distance"]
    sample = ["sample", str(tmp_path), "--count", "1", "--out", str(tmp_path / "a.png")]
    for read in (lambda: run(evaluate), lambda: run(sample), lambda: prepare(tmp_path)):
        capsys.readouterr()
        read()
        assert "Passing over a broken checkpoint" in capsys.readouterr().out
    assert run(train) == 0
    assert "Passing over a broken checkpoint" in capsys.readouterr().out
    for path in checkpoints(tmp_path / "checkpoints"):
        for file in path.iterdir():
            file.write_bytes(b"")
    with pytest.raises(UserError, match="No checkpoint in"):
        prepare(tmp_path)


def contents(folder):
    """Every file with its bytes; what a kill left unfinished (.part) and the lock are no files of the data set."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.suffix != ".part" and p.name != ".lock"]
    return {p.relative_to(folder): p.read_bytes() for p in files}
