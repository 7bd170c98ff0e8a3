"""Accuracy and speed of pitch detection in single notes: our ears and other projects' trackers.

    python benchmarks/hearing.py [--store STORE] [--data ../shared/data] [--sets NAME …]

All contenders analyse the same notes: real NSynth notes and two recorded instruments of the
development data, random notes of all melodic presets of TimGM6mb, and the test side of a store.
``EXPLANATION`` defines the columns. Estimates of the peers are cached (see ``tracking``), so that a
rerun computes only ours; times are measured in every run, interleaved, on notes of NSynth.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness import ROOT, markdown_table, medians, write_section
from mechanical_ears.corpus.corpus import Corpus
from mechanical_ears.corpus.folder import Folder
from mechanical_ears.corpus.nsynth import open_nsynth
from mechanical_ears.corpus.soundfont import SoundFont
from mechanical_ears.corpus.store import Store
from mechanical_ears.listening.article_ears import ArticleEars
from mechanical_ears.listening.ears import Ears
from mechanical_ears.note import Note
from mechanical_ears.pitch import hz_to_midi
from mechanical_ears.sound import Sound
from tracking import HALF_SEMITONE, NoteFolder, time_tracker

TIMGM = Path("/usr/share/sounds/sf2/TimGM6mb.sf2")
RENDERED_NOTES = 2000  # of TimGM6mb, and of the store
SEED = 3  # of the choice of notes
REGISTERS = ((21, 39), (40, 59), (60, 83), (84, 108))  # MIDI keys, both ends included
MIDDLE = (30, 100)  # MIDI keys, both ends included: all recordings in it should be right
RECORDINGS = ("spanish-guitar", "upright-piano-kw")
TIMED_NOTES = 30  # notes timed in each repeat

PEERS = {
    "basic-pitch": "Basic Pitch 0.4.0, mean note posterior",
    "praat-ac": "Praat (parselmouth 0.4.7), ac",
    "praat-cc": "Praat (parselmouth 0.4.7), cc",
    "aubio": "aubio 0.4.9, yinfast",
    "yin": "librosa 0.11, yin",
    "pyin": "librosa 0.11, pyin",
    "swift-f0": "SwiftF0 0.3.0",
    "pesto": "PESTO 2.0.1",
    "crepe-tiny": "torchcrepe 0.0.24, tiny",
    "crepe-full": "torchcrepe 0.0.24, full",
}
LIMITS = {
    "basic-pitch": 900,
    "praat-cc": 300,
    "pyin": 100,
    "pesto": 200,
    "crepe-tiny": 100,
    "crepe-full": 10,
}  # notes of nsynth-dev and TimGM6mb for slow trackers
OTHER_SETS_DIVISOR = 4  # a quarter of these on the other sets
MIN_NOTES = 3  # of a slow tracker on any set
TIMED_SLOW_NOTES = 2  # notes timed in each repeat of a slow tracker

EXPLANATION = """
All contenders analyse the same notes, at most 4 s of each; figures are percent of the notes.

- *key*: within 50 cents of the labelled key; *chroma*: the same with octaves ignored; *21–39* …:
  key, by register (MIDI numbers).
- *sounding*: within 50 cents of the pitch on which at least 3 of 4 referees (Praat ac, YIN,
  SwiftF0, Basic Pitch) agree, on the notes where they do. The vote includes their own estimates,
  which favours them.
- *at label*, on recordings: the sounding pitch within 50 cents of the recording's label.

A peer returns one pitch, which counts as key and as sounding pitch; ours returns both. Trackers
that need a second or more per note analyse a random part of each set.
""".strip()


@dataclass(frozen=True)
class NotePrediction:
    """A contender's prediction for a note; NaN if it finds no pitch.

    Attributes:
        key: MIDI number of the key, may be fractional.
        sounding: MIDI number of the sounding pitch, may be fractional.
        family: one of NSynth's families; None if the contender predicts none.
    """

    key: float
    sounding: float
    family: str | None = None


# Of audio float32 (samples,) and its rate in Hz.
Predictor = Callable[[NDArray[np.float32], int], NotePrediction]


def article_predictor() -> Predictor:
    """The article's network with our weights, which predicts the key only."""
    ears = ArticleEars()

    def predict(audio: NDArray[np.float32], sample_rate: int) -> NotePrediction:
        (hearing,) = ears.hear([Sound(audio, sample_rate)])
        return NotePrediction(hearing.pitch, hearing.pitch)

    return predict


