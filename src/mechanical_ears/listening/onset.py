"""Onset detection: the first sample of the note in a recording.

The power of blocks of 2 ms is compared with a threshold between the background and the note,

    threshold = max(peak / 10⁴, min(10 · floor, √(floor · peak)))

where the peak is the power of the loudest 32 ms and the floor that of the quietest 8 ms before
them: 40 dB below the note in silence, 10 dB above the noise where the note is far louder, half way
between the two in decibels where it is not. The onset is the first sample above the threshold from
where enough blocks are above it; a click of a few samples fills two blocks at most. (The energy
detector of Bello et al., "A tutorial on onset detection in music signals", 2005, with a threshold
for recordings of one note, in which the first onset counts.)
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

BLOCK_SECONDS: Final = 0.002
PEAK_BLOCKS: Final = 16  # blocks, 32 ms, over which the peak is averaged
FLOOR_BLOCKS: Final = 4  # blocks, 8 ms, over which the floor is: so that no slow attack is a floor
SUSTAINED_BLOCKS: Final = 4  # above the threshold, of the next 8, make more than a click
SUSTAINED_OF_BLOCKS: Final = 8
PEAK_RATIO: Final = 1e-4  # power of the threshold relative to the peak, −40 dB
FLOOR_RATIO: Final = 10.0  # power of the threshold relative to the floor, +10 dB
MIN_RISE: Final = 4.0  # power of the peak relative to the floor, +6 dB; else there is no rise
SILENCE_POWER: Final = 1e-10  # mean square below which a recording is silent, −100 dBFS


def find_onset(samples: NDArray[np.float32], sample_rate: int) -> int | None:
    """Find the first sample of the note.

    Noise without a note has an onset too: the network decides whether there is a pitch.

    Args:
        samples: float32 (samples,) in [-1, 1], finite, of any length; a constant offset is ignored.
        sample_rate: Hz, above 0.

    Returns:
        Index of the first sample of the note, 0 where the recording begins with it or nothing rises
        above the background; None where the recording is silent throughout.
    """
    if len(samples) == 0:
        return None
    centred = samples - samples.mean()
    block = min(max(1, round(BLOCK_SECONDS * sample_rate)), len(samples))
    blocks = centred[: len(centred) // block * block].reshape(-1, block)
    powers = np.einsum("ij,ij->i", blocks, blocks) / block
    floor, peak = _floor_and_peak(powers)
    if peak < SILENCE_POWER:
        return None
    if peak < MIN_RISE * floor:
        return 0
    threshold = max(PEAK_RATIO * peak, min(FLOOR_RATIO * floor, math.sqrt(floor * peak)))
    first = _first_sustained(powers > threshold)
    search_start = max(0, first - 1) * block  # the note may begin late in the block before
    is_loud = np.abs(centred[search_start : (first + 1) * block]) > math.sqrt(threshold)
    return search_start + int(np.argmax(is_loud))


def _floor_and_peak(powers: NDArray[np.float32]) -> tuple[float, float]:
    """Power of the quietest 8 ms up to the loudest 32 ms, and of these."""
    sums = np.concatenate([[0.0], np.cumsum(powers, dtype=np.float64)])
    long, short = min(PEAK_BLOCKS, len(powers)), min(FLOOR_BLOCKS, len(powers))
    long_sums = sums[long:] - sums[:-long]
    loudest = int(long_sums.argmax())
    before = sums[: loudest + short + 1]
    floor = float((before[short:] - before[:-short]).min()) / short
    return max(floor, 0.0), float(long_sums[loudest]) / long


def _first_sustained(above: NDArray[np.bool_]) -> int:
    """The first block above that begins four of eight; else the first that is above at all."""
    counts = np.concatenate([[0], np.cumsum(above), np.full(SUSTAINED_OF_BLOCKS, above.sum())])
    following = counts[SUSTAINED_OF_BLOCKS:-1] - counts[: len(above)]
    sustained = above & (following >= SUSTAINED_BLOCKS)
    return int(np.argmax(sustained if sustained.any() else above))
