"""Steps: jumps of a waveform where a sound starts, ends, repeats or is released.

A step is a difference between neighbouring samples, within 0.5 ms of such an edge, that is larger
than twice any in the 5 ms beyond on either side: the spectrum of the sound does not explain it.
Silence surrounds the sound, and nothing explains that it ends, so that the first sample of a start
and the last one of an end are steps of their own size. A sine that starts at its peak has a step at
its start; one that is faded in over 2 ms has none; one that is faded in over 0.1 ms has.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

EDGE_SECONDS: Final = 0.0005  # s, on each side of an edge, in which a step is searched
CONTEXT_SECONDS: Final = 0.005  # s, beyond them, whose differences explain those at the edge
CONTEXT_RATIO: Final = 2.0  # times the largest difference of the context
PEAK_SECONDS: Final = 0.1  # s, on each side of an edge, whose peak a step is compared with
MAX_STEP: Final = 0.01  # of that peak, −40 dB


def has_step(samples: NDArray[np.float32], edge: int, sample_rate: int) -> bool:
    """Whether there is a step of more than 1 % of the peak of the 100 ms on each side of an edge.

    Args:
        samples: float32 (samples,).
        edge: see `step_size`.
        sample_rate: Hz.

    >>> from mechanical_ears.sound import Sound
    >>> sine = Sound.sine(440, seconds=0.1, sample_rate=48_000).samples
    >>> has_step(sine, 0, 48_000), has_step(sine[27:], 0, 48_000)
    (False, True)
    """
    reach = round(PEAK_SECONDS * sample_rate)
    peak = float(np.abs(samples[max(0, edge - reach) : edge + reach]).max(initial=0.0))
    return step_size(samples, edge, sample_rate) > MAX_STEP * peak


def step_size(samples: NDArray[np.float32], edge: int, sample_rate: int) -> float:
    """Size of the step at a start, an end, a loop's seam or a key-up; 0 for none.

    Args:
        samples: float32 (samples,).
        edge: the first sample after the edge; 0 for the start, ``len(samples)`` for the end.
        sample_rate: Hz.
    """
    half, context = (round(s * sample_rate) for s in (EDGE_SECONDS, CONTEXT_SECONDS))
    around = np.zeros(2 * (half + context) + 1)
    first = edge - half - context - 1  # differences are those to the sample before
    part = samples[max(0, first) : max(0, first + len(around))]
    around[max(0, -first) :][: len(part)] = part
    differences = np.abs(np.diff(around))
    near = float(differences[context : context + 2 * half].max())
    explained = max(differences[:context].max(), differences[context + 2 * half :].max())
    if near > CONTEXT_RATIO * explained:
        return near
    outer = {0: samples[:1], len(samples): samples[-1:]}.get(edge, samples[:0])
    return float(np.abs(outer).max(initial=0.0))
