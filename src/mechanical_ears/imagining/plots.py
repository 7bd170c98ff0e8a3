"""Original and resynthesis side by side; an imagined instrument on a contact sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mechanical_ears.imagining.instrument import ImaginedInstrument
from mechanical_ears.listening.ears import shipped_ears
from mechanical_ears.listening.prediction import Hearing
from mechanical_ears.pictures import Picture, draw_spectrogram, draw_waveform, with_style
from mechanical_ears.pitch import midi_to_name
from mechanical_ears.resynthesis.spectral_distance import SpectralDistance
from mechanical_ears.sound import Sound


@with_style
def resynthesis_picture(pairs: list[tuple[str, Sound, Sound, SpectralDistance]]) -> Picture:
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


@with_style
def instrument_picture(
    instrument: ImaginedInstrument,
    pitches: Sequence[int],
    velocities: Sequence[int],
    sounds: Mapping[tuple[int, int], Sound],
) -> Picture:
    """Draw notes of an instrument, a column for each key, with what the ears hear in each.

    Args:
        instrument: which.
        pitches: MIDI numbers, from left to right.
        velocities: MIDI velocities, from below.
        sounds: by pitch and velocity.
    """
    rows, columns = len(velocities), len(pitches)
    picture = Picture(figsize=(0.6 + 2.5 * max(columns, 3), 1.0 + 2.1 * rows))
    heard = instrument.hearing
    near = ", ".join(f"{name} {likeness:.2f}" for name, likeness in heard.nearest[:2])
    picture.suptitle(
        f"{instrument.name}: the ears hear {heard.family or 'nothing'} "
        f"({heard.family_confidence:.0%}), novelty {heard.novelty:.2f}\nnearest: {near}",
        fontsize=9.5,
    )
    panels = picture.subplots(rows, columns, squeeze=False)
    hearings = dict(zip(sounds, shipped_ears().listen(list(sounds.values())), strict=True))
    for row, velocity in enumerate(reversed(velocities)):
        for column, pitch in enumerate(pitches):
            axes, hearing = panels[row, column], hearings[pitch, velocity]
            draw_spectrogram(axes, sounds[pitch, velocity], notes=False)
            played = f"{midi_to_name(pitch)} {pitch}, velocity {velocity}"
            axes.set_title(f"{played}\n{_words(hearing)}", fontsize=7.5)
            if column:
                axes.set_ylabel("")
                axes.tick_params(labelleft=False)
            if row + 1 < rows:
                axes.set_xlabel("")
                axes.tick_params(labelbottom=False)
    return picture


def _words(hearing: Hearing) -> str:
    if hearing.onset is None:
        return "silence"
    if hearing.pitch is None:
        return f"no single pitch, {hearing.family}"
    return f"heard: {midi_to_name(hearing.pitch)} {hearing.pitch_confidence:.0%}, {hearing.family}"
