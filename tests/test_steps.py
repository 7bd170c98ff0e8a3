"""Steps of synthesised sounds, at starts, ends, seams and key-ups."""

import numpy as np
import pytest

from mechanical_ears.steps import has_step, step_size

FREQUENCIES = pytest.mark.parametrize("frequency", [27.5, 110.0, 440.0, 1760.0, 4186.0])
RATES = pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])


def cosine(frequency, rate, seconds=1.0):
    time = np.arange(round(seconds * rate)) / rate
    return np.cos(2 * np.pi * frequency * time).astype(np.float32)


@FREQUENCIES
@RATES
def test_a_sine_that_starts_at_its_peak_has_a_step(frequency, rate):
    sine = cosine(frequency, rate)
    assert step_size(sine, 0, rate) > 0.8
    assert has_step(sine, 0, rate)
    assert has_step(sine[::-1], len(sine), rate)


@FREQUENCIES
@RATES
def test_a_faded_sine_has_none(frequency, rate):
    sine = cosine(frequency, rate)
    fade = rate // 500
    sine[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)
    assert not has_step(sine, 0, rate)
    assert not has_step(sine[::-1], len(sine), rate)


@pytest.mark.parametrize("frequency", [27.5, 110.0])
def test_a_fade_of_a_tenth_of_a_millisecond_is_a_step(frequency):
    sine = cosine(frequency, 48_000)
    sine[:5] *= np.linspace(0, 1, 5, dtype=np.float32)
    assert has_step(sine, 0, 48_000)


@pytest.mark.parametrize("frequency", [27.5, 110.0, 440.0])
def test_seams(frequency):
    """The second half continues the first, or starts half a period later."""
    rate, sine = 48_000, cosine(frequency, 48_000, 1.5)
    middle = round(round(frequency / 2) * rate / frequency)  # at a peak
    assert not has_step(sine, middle, rate)
    jump = np.concatenate([sine[:middle], sine[middle + round(rate / frequency / 2) :]])
    assert step_size(jump, middle, rate) == pytest.approx(2, abs=0.01)
    assert has_step(jump, middle, rate)


def test_a_key_up_is_none_unless_the_level_jumps():
    rate, sound = 48_000, cosine(110.0, 48_000)
    middle = rate // 2 + 100
    decay = np.exp(-np.arange(len(sound) - middle) / 1000).astype(np.float32)
    released = np.concatenate([sound[:middle], sound[middle:] * decay])
    assert not has_step(released, middle, rate)
    assert has_step(np.concatenate([sound[:middle], 0.5 * sound[middle:]]), middle, rate)


def test_noise_and_silence_have_none():
    noise = np.random.default_rng(0).standard_normal(48_000).astype(np.float32)
    assert not has_step(0.1 * noise, 24_000, 48_000)
    assert not has_step(np.zeros(48_000, np.float32), 0, 48_000)
    assert not has_step(np.zeros(48_000, np.float32), 48_000, 48_000)
