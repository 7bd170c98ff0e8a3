"""Sampled instruments: envelopes, pan, representative notes, old names."""

import numpy as np
import pytest

import mechanical_ears
from mechanical_ears.errors import EarsError
from mechanical_ears.instrument.playable import Playable
from mechanical_ears.instrument.sampled import (
    Sample,
    SampledInstrument,
    envelope_gains,
    pan_gains,
)
from mechanical_ears.instrument.zones import Envelope, Zone
from support.toy_instruments import RATE, sine_instrument

STAGES = Envelope(delay=0.1, attack=0.2, hold=0.3, decay=1.0, sustain=-40.0, release=0.5)


def test_stages_of_an_envelope():
    """Attack is linear; decay and release fall by 80 dB in their times."""
    gains = envelope_gains(STAGES, 2.0, 3 * RATE, RATE)
    expected = {
        0.05: 0.0,  # delay
        0.15: 0.25,  # attack, a quarter
        0.25: 0.75,
        0.45: 1.0,  # hold
        0.7: 10 ** (-8 / 20),  # decay, 0.1 s of 80 dB/s
        1.0: 10 ** (-32 / 20),
        1.5: 0.01,  # sustain
        2.05: 0.01,  # key-up is at 2.1 s: after the delay and 2 s
        2.35: 0.01 * 10 ** (-40 / 20) * (1 - 0.5**8),  # half of the release
        2.7: 0.0,
    }
    for seconds, gain in expected.items():
        assert gains[round(seconds * RATE)] == pytest.approx(gain, rel=2e-3, abs=1e-6), seconds


def test_pan_has_constant_power():
    assert pan_gains(0) == pytest.approx((1, 1))
    assert pan_gains(-1) == pytest.approx((2**0.5, 0), abs=1e-9)
    assert pan_gains(0.5) == pytest.approx((0.541196, 1.306563), abs=1e-6)
    for pan in (-1, -0.3, 0, 0.7, 1, 5):
        assert np.square(pan_gains(pan)).sum() == pytest.approx(2)


def test_an_octave_up_plays_twice_as_fast():
    ramp = np.linspace(-1, 1, RATE, dtype=np.float32)[:, None]
    instrument = SampledInstrument("Ramp", (Zone("x", 60),), {"x": Sample(ramp, RATE)})
    assert instrument.zone_frames(instrument.zones[0], 72, 9.0, RATE) == RATE // 2
    note = instrument.note(72, 127, 0.25, RATE).samples
    middle = slice(1000, 6000)
    np.testing.assert_allclose(note[middle], ramp[::2, 0][middle], atol=1e-3)


def test_it_is_playable():
    assert isinstance(sine_instrument(1), Playable)


def test_a_zone_must_have_its_sample():
    with pytest.raises(EarsError, match='Sines: a zone names the missing sample "gone"'):
        SampledInstrument("Sines", (Zone("gone", 60),), {})


def test_old_names(tmp_path):
    instrument = sine_instrument(1)
    with pytest.warns(DeprecationWarning, match=r"now mechanical_ears\.export"):
        path = instrument.export(tmp_path / "x.sfz").path
    with pytest.warns(DeprecationWarning, match=r"now mechanical_ears\.open_instrument"):
        loaded = SampledInstrument.load(path)
    assert loaded.zones == mechanical_ears.open_instrument(path).zones == instrument.zones
    with pytest.warns(DeprecationWarning, match="representative_notes"):
        assert len(instrument.recordings()) == 3
    with pytest.warns(DeprecationWarning, match="round_robin"):
        instrument.note(60, seconds=0.1, take=0)
