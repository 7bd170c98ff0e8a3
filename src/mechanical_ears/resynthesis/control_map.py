"""Control maps: a note as the amplitudes of its partials and of its noise over time.

A note is modelled as a sum of partials and of noise in bands (Serra and Smith, "Spectral modeling
synthesis", 1990). The frequency of partial m is

    f_m = f_1 · x · √((1 + B x²) / (1 + B)) · 2^((c_m + c(t)) / 1200)        x = m / divisor

with the frequency f_1 of the first partial, the inharmonicity B of a stiff string (Fletcher,
"Normal vibration frequencies of a stiff piano string", 1964), a free offset c_m of each of the
first partials and one pitch track c(t) of the whole note, both in cents. Organs and basses also
sound an octave or two below their key: partials are then multiples of f_1 / divisor. Bells have
modes that no formula gives: a few rows have free ratios to f_1.

Amplitudes are in dB, in rows over frames that are close together at the attack and after the
key-up, and further apart while the key is held:

    partials  row 0 … 47    partials 1 … 48, one row each, 20 · log10(amplitude)
              row 48 … 63   the envelope of all partials above, on a geometric grid of m; within it
                            each partial keeps a constant distance, its ``fine`` structure
              row 64 … 71   free modes
    noise     row 0 … 39    10 · log10(mean square) in bands about one ERB wide (Glasberg and Moore,
                            "Derivation of auditory filter shapes from notched-noise data", 1990)

                            E(f) = 21.4 · log10(1 + f / 228.8)

Unison voices beat, and a beat is more than a moving amplitude: at its nulls the phase jumps by half
a turn. Partials with rows of their own, and modes, therefore also keep their phases (McAulay and
Quatieri, "Speech analysis/synthesis based on a sinusoidal representation", 1986), as the difference
from the phase that f_m alone would have. Phases are a refinement: a map without them renders as
well, and only its beats are plainer.

Time and frequency resolution are traded against each other: a low note has many partials that
change slowly, a high one few that may beat quickly. The fewer rows a note fills, the more frames it
gets, 144, 288 or 576, so that every map takes about 40 KB at most, whatever the length and sample
rate of the recording.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.errors import EarsError

VERSION: Final = 1

FRAME_COUNTS: Final = (144, 288, 576)  # of the partials; the fewest first
MAX_ROWS: Final = (34, 17)  # of partials and modes, for which a map has 288 and 576 frames
NOISE_FRAMES: Final = 112
ATTACK_SHARE, RELEASE_SHARE = 0.25, 0.15  # of the frames; the rest are in the sustain
ATTACK_STEPS: Final = (0.004, 0.025)  # s between frames of 144, the first and the last step
RELEASE_STEPS: Final = (0.008, 0.060)  # s, the same

SINGLES: Final = 48  # partials with a row of their own
PARTIALS: Final = 384  # in all
GROUPS: Final = 16  # rows of the envelope over the partials above
MODES: Final = 8  # rows at free ratios
ROWS: Final = SINGLES + GROUPS + MODES
BANDS: Final = 40  # of noise
MAX_FREQUENCY: Final = 20_000.0  # Hz, upper edge of the highest band
SILENCE_DB: Final = -120.0  # dB, at and below which a row is silent
PHASE_STEPS: Final = 256  # steps of a phase in a turn


class ControlMapError(EarsError):
    """A control map that cannot be read, written or used."""


@dataclass(frozen=True, eq=False)
class ControlMap:
    """A note as partials and noise over time.

    Attributes:
        frequency: Hz, of the first partial; the mean where it moves.
        inharmonicity: B of the stiff string.
        divisor: 1, 2, 3 or 4; partials are multiples of ``frequency / divisor``.
        seconds: length of the note.
        key_up: s, where the release begins; ``seconds`` where the key is held to the end.
        sample_rate: Hz, of the recording; nothing above half of it is known.
        onset: s, where the note began in the recording; time 0 of the map.
        cents: float16 (frames,), how far the note is above ``frequency``.
        partials: float16 (72, frames), dB; a sine of amplitude 1 has 0 dB.
        phases: int8 (56, frames), of partials 1 … 48 and the modes, in 1/256 of a turn.
        noise: float16 (40, 112), dB, mean square of each band.
        offsets: float16 (48,), cents, of the first partials from the formula.
        fine: float16 (336,), dB, of each partial above from the envelope.
        modes: float32 (8,), ratios of the free modes to ``frequency``; 0 where there is none.

    Raises:
        ControlMapError: a number is out of range, an array has another shape or contains NaN.

    Examples:
        >>> import numpy as np
        >>> from mechanical_ears import Sound, analyse
        >>> time = np.arange(32_000) / 16_000
        >>> note = Sound((0.1 * np.sin(2 * np.pi * 220 * time)).astype(np.float32), 16_000)
        >>> control_map = analyse(note, pitch=57)
        >>> control_map.partials.shape, control_map.noise.shape
        ((72, 144), (40, 112))
        >>> round(float(control_map.partials[0, 72]))  # dB, of the first partial in the sustain
        -20
    """

    frequency: float
    inharmonicity: float
    divisor: int
    seconds: float
    key_up: float
    sample_rate: int
    onset: float
    cents: NDArray[np.float16]
    partials: NDArray[np.float16]
    phases: NDArray[np.int8]
    noise: NDArray[np.float16]
    offsets: NDArray[np.float16]
    fine: NDArray[np.float16]
    modes: NDArray[np.float32]

    def __post_init__(self) -> None:
        ranges = {
            "frequency": (self.frequency, 1.0, 100_000.0),
            "inharmonicity": (self.inharmonicity, 0.0, 1.0),
            "divisor": (self.divisor, 1, 4),
            "seconds": (self.seconds, 0.0, 86_400.0),
            "key_up": (self.key_up, 0.0, self.seconds),
            "sample_rate": (self.sample_rate, 1, 10_000_000),
            "onset": (self.onset, 0.0, 86_400.0),
        }
        for name, (value, low, high) in ranges.items():
            if not low <= value <= high:  # false for NaN as well
                raise ControlMapError(f'"{name}" is {value}, outside {low:g}..{high:g}')
        frames = len(self.cents)
        if frames not in FRAME_COUNTS:
            raise ControlMapError(f"has {frames} frames, not one of {FRAME_COUNTS}")
        for name, shape in array_shapes(frames).items():
            values = getattr(self, name)
            if values.shape != shape:
                raise ControlMapError(f'"{name}" has the shape {values.shape}, not {shape}')
            if not np.isfinite(values).all():
                raise ControlMapError(f'"{name}" contains numbers that are not finite')
            # NumPy's sums round differently for other memory layouts
            object.__setattr__(self, name, np.ascontiguousarray(values))

    @property
    def times(self) -> NDArray[np.float64]:
        """Times of the frames of the partials, s after the onset, float64 (frames,)."""
        return frame_times(self.seconds, self.key_up, len(self.cents))

    @property
    def noise_times(self) -> NDArray[np.float64]:
        """Times of the frames of the noise, s after the onset, float64 (112,)."""
        return frame_times(self.seconds, self.key_up, NOISE_FRAMES)

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """Mean frequencies of all partials and modes, Hz, float64 (392,); 0 for no mode."""
        numbers = np.arange(1, PARTIALS + 1) / self.divisor
        partials = self.frequency * stiff_string_ratios(numbers, self.inharmonicity)
        partials[:SINGLES] *= np.exp2(self.offsets.astype(np.float64) / 1200)
        return np.concatenate([partials, self.frequency * self.modes.astype(np.float64)])


def array_shapes(frames: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays of a map, by name."""
    return {
        "cents": (frames,),
        "partials": (ROWS, frames),
        "phases": (SINGLES + MODES, frames),
        "noise": (BANDS, NOISE_FRAMES),
        "offsets": (SINGLES,),
        "fine": (PARTIALS - SINGLES,),
        "modes": (MODES,),
    }


