"""Folders of recordings: labels from file names and tables, and errors in them."""

from __future__ import annotations

import csv
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mechanical_ears.corpus.filenames import (
    NameLabels,
    family_and_source_from_name,
    labels_from_name,
)
from mechanical_ears.corpus.folder import Folder
from mechanical_ears.errors import CorpusError
from mechanical_ears.sound import Sound
from support.paths import DATA


def _record(path: Path, sample_rate: int = 16_000, frequency: float = 440) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return Sound.sine(frequency, 0.25, sample_rate).save(path)


@pytest.mark.parametrize(
    ("stem", "pitch", "velocity", "instrument"),
    [
        ("A#3", 58, None, ""),
        ("Bb4_f", 70, 96, ""),
        ("C4vH", 60, 104, ""),
        ("A0vL", 21, 40, ""),
        ("Piano C4 mf", 60, 80, "Piano"),
        ("Grand Piano.C4.ff", 60, 112, "Grand_Piano"),
        ("01 Piano C4", 60, None, "Piano"),
        ("808 C2", 36, None, "808"),
        ("C4_piano", 60, None, "piano"),
        ("piano_ff_C4", 60, 112, "piano"),
        ("flute-g#5-vel90", 80, 90, "flute"),
        ("Fs3", 54, None, ""),
        ("C-1", 0, None, ""),
        ("G9", 127, None, ""),
        ("C4_064", 60, 64, ""),
        ("A0v5", 21, None, ""),  # layer 5 of an unknown number
        ("clarinet_C4_rr2", 60, None, "clarinet"),
        ("Bass Clarinet Bb2 pp", 46, 33, "Bass_Clarinet"),
        ("piano_060_100", 60, 100, "piano"),
        ("060_100", 60, 100, ""),
        ("bass_electronic_018-022-100", 22, 100, "bass_electronic_018"),
    ],
)
def test_labels_from_names(stem: str, pitch: int, velocity: int | None, instrument: str) -> None:
    assert labels_from_name(stem) == NameLabels(pitch, velocity, instrument)


@pytest.mark.parametrize(
    "stem", ["kick", "my_take_1", "A3 to C4", "G#9", "C10", "violin_300_100", "Es4", ""]
)
def test_names_without_a_single_pitch(stem: str) -> None:
    assert labels_from_name(stem) is None


@pytest.mark.parametrize(
    ("instrument", "labels"),
    [
        ("Piano", ("keyboard", None)),
        ("GrandPiano", ("keyboard", None)),
        ("upright-piano-kw", ("keyboard", None)),
        ("Bass_Clarinet", ("reed", None)),
        ("bass guitar", ("bass", None)),
        ("12-String Guitar", ("guitar", None)),
        ("strings", ("string", None)),
        ("English Horn", ("reed", None)),
        ("French Horns", ("brass", None)),
        ("flute and harp", (None, None)),
        ("xyz", (None, None)),
        ("synth_lead_synthetic_003", ("synth_lead", "synthetic")),
    ],
)
def test_family_and_source_from_names(
    instrument: str, labels: tuple[str | None, str | None]
) -> None:
    assert family_and_source_from_name(instrument) == labels


def test_recordings_are_sorted_by_path(tmp_path: Path) -> None:
    for name in ("b/Viola D4 p.wav", "a/flute/A4.FLAC", "c3.ogg", "b/E4.mp3"):
        _record(tmp_path / name, 44_100 if name.endswith("mp3") else 16_000)
    _record(tmp_path / ".trash" / "A1.wav")
    (tmp_path / "readme.txt").write_text("not a sound")
    corpus = Folder(tmp_path)
    notes = list(corpus)
    assert [(note.name, note.family) for note in notes] == [
        ("flute-069-100", "flute"),
        ("b-064-100", None),
        ("Viola-062-049", "string"),
        (f"{tmp_path.name}-048-100", None),
    ]
    assert len(corpus) == 4
    assert {note.sound.sample_rate for note in notes} == {corpus.sample_rate} == {44_100}
    assert Folder(tmp_path, sample_rate=8_000).sample_rate == 8_000
    assert [entry.index for entry in corpus.scan(3)] == [3]


def test_samples_are_those_of_the_file(tmp_path: Path) -> None:
    path = _record(tmp_path / "A4.wav")
    (note,) = Folder(tmp_path)
    expected, _ = soundfile.read(path, dtype="float32")
    assert np.array_equal(note.sound.samples, expected)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert Folder(tmp_path).provenance.files == {"A4.wav": digest}


