"""Zones: which sample plays at which keys and velocities, and how.

Keys 0..127 and velocities 1..127 are tiled: at each pair exactly one zone plays (one for each
position of a round robin). The border between two roots or two layers lies half way; a key in the
exact middle belongs to the lower one.

Loudness follows the velocity v within a zone,

    gain = 1 − T + T · share          share = (v / 127)ᵖ, or interpolated in a curve of (v, share)

SF2's own modulator is p = 2, T = 1, and so is SFZ's default; another amount of the modulator is
another p, another ``amp_veltrack`` is another T, and ``amp_velcurve_N`` are points of a curve.
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

KEY_RANGE: Final = (0, PITCH_COUNT - 1)  # MIDI numbers
VELOCITY_RANGE: Final = (1, 127)  # MIDI velocities
MAX_LAYERS: Final = 16
ENVELOPE_RANGE_DB: Final = 80.0  # dB of fall in an envelope's ``decay`` and ``release`` times
MAX_ENVELOPE_SECONDS: Final = 1000.0  # s, of each stage of an envelope
FIT_VELOCITIES: Final = (32, 127)  # MIDI velocities that are played most
GOLDEN_RATIO_FRACTION: Final = 0.6180339887  # its multiples modulo 1 are spread evenly


class InstrumentError(EarsError):
    """An instrument that cannot be built, read, written or played."""


@dataclass(frozen=True)
class VelocityResponse:
    """Gain of a zone as a function of velocity.

    Attributes:
        power: exponent of the velocity.
        curve: pairs of velocity and share, ascending, in place of the power; empty for none.
        tracking: how much of the gain follows the velocity, −1..1.
    """

    power: float = 2.0
    curve: tuple[tuple[int, float], ...] = ()
    tracking: float = 1.0

    def gain(self, velocity: float) -> float:
        """Amplitude factor at a velocity; 1 leaves the sample as it is."""
        share = (velocity / 127) ** self.power
        if self.curve:
            points = {0: 0.0, 127: 1.0, **dict(self.curve)}
            velocities = sorted(points)
            share = float(np.interp(velocity, velocities, [points[each] for each in velocities]))
        floor = 1 - self.tracking if self.tracking >= 0 else 1.0
        return float(floor + self.tracking * share)

    def fit_power(self) -> float:
        """The power nearest to the response, by least squares in dB over velocities 32..127."""
        if not self.curve and self.tracking == 1:
            return self.power
        velocities = np.arange(FIT_VELOCITIES[0], FIT_VELOCITIES[1] + 1)
        gains = np.array([max(self.gain(v), 1e-4) for v in velocities.tolist()])
        logarithms = np.log(velocities / 127)
        return float((logarithms @ np.log(gains)) / (logarithms @ logarithms))


@dataclass(frozen=True)
class Envelope:
    """Level of a sample while the key is held, and after its release.

    Attributes:
        delay: s of silence before the attack.
        attack: s of linear rise to full level.
        hold: s at full level.
        decay: s for a fall of 80 dB; it ends at ``sustain``.
        sustain: dB relative to full level, at most 0.
        release: s for a fall of 80 dB after the key-up.

    Raises:
        InstrumentError: a time is outside 0..1000 s.
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
            if not 0 <= value <= MAX_ENVELOPE_SECONDS:
                raise InstrumentError(f'"{name}" of an envelope is {value:g} s, outside 0..1000')


