"""How quickly instruments are written and played, how right they are mapped, what others hear.

    python benchmarks/instrument.py [--data ../shared/data] [--seconds 120] [--load WORDS]

Imagined instruments are written as SFZ, SoundFont and DecentSampler preset and play a song of four
voices; FluidSynth renders the same SoundFont and song in the same run. Two folders of recordings
with their names hidden are mapped. Then FluidSynth plays the SoundFonts, and what Debian's
Polyphone made of the SFZ files, and Praat and SwiftF0 hear the pitches; ``HEARD`` says what is
counted.
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
PICTURED = ("string-3", "upright-piano-kw")  # in docs/INSTRUMENTS.md
FORMATS = (".sfz", ".sf2", ".dspreset")
RATE = 48_000  # Hz
REPEATS = 3
KEYS = range(36, 97)  # MIDI numbers, whose pitch is heard
LOUD_KEYS = (48, 60, 72)  # whose loudness is
BETWEEN = (25, 32, 39, 46, 55, 64, 74, 84, 95, 107, 117, 127)  # MIDI velocities
TRACKERS = {"praat-ac": "Praat", "swift-f0": "SwiftF0"}
ATTACK = 0.1  # s, behind which a first partial is measured
CLOSE = 5.0  # cents
SILENCE = -120.0  # dB, below which nothing is told apart
TOLD = 50.0  # cents, beyond which a tracker heard another note or an octave
RECORDED = ("spanish-guitar", "upright-piano-kw")
SILENT = 1e-5  # of full scale

HEARD = """
Keys 36–96 at velocity 100, held for 1 s, by FluidSynth (48 kHz, 7th order, no effects). *first
partial*: worst |cents| off the key of the strongest peak within half a semitone of it (a parabola
through the logarithms of a spectrum). Trackers hear all partials, those of a stiff string's bass,
too, which lie sharp, in the live render as in the SoundFont: *within 5 cents*: of the keys on which
the tracker hears the note (within 50 cents of it or of what the live renderer plays), how many lie
within 5 cents of what the same tracker hears in the live render of that key; *off the key*: median
|cents| from equal temperament. *seam*: how far the loudest seam of a loop stands out of its
neighbourhood, by the third difference (a click is 3 dB and more). *softest step*: least rise over
velocities 1, 7, … 127. *at a border*: largest |dB| between the last velocity of a layer and the
first of the next, where neighbours of one layer are at most 0.9 dB apart. *as live*: difference in
dB between the loudness of velocities 25–127 and the live renderer's, less its median over the
velocities of a key; root mean square, worst. *release*: dB at its end, beside the held note. Steps,
borders and *as live* are of keys 48, 60 and 72.
""".strip()


@dataclass(frozen=True)
class Spent:
    """Seconds by the clock, and of all cores' work."""

    wall: float
    cpu: float


@contextmanager
def spent() -> Iterator[list[Spent]]:
    """Measures the block; the one item of the list is there when it is over."""
    told: list[Spent] = []
    wall, cpu = time.perf_counter(), time.process_time()
    yield told
    told.append(Spent(time.perf_counter() - wall, time.process_time() - cpu))


def write_song(path: Path, seconds: float) -> None:
    """A chorale of four voices, 120 quarter notes a minute, each voice a random walk in C major."""
    scale = [note for note in range(36, 97) if note % 12 in (0, 2, 4, 5, 7, 9, 11)]
    chance = np.random.default_rng(4)
    file = mido.MidiFile(ticks_per_beat=480)
    for voice, start in enumerate((8, 14, 20, 26)):
        track = mido.MidiTrack()
        place, waited = start, 0
        for _ in range(round(2 * seconds)):
            place = int(np.clip(place + chance.integers(-2, 3), start - 7, start + 7))
            note, velocity = scale[place], int(chance.integers(40, 121))
            track.append(mido.Message("note_on", note=note, velocity=velocity, time=waited))
            track.append(mido.Message("note_off", note=note, time=456))
            waited = 24
        file.tracks.append(track)
        track.insert(0, mido.MetaMessage("track_name", name=f"voice {voice + 1}"))
    file.save(path)


