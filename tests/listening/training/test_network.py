"""The listener's network: what it sees where, its loss, its published file."""

import numpy as np
import onnxruntime
import pytest
import torch

from mechanical_ears.listening.frontend import BINS, FIRST_BIN_MIDI, extract_features
from mechanical_ears.listening.training import batches as lessons
from mechanical_ears.listening.training.batches import remove_pitch
from mechanical_ears.listening.training.labels import UNKNOWN, Labels
from mechanical_ears.listening.training.network import (
    BINS_PER_SEMITONE,
    HARMONICS,
    SEMITONES,
    Listener,
    example_inputs,
    harmonic_stack,
)
from mechanical_ears.listening.training.publish import (
    CALIBRATED,
    INPUTS,
    OUTPUTS,
    PITCHED,
    CalibratedListener,
    export_listener,
)
from mechanical_ears.listening.training.train import listener_loss
from mechanical_ears.pitch import midi_to_hz


def labels(batch, **known):
    """Labels that nobody knows, but for those given."""
    unknown = torch.full((batch,), UNKNOWN)
    values = dict.fromkeys(
        ("key", "sounding", "family", "source", "velocity", "instrument"), unknown
    )
    rest = {"qualities": torch.full((batch, 10), -1.0), "pitched": torch.ones(batch)}
    return Labels(**{**values, **rest, **known})


@pytest.fixture(scope="module")
def listener():
    torch.manual_seed(0)
    return Listener().eval()


def test_the_harmonic_stack_lays_partials_over_their_fundamental():
    time = np.arange(64_000) / 16_000
    tone = sum(np.sin(2 * np.pi * midi_to_hz(57) * n * time) / 10 for n in (1, 2, 3, 4, 5))
    heard = extract_features(tone[None].astype(np.float32))
    stack = harmonic_stack(torch.from_numpy(heard.pitch_map))[0, :, 12]
    place = 3 * (57 - FIRST_BIN_MIDI)
    strengths = dict(zip(HARMONICS, stack[:, place].tolist(), strict=True))
    assert all(strengths[n] > 0.95 for n in (1, 2, 3, 4, 5))
    assert strengths[0.5] < 0.5
    assert strengths[8] < 0.5


def test_a_pattern_moved_by_a_semitone_moves_the_logits_by_one_key(listener):
    pattern = torch.zeros(1, 24, BINS)
    pattern[:, :, 120:180] = torch.rand(60)
    _, envelope, level = example_inputs(1)
    moved = torch.roll(pattern, 3, dims=2)
    first = listener(pattern, envelope, level).key[0, FIRST_BIN_MIDI : FIRST_BIN_MIDI + SEMITONES]
    second = listener(moved, envelope, level).key[0, FIRST_BIN_MIDI : FIRST_BIN_MIDI + SEMITONES]
    torch.testing.assert_close(first[30:70], second[31:71], rtol=1e-3, atol=1e-3)


def test_features_are_the_normalised_input_and_the_output_of_the_trunk(listener):
    inputs = example_inputs(3)
    passed = []
    norm = listener.trunk[0].register_forward_hook(lambda *call: passed.append(call[2]))
    output, features = listener.forward_with_features(*inputs)
    norm.remove()
    (before,) = passed
    assert features.shape == (3, listener.features) == (3, 769)
    assert torch.equal(features[:, : before.shape[1]], before)
    behind = features[:, before.shape[1] :]
    assert torch.equal(behind, listener.trunk[1:](before))
    torch.testing.assert_close(output.velocity, listener.velocity(behind))
    assert all(map(torch.equal, output, listener(*inputs)))


def test_unknown_labels_cost_nothing(listener):
    told = listener(*example_inputs(4))
    instruments = torch.zeros(4, 7)
    nothing = listener_loss(told, instruments, labels(4, pitched=(told.pitched > 0).float()))
    assert nothing.item() < 0.3
    one = listener_loss(
        told, instruments, labels(4, key=torch.tensor([60, UNKNOWN, UNKNOWN, UNKNOWN]))
    )
    same = torch.nn.functional.cross_entropy(told.key[:1], torch.tensor([60]))
    pitched = torch.nn.functional.binary_cross_entropy_with_logits(told.pitched, torch.ones(4))
    torch.testing.assert_close(one, same + 0.3 * pitched)


def test_what_has_no_single_pitch_loses_its_labels():
    audio = torch.randn(64, 2000, generator=torch.Generator().manual_seed(0)) * 0.1
    keys = torch.arange(64) + 30
    changed, told = remove_pitch(audio, labels(64, key=keys), torch.Generator().manual_seed(1))
    lost = told.pitched == 0
    assert 10 <= int(lost.sum()) <= 13
    assert (told.key[lost] == UNKNOWN).all()
    assert (told.key[~lost] == keys[~lost]).all()
    torch.testing.assert_close(changed[13:], audio[13:])
    assert (changed.abs().amax(dim=1)[:13] == 0).sum() == 1, "one of them is silence"


def test_blended_notes_stand_in_unison(monkeypatch):
    """Each note is one partial at its key: the other's comes to lie on it, or it stays alone."""
    monkeypatch.setattr(lessons, "BLEND_CHANCE", 1.0)
    keys = torch.tensor([50, 55, 60, 52, 90])
    families = torch.tensor([3, 3, 3, 5, 3])  # another family, and one too far away
    pitch_map = torch.zeros(5, 2, BINS)
    for note, key in enumerate(keys.tolist()):
        pitch_map[note, :, BINS_PER_SEMITONE * (key - FIRST_BIN_MIDI)] = 1
    envelope, level = torch.zeros(5, 3, 4), torch.ones(5)
    envelope[:, 0, :] = torch.eye(5)[:, :4]
    known = labels(
        5, key=keys, sounding=keys, family=families, velocity=torch.tensor([1, 1, 2, 1, 1])
    )
    (mixed, courses, levels), told = lessons.blend(
        (pitch_map, envelope, level), known, torch.Generator().manual_seed(0)
    )
    torch.testing.assert_close(mixed, pitch_map, atol=1e-6, rtol=0)
    assert (told.key == keys).all()
    assert (told.family == families).all()
    torch.testing.assert_close(levels, level)
    torch.testing.assert_close(courses[3:], envelope[3:])
    assert ((courses[:3, 0] > 0.1).sum(dim=1) == 2).all(), "the course of the other is heard, too"
    assert told.velocity.tolist()[2:] == [UNKNOWN, 1, 1]


def test_the_published_file_tells_what_torch_tells(listener, tmp_path):
    known = torch.nn.functional.normalize(torch.randn(5, listener.shape.embedding), dim=1)
    published = CalibratedListener(listener, dict.fromkeys((*CALIBRATED, PITCHED), 1.3), known)
    export_listener(published, tmp_path / "model.onnx", {"instruments": ["a", "ü"]})
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert session.get_modelmeta().custom_metadata_map["instruments"] == '["a", "ü"]'
    for batch in (1, 3):
        inputs = example_inputs(batch)
        feed = {name: value.numpy() for name, value in zip(INPUTS, inputs, strict=True)}
        theirs = session.run(list(OUTPUTS), feed)
        for name, ours, other in zip(OUTPUTS, published(*inputs), theirs, strict=True):
            np.testing.assert_allclose(ours.detach().numpy(), other, atol=1e-5, err_msg=name)
    assert (tmp_path / "model.onnx").stat().st_size < 12 * 2**20
