"""Octave decision: tones of known period, noise, and a network that is unsure."""

import numpy as np
import pytest

from mechanical_ears.listening.frontend import extract_features
from mechanical_ears.listening.periodicity import aperiodicity, weigh_octaves
from mechanical_ears.pitch import PIANO_MIN_PITCH, midi_to_hz

TIME = np.arange(64_000) / 16_000


def power(midi, partials, decay=1.0):
    """Power spectrum of a decaying tone with the given partials, equally loud."""
    phases = np.random.default_rng(0).uniform(0, 2 * np.pi, len(partials))
    tone = sum(
        np.sin(2 * np.pi * midi_to_hz(midi) * n * TIME + phase)
        for n, phase in zip(partials, phases, strict=True)
    )
    audio = 0.1 * tone * np.exp(-decay * TIME)
    return extract_features(audio[None].astype(np.float32)).power[0]


def undecided(*keys):
    """Probabilities of a network that finds each of the keys equally likely."""
    probabilities = np.zeros(128, np.float32)
    probabilities[list(keys)] = 1 / len(keys)
    return probabilities


def sounding(spectrum, *keys):
    """MIDI number that sounds, where the network finds these equally likely."""
    return weigh_octaves(undecided(60), undecided(*keys), spectrum).sounding.argmax()


@pytest.mark.parametrize("midi", [24, 33, 45, 57, 69, 81, 93])
def test_a_tone_is_periodic_at_its_key_and_below_but_not_above(midi):
    y = aperiodicity(power(midi, (1, 2, 3)))
    assert y.shape == (88,)
    assert y[midi - PIANO_MIN_PITCH] < 0.03
    assert y[midi + 12 - PIANO_MIN_PITCH] > 0.3
    if midi - 12 >= PIANO_MIN_PITCH:
        assert y[midi - 12 - PIANO_MIN_PITCH] < 0.05


def test_aperiodicity_of_a_sine_by_its_formula():
    """d(τ) = 1 − cos 2πτ/T, hence y(τ) = τ (1 − cos 2πτ/T) / (τ − T/2π · sin 2πτ/T)."""
    period = 1 / midi_to_hz(45)  # s
    sine = 0.5 * np.sin(2 * np.pi * TIME / period)
    y = aperiodicity(extract_features(sine[None].astype(np.float32)).power[0])
    for key in range(33, 70):
        middle, reach = 32_000 / midi_to_hz(key), 2 ** (60 / 1200)  # half samples; 60 cents
        lags = np.arange(np.ceil(middle / reach), np.floor(middle * reach) + 1) / 32_000
        angle = 2 * np.pi * lags / period
        expected = lags * (1 - np.cos(angle)) / (lags - np.sin(angle) * period / (2 * np.pi))
        assert y[key - PIANO_MIN_PITCH] == pytest.approx(expected.min(), rel=0.03, abs=0.02)


def test_noise_has_no_period():
    audio = np.random.default_rng(1).standard_normal((1, 64_000)).astype(np.float32)
    y = aperiodicity(extract_features(0.1 * audio).power[0])
    assert y.min() > 0.6
    assert np.median(y) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("decay", [0.3, 6.0])
@pytest.mark.parametrize("partials", [(1, 2, 3, 4), (2, 3, 4), (1, 3, 5), (3, 4, 5)])
@pytest.mark.parametrize("midi", [36, 48, 60, 72, 84])
def test_the_signal_decides_where_the_network_cannot(midi, partials, decay):
    spectrum = power(midi, partials, decay)
    for other in (midi - 12, midi + 12, midi - 24, midi + 19, midi + 7):
        if PIANO_MIN_PITCH <= other <= 108:
            assert sounding(spectrum, midi, other) == midi


def test_outside_the_piano_the_network_decides():
    assert sounding(power(31, (1, 2, 3)), 19) == 19


def test_silence_leaves_the_decision_to_the_network():
    silent = extract_features(np.zeros((1, 64_000), np.float32)).power[0]
    assert not silent.any()
    assert aperiodicity(silent).tolist() == [1.0] * 88
    assert sounding(silent, 60) == 60


def test_the_attack_counts_no_more_than_the_rest():
    """A loud tone of 30 ms at one key, a tone 20 dB softer at another for the rest."""
    click = np.where(TIME < 0.03, 0.5 * np.sin(2 * np.pi * midi_to_hz(90) * TIME), 0)
    rest = np.where(TIME < 0.03, 0, 0.1 * np.sin(2 * np.pi * midi_to_hz(60) * TIME))
    spectrum = extract_features((click + rest)[None].astype(np.float32)).power[0]
    assert sounding(spectrum, 60, 90) == 60


def test_the_period_decides_the_key_only_where_the_network_is_unsure():
    """A tone of 440 Hz: its key where the network is in doubt, another where it is sure."""
    spectrum = power(69, (1, 2, 3))
    doubt = undecided(57, 69)
    unsure = weigh_octaves(doubt, doubt, spectrum)
    assert unsure.key.argmax() == 69
    assert unsure.key.sum() == pytest.approx(1)
    assert 0.5 < unsure.key[69] < 0.9
    organ = np.full(128, 1e-6, np.float32)
    organ[81] = 1 - 127e-6  # a stop that sounds an octave below its key
    sure = weigh_octaves(organ, doubt, spectrum)
    assert sure.key.argmax() == 81
    assert 0.9 < sure.key[81] < 1 - 127e-6
    assert sure.sounding.argmax() == 69
    assert sure.sounding.sum() == pytest.approx(1)


def test_a_low_note_without_a_clear_period_stays_on_the_piano():
    probabilities = np.zeros(128, np.float32)
    probabilities[[23, 118]] = 0.99, 1e-5
    noise = np.random.default_rng(1).normal(size=(1, 64_000)).astype(np.float32)
    spectrum = extract_features(noise * np.float32(0.1)).power[0]
    assert weigh_octaves(undecided(23), probabilities, spectrum).sounding.argmax() <= 108
