"""A training with a student's file: its steps are the Trainer's, it resumes, and code is run only where it is named."""

import copy
import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from spade_edu import UserError
from spade_edu.checkpoints import checkpoints
from spade_edu.cli import main
from spade_edu.cli.own import networks_of
from spade_edu.cli.paint import prepare
from spade_edu.course import own_code
from spade_edu.course.own_code import OwnCode
from spade_edu.course.own_run import DECIDED, OwnRun, OwnTrainer, own_settings
from spade_edu.course.own_trial import random_batch
from spade_edu.course.parts_file import PartsFile
from spade_edu.data import open_splits
from spade_edu.labels import CITYSCAPES
from spade_edu.models import build
from spade_edu.presets import preset
from spade_edu.runs.loading import own_texts
from spade_edu.training import Trainer

TEXT = (Path(__file__).parents[1] / "solutions" / "my_spade.py").read_text(encoding="utf-8")
CHANNELS = 5
CPU = torch.device("cpu")
TRAIN = ["train", "--preset", "test", "--data", "streets", "--out", "run", "--set", "images=4"]
OWN = ["--code", "my_spade.py"]


@pytest.fixture(autouse=True)
def untried(monkeypatch):
    """No process is started: every file counts as importable."""
    monkeypatch.setattr(own_code, "try_file", lambda *_: {})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the reference in it that is the current one."""
    monkeypatch.chdir(tmp_path)
    write(TEXT)
    return tmp_path


def write(text):
    """The student's file, and the code in it."""
    path = Path("my_spade.py").absolute()
    path.write_text(text, encoding="utf-8")
    return OwnCode(path, PartsFile(text))


def run(*arguments):
    """The command line in this process; gives the exit code."""
    try:
        main([str(a) for a in arguments])
    except SystemExit as end:
        return end.code or 0
    return 0


def weights(networks):
    return [t for n in networks if n is not None for t in n.state_dict().values() if t.is_floating_point()]


@torch.no_grad()
def give_weights(theirs, ours):
    """Each tensor of the package's network to the first one left of its shape in the file's."""
    for kind in (nn.Module.parameters, nn.Module.buffers):
        left = [t for t in kind(theirs) if t.is_floating_point()]
        for tensor in kind(ours):
            place = next(i for i, other in enumerate(left) if other.shape == tensor.shape)
            tensor.copy_(left.pop(place))
        assert not left


@pytest.mark.parametrize("style", [False, True], ids=["labels only", "with a style encoder"])
def test_three_steps_of_the_files_are_the_trainers(style, folder, monkeypatch):
    """Plain form, same features and first weights; in float64, where Adam makes no steps of mere rounding."""
    settings = dict(height=64, width=64, features="second_opinion", lambda_vgg=10.0, init_gain=1.0, style=style)
    config = preset("test", **settings)
    theirs = build(config, CHANNELS)
    own = OwnTrainer(write(TEXT), config, CHANNELS, CPU)
    for their_network, network in zip(filter(None, theirs), filter(None, own.networks), strict=True):
        give_weights(their_network.double(), network.double())
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)  # the trainer's losses too
    trainer = Trainer(*theirs, config)
    for features in (own.features, trainer.features):
        features.double()
    batches = [{k: v.double() for k, v in random_batch(config, CHANNELS, CPU).items()} for _ in range(3)]
    before = copy.deepcopy(weights(own.networks))
    losses = []
    for one in (trainer, own):
        torch.manual_seed(5)
        losses.append([one.step(batch) for batch in batches])
    for expected, got in zip(*losses, strict=True):
        assert got.pop("D") == pytest.approx(expected.pop("D_Fake") + expected.pop("D_real"), rel=1e-6)
        assert got == pytest.approx(expected, rel=1e-6) and "VGG" in got and ("KLD" in got) == style
    after = copy.deepcopy(own.networks)
    for their_network, network in zip(filter(None, theirs), filter(None, after), strict=True):
        give_weights(their_network, network)
    flat, other, start = (
        torch.cat([t.flatten() for t in part]) for part in (weights(own.networks), weights(after), before)
    )
    assert (flat - start).abs().max() > 1e-3 * start.std()
    assert (flat - other).abs().max() <= 1e-4 * start.std()


def make_run(name, code, **settings):
    config = own_settings(preset("test", images=4, style=True, ema=0.9, **settings), (), "cpu")
    training, preview, config, _ = open_splits(config)
    return OwnRun(Path(name), config, training, preview, code=code, save_every=3)


