"""A folder of recordings as a corpus, labelled by the files' names or by a table.

The table is a CSV file with a header (``labels.csv`` in the folder, or another one that is named).
Its columns, in any order, others being ignored:

    file                          path of the recording in the folder
    pitch, pitch_midi or note     MIDI number, or a note name such as A#3
    velocity                      MIDI velocity 0..127; or velocity_low and velocity_high, the
                                  layer for which a sampler plays it, of which the middle is taken
    instrument, family, source    in NSynth's words; empty where unknown

With a table the corpus is what the table names; without one, every WAV, FLAC, Ogg and MP3 file in
the folder and below, and the labels are what ``filenames`` reads.
"""

from __future__ import annotations

import csv
import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mechanical_ears.corpus.corpus import Corpus, CorpusEntry, Provenance
from mechanical_ears.corpus.filenames import family_and_source_from_name, labels_from_name
from mechanical_ears.errors import CorpusError, SoundError
from mechanical_ears.note import FAMILIES, NOTE_SAMPLE_RATE, SOURCES, Note
from mechanical_ears.pitch import PITCH_COUNT, name_to_midi
from mechanical_ears.sound import FORMATS, Sound, find_sound_files

LABELS_FILE = "labels.csv"
DEFAULT_VELOCITY = 100  # MIDI velocity of a recording that tells none: played with some force
MAX_HASHED_BYTES = 1 << 30  # bytes of recordings up to which their provenance holds their SHA-256

_PITCH_COLUMNS = ("pitch", "pitch_midi", "note")


@dataclass(frozen=True)
class _Labels:
    pitch: int
    velocity: int
    instrument: str
    family: str | None
    source: str | None


@dataclass(frozen=True)
class _Recording:
    """A file and its labels, or why it has none."""

    path: Path
    labels: _Labels | CorpusError


class Folder(Corpus):
    """The recordings in a folder, in the order of their paths.

    Args:
        path: the folder.
        labels: a CSV file; None for ``labels.csv`` in the folder if there is one, else file names.
        sample_rate: Hz to which all are resampled; None for the highest rate among the files.

    Raises:
        CorpusError: there is no such folder, no recording in it, or the table cannot be used.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        labels: str | Path | None = None,
        sample_rate: int | None = None,
    ) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise CorpusError("no such folder", path=self.path)
        if not self.path.is_dir():
            raise CorpusError("is a file, not a folder of recordings", path=self.path)
        own = self.path / LABELS_FILE
        table = Path(labels) if labels is not None else own if own.exists() else None
        self._table = table
        self._recordings = (
            _from_names(self.path) if table is None else _from_table(self.path, table)
        )
        if not self._recordings:
            raise CorpusError(
                "holds no recordings" if table is None else "names no recordings",
                path=table or self.path,
                remedy=f"give a folder with {', '.join(FORMATS)} files",
            )
        self.sample_rate = sample_rate or _highest_rate(self._recordings)
        if self.sample_rate < 1:
            raise CorpusError(f'"sample_rate" is {sample_rate} Hz, not above 0')

    @functools.cached_property
    def provenance(self) -> Provenance:  # type: ignore[override]
        """The folder's name and, up to ``MAX_HASHED_BYTES``, the SHA-256 of its files."""
        paths = [recording.path for recording in self._recordings if recording.path.exists()]
        if sum(path.stat().st_size for path in paths) > MAX_HASHED_BYTES:
            paths = []
        files = {path.relative_to(self.path).as_posix(): _sha256(path) for path in paths}
        if self._table is not None:
            files[self._table.name] = _sha256(self._table)
        return Provenance(title=self.path.resolve().name, files=files)

    def __len__(self) -> int:
        """Number of recordings, those that cannot be used counted in."""
        return len(self._recordings)

    def scan(self, start: int = 0) -> Iterator[CorpusEntry]:
        """Read the recordings from ``start`` to the end; one that is all zeros holds no note."""
        for index in range(start, len(self)):
            recording = self._recordings[index]
            try:
                yield CorpusEntry(index, note=self._read(recording))
            except CorpusError as error:
                yield CorpusEntry(index, problem=error)

    def _read(self, recording: _Recording) -> Note | None:
        labels = recording.labels
        if isinstance(labels, CorpusError):
            raise labels
        try:
            sound = Sound.load(recording.path).resample(self.sample_rate)
        except SoundError as error:
            raise CorpusError(error.problem, path=error.path, remedy=error.remedy) from error
        if not sound.samples.any():
            return None
        return Note(
            sound=sound,
            pitch=labels.pitch,
            velocity=labels.velocity,
            instrument=labels.instrument,
            family=labels.family,
            source=labels.source,
        )


