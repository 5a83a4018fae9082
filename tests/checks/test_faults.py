"""Stage 11's faulty files: each trains, each is refused by its part's check, and each can be mended."""

import json
import math
from functools import cache
from pathlib import Path

import pytest
import torch

from spade_edu.checks import examine, exercises, has_check
from spade_edu.checks.faults import FAULTS, STRANGERS, Code, faulty, faulty_text, healthy, healthy_text, stranger
from spade_edu.checks.s11_find_the_bug import mend, repair
from spade_edu.files import ASSETS

each = pytest.mark.parametrize("letter", FAULTS)
EXERCISES = Path(__file__).parents[2] / "exercises" / "11_find_the_bug.ipynb"


@cache
def trained(letter, steps=24):
    """The losses of a small training: pix2pixHD's generator for a, SPADE's for the rest."""
    code = Code(f"faulty_{letter}", faulty_text(letter)) if letter else healthy()
    torch.manual_seed(0)
    generator = code.SPADEGenerator(4, (1, 1), 1, None, 4, code.SpectralConv2d)
    if letter == "a":
        generator = code.Pix2PixHDGenerator(4, 2, 2, 2)
    discriminator = code.MultiScaleDiscriminator(4, ndf=2)
    labels, colours = torch.randint(3, (steps, 2, 32, 32)), torch.rand(3, 3) * 2 - 1
    batches = [{"segmap": code.one_hot(label, 3), "image": colours[label].movedim(-1, 1)} for label in labels]
    optimizers = code.make_optimizers(generator, discriminator, lr=1e-3)
    return list(code.train(batches, generator, discriminator, optimizers))


@each
def test_a_faulty_file_trains(letter):
    losses = trained(letter)
    assert all(math.isfinite(value) for step in losses for value in step.values())
    assert losses[0] != losses[-1]


def test_one_fault_changes_no_number_of_a_training():
    assert trained("b") == trained("") and trained("e") != trained("")


@each
def test_a_faulty_part_is_refused_and_a_mended_one_is_not(letter):
    part = FAULTS[letter].part
    assert has_check(part) or part == "discriminator_step"
    assert not has_check(part) or not examine(part, getattr(Code("faulty", faulty_text(letter)), part)).passed
    old, new = repair(letter)
    assert not mend(letter, old, old + " ").passed and mend(letter, old, new).passed


def test_every_change_is_one_of_the_text_as_it_stands():
    texts = [(healthy_text(), fault.changes) for fault in FAULTS.values()]
    texts += [((ASSETS / "stranger.py").read_text(encoding="utf-8"), changes) for changes in STRANGERS.values()]
    for text, changes in texts:
        assert [text.count(old) for old, _ in changes] == [1] * len(changes)


def test_what_mend_says():
    assert "no such file" in mend("g", "x", "y").message
    assert "more than once" in mend("a", "self", "that").message
    assert "both texts are the same" in mend("a", "(1, 2, 3)", "(1, 2, 3)").message
    assert "can't be run: SyntaxError" in mend("f", "label.long() + 1", "label.long(").message
    assert "can't be run: NameError" in mend("f", "label.long() + 1", "lable").message
    refused = mend("c", "return self.gamma(hidden)", "return (1 - self.gamma(hidden))").message
    assert "the fault is gone, but the part does something else" in refused
    assert all("doesn't stand" in mend("a", old, "x").message for old in ("", "nowhere"))


def test_the_files_lie_in_the_students_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SPADE_EDU_FOLDER", str(tmp_path))
    code, other = faulty("c"), stranger()
    assert (tmp_path / "faulty_c.py").read_text() == code.text != healthy().text
    assert (tmp_path / "stranger.py").read_text() == other.text
    assert code.SPADE.__module__ == "faulty_c" and hasattr(other, "Modulation")


def test_no_comment_gives_a_fault_away_and_the_rulers_stay():
    assert "  #" not in healthy_text() and "# --- 03: the SPADE layer ---" in healthy_text()


def test_the_notebook_shows_no_answer_outside_of_its_folded_solutions():
    cells = ["".join(cell["source"]) for cell in json.loads(EXERCISES.read_text(encoding="utf-8"))["cells"]]
    folded = [text for text in cells if text.startswith("<details>")]
    shown = "\n".join(text for text in cells if text not in folded)
    for letter in FAULTS:
        old = repair(letter)[0].splitlines()[0]
        assert old in "".join(folded) and old not in shown


def test_a_repair_is_not_noted_as_the_exercise_of_its_part(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("spade_edu.checks.scorecard.in_notebook", lambda: True)
    assert mend("f", *repair("f")).passed and "one_hot" in {e.name for e in exercises()}
    assert list(tmp_path.iterdir()) == []
