"""Sample sheets of a training: what it imagines by now, to look at and to listen to.

    RUN/sheets/round-0010.png          twelve instruments at three keys, with what the ears hear
    RUN/sheets/round-0010-bass.wav     the three notes of one of them, one after the other

The instruments are drawn from the same random numbers each time, so that sheets of several rounds
show what became of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from mechanical_ears.files import make_folder
from mechanical_ears.frequency_axis import pool_rows
from mechanical_ears.imagining.training.latents import Codec
from mechanical_ears.imagining.training.networks import Condition, Networks
from mechanical_ears.listening.ears import shipped_ears
from mechanical_ears.listening.prediction import Hearing
from mechanical_ears.note import FAMILIES, NOTE_SAMPLE_RATE
from mechanical_ears.pictures import COLOURS, Picture, save_figure, with_style
from mechanical_ears.pitch import midi_to_name
from mechanical_ears.resynthesis.control_grid import ControlGrid, to_control_maps
from mechanical_ears.resynthesis.synthesis.render import render
from mechanical_ears.sound import Sound

EVERY: Final = 10  # rounds
INSTRUMENTS: Final = 12
KEYS: Final = (36, 60, 84)  # MIDI numbers
VELOCITY: Final = 100.0
PLAYED: Final = 4  # instruments that are written as sound
ABREAST: Final = 2  # instruments in a row of the picture
STIFFEST: Final = -1.0  # log10 of B; an untrained network asks for more than there is
ROWS, COLUMNS = 96, 120  # of the picture of a note
GAP: Final = 4  # of those, between two notes
LOWEST: Final = 30.0  # Hz
FLOOR: Final = -80.0  # dB
CELL: Final = (1.45, 1.28)  # inches


@dataclass(frozen=True, eq=False)
class Sheet:
    """What is on a sheet.

    Attributes:
        families: that were asked for, one for each instrument.
        sounds: of each instrument, a note at each of `KEYS`.
        hearings: what the ears hear in them.
    """

    families: tuple[str, ...]
    sounds: tuple[tuple[Sound, ...], ...]
    hearings: tuple[tuple[Hearing, ...], ...]


@torch.no_grad()
def outlines_by_lot(players: Networks, codec: Codec, seed: int) -> ControlGrid:
    """Outlines of `INSTRUMENTS` instruments by lot, each at all `KEYS`; families in turn."""
    device = codec.deviation.device
    lots = torch.Generator().manual_seed(seed)
    z = torch.randn(INSTRUMENTS, players.shape.z, generator=lots).to(device)
    families = torch.arange(INSTRUMENTS).repeat_interleave(len(KEYS)) % len(FAMILIES)
    pitch = torch.tensor(KEYS, dtype=torch.float32).repeat(INSTRUMENTS)
    asked = Condition(pitch, torch.full_like(pitch, VELOCITY), torch.eye(len(FAMILIES))[families])
    codes = players.imagine(z, Condition(*(part.to(device) for part in asked)))
    made = codec.decode(codes)._asdict()
    made["stiffness"] = made["stiffness"].clamp_max(STIFFEST)
    return ControlGrid(**{name: value.float().cpu().numpy() for name, value in made.items()})


def make_sheet(players: Networks, codec: Codec, seed: int) -> Sheet:
    """Imagine, render and hear what is on a sheet.

    Args:
        players: averaged weights.
        codec: of the codes.
        seed: of the instruments.
    """
    maps = to_control_maps(outlines_by_lot(players, codec, seed), KEYS * INSTRUMENTS)
    sounds = [render(each, sample_rate=NOTE_SAMPLE_RATE) for each in maps]
    hearings = shipped_ears().listen(sounds)
    firsts = range(0, len(sounds), len(KEYS))
    return Sheet(
        families=tuple(FAMILIES[number % len(FAMILIES)] for number in range(INSTRUMENTS)),
        sounds=tuple(tuple(sounds[first : first + len(KEYS)]) for first in firsts),
        hearings=tuple(tuple(hearings[first : first + len(KEYS)]) for first in firsts),
    )


@with_style
def sheet_picture(sheet: Sheet, title: str) -> Picture:
    """Draw a sheet: a spectrogram of each note, all in one image, which is quick.

    Args:
        sheet: what to draw.
        title: its headline.
    """
    columns = ABREAST * len(KEYS)
    rows = -(-len(sheet.sounds) // ABREAST)
    high, wide = ROWS + GAP * 4, COLUMNS + GAP
    image = np.full((rows * high, columns * wide), np.nan, dtype=np.float32)
    picture = Picture(figsize=(columns * CELL[0], 0.4 + rows * CELL[1]))
    picture.set_layout_engine("none")
    axes = picture.add_axes((0.01, 0.01, 0.98, 0.98 - 0.3 / (0.4 + rows * CELL[1])))
    for number, (family, sounds) in enumerate(zip(sheet.families, sheet.sounds, strict=True)):
        row, block = divmod(number, ABREAST)
        for place, (key, sound) in enumerate(zip(KEYS, sounds, strict=True)):
            top, left = row * high + high - ROWS, (block * len(KEYS) + place) * wide
            image[top : top + ROWS, left : left + COLUMNS] = _spectrogram(sound)[::-1]
            words = f"{family}, {midi_to_name(key)}: {_heard(sheet.hearings[number][place], key)}"
            axes.text(left, top - 2, words, fontsize=5.6, va="bottom")
    axes.imshow(image, cmap=COLOURS, vmin=FLOOR, vmax=0, aspect="auto", interpolation="none")
    axes.set_axis_off()
    picture.text(0.012, 0.985, title, va="top", fontsize=9.5, fontweight="bold")
    return picture


def write_sheet(folder: Path, number: int, players: Networks, codec: Codec, seed: int) -> Path:
    """Write the sheet of a round.

    Args:
        folder: of the run.
        number: of the round.
        players: averaged weights.
        codec: of the codes.
        seed: of the instruments.

    Returns:
        The picture.

    Raises:
        EarsError: the folder cannot be written.
    """
    sheet = make_sheet(players, codec, seed)
    sheets = make_folder(folder / "sheets")
    for family, sounds in list(zip(sheet.families, sheet.sounds, strict=True))[:PLAYED]:
        phrase = np.concatenate([sound.samples for sound in sounds])
        phrase /= max(1.0, float(np.abs(phrase).max()))
        Sound(phrase, NOTE_SAMPLE_RATE).save(sheets / f"round-{number:04d}-{family}.wav")
    right = sum(h.pitch == key for row in sheet.hearings for h, key in zip(row, KEYS, strict=True))
    title = f"round {number}: the ears hear {right} of {INSTRUMENTS * len(KEYS)} keys as asked for"
    return save_figure(sheet_picture(sheet, title), sheets / f"round-{number:04d}.png")


def _spectrogram(sound: Sound) -> NDArray[np.float32]:
    """Levels in dB below the loudest, (ROWS, COLUMNS), low frequencies first."""
    heard = sound.spectrogram()
    levels = heard.decibels(FLOOR)
    edges = np.geomspace(LOWEST, sound.sample_rate / 2, ROWS + 1)
    rows = pool_rows(levels, heard.frequencies, edges)
    starts = (np.arange(COLUMNS) * rows.shape[1]) // COLUMNS
    return np.asarray(np.maximum.reduceat(rows, starts, axis=1))


def _heard(hearing: Hearing, key: int) -> str:
    if hearing.onset is None:
        return "silence"
    if hearing.pitch is None:
        return f"no pitch, {hearing.family}"
    pitch = "" if hearing.pitch == key else f"{midi_to_name(hearing.pitch)}, "
    return f"{pitch}{hearing.family}"
