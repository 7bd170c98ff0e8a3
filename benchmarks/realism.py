"""How well classifiers distinguish imagined notes from recordings, and how both move.

    python benchmarks/realism.py [--data ../shared/data] [--step N] [--workers N] [--dry]

The recordings are those of ``notes/`` that nothing was trained or chosen on (``side=held``). For
each there is an imagined note of its family at its key; both go through the chain of
`discrimination`, whose classifiers are trained here only. ``EXPLANATION`` says what is compared.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import correlate

from discrimination import (
    FEATURES,
    RATE,
    SECONDS,
    Floats,
    accuracies,
    balanced_accuracy,
    chain,
    code_vorbis,
    discriminate,
    from_onset,
    log_mel,
    mean_and_spread,
    without_trend,
)
from harness import ROOT, markdown_table, medians, on_one_thread, write_section
from mechanical_ears import imagine
from mechanical_ears.errors import SoundError
from mechanical_ears.pitch import midi_to_hz
from mechanical_ears.resynthesis.analysis.analyse import analyse
from mechanical_ears.resynthesis.control_map import ControlMap
from mechanical_ears.resynthesis.motion import Motion, animate, measure_motion
from mechanical_ears.resynthesis.motion_table import STILL_ARTICULATIONS
from mechanical_ears.resynthesis.synthesis.render import render
from mechanical_ears.sound import Sound

COMMAND = "python benchmarks/realism.py"
SUSTAINED: Final = ("brass", "flute", "organ", "reed", "string", "vocal")
OTHERS: Final = ("bass", "guitar", "keyboard", "mallet", "synth_lead")  # where these are too few
MIN_NOTES: Final = 200  # of each side
KEYS: Final = (36, 96)  # MIDI numbers, both included
MAX_NOTE_SECONDS: Final = 3.0
NOTES_PER_INSTRUMENT: Final = 8  # that one imagined instrument plays
VELOCITY: Final = 100  # where a recording's is unknown
IMAGINED_RATE: Final = 48_000  # Hz
SEEDS: Final = (0, 1)
HALVES: Final = 2  # divisions of the recordings into two halves, for each seed
STEADY_SECONDS: Final = (0.5, 2.5)  # from the onset
MIN_STEADY_SECONDS: Final = 0.7
BEFORE_KEY_UP: Final = 0.06  # s
STEP: Final = 80  # samples between frames of a partial
PARTIALS: Final = 8
AUDIBLE_DB: Final = 40.0  # below the loudest partial
REPEATED: Final = 24  # notes that are repeated
MAX_LAG: Final = 400  # samples, between repeats
WITH, WITHOUT, FULL, SMOOTH, RANDOM, REAL = (
    "imagined, with motion",
    "imagined, without motion (control)",
    "resynthesis: full control map",
    "resynthesis: smooth only (control)",
    "resynthesis: random motion",
    "two halves of the recordings (control)",
)

EXPLANATION = f"""
Balanced accuracy in percent (50 is chance) of distinguishing notes from recordings of `notes/`
(`side=held`, recorded; nothing was trained or chosen on them): mean and half the range of two
seeds, each of which has other imagined instruments and classifiers. Resyntheses are rendered once;
the halves are divided four times.

- *Chain*, the same for both sides: mono, 16 kHz, the first {SECONDS:g} s from the onset, equally
  loud, Vorbis. As recordings come as Vorbis at 44.1 or 48 kHz, imagined notes are rendered at 48
  kHz and coded so before. Each note is as long as its recording, at most {MAX_NOTE_SECONDS:g} s.
- *Matched*: for each recording an imagined note of its family at its key and velocity; one imagined
  instrument for {NOTES_PER_INSTRUMENT} notes of a real one. Both are in the same fold.
- *Folds*: three by `origin_group`, so that no instrument and no recorder is trained on and tested;
  *by instrument*: five by the instrument only.
- *Trees* (boosted): *spectrum*, the mean of 0.3–1.9 s in mel bands; *motion*, its modulation
  spectra of 0.4–50 Hz; *all*, both; *first 0.3 s*, levels in time and bands. *CNN*: small, on
  log-mel.
- *Controls*: without motion ≥ 85 % and by motion only ≥ 85 %; smooth only ≥ 78 %; halves
  50 ± 6 %, and random motion at most 2 points above full maps (bound). Where a control fails, the
  figures that it is for do not count.
