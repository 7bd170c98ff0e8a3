"""The routes of favourites."""

from __future__ import annotations

import sqlite3

import numpy as np

from mechanical_ears.explore.favourites import FILE_NAME
from support.running_server import RunningServer


def test_favourites_survive_a_restart(tmp_path):
    with RunningServer(tmp_path, "--points", "22") as running:
        space = running.client.get("/api/space").json()
        blend = running.open(
            blend=[{"id": space["id"][0], "weight": 1}, {"id": space["id"][1], "weight": 2}]
        )
        like = running.client.post(
            "/api/recordings",
            content=running.client.get(f"/api/instruments/{blend['id']}/notes/60/100").content,
            headers={"Content-Type": "audio/wav"},
        ).json()["instrument"]
        favourites = [
            running.client.post("/api/favourites", json=favourite).json()
            for favourite in (
                {"id": space["id"][7]},
                {"id": blend["id"], "name": "Zwölf ♥"},
                {"id": like["id"]},
            )
        ]
        notes = [running.note(each["instrument"]["id"]) for each in favourites]
        number = favourites[0]["favourite"]
        renamed = running.client.patch(f"/api/favourites/{number}", json={"name": "first"})
        assert renamed.json()["name"] == "first"
    assert running.process.returncode == 0
    with RunningServer(tmp_path, "--points", "22") as running:
        favourites = running.client.get("/api/favourites").json()
        assert [each["name"] for each in favourites] == [like["name"], "Zwölf ♥", "first"]
        for each, note in zip(favourites, reversed(notes), strict=True):
            np.testing.assert_array_equal(running.note(each["instrument"]["id"]), note)
        assert running.client.delete(f"/api/favourites/{number}").status_code == 204
        assert len(running.client.get("/api/favourites").json()) == 2
        with sqlite3.connect(tmp_path / FILE_NAME) as file:  # as if of older weights
            changed = 'replace(instrument, \'"sha256": "\', \'"sha256": "0000\')'
            file.execute(f"UPDATE favourites SET instrument = {changed}")
        for each in running.client.get("/api/favourites").json():
            assert each["instrument"] is None
            assert "other weights" in each["problem"]
