"""Speed of export and playback, correctness of mapping, and what other programs detect.

    python benchmarks/instrument.py [--data ../shared/data] [--seconds 120] [--load WORDS]

Imagined instruments are exported as SFZ, SoundFont and DecentSampler preset and play a song of four
voices; FluidSynth renders the same SoundFont and song in the same run. Two folders of recordings
are mapped under meaningless names. Then FluidSynth plays the SoundFonts, and the SFZ files as
Debian's Polyphone converts them, and Praat and SwiftF0 detect the pitches; ``MEASURES`` explains
the numbers.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np
from numpy.typing import NDArray

from harness import ROOT, markdown_table, medians, slim_picture, write_section
from mechanical_ears.corpus.fluidsynth_renderer import RENDER_RATE, FluidSynthRenderer
from mechanical_ears.imagining.imagine import imagine
from mechanical_ears.imagining.instrument import ImaginedInstrument
from mechanical_ears.instrument.autosampler import sample_instrument
from mechanical_ears.instrument.export import export
from mechanical_ears.instrument.loops import seam_db
from mechanical_ears.instrument.mapping import map_folder
from mechanical_ears.instrument.midi import read_song
from mechanical_ears.instrument.opening import open_instrument
from mechanical_ears.instrument.playable import Playable
from mechanical_ears.instrument.player import play_song
from mechanical_ears.instrument.plots import plot_instrument
from mechanical_ears.instrument.sampled import SampledInstrument
from mechanical_ears.pictures import save_figure
from mechanical_ears.sound import Sound
from tracking import NoteFolder

COMMAND = "python benchmarks/instrument.py"
IMAGINED = ((7, "keyboard"), (3, "string"), (11, "organ"), (9, "flute"))  # seeds and families
PLOTTED = ("string-3", "upright-piano-kw")  # in docs/INSTRUMENTS.md
FORMATS = (".sfz", ".sf2", ".dspreset")
RATE = 48_000  # Hz
REPEATS = 3
KEYS = range(36, 97)  # MIDI numbers whose pitch is measured
LOUD_KEYS = (48, 60, 72)  # MIDI numbers whose loudness is measured
VELOCITIES = (25, 32, 39, 46, 55, 64, 74, 84, 95, 107, 117, 127)  # MIDI velocities
TRACKERS = {"praat-ac": "Praat", "swift-f0": "SwiftF0"}
ATTACK_SECONDS = 0.1  # s, before a first partial is measured
TOLERANCE = 5.0  # cents
SILENCE_DB = -120.0  # dB
MAX_NOTE_ERROR = 50.0  # cents, beyond which a tracker detected another note or octave
RECORDED = ("spanish-guitar", "upright-piano-kw")
MIN_PEAK = 1e-5  # of full scale

MEASURES = """
Keys 36–96 at velocity 100, held for 1 s, by FluidSynth (48 kHz, 7th order, no effects). *first
partial*: worst |cents| off the key of the strongest peak within half a semitone of it (a parabola
through the logarithms of a spectrum). Trackers use all partials, also those of a stiff string's
bass, which are sharp, in the live render as in the SoundFont: *within 5 cents*: share of the keys
at which the tracker detects the note (within 50 cents of it or of the live render) where it is
within 5 cents of what the same tracker detects in the live render; *off the key*: median |cents|
from equal temperament. *seam*: how far the worst seam of a loop stands out of its neighbourhood,
by the third difference (a click is 3 dB and more). *smallest step*: smallest rise over velocities
1, 7, … 127. *at a border*: largest |dB| between the last velocity of a layer and the first of the
next; neighbours within a layer are at most 0.9 dB apart. *as live*: difference in dB between the
loudness of velocities 25–127 and the live renderer's, minus its median over the velocities of a
key; root mean square, worst. *release*: dB at its end, relative to the sustained note. Steps,
borders and *as live* are of keys 48, 60 and 72.
""".strip()


@dataclass(frozen=True)
class Timing:
    """Wall-clock seconds, and CPU seconds of all cores."""

    wall: float
    cpu: float


@contextmanager
def timing() -> Iterator[list[Timing]]:
    """Time a block; the list has one item after the block."""
    timings: list[Timing] = []
    wall, cpu = time.perf_counter(), time.process_time()
    yield timings
    timings.append(Timing(time.perf_counter() - wall, time.process_time() - cpu))


def write_song(path: Path, seconds: float) -> None:
    """Four voices at 120 quarter notes per minute, each a random walk in C major."""
    scale = [note for note in range(36, 97) if note % 12 in (0, 2, 4, 5, 7, 9, 11)]
    rng = np.random.default_rng(4)
    file = mido.MidiFile(ticks_per_beat=480)
    for voice, start in enumerate((8, 14, 20, 26)):
        track = mido.MidiTrack()
        degree, wait = start, 0
        for _ in range(round(2 * seconds)):
            degree = int(np.clip(degree + rng.integers(-2, 3), start - 7, start + 7))
            note, velocity = scale[degree], int(rng.integers(40, 121))
            track.append(mido.Message("note_on", note=note, velocity=velocity, time=wait))
            track.append(mido.Message("note_off", note=note, time=456))
            wait = 24
        file.tracks.append(track)
        track.insert(0, mido.MetaMessage("track_name", name=f"voice {voice + 1}"))
    file.save(path)


def fluidsynth_song(font: Path, song: Path, seconds: float) -> NDArray[np.float32]:
    """A song rendered by FluidSynth: default interpolation, no reverb, no chorus."""
    import fluidsynth

    library = ctypes.CDLL(fluidsynth.lib)
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    for name in ("new_fluid_settings", "new_fluid_synth", "new_fluid_player"):
        getattr(library, name).restype = pointer
    settings = pointer(library.new_fluid_settings())
    library.fluid_settings_setnum(settings, b"synth.sample-rate", ctypes.c_double(RATE))
    for name in (b"synth.reverb.active", b"synth.chorus.active"):
        library.fluid_settings_setint(settings, name, 0)
    library.fluid_settings_setstr(settings, b"player.timing-source", b"sample")
    synth = pointer(library.new_fluid_synth(settings))
    library.fluid_synth_sfload(synth, bytes(font), 1)
    player = pointer(library.new_fluid_player(synth))
    library.fluid_player_add(player, bytes(song))
    library.fluid_player_play(player)
    frames = np.zeros((round((seconds + 2) * RATE), 2), dtype=np.float32)
    for first in range(0, len(frames), 8192):
        part = frames[first : first + 8192]
        address = pointer(part.ctypes.data)
        library.fluid_synth_write_float(synth, integer(len(part)), address, 0, 2, address, 1, 2)
    last = frames[round((seconds - 1) * RATE) : round(seconds * RATE)]
    assert np.abs(last).max() > MIN_PEAK, "the song ends too early"
    for name, handle in (("player", player), ("synth", synth), ("settings", settings)):
        getattr(library, f"delete_fluid_{name}")(handle)
    return frames


def export_rows(instruments: Sequence[Playable], folder: Path) -> list[list[object]]:
    """Seconds of sampling each instrument and of exporting it in each format."""
    rows = []
    for instrument in instruments:
        with timing() as sampling:
            sampled = sample_instrument(instrument)
        audio = sum(len(s.audio) / s.sample_rate for s in sampled.samples.values())
        looped = sum(zone.loop is not None for zone in sampled.zones)
        cells = []
        for suffix in FORMATS:
            with timing() as writing:
                written = export(sampled, folder / f"{instrument.name}{suffix}", force=True)
            cells.append(f"{writing[0].wall:.1f} s, {written.size / 1e6:.0f} MB")
        elapsed = f"{sampling[0].wall:.1f} s ({sampling[0].cpu:.1f} s CPU)"
        if instrument.name in PLOTTED:
            draw(sampled, instrument.name)
        rows.append(
            [instrument.name, len(sampled.zones), looped, f"{audio:.0f} s", elapsed, *cells]
        )
    return rows


def play_rows(imagined: Playable, folder: Path, seconds: float) -> tuple[list[list[object]], str]:
    """Speed of playing a song of four voices, by us and by FluidSynth."""
    path = folder / "song.mid"
    write_song(path, seconds)
    song = read_song(path)
    stem = folder / imagined.name
    loaded = open_instrument(stem.with_suffix(".sfz"))
    fonts = open_instrument(stem.with_suffix(".sf2"))
    methods: dict[str, Callable[[], object]] = {
        "from its samples (SFZ)": lambda: play_song(song, {0: loaded}),
        "from its samples, with reverb": lambda: play_song(song, {0: loaded}, reverb=0.2),
        "from its SoundFont": lambda: play_song(song, {0: fonts}),
        "imagined, sampled for the song": lambda: play_song(song, {0: imagined}),
        "imagined, `--live-render`": lambda: play_song(song, {0: imagined}, live=True),
        "FluidSynth, the same SoundFont": lambda: fluidsynth_song(
            stem.with_suffix(".sf2"), path, seconds
        ),
    }
    cpu: dict[str, list[float]] = {name: [] for name in methods}

    def timer(name: str) -> Callable[[], float]:
        def measure() -> float:
            with timing() as timings:
                methods[name]()
            cpu[name].append(seconds / timings[0].cpu)
            return seconds / timings[0].wall

        return measure

    speeds = medians({name: timer(name) for name in methods}, REPEATS)
    ours, fluidsynth = (
        float(np.median(cpu[name])) for name in (next(iter(methods)), list(methods)[-1])
    )
    rows: list[list[object]] = [
        [name, f"{median:.0f} ({low:.0f}–{high:.0f})", f"{np.median(cpu[name]):.0f}"]
        for name, (low, median, high) in speeds.items()
    ]
    return (
        rows,
        f"{len(song.notes)} notes; CPU time of FluidSynth ÷ ours: {ours / fluidsynth:.2f}",
    )


def mapping_rows(data: Path, folder: Path) -> list[list[object]]:
    """Roots and layers of recordings under meaningless names."""
    rows: list[list[object]] = []
    for name in RECORDED:
        source = data / name
        if not (source / "truth.csv").exists():
            print(f"{name} is skipped: {source} is missing", file=sys.stderr)
            continue
        with (source / "truth.csv").open(newline="") as file:
            truth = list(csv.DictReader(file))
        hidden = folder / name
        hidden.mkdir()
        for number, row in enumerate(truth):
            (hidden / f"take{number:03d}x.flac").symlink_to((source / row["file"]).resolve())
        with timing() as timings:
            mapped = map_folder(hidden)
        by_name = {each.recording.path.stem: each for each in mapped.recordings}
        keys = [int(row["pitch_midi"]) for row in truth]
        found = [by_name.get(f"take{number:03d}x") for number in range(len(truth))]
        correct = [e is not None and e.recording.key == k for e, k in zip(found, keys, strict=True)]
        loud = [int(row["velocity_low"] or 0) > 0 for row in truth]
        layer = [e is not None and (e.layer > 0) == up for e, up in zip(found, loud, strict=True)]
        sounds = [Sound.load(source / row["file"]) for row in truth]
        detected = NoteFolder(f"instrument-{name}", sounds).track("praat-ac", range(len(truth)))
        praat = [abs(a.pitch - k) < 0.5 for a, k in zip(detected, keys, strict=True)]
        rows.append(
            [
                name,
                len(truth),
                f"**{100 * np.mean(correct):.1f} %** of {len(truth)}",
                f"{100 * np.mean(praat):.1f} %",
                mapped.layers,
                f"{100 * np.mean(layer):.1f} %" if mapped.layers > 1 else "–",
                f"{timings[0].wall:.1f} s ({timings[0].cpu:.1f} s CPU)",
            ]
        )
        if name in PLOTTED:
            draw(mapped.instrument, name)
    return rows


def draw(instrument: SampledInstrument, name: str) -> None:
    """Write the plot of an instrument to docs/pictures."""
    path = ROOT / "docs" / "pictures" / f"instrument-{name}.png"
    slim_picture(save_figure(plot_instrument(instrument), path))


def polyphone(sfz: Path, folder: Path) -> Path | None:
    """SoundFont that Polyphone converts an SFZ file to; None if it is not installed."""
    program = shutil.which("polyphone")
    if program is None:
        return None
    name = f"{sfz.stem}-polyphone"
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "HOME": str(folder)}
    command = [program, "-1", "-i", str(sfz), "-d", str(folder), "-o", name]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    print(f"polyphone: {(result.stdout + result.stderr).strip()[-200:]}", file=sys.stderr)
    return folder / f"{name}.sf2"


def loudness(audio: NDArray[np.float32]) -> float:
    """Mean square, dB."""
    return float(10 * np.log10(np.mean(np.square(audio, dtype=np.float64)) + 1e-20))


class Fluid(FluidSynthRenderer):
    """A SoundFont's first preset, played by FluidSynth."""

    def note(self, key: int, velocity: int, hold: float, seconds: float) -> NDArray[np.float32]:
        """A note, float32 (frames,), held for ``hold`` of ``seconds`` s."""
        frames, length = round(hold * RENDER_RATE), round(seconds * RENDER_RATE)
        return self.render(0, 0, key, velocity, hold=frames, length=length)

    def level(self, key: int, velocity: int) -> float:
        """Mean square of a note's first second, dB."""
        return loudness(self.note(key, velocity, 1.0, 1.0))


