"""Loudness over velocity: from the levels of a key's layers to a curve without steps.

A key is sampled at the velocities v₁ < v₂ < …, with the levels L₁, L₂, … in dB. Between them the
level is linear in x = 20 · log10(v / 127), as both SFZ and SF2 understand velocity: within a layer

    L(v) = L₁₂₇ + p · x(v)

with one power p for each layer. Each layer's line goes through the levels at its borders, where it
meets its neighbour's line; the softest and the loudest layer's go through their sampled levels. So
there is no step between layers, and a louder layer stays louder. Powers are clipped to
`POWER_RANGE`: a layer as loud as the one below it adds nothing to play with, and a steeper one is
beyond what a player's touch does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

POWER_RANGE: Final = (0.6, 5.0)  # exponents of the velocity
DEFAULT_POWER: Final = 2.0  # of a single layer; General MIDI's own
POWER_STEPS: Final = 480  # steps in which SF2 stores a power of 1


@dataclass(frozen=True)
class LayerCurve:
    """Loudness of a layer over velocity.

    Attributes:
        power: exponent of the velocity.
        level: dB at velocity 127, where the line is extended to it.
    """

    power: float
    level: float


def fit_layer_curves(
    levels: Sequence[float], velocities: Sequence[int], layers: Sequence[tuple[int, int]]
) -> list[LayerCurve]:
    """Curves of a key's layers that meet at the layers' borders.

    Args:
        levels: dB, of each layer as it was sampled.
        velocities: MIDI velocity at which each layer was sampled, ascending.
        layers: lowest and highest velocity of each layer.
    """
    targets = limit_slopes(np.asarray(levels, dtype=np.float64), velocities)
    positions = velocity_to_db(velocities)
    if len(layers) == 1:
        return [LayerCurve(DEFAULT_POWER, float(targets[0] - DEFAULT_POWER * positions[0]))]
    borders = velocity_to_db([high + 0.5 for _, high in layers[:-1]])
    border_levels = np.interp(borders, positions, targets)
    ends = np.concatenate([positions[:1], borders, positions[-1:]])
    heights = np.concatenate([targets[:1], border_levels, targets[-1:]])
    curves = []
    for layer in range(len(layers)):
        (left, right), (low, high) = ends[layer : layer + 2], heights[layer : layer + 2]
        power = round(POWER_STEPS * (high - low) / (right - left)) / POWER_STEPS
        curves.append(LayerCurve(round(power, 4), float(high - power * right)))
    return curves


def limit_slopes(levels: NDArray[np.float64], velocities: Sequence[int]) -> NDArray[np.float64]:
    """Levels in dB whose slopes lie within `POWER_RANGE`; the loudest layer keeps its level.

    Args:
        levels: dB, float64 (layers,).
        velocities: MIDI velocity of each layer, ascending.
    """
    limited = levels.copy()
    positions = velocity_to_db(velocities)
    for layer in range(len(levels) - 2, -1, -1):
        step = positions[layer + 1] - positions[layer]
        minimum, maximum = (power * step for power in POWER_RANGE)
        rise = np.clip(limited[layer + 1] - levels[layer], minimum, maximum)
        limited[layer] = limited[layer + 1] - rise
    return limited


def velocity_to_db(velocities: Sequence[float]) -> NDArray[np.float64]:
    """20 · log10(v / 127) of velocities, dB."""
    return np.asarray(20 * np.log10(np.asarray(velocities, dtype=np.float64) / 127))
