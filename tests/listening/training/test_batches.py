"""Training examples: transposed, blended and unpitched notes whose content is known."""

import pytest
import torch

from mechanical_ears.listening.frontend import BINS, FIRST_BIN_MIDI, RANGE_DB
from mechanical_ears.listening.training import batches
from mechanical_ears.listening.training.labels import UNKNOWN
from mechanical_ears.listening.training.network import BINS_PER_SEMITONE
from support.listener_labels import make_labels


def partials_at(keys):
    """Pitch maps (notes, 2, bins) of one partial at each key."""
    pitch_map = torch.zeros(len(keys), 2, BINS)
    for row, key in enumerate(keys):
        pitch_map[row, :, BINS_PER_SEMITONE * (key - FIRST_BIN_MIDI)] = 1
    return pitch_map


def test_a_transposed_partial_is_at_the_new_key():
    keys, sounding = torch.tensor([60, 50, 108]), torch.tensor([60, UNKNOWN, 108])
    labels = make_labels(3, key=keys, sounding=sounding)
    pitch_map, moved = batches.transpose(
        partials_at([60, 50, 108]), labels, torch.tensor([3, -4, 1])
    )
    assert moved.key.tolist() == [63, 46, 108]  # no key above the piano
    assert moved.sounding.tolist() == [63, UNKNOWN, 108]
    assert torch.equal(pitch_map, partials_at([63, 46, 108]))


def test_transposed_maps_are_padded_with_silence():
    labels = make_labels(1, key=torch.tensor([60]))
    pitch_map, _ = batches.transpose(torch.ones(1, 2, BINS), labels, torch.tensor([2]))
    assert (pitch_map[:, :, : 2 * BINS_PER_SEMITONE] == 0).all()
    assert (pitch_map[:, :, 2 * BINS_PER_SEMITONE :] == 1).all()


@pytest.mark.parametrize("gain", [-10.0, 0.0, 6.0])
def test_levels_are_added_as_powers_and_normalised_to_the_loudest(gain):
    """Bins of 0 and −20 dB plus bins of −20 and 0 dB with a gain."""
    levels = 1 + torch.tensor([[[0.0, -20.0]]]) / RANGE_DB
    others = levels.flip(2)
    powers = torch.tensor([1 + 10 ** (gain / 10 - 2), 0.01 + 10 ** (gain / 10)])
    expected = 1 + 10 * (powers / powers.max()).log10() / RANGE_DB
    added = batches._add_levels(levels, others, torch.tensor([gain]))
    torch.testing.assert_close(added[0, 0], expected)


def test_blended_notes_are_in_unison(monkeypatch):
    """Each note is one partial at its key: that of the other is moved to it, or none is added."""
    monkeypatch.setattr(batches, "BLEND_CHANCE", 1.0)
    keys = torch.tensor([50, 55, 60, 52, 90])
    families = torch.tensor([3, 3, 3, 5, 3])  # another family, and one too far away
    pitch_map = partials_at(keys.tolist())
    envelope, level = torch.zeros(5, 3, 4), torch.ones(5)
    envelope[:, 0, :] = torch.eye(5)[:, :4]
    known = make_labels(
        5, key=keys, sounding=keys, family=families, velocity=torch.tensor([1, 1, 2, 1, 1])
    )
    (mixed, envelopes, levels), blended = batches.blend(
        (pitch_map, envelope, level), known, torch.Generator().manual_seed(0)
    )
    torch.testing.assert_close(mixed, pitch_map, atol=1e-6, rtol=0)
    assert (blended.key == keys).all()
    assert (blended.family == families).all()
    torch.testing.assert_close(levels, level)
    torch.testing.assert_close(envelopes[3:], envelope[3:])
    assert ((envelopes[:3, 0] > 0.1).sum(dim=1) == 2).all(), "the envelope of the other is added"
    assert blended.velocity.tolist()[2:] == [UNKNOWN, 1, 1]


def test_unpitched_sounds_lose_their_labels():
    audio = torch.randn(64, 2000, generator=torch.Generator().manual_seed(0)) * 0.1
    keys = torch.arange(64) + 30
    changed, labels = batches.remove_pitch(
        audio, make_labels(64, key=keys), torch.Generator().manual_seed(1)
    )
    unpitched = labels.pitched == 0
    assert 10 <= int(unpitched.sum()) <= 13
    assert (labels.key[unpitched] == UNKNOWN).all()
    assert (labels.key[~unpitched] == keys[~unpitched]).all()
    torch.testing.assert_close(changed[13:], audio[13:])
    assert (changed.abs().amax(dim=1)[:13] == 0).sum() == 1, "one of them is silence"


def test_small_batches_stay_pitched():
    audio, labels = torch.ones(10, 100), make_labels(10)
    changed, same = batches.remove_pitch(audio, labels, torch.Generator())
    assert changed is audio
    assert same is labels
