"""The adversarial step: what it generates, whose turn it is, and which weights it changes."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from mechanical_ears.imagining.training.critics.make import make_critics
from mechanical_ears.imagining.training.networks import ImaginationShape, Networks
from mechanical_ears.imagining.training.step import AdversarialStep, generate
from support.toy_latents import note_batch, toy_codec

SHAPE = ImaginationShape(components=8, encoder_components=8, hidden=32, blocks=1, dense=32)
NOTES = 16  # of four instruments


class OneProcess:
    """The part of Lightning's Fabric that a step uses."""

    world_size = 1

    def backward(self, loss):
        loss.backward()


class TwoProcesses(OneProcess):
    """As if another process had no gradient anywhere."""

    world_size = 2

    def all_reduce(self, gradient, reduce_op):
        assert reduce_op == "mean"
        return gradient / 2


@pytest.fixture(scope="module")
def codec_and_latents():
    return toy_codec(8)


def make_step(codec, *critics, fabric=None):
    torch.manual_seed(0)
    return AdversarialStep(
        Networks(SHAPE), make_critics(critics, codec), codec, fabric or OneProcess(), 1e-3
    )


def random_generator():
    return torch.Generator().manual_seed(5)


def weights_of(module):
    return [weight.clone() for weight in module.parameters()]


def changed(before, module):
    return [not torch.equal(old, new) for old, new in zip(before, module.parameters(), strict=True)]


def test_generated_notes_use_the_timbres_of_mapper_and_encoder(codec_and_latents):
    real = note_batch(codec_and_latents[1][:NOTES])
    networks = make_step(codec_and_latents[0]).networks
    with torch.no_grad():
        made = generate(networks, real, random_generator())
    pitch, velocity, _ = real.condition
    repeated = made.timbre.repeat_interleave(4, 0)
    expected = networks.generator(repeated, pitch, velocity).detach()
    torch.testing.assert_close(made.imagined, expected)
    assert torch.equal(made.fake[:12], made.imagined[:12]), "three quarters of the instruments"
    assert torch.equal(made.fake[12:], made.reconstructed[12:])
    for encoded, mean in zip(made.encoded.reshape(4, 4, -1), made.mean, strict=True):
        subsets = [
            encoded[[n for n in range(4) if bits >> n & 1]].mean(dim=0) for bits in range(1, 15)
        ]
        assert min(float((mean - subset).abs().max()) for subset in subsets) < 1e-6


def test_losses_are_those_of_their_formulas(codec_and_latents):
    """A mapper and encoder that return zero: timbres of size 0 that are found again exactly."""
    codec, latents = codec_and_latents
    step = make_step(codec)
    with torch.no_grad():
        for layer in (step.networks.mapper.layers[-1], step.networks.encoder.timbre):
            layer.weight.zero_()
            layer.bias.zero_()
    step.networks.encoder.family.weight.data.zero_()
    step.networks.encoder.family.bias.data.zero_()
    losses = step.generator_step(note_batch(latents[:NOTES]), 0, random_generator())
    assert list(losses) == ["reconstruction", "found_again", "size", "family", "timbres"]
    assert losses["found_again"] == losses["size"] == losses["timbres"] == 0
    assert losses["family"] == pytest.approx(0.05 * torch.tensor(11.0).log().item(), rel=1e-5)


def test_each_step_changes_only_its_own_networks(codec_and_latents):
    codec, latents = codec_and_latents
    step, real = make_step(codec, "latent"), note_batch(latents[:NOTES])
    networks, critic = weights_of(step.networks), weights_of(step.critics[0])
    losses = step.critics_step(real, 0, random_generator())
    assert list(losses) == ["critics"]
    assert not any(changed(networks, step.networks))
    assert any(changed(critic, step.critics[0]))
    critic = weights_of(step.critics[0])
    losses = step.generator_step(real, 0, random_generator())
    assert list(losses)[-1] == "map", "the stored name of the critic of latents"
    assert any(changed(networks, step.networks))
    assert not any(changed(critic, step.critics[0]))


def test_a_critic_learns_and_judges_at_its_interval_only(codec_and_latents):
    codec, latents = codec_and_latents
    step, real = make_step(codec, "latent", "pair"), note_batch(latents[:NOTES])
    latent, pair = step.critics
    pair.interval = 4
    step.critics_step(real, 0, random_generator())
    before = weights_of(pair)
    step.critics_step(real, 3, random_generator())
    assert not any(changed(before, pair)), "nor by the momentum of Adam"
    assert "pair" not in step.generator_step(real, 3, random_generator())
    assert "pair" in step.generator_step(real, 8, random_generator())
    latent.interval = 4
    assert step.critics_step(real, 5, random_generator()) == {}


def test_processes_share_the_mean_gradient(codec_and_latents):
    codec, latents = codec_and_latents
    real = note_batch(latents[:NOTES])
    alone, shared = make_step(codec), make_step(codec, fabric=TwoProcesses())
    for step in (alone, shared):
        step.generator_step(real, 0, random_generator())
    for one, half in zip(alone.networks.parameters(), shared.networks.parameters(), strict=True):
        if one.grad is not None:
            torch.testing.assert_close(half.grad, one.grad / 2)
