"""Messages that a page may send, at random: an answer, a line or nothing, and a state that can go on being used."""

import base64
import contextlib
import http.client
import json
import threading

import pytest
import torch
from fuzzing import as_installed, search  # noqa: F401
from hypothesis import given
from hypothesis import strategies as st
from test_fuzz_files import JSON

from spade_edu import CITYSCAPES, SPADEGenerator, StyleEncoder
from spade_edu.data import Streets
from spade_edu.pictures import png_bytes
from spade_edu.widgets import Explorer, Painter, PicturePair, Sampler, Study, StyleBoard
from spade_edu.widgets.maps import ids_picture
from spade_edu.widgets.page import PageServer

SCENES = Streets(3, split="val", height=32, width=64)
NUMBERS = st.sampled_from(
    [0, 1, 2, -1, 3, 11, 12, 100, 2**31 - 1, 2**31, 2**64, 0.5, 1.5, -0.1, float("nan"), True, None, "1"]
)  # fmt: skip
NAMES = ("scene", "flipped", "seed", "tile", "first", "second", "at", "layer", "channel", "card", "strength", "side",
         "seconds", "pair", "participant", "name", "id", "look", "before_scene", "before_flipped")  # fmt: skip
SIDES = st.sampled_from(["left", "right", "up", 1])
BUFFERS = [
    bytes(2048), b"\x07" * 2048, b"\xff" * 2048, b"", b"x", bytes(4096),
    png_bytes(ids_picture(SCENES[0].label, CITYSCAPES)), png_bytes(ids_picture(SCENES[0].label, CITYSCAPES))[:60],
]  # fmt: skip


def make(kind: str, folder):
    torch.manual_seed(0)
    generator = SPADEGenerator(CITYSCAPES.num_channels, latent=(1, 2), ngf=2, z_dim=4, hidden_channels=4).eval()
    scene = SCENES[0]
    match kind:
        case "painter":
            encoder = StyleEncoder(nef=2, z_dim=4, image_size=32)
            kinds = dict(scenes=SCENES, encoder=encoder, styles={"day": torch.ones(1, 4)})
            return Painter(generator, CITYSCAPES, scene.label, instance=scene.instance, **kinds)
        case "sampler":
            return Sampler(generator, scene.label, CITYSCAPES, scene.instance)
        case "style board":
            encoder = StyleEncoder(nef=2, z_dim=4, image_size=32)
            return StyleBoard(generator, encoder, scene.label, CITYSCAPES, [scene.image])
        case "explorer":
            return Explorer(generator, scene.label, CITYSCAPES, scenes=SCENES)
    pairs = [
        PicturePair(str(i), {"A": scene.image, "B": -scene.image}, CITYSCAPES.colourise(scene.label)) for i in range(3)
    ]
    return Study(pairs, folder / "choices.jsonl", seed=0)


KINDS = ("painter", "sampler", "style board", "explorer", "study")


def request(draw, actions):
    """A message: mostly one that means something, with values of which some can't be."""
    if not draw(st.integers(0, 5)):
        return draw(JSON)
    message = {"do": draw(st.sampled_from([*actions, *actions, "ping", "state", "__init__", "draw", None, ["paint"]]))}
    for name in NAMES:
        if draw(st.booleans()):
            message[name] = draw(SIDES if name == "side" else NUMBERS | NUMBERS | JSON)
    return message


def valid(widget) -> None:
    """The state may go to a browser, and the widget still does its work."""
    state = widget.core.state()
    json.dumps(state, default=lambda content: base64.b64encode(content).decode(), ensure_ascii=False).encode()
    widget.still()
    core = widget.core
    if hasattr(core, "map"):
        CITYSCAPES.check(core.map.label)
        assert tuple(core.map.label.shape) == (32, 64) and -1 <= core.map.scene < 3
        assert core.answer({"do": "paint", "scene": core.map.scene}, [bytes(2048)]) == ""
    if hasattr(core, "layer"):
        assert 0 <= core.channel < core.channels()
    if hasattr(core, "cards"):
        assert all(0 <= card["strength"] <= 1 for card in core.cards) and len(core.cards) <= 12
    if hasattr(core, "kept"):
        assert len(core.kept) <= 24 and len(core.tiles) == 12
    if hasattr(core, "pairs"):
        assert 0 <= core.at <= 3 and len(core.participant) <= 40


