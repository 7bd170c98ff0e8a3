"""Mapping folders of recordings: keys, cents, layers, skipped files."""

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
from mechanical_ears.instrument.layer_assignment import assign_layers
from mechanical_ears.instrument.mapping import have_equal_peaks, map_folder
from mechanical_ears.instrument.recordings import (
    RecordingAnalysis,
    analyse_folder,
    refine_pitch,
    resolve_keys,
)
from mechanical_ears.instrument.zones import check_tiling
from mechanical_ears.listening.ears import shipped_ears
from mechanical_ears.pitch import midi_to_hz, midi_to_name
from mechanical_ears.sound import Sound
from support.paths import DATA
from support.toy_instruments import RATE, level, peak_pitch, pluck

pytestmark = pytest.mark.slow

PITCHES = (40, 45, 50, 55, 60, 65)


@pytest.fixture
def folder(tmp_path):
    """Six strings at two velocities, with names that say nothing."""
    path = tmp_path / "takes"
    path.mkdir()
    for number, pitch in enumerate(PITCHES):
        soundfile.write(path / f"x{number}b.wav", pluck(pitch + 0.07), RATE)
        soundfile.write(path / f"x{number}a.wav", pluck(pitch - 0.05, -14, 0.5), RATE)
    return path


def test_roots_cents_and_layers_are_found(folder):
    mapped = map_folder(folder)
    assert mapped.layers == 2
    assert mapped.skipped == ()
    check_tiling(mapped.instrument.zones)
    for each in mapped.recordings:
        number, loud = int(each.recording.path.stem[1]), each.recording.path.stem[2] == "b"
        assert each.recording.key == PITCHES[number]
        assert each.layer == loud
        assert each.recording.cents == pytest.approx(7 if loud else -5, abs=0.5)
        assert each.recording.onset == pytest.approx(0.3, abs=0.005)
    for zone in mapped.instrument.zones:
        audio = mapped.instrument.samples[zone.sample].audio
        assert zone.loop is None  # strings decay
        assert np.abs(audio[: RATE // 50]).max() > 0.05  # without the silence


def test_it_plays_in_tune_and_louder_with_velocity(folder):
    instrument = map_folder(folder).instrument
    for pitch in (40, 52, 65):
        measured = peak_pitch(instrument.note(pitch, 100, 1.5).samples[:RATE], RATE, pitch)
        assert abs(measured - pitch) < 0.02
    levels = [level(instrument.note(50, v, 1.0).samples[:19_200]) for v in range(1, 128, 6)]
    assert np.diff(levels).min() > 0.2


def test_tuning_may_be_kept(folder):
    instrument = map_folder(folder, keep_tuning=True).instrument
    assert {zone.cents for zone in instrument.zones} == {0.0}
    pitch = peak_pitch(instrument.note(50, 127, 1.5).samples[:RATE], RATE, 50)
    assert pitch - 50 == pytest.approx(0.07, abs=0.02)


def test_unsuitable_files_are_skipped(folder):
    rng = np.random.default_rng(0)
    soundfile.write(folder / "noise.wav", 0.2 * rng.standard_normal(2 * RATE), RATE)
    soundfile.write(folder / "silence.wav", np.zeros(RATE), RATE)
    (folder / "broken.wav").write_text("la la la")
    soundfile.write(folder / "click.wav", np.r_[np.zeros(100), 0.9, np.zeros(100)], RATE)
    shutil.copy(folder / "x0a.wav", folder / "zcopy.wav")
    soundfile.write(folder / "zz.wav", pluck(60.02, -3, seed=1), RATE)
    mapped = map_folder(folder)
    reasons = {file.path.name: file.reason for file in mapped.skipped}
    assert len(mapped.recordings) == 12
    assert "no single pitch" in reasons["noise.wav"]
    assert reasons["silence.wav"] == "is silent"
    assert "is not a sound that can be read" in reasons["broken.wav"]
    assert "click.wav" in reasons
    assert reasons["zcopy.wav"] == "a copy of x0a.wav"
    surplus = [reason for reason in reasons.values() if reason.startswith("one more C4; ")]
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
    monkeypatch.setattr(
        recordings, "MAX_CACHE_BYTES", 0
    )  # files that are not cached are read again
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


def test_keys_are_those_of_listen(tmp_path):
    """Tones without some partials, so that the network alone is unsure of the octave."""
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
    assert {each.path: each.key for each in analyse_folder(tmp_path).recordings} == keys


def test_ears_map_and_ears_listen_agree(tmp_path, capsys):
    notes = tmp_path / "notes"
    notes.mkdir()
    truth = {f"x{pitch}.wav": pitch for pitch in range(34, 94, 4)}
    for name, pitch in truth.items():
        soundfile.write(notes / name, pluck(pitch), RATE)
    assert main(["listen", str(notes), "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    listened = {Path(row["path"]).name: row["pitch"] for row in rows}
    output = tmp_path / "x.sfz"
    main(["map", str(notes), "--output", str(output)])
    with output.with_suffix(".report.csv").open(newline="") as file:
        mapped = {row["file"]: int(row["key"]) for row in csv.DictReader(file)}
    assert mapped == listened == truth


def test_rates_may_differ_and_stereo_stays(tmp_path):
    soundfile.write(tmp_path / "a.wav", pluck(45, rate=44_100), 44_100)
    stereo = np.stack([pluck(57), 0.5 * pluck(57)], axis=1)
    soundfile.write(tmp_path / "b.flac", stereo, RATE)
    instrument = map_folder(tmp_path).instrument
    samples = {zone.root: instrument.samples[zone.sample] for zone in instrument.zones}
    assert {root: sample.sample_rate for root, sample in samples.items()} == {45: 44_100, 57: RATE}
    stereo = samples[57].audio
    assert stereo.shape[1] == 2
    assert np.abs(stereo[:, 1]).max() == pytest.approx(0.5 * np.abs(stereo[:, 0]).max(), rel=0.01)
    assert export(instrument, tmp_path / "x.sf2").path.exists()


def test_trust_decides_between_ears_and_names(tmp_path):
    for name, pitch in (("E2", 40), ("A2", 45), ("D4", 55), ("C3", 60), ("F4", 65)):
        soundfile.write(tmp_path / f"{name}.wav", pluck(pitch), RATE)  # two names are wrong
    ears = map_folder(tmp_path)
    assert sorted(each.recording.key for each in ears.recordings) == [40, 45, 55, 60, 65]
    wrong = {r.path.name: (r.name_labels.pitch, r.key) for r in ears.name_conflicts}
    assert wrong == {"D4.wav": (62, 55), "C3.wav": (48, 60)}
    assert "its name says another note" in ears.report()
    names = map_folder(tmp_path, trust="names")
    assert sorted(each.recording.key for each in names.recordings) == [40, 45, 48, 65]  # an octave
    (skipped,) = names.skipped
    assert skipped.reason == "a wrong note: named D4, sounds G3"


def test_names_decide_about_layers_where_they_are_trusted(tmp_path):
    for pitch in (40, 50):
        for name, decibels in (("vL", 0.0), ("vH", -9.0)):  # the soft ones are louder
            file = tmp_path / f"{midi_to_name(pitch)}{name}.wav"
            soundfile.write(file, pluck(pitch + 0.01 * len(name), decibels), RATE)
    for trust, louder in (("names", "H"), ("ears", "L")):
        mapped = map_folder(tmp_path, trust=trust)
        upper = {each.recording.path.stem[-1] for each in mapped.recordings if each.layer == 1}
        assert upper == {louder}


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda path: None, "holds no recordings; give .wav"),
        (lambda path: (path / "x.wav").write_text("la"), "holds no recording of a single pitch"),
        (lambda path: path.rmdir(), "no such folder"),
    ],
)
def test_folders_without_a_note(tmp_path, prepare, message):
    path = tmp_path / "folder"
    path.mkdir()
    prepare(path)
    with pytest.raises(EarsError, match=f"folder: {message}"):
        map_folder(path)
    soundfile.write(tmp_path / "file.wav", pluck(60), RATE)
    with pytest.raises(EarsError, match="is a file, not a folder"):
        map_folder(tmp_path / "file.wav")


def recording(key, pitch=None, confidence=1.0, alternatives=(), spectrum=(), **fields):
    """An analysis of a recording."""
    probabilities = np.zeros(128)
    probabilities[key] = confidence
    for other, probability in alternatives:
        probabilities[other] = probability
    levels = np.full(128, -80, np.float32)
    for other, decibels in spectrum:
        levels[other] = decibels
    values = {
        "path": Path(f"{key}.wav"), "key": key, "confidence": confidence, "pitched": 1.0,
        "pitch": float(key if pitch is None else pitch), "level": -20.0, "peak": -1.0,
        "decay": 10.0, "brightness": 0.0, "velocity": 100.0, "onset": 0.0, "name_labels": None,
        "digest": str(key), "key_probabilities": probabilities, "spectrum": levels,
        "candidate_pitches": {other: float(other) for other, _ in alternatives},
    }  # fmt: skip
    return RecordingAnalysis(**{**values, **fields})


def test_neighbours_resolve_the_key_of_a_flat_bass():
    others = [recording(key, key - 0.45) for key in (21, 24, 27, 30)]
    resolved = resolve_keys([*others, recording(22, 22.15)])[-1]
    assert resolved.key == 23
    assert resolved.cents == pytest.approx(-85)
    alone = resolve_keys([recording(22, 22.15)])
    assert alone[0].key == 22


def test_resonances_common_to_all_recordings_are_not_a_pitch():
    resonance = (81, -50.0)
    others = [recording(key, spectrum=[resonance, (key, -20.0)]) for key in range(84, 105, 2)]
    unsure = recording(
        81,
        confidence=0.6,
        alternatives=[(105, 0.3)],
        spectrum=[resonance, (105, -40.0)],
        candidate_pitches={81: 81.4, 105: 105.02},
    )
    resolved = resolve_keys([*others, unsure])[-1]
    assert resolved.key == 105
    assert resolved.cents == pytest.approx(2)
    assert refine_pitch(pluck(105.02, silence=0.0), RATE, 105) == pytest.approx(105.02, abs=0.03)
    sure = resolve_keys([*others, replace(unsure, confidence=0.99)])[-1]
    assert sure.key == 81


def test_normalised_files_are_recognised_by_their_peaks():
    assert have_equal_peaks([recording(key, peak=-0.1) for key in (40, 50, 60)])
    assert not have_equal_peaks([recording(key, peak=-key / 2) for key in (40, 50, 60)])
    assert recording(40, name_labels=NameLabels(40, 100, "x")).name_contradicts is False


def test_two_files_of_the_same_note_and_layer(folder):
    soundfile.write(folder / "x2c.wav", pluck(PITCHES[2] + 0.01, 0.2, seed=7), RATE)
    mapped = map_folder(folder)
    assert mapped.layers == 2
    (skipped,) = mapped.skipped
    assert skipped.path.name in ("x2b.wav", "x2c.wav")
    assert skipped.reason.startswith("one more D3; ")
    check_tiling(mapped.instrument.zones)
    assert len(mapped.instrument.zones) == 12


def test_ten_thousand_recordings_get_layers():
    """More than a hundred takes of each key that differ only in loudness."""
    rng = np.random.default_rng(0)
    takes = [
        recording(
            24 + number % 80,
            24 + number % 80 + rng.normal(0, 0.05),
            confidence=rng.uniform(0.5, 1),
            level=rng.uniform(-40, -10),
            peak=rng.uniform(-30, 0),
            digest=str(number),
            alternatives=[(36 + number % 80, 0.4)],
        )
        for number in range(10_000)
    ]
    resolved = resolve_keys(takes)
    assert [each.key for each in resolved] == [each.key for each in takes]
    layered, skipped = assign_layers(resolved, lambda each: each.level)
    assert (len(layered), len(skipped)) == (80 * 16, 10_000 - 80 * 16)
    for key in range(24, 104):
        group = sorted((e for e in layered if e.recording.key == key), key=lambda e: e.layer)
        assert [each.layer for each in group] == list(range(16))
        levels = [each.recording.level for each in group]
        assert levels == sorted(levels)
        assert levels[0] < -37.5
        assert levels[-1] > -12.5  # from the softest to the loudest


@pytest.mark.parametrize(("name", "layers"), [("spanish-guitar", 1), ("upright-piano-kw", 2)])
def test_real_recordings_under_meaningless_names(tmp_path, name, layers):
    source = DATA / name
    if not source.is_dir():
        pytest.skip(f"{source} is missing")
    with (source / "truth.csv").open(newline="") as file:
        truth = list(csv.DictReader(file))
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    for number, row in enumerate(truth):
        (hidden / f"take{number:03d}x.flac").symlink_to(source / row["file"])
    mapped = map_folder(hidden)
    found = {each.recording.path.name: each for each in mapped.recordings}
    right = upper = 0
    for number, row in enumerate(truth):
        each = found.get(f"take{number:03d}x.flac")
        if each is not None:
            right += each.recording.key == int(row["pitch_midi"])
            upper += each.layer == (layers == 2 and int(row["velocity_low"]) > 0)
    assert right >= 0.97 * len(truth)
    assert mapped.layers == layers
    assert upper >= 0.8 * len(truth)
    check_tiling(mapped.instrument.zones)
    assert level(mapped.instrument.note(60, 100, 1.0).samples) > -40
