"""Where notes to be measured come from: a store, its resynthesis, an imagination.

A generator can make only what outlines hold. Real notes are therefore measured a second time as
they come out of their outlines, played at their key: analyse → outline → controls → render. What
lies between the two is nothing that training could mend.

Two kinds of sets are drawn. *Random notes* have the families, keys and velocities of the training
notes together as they are. The *grid* holds five keys of every instrument, an octave apart, at one
velocity, and all velocities of one of the keys, which is another one from instrument to instrument.
Of real instruments the nearest keys are taken that there are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
TRAIN: Final = SPLITS[0]  # the side of the split that trainings see
UNSEEN: Final = HELD_OUT  # and that they do not
MAX_KEY_DISTANCE: Final = 5  # semitones that a real instrument's key may lie beside one of them
BATCH_NOTES: Final = 32  # notes
PACKAGE: Final = Path(__file__).parents[1]
IMPORT_PATTERN: Final = r"mechanical_ears\.((?:imagining|resynthesis)[\w.]+) import"


@dataclass(frozen=True, eq=False)
class NoteRequests:
    """Notes that a generator is asked for.

    Attributes:
        instrument: int64 (n,), ascending; one number is one instrument.
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


NoteGenerator = Callable[[NoteRequests], Iterator[Notes]]  # plays what is asked for, in its order


def open_store(path: str | Path) -> Store:
    """A store that real notes can be taken from.

    Raises:
        CorpusError: there is none, it was never split, or its notes are not 4 s at 16 kHz.
    """
    store = Store(path)
    if store.sample_rate != NOTE_SAMPLE_RATE or store.audio.shape[1] != SAMPLES:
        raise CorpusError(
            f"holds notes of {store.audio.shape[1]} samples at {store.sample_rate} Hz",
            path=path,
            remedy=f"build one of {NOTE_SECONDS:g} s at {NOTE_SAMPLE_RATE} Hz",
        )
    if not (store.side == TRAIN).any() or not np.isin(store.side, SPLITS[1:]).any():
        raise CorpusError(
            "has no unseen instruments: it was never split",
            path=path,
            remedy="build it with --split",
        )
    return store


