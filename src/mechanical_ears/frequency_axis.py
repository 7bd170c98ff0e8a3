"""Frequency axes of pictures: linear or logarithmic in Hz, with the names of notes."""

from __future__ import annotations

from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from mechanical_ears.pitch import midi_to_hz, midi_to_name

Scale = Literal["linear", "log"]

MIN_FREQUENCY = 25.0  # Hz, where logarithmic axes begin


def format_frequency_axis(
    axes: Axes, which: Literal["x", "y"], sample_rate: int, scale: Scale, notes: bool = True
) -> None:
    """Set range, ticks and label of a frequency axis.

    Args:
        axes: the axes to format.
        which: the axis of frequencies.
        sample_rate: Hz; the axis ends at half of it.
        scale: of the axis.
        notes: label each C of a logarithmic axis on the opposite side.
    """
    nyquist = sample_rate / 2
    axis = axes.xaxis if which == "x" else axes.yaxis
    limit = axes.set_xlim if which == "x" else axes.set_ylim
    axis.set_label_text("frequency (Hz)")
    if scale == "linear":
        limit(0, nyquist)
        axis.set_major_formatter(FuncFormatter(lambda hertz, _: format_thousands(round(hertz))))
        return
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    lowest = min_frequency(nyquist)
    limit(lowest, nyquist)
    ticks = [digit * 10.0**power for power in range(5) for digit in (1, 2, 5)]
    axis.set_major_locator(FixedLocator([hertz for hertz in ticks if lowest <= hertz <= nyquist]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda hertz, _: format_thousands(round(hertz))))
    if notes:
        keys = [key for key in range(0, 128, 12) if lowest <= midi_to_hz(key) <= nyquist]
        other = axes.secondary_xaxis("top") if which == "x" else axes.secondary_yaxis("right")
        other_axis = other.xaxis if which == "x" else other.yaxis
        other_axis.set_major_locator(FixedLocator([midi_to_hz(key) for key in keys]))
        other_axis.set_minor_locator(NullLocator())
        other_axis.set_major_formatter(FuncFormatter(lambda _, at: midi_to_name(keys[at])))
        other.tick_params(length=3, labelsize=8.5)
        other.spines[:].set_visible(False)


def pool_rows(
    levels: NDArray[np.float32], frequencies: NDArray[np.float64], edges: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Resample the frequency axis of levels so that no partial is lost.

    A row is the maximum of the bins inside it; a row without a bin is interpolated.

    Args:
        levels: dB, float32 (bins, frames).
        frequencies: of the bins, in Hz, evenly spaced from 0, (bins,).
        edges: of the rows, in Hz, (rows + 1,).

    Returns:
        dB, float32 (rows, frames).
    """
    ends = np.searchsorted(frequencies, edges)
    has_bin = ends[1:] > ends[:-1]
    maxima = np.maximum.reduceat(levels, np.minimum(ends[:-1], len(levels) - 1), axis=0)
    centres = 0.5 * (edges[1:] + edges[:-1]) / frequencies[1]  # bins
    below = np.minimum(centres.astype(int), len(levels) - 2)
    weight = (centres - below)[:, None]
    interpolated = levels[below] * (1 - weight) + levels[below + 1] * weight
    return np.where(has_bin[:, None], maxima, interpolated).astype(np.float32)


def min_frequency(max_frequency: float) -> float:
    """Lower limit in Hz of a logarithmic axis."""
    return min(MIN_FREQUENCY, max_frequency / 8)


def format_thousands(number: int) -> str:
    """A number with a thin space between groups of three digits."""
    return f"{number:,}".replace(",", "\u202f")
