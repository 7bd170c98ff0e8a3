"""What the tests of imagining share."""

from __future__ import annotations

import pytest

from mechanical_ears.imagining.model import Model
from support.toy_model import write_toy


@pytest.fixture(scope="session")
def toy_weights(tmp_path_factory):
    """A folder of weights whose networks are linear, see ``toy_imagination``."""
    return write_toy(tmp_path_factory.mktemp("toy") / "weights")


@pytest.fixture(scope="session")
def toy(toy_weights):
    return Model(toy_weights)