def random_rows(store: Store, side: str, count: int, seed: int, part: int = 0) -> NDArray[np.int64]:
    """Rows of so many notes of a side, in ascending order.

    Args:
        store: where they are.
        side: of its split.
        count: fewer where the side has not so many for both parts.
        seed: of the lot.
        part: 0 or 1, of which none shares a note with the other.
    """
    rows = store.rows(side)
    order = np.random.default_rng([seed, len(rows)]).permutation(rows)
    count = min(count, len(rows) // 2)
    return np.sort(order[part * count : (part + 1) * count])


def grid_rows(store: Store, side: str) -> NDArray[np.int64]:
    """Rows of the grid of all instruments of a side, those of an instrument one after the other."""
    rows = store.rows(side)
    names, which = np.unique(store.instrument[rows], return_inverse=True)
    chosen: list[int] = []
    for number in range(len(names)):
        mine = rows[which == number]
        mine = mine[np.isin(store.velocity[mine], VELOCITIES)]
        found = {_nearest_row(store, mine, key) for key in GRID_KEYS} - {None}
        found |= {*_velocity_rows(store, mine, number)}
        chosen += sorted(row for row in found if row is not None)
    return np.array(chosen, dtype=np.int64)


def _nearest_row(store: Store, mine: NDArray[np.int64], key: int) -> int | None:
    """The row of an instrument's note at the grid's velocity whose key is nearest; None too far."""
    mine = mine[store.velocity[mine] == GRID_VELOCITY]
    apart = np.abs(store.pitch[mine].astype(np.int64) - key)
    return int(mine[apart.argmin()]) if len(mine) and apart.min() <= MAX_KEY_DISTANCE else None


def _velocity_rows(store: Store, mine: NDArray[np.int64], number: int) -> list[int]:
    """Rows of all velocities of the key that has the most of them near the instrument's own."""
    if not len(mine):
        return []
    keys, counts = np.unique(store.pitch[mine], return_counts=True)
    apart = np.abs(keys.astype(np.int64) - _velocity_key(number))
    far = np.maximum(apart, MAX_KEY_DISTANCE)  # within reach only velocities count
    best = np.lexsort((-counts, far))[0]
    return [int(row) for row in mine[store.pitch[mine] == keys[best]]]


def _velocity_key(number: int) -> int:
    """The key of which instrument ``number`` plays all velocities."""
    return GRID_KEYS[number % len(GRID_KEYS)]


def read_notes(store: Store, rows: NDArray[np.int64]) -> Iterator[Notes]:
    """Notes of a store as they are."""
    for first in range(0, len(rows), BATCH_NOTES):
        part = rows[first : first + BATCH_NOTES]
        yield Notes(
            audio=as_float(store.audio[part]),
            pitch=store.pitch[part].astype(np.int64),
            velocity=store.velocity[part].astype(np.int64),
            family=store.family[part].astype(np.int64),
            instrument=store.instrument[part],
        )


def resynthesise_notes(batches: Iterator[Notes]) -> Iterator[Notes]:
    """Notes out of their outlines, at their keys; those that cannot be taken apart are left out."""
    for batch in batches:
        pairs = zip(batch.audio, batch.pitch.tolist(), strict=True)
        made = [_resynthesise(audio, key) for audio, key in pairs]
        kept = np.array([row for row, audio in enumerate(made) if audio is not None], np.int64)
        if len(kept):
            audio = np.stack([audio for audio in made if audio is not None])
            some = batch[kept]
            yield Notes(audio, some.pitch, some.velocity, some.family, some.instrument)


def _resynthesise(audio: NDArray[np.float32], key: int) -> NDArray[np.float32] | None:
    from mechanical_ears.resynthesis.analysis.analyse import analyse
    from mechanical_ears.resynthesis.control_grid import to_control_grid, to_control_maps
    from mechanical_ears.resynthesis.synthesis.render import render

    note = Note(Sound(audio, NOTE_SAMPLE_RATE), pitch=key, velocity=100, instrument="real")
    try:
        (found,) = to_control_maps(to_control_grid(analyse(note)), [float(key)])
    except SoundError:
        return None
    made = render(found, sample_rate=NOTE_SAMPLE_RATE, seed=key, phases=False)
    return fit_length(made.samples)


def fit_length(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Samples cut or padded to the length of a note."""
    row = np.zeros(SAMPLES, dtype=np.float32)
    count = min(len(samples), SAMPLES)
    row[:count] = samples[:count]
    return row


def random_requests(store: Store, instruments: int, notes: int, seed: int) -> NoteRequests:
    """Random notes of so many instruments, about the same number of each.

    Families are in the shares of the training notes; an instrument's keys and velocities are those
    of training notes of its family, drawn by lot.
    """
    rows = store.rows(TRAIN)
    rows = rows[store.family[rows] >= 0]
    chance = np.random.default_rng([seed, instruments, notes])
    families = np.sort(store.family[chance.choice(rows, instruments)])
    families = chance.permutation(families)
    of_family = {code: rows[store.family[rows] == code] for code in np.unique(families)}
    instrument = np.sort(np.arange(notes) % instruments)
    family = families[instrument].astype(np.int64)
    like = np.array([chance.choice(of_family[code]) for code in family])
    return NoteRequests(
        instrument,
        family,
        store.pitch[like].astype(np.int64),
        store.velocity[like].astype(np.int64),
    )


def grid_requests(asked: NoteRequests) -> NoteRequests:
    """The grid of the instruments of other notes asked for."""
    numbers, firsts = np.unique(asked.instrument, return_index=True)
    softer = [force for force in VELOCITIES if force != GRID_VELOCITY]
    keys = [[*GRID_KEYS, *[_velocity_key(number)] * len(softer)] for number in numbers.tolist()]
    size = len(GRID_KEYS) + len(softer)
    return NoteRequests(
        np.repeat(numbers, size),
        np.repeat(asked.family[firsts], size),
        np.array(keys, dtype=np.int64).ravel(),
        np.tile([GRID_VELOCITY] * len(GRID_KEYS) + softer, len(numbers)),
    )


def model_digest(imagination: Model) -> str:
    """Digest of all that decides how an imagination sounds: its weights and the code that plays."""
    files = (imagination.path / name for name in (MAPPER, GENERATOR))
    weights = b"".join(file.read_bytes() for file in files)
    code = code_digest("imagining.imagine")
    return hashlib.sha256(weights + code.encode()).hexdigest()[:12]


def resynthesis_digest() -> str:
    """Digest of the code that decides how resynthesised notes sound."""
    modules = ("analysis.analyse", "control_grid", "synthesis.render")
    return code_digest(*(f"resynthesis.{name}" for name in modules))[:12]


def code_digest(*modules: str) -> str:
    """SHA-256 of modules of this package and of what they import from its two sounding folders."""
    waiting, texts = set(modules), dict[str, str]()
    while waiting:
        name = waiting.pop()
        path = PACKAGE.joinpath(*name.split(".")).with_suffix(".py")
        texts[name] = path.read_text(encoding="utf-8")
        imported = re.findall(
            r"mechanical_ears\.((?:imagining|resynthesis)[\w.]+) import", texts[name]
        )
        waiting |= {name for name in imported if not _is_folder(name)} - {*texts}
    code = "".join(texts[name] for name in sorted(texts))
    return hashlib.sha256(code.encode()).hexdigest()


def _is_folder(module: str) -> bool:
    return PACKAGE.joinpath(*module.split(".")).is_dir()


def imagined_note_generator(
    imagination: Model, seed: int = 0, draw: int | None = None
) -> NoteGenerator:
    """What plays instruments drawn by lot: number i is the one of the seed ``seed`` · 10⁶ + i.

    Args:
        imagination: the networks.
        seed: of all lots.
        draw: which one of a seed's draws; None lets the ears choose.
    """
    from mechanical_ears.imagining.imagine import imagine

    def play(asked: NoteRequests) -> Iterator[Notes]:
        bounds = np.flatnonzero(np.diff(asked.instrument, prepend=-1, append=-1))
        for first, last in pairwise(bounds.tolist()):
            number, family = int(asked.instrument[first]), FAMILIES[asked.family[first]]
            instrument = imagine(
                seed * 1_000_000 + number, family=family, candidate=draw, model=imagination
            )
            keys, velocities = asked.pitch[first:last], asked.velocity[first:last]
            pairs = [(float(key), int(force)) for key, force in zip(keys, velocities, strict=True)]
            sounds = instrument.notes(pairs, NOTE_SECONDS, NOTE_SAMPLE_RATE)
            yield Notes(
                audio=np.stack([fit_length(sound.samples) for sound in sounds]),
                pitch=keys,
                velocity=velocities,
                family=asked.family[first:last],
                instrument=np.full(last - first, f"imagined-{number:04d}"),
            )

    return play
