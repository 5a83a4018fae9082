"""The page that paints without Python, but for the browser: its files, the network's export, the numbers it takes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import jaxtyping
import pytest
import torch

from spade_edu import CITYSCAPES, SPADEGenerator, UserError
from spade_edu.cli import main
from spade_edu.course.own_code import OwnCode, OwnGenerator
from spade_edu.course.parts_file import PartsFile
from spade_edu.data import Streets
from spade_edu.data.base import DataError
from spade_edu.experiments import report
from spade_edu.fast.speed_up import speed_up
from spade_edu.initialisation import init_spade
from spade_edu.pictures import to_uint8
from spade_edu.presets import preset
from spade_edu.widgets import runtime, static_page
from spade_edu.widgets.maps import EditedMap, blank
from spade_edu.widgets.onnx_file import example, onnx_file, plain
from spade_edu.widgets.runtime import FILES, runtime_files
from spade_edu.widgets.static_page import index, looks, maps, page_files, require_small, write_folder

WIDGETS = Path(static_page.__file__).parent
SOLUTION = (Path(__file__).parents[2] / "solutions" / "my_spade.py").read_text(encoding="utf-8")
SIZE = (32, 64)


@pytest.fixture
def onnx(monkeypatch):
    """The package onnx. Shapes are not checked: while torch writes down what a network does, sizes are tensors."""
    module = pytest.importorskip("onnx", reason='exports to ONNX are not tested: pip install "spade-edu[page]"')
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield module
    jaxtyping.config.update("jaxtyping_disable", before)


def run_file(onnx, content: bytes, inputs):
    """What an ONNX file gives, by the reference that comes with the package."""
    from onnx.reference import ReferenceEvaluator

    named = dict(zip(("segmap", "z"), (t.numpy() for t in inputs)))
    return torch.from_numpy(ReferenceEvaluator(onnx.load_from_string(content)).run(None, named)[0].copy())


# --- the network


@pytest.mark.parametrize("style", [True, False])
def test_the_file_paints_what_the_fast_generator_paints(onnx, style):
    config = preset("test", style=style, init_gain=1.0, fast=True, height=32, width=64)
    options = {"z_dim": config.z_dim if style else None, "hidden_channels": config.hidden_channels}
    fast = SPADEGenerator(CITYSCAPES.num_channels, latent=(1, 2), ngf=config.generator_width, **options)
    fast = speed_up(init_spade(fast, 1.0)).train()
    with torch.no_grad():
        for seed in range(10):  # directions of spectral norm, running averages: else all is black or white
            fast(*example(fast, SIZE, seed))
    fast.eval()
    content = onnx_file(plain(fast, config, CITYSCAPES), SIZE)
    inputs = example(fast, SIZE, 7)
    with torch.no_grad():
        expected = to_uint8(fast(*inputs))
    found = to_uint8(run_file(onnx, content, inputs))
    assert 5 < expected.float().std() < 100
    assert (found.int() - expected.int()).abs().max() <= 2


def test_weights_are_kept_as_halves(onnx):
    generator = SPADEGenerator(CITYSCAPES.num_channels, latent=(1, 2), ngf=4, hidden_channels=8).eval()
    numbers = sum(p.numel() for p in generator.parameters())
    assert 2 * numbers < len(onnx_file(generator, SIZE)) < 3 * numbers + 60_000


def own(tmp_path, old="", new=""):
    """A generator of a student's file in which something was replaced, as `train --code` would make it."""
    assert old in SOLUTION
    path = tmp_path / "my_spade.py"
    text = SOLUTION.replace(old, new, 1) if old else SOLUTION
    path.write_text(text, encoding="utf-8")
    code = OwnCode(path, PartsFile(text))
    network = code.part("SPADEGenerator")(36, (1, 2), 2, 4, 4).eval()
    return OwnGenerator(code, network, 36, 4).eval()