def pitch_cells(fluid: Fluid, live: Sequence[Sound], label: str) -> list[str]:
    """Pitches of `KEYS` by each tracker, compared with the same keys rendered live."""
    notes = [Sound(fluid.note(key, 100, 1.0, 1.0), RENDER_RATE) for key in KEYS]
    errors = [first_partial(sound, key) for sound, key in zip(notes, KEYS, strict=True)]
    cells = [f"{max(map(abs, errors)):.1f}"]
    for tracker in TRACKERS:
        sampled, rendered = (
            np.array([a.pitch for a in NoteFolder(name, each).track(tracker, range(len(KEYS)))])
            for name, each in ((f"instrument-{label}", notes), (f"instrument-{label}-live", live))
        )
        off, difference = 100 * (sampled - np.array(KEYS)), 100 * (sampled - rendered)
        found = (np.abs(off) < MAX_NOTE_ERROR) | (np.abs(difference) < MAX_NOTE_ERROR)
        within = np.mean(np.abs(difference[found]) <= TOLERANCE)
        cells.append(f"{100 * within:.1f} % of {found.sum()}; {np.median(np.abs(off[found])):.1f}")
    return cells


def first_partial(sound: Sound, key: int) -> float:
    """Cents by which the strongest peak near a key is sharp of it."""
    part = sound.samples[round(ATTACK_SECONDS * sound.sample_rate) :]
    size = 8 << (len(part) - 1).bit_length()
    levels = np.log(np.abs(np.fft.rfft(part * np.blackman(len(part)), size)) + 1e-12)
    expected = 440 * 2 ** ((key - 69) / 12) * size / sound.sample_rate
    low, high = round(expected * 2 ** (-1 / 24)), round(expected * 2 ** (1 / 24))
    index = low + int(levels[low : high + 1].argmax())
    before, here, after = levels[index - 1 : index + 2]
    peak = index + (before - after) / (2 * (before - 2 * here + after))
    return float(1200 * np.log2(peak / expected))