def fluidsynth_song(font: Path, song: Path, seconds: float) -> NDArray[np.float32]:
    """The same by FluidSynth: its default interpolation, no reverb, no chorus."""
    import fluidsynth

    library = ctypes.CDLL(fluidsynth.lib)
    pointer, whole = ctypes.c_void_p, ctypes.c_int
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
        at = pointer(part.ctypes.data)
        library.fluid_synth_write_float(synth, whole(len(part)), at, 0, 2, at, 1, 2)
    last = frames[round((seconds - 1) * RATE) : round(seconds * RATE)]
    assert np.abs(last).max() > SILENT, "the song does not reach its end"
    for name, what in (("player", player), ("synth", synth), ("settings", settings)):
        getattr(library, f"delete_fluid_{name}")(what)
    return frames


def export_rows(instruments: Sequence[Playable], folder: Path) -> list[list[object]]:
    """Seconds of sampling each instrument and of writing it in each format."""
    rows = []
    for instrument in instruments:
        with spent() as sampling:
            sampled = sample_instrument(instrument)
        audio = sum(len(s.audio) / s.sample_rate for s in sampled.samples.values())
        looped = sum(zone.loop is not None for zone in sampled.zones)
        cells = []
        for suffix in FORMATS:
            with spent() as writing:
                written = export(sampled, folder / f"{instrument.name}{suffix}", force=True)
            cells.append(f"{writing[0].wall:.1f} s, {written.size / 1e6:.0f} MB")
        took = f"{sampling[0].wall:.1f} s ({sampling[0].cpu:.1f} s CPU)"
        if instrument.name in PICTURED:
            draw(sampled, instrument.name)
        rows.append([instrument.name, len(sampled.zones), looped, f"{audio:.0f} s", took, *cells])
    return rows


def play_rows(imagined: Playable, folder: Path, seconds: float) -> tuple[list[list[object]], str]:
    """How quickly a song of four voices is played, by us and by FluidSynth."""
    path = folder / "song.mid"
    write_song(path, seconds)
    song = read_song(path)
    stem = folder / imagined.name
    loaded = open_instrument(stem.with_suffix(".sfz"))
    fonts = open_instrument(stem.with_suffix(".sf2"))
    ways: dict[str, Callable[[], object]] = {
        "from its samples (SFZ)": lambda: play_song(song, {0: loaded}),
        "from its samples, with reverb": lambda: play_song(song, {0: loaded}, reverb=0.2),
        "from its SoundFont": lambda: play_song(song, {0: fonts}),
        "imagined, sampled for the song": lambda: play_song(song, {0: imagined}),
        "imagined, `--live-render`": lambda: play_song(song, {0: imagined}, live=True),
        "FluidSynth, the same SoundFont": lambda: fluidsynth_song(
            stem.with_suffix(".sf2"), path, seconds
        ),
    }
    cpu: dict[str, list[float]] = {name: [] for name in ways}

    def timed(name: str) -> Callable[[], float]:
        def measure() -> float:
            with spent() as told:
                ways[name]()
            cpu[name].append(seconds / told[0].cpu)
            return seconds / told[0].wall

        return measure

    figures = medians({name: timed(name) for name in ways}, REPEATS)
    ours, theirs = (float(np.median(cpu[name])) for name in (next(iter(ways)), list(ways)[-1]))
    rows: list[list[object]] = [
        [name, f"{median:.0f} ({low:.0f}–{high:.0f})", f"{np.median(cpu[name]):.0f}"]
        for name, (low, median, high) in figures.items()
    ]
    return (
        rows,
        f"{len(song.notes)} notes; a CPU-second of ours ÷ FluidSynth's: {ours / theirs:.2f}",
    )


