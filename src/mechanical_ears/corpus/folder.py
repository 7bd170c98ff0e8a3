"""A folder of recordings as a corpus, with labels from file names or from a table.

The table is a CSV file with a header: ``labels.csv`` in the folder, or another file. Its columns
are, in any order and among others that are ignored:

    file                          path of the recording in the folder
    pitch, pitch_midi or note     MIDI number, or a note name such as A#3
    velocity                      MIDI velocity 0..127; or velocity_low and velocity_high, the
                                  velocity layer of a sampler, of which the centre is used
    instrument, family, source    in NSynth's words; empty if unknown

With a table the corpus has the recordings in the table; without one, all WAV, FLAC, Ogg and MP3
files in the folder and its subfolders, with the labels that ``filenames`` finds.
"""

from __future__ import annotations

import csv
import functools
import hashlib
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

from mechanical_ears.corpus.corpus import Corpus, CorpusEntry, Provenance
from mechanical_ears.corpus.filenames import family_and_source_from_name, labels_from_name
from mechanical_ears.errors import CorpusError, SoundError
from mechanical_ears.note import FAMILIES, NOTE_SAMPLE_RATE, SOURCES, Note
from mechanical_ears.pitch import PITCH_COUNT, name_to_midi
from mechanical_ears.sound import FORMATS, Sound, find_sound_files

LABELS_FILE = "labels.csv"
DEFAULT_VELOCITY = 100  # MIDI velocity of a recording without one: rather loud
MAX_HASHED_BYTES = 1 << 30  # bytes of recordings; above, the provenance has no SHA-256

_PITCH_COLUMNS = ("pitch", "pitch_midi", "note")


@dataclass(frozen=True)
class _Labels:
    """Labels of a recording, in the order of the fields of `Note`."""

    pitch: int
    velocity: int
    instrument: str
    family: str | None
    source: str | None


@dataclass(frozen=True)
class _Recording:
    """A file with its labels, or with the reason why it has none."""

    path: Path
    labels: _Labels | CorpusError


class Folder(Corpus):
    """The recordings in a folder, sorted by path.

    Args:
        path: the folder.
        labels: a CSV file; None for ``labels.csv`` in the folder if it exists, else file names.
        sample_rate: Hz to which all are resampled; None for the highest rate among the files.

    Raises:
        CorpusError: there is no such folder or no recording in it, or the table cannot be used.
    """

    def __init__(
        self, path: str | Path, *, labels: str | Path | None = None, sample_rate: int | None = None
    ) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise CorpusError("no such folder", path=self.path)
        if not self.path.is_dir():
            raise CorpusError("is a file, not a folder of recordings", path=self.path)
        default = self.path / LABELS_FILE
        table = Path(labels) if labels is not None else default if default.exists() else None
        self._table = table
        self._recordings = _read_table(self.path, table) if table else _read_names(self.path)
        if not self._recordings:
            raise CorpusError(
                "has no recordings" if table is None else "lists no recordings",
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
        """Number of recordings, including those that cannot be used."""
        return len(self._recordings)

    def scan(self, start: int = 0) -> Iterator[CorpusEntry]:
        """Read the recordings from ``start`` to the end; one that is all zeros is silent."""
        for index in range(start, len(self)):
            try:
                yield CorpusEntry(index, note=self._read(self._recordings[index]))
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
        return Note(sound, *astuple(labels))


def _read_names(folder: Path) -> list[_Recording]:
    """All recordings in a folder and its subfolders, sorted by path, with labels by name."""
    return [_Recording(path, _labels_from_path(path)) for path in find_sound_files(folder)]


def _labels_from_path(path: Path) -> _Labels | CorpusError:
    labels = labels_from_name(path.stem)
    if labels is None:
        remedy = f'rename it like "Piano C4.wav" or "piano_060_100.wav", or add a {LABELS_FILE}'
        return CorpusError("the file name has no pitch", path=path, remedy=remedy)
    instrument = labels.instrument or path.resolve().parent.name
    velocity = DEFAULT_VELOCITY if labels.velocity is None else labels.velocity
    return _Labels(labels.pitch, velocity, instrument, *family_and_source_from_name(instrument))


def _read_table(folder: Path, table: Path) -> list[_Recording]:
    """Recordings in a CSV file, sorted by path.

    Raises:
        CorpusError: a row cannot be used; it has the line number.
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
        problem = f"has the columns {', '.join(columns) or '(none)'}"
        remedy = f'give a column "file" and one of {", ".join(_PITCH_COLUMNS)}'
        raise CorpusError(problem, path=table, record="line 1", remedy=remedy)
    recordings: dict[Path, _Recording] = {}
    for row in rows:
        cells = {name: (row[name] or "").strip() for name in columns}
        try:
            recording = _read_row(folder, cells, pitch_column)
        except ValueError as error:
            raise CorpusError(str(error), path=table, record=f"line {rows.line_num}") from error
        if recording.path in recordings:
            problem = f'"{cells["file"]}" is listed a second time'
            raise CorpusError(problem, path=table, record=f"line {rows.line_num}")
        recordings[recording.path] = recording
    return [recordings[path] for path in sorted(recordings)]


def _read_row(folder: Path, cells: dict[str, str], pitch_column: str) -> _Recording:
    """Recording in a row of a table.

    Raises:
        ValueError: a cell is missing or out of range.
    """
    path = folder / cells["file"]
    if not cells["file"] or not path.is_file():
        raise ValueError(f'there is no file "{cells["file"]}" in {folder}')
    from_name = labels_from_name(path.stem)
    instrument = cells.get("instrument") or (from_name.instrument if from_name else "")
    instrument = instrument or path.resolve().parent.name
    family, source = family_and_source_from_name(instrument)
    return _Recording(
        path,
        _Labels(
            pitch=_parse_pitch(cells[pitch_column], pitch_column),
            velocity=_parse_velocity(cells),
            instrument=instrument,
            family=_parse_word(cells, "family", FAMILIES) or family,
            source=_parse_word(cells, "source", SOURCES) or source,
        ),
    )


def _parse_pitch(text: str, column: str) -> int:
    if text.lstrip("-").isdigit():
        return _parse_number(text, column, PITCH_COUNT - 1)
    return name_to_midi(text)


def _parse_velocity(cells: dict[str, str]) -> int:
    if cells.get("velocity"):
        return _parse_number(cells["velocity"], "velocity", 127)
    if cells.get("velocity_low") and cells.get("velocity_high"):
        ends = [_parse_number(cells[name], name, 127) for name in ("velocity_low", "velocity_high")]
        return (sum(ends) + 1) // 2
    return DEFAULT_VELOCITY


def _parse_number(text: str, column: str, maximum: int) -> int:
    if not text.isdigit() or int(text) > maximum:
        raise ValueError(f'"{column}" is {text}, outside 0..{maximum}')
    return int(text)


def _parse_word(cells: dict[str, str], column: str, vocabulary: tuple[str, ...]) -> str | None:
    word = cells.get(column) or None
    if word is not None and word not in vocabulary:
        raise ValueError(f'"{column}" is "{word}", not one of {", ".join(vocabulary)}')
    return word


def _highest_rate(recordings: list[_Recording]) -> int:
    """The highest sample rate among the files that can be read, in Hz."""
    import soundfile

    rates = []
    for recording in recordings:
        try:
            rates.append(int(soundfile.info(recording.path).samplerate))
        except (soundfile.LibsndfileError, RuntimeError):
            continue  # the scan reports the problem
    return max(rates, default=NOTE_SAMPLE_RATE)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
