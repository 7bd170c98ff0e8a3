"""Songs: time, pitch and level of each note, controllers, reverb."""

import mido
import numpy as np
import pytest

from mechanical_ears.errors import EarsError
from mechanical_ears.instrument.midi import read_song
from mechanical_ears.instrument.player import automation, interpolate_cubic, play_song
from mechanical_ears.instrument.reverb import add_reverb, room_response
from mechanical_ears.sound import Sound
from support.toy_instruments import (
    POWER,
    RATE,
    Organ,
    controller_event,
    level,
    note_events,
    peak_pitch,
    sine_instrument,
    write_midi,
)

TEMPO = [(0, mido.MetaMessage("set_tempo", tempo=1_000_000))]
LOUD = controller_event(0, 7, 127)


def play(tmp_path, *tracks, instruments=None, **options):
    song = read_song(write_midi(tmp_path / "x.mid", TEMPO, *tracks))
    return play_song(
        song, {0: sine_instrument()} if instruments is None else instruments, **options
    )


@pytest.mark.parametrize("live", [False, True])
def test_notes_start_on_time_at_their_pitch(tmp_path, live):
    song = play(
        tmp_path, note_events(1, 2, 60) + note_events(4, 5, 67), instruments={0: Organ()}, live=live
    )
    loud = np.flatnonzero(np.abs(song.sound.samples[:, 0]) > 1e-3)
    assert abs(loud[0] - RATE) < 0.003 * RATE
    assert level(song.sound.samples[: RATE - 10]) < -120
    assert level(song.sound.samples[round(3.2 * RATE) : round(3.99 * RATE)]) < -90
    for start, pitch in ((1, 60), (4, 67)):
        part = song.sound.samples[round((start + 0.1) * RATE) : (start + 1) * RATE, 0]
        assert abs(peak_pitch(part, RATE, pitch) - pitch) < 0.01
    assert (song.notes, song.max_polyphony) == (2, 1)


def test_a_bend_moves_the_pitch_and_back(tmp_path):
    bend = [(2, mido.Message("pitchwheel", pitch=8191)), (4, mido.Message("pitchwheel", pitch=0))]
    for live in (False, True):
        song = play(tmp_path, note_events(1, 6, 60) + bend, instruments={0: Organ()}, live=live)
        for first, pitch in ((1.1, 60), (2.1, 62), (4.1, 60)):
            part = song.sound.samples[round(first * RATE) : round((first + 0.8) * RATE), 0]
            assert abs(peak_pitch(part, RATE, pitch) - pitch) < 0.02


def test_velocity_volume_and_expression(tmp_path):
    events = note_events(0, 1, 60, 107) + note_events(2, 3, 60, 127) + LOUD
    song = play(tmp_path, events)
    soft, loud = (level(song.sound.samples[at * RATE + 4800 : (at + 1) * RATE]) for at in (0, 2))
    assert loud - soft == pytest.approx(20 * POWER * np.log10(127 / 107), abs=0.05)
    events = note_events(0, 2, 60) + LOUD + controller_event(1, 11, 64)
    song = play(tmp_path, events)
    before, after = (level(song.sound.samples[at : at + 24_000]) for at in (20_000, 60_000))
    assert after - before == pytest.approx(40 * np.log10(64 / 127), abs=0.05)
    jump = np.abs(np.diff(song.sound.samples[47_000:50_000, 0])).max()
    assert jump < 1.5 * np.abs(np.diff(song.sound.samples[20_000:40_000, 0])).max()  # no click


@pytest.mark.parametrize(("pan", "left", "right"), [(0, 3.01, None), (64, 0, 0), (127, None, 3.01)])
def test_pan(tmp_path, pan, left, right):
    song = play(tmp_path, note_events(0, 1, 60) + LOUD + controller_event(0, 10, pan))
    plain = play(tmp_path, note_events(0, 1, 60) + LOUD)
    for side, expected in ((0, left), (1, right)):
        change = level(song.sound.samples[4800:40_000, side]) - level(
            plain.sound.samples[4800:40_000, side]
        )
        assert change < -60 if expected is None else change == pytest.approx(expected, abs=0.05)


def test_the_pedal_sustains(tmp_path):
    notes = note_events(0, 1, 60) + note_events(5, 6, 60)
    without = play(tmp_path, notes)
    sustained = play(tmp_path, notes + controller_event(0.5, 64, 127) + controller_event(3, 64, 0))
    at = slice(2 * RATE, 3 * RATE)
    assert level(without.sound.samples[at]) < -100
    assert level(sustained.sound.samples[at]) > -40


