"""Labels of notes of a toy corpus, whose keys are known."""

import numpy as np
import torch

from mechanical_ears.corpus.store import Store, build_store
from mechanical_ears.corpus.toy import Toy
from mechanical_ears.listening.training.labels import UNKNOWN, Labeller
from mechanical_ears.note import VELOCITIES
from mechanical_ears.training.feed import StoredNotes
from support.listener_labels import make_labels


def test_labels_of_two_stores_are_numbered_together(tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        build_store(Toy(40, seed=seed, instruments=4), tmp_path / name, split=(0.5, 0.25, 0.25))
    stores = [Store(tmp_path / name) for name in ("a", "b")]
    labeller = Labeller(stores)
    notes = StoredNotes.from_stores(stores, "train", 16_000, 64_000)
    labels = labeller.label(notes)
    for row, (which, place) in enumerate(zip(notes.store_numbers, notes.rows, strict=True)):
        store = stores[which]
        assert labels.key[row] == labels.sounding[row] == store.pitch[place]
        assert labels.family[row] == store.family[place]
        assert labeller.instruments[labels.instrument[row]] == store.instrument[place]
        step = np.abs(np.array(VELOCITIES) - int(store.velocity[place])).argmin()
        assert labels.velocity[row] == step
    assert (labels.pitched == 1).all()


def test_unpitched_notes_keep_no_other_label():
    labels = make_labels(
        3,
        key=torch.tensor([60, 61, 62]),
        qualities=torch.ones(3, 10),
        family=torch.tensor([1, 2, 3]),
    ).without_pitch(torch.tensor([False, True, False]))
    assert labels.key.tolist() == [60, UNKNOWN, 62]
    assert labels.family.tolist() == [1, UNKNOWN, 3]
    assert labels.qualities[:, 0].tolist() == [1, UNKNOWN, 1]
    assert labels.pitched.tolist() == [1, 0, 1]
