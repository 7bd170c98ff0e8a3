"""Sets of notes to be measured: of a store, resynthesised, or imagined.

A generator can make only what control grids hold. Real notes are therefore measured a second time
after resynthesis from their grids, at their keys: analyse → control grid → control map → render.
No training can remove the difference between the two.

There are two kinds of sets. *Random notes* have the joint distribution of families, keys and
velocities of the training notes. The *grid* holds five keys of every instrument, an octave apart,
at one velocity, and all velocities of one of these keys, which alternates from instrument to
instrument. For real instruments the nearest existing keys are used.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.corpus.split import SPLITS
from mechanical_ears.corpus.store import HELD_OUT, Store, as_float
from mechanical_ears.errors import CorpusError, SoundError
from mechanical_ears.evaluation.measurements import SAMPLES, Notes
from mechanical_ears.imagining.model import GENERATOR, MAPPER, Model
from mechanical_ears.note import FAMILIES, NOTE_SAMPLE_RATE, NOTE_SECONDS, VELOCITIES, Note
from mechanical_ears.sound import Sound

GRID_KEYS: Final = (36, 48, 60, 72, 84)  # MIDI numbers
GRID_VELOCITY: Final = 100
TRAIN: Final = SPLITS[0]  # side of the split
UNSEEN: Final = HELD_OUT
MAX_KEY_DISTANCE: Final = 5  # semitones between a key of the grid and a real note for it
BATCH_NOTES: Final = 32  # notes
PACKAGE: Final = Path(__file__).parents[1]
IMPORT_PATTERN: Final = r"mechanical_ears\.((?:imagining|resynthesis)[\w.]+) import"


@dataclass(frozen=True, eq=False)
class NoteRequests:
    """Notes that a generator should make.

    Attributes:
        instrument: int64 (n,), ascending; number of the instrument.
        family: int64 (n,), index in `FAMILIES`, the same for all notes of an instrument.
        pitch: int64 (n,), MIDI number.
        velocity: int64 (n,), MIDI velocity.
    """

    instrument: NDArray[np.int64]
    family: NDArray[np.int64]
    pitch: NDArray[np.int64]
    velocity: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.instrument)


NoteGenerator = Callable[[NoteRequests], Iterator[Notes]]  # makes notes in the order requested


def open_store(path: str | Path) -> Store:
    """Open a store of real notes for the evaluation.

    Raises:
        CorpusError: there is none, it is not split, or its notes are not 4 s at 16 kHz.
    """
    store = Store(path)
    if store.sample_rate != NOTE_SAMPLE_RATE or store.audio.shape[1] != SAMPLES:
        raise CorpusError(
            f"holds notes of {store.audio.shape[1]} samples at {store.sample_rate} Hz",
            path=path,
            remedy=f"build one of {NOTE_SECONDS:g} s at {NOTE_SAMPLE_RATE} Hz",
        )
    if not (store.side == TRAIN).any() or not np.isin(store.side, SPLITS[1:]).any():
        problem = "has no unseen instruments: it was never split"
        raise CorpusError(problem, path=path, remedy="build it with --split")
    return store


def random_rows(store: Store, side: str, count: int, seed: int, part: int = 0) -> NDArray[np.int64]:
    """Draw random notes of a side; rows in ascending order.

    Args:
        store: of the notes.
        side: of its split.
        count: number of notes; fewer if the side has too few for two parts.
        seed: of the random choice.
        part: 0 or 1; the two parts have no note in common.
    """
    rows = store.rows(side)
    order = np.random.default_rng([seed, len(rows)]).permutation(rows)
    count = min(count, len(rows) // 2)
    return np.sort(order[part * count : (part + 1) * count])


def grid_rows(store: Store, side: str) -> NDArray[np.int64]:
    """Rows of the grid of all instruments of a side, instrument by instrument."""
    rows = store.rows(side)
    names, which = np.unique(store.instrument[rows], return_inverse=True)
    selected: list[int] = []
    for number in range(len(names)):
        own = rows[which == number]
        own = own[np.isin(store.velocity[own], VELOCITIES)]
        cells = {_nearest_row(store, own, key) for key in GRID_KEYS}
        cells |= {*_velocity_rows(store, own, number)}
        selected += sorted(row for row in cells if row is not None)
    return np.array(selected, dtype=np.int64)


def _nearest_row(store: Store, rows: NDArray[np.int64], key: int) -> int | None:
    """Row of the note at the grid's velocity with the nearest key; None if all are too far."""
    rows = rows[store.velocity[rows] == GRID_VELOCITY]
    distances = np.abs(store.pitch[rows].astype(np.int64) - key)
    near = len(rows) and distances.min() <= MAX_KEY_DISTANCE
    return int(rows[distances.argmin()]) if near else None


