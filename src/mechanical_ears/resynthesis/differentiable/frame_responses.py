"""What the front end of the ears shows of a partial or of noise, as constant tables.

For a partial of frequency f, a window of L samples shows in the band m of the front end

    R_m(f) = Σ_k filter[m, k] · W((f − f_k) L / rate)²

with the window's lobe W; fluctuations and a step spread over other shapes in place of W² (see
magnitude.py). Means of amplitudes over the windows are one matrix for each kind of frame, since
amplitudes are linear between the frames of a map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.listening.frontend import SAMPLE_RATE
from mechanical_ears.resynthesis.control_map import band_centres
from mechanical_ears.resynthesis.interpolation import interpolation
from mechanical_ears.resynthesis.window_functions import hann_lobe

TABLE_STEPS: Final = 4  # rows of a table, per bin
MIN_RESPONSE: Final = 1e-12  # of a partial's power; between bins a lobe has nulls: slow subnormals
MIN_FRAME_WEIGHT: Final = 1e-6  # share of a frame in a window, below which it is 0: as above
SPREAD_BINS: Final = 3.0  # to each side, over which fluctuations are spread; a step is beyond
FINE_STEP: Final = 0.0005  # s, of the integrals over time


@dataclass(frozen=True, eq=False)
class FrameResponse:
    """The constants of one kind of frame.

    Attributes:
        response: float32 (frequencies, bands), R.
        spread: float32 (frequencies, bands), R′.
        skirt: float32 (frequencies, bands), R″.
        onset: float32 (frames,), the window's square at time 0.
        mean: float32 (frames of the map, frames), of amplitudes.
        square: float32 (frames of the map, frames), of squared amplitudes.
        noise_square: float32 (frames of the noise, frames), of powers of noise.
        noise_gain: float32 (bands,), power shown for noise of 1 mean square per Hz.
        noise_bands: float32 (40, bands), interpolation between the bands of the noise.
    """

    response: NDArray[np.float32]
    spread: NDArray[np.float32]
    skirt: NDArray[np.float32]
    onset: NDArray[np.float32]
    mean: NDArray[np.float32]
    square: NDArray[np.float32]
    noise_square: NDArray[np.float32]
    noise_gain: NDArray[np.float32]
    noise_bands: NDArray[np.float32]


def frame_response(
    window: int,
    centres: NDArray[np.int64],
    filters: NDArray[np.float32],
    times: NDArray[np.float64],
    noise_times: NDArray[np.float64],
) -> FrameResponse:
    """Compute the constants of one kind of frame.

    Args:
        window: samples, of Hann's window.
        centres: samples, int64 (frames,), middles of the frames.
        filters: float32 (bins, bands).
        times: s, float64, of the frames of a map's partials.
        noise_times: s, float64, of the frames of its noise.
    """
    offsets = np.arange((window // 2 + 1) * TABLE_STEPS) / TABLE_STEPS  # bins
    lobe = hann_lobe(offsets) ** 2
    spread = np.maximum(0, 1 - offsets / SPREAD_BINS)
    skirt = np.where(offsets > SPREAD_BINS, 1 / np.maximum(np.pi * offsets, 1) ** 2, 0)
    ones = np.ones((len(filters), 1), dtype=np.float32)
    full = 1.5 / band_responses(spread, ones)  # Σ W², of a whole lobe
    middles = filters.argmax(axis=0) * SAMPLE_RATE / window
    gain = 1.5 * SAMPLE_RATE / window * 2  # of a bin, for noise of 1 mean square per Hz
    seconds = centres / SAMPLE_RATE
    onset = np.clip(centres / window, 0, 0.5)  # where it is in the window, from its middle
    tables = (
        band_responses(lobe, filters),
        band_responses(spread, filters) * full,
        band_responses(skirt, filters),
        np.cos(np.pi * onset) ** 4,
        window_means(times, seconds, window / SAMPLE_RATE, 1),
        window_means(times, seconds, window / SAMPLE_RATE, 2),
        window_means(noise_times, seconds, window / SAMPLE_RATE, 2),
        filters.sum(axis=0) * gain,
        interpolation(band_centres(), middles, np.float64).weights(),
    )
    return FrameResponse(*(table.astype(np.float32) for table in tables))


def band_responses(lobe: NDArray[np.float64], filters: NDArray[np.float32]) -> NDArray[np.float64]:
    """What bands show of a lobe at each frequency of a table, (frequencies, bands).

    Args:
        lobe: (frequencies,), its power by the distance in rows of the table.
        filters: (bins, bands); a bin is every fourth row.
    """
    around = np.concatenate([lobe[:0:-1], lobe, np.zeros(TABLE_STEPS)])  # middle: len(lobe) − 1
    responses = np.zeros((filters.shape[1], len(lobe)))
    for row, band in zip(responses, np.ascontiguousarray(filters.T), strict=True):
        bins = np.flatnonzero(band)
        first, last = bins[0], bins[-1] + 1
        weights = band[first:last].astype(np.float64)
        for step in range(TABLE_STEPS):  # rows of one offset from bins: a convolution over bins
            begin = len(lobe) - 1 + step - TABLE_STEPS * (last - 1)
            count = len(row[step::TABLE_STEPS]) + len(weights) - 1
            values = around[begin : begin + TABLE_STEPS * count : TABLE_STEPS]
            row[step::TABLE_STEPS] = np.convolve(values, weights, "valid")
    responses[responses < MIN_RESPONSE] = 0
    return np.ascontiguousarray(responses.T)


def window_means(
    times: NDArray[np.float64], centres: NDArray[np.float64], length: float, power: int
) -> NDArray[np.float64]:
    """Means over windows of what is linear between frames, (frames, windows).

    Args:
        times: s, of the frames.
        centres: s, of the windows.
        length: s, of Hann's window.
        power: of the window, as a weight.
    """
    fine = np.arange(-length, times[-1] + length, FINE_STEP)
    phase = np.clip((fine[:, None] - centres) / length, -0.5, 0.5)
    window = np.cos(np.pi * phase) ** (2 * power)
    inside = (fine >= 0) & (fine <= times[-1])
    at_fine = interpolation(times, fine[inside], np.float64)
    sums = np.zeros((len(times), len(centres)))
    np.add.at(sums, at_fine.before, (1 - at_fine.fraction)[:, None] * window[inside])
    np.add.at(sums, at_fine.before + 1, at_fine.fraction[:, None] * window[inside])
    means = sums / window.sum(axis=0)
    return np.where(means < MIN_FRAME_WEIGHT, 0, means)
