"""The user's own: recordings on the map, and a map for other weights, made with the page open."""

from __future__ import annotations

import shutil

import numpy as np
import onnx
import pytest
import soundfile

from mechanical_ears.imagining.model import SHIPPED
from mechanical_ears.pitch import midi_to_hz
from support.running_server import RunningServer, until

RATE = 48_000  # Hz


def bell(pitch, seconds=2.0):
    times = np.arange(round(seconds * RATE)) / RATE
    tones = [
        np.exp(-times * ratio) * np.sin(2 * np.pi * midi_to_hz(pitch) * ratio * times) / ratio
        for ratio in (1, 2, 2.76, 5.4)
    ]
    return (0.3 * np.sum(tones, axis=0)).astype(np.float32)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """A folder of two instruments with a table that names them."""
    folder = tmp_path_factory.mktemp("recordings")
    rows = ["file,pitch,velocity,instrument,family"]
    for instrument, family, pitches in (("my bell", "mallet", (60, 67, 72)), ("other", "", (48,))):
        for pitch in pitches:
            name = f"{instrument.replace(' ', '')}{pitch}.wav"
            soundfile.write(folder / name, bell(pitch), RATE, subtype="PCM_16")
            rows.append(f"{name},{pitch},100,{instrument},{family}")
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


def mapped(running):
    """The space of a server whose map is whole."""
    until(lambda: running.client.get("/api/about").json()["mapping"] is None)
    return running.client.get("/api/space").json()


@pytest.fixture(scope="module")
def own(recordings, tmp_path_factory):
    options = ("--points", "22", "--corpus", str(recordings))
    with RunningServer(tmp_path_factory.mktemp("own"), *options) as running:
        yield running


def test_recordings_are_on_the_map_and_play_as_they_are(own, recordings):
    space = mapped(own)
    rows = [row for row, kind in enumerate(space["kind"]) if kind == 1]
    assert [space["name"][row] for row in rows] == ["my bell", "other"]
    assert [space["family"][row] for row in rows] == [5, -1]
    assert np.abs([space["x"], space["y"]]).max() <= 1
    told = own.client.get(f"/api/instruments/{space['id'][rows[0]]}").json()
    assert (told["kind"], told["family"]) == (1, "mallet")
    recorded, _ = soundfile.read(recordings / "mybell67.wav", dtype="int16")
    played = own.note(told["id"], 67, 100)
    assert len(played) == 4 * RATE
    assert np.abs(played[: len(recorded)].astype(int) - recorded).max() <= 1
    assert not played[len(recorded) :].any()


def test_keys_between_are_played_at_their_pitch(own):
    space = mapped(own)
    name = space["id"][space["name"].index("my bell")]
    for pitch in (59, 64, 75):
        played = own.note(name, pitch).astype(np.float64)
        spectrum = np.abs(np.fft.rfft(played * np.hanning(len(played))))
        assert spectrum.argmax() / 4 == pytest.approx(midi_to_hz(pitch), rel=2e-3)


def test_a_recorded_instrument_is_heard_blended_and_exported_but_not_kept(own):
    space = mapped(own)
    name = space["id"][space["name"].index("my bell")]
    heard = own.client.get(f"/api/instruments/{name}/hearing").json()["heard"]
    assert [note["pitch"] for note in heard["notes"]] == [60, 67, 72]
    blend = own.open(blend=[{"id": name, "weight": 1}, {"id": space["id"][0], "weight": 1}])
    assert blend["kind"] == 0
    assert np.abs(own.note(blend["id"])).max() > 300
    kept = own.client.post("/api/favourites", json={"id": name})
    assert (kept.status_code, kept.json()["remedy"] != "") == (422, True)
    job = own.exported(id=name, format="sfz", every=24, layers=1, seconds=1.0)
    assert own.state(job)["state"] == "done"


@pytest.fixture
def other_weights(tmp_path):
    """The shipped weights under another SHA-256."""
    folder = tmp_path / "weights"
    shutil.copytree(SHIPPED, folder)
    generator = onnx.load(folder / "generator.onnx")
    generator.doc_string = "another"
    onnx.save(generator, folder / "generator.onnx")
    return folder


def test_other_weights_get_a_map_of_their_own_once(other_weights, tmp_path):
    options = ("--points", "9", "--model", str(other_weights))
    with RunningServer(tmp_path, *options) as running:
        first = mapped(running)
        assert len(first["id"]) == 9
        assert len(running.note(first["id"][3])) == 4 * RATE
    with RunningServer(tmp_path, *options) as running:
        about = running.client.get("/api/about").json()
        assert (about["points"], about["mapping"]) == (9, None)
        assert running.client.get("/api/space").json() == first
