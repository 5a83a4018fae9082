"""The painter on a page of its own: the same ES module, with HTTP in place of Jupyter.

It answers on this computer only, unless a network's other devices are let in (`lan`). All is below /TOKEN/, a random
name that only the printed address holds: other users of the computer and other sites' pages don't know it. GET state
gives the core's state; POST ask takes {"request": ..., "buffers": [base64]}, does what it asks and gives
{"error": line, "state": ...}. Bytes travel as {"base64": ...}.
"""

import base64
import binascii
import json
import os
import re
import secrets
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import UserError
from .host import FOLDER, Core, script
from .painter import SCRIPTS

MOST_BYTES = 32 * 2**20  # of a request
SAFE = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; style-src 'self' 'unsafe-inline'; "
    "frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
HTML = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>spade_edu: paint a scene</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="widgets.css">
</head>
<body class="spade-edu-page"><main id="widget"></main><script type="module" src="page.js"></script></body>
</html>
"""


class PageServer(ThreadingHTTPServer):
    """Serves one core at 127.0.0.1:port (0: a free port), below `path`; requests change the core one at a time.

    token: the random name in the address, a new one where none is given. lan: serve at this computer's address in its
    network, for a phone in the same room. Errors: a UserError where the port is taken.
    """

    daemon_threads = True
    allow_reuse_address = sys.platform != "win32"  # there it would let two programs share the port

    def __init__(self, core: Core, port: int = 0, *, token: str | None = None, lan: bool = False):
        self.core, self.lock = core, threading.Lock()
        self.host = address_in_network() if lan else "127.0.0.1"
        self.path = f"/{token or secrets.token_urlsafe(16)}/"
        self.files = {
            "": ("text/html", HTML),
            "widgets.css": ("text/css", (FOLDER / "widgets.css").read_text(encoding="utf-8")),
            "page.js": ("text/javascript", (FOLDER / "page.js").read_text(encoding="utf-8")),
            "widget.js": ("text/javascript", script(*SCRIPTS)),
        }
        try:
            super().__init__((self.host, port), _Handler)
        except OSError as error:
            raise UserError(f"Port {port} can't be used ({error.strerror}): choose another --port.") from error
        self.address = f"http://{self.host}:{self.server_address[1]}{self.path}"

    def server_bind(self) -> None:
        """Take the port; on Windows, for this program alone."""
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        super().server_bind()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away before its answer came is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def ask(self, body: bytes) -> dict:
        """Carry out the request in a POST's body. Errors: a ValueError where it isn't one."""
        content = json.loads(body)
        request, buffers = content["request"], [base64.b64decode(b, validate=True) for b in content["buffers"]]
        if not isinstance(request, dict):
            raise ValueError("request is not an object")
        with self.lock:
            return {"error": self.core.answer(request, buffers), "state": self.core.state()}

    def state(self) -> dict:
        """The core's state, between two requests."""
        with self.lock:
            return self.core.state()


class _Handler(BaseHTTPRequestHandler):
    """Answers the browser: the page's files and the state to GET, requests to POST, a refusal to anything else."""

    server: PageServer
    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds for a client to say what it wants

    def do_GET(self) -> None:
        if not self._is_ours():
            return
        if self._name() == "state":
            self._send("application/json", _to_json(self.server.state()))
        elif self._name() in self.server.files:
            self._send(*self.server.files[self._name()])
        else:
            self._refuse(404, "There is no such page.")

    def do_POST(self) -> None:
        if not self._is_ours():
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or len(length) > 9 or int(length) > MOST_BYTES:
            return self._refuse(413, f"Expected a request of at most {MOST_BYTES} bytes.")
        if self._name() != "ask" or self.headers.get_content_type() != "application/json":
            return self._refuse(400, "Expected JSON at ask.")
        try:
            answer = self.server.ask(self.rfile.read(int(length)))
        except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
            return self._refuse(400, 'Expected {"request": {...}, "buffers": [base64, ...]}.')
        self._send("application/json", _to_json(answer))

    def _name(self) -> str:
        """What is asked for below the server's path."""
        return self.path.removeprefix(self.server.path)

    def _is_ours(self) -> bool:
        """Refuse who doesn't know the address, what another site's page sends, and a name that was made to point here.

        Any port is right: through ssh -L the browser sees another one. Only the page itself may be linked to.
        """
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        known = secrets.compare_digest(self.path[: len(self.server.path)].encode(), self.server.path.encode())
        here = _hostname(host) in (self.server.host, "127.0.0.1", "localhost") and origin in (None, f"http://{host}")
        own = self.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin") or self._name() == ""
        if known and here and own:
            return True
        self._refuse(403, "Only this program's own page may ask: open the whole address that it printed.")
        return False

    def _refuse(self, status: int, line: str) -> None:
        self.close_connection = True  # the rest of the request was not read
        self._send("text/plain", line, status)

    def _send(self, kind: str, text: str, status: int = 200) -> None:
        content = text.encode()
        self.send_response(status)
        for name, value in SAFE.items():
            self.send_header(name, value)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Say nothing: the terminal shows the address."""


def address_in_network() -> str:
    """This computer's own address in its network. Errors: a UserError where it is in none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address that no host has; nothing is sent
        except OSError as error:
            raise UserError("--lan: this computer is in no network. Leave it out to paint here.") from error
        return str(probe.getsockname()[0])


def kept_token(file: Path) -> str:
    """The token in a file that only its owner can read, made where there is none: a tab finds its program again.

    Where the file can't be used, a token for this time alone.
    """
    token = secrets.token_urlsafe(16)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "x", encoding="ascii", opener=_for_owner) as new:
            new.write(token)
    except FileExistsError:
        return _own_token(file) or token
    except OSError:
        pass
    return token


def _own_token(file: Path) -> str:
    """The token in a file of this user's that nobody else can read; "" for any other file."""
    try:
        found, status = file.read_text("ascii").strip(), file.stat()
    except (OSError, UnicodeError):
        return ""
    mine = not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o077)
    return found if mine and re.fullmatch(r"[\w-]{22}", found) else ""


def _for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _to_json(value: dict) -> str:
    return json.dumps(value, default=lambda content: {"base64": base64.b64encode(content).decode()})
