import pytest
import torch
import trees

from spade_edu.data import CamVid, Cityscapes
from spade_edu.data.preview import draw
from spade_edu.data.validation import check_split, evenly, open_for_check, pixel_shares


def test_every_bad_pair_is_named_once(tmp_path):
    trees.cityscapes(tmp_path, cities=("ulm",), each=7)
    fine = tmp_path / "gtFine/train/ulm"

    def label(i, kind="labelIds"):
        return fine / f"ulm_00000{i}_000019_gtFine_{kind}.png"

    trees.ids(label(0), 256)
    trees.ids(label(1), 34, height=12, width=25)
    label(2).write_bytes(label(2).read_bytes()[:90])
    label(3).unlink()
    trees.ids(label(4, "instanceIds"), 34000, height=13)
    (tmp_path / "leftImg8bit/train/ulm/ulm_000005_000019_leftImg8bit.png").write_bytes(b"")
    report = check_split(open_for_check("cityscapes", str(tmp_path), "train"), "train")
    assert report.good == 1 and report.published == 2975
    named = sorted(problem[problem.index("ulm_0") :][:10] for problem in report.problems)
    assert named == [f"ulm_00000{i}" for i in range(6)]
    assert any("empty file" in problem for problem in report.problems)


def test_a_sound_data_set_has_no_problems(tmp_path):
    report = check_split(open_for_check("camvid", str(trees.camvid_segnet(tmp_path, "val")), "val"), "val")
    assert report == (3, 101, [])


def test_shares_are_those_of_the_pixels(tmp_path):
    dataset = CamVid(trees.camvid_small(tmp_path, count=3), height=12, width=24)
    shares = pixel_shares(dataset, [0, 2])
    expected = torch.bincount(torch.stack([dataset[0].label, dataset[2].label]).flatten(), minlength=12) / (2 * 12 * 24)
    assert torch.allclose(shares, expected)


@pytest.mark.parametrize("length, count, picked", [(1, 5, [0]), (5, 5, [0, 1, 2, 3, 4]), (101, 3, [0, 50, 100])])
def test_samples_are_spread_evenly(length, count, picked):
    assert evenly(length, count) == picked


def test_preview_shows_colours_and_all_classes(tmp_path):
    dataset = Cityscapes(trees.cityscapes(tmp_path), height=40, width=80)
    page = draw([dataset[0], dataset[1]], dataset.labels)
    assert page.getpixel((82 + 5, 5)) == dataset.labels.classes[int(dataset[0].label[5, 5])].colour
    assert page.width > 3 * 80 + 100  # edges and the legend have room


def test_streets_style_survives_the_way_over_the_disk(tmp_path):
    from spade_edu.data.streets import Streets, write

    write(tmp_path, train=2, val=0, height=32, width=64)
    on_disk = [*Cityscapes(tmp_path, height=32, width=64)]
    rendered = [*Streets(2, height=32, width=64)]
    for ours, theirs in zip(sorted(on_disk, key=lambda s: s.name), rendered):
        assert ours.style == theirs.style
        assert torch.equal(ours.label, theirs.label) and torch.equal(ours.instance, theirs.instance)
        assert torch.equal(ours.image, theirs.image)
