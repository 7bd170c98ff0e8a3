"""NSynth's formats: the same notes from each, and a clear error for each kind of damage."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mechanical_ears.corpus.nsynth import (
    NSynthArchive,
    NSynthFolder,
    NSynthTFRecord,
    open_nsynth,
)
from mechanical_ears.corpus.nsynth_labels import encode_note
from mechanical_ears.corpus.tfrecord import encode_example, write_tfrecord
from mechanical_ears.errors import CorpusError
from mechanical_ears.note import QUALITIES, Note
from mechanical_ears.pitch import midi_to_hz
from mechanical_ears.sound import Sound
from support.paths import DATA

DEV = DATA / "nsynth-dev"
needs_dev = pytest.mark.skipif(not DEV.exists(), reason=f"no {DEV}")
LABELS = ("name", "pitch", "velocity", "instrument", "family", "source", "qualities",
          "instrument_id", "note_id")  # fmt: skip


def make_note(number: int) -> Note:
    """A sine at int16 precision; 0, 1, 2 are C4, C#4, D4."""
    pitch = 60 + number
    sine = Sound.sine(midi_to_hz(pitch)).samples * np.float32(0.5)
    samples = np.round(sine * 32768).astype(np.float32) / 32768
    return Note(
        sound=Sound(samples, 16_000),
        pitch=pitch,
        velocity=25 * (1 + number % 4),
        instrument=f"flute_synthetic_{number:03d}",
        family="flute",
        source="synthetic",
        qualities=("bright", "tempo-synced"),
        instrument_id=7 + number,
        note_id=1000 + number,
    )


def labels_of(note: Note) -> dict[str, Any]:
    return {
        "note": note.note_id,
        "note_str": note.name,
        "instrument": note.instrument_id,
        "instrument_str": note.instrument,
        "pitch": note.pitch,
        "velocity": note.velocity,
        "sample_rate": note.sound.sample_rate,
        "qualities": [int(name in note.qualities) for name in QUALITIES],
        "qualities_str": list(note.qualities),
        "instrument_family": 2,
        "instrument_family_str": "flute",
        "instrument_source": 2,
        "instrument_source_str": "synthetic",
    }


@pytest.fixture
def notes() -> list[Note]:
    return [make_note(number) for number in range(3)]


@pytest.fixture
def folder(tmp_path: Path, notes: list[Note]) -> Path:
    folder = tmp_path / "nsynth-test"
    (folder / "audio").mkdir(parents=True)
    for note in notes:
        note.sound.save(folder / "audio" / f"{note.name}.wav")
    labels = {note.name: labels_of(note) for note in notes}
    (folder / "examples.json").write_text(json.dumps(labels))
    return folder


def pack(folder: Path, name: str = "nsynth-test.jsonwav.tar.gz") -> Path:
    """Pack a folder: WAV files in reverse order, examples.json between them."""
    path = folder.parent / name
    wavs = sorted((folder / "audio").glob("*.wav"), reverse=True)
    order = [*wavs[:1], *folder.glob("examples.json"), *wavs[1:]]
    with tarfile.open(path, "w:gz" if name.endswith("gz") else "w") as archive:
        archive.add(folder / "audio", f"{folder.name}/audio", recursive=False)
        for file in order:
            archive.add(file, f"{folder.name}/{file.relative_to(folder)}")
    return path


def check(actual: Note, expected: Note) -> None:
    assert [getattr(actual, label) for label in LABELS] == [
        getattr(expected, label) for label in LABELS
    ]
    assert actual.sound.sample_rate == expected.sound.sample_rate
    assert np.array_equal(actual.sound.samples, expected.sound.samples)


