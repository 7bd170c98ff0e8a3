"""The result of hearing: probabilities, refined pitch and likeness of each recording.

`Prediction` holds a batch of recordings as arrays; `Hearing` is the short answer for one of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.note import FAMILIES, QUALITIES, SOURCES, VELOCITIES
from mechanical_ears.pitch import hz_to_midi

NEAREST_COUNT: Final = 3  # known instruments that a hearing names
CANDIDATE_COUNT: Final = 5  # likeliest keys that a hearing names
# Share of the training notes that sound at their key. Whether an unknown instrument does is not in
# the sound.
MAX_CONFIDENCE: Final = 0.95
PITCHED_PROBABILITY: Final = 0.5  # from which a recording has a single pitch
QUALITY_PROBABILITY: Final = 0.5  # from which a quality applies


@dataclass(frozen=True)
class Hearing:
    """What the ears hear in one recording.

    >>> from mechanical_ears import Sound, listen
    >>> hearing = listen(Sound.sine(440))
    >>> hearing.sounding_pitch, hearing.candidates[0][0]
    (69, 69)

    Attributes:
        pitch: MIDI number of the key that a player would press; None without a single pitch.
        pitch_confidence: probability that this key is right, 0..1; never above 0.95, since an
            instrument may sound an octave off its keys, which its sound does not show.
        frequency: Hz, of the fundamental that sounds; None without a single pitch.
        sounding_pitch: MIDI number nearest to it; an octave off the key for a 16-foot organ stop.
        cents: from that number's frequency up to this one, −50..50.
        family: one of `FAMILIES`; None for silence.
        family_confidence: probability of the family, 0..1.
        source: one of `SOURCES`; None for silence.
        velocity: MIDI velocity 1..127 as it sounds; None for silence.
        qualities: those of `QUALITIES` that apply.
        onset: s, where the note begins; None for silence.
        duration: s, of the recording.
        nearest: names of the nearest known instruments with their likeness, −1..1.
        candidates: the five likeliest keys (MIDI numbers) with their probabilities among all keys,
            0..1, likeliest first. Also where there is no single pitch; empty for silence.
    """

    pitch: int | None
    pitch_confidence: float
    frequency: float | None
    sounding_pitch: int | None
    cents: float | None
    family: str | None
    family_confidence: float
    source: str | None
    velocity: int | None
    qualities: tuple[str, ...]
    onset: float | None
    duration: float
    nearest: tuple[tuple[str, float], ...]
    candidates: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, eq=False)
class Prediction:
    """Everything that the ears hear in a batch of recordings, a row for each.

    Attributes:
        instruments: names of the known instruments, the columns of ``likeness``.
        onset: float64 (n,), s, where the note begins; NaN for silence.
        duration: float64 (n,), s, of the recording.
        key: float64 (n, 128), probability of each key, after weighing octaves (`periodicity`).
        sounding: float64 (n, 128), probability that each MIDI number sounds, weighed as well.
        pitched: float32 (n,), probability that there is a single pitch.
        frequency: float64 (n,), Hz, refined (`f0`); NaN without a single pitch.
        cents: float64 (n,), −50..50, from the nearest MIDI number's frequency up to it; NaN
            without a single pitch.
        family: float32 (n, 11), probabilities in the order of `FAMILIES`.
        source: float32 (n, 3), probabilities in the order of `SOURCES`.
        velocity: float32 (n, 5), probabilities in the order of `VELOCITIES`.
        qualities: float32 (n, 10), probability that each of `QUALITIES` applies.
        likeness: float32 (n, instruments), to each known instrument, −1..1.
    """

    instruments: tuple[str, ...]
    onset: NDArray[np.float64]
    duration: NDArray[np.float64]
    key: NDArray[np.float64]
    sounding: NDArray[np.float64]
    pitched: NDArray[np.float32]
    frequency: NDArray[np.float64]
    cents: NDArray[np.float64]
    family: NDArray[np.float32]
    source: NDArray[np.float32]
    velocity: NDArray[np.float32]
    qualities: NDArray[np.float32]
    likeness: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.onset)

    def is_silent(self, row: int) -> bool:
        """Whether there is no onset in a recording."""
        return math.isnan(self.onset[row])

    def midi_velocity(self, row: int) -> float:
        """Expected MIDI velocity, 1..127, which need not be whole."""
        return float(self.velocity[row] @ np.array(VELOCITIES))

    def candidates(self, row: int) -> tuple[tuple[int, float], ...]:
        """The five likeliest keys with their probabilities, likeliest first."""
        keys = (-self.key[row]).argsort(kind="stable")[:CANDIDATE_COUNT]
        return tuple((int(key), float(self.key[row, key])) for key in keys)

    def nearest(self, row: int) -> tuple[tuple[str, float], ...]:
        """The three nearest known instruments with their likeness, nearest first."""
        likeness = self.likeness[row]
        near = np.argpartition(-likeness, min(NEAREST_COUNT, len(likeness) - 1))[:NEAREST_COUNT]
        near = near[(-likeness[near]).argsort()]
        return tuple((self.instruments[column], float(likeness[column])) for column in near)

    def hearing(self, row: int) -> Hearing:
        """The short answer for one recording."""
        length = float(self.duration[row])
        if self.is_silent(row):
            return Hearing(None, 0.0, None, None, None, None, 0.0, None, None, (), None, length, ())
        key, family = int(self.key[row].argmax()), int(self.family[row].argmax())
        frequency = float(self.frequency[row])
        has_pitch = not math.isnan(frequency)
        return Hearing(
            pitch=key if has_pitch else None,
            pitch_confidence=MAX_CONFIDENCE * float(self.pitched[row]) * float(self.key[row, key]),
            frequency=frequency if has_pitch else None,
            sounding_pitch=round(hz_to_midi(frequency)) if has_pitch else None,
            cents=float(self.cents[row]) if has_pitch else None,
            family=FAMILIES[family],
            family_confidence=float(self.family[row, family]),
            source=SOURCES[int(self.source[row].argmax())],
            velocity=round(self.midi_velocity(row)),
            qualities=tuple(
                name
                for name, probability in zip(QUALITIES, self.qualities[row], strict=True)
                if probability >= QUALITY_PROBABILITY
            ),
            onset=float(self.onset[row]),
            duration=length,
            nearest=self.nearest(row),
            candidates=self.candidates(row),
        )

    def hearings(self) -> list[Hearing]:
        """The short answers for all recordings."""
        return [self.hearing(row) for row in range(len(self))]
