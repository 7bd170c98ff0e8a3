"""Commands that imagine, take notes apart and put them together."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from mechanical_ears.cli.app import MaybeOutput, Output, app, corpus_app
from mechanical_ears.errors import EarsError
from mechanical_ears.files import SAMPLERS

if TYPE_CHECKING:
    from mechanical_ears.instrument.sampled import SampledInstrument

SoundFormat = Annotated[Literal["wav", "flac"], arg(name="format")]


@app.command
def imagine(
    *,
    output: Output,
    seed: int | None = None,
    draw: int | None = None,
    family: str | None = None,
    pitches: str = "21-108",
    velocities: str = "25,75,127",
    seconds: float = 4.0,
    sample_rate: int = 48_000,
    like: tuple[Path, ...] = (),
    morph: tuple[str, str] | None = None,
    amount: float = 0.5,
    bright: float = 0.0,
    attack: float = 0.0,
    noisy: float = 0.0,
    sustain: float = 0.0,
    sound_format: SoundFormat = "wav",
    model: Path | None = None,
    force: bool = False,
) -> None:
    """Imagine an instrument that nobody has heard, and play its keys into a folder.

    Writes PPP-VVV.wav (MIDI pitch, velocity), sheet.png and instrument.json.

    Args:
        output: folder to write; it must be empty or not be there.
        seed: the same seed is the same instrument; drawn if not given.
        draw: which of the instruments of the seed, from 0; the ears choose one if not given.
        family: such as mallet, or mallet+vocal for something between; left to the lot if not given.
        pitches: MIDI numbers 0..127, such as 21-108 or 36,48,60.
        velocities: MIDI velocities 1..127, such as 25,75,127.
        seconds: length of each note.
        sample_rate: Hz.
        like: recordings of one instrument that it shall sound like, or an .sfz or .sf2 of them;
            files named by their key (C4.wav, piano_060_100.wav) spare the ears a guess.
        morph: two instruments to go between; each a seed, a recording, an instrument.json, an .sfz
            or .sf2.
        amount: how far from the first to the second, 0..1.
        bright: standard deviations brighter, or below 0 duller.
        attack: standard deviations slower in its attack, or below 0 sharper.
        noisy: standard deviations noisier, or below 0 purer.
        sustain: standard deviations longer in its sustain, or below 0 shorter.
        sound_format: of the notes.
        model: folder of other weights; the shipped ones if not given.
        force: replace an instrument that was written to the folder before.
    """
    from mechanical_ears.imagining.imagine import imagine as imagined
    from mechanical_ears.imagining.note_folder import write_folder
    from mechanical_ears.terminal import progress_bar

    keys = _numbers(pitches, "pitch", 0, 127)
    forces = _numbers(velocities, "velocity", 1, 127)
    instrument = imagined(
        seed,
        family=family,
        like=[_ground(each) for each in like] or None,
        morph=None if morph is None else (_ground(morph[0]), _ground(morph[1])),
        amount=amount,
        bright=bright,
        attack=attack,
        noisy=noisy,
        sustain=sustain,
        draw=draw,
        model=model,
    )
    with progress_bar(f"playing {instrument.name}") as move:
        write_folder(
            instrument,
            output,
            pitches=keys,
            velocities=forces,
            seconds=seconds,
            sample_rate=sample_rate,
            suffix=f".{sound_format}",
            anew=force,
            progress=move,
        )
    heard = instrument.impression
    near = ", ".join(f"{name} ({likeness:.2f})" for name, likeness in heard.nearest[:2])
    print(f"{output}: {instrument.name}, {len(keys) * len(forces)} notes")
    print(
        f"the ears hear {heard.family or 'no family'} ({heard.family_confidence:.0%}), "
        f"{heard.right} of {len(heard.pitches)} keys as played; novelty {heard.novelty:.2f}, "
        f"nearest: {near}"
    )


def _ground(what: str | Path) -> str | Path | SampledInstrument:
    """A sampler's instrument, what is not understood of it told; anything else as it is."""
    if Path(what).suffix.lower() not in SAMPLERS:
        return what
    from mechanical_ears.instrument.sampled import SampledInstrument

    opened = SampledInstrument.load(what)
    for warning in opened.warnings:
        print(f"ears: {warning}", file=sys.stderr)
    return opened


