"""One loudness for all instruments, and keys that are half as uneven as they were generated.

Generated keys are twice as uneven as those of recorded instruments (the loudest 3.6 dB above the
middle one; 1.7 dB), and instruments of one loudness can be exchanged for each other.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from mechanical_ears.imagining.instrument import HEARING_RATE, ImaginedInstrument
from mechanical_ears.loudness import loudness

TARGET_LUFS: Final = -23.0  # LUFS of the middle one of the keys
HEADROOM_DB: Final = 7.0  # dB below full scale, that the hardest stroke may be louder
MAX_GAIN_DB: Final = 30.0
EVENNESS: Final = 0.5  # share of a key's distance in loudness from the middle one that is removed
MAX_BALANCE_DB: Final = 12.0


def match_loudness(instrument: ImaginedInstrument) -> ImaginedInstrument:
    """The instrument at the common loudness, with its keys half as uneven.

    Where peaks would pass full scale it stays softer. Its own gain and balance are replaced.
    """
    plain = instrument
    if instrument.gain or instrument.balance:
        plain = instrument.replace(gain=0.0, balance=())
    sounds = plain.hearing_notes  # which the ears have heard already, in a seed's candidate
    levels = np.array([loudness(sound.samples, HEARING_RATE) for sound in sounds])
    peaks = np.array([float(np.abs(sound.samples).max()) for sound in sounds])
    middle = float(np.median(levels))
    balance = np.clip(EVENNESS * (middle - levels), -MAX_BALANCE_DB, MAX_BALANCE_DB).round(2)
    highest = float((20 * np.log10(np.maximum(peaks, 1e-6)) + balance).max())
    gain = min(TARGET_LUFS - middle, -HEADROOM_DB - highest)
    gain = round(float(np.clip(gain, -MAX_GAIN_DB, MAX_GAIN_DB)), 2)
    return plain.replace(gain=gain, balance=tuple(balance.tolist()))
