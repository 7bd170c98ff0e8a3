"""Where in its map a note is at each time: as recorded, held longer, or released earlier.

Attack and release are rendered as they are. A longer note goes back and forth over the last part of
the sustain, from K − P to the key-up K and back, a whole number of times, so that the release
continues from where it always did. What decays while the key is held (piano, guitar) goes on
decaying: each row's slope s, in dB per second, fitted over that part, is removed from it and
applied to the whole,

    row(t) = row(τ) + s · (t − τ)        τ: the time in the map at the time t

A note released earlier begins its release at the level that it has then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.resynthesis.control_map import SILENCE_DB

MAX_LOOP_SHARE: Final = 0.6  # of the sustain
ATTACK_SECONDS: Final = 0.3  # s, that are never looped
MIN_HOLD_SECONDS: Final = 0.03  # s
MIN_DECAY: Final = 3.0  # dB/s, below which a row counts as steady
MAX_DECAY: Final = 400.0  # dB/s


@dataclass(frozen=True)
class Timeline:
    """How a note of one length is rendered from the map of another.

    Attributes:
        map_key_up: s, the key-up in the map.
        key_up: s, the key-up of the sound.
        seconds: s, the length of the sound.
        loop_seconds: s, of the part before the map's key-up that is gone over; 0 for none.
    """

    map_key_up: float
    key_up: float
    seconds: float
    loop_seconds: float

    def map_times(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Times in the map, s, of times in the sound, s."""
        extra = self.key_up - self.map_key_up
        if extra <= 0:
            return np.where(times <= self.key_up, times, times - extra)
        since = np.clip(times - self.map_key_up, 0, extra)
        period = 2 * self.loop_seconds
        back = self.loop_seconds - np.abs((since % period) - self.loop_seconds)
        held = np.minimum(times, self.map_key_up) - back
        return np.where(times <= self.key_up, held, times - extra)


def make_timeline(map_seconds: float, map_key_up: float, seconds: float | None) -> Timeline:
    """The timeline of a note of another length.

    Args:
        map_seconds: s, length of the map.
        map_key_up: s, its key-up.
        seconds: s, length of the sound, release included; None for the map's own.
    """
    release = map_seconds - map_key_up
    key_up = map_key_up if seconds is None else max(seconds - release, MIN_HOLD_SECONDS)
    length = map_seconds if seconds is None else seconds
    extra = key_up - map_key_up
    max_loop = MAX_LOOP_SHARE * max(map_key_up - ATTACK_SECONDS, 0.5 * map_key_up)
    loop = extra / (2 * math.ceil(extra / (2 * max_loop))) if extra > 0 else 0.0
    return Timeline(map_key_up, key_up, length, loop)


def decay_slopes(
    times: NDArray[np.float64], rows: NDArray[np.float32], timeline: Timeline
) -> NDArray[np.float32]:
    """How fast rows decay in the looped part.

    Args:
        times: s, float64 (frames,), in the map.
        rows: dB, float32 (rows, frames).
        timeline: of the sound.

    Returns:
        dB/s, float32 (rows,), at most 0.
    """
    key_up, loop = timeline.map_key_up, timeline.loop_seconds
    looped = (times >= key_up - loop) & (times <= key_up)
    if loop <= 0 or looped.sum() < 3:
        return np.zeros(len(rows), dtype=np.float32)
    centred = times[looped] - times[looped].mean()
    levels = rows[:, looped]
    slope = ((levels - levels.mean(axis=1, keepdims=True)) @ centred) / (centred @ centred)
    decays = (levels.min(axis=1) > SILENCE_DB + 1) & (slope < -MIN_DECAY)
    return np.where(decays, np.maximum(slope, -MAX_DECAY), 0).astype(np.float32)
