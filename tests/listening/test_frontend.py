"""Front end: bins of sines, levels, decay, invariance to gain; NumPy and torch agree."""

import numpy as np
import pytest
import torch

from mechanical_ears.corpus.toy import Toy
from mechanical_ears.listening.frontend import (
    BINS,
    ENVELOPE_FRAMES,
    FIRST_BIN_MIDI,
    PITCH_FRAMES,
    extract_features,
    layout,
)
from mechanical_ears.listening.training.frontend_torch import TorchFrontEnd
from mechanical_ears.pitch import midi_to_hz
from mechanical_ears.sound import Sound


@pytest.fixture(scope="module")
def audio():
    notes = [note.sound.samples for note in Toy(6, instruments=6)]
    return np.stack([*notes, np.zeros(64_000, np.float32)])


def test_numpy_and_torch_agree(audio):
    numpy_features = extract_features(audio)
    torch_features = TorchFrontEnd()(torch.from_numpy(audio))
    names = ("pitch_map", "envelope", "level")
    for name, values in zip(names, torch_features, strict=True):
        np.testing.assert_allclose(getattr(numpy_features, name), values.numpy(), atol=1e-4)


@pytest.mark.parametrize("midi", [30, 45, 60, 75, 90, 105])
def test_sine_has_its_maximum_at_its_bin(midi):
    features = extract_features(Sound.sine(midi_to_hz(midi), 4).samples[None])
    assert features.pitch_map.shape == (1, PITCH_FRAMES, BINS)
    middle = features.pitch_map[0, 5:20].mean(axis=0)
    bins_of_an_fft_bin = 36 * np.log2(1 + 3.9 / midi_to_hz(midi))
    assert abs(middle.argmax() - 3 * (midi - FIRST_BIN_MIDI)) <= bins_of_an_fft_bin
    assert middle.max() == pytest.approx(1, abs=0.01)


def test_an_octave_is_the_same_distance_everywhere():
    peaks = [
        extract_features(Sound.sine(hertz, 4).samples[None]).pitch_map[0, 12].argmax()
        for hertz in (110, 220, 440, 880, 1760)
    ]
    assert np.diff(peaks).tolist() == [36] * 4


def test_gain_changes_only_the_level(audio):
    loud, soft = (
        extract_features(audio[:6]),
        extract_features(audio[:6] * np.float32(10 ** (-20 / 20))),
    )
    np.testing.assert_allclose(loud.pitch_map, soft.pitch_map, atol=1e-4)
    np.testing.assert_allclose(loud.envelope, soft.envelope, atol=1e-4)
    np.testing.assert_allclose(loud.level - soft.level, 20 / 80, atol=1e-4)


def test_silence_has_no_features(audio):
    features = extract_features(audio[-1:])
    assert features.pitch_map.max() == features.envelope.max() == features.level[0] == 0


def test_full_scale_sine_has_level_one():
    assert extract_features(Sound.sine(440, 4).samples[None]).level[0] == pytest.approx(1, abs=0.01)


def test_frames_cover_the_note_and_are_dense_at_its_attack():
    constants = layout()
    for centres, frames in (
        (constants.pitch_centres, PITCH_FRAMES),
        (constants.envelope_centres, ENVELOPE_FRAMES),
    ):
        assert len(centres) == frames
        assert centres[0] == 0
        assert 63_000 < centres[-1] < 64_000
        gaps = np.diff(centres)
        assert gaps[0] * 5 < gaps[-1]
        assert (np.diff(gaps[-frames // 3 :]) > 0).all()


def test_exponential_decay_is_a_straight_line_in_both_features():
    """20 dB/s: over the top 80 dB as 0 … 1, a quarter in a second."""
    time = np.arange(64_000) / 16_000
    sine = np.sin(2 * np.pi * midi_to_hz(69) * time) * 10 ** (-20 * time / 20)
    features = extract_features(sine[None].astype(np.float32))
    constants = layout()
    frames = slice(8, -3)  # which no edge of the note touches
    seconds = constants.pitch_centres[frames] / 16_000
    level = features.pitch_map[0, frames, 3 * (69 - FIRST_BIN_MIDI)]
    np.testing.assert_allclose(np.diff(level) / np.diff(seconds), -0.25, atol=0.002)
    seconds = constants.envelope_centres[frames] / 16_000
    level = features.envelope[0, frames, features.envelope[0, 10].argmax()]
    np.testing.assert_allclose(np.diff(level) / np.diff(seconds), -0.25, atol=0.02)


def test_filters_sum_what_lies_between_neighbouring_centres():
    """Triangles that overlap by half: above 600 Hz the filters of a bin add up to 1."""
    filters = layout().pitch_filters
    first = round(700 * 4096 / 16_000)
    last = round(5000 * 4096 / 16_000)
    np.testing.assert_allclose(filters[first:last].sum(axis=1), 1, atol=1e-4)
    assert filters.max() <= 1


def test_each_long_frame_counts_the_same_in_the_power_spectrum():
    """Two sines one after the other, the second 20 dB softer, with as many frames each."""
    time = np.arange(64_000) / 16_000
    loud = np.sin(2 * np.pi * 1000 * time)
    soft = 0.1 * np.sin(2 * np.pi * 2000 * time)
    power = extract_features(np.where(time < 0.5, loud, soft)[None].astype(np.float32)).power[0]
    centres = layout().pitch_centres / 16_000
    shares = [(centres < 0.5).mean(), (centres >= 0.5).mean()]
    bins = [round(hertz * 4096 / 16_000) for hertz in (1000, 2000)]
    sums = np.array([power[bin_ - 20 : bin_ + 21].sum() for bin_ in bins])
    np.testing.assert_allclose(sums / sums.sum(), shares, atol=0.08)
