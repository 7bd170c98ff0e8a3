"""What the ears hear in an instrument: its family, similar known instruments, and its novelty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from mechanical_ears.listening.ears import shipped_ears
from mechanical_ears.listening.prediction import Hearing, Prediction
from mechanical_ears.sound import Sound

NEAREST_COUNT: Final = 3  # known instruments that are named


@dataclass(frozen=True)
class InstrumentHearing:
    """What the ears hear in an instrument, from a few of its notes.

    Attributes:
        pitches: MIDI numbers of the keys that were played.
        hearings: what the ears heard at each key.
        family: one of `FAMILIES`, the one with the highest mean confidence; None if none is heard.
        family_confidence: mean over the notes, 0..1.
        nearest: names of the most similar known instruments with their likeness, −1..1, the mean
            over the notes.
        novelty: 1 − the likeness of the most similar one.
    """

    pitches: tuple[int, ...]
    hearings: tuple[Hearing, ...]
    family: str | None
    family_confidence: float
    nearest: tuple[tuple[str, float], ...]
    novelty: float

    @property
    def correct_keys(self) -> int:
        """Number of keys that the ears heard as they were played."""
        return sum(h.pitch == key for h, key in zip(self.hearings, self.pitches, strict=True))


def predict_notes(sounds: Sequence[Sound]) -> Prediction:
    """The ears' prediction for rendered notes.

    Likeness counts from the first sample, with which a rendered note begins however softly; it
    decides which candidate a seed gives (`rejection_sampling`) and where the map of `ears explore`
    places it, so that both stay as they are. All else counts from the onset, as in recordings.
    """
    from_start = shipped_ears().predict(sounds, find_onsets=False)
    return replace(shipped_ears().predict(sounds), likeness=from_start.likeness)


def summarize_hearings(pitches: Sequence[int], prediction: Prediction) -> InstrumentHearing:
    """Summarise what the ears hear in single notes of an instrument.

    Args:
        pitches: MIDI numbers of the notes.
        prediction: of the notes, in the same order.
    """
    hearings = prediction.hearings()
    families: dict[str, float] = {}
    for hearing in hearings:
        if hearing.family is not None:
            share = hearing.family_confidence / len(hearings)
            families[hearing.family] = families.get(hearing.family, 0.0) + share
    family = max(families, key=lambda name: families[name], default=None)
    names, likeness = prediction.instruments, prediction.likeness.mean(axis=0)
    best = likeness.argsort()[::-1][:NEAREST_COUNT]
    nearest = tuple((names[number], float(likeness[number])) for number in best)
    confidence = families[family] if family else 0.0
    novelty = 1.0 - nearest[0][1] if nearest else 1.0
    return InstrumentHearing(tuple(pitches), tuple(hearings), family, confidence, nearest, novelty)
