import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spade_edu import CAMVID, CITYSCAPES, LabelError, SPADEGenerator, UserError
from spade_edu.data import Streets
from spade_edu.data.files import read_ids
from spade_edu.widgets.maps import EditedMap, blank, ids_from_bytes, ids_picture, ids_to_bytes, image_size

ROAD, SKY, CAR = (CITYSCAPES.id(name) for name in ("road", "sky", "car"))
STREETS = Streets(3, split="val", height=32, width=64)


def painted(edited: EditedMap, label: torch.Tensor, **request) -> None:
    edited.paint({"scene": -1, "flipped": False} | request, [ids_to_bytes(label)])


@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_a_map_survives_the_journey(height, width, data):
    ids = data.draw(st.lists(st.integers(0, CAMVID.num_ids - 1), min_size=height * width, max_size=height * width))
    label = torch.tensor(ids).reshape(height, width)
    assert torch.equal(ids_from_bytes([memoryview(ids_to_bytes(label))], (height, width), CAMVID), label)


@given(st.integers(0, 60))
def test_a_map_of_another_length_is_refused_in_one_line(length):
    if length == 24:
        return
    with pytest.raises(LabelError, match=rf"has {length} bytes; expected 24") as caught:
        ids_from_bytes([bytes(length)], (4, 6), CITYSCAPES)
    assert "\n" not in str(caught.value)


def test_no_map_and_two_maps_are_refused():
    for buffers in ([], [bytes(24), bytes(24)]):
        with pytest.raises(LabelError, match="not one map"):
            ids_from_bytes(buffers, (4, 6), CITYSCAPES)


@given(st.integers(CITYSCAPES.num_ids, 255), st.integers(0, 23))
def test_an_unknown_id_anywhere_is_refused(strange, place):
    content = bytearray(24)
    content[place] = strange
    with pytest.raises(LabelError, match=str(strange)):
        ids_from_bytes([bytes(content)], (4, 6), CITYSCAPES)


def test_a_refused_map_leaves_the_old_one():
    edited = EditedMap(CITYSCAPES, STREETS[0].label)
    with pytest.raises(LabelError):
        edited.paint({"scene": -1}, [b"\xff" * (32 * 64)])
    with pytest.raises(UserError, match="scene"):
        edited.paint({"scene": 7}, [bytes(32 * 64)])
    assert torch.equal(edited.label, STREETS[0].label)


def test_painted_pixels_become_objects_and_the_rest_keeps_its_own():
    sample = STREETS[0]
    edited = EditedMap(CITYSCAPES, sample.label, sample.instance)
    assert torch.equal(edited.instance, sample.instance)
    label = sample.label.clone()
    label[20:26, 10:30] = CAR
    painted(edited, label)
    changed = label != sample.label
    assert changed.any()
    assert (edited.instance[changed] == CAR).all()
    assert torch.equal(edited.instance[~changed], sample.instance[~changed])


def test_objects_are_mirrored_with_a_flipped_map():
    sample = STREETS[0]
    edited = EditedMap(CITYSCAPES, sample.label, sample.instance)
    painted(edited, sample.label.flip(1), flipped=True)
    assert torch.equal(edited.instance, sample.instance.flip(1))


def test_a_scene_is_loaded_with_its_objects():
    edited = EditedMap(CITYSCAPES, STREETS[0].label, STREETS[0].instance, scenes=STREETS)
    edited.load({"scene": 2})
    assert torch.equal(edited.label, STREETS[2].label)
    assert torch.equal(edited.instance, STREETS[2].instance)
    with pytest.raises(UserError, match="from 0 to 2"):
        edited.load({"scene": 3})


def test_counts_name_the_classes_largest_first():
    edited = EditedMap(CITYSCAPES, blank(CITYSCAPES, (32, 64)))
    label = edited.label.clone()
    label[-8:] = CAR
    painted(edited, label)
    assert edited.counts() == {"sky": 1024, "car": 512, "road": 512}


def test_blank_scenes():
    assert set(blank(CITYSCAPES, (4, 6)).unique().tolist()) == {ROAD, SKY}
    assert blank(CITYSCAPES, (4, 6))[0, 0] == SKY


def test_the_saved_picture_holds_the_ids_and_shows_the_colours(tmp_path):
    label = STREETS[1].label
    ids_picture(label, CITYSCAPES).save(tmp_path / "map.png")
    assert (read_ids(tmp_path / "map.png") == label.numpy()).all()
    colours = torch.tensor(list(ids_picture(label, CITYSCAPES).convert("RGB").tobytes())).reshape(32, 64, 3)
    assert torch.equal(colours, CITYSCAPES.colourise(label).long())


