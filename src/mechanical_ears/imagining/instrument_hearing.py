"""What the ears hear in an instrument: its family, what it is like, and how new it is to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.listening.ears import Hearing, shipped_ears

NEAREST: Final = 3  # known instruments that are named


@dataclass(frozen=True)
class InstrumentHearing:
    """What the ears hear in an instrument, from a few of its notes.

    Attributes:
        pitches: MIDI numbers of the keys that were heard.
        hearings: what was heard in each.
        family: one of `FAMILIES`, that with the highest mean confidence.
        family_confidence: mean over the notes, 0..1.
        nearest: names of the nearest known instruments with their likeness, −1..1, the mean over
            the notes.
        novelty: 1 − the likeness of the nearest.
    """

    pitches: tuple[int, ...]
    hearings: tuple[Hearing, ...]
    family: str | None
    family_confidence: float
    nearest: tuple[tuple[str, float], ...]
    novelty: float

    @property
    def right(self) -> int:
        """How many keys were heard as they were played."""
        return sum(h.pitch == key for h, key in zip(self.hearings, self.pitches, strict=True))


def summarize_hearings(
    pitches: Sequence[int], hearings: Sequence[Hearing], likenesses: NDArray[np.float32]
) -> InstrumentHearing:
    """What the ears' answers on single notes tell of their instrument.

    Args:
        pitches: MIDI numbers of the notes.
        hearings: of each.
        likenesses: float32 (notes, instruments), to each known instrument.
    """
    families: dict[str, float] = {}
    for hearing in hearings:
        if hearing.family is not None:
            share = hearing.family_confidence / len(hearings)
            families[hearing.family] = families.get(hearing.family, 0.0) + share
    family = max(families, key=lambda name: families[name], default=None)
    names, likeness = shipped_ears().instruments, likenesses.mean(axis=0)
    near = [(names[place], float(likeness[place])) for place in likeness.argsort()[::-1][:NEAREST]]
    return InstrumentHearing(
        tuple(pitches),
        tuple(hearings),
        family,
        families.get(family, 0.0) if family else 0.0,
        tuple(near),
        1.0 - near[0][1] if near else 1.0,
    )
