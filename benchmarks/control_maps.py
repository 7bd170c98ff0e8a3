"""How much of a note its control map keeps, how big it is, and how quickly it is made and played.

    python benchmarks/control_maps.py [--data ../shared/data] [--scale 1.0] [--no-trackers]

Nothing is learned. Analysis was tuned on FluidR3; two choices (when a glide is followed, modes in
moving notes) were checked on 110 notes of TimGM6mb, too. Measured on TimGM6mb and
MuseScore_General, drawn over all melodic presets, on NSynth's genuine notes and two recorded
instruments at 44.1 kHz. ``EXPLAINED`` says what is counted. The pictures of the worst ten notes of
each family go to docs/pictures, the worst notes' names to docs/CONTROL_MAPS.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness import ROOT, markdown_table, medians, on_one_thread, write_section
from mechanical_ears.corpus.corpus import Corpus
from mechanical_ears.corpus.folder import Folder
from mechanical_ears.corpus.nsynth import open_nsynth
from mechanical_ears.corpus.soundfont import SoundFont
from mechanical_ears.errors import SoundError
from mechanical_ears.listening.f0 import refine
from mechanical_ears.note import FAMILIES, Note
from mechanical_ears.pictures import Picture, save_figure, with_style
from mechanical_ears.pitch import cents_between, midi_to_hz
from mechanical_ears.resynthesis.analysis.analyse import analyse
from mechanical_ears.resynthesis.control_map import MODES, ROWS, SILENCE_DB, SINGLES, ControlMap
from mechanical_ears.resynthesis.control_map_file import to_bytes
from mechanical_ears.resynthesis.spectral_distance import SpectralDistance, spectral_distance
from mechanical_ears.resynthesis.synthesis.render import render
from mechanical_ears.sound import Sound
from mechanical_ears.spectra import stft
from tracking import NoteFolder

if TYPE_CHECKING:
    from mechanical_ears.resynthesis.differentiable.control_map_batch import ControlMapBatch

COMMAND = "python benchmarks/control_maps.py"
FONTS = Path("/usr/share/sounds/sf2")
SEED = 11  # of the drawing of notes
WORST = 10  # notes of each family that are shown
TRACKERS = {"swift-f0": "SwiftF0 0.3.0", "praat-ac": "Praat (parselmouth 0.4.7), ac"}
CONFIDENT = 0.9  # of a tracker's own confidence, and
VOICED = 0.5  # of the frames, from which it is confident on an original
TRACKED = 150  # notes of a set that trackers hear
MOST = 350  # notes of a set
MAGNITUDE_NOTES = 96
SHOWN = 60.0  # dB below the maximum that count for the analytic render
PICTURE_WIDTH = 1400  # pixels
COLOURS = 40  # of a picture
TIMED = 40  # notes under the clock
PITCHES = (28, 45, 57, 69, 81, 93)  # MIDI numbers that maps are rendered at
RATES = (16_000, 44_100, 48_000)  # Hz
SURE = 0.5  # probability of a family
NOISE_BELOW = 40.0  # dB
NOTE_SAMPLES = 64_000
JUDGE = ROOT / "src/mechanical_ears/evaluation/weights/judge.safetensors"
JUDGED_BATCH = 32  # notes

EXPLAINED = """
Original and resynthesis of one map, decibels between their spectrograms (lower is better):

- *LSD*: mean |dB| over windows of 256, 1024 and 4096 samples, in the cells within 60 dB of the
  original's maximum; *mel*: the same in 80 mel bands; *added*: LSD in the cells in which the
  resynthesis lies within 60 dB of that maximum, so that what was added counts, too.
- *floor*, LSD / mel: two resyntheses of the same map with different noise, phases kept. Where all
  is noise, the floor is 6.0 dB.
- *without phases*, LSD / mel: the same maps with the phases of their partials drawn by lot, as a
  map that a generator made has them.
