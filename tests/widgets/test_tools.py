import base64
import io
import json

import anywidget
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from PIL import Image

from spade_edu import CITYSCAPES, Pix2PixHDGenerator, SPADEGenerator, StyleEncoder, UserError
from spade_edu.data import Streets
from spade_edu.evaluation.user_study import load_choices
from spade_edu.fast.speed_up import speed_up
from spade_edu.normalization import SPADE
from spade_edu.widgets import Explorer, Painter, PicturePair, Sampler, Study, StyleBoard
from spade_edu.widgets.looks import code, read_recipe
from spade_edu.widgets.maps import ids_to_bytes

STREETS = Streets(4, split="val", height=32, width=64)
SCENE = STREETS[0]
CAR = CITYSCAPES.id("car")


@pytest.fixture
def generator():
    return SPADEGenerator(CITYSCAPES.num_channels, latent=(1, 2), ngf=2, z_dim=4, hidden_channels=4).eval()


@pytest.fixture
def painter(generator):
    return Painter(generator, CITYSCAPES, SCENE.label, instance=SCENE.instance, scenes=STREETS)


def with_car() -> bytes:
    label = SCENE.label.clone()
    label[20:28, 20:40] = CAR
    return ids_to_bytes(label)


def size_of(png: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(png)).size


# ---- what all have in common ------------------------------------------------------------------------------------


def test_a_request_is_heard_then_done_then_answered(painter, monkeypatch):
    sent, states = [], []
    monkeypatch.setattr(painter, "send", lambda content: sent.append((content, len(states))))
    painter.observe(lambda change: states.append(change.new), "state")
    painter._receive(painter, {"id": "a-1", "do": "paint", "scene": -1}, [with_car()])
    assert sent == [({"heard": "a-1"}, 0), ({"answer": "a-1", "error": ""}, 1)]
    assert states[0]["map"]["ids"] == with_car()


def test_a_ping_is_heard_and_nothing_else(painter, monkeypatch):
    sent = []
    monkeypatch.setattr(painter, "send", sent.append)
    painter._receive(painter, {"id": "a-2", "do": "ping"}, [])
    assert sent == [{"heard": "a-2"}]


@pytest.mark.parametrize(
    ("request_", "buffers", "said"),
    [
        ({"do": "paint", "scene": -1}, [b"12"], "has 2 bytes"),
        ({"do": "paint", "scene": -1}, [b"\xfe" * 2048], "254"),
        ({"do": "paint"}, [bytes(2048)], "scene"),
        ({"do": "load", "scene": 4}, [], "from 0 to 3"),
        ({"do": "load", "scene": True}, [], "whole number"),
        ({"do": "look", "seed": -1}, [], "seed"),
        ({"do": "look", "seed": "x" * 1000}, [], "seed"),
        ({"do": "state"}, [], "no action 'state'"),
        ({}, [], "no action None"),
    ],
)
def test_bad_requests_get_one_short_line_and_change_nothing(painter, request_, buffers, said):
    before = painter.core.state()
    line = painter.core.answer(request_, buffers)
    assert said in line and "\n" not in line and len(line) < 300
    assert painter.core.state() == before


def test_a_failing_generator_is_told_in_the_widget(painter):
    def fail(*_):
        raise MemoryError("out of memory")

    painter.core.generator.forward = fail
    assert "MemoryError: out of memory" in painter.core.answer({"do": "look", "seed": 1}, [])


def make_all(generator) -> list:
    encoder = StyleEncoder(nef=2, z_dim=4, image_size=32)
    label, instance = SCENE.label, SCENE.instance
    return [
        Painter(generator, CITYSCAPES),
        Sampler(generator, label, CITYSCAPES, instance),
        StyleBoard(generator, encoder, label, CITYSCAPES, [SCENE.image, STREETS[1].image]),
        Explorer(generator, label, CITYSCAPES),
        Study([PicturePair("m", {"A": SCENE.image, "B": -SCENE.image}, CITYSCAPES.colourise(label))], "choices.jsonl"),
    ]


def test_each_shows_a_still_picture_beside_its_view(generator):
    for widget in make_all(generator):
        data, _ = widget._repr_mimebundle_()
        assert "application/vnd.jupyter.widget-view+json" in data
        assert size_of(base64.b64decode(data["image/png"])) == widget.still().size
        assert data["text/plain"].startswith(type(widget).__name__ + "(") and "0x" not in data["text/plain"]


