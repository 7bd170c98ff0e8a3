"""How the two channels of a recorded note differ in each band of noise.

With the channels L and R, the mid M = (L + R) / 2 and the side S = (L − R) / 2 in a band,

    ρ = Re Σ L R* / √(Σ|L|² Σ|R|²)        side = 10 · log10(Σ|S|² / Σ|M|²)

over the frequencies of the band, from the spectrum of the whole note.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.resynthesis.control_map import band_edges
from mechanical_ears.sound import Sound

AUDIBLE_RANGE_DB: Final = 60.0  # dB below the loudest band; softer bands are not measured
MIN_FREQUENCY: Final = 20.0  # Hz, below which are offsets and rumble
MAX_SIDE_DB: Final = 60.0  # dB, of sides above and below the mid


@dataclass(frozen=True, eq=False)
class StereoBands:
    """Differences of two channels by band; NaN in bands that are too soft or too narrow.

    Attributes:
        correlation: float64 (40,), −1..1.
        side: dB, level of the side beside the mid, float64 (40,).
        level_difference: dB, of the louder channel above the other, float64 (40,).
    """

    correlation: NDArray[np.float64]
    side: NDArray[np.float64]
    level_difference: NDArray[np.float64]


def measure_stereo(sound: Sound) -> StereoBands:
    """Measure a note of two channels.

    Args:
        sound: of two channels, longer than 0.1 s.

    Raises:
        ValueError: it has not two channels.
    """
    if sound.channels != 2:
        raise ValueError(f"a sound of {sound.channels} channels, not 2")
    spectra = np.fft.rfft(
        sound.samples.astype(np.float64) * np.hanning(len(sound.samples))[:, None], axis=0
    )
    frequencies = np.fft.rfftfreq(len(sound.samples), 1 / sound.sample_rate)
    band = np.searchsorted(band_edges(), frequencies, side="right") - 1
    count = len(band_edges()) - 1
    inside = (frequencies > MIN_FREQUENCY) & (band >= 0) & (band < count)

    def by_band(values: NDArray[np.float64]) -> NDArray[np.float64]:
        sums: NDArray[np.float64] = np.bincount(band[inside], values[inside], count).astype(float)
        return sums

    left, right = spectra.T
    power_left, power_right = by_band(np.abs(left) ** 2), by_band(np.abs(right) ** 2)
    mid, side = by_band(np.abs(left + right) ** 2 / 4), by_band(np.abs(left - right) ** 2 / 4)
    total = power_left + power_right
    measured = total > total.max() * 10 ** (-AUDIBLE_RANGE_DB / 10)
    tiny = max(float(total.max()), 1e-30) * 1e-15
    cross = (mid - side) / np.sqrt((power_left + tiny) * (power_right + tiny))
    sides = np.clip(10 * np.log10((side + tiny) / (mid + tiny)), -MAX_SIDE_DB, MAX_SIDE_DB)
    levels = np.abs(10 * np.log10((power_left + tiny) / (power_right + tiny)))
    return StereoBands(*(np.where(measured, values, np.nan) for values in (cross, sides, levels)))
