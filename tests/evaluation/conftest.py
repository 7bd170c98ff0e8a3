"""A store with the whole grid, shared by the tests of the evaluation."""

import pytest

from mechanical_ears.corpus.store import build_store
from mechanical_ears.corpus.toy import Toy
from mechanical_ears.evaluation.note_sets import GRID_KEYS


@pytest.fixture(scope="session")
def toy_store(tmp_path_factory):
    """300 notes: 12 instruments, five keys, five velocities."""
    path = tmp_path_factory.mktemp("store") / "toy"
    build_store(Toy(300, instruments=12, pitches=GRID_KEYS), path, split=(0.6, 0.2, 0.2))
    return path
