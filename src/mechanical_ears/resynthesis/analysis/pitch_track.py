"""How a note's frequency moves: vibrato, glides, the sharp attack of a plucked string.

Between two windows H seconds apart, the phase of partial n at f_n advances by 2π f_n H, and by
2π n δ H more where the fundamental lies δ above its mean (Flanagan and Golden, "Phase vocoder",
1966). The advance of the first partials is averaged over about 50 ms, weighted by power and n²:

    δ(t) = Σ_n n² · |z_n| · arg(z_n) / (2π H n)  /  Σ_n n² · |z_n|     z_n = X_n(t + H) · X_n(t)*

It means something only while it is less than half a turn, which bounds n and H.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.resynthesis.analysis.framed_spectra import read_few, windows

MOST_PARTIALS: Final = 6
HIGHEST: Final = 2500.0  # Hz, above which partials beyond the first do not count
REACH: Final = 150.0  # cents that are told without ambiguity
LONGEST_HOP: Final = 0.010  # s
SMOOTHED: Final = 0.050  # s
SHORTEST: Final = 0.012  # s, of a window
STEADY: Final = 3.0  # cents of spread, below which a note does not move
PERIODS: Final = 4.0  # in a window
DOUBTFUL, CERTAIN = 0.6, 0.85  # coherence of the advances, which noise lacks
WARP_STEP: Final = 0.001  # s
JUDGED: Final = 20  # partials
JUDGED_HOP, JUDGED_WINDOW = 0.03, 0.05  # s
LEAST_GAIN: Final = 0.12  # dB, for which a course is worth following
WEAK: Final = 1e-4  # weight beside the largest, −40 dB, below which the mean is answered


@dataclass(frozen=True, eq=False)
class PitchTrack:
    """How far a note lies above its mean frequency, over time.

    Attributes:
        moments: s, float64 (moments,).
        cents: float64 (moments,); all 0 where the note is steady.
    """

    moments: NDArray[np.float64]
    cents: NDArray[np.float64]

    @property
    def moves(self) -> bool:
        """Whether the note is not steady."""
        return bool(self.cents.any())

    def at(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Cents at other times, float64 like ``times``."""
        return np.interp(times, self.moments, self.cents)


def track_pitch(
    samples: NDArray[np.float32],
    sample_rate: int,
    frequency: float,
    ratios: NDArray[np.float64],
    tolerated: float,
) -> PitchTrack:
    """How far a note lies above its mean frequency.

    Args:
        samples: float32 (samples,).
        sample_rate: Hz.
        frequency: Hz, of the first partial.
        ratios: float64 (partials,), of the partials 1, 2, … to the first.
        tolerated: Hz by which the highest partial judged may move and still be called steady.
    """
    steady = PitchTrack(np.zeros(1), np.zeros(1))
    highest = min(max(HIGHEST, frequency), 0.45 * sample_rate)
    ratios = ratios[:MOST_PARTIALS]
    ratios = ratios[ratios * frequency <= highest]
    if not len(ratios):
        return steady
    spread = frequency * ratios[-1] * (2 ** (REACH / 1200) - 1)
    hop = min(LONGEST_HOP, 0.4 / spread)
    count = int(len(samples) / sample_rate / hop)
    if count < 4:
        return steady
    moments = np.rint((np.arange(count) + 0.5) * hop * sample_rate) / sample_rate
    length = max(PERIODS / frequency, SHORTEST)
    read = read_few(samples, sample_rate, moments, length, frequency * ratios)
    steps = np.diff(moments)
    turn = np.exp(-2j * np.pi * np.outer(steps, frequency * ratios))
    advance = (read[1:] * np.conj(read[:-1]) * turn).T
    reach = max(1, round(SMOOTHED / hop / 2))
    taper = np.hanning(2 * reach + 3)[1:-1]
    smooth = _smoothed(advance, taper)
    coherence = np.abs(smooth) / np.maximum(_smoothed(np.abs(advance), taper).real, 1e-30)
    weights = ratios[:, None] ** 2 * np.abs(smooth) * coherence**4
    total = weights.sum(axis=0)
    total += WEAK * total.max() + 1e-30
    excess = np.angle(smooth) / (2 * np.pi * steps * ratios[:, None])  # Hz
    delta = (weights * excess).sum(axis=0) / total
    cents = 1200 * np.log2(1 + np.clip(delta / frequency, -0.1, 0.1))
    middle = float((cents * total).sum() / total.sum())
    top = min(JUDGED * frequency, 0.45 * sample_rate)
    spread = np.sqrt(((cents - middle) ** 2 * total).sum() / total.sum())  # cents
    if spread < max(STEADY, 1200 * np.log2(1 + tolerated / top)):
        return steady
    sure = (weights * coherence).sum(axis=0) / total
    trust = np.clip((sure - DOUBTFUL) / (CERTAIN - DOUBTFUL), 0, 1)
    course = PitchTrack((moments[1:] + moments[:-1]) / 2, middle + (cents - middle) * trust)
    return course if _pays(samples, sample_rate, frequency, course) else steady


def _pays(
    samples: NDArray[np.float32], sample_rate: int, frequency: float, course: PitchTrack
) -> bool:
    """Whether more is found of the partials where the course says than where they are on average.

    A beat between voices, too, moves the momentary frequency, but not the partials.
    """
    times = np.arange(1.0, len(samples) / sample_rate / JUDGED_HOP) * JUDGED_HOP
    partials = frequency * np.arange(1.0, JUDGED + 1)
    partials = partials[partials < 0.45 * sample_rate]
    if len(times) < 2 or not len(partials):
        return False
    parts = windows(samples, sample_rate, times, max(PERIODS / frequency, JUDGED_WINDOW))
    moving = parts.powers(2 ** (course.at(times)[:, None] / 1200) * partials)
    fixed = parts.powers(partials)
    weights = np.sqrt(moving + fixed) + 1e-12
    ratio = np.log10((moving + 1e-12) / (fixed + 1e-12))
    return bool(10 * (weights * ratio).sum() / weights.sum() > LEAST_GAIN)


def _smoothed(rows: NDArray[Any], taper: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Rows (partials, moments), each averaged over a taper."""
    return np.stack([np.convolve(row, taper, "same")[: rows.shape[1]] for row in rows])


def warp(
    times: NDArray[np.float64], cents: NDArray[np.float64], at: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Time as the note's own periods count it: u(t) = ∫ 2^(c/1200) dt from 0, s.

    Args:
        times: s, float64 (frames,), of the track.
        cents: float64 (frames,).
        at: s, float64 (moments,), where u is asked.
    """
    if not cents.any():
        return at
    fine = np.arange(0, max(times[-1], at.max()) + 2 * WARP_STEP, WARP_STEP)
    ratio = np.exp2(np.interp(fine, times, cents) / 1200)
    passed = np.concatenate([[0.0], np.cumsum((ratio[1:] + ratio[:-1]) * (WARP_STEP / 2))])
    return np.where(at < 0, at, np.interp(at, fine, passed))