@dataclass(frozen=True)
class Loop:
    """Frames that repeat while the key is held and during the release.

    Attributes:
        start: first frame.
        end: one past the last frame.

    Raises:
        InstrumentError: the loop is empty or starts before frame 0.
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise InstrumentError(f"a loop from frame {self.start} to {self.end}")


@dataclass(frozen=True)
class Zone:
    """A sample, the keys and velocities at which it plays, and how it is played.

    Attributes:
        sample: name of the sample in its instrument.
        root: MIDI number of the key at which the sample plays unchanged, if ``cents`` is 0.
        keys: lowest and highest MIDI number.
        velocities: lowest and highest MIDI velocity.
        cents: cents by which the sample is sharp of its root; playing lowers it by as much.
        gain: dB.
        pan: −1 left … 1 right.
        loop: frames to repeat, or None.
        envelope: level over time.
        velocity_response: gain by velocity.
        key_tracking: cents for a key: 100 for most instruments, 0 for a drum.
        round_robin: position in a round robin, from 1, and the number of positions.
        random_range: part of 0..1 in which a random number must lie for the zone to play.

    Raises:
        InstrumentError: a value is out of range.
    """

    sample: str
    root: int
    keys: tuple[int, int] = KEY_RANGE
    velocities: tuple[int, int] = VELOCITY_RANGE
    cents: float = 0.0
    gain: float = 0.0
    pan: float = 0.0
    loop: Loop | None = None
    envelope: Envelope = field(default_factory=Envelope)
    velocity_response: VelocityResponse = field(default_factory=VelocityResponse)
    key_tracking: float = 100.0
    round_robin: tuple[int, int] = (1, 1)
    random_range: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        for name, (low, high), (minimum, maximum) in (
            ("keys", self.keys, KEY_RANGE),
            ("velocities", self.velocities, (0, 127)),
        ):
            if not minimum <= low <= high <= maximum:
                raise InstrumentError(
                    f'"{name}" are {low}..{high}, outside {minimum}..{maximum}', record=self.sample
                )
        if not 0 <= self.root < PITCH_COUNT:
            raise InstrumentError(f'"root" is {self.root}, outside 0..127', record=self.sample)
        for name in ("cents", "gain", "pan", "key_tracking"):
            if not math.isfinite(getattr(self, name)):
                raise InstrumentError(f'"{name}" is not a finite number', record=self.sample)

    def plays_at(self, key: int, velocity: int, round_robin: int = 0) -> bool:
        """Whether the zone plays at a key and velocity, in a repetition counted from 0."""
        position, length = self.round_robin
        random = (round_robin * GOLDEN_RATIO_FRACTION) % 1.0
        return (
            self.keys[0] <= key <= self.keys[1]
            and self.velocities[0] <= velocity <= self.velocities[1]
            and round_robin % length == position - 1
            and self.random_range[0] <= random < self.random_range[1]
        )

    def transposition(self, pitch: float) -> float:
        """Semitones by which the sample is raised to play at a pitch (MIDI number)."""
        return (pitch - self.root) * self.key_tracking / 100 - self.cents / 100


def tile_range(centres: Sequence[int], limits: tuple[int, int]) -> list[tuple[int, int]]:
    """Ranges around centres that tile the limits without gap or overlap.

    Args:
        centres: strictly ascending, within the limits.
        limits: lowest and highest value.

    Raises:
        InstrumentError: the centres do not ascend, or one is outside the limits.
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


def layer_ranges(layers: int) -> list[tuple[int, int]]:
    """Lowest and highest velocity of each of a number of even layers over 1..127."""
    if not 1 <= layers <= MAX_LAYERS:
        raise InstrumentError(f"{layers} velocity layers, outside 1..{MAX_LAYERS}")
    edges = [round(127 * number / layers) for number in range(layers + 1)]
    return [(low + 1, high) for low, high in itertools.pairwise(edges)]


def count_zones(zones: Iterable[Zone]) -> NDArray[np.int32]:
    """Number of zones that play at each key and velocity, int32 (128, 128).

    A round robin of n positions counts as one zone where all of them are present.
    """
    grid = np.zeros((128, 128), dtype=np.float64)
    for zone in zones:
        keys = slice(zone.keys[0], zone.keys[1] + 1)
        velocities = slice(zone.velocities[0], zone.velocities[1] + 1)
        low, high = zone.random_range
        grid[keys, velocities] += (high - low) / zone.round_robin[1]
    return np.asarray(np.rint(grid), dtype=np.int32)


def check_tiling(zones: Iterable[Zone]) -> None:
    """Refuse zones with a gap or an overlap anywhere in keys 0..127, velocities 1..127.

    Raises:
        InstrumentError: there is one; the message names the first key and velocity.
    """
    counts = count_zones(zones)[:, 1:]
    for wrong, problem in ((counts < 1, "no zone plays"), (counts > 1, "more than one zone plays")):
        if wrong.any():
            key, velocity = (int(index) for index in np.argwhere(wrong)[0])
            raise InstrumentError(f"{problem} at key {key}, velocity {velocity + 1}")
