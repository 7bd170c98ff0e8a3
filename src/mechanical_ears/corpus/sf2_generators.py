"""The generators of SoundFont 2: numbers, defaults, ranges and names.

E-mu Systems, "SoundFont Technical Specification", version 2.04 (2006), section 8.1. Units are those
of the file: timecents (1200 · log2 of seconds), cents (absolute ones from 8.176 Hz, MIDI number 0),
centibels (0.1 dB), sample frames, and tenths of a percent.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Self

FULL_RANGE = 0x7F00  # of keys or velocities: the lowest in the lower byte, the highest in the upper


class Generator(IntEnum):
    """A generator; its value is its number in the file.

    Attributes:
        default: amount that holds where no zone sets one.
        minimum: lowest amount.
        maximum: highest amount.
    """

    default: int
    minimum: int
    maximum: int

    def __new__(cls, number: int, default: int = 0, minimum: int = 0, maximum: int = 0) -> Self:
        """A member with its table row."""
        member = int.__new__(cls, number)
        member._value_ = number
        member.default, member.minimum, member.maximum = default, minimum, maximum
        return member

    START_OFFSET = 0, 0, 0, 32_767  # frames
    END_OFFSET = 1, 0, -32_768, 0  # frames
    LOOP_START_OFFSET = 2, 0, -32_768, 32_767  # frames
    LOOP_END_OFFSET = 3, 0, -32_768, 32_767  # frames
    START_COARSE_OFFSET = 4, 0, 0, 32_767  # 32,768 frames
    MODULATION_LFO_TO_PITCH = 5, 0, -12_000, 12_000  # cents
    VIBRATO_LFO_TO_PITCH = 6, 0, -12_000, 12_000  # cents
    MODULATION_ENVELOPE_TO_PITCH = 7, 0, -12_000, 12_000  # cents
    FILTER_CUTOFF = 8, 13_500, 1_500, 13_500  # absolute cents
    FILTER_RESONANCE = 9, 0, 0, 960  # centibels
    MODULATION_LFO_TO_FILTER = 10, 0, -12_000, 12_000  # cents
    MODULATION_ENVELOPE_TO_FILTER = 11, 0, -12_000, 12_000  # cents
    END_COARSE_OFFSET = 12, 0, -32_768, 0  # 32,768 frames
    MODULATION_LFO_TO_VOLUME = 13, 0, -960, 960  # centibels
    CHORUS_SEND = 15, 0, 0, 1_000  # 0.1 %
    REVERB_SEND = 16, 0, 0, 1_000  # 0.1 %
    PAN = 17, 0, -500, 500  # 0.1 %, left to right
    MODULATION_LFO_DELAY = 21, -12_000, -12_000, 5_000  # timecents
    MODULATION_LFO_FREQUENCY = 22, 0, -16_000, 4_500  # absolute cents
    VIBRATO_LFO_DELAY = 23, -12_000, -12_000, 5_000  # timecents
    VIBRATO_LFO_FREQUENCY = 24, 0, -16_000, 4_500  # absolute cents
    MODULATION_DELAY = 25, -12_000, -12_000, 5_000  # timecents
    MODULATION_ATTACK = 26, -12_000, -12_000, 8_000  # timecents
    MODULATION_HOLD = 27, -12_000, -12_000, 5_000  # timecents
    MODULATION_DECAY = 28, -12_000, -12_000, 8_000  # timecents
    MODULATION_SUSTAIN = 29, 0, 0, 1_000  # 0.1 % below the peak
    MODULATION_RELEASE = 30, -12_000, -12_000, 8_000  # timecents
    KEY_TO_MODULATION_HOLD = 31, 0, -1_200, 1_200  # timecents for a key
    KEY_TO_MODULATION_DECAY = 32, 0, -1_200, 1_200  # timecents for a key
    DELAY = 33, -12_000, -12_000, 5_000  # timecents
    ATTACK = 34, -12_000, -12_000, 8_000  # timecents
    HOLD = 35, -12_000, -12_000, 5_000  # timecents
    DECAY = 36, -12_000, -12_000, 8_000  # timecents
    SUSTAIN = 37, 0, 0, 1_440  # centibels below the peak
    RELEASE = 38, -12_000, -12_000, 8_000  # timecents
    KEY_TO_HOLD = 39, 0, -1_200, 1_200  # timecents for a key
    KEY_TO_DECAY = 40, 0, -1_200, 1_200  # timecents for a key
    INSTRUMENT = 41, 0, 0, 65_535  # index
    KEY_RANGE = 43, FULL_RANGE, 0, 0x7F7F
    VELOCITY_RANGE = 44, FULL_RANGE, 0, 0x7F7F
    LOOP_START_COARSE_OFFSET = 45, 0, -32_768, 32_767  # 32,768 frames
    FIXED_KEY = 46, -1, 0, 127  # MIDI number; -1: off
    FIXED_VELOCITY = 47, -1, 0, 127  # MIDI velocity; -1: off
    ATTENUATION = 48, 0, 0, 1_440  # centibels
    LOOP_END_COARSE_OFFSET = 50, 0, -32_768, 32_767  # 32,768 frames
    COARSE_TUNE = 51, 0, -120, 120  # semitones
    FINE_TUNE = 52, 0, -99, 99  # cents
    SAMPLE_ID = 53, 0, 0, 65_535  # index
    SAMPLE_MODES = 54, 0, 0, 3  # bit 0: loop; bit 1: only while the key is held
    SCALE_TUNING = 56, 100, 0, 1_200  # cents for a key
    EXCLUSIVE_CLASS = 57, 0, 0, 127
    ROOT_KEY = 58, -1, 0, 127  # MIDI number; -1: that of the sample

    def clip(self, amount: int) -> int:
        """The nearest amount within the generator's range."""
        return min(max(amount, self.minimum), self.maximum)


def generator_name(number: int) -> str:
    """Name of a generator in plain words: 8 → ``filter cutoff``, 60 → ``generator 60``."""
    try:
        return Generator(number).name.lower().replace("_", " ").replace("lfo", "LFO")
    except ValueError:
        return f"generator {number}"
