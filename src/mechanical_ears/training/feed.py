"""Batches of stored notes, in an order that depends on seed and epoch alone."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from mechanical_ears.corpus.store import FULL_SCALE, Store
from mechanical_ears.errors import CorpusError

PREFETCH_ITEMS = 2  # prepared while the network is busy with another

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class StoredNotes:
    """Notes of one or several stores, in training order; audio is read on demand.

    Attributes:
        stores: of audio; all of the same sample rate and length.
        store_numbers: int64 (notes,), index of each note's store.
        rows: int64 (notes,), row in that store.
    """

    stores: tuple[Store, ...]
    store_numbers: NDArray[np.int64]
    rows: NDArray[np.int64]

    @classmethod
    def from_stores(
        cls, stores: Sequence[Store], side: str, sample_rate: int, samples: int
    ) -> StoredNotes:
        """All notes of a side of the split.

        Args:
            stores: of notes.
            side: of the split.
            sample_rate: that the network needs, Hz.
            samples: that a note must have.

        Raises:
            CorpusError: a store has another sample rate or length, or its side is empty.
        """
        for store in stores:
            if store.sample_rate != sample_rate or store.audio.shape[1] != samples:
                raise CorpusError(
                    f"holds {store.audio.shape[1]} samples a note at {store.sample_rate} Hz where "
                    f"the network needs {samples} at {sample_rate} Hz",
                    path=store.path,
                    remedy=f"build the store at {sample_rate} Hz, {samples / sample_rate:g} s",
                )
        rows = [store.rows(side) for store in stores]
        numbers = np.repeat(np.arange(len(stores)), [len(part) for part in rows])
        return cls(tuple(stores), numbers, np.concatenate(rows))

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, indices: NDArray[np.int64] | slice) -> StoredNotes:
        """Some of these notes, or all of them in another order."""
        return StoredNotes(self.stores, self.store_numbers[indices], self.rows[indices])

    @property
    def all_rows(self) -> NDArray[np.int64]:
        """Row of each note in the notes of all stores, one store after the other."""
        first = np.cumsum([0, *(len(store.pitch) for store in self.stores[:-1])])
        return np.asarray(first[self.store_numbers] + self.rows)

    def labels(self, read: Callable[[Store], NDArray[Any]]) -> NDArray[Any]:
        """A label of each note; ``read`` returns those of all notes of a store."""
        labels: NDArray[Any] = np.concatenate([read(each) for each in self.stores])[self.all_rows]
        return labels

    def read_audio(self) -> NDArray[np.int16]:
        """Audio of all notes, int16 (notes, samples), full scale 32767."""
        audio = np.empty((len(self), self.stores[0].audio.shape[1]), dtype=np.int16)
        for number, store in enumerate(self.stores):
            of_store = np.flatnonzero(self.store_numbers == number)
            audio[of_store] = store.audio[self.rows[of_store]]
        return audio

    def fingerprint(self) -> str:
        """SHA-256 that identifies these notes and their order, independent of the stores' paths."""
        digest = hashlib.sha256(self.store_numbers.tobytes() + self.rows.tobytes())
        for store in self.stores:
            digest.update((store.path / "store.json").read_bytes())
        return digest.hexdigest()


def shuffle(notes: StoredNotes, seed: int, epoch: int) -> StoredNotes:
    """The same notes in the random order of one epoch."""
    return notes.select(np.random.default_rng([seed, epoch]).permutation(len(notes)))


@dataclass(frozen=True, eq=False)
class Batch:
    """Notes with their audio.

    Attributes:
        notes: of the batch.
        audio: int16 (batch, samples) on the CPU, full scale 32767.
    """

    notes: StoredNotes
    audio: torch.Tensor

    def audio_on(self, device: torch.device) -> torch.Tensor:
        """Audio float32 (batch, samples) in [-1, 1] on a device."""
        return self.audio.to(device, non_blocking=True).to(torch.float32).div_(FULL_SCALE)

    def pitch_on(self, device: torch.device) -> torch.Tensor:
        """Labelled keys int64 (batch,), MIDI numbers, on a device."""
        pitch = self.notes.labels(lambda store: store.pitch).astype(np.int64)
        return torch.from_numpy(pitch).to(device, non_blocking=True)


def load_batches(
    notes: StoredNotes, size: int, *, share: tuple[int, int] = (0, 1)
) -> Iterator[Batch]:
    """Batches of notes, read ahead by a thread.

    Args:
        notes: in training order.
        size: notes of a batch over all processes; the last batch may be smaller.
        share: rank and number of processes: each reads its part of every batch.
    """
    rank, processes = share
    whole = (notes.select(slice(start, start + size)) for start in range(0, len(notes), size))
    parts = (part.select(slice(rank, None, processes)) for part in whole if len(part) >= processes)
    return prefetch(Batch(part, torch.from_numpy(part.read_audio())) for part in parts)


def prefetch(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, prepared ahead of the consumer by a thread.

    Raises:
        Exception: that preparing an item raised, in the place of the item.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        futures = deque(pool.submit(next, items, None) for _ in range(PREFETCH_ITEMS + 1))
        try:
            while (item := futures.popleft().result()) is not None:
                yield item
                futures.append(pool.submit(next, items, None))
        finally:
            pool.shutdown(cancel_futures=True)
