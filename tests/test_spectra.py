"""Spectra against librosa's output (``golden/make_librosa.py``) and against formulas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mechanical_ears.sound import Sound
from mechanical_ears.spectra import Spectrogram, fft_frequencies, spectrogram, spectrum, stft
from support.paths import GOLDEN

LIBROSA = np.load(GOLDEN / "librosa.npz")
TOLERANCE = 1e-5  # of the norm, and of the peak


def assert_same(actual: np.ndarray, expected: np.ndarray) -> None:
    assert actual.shape == expected.shape
    assert np.linalg.norm(actual - expected) <= TOLERANCE * np.linalg.norm(expected)
    assert np.abs(actual - expected).max() <= TOLERANCE * np.abs(expected).max()


@pytest.mark.parametrize("case", ["sine", "noise", "odd_window", "short", "one_sample"])
def test_stft_is_librosas(case: str) -> None:
    window, hop, every, frames = (int(number) for number in LIBROSA[f"{case}_settings"])
    transform = stft(LIBROSA[f"{case}_samples"], window, hop)
    assert transform.dtype == np.complex64
    assert transform.shape == (window // 2 + 1, frames)
    assert_same(transform[:, ::every], LIBROSA[f"{case}_stft"])


def test_stft_without_centre_is_librosas() -> None:
    transform = stft(LIBROSA["noise_samples"], 512, 128, centre=False)
    assert_same(transform[:, ::5], LIBROSA["noise_uncentred"])


def test_frequencies_are_librosas() -> None:
    np.testing.assert_allclose(fft_frequencies(44_100), LIBROSA["fft_frequencies"], rtol=1e-12)


def test_a_sine_on_a_bin_has_its_closed_form() -> None:
    """A sine of amplitude a on bin k: a·N/4 there, half of it beside, nothing elsewhere."""
    bin_width = 16_000 / 2048
    sound = Sound.sine(64 * bin_width, seconds=1)
    middle = np.abs(stft(sound.samples, centre=False))[:, 5]
    expected = np.zeros(1025)
    expected[63:66] = 256, 512, 256
    np.testing.assert_allclose(middle, expected, atol=2e-3)


def test_the_spectrum_is_the_articles_sum() -> None:
    sound = Sound.sine()
    result = sound.spectrum()
    np.testing.assert_array_equal(result.intensities, np.abs(stft(sound.samples)).sum(axis=1))
    assert result.frequencies[result.intensities.argmax()] == pytest.approx(400, abs=16_000 / 4096)
    assert result.decibels().max() == 0
    assert result.decibels(-60).min() == -60


def test_a_longer_window_resolves_frequencies_better() -> None:
    result = spectrum(Sound.sine(401, seconds=4).samples, 16_000, window=16_384, hop=4096)
    assert result.frequencies[result.intensities.argmax()] == pytest.approx(401, abs=0.5)


def test_a_click_appears_at_its_time() -> None:
    samples = np.zeros(16_000, dtype=np.float32)
    samples[512 * 10] = 1
    result = spectrogram(samples, 16_000)
    level = result.magnitudes.sum(axis=0)
    assert result.times[level.argmax()] == 512 * 10 / 16_000
    np.testing.assert_allclose(result.magnitudes[:, 10], 1, rtol=1e-5)  # the window's maximum


def test_decibels_are_relative_to_the_strongest() -> None:
    magnitudes = np.array([[10, 1], [0.1, 0]], dtype=np.float32)
    result = Spectrogram(magnitudes, np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    np.testing.assert_allclose(result.decibels(), [[0, -20], [-40, -80]], atol=1e-4)
    np.testing.assert_allclose(result.decibels(floor=-30), [[0, -20], [-30, -30]], atol=1e-4)


def test_silence_is_the_floor() -> None:
    result = spectrogram(np.zeros(4000, dtype=np.float32), 16_000)
    assert (result.decibels(-70) == -70).all()


def test_blocks_of_frames_are_joined() -> None:
    """More frames than are transformed at a time: each is the transform of its own samples."""
    samples = np.random.default_rng(1).normal(size=40_000).astype(np.float32)
    transform = stft(samples, window=256, hop=64, centre=False)
    for frame in (0, 255, 256, 257, transform.shape[1] - 1):
        alone = stft(samples[frame * 64 : frame * 64 + 256], 256, 64, centre=False)
        np.testing.assert_array_equal(transform[:, frame], alone[:, 0])


@settings(deadline=None, max_examples=60)
@given(
    length=st.integers(0, 3000),
    window=st.integers(1, 600),
    hop=st.integers(1, 300),
    centre=st.booleans(),
)
def test_every_length_has_its_frames(length: int, window: int, hop: int, centre: bool) -> None:
    transform = stft(np.ones(length, dtype=np.float32), window, hop, centre)
    padded = length + 2 * (window // 2) if centre else length
    assert transform.shape == (window // 2 + 1, 1 + max(0, padded - window) // hop)


@settings(deadline=None, max_examples=30)
@given(shift=st.integers(0, 2047))
def test_shifting_keeps_the_magnitudes_of_a_steady_sine(shift: int) -> None:
    """The article's example: every sample changes, the sound does not."""
    samples = Sound.sine(1000, seconds=0.5).samples
    first = np.abs(stft(samples, centre=False))[:, 0]
    later = np.abs(stft(samples[shift:], centre=False))[:, 0]
    np.testing.assert_allclose(later, first, atol=2e-3)


@pytest.mark.parametrize(("window", "hop"), [(0, 512), (2048, 0)])
def test_windows_and_hops_below_one_sample_are_refused(window: int, hop: int) -> None:
    with pytest.raises(ValueError, match="at least 1 sample"):
        stft(np.ones(10, dtype=np.float32), window, hop)


def test_several_channels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(10, 2\), not \(samples,\)"):
        stft(np.ones((10, 2), dtype=np.float32))
