"""The user's corpus on the map, and a map of other weights, built while the server runs."""

from __future__ import annotations

import shutil

import numpy as np
import onnx
import pytest
import soundfile

from mechanical_ears.explore.corpus_instruments import CorpusInstrument
from mechanical_ears.imagining.model import SHIPPED
from mechanical_ears.pitch import midi_to_hz
from support.running_server import RunningServer, wait_until

pytestmark = pytest.mark.slow

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
    """A folder of two instruments with a table of labels."""
    folder = tmp_path_factory.mktemp("recordings")
    rows = ["file,pitch,velocity,instrument,family"]
    for instrument, family, pitches in (("my bell", "mallet", (60, 67, 72)), ("other", "", (48,))):
        for pitch in pitches:
            name = f"{instrument.replace(' ', '')}{pitch}.wav"
            soundfile.write(folder / name, bell(pitch), RATE, subtype="PCM_16")
            rows.append(f"{name},{pitch},100,{instrument},{family}")
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


def complete_map(running):
    """The map of a server, when it is complete."""
    wait_until(lambda: running.client.get("/api/about").json()["mapping"] is None)
    return running.client.get("/api/space").json()


@pytest.fixture(scope="module")
def corpus_server(recordings, tmp_path_factory):
    """A server with that folder as its corpus."""
    options = ("--points", "22", "--corpus", str(recordings))
    with RunningServer(tmp_path_factory.mktemp("corpus"), *options) as running:
        yield running


def test_recordings_are_on_the_map_and_play_unchanged_at_their_keys(corpus_server, recordings):
    space = complete_map(corpus_server)
    rows = [row for row, kind in enumerate(space["kind"]) if kind == 1]
    assert [space["name"][row] for row in rows] == ["my bell", "other"]
    assert [space["family"][row] for row in rows] == [5, -1]
    assert np.abs([space["x"], space["y"]]).max() <= 1
    instrument = corpus_server.client.get(f"/api/instruments/{space['id'][rows[0]]}").json()
    assert (instrument["kind"], instrument["family"]) == (1, "mallet")
    recording, _ = soundfile.read(recordings / "mybell67.wav", dtype="int16")
    note = corpus_server.note(instrument["id"], 67, 100)
    assert len(note) == 4 * RATE
    assert np.abs(note[: len(recording)].astype(int) - recording).max() <= 1
    assert not note[len(recording) :].any()


def test_other_keys_play_the_nearest_recording_at_their_pitch(corpus_server):
    space = complete_map(corpus_server)
    id = space["id"][space["name"].index("my bell")]
    for pitch in (59, 64, 75):
        note = corpus_server.note(id, pitch).astype(np.float64)
        spectrum = np.abs(np.fft.rfft(note * np.hanning(len(note))))
        assert spectrum.argmax() / 4 == pytest.approx(midi_to_hz(pitch), rel=2e-3)


def test_a_corpus_instrument_is_analysed_blended_and_exported_but_not_saved(corpus_server):
    space = complete_map(corpus_server)
    id = space["id"][space["name"].index("my bell")]
    hearing = corpus_server.client.get(f"/api/instruments/{id}/hearing").json()["heard"]
    assert [note["pitch"] for note in hearing["notes"]] == [60, 67, 72]
    parts = [{"id": id, "weight": 1}, {"id": space["id"][0], "weight": 1}]
    blend = corpus_server.open(blend=parts)
    assert blend["kind"] == 0
    assert np.abs(corpus_server.note(blend["id"])).max() > 300
    response = corpus_server.client.post("/api/favourites", json={"id": id})
    assert (response.status_code, response.json()["remedy"] != "") == (422, True)
    job = corpus_server.export(id=id, format="sfz", every=24, layers=1, seconds=1.0)
    assert corpus_server.export_status(job)["state"] == "done"


def test_representative_notes_are_spread_over_the_keys():
    notes = tuple((position, 40 + position // 2, (60, 110)[position % 2]) for position in range(40))
    instrument = CorpusInstrument("piano", "keyboard", "CC0", "my corpus", notes)
    assert instrument.representative_notes(3) == [(40, 110), (50, 110), (59, 110)]
    assert instrument.recordings()[50, 60] == 20


def test_of_two_recordings_of_a_note_the_first_is_used():
    instrument = CorpusInstrument("piano", None, "CC0", "my corpus", ((4, 60, 100), (7, 60, 100)))
    assert instrument.recordings() == {(60, 100): 4}


@pytest.fixture
def other_weights(tmp_path):
    """The shipped weights with another SHA-256."""
    folder = tmp_path / "weights"
    shutil.copytree(SHIPPED, folder)
    generator = onnx.load(folder / "generator.onnx")
    generator.doc_string = "another"
    onnx.save(generator, folder / "generator.onnx")
    return folder


def test_other_weights_get_a_map_of_their_own_which_is_built_once(other_weights, tmp_path):
    options = ("--points", "9", "--model", str(other_weights))
    with RunningServer(tmp_path, *options) as running:
        first = complete_map(running)
        assert len(first["id"]) == 9
        assert len(running.note(first["id"][3])) == 4 * RATE
    with RunningServer(tmp_path, *options) as running:
        about = running.client.get("/api/about").json()
        assert (about["points"], about["mapping"]) == (9, None)
        assert running.client.get("/api/space").json() == first
