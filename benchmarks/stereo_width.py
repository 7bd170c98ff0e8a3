"""Stereo width of instrument families: measured on stereo samples, and checked on rendered notes.

    python benchmarks/stereo_width.py [FONT.sf2 …]           print the check
    python benchmarks/stereo_width.py --write [FONT.sf2 …]   measure the shipped table first

The fonts' presets whose samples are linked left and right are rendered by FluidSynth, both outputs,
without reverb and chorus: every second key, 2 s. A quarter of each preset's samples, by their
hashes, is held out of the table. The table has the medians over notes by family and band, and those
of each preset. Notes whose channels are equal are left out: they are mono recordings.

The check compares the held-out notes of presets in the table with notes of imagined instruments
that have the widths of the same presets: medians over bands of the medians over presets of the
medians over notes. A second table has the time of a note of 4 s at 48 kHz on one thread.
"""

from __future__ import annotations

import json
import re
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import mechanical_ears
from harness import markdown_table, medians, on_one_thread, write_section
from mechanical_ears.corpus.fluidsynth_renderer import RENDER_RATE, FluidSynthRenderer
from mechanical_ears.corpus.sf2 import Preset, SoundFontFile
from mechanical_ears.corpus.soundfont import SoundFont
from mechanical_ears.corpus.soundfont_presets import SoundFontInstrument, select_instruments
from mechanical_ears.imagining.stereo_width import TABLE, family_width
from mechanical_ears.note import FAMILIES
from mechanical_ears.resynthesis.analysis.stereo_bands import measure_stereo
from mechanical_ears.resynthesis.control_grid import to_control_maps
from mechanical_ears.resynthesis.control_map import BANDS, ControlMap
from mechanical_ears.resynthesis.synthesis.render import render
from mechanical_ears.resynthesis.synthesis.stereo import StereoWidth
from mechanical_ears.sound import Sound

FONTS = (
    Path("/usr/share/sounds/sf2/FluidR3_GM.sf2"),
    Path("/usr/share/sounds/sf2/MuseScore_General_Full.sf2"),
)
LINKED = (2, 4)  # types of the right and left samples of a pair
MIN_STEREO_SHARE = 0.9  # of a preset's regions
KEYS = range(24, 104, 2)
VELOCITY = 100
SECONDS = 2.0  # s, of a note; held for all of it
MONO_SIDE_DB = -45.0  # dB; a note whose median side is below is mono
MIN_NOTES = 4  # of a preset in the table
MAX_INSTRUMENTS = 8  # of a family, in the table
MAX_SPREAD_DB = 6.0  # dB
HELD_SHARE = 4  # one sample of so many is held out
KIN = {"bass": ("guitar",), "guitar": ("keyboard",), "flute": ("reed",), "synth_lead": ("brass",)}
REPEATS = 40  # of a timed note
REPETITIONS = 2  # imagined instruments for each preset
IMAGINED_KEYS = range(36, 97, 6)

FIGURES = ("correlation", "side_db", "level_difference_db")


@dataclass(frozen=True, eq=False)
class MeasuredNote:
    """Widths of a note by band, float64 (3, 40): correlation, side and level difference in dB."""

    family: str
    preset: str
    recordings: frozenset[str]
    figures: NDArray[np.float64]
    held: bool = False


def stereo_presets(fonts: Sequence[SoundFontFile]) -> list[SoundFontInstrument]:
    """Melodic presets whose samples are pairs of left and right."""
    chosen = []
    for instrument in select_instruments(fonts):
        types = fonts[instrument.font].tables["shdr"]["type"]
        linked = [types[region.sample] in LINKED for region in instrument.preset.regions]
        if np.mean(linked) >= MIN_STEREO_SHARE:
            chosen.append(instrument)
    return chosen


def recordings_of(font: SoundFontFile, preset: Preset, key: int) -> frozenset[str]:
    """Hashes of the pairs of samples that a note sounds."""
    mask = np.zeros((128, 128), dtype=np.bool_)
    mask[key, VELOCITY] = True
    links = font.tables["shdr"]["link"]
    pairs = ((sample, int(links[sample])) for sample in preset.samples_within(mask))
    return frozenset(min(font.fingerprint(each) or "" for each in pair) for pair in pairs)


def hold_out(notes: Sequence[MeasuredNote]) -> list[MeasuredNote]:
    """The notes, with every fourth of a family's recordings held out, preset by preset.

    Notes that sound a held recording beside another are left out.
    """
    held: set[str] = set()
    for family in FAMILIES:
        presets: dict[str, str] = {}
        for note in notes:
            if note.family == family:
                presets |= {each: note.preset for each in note.recordings if each not in presets}
        ordered = sorted(presets, key=lambda recording: (presets[recording], recording))
        held.update(ordered[1::HELD_SHARE])
    return [
        replace(note, held=note.recordings <= held)
        for note in notes
        if note.recordings <= held or not note.recordings & held
    ]


