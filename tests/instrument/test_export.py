"""Export: all files or none; options; attributes and levels of DecentSampler presets."""

import os
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile

from mechanical_ears.errors import EarsError
from mechanical_ears.instrument import export as exporting
from mechanical_ears.instrument.autosampler import SamplingPlan
from mechanical_ears.instrument.export import as_samples, export
from mechanical_ears.instrument.opening import open_instrument
from mechanical_ears.instrument.zones import VelocityResponse, Zone, check_tiling
from support.full_disk import full_disk
from support.toy_instruments import POWER, Organ, level, sine_instrument

FORMATS = ("x.sfz", "x.sf2", "x.dspreset")

# Attributes of the DecentSampler Developers Guide, "the groups element" and "file format overview".
DOCUMENTED = {
    "DecentSampler": {"minVersion"},
    "groups": {"volume", "globalTuning", "glideTime", "glideMode"},
    "group": {
        *("enabled", "volume", "ampVelTrack", "groupTuning", "pitchKeyTrack", "glideTime"),
        *("glideMode", "attack", "decay", "sustain", "release", "seqMode", "seqLength"),
    },
    "sample": {
        *("path", "rootNote", "loNote", "hiNote", "loVel", "hiVel", "start", "end", "tuning"),
        *("volume", "pan", "pitchKeyTrack", "trigger", "tags", "playbackMode", "loopStart"),
        *("loopEnd", "loopCrossfade", "loopCrossfadeMode", "loopEnabled", "ampEnvEnabled"),
        *("attack", "decay", "sustain", "release", "attackCurve", "decayCurve", "releaseCurve"),
        *("seqMode", "seqLength", "seqPosition"),
    },
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_full_disk_leaves_nothing(tmp_path, name):
    with full_disk(40_000), pytest.raises(EarsError, match="cannot write: File too large"):
        export(sine_instrument(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FORMATS)
def test_a_full_disk_leaves_existing_files(tmp_path, name):
    export(sine_instrument(1, (60,)), tmp_path / name)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with full_disk(40_000), pytest.raises(EarsError):
        export(sine_instrument(), tmp_path / name, force=True)
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.parametrize("name", FORMATS)
def test_existing_files_are_replaced_only_with_force(tmp_path, name):
    export(sine_instrument(1, (60,)), tmp_path / name)
    with pytest.raises(EarsError, match="already exists; choose another name, or give --force"):
        export(sine_instrument(), tmp_path / name)
    written = export(sine_instrument(), tmp_path / name, force=True)
    assert written.zones == 6
    assert len([path for path in tmp_path.iterdir() if path.name.startswith(".")]) == 0
    if written.folder is not None:
        assert len(list(written.folder.iterdir())) == 6


def test_an_error_at_the_end_restores_existing_files(tmp_path, monkeypatch):
    export(sine_instrument(1, (60,)), tmp_path / "x.sfz")
    before = sorted(path.name for path in tmp_path.rglob("*"))

    def interrupt(path, text):
        raise KeyboardInterrupt

    monkeypatch.setattr(exporting, "write_text", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export(sine_instrument(), tmp_path / "x.sfz", force=True)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
    with pytest.raises(KeyboardInterrupt):
        export(sine_instrument(), tmp_path / "new.sfz")
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x.nki", 'the suffix ".nki" names no instrument format; use one of .sfz, .sf2, .dspreset'),
        ("gone/x.sfz", "gone: no such folder; create it first"),
        ("folder.sf2", "is a folder"),
    ],
)
def test_invalid_targets_are_refused(tmp_path, name, message):
    (tmp_path / "folder.sf2").mkdir()
    with pytest.raises(EarsError, match=re.escape(message)):
        export(sine_instrument(), tmp_path / name)


def test_invalid_options_are_refused(tmp_path):
    with pytest.raises(EarsError, match="holds no FLAC"):
        export(sine_instrument(), tmp_path / "x.sf2", flac=True)
    with pytest.raises(EarsError, match="20 bits per sample; use 16 or 24"):
        export(sine_instrument(), tmp_path / "x.sfz", bits=20)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(EarsError, match="cannot write"):
        export(sine_instrument(), tmp_path / "x.sfz")


def test_outermost_zones_are_extended():
    narrow = sine_instrument(2)
    zones = tuple(
        replace(zone, keys=(max(zone.keys[0], 40), min(zone.keys[1], 80))) for zone in narrow.zones
    )
    extended = as_samples(replace(narrow, zones=zones))
    check_tiling(extended.zones)
    assert extended.zones == narrow.zones


def test_gaps_and_overlaps_are_sampled_again():
    one, two = sine_instrument(1, (48, 72)).zones
    narrow = replace(sine_instrument(1, (48, 72)), zones=(replace(one, keys=(40, 50)), two))
    check_tiling(as_samples(narrow, SamplingPlan(40, 127, 12, 1, 0.5)).zones)
    double = replace(sine_instrument(1, (60,)), zones=sine_instrument(1, (60,)).zones * 2)
    check_tiling(as_samples(double, SamplingPlan(54, 66, 6, 1, 0.5)).zones)


def test_file_names_are_valid_and_distinct_on_every_system(tmp_path):
    first = sine_instrument(1, (60,))
    names = ("C#4/soft", "c#4:SOFT")
    samples = dict.fromkeys(names, first.samples["60_64"])
    zones = (
        replace(first.zones[0], sample=names[0], keys=(0, 60)),
        replace(first.zones[0], sample=names[1], keys=(61, 127)),
    )
    path = export(replace(first, zones=zones, samples=samples), tmp_path / "my song.sfz").path
    files = sorted(file.name for file in (tmp_path / "my_song_sfz_samples").iterdir())
    assert files == ["Cs4_soft.wav", "cs4_SOFT_2.wav"]
    assert len(open_instrument(path).zones) == 2


def test_anything_playable_is_exported(tmp_path):
    steps = []
    written = export(
        Organ(),
        tmp_path / "organ.sfz",
        plan=SamplingPlan(60, 72, 12, 2, 1.0),
        progress=lambda done, total: steps.append(done),
    )
    assert (written.zones, written.samples) == (2, 2)
    assert steps == [1, 2, 3, 4]
    text = written.path.read_text()
    assert "// name: Organ" in text
    assert written.size == sum(
        path.stat().st_size for path in [written.path, *written.folder.iterdir()]
    )


def test_a_decentsampler_preset_has_documented_attributes(tmp_path):
    instrument = sine_instrument(3)
    written = export(instrument, tmp_path / "x.dspreset")
    root = ElementTree.parse(written.path).getroot()
    assert root.tag == "DecentSampler"
    (groups,) = root
    zones = []
    for element in root.iter():
        assert set(element.attrib) <= DOCUMENTED[element.tag]
    for group in groups:
        assert float(group.get("ampVelTrack")) == 1
        assert group.get("volume").endswith("dB")
        for sample in group:
            file = written.path.parent / sample.get("path")
            frames = soundfile.info(file).frames
            assert sample.get("loopEnabled") == "true"
            assert (sample.get("loopStart"), sample.get("loopEnd")) == ("4800", "43199")
            assert int(sample.get("loopEnd")) < frames
            assert float(sample.get("release")) == 0.3
            keys = (int(sample.get("loNote")), int(sample.get("hiNote")))
            velocities = (int(sample.get("loVel")), int(sample.get("hiVel")))
            zones.append(Zone(file.stem, int(sample.get("rootNote")), keys, velocities))
    check_tiling(zones)
    assert {(zone.root, zone.keys) for zone in zones} == {
        (zone.root, zone.keys) for zone in instrument.zones
    }
    text = written.path.read_text()
    assert "<!-- licence: CC0-1.0 -->" in text


def test_decentsampler_levels_follow_the_velocity_response(tmp_path):
    root = ElementTree.parse(export(sine_instrument(3), tmp_path / "x.dspreset").path).getroot()
    loud = {}
    for group in root.iter("group"):
        track, volume = float(group.get("ampVelTrack")), float(group.get("volume")[:-2])
        for sample in group:
            for velocity in range(int(sample.get("loVel")), int(sample.get("hiVel")) + 1):
                gain = 1 - track + track * velocity / 127
                loud[velocity] = 20 * np.log10(gain) + volume
    levels = [loud[velocity] for velocity in range(1, 128)]
    assert np.diff(levels).min() > 0
    expected = [
        20 * np.log10(VelocityResponse(power=POWER).gain(velocity)) for velocity in range(1, 128)
    ]
    assert np.abs(np.subtract(levels, expected)).max() < 1.6


def test_an_exported_instrument_plays(tmp_path):
    path = export(Organ(), tmp_path / "a.sf2", plan=SamplingPlan(48, 84, 12, 2, 1.0)).path
    instrument = open_instrument(path)
    assert Path(path).stat().st_size > 1e5
    assert level(instrument.note(60, 100, 2.0).samples) > -40
