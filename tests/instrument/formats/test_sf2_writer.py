"""SoundFonts: conventions of the format, round trips, and playback by FluidSynth."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mechanical_ears.corpus.sf2 import SoundFontFile
from mechanical_ears.corpus.sf2_generators import Generator
from mechanical_ears.errors import EarsError
from mechanical_ears.instrument.autosampler import SamplingPlan, sample_instrument
from mechanical_ears.instrument.export import export
from mechanical_ears.instrument.formats.sf2_writer import timecents
from mechanical_ears.instrument.opening import open_instrument
from mechanical_ears.instrument.zones import Envelope, Loop, VelocityResponse
from support.independent_players import Fluid
from support.toy_instruments import POWER, Organ, level, peak_pitch, sine_instrument

pytestmark = pytest.mark.fluidsynth

TIM = "/usr/share/sounds/sf2/TimGM6mb.sf2"


@pytest.fixture(scope="module")
def organ():
    return sample_instrument(Organ(), SamplingPlan(33, 93, 12, 3, 2.5))


@pytest.fixture(scope="module")
def fluid(organ, tmp_path_factory):
    return Fluid(export(organ, tmp_path_factory.mktemp("sf2") / "organ.sf2").path)


def test_fluidsynth_plays_every_key(fluid):
    fluid.every_key_sounds()


def test_fluidsynth_plays_in_tune(fluid):
    fluid.pitches()


def test_fluidsynth_plays_louder_with_velocity(fluid):
    fluid.louder_with_velocity()


def test_fluidsynth_ends_the_release(fluid, organ):
    fluid.release_ends(max(zone.envelope.release for zone in organ.zones))


def test_fluidsynth_loops_without_a_click(fluid, organ):
    for zone in organ.zones:
        if zone.velocities[0] <= 100 <= zone.velocities[1] and 36 <= zone.root <= 96:
            fluid.no_click(zone, organ.samples[zone.sample].sample_rate)


def test_a_bad_loop_clicks_in_fluidsynth(tmp_path):
    good = sine_instrument(1, (60,))
    fluid = Fluid(export(good, tmp_path / "good.sf2").path)
    assert fluid.no_click(good.zones[0], 48_000) < 3
    bad = replace(good.zones[0], loop=Loop(4800, 43_200 + 50))
    clicking = replace(good, zones=(bad,))
    fluid = Fluid(export(clicking, tmp_path / "bad.sf2").path)
    with pytest.raises(AssertionError):
        fluid.no_click(bad, 48_000)


def test_fluidsynth_follows_the_velocity_response(fluid):
    levels = {v: level(fluid.play(60, v, 0.5, 0.5)[4800:]) for v in (15, 30, 42, 43, 64, 90, 120)}
    for velocity, measured in levels.items():
        expected = 20 * POWER * np.log10(velocity / 120)
        assert measured - levels[120] == pytest.approx(expected, abs=0.3), velocity


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_round_trip_changes_nothing(tmp_path, bits, channels):
    first = sine_instrument(3, channels=channels)
    path = export(first, tmp_path / "one.sf2", bits=bits).path
    second = open_instrument(path)
    assert second.zones == first.zones
    assert (second.name, second.licence, second.family) == ("Sines", "CC0-1.0", "organ")
    assert second.warnings == ()
    for name, sample in first.samples.items():
        np.testing.assert_allclose(
            second.samples[name].audio, sample.audio, atol=0.51 / 2 ** (bits - 1)
        )
    again = export(second, tmp_path / "two.sf2", bits=bits).path
    assert open_instrument(again).zones == first.zones
    assert path.read_bytes() == again.read_bytes()


def test_conventions_of_the_format(tmp_path):
    file = SoundFontFile(export(sine_instrument(1, (60,)), tmp_path / "x.sf2").path)
    header = file.tables["shdr"][0]
    assert (int(header["loop_start"]), int(header["loop_end"])) == (4800, 43_200)  # one past
    assert int(header["end"]) == 48_000
    data = file._data
    start = file.samples[0].offset + file.samples[0].length
    assert bytes(data[start : start + 92]) == bytes(92)  # 46 frames of silence
    generators = {int(row["number"]): int(row["amount"]) for row in file.tables["igen"]}
    assert generators[54] == 1  # loops
    assert 38 in generators  # release
    assert file.info["INAM"] == "Sines"
    assert file.info["ICOP"] == "CC0-1.0"


@pytest.mark.parametrize(
    ("seconds", "expected"), [(1.0, 0), (2.0, 1200), (0.5, -1200), (0.25, -2400), (0.0, -11_959)]
)
def test_timecents(seconds, expected):
    assert timecents(seconds) == expected


def test_decay_and_release_times_are_those_of_100_db(tmp_path):
    """80 dB in 0.8 s are 100 dB in 1 s, which is 0 timecents."""
    first = sine_instrument(1, (60,))
    zone = replace(first.zones[0], envelope=Envelope(decay=0.4, sustain=-12.0, release=0.8))
    path = export(replace(first, zones=(zone,)), tmp_path / "x.sf2").path
    amounts = {
        int(row["number"]): int(row["amount"].astype(np.int16))
        for row in SoundFontFile(path).tables["igen"]
    }
    assert amounts[Generator.RELEASE] == 0
    assert amounts[Generator.DECAY] == -1200
    assert amounts[Generator.SUSTAIN] == 120  # centibels


def test_envelope_gain_and_key_tracking_survive_a_round_trip(tmp_path):
    first = sine_instrument(1, (60,))
    zone = replace(
        first.zones[0],
        envelope=Envelope(0.1, 0.5, 0.25, 2.0, -12.0, 1.5),
        velocity_response=VelocityResponse(),
        key_tracking=50.0,
        pan=-0.5,
    )
    path = export(replace(first, zones=(zone,)), tmp_path / "x.sf2").path
    assert open_instrument(path).zones == (zone,)
    softer = replace(first, zones=(replace(first.zones[0], gain=-6.0206),))
    read = open_instrument(export(softer, tmp_path / "y.sf2").path)
    assert np.abs(read.samples["60_64"].audio).max() == pytest.approx(0.25, abs=1e-3)
    louder = replace(first, zones=(replace(first.zones[0], gain=20.0),))
    read = open_instrument(export(louder, tmp_path / "z.sf2").path)
    assert np.abs(read.samples["60_64"].audio).max() <= 1


def test_a_general_midi_soundfont_plays():
    if not Path(TIM).exists():
        pytest.skip("TimGM6mb is not installed (apt install timgm6mb-soundfont)")
    violin = open_instrument(TIM, preset="0:40")
    assert violin.name == "Violin"
    note = violin.note(69, 100, 1.5 + violin.release_seconds)
    assert abs(peak_pitch(note.samples[9600:62_400], 48_000, 69) - 69) < 0.1
    with pytest.raises(EarsError, match="has no preset 99:1; choose among 0:0, 0:1"):
        open_instrument(TIM, preset="99:1")


def test_too_many_zones_are_refused(tmp_path):
    first = sine_instrument(1, (60,))
    zones = tuple(
        replace(
            first.zones[0], keys=(key, key), velocities=(velocity, velocity), round_robin=(1, 1)
        )
        for key in range(128)
        for velocity in range(1, 128)
    )
    with pytest.raises(EarsError, match="zones are more than a SoundFont may have"):
        export(replace(first, zones=zones), tmp_path / "x.sf2")
    assert list(tmp_path.iterdir()) == []


def test_long_and_non_ascii_names_are_shortened(tmp_path):
    first = replace(sine_instrument(1), name="Größte Orgel der Welt, imagined" * 20)
    file = SoundFontFile(export(first, tmp_path / "x.sf2").path)
    assert len(file.presets[0].name) <= 19
