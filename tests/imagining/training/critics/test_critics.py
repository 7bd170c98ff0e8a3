"""The critics: each learns to distinguish two kinds of notes, and its gradient reaches latents."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from mechanical_ears.errors import EarsError, TrainingError
from mechanical_ears.imagining.training.critics.article import load_article
from mechanical_ears.imagining.training.critics.detector import CLASSES, KEYS, MIN_KEY
from mechanical_ears.imagining.training.critics.ears import load_listener
from mechanical_ears.imagining.training.critics.latent import scale_latents, view_scale
from mechanical_ears.imagining.training.critics.make import (
    CRITICS,
    critic_names,
    make_critics,
    stored_name,
)
from mechanical_ears.imagining.training.networks import Condition
from mechanical_ears.listening.article_ears import ArticleEars
from mechanical_ears.note import FAMILIES
from mechanical_ears.sound import Sound
from support.toy_latents import note_batch, toy_codec

NOTES = 8
STEPS = {"latent": 20, "pair": 20, "ears": 8, "article": 24, "detector": 8}


@pytest.fixture(scope="module")
def codec_and_latents():
    return toy_codec()


@pytest.fixture(scope="module", params=CRITICS)
def critic(request, codec_and_latents):
    torch.manual_seed(0)
    return make_critics([request.param], codec_and_latents[0])[0]


def real_and_fake(latents, rng):
    """Notes of the corpus, and the same ones with a greater first component."""
    real = latents[torch.randint(len(latents), (NOTES,), generator=rng)]
    fake = real.clone()
    fake[:, 1] += 4
    return note_batch(real), note_batch(fake)


def test_gradient_reaches_every_latent(critic, codec_and_latents):
    real, fake = real_and_fake(codec_and_latents[1], torch.Generator().manual_seed(0))
    latents = fake.latents.clone().requires_grad_()
    critic.generator_loss(real, fake._replace(latents=latents)).backward()
    assert latents.grad.isfinite().all()
    assert (latents.grad[:, 1:].abs().sum(dim=1) > 0).all()


def test_learns_to_distinguish(critic, codec_and_latents):
    rng = torch.Generator().manual_seed(1)
    weights = [weight for weight in critic.trainable().parameters() if weight.requires_grad]
    optimiser = torch.optim.Adam(weights, lr=1e-3, betas=(0.0, 0.99))
    losses = []
    for _ in range(STEPS[critic.name]):
        loss = critic.critic_loss(*real_and_fake(codec_and_latents[1], rng))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    other_rng = torch.Generator().manual_seed(2)
    shares = []
    for _ in range(5):  # one pair of a batch is only an eighth
        real, fake = real_and_fake(codec_and_latents[1], other_rng)
        with torch.no_grad():
            scores = [critic.score(critic.view(each), each.condition) for each in (real, fake)]
        shares.append((scores[0] > scores[1]).double().mean())
    assert float(torch.stack(shares).mean()) > 0.7
    assert min(losses[-3:]) < losses[0]


def test_trainable_part_is_all_that_learns(critic):
    stored = {name for name, _ in critic.trainable().named_parameters()}
    assert stored
    assert all(weight.requires_grad for weight in critic.trainable().parameters())
    learning = sum(weight.numel() for weight in critic.parameters() if weight.requires_grad)
    assert learning == sum(weight.numel() for weight in critic.trainable().parameters())
    assert not any("basis" in name for name in critic.trainable().state_dict())


def test_article_renders_real_and_fake_with_the_same_phases(codec_and_latents):
    article = make_critics(["article"], codec_and_latents[0])[0]
    real, fake = real_and_fake(codec_and_latents[1], torch.Generator().manual_seed(3))
    assert torch.equal(article.view(real), article.view(real))
    before = article.view(real)
    article.critic_loss(real, fake)
    assert not torch.equal(article.view(real), before)
    assert int(article.trainable().state_dict()["draws"]) == 1


def test_article_starts_with_the_shipped_weights(codec_and_latents):
    article = make_critics(["article"], codec_and_latents[0])[0]
    audio = article.view(note_batch(codec_and_latents[1][:2]))
    with torch.no_grad():
        probabilities = load_article()(audio).softmax(dim=1)
        hidden = torch.relu(load_article().hidden(load_article()._convolve(audio)))
        torch.testing.assert_close(article.scorer.network(audio), hidden)
    for row, note in zip(probabilities.numpy(), audio.numpy(), strict=True):
        shipped = ArticleEars().hear([Sound(note, 16_000)])[0]
        assert row == pytest.approx(shipped.probabilities, abs=1e-3)


def test_detector_scores_the_class_of_the_condition(codec_and_latents):
    detector = make_critics(["detector"], codec_and_latents[0])[0]
    notes = note_batch(codec_and_latents[1][:2])
    condition = notes.condition._replace(pitch=torch.tensor([21.0, 140.0]))
    last = detector.classifier.leave
    with torch.no_grad():
        last.weight.zero_()
        last.bias.zero_()
        last.bias[-1] = math.log(2)
        assert detector.score(detector.view(notes), condition).tolist() == pytest.approx(
            [-math.log(2)] * 2
        )
        family = int(condition.family[1].argmax())
        last.bias[family * KEYS + 108 - MIN_KEY] = 3.0  # the top key represents all above it
        scores = detector.score(detector.view(notes), condition)
    assert family == int(condition.family[0].argmax())
    assert scores.tolist() == pytest.approx([-math.log(2), 3 - math.log(2)], abs=1e-5)
    assert len(last.bias) == CLASSES + 1 == 11 * 88 + 1


def test_detector_losses_are_those_of_the_formula(codec_and_latents):
    """With equal logits every class has p = 1/969, and no gradient reaches the views."""
    detector = make_critics(["detector"], codec_and_latents[0])[0]
    with torch.no_grad():
        detector.classifier.leave.weight.zero_()
        detector.classifier.leave.bias.zero_()
    notes = note_batch(codec_and_latents[1][:4])
    log = math.log(CLASSES + 1)
    assert float(detector.critic_loss(notes, notes).detach()) == pytest.approx(2 * log, rel=1e-5)
    assert float(detector.generator_loss(notes, notes).detach()) == pytest.approx(log, rel=1e-5)


def test_detector_averages_over_the_shares_of_families(codec_and_latents):
    detector = make_critics(["detector"], codec_and_latents[0])[0]
    notes = note_batch(codec_and_latents[1][:2])
    shares = torch.zeros(2, len(FAMILIES))
    shares[:, :2] = 0.5
    view = detector.view(notes)

    def score(family):
        return detector.score(view, notes.condition._replace(family=family))

    with torch.no_grad():
        mixed = score(shares)
        alone = [score(torch.eye(11)[[number, number]]) for number in (0, 1)]
    torch.testing.assert_close(mixed, (alone[0] + alone[1]) / 2)


def test_subset_keeps_pairs_together():
    latents = torch.arange(48.0)[:, None]
    batch = note_batch(latents)._replace(
        condition=Condition(latents[:, 0], latents[:, 0] + 1, latents.expand(-1, len(FAMILIES)))
    )
    for notes in (2, 8, 20, 46, 48, 1000):
        subset = batch.subset(notes)
        pairs = subset.latents[:, 0].reshape(-1, 2)
        assert len(subset.latents) == min(notes, 48)
        assert (pairs[:, 0] % 2 == 0).all()
        assert torch.equal(pairs[:, 1], pairs[:, 0] + 1)
        assert len(pairs[:, 0].unique()) == len(pairs)
        assert torch.equal(subset.condition.pitch, subset.latents[:, 0])
        assert torch.equal(subset.condition.family[:, 3], subset.latents[:, 0])


def test_view_of_latents():
    deviation = torch.tensor([2.0, 2.0, 0.02])
    scale = view_scale(deviation)
    mean = math.sqrt((4 + 4 + 0.0004) / 3)
    expected = [1.0, math.sqrt(2 / mean), math.sqrt(2 / mean), math.sqrt(0.02 / mean)]
    assert scale.tolist() == pytest.approx(expected, rel=1e-4)
    view = scale_latents(torch.tensor([[-2.0, 1.0, 0.0, 10.0]]), scale)
    assert view[0].tolist() == pytest.approx([0, expected[1], 0, 10 * expected[3]], rel=1e-4)


def test_names():
    assert critic_names(["map", "pair"]) == ("latent", "pair"), "the name of the first version"
    assert [stored_name(name) for name in ("latent", "ears")] == ["map", "ears"]
    with pytest.raises(TrainingError, match=r'no critic "eyes".*choose among latent, pair, ears'):
        critic_names(["latent", "eyes"])
    with pytest.raises(TrainingError, match="twice"):
        critic_names(["latent", "map"])
    assert critic_names([]) == ()


def test_a_file_that_is_no_listener(tmp_path):
    (tmp_path / "listener.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(EarsError, match="holds no listener"):
        load_listener(tmp_path / "listener.safetensors")