@pytest.mark.parametrize(("plan", "size"), [("normal", (32, 64)), ("more", (64, 128)), ("most", (128, 256))])
def test_the_size_that_a_generator_paints(plan, size):
    generator = SPADEGenerator(4, latent=(1, 2), num_upsampling_layers=plan, ngf=2, hidden_channels=4)
    assert image_size(generator) == size


def test_the_palette_is_the_same_for_every_scene_and_folds_what_is_not_scored():
    state = EditedMap(CITYSCAPES, torch.full((4, 6), CITYSCAPES.id("parking"))).state()
    assert len(state["offered"]) == 19 and CITYSCAPES.id("parking") in state["others"]
    assert sorted(state["offered"] + state["others"]) == list(range(CITYSCAPES.num_ids))
    chosen = EditedMap(CITYSCAPES, torch.full((4, 6), ROAD), classes=["sky", "car"])
    assert chosen.state()["offered"] == [SKY, CAR]
    edited = EditedMap(CITYSCAPES, STREETS[0].label, scenes=STREETS)
    before = edited.state()["offered"]
    edited.load({"scene": 2})
    assert edited.state()["offered"] == before


def test_classes_that_the_data_set_never_shows_are_marked_and_not_offered():
    state = EditedMap(CITYSCAPES, STREETS[0].label, scenes=STREETS).state()
    for name in ("train", "motorcycle"):
        assert CITYSCAPES.id(name) in state["unseen"] and CITYSCAPES.id(name) not in state["offered"]
    assert not set(state["unseen"]) & set(state["offered"])
    assert EditedMap(CITYSCAPES, STREETS[0].label).state()["unseen"] == []  # nothing is known of other data


def test_two_views_paint_beside_each_other():
    edited = EditedMap(CITYSCAPES, blank(CITYSCAPES, (32, 64)))
    known = edited.label
    one, two = known.clone(), known.clone()
    one[:4], two[-4:] = CAR, CAR
    before = {"before_scene": -1, "before_flipped": False}
    for label in (one, two):
        edited.paint({"scene": -1, "flipped": False} | before, [ids_to_bytes(label), ids_to_bytes(known)])
    assert (
        (edited.label[:4] == CAR).all()
        and (edited.label[-4:] == CAR).all()
        and (edited.label[4:-4] == known[4:-4]).all()
    )


def test_a_view_that_missed_another_scene_or_a_flip_is_refused():
    edited = EditedMap(CITYSCAPES, STREETS[0].label, STREETS[0].instance, scenes=STREETS, scene=0)
    old = ids_to_bytes(edited.label)
    for change in ({"scene": 1}, None):
        if change is None:
            edited.load({"scene": 0})
            edited.paint({"scene": 0, "flipped": True}, [ids_to_bytes(edited.label.flip(1))])
        else:
            edited.load(change)
        now = edited.label
        with pytest.raises(UserError, match="Another view"):
            edited.paint({"scene": 0, "before_scene": 0}, [bytes(2048), old])
        assert torch.equal(edited.label, now)


def test_a_flip_of_the_present_map_is_taken_whole():
    edited = EditedMap(CITYSCAPES, STREETS[0].label, scenes=STREETS, scene=0)
    flipped = edited.label.flip(1)
    request = {"scene": 0, "flipped": True, "before_scene": 0, "before_flipped": False}
    edited.paint(request, [ids_to_bytes(flipped), ids_to_bytes(edited.label)])
    assert torch.equal(edited.label, flipped) and edited.flipped


def test_an_opened_map_is_what_the_eraser_brings_back():
    edited = EditedMap(CITYSCAPES, STREETS[0].label, scenes=STREETS, scene=0)
    edited.open(STREETS[1].label)
    assert edited.scene == -1 and torch.equal(edited.start[0], STREETS[1].label) and edited.photo() is None


def test_the_scenes_own_picture_is_mirrored_with_it():
    edited = EditedMap(CITYSCAPES, STREETS[0].label, scenes=STREETS, scene=0)
    photo = edited.photo()
    edited.paint({"scene": 0, "flipped": True}, [ids_to_bytes(edited.label.flip(1))])
    assert torch.equal(edited.photo(), photo.flip(1)) and not torch.equal(edited.photo(), photo)
