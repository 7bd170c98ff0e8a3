"""Imagined instruments beside real ones, and what each critic is worth.

    python benchmarks/imagination.py STORE [--models full=DIR none=DIR …]
                                           [--players NAME=MODULE:PATH …]

The first model is measured in full as people play it, with the ears choosing among draws, beside
real notes, and by two pitch trackers of other projects. The others stand below it in a table of
their own with the first draw of each seed, as the first model does once more, and with the minutes
that their run folders tell of their training. A model is a folder of weights; without one the
shipped weights are measured.
Another generator takes part as ``NAME=MODULE:PATH`` when ``MODULE.player(PATH)`` returns a
`NoteGenerator` that makes audio.

Real notes are measured once for a store, an evaluation network, a number of notes and a seed, and
kept in ``.peers/cache/imagination``, or found where `ears evaluate imagination` kept them
(``--real``). An interrupted run goes on behind the last model. The pictures of the first model go
to docs/pictures.
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
TRACKED_KEYS = (36, 96)  # MIDI numbers, both included, that the trackers can hear
HALF_SEMITONE = 0.5  # semitones
SPOILED_NOTES = 1000
FIRST_DRAWS = ", first draws"
POINT = 1.0  # percent that generated notes may be heard worse than resynthesised ones
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
    parser.add_argument("--players", nargs="*", default=[], metavar="NAME=MODULE:PATH")
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
    """Measure all models and players."""
    store = open_store(options.store)
    plan = EvaluationPlan(options.instruments, options.notes, options.seed)
    count = notes_per_set(store, plan)
    players, marks = named_players(options.models, options.players, options.seed)
    network = EvaluationNetwork.load()
    known = measure_real_notes(
        store, network, plan, cache=options.real, progress=shown("real notes")
    )
    first, *others = players
    evaluations: dict[str, Evaluation] = {}
    for name, player in players.items():
        begin = time.process_time()
        mark = marks.get(name)
        evaluations[name] = evaluate_generator(
            player,
            store,
            known,
            network,
            plan,
            cache=CACHE if mark else None,
            digest=mark or "",
            progress=shown(name),
        )
        print(f"{name}: {time.process_time() - begin:.0f} CPU s", file=sys.stderr)
    main_one = evaluations[first]
    sheet = sample_instruments(players[first], store, plan)
    folder = options.report or CACHE / "report"
    table = write_report(folder, main_one, known, sheet, {"model": first}, f"Imagination: {first}")
    PICTURES.mkdir(exist_ok=True)
    for picture in ("embeddings", "families", "instruments"):
        target = PICTURES / f"imagination-{picture}.png"
        target.write_bytes((folder / f"{picture}.png").read_bytes())
        slim_picture(target)
    parts = [explain(main_one), to_markdown(table)]
    if options.tracked:
        parts += tracked(store, players[first], plan, count, options.tracked)
    if others:
        parts += ablation(evaluations, trained(options.models, options.players))
    parts += sensitivity(store, network, known, options.seed)
    parts += [
        f"![{words}](pictures/imagination-{picture}.png)"
        for picture, words in (
            ("embeddings", "notes in the plane in which training notes vary most"),
            ("families", "families asked for and heard"),
            ("instruments", "24 instruments drawn by lot"),
        )
    ]
    given = []
    for option, values in (("--models", options.models), ("--players", options.players)):
        shown_values = [re.sub(r"(?<=[=:])[^=:]*/", "", value) for value in values]
        given += [" ".join([option, *shown_values])] if values else []
    command = " ".join(["python benchmarks/imagination.py STORE", *given])
    write_section("imagination", "Imagined instruments", command, "\n\n".join(parts))


def named_players(
    models: Sequence[str], others: Sequence[str], seed: int
) -> tuple[dict[str, NoteGenerator], dict[str, str]]:
    """What plays, by name, in the order of the command; and marks of the models' weights."""
    folders = [given.partition("=")[::2] for given in models or [f"shipped={SHIPPED}"]]
    places = [(given.partition("=")[0], given.partition("=")[2].partition(":")) for given in others]
    if not all(folder for _, folder in folders):
        sys.exit("imagination.py: --models: give NAME=DIR")
    if not all(path for _, (_, _, path) in places):
        sys.exit("imagination.py: --players: give NAME=MODULE:PATH")
    opened = {name: Model(folder) for name, folder in folders}
    chosen, alone = next(iter(opened)), len(opened) + len(places) == 1
    players = {chosen: imagined_note_generator(opened[chosen], seed)}
    marks = {chosen: model_digest(opened[chosen])}
    for name, each in {} if alone else opened.items():
        first_draw = f"{name}{FIRST_DRAWS}" if name == chosen else name
        players[first_draw] = imagined_note_generator(each, seed, candidate=0)
        marks[first_draw] = f"{model_digest(each)}-first"
    for name, (module, _, path) in places:
        players[name] = importlib.import_module(module).player(Path(path))
    return players, marks


def shown(what: str) -> Progress:
    """Tell how far a measurement is, on stderr, about every 500 notes."""
    last = 0

    def progress(done: int, total: int) -> None:
        nonlocal last
        if done - last >= 500 or done == total:
            last = done
            print(f"{what}: {done} of {total} notes", file=sys.stderr)

    return progress


