"""Where the partials of a note stand: their base, what misses the formula, and free modes.

All is read off one long spectrum, of the loudest second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.listening.f0 import RefinedPitch
from mechanical_ears.resynthesis.analysis.framed_spectra import hann
from mechanical_ears.resynthesis.control_map import MODES, PARTIALS, SINGLES, stiff_string_ratios

LONGEST: Final = 1.0  # s
LOWEST_BASE: Final = 18.0  # Hz, below which partials are not told apart
DIVISORS: Final = (2, 3, 4)
STRONG_SHARE: Final = 0.02  # of it, where a single one is enough
STANDS_OUT: Final = 10 ** (14 / 20)  # magnitude of a peak beside the median around it, 14 dB
JUDGED: Final = (4, 41)  # partials that tell whether a note is a stiff string's
SHARE: Final = 2e-3  # of the power that new partials of a divisor must hold, −27 dB
LEAST_OFFSET: Final = 4.0  # cents, and
LEAST_OFFSET_BINS: Final = (
    0.7  # of the long spectrum, below which a partial does not miss the formula
)
WEAKEST: Final = 1e-4  # magnitude beside the loudest, from which a partial's place is believed
MOVING: Final = 0.2  # of the distance between partials, that moving ones fill to each side
LOBES: Final = 8.0  # bins around a partial that are its own at least
REACH: Final = 0.45  # of the distance between partials, to each side, that belongs to each
MODE_FLOOR: Final = 10 ** (-50 / 20)  # magnitude beside the loudest that a free mode has at least


@dataclass(frozen=True)
class Base:
    """Of what the partials of a note are multiples.

    Attributes:
        frequency: Hz, of the first partial.
        divisor: partials are multiples of the first divided by it.
        inharmonicity: B, or 0 where a stiff string explains the upper partials no better.
    """

    frequency: float
    divisor: int
    inharmonicity: float

    @property
    def spacing(self) -> float:
        """Hz between partials."""
        return self.frequency / self.divisor


@dataclass(frozen=True, eq=False)
class Series:
    """What the formula does not tell.

    Attributes:
        offsets: cents, float64 (48,), by which the first partials miss it.
        modes: Hz, float64 (8,), ascending, 0 where there is none.
    """

    offsets: NDArray[np.float64]
    modes: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LongSpectrum:
    """Spectrum of the loudest second of a note.

    Attributes:
        magnitudes: float32 (bins,), of twice the second's length with zeros.
        bin_width: Hz between bins.
    """

    magnitudes: NDArray[np.float32]
    bin_width: float


def long_spectrum(samples: NDArray[np.float32], sample_rate: int) -> LongSpectrum:
    """Spectrum of the loudest second.

    Args:
        samples: float32 (samples,).
        sample_rate: Hz.
    """
    count = min(len(samples), round(LONGEST * sample_rate))
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples), dtype=np.float64)])
    first = int(np.argmax(energy[count:] - energy[:-count])) if len(samples) > count else 0
    taper = hann(count)
    size = 1 << (2 * count - 1).bit_length()
    spectrum = np.abs(np.fft.rfft(samples[first : first + count] * taper, size))
    spectrum *= np.float32(2 / taper.sum(dtype=np.float64))
    return LongSpectrum(spectrum, sample_rate / size)


def _peaks(
    magnitudes: NDArray[np.float32], places: NDArray[np.float64], reach: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Strongest places within ``reach`` bins of ``places``: where, how strong, over what median."""
    half = max(2, round(reach))
    columns = np.rint(places).astype(np.int64)[:, None] + np.arange(-half, half + 1)
    inside = np.clip(columns, 1, len(magnitudes) - 2)
    around = magnitudes[inside]
    best = inside[np.arange(len(places)), around.argmax(axis=1)]
    left, top, right = (np.log(magnitudes[best + step] + 1e-12) for step in (-1, 0, 1))
    bend = np.minimum(left - 2 * top + right, -1e-9)
    offset = np.clip(0.5 * (left - right) / bend, -0.5, 0.5)
    return best + offset, magnitudes[best].astype(np.float64), np.median(around, axis=1)


def find_base(spectrum: LongSpectrum, refined: RefinedPitch) -> Base:
    """Find of what the partials of a note are multiples, and whether they are a stiff string's.

    Args:
        spectrum: of the note.
        refined: frequency and stiffness.
    """
    first, inharmonicity = refined.frequency / spectrum.bin_width, refined.inharmonicity
    if inharmonicity and not _is_stiff(spectrum.magnitudes, first, inharmonicity):
        inharmonicity = 0.0
    divisor = _divisor(spectrum.magnitudes, first, inharmonicity, refined.frequency)
    return Base(refined.frequency, divisor, inharmonicity)