def test_each_channel_has_its_instrument(tmp_path):
    events = (
        note_events(0, 1, 60, channel=0),
        note_events(0, 1, 72, channel=1),
        note_events(0, 1, 48, channel=2),
    )
    song = play(tmp_path, *events, instruments={1: sine_instrument(), 2: Organ()})
    assert song.notes == 2
    assert song.warnings == ("channel 3 has no instrument: 1 notes ignored",)
    with pytest.raises(EarsError, match="no channel with notes has an instrument"):
        play(tmp_path, *events, instruments={7: Organ()})


@pytest.mark.slow
def test_a_thousand_notes_at_once_do_not_clip(tmp_path):
    events = [
        e
        for n in range(1000)
        for e in note_events(0, 1, n % 128, channel=n // 128 + (n // 128 > 8))
    ]
    song = play(tmp_path, events)
    assert song.max_polyphony == 1000
    assert np.abs(song.sound.samples).max() <= 0.971
    assert "to avoid clipping" in song.warnings[-1]


def test_a_long_note_repeats_its_loop(tmp_path):
    song = play(tmp_path, note_events(0, 30, 60))
    blocks = [level(song.sound.samples[s * RATE : (s + 1) * RATE]) for s in range(1, 29)]
    assert np.ptp(blocks) < 0.1


def test_reverb_adds_a_decaying_tail(tmp_path):
    dry = play(tmp_path, note_events(0, 1, 60))
    wet = play(tmp_path, note_events(0, 1, 60), reverb=0.5)
    assert len(wet.sound.samples) > len(dry.sound.samples) + RATE
    after = slice(round(1.5 * RATE), round(1.6 * RATE))
    assert -70 < level(wet.sound.samples[after]) < level(wet.sound.samples[:RATE]) - 10
    assert level(wet.sound.samples[-4800:]) < -80
    with pytest.raises(EarsError, match='"reverb" is 2, outside'):
        play(tmp_path, note_events(0, 1, 60), reverb=2)


def test_reverb_decays_at_its_rate_and_equals_one_long_convolution():
    response = room_response(RATE, 1.0)
    np.testing.assert_allclose(np.square(response).sum(axis=0), 1, rtol=1e-3)
    decay = [level(response[round(t * RATE) : round((t + 0.1) * RATE)]) for t in (0.1, 0.6)]
    assert 28 < decay[0] - decay[1] < 45  # 30 dB in half of a second, and more above 1 kHz
    sound = np.random.default_rng(0).standard_normal((150_000, 2)).astype(np.float32)
    wet = add_reverb(sound, RATE, 0.3)
    dry = sound.astype(np.float64)
    response = 0.3 * room_response(RATE)
    size = len(dry) + len(response)
    for side in (0, 1):
        spectra = np.fft.rfft(dry[:, side], size) * np.fft.rfft(response[:, side], size)
        expected = np.fft.irfft(spectra, size)
        expected[: len(dry)] += dry[:, side]
        np.testing.assert_allclose(wet[:, side], expected[: len(wet)], atol=2e-4)


def test_automation_is_a_ramp_of_5_ms():
    values = automation([(0.0, 1.0), (1.0, 0.0)], 0, 2 * RATE, RATE)
    assert (values[: RATE + 1] == 1).all()
    assert values[RATE + 120] == pytest.approx(0.5, abs=0.01)
    assert (values[RATE + 241 :] == 0).all()


def test_cubic_interpolation():
    time = np.arange(4800) / RATE
    audio = np.sin(2 * np.pi * 440 * time).astype(np.float32)[:, None]
    positions = np.arange(1, 4000) * 1.1
    output = interpolate_cubic(audio, positions)[:, 0]
    np.testing.assert_allclose(output, np.sin(2 * np.pi * 440 * positions / RATE), atol=1e-4)
    np.testing.assert_array_equal(interpolate_cubic(audio, np.arange(4800.0)), audio)
    assert (interpolate_cubic(audio, np.array([4803.0, 9999.0])) == 0).all()


def test_the_same_song_gives_the_same_samples(tmp_path):
    events = note_events(0, 1, 60) + note_events(0.5, 2, 64)
    first, second = (play(tmp_path, events, reverb=0.2) for _ in range(2))
    np.testing.assert_array_equal(first.sound.samples, second.sound.samples)


class _Wide(Organ):
    """In stereo its right channel is half as loud."""

    def note(self, *arguments, channels=1, **named):
        samples = super().note(*arguments, **named).samples
        wide = np.stack([samples, 0.5 * samples], axis=1)
        return Sound(samples if channels == 1 else wide, RATE)


@pytest.mark.parametrize("live", [False, True])
def test_instruments_in_stereo_and_in_mono(tmp_path, live):
    events = note_events(0, 1, 60) + LOUD
    for stereo, difference in ((False, 0), (True, 20 * np.log10(2))):
        song = play(tmp_path, events, instruments={0: _Wide()}, live=live, stereo=stereo)
        left, right = song.sound.samples[: RATE // 2].T
        assert level(left) - level(right) == pytest.approx(difference, abs=0.01)
