"""Exports and favourites of a running server."""

from __future__ import annotations

import io
import sqlite3
import zipfile

import numpy as np
import pytest

from mechanical_ears.corpus.fluidsynth_renderer import RENDER_RATE, FluidSynthRenderer
from mechanical_ears.errors import EarsError
from mechanical_ears.explore.favourites import FILE, FavouriteError, Favourites
from mechanical_ears.pitch import midi_to_hz
from support.running_server import RunningServer, until

SMALL = {"every": 24, "layers": 1, "seconds": 1.0}


def test_a_soundfont_plays_in_fluidsynth(server, space, tmp_path):
    job = server.exported(id=space["id"][space["family"].index(6)], format="sf2", **SMALL)
    state = server.state(job)
    assert (state["state"], state["progress"]) == ("done", 1.0)
    answer = server.client.get(f"/api/exports/{job}/file")
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    assert len(answer.content) == state["size"]
    path = tmp_path / "made.sf2"
    path.write_bytes(answer.content)
    try:
        player = FluidSynthRenderer(path)
    except EarsError as error:
        pytest.skip(str(error))
    for pitch in (48, 60, 72):
        audio = player.render(0, 0, pitch, 100, hold=RENDER_RATE, length=RENDER_RATE)
        assert np.sqrt(np.mean(audio**2)) > 0.005
        assert sounds_at(audio[RENDER_RATE // 4 :], pitch)


def sounds_at(audio, pitch):
    """Most of the energy stands at multiples of the pitch's frequency, within a third of a tone."""
    power = np.abs(np.fft.rfft(audio * np.hanning(len(audio)))) ** 2
    frequencies = np.fft.rfftfreq(len(audio), 1 / RENDER_RATE)
    f0 = midi_to_hz(pitch) / 4  # organs sound two octaves below their keys, too
    off = np.abs(frequencies / f0 - np.round(frequencies / f0)) * f0
    near = off < np.maximum(3, 0.02 * frequencies)
    return power[near].sum() > 0.8 * power.sum()


@pytest.mark.parametrize("kind", ["sfz", "dspreset"])
def test_other_formats_come_with_their_samples(server, space, kind):
    job = server.exported(id=space["id"][4], format=kind, **SMALL)
    answer = server.client.get(f"/api/exports/{job}/file")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        text = archive.read(names[0]).decode()
    assert names[0].endswith(f".{kind}")
    samples = names[1:]
    assert len(samples) == 4
    for name in samples:
        assert name in text.replace("\\", "/")
        assert not name.startswith(("/", ".."))


def test_an_export_is_cancelled_while_notes_play(server, space):
    wish = {"id": space["id"][2], "format": "sf2", "every": 1, "layers": 8, "seconds": 10}
    job = server.client.post("/api/exports", json=wish).json()["job"]
    until(lambda: server.state(job)["state"] == "running")
    assert len(server.note(space["id"][2], pitch=61)) == 4 * 48_000
    assert server.client.get(f"/api/exports/{job}/file").status_code == 409
    assert server.client.delete(f"/api/exports/{job}").json()["state"] == "cancelled"
    assert server.state(job)["state"] == "cancelled"
    after = server.exported(id=space["id"][2], format="sf2", **SMALL)
    assert server.state(after)["state"] == "done"


def test_exports_are_bounded(server, space):
    wish = {"id": space["id"][3], "format": "sf2", "every": 1, "layers": 8, "seconds": 10}
    answers = [server.client.post("/api/exports", json=wish) for _ in range(10)]
    assert [answer.status_code for answer in answers] == [202] * 8 + [429] * 2
    assert answers[-1].headers["retry-after"]
    for answer in answers[:8]:
        server.client.delete(f"/api/exports/{answer.json()['job']}")


def test_favourites_stay_over_a_restart(tmp_path):
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
        kept = [
            running.client.post("/api/favourites", json=wish).json()
            for wish in (
                {"id": space["id"][7]},
                {"id": blend["id"], "name": "Zwölf ♥"},
                {"id": like["id"]},
            )
        ]
        notes = [running.note(each["instrument"]["id"]) for each in kept]
        number = kept[0]["favourite"]
        renamed = running.client.patch(f"/api/favourites/{number}", json={"name": "first"})
        assert renamed.json()["name"] == "first"
    assert running.process.returncode == 0
    with RunningServer(tmp_path, "--points", "22") as running:
        found = running.client.get("/api/favourites").json()
        assert [each["name"] for each in found] == [like["name"], "Zwölf ♥", "first"]
        for each, note in zip(found, reversed(notes), strict=True):
            np.testing.assert_array_equal(running.note(each["instrument"]["id"]), note)
        assert running.client.delete(f"/api/favourites/{number}").status_code == 204
        assert len(running.client.get("/api/favourites").json()) == 2
        with sqlite3.connect(tmp_path / FILE) as file:  # as if it were of older weights
            changed = 'replace(instrument, \'"sha256": "\', \'"sha256": "0000\')'
            file.execute(f"UPDATE favourites SET instrument = {changed}")
        for each in running.client.get("/api/favourites").json():
            assert each["instrument"] is None
            assert "other weights" in each["problem"]


def test_a_favourite_holds_all_that_was_given(tmp_path):
    favourites = Favourites(tmp_path)
    about = {"name": "a", "weights": {"sha256": "0"}, "timbre": [0.125, -1e-7]}
    row = favourites.add("a", about, b"\0carried")
    favourites.add("b", about, None)
    favourites.close()
    again = Favourites(tmp_path)
    assert [each.name for each in again.all()] == ["b", "a"]
    assert again.all()[1] == row
    assert (row.about, row.carried) == (about, b"\0carried")
    again.remove(row.favourite)
    with pytest.raises(FavouriteError, match="no favourite"):
        again.rename(row.favourite, "c")
    assert again.add("c", about, None).favourite > row.favourite  # numbers are not used twice
    again.close()


def test_a_file_that_is_no_list_of_favourites_is_told_with_a_remedy(tmp_path):
    (tmp_path / FILE).write_bytes(b"not a database, but long enough to be taken for one" * 100)
    with pytest.raises(EarsError, match="move the file away"):
        Favourites(tmp_path)
    newer = tmp_path / "newer"
    Favourites(newer).close()
    with sqlite3.connect(newer / FILE) as file:
        file.execute("PRAGMA user_version = 99")
    with pytest.raises(EarsError, match="update mechanical-ears"):
        Favourites(newer)
    (tmp_path / "file").write_text("")
    with pytest.raises(EarsError, match="is a file where a folder is needed"):
        Favourites(tmp_path / "file")
