"""Batches of notes from stores, in an order that only seed and epoch decide."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from mechanical_ears.corpus.store import FULL_SCALE, Store
from mechanical_ears.errors import CorpusError

AHEAD = 2  # batches made while the network is busy with another

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Notes:
    """Some notes of one or several stores, in the order they are to come.

    Attributes:
        stores: where the audio lies; all of the same rate and length.
        which: int64 (notes,), number of each note's store.
        rows: int64 (notes,), row in that store.
    """

    stores: tuple[Store, ...]
    which: NDArray[np.int64]
    rows: NDArray[np.int64]

    @classmethod
    def of(cls, stores: Sequence[Store], side: str, sample_rate: int, samples: int) -> Notes:
        """The notes of a side, if they have the form that a network hears.

        Raises:
            CorpusError: a store has another sample rate or length, or its side is empty.
        """
        for store in stores:
            if store.sample_rate != sample_rate or store.audio.shape[1] != samples:
                raise CorpusError(
                    f"holds {store.audio.shape[1]} samples a note at {store.sample_rate} Hz where "
                    f"the network hears {samples} at {sample_rate} Hz",
                    path=store.path,
                    remedy=f"build the store at {sample_rate} Hz, {samples / sample_rate:g} s",
                )
        rows = [store.rows(side) for store in stores]
        which = np.repeat(np.arange(len(stores)), [len(part) for part in rows])
        return cls(tuple(stores), which, np.concatenate(rows))

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, places: NDArray[np.int64] | slice) -> Notes:
        """Some of these notes, or all in another order."""
        return Notes(self.stores, self.which[places], self.rows[places])

    def labels(self, read: Callable[[Store], NDArray[Any]]) -> NDArray[Any]:
        """A label of each note; ``read`` gives it for all notes of a store."""
        columns = [read(store) for store in self.stores]
        first = np.cumsum([0, *(len(column) for column in columns[:-1])])
        labels: NDArray[Any] = np.concatenate(columns)[first[self.which] + self.rows]
        return labels

    def audio(self) -> NDArray[np.int16]:
        """Audio of all these notes, int16 (notes, samples), full scale 32767."""
        audio = np.empty((len(self), self.stores[0].audio.shape[1]), dtype=np.int16)
        for number, store in enumerate(self.stores):
            here = np.flatnonzero(self.which == number)
            audio[here] = store.audio[self.rows[here]]
        return audio

    def fingerprint(self) -> str:
        """What tells these notes from others, wherever the stores lie; SHA-256."""
        digest = hashlib.sha256(self.which.tobytes() + self.rows.tobytes())
        for store in self.stores:
            digest.update((store.path / "store.json").read_bytes())
        return digest.hexdigest()


def shuffled(notes: Notes, seed: int, epoch: int) -> Notes:
    """The same notes in the order of one epoch."""
    return notes.take(np.random.default_rng([seed, epoch]).permutation(len(notes)))


@dataclass(frozen=True, eq=False)
class Batch:
    """Some notes, read.

    Attributes:
        notes: which ones.
        audio: int16 (batch, samples) on the CPU, full scale 32767.
    """

    notes: Notes
    audio: torch.Tensor

    def audio_on(self, device: torch.device) -> torch.Tensor:
        """Audio float32 (batch, samples) in [-1, 1] on a device."""
        return self.audio.to(device, non_blocking=True).to(torch.float32).div_(FULL_SCALE)

    def pitch_on(self, device: torch.device) -> torch.Tensor:
        """Labelled keys int64 (batch,), MIDI numbers, on a device."""
        pitch = self.notes.labels(lambda store: store.pitch).astype(np.int64)
        return torch.from_numpy(pitch).to(device, non_blocking=True)


def batches(notes: Notes, size: int, *, share: tuple[int, int] = (0, 1)) -> Iterator[Batch]:
    """Walk notes in batches, read by a thread that works ahead.

    Args:
        notes: in the order they are to come.
        size: of a batch over all processes; the last batch may be smaller.
        share: rank and number of processes: each takes its part of every batch.
    """
    rank, processes = share
    whole = (notes.take(slice(start, start + size)) for start in range(0, len(notes), size))
    parts = (part.take(slice(rank, None, processes)) for part in whole if len(part) >= processes)
    return ahead(Batch(part, torch.from_numpy(part.audio())) for part in parts)


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, made by a thread that works ahead of whoever takes them.

    Raises:
        Exception: what making an item raises, where the item would come.
    """
    ready: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(maxsize=AHEAD)
    stopped = threading.Event()

    def offer(item: Item | None, error: BaseException | None = None) -> None:
        while not stopped.is_set():
            try:
                return ready.put((item, error), timeout=0.2)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in items:
                if stopped.is_set():
                    return
                offer(item)
            offer(None)
        except BaseException as error:
            offer(None, error)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is None:
                return
            yield item
    finally:
        stopped.set()
        worker.join()
