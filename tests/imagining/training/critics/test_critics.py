"""The critics: each tells two kinds of notes apart, and its gradient reaches the codes."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from mechanical_ears.errors import TrainingError
from mechanical_ears.imagining.training.critics.make import (
    CRITICS,
    make_critics,
    shown,
    shown_scale,
)
from mechanical_ears.imagining.training.critics.raw import (
    CLASSES,
    KEYS,
    LOWEST_KEY,
    load_article,
)
from mechanical_ears.imagining.training.networks import Condition
from mechanical_ears.imagining.training.step import some
from mechanical_ears.listening.article_ears import ArticleEars
from mechanical_ears.note import FAMILIES
from mechanical_ears.sound import Sound
from support.toy_latents import played, toy_codec

NOTES = 8
STEPS = {"map": 20, "pair": 20, "ears": 8, "article": 24, "detector": 8}


@pytest.fixture(scope="module")
def codec_and_codes():
    return toy_codec()


@pytest.fixture(scope="module", params=CRITICS)
def critic(request, codec_and_codes):
    torch.manual_seed(0)
    return make_critics([request.param], codec_and_codes[0])[0]


def two_kinds(codes, lots):
    """Notes of the corpus, and some that are duller in what the first component tells."""
    real = codes[torch.randint(len(codes), (NOTES,), generator=lots)]
    fake = real.clone()
    fake[:, 1] += 4
    return played(real), played(fake)


def test_its_gradient_reaches_every_code(critic, codec_and_codes):
    real, fake = two_kinds(codec_and_codes[1], torch.Generator().manual_seed(0))
    codes = fake.codes.clone().requires_grad_()
    loss = critic.generators_loss(real, fake._replace(codes=codes))
    loss.backward()
    assert codes.grad.isfinite().all()
    assert (codes.grad[:, 1:].abs().sum(dim=1) > 0).all()


def test_it_learns_to_tell_them_apart(critic, codec_and_codes):
    lots = torch.Generator().manual_seed(1)
    weights = [weight for weight in critic.learner().parameters() if weight.requires_grad]
    adam = torch.optim.Adam(weights, lr=1e-3, betas=(0.0, 0.99))
    losses = []
    for _ in range(STEPS[critic.name]):
        loss = critic.own_loss(*two_kinds(codec_and_codes[1], lots))
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(float(loss.detach()))
    others = torch.Generator().manual_seed(2)
    told_apart = []
    for _ in range(5):  # of one batch's 8 pairs one is an eighth
        real, fake = two_kinds(codec_and_codes[1], others)
        with torch.no_grad():
            scores = [critic.score(critic.view(each), each.asked) for each in (real, fake)]
        told_apart.append((scores[0] > scores[1]).double().mean())
    assert float(torch.stack(told_apart).mean()) > 0.7
    assert min(losses[-3:]) < losses[0]


def test_only_what_learns_is_kept(critic):
    kept = {name for name, _ in critic.learner().named_parameters()}
    assert kept
    assert all(weight.requires_grad for weight in critic.learner().parameters())
    learning = sum(weight.numel() for weight in critic.parameters() if weight.requires_grad)
    assert learning == sum(weight.numel() for weight in critic.learner().parameters())
    assert not any("basis" in name for name in critic.learner().state_dict())


def test_real_and_imagined_notes_get_the_same_phases(codec_and_codes):
    article = make_critics(["article"], codec_and_codes[0])[0]
    real, fake = two_kinds(codec_and_codes[1], torch.Generator().manual_seed(3))
    assert torch.equal(article.view(real), article.view(real))
    before = article.view(real)
    article.own_loss(real, fake)
    assert not torch.equal(article.view(real), before)
    assert int(article.learner().state_dict()["draws"]) == 1


def test_the_article_begins_as_it_was_trained(codec_and_codes):
    article = make_critics(["article"], codec_and_codes[0])[0]
    sound = article.view(played(codec_and_codes[1][:2]))
    with torch.no_grad():
        told = load_article()(sound).softmax(dim=1)
        heard = torch.relu(load_article().hidden(load_article()._convolve(sound)))
        torch.testing.assert_close(article.scorer.network(sound), heard)
    for row, note in zip(told.numpy(), sound.numpy(), strict=True):
        shipped = ArticleEars().hear([Sound(note, 16_000)])[0]
        assert row == pytest.approx(shipped.probabilities, abs=1e-3)


def test_the_detector_hears_classes(codec_and_codes):
    detector = make_critics(["detector"], codec_and_codes[0])[0]
    notes = played(codec_and_codes[1][:2])
    asked = Condition(torch.tensor([21.0, 140.0]), notes.asked.velocity, notes.asked.family)
    last = detector.classifier.leave
    with torch.no_grad():
        last.weight.zero_()
        last.bias.zero_()
        last.bias[-1] = math.log(2)
        assert detector.score(detector.view(notes), asked).tolist() == pytest.approx(
            [-math.log(2)] * 2
        )
        family = int(asked.family[1].argmax())
        last.bias[family * KEYS + 108 - LOWEST_KEY] = 3.0  # the highest key stands for all above
        scores = detector.score(detector.view(notes), asked)
    same = family == int(asked.family[0].argmax())
    assert same
    assert scores.tolist() == pytest.approx([-math.log(2), 3 - math.log(2)], abs=1e-5)
    assert len(last.bias) == CLASSES + 1 == 11 * 88 + 1


def test_half_of_a_family_is_half_of_a_class(codec_and_codes):
    detector = make_critics(["detector"], codec_and_codes[0])[0]
    notes = played(codec_and_codes[1][:2])
    shares = torch.zeros(2, len(FAMILIES))
    shares[:, :2] = 0.5
    view = detector.view(notes)
    with torch.no_grad():
        mixed = detector.score(view, notes.asked._replace(family=shares))
        alone = [
            detector.score(view, notes.asked._replace(family=torch.eye(11)[[n, n]])) for n in (0, 1)
        ]
    torch.testing.assert_close(mixed, (alone[0] + alone[1]) / 2)


def test_pairs_stay_together():
    codes = torch.arange(48.0)[:, None]
    batch = played(codes)._replace(
        asked=Condition(codes[:, 0], codes[:, 0] + 1, codes.expand(-1, len(FAMILIES)))
    )
    for notes in (2, 8, 20, 46, 48, 1000):
        few = some(batch, notes)
        rows = few.codes[:, 0].reshape(-1, 2)
        assert len(few.codes) == min(notes, 48)
        assert (rows[:, 0] % 2 == 0).all()
        assert torch.equal(rows[:, 1], rows[:, 0] + 1)
        assert len(rows[:, 0].unique()) == len(rows)
        assert torch.equal(few.asked.pitch, few.codes[:, 0])
        assert torch.equal(few.asked.family[:, 3], few.codes[:, 0])


def test_codes_as_critics_see_them():
    deviation = torch.tensor([2.0, 2.0, 0.02])
    scale = shown_scale(deviation)
    mean = math.sqrt((4 + 4 + 0.0004) / 3)
    expected = [1.0, math.sqrt(2 / mean), math.sqrt(2 / mean), math.sqrt(0.02 / mean)]
    assert scale.tolist() == pytest.approx(expected, rel=1e-4)
    seen = shown(torch.tensor([[-2.0, 1.0, 0.0, 10.0]]), scale)
    assert seen[0].tolist() == pytest.approx([0, expected[1], 0, 10 * expected[3]], rel=1e-4)


def test_who_is_no_critic(codec_and_codes):
    with pytest.raises(TrainingError, match=r'no critic "eyes".*choose among map, pair, ears'):
        make_critics(["map", "eyes"], codec_and_codes[0])
    with pytest.raises(TrainingError, match="twice"):
        make_critics(["map", "map"], codec_and_codes[0])
    assert make_critics([], codec_and_codes[0]) == []
