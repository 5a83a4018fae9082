"""Apple's GPU without one: the plain form trains and paints by operations that torch has there, none of them float64.

Torch's own list of its operations says for which devices each is written. What they compute on a Mac nobody has tried.
"""

from pathlib import Path

import pytest
import torch
import torchgen
import yaml
from torch.utils._python_dispatch import TorchDispatchMode

from spade_edu.config import resolve_precision
from spade_edu.data import Streets
from spade_edu.labels import CITYSCAPES
from spade_edu.models import build
from spade_edu.presets import preset
from spade_edu.sampling import generate, spread, to_batch
from spade_edu.training import Trainer

LIST = Path(torchgen.__file__).parent / "packaged/ATen/native/native_functions.yaml"


@pytest.fixture(scope="module")
def on_mps():
    """Whether an operation runs on Apple's GPU, by its name."""
    known = {entry["func"].split("(")[0]: entry for entry in yaml.safe_load(LIST.read_text(encoding="utf-8"))}

    def runs(name):
        entry = known[name]
        if "structured_delegate" in entry:
            return runs(entry["structured_delegate"])
        devices = ", ".join(entry.get("dispatch", {"Composite": None}))
        return "MPS" in devices or "Composite" in devices

    return runs


class Operations(TorchDispatchMode):
    """Notes each operation of torch, and those that give float64."""

    def __init__(self):
        super().__init__()
        self.names, self.doubles = set(), set()

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        given = function(*arguments, **(options or {}))
        name = function.name().removeprefix("aten::")
        if not name.startswith("profiler::"):
            self.names.add(name)
        if any(torch.is_tensor(g) and g.dtype == torch.float64 for g in (given if type(given) is tuple else (given,))):
            self.doubles.add(name)
        return given


def trained_and_painted(model, **settings):
    """The operations of two steps and a picture."""
    config = preset("test", model, style=model == "spade", data="streets", precision="fp32", **settings)
    data = Streets(2, height=config.height, width=config.width)
    trainer = Trainer(*build(config, CITYSCAPES), config)
    batch = to_batch(spread(data, 2), CITYSCAPES, torch.device("cpu"))
    with Operations() as seen:
        trainer.step_tensors(batch)
        trainer.step_tensors(batch)
        generate(trainer.generator.eval(), spread(data, 1), CITYSCAPES, "cpu", seed=0)
    return seen


@pytest.mark.parametrize("model", ["spade", "pix2pixhd", "pix2pixhd++"])
def test_the_plain_form_needs_nothing_that_apples_gpu_lacks(model, on_mps):
    seen = trained_and_painted(model, fast=False)
    assert len(seen.names) > 30 and not seen.doubles
    assert [name for name in sorted(seen.names) if not on_mps(name)] == []


def test_the_fast_form_needs_float64():
    """Why `train --device mps` refuses it."""
    assert trained_and_painted("spade", fast=True).doubles


def test_the_list_knows_what_is_missing(on_mps):
    assert on_mps("convolution") and not on_mps("_linalg_eigvals")


def test_mixed_precision_is_not_chosen_there():
    assert resolve_precision(preset("cpu", precision="auto"), "mps").precision == "fp32"
