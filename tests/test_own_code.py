"""The student's file as the code of a training: what is built from it, and what is said of a broken one."""

from pathlib import Path

import pytest
import torch
from torch import nn

from spade_edu import UserError
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


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_part_is_named_with_its_line(fault, tmp_path):
    changes, place, words = BROKEN[fault]
    text, config = changed(*changes), preset("test")
    code = code_of(text, tmp_path)
    with pytest.raises(UserError) as caught:
        try_out(code, code.networks(config, CHANNELS), config, CHANNELS)
    message = str(caught.value)
    start = f"my_spade.py, line {line_of(text, place)}, in " if place else "my_spade.py lacks"
    assert message.startswith(start) and words in message and "\n" not in message, message


IMPORTS = {
    "a syntax error": ("def broken(:\n", "my_spade.py is not Python, line "),
    "an endless loop": ("while True:\n    pass\n", "importing my_spade.py took longer than 1 s"),
    "an exit": ("raise SystemExit(3)\n", "can't be imported: line 3 (raise SystemExit(3)), SystemExit: 3"),
}


@pytest.mark.parametrize("fault", IMPORTS)
def test_a_file_that_cannot_be_imported_is_not_run_here(fault, tmp_path, monkeypatch):
    statement, words = IMPORTS[fault]
    path = tmp_path / "my_spade.py"
    path.write_text(f"import torch\n\n{statement}", encoding="utf-8")
    monkeypatch.setattr(own_code, "OwnCode", None)  # it isn't reached
    with pytest.raises(UserError) as caught:
        read_code(path, seconds=1)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["my_spade.py"]


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="There is no file .*my_spade.py"):
        read_code(tmp_path / "my_spade.py")


def test_a_step_that_fails_later_is_named_with_its_line_and_moves_nothing(tmp_path):
    """nan after some steps: the weights stay numbers, and the part is named that made it."""
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