def test_each_format_gives_the_same_notes_from_any_start(
    tmp_path: Path, folder: Path, notes: list[Note]
) -> None:
    records = write_tfrecord(tmp_path / "x.tfrecord", map(encode_note, notes))
    shards = tmp_path / "shards"
    shards.mkdir()
    write_tfrecord(shards / "x.tfrecord-00000-of-00002", map(encode_note, notes[:1]))
    write_tfrecord(shards / "x.tfrecord-00001-of-00002", map(encode_note, notes[1:]))
    formats = {
        records: (NSynthTFRecord, notes),
        shards: (NSynthTFRecord, notes),
        folder: (NSynthFolder, notes),
        folder / "examples.json": (NSynthFolder, notes),
        pack(folder): (NSynthArchive, notes[::-1]),
        pack(folder, "x.tar"): (NSynthArchive, notes[::-1]),
    }
    for path, (kind, expected) in formats.items():
        corpus = open_nsynth(path)
        assert type(corpus) is kind
        assert len(corpus) == 3
        assert corpus.provenance.title == "NSynth"
        assert corpus.provenance.licence == "CC-BY-4.0"
        for start in (0, 1, 2, 3):
            entries = list(corpus.scan(start))
            assert [entry.index for entry in entries] == list(range(start, 3))
            for entry in entries:
                assert entry.problem is None
                assert entry.note is not None
                check(entry.note, expected[entry.index])


def test_float_audio_is_not_changed(tmp_path: Path) -> None:
    samples = np.linspace(-1, 1, 64_000, dtype=np.float32) / 3
    note = Note(Sound(samples, 16_000), 60, 100, "a", "organ", "acoustic")
    path = write_tfrecord(tmp_path / "x.tfrecord", [encode_note(note)])
    (actual,) = NSynthTFRecord(path)
    assert np.array_equal(actual.sound.samples, samples)


Change = Callable[[dict[str, Any]], object]

LABEL_FAULTS: list[tuple[Change, str]] = [
    (lambda e: e.pop("pitch"), '"pitch" is missing'),
    (lambda e: e.pop("qualities"), '"qualities" is missing'),
    (lambda e: e.update(pitch=300), '"pitch" is 300, outside 0..127'),
    (lambda e: e.update(velocity=-1), '"velocity" is -1, outside 0..127'),
    (lambda e: e.update(instrument_family=11), '"instrument_family" is 11, outside 0..10'),
    (lambda e: e.update(instrument_source=-1), '"instrument_source" is -1, outside 0..2'),
    (lambda e: e.update(sample_rate=8000), "sample rate is 8000 Hz, not 16000 Hz"),
    (lambda e: e.update(qualities=[0] * 9), "not ten of 0 and 1"),
    (lambda e: e.update(qualities=[2] * 10), "not ten of 0 and 1"),
]
JSON_FAULTS: list[tuple[Change, str]] = [
    (lambda e: e.update(pitch="60"), '"pitch" is "60", not an integer'),
    (lambda e: e.update(pitch=True), '"pitch" is true, not an integer'),
    (lambda e: e.update(pitch=60.0), '"pitch" is 60.0, not an integer'),
    (lambda e: e.update(instrument_str=5), '"instrument_str" is 5, not a name'),
    (lambda e: e.update(qualities={}), '"qualities" is {}, not ten of 0 and 1'),
    (lambda e: e.update(qualities=[[]] * 10), "not ten of 0 and 1"),
]


@pytest.mark.parametrize(("change", "problem"), LABEL_FAULTS + JSON_FAULTS)
def test_a_scan_reports_bad_labels_in_json_and_continues(
    folder: Path, notes: list[Note], change: Change, problem: str
) -> None:
    labels = {note.name: labels_of(note) for note in notes}
    change(labels[notes[1].name])
    (folder / "examples.json").write_text(json.dumps(labels))
    for corpus, source in ((NSynthFolder(folder), folder / "examples.json"),
                           (NSynthArchive(pack(folder)), pack(folder))):  # fmt: skip
        first, second, third = corpus.scan()
        assert (first.problem, third.problem) == (None, None)
        text = str(second.problem)
        assert text.startswith(f'{source}: note "{notes[1].name}": ')
        assert problem in text
        assert text.endswith("; skip bad records (--skip-bad)")


def encode_labels(labels: dict[str, Any], audio: np.ndarray[Any, Any] | None) -> bytes:
    """Encode labels, valid or not, as a tf.train.Example."""
    features: dict[str, Any] = {}
    for key, value in labels.items():
        values = value if isinstance(value, list) else [value]
        features[key] = [v.encode() if isinstance(v, str) else v for v in values]
    if audio is not None:
        features["audio"] = audio
    return encode_example(features)


