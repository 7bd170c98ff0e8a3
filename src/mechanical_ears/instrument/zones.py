"""Zones: which sample sounds at which keys and velocities, and how.

Keys 0..127 and velocities 1..127 are tiled: at each pair exactly one zone (of each turn of a round
robin) sounds. A border between two roots or two layers stands half way; where no half is whole, the
middle goes to the lower one.

Loudness follows the velocity v within a zone,

    gain = 1 − T + T · share          share = (v / 127)ᵖ, or read from a curve of points (v, share)

SF2's own modulator is p = 2, T = 1, and so is SFZ's; another amount of the former is another p,
another ``amp_veltrack`` of the latter another T, and its ``amp_velcurve_N`` are a curve.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.errors import EarsError
from mechanical_ears.pitch import PITCH_COUNT

KEYS: Final = (0, PITCH_COUNT - 1)
VELOCITIES: Final = (1, 127)
MOST_LAYERS: Final = 16


class InstrumentError(EarsError):
    """An instrument that cannot be made, read, written or played."""


@dataclass(frozen=True)
class Response:
    """How loud a zone is at each velocity.

    Attributes:
        power: of the velocity.
        curve: pairs of velocity and share, ascending, in place of the power; empty for none.
        track: how much of the gain follows the velocity, −1..1.
    """

    power: float = 2.0
    curve: tuple[tuple[int, float], ...] = ()
    track: float = 1.0

    def gain(self, velocity: float) -> float:
        """Gain at a velocity; 1 is the sample as it stands."""
        share = (velocity / 127) ** self.power
        if self.curve:
            points = {0: 0.0, 127: 1.0, **dict(self.curve)}
            places = sorted(points)
            share = float(np.interp(velocity, places, [points[place] for place in places]))
        low = 1 - self.track if self.track >= 0 else 1.0
        return float(low + self.track * share)

    def nearest_power(self) -> float:
        """The power that is nearest to it over the velocities that are played most, 32..127."""
        if not self.curve and self.track == 1:
            return self.power
        velocities = np.arange(32, 128)
        gains = np.array([max(self.gain(v), 1e-4) for v in velocities.tolist()])
        steps = np.log(velocities / 127)
        return float((steps @ np.log(gains)) / (steps @ steps))


@dataclass(frozen=True)
class Envelope:
    """How a sample's level moves while the key is held, and after.

    Attributes:
        delay: s, before anything sounds.
        attack: s, to full level, linear.
        hold: s, at full level.
        decay: s, in which the level falls by 80 dB, until it is at ``sustain``.
        sustain: dB of full level, at most 0.
        release: s, in which the level falls by 80 dB after the key-up.
    """

    delay: float = 0.0
    attack: float = 0.0
    hold: float = 0.0
    decay: float = 0.0
    sustain: float = 0.0
    release: float = 0.1

    def __post_init__(self) -> None:
        for name in ("delay", "attack", "hold", "decay", "release"):
            value = getattr(self, name)
            if not 0 <= value <= 1000:
                raise InstrumentError(f'"{name}" of an envelope is {value:g} s, outside 0..1000')


@dataclass(frozen=True)
class Loop:
    """Frames that are gone over while the key is held, and during the release.

    Attributes:
        start: the first frame.
        end: one behind the last.
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise InstrumentError(f"a loop from frame {self.start} to {self.end}")


