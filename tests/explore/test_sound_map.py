"""The map: where things lie, what its file holds, how it is made and goes on."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears.errors import EarsError
from mechanical_ears.explore.build_map import Charting, layout, wanted
from mechanical_ears.explore.sound_map import SHIPPED, SpaceMap, among, principal_axes
from mechanical_ears.imagining.imagine import imagine
from mechanical_ears.imagining.model import shipped_model
from mechanical_ears.note import FAMILIES

AGAIN = "run again: python -m mechanical_ears.explore.build_map"


@pytest.fixture(scope="module")
def shipped():
    return SpaceMap.load(SHIPPED)


def test_what_is_on_the_spot_of_a_neighbour_lies_there():
    places = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert among(np.array([4.0, 0.0, 9.0]), places) == pytest.approx((1, 0), abs=1e-6)
    assert among(np.array([1.0, 1.0, 1e9]), places) == pytest.approx((0.5, 0), abs=1e-6)
    assert among(np.array([]), places[:0]) is None


def test_profiles_keep_the_distances_of_what_lies_on_few_axes():
    generator = np.random.default_rng(2)
    likenesses = (generator.normal(size=(50, 3)) @ generator.normal(size=(3, 40))).astype("f4")
    axes = principal_axes(likenesses, [str(n) for n in range(40)], 3)
    profiles = axes.profile(likenesses)
    expected = np.linalg.norm(likenesses[:10, None] - likenesses[None, 10:20], axis=2)
    found = np.linalg.norm(profiles[:10, None] - profiles[None, 10:20], axis=2)
    np.testing.assert_allclose(found, expected, rtol=5e-3)


def test_the_layout_keeps_groups_together():
    generator = np.random.default_rng(3)
    centres = generator.normal(size=(4, 8)) * 10
    groups = np.repeat(np.arange(4), 40)
    profiles = (centres[groups] + generator.normal(size=(160, 8))).astype(np.float32)
    places = layout(profiles, None)
    assert np.abs(places).max() <= 1
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (groups[apart.argmin(axis=1)] == groups).all()
    np.testing.assert_array_equal(places, layout(profiles, None))


def test_the_shipped_map_is_that_of_the_shipped_weights(shipped):
    assert shipped.weights == shipped_model().sha256, AGAIN
    assert SHIPPED.stat().st_size <= 2_000_000
    counts = np.bincount(shipped.families, minlength=len(FAMILIES))
    assert counts.max() - counts.min() <= 1
    assert len(set(shipped.ids)) == len(shipped)
    assert np.abs(shipped.places).max() <= 1


@pytest.mark.parametrize("row", [0, 17, 59])
def test_the_shipped_map_opens_what_its_seeds_give(shipped, row):
    patch = shipped.patch(row)
    family = FAMILIES[shipped.families[row]]
    drawn = imagine(int(shipped.seeds[row]), family=family, candidate=int(shipped.draws[row]))
    expected = drawn.patch
    np.testing.assert_array_equal(patch.timbre, expected.timbre, AGAIN)
    assert (patch.gain, patch.balance) == (expected.gain, expected.balance), AGAIN
    assert patch.id(shipped.weights) == expected.id(shipped.weights) == shipped.ids[row]
    assert patch.recipe() == expected.recipe()


def test_families_lie_in_regions_of_the_shipped_map(shipped):
    apart = np.linalg.norm(shipped.places[:, None] - shipped.places[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    nearest = np.argsort(apart, axis=1)[:, :5]
    same = (shipped.families[nearest] == shipped.families[:, None]).mean()
    assert same > 0.6  # by chance 1/11


def test_a_map_is_read_as_it_was_written(shipped, tmp_path):
    small = shipped.first(20)
    again = SpaceMap.load(small.save(tmp_path / "map.npz"))
    assert (again.ids, again.axes.known) == (small.ids, small.axes.known)
    for name in ("places", "profiles", "timbres", "novelty"):
        np.testing.assert_array_equal(getattr(again, name), getattr(small, name))


def test_a_file_that_is_no_map_is_told_with_a_remedy(shipped, tmp_path):
    whole = shipped.first(20).save(tmp_path / "map.npz").read_bytes()
    for damage in (b"", b"nothing", whole[: len(whole) // 2]):
        path = tmp_path / "damaged.npz"
        path.write_bytes(damage)
        with pytest.raises(EarsError, match="make it again"):
            SpaceMap.load(path)
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(EarsError, match="no map"):
        SpaceMap.load(tmp_path / "other.npz")
    with pytest.raises(EarsError, match="no map"):
        SpaceMap.load(tmp_path / "none.npz")


def test_all_families_come_equally_often_from_the_start():
    pairs = wanted(100)
    assert [family for _, family in pairs[:11]] == list(FAMILIES)
    assert len(set(pairs)) == 100
    assert wanted(22) == pairs[:22]


def test_a_map_that_was_interrupted_goes_on_to_what_ships(shipped, tmp_path):
    part = tmp_path / "map.part.npz"
    heard = []

    def stops(done, of):
        heard.append(done)
        if done == 6:
            first.stop()

    first = Charting(None, 11, 1, part)
    with pytest.raises(EarsError):
        first.run(stops)
    assert heard[-1] == 6
    again = []
    made = Charting(None, 11, 1, part).run(lambda done, of: again.append(done))
    assert (again[0], again[-1], len(made)) == (6, 11, 11)
    assert made.ids == shipped.first(11).ids, AGAIN


def test_what_another_version_heard_is_not_gone_on_with(tmp_path):
    part = tmp_path / "map.part.npz"

    def stops(done, of):
        if done == 4:
            first.stop()

    first = Charting(None, 11, 1, part)
    with pytest.raises(EarsError):
        first.run(stops)
    with np.load(part) as file:
        columns = dict(file)
    columns["gain"] += 0.01
    np.savez(part, **columns)
    again = []
    second = Charting(None, 11, 1, part)

    def counts(done, of):
        again.append(done)
        second.stop()

    with pytest.raises(EarsError):
        second.run(counts)
    assert again[0] == 0
