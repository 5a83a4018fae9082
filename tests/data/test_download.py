import hashlib
import http.server
import importlib.util
import io
import shutil
import ssl
import subprocess
import threading
import zipfile
from collections import namedtuple
from dataclasses import replace

import pytest

from spade_edu.data import DataError, download
from spade_edu.data.download import Archive, fetch, get, get_cityscapes, unpack

BODY = bytes(range(256)) * 2000


class Server(http.server.ThreadingHTTPServer):
    """A web server on this machine that misbehaves as told."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.tag, self.status, self.redirect = BODY, '"v1"', 200, None
        self.cuts: list[int] = []  # how many bytes the next answers give before the connection breaks
        self.ranges, self.chunked, self.requests, self.shift = True, False, [], 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/data.zip"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        server, self.close_connection = self.server, True
        server.requests.append(dict(self.headers))
        if server.redirect or server.status != 200:
            self.send_response(302 if server.redirect else server.status)
            self.send_header("Location", server.redirect or "/")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start, wanted = 0, self.headers.get("Range")
        if wanted and server.ranges and self.headers.get("If-Range") == server.tag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start >= len(server.body):
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        start += server.shift if start else 0  # another part than the one asked for
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.body) - 1}/{len(server.body)}")
        if server.tag:
            self.send_header("ETag", server.tag)
        end = start + server.cuts.pop(0) if server.cuts else len(server.body)
        if server.chunked:  # the length is not told before; a last chunk of length 0 marks the end
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%s\r\n" % (end - start, server.body[start:end]))
            self.wfile.write(b"0\r\n\r\n" if end == len(server.body) else b"")
            return
        self.send_header("Content-Length", str(len(server.body) - start))
        self.end_headers()
        self.wfile.write(server.body[start:end])


@pytest.fixture
def server():
    server = Server()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def fetch_from(server, path, sha1=None, **options):
    archive = Archive(server.url, page="https://example.org/page", sha1=sha1)
    return fetch(archive, path, loopback=True, pause=0, **options)


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return buffer.getvalue()


# --- fetching


def test_a_file_arrives_whole(server, tmp_path):
    path = fetch_from(server, tmp_path / "a.zip", sha1=hashlib.sha1(BODY).hexdigest())
    assert path.read_bytes() == BODY
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


def test_broken_connections_are_taken_up_where_they_broke(server, tmp_path):
    server.cuts = [100_000, 1, 200_000]
    assert fetch_from(server, tmp_path / "a.zip").read_bytes() == BODY
    assert [r.get("Range") for r in server.requests] == [None, "bytes=100000-", "bytes=100001-", "bytes=300001-"]


def test_a_stopped_download_goes_on_in_the_next_call(server, tmp_path):
    server.cuts = [300_000, *[0] * 5]
    with pytest.raises(DataError, match="300,000 bytes are kept.*again later"):
        fetch_from(server, tmp_path / "a.zip", attempts=5)
    assert not (tmp_path / "a.zip").exists()
    server.requests.clear()
    assert fetch_from(server, tmp_path / "a.zip").read_bytes() == BODY
    assert server.requests[0]["Range"] == "bytes=300000-"


def test_another_version_of_the_file_is_never_appended(server, tmp_path):
    server.cuts = [300_000, *[0] * 5]
    with pytest.raises(DataError):
        fetch_from(server, tmp_path / "a.zip")
    server.body, server.tag = BODY[::-1], '"v2"'
    assert fetch_from(server, tmp_path / "a.zip").read_bytes() == BODY[::-1]


def test_another_part_of_the_file_than_asked_for_is_never_appended(server, tmp_path):
    server.cuts, server.shift = [100_000], 1000
    assert fetch_from(server, tmp_path / "a.zip").read_bytes() == BODY
    assert [r.get("Range") for r in server.requests] == [None, "bytes=100000-", None]


def test_a_download_that_was_too_large_blocks_no_later_one(server, tmp_path):
    archive = Archive(server.url, page="https://example.org/page", most_bytes=len(BODY))
    server.body = BODY + bytes(download.CHUNK)
    with pytest.raises(DataError, match="gives more than"):
        fetch(archive, tmp_path / "a.zip", loopback=True, pause=0)
    server.body = BODY
    assert fetch(archive, tmp_path / "a.zip", loopback=True, pause=0).read_bytes() == BODY


@pytest.mark.parametrize("tag, ranges", [(None, True), ('W/"weak"', True), ('"v1"', False)])
def test_servers_that_cannot_resume_start_over(server, tmp_path, tag, ranges):
    server.tag, server.ranges, server.cuts = tag, ranges, [300_000, 200_000]
    assert fetch_from(server, tmp_path / "a.zip").read_bytes() == BODY


def test_answers_of_unknown_length(server, tmp_path):
    server.chunked, server.tag, server.cuts = True, None, [300_000]
    assert fetch_from(server, tmp_path / "a.zip").read_bytes() == BODY
    assert len(server.requests) == 2  # the first was seen to break off, although nobody had told the length


def test_a_server_that_always_breaks_at_the_same_place_is_given_up(server, tmp_path):
    server.ranges, server.cuts = False, [1000] * 50
    with pytest.raises(DataError, match="again later"):
        fetch_from(server, tmp_path / "a.zip", attempts=3)
    assert len(server.requests) == 4


def test_a_part_longer_than_the_file_is_dropped(server, tmp_path):
    (tmp_path / "a.zip.part").write_bytes(BODY + BODY)
    (tmp_path / "a.zip.part.tag").write_text(server.tag)
    assert fetch_from(server, tmp_path / "a.zip").read_bytes() == BODY


def test_corruption_is_found_and_the_file_deleted(server, tmp_path):
    good = hashlib.sha1(BODY).hexdigest()
    server.body = BODY[:5000] + b"\0" + BODY[5001:]
    with pytest.raises(DataError, match="damaged or was changed.*https://example.org/page.*put it at"):
        fetch_from(server, tmp_path / "a.zip", sha1=good)
    assert not any(tmp_path.iterdir())
    server.body = BODY
    assert fetch_from(server, tmp_path / "a.zip", sha1=good).read_bytes() == BODY


@pytest.mark.parametrize("status", [404, 410, 403])
def test_a_missing_address_says_what_to_fetch_and_where_to_put_it(server, tmp_path, status):
    server.status = status
    with pytest.raises(DataError, match=f"answers {status}: fetch {server.url} .*page.* by hand, put it at .*a.zip"):
        fetch_from(server, tmp_path / "a.zip")
    assert len(server.requests) == 1


def test_a_busy_server_is_asked_again_and_then_given_up(server, tmp_path):
    server.status = 503
    with pytest.raises(DataError, match="the server answers 503"):
        fetch_from(server, tmp_path / "a.zip", attempts=3)
    assert len(server.requests) == 3


def test_an_unreachable_server(tmp_path):
    archive = Archive("http://127.0.0.1:9/data.zip", page="https://example.org")
    with pytest.raises(DataError, match="refused.*by hand"):
        fetch(archive, tmp_path / "a.zip", loopback=True, attempts=2, pause=0)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/a.zip", "http://example.org/a.zip", "ftp://example.org/a.zip"])
def test_only_encrypted_addresses(tmp_path, url):
    with pytest.raises(DataError, match="not encrypted"):
        fetch(Archive(url, page=""), tmp_path / "a.zip")


def test_plain_http_is_for_this_machine_only_and_redirects_cannot_change_that(server, tmp_path):
    with pytest.raises(DataError, match="not encrypted"):
        fetch(Archive("http://example.org/a.zip", page=""), tmp_path / "a.zip", loopback=True)
    server.redirect = "http://example.org/data.zip"
    with pytest.raises(DataError, match="example.org/data.zip is not encrypted"):
        fetch_from(server, tmp_path / "a.zip")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_a_certificate_that_nobody_vouches_for_is_refused(server, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    subprocess.run([*make, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with pytest.raises(DataError, match="its certificate is not valid"):
        fetch(Archive(server.url.replace("http:", "https:"), page=""), tmp_path / "a.zip", pause=0)
    assert server.requests == []


def test_all_published_addresses_are_encrypted():
    archives = [a for group in download.ARCHIVES.values() for a in group]
    assert all(a.url.startswith("https://") and a.page for a in archives)
    assert all(a.sha1 is None or len(a.sha1) == 40 for a in archives)


def test_what_a_kill_left_beside_a_whole_file_is_removed(server, tmp_path):
    (tmp_path / "a.zip").write_bytes(BODY)
    (tmp_path / "a.zip.part.tag").write_text('"v1"')
    fetch_from(server, tmp_path / "a.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_file_put_there_by_hand_is_taken_after_its_check(server, tmp_path):
    (tmp_path / "a.zip").write_bytes(BODY)
    fetch_from(server, tmp_path / "a.zip", sha1=hashlib.sha1(BODY).hexdigest())
    assert server.requests == []


def test_too_little_space_is_said_before_the_download(server, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 1000))
    with pytest.raises(DataError, match="are needed.*--root"):
        fetch_from(server, tmp_path / "a.zip")


# --- unpacking


def test_a_folder_of_an_archive_is_unpacked_without_its_name(tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped({"top/CamVid/train/x.png": b"x", "top/CamVid2/y": b"y", "top/z": b"z"}))
    assert unpack(tmp_path / "a.zip", tmp_path / "out", inside="top/CamVid") == 1
    assert [p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*")] == ["train/x.png"]


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "a/../evil", "/evil", "C:/evil", "a\\..\\..\\evil"])
def test_names_that_lead_out_are_refused_before_anything_is_written(tmp_path, name):
    content = zipped({"good": b"g", "placeholder_name": b"e"})
    swapped = (name + "_" * 40)[:16] if len(name) < 16 else name
    (tmp_path / "a.zip").write_bytes(content.replace(b"placeholder_name", swapped.encode()))
    with pytest.raises(DataError, match="leads out"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists() and not list(tmp_path.rglob("evil*"))


def test_links_are_refused(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(link, "/etc")
    with pytest.raises(DataError, match="leads out"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_links_in_the_folder_are_not_followed_out(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/train").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "a.zip").write_bytes(zipped({"train/x": b"x"}))
    with pytest.raises(DataError, match="by a link"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert not any((tmp_path / "elsewhere").iterdir())


def test_an_archive_that_swells_beyond_its_bound_is_refused(tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped({"zeros": bytes(10_000_000)}))
    assert (tmp_path / "a.zip").stat().st_size < 20_000
    with pytest.raises(DataError, match="expected 1 to 1,000,000 bytes"):
        unpack(tmp_path / "a.zip", tmp_path / "out", most_bytes=1_000_000)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"<html>Please log in</html>", zipped({"a": BODY, "b": BODY})[:-40]])
def test_what_is_no_archive_is_named(tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match="a.zip is no sound zip file"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_damaged_contents_leave_no_half_file_under_the_right_name(tmp_path):
    content = bytearray(zipped({"noise": hashlib.sha512(b"1").digest() * 50}))
    content[60:70] = bytes(10)
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match="no sound zip file"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert not (tmp_path / "out/noise").exists()


def test_unpacking_goes_on_where_it_stopped(tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped({"a": b"aaa", "b": b"bbb", "c": b"ccc"}))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a").write_bytes(b"AAA")  # of the right size: kept
    (tmp_path / "out/b").write_bytes(b"b")
    unpack(tmp_path / "a.zip", tmp_path / "out")
    assert [(tmp_path / "out" / n).read_bytes() for n in "abc"] == [b"AAA", b"bbb", b"ccc"]


# --- whole data sets


def test_get_fetches_unpacks_and_does_not_fetch_twice(server, tmp_path, monkeypatch):
    server.body = zipped({"top/train/x.png": b"x"})
    archive = replace(download.ARCHIVES["camvid"][0], url=server.url, inside="top")
    monkeypatch.setitem(download.ARCHIVES, "camvid", (archive,))
    get("camvid", tmp_path / "camvid", loopback=True)
    assert (tmp_path / "camvid/train/x.png").read_bytes() == b"x"
    assert not (tmp_path / "camvid/data.zip").exists()
    get("camvid", tmp_path / "camvid", loopback=True)
    assert len(server.requests) == 1
    (tmp_path / "camvid/data.zip").write_bytes(server.body)  # as a kill right after unpacking leaves it
    get("camvid", tmp_path / "camvid", loopback=True)
    assert len(server.requests) == 1 and not (tmp_path / "camvid/data.zip").exists()


def test_a_page_in_place_of_the_archive_is_a_changed_address(server, tmp_path, monkeypatch):
    server.body = b"<html>We have moved</html>"
    monkeypatch.setitem(download.ARCHIVES, "camvid", (Archive(server.url, page="https://example.org/page"),))
    with pytest.raises(DataError, match="does not give a zip file any more: fetch http.* by hand"):
        get("camvid", tmp_path, loopback=True)
    assert not (tmp_path / "data.zip").exists()


def test_names_without_download(tmp_path):
    with pytest.raises(DataError, match="no download of 'streets'; there are: camvid, ade20k, coco-stuff, cityscapes"):
        get("streets", tmp_path)


@pytest.fixture
def account(tmp_path, monkeypatch):
    """csDownload replaced by one that brings small archives."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    calls = []

    def run(command):
        calls.append(command)
        kind = "gtFine" if "gtFine" in command[-1] else "leftImg8bit"
        (tmp_path / command[-1]).write_bytes(zipped({f"{kind}/train/ulm/x": b"x", "README": b"r"}))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def test_cityscapes_is_handed_to_its_own_tool(account, tmp_path, capsys):
    get_cityscapes(tmp_path)
    assert (tmp_path / "gtFine/train/ulm/x").exists() and (tmp_path / "leftImg8bit/train/ulm/x").exists()
    assert len(account) == 2 and "cityscapesscripts.download.downloader" in account[0]
    assert "https://www.cityscapes-dataset.com/register/" in capsys.readouterr().out
    get_cityscapes(tmp_path)
    assert len(account) == 2


def test_cityscapes_half_a_file_is_resumed(account, tmp_path):
    (tmp_path / "gtFine_trainvaltest.zip").write_bytes(b"half")
    get_cityscapes(tmp_path)
    assert "--resume" in account[0] and "--resume" not in account[1]


def test_cityscapes_without_tool_or_account_explains_the_steps(account, tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda command: subprocess.CompletedProcess(command, 1))
    with pytest.raises(DataError, match="csDownload could not fetch"):
        get_cityscapes(tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"register(.|\n)*spade-edu\[cityscapes\]"):
        get_cityscapes(tmp_path)
