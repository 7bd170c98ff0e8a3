"""How well and how fast single notes are heard: our ears and other projects' pitch trackers.

    python benchmarks/hearing.py [--store STORE] [--data ../shared/data] [--sets NAME …]

All contenders hear the same notes: NSynth's genuine ones and two recorded instruments of the
development data, notes drawn from all melodic presets of TimGM6mb, and the test side of a store.
``EXPLAINED`` says what is counted. What the peers answer is cached (see ``tracking``), so that a
rerun lets only ours hear again; time is always measured anew, in turn, on notes of NSynth.
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
from tracking import HALF_SEMITONE, NoteFolder, timer

TIMGM = Path("/usr/share/sounds/sf2/TimGM6mb.sf2")
RENDERED_NOTES = 2000  # of TimGM6mb, and of the store
SEED = 3  # of the drawing of notes
REGISTERS = ((21, 39), (40, 59), (60, 83), (84, 108))  # MIDI keys, both ends included
MIDDLE = (30, 100)  # MIDI keys, where recordings must all be heard
RECORDINGS = ("spanish-guitar", "upright-piano-kw")
TIMED_NOTES = 30  # notes heard under the clock in each repeat

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
}  # notes of nsynth-dev and TimGM6mb
ELSEWHERE = 4  # a quarter of these on the other sets, but at least …
FEWEST = 3  # … so many notes
TIMED_SLOW = 2  # notes under the clock of those

EXPLAINED = """
All contenders hear the same notes, 4 s of each at most; figures are percent of the notes.

- *key*: within 50 cents of the labelled key; *chroma*: the same, but for octaves; *21–39* …: key,
  by register (MIDI numbers).
- *sounding*: within 50 cents of what at least 3 of 4 referees (Praat ac, YIN, SwiftF0, Basic
  Pitch) hear, on the notes where they agree. They vote for themselves, which favours them.
- *at label*, on recordings: the sounding pitch within 50 cents of the recording's label.

A peer knows one pitch, which counts as key and as sounding pitch; ours tells both. Trackers that
take a second or more for a note hear a random part of each set.
""".strip()


@dataclass(frozen=True)
class Heard:
    """What a contender makes of a note; NaN where it hears nothing.

    Attributes:
        key: MIDI number of the key, may be fractional.
        sounding: MIDI number of the sounding pitch, may be fractional.
        family: one of NSynth's families, or None where it cannot tell.
    """

    key: float
    sounding: float
    family: str | None = None


Listener = Callable[[NDArray[np.float32], int], Heard]  # float32 (samples,) and its rate in Hz


def article() -> Listener:
    """The article's network with our weights, which tells the key only."""
    ears = ArticleEars()

    def listen(audio: NDArray[np.float32], sample_rate: int) -> Heard:
        (heard,) = ears.hear([Sound(audio, sample_rate)])
        return Heard(heard.pitch, heard.pitch)

    return listen


def listener() -> Listener:
    """The shipped ears, on one thread."""
    ears = Ears(threads=1)

    def listen(audio: NDArray[np.float32], sample_rate: int) -> Heard:
        (heard,) = ears.listen([Sound(audio, sample_rate)])
        key = math.nan if heard.pitch is None else heard.pitch
        sounding = math.nan if heard.frequency is None else hz_to_midi(heard.frequency)
        return Heard(key, sounding, heard.family)

    return listen


OURS: dict[str, Callable[[], Listener]] = {
    "the ears": listener,
    "the article's network": article,
}


@dataclass(frozen=True)
class Score:
    """Shares of notes heard right, each with the number of notes it is of (0: no such notes)."""

    key: tuple[float, int]
    chroma: tuple[float, int]
    registers: tuple[tuple[float, int], ...]
    sounding: tuple[float, int]
    family: tuple[float, int]
    at_label: tuple[float, int]  # sounding pitch within 50 cents of the labelled key
    at_label_middle: tuple[float, int]  # the same, keys of ``MIDDLE`` only


def score(
    heard: Sequence[Heard],
    labelled: NDArray[np.int64],
    agreed: NDArray[np.float64],
    families: Sequence[str | None] = (),
) -> Score:
    """Compare what was heard with the labels.

    Args:
        heard: of each note.
        labelled: MIDI keys (notes,).
        agreed: sounding pitches on which referees agree (notes,), NaN where they do not.
        families: labelled, of each note; nothing to leave families out.
    """
    key = np.array([each.key for each in heard])
    sounding = np.array([each.sounding for each in heard])
    right = np.abs(key - labelled) <= HALF_SEMITONE  # NaN is never right
    octave_off = np.abs((key - labelled + 6) % 12 - 6)
    at_label = np.abs(sounding - labelled) <= HALF_SEMITONE
    told = np.array([each.family is not None for each in heard[: len(families)]], dtype=np.bool_)
    named = np.array([each.family for each in heard[: len(families)]]) == np.array(families)
    return Score(
        key=_share(right),
        chroma=_share(octave_off <= HALF_SEMITONE),
        registers=tuple(_share(right[_within(labelled, *ends)]) for ends in REGISTERS),
        sounding=_share((np.abs(sounding - agreed) <= HALF_SEMITONE)[np.isfinite(agreed)]),
        family=_share(named[told]),
        at_label=_share(at_label),
        at_label_middle=_share(at_label[_within(labelled, *MIDDLE)]),
    )


