import base64
import http.client
import json
import threading

import pytest

from spade_edu import CITYSCAPES, SPADEGenerator, UserError
from spade_edu.cli.paint import prepare
from spade_edu.widgets.maps import EditedMap, blank
from spade_edu.widgets.page import MOST_BYTES, PageServer
from spade_edu.widgets.painter import Painting

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server():
    generator = SPADEGenerator(CITYSCAPES.num_channels, latent=(1, 2), ngf=2, z_dim=4, hidden_channels=4)
    with PageServer(Painting(generator, EditedMap(CITYSCAPES, blank(CITYSCAPES, (32, 64))))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def ask(server, method: str, path: str, body: str | None = None, headers: dict | None = None) -> tuple[int, str]:
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
    files = {"/": "page.js", "/page.js": "widget.js", "/widget.js": "export default", "/widgets.css": "--se"}
    for path, word in files.items():
        status, text = ask(server, "GET", path)
        assert status == 200 and word in text
    assert ask(server, "GET", "/../host.py")[0] == 404


def test_a_stroke_changes_the_state(server):
    car = CITYSCAPES.id("car")
    status, text = ask(server, "POST", "/ask", stroke(bytes([car]) * 2048), JSON)
    answer = json.loads(text)
    assert status == 200 and answer["error"] == ""
    assert base64.b64decode(answer["state"]["map"]["ids"]["base64"]) == bytes([car]) * 2048
    assert json.loads(ask(server, "GET", "/state")[1]) == answer["state"]


def test_a_bad_map_is_told_in_the_answer(server):
    before = ask(server, "GET", "/state")
    for ids, said in ((b"\xff" * 2048, "255"), (b"12", "2 bytes")):
        status, text = ask(server, "POST", "/ask", stroke(ids), JSON)
        assert status == 200 and said in json.loads(text)["error"]
    assert ask(server, "GET", "/state") == before


@pytest.mark.parametrize(
    "body",
    [
        "", "no json", "[]", "{}", '{"request": 1, "buffers": []}', '{"request": {}, "buffers": ["?"]}',
        '{"request": {}, "buffers": 3}', "[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused(server, body):
    assert ask(server, "POST", "/ask", body, JSON)[0] == 400


def test_another_page_can_neither_post_nor_read(server):
    port = server.server_address[1]
    body = stroke(bytes(2048))
    assert ask(server, "POST", "/ask", body, JSON | {"Origin": f"http://127.0.0.1:{port}"})[0] == 200
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}"):
        assert ask(server, "POST", "/ask", body, JSON | {"Origin": origin})[0] == 403
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1"):
        assert ask(server, "GET", "/state", headers={"Host": host})[0] == 403
    # A form of another page needs no permission to send text: so it isn't taken.
    assert ask(server, "POST", "/ask", body, {"Content-Type": "text/plain"})[0] == 400


def test_huge_requests_are_not_read(server):
    assert ask(server, "POST", "/ask", "{}", JSON | {"Content-Length": str(MOST_BYTES + 1)})[0] == 413
    assert ask(server, "POST", "/ask", "{}", JSON | {"Content-Length": "-1"})[0] == 413


def test_a_taken_port_is_one_line(server):
    with pytest.raises(UserError, match="--port"):
        PageServer(server.core, server.server_address[1])


def test_the_command_serves_the_stored_network():
    with prepare(None, 0) as server:
        state = server.state()
    assert state["map"]["size"] == [64, 128] and state["map"]["scenes"] == 200


def test_a_folder_without_a_run_is_one_line(tmp_path):
    with pytest.raises(UserError, match="not a run folder"):
        prepare(tmp_path, 0)
