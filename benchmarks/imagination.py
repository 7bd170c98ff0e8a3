"""Imagined instruments compared with real ones, and the contribution of each critic.

    python benchmarks/imagination.py STORE [--models full=DIR none=DIR …]
                                           [--generators NAME=MODULE:PATH …]

The first model is measured in full as it is used, with rejection sampling by the ears, next to real
notes, and by two pitch trackers of other projects. All models, the first included, are then
compared in a table with the first candidate of each seed, and with the minutes of training in the
log of their run folders. A model is a folder of weights; by default the shipped one.
Another generator takes part as ``NAME=MODULE:PATH`` if ``MODULE.note_generator(PATH)`` returns a
`NoteGenerator` of audio.

Real notes are measured once for a store, an evaluation network, a number of notes and a seed, and
cached in ``.peers/cache/imagination``, or where `ears evaluate imagination` cached them
(``--real``). An interrupted run resumes after the last model. The pictures of the first model are
written to docs/pictures.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from harness import PEERS, ROOT, markdown_table, slim_picture, write_section
from mechanical_ears.corpus.store import Store
from mechanical_ears.errors import EarsError
from mechanical_ears.evaluation.imagination import (
    GENERATED,
    Evaluation,
    evaluate_generator,
    sample_instruments,
)
from mechanical_ears.evaluation.judge import EvaluationNetwork
from mechanical_ears.evaluation.measurements import Notes, measure_notes
from mechanical_ears.evaluation.note_sets import (
    TRAIN,
    UNSEEN,
    NoteGenerator,
    NoteRequests,
    imagined_note_generator,
    model_digest,
    open_store,
    random_requests,
    random_rows,
    read_notes,
    resynthesise_notes,
)
from mechanical_ears.evaluation.real_notes import (
    EvaluationPlan,
    Progress,
    RealNotes,
    measure_real_notes,
    notes_per_set,
)
from mechanical_ears.evaluation.report import Row, explain, to_markdown, write_report
from mechanical_ears.evaluation.report import report_rows as report_rows
from mechanical_ears.imagining.model import SHIPPED, Model
from mechanical_ears.note import NOTE_SAMPLE_RATE
from mechanical_ears.pitch import midi_to_hz
from mechanical_ears.set_metrics import compare_sets
from mechanical_ears.sound import Sound
from tracking import NoteFolder

TRACKERS = {"swift-f0": "SwiftF0 0.3.0", "praat-ac": "Praat (parselmouth 0.4.7), ac"}
TRACKED_KEYS = (36, 96)  # MIDI numbers, both included: the range of the trackers
HALF_SEMITONE = 0.5  # semitones
DEGRADED_NOTES = 1000
FIRST_CANDIDATES = ", first candidates"
MARGIN = 1.0  # percent of notes that may be tracked less often than resynthesised ones
PICTURES = ROOT / "docs" / "pictures"
CACHE = PEERS / "cache" / "imagination"
ABLATED = (
    "Fréchet distance to unseen instruments",
    "Fréchet distance to training notes",
    "precision",
    "recall",
    "coverage",
    "NDB / 50",
    "pitch predicted as requested",
    "family predicted as requested",
    "distance between keys / instruments",
    "velocity steps that are louder",
    "instruments that are new",
)


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--models", nargs="*", default=[], metavar="NAME=DIR")
    parser.add_argument(
        "--generators", "--players", nargs="*", default=[], metavar="NAME=MODULE:PATH"
    )
    parser.add_argument("--instruments", type=int, default=500)
    parser.add_argument("--notes", type=int, default=2000)
    parser.add_argument("--tracked", type=int, default=150, help="notes of a set for each tracker")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--real", type=Path, default=CACHE, help="folder of measured real notes")
    parser.add_argument("--report", type=Path, help="folder for the first model's report, too")
    options = parser.parse_args()
    try:
        measure_all(options)
    except EarsError as error:
        sys.exit(f"imagination.py: {error}")


def measure_all(options: argparse.Namespace) -> None:
    """Measure all models and generators."""
    store = open_store(options.store)
    plan = EvaluationPlan(options.instruments, options.notes, options.seed)
    count = notes_per_set(store, plan)
    generators, digests = named_generators(options.models, options.generators, options.seed)
    network = EvaluationNetwork.load()
    real_notes = measure_real_notes(
        store, network, plan, cache=options.real, progress=progress_printer("real notes")
    )
    first, *others = generators
    evaluations: dict[str, Evaluation] = {}
    for name, generator in generators.items():
        started = time.process_time()
        digest = digests.get(name)
        evaluations[name] = evaluate_generator(
            generator,
            store,
            real_notes,
            network,
            plan,
            cache=CACHE if digest else None,
            digest=digest or "",
            progress=progress_printer(name),
        )
        print(f"{name}: {time.process_time() - started:.0f} CPU s", file=sys.stderr)
    first_evaluation = evaluations[first]
    sheet = sample_instruments(generators[first], store, plan)
    folder = options.report or CACHE / "report"
    table = write_report(
        folder, first_evaluation, real_notes, sheet, {"model": first}, f"Imagination: {first}"
    )
    PICTURES.mkdir(exist_ok=True)
    for picture in ("embeddings", "families", "instruments"):
        target = PICTURES / f"imagination-{picture}.png"
        target.write_bytes((folder / f"{picture}.png").read_bytes())
        slim_picture(target)
    parts = [explain(first_evaluation), to_markdown(table)]
    if options.tracked:
        parts += tracker_accuracy(store, generators[first], plan, count, options.tracked)
    if others:
        parts += ablation(evaluations, training_minutes(options.models, options.generators))
    parts += sensitivity(store, network, real_notes, options.seed)
    parts += [
        f"![{words}](pictures/imagination-{picture}.png)"
        for picture, words in (
            ("embeddings", "notes in the plane in which training notes vary most"),
            ("families", "families requested and predicted"),
            ("instruments", "24 random instruments"),
        )
    ]
    arguments = []
    for option, values in (("--models", options.models), ("--generators", options.generators)):
        shown_values = [re.sub(r"(?<=[=:])[^=:]*/", "", value) for value in values]
        arguments += [" ".join([option, *shown_values])] if values else []
    command = " ".join(["python benchmarks/imagination.py STORE", *arguments])
    write_section("imagination", "Imagined instruments", command, "\n\n".join(parts))


def named_generators(
    models: Sequence[str], others: Sequence[str], seed: int
) -> tuple[dict[str, NoteGenerator], dict[str, str]]:
    """Generators by name, in the order of the command, and digests of the models' weights."""
    folders = [each.partition("=")[::2] for each in models or [f"shipped={SHIPPED}"]]
    modules = [(each.partition("=")[0], each.partition("=")[2].partition(":")) for each in others]
    if not all(folder for _, folder in folders):
        sys.exit("imagination.py: --models: give NAME=DIR")
    if not all(path for _, (_, _, path) in modules):
        sys.exit("imagination.py: --generators: give NAME=MODULE:PATH")
    loaded = {name: Model(folder) for name, folder in folders}
    first, alone = next(iter(loaded)), len(loaded) + len(modules) == 1
    generators = {first: imagined_note_generator(loaded[first], seed)}
    digests = {first: model_digest(loaded[first])}
    for name, each in {} if alone else loaded.items():
        first_candidate = f"{name}{FIRST_CANDIDATES}" if name == first else name
        generators[first_candidate] = imagined_note_generator(each, seed, candidate=0)
        digests[first_candidate] = f"{model_digest(each)}-first"
    for name, (module, _, path) in modules:
        generators[name] = importlib.import_module(module).note_generator(Path(path))
    return generators, digests


