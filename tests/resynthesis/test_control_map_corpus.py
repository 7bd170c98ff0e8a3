"""Corpora of maps: whole, marked, continued after an interruption."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears.cli import main
from mechanical_ears.corpus import resumable_build
from mechanical_ears.corpus.corpus import Corpus, CorpusEntry, Provenance
from mechanical_ears.corpus.store import build_store
from mechanical_ears.corpus.toy import Toy
from mechanical_ears.errors import CorpusError
from mechanical_ears.note import Note
from mechanical_ears.pitch import cents_between, midi_to_hz
from mechanical_ears.resynthesis.analysis.analyse import analyse
from mechanical_ears.resynthesis.control_map_corpus import ControlMapStore, build_control_maps
from mechanical_ears.sound import Sound

pytest.importorskip("pyarrow")

pytestmark = pytest.mark.slow


class Mixed(Corpus):
    """Toy notes with a silent entry, a bad record and a silent note among them."""

    provenance = Provenance("mixed", "CC0-1.0")
    sample_rate = 16_000

    def __init__(self, stop_at=None):
        self.notes = list(Toy(9, instruments=3, seed=2))
        self.stop_at = stop_at

    def __len__(self):
        return 12

    def scan(self, start=0):
        silence = Note(Sound(np.zeros(64_000, np.float32), 16_000), 60, 100, "nothing")
        entries = [*self.notes, None, CorpusError("torn", record="record 10"), silence]
        for index in range(start, len(entries)):
            if index == self.stop_at:
                raise KeyboardInterrupt
            entry = entries[index]
            problem = entry if isinstance(entry, CorpusError) else None
            yield CorpusEntry(index, entry if isinstance(entry, Note) else None, problem)


def test_every_note_has_a_map(tmp_path):
    report = build_control_maps(Mixed(), tmp_path / "maps", workers=1)
    assert (report.maps, report.silent) == (9, 1)
    assert report.bad == ["record 10: torn", 'note "nothing-060-100": is silent']
    store = ControlMapStore(tmp_path / "maps")
    assert len(store) == 9
    assert store.provenance.licence == "CC0-1.0"
    for number, note in enumerate(Mixed().notes):
        assert store.table["note_str"][number].as_py() == note.name
        assert np.array_equal(store[number].partials, analyse(note).partials)
        assert (store.table["lsd"][number].as_py() > 6) <= store.table["poor"][number].as_py()


def test_an_interrupted_build_is_resumed(tmp_path, monkeypatch):
    monkeypatch.setattr(resumable_build, "CHUNK_ENTRIES", 2)
    with pytest.raises(KeyboardInterrupt):
        build_control_maps(Mixed(stop_at=5), tmp_path / "maps", workers=1)
    assert not (tmp_path / "maps").exists()
    done = []
    build_control_maps(
        Mixed(), tmp_path / "maps", workers=1, progress=lambda n, all_: done.append(n)
    )
    assert done[0] == 6  # entries 0 … 3 were not analysed again
    build_control_maps(Mixed(), tmp_path / "again", workers=1)
    one, other = ((tmp_path / name / "maps.bin").read_bytes() for name in ("maps", "again"))
    assert one == other


def test_processes_give_the_same(tmp_path):
    build_control_maps(Mixed(), tmp_path / "one", workers=1)
    build_control_maps(Mixed(), tmp_path / "two", workers=2)
    assert ControlMapStore(tmp_path / "one").table.equals(ControlMapStore(tmp_path / "two").table)


def test_the_command_reads_a_store(tmp_path, capsys):
    build_store(Toy(12, instruments=6), tmp_path / "store", split=(0.5, 0.25, 0.25))
    options = ["-o", str(tmp_path / "maps"), "--workers", "1"]
    assert main(["corpus", "controls", str(tmp_path / "store"), *options]) == 0
    assert "12 maps" in capsys.readouterr().out
    store = ControlMapStore(tmp_path / "maps")
    assert set(store.table["split"].to_pylist()) == {"train", "validation", "test"}
    for number in range(len(store)):
        key = midi_to_hz(store.table["pitch"][number].as_py())
        assert abs(cents_between(store[number].frequency, key)) < 110
    assert main(["corpus", "controls", str(tmp_path / "store"), *options]) == 2
    assert "exists already" in capsys.readouterr().err


def test_missing_and_damaged_maps(tmp_path):
    with pytest.raises(CorpusError, match="no maps"):
        ControlMapStore(tmp_path)
    build_control_maps(Mixed(), tmp_path / "maps", workers=1)
    data = (tmp_path / "maps" / "maps.bin").read_bytes()
    (tmp_path / "maps" / "maps.bin").write_bytes(data[:-5])
    with pytest.raises(CorpusError, match="missing"):
        ControlMapStore(tmp_path / "maps")
    about = tmp_path / "maps" / "maps.json"
    about.write_text(about.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(CorpusError, match="version 2"):
        ControlMapStore(tmp_path / "maps")
