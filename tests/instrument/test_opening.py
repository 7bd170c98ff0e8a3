"""Opening instruments; imagining from samplers' files, and exporting imagined instruments."""

import re

import numpy as np
import pytest

import mechanical_ears
from mechanical_ears import SampledInstrument, imagine
from mechanical_ears.cli import main
from mechanical_ears.errors import EarsError
from mechanical_ears.instrument.autosampler import SamplingPlan, sample_instrument
from mechanical_ears.instrument.export import export
from mechanical_ears.instrument.opening import open_instrument
from support.independent_players import Fluid
from support.toy_instruments import RATE, level, peak_pitch, sine_instrument

pytestmark = pytest.mark.fluidsynth

SMALL = SamplingPlan(48, 72, 12, 2, 1.0)


@pytest.fixture(scope="module")
def sfz(tmp_path_factory):
    """Three looped sines as an SFZ, at C3, C4 and C5."""
    return export(sine_instrument(1), tmp_path_factory.mktemp("recorded") / "sines.sfz").path


@pytest.fixture(scope="module")
def like(sfz):
    return imagine(like=sfz)


def test_a_samplers_file_is_opened(sfz, tmp_path):
    loaded = mechanical_ears.open_instrument(sfz)
    assert isinstance(loaded, SampledInstrument)
    assert loaded.zones == sine_instrument(1).zones
    path = mechanical_ears.export(loaded, tmp_path / "x.sf2").path
    assert mechanical_ears.open_instrument(path).zones == loaded.zones


def test_representative_notes_are_at_their_keys(sfz):
    notes = open_instrument(sfz).representative_notes()
    assert [(n.pitch, n.velocity, n.family) for n in notes] == [
        (48, 100, "organ"), (60, 100, "organ"), (72, 100, "organ"),
    ]  # fmt: skip
    for note in notes:
        assert note.sound.seconds == pytest.approx(4.0)
        pitch = peak_pitch(note.sound.samples[4800:RATE], RATE, note.pitch)
        assert abs(pitch - note.pitch) < 0.01
    assert len(sine_instrument(3).representative_notes(max_notes=4)) == 4
    silent = {name: type(s)(0 * s.audio, RATE) for name, s in sine_instrument(1).samples.items()}
    with pytest.raises(EarsError, match="Sines: makes no sound"):
        SampledInstrument("Sines", sine_instrument(1).zones, silent).representative_notes()


def test_an_instrument_imagined_like_it_has_its_spectrum_on_all_keys(like):
    assert like.name == "like Sines"
    for key in (52, 66, 79):  # one partial, as the recordings
        audio = like.note(key, 100, 2.0, RATE).samples[9600:48_000]
        assert abs(peak_pitch(audio, RATE, key) - key) < 0.05
        spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)))) ** 2
        bin_ = round(440 * 2 ** ((key - 69) / 12) * len(audio) / RATE)
        assert spectrum[bin_ - 12 : bin_ + 13].sum() > 0.9 * spectrum.sum()


def test_morphing(sfz):
    morphed = imagine(morph=(sfz, 7), mix=1.0)
    assert morphed.name.startswith("like Sines to ")
    np.testing.assert_allclose(morphed.timbre, imagine(7).timbre, atol=1e-5)
    other = imagine(morph=(open_instrument(sfz), imagine(7)), mix=0.5)
    assert "like Sines" in other.name


def test_an_imagined_instrument_is_exported(like, tmp_path):
    written = export(like, tmp_path / "mine.sfz", plan=SMALL, bits=24)
    assert written.zones == 4
    read = mechanical_ears.open_instrument(written.path)
    assert read.name == "like Sines"
    assert "// licence: that of the recordings" in written.path.read_text()
    pitch = peak_pitch(read.note(60, 100, 1.5).samples[4800:RATE], RATE, 60)
    assert abs(pitch - 60) < 0.05
    with pytest.raises(EarsError, match="already exists"):
        export(like, tmp_path / "mine.sfz", plan=SMALL)


def test_commands(sfz, tmp_path, capsys):
    keys = ["--pitches", "60,61", "--velocities", "100", "--seconds", "1"]
    assert main(["imagine", "--like", str(sfz), "-o", str(tmp_path / "like"), *keys]) == 0
    assert "like Sines, 2 notes" in capsys.readouterr().out
    morph = ["imagine", "--morph", str(sfz), str(tmp_path / "like" / "instrument.json")]
    assert main([*morph, "-o", str(tmp_path / "morph"), *keys]) == 0
    assert "like Sines to like Sines, 50%" in capsys.readouterr().out
    (tmp_path / "bad.sfz").write_text("<region> sample=gone.wav")
    assert main(["imagine", "--like", str(tmp_path / "bad.sfz"), "-o", str(tmp_path / "b")]) == 2
    assert re.search(r"gone\.wav: no such sample file", capsys.readouterr().err)
    assert not (tmp_path / "b").exists()
    filtered = sfz.with_name("filtered.sfz")
    filtered.write_text(sfz.read_text().replace("<region>", "<region>\ncutoff=800", 1))
    assert main(["imagine", "--like", str(filtered), "-o", str(tmp_path / "c"), *keys]) == 0
    assert "ears: opcodes that are ignored: cutoff" in capsys.readouterr().err


def test_loudness_over_velocity_is_that_of_the_imagined_instrument():
    """Also at the velocities between layers."""
    instrument = imagine(7, family="keyboard")
    keys = (48, 72)
    sampled = sample_instrument(instrument, SamplingPlan(keys=keys))
    velocities = (25, 35, 42, 43, 64, 85, 86, 107, 127)
    for key in keys:
        live = list(instrument.notes([(key, v) for v in velocities], 2.0, RATE))
        differences = []
        for velocity, sound in zip(velocities, live, strict=True):
            note = sampled.note(key, velocity, 1.0 + sampled.release_seconds, RATE)
            differences.append(level(note.samples[:RATE]) - level(sound.samples[:RATE]))
        assert np.ptp(differences) < 3.5


@pytest.fixture(scope="module")
def strings(tmp_path_factory):
    """An imagined instrument's SoundFont in FluidSynth, and its zones."""
    path = tmp_path_factory.mktemp("strings") / "strings.sf2"
    export(imagine(3, family="string"), path, plan=SamplingPlan(33, 93, 12, 2, 2.5))
    return Fluid(path), open_instrument(path)


def test_fluidsynth_plays_an_imagined_instrument(strings):
    fluid, sampled = strings
    fluid.every_key_sounds()
    fluid.pitches()
    fluid.release_ends(max(zone.envelope.release for zone in sampled.zones))
    for key in (48, 72):
        levels = [level(fluid.play(key, v, 0.5, 0.5)) for v in range(1, 128, 6)]
        assert np.diff(levels).min() > 0.2


def test_fluidsynth_loops_an_imagined_instrument_without_a_click(strings):
    fluid, sampled = strings
    looped = [zone for zone in sampled.zones if zone.loop is not None and zone.velocities[1] == 127]
    assert len(looped) >= 3
    for zone in looped:
        fluid.no_click(zone, sampled.samples[zone.sample].sample_rate)
