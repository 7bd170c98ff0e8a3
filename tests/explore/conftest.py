"""Fixtures of explore's tests: a server, started by the real command."""

from __future__ import annotations

import pytest

from support.running_server import RunningServer


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A server with the shipped weights and a map of 66 instruments."""
    with RunningServer(tmp_path_factory.mktemp("explore"), "--points", "66") as running:
        yield running


@pytest.fixture(scope="session")
def space(server):
    """The map of that server."""
    return server.client.get("/api/space").json()