- *Limits*: two recorders, Versilian and Iowa, made more than four fifths of these recordings, so a
  classifier in folds by `origin_group` learns from few notes of other recorders, and what it learns
  may be reversed at the next (values below 50 are no success). Folds by instrument see more.
  The CNN is trained for ten epochs only, 40–120 steps: its figures are lower bounds.
""".strip()

MOVEMENT_EXPLANATION = """
Movement of steady notes, 0.5–2.5 s from the onset, 16 kHz, first eight partials: standard deviation
of the level around a parabola (dB) and of the pitch around a line (cents). Median (90 %; the
median's difference from the recordings' in percent).
""".strip()

FAMILY_COLUMNS: Final = ("all", "motion", "CNN")

Samples = NDArray[np.float32]
Answers = list[dict[str, NDArray[np.bool_]]]


@dataclass(frozen=True)
class Recording:
    """A real note and its control map; samples at 16 kHz from the onset, at most 3 s."""

    instrument: str
    family: str
    origin_group: str
    key: int
    velocity: int
    samples: Samples
    control_map: ControlMap


@dataclass(frozen=True)
class Comparison:
    """Two sets of notes and the groups of their folds; ``log_mel`` of each note."""

    first: list[Floats]
    second: list[Floats]
    groups: tuple[list[str], list[str]]
    families: list[str]  # of both sets
    instruments: tuple[list[str], list[str]] | None = None  # groups of the other folds


@dataclass
class Results:
    """Answers of the classifiers for one row of the table, a mapping for each comparison."""

    comparisons: list[Comparison] = field(default_factory=list)
    answers: list[dict[str, NDArray[np.bool_]]] = field(default_factory=list)
    by_instrument: list[dict[str, NDArray[np.bool_]]] = field(default_factory=list)

    def add(self, comparison: Comparison, answers: Answers) -> None:
        """Add what `distinguish` returned."""
        self.comparisons.append(comparison)
        self.answers.append(answers[0])
        self.by_instrument += answers[1:]

    def values(self) -> dict[str, list[float]]:
        """Balanced accuracies of each column."""
        counts = [len(each.first) for each in self.comparisons]
        values = accuracies(self.answers, counts)
        if self.by_instrument:
            values["by instrument"] = accuracies(self.by_instrument, counts)["all"]
        return values

    def of_family(self, family: str, name: str) -> float:
        """Balanced accuracy of one family's notes, percent; nan where there are none."""
        values = []
        for answers, comparison in zip(self.answers, self.comparisons, strict=True):
            chosen = np.array(comparison.families) == family
            if chosen.any():
                first = int(chosen[: len(comparison.first)].sum())
                values.append(balanced_accuracy(answers[name][chosen], first))
        return float(np.mean(values)) if values else float("nan")


def distinguish(task: tuple[str, Comparison, int]) -> Answers:
    """The answers in folds by group and, for pairs, those of trees in folds by instrument."""
    name, comparison, seed = task
    say(f"{name}, seed {seed}")
    sets = comparison.first, comparison.second
    answers = [discriminate(*sets, comparison.groups, seed)]
    if comparison.instruments is not None:
        answers.append(discriminate(*sets, comparison.instruments, seed, ("all",), 5))
    return answers


def read_recordings(
    folder: Path, families: Sequence[str], pool: Executor, step: int = 1
) -> list[Recording]:
    """Recorded notes that nothing was trained on, held long enough to measure their movement."""
    with (folder / "index.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["recorded"] == "1"
            and row["side"] == "held"
            and row["family"] in families
            and KEYS[0] <= int(row["pitch"]) <= KEYS[1]
            and row["articulation"] not in STILL_ARTICULATIONS
            and not (row["articulation"] == "plucked" and row["family"] in SUSTAINED)
        ]
    return [each for each in pool.map(_read, [(folder, row) for row in rows[::step]]) if each]


