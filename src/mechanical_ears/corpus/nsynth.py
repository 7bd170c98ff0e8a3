"""NSynth in its published formats: TFRecord files, a folder of JSON and WAV, or its archive.

NSynth has 305,979 notes of 1,006 instruments, each 4 s at 16 kHz: Engel et al., "Neural Audio
Synthesis of Musical Notes with WaveNet Autoencoders" (2017). Other notes in the same formats can be
read as well. Records are streamed and not kept in memory.
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

from mechanical_ears.corpus import nsynth_labels
from mechanical_ears.corpus.corpus import Corpus, CorpusEntry
from mechanical_ears.corpus.nsynth_labels import LABELS_FILE, nsynth_provenance, parse_labels
from mechanical_ears.corpus.tfrecord import Example, TFRecordFile
from mechanical_ears.errors import CorpusError, EarsError, SoundError
from mechanical_ears.note import NOTE_SAMPLE_RATE
from mechanical_ears.sound import Sound


class NSynthTFRecord(Corpus):
    """NSynth as TFRecord: one file, or its shards in order.

    Args:
        paths: the file or files.

    Raises:
        CorpusError: a file cannot be opened, or is empty.
    """

    sample_rate = NOTE_SAMPLE_RATE

    def __init__(self, paths: str | Path | Sequence[str | Path]) -> None:
        files = [paths] if isinstance(paths, str | Path) else paths
        self.paths = tuple(Path(path) for path in files)
        self.provenance = nsynth_provenance({})
        self._count: int | None = None
        for path in self.paths:
            TFRecordFile(path)

    def __len__(self) -> int:
        """Number of records, including bad ones; the end of a truncated file counts as one."""
        if self._count is None:
            self._count = sum(1 for _ in self._walk())
        return self._count

    def _walk(self) -> Iterator[tuple[TFRecordFile, int, tuple[int, int] | CorpusError]]:
        """File, number and position of each record; a problem instead of the rest of a file."""
        for path in self.paths:
            file = TFRecordFile(path)
            number = -1
            try:
                for number, span in enumerate(file.spans()):
                    yield file, number, span
            except CorpusError as problem:
                yield file, number + 1, problem

    def scan(self, start: int = 0) -> Iterator[CorpusEntry]:
        """Iterate over the records from ``start``; only the headers of earlier ones are read."""
        for index, (file, number, span) in enumerate(self._walk()):
            if index < start:
                continue
            if isinstance(span, CorpusError):
                yield CorpusEntry(index, problem=span)
                continue
            name = f"record {number}"
            try:
                example = Example(file.read_record(span))
                name += nsynth_labels.example_name(example)
                labels = nsynth_labels.example_labels(example)
                sound = nsynth_labels.example_sound(example)
                yield CorpusEntry(index, nsynth_labels.note_from_labels(labels, sound))
            except EarsError as error:
                yield _bad_entry(index, error, file.path, name)


def _bad_entry(index: int, error: EarsError, path: Path, record: str) -> CorpusEntry:
    remedy = error.remedy or "skip bad records (--skip-bad)"
    problem = CorpusError(error.problem, path=path, record=record, remedy=remedy)
    return CorpusEntry(index, problem=problem)


class NSynthFolder(Corpus):
    """NSynth as a folder with ``examples.json`` and ``audio/*.wav``, in the order of the JSON file.

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
                "no such file", path=path, remedy="give a folder with it and audio/"
            ) from error
        except OSError as error:
            raise CorpusError(f"cannot be read: {error.strerror}", path=path) from error
        self._labels = parse_labels(text, path)
        self.provenance = nsynth_provenance({LABELS_FILE: hashlib.sha256(text).hexdigest()})

    def __len__(self) -> int:
        return len(self._labels)

    def scan(self, start: int = 0) -> Iterator[CorpusEntry]:
        """Iterate over the entries of ``examples.json`` from ``start``."""
        for index, (name, labels) in enumerate(self._labels.items()):
            if index >= start:
                wav = self.folder / "audio" / f"{name}.wav"
                source = self.folder / LABELS_FILE
                yield _load_entry(index, name, labels, source, wav, partial(Sound.load, wav))


def _load_entry(
    index: int, name: str, labels: object, source: Path, wav: Path, load: Callable[[], Sound]
) -> CorpusEntry:
    """Load one note; an error in its labels is in ``source``, an error in its sound in ``wav``."""
    record = f'note "{name}"'
    try:
        sound = load()
    except (EarsError, OSError) as error:
        problem = error.problem if isinstance(error, EarsError) else str(error.strerror)
        return _bad_entry(index, SoundError(problem), wav, record)
    try:
        return CorpusEntry(index, nsynth_labels.note_from_labels(labels, sound))
    except CorpusError as error:
        return _bad_entry(index, error, source, record)


class NSynthArchive(Corpus):
    """NSynth's published ``nsynth-*.jsonwav.tar.gz``, read as a stream without unpacking it.

    The order is that of the WAV files in the archive, followed by the notes without a WAV file. A
    scan from a later index decompresses the archive up to it again.

    Args:
        path: the archive, compressed by gzip or not.

    Raises:
        CorpusError: it is not an archive, is damaged before its labels, or has no
            ``examples.json``.
    """

    sample_rate = NOTE_SAMPLE_RATE

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        labels = next(self._members(lambda path: path.name == LABELS_FILE), None)
        if labels is None:
            remedy = "give one of NSynth's jsonwav archives"
            raise CorpusError(f"has no {LABELS_FILE}", path=self.path, remedy=remedy)
        member, text = labels
        self._labels = parse_labels(text, self.path / member)
        self.provenance = nsynth_provenance({LABELS_FILE: hashlib.sha256(text).hexdigest()})

    def __len__(self) -> int:
        return len(self._labels)

    def scan(self, start: int = 0) -> Iterator[CorpusEntry]:
        """Iterate over the notes from ``start``.

        If the archive is damaged after its labels, the last entry reports the damage (even after
        the last note, where only gzip's checksum shows that a byte is wrong).
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
                    load = partial(_decode, wav)
                    labels = self._labels[name]
                    yield _load_entry(index, name, labels, self.path, self.path / member, load)
                index += 1
        except CorpusError as problem:
            if index >= start:
                yield CorpusEntry(index, problem=problem)
            return
        for number, name in enumerate(missing, start=index):
            if number >= start:
                error = CorpusError(f"there is no audio/{name}.wav in the archive")
                yield _bad_entry(number, error, self.path, f'note "{name}"')

    def _members(self, select: Callable[[PurePosixPath], bool]) -> Iterator[tuple[str, bytes]]:
        """Names and contents of the selected files in the archive, in its order.

        At the end the rest of the stream is read, so that gzip checks its checksum.
        """
        with self._errors(), self.path.open("rb") as raw, _decompress(raw) as stream:
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                while (member := archive.next()) is not None:
                    # tarfile would keep a record of each of the 289,205 files in memory.
                    archive.members.clear()  # type: ignore[attr-defined]
                    if member.isreg() and select(PurePosixPath(member.name)):
                        file = archive.extractfile(member)
                        yield member.name, file.read() if file else b""
            while stream.read(1 << 20):
                pass

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise errors of tarfile, gzip and the system as a ``CorpusError``."""
        try:
            yield
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            problem = f"is damaged or truncated: {str(error).rstrip('.').lower()}"
            raise CorpusError(problem, path=self.path, remedy="download it again") from error
        except OSError as error:
            problem = f"cannot be read: {error.strerror or error}"
            raise CorpusError(problem, path=self.path, remedy="check the path") from error


def _decompress(raw: io.BufferedReader) -> gzip.GzipFile | io.BufferedReader:
    compressed = raw.peek(2)[:2] == b"\x1f\x8b"
    return gzip.GzipFile(fileobj=raw) if compressed else raw


def _is_wav(path: PurePosixPath) -> bool:
    return path.suffix == ".wav" and path.parent.name == "audio"


def _decode(wav: bytes) -> Sound:
    """Decode a WAV file in memory, as `Sound.load` does on disk."""
    import soundfile

    try:
        samples, sample_rate = soundfile.read(io.BytesIO(wav), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
        raise SoundError("is not a sound that can be read") from error
    return Sound(samples, int(sample_rate)).mono()


def open_nsynth(path: str | Path) -> Corpus:
    """Open NSynth in any of its formats.

    Args:
        path: a folder with ``examples.json``, that file itself, a folder of TFRecord files (shards
            in the order of their names), a TFRecord file, or a jsonwav archive.

    Raises:
        CorpusError: the path is none of these.
    """
    path = Path(path)
    if path.is_dir():
        if (path / LABELS_FILE).exists():
            return NSynthFolder(path)
        shards = sorted(file for file in path.iterdir() if _is_tfrecord(file))
        if shards:
            return NSynthTFRecord(shards)
        problem = f"has neither {LABELS_FILE} nor TFRecord files"
    elif not path.exists():
        problem = "no such file or folder"
    elif path.name == LABELS_FILE:
        return NSynthFolder(path.parent)
    elif _is_tfrecord(path):
        return NSynthTFRecord(path)
    elif path.name.endswith((".tar.gz", ".tgz", ".tar")):
        return NSynthArchive(path)
    else:
        problem = "is in none of NSynth's formats"
    remedy = f"give a folder with {LABELS_FILE} and audio/, .tfrecord files or a .tar.gz archive"
    raise CorpusError(problem, path=path, remedy=remedy)


def _is_tfrecord(path: Path) -> bool:
    """Whether the file is named ``NAME.tfrecord`` or ``NAME.tfrecord-00001-of-00010``."""
    return path.is_file() and (path.suffix == ".tfrecord" or ".tfrecord-" in path.name)
