"""Notes, and measurements of each: predictions of the evaluation network, loudness, pitch, faults.

Real, resynthesised and generated notes go through the same function. Audio is released batch by
batch; the measurements of a note take about 3 kB.

Sets of notes are compared in 256 features: the numbers t ≥ 0 from which the evaluation network
predicts family, source, velocity, qualities and its embedding, in logarithms because their
distribution has long tails:

    log(1 + t)

The embedding itself, 64 numbers on a sphere trained to distinguish instruments, measures distances
between instruments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.errors import EarsError
from mechanical_ears.evaluation.faults import Faults, find_faults
from mechanical_ears.files import write_atomically
from mechanical_ears.listening.f0 import refine
from mechanical_ears.loudness import loudness
from mechanical_ears.note import NOTE_SAMPLE_RATE, NOTE_SECONDS
from mechanical_ears.pitch import cents_between, midi_to_hz

if TYPE_CHECKING:
    from mechanical_ears.evaluation.judge import EvaluationNetwork

SAMPLES: Final = round(NOTE_SAMPLE_RATE * NOTE_SECONDS)
BATCH_NOTES: Final = 32
MIN_SALIENCE: Final = 0.5  # from which a pitch is measured
NOT_SEARCHED: Final = Faults(clicks=-1, offset=False, clipped=False, silent=False)

Rows = slice | NDArray[np.int64] | NDArray[np.bool_]
Progress = Callable[[int], None]  # notes done


@dataclass(frozen=True, eq=False)
class NoteLabels:
    """Labels of n notes.

    Attributes:
        pitch: int64 (n,), MIDI number of the key.
        velocity: int64 (n,), MIDI velocity.
        family: int64 (n,), index in `FAMILIES`, −1 where unknown.
        instrument: str (n,), name of the instrument.
    """

    pitch: NDArray[np.int64]
    velocity: NDArray[np.int64]
    family: NDArray[np.int64]
    instrument: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.pitch)

    def __getitem__(self, rows: Rows) -> Self:
        """The same of some of the notes."""
        return replace(self, **{name: values[rows] for name, values in vars(self).items()})


@dataclass(frozen=True, eq=False)
class Notes(NoteLabels):
    """Labelled notes with their audio.

    Attributes:
        audio: float32 (n, 64000) in [-1, 1] at 16 kHz, onset at the start.

    Raises:
        ValueError: a part has another length, or the audio another shape.
    """

    audio: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.audio.ndim != 2 or self.audio.shape[1] != SAMPLES:
            raise ValueError(f"the audio has the shape {self.audio.shape}, not (n, {SAMPLES})")
        for name in ("pitch", "velocity", "family", "instrument"):
            if len(getattr(self, name)) != len(self.audio):
                raise ValueError(f'"{name}" is of {len(getattr(self, name))} notes')


@dataclass(frozen=True, eq=False)
class NoteMeasurements(NoteLabels):
    """Measurements of labelled notes.

    Attributes:
        features: float32 (n, 256), in which sets are compared.
        embedding: float32 (n, 64), of length 1.
        keys: float32 (n, 128), predicted probabilities of keys.
        families: float32 (n, 11), predicted probabilities of families.
        loudness: float64 (n,), LUFS.
        cents: float64 (n,), deviation from the key, NaN where no pitch is salient.
        clicks: int64 (n,); −1 where faults were not searched for.
        offset, clipped, silent: bool (n,); False where faults were not searched for.
    """

    features: NDArray[np.float32]
    embedding: NDArray[np.float32]
    keys: NDArray[np.float32]
    families: NDArray[np.float32]
    loudness: NDArray[np.float64]
    cents: NDArray[np.float64]
    clicks: NDArray[np.int64]
    offset: NDArray[np.bool_]
    clipped: NDArray[np.bool_]
    silent: NDArray[np.bool_]

    def save(self, path: Path) -> None:
        """Write a .npz file."""
        with write_atomically(path) as temporary:
            np.savez(temporary, **{part.name: getattr(self, part.name) for part in fields(self)})

    @classmethod
    def load(cls, path: Path) -> NoteMeasurements:
        """Read a file that `save` wrote.

        Raises:
            EarsError: it is damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                return cls(**{part.name: file[part.name] for part in fields(cls)})
        except (OSError, ValueError, KeyError) as error:
            raise EarsError(f"is damaged ({error})", path=path, remedy="remove it") from error


NoteSet = TypeVar("NoteSet", bound=NoteLabels)


def concatenate(parts: Sequence[NoteSet]) -> NoteSet:
    """Join several sets of notes, or the measurements of several sets."""
    kind = type(parts[0])
    names = [column.name for column in fields(kind)]
    return kind(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def measure_notes(
    batches: Iterable[Notes],
    network: EvaluationNetwork,
    *,
    look_for_faults: bool = True,
    progress: Progress = lambda done: None,
) -> NoteMeasurements:
    """Measure notes.

    Args:
        batches: the notes, in batches of any size.
        network: the evaluation network.
        look_for_faults: whether to search for faults, which takes half of the time.
        progress: called with the number of notes done.

    Raises:
        ValueError: there are no notes.
    """
    parts = []
    done = 0
    for batch in batches:
        for first in range(0, len(batch), BATCH_NOTES):
            notes = batch[first : first + BATCH_NOTES]
            parts.append(_measure_batch(notes, network, look_for_faults))
            done += len(notes)
            progress(done)
    if not parts:
        raise ValueError("there is no note to measure")
    return concatenate(parts)


def _measure_batch(
    notes: Notes, network: EvaluationNetwork, look_for_faults: bool
) -> NoteMeasurements:
    import torch

    audio = torch.from_numpy(np.ascontiguousarray(notes.audio))
    predictions, features = network.predict_with_features(audio)
    faults = [NOT_SEARCHED] * len(notes)
    if look_for_faults:
        faults = [find_faults(row, NOTE_SAMPLE_RATE) for row in notes.audio]
    return NoteMeasurements(
        **{label.name: getattr(notes, label.name) for label in fields(NoteLabels)},
        features=features.log1p().numpy(),
        embedding=predictions.embedding.numpy(),
        keys=predictions.key.softmax(dim=1).numpy(),
        families=predictions.family.softmax(dim=1).numpy(),
        loudness=np.array([loudness(row, NOTE_SAMPLE_RATE) for row in notes.audio]),
        cents=np.array([_cents(*pair) for pair in zip(notes.audio, notes.pitch, strict=True)]),
        **{kind.name: np.array([getattr(f, kind.name) for f in faults]) for kind in fields(Faults)},
    )


def _cents(audio: NDArray[np.float32], pitch: int) -> float:
    """Deviation of the fundamental from its key; NaN where none is salient."""
    refined = refine(audio, NOTE_SAMPLE_RATE, pitch)
    if refined.salience < MIN_SALIENCE:
        return float("nan")
    return cents_between(refined.frequency, midi_to_hz(pitch))