def _read(task: tuple[Path, dict[str, str]]) -> Recording | None:
    folder, row = task
    samples = from_onset(Sound.load(folder / row["path"]))
    samples = samples[: round(MAX_NOTE_SECONDS * RATE)]
    try:
        control_map = analyse(Sound(samples, RATE), pitch=float(row["pitch"]))
    except SoundError:
        return None
    return Recording(
        instrument=f"{row['source']}/{row['instrument']}",
        family=row["family"],
        origin_group=row["origin_group"],
        key=int(row["pitch"]),
        velocity=int(row["velocity"]) or VELOCITY,
        samples=samples,
        control_map=control_map,
    )


def is_long(recording: Recording) -> bool:
    """Whether a recording has 2 s from its onset, as the classifiers' notes have."""
    return len(recording.samples) >= SECONDS * RATE


def imagined_notes(
    recordings: Sequence[Recording], seed: int, pool: Executor
) -> dict[str, list[Samples]]:
    """For each recording notes of an imagined instrument, with motion and without.

    Args:
        recordings: what they are matched to.
        seed: another seed, other instruments.
        pool: in which they are rendered.
    """
    players: dict[tuple[str, int], list[int]] = {}
    counts: dict[str, int] = {}
    for number, each in enumerate(recordings):
        counts[each.instrument] = counts.get(each.instrument, -1) + 1
        player = counts[each.instrument] // NOTES_PER_INSTRUMENT
        players.setdefault((each.instrument, player), []).append(number)
    tasks = [
        (
            zlib.crc32(f"{name}/{player}/{seed}".encode()) % 100_000,
            recordings[numbers[0]].family,
            [(recordings[number].key, recordings[number].velocity) for number in numbers],
            [len(recordings[number].samples) / RATE for number in numbers],
        )
        for (name, player), numbers in players.items()
    ]
    notes: dict[tuple[str, int], Samples] = {}
    for numbers, rendered in zip(players.values(), pool.map(_play, tasks), strict=True):
        for name, sounds in rendered.items():
            notes |= {(name, number): each for number, each in zip(numbers, sounds, strict=True)}
    return {
        name: [notes[name, number] for number in range(len(recordings))] for name in (WITH, WITHOUT)
    }


def _play(
    task: tuple[int, str, list[tuple[int, int]], list[float]],
) -> dict[str, list[Samples]]:
    seed, family, pairs, lengths = task
    instrument = imagine(seed, family=family)
    return {
        name: [
            from_onset(Sound(code_vorbis(sound.samples, IMAGINED_RATE), IMAGINED_RATE))
            for sound in instrument.notes(pairs, lengths, IMAGINED_RATE, motion=motion)
        ]
        for name, motion in ((WITH, 1.0), (WITHOUT, 0.0))
    }


def resyntheses(task: tuple[Recording, int]) -> dict[str, Samples] | None:
    """Renderings of a recording's control map; None if it is held too shortly to measure."""
    recording, seed = task
    control_map = recording.control_map
    motion = measure_motion(control_map)
    if motion is None:
        return None
    maps = {
        FULL: control_map,
        SMOOTH: animate(control_map, Motion(), seed),
        RANDOM: animate(control_map, motion.typical(), seed),
    }
    return {
        name: from_onset(render(each, sample_rate=RATE, seed=seed)) for name, each in maps.items()
    }