def _within(keys: NDArray[np.int64], low: int, high: int) -> NDArray[np.bool_]:
    return (keys >= low) & (keys <= high)


def _share(right: NDArray[np.bool_]) -> tuple[float, int]:
    return (float(right.mean()) if len(right) else float("nan"), len(right))


def read_notes(name: str, options: argparse.Namespace) -> list[Note]:
    """The notes of a set, in a random but fixed order, so that its first n are a fair sample."""
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
    notes = [scanned.note for scanned in corpus.scan() if scanned.note is not None]
    return [notes[place] for place in np.random.default_rng(SEED).permutation(len(notes))]


def compare(
    name: str, notes: Sequence[Note], folder: NoteFolder, trackers: Sequence[str]
) -> tuple[str, str]:
    """Let all contenders hear a set; how many notes have an agreed pitch, and the table."""
    labelled = np.array([note.pitch for note in notes], dtype=np.int64)
    families = [note.family for note in notes]
    agreed = folder.agreed(_show)
    agreeing = np.isfinite(agreed)
    rows = []
    for title, make in OURS.items():
        listen = make()
        heard = [listen(note.sound.samples, note.sound.sample_rate) for note in notes]
        rows.append(_row(name, f"**ours: {title}**", score(heard, labelled, agreed, families)))
    for tracker in trackers:
        count = min(LIMITS.get(tracker, len(notes)), len(notes))
        if tracker in LIMITS and name not in ("nsynth-dev", "timgm6mb"):
            count = min(max(count // ELSEWHERE, FEWEST), len(notes))
        answers = folder.answers(tracker, range(count), _show)
        heard = [Heard(answer.pitch, answer.pitch) for answer in answers]
        figures = score(heard, labelled[:count], agreed[:count])
        rows.append(_row(name, PEERS[tracker], figures))
    at_key = np.abs(agreed - labelled)[agreeing] <= HALF_SEMITONE
    told = (
        f"{name}: {len(notes)} notes. On {agreeing.sum()} the referees agree; "
        f"{100 * at_key.mean():.1f} % of these sound at their key."
    )
    return told, markdown_table(_header(name), rows)


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
    """CPU time a note of every contender, in turn, and the table."""

    def own(make: Callable[[], Listener]) -> Iterator[float]:
        listen = make()
        sounds = [note.sound for note in notes[:TIMED_NOTES]]
        for sound in sounds[:2]:
            listen(sound.samples, sound.sample_rate)
        while True:
            begin = time.process_time()
            for sound in sounds:
                listen(sound.samples, sound.sample_rate)
            yield 1000 * (time.process_time() - begin) / len(sounds)

    runs = {f"**ours: {title}**": own(make) for title, make in OURS.items()}
    for tracker in trackers:
        count = TIMED_SLOW if tracker in LIMITS else TIMED_NOTES
        runs[PEERS[tracker]] = timer(folder.path, tracker, range(min(count, len(notes))))
    measured = medians({name: run.__next__ for name, run in runs.items()}, repeats)
    for run in runs.values():
        run.close()
    ears = measured[f"**ours: {next(iter(OURS))}**"][1]
    rows = [
        [title, f"{median:.3g}", f"{low:.3g}–{high:.3g}", f"{median / ears:.3g}"]
        for title, (low, median, high) in sorted(measured.items(), key=lambda item: item[1][1])
    ]
    return markdown_table(["", "CPU ms a note", "lowest–highest", "÷ the ears"], rows)


def _show(tracker: str, done: int, total: int) -> None:
    end = "\n" if done == total else ""
    print(f"\r{tracker}: {done} of {total} notes", end=end, file=sys.stderr, flush=True)


def main() -> None:
    """Hear all sets and write the section."""
    sets = ("nsynth-dev", "timgm6mb", "store", *RECORDINGS)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--store", type=Path, help="a store with a test side")
    parser.add_argument("--sets", nargs="+", choices=sets, default=sets)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--notes", type=int, default=RENDERED_NOTES, help="of TimGM6mb and store")
    parser.add_argument("--repeats", type=int, default=3, help="of the timing; 0 leaves it out")
    options = parser.parse_args()

    parts = []
    for name in options.sets:
        if name == "store" and options.store is None:
            continue
        notes = read_notes(name, options)
        folder = NoteFolder(name, [note.sound for note in notes])
        told, table = compare(name, notes, folder, options.peers)
        parts.append(f"{told}\n\n{table}")
    if options.repeats:
        notes = read_notes("nsynth-dev", options)
        folder = NoteFolder("nsynth-dev", [note.sound for note in notes])
        parts.append(
            f"CPU time of a 4-s note at 16 kHz in memory, of all threads, peers held to one; "
            f"{TIMED_NOTES} notes of nsynth-dev ({TIMED_SLOW} for the slow ones), median of "
            f"{options.repeats} repeats in turn.\n\n"
            + time_all(notes, folder, options.peers, options.repeats)
        )
    write_section(
        "hearing",
        "Hearing single notes",
        "python benchmarks/hearing.py --store STORE",
        "\n\n".join([EXPLAINED, *parts]),
    )


if __name__ == "__main__":
    main()
