"""The file of favourites."""

from __future__ import annotations

import sqlite3

import pytest

from mechanical_ears.errors import EarsError
from mechanical_ears.explore.favourites import FILE_NAME, Favourites
from mechanical_ears.explore.open_instruments import UnknownIdError


def test_a_favourite_is_stored_completely(tmp_path):
    favourites = Favourites(tmp_path)
    patch = {"name": "a", "weights": {"sha256": "0"}, "timbre": [0.125, -1e-7]}
    row = favourites.add("a", patch, b"\0residual")
    favourites.add("b", patch, None)
    favourites.close()
    reopened = Favourites(tmp_path)
    assert [each.name for each in reopened.all()] == ["b", "a"]
    assert reopened.all()[1] == row
    assert (row.patch, row.residual) == (patch, b"\0residual")
    reopened.remove(row.number)
    with pytest.raises(UnknownIdError, match="no favourite"):
        reopened.rename(row.number, "c")
    assert reopened.add("c", patch, None).number > row.number  # numbers are not reused
    reopened.close()


def test_a_file_that_cannot_be_used_is_reported_with_a_remedy(tmp_path):
    (tmp_path / FILE_NAME).write_bytes(b"not a database, but long enough for one" * 100)
    with pytest.raises(EarsError, match="move the file away"):
        Favourites(tmp_path)
    newer = tmp_path / "newer"
    Favourites(newer).close()
    with sqlite3.connect(newer / FILE_NAME) as file:
        file.execute("PRAGMA user_version = 99")
    with pytest.raises(EarsError, match="update mechanical-ears"):
        Favourites(newer)
    (tmp_path / "file").write_text("")
    with pytest.raises(EarsError, match="is a file where a folder is needed"):
        Favourites(tmp_path / "file")
