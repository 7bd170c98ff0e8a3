"""The noise of a note, measured between its partials.

A Hann window of L seconds shows nothing of a steady partial that is 2/L or more away: windows of
four periods are blind to both partials midway between two of them, and see only noise there. The
level of a band is the mean of the logarithms of the powers at its frequencies between partials,
raised by Euler's constant γ (the mean logarithm of an exponential variable is γ below that of its
mean): a mean of logarithms is robust against a few frequencies into which a partial leaks. Where
partials move, short windows leak everywhere. Windows of 256 ms of Nuttall's form, without side
lobes, show far less power between partials; what they find, outside the attack and the release, is
an upper bound.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.matmul import matmul
from mechanical_ears.resynthesis.analysis.framed_spectra import FramedSpectra, framed_spectra
from mechanical_ears.resynthesis.control_map import BANDS, band_edges
from mechanical_ears.resynthesis.interpolation import interpolation
from mechanical_ears.resynthesis.window_functions import nuttall

GUARD_BINS: Final = 1.9  # of the window, from a partial, where nothing is seen of it
MIN_GUARD_BINS: Final = 1.6  # the same, midway between partials that are too close
MIN_POWER: Final = 1e-16  # power below which there is nothing
MIN_DENSITY_DB: Final = 10 * np.log10(MIN_POWER)
BOUND_WINDOW: Final = 0.256  # s, at least
BOUND_PERIODS: Final = 10.0  # of the partials' spacing, at least
BOUND_GUARD_BINS: Final = 3.6  # from a partial, where Nuttall's window sees nothing of it
BOUND_MARGIN_DB: Final = 2.0  # dB above what is found: the lesser of two estimates is too low
BOUND_HOP: Final = 0.096  # s
BOUND_START: Final = 0.10  # s, where the bound begins
BOUND_END: Final = 0.12  # s before the key-up, from where the last value is held
EULER_GAMMA: Final = 0.5772


def frequencies_between_partials(
    partials: NDArray[np.float64], highest: float, window_seconds: float, guard: float = GUARD_BINS
) -> NDArray[np.float64]:
    """Frequencies at which a window sees no partial, Hz, ascending.

    Args:
        partials: Hz, float64 (partials,), ascending.
        highest: Hz, where they end.
        window_seconds: s, length of the window.
        guard: bins of the window to the nearest partial.
    """
    edges = np.concatenate([[0.0], partials, [2 * highest]])
    even = np.arange(1.0, highest * window_seconds) / window_seconds
    midway = (edges[1:-2] + edges[2:-1]) / 2
    frequencies = np.sort(np.concatenate([even, midway]))
    after = np.searchsorted(edges, frequencies)
    gap = np.minimum(frequencies - edges[after - 1], edges[after] - frequencies) * window_seconds
    is_midway = np.isin(frequencies, midway)
    clear = (gap >= guard) | (is_midway & (gap >= MIN_GUARD_BINS))
    return np.asarray(frequencies[clear & (frequencies < highest)])


def noise_density(
    spectra: FramedSpectra,
    partials: NDArray[np.float64],
    pitch_ratios: NDArray[np.float64] | None = None,
    guard: float = GUARD_BINS,
) -> NDArray[np.float64]:
    """Power spectral density of the noise in bands.

    Args:
        spectra: of the frames.
        partials: Hz, float64 (partials,), ascending.
        pitch_ratios: float64 (frames,), factors on all frequencies, where they move.
        guard: bins of the window to a partial, where nothing is seen of it.

    Returns:
        dB, of the mean square per Hz, float64 (frames, 40); bands without a frequency between
        partials are interpolated between their neighbours.
    """
    highest = spectra.sample_rate / 2
    between = frequencies_between_partials(partials, 0.985 * highest, spectra.window_seconds, guard)
    frames = len(spectra.spectra)
    band = np.searchsorted(band_edges(), between) - 1
    inside = (band >= 0) & (band < BANDS)
    between, band = between[inside], band[inside]
    if not len(between):
        return np.full((frames, BANDS), MIN_DENSITY_DB)
    if pitch_ratios is None:
        power = spectra.bin_powers(between)
    else:
        power = spectra.powers(pitch_ratios[:, None] * between)
    logs = np.log(np.maximum(power, MIN_POWER))
    membership = np.zeros((len(between), BANDS), dtype=np.float32)
    membership[np.arange(len(between)), band] = 1
    counts = membership.sum(axis=0)
    known = np.flatnonzero(counts)
    means = matmul(logs, membership[:, known]) / counts[known]
    means = means + EULER_GAMMA - np.log(spectra.noise_gain)
    fill = interpolation(known, np.arange(BANDS), np.float64).weights().astype(np.float32)
    density = means @ fill * (10 / np.log(10))
    density[:, band_edges()[:-1] >= highest] = MIN_DENSITY_DB
    return np.asarray(density, dtype=np.float64)


def noise_upper_bound(
    samples: NDArray[np.float32],
    sample_rate: int,
    partials: NDArray[np.float64],
    spacing: float,
    times: NDArray[np.float64],
    key_up: float,
) -> NDArray[np.float64]:
    """Measure the density that the noise has at most.

    Args:
        samples: float32 (samples,).
        sample_rate: Hz.
        partials: Hz, float64 (partials,), ascending.
        spacing: Hz, between partials.
        times: s, float64 (frames,).
        key_up: s.

    Returns:
        dB as `noise_density`, float64 (frames, 40); infinite where nothing is known.
    """
    bound = np.full((len(times), BANDS), np.inf)
    last = min(key_up, len(samples) / sample_rate) - BOUND_END
    window = max(BOUND_WINDOW, BOUND_PERIODS / spacing)
    centres = np.arange(BOUND_START + BOUND_WINDOW / 4, last, BOUND_HOP)
    if len(centres) < 2:
        return bound
    spectra = framed_spectra(samples, sample_rate, centres, window, nuttall)
    density = noise_density(spectra, partials, None, BOUND_GUARD_BINS)
    # to the key-up, not to the last window: else the noise of the release would begin before it
    bounded = (times > BOUND_START) & (times < key_up)
    held = interpolation(centres, times[bounded], np.float64)
    bound[bounded] = held.rows(density) + BOUND_MARGIN_DB
    return bound
