"""What notebook 11 is held against: both sides train from the same start, and each goes into one result."""

import json
from pathlib import Path

import pytest
import torch

from spade_edu.course import start
from spade_edu.course.own_code import read_code
from spade_edu.experiments import your_spade
from spade_edu.experiments.stored import stored

REFERENCE = Path(__file__).parents[2] / "solutions" / "my_spade.py"


@pytest.fixture(autouse=True)
def _small(tmp_path, monkeypatch):
    monkeypatch.setenv("SPADE_EDU_PROFILE", "test")
    monkeypatch.setenv("SPADE_EDU_FOLDER", str(tmp_path))


def test_both_sides_have_as_many_numbers_and_their_own_steps_move_them(tmp_path):
    lab = start("11")
    code = read_code(REFERENCE).module
    package, own = your_spade.package_training("package", lab, 0), your_spade.file_training("own", lab, 0, code)
    for letter in "GD":
        counts = [sum(p.numel() for p in t.networks[letter].parameters()) for t in (package, own)]
        assert counts[0] == counts[1]
        stds = [torch.cat([p.flatten() for p in t.networks[letter].parameters()]).std().item() for t in (package, own)]
        assert stds[0] == pytest.approx(stds[1], rel=0.05)
    rates = [[o.param_groups[0][key] for o in t.optimizers for key in ("lr", "betas")] for t in (package, own)]
    assert rates[0] == rates[1]
    for training in (package, own):
        before = [p.clone() for p in training.networks["G"].parameters()]
        training.train(steps=1)
        assert any(not torch.equal(a, b) for a, b in zip(before, training.networks["G"].parameters()))
    assert {"GAN", "GAN_Feat"} <= set(package.losses[0]) & set(own.losses[0])


def test_the_command_writes_both_curves_and_says_the_share(tmp_path, monkeypatch, capsys):
    out = tmp_path / "result.json"
    monkeypatch.setattr("spade_edu.course.yours.is_milestone", lambda step: step >= 25)
    for asked in ([], ["--file", str(REFERENCE)]):
        your_spade.main([*asked, "--steps", "25", "--seeds", "0", "--out", str(out)])
    curves = json.loads(out.read_text())["curves"]
    assert {name: [row["step"] for row in seeds["0"]] for name, seeds in curves.items()} == {
        "package": [25],
        "file": [25],
    }
    share = curves["file"]["0"][0]["miou"] / curves["package"]["0"][0]["miou"]
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith("step 25: package") and said.endswith(f": {share:.1%}")


def test_the_stored_file_is_as_good_as_the_package_at_equal_steps():
    curves = stored("your_spade")["curves"]
    steps = [{row["step"] for rows in seeds.values() for row in rows} for seeds in curves.values()]
    last = max(set.intersection(*steps))
    means = {name: sum(v) / len(v) for name, seeds in curves.items() if (v := your_spade.at_step(seeds, last))}
    assert means["file"] >= 0.95 * means["package"]
