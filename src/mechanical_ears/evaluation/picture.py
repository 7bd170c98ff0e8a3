"""Which key is taken for which: labelled against heard pitch."""

from __future__ import annotations

import numpy as np

from mechanical_ears.evaluation.hearing import PitchReport
from mechanical_ears.pictures import COLOURS, Picture, styled
from mechanical_ears.pitch import PITCH_COUNT, midi_to_name


@styled
def confusion_picture(report: PitchReport, title: str) -> Picture:
    """Draw the confusions of a report; each row (a labelled key) sums to 1."""
    counts = report.confusion
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    used = np.flatnonzero(counts.sum(axis=1) + counts.sum(axis=0))
    low, high = int(used.min()), int(used.max())
    picture = Picture(figsize=(7.5, 6.5))
    axes = picture.add_subplot()
    image = axes.imshow(shares, origin="lower", cmap=COLOURS, vmin=0, vmax=1, interpolation="none")
    octaves = [key for key in range(0, PITCH_COUNT, 12) if low <= key <= high]
    names = [f"{midi_to_name(key)} ({key})" for key in octaves]
    axes.set_xticks(octaves, names, rotation=45)
    axes.set_yticks(octaves, names)
    axes.grid(False)
    axes.set(
        title=title,
        xlabel="heard key (MIDI)",
        ylabel="labelled key (MIDI)",
        xlim=(low - 0.5, high + 0.5),
        ylim=(low - 0.5, high + 0.5),
    )
    picture.colorbar(image, label="share of the labelled key's notes")
    return picture
