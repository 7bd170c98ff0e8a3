"""Folders of recordings become instruments; what does not belong is set aside and told."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mechanical_ears.cli import main
from mechanical_ears.corpus.filenames import NameLabels
from mechanical_ears.errors import EarsError
from mechanical_ears.instrument import recordings
from mechanical_ears.instrument.export import export
from mechanical_ears.instrument.mapping import _layers, at_one_peak, map_folder
from mechanical_ears.instrument.recordings import Recording, exact_pitch, hear_folder, settled
from mechanical_ears.instrument.zones import check_tiling
from mechanical_ears.listening.ears import shipped_ears
from mechanical_ears.pitch import midi_to_hz, midi_to_name
from mechanical_ears.sound import Sound
from support.paths import DATA
from support.toy_instruments import RATE, level, peak_pitch, pluck

DATA = DATA
PITCHES = (40, 45, 50, 55, 60, 65)


@pytest.fixture
def folder(tmp_path):
    """Six strings at two touches under names that tell nothing."""
    place = tmp_path / "takes"
    place.mkdir()
    for number, pitch in enumerate(PITCHES):
        soundfile.write(place / f"x{number}b.wav", pluck(pitch + 0.07), RATE)
        soundfile.write(place / f"x{number}a.wav", pluck(pitch - 0.05, -14, 0.5), RATE)
    return place


def test_roots_cents_and_layers_are_found(folder):
    mapped = map_folder(folder)
    assert mapped.layers == 2
    assert mapped.aside == ()
    check_tiling(mapped.instrument.zones)
    for each in mapped.placed:
        number, touch = int(each.recording.path.stem[1]), each.recording.path.stem[2]
        assert each.recording.key == PITCHES[number]
        assert each.layer == (touch == "b")
        assert each.recording.cents == pytest.approx(7 if touch == "b" else -5, abs=0.5)
        assert each.recording.start == pytest.approx(0.3, abs=0.005)
    for zone in mapped.instrument.zones:
        audio = mapped.instrument.samples[zone.sample].audio
        assert zone.loop is None  # strings fall
        assert np.abs(audio[: RATE // 50]).max() > 0.05  # the silence is gone


def test_it_plays_in_tune_and_louder_with_velocity(folder):
    made = map_folder(folder).instrument
    for pitch in (40, 52, 65):
        heard = peak_pitch(made.note(pitch, 100, 1.5).samples[:RATE], RATE, pitch)
        assert abs(heard - pitch) < 0.02
    levels = [level(made.note(50, v, 1.0).samples[:19_200]) for v in range(1, 128, 6)]
    assert np.diff(levels).min() > 0.2


def test_tuning_may_be_kept(folder):
    made = map_folder(folder, keep_tuning=True).instrument
    assert {zone.cents for zone in made.zones} == {0.0}
    heard = peak_pitch(made.note(50, 127, 1.5).samples[:RATE], RATE, 50)
    assert heard - 50 == pytest.approx(0.07, abs=0.02)


def test_what_does_not_belong_is_set_aside(folder):
    rng = np.random.default_rng(0)
    soundfile.write(folder / "noise.wav", 0.2 * rng.standard_normal(2 * RATE), RATE)
    soundfile.write(folder / "silence.wav", np.zeros(RATE), RATE)
    (folder / "broken.wav").write_text("la la la")
    soundfile.write(folder / "click.wav", np.r_[np.zeros(100), 0.9, np.zeros(100)], RATE)
    shutil.copy(folder / "x0a.wav", folder / "zcopy.wav")
    soundfile.write(folder / "zz.wav", pluck(60.02, -3, seed=1), RATE)
    mapped = map_folder(folder)
    why = {file.path.name: file.reason for file in mapped.aside}
    assert len(mapped.placed) == 12
    assert "no single pitch" in why["noise.wav"]
    assert why["silence.wav"] == "is silent"
    assert "is not a sound that can be read" in why["broken.wav"]
    assert "click.wav" in why
    assert why["zcopy.wav"] == "a copy of x0a.wav"
    surplus = [reason for reason in why.values() if reason.startswith("one more C4; ")]
    assert len(surplus) == 1
    rows = list(csv.DictReader(mapped.report().splitlines()))
    assert len(rows) == 18
    assert sum(row["used"] == "yes" for row in rows) == 12
    assert {row["note"] for row in rows if row["used"] == "yes"} == {
        midi_to_name(pitch) for pitch in PITCHES
    }


def test_each_file_is_read_once(folder, monkeypatch):
    loads = []

    def load(path, *args, **keywords):
        loads.append(Path(path).name)
        return original(path, *args, **keywords)

    original = Sound.load
    monkeypatch.setattr(Sound, "load", load)
    once = map_folder(folder).instrument
    assert sorted(loads) == sorted(path.name for path in folder.iterdir())
    monkeypatch.setattr(recordings, "MAX_KEPT_BYTES", 0)  # what memory cannot keep is read again
    again = map_folder(folder).instrument
    assert len(loads) == 3 * len(list(folder.iterdir()))
    assert once.zones == again.zones
    for name, sample in once.samples.items():
        np.testing.assert_array_equal(again.samples[name].audio, sample.audio)


def test_a_file_longer_than_a_minute_is_sampled_to_its_end(tmp_path):
    rate = 8000
    tone = np.r_[pluck(60, rate=rate), np.zeros(62 * rate)]
    tone[-rate:] = 0.1 * np.sin(2 * np.pi * 261.6 / rate * np.arange(rate))
    soundfile.write(tmp_path / "long.wav", tone, rate)
    (sample,) = map_folder(tmp_path).instrument.samples.values()
    assert len(sample.audio) / rate > 60


def test_each_recording_is_heard_as_the_ears_listen(tmp_path):
    """Tones that lack partials, so that the network alone is unsure of the octave."""
    rng = np.random.default_rng(0)
    time = np.arange(RATE) / RATE
    for number in range(24):
        frequency = midi_to_hz(rng.integers(30, 90))
        numbers = [n for n in range(1, 9) if n * frequency < 9000 and rng.random() < 0.6] or [2]
        tone = sum(np.sin(2 * np.pi * n * frequency * time + n) / n for n in numbers)
        soundfile.write(tmp_path / f"x{number:02}.wav", 0.1 * tone * np.exp(-2 * time), RATE)
    hearings = dict(shipped_ears().listen_to_files(sorted(tmp_path.iterdir())))
    keys = {path: hearing.pitch for path, hearing in hearings.items() if hearing.pitch is not None}
    assert len(keys) > 12
    assert {each.path: each.key for each in hear_folder(tmp_path).recordings} == keys


def test_ears_map_and_ears_listen_agree(tmp_path, capsys):
    notes = tmp_path / "notes"
    notes.mkdir()
    truth = {f"x{pitch}.wav": pitch for pitch in range(34, 94, 4)}
    for name, pitch in truth.items():
        soundfile.write(notes / name, pluck(pitch), RATE)
    assert main(["listen", str(notes), "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    heard = {Path(row["path"]).name: row["pitch"] for row in rows}
    output = tmp_path / "x.sfz"
    main(["map", str(notes), "--output", str(output)])
    with output.with_suffix(".report.csv").open(newline="") as file:
        mapped = {row["file"]: int(row["key"]) for row in csv.DictReader(file)}
    assert mapped == heard == truth


def test_rates_may_differ_and_stereo_stays(tmp_path):
    soundfile.write(tmp_path / "a.wav", pluck(45, rate=44_100), 44_100)
    both = np.stack([pluck(57), 0.5 * pluck(57)], axis=1)
    soundfile.write(tmp_path / "b.flac", both, RATE)
    made = map_folder(tmp_path).instrument
    rates = {zone.root: made.samples[zone.sample].sample_rate for zone in made.zones}
    assert rates == {45: 44_100, 57: RATE}
    stereo = made.samples[next(zone.sample for zone in made.zones if zone.root == 57)].audio
    assert stereo.shape[1] == 2
    assert np.abs(stereo[:, 1]).max() == pytest.approx(0.5 * np.abs(stereo[:, 0]).max(), rel=0.01)
    path = export(made, tmp_path / "x.sf2").path
    assert path.exists()


def test_whose_word_counts(tmp_path):
    for name, pitch in (("E2", 40), ("A2", 45), ("D4", 55), ("C3", 60), ("F4", 65)):
        soundfile.write(tmp_path / f"{name}.wav", pluck(pitch), RATE)  # two names are wrong
    ears = map_folder(tmp_path)
    assert sorted(each.recording.key for each in ears.placed) == [40, 45, 55, 60, 65]
    wrong = {r.path.name: (r.named.pitch, r.key) for r in ears.disagreements}
    assert wrong == {"D4.wav": (62, 55), "C3.wav": (48, 60)}
    assert "its name tells another note" in ears.report()
    names = map_folder(tmp_path, trust="names")
    assert sorted(each.recording.key for each in names.placed) == [40, 45, 48, 65]  # an octave
    (aside,) = names.aside
    assert aside.reason == "a wrong note: named D4, sounds G3"


def test_names_tell_layers_where_they_are_trusted(tmp_path):
    for pitch in (40, 50):
        for name, decibels in (("vL", 0.0), ("vH", -9.0)):  # the soft ones are louder
            file = tmp_path / f"{midi_to_name(pitch)}{name}.wav"
            soundfile.write(file, pluck(pitch + 0.01 * len(name), decibels), RATE)
    for trust, louder in (("names", "H"), ("ears", "L")):
        mapped = map_folder(tmp_path, trust=trust)
        upper = {each.recording.path.stem[-1] for each in mapped.placed if each.layer == 1}
        assert upper == {louder}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "holds no recordings; give .wav"),
        (lambda path: (path / "x.wav").write_text("la"), "holds no recording of a single pitch"),
        (lambda path: path.rmdir(), "no such folder"),
    ],
)
def test_folders_without_a_note(tmp_path, make, said):
    place = tmp_path / "folder"
    place.mkdir()
    make(place)
    with pytest.raises(EarsError, match=f"folder: {said}"):
        map_folder(place)
    soundfile.write(tmp_path / "file.wav", pluck(60), RATE)
    with pytest.raises(EarsError, match="is a file, not a folder"):
        map_folder(tmp_path / "file.wav")


def recording(key, pitch=None, confidence=1.0, likely=(), spectrum=(), **more):
    """A recording as it would be heard."""
    probabilities = np.zeros(128)
    probabilities[key] = confidence
    for other, share in likely:
        probabilities[other] = share
    heard = np.full(128, -80, np.float32)
    for place, decibels in spectrum:
        heard[place] = decibels
    values = {
        "path": Path(f"{key}.wav"), "key": key, "confidence": confidence, "pitched": 1.0,
        "pitch": float(key if pitch is None else pitch), "level": -20.0, "peak": -1.0,
        "fall": 10.0, "brightness": 0.0, "velocity": 100.0, "start": 0.0, "named": None,
        "digest": str(key), "likely": probabilities, "spectrum": heard,
        "pitches": {other: float(other) for other, _ in likely},
    }  # fmt: skip
    return Recording(**{**values, **more})


def test_neighbours_tell_where_a_flat_bass_belongs():
    others = [recording(key, key - 0.45) for key in (21, 24, 27, 30)]
    (heard,) = [r for r in settled([*others, recording(22, 22.15)]) if r.path.stem == "22"]
    assert heard.key == 23
    assert heard.cents == pytest.approx(-85)
    alone = settled([recording(22, 22.15)])
    assert alone[0].key == 22


def test_resonances_of_the_whole_folder_are_no_pitch():
    resonance = (81, -50.0)
    others = [recording(key, spectrum=[resonance, (key, -20.0)]) for key in range(84, 105, 2)]
    doubtful = recording(
        81,
        confidence=0.6,
        likely=[(105, 0.3)],
        spectrum=[resonance, (105, -40.0)],
        pitches={81: 81.4, 105: 105.02},
    )
    heard = settled([*others, doubtful])[-1]
    assert heard.key == 105
    assert heard.cents == pytest.approx(2)
    assert exact_pitch(pluck(105.02, silence=0.0), RATE, 105) == pytest.approx(105.02, abs=0.03)
    sure = settled([*others, replace(doubtful, confidence=0.99)])[-1]
    assert sure.key == 81


def test_files_brought_to_one_peak_are_told_from_others():
    assert at_one_peak([recording(key, peak=-0.1) for key in (40, 50, 60)])
    assert not at_one_peak([recording(key, peak=-key / 2) for key in (40, 50, 60)])
    assert recording(40, named=NameLabels(40, 100, "x")).named.velocity == 100


def test_two_files_of_the_same_note_and_layer(folder):
    soundfile.write(folder / "x2c.wav", pluck(PITCHES[2] + 0.01, 0.2, seed=7), RATE)
    mapped = map_folder(folder)
    assert mapped.layers == 2
    (aside,) = mapped.aside
    assert aside.path.name in ("x2b.wav", "x2c.wav")
    assert aside.reason.startswith("one more D3; ")
    check_tiling(mapped.instrument.zones)
    assert len(mapped.instrument.zones) == 12


def test_ten_thousand_recordings_are_placed():
    """A hundred and more takes of each key, all alike but in loudness."""
    rng = np.random.default_rng(0)
    takes = [
        recording(
            24 + number % 80,
            24 + number % 80 + rng.normal(0, 0.05),
            confidence=rng.uniform(0.5, 1),
            level=rng.uniform(-40, -10),
            peak=rng.uniform(-30, 0),
            digest=str(number),
            likely=[(36 + number % 80, 0.4)],
        )
        for number in range(10_000)
    ]
    heard = settled(takes)
    assert [each.key for each in heard] == [each.key for each in takes]
    placed, aside = _layers(heard, lambda each: each.level)
    assert (len(placed), len(aside)) == (80 * 16, 10_000 - 80 * 16)
    for key in range(24, 104):
        here = sorted((p for p in placed if p.recording.key == key), key=lambda p: p.layer)
        assert [p.layer for p in here] == list(range(16))
        levels = [p.recording.level for p in here]
        assert levels == sorted(levels)
        assert levels[0] < -37.5
        assert levels[-1] > -12.5  # from the softest to the loudest


@pytest.mark.parametrize(("name", "layers"), [("spanish-guitar", 1), ("upright-piano-kw", 2)])
def test_real_recordings_with_their_names_hidden(tmp_path, name, layers):
    source = DATA / name
    if not source.is_dir():
        pytest.skip(f"{source} is not here")
    with (source / "truth.csv").open(newline="") as file:
        truth = list(csv.DictReader(file))
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    for number, row in enumerate(truth):
        (hidden / f"take{number:03d}x.flac").symlink_to(source / row["file"])
    mapped = map_folder(hidden)
    told = {each.recording.path.name: each for each in mapped.placed}
    right = upper = 0
    for number, row in enumerate(truth):
        each = told.get(f"take{number:03d}x.flac")
        if each is not None:
            right += each.recording.key == int(row["pitch_midi"])
            upper += each.layer == (layers == 2 and int(row["velocity_low"]) > 0)
    assert right >= 0.97 * len(truth)
    assert mapped.layers == layers
    assert upper >= 0.8 * len(truth)
    check_tiling(mapped.instrument.zones)
    assert level(mapped.instrument.note(60, 100, 1.0).samples) > -40