def frame_times(seconds: float, key_up: float, frames: int) -> NDArray[np.float64]:
    """Times of the frames of a note, s after its onset, float64 (frames,), ascending from 0.

    Steps at the attack are fixed, and smaller only where the note is too short for them; those
    after the key-up reach to the end, and the frames between divide the rest evenly.
    """
    first, last = round(ATTACK_SHARE * frames), round(RELEASE_SHARE * frames)
    scale = FRAME_COUNTS[0] / frames
    attack = _widening_grid(ATTACK_STEPS, first) * scale
    release = _widening_grid(RELEASE_STEPS, last) * scale
    attack *= min(1.0, 0.6 * key_up / attack[-1])
    release *= max(seconds - key_up, 0.1) / release[-1]
    sustain = np.linspace(attack[-1], key_up, frames - first - last + 2)[1:-1]
    return np.concatenate([attack, sustain, key_up + release])


@lru_cache(maxsize=32)
def _widening_grid(steps: tuple[float, float], count: int) -> NDArray[np.float64]:
    """Positions from 0 on with steps that grow geometrically between two, float64 (count,)."""
    return np.concatenate([[0.0], np.cumsum(np.geomspace(*steps, count - 1))])


def stiff_string_ratios(numbers: NDArray[np.float64], inharmonicity: float) -> NDArray[np.float64]:
    """Ratios of a stiff string's partials to its first: x · √((1 + B x²) / (1 + B)).

    Args:
        numbers: x, float64 (partials,), which need not be whole.
        inharmonicity: B.
    """
    stiff = (1 + inharmonicity * numbers**2) / (1 + inharmonicity)
    return np.asarray(numbers * np.sqrt(stiff))


@cache
def group_positions() -> NDArray[np.float64]:
    """Partial numbers m of the rows of the envelope, float64 (16,)."""
    return np.geomspace(SINGLES + 1, PARTIALS, GROUPS)


@cache
def group_weights() -> NDArray[np.float32]:
    """Weights of the envelope's rows in each partial above the singles, float32 (336, 16)."""
    upper = np.log(np.arange(SINGLES + 1, PARTIALS + 1))
    rows = np.log(group_positions())
    step = rows[1] - rows[0]
    return np.asarray(np.maximum(0, 1 - np.abs(upper[:, None] - rows) / step), dtype=np.float32)


@cache
def band_edges() -> NDArray[np.float64]:
    """Edges of the noise bands, Hz, float64 (41,), evenly spaced in ERBs from 0 to 20 kHz."""
    highest = np.log1p(MAX_FREQUENCY / 228.8)
    return np.asarray(228.8 * np.expm1(np.linspace(0, highest, BANDS + 1)))


def band_centres() -> NDArray[np.float64]:
    """Centres of the noise bands, Hz, float64 (40,)."""
    edges = band_edges()
    return (edges[1:] + edges[:-1]) / 2
