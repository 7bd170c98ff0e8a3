"""The command `ears explore`: errors in one line, imports, timeouts."""

from __future__ import annotations

import socket
import subprocess
import sys
from urllib.parse import urlsplit

import httpx
import pytest

from mechanical_ears.cli import main
from mechanical_ears.explore import run_server

pytestmark = pytest.mark.slow


def run_explore(data, *options):
    command = [sys.executable, "-m", "mechanical_ears.cli", "explore", "--no-browser"]
    command += ["--data", str(data), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def error_of(finished):
    """The error message of a command that has failed."""
    assert finished.returncode == 2, finished.stderr
    assert finished.stdout == ""
    assert "Traceback" not in finished.stderr
    return finished.stderr


def test_a_port_in_use_is_reported_with_a_remedy(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as in_use:
        port = str(in_use.getsockname()[1])
        error = error_of(run_explore(tmp_path, "--port", port))
    assert f"port {port}" in error
    assert "--port 0" in error


def test_missing_weights_are_reported(tmp_path):
    assert "no such folder of weights" in error_of(
        run_explore(tmp_path, "--model", str(tmp_path / "no"))
    )
    (tmp_path / "empty").mkdir()
    assert "generator.onnx" in error_of(run_explore(tmp_path, "--model", str(tmp_path / "empty")))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--corpus", "/nowhere"), "no such corpus"),
        (("--points", "0"), "not above 0"),
        (("--port", "99999"), "cannot listen"),
        (("--host", "256.1.1.1"), "cannot listen"),
    ],
)
def test_invalid_options_are_reported_before_the_server_starts(tmp_path, capsys, options, message):
    assert main(["explore", "--no-browser", "--data", str(tmp_path), *options]) == 2
    assert message in capsys.readouterr().err


def test_a_file_instead_of_the_data_folder_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    assert "is a file where a folder is needed" in error_of(
        run_explore(tmp_path / "file", "--port", "0")
    )


def test_without_the_extra_the_remedy_is_printed(tmp_path, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith("mechanical_ears.explore")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    assert main(["explore", "--data", str(tmp_path)]) == 2
    assert 'pip install "mechanical-ears[explore]"' in capsys.readouterr().err


def test_other_commands_import_nothing_of_the_server():
    program = (
        "import sys, mechanical_ears, mechanical_ears.cli\n"
        "print({'fastapi', 'uvicorn', 'pydantic', 'sklearn'} & {*sys.modules})"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert finished.stdout.strip() == "set()"


def test_a_connection_without_a_complete_request_is_closed(server):
    address = urlsplit(server.address)
    with socket.create_connection((address.hostname, address.port), timeout=60) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: ")
        assert slow.recv(100) == b""
    assert httpx.get(server.address).status_code == 200
    assert run_server.HEADER_SECONDS <= 20
