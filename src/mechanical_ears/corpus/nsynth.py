"""NSynth in each form it is published in: TFRecord files, a folder of JSON and WAV, their archive.

NSynth holds 305,979 notes of 1,006 instruments, each 4 s at 16 kHz: Engel et al., "Neural Audio
Synthesis of Musical Notes with WaveNet Autoencoders" (2017). Other notes in the same forms are read
just the same. Everything is streamed: a record is read when its turn comes, and kept by nobody.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath

from mechanical_ears.corpus.corpus import Corpus, CorpusEntry
from mechanical_ears.corpus.nsynth_labels import (
    LABELS_FILE,
    example_labels,
    example_name,
    example_sound,
    note_from_labels,
    nsynth_provenance,
    parse_labels,
)
from mechanical_ears.corpus.tfrecord import Example, TFRecordFile
from mechanical_ears.errors import CorpusError, EarsError, SoundError
from mechanical_ears.note import NOTE_SAMPLE_RATE
from mechanical_ears.sound import Sound


class NSynthTFRecord(Corpus):
    """NSynth in TFRecord form: one file, or the shards of it in order.

    Args:
        paths: the file or files.

    Raises:
        CorpusError: a file cannot be opened, or is empty.
    """

    sample_rate = NOTE_SAMPLE_RATE

    def __init__(self, paths: str | Path | Sequence[str | Path]) -> None:
        several = [paths] if isinstance(paths, str | Path) else list(paths)
        self.paths = tuple(Path(path) for path in several)
        self.provenance = nsynth_provenance({})
        self._count: int | None = None
        for path in self.paths:
            TFRecordFile(path)

    def __len__(self) -> int:
        """Number of records; the end of a file that is cut off counts as a bad one."""
        if self._count is None:
            self._count = sum(1 for _ in self._walk())
        return self._count

    def _walk(self) -> Iterator[tuple[TFRecordFile, int, tuple[int, int] | CorpusError]]:
        """Where each record lies, or, last in its file, why the walk cannot go on in that file."""
        for path in self.paths:
            file = TFRecordFile(path)
            place = -1
            try:
                for place, span in enumerate(file.spans()):
                    yield file, place, span
            except CorpusError as problem:
                yield file, place + 1, problem

    def scan(self, start: int = 0) -> Iterator[CorpusEntry]:
        """Walk the records from ``start`` on; those before it are passed over by their headers."""
        for index, (file, place, span) in enumerate(self._walk()):
            if index < start:
                continue
            if isinstance(span, CorpusError):
                yield CorpusEntry(index, problem=span)
                continue
            name = f"record {place}"
            try:
                example = Example(file.record(span))
                name += example_name(example)
                note = note_from_labels(example_labels(example), example_sound(example))
                yield CorpusEntry(index, note)
            except EarsError as error:
                yield _bad(index, error, file.path, name)


def _bad(index: int, error: EarsError, path: Path, record: str) -> CorpusEntry:
    remedy = error.remedy or "skip bad records (--skip-bad)"
    problem = CorpusError(error.problem, path=path, record=record, remedy=remedy)
    return CorpusEntry(index, problem=problem)


class NSynthFolder(Corpus):
    """NSynth in JSON/WAV form: a folder with ``examples.json`` and ``audio/*.wav``.

    The order is that of ``examples.json``.

    Args:
        folder: the folder.

    Raises:
        CorpusError: ``examples.json`` is missing or is not NSynth's.
    """

    sample_rate = NOTE_SAMPLE_RATE

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        path = self.folder / LABELS_FILE
        try:
            text = path.read_bytes()
        except FileNotFoundError as error:
            raise CorpusError(
                "no such file", path=path, remedy="give a folder that holds it beside audio/"
            ) from error
        except OSError as error:
            raise CorpusError(f"cannot be read: {error.strerror}", path=path) from error
        self._labels = parse_labels(text, path)
        self.provenance = nsynth_provenance({LABELS_FILE: hashlib.sha256(text).hexdigest()})

    def __len__(self) -> int:
        return len(self._labels)

    def scan(self, start: int = 0) -> Iterator[CorpusEntry]:
        """Walk the entries from ``start`` on."""
        for index, (name, labels) in enumerate(self._labels.items()):
            if index >= start:
                wav = self.folder / "audio" / f"{name}.wav"
                source = self.folder / LABELS_FILE
                yield _scanned(index, name, labels, source, wav, partial(Sound.load, wav))


def _scanned(
    index: int,
    name: str,
    labels: object,
    source: Path,
    wav: Path,
    load: Callable[[], Sound],
) -> CorpusEntry:
    """The note of one entry; an error in its labels names ``source``, in its sound ``wav``."""
    record = f'note "{name}"'
    try:
        sound = load()
    except (EarsError, OSError) as error:
        problem = error.problem if isinstance(error, EarsError) else str(error.strerror)
        return _bad(index, SoundError(problem), wav, record)
    try:
        return CorpusEntry(index, note_from_labels(labels, sound))
    except CorpusError as error:
        return _bad(index, error, source, record)


class NSynthArchive(Corpus):
    """NSynth's published ``nsynth-*.jsonwav.tar.gz``, read as a stream without unpacking it.

    The order is that of the WAV files in the archive, then the notes whose WAV is not in it. To
    scan from a later place, the archive is decompressed up to there again.

    Args:
        path: the archive, compressed by gzip or not.

    Raises:
        CorpusError: it is no archive, is damaged before its labels, or holds no ``examples.json``.
    """

    sample_rate = NOTE_SAMPLE_RATE

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        found = next(self._members(_is_labels), None)
        if found is None:
            raise CorpusError(
                f"holds no {LABELS_FILE}",
                path=self.path,
                remedy="give one of NSynth's jsonwav archives",
            )
        member, text = found
        self._labels = parse_labels(text, self.path / member)
        self.provenance = nsynth_provenance({LABELS_FILE: hashlib.sha256(text).hexdigest()})

    def __len__(self) -> int:
        return len(self._labels)

    def scan(self, start: int = 0) -> Iterator[CorpusEntry]:
        """Walk the notes from ``start`` on.

        An archive that is damaged behind its labels ends there, with the damage as the last thing
        told (even behind the last note, where only gzip's checksum finds that some byte is wrong).
        """
        missing = dict.fromkeys(self._labels)
        index = 0
        try:
            for member, wav in self._members(_is_wav):
                name = PurePosixPath(member).stem
                if name not in missing:
                    continue
                del missing[name]
                if index >= start:
                    load = partial(_decoded, wav)
                    labels = self._labels[name]
                    yield _scanned(index, name, labels, self.path, self.path / member, load)
                index += 1
        except CorpusError as problem:
            if index >= start:
                yield CorpusEntry(index, problem=problem)
            return
        for place, name in enumerate(missing, start=index):
            if place >= start:
                error = CorpusError(f"there is no audio/{name}.wav in the archive")
                yield _bad(place, error, self.path, f'note "{name}"')

    def _members(self, wanted: Callable[[PurePosixPath], bool]) -> Iterator[tuple[str, bytes]]:
        """Names and contents of the wanted files in the archive, in its order.

        At the end the rest of the stream is read, so that gzip checks its checksum.
        """
        with self._told(), self.path.open("rb") as raw, _unpacked(raw) as stream:
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                while (member := archive.next()) is not None:
                    # It would remember each of the 289,205 files of the archive.
                    archive.members.clear()  # type: ignore[attr-defined]
                    if member.isreg() and wanted(PurePosixPath(member.name)):
                        file = archive.extractfile(member)
                        yield member.name, file.read() if file else b""
            while stream.read(1 << 20):
                pass

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say in one line what tarfile, gzip or the system complain of."""
        try:
            yield
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise CorpusError(
                f"is no whole archive: {str(error).rstrip('.').lower()}",
                path=self.path,
                remedy="download it again",
            ) from error
        except OSError as error:
            raise CorpusError(
                f"cannot be read: {error.strerror or error}",
                path=self.path,
                remedy="check the path",
            ) from error


def _unpacked(raw: io.BufferedReader) -> gzip.GzipFile | io.BufferedReader:
    packed = raw.peek(2)[:2] == b"\x1f\x8b"
    return gzip.GzipFile(fileobj=raw) if packed else raw


def _is_labels(path: PurePosixPath) -> bool:
    return path.name == LABELS_FILE


def _is_wav(path: PurePosixPath) -> bool:
    return path.suffix == ".wav" and path.parent.name == "audio"


def _decoded(wav: bytes) -> Sound:
    """A WAV file in memory, decoded as `Sound.load` does one on disk."""
    import soundfile

    try:
        channels, sample_rate = soundfile.read(io.BytesIO(wav), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
        raise SoundError("is not a sound that can be read") from error
    return Sound(channels.mean(axis=1), int(sample_rate))


def open_nsynth(path: str | Path) -> Corpus:
    """Open NSynth in whatever form lies at ``path``.

    Args:
        path: a folder with ``examples.json``, that file itself, a folder of TFRecord files (shards
            are taken in the order of their names), a TFRecord file, or a jsonwav archive.

    Raises:
        CorpusError: nothing of that kind is there.
    """
    path = Path(path)
    if path.is_dir():
        if (path / LABELS_FILE).exists():
            return NSynthFolder(path)
        shards = sorted(file for file in path.iterdir() if _is_tfrecord(file))
        if shards:
            return NSynthTFRecord(shards)
        problem = f"holds neither {LABELS_FILE} nor TFRecord files"
    elif not path.exists():
        problem = "no such file or folder"
    elif path.name == LABELS_FILE:
        return NSynthFolder(path.parent)
    elif _is_tfrecord(path):
        return NSynthTFRecord(path)
    elif path.name.endswith((".tar.gz", ".tgz", ".tar")):
        return NSynthArchive(path)
    else:
        problem = "is none of NSynth's forms"
    raise CorpusError(
        problem,
        path=path,
        remedy=f"give a folder with {LABELS_FILE} and audio/, .tfrecord files or a .tar.gz archive",
    )


def _is_tfrecord(path: Path) -> bool:
    """Whether the file is called ``NAME.tfrecord`` or ``NAME.tfrecord-00001-of-00010``."""
    return path.is_file() and (path.suffix == ".tfrecord" or ".tfrecord-" in path.name)
