"""Downloading NSynth's published archives, which are large, with resumption and checksums.

An incomplete file is ``NAME.part``, with the server's metadata in ``NAME.part.json``. A later
attempt requests the rest only (HTTP ``Range``), and only if the file on the server is still the
same (``If-Range`` with its ETag or date: RFC 9110). The file is renamed when it is complete: it has
the length that the server announced, and the checksum that the user gave or the server publishes.
NSynth is in Google Cloud Storage, which sends ``x-goog-hash: crc32c=…,md5=…`` in base64.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import http.client
import json
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from email.message import Message
from pathlib import Path, PurePosixPath
from typing import IO

import google_crc32c

from mechanical_ears.corpus.nsynth_labels import CITATION, LICENCE
from mechanical_ears.errors import CorpusError
from mechanical_ears.files import make_folder, write_error, write_json

Progress = Callable[[int, int | None], None]

CHUNK_BYTES = 1 << 20  # bytes read at a time
TIMEOUT_SECONDS = 60.0  # s without a byte until a connection counts as broken
MAX_PAUSE_SECONDS = 60.0  # s between two attempts


@dataclass(frozen=True)
class Archive:
    """A published file of NSynth.

    Attributes:
        part: ``train``, ``valid`` or ``test``; no instrument of train is in the other two.
        form: ``tfrecord`` or ``jsonwav``.
        notes: number of notes.
        licence: SPDX identifier.
        citation: authors and publication.
    """

    part: str
    form: str
    notes: int
    licence: str = LICENCE
    citation: str = CITATION

    @property
    def url(self) -> str:
        """Address of the file."""
        suffix = {"tfrecord": "tfrecord", "jsonwav": "jsonwav.tar.gz"}[self.form]
        return f"http://download.magenta.tensorflow.org/datasets/nsynth/nsynth-{self.part}.{suffix}"


ARCHIVES = {
    f"nsynth-{part}.{form}": Archive(part, form, notes)
    for part, notes in (("train", 289_205), ("valid", 12_678), ("test", 4_096))
    for form in ("tfrecord", "jsonwav")
}


@dataclass(frozen=True)
class _Remote:
    """The server's metadata of the file, saved beside the incomplete file."""

    url: str
    validator: str = ""  # for If-Range: a strong ETag, or else the date of the last change
    size: int | None = None  # bytes
    hashes: dict[str, str] = field(default_factory=dict)  # algorithm → hexadecimal digest


class _InterruptedError(Exception):
    """The connection failed in a way that may be temporary."""


def download(
    source: str,
    folder: str | Path,
    *,
    checksum: str | None = None,
    progress: Progress | None = None,
    tries: int = 6,
    pause: float = 1.0,
) -> Path:
    """Download a file, resuming an earlier attempt, and check it.

    Args:
        source: a name in ``ARCHIVES`` (``nsynth-test.jsonwav``), or any http(s) URL.
        folder: folder of the file; created if missing. An existing file of that name is kept, and
            checked against ``checksum``.
        checksum: SHA-256 (64 hexadecimal digits) or MD5 (32) that the file must have.
        progress: called with the number of bytes so far and in total, None if unknown.
        tries: number of connections in a row without new data after which it fails.
        pause: s to wait after the first of them; doubled after each.

    Returns:
        The path of the complete file.

    Raises:
        EarsError: there is no such file, no connection, no space, or the checksum is wrong.
    """
    url = ARCHIVES[source].url if source in ARCHIVES else source
    name = PurePosixPath(urllib.parse.unquote(urllib.parse.urlsplit(url).path)).name
    if urllib.parse.urlsplit(url).scheme not in ("http", "https") or not name:
        remedy = f"give http(s)://… or one of {', '.join(ARCHIVES)}"
        raise CorpusError("is neither a URL nor an archive of NSynth", path=source, remedy=remedy)
    expected = _parse_checksum(checksum)
    target = make_folder(Path(folder)) / name
    if target.exists():
        hashes = _Hashes(expected)
        hashes.read_file(target, target.stat().st_size if expected else 0)
        if wrong := hashes.mismatch():
            raise CorpusError(
                wrong, path=target, remedy="check the checksum, or delete the file and run it again"
            )
        return target
    transfer = _Transfer(url, target, expected, progress or (lambda done, size: None))
    most, failures = transfer.done, 0
    while True:
        try:
            return transfer.run()
        except _InterruptedError as error:
            failures = 0 if transfer.done > most else failures + 1
            most = max(most, transfer.done)
            if failures >= tries:
                problem = f"the download was interrupted: {error}"
                remedy = "check the network and run it again; it will be resumed"
                raise CorpusError(problem, path=url, remedy=remedy) from error
        time.sleep(min(pause * 2 ** max(failures - 1, 0), MAX_PAUSE_SECONDS))


