import base64
import http.client
import json
import os
import socket
import sys
import threading
from pathlib import Path

import pytest
import trees

from spade_edu import CITYSCAPES, SPADEGenerator, UserError
from spade_edu.cli import paint as cli_paint
from spade_edu.cli.paint import prepare, served
from spade_edu.data import Streets, open_dataset
from spade_edu.widgets import page
from spade_edu.widgets.maps import EditedMap, blank, ids_picture, ids_to_bytes
from spade_edu.widgets.page import MOST_BYTES, PageServer, kept_token
from spade_edu.widgets.painter import Painting

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server():
    generator = SPADEGenerator(CITYSCAPES.num_channels, latent=(1, 2), ngf=2, z_dim=4, hidden_channels=4)
    with PageServer(Painting(generator, EditedMap(CITYSCAPES, blank(CITYSCAPES, (32, 64))))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def ask(server, method: str, name: str, body: str | None = None, headers: dict | None = None) -> tuple[int, str]:
    """Status and text of the answer to a request below the server's secret path."""
    return ask_path(server, method, server.path + name, body, headers)


def ask_path(server, method, path, body=None, headers=None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=30)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


def stroke(ids: bytes) -> str:
    request = {"do": "paint", "scene": -1, "flipped": False}
    return json.dumps({"request": request, "buffers": [base64.b64encode(ids).decode()]})


def test_the_page_and_its_files(server):
    files = {"": "page.js", "page.js": "widget.js", "widget.js": "export default", "widgets.css": "--se"}
    for path, word in files.items():
        status, text = ask(server, "GET", path)
        assert status == 200 and word in text
    assert ask(server, "GET", "../host.py")[0] == 404


def test_a_stroke_changes_the_state(server):
    car = CITYSCAPES.id("car")
    status, text = ask(server, "POST", "ask", stroke(bytes([car]) * 2048), JSON)
    answer = json.loads(text)
    assert status == 200 and answer["error"] == ""
    assert base64.b64decode(answer["state"]["map"]["ids"]["base64"]) == bytes([car]) * 2048
    assert json.loads(ask(server, "GET", "state")[1]) == answer["state"]


def test_a_bad_map_is_told_in_the_answer(server):
    before = ask(server, "GET", "state")
    for ids, said in ((b"\xff" * 2048, "255"), (b"12", "2 bytes")):
        status, text = ask(server, "POST", "ask", stroke(ids), JSON)
        assert status == 200 and said in json.loads(text)["error"]
    assert ask(server, "GET", "state") == before


@pytest.mark.parametrize(
    "body",
    [
        "", "no json", "[]", "{}", '{"request": 1, "buffers": []}', '{"request": {}, "buffers": ["?"]}',
        '{"request": {}, "buffers": 3}', "[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused(server, body):
    assert ask(server, "POST", "ask", body, JSON)[0] == 400


@pytest.fixture
def idle(server, monkeypatch):
    """The server, whose core must not be asked for anything."""
    for name in ("ask", "state"):
        monkeypatch.setattr(server, name, lambda *_: pytest.fail("it went to work"))
    return server


@pytest.mark.parametrize("path", ["/", "/state", "/x/state", "/ask", "", "//", "/page.js"])
def test_who_does_not_know_the_address_gets_nothing(idle, path):
    """As another user of the computer."""
    assert ask_path(idle, "GET", path)[0] == ask_path(idle, "POST", path, stroke(bytes(2048)), JSON)[0] == 403
    assert ask_path(idle, "GET", idle.path[:-2] + "/state")[0] == 403


def test_the_address_is_random_and_long(server):
    assert len(server.path) > 20 and server.address.endswith(f"{server.server_address[1]}{server.path}")
    with PageServer(server.core) as other:
        assert other.path != server.path


def test_another_page_can_neither_post_nor_read(idle):
    port = idle.server_address[1]
    body = stroke(bytes(2048))
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}"):
        assert ask(idle, "POST", "ask", body, JSON | {"Origin": origin})[0] == 403
    for host in (
        "evil.example",
        f"evil.example:{port}",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "[::1",
        "",
    ):
        assert ask(idle, "GET", "state", headers={"Host": host})[0] == 403
    for site in ("cross-site", "same-site"):
        assert ask(idle, "GET", "state", headers={"Sec-Fetch-Site": site})[0] == 403
        assert ask(idle, "POST", "ask", body, JSON | {"Sec-Fetch-Site": site})[0] == 403
        assert ask(idle, "GET", "", headers={"Sec-Fetch-Site": site})[0] == 200  # a link to it, say in JupyterLab
    # A form of another page needs no permission to send text: so it isn't taken.
    assert ask(idle, "POST", "ask", body, {"Content-Type": "text/plain"})[0] == 400


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.1:9000", "localhost:9000"])
def test_port_80_and_another_one_through_ssh_are_served(server, host):
    headers = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    assert ask(server, "POST", "ask", stroke(bytes(2048)), JSON | headers)[0] == 200
    assert ask(server, "GET", "state", headers=headers)[0] == 200


def test_no_other_page_may_frame_it_or_learn_its_address(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=30)
    connection.request("GET", server.path)
    headers = connection.getresponse().headers
    connection.close()
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"


def test_a_scene_whose_files_vanish_is_told_and_leaves_the_map_as_it_was(tmp_path, capfd):
    trees.camvid_small(tmp_path, "val", 2)
    scenes, _ = open_dataset("camvid", tmp_path, "val", height=32, width=64)
    generator = SPADEGenerator(scenes.labels.num_channels, latent=(1, 2), ngf=2, z_dim=4, hidden_channels=4)
    edited = EditedMap(scenes.labels, scenes[0].label, scenes=scenes)
    with PageServer(Painting(generator, edited)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        load = [json.dumps({"request": {"do": "load", "scene": i}, "buffers": []}) for i in (0, 1)]
        assert json.loads(ask(server, "POST", "ask", load[0], JSON)[1])["error"] == ""
        before = ask(server, "GET", "state")
        for path in (tmp_path / "val").rglob("*.*"):
            path.unlink()
        status, text = ask(server, "POST", "ask", load[1], JSON)
        assert status == 200 and "is missing" in json.loads(text)["error"]
        onto = json.dumps({"request": {"do": "paint", "scene": 1}, "buffers": [base64.b64encode(bytes(2048)).decode()]})
        assert "is missing" in json.loads(ask(server, "POST", "ask", onto, JSON)[1])["error"]
        assert ask(server, "GET", "state") == before and before[0] == 200
        server.shutdown()
    assert "Traceback" not in capfd.readouterr().err


def test_windows_gives_the_port_to_one_program(server, monkeypatch):
    """There, an option of this name has to be set; another one stands for it here."""
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_KEEPALIVE, raising=False)
    with PageServer(server.core) as other:
        assert other.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert PageServer.allow_reuse_address == (sys.platform != "win32")


def test_huge_requests_are_not_read(server):
    assert ask(server, "POST", "ask", "{}", JSON | {"Content-Length": str(MOST_BYTES + 1)})[0] == 413
    assert ask(server, "POST", "ask", "{}", JSON | {"Content-Length": "-1"})[0] == 413


def test_a_taken_port_is_one_line(server):
    with pytest.raises(UserError, match="--port"):
        PageServer(server.core, server.server_address[1])


def test_the_command_serves_the_stored_network():
    with served(prepare(), 0) as server:
        state = server.state()
    assert state["map"]["size"] == [64, 128] and state["map"]["scenes"] == 200


def test_the_tokens_file_is_its_owners_and_is_used_again(tmp_path):
    file = tmp_path / "cache" / "token"
    first = kept_token(file)
    assert kept_token(file) == first and len(first) == 22
    if os.name == "posix":
        assert file.stat().st_mode & 0o777 == 0o600
        file.chmod(0o644)  # somebody else may have read it
        assert kept_token(file) != first
        file.chmod(0o600)
    for content in ("", "../..", "x" * 21, "é" * 22):
        file.write_text(content, encoding="utf-8")
        assert kept_token(file) not in (first, content)
    assert kept_token(tmp_path / "cache" / "token" / "deeper") != first  # no such folder can be made


def test_a_server_answers_at_its_address_in_the_network_only_when_asked_to(server, monkeypatch):
    monkeypatch.setattr(page, "address_in_network", lambda: "127.0.0.2")  # stands for an address in a network
    with PageServer(server.core, lan=True, token="t" * 22) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        assert other.address.startswith("http://127.0.0.2:") and other.address.endswith("/" + "t" * 22 + "/")
        connection = http.client.HTTPConnection("127.0.0.2", other.server_address[1], timeout=30)
        for host, status in ((f"127.0.0.2:{other.server_address[1]}", 200), ("evil.example", 403)):
            connection.request("GET", other.path + "state", headers={"Host": host})
            answer = connection.getresponse()
            assert (answer.status, bool(answer.read())) == (status, True)
            connection = http.client.HTTPConnection("127.0.0.2", other.server_address[1], timeout=30)
        other.shutdown()
    with pytest.raises(OSError):
        http.client.HTTPConnection("127.0.0.2", server.server_address[1], timeout=5).request("GET", server.path)


def test_the_usual_port_is_taken_where_it_is_free(monkeypatch, tmp_path):
    monkeypatch.setattr(cli_paint, "TOKEN", tmp_path / "token")
    painting = prepare()
    with PageServer(painting) as busy:
        monkeypatch.setattr(cli_paint, "PORT", busy.server_address[1])
        with served(painting, None) as other:
            assert other.server_address[1] != busy.server_address[1]
        with pytest.raises(UserError, match="--port"):
            served(painting, busy.server_address[1])


def test_a_saved_map_and_another_network_are_shown_from_the_start(tmp_path):
    ids_picture(Streets(4, split="val")[3].label, CITYSCAPES).save(tmp_path / "map.png")
    state = prepare(map_file=tmp_path / "map.png", beside="pix2pixhd").state()
    assert state["map"]["ids"] == ids_to_bytes(Streets(4, split="val")[3].label)
    assert state["beside"]["name"] == "stored pix2pixhd" and state["beside"]["png"] != state["image"]
    for options, said in (
        ({"map_file": tmp_path / "no.png"}, "There is no file"), ({"beside": "cyclegan"}, "No weights are stored"),
        ({"map_file": Path(__file__)}, "expected a label map"), ({"code": Path("my_spade.py")}, "--run FOLDER"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=said):
            prepare(**options)


def test_a_folder_without_a_run_is_one_line(tmp_path):
    with pytest.raises(UserError, match="not a run folder"):
        prepare(tmp_path)
