"""Control maps: a note as the amplitudes of its partials and of its noise over time.

A note is a sum of partials and of noise in bands (Serra and Smith, "Spectral modeling synthesis",
1990). Partial m stands at

    f_m = f_1 · x · √((1 + B x²) / (1 + B)) · 2^((c_m + c(t)) / 1200)        x = m / divisor

with the frequency f_1 of the first partial, the stiffness B of a string (Fletcher, 1964), a free
offset c_m of each of the first partials and one track c(t) of the whole note, both in cents. Organs
and basses also sound one or two octaves below their key: the divisor tells of what part of f_1
partials are multiples. Bells have modes that no formula gives: a few rows stand at free ratios.

Amplitudes are decibels in rows over frames that stand close together at the attack and after the
key-up, and wider apart while the key is held:

    row 0 … 47     partials 1 … 48, each its own
    row 48 … 63    the envelope of all above, on a geometric grid of m; within it each partial
                   keeps a constant distance, its ``fine`` structure
    row 64 … 71    free modes
    noise          mean square in bands one ERB wide (Glasberg and Moore, "Derivation of auditory
                   filter shapes from notched-noise data", 1990):  E(f) = 21.4 · log10(1 + f / 229)

The whole is less than 40 KB, whatever the length and sample rate of the recording.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.errors import ControlsError

VERSION: Final = 1

ATTACK_FRAMES, SUSTAIN_FRAMES, RELEASE_FRAMES = 40, 96, 24
FRAMES: Final = ATTACK_FRAMES + SUSTAIN_FRAMES + RELEASE_FRAMES
ATTACK_STEPS: Final = (0.004, 0.025)  # s between frames, from the first to the last
RELEASE_STEPS: Final = (0.008, 0.060)  # s

SINGLES: Final = 48  # partials with a row of their own
PARTIALS: Final = 384  # in all
GROUPS: Final = 16  # rows of the envelope over the partials above
MODES: Final = 8  # rows at free ratios
ROWS: Final = SINGLES + GROUPS + MODES
BANDS: Final = 40  # of noise
HIGHEST: Final = 20_000.0  # Hz, upper edge of the highest band
SILENCE: Final = -120.0  # dB, at and below which a row is silent