def _velocity_rows(store: Store, rows: NDArray[np.int64], number: int) -> list[int]:
    """Rows of all velocities of one key: near `_velocity_key`, that with the most velocities."""
    if not len(rows):
        return []
    keys, counts = np.unique(store.pitch[rows], return_counts=True)
    distances = np.abs(keys.astype(np.int64) - _velocity_key(number))
    # among near keys only the number of velocities counts
    best = np.lexsort((-counts, np.maximum(distances, MAX_KEY_DISTANCE)))[0]
    return [int(row) for row in rows[store.pitch[rows] == keys[best]]]


def _velocity_key(number: int) -> int:
    """The key at which instrument ``number`` is measured at all velocities."""
    return GRID_KEYS[number % len(GRID_KEYS)]


def read_notes(store: Store, rows: NDArray[np.int64]) -> Iterator[Notes]:
    """Read notes of a store, in batches."""
    for first in range(0, len(rows), BATCH_NOTES):
        part = rows[first : first + BATCH_NOTES]
        pitch, velocity, family = (
            column[part].astype(np.int64) for column in (store.pitch, store.velocity, store.family)
        )
        yield Notes(pitch, velocity, family, store.instrument[part], as_float(store.audio[part]))


def resynthesise_notes(batches: Iterator[Notes]) -> Iterator[Notes]:
    """Resynthesise notes from their control grids; notes that cannot be analysed are left out."""
    for batch in batches:
        pairs = zip(batch.audio, batch.pitch.tolist(), strict=True)
        results = [_resynthesise(audio, key) for audio, key in pairs]
        kept = [row for row, audio in enumerate(results) if audio is not None]
        if kept:
            audio = np.stack([audio for audio in results if audio is not None])
            yield replace(batch[np.array(kept, np.int64)], audio=audio)


def _resynthesise(audio: NDArray[np.float32], key: int) -> NDArray[np.float32] | None:
    from mechanical_ears.resynthesis.analysis.analyse import analyse
    from mechanical_ears.resynthesis.control_grid import to_control_grid, to_control_maps
    from mechanical_ears.resynthesis.synthesis.render import render

    note = Note(Sound(audio, NOTE_SAMPLE_RATE), pitch=key, velocity=100, instrument="real")
    try:
        (control_map,) = to_control_maps(to_control_grid(analyse(note)), [float(key)])
    except SoundError:
        return None
    rendered = render(control_map, sample_rate=NOTE_SAMPLE_RATE, seed=key, phases=False)
    return fit_length(rendered.samples)