def ears_predictor() -> Predictor:
    """The shipped ears, on one thread."""
    ears = Ears(threads=1)

    def predict(audio: NDArray[np.float32], sample_rate: int) -> NotePrediction:
        (hearing,) = ears.listen([Sound(audio, sample_rate)])
        key = math.nan if hearing.pitch is None else hearing.pitch
        sounding = math.nan if hearing.frequency is None else hz_to_midi(hearing.frequency)
        return NotePrediction(key, sounding, hearing.family)

    return predict


OURS: dict[str, Callable[[], Predictor]] = {
    "the ears": ears_predictor,
    "the article's network": article_predictor,
}


@dataclass(frozen=True)
class Score:
    """Shares of correct notes, each with the number of notes that it is a share of."""

    key: tuple[float, int]
    chroma: tuple[float, int]
    registers: tuple[tuple[float, int], ...]
    sounding: tuple[float, int]
    family: tuple[float, int]
    at_label: tuple[float, int]  # sounding pitch within 50 cents of the labelled key
    at_label_middle: tuple[float, int]  # the same for keys of ``MIDDLE`` only


def score(
    predictions: Sequence[NotePrediction],
    labels: NDArray[np.int64],
    references: NDArray[np.float64],
    families: Sequence[str | None] = (),
) -> Score:
    """Compare predictions with the labels.

    Args:
        predictions: for each note.
        labels: MIDI keys (notes,).
        references: sounding pitches on which referees agree (notes,), NaN where they do not.
        families: labels of the notes; empty to leave families out.
    """
    key = np.array([each.key for each in predictions])
    sounding = np.array([each.sounding for each in predictions])
    correct = np.abs(key - labels) <= HALF_SEMITONE  # False for NaN
    chroma_error = np.abs((key - labels + 6) % 12 - 6)
    at_label = np.abs(sounding - labels) <= HALF_SEMITONE
    predicted = [each.family for each in predictions[: len(families)]]
    has_family = np.array([family is not None for family in predicted], dtype=np.bool_)
    correct_family = np.array(predicted) == np.array(families)
    return Score(
        key=_share(correct),
        chroma=_share(chroma_error <= HALF_SEMITONE),
        registers=tuple(_share(correct[_within(labels, *ends)]) for ends in REGISTERS),
        sounding=_share((np.abs(sounding - references) <= HALF_SEMITONE)[np.isfinite(references)]),
        family=_share(correct_family[has_family]),
        at_label=_share(at_label),
        at_label_middle=_share(at_label[_within(labels, *MIDDLE)]),
    )


def _within(keys: NDArray[np.int64], low: int, high: int) -> NDArray[np.bool_]:
    return (keys >= low) & (keys <= high)


def _share(correct: NDArray[np.bool_]) -> tuple[float, int]:
    return (float(correct.mean()) if len(correct) else float("nan"), len(correct))


def read_notes(name: str, options: argparse.Namespace) -> list[Note]:
    """The notes of a set in a random but fixed order, so that the first n are a random sample."""
    corpus: Corpus
    if name == "nsynth-dev":
        corpus = open_nsynth(options.data / name)
    elif name in RECORDINGS:
        corpus = Folder(options.data / name)
    elif name == "timgm6mb":
        corpus = SoundFont(TIMGM, limit=options.notes, seed=SEED)
    else:
        store = Store(options.store)
        rows = np.random.default_rng(SEED).permutation(store.rows("test"))[: options.notes]
        return [store.note(int(row)) for row in rows]
    notes = [entry.note for entry in corpus.scan() if entry.note is not None]
    return [notes[row] for row in np.random.default_rng(SEED).permutation(len(notes))]


