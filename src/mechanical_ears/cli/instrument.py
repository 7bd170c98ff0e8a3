"""Commands for instruments: `ears export`, `ears map`, `ears play`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from mechanical_ears.cli.app import Output, app

if TYPE_CHECKING:
    from mechanical_ears.instrument.sampled import SampledInstrument

MAX_LISTED = 12  # files printed on the screen; the report lists all

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
    round_robins: int = 1,
    sample_rate: int = 48_000,
    bits: Bits = 16,
    flac: bool = False,
    preset: str | None = None,
    model: Path | None = None,
    plot: Path | None = None,
    force: bool = False,
) -> None:
    """Export an instrument for samplers: SFZ, SoundFont 2 or DecentSampler.

    Sustained samples are looped; zones cover all keys and velocities.

    Args:
        instrument: the seed of an imagined instrument or its instrument.json; an .sfz or .sf2; a
            folder of recordings; a control map or a folder of them.
        output: NAME.sfz, NAME.sf2 or NAME.dspreset.
        every: semitones from one sampled key to the next.
        layers: number of velocity layers.
        lowest: MIDI number of the lowest sampled key.
        highest: MIDI number of the highest sampled key.
        seconds: time each key is held, s; decaying sounds are held longer.
        round_robins: repetitions of each note, which take turns; a SoundFont holds one.
        sample_rate: sample rate, Hz.
        bits: bits per sample.
        flac: write FLAC instead of WAV.
        preset: bank:program of a SoundFont; default: its first preset.
        model: folder of the imagination's weights; default: the shipped ones.
        plot: PNG, SVG or PDF file to draw the zones, their loudness and a sample to.
        force: replace existing files.
    """
    from mechanical_ears.instrument.autosampler import SamplingPlan
    from mechanical_ears.instrument.export import as_samples, check_target
    from mechanical_ears.instrument.export import export as write
    from mechanical_ears.instrument.opening import open_instrument
    from mechanical_ears.instrument.sampled import SampledInstrument
    from mechanical_ears.terminal import progress_bar

    check_target(output, force)
    plan = SamplingPlan(
        lowest, highest, every, layers, seconds, sample_rate, round_robins=round_robins
    )
    opened = open_instrument(instrument, model=model, preset=preset)
    unchanged = isinstance(opened, SampledInstrument) and plan == SamplingPlan()
    _warn(opened.warnings if isinstance(opened, SampledInstrument) else ())
    with progress_bar(f"sampling {opened.name}") as move:
        sampled = as_samples(opened, None if unchanged else plan, move)
    written = write(sampled, output, bits=bits, flac=flac, force=force)
    _warn(written.notices)
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
    """Map a folder of recordings to an instrument; the ears find key, tuning and velocity layer.

    Silence is trimmed; duplicates, surplus takes, wrong notes and sounds without a single pitch are
    skipped. File names may be arbitrary.

    Args:
        folder: folder of WAV, FLAC, Ogg and MP3 files of single notes, of any sample rates.
        output: NAME.sfz, NAME.sf2 or NAME.dspreset.
        trust: which to follow where a file's name and the ears disagree.
        keep_tuning: keep each recording's tuning instead of correcting it to its key.
        name: name of the instrument; default: the folder's.
        bits: bits per sample.
        flac: write FLAC instead of WAV.
        report: CSV file with one row per recording; default: NAME.report.csv.
        plot: PNG, SVG or PDF file to draw the zones, the tuning and a sample to.
        force: replace existing files.
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
        raise EarsError("already exists", path=report, remedy="give --report or --force")
    with progress_bar("listening") as move:
        mapped = map_folder(folder, trust=trust, keep_tuning=keep_tuning, name=name, progress=move)
    written = write(mapped.instrument, output, bits=bits, flac=flac, force=force)
    write_text(report, mapped.report())
    keys = sorted({each.recording.key for each in mapped.recordings})
    print(
        f"{written.path}: {len(mapped.recordings)} of "
        f"{len(mapped.recordings) + len(mapped.skipped)} recordings, "
        f"{midi_to_name(keys[0])}–{midi_to_name(keys[-1])}, "
        f"{mapped.layers} velocity layer{'s' * (mapped.layers > 1)}, {written.size / 1e6:.1f} MB"
    )
    for recording in mapped.name_conflicts[:MAX_LISTED]:
        labels = recording.name_labels
        if labels is not None:
            print(
                f"  {recording.path.name}: named {midi_to_name(labels.pitch)}, "
                f"heard {midi_to_name(recording.key)} ({recording.confidence:.0%} sure)"
            )
    for file in mapped.skipped[:MAX_LISTED]:
        print(f"  skipped: {file.path.name}: {file.reason}")
    if max(len(mapped.name_conflicts), len(mapped.skipped)) > MAX_LISTED:
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
    stereo: bool = False,
    reverb: float = 0.0,
    sample_rate: int = 48_000,
    model: Path | None = None,
    force: bool = False,
) -> None:
    """Play a MIDI file through imagined and recorded instruments.

    Args:
        song: standard MIDI file of type 0 or 1; drums are skipped.
        output: WAV, FLAC, Ogg or MP3 file to write.
        instrument: instrument for all channels: a seed, an instrument.json, an .sfz or .sf2, a
            folder of recordings or of control maps.
        channel_map: instruments for single channels, such as 1=a.json,2=b.sfz.
        live: render each note instead of playing samples of it.
        stereo: play each instrument in stereo instead of mono in its place.
        reverb: level of the reverb, 0..1.
        sample_rate: sample rate, Hz.
        model: folder of the imagination's weights; default: the shipped ones.
        force: replace existing files.
    """
    import time

    from mechanical_ears.errors import EarsError
    from mechanical_ears.instrument import opening
    from mechanical_ears.instrument.midi import read_song
    from mechanical_ears.instrument.player import play_song
    from mechanical_ears.instrument.sampled import SampledInstrument
    from mechanical_ears.terminal import progress_bar

    if output.exists() and not force:
        raise EarsError("already exists", path=output, remedy="give another --output or --force")
    parsed = read_song(song)
    channels = opening.parse_channel_map(channel_map) if channel_map else {}
    opened = opening.open_channels(instrument, channels, model)
    for each in {id(each): each for each in opened.values()}.values():
        _warn(each.warnings if isinstance(each, SampledInstrument) else ())
    start = time.perf_counter()
    with progress_bar(f"playing {song.name}") as move:
        played = play_song(
            parsed,
            opened,
            sample_rate=sample_rate,
            live=live,
            stereo=stereo,
            reverb=reverb,
            progress=move,
        )
    elapsed = time.perf_counter() - start
    path = played.sound.save(output)
    _warn(played.warnings)
    print(
        f"{path}: {played.sound.seconds:.1f} s, {played.notes:,} notes, "
        f"up to {played.max_polyphony} at once, {played.sound.seconds / elapsed:.0f} × real time"
    )


def _draw(instrument: SampledInstrument, plot: Path | None) -> None:
    if plot is None:
        return
    from mechanical_ears.instrument.plots import plot_instrument
    from mechanical_ears.pictures import save_figure

    save_figure(plot_instrument(instrument), plot)
    print(plot)


def _warn(notices: tuple[str, ...]) -> None:
    for notice in notices:
        print(f"ears: {notice}", file=sys.stderr)
