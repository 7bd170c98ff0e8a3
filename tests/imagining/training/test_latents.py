"""Codes of notes: what goes in comes out, and the components are those that there are."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from mechanical_ears.imagining.training.latents import (
    DEPTH,
    LEVEL_SCALE,
    NOTHING,
    Codec,
    block_sizes,
    fit_codec,
    flattened,
    loudest_moment,
    row_weights,
    unflattened,
)
from support.toy_latents import strings, various


def silent(count=1):
    """Outlines in which nothing sounds."""
    same = strings(count)
    levels = ("partials", "slots", "noise")
    return same._replace(**{n: torch.full_like(getattr(same, n), NOTHING) for n in levels})


def some(outlines, first, last):
    return type(outlines)(*(part[first:last] for part in outlines))


def test_flattened_and_back_is_the_same():
    lots = torch.Generator().manual_seed(0)

    def between(low, high, like):
        return low + (high - low) * torch.rand(like.shape, generator=lots)

    same = strings(5)
    outlines = same._replace(
        partials=between(-90, -20, same.partials),
        slots=between(-90, -20, same.slots),
        noise=between(-90, -40, same.noise),
        cents=between(-59, 59, same.cents),
        fine=between(-20, 10, same.fine),
        offsets=between(-150, 150, same.offsets),
        stiffness=between(-7, -2, same.stiffness),
        ratios=between(0.2, 30, same.ratios),
    )
    level = loudest_moment(outlines)
    back = unflattened(flattened(outlines, level), level)
    for name, value in outlines._asdict().items():
        torch.testing.assert_close(getattr(back, name), value, atol=0.02, rtol=1e-4)


def test_the_loudest_moment():
    one, two, hiss = silent(), silent(), silent()
    one.partials[0, 4, 30] = 0.0
    two.partials[0, 4, 30] = two.slots[0, 1, 30] = 0.0
    two.partials[0, 5, 31] = 0.0  # at another time
    hiss.noise[0, :10, 7] = -20.0  # mean square; a sine's is half of its amplitude's square
    levels = [float(loudest_moment(each)) for each in (one, two, hiss)]
    assert levels == pytest.approx([0.0, 10 * math.log10(2), -20 + 10 * math.log10(20)], abs=0.01)
    assert float(loudest_moment(silent())) < -95


def test_the_floor_is_soft():
    outlines = silent()
    outlines.partials[0, 0, :4] = torch.tensor([-10.0, -10 - DEPTH, -10 - DEPTH - 6.0206, -110])
    flat = flattened(outlines, torch.tensor([-10.0]))[0]
    expected = [0.0, -DEPTH + 6.0206, -DEPTH + 20 * math.log10(1.5), -DEPTH + 0.828]
    weight = float(row_weights()[0])
    assert (flat[:4] / weight).tolist() == pytest.approx(expected, abs=0.01)
    empty = 0.7 * (-DEPTH + 20 * math.log10(1 + 10**-1.5))  # of −110 dB
    assert float(flat[64 * 96]) == pytest.approx(empty, abs=0.01), "a slot"
    assert unflattened(flat[None], torch.tensor([-10.0])).partials[0, 0, 50] == NOTHING


def test_a_gain_moves_the_first_number_only():
    codec, _ = fit_codec([various(20, 3)], 3)
    quiet = various(4, 3, seed=7)
    loud = quiet._replace(partials=quiet.partials + 12, noise=quiet.noise + 12)
    apart = codec.encode(loud) - codec.encode(quiet)
    assert apart[:, 0].tolist() == pytest.approx([12 / LEVEL_SCALE] * 4, abs=1e-3)
    assert float(apart[:, 1:].abs().max()) < 0.05  # what was at −120 dB is at −108


def test_components_of_few_dimensions_are_exact():
    outlines = various(40, 3)
    codec, codes = fit_codec([some(outlines, 0, 15), some(outlines, 15, 40)], 5)
    assert codes.shape == (40, 6)
    deviation = codec.deviation.tolist()
    assert deviation[:3] == sorted(deviation[:3], reverse=True)
    assert max(deviation[3:]) < 0.02 * deviation[2], "there are three"
    torch.testing.assert_close(codes[:, 1:].mean(dim=0), torch.zeros(5), atol=1e-2, rtol=0)
    torch.testing.assert_close(codes[:, 1:4].std(dim=0), torch.ones(3), atol=1e-3, rtol=0)
    few = some(outlines, 30, 36)
    back = codec.decode(codec.encode(few))
    torch.testing.assert_close(back.offsets, few.offsets, atol=0.1, rtol=2e-3)
    torch.testing.assert_close(back.cents, few.cents, atol=0.1, rtol=2e-3)
    torch.testing.assert_close(back.partials, few.partials, atol=0.5, rtol=0)
    torch.testing.assert_close(codec.encode(back), codec.encode(few), atol=1e-2, rtol=0)


def test_components_are_at_right_angles_and_the_same_for_a_seed():
    outlines = various(40, 6)
    codec, codes = fit_codec([outlines], 4)
    torch.testing.assert_close(codec.basis.T @ codec.basis, torch.eye(4), atol=1e-4, rtol=0)
    again, same = fit_codec([outlines], 4)
    assert torch.equal(codec.basis, again.basis)
    assert torch.equal(codes, same)


def test_fewer_notes_fewer_components():
    codec, codes = fit_codec([various(5, 3)], 224)
    assert codec.basis.shape == (sum(block_sizes().values()), 5)
    assert codes.shape == (5, 6)
    blank = Codec.blank(5)
    blank.load_state_dict(codec.state_dict())
    assert torch.equal(blank.decode(codes).offsets, codec.decode(codes).offsets)