def _from_names(folder: Path) -> list[_Recording]:
    """Every recording in the folder and below, sorted by path, labelled by its name."""
    return [_Recording(path, _labels_of(path)) for path in find_sound_files(folder)]


def _labels_of(path: Path) -> _Labels | CorpusError:
    told = labels_from_name(path.stem)
    if told is None:
        return CorpusError(
            "the file name has no pitch",
            path=path,
            remedy=f'rename it like "Piano C4.wav" or "piano_060_100.wav", or add a {LABELS_FILE}',
        )
    instrument = told.instrument or path.resolve().parent.name
    velocity = DEFAULT_VELOCITY if told.velocity is None else told.velocity
    return _Labels(told.pitch, velocity, instrument, *family_and_source_from_name(instrument))


def _from_table(folder: Path, table: Path) -> list[_Recording]:
    """The recordings that a CSV file names, sorted by path.

    Raises:
        CorpusError: with the line, where a row cannot be used.
    """
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise CorpusError(reason, path=table, remedy="give a CSV file in UTF-8") from error
    header = text.split("\n", 1)[0]
    rows = csv.DictReader(text.splitlines(), delimiter="," if "," in header else ";")
    columns = [name.strip() for name in rows.fieldnames or ()]
    rows.fieldnames = columns
    pitch_column = next((name for name in _PITCH_COLUMNS if name in columns), None)
    if "file" not in columns or pitch_column is None:
        raise CorpusError(
            f"has the columns {', '.join(columns) or '(none)'}",
            path=table,
            record="line 1",
            remedy=f'name a column "file" and one of {", ".join(_PITCH_COLUMNS)}',
        )
    recordings: dict[Path, _Recording] = {}
    for row in rows:
        cells = {name: (row[name] or "").strip() for name in columns}
        try:
            recording = _from_row(folder, cells, pitch_column)
        except ValueError as error:
            raise CorpusError(str(error), path=table, record=f"line {rows.line_num}") from error
        if recording.path in recordings:
            problem = f'"{cells["file"]}" is named a second time'
            raise CorpusError(problem, path=table, record=f"line {rows.line_num}")
        recordings[recording.path] = recording
    return [recordings[path] for path in sorted(recordings)]


def _from_row(folder: Path, cells: dict[str, str], pitch_column: str) -> _Recording:
    """One row of a table; a ``ValueError`` says what is wrong with it."""
    path = folder / cells["file"]
    if not cells["file"] or not path.is_file():
        raise ValueError(f'there is no file "{cells["file"]}" in {folder}')
    told = labels_from_name(path.stem)
    instrument = cells.get("instrument") or (told.instrument if told else "")
    instrument = instrument or path.resolve().parent.name
    family, source = family_and_source_from_name(instrument)
    return _Recording(
        path,
        _Labels(
            pitch=_pitch(cells[pitch_column], pitch_column),
            velocity=_velocity(cells),
            instrument=instrument,
            family=_word(cells, "family", FAMILIES) or family,
            source=_word(cells, "source", SOURCES) or source,
        ),
    )


def _pitch(text: str, column: str) -> int:
    if text.lstrip("-").isdigit():
        return _number(text, column, PITCH_COUNT - 1)
    return name_to_midi(text)


def _velocity(cells: dict[str, str]) -> int:
    if cells.get("velocity"):
        return _number(cells["velocity"], "velocity", 127)
    if cells.get("velocity_low") and cells.get("velocity_high"):
        low, high = (_number(cells[name], name, 127) for name in ("velocity_low", "velocity_high"))
        return (low + high + 1) // 2
    return DEFAULT_VELOCITY


def _number(text: str, column: str, highest: int) -> int:
    if not text.isdigit() or int(text) > highest:
        raise ValueError(f'"{column}" is {text}, outside 0..{highest}')
    return int(text)


def _word(cells: dict[str, str], column: str, vocabulary: tuple[str, ...]) -> str | None:
    word = cells.get(column) or None
    if word is not None and word not in vocabulary:
        raise ValueError(f'"{column}" is "{word}", none of {", ".join(vocabulary)}')
    return word


def _highest_rate(recordings: list[_Recording]) -> int:
    """The highest sample rate among the files that can be read, in Hz."""
    import soundfile

    rates = []
    for recording in recordings:
        try:
            rates.append(int(soundfile.info(recording.path).samplerate))
        except (soundfile.LibsndfileError, RuntimeError):
            continue  # the scan tells what is wrong with it
    return max(rates, default=NOTE_SAMPLE_RATE)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
