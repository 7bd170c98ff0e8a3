"""The map: positions, profiles, its file, and the shipped map."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears.errors import EarsError
from mechanical_ears.explore.sound_map import (
    SHIPPED_MAP,
    SoundMap,
    interpolate_position,
    principal_axes,
)
from mechanical_ears.imagining.imagine import imagine
from mechanical_ears.imagining.model import shipped_model
from mechanical_ears.note import FAMILIES

BUILD_AGAIN = "run again: python -m mechanical_ears.explore.build_map"


@pytest.fixture(scope="module")
def shipped():
    return SoundMap.load(SHIPPED_MAP)


def test_a_position_is_interpolated_between_its_neighbours():
    positions = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    at_the_second = interpolate_position(np.array([4.0, 0.0, 9.0]), positions)
    assert at_the_second == pytest.approx((1, 0), abs=1e-6)
    between_two = interpolate_position(np.array([1.0, 1.0, 1e9]), positions)
    assert between_two == pytest.approx((0.5, 0), abs=1e-6)
    assert interpolate_position(np.array([]), positions[:0]) is None


def test_profiles_preserve_distances_of_data_on_few_axes():
    generator = np.random.default_rng(2)
    likenesses = (generator.normal(size=(50, 3)) @ generator.normal(size=(3, 40))).astype("f4")
    axes = principal_axes(likenesses, [str(n) for n in range(40)], 3)
    profiles = axes.profile(likenesses)
    expected = np.linalg.norm(likenesses[:10, None] - likenesses[None, 10:20], axis=2)
    distances = np.linalg.norm(profiles[:10, None] - profiles[None, 10:20], axis=2)
    np.testing.assert_allclose(distances, expected, rtol=5e-3)


def test_the_shipped_map_belongs_to_the_shipped_weights(shipped):
    assert shipped.weights == shipped_model().sha256, BUILD_AGAIN
    assert SHIPPED_MAP.stat().st_size <= 2_000_000
    counts = np.bincount(shipped.families, minlength=len(FAMILIES))
    assert counts.max() - counts.min() <= 1
    assert len(set(shipped.ids)) == len(shipped)
    assert np.abs(shipped.positions).max() <= 1


@pytest.mark.parametrize("row", [0, 17, 59])
def test_the_shipped_map_opens_the_patches_of_its_seeds(shipped, row):
    patch = shipped.patch(row)
    family = FAMILIES[shipped.families[row]]
    instrument = imagine(
        int(shipped.seeds[row]), family=family, candidate=int(shipped.candidates[row])
    )
    expected = instrument.patch
    np.testing.assert_array_equal(patch.timbre, expected.timbre, BUILD_AGAIN)
    assert (patch.gain, patch.balance) == (expected.gain, expected.balance), BUILD_AGAIN
    assert patch.id(shipped.weights) == expected.id(shipped.weights) == shipped.ids[row]
    assert patch.recipe() == expected.recipe()


def test_families_form_regions_of_the_shipped_map(shipped):
    distances = np.linalg.norm(shipped.positions[:, None] - shipped.positions[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1)[:, :5]
    same = (shipped.families[nearest] == shipped.families[:, None]).mean()
    assert same > 0.6  # by chance 1/11


def test_a_map_is_read_as_it_was_written(shipped, tmp_path):
    small = shipped.first(20)
    loaded = SoundMap.load(small.save(tmp_path / "map.npz"))
    assert (loaded.ids, loaded.axes.known) == (small.ids, small.axes.known)
    for name in ("positions", "candidates", "profiles", "timbres", "novelty"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(small, name))


def test_a_file_that_is_not_a_map_is_reported_with_a_remedy(shipped, tmp_path):
    whole = shipped.first(20).save(tmp_path / "map.npz").read_bytes()
    for damage in (b"", b"nothing", whole[: len(whole) // 2]):
        path = tmp_path / "damaged.npz"
        path.write_bytes(damage)
        with pytest.raises(EarsError, match="build it again"):
            SoundMap.load(path)
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(EarsError, match="not a map"):
        SoundMap.load(tmp_path / "other.npz")
    with pytest.raises(EarsError, match="not a map"):
        SoundMap.load(tmp_path / "none.npz")