def test_a_scan_reports_bad_recordings_and_continues(tmp_path: Path) -> None:
    _record(tmp_path / "A4.wav")
    (tmp_path / "B4.wav").write_text("not a sound")
    _record(tmp_path / "kick.wav")
    Sound(np.zeros(100), 16_000).save(tmp_path / "zC4.wav".replace("z", "z "))
    good, bad, nameless, silent = Folder(tmp_path).scan()
    assert good.note is not None
    assert good.problem is None
    assert str(bad.problem).startswith(f"{tmp_path / 'B4.wav'}: is not a sound that can be read")
    assert str(nameless.problem) == (
        f"{tmp_path / 'kick.wav'}: the file name has no pitch; "
        'rename it like "Piano C4.wav" or "piano_060_100.wav", or add a labels.csv'
    )
    assert (silent.note, silent.problem) == (None, None)


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such folder"):
        Folder(tmp_path / "absent")
    with pytest.raises(CorpusError, match=r"has no recordings; give a folder with \.wav"):
        Folder(tmp_path)
    with pytest.raises(CorpusError, match="is a file, not a folder"):
        Folder(_record(tmp_path / "A4.wav"))


def test_a_table_overrides_names(tmp_path: Path) -> None:
    for name in ("x.wav", "y.wav", "Piano C4.wav", "unlisted A4.wav"):
        _record(tmp_path / name)
    (tmp_path / "labels.csv").write_text(
        "file,note,velocity,instrument,family,source,who\n"
        "y.wav,Bb3,33,,,,me\n"
        "x.wav,61,,oud,guitar,acoustic,me\n"
        "Piano C4.wav,C5,,,,,\n",
        encoding="utf-8-sig",
    )
    notes = list(Folder(tmp_path))
    assert [(n.instrument, n.pitch, n.velocity, n.family, n.source) for n in notes] == [
        ("Piano", 72, 100, "keyboard", None),
        ("oud", 61, 100, "guitar", "acoustic"),
        (tmp_path.name, 58, 33, None, None),
    ]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file\nA4.wav\n", 'line 1: has the columns file; give a column "file" and one of pitch'),
        ("", "line 1: has the columns (none)"),
        ("file,pitch\n", "lists no recordings"),
        ("file,pitch\nA4.wav,69\nB4.wav,71\n", 'line 3: there is no file "B4.wav" in'),
        ("file,pitch\nA4.wav,128\n", 'line 2: "pitch" is 128, outside 0..127'),
        ("file,pitch\nA4.wav,\n", 'line 2: "" is not a note name'),
        ("file,pitch\nA4.wav,x\n", 'line 2: "x" is not a note name'),
        ("file,pitch\nA4.wav\n", 'line 2: "" is not a note name'),
        ("file,pitch,velocity\nA4.wav,69,ff\n", 'line 2: "velocity" is ff, outside 0..127'),
        ("file,pitch,family\nA4.wav,69,tuba\n", 'line 2: "family" is "tuba", not one of bass'),
        ("file,pitch\nA4.wav,69\nA4.wav,69\n", 'line 3: "A4.wav" is listed a second time'),
    ],
)
def test_bad_tables(tmp_path: Path, table: str, message: str) -> None:
    _record(tmp_path / "A4.wav")
    path = tmp_path / "other.csv"
    path.write_text(table)
    with pytest.raises(CorpusError, match=re.escape(message)) as caught:
        Folder(tmp_path, labels=path)
    assert str(caught.value).startswith(str(path))


def test_a_missing_or_binary_table(tmp_path: Path) -> None:
    recording = _record(tmp_path / "A4.wav")
    with pytest.raises(CorpusError, match="no such file"):
        Folder(tmp_path, labels=tmp_path / "absent.csv")
    with pytest.raises(CorpusError, match="cannot be read; give a CSV file in UTF-8"):
        Folder(tmp_path, labels=recording)


@pytest.mark.parametrize("name", ["spanish-guitar", "upright-piano-kw"])
def test_real_recordings_agree_with_their_table(name: str) -> None:
    folder = DATA / name
    if not folder.exists():
        pytest.skip(f"the development data {folder} is absent")
    with (folder / "truth.csv").open() as file:
        truth = {Path(row["file"]).stem: int(row["pitch_midi"]) for row in csv.DictReader(file)}
    labels = {stem: labels_from_name(stem) for stem in truth}
    assert {stem: label and label.pitch for stem, label in labels.items()} == truth
    by_name, by_table = Folder(folder), Folder(folder, labels=folder / "truth.csv")
    assert len(by_name) == len(by_table) == len(truth)
    assert by_name.sample_rate == 44_100
    first, second = next(by_name.scan()).note, next(by_table.scan()).note
    assert first is not None
    assert second is not None
    assert (first.pitch, first.instrument) == (second.pitch, second.instrument)
    assert first.family == {"spanish-guitar": "guitar", "upright-piano-kw": "keyboard"}[name]