def progress_printer(what: str) -> Progress:
    """Print the progress of a measurement on stderr, about every 500 notes."""
    last = 0

    def progress(done: int, total: int) -> None:
        nonlocal last
        if done - last >= 500 or done == total:
            last = done
            print(f"{what}: {done} of {total} notes", file=sys.stderr)

    return progress


def tracker_accuracy(
    store: Store, generator: NoteGenerator, plan: EvaluationPlan, count: int, max_notes: int
) -> list[str]:
    """Accuracy of other projects' trackers on generated and real notes of the middle keys."""
    requests = random_requests(store, plan.instruments, count, plan.seed)
    rows = middle(requests.pitch, max_notes)
    requests = NoteRequests(
        *(getattr(requests, name)[rows] for name in NoteRequests.__dataclass_fields__)
    )
    sets: dict[str, Iterator[Notes]] = {GENERATED: generator(requests)}
    for name, side in (("train", TRAIN), ("unseen", UNSEEN)):
        rows = random_rows(store, side, count, plan.seed)
        rows = rows[middle(store.pitch[rows], max_notes)]
        sets[f"{name} resynthesised"] = resynthesise_notes(read_notes(store, rows))
        sets[name] = read_notes(store, rows)
    shares: dict[str, dict[str, tuple[float, float]]] = {tracker: {} for tracker in TRACKERS}
    counts = []
    for name, batches in sets.items():
        notes = list(batches)
        keys = np.concatenate([batch.pitch for batch in notes])
        sounds = [Sound(audio, NOTE_SAMPLE_RATE) for batch in notes for audio in batch.audio]
        counts.append(len(keys))
        folder = NoteFolder(f"imagination-{name.replace(' ', '-')}", sounds)
        for tracker in TRACKERS:
            answers = folder.track(tracker, range(len(sounds)))
            semitones = np.array([answer.pitch for answer in answers]) - keys
            exact = np.abs(semitones) <= HALF_SEMITONE  # false where no pitch was found (NaN)
            octave = np.abs((semitones + 6) % 12 - 6) <= HALF_SEMITONE
            shares[tracker][name] = (100 * exact.mean(), 100 * octave.mean())
    table: list[list[object]] = []
    for tracker, title in TRACKERS.items():
        cells = [f"{exact:.1f} ({octave:.1f})" for exact, octave in shares[tracker].values()]
        target = shares[tracker]["unseen resynthesised"][0] - MARGIN
        met = "yes" if shares[tracker][GENERATED][0] >= target else "no"
        table.append([title, *cells, f"≥ {target:.1f}", met])
    low, high = TRACKED_KEYS
    return [
        f"Percent of notes with keys {low}–{high} that pitch trackers of other projects track "
        "within 50 cents of the key, in brackets regardless of the octave; "
        f"{', '.join(map(str, counts))} notes:",
        markdown_table(["tracker", *sets, "target", "met"], table),
    ]


