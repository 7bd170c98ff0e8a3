"""Accuracy of a pitch detector on a corpus, overall, by register and by family.

exact     the most probable key is the labelled one (the article's categorical accuracy)
top 5     the labelled key is among the five most probable
chroma    right except for the octave: predicted ≡ labelled (mod 12)
within 1  at most a semitone off
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.corpus.corpus import Corpus
from mechanical_ears.corpus.store import ALL_SIDES, Store, as_float
from mechanical_ears.errors import CorpusError
from mechanical_ears.listening.article_ears import NOTE_SAMPLES, to_note_audio
from mechanical_ears.note import FAMILIES, NOTE_SAMPLE_RATE, Note
from mechanical_ears.pitch import PITCH_COUNT

REGISTERS = ((0, 39), (40, 59), (60, 83), (84, 127))  # MIDI numbers, both ends included
TOP_KEYS = 5
BATCH_NOTES = 64

PredictKeys = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # (batch, 64000) → (batch, 128)


@dataclass(frozen=True)
class Accuracy:
    """Shares of notes, 0..1.

    Attributes:
        notes: number of notes.
        exact, top5, chroma, within_one: see the module.
    """

    notes: int
    exact: float
    top5: float
    chroma: float
    within_one: float


@dataclass(frozen=True, eq=False)
class PitchReport:
    """Accuracy of predictions for a corpus.

    Attributes:
        overall: over all notes.
        by_register: for each of ``REGISTERS`` with notes, named "21–39" by MIDI numbers.
        by_family: for each family with notes; "unknown" where the corpus names none.
        confusion: int64 (128, 128), notes by labelled (row) and predicted (column) key.
    """

    overall: Accuracy
    by_register: dict[str, Accuracy]
    by_family: dict[str, Accuracy]
    confusion: NDArray[np.int64]

    def to_json(self) -> dict[str, Any]:
        """JSON values; the confusion as [labelled, predicted, notes] of cells above 0."""
        labelled, predicted = np.nonzero(self.confusion)
        return {
            "overall": asdict(self.overall),
            "by_register": {name: asdict(part) for name, part in self.by_register.items()},
            "by_family": {name: asdict(part) for name, part in self.by_family.items()},
            "confusion": [
                [int(row), int(column), int(self.confusion[row, column])]
                for row, column in zip(labelled, predicted, strict=True)
            ],
        }


def pitch_report(
    probabilities: NDArray[np.float32], pitch: NDArray[np.int64], family: NDArray[np.int64]
) -> PitchReport:
    """Compare predictions with labels.

    Args:
        probabilities: float32 (notes, 128), of each key; any scores in the same order do.
        pitch: int64 (notes,), labelled MIDI numbers.
        family: int64 (notes,), index in ``FAMILIES``, −1 where unknown.

    Raises:
        ValueError: there are no notes.
    """
    if not len(pitch):
        raise ValueError("there is no note to measure")
    predicted = probabilities.argmax(axis=1)
    top = np.argpartition(probabilities, -TOP_KEYS, axis=1)[:, -TOP_KEYS:]
    correct = np.stack(
        [
            predicted == pitch,
            (top == pitch[:, None]).any(axis=1),
            (predicted - pitch) % 12 == 0,
            np.abs(predicted - pitch) <= 1,
        ]
    )

    def accuracy(rows: NDArray[np.bool_]) -> Accuracy:
        return Accuracy(int(rows.sum()), *(float(share) for share in correct[:, rows].mean(axis=1)))

    registers = {f"{low}–{high}": (pitch >= low) & (pitch <= high) for low, high in REGISTERS}
    families = {name: family == code for code, name in [*enumerate(FAMILIES), (-1, "unknown")]}
    confusion = np.zeros((PITCH_COUNT, PITCH_COUNT), dtype=np.int64)
    np.add.at(confusion, (pitch, predicted), 1)
    return PitchReport(
        overall=accuracy(np.ones(len(pitch), dtype=np.bool_)),
        by_register={name: accuracy(rows) for name, rows in registers.items() if rows.any()},
        by_family={name: accuracy(rows) for name, rows in families.items() if rows.any()},
        confusion=confusion,
    )


def evaluate_pitch(
    predict: PredictKeys,
    corpus: Corpus,
    *,
    side: str = ALL_SIDES,
    skip_bad: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> PitchReport:
    """Measure the accuracy of a pitch detector on a corpus.

    Args:
        predict: float32 (batch, 64000) at 16 kHz → probabilities, float32 (batch, 128).
        corpus: a store, or any other corpus.
        side: of a store's split; other corpora have none.
        skip_bad: skip records that cannot be read.
        progress: called with the numbers of notes done and of records in all.

    Raises:
        CorpusError: a record is damaged, or there are no notes on that side.
    """
    batches, done = [], 0
    for audio, pitch, family, total in _labelled_batches(corpus, side, skip_bad):
        batches.append((predict(audio), pitch, family))
        done += len(pitch)
        progress(done, total)
    if not done:
        raise CorpusError("holds no note", path=corpus.provenance.title)
    return pitch_report(*(np.concatenate(column) for column in zip(*batches, strict=True)))


_LabelledBatch = tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64], int]


def _labelled_batches(corpus: Corpus, side: str, skip_bad: bool) -> Iterator[_LabelledBatch]:
    """Batches of audio, pitch, family, and the number of records in all."""
    store = corpus if isinstance(corpus, Store) else None
    stored = None if store is None else (store.sample_rate, store.audio.shape[1])
    if store is not None and stored == (NOTE_SAMPLE_RATE, NOTE_SAMPLES):
        rows = store.rows(side)
        for start in range(0, len(rows), BATCH_NOTES):
            part = rows[start : start + BATCH_NOTES]
            pitch, family = (each[part].astype(np.int64) for each in (store.pitch, store.family))
            yield as_float(store.audio[part]), pitch, family, len(rows)
        return
    selected = None if store is None else set(store.rows(side).tolist())
    total = len(corpus) if selected is None else len(selected)

    def readable() -> Iterator[Note]:
        for scanned in corpus.scan():
            if scanned.problem is not None and not skip_bad:
                raise scanned.problem
            if scanned.note is not None and (selected is None or scanned.index in selected):
                yield scanned.note

    notes = readable()
    while batch := list(islice(notes, BATCH_NOTES)):
        families = [-1 if note.family is None else FAMILIES.index(note.family) for note in batch]
        pitch, family = np.array([[note.pitch for note in batch], families], dtype=np.int64)
        yield np.stack([to_note_audio(note.sound) for note in batch]), pitch, family, total
