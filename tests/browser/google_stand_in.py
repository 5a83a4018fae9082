"""A widget of this process in a browser, through a stand-in for Google's widget manager (google_manager.js).

The widget speaks the protocol of a kernel's widgets: its comm is replaced by one that keeps what it sends.
"""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import comm
from comm.base_comm import BaseComm

MANAGER = Path(__file__).with_name("google_manager.js")
PAGE = """<!doctype html><meta charset="utf-8"><title>output</title>
<div id="output"></div><script type="module" src="manager.js"></script>"""


class KeptComm(BaseComm):
    """Keeps what a widget sends, from its opening on."""

    def __init__(self, **keys):
        self.sent = []
        super().__init__(**keys)

    def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys):
        if msg_type != "comm_close":
            parts = [base64.b64encode(part).decode() for part in buffers or []]
            self.sent.append(json.loads(json.dumps({"data": data, "buffers": parts})))


class GoogleStandIn:
    """Serves the widget that `make()` gives, at `address`."""

    def __init__(self, make, monkeypatch):
        monkeypatch.setattr(comm, "create_comm", KeptComm)
        self.widget, self.lock = make(), threading.Lock()
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                name, _, number = self.path.strip("/").partition("?")
                if name == "messages":
                    self._answer("application/json", json.dumps(stand_in.widget.comm.sent[int(number) :]))
                elif name == "manager.js":
                    self._answer("text/javascript", MANAGER.read_text("utf-8"))
                else:
                    self._answer("text/html", PAGE)

            def do_POST(self):
                stand_in.receive(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self._answer("text/plain", "")

            def _answer(self, kind, text):
                content = text.encode()
                self.send_response(200)
                self.send_header("Content-Type", f"{kind}; charset=utf-8")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def receive(self, message: dict) -> None:
        """Hand a message from the page to the widget, as a kernel does: one at a time."""
        buffers = [memoryview(base64.b64decode(part)) for part in message["buffers"]]
        data = {"method": "custom", "content": message["content"]}
        with self.lock:
            self.widget.comm.handle_msg({"content": {"data": data}, "buffers": buffers})

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
