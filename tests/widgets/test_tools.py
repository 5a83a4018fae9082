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
from spade_edu.pictures import to_uint8
from spade_edu.widgets import Explorer, Painter, PicturePair, Sampler, Study, StyleBoard
from spade_edu.widgets.explorer import COLUMNS, TILE, overview_of
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
        ({"do": "look", "look": -1}, [], "look"),
        ({"do": "look", "look": 4}, [], "from 0 to 3"),
        ({"do": "draws", "seed": "x" * 1000}, [], "seed"),
        ({"do": "thumbnail", "look": 9}, [], "look"),
        ({"do": "style"}, [b"12"], "no style encoder"),
        ({"do": "open"}, [b"12"], "expected a label map"),
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

    painter.core.generator.present().forward = fail
    assert "MemoryError: out of memory" in painter.core.answer({"do": "look", "look": 1}, [])


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
    painter.core.answer({"do": "draws", "seed": 7}, [])
    assert not torch.equal(painter.image, first)
    other = Painter(generator, CITYSCAPES, SCENE.label, code({"seed": 7}, 4), instance=SCENE.instance)
    for request in ({"do": "look", "look": 0}, {"do": "draws", "seed": 1}, {"do": "thumbnail", "look": 0}):
        assert "fixed" in other.core.answer(request, [])
    assert torch.equal(painter.image, other.image) and other.core.state()["looks"] == []


def test_a_generator_without_looks_paints_too():
    plain = SPADEGenerator(CITYSCAPES.num_channels, latent=(1, 2), ngf=2, hidden_channels=4)
    widget = Painter(plain, CITYSCAPES)
    assert widget.state["looks"] == []
    assert "fixed" in widget.core.answer({"do": "look", "look": 1}, [])
    assert plain.training  # as it was found


@pytest.fixture
def styled(generator):
    encoder = StyleEncoder(nef=2, z_dim=4, image_size=32)
    styles = {"day": torch.ones(1, 4), "night": -torch.ones(1, 4)}
    return Painter(generator, CITYSCAPES, SCENE.label, instance=SCENE.instance, styles=styles, encoder=encoder)


def png_of(image: torch.Tensor) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(to_uint8(image).numpy()).save(buffer, "PNG")
    return buffer.getvalue()


def test_named_styles_come_before_draws_and_each_look_is_its_code(styled, generator):
    assert [look["name"] for look in styled.state["looks"]] == ["day", "night", "seed 0", "seed 1", "seed 2", "seed 3"]
    assert styled.core.answer({"do": "look", "look": 1}, []) == ""
    fixed = Painter(generator, CITYSCAPES, SCENE.label, -torch.ones(4), instance=SCENE.instance)
    assert torch.equal(styled.image, fixed.image)


def test_thumbnails_follow_the_map_when_they_are_asked_for(styled):
    core = styled.core
    for look in range(6):
        core.answer({"do": "thumbnail", "look": look}, [])
    old = [look["png"] for look in core.state()["looks"]]
    assert all(look["fresh"] for look in core.state()["looks"]) and len(set(old)) == 6
    core.answer({"do": "paint", "scene": -1}, [with_car()])
    assert [look["fresh"] for look in core.state()["looks"]] == [True] + 5 * [False]  # the one that is shown
    core.answer({"do": "thumbnail", "look": 4}, [])
    assert core.state()["looks"][4]["fresh"] and core.state()["looks"][4]["png"] != old[4]
    assert core.chosen == 0


def test_a_pictures_style_becomes_a_look(styled):
    assert styled.core.answer({"do": "style", "name": "dusk"}, [png_of(STREETS[1].image)]) == ""
    core = styled.core
    assert core.looks[core.chosen].recipe["style"] == "dusk"
    with torch.no_grad():
        mu, _ = core.encoder.present()(STREETS[1].image[None])
    assert torch.allclose(torch.tensor(core.looks[core.chosen].recipe["z"]), mu[0], atol=1e-4)
    for _ in range(20):
        line = core.answer({"do": "style", "name": "again"}, [png_of(SCENE.image)])
    assert "full" in line and len(core.looks) == 16


def test_a_saved_picture_tells_how_it_was_made_and_comes_back(styled, generator, tmp_path):
    styled.core.answer({"do": "look", "look": 1}, [])
    (tmp_path / "night.png").write_bytes(styled.core.state()["image"])
    recipe = read_recipe(tmp_path / "night.png")
    assert recipe["style"] == "night" and recipe["network"] == "SPADEGenerator" and len(recipe["map"]) == 16
    again = Painter(generator, CITYSCAPES, SCENE.label, code(recipe, 4), instance=SCENE.instance)
    assert torch.equal(again.image, styled.image)


def test_a_saved_map_is_opened_again_at_any_size(painter):
    saved = painter.core.state()["saved"]
    painter.core.answer({"do": "load", "scene": 1}, [])
    assert painter.core.answer({"do": "open"}, [saved]) == ""
    assert torch.equal(painter.label, SCENE.label) and painter.core.map.scene == -1
    buffer = io.BytesIO()
    Image.open(io.BytesIO(saved)).resize((128, 64), Image.Resampling.NEAREST).save(buffer, "PNG")
    assert painter.core.answer({"do": "open"}, [buffer.getvalue()]) == "" and torch.equal(painter.label, SCENE.label)
    assert "class ids" in painter.core.answer({"do": "open"}, [png_of(SCENE.image)])


