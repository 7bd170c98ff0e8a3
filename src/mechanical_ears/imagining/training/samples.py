"""Sample sheets of a training: what the networks generate by now, to see and to hear.

    RUN/sheets/round-0010.png          twelve instruments at three keys, with the ears' predictions
    RUN/sheets/round-0010-bass.wav     the three notes of one of them, one after the other

Every sheet uses the same random numbers, so that the same instruments can be compared over rounds.
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

SHEET_ROUNDS: Final = 10  # rounds from one sheet to the next
INSTRUMENTS: Final = 12
KEYS: Final = (36, 60, 84)  # MIDI numbers
VELOCITY: Final = 100.0
SAVED_INSTRUMENTS: Final = 4  # that are saved as audio
MAX_STIFFNESS: Final = -1.0  # log10 of B; an untrained network may generate more than is possible
ROW_INSTRUMENTS: Final = 2  # in a row of the picture
BINS, FRAMES = 96, 120  # pixels of a note's spectrogram
GAP: Final = 4  # pixels between two notes
MIN_FREQUENCY: Final = 30.0  # Hz
FLOOR_DB: Final = -80.0
CELL_INCHES: Final = (1.45, 1.28)


@dataclass(frozen=True, eq=False)
class SampleSheet:
    """Notes of a few random instruments.

    Attributes:
        families: condition of each instrument.
        sounds: of each instrument, a note at each of `KEYS`.
        hearings: the ears' predictions for these.
    """

    families: tuple[str, ...]
    sounds: tuple[tuple[Sound, ...], ...]
    hearings: tuple[tuple[Hearing, ...], ...]


@torch.no_grad()
def random_grids(networks: Networks, codec: Codec, seed: int) -> ControlGrid:
    """Control grids of `INSTRUMENTS` random instruments, each at all `KEYS`; families in turn."""
    device = codec.deviation.device
    rng = torch.Generator().manual_seed(seed)
    z = torch.randn(INSTRUMENTS, networks.shape.z, generator=rng).to(device)
    families = torch.arange(INSTRUMENTS).repeat_interleave(len(KEYS)) % len(FAMILIES)
    pitch = torch.tensor(KEYS, dtype=torch.float32).repeat(INSTRUMENTS)
    family = torch.eye(len(FAMILIES))[families]
    condition = Condition(pitch, torch.full_like(pitch, VELOCITY), family).to(device)
    grid = codec.decode(networks.imagine(z, condition))
    grid = grid._replace(stiffness=grid.stiffness.clamp_max(MAX_STIFFNESS))
    return ControlGrid(*(values.float().cpu().numpy() for values in grid))


def make_sheet(networks: Networks, codec: Codec, seed: int) -> SampleSheet:
    """Generate and render the notes of a sheet, and let the ears listen to them.

    Args:
        networks: averaged weights.
        codec: of the latents.
        seed: of the instruments.
    """
    maps = to_control_maps(random_grids(networks, codec, seed), KEYS * INSTRUMENTS)
    sounds = [render(each, sample_rate=NOTE_SAMPLE_RATE) for each in maps]
    hearings = shipped_ears().listen(sounds)
    firsts = range(0, len(sounds), len(KEYS))
    return SampleSheet(
        families=tuple(FAMILIES[number % len(FAMILIES)] for number in range(INSTRUMENTS)),
        sounds=tuple(tuple(sounds[first : first + len(KEYS)]) for first in firsts),
        hearings=tuple(tuple(hearings[first : first + len(KEYS)]) for first in firsts),
    )


@with_style
def plot_sheet(sheet: SampleSheet, title: str) -> Picture:
    """Draw a spectrogram of each note, all in one image, which is fast.

    Args:
        sheet: notes of a round.
        title: headline.
    """
    columns = ROW_INSTRUMENTS * len(KEYS)
    rows = -(-len(sheet.sounds) // ROW_INSTRUMENTS)
    height, width = BINS + GAP * 4, FRAMES + GAP
    image = np.full((rows * height, columns * width), np.nan, dtype=np.float32)
    inches = 0.4 + rows * CELL_INCHES[1]
    picture = Picture(figsize=(columns * CELL_INCHES[0], inches))
    picture.set_layout_engine("none")
    axes = picture.add_axes((0.01, 0.01, 0.98, 0.98 - 0.3 / inches))
    for number, (family, sounds) in enumerate(zip(sheet.families, sheet.sounds, strict=True)):
        row, block = divmod(number, ROW_INSTRUMENTS)
        for column, (key, sound) in enumerate(zip(KEYS, sounds, strict=True)):
            top = row * height + height - BINS
            left = (block * len(KEYS) + column) * width
            image[top : top + BINS, left : left + FRAMES] = _spectrogram(sound)[::-1]
            prediction = _describe(sheet.hearings[number][column], key)
            words = f"{family}, {midi_to_name(key)}: {prediction}"
            axes.text(left, top - 2, words, fontsize=5.6, va="bottom")
    axes.imshow(image, cmap=COLOURS, vmin=FLOOR_DB, vmax=0, aspect="auto", interpolation="none")
    axes.set_axis_off()
    picture.text(0.012, 0.985, title, va="top", fontsize=9.5, fontweight="bold")
    return picture


def save_sheet(folder: Path, number: int, networks: Networks, codec: Codec, seed: int) -> Path:
    """Save the sheet of a round.

    Args:
        folder: of the run.
        number: of the round.
        networks: averaged weights.
        codec: of the latents.
        seed: of the instruments.

    Returns:
        The picture.

    Raises:
        EarsError: the folder cannot be written.
    """
    sheet = make_sheet(networks, codec, seed)
    sheets = make_folder(folder / "sheets")
    for family, sounds in list(zip(sheet.families, sheet.sounds, strict=True))[:SAVED_INSTRUMENTS]:
        audio = np.concatenate([sound.samples for sound in sounds])
        audio /= max(1.0, float(np.abs(audio).max()))
        Sound(audio, NOTE_SAMPLE_RATE).save(sheets / f"round-{number:04d}-{family}.wav")
    right = sum(h.pitch == key for row in sheet.hearings for h, key in zip(row, KEYS, strict=True))
    title = f"round {number}: the ears detect {right} of {INSTRUMENTS * len(KEYS)} keys"
    return save_figure(plot_sheet(sheet, title), sheets / f"round-{number:04d}.png")


def _spectrogram(sound: Sound) -> NDArray[np.float32]:
    """Levels in dB below the loudest, (BINS, FRAMES), low frequencies first."""
    spectrogram = sound.spectrogram()
    edges = np.geomspace(MIN_FREQUENCY, sound.sample_rate / 2, BINS + 1)
    levels = pool_rows(spectrogram.decibels(FLOOR_DB), spectrogram.frequencies, edges)
    starts = (np.arange(FRAMES) * levels.shape[1]) // FRAMES
    return np.asarray(np.maximum.reduceat(levels, starts, axis=1))


def _describe(hearing: Hearing, key: int) -> str:
    if hearing.onset is None:
        return "silence"
    if hearing.pitch is None:
        return f"no pitch, {hearing.family}"
    pitch = "" if hearing.pitch == key else f"{midi_to_name(hearing.pitch)}, "
    return f"{pitch}{hearing.family}"