@pytest.mark.parametrize(("change", "problem"), LABEL_FAULTS)
def test_a_scan_reports_bad_labels_in_tfrecord_and_continues(
    tmp_path: Path, notes: list[Note], change: Change, problem: str
) -> None:
    labels = labels_of(notes[1])
    change(labels)
    bad = encode_labels(labels, notes[1].sound.samples)
    path = tmp_path / "x.tfrecord"
    write_tfrecord(path, [encode_note(notes[0]), bad, encode_note(notes[2])])
    first, second, third = NSynthTFRecord(path).scan()
    assert (first.problem, third.problem) == (None, None)
    text = str(second.problem)
    assert text.startswith(f'{path}: record 1, note "{notes[1].name}": ')
    assert problem in text


@pytest.mark.parametrize(
    ("audio", "problem"),
    [
        (None, '"audio" is missing'),
        (np.zeros(63_999, np.float32), "audio has 63999 samples, not 64000"),
        (np.full(64_000, np.nan, np.float32), "sample 0 is not a finite number"),
    ],
)
def test_bad_audio_in_tfrecord(
    tmp_path: Path, notes: list[Note], audio: np.ndarray[Any, Any] | None, problem: str
) -> None:
    path = write_tfrecord(tmp_path / "x.tfrecord", [encode_labels(labels_of(notes[0]), audio)])
    (entry,) = NSynthTFRecord(path).scan()
    assert problem in str(entry.problem)
    with pytest.raises(CorpusError, match="record 0, note"):
        list(NSynthTFRecord(path))


def test_damaged_tfrecord(tmp_path: Path, notes: list[Note]) -> None:
    """A wrong CRC or a bad Example affects one record; a truncation is the last entry of a file."""
    good = encode_note(notes[0])
    whole = bytearray(
        write_tfrecord(tmp_path / "x.tfrecord", [good, good, b"\xff" * 9, good, good]).read_bytes()
    )
    whole[len(good) + 16 + 500] ^= 0x10
    bad = tmp_path / "bad.tfrecord-00000-of-00002"
    bad.write_bytes(whole[:-1])
    fine = write_tfrecord(tmp_path / "bad.tfrecord-00001-of-00002", [good])
    corpus = NSynthTFRecord([bad, fine])
    assert len(corpus) == 6
    problems = [entry.problem and entry.problem.problem for entry in corpus.scan()]
    assert problems == [
        None,
        "wrong CRC of its data: the record is damaged",
        "is not a tf.train.Example",
        None,
        f"is truncated: the file ends after {len(whole) - 1} bytes",
        None,
    ]
    assert [entry.index for entry in corpus.scan(4)] == [4, 5]
    records = [entry.problem.record for entry in corpus.scan() if entry.problem]
    assert records == ["record 1", "record 2", "record 4"]


def test_a_file_that_is_not_tfrecord(tmp_path: Path) -> None:
    path = tmp_path / "x.tfrecord"
    path.write_bytes(b"these are words, and no frames of any kind")
    (entry,) = NSynthTFRecord(path).scan()
    assert str(entry.problem) == (
        f"{path}: record 0: wrong CRC of its length: damaged from here on, "
        "or not a TFRecord file; download it again"
    )


def test_bad_wavs(folder: Path, notes: list[Note]) -> None:
    names = [note.name for note in notes]
    audio = folder / "audio"
    (audio / f"{names[0]}.wav").unlink()
    (audio / f"{names[1]}.wav").write_bytes(b"RIFF and nothing more")
    Sound(notes[2].sound.samples[:100], 16_000).save(audio / f"{names[2]}.wav")
    texts = [str(entry.problem) for entry in NSynthFolder(folder).scan()]
    assert texts[0].startswith(f'{audio / names[0]}.wav: note "{names[0]}": no such file')
    assert texts[1].startswith(f'{audio / names[1]}.wav: note "{names[1]}": is not a sound that')
    assert "audio has 100 samples, not 64000" in texts[2]
    entries = list(NSynthArchive(pack(folder)).scan())
    assert [entry.index for entry in entries] == [0, 1, 2]
    texts = [str(entry.problem) for entry in entries]
    assert "audio has 100 samples, not 64000" in texts[0]
    assert "is not a sound that can be read" in texts[1]
    assert f"there is no audio/{names[0]}.wav in the archive" in texts[2]