def movement(samples: Samples, key: float, end: float) -> tuple[float, float] | None:
    """How a steady note moves in level and pitch, in 0.5–2.5 s from its onset.

    Each of the first eight partials is shifted to 0 Hz and low-pass filtered (Hann, four periods).

    Args:
        samples: at 16 kHz, from the onset.
        key: MIDI number.
        end: second at which the key is released.

    Returns:
        Standard deviation in dB of the level around a parabola, in the mean over the partials
        within 40 dB of the loudest; and in cents of the pitch, the partials' weighted mean, around
        a line. None if it is held too shortly.
    """
    start, stop = STEADY_SECONDS
    stop = min(stop, end - BEFORE_KEY_UP)
    if stop - start < MIN_STEADY_SECONDS:
        return None
    frequency = midi_to_hz(key)
    window = np.hanning(round(max(0.03, 4 / frequency) * RATE))
    window /= window.sum()
    numbers = np.arange(1, PARTIALS + 1)
    numbers = numbers[numbers * frequency < 0.45 * RATE]
    samples = samples[: round((STEADY_SECONDS[1] + 0.2) * RATE)]
    frames = np.arange(0, len(samples) - len(window), STEP)
    middle = frames + len(window) // 2
    track = np.zeros(len(frames) - 1)  # cents beside the key
    for count in (2, 2, 4, PARTIALS):
        hertz = frequency * 2 ** (np.interp(np.arange(len(samples)), middle[1:], track) / 1200)
        turn = np.exp(-2j * np.pi * np.cumsum(hertz) / RATE)
        shifted = samples * np.cumprod(np.tile(turn, (len(numbers[:count]), 1)), axis=0)
        windows = np.lib.stride_tricks.sliding_window_view(shifted, len(window), axis=1)
        partials = windows[:, frames] @ window
        steps = partials[:, 1:] * partials[:, :-1].conj()
        offsets = np.angle(steps) * RATE / STEP / (2 * np.pi) / numbers[:count, None]  # Hz
        weights = np.abs(steps) * numbers[:count, None] ** 2
        offset = (offsets * weights).sum(axis=0) / (weights.sum(axis=0) + 1e-20)
        measured = track + 1200 * np.log2(1 + np.clip(offset / hertz[middle[1:]], -0.05, 0.05))
        track = gaussian_filter1d(measured, 6)  # followed slowly: 30 ms
    steady = (middle[1:] >= start * RATE) & (middle[1:] < stop * RATE)
    levels = 20 * np.log10(np.abs(partials[:, 1:][:, steady]) + 1e-9)
    means = levels.mean(axis=1)
    levels = levels[means > means.max() - AUDIBLE_DB]
    am = float(without_trend(levels, 2).std(axis=1).mean())
    return am, float(without_trend(measured[steady], 1).std())


def repeat_correlation(first: Samples, second: Samples) -> float:
    """Highest correlation of two notes, from 0.1 s to 2 s, within 25 ms."""
    part = slice(round(0.1 * RATE), round(SECONDS * RATE))
    a, b = first[part].astype(np.float64), second[part].astype(np.float64)
    middle = len(b) - 1
    products = correlate(a, b)[middle - MAX_LAG : middle + MAX_LAG + 1]
    return float(np.abs(products).max() / np.sqrt((a @ a) * (b @ b)))


def halves(recordings: Sequence[Recording], levels: Sequence[Floats], seed: int) -> Comparison:
    """The recordings in two halves, at random within each instrument."""
    rng = np.random.default_rng(seed)
    order = sorted(rng.permutation(len(levels)), key=lambda number: recordings[number].instrument)
    sets = order[::2], order[1::2]
    groups = [[recordings[number].origin_group for number in each] for each in sets]
    return Comparison(
        [levels[number] for number in sets[0]],
        [levels[number] for number in sets[1]],
        (groups[0], groups[1]),
        [recordings[number].family for each in sets for number in each],
    )


def paired(
    recordings: Sequence[Recording], real: Sequence[Floats], others: Sequence[Samples]
) -> Comparison:
    """The recordings and, in the same order, what is to be distinguished from them."""
    groups = [each.origin_group for each in recordings]
    instruments = [each.instrument for each in recordings]
    return Comparison(
        list(real),
        [log_mel(chain(samples)) for samples in others],
        (groups, groups),
        [each.family for each in recordings] * 2,
        (instruments, instruments),
    )


def compare(
    recordings: Sequence[Recording],
    imagined: Mapping[tuple[str, int], list[Samples]],
    pool: Executor,
) -> dict[str, Results]:
    """All rows of the table.

    Args:
        recordings: the real notes; the long ones are compared.
        imagined: for each, a note of `imagined_notes`, by row and seed.
        pool: in which notes are rendered and classifiers trained.
    """
    long = [number for number, each in enumerate(recordings) if is_long(each)]
    recordings = [recordings[number] for number in long]
    real = [log_mel(chain(each.samples)) for each in recordings]
    rendered = list(pool.map(resyntheses, zip(recordings, range(len(recordings)), strict=True)))
    kept = [number for number, each in enumerate(rendered) if each is not None]
    tasks: list[tuple[str, Comparison, int]] = []
    for seed in SEEDS:
        for name in (WITH, WITHOUT):
            notes = [imagined[name, seed][number] for number in long]
            tasks.append((name, paired(recordings, real, notes), seed))
    for name in (FULL, SMOOTH, RANDOM):
        notes = [each[name] for each in rendered if each is not None]
        pairs = paired([recordings[i] for i in kept], [real[i] for i in kept], notes)
        tasks += [(name, pairs, seed) for seed in SEEDS]
    for seed in range(HALVES * len(SEEDS)):
        tasks.append((REAL, halves(recordings, real, seed), seed))
    results = {name: Results() for name in (WITH, WITHOUT, FULL, SMOOTH, RANDOM, REAL)}
    for (name, comparison, _), answers in zip(tasks, pool.map(distinguish, tasks), strict=True):
        results[name].add(comparison, answers)
    return results


