"""Stereo notes of all kinds of instruments: true channels where there are any, equal ones else."""

import numpy as np

from mechanical_ears.instrument.control_map_instrument import ControlMapInstrument
from mechanical_ears.instrument.playable import play_notes
from mechanical_ears.instrument.recorded import RecordedInstrument
from mechanical_ears.sound import Sound
from support.toy_control_maps import make_control_map
from support.toy_instruments import RATE, Organ, sine_instrument


def test_sampled_instruments_keep_their_channels():
    instrument = sine_instrument(channels=2)
    stereo = instrument.note(60, seconds=1, channels=2)
    left, right = stereo.samples.T
    assert np.abs(left - right).max() > 0.1
    np.testing.assert_allclose(
        stereo.mono().samples, instrument.note(60, seconds=1).samples, atol=1e-7
    )
    left, right = sine_instrument(channels=1).note(60, seconds=1, channels=2).samples.T
    np.testing.assert_allclose(left, right, atol=1e-6)


def test_recorded_instruments_give_equal_or_true_channels():
    mono = Sound.sine(440, 1.0, RATE)
    both = Sound(np.stack([mono.samples, 0.5 * mono.samples], axis=1), RATE)
    for sound in (mono, both):
        instrument = RecordedInstrument("Sine", {(69, 100): 0}, [sound].__getitem__)
        stereo = instrument.note(69, seconds=0.5, sample_rate=RATE, channels=2).samples
        assert stereo.shape == (RATE // 2, 2)
        np.testing.assert_allclose(stereo[:, 1], stereo[:, 0] / sound.channels, atol=1e-6)
        one = instrument.note(69, seconds=0.5, sample_rate=RATE).samples
        np.testing.assert_allclose(stereo.mean(axis=1), one, atol=1e-6)


def test_control_maps_are_as_wide_as_their_family():
    maps = {(57, 100): make_control_map(levels=np.full(10, -30.0))}
    for family in (None, "string"):
        instrument = ControlMapInstrument("Maps", maps, family)
        one = instrument.note(57, seconds=6).samples
        stereo = instrument.note(57, seconds=6, channels=2)
        assert stereo.samples.shape == (len(one), 2)
        np.testing.assert_allclose(stereo.mono().samples, one, atol=1e-6)
        left, right = stereo.samples.T
        assert np.corrcoef(left, right)[0, 1] < 0.95


def test_many_notes_in_stereo():
    for instrument in (Organ(), sine_instrument(channels=2)):
        pairs = [(48, 100), (60, 90)]
        sounds = list(play_notes(instrument, pairs, [0.6, 1.0], channels=2))
        for sound, pair, seconds in zip(sounds, pairs, (0.6, 1.0), strict=True):
            expected = instrument.note(*pair, seconds, channels=2).samples
            np.testing.assert_array_equal(sound.samples, expected)
