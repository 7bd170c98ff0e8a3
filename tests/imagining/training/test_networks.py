"""The networks: what holds by construction, for any weights."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from mechanical_ears.imagining.training.latents import LEVEL_SCALE_DB
from mechanical_ears.imagining.training.networks import (
    Encoder,
    FilmBlock,
    Generator,
    ImaginationShape,
    Mapper,
    pitch_features,
    velocity_features,
)
from mechanical_ears.note import FAMILIES

SHAPE = ImaginationShape(components=20, encoder_components=8, hidden=32, blocks=2, dense=32)


def play(generator, timbre, velocities, pitch=60.0):
    count = len(velocities)
    return generator(timbre.expand(count, -1), torch.full((count,), pitch), velocities)


@pytest.mark.parametrize("size", [0.1, 1.0, 10.0])
def test_level_never_falls_with_velocity_for_any_weights(size):
    velocities = torch.arange(1.0, 128.0)
    for seed in range(20):
        torch.manual_seed(seed)
        generator = Generator(SHAPE)
        with torch.no_grad():
            for weight in generator.parameters():
                weight.normal_(0, size)
            timbre, pitch = torch.randn(1, 64), float(torch.randint(21, 109, ()))
            level = play(generator, timbre, velocities, pitch)[:, 0].double() * LEVEL_SCALE_DB
        steps = level.diff()
        assert float(steps.min()) >= 0
        if size < 1:
            assert float(steps.min()) > 0
        assert float(level[-1] - level[0]) <= 2 * 40 * math.log10(127) + 1e-2


def test_level_follows_loudness_and_slope():
    generator = Generator(SHAPE)
    last = generator.loudness[-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([0.5, 0.0]))  # 5 − 20 dB, slope 1
        level = play(generator, torch.randn(1, 64), torch.tensor([127.0, 63.5]))[:, 0] * 10
    assert level.tolist() == pytest.approx([-15.0, -15.0 - 40 * math.log10(2)], abs=1e-3)


def test_film_block_starts_as_a_shortcut_and_is_modulated_by_the_timbre():
    block = FilmBlock(4, 3)
    features, timbre = torch.randn(5, 4), torch.randn(5, 3)
    torch.testing.assert_close(block(features, timbre) - features, block.second.bias.expand(5, 4))
    with torch.no_grad():
        for layer in (block.first, block.second):
            layer.weight.copy_(torch.eye(4))
            layer.bias.zero_()
        block.style.weight.zero_()
        block.style.bias.copy_(torch.tensor([1.0, 1.0, 0.0, -1.0, 0.5, -0.5, 0.0, 2.0]))
    inputs = torch.tensor([[1.0, -1.0, 3.0, 5.0]])
    residual = block(inputs, torch.randn(1, 3)) - inputs
    # 1 · 2 + 0.5;  0.2 · (−1 · 2 − 0.5);  3;  5 · 0 + 2
    assert residual[0].tolist() == pytest.approx([2.5, -0.5, 3.0, 2.0])


def test_notes_of_a_batch_are_independent():
    torch.manual_seed(0)
    generator = Generator(SHAPE)
    for weight in generator.parameters():
        torch.nn.init.normal_(weight, 0, 0.2)
    timbres, pitch = torch.randn(3, 64), torch.tensor([40.0, 60.0, 80.0])
    together = generator(timbres, pitch, torch.full((3,), 90.0))
    alone = torch.cat([generator(timbres[n : n + 1], pitch[n : n + 1], torch.tensor([90.0]))
                       for n in range(3)])  # fmt: skip
    torch.testing.assert_close(together, alone)
    assert float((together[0] - together[1]).detach().abs().max()) > 0.1


def test_pitch_features():
    features = pitch_features(torch.tensor([60.0, 63.0]))
    assert features.shape == (2, 18)
    assert features[0, 7] == 1  # at 60 = 18 + 7 · 6
    assert features[1, 7].item() == features[1, 8].item() == pytest.approx(math.exp(-0.25))
    assert features[:, -1].tolist() == pytest.approx([-4 / 24, -1 / 24])


def test_velocity_features():
    features = velocity_features(torch.tensor([127.0, 63.5]))
    assert features[0].tolist() == pytest.approx([0.0, 1.0, 0.5])
    assert features[1].tolist() == pytest.approx([-4 * math.log10(2), 0.0, -0.25])


def test_encoder_uses_the_first_components_only():
    encoder = Encoder(SHAPE)
    latents = torch.randn(4, 21)
    pitch, velocity = torch.full((4,), 60.0), torch.full((4,), 90.0)
    timbre, family = encoder(latents, pitch, velocity)
    assert timbre.shape == (4, 64)
    assert family.shape == (4, len(FAMILIES))
    beyond = latents.clone()
    beyond[:, 9:] += 1
    assert torch.equal(encoder(beyond, pitch, velocity)[0], timbre)
    used = latents.clone()
    used[:, 8] += 1
    assert not torch.equal(encoder(used, pitch, velocity)[0], timbre)


def test_mapper_depends_on_the_family():
    mapper = Mapper(SHAPE)
    z, families = torch.randn(1, 64), torch.eye(len(FAMILIES))
    timbres = mapper(z.expand(len(FAMILIES), -1), families)
    assert timbres.shape == (len(FAMILIES), 64)
    assert float(torch.cdist(timbres, timbres)[0, 1:].min()) > 1e-3
