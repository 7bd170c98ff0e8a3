"""A contact sheet of what was heard: each note's spectrogram with the answer above it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mechanical_ears.listening.article_ears import HeardPitch
from mechanical_ears.pictures import Picture, draw_spectrogram, styled
from mechanical_ears.pitch import midi_to_hz
from mechanical_ears.sound import Sound

MOST_NOTES = 24  # that are legible on one sheet
COLUMNS = 6


@styled
def hearing_picture(files: Sequence[Path], heard: Sequence[HeardPitch]) -> Picture:
    """Draw up to 24 sounds with a line where the fundamental of the heard key would lie.

    Args:
        files: the sounds.
        heard: the answer to each.

    Raises:
        SoundError: a file cannot be read.
    """
    shown = list(zip(files, heard, strict=True))[:MOST_NOTES]
    rows = -(-len(shown) // COLUMNS)
    picture = Picture(figsize=(2.6 * min(COLUMNS, len(shown)), 0.5 + 2.1 * rows))
    panels = picture.subplots(rows, min(COLUMNS, len(shown)), squeeze=False)
    for place, axes in enumerate(panels.flat):
        axes.label_outer()
        if place >= len(shown):
            axes.set_visible(False)
            continue
        file, answer = shown[place]
        draw_spectrogram(axes, Sound.load(file), notes=False)
        axes.axhline(midi_to_hz(answer.pitch), color="cyan", linewidth=1.2)
        axes.set_title(f"{file.stem}\nheard {answer.name}, {answer.probability:.0%}", fontsize=7.5)
        if place % COLUMNS:
            axes.set_ylabel("")
            axes.tick_params(labelleft=False)
        if place + COLUMNS < len(shown):
            axes.set_xlabel("")
            axes.tick_params(labelbottom=False)
    return picture