def compare(
    name: str, notes: Sequence[Note], folder: NoteFolder, trackers: Sequence[str]
) -> tuple[str, str]:
    """Compare all contenders on a set; a sentence on the references, and the table."""
    labels = np.array([note.pitch for note in notes], dtype=np.int64)
    families = [note.family for note in notes]
    references = folder.reference_pitches(_show_progress)
    has_reference = np.isfinite(references)
    rows = []
    for title, make in OURS.items():
        predict = make()
        predictions = [predict(note.sound.samples, note.sound.sample_rate) for note in notes]
        figures = score(predictions, labels, references, families)
        rows.append(_row(name, f"**ours: {title}**", figures))
    for tracker in trackers:
        count = min(LIMITS.get(tracker, len(notes)), len(notes))
        if tracker in LIMITS and name not in ("nsynth-dev", "timgm6mb"):
            count = min(max(count // OTHER_SETS_DIVISOR, MIN_NOTES), len(notes))
        estimates = folder.track(tracker, range(count), _show_progress)
        predictions = [NotePrediction(estimate.pitch, estimate.pitch) for estimate in estimates]
        figures = score(predictions, labels[:count], references[:count])
        rows.append(_row(name, PEERS[tracker], figures))
    at_key = np.abs(references - labels)[has_reference] <= HALF_SEMITONE
    introduction = (
        f"{name}: {len(notes)} notes. On {has_reference.sum()} the referees agree; "
        f"{100 * at_key.mean():.1f} % of these sound at their key."
    )
    return introduction, markdown_table(_header(name), rows)


def _header(name: str) -> list[str]:
    registers = [f"{low}–{high}" for low, high in REGISTERS]
    last = ["at label", f"at label, {MIDDLE[0]}–{MIDDLE[1]}"] if name in RECORDINGS else ["family"]
    return ["", "notes", "key", "chroma", *registers, "sounding", *last]


def _row(name: str, title: str, figures: Score) -> list[str]:
    last = [figures.at_label, figures.at_label_middle]
    if name not in RECORDINGS:
        last = [figures.family]
    shares = [figures.key, figures.chroma, *figures.registers, figures.sounding, *last]
    return [title, str(figures.key[1]), *(_percent(*share) for share in shares)]


def _percent(share: float, notes: int) -> str:
    return f"{100 * share:.1f}" if notes else "–"


def time_all(
    notes: Sequence[Note], folder: NoteFolder, trackers: Sequence[str], repeats: int
) -> str:
    """Measure the CPU time per note of every contender, interleaved; the table."""

    def time_ours(make: Callable[[], Predictor]) -> Iterator[float]:
        predict = make()
        sounds = [note.sound for note in notes[:TIMED_NOTES]]
        for sound in sounds[:2]:
            predict(sound.samples, sound.sample_rate)
        while True:
            begin = time.process_time()
            for sound in sounds:
                predict(sound.samples, sound.sample_rate)
            yield 1000 * (time.process_time() - begin) / len(sounds)

    runs = {f"**ours: {title}**": time_ours(make) for title, make in OURS.items()}
    for tracker in trackers:
        count = TIMED_SLOW_NOTES if tracker in LIMITS else TIMED_NOTES
        runs[PEERS[tracker]] = time_tracker(folder.path, tracker, range(min(count, len(notes))))
    times = medians({name: run.__next__ for name, run in runs.items()}, repeats)
    for run in runs.values():
        run.close()
    ears = times[f"**ours: {next(iter(OURS))}**"][1]
    rows = [
        [title, f"{median:.3g}", f"{low:.3g}–{high:.3g}", f"{median / ears:.3g}"]
        for title, (low, median, high) in sorted(times.items(), key=lambda item: item[1][1])
    ]
    return markdown_table(["", "CPU ms per note", "lowest–highest", "÷ the ears"], rows)


def _show_progress(tracker: str, done: int, total: int) -> None:
    end = "\n" if done == total else ""
    print(f"\r{tracker}: {done} of {total} notes", end=end, file=sys.stderr, flush=True)


def main() -> None:
    """Compare on all sets and write the section."""
    sets = ("nsynth-dev", "timgm6mb", "store", *RECORDINGS)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--store", type=Path, help="a store with a test side")
    parser.add_argument("--sets", nargs="+", choices=sets, default=sets)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--notes", type=int, default=RENDERED_NOTES, help="of TimGM6mb and store")
    parser.add_argument("--repeats", type=int, default=3, help="of the timing; 0 to skip it")
    options = parser.parse_args()

    parts = []
    for name in options.sets:
        if name == "store" and options.store is None:
            continue
        notes = read_notes(name, options)
        folder = NoteFolder(name, [note.sound for note in notes])
        introduction, table = compare(name, notes, folder, options.peers)
        parts.append(f"{introduction}\n\n{table}")
    if options.repeats:
        notes = read_notes("nsynth-dev", options)
        folder = NoteFolder("nsynth-dev", [note.sound for note in notes])
        parts.append(
            f"CPU time of all threads for a 4-s note at 16 kHz in memory, peers limited to one "
            f"thread; {TIMED_NOTES} notes of nsynth-dev ({TIMED_SLOW_NOTES} for slow trackers), "
            f"median of {options.repeats} interleaved repeats.\n\n"
            + time_all(notes, folder, options.peers, options.repeats)
        )
    write_section(
        "hearing",
        "Pitch detection in single notes",
        "python benchmarks/hearing.py --store STORE",
        "\n\n".join([EXPLANATION, *parts]),
    )


if __name__ == "__main__":
    main()
