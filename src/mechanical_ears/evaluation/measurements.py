"""Notes, and what is measured of each: what the evaluation network hears, loudness, pitch, faults.

Real notes, resynthesised ones and generated ones of whatever origin go through the same function.
Audio is let go batch by batch; what is kept of a note is about 3 kB.

The features in which sets of notes are compared are the 256 numbers from which the evaluation
network tells family, source, velocity, qualities and its embedding, in logarithms:

    log(1 + t)

(t ≥ 0 and of long tails). The embedding itself, 64 numbers on a sphere that were trained to tell
instruments apart, measures how far instruments lie from each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.errors import EarsError
from mechanical_ears.evaluation.faults import find_faults
from mechanical_ears.files import write_atomically
from mechanical_ears.listening.f0 import refine
from mechanical_ears.loudness import loudness
from mechanical_ears.note import NOTE_SAMPLE_RATE, NOTE_SECONDS
from mechanical_ears.pitch import cents_between, midi_to_hz

if TYPE_CHECKING:
    from mechanical_ears.evaluation.judge import EvaluationNetwork

SAMPLES: Final = round(NOTE_SAMPLE_RATE * NOTE_SECONDS)
BATCH_NOTES: Final = 32  # notes
MIN_SALIENCE: Final = 0.5  # salience from which a pitch is measured

Progress = Callable[[int], None]  # notes done


@dataclass(frozen=True, eq=False)
class Notes:
    """A set of notes.

    Attributes:
        audio: float32 (n, 64000) in [-1, 1] at 16 kHz, onset at the start.
        pitch: int64 (n,), MIDI number of the key.
        velocity: int64 (n,), MIDI velocity.
        family: int64 (n,), index in `FAMILIES`, −1 where unknown.
        instrument: str (n,), what distinguishes instruments.

    Raises:
        ValueError: a part has another length, or the audio another shape.
    """

    audio: NDArray[np.float32]
    pitch: NDArray[np.int64]
    velocity: NDArray[np.int64]
    family: NDArray[np.int64]
    instrument: NDArray[np.str_]

    def __post_init__(self) -> None:
        if self.audio.ndim != 2 or self.audio.shape[1] != SAMPLES:
            raise ValueError(f"the audio has the shape {self.audio.shape}, not (n, {SAMPLES})")
        for name in ("pitch", "velocity", "family", "instrument"):
            if len(getattr(self, name)) != len(self.audio):
                raise ValueError(f'"{name}" is of {len(getattr(self, name))} notes')

    def __len__(self) -> int:
        return len(self.audio)

    def __getitem__(self, which: slice | NDArray[np.int64]) -> Notes:
        """Some of the notes."""
        return Notes(**{part.name: getattr(self, part.name)[which] for part in fields(self)})


@dataclass(frozen=True, eq=False)
class NoteMeasurements:
    """What was measured of n notes.

    Attributes:
        pitch, velocity, family, instrument: as in `Notes`.
        features: float32 (n, 256), in which sets are compared.
        embedding: float32 (n, 64), of length 1.
        keys: float32 (n, 128), probabilities that each key was played.
        families: float32 (n, 11), probabilities of families.
        loudness: float64 (n,), LUFS.
        cents: float64 (n,), by which it sounds above its key, NaN where no pitch stands out.
        clicks: int64 (n,); −1 where nobody looked for faults.
        offset, clipped, silent: bool (n,).
    """

    pitch: NDArray[np.int64]
    velocity: NDArray[np.int64]
    family: NDArray[np.int64]
    instrument: NDArray[np.str_]
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

    def __len__(self) -> int:
        return len(self.pitch)

    def __getitem__(self, which: slice | NDArray[np.int64] | NDArray[np.bool_]) -> NoteMeasurements:
        """Some of the notes."""
        return NoteMeasurements(
            **{part.name: getattr(self, part.name)[which] for part in fields(self)}
        )

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


def concatenate(parts: Sequence[NoteMeasurements]) -> NoteMeasurements:
    """Several sets as one."""
    names = [part.name for part in fields(NoteMeasurements)]
    return NoteMeasurements(
        **{name: np.concatenate([getattr(p, name) for p in parts]) for name in names}
    )


def measure_notes(
    batches: Iterable[Notes],
    network: EvaluationNetwork,
    *,
    look_for_faults: bool = True,
    progress: Progress = lambda done: None,
) -> NoteMeasurements:
    """Measure notes.

    Args:
        batches: the notes, some at a time; how many does not matter.
        network: the evaluation network.
        look_for_faults: or leave it, which takes half the time.
        progress: called with the number of notes done.

    Raises:
        ValueError: there is no note.
    """
    parts = []
    done = 0
    for batch in batches:
        for first in range(0, len(batch), BATCH_NOTES):
            parts.append(
                _measure_batch(batch[first : first + BATCH_NOTES], network, look_for_faults)
            )
            done += len(parts[-1])
            progress(done)
    if not parts:
        raise ValueError("there is no note to measure")
    return concatenate(parts)


def _measure_batch(
    notes: Notes, network: EvaluationNetwork, look_for_faults: bool
) -> NoteMeasurements:
    import torch

    caught: list[torch.Tensor] = []
    hook = network.network.timbre.register_forward_hook(
        lambda module, given, told: caught.append(told.detach())
    )
    try:
        told = network.hear(torch.from_numpy(np.ascontiguousarray(notes.audio)))
    finally:
        hook.remove()
    found = [find_faults(row, NOTE_SAMPLE_RATE) for row in notes.audio] if look_for_faults else []
    return NoteMeasurements(
        pitch=notes.pitch,
        velocity=notes.velocity,
        family=notes.family,
        instrument=notes.instrument,
        features=caught[0].log1p().numpy(),
        embedding=told.embedding.numpy(),
        keys=told.key.softmax(dim=1).numpy(),
        families=told.family.softmax(dim=1).numpy(),
        loudness=np.array([loudness(row, NOTE_SAMPLE_RATE) for row in notes.audio]),
        cents=np.array([_cents(*pair) for pair in zip(notes.audio, notes.pitch, strict=True)]),
        clicks=np.array([f.clicks for f in found] if found else np.full(len(notes), -1)),
        offset=np.array([f.offset for f in found] if found else np.zeros(len(notes), np.bool_)),
        clipped=np.array([f.clipped for f in found] if found else np.zeros(len(notes), np.bool_)),
        silent=np.array([f.silent for f in found] if found else np.zeros(len(notes), np.bool_)),
    )


def _cents(audio: NDArray[np.float32], pitch: int) -> float:
    refined = refine(audio, NOTE_SAMPLE_RATE, pitch)
    if refined.salience < MIN_SALIENCE:
        return float("nan")
    return cents_between(refined.frequency, midi_to_hz(pitch))
