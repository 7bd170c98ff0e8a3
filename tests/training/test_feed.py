"""Batches of stored notes: order, processes, labels; items prepared ahead by a thread."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from mechanical_ears.corpus.store import Store, build_store
from mechanical_ears.corpus.toy import Toy
from mechanical_ears.errors import CorpusError
from mechanical_ears.training.feed import (
    PREFETCH_ITEMS,
    StoredNotes,
    load_batches,
    prefetch,
    shuffle,
)


@pytest.fixture(scope="module")
def toy_store(tmp_path_factory):
    path = tmp_path_factory.mktemp("stores") / "toy"
    build_store(Toy(200, instruments=12), path, split=(0.7, 0.15, 0.15))
    return path


def test_order_depends_on_seed_and_epoch_alone(toy_store):
    notes = StoredNotes.from_stores([Store(toy_store)], "train", 16_000, 64_000)
    first = shuffle(notes, 0, 1)
    assert first.rows.tolist() == shuffle(notes, 0, 1).rows.tolist()
    assert first.rows.tolist() != shuffle(notes, 0, 2).rows.tolist()
    assert sorted(first.rows) == sorted(notes.rows)


def test_batches_hold_every_note_once_over_all_processes(toy_store):
    store = Store(toy_store)
    notes = StoredNotes.from_stores([store], "train", 16_000, 64_000)
    batches = list(load_batches(notes, 32))
    assert sum(len(batch.notes) for batch in batches) == len(notes)
    audio = batches[0].audio_on(torch.device("cpu"))
    np.testing.assert_allclose(audio[3].numpy(), store.audio[notes.rows[3]] / 32767, atol=1e-7)
    pitch = batches[0].pitch_on(torch.device("cpu"))
    assert pitch.tolist() == store.pitch[notes.rows[:32]].tolist()
    halves = [list(load_batches(notes, 32, share=(rank, 2))) for rank in (0, 1)]
    for batch, even, odd in zip(batches, *halves, strict=True):
        assert batch.notes.rows[::2].tolist() == even.notes.rows.tolist()
        assert batch.notes.rows[1::2].tolist() == odd.notes.rows.tolist()


def test_notes_of_two_stores_keep_their_labels(toy_store, tmp_path):
    build_store(Toy(60, seed=3, instruments=12), tmp_path / "other", split=(0.7, 0.15, 0.15))
    stores = [Store(toy_store), Store(tmp_path / "other")]
    notes = shuffle(StoredNotes.from_stores(stores, "train", 16_000, 64_000), 0, 1)
    pitch = notes.labels(lambda store: store.pitch)
    audio = notes.select(slice(0, 20)).read_audio()
    for row_number in range(20):
        store, row = stores[notes.store_numbers[row_number]], notes.rows[row_number]
        assert pitch[row_number] == store.pitch[row]
        np.testing.assert_array_equal(audio[row_number], store.audio[row])
    assert {0, 1} == set(notes.store_numbers.tolist())


def test_store_of_another_length_is_refused(tmp_path):
    build_store(Toy(12, instruments=12), tmp_path / "short", seconds=1, split=(0.5, 0.25, 0.25))
    with pytest.raises(CorpusError, match="16000 samples a note at 16000 Hz where the network"):
        StoredNotes.from_stores([Store(tmp_path / "short")], "train", 16_000, 64_000)


def test_fingerprint_depends_on_notes_and_their_order(toy_store):
    notes = StoredNotes.from_stores([Store(toy_store)], "train", 16_000, 64_000)
    same = StoredNotes.from_stores([Store(toy_store)], "train", 16_000, 64_000)
    assert notes.fingerprint() == same.fingerprint()
    assert notes.fingerprint() != shuffle(notes, 0, 1).fingerprint()
    assert notes.fingerprint() != notes.select(slice(1, None)).fingerprint()


def test_prefetch_keeps_the_order_and_works_ahead_by_a_few_items():
    prepared = []

    def items():
        for number in range(20):
            prepared.append(number)
            yield number

    iterator = prefetch(items())
    assert next(iterator) == 0
    assert len(prepared) <= PREFETCH_ITEMS + 2
    assert list(iterator) == list(range(1, 20))


def test_prefetch_raises_errors_where_the_item_would_be():
    def items():
        yield 1
        raise ValueError("the second")

    iterator = prefetch(items())
    assert next(iterator) == 1
    with pytest.raises(ValueError, match="the second"):
        next(iterator)


def test_prefetch_ends_its_thread_when_the_consumer_stops():
    before = threading.active_count()
    iterator = prefetch(iter(range(1000)))
    next(iterator)
    iterator.close()
    assert threading.active_count() == before