def measure_presets(paths: Sequence[Path]) -> Iterator[MeasuredNote]:
    """Render and measure the notes of all stereo presets."""
    fonts = [SoundFontFile(path) for path in paths]
    presets = stereo_presets(fonts)
    frames = round(SECONDS * RENDER_RATE)
    for number, path in enumerate(paths):
        with FluidSynthRenderer(path) as renderer:
            for instrument in (each for each in presets if each.font == number):
                preset, font = instrument.preset, fonts[number]
                covered = preset.coverage()[:, VELOCITY]
                for key in (key for key in KEYS if covered[key]):
                    samples = renderer.render(
                        preset.bank,
                        preset.program,
                        key,
                        VELOCITY,
                        hold=frames,
                        length=frames,
                        channels=2,
                    )
                    figures = figures_of(Sound(samples, RENDER_RATE))
                    if figures is not None:
                        recordings = recordings_of(font, preset, key)
                        yield MeasuredNote(instrument.family, instrument.name, recordings, figures)


def figures_of(sound: Sound) -> NDArray[np.float64] | None:
    """Figures of a note (3, 40); None for silence, or two equal channels."""
    if np.abs(sound.samples).max() < 1e-4:
        return None
    bands = measure_stereo(sound)
    if np.nanmedian(bands.side) < MONO_SIDE_DB:
        return None
    return np.stack([bands.correlation, bands.side, bands.level_difference])


def band_medians(notes: Sequence[MeasuredNote]) -> NDArray[np.float64]:
    """Medians over presets of the medians over their notes, (3, 40); NaN in bands without notes."""
    by_preset: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    for note in notes:
        by_preset[note.preset].append(note.figures)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # bands of NaN only
        medians = [np.nanmedian(figures, axis=0) for figures in by_preset.values()]
        return np.asarray(np.nanmedian(medians, axis=0))


def fill(row: NDArray[np.float64]) -> NDArray[np.float64]:
    """A row (40,) with bands of NaN filled from their neighbours, smoothed over three bands."""
    known = np.isfinite(row)
    filled = np.interp(np.arange(BANDS), np.flatnonzero(known), row[known])
    padded = np.pad(filled, 1, mode="edge")
    return np.median([padded[:-2], padded[1:-1], padded[2:]], axis=0)


def make_rows(notes: Sequence[MeasuredNote]) -> dict[str, object]:
    """Medians by band, and the spread around them of notes and bands."""
    medians = np.stack([fill(row) for row in band_medians(notes)])
    beside = np.concatenate([note.figures[1] - medians[1] for note in notes])
    beside = beside[np.isfinite(beside)]
    spread = 1.4826 * float(np.median(np.abs(beside - np.median(beside))))
    rows = {
        name: np.round(row, 2 if name == "correlation" else 1).tolist()
        for name, row in zip(FIGURES, medians, strict=True)
    }
    return {"notes": len(notes), **rows, "spread_db": round(min(spread, MAX_SPREAD_DB), 2)}


def make_table(notes: Sequence[MeasuredNote], paths: Sequence[Path]) -> dict[str, object]:
    """The table to ship."""
    families: dict[str, dict[str, object]] = {}
    for family in FAMILIES:
        own = [note for note in notes if note.family == family and not note.held]
        instruments = []
        for preset in dict.fromkeys(note.preset for note in own):
            same = [note for note in own if note.preset == preset]
            if len(same) >= MIN_NOTES:
                row = make_rows(same)
                del row["correlation"]  # follows from the others
                instruments.append({"name": preset, **row})
        if instruments:
            spread = np.linspace(0, len(instruments) - 1, min(len(instruments), MAX_INSTRUMENTS))
            chosen = [instruments[index] for index in spread.round().astype(int)]
            families[family] = make_rows(own) | {"instruments": chosen}
    for family in (each for each in FAMILIES if each not in families):
        kin = [each for each in KIN.get(family, tuple(families)) if each in families]
        means = {
            name: np.round(np.mean([families[each][name] for each in kin], axis=0), 2).tolist()
            for name in (*FIGURES, "spread_db")
        }
        families[family] = {"mean_of": kin, "notes": 0, **means, "instruments": [means]}
    provenance = SoundFont(paths).provenance
    return {
        "about": "Interchannel correlation, side beside mid and level difference of stereo "
        "samples by family and band of noise: medians. Written by benchmarks/stereo_width.py.",
        "version": 1,
        "sources": provenance.title,
        "licence": provenance.licence,
        "citation": provenance.citation,
        "files": dict(provenance.files),
        "families": {family: families[family] for family in FAMILIES},
    }


