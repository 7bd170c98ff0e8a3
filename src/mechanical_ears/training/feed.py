"""Batches of notes from stores, in an order that only seed and epoch decide."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mechanical_ears.corpus.store import FULL_SCALE, Store
from mechanical_ears.errors import CorpusError

AHEAD = 2  # batches read while the network is busy with another


@dataclass(frozen=True)
class Notes:
    """Rows of one side of a store.

    Attributes:
        store: where the audio lies.
        rows: int64 (notes,), rows of the store.
    """

    store: Store
    rows: NDArray[np.int64]

    @classmethod
    def of(cls, store: Store, side: str, sample_rate: int, samples: int) -> Notes:
        """The notes of a side, if they have the form that a network hears.

        Raises:
            CorpusError: the store has another sample rate or length, or the side is empty.
        """
        if store.sample_rate != sample_rate or store.audio.shape[1] != samples:
            raise CorpusError(
                f"holds {store.audio.shape[1]} samples a note at {store.sample_rate} Hz where the "
                f"network hears {samples} at {sample_rate} Hz",
                path=store.path,
                remedy=f"build the store at {sample_rate} Hz, {samples / sample_rate:g} s",
            )
        return cls(store, store.rows(side))

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Batch:
    """Some notes, on the CPU.

    Attributes:
        audio: int16 (batch, samples), full scale 32767.
        pitch: int64 (batch,), MIDI numbers.
    """

    audio: torch.Tensor
    pitch: torch.Tensor

    def on(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Audio float32 (batch, samples) in [-1, 1] and pitch int64 (batch,), on a device."""
        audio = self.audio.to(device, non_blocking=True).to(torch.float32).div_(FULL_SCALE)
        return audio, self.pitch.to(device, non_blocking=True)


def shuffled(notes: Notes, seed: int, epoch: int) -> Notes:
    """The same notes in the order of one epoch."""
    order = np.random.default_rng([seed, epoch]).permutation(len(notes))
    return Notes(notes.store, notes.rows[order])


def batches(notes: Notes, size: int, *, share: tuple[int, int] = (0, 1)) -> Iterator[Batch]:
    """Walk notes in batches, read by a thread that works ahead.

    Args:
        notes: in the order they are to come.
        size: of a batch over all processes; the last batch may be smaller.
        share: rank and number of processes: each takes its part of every batch.
    """
    rank, processes = share
    whole = [notes.rows[start : start + size] for start in range(0, len(notes), size)]
    parts = [rows[rank::processes] for rows in whole if len(rows) >= processes]
    ready: queue.Queue[Batch | BaseException | None] = queue.Queue(maxsize=AHEAD)
    stopped = threading.Event()

    def offer(item: Batch | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                return ready.put(item, timeout=0.2)
            except queue.Full:
                continue

    def read() -> None:
        try:
            for rows in parts:
                if stopped.is_set():
                    return
                audio = torch.from_numpy(notes.store.audio[rows])
                pitch = torch.from_numpy(notes.store.pitch[rows].astype(np.int64))
                offer(Batch(audio, pitch))
            offer(None)
        except BaseException as error:
            offer(error)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        reader.join()
