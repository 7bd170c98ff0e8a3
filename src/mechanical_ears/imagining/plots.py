"""Pictures: original and resynthesis side by side; a contact sheet of an instrument."""

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
def resynthesis_picture(notes: list[tuple[str, Sound, Sound, SpectralDistance]]) -> Picture:
    """Draw notes with their resyntheses, a row for each.

    Args:
        notes: title, original, resynthesis, and the distance between them.
    """
    single = len(notes) == 1
    picture = Picture(figsize=(9.6, 5.2 if single else 0.4 + 2.1 * len(notes)))
    heights = [1, 2.4] if single else [1] * len(notes)
    panels = picture.subplots(len(heights), 2, squeeze=False, height_ratios=heights)
    for row, (title, original, resynthesis, distance) in enumerate(notes):
        subtitle = f"resynthesis: {distance.lsd:.1f} dB apart, mel {distance.mel:.1f} dB"
        for column, (sound, heading) in enumerate(((original, title), (resynthesis, subtitle))):
            if single:
                draw_waveform(panels[0, column], sound)
                panels[0, column].set(xlabel="", title=heading)
                panels[0, column].set_ylim(*panels[0, 0].get_ylim())
            axes = panels[-1 if single else row, column]
            draw_spectrogram(axes, sound, notes=False)
            if not single:
                axes.set_title(heading, fontsize=8.5)
                if row + 1 < len(notes):
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
        instrument: the instrument.
        pitches: MIDI numbers, from left to right.
        velocities: MIDI velocities, from bottom to top.
        sounds: by pitch and velocity.
    """
    rows, columns = len(velocities), len(pitches)
    picture = Picture(figsize=(0.6 + 2.5 * max(columns, 3), 1.0 + 2.1 * rows))
    overall = instrument.hearing
    near = ", ".join(f"{name} {likeness:.2f}" for name, likeness in overall.nearest[:2])
    picture.suptitle(
        f"{instrument.name}: the ears hear {overall.family or 'nothing'} "
        f"({overall.family_confidence:.0%}), novelty {overall.novelty:.2f}\nnearest: {near}",
        fontsize=9.5,
    )
    panels = picture.subplots(rows, columns, squeeze=False)
    hearings = dict(zip(sounds, shipped_ears().listen(list(sounds.values())), strict=True))
    for row, velocity in enumerate(reversed(velocities)):
        for column, pitch in enumerate(pitches):
            axes, hearing = panels[row, column], hearings[pitch, velocity]
            draw_spectrogram(axes, sounds[pitch, velocity], notes=False)
            played = f"{midi_to_name(pitch)} {pitch}, velocity {velocity}"
            axes.set_title(f"{played}\n{_describe(hearing)}", fontsize=7.5)
            axes.label_outer()
    return picture


def _describe(hearing: Hearing) -> str:
    if hearing.onset is None:
        return "silence"
    if hearing.pitch is None:
        return f"no single pitch, {hearing.family}"
    return f"heard: {midi_to_name(hearing.pitch)} {hearing.pitch_confidence:.0%}, {hearing.family}"
