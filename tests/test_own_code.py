"""The student's file as the code of a training: what is built from it, and what is said of a broken one."""

from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from spade_edu import UserError
from spade_edu.cli import main
from spade_edu.course import own_code
from spade_edu.course.own_code import OwnCode, read_code
from spade_edu.course.own_trial import random_batch, try_out
from spade_edu.course.parts_file import PartsFile
from spade_edu.presets import preset

REFERENCE = Path(__file__).parents[1] / "solutions" / "my_spade.py"
TEXT = REFERENCE.read_text(encoding="utf-8")
CHANNELS = 5


def changed(*changes):
    """The reference with pieces of text replaced; each must be there."""
    text = TEXT
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def line_of(text, words):
    """The number of the first line that holds some words."""
    return next(i for i, line in enumerate(text.splitlines(), 1) if words in line)


def code_of(text, folder):
    """The code of a file, without its trial in a fresh process."""
    (folder / "my_spade.py").write_text(text, encoding="utf-8")
    return OwnCode(folder / "my_spade.py", PartsFile(text))


def run(*arguments):
    """The command line in this process; gives the exit code."""
    try:
        main([str(a) for a in arguments])
    except SystemExit as end:
        return end.code or 0
    return 0


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def untried(monkeypatch):
    """No process is started: every file counts as importable."""
    monkeypatch.setattr(own_code, "try_file", lambda *_: {})


@pytest.mark.parametrize("model", ["spade", "concat", "pix2pixhd"])
@pytest.mark.parametrize("style", [False, True], ids=["plain", "style"])
def test_the_reference_is_sound(model, style, tmp_path):
    code, config = code_of(TEXT, tmp_path), preset("test", model=model, style=style and model != "pix2pixhd")
    networks = code.networks(config, CHANNELS)
    before = nn.utils.parameters_to_vector(networks.generator.parameters()).clone()
    torch.manual_seed(3)
    try_out(code, networks, config, CHANNELS)
    drawn = torch.rand(3)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(3))
    assert torch.equal(before, nn.utils.parameters_to_vector(networks.generator.parameters()))


