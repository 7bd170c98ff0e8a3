"""How well a network hears the pitch: the figures, by register and by family.

exact     the likeliest key is the labelled one (the article's categorical accuracy)
top 5     the labelled key is among the five likeliest
chroma    right but for the octave: heard ≡ labelled (mod 12)
within 1  at most a semitone off
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.corpus.corpus import Corpus
from mechanical_ears.corpus.store import ALL_SIDES, Store, as_float
from mechanical_ears.errors import CorpusError
from mechanical_ears.listening.article_ears import NOTE_SAMPLES, as_note_audio
from mechanical_ears.note import FAMILIES, NOTE_SAMPLE_RATE
from mechanical_ears.pitch import PITCH_COUNT

REGISTERS = ((0, 39), (40, 59), (60, 83), (84, 127))  # MIDI numbers, both ends included
TOP_KEYS = 5
BATCH_NOTES = 64

PredictKeys = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # (batch, 64000) → (batch, 128)


@dataclass(frozen=True)
class Accuracy:
    """Shares of notes, 0..1, and how many notes they are of."""

    notes: int
    exact: float
    top5: float
    chroma: float
    within_one: float


@dataclass(frozen=True, eq=False)
class PitchReport:
    """What came out of hearing a corpus.

    Attributes:
        overall: over all notes.
        by_register: for each of ``REGISTERS`` with notes, named "21–39" by MIDI numbers.
        by_family: for each family with notes; "unknown" where the corpus names none.
        confusion: int64 (128, 128), notes by labelled (row) and heard (column) pitch.
    """

    overall: Accuracy
    by_register: dict[str, Accuracy]
    by_family: dict[str, Accuracy]
    confusion: NDArray[np.int64]

    def to_json(self) -> dict[str, Any]:
        """JSON values; the confusions as [labelled, heard, notes] where there are any."""
        labelled, heard = np.nonzero(self.confusion)
        return {
            "overall": asdict(self.overall),
            "by_register": {name: asdict(part) for name, part in self.by_register.items()},
            "by_family": {name: asdict(part) for name, part in self.by_family.items()},
            "confusion": [
                [int(row), int(column), int(self.confusion[row, column])]
                for row, column in zip(labelled, heard, strict=True)
            ],
        }


def pitch_report(
    probabilities: NDArray[np.float32], pitch: NDArray[np.int64], family: NDArray[np.int64]
) -> PitchReport:
    """Figures of what was heard.

    Args:
        probabilities: float32 (notes, 128), of each key; any scores in that order serve.
        pitch: int64 (notes,), labelled MIDI numbers.
        family: int64 (notes,), index in ``FAMILIES``, −1 where unknown.

    Raises:
        ValueError: there is no note.
    """
    if not len(pitch):
        raise ValueError("there is no note to measure")
    heard = probabilities.argmax(axis=1)
    likeliest = np.argpartition(probabilities, -TOP_KEYS, axis=1)[:, -TOP_KEYS:]
    right = np.stack(
        [
            heard == pitch,
            (likeliest == pitch[:, None]).any(axis=1),
            (heard - pitch) % 12 == 0,
            np.abs(heard - pitch) <= 1,
        ]
    )

    def accuracy(chosen: NDArray[np.bool_]) -> Accuracy:
        return Accuracy(
            int(chosen.sum()), *(float(share) for share in right[:, chosen].mean(axis=1))
        )

    registers = {f"{low}–{high}": (pitch >= low) & (pitch <= high) for low, high in REGISTERS}
    families = {name: family == code for code, name in [*enumerate(FAMILIES), (-1, "unknown")]}
    confusion = np.zeros((PITCH_COUNT, PITCH_COUNT), dtype=np.int64)
    np.add.at(confusion, (pitch, heard), 1)
    return PitchReport(
        overall=accuracy(np.ones(len(pitch), dtype=np.bool_)),
        by_register={name: accuracy(part) for name, part in registers.items() if part.any()},
        by_family={name: accuracy(part) for name, part in families.items() if part.any()},
        confusion=confusion,
    )


def evaluate_pitch(
    hear: PredictKeys,
    corpus: Corpus,
    *,
    side: str = ALL_SIDES,
    skip_bad: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> PitchReport:
    """Let a network hear a corpus.

    Args:
        hear: float32 (batch, 64000) at 16 kHz → float32 (batch, 128).
        corpus: a store, or any other corpus.
        side: of a store's split; other corpora have none.
        skip_bad: leave out records that cannot be read.
        progress: called with notes heard and places in all.

    Raises:
        CorpusError: a record is bad, or there is no note on that side.
    """
    heard, pitches, families = [], [], []
    done = 0
    for audio, pitch, family, total in _labelled_batches(corpus, side, skip_bad):
        heard.append(hear(audio))
        pitches.append(pitch)
        families.append(family)
        done += len(pitch)
        progress(done, total)
    if not done:
        raise CorpusError("holds no note", path=corpus.provenance.title)
    return pitch_report(np.concatenate(heard), np.concatenate(pitches), np.concatenate(families))


_LabelledBatch = tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64], int]


def _labelled_batches(corpus: Corpus, side: str, skip_bad: bool) -> Iterator[_LabelledBatch]:
    """Batches of audio, pitch, family, and the number of places in all."""
    fits = isinstance(corpus, Store) and corpus.sample_rate == NOTE_SAMPLE_RATE
    if isinstance(corpus, Store) and fits and corpus.audio.shape[1] == NOTE_SAMPLES:
        rows = corpus.rows(side)
        for start in range(0, len(rows), BATCH_NOTES):
            part = rows[start : start + BATCH_NOTES]
            audio = as_float(corpus.audio[part])
            pitch, family = corpus.pitch[part], corpus.family[part]
            yield audio, pitch.astype(np.int64), family.astype(np.int64), len(rows)
        return
    wanted = set(corpus.rows(side).tolist()) if isinstance(corpus, Store) else None
    audio_rows: list[NDArray[np.float32]] = []
    labels: list[tuple[int, int]] = []
    total = len(corpus) if wanted is None else len(wanted)

    def piece() -> _LabelledBatch:
        pitch, family = np.array(labels, dtype=np.int64).T
        return np.stack(audio_rows), pitch, family, total

    for scanned in corpus.scan():
        if scanned.problem is not None and not skip_bad:
            raise scanned.problem
        if scanned.note is None or (wanted is not None and scanned.index not in wanted):
            continue
        note = scanned.note
        audio_rows.append(as_note_audio(note.sound))
        labels.append((note.pitch, -1 if note.family is None else FAMILIES.index(note.family)))
        if len(labels) == BATCH_NOTES:
            yield piece()
            audio_rows, labels = [], []
    if labels:
        yield piece()