@pytest.mark.parametrize("kind", KINDS)
@search(10)
@given(data=st.data())
def test_any_messages_are_answered_and_leave_a_state_that_works(kind, tmp_path, data):
    widget = make(kind, tmp_path)
    sent = []
    widget.send = sent.append
    for _ in range(data.draw(st.integers(1, 8))):
        sent.clear()
        message = request(data.draw, widget.core.actions)
        widget._receive(widget, message, data.draw(st.lists(st.sampled_from(BUFFERS), max_size=2)))
        errors = [answer["error"] for answer in sent if "error" in answer]
        assert all(len(error.splitlines()) <= 1 and len(error) < 400 for error in errors), (message, errors)
        assert not any(error.startswith("Python could not") for error in errors), (message, errors)
    valid(widget)


def test_near_ones_of_near_ones_come_to_an_end(tmp_path):
    sampler = make("sampler", tmp_path)
    answers = [sampler.core.answer({"do": "around", "tile": 1}, []) for _ in range(40)]
    assert answers[0] == "" and "near" in answers[-1]
    valid(sampler)


def test_half_a_choice_changes_nothing(tmp_path):
    core = make("explorer", tmp_path).core
    before = core.layer, core.channel
    assert "channel" in core.answer({"do": "choose", "layer": 0 if core.layer else 1, "channel": "x"}, [])
    assert (core.layer, core.channel) == before


def test_a_map_with_a_strange_id_is_refused(tmp_path):
    core = make("painter", tmp_path).core
    assert "255" in core.answer({"do": "paint", "scene": -1}, [b"\xff" * 2048])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with PageServer(make("painter", tmp_path_factory.mktemp("study")).core) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


HEADERS = {
    "Content-Type": ["application/json", "text/plain", "application/json; charset=nowhere", ";;", ""],
    "Content-Length": ["0", "5", "-1", "x", "9" * 5000, "²", "1e3", "33554433"],
    "Origin": ["null", "http://evil.example", ""],
    "Host": ["evil.example", "", "[::1"],
    "Transfer-Encoding": ["chunked"],
}


@search(60)
@given(data=st.data())
def test_the_page_answers_whatever_is_asked(server, data, capfd):
    draw, port = data.draw, server.server_address[1]
    body = draw(st.binary(max_size=40) | st.builds(lambda value: json.dumps(value).encode(), JSON))
    if draw(st.booleans()):
        buffers = [base64.b64encode(b).decode() for b in draw(st.lists(st.sampled_from(BUFFERS), max_size=2))]
        body = json.dumps({"request": request(draw, server.core.actions), "buffers": buffers}).encode()
    headers = {"Host": f"127.0.0.1:{port}", "Content-Type": "application/json", "Content-Length": str(len(body))}
    if draw(st.booleans()):
        name = draw(st.sampled_from(list(HEADERS)))
        headers[name] = draw(st.sampled_from(HEADERS[name]))
    method = draw(st.sampled_from(["POST", "POST", "GET", "PUT", "HEAD"]))
    path = draw(st.sampled_from(["ask", "ask", "state", "", "../host.py", "x" * 2000]))
    path = draw(st.sampled_from([server.path, server.path, server.path, "/"])) + path
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, text in headers.items():
        connection.putheader(name, text.encode("latin-1", "replace"))
    with contextlib.suppress(OSError):  # it hangs up on what it refuses
        connection.endheaders()
        connection.sock.sendall(body)
        connection.sock.shutdown(1)  # no more comes: a length that was too large is no reason to wait
        assert connection.getresponse().status in (200, 400, 403, 404, 413, 501)
    connection.close()
    assert "Traceback" not in capfd.readouterr().err
    CITYSCAPES.check(server.core.map.label)


def test_after_all_that_the_page_is_still_served(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=20)
    connection.request("GET", server.path + "state")
    assert connection.getresponse().status == 200
