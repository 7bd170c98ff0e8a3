"""Plot of hearings: a spectrogram of each sound file, with the predicted key above it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mechanical_ears.pictures import Picture, draw_spectrogram, with_style
from mechanical_ears.pitch import midi_to_hz
from mechanical_ears.sound import Sound

MAX_NOTES = 24  # that are legible in one picture
COLUMNS = 6


@with_style
def plot_hearings(pitches: Mapping[Path, int | None], titles: Mapping[Path, str]) -> Picture:
    """Plot spectrograms of up to 24 sound files, with a line at the frequency of the predicted key.

    Args:
        pitches: predicted MIDI number of each sound file; None for no line.
        titles: text below the name of each.

    Raises:
        SoundError: a file cannot be read.
    """
    shown = list(pitches.items())[:MAX_NOTES]
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    picture = Picture(figsize=(2.6 * columns, 0.5 + 2.1 * rows))
    panels = picture.subplots(rows, columns, squeeze=False)
    for index, axes in enumerate(panels.flat):
        if index >= len(shown):
            axes.set_visible(False)
            continue
        file, pitch = shown[index]
        draw_spectrogram(axes, Sound.load(file), notes=False)
        if pitch is not None:
            axes.axhline(midi_to_hz(pitch), color="cyan", linewidth=1.2)
        axes.set_title(f"{file.stem}\n{titles[file]}", fontsize=7.5)
        if index % columns:
            axes.set_ylabel("")
            axes.tick_params(labelleft=False)
        if index + columns < len(shown):
            axes.set_xlabel("")
            axes.tick_params(labelbottom=False)
    return picture
