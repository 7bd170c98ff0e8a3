"""Original and resynthesis side by side."""

from __future__ import annotations

from mechanical_ears.imagining.distance import Distance
from mechanical_ears.pictures import Picture, draw_spectrogram, draw_waveform, styled
from mechanical_ears.sound import Sound


@styled
def resynthesis_picture(pairs: list[tuple[str, Sound, Sound, Distance]]) -> Picture:
    """Draw notes with what became of them, a row for each.

    Args:
        pairs: title, original, resynthesis, and how far they lie apart.
    """
    lone = len(pairs) == 1
    picture = Picture(figsize=(9.6, 5.2 if lone else 0.4 + 2.1 * len(pairs)))
    heights = [1, 2.4] if lone else [1] * len(pairs)
    panels = picture.subplots(len(heights), 2, squeeze=False, height_ratios=heights)
    for row, (title, original, made, apart) in enumerate(pairs):
        words = f"resynthesis: {apart.lsd:.1f} dB apart, mel {apart.mel:.1f} dB"
        for column, (sound, heading) in enumerate(((original, title), (made, words))):
            if lone:
                draw_waveform(panels[0, column], sound)
                panels[0, column].set(xlabel="", title=heading)
                panels[0, column].set_ylim(*panels[0, 0].get_ylim())
            axes = panels[-1 if lone else row, column]
            draw_spectrogram(axes, sound, notes=False)
            if not lone:
                axes.set_title(heading, fontsize=8.5)
                if row + 1 < len(pairs):
                    axes.set_xlabel("")
            if column:
                axes.set_ylabel("")
    return picture
