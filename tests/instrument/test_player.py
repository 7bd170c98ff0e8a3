"""Songs: each note where, how high and how loud it is asked for."""

import mido
import numpy as np
import pytest

from mechanical_ears.errors import EarsError
from mechanical_ears.instrument.midi import read_song
from mechanical_ears.instrument.player import automation, play_song, read_at
from mechanical_ears.instrument.reverb import reverberated, room
from support.toy_instruments import (
    POWER,
    RATE,
    Organ,
    control,
    key,
    level,
    peak_pitch,
    sampled,
    write_midi,
)

TEMPO = [(0, mido.MetaMessage("set_tempo", tempo=1_000_000))]
LOUD = control(0, 7, 127)


def played(tmp_path, *tracks, instruments=None, **options):
    song = read_song(write_midi(tmp_path / "x.mid", TEMPO, *tracks))
    return play_song(song, {0: sampled()} if instruments is None else instruments, **options)


@pytest.mark.parametrize("live", [False, True])
def test_notes_begin_where_they_should_at_their_pitch(tmp_path, live):
    made = played(tmp_path, key(1, 2, 60) + key(4, 5, 67), instruments={0: Organ()}, live=live)
    loud = np.flatnonzero(np.abs(made.audio[:, 0]) > 1e-3)
    assert abs(loud[0] - RATE) < 0.003 * RATE
    assert level(made.audio[: RATE - 10]) < -120
    assert level(made.audio[round(3.2 * RATE) : round(3.99 * RATE)]) < -90
    for start, pitch in ((1, 60), (4, 67)):
        part = made.audio[round((start + 0.1) * RATE) : (start + 1) * RATE, 0]
        assert abs(peak_pitch(part, RATE, pitch) - pitch) < 0.01
    assert (made.notes, made.voices) == (2, 1)


def test_a_bend_moves_the_pitch_and_back(tmp_path):
    bend = [(2, mido.Message("pitchwheel", pitch=8191)), (4, mido.Message("pitchwheel", pitch=0))]
    for live in (False, True):
        made = played(tmp_path, key(1, 6, 60) + bend, instruments={0: Organ()}, live=live)
        for first, pitch in ((1.1, 60), (2.1, 62), (4.1, 60)):
            part = made.audio[round(first * RATE) : round((first + 0.8) * RATE), 0]
            assert abs(peak_pitch(part, RATE, pitch) - pitch) < 0.02


def test_velocity_volume_and_expression(tmp_path):
    events = key(0, 1, 60, 107) + key(2, 3, 60, 127) + LOUD
    made = played(tmp_path, events)
    soft, loud = (level(made.audio[at * RATE + 4800 : (at + 1) * RATE]) for at in (0, 2))
    assert loud - soft == pytest.approx(20 * POWER * np.log10(127 / 107), abs=0.05)
    events = key(0, 2, 60) + LOUD + control(1, 11, 64)
    made = played(tmp_path, events)
    before, after = (level(made.audio[at : at + 24_000]) for at in (20_000, 60_000))
    assert after - before == pytest.approx(40 * np.log10(64 / 127), abs=0.05)
    jump = np.abs(np.diff(made.audio[47_000:50_000, 0])).max()
    assert jump < 1.5 * np.abs(np.diff(made.audio[20_000:40_000, 0])).max()  # no click


@pytest.mark.parametrize(("pan", "left", "right"), [(0, 3.01, None), (64, 0, 0), (127, None, 3.01)])
def test_pan(tmp_path, pan, left, right):
    made = played(tmp_path, key(0, 1, 60) + LOUD + control(0, 10, pan))
    plain = played(tmp_path, key(0, 1, 60) + LOUD)
    for side, wanted in ((0, left), (1, right)):
        heard = level(made.audio[4800:40_000, side]) - level(plain.audio[4800:40_000, side])
        assert heard < -60 if wanted is None else heard == pytest.approx(wanted, abs=0.05)


def test_the_pedal_is_heard(tmp_path):
    notes = key(0, 1, 60) + key(5, 6, 60)
    without = played(tmp_path, notes)
    with_it = played(tmp_path, notes + control(0.5, 64, 127) + control(3, 64, 0))
    at = slice(2 * RATE, 3 * RATE)
    assert level(without.audio[at]) < -100
    assert level(with_it.audio[at]) > -40


