import copy
import json
import re
from dataclasses import replace

import pytest
import torch

from spade_edu import cli
from spade_edu.data.streets import Streets
from spade_edu.errors import UserError
from spade_edu.evaluation.user_study import append_choice
from spade_edu.experiments import cells, figure1, figure3, figure9, table2, tables
from spade_edu.experiments.cells import Bench
from spade_edu.experiments.paper import TABLES
from spade_edu.presets import ROWS
from spade_edu.runs import plan

FEW = {"pix2pixHD++": "pix2pixHD++", "pix2pixHD": "pix2pixHD"}  # small rows of Table 3
pytestmark = pytest.mark.filterwarnings("ignore:4 images for 160 features")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A bench whose cells the tests of this file share: six steps of the preset `test`."""
    return Bench(tmp_path_factory.mktemp("bench"), preset_name="test", steps=6)


def short(bench, out):
    """The same bench with another folder: its scenes are rendered already."""
    other = Bench(out, preset_name="test", steps=bench.steps)
    other.training, other.val = bench.training, bench.val
    other.__dict__ |= {"scorer": bench.scorer, "bound": bench.bound}
    return other


def test_a_cell_that_is_done_is_not_done_again(shared, monkeypatch):
    cell = shared.cell("pix2pixHD", 0)
    first = shared.result(cell)
    monkeypatch.setattr(shared, "train", lambda cell: pytest.fail("trained again"))
    assert shared.result(cell) == json.loads(json.dumps(first))
    assert not list(shared.out.rglob("*.part"))
    assert shared.painted(cell).shape == (4, 32, 64, 3)


def test_a_half_trained_cell_goes_on_and_ends_alike(shared, tmp_path, monkeypatch):
    cell = shared.cell("pix2pixHD", 0)
    whole, bench = shared.result(cell), short(shared, tmp_path)
    steps, step_tensors = [], cells.Run.after_step

    def stop_at_four(self, *arguments):
        step_tensors(self, *arguments)
        steps.append(self.step)
        if steps == [1, 2, 3, 4]:
            raise RuntimeError("power cut")

    monkeypatch.setattr(cells.Run, "after_step", stop_at_four)
    with pytest.raises(RuntimeError, match="power cut"):
        bench.result(cell)
    assert bench.known(cell) is None
    again = bench.result(cell)
    assert steps == [1, 2, 3, 4, 4, 5, 6], "the checkpoint of step 3 is where it goes on"
    assert [again[key] for key in tables.FIGURES] == pytest.approx([whole[key] for key in tables.FIGURES])


def test_rows_that_are_one_configuration_share_a_cell(shared, tmp_path):
    same = ["decoder w/ SPADE", "ours", "kernel 3x3", "96M params", "Sync BatchNorm", "BatchNorm"]
    assert len({shared.cell(row, 0).name for row in same}) == 1
    assert shared.cell("61M params", 0) == shared.cell("compact decoder w/ SPADE", 0)
    bench = Bench(tmp_path)  # the test preset has no perceptual loss to leave out
    assert len({bench.cell(row, seed).name for row in ROWS for seed in (0, 1)}) == 2 * (8 + 5 + 5)


def test_a_cell_is_named_by_all_that_its_result_depends_on(shared):
    cell = shared.cell("pix2pixHD", 0)
    others = [
        replace(cell, steps=7),
        replace(cell, system="CRN"),
        replace(cell, config=replace(cell.config, lr=1e-3)),
        shared.cell("pix2pixHD", 1),
        shared.cell("pix2pixHD", 0, ngf=8),
    ]
    assert len({c.name for c in [cell, *others]}) == 6
    assert replace(cell, config=replace(cell.config, ema=0.0)).name == cell.name, "a default doesn't enter"


def test_table_goes_on_and_is_whole_after_every_cell(shared, monkeypatch, capsys):
    monkeypatch.setattr(tables, "rows_of", lambda number: FEW)
    seen, result = [], shared.result

    def stop_at_third(cell):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(cell)
        return result(cell)

    monkeypatch.setattr(shared, "result", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        tables.reproduce(3, shared, 2)
    partial = json.loads((shared.out / "table3.json").read_text())
    assert [len(row["seeds"]) for row in partial["rows"]] == [1, 1], "seeds are the outer loop"
    assert partial["seeds"] == 1 and partial["rows"][0]["std"]["miou"] is None
    monkeypatch.setattr(shared, "result", result)
    table = tables.reproduce(3, shared, 2)
    assert json.loads((shared.out / "table3.json").read_text()) == table
    row = table["rows"][0]
    values = torch.tensor([entry["miou"] for entry in row["seeds"]])
    assert row["mean"]["miou"] == pytest.approx(values.mean().item(), abs=1e-4)
    assert row["std"]["miou"] == pytest.approx(values.std().item(), abs=1e-4)
    assert (table["seeds"], table["steps"], table["preset"], table["data"]) == (2, 6, "test", "streets")
    text = tables.render(table)
    for name in FEW:
        line = next(line for line in text.splitlines() if re.match(rf"{re.escape(name)}  ", line))
        assert all(cell in line for cell in tables.paper_row(3, name).cells) and "[image]" in line
    tables.draw(table, shared.out / "table3.png")
    assert (shared.out / "table3.png").read_bytes().startswith(b"\x89PNG")


def fake_table(number, mious):
    """A result with given mean mIoU by row name."""
    rows = [
        {"name": name, "parameters": 1, "mean": dict(miou=v, accuracy=0.5, fd=1.0), "std": {}, "seeds": []}
        for name, v in mious.items()
    ]
    about = dict(data="camvid", preset="cpu", size=[64, 128], steps=5, seeds=0, distance="FID", real=None)
    return about | {"table": number, "rows": rows, "perceptual_features": "vgg"}


@pytest.mark.parametrize("number", [1, 3, 4, 5])
def test_text_has_all_of_the_papers_figures_with_their_marks(number):
    text = tables.render(fake_table(number, {row.name: 0.1 for row in TABLES[number].rows}))
    for row in TABLES[number].rows:
        line = next(line for line in text.splitlines() if line.startswith(row.name + "  "))
        mark = "" if row.verified else " [memory]"
        assert all(cell + mark in line for cell in row.cells) and row.sources[0] in line
    assert ("from memory, NOT verified" in text) == (number == 4)


def test_agreement_counts_pairs():
    result = fake_table(1, {"CRN": 0.2, "SIMS": 0.3, "pix2pixHD": 0.4, "SPADE": 0.5, "CLADE": 0.9})
    assert tables.agreement(result)["Cityscapes"] == (5, 6)  # only CRN and SIMS are the other way round
    assert tables.agreement(result, "fd")["Cityscapes"] == (0, 0)  # all alike here
    assert tables.agreement(result)["COCO-Stuff"] == (2, 3)  # no SIMS there; CRN is above pix2pixHD


def test_table1_has_the_papers_rows_and_more():
    assert list(tables.rows_of(1)) == ["CRN", "SIMS", "pix2pixHD", "SPADE", "CLADE", "OASIS"]


def test_figures_from_one_styled_cell(shared):
    nine = figure9.reproduce(shared)
    assert nine["diversity"] >= 0 and nine["code_std"] > 0
    one = figure1.reproduce(shared)
    assert len(one["styles"]) == len({shared.val[i].style for i in range(len(shared.val))})
    assert len(list((shared.out / "cells").glob("spade-*"))) == 1, "both take the same cell"
    for name, module, result in (("figure1", figure1, one), ("figure9", figure9, nine)):
        assert (shared.out / f"{name}.png").exists() and "Paper" in module.render(result)


def test_figure3_measures_both(shared):
    result = figure3.reproduce(shared)
    assert set(result["colour_difference"]) == {"pix2pixHD", "SPADE"}
    assert "pix2pixHD" in figure3.render(result)


def test_cost_is_told_for_the_paper_preset_only(shared, monkeypatch):
    assert tables.cost(shared, [shared.cell("pix2pixHD", 0)]) == ""
    paper = copy.copy(shared)
    paper.preset_name = "paper"
    one, two = (tables.cost(paper, [shared.cell("pix2pixHD", seed) for seed in seeds]) for seeds in ([0], [0, 1]))
    assert "Estimated, not measured: 0 days on 8 V100" in one and one == two  # eight small images
    monkeypatch.setattr(plan, "USED", 1e-15)
    one, two = (tables.cost(paper, [shared.cell("pix2pixHD", seed) for seed in seeds]) for seeds in ([0], [0, 1]))
    days = [int(text.split("measured: ")[1].split(" days")[0]) for text in (one, two)]
    assert days[0] > 10 and days[1] == pytest.approx(2 * days[0], abs=1)


def test_table2_merges_files_and_shows_the_papers(tmp_path):
    answer = dict(mask="a", left="SPADE", right="CRN", chosen="left", seconds=1.0, participant="p")
    append_choice(tmp_path / "a.jsonl", **answer)
    append_choice(tmp_path / "b.jsonl", **answer | {"chosen": "right", "participant": "q"})
    text = table2.report([tmp_path / "a.jsonl", tmp_path / "b.jsonl"])
    assert "2 answers in 2 file(s)" in text and "50.0%" in text
    assert all(cell in text for row in TABLES[2].rows for cell in row.cells)
    with pytest.raises(UserError, match="give the results files"):
        table2.report([])
    append_choice(tmp_path / "c.jsonl", **answer | {"left": "SIMS"})
    with pytest.raises(UserError, match="no answer compares SPADE"):
        table2.report([tmp_path / "c.jsonl"])


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["table7"], "There is no 'table7' to reproduce; there are: table1, table2"),
        (["table3", "--preset", "huge"], "There is no preset 'huge'"),
        (["table3", "--data", "moon"], "moon"),
        (["table3", "--steps", "0", "--preset", "test"], "at least one step"),
        (["table2"], "give the results files"),
    ],
)
def test_mistakes_give_one_line(arguments, message, capsys, tmp_path):
    with pytest.raises(SystemExit) as stop:
        cli.main(["reproduce", *arguments, "--out", str(tmp_path)])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and message in error and error.count("\n") == 1


def test_figures_5_to_8_are_one_command(monkeypatch, tmp_path, capsys):
    made = []
    monkeypatch.setattr("spade_edu.cli.reproduce._make", lambda name, *rest: made.append(name) or "")
    cli.main(["reproduce", "figure7", "--out", str(tmp_path)])
    assert made == ["figure5"]


def test_the_paper_preset_is_the_papers_training_of_each_data_set(tmp_path, monkeypatch):
    monkeypatch.setattr("spade_edu.data.catalogue.open_dataset", lambda *a, **k: (Streets(20_210), ""))
    bench = Bench(tmp_path / "out", "ade20k", preset_name="paper", root=str(tmp_path))
    config = bench.cell("decoder w/ SPADE", 0).config
    assert (config.height, config.width, config.num_upsampling_layers) == (256, 256, "normal")
    assert (config.epochs, config.epochs_decay, config.batch_size) == (100, 100, 32)
    assert bench.steps == 200 * (20_210 // 32)
    small = bench.cell("pix2pixHD", 0)
    assert (small.config.batch_size, small.config.reuse_fake, small.steps) == (1, True, 200 * 20_210), "as many images"
    bench = Bench(tmp_path / "out", "cityscapes", preset_name="paper", root=str(tmp_path), steps=50)
    assert (bench.base.width, bench.base.num_upsampling_layers, bench.steps) == (512, "more", 50)
    assert bench.cell("pix2pixHD", 0).steps == 50