# ---- drawing beside a training --------------------------------------------------------------------------------------


def test_no_widget_changes_the_mode_or_a_statistic_of_a_network(generator):
    generator.train()
    encoder = StyleEncoder(nef=2, z_dim=4, image_size=32).train()
    modes = []
    for network in (generator, encoder):
        network.register_forward_pre_hook(lambda module, inputs: modes.append(module.training))
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    asked = [
        (Painter(generator, CITYSCAPES, encoder=encoder), {"do": "look", "look": 1}),
        (Sampler(generator, SCENE.label, CITYSCAPES), {"do": "fresh", "seed": 1}),
        (StyleBoard(generator, encoder, SCENE.label, CITYSCAPES, [SCENE.image]), {"do": "look", "seed": 1}),
        (Explorer(generator, SCENE.label, CITYSCAPES), {"do": "choose", "layer": 0, "channel": 1}),
    ]
    assert all(widget.core.answer(request, []) == "" for widget, request in asked)
    assert modes and not any(modes)  # all passes went through copies in evaluation mode
    assert all(module.training for network in (generator, encoder) for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())


def one_value(generator):
    next(generator.parameters()).view(-1)[0] += 1


def all_without_a_trace(generator):
    for weight in generator.parameters():
        weight.data.mul_(1.5)  # which isn't counted in the tensor's version


def other_tensors(generator):
    generator.load_state_dict({k: v * 1.5 for k, v in generator.state_dict().items()}, assign=True)


def a_fused_step(generator):
    for weight in generator.parameters():
        weight.grad = torch.ones_like(weight)
    torch.optim.Adam(generator.parameters(), lr=0.1, fused=True).step()  # which isn't counted either
    generator.zero_grad()


@pytest.mark.parametrize("change", [one_value, all_without_a_trace, other_tensors, a_fused_step])
def test_a_widget_follows_the_weights_of_its_network(painter, generator, change):
    copy = painter.core.generator.present()
    assert painter.core.generator.present() is copy  # made anew only where something has changed
    with torch.no_grad():
        change(generator)
    now = painter.core.generator.present()
    assert now is not copy
    assert all(torch.equal(value, now.state_dict()[name]) for name, value in generator.state_dict().items())
    old = painter.image
    painter.core.draw()
    assert not torch.equal(painter.image, old)


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
        mu, _ = core.encoder.present()(SCENE.image[None])
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


def test_a_card_is_removed_and_a_result_carries_its_code(board, generator):
    board.core.answer({"do": "strength", "card": 1, "strength": 0.5}, [])
    kept = board.core.state()["cards"][1]["result"]
    recipe = json.loads(Image.open(io.BytesIO(kept)).text["spade_edu recipe"])
    assert recipe["style"] == "reference 2, strength 0.5"
    again = Painter(generator, CITYSCAPES, SCENE.label, code(recipe, 4))
    assert (again.image.int() - board.core.results[1].int()).abs().max() <= 1
    assert board.core.answer({"do": "remove", "card": 0}, []) == ""
    assert [card["name"] for card in board.core.state()["cards"]] == ["reference 2"]
    assert board.core.state()["cards"][0]["result"] == kept
    assert "card" in board.core.answer({"do": "remove", "card": 1}, [])


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


def test_the_overview_shows_each_channel_in_its_place(generator):
    core = Explorer(generator, SCENE.label, CITYSCAPES).core
    overview = overview_of(core.gammas)
    assert overview.shape[0] == -(-core.channels() // COLUMNS) * TILE[0] and overview.shape[1] == COLUMNS * TILE[1]
    last = core.channels() - 1
    top, left = last // COLUMNS * TILE[0], last % COLUMNS * TILE[1]
    shown = overview[top : top + TILE[0], left : left + TILE[1]]
    assert torch.equal(shown, overview_of(core.gammas[last:])[: TILE[0], : TILE[1]])
    assert len(shown.reshape(-1, 3).unique(dim=0)) > 3  # a map, in place


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


def test_each_person_has_a_name_of_their_own_and_another_order_and_sides(tmp_path):
    core = Study(make_pairs(12), tmp_path / "choices.jsonl", seed=1).core
    seen = []
    for name in ("p1", "p2"):
        assert core.answer({"do": "begin", "participant": name}, []) == ""
        seen.append(([pair.mask for pair in core.pairs], [systems[0] for systems in core.systems]))
        assert core.answer({"do": "choose", "pair": 0, "side": "left", "seconds": 1}, []) == ""
        for used in ("p1", name):
            assert "answered already" in core.answer({"do": "begin", "participant": used}, [])
        assert core.at == 1 and core.participant == name
    assert seen[0][0] != seen[1][0] and seen[0][1] != seen[1][1]


def test_a_pair_has_two_systems():
    with pytest.raises(UserError, match="two systems"):
        PicturePair("m", {"A": torch.zeros(3, 4, 6)}, torch.zeros(4, 6, 3).byte())
    with pytest.raises(UserError, match="at least one pair"):
        Study([], "choices.jsonl")


def test_ipywidgets_7_shows_the_still_picture_too(painter, monkeypatch):
    """Colab's version draws itself where a class lets it, and then leaves out what isn't a widget."""

    monkeypatch.setattr(anywidget.AnyWidget, "_ipython_display_", lambda self: None, raising=False)
    shown, _ = InteractiveShell.instance().display_formatter.format(painter)
    assert {"image/png", "application/vnd.jupyter.widget-view+json"} <= shown.keys()