- *kB*: of the file, mean, largest.
""".strip()


@dataclass(frozen=True)
class Case:
    """A note, its map, what became of it and how far that is from it."""

    note: Note
    original: Sound
    controls: ControlMap
    made: Sound
    apart: SpectralDistance
    floor: SpectralDistance
    phaseless: SpectralDistance


def measure(note: Note) -> Case | None:
    """Take a note apart and put it together; None for what is refused (silence)."""
    try:
        controls = analyse(note)
    except SoundError:
        return None
    rate = note.sound.sample_rate
    original = Sound(note.sound.samples[round(controls.onset * rate) :], rate)
    made = render(controls)
    other = render(controls, seed=1).samples
    phaseless = render(controls, phases=False).samples
    return Case(
        note,
        original,
        controls,
        made,
        spectral_distance(original.samples, made.samples, rate),
        spectral_distance(made.samples, other, rate),
        spectral_distance(original.samples, phaseless, rate),
    )


def sets(data: Path, scale: float) -> dict[str, Callable[[], Corpus]]:
    """The notes that are measured, by name."""

    def font(name: str, notes: int, rate: int = 16_000) -> Callable[[], Corpus]:
        limit = max(1, round(scale * notes))
        return lambda: SoundFont(FONTS / name, limit=limit, seed=SEED, workers=1, sample_rate=rate)

    return {
        "TimGM6mb": font("TimGM6mb.sf2", 350),
        "MuseScore_General": font("MuseScore_General_Full.sf2", 150),
        "TimGM6mb at 44.1 kHz": font("TimGM6mb.sf2", 40, 44_100),
        "nsynth-dev": lambda: open_nsynth(data / "nsynth-dev"),
        "spanish-guitar, 44.1 kHz": lambda: Folder(data / "spanish-guitar", sample_rate=44_100),
        "upright-piano-kw, 44.1 kHz": lambda: Folder(data / "upright-piano-kw", sample_rate=44_100),
    }


def run_set(name: str, corpus: Corpus, most: int) -> list[Case]:
    """Measure a set, every n-th note where it is larger than ``most``."""
    notes = [scanned.note for scanned in corpus.scan() if scanned.note is not None]
    step = max(1, len(notes) // most)
    cases = []
    for done, note in enumerate(notes[::step], start=1):
        if done % 50 == 0:
            print(f"{name}: {done} of {len(notes[::step])}", file=sys.stderr)
        case = measure(note)
        if case is not None:
            cases.append(case)
    return cases


def mean(values: Sequence[float]) -> str:
    """Mean with two decimals."""
    return f"{np.mean(values):.2f}"


def distance_row(name: str, cases: Sequence[Case]) -> list[object]:
    """A row of the table of distances."""
    sizes = [len(to_bytes(case.controls)) / 1000 for case in cases]
    return [
        name,
        len(cases),
        mean([case.apart.lsd for case in cases]),
        mean([case.apart.mel for case in cases]),
        mean([case.apart.extra for case in cases]),
        f"{mean([c.floor.lsd for c in cases])} / {mean([c.floor.mel for c in cases])}",
        f"{mean([c.phaseless.lsd for c in cases])} / {mean([c.phaseless.mel for c in cases])}",
        f"{np.mean(sizes):.1f}, {max(sizes):.1f}",
    ]


def tracker_rows(name: str, cases: Sequence[Case]) -> list[list[object]]:
    """How often independent trackers hear the same pitch in original and resynthesis."""
    chosen = cases[:: max(1, len(cases) // TRACKED)]
    label = re.sub(r"[^a-z0-9]+", "-", name.lower())
    folders = [
        NoteFolder(f"controls-{label}-{kind}", [getattr(case, kind) for case in chosen])
        for kind in ("original", "made")
    ]
    rows: list[list[object]] = []
    for tracker, title in TRACKERS.items():
        before, after = (folder.answers(tracker, range(len(chosen))) for folder in folders)
        sure = [
            number
            for number, answer in enumerate(before)
            if np.isfinite(answer.pitch)
            and answer.voiced >= VOICED
            and answer.confidence >= CONFIDENT
        ]
        same = [abs(before[n].pitch - after[n].pitch) <= 0.5 for n in sure]
        rows.append([name, title, len(chosen), len(sure), f"{100 * np.mean(same):.1f}"])
    return rows


def judge_row(name: str, cases: Sequence[Case]) -> list[object] | None:
    """How often the evaluation network hears the same; None while its weights do not exist."""
    if not JUDGE.exists():
        return None
    import torch

    from mechanical_ears.evaluation.judge import EvaluationNetwork

    network = EvaluationNetwork.load()
    chosen = [case for case in cases if case.original.sample_rate == 16_000]
    audio = {
        kind: np.stack([padded(getattr(case, kind).samples) for case in chosen])
        for kind in ("original", "made")
    }
    noise = np.random.default_rng(0).standard_normal(audio["original"].shape, dtype=np.float32)
    below = 10 ** (-NOISE_BELOW / 20) * np.sqrt(np.mean(audio["original"] ** 2, axis=1))
    audio["noisy"] = audio["original"] + below[:, None] * noise
    keys, families = {}, {}
    for kind, rows in audio.items():
        heard = [
            network.predict(torch.from_numpy(rows[first : first + JUDGED_BATCH]))
            for first in range(0, len(rows), JUDGED_BATCH)
        ]
        keys[kind] = np.concatenate([each.key.argmax(1).numpy() for each in heard])
        families[kind] = np.concatenate([each.family.softmax(1).numpy() for each in heard])
    likeliest = {kind: shares.argmax(axis=1) for kind, shares in families.items()}
    sure = families["original"].max(axis=1) >= SURE
    shares = [
        np.mean(keys["original"] == keys["made"]),
        np.mean(likeliest["original"] == likeliest["made"]),
        np.mean((likeliest["original"] == likeliest["made"])[sure]),
        np.mean(sure),
        np.mean(keys["original"] == keys["noisy"]),
        np.mean(likeliest["original"] == likeliest["noisy"]),
    ]
    return [name, len(chosen), *[f"{100 * share:.1f}" for share in shares]]


def padded(samples: np.ndarray) -> np.ndarray:
    """Samples cut or padded to a note's length."""
    row = np.zeros(NOTE_SAMPLES, dtype=np.float32)
    row[: len(samples)] = samples[:NOTE_SAMPLES]
    return row


