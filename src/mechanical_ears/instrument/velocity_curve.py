"""How loud each velocity is: from the levels of a key's layers to a curve without a step.

A key is sampled at the velocities v₁ < v₂ < …, and has the levels L₁, L₂, … in dB there. Between
them the level is a straight line over x = 20 · log10(v / 127), which is how both SFZ and SF2 think
of velocity: within a layer

    L(v) = L₁₂₇ + p · x(v)

with one power p a layer. Each layer's line goes through the levels at its borders, where it meets
that of its neighbour; the softest and the loudest go through what was sampled. So no border is
heard, and whatever is louder in the instrument is louder here. Powers are held within `POWERS`: a
layer that is as loud as the one below it is no use, and a steeper one is beyond what a touch does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

POWERS: Final = (0.6, 5.0)  # of the velocity, at least and at most
SQUARE: Final = 2.0  # where there is one layer; General MIDI's own
STEPS: Final = 480  # of a power, that SF2 can tell


@dataclass(frozen=True)
class Touch:
    """A layer's loudness.

    Attributes:
        power: of the velocity.
        level: dB that it would have at velocity 127.
    """

    power: float
    level: float


def touches(
    levels: Sequence[float], velocities: Sequence[int], layers: Sequence[tuple[int, int]]
) -> list[Touch]:
    """The loudness of each layer of a key.

    Args:
        levels: dB, of each layer as it was sampled.
        velocities: MIDI velocity at which it was, ascending.
        layers: lowest and highest velocity of each.
    """
    wanted = rising(np.asarray(levels, dtype=np.float64), velocities)
    places = steps(velocities)
    if len(layers) == 1:
        return [Touch(SQUARE, float(wanted[0] - SQUARE * places[0]))]
    borders = steps([high + 0.5 for _, high in layers[:-1]])
    at_borders = np.interp(borders, places, wanted)
    ends = np.concatenate([places[:1], borders, places[-1:]])
    heights = np.concatenate([wanted[:1], at_borders, wanted[-1:]])
    made = []
    for layer in range(len(layers)):
        (left, right), (low, high) = ends[layer : layer + 2], heights[layer : layer + 2]
        power = round(STEPS * (high - low) / (right - left)) / STEPS
        made.append(Touch(round(power, 4), float(high - power * right)))
    return made


def rising(levels: NDArray[np.float64], velocities: Sequence[int]) -> NDArray[np.float64]:
    """Levels that rise from layer to layer as powers allow, the loudest as it is."""
    wanted = levels.copy()
    places = steps(velocities)
    for layer in range(len(levels) - 2, -1, -1):
        least, most = (power * (places[layer + 1] - places[layer]) for power in POWERS)
        rise = np.clip(wanted[layer + 1] - levels[layer], least, most)
        wanted[layer] = wanted[layer + 1] - rise
    return wanted


def steps(velocities: Sequence[float]) -> NDArray[np.float64]:
    """20 · log10(v / 127) of velocities, dB."""
    return np.asarray(20 * np.log10(np.asarray(velocities, dtype=np.float64) / 127))