def test_a_page_without_widgets_shows_the_picture(generator):
    nbformat, nbconvert = pytest.importorskip("nbformat"), pytest.importorskip("nbconvert")
    data, _ = Painter(generator, CITYSCAPES)._repr_mimebundle_()
    output = nbformat.v4.new_output("execute_result", data, execution_count=1)
    cell = nbformat.v4.new_code_cell("painter", outputs=[output], execution_count=1)
    html, _ = nbconvert.HTMLExporter().from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    assert data["image/png"] in html.replace("\n", "")


def test_each_state_can_travel(generator):
    for widget in make_all(generator):
        json.dumps(widget.core.state(), default=lambda content: len(content))


# ---- painter ------------------------------------------------------------------------------------------------------


def test_a_stroke_changes_counts_and_picture(painter):
    before, image = painter.counts().get("car", 0), painter.image
    assert painter.core.answer({"do": "paint", "scene": -1}, [memoryview(with_car())]) == ""
    assert painter.counts()["car"] > before
    assert not torch.equal(painter.image, image)
    assert painter.core.answer({"do": "paint", "scene": -1}, [ids_to_bytes(SCENE.label)]) == ""
    assert torch.equal(painter.image, image)


def test_a_look_follows_from_its_seed(painter, generator):
    first = painter.image
    painter.core.answer({"do": "look", "seed": 7}, [])
    assert not torch.equal(painter.image, first)
    other = Painter(generator, CITYSCAPES, SCENE.label, code({"seed": 7}, 4), instance=SCENE.instance)
    assert "fixed" in other.core.answer({"do": "look", "seed": 1}, [])
    assert torch.equal(painter.image, other.image)


def test_a_generator_without_looks_paints_too():
    plain = SPADEGenerator(CITYSCAPES.num_channels, latent=(1, 2), ngf=2, hidden_channels=4)
    widget = Painter(plain, CITYSCAPES)
    assert widget.state["seed"] is None
    assert "fixed" in widget.core.answer({"do": "look", "seed": 1}, [])
    assert plain.training  # as it was found


def test_a_generator_of_any_size_needs_a_map():
    pix2pixhd = Pix2PixHDGenerator(CITYSCAPES.num_channels, ngf=2, num_downsampling=2, num_blocks=1)
    with pytest.raises(UserError, match="label="):
        Painter(pix2pixhd, CITYSCAPES)
    assert Painter(pix2pixhd, CITYSCAPES, SCENE.label).image.shape == (32, 64, 3)


def test_save_writes_what_the_download_link_gives(painter, tmp_path):
    painter.save(tmp_path / "maps" / "map.png")
    saved = Image.open(tmp_path / "maps" / "map.png")
    assert saved.tobytes() == ids_to_bytes(SCENE.label)
    assert Image.open(io.BytesIO(painter.state["saved"])).tobytes() == ids_to_bytes(SCENE.label)


# ---- sampler ------------------------------------------------------------------------------------------------------


@pytest.fixture
def sampler(generator):
    return Sampler(generator, SCENE.label, CITYSCAPES, SCENE.instance)


def test_keeping_and_letting_go(sampler):
    for tile in (3, 5, 3):
        assert sampler.core.answer({"do": "keep", "tile": tile}, []) == ""
    assert sampler.kept == [{"seed": 5}]
    assert torch.equal(sampler.codes(), code({"seed": 5}, 4)[None])
    assert [tile["kept"] for tile in sampler.core.state()["tiles"]].index(True) == 5


def test_more_like_this_takes_smaller_steps_each_time(sampler):
    for step in (0.5, 0.25, 0.125):
        sampler.core.answer({"do": "around", "tile": 1}, [])
        assert sampler.core.tiles[1][0]["step"] == step
    sampler.core.answer({"do": "fresh", "seed": 40}, [])
    assert [recipe for recipe, _ in sampler.core.tiles][:2] == [{"seed": 40}, {"seed": 41}]


def test_walking_between_two_kept_looks(sampler):
    for tile in (0, 1):
        sampler.core.answer({"do": "keep", "tile": tile}, [])
    for at, tile in ((0.0, 0), (1.0, 1)):
        assert sampler.core.answer({"do": "blend", "first": 0, "second": 1, "at": at}, []) == ""
        difference = sampler.core.blended[1].int() - sampler.core.tiles[tile][1].int()
        assert difference.abs().max() <= 1
    assert "from 0 to 1" in sampler.core.answer({"do": "blend", "first": 0, "second": 2, "at": 0.5}, [])
    assert "at:" in sampler.core.answer({"do": "blend", "first": 0, "second": 1, "at": 2}, [])