def fit_length(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut or zero-pad samples to the length of a note."""
    return np.pad(samples[:SAMPLES], (0, max(0, SAMPLES - len(samples))))


def random_requests(store: Store, instruments: int, notes: int, seed: int) -> NoteRequests:
    """Request random notes of random instruments, about the same number of each.

    Families occur as often as in the training notes; keys and velocities of an instrument are those
    of random training notes of its family.

    Args:
        store: of the training notes.
        instruments: number of instruments.
        notes: number of notes.
        seed: of all random choices.
    """
    rows = store.rows(TRAIN)
    rows = rows[store.family[rows] >= 0]
    rng = np.random.default_rng([seed, instruments, notes])
    families = np.sort(store.family[rng.choice(rows, instruments)])
    families = rng.permutation(families)
    of_family = {code: rows[store.family[rows] == code] for code in np.unique(families)}
    instrument = np.sort(np.arange(notes) % instruments)
    family = families[instrument].astype(np.int64)
    examples = np.array([rng.choice(of_family[code]) for code in family])
    pitch, velocity = (each[examples].astype(np.int64) for each in (store.pitch, store.velocity))
    return NoteRequests(instrument, family, pitch, velocity)


def grid_requests(requests: NoteRequests) -> NoteRequests:
    """Request the grid of the instruments of other requests."""
    numbers, firsts = np.unique(requests.instrument, return_index=True)
    softer = [velocity for velocity in VELOCITIES if velocity != GRID_VELOCITY]
    keys = [[*GRID_KEYS, *[_velocity_key(number)] * len(softer)] for number in numbers.tolist()]
    size = len(GRID_KEYS) + len(softer)
    return NoteRequests(
        np.repeat(numbers, size),
        np.repeat(requests.family[firsts], size),
        np.array(keys, dtype=np.int64).ravel(),
        np.tile([GRID_VELOCITY] * len(GRID_KEYS) + softer, len(numbers)),
    )


def model_digest(model: Model) -> str:
    """Digest of everything that determines how a model sounds: its weights and the code."""
    files = (model.path / name for name in (MAPPER, GENERATOR))
    weights = b"".join(file.read_bytes() for file in files)
    code = code_digest("imagining.imagine")
    return hashlib.sha256(weights + code.encode()).hexdigest()[:12]


def resynthesis_digest() -> str:
    """Digest of the code that determines how resynthesised notes sound."""
    modules = ("analysis.analyse", "control_grid", "synthesis.render")
    return code_digest(*(f"resynthesis.{name}" for name in modules))[:12]


def code_digest(*modules: str) -> str:
    """SHA-256 of modules and of their imports from ``imagining`` and ``resynthesis``."""
    waiting, texts = set(modules), dict[str, str]()
    while waiting:
        name = waiting.pop()
        path = PACKAGE.joinpath(*name.split(".")).with_suffix(".py")
        texts[name] = path.read_text(encoding="utf-8")
        imported = re.findall(IMPORT_PATTERN, texts[name])
        waiting |= {name for name in imported if not _is_folder(name)} - {*texts}
    code = "".join(texts[name] for name in sorted(texts))
    return hashlib.sha256(code.encode()).hexdigest()


def _is_folder(module: str) -> bool:
    return PACKAGE.joinpath(*module.split(".")).is_dir()


def imagined_note_generator(
    model: Model, seed: int = 0, candidate: int | None = None
) -> NoteGenerator:
    """Make notes of imagined instruments: number i is that of the seed ``seed`` · 10⁶ + i.

    Args:
        model: weights of the networks.
        seed: of all random choices.
        candidate: number of the candidate of each seed; None lets the ears choose.
    """
    from mechanical_ears.imagining.imagine import imagine

    def generate(requests: NoteRequests) -> Iterator[Notes]:
        bounds = np.flatnonzero(np.diff(requests.instrument, prepend=-1, append=-1))
        for first, last in pairwise(bounds.tolist()):
            number, family = int(requests.instrument[first]), FAMILIES[requests.family[first]]
            number_seed = seed * 1_000_000 + number
            instrument = imagine(number_seed, family=family, candidate=candidate, model=model)
            keys, velocities = requests.pitch[first:last], requests.velocity[first:last]
            pairs = list(zip(keys.astype(float).tolist(), velocities.tolist(), strict=True))
            sounds = instrument.notes(pairs, NOTE_SECONDS, NOTE_SAMPLE_RATE)
            yield Notes(
                audio=np.stack([fit_length(sound.samples) for sound in sounds]),
                pitch=keys,
                velocity=velocities,
                family=requests.family[first:last],
                instrument=np.full(last - first, f"imagined-{number:04d}"),
            )

    return generate
