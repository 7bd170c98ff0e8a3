"""How the frequency of a note moves: vibrato, glides, the sharp attack of a plucked string.

Between two windows H seconds apart, the phase of partial n at f_n advances by 2π f_n H, and by
2π n δ H more where the fundamental is δ above its mean (Flanagan and Golden, "Phase vocoder",
1966). The advance of the first partials is averaged over about 50 ms, weighted by power and n²:

    δ(t) = Σ_n n² · |z_n| · arg(z_n) / (2π H n)  /  Σ_n n² · |z_n|     z_n = X_n(t + H) · X_n(t)*

It is unambiguous only while it is less than half a turn, which bounds n and H.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.resynthesis.analysis.framed_spectra import framed_spectra, sinusoid_amplitudes

MAX_PARTIALS: Final = 6
MAX_FREQUENCY: Final = 2500.0  # Hz, of partials beyond the first
MAX_CENTS: Final = 150.0  # cents that can be measured without ambiguity
MAX_HOP: Final = 0.010  # s
SMOOTHING_SECONDS: Final = 0.050  # s
MIN_WINDOW: Final = 0.012  # s
STEADY_CENTS: Final = 3.0  # cents of spread, below which a note does not move
WINDOW_PERIODS: Final = 4.0
MIN_COHERENCE, FULL_COHERENCE = 0.6, 0.85  # of phase advances: none is trusted, all are; noise: 0
CHECKED_PARTIALS: Final = 20
CHECK_HOP, CHECK_WINDOW = 0.03, 0.05  # s
MIN_GAIN_DB: Final = 0.12  # dB, for which a track is worth following
MIN_WEIGHT: Final = 1e-4  # beside the largest, −40 dB, below which the result tends to the mean


@dataclass(frozen=True, eq=False)
class PitchTrack:
    """How far a note is above its mean frequency, over time.

    Attributes:
        times: s, float64 (points,).
        cents: float64 (points,); all 0 where the note is steady.
    """

    times: NDArray[np.float64]
    cents: NDArray[np.float64]

    @property
    def moves(self) -> bool:
        """Whether the pitch moves at all."""
        return bool(self.cents.any())

    def at(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Cents at other times, float64 like ``times``."""
        return np.interp(times, self.times, self.cents)


def track_pitch(
    samples: NDArray[np.float32],
    sample_rate: int,
    frequency: float,
    ratios: NDArray[np.float64],
    steady_hz: float,
) -> PitchTrack:
    """Measure how far a note is above its mean frequency, over time.

    Args:
        samples: float32 (samples,).
        sample_rate: Hz.
        frequency: Hz, of the first partial.
        ratios: float64 (partials,), of the partials 1, 2, … to the first.
        steady_hz: Hz by which the highest partial checked may move in a note that counts as steady.
    """
    steady = PitchTrack(np.zeros(1), np.zeros(1))
    highest = min(max(MAX_FREQUENCY, frequency), 0.45 * sample_rate)
    ratios = ratios[:MAX_PARTIALS]
    ratios = ratios[ratios * frequency <= highest]
    if not len(ratios):
        return steady
    max_excess = frequency * ratios[-1] * (2 ** (MAX_CENTS / 1200) - 1)  # Hz
    hop = min(MAX_HOP, 0.4 / max_excess)
    count = int(len(samples) / sample_rate / hop)
    if count < 4:
        return steady
    times = np.rint((np.arange(count) + 0.5) * hop * sample_rate) / sample_rate
    window = max(WINDOW_PERIODS / frequency, MIN_WINDOW)
    amplitudes = sinusoid_amplitudes(samples, sample_rate, times, window, frequency * ratios)
    steps = np.diff(times)
    expected = np.exp(-2j * np.pi * np.outer(steps, frequency * ratios))
    advance = (amplitudes[1:] * np.conj(amplitudes[:-1]) * expected).T
    reach = max(1, round(SMOOTHING_SECONDS / hop / 2))
    taper = np.hanning(2 * reach + 3)[1:-1]
    smooth = _smooth(advance, taper)
    coherence = np.abs(smooth) / np.maximum(_smooth(np.abs(advance), taper).real, 1e-30)
    weights = ratios[:, None] ** 2 * np.abs(smooth) * coherence**4
    total = weights.sum(axis=0)
    total += MIN_WEIGHT * total.max() + 1e-30
    excess = np.angle(smooth) / (2 * np.pi * steps * ratios[:, None])  # Hz
    delta = (weights * excess).sum(axis=0) / total
    cents = 1200 * np.log2(1 + np.clip(delta / frequency, -0.1, 0.1))
    mean = float((cents * total).sum() / total.sum())
    top = min(CHECKED_PARTIALS * frequency, 0.45 * sample_rate)
    spread = np.sqrt(((cents - mean) ** 2 * total).sum() / total.sum())  # cents
    if spread < max(STEADY_CENTS, 1200 * np.log2(1 + steady_hz / top)):
        return steady
    mean_coherence = (weights * coherence).sum(axis=0) / total
    trust = np.clip((mean_coherence - MIN_COHERENCE) / (FULL_COHERENCE - MIN_COHERENCE), 0, 1)
    track = PitchTrack((times[1:] + times[:-1]) / 2, mean + (cents - mean) * trust)
    return track if _gains_power(samples, sample_rate, frequency, track) else steady


def _gains_power(
    samples: NDArray[np.float32], sample_rate: int, frequency: float, track: PitchTrack
) -> bool:
    """Whether partials are stronger along the track than at their mean frequencies.

    A beat between two voices also moves the momentary frequency, but not the partials.
    """
    times = np.arange(1.0, len(samples) / sample_rate / CHECK_HOP) * CHECK_HOP
    partials = frequency * np.arange(1.0, CHECKED_PARTIALS + 1)
    partials = partials[partials < 0.45 * sample_rate]
    if len(times) < 2 or not len(partials):
        return False
    window = max(WINDOW_PERIODS / frequency, CHECK_WINDOW)
    spectra = framed_spectra(samples, sample_rate, times, window)
    moving = spectra.powers(2 ** (track.at(times)[:, None] / 1200) * partials)
    fixed = spectra.powers(partials)
    weights = np.sqrt(moving + fixed) + 1e-12
    ratio = np.log10((moving + 1e-12) / (fixed + 1e-12))
    return bool(10 * (weights * ratio).sum() / weights.sum() > MIN_GAIN_DB)


def _smooth(rows: NDArray[Any], taper: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Each of rows (partials, points), summed over a taper."""
    return np.stack([np.convolve(row, taper, "same")[: rows.shape[1]] for row in rows])
