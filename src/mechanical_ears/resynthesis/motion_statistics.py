"""`Motion`: how a note moves while its key is held, as statistics that do not depend on phase.

Beside its smooth levels and its smooth pitch, partial m of a held note moves by

    level   l(t) + d_g cos(θ(t) + φ_g) + l_m(t)    dB
    pitch   p(t) + D cos(θ(t))         + p_m(t)    cents

with a vibrato of the angle θ and the depth D, the tremolo d_g that goes with it, movement l and p
that all partials share, and movement l_m and p_m of the partial's own. The last four are random:
their root mean squares in nine bands of 0.3–50 Hz (`band_noise`) are kept, of own movement for six
groups of partials. Two strings or voices that are a little apart beat (Weinreich, "Coupled piano
strings", 1977):

    z_m(t) → z_m(t) · (1 + r e^(2πi Δ m^γ t)) / √(1 + r²)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

import numpy as np

from mechanical_ears.resynthesis.band_noise import BANDS, Floats
from mechanical_ears.resynthesis.control_map import PHASE_STEPS, SINGLES, ControlMap
from mechanical_ears.resynthesis.interpolation import interpolation

GROUP_EDGES: Final = (0, 1, 3, 6, 12, 24, SINGLES)  # rows of partials
GROUPS: Final = len(GROUP_EDGES) - 1
SMOOTHING_SECONDS: Final = 0.25  # s, standard deviation of the Gaussian that keeps what is smooth
ONSET_SECONDS: Final = 0.1  # s, before which a note is left as it is
AUDIBLE_RANGE: Final = 50.0  # dB below the loudest partial, of partials that matter
MAX_DRIFT: Final = 0.06  # of its frequency, that a partial runs ahead or behind
TYPICAL_SHARE: Final = 0.85  # of root mean squares: most seconds move less than bursts do
TYPICAL_NOISE: Final = 0.5  # of the noise's: the rest is the scatter of levels in short frames


@dataclass(frozen=True, eq=False)
class Motion:
    """Statistics of a note's movement; all zeros is a note that does not move.

    Attributes:
        vibrato_rate: Hz; 0 where there is neither vibrato nor tremolo.
        vibrato_depth: cents, amplitude; 0 for tremolo alone.
        vibrato_delay: s after the onset.
        vibrato_ramp: s, from the delay to full depth.
        rate_spread: standard deviation of the rate over the rate.
        depth_spread: the same of the depth.
        tremolo_depth: float64 (6,), dB, amplitude in each group of partials.
        tremolo_phase: float64 (6,), radians by which the level leads the pitch.
        pitch: float64 (9,), cents, root mean squares of the pitch that all partials share.
        level: float64 (9,), dB, of the level that all partials share.
        own_pitch: float64 (6, 9), cents, of a partial's own pitch, by group.
        own_level: float64 (6, 9), dB, of a partial's own level.
        noise: float64 (9,), dB, of the level of the noise.
        beat_rate: Hz, by which the first partials of two voices are apart; 0 without beats.
        beat_growth: exponent of the partial's number; 1 for two strings out of tune.
        beat_mix: amplitude of the second voice over that of the first, 0..1.
    """

    vibrato_rate: float = 0.0
    vibrato_depth: float = 0.0
    vibrato_delay: float = 0.0
    vibrato_ramp: float = 0.0
    rate_spread: float = 0.0
    depth_spread: float = 0.0
    tremolo_depth: Floats = field(default_factory=lambda: np.zeros(GROUPS))
    tremolo_phase: Floats = field(default_factory=lambda: np.zeros(GROUPS))
    pitch: Floats = field(default_factory=lambda: np.zeros(BANDS))
    level: Floats = field(default_factory=lambda: np.zeros(BANDS))
    own_pitch: Floats = field(default_factory=lambda: np.zeros((GROUPS, BANDS)))
    own_level: Floats = field(default_factory=lambda: np.zeros((GROUPS, BANDS)))
    noise: Floats = field(default_factory=lambda: np.zeros(BANDS))
    beat_rate: float = 0.0
    beat_growth: float = 1.0
    beat_mix: float = 0.0

    def to_vector(self) -> Floats:
        """All numbers in a row, float64 (158,)."""
        return np.concatenate([np.ravel(getattr(self, each.name)) for each in fields(self)])

    @classmethod
    def from_vector(cls, vector: Floats) -> Motion:
        """The motion of a vector that `to_vector` returned."""
        values: dict[str, Floats | float] = {}
        place = 0
        for name, shape in MOTION_SHAPES.items():
            size = int(np.prod(shape))
            part = np.asarray(vector[place : place + size], dtype=np.float64)
            values[name] = part.reshape(shape) if shape else float(part[0])
            place += size
        return cls(**values)  # type: ignore[arg-type]

    def scaled(self, factor: float, noise: float | None = None) -> Motion:
        """The same movement, ``factor`` times as large; ``noise`` for the noise's if it differs."""
        factors = dict.fromkeys(SCALED, factor) | {"noise": factor if noise is None else noise}
        values = {name: each * getattr(self, name) for name, each in factors.items()}
        return replace(self, **values | {"beat_mix": min(self.beat_mix * factor, 1.0)})

    def typical(self) -> Motion:
        """The movement of most moments of a measured note; see `TYPICAL_SHARE`."""
        lines = {
            name: getattr(self, name) for name in ("vibrato_depth", "tremolo_depth", "beat_mix")
        }
        return replace(self.scaled(TYPICAL_SHARE, TYPICAL_NOISE), **lines)


MOTION_SHAPES: Final = {
    each.name: np.shape(getattr(Motion(), each.name)) for each in fields(Motion)
}
SCALED: Final = (
    "vibrato_depth", "tremolo_depth", "pitch", "level", "own_pitch", "own_level",
)  # fmt: skip


def mean_motion(motions: Sequence[Motion], weights: Sequence[float]) -> Motion:
    """Weighted mean: of squares for what is a root mean square, of the loudest line for lines.

    Args:
        motions: at least one.
        weights: not negative, of the same number; they need not sum to one.
    """
    shares = np.asarray(weights, dtype=np.float64) / np.sum(weights)
    strongest = motions[int(np.argmax(shares))]
    squares = {
        name: np.sqrt(sum(w * getattr(m, name) ** 2 for w, m in zip(shares, motions, strict=True)))
        for name in ("pitch", "level", "own_pitch", "own_level", "noise")
    }
    return replace(strongest, **squares)


def group_of(rows: Any) -> Any:
    """Group of each row of partials, from 0."""
    return np.searchsorted(GROUP_EDGES, rows, side="right") - 1


def phase_drift(control_map: ControlMap, rows: Any, grid: Floats) -> Floats:
    """Cents by which partials run ahead of their frequencies, by their phases, (rows, grid)."""
    turns = np.unwrap(control_map.phases[rows] / PHASE_STEPS, axis=1, period=1)
    speed = np.gradient(turns, control_map.times, axis=1) / control_map.frequencies[rows][:, None]
    ahead = interpolation(control_map.times, grid, np.float64)(speed)
    return np.asarray(1200 * np.log2(np.clip(1 + ahead, 1 - MAX_DRIFT, 1 + MAX_DRIFT)))
