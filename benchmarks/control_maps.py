"""Control maps: distance from the original sound, file size, speed of analysis and rendering.

    python benchmarks/control_maps.py [--data ../shared/data] [--scale 1.0] [--no-trackers]

Nothing is learned. Analysis was tuned on FluidR3; two choices (when the pitch is tracked, modes in
notes whose pitch moves) were also checked on 110 notes of TimGM6mb. Measured on random notes of all
melodic presets of TimGM6mb and MuseScore_General, on real notes of NSynth and on two recorded
instruments at 44.1 kHz. ``EXPLANATION`` defines the columns. Pictures of the ten worst notes of
each family are written to docs/pictures, their names to docs/CONTROL_MAPS.md.
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

from harness import (
    ROOT,
    markdown_table,
    medians,
    on_one_thread,
    slim_picture,
    write_section,
)
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
SEED = 11  # of the choice of notes
WORST_NOTES = 10  # of each family, shown in a picture
TRACKERS = {"swift-f0": "SwiftF0 0.3.0", "praat-ac": "Praat (parselmouth 0.4.7), ac"}
MIN_CONFIDENCE = 0.9  # of a tracker on an original, by its own measure
MIN_VOICED = 0.5  # share of voiced frames of an original
TRACKED_NOTES = 150  # of a set, analysed by trackers
MAX_NOTES = 350  # of a set
MAGNITUDE_NOTES = 96  # for the analytic render
RANGE_BELOW_MAXIMUM_DB = 60.0  # cells compared with the analytic render
PICTURE_COLOURS = 40
TIMED_NOTES = 40
PITCHES = (28, 45, 57, 69, 81, 93)  # MIDI numbers at which maps are rendered
RATES = (16_000, 44_100, 48_000)  # Hz
SURE_PROBABILITY = 0.5  # of a family, from which a note is a sure one
NOISE_BELOW_DB = 40.0
NOTE_SAMPLES = 64_000
JUDGE_WEIGHTS = ROOT / "src/mechanical_ears/evaluation/weights/judge.safetensors"
JUDGE_BATCH = 32  # notes

EXPLANATION = """
Distance in dB between the spectrograms of original and resynthesis (lower is better):

- *LSD*: log-spectral distance, mean |dB| over windows of 256, 1024 and 4096 samples, in the cells
  within 60 dB of the original's maximum; *mel*: the same in 80 mel bands; *added*: LSD in the cells
  in which the resynthesis is within 60 dB of that maximum, so that added sound counts as well.
- *floor*, LSD / mel: two resyntheses of the same map with different noise and the same phases. For
  a sound of noise alone it is 6.0 dB.
- *without phases*, LSD / mel: the same maps with random phases of the partials, as for maps that a
  generator returns.
