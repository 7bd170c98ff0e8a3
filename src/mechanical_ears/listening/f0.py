"""Refinement of f0: the exact frequency of a note whose key is known to about a semitone.

One Fourier transform X of the loudest 0.77 s, N samples, gives two: H windowed with Hann's window w
and D with its derivative w′, since both windows are sums of three exponentials,

    H[k] = X[k]/2 − (X[k−1] + X[k+1])/4              D[k] = π/N · (X[k−1] − X[k+1]) / 2i

(w and w′ are zero at the ends). A damped partial e^((σ + iω) t) obeys σ + iω = i ω_k − D/H in
*every* bin near it: integrate its derivative by parts (Auger and Flandrin, "Improving the
readability of time-frequency representations by the reassignment method", 1995; Marchand,
"Improving spectral analysis precision with an enhanced phase vocoder using signal derivatives",
1998). Averaged by power over the band of bins around a partial,

    f_n = Σ_k |H|² · (f_k − Im(D/H) / 2π) / Σ_k |H|²

is therefore exact for a steady or decaying partial; for one with vibrato or beating it is, by
Parseval's theorem, the mean of its momentary frequency over time, weighted by power. Sums over any
band are differences of two cumulative sums. A search over 120 cents and several stiffnesses finds
the series of partials; the stiff string (Fletcher, "Normal vibration frequencies of a stiff piano
string", 1964) is then fitted to the measured partials n = 1, 2, …:

    f_n = n · f0 · √(1 + B n²)      or      (f_n / n)² = f_1² + f0² B · (n² − 1)

by least squares, each partial weighted by the precision of its measurement and by how well it fits
the others. The result is f_1, the frequency of the first partial, even where that is missing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.pitch import midi_to_hz

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

REACH_CENTS: Final = 60.0  # to each side, within which the given key may be off
MAX_SECONDS: Final = 0.768  # that are analysed
MIN_SAMPLES: Final = 16  # that can be analysed
BLOCK_SECONDS: Final = 0.016  # of the powers that show where the note sounds
SOUNDING_POWER_RATIO: Final = 1e-3  # of a block to the loudest one, from which the note sounds
SILENCE_POWER: Final = 1e-12  # mean square of the loudest block, below which there is no note

MIN_PARTIALS, MAX_PARTIALS = 2, 16  # that are measured
MAX_PARTIAL_HZ: Final = 4000.0  # of measured partials, beyond the fewest
SEARCH_PARTIALS: Final = 6  # of the first search
SEARCH_STEP_CENTS: Final = 10.0  # between its candidates
SEARCH_CELL_CENTS: Final = 15.0  # to each side of a candidate, at least one bin
MAX_STRETCH_CENTS: Final = 180.0  # by which the partials of a candidate may be stretched
SEARCH_STIFFNESSES: Final = (0.0, 1e-4, 2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3, 8e-3)  # B of candidates

COARSE_PARTIALS: Final = 4  # that are measured and fitted at first
COARSE_REACH_CENTS, FINE_REACH_CENTS = 80.0, 60.0  # to each side of a partial, of its band
COARSE_OUTLIER_CENTS, FINE_OUTLIER_CENTS = 20.0, 2.0  # off the fit, where partials count less
MAX_FINE_ROUNDS: Final = 2
CONVERGED_CENTS: Final = 0.05  # of change in a round, below which it is the last
BAND_BINS: Final = 2.5  # to each side at least (the lobe of Hann's window has 2)
BAND_SHARE: Final = 0.4  # of the way to the next partial, to each side at most
MODEL_ERROR_CENTS: Final = 0.2  # by which the partials of good instruments miss the formula
REWEIGHTINGS: Final = 2  # by how well each partial fits
MIN_BIN_ERROR: Final = 1e-3  # bins
ROUNDING_POWER_RATIO: Final = 1e-13  # to the total, below which float32 has rounding errors only
MAX_MOVE: Final = 0.1  # of the first partial's square at a time, 80 cents
STIFFNESS_PRIOR: Final = 3e-3  # standard deviation of B
MAX_STIFFNESS: Final = 2e-2  # B
_CENT: Final = math.log(2) / 1200  # of relative frequency


@dataclass(frozen=True)
class RefinedPitch:
    """The exact frequency of a note.

    Attributes:
        frequency: Hz, of the first partial, measured or derived from the others; the mean where it
            moves.
        inharmonicity: B of the stiff string, 0 … 0.02; 0 for all but strings.
        salience: 0 … 1, share of the power up to the last measured partial that is in partials,
            less the noise between them; 0 for silence.
    """

    frequency: float
    inharmonicity: float
    salience: float


def _cumulative_sums(samples: NDArray[np.float32], bins: int) -> Complexes:
    """Cumulative sums over the first bins of the spectrum, at most to half the sample rate.

    Returns:
        complex128 (bins + 1,), Σ |H|² · (1 + i · reassigned frequency in bins) of the bins before.
    """
    spectrum = np.fft.rfft(samples)[: bins + 1]
    difference = spectrum[:-2] - spectrum[2:]  # D · 2i N/π
    smooth = 2 * spectrum[1:-1] - spectrum[2:] - spectrum[:-2]  # 4 H
    sums = np.zeros(len(smooth) + 2, dtype=np.complex128)
    power = smooth.real**2 + smooth.imag**2
    sums.real[2:] = power
    sums.imag[2:] = power * np.arange(1.0, len(smooth) + 1)
    sums.imag[2:] += difference.real * smooth.real + difference.imag * smooth.imag
    return np.cumsum(sums, out=sums)


def _interpolate_sums(sums: Complexes, positions: Floats) -> Complexes:
    """Cumulative sums up to positions in bins, which need not be whole."""
    edges = np.minimum(np.maximum(positions + 0.5, 0), len(sums) - 1.001)
    before = edges.astype(np.int64)
    below = sums[before]
    return below + (edges - before) * (sums[before + 1] - below)


def refine(samples: NDArray[np.float32], sample_rate: int, midi: float) -> RefinedPitch:
    """Measure the frequency of a note within 60 cents of a known pitch.

    Resampling does not change frequencies: a copy at 16 kHz gives the same result in less time.

    Args:
        samples: float32 (samples,) in [-1, 1], finite; 0.1 s of sound or more is best. Silence
            before or behind the note is skipped.
        sample_rate: Hz, above 0.
        midi: MIDI number at which the note sounds, which need not be whole.

    Returns:
        The frequency; that of ``midi`` itself with a salience of 0 where there is no sound, or the
        sample rate is too low for it.
    """
    expected = midi_to_hz(midi)
    part = _loudest_part(samples, sample_rate)
    if len(part) < MIN_SAMPLES or 2.2 * expected >= sample_rate:
        return RefinedPitch(expected, 0.0, 0.0)
    bin_width = sample_rate / len(part)
    count = int(min(max(MAX_PARTIAL_HZ / expected, MIN_PARTIALS), MAX_PARTIALS))
    sums = _cumulative_sums(part, round((count + 1) * 1.1 * expected / bin_width))
    first, slope = _search(sums, expected / bin_width, count)
    coarse = _measure_partials(sums, first, slope, min(COARSE_PARTIALS, count), COARSE_REACH_CENTS)
    first, slope = _fit(coarse, first, slope, COARSE_OUTLIER_CENTS)
    for _ in range(MAX_FINE_ROUNDS):
        previous = first
        measured = _measure_partials(sums, first, slope, count, FINE_REACH_CENTS)
        first, slope = _fit(measured, first, slope, FINE_OUTLIER_CENTS)
        if abs(first - previous) < CONVERGED_CENTS * _CENT * first:
            break
    max_ratio = 2 ** (1.25 * REACH_CENTS / 1200)
    frequency = min(max(first * bin_width, expected / max_ratio), expected * max_ratio)
    return RefinedPitch(frequency, slope / (1 - slope), measured.salience)


def _loudest_part(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """The loudest 0.77 s of the note, or all of it where it is shorter; empty for silence."""
    block = round(BLOCK_SECONDS * sample_rate)
    count = len(samples) // block if block else 0
    if count < 4:
        return samples if np.any(samples) else samples[:0]
    blocks = samples[: count * block].reshape(count, block)
    powers = np.einsum("ij,ij->i", blocks, blocks)
    loudest = np.minimum(powers[2:], powers[:-2]).max()  # of two blocks: no click
    if loudest < SILENCE_POWER * block:
        return samples[:0]
    sounding = np.flatnonzero(powers > SOUNDING_POWER_RATIO * loudest)
    first, last = int(sounding[0]), int(sounding[-1]) + 1
    longest = round(MAX_SECONDS / BLOCK_SECONDS)  # blocks
    if last - first > longest:
        energy = np.concatenate([[0.0], np.cumsum(powers[first:last], dtype=np.float64)])
        first += int(np.argmax(energy[longest:] - energy[:-longest]))
        last = first + longest
    return samples[first * block : first * block + _fast_length((last - first) * block)]


def _fast_length(length: int) -> int:
    """The greatest length up to this one whose Fourier transform is fast."""
    if length < 4096:
        return length
    power = length.bit_length() - 4
    return max(m << power for m in (8, 9, 10, 12, 14, 15) if m << power <= length)


@cache
def _templates() -> tuple[Floats, Floats, NDArray[np.int64]]:
    """The grid of the search.

    Returns:
        The centres of its cells relative to a multiple of the expected frequency (cells,); their
        reach to each side as a ratio less 1; and the cell of each partial of each candidate, int64
        (stiffnesses, candidates, SEARCH_PARTIALS), the last of which is for all beyond the grid.
    """
    candidates = np.arange(2 * int(REACH_CENTS / SEARCH_STEP_CENTS) + 1)
    cells = np.arange(len(candidates) + int(MAX_STRETCH_CENTS / SEARCH_STEP_CENTS))
    squares = np.arange(1, SEARCH_PARTIALS + 1) ** 2
    stiffnesses = np.array(SEARCH_STIFFNESSES)[:, None]
    stretch = 600 * np.log2((1 + stiffnesses * squares) / (1 + stiffnesses))  # cents
    chosen = candidates[:, None] + np.rint(stretch / SEARCH_STEP_CENTS).astype(np.int64)[:, None]
    ratios = np.exp2((cells * SEARCH_STEP_CENTS - REACH_CENTS) / 1200)
    return ratios, np.exp2(SEARCH_CELL_CENTS / 1200) - 1, np.minimum(chosen, len(cells))


def _search(sums: Complexes, expected: float, count: int) -> tuple[float, float]:
    """Find the series of partials with the greatest sum of amplitudes.

    Args:
        sums: cumulative sums of the spectrum.
        expected: bins, of the first partial by the key.
        count: number of partials.

    Returns:
        The first partial in bins and the slope B / (1 + B).
    """
    ratios, reach, cells = _templates()
    numbers = np.arange(1, min(count, SEARCH_PARTIALS) + 1)[:, None]
    middles = numbers * expected * ratios
    halves = np.maximum(reach * middles, 1.0)
    edges = _interpolate_sums(sums, np.stack([middles - halves, middles + halves])).real
    amplitudes = np.zeros((len(numbers), len(ratios) + 1))
    amplitudes[:, :-1] = np.sqrt(edges[1] - edges[0])
    amplitudes[:, :-1][middles > len(sums) - 2] = 0
    cells = cells[:, :, : len(numbers)]
    scores = amplitudes[np.arange(len(numbers)), cells].sum(axis=2)
    scores *= 1 - 0.01 * np.arange(len(SEARCH_STIFFNESSES))[:, None]  # the least stiff of equals
    stiffness, candidate = divmod(int(scores.argmax()), scores.shape[1])
    slope = SEARCH_STIFFNESSES[stiffness] / (1 + SEARCH_STIFFNESSES[stiffness])
    return expected * float(ratios[candidate]), slope


@dataclass(frozen=True)
class _Partials:
    """Measured partials.

    Attributes:
        powers: float64 (partials, 3), 1, n² − 1 and its square.
        excess: float64 (partials,), (f_n / (n · first))² − 1 with the first partial as assumed.
        weights: float64 (partials,), 1 / variance of the excess, times amplitude / n: where two
            contradict each other, the lower and stronger one is more likely right.
        salience: 0 … 1.
    """

    powers: Floats
    excess: Floats
    weights: Floats
    salience: float


@lru_cache(maxsize=MAX_PARTIALS)
def _partial_numbers(count: int) -> tuple[Floats, Floats]:
    """Numbers n of the first partials (count,), and 1, n² − 1 and its square (count, 3)."""
    numbers = np.arange(1.0, count + 1)
    squares = numbers * numbers - 1
    return numbers, np.stack([np.ones(count), squares, squares * squares], axis=1)


def _measure_partials(
    sums: Complexes, first: float, slope: float, count: int, reach: float
) -> _Partials:
    """Measure the partials near their assumed frequencies."""
    numbers, powers = _partial_numbers(count)
    squares = powers[:, 1]
    middles = numbers * (first * np.sqrt(1 + slope * squares))
    halves = np.minimum(np.maximum((reach * _CENT) * middles, BAND_BINS), BAND_SHARE * first)
    inside = int(np.searchsorted(middles + halves, len(sums) - 2))
    if 0 < inside < count:
        return _measure_partials(sums, first, slope, inside, reach)
    gap = 0.5 * first
    edges = np.stack([middles - halves, middles + halves, middles - gap, middles + gap])
    low, high, left, right = _interpolate_sums(sums, edges)
    band, wide = high - low, (right - left).real
    total = max(float((right[-1] - left[0]).real), 1e-30)
    own = np.maximum(band.real, ROUNDING_POWER_RATIO * total)
    between = np.maximum(wide - own, ROUNDING_POWER_RATIO * total) / (2 * (gap - halves))
    noise = between / own  # of a bin
    errors = (MIN_BIN_ERROR + np.sqrt(noise) + 2 * halves * halves * noise) / middles
    positions = np.minimum(np.maximum(band.imag / own, edges[0]), edges[1])
    weights = 0.25 / (errors * errors + (MODEL_ERROR_CENTS * _CENT) ** 2)
    return _Partials(
        powers=powers,
        excess=(positions / (numbers * first)) ** 2 - 1,
        weights=weights * np.sqrt(own / own.max()) / numbers,
        salience=min(float(np.maximum(own - 2 * halves * between, 0).sum()) / total, 1.0),
    )


def _fit(measured: _Partials, first: float, slope: float, outlier: float) -> tuple[float, float]:
    """Fit the first partial, in bins, and the slope to the measured partials.

    Partials that fit badly count little (Cauchy's weights, computed again after each fit).
    """
    excess, squares = measured.excess, measured.powers[:, 1]
    rest = excess - slope * squares
    for _ in range(REWEIGHTINGS):
        rest *= 0.5 / (outlier * _CENT)
        weights = measured.weights / (1 + rest * rest)
        total, lever, spread = (weights @ measured.powers).tolist()
        height, tilt = ((weights * excess) @ measured.powers[:, :2]).tolist()
        spread += STIFFNESS_PRIOR**-2
        slope = (total * tilt - lever * height) / (total * spread - lever * lever)
        slope = min(max(slope, 0.0), MAX_STIFFNESS)
        offset = min(max((height - slope * lever) / total, -MAX_MOVE), MAX_MOVE)
        rest = excess - offset - slope * squares
    return first * math.sqrt(1 + offset), slope / (1 + offset)
