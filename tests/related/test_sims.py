"""SIMS: cutting, finding, ordering, pasting and wiping segments, on hand-made scenes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spade_edu.data import Sample
from spade_edu.data.streets import Streets
from spade_edu.labels import CITYSCAPES
from spade_edu.presets import preset
from spade_edu.related import sims
from spade_edu.related.sims import BLACK, WHITE, MemoryBank, Piece, depth_order, elide, paste, segments
from spade_edu.sampling import generate, spread

ROAD, BUILDING, POLE, SKY, CAR = (CITYSCAPES.id(name) for name in ("road", "building", "pole", "sky", "car"))


def box(top, bottom, left, right, size=(16, 32)):
    mask = torch.zeros(size, dtype=torch.bool)
    mask[top:bottom, left:right] = True
    return mask


def street(*cars):
    """Sky above road, and cars given as boxes."""
    label = torch.full((16, 32), SKY)
    label[8:] = ROAD
    for car in cars:
        label[box(*car)] = CAR
    return label


class Hand:
    """A data set of given label maps; the picture of number i is of one grey, i / 10."""

    labels = CITYSCAPES

    def __init__(self, *label):
        self.label = label

    def set_epoch(self, epoch):
        pass

    def __len__(self):
        return len(self.label)

    def __getitem__(self, i):
        return Sample(self.label[i], self.label[i].int(), torch.full((3, 16, 32), i / 10), f"scene {i}")


# The memory bank


@given(arrays(np.int64, (9, 12), elements=st.integers(0, 2)))
def test_segments_cover_a_map_once_and_two_of_a_class_never_touch(label):
    label = torch.from_numpy(label)
    found = segments(label, smallest=0)
    assert torch.equal(found.mask.sum(0), torch.ones(9, 12).long())
    number = (found.mask * torch.arange(1, len(found.id) + 1)[:, None, None]).sum(0)
    assert torch.equal(found.id[number - 1], label)
    for axis in (0, 1):
        one, other = (t.narrow(axis, start, t.shape[axis] - 1) for t in (number,) for start in (0, 1))
        a, b = (t.narrow(axis, start, t.shape[axis] - 1) for t in (label,) for start in (0, 1))
        assert torch.equal(one == other, a == b)


def test_segments_are_components_that_are_large_enough():
    found = segments(street((6, 10, 2, 8), (6, 10, 20, 26), (1, 2, 1, 2)), smallest=5 / 512)
    assert sorted(found.id.tolist()) == sorted([SKY, ROAD, CAR, CAR])  # the third car has one pixel
    cars = found.mask[found.id == CAR]
    assert torch.equal(cars, torch.stack([box(6, 10, 2, 8), box(6, 10, 20, 26)]))


def test_retrieval_ranks_the_segments_of_a_class_by_the_iou_of_masks():
    bank = MemoryBank(
        Hand(street((6, 10, 0, 4)), street((6, 10, 9, 17)), street((6, 10, 12, 20), (2, 6, 9, 16))), 3, 0.0
    )
    query = box(6, 10, 10, 18)
    found = bank.retrieve(query, CAR)
    masks = [box(6, 10, 9, 17), box(6, 10, 12, 20), box(2, 6, 9, 16), box(6, 10, 0, 4)]
    ious = [(query & mask).sum() / (query | mask).sum() for mask in masks]
    # The third and fourth touch nothing; the car of scene 2 is one segment with the box above it.
    masks[1] = masks[1] | masks[2]
    ious[1] = (query & masks[1]).sum() / (query | masks[1]).sum()
    assert [score for _, score in found] == pytest.approx([float(ious[0]), float(ious[1]), 0.0])
    assert torch.equal(bank.mask[found[0][0]], masks[0]) and torch.equal(bank.mask[found[1][0]], masks[1])
    assert {int(bank.id[number]) for number, _ in found} == {CAR}
    assert bank.source[found[0][0]] == 1


def test_retrieval_keeps_to_the_images_allowed_and_gives_nothing_for_an_unknown_class():
    bank = MemoryBank(Hand(street((6, 10, 9, 17)), street((6, 10, 12, 20))), 2, 0.0)
    among = torch.tensor([False, True])
    assert [int(bank.source[n]) for n, _ in bank.retrieve(box(6, 10, 9, 17), CAR, among=among)] == [1]
    assert bank.retrieve(box(6, 10, 9, 17), POLE) == []
    assert len(bank.retrieve(box(6, 10, 9, 17), CAR, most=1)) == 1


def test_context_lets_the_surroundings_decide_between_equal_masks():
    night_club = street((6, 10, 10, 18))
    night_club[night_club == SKY] = BUILDING
    bank, query = MemoryBank(Hand(night_club, street((6, 10, 10, 18))), 2, 0.0), street((6, 10, 10, 18))
    found = bank.retrieve(query == CAR, CAR, label=query)
    assert [int(bank.source[n]) for n, _ in found] == [1, 0]
    assert found[0][1] == pytest.approx(2)  # both IoUs are 1
    window = (slice(5, 11), slice(8, 20))  # the box of 4 x 8, a quarter of it more on each side
    equal = int((night_club == query)[window].sum())
    assert found[1][1] == pytest.approx(1 + equal / (2 * 72 - equal))


# The canvas


def test_far_segments_are_pasted_first():
    masks = torch.stack([box(3, 12, 3, 9), box(0, 9, 10, 20), box(0, 5, 0, 32), box(8, 16, 0, 32), box(5, 10, 8, 14)])
    ids = [CAR, BUILDING, SKY, ROAD, CAR]
    assert depth_order(masks, ids, CITYSCAPES) == [2, 3, 1, 4, 0]  # the second car's wheels stand higher: farther


def piece(mask, id, grey):
    return Piece(mask, mask, torch.full((3, 16, 32), grey), id, 1.0)


def test_later_pieces_cover_earlier_ones_and_the_label_map_follows():
    pieces = [piece(box(8, 16, 0, 32), ROAD, 0.2), piece(box(6, 12, 4, 8), CAR, 0.7)]
    canvas, owner = paste(pieces, street())
    assert (canvas.image[:, 10, 6] == 0.7).all() and (canvas.image[:, 10, 20] == 0.2).all()
    assert torch.equal(canvas.filled, pieces[0].mask | pieces[1].mask)
    assert (canvas.image[:, ~canvas.filled] == BLACK).all()
    assert torch.equal(canvas.label, street((6, 12, 4, 8)))
    assert owner.unique().tolist() == [0, 1, 2] and (owner[pieces[1].mask] == 2).all()


def test_elision_paints_half_of_each_border_white_and_leaves_the_inside_alone():
    left, right = box(0, 16, 0, 16), box(0, 16, 16, 32)
    canvas, owner = paste([piece(left, SKY, 0.1), piece(right, BUILDING, 0.2)], street())
    elided = elide(canvas, owner, CITYSCAPES)
    assert (WHITE, BLACK) == (1, -1)  # of images in [-1, 1]
    white = (elided.image == WHITE).all(0)
    border = box(0, 16, 15, 17)  # a square of three pixels around each pixel reaches one to each side
    assert not (white & ~border).any() and elided.filled.all()
    assert 0.25 < white[border].float().mean() < 0.75
    assert torch.equal(elided.image[:, ~white], canvas.image[:, ~white])


def test_elision_blackens_the_ground_around_objects_and_nothing_else():
    car = box(6, 12, 10, 20)
    pieces = [piece(box(0, 8, 0, 32), BUILDING, 0.1), piece(box(8, 16, 0, 32), ROAD, 0.2), piece(car, CAR, 0.3)]
    canvas, owner = paste(pieces, street())
    elided = elide(canvas, owner, CITYSCAPES)
    around = box(8, 13, 9, 21) & ~car  # one pixel to each side; above the road stands the building
    assert torch.equal(~elided.filled, around)
    assert (elided.image[:, around] == BLACK).all()
    assert elide(canvas, owner, None).filled.all()  # in training the ground is the picture's own


# Training and the whole


def test_training_canvas_shows_the_pictures_own_pixels_where_it_overlaps_the_best_match():
    own, other = street((6, 10, 9, 17)), street((6, 10, 12, 20))
    scenes = Hand(own, other)
    bank = MemoryBank(scenes, 2, 0.0)
    sample = Sample(own, None, torch.full((3, 16, 32), 0.5), "scene 0")
    canvas = sims.training_canvas(bank, sample, recolour=0.0)
    shown = (own == CAR) & (other == CAR) | (own == SKY) & (other == SKY) | (own == ROAD) & (other == ROAD)
    assert torch.equal(canvas.filled, shown)  # its own copy in the bank would leave no hole
    values = canvas.image[:, shown]
    assert ((values == 0.5) | (values == WHITE)).all() and (canvas.image[:, ~shown] == BLACK).all()
    assert torch.equal(canvas.label, own)


def test_colour_transfer_gives_the_matchs_mean_and_deviation():
    image, other = torch.rand(3, 16, 32) * 0.5, torch.rand(3, 16, 32) * 0.2 - 0.5
    mask, match = box(0, 8, 0, 16), box(4, 16, 8, 32)
    changed = sims.transfer_colours(image, mask, other, match)[:, mask]
    torch.testing.assert_close(changed.mean(1), other[:, match].mean(1))
    torch.testing.assert_close(changed.std(1), other[:, match].std(1))


def test_synthesis_sees_labels_canvas_and_what_is_filled():
    canvas, _ = paste([piece(box(0, 8, 0, 32), SKY, 0.3)], street())
    entry = sims.encode([canvas, canvas], CITYSCAPES.num_ids)
    assert entry.shape == (2, 35 + 3 + 1, 16, 32)
    assert torch.equal(entry[0, :35].argmax(0), canvas.label)
    assert torch.equal(entry[0, 35:38], canvas.image) and torch.equal(entry[0, 38].bool(), canvas.filled)
    network = sims.SynthesisNetwork(35, (8, 4))
    assert network(entry).shape == (2, 3, 16, 32)


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    scenes = Streets(8, height=32, width=64)
    return scenes, sims.train_sims(scenes, preset("test"), steps=2, seed=1)


def test_a_trained_system_paints_and_gives_every_stage(trained):
    scenes, system = trained
    batch = spread(scenes, 2)
    image = generate(system, batch, scenes.labels)
    assert not system.training and system.z_dim is None
    assert image.shape == (2, 3, 32, 64) and image.abs().max() <= 1
    with torch.no_grad():
        stages = system.stages(batch.label[0])
    torch.testing.assert_close(stages.result, image[0])
    assert all(piece.score == pytest.approx(1) for piece in stages.pieces)  # its own segments are in the bank


def test_same_seed_same_system(trained):
    scenes, system = trained
    again = sims.train_sims(scenes, preset("test"), steps=2, seed=1)
    batch = spread(scenes, 2)
    assert torch.equal(generate(again, batch, scenes.labels), generate(system, batch, scenes.labels))