def tracked(
    store: Store, player: NoteGenerator, plan: EvaluationPlan, count: int, most: int
) -> list[str]:
    """What trackers of other projects hear in generated and in real notes of the middle keys."""
    asked = random_requests(store, plan.instruments, count, plan.seed)
    some = middle(asked.pitch, most)
    played = NoteRequests(
        asked.instrument[some], asked.family[some], asked.pitch[some], asked.velocity[some]
    )
    sets: dict[str, Iterator[Notes]] = {GENERATED: player(played)}
    for name, side in (("train", TRAIN), ("unseen", UNSEEN)):
        rows = random_rows(store, side, count, plan.seed)
        rows = rows[middle(store.pitch[rows], most)]
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
            answers = folder.answers(tracker, range(len(sounds)))
            apart = np.array([answer.pitch for answer in answers]) - keys
            exact = np.abs(apart) <= HALF_SEMITONE  # NaN, where none is heard, is not
            octave = np.abs((apart + 6) % 12 - 6) <= HALF_SEMITONE
            shares[tracker][name] = (100 * exact.mean(), 100 * octave.mean())
    table: list[list[object]] = []
    for tracker, title in TRACKERS.items():
        told = [f"{exact:.1f} ({octave:.1f})" for exact, octave in shares[tracker].values()]
        least = shares[tracker]["unseen resynthesised"][0] - POINT
        met = "yes" if shares[tracker][GENERATED][0] >= least else "no"
        table.append([title, *told, f"≥ {least:.1f}", met])
    low, high = TRACKED_KEYS
    return [
        f"Percent of notes with keys {low}–{high} that pitch trackers of other projects hear "
        "within 50 cents of the key, in brackets with octaves forgiven; "
        f"{', '.join(map(str, counts))} notes:",
        markdown_table(["tracker", *sets, "target", "met"], table),
    ]


def middle(keys: np.ndarray, most: int) -> np.ndarray:
    """Places of so many of the keys that trackers hear, spread evenly."""
    low, high = TRACKED_KEYS
    places = np.flatnonzero((keys >= low) & (keys <= high))
    return places[:: max(1, len(places) // most)][:most]


def trained(models: Sequence[str], others: Sequence[str]) -> dict[str, str]:
    """Minutes of training by name, where a run folder's log tells them."""
    told = {}
    for given in [*models, *others]:
        name, _, place = given.partition("=")
        log = Path(place.rpartition(":")[2]) / "log.jsonl"
        if log.is_file():
            rounds = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
            whole = rounds[-1].get("cpu_seconds")
            if whole is None:  # a machine may have slept in a round
                whole = len(rounds) * float(np.median([each["seconds"] for each in rounds]))
            minutes = whole / 60
            told[name] = told[f"{name}{FIRST_DRAWS}"] = f"{minutes:.0f}"
    return told


def ablation(evaluations: dict[str, Evaluation], minutes: dict[str, str]) -> list[str]:
    """The main figures of all models, one a row, with real notes below."""
    tables: dict[str, dict[str, Row]] = {
        name: {row.figure: row for row in report_rows(evaluation)}
        for name, evaluation in evaluations.items()
    }
    rows = [
        [name, minutes.get(name, "–"), *[table[figure].values[0] for figure in ABLATED]]
        for name, table in tables.items()
    ]
    some = next(iter(tables.values()))
    rows.append(["*train, resynthesised*", "", *[some[figure].values[1] for figure in ABLATED]])
    rows.append(["*target*", "", *[some[figure].target or "–" for figure in ABLATED]])
    return [
        "The same figures of all models; those below the first row are of each seed's first draw, "
        "which no ears have chosen. They were not trained alike long: *minutes* are rounds times "
        "their median time by the clock, on one core that other work may have shared.",
        markdown_table(["", "minutes", *ABLATED], rows),
    ]


def sensitivity(store: Store, network: EvaluationNetwork, known: RealNotes, seed: int) -> list[str]:
    """Whether the distances notice what is wrong with notes: real ones, made worse."""
    count = min(SPOILED_NOTES, len(known.others))
    rows = random_rows(store, TRAIN, len(known.others), seed)[:: len(known.others) // count]
    reference = known.others.features[:: len(known.others) // count]
    table = []
    for name, spoil in SPOILED.items():
        batches = (
            replace(
                batch,
                audio=np.stack(
                    [spoil(row, key) for row, key in zip(batch.audio, batch.pitch, strict=True)]
                ),
            )
            for batch in read_notes(store, rows)
        )
        found = measure_notes(batches, network, look_for_faults=False)
        told = compare_sets(reference, found.features)
        table.append(
            [
                name,
                f"{told.frechet:.2f}",
                f"{told.kernel:.3f}",
                *[f"{100 * share:.1f} %" for share in (told.precision, told.recall, told.coverage)],
                f"{told.bins_apart:.2f}",
                f"{100 * np.mean(found.keys.argmax(axis=1) == found.pitch):.1f} %",
            ]
        )
    header = ["", "Fréchet", "kernel", "precision", "recall", "coverage", "NDB / 50", "pitch heard"]
    return [
        f"What these figures notice: {len(rows):,} training notes made worse, compared with as many"
        " other ones (the distance of so few is larger than above):",
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


SPOILED = {
    "as they are": lambda audio, key: audio,
    "white noise 20 dB below": _noisy,
    "the first four partials alone": _dull,
    "attack of 0.3 s": _late,
    "backwards": lambda audio, key: audio[::-1].copy(),
    "a sine at the key": _sine,
}


if __name__ == "__main__":
    main()
