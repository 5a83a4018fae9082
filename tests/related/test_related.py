"""The systems beside SPADE as a whole: one way to call them, and none of the core knows them."""

import re
from pathlib import Path

import pytest
import torch

import spade_edu
from spade_edu.data.streets import Streets
from spade_edu.errors import UserError
from spade_edu.presets import preset
from spade_edu.related import SYSTEMS
from spade_edu.related.common import batches
from spade_edu.runs.run import epoch_order


def test_the_core_doesnt_import_them():
    package = Path(spade_edu.__file__).parent
    beside = ("related", "experiments", "cli", "widgets")
    core = [path for path in package.rglob("*.py") if path.relative_to(package).parts[0] not in beside]
    assert len(core) > 30
    assert [
        path.name for path in core if re.search(r"(from|import) \.*\S*\brelated\b", path.read_text(encoding="utf-8"))
    ] == []


def test_images_come_in_the_order_of_a_run_and_the_last_epoch_may_be_short():
    scenes, config = Streets(5, height=32, width=64, augment=True), preset("test", seed=4)
    seen = list(batches(scenes, config, steps=3, progress=False))
    assert [epoch for epoch, _ in seen] == [1, 1, 2]
    names = [name for _, sample in seen for name in sample.name]
    order = epoch_order(5, 4, 1)[:4] + epoch_order(5, 4, 2)[:2]
    assert names == [f"train_{i:06d}" for i in order]
    assert scenes.epoch == 2


@pytest.mark.parametrize("name", SYSTEMS)
def test_too_few_images_are_refused_with_one_line(name):
    with pytest.raises(UserError, match="A batch of 2"):
        SYSTEMS[name](Streets(1, height=32, width=64), preset("test"), steps=1, seed=0)


def test_their_random_numbers_come_from_the_seed_alone():
    scenes, config = Streets(4, height=32, width=64), preset("test")
    first = SYSTEMS["CRN"](scenes, config, steps=1, seed=5)
    torch.manual_seed(99)
    second = SYSTEMS["CRN"](scenes, config, steps=1, seed=5)
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values()))