def loudness_cells(
    fluid: Fluid, edges: Sequence[int], live: NDArray[np.float64]
) -> tuple[str, str, str]:
    """Rise of loudness with velocity: smallest step, largest at a border, difference from live.

    Args:
        fluid: the exported instrument.
        edges: highest velocity of each layer except the loudest.
        live: dB, (keys, velocities) of `LOUD_KEYS` and `VELOCITIES` by the live renderer.
    """
    rises = [
        np.diff([fluid.level(key, velocity) for velocity in range(1, 128, 6)]).min()
        for key in LOUD_KEYS
    ]
    steps = [
        abs(fluid.level(key, edge + 1) - fluid.level(key, edge))
        for key in LOUD_KEYS
        for edge in edges
    ]
    levels = np.array(
        [[fluid.level(key, velocity) for velocity in VELOCITIES] for key in LOUD_KEYS]
    )
    difference = levels - live
    difference -= np.median(difference, axis=1, keepdims=True)
    rms, worst = np.sqrt(np.mean(difference**2)), np.abs(difference).max()
    return f"{min(rises):.1f} dB", f"{max(steps):.1f} dB", f"{rms:.1f}, {worst:.1f}"


def seam_cell(fluid: Fluid, sampled: SampledInstrument) -> str:
    """How far the first two seams of each loop stand out, dB; the worst."""
    worst = []
    for zone in sampled.zones:
        if zone.loop is None or not zone.velocities[0] <= 100 <= zone.velocities[1]:
            continue
        speed = 2 ** (zone.transposition(zone.root) / 12) * sampled.samples[zone.sample].sample_rate
        length = (zone.loop.end - zone.loop.start) / speed
        seams = [zone.loop.end / speed + number * length for number in range(2)]
        audio = fluid.note(zone.root, 100, seams[-1] + 0.3, seams[-1] + 0.3)[:, None]
        reach = RENDER_RATE // 20
        for seam in seams:
            frame = round(seam * RENDER_RATE)
            worst.append(seam_db(audio[frame - reach : frame + reach], reach, RENDER_RATE))
    return f"{max(worst):.1f} dB of {len(worst)}" if worst else "no loops"