def test_a_students_file_is_exported(onnx, tmp_path):
    generator = own(tmp_path)
    inputs = example(generator, SIZE, 7)
    with torch.no_grad():
        expected = generator(*inputs)
    assert torch.allclose(run_file(onnx, onnx_file(generator, SIZE), inputs), expected, atol=0.01)


SPADES = "        return (1 + self.gamma(hidden)) * self.norm(x) + self.beta(hidden)"
REFUSED = {
    "an operator that ONNX lacks": (
        "torch.special.bessel_j0(x)",
        "in SPADE: the page can't have it: .*special_bessel_j0",
    ),
    "a way that depends on numbers": (
        "(2 * x if segmap[0, 0, 0, 0] > 0.5 else x)",
        r"line \d+, in SPADE: .*depends on",
    ),
    "a number that is read": ("x * segmap[0, 0, 0, 0].item()", r"line \d+, in SPADE: .*depends on"),
    "an error": ("x + torch.ones(3, 3, 3, 3)", r"line \d+, in SPADE: RuntimeError"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_exported_is_refused_by_the_parts_name(name, onnx, tmp_path):
    new, said = REFUSED[name]
    generator = own(tmp_path, SPADES, SPADES.replace("self.norm(x)", f"self.norm({new})"))
    with pytest.raises(UserError, match=f"my_spade.py, .*{said}") as found:
        onnx_file(generator, SIZE)
    assert len(str(found.value).splitlines()) == 1


# --- what the network takes and gives, in the browser


@pytest.mark.skipif(shutil.which("node") is None, reason="the page's numbers aren't tested: node isn't installed")
def test_the_browsers_numbers_are_pythons():
    scene = Streets(1, split="val", height=32, width=64)[0]
    image = torch.rand(3, 32, 64) * 2.2 - 1.1
    numbers = [t.flatten().tolist() for t in (scene.label, scene.instance, image)]
    script = (WIDGETS / "segmap.js").read_text() + (
        "\nconst [ids, objects, image] = JSON.parse(require('fs').readFileSync(0));"
        "\nconst planes = segmapOf(Uint8Array.from(ids), Int32Array.from(objects), 64, 35);"
        "\nconst bare = segmapOf(Uint8Array.from(ids), null, 64, 35);"
        "\nconsole.log(JSON.stringify([[...planes], [...bare], [...pixelsOf(Float32Array.from(image))]]));"
    )
    done = subprocess.run(["node", "-e", script], input=json.dumps(numbers), capture_output=True, text=True, check=True)
    planes, bare, pixels = (torch.tensor(values) for values in json.loads(done.stdout))
    expected = CITYSCAPES.encode(scene.label[None], scene.instance[None])[0]
    assert torch.equal(planes.view(36, 32, 64).float(), expected)
    assert torch.equal(bare.view(35, 32, 64).float(), expected[:35])
    shown = pixels.view(32, 64, 4)
    assert (shown[..., 3] == 255).all() and (shown[..., :3] - to_uint8(image).int()).abs().max() <= 1
    assert (shown[..., :3] == to_uint8(image)).float().mean() > 0.999  # halves may be rounded otherwise


# --- the folder


@pytest.fixture
def files():
    streets = Streets(2, split="val", height=32, width=64)
    edited = EditedMap(CITYSCAPES, streets[0].label, streets[0].instance, scenes=streets, scene=0)
    return page_files(4, edited, b"network", {"onnxruntime.js": b"runtime"}, {"day": torch.ones(1, 4)}, "a test")


def test_maps_are_read_back(files):
    streets, content, area = Streets(2, split="val", height=32, width=64), files["maps.bin"], 32 * 64
    assert len(content) == 3 * area + 2 * 4 * area
    label = torch.frombuffer(bytearray(content[2 * area : 3 * area]), dtype=torch.uint8).view(32, 64)
    objects = torch.frombuffer(bytearray(content[-4 * area :]), dtype=torch.int32).view(32, 64)
    assert torch.equal(label.long(), streets[1].label) and torch.equal(objects, streets[1].instance.int())
    assert maps(EditedMap(CITYSCAPES, blank(CITYSCAPES, SIZE))) == content[:area]


def test_the_page_knows_its_classes_and_looks(files):
    facts = json.loads(files["page.json"])
    assert facts["map"]["size"] == [32, 64] and facts["map"]["scenes"] == 2 and facts["objects"] is True
    assert [look["name"] for look in facts["looks"]] == ["day", "draw 1", "draw 2", "draw 3", "draw 4"]
    assert facts["looks"][0]["z"] == [1] * 4 and looks(None, {}) == []
    assert "unsafe-eval'" in index() and "'unsafe-inline'" not in index().split("style-src")[0]


def test_a_folder_is_written_whole_or_not_at_all(files, tmp_path, monkeypatch):
    write_folder(tmp_path / "site" / "paint", files)
    assert {p.name: p.read_bytes() for p in (tmp_path / "site" / "paint").iterdir()} == files
    with pytest.raises(UserError, match="is there already"):
        write_folder(tmp_path / "site" / "paint", files)
    (tmp_path / "empty").mkdir()
    write_folder(tmp_path / "empty", files)
    assert len(list((tmp_path / "empty").iterdir())) == len(files)

    def full(path):
        if path.name == "network.js":
            raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(static_page, "sync_file", full)
    with pytest.raises(OSError):
        write_folder(tmp_path / "new" / "paint", files)
    assert list((tmp_path / "new").iterdir()) == []


def test_a_page_is_at_most_40_megabytes():
    assert require_small({"generator.onnx": bytes(1000)}) == 1000
    with pytest.raises(UserError, match="would take 41 MB, 41 of them the network"):
        require_small({"generator.onnx": bytes(41_000_000)})


# --- the runtime


def test_the_runtime_is_pinned_and_comes_encrypted():
    for file in FILES.values():
        assert file.url.startswith("https://") and len(file.sha256) == 64 and runtime.VERSION in file.url


def test_a_given_runtime_must_be_the_pinned_one(tmp_path):
    with pytest.raises(UserError, match="there is no .*ort.wasm.bundle.min.mjs. It is dist/"):
        runtime_files(tmp_path)
    for file in FILES.values():
        (tmp_path / Path(file.file).name).write_bytes(b"other")
    with pytest.raises(UserError, match="SHA-256 differs"):
        runtime_files(tmp_path)


def test_a_wrong_file_in_the_cache_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("SPADE_EDU_WEIGHTS", str(tmp_path))
    for file in FILES.values():
        file.path.parent.mkdir(parents=True, exist_ok=True)
        file.path.write_bytes(b"other")
    with pytest.raises(UserError, match="gave another file than was published"):
        runtime_files()


def fails(*arguments) -> bool:
    try:
        main(["page", *map(str, arguments)])
    except SystemExit as stop:
        return stop.code == 2
    return False


def test_without_its_tools_the_command_says_what_to_get_and_writes_nothing(tmp_path, monkeypatch, capsys):
    def refuse(file, **_):
        raise DataError(f"{file.url}: no network; or fetch {file.url} by hand, put it at {file.path}.")

    monkeypatch.setattr(runtime, "fetch", refuse)
    monkeypatch.setattr(report, "style_codes", lambda *_: {})  # which takes a second
    monkeypatch.setitem(sys.modules, "onnx", ModuleType("onnx"))
    assert fails("stored", tmp_path / "out")
    said = capsys.readouterr().err
    assert str(FILES["onnxruntime.js"].path) in said and "--runtime" in said and "ort-wasm-simd-threaded.wasm" in said
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert fails("stored", tmp_path / "out")
    assert "pip install" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_mistakes_are_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnx", ModuleType("onnx"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for arguments, said in (
        (("nowhere", tmp_path / "out"), "nowhere is not a run folder"),
        (("stored", tmp_path / "out", "--code", "my_spade.py"), "--code belongs to the run"),
        (("stored", tmp_path / "full"), "is there already"),
    ):
        assert fails(*arguments)
        error = capsys.readouterr().err
        assert said in error and len(error.splitlines()) == 1