def test_the_file_is_tried_in_a_process_of_its_own_and_then_run_where_it_lies(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(TEXT + "\nHERE = __file__\n", encoding="utf-8")
    code = read_code(path)
    assert str(path) == code.module.HERE and code.path == path
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.py"]


# What is said of a broken file: (what was changed, the part whose line is named, words).
SPADE_RESULT = "return (1 + self.gamma(hidden)) * self.norm(x) + self.beta(hidden)"
MAIN = 'if __name__ == "__main__":'
NAMED_ONLY = "def discriminator_step(batch, generator, discriminator, optimizer, *, encoder=None)"
COUNTED = """        self.calls = getattr(self, "calls", 0) + 1
        if self.calls > 5:
            raise ValueError("the third")
"""
PLAIN_CLASS = "class MultiScaleDiscriminator:\n    def __init__(self, *_):\n        pass\n\n\n"
BROKEN = {
    "a missing part": ([("class MultiScaleDiscriminator", "class Other")], "", "lacks MultiScaleDiscriminator"),
    "parts borrowed halfway": ([("class SPADE(nn", "class Other(nn")], "class SPADEResnetBlock", "needs SPADE,"),
    "a helper of an earlier cell": (
        [("hidden = F.relu(self", "hidden = helper(self")],
        "class SPADE(",
        "it needs helper",
    ),
    "a wrong shape": (
        [('scale_factor=2, mode="nearest"', 'scale_factor=1, mode="nearest"')],
        "class SPADEGenerator",
        "it gives a tensor of shape (2, 3, 1, 2), expected pictures of shape (2, 3, 32, 64)",
    ),
    "a wrong shape within": (
        [("torch.cat([segmap, image], dim=1)", "torch.cat([segmap, image], dim=2)")],
        "torch.cat([segmap, image], dim=2)",
        "in MultiScaleDiscriminator: RuntimeError: Sizes of tensors must match",
    ),
    "a generator that ignores the map": (
        [("segmap = F.interpolate(segmap,", "segmap = 0 * F.interpolate(segmap,")]
        + [("self.fc(F.interpolate(segmap,", "self.fc(0 * F.interpolate(segmap,")],
        "class SPADEGenerator",
        "it paints the same for two different label maps",
    ),
    "a step that never moves D": (
        [("loss.backward()\n    optimizer.step()\n    return {\"D\"", "loss.backward()\n    return {\"D\"")],
        "def discriminator_step",
        "the weights of D are the same after it",
    ),
    "a step that moves the other side": (
        [("optimizer_g = torch.optim.Adam(painters,", "optimizer_g = torch.optim.Adam(discriminator.parameters(),")],
        "def make_optimizers",
        "of G is in no optimizer",
    ),
    "no gradient": (
        [("* self.norm(x) + self.beta(hidden)", "* self.norm(x) + self.beta(hidden).detach()")],
        "class SPADE(",
        "no gradient reaches blocks.0.norm_0.beta.weight in generator_step",
    ),
    "not a number": (
        [(SPADE_RESULT, SPADE_RESULT + " + float('nan')")],
        "class SPADE(",
        "its result is no number any more",
    ),
    "a class that is no nn.Module": (
        [("class MultiScaleDiscriminator(nn.Module)", "class Old(nn.Module)"), (MAIN, PLAIN_CLASS + MAIN)],
        "class MultiScaleDiscriminator",
        "it makes a MultiScaleDiscriminator, expected an nn.Module",
    ),
    "another signature": (
        [("def discriminator_step(batch, generator, discriminator, optimizer, encoder=None)", NAMED_ONLY)],
        "def discriminator_step",
        "It is called as discriminator_step(batch, generator, discriminator, optimizer, encoder)",
    ),
}  # fmt: skip


BROKEN["an exception at step 3"] = (
    [("        hidden = F.relu(self.shared(segmap))", COUNTED + "        hidden = F.relu(self.shared(segmap))")],
    'raise ValueError("the third")',
    "in SPADE: ValueError: the third",
)
TRAIN = ["train", "--preset", "test", "--data", "streets", "--code", "my_spade.py", "--out", "run"]


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_part_gives_one_line_with_its_name_and_place(fault, folder, untried, capsys):
    changes, place, words = BROKEN[fault]
    text = changed(*changes)
    Path("my_spade.py").write_text(text, encoding="utf-8")
    assert run(*TRAIN) == 2
    said = [line for line in capsys.readouterr().err.split("\n") if line and "%|" not in line]
    start = f"my_spade.py, line {line_of(text, place)}, in " if place else "my_spade.py lacks"
    if "step 3" in fault:
        start = f"Step 3: {start}"
    assert len(said) == 1 and said[0].startswith(f"spade-edu: {start}") and words in said[0], said
    assert Path("my_spade.py").read_text(encoding="utf-8") == text
    assert Path("run").exists() == ("step 3" in fault)


IMPORTS = {
    "a syntax error": ("def broken(:\n", "my_spade.py is not Python, line "),
    "an endless loop": ("while True:\n    pass\n", "importing my_spade.py took longer than 1 s"),
    "an exit": ("raise SystemExit(3)\n", "can't be imported: line 3 (raise SystemExit(3)), SystemExit: 3"),
}


@pytest.mark.parametrize("fault", IMPORTS)
def test_a_file_that_cannot_be_imported_is_not_run_here(fault, folder, monkeypatch, capsys):
    statement, words = IMPORTS[fault]
    text = f"import torch\n\n{statement}"
    Path("my_spade.py").write_text(text, encoding="utf-8")
    monkeypatch.setattr(own_code, "OwnCode", None)  # it isn't reached
    monkeypatch.setattr(own_code, "read_code", partial(read_code, seconds=1))
    assert run(*TRAIN) == 2
    error = capsys.readouterr().err
    assert error.startswith("spade-edu: ") and words in error and error.count("\n") == 1
    assert [p.name for p in folder.iterdir()] == ["my_spade.py"] and Path("my_spade.py").read_text() == text


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="There is no file .*my_spade.py"):
        read_code(tmp_path / "my_spade.py")


def test_what_is_no_number_later_is_named_with_its_line_and_moves_nothing(tmp_path):
    late = "self.calls = getattr(self, 'calls', 0) + 1\n        return {0} if self.calls > 5 else {1}"
    bad = late.format("(1 + self.gamma(hidden)) / 0 * x * 0", SPADE_RESULT.removeprefix("return "))
    text, config = changed((SPADE_RESULT, bad)), preset("test")
    code = code_of(text, tmp_path)
    networks = code.networks(config, CHANNELS)
    optimizers, batch = code.optimizers(networks, config.lr), random_batch(config, CHANNELS, torch.device("cpu"))
    with pytest.raises(
        UserError, match=f"my_spade.py, line {line_of(text, 'class SPADE(')}, in SPADE: its result is no"
    ):
        for _ in range(9):
            code.generator_step(batch, networks, optimizers[0])
            code.discriminator_step(batch, networks, optimizers[1])
    assert all(torch.isfinite(p).all() for n in networks.named().values() for p in n.parameters())
