"""Downloading NSynth's published archives, which are large: go on where the last try broke off.

While a file comes in it is ``NAME.part``; beside it ``NAME.part.json`` keeps what the server said
of it. A later try asks for the rest only (HTTP ``Range``), and only if the file on the server is
still the same (``If-Range`` with its ETag or date: RFC 9110). It gets its name only when it is
whole: as long as the server said, and with the checksum that the user gave or that the server
publishes. NSynth lies in Google Cloud Storage, which sends ``x-goog-hash: crc32c=…,md5=…`` in
base64.
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
MAX_PAUSE_SECONDS = 60.0  # s between two tries


@dataclass(frozen=True)
class Archive:
    """A published file of NSynth.

    Attributes:
        part: ``train``, ``valid`` or ``test``; no instrument of train is in the other two.
        form: ``tfrecord`` or ``jsonwav``.
        notes: how many notes it holds.
        licence: SPDX identifier.
        citation: who made it.
    """

    part: str
    form: str
    notes: int
    licence: str = LICENCE
    citation: str = CITATION

    @property
    def url(self) -> str:
        """Where it is published."""
        suffix = {"tfrecord": "tfrecord", "jsonwav": "jsonwav.tar.gz"}[self.form]
        return f"http://download.magenta.tensorflow.org/datasets/nsynth/nsynth-{self.part}.{suffix}"


ARCHIVES = {
    f"nsynth-{part}.{form}": Archive(part, form, notes)
    for part, notes in (("train", 289_205), ("valid", 12_678), ("test", 4_096))
    for form in ("tfrecord", "jsonwav")
}


@dataclass(frozen=True)
class _Remote:
    """What the server said of the file, kept beside the part that is here."""

    url: str
    validator: str = ""  # for If-Range: a strong ETag, or else the date of the last change
    size: int | None = None  # bytes
    hashes: dict[str, str] = field(default_factory=dict)  # algorithm → hexadecimal digest


class _BrokenOffError(Exception):
    """The connection failed in a way that may pass."""


def download(
    source: str,
    folder: str | Path,
    *,
    checksum: str | None = None,
    progress: Progress | None = None,
    tries: int = 6,
    pause: float = 1.0,
) -> Path:
    """Download a file, continuing an earlier try, and check it.

    Args:
        source: a name in ``ARCHIVES`` (``nsynth-test.jsonwav``), or any http(s) URL.
        folder: where the file goes; made if absent. A file of that name which is there already
            is kept (and checked against ``checksum``).
        checksum: SHA-256 (64 hexadecimal digits) or MD5 (32) that the file must have.
        progress: called with the bytes that are here and the bytes in all, None if not known.
        tries: how often in a row a connection may bring nothing new before this gives up.
        pause: s to wait after the first such try; doubled after each.

    Returns:
        The path of the whole file.

    Raises:
        EarsError: there is no such file, no connection, no space, or the checksum is wrong.
    """
    url = ARCHIVES[source].url if source in ARCHIVES else source
    name = PurePosixPath(urllib.parse.unquote(urllib.parse.urlsplit(url).path)).name
    if urllib.parse.urlsplit(url).scheme not in ("http", "https") or not name:
        raise CorpusError(
            "is neither a URL nor a name of NSynth's",
            path=source,
            remedy=f"give http(s)://… or one of {', '.join(ARCHIVES)}",
        )
    wanted = _user_hash(checksum)
    target = make_folder(Path(folder)) / name
    if target.exists():
        hashes = _Hashes(wanted)
        hashes.catch_up(target, target.stat().st_size if wanted else 0)
        if wrong := hashes.mismatch():
            raise CorpusError(
                wrong, path=target, remedy="check the checksum, or delete the file and run it again"
            )
        return target
    fetch = _Fetch(url, target, wanted, progress or (lambda done, size: None))
    furthest, in_vain = fetch.done, 0
    while True:
        try:
            return fetch.run()
        except _BrokenOffError as error:
            in_vain = 0 if fetch.done > furthest else in_vain + 1
            furthest = max(furthest, fetch.done)
            if in_vain >= tries:
                raise CorpusError(
                    f"the download broke off: {error}",
                    path=url,
                    remedy="check the network and run it again; it goes on where it stopped",
                ) from error
        time.sleep(min(pause * 2 ** max(in_vain - 1, 0), MAX_PAUSE_SECONDS))


class _Fetch:
    """One file on its way here."""

    def __init__(
        self, url: str, target: Path, wanted: Mapping[str, str], progress: Progress
    ) -> None:
        self.url = url
        self.target = target
        self.part = target.with_name(f"{target.name}.part")
        self.notes = target.with_name(f"{target.name}.part.json")
        self.wanted = wanted
        self.progress = progress
        self.remote = self._remembered()
        self.done = self.part.stat().st_size if self.remote.validator and self.part.exists() else 0
        self.hashes = _Hashes({**self.remote.hashes, **wanted})

    def _remembered(self) -> _Remote:
        """What an earlier try noted; nothing where there is none, or it was of another URL."""
        try:
            remote = _Remote(**json.loads(self.notes.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return _Remote(self.url)
        return remote if remote.url == self.url else _Remote(self.url)

    def run(self) -> Path:
        """Ask for what is not here yet, write it, check the whole.

        Raises:
            _BrokenOffError: the connection failed; what came is kept.
        """
        if self.done != self.remote.size and not self.remote.validator:
            self._forget()  # nothing would tell whether the rest is of the same file
        self.hashes.catch_up(self.part, self.done)
        if self.remote.size is None or self.done != self.remote.size:
            request = urllib.request.Request(self.url, headers={"User-Agent": "mechanical-ears"})
            if self.done:
                request.add_header("Range", f"bytes={self.done}-")
                request.add_header("If-Range", self.remote.validator)
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
                    self._receive(response)
            except urllib.error.HTTPError as error:
                self._refused(error)
            except http.client.InvalidURL as error:
                raise CorpusError(
                    "is not a valid address", path=self.url, remedy="check it"
                ) from error
            except (OSError, http.client.HTTPException) as error:
                reason = getattr(error, "reason", None) or error
                raise _BrokenOffError(str(reason) or type(reason).__name__) from error
        return self._finish()

    def _refused(self, error: urllib.error.HTTPError) -> None:
        if error.code == 416:  # the part is longer than the file: begin again
            self._forget()
            raise _BrokenOffError("the server has no such range") from error
        if error.code in (408, 429) or error.code >= 500:
            raise _BrokenOffError(f"the server answers {error.code} {error.reason}") from error
        raise CorpusError(
            f"the server answers {error.code} {error.reason}",
            path=self.url,
            remedy="check the address",
        ) from error

    def _forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.notes.unlink(missing_ok=True)
        self._begin(_Remote(self.url))

    def _begin(self, remote: _Remote) -> None:
        self.remote, self.done = remote, 0
        self.hashes = _Hashes({**remote.hashes, **self.wanted})

    def _receive(self, response: http.client.HTTPResponse) -> None:
        headers = response.headers
        if response.status == 206:
            found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", ""))
            size = self.remote.size
            if not found or int(found[1]) != self.done or found[2] not in ("*", str(size)):
                self._forget()
                raise _BrokenOffError("the server sent another range than was asked for")
        else:  # the whole file: a first try, a file that has changed, or a server without ranges
            length = headers.get("Content-Length", "")
            self._forget()  # what is here must not pass for a part of the new file
            self._begin(
                _Remote(
                    self.url,
                    _validator(headers),
                    int(length) if length.isdecimal() else None,
                    _published_hashes(headers),
                )
            )
            write_json(self.notes, asdict(self.remote))
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
            raise CorpusError(
                f"needs {rest / 1e9:.1f} GB more, but {free / 1e9:.1f} GB are free",
                path=self.part,
                remedy="free some space or choose another folder",
            )

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
            raise _BrokenOffError(f"{self.done} of {self.remote.size} bytes came")

    def _finish(self) -> Path:
        if wrong := self.hashes.mismatch():
            bad = self.target.with_name(f"{self.target.name}.bad")
            self.part.replace(bad)
            self._forget()
            raise CorpusError(
                f"{wrong}; it is set aside as {bad.name}",
                path=self.target,
                remedy="check the checksum, or delete that file and run it again",
            )
        self.part.replace(self.target)
        self.notes.unlink(missing_ok=True)
        return self.target


class _Hashes:
    """Digests of the bytes so far, of each algorithm that a digest is known of.

    Args:
        wanted: algorithm (``sha256``, ``md5``, ``crc32c``) → hexadecimal digest.
    """

    def __init__(self, wanted: Mapping[str, str]) -> None:
        self.wanted = wanted
        self.seen = 0  # bytes
        self._states = {
            name: google_crc32c.Checksum() if name == "crc32c" else hashlib.new(name)
            for name in wanted
        }

    def update(self, data: bytes) -> None:
        self.seen += len(data)
        for state in self._states.values():
            state.update(data)

    def catch_up(self, path: Path, size: int) -> None:
        """Take in the bytes of the file from those seen up to ``size``."""
        if self.seen >= size:
            return
        with path.open("rb") as file:
            file.seek(self.seen)
            while self.seen < size and (data := file.read(min(CHUNK_BYTES, size - self.seen))):
                self.update(data)

    def mismatch(self) -> str:
        """What is wrong, in words; empty where each digest is as wanted."""
        for name, digest in self.wanted.items():
            found = self._states[name].hexdigest()
            found = found.decode() if isinstance(found, bytes) else found
            if found != digest:
                return f"its {name.upper()} is {found}, not {digest}"
        return ""


def _user_hash(checksum: str | None) -> dict[str, str]:
    if checksum is None:
        return {}
    name = {64: "sha256", 32: "md5"}.get(len(checksum))
    if name is None or not re.fullmatch("[0-9a-fA-F]+", checksum):
        raise CorpusError(
            f'the checksum "{checksum}" is no SHA-256 and no MD5',
            remedy="give 64 or 32 hexadecimal digits",
        )
    return {name: checksum.lower()}


def _validator(headers: Message) -> str:
    """What If-Range can compare: an ETag that is not weak, or the date of the last change."""
    etag = str(headers.get("ETag", ""))
    return etag if etag.startswith('"') else str(headers.get("Last-Modified", ""))


def _published_hashes(headers: Message) -> dict[str, str]:
    """Google Cloud Storage's digests of the stored file, where they are of the bytes sent."""
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