def say(text: str) -> None:
    """Print progress with the time."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def accuracy_table(results: dict[str, Results]) -> str:
    """Balanced accuracy of each row and classifier."""
    columns = [*FEATURES, "CNN", "by instrument"]
    rows = []
    for name, each in results.items():
        values = each.values()
        cells = [mean_and_spread(values[column]) if column in values else "" for column in columns]
        rows.append([name, len(each.comparisons[0].first), *cells])
    header = ["against recordings", "notes a side", *columns[:-1], "all, folds by instrument"]
    return markdown_table(header, rows)


def family_table(results: dict[str, Results]) -> str:
    """Balanced accuracy by family."""
    families = results[WITH].comparisons[0].families
    shown = [(name, column) for name in (WITH, WITHOUT, RANDOM) for column in FAMILY_COLUMNS]
    rows = [
        [family, families.count(family) // 2]
        + [f"{results[name].of_family(family, column):.0f}" for name, column in shown]
        for family in sorted(set(families))
    ]
    header = [f"{name.removesuffix(' (control)')}: {column}" for name, column in shown]
    return markdown_table(["family", "notes", *header], rows)


def check_controls(results: dict[str, Results]) -> str:
    """One line for each control: whether it holds."""

    def mean(name: str, column: str) -> float:
        return float(np.mean(results[name].values()[column]))

    still, moved, smooth_only = mean(WITHOUT, "all"), mean(WITHOUT, "motion"), mean(SMOOTH, "all")
    bound, rendered, chance = mean(FULL, "all") + 2, mean(RANDOM, "all"), mean(REAL, "all")
    controls = [
        (f"without motion: {still:.1f} % (≥ 85)", still >= 85),
        (f"without motion, by motion only: {moved:.1f} % (≥ 85)", moved >= 85),
        (f"smooth resyntheses: {smooth_only:.1f} % (≥ 78)", smooth_only >= 78),
        (f"halves of the recordings: {chance:.1f} % (50 ± 6)", abs(chance - 50) <= 6),
        (f"random motion: {rendered:.1f} % (full maps + 2: {bound:.1f})", rendered <= bound),
    ]
    return "\n".join(f"- {'holds' if holds else '**fails**'}: {text}" for text, holds in controls)


def movement_table(
    recordings: Sequence[Recording],
    imagined: Mapping[tuple[str, int], list[Samples]],
    pool: Executor,
) -> str:
    """Level and pitch movement by family: recordings, imagined notes with and without motion."""
    notes = [("real", each, each.samples) for each in recordings] + [
        (name, recordings[number], samples)
        for (name, seed), all_samples in imagined.items()
        if name == WITH or seed == SEEDS[0]
        for number, samples in enumerate(all_samples)
    ]
    moved = pool.map(_movement, [(samples, each.key) for _, each, samples in notes], chunksize=8)
    measured: dict[str, list[tuple[str, float, float]]] = {"real": [], WITH: [], WITHOUT: []}
    for (name, each, _), figures in zip(notes, moved, strict=True):
        if figures is not None:
            measured[name].append((each.family, *figures))
    rows = []
    for family in ("all", *SUSTAINED):
        cells: list[str] = []
        for column in (1, 2):
            real_median = float("nan")
            for name, values in measured.items():
                chosen = [row[column] for row in values if family in ("all", row[0])]
                if not chosen:
                    cells.append("–")
                    continue
                median, most = np.percentile(chosen, [50, 90])
                ratio = "" if name == "real" else f"; {100 * (median / real_median - 1):+.0f} %"
                real_median = median if name == "real" else real_median
                cells.append(f"{median:.2f} ({most:.2f}{ratio})")
        count = sum(family in ("all", row[0]) for row in measured["real"])
        rows.append([family, count, *cells])
    kinds = ("real", "with motion", "without")
    header = ["family", "real notes"] + [
        f"{what}: {kind}" for what in ("dB", "cents") for kind in kinds
    ]
    return markdown_table(header, rows)


def _movement(task: tuple[Samples, int]) -> tuple[float, float] | None:
    """`movement` up to where `analyse` finds the key released."""
    samples, key = task
    try:
        return movement(samples, key, analyse(Sound(samples, RATE), pitch=float(key)).key_up)
    except SoundError:
        return None


def repeats_line(recordings: Sequence[Recording]) -> str:
    """Correlation of two repetitions of imagined sustained notes."""
    chosen = recordings[:: max(1, len(recordings) // REPEATED)]
    values: dict[float, list[float]] = {0.0: [], 1.0: []}
    for number, each in enumerate(chosen):
        instrument = imagine(number, family=each.family)
        for motion, correlations in values.items():
            first, second = (
                from_onset(
                    instrument.note(each.key, each.velocity, 3.0, RATE, count, motion=motion)
                )
                for count in (0, 1)
            )
            correlations.append(repeat_correlation(first, second))
    still, moved = (np.percentile(each, [50, 90]) for each in values.values())
    return (
        f"Correlation of two repeats of a sustained note ({len(chosen)} notes, samples, best lag "
        f"within 25 ms), median (90 %): with motion {moved[0]:.2f} ({moved[1]:.2f}), without "
        f"{still[0]:.2f} ({still[1]:.2f})."
    )


def time_line() -> str:
    """Time of a note of 4 s at 48 kHz, with and without motion."""
    instrument = imagine(7, family="string")

    def timed(motion: float) -> Callable[[], float]:
        def measure() -> float:
            start = time.perf_counter()
            instrument.note(60, motion=motion)
            return 1000 * (time.perf_counter() - start)

        return measure

    for motion in (0.0, 1.0):
        timed(motion)()
    times = medians({"with": timed(1.0), "without": timed(0.0)}, repeats=15)
    moved, still = times["with"], times["without"]
    return (
        f"A note of 4 s at 48 kHz on one thread, median (range) of 15: {moved[1]:.0f} ms "
        f"({moved[0]:.0f}–{moved[2]:.0f}) with motion, {still[1]:.0f} ms "
        f"({still[0]:.0f}–{still[2]:.0f}) without, {moved[1] / still[1]:.1f} times as long. "
        "Other programs ran on the machine: the ratio counts."
    )


def measure_all(folder: Path, pool: Executor, step: int = 1) -> str:
    """Measure everything; the section's text.

    Args:
        folder: of the recordings, with ``index.csv``.
        pool: in which the work is done.
        step: every n-th recording is used.
    """
    recordings = read_recordings(folder, SUSTAINED, pool, step)
    if sum(map(is_long, recordings)) < MIN_NOTES // step:
        recordings += read_recordings(folder, OTHERS, pool, step)
    say(f"{len(recordings)} recordings")
    imagined = {
        (name, seed): notes
        for seed in SEEDS
        for name, notes in imagined_notes(recordings, seed, pool).items()
    }
    results = compare(recordings, imagined, pool)
    say("movement, repeats, time")
    sustained = [each for each in recordings if each.family in SUSTAINED]
    return "\n\n".join(
        [
            EXPLANATION,
            accuracy_table(results),
            check_controls(results),
            "By family, balanced accuracy in percent (few instruments each: see the range above):",
            family_table(results),
            MOVEMENT_EXPLANATION,
            movement_table(recordings, imagined, pool),
            repeats_line(sustained),
            time_line(),
        ]
    )


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--step", type=int, default=1, help="use every n-th recording only")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--dry", action="store_true", help="print the section, write nothing")
    options = parser.parse_args()
    on_one_thread()
    torch.set_num_threads(1)
    notes = options.data / "notes"
    if not notes.is_dir():
        sys.exit(f"realism.py: {notes} is not there; give --data")
    with ProcessPoolExecutor(options.workers) as pool:
        body = measure_all(notes, pool, options.step)
    if options.dry:
        print(body)
    else:
        write_section("realism", "Realism: imagined notes and recordings", COMMAND, body)


if __name__ == "__main__":
    main()