def middle(keys: np.ndarray, max_notes: int) -> np.ndarray:
    """Indices of about ``max_notes`` keys in the range of the trackers, spread evenly."""
    low, high = TRACKED_KEYS
    indices = np.flatnonzero((keys >= low) & (keys <= high))
    return indices[:: max(1, len(indices) // max_notes)][:max_notes]


def training_minutes(models: Sequence[str], others: Sequence[str]) -> dict[str, str]:
    """Minutes of training by name, from the logs of the run folders that have one."""
    minutes = {}
    for argument in [*models, *others]:
        name, _, path = argument.partition("=")
        log = Path(path.rpartition(":")[2]) / "log.jsonl"
        if log.is_file():
            rounds = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
            seconds = rounds[-1].get("cpu_seconds")
            if seconds is None:  # a machine may have slept in a round
                seconds = len(rounds) * float(np.median([each["seconds"] for each in rounds]))
            minutes[name] = minutes[f"{name}{FIRST_CANDIDATES}"] = f"{seconds / 60:.0f}"
    return minutes


def ablation(evaluations: dict[str, Evaluation], minutes: dict[str, str]) -> list[str]:
    """The main figures of all models, one per row, with real notes below."""
    tables: dict[str, dict[str, Row]] = {
        name: {row.figure: row for row in report_rows(evaluation)}
        for name, evaluation in evaluations.items()
    }
    rows = [
        [name, minutes.get(name, "–"), *[table[figure].values[0] for figure in ABLATED]]
        for name, table in tables.items()
    ]
    table = next(iter(tables.values()))
    rows.append(["*train, resynthesised*", "", *[table[figure].values[1] for figure in ABLATED]])
    rows.append(["*target*", "", *[table[figure].target or "–" for figure in ABLATED]])
    return [
        "The same figures of all models; those below the first row use the first candidate of each "
        "seed, without rejection sampling. Trainings took different times: *minutes* are rounds "
        "times their median duration, on one core that other work may have shared.",
        markdown_table(["", "minutes", *ABLATED], rows),
    ]


def sensitivity(
    store: Store, network: EvaluationNetwork, real_notes: RealNotes, seed: int
) -> list[str]:
    """Whether the distances detect degradation: the figures of degraded real notes."""
    count = min(DEGRADED_NOTES, len(real_notes.others))
    rows = random_rows(store, TRAIN, len(real_notes.others), seed)[
        :: len(real_notes.others) // count
    ]
    reference = real_notes.others.features[:: len(real_notes.others) // count]
    table = []
    for name, degrade in DEGRADATIONS.items():
        batches = (
            replace(
                batch,
                audio=np.stack(
                    [degrade(row, key) for row, key in zip(batch.audio, batch.pitch, strict=True)]
                ),
            )
            for batch in read_notes(store, rows)
        )
        measurements = measure_notes(batches, network, look_for_faults=False)
        comparison = compare_sets(reference, measurements.features)
        table.append(
            [
                name,
                f"{comparison.frechet:.2f}",
                f"{comparison.kernel:.3f}",
                *[
                    f"{100 * share:.1f} %"
                    for share in (comparison.precision, comparison.recall, comparison.coverage)
                ],
                f"{comparison.bins_apart:.2f}",
                f"{100 * np.mean(measurements.keys.argmax(axis=1) == measurements.pitch):.1f} %",
            ]
        )
    header = [
        "",
        "Fréchet",
        "kernel",
        "precision",
        "recall",
        "coverage",
        "NDB / 50",
        "correct pitch",
    ]
    return [
        f"What these figures detect: {len(rows):,} degraded training notes, compared with as "
        "many other ones (the distance between so few is larger than above):",
        markdown_table(header, table),
    ]


def _noisy(audio: np.ndarray, key: int) -> np.ndarray:
    noise = np.random.default_rng(key).standard_normal(len(audio))
    return (audio + 0.1 * np.sqrt(np.mean(audio**2)) * noise).astype(np.float32)


def _dull(audio: np.ndarray, key: int) -> np.ndarray:
    spectrum = np.fft.rfft(audio)
    highest = 4 * midi_to_hz(key) * len(audio) / NOTE_SAMPLE_RATE
    return np.fft.irfft(spectrum * (np.arange(len(spectrum)) < highest)).astype(np.float32)


def _late(audio: np.ndarray, key: int) -> np.ndarray:
    rise = np.minimum(1, np.arange(len(audio)) / (0.3 * NOTE_SAMPLE_RATE))
    return (audio * rise).astype(np.float32)


def _sine(audio: np.ndarray, key: int) -> np.ndarray:
    time = np.arange(len(audio)) / NOTE_SAMPLE_RATE
    return (0.1 * np.sin(2 * np.pi * midi_to_hz(key) * time)).astype(np.float32)


DEGRADATIONS = {
    "as they are": lambda audio, key: audio,
    "white noise 20 dB below": _noisy,
    "the first four partials alone": _dull,
    "attack of 0.3 s": _late,
    "backwards": lambda audio, key: audio[::-1].copy(),
    "a sine at the key": _sine,
}


if __name__ == "__main__":
    main()
