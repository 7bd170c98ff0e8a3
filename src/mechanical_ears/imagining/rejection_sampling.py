"""Rejection sampling: of a seed's candidates, the first that convinces the ears.

A candidate is rejected if the ears hear other keys than were played, another family than the
requested one, or an instrument that they know. (Choosing among a generator's samples by a judge:
Azadi et al., "Discriminator rejection sampling", 2019.) If none convinces, the candidate with the
smallest shortfall is returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from mechanical_ears.imagining.instrument import ImaginedInstrument
from mechanical_ears.imagining.instrument_hearing import InstrumentHearing

MAX_CANDIDATES: Final = 8  # of a seed
MIN_CORRECT_KEYS: Final = 4  # of the five that the ears judge
MIN_NOVELTY: Final = 0.3  # half of the recorded presets that the ears never saw have more


def choose_candidate(
    generate: Callable[[int], ImaginedInstrument],
    families: Iterable[str],
    count: int = MAX_CANDIDATES,
) -> ImaginedInstrument:
    """The first of several candidates that convinces the ears, or the best of them.

    Args:
        generate: returns the candidate of a number from 0.
        families: any of which the ears may hear.
        count: of candidates, at least 1.
    """
    requested = {*families}
    best, smallest = None, float("inf")
    for number in range(count):
        candidate = generate(number)
        missing = shortfall(candidate.hearing, requested)
        if missing < smallest:
            best, smallest = candidate, missing
        if not missing:
            break
    if best is None:
        raise ValueError(f"{count} candidates")
    return best


def shortfall(hearing: InstrumentHearing, families: set[str]) -> float:
    """How far an instrument is from convincing: 0 convinces, each of three conditions counts 1.

    Args:
        hearing: what the ears hear in it.
        families: any of which the ears may hear.
    """
    keys = max(0, MIN_CORRECT_KEYS - hearing.correct_keys) / MIN_CORRECT_KEYS
    family = 0.0 if hearing.family in families else 1.0
    return keys + family + max(0.0, MIN_NOVELTY - hearing.novelty) / MIN_NOVELTY
