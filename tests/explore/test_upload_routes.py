"""Uploaded recordings, and uploads that are refused."""

from __future__ import annotations

import io
import socket
import time
import zipfile
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import soundfile

from mechanical_ears.explore.routes import MAX_UPLOAD_BYTES
from mechanical_ears.pitch import midi_to_hz


def encode(samples, rate=44_100, file_format="WAV"):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=file_format)
    return file.getvalue()


def plucked(pitch, seconds=2.0, rate=44_100):
    """A plucked string: ten partials, of which higher ones decay faster."""
    times = np.arange(round(seconds * rate)) / rate
    f0 = midi_to_hz(pitch)
    partials = [
        np.exp(-times * (1 + 0.4 * n)) * np.sin(2 * np.pi * n * f0 * times) / n
        for n in range(1, 11)
    ]
    return (0.3 * np.sum(partials, axis=0)).astype(np.float32)


def upload(server, data, media_type="audio/wav", **headers):
    headers = {"Content-Type": media_type, **headers}
    return server.client.post("/api/recordings", content=data, headers=headers)


@pytest.mark.parametrize("file_format", ["WAV", "FLAC", "OGG", "MP3"])
def test_the_pitch_of_a_recording_is_recognised(server, file_format):
    recording = upload(
        server, encode(plucked(57), file_format=file_format), "application/octet-stream"
    ).json()
    assert recording["heard"]["pitch"] == 57
    assert recording["heard"]["frequency"] == pytest.approx(220.0, abs=0.5)
    assert abs(recording["heard"]["cents"]) < 4


def test_a_recording_is_placed_and_gives_an_instrument_like_it(server, space):
    name = quote("../../Mömo\\my string.wav")
    recording = upload(server, encode(plucked(60)), **{"X-File-Name": name}).json()
    assert recording["problem"] is None
    assert np.abs([recording["x"], recording["y"]]).max() <= 1
    rows = [space["id"].index(near["id"]) for near in recording["nearest"]]
    likeness = [near["likeness"] for near in recording["nearest"]]
    assert len(rows) == 6
    assert max(likeness) > 0.3
    nearest = min(
        np.hypot(space["x"][row] - recording["x"], space["y"][row] - recording["y"]) for row in rows
    )
    assert nearest < 0.35
    like = recording["instrument"]
    assert like["name"] == "like my string.wav"
    second = upload(server, _to_wav(server.note(like["id"]))).json()
    assert second["heard"]["pitch"] == 60
    response = server.client.post("/api/instruments", json=like["recipe"])
    assert response.json()["id"] == like["id"]


def _to_wav(samples):
    return encode(samples.astype(np.float32) / 32768, 48_000)


def test_an_instrument_like_a_recording_is_shared_in_one_file(server):
    like = upload(server, encode(plucked(64))).json()["instrument"]
    shared = server.client.get(f"/api/instruments/{like['id']}/share").json()
    assert server.open(share=shared)["id"] == like["id"]
    cut = {**shared, "carried_base64": shared["carried_base64"][: len(shared) // 2 * 4]}
    response = server.client.post("/api/instruments", json={"share": cut})
    assert (response.status_code, response.json()["remedy"] != "") == (422, True)


def test_a_note_of_an_instrument_is_nearest_to_its_family(server, space):
    row = 13
    recording = upload(server, _to_wav(server.note(space["id"][row]))).json()
    families = [space["family"][space["id"].index(near["id"])] for near in recording["nearest"]]
    assert families.count(space["family"][row]) >= 3


@pytest.mark.parametrize(
    ("samples", "problem"),
    [
        (np.zeros(44_100, np.float32), "silent"),
        (np.random.default_rng(1).normal(0, 0.1, 88_200).astype(np.float32), "single pitch"),
    ],
)
def test_a_recording_without_a_pitch_gives_no_instrument(server, samples, problem):
    recording = upload(server, encode(samples)).json()
    assert problem in recording["problem"]
    assert recording["instrument"] is None
    assert recording["heard"]["pitch"] is None


def zip_archive():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("note.wav", encode(plucked(60)))
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "media_type", "status"),
    [
        (zip_archive(), "audio/wav", 415),
        (b"", "audio/wav", 415),
        (b"RIFF\xff\xff\xff\xffWAVEfmt ", "audio/wav", 415),
        (encode(np.zeros((100, 16), np.float32)), "audio/wav", 415),
        (encode(plucked(60)), "text/html", 415),
        (encode(np.full(1000, np.nan, np.float32)), "audio/wav", 200),
    ],
)
def test_uploads_that_are_not_recordings_are_refused(server, data, media_type, status):
    response = upload(server, data, media_type)
    assert response.status_code == status, response.text
    if status != 200:
        assert set(response.json()) == {"problem", "remedy"}
    assert server.client.get("/api/about").status_code == 200


def test_samples_that_are_not_numbers_are_refused(server):
    file = io.BytesIO()
    soundfile.write(file, np.full(1000, np.nan, np.float32), 16_000, "FLOAT", format="WAV")
    assert upload(server, file.getvalue()).status_code == 415


def connect(server):
    """A connection, and the headers of a request."""
    host, port = server.client.base_url.host, server.client.base_url.port
    connection = socket.create_connection((host, port), timeout=30)
    return connection, f"Host: {host}:{port}\r\nContent-Type: audio/wav\r\n"


def test_two_gigabytes_are_refused_before_they_arrive(server):
    connection, headers = connect(server)
    with connection:
        request = f"POST /api/recordings HTTP/1.1\r\n{headers}Content-Length: {2 << 30}\r\n\r\n"
        connection.sendall(request.encode() + b"RIFF")
        assert b" 413 " in connection.recv(1000).split(b"\r\n")[0]


def test_an_upload_without_a_length_is_counted_and_not_stored(server):
    connection, headers = connect(server)
    before, chunk = peak_memory(server), b"%x\r\n" % (1 << 20) + bytes(1 << 20) + b"\r\n"
    with connection:
        start = f"POST /api/recordings HTTP/1.1\r\n{headers}Transfer-Encoding: chunked\r\n\r\n"
        connection.sendall(start.encode())
        for _ in range(4 * MAX_UPLOAD_BYTES >> 20):
            connection.sendall(chunk)
        assert b" 413 " in connection.recv(1000).split(b"\r\n")[0]
    assert peak_memory(server) - before < 2.5 * MAX_UPLOAD_BYTES


def peak_memory(server):
    """Largest memory of the server so far, bytes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def test_uploads_that_hang_do_not_block_others_for_ever(server):
    """More uploads hang than may run at once; when they are closed, the next one succeeds."""
    hanging = [connect(server) for _ in range(5)]
    for connection, headers in hanging:
        start = f"POST /api/recordings HTTP/1.1\r\n{headers}Content-Length: 1000\r\n\r\nRIFF"
        connection.sendall(start.encode())
    time.sleep(0.3)
    busy = upload(server, encode(plucked(60)))
    assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
    for connection, _ in hanging:
        connection.close()
    time.sleep(0.3)
    assert upload(server, encode(plucked(60))).status_code == 200
