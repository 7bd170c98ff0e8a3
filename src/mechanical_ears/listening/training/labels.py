"""Labels of notes from which the listener is trained, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mechanical_ears.corpus.sounding_offsets import sounding_offset
from mechanical_ears.corpus.store import Store
from mechanical_ears.note import VELOCITIES
from mechanical_ears.pitch import PITCH_COUNT
from mechanical_ears.training.feed import StoredNotes

SYNTHETIC_TITLE = "toy"  # of the corpus of our own synthesised notes
UNKNOWN = -1  # a label that the corpus does not give


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of a batch; −1 where unknown.

    Attributes:
        key: int64 (batch,), MIDI number.
        sounding: int64 (batch,), MIDI number nearest to the fundamental that sounds.
        family, source: int64 (batch,), numbers in NSynth's vocabulary.
        velocity: int64 (batch,), nearest of NSynth's five steps.
        qualities: float32 (batch, 10), 1 where a quality applies, 0 where not.
        pitched: float32 (batch,), 1 where there is a single pitch.
        instrument: int64 (batch,), number of the instrument among all training instruments.
    """

    key: Tensor
    sounding: Tensor
    family: Tensor
    source: Tensor
    velocity: Tensor
    qualities: Tensor
    pitched: Tensor
    instrument: Tensor

    def to(self, device: torch.device) -> Labels:
        """The same on a device."""
        return Labels(*(values.to(device) for values in vars(self).values()))

    def without_pitch(self, unpitched: Tensor) -> Labels:
        """The same with notes that have no single pitch marked by bool (batch,) ``unpitched``."""
        changed = {}
        for name, values in vars(self).items():
            rows = unpitched if values.ndim == 1 else unpitched[:, None]
            changed[name] = values.masked_fill(rows, 0 if name == "pitched" else UNKNOWN)
        return Labels(**changed)


class Labeller:
    """Gives the labels of notes; instruments are numbered over all stores.

    Args:
        stores: of the notes, in the order of `StoredNotes.stores`.

    Attributes:
        instruments: names, by number.
    """

    def __init__(self, stores: Sequence[Store]) -> None:
        names = {name for store in stores for name in store.instrument}
        self.instruments: list[str] = sorted(names)
        numbers = {name: number for number, name in enumerate(self.instruments)}
        columns = [_columns(store, numbers) for store in stores]
        self._columns = {key: np.concatenate([each[key] for each in columns]) for key in columns[0]}

    def label(self, notes: StoredNotes) -> Labels:
        """Look up the labels of notes; on the CPU."""
        rows = notes.all_rows
        known = {name: torch.from_numpy(values[rows]) for name, values in self._columns.items()}
        return Labels(pitched=torch.ones(len(notes)), **known)


def _columns(store: Store, numbers: dict[str, int]) -> dict[str, NDArray[Any]]:
    key = store.pitch.astype(np.int64)
    steps = np.abs(store.velocity[:, None].astype(np.int64) - np.array(VELOCITIES))
    synthetic = store.provenance.title == SYNTHETIC_TITLE  # sounds at its key by construction
    offsets = [
        0 if synthetic else sounding_offset(name, pitch)
        for name, pitch in zip(store.instrument.tolist(), key.tolist(), strict=True)
    ]
    sounding = key + np.array([PITCH_COUNT if each is None else each for each in offsets])
    sounding[(sounding < 0) | (sounding >= PITCH_COUNT)] = UNKNOWN
    qualities = store.qualities.astype(np.float32)
    if not store.qualities.any():
        qualities[:] = UNKNOWN  # the corpus gives none
    return {
        "key": key,
        "sounding": sounding,
        "family": store.family.astype(np.int64),
        "source": store.source.astype(np.int64),
        "velocity": steps.argmin(axis=1),
        "qualities": qualities,
        "instrument": np.array([numbers[name] for name in store.instrument.tolist()]),
    }
