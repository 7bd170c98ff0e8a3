"""Where a note begins in a recording.

The power of blocks of 2 ms is compared with a threshold between what is quiet and what is loud,

    threshold = max(peak / 10⁴, min(10 · floor, √(floor · peak)))

with the power of the loudest 32 ms as the peak, and of the quietest 8 ms before them as the floor:
40 dB below the note in silence, 10 dB above the noise where the note stands well clear of it, half
way between the two in decibels where it does not. The note begins at the first sample above the
threshold that many follow; a click of a few samples fills two blocks at most. (The energy detector
of Bello et al., "A tutorial on onset detection in music signals", 2005, with a threshold for
recordings of one note, in which the first onset is the one that counts.)
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

BLOCK: Final = 0.002  # s
PEAK_BLOCKS: Final = 16  # blocks, 32 ms, over which the peak is averaged
FLOOR_BLOCKS: Final = 4  # blocks, 8 ms, over which the floor is: a slow attack is no floor
LASTING: Final = 4  # blocks above the threshold, of the next 8, that are more than a click
LASTING_OF: Final = 8
BELOW_PEAK: Final = 1e-4  # power of the threshold beside the peak's, −40 dB
ABOVE_FLOOR: Final = 10.0  # power of the threshold beside the floor's, +10 dB
RISE: Final = 4.0  # power of the peak beside the floor's, +6 dB, below which nothing begins later
SILENCE: Final = 1e-10  # mean square below which there is nothing to hear, −100 dBFS


def find_onset(samples: NDArray[np.float32], sample_rate: int) -> int | None:
    """Where the note begins.

    Noise without a note has a beginning too: the network says whether there is a pitch.

    Args:
        samples: float32 (samples,) in [-1, 1], finite, of any length; a constant offset is ignored.
        sample_rate: Hz, above 0.

    Returns:
        The place of the first sample of the note, 0 where the recording begins with it; None where
        the recording is silent throughout.
    """
    if len(samples) == 0:
        return None
    moving = samples - samples.mean()
    block = min(max(1, round(BLOCK * sample_rate)), len(samples))
    blocks = moving[: len(moving) // block * block].reshape(-1, block)
    powers = np.einsum("ij,ij->i", blocks, blocks) / block
    floor, peak = _floor_and_peak(powers)
    if peak < SILENCE:
        return None
    if peak < RISE * floor:
        return 0
    threshold = max(BELOW_PEAK * peak, min(ABOVE_FLOOR * floor, math.sqrt(floor * peak)))
    first = _first_lasting(powers > threshold)
    searched = max(0, first - 1) * block  # the note may begin late in the block before
    loud = np.abs(moving[searched : (first + 1) * block]) > math.sqrt(threshold)
    return searched + int(np.argmax(loud))


def _floor_and_peak(powers: NDArray[np.float32]) -> tuple[float, float]:
    """Power of the loudest 32 ms, after that of the quietest 8 ms up to there."""
    sums = np.concatenate([[0.0], np.cumsum(powers, dtype=np.float64)])
    long, short = min(PEAK_BLOCKS, len(powers)), min(FLOOR_BLOCKS, len(powers))
    stretches = sums[long:] - sums[:-long]
    loudest = int(stretches.argmax())
    before = sums[: loudest + short + 1]
    floor = float((before[short:] - before[:-short]).min()) / short
    return max(floor, 0.0), float(stretches[loudest]) / long


def _first_lasting(above: NDArray[np.bool_]) -> int:
    """The first block above that enough others follow; else the first that is above at all."""
    counts = np.concatenate([[0], np.cumsum(above), np.full(LASTING_OF, above.sum())])
    lasting = above & (counts[LASTING_OF:-1] - counts[: len(above)] >= LASTING)
    return int(np.argmax(lasting if lasting.any() else above))
