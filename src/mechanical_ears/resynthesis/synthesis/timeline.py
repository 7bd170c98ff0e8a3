"""Where in its map a note is at each moment: as recorded, held longer, or let go earlier.

Attack and release are played as they are. A longer note goes back and forth over the last part of
the sustain, from K − P to the key-up K and back, a whole number of times, so that the release
follows from where it always did. What falls while the key is held (piano, guitar) falls on: each
row's slope s, in dB a second, fitted over that part, is taken out of it and laid over the whole,

    row(t) = row(τ) + s · (t − τ)        τ: the place in the map at the time t

A note let go earlier takes the release from the level that it has then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.resynthesis.control_map import SILENCE_DB

LOOPED: Final = 0.6  # of the sustain, at most
ATTACK: Final = 0.3  # s, that is never looped
LEAST_HELD: Final = 0.03  # s
SLOWEST: Final = 3.0  # dB/s of fall, below which a row is held
FASTEST: Final = 400.0  # dB/s


@dataclass(frozen=True)
class Timeline:
    """How a note of one length is made from the map of another.

    Attributes:
        map_key_up: s, the key-up in the map.
        key_up: s, the key-up of what is rendered.
        seconds: s, the length of what is rendered.
        looped: s, of the part before the map's key-up that is gone over.
    """

    map_key_up: float
    key_up: float
    seconds: float
    looped: float

    def places(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Places in the map, s, for times in what is rendered, s."""
        extra = self.key_up - self.map_key_up
        if extra <= 0:
            return np.where(times <= self.key_up, times, times - extra)
        since = np.clip(times - self.map_key_up, 0, extra)
        period = 2 * self.looped
        back = self.looped - np.abs((since % period) - self.looped)
        held = np.minimum(times, self.map_key_up) - back
        return np.where(times <= self.key_up, held, times - extra)


def timeline(map_seconds: float, map_key_up: float, seconds: float | None) -> Timeline:
    """A note of ``seconds``, release included; None for the map's own length."""
    release = map_seconds - map_key_up
    key_up = map_key_up if seconds is None else max(seconds - release, LEAST_HELD)
    whole = map_seconds if seconds is None else seconds
    extra = key_up - map_key_up
    most = LOOPED * max(map_key_up - ATTACK, 0.5 * map_key_up)
    looped = extra / (2 * math.ceil(extra / (2 * most))) if extra > 0 else 0.0
    return Timeline(map_key_up, key_up, whole, looped)


@dataclass(frozen=True, eq=False)
class Between:
    """Linear interpolation between frames.

    Attributes:
        before: int64 (moments,), the frame before each moment.
        share: float32 (moments, 1), of the frame after it.
    """

    before: NDArray[np.int64]
    share: NDArray[np.float32]

    def __call__(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values (moments, rows) of frames (frames, rows)."""
        first = frames[self.before]
        return np.asarray(first + (frames[self.before + 1] - first) * self.share)


def between(times: NDArray[np.float64], places: NDArray[np.float64]) -> Between:
    """Interpolation between frames at ``times`` for the moments ``places``, both s."""
    at = np.interp(places, times, np.arange(len(times)))
    before = np.minimum(at.astype(np.int64), len(times) - 2)
    return Between(before, (at - before).astype(np.float32)[:, None])


def slopes(
    times: NDArray[np.float64], rows: NDArray[np.float32], line: Timeline
) -> NDArray[np.float32]:
    """How fast rows fall in the looped part, dB/s, float32 (rows,), at most 0."""
    part = (times >= line.map_key_up - line.looped) & (times <= line.map_key_up)
    if line.looped <= 0 or part.sum() < 3:
        return np.zeros(len(rows), dtype=np.float32)
    moments = times[part] - times[part].mean()
    heard = rows[:, part]
    fall = ((heard - heard.mean(axis=1, keepdims=True)) @ moments) / (moments @ moments)
    sounds = heard.min(axis=1) > SILENCE_DB + 1
    return np.where(sounds & (fall < -SLOWEST), np.maximum(fall, -FASTEST), 0).astype(np.float32)