def test_a_saved_look_can_be_made_again(sampler, generator, tmp_path):
    with pytest.raises(UserError, match="Nothing is kept"):
        sampler.save(tmp_path / "look.png")
    sampler.core.answer({"do": "around", "tile": 2}, [])
    sampler.core.answer({"do": "keep", "tile": 4}, [])
    sampler.save(tmp_path / "look.png")
    again = sampler.core.pictures([read_recipe(tmp_path / "look.png")])[0][1]
    found = torch.tensor(list(Image.open(tmp_path / "look.png").tobytes())).reshape(32, 64, 3)
    assert (found - again.int()).abs().max() <= 1


def test_a_generator_without_looks_is_refused():
    plain = SPADEGenerator(CITYSCAPES.num_channels, latent=(1, 2), ngf=2, hidden_channels=4)
    with pytest.raises(UserError, match="no style code"):
        Sampler(plain, SCENE.label, CITYSCAPES)


# ---- style board --------------------------------------------------------------------------------------------------


@pytest.fixture
def board(generator):
    encoder = StyleEncoder(nef=2, z_dim=4, image_size=32)
    return StyleBoard(generator, encoder, SCENE.label, CITYSCAPES, [SCENE.image, STREETS[1].image])


def test_strength_goes_from_the_base_look_to_the_reference(board):
    core = board.core
    assert core.answer({"do": "strength", "card": 1, "strength": 0}, []) == ""
    assert (core.results[1].int() - core.base.int()).abs().max() <= 1
    assert core.cards[0]["strength"] == 1.0
    with torch.no_grad():
        mu, _ = core.encoder(SCENE.image[None])
    assert torch.allclose(core.cards[0]["mu"], mu[0])


def test_uploads(board):
    buffer = io.BytesIO()
    Image.new("RGBA", (200, 50), "red").save(buffer, "PNG")
    assert board.core.answer({"do": "upload", "name": "red.png"}, [memoryview(buffer.getvalue())]) == ""
    assert board.core.cards[-1]["name"] == "red.png"
    assert board.core.cards[-1]["reference"][0, 0].tolist() == [255, 0, 0]
    for buffers, said in (([b"no picture"], "expected a picture"), ([], "one picture"), ([bytes(21 * 2**20)], "20 MB")):
        assert said in board.core.answer({"do": "upload", "name": "x"}, buffers)
    assert len(board.core.cards) == 3


def test_a_full_board_says_so(board):
    for _ in range(10):
        board.core.add("again", SCENE.image)
    with pytest.raises(UserError, match="full"):
        board.core.add("one too many", SCENE.image)


def test_encoder_and_generator_must_speak_of_the_same_code(generator):
    with pytest.raises(UserError, match="codes of 8 numbers"):
        StyleBoard(generator, StyleEncoder(nef=2, z_dim=8, image_size=32), SCENE.label, CITYSCAPES, [])


# ---- explorer -----------------------------------------------------------------------------------------------------


def test_gamma_and_beta_are_those_of_the_forward_pass(generator):
    core = Explorer(generator, SCENE.label, CITYSCAPES, instance=SCENE.instance).core
    layers = [module for module in generator.modules() if isinstance(module, SPADE)]
    core.answer({"do": "paint", "scene": -1}, [with_car()])
    for number in (0, len(layers) - 1):
        assert core.answer({"do": "choose", "layer": number, "channel": 1}, []) == ""
        gamma, beta = forward_outputs(generator, core.segmap(), layers[number])
        assert torch.allclose(core.gamma, gamma[0, 1], atol=1e-6)
        assert torch.allclose(core.beta, beta[0, 1], atol=1e-6)
        assert tuple(core.gamma.shape) == core.sizes[number]


def test_layers_of_fast_blocks_have_the_same_sizes(generator):
    plain = Explorer(generator, SCENE.label, CITYSCAPES).core.sizes
    assert Explorer(speed_up(generator), SCENE.label, CITYSCAPES).core.sizes == plain
    assert plain[0] == (1, 2) and plain[-1] == (32, 64)


def forward_outputs(generator, segmap, layer) -> list[torch.Tensor]:
    """What the two output convolutions of a SPADE layer give in a forward pass of the generator."""
    seen = []
    hooks = [
        conv.register_forward_hook(lambda module, inputs, out: seen.append(out))
        for conv in (layer.mlp_gamma, layer.mlp_beta)
    ]
    with torch.no_grad():
        generator(segmap)
    for hook in hooks:
        hook.remove()
    return seen