def speed_rows(cases: Sequence[Case]) -> list[list[object]]:
    """CPU milliseconds for a 4-s note on one core, and a plain matrix product of the same size."""
    chosen = [case for case in cases if case.original.seconds > 3.9]
    chosen = chosen[:: max(1, len(chosen) // TIMED)]
    maps = [case.controls for case in chosen]

    def timed(work: Callable[[], object]) -> Callable[[], float]:
        def measure() -> float:
            start = time.process_time()
            work()
            return 1000 * (time.process_time() - start) / len(chosen)

        return measure

    hops, width = 1000, 384  # of 4 ms at 48 kHz; every hop overlaps half of the next
    shapes = [2 * int((_levels(one) > -110).any(axis=1).sum()) for one in maps]
    lefts = [np.ones((hops, max(2, rows)), dtype=np.float32) for rows in shapes]
    rights = [np.ones((max(2, rows), width), dtype=np.float32) for rows in shapes]
    contenders = {
        "analysis": timed(lambda: [analyse(case.note) for case in chosen]),
        "render at 16 kHz": timed(lambda: [render(one) for one in maps]),
        "render at 48 kHz": timed(lambda: [render(one, sample_rate=48_000) for one in maps]),
        "matrix product of the partials at 48 kHz alone": timed(
            lambda: [left @ right for left, right in zip(lefts, rights, strict=True)]
        ),
    }
    figures = medians(contenders, 5)
    limit = figures["matrix product of the partials at 48 kHz alone"][1]
    full = figures["render at 48 kHz"][1]
    rows: list[list[object]] = [
        [name, f"{median:.1f} ({low:.1f}–{high:.1f})"]
        for name, (low, median, high) in figures.items()
    ]
    rows.append(["render at 48 kHz ÷ that product", f"{full / limit:.1f}"])
    return rows


def _levels(controls: ControlMap) -> np.ndarray:
    """Decibels of all partials and modes, float32 (rows, frames)."""
    from mechanical_ears.resynthesis.control_map import group_weights

    told = controls.partials.astype(np.float32)
    upper = group_weights() @ told[SINGLES:-MODES] + controls.fine.astype(np.float32)[:, None]
    if (told[SINGLES:-MODES] <= SILENCE_DB).all():
        upper = upper[:0]
    return np.concatenate([told[:SINGLES], upper, told[ROWS - MODES :]])


def pitch_errors(cases: Sequence[Case]) -> list[float]:
    """Cents by which maps with a steady f0, rendered at known pitches, miss them."""
    errors = []
    for number, case in enumerate(cases[:: max(1, len(cases) // 60)]):
        told = case.controls
        if told.partials[0].max() < -60 or told.divisor > 1:
            continue
        still = dataclasses.replace(
            told,
            cents=np.zeros_like(told.cents),
            offsets=np.zeros_like(told.offsets),
            modes=np.zeros_like(told.modes),
        )
        pitch = PITCHES[number % len(PITCHES)]
        rate = RATES[number % len(RATES)]
        sound = render(still, pitch=pitch, sample_rate=rate, phases=False, noise=False)
        heard = refine(sound.samples, rate, pitch)
        errors.append(abs(cents_between(heard.frequency, midi_to_hz(pitch))))
    return errors


@with_style
def worst_picture(family: str, cases: Sequence[Case]) -> Picture:
    """Spectrograms of the worst notes, originals above resyntheses."""
    picture = Picture(figsize=(15, 4.1))
    panels = picture.subplots(2, WORST, squeeze=False, sharex=True, sharey=True)
    for axes in panels.flat:
        axes.set_axis_off()
    for column, case in enumerate(cases):
        for row, sound in enumerate((case.original, case.made)):
            level = 20 * np.log10(np.abs(stft(sound.samples, 1024, 512)) + 1e-9)
            if row == 0:
                top = level.max()
            panels[row, column].imshow(
                level,
                aspect="auto",
                origin="lower",
                vmin=top - 80,
                vmax=top,
                cmap="magma",
                extent=(0, sound.seconds, 0, sound.sample_rate / 2000),
            )
        name = case.note.instrument.split("_", 1)[-1].replace("_", " ")
        name = re.sub(r"musescore general full", "musescore", name)[-20:]
        title = f"{name}\nkey {case.note.pitch}: {case.apart.lsd:.1f} dB"
        panels[0, column].set_title(title, fontsize=6.5)
    picture.suptitle(f"{family}: originals above, resyntheses below, 0–4 s × 0–8 kHz, 80 dB")
    return picture


def _slim(path: Path) -> None:
    """Fewer colours and pixels, since a repository keeps every picture for ever."""
    from PIL import Image

    with Image.open(path) as picture:
        width = min(PICTURE_WIDTH, picture.width)
        small = picture.convert("RGB").resize((width, picture.height * width // picture.width))
    small.quantize(COLOURS).save(path, optimize=True)


def show_worst(cases: Sequence[Case]) -> str:
    """Write the pictures of the worst notes; a table of their names."""
    rows = []
    for family in FAMILIES:
        mine = [case for case in cases if case.note.family == family]
        worst = sorted(mine, key=lambda case: -case.apart.lsd)[:WORST]
        if not worst:
            continue
        path = ROOT / "docs" / "pictures" / f"controls-worst-{family}.png"
        _slim(save_figure(worst_picture(family, worst), path))
        names = ", ".join(f"{case.note.name} ({case.apart.lsd:.1f})" for case in worst)
        rows.append([family, names])
    return markdown_table(["family", "worst notes (LSD, dB)"], rows)


def magnitude(notes: Sequence[Note]) -> None:
    """Write the section on the analytic render: how near it is, and what it costs."""
    import torch

    from mechanical_ears.listening.frontend import RANGE_DB, FrontEndFeatures, extract_features
    from mechanical_ears.resynthesis.control_grid import GRID_FRAMES
    from mechanical_ears.resynthesis.differentiable.control_map_batch import map_batch
    from mechanical_ears.resynthesis.differentiable.magnitude import (
        MagnitudeRender,
        render_magnitude,
    )

    torch.set_num_threads(1)
    maps = [analyse(note) for note in notes]

    def heard(seed: int, phases: bool) -> FrontEndFeatures:
        audio = np.zeros((len(maps), 64_000), dtype=np.float32)
        for row, controls in enumerate(maps):
            samples = render(controls, seed=seed, phases=phases, sample_rate=16_000).samples[
                :64_000
            ]
            audio[row, : len(samples)] = samples
        return extract_features(audio)

    def apart(one: np.ndarray, other: np.ndarray) -> str:
        counted = np.maximum(one, other) > 1 - SHOWN / RANGE_DB
        return f"{RANGE_DB * np.abs(one - other)[counted].mean():.2f}"

    real = heard(0, False)
    told = render_magnitude(maps)
    analytic = dataclasses.replace(
        real, **{name: part.numpy() for name, part in told._asdict().items()}
    )
    rows = []
    contenders = {
        "analytic render": analytic,
        "rendered with another noise and other phases": heard(1, False),
        "rendered with the phases of the map": heard(0, True),
    }
    for name, other in contenders.items():
        rows.append(
            [
                name,
                apart(real.pitch_map, other.pitch_map),
                apart(real.envelope, other.envelope),
                f"{RANGE_DB * np.abs(real.level - other.level).mean():.2f}",
            ]
        )
    timings = []
    for frames in (GRID_FRAMES, 144, 576):
        module, batch = MagnitudeRender(frames=frames), map_batch(maps[:32], frames=frames)
        batch = batch._replace(partials=batch.partials.requires_grad_())

        def step(module: MagnitudeRender = module, batch: ControlMapBatch = batch) -> float:
            start = time.process_time()
            result = module(batch)
            (result.pitch_map.sum() + result.envelope.sum()).backward()
            return 1000 * (time.process_time() - start) / len(batch.partials)

        low, median, high = medians({"step": step}, 5)["step"]
        timings.append(f"{median:.1f} ({low:.1f}–{high:.1f}) ms at {frames} frames")
    body = (
        f"{len(maps)} notes of TimGM6mb. Mean distance, in dB, from what the ears hear of the "
        f"rendered sound, where either lies within {SHOWN:g} dB of the maximum:\n\n"
        + markdown_table(["", "pitch map", "envelope", "level"], rows)
        + "\n\nForward and backward, a note in a batch of 32, CPU time of one thread, median "
        f"(lowest–highest) of 5: {', '.join(timings)}."
    )
    write_section(
        "controls-magnitude",
        "Control maps heard without being rendered",
        f"{COMMAND} --magnitude",
        body,
    )


def write_worst(table: str) -> None:
    """Replace the table of the worst notes in docs/CONTROL_MAPS.md, between its two marks."""
    path = ROOT / "docs" / "CONTROL_MAPS.md"
    text = path.read_text() if path.exists() else "<!-- worst: begin -->\n<!-- worst: end -->\n"
    begin, end = "<!-- worst: begin -->", "<!-- worst: end -->"
    before, after = text[: text.index(begin)], text[text.index(end) :]
    path.write_text(f"{before}{begin}\n{table}\n{after}")


def main() -> None:
    """Measure and write the section."""
    on_one_thread()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the notes")
    parser.add_argument("--no-trackers", action="store_true")
    parser.add_argument("--magnitude", action="store_true", help="only the analytic render")
    options = parser.parse_args()
    if options.magnitude:
        corpus = SoundFont(FONTS / "TimGM6mb.sf2", limit=MAGNITUDE_NOTES, seed=SEED, workers=1)
        magnitude([scanned.note for scanned in corpus.scan() if scanned.note is not None])
        return
    measured: dict[str, list[Case]] = {}
    for name, opened in sets(options.data, options.scale).items():
        try:
            corpus = opened()
        except Exception as error:  # a font or a folder that is not on this machine
            print(f"{name} is left out: {error}", file=sys.stderr)
            continue
        measured[name] = run_set(name, corpus, max(8, round(options.scale * MOST)))
    unseen = [case for name in ("TimGM6mb", "MuseScore_General") for case in measured.get(name, [])]
    header = ["notes", "count", "LSD", "mel", "added", "floor", "without phases", "kB"]
    table = markdown_table(header, [distance_row(name, cases) for name, cases in measured.items()])
    by_family = []
    for family in FAMILIES:
        row: list[object] = [family]
        for cases in (unseen, measured.get("nsynth-dev", [])):
            mine = [case.apart for case in cases if case.note.family == family]
            row.append(
                f"{mean([a.lsd for a in mine])} / {mean([a.mel for a in mine])}" if mine else "–"
            )
        by_family.append(row)
    families = markdown_table(["family", "TimGM6mb and MuseScore_General", "nsynth-dev"], by_family)
    speed = markdown_table(["", "CPU ms a 4-s note (lowest–highest)"], speed_rows(unseen))
    errors = pitch_errors(unseen)
    parts = [
        EXPLAINED,
        table,
        "LSD / mel by family:",
        families,
        "One thread, 16 kHz originals, medians of 5 runs in turn:",
        speed,
        f"Pitch of {len(errors)} steady maps rendered at known pitches and rates: error "
        f"{statistics.median(errors):.4f} cent median, {max(errors):.3f} cent worst.",
    ]
    if not options.no_trackers:
        rows = [
            row
            for name in ("TimGM6mb", "nsynth-dev")
            if name in measured
            for row in tracker_rows(name, measured[name])
        ]
        parts += [
            "Percent of notes, of those where an independent tracker is confident on the original, "
            "on which it hears the resynthesis within 50 cents of it:",
            markdown_table(["notes", "tracker", "heard", "confident", "agrees"], rows),
        ]
    judged = [judge_row(name, cases) for name, cases in measured.items() if "kHz" not in name]
    if any(judged):
        parts += [
            "Percent of notes on which the evaluation network hears the same in both; of *sure* "
            f"notes it gives the original's family at least {SURE:.0%}. Beside it the same for the "
            f"original with white noise {NOISE_BELOW:g} dB below, which nobody would take for "
            "another instrument:",
            markdown_table(
                [
                    "notes",
                    "count",
                    "key",
                    "family",
                    "family, sure notes",
                    "sure",
                    "key, noise",
                    "family, noise",
                ],
                [row for row in judged if row],
            ),
        ]
    worst = show_worst([*unseen, *measured.get("nsynth-dev", [])])
    write_worst(worst)
    write_section("controls", "Control maps", COMMAND, "\n\n".join(parts))


if __name__ == "__main__":
    main()