def imagined_notes(family: str, presets: Sequence[str]) -> Iterator[MeasuredNote]:
    """Notes of imagined instruments of a family that have the widths of some presets."""
    names = [row["name"] for row in family_instruments(family) if "name" in row]
    for preset in presets:
        for repetition in range(REPETITIONS):  # a seed selects the width by its remainder
            seed = names.index(preset) + repetition * len(names)
            instrument = mechanical_ears.imagine(seed, family=family, candidate=0)
            pairs = [(float(key), VELOCITY) for key in IMAGINED_KEYS]
            for sound in instrument.notes(pairs, SECONDS + 1, RENDER_RATE, channels=2):
                held = Sound(sound.samples[: round(SECONDS * RENDER_RATE)], RENDER_RATE)
                figures = figures_of(held)
                if figures is not None:
                    yield MeasuredNote(family, preset, frozenset(), figures)


def check(notes: Sequence[MeasuredNote]) -> str:
    """A table of held-out notes, and of imagined notes with the widths of the same presets."""
    rows = []
    for family in FAMILIES:
        known = {row.get("name") for row in family_instruments(family)}
        held = [n for n in notes if n.family == family and n.held and n.preset in known]
        presets = sorted({note.preset for note in held})
        if not held:
            rows.append([family, "0, 0", *["–"] * 7])
            continue
        shown = [note for note in notes if note.preset in presets and not note.held]
        expected, own = band_medians(held), band_medians(shown)
        found = band_medians(list(imagined_notes(family, presets)))
        compared = np.isfinite(expected[0]) & np.isfinite(found[0]) & np.isfinite(own[0])
        (rho, side), (rho_held, side_held), (rho_own, side_own) = (
            np.median(each[:2, compared], axis=1) for each in (found, expected, own)
        )
        rows.append(
            [
                family,
                f"{len(presets)}, {len(held)}",
                f"{rho_own:.2f}",
                f"{rho_held:.2f}",
                f"{rho:.2f}",
                f"{side_own:.1f}",
                f"{side_held:.1f}",
                f"{side:.1f}",
                "yes" if abs(rho - rho_held) <= 0.15 and abs(side - side_held) <= 3 else "no",
            ]
        )
    header = [
        "family",
        "presets, notes held out",
        "correlation: table",
        "held out",
        "imagined",
        "side beside mid, dB: table",
        "held out",
        "imagined",
        "within 0.15 and 3 dB",
    ]
    return markdown_table(header, rows)


def family_instruments(family: str) -> list[dict[str, object]]:
    """The rows of a family's instruments in the shipped table."""
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    return list(table["families"][family]["instruments"])


def speed() -> str:
    """A table of CPU times of mono and stereo notes, alternating, steady and with vibrato."""
    rows = []
    for seed, pitch in ((0, 48), (3, 60), (5, 72)):
        instrument = mechanical_ears.imagine(seed)
        grid = instrument.control_grid([pitch], [VELOCITY])
        steady = to_control_maps(grid, np.array([float(pitch)]))[0]
        vibrato = (10 * np.sin(30 * steady.times)).astype(np.float16)
        for name, note in (("steady", steady), ("vibrato", replace(steady, cents=vibrato))):
            width = family_width(instrument.family, seed)

            def measure(
                channels: int, note: ControlMap = note, width: StereoWidth = width
            ) -> float:
                start = time.process_time()
                render(note, seconds=4, sample_rate=48_000, channels=channels, width=width)
                return 1e3 * (time.process_time() - start)

            figures = medians({"mono": lambda: measure(1), "stereo": lambda: measure(2)}, REPEATS)
            mono, stereo = figures["mono"][1], figures["stereo"][1]
            label = f"{instrument.name}, {name}"
            rows.append([label, f"{mono:.1f}", f"{stereo:.1f}", f"{stereo / mono:.2f}"])
    return markdown_table(["4 s at 48 kHz", "mono, ms", "stereo, ms", "ratio"], rows)


def main() -> None:
    """Measure, write the table where that is asked for, and print the check."""
    on_one_thread()
    write = "--write" in sys.argv
    paths = [Path(each) for each in sys.argv[1:] if each != "--write"] or list(FONTS)
    notes = hold_out(list(measure_presets(paths)))
    if write:
        text = json.dumps(make_table(notes, paths), indent=1, ensure_ascii=False)
        text = re.sub(r"\[[^\[\]{}]*\]", lambda row: re.sub(r"\s+", " ", row[0]), text)
        TABLE.write_text(text + "\n", encoding="utf-8")
    command = "python benchmarks/stereo_width.py"
    write_section("stereo-width", "Stereo width", command, f"{check(notes)}\n\n{speed()}")


if __name__ == "__main__":
    main()
