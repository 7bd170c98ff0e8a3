"""Recordings that are sent: heard, placed, imitated; and all that is no recording."""

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

from mechanical_ears.explore.routes import UPLOAD_BYTES
from mechanical_ears.pitch import midi_to_hz


def recording(samples, rate=44_100, kind="WAV"):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind)
    return file.getvalue()


def plucked(pitch, seconds=2.0, rate=44_100):
    """A string: ten partials that fall, the higher the faster."""
    times = np.arange(round(seconds * rate)) / rate
    f0 = midi_to_hz(pitch)
    partials = [
        np.exp(-times * (1 + 0.4 * n)) * np.sin(2 * np.pi * n * f0 * times) / n
        for n in range(1, 11)
    ]
    return (0.3 * np.sum(partials, axis=0)).astype(np.float32)


def send(server, data, kind="audio/wav", **headers):
    named = {"Content-Type": kind, **headers}
    return server.client.post("/api/recordings", content=data, headers=named)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
def test_a_recording_is_heard_at_its_pitch(server, kind):
    told = send(server, recording(plucked(57), kind=kind), "application/octet-stream").json()
    assert told["heard"]["pitch"] == 57
    assert told["heard"]["frequency"] == pytest.approx(220.0, abs=0.5)
    assert abs(told["heard"]["cents"]) < 4


def test_a_recording_is_placed_and_imitated(server, space):
    name = quote("../../Mömo\\my string.wav")
    told = send(server, recording(plucked(60)), **{"X-File-Name": name}).json()
    assert told["problem"] is None
    assert np.abs([told["x"], told["y"]]).max() <= 1
    known = {name: place for place, name in enumerate(space["id"])}
    places = [known[near["id"]] for near in told["nearest"]]
    likeness = [near["likeness"] for near in told["nearest"]]
    assert len(places) == 6
    assert max(likeness) > 0.3
    nearest = min(np.hypot(space["x"][p] - told["x"], space["y"][p] - told["y"]) for p in places)
    assert nearest < 0.35
    like = told["instrument"]
    assert like["name"] == "like my string.wav"
    again = send(server, _as_float(server.note(like["id"]))).json()
    assert again["heard"]["pitch"] == 60
    answer = server.client.post("/api/instruments", json=like["recipe"])
    assert answer.json()["id"] == like["id"]


def _as_float(samples):
    return recording(samples.astype(np.float32) / 32768, 48_000)


def test_an_instrument_like_a_recording_is_shared_in_one_file(server):
    like = send(server, recording(plucked(64))).json()["instrument"]
    shared = server.client.get(f"/api/instruments/{like['id']}/share").json()
    assert server.open(share=shared)["id"] == like["id"]
    cut = {**shared, "carried_base64": shared["carried_base64"][: len(shared) // 2 * 4]}
    answer = server.client.post("/api/instruments", json={"share": cut})
    assert (answer.status_code, answer.json()["remedy"] != "") == (422, True)


def test_an_instrument_played_is_recognised_among_those_of_the_map(server, space):
    """A note of a point, sent as a recording, lands at the point's family."""
    row = 13
    told = send(server, _as_float(server.note(space["id"][row]))).json()
    families = [space["family"][space["id"].index(near["id"])] for near in told["nearest"]]
    assert families.count(space["family"][row]) >= 3


@pytest.mark.parametrize(
    ("samples", "problem"),
    [
        (np.zeros(44_100, np.float32), "silent"),
        (np.random.default_rng(1).normal(0, 0.1, 88_200).astype(np.float32), "single pitch"),
    ],
)
def test_what_has_no_pitch_is_told_so(server, samples, problem):
    told = send(server, recording(samples)).json()
    assert problem in told["problem"]
    assert told["instrument"] is None
    assert told["heard"]["pitch"] is None


def a_zip():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("note.wav", recording(plucked(60)))
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        (a_zip(), "audio/wav", 415),
        (b"", "audio/wav", 415),
        (b"RIFF\xff\xff\xff\xffWAVEfmt ", "audio/wav", 415),
        (recording(np.zeros((100, 16), np.float32)), "audio/wav", 415),
        (recording(plucked(60)), "text/html", 415),
        (recording(np.full(1000, np.nan, np.float32), kind="WAV"), "audio/wav", 200),
    ],
)
def test_what_is_no_recording_is_refused_in_words(server, data, kind, status):
    answer = send(server, data, kind)
    assert answer.status_code == status, answer.text
    if status != 200:
        assert set(answer.json()) == {"problem", "remedy"}
    assert server.client.get("/api/about").status_code == 200


def test_floats_that_are_no_numbers_are_refused(server):
    file = io.BytesIO()
    soundfile.write(file, np.full(1000, np.nan, np.float32), 16_000, "FLOAT", format="WAV")
    assert send(server, file.getvalue()).status_code == 415


def raw(server):
    host, port = server.client.base_url.host, server.client.base_url.port
    connection = socket.create_connection((host, port), timeout=30)
    return connection, f"Host: {host}:{port}\r\nContent-Type: audio/wav\r\n"


def test_two_gigabytes_are_refused_before_they_come(server):
    connection, headers = raw(server)
    with connection:
        request = f"POST /api/recordings HTTP/1.1\r\n{headers}Content-Length: {2 << 30}\r\n\r\n"
        connection.sendall(request.encode() + b"RIFF")
        assert b" 413 " in connection.recv(1000).split(b"\r\n")[0]


def test_what_does_not_say_its_length_is_counted_and_not_kept(server):
    connection, headers = raw(server)
    before, chunk = memory(server), b"%x\r\n" % (1 << 20) + bytes(1 << 20) + b"\r\n"
    with connection:
        start = f"POST /api/recordings HTTP/1.1\r\n{headers}Transfer-Encoding: chunked\r\n\r\n"
        connection.sendall(start.encode())
        for _ in range(4 * UPLOAD_BYTES >> 20):
            connection.sendall(chunk)
        assert b" 413 " in connection.recv(1000).split(b"\r\n")[0]
    assert memory(server) - before < 2.5 * UPLOAD_BYTES


def memory(server):
    """The most that the server has held so far, bytes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def test_those_who_never_end_do_not_keep_others_out(server):
    """More uploads than are taken at once hang; when they go, the next is taken."""
    hanging = [raw(server) for _ in range(5)]
    for connection, headers in hanging:
        start = f"POST /api/recordings HTTP/1.1\r\n{headers}Content-Length: 1000\r\n\r\nRIFF"
        connection.sendall(start.encode())
    time.sleep(0.3)
    busy = send(server, recording(plucked(60)))
    assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
    for connection, _ in hanging:
        connection.close()
    time.sleep(0.3)
    assert send(server, recording(plucked(60))).status_code == 200
