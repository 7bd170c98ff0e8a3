"""Commands that take notes apart and put them together: resynthesise, corpus controls."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from mechanical_ears.cli.apps import MaybeOutput, Output, app, corpus_app
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
    from mechanical_ears.imagining.analysis import analyse
    from mechanical_ears.imagining.distance import distance
    from mechanical_ears.imagining.picture import resynthesis_picture
    from mechanical_ears.imagining.render import render
    from mechanical_ears.imagining.storage import load_controls, save_controls, to_bytes
    from mechanical_ears.pictures import save_figure
    from mechanical_ears.pitch import hz_to_midi
    from mechanical_ears.sound import Sound

    original = None
    if file.suffix == ".safetensors":
        found = load_controls(file)
    else:
        original = Sound.load(file)
        try:
            found = analyse(original, pitch, key_up=key_up)
        except SoundError as error:
            raise SoundError(error.problem, path=file, remedy=error.remedy) from error
    if controls is not None:
        save_controls(found, controls)
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
    apart = distance(heard.samples, as_it_was.samples, heard.sample_rate)
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
    from mechanical_ears.imagining.maps import build_maps, open_notes, sides_of
    from mechanical_ears.terminal import progress_bar

    chosen = {} if limit is None else {"limit": limit, "seed": seed}
    if not paths:
        raise EarsError("no corpus is given", remedy="name a store or a SoundFont")
    corpus = open_notes(paths, sample_rate=sample_rate, **chosen)
    sides = None if split_of is None else sides_of(split_of)
    with progress_bar(f"taking apart {', '.join(map(str, paths))}") as move:
        report = build_maps(
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
