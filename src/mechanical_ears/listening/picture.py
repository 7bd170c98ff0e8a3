"""A contact sheet of what was heard: each note's spectrogram with the answer above it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mechanical_ears.listening.ears import HeardPitch
from mechanical_ears.pitch import midi_to_hz
from mechanical_ears.sound import Sound

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_NOTES = 24  # that are legible on one sheet
COLUMNS = 4
LOWEST_FREQUENCY = 40  # Hz, of the axis


def hearing_picture(files: Sequence[Path], heard: Sequence[HeardPitch]) -> Figure:
    """Draw up to 24 sounds with a line where the fundamental of the heard key would lie.

    Args:
        files: the sounds.
        heard: the answer to each.

    Raises:
        SoundError: a file cannot be read.
    """
    from matplotlib.figure import Figure

    files, heard = files[:MOST_NOTES], heard[:MOST_NOTES]
    rows = -(-len(files) // COLUMNS)
    figure = Figure(figsize=(3.4 * COLUMNS, 2.3 * rows), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, squeeze=False, sharey=True)
    for axes in panels.flat[len(files) :]:
        axes.set_visible(False)
    for axes, file, answer in zip(panels.flat, files, heard, strict=False):
        spectrogram = Sound.load(file).spectrogram()
        audible = spectrogram.frequencies >= LOWEST_FREQUENCY
        axes.pcolormesh(
            spectrogram.times,
            spectrogram.frequencies[audible],
            spectrogram.decibels(floor=-70)[audible],
            cmap="magma",
            shading="nearest",
            rasterized=True,
        )
        axes.axhline(midi_to_hz(answer.pitch), color="cyan", linewidth=1, alpha=0.8)
        axes.set_yscale("log")
        axes.set_ylim(LOWEST_FREQUENCY, float(np.max(spectrogram.frequencies)))
        axes.set_title(f"{file.stem}\nheard {answer.name} ({answer.probability:.0%})", fontsize=8)
        axes.tick_params(labelsize=7)
    for axes in panels[:, 0]:
        axes.set_ylabel("Hz", fontsize=8)
    for axes in panels[-1]:
        axes.set_xlabel("s", fontsize=8)
    return figure