def final_weights(name):
    newest = checkpoints(Path(name) / "checkpoints")[-1]
    return {(p.stem, k): v for p in newest.glob("*.safetensors") if p.stem != "state" for k, v in load_file(p).items()}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_that_was_stopped_ends_with_the_same_weights(precision, folder):
    make_run("whole", write(TEXT), precision=precision).train(progress=False)
    make_run("parts", write(TEXT), precision=precision).train(until=1, progress=False)
    make_run("parts", write(TEXT), precision=precision).train(progress=False)
    whole, parts = final_weights("whole"), final_weights("parts")
    assert {letter for letter, _ in whole} == {"G", "D", "E", "G_ema"} and whole.keys() == parts.keys()
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    assert any(not torch.equal(whole["G", key], whole["G_ema", key]) for letter, key in whole if letter == "G")
    directions = [v for (letter, key), v in whole.items() if letter == "G_ema" and key.endswith((".u", ".v"))]
    rounding = {"fp32": 1e-5, "bf16": 0.01}[precision]
    assert directions and all(abs(v.norm() - 1) < rounding for v in directions)  # a mean of unit vectors is shorter


def test_advice_on_memory_names_nothing_that_the_file_decides(folder, monkeypatch):
    def too_large(*_):
        raise MemoryError

    own = make_run("run", write(TEXT))
    monkeypatch.setattr(own.trainer, "step_tensors", too_large)
    with pytest.raises(UserError, match="Out of memory") as found:
        own.train(progress=False)
    named = re.findall(r"--set (\w+)=", str(found.value))
    assert "ngf" in named and not set(named) & set(DECIDED)


def test_rates_fall_as_the_settings_say(folder):
    own = OwnTrainer(write(TEXT), preset("test", epochs=1, epochs_decay=2), CHANNELS, CPU)
    for epoch, factor in ((1, 1.0), (3, 0.5), (1, 1.0)):
        own.set_epoch(epoch)
        rates = [o.param_groups[0]["lr"] for o in (own.optimizer_g, own.optimizer_d)]
        assert rates == pytest.approx([1e-4 * factor, 4e-4 * factor])


def test_the_commands_open_such_a_run_with_the_file_and_only_with_it(folder, capsys):
    assert run(*TRAIN, *OWN) == 0
    assert own_texts(Path("run")) == [Path("run/code/0000000.txt")]
    assert Path("run/code/0000000.txt").read_text(encoding="utf-8") == TEXT
    commands = [["sample", "run", "--count", 2], ["evaluate", "--run", "run", "--count", 2, "--no-distance"], TRAIN]
    for command in commands:
        capsys.readouterr()
        assert run(*command) == 2
        error = capsys.readouterr().err
        assert error == "spade-edu: run was trained with a file of your own: name it, --code my_spade.py.\n"
    with pytest.raises(UserError, match="trained with a file of your own"):
        prepare(Path("run"))
    for command in commands:
        assert run(*command, *OWN) == 0
        assert "has changed" not in capsys.readouterr().out
    prepare(Path("run"), Path("my_spade.py"))
    for command in (["evaluate", "--images", "run", *OWN], ["paint", *OWN]):
        assert run(*command) == 2
        assert "--code belongs to the run that it trained" in capsys.readouterr().err


def test_the_packages_run_is_not_opened_with_a_file(folder, capsys):
    assert run(*TRAIN) == 0
    for command, words in (
        (["sample", "run"], "run holds a run of the package's networks: leave out --code."),
        (TRAIN, "run holds a run of the package's networks: choose another --out for --code."),
    ):
        capsys.readouterr()
        assert run(*command, *OWN) == 2
        assert capsys.readouterr().err == f"spade-edu: {words}\n"