class _Transfer:
    """The download of one file."""

    def __init__(
        self, url: str, target: Path, expected: Mapping[str, str], progress: Progress
    ) -> None:
        self.url = url
        self.target = target
        self.part = target.with_name(f"{target.name}.part")
        self.metadata = target.with_name(f"{target.name}.part.json")
        self.expected = expected
        self.progress = progress
        self.remote = self._load_metadata()
        self.done = self.part.stat().st_size if self.remote.validator and self.part.exists() else 0
        self.hashes = _Hashes({**self.remote.hashes, **expected})

    def _load_metadata(self) -> _Remote:
        """Metadata saved by an earlier attempt; empty if there is none, or for another URL."""
        try:
            remote = _Remote(**json.loads(self.metadata.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return _Remote(self.url)
        return remote if remote.url == self.url else _Remote(self.url)

    def run(self) -> Path:
        """Request and write the missing data, check the complete file and rename it.

        Raises:
            _InterruptedError: the connection failed; the data so far are kept.
        """
        if self.done != self.remote.size and not self.remote.validator:
            self._restart()  # the rest could be of another version of the file
        self.hashes.read_file(self.part, self.done)
        if self.remote.size is None or self.done != self.remote.size:
            request = urllib.request.Request(self.url, headers={"User-Agent": "mechanical-ears"})
            if self.done:
                request.add_header("Range", f"bytes={self.done}-")
                request.add_header("If-Range", self.remote.validator)
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
                    self._receive(response)
            except urllib.error.HTTPError as error:
                self._raise_http_error(error)
            except http.client.InvalidURL as error:
                raise CorpusError(
                    "is not a valid address", path=self.url, remedy="check it"
                ) from error
            except (OSError, http.client.HTTPException) as error:
                reason = getattr(error, "reason", None) or error
                raise _InterruptedError(str(reason) or type(reason).__name__) from error
        return self._finish()

    def _raise_http_error(self, error: urllib.error.HTTPError) -> None:
        if error.code == 416:  # the part is longer than the file
            self._restart()
            raise _InterruptedError("the server does not have the range") from error
        if error.code in (408, 429) or error.code >= 500:
            raise _InterruptedError(f"the server responds {error.code} {error.reason}") from error
        problem = f"the server responds {error.code} {error.reason}"
        raise CorpusError(problem, path=self.url, remedy="check the address") from error

    def _restart(self, remote: _Remote | None = None) -> None:
        """Delete the data so far and start from the beginning of the file."""
        self.part.unlink(missing_ok=True)
        self.metadata.unlink(missing_ok=True)
        self.remote, self.done = remote or _Remote(self.url), 0
        self.hashes = _Hashes({**self.remote.hashes, **self.expected})

    def _receive(self, response: http.client.HTTPResponse) -> None:
        headers = response.headers
        if response.status == 206:
            match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", ""))
            size = self.remote.size
            if not match or int(match[1]) != self.done or match[2] not in ("*", str(size)):
                self._restart()
                raise _InterruptedError("the server sent another range than requested")
        else:  # the whole file: a first attempt, a changed file, or a server without ranges
            length = headers.get("Content-Length", "")
            size = int(length) if length.isdecimal() else None
            self._restart(_Remote(self.url, _validator(headers), size, _published_hashes(headers)))
            write_json(self.metadata, asdict(self.remote))
        self._check_space()
        try:
            file = self.part.open("ab" if self.done else "wb")
        except OSError as error:
            raise write_error(self.part, error) from error
        with file:
            self._copy(response, file)

    def _check_space(self) -> None:
        free = shutil.disk_usage(self.target.parent).free
        rest = (self.remote.size or 0) - self.done
        if rest > free:
            problem = f"needs {rest / 1e9:.1f} GB more, but {free / 1e9:.1f} GB are free"
            remedy = "free some space or choose another folder"
            raise CorpusError(problem, path=self.part, remedy=remedy)

    def _copy(self, response: http.client.HTTPResponse, file: IO[bytes]) -> None:
        self.progress(self.done, self.remote.size)
        while chunk := response.read1(CHUNK_BYTES):
            try:
                file.write(chunk)
                file.flush()
            except OSError as error:
                raise write_error(self.part, error) from error
            self.hashes.update(chunk)
            self.done += len(chunk)
            self.progress(self.done, self.remote.size)
        if self.remote.size is not None and self.done < self.remote.size:
            raise _InterruptedError(f"{self.done} of {self.remote.size} bytes received")

    def _finish(self) -> Path:
        if wrong := self.hashes.mismatch():
            bad = self.target.with_name(f"{self.target.name}.bad")
            self.part.replace(bad)
            self._restart()
            problem = f"{wrong}; it is renamed to {bad.name}"
            remedy = "check the checksum, or delete that file and run it again"
            raise CorpusError(problem, path=self.target, remedy=remedy)
        self.part.replace(self.target)
        self.metadata.unlink(missing_ok=True)
        return self.target


class _Hashes:
    """Running digests of a file and the expected ones.

    Args:
        expected: algorithm (``sha256``, ``md5``, ``crc32c``) → hexadecimal digest.
    """

    def __init__(self, expected: Mapping[str, str]) -> None:
        self.expected = expected
        self.count = 0  # bytes
        self._states = {
            name: google_crc32c.Checksum() if name == "crc32c" else hashlib.new(name)
            for name in expected
        }

    def update(self, data: bytes) -> None:
        self.count += len(data)
        for state in self._states.values():
            state.update(data)

    def read_file(self, path: Path, size: int) -> None:
        """Add the bytes of a file from the current count up to ``size``."""
        if self.count >= size:
            return
        with path.open("rb") as file:
            file.seek(self.count)
            while self.count < size and (data := file.read(min(CHUNK_BYTES, size - self.count))):
                self.update(data)

    def mismatch(self) -> str:
        """Description of a wrong digest; empty if all are as expected."""
        for name, digest in self.expected.items():
            actual = self._states[name].hexdigest()
            actual = actual.decode() if isinstance(actual, bytes) else actual
            if actual != digest:
                return f"its {name.upper()} is {actual}, not {digest}"
        return ""


def _parse_checksum(checksum: str | None) -> dict[str, str]:
    if checksum is None:
        return {}
    name = {64: "sha256", 32: "md5"}.get(len(checksum))
    if name is None or not re.fullmatch("[0-9a-fA-F]+", checksum):
        problem = f'the checksum "{checksum}" is neither SHA-256 nor MD5'
        raise CorpusError(problem, remedy="give 64 or 32 hexadecimal digits")
    return {name: checksum.lower()}


def _validator(headers: Message) -> str:
    """Value for If-Range: a strong ETag, or the date of the last change."""
    etag = str(headers.get("ETag", ""))
    return etag if etag.startswith('"') else str(headers.get("Last-Modified", ""))


def _published_hashes(headers: Message) -> dict[str, str]:
    """Google Cloud Storage's digests, unless the stored file is compressed and the sent one not."""
    if headers.get("x-goog-stored-content-encoding", "identity") != "identity":
        return {}
    hashes = {}
    for item in ",".join(headers.get_all("x-goog-hash", [])).split(","):
        name, _, digest = item.strip().partition("=")
        if name in ("md5", "crc32c"):
            try:
                hashes[name] = base64.b64decode(digest, validate=True).hex()
            except binascii.Error:
                continue
    return hashes