def find_series(spectrum: LongSpectrum, base: Base, *, steady: bool, apart: float) -> Series:
    """Find what misses the formula, and the modes that it does not know.

    Args:
        spectrum: of the note.
        base: of its partials.
        steady: whether the frequency stays; where it moves, only modes far from partials are
            sought, since partials are broad.
        apart: Hz, from a partial that a free mode must be.
    """
    offsets = np.zeros(SINGLES)
    magnitudes, bin_width = spectrum.magnitudes, spectrum.bin_width
    first = base.frequency / bin_width
    places = first * stiff_string_ratios(
        np.arange(1, PARTIALS + 1) / base.divisor, base.inharmonicity
    )
    places = places[places < len(magnitudes) - 4]
    reach = REACH * first / base.divisor
    mine = places[:SINGLES]
    found, strength, around = _peaks(magnitudes, mine, reach)
    moved = (strength > STANDS_OUT * around) & (np.abs(found - mine) > LEAST_OFFSET_BINS) & steady
    cents = 1200 * np.log2(found / mine)
    moved &= (np.abs(cents) > LEAST_OFFSET) & (strength > WEAKEST * magnitudes.max())
    offsets[: len(mine)] = np.where(moved, cents, 0)
    taken = places.copy()
    taken[: len(mine)] = np.where(moved, found, mine)
    guard = apart if steady else max(apart, MOVING * base.spacing)
    modes = _modes(magnitudes, taken, max(LOBES, guard / bin_width), reach)
    return Series(offsets, modes * bin_width)


def _is_stiff(magnitudes: NDArray[np.float32], first: float, inharmonicity: float) -> bool:
    """Whether more stands where a stiff string's partials would be than at whole multiples."""
    numbers = np.arange(*JUDGED, dtype=np.float64)
    scores = []
    for stiffness in (inharmonicity, 0.0):
        places = first * stiff_string_ratios(numbers, stiffness)
        columns = np.rint(places).astype(np.int64)[:, None] + np.arange(-2, 3)
        inside = columns[:, -1] < len(magnitudes)
        found = magnitudes[columns[inside]].max(axis=1)
        scores.append(float(np.log(found + 1e-9).mean()) if inside.any() else 0.0)
    return scores[0] >= scores[1]


def _divisor(
    magnitudes: NDArray[np.float32], first: float, inharmonicity: float, frequency: float
) -> int:
    """The smallest divisor that explains what sounds between the partials of the key."""
    best, most = 1, SHARE
    for divisor in DIVISORS:
        if frequency / divisor < LOWEST_BASE:
            break
        numbers = np.arange(1, 8 * divisor) / divisor
        places = first * stiff_string_ratios(numbers, inharmonicity)
        places = places[places < len(magnitudes) - 4]
        found, strength, around = _peaks(magnitudes, places, 0.3 * first / divisor)
        is_new = np.arange(1, len(places) + 1) % divisor != 0
        stands = (strength > STANDS_OUT * around) & (
            np.abs(found - places) < np.maximum(2.0, 0.006 * places)
        )
        power = np.where(stands, strength**2, 0)
        total = float((strength**2).sum()) + 1e-30
        share = float(power[is_new].sum()) / total
        enough = stands[is_new].sum() >= 3 or share > STRONG_SHARE
        if enough and share > 1.5 * most:
            best, most = divisor, share
    return best


def _modes(
    magnitudes: NDArray[np.float32], taken: NDArray[np.float64], apart: float, reach: float
) -> NDArray[np.float64]:
    """The strongest peaks that no partial explains, bins, ascending, (8,), 0 where none."""
    rest = magnitudes.copy()
    guard = round(apart)
    columns = np.rint(taken).astype(np.int64)[:, None] + np.arange(-guard, guard + 1)
    rest[np.clip(columns, 0, len(rest) - 1)] = 0
    found = np.zeros(MODES)
    least = MODE_FLOOR * float(magnitudes.max())
    top = int(min(taken[-1] + reach, len(rest) - 2)) if len(taken) else 0
    for turn in range(MODES):
        place = int(rest[:top].argmax()) if top else 0
        strength = float(rest[place])
        low, high = max(place - 60, 0), place + 60
        if strength < least or strength < STANDS_OUT * float(np.median(magnitudes[low:high])):
            break
        is_peak = (
            place > 0 and strength >= magnitudes[place - 1] and strength >= magnitudes[place + 1]
        )
        if is_peak:
            found[turn] = place
        rest[max(0, place - guard) : place + guard + 1] = 0
    return np.sort(found)