def test_a_layer_with_fewer_channels_shows_its_last(generator):
    core = Explorer(generator, SCENE.label, CITYSCAPES).core
    core.answer({"do": "choose", "layer": 0, "channel": 31}, [])
    assert core.channel == 31
    core.answer({"do": "choose", "layer": len(core.names) - 1, "channel": 31}, [])
    assert core.channel == core.channels() - 1 < 31


def test_a_generator_without_spade_is_refused():
    pix2pixhd = Pix2PixHDGenerator(CITYSCAPES.num_channels, ngf=2, num_downsampling=2, num_blocks=1)
    with pytest.raises(UserError, match="no SPADE layer"):
        Explorer(pix2pixhd, SCENE.label, CITYSCAPES)


# ---- study --------------------------------------------------------------------------------------------------------


def make_pairs(count: int = 6) -> list[PicturePair]:
    """SPADE's pictures are white, the other system's black."""
    white = torch.ones(3, 4, 6)
    return [PicturePair(f"m{i}", {"SPADE": white, "CRN": -white}, torch.zeros(4, 6, 3).byte()) for i in range(count)]


def test_answers_are_written_with_the_systems_that_were_shown(tmp_path):
    core = Study(make_pairs(), tmp_path / "choices.jsonl", seed=1).core
    assert "nobody has begun" in core.answer({"do": "choose", "pair": 0, "side": "left", "seconds": 1}, [])
    assert core.answer({"do": "begin", "participant": " p7 "}, []) == ""
    for number in range(6):
        white_left = int(core.shown()["left"].float().mean()) == 255
        request = {"do": "choose", "pair": number, "side": "left" if white_left else "right", "seconds": 1.5}
        assert core.answer(request, []) == ""
        assert "answered already" in core.answer(request, [])
    choices = load_choices(tmp_path / "choices.jsonl")
    assert {choice.winner for choice in choices} == {"SPADE"}
    assert {choice.chosen for choice in choices} == {"left", "right"}  # sides are mixed
    assert sorted(choice.mask for choice in choices) == [f"m{i}" for i in range(6)]
    assert [choice.mask for choice in choices] != sorted(choice.mask for choice in choices)  # so is the order
    assert {choice.participant for choice in choices} == {"p7"}


def test_no_name_goes_to_the_browser(tmp_path):
    core = Study(make_pairs(), tmp_path / "choices.jsonl").core
    core.answer({"do": "begin", "participant": "p7"}, [])
    text = json.dumps(core.state(), default=lambda content: content.decode("latin-1"))
    assert "SPADE" not in text and "CRN" not in text


BAD = [{"side": "middle"}, {"seconds": -1}, {"seconds": "1"}, {"seconds": float("nan")}, {"pair": 1}, {"pair": None}]


@pytest.mark.parametrize("bad", BAD)
def test_bad_answers_are_not_written(tmp_path, bad):
    core = Study(make_pairs(), tmp_path / "choices.jsonl").core
    core.answer({"do": "begin", "participant": "p7"}, [])
    assert core.answer({"do": "choose", "pair": 0, "side": "left", "seconds": 1} | bad, [])
    assert core.at == 0 and not (tmp_path / "choices.jsonl").exists()


def test_an_answer_that_cannot_be_written_is_asked_again(tmp_path):
    (tmp_path / "file").write_text("")
    core = Study(make_pairs(), tmp_path / "file" / "choices.jsonl").core
    core.answer({"do": "begin", "participant": "p7"}, [])
    assert "Error" in core.answer({"do": "choose", "pair": 0, "side": "left", "seconds": 1}, [])
    assert core.at == 0


def test_a_pair_has_two_systems():
    with pytest.raises(UserError, match="two systems"):
        PicturePair("m", {"A": torch.zeros(3, 4, 6)}, torch.zeros(4, 6, 3).byte())
    with pytest.raises(UserError, match="at least one pair"):
        Study([], "choices.jsonl")


def test_ipywidgets_7_shows_the_still_picture_too(painter, monkeypatch):
    """Colab's version draws itself where a class lets it, and then leaves out what isn't a widget."""

    def draw_itself(self, **_):
        raise AssertionError("without the still picture")

    monkeypatch.setattr(anywidget.AnyWidget, "_ipython_display_", draw_itself, raising=False)
    shown, _ = InteractiveShell.instance().display_formatter.format(painter)
    assert {"image/png", "application/vnd.jupyter.widget-view+json"} <= shown.keys()