def mapping_rows(data: Path, folder: Path) -> list[list[object]]:
    """Roots and layers of recordings under names that tell nothing."""
    rows: list[list[object]] = []
    for name in RECORDED:
        source = data / name
        if not (source / "truth.csv").exists():
            print(f"{name} is left out: {source} is not here", file=sys.stderr)
            continue
        with (source / "truth.csv").open(newline="") as file:
            truth = list(csv.DictReader(file))
        hidden = folder / name
        hidden.mkdir()
        for number, row in enumerate(truth):
            (hidden / f"take{number:03d}x.flac").symlink_to((source / row["file"]).resolve())
        with spent() as told:
            mapped = map_folder(hidden)
        heard = {each.recording.path.stem: each for each in mapped.placed}
        keys = [int(row["pitch_midi"]) for row in truth]
        found = [heard.get(f"take{number:03d}x") for number in range(len(truth))]
        right = [e is not None and e.recording.key == k for e, k in zip(found, keys, strict=True)]
        loud = [int(row["velocity_low"] or 0) > 0 for row in truth]
        layer = [e is not None and (e.layer > 0) == up for e, up in zip(found, loud, strict=True)]
        sounds = [Sound.load(source / row["file"]) for row in truth]
        answers = NoteFolder(f"instrument-{name}", sounds).answers("praat-ac", range(len(truth)))
        praat = [abs(a.pitch - k) < 0.5 for a, k in zip(answers, keys, strict=True)]
        rows.append(
            [
                name,
                len(truth),
                f"**{100 * np.mean(right):.1f} %** of {len(truth)}",
                f"{100 * np.mean(praat):.1f} %",
                mapped.layers,
                f"{100 * np.mean(layer):.1f} %" if mapped.layers > 1 else "–",
                f"{told[0].wall:.1f} s ({told[0].cpu:.1f} s CPU)",
            ]
        )
        if name in PICTURED:
            draw(mapped.instrument, name)
    return rows


def draw(instrument: SampledInstrument, name: str) -> None:
    """The picture of an instrument in docs/pictures."""
    path = ROOT / "docs" / "pictures" / f"instrument-{name}.png"
    slim_picture(save_figure(plot_instrument(instrument), path))


def polyphone(sfz: Path, folder: Path) -> Path | None:
    """What Polyphone makes of an SFZ file; None where it is not installed."""
    program = shutil.which("polyphone")
    if program is None:
        return None
    name = f"{sfz.stem}-polyphone"
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "HOME": str(folder)}
    words = [program, "-1", "-i", str(sfz), "-d", str(folder), "-o", name]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    print(f"polyphone: {(done.stdout + done.stderr).strip()[-200:]}", file=sys.stderr)
    return folder / f"{name}.sf2"


def loudness(audio: NDArray[np.float32]) -> float:
    """Mean square, dB."""
    return float(10 * np.log10(np.mean(np.square(audio, dtype=np.float64)) + 1e-20))


class Fluid(FluidSynthRenderer):
    """A SoundFont's first preset, played by FluidSynth."""

    def note(self, key: int, velocity: int, held: float, whole: float) -> NDArray[np.float32]:
        """A note, float32 (frames,), let go after ``held`` of ``whole`` s."""
        hold, length = round(held * RENDER_RATE), round(whole * RENDER_RATE)
        return self.render(0, 0, key, velocity, hold=hold, length=length)

    def level(self, key: int, velocity: int) -> float:
        """Mean square of a note's first second, dB."""
        return loudness(self.note(key, velocity, 1.0, 1.0))


def pitch_cells(fluid: Fluid, live: Sequence[Sound], label: str) -> list[str]:
    """What each tracker hears of `KEYS`, beside the same keys rendered live."""
    played = [Sound(fluid.note(key, 100, 1.0, 1.0), RENDER_RATE) for key in KEYS]
    errors = [first_partial(sound, key) for sound, key in zip(played, KEYS, strict=True)]
    cells = [f"{max(map(abs, errors)):.1f}"]
    for tracker in TRACKERS:
        ours, theirs = (
            np.array([a.pitch for a in NoteFolder(name, notes).answers(tracker, range(len(KEYS)))])
            for name, notes in ((f"instrument-{label}", played), (f"instrument-{label}-live", live))
        )
        off, apart = 100 * (ours - np.array(KEYS)), 100 * (ours - theirs)
        told = (np.abs(off) < TOLD) | (np.abs(apart) < TOLD)
        within = np.mean(np.abs(apart[told]) <= CLOSE)
        cells.append(f"{100 * within:.1f} % of {told.sum()}; {np.median(np.abs(off[told])):.1f}")
    return cells


def first_partial(sound: Sound, key: int) -> float:
    """Cents by which the strongest peak near a key lies above it."""
    part = sound.samples[round(ATTACK * sound.sample_rate) :]
    size = 8 << (len(part) - 1).bit_length()
    levels = np.log(np.abs(np.fft.rfft(part * np.blackman(len(part)), size)) + 1e-12)
    wanted = 440 * 2 ** ((key - 69) / 12) * size / sound.sample_rate
    low, high = round(wanted * 2 ** (-1 / 24)), round(wanted * 2 ** (1 / 24))
    place = low + int(levels[low : high + 1].argmax())
    before, here, after = levels[place - 1 : place + 2]
    peak = place + (before - after) / (2 * (before - 2 * here + after))
    return float(1200 * np.log2(peak / wanted))


