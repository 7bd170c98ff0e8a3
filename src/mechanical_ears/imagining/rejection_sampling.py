"""The ears choose: a seed gives several instruments, and the first that convinces them is taken.

A draw is turned down if the ears hear another key than was played, another family than was asked
for, or an instrument that they know. (Choosing among a generator's draws by a judge: Azadi et al.,
"Discriminator rejection sampling", 2019.) Where none convinces, the one that lacks least is taken.

What is taken is brought to one loudness, so that instruments can be changed for each other, and its
keys nearer to each other: drawn keys are twice as uneven as those of presets (the loudest 3.6 dB
above the middle one; 1.7 dB).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

import numpy as np

from mechanical_ears.imagining.instrument import (
    HEARING_KEYS,
    HEARING_RATE,
    VELOCITY,
    ImaginedInstrument,
)
from mechanical_ears.imagining.instrument_hearing import InstrumentHearing
from mechanical_ears.loudness import loudness
from mechanical_ears.note import NOTE_SECONDS

DRAWS: Final = 8  # of a seed, that the ears listen to at most
KEYS_RIGHT: Final = 4  # of the five that are heard
NEW: Final = 0.3  # novelty, which half of the presets pass that the ears never saw
LOUDNESS: Final = -23.0  # LUFS of the middle one of the keys that are heard
HEADROOM: Final = 7.0  # dB that the hardest stroke may be louder, below full scale
MOST_GAIN: Final = 30.0  # dB
EVENED: Final = 0.5  # of a key's distance in loudness from the middle one
MOST_BALANCE: Final = 12.0  # dB


def chosen(
    draw: Callable[[int], ImaginedInstrument], families: Iterable[str], draws: int = DRAWS
) -> ImaginedInstrument:
    """The first of several instruments that convinces the ears, or the best of them.

    Args:
        draw: gives the instrument of a number from 0.
        families: of which it may be heard as any.
        draws: how many to listen to at most, at least 1.
    """
    known = {*families}
    best, least = None, float("inf")
    for number in range(draws):
        instrument = draw(number)
        lacks = lacking(instrument.impression, known)
        if lacks < least:
            best, least = instrument, lacks
        if not lacks:
            break
    if best is None:
        raise ValueError(f"{draws} draws are none")
    return best


def lacking(heard: InstrumentHearing, families: set[str]) -> float:
    """How much an instrument lacks to convince: 0 convinces, each of three conditions counts 1.

    Args:
        heard: what the ears hear in it.
        families: that were asked for.
    """
    keys = max(0, KEYS_RIGHT - heard.right) / KEYS_RIGHT
    family = 0.0 if heard.family in families else 1.0
    return keys + family + max(0.0, NEW - heard.novelty) / NEW


def levelled(instrument: ImaginedInstrument) -> ImaginedInstrument:
    """The instrument at the loudness that all have, its keys half as uneven.

    Where peaks would pass full scale it stays softer. What it had of gain and balance is replaced.
    """
    plain = replace(instrument, gain=0.0, balance=())
    pairs = [(float(key), VELOCITY) for key in HEARING_KEYS]
    sounds = list(plain.notes(pairs, NOTE_SECONDS, HEARING_RATE))
    loud = np.array([loudness(sound.samples, HEARING_RATE) for sound in sounds])
    peaks = np.array([float(np.abs(sound.samples).max()) for sound in sounds])
    middle = float(np.median(loud))
    balance = np.clip(EVENED * (middle - loud), -MOST_BALANCE, MOST_BALANCE).round(2)
    highest = float((20 * np.log10(np.maximum(peaks, 1e-6)) + balance).max())
    gain = float(np.clip(min(LOUDNESS - middle, -HEADROOM - highest), -MOST_GAIN, MOST_GAIN))
    return replace(plain, gain=round(gain, 2), balance=tuple(balance.tolist()))
