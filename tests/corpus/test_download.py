"""Downloads from a local server that interrupts, changes its file and sends wrong data."""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import random
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import google_crc32c
import pytest

from mechanical_ears.corpus import download as module
from mechanical_ears.corpus.download import ARCHIVES, download
from mechanical_ears.errors import EarsError

BODY = random.Random(1).randbytes(3_000_000)


class Server(ThreadingHTTPServer):
    """A file server with configurable faults."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = BODY
        self.headers: dict[str, str] = {"ETag": '"one"'}
        self.break_after: list[int] = []  # bytes that each of the next responses sends
        self.statuses: list[int] = []  # error codes of the next requests
        self.ranges = True
        self.with_length = True
        self.requests: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/nsynth-test.tfrecord"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        server.requests.append(dict(self.headers))
        if server.statuses:
            self.send_error(server.statuses.pop(0))
            return
        requested = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range") in (None, server.headers.get("ETag"),
                                                server.headers.get("Last-Modified"))  # fmt: skip
        start = int(requested[1]) if requested and server.ranges and same else 0
        size = len(server.body)
        if start >= size:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{size}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if server.with_length:
            self.send_header("Content-Length", str(size - start))
        for name, value in server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        end = start + server.break_after.pop(0) if server.break_after else size
        self.wfile.write(server.body[start:end])


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def google_hashes(body: bytes) -> str:
    crc = base64.b64encode(google_crc32c.value(body).to_bytes(4, "big")).decode()
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    return f"crc32c={crc},md5={md5}"


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_complete_download_reports_progress(server: Server, tmp_path: Path) -> None:
    calls: list[tuple[int, int | None]] = []
    path = download(server.url, tmp_path / "new", progress=lambda *call: calls.append(call))
    assert path == tmp_path / "new" / "nsynth-test.tfrecord"
    assert path.read_bytes() == BODY
    assert leftovers(path.parent) == ["nsynth-test.tfrecord"]
    assert calls[0] == (0, len(BODY))
    assert calls[-1] == (len(BODY), len(BODY))
    assert calls == sorted(calls)


def test_interrupted_connections_are_resumed(server: Server, tmp_path: Path) -> None:
    server.headers["x-goog-hash"] = google_hashes(BODY)
    server.break_after = [1_000_000, 0, 700_001]
    path = download(server.url, tmp_path, pause=0, checksum=hashlib.sha256(BODY).hexdigest())
    assert path.read_bytes() == BODY
    ranges = [request.get("Range") for request in server.requests]
    assert ranges == [None, "bytes=1000000-", "bytes=1000000-", "bytes=1700001-"]
    assert {request.get("If-Range") for request in server.requests[1:]} == {'"one"'}


def test_a_later_run_resumes_a_killed_one(server: Server, tmp_path: Path) -> None:
    server.headers["x-goog-hash"] = google_hashes(BODY)

    def kill(done: int, size: int | None) -> None:
        if done >= 1_200_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(server.url, tmp_path, progress=kill)
    assert leftovers(tmp_path) == ["nsynth-test.tfrecord.part", "nsynth-test.tfrecord.part.json"]
    size = (tmp_path / "nsynth-test.tfrecord.part").stat().st_size
    assert 1_200_000 <= size < len(BODY)
    assert download(server.url, tmp_path).read_bytes() == BODY
    assert server.requests[1]["Range"] == f"bytes={size}-"
    assert leftovers(tmp_path) == ["nsynth-test.tfrecord"]


def test_killed_after_the_last_byte(server: Server, tmp_path: Path) -> None:
    def kill(done: int, size: int | None) -> None:
        if done == size:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(server.url, tmp_path, progress=kill)
    assert download(server.url, tmp_path).read_bytes() == BODY
    assert len(server.requests) == 1


@pytest.mark.parametrize("new_size", [2_500_000, 400_000])
def test_a_file_that_changed_on_the_server_is_restarted(
    server: Server, tmp_path: Path, new_size: int
) -> None:
    server.break_after = [1_000_000]
    with pytest.raises(EarsError, match="interrupted: 1000000 of 3000000 bytes received"):
        download(server.url, tmp_path, tries=0)
    server.body = BODY[::-1][:new_size]
    server.headers["ETag"] = '"two"'
    assert download(server.url, tmp_path, pause=0).read_bytes() == server.body


def test_a_server_that_ignores_ranges(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.break_after = [1_000_000]
    assert download(server.url, tmp_path, pause=0).read_bytes() == BODY


def test_without_etag_or_date_a_download_is_not_resumed(server: Server, tmp_path: Path) -> None:
    server.headers = {}
    server.break_after = [1_000_000]
    assert download(server.url, tmp_path, pause=0).read_bytes() == BODY
    assert [request.get("Range") for request in server.requests] == [None, None]


def test_the_date_is_used_instead_of_a_weak_etag(server: Server, tmp_path: Path) -> None:
    server.headers = {"ETag": 'W/"x"', "Last-Modified": "Wed, 05 Apr 2017 00:00:00 GMT"}
    server.break_after = [1_000_000]
    assert download(server.url, tmp_path, pause=0).read_bytes() == BODY
    assert server.requests[1]["If-Range"] == "Wed, 05 Apr 2017 00:00:00 GMT"


def test_a_response_without_length(server: Server, tmp_path: Path) -> None:
    server.with_length = False
    calls: list[tuple[int, int | None]] = []
    path = download(server.url, tmp_path, progress=lambda *call: calls.append(call))
    assert path.read_bytes() == BODY
    assert calls[-1] == (len(BODY), None)


@pytest.mark.parametrize("name", ["md5", "sha256", "x-goog-hash"])
def test_a_file_with_a_wrong_checksum_is_renamed(server: Server, tmp_path: Path, name: str) -> None:
    other = BODY[:-1] + b"?"
    checksum = None
    if name == "x-goog-hash":
        server.headers[name] = google_hashes(other)
    else:
        checksum = hashlib.new(name, other).hexdigest()
    with pytest.raises(EarsError) as raised:
        download(server.url, tmp_path, checksum=checksum)
    text = str(raised.value)
    assert text.startswith(str(tmp_path / "nsynth-test.tfrecord") + ": its ")
    assert "it is renamed to nsynth-test.tfrecord.bad; check the checksum" in text
    assert leftovers(tmp_path) == ["nsynth-test.tfrecord.bad"]
    server.headers.pop("x-goog-hash", None)
    assert download(server.url, tmp_path).read_bytes() == BODY


def test_a_damaged_part_is_detected(server: Server, tmp_path: Path) -> None:
    server.headers["x-goog-hash"] = google_hashes(BODY)
    server.break_after = [1_000_000]
    with pytest.raises(EarsError, match="interrupted"):
        download(server.url, tmp_path, tries=0)
    part = tmp_path / "nsynth-test.tfrecord.part"
    part.write_bytes(b"?" + part.read_bytes()[1:])
    with pytest.raises(EarsError, match="its CRC32C is"):
        download(server.url, tmp_path)


def test_an_existing_file_is_kept_and_checked(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "nsynth-test.tfrecord"
    target.write_bytes(b"abc")
    md5 = "900150983cd24fb0d6963f7d28e17f72"  # of "abc": RFC 1321
    assert download(server.url, tmp_path).read_bytes() == b"abc"
    assert download(server.url, tmp_path, checksum=md5.upper()) == target
    with pytest.raises(EarsError, match=f"its MD5 is {md5}, not {'0' * 32}; check the checksum"):
        download(server.url, tmp_path, checksum="0" * 32)
    assert server.requests == []


def test_http_errors(server: Server, tmp_path: Path) -> None:
    server.statuses = [404]
    with pytest.raises(EarsError, match="the server responds 404 Not Found; check the address"):
        download(server.url, tmp_path, pause=0)
    assert len(server.requests) == 1
    server.statuses = [503, 429]
    assert download(server.url, tmp_path, pause=0).read_bytes() == BODY
    assert len(server.requests) == 4


def test_no_server(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(EarsError) as raised:
        download(f"http://127.0.0.1:{port}/x.tfrecord", tmp_path, tries=2, pause=0)
    assert "the download was interrupted: [Errno 111] Connection refused" in str(raised.value)
    assert "it will be resumed" in str(raised.value)


def test_no_space(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = module.shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    with monkeypatch.context() as patch:
        patch.setattr(module.shutil, "disk_usage", lambda folder: usage)
        with pytest.raises(EarsError, match=r"needs 0\.0 GB more, but 0\.0 GB are free; free some"):
            download(server.url, tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk(server: Server, tmp_path: Path) -> None:
    (tmp_path / "nsynth-test.tfrecord.part").symlink_to("/dev/full")
    real = module._Transfer._restart
    module._Transfer._restart = lambda self, remote=None: None  # type: ignore[method-assign]
    try:
        with pytest.raises(EarsError, match=os.strerror(errno.ENOSPC)) as raised:
            download(server.url, tmp_path)
    finally:
        module._Transfer._restart = real  # type: ignore[method-assign]
    assert "free some space or choose another output folder" in str(raised.value)


def test_bad_arguments(tmp_path: Path) -> None:
    for source in ("nsynth-all", "file:///etc/hosts", "http://host/"):
        with pytest.raises(EarsError, match="is neither a URL nor an archive of NSynth"):
            download(source, tmp_path)
    with pytest.raises(EarsError, match="is neither SHA-256 nor MD5"):
        download("nsynth-test.jsonwav", tmp_path, checksum="12")


def test_the_published_archives() -> None:
    assert len(ARCHIVES) == 6
    assert ARCHIVES["nsynth-valid.jsonwav"].url == (
        "http://download.magenta.tensorflow.org/datasets/nsynth/nsynth-valid.jsonwav.tar.gz"
    )
    assert ARCHIVES["nsynth-train.tfrecord"].url == (
        "http://download.magenta.tensorflow.org/datasets/nsynth/nsynth-train.tfrecord"
    )
    # 305,979 notes in total: Engel et al. (2017).
    assert sum(archive.notes for archive in ARCHIVES.values()) == 2 * 305_979