def loudness_cells(
    fluid: Fluid, edges: Sequence[int], live: NDArray[np.float64]
) -> tuple[str, str, str]:
    """How loudness rises with velocity.

    Args:
        fluid: what is heard.
        edges: last velocities of the layers but the last.
        live: dB, (keys, velocities) of `LOUD_KEYS` and `BETWEEN` by the live renderer.
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
    ours = np.array([[fluid.level(key, velocity) for velocity in BETWEEN] for key in LOUD_KEYS])
    apart = ours - live
    apart -= np.median(apart, axis=1, keepdims=True)
    rms, worst = np.sqrt(np.mean(apart**2)), np.abs(apart).max()
    return f"{min(rises):.1f} dB", f"{max(steps):.1f} dB", f"{rms:.1f}, {worst:.1f}"


def seam_cell(fluid: Fluid, sampled: SampledInstrument) -> str:
    """How far the first passes of a loop's end stand out, dB."""
    worst = []
    for zone in sampled.zones:
        if zone.loop is None or not zone.velocities[0] <= 100 <= zone.velocities[1]:
            continue
        speed = 2 ** (zone.transposition(zone.root) / 12) * sampled.samples[zone.sample].sample_rate
        length = (zone.loop.end - zone.loop.start) / speed
        moments = [zone.loop.end / speed + turn * length for turn in range(2)]
        audio = fluid.note(zone.root, 100, moments[-1] + 0.3, moments[-1] + 0.3)[:, None]
        around = RENDER_RATE // 20
        for moment in moments:
            place = round(moment * RENDER_RATE)
            worst.append(seam_db(audio[place - around : place + around], around, RENDER_RATE))
    return f"{max(worst):.1f} dB of {len(worst)}" if worst else "no loops"


def release_cell(fluid: Fluid, sampled: SampledInstrument) -> str:
    """Level behind the end of the longest release, dB beside the held note."""
    release = max(zone.envelope.release for zone in sampled.zones)
    tail = fluid.note(60, 100, 0.5, 0.5 + release + 0.25)
    ended = loudness(tail[-RENDER_RATE // 8 :]) - loudness(tail[: RENDER_RATE // 2])
    return f"{max(ended, SILENCE):.0f} dB"


def heard_rows(instruments: Sequence[ImaginedInstrument], folder: Path) -> list[list[object]]:
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
        touched = live([(key, velocity) for key in LOUD_KEYS for velocity in BETWEEN])
        levels = np.array([loudness(s.samples) for s in touched]).reshape(len(LOUD_KEYS), -1)
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
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        instruments = [imagine(seed, family=family) for seed, family in IMAGINED]
        exported = export_rows(instruments, folder)
        played, ratio = play_rows(instruments[0], folder, options.seconds)
        mapped = mapping_rows(options.data, folder)
        heard = heard_rows(instruments, folder)
    trackers = [f"{title}: within 5 cents; off the key" for title in TRACKERS.values()]
    body = "\n\n".join(
        [
            f"While it was measured: {options.load}.",
            "Every third key of 88 in three layers, held for 4 s at 48 kHz, 16 bits:",
            markdown_table(
                ["instrument", "zones", "looped", "audio", "sampled in", *FORMATS], exported
            ),
            f"A song of four voices, {options.seconds:g} s, at 48 kHz on {instruments[0].name}, "
            f"median (lowest–highest) of {REPEATS} runs in turn ({ratio}):",
            markdown_table(["", "× real time by the clock", "… by CPU time"], played),
            "Recordings under names that tell nothing:",
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
            HEARD,
            markdown_table(
                [
                    "",
                    "first partial, cents",
                    *trackers,
                    "seam",
                    "softest step",
                    "at a border",
                    "as live",
                    "release",
                ],
                heard,
            ),
        ]
    )
    write_section("instrument", "Instruments for samplers and songs", COMMAND, body)


if __name__ == "__main__":
    main()