- *kB*: file size, mean and largest.
""".strip()


@dataclass(frozen=True)
class Case:
    """A note, its control map and resynthesis, and their spectral distances.

    Attributes:
        distance: from the original to the resynthesis.
        floor: between two resyntheses with different noise.
        random_phases: from the original to a resynthesis with random phases.
    """

    note: Note
    original: Sound
    control_map: ControlMap
    resynthesis: Sound
    distance: SpectralDistance
    floor: SpectralDistance
    random_phases: SpectralDistance


def measure(note: Note) -> Case | None:
    """Analyse a note and render it again; None if it is silent."""
    try:
        control_map = analyse(note)
    except SoundError:
        return None
    rate = note.sound.sample_rate
    original = Sound(note.sound.samples[round(control_map.onset * rate) :], rate)
    resynthesis = render(control_map)
    other_noise = render(control_map, seed=1).samples
    random_phases = render(control_map, phases=False).samples
    return Case(
        note,
        original,
        control_map,
        resynthesis,
        distance=spectral_distance(original.samples, resynthesis.samples, rate),
        floor=spectral_distance(resynthesis.samples, other_noise, rate),
        random_phases=spectral_distance(original.samples, random_phases, rate),
    )


def note_sets(data: Path, scale: float) -> dict[str, Callable[[], Corpus]]:
    """Functions that open the measured corpora, by name."""

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


def measure_set(name: str, corpus: Corpus, max_notes: int) -> list[Case]:
    """Measure a set; of more than ``max_notes`` notes only every n-th."""
    notes = [entry.note for entry in corpus.scan() if entry.note is not None]
    step = max(1, len(notes) // max_notes)
    cases = []
    for done, note in enumerate(notes[::step], start=1):
        if done % 50 == 0:
            print(f"{name}: {done} of {len(notes[::step])}", file=sys.stderr)
        case = measure(note)
        if case is not None:
            cases.append(case)
    return cases


def mean(values: Sequence[float]) -> str:
    """The mean, with two decimals."""
    return f"{np.mean(values):.2f}"


def lsd_and_mel(distances: Sequence[SpectralDistance]) -> str:
    """Means of both distances: "LSD / mel"."""
    return f"{mean([each.lsd for each in distances])} / {mean([each.mel for each in distances])}"


def distance_row(name: str, cases: Sequence[Case]) -> list[object]:
    """A row of the table of distances."""
    sizes = [len(to_bytes(case.control_map)) / 1000 for case in cases]
    return [
        name,
        len(cases),
        mean([case.distance.lsd for case in cases]),
        mean([case.distance.mel for case in cases]),
        mean([case.distance.extra for case in cases]),
        lsd_and_mel([case.floor for case in cases]),
        lsd_and_mel([case.random_phases for case in cases]),
        f"{np.mean(sizes):.1f}, {max(sizes):.1f}",
    ]


def tracker_rows(name: str, cases: Sequence[Case]) -> list[list[object]]:
    """How often independent trackers find the same pitch in original and resynthesis."""
    chosen = cases[:: max(1, len(cases) // TRACKED_NOTES)]
    label = re.sub(r"[^a-z0-9]+", "-", name.lower())
    folders = [
        NoteFolder(f"control-maps-{label}-{kind}", [getattr(case, kind) for case in chosen])
        for kind in ("original", "resynthesis")
    ]
    rows: list[list[object]] = []
    for tracker, title in TRACKERS.items():
        originals, resyntheses = (folder.track(tracker, range(len(chosen))) for folder in folders)
        confident = [
            number
            for number, estimate in enumerate(originals)
            if np.isfinite(estimate.pitch)
            and estimate.voiced >= MIN_VOICED
            and estimate.confidence >= MIN_CONFIDENCE
        ]
        agrees = [abs(originals[n].pitch - resyntheses[n].pitch) <= 0.5 for n in confident]
        rows.append([name, title, len(chosen), len(confident), f"{100 * np.mean(agrees):.1f}"])
    return rows


def judge_row(name: str, cases: Sequence[Case]) -> list[object] | None:
    """How often the evaluation network predicts the same; None if its weights are missing."""
    if not JUDGE_WEIGHTS.exists():
        return None
    import torch

    from mechanical_ears.evaluation.judge import EvaluationNetwork

    network = EvaluationNetwork.load()
    chosen = [case for case in cases if case.original.sample_rate == 16_000]
    audio = {
        kind: np.stack([pad_to_note(getattr(case, kind).samples) for case in chosen])
        for kind in ("original", "resynthesis")
    }
    noise = np.random.default_rng(0).standard_normal(audio["original"].shape, dtype=np.float32)
    noise_level = 10 ** (-NOISE_BELOW_DB / 20) * np.sqrt(np.mean(audio["original"] ** 2, axis=1))
    audio["noise"] = audio["original"] + noise_level[:, None] * noise
    keys, families = {}, {}
    for kind, rows in audio.items():
        outputs = [
            network.predict(torch.from_numpy(rows[first : first + JUDGE_BATCH]))
            for first in range(0, len(rows), JUDGE_BATCH)
        ]
        keys[kind] = np.concatenate([each.key.argmax(1).numpy() for each in outputs])
        families[kind] = np.concatenate([each.family.softmax(1).numpy() for each in outputs])
    likeliest = {kind: probabilities.argmax(axis=1) for kind, probabilities in families.items()}
    sure = families["original"].max(axis=1) >= SURE_PROBABILITY
    shares = [
        np.mean(keys["original"] == keys["resynthesis"]),
        np.mean(likeliest["original"] == likeliest["resynthesis"]),
        np.mean((likeliest["original"] == likeliest["resynthesis"])[sure]),
        np.mean(sure),
        np.mean(keys["original"] == keys["noise"]),
        np.mean(likeliest["original"] == likeliest["noise"]),
    ]
    return [name, len(chosen), *[f"{100 * share:.1f}" for share in shares]]


def pad_to_note(samples: np.ndarray) -> np.ndarray:
    """Cut or pad samples to the length of a note."""
    row = np.zeros(NOTE_SAMPLES, dtype=np.float32)
    row[: len(samples)] = samples[:NOTE_SAMPLES]
    return row


def speed_rows(cases: Sequence[Case]) -> list[list[object]]:
    """CPU milliseconds per 4-s note on one core, and of a matrix product of the same size."""
    chosen = [case for case in cases if case.original.seconds > 3.9]
    chosen = chosen[:: max(1, len(chosen) // TIMED_NOTES)]
    maps = [case.control_map for case in chosen]

    def timer(work: Callable[[], object]) -> Callable[[], float]:
        def measure() -> float:
            start = time.process_time()
            work()
            return 1000 * (time.process_time() - start) / len(chosen)

        return measure

    hops, width = 1000, 384  # hops of 4 ms at 48 kHz; each overlaps half of the next
    row_counts = [2 * int((_partial_levels(one) > -110).any(axis=1).sum()) for one in maps]
    lefts = [np.ones((hops, max(2, rows)), dtype=np.float32) for rows in row_counts]
    rights = [np.ones((max(2, rows), width), dtype=np.float32) for rows in row_counts]
    contenders = {
        "analysis": timer(lambda: [analyse(case.note) for case in chosen]),
        "render at 16 kHz": timer(lambda: [render(one) for one in maps]),
        "render at 48 kHz": timer(lambda: [render(one, sample_rate=48_000) for one in maps]),
        "only the matrix product of the partials at 48 kHz": timer(
            lambda: [left @ right for left, right in zip(lefts, rights, strict=True)]
        ),
    }
    figures = medians(contenders, 5)
    product = figures["only the matrix product of the partials at 48 kHz"][1]
    render_time = figures["render at 48 kHz"][1]
    rows: list[list[object]] = [
        [name, f"{median:.1f} ({low:.1f}–{high:.1f})"]
        for name, (low, median, high) in figures.items()
    ]
    rows.append(["render at 48 kHz ÷ that product", f"{render_time / product:.1f}"])
    return rows


def _partial_levels(control_map: ControlMap) -> np.ndarray:
    """Levels of all partials and modes in dB, float32 (rows, frames)."""
    from mechanical_ears.resynthesis.control_map import group_weights

    rows = control_map.partials.astype(np.float32)
    upper = group_weights() @ rows[SINGLES:-MODES] + control_map.fine.astype(np.float32)[:, None]
    if (rows[SINGLES:-MODES] <= SILENCE_DB).all():
        upper = upper[:0]
    return np.concatenate([rows[:SINGLES], upper, rows[ROWS - MODES :]])


def pitch_errors(cases: Sequence[Case]) -> list[float]:
    """Pitch errors in cents of maps with a steady f0, rendered at known pitches."""
    errors = []
    for number, case in enumerate(cases[:: max(1, len(cases) // 60)]):
        original = case.control_map
        if original.partials[0].max() < -60 or original.divisor > 1:
            continue
        steady = dataclasses.replace(
            original,
            cents=np.zeros_like(original.cents),
            offsets=np.zeros_like(original.offsets),
            modes=np.zeros_like(original.modes),
        )
        pitch = PITCHES[number % len(PITCHES)]
        rate = RATES[number % len(RATES)]
        sound = render(steady, pitch=pitch, sample_rate=rate, phases=False, noise=False)
        refined = refine(sound.samples, rate, pitch)
        errors.append(abs(cents_between(refined.frequency, midi_to_hz(pitch))))
    return errors


@with_style
def plot_worst(family: str, cases: Sequence[Case]) -> Picture:
    """Spectrograms of the worst notes, originals above resyntheses."""
    picture = Picture(figsize=(15, 4.1))
    panels = picture.subplots(2, WORST_NOTES, squeeze=False, sharex=True, sharey=True)
    for axes in panels.flat:
        axes.set_axis_off()
    for column, case in enumerate(cases):
        for row, sound in enumerate((case.original, case.resynthesis)):
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
        title = f"{name}\nkey {case.note.pitch}: {case.distance.lsd:.1f} dB"
        panels[0, column].set_title(title, fontsize=6.5)
    picture.suptitle(f"{family}: originals above, resyntheses below, 0–4 s × 0–8 kHz, 80 dB")
    return picture


def write_pictures(cases: Sequence[Case]) -> str:
    """Write the pictures of the worst notes; returns a table of their names."""
    rows = []
    for family in FAMILIES:
        members = [case for case in cases if case.note.family == family]
        worst = sorted(members, key=lambda case: -case.distance.lsd)[:WORST_NOTES]
        if not worst:
            continue
        path = ROOT / "docs" / "pictures" / f"control-maps-worst-{family}.png"
        slim_picture(save_figure(plot_worst(family, worst), path), colours=PICTURE_COLOURS)
        names = ", ".join(f"{case.note.name} ({case.distance.lsd:.1f})" for case in worst)
        rows.append([family, names])
    return markdown_table(["family", "worst notes (LSD, dB)"], rows)


def measure_magnitude(notes: Sequence[Note]) -> None:
    """Write the section on the analytic render: its error and its CPU time."""
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

    def rendered_features(seed: int, phases: bool) -> FrontEndFeatures:
        sounds = [render(one, seed=seed, phases=phases, sample_rate=16_000) for one in maps]
        return extract_features(np.stack([pad_to_note(sound.samples) for sound in sounds]))

    def distance(one: np.ndarray, other: np.ndarray) -> str:
        counted = np.maximum(one, other) > 1 - RANGE_BELOW_MAXIMUM_DB / RANGE_DB
        return f"{RANGE_DB * np.abs(one - other)[counted].mean():.2f}"

    reference = rendered_features(0, False)
    features = render_magnitude(maps)._asdict()
    analytic = dataclasses.replace(
        reference, **{name: feature.numpy() for name, feature in features.items()}
    )
    rows = []
    contenders = {
        "analytic render": analytic,
        "rendered with other noise and phases": rendered_features(1, False),
        "rendered with the phases of the map": rendered_features(0, True),
    }
    for name, other in contenders.items():
        rows.append(
            [
                name,
                distance(reference.pitch_map, other.pitch_map),
                distance(reference.envelope, other.envelope),
                f"{RANGE_DB * np.abs(reference.level - other.level).mean():.2f}",
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
        f"{len(maps)} notes of TimGM6mb. Mean distance in dB from the ears' features of the "
        f"rendered sound, in cells where either is within {RANGE_BELOW_MAXIMUM_DB:g} dB of the "
        "maximum:\n\n"
        + markdown_table(["", "pitch map", "envelope", "level"], rows)
        + "\n\nForward and backward pass, CPU time of one thread per note in a batch of 32, median "
        f"(lowest–highest) of 5: {', '.join(timings)}."
    )
    write_section(
        "control-maps-magnitude",
        "The ears' features of control maps, without rendering sound",
        f"{COMMAND} --magnitude",
        body,
    )


def write_worst(table: str) -> None:
    """Replace the table of the worst notes in docs/CONTROL_MAPS.md, between its markers."""
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
        measure_magnitude([entry.note for entry in corpus.scan() if entry.note is not None])
        return
    measured: dict[str, list[Case]] = {}
    for name, open_set in note_sets(options.data, options.scale).items():
        try:
            corpus = open_set()
        except Exception as error:  # a font or a folder that is not on this machine
            print(f"skipping {name}: {error}", file=sys.stderr)
            continue
        measured[name] = measure_set(name, corpus, max(8, round(options.scale * MAX_NOTES)))
    unseen = [case for name in ("TimGM6mb", "MuseScore_General") for case in measured.get(name, [])]
    header = ["notes", "count", "LSD", "mel", "added", "floor", "without phases", "kB"]
    table = markdown_table(header, [distance_row(name, cases) for name, cases in measured.items()])
    by_family = []
    for family in FAMILIES:
        row: list[object] = [family]
        for cases in (unseen, measured.get("nsynth-dev", [])):
            distances = [case.distance for case in cases if case.note.family == family]
            row.append(lsd_and_mel(distances) if distances else "–")
        by_family.append(row)
    families = markdown_table(["family", "TimGM6mb and MuseScore_General", "nsynth-dev"], by_family)
    speed = markdown_table(["", "CPU ms per 4-s note (lowest–highest)"], speed_rows(unseen))
    errors = pitch_errors(unseen)
    parts = [
        EXPLANATION,
        table,
        "LSD / mel by family:",
        families,
        "One thread, 16 kHz originals, medians of 5 interleaved runs:",
        speed,
        f"Pitch error of {len(errors)} maps with steady f0, rendered at known pitches and rates: "
        f"median {statistics.median(errors):.4f} cent, maximum {max(errors):.3f} cent.",
    ]
    if not options.no_trackers:
        rows = [
            row
            for name in ("TimGM6mb", "nsynth-dev")
            if name in measured
            for row in tracker_rows(name, measured[name])
        ]
        parts += [
            "Percent of notes whose resynthesis an independent tracker finds within 50 cents of "
            "the original, among notes on whose original it is confident:",
            markdown_table(["set", "tracker", "notes", "confident", "agree, %"], rows),
        ]
    judged = [judge_row(name, cases) for name, cases in measured.items() if "kHz" not in name]
    if any(judged):
        parts += [
            "Percent of notes for which the evaluation network predicts the same key or family in "
            "both; *sure* notes are those whose original it assigns to a family with at least "
            f"{SURE_PROBABILITY:.0%}. For comparison the same for the original with white noise "
            f"{NOISE_BELOW_DB:g} dB below, which nobody would mistake for another instrument:",
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
    write_worst(write_pictures([*unseen, *measured.get("nsynth-dev", [])]))
    write_section("control-maps", "Control maps", COMMAND, "\n\n".join(parts))


if __name__ == "__main__":
    main()