def test_bad_examples_json(folder: Path) -> None:
    path = folder / "examples.json"
    cases = {
        b"{\n": "line 2: is not JSON",
        b"\xff\xfe\x00": "is not JSON",
        b"[1, 2]": "is [1, 2], not an object of notes",
    }
    for text, problem in cases.items():
        path.write_bytes(text)
        for opened in (lambda: NSynthFolder(folder), lambda: NSynthArchive(pack(folder))):
            with pytest.raises(CorpusError) as raised:
                opened()
            assert problem in str(raised.value)
            assert "examples.json" in str(raised.value)
    path.write_text('{"x": 3}')
    (entry,) = NSynthFolder(folder).scan()
    assert 'note "x": no such file' in str(entry.problem)
    path.unlink()
    with pytest.raises(CorpusError, match=r"examples\.json: no such file; give a folder with"):
        NSynthFolder(folder)
    with pytest.raises(CorpusError, match=r"has no examples\.json; give one of NSynth's"):
        NSynthArchive(pack(folder))


def test_damaged_archives(folder: Path, tmp_path: Path, notes: list[Note]) -> None:
    whole = pack(folder).read_bytes()
    path = tmp_path / "bad.tar.gz"
    path.write_bytes(whole[:200])  # within the first WAV
    with pytest.raises(CorpusError, match=r"is damaged or truncated: .*; download it again"):
        NSynthArchive(path)
    path.write_bytes(whole[:-9])  # within the compressed data's end
    *before, last = NSynthArchive(path).scan()
    assert [entry.note.name for entry in before if entry.note] == [n.name for n in notes[::-1]]
    assert "is damaged or truncated" in str(last.problem)
    path.write_bytes(whole[:-8] + bytes(8))  # gzip's own checksum
    assert "is damaged or truncated: crc check failed" in str(
        list(NSynthArchive(path).scan())[-1].problem
    )
    path.write_bytes(b"words" * 1000)
    with pytest.raises(CorpusError, match="is damaged or truncated"):
        NSynthArchive(path)


def test_other_files_in_an_archive_are_ignored(folder: Path, notes: list[Note]) -> None:
    path = pack(folder, "x.tar")
    with tarfile.open(path, "a") as archive:
        for name in ("x/audio/._extra.wav", "x/README", f"x/audio/{notes[0].name}.wav"):
            member = tarfile.TarInfo(name)
            member.size = 4
            archive.addfile(member, io.BytesIO(b"junk"))
    assert [note.name for note in NSynthArchive(path)] == [note.name for note in notes[::-1]]


def test_open_nsynth_refuses_other_paths(tmp_path: Path) -> None:
    (tmp_path / "x.mp3").write_bytes(b"x")
    cases = {
        tmp_path: "has neither examples.json nor TFRecord files",
        tmp_path / "absent": "no such file or folder",
        tmp_path / "x.mp3": "is in none of NSynth's formats",
    }
    for path, problem in cases.items():
        with pytest.raises(CorpusError) as raised:
            open_nsynth(path)
        assert str(raised.value).startswith(f"{path}: {problem}; give a folder with examples.json")


def test_note_without_family_cannot_be_encoded() -> None:
    note = Note(Sound.sine(440), 69, 100, "mine")
    with pytest.raises(CorpusError, match='note "mine-069-100": has no family or no source'):
        encode_note(note)


@needs_dev
def test_real_notes() -> None:
    corpus = open_nsynth(DEV)
    assert len(corpus) == 990
    labels = json.loads((DEV / "examples.json").read_text())
    seen = 0
    for entry, (name, expected) in zip(corpus.scan(), labels.items(), strict=True):
        note = entry.note
        assert note is not None
        assert (note.name, note.pitch, note.velocity, note.note_id, note.instrument_id) == (
            name, expected["pitch"], expected["velocity"], expected["note"], expected["instrument"]
        )  # fmt: skip
        assert (note.family, note.source, list(note.qualities)) == (
            expected["instrument_family_str"],
            expected["instrument_source_str"],
            expected["qualities_str"],
        )
        seen += 1
    assert seen == 990


@needs_dev
def test_the_real_tfrecord_equals_the_wavs() -> None:
    corpus = open_nsynth(DEV.with_suffix(".tfrecord"))
    assert len(corpus) == 48
    notes = {note.name: note for note in corpus}
    assert len(notes) == 48
    names = list(json.loads((DEV / "examples.json").read_text()))
    folder = NSynthFolder(DEV)
    for name, note in notes.items():
        entry = next(folder.scan(names.index(name)))
        assert entry.note is not None
        check(note, entry.note)  # int16 / 32768 is exact in float32
