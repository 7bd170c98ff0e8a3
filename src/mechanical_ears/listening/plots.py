"""A contact sheet of what was heard: each note's spectrogram with the answer above it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mechanical_ears.pictures import Picture, draw_spectrogram, with_style
from mechanical_ears.pitch import midi_to_hz
from mechanical_ears.sound import Sound

MOST_NOTES = 24  # that are legible on one sheet
COLUMNS = 6


@with_style
def hearing_picture(pitches: Mapping[Path, int | None], words: Mapping[Path, str]) -> Picture:
    """Draw up to 24 sounds with a line where the fundamental of the heard key would lie.

    Args:
        pitches: heard MIDI number of each sound file; None for no line.
        words: what else was heard, for the title.

    Raises:
        SoundError: a file cannot be read.
    """
    shown = list(pitches.items())[:MOST_NOTES]
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    picture = Picture(figsize=(2.6 * columns, 0.5 + 2.1 * rows))
    panels = picture.subplots(rows, columns, squeeze=False)
    for place, axes in enumerate(panels.flat):
        if place >= len(shown):
            axes.set_visible(False)
            continue
        file, pitch = shown[place]
        draw_spectrogram(axes, Sound.load(file), notes=False)
        if pitch is not None:
            axes.axhline(midi_to_hz(pitch), color="cyan", linewidth=1.2)
        axes.set_title(f"{file.stem}\n{words[file]}", fontsize=7.5)
        if place % columns:
            axes.set_ylabel("")
            axes.tick_params(labelleft=False)
        if place + columns < len(shown):
            axes.set_xlabel("")
            axes.tick_params(labelbottom=False)
    return picture
