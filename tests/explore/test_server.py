"""The routes of a running server: the right sounds, the right answers, the right refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mechanical_ears.imagining.imagine import imagine
from mechanical_ears.imagining.instrument import ImaginedInstrument
from mechanical_ears.note import FAMILIES
from mechanical_ears.spectra import spectrum


def as_int16(instrument, pitch=60, velocity=100):
    samples = instrument.note(pitch, velocity, 4.0, 48_000).samples
    return np.rint(np.clip(samples, -1, 1) * np.float32(32767)).astype(np.int16)


def drawn(recipe):
    return imagine(recipe["seed"], family=recipe["family"], candidate=recipe["draw"])


def test_about_tells_the_weights_and_the_limits(server):
    about = server.client.get("/api/about").json()
    assert about["weights"] == imagine(1, candidate=0).model.sha256[:12]
    assert about["families"] == list(FAMILIES)
    assert about["qualities"] == ["bright", "attack", "noisy", "sustain"]
    assert (about["points"], about["mapping"], about["seconds"], about["held"]) == (66, None, 4, 3)


def test_the_map_has_all_families_within_its_square(space):
    assert {len(column) for column in space.values()} == {66}
    assert np.bincount(space["family"]).tolist() == [6] * 11
    assert len(set(space["id"])) == 66
    places = np.array([space["x"], space["y"]])
    assert np.abs(places).max() <= 1
    assert places.std(axis=1).min() > 0.1


def test_the_map_is_sent_once(server):
    plain = server.client.get("/api/space", headers={"Accept-Encoding": "identity"})
    packed = server.client.get("/api/space", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content) / 2
    assert packed.json() == plain.json()
    etag = {"If-None-Match": packed.headers["etag"]}
    again = server.client.get("/api/space", headers=etag)
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("row", [0, 5, 29])
def test_a_point_of_the_map_plays_what_its_seed_plays(server, space, row):
    told = server.client.get(f"/api/instruments/{space['id'][row]}").json()
    assert told["name"] == space["name"][row]
    assert told["family"] == FAMILIES[space["family"][row]]
    assert [told["x"], told["y"]] == pytest.approx([space["x"][row], space["y"][row]], abs=1e-3)
    played = server.note(told["id"])
    assert len(played) == 4 * 48_000
    np.testing.assert_array_equal(played, as_int16(drawn(told["recipe"])))


def test_the_same_recipe_is_the_same_instrument(server):
    first, again = server.open(seed=4711, family="brass"), server.open(seed=4711, family="brass")
    assert first == again
    assert server.open(**first["recipe"])["id"] == first["id"]
    assert server.open(seed=4712, family="brass")["id"] != first["id"]


def test_surprises_differ_and_open_again(server):
    one, other = server.open(surprise=True), server.open(surprise=True, family="organ")
    assert one["id"] != other["id"]
    assert other["family"] == "organ"
    assert server.open(**one["recipe"])["id"] == one["id"]


def test_a_blend_lies_between_and_opens_again_from_its_recipe(server, space):
    a, b = space["id"][0], space["id"][5]
    near = server.open(blend=[{"id": a, "weight": 9}, {"id": b, "weight": 1}])
    assert near["family"] is None
    recipes = [server.client.get(f"/api/instruments/{name}").json()["recipe"] for name in (a, b)]
    timbres = [drawn(recipe).timbre for recipe in recipes]
    told = np.array(near["recipe"]["share"]["timbre"], np.float32)
    np.testing.assert_allclose(told, 0.9 * timbres[0] + 0.1 * timbres[1], atol=1e-5)
    assert server.open(**near["recipe"])["id"] == near["id"]
    alone = server.open(blend=[{"id": a, "weight": 3}])
    assert alone["id"] == a


def test_turned_brighter_it_is_brighter(server, space):
    def centroid(point, turn):
        name = server.open(id=space["id"][point], turn={"bright": turn})["id"]
        heard = spectrum(server.note(name).astype(np.float32) / 32768, 48_000)
        return float((heard.frequencies * heard.intensities).sum() / heard.intensities.sum())

    ratios = np.array([centroid(point, 2) / centroid(point, -2) for point in range(33)])
    assert np.median(ratios) > 1.5  # three instruments of each family
    assert (ratios > 1.2).mean() > 0.75


def test_the_ears_hear_an_instrument(server, space):
    told = server.client.get(f"/api/instruments/{space['id'][7]}/hearing").json()
    heard = told["heard"]
    assert heard["family"] == space_family(space, 7)
    assert told["novelty"] == pytest.approx(1 - heard["nearest"][0][1], abs=1e-6)
    assert told["novelty"] == pytest.approx(space["novelty"][7], abs=0.02)
    assert [note["played"] for note in heard["notes"]] == [36, 48, 60, 72, 84]
    assert sum(note["pitch"] == note["played"] for note in heard["notes"]) >= 4


def space_family(space, row):
    return FAMILIES[space["family"][row]]


def test_what_is_heard_is_placed_as_the_map_has_it(server, space):
    """An instrument of the map, a hair off it, is placed beside itself."""
    row = 16
    name = server.open(id=space["id"][row], turn={"sustain": 0.01})["id"]
    told = server.client.get(f"/api/instruments/{name}/hearing").json()
    place = (space["x"][row], space["y"][row])
    assert np.hypot(told["x"] - place[0], told["y"] - place[1]) < 0.1


def test_a_shared_instrument_is_the_same_elsewhere(server, space, tmp_path):
    made = server.open(
        blend=[{"id": space["id"][1], "weight": 1}, {"id": space["id"][9], "weight": 1}],
        turn={"noisy": -0.5},
    )
    answer = server.client.get(f"/api/instruments/{made['id']}/share")
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    path = tmp_path / "shared.json"
    path.write_bytes(answer.content)
    np.testing.assert_array_equal(as_int16(ImaginedInstrument.load(path)), server.note(made["id"]))
    assert server.open(share=answer.json())["id"] == made["id"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weights": {"sha256": "0" * 64}}, "other weights"),
        ({"timbre": [0.0] * 63}, "damaged"),
        ({"timbre": ["x"] * 64}, "damaged"),
        ({"gain": 1e9}, "damaged"),
        ({"format": "a shopping list"}, "not an instrument"),
        ({"version": 99}, "version 99"),
        ({"carried": "beside.safetensors"}, "not whole"),
        ({"carried_base64": "%"}, "cannot be read"),
        ({"carried_base64": "AAAA"}, "damaged"),
        ({"origin": {"x": "y" * 100_000}}, "too long"),
    ],
)
def test_a_bad_file_is_refused_in_words(server, space, change, words):
    shared = server.client.get(f"/api/instruments/{space['id'][0]}/share").json()
    answer = server.client.post("/api/instruments", json={"share": {**shared, **change}})
    assert answer.status_code == 422
    assert words in answer.json()["problem"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("GET", "/api/instruments/nobody", None, 404, "not open"),
        ("GET", "/api/instruments/nobody/notes/60/100", None, 404, "not open"),
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
        ("POST", "/api/instruments", {"blend": [{"id": "nobody", "weight": 1}]}, 404, "not open"),
        ("POST", "/api/instruments", {"blend": [{"id": "nobody", "weight": 0}]}, 422, "0"),
        ("POST", "/api/exports", {"id": "nobody", "format": "sf2"}, 404, "not open"),
        ("POST", "/api/exports", {"id": "nobody", "format": "exe"}, 422, "sfz"),
        ("GET", "/api/exports/nobody", None, 404, "no such export"),
        ("GET", "/api/exports/nobody/file", None, 404, "no such export"),
        ("DELETE", "/api/favourites/987654", None, 404, "no favourite"),
        ("POST", "/api/favourites", {"id": "nobody"}, 404, "not open"),
        ("GET", "/api/nothing", None, 404, ""),
        ("PUT", "/api/about", None, 405, ""),
        ("GET", "/static/../server.py", None, 404, ""),
        ("GET", "/static/%2e%2e/server.py", None, 404, ""),
    ],
)
def test_what_cannot_be_is_refused_in_words(server, space, method, path, body, status, words):
    path = path.replace("{id}", space["id"][0])
    answer = server.client.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert set(told) == {"problem", "remedy"}
    assert words in told["problem"]


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'"seed"', b"[" * 100_000, b"null"])
def test_what_is_no_json_is_refused_in_words(server, body):
    headers = {"Content-Type": "application/json"}
    answer = server.client.post("/api/instruments", content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert answer.json()["problem"]


def test_the_page_and_its_files(server):
    page = server.client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    script = server.client.get("/static/js/main.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["cache-control"] == "no-cache"
    again = server.client.get(
        "/static/js/main.js", headers={"If-None-Match": script.headers["etag"]}
    )
    assert again.status_code == 304


def test_every_answer_has_the_headers_that_keep_others_out(server):
    for path in ("/", "/static/js/main.js", "/api/about", "/api/nothing", "/nothing"):
        headers = server.client.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "server" not in headers


def test_notes_may_be_kept_by_the_browser_and_the_rest_not(server, space):
    note = server.client.get(f"/api/instruments/{space['id'][0]}/notes/60/100")
    assert "immutable" in note.headers["cache-control"]
    assert server.client.get("/api/favourites").headers["cache-control"] == "no-store"


def test_the_openapi_tells_all_routes(server):
    told = server.client.get("/api/openapi.json").json()
    assert set(told["paths"]) == {
        "/api/about",
        "/api/space",
        "/api/instruments",
        "/api/instruments/{instrument}",
        "/api/instruments/{instrument}/hearing",
        "/api/instruments/{instrument}/share",
        "/api/instruments/{instrument}/notes/{pitch}/{velocity}",
        "/api/recordings",
        "/api/exports",
        "/api/exports/{job}",
        "/api/exports/{job}/file",
        "/api/favourites",
        "/api/favourites/{favourite}",
    }
    assert "HTTPValidationError" not in json.dumps(told)
