"""The listener's network: its parts on inputs whose outputs are known."""

import numpy as np
import pytest
import torch

from mechanical_ears.listening.frontend import BINS, FIRST_BIN_MIDI, extract_features
from mechanical_ears.listening.training.network import (
    ABOVE_KEY,
    BELOW_KEY,
    BINS_PER_SEMITONE,
    HARMONICS,
    SEMITONES,
    Listener,
    align_to_key,
    example_inputs,
    harmonic_stack,
    segment_spectra,
)
from mechanical_ears.pitch import midi_to_hz


@pytest.fixture(scope="module")
def listener():
    torch.manual_seed(0)
    return Listener().eval()


def test_the_harmonic_stack_aligns_partials_with_their_fundamental():
    time = np.arange(64_000) / 16_000
    tone = sum(np.sin(2 * np.pi * midi_to_hz(57) * n * time) / 10 for n in (1, 2, 3, 4, 5))
    features = extract_features(tone[None].astype(np.float32))
    stack = harmonic_stack(torch.from_numpy(features.pitch_map))[0, :, 12]
    position = 3 * (57 - FIRST_BIN_MIDI)
    strengths = dict(zip(HARMONICS, stack[:, position].tolist(), strict=True))
    assert all(strengths[n] > 0.95 for n in (1, 2, 3, 4, 5))
    assert strengths[0.5] < 0.5
    assert strengths[8] < 0.5


def test_a_pattern_shifted_by_a_semitone_shifts_the_logits_by_one_key(listener):
    pattern = torch.zeros(1, 24, BINS)
    pattern[:, :, 120:180] = torch.rand(60)
    _, envelope, level = example_inputs(1)
    shifted = torch.roll(pattern, 3, dims=2)
    first = listener(pattern, envelope, level).key[0, FIRST_BIN_MIDI : FIRST_BIN_MIDI + SEMITONES]
    second = listener(shifted, envelope, level).key[0, FIRST_BIN_MIDI : FIRST_BIN_MIDI + SEMITONES]
    torch.testing.assert_close(first[30:70], second[31:71], rtol=1e-3, atol=1e-3)


def test_features_are_the_normalised_input_and_the_output_of_the_trunk(listener):
    inputs = example_inputs(3)
    passed = []
    norm = listener.trunk[0].register_forward_hook(lambda *call: passed.append(call[2]))
    output, features = listener.forward_with_features(*inputs)
    norm.remove()
    (before,) = passed
    assert features.shape == (3, listener.features) == (3, 769)
    assert torch.equal(features[:, : before.shape[1]], before)
    after = features[:, before.shape[1] :]
    assert torch.equal(after, listener.trunk[1:](before))
    torch.testing.assert_close(output.velocity, listener.velocity(after))
    assert all(map(torch.equal, output, listener(*inputs)))


def test_segments_are_means_over_their_frames():
    """Frames 0–3, 4–9, 10–16 and 17–23 of a map whose every bin holds the number of its frame."""
    pitch_map = torch.arange(24.0)[None, :, None].expand(1, 24, BINS)
    spectra = segment_spectra(pitch_map)
    assert spectra.shape == (1, 4, BINS)
    torch.testing.assert_close(spectra[0, :, 0], torch.tensor([1.5, 6.5, 13.0, 20.0]))


def test_spectra_are_aligned_to_the_key():
    """A partial an octave above each of two keys comes to the same bin."""
    octave = 12 * BINS_PER_SEMITONE
    spectra, probabilities = torch.zeros(2, 4, BINS), torch.zeros(2, SEMITONES)
    for row, semitone in enumerate((10, 41)):
        spectra[row, :, BINS_PER_SEMITONE * semitone + octave] = row + 1
        probabilities[row, semitone] = 1
    aligned = align_to_key(spectra, probabilities)
    assert aligned.shape == (2, 4, BELOW_KEY + ABOVE_KEY)
    expected = torch.zeros(2, 4, BELOW_KEY + ABOVE_KEY)
    expected[:, :, BELOW_KEY + octave] = torch.tensor([1.0, 2.0])[:, None]
    torch.testing.assert_close(aligned, expected)


def test_the_aligned_spectrum_is_the_mean_over_uncertain_keys():
    spectra = torch.rand(1, 4, BINS, generator=torch.Generator().manual_seed(0))
    keys = torch.eye(SEMITONES)[[20, 32]]
    both = align_to_key(spectra, 0.25 * keys[:1] + 0.75 * keys[1:])
    one, other = (align_to_key(spectra, key[None]) for key in keys)
    torch.testing.assert_close(both, 0.25 * one + 0.75 * other)
