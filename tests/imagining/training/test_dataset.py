"""Training notes as latents: conditions, and random notes of random instruments."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from mechanical_ears.imagining.training.augment import Augmentation
from mechanical_ears.imagining.training.dataset import LatentDataset, random_batch
from mechanical_ears.note import FAMILIES
from support.toy_latents import toy_codec

COUNTS = (40, 1, 9)  # notes of the instruments


@pytest.fixture(scope="module")
def codec_and_dataset():
    codec, latents = toy_codec(8)
    instrument = torch.arange(len(COUNTS)).repeat_interleave(torch.tensor(COUNTS))
    notes = len(instrument)
    dataset = LatentDataset(
        latents=latents[:notes],
        pitch=40.0 + torch.arange(notes),
        velocity=torch.full((notes,), 100.0),
        family=torch.tensor([3, -1, 7])[instrument],
        instrument=instrument,
        names=("guitar", "unknown", "reed"),
    )
    return codec, dataset


def test_condition_shares_an_unknown_family(codec_and_dataset):
    condition = codec_and_dataset[1].condition(torch.tensor([0, 40, 49]))
    assert condition.pitch.tolist() == [40.0, 80.0, 89.0]
    assert condition.family[0].tolist() == [float(name == "guitar") for name in FAMILIES]
    assert condition.family[1].tolist() == pytest.approx([1 / 11] * 11)
    assert int(condition.family[2].argmax()) == FAMILIES.index("reed")


def test_sample_draws_instruments_evenly_and_different_notes_of_each(codec_and_dataset):
    dataset = codec_and_dataset[1]
    rows = dataset.sample(3000, 4, torch.Generator().manual_seed(0)).reshape(-1, 4)
    instruments = dataset.instrument[rows]
    assert (instruments == instruments[:, :1]).all()
    shares = torch.bincount(instruments[:, 0]) / 3000
    assert shares.tolist() == pytest.approx([1 / 3] * 3, abs=0.03)
    for number, count in enumerate(COUNTS):
        of_instrument = rows[instruments[:, 0] == number]
        different = min(len(set(row)) for row in of_instrument.tolist())
        assert different == {40: 4, 1: 1, 9: 3}[count]
        notes = torch.bincount(of_instrument.flatten())[-count:].double()
        assert float((notes / notes.mean() - 1).abs().max()) < 0.3, "every note alike"


def test_random_batch_augments_the_notes_of_an_instrument_alike(codec_and_dataset):
    codec, dataset = codec_and_dataset
    augmentation = Augmentation(codec)
    batch = random_batch(dataset, 5, torch.Generator().manual_seed(2), augmentation)
    rng = torch.Generator().manual_seed(2)
    rows = dataset.sample(5, 4, rng)
    gains = augmentation.random_gains(5, rng)
    assert torch.equal(batch.condition.pitch, dataset.pitch[rows])
    for number in range(5):
        notes = slice(4 * number, 4 * number + 4)
        pitch = dataset.pitch[rows[notes]]
        varied = augmentation(
            dataset.latents[rows[notes]], pitch, gains[number : number + 1].expand(4, -1)
        )
        torch.testing.assert_close(batch.latents[notes], varied)