@dataclass(frozen=True)
class Zone:
    """A sample, and where and how it sounds.

    Attributes:
        sample: its name among the instrument's samples.
        root: MIDI number of the key at which it sounds as recorded, if ``cents`` are 0.
        keys: lowest and highest MIDI number.
        velocities: lowest and highest MIDI velocity.
        cents: how far the sample lies above its root; it is played lower by as much.
        gain: dB.
        pan: −1 left … 1 right.
        loop: what is gone over, or None.
        envelope: of its level.
        response: of its level to the velocity.
        tracking: cents for a key; 100 for most instruments, 0 for a drum.
        turn: its place in a round robin, from 1, and how many there are.
        chance: the part of 0..1 in which a random number must lie for it to sound.
    """

    sample: str
    root: int
    keys: tuple[int, int] = KEYS
    velocities: tuple[int, int] = VELOCITIES
    cents: float = 0.0
    gain: float = 0.0
    pan: float = 0.0
    loop: Loop | None = None
    envelope: Envelope = field(default_factory=Envelope)
    response: Response = field(default_factory=Response)
    tracking: float = 100.0
    turn: tuple[int, int] = (1, 1)
    chance: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        for what, (low, high), (least, most) in (
            ("keys", self.keys, KEYS),
            ("velocities", self.velocities, (0, 127)),
        ):
            if not least <= low <= high <= most:
                raise InstrumentError(
                    f'"{what}" are {low}..{high}, outside {least}..{most}', record=self.sample
                )
        if not 0 <= self.root < PITCH_COUNT:
            raise InstrumentError(f'"root" is {self.root}, outside 0..127', record=self.sample)
        for name in ("cents", "gain", "pan", "tracking"):
            if not math.isfinite(getattr(self, name)):
                raise InstrumentError(f'"{name}" is no number', record=self.sample)

    def sounds_at(self, key: int, velocity: int, round_robin: int = 0) -> bool:
        """Whether it sounds at a key and velocity, in a turn of the round robin."""
        random = (round_robin * 0.6180339887) % 1.0
        return (
            self.keys[0] <= key <= self.keys[1]
            and self.velocities[0] <= velocity <= self.velocities[1]
            and round_robin % self.turn[1] == self.turn[0] - 1
            and self.chance[0] <= random < self.chance[1]
        )

    def semitones(self, pitch: float) -> float:
        """How far its sample is to be raised to sound at a pitch."""
        return (pitch - self.root) * self.tracking / 100 - self.cents / 100


def spread(centres: Sequence[int], limits: tuple[int, int]) -> list[tuple[int, int]]:
    """Ranges that tile the limits, one around each centre.

    Args:
        centres: ascending, none twice, within the limits.
        limits: lowest and highest.
    """
    if not centres:
        return []
    borders = [(low + high) // 2 for low, high in itertools.pairwise(centres)]
    if any(low >= high for low, high in itertools.pairwise(centres)):
        raise InstrumentError("centres of ranges do not ascend")
    if centres[0] < limits[0] or centres[-1] > limits[1]:
        raise InstrumentError(f"a centre of a range is outside {limits[0]}..{limits[1]}")
    starts = [limits[0], *(border + 1 for border in borders)]
    return list(zip(starts, [*borders, limits[1]], strict=True))


def bands(layers: int) -> list[tuple[int, int]]:
    """Even bands of velocity, 1..127, one for each layer."""
    if not 1 <= layers <= MOST_LAYERS:
        raise InstrumentError(f"{layers} velocity layers, outside 1..{MOST_LAYERS}")
    edges = [round(127 * number / layers) for number in range(layers + 1)]
    return [(low + 1, high) for low, high in itertools.pairwise(edges)]


def coverage(zones: Iterable[Zone]) -> NDArray[np.int32]:
    """How many zones sound at each key and velocity, int32 (128, 128).

    A round robin of n turns counts as one when all are there.
    """
    grid = np.zeros((128, 128), dtype=np.float64)
    for zone in zones:
        keys = slice(zone.keys[0], zone.keys[1] + 1)
        velocities = slice(zone.velocities[0], zone.velocities[1] + 1)
        grid[keys, velocities] += (zone.chance[1] - zone.chance[0]) / zone.turn[1]
    return np.asarray(np.rint(grid), dtype=np.int32)


def check_tiling(zones: Iterable[Zone]) -> None:
    """Refuse zones that leave a gap or overlap anywhere in keys 0..127, velocities 1..127."""
    counts = coverage(zones)[:, 1:]
    for wrong, word in ((counts < 1, "no zone sounds"), (counts > 1, "more than one zone sounds")):
        if wrong.any():
            key, velocity = (int(place) for place in np.argwhere(wrong)[0])
            raise InstrumentError(f"{word} at key {key}, velocity {velocity + 1}")