def _numbers(text: str, name: str, least: int, most: int) -> list[int]:
    """Numbers such as ``36,48,60-64``, ascending, each once.

    Raises:
        EarsError: they are not of that form, or out of range.
    """
    found: set[int] = set()
    for part in text.split(","):
        told = re.fullmatch(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?", part)
        if told is None:
            raise EarsError(
                f'"{part}" is no {name}',
                remedy="give numbers such as 36-60 or 36,48,60",
            )
        first = int(told[1])
        last = int(told[2] or first)
        for value in (first, last):
            if not least <= value <= most:
                raise EarsError(f"{name} {value} is outside {least}..{most}")
        if last < first:
            raise EarsError(f'"{part}" runs backwards', remedy=f"write {last}-{first}")
        found.update(range(first, last + 1))
    return sorted(found)


@app.command
def resynthesise(
    file: Positional[Path],
    *,
    output: MaybeOutput = None,
    pitch: float | None = None,
    key_up: float | None = None,
    at: float | None = None,
    seconds: float | None = None,
    gain: float = 0.0,
    sample_rate: int | None = None,
    controls: Path | None = None,
    plot: Path | None = None,
) -> None:
    """Take a note apart into its control map, and put it together again.

    Args:
        file: a sound of one note, or a map (.safetensors).
        output: sound file to write; the note's name with .resynthesis.wav if not given.
        pitch: MIDI number at which the recording sounds; the ears say if not given.
        key_up: where the key was let go in the recording, s; guessed if not given.
        at: MIDI number to play it at instead.
        seconds: length to play it for instead.
        gain: dB.
        sample_rate: of what is written, Hz; that of the recording if not given.
        controls: .safetensors file to write the map to, too.
        plot: PNG, SVG or PDF file with original and resynthesis side by side.
    """
    from mechanical_ears.errors import SoundError
    from mechanical_ears.imagining.plots import resynthesis_picture
    from mechanical_ears.pictures import save_figure
    from mechanical_ears.pitch import hz_to_midi
    from mechanical_ears.resynthesis.analysis.analyse import analyse
    from mechanical_ears.resynthesis.control_map_file import (
        load_control_map,
        save_control_map,
        to_bytes,
    )
    from mechanical_ears.resynthesis.spectral_distance import spectral_distance
    from mechanical_ears.resynthesis.synthesis.render import render
    from mechanical_ears.sound import Sound

    original = None
    if file.suffix == ".safetensors":
        found = load_control_map(file)
    else:
        original = Sound.load(file)
        try:
            found = analyse(original, pitch, key_up=key_up)
        except SoundError as error:
            raise SoundError(error.problem, path=file, remedy=error.remedy) from error
    if controls is not None:
        save_control_map(found, controls)
    made = render(found, pitch=at, velocity_gain=gain, seconds=seconds, sample_rate=sample_rate)
    path = made.save(output or file.with_name(f"{file.stem}.resynthesis.wav"))
    print(
        f"{path}: {found.frequency:.2f} Hz (MIDI {hz_to_midi(found.frequency):.2f}), "
        f"key held {found.key_up:.2f} of {found.seconds:.2f} s, "
        f"map of {len(to_bytes(found)) / 1000:.1f} kB"
    )
    if original is None:
        return
    first = round(found.onset * original.sample_rate)
    heard = Sound(original.samples[first:], original.sample_rate)
    as_it_was = render(found)
    apart = spectral_distance(heard.samples, as_it_was.samples, heard.sample_rate)
    print(
        f"log-spectral distance {apart.lsd:.2f} dB, mel distance {apart.mel:.2f} dB "
        "(two noises of one spectrum: 6.0 dB)"
    )
    if plot is not None:
        print(save_figure(resynthesis_picture([(file.name, heard, as_it_was, apart)]), plot))


@corpus_app.command
def controls(
    paths: Positional[tuple[Path, ...]],
    *,
    output: Output,
    sample_rate: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    split_of: Path | None = None,
    workers: int | None = None,
) -> None:
    """Take every note of a corpus apart into control maps, on all cores.

    The same command goes on with a build that was interrupted.

    Args:
        paths: a store or any other corpus, or one or several SoundFonts (.sf2, .sf3).
        output: folder of the maps to write.
        sample_rate: of a SoundFont's notes, Hz; 44100 if not given.
        limit: take a random subset of so many notes of a SoundFont.
        seed: of the subset.
        split_of: store whose split into train, validation and test the instruments keep; those
            that it does not hold are left out. A store's own split is kept without being asked.
        workers: processes; all cores if not given.
    """
    from mechanical_ears.resynthesis.control_map_corpus import (
        build_control_maps,
        open_notes,
        store_sides,
    )
    from mechanical_ears.terminal import progress_bar

    chosen = {} if limit is None else {"limit": limit, "seed": seed}
    if not paths:
        raise EarsError("no corpus is given", remedy="name a store or a SoundFont")
    corpus = open_notes(paths, sample_rate=sample_rate, **chosen)
    sides = None if split_of is None else store_sides(split_of)
    with progress_bar(f"taking apart {', '.join(map(str, paths))}") as move:
        report = build_control_maps(
            corpus,
            output,
            workers=workers,
            sides=sides,
            description={"paths": paths, "split_of": split_of, **chosen},
            progress=move,
        )
    print(
        f"{output}: {report.maps:,} maps, {report.bytes / max(report.maps, 1) / 1000:.1f} kB each; "
        f"{report.poor:,} poor ones are marked; "
        f"{report.silent:,} silent, {len(report.bad):,} bad and {report.unsplit:,} notes of "
        "instruments without a side left out"
    )
    for problem in report.bad[:10]:
        print(f"  left out: {problem}")