def test_channels_have_instruments_of_their_own(tmp_path):
    events = key(0, 1, 60, channel=0), key(0, 1, 72, channel=1), key(0, 1, 48, channel=2)
    made = played(tmp_path, *events, instruments={1: sampled(), 2: Organ()})
    assert made.notes == 2
    assert made.notices == ("channel 3 has no instrument: 1 notes passed over",)
    with pytest.raises(EarsError, match="no channel with notes has an instrument"):
        played(tmp_path, *events, instruments={7: Organ()})


def test_a_thousand_notes_at_once_do_not_clip(tmp_path):
    events = [e for n in range(1000) for e in key(0, 1, n % 128, channel=n // 128 + (n // 128 > 8))]
    made = played(tmp_path, events)
    assert made.voices == 1000
    assert np.abs(made.audio).max() <= 0.971
    assert "not to clip" in made.notices[-1]


def test_a_long_note_goes_over_its_loop(tmp_path):
    made = played(tmp_path, key(0, 30, 60))
    blocks = [level(made.audio[s * RATE : (s + 1) * RATE]) for s in range(1, 29)]
    assert np.ptp(blocks) < 0.1


def test_reverb_adds_a_tail_that_dies(tmp_path):
    dry = played(tmp_path, key(0, 1, 60))
    wet = played(tmp_path, key(0, 1, 60), reverb=0.5)
    assert len(wet.audio) > len(dry.audio) + RATE
    after = slice(round(1.5 * RATE), round(1.6 * RATE))
    assert -70 < level(wet.audio[after]) < level(wet.audio[:RATE]) - 10
    assert level(wet.audio[-4800:]) < -80
    with pytest.raises(EarsError, match='"reverb" is 2, outside'):
        played(tmp_path, key(0, 1, 60), reverb=2)


def test_the_room_falls_as_it_should_and_the_blocks_do_not_show():
    answer = room(RATE, 1.0)
    np.testing.assert_allclose(np.square(answer).sum(axis=0), 1, rtol=1e-3)
    decay = [level(answer[round(t * RATE) : round((t + 0.1) * RATE)]) for t in (0.1, 0.6)]
    assert 28 < decay[0] - decay[1] < 45  # 30 dB in half of a second, and more above 1 kHz
    sound = np.random.default_rng(0).standard_normal((150_000, 2)).astype(np.float32)
    wet = reverberated(sound, RATE, 0.3)
    whole = sound.astype(np.float64)
    long_answer = 0.3 * room(RATE)
    size = len(whole) + len(long_answer)
    for side in (0, 1):
        spectra = np.fft.rfft(whole[:, side], size) * np.fft.rfft(long_answer[:, side], size)
        told = np.fft.irfft(spectra, size)
        told[: len(whole)] += whole[:, side]
        np.testing.assert_allclose(wet[:, side], told[: len(wet)], atol=2e-4)


def test_automation_is_a_ramp_of_5_ms():
    made = automation([(0.0, 1.0), (1.0, 0.0)], 0, 2 * RATE, RATE)
    assert (made[: RATE + 1] == 1).all()
    assert made[RATE + 120] == pytest.approx(0.5, abs=0.01)
    assert (made[RATE + 241 :] == 0).all()


def test_reading_between_frames():
    time = np.arange(4800) / RATE
    audio = np.sin(2 * np.pi * 440 * time).astype(np.float32)[:, None]
    places = np.arange(1, 4000) * 1.1
    made = read_at(audio, places)[:, 0]
    np.testing.assert_allclose(made, np.sin(2 * np.pi * 440 * places / RATE), atol=1e-4)
    np.testing.assert_array_equal(read_at(audio, np.arange(4800.0)), audio)
    assert (read_at(audio, np.array([4803.0, 9999.0])) == 0).all()


def test_the_same_song_sounds_the_same(tmp_path):
    events = key(0, 1, 60) + key(0.5, 2, 64)
    first, second = (played(tmp_path, events, reverb=0.2) for _ in range(2))
    np.testing.assert_array_equal(first.audio, second.audio)