def release_cell(fluid: Fluid, sampled: SampledInstrument) -> str:
    """Level after the longest release, dB relative to the sustained note."""
    release = max(zone.envelope.release for zone in sampled.zones)
    tail = fluid.note(60, 100, 0.5, 0.5 + release + 0.25)
    end = loudness(tail[-RENDER_RATE // 8 :]) - loudness(tail[: RENDER_RATE // 2])
    return f"{max(end, SILENCE_DB):.0f} dB"


def detection_rows(instruments: Sequence[ImaginedInstrument], folder: Path) -> list[list[object]]:
    """A row for each SoundFont, and for each SFZ file as Polyphone converts it."""
    rows: list[list[object]] = []
    for instrument in instruments:
        stem = folder / instrument.name
        sampled = open_instrument(stem.with_suffix(".sf2"))
        edges = sorted({zone.velocities[1] for zone in sampled.zones} - {127})

        def live(
            pairs: Sequence[tuple[float, int]], by: ImaginedInstrument = instrument
        ) -> list[Sound]:
            return [Sound(sound.samples[:RATE], RATE) for sound in by.notes(pairs, 2.0, RATE)]

        at_keys = live([(key, 100) for key in KEYS])
        by_velocity = live([(key, velocity) for key in LOUD_KEYS for velocity in VELOCITIES])
        levels = np.array([loudness(s.samples) for s in by_velocity]).reshape(len(LOUD_KEYS), -1)
        fonts = {
            "SF2": stem.with_suffix(".sf2"),
            "SFZ by Polyphone": polyphone(stem.with_suffix(".sfz"), folder),
        }
        for kind, font in fonts.items():
            if font is None:
                continue
            label = f"{instrument.name}-{kind.replace(' ', '-')}"
            with Fluid(font) as fluid:
                rows.append(
                    [
                        f"{instrument.name}, {kind}",
                        *pitch_cells(fluid, at_keys, label),
                        seam_cell(fluid, sampled),
                        *loudness_cells(fluid, edges, levels),
                        release_cell(fluid, sampled),
                    ]
                )
            print(rows[-1], file=sys.stderr)
    return rows


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--seconds", type=float, default=120.0, help="of the song")
    parser.add_argument("--load", default="nothing else ran", help="what else the machine did")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        instruments = [imagine(seed, family=family) for seed, family in IMAGINED]
        exported = export_rows(instruments, folder)
        played, ratio = play_rows(instruments[0], folder, options.seconds)
        mapped = mapping_rows(options.data, folder)
        detected = detection_rows(instruments, folder)
    trackers = [f"{title}: within 5 cents; off the key" for title in TRACKERS.values()]
    body = "\n\n".join(
        [
            f"While it was measured: {options.load}.",
            "Every third key of 88 in three layers, held for 4 s at 48 kHz, 16 bits:",
            markdown_table(
                ["instrument", "zones", "looped", "audio", "sampled in", *FORMATS], exported
            ),
            f"A song of four voices, {options.seconds:g} s, at 48 kHz on {instruments[0].name}, "
            f"median (lowest–highest) of {REPEATS} interleaved runs ({ratio}):",
            markdown_table(["", "× real time by the clock", "… by CPU time"], played),
            "Recordings under meaningless names:",
            markdown_table(
                [
                    "folder",
                    "files",
                    "roots right",
                    "Praat, rounded",
                    "layers",
                    "layer right",
                    "time",
                ],
                mapped,
            ),
            MEASURES,
            markdown_table(
                [
                    "",
                    "first partial, cents",
                    *trackers,
                    "seam",
                    "smallest step",
                    "at a border",
                    "as live",
                    "release",
                ],
                detected,
            ),
        ]
    )
    write_section("instrument", "Instruments for samplers and songs", COMMAND, body)


if __name__ == "__main__":
    main()
