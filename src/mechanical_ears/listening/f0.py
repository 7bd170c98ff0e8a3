"""The exact frequency of a note whose key is known to about a semitone.

One Fourier transform X of the loudest 0.77 s, N samples, gives two at once: windowed with Hann's
window w, and with its derivative w′, since both windows are sums of three exponentials,

    H[k] = X[k]/2 − (X[k−1] + X[k+1])/4              D[k] = π/N · (X[k−1] − X[k+1]) / 2i

(w and w′ are zero at the ends). A damped partial e^((σ + iω) t) obeys σ + iω = i ω_k − D/H in
*every* bin near it: integrate its derivative by parts (Auger and Flandrin, "Improving the
readability of time-frequency representations by the reassignment method", 1995; Marchand,
"Improving spectral analysis precision with an enhanced phase vocoder using signal derivatives",
1998). Averaged by power over the band of bins around a partial,

    f_n = Σ_k |H|² · (f_k − Im(D/H) / 2π) / Σ_k |H|²

is therefore exact for a steady or decaying partial, and for one with vibrato or beating it is, by
Parseval's theorem, the mean of its momentary frequency over time, weighted by power. Sums over any
band are differences of two cumulative sums. A first search over 120 cents and some stiffnesses
finds the series of partials; the stiff string (Fletcher, "Normal vibration frequencies of a stiff
piano string", 1964) is then fitted to the measured partials n = 1, 2, …:

    f_n = n · f0 · √(1 + B n²)      or      (f_n / n)² = f_1² + f0² B · (n² − 1)

by least squares, each partial weighted by what is known of it and by how well it fits the others.
The answer is f_1, the frequency at which the first partial sounds, or would sound were it there.
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

REACH: Final = 60.0  # cents to each side that the given key may be off
LONGEST: Final = 0.768  # s that are analysed
SHORTEST: Final = 16  # samples that can be analysed
BLOCK: Final = 0.016  # s, of the powers that tell where the note sounds
SOUNDING: Final = 1e-3  # power beside the loudest block's, down to which the note sounds, −30 dB
SILENCE: Final = 1e-12  # mean square of the loudest block, below which there is nothing to measure

FEWEST_PARTIALS, MOST_PARTIALS = 2, 16  # that are measured
HIGHEST: Final = 4000.0  # Hz, above which partials beyond the fewest are not measured
SEARCHED: Final = 6  # partials, in the first search
STEP: Final = 10.0  # cents between the candidates of the search
CELL: Final = 15.0  # cents to each side of a candidate, at least one bin
STRETCH: Final = 180.0  # cents that the partials of a candidate may be stretched
STIFFNESSES: Final = (0.0, 1e-4, 2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3, 8e-3)  # B, of the candidates

COARSE_PARTIALS: Final = 4  # that are measured and fitted at first
COARSE_REACH, FINE_REACH = 80.0, 60.0  # cents to each side of a partial that are its own
COARSE_OUTLIER, FINE_OUTLIER = 20.0, 2.0  # cents off the fit beyond which a partial counts little
FINE_ROUNDS: Final = 2  # at most
SETTLED: Final = 0.05  # cents that a round moves the answer, below which it is the last
BAND_BINS: Final = 2.5  # to each side at least (the lobe of Hann's window has 2)
BAND_SHARE: Final = 0.4  # of the way to the next partial, to each side at most
MODEL_ERROR: Final = 0.2  # cents by which the partials of good instruments miss the formula
REWEIGHTED: Final = 2  # times, by how well each partial fits
LEAST_BIN_ERROR: Final = 1e-3  # bins
ROUNDING: Final = 1e-13  # power beside the total's that float32 cannot tell from nothing
LARGEST_MOVE: Final = 0.1  # of the first partial's square at a time, 80 cents
STIFFNESS_PRIOR: Final = 3e-3  # B that is no surprise
STIFFEST: Final = 2e-2  # B
_CENT: Final = math.log(2) / 1200  # of relative frequency


@dataclass(frozen=True)
class RefinedPitch:
    """The exact frequency of a note.

    Attributes:
        frequency: Hz, of the first partial, measured or following from the others; the mean where
            it moves.
        inharmonicity: B of the stiff string, 0 … 0.02; 0 for all but strings.
        salience: 0 … 1, the share of the power, up to the last partial measured, that stands in
            partials above the noise between them. 0 for silence.
    """

    frequency: float
    inharmonicity: float
    salience: float


def _sums(samples: NDArray[np.float32], bins: int) -> Complexes:
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


def _up_to(sums: Complexes, places: Floats) -> Complexes:
    """Cumulative sums up to places in bins, which may lie within a bin."""
    edges = np.minimum(np.maximum(places + 0.5, 0), len(sums) - 1.001)
    before = edges.astype(np.int64)
    below = sums[before]
    return below + (edges - before) * (sums[before + 1] - below)


def refine(samples: NDArray[np.float32], sample_rate: int, midi: float) -> RefinedPitch:
    """The exact frequency of a note, within 60 cents of the key that was heard.

    Resampling does not change frequencies: a copy at 16 kHz gives the same answer in less time.

    Args:
        samples: float32 (samples,) in [-1, 1], finite; 0.1 s of sound or more is best, and silence
            before or behind it is passed over.
        sample_rate: Hz, above 0.
        midi: MIDI number at which the note sounds, which need not be whole.

    Returns:
        The frequency; that of ``midi`` itself with a salience of 0 where there is no sound, or none
        could be told at that rate.
    """
    expected = midi_to_hz(midi)
    sounding = _loudest(samples, sample_rate)
    if len(sounding) < SHORTEST or 2.2 * expected >= sample_rate:
        return RefinedPitch(expected, 0.0, 0.0)
    bin_width = sample_rate / len(sounding)
    count = int(min(max(HIGHEST / expected, FEWEST_PARTIALS), MOST_PARTIALS))
    sums = _sums(sounding, round((count + 1) * 1.1 * expected / bin_width))
    first, slope = _search(sums, expected / bin_width, count)
    coarse = _measure(sums, first, slope, min(COARSE_PARTIALS, count), COARSE_REACH)
    first, slope = _fit(coarse, first, slope, COARSE_OUTLIER)
    for _ in range(FINE_ROUNDS):
        before = first
        measured = _measure(sums, first, slope, count, FINE_REACH)
        first, slope = _fit(measured, first, slope, FINE_OUTLIER)
        if abs(first - before) < SETTLED * _CENT * first:
            break
    farthest = 2 ** (1.25 * REACH / 1200)
    frequency = min(max(first * bin_width, expected / farthest), expected * farthest)
    return RefinedPitch(frequency, slope / (1 - slope), measured.salience)


def _loudest(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """The loudest 0.77 s of the note, or all of it where it is shorter; empty for silence."""
    block = round(BLOCK * sample_rate)
    count = len(samples) // block if block else 0
    if count < 4:
        return samples if np.any(samples) else samples[:0]
    blocks = samples[: count * block].reshape(count, block)
    powers = np.einsum("ij,ij->i", blocks, blocks)
    loudest = np.minimum(powers[2:], powers[:-2]).max()  # which no click is
    if loudest < SILENCE * block:
        return samples[:0]
    places = np.flatnonzero(powers > SOUNDING * loudest)
    first, last = int(places[0]), int(places[-1]) + 1
    longest = round(LONGEST / BLOCK)  # blocks
    if last - first > longest:
        energy = np.concatenate([[0.0], np.cumsum(powers[first:last], dtype=np.float64)])
        first += int(np.argmax(energy[longest:] - energy[:-longest]))
        last = first + longest
    return samples[first * block : first * block + _fast_length((last - first) * block)]


def _fast_length(most: int) -> int:
    """The greatest length up to ``most`` whose transform is quick."""
    if most < 4096:
        return most
    power = most.bit_length() - 4
    return max(m << power for m in (8, 9, 10, 12, 14, 15) if m << power <= most)


@cache
def _templates() -> tuple[Floats, Floats, NDArray[np.int64]]:
    """What the search looks at, in cells of its grid.

    Returns:
        The cells' middles as ratios (cells,), the reach to each side as a ratio less 1 (), and the
        cells of each series of partials, int64 (stiffnesses, candidates, SEARCHED); the last cell
        stands for all that lie beyond.
    """
    candidates = np.arange(2 * int(REACH / STEP) + 1)
    cells = np.arange(len(candidates) + int(STRETCH / STEP))
    squares = np.arange(1, SEARCHED + 1) ** 2
    stiffnesses = np.array(STIFFNESSES)[:, None]
    stretch = 600 * np.log2((1 + stiffnesses * squares) / (1 + stiffnesses))  # cents
    taken = candidates[:, None] + np.rint(stretch / STEP).astype(np.int64)[:, None]
    ratios = np.exp2((cells * STEP - REACH) / 1200)
    return ratios, np.exp2(CELL / 1200) - 1, np.minimum(taken, len(cells))


def _search(sums: Complexes, expected: float, count: int) -> tuple[float, float]:
    """The series of partials with the greatest sum of amplitudes.

    Args:
        sums: of the spectrum.
        expected: bins, the first partial by the key.
        count: of partials.

    Returns:
        The first partial in bins and the slope B / (1 + B).
    """
    ratios, reach, taken = _templates()
    numbers = np.arange(1, min(count, SEARCHED) + 1)[:, None]
    middles = numbers * expected * ratios
    halves = np.maximum(reach * middles, 1.0)
    edges = _up_to(sums, np.stack([middles - halves, middles + halves])).real
    amplitudes = np.zeros((len(numbers), len(ratios) + 1))
    amplitudes[:, :-1] = np.sqrt(edges[1] - edges[0])
    amplitudes[:, :-1][middles > len(sums) - 2] = 0
    taken = taken[:, :, : len(numbers)]
    scores = amplitudes[np.arange(len(numbers)), taken].sum(axis=2)
    scores *= 1 - 0.01 * np.arange(len(STIFFNESSES))[:, None]  # the least stiff of equals
    stiffness, candidate = divmod(int(scores.argmax()), scores.shape[1])
    slope = STIFFNESSES[stiffness] / (1 + STIFFNESSES[stiffness])
    return expected * float(ratios[candidate]), slope


@dataclass(frozen=True)
class _Measured:
    """Partials as they were found.

    Attributes:
        powers: float64 (partials, 3), 1, n² − 1 and its square.
        excess: float64 (partials,), (f_n / (n · first))² − 1 with the first partial as assumed.
        weights: float64 (partials,), 1 / variance of the excess, times amplitude / n: a low and
            strong partial is in the right where two contradict each other.
        salience: 0 … 1.
    """

    powers: Floats
    excess: Floats
    weights: Floats
    salience: float


@lru_cache(maxsize=MOST_PARTIALS)
def _numbers(count: int) -> tuple[Floats, Floats]:
    """Numbers n of the first partials (count,), and 1, n² − 1 and its square (count, 3)."""
    numbers = np.arange(1.0, count + 1)
    squares = numbers * numbers - 1
    return numbers, np.stack([np.ones(count), squares, squares * squares], axis=1)


def _measure(sums: Complexes, first: float, slope: float, count: int, reach: float) -> _Measured:
    """Measure the partials near the places where they are assumed."""
    numbers, powers = _numbers(count)
    squares = powers[:, 1]
    middles = numbers * (first * np.sqrt(1 + slope * squares))
    halves = np.minimum(np.maximum((reach * _CENT) * middles, BAND_BINS), BAND_SHARE * first)
    inside = int(np.searchsorted(middles + halves, len(sums) - 2))
    if 0 < inside < count:
        return _measure(sums, first, slope, inside, reach)
    gap = 0.5 * first
    edges = np.stack([middles - halves, middles + halves, middles - gap, middles + gap])
    low, high, left, right = _up_to(sums, edges)
    band, wide = high - low, (right - left).real
    total = max(float((right[-1] - left[0]).real), 1e-30)
    own = np.maximum(band.real, ROUNDING * total)
    between = np.maximum(wide - own, ROUNDING * total) / (2 * (gap - halves))
    noise = between / own  # of a bin
    errors = (LEAST_BIN_ERROR + np.sqrt(noise) + 2 * halves * halves * noise) / middles
    places = np.minimum(np.maximum(band.imag / own, edges[0]), edges[1])
    weights = 0.25 / (errors * errors + (MODEL_ERROR * _CENT) ** 2)
    return _Measured(
        powers=powers,
        excess=(places / (numbers * first)) ** 2 - 1,
        weights=weights * np.sqrt(own / own.max()) / numbers,
        salience=min(float(np.maximum(own - 2 * halves * between, 0).sum()) / total, 1.0),
    )


def _fit(measured: _Measured, first: float, slope: float, outlier: float) -> tuple[float, float]:
    """The first partial in bins and the slope that fit the measured partials.

    The lines of all that fit badly count little (Cauchy's weights, found anew a few times).
    """
    excess, squares = measured.excess, measured.powers[:, 1]
    rest = excess - slope * squares
    for _ in range(REWEIGHTED):
        rest *= 0.5 / (outlier * _CENT)
        weights = measured.weights / (1 + rest * rest)
        total, lever, spread = (weights @ measured.powers).tolist()
        height, tilt = ((weights * excess) @ measured.powers[:, :2]).tolist()
        spread += STIFFNESS_PRIOR**-2
        slope = (total * tilt - lever * height) / (total * spread - lever * lever)
        slope = min(max(slope, 0.0), STIFFEST)
        offset = min(max((height - slope * lever) / total, -LARGEST_MOVE), LARGEST_MOVE)
        rest = excess - offset - slope * squares
    return first * math.sqrt(1 + offset), slope / (1 + offset)
