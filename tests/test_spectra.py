"""Spectra against librosa's answers (``golden/make_librosa.py``) and against formulas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mechanical_ears.sound import Sound
from mechanical_ears.spectra import Spectrogram, fft_frequencies, spectrogram, spectrum, stft
from support.paths import GOLDEN

LIBROSA = np.load(GOLDEN / "librosa.npz")
TOLERANCE = 1e-5  # of the norm, and of the peak


def assert_same(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.shape == theirs.shape
    assert np.linalg.norm(ours - theirs) <= TOLERANCE * np.linalg.norm(theirs)
    assert np.abs(ours - theirs).max() <= TOLERANCE * np.abs(theirs).max()


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
    found = sound.spectrum()
    np.testing.assert_array_equal(found.intensities, np.abs(stft(sound.samples)).sum(axis=1))
    assert found.frequencies[found.intensities.argmax()] == pytest.approx(400, abs=16_000 / 4096)
    assert found.decibels().max() == 0
    assert found.decibels(-60).min() == -60


def test_a_longer_window_places_the_peak_more_exactly() -> None:
    found = spectrum(Sound.sine(401, seconds=4).samples, 16_000, window=16_384, hop=4096)
    assert found.frequencies[found.intensities.argmax()] == pytest.approx(401, abs=0.5)


def test_a_click_is_seen_at_its_time() -> None:
    samples = np.zeros(16_000, dtype=np.float32)
    samples[512 * 10] = 1
    seen = spectrogram(samples, 16_000)
    loudness = seen.magnitudes.sum(axis=0)
    assert seen.times[loudness.argmax()] == 512 * 10 / 16_000
    np.testing.assert_allclose(seen.magnitudes[:, 10], 1, rtol=1e-5)  # the window's top is 1


def test_decibels_are_relative_to_the_strongest() -> None:
    magnitudes = np.array([[10, 1], [0.1, 0]], dtype=np.float32)
    seen = Spectrogram(magnitudes, np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    np.testing.assert_allclose(seen.decibels(), [[0, -20], [-40, -80]], atol=1e-4)
    np.testing.assert_allclose(seen.decibels(floor=-30), [[0, -20], [-30, -30]], atol=1e-4)


def test_silence_is_the_floor() -> None:
    seen = spectrogram(np.zeros(4000, dtype=np.float32), 16_000)
    assert (seen.decibels(-70) == -70).all()


def test_blocks_join_without_a_seam() -> None:
    """More frames than are transformed at a time: each is the transform of its own stretch."""
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
    heard = length + 2 * (window // 2) if centre else length
    assert transform.shape == (window // 2 + 1, 1 + max(0, heard - window) // hop)


@settings(deadline=None, max_examples=30)
@given(shift=st.integers(0, 2047))
def test_shifting_leaves_the_magnitudes_of_a_lasting_sine(shift: int) -> None:
    """The article's riddle: every sample changes, what is heard does not."""
    samples = Sound.sine(1000, seconds=0.5).samples
    first = np.abs(stft(samples, centre=False))[:, 0]
    later = np.abs(stft(samples[shift:], centre=False))[:, 0]
    np.testing.assert_allclose(later, first, atol=2e-3)


@pytest.mark.parametrize(("window", "hop"), [(0, 512), (2048, 0)])
def test_windows_and_hops_of_nothing_are_refused(window: int, hop: int) -> None:
    with pytest.raises(ValueError, match="at least 1 sample"):
        stft(np.ones(10, dtype=np.float32), window, hop)
