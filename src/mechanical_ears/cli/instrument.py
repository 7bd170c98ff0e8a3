"""Commands for instruments: export, map, play."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from mechanical_ears.cli.app import Output, app

if TYPE_CHECKING:
    from mechanical_ears.instrument.sampled import SampledInstrument

WIDEST = 12  # files that are named on the screen; all are in the report

Live = Annotated[bool, arg(name="live-render")]
Bits = Literal[16, 24]


@app.command
def export(
    instrument: Positional[str],
    *,
    output: Output,
    every: int = 3,
    layers: int = 3,
    lowest: int = 21,
    highest: int = 108,
    seconds: float = 4.0,
    sample_rate: int = 48_000,
    bits: Bits = 16,
    flac: bool = False,
    preset: str | None = None,
    model: Path | None = None,
    plot: Path | None = None,
    force: bool = False,
) -> None:
    """Write an instrument for samplers: SFZ, SoundFont 2 or DecentSampler.

    Samples are looped where the instrument holds its level; keys and velocities are tiled.

    Args:
        instrument: the seed of an imagined instrument or its instrument.json; an .sfz or .sf2; a
            folder of recordings; a control map or a folder of them.
        output: NAME.sfz, NAME.sf2 or NAME.dspreset.
        every: keys from one sample to the next.
        layers: of velocity.
        lowest: MIDI number of the lowest key that is sampled.
        highest: of the highest.
        seconds: for which each key is held, s; what falls is held for longer.
        sample_rate: Hz.
        bits: of a sample.
        flac: write FLAC instead of WAV.
        preset: bank:program of a SoundFont; its first if not given.
        model: folder of the weights that imagine; the shipped ones if not given.
        plot: PNG, SVG or PDF file with the zones, their loudness and a sample.
        force: take the place of what stands there.
    """
    from mechanical_ears.instrument.autosampler import SamplingPlan
    from mechanical_ears.instrument.export import as_samples, check_target
    from mechanical_ears.instrument.export import export as write
    from mechanical_ears.instrument.opening import open_instrument
    from mechanical_ears.instrument.sampled import SampledInstrument
    from mechanical_ears.terminal import progress_bar

    check_target(output, force)
    plan = SamplingPlan(lowest, highest, every, layers, seconds, sample_rate)
    opened = open_instrument(instrument, model=model, preset=preset)
    asked = None if isinstance(opened, SampledInstrument) and plan == SamplingPlan() else plan
    _warn(opened.warnings if isinstance(opened, SampledInstrument) else ())
    with progress_bar(f"sampling {opened.name}") as move:
        sampled = as_samples(opened, asked, move)
    written = write(sampled, output, bits=bits, flac=flac, force=force)
    beside = "" if written.folder is None else f" beside {written.folder.name}/"
    print(
        f"{written.path}{beside}: {opened.name}, {written.zones} zones, "
        f"{written.samples} samples, {written.size / 1e6:.1f} MB"
    )
    _draw(sampled, plot)


@app.command(name="map")
def map_recordings(
    folder: Positional[Path],
    *,
    output: Output,
    trust: Literal["ears", "names"] = "ears",
    keep_tuning: bool = False,
    name: str | None = None,
    bits: Bits = 16,
    flac: bool = False,
    report: Path | None = None,
    plot: Path | None = None,
    force: bool = False,
) -> None:
    """Make an instrument of a folder of recordings: the ears find each one's key, cents and layer.

    Silence is trimmed; copies, surplus takes, wrong notes and what has no single pitch are set
    aside. Files may be named anyhow.

    Args:
        folder: WAV, FLAC, Ogg and MP3 files of single notes, of any rates.
        output: NAME.sfz, NAME.sf2 or NAME.dspreset.
        trust: whose word counts where a file's name and the ears tell different notes.
        keep_tuning: leave each recording at its pitch instead of moving it to its key's.
        name: of the instrument; the folder's if not given.
        bits: of a sample.
        flac: write FLAC instead of WAV.
        report: CSV file that tells of each file; NAME.report.csv if not given.
        plot: PNG, SVG or PDF file with the zones, how far each recording is off, and a sample.
        force: take the place of what stands there.
    """
    from mechanical_ears.errors import EarsError
    from mechanical_ears.files import write_text
    from mechanical_ears.instrument.export import check_target
    from mechanical_ears.instrument.export import export as write
    from mechanical_ears.instrument.mapping import map_folder
    from mechanical_ears.pitch import midi_to_name
    from mechanical_ears.terminal import progress_bar

    check_target(output, force)
    report = output.with_suffix(".report.csv") if report is None else report
    if report.exists() and not force:
        raise EarsError("exists already", path=report, remedy="give --report or --force")
    with progress_bar("listening") as move:
        mapped = map_folder(folder, trust=trust, keep_tuning=keep_tuning, name=name, progress=move)
    written = write(mapped.instrument, output, bits=bits, flac=flac, force=force)
    write_text(report, mapped.report())
    keys = sorted({each.recording.key for each in mapped.placed})
    print(
        f"{written.path}: {len(mapped.placed)} of {len(mapped.placed) + len(mapped.aside)} "
        f"recordings, {midi_to_name(keys[0])}–{midi_to_name(keys[-1])}, "
        f"{mapped.layers} velocity layer{'s' * (mapped.layers > 1)}, {written.size / 1e6:.1f} MB"
    )
    for recording in mapped.disagreements[:WIDEST]:
        named = recording.named
        if named is not None:
            print(
                f"  {recording.path.name}: named {midi_to_name(named.pitch)}, "
                f"heard {midi_to_name(recording.key)} ({recording.confidence:.0%} sure)"
            )
    for file in mapped.aside[:WIDEST]:
        print(f"  set aside: {file.path.name}: {file.reason}")
    if max(len(mapped.disagreements), len(mapped.aside)) > WIDEST:
        print(f"  … all in {report}")
    else:
        print(report)
    _draw(mapped.instrument, plot)


@app.command
def play(
    song: Positional[Path],
    *,
    output: Output,
    instrument: str | None = None,
    channel_map: str = "",
    live: Live = False,
    reverb: float = 0.0,
    sample_rate: int = 48_000,
    model: Path | None = None,
    force: bool = False,
) -> None:
    """Play a MIDI file through imagined and recorded instruments.

    Args:
        song: standard MIDI file of type 0 or 1; drums are passed over.
        output: WAV, FLAC, Ogg or MP3 file to write.
        instrument: for all channels: a seed, an instrument.json, an .sfz or .sf2, a folder of
            recordings or control maps.
        channel_map: instruments of single channels, 1=a.json,2=b.sfz.
        live: render each note instead of playing samples.
        reverb: level of a room beside the sound, 0..1.
        sample_rate: Hz.
        model: folder of the weights that imagine; the shipped ones if not given.
        force: take the place of what stands there.
    """
    import time

    from mechanical_ears.errors import EarsError
    from mechanical_ears.instrument import opening
    from mechanical_ears.instrument.formats.wav import save_stereo
    from mechanical_ears.instrument.midi import read_song
    from mechanical_ears.instrument.player import play_song
    from mechanical_ears.instrument.sampled import SampledInstrument
    from mechanical_ears.terminal import progress_bar

    if output.exists() and not force:
        raise EarsError("exists already", path=output, remedy="give another --output or --force")
    read = read_song(song)
    channels = opening.channel_map(channel_map) if channel_map else {}
    opened = opening.open_channels(instrument, channels, model)
    for each in {id(each): each for each in opened.values()}.values():
        _warn(each.warnings if isinstance(each, SampledInstrument) else ())
    begun = time.perf_counter()
    with progress_bar(f"playing {song.name}") as move:
        played = play_song(
            read, opened, sample_rate=sample_rate, live=live, reverb=reverb, progress=move
        )
    took = time.perf_counter() - begun
    path = save_stereo(played.audio, played.sample_rate, output)
    _warn(played.notices)
    print(
        f"{path}: {played.seconds:.1f} s, {played.notes:,} notes, up to {played.voices} at once, "
        f"{played.seconds / took:.0f} × real time"
    )


def _draw(instrument: SampledInstrument, plot: Path | None) -> None:
    if plot is None:
        return
    from mechanical_ears.instrument.plots import instrument_picture
    from mechanical_ears.pictures import save_figure

    save_figure(instrument_picture(instrument), plot)
    print(plot)


def _warn(notices: tuple[str, ...]) -> None:
    for notice in notices:
        print(f"ears: {notice}", file=sys.stderr)
