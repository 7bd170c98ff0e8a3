"""Stores: written notes are read again, builds are atomic and can be resumed."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mechanical_ears.corpus import resumable_build
from mechanical_ears.corpus.corpus import Corpus, CorpusEntry, Provenance
from mechanical_ears.corpus.store import Store, build_store
from mechanical_ears.corpus.toy import Toy
from mechanical_ears.errors import CorpusError
from mechanical_ears.note import QUALITIES, Note
from mechanical_ears.sound import Sound


class Ramps(Corpus):
    """Notes of constants: note i is i/100 everywhere; some are silent, one may be bad."""

    provenance = Provenance("ramps", "CC0-1.0", "this test")
    sample_rate = 100

    def __init__(self, count, silent=(), bad=(), samples=400):
        self.count, self.silent, self.bad, self.samples = count, silent, bad, samples

    def __len__(self):
        return self.count

    def scan(self, start=0):
        for index in range(start, self.count):
            if index in self.bad:
                yield CorpusEntry(index, problem=CorpusError("is bad", record=f"record {index}"))
            elif index in self.silent:
                yield CorpusEntry(index)
            else:
                audio = np.full(self.samples, index / 100, dtype=np.float32)
                yield CorpusEntry(
                    index,
                    Note(
                        Sound(audio, self.sample_rate), pitch=index % 128, velocity=100,
                        instrument=f"mallet_{index % 20}", family="mallet", source="synthetic",
                        qualities=("bright", "percussive"), instrument_id=index % 20,
                        note_id=1000 + index,
                    ),
                )  # fmt: skip


def test_labels_and_audio_are_read_as_written(tmp_path):
    report = build_store(Ramps(60, silent=(3, 4)), tmp_path / "s", split=(0.8, 0.1, 0.1))
    store = Store(tmp_path / "s")
    assert (report.notes, report.silent, report.bad) == (58, 2, [])
    assert len(store) == 58
    assert store.pitch[:5].tolist() == [0, 1, 2, 5, 6]
    assert store.audio.dtype == np.int16
    assert store.audio[4].tolist() == [round(0.06 * 32767)] * 400
    note = store.note(4)
    assert (note.name, note.pitch, note.family, note.source) == (
        "mallet_6-006-100", 6, "mallet", "synthetic",
    )  # fmt: skip
    assert note.qualities == ("bright", "percussive")
    assert (note.instrument_id, note.note_id) == (6, 1006)
    np.testing.assert_allclose(note.sound.samples, 0.06, atol=1 / 65534)
    assert store.qualities[0].tolist() == [name in note.qualities for name in QUALITIES]
    np.testing.assert_array_equal(store.audio, np.load(tmp_path / "s" / "audio.npy"))


def test_sides_share_no_instrument(tmp_path):
    build_store(Ramps(400), tmp_path / "s", split=(0.8, 0.1, 0.1))
    store = Store(tmp_path / "s")
    sides = {side: set(store.instrument[store.rows(side)]) for side in ("train", "validation")}
    assert not sides["train"] & sides["validation"]
    held_out = store.rows("held-out")
    assert len(held_out) + len(store.rows("train")) == 400
    assert set(store.side[held_out]) == {"validation", "test"}


def test_short_notes_are_padded_and_long_ones_truncated(tmp_path):
    build_store(Ramps(3, samples=150), tmp_path / "short", seconds=2)
    assert Store(tmp_path / "short").audio[2, 149:152].tolist() == [655, 0, 0]
    assert len(Store(tmp_path / "short").note(2).sound.samples) == 150
    build_store(Ramps(3, samples=400), tmp_path / "long", seconds=2)
    assert Store(tmp_path / "long").audio.shape == (3, 200)


def test_a_bad_record_stops_the_build_and_leaves_nothing(tmp_path):
    with pytest.raises(CorpusError, match="record 7: is bad"):
        build_store(Ramps(20, bad=(7,)), tmp_path / "s")
    assert list(tmp_path.iterdir()) == []


def test_bad_records_can_be_skipped(tmp_path):
    report = build_store(Ramps(20, bad=(7, 9)), tmp_path / "s", skip_bad=True)
    assert report.notes == 18
    assert report.bad == ["record 7: is bad", "record 9: is bad"]
    assert json.loads((tmp_path / "s" / "store.json").read_text())["bad"] == report.bad


def test_a_build_is_resumed_after_its_last_complete_chunk(tmp_path, monkeypatch):
    monkeypatch.setattr(resumable_build, "CHUNK_ENTRIES", 8)
    build_store(Ramps(60, silent=(9,)), tmp_path / "whole")
    with pytest.raises(CorpusError):
        build_store(Ramps(60, silent=(9,), bad=(30,)), tmp_path / "cut")
    starts = []
    corpus = Ramps(60, silent=(9,))
    scan = corpus.scan
    monkeypatch.setattr(corpus, "scan", lambda start: (starts.append(start), scan(start))[1])
    build_store(corpus, tmp_path / "cut")
    assert starts == [24]
    for name in ("audio.npy", "labels.parquet"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut", "whole"]


def test_a_build_of_another_corpus_is_not_resumed(tmp_path, monkeypatch):
    monkeypatch.setattr(resumable_build, "CHUNK_ENTRIES", 8)
    with pytest.raises(CorpusError):
        build_store(Ramps(60, bad=(30,)), tmp_path / "s")
    with pytest.raises(CorpusError, match="a build of another corpus was interrupted"):
        build_store(Ramps(61), tmp_path / "s")


@pytest.mark.slow
def test_a_killed_build_is_resumed_by_the_same_command(tmp_path):
    command = [
        sys.executable, "-m", "mechanical_ears.cli", "corpus", "build", "toy",
        "--count", "1600", "--instruments", "12", "-o",
    ]  # fmt: skip
    building = tmp_path / ".killed.building" / "progress.json"
    process = subprocess.Popen([*command, tmp_path / "killed"], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (building.exists() and json.loads(building.read_text())["notes"] >= 512):
        assert process.poll() is None, "killed before it was done"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed").exists(), "an incomplete store must not have the final name"
    done = subprocess.run([*command, tmp_path / "killed"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    killed, whole = Store(tmp_path / "killed"), Toy(1600, instruments=12)
    assert len(killed) == 1600
    for row in (0, 511, 512, 513, 1599):
        (expected,) = (item.note for item in [next(iter(whole.scan(row)))])
        assert killed.note(row).name == expected.name
        np.testing.assert_allclose(
            killed.note(row).sound.samples, expected.sound.samples, atol=1 / 32767
        )
    assert not building.parent.exists()


def test_an_existing_store_is_not_touched(tmp_path):
    build_store(Ramps(3), tmp_path / "s")
    before = (tmp_path / "s" / "audio.npy").read_bytes()
    with pytest.raises(CorpusError, match="exists already"):
        build_store(Ramps(4), tmp_path / "s")
    assert (tmp_path / "s" / "audio.npy").read_bytes() == before


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: (path / "store.json").unlink(), "is not a store"),
        (lambda path: (path / "store.json").write_text("{"), "store.json is damaged"),
        (lambda path: (path / "labels.parquet").write_bytes(b"PAR1"), "is damaged"),
        (lambda path: os.truncate(path / "audio.npy", 500), "is damaged"),
        (lambda path: (path / "store.json").write_text('{"version": 99}'), "of version 99"),
    ],
)
def test_damaged_stores(tmp_path, damage, message):
    build_store(Ramps(3), tmp_path / "s")
    damage(tmp_path / "s")
    with pytest.raises(CorpusError, match=message):
        Store(tmp_path / "s")


def test_missing_sides(tmp_path):
    build_store(Ramps(3), tmp_path / "s")
    store = Store(tmp_path / "s")
    with pytest.raises(CorpusError, match="no notes on the validation side"):
        store.rows("validation")
    with pytest.raises(CorpusError, match='no side "trial"'):
        store.rows("trial")
    for side in ("train", "held-out", "all"):
        assert store.rows(side).tolist() == [0, 1, 2], "without a split every side has all notes"
