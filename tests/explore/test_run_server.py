"""The command: what is wrong is told in one line; what is not needed is not imported."""

from __future__ import annotations

import socket
import subprocess
import sys
from urllib.parse import urlsplit

import httpx
import pytest

from mechanical_ears.cli import main
from mechanical_ears.explore import run_server


def explore(data, *options):
    command = [sys.executable, "-m", "mechanical_ears.cli", "explore", "--no-browser"]
    command += ["--data", str(data), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def told(done):
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_port_that_is_taken_is_told_with_the_next_step(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        error = told(explore(tmp_path, "--port", port))
    assert f"port {port}" in error
    assert "--port 0" in error


def test_weights_that_are_missing_are_told(tmp_path):
    assert "no such folder of weights" in told(explore(tmp_path, "--model", str(tmp_path / "no")))
    (tmp_path / "empty").mkdir()
    assert "generator.onnx" in told(explore(tmp_path, "--model", str(tmp_path / "empty")))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--corpus", "/nowhere"), "no such corpus"),
        (("--points", "0"), "not above 0"),
        (("--port", "99999"), "cannot listen"),
        (("--host", "256.1.1.1"), "cannot listen"),
    ],
)
def test_what_cannot_be_is_told_before_anything_starts(tmp_path, capsys, options, words):
    assert main(["explore", "--no-browser", "--data", str(tmp_path), *options]) == 2
    assert words in capsys.readouterr().err


def test_a_data_folder_that_cannot_be_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    assert "is a file where a folder is needed" in told(explore(tmp_path / "file", "--port", "0"))


def test_without_the_extra_the_remedy_is_told(tmp_path, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith("mechanical_ears.explore")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    assert main(["explore", "--data", str(tmp_path)]) == 2
    assert 'pip install "mechanical-ears[explore]"' in capsys.readouterr().err


def test_nothing_of_the_server_is_imported_by_other_commands():
    program = (
        "import sys, mechanical_ears, mechanical_ears.cli\n"
        "print({'fastapi', 'uvicorn', 'pydantic', 'sklearn'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


def test_one_who_never_tells_a_request_is_cut_off(server):
    address = urlsplit(server.address)
    with socket.create_connection((address.hostname, address.port), timeout=60) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: ")
        assert slow.recv(100) == b""
    assert httpx.get(server.address).status_code == 200
    assert run_server.HEADER_SECONDS <= 20
