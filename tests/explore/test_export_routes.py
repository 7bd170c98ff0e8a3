"""Exports of a running server."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from mechanical_ears.corpus.fluidsynth_renderer import RENDER_RATE, FluidSynthRenderer
from mechanical_ears.errors import EarsError
from mechanical_ears.pitch import midi_to_hz
from support.running_server import wait_until

SMALL = {"every": 24, "layers": 1, "seconds": 1.0}


def test_an_exported_soundfont_plays_in_fluidsynth(server, space, tmp_path):
    job = server.export(id=space["id"][space["family"].index(6)], format="sf2", **SMALL)
    status = server.export_status(job)
    assert (status["state"], status["progress"]) == ("done", 1.0)
    response = server.client.get(f"/api/exports/{job}/file")
    assert response.headers["content-disposition"].startswith("attachment; filename=")
    assert len(response.content) == status["size"]
    path = tmp_path / "exported.sf2"
    path.write_bytes(response.content)
    try:
        player = FluidSynthRenderer(path)
    except EarsError as error:
        pytest.skip(str(error))
    for pitch in (48, 60, 72):
        audio = player.render(0, 0, pitch, 100, hold=RENDER_RATE, length=RENDER_RATE)
        assert np.sqrt(np.mean(audio**2)) > 0.005
        assert is_harmonic(audio[RENDER_RATE // 4 :], pitch)


def is_harmonic(audio, pitch):
    """Whether most of the energy is at multiples of the pitch's frequency."""
    power = np.abs(np.fft.rfft(audio * np.hanning(len(audio)))) ** 2
    frequencies = np.fft.rfftfreq(len(audio), 1 / RENDER_RATE)
    f0 = midi_to_hz(pitch) / 4  # organs also sound two octaves below their keys
    distance = np.abs(frequencies / f0 - np.round(frequencies / f0)) * f0
    near = distance < np.maximum(3, 0.02 * frequencies)
    return power[near].sum() > 0.8 * power.sum()


@pytest.mark.parametrize("file_format", ["sfz", "dspreset"])
def test_other_formats_come_in_an_archive_with_their_samples(server, space, file_format):
    job = server.export(id=space["id"][4], format=file_format, **SMALL)
    response = server.client.get(f"/api/exports/{job}/file")
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        text = archive.read(names[0]).decode()
    assert names[0].endswith(f".{file_format}")
    samples = names[1:]
    assert len(samples) == 4
    for name in samples:
        assert name in text.replace("\\", "/")
        assert not name.startswith(("/", ".."))


def test_an_export_can_be_cancelled_and_does_not_block_notes(server, space):
    options = {"id": space["id"][2], "format": "sf2", "every": 1, "layers": 8, "seconds": 10}
    job = server.client.post("/api/exports", json=options).json()["job"]
    wait_until(lambda: server.export_status(job)["state"] == "running")
    assert len(server.note(space["id"][2], pitch=61)) == 4 * 48_000
    assert server.client.get(f"/api/exports/{job}/file").status_code == 409
    assert server.client.delete(f"/api/exports/{job}").json()["state"] == "cancelled"
    assert server.export_status(job)["state"] == "cancelled"
    next_job = server.export(id=space["id"][2], format="sf2", **SMALL)
    assert server.export_status(next_job)["state"] == "done"


def test_the_number_of_pending_exports_is_limited(server, space):
    options = {"id": space["id"][3], "format": "sf2", "every": 1, "layers": 8, "seconds": 10}
    responses = [server.client.post("/api/exports", json=options) for _ in range(10)]
    assert [response.status_code for response in responses] == [202] * 8 + [429] * 2
    assert responses[-1].headers["retry-after"]
    for response in responses[:8]:
        server.client.delete(f"/api/exports/{response.json()['job']}")
