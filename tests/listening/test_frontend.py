"""The front end: partials where they belong, gain that changes nothing, NumPy and torch alike."""

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


def test_numpy_and_torch_hear_the_same(audio):
    ours = extract_features(audio)
    theirs = TorchFrontEnd()(torch.from_numpy(audio))
    for numpy, other in zip((ours.pitch_map, ours.envelope, ours.level), theirs, strict=True):
        np.testing.assert_allclose(numpy, other.numpy(), atol=1e-4)


@pytest.mark.parametrize("midi", [30, 45, 60, 75, 90, 105])
def test_a_sine_stands_at_its_place(midi):
    heard = extract_features(Sound.sine(midi_to_hz(midi), 4).samples[None])
    assert heard.pitch_map.shape == (1, PITCH_FRAMES, BINS)
    middle = heard.pitch_map[0, 5:20].mean(axis=0)
    bins_of_an_fft_bin = 36 * np.log2(1 + 3.9 / midi_to_hz(midi))
    assert abs(middle.argmax() - 3 * (midi - FIRST_BIN_MIDI)) <= bins_of_an_fft_bin
    assert middle.max() == pytest.approx(1, abs=0.01)


def test_an_octave_is_the_same_distance_everywhere():
    peaks = [
        extract_features(Sound.sine(hertz, 4).samples[None]).pitch_map[0, 12].argmax()
        for hertz in (110, 220, 440, 880, 1760)
    ]
    assert np.diff(peaks).tolist() == [36] * 4


def test_gain_changes_the_level_alone(audio):
    loud, soft = (
        extract_features(audio[:6]),
        extract_features(audio[:6] * np.float32(10 ** (-20 / 20))),
    )
    np.testing.assert_allclose(loud.pitch_map, soft.pitch_map, atol=1e-4)
    np.testing.assert_allclose(loud.envelope, soft.envelope, atol=1e-4)
    np.testing.assert_allclose(loud.level - soft.level, 20 / 80, atol=1e-4)


def test_silence_is_nothing(audio):
    heard = extract_features(audio[-1:])
    assert heard.pitch_map.max() == heard.envelope.max() == heard.level[0] == 0


def test_full_scale_is_the_level_one():
    assert extract_features(Sound.sine(440, 4).samples[None]).level[0] == pytest.approx(1, abs=0.01)


def test_frames_cover_the_note_and_crowd_at_its_attack():
    parts = layout()
    for centres, frames in (
        (parts.pitch_centres, PITCH_FRAMES),
        (parts.envelope_centres, ENVELOPE_FRAMES),
    ):
        assert len(centres) == frames
        assert centres[0] == 0
        assert 63_000 < centres[-1] < 64_000
        gaps = np.diff(centres)
        assert gaps[0] * 5 < gaps[-1]
        assert (np.diff(gaps[-frames // 3 :]) > 0).all()
