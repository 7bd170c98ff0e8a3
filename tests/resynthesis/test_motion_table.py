"""The table of motion: built from a folder, read again, and asked for the motion of a note."""

import csv

import numpy as np
import pytest

from mechanical_ears import Sound
from mechanical_ears.cli import main
from mechanical_ears.errors import CorpusError
from mechanical_ears.note import FAMILIES
from mechanical_ears.resynthesis.motion_table import (
    MotionTable,
    build_motion_table,
    shipped_motion_table,
)

RATE = 16_000
COLUMNS = ["path", "source", "instrument", "family", "pitch", "articulation", "recorded", "side"]
ROWS = [  # path, rate of the vibrato in Hz, and what the index says
    ("a.wav", 5.0, "train", "1", "sustain"),
    ("b.wav", 6.5, "train", "1", "vibrato"),
    ("held.wav", 7.0, "held", "1", "sustain"),
    ("rendered.wav", 7.0, "train", "0", "sustain"),
    ("plucked.wav", 7.0, "train", "1", "pizzicato"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Recordings with vibrato of known rates, one of them broken."""
    path = tmp_path_factory.mktemp("notes")
    time = np.arange(3 * RATE) / RATE
    rows = []
    for number, (name, rate, side, recorded, articulation) in enumerate(ROWS):
        cents = 20 * np.sin(2 * np.pi * rate * time)
        angle = 2 * np.pi * 440 * np.cumsum(np.exp2(cents / 1200)) / RATE
        audio = sum(np.sin(n * angle) / n for n in range(1, 8))
        Sound((0.1 * audio).astype(np.float32), RATE).save(path / name)
        rows.append((name, "toy", f"violin {number}", "string", 69, articulation, recorded, side))
    (path / "broken.wav").write_text("no sound")
    rows.append(("broken.wav", "toy", "violin 9", "string", 69, "sustain", "1", "train"))
    with (path / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return path


def test_recorded_notes_of_the_train_side_are_measured(folder, tmp_path):
    done = []
    table = build_motion_table(folder, lambda *steps: done.append(steps))
    rates = table.motion[:, 0].astype(float)
    np.testing.assert_allclose(np.sort(rates), [5.0, 6.5], rtol=0.05)
    assert (table.key.tolist(), table.sources) == ([69, 69], ("toy",))
    assert done[-1] == (3, 3)  # the broken one is passed over
    table.save(tmp_path / "table.npz")
    again = MotionTable.load(tmp_path / "table.npz")
    assert np.array_equal(again.motion, table.motion)
    assert again.sources == table.sources


def test_the_command(folder, tmp_path, capsys):
    assert main(["corpus", "motion", str(folder), "-o", str(tmp_path / "table.npz")]) == 0
    assert "2 notes of 2 instruments" in capsys.readouterr().out
    assert len(MotionTable.load(tmp_path / "table.npz").key) == 2


def test_folders_that_cannot_serve(tmp_path, capsys):
    assert main(["corpus", "motion", str(tmp_path), "-o", str(tmp_path / "x.npz")]) == 2
    assert "index.csv" in capsys.readouterr().err
    (tmp_path / "index.csv").write_text("path,side\na.wav,train\n")
    with pytest.raises(CorpusError, match="has no column 'recorded'"):
        build_motion_table(tmp_path)
    (tmp_path / "index.csv").write_text(",".join(COLUMNS) + "\n")
    with pytest.raises(CorpusError, match="no recording that can be measured"):
        build_motion_table(tmp_path)


def test_the_shipped_table_knows_every_family():
    table = shipped_motion_table()
    assert {FAMILIES[code] for code in table.family} == set(FAMILIES)
    assert np.isfinite(table.motion).all()
    assert table.sources


def test_seeds_decide():
    table = shipped_motion_table()

    def vector(*seeds):
        return table.note_motion({"string": 1.0}, 60, *seeds).to_vector()

    assert np.array_equal(vector(1, 2), vector(1, 2))
    assert not np.array_equal(vector(1, 2), vector(1, 3))
    assert not np.array_equal(vector(1, 2), vector(2, 2))


def test_pianos_and_mallets_have_no_vibrato_of_the_pitch():
    table = shipped_motion_table()
    for family in ("keyboard", "mallet"):
        depths = [table.note_motion({family: 1.0}, 60, s, s).vibrato_depth for s in range(40)]
        assert np.median(depths) < 1


def test_an_unknown_family_does_not_move():
    motion = shipped_motion_table().note_motion({None: 1.0}, 60, 1, 1)
    assert not motion.pitch.any()
    assert motion.vibrato_rate == 0
