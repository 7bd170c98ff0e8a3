"""Movement in bands of modulation frequency: measured, and drawn at random with the same spectrum.

Of a movement x on a regular grid of n steps Δ, with a Hann window w, the power in a bin is

    P_k = 2 |Σ w_i x_i e^(−2πi ik/n)|² / (n Σ w_i²)        Σ_k P_k ≈ mean square of x

and the root mean square of a band is the root of the sum of its bins. A random movement with the
same root mean squares has independent normal numbers in its bins, scaled in each band. That such
statistics decide how textures of sound are perceived is shown by McDermott and Simoncelli, "Sound
texture perception via statistics of the auditory periphery", 2011.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

STEP_SECONDS: Final = 0.008  # s, of the regular grid
BAND_EDGES: Final = (0.3, 1.0, 2.0, 3.5, 5.0, 6.5, 9.0, 14.0, 25.0, 50.0)  # Hz
BANDS: Final = len(BAND_EDGES) - 1
SLOPE_ABOVE: Final = 0.6  # root mean square of a band too fast to be seen, by the band below
MIN_SEEN: Final = 1.2  # of a band's lower edge, that must be seen of it


def power_spectrum(movement: Floats) -> tuple[Floats, Floats]:
    """Frequencies (bins,) in Hz and powers (…, bins) of movements (…, n) around their means."""
    count = movement.shape[-1]
    window = np.hanning(count)
    centred = movement - movement.mean(axis=-1, keepdims=True)
    power = np.abs(np.fft.rfft(centred * window)) ** 2 * (2 / (count * (window**2).sum()))
    return np.asarray(np.fft.rfftfreq(count, STEP_SECONDS)), np.asarray(power)


def measure_bands(movement: Floats, max_frequency: float = math.inf) -> Floats:
    """Root mean squares in bands.

    Args:
        movement: (…, n), at steps of 8 ms.
        max_frequency: Hz, above which the movement was not sampled; faster bands continue the
            slower ones by a fall of 4.4 dB a band.

    Returns:
        (…, 9), in the movement's unit.
    """
    frequencies, power = power_spectrum(movement)
    measured = np.zeros((*movement.shape[:-1], BANDS))
    for band in range(BANDS):
        low, high = BAND_EDGES[band : band + 2]
        inside = (frequencies >= low) & (frequencies < min(high, max_frequency))
        if low * MIN_SEEN < max_frequency and inside.any():
            seen = (min(high, max_frequency) - low) / (high - low)
            measured[..., band] = np.sqrt(power[..., inside].sum(axis=-1) / seen)
        elif band:
            measured[..., band] = SLOPE_ABOVE * measured[..., band - 1]
    return measured


def random_movement(bands: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Random movement with given root mean squares in bands, exact in each.

    Args:
        bands: (…, 9).
        count: steps of 8 ms.
        rng: source of the normal numbers.

    Returns:
        (…, count).
    """
    frequencies = np.fft.rfftfreq(count, STEP_SECONDS)
    first = np.searchsorted(frequencies, BAND_EDGES)
    normal = rng.standard_normal((*bands.shape[:-1], first[-1] - first[0], 2))
    bins = np.zeros((*bands.shape[:-1], len(frequencies)), dtype=np.complex128)
    bins[..., first[0] : first[-1]] = normal[..., 0] + 1j * normal[..., 1]
    for band in range(BANDS):
        part = bins[..., first[band] : first[band + 1]]
        if part.shape[-1]:
            energy = (part.real**2 + part.imag**2).sum(axis=-1)
            part *= (bands[..., band] * count / np.sqrt(2 * energy))[..., None]
    return np.asarray(np.fft.irfft(bins, count))


def smooth(rows: Floats, seconds: float, first: int = 0) -> Floats:
    """Rows (…, n) smoothed by a Gaussian along their last axis, from an index on.

    The ends are continued by point reflection, so that a steady rise or fall stays as it is.

    Args:
        rows: (…, n), at steps of 8 ms.
        seconds: standard deviation of the Gaussian, s.
        first: index before which rows stay as they are.
    """
    part = rows[..., first:]
    count = part.shape[-1]
    sigma = seconds / STEP_SECONDS
    reach = min(round(3 * sigma), count - 1)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    before = 2 * part[..., :1] - part[..., reach:0:-1]
    after = 2 * part[..., -1:] - part[..., -2 : -reach - 2 : -1]
    padded = np.concatenate([before, part, after], axis=-1)
    size = 1 << (padded.shape[-1] + 2 * reach).bit_length()
    product = np.fft.rfft(padded, size) * np.fft.rfft(kernel / kernel.sum(), size)
    smoothed = np.fft.irfft(product, size)[..., 2 * reach : 2 * reach + count]
    return np.concatenate([rows[..., :first], smoothed], axis=-1)
