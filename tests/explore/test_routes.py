"""The routes of the map and of instruments: sounds, responses and errors."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears.imagining.imagine import imagine
from mechanical_ears.imagining.instrument import ImaginedInstrument
from mechanical_ears.note import FAMILIES
from mechanical_ears.spectra import spectrum


def as_int16(instrument, pitch=60, velocity=100):
    samples = instrument.note(pitch, velocity, 4.0, 48_000).samples
    return np.rint(np.clip(samples, -1, 1) * np.float32(32767)).astype(np.int16)


def instrument_of(recipe):
    return imagine(recipe["seed"], family=recipe["family"], candidate=recipe["draw"])


def test_about_describes_the_weights_and_the_limits(server):
    about = server.client.get("/api/about").json()
    assert about["weights"] == imagine(1, candidate=0).model.sha256[:12]
    assert about["families"] == list(FAMILIES)
    assert about["qualities"] == ["bright", "attack", "noisy", "sustain"]
    assert (about["points"], about["mapping"], about["seconds"], about["held"]) == (66, None, 4, 3)


def test_the_map_has_all_families_within_its_bounds(space):
    assert {len(column) for column in space.values()} == {66}
    assert np.bincount(space["family"]).tolist() == [6] * 11
    assert len(set(space["id"])) == 66
    positions = np.array([space["x"], space["y"]])
    assert np.abs(positions).max() <= 1
    assert positions.std(axis=1).min() > 0.1


def test_the_map_is_compressed_and_not_sent_again(server):
    plain = server.client.get("/api/space", headers={"Accept-Encoding": "identity"})
    packed = server.client.get("/api/space", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content) / 2
    assert packed.json() == plain.json()
    etag = {"If-None-Match": packed.headers["etag"]}
    cached = server.client.get("/api/space", headers=etag)
    assert (cached.status_code, cached.content) == (304, b"")


@pytest.mark.parametrize("row", [0, 5, 29])
def test_an_instrument_of_the_map_plays_like_its_seed(server, space, row):
    instrument = server.client.get(f"/api/instruments/{space['id'][row]}").json()
    assert instrument["name"] == space["name"][row]
    assert instrument["family"] == FAMILIES[space["family"][row]]
    assert [instrument["x"], instrument["y"]] == pytest.approx(
        [space["x"][row], space["y"][row]], abs=1e-3
    )
    note = server.note(instrument["id"])
    assert len(note) == 4 * 48_000
    np.testing.assert_array_equal(note, as_int16(instrument_of(instrument["recipe"])))


def test_the_same_recipe_opens_the_same_instrument(server):
    first, second = server.open(seed=4711, family="brass"), server.open(seed=4711, family="brass")
    assert first == second
    assert server.open(**first["recipe"])["id"] == first["id"]
    assert server.open(seed=4712, family="brass")["id"] != first["id"]


def test_surprises_differ_and_can_be_opened_again(server):
    one, other = server.open(surprise=True), server.open(surprise=True, family="organ")
    assert one["id"] != other["id"]
    assert other["family"] == "organ"
    assert server.open(**one["recipe"])["id"] == one["id"]


def test_a_blend_is_the_mean_of_timbres_and_can_be_opened_again(server, space):
    a, b = space["id"][0], space["id"][5]
    near = server.open(blend=[{"id": a, "weight": 9}, {"id": b, "weight": 1}])
    assert near["family"] is None
    recipes = [server.client.get(f"/api/instruments/{name}").json()["recipe"] for name in (a, b)]
    timbres = [instrument_of(recipe).timbre for recipe in recipes]
    timbre = np.array(near["recipe"]["share"]["timbre"], np.float32)
    np.testing.assert_allclose(timbre, 0.9 * timbres[0] + 0.1 * timbres[1], atol=1e-5)
    assert server.open(**near["recipe"])["id"] == near["id"]
    alone = server.open(blend=[{"id": a, "weight": 3}])
    assert alone["id"] == a


def test_higher_brightness_raises_the_spectral_centroid(server, space):
    def centroid(row, brightness):
        id = server.open(id=space["id"][row], turn={"bright": brightness})["id"]
        note_spectrum = spectrum(server.note(id).astype(np.float32) / 32768, 48_000)
        intensities = note_spectrum.intensities
        return float((note_spectrum.frequencies * intensities).sum() / intensities.sum())

    ratios = np.array([centroid(row, 2) / centroid(row, -2) for row in range(33)])
    assert np.median(ratios) > 1.5  # three instruments of each family
    assert (ratios > 1.2).mean() > 0.75


def test_the_ears_hear_an_instrument(server, space):
    instrument = server.client.get(f"/api/instruments/{space['id'][7]}/hearing").json()
    hearing = instrument["heard"]
    assert hearing["family"] == space_family(space, 7)
    assert instrument["novelty"] == pytest.approx(1 - hearing["nearest"][0][1], abs=1e-6)
    assert instrument["novelty"] == pytest.approx(space["novelty"][7], abs=0.02)
    assert [note["played"] for note in hearing["notes"]] == [36, 48, 60, 72, 84]
    assert sum(note["pitch"] == note["played"] for note in hearing["notes"]) >= 4


def space_family(space, row):
    return FAMILIES[space["family"][row]]


def test_an_instrument_is_placed_by_its_hearing(server, space):
    """A minimal change of an instrument of the map hardly moves it."""
    row = 16
    id = server.open(id=space["id"][row], turn={"sustain": 0.01})["id"]
    changed = server.client.get(f"/api/instruments/{id}/hearing").json()
    x, y = space["x"][row], space["y"][row]
    assert np.hypot(changed["x"] - x, changed["y"] - y) < 0.1


def test_a_shared_file_opens_the_same_instrument_elsewhere(server, space, tmp_path):
    instrument = server.open(
        blend=[{"id": space["id"][1], "weight": 1}, {"id": space["id"][9], "weight": 1}],
        turn={"noisy": -0.5},
    )
    response = server.client.get(f"/api/instruments/{instrument['id']}/share")
    assert response.headers["content-disposition"].startswith("attachment; filename=")
    path = tmp_path / "shared.json"
    path.write_bytes(response.content)
    np.testing.assert_array_equal(
        as_int16(ImaginedInstrument.load(path)), server.note(instrument["id"])
    )
    assert server.open(share=response.json())["id"] == instrument["id"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": {"sha256": "0" * 64}}, "other weights"),
        ({"timbre": [0.0] * 63}, "damaged"),
        ({"timbre": ["x"] * 64}, "damaged"),
        ({"gain": 1e9}, "damaged"),
        ({"format": "a shopping list"}, "not an instrument"),
        ({"version": 99}, "version 99"),
        ({"carried": "beside.safetensors"}, "incomplete"),
        ({"carried_base64": "%"}, "cannot be read"),
        ({"carried_base64": "AAAA"}, "damaged"),
        ({"origin": {"x": "y" * 100_000}}, "too long"),
    ],
)
def test_a_damaged_shared_file_is_refused(server, space, change, message):
    shared = server.client.get(f"/api/instruments/{space['id'][0]}/share").json()
    response = server.client.post("/api/instruments", json={"share": {**shared, **change}})
    assert response.status_code == 422
    assert message in response.json()["problem"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("GET", "/api/instruments/unknown", None, 404, "not open"),
        ("GET", "/api/instruments/unknown/notes/60/100", None, 404, "not open"),
        ("GET", "/api/instruments/a%2e%2e%2fb", None, 404, ""),
        ("GET", "/api/instruments/{id}/notes/128/100", None, 422, "127"),
        ("GET", "/api/instruments/{id}/notes/60/0", None, 422, "1"),
        ("GET", "/api/instruments/{id}/notes/60/100?seconds=1e9", None, 422, "8"),
        ("GET", "/api/instruments/{id}/notes/60/100?seconds=nan", None, 422, ""),
        ("POST", "/api/instruments", {}, 422, "exactly one"),
        ("POST", "/api/instruments", {"seed": 1, "surprise": True}, 422, "exactly one"),
        ("POST", "/api/instruments", {"seed": -1}, 422, "0"),
        ("POST", "/api/instruments", {"seed": 1, "family": "kazoo"}, 422, "bass"),
        ("POST", "/api/instruments", {"seed": 1, "turn": {"bright": 11}}, 422, "10"),
        ("POST", "/api/instruments", {"seed": 1, "turn": {"purple": 1}}, 422, "bright"),
        ("POST", "/api/instruments", {"blend": []}, 422, "1"),
        ("POST", "/api/instruments", {"blend": [{"id": "unknown", "weight": 1}]}, 404, "not open"),
        ("POST", "/api/instruments", {"blend": [{"id": "unknown", "weight": 0}]}, 422, "0"),
        ("POST", "/api/exports", {"id": "unknown", "format": "sf2"}, 404, "not open"),
        ("POST", "/api/exports", {"id": "unknown", "format": "exe"}, 422, "sfz"),
        ("GET", "/api/exports/unknown", None, 404, "no such export"),
        ("GET", "/api/exports/unknown/file", None, 404, "no such export"),
        ("DELETE", "/api/favourites/987654", None, 404, "no favourite"),
        ("POST", "/api/favourites", {"id": "unknown"}, 404, "not open"),
        ("GET", "/api/nothing", None, 404, ""),
        ("PUT", "/api/about", None, 405, ""),
        ("GET", "/static/../server.py", None, 404, ""),
        ("GET", "/static/%2e%2e/server.py", None, 404, ""),
    ],
)
def test_invalid_requests_are_refused(server, space, method, path, body, status, message):
    path = path.replace("{id}", space["id"][0])
    response = server.client.request(method, path, json=body)
    assert response.status_code == status, response.text
    problem = response.json()
    assert set(problem) == {"problem", "remedy"}
    assert message in problem["problem"]


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'"seed"', b"[" * 100_000, b"null"])
def test_invalid_json_is_refused(server, body):
    headers = {"Content-Type": "application/json"}
    response = server.client.post("/api/instruments", content=body, headers=headers)
    assert response.status_code in (400, 422)
    assert response.json()["problem"]
