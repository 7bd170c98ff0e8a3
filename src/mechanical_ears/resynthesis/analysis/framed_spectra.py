"""Spectra of windows at chosen times, read at any frequency.

A sine of amplitude A, frequency f and phase φ in a Hann window w of L samples shows, at the bin of
frequency g of a transform of N ≥ L samples (zero-padded),

    X(g) = A/2 · e^(iφ) · Σw · W((f − g) L / rate)        W(x) = sin(πx) / (πx · (1 − x²))

so that A follows from the nearest bin, wherever f is between two bins. Where the window reaches
beyond the ends of the note, only the part of Σw inside counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mechanical_ears.matmul import matmul
from mechanical_ears.resynthesis.window_functions import hann, hann_lobe

MIN_INSIDE: Final = 0.3  # share of a window inside the note that is assumed at least
MIN_WINDOW: Final = 16  # samples


@dataclass(frozen=True, eq=False)
class FramedSpectra:
    """Spectra of a note in windows around chosen times.

    Attributes:
        spectra: complex64 (frames, bins), scaled so that a sine of amplitude A shows A at its peak.
        bin_width: Hz, between bins.
        window_seconds: s, length of a window.
        sample_rate: Hz.
        noise_gain: mean square that one bin shows for noise of 1 mean square per Hz.
    """

    spectra: NDArray[np.complex64]
    bin_width: float
    window_seconds: float
    sample_rate: int
    noise_gain: float

    def _nearest_bins(
        self, frequencies: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The nearest bins, and what they show of a sine of amplitude 1."""
        positions = frequencies / self.bin_width
        nearest = np.clip(np.rint(positions), 0, self.spectra.shape[1] - 1).astype(np.int64)
        offset = np.clip((positions - nearest) * (self.bin_width * self.window_seconds), -0.9, 0.9)
        return nearest, hann_lobe(offset).astype(np.float32)

    def _at_bins(self, bins: NDArray[np.int64]) -> NDArray[np.complex64]:
        """Spectra (frames, partials) at bins (partials,) or (frames, partials)."""
        if bins.ndim == 1:
            return np.take(self.spectra, bins, axis=1)
        return np.take_along_axis(self.spectra, bins, axis=1)

    def powers(self, frequencies: NDArray[np.float64]) -> NDArray[np.float32]:
        """Squared amplitudes of sines of these frequencies.

        Args:
            frequencies: Hz, float64 (partials,), or (frames, partials) where they move.

        Returns:
            float32 (frames, partials).
        """
        nearest, lobe = self._nearest_bins(frequencies)
        values = self._at_bins(nearest)
        return np.asarray((values.real**2 + values.imag**2) / (lobe * lobe), dtype=np.float32)

    def bin_powers(self, frequencies: NDArray[np.float64]) -> NDArray[np.float32]:
        """Powers of the bins nearest to frequencies (points,), Hz; float32 (frames, points)."""
        nearest = np.rint(frequencies / self.bin_width).astype(np.int64)
        values = self._at_bins(np.minimum(nearest, self.spectra.shape[1] - 1))
        return np.asarray(values.real**2 + values.imag**2, dtype=np.float32)

    def amplitudes(self, frequencies: NDArray[np.float64]) -> NDArray[np.complex64]:
        """Complex amplitudes of sines of these frequencies, phases as at the windows' middles.

        Right for Hann's window. The middle of an even window is half a sample before its time.

        Args:
            frequencies: Hz, float64 (partials,), or (frames, partials) where they move.

        Returns:
            complex64 (frames, partials).
        """
        nearest, lobe = self._nearest_bins(frequencies)
        count = round(self.window_seconds * self.sample_rate)
        size = self.sample_rate / self.bin_width
        angle = (np.pi * (nearest * ((count - 1) / size) % 2)).astype(np.float32)
        return np.asarray(self._at_bins(nearest) * ((np.cos(angle) + 1j * np.sin(angle)) / lobe))


def framed_spectra(
    samples: NDArray[np.float32],
    sample_rate: int,
    times: NDArray[np.float64],
    window_seconds: float,
    window_function: Callable[[int], NDArray[np.float32]] = hann,
) -> FramedSpectra:
    """Spectra of windows around chosen times.

    Args:
        samples: float32 (samples,).
        sample_rate: Hz.
        times: s, float64 (frames,), middles of the windows, which may be beyond the ends.
        window_seconds: s, length of each window.
        window_function: from a length to a window.
    """
    frames, window, inside = _frames(samples, sample_rate, times, window_seconds, window_function)
    size = _fast_length(len(window))
    total = float(window.sum(dtype=np.float64))
    frames *= window * np.float32(2 / total)
    if inside.min() < 1:
        frames /= inside.astype(np.float32)[:, None]
    gain = 2 * float((window.astype(np.float64) ** 2).sum()) / total**2 * sample_rate
    spectra = np.asarray(np.fft.rfft(frames, size), dtype=np.complex64)
    return FramedSpectra(spectra, sample_rate / size, len(window) / sample_rate, sample_rate, gain)


def _fast_length(minimum: int) -> int:
    """The shortest length of at least ``minimum`` whose Fourier transform is fast."""
    power = max(0, (minimum - 1).bit_length() - 4)
    return min(m << power for m in (8, 9, 10, 12, 15, 16) if m << power >= minimum)


def sinusoid_amplitudes(
    samples: NDArray[np.float32],
    sample_rate: int,
    times: NDArray[np.float64],
    window_seconds: float,
    frequencies: NDArray[np.float64],
) -> NDArray[np.complex64]:
    """`FramedSpectra.amplitudes` of a few steady frequencies, without a Fourier transform.

    One matrix product is faster than a transform where times are many and frequencies few.
    """
    frames, window, inside = _frames(samples, sample_rate, times, window_seconds, hann)
    middle = np.arange(len(window)) - (len(window) - 1) / 2
    angle = np.outer(middle, frequencies * (2 * np.pi / sample_rate)).astype(np.float32)
    weights = window[:, None] * np.float32(2 / window.sum(dtype=np.float64))
    waves = np.concatenate([weights * np.cos(angle), weights * -np.sin(angle)], axis=1)
    products = matmul(frames, waves)
    products /= inside.astype(np.float32)[:, None]
    count = len(frequencies)
    return np.asarray(products[:, :count] + 1j * products[:, count:], dtype=np.complex64)


def _frames(
    samples: NDArray[np.float32],
    sample_rate: int,
    times: NDArray[np.float64],
    window_seconds: float,
    window_function: Callable[[int], NDArray[np.float32]],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Frames (frames, samples), the window (samples,), its share inside the note (frames,)."""
    count = max(MIN_WINDOW, 2 * round(window_seconds * sample_rate / 2))
    centres = np.rint(times * sample_rate).astype(np.int64)
    beyond = max(0, int(centres.max()) - len(samples)) + count
    padded = np.concatenate([np.zeros(count, np.float32), samples, np.zeros(beyond, np.float32)])
    window = window_function(count)
    frames = sliding_window_view(padded, count)[centres + count - count // 2]
    sums = np.concatenate([[0.0], np.cumsum(window, dtype=np.float64)])
    first = np.clip(count // 2 - centres, 0, count)
    last = np.clip(len(samples) - centres + count // 2, 0, count)
    return frames, window, np.maximum((sums[last] - sums[first]) / sums[-1], MIN_INSIDE)
