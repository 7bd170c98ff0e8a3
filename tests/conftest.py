"""Fixtures that tests of several rooms share."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items):
    """Tests in a folder ``training`` train, those in ``web`` use a browser, servers are slow."""
    for item in items:
        folders = Path(item.path).parts
        if "training" in folders:
            item.add_marker("train")
        if "web" in folders:
            item.add_marker("web")
        if "explore" in folders:
            item.add_marker("slow")


@pytest.fixture(scope="session")
def toy_weights(tmp_path_factory):
    """A folder of weights whose networks are linear, see `support.toy_model`."""
    from support.toy_model import write_toy

    return write_toy(tmp_path_factory.mktemp("toy") / "weights")


@pytest.fixture(scope="session")
def toy(toy_weights):
    """The model of `toy_weights`."""
    from mechanical_ears.imagining.model import Model

    return Model(toy_weights)
