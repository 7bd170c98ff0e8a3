"""Sets of notes: at random or on the grid, real, resynthesised, imagined."""

import numpy as np
import pytest

from mechanical_ears.corpus.store import build_store
from mechanical_ears.corpus.toy import Toy
from mechanical_ears.errors import CorpusError
from mechanical_ears.evaluation.note_sets import (
    GRID_KEYS,
    GRID_VELOCITY,
    code_digest,
    grid_requests,
    grid_rows,
    imagined_note_generator,
    model_digest,
    open_store,
    random_requests,
    random_rows,
    read_notes,
    resynthesis_digest,
    resynthesise_notes,
)
from mechanical_ears.imagining.imagine import imagine
from mechanical_ears.imagining.model import Model
from mechanical_ears.listening.f0 import refine
from mechanical_ears.note import FAMILIES, VELOCITIES
from mechanical_ears.pitch import cents_between, midi_to_hz
from mechanical_ears.resynthesis.spectral_distance import spectral_distance
from support.toy_model import write_toy

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store(toy_store):
    return open_store(toy_store)


def test_two_parts_have_no_common_note(store):
    one, other = (random_rows(store, "train", 40, 3, part) for part in (0, 1))
    assert len(one) == len(other) == 40
    assert not {*one} & {*other}
    assert {*store.side[one], *store.side[other]} == {"train"}
    assert np.array_equal(one, random_rows(store, "train", 40, 3))
    assert not np.array_equal(one, random_rows(store, "train", 40, 4))


def test_parts_of_a_small_side_are_halves(store):
    rows = len(store.rows("held-out"))
    one, other = (random_rows(store, "held-out", 10_000, 0, part) for part in (0, 1))
    assert len(one) == len(other) == rows // 2


def test_the_grid_of_real_instruments(store):
    rows = grid_rows(store, "train")
    names = np.unique(store.instrument[store.rows("train")])
    assert {*store.instrument[rows]} == {*names}
    for number, name in enumerate(names):
        own = rows[store.instrument[rows] == name]
        loud = own[store.velocity[own] == GRID_VELOCITY]
        assert sorted(store.pitch[loud]) == list(GRID_KEYS)
        velocities = own[store.pitch[own] == GRID_KEYS[number % 5]]
        assert sorted(store.velocity[velocities]) == list(VELOCITIES)
        assert len(own) == 9


def test_the_grid_of_an_instrument_of_few_keys_has_the_nearest(tmp_path):
    corpus = Toy(60, instruments=3, pitches=[50, 58, 63, 100])
    build_store(corpus, tmp_path / "few", split=(0.4, 0.3, 0.3))
    few = open_store(tmp_path / "few")
    rows = grid_rows(few, "train")
    loud = rows[few.velocity[rows] == GRID_VELOCITY]
    assert sorted(few.pitch[loud]) == [50, 58]  # near 48 and 60; nothing is near 36, 72 and 84


def test_random_requests_are_like_training_notes(store):
    requests = random_requests(store, 50, 200, seed=1)
    assert len(requests) == 200
    assert np.array_equal(np.bincount(requests.instrument), np.full(50, 4))
    assert (np.diff(requests.instrument) >= 0).all()
    train = store.rows("train")
    assert {*requests.family} <= {*store.family[train]}
    assert {*requests.pitch} <= {*GRID_KEYS}
    for number in range(50):
        assert len({*requests.family[requests.instrument == number]}) == 1


def test_grid_requests(store):
    grid = grid_requests(random_requests(store, 7, 20, seed=1))
    assert len(grid) == 7 * 9
    for number in range(7):
        own = grid.instrument == number
        assert sorted(grid.pitch[own & (grid.velocity == GRID_VELOCITY)]) == list(GRID_KEYS)
        velocities = own & (grid.pitch == GRID_KEYS[number % 5])
        assert sorted(grid.velocity[velocities]) == list(VELOCITIES)


def test_resynthesised_notes_are_in_tune_and_sound_alike(store):
    rows = random_rows(store, "train", 12, 0)
    (before,), (after,) = (
        list(read_notes(store, rows)),
        list(resynthesise_notes(read_notes(store, rows))),
    )
    assert np.array_equal(before.pitch, after.pitch)
    assert np.array_equal(before.instrument, store.instrument[rows])
    distances = [
        spectral_distance(*pair, 16_000).mel for pair in zip(before.audio, after.audio, strict=True)
    ]
    assert np.median(distances) < 4
    cents = [
        cents_between(refine(audio, 16_000, key).frequency, midi_to_hz(key))
        for audio, key in zip(after.audio, after.pitch, strict=True)
    ]
    assert np.median(np.abs(cents)) < 1


def test_silent_notes_cannot_be_resynthesised(store):
    (batch,) = list(read_notes(store, random_rows(store, "train", 2, 0)))
    batch.audio[0] = 0
    (resynthesised,) = list(resynthesise_notes(iter([batch])))
    assert list(resynthesised.instrument) == [batch.instrument[1]]


def test_the_generator_makes_the_requested_notes(store, toy_weights):
    model = Model(toy_weights)
    requests = random_requests(store, 3, 7, seed=0)
    generated = list(imagined_note_generator(model, seed=2)(requests))
    assert [len(part) for part in generated] == [3, 2, 2]
    assert np.array_equal(np.concatenate([part.pitch for part in generated]), requests.pitch)
    instrument = imagine(2_000_001, family=FAMILIES[requests.family[3]], model=model)
    sound = instrument.note(int(requests.pitch[3]), int(requests.velocity[3]), 4.0, 16_000)
    assert np.array_equal(generated[1].audio[0], sound.samples)


def test_digests_change_with_weights_and_code(toy_weights, tmp_path):
    digest = model_digest(Model(toy_weights))
    assert digest == model_digest(Model(toy_weights))
    other = write_toy(tmp_path / "other", licence="another")
    assert model_digest(Model(other)) != digest
    assert code_digest("resynthesis.synthesis.sine_bank") != code_digest(
        "resynthesis.synthesis.timeline"
    )
    alone, more = (
        code_digest("resynthesis.control_map_file"),
        code_digest("resynthesis.control_map_file", "resynthesis.control_map"),
    )
    assert alone == more  # which it imports
    assert len(resynthesis_digest()) == 12


def test_unsuitable_stores_are_refused(tmp_path):
    build_store(Toy(12, instruments=3), tmp_path / "unsplit")
    with pytest.raises(CorpusError, match="no unseen instruments: it was never split"):
        open_store(tmp_path / "unsplit")
    corpus = Toy(12, instruments=6, sample_rate=22_050)
    build_store(corpus, tmp_path / "rate", split=(0.5, 0.25, 0.25))
    with pytest.raises(CorpusError, match="22050 Hz; build one of 4 s at 16000 Hz"):
        open_store(tmp_path / "rate")
