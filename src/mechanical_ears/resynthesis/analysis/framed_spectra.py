"""Spectra of windows at chosen moments, read at any frequency.

A sine of amplitude A and frequency f in a Hann window w of L samples shows, at the bin of
frequency g of the transform with N ≥ L samples (zeros behind),

    X(g) = A/2 · e^(iφ) · Σw · W((f − g) L / rate)        W(x) = sin(πx) / (πx · (1 − x²))

so that its amplitude is read off the nearest bin, whatever lies between bins. Where the window
reaches beyond the note's ends, only the part of Σw that lies within counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mechanical_ears.matmul import matmul

LEAST_MASS = 0.3  # of a window within the note, less of which does not count as less


@dataclass(frozen=True, eq=False)
class Windows:
    """Spectra of a note around moments.

    Attributes:
        spectra: complex64 (frames, bins), scaled so that a sine of amplitude A shows A at its peak.
        bin_width: Hz between bins.
        length: s, of the window.
        sample_rate: Hz.
        noise_gain: mean square that one bin shows for noise of 1 mean square a Hz.
    """

    spectra: NDArray[np.complex64]
    bin_width: float
    length: float
    sample_rate: int
    noise_gain: float

    def _nearest(
        self, frequencies: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The nearest bins, and what they show of a sine of amplitude 1."""
        places = frequencies / self.bin_width
        nearest = np.clip(np.rint(places), 0, self.spectra.shape[1] - 1).astype(np.int64)
        beside = np.clip((places - nearest) * (self.bin_width * self.length), -0.9, 0.9)
        lobe = hann_lobe(beside)
        return nearest, lobe.astype(np.float32)

    def _at(self, nearest: NDArray[np.int64]) -> NDArray[np.complex64]:
        if nearest.ndim == 1:
            return np.take(self.spectra, nearest, axis=1)
        return np.take_along_axis(self.spectra, nearest, axis=1)

    def powers(self, frequencies: NDArray[np.float64]) -> NDArray[np.float32]:
        """Squared amplitudes of sines of these frequencies.

        Args:
            frequencies: Hz, float64 (partials,), or (frames, partials) where they move.

        Returns:
            float32 (frames, partials).
        """
        nearest, lobe = self._nearest(frequencies)
        found = self._at(nearest)
        return np.asarray((found.real**2 + found.imag**2) / (lobe * lobe), dtype=np.float32)

    def read(self, frequencies: NDArray[np.float64]) -> NDArray[np.complex64]:
        """Amplitudes and phases at the windows' middles, complex64 (frames, partials); see above.

        The middle of an even window lies half a sample before its moment.
        """
        nearest, lobe = self._nearest(frequencies)
        count = round(self.length * self.sample_rate)
        size = self.sample_rate / self.bin_width
        angle = (np.pi * (nearest * ((count - 1) / size) % 2)).astype(np.float32)
        return np.asarray(self._at(nearest) * ((np.cos(angle) + 1j * np.sin(angle)) / lobe))


def hann_lobe(offset: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hann's lobe W(x), and its side lobes, at x bins (of the window itself) from its middle."""
    x = np.where(np.abs(np.abs(offset) - 1) < 1e-4, 1 - 1e-4, offset)
    return np.asarray(np.sinc(x) / (1 - x * x))


@cache
def hann(length: int) -> NDArray[np.float32]:
    """Hann's window, float32 (length,), symmetric about its middle."""
    return _cosines(length, (0.5, 0.5))


@cache
def nuttall(length: int) -> NDArray[np.float32]:
    """Nuttall's window of four terms, float32 (length,): a lobe of ±4 bins, the rest −93 dB."""
    return _cosines(length, (0.355768, 0.487396, 0.144232, 0.012604))


def _cosines(length: int, terms: tuple[float, ...]) -> NDArray[np.float32]:
    angle = 2 * np.pi * (np.arange(length) + 0.5) / length
    signed = [(-1) ** k * term * np.cos(k * angle) for k, term in enumerate(terms)]
    return np.asarray(np.sum(signed, axis=0), dtype=np.float32)


def windows(
    samples: NDArray[np.float32],
    sample_rate: int,
    times: NDArray[np.float64],
    length: float,
    shape: Callable[[int], NDArray[np.float32]] = hann,
) -> Windows:
    """Spectra of windows around moments.

    Args:
        samples: float32 (samples,).
        sample_rate: Hz.
        times: s, float64 (frames,), middles of the windows, which may lie beyond the ends.
        length: s, of each window.
        shape: of the windows; what `Windows.read` tells is right for Hann's.
    """
    frames, taper, mass = _frames(samples, sample_rate, times, length, shape)
    size = _quick_length(len(taper))
    total = float(taper.sum(dtype=np.float64))
    frames *= taper * np.float32(2 / total)
    if mass.min() < 1:
        frames /= mass.astype(np.float32)[:, None]
    gain = 2 * float((taper.astype(np.float64) ** 2).sum()) / total**2 * sample_rate
    spectra = np.asarray(np.fft.rfft(frames, size), dtype=np.complex64)
    return Windows(spectra, sample_rate / size, len(taper) / sample_rate, sample_rate, gain)


def _quick_length(least: int) -> int:
    """The shortest length from ``least`` on whose transform is quick."""
    power = max(0, (least - 1).bit_length() - 4)
    return min(m << power for m in (8, 9, 10, 12, 15, 16) if m << power >= least)


def read_few(
    samples: NDArray[np.float32],
    sample_rate: int,
    times: NDArray[np.float64],
    length: float,
    frequencies: NDArray[np.float64],
) -> NDArray[np.complex64]:
    """`Windows.read` of a few steady frequencies at many moments, by a product, not a transform."""
    frames, taper, mass = _frames(samples, sample_rate, times, length, hann)
    middle = np.arange(len(taper)) - (len(taper) - 1) / 2
    angle = np.outer(middle, frequencies * (2 * np.pi / sample_rate)).astype(np.float32)
    taper = taper[:, None] * np.float32(2 / taper.sum(dtype=np.float64))
    waves = np.concatenate([taper * np.cos(angle), taper * -np.sin(angle)], axis=1)
    told = matmul(frames, waves)
    told /= mass.astype(np.float32)[:, None]
    count = len(frequencies)
    return np.asarray(told[:, :count] + 1j * told[:, count:], dtype=np.complex64)


def _frames(
    samples: NDArray[np.float32],
    sample_rate: int,
    times: NDArray[np.float64],
    length: float,
    shape: Callable[[int], NDArray[np.float32]],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Stretches of sound (frames, samples), their window (samples,), its share inside (frames,)."""
    count = max(16, 2 * round(length * sample_rate / 2))
    centres = np.rint(times * sample_rate).astype(np.int64)
    beyond = max(0, int(centres.max()) - len(samples)) + count
    padded = np.concatenate([np.zeros(count, np.float32), samples, np.zeros(beyond, np.float32)])
    taper = shape(count)
    frames = sliding_window_view(padded, count)[centres + count - count // 2]
    sums = np.concatenate([[0.0], np.cumsum(taper, dtype=np.float64)])
    first = np.clip(count // 2 - centres, 0, count)
    last = np.clip(len(samples) - centres + count // 2, 0, count)
    return frames, taper, np.maximum((sums[last] - sums[first]) / sums[-1], LEAST_MASS)