def test_nothing_in_a_run_folder_is_run(folder):
    """Neither the texts that it keeps, nor a my_spade.py beside them, nor a path in its settings."""
    assert run(*TRAIN, *OWN) == 0
    trap = f"open({str(folder / 'touched')!r}, 'w').close()\n"
    exec(trap, {})
    assert Path("touched").exists()
    Path("touched").unlink()
    Path("own").mkdir()
    Path("my_spade.py").rename("own/my_spade.py")
    for name in ("my_spade.py", "run/my_spade.py", "run/code/my_spade.py", "run/code/0000000.txt"):
        Path(name).write_text(trap, encoding="utf-8")
    assert run("sample", "run") == 2
    assert run("sample", "run", "--code", "own/my_spade.py") == 0
    assert run(*TRAIN, "--code", "own/my_spade.py") == 0
    path = Path("run/config.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"code": "my_spade.py"}))
    assert run("sample", "run", "--code", "own/my_spade.py") == 2
    assert not Path("touched").exists()


def test_a_changed_file_is_said_and_goes_on_where_it_fits(folder, capsys):
    make_run("run", write(TEXT)).train(until=2, progress=False)
    changed = TEXT.replace("F.leaky_relu(self.norm_0(x, segmap), 0.2)", "F.leaky_relu(self.norm_0(x, segmap), 0.3)")
    assert changed != TEXT
    capsys.readouterr()
    for _ in range(2):
        make_run("run", write(changed)).train(until=3, progress=False)
    said = "my_spade.py has changed since this run was trained with it; run/code/0000000.txt holds what it said then.\n"
    assert capsys.readouterr().out.count(said) == 1
    assert [path.read_text(encoding="utf-8") for path in own_texts(Path("run"))] == [TEXT, changed]
    write(TEXT)
    networks_of(Path("run"), CITYSCAPES, Path("my_spade.py"))
    assert capsys.readouterr().out == said.replace("0000000", "0000002")


def test_a_file_that_no_longer_fits_is_refused_by_the_parts_name(folder):
    make_run("run", write(TEXT)).train(until=1, progress=False)
    old = "self.gamma = nn.Conv2d(hidden_channels, num_features, 3, padding=1)"
    assert old in TEXT
    kernels = write(TEXT.replace(old, "self.gamma = nn.Conv2d(hidden_channels, num_features, 1)"))
    line = next(i for i, text in enumerate(TEXT.splitlines(), 1) if text.startswith("class SPADE("))
    said = (
        rf"my_spade.py, line {line}, in SPADE: blocks.0.norm_0.gamma.weight of {{}} is .*1, 1.*, in the checkpoint of"
    )
    before = final_weights("run")
    with pytest.raises(UserError, match=said.format("G_ema")):
        networks_of(Path("run"), CITYSCAPES, Path("my_spade.py"))
    with pytest.raises(UserError, match=said.format("G")):
        make_run("run", kernels).train(progress=False)
    more = TEXT.replace(f"        {old}", f"        {old}\n        self.more = nn.Conv2d(1, 1, 1)")
    write(more)
    with pytest.raises(UserError, match="in SPADE: blocks.0.norm_0.more.weight of G_ema is .* step 1 not there"):
        networks_of(Path("run"), CITYSCAPES, Path("my_spade.py"))
    write(TEXT.replace("class MultiScaleDiscriminator(", "class Patches("))
    with pytest.raises(UserError, match="my_spade.py lacks MultiScaleDiscriminator"):
        networks_of(Path("run"), CITYSCAPES, Path("my_spade.py"))
    assert [p.read_text(encoding="utf-8") for p in own_texts(Path("run"))] == [TEXT]
    assert final_weights("run").keys() == before.keys()


def test_other_optimizers_than_the_checkpoints_are_said(folder):
    make_run("run", write(TEXT)).train(until=1, progress=False)
    old = "optimizer_g = torch.optim.Adam(painters, lr / 2, betas=(0.0, 0.9))"
    assert old in TEXT
    two = f"{old}\n    optimizer_g.add_param_group(dict(params=[painters[-1].new_zeros(1)]))"
    with pytest.raises(UserError, match="my_spade.py, line .*, in make_optimizers: ValueError: loaded state dict"):
        make_run("run", write(TEXT.replace(old, two))).train(progress=False)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("lambda_feat=5", "lambda_feat has no effect with --code"),
        ("fast=true", "fast has no effect with --code"),
        ("lambda_vgg=3", "lambda_vgg is 0 or 10 with --code"),
        ("precision=fp16", "precision=fp16 scales losses, and the steps of your file don't"),
        ("model=pix2pixhd++", "With a file of your own the model is spade, concat, pix2pixhd, not 'pix2pixhd++'"),
        ("height=40", "must be multiples of 32; got 40x64"),
    ],
)
def test_a_setting_that_the_file_cannot_follow_is_refused(setting, words, folder, capsys):
    assert run(*TRAIN, *OWN, "--set", setting) == 2
    error = capsys.readouterr().err
    assert words in error and error.startswith("spade-edu: ") and error.count("\n") == 1
    assert [p.name for p in folder.iterdir()] == ["my_spade.py"]


def test_the_settings_of_a_preset_are_those_that_the_file_has():
    config = own_settings(preset("cpu", "pix2pixhd"), ["lr"], "cpu")
    assert (config.fast, config.channels_last, config.gan, config.ttur, config.lr) == (
        False,
        False,
        "hinge",
        True,
        1.6e-3,
    )
    assert (config.model, config.ema, config.ngf) == ("pix2pixhd", 0.99, 24)
