"""The frequencies of a note's partials: their series, deviations from its formula, free modes.

Everything is measured in one long spectrum, of the loudest second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.listening.f0 import RefinedPitch
from mechanical_ears.resynthesis.control_map import MODES, PARTIALS, SINGLES, stiff_string_ratios
from mechanical_ears.resynthesis.window_functions import hann

MAX_SECONDS: Final = 1.0  # s, of the long spectrum
MIN_SPACING: Final = 18.0  # Hz, below which partials are not separated
DIVISORS: Final = (2, 3, 4)
PEAK_RATIO: Final = 10 ** (14 / 20)  # magnitude of a peak to the median around it, 14 dB
STIFFNESS_PARTIALS: Final = (4, 41)  # first and end of those that decide if a string is stiff
MIN_DIVISOR_SHARE: Final = 2e-3  # of the power, −27 dB, in partials that only a divisor explains
MIN_DIVISOR_GAIN: Final = 1.5  # times that share, or that of a smaller divisor
LONE_PARTIAL_SHARE: Final = 0.02  # of the power, where a single one is enough
MIN_DIVISOR_PARTIALS: Final = 3  # otherwise
MIN_OFFSET_CENTS: Final = 4.0  # cents from the formula, and
MIN_OFFSET_BINS: Final = 0.7  # bins of the long spectrum, below which a partial is in tune
MIN_OFFSET_MAGNITUDE: Final = 1e-4  # beside the loudest, of partials whose peaks are reliable
MOVING_SHARE: Final = 0.2  # of the spacing, that a moving partial fills to each side
MIN_LOBE_BINS: Final = 8.0  # to each side of a partial, where there are no modes
REACH: Final = 0.45  # of the spacing, to each side, that belongs to each partial
MIN_MODE_MAGNITUDE: Final = 10 ** (-50 / 20)  # beside the loudest
MODE_NEIGHBOURHOOD: Final = 60  # bins to each side, of the median that a mode exceeds


@dataclass(frozen=True)
class PartialSeries:
    """The formula of a note's partials.

    Attributes:
        frequency: Hz, of the first partial.
        divisor: partials are multiples of ``frequency / divisor``.
        inharmonicity: B, or 0 where a stiff string explains the upper partials no better.
    """

    frequency: float
    divisor: int
    inharmonicity: float

    @property
    def spacing(self) -> float:
        """Hz between partials."""
        return self.frequency / self.divisor

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """Hz, of all partials, float64 (384,)."""
        numbers = np.arange(1, PARTIALS + 1) / self.divisor
        return self.frequency * stiff_string_ratios(numbers, self.inharmonicity)


@dataclass(frozen=True, eq=False)
class SeriesDeviations:
    """What the formula does not describe.

    Attributes:
        offsets: cents, float64 (48,), of the first partials from the formula.
        modes: Hz, float64 (8,), ascending, 0 where there is none.
    """

    offsets: NDArray[np.float64]
    modes: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LongSpectrum:
    """Spectrum of the loudest second of a note.

    Attributes:
        magnitudes: float32 (bins,), zero-padded to at least twice the length.
        bin_width: Hz, between bins.
    """

    magnitudes: NDArray[np.float32]
    bin_width: float


@dataclass(frozen=True, eq=False)
class _Peaks:
    """The strongest bins near given positions, each (positions,).

    Attributes:
        positions: bins, interpolated.
        magnitudes: of the peaks.
        medians: of the magnitudes around.
    """

    positions: NDArray[np.float64]
    magnitudes: NDArray[np.float64]
    medians: NDArray[np.float64]

    @property
    def stand_out(self) -> NDArray[np.bool_]:
        """Which of them are peaks."""
        return np.asarray(self.magnitudes > PEAK_RATIO * self.medians)


def long_spectrum(samples: NDArray[np.float32], sample_rate: int) -> LongSpectrum:
    """Spectrum of the loudest second.

    Args:
        samples: float32 (samples,).
        sample_rate: Hz.
    """
    count = min(len(samples), round(MAX_SECONDS * sample_rate))
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples), dtype=np.float64)])
    first = int(np.argmax(energy[count:] - energy[:-count])) if len(samples) > count else 0
    window = hann(count)
    size = 1 << (2 * count - 1).bit_length()
    spectrum = np.abs(np.fft.rfft(samples[first : first + count] * window, size))
    spectrum *= np.float32(2 / window.sum(dtype=np.float64))
    return LongSpectrum(spectrum, sample_rate / size)


def _find_peaks(
    magnitudes: NDArray[np.float32], positions: NDArray[np.float64], reach: float
) -> _Peaks:
    """The strongest bins within ``reach`` bins of positions, by a parabola through logarithms."""
    half = max(2, round(reach))
    columns = np.rint(positions).astype(np.int64)[:, None] + np.arange(-half, half + 1)
    inside = np.clip(columns, 1, len(magnitudes) - 2)
    around = magnitudes[inside]
    best = inside[np.arange(len(positions)), around.argmax(axis=1)]
    left, top, right = (np.log(magnitudes[best + step] + 1e-12) for step in (-1, 0, 1))
    curvature = np.minimum(left - 2 * top + right, -1e-9)
    offset = np.clip(0.5 * (left - right) / curvature, -0.5, 0.5)
    return _Peaks(best + offset, magnitudes[best].astype(np.float64), np.median(around, axis=1))


def find_partial_series(spectrum: LongSpectrum, refined: RefinedPitch) -> PartialSeries:
    """Find which multiples the partials of a note are, and whether they are a stiff string's.

    Args:
        spectrum: of the note.
        refined: frequency and inharmonicity.
    """
    first, inharmonicity = refined.frequency / spectrum.bin_width, refined.inharmonicity
    if inharmonicity and not _is_stiff(spectrum.magnitudes, first, inharmonicity):
        inharmonicity = 0.0
    divisor = _find_divisor(spectrum.magnitudes, first, inharmonicity, refined.frequency)
    return PartialSeries(refined.frequency, divisor, inharmonicity)


def find_deviations(
    spectrum: LongSpectrum, series: PartialSeries, *, steady: bool, mode_distance: float
) -> SeriesDeviations:
    """Find partials that are off the formula, and the modes that it does not describe.

    Args:
        spectrum: of the note.
        series: of its partials.
        steady: whether the frequency stays; where it moves, partials are broad, and only modes far
            from them are sought.
        mode_distance: Hz, of a free mode from any partial at least.
    """
    magnitudes, bin_width = spectrum.magnitudes, spectrum.bin_width
    partials = series.frequencies / bin_width
    partials = partials[partials < len(magnitudes) - 4]
    reach = REACH * series.spacing / bin_width
    singles = partials[:SINGLES]
    peaks = _find_peaks(magnitudes, singles, reach)
    cents = 1200 * np.log2(peaks.positions / singles)
    is_off = peaks.stand_out & (np.abs(peaks.positions - singles) > MIN_OFFSET_BINS) & steady
    is_off &= np.abs(cents) > MIN_OFFSET_CENTS
    is_off &= peaks.magnitudes > MIN_OFFSET_MAGNITUDE * magnitudes.max()
    offsets = np.zeros(SINGLES)
    offsets[: len(singles)] = np.where(is_off, cents, 0)
    explained = partials.copy()
    explained[: len(singles)] = np.where(is_off, peaks.positions, singles)
    guard = mode_distance if steady else max(mode_distance, MOVING_SHARE * series.spacing)
    modes = _find_modes(magnitudes, explained, max(MIN_LOBE_BINS, guard / bin_width), reach)
    return SeriesDeviations(offsets, modes * bin_width)


def _is_stiff(magnitudes: NDArray[np.float32], first: float, inharmonicity: float) -> bool:
    """Whether there is more at the partials of a stiff string than at whole multiples."""
    numbers = np.arange(*STIFFNESS_PARTIALS, dtype=np.float64)
    scores = []
    for stiffness in (inharmonicity, 0.0):
        partials = first * stiff_string_ratios(numbers, stiffness)
        columns = np.rint(partials).astype(np.int64)[:, None] + np.arange(-2, 3)
        inside = columns[:, -1] < len(magnitudes)
        peaks = magnitudes[columns[inside]].max(axis=1)
        scores.append(float(np.log(peaks + 1e-9).mean()) if inside.any() else 0.0)
    return scores[0] >= scores[1]


def _find_divisor(
    magnitudes: NDArray[np.float32], first: float, inharmonicity: float, frequency: float
) -> int:
    """The smallest divisor that explains what sounds between the partials of the key."""
    best, best_share = 1, MIN_DIVISOR_SHARE
    for divisor in DIVISORS:
        if frequency / divisor < MIN_SPACING:
            break
        numbers = np.arange(1, 8 * divisor) / divisor
        partials = first * stiff_string_ratios(numbers, inharmonicity)
        partials = partials[partials < len(magnitudes) - 4]
        peaks = _find_peaks(magnitudes, partials, 0.3 * first / divisor)
        is_new = np.arange(1, len(partials) + 1) % divisor != 0
        in_tune = np.abs(peaks.positions - partials) < np.maximum(2.0, 0.006 * partials)
        is_peak = peaks.stand_out & in_tune
        power = np.where(is_peak, peaks.magnitudes**2, 0)
        total = float((peaks.magnitudes**2).sum()) + 1e-30
        share = float(power[is_new].sum()) / total
        enough = is_peak[is_new].sum() >= MIN_DIVISOR_PARTIALS or share > LONE_PARTIAL_SHARE
        if enough and share > MIN_DIVISOR_GAIN * best_share:
            best, best_share = divisor, share
    return best


def _find_modes(
    magnitudes: NDArray[np.float32], partials: NDArray[np.float64], guard: float, reach: float
) -> NDArray[np.float64]:
    """The strongest peaks that no partial explains, bins, float64 (8,), ascending, 0 for none.

    Args:
        magnitudes: of the long spectrum.
        partials: bins, ascending.
        guard: bins to each side of a partial or mode, where there is no other mode.
        reach: bins above the last partial, up to which modes are sought.
    """
    rest = magnitudes.copy()
    half = round(guard)
    columns = np.rint(partials).astype(np.int64)[:, None] + np.arange(-half, half + 1)
    rest[np.clip(columns, 0, len(rest) - 1)] = 0
    modes = np.zeros(MODES)
    minimum = MIN_MODE_MAGNITUDE * float(magnitudes.max())
    top = int(min(partials[-1] + reach, len(rest) - 2)) if len(partials) else 0
    for index in range(MODES):
        best = int(rest[:top].argmax()) if top else 0
        magnitude = float(rest[best])
        low, high = max(best - MODE_NEIGHBOURHOOD, 0), best + MODE_NEIGHBOURHOOD
        median = float(np.median(magnitudes[low:high]))
        if magnitude < minimum or magnitude < PEAK_RATIO * median:
            break
        if best > 0 and magnitude >= max(magnitudes[best - 1], magnitudes[best + 1]):
            modes[index] = best
        rest[max(0, best - half) : best + half + 1] = 0
    return np.sort(modes)
