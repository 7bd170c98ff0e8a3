"""Commands for control maps: `ears resynthesise`, `ears corpus control-maps`."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from mechanical_ears.cli.app import MaybeOutput, Output, app, corpus_app
from mechanical_ears.errors import EarsError


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
    control_map: Path | None = None,
    plot: Path | None = None,
) -> None:
    """Analyse a note into its control map, and render the map again.

    Args:
        file: sound file of one note, or a control map (.safetensors).
        output: sound file to write; default: the note's name with .resynthesis.wav.
        pitch: MIDI number at which the recording sounds; default: detected by the ears.
        key_up: time of the key-up in the recording, s; default: estimated.
        at: MIDI number to render at; default: the recording's.
        seconds: length to render, s; default: the recording's.
        gain: gain, dB.
        sample_rate: sample rate of the output, Hz; default: the recording's.
        control_map: .safetensors file to write the control map to.
        plot: PNG, SVG or PDF file to draw original and resynthesis to, side by side.
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
        analysed = load_control_map(file)
    else:
        original = Sound.load(file)
        try:
            analysed = analyse(original, pitch, key_up=key_up)
        except SoundError as error:
            raise SoundError(error.problem, path=file, remedy=error.remedy) from error
    if control_map is not None:
        save_control_map(analysed, control_map)
    sound = render(analysed, pitch=at, velocity_gain=gain, seconds=seconds, sample_rate=sample_rate)
    path = sound.save(output or file.with_name(f"{file.stem}.resynthesis.wav"))
    print(
        f"{path}: {analysed.frequency:.2f} Hz (MIDI {hz_to_midi(analysed.frequency):.2f}), "
        f"key held {analysed.key_up:.2f} of {analysed.seconds:.2f} s, "
        f"map of {len(to_bytes(analysed)) / 1000:.1f} kB"
    )
    if original is None:
        return
    first = round(analysed.onset * original.sample_rate)
    note = Sound(original.samples[first:], original.sample_rate)
    unchanged = render(analysed)
    difference = spectral_distance(note.samples, unchanged.samples, note.sample_rate)
    print(
        f"log-spectral distance {difference.lsd:.2f} dB, mel distance {difference.mel:.2f} dB "
        "(two noises of one spectrum: 6.0 dB)"
    )
    if plot is not None:
        print(save_figure(resynthesis_picture([(file.name, note, unchanged, difference)]), plot))


@corpus_app.command
def control_maps(
    paths: Positional[tuple[Path, ...]],
    *,
    output: Output,
    sample_rate: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    split_of: Path | None = None,
    workers: int | None = None,
) -> None:
    """Analyse every note of a corpus into control maps, on all cores.

    Run the same command again to resume an interrupted build.

    Args:
        paths: a store or any other corpus, or one or several SoundFonts (.sf2, .sf3).
        output: folder of control maps to write.
        sample_rate: sample rate for a SoundFont's notes, Hz; default: 44100.
        limit: number of notes of a random subset of a SoundFont; default: all.
        seed: seed of the random subset.
        split_of: store whose train, validation and test split is applied by instrument;
            instruments that it does not hold are left out. A store keeps its own split by default.
        workers: number of processes; default: all cores.
    """
    from mechanical_ears.resynthesis.control_map_corpus import (
        build_control_maps,
        open_notes,
        store_sides,
    )
    from mechanical_ears.terminal import progress_bar

    subset = {} if limit is None else {"limit": limit, "seed": seed}
    if not paths:
        raise EarsError("no corpus is given", remedy="name a store or a SoundFont")
    corpus = open_notes(paths, sample_rate=sample_rate, **subset)
    sides = None if split_of is None else store_sides(split_of)
    about = {"paths": paths, "split_of": split_of, **subset}
    with progress_bar(f"analysing {', '.join(map(str, paths))}") as move:
        report = build_control_maps(
            corpus, output, workers=workers, sides=sides, description=about, progress=move
        )
    print(
        f"{output}: {report.maps:,} maps, {report.bytes / max(report.maps, 1) / 1000:.1f} kB each; "
        f"{report.poor:,} poor ones are marked; "
        f"{report.silent:,} silent, {len(report.bad):,} bad and {report.unsplit:,} notes of "
        "instruments without a side left out"
    )
    for problem in report.bad[:10]:
        print(f"  left out: {problem}")


@corpus_app.command
def motion(folder: Positional[Path], *, output: Output) -> None:
    """Measure how recorded notes move while their key is held: the table of imagined motion.

    Args:
        folder: recordings with an index.csv; those of its train side are measured.
        output: .npz file to write.
    """
    from mechanical_ears.resynthesis.motion_table import build_motion_table
    from mechanical_ears.terminal import progress_bar

    with progress_bar(f"measuring {folder}") as move:
        table = build_motion_table(folder, move)
    table.save(output)
    print(
        f"{output}: {len(table.key):,} notes of {len(set(table.instrument.tolist()))} instruments"
    )
