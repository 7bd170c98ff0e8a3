"""The command that imagines instruments: `ears imagine`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import arg

from mechanical_ears.cli.app import Output, app
from mechanical_ears.errors import EarsError
from mechanical_ears.files import SAMPLED_INSTRUMENT_SUFFIXES

if TYPE_CHECKING:
    from mechanical_ears.instrument.sampled import SampledInstrument

SoundFormat = Annotated[Literal["wav", "flac"], arg(name="format")]


@app.command
def imagine(
    *,
    output: Output,
    seed: int | None = None,
    candidate: int | None = None,
    family: str | None = None,
    pitches: str = "21-108",
    velocities: str = "25,75,127",
    seconds: float = 4.0,
    sample_rate: int = 48_000,
    like: tuple[Path, ...] = (),
    morph: tuple[str, str] | None = None,
    mix: float = 0.5,
    brightness: float = 0.0,
    attack: float = 0.0,
    noisiness: float = 0.0,
    sustain: float = 0.0,
    motion: float = 0.0,
    stereo: bool = False,
    sound_format: SoundFormat = "wav",
    model: Path | None = None,
    force: bool = False,
) -> None:
    """Imagine a new instrument, and write its notes to a folder.

    Writes PPP-VVV.wav (MIDI pitch, velocity), sheet.png and instrument.json.

    Args:
        output: folder to write; it must be empty or not exist.
        seed: the same seed gives the same instrument; default: a random seed.
        candidate: which of the seed's candidates, from 0; default: the ears select one.
        family: such as mallet, or mallet+vocal for a mixture; default: random.
        pitches: MIDI numbers 0..127, such as 21-108 or 36,48,60.
        velocities: MIDI velocities 1..127, such as 25,75,127.
        seconds: length of each note, s.
        sample_rate: sample rate, Hz.
        like: recordings of an instrument to sound like, or its .sfz or .sf2; files named by
            their key (C4.wav, piano_060_100.wav) are taken at their word.
        morph: two instruments to mix; each a seed, a recording, an instrument.json, an .sfz or
            .sf2.
        mix: share of the second instrument of a morph, 0..1.
        brightness: standard deviations brighter; negative: duller.
        attack: standard deviations slower attack; negative: faster.
        noisiness: standard deviations noisier; negative: purer.
        sustain: standard deviations longer sustain; negative: shorter.
        motion: how much the notes move while held, 0..2; 1: as recorded ones of the family do.
        stereo: write notes in stereo, as wide as recorded ones of the family.
        sound_format: file format of the notes.
        model: folder of the imagination's weights; default: the shipped ones.
        force: replace an instrument in the folder.
    """
    from mechanical_ears.imagining.imagine import imagine as imagine_instrument
    from mechanical_ears.imagining.note_folder import write_folder
    from mechanical_ears.terminal import progress_bar

    keys = _parse_numbers(pitches, "pitch", 0, 127)
    strengths = _parse_numbers(velocities, "velocity", 1, 127)
    instrument = imagine_instrument(
        seed,
        family=family,
        like=[_open_sampler(each) for each in like] or None,
        morph=None if morph is None else (_open_sampler(morph[0]), _open_sampler(morph[1])),
        mix=mix,
        brightness=brightness,
        attack=attack,
        noisiness=noisiness,
        sustain=sustain,
        candidate=candidate,
        model=model,
    )
    with progress_bar(f"playing {instrument.name}") as move:
        write_folder(
            instrument,
            output,
            pitches=keys,
            velocities=strengths,
            seconds=seconds,
            sample_rate=sample_rate,
            suffix=f".{sound_format}",
            force=force,
            motion=motion,
            channels=2 if stereo else 1,
            progress=move,
        )
    hearing = instrument.hearing
    near = ", ".join(f"{name} ({likeness:.2f})" for name, likeness in hearing.nearest[:2])
    print(f"{output}: {instrument.name}, {len(keys) * len(strengths)} notes")
    print(
        f"the ears hear {hearing.family or 'no family'} ({hearing.family_confidence:.0%}), "
        f"{hearing.correct_keys} of {len(hearing.pitches)} keys as played; "
        f"novelty {hearing.novelty:.2f}, nearest: {near}"
    )


def _open_sampler(what: str | Path) -> str | Path | SampledInstrument:
    """Open a sampler's instrument and print its warnings; return anything else unchanged."""
    if Path(what).suffix.lower() not in SAMPLED_INSTRUMENT_SUFFIXES:
        return what
    from mechanical_ears.instrument.opening import read_sampled_instrument

    opened = read_sampled_instrument(Path(what))
    for warning in opened.warnings:
        print(f"ears: {warning}", file=sys.stderr)
    return opened


def _parse_numbers(text: str, name: str, lowest: int, highest: int) -> list[int]:
    """Parse numbers such as ``36,48,60-64``; ascending, without duplicates.

    Raises:
        EarsError: the text has another form, or a number is out of range.
    """
    numbers: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?", part)
        if match is None:
            raise EarsError(
                f'"{part}" is not a {name}', remedy="give numbers such as 36-60 or 36,48,60"
            )
        first = int(match[1])
        last = int(match[2] or first)
        for value in (first, last):
            if not lowest <= value <= highest:
                raise EarsError(f"{name} {value} is outside {lowest}..{highest}")
        if last < first:
            raise EarsError(f'"{part}" runs backwards', remedy=f"write {last}-{first}")
        numbers.update(range(first, last + 1))
    return sorted(numbers)
